from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from encoder.atlas import COLOURS, NETWORK_NAMES, load_atlas, match_rule, read_atlas
from extractors.errors import SelectionError
from settings import ASSETS

RANGES = json.loads((Path(__file__).parents[1] / "data" / "schaefer1000_7net_ranges.json").read_text())


def test_networks_read_by_name_equal_the_published_ranges():
    atlas = load_atlas()
    expected = np.empty(1000, object)
    sides = np.empty(1000, object)
    for part in RANGES["ranges"]:
        expected[part["start"] : part["end"]] = part["network"]
        sides[part["start"] : part["end"]] = part["hemisphere"][0]
    assert (atlas.networks == expected).all()
    assert (atlas.hemispheres == sides).all()
    assert {name: int(atlas.mask(name).sum()) for name in NETWORK_NAMES} == RANGES["counts"]


def test_the_last_two_parcels_are_control_again():
    assert load_atlas().networks[-3:].tolist() == ["Default", "Cont", "Cont"]


def test_table_labels_agree_with_their_own_columns():
    atlas = load_atlas()
    for label, network, side in zip(atlas.labels, atlas.networks, atlas.hemispheres, strict=True):
        assert label.startswith(f"7Networks_{side}H_{network}_")
    # centroids are rounded to 2 mm; a medial parcel may touch the midline but never lie across it
    x = atlas.centroids[:, 0]
    assert (x[atlas.hemispheres == "L"] <= 0).all()
    assert (x[atlas.hemispheres == "R"] >= 0).all()


def test_table_centroids_are_those_of_the_parcellation_volume():
    import nibabel
    from scipy.ndimage import center_of_mass

    image = nibabel.load(ASSETS / "atlas" / "Schaefer2018_1000Parcels_7Networks_order_FSLMNI152_2mm.nii.gz")
    volume = np.asarray(image.dataobj).astype(int)
    ids = np.arange(1, 1001, 97)
    voxels = np.array(center_of_mass(np.ones_like(volume), volume, ids))
    places = voxels @ image.affine[:3, :3].T + image.affine[:3, 3]
    assert np.linalg.norm(load_atlas().centroids[ids - 1] - places, axis=1).max() < 6


def test_halves_of_a_network_partition_it():
    atlas = load_atlas()
    left, right = atlas.mask("Vis-L"), atlas.mask("Vis-R")
    assert not (left & right).any()
    assert ((left | right) == atlas.mask("Vis")).all()


@pytest.mark.parametrize("name", ["vis", "Auditry", "Vis-X", ""])
def test_an_unknown_network_is_refused_with_the_allowed_names(name):
    with pytest.raises(SelectionError, match="Auditory") as caught:
        load_atlas().mask(name)
    if name == "Auditry":
        assert caught.value.hint == "Did you mean Auditory?"


def test_every_network_has_a_colour_and_a_display_name():
    atlas = load_atlas()
    assert set(atlas.colours) == set(atlas.display_names) == set(COLOURS) == set(NETWORK_NAMES)


def test_auditory_parcels_lie_in_the_somatomotor_network_around_heschls_gyrus_on_both_sides():
    atlas = load_atlas()
    group = atlas.group("Auditory")
    chosen = atlas.mask("Auditory")
    assert 30 <= len(group.indices) <= 50
    assert set(atlas.networks[chosen]) == {"SomMot"}
    for side, x in (("L", -1), ("R", 1)):
        heschl = np.array([x * 48, -20, 7])  # mean place of Heschl's gyrus, Penhune et al. 1996
        mine = atlas.centroids[chosen & (atlas.hemispheres == side)]
        assert len(mine) >= 12
        assert np.linalg.norm(mine - heschl, axis=1).min() < 8
        hand = np.array([x * 38, -24, 54])  # hand area of the central sulcus: far outside
        assert np.linalg.norm(mine - hand, axis=1).min() > 30


def test_early_visual_parcels_lie_at_the_occipital_pole_on_both_sides():
    atlas = load_atlas()
    chosen = atlas.mask("EarlyVisual")
    assert set(atlas.networks[chosen]) == {"Vis"}
    for side, x in (("L", -10), ("R", 10)):
        mine = atlas.centroids[chosen & (atlas.hemispheres == side)]
        assert len(mine) >= 8
        assert np.linalg.norm(mine - np.array([x, -98, 0]), axis=1).min() < 10


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("LanguageTemporal", (-56, -40, 2)),
        ("LanguageTemporal", (-54, 0, -18)),
        ("LanguageFrontal", (-50, 20, 10)),
        ("LanguageFrontal", (-42, 10, 48)),
    ],
)
def test_language_parcels_are_left_and_near_the_known_areas(name, place):
    atlas = load_atlas()
    chosen = atlas.mask(name)
    assert set(atlas.hemispheres[chosen]) == {"L"}
    assert np.linalg.norm(atlas.centroids[chosen] - np.array(place), axis=1).min() < 12
    assert not (chosen & atlas.mask("Auditory")).any()


def test_every_group_states_its_rule_and_source_and_its_parcels_follow_from_the_rule():
    atlas = load_atlas()
    assert [group.id for group in atlas.groups] == ["Auditory", "EarlyVisual", "LanguageTemporal", "LanguageFrontal"]
    for group in atlas.groups:
        assert len(group.source) > 40
        assert np.flatnonzero(match_rule(group.rule, atlas)).tolist() == list(group.indices)


def test_a_rule_is_boxes_of_conditions_that_all_hold():
    atlas = load_atlas()
    x, y, _ = atlas.centroids.T
    got = match_rule("network=Vis,Cont abs_x<=20 y<=-50 | hemisphere=R x>=66", atlas)
    expected = (np.isin(atlas.networks, ["Vis", "Cont"]) & (abs(x) <= 20) & (y <= -50)) | ((atlas.hemispheres == "R") & (x >= 66))
    assert (got == expected).all()


@pytest.mark.parametrize("rule", ["network<=Vis", "x=4", "colour=red", "x >= 4", "import os"])
def test_a_rule_that_is_not_one_is_refused(rule):
    with pytest.raises(ValueError, match="Cannot read the condition"):
        match_rule(rule, load_atlas())


def test_a_table_with_rows_out_of_order_is_refused(tmp_path):
    lines = (ASSETS / "atlas" / "schaefer1000_7networks.tsv").read_text().splitlines()
    lines[1], lines[2] = lines[2], lines[1]
    (tmp_path / "p.tsv").write_text("\n".join(lines))
    with pytest.raises(ValueError, match="in order"):
        read_atlas(tmp_path / "p.tsv", ASSETS / "atlas" / "groups.tsv")
