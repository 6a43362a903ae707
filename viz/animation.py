"""Responses as an animated glass brain: a GIF in which a TR lasts as long as in the film.

Outlines and parcel centres are those of the player (``assets/player/atlas.json``, made by :mod:`viz.player_assets`). One matplotlib figure is
drawn once; for every row only the discs, the outlines above them and the row's label are drawn again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator, Sequence
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from encoder.atlas import N_PARCELS
from extractors.errors import CacheError, SelectionError
from extractors.grid import TR
from extractors.in_thread import Tell, in_thread
from extractors.stages import Stage
from settings import ASSETS

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from PIL.Image import Image

PERCENTILE = 99.0
"""The colour range ends at this percentile of |values| over all rows, as in BERG's animation."""

SMALLEST_RANGE = 1e-6
VIEWS = ("l", "y", "r", "z", "x")
MODES = {"ortho": "yxz"}
OWN_MAPS = {"cold_hot": "classic", "cineglass_light": "light", "cineglass_dark": "dark"}
"""Colour maps that lie in the player's atlas; ``cold_hot`` is nilearn's, which matplotlib does not have."""

PX_PER_MM = 1.3
TOP_PX, FOOT_PX, GAP_PX, BAR_PX = 46, 14, 12, 96
SMALLEST_MM, LARGEST_MM = 2.5, 4.1

_DARK = {"page": "#101418", "ink": "#e8eaec", "muted": "#9aa3ab", "crease": "#566069", "warn": "#ff8a80"}
_LIGHT = {"page": "#ffffff", "ink": "#1d2226", "muted": "#66707a", "crease": "#b4bcc4", "warn": "#a02020"}


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
    colours = colour_map(cmap)

    def work(tell: Tell) -> Path:
        scene = _Scene(modes, chosen, colours, limit, simulated=simulated, unit=unit, title=title)
        return _write(_told(scene.frames(values, flags), len(values), tell), path)

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


def colour_map(name: str) -> Colormap:
    """A colour map by name: matplotlib's, or one of :data:`OWN_MAPS`; SelectionError for an unknown one."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    if isinstance(name, str) and name in OWN_MAPS:
        return LinearSegmentedColormap.from_list(name, _atlas()["maps"][OWN_MAPS[name]])
    if isinstance(name, str) and name in colormaps:
        return colormaps[name]
    close = get_close_matches(str(name), [*OWN_MAPS, *colormaps], n=1)
    allowed = f"Allowed colour maps are {', '.join(OWN_MAPS)} and those of matplotlib, but got {name!r} instead."
    raise SelectionError("unknown_colour_map", allowed, f"Did you mean {close[0]}?" if close else "For example cold_hot.")


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


@lru_cache(maxsize=1)
def _atlas() -> dict[str, Any]:
    return json.loads((ASSETS / "player" / "atlas.json").read_text(encoding="utf-8"))


class _View:
    """One view: its place on the page (pixels from the upper left) and the parcels it shows."""

    def __init__(self, key: str, left: float, top: float):
        drawing = _atlas()["outlines"]["r" if key == "x" else key]
        self.key, self.paths = key, drawing["paths"]
        self.title = "both sides" if key == "x" else drawing["title"]
        self.low_x, high_x, low_y, self.high_y = drawing["bounds"]
        self.left, self.top = left, top
        self.width, self.height = (high_x - self.low_x) * PX_PER_MM, (self.high_y - low_y) * PX_PER_MM

    def place(self, points: np.ndarray) -> np.ndarray:
        """Millimetres [..., 2] of the view to pixels."""
        return np.stack([self.left + (points[..., 0] - self.low_x) * PX_PER_MM, self.top + (self.high_y - points[..., 1]) * PX_PER_MM], axis=-1)

    def discs(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Column, place [n, 2] and nearness to the viewer (0..1) of every disc."""
        x, y, z = np.array(_atlas()["centroids"], float)[columns].T
        across, up, near = {
            "l": (-y, z, -x / 68),
            "r": (y, z, x / 68),
            "x": (y, z, np.abs(x) / 68),
            "y": (x, z, (64 - y) / 160),
            "z": (x, y, (z + 40) / 115),
        }[self.key]
        sides = np.array(list(_atlas()["hemispheres"]))[columns]
        seen = sides == self.key.upper() if self.key in "lr" else np.ones(len(columns), bool)
        return np.flatnonzero(seen), self.place(np.stack([across, up], axis=-1)[seen]), np.clip(near, 0, 1)[seen]


