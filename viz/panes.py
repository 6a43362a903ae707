"""The parts of a figure: one glass brain, one surface view, the colour bar, each drawn by nilearn or matplotlib into a rectangle.

Every part of a simulated result says SIMULATED inside its own axes, so that the word survives cropping. The figures belong to no window: nothing
here touches pyplot's list of open figures.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    from nilearn.plotting.displays import GlassBrainAxes, OrthoProjector

Rect = tuple[float, float, float, float]
"""Left, bottom, width, height as shares of the figure."""

BLACK = "#000000"
"""nilearn's dark glass brain stands on black, so a dark figure does."""

NOTHING = 1e-6
"""nilearn draws what is not larger as transparent: the space around the parcels is 0."""

FOLDS = {False: (0.25, 0.62), True: (0.64, 0.82)}
"""Greys of gyri and sulci without a value on a light and a dark page, 0 white to 1 black."""

ZOOM = 1.46
"""Of a surface view: a hemisphere is then 0.95 of its square wide, in every mesh."""

SURFACE_HIGH = 0.69
"""Height of a hemisphere from the side as a share of its square's width."""

ROOM_MM = 15.0
"""Room below a glass brain for a word."""

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
    scale, letters : float
        Of outlines, and of letters; 1 for a glass brain of about 230 mm.
    """

    limit: float
    threshold: float
    cut: bool
    base: Colormap
    dark: bool
    simulated: bool
    scale: float = 1.0
    letters: float = 1.0

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


def style_of(
    responses: Responses,
    *,
    limit: float,
    threshold: float,
    cut: bool,
    cmap: str | Colormap,
    dark: bool,
    scale: float = 1.0,
    letters: float = 1.0,
) -> Style:
    """A style for a result; ``cmap`` by name or as it is."""
    return Style(limit, threshold, cut, colour_map(cmap) if isinstance(cmap, str) else cmap, dark, responses.simulated, scale, letters)


def glass_brain(
    figure: Figure, where: Rect | Axes, image: Nifti1Image, style: Style, *, display_mode: str = "lyrz", alpha: float = 0.7, annotate: bool = True
) -> OrthoProjector:
    """nilearn's glass brain of a volume. Each projection shows the value that is farthest from 0, with its sign.

    Returns
    -------
    nilearn.plotting.displays.OrthoProjector
    """
    from nilearn.plotting import plot_glass_brain

    least = max(style.threshold if style.cut else 0.0, NOTHING)
    display = plot_glass_brain(
        image if (np.abs(np.asanyarray(image.dataobj)) > least).any() else None,  # without a value nilearn draws the outlines alone
        display_mode=display_mode,
        colorbar=False,
        figure=figure,
        axes=where,
        threshold=least,
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
            _make_room(view)
            _simulated(view.ax, 0.5, 0.0, "bottom", style)
    return display


def _make_room(view: GlassBrainAxes) -> None:
    """Make a projection taller at its lower end; all projections of a display keep one scale."""
    mirrored = view.ax.xaxis_inverted()
    left, right, bottom, _ = view.get_object_bounds()
    view.add_object_bounds((left, right, bottom - ROOM_MM, bottom))
    if mirrored and not view.ax.xaxis_inverted():
        view.ax.invert_xaxis()


def _sides_of_glass(axes: Axes, direction: str, style: Style) -> None:
    """L and R on a projection; nilearn itself leaves the views of one side without."""
    places = {"l": [("L", 0.06)], "r": [("R", 0.94)], "x": [("L+R", 0.9)]}.get(direction, [("L", 0.05), ("R", 0.95)])
    for letter, x in places:
        how = {"transform": axes.transAxes, "ha": "center", "va": "top", "fontsize": 9 * style.letters, "weight": "bold", "color": style.theme["ink"]}
        axes.text(x, 0.97, letter, **how)


def surface_view(
    figure: Figure,
    where: Rect,
    values: np.ndarray,
    side: str,
    view: str,
    style: Style,
    *,
    mesh: str = "inflated",
    bg_on_data: bool = False,
    name: bool = True,
) -> Axes:
    """One view of a hemisphere of fsaverage5, coloured by nilearn; sulci and gyri are grey where nothing is drawn.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    where : tuple of float
        The axes are a square as wide as this; they may reach over its top and bottom, where they are empty.
    values : float [1000]
    side : {"left", "right"}
    view : str
        One of :data:`VIEWS`.
    style : Style
    mesh : {"inflated", "pial", "white_matter"}
    bg_on_data : bool
        Let sulci and gyri shine through the colours, which then no longer are those of the bar.
    name : bool
        Write the view's name.

    Returns
    -------
    matplotlib.axes.Axes
    """
    from nilearn.plotting import plot_surf_stat_map

    left, bottom, width, height = where
    wide, high = figure.get_size_inches()
    square = width * wide / high  # as tall as the rectangle is wide
    line = 7.5 * style.letters / 72 / high if style.simulated else 0.0
    middle = bottom + (height + line) / 2
    axes = figure.add_axes((left, middle - square / 2, width, square), projection="3d")
    axes.patch.set_alpha(0)
    meshes, curvature = _surfaces(mesh)
    gyrus, sulcus = FOLDS[style.dark]
    plot_surf_stat_map(
        meshes[side],
        on_vertices(values)[side],
        bg_map=np.where(curvature[side] > 0, sulcus, gyrus),
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
    top, bottom = 0.5 + SURFACE_HIGH / 2, 0.5 - SURFACE_HIGH / 2
    beside = {"x": 0.03, "ha": "left"} if side == "left" else {"x": 0.97, "ha": "right"}
    axes.text2D(
        y=top, s=SIDES[side], transform=axes.transAxes, va="top", fontsize=9 * style.letters, weight="bold", color=style.theme["ink"], **beside
    )
    if name:
        below = top - 11 * style.letters / 72 / (width * wide)
        axes.text2D(y=below, s=view, transform=axes.transAxes, va="top", fontsize=6.5 * style.letters, color=style.theme["muted"], **beside)
    if style.simulated:
        _simulated(axes, 0.5, bottom, "top", style)
    return axes


def on_vertices(values: np.ndarray) -> dict[str, np.ndarray]:
    """Parcels on the vertices of fsaverage5: float [1000] becomes {"left", "right"}: float [10242], NaN where no parcel is."""
    from encoder.surface import vertex_labels

    table = np.concatenate([[np.nan], values])
    return dict(zip(SIDES, table[vertex_labels()], strict=True))


@lru_cache(maxsize=3)
def _surfaces(mesh: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """nilearn's bundled fsaverage5: one mesh for each side, and its curvature, which is above 0 in sulci."""
    from nilearn.datasets import load_fsaverage, load_fsaverage_data

    return load_fsaverage("fsaverage5")[mesh].parts, load_fsaverage_data("fsaverage5", data_type="curvature").data.parts


