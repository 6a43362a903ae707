"""Simulations behind ``docs/statistics.md``: how often the intervals hold, how often the tests err, and what they find.

Noise is AR(1) of unit variance, or AR(1) noise seen through a haemodynamic response, which is what a predicted response looks like. Every trial
is one column, so that all trials of a cell go through the functions of ``analysis`` at once. Every cell has a seed of its own, made of the main
one and its name.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from analysis import circular_shift, interval, label_permutation, pearson, sign_flip
from analysis.calibration import Cell
from analysis.contrasts import usual_block
from extractors.arrays import load_array

SEED = 0
HRF = "haemodynamic noise"
NOISES: dict[str, float | None] = {"AR(1) noise 0.2": 0.2, "AR(1) noise 0.35": 0.35, "AR(1) noise 0.6": 0.6, "AR(1) noise 0.9": 0.9, HRF: None}
"""The simulator's own noise has 0.35; None is that noise through a Glover response of the planted subjects' usual peak."""
INTERVAL_ROWS, SHIFT_ROWS, ROWS, CLIPS = (20, 30, 40, 100, 400), (30, 40, 100, 400), (40, 100, 400), (6, 12, 30)
STATISTICS = ("r", "change", "difference")
TRIALS = 4000
PEAK_S = 5.2
EXAMPLES = Path(__file__).parents[1] / "assets" / "examples"


def seeded(*names: object) -> np.random.Generator:
    """A generator for the cell of that name."""
    return np.random.default_rng([SEED, zlib.crc32(repr(names).encode())])


def noise(name: str, rng: np.random.Generator, rows: int, trials: int) -> np.ndarray:
    """Stationary noise of unit variance, float64 [rows, trials]."""
    from scipy.signal import lfilter

    from encoder.training.simulate import AR, LAGS, hrf_kernel

    strength = NOISES[name]
    past = 100
    white = rng.standard_normal((rows + past, trials))
    if strength is not None:
        return lfilter([np.sqrt(1 - strength**2)], [1, -strength], white, axis=0)[past:]
    kernel = hrf_kernel(np.array([PEAK_S]))[0]
    apart = np.abs(np.subtract.outer(np.arange(LAGS), np.arange(LAGS)))
    size = np.sqrt(kernel @ (AR**apart) @ kernel)
    return lfilter(kernel * np.sqrt(1 - AR**2) / size, [1, -AR], white, axis=0)[past:]


def planted_pair(name: str, rng: np.random.Generator, rows: int, trials: int) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """A, B = kept share of A plus own noise, and the true sizes: every trial has its own share (0 to 1) and noise (0.1 to 1)."""
    kept, own = rng.uniform(0, 1, trials), rng.uniform(0.1, 1, trials)
    a = noise(name, rng, rows, trials)
    b = kept * a + own * noise(name, rng, rows, trials)
    return a, b, {"r": kept / np.hypot(kept, own), "change": np.hypot(1 - kept, own), "difference": np.zeros(trials)}


def coverage(trials: int = TRIALS) -> Iterator[Cell]:
    """How often 95 % intervals hold the planted size."""
    for statistic in STATISTICS:
        for rows in INTERVAL_ROWS:
            for name in NOISES:
                a, b, truth = planted_pair(name, seeded("coverage", rows, name), rows, trials)
                low, high = interval(a, b, statistic=statistic)
                held = (low <= truth[statistic]) & (truth[statistic] <= high)
                yield Cell(f"interval {statistic}", rows, name, round(float(held.mean()), 4), trials)


def widths(rows: int, name: str, trials: int = 1000) -> tuple[float, float]:
    """Middle ends of the interval of a change of 0.5."""
    rng = seeded("widths", rows, name)
    a = noise(name, rng, rows, trials)
    low, high = interval(a, a + 0.5 * noise(name, rng, rows, trials), statistic="change")
    return float(np.median(low)), float(np.median(high))


def strengths() -> dict[str, tuple[int, float, float, float]]:
    """Valid rows and lag-1 autocorrelation (lowest, middle, highest) of the predicted curves of the examples that come with the app."""
    from encoder.curves import curve_means

    found = {}
    for folder in sorted(path.parent for path in EXAMPLES.glob("*/responses.npy")):
        facts = json.loads((folder / "responses.json").read_text(encoding="utf-8"))
        curves = curve_means(load_array(folder / "responses.npy"))[:, facts["valid"]]
        steps = curves - curves.mean(1, keepdims=True)
        lag_1 = (steps[:, 1:] * steps[:, :-1]).sum(1) / (steps**2).sum(1)
        found[folder.name] = (int(np.sum(facts["valid"])), *(float(one) for one in np.quantile(lag_1, [0, 0.5, 1])))
    return found


def rejected_intervals(rows: int, name: str, statistic: str, trials: int = 2000) -> dict[str, tuple[float, float]]:
    """Coverage and width (over that of the kind taken) of kinds of interval that were tried."""
    a, b, truth = planted_pair(name, seeded("rejected", rows, name), rows, trials)
    rng = seeded("draws", rows, name)
    found = {
        "taken: ring, even scale, t": interval(a, b, statistic=statistic),
        "moving blocks of 10, percentiles": _percentiles(a, b, statistic, _moving(rng, rows, 10)),
        "ring, percentiles": _percentiles(a, b, statistic, _ring(rng, rows, usual_block(rows))),
        "stationary bootstrap, percentiles": _percentiles(a, b, statistic, _stationary(rng, rows, usual_block(rows))),
        "cosine-weighted variance, t": _cosine(a, b, statistic),
    }
    if statistic == "difference":
        found["prewhitened, ring, t"] = _prewhitened(a - b, rng)
    usual = np.median(np.subtract(*found["taken: ring, even scale, t"][::-1]))
    held = {kind: ((low <= truth[statistic]) & (truth[statistic] <= high)).mean() for kind, (low, high) in found.items()}
    return {kind: (float(held[kind]), float(np.median(high - low) / usual)) for kind, (low, high) in found.items()}


def false_positives(trials: int = TRIALS) -> Iterator[Cell]:
    """How often tests of clips find something in nothing."""
    for clips in CLIPS:
        for rows in ROWS:
            for name in NOISES:
                yield _errs("sign_flip", clips, f"{name}, {rows} rows", _noise_only(name, clips, [rows] * clips, trials))
        lengths = np.linspace(40, 400, clips).astype(int)
        yield _errs("sign_flip", clips, "clips of 40 to 400 rows", _noise_only("AR(1) noise 0.6", clips, lengths, trials))
        skewed = seeded("skewed", clips).exponential(size=(clips, trials)) - 1
        yield _errs("sign_flip", clips, "skewed differences", skewed)
    for clips in CLIPS:
        for other, spread in ((clips, 1), (clips, 3), (2 * clips, 1), (2 * clips, 3), (2 * clips, 1 / 3)):
            rng = seeded("labels", clips, other, spread)
            a, b = spread * rng.standard_normal((clips, trials)), rng.standard_normal((other, trials))
            p = label_permutation(a, b, n_permutations=2000).p
            wider = "one" if other == clips else "the smaller" if spread > 1 else "the larger"
            how = "equally spread" if spread == 1 else f"{wider} three times as spread"
            yield Cell("label_permutation", clips, f"sets of {clips} and {other}, {how}", round(float((p <= 0.05).mean()), 4), trials)


def plain_labels(clips: int, other: int, trials: int = 2000) -> tuple[float, float]:
    """False positives of permuted labels, the smaller set three times as spread: plain difference of means, and Welch's t."""
    rng = seeded("plain", clips, other)
    a, b = 3 * rng.standard_normal((clips, trials)), rng.standard_normal((other, trials))
    labels = rng.permuted(np.tile(np.arange(clips + other) < clips, (999, 1)), axis=1)
    together = np.concatenate([a, b])
    apart = np.abs(labels @ together / clips - ~labels @ together / other)
    plain = (1 + (apart >= np.abs(a.mean(0) - b.mean(0))).sum(0)) / 1000
    return float((plain <= 0.05).mean()), float((label_permutation(a, b, n_permutations=999).p <= 0.05).mean())


