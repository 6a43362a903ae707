from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from experiments import capsule, comparison_files
from experiments import capsule_form as form
from experiments.capsule import write_capsule
from experiments.capsule_read import open_capsule, plain_state, read_capsule
from experiments.capsule_run import differences, run_capsule
from experiments.examples import EXAMPLES
from experiments.predict import predict
from experiments.results import load_result, save_result
from extractors.errors import CacheError, CapsuleError, SelectionError
from extractors.stages import last
from extractors.tr_table import table_from_words
from extractors.transcript import Word
from settings import ROOT, Settings
from tests.capsules import contents, forged, some_comparison, some_result
from tests.films import write_film
from tests.unit.test_responses import some_ensemble
from ui.shown import of_run

STORY = EXAMPLES / "a-story-told"
DRAW = capsule._draw


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    return Settings(cache_dir=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module", autouse=True)
def undrawn():
    """Capsules without pictures, which are most of the work of writing one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.capsule._draw", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def ran(here):
    """A film whose picture and sound the gate had to convert, run with the embedded model."""
    webm = {"codec": "libvpx", "audio_codec": "libopus", "options": {"deadline": "realtime", "cpu-used": "8"}}
    film = write_film(here.cache_dir / "a film.webm", 15.3, size=(64, 48), fps=12, **webm)
    words = table_from_words([Word("hello", 1.0, 0.4), Word("there", 2.0, 0.4)], 10, source="file a.srt", timing="given", language="en")
    return film, last(predict(film, transcript=words, settings=here))


@pytest.fixture(scope="module")
def whole(here, ran):
    """A capsule with its film."""
    state = "?run=" + "0" * 32 + "&t=3.2&view=glass&curves=Vis,Auditory&runs=x"
    return last(write_capsule(ran[1], here.cache_dir / "whole.zip", film=True, state=state, title="My run", settings=here))


@pytest.fixture(scope="module")
def bare(here, ran):
    """The same without its film."""
    return last(write_capsule(save_result(ran[1], here.cache_dir / "kept"), here.cache_dir / "bare.zip", settings=here))


def bits(array):
    return array.view(np.uint32)


# written and read -------------------------------------------------------------------------------------------------------------------


def test_a_result_comes_out_of_a_capsule_as_it_went_in(whole, ran, tmp_path):
    opened = read_capsule(whole, tmp_path / "out")
    again, first = opened.result(), ran[1]
    np.testing.assert_array_equal(bits(again.responses.values), bits(first.responses.values))
    assert again.responses.metadata() == json.loads(json.dumps(first.responses.metadata())) | {"edits": []}
    assert again.transcript == first.transcript
    assert again.clip == replace(first.clip, path=tmp_path / "out" / "a" / "film.mp4", samples_path=None)
    assert (opened.kind, opened.title, opened.state) == ("run", "My run", "t=3.2&view=glass&curves=Vis,Auditory")


def test_the_result_of_an_ensemble_keeps_its_spread(tmp_path, here):
    responses, _ = some_ensemble(rows=12, transcript_source="file talk.srt", duration=some_result().clip.duration)
    held = replace(some_result(), responses=responses)
    again = read_capsule(last(write_capsule(held, tmp_path / "c.zip", settings=here)), tmp_path / "out").result()
    np.testing.assert_array_equal(again.responses.spread, responses.spread)
    np.testing.assert_array_equal(again.responses.member_curves, responses.member_curves)


def test_any_unpacker_opens_a_capsule_and_every_file_is_the_one_its_manifest_names(whole):
    with zipfile.ZipFile(whole) as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    held = contents(whole)
    told = json.loads(held.pop("capsule.json"))
    assert list(told["files"]) == list(held)
    assert {name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in held.items()} == {
        name: (file["bytes"], file["sha256"]) for name, file in told["files"].items()
    }
    assert {"methods.txt", "a/networks.tsv", "a/transcript.tsv"} <= set(held)
    assert told["about"].startswith("SIMULATED")
    assert "simulated" in held["methods.txt"].decode()


def test_a_capsule_carries_the_curves_and_a_moment_of_every_condition_as_pictures(monkeypatch, here, tmp_path):
    monkeypatch.setattr(capsule, "_draw", DRAW)
    held = contents(last(write_capsule(some_result(), tmp_path / "c.zip", settings=here)))
    for name in ("figures/a_networks.png", "figures/a_moment.png"):
        assert min(Image.open(io.BytesIO(held[name])).size) > 300


def test_equal_results_give_equal_bytes_and_name_no_place_of_this_machine(bare, ran, here, tmp_path):
    again = last(write_capsule(ran[1], tmp_path / "again.zip", settings=here))
    assert again.read_bytes() == bare.read_bytes()
    assert str(here.cache_dir).encode() not in again.read_bytes()
    assert str(ROOT).encode() not in again.read_bytes()


def test_the_film_goes_along_only_when_asked_for_and_then_with_the_sound_that_was_analysed(whole, bare, ran, tmp_path):
    assert not any(b"film.mp4" in name.encode() or "samples" in name for name in contents(bare))
    opened = read_capsule(whole, tmp_path / "out")
    samples = np.load(opened.samples["a"], allow_pickle=False)
    assert hashlib.sha256(samples.data).hexdigest() == ran[1].clip.audio_key
    assert opened.films["a"].read_bytes() == ran[1].clip.path.read_bytes()


def test_a_film_that_is_gone_cannot_be_included(here, tmp_path):
    with pytest.raises(CapsuleError, match="not here any more"):
        last(write_capsule(some_result(), tmp_path / "c.zip", film=True, settings=here))
    assert list(tmp_path.iterdir()) == []


def test_stopping_leaves_no_half_of_a_capsule(monkeypatch, here, tmp_path):
    def draw_for_ever(results, work, tell):
        while True:
            tell()
            time.sleep(0.02)

    monkeypatch.setattr(capsule, "_draw", draw_for_ever)
    job = write_capsule(some_result(), tmp_path / "c.zip", settings=here)
    next(job)
    next(job)
    job.close()
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_result_is_said(here, tmp_path):
    with pytest.raises(CacheError, match="missing"):
        last(write_capsule(tmp_path, tmp_path / "c.zip", settings=here))


@given(
    pairs=st.dictionaries(
        st.from_regex(r"[a-z]{1,10}", fullmatch=True), st.text(st.characters(codec="ascii", categories=("L", "N", "P")), min_size=1)
    )
)
@settings(max_examples=60, deadline=None)
def test_settings_of_the_player_come_back_as_they_were(pairs):
    from urllib.parse import parse_qsl, urlencode

    own = {"run", "example", "comparison", "runs", "capsule", "model"}
    assert dict(parse_qsl(plain_state(urlencode(pairs)))) == {key: value for key, value in pairs.items() if key not in own}


# opened -----------------------------------------------------------------------------------------------------------------------------


def test_opening_lets_the_film_in_and_lays_it_beside_the_result(whole, here, tmp_path):
    opened = last(open_capsule(whole, tmp_path / "out", settings=here))
    result = opened.result()
    assert result.clip.path.is_file()
    assert opened.clips["a"].video_key == result.clip.video_key
    assert not (tmp_path / "out" / "films").exists()


def test_a_film_that_is_not_the_results_is_refused_though_its_hash_is_right(whole, here, tmp_path):
    other = write_film(tmp_path / "other.mp4", 15.3, size=(64, 48), fps=12, audio=None)
    forgery = forged(whole, tmp_path / "c.zip", {"a/film.mp4": other.read_bytes()})
    with pytest.raises(CapsuleError, match="not the one"):
        last(open_capsule(forgery, tmp_path / "out", settings=here))
    assert not (tmp_path / "out").exists()


def test_a_film_left_out_is_found_among_the_examples_and_never_among_other_visitors_clips(here, bare, tmp_path):
    story = last(write_capsule(STORY, tmp_path / "story.zip", settings=here))
    assert last(open_capsule(story, tmp_path / "a", settings=here)).result().clip.path.read_bytes() == (STORY / "clip.mp4").read_bytes()
    assert (here.cache_dir / "clips" / load_result(here.cache_dir / "kept").clip.sha256).is_dir()  # it lies in the cache
    assert not last(open_capsule(bare, tmp_path / "b", settings=here)).result().clip.path.is_file()


# run again --------------------------------------------------------------------------------------------------------------------------


def test_a_capsule_run_again_on_this_machine_gives_every_value_bit_for_bit(whole, ran, tmp_path):
    fresh = Settings(cache_dir=tmp_path / "another")  # nothing that was computed before can be found here
    found = last(run_capsule(whole, settings=fresh))
    np.testing.assert_array_equal(bits(found.results[0].responses.values), bits(ran[1].responses.values))
    assert (list(found), found.circumstances) == ([], ())
    assert found.lines() == ("SIMULATED. Nothing differs: every value is the same, bit for bit.",)
    assert not [path for path in fresh.cache_dir.rglob("*") if path.is_file()]


def test_what_differs_is_counted(ran, here, tmp_path):
    values = ran[1].responses.values.copy()
    values[1, 3, 7] += 0.25
    saved = replace(ran[1], responses=replace(ran[1].responses, values=values, weights_sha256="0" * 64))
    found = last(run_capsule(last(write_capsule(saved, tmp_path / "c.zip", settings=here)), ran[0], settings=here))
    assert [(row.what, row.here.split(",")[0]) for row in found] == [("responses", f"1 of {values.size} numbers are others")]
    assert [row.what for row in found.circumstances] == ["weights of the model"]
    assert "weights of the model" in found.lines()[-1]


def test_two_results_differ_where_they_do_and_nowhere_else():
    a = some_result()
    assert list(differences(a, some_result())) == []
    changed = replace(a, responses=replace(a.responses, values=-a.responses.values * 0, valid=~a.responses.valid))
    assert [row.what for row in differences(changed, a, "A: ")] == ["A: valid rows", "A: responses"]
    zeros, minus = (replace(a, responses=replace(a.responses, values=np.full_like(a.responses.values, value))) for value in (0.0, -0.0))
    assert [row.what for row in differences(minus, zeros)] == ["responses"]


def test_a_capsule_without_its_film_asks_for_it_and_takes_only_that_one(bare, here, tmp_path):
    with pytest.raises(CapsuleError, match="does not hold the film") as missing:
        last(run_capsule(bare, settings=here))
    assert "--film" in missing.value.hint
    with pytest.raises(CapsuleError, match="not the film"):
        last(run_capsule(bare, write_film(tmp_path / "other.mp4", 15.3, size=(64, 48), fps=12), settings=here))


def test_a_capsule_makes_nobody_load_a_model_of_its_choice(here, tmp_path):
    stranger = some_result(model_id="evil/weights")
    capsule = last(write_capsule(stranger, tmp_path / "c.zip", settings=here))
    with pytest.raises(CapsuleError, match="does not come with the program"):
        last(run_capsule(capsule, settings=here))


# comparisons ------------------------------------------------------------------------------------------------------------------------


def test_a_comparison_comes_out_of_a_capsule_as_it_went_in(here, tmp_path):
    held = some_comparison()
    opened = read_capsule(last(write_capsule(held, tmp_path / "c.zip", settings=here)), tmp_path / "out")
    again = opened.comparison()
    for side in ("a", "b"):
        np.testing.assert_array_equal(getattr(again, side).responses.values, getattr(held, side).responses.values)
    np.testing.assert_array_equal(again.null.differences, held.null.differences)
    np.testing.assert_array_equal(again.null.parcel_change, held.null.parcel_change)
    assert (again.edits, again.seed, again.null.edits, again.time_map) == (held.edits, held.seed, held.null.edits, held.time_map)
    assert opened.title == "As it is and Muted"


def test_the_table_of_a_comparison_is_that_of_the_comparison(here, tmp_path):
    import pandas

    held = some_comparison()
    held_files = contents(last(write_capsule(held, tmp_path / "c.zip", settings=here)))
    assert [name for name in held_files if name.startswith("tables/")] == ["tables/comparison.tsv", "tables/association.tsv"], "of a paired one"
    table = held_files["tables/comparison.tsv"]
    (tmp_path / "t.tsv").write_bytes(table)
    read = pandas.read_csv(tmp_path / "t.tsv", sep="\t")
    rows = held.tables[2]
    np.testing.assert_allclose(read[read["subject"] == "Sim 2"]["change"], [row["change"] for row in rows], rtol=1e-5)
    assert set(read["simulated"]) == {True}
    assert (set(read["condition_a"]), set(read["condition_b"])) == ({"a film.mp4"}, {"a film.mp4: mute"})


def test_a_comparison_run_again_gives_both_sides_and_its_band_bit_for_bit(here, ran, tmp_path):
    from experiments.comparison import compare

    found = last(compare(ran[1], "mute", null=1, settings=here))
    capsule = last(write_capsule(found, tmp_path / "c.zip", film=True, settings=here))
    again = last(run_capsule(capsule, settings=Settings(cache_dir=tmp_path / "another")))
    assert again.lines() == ("SIMULATED. Nothing differs: every value is the same, bit for bit.",)
    assert not np.array_equal(again.results[0].responses.values, again.results[1].responses.values)


def test_the_methods_text_says_what_each_condition_is_and_what_the_intervals_are(here, tmp_path):
    from experiments.findings import captions
    from experiments.kept_pair import pair

    a, b = some_result(edits=("grey",), lesions=("text mean",)), some_result(seed=1, edits=("mute",))
    held = pair(a, b, label_a="", label_b="The second")
    told = contents(last(write_capsule(held, tmp_path / "c.zip", settings=here)))
    text = told["methods.txt"].decode()
    assert "A, “a film.mp4” after grey with the model lesion text mean, and B, “a film.mp4” after mute." in text
    assert "A (a film.mp4: grey; model lesion text mean)" in text
    assert "B (The second: mute)" in text
    assert captions(held)
    assert all(caption in text for caption in captions(held))
    conditions = json.loads(told["capsule.json"])["conditions"]
    assert [(one["edits"], one["lesions"]) for one in conditions.values()] == [(["grey"], ["text mean"]), (["mute"], [])]


def test_a_long_edit_goes_into_a_capsule(here, tmp_path):
    long = f'remove words="{", ".join(["word"] * 80)}"'
    assert len(long) > 450
    held = some_result(edits=(long + " " * 80,))
    assert (
        read_capsule(last(write_capsule(held, tmp_path / "c.zip", settings=here)), tmp_path / "out").result().responses.edits == held.responses.edits
    )


def test_a_second_film_that_the_capsule_does_not_hold_is_given_as_it_was_before_its_edits(here, ran, tmp_path):
    from experiments.comparison import compare
    from experiments.conditions import Condition

    film = write_film(tmp_path / "other.mp4", 15.3, size=(64, 48), fps=12)
    b = Condition(film, edits="grey; words policy=keep", lesions="audio mean", recogniser="none")
    found = last(compare(ran[1], b, null=0, settings=here))
    capsule = last(write_capsule(found, tmp_path / "c.zip", settings=here))
    fresh = Settings(cache_dir=tmp_path / "another")
    with pytest.raises(CapsuleError, match="film of B, other") as missing:
        last(run_capsule(capsule, ran[0], settings=fresh))
    assert "--film-b" in missing.value.hint
    with pytest.raises(CapsuleError, match="not the film of B"):
        last(run_capsule(capsule, ran[0], ran[0], settings=fresh))
    assert last(run_capsule(capsule, ran[0], film, settings=fresh)).lines() == ("SIMULATED. Nothing differs: every value is the same, bit for bit.",)


def test_a_film_of_b_is_refused_where_b_has_none_of_its_own(here, bare, ran, tmp_path):
    muted = last(write_capsule(some_comparison(), tmp_path / "c.zip", settings=here))
    for held, said in ((muted, "made out of A"), (bare, "no B")):
        with pytest.raises(SelectionError, match=said):
            last(run_capsule(held, ran[0], ran[0], model="vibe-sim", settings=here))


def test_a_result_without_its_film_names_no_film_to_the_page(here, bare, ran, tmp_path):
    opened = last(open_capsule(bare, tmp_path / "out", settings=here)).result()
    shown = {name: of_run("0" * 32, one, title="x", card=None).payload["media"] for name, one in (("with", ran[1]), ("without", opened))}
    assert shown["with"]["url"].endswith("film.mp4")
    assert shown["without"] == {"url": None, "kind": "video", "has_sound": True}


def test_a_capsule_has_a_place_for_every_table_of_a_comparison():
    assert [name.partition("/")[2] for name in form.TABLES] == list(comparison_files.TABLES)
