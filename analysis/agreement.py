"""How alike subjects are: mean pairwise correlation of their responses, over a clip and in a sliding window.

One film and one shared trunk make agreement of predicted subjects certain, so there is no chance line to set it against; what it can be compared
with is a planted agreement, or a measured inter-subject correlation (Hasson et al. 2004, Science 303:1634).
"""

from __future__ import annotations

import numpy as np

from analysis.accuracy import centred
from analysis.rows import rows_that_count
from extractors.errors import StatisticsError

WINDOW_TRS = 20
"""Rows of the sliding window: 30 s, two to three haemodynamic responses."""


def pairwise_agreement(values: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Mean over all pairs of subjects of the Pearson correlation over the valid rows.

    Parameters
    ----------
    values : array [S, T, ...]
        Responses of two or more subjects.
    valid : bool [T], optional
        Rows that count; all of them when left out.

    Returns
    -------
    float64 [...]
        Between -1 / (S - 1) and 1; nan where any subject is constant.

    Raises
    ------
    StatisticsError
        With fewer than two subjects, or when ``valid`` does not fit.
    """
    values, valid = _checked(values, valid)
    return _mean_pair(values[:, valid])


def sliding_agreement(values: np.ndarray, valid: np.ndarray | None = None, *, window_trs: int = WINDOW_TRS) -> tuple[np.ndarray, np.ndarray]:
    """Agreement of :func:`pairwise_agreement` in every window of ``window_trs`` rows that holds valid rows only.

    Parameters
    ----------
    values : array [S, T, ...]
    valid : bool [T], optional
    window_trs : int
        Rows, three or more.

    Returns
    -------
    agreement : float64 [T', ...]
        One row for each window, T' may be 0; nan where any subject is constant within the window.
    centres : float64 [T']
        Row that the middle of each window stands for: the mean of its first and last row (halves where ``window_trs`` is even).

    Raises
    ------
    StatisticsError
        With fewer than two subjects, a window of fewer than three rows, or when ``valid`` does not fit.
    """
    values, valid = _checked(values, valid)
    if window_trs < 3:
        raise StatisticsError("window", f"A window must have 3 or more rows, but got {window_trs} instead.", f"Usual is {WINDOW_TRS}.")
    rows = values.shape[1]
    if rows < window_trs:
        return np.empty((0, *values.shape[2:])), np.empty(0)
    firsts = np.flatnonzero(np.lib.stride_tricks.sliding_window_view(valid, window_trs).all(1))
    agreement = np.empty((len(firsts), *values.shape[2:]))
    for number, first in enumerate(firsts):  # one window at a time: the memory of one, and no rounding of running sums
        agreement[number] = _mean_pair(values[:, first : first + window_trs])
    return agreement, firsts + (window_trs - 1) / 2


def _mean_pair(values: np.ndarray) -> np.ndarray:
    """[S, rows, ...] -> [...]: the squared length of the sum of unit vectors holds all pairs at once."""
    steps = centred(values, 1)
    length = np.sqrt((steps**2).sum(1, keepdims=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = steps / length
    subjects = len(values)
    return ((unit.sum(0) ** 2).sum(0) - subjects) / (subjects * (subjects - 1))


def _checked(values: np.ndarray, valid: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(values)
    if values.ndim < 2 or len(values) < 2:
        got = len(values) if values.ndim else 0
        raise StatisticsError("too_few_subjects", f"Agreement needs two or more subjects, but got {got} instead.", "Choose two or more subjects.")
    return values, rows_that_count(valid, values.shape[1])
