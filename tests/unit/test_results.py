from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from encoder.atlas import NETWORK_NAMES, load_atlas
from experiments.predict import Result
from experiments.results import load_result, save_result
from extractors.clip import Clip
from extractors.errors import CacheError, SelectionError
from extractors.tr_table import edit_row, no_words, table_from_words
from extractors.transcript import Word
from tests.unit.test_responses import some_ensemble, some_responses
from viz.export import write


@pytest.fixture
def result(tmp_path):
    film = tmp_path / "canonical.mp4"
    film.write_bytes(b"film")
    clip = Clip(film, None, "b" * 64, "c" * 64, None, "<b>a film</b>.mp4", 74.8, 50, 25.0, 160, 120, ("Cut.",))
    words = [Word("it's", 1.0, 0.2), Word('"q"\'\\', 2.1, 0.4), Word("ünï", 30, 0.5)]
    transcript = table_from_words(words, 50, source="file talk.srt", timing="given", language="en", notices=("One cue left out.",))
    return Result(clip, edit_row(transcript, 20, "two words"), some_responses(), "f" * 32, {"gate": 0.5})


def test_a_result_comes_back_from_disk_as_it_was(result, tmp_path):
    again = load_result(save_result(result, tmp_path / "out", film=True))
    np.testing.assert_array_equal(again.responses.values, result.responses.values)
    assert again.responses.metadata() == result.responses.metadata()
    assert again.transcript == result.transcript
    assert again.transcript.notices == result.transcript.notices
    assert again.clip == replace(result.clip, path=tmp_path / "out" / "film.mp4")
    assert (again.run_id, again.seconds) == (result.run_id, result.seconds)
    assert again.clip.path.read_bytes() == b"film"


def test_a_result_without_words_keeps_that_it_ran_without(result, tmp_path):
    for source in ("none", "pocketsphinx en-us"):
        again = load_result(save_result(replace(result, transcript=no_words(50, source=source)), tmp_path / source))
        assert again.transcript == no_words(50, source=source)


def test_the_array_file_is_plain_float32_with_subjects_rows_and_parcels(result, tmp_path):
    values = np.load(save_result(result, tmp_path / "out") / "responses.npy", allow_pickle=False)
    assert values.dtype == np.float32
    assert values.shape == (4, 50, 1000)


