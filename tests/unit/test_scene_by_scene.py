"""The same scene in A and in B, against means taken by hand."""

import json
from dataclasses import replace

import numpy as np
import pandas
import pytest

from encoder.curves import curve_ids, curve_masks
from experiments.comparison_files import SCENES, save_comparison
from experiments.scene_by_scene import find_scenes, has_scenes, scene_frame, scene_notes, scenes
from extractors.errors import SelectionError
from extractors.grid import TR
from extractors.time_map import Piece, TimeMap
from tests.unit.test_findings import ROWS, compared
from ui.shown import comparison_part

HALF = ROWS * TR / 2
SWAPPED = TimeMap((Piece(0, HALF, HALF, 2 * HALF), Piece(HALF, 2 * HALF, 0, HALF)))
VIS = curve_masks()["Vis"]


@pytest.fixture(scope="module")
def two():
    return np.random.default_rng(3).standard_normal((2, 4, ROWS, 1000))


def of_curve(found, curve="Vis"):
    return [one["difference"][curve_ids().index(curve)] for one in found]


def in_pieces(seconds):
    """A film of ROWS TRs in pieces of one length, the last piece first."""
    starts = np.arange(0, ROWS * TR - seconds + 1e-6, seconds)
    return TimeMap(tuple(Piece(start, start + seconds, source, source + seconds) for start, source in zip(starts, starts[::-1], strict=True)))


def test_each_scene_is_averaged_where_it_lies_in_a_and_where_it_lies_in_b_over_moments_that_count_in_both(two):
    """By hand: the halves are 30 TRs long, so row k of A and row k + 30 or k - 30 of B show the same; the first five count in neither."""
    found = scenes(compared(*two, time_map=SWAPPED), None)
    assert [one["scene"].start_a for one in found] == pytest.approx([HALF, 1.5 * HALF, 0, HALF / 2])
    first, second = (values.mean(0)[:, VIS].mean(1) for values in two)
    for one, moved in zip(found, (-30, -30, 30, 30), strict=True):
        start = one["scene"].start_a + 5
        pairs = [(row, row + moved) for row in range(5, ROWS) if start <= (row + 0.5) * TR < start + HALF / 2 and 5 <= row + moved < ROWS]
        assert one["scene"].rows_a.sum() == one["scene"].rows_b.sum() == len(pairs) > 5
        assert np.flatnonzero(one["scene"].rows_b).tolist() == [row for _, row in pairs]
        expected = np.mean([first[a] - second[b] for a, b in pairs])
        assert one["difference"][curve_ids().index("Vis")] == pytest.approx(expected, abs=1e-5)