def unrelated(trials: int = TRIALS, guard_trs: int | None = None) -> Iterator[Cell]:
    """How often circular shifts relate what is unrelated."""
    more = {} if guard_trs is None else {"guard_trs": guard_trs}
    for rows in SHIFT_ROWS:
        for name in NOISES:
            rng = seeded("unrelated", rows, name)
            p = circular_shift(noise(name, rng, rows, trials), noise(name, rng, rows, trials), **more).p
            yield Cell("circular_shift", rows, name, round(float((p <= 0.05).mean()), 4), trials)


def rows_as_n(rows: int, name: str, trials: int = TRIALS) -> float:
    """False positives of Pearson's own p-value, which takes every row of a clip for an independent case."""
    from scipy.stats import t as student

    rng = seeded("unrelated", rows, name)
    r = pearson(noise(name, rng, rows, trials), noise(name, rng, rows, trials))
    return float((2 * student.sf(np.abs(r) * np.sqrt((rows - 2) / (1 - r**2)), rows - 2) <= 0.05).mean())


def subjects_as_n(clips: int, trials: int = 2000, *, own: float = 0.5) -> tuple[float, float]:
    """False positives with four subjects of every clip counted as four clips, and with their mean as one.

    Subjects share the film's difference (SD 1) and have a private part of SD ``own``.
    """
    rng = seeded("subjects", clips)
    each = rng.standard_normal((clips, 1, trials)) + own * rng.standard_normal((clips, 4, trials))
    wrong = sign_flip(each.reshape(4 * clips, trials), n_permutations=2000).p
    right = sign_flip(each.mean(1), n_permutations=2000).p
    return float((wrong <= 0.05).mean()), float((right <= 0.05).mean())


