"""Recognition in child processes: pieces of sound go in, words come out, and stopping kills the children.

A worker is a small Python program with light imports. It is given the samples' file, reads one line ``k first stop`` (sample numbers) per piece and
answers one line of JSON. Not multiprocessing: its children import the page's main module again, which costs seconds.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from extractors.arrays import load_array
from extractors.errors import SpeechError
from extractors.stages import Stage, stage_clock
from extractors.vad import SAMPLE_RATE, Span
from settings import ROOT

POLL_S = 0.25


@dataclass(frozen=True)
class Heard:
    """What a worker heard: words as (text, onset, offset) in seconds of film time, and the language it took the sound for."""

    words: tuple[tuple[str, float, float], ...]
    language: str


def recognise(
    module: str, arguments: Sequence[str], samples_path: Path, pieces: Sequence[Span], *, processes: int, largest_first: bool = True
) -> Iterator[Stage | Heard]:
    """Run ``python -m module arguments... samples_path`` in ``processes`` children over ``pieces``.

    Parameters
    ----------
    module : str
        The worker's module.
    arguments : sequence of str
        For the worker, before the samples' path.
    samples_path : pathlib.Path
        float32 ``.npy``, 16 kHz.
    pieces : sequence of Span
        In seconds; the longest are given out first, so that the children end together.

    Yields
    ------
    Stage
        Named "speech", at least four times a second; done and total are seconds of sound.
    Heard
        Last.

    Raises
    ------
    SpeechError
        A child failed.
    """
    total = sum(piece.duration for piece in pieces)
    at = stage_clock("speech", total or 1.0)
    order = sorted(range(len(pieces)), key=lambda k: -pieces[k].duration) if largest_first else list(range(len(pieces)))
    answers: queue.Queue[tuple[int, dict | None]] = queue.Queue()
    children: list[subprocess.Popen] = []
    listeners: list[threading.Thread] = []
    found: dict[int, dict] = {}
    done = 0.0
    try:
        for number in range(min(processes, len(pieces))):
            children.append(_start(module, arguments, samples_path))
            listeners.append(threading.Thread(target=_listen, args=(children[-1], number, answers), daemon=True))
            listeners[-1].start()
            _give(children[number], order.pop(0), pieces)
        while len(found) < len(pieces):
            try:
                number, answer = answers.get(timeout=POLL_S)
            except queue.Empty:
                yield at(done, f"Recognising speech: {done:.0f} of {total:.0f} s")
                continue
            if answer is None or "error" in answer:
                raise SpeechError(
                    "recogniser_failed",
                    "The speech recogniser stopped unexpectedly.",
                    "Run again, choose the other recogniser, or run without words.",
                )
            found[answer["piece"]] = answer
            done += pieces[answer["piece"]].duration
            if order:
                _give(children[number], order.pop(0), pieces)
            yield at(done, f"Recognising speech: {done:.0f} of {total:.0f} s")
    finally:
        for child in children:
            child.kill()
        for child, listener in zip(children, listeners, strict=False):
            child.wait()
            listener.join(1)
            with suppress(OSError):  # what was left unsent to a killed child
                child.stdin.close()
            child.stdout.close()
    words = [(text, onset, offset) for k in range(len(pieces)) for text, onset, offset in found[k]["words"]]
    languages = [found[k]["language"] for k in range(len(pieces)) if found[k]["words"]]
    yield Heard(tuple(words), max(set(languages), key=languages.count) if languages else "")


def serve(hear: Callable[[np.ndarray], tuple[list[tuple[str, float, float]], str]]) -> None:
    """The worker's loop: answer every piece on standard input with ``hear(samples)`` -> (words in seconds from the piece's start, language)."""
    samples = load_array(sys.argv[-1], mapped=True)
    for line in sys.stdin:
        piece, first, stop = (int(part) for part in line.split())
        words, language = hear(np.asarray(samples[first:stop], dtype=np.float32))
        start = first / SAMPLE_RATE
        answer = {"piece": piece, "words": [(text, start + onset, start + offset) for text, onset, offset in words], "language": language}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def split_long(samples: np.ndarray, spans: Sequence[Span], longest: float) -> list[Span]:
    """Cut spans longer than ``longest`` seconds at the quietest 50 ms of their second half, so that children share the work."""
    pieces = []
    for span in spans:
        start = span.start
        while span.end - start > longest:
            first = round((start + longest / 2) * SAMPLE_RATE)
            frames = np.asarray(samples[first : round((start + longest) * SAMPLE_RATE)], dtype=np.float32)
            frames = frames[: len(frames) // 800 * 800].reshape(-1, 800)
            cut = (first + 800 * int((frames**2).sum(axis=1).argmin()) + 400) / SAMPLE_RATE
            pieces.append(Span(start, cut))
            start = cut
        pieces.append(Span(start, span.end))
    return pieces


def _start(module: str, arguments: Sequence[str], samples_path: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", module, *arguments, str(Path(samples_path).resolve())]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},  # recognising never reaches for the network
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    )


def _give(child: subprocess.Popen, piece: int, pieces: Sequence[Span]) -> None:
    span = pieces[piece]
    with suppress(OSError):  # a dead child is reported by its listener, which sees the end of its output
        child.stdin.write(f"{piece} {round(span.start * SAMPLE_RATE)} {round(span.end * SAMPLE_RATE)}\n")
        child.stdin.flush()


def _listen(child: subprocess.Popen, number: int, answers: queue.Queue) -> None:
    with suppress(ValueError):  # half a line of a killed child, or its pipe closed under us
        for line in child.stdout:
            answers.put((number, json.loads(line)))
    answers.put((number, None))
