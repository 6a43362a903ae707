"""Synthetic speech with exact word times, through Debian's espeak-ng.

The library is called directly (``libespeak-ng``), because it reports where in the sound each word begins; the command line tool does not.
Speaking takes about a hundredth of the time of the speech. Only making the model and the examples needs espeak-ng; the app does not.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import io
import json
import math
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from encoder.training.phrases import random_passage
from extractors.arrays import load_arrays
from extractors.errors import SpeechError
from extractors.transcript import Word

SAMPLE_RATE = 16000
VOICES = (
    "en-us", "en-us+f3", "en-us+m3", "en-us+f2", "en-us+m7", "en-us+klatt2", "en-us+f4", "en", "en+f1", "en+m2", "en+f5",
    "en-gb-scotland", "en-gb-x-rp", "en-gb-x-rp+f2", "en-gb-x-gbclan+m4", "en-us+m1", "en-us-nyc", "en-029+f3",
)  # fmt: skip
"""Voices of espeak-ng with the variants that sound natural enough."""

_LIST_TERMINATED, _WORD, _END = 0, 1, 5
_RATE, _PITCH, _RANGE, _WORD_GAP = 1, 3, 4, 7


@dataclass(frozen=True)
class Request:
    """What to say and how.

    Attributes
    ----------
    text : str
        Plain text; words are what stands between spaces.
    voice : str
        Name of a voice of espeak-ng, with a variant behind ``+`` if wanted.
    words_per_minute : int
        80 to 450.
    pitch, pitch_range : int
        0 to 100, 50 is the voice's own.
    word_gap_ms : int
        Additional pause between words.
    """

    text: str
    voice: str = "en-us"
    words_per_minute: int = 165
    pitch: int = 50
    pitch_range: int = 50
    word_gap_ms: int = 0


@dataclass(frozen=True, eq=False)
class Spoken:
    """Speech: float32 samples [n] at 16 kHz, its words with times from its beginning, the text and the voice."""

    samples: np.ndarray
    words: tuple[Word, ...]
    text: str
    voice: str

    @property
    def seconds(self) -> float:
        """Duration."""
        return len(self.samples) / SAMPLE_RATE


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class _Speaker:
    """The library, started once in a process of its own."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("espeak-ng")
        if name is None:
            raise SpeechError(
                "no_espeak",
                "The speech synthesiser espeak-ng is not installed; it is needed to make the model and the examples.",
                "Install it: apt-get install espeak-ng, or brew install espeak-ng.",
            )
        self.library = ctypes.CDLL(name)
        synchronous_without_playing, never_exit = 2, 0x8000
        self.rate = self.library.espeak_Initialize(synchronous_without_playing, 0, None, never_exit)
        if self.rate <= 0:
            raise SpeechError("no_espeak", "espeak-ng does not start: its voice data is missing.", "Install espeak-ng-data again.")
        self.chunks: list[bytes] = []
        self.marks: list[tuple[int, int, int]] = []
        self.callback = _CALLBACK(self._receive)  # kept: ctypes does not hold a reference
        self.library.espeak_SetSynthCallback(self.callback)

    def _receive(self, samples, count, events) -> int:
        if samples and count:
            self.chunks.append(ctypes.string_at(samples, 2 * count))
        index = 0
        while events[index].type != _LIST_TERMINATED:
            event = events[index]
            if event.type in (_WORD, _END):
                self.marks.append((event.type, event.text_position - 1, event.sample))
            index += 1
        return 0

    def speak(self, request: Request) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
        """int16 samples at the library's rate and its marks (type, character, sample)."""
        self.chunks, self.marks = [], []
        if self.library.espeak_SetVoiceByName(request.voice.encode()) != 0:
            raise SpeechError("no_voice", f"espeak-ng has no voice {request.voice!r}.", "espeak-ng --voices=en lists the voices that are installed.")
        settings = {_RATE: request.words_per_minute, _PITCH: request.pitch, _RANGE: request.pitch_range, _WORD_GAP: request.word_gap_ms // 10}
        for parameter, value in settings.items():
            self.library.espeak_SetParameter(parameter, value, 0)
        encoded, utf8 = request.text.encode(), 1
        self.library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, utf8, None, None)
        return np.frombuffer(b"".join(self.chunks), np.int16), self.marks


