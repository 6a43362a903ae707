"""The sound stream of published VIBE models, ``vibe-audio-1``: patches of an audio spectrogram transformer (AST) per TR.

The model hears the 10.24 s that end with the TR. A window is a whole number of spectrogram frames and so is a TR (149), so the film's
spectrogram is computed once and windows are cut from it; frames that no window needs any more are dropped. Within the window the TR's own
patches are averaged over frequency, then over time (mean, and standard deviation beside it).

Source: reference page "VIBE", section 3B "Audio". The published port sums up TR boundaries in floating point, which moves some windows by one
sample and lets some rows end one patch early; here boundaries are products and exact.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from extractors.backbone import Backbone, Placement, in_batches, recording
from extractors.clip import Clip
from extractors.errors import ModelError
from extractors.grid import TR
from extractors.hub_files import LocalModel
from extractors.in_thread import Tell, in_thread
from extractors.stages import Stage, stage_clock
from extractors.streams import Stream
from extractors.transcript import Transcript

if TYPE_CHECKING:
    from torch import nn

EXTRACTOR = "vibe-audio-1"
RATE = 16_000
WINDOW_S = 10.24
WINDOW = round(WINDOW_S * RATE)
ROW = round(TR * RATE)
"""Samples of a TR."""
FRAME, HOP, N_FFT = 400, 160, 512
"""Samples of a spectrogram frame, from one frame to the next, and of its Fourier transform."""
MEAN, STD = -4.2677393, 4.5689974
"""Of AudioSet's log-mel values; used where the backbone's ``preprocessor_config.json`` is missing."""
SPECIAL_TOKENS = 2
BLOCK = 2_000
FLOOR = 2.0**-23


class VibeAudio:
    """Extractor of the sound stream.

    Parameters
    ----------
    local : LocalModel
        An AST model, with or without its classification head.
    weights : str
        What identifies its weights (:func:`extractors.hub_files.weights_id`).
    layer_index : int
        Which hidden state, counted from the end: 1 is the last block's output, 2 that of the block before it. Later blocks are not loaded.
    placement : Placement
    """

    stream = "audio"
    window_s = WINDOW_S

    def __init__(self, local: LocalModel, *, weights: str, layer_index: int = 2, placement: Placement = Placement()):
        self.local = local
        self.weights = weights
        self.layer_index = layer_index
        self.placement = placement

    @property
    def id(self) -> str:
        """Id with its version and its backbone."""
        return f"{EXTRACTOR} {self.local.name}"

    @property
    def dim(self) -> int:
        """Columns of the stream: mean and standard deviation of every channel."""
        return 2 * self.backbone.config.hidden_size

    @cached_property
    def backbone(self) -> Backbone:
        """The blocks up to the one that is read; ModelError ``no_such_layer``."""
        blocks = Backbone(self.local, "ASTModel").config.num_hidden_layers
        if not 1 <= self.layer_index <= blocks:
            raise ModelError(
                "no_such_layer",
                f"The audio layer index must be 1 to {blocks} for {self.local.name}, but got {self.layer_index} instead.",
                "Correct audio_extractor_last_layer_index in the model's config.json.",
            )
        return Backbone(self.local, "ASTModel", placement=self.placement, changes={"num_hidden_layers": blocks - self.layer_index + 1})

    @cached_property
    def normalisation(self) -> tuple[float, float]:
        """Mean and standard deviation that log-mel values are standardised with."""
        path = self.local.folder / "preprocessor_config.json"
        try:
            values = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
            mean, std = (float(values.get(name, default)) for name, default in (("mean", MEAN), ("std", STD)))
            if values.get("do_normalize", True) is False:
                mean, std = 0.0, 0.5
            if not (math.isfinite(mean) and math.isfinite(std) and std > 0):
                raise ValueError
        except (OSError, ValueError, TypeError, AttributeError):
            problem = f"The preprocessor_config.json of {self.local.name} cannot be used."
            raise ModelError("config_invalid", problem, "Get the model's files again.") from None
        return mean, std

    def content(self, clip: Clip, transcript: Transcript) -> dict[str, Any] | None:
        """See :class:`extractors.streams.StreamExtractor`."""
        if not clip.has_audio:
            return None
        mean, std = self.normalisation
        parameters = {"layer_index": self.layer_index, "window_s": WINDOW_S, "mean": mean, "std": std}
        made_by = {"weights": self.weights, "config": self.backbone.fingerprint, "dtype": self.placement.dtype}
        return {"extractor": EXTRACTOR, "track": clip.audio_key, **made_by, "parameters": parameters}

    def compute(self, clip: Clip, transcript: Transcript) -> Iterator[Stage | Stream]:
        """See :class:`extractors.streams.StreamExtractor`."""
        count = clip.n_trs

        def listen(tell: Tell) -> np.ndarray:
            spectrogram = Spectrogram(clip.samples(), self.backbone.config.num_mel_bins)
            with self.backbone.using(tell) as module:

                def windows(start: int, stop: int) -> np.ndarray:
                    tell(start, f"Sound: {start} of {count} windows")
                    return self._rows(module, spectrogram, start, stop)

                return np.concatenate(in_batches(count, self.placement.batch, windows, tell))

        at = stage_clock("audio", max(count, 1))
        array = np.zeros((0, self.dim), np.float32)
        if count:
            array = yield from in_thread("audio", count, f"Loading {self.local.name.rpartition('/')[2]}", listen)
        yield at(max(count, 1), "Sound analysed")
        yield Stream(array)

    def _rows(self, module: nn.Module, spectrogram: Spectrogram, start: int, stop: int) -> np.ndarray:
        """Rows ``start`` to ``stop - 1`` of the stream, float32 [stop - start, dim]."""
        import torch

        config, parameter = module.config, next(module.parameters())
        bands = (config.num_mel_bins - config.patch_size) // config.frequency_stride + 1
        times = (config.max_length - config.patch_size) // config.time_stride + 1
        values = self._input(spectrogram, start, stop, config.max_length)
        blocks = module.layers if hasattr(module, "layers") else module.encoder.layer
        with recording({"block": blocks[-1]}) as kept:
            module(torch.from_numpy(values).to(parameter.device, parameter.dtype))
        patches = kept["block"][:, SPECIAL_TOKENS:].float().unflatten(1, (bands, times)).mean(1)
        rows = []
        for i in range(stop - start):
            first, last = patches_of(start + i, times)
            own = patches[i, first:last]
            rows.append(torch.cat([own.mean(0), own.std(0, correction=0)]))
        return torch.stack(rows).cpu().numpy()

    def _input(self, spectrogram: Spectrogram, start: int, stop: int, length: int) -> np.ndarray:
        """Standardised windows of the rows, float32 [stop - start, length, bands]; what a short window lacks is 0 before standardising."""
        values = np.zeros((stop - start, length, spectrogram.bands), np.float32)
        spans = [frames_of(row) for row in range(start, stop)]
        frames = spectrogram.frames(spans[0][0], spans[-1][1])
        for i, (first, last) in enumerate(spans):
            window = frames[first - spans[0][0] : last - spans[0][0]][:length]
            values[i, : len(window)] = window
        mean, std = self.normalisation
        return (values - np.float32(mean)) / np.float32(2 * std)


def samples_of(row: int) -> tuple[int, int]:
    """First and last (exclusive) sample of the window that ends with a TR."""
    stop = (row + 1) * ROW
    return max(0, stop - WINDOW), stop


def frames_of(row: int) -> tuple[int, int]:
    """First and last (exclusive) spectrogram frame of a TR's window: the frames that lie in it whole."""
    start, stop = samples_of(row)
    return start // HOP, start // HOP + (stop - start - FRAME) // HOP + 1


