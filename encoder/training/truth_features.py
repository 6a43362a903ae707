"""What the planted subjects see, hear and read: features of their own, computed by code that the model's streams do not share.

The embedded model must not be asked to return a copy of its own inputs, so the truth of section 6 of the design looks at the same
frames, samples and words through other formulas: gradient-based optical flow instead of a Gabor bank, gammatone-shaped (ERB) bands instead
of a mel bank, plain word statistics with its own lists. Every value is log-compressed or bounded, and **exactly 0 at rest** (a still
mid-grey screen, digital silence, no words), so an absent track and an empty one mean the same to a planted subject.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from extractors.features import Features
from extractors.grid import TR, tr_of
from extractors.transcript import Word

ROWS, COLUMNS = 27, 48
SPACING_S = 0.075
"""Frames that follow sooner than this are passed over: 24 to 30 frames a second become 12 to 10."""

FIELDS = tuple(f"{side} {height} {distance}" for side in ("left", "right") for height in ("upper", "lower") for distance in ("near", "far"))
PICTURE_NAMES = (
    tuple(f"flow energy, {field}" for field in FIELDS)
    + tuple(f"edges, {field}" for field in FIELDS)
    + ("flow to the right", "flow to the left", "looming", "luminance step", "picture cut", "colourfulness", "luminance")
)
BANDS = 10
SOUND_NAMES = (
    *(f"ERB band {band}" for band in range(BANDS)),
    "loudness",
    "slow modulation (2 to 4 Hz)",
    "syllabic modulation (4 to 9 Hz)",
    "sound onsets",
)
WORD_NAMES = ("speech cover", "words", "syllables", "content words", "words new within 30 s", "phrase beginnings")
OWN_NAMES = PICTURE_NAMES + SOUND_NAMES + WORD_NAMES
REGIONS = ("left near", "left far", "right near", "right far")
EMBEDDING = 8
BORROWED_NAMES = (
    tuple(f"motion energy, {region}" for region in REGIONS)
    + tuple(f"mel band {band}" for band in range(BANDS))
    + tuple(f"n-gram {axis}" for axis in range(EMBEDDING))
    + ("surprisal", "rarity")
)
"""Pools of the model's own streams, less than half of all truth features."""
TRUTH_NAMES = OWN_NAMES + BORROWED_NAMES

