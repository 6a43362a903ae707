"""Which rows of a time course count, and where its time axis is."""

from __future__ import annotations

import numpy as np

from extractors.errors import StatisticsError


def time_axis(values: np.ndarray) -> int:
    """The axis of time: the only one of [T], the last but one of [..., T, curves]."""
    return 0 if values.ndim == 1 else values.ndim - 2


def rows_that_count(valid: np.ndarray | None, rows: int) -> np.ndarray:
    """``valid`` as bool [rows], all true when left out; StatisticsError when it does not fit or holds none."""
    mask = np.ones(rows, bool) if valid is None else np.asarray(valid, bool)
    if mask.shape != (rows,) or not mask.any():
        raise StatisticsError(
            "valid",
            f"valid must hold one entry for each of {rows} rows, one or more of them true, but got {int(mask.sum())} true of {mask.size} instead.",
            "Use a clip long enough to have valid rows.",
        )
    return mask
