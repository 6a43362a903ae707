"""Null edits: how far small changes that should not matter move a prediction. Their spread stands, grey, behind every difference.

Re-encoding the film, moving it by a few hundredths of a second, turning it up by less than a decibel or cutting off a rim of one per cent leaves
what a person would see and hear as it was. Whatever the model makes of such changes is its own sensitivity, and a difference between two
conditions that is no larger says nothing about the film. The spread is no confidence interval: it samples changes, not brains.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from encoder.curves import curve_ids, curve_means
from encoder.lesions import lesions_text, parse_lesions
from encoder.responses import Responses
from experiments.conditions import Condition, run_condition
from experiments.predict import Result
from extractors.edit_language import null_edits
from extractors.errors import CineglassError
from extractors.grid import counting_rows
from extractors.stages import Stage, passing_on, stage_clock
from settings import Settings

N_EMBEDDED = 10
"""Null edits of the embedded model."""
REACH_TRS = 1
"""Rows on either side that count for the band."""
N_LARGE = 3
"""Of a model whose streams take a GPU minutes; each is a whole run."""


class NullBandError(CineglassError, ValueError):
    """A null edit changed what it must not change."""


@dataclass(frozen=True, eq=False)
class NullBand:
    """What null edits of A changed.

    Attributes
    ----------
    edits : tuple of str
        One text each, in the language of :mod:`extractors.edit_language`.
    differences : float32 [n, S + 1, T, curves]
        Curves of A minus those of each null edit; the last subject row is the mean of the subjects.
    parcel_change : float32 [n, S, 1000]
        SD over the valid rows of A minus null edit over that of A, parcel by parcel; nan where A is constant.
    """

    edits: tuple[str, ...]
    differences: np.ndarray
    parcel_change: np.ndarray

    def __post_init__(self):
        n = len(self.edits)
        if self.differences.ndim != 4 or len(self.differences) != n or self.differences.shape[3] != len(curve_ids()):
            raise ValueError(f"differences must have shape ({n}, S + 1, T, {len(curve_ids())}), but got {self.differences.shape} instead.")
        if self.parcel_change.shape != (n, self.differences.shape[1] - 1, 1000):
            raise ValueError(f"parcel_change must have shape ({n}, S, 1000), but got {self.parcel_change.shape} instead.")

    @property
    def half_width(self) -> np.ndarray:
        """Half width of the grey band: float32 [curves, S + 1, T].

        For each row the largest absolute difference that any null edit makes within :data:`REACH_TRS` of it. Ten null edits sample few moments, and
        a film moved by a part of a TR answers in the rows beside: with the row alone a null edit that was left out stayed inside the band of the
        nine others in 90 % of all rows of two examples, with its neighbours in 95 to 97 %.
        """
        largest = np.abs(self.differences).max(0)
        around = np.pad(largest, ((0, 0), (REACH_TRS, REACH_TRS), (0, 0)), mode="edge")
        return np.lib.stride_tricks.sliding_window_view(around, 2 * REACH_TRS + 1, axis=1).max(-1).transpose(2, 0, 1)


def curves_with_mean(responses: Responses) -> np.ndarray:
    """Curves of every subject and of their mean: float32 [S + 1, T, curves]."""
    curves = curve_means(responses.values)
    return np.concatenate([curves, curves.mean(0, keepdims=True)])


def null_band(
    a: Result, *, n: int = N_EMBEDDED, seed: int = 0, model: Any = None, settings: Settings, allow_short: bool = False
) -> Generator[Any, None, None]:
    """Run null edits of a condition.

    Parameters
    ----------
    a : Result
        With its film; its own words are given to every null edit, moved where the film is moved.
    n : int
        How many.
    seed : int
        Fixes their kinds and sizes.
    model : as for :func:`experiments.predict.predict`
    settings : Settings
    allow_short : bool

    Yields
    ------
    Stage
        Named "null", counted in null edits; the last item is the :class:`NullBand`.

    Raises
    ------
    NullBandError
        ``rows_differ`` when a null edit came out with another number of TRs.
    CineglassError
        What editing and predicting raise.
    """
    base = curves_with_mean(a.responses)
    lesions = lesions_text(parse_lesions("; ".join(a.responses.lesions)))
    texts = null_edits(n, seed, picture=a.clip.has_video, sound=a.clip.has_audio)
    at = stage_clock("null", n)
    differences, changes = [], []
    for number, text in enumerate(texts):
        condition = Condition(film=a.clip, transcript=a.transcript, edits=text, lesions=lesions)
        job = run_condition(condition, model=model, subjects=a.responses.subjects, settings=settings, allow_short=allow_short)
        moved: Result = yield from passing_on(_told(job, at, number, f"Small change {number + 1} of {n}: {text}"))
        if moved.responses.n_trs != a.responses.n_trs:
            said = f"The small change {text!r} gave {moved.responses.n_trs} TRs instead of {a.responses.n_trs}."
            raise NullBandError("rows_differ", said, "Compare without small changes.")
        differences.append(base - curves_with_mean(moved.responses))
        changes.append(parcel_change(a.responses, moved.responses))
    yield at(n, f"{n} small changes")
    yield NullBand(texts, np.stack(differences), np.stack(changes))


def parcel_change(a: Responses, b: Responses) -> np.ndarray:
    """SD of A - B over SD of A over the rows valid in both, float32 [S, 1000]; nan where A is constant."""
    rows = counting_rows(a.valid & b.valid)
    spread = a.values[:, rows].std(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > 0, (a.values - b.values)[:, rows].std(1) / spread, np.nan).astype(np.float32)


def _told(job: Generator[Any, None, None], at: Any, number: int, said: str) -> Generator[Any, None, None]:
    """The stages of one null edit as parts of the whole; its result as it is."""
    try:
        for item in job:
            yield at(number, said) if isinstance(item, Stage) else item
    finally:
        job.close()
