"""The parts of a figure: one glass brain, one surface view, the colour bar, each drawn by nilearn or matplotlib into a rectangle.

Every part of a simulated result says SIMULATED inside its own axes, so that the word survives cropping. The figures belong to no window: nothing
here touches pyplot's list of open figures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from encoder.responses import Responses
from viz.captions import UNIT
from viz.colours import LEVELS, THEMES, colour_map, fade

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from nibabel import Nifti1Image
    from nilearn.plotting.displays import OrthoProjector

Rect = tuple[float, float, float, float]
"""Left, bottom, width, height as shares of the figure."""

BLACK = "#000000"
"""nilearn's dark glass brain stands on black, so a dark figure does."""

NOTHING = 1e-6
"""nilearn draws what is not larger as transparent: the space around the parcels is 0."""

GYRUS, SULCUS = 0.25, 0.62
"""Greys of a surface without a value, 0 white to 1 black."""

ZOOM = 1.62
"""Of a surface view: the largest at which no inflated hemisphere is cut off."""

VIEWS = ("lateral", "medial", "dorsal", "ventral", "anterior", "posterior")
SIDES = {"left": "L", "right": "R"}


@dataclass(frozen=True)
class Style:
    """How values become colours, and what every part must say.

    Attributes
    ----------
    limit : float
        Colours run from ``-limit`` to ``limit``.
    threshold : float
        Of the absolute value.
    cut : bool
        Values below the threshold are not drawn, as in nilearn; else they are faded, as in the player.
    base : matplotlib.colors.Colormap
    dark, simulated : bool
    scale : float
        Of lines and letters; 1 for a glass brain of about 170 mm.
    """

    limit: float
    threshold: float
    cut: bool
    base: Colormap
    dark: bool
    simulated: bool
    scale: float = 1.0

    @property
    def theme(self) -> dict[str, str]:
        """Colours of everything that is no value."""
        return {**THEMES[True], "page": BLACK, "sunken": "#1b1f26"} if self.dark else THEMES[False]

    @cached_property
    def cmap(self) -> Colormap:
        """The colour map with what is faded faded."""
        from matplotlib.colors import ListedColormap

        steps = 2 * LEVELS
        colours = self.base(np.linspace(0, 1, steps))
        if not self.cut:
            colours[:, 3] *= fade(np.abs(np.linspace(-self.limit, self.limit, steps)), self.threshold)
        return ListedColormap(colours, name="faded")

    def scaled(self, scale: float) -> Style:
        """The same with lines and letters of another size."""
        return replace(self, scale=scale)


def style_of(responses: Responses, *, limit: float, threshold: float, cut: bool, cmap: str | Colormap, dark: bool, scale: float = 1.0) -> Style:
    """A style for a result; ``cmap`` by name or as it is."""
    return Style(limit, threshold, cut, colour_map(cmap) if isinstance(cmap, str) else cmap, dark, responses.simulated, scale)


def glass_brain(
    figure: Figure, where: Rect | Axes, image: Nifti1Image, style: Style, *, display_mode: str = "lyrz", alpha: float = 0.7, annotate: bool = True
) -> OrthoProjector:
    """nilearn's glass brain of a volume. Each projection shows the value that is farthest from 0, with its sign.

    Returns
    -------
    nilearn.plotting.displays.OrthoProjector
    """
    from nilearn.plotting import plot_glass_brain

    display = plot_glass_brain(
        image,
        display_mode=display_mode,
        colorbar=False,
        figure=figure,
        axes=where,
        threshold=max(style.threshold if style.cut else 0.0, NOTHING),
        annotate=False,
        black_bg=style.dark,
        cmap=style.cmap,
        alpha=alpha,
        vmin=-style.limit,
        vmax=style.limit,
        plot_abs=False,
    )
    for view in display.axes.values():
        for patch in view.ax.patches:
            patch.set_linewidth(patch.get_linewidth() * style.scale)
        if annotate:
            _sides_of_glass(view.ax, view.direction, style)
        if style.simulated:
            _simulated(view.ax, 0.5, 0.0, style)
    return display


def _sides_of_glass(axes: Axes, direction: str, style: Style) -> None:
    """L and R on a projection; nilearn itself leaves the views of one side without."""
    places = {"l": [("L", 0.06)], "r": [("R", 0.94)], "x": []}.get(direction, [("L", 0.05), ("R", 0.95)])
    for letter, x in places:
        _letter(axes, x, 0.97, letter, style)


