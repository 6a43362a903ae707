"""Network time courses as a figure, for slides and papers.

SIMULATED is drawn inside the axes when the responses are, so that it survives cropping to the axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from encoder.atlas import COLOURS, DISPLAY_NAMES, NETWORK_NAMES, NETWORK_NOTES, load_atlas
from encoder.responses import Responses
from viz.captions import UNIT, plain, span_of
from viz.colours import THEMES, player_atlas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GROUP_COLOUR = {False: "#555555", True: "#b4bcc6"}
HATCH = {False: "#c3c9d0", True: "#4a5360"}
DARKER = {"Limbic": "#8a9a30"}
"""Yeo's limbic colour is too pale for a line on white."""


def network_figure(
    responses: Responses,
    *,
    curves: Sequence[str] = NETWORK_NAMES,
    subjects: Sequence[int] | None = None,
    title: str | None = None,
    size: tuple[float, float] = (9.0, 4.5),
    lag: float = 0.0,
    dark: bool = False,
) -> Figure:
    """Draw the mean over parcels, and over the chosen subjects, of each network or group.

    Parameters
    ----------
    responses : Responses
    curves : sequence of str
        Networks, halves of networks ("Vis-L"), or groups ("Auditory"); groups are dashed, being no Yeo networks.
    subjects : sequence of int, optional
        By default all of them.
    title : str, optional
        Shown as plain text; by default the clip's name.
    size : tuple of float
        Inches.
    lag : float
        Seconds by which the curves are shifted back.
    dark : bool

    Returns
    -------
    matplotlib.figure.Figure
        Not attached to any window; rows that do not rest on a full past are hatched. The curves of an ensemble have a band of one standard
        deviation between its members to either side.

    Raises
    ------
    SelectionError
        For an unknown curve or subject.
    """
    axes = new_axes(size, dark=dark)
    draw_networks(axes, responses, curves=curves, subjects=subjects, title=title, lag=lag, dark=dark)
    return axes.figure


def new_axes(size: tuple[float, float], *, dark: bool = False) -> Axes:
    """Axes that fill a figure of this size in inches which belongs to no window."""
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained", facecolor="#000000" if dark else "#ffffff").add_subplot()


def draw_networks(
    axes: Axes,
    responses: Responses,
    *,
    curves: Sequence[str] = NETWORK_NAMES,
    subjects: Sequence[int] | None = None,
    title: str | None = None,
    row: int | None = None,
    vmax: float | None = None,
    lag: float = 0.0,
    dark: bool = False,
    note: bool = True,
    scale: float = 1.0,
) -> None:
    """Draw what :func:`network_figure` draws into axes; the names at the lines' ends stand to the right of them.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    responses, curves, subjects, title
        As in :func:`network_figure`; an empty title is none.
    row : int, optional
        A TR to mark.
    vmax : float, optional
        End of the axis in z, either way; by default as far as the curves go.
    lag : float
        Seconds by which the curves are shifted back.
    dark : bool
    note : bool
        Write into the corner what made the curves.
    scale : float
        Of letters and lines; 1 for a width of 9 inches.
    """
    chosen = responses if subjects is None else responses.select(subjects)
    theme = THEMES[dark]
    times = chosen.times - lag
    lines = {name: chosen.network_mean(name).mean(0) for name in curves}
    spread = chosen.curve_spread
    bands = {name: spread[name][-1] for name in lines} if spread is not None else {}  # the last row is that of the subjects' mean
    limit = vmax or _limit([*lines.values(), *(np.abs(lines[name]) + band for name, band in bands.items())], chosen)
    for name, band in bands.items():
        axes.fill_between(times, lines[name] - band, lines[name] + band, color=_colour(name, dark), alpha=0.2, linewidth=0, gid=f"band-{name}")
    for name, line in lines.items():
        axes.plot(times, line, color=_colour(name, dark), linestyle=_dash(name), linewidth=1.6 * scale, gid=f"curve-{name}")
    _hatch(axes, chosen, lag, HATCH[dark])
    axes.axhline(0, color=theme["muted"], linewidth=0.6, zorder=0)
    end = max(chosen.duration, chosen.tr)
    axes.set(xlim=(0, end), ylim=(-limit, limit))
    label = f"film time (s), response shifted back {lag:g} s" if lag else "film time (s)"
    axes.set_xlabel(label, fontsize=9 * scale, color=theme["ink"])
    axes.set_ylabel(UNIT, fontsize=9 * scale, color=theme["ink"])
    axes.tick_params(labelsize=8.5 * scale, color=theme["ink"], labelcolor=theme["ink"], width=0.8 * scale, length=3.5 * scale)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set(color=theme["ink"], linewidth=0.8 * scale)
    axes.set_facecolor("#000000" if dark else "#ffffff")
    if lag and (nothing := chosen.n_trs * chosen.tr - lag) < end:
        _no_prediction(axes, nothing, end, theme, scale)
    if row is not None:
        _mark(axes, chosen, lines, row, lag, dark, scale)
    for (name, line), y in zip(lines.items(), _spread_labels([line[-1] for line in lines.values()], limit), strict=True):
        place = {"xytext": (1.01, y), "textcoords": ("axes fraction", "data"), "va": "center"}
        axes.annotate(_label(name), (times[-1], line[-1]), color=_colour(name, dark), fontsize=8 * scale, annotation_clip=False, **place)
    if title != "":
        who = ", ".join(chosen.subject_labels) if len(chosen.subjects) < 3 else f"mean of {len(chosen.subjects)} predictions"
        # a file name is hostile text: no mathematics is read into it
        said = plain(title if title is not None else chosen.clip_name) + f"   ({who})"
        axes.set_title(said, fontsize=9 * scale, loc="left", color=theme["ink"], parse_math=False)
    corner = {"transform": axes.transAxes, "parse_math": False}
    behind = {"boxstyle": "square,pad=0.15", "facecolor": axes.get_facecolor(), "edgecolor": "none", "alpha": 0.7}
    if note:
        made = f"{plain(chosen.model_title)}, weights {chosen.weights_sha256[:8]}; hatched rows do not rest on a full past"
        if bands:
            made += f"; band: ± 1 SD between {len(chosen.members)} checkpoints"
        axes.text(0.995, 0.01, made, ha="right", va="bottom", fontsize=6 * scale, color=theme["muted"], bbox=behind, **corner)
    if chosen.simulated:
        ink = theme["ink"]
        axes.text(0.5, 0.5, "SIMULATED", ha="center", va="center", fontsize=40 * scale, color=ink, alpha=0.08, gid="simulated", **corner)
        axes.text(0.01, 0.98, "SIMULATED", ha="left", va="top", fontsize=9 * scale, weight="bold", color=theme["warn"], bbox=behind, **corner)


