"""What a film of a result shows at a moment: the stimulus with its words, the brains, the curves, and what all of it is.

A page is given as patches: the whole of it once, then only what has changed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from encoder.responses import Responses
from extractors.grid import tr_of
from extractors.transcript import Transcript, Word
from viz.colours import THEMES
from viz.film_curves import FilmCurves, clock
from viz.lettering import fitted, plain, width_of, write
from viz.look import Look, values_of, who
from viz.painter import NO_PREDICTION, Painter

Patch = tuple[int, int, np.ndarray]
"""Left, top, and pixels: uint8 [height, width, 3 or 4]. All numbers even, as film pictures want them."""

MARGIN_PX, HEADER_PX, WORDS_PX, CURVES_PX = 20, 40, 56, 168
BRAINS_PX = {"both": 470, "glass": 560, "surface": 560}
PAUSE_S, LINGER_S = 1.5, 1.5
"""A silence that ends a line of words, and how long a line stays after its last one."""


@dataclass(frozen=True)
class Box:
    """A part of the page in pixels, all even."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Layout:
    """Where everything stands; a part that is not shown is None."""

    width: int
    height: int
    zoom: float
    header: Box
    status: Box
    brains: Box
    curves: Box
    words: Box | None
    film: Box | None

    @classmethod
    def of(cls, width: int, height: int, views: str, *, film: tuple[int, int] | None, words: bool) -> Layout:
        """Beside a film picture (width, height) the brains take a column; without one they take the page."""
        zoom = max(height / 720, 0.84)
        margin, header, curves = (zoom * size for size in (MARGIN_PX, HEADER_PX, CURVES_PX))
        talk = zoom * WORDS_PX if words else 0
        if film is None:
            inner = width - 2 * margin
            high = height - 2 * margin - header - talk - curves
            return cls(
                width,
                height,
                zoom,
                _even(margin, margin, inner * 0.6, header),
                _even(margin + inner * 0.6, margin, inner * 0.4, header),
                _even(margin, margin + header, inner, high),
                _even(margin, height - margin - curves, inner, curves),
                _even(margin, height - margin - curves - talk, inner, talk) if words else None,
                None,
            )
        column = zoom * BRAINS_PX[views] * min(1.0, width / height / 1.7)
        left = width - 3 * margin - column
        box = (left, height - 2 * margin - header - talk - curves)
        scale = min(box[0] / film[0], box[1] / film[1])
        shown = scale * film[0], scale * film[1]
        return cls(
            width,
            height,
            zoom,
            _even(margin, margin, left, header),
            _even(2 * margin + left, margin, column, header),
            _even(2 * margin + left, margin + header, column, height - 2 * margin - header),
            _even(margin, height - margin - curves, left, curves),
            _even(margin, height - margin - curves - talk, left, talk) if words else None,
            _even(margin + (left - shown[0]) / 2, margin + header + (box[1] - shown[1]) / 2, *shown),
        )


def _even(left: float, top: float, width: float, height: float) -> Box:
    return Box(*(2 * int(side / 2) for side in (left, top, width, height)))


