from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from analysis import calibration
from analysis.calibration import KINDS, Cell, caption_for, simulated
from docs import statistics_trials as trials
from extractors.errors import StatisticsError

PAGE = Path(__file__).parents[2] / "docs" / "statistics.md"


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Puts cells in place of the stored ones."""
    monkeypatch.setattr(calibration, "PATH", tmp_path / "statistics.json")
    simulated.cache_clear()
    yield calibration.write
    simulated.cache_clear()


def test_a_cell_off_nominal_is_named_with_its_share_its_setting_and_its_direction(table):
    table(
        [
            Cell("interval difference", 40, "AR(1) noise 0.35", 0.951, 4000),
            Cell("interval difference", 40, "AR(1) noise 0.9", 0.803, 4000),
            Cell("interval difference", 40, "haemodynamic noise", 0.986, 4000),
            Cell("sign_flip", 6, "AR(1) noise 0.2, 40 rows", 0.031, 4000),
            Cell("sign_flip", 6, "skewed differences", 0.031, 4000),
        ]
    )
    said = caption_for("interval difference", 40)
    assert said == (
        "In simulations with 40 rows, 95 % intervals held the true value in 80 % with AR(1) noise 0.9 (too narrow), "
        "and in 99 % with haemodynamic noise (wider than need be)."
    )
    assert caption_for("sign_flip", 6) == (
        "In simulations with 6 clips, p ≤ 0.05 without any effect came up in 3.1 % in every setting tried (cautious: 5 % allowed)."
    )


def test_cells_as_they_should_be_need_no_caption(table):
    table([Cell("circular_shift", 100, "AR(1) noise 0.6", 0.052, 4000), Cell("circular_shift", 40, "AR(1) noise 0.6", 0.09, 4000)])
    assert caption_for("circular_shift", 100) == ""
    assert caption_for("circular_shift", 5000) == ""


def test_the_largest_simulated_number_that_is_not_larger_speaks_for_those_between(table):
    table([Cell("circular_shift", 100, "AR(1) noise 0.6", 0.05, 4000), Cell("circular_shift", 40, "AR(1) noise 0.6", 0.09, 4000)])
    assert "with 40 rows" in caption_for("circular_shift", 99)
    assert caption_for("circular_shift", 39) == "With fewer than 40 rows this was not simulated: how often it holds is unknown."


@pytest.mark.parametrize(
    ("kind", "got", "off"),
    [("interval r", 0.9, "bold"), ("interval r", 0.99, "cautious"), ("sign_flip", 0.02, "cautious"), ("sign_flip", 0.08, "bold")],
)
def test_bold_is_what_says_more_than_it_knows(kind, got, off):
    assert Cell(kind, 40, "x", got, 1).off == off


def test_an_unknown_kind_and_a_table_of_another_form_are_refused(table):
    with pytest.raises(StatisticsError, match="Allowed values of kind"):
        caption_for("p", 40)
    calibration.PATH.write_text(json.dumps({"form": 2, "cells": []}))
    with pytest.raises(StatisticsError, match="form"):
        caption_for("sign_flip", 6)


def test_every_kind_was_simulated_at_the_sizes_asked_for_and_stands_on_the_page():
    cells = simulated()
    page = PAGE.read_text(encoding="utf-8")
    for kind, unit in KINDS.items():
        there = {cell.n for cell in cells if cell.kind == kind}
        assert there >= ({6, 12, 30} if "clips" in unit else {40, 100, 400})
        for n in there:
            said = caption_for(kind, n)
            assert said in page
            assert len(said) < 300
    for cell in cells:
        assert f"{100 * cell.got:.1f}" in page
        assert cell.trials >= 1000


@pytest.mark.parametrize("statistic", trials.STATISTICS)
def test_the_stored_coverage_is_what_a_new_simulation_gives(statistic, monkeypatch):
    monkeypatch.setattr(trials, "SEED", 1)
    monkeypatch.setattr(trials, "STATISTICS", (statistic,))
    monkeypatch.setattr(trials, "INTERVAL_ROWS", (40,))
    stored = {(cell.kind, cell.n, cell.setting): cell for cell in simulated()}
    for cell in trials.coverage(trials=500):
        before = stored[cell.kind, cell.n, cell.setting]
        error = np.sqrt(before.got * (1 - before.got) * (1 / 500 + 1 / before.trials))
        assert abs(cell.got - before.got) < 4 * error + 0.002


def test_the_noises_have_the_strength_they_are_named_for():
    for name, strength in trials.NOISES.items():
        series = trials.noise(name, np.random.default_rng(0), 2000, 30)
        assert series.var() == pytest.approx(1, abs=0.1)
        lag_1 = (series[1:] * series[:-1]).mean() / series.var()
        assert lag_1 == pytest.approx(0.87 if strength is None else strength, abs=0.03)
