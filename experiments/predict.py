"""The main job: a film becomes predicted responses. Page, command line and API all call this one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from encoder.checkpoints import find_model, from_pretrained
from encoder.pipeline import run
from encoder.responses import SUBJECTS, Responses, check_subjects
from experiments.intake import Film, Words, enter
from extractors.cache import feature_cache
from extractors.clip import Clip
from extractors.stages import Stage, passing_on, stage_clock
from extractors.transcript import Transcript
from settings import Settings, get_settings

if TYPE_CHECKING:
    from encoder.encoding_model import EncodingModel


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
    model: str | os.PathLike | EncodingModel | None = None,
    settings: Settings | None = None,
    name: str | None = None,
    allow_short: bool = False,
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
    model : str, path or EncodingModel, optional
        Id, folder, or a loaded model; by default the setting.
    settings : Settings, optional
    name : str, optional
        The visitor's name for the file.
    allow_short : bool
        Take clips under the smallest number of TRs too.

    Yields
    ------
    Stage
        "gate", "speech", "video", "audio", "text", "model". Speech and the other streams run at the same time, so their stages alternate.
        The last item is the :class:`Result`. Closing the generator stops everything within two seconds.

    Raises
    ------
    CineglassError
        With a message and a hint for a person.
    """
    settings = settings or get_settings()
    subjects = check_subjects(subjects)
    seconds: dict[str, float] = {}
    loader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model-loader")
    try:
        loaded = _start_loading(settings.model if model is None else model, loader, settings)
        entering = {"transcript": transcript, "recogniser": recogniser, "name": name, "allow_short": allow_short}
        job = _timed(_run(film, entering, subjects, loaded, settings), seconds)
        clip, words, responses = yield from passing_on(job)
    finally:
        loader.shutdown(wait=False, cancel_futures=True)
    yield Result(clip, words, responses, secrets.token_hex(16), seconds)


def _run(
    film: Film, entering: dict[str, Any], subjects: tuple[int, ...], loaded: Future[EncodingModel], settings: Settings
) -> Generator[Any, None, None]:
    cache = feature_cache(settings)
    clip, words, ready = yield from passing_on(enter(film, settings=settings, cache=cache, **entering))
    model = yield from passing_on(_wait_for(loaded))
    responses = yield from passing_on(run(clip, words, model=model, subjects=subjects, cache=cache, settings=settings, ready=ready))
    yield clip, words, responses


def _start_loading(model: str | os.PathLike | EncodingModel, loader: ThreadPoolExecutor, settings: Settings) -> Future[EncodingModel]:
    """Load the model beside the first stages; a name that does not exist fails at once, before any work."""
    if isinstance(model, str | os.PathLike):
        return loader.submit(from_pretrained, find_model(model), device=settings.device)
    done: Future[EncodingModel] = Future()
    done.set_result(model)
    return done


def _wait_for(loaded: Future[EncodingModel]) -> Generator[Any, None, None]:
    at = stage_clock("model", 1)
    while True:
        try:
            model = loaded.result(timeout=0.25)
        except NotYet:
            yield at(0, "The model is being loaded")
        else:
            yield model
            return


def _timed(job: Generator[Any, None, None], seconds: dict[str, float]) -> Generator[Any, None, None]:
    """Note how long each stage took, by its own clock."""
    try:
        for item in job:
            if isinstance(item, Stage):
                seconds[item.name] = max(seconds.get(item.name, 0.0), round(item.elapsed_s, 3))
            yield item
    finally:
        job.close()
