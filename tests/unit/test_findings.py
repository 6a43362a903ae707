"""What a comparison says, from responses that were planted: no film and no model are needed."""

import re
from dataclasses import replace

import numpy as np
import pytest

from encoder.curves import curve_ids, curve_masks
from encoder.responses import Responses
from experiments.comparison import Comparison
from experiments.comparison_files import load_comparison, save_comparison
from experiments.conditions import called
from experiments.findings import captions, frame, sentences, table
from experiments.null_band import NullBand, parcel_change
from experiments.predict import Result
from extractors.clip import Clip
from extractors.errors import CacheError, SelectionError
from extractors.grid import TR
from extractors.time_map import Piece, TimeMap
from extractors.tr_table import no_words

ROWS = 60
SUBJECTS = (1, 2, 3, 5)
AUDITORY = curve_masks()["Auditory"]


def a_result(values, *, calibrated="yes", valid=None, **changes) -> Result:
    rows = values.shape[1]
    valid = np.arange(rows) >= 5 if valid is None else valid
    clip = Clip(None, None, "a" * 64, "v", "s", "film.mp4", rows * TR, rows, 25.0, 160, 120)
    responses = Responses(
        values=values.astype(np.float32),
        subjects=SUBJECTS,
        simulated=True,
        valid=valid,
        model_id="vibe-sim",
        model_title="Simulation",
        weights_sha256="w" * 64,
        extractor_ids={"audio": "a-1"},
        clip_sha256="a" * 64,
        clip_name="film.mp4",
        duration=clip.duration,
        present={"audio": True, "text": False, "video": True},
        transcript_source="none",
        extra={"calibrated": calibrated},
    )
    return Result(clip, no_words(rows), replace(responses, **changes), "r" * 32, {"model": 0.1})


@pytest.fixture(scope="module")
def first():
    return np.random.default_rng(1).standard_normal((4, ROWS, 1000)).cumsum(1) / 8


def compared(first, second, *, calibrated="yes", null=None, time_map=True, **changes) -> Comparison:
    time_map = TimeMap.identity(ROWS * TR) if time_map is True else time_map
    a, b = a_result(first, calibrated=calibrated), a_result(second, calibrated=calibrated)
    parts = {"label_a": "A", "label_b": "muted", "edits": "mute", "lesions": "", "time_map": time_map, "null": null} | changes
    return Comparison(a, b, **parts)


def a_band(size: float, n: int = 3) -> NullBand:
    moved = np.random.default_rng(2).standard_normal((n, 5, ROWS, len(curve_ids()))).astype(np.float32) * size
    return NullBand(tuple(f"gain db=0.{k + 1}" for k in range(n)), moved, np.zeros((n, 4, 1000), np.float32))


def flat_in(values, network, size=0.01):
    """The same responses with one network that hardly moves."""
    still = values.copy()
    still[:, :, curve_masks()[network]] *= size
    return still


def silenced(first, offset=0.5):
    """B: auditory parcels go flat half a unit lower, all others stay."""
    second = first.copy()
    second[:, :, AUDITORY] = first[:, :, AUDITORY].mean(1, keepdims=True) - offset
    return second


def row_of(rows, curve):
    return next(row for row in rows if row["curve"] == curve)


def test_sizes_are_those_of_the_planted_change(first):
    rows = table(compared(first, silenced(first)), None)
    auditory, visual = row_of(rows, "Auditory"), row_of(rows, "Vis")
    kept = np.arange(ROWS) >= 5
    curve = first[:, :, AUDITORY].mean((0, 2))
    assert auditory["change"] == pytest.approx(1.0, abs=1e-4)
    assert auditory["difference"] == pytest.approx(curve[kept].mean() - curve.mean() + 0.5, abs=1e-4)
    assert auditory["r"] is None, "B is flat there"
    assert visual["change"] == pytest.approx(0, abs=1e-6)
    assert visual["r"] == pytest.approx(1)


def test_a_table_has_a_row_for_every_curve_and_subject(first):
    found = frame(compared(first, silenced(first), null=a_band(0.01)))
    assert found.index.names == ["subject", "curve"]
    assert list(found.loc["mean"].index) == list(curve_ids())
    assert set(found.index.get_level_values("subject")) == {"Sim 1", "Sim 2", "Sim 3", "Sim 5", "mean"}
    assert found.loc[("mean", "Auditory"), "outside"]
    assert not found.loc[("mean", "Vis"), "outside"]
    assert found.attrs["simulated"] is True
    assert found.attrs["edits"] == "mute"