def colour_bar(figure: Figure, where: Rect, style: Style, *, beyond: bool = False, label: str = UNIT) -> Axes:
    """The colour bar, upright, with its unit; ``beyond``: values larger than the range were drawn in the colours of its ends."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize, to_rgb

    axes = figure.add_axes(where)
    size, ink = 7 * style.letters, style.theme["ink"]
    seen = style.cmap(np.linspace(0, 1, style.cmap.N))
    if style.cut and style.threshold > 0:
        seen[np.abs(np.linspace(-style.limit, style.limit, len(seen))) <= style.threshold, 3] = 0
    opaque = seen[:, :3] * seen[:, 3:] + (1 - seen[:, 3:]) * np.array(to_rgb(style.theme["page"]))
    mappable = ScalarMappable(Normalize(-style.limit, style.limit), ListedColormap(opaque))
    bar = figure.colorbar(mappable, cax=axes, ticks=_ticks(style.limit), extend="both" if beyond else "neither", extendfrac=0.03)
    bar.solids.set_rasterized(True)
    bar.ax.set_yticklabels([_signed(tick) for tick in _ticks(style.limit)], fontsize=size, color=ink)
    bar.ax.tick_params(width=0.6 * style.letters, length=2.5 * style.letters, color=ink, pad=2 * style.letters)
    bar.outline.set(linewidth=0.6 * style.letters, edgecolor=ink)
    if style.threshold > 0:
        for value in (-style.threshold, style.threshold):
            bar.ax.axhline(value, color=ink, linewidth=0.8 * style.letters)
    bar.set_label(label, fontsize=size, color=ink, labelpad=2 * style.letters)
    return axes


def _ticks(limit: float) -> list[float]:
    return [share * limit for share in (-1, -0.5, 0, 0.5, 1)]


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", "−") if value else "0"


def _simulated(axes: Axes, x: float, y: float, va: str, style: Style) -> None:
    write = axes.text2D if hasattr(axes, "text2D") else axes.text
    colour = style.theme["warn"]
    how = {"ha": "center", "va": va, "fontsize": 5.5 * style.letters, "weight": "bold", "color": colour, "gid": "simulated"}
    write(x, y, "SIMULATED", transform=axes.transAxes, **how)
