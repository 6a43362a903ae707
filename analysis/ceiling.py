"""The most that any model can reach: noise ceilings of correlations."""

from __future__ import annotations

import numpy as np

from analysis.accuracy import pearson


def known_ceiling(signal: np.ndarray, noise_variance: np.ndarray, *, axis: int = 0) -> np.ndarray:
    """Expected correlation of the noiseless signal with signal plus independent noise, when both are known (simulated subjects).

    Parameters
    ----------
    signal : array [..., T, ...]
        Planted response without noise.
    noise_variance : array without ``axis``

    Returns
    -------
    array without ``axis``
        ``sqrt(v / (v + noise_variance))`` with v the signal's variance over time; zero without signal.
    """
    variance = np.asarray(signal, np.float64).var(axis)
    total = variance + noise_variance
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, np.sqrt(variance / total), 0.0)


def repeat_ceiling(first: np.ndarray, second: np.ndarray, *, axis: int = 0) -> np.ndarray:
    """Ceiling for one measurement from two repeats of the same film.

    The correlation r of two repeats estimates the share of variance that is signal, so a perfect model correlates with one repeat at
    ``sqrt(r)`` (Schoppe et al. 2016, Front Comput Neurosci 10:10); a negative r gives zero.
    """
    return np.sqrt(np.clip(pearson(first, second, axis=axis), 0, None))
