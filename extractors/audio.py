"""The sound stream ``classical-audio-1``: log-mel spectrum, loudness, onsets, timbre, voice and rhythm of the envelope per TR.

16 kHz mono samples are looked at in Hann windows of 512 samples every 10 ms; frame ``i`` is centred on ``i / 100`` s and belongs to the TR
that holds that time. Levels are decibels re a full-scale sine, floored at -80 dB and shifted so that digital silence is 0 and full scale
is 4 (``level = dB / 20 + 4``). What has no meaning in silence (timbre, pitch, rhythm) is faded to 0 there. The film is read in blocks of
20 s, so memory stays small whatever its length.

The rhythm columns are the share of the envelope's amplitude that moves at 1 to 16 Hz, in bands of one octave: speech peaks near 4 Hz
(Ding et al. 2017, Neurosci Biobehav Rev 81:181), so that it differs from music without any words.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from extractors.errors import FeatureError
from extractors.grid import TR

EXTRACTOR_ID = "classical-audio-1"
RATE = 16_000
N_FFT = 512
HOP = 160
MELS = 32
LOWEST_HZ = 50.0
RHYTHM_FRAMES = 256
"""Frames (10 ms) around the middle of a TR in which the envelope's rhythm is measured."""
WINDOW_S = (RHYTHM_FRAMES / 100 - TR) / 2
"""Past before its own TR that a row looks at, in seconds (and as much after it)."""
ONSET_RISE = 0.12
"""Least rise of the mean mel level in 10 ms (2.4 dB) that counts as an onset; steady noise stays below it."""
RHYTHMS = ((1, 2), (2, 4), (4, 8), (8, 16))
GROUPS = ("low", "mid_low", "mid_high", "high", "all")
PARAMETERS = {"rate": RATE, "n_fft": N_FFT, "hop": HOP, "mels": MELS, "lowest_hz": LOWEST_HZ, "rhythm_frames": RHYTHM_FRAMES, "onset": ONSET_RISE}

_FRAME_NAMES = (
    *(f"mel{band:02d}.mean" for band in range(MELS)),
    "level.mean",
    "silence.share",
    "onset.strength",
    "offset.strength",
    "centroid.mean",
    "bandwidth.mean",
    "flatness.mean",
    "rolloff.mean",
    "steadiness.mean",
    "voicing.mean",
    "voiced.share",
)
_SPREAD_NAMES = (*(f"mel{band:02d}.sd" for band in range(MELS)), "level.sd", "centroid.sd", "flatness.sd", "voicing.sd")
_ROW_NAMES = (
    "level.peak",
    "onset.peak",
    "onset.rate",
    "pitch.mean",
    "pitch.sd",
    *(f"rhythm.{group}.{low}to{high}hz" for group in GROUPS for low, high in RHYTHMS),
)
AUDIO_NAMES: tuple[str, ...] = _FRAME_NAMES + _SPREAD_NAMES + _ROW_NAMES
"""One name per column. ``melNN``: level of a mel band, 0 lowest; ``onset``/``offset``: mean rise and fall of the mel levels from one frame
to the next; ``onset.rate``: log(1 + peaks of the rise per second); ``centroid``, ``bandwidth``, ``rolloff`` (85 % of the power): octaves
(re 1 kHz); ``flatness``: 0 tone to 1 noise; ``onset.peak``: the largest rise, log-compressed; ``steadiness``: correlation
of the spectrum with that 100 ms earlier; ``voicing``: height of the
autocorrelation peak at 75 to 400 Hz; ``pitch``: octaves re 150 Hz over voiced frames; ``rhythm``: amplitude of the envelope's movement in
a band over its mean. ``.sd``: standard deviation within the TR."""
AUDIO_DIM = len(AUDIO_NAMES)

_BLOCK = 2000
_FLOOR = 1e-8  # -80 dB


