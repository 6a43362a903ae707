from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import numpy as np
import pytest

from encoder.atlas import DISPLAY_NAMES, load_atlas
from extractors.errors import SelectionError
from tests.unit.test_responses import some_ensemble, some_responses
from viz.curves import network_figure
from viz.export import write


def texts(figure):
    return [item.get_text() for item in figure.axes[0].findobj() if hasattr(item, "get_text")]


def test_the_lines_are_the_network_means_over_the_chosen_subjects_in_film_time():
    responses = some_responses()
    lines = {line.get_gid(): line for line in network_figure(responses, subjects=(2, 5)).axes[0].lines}
    for name in DISPLAY_NAMES:
        x, y = lines[f"curve-{name}"].get_data()
        np.testing.assert_allclose(x, responses.times)
        np.testing.assert_allclose(y, responses.network(name)[[1, 3]].mean((0, 2)), atol=1e-6)


def test_simulated_is_drawn_inside_the_axes_of_simulated_responses_only():
    assert texts(network_figure(some_responses())).count("SIMULATED") == 2
    assert "SIMULATED" not in texts(network_figure(some_responses(simulated=False)))


def test_the_axes_say_what_is_shown_and_how_many_predictions_were_averaged():
    axes = network_figure(some_responses()).axes[0]
    assert axes.get_ylabel() == "predicted BOLD (z)"
    assert "mean of 4 predictions" in axes.get_title(loc="left")
    assert "Sim 2" in network_figure(some_responses(), subjects=(2,)).axes[0].get_title(loc="left")


def test_the_auditory_note_stands_beside_somatomotor_and_groups_are_marked_as_no_network():
    words = texts(network_figure(some_responses(), curves=("SomMot", "Auditory", "Vis-L")))
    assert "Somatomotor (holds auditory cortex)" in words
    assert "Auditory (within SomMot), not a Yeo network" in words
    assert "Visual left" in words


def test_an_ensembles_lines_have_a_band_of_one_sd_between_members_and_say_so():
    responses, members = some_ensemble()
    axes = network_figure(responses, subjects=(2, 5)).axes[0]
    bands = {band.get_gid(): band for band in axes.collections}
    for name in DISPLAY_NAMES:
        means = members[:, [1, 3]][..., load_atlas().mask(name)].mean((1, 3))
        low, high = means.mean(0) - means.std(0, ddof=1), means.mean(0) + means.std(0, ddof=1)
        corners = bands[f"band-{name}"].get_paths()[0].vertices
        for row, time in enumerate(responses.times):
            there = corners[np.isclose(corners[:, 0], time), 1]
            assert (there.min(), there.max()) == pytest.approx((low[row], high[row]), abs=1e-5)
        assert axes.get_ylim()[1] >= high.max()
    assert any("band: ± 1 SD between 3 checkpoints" in words for words in texts(axes.figure))


def test_a_single_models_lines_have_no_band():
    figure = network_figure(some_responses())
    assert not list(figure.axes[0].collections)
    assert not any("band" in words for words in texts(figure))


def test_a_flat_prediction_looks_flat():
    flat = some_responses()
    flat.values[:] = 0.001
    low, high = network_figure(flat).axes[0].get_ylim()
    assert high == -low >= flat.range_floor


def test_each_run_of_rows_without_a_full_past_is_hatched_once():
    responses = some_responses()
    patches = [patch for patch in network_figure(responses).axes[0].patches if patch.get_hatch()]
    spans = sorted((patch.get_x(), patch.get_x() + patch.get_width()) for patch in patches)
    rows = np.flatnonzero(responses.valid)
    np.testing.assert_allclose(spans, [(0, rows[0] * 1.49), ((rows[-1] + 1) * 1.49, 50 * 1.49)])


def test_labels_of_lines_that_end_together_do_not_overlap():
    figure = network_figure(some_responses())
    figure.canvas.draw()
    labels = set(DISPLAY_NAMES.values()) | {"Somatomotor (holds auditory cortex)", "Limbic (few parcels, weak signal)"}
    boxes = sorted((t.get_window_extent() for t in figure.axes[0].texts if t.get_text() in labels), key=lambda box: box.y0)
    assert len(boxes) == 7
    for lower, upper in pairwise(boxes):
        assert upper.y0 >= lower.y1 - 1


@pytest.mark.parametrize("name", ["$\\frac{1}{0", "<script>alert(1)</script>&", "a\nb\x00", "x" * 500, "ünï 漢字"])
def test_a_hostile_file_name_is_drawn_as_text(tmp_path, name):
    path = write(some_responses(clip_name=name), "networks_svg", tmp_path / "a.svg")
    root = ElementTree.parse(path).getroot()
    assert not [node for node in root.iter() if node.tag.endswith("script")]
    said = " ".join("".join(node.itertext()) for node in root.iter() if node.tag.endswith("text"))
    assert "SIMULATED" in said


def test_an_unknown_curve_is_refused():
    with pytest.raises(SelectionError):
        network_figure(some_responses(), curves=("Vision",))
