"""Responses as an animated glass brain: a GIF in which a TR lasts as long as in the film.

The glass brain is the player's own, drawn by :mod:`viz.glass`; everything that stays is drawn once.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from encoder.atlas import N_PARCELS
from extractors.errors import SelectionError
from extractors.grid import TR
from extractors.in_thread import Tell, in_thread
from extractors.stages import Stage
from viz.colours import LEVELS, THEMES, as_pixels, as_rgb, check_map, colour_table, new_page
from viz.film_page import Patch
from viz.film_writers import Gif, palette_of
from viz.glass import Glass, GlassView
from viz.lettering import Layer, fitted, width_of, write
from viz.writing import whole_file

PERCENTILE = 99.0
"""The colour range ends at this percentile of |values| over all rows, as in BERG's animation."""

SMALLEST_RANGE = 1e-6
VIEWS = ("l", "y", "r", "z", "x")
MODES = {"ortho": "yxz"}
PX_PER_MM = 1.3
TOP_PX, FOOT_PX, GAP_PX, BAR_PX = 46, 14, 12, 96
PALETTE_ROWS = 6


def glass_brain_gif(
    values: np.ndarray,
    path: str | os.PathLike,
    *,
    parcels: np.ndarray | None = None,
    display_mode: str = "lyrz",
    cmap: str = "cold_hot",
    simulated: bool = False,
    valid: Sequence[bool] | None = None,
    range_floor: float = 0.0,
    unit: str = "z",
    title: str = "",
) -> Generator[Any, None, None]:
    """Draw one person's responses as a GIF; each row is shown for one TR (1.49 s).

    Parameters
    ----------
    values : float [T, n] or [n]
        Predicted BOLD of n parcels; one row is one picture.
    path : path
        Ends in ``.gif``.
    parcels : bool [1000] or int [n], optional
        Which parcels the columns are; the others are not drawn. By default all 1000.
    display_mode : str
        Views in this order, each once: "l", "r" (one hemisphere from its side), "x" (both from the right), "y" (from behind), "z" (from above);
        or "ortho" for "yxz".
    cmap : str
        A diverging colour map of matplotlib, "cold_hot", "cineglass_light" or "cineglass_dark". Where its middle is dark the page is dark.
    simulated : bool
        Write SIMULATED into every picture.
    valid : bool [T], optional
        Rows that rest on a full past; the label of the others says that they do not.
    range_floor : float
        The symmetric range (99th percentile of ``|values|`` over all rows) is never smaller, so that a flat prediction looks flat.
    unit : str
        Stands at the colour bar.
    title : str
        Short text beside the label, shown as it is.

    Yields
    ------
    Stage
        Named "animation"; the last item is the path.

    Raises
    ------
    SelectionError
        For an unknown view or colour map, a path of another ending, or values that do not fit the parcels.
    CacheError
        When the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".gif":
        raise SelectionError("ending", f"The animation's file must end in .gif, but got {path.name!r} instead.", "For example brain_activation.gif.")
    modes, chosen = check_views(display_mode), _columns(parcels)
    values = _checked(values, chosen)
    flags = np.ones(len(values), bool) if valid is None else np.asarray(valid, bool)
    if flags.shape != (len(values),):
        raise SelectionError("valid_rows", f"valid must hold {len(values)} rows, but got {flags.shape} instead.", "Give one flag for each row.")
    limit = max(float(np.percentile(np.abs(values), PERCENTILE)), range_floor, SMALLEST_RANGE)
    name = check_map(cmap)

    def work(tell: Tell) -> Path:
        scene = _Scene(modes, chosen, name, limit, simulated=simulated, unit=unit, title=title)
        with whole_file(path, "animation") as part:
            _write(scene, values, flags, part, tell)
        return path

    written = yield from in_thread("animation", len(values), "Drawing the glass brain", work)
    yield Stage("animation", 1, 1, f"{len(values)} pictures are drawn")
    yield written


def check_views(display_mode: str) -> str:
    """The views of a display mode, one letter each; SelectionError for an unknown or repeated one."""
    modes = MODES.get(display_mode, display_mode) if isinstance(display_mode, str) else ""
    if not modes or len(set(modes)) != len(modes) or set(modes) - set(VIEWS):
        raise SelectionError(
            "unknown_view",
            f"Allowed views are {', '.join(VIEWS)}, each once, or ortho, but got {display_mode!r} instead.",
            "For example lyrz.",
        )
    return modes


def _columns(parcels: np.ndarray | None) -> np.ndarray:
    """Parcel index of each column."""
    if parcels is None:
        return np.arange(N_PARCELS)
    parcels = np.asarray(parcels)
    if parcels.dtype == bool and parcels.shape == (N_PARCELS,):
        parcels = np.flatnonzero(parcels)
    if parcels.ndim != 1 or not len(parcels) or parcels.dtype.kind not in "iu" or parcels.min() < 0 or parcels.max() >= N_PARCELS:
        raise SelectionError("parcels", f"parcels must be {N_PARCELS} flags or indices 0 to {N_PARCELS - 1}, at least one.", "Leave it out for all.")
    return parcels


def _checked(values: np.ndarray, columns: np.ndarray) -> np.ndarray:
    values = np.asarray(values, np.float32)
    values = values[None] if values.ndim == 1 else values
    if values.ndim != 2 or not len(values) or values.shape[1] != len(columns):
        raise SelectionError(
            "values_shape",
            f"Values must be [TRs, {len(columns)}] for {len(columns)} parcels, but got {list(values.shape)} instead.",
            "Give the responses of one person.",
        )
    if not np.isfinite(values).all():
        raise SelectionError("not_finite", "The values hold numbers that are not finite.", "Leave rows with NaN out.")
    return values


class _Scene:
    """The page of an animation: everything that stays is drawn once, and each row on top of it."""

    def __init__(self, modes: str, columns: np.ndarray, name: str, limit: float, *, simulated: bool, unit: str, title: str):
        self.table, self.name, self.limit, self.title = colour_table(name), name, limit, title
        self.dark = int(self.table[LEVELS // 2].sum()) < 306  # the page is dark where the map's middle is
        self.theme = THEMES[self.dark]
        self.views: list[GlassView] = []
        left = float(GAP_PX)
        for key in modes:
            self.views.append(GlassView(key, left, TOP_PX, PX_PER_MM))
            left += self.views[-1].width + GAP_PX
        self.width = max(round(left + BAR_PX), 420)
        self.height = round(TOP_PX + max(view.height for view in self.views) + FOOT_PX)
        self.glass = Glass(self.views, (self.height, self.width), dark=self.dark, parcels=columns)
        self.said = width_of("SIMULATED", 13, True) if simulated else 0
        layer = Layer(self.width, self.height)
        self.glass.outline(layer)
        for view in self.views:
            layer.write((view.left + view.width / 2, TOP_PX - 8), view.title, size=10, colour=self.theme["muted"], anchor="mm")
            for letter, share in view.letters():
                layer.write((view.left + view.width * share, TOP_PX + 8), letter, size=13, colour=self.theme["ink"], bold=True, anchor="mm")
        self._bar(layer, self.width - BAR_PX + 44, unit)
        if simulated:
            layer.write((self.width - 8, 15), "SIMULATED", size=13, colour=self.theme["warn"], bold=True, anchor="rm")
        page = new_page(self.width, self.height, self.theme["page"])
        self.page = as_pixels(layer.on(as_rgb(page)).reshape(-1, 3)).reshape(page.shape)
        pixels = self.glass.pixels
        self.crossed = pixels[layer.through.reshape(-1)[pixels] < 1]
        self.through = layer.through.reshape(-1)[self.crossed][:, None]
        self.over = layer.over.reshape(-1, 3)[self.crossed]

    def ground(self) -> np.ndarray:
        """The page without a row: uint8 [height, width, 3]."""
        return as_rgb(self.page)

    def patches(self, row: int, values: np.ndarray, full: bool) -> Iterator[Patch]:
        """What a row changes: the brains, and its label."""
        self.glass.paint(self.page, values, self.table, self.limit)
        flat = self.page.reshape(-1)
        flat[self.crossed] = as_pixels(flat[self.crossed].view(np.uint8).reshape(-1, 4)[:, :3] * self.through + self.over)
        top = TOP_PX - 16
        yield 0, top, self.page[top:].view(np.uint8).reshape(self.height - top, self.width, 4)
        yield GAP_PX, 4, self._label(row, full)

    def _label(self, row: int, full: bool) -> np.ndarray:
        from PIL import Image

        image = Image.new("RGB", (int(self.width - 2 * GAP_PX - self.said), 22), self.theme["page"])
        said = f"TR {row}   {row * TR:.1f} to {(row + 1) * TR:.1f} s"
        told = "   ".join(part for part in (said, self.title, "" if full else "(not on a full past)") if part)
        write(image, (0, 11), fitted(told, image.width, 12), size=12, colour=self.theme["ink"])
        return np.asarray(image)

    def _bar(self, layer: Layer, left: int, unit: str) -> None:
        """The colour bar with its unit."""
        top, bottom, width = TOP_PX + 14, self.height - FOOT_PX - 14, 12
        box = np.s_[top:bottom, left : left + width]
        levels = np.rint(np.linspace(LEVELS - 1, 0, bottom - top)).astype(int)
        layer.over[box], layer.through[box] = self.table[levels][:, None], 0
        for share in (1, 0.5, 0, -0.5, -1):
            height = bottom + (top - bottom) * (share + 1) / 2
            text = f"{share * self.limit:+.2g}".replace("-", "−") if share else "0"
            layer.write((left + width + 5, height), text, size=10, colour=self.theme["ink"])
        self._upright(layer, left - 10, (top + bottom) / 2, f"predicted BOLD ({unit})")

    def _upright(self, layer: Layer, x: float, y: float, text: str) -> None:
        """A line read from below."""
        aside = Layer(round(width_of(text, 10)) + 4, 16)
        aside.write((2, 8), text, size=10, colour=self.theme["muted"])
        mask = np.rot90(np.rint(255 * (1 - aside.through)).astype(np.uint8))
        layer.stamp(mask, self.theme["muted"], at=(round(x - mask.shape[1] / 2), round(y - mask.shape[0] / 2)))


def _write(scene: _Scene, values: np.ndarray, flags: np.ndarray, part: Path, tell: Tell) -> None:
    """A GIF counts in hundredths of a second, and a TR is 149 of them."""
    pages = []
    for row in np.unique(np.linspace(0, len(values) - 1, PALETTE_ROWS).astype(int)):
        tell()
        list(scene.patches(int(row), values[row], True))
        pages.append(as_rgb(scene.page))
    told = f"{'SIMULATED' if scene.said else 'predicted'} BOLD responses; made with Cineglass"
    out = Gif(part, scene.ground(), palette=palette_of(pages, dark=scene.dark, map_name=scene.name), told=told)
    try:
        for row, (now, full) in enumerate(zip(values, flags, strict=True)):
            tell(row, f"Picture {row + 1} of {len(values)}")
            out.add(scene.patches(row, now, bool(full)), round(TR * 100))
        out.finish()
    finally:
        out.close()
