"""Whisper through faster-whisper (CTranslate2 weights, int8 on a CPU). Weights are looked for on this machine and never fetched unasked.

Run as a program (``python -m extractors.recognise_whisper hear ... SAMPLES``, or ``... download NAME``) this file is the worker.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from extractors.errors import SpeechError
from extractors.speech_workers import Heard, recognise, serve
from extractors.stages import Stage, stage_clock
from extractors.vad import SAMPLE_RATE, Span
from settings import ROOT

DOWNLOAD_MB = {
    "tiny": 78, "tiny.en": 78, "base": 148, "base.en": 148, "small": 486, "small.en": 486, "distil-small.en": 336,
    "medium": 1530, "medium.en": 1530, "distil-medium.en": 791, "large-v1": 3090, "large-v2": 3090, "large-v3": 3090, "large": 3090,
    "distil-large-v2": 1520, "distil-large-v3": 1520, "large-v3-turbo": 1620, "turbo": 1620,
}  # fmt: skip
"""Megabytes that a download fetches, rounded up."""

LONGEST_PIECE_S = 28.0
"""Whisper hears 30 s at a time, whatever it is given."""
JOIN_GAP_S = 1.5
SLACK_S = 0.3
"""A word whose middle is farther than this from any speech is one that Whisper made up."""


class WhisperRecogniser:
    """Recogniser on Whisper weights in a folder.

    Parameters
    ----------
    name : str
        What the visitor sees: the size, or the folder's name.
    folder : pathlib.Path
        CTranslate2 model.
    device : {"auto", "cpu", "cuda"}
    language : str or None
        Two-letter code; None lets Whisper find it in the longest piece.
    """

    notices = ("The words come from Whisper: names, songs and overlapping voices are often wrong.",)

    def __init__(self, name: str, folder: Path, *, device: str = "auto", language: str | None = None):
        self.folder, self.device, self.language = folder, device, language
        self.source = f"whisper {Path(name).name}"
        weights = (folder / "model.bin").stat()
        about = f"{folder.resolve()}|{weights.st_size}|{weights.st_mtime_ns}|{language}"
        self.id = f"whisper-1-{sha256(about.encode()).hexdigest()[:16]}"

    def recognise(self, samples_path: Path, spans: list[Span]) -> Iterator[Stage | Heard]:
        """Recognise the speech in ``spans``; yields Stages, then Heard (see :func:`extractors.speech_workers.recognise`)."""
        arguments = ("hear", str(self.folder.resolve()), self.device, self.language or "-")
        for item in recognise("extractors.recognise_whisper", arguments, samples_path, join(spans), processes=1):
            if isinstance(item, Heard):
                item = Heard(tuple(word for word in item.words if _near(word, spans)), item.language)
            yield item


def find_weights(name: str) -> Path | None:
    """The folder of Whisper's weights on this machine, or None where a size or hub name is not in the hub's cache.

    Raises
    ------
    SpeechError
        ``name`` is a folder that is not there or lacks a file, or no size that exists.
    """
    folder = Path(name).expanduser()
    size = name in DOWNLOAD_MB
    if name.strip() and folder.is_dir() and not size:
        return _complete(folder)
    if not size and (name.count("/") != 1 or name.startswith((".", "~", "/"))):
        raise SpeechError(
            "whisper_unknown",
            f"The Whisper model {Path(name).name!r} is neither a folder on this machine nor a size.",
            f"Sizes are {', '.join(DOWNLOAD_MB)}; or give the folder of a CTranslate2 model.",
        )
    found = _in_hub_cache(name)
    return _complete(found) if found is not None else None


def _in_hub_cache(name: str) -> Path | None:
    from huggingface_hub.constants import HF_HUB_CACHE

    if name in DOWNLOAD_MB and not any(Path(HF_HUB_CACHE).glob("models--*whisper*")):
        return None  # nothing to find: spares a page that only asks the import of the whole recogniser
    from faster_whisper import download_model
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(download_model(name, local_files_only=True))
    except (LocalEntryNotFoundError, FileNotFoundError):
        return None
    except (HFValidationError, ValueError) as error:
        raise SpeechError("whisper_unknown", f"{name!r} is no Whisper model of the hub.", f"Sizes are {', '.join(DOWNLOAD_MB)}.") from error


def _complete(folder: Path) -> Path:
    # CTranslate2 itself complains about a wrong thing when a file is missing, and faster-whisper would go to the network for a tokenizer
    missing = [file for file in ("model.bin", "config.json", "tokenizer.json") if not (folder / file).is_file()]
    if not any(folder.glob("vocabulary.*")):
        missing.append("vocabulary.json")
    if missing:
        raise SpeechError(
            "whisper_incomplete",
            f"The Whisper folder {folder.name!r} lacks {', '.join(missing)}.",
            "Give a folder with a CTranslate2 Whisper model, or download it again.",
        )
    return folder


def download_whisper(name: str) -> Iterator[Stage | Path]:
    """Download Whisper weights into the hub's cache; only ever called because a person asked for it.

    Parameters
    ----------
    name : str
        A size in :data:`DOWNLOAD_MB`, whose megabytes every Stage's message states.

    Yields
    ------
    Stage
        Named "download"; done and total are megabytes.
    pathlib.Path
        Last: the folder.

    Raises
    ------
    SpeechError
        No such size, or the download failed.
    """
    if name not in DOWNLOAD_MB:
        raise SpeechError("whisper_unknown", f"There is no Whisper size {name[:40]!r}.", f"Sizes are {', '.join(DOWNLOAD_MB)}.")
    at = stage_clock("download", DOWNLOAD_MB[name])
    text = f"Downloading Whisper {name}, about {DOWNLOAD_MB[name]} MB"
    command = [sys.executable, "-m", "extractors.recognise_whisper", "download", name]
    child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        before = _cached_mb()
        while child.poll() is None:
            yield at(min(max(_cached_mb() - before, 0.0), DOWNLOAD_MB[name] * 0.99), text)
            time.sleep(0.5)
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
    found = find_weights(name) if child.returncode == 0 else None
    if found is None:
        raise SpeechError(
            "download_failed", f"Whisper {name} could not be downloaded.", "Check the network, or give a folder that holds the weights."
        )
    yield at(DOWNLOAD_MB[name], f"Whisper {name} is here")
    yield found


def _cached_mb() -> float:
    from huggingface_hub.constants import HF_HUB_CACHE

    total = 0
    for path in Path(HF_HUB_CACHE).glob("models--*whisper*/blobs/*"):
        try:
            total += path.stat().st_size
        except OSError:
            continue  # renamed while we look
    return total / 1e6


def join(spans: list[Span]) -> list[Span]:
    """Pieces of at most 28 s made of neighbouring spans; a longer span is cut, because Whisper cuts it anyway."""
    pieces: list[Span] = []
    for span in spans:
        start = span.start
        while span.end - start > LONGEST_PIECE_S:
            pieces.append(Span(start, start + LONGEST_PIECE_S))
            start += LONGEST_PIECE_S
        last = pieces[-1] if pieces else None
        if last is not None and start - last.end < JOIN_GAP_S and span.end - last.start <= LONGEST_PIECE_S:
            pieces[-1] = Span(last.start, span.end)
        else:
            pieces.append(Span(start, span.end))
    return pieces


def _near(word: tuple[str, float, float], spans: list[Span]) -> bool:
    middle = (word[1] + word[2]) / 2
    return any(span.start - SLACK_S <= middle <= span.end + SLACK_S for span in spans)


def options(device: str) -> dict:
    """Device, number type and beam: int8 on a CPU (float16 cannot run there), float16 on a GPU that CTranslate2 can see."""
    import ctranslate2

    cuda = device == "cuda" or (device == "auto" and ctranslate2.get_cuda_device_count() > 0)
    return {"device": "cuda", "compute_type": "float16", "beam_size": 5} if cuda else {"device": "cpu", "compute_type": "int8", "beam_size": 1}


def _hear(folder: str, device: str, language: str | None) -> None:
    from faster_whisper import WhisperModel

    chosen = options(device)
    beam = chosen.pop("beam_size")
    model = WhisperModel(folder, local_files_only=True, **chosen)
    state = {"language": language}

    def hear(samples):
        found, info = model.transcribe(
            samples,
            language=state["language"],
            beam_size=beam,
            word_timestamps=True,
            condition_on_previous_text=False,  # one wrong piece must not colour the next
            vad_filter=False,  # the samples are speech already
        )
        duration = len(samples) / SAMPLE_RATE
        words = [(word.word.strip(), word.start, min(word.end, duration)) for segment in found for word in segment.words or ()]
        state["language"] = info.language
        return [(text, min(start, end), end) for text, start, end in words if text], info.language

    serve(hear)


if __name__ == "__main__":
    if sys.argv[1] == "download":
        from faster_whisper import download_model

        download_model(sys.argv[2])
    else:
        _hear(sys.argv[2], sys.argv[3], None if sys.argv[4] == "-" else sys.argv[4])
