"""The decoded pictures of an admitted film, one after the other.

Decoding happens in a child process (:mod:`extractors.frames_worker`): a damaged film can end that process and nothing else, and pictures
arrive while the caller works on the last one.
"""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from subprocess import Popen

import numpy as np

from extractors.clip import Clip
from extractors.errors import MediaError
from extractors.worker_process import death_of, timed_out, worker
from settings import get_settings

STALL_S = 30.0
"""A decoder that says nothing for so long is given up."""


def iter_frames(
    clip: Clip, *, fps: float | None = None, size: tuple[int, int] | None = None, tick_s: float | None = None, exact: bool = False
) -> Iterator[tuple[float, np.ndarray] | None]:
    """Decode the canonical film.

    Parameters
    ----------
    clip : Clip
        Film with a picture; without one nothing is yielded.
    fps : float, optional
        Pictures per second of film time. Picture ``k`` is what a viewer sees at ``k / fps``, for all ``k / fps < clip.duration``: the latest
        picture shown by then, the first one before it begins, the last one when the sound goes on longer.
        None yields the film's own pictures at their own times.
    size : tuple of int, optional
        (width, height) in pixels; each output pixel is the mean of the area it covers (see ``exact``). None keeps the film's size.
    tick_s : float, optional
        While the decoder is silent, None is yielded this often (seconds), so that the caller can tell that it waits, or stop.
    exact : bool
        Pixels as decord gives them: every picture decoded to the letter and scaled bilinearly. Otherwise some smoothing is left out that is
        invisible at small sizes, which is faster.

    Yields
    ------
    tuple of float and numpy.ndarray
        Film time in seconds and RGB picture, uint8 [height, width, 3].
    None
        Only with ``tick_s``.

    Raises
    ------
    MediaError
        ``clip_gone``, ``decode_failed``, ``decode_memory`` or ``decode_timeout``.
    """
    if not clip.has_video:
        return
    width, height = size or (clip.width, clip.height)
    job = {"fps": fps, "width": int(width), "height": int(height), "duration": clip.duration, "exact": exact}
    with _decoder(clip, job) as (process, selector):
        head, picture_bytes = np.dtype("<f8").itemsize, width * height * 3
        while True:
            block = yield from _read(process, selector, head + picture_bytes, min(tick_s or STALL_S, STALL_S))
            if block is None:
                break
            time_s = float(np.frombuffer(block, "<f8", count=1)[0])
            yield time_s, np.frombuffer(block, np.uint8, offset=head).reshape(height, width, 3)
        if process.wait() != 0:
            raise death_of(process, get_settings().gate_timeout_s)


def count_frames(clip: Clip) -> int:
    """Number of pictures of a film that has some; nothing is decoded.

    Raises
    ------
    MediaError
        As for :func:`iter_frames`.
    """
    with _decoder(clip, {"count": True}) as (process, selector):
        assert process.stdout is not None
        if not selector.select(STALL_S):
            raise timed_out(STALL_S)
        answer = process.stdout.read()
        if not answer:
            raise death_of(process, get_settings().gate_timeout_s)
        return int(answer)


@contextmanager
def _decoder(clip: Clip, job: dict) -> Iterator[tuple[Popen, selectors.BaseSelector]]:
    """The child at work on a job, and what waits for its output."""
    if not clip.path.is_file():
        raise clip.gone()
    settings = get_settings()
    job = {**job, "path": str(clip.path.absolute()), "memory_mb": settings.gate_memory_mb, "cpu_s": settings.gate_timeout_s * 4}
    with worker("extractors.frames_worker", job) as process, selectors.DefaultSelector() as selector:
        assert process.stdout is not None
        selector.register(process.stdout, selectors.EVENT_READ)
        yield process, selector


def _read(process: Popen, selector: selectors.BaseSelector, size: int, tick_s: float) -> Generator[None, None, bytearray | None]:
    """Exactly ``size`` bytes of the child's output, None at its end; yields every ``tick_s`` seconds of waiting."""
    assert process.stdout is not None
    block, filled = bytearray(size), 0
    view = memoryview(block)
    descriptor = process.stdout.fileno()
    heard = time.monotonic()
    while filled < size:
        if not selector.select(tick_s):
            if time.monotonic() - heard >= STALL_S:
                raise timed_out(STALL_S)
            yield
            continue
        count = os.readv(descriptor, [view[filled:]])
        if count == 0:
            if filled:
                raise MediaError("decode_failed", "The film broke off while it was read.", "Save it again as H.264 MP4.")
            return None
        filled += count
        heard = time.monotonic()
    return block
