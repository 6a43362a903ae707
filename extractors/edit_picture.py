"""Steps of a plan done to pictures: which frame of the source stands in each place of the edited film, and what is done to it.

Runs in the edit's child. Frames come out in the order of the edited film, whatever that is: forwards the film is decoded once; backwards from
keyframe to keyframe, so that memory stays bounded.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np

from extractors.gate_probe import decode, open_upload
from extractors.time_map import TimeMap
from extractors.worker_process import THREADS

HELD_MB = 400
"""Memory for frames that are shown in another order than they are stored in."""

_BLANK = {"black": 16, "grey": 126}  # luma of black, and of half the way to white
_NO_COLOUR = 128
_TINY = 1e-6
_BLUR_STEPS = 3  # passes of the recursive filter: more are closer to a Gaussian


def frames_wanted(steps: list[list], count: int, rate: Fraction, first: int = 0) -> np.ndarray:
    """Number of the source frame for each place of the edited film.

    Parameters
    ----------
    steps : list of list
        Of :class:`extractors.edit_plan.Plan`.
    count : int
        Frames of the source.
    rate : fractions.Fraction
        Frames per second of both.
    first : int
        Place of the source's first frame, where its picture begins late.

    Returns
    -------
    numpy.ndarray of int, shape [places]
        Place ``k`` shows what the film shows in the middle of its time. Where that is outside the picture, its nearest frame is held. The number
        of frames stays where the length does and the picture is as long as the film, give or take two frames.
    """
    wanted = np.arange(count)
    for name, *values in steps:
        if name == "flip":
            wanted = wanted[::-1]
        elif name == "map":
            pieces, before, after, same_frames = values
            kept = same_frames or (before == after and abs(before * rate - first - len(wanted)) <= 2)
            places = len(wanted) if kept else max(1, round(after * rate))
            times = TimeMap.from_list(pieces).source_of((np.arange(places) + 0.5) / float(rate))
            wanted = wanted[_nearest(np.floor(times * float(rate) + _TINY) - first, len(wanted))]
            first = 0
    return wanted


def _nearest(numbers: np.ndarray, count: int) -> np.ndarray:
    """Whole numbers from 0 to ``count - 1``; for nan the last known one before it, else the first behind it."""
    known = np.flatnonzero(~np.isnan(numbers))
    if not len(known):
        return np.zeros(len(numbers), int)
    at = np.maximum(np.searchsorted(known, np.arange(len(numbers)), side="right") - 1, 0)
    return np.clip(numbers[known[at]].astype(int), 0, count - 1)


def blank_of(steps: list[list]) -> str | None:
    """Colour of the last ``blank`` step: what was done to the picture before or after it cannot be seen."""
    return next((step[1] for step in reversed(steps) if step[0] == "blank"), None)


def blank_frame(width: int, height: int, colour: str) -> av.VideoFrame:
    """An even picture, yuv420p."""
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, value in zip(frame.planes, (_BLANK[colour], _NO_COLOUR, _NO_COLOUR), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    return frame


class Film:
    """Frames of a canonical film by number, counted in the order of showing.

    Attributes
    ----------
    count : int
    rate : fractions.Fraction
    first : int
        Place of the first frame on the film's grid.
    """

    def __init__(self, path: str):
        self._film = open_upload(path, "mov")
        self.stream = self._film.streams.video[0]
        self.rate = Fraction(self.stream.average_rate)
        self.size = (self.stream.codec_context.width, self.stream.codec_context.height)
        packets = [(packet.pts, packet.is_keyframe) for packet in self._film.demux(self.stream) if packet.size]
        self._pts = sorted(pts for pts, _ in packets)
        self._number = {pts: number for number, pts in enumerate(self._pts)}
        self._keys = sorted(self._number[pts] for pts, key in packets if key) or [0]
        self.count = len(self._pts)
        self.first = round(self._pts[0] * self.stream.time_base * self.rate)
        self.stream.thread_type = "AUTO"
        self.stream.codec_context.thread_count = THREADS
        self._decoding: Iterator[tuple[int, av.VideoFrame]] = iter(())
        self._held: tuple[int, av.VideoFrame] | None = None

    def close(self) -> None:
        """Close the file."""
        self._film.close()

    def frames(self, wanted: np.ndarray) -> Iterator[av.VideoFrame]:
        """The frames with these numbers, one after the other."""
        most = max(8, HELD_MB * 2**20 // (self.size[0] * self.size[1] * 3 // 2))
        place = 0
        while place < len(wanted):
            number = int(wanted[place])
            if place + 1 < len(wanted) and wanted[place + 1] < number:
                low = max(self._key_before(number), number - most + 1)
                behind = place + 1
                while behind < len(wanted) and low <= wanted[behind] <= wanted[behind - 1]:
                    behind += 1
                run = wanted[place:behind].tolist()
                held = {k: self._frame(k) for k in range(run[-1], number + 1)}
                for k in run:
                    yield held[k]
                place = behind
            else:
                yield self._frame(number)
                place += 1

    def _frame(self, number: int) -> av.VideoFrame:
        """The frame ``number``, or the next one that is not damaged."""
        key = self._key_before(number)
        now = self._held[0] if self._held is not None else self.count
        if now > number or now < key - 1:
            self._seek(key)
        while self._held is None or self._held[0] < number:
            found = next(self._decoding, None)
            if found is None:
                break
            if self._held is None and found[0] > number and key > 0:  # the file's index led too far
                key = self._key_before(key - 1)
                self._seek(key)
                continue
            self._held = found
        if self._held is None:
            raise av.error.InvalidDataError(0, "no frame can be decoded")
        return self._held[1]

    def _seek(self, key: int) -> None:
        self._film.seek(self._pts[key], stream=self.stream)
        self._decoding = self._decoded()
        self._held = None

    def _decoded(self) -> Iterator[tuple[int, av.VideoFrame]]:
        for packet in self._film.demux(self.stream):
            for frame in decode(packet) or ():
                if frame.pts in self._number:
                    yield self._number[frame.pts], frame

    def _key_before(self, number: int) -> int:
        return self._keys[max(0, bisect_right(self._keys, number) - 1)]


class Filters:
    """What is done to every picture alike: greyscale, blur, crop, in the order of the steps.

    A Gaussian blur is ffmpeg's ``gblur`` (a recursive filter whose cost does not grow with its width); the colour planes have half the pixels, so
    half the width.
    """

    def __init__(self, steps: list[list], size: tuple[int, int]):
        self._names = [name for step in steps for name in _filter_names(step, *size)]
        self._graph = None
        self._last: tuple[av.VideoFrame, av.VideoFrame] | None = None

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        """One picture filtered; the same one again costs nothing."""
        if not self._names:
            return frame
        if self._last is not None and self._last[0] is frame:
            return self._last[1]
        if self._graph is None:
            self._graph = av.filter.Graph()
            nodes = [self._graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 90000))]
            nodes += [self._graph.add(name, argument) for name, argument in self._names]
            self._graph.link_nodes(*nodes, self._graph.add("buffersink")).configure()
        self._graph.push(frame)
        self._last = (frame, self._graph.pull())
        return self._last[1]


def _filter_names(step: list, width: int, height: int) -> list[tuple[str, str]]:
    """ffmpeg's filters for one step; none for a step that is done otherwise."""
    name, *values = step
    if name == "grey":
        return [("lutyuv", f"u={_NO_COLOUR}:v={_NO_COLOUR}")]
    if name == "blur":
        sigma = values[0] / 100 * height
        return [("gblur", f"sigma={sigma / part:.4f}:steps={_BLUR_STEPS}:planes={planes}") for part, planes in ((1, 1), (2, 6))]
    if name == "crop":
        kept = 1 - values[0] / 100
        wide, tall = (max(side + 2, 2 * round(side / kept / 2)) for side in (width, height))
        left, top = ((large - side) // 4 * 2 for large, side in ((wide, width), (tall, height)))
        return [("scale", f"{wide}:{tall}:flags=bicubic"), ("crop", f"{width}:{height}:{left}:{top}")]
    return []
