"""The TR grid: which film time belongs to which fMRI sample.

Row ``k`` covers ``[k * TR, (k + 1) * TR)`` and its predicted response stands for the middle, ``(k + 0.5) * TR``. The last partial TR
is dropped. Boundaries are products, never accumulated sums, so they carry no drift.
"""

from __future__ import annotations

import math

import numpy as np

TR = 1.49
"""Repetition time of the CNeuroMod scans in seconds (Algonauts 2025)."""

HRF_S = 10.0
"""Seconds of past a haemodynamic response needs before a row rests on a full past."""

TAIL_TRS = 5
"""Rows at the end of a clip that the Algonauts 2025 metric leaves out, and so do we."""


def n_trs(duration: float) -> int:
    """Whole TRs in ``duration`` seconds: ``floor(duration / TR + 1e-6)``; the guard makes 149.0 s give 100."""
    return max(0, math.floor(duration / TR + 1e-6))


def tr_bounds(count: int) -> np.ndarray:
    """Boundaries of ``count`` TRs in seconds, shape [count + 1]: ``k * TR``."""
    return np.arange(count + 1) * TR


def tr_middles(count: int) -> np.ndarray:
    """Times in seconds that the rows of a response stand for, shape [count]."""
    return (np.arange(count) + 0.5) * TR


def tr_of(time: float) -> int:
    """Row whose TR holds film time ``time`` (seconds); a time on a boundary belongs to the later row."""
    return math.floor(time / TR + 1e-6)


def valid_rows(count: int, window_s: float = 0.0) -> np.ndarray:
    """Rows whose prediction rests on a full past.

    Parameters
    ----------
    count : int
        Number of TRs.
    window_s : float
        Longest window of past film that any extractor looks at, in seconds.

    Returns
    -------
    numpy.ndarray of bool, shape [count]
        False for the warm-up (the longest extractor window and 10 s of HRF) and for the last five rows.
    """
    warm_up = math.ceil((window_s + HRF_S) / TR - 1e-6)
    rows = np.arange(count)
    return (rows >= warm_up) & (rows < count - TAIL_TRS)


def counting_rows(valid: np.ndarray) -> np.ndarray:
    """Rows that means and sizes are taken over, bool [T]: the valid ones, or all in a clip so short that none is."""
    return valid if valid.any() else np.ones_like(valid)
