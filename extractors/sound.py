"""Decoded sound, laid on film time: one run of samples without gaps, from film time 0 to the film's end."""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np

SAMPLE_RATE = 16000
"""Rate of the mono samples that every extractor hears."""

_SURROUND_GAIN = 1 / (1 + 2 * 0.5**0.5)
"""Front, centre and rear are added at 1, 0.71 and 0.71 when surround is mixed down; this keeps the sum below full scale."""

_TOLERANCE_S = 0.05  # times are rounded by containers; only a larger step is a gap or an overlap


class SoundLine:
    """Resample decoded frames and place them by their times.

    Gaps become silence, overlaps and whatever lies before film time 0 or after the end is dropped.

    Parameters
    ----------
    rate : int
        Output samples per second.
    layout : {"mono", "stereo"}
        More channels are mixed down.
    total : int
        Output samples in all.
    """

    def __init__(self, rate: int, layout: str, total: int):
        self.rate, self.layout, self.total = rate, layout, total
        self.channels = 1 if layout == "mono" else 2
        self.written = 0
        self._resampler: av.AudioResampler | None = None
        self._kind: tuple | None = None
        self._begin = 0.0  # film time at which the present resampler began
        self._heard = 0  # input samples it was given
        self._skip = 0
        self._gain = np.float32(1.0)

    def add(self, frame: av.AudioFrame, time_s: float | None) -> Iterator[np.ndarray]:
        """Blocks of samples, float32 [channels, n], that follow from one more frame at film time ``time_s`` (None: right behind the last)."""
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        expected = self._begin + self._heard / frame.sample_rate
        if self._resampler is None or kind != self._kind or (time_s is not None and abs(time_s - expected) > _TOLERANCE_S):
            yield from self._end_segment()
            self._begin = expected if time_s is None else time_s
            self._heard = 0
            self._kind = kind
            self._resampler = av.AudioResampler(format="fltp", layout=self.layout, rate=self.rate)
            place = round(self._begin * self.rate)
            yield from self._silence_until(place)
            self._skip = max(0, self.written - place)
            self._gain = np.float32(_SURROUND_GAIN if frame.layout.nb_channels > 2 else 1.0)
        self._heard += frame.samples
        frame.pts = None  # the resampler would count from it
        for out in self._resampler.resample(frame):
            yield from self._emit(out.to_ndarray())

    def finish(self) -> Iterator[np.ndarray]:
        """The last blocks, with silence up to ``total``."""
        yield from self._end_segment()
        yield from self._silence_until(self.total)

    def _end_segment(self) -> Iterator[np.ndarray]:
        if self._resampler is not None:
            for out in self._resampler.resample(None):
                yield from self._emit(out.to_ndarray())
            self._resampler = None

    def _silence_until(self, place: int) -> Iterator[np.ndarray]:
        while self.written < min(place, self.total):
            count = min(self.rate, min(place, self.total) - self.written)
            self.written += count
            yield np.zeros((self.channels, count), np.float32)

    def _emit(self, block: np.ndarray) -> Iterator[np.ndarray]:
        dropped = min(self._skip, block.shape[1])
        self._skip -= dropped
        block = block[:, dropped : dropped + self.total - self.written]
        if block.shape[1]:
            self.written += block.shape[1]
            yield np.nan_to_num(block * self._gain, nan=0.0, posinf=1.0, neginf=-1.0)