def test_the_mean_of_subjects_is_taken_before_the_sizes(first):
    found = table(compared(first, first * 0.5), None)
    curve = first.mean(0)[:, curve_masks()["Vis"]].mean(1)[5:]
    assert row_of(found, "Vis")["change"] == pytest.approx(0.5, abs=1e-5)
    assert row_of(found, "Vis")["difference"] == pytest.approx(0.5 * curve.mean(), abs=1e-5)


def test_one_sentence_says_size_direction_and_the_small_changes(first):
    said = sentences(compared(first, silenced(first), null=a_band(0.001)), None)
    assert said[0]["curve"] in ("Auditory", "LanguageTemporal", "SomMot")
    auditory = row_of(said, "Auditory")["text"]
    assert "changes by 100 %" in auditory
    assert "lower than A" in auditory
    assert "None of 3 small changes" in auditory
    assert row_of(said, "Vis")["text"] == "No change."


def test_a_large_share_of_next_to_nothing_is_said_to_be_so_and_comes_last(first):
    still = flat_in(first, "Vis")
    changed = still.copy()
    changed[:, :, curve_masks()["Vis"]] *= -1
    changed[:, :, AUDITORY] *= 0.5
    said = sentences(compared(still, changed), None)
    assert said[0]["curve"] == "Auditory"
    visual = row_of(said, "Vis")["text"]
    assert "hardly moves" in visual
    assert "changes by" not in visual


def test_a_change_no_larger_than_the_small_ones_is_called_nothing_to_explain(first):
    said = row_of(sentences(compared(first, first * 1.05, null=a_band(5.0)), 2), "Vis")["text"]
    assert "nothing to explain" in said


@pytest.mark.parametrize("calibrated", ["no", "unknown"])
def test_an_uncalibrated_model_is_not_quoted_with_a_mean(first, calibrated):
    comparison = compared(first, silenced(first), calibrated=calibrated)
    assert " z " not in row_of(sentences(comparison, None), "Auditory")["text"]
    assert comparison.calibrated == calibrated


@pytest.mark.parametrize("calibrated", ["no", "unknown"])
def test_no_sentence_on_an_uncalibrated_model_holds_a_z_whatever_is_compared(first, calibrated):
    still = flat_in(first, "Vis")
    lively = still.copy()
    lively[:, :, curve_masks()["Vis"]] *= 200
    for comparison in (
        compared(still, lively, calibrated=calibrated, null=a_band(0.001)),
        compared(first, first[:, :40] + 1, calibrated=calibrated, time_map=None, null=a_band(0.01)),
        compared(first, first[:, :40] + 0.1, calibrated=calibrated, time_map=None, null=a_band(5.0)),
    ):
        texts = [one["text"] for one in sentences(comparison, None)]
        assert any("B is higher" in text or "more in B" in text for text in texts)
        assert not any(re.search(r"\bz\b", text) for text in texts)


def test_an_uncalibrated_model_ranks_by_shares_and_not_by_z(first):
    changed = first.copy()
    changed[:, :, curve_masks()["Vis"]] *= 0.2
    changed[:, :, AUDITORY] *= 0.6
    loud = first.copy(), changed.copy()
    for values in loud:
        values[:, :, AUDITORY] *= 6
    assert row_of(table(compared(*loud), None), "Auditory")["apart"] > row_of(table(compared(*loud), None), "Vis")["apart"]
    assert sentences(compared(*loud, calibrated="no"), None)[0]["curve"] in ("Vis", "EarlyVisual")


def done(first, edits: tuple[str, ...], name: str) -> Result:
    result = a_result(first)
    return replace(result, clip=replace(result.clip, name=name), responses=replace(result.responses, edits=edits))


@pytest.mark.parametrize(("name", "edits"), [("commuter.mp4", ("mute",)), ("greyhounds.mp4", ("grey",)), ("film.mp4", ("mute", "grey"))])
def test_what_was_done_to_a_film_is_told_whatever_the_film_is_called(first, name, edits):
    assert called(done(first, edits, name)) == f"{name}: {'; '.join(edits)}"
    assert called(done(first, edits, name), called(done(first, edits, name))) == f"{name}: {'; '.join(edits)}"
    assert called(done(first, (), name)) == name


def test_no_sentence_and_no_column_holds_a_p_value(first):
    comparison = compared(first, silenced(first), null=a_band(0.01))
    assert not any("p =" in one["text"] or "signific" in one["text"] for one in sentences(comparison, None))
    assert not {"p", "p_max", "q_fdr"} & set(frame(comparison).columns)


