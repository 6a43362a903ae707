"""Network time courses as a figure, for slides and papers.

SIMULATED is drawn inside the axes when the responses are, so that it survives cropping to the axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from encoder.atlas import COLOURS, DISPLAY_NAMES, NETWORK_NAMES, NETWORK_NOTES, load_atlas
from encoder.responses import Responses

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GROUP_COLOUR = "#555555"
DARKER = {"Limbic": "#8a9a30"}
"""Yeo's limbic colour is too pale for a line on white."""


def network_figure(
    responses: Responses,
    *,
    curves: Sequence[str] = NETWORK_NAMES,
    subjects: Sequence[int] | None = None,
    title: str | None = None,
    size: tuple[float, float] = (9.0, 4.5),
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
    from matplotlib.figure import Figure

    chosen = responses if subjects is None else responses.select(subjects)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    times = chosen.times
    lines = {name: chosen.network_mean(name).mean(0) for name in curves}
    spread = chosen.curve_spread
    bands = {name: spread[name][-1] for name in lines} if spread is not None else {}  # the last row is that of the subjects' mean
    limit = _limit([*lines.values(), *(np.abs(lines[name]) + band for name, band in bands.items())], chosen)
    for name, band in bands.items():
        axes.fill_between(times, lines[name] - band, lines[name] + band, color=_colour(name), alpha=0.2, linewidth=0, gid=f"band-{name}")
    for name, line in lines.items():
        axes.plot(times, line, color=_colour(name), linestyle=_dash(name), linewidth=1.6, gid=f"curve-{name}")
    _hatch(axes, chosen)
    axes.axhline(0, color="#999999", linewidth=0.6, zorder=0)
    axes.set(xlim=(0, max(chosen.duration, chosen.tr)), ylim=(-limit, limit), xlabel="film time (s)", ylabel="predicted BOLD (z)")
    axes.spines[["top", "right"]].set_visible(False)
    for (name, line), y in zip(lines.items(), _spread_labels([line[-1] for line in lines.values()], limit), strict=True):
        axes.annotate(
            _label(name), (times[-1], line[-1]), xytext=(1.01, y), textcoords=("axes fraction", "data"), color=_colour(name), va="center", fontsize=8
        )
    who = ", ".join(chosen.subject_labels) if len(chosen.subjects) < 3 else f"mean of {len(chosen.subjects)} predictions"
    # a file name is hostile text: no mathematics is read into it
    axes.set_title(_plain(title if title is not None else chosen.clip_name) + f"   ({who})", fontsize=9, loc="left", parse_math=False)
    made = f"{chosen.model_title}, weights {chosen.weights_sha256[:8]}; hatched rows do not rest on a full past"
    if bands:
        made += f"; band: ± 1 SD between {len(chosen.members)} checkpoints"
    axes.text(0.995, 0.01, made, transform=axes.transAxes, ha="right", va="bottom", fontsize=6, color="#777777", parse_math=False)
    if chosen.simulated:
        axes.text(
            0.5, 0.5, "SIMULATED", transform=axes.transAxes, ha="center", va="center", fontsize=40, color="#000000", alpha=0.08, gid="simulated"
        )
        axes.text(0.01, 0.98, "SIMULATED", transform=axes.transAxes, ha="left", va="top", fontsize=9, weight="bold", color="#a02020")
    return figure


def _limit(lines: Sequence[np.ndarray], responses: Responses) -> float:
    """Symmetric range of the axis: the largest value, never below the model's usual SD."""
    largest = max((float(np.abs(line).max()) for line in lines), default=0.0)
    return 1.08 * max(largest, responses.range_floor, 1e-3)


def _hatch(axes: Axes, responses: Responses) -> None:
    """Mark runs of rows that are not valid, with one patch for each run."""
    padded = np.concatenate([[True], responses.valid, [True]])
    starts = np.flatnonzero(padded[:-1] & ~padded[1:])
    ends = np.flatnonzero(~padded[:-1] & padded[1:])
    for start, end in zip(starts, ends, strict=True):
        axes.axvspan(start * responses.tr, end * responses.tr, facecolor="none", edgecolor="#bbbbbb", hatch="////", linewidth=0, zorder=0)


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


def _colour(name: str) -> str:
    network = name.partition("-")[0]
    return DARKER.get(network, COLOURS.get(network, GROUP_COLOUR))


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


def _plain(text: str) -> str:
    """A name fit for a title: printable, one line, not long."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return shown if len(shown) <= 60 else shown[:59] + "…"
