"""The main job: a film becomes predicted responses. Page, command line and API all call this one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from encoder.backbones import prepared
from encoder.encoding_model import EncodingModel
from encoder.ensemble import Ensemble, read
from encoder.lesions import Lesion, parse_lesions
from encoder.pipeline import run
from encoder.plan import make_plan
from encoder.responses import SUBJECTS, Responses, check_subjects
from encoder.waiting_model import WaitingModel
from experiments.intake import Film, Words, admitted, enter
from extractors.cache import feature_cache
from extractors.clip import Clip
from extractors.errors import FeatureError
from extractors.in_thread import in_thread
from extractors.stages import Stage, passing_on
from extractors.transcript import Transcript
from settings import Settings, get_settings

LOOKED_UP_S = 0.3
"""A stage that takes longer is work and not a look into the cache: then the model will be needed, and is loaded meanwhile."""


@dataclass(frozen=True, eq=False)
class Result:
    """A finished run.

    Attributes
    ----------
    clip : Clip
    transcript : Transcript
    responses : Responses
    run_id : str
        New for every run.
    seconds : dict of str to float
        Wall-clock seconds per stage; overlapping stages count their own time each.
    """

    clip: Clip
    transcript: Transcript
    responses: Responses
    run_id: str
    seconds: dict[str, float] = field(default_factory=dict)


def predict(
    film: Film,
    *,
    transcript: Words = None,
    recogniser: str | None = None,
    subjects: Sequence[int] = SUBJECTS,
    model: str | os.PathLike | Sequence[str | os.PathLike] | EncodingModel | Ensemble | WaitingModel | None = None,
    settings: Settings | None = None,
    name: str | None = None,
    allow_short: bool = False,
    lesions: str | Sequence[Lesion] = "",
) -> Generator[Any, None, None]:
    """Predict responses to a film.

    Parameters
    ----------
    film : path or Clip
        A file to admit, or a clip that already is.
    transcript : Transcript or path, optional
        Words to use, or a file that holds them; without it the recogniser listens.
    recogniser : {"auto", "whisper", "sphinx", "none"}, optional
        By default the setting; "none" runs without words.
    subjects : sequence of int
        Out of 1, 2, 3, 5.
    model : str, path, sequence of these, EncodingModel, Ensemble or WaitingModel, optional
        Id, folder, hub name, several of them as one ensemble ("a+b" or a sequence), a loaded model, or one that waits to be needed and is lent to
        several runs; by default the setting.
    settings : Settings, optional
    name : str, optional
        The visitor's name for the file.
    allow_short : bool
        Take clips under the smallest number of TRs too.
    lesions : str or sequence of Lesion
        Streams that the model loses, in the language of :mod:`encoder.lesions`: "text mean".

    Yields
    ------
    Stage
        "gate", "speech", "video", "audio", "text", "model"; with a published model "plan" too. With the embedded model speech and the other
        streams run at the same time, so their stages alternate.
        The last item is the :class:`Result`. Closing the generator stops everything within two seconds.

    Raises
    ------
    CineglassError
        With a message and a hint for a person.
    """
    settings = settings or get_settings()
    subjects = check_subjects(subjects)
    lost = parse_lesions(lesions) if isinstance(lesions, str) else tuple(lesions)
    seconds: dict[str, float] = {}
    chosen = settings.model if model is None else model
    waiting, lent = None, isinstance(chosen, WaitingModel)
    if not isinstance(chosen, EncodingModel | Ensemble):
        waiting = chosen if lent else WaitingModel(read(chosen, settings=settings), device=settings.device)
    entering = {"transcript": transcript, "recogniser": recogniser, "allow_short": allow_short, "name": name}
    ahead = waiting is not None and not waiting.files.published
    job = _run(film, entering, subjects, waiting or chosen, settings, lost)
    result = None
    try:
        for item in job:
            if not isinstance(item, Stage):
                result = item
                continue
            seconds[item.name] = max(seconds.get(item.name, 0.0), round(item.elapsed_s, 3))
            if ahead and item.elapsed_s > LOOKED_UP_S:
                waiting.begin()
            yield item
    finally:
        job.close()
        if waiting is not None and not lent:
            waiting.close()
    yield Result(*result, secrets.token_hex(16), seconds)


def _run(
    film: Film,
    entering: dict[str, Any],
    subjects: tuple[int, ...],
    model: EncodingModel | Ensemble | WaitingModel,
    settings: Settings,
    lesions: Sequence[Lesion],
) -> Generator[Any, None, None]:
    """The whole way; the last item is the tuple (Clip, Transcript, Responses)."""
    cache = feature_cache(settings)
    if model.files is not None and model.files.published:
        yield from _run_planned(film, entering, subjects, model, settings, lesions)
        return
    clip, words, ready = yield from passing_on(enter(film, settings=settings, cache=cache, **entering))
    responses = yield from passing_on(run(clip, words, model=model, subjects=subjects, cache=cache, settings=settings, ready=ready, lesions=lesions))
    yield clip, words, responses


def _run_planned(
    film: Film,
    entering: dict[str, Any],
    subjects: tuple[int, ...],
    model: EncodingModel | Ensemble | WaitingModel,
    settings: Settings,
    lesions: Sequence[Lesion],
) -> Generator[Any, None, None]:
    """A published model: what runs where is planned before anything is loaded; out of memory means the next plan."""
    clip = yield from passing_on(admitted(film, settings=settings, name=entering["name"], allow_short=entering["allow_short"]))
    said = "Looking at what this machine can do"
    plan = yield from in_thread("plan", 1, said, lambda _: make_plan(model.files, duration_s=clip.duration, settings=settings))
    plan.check()
    clip, words, _ = yield from passing_on(enter(clip, settings=settings, **entering))
    fallen_back: list[str] = []
    while True:
        extractors = yield from prepared(model.files, plan, clip, words, settings)
        here = WaitingModel(model.files, device=plan.placement("predictor").device) if isinstance(model, WaitingModel) else model
        facts = {"plan": plan.facts(), "fallen_back": fallen_back}
        given = {"extractors": extractors, "facts": facts, "lesions": lesions}
        try:
            responses = yield from passing_on(
                run(clip, words, model=here, subjects=subjects, cache=feature_cache(settings), settings=settings, **given)
            )
        except FeatureError as error:
            following = plan.next() if error.code == "out_of_memory" else None
            if following is None:
                raise
            fallen_back.append(plan.summary())
            plan = following
        else:
            yield clip, words, responses
            return
        finally:
            if here is not model:
                here.close()
