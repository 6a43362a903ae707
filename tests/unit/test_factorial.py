from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import change, two_by_two
from extractors.errors import StatisticsError

CELLS = ((0, 0), (0, 1), (1, 0), (1, 1))


@given(first=st.floats(-5, 5), second=st.floats(-5, 5), interaction=st.floats(-5, 5))
@settings(max_examples=30, deadline=None)
def test_planted_effects_come_back_row_by_row(first, second, interaction):
    rng = np.random.default_rng(0)
    shape, common = rng.normal(size=(3, 2, 40, 4)), rng.normal(size=(2, 40, 4))
    sizes = {"first": first * shape[0], "second": second * shape[1], "interaction": interaction * shape[2]}

    def cell(i: float, j: float) -> np.ndarray:
        return common + i * sizes["first"] + j * sizes["second"] + i * j * sizes["interaction"]

    found = two_by_two({(i, j): cell(i - 0.5, j - 0.5) for i, j in CELLS})
    for name, expected in sizes.items():
        np.testing.assert_allclose(getattr(found, name).values, expected, atol=1e-9)


def test_effects_equal_the_regression_on_contrast_codes():
    rng = np.random.default_rng(1)
    cells = {cell: rng.normal(size=(30, 3)) for cell in CELLS}
    design = np.array([[1, i - 0.5, j - 0.5, (i - 0.5) * (j - 0.5)] for i, j in CELLS])
    answers = np.linalg.lstsq(design, np.stack([cells[cell].ravel() for cell in CELLS]), rcond=None)[0][1:].reshape(3, 30, 3)
    found = two_by_two(cells)
    for effect, expected in zip((found.first, found.second, found.interaction), answers, strict=True):
        np.testing.assert_allclose(effect.values, expected, atol=1e-9)


def test_mean_and_size_count_valid_rows_only():
    rng = np.random.default_rng(2)
    cells = {cell: rng.normal(size=(2, 30, 3)) for cell in CELLS}
    valid = np.arange(30) >= 11
    found, cut = two_by_two(cells, valid), two_by_two({cell: values[:, valid] for cell, values in cells.items()})
    assert found.first.values.shape == (2, 30, 3)
    for name in ("first", "second", "interaction"):
        np.testing.assert_allclose(getattr(found, name).mean, getattr(cut, name).mean)
        np.testing.assert_allclose(getattr(found, name).size, getattr(cut, name).size)
        np.testing.assert_allclose(getattr(found, name).mean, getattr(found, name).values[:, valid].mean(1))


def test_with_one_factor_idle_the_other_is_the_plain_contrast_and_nothing_interacts():
    a, b = np.random.default_rng(3).normal(size=(2, 50))
    found = two_by_two({(0, 0): a, (0, 1): a, (1, 0): b, (1, 1): b})
    plain = change(b, a)
    assert found.first.mean == pytest.approx(plain["difference"])
    assert found.first.size == pytest.approx(plain["change"] * plain["sd_a"] / ((plain["sd_a"] + plain["sd_b"]) / 2))
    assert found.second.size == found.interaction.size == 0


def test_a_curve_that_never_moves_has_no_size():
    found = two_by_two({cell: np.full((20, 1), 0.1, np.float32) for cell in CELLS})
    assert np.isnan(found.first.size).all()
    assert found.interaction.mean == pytest.approx(0)


def test_a_missing_cell_and_unequal_films_are_refused_by_name():
    cells = {cell: np.zeros(20) for cell in CELLS}
    for spoilt, code in (({**cells, (1, 1): np.zeros(19)}, "shape"), ({cell: cells[cell] for cell in CELLS[:3]}, "cells")):
        with pytest.raises(StatisticsError) as error:
            two_by_two(spoilt)
        assert error.value.code == code
