from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import nibabel
import numpy as np
import pytest

from extractors.errors import CacheError, SelectionError
from extractors.grid import TR
from extractors.stages import Stage
from settings import ASSETS
from tests.unit.test_responses import some_responses
from viz.surfaces import gifti_stages, write_gifti

ROWS = 20


@pytest.fixture(scope="module")
def responses():
    return some_responses(rows=ROWS)


@pytest.fixture(scope="module")
def labels():
    """Parcel id of every vertex, from the file: uint16 [2, 10242]."""
    with np.load(ASSETS / "atlas" / "fsaverage5_parcels.npz", allow_pickle=False) as stored:
        return stored["labels"]


def on_vertices(values, labels) -> np.ndarray:
    """Parcel values [..., 1000] at the vertices of one side: [..., 10242]."""
    return np.where(labels == 0, 0, values[..., np.maximum(labels.astype(int) - 1, 0)])


def test_every_vertex_holds_the_value_of_its_parcel_at_every_tr(responses, labels, tmp_path):
    paths = write_gifti(responses, tmp_path / "all", subject=3)
    assert [path.name for path in paths] == ["all_hemi-L.func.gii", "all_hemi-R.func.gii"]
    for path, side in zip(paths, labels, strict=True):
        found = nibabel.load(path).agg_data()  # [vertices, TRs], for a time series alone
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, on_vertices(responses.subject(3), side).T)


def test_nilearn_opens_both_files_as_one_surface_image(responses, labels, tmp_path):
    from nilearn.datasets import load_fsaverage
    from nilearn.surface import SurfaceImage

    left, right = write_gifti(responses, tmp_path / "all")
    image = SurfaceImage(load_fsaverage("fsaverage5")["pial"], {"left": str(left), "right": str(right)})
    assert image.shape == (2 * 10242, ROWS)
    np.testing.assert_allclose(image.data.parts["right"], on_vertices(responses.values.mean(0), labels[1]).T, atol=1e-6)


@pytest.mark.parametrize("how", [{"tr": 4}, {"rows": [1, 2, 5]}, {"rows": [1, 2], "minus": [8, 9]}])
def test_one_map_is_one_array_without_a_time_axis(responses, labels, tmp_path, how):
    mine = responses.subject(1)
    expected = mine[how.get("rows", [how.get("tr")])].mean(0) - (mine[how["minus"]].mean(0) if "minus" in how else 0)
    for path, side in zip(write_gifti(responses, tmp_path / "map", subject=1, **how), labels, strict=True):
        image = nibabel.load(path)
        assert [nibabel.nifti1.intent_codes.niistring[array.intent] for array in image.darrays] == ["NIFTI_INTENT_NONE"]
        assert "TimeStep" not in image.darrays[0].meta
        np.testing.assert_allclose(image.darrays[0].data, on_vertices(expected, side), atol=1e-6)


def test_the_medial_wall_is_0_and_on_both_sides(responses, labels, tmp_path):
    for path, side in zip(write_gifti(responses, tmp_path / "map", tr=1), labels, strict=True):
        wall = nibabel.load(path).agg_data()[side == 0]
        assert 500 < len(wall) < 2000
        np.testing.assert_array_equal(wall, 0)


def test_the_files_say_which_side_and_when(responses, tmp_path):
    for path, side in zip(write_gifti(responses, tmp_path / "part", rows=range(4, 9), mean=False), ("Left", "Right"), strict=True):
        image = nibabel.load(path)
        assert image.meta["AnatomicalStructurePrimary"] == f"Cortex{side}"
        assert image.meta["Space"] == "fsaverage5"
        assert image.meta["RepetitionTime"] == "1.49 s"
        assert image.meta["StartTime"].startswith("6.705 s")  # the middle of TR 4
        assert [array.meta["Name"] for array in image.darrays] == [f"TR {row}" for row in range(4, 9)]
        assert {float(array.meta["TimeStep"]) for array in image.darrays} == {TR * 1000}


@pytest.mark.parametrize("simulated", [True, False])
def test_a_simulated_brain_says_so_in_both_files(simulated, tmp_path):
    for path in write_gifti(some_responses(rows=8, simulated=simulated), tmp_path / "a", subject=2, tr=3):
        meta = nibabel.load(path).meta
        assert meta["Simulated"] == str(simulated).lower()
        assert meta["Description"].startswith("SIMULATED BOLD, z; Sim 2; TR 3" if simulated else "predicted BOLD, z; Subject 2; TR 3")


def test_a_hostile_model_id_stays_text(tmp_path):
    model = "<Value>&amp;\x00\x1b]]> \N{GREEK SMALL LETTER ALPHA}\n"
    (path, _) = write_gifti(some_responses(rows=8, model_id=model), tmp_path / "a", tr=3)
    assert nibabel.load(path).meta["ModelId"].strip() == "<Value>&amp;  ]]> \N{GREEK SMALL LETTER ALPHA}"
    assert len(ElementTree.parse(path).findall("DataArray")) == 1


def test_the_side_can_stand_anywhere_in_the_name(responses, tmp_path):
    paths = write_gifti(responses, tmp_path / "sub-sim01_hemi-{hemi}_space-fsaverage5_bold.func.gii", tr=1)
    assert [path.name for path in paths] == [f"sub-sim01_hemi-{side}_space-fsaverage5_bold.func.gii" for side in "LR"]
    with pytest.raises(SelectionError, match=r"must end in \.func\.gii"):
        write_gifti(responses, tmp_path / "a_hemi-{hemi}.gii", tr=1)


def test_equal_responses_give_equal_bytes(responses, tmp_path):
    first = write_gifti(responses, tmp_path / "first", tr=5)
    again = write_gifti(replace(responses, values=responses.values.copy()), tmp_path / "again", tr=5)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]


@pytest.mark.parametrize("how", [{"subject": 4}, {"tr": ROWS}, {"rows": []}])
def test_a_choice_that_is_not_there_is_refused(responses, tmp_path, how):
    with pytest.raises(SelectionError):
        write_gifti(responses, tmp_path / "a", **how)
    assert list(tmp_path.iterdir()) == []


def test_stages_are_told_and_the_paths_come_last(responses, tmp_path):
    *stages, paths = gifti_stages(responses, tmp_path / "a")
    assert all(isinstance(stage, Stage) and stage.name == "surfaces" for stage in stages)
    assert stages[-1].finished
    assert len(paths) == 2


def test_a_stopped_job_leaves_nothing(tmp_path):
    job = gifti_stages(some_responses((1,), rows=400), tmp_path / "a")
    next(job)
    next(job)
    job.close()
    assert list(tmp_path.iterdir()) == []


def test_when_the_right_side_cannot_be_written_the_left_does_not_appear(responses, tmp_path):
    (tmp_path / "a_hemi-R.func.gii").mkdir()
    with pytest.raises(CacheError, match=r"The surface a_hemi-R\.func\.gii could not be written"):
        write_gifti(responses, tmp_path / "a", tr=1)
    assert [path.name for path in tmp_path.iterdir()] == ["a_hemi-R.func.gii"]
