from __future__ import annotations

import json

import numpy as np
import pytest

from encoder.atlas import NETWORK_NAMES, load_atlas
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
