"""p-values from sets of clips: sign flips of paired differences, permuted labels of two sets.

The unit is the clip. Rows of one clip are no sample of clips, and subjects share one film and one trunk, so neither is ever n: average over subjects
or test them one by one. Both tests are two-sided and studentised. When fewer than 10,000 relabellings exist all of them are used, which makes
the test exact; otherwise a seeded random sample, to which the data as they are belong, p = (b + 1) / (n + 1) (Phipson & Smyth 2010,
Stat Appl Genet Mol Biol 9:39). The largest statistic of every relabelling gives p-values that hold over all curves or parcels together (Westfall &
Young 1993; Nichols & Holmes 2002, Hum Brain Mapp 15:1); false discovery rates are Benjamini & Hochberg's (1995, J R Stat Soc B 57:289).
How often these tests find what is not there, and what is, stands in ``docs/statistics.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, product
from math import comb

import numpy as np

from extractors.errors import StatisticsError

N_PERMUTATIONS = 10_000
ALPHA = 0.05
LEAST_PAIRS = 6
"""With five pairs the smallest two-sided p is 2 / 32 = 0.0625."""
LEAST_IN_A_SET = 4
"""Two sets of three have 20 relabellings and a smallest two-sided p of 0.1; three clips tell next to nothing of their own variance."""
TIES = 1e-9
"""Statistics closer than this differ by rounding only; they count as equal, which can only raise p."""


@dataclass(frozen=True, eq=False)
class PermutationResult:
    """What a permutation test says of each curve or parcel.

    Attributes
    ----------
    t : float64 array
        Studentised mean difference, A - B; infinite where the spread is zero, zero where all differences are, nan where data are missing.
    p : float64 array
        Two-sided, for this curve alone.
    p_max : float64 array
        Two-sided, corrected for all curves tested together by the largest absolute t of each relabelling.
    q_fdr : float64 array
        Benjamini-Hochberg: the smallest false discovery rate at which this curve is found.
    n_permutations : int
        Relabellings used; the data as they are is one of them when ``exact``, and comes on top when not.
    exact : bool
        Whether all relabellings were used.
    smallest_p : float
        No p can be smaller with this number of clips and relabellings.
    """

    t: np.ndarray
    p: np.ndarray
    p_max: np.ndarray
    q_fdr: np.ndarray
    n_permutations: int
    exact: bool
    smallest_p: float


def sign_flip(differences: np.ndarray, *, n_permutations: int = N_PERMUTATIONS, seed: int = 0, batch_mb: float = 8.0) -> PermutationResult:
    """One-sample test of paired differences: the signs of whole clips are flipped.

    Parameters
    ----------
    differences : array [n, ...]
        One signed size A - B for each clip (first axis) and curve or parcel. A size that cannot be negative, such as ``change``, is no such
        difference: take off the size of another edit of the same clip first.
    n_permutations : int
        Random sign patterns, used when too many exist to take all (14 clips and more).
    seed : int
    batch_mb : float
        Memory of one batch of statistics, MB.

    Returns
    -------
    PermutationResult
        Arrays of shape [...].

    Raises
    ------
    StatisticsError
        ``too_few`` with fewer than six clips or 19 permutations: 0.05 cannot be reached.

    Notes
    -----
    Under the null each clip's difference is as likely to have either sign (symmetry around zero). Sums of squares do not change with signs, so t
    grows with the mean over the root mean square, and one matrix product of signs with scaled differences gives that for every pattern.
    """
    values = _checked(differences, "differences")
    n = len(values)
    if n < LEAST_PAIRS:
        raise StatisticsError(
            "too_few",
            f"A sign-flip test needs {LEAST_PAIRS} or more pairs of clips to reach p = {ALPHA}, but got {n} instead (smallest p {2 / 2**n:.2g}).",
            "Add clips, or report the sizes without a p-value.",
        )
    exact = _all_of_them(2**n, n_permutations)
    rms = np.sqrt(np.square(values).mean(0))
    scaled = np.divide(values, n * rms, out=np.where(np.isnan(rms), np.nan, np.zeros_like(values)), where=rms > 0)
    share = scaled.sum(0)  # mean over root mean square, -1 to 1
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.where(1 - np.abs(share) < TIES, np.sign(share) * np.inf, share * np.sqrt((n - 1) / (1 - share**2)))
    known = np.isfinite(share)
    scaled = np.ascontiguousarray(scaled[:, known])
    signs = np.array(list(product((1, -1), repeat=n)), np.int8) if exact else _random_signs(n, n_permutations, seed)
    batches = (np.abs(part.astype(np.float64) @ scaled) for part in _batches(signs, known.sum(), batch_mb))
    return _result(t, share, batches, exact=exact, used=len(signs), smallest=2 / 2**n, shape=np.shape(differences)[1:])


def label_permutation(
    a: np.ndarray, b: np.ndarray, *, n_permutations: int = N_PERMUTATIONS, seed: int = 0, batch_mb: float = 8.0
) -> PermutationResult:
    """Two-sample test of two sets of different clips: which set a clip belongs to is permuted, Welch's t compared.

    Welch's t keeps the test honest for large sets when the sets' spreads differ, too; the plain mean difference does not (Janssen 1997, Stat Probab
    Lett 36:9; Chung & Romano 2013, Ann Stat 41:484).

    Parameters
    ----------
    a, b : array [n, ...], [m, ...]
        One size for each clip (first axis) and curve or parcel.
    n_permutations, seed, batch_mb
        As for :func:`sign_flip`.

    Returns
    -------
    PermutationResult
        Arrays of shape [...].

    Raises
    ------
    StatisticsError
        ``too_few`` when either set has fewer than four clips, or with fewer than 19 permutations.
    """
    first, second = _checked(a, "a"), _checked(b, "b")
    if first.shape[1:] != second.shape[1:] or np.shape(a)[1:] != np.shape(b)[1:]:
        raise StatisticsError(
            "shape", f"Both sets must have the same curves, but got {np.shape(a)[1:]} and {np.shape(b)[1:]}.", "Use one model for both."
        )
    n, m = len(first), len(second)
    if min(n, m) < LEAST_IN_A_SET:
        raise StatisticsError(
            "too_few",
            f"A test of two sets needs {LEAST_IN_A_SET} or more clips in each (two sets of 3 cannot reach p = {ALPHA}), but got {n} and {m} instead.",
            "Add clips, or report the sizes without a p-value.",
        )
    relabellings = comb(n + m, n)
    exact = _all_of_them(relabellings, n_permutations)
    together = np.concatenate([first, second])
    together = together - together.mean(0)
    together[:, np.ptp(together, axis=0) <= TIES * np.abs(np.concatenate([first, second])).max(0)] = 0.0
    labels = _all_labels(n, m) if exact else _random_labels(n, m, n_permutations, seed)
    as_they_are = (np.arange(n + m) < n)[None]
    t = _welch(as_they_are, together, n, m)[0]
    known = np.ascontiguousarray(together[:, ~np.isnan(t)])
    batches = (np.abs(_welch(part, known, n, m)) for part in _batches(labels, 4 * known.shape[1], batch_mb))
    smallest = (2 if n == m else 1) / relabellings
    return _result(t, t, batches, exact=exact, used=len(labels), smallest=smallest, shape=np.shape(a)[1:])


def _checked(values: np.ndarray, name: str) -> np.ndarray:
    """[n, ...] -> float64 [n, curves]; infinite numbers are missing ones."""
    values = np.asarray(values, np.float64)
    if values.ndim < 1 or 0 in values.shape[1:]:
        raise StatisticsError(
            "shape", f"{name} must have clips on the first axis and one or more curves, but got {values.shape}.", "Give one row a clip."
        )
    values = values.reshape(len(values), int(np.prod(values.shape[1:])))
    return np.where(np.isfinite(values), values, np.nan)


def _all_of_them(relabellings: int, n_permutations: int) -> bool:
    exact = relabellings < max(N_PERMUTATIONS, n_permutations)
    if not exact and 1 / (n_permutations + 1) > ALPHA:
        raise StatisticsError(
            "too_few", f"n_permutations must be 19 or more to reach p = {ALPHA}, but got {n_permutations} instead.", f"Usual is {N_PERMUTATIONS}."
        )
    return exact


def _random_signs(n: int, count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (count, n), np.int8) * np.int8(2) - np.int8(1)


def _all_labels(n: int, m: int) -> np.ndarray:
    chosen = np.array(list(combinations(range(n + m), n)))
    labels = np.zeros((len(chosen), n + m), bool)
    np.put_along_axis(labels, chosen, True, 1)
    return labels


def _random_labels(n: int, m: int, count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permuted(np.tile(np.arange(n + m) < n, (count, 1)), axis=1)


def _batches(relabellings: np.ndarray, numbers_each: int, batch_mb: float) -> Iterator[np.ndarray]:
    step = max(1, int(batch_mb * 1e6 / 8 / max(1, numbers_each)))
    return (relabellings[begin : begin + step] for begin in range(0, len(relabellings), step))


def _welch(labels: np.ndarray, values: np.ndarray, n: int, m: int) -> np.ndarray:
    """Welch's t for each row of labels (true: first set), [relabellings, curves]; ``values`` have mean zero over all clips."""
    chosen = labels.astype(np.float64)
    sums, squares, total = chosen @ values, chosen @ values**2, (values**2).sum(0)
    mean_a, mean_b = sums / n, -sums / m
    within = [squares - n * mean_a**2, total - squares - m * mean_b**2]
    within_a, within_b = (np.where(one > 1e-12 * total, one, 0.0) for one in within)  # less is what rounding leaves of equal clips
    error = within_a / (n * (n - 1)) + within_b / (m * (m - 1))
    apart = mean_a - mean_b
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(apart == 0, apart, apart / np.sqrt(error))


