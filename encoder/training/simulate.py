"""Planted subjects: four simulated people whose responses to any film can be computed.

One written, seeded generative model (section 6 of the design). A parcel's drive is a weighted sum of truth features (picture, sound, words),
its weights chosen by network and centroid (:data:`RULES`); drives pass stated nonlinearities and an HRF of the parcel's own; AR(1)
noise is added. Every stage, for parcel p and subject s::

    drive    d = sum over families f of g[s, f] * (W[p, f] + e * V[s, p, f]) . z_f        z: truth features in SDs, 0 at rest
    window   d <- running exponential mean over tau[p] seconds (words are gathered; Hasson et al. 2008, J Neurosci 28:2539)
    gate     language parcels: words * (0.45 + 0.55 * audibility)                         an audio-by-text interaction
    compress y = sign(d) * log(1 + c |d|) / c, c = 0.6                                    Boynton et al. 1996 see near-linear, later work compression
    adapt    y <- y / (1 + 0.35 * running mean of |y| over 8 s)                           after Heeger 1992 (Vis Neurosci 9:181)
    BOLD     y convolved with a Glover HRF that peaks at t[p] + delay[s], 4 to 7 s        Glover 1999; Handwerker et al. 2004 for the spread
    scale    (y - mean) / SD over the reference clips; signal = a[s, p] * that; response = signal + n[s, p] * AR(1) noise

Subjects differ in overall gain, in the weight of each family (g), in delay, in noise, and by a small smooth random remix (e V): differences that a
subject embedding can express, but for the remix. The noise ceiling of a parcel is the correlation of signal and response. Nothing here was
fitted to a brain: the rules are textbook sentences, with their caveats beside them.

Only this file reads planted weights; whoever trains or predicts receives arrays.
"""

from __future__ import annotations

import copy
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from encoder.atlas import Atlas, load_atlas
from encoder.training.truth_features import BANDS, FIELDS, PICTURE_NAMES, SOUND_NAMES, TRUTH_NAMES
from extractors.grid import TR

SEED = 20250101
SUBJECTS = (1, 2, 3, 5)
"""Names of the simulated subjects, after the numbering of the published model; rows 0..3."""

FAMILIES = ("picture", "sound", "words")
LAGS = 21
AR = 0.35
AR_VARIANCE = 1.0
"""Of the noise before its SD is applied."""
COMPRESSION = 0.6
ADAPTATION, ADAPTATION_S = 0.35, 8.0
GATE_FLOOR = 0.45
REMIX = 0.18
"""SD of a subject's private weights relative to the shared ones."""


@dataclass(frozen=True)
class Rule:
    """One sentence of the generative model, with where it comes from and where it is wrong."""

    parcels: str
    follows: str
    source: str
    caveat: str