def test_the_network_table_holds_the_means_of_every_subject_and_says_it_is_simulated(result, tmp_path):
    save_result(result, tmp_path / "out")
    with (tmp_path / "out" / "networks.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) == 4 * 50
    row = rows[2 * 50 + 7]
    assert (row["subject"], row["simulated"], row["row"], row["time_s"], row["valid"]) == ("sub-sim03", "true", "7", "11.175", "false")
    for name in (*NETWORK_NAMES, *(group.id for group in load_atlas().groups)):
        assert float(row[name]) == pytest.approx(result.responses.network_mean(name)[2, 7], abs=1e-5)


def test_the_labels_file_names_axes_units_parcels_and_makers_and_no_path(result, tmp_path):
    text = (save_result(result, tmp_path / "out") / "responses.json").read_text(encoding="utf-8")
    facts = json.loads(text)
    assert facts["axes"] == ["subject", "TR", "parcel"]
    assert facts["subject_labels"] == ["Sim 1", "Sim 2", "Sim 3", "Sim 5"]
    assert len(facts["parcel_labels"]) == len(facts["parcel_networks"]) == 1000
    assert facts["simulated"] is True
    assert facts["transcript"]["source"] == "file talk.srt"
    assert facts["clip"]["name"] == "<b>a film</b>.mp4"
    assert str(tmp_path) not in text


@pytest.mark.parametrize("name", ["responses.npy", "responses.json", "transcript.tsv"])
def test_a_missing_file_of_a_result_is_named(result, tmp_path, name):
    folder = save_result(result, tmp_path / "out")
    (folder / name).unlink()
    with pytest.raises(CacheError, match=name.replace(".", r"\.")):
        load_result(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [("responses.npy", b"\x93NUMPY"), ("responses.npy", b""), ("responses.json", b"{"), ("responses.json", b"{}"), ("responses.json", b"[]")],
)
def test_a_damaged_file_of_a_result_is_a_sentence(result, tmp_path, name, content):
    folder = save_result(result, tmp_path / "out")
    (folder / name).write_bytes(content)
    with pytest.raises(CacheError) as caught:
        load_result(folder)
    assert caught.value.code == "result_damaged"


def test_a_pickled_array_is_never_opened(result, tmp_path):
    class Bomb:
        def __reduce__(self):
            return pytest.fail, ("the pickle was opened",)

    folder = save_result(result, tmp_path / "out")
    np.save(folder / "responses.npy", np.array([Bomb()], object), allow_pickle=True)
    with pytest.raises(CacheError):
        load_result(folder)


def test_a_folder_that_cannot_be_made_is_a_sentence_without_its_path(result, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(CacheError, match="could not be written") as caught:
        save_result(result, tmp_path / "out" / "deeper")
    assert str(tmp_path) not in str(caught.value)


def test_saving_again_leaves_no_parts_behind(result, tmp_path):
    save_result(result, tmp_path / "out")
    save_result(result, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["networks.tsv", "responses.json", "responses.npy", "transcript.tsv"]


def test_a_result_that_cannot_be_written_leaves_the_one_before_whole(result, tmp_path):
    folder = save_result(result, tmp_path / "out")
    gone = replace(result, clip=replace(result.clip, path=tmp_path / "deleted.mp4"), run_id="e" * 32)
    with pytest.raises(CacheError):
        save_result(replace(gone, responses=some_responses(seed=1)), folder, film=True)
    again = load_result(folder)
    assert again.run_id == result.run_id
    np.testing.assert_array_equal(again.responses.values, result.responses.values)
    assert not list(folder.glob(".*"))


def test_figures_are_written_in_their_formats_and_twice_the_same(tmp_path):
    responses = some_responses()
    with Image.open(write(responses, "networks_png", tmp_path / "a.png")) as image:
        assert image.size[0] > 1000
    for kind, start in (("networks_svg", b"<?xml"), ("networks_pdf", b"%PDF")):
        first, second = (write(responses, kind, tmp_path / name).read_bytes() for name in ("one", "two"))
        assert first.startswith(start)
        assert first == second


def test_an_unknown_kind_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(SelectionError, match="networks_png"):
        write(some_responses(), "gif", tmp_path / "a.gif")


@pytest.fixture
def averaged(result):
    return replace(result, responses=some_ensemble()[0])


def test_the_result_of_an_ensemble_comes_back_with_its_spread(averaged, tmp_path):
    folder = save_result(averaged, tmp_path / "out")
    again = load_result(folder).responses
    assert again.members == ("checkpoint-0", "checkpoint-1", "checkpoint-2")
    np.testing.assert_array_equal(again.spread, averaged.responses.spread)
    for name, spread in averaged.responses.curve_spread.items():
        np.testing.assert_array_equal(again.curve_spread[name], spread)
    for name, shape in (("spread", (4, 50, 1000)), ("member_curves", (3, 4, 50, len(again.curve_spread)))):
        saved = np.load(folder / f"{name}.npy", allow_pickle=False)
        assert (saved.dtype, saved.shape) == (np.float32, shape)


def test_the_network_table_of_an_ensemble_has_a_standard_deviation_for_every_mean(averaged, tmp_path):
    save_result(averaged, tmp_path / "out")
    with (tmp_path / "out" / "networks.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    names = [*NETWORK_NAMES, *(group.id for group in load_atlas().groups)]
    assert list(rows[0])[-2 * len(names) :] == [*names, *(f"sd_{name}" for name in names)]
    for name in names:
        assert float(rows[2 * 50 + 7][name]) == pytest.approx(averaged.responses.network_mean(name)[2, 7], abs=1e-5)
        assert float(rows[2 * 50 + 7][f"sd_{name}"]) == pytest.approx(averaged.responses.curve_spread[name][2, 7], abs=1e-5)


def test_a_single_model_has_no_column_and_no_file_of_spread(result, averaged, tmp_path):
    folder = save_result(averaged, tmp_path / "out")
    save_result(result, folder)
    assert "sd_Vis" not in (folder / "networks.tsv").read_text(encoding="utf-8")
    assert not [path.name for path in folder.iterdir() if path.name in ("spread.npy", "member_curves.npy")]
    assert load_result(folder).responses.spread is None
    for kind in ("spread_npy", "member_curves_npy"):
        with pytest.raises(SelectionError, match="single checkpoint"):
            write(result.responses, kind, tmp_path / "a.npy")


@pytest.mark.parametrize("name", ["spread.npy", "member_curves.npy"])
def test_an_ensembles_result_without_its_spread_is_not_whole(averaged, tmp_path, name):
    folder = save_result(averaged, tmp_path / "out")
    (folder / name).unlink()
    with pytest.raises(CacheError, match=name.replace(".", r"\.")) as caught:
        load_result(folder)
    assert caught.value.code == "result_missing"
    np.save(folder / name, np.zeros((2, 2), np.float32))
    with pytest.raises(CacheError) as caught:
        load_result(folder)
    assert caught.value.code == "result_damaged"


def test_a_result_of_the_form_before_is_read_and_one_of_a_form_to_come_is_refused(result, tmp_path):
    folder = save_result(result, tmp_path / "out")
    facts = json.loads((folder / "responses.json").read_text(encoding="utf-8"))
    del facts["members"]
    (folder / "responses.json").write_text(json.dumps({**facts, "form": 1}))
    np.testing.assert_array_equal(load_result(folder).responses.values, result.responses.values)
    (folder / "responses.json").write_text(json.dumps({**facts, "form": 3}))
    with pytest.raises(CacheError, match="newer version"):
        load_result(folder)
