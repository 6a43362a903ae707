"""A measured table beside a prediction: what is read, how it is put on the rows, and what is refused by name."""

from __future__ import annotations

import csv
import os
from dataclasses import replace

import h5py
import numpy as np
import pytest

from encoder.atlas import load_atlas
from experiments.examples import list_examples, load_example
from experiments.measured import MeasuredError, Table, accuracy_table, beside, read_measured
from extractors.errors import SelectionError
from extractors.grid import TR

LABELS = load_atlas().labels
RANDOM = np.random.default_rng(4)


@pytest.fixture(scope="module")
def responses():
    return load_example(list_examples()[0].id)[1].responses


@pytest.fixture(scope="module")
def table():
    return RANDOM.normal(size=(30, 1000)).astype(np.float32)


def write_text(path, rows, *, delimiter="\t"):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def refused(path, **options) -> MeasuredError:
    with pytest.raises(MeasuredError) as caught:
        read_measured(path, **options)
    assert str(path.parent) not in str(caught.value)
    assert caught.value.hint
    return caught.value


# reading -----------------------------------------------------------------------------------------------------------------------------------


def test_an_algonauts_file_is_read_one_episode_at_a_time(tmp_path, table):
    path = tmp_path / "sub-01_task-friends_space-MNI152NLin2009cAsym_atlas-Schaefer18_parcel-1000Par7Net_desc-s123456_bold.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("ses-001_task-s01e01a", data=table, compression="gzip")
        file.create_dataset("ses-002_task-s01e01b", data=table[:20] * 2)
    asked = refused(path)
    assert asked.code == "measured_dataset_needed"
    assert asked.datasets == (("ses-001_task-s01e01a", 30), ("ses-002_task-s01e01b", 20))
    read = read_measured(path, dataset="ses-002_task-s01e01b")
    np.testing.assert_array_equal(read.values, table[:20] * 2)
    assert read.tr == TR
    assert refused(path, dataset="ses-003").code == "measured_no_such_dataset"


@pytest.mark.parametrize("form", ["plain", "turned", "numbered columns", "numbered rows", "named columns", "named rows", "csv"])
def test_every_form_of_a_text_table_gives_the_same_numbers(tmp_path, table, form):
    order = RANDOM.permutation(1000)
    short = np.round(table[:12], 4)
    named = [LABELS[i].removeprefix("7Networks_") if i % 2 else LABELS[i] for i in order]
    rows = {
        "plain": short.tolist(),
        "turned": short.T.tolist(),
        "numbered columns": [list(range(1000)), *short.tolist()],
        "numbered rows": [["", *range(1000)], *([k, *row] for k, row in enumerate(short.tolist()))],
        "named columns": [named, *short[:, order].tolist()],
        "named rows": [["parcel", *range(12)], *([name, *row] for name, row in zip(named, short.T[order].tolist(), strict=True))],
        "csv": short.tolist(),
    }[form]
    path = write_text(tmp_path / ("table.csv" if form == "csv" else "table.tsv"), rows, delimiter="," if form == "csv" else "\t")
    np.testing.assert_allclose(read_measured(path).values, short, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "delimiter", "comma"), [("excel.csv", ";", True), ("half.csv", ";", False), ("savetxt.csv", " ", False), ("comma.tsv", ",", False)]
)
def test_cells_are_parted_by_what_parts_them_whatever_the_ending_says(tmp_path, table, name, delimiter, comma):
    short = np.round(table[:12], 4)
    cells = [[str(value).replace(".", "," if comma else ".") for value in row] for row in short.tolist()]
    heads = [] if delimiter == " " else [list(LABELS)]
    path = write_text(tmp_path / name, [*heads, *cells], delimiter=delimiter)
    np.testing.assert_allclose(read_measured(path).values, short, atol=1e-6)


def test_missing_cells_are_no_numbers(tmp_path, table):
    rows = table[:12].astype(object)
    rows[3, 7], rows[4, 8] = "n/a", ""
    values = read_measured(write_text(tmp_path / "table.tsv", rows.tolist())).values
    assert np.isnan(values[3, 7])
    assert np.isnan(values[4, 8])
    assert np.isfinite(values).sum() == values.size - 2


