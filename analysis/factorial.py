"""Two-by-two designs: what each factor does on average, and whether it depends on the other.

For instance two pictures by two sound tracks, or words by picture. Like any single-clip result these are sizes without a p-value; the sizes of a
set of clips go to :func:`analysis.permutation.sign_flip`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.accuracy import centred
from analysis.rows import rows_that_count, time_axis
from extractors.errors import StatisticsError

CELLS = ((0, 0), (0, 1), (1, 0), (1, 1))
WEIGHTS = {"first": (-0.5, -0.5, 0.5, 0.5), "second": (-0.5, 0.5, -0.5, 0.5), "interaction": (1.0, -1.0, -1.0, 1.0)}
"""Of the cells in the order of :data:`CELLS`: level 1 less level 0; the interaction is the difference of the differences."""


@dataclass(frozen=True, eq=False)
class Effect:
    """One of the three contrasts of a two-by-two design.

    Attributes
    ----------
    values : float64 [..., T, ...]
        Per TR, z, all rows.
    mean : float64, without the time axis
        Over the valid rows, z: to be read as a size from a calibrated model only.
    size : float64, without the time axis
        SD over the valid rows over the mean SD of the four cells: the change in time course, without unit; nan where all cells are constant.
    """

    values: np.ndarray
    mean: np.ndarray
    size: np.ndarray


@dataclass(frozen=True, eq=False)
class TwoByTwo:
    """Main effects of both factors and their interaction."""

    first: Effect
    second: Effect
    interaction: Effect


def two_by_two(cells: Mapping[tuple[int, int], np.ndarray], valid: np.ndarray | None = None) -> TwoByTwo:
    """Main effects and interaction of a two-by-two design.

    Parameters
    ----------
    cells : mapping of (level of the first factor, level of the second), each 0 or 1, to array [T] or [..., T, curves]
        Responses of all four conditions, of equal rows; time is the last axis but one.
    valid : bool [T], optional
        Rows that count for mean and size; all of them when left out.

    Returns
    -------
    TwoByTwo
        With cells y00, y01, y10, y11: first = (y10 + y11 - y00 - y01) / 2, second = (y01 + y11 - y00 - y10) / 2,
        interaction = (y11 - y10) - (y01 - y00).

    Raises
    ------
    StatisticsError
        When a cell is missing or shapes disagree.
    """
    if set(cells) != set(CELLS):
        raise StatisticsError("cells", f"A two-by-two design has the cells {CELLS}, but got {sorted(cells)} instead.", "Compute all four conditions.")
    values = [np.asarray(cells[cell], np.float64) for cell in CELLS]
    if len({one.shape for one in values}) != 1 or not values[0].ndim:
        raise StatisticsError(
            "shape", f"All four cells must have the same shape, but got {[one.shape for one in values]} instead.", "Use films of equal length."
        )
    axis = time_axis(values[0])
    mask = rows_that_count(valid, values[0].shape[axis])
    usual = np.mean([_sd(np.compress(mask, one, axis), axis) for one in values], axis=0)

    def effect(name: str) -> Effect:
        contrast = sum(weight * one for weight, one in zip(WEIGHTS[name], values, strict=True))
        counted = np.compress(mask, contrast, axis)
        with np.errstate(invalid="ignore", divide="ignore"):
            size = np.where(usual > 0, _sd(counted, axis) / usual, np.nan)
        return Effect(values=contrast, mean=counted.mean(axis), size=size)

    return TwoByTwo(**{name: effect(name) for name in WEIGHTS})


def _sd(values: np.ndarray, axis: int) -> np.ndarray:
    return np.sqrt(np.square(centred(values, axis)).mean(axis))
