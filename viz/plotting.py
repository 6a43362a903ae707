"""Pictures of one response for notebooks and papers, with the arguments of nilearn's plotting functions.

``plot_glass_brain(responses, tr=40)`` is nilearn's glass brain of the responses' volume, ``plot_surface`` its fsaverage5 surface, ``plot_networks``
the seven curves. Every picture says what made it and, where it is, that it is simulated.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from encoder.atlas import NETWORK_NAMES
from encoder.responses import Responses
from extractors.errors import SelectionError
from viz.captions import check_row, colours_text, doubt_text, made_text, mean_text, moment_text, plain
from viz.look import Look, values_of, who
from viz.panes import BLACK, SIDES, VIEWS, Rect, Style, colour_bar, glass_brain, style_of, surface_view

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from nilearn.plotting.displays import OrthoProjector

DISPLAY_MODES = ("ortho", "x", "y", "z", "xz", "yx", "yz", "l", "r", "lr", "lzr", "lyr", "lzry", "lyrz")
MESHES = ("inflated", "pial", "white_matter")
FORMATS = ("png", "svg", "pdf")
DPI = 300
WHOLE: Rect = (0.0, 0.0, 1.0, 1.0)
MARGIN = 0.1
BAR_WIDE = 0.85
"""Inches around the words, and for the colour bar with its unit."""

LETTER = 0.6
"""Mean width of a letter as a share of its size, rather too much than too little."""

Block = tuple[str, dict[str, Any]]


def plot_glass_brain(
    responses: Responses,
    tr: int | None = None,
    *,
    subject: int | None = None,
    display_mode: str = "lyrz",
    vmax: float | None = None,
    threshold: float | None = None,
    cmap: str | Colormap | None = None,
    colorbar: bool = True,
    title: str | None = None,
    figure: Figure | None = None,
    axes: Axes | Rect | None = None,
    output_file: str | os.PathLike | None = None,
    black_bg: bool = False,
    alpha: float = 0.7,
    annotate: bool = True,
    lag: float = 0.0,
) -> OrthoProjector:
    """nilearn's glass brain of one TR, or of the mean of the valid ones.

    Each projection shows the value that is farthest from 0, with its sign (nilearn's ``plot_abs=False``).

    Parameters
    ----------
    responses : Responses
    tr : int, optional
        Row, 0-based. By default the mean of all valid rows.
    subject : int, optional
        By default the mean of all subjects.
    display_mode : str
        As in nilearn: "ortho", "x", "y", "z", "xz", "yx", "yz", "l", "r", "lr", "lzr", "lyr", "lzry" or "lyrz".
    vmax : float, optional
        Colours run from ``-vmax`` to ``vmax`` (z); by default the player's range, the same for every TR and subject of the result.
    threshold : float, optional
        Weaker values (z) are not drawn.
    cmap : str or matplotlib.colors.Colormap, optional
        "cineglass_light", "cineglass_dark", "cold_hot" or a map of matplotlib; by default the player's, to fit ``black_bg``.
    colorbar : bool
    title : str, optional
        Plain text. By default clip, subject, TR and film time; "" for none.
    figure : matplotlib.figure.Figure, optional
    axes : matplotlib.axes.Axes or tuple of float, optional
        Where in the figure: axes, or left, bottom, width, height.
    output_file : path, optional
        Ends in .png, .svg or .pdf; the picture is written there too, at 300 dpi, equal bytes for equal results.
    black_bg : bool
    alpha : float
        Of the brain's outlines.
    annotate : bool
        Write L and R.
    lag : {0, 5}
        Seconds by which the response is laid back against the film; it changes the film time in the title, not the row.

    Returns
    -------
    nilearn.plotting.displays.OrthoProjector
        As in nilearn. Its figure is one of pyplot's where pictures are shown (a notebook, a window); with a backend that only writes files it
        belongs to nobody, so that nothing needs to be closed.

    Raises
    ------
    SelectionError
        For a row, subject, view, map or number that is not allowed.
    CacheError
        When the file cannot be written.
    """
    from viz.volumes import to_nifti

    path = _check_output(output_file)
    if display_mode not in DISPLAY_MODES:
        raise _not_allowed("unknown_view", "display modes", DISPLAY_MODES, display_mode)
    picture = _Picture(responses, tr, subject, vmax, threshold, cmap, black_bg, lag)
    image = to_nifti(responses, subject=subject, rows="valid") if tr is None else to_nifti(responses, subject=subject, tr=picture.row)
    count = 3 if display_mode == "ortho" else len(display_mode)
    figure, frame = _place(figure, axes, (max(2.2 * count, 3.4) + (BAR_WIDE if colorbar else 0.0), 2.9), black_bg)
    inside = picture.inside(figure, frame, colorbar, title)
    display = glass_brain(figure, inside, image, picture.style, display_mode=display_mode, alpha=alpha, annotate=annotate)
    if not hasattr(figure, "number"):
        display.close = _nothing_to_close
    picture.finish(figure, frame, title, colorbar)
    _save(figure, path)
    return display


def plot_surface(
    responses: Responses,
    tr: int | None = None,
    *,
    subject: int | None = None,
    views: str | Sequence[str] = ("lateral", "medial"),
    hemi: str = "both",
    mesh: str = "inflated",
    vmax: float | None = None,
    threshold: float | None = None,
    cmap: str | Colormap | None = None,
    colorbar: bool = True,
    title: str | None = None,
    figure: Figure | None = None,
    output_file: str | os.PathLike | None = None,
    black_bg: bool = False,
    bg_on_data: bool = False,
    lag: float = 0.0,
) -> Figure:
    """nilearn's fsaverage5 surface of one TR, or of the mean of the valid ones: a row of pictures for each view, left and right beside each other.

    Parcels lie on the surface as sampled from the volume (:mod:`encoder.surface`), not by the official annotation.

    Parameters
    ----------
    responses, tr, subject, vmax, threshold, cmap, colorbar, title, figure, output_file, black_bg, lag
        As in :func:`plot_glass_brain`.
    views : str or sequence of str
        Among "lateral", "medial", "dorsal", "ventral", "anterior" and "posterior".
    hemi : {"both", "left", "right"}
    mesh : {"inflated", "pial", "white_matter"}
    bg_on_data : bool
        Let sulci and gyri shine through the colours.

    Returns
    -------
    matplotlib.figure.Figure
        Belongs to no window; a notebook shows it as the last value of a cell.

    Raises
    ------
    SelectionError, CacheError
        As :func:`plot_glass_brain`.
    """
    path = _check_output(output_file)
    views = (views,) if isinstance(views, str) else tuple(views)
    for view in views:
        if view not in VIEWS:
            raise _not_allowed("unknown_view", "views", VIEWS, view)
    if not views or len(set(views)) != len(views):
        raise SelectionError("no_view", "Choose one or more different views.", f"Among {', '.join(VIEWS)}.")
    if hemi not in ("both", *SIDES):
        raise _not_allowed("unknown_side", "values of hemi", ("both", *SIDES), hemi)
    if mesh not in MESHES:
        raise _not_allowed("unknown_mesh", "meshes", MESHES, mesh)
    picture = _Picture(responses, tr, subject, vmax, threshold, cmap, black_bg, lag)
    sides = tuple(SIDES) if hemi == "both" else (hemi,)
    if figure is None:
        figure, frame = _place(None, None, (3.0 * len(sides) + (BAR_WIDE if colorbar else 0.0), 2.3 * len(views) + 0.6), black_bg, free=True)
    else:
        frame = WHOLE
    inside = picture.inside(figure, frame, colorbar, title)
    for down, view in enumerate(views):
        for across, side in enumerate(sides):
            cell = _share(inside, across / len(sides), 1 - (down + 1) / len(views), 1 / len(sides), 1 / len(views))
            surface_view(figure, cell, picture.values, side, view, picture.style, mesh=mesh, bg_on_data=bg_on_data)
    picture.finish(figure, frame, title, colorbar)
    _save(figure, path)
    return figure


def plot_networks(
    responses: Responses,
    tr: int | None = None,
    *,
    subject: int | None = None,
    curves: Sequence[str] = NETWORK_NAMES,
    vmax: float | None = None,
    title: str | None = None,
    axes: Axes | None = None,
    output_file: str | os.PathLike | None = None,
    black_bg: bool = False,
    lag: float = 0.0,
) -> Figure:
    """The curves of networks and groups over the film, with a mark at one TR.

    Parameters
    ----------
    responses, subject, output_file, black_bg
        As in :func:`plot_glass_brain`.
    tr : int, optional
        Row to mark.
    curves : sequence of str
        Networks, halves of networks ("Vis-L"), or groups ("Auditory").
    vmax : float, optional
        The axis runs from ``-vmax`` to ``vmax`` (z); by default as far as the curves go, and never less than the model's usual SD.
    title : str, optional
        Plain text; by default the clip's name.
    axes : matplotlib.axes.Axes, optional
        Draw into these, without making room for the names at the ends of the lines.
    lag : {0, 5}
        Seconds by which the curves are shifted back against the film.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SelectionError, CacheError
        As :func:`plot_glass_brain`.
    """
    from viz.curves import draw_networks, new_axes

    path = _check_output(output_file)
    Look(vmax=vmax, lag=lag, dark=black_bg)
    row = None if tr is None else check_row(responses, tr)
    who(responses, subject)
    chosen = None if subject is None else (subject,)
    if axes is None:
        axes = new_axes((9.0, 4.5), dark=black_bg)
    draw_networks(axes, responses, curves=curves, subjects=chosen, title=title, row=row, vmax=vmax, lag=lag, dark=black_bg)
    _save(axes.figure, path)
    return axes.figure


class _Picture:
    """What the brains have in common: the checked choice, and the words and the colour bar around it."""

    def __init__(
        self,
        responses: Responses,
        tr: int | None,
        subject: int | None,
        vmax: float | None,
        threshold: float | None,
        cmap: str | Colormap | None,
        dark: bool,
        lag: float,
    ):
        own = cmap if isinstance(cmap, str) else "cineglass_light"
        look = Look(vmax=vmax, threshold=0.0 if threshold is None else threshold, cmap=own, lag=lag, dark=dark)
        self.responses, self.lag, self.who = responses, lag, who(responses, subject)
        self.row = None if tr is None else check_row(responses, tr)
        table = values_of(responses, subject)
        if self.row is None and not responses.valid.any():
            raise SelectionError("no_rows", "No TR of this result is valid, so there is no mean to draw.", "Name one TR: tr=0.")
        self.values = table[responses.valid].mean(0) if self.row is None else table[self.row]
        drawn = cmap if cmap is not None and not isinstance(cmap, str) else look.map_name
        self.style: Style = style_of(responses, limit=look.range_of(responses), threshold=look.threshold, cut=True, cmap=drawn, dark=dark)

    def inside(self, figure: Figure, frame: Rect, colorbar: bool, title: str | None) -> Rect:
        """What the words above and below, and the colour bar, leave of the frame."""
        wide, high = figure.get_size_inches()
        head, foot = (sum(_height(block) for block in part) + 1.5 * MARGIN for part in self._words(figure, frame, title))
        bar = BAR_WIDE / wide if colorbar else 0.0
        return frame[0], frame[1] + foot / high, frame[2] - bar, frame[3] - (head + foot) / high

    def finish(self, figure: Figure, frame: Rect, title: str | None, colorbar: bool) -> None:
        """Write the words and draw the bar."""
        wide, high = figure.get_size_inches()
        head, foot = self._words(figure, frame, title)
        left = frame[0] + MARGIN / wide
        top = frame[1] + frame[3] - MARGIN / high
        for part, place in ((head, top), (foot, frame[1] + (sum(map(_height, foot)) + MARGIN / 2) / high)):
            for text, how in part:
                # a file name may hold what matplotlib takes for mathematics
                figure.text(left, place, text, ha="left", va="top", parse_math=False, linespacing=1.2, **how)
                place -= _height((text, how)) / high
        if colorbar:
            x, y, width, height = self.inside(figure, frame, colorbar, title)
            beyond = bool((np.abs(self.values) > self.style.limit).any())
            colour_bar(figure, (x + width + 0.1 / wide, y + 0.12 * height, 0.1 / wide, 0.76 * height), self.style, beyond=beyond)

    def _words(self, figure: Figure, frame: Rect, title: str | None) -> tuple[list[Block], list[Block]]:
        """Lines above and below the pictures, each with how it is written, broken to the frame's width."""
        responses, theme = self.responses, self.style.theme
        head = [(plain(title, 120), {"fontsize": 9, "weight": "bold", "color": theme["ink"]})] if title else []
        if title is None:
            head.append((f"{plain(responses.clip_name, 40)}, {self.who}", {"fontsize": 9, "weight": "bold", "color": theme["ink"]}))
            what = mean_text(responses) if self.row is None else moment_text(responses, self.row, self.lag)
            doubt = "" if self.row is None else doubt_text(responses, self.row)
            head.append((what + (f" ({doubt})" if doubt else ""), {"fontsize": 7.5, "color": theme["warn" if doubt else "muted"]}))
        said = f"{made_text(responses)}; {colours_text(self.style.limit, self.style.threshold, cut=True)}"
        foot = [(said, {"fontsize": 5.5, "color": theme["muted"]})]
        room = frame[2] * figure.get_size_inches()[0] - 2 * MARGIN
        return tuple([(wrapped(text, how["fontsize"], room), how) for text, how in part] for part in (head, foot))


def wrapped(text: str, size: float, room: float) -> str:
    """Text broken into lines for letters of ``size`` points and ``room`` inches."""
    return textwrap.fill(text, max(12, int(room * 72 / (LETTER * size))))


def _height(block: Block) -> float:
    """Inches that lines take."""
    return 1.35 * block[1]["fontsize"] / 72 * (block[0].count("\n") + 1)


def _share(frame: Rect, left: float, bottom: float, width: float, height: float) -> Rect:
    """A part of a rectangle, in shares of it."""
    return frame[0] + left * frame[2], frame[1] + bottom * frame[3], width * frame[2], height * frame[3]


def _place(figure: Figure | None, axes: Axes | Rect | None, size: tuple[float, float], dark: bool, *, free: bool = False) -> tuple[Figure, Rect]:
    """The figure to draw into, and where in it."""
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    if isinstance(axes, Axes):
        axes.axis("off")
        box = axes.get_position()
        return axes.figure, (box.x0, box.y0, box.width, box.height)
    if figure is None:
        page = BLACK if dark else "#ffffff"
        if not free and _is_shown():
            from matplotlib import pyplot

            figure = pyplot.figure(figsize=size, facecolor=page)
        else:
            figure = Figure(figsize=size, facecolor=page)
    return figure, WHOLE if axes is None else tuple(float(part) for part in axes)


def _is_shown() -> bool:
    """Whether figures of pyplot come before somebody's eyes, in a notebook or a window; a server's threads have neither."""
    import threading

    import matplotlib
    from matplotlib.backends.registry import BackendFilter, backend_registry

    only_files = backend_registry.list_builtin(BackendFilter.NON_INTERACTIVE)
    return threading.current_thread() is threading.main_thread() and matplotlib.get_backend().lower() not in only_files


def _nothing_to_close() -> None:
    """nilearn's ``display.close`` asks pyplot, which does not know a figure that belongs to nobody."""


def _check_output(output_file: str | os.PathLike | None) -> Path | None:
    from viz.writing import check_ending

    return None if output_file is None else check_ending(Path(output_file), *(f".{ending}" for ending in FORMATS))


def _save(figure: Figure, path: Path | None) -> None:
    from viz.export import save_figure
    from viz.writing import whole_file

    if path is not None:
        before = figure.dpi
        figure.set_dpi(DPI)
        try:
            with whole_file(path, "figure") as part:
                save_figure(figure, part, path.suffix[1:].lower())
        finally:
            figure.set_dpi(before)  # it may be somebody's own, in a window


def _not_allowed(code: str, what: str, allowed: Sequence[str], got: Any) -> SelectionError:
    return SelectionError(code, f"Allowed {what} are {', '.join(allowed)}, but got {got!r} instead.", f"For example {allowed[0]}.")
