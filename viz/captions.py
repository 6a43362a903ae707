"""What stands in words on a figure: whose response, which moment, and what made it. File names are hostile text and are made plain here."""

from __future__ import annotations

import operator
from unicodedata import east_asian_width

import numpy as np

from encoder.responses import Responses
from extractors.errors import SelectionError
from extractors.transcript import Transcript
from viz.writing import plain_text

UNIT = "predicted BOLD (z)"
CONTEXT_WORDS = 12
"""Words before and after a moment's own."""

LONGEST = 60


def plain(text: str, longest: int = LONGEST) -> str:
    """A name fit for a figure: printable, one line, not longer than so many narrow letters."""
    shown = " ".join(plain_text(text).split())
    widths = np.cumsum([2 if east_asian_width(character) in "WF" else 1 for character in shown])
    return shown if not len(widths) or widths[-1] <= longest else shown[: int(np.searchsorted(widths, longest))] + "…"


def check_row(responses: Responses, row: int) -> int:
    """The row as an int; SelectionError unless it is one of the result's."""
    last = responses.n_trs - 1
    try:
        chosen = operator.index(row)
    except TypeError:
        raise SelectionError("row", f"A TR is a whole number, but got {row!r} instead.", f"This result has TRs 0 to {last}.") from None
    if not 0 <= chosen <= last:
        raise SelectionError("row_outside", f"Allowed TRs are 0 to {last}, but got {chosen} instead.", f"This result has TRs 0 to {last}.")
    return chosen


def span_of(responses: Responses, row: int, lag: float = 0.0) -> tuple[float, float]:
    """Seconds of film during which the player shows a row: ``row = floor((t + lag) / TR)``. Before the film when below 0."""
    return row * responses.tr - lag, (row + 1) * responses.tr - lag


def span_text(responses: Responses, row: int, lag: float = 0.0) -> str:
    """ "25.3 to 26.8 s"."""
    start, end = span_of(responses, row, lag)
    return f"{start:.1f} to {end:.1f} s".replace("-", "−")


def lag_text(lag: float) -> str:
    """How the response is laid against the film."""
    return f"response shifted back {lag:g} s" if lag else "with BOLD delay"


def moment_text(responses: Responses, row: int, lag: float = 0.0) -> str:
    """TR, film time and lag of a row; TRs count from 0."""
    before = " (before the film)" if span_of(responses, row, lag)[0] < -1e-9 else ""
    return f"TR {row} of 0–{responses.n_trs - 1}, film time {span_text(responses, row, lag)}{before}, {lag_text(lag)}"


def doubt_text(responses: Responses, row: int) -> str:
    """Why a row is not valid, "" for a valid one."""
    if responses.valid[row]:
        return ""
    return "warm-up: no full past yet" if row < responses.n_trs / 2 else "end of the film: less sure"


def mean_text(responses: Responses) -> str:
    """What a mean over the valid rows is called."""
    return f"mean of {int(np.count_nonzero(responses.valid))} valid TRs of {responses.n_trs}"


def made_text(responses: Responses) -> str:
    """Model, weights, and how much film."""
    model = plain(responses.model_title)
    if responses.model_id not in responses.model_title:
        model += f" ({plain(responses.model_id)})"
    simulated = "SIMULATED, no measured person: " if responses.simulated else ""
    return f"{simulated}{model}, weights {responses.weights_sha256[:8]}; {responses.n_trs} TRs of {responses.tr:g} s"


def colours_text(limit: float, threshold: float, *, cut: bool) -> str:
    """Range and threshold of the colours."""
    weaker = f"weaker than {threshold:g} {'not drawn' if cut else 'faded'}" if threshold > 0 else "no threshold"
    return f"colours from {-limit:g} to {limit:+g} z, {weaker}".replace("-", "−")


def words_at(transcript: Transcript | None, start: float, end: float) -> tuple[list[str], list[str], list[str]]:
    """Words just before, within and just after a span of film; a word belongs where its offset lies, as in the TR table."""
    words = [] if transcript is None else sorted(transcript.words, key=lambda word: word.offset)
    offsets = np.array([word.offset for word in words]) + 1e-6  # the guard of the TR grid
    first, last = np.searchsorted(offsets, (start, end)).tolist()
    parts = words[max(0, first - CONTEXT_WORDS) : first], words[first:last], words[last : last + CONTEXT_WORDS]
    before, during, after = ([plain(word.text) for word in part] for part in parts)
    return before, during, after
