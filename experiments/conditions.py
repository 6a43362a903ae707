"""A condition becomes a result: the film is edited, its words follow, the model (whole, or with a lesion) predicts."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from textwrap import shorten
from typing import Any

from encoder.lesions import lesions_text, parse_lesions
from encoder.responses import SUBJECTS
from experiments.intake import Film, Words, admitted, enter
from experiments.predict import Result, predict
from extractors.clip import Clip
from extractors.edit_film import Edited, edit_clip
from extractors.edit_language import Edit, edits_text, parse_edits, touched, words_policy
from extractors.stages import passing_on
from extractors.time_map import TimeMap
from extractors.transcript import Transcript
from settings import Settings, get_settings

LABEL_MAX = 200
MADE_FROM = ("time_map", "source_sha256", "edits_text", "origin")
"""What ``responses.extra`` holds of a film that was made from another one; ``origin`` where that one was made already."""


@dataclass(frozen=True, eq=False)
class Condition:
    """A clip with its edits and lesions.

    Attributes
    ----------
    film : path or Clip
    edits : str
        In the language of :mod:`extractors.edit_language`; "" for none.
    lesions : str
        In that of :mod:`encoder.lesions`; "" for none.
    transcript : Transcript or path, optional
        Words of the unedited film; without it the recogniser listens.
    recogniser : str, optional
        Who listens, as in :func:`experiments.predict.predict`.
    others : mapping of str to path or Clip
        Clips that the edits name (``sound clip=NAME``).
    label : str
        What people call it; by default its film's name and what was done to it (:func:`called`).
    done : tuple of str
        Edits that made the film what it is, before those of this condition; they are told, and not made again.
    made : mapping
        How they made it, in the form of ``responses.extra`` (:data:`MADE_FROM`).
    """

    film: Film
    edits: str = ""
    lesions: str = ""
    transcript: Words = None
    recogniser: str | None = None
    others: Mapping[str, Film] = field(default_factory=dict)
    label: str = ""
    done: tuple[str, ...] = ()
    made: Mapping[str, Any] = field(default_factory=dict)


def run_condition(
    condition: Condition,
    *,
    model: Any = None,
    subjects: Sequence[int] = SUBJECTS,
    settings: Settings | None = None,
    name: str | None = None,
    allow_short: bool = False,
) -> Generator[Any, None, None]:
    """Predict the responses to a condition.

    Parameters
    ----------
    condition : Condition
    model, subjects, settings, name, allow_short
        As in :func:`experiments.predict.predict`.

    Yields
    ------
    Stage
        Those of the edit, then those of :func:`experiments.predict.predict`; the last item is its Result. ``responses.edits`` and ``.lesions`` hold
        the statements (what was done before first), ``responses.extra["time_map"]`` where each edited second comes from
        (:class:`extractors.time_map.TimeMap`), and ``extra["source_sha256"]`` the film before these edits. Where that one had been edited as well,
        ``extra["origin"]`` tells the same of the film that was there first.

    Raises
    ------
    CineglassError
        EditError, LesionError, and what predicting raises.
    """
    settings = settings or get_settings()
    edits, lesions = parse_edits(condition.edits), lesions_text(parse_lesions(condition.lesions))
    how = {"model": model, "subjects": subjects, "settings": settings, "allow_short": allow_short, "lesions": lesions}
    if not edits:
        how |= {"transcript": condition.transcript, "recogniser": condition.recogniser, "name": name}
        plain: Result = yield from passing_on(predict(condition.film, **how))
        extra = {**plain.responses.extra, **condition.made}
        yield replace(plain, responses=replace(plain.responses, edits=_after(condition.done, plain), extra=extra))
        return
    clip = yield from passing_on(admitted(condition.film, settings=settings, name=name, allow_short=allow_short))
    edited = yield from passing_on(edited_condition(condition, clip, edits, settings=settings))
    result: Result = yield from passing_on(predict(edited.clip, transcript=edited.transcript, recogniser=condition.recogniser, **how))
    yield replace(result, responses=_labelled(result, edited, clip, condition))


def edited_condition(condition: Condition, clip: Clip, edits: Sequence[Edit], *, settings: Settings) -> Generator[Any, None, None]:
    """Edit the admitted film of a condition; the last item is the :class:`extractors.edit_film.Edited`.

    Words that the edits keep are those of the unedited film: the condition's, or what the recogniser hears there.
    """
    others = {}
    for label, film in condition.others.items():
        others[label] = yield from passing_on(admitted(film, settings=settings, allow_short=True))
    words = condition.transcript
    if not isinstance(words, Transcript) and words_policy(edits) == "keep":
        how = {"transcript": words, "recogniser": condition.recogniser, "settings": settings, "allow_short": True}
        _, words, _ = yield from passing_on(enter(clip, **how))
    yield from edit_clip(clip, edits, transcript=words, others=others, settings=settings)


def changed(a: Result, edits: str, lesions: str = "", others: Mapping[str, Film] | None = None) -> Condition:
    """The condition that edits and lesions make of a finished one: its film, its words, and what its model has lost already.

    A lesion takes the place of A's own one of the same stream; A's lesion of the text goes where the edits leave no words to lose.
    """
    own = parse_lesions(lesions)
    taken = {lesion.stream for lesion in own} | ({"text"} if words_policy(parse_edits(edits)) == "drop" else set())
    kept = [lesion for lesion in parse_lesions("; ".join(a.responses.lesions)) if lesion.stream not in taken]
    about = {"edits": edits, "lesions": lesions_text([*kept, *own]), "others": others or {}, "done": a.responses.edits, "made": made_from(a)}
    return Condition(film=a.clip, transcript=a.transcript, **about)


def done_to(result: Result) -> str:
    """What film and model of a result have undergone, "mute; model lesion text zero"; "" for a film as it is and the whole model."""
    responses = result.responses
    return "; ".join([*responses.edits, *(f"model lesion {lesion}" for lesion in responses.lesions)])


def called(result: Result, name: str = "") -> str:
    """What a condition is called: a name (by default its film's) and what was done to it, unless the name says that already."""
    name, done = name or result.clip.name, done_to(result)
    said = not done or name == done or name.endswith(f": {done}")
    return shorten(name if said else f"{name}: {done}", LABEL_MAX, placeholder=" ...")


def time_map_of(result: Result) -> TimeMap:
    """Where each second of a result's film comes from in the film it was made from; the identity for an unedited one."""
    pieces = result.responses.extra.get("time_map")
    return TimeMap.from_list(pieces) if pieces else TimeMap.identity(result.clip.duration)


def time_map_between(a: Result, b: Result) -> TimeMap | None:
    """Where each second of B's film comes from in A's; None where they are different films, or A shows some of the film twice."""
    if b.responses.extra.get("source_sha256") == a.clip.sha256:
        return time_map_of(b)
    if a.clip.sha256 == b.clip.sha256:
        return TimeMap.identity(b.clip.duration)
    if a.responses.extra.get("source_sha256") == b.clip.sha256:
        return time_map_of(a).inverse()
    (film_a, map_a), (film_b, map_b) = origin_of(a), origin_of(b)
    if film_a != film_b:
        return None
    if map_a == map_b:
        return TimeMap.identity(b.clip.duration)
    shown = map_a.inverse()
    return shown.then(map_b) if shown is not None else None


def made_from(result: Result) -> dict[str, Any]:
    """How a result's film was made of another one, as :class:`Condition` takes it; empty for a film as it is."""
    return {name: result.responses.extra[name] for name in MADE_FROM if name in result.responses.extra}


def origin_of(of: Result | Condition) -> tuple[str, TimeMap]:
    """Content of the film that was there before all edits, and where each second of this one comes from in it; a condition's film is admitted."""
    clip, made = (of.clip, made_from(of)) if isinstance(of, Result) else (of.film, of.made)
    told = made.get("origin") or {"sha256": made.get("source_sha256"), "time_map": made.get("time_map")}
    if not told["sha256"]:
        return clip.sha256, TimeMap.identity(clip.duration)
    return str(told["sha256"]), TimeMap.from_list(told["time_map"]) if told["time_map"] else TimeMap.identity(clip.duration)


def _labelled(result: Result, edited: Edited, source: Clip, condition: Condition) -> Any:
    """The responses with what was done to the film."""
    responses = result.responses
    extra = {**responses.extra, "time_map": edited.time_map.as_list(), "source_sha256": source.sha256, "edits_text": edits_text(edited.edits)}
    if condition.made:
        first, before = origin_of(condition)
        extra["origin"] = {"sha256": first, "time_map": before.then(edited.time_map).as_list()}
    extra["notices"] = list(dict.fromkeys([*extra.get("notices", ()), *edited.notices]))
    return replace(responses, edits=(*_after(condition.done, result), *(edit.text for edit in edited.edits)), extra=extra)


def _after(done: tuple[str, ...], result: Result) -> tuple[str, ...]:
    """Edits that were made before, one of them perhaps twice, and what the run itself noticed, which may be among them."""
    return (*done, *(edit for edit in result.responses.edits if edit not in done))


def recomputed(edits: str, lesions: str = "") -> frozenset[str]:
    """What a condition computes anew out of "video", "audio", "text" and "model"; all the rest comes from the cache."""
    streams = touched(parse_edits(edits))
    return frozenset({*streams, "model"}) if streams or parse_lesions(lesions) else frozenset()
