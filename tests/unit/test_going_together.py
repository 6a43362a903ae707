"""Whether A and B go together: r and p of every curve, against every shift made by hand."""

import json
from dataclasses import replace

import numpy as np
import pandas
import pytest

from encoder.curves import curve_ids, curve_masks
from experiments.association import COLUMNS, association, association_frame, association_notes, associations
from experiments.comparison_files import ASSOCIATION, SCENES, load_comparison, save_comparison
from experiments.findings import frame
from extractors.errors import SelectionError, StatisticsError
from extractors.grid import TR
from extractors.time_map import Piece, TimeMap
from tests.unit.test_findings import AUDITORY, ROWS, compared
from ui.shown import comparison_part

VALID = slice(5, ROWS)
BACKWARDS = TimeMap((Piece(0, ROWS * TR, ROWS * TR, 0),))


@pytest.fixture(scope="module")
def comparison():
    a, b = np.random.default_rng(4).standard_normal((2, 4, ROWS, 1000)).cumsum(2) / 8
    b = 0.3 * a + b
    b[:, :, AUDITORY] = 1.0
    return compared(a, b)


@pytest.mark.parametrize("subject", [3, None])
def test_r_and_p_are_those_of_every_shift_made_by_hand(comparison, subject):
    got = association(comparison, subject)
    values = [side.responses.values.mean(0) if subject is None else side.responses.values[2] for side in (comparison.a, comparison.b)]
    count = ROWS - 5
    shifts = range(2, count - 1)
    for curve in ("Vis", "Default-L"):
        a, b = (one[VALID][:, curve_masks()[curve]].mean(1) for one in values)
        r = np.corrcoef(a, b)[0, 1]
        as_large = sum(abs(np.corrcoef(a, np.roll(b, shift))[0, 1]) >= abs(r) for shift in shifts)
        place = curve_ids().index(curve)
        assert got.r[place] == pytest.approx(r, abs=1e-5)
        assert got.p[place] == pytest.approx((1 + as_large) / (1 + len(shifts)))
    assert (got.n_shifts, got.smallest_p) == (len(shifts), 1 / (1 + len(shifts)))


def test_a_curve_that_is_flat_in_b_has_neither_r_nor_p(comparison):
    row = next(row for row in associations(comparison) if row["curve"] == "Auditory")
    assert (row["r"], row["p"]) == (None, None)
    assert row["rows"] == ROWS - 5


def test_the_notes_say_what_it_is_not_the_smallest_p_and_what_simulations_found(comparison):
    said = " ".join(association_notes(comparison))
    assert "does not test the difference" in said
    assert "other films or people" in said
    assert "the smallest p that 52 shifts can reach is 0.019" in said
    assert "In simulations with 40 rows" in said
    assert "none is corrected" in said


def test_where_simulations_found_nothing_off_the_notes_add_nothing():
    a = np.random.default_rng(5).standard_normal((4, 120, 1000))
    both = compared(a, a, time_map=TimeMap.identity(120 * TR))
    assert len(association_notes(both)) == len(association_notes(compared(a[:, :ROWS], a[:, :ROWS]))) - 1


@pytest.mark.parametrize("time_map", [None, BACKWARDS], ids=["another film", "backwards"])
def test_conditions_that_are_not_paired_have_no_association(comparison, tmp_path, time_map):
    apart = replace(comparison, time_map=time_map)
    with pytest.raises(SelectionError, match="do not belong together"):
        association(apart)
    save_comparison(comparison, tmp_path, film=False)
    save_comparison(apart, tmp_path, film=False)
    assert not (tmp_path / ASSOCIATION).exists()


def test_a_clip_too_short_to_be_shifted_is_kept_without_an_association(tmp_path):
    a = np.random.default_rng(6).standard_normal((4, 8, 1000))
    short = compared(a, 2 * a, time_map=TimeMap.identity(8 * TR))
    with pytest.raises(StatisticsError, match="4 or more valid rows"):
        association(short)
    save_comparison(short, tmp_path, film=False)
    assert not (tmp_path / ASSOCIATION).exists()


def test_the_file_of_associations_is_the_table_with_its_mark_and_the_folder_is_read_as_before(comparison, tmp_path):
    folder = save_comparison(comparison, tmp_path / "kept")
    read = pandas.read_csv(folder / ASSOCIATION, sep="\t", na_values="n/a")
    table = association_frame(comparison).reset_index()
    assert {*table.columns, *COLUMNS, "simulated"} <= set(read.columns)
    np.testing.assert_allclose(read["p"], table["p"], rtol=1e-5)
    assert read["simulated"].all()
    assert not (folder / SCENES).exists()
    after = load_comparison(folder)
    pandas.testing.assert_frame_equal(association_frame(after), association_frame(comparison))


def test_the_sizes_of_a_difference_still_hold_no_p(comparison):
    assert not {"p", "smallest_p"} & set(frame(comparison).columns)


def test_the_page_is_given_r_and_p_of_every_subject_or_the_reason_why_there_are_none(comparison):
    told = json.loads(json.dumps(comparison_part(comparison, None)))["association"]
    whole = [{key: row[key] for key in ("curve", "r", "p")} for row in associations(comparison, 5) if "-" not in row["curve"]]
    assert told["rows"]["sim5"] == whole
    assert told["notes"] == list(association_notes(comparison))
    assert comparison_part(replace(comparison, time_map=BACKWARDS), None)["association"] is None
    a = np.random.default_rng(6).standard_normal((4, 8, 1000))
    short = comparison_part(compared(a, 2 * a, time_map=TimeMap.identity(8 * TR)), None)["association"]
    assert short["rows"] == {}
    assert "valid rows" in short["notes"][0]
