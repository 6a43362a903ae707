from __future__ import annotations

import gzip
import struct
import tracemalloc
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from encoder.atlas import load_atlas
from extractors.errors import CacheError, SelectionError
from extractors.grid import TR, valid_rows
from extractors.stages import Stage
from settings import ASSETS
from tests.unit.test_responses import some_responses
from viz.volumes import nifti_size, nifti_stages, to_nifti, write_nifti

ATLAS = ASSETS / "atlas" / "Schaefer2018_1000Parcels_7Networks_order_FSLMNI152_2mm.nii.gz"
ROWS = 24


@pytest.fixture(scope="module")
def responses():
    return some_responses(rows=ROWS)


@pytest.fixture(scope="module")
def masker():
    """The user's way back from volumes to parcels: float [T, 1000]."""
    from nilearn.maskers import NiftiLabelsMasker

    return NiftiLabelsMasker(labels_img=str(ATLAS), standardize=None).fit()


@pytest.fixture(scope="module")
def places():
    """One voxel of every parcel, found by hand: int [1000, 3]."""
    labels = np.asarray(nibabel.load(ATLAS).dataobj)
    found, first = np.unique(labels, return_index=True)
    assert found.tolist() == list(range(1001))
    return np.stack(np.unravel_index(first[1:], labels.shape), axis=1)


def at(image, places) -> np.ndarray:
    """Values at the places: [..., 1000]."""
    return np.moveaxis(np.asarray(image.dataobj)[tuple(places.T)], 0, -1)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_nilearn_reads_the_responses_back_from_a_written_4d_file(responses, masker, tmp_path, ending):
    short = replace(responses, values=responses.values[:, :6], valid=responses.valid[:6])
    path = write_nifti(short, tmp_path / f"all{ending}", subject=3)
    found = masker.transform(str(path))
    assert found.shape == (6, 1000)
    np.testing.assert_allclose(found, short.subject(3), atol=1e-5)


def test_every_voxel_holds_the_value_of_its_parcel_and_0_outside(responses):
    image = to_nifti(responses, subject=2, tr=7)
    labels, data = np.asarray(nibabel.load(ATLAS).dataobj), np.asarray(image.dataobj)
    assert data.dtype == np.float32
    np.testing.assert_array_equal(data[labels == 0], 0)
    np.testing.assert_array_equal(data[labels > 0], responses.subject(2)[7][labels[labels > 0] - 1])


def test_a_written_series_is_the_image_in_memory(responses, tmp_path):
    image = to_nifti(responses)
    again = nibabel.load(write_nifti(responses, tmp_path / "a.nii.gz"))
    np.testing.assert_array_equal(np.asarray(again.dataobj), np.asarray(image.dataobj))
    nibabel.save(image, tmp_path / "nibabel.nii")
    assert write_nifti(responses, tmp_path / "ours.nii").read_bytes() == (tmp_path / "nibabel.nii").read_bytes()


def test_without_a_subject_the_mean_of_all_is_written(responses, places):
    np.testing.assert_allclose(at(to_nifti(responses, tr=3), places), responses.values[:, 3].mean(0), atol=1e-6)


def test_rows_are_averaged_and_valid_means_the_valid_ones(responses, places):
    mine = responses.subject(1)
    np.testing.assert_allclose(at(to_nifti(responses, subject=1, rows=[2, 9, 4]), places), mine[[2, 9, 4]].mean(0), atol=1e-6)
    valid = valid_rows(ROWS, 4.0)
    assert 0 < valid.sum() < ROWS
    for rows in ("valid", valid):
        np.testing.assert_allclose(at(to_nifti(responses, subject=1, rows=rows), places), mine[valid].mean(0), atol=1e-6)


def test_a_range_can_stay_a_series_that_starts_at_its_first_row(responses, places):
    image = to_nifti(responses, subject=1, rows=range(5, 9), mean=False)
    np.testing.assert_array_equal(at(image, places).reshape(-1, 1000), responses.subject(1)[5:9])
    assert image.header["toffset"] == pytest.approx(5.5 * TR)
    with pytest.raises(SelectionError, match="without a gap"):
        to_nifti(responses, rows=[1, 3], mean=False)


def test_rows_minus_rows_is_the_difference_of_two_means(responses, places):
    mine = responses.subject(5)
    image = to_nifti(responses, subject=5, rows=[1, 2, 3], minus=[10, 11])
    np.testing.assert_allclose(at(image, places), mine[1:4].mean(0) - mine[10:12].mean(0), atol=1e-6)


