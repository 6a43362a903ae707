"""The child of :mod:`extractors.frames`: decodes one canonical film and writes time and RGB bytes of each picture to stdout.

Asked only to count, it writes the number of pictures as text.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterator

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from extractors.worker_process import THREADS, limit_this_process, read_job

SLACK_S = 1e-3  # container times are rounded; a picture due at k / fps may stand a fraction of a tick later


def main() -> int:
    """Do the job that stdin names; 0 when pictures were written."""
    job = read_job()
    limit_this_process(job["memory_mb"], job["cpu_s"])
    out = sys.stdout.buffer
    if job.get("count"):
        with _opened(job["path"]) as film:
            out.write(b"%d" % film.streams.video[0].frames)
        out.flush()
        return 0
    _widen_pipe()
    scaled = (_by_filter if job["exact"] else _by_area)(job["width"], job["height"])
    shown, rgb = None, b""
    for time_s, frame in _due(_decoded(job["path"], job["exact"]), job["fps"], job["duration"]):
        if frame is not shown:
            shown, rgb = frame, np.ascontiguousarray(scaled(frame).to_ndarray()).tobytes()
        out.write(np.float64(time_s).astype("<f8").tobytes())
        out.write(rgb)
    out.flush()
    return 0 if shown is not None else 1


def _by_area(width: int, height: int) -> Callable[[av.VideoFrame], av.VideoFrame]:
    """Each pixel the mean of the area it covers."""
    reformatter = VideoReformatter()
    return lambda frame: reformatter.reformat(frame, width, height, "rgb24", interpolation=Interpolation.AREA)


def _by_filter(width: int, height: int) -> Callable[[av.VideoFrame], av.VideoFrame]:
    """What decord does: ffmpeg's scale filter as a program that names no method gets it (bilinear), then RGB."""
    graph = None

    def scaled(frame: av.VideoFrame) -> av.VideoFrame:
        nonlocal graph
        if graph is None:
            graph = av.filter.Graph()
            source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
            scale = graph.add("scale", f"{width}:{height}:flags=bilinear:threads={THREADS}")
            graph.link_nodes(source, scale, graph.add("format", "rgb24"), graph.add("buffersink")).configure()
        graph.push(frame)
        return graph.pull()

    return scaled


def _opened(path: str) -> av.container.InputContainer:
    return av.open(path, format="mov", options={"protocol_whitelist": "file"})


def _decoded(path: str, exact: bool) -> Iterator[tuple[float, av.VideoFrame]]:
    """Pictures with their film times; damaged ones are left out."""
    with _opened(path) as film:
        stream = film.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = THREADS
        if not exact:
            stream.codec_context.options = {"skip_loop_filter": "noref"}  # pictures that no other rests on: invisible at small sizes
        for packet in film.demux(stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue
            for frame in frames:
                if frame.time is not None:
                    yield frame.time, frame


def _due(frames: Iterator[tuple[float, av.VideoFrame]], fps: float | None, duration: float) -> Iterator[tuple[float, av.VideoFrame]]:
    """The pictures on view at ``k / fps`` seconds; all of them at their own times when ``fps`` is None."""
    if fps is None:
        yield from frames
        return
    count = math.ceil(duration * fps - 1e-6)
    k, current = 0, None
    for time_s, frame in frames:
        while current is not None and k < count and k / fps + SLACK_S < time_s:
            yield k / fps, current
            k += 1
        current = frame
    while current is not None and k < count:
        yield k / fps, current
        k += 1


def _widen_pipe() -> None:
    """A pipe that holds several small pictures lets decoding run ahead (Linux)."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):  # not allowed everywhere, and only slower without
            fcntl.fcntl(sys.stdout.fileno(), fcntl.F_SETPIPE_SZ, 2**20)


if __name__ == "__main__":
    sys.exit(main())
