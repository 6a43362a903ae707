"""A baked result plays anywhere without its model, and a results folder shows whatever is whole in it."""

from __future__ import annotations

import json
import logging
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from encoder.cards import read_card
from experiments import examples as examples_module
from experiments.bake import bake
from experiments.examples import card_of, find_example, list_examples, load_example
from experiments.predict import predict
from extractors.errors import CacheError, CineglassError, SelectionError
from extractors.stages import Stage, last
from settings import Settings
from tests.films import write_film
from tests.tiny_model import tiny_film_model

FILES = {"clip.mp4", "transcript.tsv", "responses.npy", "responses.json", "networks.tsv", "example.json", "card.yaml"}
BUILT_IN = ("eyes-and-ears", "a-story-told", "things-that-move")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bake")
    write_film(folder / "bar.mp4", 18.0)
    tiny_film_model(folder / "model", title="Tiny <b>model</b>")
    return folder


@pytest.fixture(scope="module")
def settings(place):
    return Settings(cache_dir=place / "cache", model=str(place / "model"))


@pytest.fixture(scope="module")
def baked(place, settings):
    return last(bake(place / "bar.mp4", out=place / "results" / "A bar", settings=settings, recogniser="none", title="A <i>bar</i>", caption="Look."))


@pytest.fixture
def shelf(baked, tmp_path):
    """A results folder of its own with one baked result."""
    shutil.copytree(baked, tmp_path / "shelf" / "A bar")
    return tmp_path / "shelf"


def shown(folder):
    return list_examples(Settings(results_dir=folder))[len(BUILT_IN) :]


def test_baking_writes_what_prediction_gives_with_its_card_and_where_it_comes_from(place, settings, baked):
    assert {path.name for path in baked.iterdir()} == FILES
    same = last(predict(place / "bar.mp4", settings=settings, recogniser="none"))
    np.testing.assert_array_equal(np.load(baked / "responses.npy"), same.responses.values)
    assert read_card(baked / "card.yaml") == read_card(place / "model" / "card.yaml")
    text = (baked / "responses.json").read_text(encoding="utf-8")
    facts = json.loads(text)
    made = facts["extra"]["made"]
    assert facts["simulated"] is True
    assert facts["weights_sha256"] == same.responses.weights_sha256
    assert made["date"].startswith("20")
    assert made["date"].endswith("+00:00")
    assert made["seconds"] >= 0
    assert made["asked"] == {"device": "auto", "low_mem": False}
    assert made["libraries"]["torch"][0].isdigit()
    assert str(place) not in text
    assert not [path for path in baked.parent.iterdir() if path.name.startswith(".")]


def test_a_baked_folder_plays_elsewhere_without_the_model_that_made_it(shelf, tmp_path):
    moved = Settings(results_dir=shelf, model="a model that is nowhere", cache_dir=tmp_path / "none")
    assert tuple(example.id for example in list_examples(moved)) == (*BUILT_IN, "a-bar")
    example, result = load_example("a-bar", moved)
    assert (example.title, example.caption, example.opens_with) == ("A <i>bar</i>", "Look.", ())
    assert result.responses.values.shape == (4, 12, 1000)
    assert result.clip.path == shelf / "A bar" / "clip.mp4"
    assert result.clip.path.is_file()
    assert card_of(example, result.responses).title == "Tiny <b>model</b>"
    assert not (tmp_path / "none").exists()


def test_a_built_in_example_shows_the_card_of_the_embedded_model():
    example, result = load_example("a-story-told")
    assert card_of(example, result.responses).id == "vibe-sim"


def test_the_setting_may_name_one_baked_folder_too(shelf):
    assert [example.folder for example in shown(shelf / "A bar")] == [shelf / "A bar"]


def test_ids_are_safe_in_an_address_and_unique_and_built_in_ones_win(shelf):
    for name in ("a bar", "A.bar!", "eyes-and-ears", "日本"):
        shutil.copytree(shelf / "A bar", shelf / name)
    found = shown(shelf)
    assert sorted(example.id for example in found) == ["a-bar", "a-bar-2", "a-bar-3", "eyes-and-ears-2", "result"]
    assert {example.folder.name for example in found} == {"A bar", "a bar", "A.bar!", "eyes-and-ears", "日本"}
    assert find_example("eyes-and-ears", Settings(results_dir=shelf)).folder != shelf / "eyes-and-ears"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "responses.npy").write_bytes(b"\x93NUMPY"),
        lambda folder: (folder / "responses.json").write_text("{}"),
        lambda folder: (folder / "example.json").write_text('{"title": ["x"]}'),
        lambda folder: (folder / "example.json").write_text('["x"]'),
        lambda folder: (folder / "example.json").write_bytes(b"\xff"),
        lambda folder: (folder / "clip.mp4").unlink(),
        lambda folder: (folder / "transcript.tsv").unlink(),
        lambda folder: ((folder / "clip.mp4").unlink(), (folder / "clip.mp4").symlink_to("/etc/hostname")),
    ],
)
def test_a_damaged_result_is_left_out_with_a_line_in_the_log_and_the_others_stay(shelf, spoil, caplog):
    shutil.copytree(shelf / "A bar", shelf / "spoiled")
    spoil(shelf / "spoiled")
    with caplog.at_level(logging.WARNING):
        assert [example.id for example in shown(shelf)] == ["a-bar"]
    assert len([record for record in caplog.records if "'spoiled' is left out" in record.message]) == 1