def say_all(requests: Sequence[Request]) -> list[Spoken]:
    """Speak several texts, in one fresh child process, so that the same list always gives the same samples.

    The library's noise and phase run on from one text to the next and cannot be reset, which is why it does not live in this process.

    Parameters
    ----------
    requests : sequence of Request

    Returns
    -------
    list of Spoken
        16 kHz samples (peak about 0.5 to 1) and one :class:`extractors.transcript.Word` per spoken word, punctuation kept, times as
        espeak-ng reports them; a word ends where the next begins, or earlier where the sound falls silent.

    Raises
    ------
    SpeechError
        Without espeak-ng, or with a voice that it does not have.
    """
    from scipy.signal import resample_poly

    order = json.dumps([asdict(request) for request in requests]).encode()
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-m", __spec__.name], input=order, capture_output=True, cwd=root, check=False)
    if done.returncode != 0:
        try:
            raise SpeechError(*json.loads(done.stderr))
        except ValueError:
            raise SpeechError("espeak_failed", "The speech synthesiser espeak-ng stopped.", "Try espeak-ng by hand on a short text.") from None
    result = load_arrays(io.BytesIO(done.stdout))
    rate = int(result["rate"])
    divisor = math.gcd(SAMPLE_RATE, rate)
    spoken = []
    for index, request in enumerate(requests):
        raw = result[f"samples{index}"].astype(np.float32) / 32768
        samples = resample_poly(raw, SAMPLE_RATE // divisor, rate // divisor).astype(np.float32)
        spoken.append(Spoken(samples, _words(request.text, result[f"marks{index}"].tolist(), samples, rate), request.text, request.voice))
    return spoken


def say(text: str, **how) -> Spoken:
    """Speak one text; ``how`` are the fields of :class:`Request`. Many texts go faster through :func:`say_all`."""
    return say_all([Request(text, **how)])[0]


def _words(text: str, marks: list[list[int]], samples: np.ndarray, rate: int) -> tuple[Word, ...]:
    """Words of ``text`` with times from the marks (type, character, sample).

    What espeak-ng splits ("hadn't") is joined again; what it speaks as one ("there was", "in the") is divided by letters.
    """
    tokens = [(match.end(), match[0]) for match in re.finditer(r"\S+", text)]
    begins = [sample / rate for _, _, sample in marks]
    ends = [*begins[1:], len(samples) / SAMPLE_RATE]
    loud = _loud(samples)
    spans: dict[int, list[float]] = {}
    for (kind, character, _), begin, end in zip(marks, begins, ends, strict=True):
        token = next((index for index, (stop, _) in enumerate(tokens) if stop > character), None)
        # at the end of a clause the library marks its beginning once more; words only ever advance
        if kind != _WORD or token is None or (spans and token < max(spans)):
            continue
        sounding = np.flatnonzero(loud[int(begin * 100) : max(int(begin * 100) + 1, int(end * 100))])
        if len(sounding):
            end = min(end, begin + float(sounding[-1] + 1) / 100)
        spans.setdefault(token, [begin, end])[1] = end
    words = []
    marked = sorted(spans)
    for token, following in zip(marked, [*marked[1:], len(tokens)], strict=True):
        at, end = spans[token]
        spoken_as_one = [written for _, written in tokens[token:following]]
        per_letter = (end - at) / sum(map(len, spoken_as_one))
        for written in spoken_as_one:
            words.append(Word(written, round(at, 3), round(max(per_letter * len(written), 0.02), 3)))
            at += per_letter * len(written)
    return tuple(words)


def _loud(samples: np.ndarray) -> np.ndarray:
    """Per 10 ms: whether there is sound (over -46 dB of the peak)."""
    step = SAMPLE_RATE // 100
    frames = np.abs(samples[: len(samples) // step * step].reshape(-1, step)).max(axis=1)
    return frames > 0.005 * max(float(frames.max(initial=0)), 1e-6)


def speech_pool(rng: np.random.Generator, count: int) -> list[Spoken]:
    """``count`` passages of one to three random sentences in random voices, speeds and pitches: what training clips are spoken from."""
    return say_all(
        [
            Request(
                text=random_passage(rng, int(rng.integers(1, 4))),
                voice=str(rng.choice(VOICES)),
                words_per_minute=int(rng.integers(120, 231)),
                pitch=int(rng.integers(25, 76)),
                pitch_range=int(rng.integers(30, 81)),
                word_gap_ms=int(rng.choice([0, 0, 0, 20, 60])),
            )
            for _ in range(count)
        ]
    )


def talk(rng: np.random.Generator, pool: list[Spoken], seconds: float, *, mean_pause: float = 1.0) -> tuple[np.ndarray, tuple[Word, ...]]:
    """Passages from ``pool`` one after another with pauses between.

    Parameters
    ----------
    rng : numpy.random.Generator
    pool : list of Spoken
    seconds : float
        Length of the track.
    mean_pause : float
        Mean of the exponentially distributed pauses, in seconds.

    Returns
    -------
    samples : numpy.ndarray, float32 [round(seconds * 16000)]
    words : tuple of Word
        In order of onset, with times from the track's beginning. A passage that does not fit is left out.
    """
    samples = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    words: list[Word] = []
    at = rng.exponential(mean_pause)
    while at < seconds:
        spoken = pool[int(rng.integers(len(pool)))]
        start = round(at * SAMPLE_RATE)
        if start + len(spoken.samples) <= len(samples):
            samples[start : start + len(spoken.samples)] += spoken.samples
            words += [Word(word.text, start / SAMPLE_RATE + word.onset, word.duration) for word in spoken.words]
        at += spoken.seconds + rng.exponential(mean_pause)
    return samples, tuple(words)


def _serve() -> int:
    """The child process: requests as JSON on standard input, an npz on standard output, an error as JSON on standard error."""
    try:
        speaker = _Speaker()
        arrays: dict[str, np.ndarray] = {"rate": np.array(speaker.rate)}
        for index, fields in enumerate(json.load(sys.stdin)):
            arrays[f"samples{index}"], marks = speaker.speak(Request(**fields))
            arrays[f"marks{index}"] = np.array(marks, np.int64).reshape(-1, 3)
    except SpeechError as error:
        json.dump([error.code, error.message, error.hint], sys.stderr)
        return 1
    np.savez(sys.stdout.buffer, **arrays)
    return 0


if __name__ == "__main__":
    sys.exit(_serve())