def test_files_that_do_not_fit_are_refused_by_name(tmp_path, table):
    np.save(tmp_path / "narrow.npy", table[:, :400])
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}]), allow_pickle=True)
    np.save(tmp_path / "words.npy", np.full((20, 1000), "x"))
    (tmp_path / "random.h5").write_bytes(os.urandom(5000))
    (tmp_path / "empty.tsv").write_bytes(b"")
    (tmp_path / "film.mp4").write_bytes(b"x")
    write_text(tmp_path / "ragged.tsv", [*table[:3].tolist(), [1, 2, 3]])
    write_text(tmp_path / "code.tsv", [*table[:3].tolist(), ["__import__('os')"] * 1000])
    write_text(tmp_path / "other.tsv", [[f"ROI_{k}" for k in range(1000)], *table[:12].tolist()])
    codes = {path.name: refused(path).code for path in tmp_path.iterdir()}
    assert codes == {
        "narrow.npy": "measured_parcels",
        "objects.npy": "measured_unreadable",
        "words.npy": "measured_not_numbers",
        "random.h5": "measured_unreadable",
        "empty.tsv": "measured_empty",
        "film.mp4": "measured_form",
        "ragged.tsv": "measured_ragged",
        "code.tsv": "measured_cell",
        "other.tsv": "measured_labels",
    }
    assert "20 x 400" not in str(refused(tmp_path / "narrow.npy"))
    assert "30 x 400" in str(refused(tmp_path / "narrow.npy"))
    assert refused(tmp_path / "gone.tsv").code == "measured_missing"
    assert refused(tmp_path / "ragged.tsv", tr=0).code == "measured_tr"


