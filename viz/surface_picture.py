"""The cortical surface as numpy pictures: the rules of ``assets/player/surface.js``.

A pixel is looked up at several points of the parcel-number maps. What it shows is then linear in the parcels' colours, so one sparse matrix,
made once per size, turns the colours of a row into the picture, with soft borders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from encoder.atlas import N_PARCELS
from viz.colours import THEMES, as_pixels, fade, level_of, rgb_of
from viz.lettering import Layer
from viz.surface_maps import GREYS, LIGHT_FLOOR, OUTSIDE, WALL, View, read_surface_maps

POINTS = 3
"""A pixel is looked up at so many places across and down."""


@dataclass(frozen=True, eq=False)
class SurfaceView:
    """One map on a page: its upper left corner in pixels, and how many pixels of the page one of the map takes."""

    map: View
    left: float
    top: float
    scale: float

    @property
    def title(self) -> str:
        """What stands above it."""
        return self.map.title

    @property
    def width(self) -> float:
        """Pixels."""
        return self.map.ids.shape[1] * self.scale

    @property
    def height(self) -> float:
        """Pixels."""
        return self.map.ids.shape[0] * self.scale

    def letters(self) -> list[tuple[str, float]]:
        """L or R, and how far across it stands (share of the width)."""
        return [(self.map.side, 0.03 if self.map.side == "L" else 0.97)]

    def samples(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Pixels of the page that the map takes: rows [h], columns [w], and ids and shades at their points [h, w, POINTS * POINTS]."""
        rows, down = _lines(self.top, self.height, self.scale, self.map.ids.shape[0])
        columns, across = _lines(self.left, self.width, self.scale, self.map.ids.shape[1])
        shape = (len(rows), len(columns), POINTS * POINTS)

        def at(table: np.ndarray) -> np.ndarray:
            edged = np.pad(table, 1)  # outside of the map is no brain
            found = edged[down[:, None, :, None] + 1, across[None, :, None, :] + 1]
            return found.reshape(shape)

        return rows, columns, at(self.map.ids), at(self.map.shade)


def _lines(start: float, length: float, scale: float, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixel rows (or columns) of the page that a map covers, and the map's own at each of their points, -1 or ``size`` outside."""
    pixels = np.arange(int(np.floor(start)), int(np.ceil(start + length)))
    points = pixels[:, None] + (np.arange(POINTS) + 0.5) / POINTS
    return pixels, np.clip(np.floor((points - start) / scale).astype(int), -1, size)


class SurfacePicture:
    """Views of one result on a page.

    Parameters
    ----------
    views : sequence of SurfaceView
        Inside the page.
    shape : (height, width)
        Of the page in pixels.
    dark : bool
    """

    def __init__(self, views: Sequence[SurfaceView], shape: tuple[int, int], *, dark: bool):
        from scipy.sparse import csr_matrix

        self.views = views
        self.theme = THEMES[dark]
        low, high = GREYS["dark" if dark else "light"]
        pixels, grounds, inside, entries = [], [], [], []
        for view in views:
            rows, columns, ids, shades = view.samples()
            ids, shades = ids.reshape(-1, POINTS**2), shades.reshape(-1, POINTS**2)
            brain = (ids != OUTSIDE).mean(1)
            kept = np.flatnonzero(brain)
            ids, shades, brain = ids[kept], shades[kept].astype(np.float32) / 255, brain[kept]
            grey = np.where(ids != OUTSIDE, low + (high - low) * shades, 0)
            first = sum(map(len, pixels))
            pixels.append((rows[:, None] * shape[1] + columns).ravel()[kept])
            inside.append(brain)
            grounds.append(grey.mean(1)[:, None] + (1 - brain)[:, None] * rgb_of(self.theme["page"]))
            where, point = np.nonzero((ids != OUTSIDE) & (ids != WALL))
            light = LIGHT_FLOOR + (1 - LIGHT_FLOOR) * shades[where, point]
            entries.append((first + where, ids[where, point] - 1, light, grey[where, point]))
        self.pixels = np.concatenate(pixels)
        self.inside = np.concatenate(inside)
        self.ground = np.concatenate(grounds).astype(np.float32)
        pixel, parcel, light, grey = (np.concatenate(column) for column in zip(*entries, strict=True))
        share = np.float32(1 / POINTS**2)
        # the first half of the columns lays a parcel's lit colour on, the second takes the grey under it away
        weights = np.concatenate([light * share, grey * share]).astype(np.float32)
        places = (np.concatenate([pixel, pixel]), np.concatenate([parcel, parcel + np.intp(N_PARCELS)]))
        self.mix = csr_matrix((weights, places), shape=(len(self.pixels), 2 * N_PARCELS))

    def paint(
        self, page: np.ndarray, values: np.ndarray | None, table: np.ndarray, limit: float, *, threshold: float = 0.0, clear: bool = False
    ) -> None:
        """Colour the surface for one row; arguments as for :meth:`viz.glass.Glass.paint`.

        Unknown parcels stay grey, and so do all without a prediction.
        """
        seen = np.zeros(N_PARCELS, np.float32)
        inks = np.zeros((2 * N_PARCELS, 3), np.float32)
        if values is not None:
            known = np.isfinite(values)
            now = np.where(known, values, 0).astype(np.float64)
            size = np.abs(now)
            seen = (known * fade(size, threshold) * (np.minimum(1, size / limit * 3) if clear else 1)).astype(np.float32)
            inks[:N_PARCELS] = table[level_of(now, limit)] * seen[:, None]
            inks[N_PARCELS:] = -seen[:, None]
        page.reshape(-1)[self.pixels] = as_pixels(self.mix @ inks + self.ground)

    def rim(self, layer: Layer) -> None:
        """A fine line along the brain's edge: colours near zero may be those of the page."""
        edge = np.zeros(layer.through.shape, np.uint8)
        share = 1 - np.abs(2 * self.inside - 1)
        edge.reshape(-1)[self.pixels] = np.rint(255 * np.sqrt(share))
        layer.stamp(edge, self.theme["crease"], 0.6)


def surface_views() -> dict[str, View]:
    """The four maps by their keys."""
    return {view.key: view for view in read_surface_maps().views}
