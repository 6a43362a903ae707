"""Where somebody speaks: the Silero voice detector that faster-whisper carries, and two checks that keep music out.

A recogniser hears words in anything (pocketsphinx hears "dog" in digital silence), so only what passes here reaches one.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from extractors.stages import Stage, stage_clock

VAD_ID = "silero-v6-checked-1"
SAMPLE_RATE = 16_000
WINDOW = 512
"""Samples per probability (32 ms)."""

START_P = 0.5
END_P = 0.35
MIN_SILENCE_S = 0.3
MIN_SPEECH_S = 0.2
PAD_S = 0.15

PEAK_P = 0.95
UPPER_QUARTILE_P = 0.9
"""Speech, also in noise, peaks above 0.97 with an upper quartile above 0.94; solo saxophone at twelve speeds, a band, film music and synthetic music
stayed below 0.92 and 0.87 (measured by ``benchmarks/speech.py``)."""

CONSONANT_HZ = 3_000
CONSONANT_DB = -30.0
"""In speech some moment (the 95th percentile) holds at least this share of its power above 3 kHz; a soft wind instrument never does."""

CHUNK_WINDOWS = 2_000
LEAD_WINDOWS = 32


@dataclass(frozen=True)
class Span:
    """A stretch of speech, in seconds of film time."""

    start: float
    end: float

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.end - self.start


def speech_probability(samples: np.ndarray) -> Generator[tuple[float, np.ndarray]]:
    """Silero's probability of speech, a minute at a time so that a caller can stop.

    Parameters
    ----------
    samples : numpy.ndarray, float32 [n]
        16 kHz mono.

    Yields
    ------
    done : float
        Share of the samples that is finished.
    probability : numpy.ndarray, float32 [k]
        The next values, one per 512 samples; the last window is padded with zeros.
    """
    model = _model()
    total = -(-len(samples) // WINDOW)
    for first in range(0, total, CHUNK_WINDOWS):
        lead = min(first, LEAD_WINDOWS)  # the detector is recurrent: let it settle before the part that counts
        stop = min(first + CHUNK_WINDOWS, total)
        part = np.asarray(samples[(first - lead) * WINDOW : stop * WINDOW], dtype=np.float32)
        part = np.pad(part, (0, (stop - first + lead) * WINDOW - len(part)))
        yield stop / total, model(part).reshape(-1)[lead:]


def find_speech(samples: np.ndarray) -> Iterator[Stage | list[Span]]:
    """Find the stretches of speech.

    Parameters
    ----------
    samples : numpy.ndarray, float32 [n]
        16 kHz mono; may be a memory map.

    Yields
    ------
    Stage
        Named "speech".
    list of Span
        Last: padded by 0.15 s, in order, not overlapping.
    """
    at = stage_clock("speech", 1.0)
    parts = []
    for done, probability in speech_probability(samples):
        parts.append(probability)
        yield at(done, "Listening for speech")
    probability = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    duration = len(samples) / SAMPLE_RATE
    kept = [span for span in _runs(probability) if _is_speech(samples, probability, *span)]
    yield _padded([Span(first * WINDOW / SAMPLE_RATE, min(stop * WINDOW / SAMPLE_RATE, duration)) for first, stop in kept], duration)


def _runs(probability: np.ndarray) -> list[tuple[int, int]]:
    """Windows [first, stop) between a rise above START_P and a fall below END_P that lasts."""
    patience = round(MIN_SILENCE_S * SAMPLE_RATE / WINDOW)
    runs, first, quiet = [], None, 0
    for k, value in enumerate(probability.tolist()):
        if first is None:
            if value >= START_P:
                first, quiet = k, 0
        elif value >= END_P:
            quiet = 0
        else:
            quiet += 1
            if quiet >= patience:
                runs.append((first, k + 1 - quiet))
                first = None
    if first is not None:
        runs.append((first, len(probability) - quiet))
    return [(first, stop) for first, stop in runs if (stop - first) * WINDOW >= MIN_SPEECH_S * SAMPLE_RATE]


def _is_speech(samples: np.ndarray, probability: np.ndarray, first: int, stop: int) -> bool:
    values = probability[first:stop]
    if values.max() < PEAK_P or np.quantile(values, 0.75) < UPPER_QUARTILE_P:
        return False
    return _consonants_db(np.asarray(samples[first * WINDOW : stop * WINDOW], dtype=np.float32)) >= CONSONANT_DB


def _consonants_db(samples: np.ndarray) -> float:
    """95th percentile over 32 ms frames within 35 dB of the loudest of the share of power above 3 kHz, in dB."""
    frames = samples[: len(samples) // WINDOW * WINDOW].reshape(-1, WINDOW) * np.hanning(WINDOW).astype(np.float32)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    total = power.sum(axis=1) + 1e-12
    high = power[:, CONSONANT_HZ * WINDOW // SAMPLE_RATE :].sum(axis=1) + 1e-12
    loud = total > total.max() * 10**-3.5
    return float(10 * np.log10(np.quantile(high[loud] / total[loud], 0.95)))


def _padded(spans: list[Span], duration: float) -> list[Span]:
    padded: list[Span] = []
    for k, span in enumerate(spans):
        before = padded[-1].end if padded else 0.0
        after = spans[k + 1].start if k + 1 < len(spans) else duration
        padded.append(Span(max(span.start - PAD_S, before), min(span.end + PAD_S, (span.end + after) / 2 if k + 1 < len(spans) else duration)))
    return padded


@lru_cache(maxsize=1)
def _model():
    from faster_whisper.vad import get_vad_model

    return get_vad_model()