def test_a_scene_that_answers_alike_in_both_has_no_difference_though_the_films_differ_at_every_row():
    a, b = np.zeros((2, 4, ROWS, 1000))
    later = round(5 / TR)
    a[:, ROWS // 2 + later :] = 1.0
    b[:, later : ROWS // 2 + later] = 1.0
    np.testing.assert_allclose(of_curve(scenes(compared(a, b, time_map=SWAPPED), None)), 0, atol=1e-6)


def test_a_slower_film_has_the_same_scenes_in_longer_seconds(two):
    comparison = compared(two[0][:, :30], two[1], time_map=TimeMap((Piece(0, ROWS * TR, 0, HALF),)))
    found, too_short, _ = find_scenes(comparison)
    assert too_short == 0
    assert [round(scene.end_b - scene.start_b, 3) for scene in found] == [round(ROWS * TR / 3, 3)] * 3
    assert [(scene.start_a, scene.end_a) for scene in found] == [pytest.approx((k * HALF / 3, (k + 1) * HALF / 3)) for k in range(3)]


def test_a_film_twice_as_fast_is_not_cut_into_scenes_too_short_to_count(two):
    found, too_short, _ = find_scenes(compared(two[0][:, :22], two[1][:, :11], time_map=TimeMap((Piece(0, 16, 0, 32),))))
    assert (len(found), too_short) == (1, 0)


def test_backwards_the_end_of_a_stands_beside_the_beginning_of_b(two):
    found, *_ = find_scenes(compared(*two, time_map=TimeMap((Piece(0, 2 * HALF, 2 * HALF, 0),))))
    assert all(scene.backwards for scene in found)
    for scene in found:
        assert (scene.start_a, scene.end_a) == pytest.approx((2 * HALF - scene.end_b, 2 * HALF - scene.start_b))


@pytest.mark.parametrize(("seconds", "there"), [(2.0, False), (8.9, False), (9.0, True), (29.8, True)])
def test_scenes_shorter_than_six_trs_are_left_out_and_the_notes_say_why(two, tmp_path, seconds, there):
    shuffled = in_pieces(seconds)
    comparison = compared(*two, time_map=shuffled)
    found, too_short, without_rows = find_scenes(comparison)
    assert bool(found) == there
    assert len(found) + too_short + without_rows == len(shuffled.pieces)
    said = " ".join(scene_notes(comparison))
    assert (f"{too_short} scenes are left out as shorter than six TRs" in said) != there
    save_comparison(comparison, tmp_path, film=False)
    assert (tmp_path / SCENES).is_file() == there


def test_a_scene_where_no_row_counts_is_left_out_and_said(two):
    swapped = TimeMap((Piece(0, 9, HALF, HALF + 9), Piece(9, HALF, 9, HALF)))
    comparison = compared(*two, time_map=swapped)
    late = replace(comparison.b.responses, valid=np.arange(ROWS) >= 20)
    comparison = replace(comparison, b=replace(comparison.b, responses=late))
    found, too_short, without_rows = find_scenes(comparison)
    assert (len(found), too_short, without_rows) == (2, 0, 1)
    assert "no moment there counts in both" in " ".join(scene_notes(comparison))


def test_only_a_film_moved_in_time_has_scenes(two):
    assert has_scenes(compared(*two, time_map=SWAPPED))
    assert not has_scenes(compared(*two))
    other = compared(*two, time_map=None)
    assert not has_scenes(other)
    with pytest.raises(SelectionError, match="different films"):
        scenes(other, None)


def test_the_file_of_scenes_is_the_table_with_its_mark_and_goes_when_there_are_none(two, tmp_path):
    comparison = compared(*two, time_map=SWAPPED, label_b="=2+3")
    save_comparison(comparison, tmp_path, film=False)
    read = pandas.read_csv(tmp_path / SCENES, sep="\t")
    table = scene_frame(comparison).reset_index()
    assert {*table.columns, "simulated"} <= set(read.columns)
    np.testing.assert_allclose(read["difference"], table["difference"], rtol=1e-4)
    assert read["simulated"].all()
    one = read[(read["subject"] == "Sim 3") & (read["scene"] == 2) & (read["curve"] == "Vis")].iloc[0]
    assert one["difference"] == pytest.approx(of_curve(scenes(comparison, 3))[1], rel=1e-4)
    assert one["mean_a"] - one["mean_b"] == pytest.approx(one["difference"], abs=1e-5)
    save_comparison(compared(*two), tmp_path, film=False)
    assert not (tmp_path / SCENES).exists()


def test_the_page_is_given_the_scenes_of_every_subject_and_only_where_there_are_some(two):
    comparison = compared(*two, time_map=SWAPPED)
    told = json.loads(json.dumps(comparison_part(comparison, None)))["scenes"]
    assert [scene["a"][0] for scene in told["scenes"]] == pytest.approx([HALF, 1.5 * HALF, 0, HALF / 2], abs=0.01)
    assert set(told["differences"]) == {"sim1", "sim2", "sim3", "sim5", "mean"}
    np.testing.assert_allclose(told["differences"]["sim3"]["Vis"], of_curve(scenes(comparison, 3)), atol=1e-4)
    assert told["notes"] == list(scene_notes(comparison))
    assert comparison_part(compared(*two), None)["scenes"] is None