def test_films_of_other_rows_are_compared_by_their_means_and_it_says_why(first):
    comparison = compared(first, first[:, :40] + 1, time_map=None, null=a_band(0.01))
    rows = table(comparison, None)
    assert not comparison.paired
    assert "different films" in comparison.why
    assert row_of(rows, "Vis").get("change") is None
    expected = first.mean(0)[5:, curve_masks()["Vis"]].mean() - (first.mean(0)[5:40, curve_masks()["Vis"]].mean() + 1)
    assert row_of(rows, "Vis")["difference"] == pytest.approx(expected, abs=1e-4)
    assert "On average" in row_of(sentences(comparison, None), "Vis")["text"]


def test_ups_and_downs_of_twice_the_size_have_four_times_the_power(first):
    rows = table(compared(first, 2 * first, time_map=None), None)
    assert row_of(rows, "Vis")["power"] == pytest.approx(4, rel=1e-4)


def test_captions_say_what_the_interval_is_and_where_simulations_found_it_off(first):
    said = " ".join(captions(compared(first, first * 0.5)))
    assert "variation over time within this clip" in said
    assert "simulations" in said
    assert captions(compared(first, first, time_map=None)) == ()


def test_a_film_moved_in_time_is_not_subtracted_row_by_row(first):
    backwards = TimeMap((Piece(0, ROWS * TR, ROWS * TR, 0),))
    comparison = compared(first, first[:, ::-1], time_map=backwards)
    assert not comparison.paired
    assert "moves the film in time" in comparison.why


def test_conditions_of_different_subjects_are_refused(first):
    a = a_result(first)
    b = replace(a, responses=a.responses.select((1, 2)))
    with pytest.raises(SelectionError):
        Comparison(a, b, "A", "B", "mute", "", TimeMap.identity(ROWS * TR), None)


def test_the_band_is_the_widest_null_edit_of_a_row_and_its_neighbours():
    band = a_band(1.0)
    assert band.half_width.shape == (len(curve_ids()), 5, ROWS)
    assert band.half_width[3, 4, 7] == pytest.approx(np.abs(band.differences[:, 4, 6:9, 3]).max())
    assert band.half_width[3, 4, 0] == pytest.approx(np.abs(band.differences[:, 4, :2, 3]).max())


def test_a_band_of_other_rows_is_refused():
    with pytest.raises(ValueError, match="parcel_change must have shape"):
        NullBand(("gain db=1",), np.zeros((1, 5, ROWS, len(curve_ids())), np.float32), np.zeros((1, 5, 1000), np.float32))


def test_the_change_of_a_constant_parcel_is_unknown(first):
    flat = first.copy()
    flat[:, :, 0] = 2.0
    change = parcel_change(a_result(flat).responses, a_result(first).responses)
    assert np.isnan(change[:, 0]).all()
    assert np.isfinite(change[:, 1:]).all()


def test_a_comparison_comes_back_from_disk_as_it_was(first, tmp_path):
    before = compared(first, silenced(first), null=a_band(0.01), seed=7)
    after = load_comparison(save_comparison(before, tmp_path / "kept"))
    assert np.array_equal(after.a.responses.values, before.a.responses.values)
    assert np.array_equal(after.b.responses.values, before.b.responses.values)
    assert np.array_equal(after.null.differences, before.null.differences)
    assert (after.edits, after.lesions, after.time_map, after.null.edits, after.seed, after.id, after.label_b) == (
        before.edits,
        before.lesions,
        before.time_map,
        before.null.edits,
        7,
        before.id,
        "muted",
    )
    assert sentences(after, 1) == sentences(before, 1)
    assert (tmp_path / "kept" / "comparison.tsv").read_text(encoding="utf-8").startswith("subject\tcurve\t")


def test_with_its_band_a_kept_comparison_has_the_null_edits_in_its_table_too(first, tmp_path):
    from ui.comparing import keep_comparison

    for band in (None, a_band(0.01)):
        keep_comparison(compared(first, silenced(first), null=band), tmp_path)
        head, row = (line.split("\t") for line in (tmp_path / "comparison.tsv").read_text(encoding="utf-8").splitlines()[:2])
        assert (row[head.index("null_change")] == "n/a") == (band is None)
    assert load_comparison(tmp_path).null is not None


@pytest.mark.parametrize("broken", ["comparison.json", "null.npz", "b/responses.npy"])
def test_a_comparison_with_a_missing_or_damaged_file_is_refused_in_words(first, tmp_path, broken):
    folder = save_comparison(compared(first, silenced(first), null=a_band(0.01)), tmp_path / "kept")
    (folder / broken).write_bytes(b"{")
    with pytest.raises(CacheError, match="damaged"):
        load_comparison(folder)
    (folder / broken).unlink()
    with pytest.raises(CacheError, match="not here any more"):
        load_comparison(folder)
