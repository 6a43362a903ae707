from __future__ import annotations

import json

import numpy as np
import pytest

from encoder.responses import Responses
from extractors.errors import SelectionError
from viz.colours import colour_table, fade, level_of, player_atlas
from viz.look import Look, values_of, who


def responses(values, *, subjects=(1, 2, 3, 5), valid=None, simulated=True, floor=0.0) -> Responses:
    values = np.asarray(values, np.float32)
    return Responses(
        values=values,
        subjects=subjects,
        simulated=simulated,
        valid=np.ones(values.shape[1], bool) if valid is None else np.asarray(valid, bool),
        model_id="m",
        model_title="M",
        weights_sha256="0" * 64,
        extractor_ids={},
        clip_sha256="0" * 64,
        clip_name="clip",
        duration=values.shape[1] * 1.49,
        present={},
        transcript_source="none",
        range_floor=floor,
    )


@pytest.fixture
def four():
    return responses(np.random.default_rng(1).normal(size=(4, 8, 1000)))


def test_one_range_serves_all_panes_and_rests_on_the_valid_rows(four):
    values = four.values.copy()
    values[:, 0] = 100
    spoiled = responses(values, valid=[False] + [True] * 7)
    expected = np.percentile(np.abs(four.values[:, 1:]), 98)
    assert Look().range_of(spoiled) == pytest.approx(expected, rel=0.05)
    assert Look(vmax=0.7).range_of(spoiled) == 0.7


def test_a_flat_result_keeps_the_range_of_its_model():
    flat = np.zeros((4, 3, 1000))
    assert Look().range_of(responses(flat, floor=0.8)) == 0.8
    assert Look().range_of(responses(flat)) == 0.5


def test_values_are_those_of_the_subject_named_or_the_mean_of_all(four):
    np.testing.assert_array_equal(values_of(four, 5), four.values[3])
    np.testing.assert_allclose(values_of(four, None), sum(four.values[row].astype(float) for row in range(4)) / 4, atol=1e-6)
    assert values_of(four, None).dtype == np.float32
    with pytest.raises(SelectionError, match="no subject 4"):
        values_of(four, 4)
    with pytest.raises(SelectionError, match="no subject 4"):
        who(four, 4)


def test_a_simulated_brain_is_never_called_a_person(four):
    assert who(four, 1) == "Sim 1"
    assert who(responses(four.values, simulated=False), 1) == "Subject 1"
    assert who(four, None) == "mean of the four predictions"
    assert who(four.select([2, 3]), None) == "mean of the two predictions"
    assert who(four.select([2]), None) == "Sim 2"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"vmax": 0}, "above 0"),
        ({"vmax": float("nan")}, "above 0"),
        ({"vmax": "1"}, "above 0"),
        ({"threshold": -0.1}, "from 0 on"),
        ({"threshold": float("inf")}, "from 0 on"),
        ({"lag": 3}, "0 and 5 s"),
        ({"views": "brain"}, "glass, surface, both"),
        ({"dark": "yes"}, "True or False"),
        ({"cmap": "jett"}, "Allowed colour maps"),
    ],
)
def test_a_look_that_cannot_be_is_refused_with_what_is_allowed(wrong, said):
    with pytest.raises(SelectionError, match=said):
        Look(**wrong)


def test_a_look_can_be_written_into_a_sidecar_with_the_map_it_is_drawn_in():
    assert json.loads(json.dumps(Look(dark=True, lag=5.0, vmax=2).as_dict())) == {
        "vmax": 2,
        "threshold": 0.0,
        "cmap": "cineglass_dark",
        "lag": 5.0,
        "views": "both",
        "dark": True,
    }
    assert Look(dark=True, cmap="cold_hot").map_name == "cold_hot"


def test_colours_follow_the_rule_of_the_players_own_script():
    stops = [[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in player_atlas()["maps"]["light"]]
    table = colour_table("cineglass_light")
    for value in np.linspace(-1.3, 1.3, 53):
        place = min(max((value / 1.0 + 1) / 2 * 255, 0), 255)
        level = int(np.floor(place + 0.5))
        assert level_of(value, 1.0) == level
        at = level / 255 * (len(stops) - 1)
        low = min(int(at), len(stops) - 2)
        expected = [round(a + (at - low) * (b - a)) for a, b in zip(stops[low], stops[low + 1], strict=True)]
        assert table[level].tolist() == expected


def test_weak_values_are_faded_and_never_gone():
    assert fade(np.array([0.0, 0.25, 0.4999, 0.5, 2.0]), 0.5).tolist() == pytest.approx([0.1, 0.21, 0.31996, 1.0, 1.0], abs=1e-4)
    assert fade(np.array([0.0, 2.0]), 0.0).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("name", ["cold_hot", "cineglass_dark", "RdBu_r"])
def test_the_two_ends_of_a_table_are_the_ends_of_its_map(name):
    from viz.colours import colour_map

    ends = np.array([colour_map(name)(0.0), colour_map(name)(1.0)])[:, :3] * 255
    np.testing.assert_allclose(colour_table(name)[[0, -1]], ends, atol=1)
