"""The files of a film: MP4 with the stimulus' own sound, and GIF. Both take pages as patches and do work only for what has changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np

from viz.colours import THEMES, colour_table, player_atlas, rgb_of
from viz.film_page import Patch

X264 = {"threads": "2", "x264-params": "colorprim=bt709:transfer=bt709:colormatrix=bt709"}
"""The number of threads is part of the result: with it fixed, equal pictures were seen to give equal bytes."""

MOVING, STILL = {"preset": "veryfast", "crf": "20"}, {"preset": "ultrafast", "crf": "26"}
"""With a film's own picture; and for one picture a row, which x264 would else store far better than an eye can tell, three times slower."""

KEY_S = 4.0
"""A seek lands within so many seconds."""


class Mp4:
    """H.264 (yuv420p, BT.709) at a constant frame rate, beside sound packets copied as they are.

    Parameters
    ----------
    path : pathlib.Path
    ground : uint8 [height, width, 3]
        The page that patches are laid on.
    rate : Fraction
        Pictures a second.
    sound : pathlib.Path or None
        The canonical film whose sound is copied.
    span : (float, float)
        Film time in seconds that the sound is taken from; its start is time 0 of the new file.
    told : dict of str to str
        Metadata of the container.
    """

    def __init__(
        self,
        path: Path,
        ground: np.ndarray,
        *,
        rate: Fraction,
        sound: Path | None = None,
        span: tuple[float, float] = (0, 0),
        told: dict[str, str] | None = None,
    ):
        import av

        self.rate, self.count = rate, 0
        height, width = ground.shape[:2]
        self.planes = np.zeros((height * 3 // 2, width), np.uint8)
        self.luma = self.planes[:height]
        self.chroma = self.planes[height:].reshape(2, height // 2, width // 2)
        self.shrinkers: dict[tuple, av.video.reformatter.VideoReformatter] = {}
        with _as_os_errors():
            self.file = av.open(str(path), "w", format="mp4", container_options={"movflags": "+faststart", "fflags": "+bitexact"})
            self.file.metadata.update(told or {})
            self.stream = self.file.add_stream("libx264", rate=rate, options=X264 | (MOVING if rate > 1 else STILL))
            context = self.stream.codec_context
            context.width, context.height, context.pix_fmt = width, height, "yuv420p"
            context.time_base = 1 / rate
            context.gop_size = max(1, round(KEY_S * rate))
            self.source = None if sound is None else av.open(str(sound), format="mov", options={"protocol_whitelist": "file"})
            self.packets = self._copied(span)
            self.waiting = next(self.packets, None)
        self._convert([(0, 0, ground)])

    def add(self, patches: Iterable[Patch]) -> None:
        """The next picture: the last one with these patches laid on."""
        import av

        self._convert(patches)
        frame = av.VideoFrame.from_ndarray(self.planes, format="yuv420p")
        frame.pts, frame.time_base = self.count, 1 / self.rate
        self.count += 1
        with _as_os_errors():
            for packet in self.stream.encode(frame):
                self.file.mux(packet)
            self._sound_until(self.count / self.rate)

    def finish(self) -> None:
        """Write what is left, and close."""
        with _as_os_errors():
            for packet in self.stream.encode(None):
                self.file.mux(packet)
            self._sound_until(None)
            self.file.close()

    def close(self) -> None:
        """Close what is open; a file that is not finished is worth nothing."""
        from contextlib import suppress

        for one in (self.file, self.source):
            if one is not None:
                with suppress(Exception):
                    one.close()

    def _convert(self, patches: Iterable[Patch]) -> None:
        """Patches to the planes, by ffmpeg's own conversion."""
        import av
        from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

        for left, top, pixels in patches:
            height, width, depth = pixels.shape
            shrinker = self.shrinkers.setdefault((height, width, depth), VideoReformatter())
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24" if depth == 3 else "rgba")
            coded = shrinker.reformat(
                frame,
                format="yuv420p",
                src_colorspace=Colorspace.ITU709,
                dst_colorspace=Colorspace.ITU709,
                src_color_range=ColorRange.JPEG,
                dst_color_range=ColorRange.MPEG,
            )
            self.luma[top : top + height, left : left + width] = _plane(coded.planes[0], height, width)
            for number in (0, 1):
                part = np.s_[number, top // 2 : (top + height) // 2, left // 2 : (left + width) // 2]
                self.chroma[part] = _plane(coded.planes[number + 1], height // 2, width // 2)

    def _copied(self, span: tuple[float, float]) -> Iterator:
        """Sound packets of a stretch of the film, their times counted from its start."""
        found = self.source.streams.audio if self.source is not None else ()
        if not found:
            return
        stream = self.file.add_stream_from_template(found[0])
        yield None  # the stream stands; packets come when the pictures have begun
        start, end = span
        for packet in self.source.demux(found[0]):
            if packet.pts is None or packet.size == 0:
                continue
            time = float(packet.pts * packet.time_base)
            if (start > 0 and time < start - 1e-6) or time >= end - 1e-6:
                continue
            shift = round(start / packet.time_base)
            packet.pts -= shift
            packet.dts = packet.pts
            packet.stream = stream
            yield packet

    def _sound_until(self, time: Fraction | None) -> None:
        """Sound follows the pictures closely, so that a player finds both together."""
        while True:
            if self.waiting is None:
                self.waiting = next(self.packets, None)
            if self.waiting is None:
                return
            if time is not None and self.waiting.pts * self.waiting.time_base > time:
                return
            self.file.mux(self.waiting)
            self.waiting = None


def _plane(plane, height: int, width: int) -> np.ndarray:
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:height, :width]


@contextmanager
def _as_os_errors():
    """ffmpeg's errors while writing are those of the disk."""
    import av

    try:
        yield
    except av.error.FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise OSError(error.errno, error.strerror) from error


class Gif:
    """A GIF with one palette; a picture stores only the rectangle that has changed.

    Parameters
    ----------
    path : pathlib.Path
    ground : uint8 [height, width, 3]
    palette : uint8 [n, 3]
        At most 256 colours.
    told : str
        Comment in the file.
    dithered : tuple of int, optional
        Left, top, right and bottom of the stimulus, whose colours are mixed from dots.
    """

    def __init__(self, path: Path, ground: np.ndarray, *, palette: np.ndarray, told: str = "", dithered: tuple[int, int, int, int] | None = None):
        from PIL import Image

        height, width = ground.shape[:2]
        self.palette, self.dithered = palette, dithered
        self.lookup = nearest_colours(palette)
        self.swatch = Image.new("P", (1, 1))
        self.swatch.putpalette(palette.tobytes())
        self.page = np.zeros((height, width), np.uint8)
        self.before: np.ndarray | None = None
        self.file = path.open("wb")
        table = np.zeros((256, 3), np.uint8)
        table[: len(palette)] = palette
        self.file.write(b"GIF89a" + _two(width) + _two(height) + b"\xf7\x00\x00" + table.tobytes())
        self.file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")  # again and again
        if told:
            self.file.write(b"\x21\xfe" + _blocks(told.encode("ascii", "replace")))
        self._lay([(0, 0, ground)])

    def add(self, patches: Iterable[Patch], hundredths: int) -> None:
        """The next picture, shown for so many hundredths of a second."""
        from PIL import GifImagePlugin, Image

        self._lay(patches)
        top, bottom, left, right = 0, self.page.shape[0], 0, self.page.shape[1]
        if self.before is not None:
            changed = self.page != self.before
            rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
            top, bottom, left, right = (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) if len(rows) else (0, 1, 0, 1)
        part = Image.fromarray(np.ascontiguousarray(self.page[top:bottom, left:right]), "L")
        part = Image.frombytes("P", part.size, part.tobytes())
        for block in GifImagePlugin.getdata(part, (int(left), int(top)), duration=hundredths * 10):
            self.file.write(block)
        self.before = self.page.copy()

    def finish(self) -> None:
        """Write the end, and close."""
        self.file.write(b";")
        self.file.close()

    def close(self) -> None:
        """Close what is open."""
        self.file.close()

    def _lay(self, patches: Iterable[Patch]) -> None:
        from PIL import Image

        for left, top, pixels in patches:
            height, width = pixels.shape[:2]
            if self.dithered == (left, top, left + width, top + height):
                picture = Image.fromarray(np.ascontiguousarray(pixels[..., :3]))
                codes = np.asarray(picture.quantize(palette=self.swatch, dither=Image.Dither.FLOYDSTEINBERG))
            else:
                red, green, blue = (pixels[..., channel].astype(np.int32) >> 2 for channel in range(3))
                codes = self.lookup[red << 12 | green << 6 | blue]
            self.page[top : top + height, left : left + width] = codes


def nearest_colours(palette: np.ndarray) -> np.ndarray:
    """Number of the palette's nearest colour for every colour of 6 bits a channel: uint8 [262144]."""
    from scipy.spatial import cKDTree

    steps = np.arange(64) * 4 + 2
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    return cKDTree(palette.astype(np.float64)).query(cube)[1].astype(np.uint8)


def palette_of(pages: Sequence[np.ndarray], *, dark: bool, map_name: str) -> np.ndarray:
    """At most 256 colours for pages, uint8 [height, width, 3]: those that mean something exactly, the others as the pages need them."""
    from PIL import Image

    names = ("page", "sunken", "ink", "muted", "warn", "head", "accent", "line")
    lines = player_atlas()["colours_dark" if dark else "colours_light"].values()
    fixed = np.concatenate(
        [np.stack([rgb_of(colour) for colour in (*(THEMES[dark][name] for name in names), *lines)]), colour_table(map_name)[np.r_[0:255:6, 255]]]
    )
    fixed = np.unique(fixed, axis=0)
    seen = np.concatenate([page[..., :3][1::2, 1::2].reshape(-1, 3) for page in pages])
    seen = seen[: len(seen) // 256 * 256].reshape(256, -1, 3)
    room = 256 - len(fixed)
    chosen = Image.fromarray(np.ascontiguousarray(seen)).quantize(room, method=Image.Quantize.MEDIANCUT, kmeans=1).getpalette()
    return np.concatenate([fixed, np.array(chosen, np.uint8).reshape(-1, 3)[:room]])


def _two(number: int) -> bytes:
    return int(number).to_bytes(2, "little")


def _blocks(content: bytes) -> bytes:
    parts = [content[start : start + 255] for start in range(0, len(content), 255)]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\x00"