def _result(
    t: np.ndarray, statistic: np.ndarray, batches: Iterable[np.ndarray], *, exact: bool, used: int, smallest: float, shape: tuple[int, ...]
) -> PermutationResult:
    """Count how often each relabelling is at least as extreme.

    ``statistic`` [curves] grows with t in the same way for all curves; ``batches`` hold its absolute value, [relabellings, known curves].
    """
    from scipy.stats import false_discovery_control

    known = ~np.isnan(t)
    reached = np.abs(statistic[known]) * (1 - TIES) - TIES
    own, largest = np.zeros(known.sum(), np.int64), []
    for batch in batches:
        own += (batch >= reached).sum(0)
        largest.append(batch.max(1, initial=0))
    maxima = np.sort(np.concatenate(largest))
    overall = len(maxima) - np.searchsorted(maxima, reached)
    added = 0 if exact else 1

    def spread(counts: np.ndarray) -> np.ndarray:
        out = np.full(len(t), np.nan)
        out[known] = (counts + added) / (used + added)
        return out

    p, p_max, q = spread(own), spread(overall), np.full(len(t), np.nan)
    if known.any():
        q[known] = false_discovery_control(p[known])
    arrays = (one.reshape(shape) for one in (t, p, p_max, q))
    return PermutationResult(*arrays, n_permutations=used, exact=exact, smallest_p=max(smallest, 0 if exact else 1 / (used + 1)))
