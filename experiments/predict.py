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
from extractors.cache import FeatureCache, feature_cache
from extractors.clip import Clip
from extractors.errors import TranscriptError
from extractors.extract import extract
from extractors.media import admit
from extractors.overlap import overlapping
from extractors.speech import transcribe
from extractors.stages import Stage, passing_on, stage_clock
from extractors.tr_table import no_words
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
    film: str | os.PathLike | Clip,
    *,
    transcript: Transcript | None = None,
    recogniser: str | None = None,
    subjects: Sequence[int] = SUBJECTS,
    model: str | EncodingModel | None = None,
    settings: Settings | None = None,
    name: str | None = None,
    allow_short: bool = False,
) -> Generator[Any, None, None]:
    """Predict responses to a film.

    Parameters
    ----------
    film : path or Clip
        A file to admit, or a clip that already is.
    transcript : Transcript, optional
        Words to use; without it the recogniser listens. One for more or fewer TRs than the clip has is refused.
    recogniser : {"auto", "whisper", "sphinx", "none"}, optional
        By default the setting; "none" runs without words.
    subjects : sequence of int
        Out of 1, 2, 3, 5.
    model : str or EncodingModel, optional
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
        loaded = _start_loading(model or settings.model, loader, settings)
        result = yield from passing_on(_timed(_run(film, transcript, recogniser, subjects, loaded, settings, name, allow_short), seconds))
    finally:
        loader.shutdown(wait=False, cancel_futures=True)
    clip, transcript, responses = result
    yield Result(clip, transcript, responses, secrets.token_hex(16), seconds)


def _run(
    film: str | os.PathLike | Clip,
    transcript: Transcript | None,
    recogniser: str | None,
    subjects: tuple[int, ...],
    loaded: Future[EncodingModel],
    settings: Settings,
    name: str | None,
    allow_short: bool,
) -> Generator[Any, None, None]:
    clip = film
    if not isinstance(film, Clip):
        clip = yield from passing_on(admit(film, name=name, settings=settings, allow_short=allow_short))
    cache = feature_cache(settings)
    if transcript is None:
        transcript = yield from passing_on(_listen(clip, recogniser or settings.recogniser, cache, settings))
    if transcript.n_trs != clip.n_trs:
        raise TranscriptError(
            "row_count",
            f"The transcript has {transcript.n_trs} rows, but the clip has {clip.n_trs} TRs.",
            "Read the transcript for this clip again.",
        )
    encoding_model = yield from passing_on(_wait_for(loaded))
    responses = yield from passing_on(run(clip, transcript, model=encoding_model, subjects=subjects, cache=cache, settings=settings))
    yield clip, transcript, responses


def _listen(clip: Clip, recogniser: str, cache: FeatureCache, settings: Settings) -> Generator[Any, None, None]:
    """Recognise speech; meanwhile the streams that need no words go into the cache."""
    if recogniser == "none" or not clip.has_audio:
        yield no_words(clip.n_trs)
        return
    streams = extract(clip, no_words(clip.n_trs), cache=cache, settings=settings)
    words = transcribe(clip, recogniser=recogniser, settings=settings)
    _, transcript = yield from passing_on(overlapping(streams, words))
    yield transcript


def _start_loading(model: str | EncodingModel, loader: ThreadPoolExecutor, settings: Settings) -> Future[EncodingModel]:
    """Load the model beside the first stages; a name that does not exist fails at once, before any work."""
    if not isinstance(model, str | os.PathLike):
        done: Future[EncodingModel] = Future()
        done.set_result(model)
        return done
    return loader.submit(from_pretrained, find_model(model), device=settings.device)


def _wait_for(loaded: Future[EncodingModel]) -> Generator[Any, None, None]:
    at = stage_clock("model", 1)
    while True:
        try:
            yield loaded.result(timeout=0.25)
            return
        except NotYet:
            yield at(0, "The model is being loaded")


def _timed(job: Generator[Any, None, None], seconds: dict[str, float]) -> Generator[Any, None, None]:
    """Note how long each stage took, by its own clock, and tell its end once: streams made beside the speech are read again from the cache."""
    ended = set()
    try:
        for item in job:
            if isinstance(item, Stage):
                seconds[item.name] = max(seconds.get(item.name, 0.0), round(item.elapsed_s, 3))
                if item.finished and item.name in ended:
                    continue
                if item.finished:
                    ended.add(item.name)
            yield item
    finally:
        job.close()