def _mark(axes: Axes, responses: Responses, lines: dict[str, np.ndarray], row: int, lag: float, dark: bool, scale: float) -> None:
    """The playhead over one row, as wide as its TR, and the value of every curve there."""
    theme = THEMES[dark]
    start, end = span_of(responses, row, lag)
    axes.axvspan(start, end, color=theme["head"], alpha=0.16, linewidth=0, zorder=0, gid="playhead")
    axes.axvline((start + end) / 2, color=theme["head"], linewidth=1.0 * scale, zorder=1)
    for name, line in lines.items():
        at = {"marker": "o", "markersize": 4.5 * scale, "markeredgecolor": "#000000" if dark else "#ffffff", "markeredgewidth": 0.7 * scale}
        axes.plot([(start + end) / 2], [line[row]], color=_colour(name, dark), linestyle="none", gid=f"at-{name}", **at)
    if end > 0:
        axes.text(
            (start + end) / 2,
            1.01,
            f"TR {row}",
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=8 * scale,
            color=theme["head"],
        )


def _no_prediction(axes: Axes, start: float, end: float, theme: dict[str, str], scale: float) -> None:
    """What lies beyond the last row once the curves are shifted back."""
    axes.axvspan(start, end, color=theme["sunken"], linewidth=0, zorder=0)
    axes.text((start + end) / 2, 0, "no prediction here", rotation=90, ha="center", va="center", fontsize=7 * scale, color=theme["muted"])


def _limit(lines: Sequence[np.ndarray], responses: Responses) -> float:
    """Symmetric range of the axis: the largest value, never below the model's usual SD."""
    largest = max((float(np.abs(line).max()) for line in lines), default=0.0)
    return 1.08 * max(largest, responses.range_floor, 1e-3)


def _hatch(axes: Axes, responses: Responses, lag: float, colour: str) -> None:
    """Mark runs of rows that are not valid, with one patch for each run."""
    padded = np.concatenate([[True], responses.valid, [True]])
    starts = np.flatnonzero(padded[:-1] & ~padded[1:])
    ends = np.flatnonzero(~padded[:-1] & padded[1:])
    for start, end in zip(starts, ends, strict=True):
        left, right = start * responses.tr - lag, end * responses.tr - lag
        axes.axvspan(left, right, facecolor="none", edgecolor=colour, hatch="////", linewidth=0, zorder=0)


def _spread_labels(values: Sequence[float], limit: float) -> list[float]:
    """Heights near ``values`` that leave each label room, within the axis."""
    gap = min(2 * limit / 16, 2 * limit / max(1, len(values)))
    order = np.argsort(values)
    heights = np.array(values, float)[order]
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + gap)
    if len(heights):
        heights -= max(0.0, heights[-1] - limit)
        heights[0] = max(heights[0], -limit)
        for i in range(1, len(heights)):
            heights[i] = max(heights[i], heights[i - 1] + gap)
    spread = np.empty(len(heights))
    spread[order] = heights
    return spread.tolist()


def _colour(name: str, dark: bool) -> str:
    network = name.partition("-")[0]
    known = player_atlas()["colours_dark"] if dark else {**COLOURS, **DARKER}
    return known.get(network, GROUP_COLOUR[dark])


def _dash(name: str) -> str:
    if name in NETWORK_NAMES:
        return "solid"
    return "dashdot" if name.endswith("-R") else "dashed"


def _label(name: str) -> str:
    network, _, side = name.partition("-")
    if network not in NETWORK_NAMES:
        return f"{load_atlas().group(name).label}, not a Yeo network"
    note = f" ({NETWORK_NOTES[network]})" if network in NETWORK_NOTES else ""
    return DISPLAY_NAMES[network] + {"L": " left", "R": " right", "": ""}[side] + note
