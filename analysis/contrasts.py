"""How two conditions of one clip differ: sizes, their variation over time, and where they stand among null edits.

A deterministic model has no sampling noise, so a single clip carries no p-value: nothing here returns one. What is given is a size, an
interval that says how much the size depends on which stretch of the clip was seen, and a comparison with changes that should not matter
(null edits). Everything else is in ``docs/statistics.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.accuracy import centred, pearson
from analysis.rows import rows_that_count, time_axis
from extractors.errors import StatisticsError

STATISTICS = ("r", "change", "difference")
INTERVAL_LABEL = "variation over time within this clip"
"""What an interval of :func:`interval` is called wherever it is shown: it is no confidence interval over films or people."""
LEAST_ROWS = 20
"""Fewer valid rows than this give no interval."""
CURVES_AT_ONCE = 500
"""Columns of one batch of bootstrap draws: 1,000 draws of five numbers take 20 MB."""


def change(a: np.ndarray, b: np.ndarray, valid: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Sizes of the change from condition B to condition A, over the valid rows.

    Parameters
    ----------
    a, b : array [T] or [..., T, curves]
        Predicted responses, z; time is the last axis but one.
    valid : bool [T], optional
        Rows that count; all of them when left out.

    Returns
    -------
    dict of float64 arrays without the time axis
        ``r``: Pearson correlation of A with B, nan where either is constant. ``change``: SD of A - B over SD of A, the change in time course,
        without unit (0: the same up to an offset; 1: as large as A itself), nan where A is constant. ``difference``: mean of A - B, z.
        ``sd_a``, ``sd_b``: SD over time, z (divided by the number of rows).

    Raises
    ------
    StatisticsError
        When shapes disagree.
    """
    a, b, axis = _counted(a, b, valid)
    sd_a, sd_b, sd_between = (np.sqrt((centred(one, axis) ** 2).mean(axis)) for one in (a, b, a - b))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(sd_a > 0, sd_between / sd_a, np.nan)
    return {"r": pearson(a, b, axis=axis), "change": share, "difference": (a - b).mean(axis), "sd_a": sd_a, "sd_b": sd_b}


