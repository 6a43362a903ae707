"""Brain pictures at film speed: glass brain and cortical surface of one row as numpy arrays, with everything written inside them.

The rules are the player's own (``assets/player/brain.js``, ``surface.js``, ``bar.js``), so a film shows what the page showed. Everything that
does not change with the row is prepared once; a row then takes some milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from extractors.errors import SelectionError
from viz.colours import THEMES, as_pixels, as_rgb, colour_table, fade, level_of, new_page, rgb_of
from viz.glass import Glass, GlassView, needs_clear, span
from viz.lettering import Layer, fitted, width_of
from viz.look import Look
from viz.surface_picture import SurfacePicture, SurfaceView, surface_views

NO_PREDICTION = "no prediction here"
GLASS_GRID, GLASS_LINE = ("l", "y", "r", "z"), ("l", "y", "r", "z")
SURFACE_GRID, SURFACE_LINE = ("ll", "lr", "ml", "mr"), ("ll", "ml", "mr", "lr")
TITLE_PX, BAR_PX, GAP_PX = 19, 44, 12
SMALLEST_PX = 120
"""A pane below this size, in either direction, cannot be read."""


@dataclass(frozen=True)
class _Grid:
    """Four views of a pane in columns and rows; sizes in the pane's own units."""

    keys: tuple[str, ...]
    sizes: tuple[tuple[float, float], ...]
    columns: int

    def spans(self) -> tuple[list[float], list[float]]:
        """Widths of the columns, heights of the rows."""
        rows = len(self.keys) // self.columns
        wide = [max(self.sizes[row * self.columns + column][0] for row in range(rows)) for column in range(self.columns)]
        high = [max(self.sizes[row * self.columns + column][1] for column in range(self.columns)) for row in range(rows)]
        return wide, high

    def scale(self, width: float, height: float, title: float, gap: float) -> float:
        """The largest scale at which it fits."""
        wide, high = self.spans()
        return min((width - gap * (len(wide) - 1)) / sum(wide), (height - title * len(high)) / sum(high))

    def corners(self, box: tuple[float, float, float, float], title: float, gap: float) -> tuple[float, list[tuple[str, float, float]]]:
        """Scale, and every view's key and upper left corner, with the whole in the middle of a box (left, top, width, height)."""
        left, top, width, height = box
        wide, high = self.spans()
        scale = self.scale(width, height, title, gap)
        spare = max(0.0, width - scale * sum(wide) - gap * (len(wide) - 1)) / (len(wide) + 1)
        spare = min(spare, 3 * gap)
        used = scale * sum(wide) + (gap + spare) * (len(wide) - 1)
        left += (width - used) / 2
        top += (height - scale * sum(high) - title * len(high)) / 2
        placed = []
        for number, key in enumerate(self.keys):
            row, column = divmod(number, self.columns)
            across = left + scale * sum(wide[:column]) + (gap + spare) * column + scale * (wide[column] - self.sizes[number][0]) / 2
            down = top + scale * sum(high[:row]) + title * (row + 1) + scale * (high[row] - self.sizes[number][1]) / 2
            placed.append((key, across, down))
        return scale, placed