def test_what_is_no_result_is_passed_over_in_silence_and_a_missing_folder_is_no_fault(shelf, caplog):
    (shelf / "notes").mkdir()
    (shelf / "README.md").write_text("mine")
    (shelf / ".A bar.1234").mkdir()
    assert [example.id for example in shown(shelf)] == ["a-bar"]
    assert not caplog.records
    assert shown(shelf / "nowhere") == ()


def test_a_listed_result_is_read_once_and_again_only_when_it_changed(shelf, monkeypatch):
    counted = []
    monkeypatch.setattr(examples_module, "load_result", lambda folder: counted.append(folder))
    shown(shelf)
    shown(shelf)
    assert len(counted) == 1
    facts = json.loads((shelf / "A bar" / "example.json").read_text())
    (shelf / "A bar" / "example.json").write_text(json.dumps({**facts, "title": "Another", "opens_with": ["Vis-L", "Nonsense", 3]}))
    assert [(example.title, example.opens_with) for example in shown(shelf)] == [("Another", ("Vis-L",))]
    assert len(counted) == 2


def test_baking_again_replaces_what_was_baked_and_nothing_else(place, settings, shelf):
    out = shelf / "A bar"
    assert last(bake(place / "bar.mp4", out=out, settings=settings, recogniser="none")) == out
    facts = json.loads((out / "example.json").read_text())
    assert facts["title"] == "bar"
    assert "Tiny <b>model</b>" in facts["caption"]
    assert [path.name for path in shelf.iterdir()] == ["A bar"]
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(CacheError) as caught:
        last(bake(place / "bar.mp4", out=out, settings=settings, recogniser="none"))
    assert caught.value.code == "bake_in_the_way"
    assert (out / "thesis.txt").exists()


@pytest.mark.parametrize("names", [["clip.mp4", "transcript.tsv"], ["responses.npy", "responses.json", "networks.tsv", "transcript.tsv"]])
def test_a_film_with_its_words_or_a_result_that_nobody_baked_is_not_replaced(place, settings, tmp_path, names):
    for name in names:
        (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(CacheError) as caught:
        last(bake(place / "bar.mp4", out=tmp_path, settings=settings, recogniser="none"))
    assert caught.value.code == "bake_in_the_way"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == dict.fromkeys(names, b"mine")


def test_a_bake_that_is_stopped_or_fails_leaves_no_folder(place, settings, tmp_path):
    job = bake(place / "bar.mp4", out=tmp_path / "deep" / "x", settings=settings, recogniser="none")
    assert isinstance(next(job), Stage)
    job.close()
    with pytest.raises(CineglassError):
        last(bake(place / "bar.mp4", out=tmp_path / "deep" / "x", settings=settings, model=str(place / "nowhere")))
    assert not list((tmp_path / "deep").iterdir())


def test_files_of_a_baked_result_are_served_by_name_and_nothing_beside_them(shelf, tmp_path):
    from ui.files import _file, example_folder

    settings = Settings(results_dir=shelf, cache_dir=tmp_path / "cache")
    (shelf / "A bar" / "secret.txt").write_text("x")
    visits = SimpleNamespace(runs=tmp_path / "cache" / "runs", comparisons=tmp_path / "cache" / "comparisons", settings=settings)

    def fetched(id, name):
        return _file(lambda: example_folder(id, settings), name, visits)

    for name in FILES - {"example.json"}:
        assert fetched("a-bar", name) == shelf / "A bar" / name
    refused = (("a-bar", "secret.txt"), ("a-bar", "spread.npy"), ("a-bar", "../x"), ("..", "card.yaml"), ("A bar", "clip.mp4"), ("x", "clip.mp4"))
    for id, name in refused:
        with pytest.raises(FileNotFoundError):
            fetched(id, name)
    (shelf / "A bar" / "spread.npy").symlink_to("/etc/hostname")
    with pytest.raises(FileNotFoundError):
        _file(lambda: shelf / "A bar", "spread.npy", visits)
    (shelf / "A bar" / "spread.npy").unlink()
    before = {path: path.stat().st_mtime_ns for path in (shelf / "A bar").iterdir()}
    assert fetched("a-bar", "transcript.vtt").read_text().startswith("WEBVTT")
    assert {path: path.stat().st_mtime_ns for path in (shelf / "A bar").iterdir()} == before


def test_an_unknown_id_is_refused_with_the_known_ones(shelf):
    with pytest.raises(SelectionError, match="a-bar"):
        load_example("b-bar", Settings(results_dir=shelf))