def mel_weights() -> np.ndarray:
    """Triangular filters with peak 1 on Slaney's mel scale (linear to 1 kHz, then logarithmic), float32 [N_FFT // 2 + 1, MELS]."""
    step, knee = 200 / 3, 1000.0
    log_step = np.log(6.4) / 27

    def to_mel(hz: float) -> float:
        return hz / step if hz < knee else knee / step + np.log(hz / knee) / log_step

    mels = np.linspace(to_mel(LOWEST_HZ), to_mel(RATE / 2), MELS + 2)
    edges = np.where(mels < knee / step, mels * step, knee * np.exp(log_step * (mels - knee / step)))
    bins = np.arange(N_FFT // 2 + 1)[:, None] * RATE / N_FFT
    rising = (bins - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins) / np.diff(edges)[1:]
    return np.maximum(np.minimum(rising, falling), 0).astype(np.float32)


@lru_cache(maxsize=1)
def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Window (scaled so that a full-scale sine has power 1), mel weights, correction of the autocorrelation for the window."""
    window = np.hanning(N_FFT + 1)[:-1].astype(np.float32)
    own = np.fft.irfft(np.abs(np.fft.rfft(window, 2 * N_FFT)) ** 2)[:N_FFT]
    return window * (2 / window.sum()), mel_weights(), (own[0] / np.maximum(own, 1e-6)).astype(np.float32)


def power_spectra(samples: np.ndarray, first: int, count: int) -> np.ndarray:
    """Power of frames ``first`` to ``first + count - 1``, float32 [count, N_FFT // 2 + 1]; a full-scale sine has 1 in its bin.

    ``samples`` is float [n] at 16 kHz; before its start and after its end there is silence.
    """
    start = first * HOP - N_FFT // 2
    stop = start + (count - 1) * HOP + N_FFT
    piece = np.asarray(samples[max(start, 0) : max(stop, 0)], np.float32)
    piece = np.nan_to_num(piece, nan=0.0, posinf=1.0, neginf=-1.0)
    before = min(max(-start, 0), stop - start)
    piece = np.pad(piece, (before, stop - start - before - len(piece)))
    frames = np.lib.stride_tricks.sliding_window_view(piece, N_FFT)[::HOP]
    spectra = np.fft.rfft(frames * _tables()[0])
    return (spectra.real**2 + spectra.imag**2).astype(np.float32)


def _level(power: np.ndarray) -> np.ndarray:
    """Power as a level: 0 at -80 dB and below, 4 at full scale."""
    return 4 + 0.5 * np.log10(np.maximum(power, _FLOOR))


def _voice(power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Voicing 0 to 1 and pitch in octaves re 150 Hz of frames given as power [frames, bins]."""
    lags = np.fft.irfft(power)[:, : N_FFT // 2]
    lags = lags / np.maximum(lags[:, :1], 1e-12) * _tables()[2][: N_FFT // 2]
    shortest, longest = RATE // 400, RATE // 75
    inside = lags[:, shortest : longest + 1]
    peak = (inside >= lags[:, shortest - 1 : longest]) & (inside >= lags[:, shortest + 1 : longest + 2])
    # A slight preference for short lags keeps the first of many equal peaks.
    height = np.where(peak, inside * np.linspace(1, 0.9, inside.shape[1]), 0)
    best = height.argmax(1)
    voicing = np.clip(height[np.arange(len(power)), best], 0, 1)
    return voicing, np.log2(RATE / (shortest + best) / 150)


def _rhythm(envelopes: np.ndarray, middles: np.ndarray) -> np.ndarray:
    """Rhythm columns [rows, groups * bands] of envelopes [frames, groups] around the frames ``middles`` [rows]."""
    half = RHYTHM_FRAMES // 2
    padded = np.pad(envelopes, ((half, half), (0, 0)), mode="edge")
    window = np.hanning(RHYTHM_FRAMES + 2)[1:-1]
    window /= window.sum()
    hz = np.fft.rfftfreq(RHYTHM_FRAMES, HOP / RATE)
    columns = np.empty((len(middles), len(GROUPS), len(RHYTHMS)))
    for k, middle in enumerate(middles):
        piece = padded[middle : middle + RHYTHM_FRAMES]
        mean = window @ piece
        movement = np.abs(np.fft.rfft((piece - mean) * window[:, None], axis=0)) ** 2
        for i, (low, high) in enumerate(RHYTHMS):
            columns[k, :, i] = 2 * np.sqrt(movement[(hz >= low) & (hz < high)].sum(0)) / (mean + 1e-3)
    return columns.reshape(len(middles), -1)


def _block_columns(power: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per frame: columns ``_FRAME_NAMES`` but for the change ones [frames, .], envelopes [frames, groups], pitch [frames]."""
    bins = np.arange(power.shape[1]) * RATE / N_FFT
    mel_power = power @ _tables()[1]
    mel = _level(mel_power)
    total = power[:, 2:].sum(1)  # below 60 Hz there is mostly offset and hum
    level = _level(total / 1.5)  # a sine fills three bins of a Hann window: 1, 1/4 and 1/4
    audible = np.clip((level - 1) / 1, 0, 1)  # -60 dB fades to -40 dB
    share = power[:, 2:] / np.maximum(total, 1e-12)[:, None]
    octave = np.log2(bins[2:] / 1000)
    centroid = share @ octave
    bandwidth = np.sqrt(np.maximum(share @ octave**2 - centroid**2, 0))
    flatness = np.exp(np.log(share + 1e-10).mean(1)) * share.shape[1]
    rolloff = octave[np.minimum((np.cumsum(share, 1) < 0.85).sum(1), len(octave) - 1)]
    voicing, pitch = _voice(power)
    voicing = voicing * audible
    columns = np.column_stack(
        [
            mel,
            level,
            level < 1.5,
            centroid * audible,
            bandwidth * audible,
            np.clip(flatness, 0, 1) * audible,
            rolloff * audible,
            voicing,
            voicing > 0.6,
        ]
    )
    amplitude = np.sqrt(mel_power)
    groups = [amplitude[:, g * MELS // 4 : (g + 1) * MELS // 4].mean(1) for g in range(4)]
    return columns, np.column_stack([*groups, amplitude.mean(1)]), pitch


def audio_features(samples: np.ndarray, n_trs: int, *, on_progress: Callable[[float], None] | None = None) -> np.ndarray:
    """The sound stream.

    Parameters
    ----------
    samples : numpy.ndarray of float32, shape [n]
        16 kHz mono, -1 to 1, time 0 = film time 0; may be a memory map. Time it does not cover is silence.
    n_trs : int
        Rows wanted.
    on_progress : callable, optional
        Told the share done, 0 to 1, about every 20 s of film; what it raises stops the work.

    Returns
    -------
    numpy.ndarray of float32, shape [n_trs, AUDIO_DIM]

    Raises
    ------
    FeatureError
        ``bad_samples``: not one channel.
    """
    if samples.ndim != 1:
        raise FeatureError("bad_samples", f"Samples must be one channel [n], but got {list(samples.shape)} instead.")
    if n_trs == 0:
        return np.zeros((0, AUDIO_DIM), np.float32)
    total = int(np.ceil(n_trs * TR * 100 - 1e-6))
    parts = []
    for first in range(0, total, _BLOCK):
        if on_progress is not None:
            on_progress(first / total)
        parts.append([part.astype(np.float32) for part in _block_columns(power_spectra(samples, first, min(_BLOCK, total - first)))])
    still, envelopes, pitch = (np.concatenate(part) for part in zip(*parts, strict=True))

    mel = still[:, :MELS]
    step = np.diff(mel, axis=0, prepend=mel[:1])
    rise, fall = np.maximum(step, 0).mean(1), np.maximum(-step, 0).mean(1)
    shape = mel - mel.mean(1, keepdims=True)
    earlier = shape[np.maximum(np.arange(total) - 10, 0)]
    product = np.sqrt((shape**2).sum(1) * (earlier**2).sum(1))
    steadiness = np.where(product > 0.5, (shape * earlier).sum(1) / np.maximum(product, 0.5), 0)
    frames = np.column_stack([still[:, : MELS + 2], 10 * rise, 10 * fall, still[:, MELS + 2 : -2], steadiness, still[:, -2:]])

    row = np.minimum(np.floor(np.arange(total) / 100 / TR + 1e-6).astype(int), n_trs - 1)
    starts = np.searchsorted(row, np.arange(n_trs))
    counts = np.bincount(row, minlength=n_trs)[:, None]

    def row_mean(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values.astype(np.float64), starts, axis=0) / counts

    means = row_mean(frames)
    spread = frames[:, [_FRAME_NAMES.index(name.replace(".sd", ".mean")) for name in _SPREAD_NAMES]]
    sds = np.sqrt(row_mean((spread - row_mean(spread)[row]) ** 2))

    voiced = frames[:, _FRAME_NAMES.index("voiced.share")]
    weight = np.maximum(row_mean(voiced[:, None]), 1e-6)
    pitch_mean = row_mean((voiced * pitch)[:, None]) / weight
    pitch_sd = np.sqrt(row_mean((voiced * (pitch - pitch_mean[row, 0]) ** 2)[:, None]) / weight)
    near = np.pad(rise, 3)
    is_peak = (rise > ONSET_RISE) & (rise >= np.max([near[3 + lag : 3 + lag + total] for lag in (-3, -2, -1, 1, 2, 3)], axis=0))
    middles = np.minimum(np.round((np.arange(n_trs) + 0.5) * TR * 100).astype(int), total - 1)
    columns = np.concatenate(
        [
            means,
            sds,
            np.maximum.reduceat(frames[:, MELS], starts)[:, None],
            np.log1p(10 * np.maximum.reduceat(rise, starts))[:, None],
            np.log1p(row_mean(is_peak[:, None]) * 100),
            pitch_mean,
            pitch_sd,
            _rhythm(envelopes, middles) * np.clip(means[:, [_FRAME_NAMES.index("level.mean")]] - 1, 0, 1),
        ],
        axis=1,
    )
    return columns.astype(np.float32)