def surface_view(
    figure: Figure, where: Rect, values: np.ndarray, side: str, view: str, style: Style, *, mesh: str = "inflated", bg_on_data: bool = False
) -> Axes:
    """One view of a hemisphere of fsaverage5, coloured by nilearn; sulci and gyri are grey where nothing is drawn.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    where : tuple of float
        The picture is a square in the middle of it and as wide; it may reach over the rectangle at top and bottom, where it is empty.
    values : float [1000]
    side : {"left", "right"}
    view : str
        One of :data:`VIEWS`.
    style : Style
    mesh : {"inflated", "pial", "white_matter"}
    bg_on_data : bool
        Let sulci and gyri shine through the colours, which then no longer are those of the bar.

    Returns
    -------
    matplotlib.axes.Axes
    """
    from nilearn.plotting import plot_surf_stat_map

    left, bottom, width, height = where
    wide, high = figure.get_size_inches()
    square = width * wide / high  # as tall as the rectangle is wide
    axes = figure.add_axes((left, bottom + (height - square) / 2, width, square), projection="3d")
    axes.patch.set_alpha(0)
    meshes, folds = _surfaces(mesh)
    plot_surf_stat_map(
        meshes[side],
        on_vertices(values)[side],
        bg_map=folds[side],
        hemi=side,
        view=view,
        cmap=style.cmap,
        colorbar=False,
        avg_method="median",  # a triangle between parcels takes the colour of one of them
        threshold=style.threshold if style.cut and style.threshold > 0 else None,
        bg_on_data=bg_on_data,
        vmin=-style.limit,
        vmax=style.limit,
        axes=axes,
        figure=figure,
    )
    axes.set_box_aspect(None, zoom=ZOOM)
    for drawn in axes.collections:
        drawn.set_rasterized(True)  # 20480 triangles are a picture, in a vector file too
    half = height / square / 2
    _letter(axes, 0.03 if side == "left" else 0.97, 0.5 + 0.86 * half, SIDES[side], style)
    axes.text2D(
        0.5, 0.5 - 0.99 * half, view, transform=axes.transAxes, ha="center", va="bottom", fontsize=6.5 * style.scale, color=style.theme["muted"]
    )
    if style.simulated:
        _simulated(axes, 0.5, 0.5 - 0.8 * half, style)
    return axes


def on_vertices(values: np.ndarray) -> dict[str, np.ndarray]:
    """Parcels on the vertices of fsaverage5: float [1000] becomes {"left", "right"}: float [10242], NaN where no parcel is."""
    from encoder.surface import vertex_labels

    table = np.concatenate([[np.nan], values])
    return dict(zip(SIDES, table[vertex_labels()], strict=True))


@lru_cache(maxsize=3)
def _surfaces(mesh: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """nilearn's bundled fsaverage5: one mesh for each side, and the grey of its folds."""
    from nilearn.datasets import load_fsaverage, load_fsaverage_data

    curvature = load_fsaverage_data("fsaverage5", data_type="curvature").data.parts
    return load_fsaverage("fsaverage5")[mesh].parts, {side: np.where(curvature[side] > 0, SULCUS, GYRUS) for side in SIDES}


def colour_bar(figure: Figure, where: Rect, style: Style, *, beyond: bool = False, label: str = UNIT) -> Axes:
    """The colour bar, upright, with its unit; ``beyond``: values larger than the range were drawn in the colours of its ends."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize, to_rgb

    axes = figure.add_axes(where)
    size, ink = 7 * style.scale, style.theme["ink"]
    seen = style.cmap(np.linspace(0, 1, style.cmap.N))
    if style.cut and style.threshold > 0:
        seen[np.abs(np.linspace(-style.limit, style.limit, len(seen))) <= style.threshold, 3] = 0
    opaque = seen[:, :3] * seen[:, 3:] + (1 - seen[:, 3:]) * np.array(to_rgb(style.theme["page"]))
    mappable = ScalarMappable(Normalize(-style.limit, style.limit), ListedColormap(opaque))
    bar = figure.colorbar(mappable, cax=axes, ticks=_ticks(style.limit), extend="both" if beyond else "neither", extendfrac=0.03)
    bar.solids.set_rasterized(True)
    bar.ax.set_yticklabels([_signed(tick) for tick in _ticks(style.limit)], fontsize=size, color=ink)
    bar.ax.tick_params(width=0.6 * style.scale, length=2.5 * style.scale, color=ink, pad=2 * style.scale)
    bar.outline.set(linewidth=0.6 * style.scale, edgecolor=ink)
    if style.threshold > 0:
        for value in (-style.threshold, style.threshold):
            bar.ax.axhline(value, color=ink, linewidth=0.8 * style.scale)
    bar.set_label(label, fontsize=size, color=ink, labelpad=2 * style.scale)
    return axes


def _ticks(limit: float) -> list[float]:
    return [share * limit for share in (-1, -0.5, 0, 0.5, 1)]


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", "−") if value else "0"


def _letter(axes: Axes, x: float, y: float, letter: str, style: Style) -> None:
    write = axes.text2D if hasattr(axes, "text2D") else axes.text
    write(x, y, letter, transform=axes.transAxes, ha="center", va="top", fontsize=9 * style.scale, weight="bold", color=style.theme["ink"])


def _simulated(axes: Axes, x: float, y: float, style: Style) -> None:
    write = axes.text2D if hasattr(axes, "text2D") else axes.text
    colour = style.theme["warn"]
    write(
        x,
        y,
        "SIMULATED",
        transform=axes.transAxes,
        ha="center",
        va="bottom",
        fontsize=5.5 * style.scale,
        weight="bold",
        color=colour,
        gid="simulated",
    )
