"""A film comes in: admission, its words, and its streams; the first half of every job."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

from extractors.align import align_stages
from extractors.cache import FeatureCache, feature_cache
from extractors.clip import Clip
from extractors.errors import TranscriptError
from extractors.extract import extract
from extractors.formats import read_transcript
from extractors.media import admit
from extractors.overlap import overlapping
from extractors.speech import transcribe
from extractors.stages import passing_on
from extractors.tr_table import no_words
from extractors.transcript import Transcript
from settings import Settings, get_settings

Film = str | os.PathLike | Clip
Words = Transcript | str | os.PathLike | None


def enter(
    film: Film,
    *,
    transcript: Words = None,
    recogniser: str | None = None,
    settings: Settings | None = None,
    name: str | None = None,
    allow_short: bool = False,
    cache: FeatureCache | None = None,
) -> Generator[Any, None, None]:
    """Admit a film and find its words.

    Parameters
    ----------
    film : path or Clip
        A file to admit, or a clip that already is.
    transcript : Transcript or path, optional
        Words to use, or a file that holds them; words without times are aligned with the sound. Without it the recogniser listens.
    recogniser : {"auto", "whisper", "sphinx", "none"}, optional
        By default the setting; "none" runs without words.
    settings : Settings, optional
    name : str, optional
        The visitor's name for the file.
    allow_short : bool
        Take clips under the smallest number of TRs too.
    cache : FeatureCache, optional
        Given one, the streams that need no words are computed while the recogniser listens.

    Yields
    ------
    Stage
        "gate", "speech", and beside the speech "video" and "audio"; the last item is the tuple (Clip, Transcript, Features or None), the
        features being those that were made beside the speech.

    Raises
    ------
    CineglassError
        MediaError, TranscriptError (also for words that have another number of TRs than the clip) or SpeechError.
    """
    settings = settings or get_settings()
    clip = yield from passing_on(admitted(film, settings=settings, name=name, allow_short=allow_short))
    words, ready = transcript, None
    if words is not None and not isinstance(words, Transcript):
        words = read_transcript(Path(words), clip.n_trs)
    if words is None:
        chosen = recogniser or settings.recogniser
        ahead = None if chosen == "none" else cache
        words, ready = yield from passing_on(_beside(clip, transcribe(clip, recogniser=chosen, settings=settings), ahead, settings))
    elif words.timing == "spread" and not words.edited and clip.has_audio and words.n_trs == clip.n_trs:
        aligned = align_stages(" ".join(word.text for word in words.words), clip, source=words.source)
        words, ready = yield from passing_on(_beside(clip, aligned, cache, settings))
    if words.n_trs != clip.n_trs:
        raise TranscriptError(
            "row_count",
            f"The transcript has {words.n_trs} rows, but the clip has {clip.n_trs} TRs.",
            "Read the transcript for this clip again.",
        )
    yield clip, words, ready


def admitted(film: Film, *, settings: Settings, name: str | None = None, allow_short: bool = False) -> Generator[Any, None, None]:
    """Yields the gate's stages for a file, none for a clip that is admitted already; the last item is the Clip."""
    if isinstance(film, Clip):
        yield film
    else:
        yield from admit(film, name=name, settings=settings, allow_short=allow_short)


def streams(film: Film, *, settings: Settings | None = None, **how: Any) -> Generator[Any, None, None]:
    """Compute the feature streams of a film; takes what :func:`enter` takes.

    Yields
    ------
    Stage
        The last item is the tuple (Clip, Transcript, Features).
    """
    settings = settings or get_settings()
    cache = feature_cache(settings)
    clip, words, ready = yield from passing_on(enter(film, settings=settings, cache=cache, **how))
    features = yield from passing_on(extract(clip, words, cache=cache, settings=settings, ready=ready))
    yield clip, words, features


def _beside(clip: Clip, words: Generator[Any, None, None], cache: FeatureCache | None, settings: Settings) -> Generator[Any, None, None]:
    """Find words, which is done by child processes, and compute picture and sound meanwhile; last comes (Transcript, Features or None)."""
    if cache is None or not clip.has_audio:
        yield (yield from passing_on(words)), None
        return
    ahead = extract(clip, no_words(clip.n_trs), cache=cache, settings=settings)
    features, transcript = yield from passing_on(overlapping(ahead, words))
    yield transcript, features
