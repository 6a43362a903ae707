"""pocketsphinx with the English model that it carries: works on any machine, offline, and makes many errors.

Run as a program (``python -m extractors.recognise_sphinx SAMPLES``) this file is the worker; imported, it is the recogniser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from extractors.arrays import load_array
from extractors.errors import SpeechError
from extractors.speech_workers import Heard, recognise, serve, split_long
from extractors.stages import Stage
from extractors.vad import Span

LONGEST_PIECE_S = 12.0
DECODER = {
    "samprate": 16000,
    "cmn": "batch",  # each piece is normalised by itself
    "fwdflat": False,  # the second pass: a third of the time, no better (benchmarks/speech.py)
    "maxhmmpf": 3000,  # bounds the time of hard passages: half the time, word error rate within 0.01
    "loglevel": "FATAL",
}
FRAME_S = 0.01
PEAK = 0.7
NOISE = 3e-5
"""Amplitude of the noise that is added: digital silence between synthetic words derails the decoder."""


class SphinxRecogniser:
    """Recogniser on pocketsphinx's bundled US English model."""

    id = "sphinx-en-us-1"
    source = "pocketsphinx en-us"
    notices = ("The words come from pocketsphinx, an offline recogniser that knows English only and makes many errors: correct them in the table.",)

    def __init__(self, *, processes: int = 2):
        self.processes = processes

    def recognise(self, samples_path: Path, spans: list[Span]) -> Iterator[Stage | Heard]:
        """Recognise the speech in ``spans``; yields Stages, then Heard (see :func:`extractors.speech_workers.recognise`)."""
        pieces = split_long(load_array(samples_path, mapped=True), spans, LONGEST_PIECE_S)
        yield from recognise("extractors.recognise_sphinx", (), samples_path, pieces, processes=self.processes)


def make_decoder(**options):
    """A pocketsphinx decoder with this project's options.

    Raises
    ------
    SpeechError
        pocketsphinx or its model cannot be loaded.
    """
    try:
        from pocketsphinx import Decoder

        return Decoder(**{**DECODER, **options})
    except (ImportError, RuntimeError, ValueError) as error:
        raise SpeechError("sphinx_missing", "pocketsphinx or its English model cannot be loaded.", "Install the requirements again.") from error


def pcm(samples: np.ndarray) -> bytes:
    """16-bit samples at a fixed peak with a trace of noise, the same noise every time."""
    noise = np.random.default_rng(0).uniform(-NOISE, NOISE, len(samples))
    scaled = samples * (PEAK / max(float(np.abs(samples).max(initial=0.0)), 1e-6)) + noise
    return np.round(np.clip(scaled, -1, 1) * 32767).astype("<i2").tobytes()


def segments(decoder, samples: np.ndarray) -> list[tuple[str, float, float]]:
    """Decode one utterance; words with start and end in seconds, fillers left out. Empty where the decoder found no path at all."""
    decoder.reinit_feat()  # the front end remembers the utterance before: the same piece must give the same words in any order
    decoder.start_utt()
    decoder.process_raw(pcm(samples), full_utt=True)
    decoder.end_utt()
    found = decoder.seg() if decoder.hyp() is not None else None
    words = []
    for segment in found or ():
        if segment.word[:1] not in "<[+":
            words.append((re.sub(r"\(\d+\)$", "", segment.word), segment.start_frame * FRAME_S, (segment.end_frame + 1) * FRAME_S))
    return words


if __name__ == "__main__":
    _decoder = make_decoder()
    serve(lambda samples: (segments(_decoder, samples), "en"))