@pytest.mark.parametrize("how", [{"tr": 4}, {"rows": "valid"}, {}])
def test_responses_minus_responses_are_subtracted_row_by_row(responses, places, how):
    other = some_responses(rows=ROWS, seed=8, valid=np.arange(ROWS) % 2 == 0, edits=("muted",))
    difference = responses.subject(2) - other.subject(2)
    expected = {
        "tr": difference[4],
        "rows": difference[responses.valid & other.valid].mean(0),  # what is valid in both
        "": difference,
    }["".join(how)]
    np.testing.assert_allclose(at(to_nifti(responses, subject=2, minus=other, **how), places), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("other", "word"),
    [
        (some_responses(rows=ROWS + 1), "rows"),
        (some_responses(rows=ROWS, atlas_hash="0" * 64), "parcels"),
        (some_responses(rows=ROWS, tr=2.0), "seconds a row"),
        (some_responses(rows=ROWS, simulated=False), "kind of brain"),
        (some_responses((1, 2), rows=ROWS), "subjects"),
    ],
)
def test_a_second_result_that_does_not_fit_is_refused_by_name(responses, other, word):
    with pytest.raises(SelectionError, match=f"differ in their {word}"):
        to_nifti(responses, minus=other)


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({"subject": 4}, "no subject 4"),
        ({"tr": ROWS}, f"Allowed rows are 0 to {ROWS - 1}, but got {ROWS}"),
        ({"tr": -1}, "but got -1"),
        ({"tr": 1.5}, "whole numbers"),
        ({"rows": []}, "no row"),
        ({"rows": [0, ROWS]}, f"but got {ROWS}"),
        ({"rows": [3, 3]}, "twice"),
        ({"rows": "all"}, "'all'"),
        ({"rows": np.ones(ROWS - 1, bool)}, "shape"),
        ({"tr": 1, "rows": [2]}, "both"),
        ({"rows": [1], "minus": []}, "no row"),
        ({"rows": [1], "minus": [99]}, "but got 99"),
    ],
)
def test_a_choice_that_is_not_there_is_refused_with_what_is_allowed(responses, how, word):
    with pytest.raises(SelectionError, match=word) as caught:
        to_nifti(responses, **how)
    assert caught.value.hint


def test_a_clip_without_valid_rows_is_refused(responses):
    with pytest.raises(SelectionError, match="no row"):
        to_nifti(replace(responses, valid=np.zeros(ROWS, bool)), rows="valid")


def test_numbers_that_are_not_finite_are_refused(responses):
    values = responses.values.copy()
    values[0, 3, 5] = np.nan
    with pytest.raises(SelectionError, match="not finite"):
        to_nifti(replace(responses, values=values), tr=3)


def test_a_series_names_its_time_axis_and_its_space(responses, tmp_path):
    header = nibabel.load(write_nifti(responses, tmp_path / "a.nii.gz")).header
    assert header.get_data_shape() == (91, 109, 91, ROWS)
    assert header.get_zooms() == pytest.approx((2, 2, 2, TR))
    assert header.get_xyzt_units() == ("mm", "sec")
    assert header["toffset"] == pytest.approx(TR / 2)  # a row stands for the middle of its TR
    atlas = nibabel.load(ATLAS)
    for affine, code in (header.get_sform(coded=True), header.get_qform(coded=True)):
        assert code == 4
        np.testing.assert_allclose(affine, atlas.affine, atol=1e-5)
    assert b"MNI152NLin6Asym" in header["descrip"].item()


def test_the_bytes_of_the_header_are_those_of_the_standard(responses, tmp_path):
    """Offsets from nifti1.h, read without a library."""
    data = write_nifti(responses, tmp_path / "a.nii").read_bytes()
    size, dim, intent, datatype, pixdim, offset, slope, inter, units, toffset = (
        struct.unpack_from(form, data, place)
        for place, form in (
            (0, "<i"),
            (40, "<8h"),
            (68, "<h"),
            (70, "<h"),
            (76, "<8f"),
            (108, "<f"),
            (112, "<f"),
            (116, "<f"),
            (123, "<B"),
            (136, "<f"),
        )
    )
    assert (size, dim[:5], intent, datatype, offset, slope, inter) == ((348,), (4, 91, 109, 91, ROWS), (1001,), (16,), (352,), (1,), (0,))
    assert units == (2 | 8,)  # millimetres, seconds
    assert pixdim[4] == pytest.approx(TR)
    assert toffset[0] == pytest.approx(TR / 2)
    assert struct.unpack_from("<2h", data, 252) == (4, 4)
    assert data[344:352] == b"n+1\0\0\0\0\0"


def test_a_map_has_no_time_axis(responses, tmp_path):
    header = nibabel.load(write_nifti(responses, tmp_path / "a.nii.gz", tr=2)).header
    assert header.get_data_shape() == (91, 109, 91)
    assert header["toffset"] == 0
    assert header.get_xyzt_units()[0] == "mm"


