from __future__ import annotations

import struct
from dataclasses import replace
from xml.etree import ElementTree

import nibabel
import numpy as np
import pytest

from encoder.atlas import load_atlas
from extractors.errors import CacheError, SelectionError
from extractors.grid import TR
from settings import ASSETS
from tests.unit.test_responses import some_responses
from viz.cifti import write_pscalar, write_ptseries

ATLAS = ASSETS / "atlas" / "Schaefer2018_1000Parcels_7Networks_order_FSLMNI152_2mm.nii.gz"
ROWS = 20


@pytest.fixture(scope="module")
def responses():
    return some_responses(rows=ROWS)


@pytest.fixture(scope="module")
def maps():
    rng = np.random.default_rng(5)
    return {"mean": rng.normal(size=1000), "TR 7": rng.normal(size=1000).astype(np.float32)}


@pytest.fixture(scope="module")
def series(responses, tmp_path_factory):
    """Path of the mean of all subjects as a series: the parcels' places take half a second to write."""
    return write_ptseries(responses, tmp_path_factory.mktemp("cifti") / "all.ptseries.nii")


@pytest.fixture(scope="module")
def scalars(maps, tmp_path_factory):
    """Path of two maps that are not simulated."""
    return write_pscalar(maps, tmp_path_factory.mktemp("cifti") / "maps.pscalar.nii", simulated=False)


def header_of(path) -> tuple[int, str, tuple[int, ...], ElementTree.Element]:
    """Intent code and name, dimensions and XML of a file, read from its bytes (offsets of nifti2.h and CIFTI-2)."""
    data = path.read_bytes()
    size, magic = struct.unpack_from("<i8s", data)
    assert (size, magic) == (540, b"n+2\0\r\n\x1a\n")
    dim = struct.unpack_from("<8q", data, 16)
    code, name = struct.unpack_from("<i16s", data, 504)
    extension, length, kind = struct.unpack_from("<B3xii", data, 540)
    assert (extension, kind) == (1, 32)  # NIFTI_ECODE_CIFTI
    return code, name.rstrip(b"\0").decode(), dim, ElementTree.fromstring(data[552 : 544 + length].rstrip(b"\0"))


def test_a_series_reads_back_value_by_value(responses, tmp_path):
    image = nibabel.load(write_ptseries(responses, tmp_path / "a.ptseries.nii", subject=3))
    assert isinstance(image, nibabel.Cifti2Image)
    np.testing.assert_array_equal(np.asarray(image.dataobj), responses.subject(3))


def test_without_a_subject_the_mean_of_all_is_written(responses, series):
    image = nibabel.load(series)
    np.testing.assert_allclose(np.asarray(image.dataobj), responses.values.mean(0), atol=1e-6)


def test_a_series_has_seconds_and_starts_in_the_middle_of_its_first_tr(responses, series):
    header = nibabel.load(series).header
    axis, parcels = header.get_axis(0), header.get_axis(1)
    assert isinstance(axis, nibabel.cifti2.SeriesAxis)
    assert (axis.unit, axis.step, axis.start, axis.size) == ("SECOND", TR, TR / 2, ROWS)
    np.testing.assert_allclose(axis.time, responses.times)
    assert isinstance(parcels, nibabel.cifti2.ParcelsAxis)


def test_a_part_of_a_series_starts_where_the_part_does(responses, tmp_path):
    image = nibabel.load(write_ptseries(responses, tmp_path / "a.ptseries.nii", subject=1, rows=range(6, 9), minus=[0, 1]))
    assert image.header.get_axis(0).start == pytest.approx(6.5 * TR)
    expected = responses.subject(1)[6:9] - responses.subject(1)[:2].mean(0)
    np.testing.assert_allclose(np.asarray(image.dataobj), expected, atol=1e-6)


def test_a_series_carries_the_intent_that_workbench_looks_for(series):
    code, name, dim, matrix = header_of(series)
    assert (code, name) == (3004, "ConnParcelSries")
    assert dim == (6, 1, 1, 1, 1, ROWS, 1000, 1)
    maps = {part.get("AppliesToMatrixDimension"): part for part in matrix.iter("MatrixIndicesMap")}
    assert maps["0"].get("IndicesMapToDataType") == "CIFTI_INDEX_TYPE_SERIES"
    assert float(maps["0"].get("SeriesStep")) * 10 ** int(maps["0"].get("SeriesExponent")) == TR
    assert (maps["0"].get("SeriesUnit"), float(maps["0"].get("SeriesStart"))) == ("SECOND", TR / 2)
    assert maps["1"].get("IndicesMapToDataType") == "CIFTI_INDEX_TYPE_PARCELS"


def test_maps_carry_their_intent_and_their_names(maps, scalars):
    code, name, dim, matrix = header_of(scalars)
    assert (code, name) == (3008, "ConnParcelScalr")
    assert dim == (6, 1, 1, 1, 1, 2, 1000, 1)
    assert [part.findtext("MapName") for part in matrix.iter("NamedMap")] == ["mean", "TR 7"]
    image = nibabel.load(scalars)
    assert list(image.header.get_axis(0).name) == ["mean", "TR 7"]
    np.testing.assert_array_equal(np.asarray(image.dataobj), np.stack(list(maps.values())).astype(np.float32))


