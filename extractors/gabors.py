"""Motion energy filters: gabors over the picture and over time, as matrices.

The bank is that of pymoten (Nishimoto et al. 2011, Current Biology 21:1641), which is the tests' oracle. It is built here because pymoten
brings OpenCV along, 190 MB and system libraries that a bare machine lacks, for these few lines.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

FPS = 12
"""Frames a second that the temporal filters are made for."""
WIDTH, HEIGHT = 96, 54
"""Picture size in pixels."""
SPATIAL = (2, 4, 8)
"""Cycles per picture height."""
TEMPORAL = (2, 4)
"""Hz."""
ORIENTATIONS = (0, 45, 90, 135)
"""Degrees; 0 is a grating that varies from left to right."""

_ENVELOPES_PER_STEP = 2.0
_CYCLES_PER_ENVELOPE = 0.6
_WIDEST_ENVELOPE = 0.22
_TEMPORAL_ENVELOPE = 0.3
_WIDTH_S = 2 / 3
_NEGLIGIBLE = 0.001


class FilterBank(NamedTuple):
    """The motion energy filters as matrices.

    ``gabors`` float32 [HEIGHT * WIDTH, 2 * n]: sine gabors, then cosine gabors; n = 4 orientations x positions, orientation fastest.
    ``kernels`` float32 [5, width]: temporal cosine and sine per frequency in ``TEMPORAL``, then the 0 Hz window.
    ``x``, ``y``: positions [n / 4] in picture heights from the middle, right and up. ``frequency`` [n / 4] cycles per picture height.
    ``past``: frames before the present one in a kernel.
    """

    gabors: np.ndarray
    kernels: np.ndarray
    x: np.ndarray
    y: np.ndarray
    frequency: np.ndarray
    past: int


@lru_cache(maxsize=1)
def filter_bank() -> FilterBank:
    """Build the bank once per process."""
    aspect = WIDTH / HEIGHT
    across, down = np.meshgrid(np.linspace(-aspect / 2, aspect / 2, WIDTH), np.linspace(-0.5, 0.5, HEIGHT))
    places = [(frequency, x, y) for frequency in SPATIAL for x, y in product(_centres(frequency, aspect), _centres(frequency, 1.0))]
    sines, cosines = [], []
    for frequency, x, y in places:
        envelope = np.exp(-((across - x) ** 2 + (down - y) ** 2) / (2 * _envelope(frequency) ** 2))
        for angle in np.deg2rad(ORIENTATIONS):
            phase = 2 * np.pi * frequency * ((down - y) * np.sin(angle) - (across - x) * np.cos(angle))
            sine, cosine = envelope * np.sin(phase), envelope * np.cos(phase)
            inside = np.abs(sine) + np.abs(cosine) > _NEGLIGIBLE
            norm = np.abs(cosine[inside]).sum()  # amplitudes then read as contrast
            sines.append((sine * inside).ravel() / norm)
            cosines.append((cosine * inside).ravel() / norm)
    width = int(FPS * _WIDTH_S)
    time = np.arange(width) / width - 0.5
    window = np.exp(-(time**2) / (2 * _TEMPORAL_ENVELOPE**2))
    kernels = []
    for frequency in TEMPORAL:
        phase = 2 * np.pi * frequency * width / FPS * time
        norm = np.abs(window * np.cos(phase)).sum()
        kernels += [window * np.cos(phase) / norm, window * np.sin(phase) / norm]
    frequencies, x, y = np.array(places).T
    return FilterBank(
        np.ascontiguousarray(np.array(sines + cosines, np.float32).T),
        np.array([*kernels, window / window.sum()], np.float32),
        x,
        -y,
        frequencies,
        width - (width + 1) // 2,
    )


def _envelope(frequency: float) -> float:
    """SD of a gabor in picture heights."""
    return min(_CYCLES_PER_ENVELOPE / frequency, _WIDEST_ENVELOPE)


def _centres(frequency: float, extent: float) -> np.ndarray:
    """Positions along a side of ``extent`` picture heights, symmetric about the middle, two envelopes apart, each with an envelope to spare."""
    step = _ENVELOPES_PER_STEP * _envelope(frequency)
    each_side = max(np.floor((extent - step) / step / 2), 0)
    return step * np.arange(-each_side, each_side + 1)