def patches_of(row: int, times: int) -> tuple[int, int]:
    """First and last (exclusive) of the ``times`` patches of a window that belong to its last TR; at least one."""
    start, stop = samples_of(row)
    first = (stop - start - ROW) * times // WINDOW
    return first, max(first + 1, min(times, (stop - start) * times // WINDOW))


def mel_weights(bands: int) -> np.ndarray:
    """Kaldi's mel bands from 20 Hz to 8 kHz, triangles over mel (1127 ln(1 + Hz / 700)), float64 [N_FFT // 2 + 1, bands].

    With 128 bands the lowest are narrower than a step of the Fourier transform, and some hold nothing.
    """
    lowest, highest = 1127 * np.log1p(np.array([20, RATE / 2]) / 700)
    bins = 1127 * np.log1p(np.arange(N_FFT // 2 + 1)[:, None] * RATE / N_FFT / 700)
    edges = np.linspace(lowest, highest, bands + 2)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(np.minimum(rising, falling), 0)


class Spectrogram:
    """Log-mel frames of a film, each computed once while windows move forward; earlier ones are dropped.

    Frame ``i`` begins at sample ``160 i``: 25 ms, mean removed, pre-emphasis 0.97, Hann window, power, Kaldi's mel bands from 20 Hz to 8 kHz,
    natural logarithm, as AST's own feature extractor does.

    Parameters
    ----------
    samples : numpy.ndarray of float, shape [n]
        16 kHz, may be a memory map; behind its end there is silence.
    bands : int
    """

    def __init__(self, samples: np.ndarray, bands: int):
        self.bands = bands
        self._samples = samples
        self._window = np.hanning(FRAME)
        self._weights = mel_weights(bands)
        self._first = 0
        self._kept = np.zeros((0, bands), np.float32)

    def frames(self, first: int, stop: int) -> np.ndarray:
        """Frames ``first`` to ``stop - 1``, float32 [stop - first, bands]; frames before ``first`` are forgotten."""
        if not self._first <= first <= self._first + len(self._kept):
            self._first, self._kept = first, self._kept[:0]
        self._kept = self._kept[first - self._first :]
        self._first = first
        known = first + len(self._kept)
        new = [self._compute(start, min(start + BLOCK, stop)) for start in range(known, stop, BLOCK)]
        self._kept = np.concatenate([self._kept, *new])
        return self._kept[: stop - first]

    def _compute(self, first: int, stop: int) -> np.ndarray:
        length = (stop - first - 1) * HOP + FRAME
        piece = np.asarray(self._samples[first * HOP : first * HOP + length], np.float64)
        piece = np.pad(np.nan_to_num(piece, nan=0.0, posinf=1.0, neginf=-1.0), (0, length - len(piece)))
        frames = np.lib.stride_tricks.sliding_window_view(piece, FRAME)[::HOP]
        frames = frames - frames.mean(1, keepdims=True)
        frames[:, 1:] -= 0.97 * frames[:, :-1]
        frames[:, 0] *= 1 - 0.97
        spectra = np.fft.rfft(frames * self._window, N_FFT)
        power = spectra.real**2 + spectra.imag**2
        return np.log(np.maximum(power @ self._weights, FLOOR)).astype(np.float32)