def test_a_volume_lies_where_the_parcel_table_says(responses):
    """The planted parcel is found at its centroid in millimetres, left on the left."""
    for parcel in (0, 420, 777):
        planted = replace(responses, values=np.zeros_like(responses.values))
        planted.values[:, 0, parcel] = 2
        image = to_nifti(planted, tr=0)
        voxels = np.argwhere(np.asarray(image.dataobj) == 2)
        centre = nibabel.affines.apply_affine(image.affine, voxels).mean(0)
        np.testing.assert_allclose(centre, load_atlas().centroids[parcel], atol=1.5)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"tr": 4}, b"TR 4"),
        ({"rows": [4, 5, 6]}, b"mean of TRs 4-6"),
        ({"rows": [4, 6], "minus": [8, 9]}, b"mean of 2 TRs minus mean of TRs 8-9"),
        ({"rows": range(4, 7), "mean": False}, b"TRs 4 to 6"),
    ],
)
def test_the_header_says_which_trs(responses, how, says):
    assert to_nifti(responses, subject=5, **how).header["descrip"].item() == b"SIMULATED; Sim 5; MNI152NLin6Asym; " + says + b"; tiny"


@pytest.mark.parametrize(("simulated", "says"), [(True, b"SIMULATED; Sim 1;"), (False, b"predicted; Subject 1;")])
def test_the_header_says_whether_a_brain_is_simulated(simulated, says):
    made = some_responses(rows=ROWS, simulated=simulated, model_id="a-model-with-a-long-name" * 9)
    header = to_nifti(made, subject=1, tr=2, minus="valid").header
    assert header["descrip"].item().startswith(says)
    assert b"TR 2 minus mean of" in header["descrip"].item()
    code, _, name = header.get_intent()
    assert (code, "SIMULATED" in name) == ("estimate", simulated)


def test_equal_responses_give_equal_bytes(responses, tmp_path):
    first = write_nifti(responses, tmp_path / "first.nii.gz", tr=5).read_bytes()
    again = write_nifti(replace(responses, values=responses.values.copy()), tmp_path / "again.nii.gz", tr=5).read_bytes()
    assert first == again
    assert first[3:8] == b"\0\0\0\0\0"  # gzip: no name, no time


@pytest.mark.parametrize("rows", [1, 12])
def test_the_size_is_told_before_the_file_is_written(tmp_path, rows):
    made = some_responses(rows=rows, valid=np.ones(rows, bool))
    assert write_nifti(made, tmp_path / "a.nii").stat().st_size == nifti_size(rows, compressed=False)
    packed = write_nifti(made, tmp_path / "a.nii.gz").stat().st_size
    assert packed / 1.5 < nifti_size(rows) < packed * 1.5


def test_writing_takes_the_memory_of_a_few_volumes_whatever_the_rows(tmp_path):
    made = some_responses((1,), rows=40)
    to_nifti(made, tr=0)  # the atlas is read once
    tracemalloc.start()
    try:
        write_nifti(made, tmp_path / "a.nii")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * nifti_size(1, compressed=False)


def test_stages_count_the_volumes_and_the_path_comes_last(responses, tmp_path):
    *stages, path = nifti_stages(responses, tmp_path / "a.nii.gz")
    assert path == tmp_path / "a.nii.gz"
    assert all(isinstance(stage, Stage) and stage.name == "volumes" for stage in stages)
    assert [stage.finished for stage in stages] == [False] * (len(stages) - 1) + [True]


def test_a_stopped_job_leaves_nothing(responses, tmp_path):
    job = nifti_stages(some_responses((1,), rows=400), tmp_path / "a.nii.gz")
    next(job)
    next(job)
    job.close()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_sentence(responses, tmp_path):
    with pytest.raises(CacheError, match=r"^The volume a\.nii\.gz could not be written: no such file or directory\.$") as caught:
        write_nifti(responses, tmp_path / "nowhere" / "a.nii.gz", tr=1)
    assert caught.value.code == "volume_unwritable"
    assert caught.value.hint


def test_a_full_disk_leaves_nothing_and_keeps_the_old_file(responses, tmp_path, monkeypatch):
    old = tmp_path / "a.nii.gz"
    old.write_bytes(b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gzip.GzipFile, "write", full)
    with pytest.raises(CacheError, match="no space left"):
        write_nifti(responses, old, tr=1)
    assert [path.name for path in tmp_path.iterdir()] == ["a.nii.gz"]
    assert old.read_bytes() == b"old"


@pytest.mark.parametrize("name", ["a.nii.zip", "a.img", ".nii.gz", "a"])
def test_another_ending_is_refused(responses, tmp_path, name):
    with pytest.raises(SelectionError, match=r"must end in \.nii\.gz or \.nii"):
        write_nifti(responses, tmp_path / name, tr=1)