RULES = (
    Rule(
        "Vis",
        "flow energy, edges, motion energy and luminance steps in the opposite half of the field, lower field above and upper field below the "
        "calcarine, near the centre of gaze at the occipital pole and further out in front of it; lateral parcels weight motion, ventral ones edges "
        "and colour, and both see more of the other half",
        "retinotopy: Wandell, Dumoulin & Brewer 2007 (Neuron 56:366); motion: Tootell et al. 1995; colour: Zeki et al. 1991",
        "assumes that the viewer looks at the middle of the picture all the time; centroids are no retinotopic map",
    ),
    Rule(
        "Auditory parcels of SomMot (group Auditory)",
        "ERB and mel bands with a best frequency that rises from front-lateral to back-medial, loudness, syllabic modulation, onsets",
        "tonotopy: Formisano et al. 2003 (Neuron 40:859); modulation: Overath et al. 2015",
        "real tonotopy folds back on itself along Heschl's gyrus; one gradient stands for it",
    ),
    Rule(
        "SomMot, the rest",
        "weakly: sound onsets and slow modulation, picture motion",
        "beat and action observation: Grahn & Brett 2007 (J Cogn Neurosci 19:893)",
        "small effects in measured brains; here only a low ceiling",
    ),
    Rule(
        "DorsAttn",
        "picture motion of both halves, the opposite one more, looming, cuts, luminance steps",
        "Corbetta & Shulman 2002 (Nat Rev Neurosci 3:201)",
        "attention is not modelled, only what tends to draw it",
    ),
    Rule(
        "SalVentAttn",
        "sound onsets, cuts, looming, beginnings of phrases, luminance steps: whatever is sudden or new",
        "Corbetta, Patel & Shulman 2008 (Neuron 58:306); Seeley et al. 2007",
        "salience depends on meaning and history that no feature here holds",
    ),
    Rule(
        "Temporal and frontal language parcels (groups LanguageTemporal, LanguageFrontal; mirror image at 0.55)",
        "words, content words, surprisal, rarity, n-gram embedding, speech cover, gathered over 3 s (temporal) and 5 s (frontal), "
        "weaker when no sound is heard",
        "Fedorenko et al. 2010 (J Neurophysiol 104:1177); Lerner et al. 2011 (J Neurosci 31:2906)",
        "language areas cut across the seven networks and differ between people; comprehension is not modelled",
    ),
    Rule(
        "Default, the rest",
        "the n-gram embedding, content words and new words gathered over 9 s, and less picture motion",
        "Simony et al. 2016 (Nat Commun 7:12141); Raichle et al. 2001",
        "real default-mode responses follow a story's meaning, which an n-gram embedding does not hold",
    ),
    Rule(
        "Cont",
        "a smooth random mixture of words, cuts, motion and sound over 3 s",
        "mixed selectivity: Duncan 2010 (Trends Cogn Sci 14:172)",
        "the mixture is arbitrary",
    ),
    Rule("Limbic", "mostly noise; a little loudness and words", "susceptibility artefacts: Ojemann et al. 1997", "no emotion is modelled"),
)


def hrf(times: np.ndarray, peak_s: np.ndarray) -> np.ndarray:
    """Glover-shaped HRF that peaks at ``peak_s``.

    Parameters
    ----------
    times : float [n]
        Seconds since the impulse.
    peak_s : float [p]
        Peak times in seconds; nilearn's Glover HRF itself peaks at about 5 s, and its time axis is stretched.

    Returns
    -------
    float64 [p, n]
        Two gamma densities (delay 6, undershoot 12, dispersions 0.9, ratio 0.48, as in nilearn), not normalised.
    """
    from scipy.stats import gamma

    stretched = np.asarray(times)[None, :] * (_glover_peak() / np.asarray(peak_s)[:, None])
    return gamma.pdf(stretched, 6 / 0.9, scale=0.9) - 0.48 * gamma.pdf(stretched, 12 / 0.9, scale=0.9)


@lru_cache(maxsize=1)
def _glover_peak() -> float:
    from scipy.stats import gamma

    times = np.arange(0, 12, 0.001)
    return float(times[np.argmax(gamma.pdf(times, 6 / 0.9, scale=0.9) - 0.48 * gamma.pdf(times, 12 / 0.9, scale=0.9))])


def hrf_kernel(peak_s: np.ndarray) -> np.ndarray:
    """Kernel at lags m * TR, [p, 21], each row of unit sum of absolute values.

    Rows of features and of responses both stand for the middle of their TR: an impulse in TR j gives ``h((k - j) * TR)`` in row k.
    """
    kernel = hrf(np.arange(LAGS) * TR, peak_s)
    return kernel / np.abs(kernel).sum(1, keepdims=True)


def smooth_fields(rng: np.random.Generator, centroids: np.ndarray, count: int, *, length_mm: float = 22.0) -> np.ndarray:
    """``count`` Gaussian random fields over the parcels, unit variance, correlated over ``length_mm``: float64 [parcels, count]."""
    squared = np.square(centroids[:, None].astype(float) - centroids[None]).sum(-1)
    kernel = np.exp(-squared / (2 * length_mm**2)) + 1e-6 * np.eye(len(centroids))
    return np.linalg.cholesky(kernel) @ rng.standard_normal((len(centroids), count))