class FilmPage:
    """The moments of one film.

    Parameters
    ----------
    responses : Responses
    layout : Layout
    subject : int or None
    look : Look
    transcript : Transcript or None
    span : (float, float)
        Film time in seconds that the curves reach over.
    title : str
    """

    def __init__(
        self,
        responses: Responses,
        layout: Layout,
        *,
        subject: int | None,
        look: Look,
        transcript: Transcript | None,
        span: tuple[float, float],
        title: str,
    ):
        self.responses, self.layout, self.look = responses, layout, look
        self.theme, self.title = THEMES[look.dark], title
        self.values = values_of(responses, subject)
        self.valid = np.asarray(responses.valid, bool)
        zoom, unit = layout.zoom, responses.units
        said = who(responses, subject)
        self.painter = Painter(
            layout.brains.width,
            layout.brains.height,
            look,
            look.range_of(responses),
            who=said,
            simulated=responses.simulated,
            unit=unit,
            zoom=zoom,
        )
        self.curves = FilmCurves(
            self.values,
            self.valid,
            width=layout.curves.width,
            height=layout.curves.height,
            span=span,
            tr=responses.tr,
            lag=look.lag,
            floor=responses.range_floor,
            dark=look.dark,
            simulated=responses.simulated,
            unit=unit,
            zoom=zoom,
        )
        self.captions = captions(transcript.words, layout.words.width, 19 * zoom) if transcript and layout.words else []
        self.starts = [line[0].onset for line in self.captions]
        self.shown: dict[str, object] = {}

    def row_at(self, time: float) -> int:
        """Row shown at a film time in seconds, -1 beyond the last one."""
        row = tr_of(time + self.look.lag)
        return row if 0 <= row < self.responses.n_trs else -1

    def ground(self) -> np.ndarray:
        """The whole page before anything moves: uint8 [height, width, 3]."""
        from PIL import Image

        layout = self.layout
        page = Image.new("RGB", (layout.width, layout.height), self.theme["page"])
        header = self._header()
        page.paste(header, (layout.header.left, layout.header.top))
        return np.asarray(page).copy()

    def patches(self, time: float, picture: np.ndarray | None = None) -> Iterator[Patch]:
        """What has changed since the last call, at a film time in seconds; ``picture`` is the stimulus, uint8 [h, w, 3] of the layout's size."""
        layout, row = self.layout, self.row_at(time)
        if picture is not None and layout.film is not None:
            yield layout.film.left, layout.film.top, picture
        if self._is_new("brains", row):
            page = self.painter.paint(self.values[row] if row >= 0 else None)
            yield layout.brains.left, layout.brains.top, page.view(np.uint8).reshape(*page.shape, 4)
        if self._is_new("curves", (round(self.curves.x_of(time)), row)):
            yield layout.curves.left, layout.curves.top, self.curves.at(time, row)
        if self._is_new("status", (clock(time, True), row)):
            yield layout.status.left, layout.status.top, self._status(time, row)
        if layout.words is not None:
            line, word = self.words_at(time)
            if self._is_new("words", (line, word)):
                yield layout.words.left, layout.words.top, self._words(line, word)

    def words_at(self, time: float) -> tuple[int, int]:
        """Numbers of the line of words and of its word that is being said; -1 for none."""
        line = bisect_right(self.starts, time + 1e-6) - 1
        if line < 0 or time > self.captions[line][-1].offset + LINGER_S:
            return -1, -1
        said = [number for number, word in enumerate(self.captions[line]) if word.onset <= time + 1e-6 and time < max(word.offset, word.onset + 0.1)]
        return line, said[-1] if said else -1

    def _is_new(self, part: str, state: object) -> bool:
        changed = self.shown.get(part) != state
        self.shown[part] = state
        return changed

    def _header(self):
        """Title, and what made the prediction."""
        from PIL import Image, ImageDraw

        box, zoom = self.layout.header, self.layout.zoom
        image = Image.new("RGB", (box.width, box.height), self.theme["page"])
        made = plain(self.responses.badge or self.responses.model_title)
        made = f"SIMULATED: {made}" if self.responses.simulated else made
        made = fitted(made, box.width * 0.6, 11.5 * zoom, True)
        wide = width_of(made, 11.5 * zoom, True) + 20 * zoom
        middle = 13 * zoom
        title = fitted(self.title, box.width - wide - 16 * zoom, 16 * zoom, True)
        write(image, (0, middle), title, size=16 * zoom, colour=self.theme["ink"], bold=True)
        left = width_of(title, 16 * zoom, True) + 12 * zoom if title else 0
        draw = ImageDraw.Draw(image)
        ink = self.theme["warn" if self.responses.simulated else "accent"]
        draw.rounded_rectangle([left, middle - 11 * zoom, left + wide, middle + 11 * zoom], radius=11 * zoom, fill=self.theme["sunken"])
        write(image, (left + wide / 2, middle), made, size=11.5 * zoom, colour=ink, bold=True, anchor="mm")
        return image

    def _status(self, time: float, row: int) -> np.ndarray:
        """Film time, row and lag."""
        from PIL import Image

        box, zoom = self.layout.status, self.layout.zoom
        image = Image.new("RGB", (box.width, box.height), self.theme["page"])
        middle, x = 13 * zoom, 0.0
        aligned = self.layout.film is None
        lag = f"shifted back {self.look.lag:g} s" if self.look.lag else "with BOLD delay"
        note = "" if row < 0 or self.valid[row] else "warm-up: no full past yet" if row < len(self.valid) / 2 else "end of the film: less sure"
        parts = [
            (clock(time, True), self.theme["ink"], True, 62),
            (f"TR {row} / {self.responses.n_trs}" if row >= 0 else NO_PREDICTION, self.theme["ink"], True, 0),
            (lag, self.theme["muted"], False, 0),
            (note, self.theme["warn"], False, 0),
        ]
        parts = [part for part in parts if part[0]]
        sizes = [max(least * zoom, width_of(text, 12.5 * zoom, bold)) for text, _, bold, least in parts]
        if aligned:
            x = max(0.0, box.width - sum(sizes) - 14 * zoom * (len(parts) - 1))
        for (text, colour, bold, _), wide in zip(parts, sizes, strict=True):
            text = fitted(text, box.width - x, 12.5 * zoom, bold)
            write(image, (x, middle), text, size=12.5 * zoom, colour=colour, bold=bold)
            x += wide + 14 * zoom
        return np.asarray(image)

    def _words(self, line: int, word: int) -> np.ndarray:
        """A line of words in the middle, the one being said marked."""
        from PIL import Image, ImageDraw

        box, zoom = self.layout.words, self.layout.zoom
        assert box is not None
        image = Image.new("RGB", (box.width, box.height), self.theme["page"])
        if line >= 0:
            size = 19 * zoom
            texts = [fitted(said.text, box.width - 8 * zoom, size) for said in self.captions[line]]
            gap = width_of(" ", size)
            x, y = (box.width - sum(width_of(text, size) for text in texts) - gap * (len(texts) - 1)) / 2, box.height / 2
            draw = ImageDraw.Draw(image)
            for number, text in enumerate(texts):
                wide = width_of(text, size)
                now = number == word
                if now:
                    draw.rounded_rectangle(
                        [x - 4 * zoom, y - 14 * zoom, x + wide + 4 * zoom, y + 14 * zoom], radius=5 * zoom, fill=self.theme["accent"]
                    )
                write(image, (x, y), text, size=size, colour=self.theme["page" if now else "ink"])
                x += wide + gap
        return np.asarray(image)


def captions(words: Sequence[Word], width: float, size: float) -> list[list[Word]]:
    """Words in lines that fit a width in pixels; a pause ends a line, and so does the end of a sentence when the line is half full."""
    lines: list[list[Word]] = []
    used, gap = 0.0, width_of(" ", size)
    for word in words:
        wide = width_of(plain(word.text), size)
        before = lines[-1][-1] if lines else None
        ended = before is not None and before.text.rstrip("\"')”’").endswith((".", "!", "?", "。")) and used > width / 2
        if before is None or ended or used + gap + wide > width - 16 or word.onset - before.offset > PAUSE_S:
            lines.append([])
            used = -gap
        lines[-1].append(word)
        used += gap + wide
    return lines


def lay(page: np.ndarray, patches: Iterator[Patch]) -> list[Patch]:
    """Put patches onto a page, uint8 [height, width, 3], and return them."""
    laid = []
    for left, top, pixels in patches:
        page[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels[..., :3]
        laid.append((left, top, pixels))
    return laid