SAMPLE_RATE = 16000
_FUNCTION_WORDS = """
a an the and or but if so as of in on at to for from with by about into over after under up down out off is am are was were be been being
do does did have has had will would can could may might shall should must not no nor i you he she it we they me him her us them my your his
its our their this that these those there here what which who whom whose when where why how than then just very too also some any all
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())


def _shrunk(frame: np.ndarray) -> np.ndarray:
    """Area average of an RGB frame, uint8 [H, W, 3] -> float32 [ROWS, COLUMNS, 3] in 0..1; a smaller frame is repeated up."""
    height, width = frame.shape[:2]
    if height < ROWS or width < COLUMNS:
        frame = frame[np.arange(max(height, ROWS)) * height // max(height, ROWS)][:, np.arange(max(width, COLUMNS)) * width // max(width, COLUMNS)]
        height, width = frame.shape[:2]
    if (height, width) == (2 * ROWS, 2 * COLUMNS):
        pairs = frame.reshape(ROWS, 2, COLUMNS, 2, 3)
        return pairs.sum((1, 3), dtype=np.float32) / (4 * 255.0)
    top, left = np.arange(ROWS) * height // ROWS, np.arange(COLUMNS) * width // COLUMNS
    sums = np.add.reduceat(np.add.reduceat(frame, top, axis=0, dtype=np.float32), left, axis=1)
    area = np.diff(np.append(top, height))[:, None] * np.diff(np.append(left, width))[None]
    return sums / (255.0 * area[..., None])


def _smooth(image: np.ndarray) -> np.ndarray:
    """Binomial blur [1 2 1]/4 along both axes, edges repeated; keeps derivatives of coarse pixels meaningful."""
    padded = np.pad(image, 1, mode="edge")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    return (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 16.0


def _fields() -> np.ndarray:
    """Weights [8, ROWS * COLUMNS] of the eight fields of view, each summing to 1; near means within a third of the half width of the centre."""
    y = (np.arange(ROWS) + 0.5) / ROWS * 2 - 1
    x = (np.arange(COLUMNS) + 0.5) / COLUMNS * 2 - 1
    yy, xx = np.meshgrid(y, x, indexing="ij")
    near = np.hypot(xx, yy) < 0.6
    weights = []
    for field in FIELDS:
        side, height, distance = field.split()
        inside = ((xx < 0) if side == "left" else (xx > 0)) & ((yy < 0) if height == "upper" else (yy > 0)) & (near if distance == "near" else ~near)
        weights.append(inside.ravel() / inside.sum())
    return np.asarray(weights, dtype=np.float32)


class PictureTruth:
    """Accumulates the truth's picture features of one film.

    Flow is estimated from image gradients (Lucas and Kanade 1981: the least-squares solution of ``Ix u + Iy v + It = 0`` over a
    window), flow energy is ``log(1 + mean It^2 / s)`` within a field of view.

    Parameters
    ----------
    n_trs : int
        Rows to make.
    """

    def __init__(self, n_trs: int):
        self.n_trs = n_trs
        self._sums = np.zeros((n_trs, len(PICTURE_NAMES)))
        self._counts = np.zeros(n_trs)
        self._previous: tuple[float, np.ndarray, np.ndarray] | None = None
        self._fields = _fields()
        x = (np.arange(COLUMNS) + 0.5) / COLUMNS * 2 - 1
        y = (np.arange(ROWS) + 0.5) / ROWS * 2 - 1
        self._x, self._y = x[None, :].astype(np.float32), y[:, None].astype(np.float32)

    def add(self, frame: np.ndarray, time_s: float) -> None:
        """Look at one frame, uint8 [H, W, 3], shown at ``time_s`` seconds; frames that follow within SPACING_S are passed over."""
        if self._previous is not None and time_s - self._previous[0] < SPACING_S:
            return
        row = tr_of(time_s)
        if not 0 <= row < self.n_trs:
            return
        rgb = _shrunk(frame)
        grey = _smooth(rgb @ np.float32([0.2126, 0.7152, 0.0722]))
        values = np.zeros(len(PICTURE_NAMES))
        gradient_y, gradient_x = np.gradient(grey)
        edges = self._fields @ np.square([gradient_x, gradient_y]).sum(0).ravel()
        values[8:16] = np.log1p(edges / 2e-4)
        opponent = np.stack([rgb[..., 0] - rgb[..., 1], 0.5 * (rgb[..., 0] + rgb[..., 1]) - rgb[..., 2]])
        values[21] = np.log1p(np.sqrt(np.square(opponent).mean()) / 0.1)
        values[22] = grey.mean() - 128 / 255
        histogram = np.sort(grey.ravel())[::27]  # quantiles of grey: a shot's fingerprint that small motion leaves alone
        if self._previous is not None:
            then, before, fingerprint = self._previous
            values[:8], values[16:19] = self._flow(before, grey, time_s - then)
            values[19] = np.log1p(abs(grey.mean() - before.mean()) / 0.01)
            values[20] = np.log1p(max(0.0, np.abs(histogram - fingerprint).mean() + 0.5 * np.abs(grey - before).mean() - 0.06) / 0.02)
        self._sums[row] += values
        self._counts[row] += 1
        self._previous = (time_s, grey, histogram)

    def _flow(self, before: np.ndarray, now: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
        """Flow energy [8] of the fields of view, and [3] rightward, leftward and outward flow of the whole picture."""
        step = (now - before) * (0.1 / max(dt, 0.02))
        energy = np.log1p(self._fields @ np.square(step).ravel() / 2e-4)
        gy, gx = np.gradient(0.5 * (now + before))
        outward = gx * self._x * COLUMNS / 2 + gy * self._y * ROWS / 2  # expansion moves each point along its own position
        design = np.stack([gx.ravel(), gy.ravel(), outward.ravel() / 16])
        moments = design @ design.T + np.eye(3) * 0.02  # a still or empty picture gives no flow
        u, _, expansion = np.linalg.solve(moments, -design @ step.ravel())
        sure = 1 - np.exp(-np.square(step).mean() / 1e-4)
        u, expansion = np.tanh(u / 1.0) * sure, np.tanh(expansion / 0.6) * sure
        return energy, np.array([max(u, 0.0), max(-u, 0.0), max(expansion, 0.0)])

    def finish(self) -> np.ndarray:
        """Means over each TR, float32 [n_trs, len(PICTURE_NAMES)]; a TR without a frame of its own repeats the row before."""
        rows = np.zeros_like(self._sums)
        for k in range(self.n_trs):
            if self._counts[k]:
                rows[k] = self._sums[k] / self._counts[k]
            elif k:
                rows[k] = rows[k - 1]
                rows[k, :8] = rows[k, 16:21] = 0.0  # a picture that stands still
        return rows.astype(np.float32)


def _erb_bank(frequencies: np.ndarray) -> np.ndarray:
    """Gammatone-shaped power weights [BANDS, bins], centres evenly spaced on the ERB-rate scale (Glasberg and Moore 1990), 100 to 7000 Hz."""
    rate = np.linspace(21.4 * np.log10(1 + 0.00437 * 100), 21.4 * np.log10(1 + 0.00437 * 7000), BANDS)
    centres = (10 ** (rate / 21.4) - 1) / 0.00437
    width = 1.6 * 24.7 * (1 + 0.00437 * centres)  # a little wider than one ERB, so that ten bands leave no gap
    return (1 + ((frequencies[None] - centres[:, None]) / (1.6 * width[:, None])) ** 2) ** -4.0


def sound_truth(samples: np.ndarray, n_trs: int) -> np.ndarray:
    """The truth's sound features.

    Parameters
    ----------
    samples : numpy.ndarray, float32 [n]
        16 kHz mono, time 0 = film time 0; shorter than the film means silence after its end.
    n_trs : int

    Returns
    -------
    numpy.ndarray, float32 [n_trs, len(SOUND_NAMES)]
        Per TR: log-compressed power of ten ERB bands, loudness (summed cube-root excitation), the modulation of the summed excitation at
        2 to 4 and 4 to 9 Hz, and sudden rises.
    """
    hop, window = 160, 512
    frames = int(np.ceil(n_trs * TR * SAMPLE_RATE / hop))
    signal = np.zeros(frames * hop + window, dtype=np.float32)
    kept = min(len(samples), frames * hop)
    signal[window // 2 : window // 2 + kept] = samples[:kept]
    taper = np.hanning(window).astype(np.float32)
    bank = _erb_bank(np.fft.rfftfreq(window, 1 / SAMPLE_RATE)).astype(np.float32)
    power = np.empty((frames, BANDS), dtype=np.float32)
    for start in range(0, frames, 2000):
        stop = min(frames, start + 2000)
        cut = np.lib.stride_tricks.sliding_window_view(signal, window)[start * hop : stop * hop : hop]
        power[start:stop] = (np.abs(np.fft.rfft(cut * taper)) ** 2).astype(np.float32) @ bank.T / (window * np.square(taper).sum())
    excitation = np.log1p(power / 3e-8)  # about -75 dB below full scale is where hearing starts
    specific = np.cbrt(power / 3e-8)
    loud = specific.sum(1) / BANDS
    envelope = np.log1p(loud)
    rise = np.maximum(0.0, excitation[4:] - excitation[:-4]).mean(1)
    onsets = np.concatenate([np.zeros(4), np.maximum(0.0, rise - 0.8)])
    rows = np.zeros((n_trs, len(SOUND_NAMES)), dtype=np.float32)
    slow, syllabic = _modulation(envelope)
    seconds = (np.arange(frames) + 0.5) * hop / SAMPLE_RATE
    row_of = np.minimum((seconds / TR).astype(int), n_trs - 1)
    counts = np.bincount(row_of, minlength=n_trs)[:, None]
    columns = np.column_stack([excitation, envelope, slow, syllabic, onsets])
    np.add.at(rows, row_of, columns.astype(np.float32))
    rows /= np.maximum(counts, 1)
    rows[:, -3:-1] = np.log1p(rows[:, -3:-1] / 0.02)
    rows[:, -1] = np.log1p(rows[:, -1] / 0.05)
    return rows


def _modulation(envelope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared modulation of a 100 Hz envelope at 2 to 4 and at 4 to 9 Hz, from differences of running means."""

    def running(width: int) -> np.ndarray:
        total = np.concatenate([np.zeros(width // 2 + 1), np.cumsum(envelope), np.full(width, envelope.sum())])
        return (total[width : width + len(envelope)] - total[: len(envelope)]) / width

    slow = np.square(running(18) - running(44))
    return slow, np.square(running(7) - running(18))


def word_truth(words: Sequence[Word], n_trs: int) -> np.ndarray:
    """The truth's word features, float32 [n_trs, len(WORD_NAMES)].

    Speech cover is the share of the TR under a word; the counts (words, syllables as groups of vowels, content words by a list of function
    words, words not heard within 30 s, words after 0.6 s of pause) belong to the TR of the word's end, as in the Algonauts tables, and are
    compressed with ``log(1 + n)``.
    """
    rows = np.zeros((n_trs, len(WORD_NAMES)))
    heard: dict[str, float] = {}
    before = -1e9
    for word in sorted(words, key=lambda word: word.onset):
        first, last = tr_of(word.onset), tr_of(word.offset)
        for k in range(max(first, 0), min(last, n_trs - 1) + 1):
            rows[k, 0] += max(0.0, min(word.offset, (k + 1) * TR) - max(word.onset, k * TR)) / TR
        text = re.sub(r"[^a-z']", "", word.text.lower())
        if 0 <= last < n_trs and text:
            content = text not in FUNCTION_WORDS
            new = word.onset - heard.get(text, -1e9) > 30.0
            beginning = word.onset - before > 0.6
            rows[last, 1:] += (1, max(1, len(re.findall(r"[aeiouy]+", text))), content, new, beginning)
        heard[text] = word.onset
        before = word.offset
    rows[:, 0] = np.minimum(rows[:, 0], 1.0)
    rows[:, 1:] = np.log1p(rows[:, 1:])
    return rows.astype(np.float32)


def own_features(picture: np.ndarray | None, sound: np.ndarray | None, words: np.ndarray | None, n_trs: int) -> np.ndarray:
    """The truth's own features side by side, float32 [n_trs, len(OWN_NAMES)]; None stands for a track that is not there (rest)."""
    parts = [
        np.zeros((n_trs, len(names)), np.float32) if part is None else part
        for part, names in ((picture, PICTURE_NAMES), (sound, SOUND_NAMES), (words, WORD_NAMES))
    ]
    return np.concatenate(parts, axis=1)


def borrowed_features(features: Features) -> np.ndarray:
    """Pools of the model's own streams, float32 [n_trs, len(BORROWED_NAMES)]; a track that is not there gives zeros."""
    from extractors.audio import AUDIO_NAMES
    from extractors.text import TEXT_NAMES
    from extractors.video import DIRECTIONS, VIDEO_NAMES

    columns = []
    for side in ("left", "right"):
        for region in ("centre", "periphery"):
            chosen = [VIDEO_NAMES.index(f"motion.{direction}deg.{side}_{region}") for direction in DIRECTIONS]
            columns.append(np.maximum(features["video"][:, chosen].mean(1) - 0.05, 0))  # plain grey already gives up to 0.05
    mels = [index for index, name in enumerate(AUDIO_NAMES) if re.fullmatch(r"mel\d\d\.mean", name)]
    columns += [features["audio"][:, chosen].mean(1) for chosen in np.array_split(mels, BANDS)]
    columns += [features["text"][:, TEXT_NAMES.index(f"word_ngrams.context{axis:02d}")] for axis in range(EMBEDDING)]
    columns += [features["text"][:, TEXT_NAMES.index(name)] for name in ("surprisal.per_s", "rarity.mean")]
    return np.stack(columns, axis=1).astype(np.float32)


def truth_features(own: np.ndarray, borrowed: np.ndarray) -> np.ndarray:
    """All truth features, float32 [n_trs, len(TRUTH_NAMES)]."""
    return np.concatenate([own, borrowed], axis=1)