def test_an_hdf5_file_cannot_point_at_other_files_of_this_machine(tmp_path, table):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(table.tobytes())
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = table
    with h5py.File(tmp_path / "sly.h5", "w") as file:
        file["link"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "data")
        file["soft"] = h5py.SoftLink("/link")
        file.create_dataset("stored", shape=table.shape, dtype="f4", external=[(str(secret), 0, table.nbytes)])
        layout = h5py.VirtualLayout(shape=table.shape, dtype="f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "data", shape=table.shape)
        file.create_virtual_dataset("virtual", layout)
    assert refused(tmp_path / "sly.h5").code == "measured_no_dataset"


def test_groups_that_hold_each_other_are_not_followed_for_long(tmp_path, table):
    with h5py.File(tmp_path / "cycle.h5", "w") as file:
        file["data"] = table
        group = file.create_group("group")
        for k in range(300):
            group[f"again{k}"] = group
    np.testing.assert_array_equal(read_measured(tmp_path / "cycle.h5").values, table)


def test_names_of_data_sets_are_made_plain_for_a_person(tmp_path, table):
    with h5py.File(tmp_path / "names.h5", "w") as file:
        for name in ("one\u202e", "long" * 40):
            file[name] = table
    message = str(refused(tmp_path / "names.h5"))
    assert "\u202e" not in message
    assert len(message) < 250


# on the rows of the prediction -------------------------------------------------------------------------------------------------------------


def test_the_prediction_itself_correlates_perfectly_in_any_unit(responses):
    measured = beside(responses, Table(3 * responses.subject(2) + 100, TR, "same.npy"), 2)
    np.testing.assert_allclose(measured.accuracy, 1, atol=1e-5)
    assert measured.rows == responses.valid.sum()
    np.testing.assert_allclose(measured.values.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(measured.values.std(0), 1, atol=1e-4)


def test_accuracy_is_numpys_correlation_over_the_rows_valid_in_both(responses):
    noisy = responses.subject(3) + RANDOM.normal(size=responses.values.shape[1:]).astype(np.float32)
    measured = beside(responses, Table(noisy[:-2], TR, "noisy.npy"), 3)
    both = responses.valid & (np.arange(responses.n_trs) < responses.n_trs - 2)
    for parcel in (0, 500, 999):
        expected = np.corrcoef(noisy[both, parcel], responses.subject(3)[both, parcel])[0, 1]
        assert measured.accuracy[parcel] == pytest.approx(expected, abs=1e-5)
    assert measured.valid.sum() == responses.n_trs - 2
    table = {name: (count, mean) for name, count, mean in accuracy_table(measured)}
    assert table["all"] == (1000, pytest.approx(measured.mean_accuracy))
    assert table["Vis"][1] == pytest.approx(measured.accuracy[load_atlas().mask("Vis")].mean())


def test_another_tr_is_interpolated_at_the_middles_of_the_rows(responses):
    tr = 2.0
    count = int(responses.n_trs * TR / tr)
    slow = np.linspace(0.5, 1.5, 1000, dtype=np.float32)  # every parcel a line in time: what interpolation returns exactly
    values = ((np.arange(count) + 0.5) * tr)[:, None].astype(np.float32) * slow
    measured = beside(responses, Table(values, tr, "slow.tsv"), 1)
    times = (np.arange(responses.n_trs) + 0.5) * TR
    inside = (times >= tr / 2) & (times <= (count - 0.5) * tr)
    np.testing.assert_array_equal(measured.valid, inside)
    line = (times[inside] - times[inside].mean()) / times[inside].std()
    np.testing.assert_allclose(measured.values[inside], np.repeat(line[:, None], 1000, 1), atol=1e-3)
    assert any("Interpolated" in notice for notice in measured.notices)


def test_parcels_without_numbers_are_unknown_and_curves_leave_them_out(responses):
    values = responses.subject(1) + RANDOM.normal(size=responses.values.shape[1:]).astype(np.float32)
    vis = np.flatnonzero(load_atlas().mask("Vis"))
    values[:, vis[:5]] = np.nan
    values[:, vis[5]] = 2.0
    measured = beside(responses, Table(values, TR, "holes.npy"), 1)
    assert np.isnan(measured.accuracy[vis[:6]]).all()
    assert np.isfinite(measured.accuracy).sum() == 994
    assert np.isnan(measured.values[:, vis[:6]]).all()
    assert np.isfinite(np.delete(measured.values, vis[:6], axis=1)).all()
    assert any(notice.startswith("6 parcels") for notice in measured.notices)


def test_a_row_that_was_left_out_takes_no_parcel_with_it(responses):
    values = responses.subject(1).copy()
    values[30] = np.nan
    values[:, 7] = 0.0  # a masked parcel, of which the row left out holds a number too
    measured = beside(responses, Table(values, TR, "censored.npy"), 1)
    assert not measured.valid[30]
    assert np.isfinite(measured.accuracy).sum() == 999


@pytest.mark.filterwarnings("error")
def test_numbers_of_any_size_are_standardised_without_a_warning(responses):
    values = responses.subject(1) * np.float32(1e34)
    values[:, 3] = np.inf
    measured = beside(responses, Table(values, TR, "large.npy"), 1)
    np.testing.assert_allclose(np.delete(measured.accuracy, 3), 1, atol=1e-6)
    assert np.isnan(measured.accuracy[3])


def test_a_table_in_which_nothing_changes_is_refused_by_name(responses):
    with pytest.raises(MeasuredError, match=r"No parcel of flat\.npy") as caught:
        beside(responses, Table(np.ones((responses.n_trs, 1000), np.float32), TR, "flat.npy"), 1)
    assert caught.value.code == "measured_flat"


@pytest.mark.parametrize("off", [-4, 4])
def test_lengths_that_do_not_fit_are_refused_by_name(responses, off):
    values = RANDOM.normal(size=(responses.n_trs + off, 1000)).astype(np.float32)
    with pytest.raises(MeasuredError, match=rf"long\.npy has {responses.n_trs + off} rows") as caught:
        beside(responses, Table(values, TR, "long.npy"), 1)
    assert caught.value.code == "measured_rows"


def test_too_few_common_rows_and_unknown_subjects_are_refused(responses):
    table = Table(RANDOM.normal(size=(responses.n_trs, 1000)).astype(np.float32), TR, "t.npy")
    few = replace(responses, valid=np.arange(responses.n_trs) < 9)
    with pytest.raises(MeasuredError, match="shares 9 valid rows"):
        beside(few, table, 1)
    with pytest.raises(SelectionError, match="no subject 4"):
        beside(responses, table, 4)


def test_a_simulated_prediction_says_that_this_is_no_accuracy_of_a_person(responses):
    table = Table(RANDOM.normal(size=(responses.n_trs, 1000)).astype(np.float32), TR, "t.npy")
    assert any("simulated" in notice for notice in beside(responses, table, 1).notices)
    assert not any("simulated" in notice for notice in beside(replace(responses, simulated=False), table, 1).notices)
