from __future__ import annotations

import json

import numpy as np
import pytest

from encoder.atlas import NETWORK_NAMES, load_atlas
from encoder.curves import curve_ids
from encoder.ensemble import summary
from encoder.responses import Responses
from extractors.errors import SelectionError
from extractors.grid import TR, valid_rows


def some_responses(subjects=(1, 2, 3, 5), rows=50, *, simulated=True, seed=0, **changes):
    values = np.random.default_rng(seed).normal(size=(len(subjects), rows, 1000)).astype(np.float32)
    facts = {
        "subjects": subjects,
        "simulated": simulated,
        "valid": valid_rows(rows, 4.0),
        "model_id": "tiny",
        "model_title": "Tiny",
        "weights_sha256": "a" * 64,
        "extractor_ids": {"audio": "a-1", "text": "t-1", "video": "v-1"},
        "clip_sha256": "b" * 64,
        "clip_name": "a film.mp4",
        "duration": rows * TR + 0.3,
        "present": {"audio": True, "text": True, "video": True},
        "transcript_source": "none",
        "range_floor": 0.3,
    }
    return Responses(values=values, **{**facts, **changes})


def some_ensemble(subjects=(1, 2, 3, 5), rows=50, *, members=3, seed=0, **changes):
    """A result of several members: one signal in all, and something of its own in each; the second item is the members' values."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(1, len(subjects), rows, 1))
    own = rng.normal(0, 0.3, (members, len(subjects), rows, 1)) + rng.normal(0, 0.2, (members, len(subjects), rows, 1000))
    values = (shared + own).astype(np.float32)
    parts = summary(values)
    names = tuple(f"checkpoint-{number}" for number in range(members))
    made = some_responses(subjects, rows, members=names, spread=parts["spread"], member_curves=parts["member_curves"], **changes)
    made.values[:] = parts["values"]
    return made, values


def test_a_network_is_sliced_by_the_names_in_the_table():
    responses = some_responses()
    labels = np.array(load_atlas().labels)
    for name in NETWORK_NAMES:
        chosen = np.char.find(labels, f"H_{name}_") > 0
        np.testing.assert_array_equal(responses.network(name), responses.values[:, :, chosen])
        np.testing.assert_allclose(responses.network_mean(name), responses.values[:, :, chosen].mean(2), atol=1e-6)


def test_groups_and_halves_are_sliced_like_networks():
    responses = some_responses()
    assert responses.network("Auditory").shape == (4, 50, 36)
    assert responses.network("Vis-L").shape[2] + responses.network("Vis-R").shape[2] == responses.network("Vis").shape[2]


def test_subjects_are_found_by_their_number_and_not_by_their_row():
    responses = some_responses()
    np.testing.assert_array_equal(responses.subject(5), responses.values[3])
    chosen = responses.select((5, 2))
    np.testing.assert_array_equal(chosen.values, responses.values[[3, 1]])
    assert chosen.subject_labels == ("Sim 5", "Sim 2")
    with pytest.raises(SelectionError, match="5, 2"):
        chosen.subject(1)


def test_only_measured_people_are_called_subjects():
    assert some_responses().subject_labels == ("Sim 1", "Sim 2", "Sim 3", "Sim 5")
    assert some_responses().subject_files[3] == "sub-sim05"
    measured = some_responses(simulated=False)
    assert measured.subject_labels[0] == "Subject 1"
    assert measured.subject_files[0] == "sub-01"


def test_rows_stand_for_the_middle_of_their_tr():
    np.testing.assert_allclose(some_responses().times[[0, 10]], [0.5 * 1.49, 10.5 * 1.49])


def test_metadata_is_json_and_brings_the_responses_back():
    responses = some_responses(edits=("x",), warnings=("y", "z"), extra={"a": [1]})
    metadata = json.loads(json.dumps(responses.metadata(), allow_nan=False))
    again = Responses.from_metadata(responses.values, metadata)
    assert again.metadata() == responses.metadata()
    np.testing.assert_array_equal(again.valid, responses.valid)
    assert metadata["parcel_labels"][0] == "7Networks_LH_Vis_1"
    assert metadata["shape"] == [4, 50, 1000]
    assert metadata["units"] == "z"


def test_responses_made_with_another_parcel_table_are_refused():
    responses = some_responses()
    with pytest.raises(ValueError, match="another parcel table"):
        Responses.from_metadata(responses.values, {**responses.metadata(), "atlas_hash": "0" * 64})


def test_values_that_do_not_fit_their_labels_are_refused():
    responses = some_responses()
    with pytest.raises(ValueError, match="shape"):
        Responses.from_metadata(responses.values[:2], responses.metadata())
    with pytest.raises(SelectionError):
        some_responses(subjects=(1, 4))


def test_the_spread_of_a_curve_is_that_of_the_members_means_and_not_the_mean_of_the_parcels_spreads():
    responses, members = some_ensemble()
    labels = np.array(load_atlas().labels)
    vis = np.char.find(labels, "H_Vis_") > 0
    left_auditory = load_atlas().mask("Auditory") & np.array([label.startswith("7Networks_LH") for label in labels])
    for name, parcels in (("Vis", vis), ("Auditory-L", left_auditory)):
        means = [member[:, :, parcels].mean(2) for member in members]
        for subject in range(4):
            truth = [np.std([mean[subject, row] for mean in means], ddof=1) for row in range(50)]
            np.testing.assert_allclose(responses.curve_spread[name][subject], truth, atol=1e-5)
        of_the_mean = [np.std([mean[:, row].mean() for mean in means], ddof=1) for row in range(50)]
        np.testing.assert_allclose(responses.curve_spread[name][4], of_the_mean, atol=1e-5)
    assert responses.curve_spread["Vis"][:4].mean() < 0.95 * responses.spread[:, :, vis].mean()
    assert responses.curve_spread["Vis"][4].mean() < 0.8 * responses.curve_spread["Vis"][:4].mean()


def test_choosing_subjects_chooses_their_spread_and_remakes_that_of_their_mean():
    responses, members = some_ensemble()
    chosen = responses.select((5, 2))
    np.testing.assert_array_equal(chosen.spread, responses.spread[[3, 1]])
    np.testing.assert_array_equal(chosen.curve_spread["Vis"][0], responses.curve_spread["Vis"][3])
    limbic = load_atlas().mask("Limbic")
    truth = np.std(members[:, [3, 1]][..., limbic].mean((1, 3)), axis=0, ddof=1)
    np.testing.assert_allclose(chosen.curve_spread["Limbic"][2], truth, atol=1e-5)
    alone = responses.select((3,)).curve_spread["Cont"]
    np.testing.assert_allclose(alone[0], alone[1], atol=1e-6)


def test_the_members_are_named_in_the_metadata_and_their_arrays_come_back_with_it():
    responses, _ = some_ensemble()
    metadata = json.loads(json.dumps(responses.metadata(), allow_nan=False))
    assert metadata["members"] == ["checkpoint-0", "checkpoint-1", "checkpoint-2"]
    again = Responses.from_metadata(responses.values, metadata, spread=responses.spread, member_curves=responses.member_curves)
    assert again.metadata() == responses.metadata()
    np.testing.assert_array_equal(again.curve_spread["Default-R"], responses.curve_spread["Default-R"])


def test_the_spread_is_sliced_by_the_same_names_as_the_values():
    responses, _ = some_ensemble()
    np.testing.assert_array_equal(responses.subject(5, spread=True), responses.spread[3])
    np.testing.assert_array_equal(responses.network("Vis-L", spread=True), responses.spread[:, :, load_atlas().mask("Vis-L")])
    np.testing.assert_array_equal(responses.parcels(np.array([3, 700]), spread=True), responses.spread[:, :, [3, 700]])


def test_a_single_model_has_no_spread():
    responses = some_responses()
    with pytest.raises(SelectionError, match="single checkpoint"):
        responses.network("Vis", spread=True)
    assert responses.spread is None
    assert responses.curve_spread is None
    assert responses.select((2,)).curve_spread is None
    assert responses.metadata()["members"] == []


def test_members_without_their_arrays_and_arrays_without_members_are_refused():
    responses, _ = some_ensemble()
    with pytest.raises(ValueError, match="spread must have shape"):
        Responses.from_metadata(responses.values, responses.metadata())
    with pytest.raises(ValueError, match="several members only"):
        some_responses(spread=responses.spread)
    with pytest.raises(ValueError, match="member_curves must have shape"):
        Responses.from_metadata(responses.values, responses.metadata(), spread=responses.spread, member_curves=responses.member_curves[:2])


def test_there_is_one_curve_for_every_network_group_and_side_that_has_parcels():
    groups = [group.id for group in load_atlas().groups]
    whole = [name for name in curve_ids() if "-" not in name]
    assert whole == [*NETWORK_NAMES, *groups]
    sides = {(name, side) for name in whole for side in "LR" if (load_atlas().mask(name) & (load_atlas().hemispheres == side)).any()}
    assert {tuple(name.split("-")) for name in curve_ids() if "-" in name} == sides