def test_each_parcel_lists_its_name_its_voxels_and_its_vertices(scalars):
    axis = nibabel.load(scalars).header.get_axis(1)
    volume = nibabel.load(ATLAS)
    with np.load(ASSETS / "atlas" / "fsaverage5_parcels.npz", allow_pickle=False) as stored:
        surface = stored["labels"]
    assert tuple(axis.name) == load_atlas().labels
    assert axis.volume_shape == volume.shape
    np.testing.assert_array_equal(axis.affine, volume.affine)
    assert axis.nvertices == {"CIFTI_STRUCTURE_CORTEX_LEFT": 10242, "CIFTI_STRUCTURE_CORTEX_RIGHT": 10242}
    painted, drawn = np.zeros(volume.shape, int), np.zeros(surface.shape, int)
    for parcel, (voxels, vertices) in enumerate(zip(axis.voxels, axis.vertices, strict=True), 1):
        assert len(voxels)
        painted[tuple(voxels.T)] += parcel
        for side, structure in enumerate(axis.nvertices):
            drawn[side, vertices.get(structure, [])] += parcel
    np.testing.assert_array_equal(painted, np.asarray(volume.dataobj))
    np.testing.assert_array_equal(drawn, surface)


def test_unknown_parcels_of_a_map_may_be_nan(tmp_path):
    values = np.where(np.arange(1000) < 500, np.nan, 1)
    image = nibabel.load(write_pscalar({"accuracy": values}, tmp_path / "a.pscalar.nii", simulated=False))
    np.testing.assert_array_equal(np.asarray(image.dataobj)[0], values)


@pytest.mark.parametrize("simulated", [True, False])
def test_a_simulated_result_says_so_in_both_kinds(maps, simulated, tmp_path):
    series = nibabel.load(write_ptseries(some_responses(rows=4, simulated=simulated), tmp_path / "a.ptseries.nii", subject=2))
    scalars = nibabel.load(write_pscalar(maps, tmp_path / "a.pscalar.nii", simulated=simulated))
    for image in (series, scalars):
        assert image.nifti_header["descrip"].item() == (b"SIMULATED BOLD" if simulated else b"predicted BOLD")
        assert image.header.matrix.metadata["Simulated"] == str(simulated).lower()
    assert series.header.matrix.metadata["Shows"].startswith("Sim 2" if simulated else "Subject 2")
    assert all(name.startswith("SIMULATED: ") == simulated for name in scalars.header.get_axis(0).name)


def test_hostile_names_of_maps_stay_text(tmp_path):
    name = "</MapName><script>&amp;\x00]]>\x1f"
    path = write_pscalar({name: np.ones(1000)}, tmp_path / "a.pscalar.nii", simulated=False, facts={"<b>": "\x07&"})
    image = nibabel.load(path)
    assert image.header.get_axis(0).name[0].strip() == "</MapName><script>&amp; ]]>"
    assert image.header.matrix.metadata["<b>"].strip() == "&"


def test_equal_responses_give_equal_bytes(responses, series, tmp_path):
    again = write_ptseries(replace(responses, values=responses.values.copy()), tmp_path / "again.ptseries.nii")
    assert series.read_bytes() == again.read_bytes()


@pytest.mark.parametrize("how", [{"subject": 4}, {"rows": [ROWS]}, {"rows": []}, {"rows": [2, 4]}])
def test_a_choice_that_is_not_there_is_refused(responses, tmp_path, how):
    with pytest.raises(SelectionError) as caught:
        write_ptseries(responses, tmp_path / "a.ptseries.nii", **how)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_maps_that_are_none_are_refused_by_name(maps, tmp_path):
    path = tmp_path / "a.pscalar.nii"
    with pytest.raises(SelectionError, match="no map"):
        write_pscalar({}, path, simulated=False)
    with pytest.raises(SelectionError, match=r"'short' must have shape \(1000,\), but got \(999,\)"):
        write_pscalar({**maps, "short": np.ones(999)}, path, simulated=False)


def test_another_ending_is_refused(responses, maps, tmp_path):
    with pytest.raises(SelectionError, match=r"must end in \.ptseries\.nii"):
        write_ptseries(responses, tmp_path / "a.nii")
    with pytest.raises(SelectionError, match=r"must end in \.pscalar\.nii"):
        write_pscalar(maps, tmp_path / "a.ptseries.nii", simulated=False)


def test_a_place_that_cannot_be_written_is_one_sentence(responses, tmp_path):
    with pytest.raises(CacheError, match=r"^The parcel file a\.ptseries\.nii could not be written: no such file or directory\.$"):
        write_ptseries(responses, tmp_path / "nowhere" / "a.ptseries.nii")
