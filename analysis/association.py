"""Whether two time courses go together: correlation against its circular shifts.

For the association of A with B only, never for a difference of conditions. One clip's time courses are kept whole and one is turned
against the other; what the two share beyond their own slowness is lost by turning. The number of distinct turns bounds the p-value from below,
and neighbouring turns give nearly equal correlations: a clip of a few dozen rows says little. ``docs/statistics.md`` says how often the test errs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.accuracy import centred, pearson
from analysis.rows import rows_that_count
from extractors.errors import StatisticsError

GUARD_TRS = 2
"""Turns by fewer rows than this, either way, are left out. A guard as long as a haemodynamic response leaves out just those turns that a slow
series must beat, and the test then errs up to twice as often."""


@dataclass(frozen=True, eq=False)
class Association:
    """Correlation and its rank among the shifts.

    Attributes
    ----------
    r : float64 array
        Pearson correlation as the data are; nan where either side is constant.
    p : float64 array
        Two-sided, (b + 1) / (n + 1) over all n distinct shifts beyond the guard.
    n_shifts : int
    smallest_p : float
        1 / (n + 1): no p can be smaller with so many rows.
    """

    r: np.ndarray
    p: np.ndarray
    n_shifts: int
    smallest_p: float


def circular_shift(a: np.ndarray, b: np.ndarray, valid: np.ndarray | None = None, *, guard_trs: int = GUARD_TRS) -> Association:
    """Correlate A with B, and with B turned by every number of rows that lies ``guard_trs`` or more from no turn, both ways round.

    Parameters
    ----------
    a, b : array [T] or [T, curves]
        Time courses of one clip.
    valid : bool [T], optional
        Rows that count, one unbroken run; all of them when left out.
    guard_trs : int
        Rows, one or more.

    Returns
    -------
    Association
        Arrays without the time axis.

    Raises
    ------
    StatisticsError
        When shapes disagree, valid rows are not one run, or no shift lies beyond the guard.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or a.ndim not in (1, 2):
        raise StatisticsError(
            "shape", f"A and B must both be [T] or [T, curves], but got {a.shape} and {b.shape} instead.", "Take one subject at a time."
        )
    mask = rows_that_count(valid, len(a))
    rows = np.flatnonzero(mask)
    if rows[-1] - rows[0] + 1 != len(rows):
        raise StatisticsError("valid", f"valid must mark one unbroken run of the {len(a)} rows.", "Turn a stretch of the clip without gaps.")
    a, b, count = a[mask], b[mask], len(rows)
    shifts = np.arange(guard_trs, count - guard_trs + 1)
    if guard_trs < 1 or not len(shifts):
        raise StatisticsError(
            "too_short",
            f"Shifts beyond a guard of {guard_trs} rows need {2 * max(1, guard_trs)} or more valid rows, but got {count} instead.",
            "Use a longer clip.",
        )
    r = pearson(a, b)
    steps_a, steps_b = centred(a, 0), centred(b, 0)
    spectrum = np.conj(np.fft.rfft(steps_a, axis=0)) * np.fft.rfft(steps_b, axis=0)
    turned = np.fft.irfft(spectrum, count, axis=0)[shifts]  # row k: sum of a[t] b[t + k], all turns at once
    reached = np.abs(r) * np.sqrt((steps_a**2).sum(0) * (steps_b**2).sum(0)) * (1 - 1e-9)
    p = (1 + (np.abs(turned) >= reached).sum(0)) / (1 + len(shifts))
    return Association(r=r, p=np.where(np.isnan(r), np.nan, p), n_shifts=len(shifts), smallest_p=1 / (1 + len(shifts)))
