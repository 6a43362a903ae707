"""The glass brain as numpy pictures: the rules of ``assets/player/brain.js``.

One disc for each parcel and view. Places and sizes never change with the data, so every pixel's list of discs is made once; a new row only
chooses, for every pixel, the disc that shows: the one farthest from zero, as in nilearn's glass brain, nearer ones favoured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from encoder.atlas import N_PARCELS
from viz.colours import LEVELS, OPACITY, THEMES, as_pixels, fade, level_of, player_atlas, rgb_of
from viz.lettering import Layer

SMALLEST_MM, LARGEST_MM = 2.5, 4.1
"""Radius of the farthest and of the nearest disc."""

LEAST_COVER = 0.04
_LOW_BITS = 1023
FINER = 4
"""Lines are drawn so many times larger, then shrunk."""

# how a centroid (x, y, z in mm) lies in a view: across, up, and nearness to the viewer from 0 to 1
_AXES: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]] = {
    "l": lambda x, y, z: (-y, z, -x / 68),
    "r": lambda x, y, z: (y, z, x / 68),
    "x": lambda x, y, z: (y, z, np.abs(x) / 68),
    "y": lambda x, y, z: (x, z, (64 - y) / 160),
    "z": lambda x, y, z: (x, y, (z + 40) / 115),
}


@dataclass(frozen=True)
class GlassView:
    """One view on a page: its upper left corner in pixels and its scale in pixels per mm.

    ``key`` is "l", "r" (one hemisphere from its side), "x" (both from the right), "y" (from behind) or "z" (from above).
    """

    key: str
    left: float
    top: float
    scale: float

    @property
    def title(self) -> str:
        """What stands above it."""
        return "both sides" if self.key == "x" else _drawing(self.key)["title"]

    @property
    def width(self) -> float:
        """Pixels."""
        return span(self.key)[0] * self.scale

    @property
    def height(self) -> float:
        """Pixels."""
        return span(self.key)[1] * self.scale

    def place(self, points: np.ndarray) -> np.ndarray:
        """Millimetres of the view, float [..., 2], to pixels of the page."""
        low, _, _, high = _drawing(self.key)["bounds"]
        return np.stack([self.left + (points[..., 0] - low) * self.scale, self.top + (high - points[..., 1]) * self.scale], axis=-1)

    def discs(self, parcels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which of the parcels are drawn (places in the list), where [n, 2], and how near [n]."""
        across, up, near = _AXES[self.key](*np.array(player_atlas()["centroids"], float)[parcels].T)
        sides = np.array(list(player_atlas()["hemispheres"]))[parcels]
        seen = sides == self.key.upper() if self.key in "lr" else np.ones(len(parcels), bool)
        return np.flatnonzero(seen), self.place(np.stack([across, up], axis=-1)[seen]), np.clip(near, 0, 1)[seen]

    def letters(self) -> list[tuple[str, float]]:
        """L and R, and how far across each stands (share of the width)."""
        return {"l": [("L", 0.06)], "r": [("R", 0.94)], "x": [("L+R", 0.94)]}.get(self.key, [("L", 0.04), ("R", 0.96)])


def span(key: str) -> tuple[float, float]:
    """Width and height of a view in mm."""
    left, right, bottom, top = _drawing(key)["bounds"]
    return right - left, top - bottom