@dataclass(frozen=True, eq=False)
class Scales:
    """What ties planted weights to stimuli: spreads over the reference clips (the generated training clips).

    Attributes
    ----------
    feature_sd : float64 [features]
        Root mean square of each truth feature around rest.
    drive_sd, signal_mean, signal_sd : float64 [4, 1000]
    """

    feature_sd: np.ndarray
    drive_sd: np.ndarray
    signal_mean: np.ndarray
    signal_sd: np.ndarray

    def save(self, path: Path) -> None:
        """Write as safetensors."""
        from safetensors.numpy import save_file

        save_file({name: np.ascontiguousarray(value, np.float64) for name, value in vars(self).items()}, path)

    @classmethod
    def load(cls, path: Path) -> Scales:
        """Read what :meth:`save` wrote."""
        from safetensors.numpy import load_file

        return cls(**load_file(path))


class PlantedSubjects:
    """The generative model, its random parts drawn from ``seed``.

    Attributes
    ----------
    peaks_s : float64 [4, 1000]
        HRF peaks, seconds.
    amplitudes, noise_sd : float64 [4, 1000]
        Of signal and of noise, in z.
    """

    def __init__(self, *, seed: int = SEED, atlas: Atlas | None = None, scales: Scales | None = None):
        self.atlas = atlas or load_atlas()
        self.scales = scales
        self.seed = seed
        rng = np.random.default_rng(seed)
        self._shared, self._windows, self._gated, peak, ceiling = _plan(rng, self.atlas)
        parcels = len(self.atlas.labels)
        fields = smooth_fields(rng, self.atlas.centroids, 4 * len(TRUTH_NAMES), length_mm=30.0).reshape(parcels, 4, -1).transpose(1, 0, 2)
        size = np.sqrt(np.square(self._shared).mean(1, keepdims=True))
        remix = REMIX * fields * size * (self._shared != 0)  # a private accent on what a parcel follows, never a sense of its own
        family_gain = np.exp(0.15 * rng.standard_normal((4, len(FAMILIES))))
        self._family_of = family_indices()
        self._weights = (self._shared[None] + remix) * family_gain[:, None, self._family_of]
        delays = np.array([-0.25, 0.0, 0.3, 0.1])
        self.peaks_s = np.clip(peak[None] + delays[:, None], 4.0, 7.0)
        gains, noises = np.array([1.0, 1.1, 0.9, 0.95]), np.array([1.0, 0.9, 1.1, 1.15])
        self.amplitudes = gains[:, None] * ceiling[None]
        self.noise_sd = noises[:, None] * np.sqrt(1 - ceiling[None] ** 2)

    def fit_scales(self, clips: list[np.ndarray]) -> PlantedSubjects:
        """The same subjects with scales taken from the truth features [T, features] of the reference clips."""
        rows = np.concatenate(clips).astype(np.float64)
        feature_sd = np.maximum(np.sqrt(np.square(rows).mean(0)), 1e-6)
        nothing = np.zeros((len(SUBJECTS), len(self.atlas.labels)))
        fitted = copy.copy(self)
        fitted.scales = Scales(feature_sd, nothing + 1, nothing, nothing + 1)
        drives = np.concatenate([fitted._drive(clip) for clip in clips], axis=1)
        fitted.scales = Scales(feature_sd, np.maximum(drives.std(1), 1e-9), nothing, nothing + 1)
        signals = np.concatenate([fitted._bold(clip) for clip in clips], axis=1)
        fitted.scales = Scales(feature_sd, fitted.scales.drive_sd, signals.mean(1), np.maximum(signals.std(1), 1e-9))
        return fitted

    def signal(self, truth: np.ndarray) -> np.ndarray:
        """Noise-free responses in z, float32 [4, T, 1000], to truth features [T, features]; before the film there was rest."""
        scaled = (self._bold(truth) - self.scales.signal_mean[:, None]) / self.scales.signal_sd[:, None]
        return (self.amplitudes[:, None] * scaled).astype(np.float32)

    def noise(self, n_trs: int, key: str) -> np.ndarray:
        """AR(1) noise in z, float32 [4, n_trs, 1000], fixed by the seed and ``key`` (a clip's name)."""
        rng = np.random.default_rng([self.seed, zlib.crc32(key.encode())])
        white = rng.standard_normal((n_trs, 4, self.noise_sd.shape[1]), dtype=np.float32)
        out = np.empty_like(white)
        state = rng.standard_normal(white.shape[1:], dtype=np.float32)
        for k in range(n_trs):
            state = np.float32(AR) * state + np.float32(np.sqrt(1 - AR**2)) * white[k]
            out[k] = state
        return out.transpose(1, 0, 2) * self.noise_sd[:, None].astype(np.float32)

    def _drive(self, truth: np.ndarray) -> np.ndarray:
        """Gated, windowed drive [4, T, parcels]."""
        z = np.asarray(truth, np.float64) / self.scales.feature_sd
        loudness = z[:, TRUTH_NAMES.index("loudness")]
        gate = GATE_FLOOR + (1 - GATE_FLOOR) * np.tanh(2 * loudness)
        words = self._family_of == FAMILIES.index("words")
        drive = z[:, ~words] @ self._weights[:, :, ~words].transpose(0, 2, 1)
        spoken = z[:, words] @ self._weights[:, :, words].transpose(0, 2, 1)
        drive += np.where(self._gated, gate[:, None], 1.0)[None] * spoken
        return running_mean(drive, self._windows)

    def _bold(self, truth: np.ndarray) -> np.ndarray:
        """Response before scaling, [4, T, parcels]."""
        d = self._drive(truth) / self.scales.drive_sd[:, None]
        y = np.sign(d) * np.log1p(COMPRESSION * np.abs(d)) / COMPRESSION
        y = y / (1 + ADAPTATION * running_mean(np.abs(y), np.full(y.shape[2], ADAPTATION_S)))
        steps = y.shape[1]
        padded = np.concatenate([np.zeros((4, LAGS - 1, y.shape[2])), y], axis=1)
        out = np.zeros_like(y)
        kernels = hrf_kernel(self.peaks_s.ravel()).reshape(4, -1, LAGS)
        for lag in range(LAGS):
            out += kernels[:, None, :, lag] * padded[:, LAGS - 1 - lag : LAGS - 1 - lag + steps]
        return out


