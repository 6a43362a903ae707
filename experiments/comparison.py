"""Condition A against condition B: both results, what differs between them, and how far small changes move A.

The model is deterministic, so a difference from a single clip has no sampling noise and gets no p-value: it has a size, an interval that says
how much it varies over time within the clip, and the spread of null edits (:mod:`experiments.null_band`) to stand against.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from encoder.ensemble import read
from encoder.lesions import lesions_text, parse_lesions
from encoder.responses import SUBJECTS
from encoder.waiting_model import WaitingModel
from experiments.conditions import Condition, called, changed, done_to, made_from, run_condition, time_map_between
from experiments.intake import Film, admitted
from experiments.null_band import N_EMBEDDED, N_LARGE, NullBand, curves_with_mean, null_band
from experiments.predict import Result
from experiments.results import holds_result, load_result, result_folder
from extractors.clip import Clip
from extractors.edit_language import edits_text, parse_edits
from extractors.errors import SelectionError
from extractors.grid import counting_rows
from extractors.media import find
from extractors.stages import last, passing_on
from extractors.time_map import TimeMap
from settings import Settings, get_settings

if TYPE_CHECKING:
    import pandas

    from experiments.scene_by_scene import Scene

MOST_NULL = 50
"""Null edits of one comparison."""
SOUND_GONE = "The sound that was analysed first is not kept any more; A was computed again with that of its film, which comes near it."


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two conditions and what lies between them.

    Attributes
    ----------
    a, b : Result
        Of the same model and subjects.
    label_a, label_b : str
        What people call them.
    edits, lesions : str
        What makes B out of A; "" where B is a condition of its own (:attr:`undergone`).
    time_map : TimeMap or None
        Where each second of B comes from in A; None for another film.
    null : NullBand or None
        Of A.
    seed : int
        Of the null edits and of the intervals.
    id : str
        New for every comparison.
    """

    a: Result
    b: Result
    label_a: str
    label_b: str
    edits: str
    lesions: str
    time_map: TimeMap | None
    null: NullBand | None
    seed: int = 0
    id: str = field(default_factory=lambda: secrets.token_hex(16))

    def __post_init__(self):
        first, second = self.a.responses, self.b.responses
        if first.subjects != second.subjects or first.simulated != second.simulated:
            said = "A and B hold different subjects or kinds of model."
            raise SelectionError("conditions_differ", said, "Run both with the same model and subjects.")

    @property
    def kind(self) -> str:
        """ "edit", "lesion" where only the model lost something, or "film" where B is another film."""
        if self.time_map is None:
            return "film"
        first, second = self.a.responses, self.b.responses
        return "lesion" if not self.edits and first.edits == second.edits and first.lesions != second.lesions else "edit"

    @property
    def undergone(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Edits and lesions of B, a statement each: those that make it out of A; all that it has where it is a condition of its own."""
        if self.edits or self.lesions:
            return tuple(edit.text for edit in parse_edits(self.edits)), tuple(lesion.text for lesion in parse_lesions(self.lesions))
        return self.b.responses.edits, self.b.responses.lesions

    @property
    def paired(self) -> bool:
        """Whether row k of A and of B stand for the same moment."""
        return not self.why

    @property
    def why(self) -> str:
        """Why A - B cannot be taken TR by TR; "" when it can."""
        rows_a, rows_b = self.a.responses.n_trs, self.b.responses.n_trs
        if self.time_map is None:
            return "A and B are different films, so no TR of one belongs to a TR of the other: means, spectra and agreement are compared."
        if rows_a != rows_b:
            return f"A has {rows_a} TRs and B has {rows_b}, so they cannot be subtracted TR by TR: means, spectra and agreement are compared."
        if not self.time_map.keeps_rows(rows_a):
            return "The edit moves the film in time, so the same TR shows another moment in A than in B: means, spectra and agreement are compared."
        return ""

    @property
    def calibrated(self) -> str:
        """Whether the model's offset and gain may be read as sizes: "yes", "no" or "unknown", from its card."""
        return str(self.a.responses.extra.get("calibrated", "unknown"))

    @property
    def valid(self) -> np.ndarray:
        """Rows that count in both, bool [T]; all rows where none is. Of a paired comparison."""
        both = self.a.responses.valid & self.b.responses.valid
        return counting_rows(both)

    @cached_property
    def curves(self) -> tuple[np.ndarray, np.ndarray]:
        """Curves of A and of B with the mean of the subjects last: float32 [S + 1, T, curves] each."""
        return curves_with_mean(self.a.responses), curves_with_mean(self.b.responses)

    @cached_property
    def tables(self) -> dict[int | None, list[dict[str, Any]]]:
        """:func:`experiments.findings.table` of every subject, and of their mean under None."""
        from experiments.findings import table

        return {subject: table(self, subject) for subject in (*self.a.responses.subjects, None)}

    @cached_property
    def scenes(self) -> tuple[list[Scene], int, int]:
        """:func:`experiments.scene_by_scene.find_scenes`."""
        from experiments.scene_by_scene import find_scenes

        return find_scenes(self)

    def place(self, subject: int | None) -> int:
        """Row of a subject in :attr:`curves`; None is the mean."""
        subjects = self.a.responses.subjects
        if subject is not None and subject not in subjects:
            raise SelectionError("unknown_subject", f"There is no subject {subject} here.", f"Choose among {', '.join(map(str, subjects))}.")
        return len(subjects) if subject is None else subjects.index(subject)


def compare(
    a: Result | Condition | Film,
    b: Condition | str = "",
    *,
    lesions: str = "",
    others: Mapping[str, Film] | None = None,
    model: Any = None,
    settings: Settings | None = None,
    null: int | None = None,
    seed: int = 0,
    label_a: str = "",
    label_b: str = "",
    allow_short: bool = False,
) -> Generator[Any, None, None]:
    """Compare two conditions.

    Parameters
    ----------
    a : Result, Condition or film
        A finished result is taken as it is when the model that made it is the one asked for. So is that of a folder, and A of a comparison's folder.
    b : str or Condition
        Edits that make B out of A, in the language of :mod:`extractors.edit_language`, or another condition with edits and lesions of its own.
    lesions : str
        Lesions of B where ``b`` is a text, in the language of :mod:`encoder.lesions`.
    others : mapping of str to path or Clip, optional
        Clips that the edits of a text name.
    model : as for :func:`experiments.predict.predict`
        By default that of a finished A, else the setting's.
    settings : Settings, optional
    null : int, optional
        How many null edits of A; 0 for none. By default ten for the embedded model and three for a large one.
    seed : int
        Of the null edits and of the intervals.
    label_a, label_b : str
        By default "A" and "B"; where B is a condition of its own, or something was done to A before, the film's name and what was done.
    allow_short : bool
        Take films under the smallest number of TRs too.

    Yields
    ------
    Stage
        Of A, of B, and "null"; the last item is the :class:`Comparison`. The same one without its band comes before the null edits, so that A and B
        can be looked at meanwhile. Closing stops everything within two seconds.

    Raises
    ------
    SelectionError
        ``nothing_changed`` when B is A; ``bad_value`` for a B, a number of null edits or a seed that is none, and for lesions beside a Condition.
    CineglassError
        EditError, LesionError, and what predicting raises.
    """
    settings = settings or get_settings()
    _check(b, lesions, null, seed)
    a = of_folder(a)
    if isinstance(b, Condition):
        parse_edits(b.edits), parse_lesions(b.lesions)  # what cannot be read is said before A is run
    else:
        edits, lesions = edits_text(parse_edits(b)), lesions_text(parse_lesions(lesions))
        if not edits and not lesions:
            raise nothing_changed()
    chosen = model if model is not None else a.responses.model_id if isinstance(a, Result) else settings.model
    waiting = WaitingModel(read(chosen, settings=settings), device=settings.device) if isinstance(chosen, str) else None
    how = {"model": waiting or chosen, "settings": settings, "allow_short": allow_short}
    try:
        first: Result = yield from passing_on(first_result(a, waiting, **how))
        subjects = first.responses.subjects
        if isinstance(b, str):
            condition = changed(first, edits, lesions, others)
            if not edits and condition.lesions == "; ".join(first.responses.lesions):
                raise nothing_changed()
        else:
            condition, edits, lesions = b, "", ""
        second: Result = yield from passing_on(run_condition(condition, subjects=subjects, **how))
        labels, map_ = _labels(a, b, first, second, label_a, label_b), time_map_between(first, second)
        comparison = Comparison(first, second, *labels, edits, lesions, map_, None, seed)
        if null is None:
            null = N_EMBEDDED if waiting is None or not waiting.files.published else N_LARGE
        if null:
            yield comparison
            band = yield from passing_on(null_band(first, n=null, seed=seed, **how))
            comparison = replace(comparison, null=band)
    finally:
        if waiting is not None:
            waiting.close()
    yield comparison


def _check(b: Any, lesions: Any, null: Any, seed: Any) -> None:
    """SelectionError for what no comparison can be made of."""
    if not isinstance(b, str | Condition) or not isinstance(lesions, str):
        said = f"B must be edits as text or a Condition, and lesions a text, but got {type(b).__name__} and {type(lesions).__name__} instead."
        raise SelectionError("bad_value", said, 'For example: compare(a, "mute"), or compare(a, lesions="text mean").')
    if lesions.strip() and isinstance(b, Condition):
        said = "Lesions were given beside a B that is a Condition, which has lesions of its own."
        raise SelectionError("bad_value", said, "Give them to the Condition: Condition(film, lesions=...).")
    if null is not None and (not isinstance(null, Integral) or not 0 <= null <= MOST_NULL):
        said = f"The number of null edits must be whole, from 0 to {MOST_NULL}, but got {str(null)[:40]} instead."
        raise SelectionError("bad_value", said, "Leave it out for the usual number.")
    if not isinstance(seed, Integral) or seed < 0:
        raise SelectionError("bad_value", f"A seed must be a whole number from 0 on, but got {str(seed)[:40]} instead.", "Leave it out for 0.")


def _labels(a: Any, b: Any, first: Result, second: Result, label_a: str, label_b: str) -> tuple[str, str]:
    label_a = label_a or (a.label if isinstance(a, Condition) else "")
    if isinstance(b, Condition):
        return label_a or called(first), label_b or b.label or called(second)
    return called(first, label_a) if done_to(first) else label_a or "A", label_b or "B"


def of_folder(a: Any) -> Any:
    """The result of a folder that was named, of a comparison's folder its A; anything else as it is. SelectionError for a folder without either."""
    if not isinstance(a, str | os.PathLike) or not Path(a).is_dir():
        return a
    if not holds_result(a):
        said = f"The folder {Path(a).name} holds no result."
        raise SelectionError("no_result", said, "Give a film, or a folder that predict or compare wrote.")
    return load_result(result_folder(a))


def nothing_changed() -> SelectionError:
    """The error for a B that is A."""
    return SelectionError("nothing_changed", "B is the same as A: nothing is changed.", "Choose an edit, for example mute, or a lesion.")


def is_here(clip: Clip) -> bool:
    """Whether a clip's files are those that the gate made, so that it can be edited and run."""
    if clip.has_audio and (clip.samples_path is None or not clip.samples_path.is_file()):
        return False
    return not clip.has_video or (clip.path is not None and clip.path.is_file())


def clip_of(result: Result, *, settings: Settings) -> Generator[Any, None, None]:
    """The clip of a finished result, so that it can be edited and run; the last item is the Clip.

    The film of one that was read from disk goes through the gate again. Sound that the gate converted does not come out of it again as it was, so
    the samples that were analysed are taken from where they were made; are they gone, the clip has another ``audio_key``. The film itself is never
    looked for by its hash: that would give it to whoever brings the hash.
    """
    told = result.clip
    if is_here(told):
        yield told
        return
    clip: Clip = yield from passing_on(admitted(told.path, name=told.name, settings=settings, allow_short=True))
    heard, samples = clip.audio_key, clip.samples_path
    kept = find(told.sha256, told.name, settings, allow_short=True) if heard != told.audio_key and clip.video_key == told.video_key else None
    if kept is not None and kept.audio_key == told.audio_key:
        heard, samples = kept.audio_key, kept.samples_path
    yield replace(told, path=clip.path, samples_path=samples, video_key=clip.video_key, audio_key=heard)


def first_result(a: Result | Condition | Film, waiting: WaitingModel | None, **how: Any) -> Generator[Any, None, None]:
    """The result of A, whose clip can be edited and run: the one that is there, when this model would give it again, else a new one.

    Takes ``model``, ``settings`` and ``allow_short`` of :func:`compare`; ``waiting`` is the model where it was named, None where it was given. Where
    the sound that A heard is gone, A is run again on that of its film: else all of B would differ by what encoding does to a sound.
    """
    if isinstance(a, Result):
        clip = yield from passing_on(clip_of(a, settings=how["settings"]))
        same_film = (clip.video_key, clip.audio_key) == (a.clip.video_key, a.clip.audio_key)
        if same_film and (waiting is None or a.responses.weights_sha256 == waiting.weights_sha256):
            yield a if clip is a.clip else replace(a, clip=clip)
            return
        done = {"lesions": "; ".join(a.responses.lesions), "done": a.responses.edits, "made": made_from(a)}
        condition = Condition(film=clip, transcript=a.transcript, **done)
        again: Result = yield from passing_on(run_condition(condition, subjects=a.responses.subjects, **how))
        warnings = again.responses.warnings if same_film else (*again.responses.warnings, SOUND_GONE)
        yield replace(again, responses=replace(again.responses, warnings=warnings))
        return
    condition = a if isinstance(a, Condition) else Condition(film=a)
    yield from run_condition(condition, subjects=SUBJECTS, **how)


def compared(a: Result | Condition | Film, b: Condition | str = "", **how: Any) -> pandas.DataFrame:
    """Compare two conditions; found as ``experiments.compare``.

    Takes what :func:`compare` takes, and waits for the end.

    Returns
    -------
    pandas.DataFrame
        A row for each subject (and their mean) and curve, indexed by both; the columns are those of :data:`experiments.findings.COLUMNS`.
        ``attrs["comparison"]`` is the :class:`Comparison`; ``attrs["why"]`` says why A - B could not be taken TR by TR, "" when it could.

    Raises
    ------
    CineglassError
        As :func:`compare`.
    """
    from experiments.findings import frame

    comparison: Comparison = last(compare(a, b, **how))
    found = frame(comparison)
    found.attrs["comparison"] = comparison
    return found
