"""Words from the sound of a clip: one voice detector, one interface, two recognisers.

Between them stands :mod:`extractors.vad`: silence, tones, noise and instruments never reach a recogniser.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Literal, Protocol

from extractors.clip import Clip
from extractors.errors import SpeechError, TranscriptError
from extractors.formats_json import read_json, write_json
from extractors.recognise_sphinx import SphinxRecogniser
from extractors.recognise_whisper import DOWNLOAD_MB, WhisperRecogniser, find_weights
from extractors.speech_workers import Heard
from extractors.stages import Stage, passing_on, stage_clock
from extractors.tr_table import clean, no_words, table_from_words
from extractors.transcript import Transcript, Word
from extractors.vad import VAD_ID, Span, find_speech
from settings import Settings, get_settings

Choice = Literal["auto", "whisper", "sphinx", "none"]
CHOICES: tuple[Choice, ...] = ("auto", "whisper", "sphinx", "none")

FALSE_WORDS_PER_MINUTE_OF_MUSIC = 0.0
"""Words that pocketsphinx behind the detector put into 8.1 minutes of music without speech: a saxophone and a band at twelve speeds each, a cartoon's
music, eight synthetic pieces. Behind Silero alone it is 2.1 a minute, without a detector 53 (``python -m benchmarks.speech``). No song was tried:
sung words are speech to any detector."""


class Recogniser(Protocol):
    """What turns stretches of speech into words.

    ``id`` names the recogniser with its parameters (part of the cache's key), ``source`` is what a person reads, ``notices`` are its limits in words.
    """

    id: str
    source: str
    notices: tuple[str, ...]

    def recognise(self, samples_path: Path, spans: list[Span]) -> Iterator[Stage | Heard]:
        """Words in ``spans`` of the 16 kHz samples: yields Stages, then Heard."""


def choose(recogniser: Choice, settings: Settings) -> Recogniser:
    """The recogniser of a choice other than "none"; "auto" is Whisper when its weights are here, else pocketsphinx.

    Raises
    ------
    SpeechError
        Whisper was asked for and its weights are not here.
    """
    if recogniser not in CHOICES or recogniser == "none":
        raise SpeechError("recogniser", f"Allowed recognisers are {', '.join(CHOICES)}, but got {recogniser!r} instead.", "Choose one of them.")
    if recogniser == "sphinx":
        return SphinxRecogniser(processes=settings.speech_processes)
    name = settings.whisper_model
    try:
        folder = find_weights(name)
    except SpeechError:
        if recogniser == "whisper":
            raise
        folder = None
    if folder is not None:
        return WhisperRecogniser(name, folder, device=settings.whisper_device, language=settings.language)
    if recogniser == "auto":
        return SphinxRecogniser(processes=settings.speech_processes)
    size = f" (about {DOWNLOAD_MB[name]} MB)" if name in DOWNLOAD_MB else ""
    raise SpeechError(
        "whisper_missing",
        f"The weights of Whisper {name!r} are not on this machine.",
        f"Download them{size} with `python cli.py download-whisper`, choose the offline recogniser, or run without words.",
    )


def available(settings: Settings | None = None) -> dict[str, dict]:
    """What can run here, for a page to show.

    Returns
    -------
    dict
        "auto" -> {"takes": "whisper" | "sphinx"}; "whisper", "sphinx" and "none" -> {"ready": bool, "why_not": str, "source": str,
        "language": str, "note": str, "download_mb": int or None}.
    """
    settings = settings or get_settings()
    name, why_not, code = settings.whisper_model, "", None
    try:
        source = choose("whisper", settings).source
    except SpeechError as error:
        source, why_not, code = "", f"{error} {error.hint}", error.code
    return {
        "auto": {"takes": "sphinx" if why_not else "whisper"},
        "whisper": {
            "ready": not why_not,
            "why_not": why_not,
            "source": source,
            "language": settings.language or "found in the speech",
            "note": WhisperRecogniser.notices[0],
            "download_mb": DOWNLOAD_MB.get(name) if code == "whisper_missing" else None,
        },
        "sphinx": {
            "ready": True,
            "why_not": "",
            "source": SphinxRecogniser.source,
            "language": "English only",
            "note": SphinxRecogniser.notices[0],
            "download_mb": None,
        },
        "none": {"ready": True, "why_not": "", "source": "none", "language": "", "note": "The text stream stays empty.", "download_mb": None},
    }


def transcribe(clip: Clip, *, recogniser: Choice | None = None, settings: Settings | None = None) -> Iterator[Stage | Transcript]:
    """Recognise the words of a clip.

    Parameters
    ----------
    clip : Clip
    recogniser : {"auto", "whisper", "sphinx", "none"}, optional
        Default: the setting.
    settings : Settings, optional

    Yields
    ------
    Stage
        Named "speech". Closing the generator kills the children.
    Transcript
        Last. Empty, with a notice that says why, for a clip without sound or speech.

    Raises
    ------
    SpeechError
        The recogniser asked for is not here, or failed.
    """
    settings = settings or get_settings()
    choice = recogniser or settings.recogniser
    at = stage_clock("speech", 1.0)
    if choice == "none":
        yield at(1.0, "Running without words")
        yield no_words(clip.n_trs, notices=("This run is without words.",))
        return
    chosen = choose(choice, settings)
    if not clip.has_audio or clip.samples_path is None:
        yield at(1.0, "No sound, no words")
        yield no_words(clip.n_trs, notices=("The clip has no sound, so there are no words.",))
        return
    yield at(0.0, "Listening for speech")
    cached = _cache_file(clip, chosen, settings)
    transcript = _read_cached(cached, clip.n_trs)
    if transcript is None:
        transcript = yield from _recognise(clip, chosen)
        _write_cached(cached, transcript)
    yield at(1.0, f"{transcript.n_words} words" if transcript.n_words else "No words")
    yield transcript


def heard_before(clip: Clip, *, recogniser: Choice | None = None, settings: Settings | None = None) -> Transcript | None:
    """The words that :func:`transcribe` would find without listening: kept ones, or none where nobody listens; None where it has to listen.

    Raises
    ------
    SpeechError
        The recogniser asked for is not here.
    """
    settings = settings or get_settings()
    choice = recogniser or settings.recogniser
    if choice == "none" or not clip.has_audio or clip.samples_path is None:
        return no_words(clip.n_trs)
    return _read_cached(_cache_file(clip, choose(choice, settings), settings), clip.n_trs)


def _cache_file(clip: Clip, chosen: Recogniser, settings: Settings) -> Path:
    key = sha256("|".join((clip.audio_key, str(clip.n_trs), VAD_ID, chosen.id)).encode()).hexdigest()
    return settings.cache_dir / "transcripts" / f"{clip.audio_key}-{key[:32]}.json"  # by sound first, so that a visitor's words can be deleted


def _recognise(clip: Clip, recogniser: Recogniser):
    spans = yield from passing_on(find_speech(clip.samples()))
    if not spans:
        return no_words(clip.n_trs, source=recogniser.source, notices=("No speech was found in the sound, so there are no words.",))
    heard = yield from passing_on(recogniser.recognise(clip.samples_path, spans))
    words = [Word(text, round(onset, 3), round(offset - onset, 3)) for raw, onset, offset in heard.words if (text := clean(raw).strip())]
    notices = recogniser.notices if words else ("Somebody speaks, but no word was recognised.",)
    return table_from_words(words, clip.n_trs, source=recogniser.source, timing="recognised", language=heard.language, notices=notices)


def _read_cached(path: Path, n_trs: int) -> Transcript | None:
    try:
        return read_json(path.read_text(encoding="utf-8"), n_trs, source="")
    except (OSError, TranscriptError, UnicodeDecodeError):
        return None  # not there, or not whole: recognise again


def _write_cached(path: Path, transcript: Transcript) -> None:
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8") as file:
            temporary = file.name
            file.write(write_json(transcript))
        os.replace(temporary, path)
    except OSError:  # a full or read-only disk costs the next run its time, not this one its words
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
