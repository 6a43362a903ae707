"""Intervals for statistics of time series: the moving-block bootstrap.

Neighbouring TRs are not independent, so whole blocks are drawn with replacement (Künsch 1989, Ann Stat 17:1217). Blocks never cross from
one clip into the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


def block_bootstrap(
    statistic: Callable[..., float],
    *series: np.ndarray,
    clip_lengths: Sequence[int] | None = None,
    block: int = 10,
    draws: int = 500,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of ``statistic``.

    Parameters
    ----------
    statistic : callable
        Takes as many arrays as ``series``, each with time on its first axis, and returns a number.
    *series : arrays [T, ...]
        Drawn together, row by row.
    clip_lengths : sequence of int, optional
        Rows of each clip when several were put behind one another; they add up to T.
    block : int
        Rows per block; 10 TRs are 15 s, longer than a haemodynamic response.
    draws : int
    level : float
        Between 0 and 1.
    seed : int

    Returns
    -------
    tuple of float
        Lower and upper end.

    Raises
    ------
    ValueError
        When lengths disagree.
    """
    total = len(series[0])
    lengths = [total] if clip_lengths is None else list(clip_lengths)
    if sum(lengths) != total or any(len(one) != total for one in series):
        raise ValueError(f"All series must have as many rows as the clips together ({sum(lengths)}), but got {[len(one) for one in series]} instead.")
    starts, begin = [], 0
    for length in lengths:
        starts.append(begin + np.arange(max(1, length - block + 1)))
        begin += length
    ends = np.concatenate([np.full(len(part), end) for part, end in zip(starts, np.cumsum(lengths), strict=True)])
    firsts = np.concatenate(starts)
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(draws):
        chosen = rng.integers(len(firsts), size=2 * -(-total // block) + len(lengths))
        rows = np.concatenate([np.arange(firsts[i], min(firsts[i] + block, ends[i])) for i in chosen])[:total]
        values.append(statistic(*(one[rows] for one in series)))
    tail = (1 - level) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return float(low), float(high)
