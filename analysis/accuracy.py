"""How well predictions follow responses: correlation and slope per parcel.

On measured brains a correlation is called accuracy; on simulated ones recovery. The arithmetic is the same.
"""

from __future__ import annotations

import numpy as np


def pearson(first: np.ndarray, second: np.ndarray, *, axis: int = 0) -> np.ndarray:
    """Pearson correlation along ``axis`` (time), computed in float64.

    Parameters
    ----------
    first, second : array [..., T, ...]
        Of equal shape.

    Returns
    -------
    float64 array without ``axis``
        nan where either side is constant.
    """
    a, b = centred(first, axis), centred(second, axis)
    power = np.sqrt((a**2).sum(axis) * (b**2).sum(axis))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(power > 0, (a * b).sum(axis) / power, np.nan)


def slope(truth: np.ndarray, prediction: np.ndarray, *, axis: int = 0) -> np.ndarray:
    """Slope of the regression of ``truth`` on ``prediction`` along ``axis``: one when a predicted size may be taken as a size.

    Returns
    -------
    float64 array without ``axis``
        nan where the prediction is constant.
    """
    a, b = centred(truth, axis), centred(prediction, axis)
    power = (b**2).sum(axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(power > 0, (a * b).sum(axis) / power, np.nan)


def pooled_slope(truth: np.ndarray, prediction: np.ndarray, *, axis: int = 0) -> float:
    """One slope for all parcels: each is centred over time, then all points enter one regression through the origin."""
    a, b = centred(truth, axis), centred(prediction, axis)
    power = (b**2).sum()
    return float((a * b).sum() / power) if power > 0 else float("nan")


def mean_correlation(correlations: np.ndarray) -> float:
    """Plain mean over parcels, constant ones (nan) left out, as the Algonauts 2025 metric takes it; nan when none is left."""
    there = correlations[np.isfinite(correlations)]
    return float(there.mean()) if there.size else float("nan")


def centred(values: np.ndarray, axis: int) -> np.ndarray:
    """``values`` less their mean along ``axis``, float64; a series that is constant but for rounding becomes exactly zero."""
    values = np.asarray(values, np.float64)
    centred = values - values.mean(axis, keepdims=True)
    # rounding leaves specks around the mean of a constant series; they carry no signal
    specks = np.abs(values).max(axis, keepdims=True, initial=0) * 1e-12
    return np.where(np.abs(centred).max(axis, keepdims=True, initial=0) <= specks, 0.0, centred)