def running_mean(values: np.ndarray, tau_s: np.ndarray) -> np.ndarray:
    """Causal exponential mean along axis 1 of [S, T, parcels] with time constants ``tau_s`` [parcels] in seconds; rest before; 0 leaves as is."""
    keep = np.where(tau_s > 0, np.exp(-TR / np.maximum(tau_s, 1e-9)), 0.0)
    out = np.empty_like(values)
    state = np.zeros((values.shape[0], values.shape[2]))
    for k in range(values.shape[1]):
        state = keep * state + (1 - keep) * values[:, k]
        out[:, k] = state
    return out


def family_indices() -> np.ndarray:
    """Family (row of :data:`FAMILIES`) of every truth feature."""
    picture = {*PICTURE_NAMES} | {name for name in TRUTH_NAMES if name.startswith("motion energy")}
    sound = {*SOUND_NAMES} | {name for name in TRUTH_NAMES if name.startswith("mel")}
    return np.array([0 if name in picture else 1 if name in sound else 2 for name in TRUTH_NAMES])


def _plan(rng: np.random.Generator, atlas: Atlas) -> tuple[np.ndarray, ...]:
    """Shared weights [1000, features], windows [1000] s, gated [1000], HRF peaks [1000] s, base ceilings [1000]: the rules as numbers."""
    n = len(atlas.labels)
    x, y, z = atlas.centroids.astype(float).T
    wave = smooth_fields(rng, atlas.centroids, 90)
    waves = iter(wave[:, 40:].T)  # one field for every rule that is varied; the first forty vary ceilings
    weights = {name: np.zeros(n) for name in TRUTH_NAMES}
    windows, peak, ceiling = np.zeros(n), 5.2 + 0.35 * next(waves), np.full(n, 0.3)
    left = atlas.hemispheres == "L"

    def varied(strength: float | np.ndarray, spread: float = 0.3) -> np.ndarray:
        return strength * np.exp(spread * next(waves) - spread**2 / 2)

    def add(where: np.ndarray, names: tuple[str, ...] | list[str], strength: float | np.ndarray, spread: float = 0.3) -> None:
        value = varied(strength, spread) * where / np.sqrt(len(names))
        for name in names:
            weights[name] += value

    visual = atlas.mask("Vis")
    eccentric = np.clip((y + 102) / 45, 0, 1)
    lateral = np.clip((np.abs(x) - 22) / 20, 0, 1)
    ventral = 1 / (1 + np.exp((z + 4) / 4))
    both = 0.05 + 0.25 * np.maximum(lateral, np.clip((y + 75) / 30, 0, 1) * ventral)
    for field in FIELDS:
        side, height, distance = field.split()
        opposite = left == (side == "right")
        place = np.where(opposite, 1.0, both)
        place = place * np.where(height == "upper", 0.25 + 0.75 / (1 + np.exp((z - 4) / 6)), 0.25 + 0.75 / (1 + np.exp(-(z - 4) / 6)))
        place = place * ((1.1 - eccentric) if distance == "near" else (0.1 + eccentric))
        weights[f"flow energy, {field}"] += visual * place * (0.55 + 0.6 * lateral) * (1 - 0.5 * ventral)
        weights[f"motion energy, {side} {distance}"] += visual * place * (0.55 + 0.5 * lateral) * (1 - 0.5 * ventral)
        weights[f"edges, {field}"] += visual * place * (0.35 + 0.45 * ventral) * (1 - 0.5 * lateral)
        dorsal = atlas.mask("DorsAttn")
        weights[f"flow energy, {field}"] += dorsal * np.where(opposite, 0.45, 0.25)
        weights[f"motion energy, {side} {distance}"] += dorsal * np.where(opposite, 0.35, 0.2)
    add(visual, ["luminance step"], 0.7 * (1 - lateral))
    add(visual, ["picture cut"], 0.25)
    add(visual, ["colourfulness"], 0.6 * ventral)
    add(visual, ["luminance"], 0.15 * (1 - eccentric) * (1 - lateral))
    add(visual, ["looming"], 0.25 * lateral)
    ceiling[visual] = (0.62 - 0.12 * eccentric + 0.05 * wave[:, 30])[visual]
    peak[visual] -= 0.2

    auditory = atlas.mask("Auditory")
    place = np.clip((-y + 0.6 * (66 - np.abs(x))) / 50, 0, 1)  # 0 front-lateral (low frequencies), 1 back-medial (high)
    for band in range(BANDS):
        tuned = np.exp(-0.5 * ((band / (BANDS - 1) - place) / 0.18) ** 2)
        weights[f"ERB band {band}"] += auditory * 0.6 * tuned
        weights[f"mel band {band}"] += auditory * 0.5 * tuned
    add(auditory, ["loudness"], 0.3)
    add(auditory, ["syllabic modulation (4 to 9 Hz)"], 0.5)
    add(auditory, ["slow modulation (2 to 4 Hz)"], 0.25)
    add(auditory, ["sound onsets"], 0.35)
    add(auditory, ["speech cover"], 0.3)
    ceiling[auditory] = (0.6 + 0.05 * wave[:, 31])[auditory]
    peak[auditory] -= 0.3

    motor = atlas.mask("SomMot") & ~auditory
    add(motor, ["sound onsets", "slow modulation (2 to 4 Hz)"], 0.6)
    add(motor, [f"flow energy, {field}" for field in FIELDS], 0.4)
    ceiling[motor] = (0.2 + 0.05 * wave[:, 32])[motor]

    dorsal = atlas.mask("DorsAttn")
    add(dorsal, ["looming", "picture cut", "luminance step"], 0.6)
    ceiling[dorsal] = (0.45 + 0.06 * wave[:, 33])[dorsal]

    salient = atlas.mask("SalVentAttn")
    add(salient, ["sound onsets"], 0.8, 0.4)
    add(salient, ["picture cut", "luminance step"], 0.7, 0.4)
    add(salient, ["phrase beginnings"], 0.25, 0.4)
    add(salient, ["looming"], 0.15, 0.4)
    ceiling[salient] = (0.4 + 0.05 * wave[:, 34])[salient]
    peak[salient] += 0.2

    temporal, frontal = atlas.mask("LanguageTemporal"), atlas.mask("LanguageFrontal")
    mirrored = [_mirror(atlas, group) for group in (temporal, frontal)]
    language = np.zeros(n)
    for group, window in ((temporal, 3.0), (frontal, 5.0)):
        language[group], windows[group] = 1.0, window
    for group, window in zip(mirrored, (3.0, 5.0), strict=True):
        language[group], windows[group] = 0.55, window
    speaks = language > 0
    for name in weights:  # language parcels do not follow the rule of the network they lie in
        weights[name][speaks] = 0.0
    add(speaks, ["words", "content words", "syllables", "speech cover"], 1.1)
    add(speaks, ["surprisal", "rarity"], 0.5)
    add(speaks, ["phrase beginnings", "words new within 30 s"], 0.3)
    embedding = [name for name in TRUTH_NAMES if name.startswith("n-gram")]
    for name in embedding:
        weights[name] += speaks * 0.7 * next(waves) / np.sqrt(len(embedding))
    add(speaks, ["syllabic modulation (4 to 9 Hz)"], 0.2)
    ceiling[speaks] = (0.3 + 0.25 * language + 0.04 * wave[:, 35])[speaks]
    peak[speaks] += 0.2

    default = atlas.mask("Default") & ~speaks
    windows[default] = 9.0
    add(default, ["content words", "words new within 30 s", "speech cover"], 0.9)
    for name in embedding:
        weights[name] += default * 0.5 * next(waves) / np.sqrt(len(embedding))
    add(default, [f"flow energy, {field}" for field in FIELDS], -0.35)
    ceiling[default] = (0.4 + 0.06 * wave[:, 37])[default]
    peak[default] += 0.4

    control = atlas.mask("Cont") & ~speaks
    windows[control] = 3.0
    for names in (["words", "speech cover"], ["picture cut", "luminance step"], [f"flow energy, {f}" for f in FIELDS], ["loudness", "sound onsets"]):
        mixture = 0.35 + 0.55 * next(waves)
        for name in names:
            weights[name] += control * mixture / np.sqrt(len(names))
    ceiling[control] = (0.36 + 0.05 * wave[:, 38])[control]
    peak[control] += 0.3

    limbic = atlas.mask("Limbic") & ~speaks
    add(limbic, ["loudness", "words", "colourfulness"], 0.5)
    ceiling[limbic] = (0.12 + 0.04 * wave[:, 39])[limbic]
    matrix = np.stack([weights[name] for name in TRUTH_NAMES], axis=1)
    return matrix, windows, speaks, np.clip(peak, 4.2, 6.8), np.clip(ceiling, 0.03, 0.8)


def _mirror(atlas: Atlas, group: np.ndarray) -> np.ndarray:
    """Right-hemisphere parcels whose centroids are nearest to the mirror images of a left-hemisphere group."""
    right = np.flatnonzero(atlas.hemispheres == "R")
    images = atlas.centroids[group] * np.float32([-1, 1, 1])
    nearest = np.square(images[:, None] - atlas.centroids[right][None]).sum(-1).argmin(1)
    chosen = np.zeros(len(atlas.labels), bool)
    chosen[right[nearest]] = True
    return chosen
