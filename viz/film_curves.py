"""The seven network curves of a film, drawn once, with a playhead that moves over them."""

from __future__ import annotations

import math

import numpy as np

from encoder.atlas import DISPLAY_NAMES, NETWORK_NAMES
from encoder.curves import curve_ids, curve_means
from viz.colours import THEMES, player_atlas, rgb_of
from viz.lettering import fitted, width_of, write

FINER = 3
LABEL_PX, AXIS_PX, FOOT_PX, HEAD_PX = 158, 46, 36, 8
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200)


class FilmCurves:
    """Curves over a stretch of film time.

    Parameters
    ----------
    values : float32 [T, 1000]
        One subject, or the mean of all.
    valid : bool [T]
    width, height : int
        Pixels.
    span : (float, float)
        Film time in seconds from left to right.
    tr, lag : float
        Seconds.
    floor : float
        The axis reaches at least so far (z).
    dark, simulated : bool
    unit : str
    zoom : float
        How much larger letters and lines are than at 720 lines.
    """

    def __init__(
        self,
        values: np.ndarray,
        valid: np.ndarray,
        *,
        width: int,
        height: int,
        span: tuple[float, float],
        tr: float,
        lag: float,
        floor: float,
        dark: bool,
        simulated: bool,
        unit: str = "z",
        zoom: float = 1.0,
    ):
        places = [curve_ids().index(name) for name in NETWORK_NAMES]
        self.lines = curve_means(values)[:, places].T.astype(np.float64)
        self.valid, self.width, self.height, self.span = valid, width, height, span
        self.tr, self.lag, self.dark, self.zoom = tr, lag, dark, zoom
        self.theme = THEMES[dark]
        self.colours = [player_atlas()["colours_dark" if dark else "colours_light"][name] for name in NETWORK_NAMES]
        self.left, self.right = round(AXIS_PX * zoom), width - round(LABEL_PX * zoom)
        self.top, self.bottom = round(HEAD_PX * zoom), height - round(FOOT_PX * zoom)
        self.reach = 1.08 * max(float(np.abs(self.lines).max(initial=0)), floor * 0.5, 1e-3)
        self.still = self._draw(simulated, unit)
        self.dot = _dot(round(4 * zoom))

    def x_of(self, time: float) -> float:
        """Pixel across of a film time."""
        start, end = self.span
        return self.left + (time - start) / (end - start) * (self.right - self.left)

    def y_of(self, value: float) -> float:
        """Pixel down of a value in z."""
        middle = (self.top + self.bottom) / 2
        return middle - value / self.reach * (self.bottom - self.top) / 2

    def time_of(self, row: int) -> float:
        """Film time a row stands at: the middle of its TR, less the lag."""
        return (row + 0.5) * self.tr - self.lag

    def at(self, time: float, row: int) -> np.ndarray:
        """The curves with the playhead at a film time and a dot on each curve at its row (-1: none): uint8 [height, width, 3]."""
        picture = self.still.copy()
        high = np.s_[self.top : self.bottom]
        if row >= 0:
            low, up = (round(self.x_of(edge)) for edge in (row * self.tr - self.lag, (row + 1) * self.tr - self.lag))
            low, up = max(self.left, low), min(self.right, max(up, low + 1))
            if low < up:
                band = picture[high, low:up].astype(np.float32)
                picture[high, low:up] = np.rint(band + (rgb_of(self.theme["head"]) - band) * 0.12)
        x = min(max(round(self.x_of(time)), self.left), self.right)
        thick = max(1, round(1.6 * self.zoom))
        picture[high, x : x + thick] = rgb_of(self.theme["head"])
        middle = self.x_of(self.time_of(row))
        if row >= 0 and self.left <= middle <= self.right:
            for colour, line in zip(self.colours, self.lines, strict=True):
                self._stamp(picture, middle, self.y_of(line[row]), colour)
        return picture

    def _stamp(self, picture: np.ndarray, x: float, y: float, colour: str) -> None:
        casing, core = self.dot
        reach = casing.shape[0] // 2
        x, y = round(x) - reach, round(y) - reach
        if min(x, y) < 0 or x + casing.shape[1] > self.width or y + casing.shape[0] > self.height:
            return
        part = picture[y : y + casing.shape[0], x : x + casing.shape[1]]
        for mask, ink in ((casing, self.theme["page"]), (core, colour)):
            part[:] = np.rint(part + (rgb_of(ink).astype(np.float32) - part) * mask[..., None])

    def _draw(self, simulated: bool, unit: str) -> np.ndarray:
        """Everything that stays: what is not valid, axes, lines and their names."""
        from PIL import Image, ImageDraw

        zoom, theme = self.zoom, self.theme
        large = Image.new("RGB", (self.width * FINER, self.height * FINER), theme["page"])
        draw = ImageDraw.Draw(large)

        def line(points: list[tuple[float, float]], colour: str, thick: float) -> None:
            draw.line([(x * FINER, y * FINER) for x, y in points], fill=colour, width=max(1, round(thick * zoom * FINER)), joint="curve")

        beyond = self.x_of(len(self.valid) * self.tr - self.lag)
        self._hatch(draw)
        if beyond < self.right - 1:
            draw.rectangle([max(self.left, beyond) * FINER, self.top * FINER, self.right * FINER, self.bottom * FINER], fill=theme["sunken"])
        for tick in self._ticks():
            line([(self.left, self.y_of(tick)), (self.right, self.y_of(tick))], theme["line"] if tick else theme["muted"], 1 if tick else 0.7)
        for time in self._times():
            line([(self.x_of(time), self.bottom), (self.x_of(time), self.bottom + 4 * zoom)], theme["muted"], 1)
        inside = Image.new("L", large.size)
        ImageDraw.Draw(inside).rectangle([self.left * FINER, 0, self.right * FINER, large.height], fill=255)
        plot = large.copy()
        draw = ImageDraw.Draw(plot)
        for thick, casing in ((4.2, True), (2.0, False)):
            for colour, values in zip(self.colours, self.lines, strict=True):
                points = [(self.x_of(self.time_of(row)), self.y_of(value)) for row, value in enumerate(values)]
                if len(points) > 1:
                    line(points, theme["page"] if casing else colour, thick)
        large.paste(plot, (0, 0), inside)
        picture = large.reduce(FINER)
        self._write(picture, simulated, unit)
        return np.asarray(picture).copy()

    def _hatch(self, draw) -> None:
        """Slanted lines over the rows that do not rest on a full past."""
        from PIL import Image, ImageDraw

        high, step = (self.bottom - self.top) * FINER, round(7 * self.zoom * FINER)
        for row in np.flatnonzero(~self.valid):
            low, up = (int(self.x_of(edge) * FINER) for edge in (row * self.tr - self.lag, (row + 1) * self.tr - self.lag))
            low, up = max(low, self.left * FINER), min(up, self.right * FINER)
            if up <= low:
                continue
            mask = Image.new("L", (up - low, high))
            slants = ImageDraw.Draw(mask)
            for x in range(-high - (low % step), up - low, step):
                slants.line([(x, high), (x + high, 0)], fill=255, width=FINER)
            draw.bitmap((low, self.top * FINER), mask, fill=self.theme["line"])

    def _ticks(self) -> list[float]:
        step = _nice(self.reach, 2)
        return [number * step for number in range(-int(self.reach / step), int(self.reach / step) + 1)]

    def _times(self) -> list[float]:
        start, end = self.span
        every = next((step for step in _STEPS_S if step / (end - start) * (self.right - self.left) >= 58 * self.zoom), _STEPS_S[-1])
        return [number * every for number in range(math.ceil(start / every - 1e-9), int(end / every + 1e-9) + 1)]

    def _write(self, picture, simulated: bool, unit: str) -> None:
        zoom, theme = self.zoom, self.theme
        small = {"size": 10.5 * zoom, "colour": theme["muted"]}
        for tick in self._ticks():
            text = f"{tick:+.3g}".replace("-", "−") if tick else "0"
            write(picture, (self.left - 6 * zoom, self.y_of(tick)), text, anchor="rm", **small)
        for time in self._times():
            write(picture, (self.x_of(time), self.bottom + 11 * zoom), clock(time), anchor="mm", **small)
        axis = f"predicted BOLD ({unit})"
        write(picture, (2 * zoom, self.bottom + 26 * zoom), axis, **small)
        low, up = 16 * zoom + width_of(axis, 10.5 * zoom), self.width - (84 * zoom if simulated else 0)
        said = "film time (min:s), response shifted back 5 s" if self.lag else "film time (min:s)"
        said = fitted(said, up - low, 10.5 * zoom)
        x = min(max((self.left + self.right) / 2, low + width_of(said, 10.5 * zoom) / 2), up - width_of(said, 10.5 * zoom) / 2)
        write(picture, (x, self.bottom + 26 * zoom), said, anchor="mm", **small)
        if simulated:
            write(picture, (self.width - 2, self.bottom + 26 * zoom), "SIMULATED", size=10.5 * zoom, colour=theme["warn"], bold=True, anchor="rm")
        self._names(picture)
        beyond = max(self.left, self.x_of(len(self.valid) * self.tr - self.lag))
        if self.right - beyond > 16 * zoom:
            self._upright(picture, (beyond + self.right) / 2, "no prediction here")

    def _upright(self, picture, x: float, text: str) -> None:
        from PIL import Image

        size = min(11 * self.zoom, 11 * self.zoom * (self.bottom - self.top) / (width_of(text, 11 * self.zoom) + 8))
        label = Image.new("RGB", (self.bottom - self.top, int(size * 1.5)), self.theme["sunken"])
        write(label, (label.width / 2, label.height / 2), text, size=size, colour=self.theme["muted"], anchor="mm")
        label = label.rotate(90, expand=True)
        if label.width < self.right - x + label.width / 2:
            picture.paste(label, (int(x - label.width / 2), self.top))

    def _names(self, picture) -> None:
        """Names at the lines' ends, pushed apart so that none covers another."""
        from PIL import ImageDraw

        zoom = self.zoom
        last = max((row for row in range(self.lines.shape[1]) if self.time_of(row) <= self.span[1]), default=0)
        ends = [self.y_of(line[last]) for line in self.lines]
        space = min(15 * zoom, (self.bottom - self.top + 8 * zoom) / len(ends))
        order = np.argsort(ends)
        heights = np.array(ends)[order]
        for i in range(len(heights)):
            heights[i] = max(heights[i], heights[i - 1] + space if i else self.top + 4 * zoom)
        for i in reversed(range(len(heights))):
            heights[i] = min(heights[i], heights[i + 1] - space if i + 1 < len(heights) else self.bottom + 2 * zoom)
        draw = ImageDraw.Draw(picture)
        for number, y in zip(order, heights, strict=True):
            mark = self.right + 8 * zoom
            draw.rounded_rectangle([mark, y - 2.5 * zoom, mark + 12 * zoom, y + 2.5 * zoom], radius=2 * zoom, fill=self.colours[number])
            name = {"SalVentAttn": "Salience/ventral att."}.get(NETWORK_NAMES[number], DISPLAY_NAMES[NETWORK_NAMES[number]])
            told = fitted(name, self.width - mark - 18 * zoom, 11 * zoom)
            write(picture, (mark + 17 * zoom, y), told, size=11 * zoom, colour=self.theme["ink"])


def clock(time: float, tenths: bool = False) -> str:
    """Film time as "1:05" or "1:05.3"."""
    time = max(0.0, time) + 1e-6
    minutes = int(time // 60)
    rest = time - 60 * minutes
    return f"{minutes}:{int(rest * 10) / 10:04.1f}" if tenths else f"{minutes}:{int(rest):02d}"


def _nice(span: float, most: int) -> float:
    rough = span / most
    power = 10 ** math.floor(math.log10(rough))
    return next(times * power for times in (1, 2, 5, 10) if times * power >= rough * (1 - 1e-9))


def _dot(radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Casing and core of a dot, float32 shares of cover."""
    reach = radius + 2
    step = np.arange(-reach, reach + 1)
    away = np.hypot(step[:, None], step[None, :])
    return tuple(np.clip(size + 0.5 - away, 0, 1).astype(np.float32) for size in (radius + 1.5, radius))