class Glass:
    """Views of one result on a page.

    Parameters
    ----------
    views : sequence of GlassView
    shape : (height, width)
        Of the page in pixels.
    dark : bool
    parcels : int [n], optional
        Which parcel each value belongs to; by default all 1000 in order.
    """

    def __init__(self, views: Sequence[GlassView], shape: tuple[int, int], *, dark: bool, parcels: np.ndarray | None = None):
        self.views, self.theme = views, THEMES[dark]
        self.dark = dark
        parcels = np.arange(N_PARCELS) if parcels is None else parcels
        found = [view.discs(parcels) for view in views]
        self.column = np.concatenate([column for column, _, _ in found])
        self.places = np.concatenate([place for _, place, _ in found])
        self.near = np.concatenate([near for _, _, near in found])
        scale = np.concatenate([np.full(len(column), view.scale) for view, (column, _, _) in zip(views, found, strict=True)])
        self.radius = (SMALLEST_MM + (LARGEST_MM - SMALLEST_MM) * self.near) * scale
        self._list_covers(shape)

    def _list_covers(self, shape: tuple[int, int]) -> None:
        """For every pixel that a disc touches: the discs, in order, and how much each covers (0 to 255)."""
        height, width = shape
        reach = int(np.ceil(self.radius.max())) + 1
        step = np.arange(-reach, reach + 1)
        x = np.floor(self.places[:, 0]).astype(int)[:, None, None] + step[None, None, :]
        y = np.floor(self.places[:, 1]).astype(int)[:, None, None] + step[None, :, None]
        away = np.hypot(x + 0.5 - self.places[:, 0, None, None], y + 0.5 - self.places[:, 1, None, None])
        cover = self.radius[:, None, None] + 0.5 - away
        inside = (cover > LEAST_COVER) & (x >= 0) & (x < width) & (y >= 0) & (y < height)
        pixel = np.broadcast_to(y * width + x, inside.shape)[inside]
        disc = np.broadcast_to(np.arange(len(x))[:, None, None], inside.shape)[inside]
        order = np.argsort(pixel, kind="stable")
        self.cover = np.minimum(255, np.floor(cover[inside][order] * 255 + 0.5))
        self.cover_disc = disc[order]
        self.pixels, self.starts, counts = np.unique(pixel[order], return_index=True, return_counts=True)
        turn = np.arange(len(self.cover)) - np.repeat(self.starts, counts)
        self.first_wins = _LOW_BITS - np.minimum(turn, _LOW_BITS)

    def winners(self, strength: np.ndarray) -> np.ndarray:
        """The place in the list of covers that shows in each touched pixel; of equal ones the first.

        ``strength`` is float32 [discs], not negative. Its product with a cover, at most 255, leaves the lowest 21 bits of a float64 empty, and
        the bits of such numbers are ordered as they are: the disc's turn fits there, so one maximum finds strength and disc.
        """
        key = (strength.astype(np.float64)[self.cover_disc] * self.cover).view(np.int64) | self.first_wins
        return self.starts + (_LOW_BITS - (np.maximum.reduceat(key, self.starts) & _LOW_BITS))

    def inks(
        self, values: np.ndarray | None, table: np.ndarray, limit: float, threshold: float, clear: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Strength, colour uint8 [discs, 3] and opacity (0 to 255) of every disc."""
        now = np.zeros(len(self.column)) if values is None else values[self.column].astype(np.float64)
        known = np.isfinite(now)
        now = np.where(known, now, 0.0)
        size = np.abs(now)
        strength = np.where(known, size * (0.5 + 0.5 * self.near) + 0.02 * (0.1 + self.near), 0.01 * self.near).astype(np.float32)
        colour = np.where(known[:, None], table[level_of(now, limit)], rgb_of(self.theme["muted"]))
        seen = (0.25 if values is None else 1.0) * fade(size, threshold) * (0.55 + 0.45 * self.near)
        if clear:
            seen = seen * np.minimum(1.0, size / limit * 3)
        return strength, colour, np.where(known, np.floor(255 * seen), 70)

    def paint(
        self, page: np.ndarray, values: np.ndarray | None, table: np.ndarray, limit: float, *, threshold: float = 0.0, clear: bool = False
    ) -> None:
        """Colour the pixels of all discs for one row.

        Parameters
        ----------
        page : uint32 [height, width]
            Changed in place (see :func:`viz.colours.new_page`).
        values : float [n] or None
            z, NaN where unknown; None where there is no prediction.
        table : uint8 [256, 3]
        limit, threshold : float
            End of the colours, and the size below which they fade.
        clear : bool
            Let small values be seen through (see :func:`needs_clear`).
        """
        strength, colour, opacity = self.inks(values, table, limit, threshold, clear)
        best = self.winners(strength)
        disc, cover = np.take(self.cover_disc, best), np.take(self.cover, best)
        ground = rgb_of(self.theme["page"]).astype(np.float64)

        def laid(disc: np.ndarray, cover: np.ndarray | float) -> np.ndarray:
            share = np.floor(opacity[disc] * cover / 256) / 255
            return as_pixels(ground + (colour[disc] - ground) * share[:, None])

        inked = laid(np.arange(len(self.column)), 255.0)[disc]
        edge = np.flatnonzero(cover < 255)
        inked[edge] = laid(disc[edge], cover[edge])
        page.reshape(-1)[self.pixels] = inked

    def outline(self, layer: Layer, weight: float = 1.0) -> None:
        """Draw the brain's edges and creases, ``weight`` times as heavy as in the player."""
        from PIL import Image, ImageDraw

        height, width = layer.through.shape
        for kind in ("crease", "outline"):
            image = Image.new("L", (width * FINER, height * FINER))
            draw = ImageDraw.Draw(image)
            for view in self.views:
                for path in _drawing(view.key)["paths"]:
                    if path["main"] != (kind == "outline"):
                        continue
                    thick = (1.2 if path["width"] > 1 else 0.7) if path["main"] else 0.8
                    for item in path["items"]:
                        points = view.place(_curve(np.reshape(item, (-1, 2)))) * FINER
                        draw.line([tuple(point) for point in points], fill=255, width=max(1, round(thick * weight * FINER)), joint="curve")
            layer.stamp(np.asarray(image.reduce(FINER)), self.theme[kind], OPACITY[kind])


def needs_clear(name: str, dark: bool) -> bool:
    """Whether a map's middle is dark on a light page, so that small values are told by transparency, as in nilearn."""
    from viz.colours import colour_table

    return not dark and int(colour_table(name)[LEVELS // 2].sum()) < 306


def _drawing(key: str) -> dict:
    return player_atlas()["outlines"]["r" if key == "x" else key]


def _curve(points: np.ndarray) -> np.ndarray:
    """Points along a line of two points, or along a Bezier curve of four."""
    if len(points) == 2:
        return points
    t = np.linspace(0, 1, 9)[:, None]
    return (1 - t) ** 3 * points[0] + 3 * (1 - t) ** 2 * t * points[1] + 3 * (1 - t) * t**2 * points[2] + t**3 * points[3]
