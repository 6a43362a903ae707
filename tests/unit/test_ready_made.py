"""Ready-made experiments: what is on disk shows what its text says, and the planted rule came back."""

import json
from dataclasses import replace

import numpy as np
import pytest

from encoder.training.simulate import RULES
from experiments import make_experiments
from experiments.make_experiments import DESIGN, PLANS, lag_of
from experiments.ready_made import NOT_PLANTED, find_ready_made, list_ready_made, load_ready_made
from extractors.errors import SelectionError
from ui.shown import of_comparison

SHIPPED = sorted(one.id for one in list_ready_made())
PLAN = {plan.id: plan for plan in PLANS}


@pytest.mark.parametrize("id", SHIPPED)
def test_the_planted_rule_came_back_and_the_text_quotes_this_very_result(id):
    one, comparison = load_ready_made(id)
    plan = PLAN[id]
    if plan.design:
        rows = {row["curve"]: row for row in json.loads((one.folder / DESIGN).read_text(encoding="utf-8"))["tables"]["mean"]}
        assert rows["Vis"]["first"] < -0.2
        assert rows["Auditory"]["second"] < -0.2
        assert abs(rows["Vis"]["interaction"]) < 0.5 * abs(rows["Vis"]["first"])
        assert f"{-rows['Vis']['first']:.2f} z" in one.returned
        return
    said, came_back = plan.measure(comparison)
    assert came_back
    assert said == one.returned


@pytest.mark.parametrize("id", SHIPPED)
def test_an_experiment_holds_a_simulation_of_the_shipped_model_with_its_noise_band(id):
    from encoder.checkpoints import read_model

    _, comparison = load_ready_made(id)
    assert comparison.a.responses.simulated
    assert comparison.b.responses.simulated
    assert comparison.a.responses.weights_sha256 == comparison.b.responses.weights_sha256 == read_model("vibe-sim").weights_sha256
    assert len(comparison.null.edits) == 10


@pytest.mark.parametrize("id", SHIPPED)
def test_the_two_lines_name_the_rule_with_its_source_or_say_that_nothing_was_planted(id):
    one = find_ready_made(id)
    told, returned = one.lines(simulated=True)
    assert one.source in told
    assert one.source in {rule.source for rule in RULES}
    assert returned.startswith("The model returned, mean of the four: ")
    assert one.lines(simulated=False) == (NOT_PLANTED,)


@pytest.mark.parametrize("id", SHIPPED)
def test_the_same_experiment_with_a_published_model_says_that_nothing_was_planted(id):
    def first_of(comparison):
        said = of_comparison(comparison.id, comparison, title="film", card=None, film_name="film.mp4").payload["comparison"]["said"]
        return {sentences[0]["text"] for sentences in said.values()}

    _, own = load_ready_made(id)
    a, b = (replace(one, responses=replace(one.responses, simulated=False)) for one in (own.a, own.b))
    published = replace(own, a=a, b=b)
    assert first_of(published) == {NOT_PLANTED}
    other = replace(published, edits="", lesions="", b=replace(b, responses=replace(b.responses, clip_sha256="0" * 64)))
    assert NOT_PLANTED not in first_of(other)
    assert NOT_PLANTED not in first_of(own)


def test_an_unknown_experiment_is_refused_with_the_names_of_those_there_are():
    with pytest.raises(SelectionError, match="mute"):
        find_ready_made("../mute")


def test_the_lag_of_a_shifted_curve_is_its_shift():
    curve = np.sin(np.arange(80) / 3) + np.random.default_rng(0).normal(0, 0.1, 80)
    assert lag_of(curve[3:], curve[:-3]) == 3
    assert lag_of(curve[:-3], curve[3:]) == -3


def test_a_measure_can_fail():
    _, comparison = load_ready_made("mute")
    swapped = make_experiments.Comparison(comparison.b, comparison.a, "A", "B", "", "", comparison.time_map, comparison.null)
    assert not PLAN["mute"].measure(swapped)[1], "muting raises nothing"