def many_parcels(clips: int, *, effect: float, trials: int = 200, parcels: int = 1000) -> dict[str, float]:
    """Sign flips over 1,000 correlated parcels, a tenth of them with a planted effect (in SDs between clips).

    Returns
    -------
    dict
        ``any``: trials with one or more parcels without effect at p_max <= 0.05. ``false``: mean share of such parcels among those at q <= 0.05.
        ``found_max``, ``found_fdr``: share of planted parcels found by either.
    """
    rng = seeded("parcels", clips, effect)
    planted = np.arange(parcels) < parcels // 10 if effect else np.zeros(parcels, bool)
    network = np.arange(parcels) % 7
    tallies = {"any": 0.0, "false": 0.0, "found_max": 0.0, "found_fdr": 0.0}
    for _ in range(trials):
        shared = rng.standard_normal((clips, 7))[:, network]  # half of the variance is the network's
        got = sign_flip(np.sqrt(0.5) * (shared + rng.standard_normal((clips, parcels))) + effect * planted, n_permutations=999)
        high, told = got.p_max <= 0.05, got.q_fdr <= 0.05
        tallies["any"] += (high & ~planted).any() / trials
        tallies["false"] += (told & ~planted).sum() / max(1, told.sum()) / trials
        if effect:
            tallies["found_max"] += high[planted].mean() / trials
            tallies["found_fdr"] += told[planted].mean() / trials
    return tallies


def power_of_signs(clips: int, effect: float, trials: int = 2000) -> float:
    """Share of trials with p <= 0.05 when the mean difference is ``effect`` SDs between clips."""
    return float((sign_flip(seeded("signs", clips, effect).standard_normal((clips, trials)) + effect).p <= 0.05).mean())


def power_of_t(clips: int, effect: float) -> float:
    """The same of the t-test on Gaussian differences, which no valid test beats by much."""
    from scipy.stats import nct, t

    far = t.ppf(0.975, clips - 1)
    return float(nct.sf(far, clips - 1, effect * np.sqrt(clips)) + nct.cdf(-far, clips - 1, effect * np.sqrt(clips)))


def power_of_shifts(rows: int, r: float, name: str, trials: int = 2000) -> float:
    """Share of trials with p <= 0.05 when the true correlation is ``r``."""
    rng = seeded("shifts", rows, r, name)
    a = noise(name, rng, rows, trials)
    return float((circular_shift(a, r * a + np.sqrt(1 - r**2) * noise(name, rng, rows, trials)).p <= 0.05).mean())


def _noise_only(name: str, clips: int, lengths: list[int] | np.ndarray, trials: int) -> np.ndarray:
    """Mean differences of two conditions that differ by noise, [clips, trials]."""
    rng = seeded("clips", name, clips, *lengths)
    return np.stack([(noise(name, rng, rows, trials) - noise(name, rng, rows, trials)).mean(0) for rows in lengths])


def _errs(kind: str, clips: int, setting: str, differences: np.ndarray) -> Cell:
    return Cell(kind, clips, setting, round(float((sign_flip(differences).p <= 0.05).mean()), 4), differences.shape[1])


