"""Which values a brain image shows: one TR, a mean of TRs, a difference, or the TRs one after another, of one subject or of the mean."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from encoder.responses import Responses
from extractors.errors import SelectionError
from viz.look import values_of

Rows = Sequence[int] | np.ndarray | Literal["valid"]


@dataclass(frozen=True, eq=False)
class Picked:
    """Values with the words that stand beside them.

    Attributes
    ----------
    values : float32 [n, 1000]
        One row for a map, else one for each TR.
    series : bool
        Whether the rows are TRs that follow each other.
    rows : tuple of int
        Rows of the result that the values come from.
    who, what : str
        "Sim 1" or "mean of Sim 1,2,3,5"; "TR 12", "mean of TRs 10-46", "mean of 7 TRs" (not in a row), "TRs 0 to 49", each with what was taken away.
    responses : Responses
    """

    values: np.ndarray
    series: bool
    rows: tuple[int, ...]
    who: str
    what: str
    responses: Responses

    @property
    def start_s(self) -> float:
        """Film time in seconds that the first row stands for: the middle of its TR."""
        return (self.rows[0] + 0.5) * self.responses.tr

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each row of ``values``."""
        return tuple(f"TR {row}" for row in self.rows) if self.series else (self.what,)


def pick(
    responses: Responses,
    *,
    subject: int | None = None,
    tr: int | None = None,
    rows: Rows | None = None,
    mean: bool = True,
    minus: Rows | Responses | None = None,
) -> Picked:
    """Choose values.

    Parameters
    ----------
    responses : Responses
    subject : int, optional
        One subject; by default the mean of all.
    tr : int, optional
        One row, 0-based: a map.
    rows : sequence of int, bool [T] or "valid", optional
        Their mean, a map; with ``mean=False`` the rows one by one. By default all rows one by one.
    mean : bool
        False: ``rows`` stay a series; they must follow each other without a gap.
    minus : sequence of int, bool [T], "valid" or Responses, optional
        Rows whose mean is taken away; or another result over the same rows, of which the same choice is taken away ("valid" then means valid
        in both).

    Returns
    -------
    Picked

    Raises
    ------
    SelectionError
        For an unknown subject, a row outside 0 to T - 1, an empty or contradictory choice, values that are not finite, and a second result that
        does not fit.
    """
    other = minus if isinstance(minus, Responses) else None
    if other is not None:
        _check_fits(responses, other, subject)
    if tr is not None and rows is not None:
        raise SelectionError("tr_and_rows", "A TR and rows are both given.", "Give one of them.")
    values, who = values_of(responses, subject), _who(responses, subject)
    valid = responses.valid if other is None else responses.valid & other.valid
    if tr is not None:
        chosen = _checked([tr], valid)
    else:
        chosen = np.arange(responses.n_trs) if rows is None else _checked(rows, valid)
        if not len(chosen):
            raise SelectionError("no_rows", "There is no row to take.", "This result is empty.")
    series = tr is None and (rows is None or not mean)
    if series and (np.diff(chosen) != 1).any():
        raise SelectionError("rows_apart", "Rows that stay one by one must follow each other without a gap.", "Name a range, or take their mean.")

    def of(table: np.ndarray) -> np.ndarray:
        return table[chosen] if series else table[chosen].mean(0, keepdims=True, dtype=np.float64)

    shown, what = of(values), _words(chosen, series)
    if other is not None:
        shown, what = shown - of(values_of(other, subject)), f"{what} minus the same of {other.model_id}"
    elif minus is not None:
        away = _checked(minus, valid)
        shown, what = shown - values[away].mean(0, dtype=np.float64), f"{what} minus {_words(away, False)}"
    shown = np.ascontiguousarray(shown, np.float32)
    if not np.isfinite(shown).all():
        raise SelectionError("not_finite", "The values hold numbers that are not finite.", "Choose other rows.")
    return Picked(shown, series, tuple(chosen.tolist()), who, what, responses)


def runs(rows: Iterable[int]) -> list[tuple[int, int]]:
    """Rows in their order as pieces that go up by one: first and last row of each."""
    found: list[tuple[int, int]] = []
    for row in map(int, rows):
        if found and row == found[-1][1] + 1:
            found[-1] = found[-1][0], row
        else:
            found.append((row, row))
    return found


def _who(responses: Responses, subject: int | None) -> str:
    if subject is not None:
        return responses.subject_labels[responses.subjects.index(subject)]
    if len(responses.subjects) == 1:
        return responses.subject_labels[0]
    kind = "Sim" if responses.simulated else "Subject"
    return f"mean of {kind} {','.join(map(str, responses.subjects))}"


def _words(rows: np.ndarray, series: bool) -> str:
    if len(rows) == 1:
        return f"TR {rows[0]}"
    if series:
        return f"TRs {rows[0]} to {rows[-1]}"
    return f"mean of TRs {rows[0]}-{rows[-1]}" if len(runs(rows)) == 1 else f"mean of {len(rows)} TRs"


def _checked(rows: Rows, valid: np.ndarray) -> np.ndarray:
    """Rows as indices, each once."""
    count = len(valid)
    if isinstance(rows, str):
        if rows != "valid":
            raise SelectionError("rows", f'Rows are numbers or "valid", but got {rows!r} instead.', f"This result has rows 0 to {count - 1}.")
        chosen = np.flatnonzero(valid)
    elif np.asarray(rows).dtype == bool:
        flags = np.asarray(rows)
        if flags.shape != (count,):
            raise SelectionError("rows", f"Flags of rows must have shape ({count},), but got {flags.shape} instead.", "Give one flag for each row.")
        chosen = np.flatnonzero(flags)
    else:
        try:
            chosen = np.array([operator.index(row) for row in rows], int)
        except TypeError:
            raise SelectionError(
                "rows", f"Rows are several whole numbers, but got {str(rows)[:40]!r} instead.", f"This result has rows 0 to {count - 1}."
            ) from None
    if not len(chosen):
        raise SelectionError("no_rows", "There is no row to take.", "Name at least one row; a short clip may have no valid ones.")
    outside = chosen[(chosen < 0) | (chosen >= count)]
    if len(outside):
        raise SelectionError("row_outside", f"Allowed rows are 0 to {count - 1}, but got {outside[0]} instead.", f"Name rows from 0 to {count - 1}.")
    if len(np.unique(chosen)) != len(chosen):
        raise SelectionError("rows_repeated", "A row is named twice.", "Name each row once.")
    return chosen


def _check_fits(responses: Responses, other: Responses, subject: int | None) -> None:
    """SelectionError unless ``other`` can be taken away from ``responses``, row by row and parcel by parcel."""
    facts = {
        "rows": (responses.n_trs, other.n_trs),
        "seconds a row": (responses.tr, other.tr),
        "parcels": (responses.atlas_hash[:8], other.atlas_hash[:8]),
        "units": (responses.units, other.units),
        "kind of brain": tuple("simulated" if one.simulated else "a person's" for one in (responses, other)),
    }
    if subject is None:
        facts["subjects"] = tuple(", ".join(map(str, one.subjects)) for one in (responses, other))
    for name, (mine, theirs) in facts.items():
        if mine != theirs:
            raise SelectionError("unlike", f"The two results differ in their {name}: {mine} and {theirs}.", "Take results of the same film and kind.")