class Painter:
    """Pictures of a result, one row at a time.

    Parameters
    ----------
    width, height : int
        Of the picture in pixels.
    look : Look
    limit : float
        End of the colours (z): ``look.range_of(responses)``.
    who : str
        Whose responses; stands in the lower right corner.
    simulated : bool
        SIMULATED is written into every picture.
    unit : str
    zoom : float
        How much larger letters and lines are than at 720 lines.

    Raises
    ------
    SelectionError
        When the picture is too small to show the views.
    """

    def __init__(
        self, width: int, height: int, look: Look, limit: float, *, who: str = "", simulated: bool = False, unit: str = "z", zoom: float = 1.0
    ):
        if min(width, height) < SMALLEST_PX:
            got = f"{width} x {height}"
            raise SelectionError("too_small", f"A brain picture needs {SMALLEST_PX} pixels each way, but got {got} instead.", "Choose a larger size.")
        self.width, self.height, self.look, self.limit, self.zoom = width, height, look, limit, zoom
        self.theme, self.table = THEMES[look.dark], colour_table(look.map_name)
        self.layer = Layer(width, height)
        self.page = new_page(width, height, self.theme["page"])
        foot = (BAR_PX + (16 if who or simulated else 0)) * zoom
        glass, surface = self._arrange((0, 0, width, height - foot))
        self.glass = Glass(glass, (height, width), dark=look.dark) if glass else None
        self.surface = SurfacePicture(surface, (height, width), dark=look.dark) if surface else None
        self.clear = needs_clear(look.map_name, look.dark)
        if self.surface:
            self.surface.rim(self.layer)
        if self.glass:
            self.glass.outline(self.layer, zoom)
        for view in (*glass, *surface):
            self._name(view)
        self._bar(height - foot + 8 * zoom, unit)
        if simulated:
            self.layer.write((6 * zoom, height - 9 * zoom), "SIMULATED", size=11.5 * zoom, colour=self.theme["warn"], bold=True)
        if who:
            said = fitted(who, 0.62 * width, 11 * zoom)
            self.layer.write((width - 6 * zoom, height - 9 * zoom), said, size=11 * zoom, colour=self.theme["muted"], anchor="rm")
        self._settle()

    def picture(self, values: np.ndarray | None) -> np.ndarray:
        """One row, float [1000] (NaN: unknown), or no prediction (None): uint8 [height, width, 3]."""
        return as_rgb(self.paint(values))

    def paint(self, values: np.ndarray | None) -> np.ndarray:
        """As :meth:`picture`, as a page: uint32 [height, width] (see :func:`viz.colours.new_page`), painted over by the next call."""
        for pane in (self.glass, self.surface):
            if pane:
                sheer = self.clear or (pane is self.surface and self.look.map_name == "cold_hot")
                pane.paint(self.page, values, self.table, self.limit, threshold=self.look.threshold, clear=sheer)
        flat = self.page.reshape(-1)
        flat[self.crossed] = as_pixels(flat[self.crossed].view(np.uint8).reshape(-1, 4)[:, :3] * self.crossed_through + self.crossed_over)
        if values is not None:
            return self.page
        shown = self.page.copy()
        for box, patch in self._none:
            shown[box] = patch
        return shown

    def place_of(self, parcel: int, key: str) -> tuple[int, int] | None:
        """Pixel (x, y) where a parcel (index 0..999) stands in a view ("l", "y", "r", "z", "ll", "lr", "ml", "mr"); None where it is not seen."""
        for view in self.glass.views if self.glass else ():
            if view.key == key:
                seen, places, _ = view.discs(np.array([parcel]))
                return tuple(int(x) for x in places[0]) if len(seen) else None
        for view in self.surface.views if self.surface else ():
            if view.map.key == key:
                return _middle_of(view, parcel)
        return None

    def _arrange(self, box: tuple[float, float, float, float]) -> tuple[list[GlassView], list[SurfaceView]]:
        """Views where they are largest: each pane in one row, two or four; both panes beside each other or one under the other."""
        left, top, width, height = box
        title, gap = TITLE_PX * self.zoom, GAP_PX * self.zoom
        maps = surface_views() if self.look.views != "glass" else {}
        tall, wide = next(iter(maps.values())).ids.shape if maps else (1, 1)
        glass = [_Grid(keys, tuple(span(key) for key in keys), columns) for keys, columns in ((GLASS_LINE, 4), (GLASS_GRID, 2), (GLASS_LINE, 1))]
        surface = [_Grid(keys, ((wide, tall),) * 4, columns) for keys, columns in ((SURFACE_LINE, 4), (SURFACE_GRID, 2), (SURFACE_LINE, 1))]
        if self.look.views == "glass":
            found = [(best := max(glass, key=lambda grid: grid.scale(width, height, title, gap)), box)]
            scale, placed = best.corners(found[0][1], title, gap)
            return [GlassView(key, x, y, scale) for key, x, y in placed], []
        if self.look.views == "surface":
            best = max(surface, key=lambda grid: grid.scale(width, height, title, gap))
            scale, placed = best.corners(box, title, gap)
            return [], [SurfaceView(maps[key], x, y, scale) for key, x, y in placed]
        beside = ((left, top, (width - 2 * gap) / 2, height), (left + (width + 2 * gap) / 2, top, (width - 2 * gap) / 2, height))
        stacked = ((left, top, width, (height - gap) / 2), (left, top + (height + gap) / 2, width, (height - gap) / 2))
        choices = []
        for halves, (one, two) in product((stacked, beside), zip(glass, surface, strict=True)):
            seen = one.scale(*halves[0][2:], title, gap) * span("l")[0], two.scale(*halves[1][2:], title, gap) * wide
            choices.append((min(seen), halves, one, two))
        _, halves, one, two = max(choices, key=lambda choice: choice[0])
        (scale, discs), (zoom, pictures) = one.corners(halves[0], title, gap), two.corners(halves[1], title, gap)
        return [GlassView(key, x, y, scale) for key, x, y in discs], [SurfaceView(maps[key], x, y, zoom) for key, x, y in pictures]

    def _name(self, view: GlassView | SurfaceView) -> None:
        """The view's title, and L and R where they are."""
        zoom = self.zoom
        self.layer.write((view.left + view.width / 2, view.top - 8 * zoom), view.title, size=11 * zoom, colour=self.theme["muted"], anchor="mm")
        for letter, share in view.letters():
            at = (view.left + view.width * share, view.top + 8 * zoom)
            self.layer.write(at, letter, size=13 * zoom, colour=self.theme["ink"], bold=True, anchor="mm")

    def _bar(self, top: float, unit: str) -> None:
        """The colour bar with ticks, unit and threshold; it stands in the layer, since no row changes it."""
        zoom, look = self.zoom, self.look
        said = f"predicted BOLD ({unit})"
        beside = width_of(said, 11 * zoom) + 14 * zoom
        long = int(min(420 * zoom, self.width - beside - 60 * zoom))
        if long < 120 * zoom:  # too narrow to stand beside the bar
            beside, long = 0.0, int(self.width - 60 * zoom)
        left, top, high = int((self.width - long - beside) / 2 + beside), int(top), max(4, round(11 * zoom))
        values = np.linspace(-self.limit, self.limit, long)
        share = fade(np.abs(values), look.threshold)
        colours = self.table[level_of(values, self.limit)] * share[:, None] + rgb_of(self.theme["page"]) * (1 - share[:, None])
        box = np.s_[top : top + high, left : left + long]
        self.layer.over[box], self.layer.through[box] = colours[None], 0
        edge = np.zeros((high + 2, long + 2), np.uint8)
        edge[[0, -1]] = 255
        edge[:, [0, -1]] = 255
        self.layer.stamp(edge, self.theme["crease"], 0.6, at=(left - 1, top - 1))
        for mark in (-look.threshold, look.threshold) if 0 < look.threshold < self.limit else ():
            x = left + round((mark / self.limit + 1) / 2 * (long - 1))
            self.layer.stamp(np.full((high + round(4 * zoom), max(1, round(zoom))), 255, np.uint8), self.theme["ink"], at=(x, top - round(4 * zoom)))
        for step in (-1, -0.5, 0, 0.5, 1):
            text = f"{step * self.limit:+.3g}".replace("-", "−") if step else "0"
            at = (left + (step + 1) / 2 * (long - 1), top + high + 10 * zoom)
            self.layer.write(at, text, size=11 * zoom, colour=self.theme["ink"], anchor="mm")
        if beside:
            self.layer.write((left - 14 * zoom, top + high / 2), said, size=11 * zoom, colour=self.theme["muted"], anchor="rm")
        else:
            self.layer.write((left + long / 2, top + high + 24 * zoom), said, size=11 * zoom, colour=self.theme["muted"], anchor="mm")

    def _settle(self) -> None:
        """Lay the layer on the page once, and keep what of it lies above pixels that rows change."""
        changing = np.concatenate([pane.pixels for pane in (self.glass, self.surface) if pane])
        through = self.layer.through.reshape(-1)
        self.crossed = changing[through[changing] < 1]
        self.crossed_through = through[self.crossed][:, None]
        self.crossed_over = self.layer.over.reshape(-1, 3)[self.crossed]
        self.page.reshape(-1)[:] = as_pixels(self.layer.on(as_rgb(self.page)).reshape(-1, 3))
        self._none = self._none_patches()

    def _none_patches(self) -> list[tuple[tuple[slice, slice], np.ndarray]]:
        """Where "no prediction here" stands in each pane, and what it looks like."""
        from PIL import Image

        from viz.lettering import write

        size = 14 * self.zoom
        half_wide, half_high = int(width_of(NO_PREDICTION, size, True) / 2 + 10 * self.zoom), int(12 * self.zoom)
        patches = []
        for pane in (pane for pane in (self.glass, self.surface) if pane):
            middle = round(sum(view.left + view.width / 2 for view in pane.views) / len(pane.views))
            low, high = min(view.top for view in pane.views), max(view.top + view.height for view in pane.views)
            at = (low + high) / 2
            lower = [view.top for view in pane.views if view.top > at - view.height / 4]
            if lower:  # above the titles of the lower views
                at = min(lower) - TITLE_PX * self.zoom - half_high
            patch = Image.new("RGB", (2 * half_wide, 2 * half_high), self.theme["page"])
            write(patch, (half_wide, half_high), NO_PREDICTION, size=size, colour=self.theme["ink"], bold=True, anchor="mm")
            y, x = round(at) - half_high, max(0, middle - half_wide)
            pixels = as_pixels(np.asarray(patch).reshape(-1, 3)).reshape(2 * half_high, 2 * half_wide)
            patches.append((np.s_[y : y + 2 * half_high, x : x + 2 * half_wide], pixels[:, : self.width - x]))
        return patches


def _middle_of(view: SurfaceView, parcel: int) -> tuple[int, int] | None:
    """Pixel of the page deepest inside a parcel of a surface view."""
    from scipy.ndimage import distance_transform_edt

    inside = np.pad(view.map.ids == parcel + 1, 1)
    if not inside.any():
        return None
    depth = distance_transform_edt(inside)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(view.left + (column + 0.5) * view.scale), int(view.top + (row + 0.5) * view.scale)