class _Scene:
    """The page of an animation: everything that stays is drawn once, and each row on top of it."""

    def __init__(self, modes: str, columns: np.ndarray, colours: Colormap, limit: float, *, simulated: bool, unit: str, title: str):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.collections import PathCollection
        from matplotlib.figure import Figure
        from matplotlib.path import Path as Curve

        self.colours, self.limit, self.unit, self.title = colours, limit, unit, title
        self.theme = _DARK if sum(colours(0.5)[:3]) < 1.2 else _LIGHT
        views, left = [], GAP_PX
        for key in modes:
            views.append(_View(key, left, TOP_PX))
            left += views[-1].width + GAP_PX
        self.width = max(round(left + BAR_PX), 420)
        self.height = round(TOP_PX + max(view.height for view in views) + FOOT_PX)
        self.figure = Figure(figsize=(self.width / 72, self.height / 72), dpi=72, facecolor=self.theme["page"])
        self.canvas = FigureCanvasAgg(self.figure)
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, self.width), ylim=(self.height, 0))
        self.axes.axis("off")

        found = [view.discs(columns) for view in views]
        self.column = np.concatenate([column for column, _, _ in found])
        self.places = np.concatenate([place for _, place, _ in found])
        self.near = np.concatenate([near for _, _, near in found])
        self.sizes = ((SMALLEST_MM + (LARGEST_MM - SMALLEST_MM) * self.near) * 2 * PX_PER_MM) ** 2
        self.discs = PathCollection([Curve.unit_circle()], offsets=self.places, offset_transform=self.axes.transData, linewidths=0, animated=True)
        self.discs.set_transform(_scaled_only(self.figure))
        self.axes.add_collection(self.discs)
        self.lines = [self._outline(views, main) for main in (False, True)]
        for view in views:
            self._names(view)
        self._bar(self.width - BAR_PX + 44)
        if simulated:
            self.axes.text(self.width - 8, 15, "SIMULATED", color=self.theme["warn"], weight="bold", fontsize=13, ha="right", va="center")
        self.label = self.axes.text(GAP_PX, 15, "", color=self.theme["ink"], fontsize=12, va="center", animated=True, parse_math=False)
        self.canvas.draw()
        self.still = self.canvas.copy_from_bbox(self.figure.bbox)
        self.palette = self._palette()

    def frames(self, values: np.ndarray, valid: np.ndarray) -> Iterator[Image]:
        """One picture for each row of float32 [T, n]."""
        from PIL import Image

        for row, (now, full) in enumerate(zip(values, valid, strict=True)):
            shown = now[self.column]
            # the strongest lies on top, as in a maximum projection; nearer ones are favoured
            order = np.argsort(np.abs(shown) * (0.5 + 0.5 * self.near), kind="stable")
            self.discs.set_offsets(self.places[order])
            self.discs.set_sizes(self.sizes[order], dpi=72)
            self.discs.set_facecolors(self.colours(0.5 + 0.5 * np.clip(shown[order] / self.limit, -1, 1)))
            said = f"TR {row}   {row * TR:.1f} to {(row + 1) * TR:.1f} s"
            self.label.set_text("   ".join(part for part in (said, self.title, "" if full else "(not on a full past)") if part))
            self.canvas.restore_region(self.still)
            for artist in (self.discs, *self.lines, self.label):
                self.axes.draw_artist(artist)
            picture = Image.fromarray(np.asarray(self.canvas.buffer_rgba())[..., :3].copy())
            yield picture.quantize(palette=self.palette, dither=Image.Dither.NONE)

    def _outline(self, views: list[_View], main: bool) -> Any:
        """The outlines of all views as one curve: the brain's edge, or its creases."""
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path as Curve

        points, codes = [], []
        for view in views:
            for item in (item for drawn in view.paths if drawn["main"] == main for item in drawn["items"]):
                points.append(view.place(np.reshape(item, (-1, 2))))
                codes += [Curve.MOVETO, *([Curve.LINETO] if len(item) == 4 else [Curve.CURVE4] * 3)]
        colour = self.theme["muted" if main else "crease"]
        patch = PathPatch(Curve(np.concatenate(points), codes), facecolor="none", edgecolor=colour, linewidth=1.2 if main else 0.7, animated=True)
        self.axes.add_patch(patch)
        return patch

    def _names(self, view: _View) -> None:
        """The view's name, and L and R where they are."""
        write = {"va": "center", "color": self.theme["ink"], "weight": "bold", "fontsize": 13}
        self.axes.text(view.left + view.width / 2, TOP_PX - 8, view.title, ha="center", va="center", color=self.theme["muted"], fontsize=10)
        if view.key in "lr":
            self.axes.text(view.left + view.width * (0.05 if view.key == "l" else 0.95), TOP_PX + 8, view.key.upper(), ha="center", **write)
        elif view.key == "x":
            self.axes.text(view.left + view.width * 0.94, TOP_PX + 8, "L+R", ha="center", **write)
        else:
            for side, share in (("L", 0.04), ("R", 0.96)):
                self.axes.text(view.left + view.width * share, TOP_PX + 8, side, ha="center", **write)

    def _bar(self, left: float) -> None:
        """The colour bar with its unit."""
        top, bottom, width = TOP_PX + 14, self.height - FOOT_PX - 14, 12
        strip = self.colours(np.linspace(1, 0, 256))[:, None]
        self.axes.imshow(strip, extent=(left, left + width, bottom, top), aspect="auto", interpolation="nearest")
        self.axes.set(xlim=(0, self.width), ylim=(self.height, 0))
        for share in (1, 0.5, 0, -0.5, -1):
            height = bottom + (top - bottom) * (share + 1) / 2
            text = f"{share * self.limit:+.2g}" if share else "0"
            self.axes.text(left + width + 5, height, text, va="center", color=self.theme["ink"], fontsize=10)
        said = f"predicted BOLD ({self.unit})"
        self.axes.text(left - 10, (top + bottom) / 2, said, rotation=90, ha="center", va="center", color=self.theme["muted"], fontsize=10)

    def _palette(self) -> Image:
        """At most 255 colours that the pictures are made of: the map, greys, the warning's red, and their ways to the page."""
        from matplotlib.colors import to_rgb
        from PIL import Image

        page = np.array(to_rgb(self.theme["page"]))
        strong = self.colours(np.linspace(0, 1, 129))[:, :3]
        pale = self.colours(np.linspace(0, 1, 33))[:, :3]
        ways = [page + share * (pale - page) for share in (0.33, 0.67)]
        for name, steps in (("ink", 24), ("warn", 12)):
            ways.append(page + np.linspace(0, 1, steps)[:, None] * (np.array(to_rgb(self.theme[name])) - page))
        ways += [np.array([to_rgb(self.theme[name])]) for name in ("muted", "crease")]
        colours = np.unique(np.round(np.concatenate([strong, *ways]) * 255).astype(np.uint8), axis=0)[:255]
        palette = Image.new("P", (1, 1))
        palette.putpalette(colours.tobytes())
        return palette


def _scaled_only(figure: Any) -> Any:
    """Discs are given in pixels, so their own transform is only that of the dots."""
    from matplotlib.transforms import Affine2D

    return Affine2D().scale(figure.dpi / 72 / 2)


def _told(frames: Iterator[Image], total: int, tell: Tell) -> Iterator[Image]:
    for number, frame in enumerate(frames, 1):
        tell(number, f"Picture {number} of {total}")
        yield frame


def _write(frames: Iterator[Image], path: Path) -> Path:
    """Write pictures beside their place and rename; a GIF counts in 10 ms, and a TR is 149 of them."""
    part = path.with_name(f".{path.name}.part")
    try:
        try:
            first = next(frames)
            first.save(part, format="GIF", save_all=True, append_images=frames, duration=round(TR * 1000), loop=0)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        reason = (error.strerror or "it cannot be written").lower()
        raise CacheError("animation_unwritable", f"The animation {path.name} could not be written: {reason}.", "Choose another place.") from None
    return path
