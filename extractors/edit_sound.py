"""Steps of a plan done to sound: samples in, samples out. Runs in the edit's child on whole tracks, at any rate.

The same steps are done to the sound of the film and to the 16 kHz samples that extractors hear, so that what is not edited stays equal to the bit
in the latter.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

FADE_S = 0.010
"""Fade at each end of a silenced word, inside it."""

JOIN_S = 0.005
"""Fade on each side of a cut, so that no cut clicks."""

_BLOCK_S = 1.0


def edited_sound(samples: np.ndarray, rate: int, steps: list[list], other: Callable[[str], np.ndarray], tell: Callable[[], None]) -> np.ndarray:
    """Do all steps.

    Parameters
    ----------
    samples : numpy.ndarray of float32, shape [channels, n]
        Not changed.
    rate : int
        Samples per second.
    steps : list of list
        Of :class:`extractors.edit_plan.Plan`.
    other : callable
        Samples [channels, m] of another clip by its ``audio_key``, at the same rate.
    tell : callable
        Called now and then.

    Returns
    -------
    numpy.ndarray of float32, shape [channels, n']
        Within -1 to 1 where a step made it louder or took it from elsewhere.
    """
    for name, *values in steps:
        tell()
        if name == "silence":
            samples = np.zeros_like(samples)
        elif name == "gain":
            samples = samples * np.float32(10 ** (values[0] / 20))
            np.clip(samples, -1, 1, out=samples)
        elif name == "pieces":
            samples = _pieces(samples, rate, values[0], round(values[1] * rate))
        elif name == "stretch":
            samples = _stretched(samples, rate, values[0], round(values[1] * rate), tell)
        elif name == "clip":
            samples = _fitted(other(values[0]), round(values[1] * rate))
        elif name == "quiet":
            samples = _quiet(samples, rate, values[0])
    return samples


def quality_of(steps: list[list]) -> float | None:
    """The coarseness that the last ``quality`` step asks for."""
    return next((step[1] for step in reversed(steps) if step[0] == "quality"), None)


def _pieces(samples: np.ndarray, rate: int, pieces: list[list[float]], total: int) -> np.ndarray:
    """Pieces of the sound, some backwards, at their new places; silence between them."""
    out = np.zeros((len(samples), total), np.float32)
    before = None
    for start, end, source_start, source_end in pieces:
        first, behind = round(start * rate), min(total, round(end * rate))
        low = round(min(source_start, source_end) * rate)
        part = samples[:, low : low + behind - first]
        out[:, first : first + part.shape[1]] = part if source_end > source_start else part[:, ::-1]
        if before is not None and abs(before - source_start) > 0.5 / rate:
            _fade_join(out, first, round(JOIN_S * rate))
        before = source_end
    return out


def _fade_join(samples: np.ndarray, place: int, length: int) -> None:
    """Out to silence before ``place``, and in from it."""
    ramp = (np.arange(length, dtype=np.float32) + 0.5) / length
    left = samples[:, max(0, place - length) : place]
    left *= ramp[::-1][length - left.shape[1] :]
    right = samples[:, place : place + length]
    right *= ramp[: right.shape[1]]


def _quiet(samples: np.ndarray, rate: int, spans: list[list[float]]) -> np.ndarray:
    samples = samples.copy()
    for start, end in spans:
        part = samples[:, max(0, round(start * rate)) : max(0, round(end * rate))]
        length = min(round(FADE_S * rate), part.shape[1] // 2)
        gain = np.zeros(part.shape[1], np.float32)
        if length:
            fade = np.cos(np.linspace(0, np.pi / 2, length, dtype=np.float32)) ** 2
            gain[:length], gain[-length:] = fade, fade[::-1]
        part *= gain
    return samples


def _fitted(samples: np.ndarray, total: int) -> np.ndarray:
    """Cut or followed by silence."""
    samples = samples[:, :total]
    return samples if samples.shape[1] == total else np.pad(samples, ((0, 0), (0, total - samples.shape[1])))


def _stretched(samples: np.ndarray, rate: int, factor: float, total: int, tell: Callable[[], None]) -> np.ndarray:
    """Faster by ``factor`` at the same pitch, ``total`` samples of it: overlapped waveforms that resemble each other (WSOLA), ffmpeg's ``atempo``."""
    import av

    from extractors.canonical import sound_frame

    graph = av.filter.Graph()
    layout = "mono" if len(samples) == 1 else "stereo"
    source = graph.add_abuffer(format="fltp", sample_rate=rate, layout=layout)
    graph.link_nodes(source, graph.add("atempo", f"{factor:.6f}"), graph.add("abuffersink")).configure()
    out = np.zeros((len(samples), total), np.float32)
    filled = 0

    def pull() -> None:
        nonlocal filled
        while True:
            try:
                block = graph.pull().to_ndarray()[:, : total - filled]
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            out[:, filled : filled + block.shape[1]] = block
            filled += block.shape[1]

    block = round(_BLOCK_S * rate)
    for start in range(0, samples.shape[1], block):
        graph.push(sound_frame(samples[:, start : start + block], rate, start))
        pull()
        tell()
    graph.push(None)
    pull()
    return out