def _moving(rng: np.random.Generator, rows: int, block: int, draws: int = 400) -> np.ndarray:
    starts = rng.integers(rows - block + 1, size=(draws, -(-rows // block)))
    return (starts[:, :, None] + np.arange(block)).reshape(draws, -1)[:, :rows]


def _ring(rng: np.random.Generator, rows: int, block: int, draws: int = 400) -> np.ndarray:
    starts = rng.integers(rows, size=(draws, -(-rows // block)))
    return (starts[:, :, None] + np.arange(block)).reshape(draws, -1)[:, :rows] % rows


def _stationary(rng: np.random.Generator, rows: int, block: int, draws: int = 400) -> np.ndarray:
    drawn = rng.integers(rows, size=(draws, rows))
    goes_on = rng.random((draws, rows)) >= 1 / block
    for row in range(1, rows):
        drawn[:, row] = np.where(goes_on[:, row], (drawn[:, row - 1] + 1) % rows, drawn[:, row])
    return drawn


def _percentiles(a: np.ndarray, b: np.ndarray, statistic: str, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Plain percentile interval over rows [draws, rows]."""
    rows = len(a)
    counts = np.stack([np.bincount(one, minlength=rows) for one in drawn]) / rows
    mean_a, mean_b, aa, bb, ab = (counts @ one for one in (a, b, a**2, b**2, a * b))
    var_a, var_b, shared = aa - mean_a**2, bb - mean_b**2, ab - mean_a * mean_b
    values = {
        "r": lambda: shared / np.sqrt(var_a * var_b),
        "change": lambda: np.sqrt(np.maximum(var_a + var_b - 2 * shared, 0) / var_a),
        "difference": lambda: mean_a - mean_b,
    }[statistic]()
    low, high = np.quantile(values, [0.025, 0.975], axis=0)
    return low, high


def _cosine(a: np.ndarray, b: np.ndarray, statistic: str) -> tuple[np.ndarray, np.ndarray]:
    """Cosine-weighted long-run variance of what each row contributes (Lazarus et al. 2018), without resampling."""
    from scipy.stats import t as student

    rows = len(a)
    size, each = _contributions(a, b, statistic)
    count = max(2, int(0.4 * rows ** (2 / 3)))
    waves = np.sqrt(2 / rows) * np.cos(np.pi * np.outer(np.arange(1, count + 1), np.arange(rows) + 0.5) / rows)
    reach = student.ppf(0.975, count) * np.sqrt(((waves @ each) ** 2).mean(0) / rows)
    back = {"r": np.tanh, "change": np.exp, "difference": np.asarray}[statistic]
    return back(size - reach), back(size + reach)


def _prewhitened(differences: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Mean of differences: the ring's spread of AR(1) residuals, recoloured (Andrews & Monahan 1992), the AR coefficient corrected for its bias."""
    from scipy.stats import t as student

    rows, mean = len(differences), differences.mean(0)
    steps = differences - mean
    strength = (steps[1:] * steps[:-1]).sum(0) / (steps**2).sum(0)
    strength = np.clip(strength + (1 + 3 * strength) / rows, -0.5, 0.95)
    left = steps[1:] - strength * steps[:-1]
    block = usual_block(rows)
    counts = np.stack([np.bincount(one, minlength=rows - 1) for one in _ring(rng, rows - 1, block)]) / (rows - 1)
    blocks = rows / block
    reach = student.ppf(0.975, 1.5 * (blocks - 1)) * np.sqrt(blocks / (blocks - 1)) * (counts @ (left - left.mean(0))).std(0, ddof=1) / (1 - strength)
    return mean - reach, mean + reach


def _contributions(a: np.ndarray, b: np.ndarray, statistic: str) -> tuple[np.ndarray, np.ndarray]:
    """The size on its even scale [trials] and each row's contribution to it, mean zero [rows, trials]."""
    if statistic == "difference":
        return (a - b).mean(0), (a - b) - (a - b).mean(0)
    a, b = a - a.mean(0), b - b.mean(0)
    if statistic == "change":
        power, base = ((a - b) ** 2).mean(0), (a**2).mean(0)
        return np.log(power / base) / 2, ((a - b) ** 2 / power - a**2 / base) / 2
    a, b = a / a.std(0), b / b.std(0)
    r = (a * b).mean(0)
    return np.arctanh(r), (a * b - r * (a**2 + b**2) / 2) / (1 - r**2)
