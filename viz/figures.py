"""Figures for papers and slides: one moment of a result, or a strip of TRs, at the width of an A4 page's text (180 mm).

Glass brains and surfaces are nilearn's (:mod:`viz.panes`); colours, range, threshold and lag are those of a :class:`viz.look.Look`, so that a figure
looks as the page does. Saved by :func:`viz.export.save_figure`, equal results give equal bytes, as PNG (300 dpi), SVG or PDF.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from encoder.responses import Responses
from extractors.errors import SelectionError
from extractors.transcript import Transcript
from viz.captions import (
    check_row,
    colours_text,
    doubt_text,
    lag_text,
    made_text,
    moment_text,
    plain,
    span_of,
    span_text,
    words_at,
)
from viz.curves import draw_networks
from viz.look import Look, values_of, who
from viz.panes import Rect, Style, colour_bar, glass_brain, style_of, surface_view

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE_MM = 180.0
DPI = 300
SURFACES = (("left", "lateral"), ("left", "medial"), ("right", "medial"), ("right", "lateral"))
"""In the player's order."""

STRIP_SURFACES = (("left", "lateral"), ("right", "lateral"), ("left", "medial"), ("right", "medial"))

STRIP_ROWS = (2, 8)
"""Fewest and most TRs side by side."""

CELL_MM = (32.0, 24.0)
"""Widest view of a strip: with two columns of views under each TR, and with one."""

NAME_LONGEST = 40
"""Letters of a clip's name in a title."""

LETTER_MM = 2.2
"""Width of a letter of a title."""

Told = Callable[[float], Any]


class _Page:
    """A figure measured in millimetres from its upper left corner."""

    def __init__(self, wide: float, high: float, style: Style):
        from matplotlib.figure import Figure

        self.wide, self.high, self.style = wide, high, style
        self.figure: Figure = Figure(figsize=(wide / 25.4, high / 25.4), dpi=DPI, facecolor=style.theme["page"])

    def rect(self, left: float, top: float, wide: float, high: float) -> Rect:
        """A rectangle as shares of the figure."""
        return left / self.wide, 1 - (top + high) / self.high, wide / self.wide, high / self.high

    def write(self, left: float, top: float, text: str, size: float, colour: str = "ink", **how: Any) -> Any:
        """Plain text whose upper left corner lies here; a file name may hold what matplotlib takes for mathematics."""
        place = {"ha": "left", "va": "top", "linespacing": 1.25, **how}
        return self.figure.text(left / self.wide, 1 - top / self.high, text, fontsize=size, color=self.style.theme[colour], parse_math=False, **place)

    def head(self, text: str, *, simulated: bool) -> None:
        """The title, and what must be seen first."""
        self.write(4, 3, text, 9.5, weight="bold")
        if simulated:
            self.write(self.wide - 4, 3, "SIMULATED", 8, "warn", ha="right", weight="bold")


def moment_figure(
    responses: Responses,
    tr: int,
    *,
    subject: int | None = None,
    look: Look | None = None,
    transcript: Transcript | None = None,
    tell: Told | None = None,
) -> Figure:
    """One TR as a figure: the words spoken then, glass brain, surface, and the seven curves with the playhead.

    Parameters
    ----------
    responses : Responses
    tr : int
        Row that is shown, 0-based. With a lag its film time, and the words, lie that much earlier.
    subject : int, optional
        By default the mean of all.
    look : Look, optional
    transcript : Transcript, optional
        Without one the line of words says so.
    tell : callable, optional
        Told after each picture how far the work is, 0 to 1; it may raise to stop it.

    Returns
    -------
    matplotlib.figure.Figure
        180 mm wide, 300 dpi; belongs to no window.

    Raises
    ------
    SelectionError
        For a row or subject that the result does not have.
    """
    look = look or Look()
    row, tell = check_row(responses, tr), tell or _nobody
    style, name = _style(responses, look, scale=0.72, letters=0.85), who(responses, subject)
    values = values_of(responses, subject)[row]
    glass_high, surface_high = (42.0 if look.views != "surface" else 0.0), (33.0 if look.views != "glass" else 0.0)
    brains_high, curves_high, top = glass_high + surface_high, 46.0, 23.0
    note = _note(responses, style, look.views, WIDE_MM)
    page = _Page(WIDE_MM, top + brains_high + 8 + curves_high + 13 + 2.6 * (note.count("\n") + 1), style)
    page.head(f"{plain(responses.clip_name, NAME_LONGEST)}, {name}", simulated=responses.simulated)
    doubt = doubt_text(responses, row)
    page.write(4, 8.2, moment_text(responses, row, look.lag) + (f" ({doubt})" if doubt else ""), 7.5, "warn" if doubt else "muted")
    _words_line(page, 17.0, transcript, span_of(responses, row, look.lag))
    shares = iter(np.linspace(0, 1, 7)[1:])
    if glass_high:
        _glass(page, (4, top, 156, glass_high - 2), responses, row, subject, style, "lyrz")
        tell(next(shares))
    if surface_high:
        for number, (side, view) in enumerate(SURFACES):
            where = page.rect(4 + 39.5 * number, top + glass_high, 38, surface_high - 2)
            surface_view(page.figure, where, values, side, view, style)
            tell(next(shares))
    beyond = bool((np.abs(values) > style.limit).any())
    colour_bar(page.figure, page.rect(165, top + 3, 2.6, brains_high - 10), style, beyond=beyond)
    axes = page.figure.add_axes(page.rect(14, top + brains_high + 6, 120, curves_high))
    draw_networks(
        axes, responses, subjects=None if subject is None else (subject,), title="", row=row, lag=look.lag, dark=look.dark, note=False, scale=0.78
    )
    page.write(4, top + brains_high + 8 + curves_high + 10, note, 5.5, "muted")
    tell(1.0)
    return page.figure


