"""What simulations say of the statistics themselves: which number to believe a little less, in words for a caption.

``python -m docs.statistics`` simulates and writes ``assets/statistics.json``; a result's caption names the cells in which an interval holds the
truth, or a test errs, more or less often than it says.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from extractors.errors import StatisticsError

PATH = Path(__file__).parents[1] / "assets" / "statistics.json"
FORM = 1
KINDS = {
    "interval r": "rows",
    "interval change": "rows",
    "interval difference": "rows",
    "circular_shift": "rows",
    "sign_flip": "clips",
    "label_permutation": "clips in the smaller set",
}
"""What can be asked for, and what its n counts."""
COVERAGE, ERRORS = (0.93, 0.97), (0.035, 0.065)
"""Shares that count as the 0.95 and the 0.05 they should be."""


@dataclass(frozen=True)
class Cell:
    """One simulated setting.

    Attributes
    ----------
    kind : str
        Of :data:`KINDS`.
    n : int
        Valid rows, or clips.
    setting : str
        The noise and what else was varied, in words.
    got : float
        Share of trials in which a 95 % interval held the planted value, or in which p <= 0.05 came up without an effect.
    trials : int
    """

    kind: str
    n: int
    setting: str
    got: float
    trials: int

    @property
    def off(self) -> str:
        """ "", "bold" (says more than it knows) or "cautious" (says less)."""
        low, high = COVERAGE if self.kind.startswith("interval") else ERRORS
        if low <= self.got <= high:
            return ""
        return "bold" if (self.got < low) == self.kind.startswith("interval") else "cautious"


def caption_for(kind: str, n: int) -> str:
    """One sentence that names the simulated cells off nominal, for the caption of a result; "" when all are as they should be.

    Parameters
    ----------
    kind : str
        Of :data:`KINDS`.
    n : int
        Valid rows of the clip, or clips of the set. The largest simulated number that is not larger speaks for it.

    Raises
    ------
    StatisticsError
        For an unknown kind.
    """
    if kind not in KINDS:
        raise StatisticsError(
            "unknown_statistic", f"Allowed values of kind are {', '.join(KINDS)}, but got {str(kind)[:40]!r} instead.", "Choose one of them."
        )
    cells = [cell for cell in simulated() if cell.kind == kind]
    below = [cell.n for cell in cells if cell.n <= n]
    unit = KINDS[kind]
    if not below:
        return f"With fewer than {min(cell.n for cell in cells)} {unit} this was not simulated: how often it holds is unknown."
    here = [cell for cell in cells if cell.n == max(below)]
    parts = [_said([cell for cell in here if cell.off == how], here) for how in ("bold", "cautious")]
    parts = [part for part in parts if part]
    if not parts:
        return ""
    what = "95 % intervals held the true value" if kind.startswith("interval") else "p ≤ 0.05 without any effect came up"
    return f"In simulations with {max(below)} {unit}, {what} in {', and in '.join(parts)}."


@lru_cache(maxsize=1)
def simulated() -> tuple[Cell, ...]:
    """All cells of ``assets/statistics.json``."""
    table = json.loads(PATH.read_text(encoding="utf-8"))
    if table["form"] != FORM:
        raise StatisticsError("form", f"The table of simulations has form {FORM} here, but got {table['form']!r} instead.", "Make it anew.")
    return tuple(Cell(**cell) for cell in table["cells"])


def write(cells: Sequence[Cell]) -> None:
    """Keep simulated cells where :func:`simulated` reads them, sorted as they come."""
    lines = ",\n".join(json.dumps(vars(cell), ensure_ascii=False) for cell in cells)
    PATH.write_text(f'{{"form": {FORM}, "cells": [\n{lines}\n]}}\n', encoding="utf-8")
    simulated.cache_clear()


def _said(off: Sequence[Cell], here: Sequence[Cell]) -> str:
    """ "83 % with AR(1) noise 0.9 (too narrow)"; the range when several are off in the same way."""
    if not off:
        return ""
    interval, bold = off[0].kind.startswith("interval"), off[0].off == "bold"
    shares = sorted({f"{100 * cell.got:.0f}" if interval else f"{100 * cell.got:.1f}" for cell in off}, key=float)
    span = shares[0] if len(shares) == 1 else f"{shares[0]} to {shares[-1]}"
    if len(off) == len(here) > 1:
        where = "in every setting tried"
    elif len(off) > max(2, len(here) / 2):
        where = "in most settings tried"
    else:
        settings = [cell.setting for cell in off]
        where = f"with {('; ' if any(',' in one for one in settings) else ' and ').join(settings)}"
    told = ("too narrow" if bold else "wider than need be") if interval else ("5 % allowed" if bold else "cautious: 5 % allowed")
    return f"{span} % {where} ({told})"