def interval(
    a: np.ndarray,
    b: np.ndarray,
    valid: np.ndarray | None = None,
    *,
    statistic: Literal["r", "change", "difference"],
    block: int | None = None,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Block-bootstrap interval of a size of :func:`change`, to be shown as :data:`INTERVAL_LABEL`.

    It answers: had the clip gone on in the same manner, how far could its size lie from that of these rows? It says nothing of other films or
    other people. Percentiles of the moving-block bootstrap cover far too seldom in clips of this length (``docs/statistics.md``), so blocks are drawn
    from the clip closed to a ring (Politis & Romano 1992), the size is taken on the scale on which its spread is even (Fisher's z of r, the logarithm
    of the change), and the standard deviation of the draws is widened by Student's t for the few blocks there are: as many degrees of freedom
    as overlapping batch means have (Meketon & Schmeiser 1984).

    Parameters
    ----------
    a, b : array [T] or [..., T, curves]
        Predicted responses, z.
    valid : bool [T], optional
        Rows that count; all of them when left out.
    statistic : "r", "change" or "difference"
    block : int, optional
        Rows per block, at most half of those that count; :func:`usual_block` when left out.
    draws : int
    level : float
        Between 0 and 1.
    seed : int

    Returns
    -------
    low, high : float64 arrays without the time axis
        nan where the size itself is, and everywhere with fewer than :data:`LEAST_ROWS` valid rows. Where A and B are equal but for an
        offset, both are the size itself.

    Raises
    ------
    StatisticsError
        When shapes disagree, or the statistic or the block is not allowed.
    """
    if statistic not in STATISTICS:
        raise StatisticsError(
            "unknown_statistic",
            f"Allowed values of statistic are {', '.join(STATISTICS)}, but got {str(statistic)[:40]!r} instead.",
            "Choose one of them.",
        )
    from scipy.stats import t as student

    a, b, axis = _counted(a, b, valid)
    size = change(a, b)[statistic]
    rows = a.shape[axis]
    if rows < LEAST_ROWS:
        return np.full(size.shape, np.nan), np.full(size.shape, np.nan)
    block = usual_block(rows) if block is None else block
    if not 1 <= block <= rows // 2:
        raise StatisticsError("block", f"A block must have 1 to {rows // 2} rows here, but got {block} instead.", "Leave it out for the usual one.")
    counts = _ring_blocks(rows, block, draws, seed)
    blocks = rows / block
    widening = student.ppf((1 + level) / 2, 1.5 * (blocks - 1)) * np.sqrt(blocks / (blocks - 1))
    first, second = (np.moveaxis(centred(one, axis), axis, 0).reshape(rows, -1) for one in (a, b))
    spread = np.empty(first.shape[1])
    for begin in range(0, first.shape[1], CURVES_AT_ONCE):
        some = slice(begin, begin + CURVES_AT_ONCE)
        spread[some] = _bootstrap_sd(first[:, some], second[:, some], counts, statistic)
    even = TO_EVEN[statistic](size)
    with np.errstate(invalid="ignore"):
        reach = widening * spread.reshape(size.shape)
        low, high = (FROM_EVEN[statistic](even + sign * reach) for sign in (-1, 1))
    same = ~np.isfinite(even)  # r = 1 or no change at all: every stretch says the same
    return np.where(same, size, low), np.where(same, size, high)


@dataclass(frozen=True, eq=False)
class Beyond:
    """How sizes stand among the sizes of null edits.

    Attributes
    ----------
    n : int
        Null edits.
    largest : float64 array
        Largest absolute size among them.
    share : float64 array
        Share of null edits whose absolute size is at least as large. A description of these n edits, no p-value: one more null edit would itself
        lie outside the largest of n one time in n + 1, and of many curves some would.
    outside : bool array
        Whether the size is larger than the largest of them.
    """

    n: int
    largest: np.ndarray
    share: np.ndarray
    outside: np.ndarray


def beyond(values: np.ndarray, null_values: np.ndarray) -> Beyond:
    """Compare sizes with those of null edits.

    Parameters
    ----------
    values : array [...]
        Sizes that are zero for no change, such as ``change`` or ``difference`` of :func:`change` (for r use 1 - r).
    null_values : array [n, ...]
        The same sizes for n null edits.

    Raises
    ------
    StatisticsError
        Without null edits, or when shapes disagree.
    """
    values, null_values = np.abs(np.asarray(values, np.float64)), np.abs(np.asarray(null_values, np.float64))
    if null_values.ndim != values.ndim + 1 or null_values.shape[1:] != values.shape or not len(null_values):
        raise StatisticsError(
            "null_shape",
            f"Sizes of null edits must have shape (n, {', '.join(map(str, values.shape))}), n at least 1, but got {null_values.shape} instead.",
            "Compute one size for each null edit and each curve.",
        )
    largest = null_values.max(0)
    unknown = np.isnan(values) | np.isnan(null_values).any(0)
    share = np.where(unknown, np.nan, (null_values >= values).mean(0))
    return Beyond(n=len(null_values), largest=largest, share=share, outside=~unknown & (values > largest))


def spectra(
    a: np.ndarray,
    b: np.ndarray,
    valid_a: np.ndarray | None = None,
    valid_b: np.ndarray | None = None,
    *,
    tr: float,
    segment: int = 32,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Power spectra of two conditions that need not have equal rows, on one frequency axis (Welch 1967).

    Parameters
    ----------
    a : array [T] or [..., T, curves]
    b : array [U] or [..., U, curves]
    valid_a, valid_b : bool [T], bool [U], optional
        The longest unbroken run of valid rows is used.
    tr : float
        Seconds.
    segment : int
        Rows per segment, at most; never more than the shorter condition has.

    Returns
    -------
    frequencies : float64 [F]
        Hz.
    power_a, power_b : float64 [F] or [..., F, curves]
        Power spectral density, z² / Hz.
    """
    from scipy.signal import welch

    first, second = (_longest_run(np.asarray(one, np.float64), rows) for one, rows in ((a, valid_a), (b, valid_b)))
    shortest = min(one.shape[time_axis(one)] for one in (first, second))
    if shortest < 8:
        raise StatisticsError(
            "too_short", f"A spectrum needs 8 or more valid rows one after another, but got {shortest} instead.", "Use a longer clip."
        )
    options = {"fs": 1 / tr, "nperseg": min(segment, shortest), "detrend": "constant"}
    frequencies, power_a = welch(first, axis=time_axis(first), **options)
    return frequencies, power_a, welch(second, axis=time_axis(second), **options)[1]


def _counted(a: np.ndarray, b: np.ndarray, valid: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, int]:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or not a.ndim:
        raise StatisticsError(
            "shape", f"A and B must have the same shape, but got {a.shape} and {b.shape} instead.", "Compare conditions of equal rows."
        )
    axis = time_axis(a)
    rows = rows_that_count(valid, a.shape[axis])
    return np.compress(rows, a, axis), np.compress(rows, b, axis), axis


def usual_block(rows: int) -> int:
    """Rows per block: twice the root of ``rows``, 13 of 40 and 40 of 400, and never more than a third of them."""
    return min(round(2 * np.sqrt(rows)), rows // 3)


def _ring_blocks(rows: int, block: int, draws: int, seed: int) -> np.ndarray:
    """How often each row is in each draw, as shares: float64 [draws, rows]. Blocks run over the end into the beginning, so all rows count alike."""
    starts = np.random.default_rng(seed).integers(rows, size=(draws, -(-rows // block)))
    drawn = (starts[:, :, None] + np.arange(block)).reshape(draws, -1)[:, :rows] % rows
    return np.bincount((drawn + rows * np.arange(draws)[:, None]).ravel(), minlength=draws * rows).reshape(draws, rows) / rows


def _bootstrap_sd(a: np.ndarray, b: np.ndarray, counts: np.ndarray, statistic: str) -> np.ndarray:
    """SD over draws of a size on its even scale: centred [rows, curves] and [draws, rows] -> [curves]; draws without a size are left out."""
    if statistic == "difference":
        return (counts @ (a - b)).std(0, ddof=1)
    mean_a, mean_b, square_a, square_b, both = (counts @ one for one in (a, b, a**2, b**2, a * b))
    var_a, var_b, shared = square_a - mean_a**2, square_b - mean_b**2, both - mean_a * mean_b
    with np.errstate(invalid="ignore", divide="ignore"):
        size = shared / np.sqrt(var_a * var_b) if statistic == "r" else np.sqrt((var_a + var_b - 2 * shared) / var_a)
        even = TO_EVEN[statistic](size)
    there = np.isfinite(even)
    count = there.sum(0)
    kept = np.where(there, even, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = kept.sum(0) / count
        return np.sqrt((np.where(there, even - mean, 0.0) ** 2).sum(0) / (count - 1))


def _fisher(r: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.arctanh(np.where(np.abs(r) > 1 - 1e-12, np.sign(r), r))


def _logarithm(size: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(size)


def _itself(size: np.ndarray) -> np.ndarray:
    return size


TO_EVEN = {"r": _fisher, "change": _logarithm, "difference": _itself}
FROM_EVEN = {"r": np.tanh, "change": np.exp, "difference": _itself}
"""Scales on which the spread of a size depends little on the size itself, and back."""


def _longest_run(values: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    axis = time_axis(values)
    mask = rows_that_count(valid, values.shape[axis])
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask, [0]])))
    begins, ends = edges[::2], edges[1::2]
    longest = np.argmax(ends - begins)
    return np.take(values, np.arange(begins[longest], ends[longest]), axis)