def strip_figure(
    responses: Responses, rows: Sequence[int], *, subject: int | None = None, look: Look | None = None, tell: Told | None = None
) -> Figure:
    """Chosen TRs beside each other: glass brain and surface of each, film time and TR above, one colour bar.

    Up to four TRs have their views in two columns; more have them one below the other.

    Parameters
    ----------
    responses : Responses
    rows : sequence of int
        2 to 8 rows, 0-based, in the order in which they are to stand.
    subject, look, tell
        As in :func:`moment_figure`.

    Returns
    -------
    matplotlib.figure.Figure
        At most 180 mm wide, 300 dpi; belongs to no window.

    Raises
    ------
    SelectionError
        For too few or too many rows, a repeated one, and rows or subjects that the result does not have.
    """
    look = look or Look()
    rows, tell = _check_strip(responses, rows), tell or _nobody
    table = values_of(responses, subject)
    across = 2 if len(rows) <= 4 else 1
    gap, left, bar = 3.0, 8.0, 17.0
    cell = min((WIDE_MM - left - bar) / (len(rows) * across) - gap / across, CELL_MM[0] if across == 2 else CELL_MM[1])
    style = _style(responses, look, scale=max(0.3, cell / 50), letters=0.72)
    column = cell * across
    glass_cell, surface_cell = cell * 0.98, cell * 0.8
    down = 4 // across
    glass_high = glass_cell * down if look.views != "surface" else 0.0
    surface_high = surface_cell * down if look.views != "glass" else 0.0
    wide = max(left + len(rows) * (column + gap) + bar, 90.0)
    note = _note(responses, style, look.views, wide)
    named = plain(responses.clip_name, NAME_LONGEST) + ", " + who(responses, subject)
    lines = textwrap.wrap(named, int((wide - 28) / LETTER_MM))
    top = 3 + 4.6 * len(lines) + 5 + 9
    page = _Page(wide, top + glass_high + surface_high + 4 + 2.6 * (note.count("\n") + 1) + 2, style)
    page.head("\n".join(lines), simulated=responses.simulated)
    page.write(4, 3.6 + 4.6 * len(lines), f"film time of each TR (of 0–{responses.n_trs - 1}), {lag_text(look.lag)}", 7.5, "muted")
    _strip_sides(page, top, glass_high, surface_high, down)
    for number, row in enumerate(rows):
        x = left + number * (column + gap)
        _strip_head(page, x + column / 2, top - 8.6, responses, row, look.lag)
        if glass_high:
            for place, mode in enumerate("lryz"):
                where = (x + place % across * cell, top + place // across * glass_cell, cell * 0.97, glass_cell * 0.96)
                _glass(page, where, responses, row, subject, style, mode)
        if surface_high:
            for place, (side, view) in enumerate(STRIP_SURFACES):
                where = page.rect(x + place % across * cell, top + glass_high + place // across * surface_cell, cell * 0.98, surface_cell)
                surface_view(page.figure, where, table[row], side, view, style, name=False)
        tell((number + 1) / len(rows))
    beyond = bool((np.abs(table[list(rows)]) > style.limit).any())
    high = min(glass_high + surface_high - 6, 70.0)
    where = page.rect(left + len(rows) * (column + gap) + 1, top + (glass_high + surface_high - high) / 2, 2.4, high)
    colour_bar(page.figure, where, replace(style, letters=0.85), beyond=beyond)
    page.write(4, top + glass_high + surface_high + 3, note, 5.5, "muted")
    return page.figure


def _style(responses: Responses, look: Look, scale: float, letters: float) -> Style:
    limit = look.range_of(responses)
    return style_of(responses, limit=limit, threshold=look.threshold, cut=False, cmap=look.map_name, dark=look.dark, scale=scale, letters=letters)


def _glass(
    page: _Page, where: tuple[float, float, float, float], responses: Responses, row: int, subject: int | None, style: Style, mode: str
) -> None:
    from viz.volumes import to_nifti

    glass_brain(page.figure, page.rect(*where), to_nifti(responses, subject=subject, tr=row), style, display_mode=mode)


def _note(responses: Responses, style: Style, views: str, wide: float) -> str:
    """What made the figure and what its colours mean, in lines for letters of 5.5 points."""
    colours = colours_text(style.limit, style.threshold, cut=False)
    said = f"Predicted BOLD (z). {made_text(responses)}; {colours}; rows that do not rest on a full past are marked"
    glass = " Glass brain: value farthest from 0 along the line of sight." if views != "surface" else ""
    surface = " Surface: fsaverage5, parcels sampled from the volume." if views != "glass" else ""
    return textwrap.fill(f"{said}.{glass}{surface}", int((wide - 8) / 1.02))


def _words_line(page: _Page, line: float, transcript: Transcript | None, span: tuple[float, float]) -> None:
    """The words of the moment in the middle, what was said before and after beside them as far as there is room."""
    middle, on_line = 82.0, {"va": "baseline"}
    if transcript is None or not transcript.n_words:
        told = "run without words" if transcript is None or transcript.source == "none" else "no words in this film"
        page.write(middle, line, told, 7.5, "muted", ha="center", style="italic", **on_line)
        return
    before, during, after = words_at(transcript, *span)
    if during:
        now = page.write(middle, line, plain(" ".join(during), 80), 8, ha="center", weight="bold", **on_line)
    else:
        now = page.write(middle, line, "no word ends in this TR", 7.5, "muted", ha="center", style="italic", **on_line)
    half = _width_mm(page, now) / 2 + 2
    for words, sign in ((before, -1), (after, 1)):
        room = (middle - 4 if sign < 0 else page.wide - 24 - middle) - half
        while words:
            shown = f"… {' '.join(words)}" if sign < 0 else f"{' '.join(words)} …"
            item = page.write(middle + sign * half, line, shown, 8, "muted", ha="right" if sign < 0 else "left", **on_line)
            if _width_mm(page, item) <= room:
                break
            item.remove()
            words = words[1:] if sign < 0 else words[:-1]


def _width_mm(page: _Page, item: Any) -> float:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    return item.get_window_extent(FigureCanvasAgg(page.figure).get_renderer()).width / page.figure.dpi * 25.4


def _strip_head(page: _Page, middle: float, top: float, responses: Responses, row: int, lag: float) -> None:
    doubt = doubt_text(responses, row)
    page.write(middle, top, f"TR {row}", 8, ha="center", weight="bold")
    page.write(middle, top + 3.6, span_text(responses, row, lag), 6, "muted", ha="center")
    if doubt:
        page.write(middle, top + 7.8, doubt.partition(":")[0], 5.5, "warn", ha="center", va="baseline")


def _strip_sides(page: _Page, top: float, glass_high: float, surface_high: float, down: int) -> None:
    """Names of the views at the left, upright."""
    glass = ("sides", "behind, top") if down == 2 else ("left", "right", "behind", "top")
    surface = ("lateral", "medial") if down == 2 else ("lateral", "lateral", "medial", "medial")
    for names, start, high in ((glass, top, glass_high), (surface, top + glass_high, surface_high)):
        for number, name in enumerate(names if high else ()):
            page.write(4, start + high * (number + 0.5) / down, name, 6.5, "muted", rotation=90, va="center")


def _check_strip(responses: Responses, rows: Sequence[int]) -> tuple[int, ...]:
    chosen = tuple(check_row(responses, row) for row in rows)
    least, most = STRIP_ROWS
    if not least <= len(chosen) <= most:
        raise SelectionError("strip_rows", f"A strip takes {least} to {most} TRs, but got {len(chosen)} instead.", "Name fewer TRs, or more.")
    if len(set(chosen)) != len(chosen):
        raise SelectionError("rows_repeated", "A TR is named twice.", "Name each TR once.")
    return chosen


def _nobody(share: float) -> None:
    """Stands in where nobody asks how far the work is."""
