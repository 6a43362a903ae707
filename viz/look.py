"""How a result is to look in pictures and films, and whose values they show: one choice for every pane."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from encoder.responses import Responses, check_subjects
from extractors.errors import SelectionError
from viz.colours import check_map
from viz.payload import RANGE_FLOOR, display_range

LAGS = (0.0, 5.0)
VIEWS = ("glass", "surface", "both")
_COUNTS = {2: "two", 3: "three", 4: "four"}


@dataclass(frozen=True)
class Look:
    """What the player's controls hold, for pictures made in Python.

    Attributes
    ----------
    vmax : float, optional
        Colours run from ``-vmax`` to ``vmax`` (z). By default the 98th percentile of the result, as in the player.
    threshold : float
        Weaker values (z) are faded, never cut.
    cmap : str
        "cineglass_light", "cold_hot", "cineglass_dark" or a diverging map of matplotlib. On a dark page the first one gives way to
        "cineglass_dark", as in the player.
    lag : float
        0: with BOLD delay. 5: the response shifted back by 5 s.
    views : {"both", "glass", "surface"}
    dark : bool
        Dark page.

    Raises
    ------
    SelectionError
        For a value that is none of these.
    """

    vmax: float | None = None
    threshold: float = 0.0
    cmap: str = "cineglass_light"
    lag: float = 0.0
    views: str = "both"
    dark: bool = False

    def __post_init__(self):
        if self.vmax is not None and not (_is_number(self.vmax) and self.vmax > 0):
            raise SelectionError("vmax", f"The colour range must be a number above 0, but got {self.vmax!r} instead.", "For example 1.5.")
        if not (_is_number(self.threshold) and self.threshold >= 0):
            raise SelectionError("threshold", f"The threshold must be a number from 0 on, but got {self.threshold!r} instead.", "For example 0.3.")
        if self.lag not in LAGS:
            raise SelectionError("lag", f"Allowed lags are 0 and 5 s, but got {self.lag!r} instead.", "0 shows the response with its delay.")
        if self.views not in VIEWS:
            raise SelectionError("unknown_view", f"Allowed views are {', '.join(VIEWS)}, but got {self.views!r} instead.", "For example both.")
        if not isinstance(self.dark, bool):
            raise SelectionError("dark", f"Dark is True or False, but got {self.dark!r} instead.", "Leave it out for a light page.")
        check_map(self.cmap)

    @property
    def map_name(self) -> str:
        """The colour map that is drawn with."""
        return "cineglass_dark" if self.dark and self.cmap == "cineglass_light" else self.cmap

    def range_of(self, responses: Responses) -> float:
        """Symmetric end of the colours in z: ``vmax``, else the player's range of all subjects' valid rows. One for every pane."""
        if self.vmax is not None:
            return float(self.vmax)
        return display_range(responses.values, np.asarray(responses.valid, bool), floor=responses.range_floor or RANGE_FLOOR)

    def as_dict(self) -> dict[str, Any]:
        """The choices, JSON-able, with the map that was drawn with."""
        return {**asdict(self), "cmap": self.map_name}


def values_of(responses: Responses, subject: int | None) -> np.ndarray:
    """One subject's responses, or the mean of all (``subject`` None): float32 [T, 1000]; SelectionError for one that is not in it."""
    if subject is not None:
        return responses.subject(subject)
    return responses.values.mean(0, dtype=np.float64).astype(np.float32)


def who(responses: Responses, subject: int | None) -> str:
    """Whose responses, in the player's words: "Sim 1", "Subject 1" or "mean of the four predictions"."""
    if subject is not None:
        (subject,) = check_subjects((subject,), responses.subjects)
        return responses.subject_labels[responses.subjects.index(subject)]
    count = len(responses.subjects)
    return responses.subject_labels[0] if count == 1 else f"mean of the {_COUNTS[count]} predictions"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool) and math.isfinite(value)
