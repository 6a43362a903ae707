"""Sounds for the tests of speech: what packages carry, what numpy makes, and the project's own two sentences."""

from hashlib import sha256
from pathlib import Path

import numpy as np

from extractors.clip import Clip
from extractors.grid import n_trs

RATE = 16_000
DATA = Path(__file__).resolve().parent.parent / "data" / "speech"
SENTENCES = ((1.0, 5.7), (6.45, 10.44))
"""Start and end in seconds of the two sentences of ``two_sentences.ogg``."""


def sound(path) -> np.ndarray:
    from faster_whisper.audio import decode_audio

    return decode_audio(str(path))


def gradio_sound(name: str) -> np.ndarray:
    import gradio

    return sound(Path(gradio.__file__).parent / "media_assets" / "audio" / name)


def two_sentences() -> tuple[np.ndarray, list[str]]:
    return sound(DATA / "two_sentences.ogg"), (DATA / "two_sentences.txt").read_text().splitlines()


def clip_of(samples: np.ndarray, folder: Path) -> Clip:
    samples = np.asarray(samples, dtype=np.float32)
    key = sha256(samples.tobytes()).hexdigest()
    path = folder / f"{key[:16]}.npy"
    np.save(path, samples)
    duration = len(samples) / RATE
    return Clip(path, path, key, None, key, "sound.wav", duration, n_trs(duration), None, 0, 0)


def speeds(samples: np.ndarray, factors) -> list[np.ndarray]:
    """The sound played faster or slower, which also moves its pitch."""
    at = [np.arange(int(len(samples) / factor)) * factor for factor in factors]
    return [np.interp(times, np.arange(len(samples)), samples).astype(np.float32) for times in at]


def word_error_rate(said: list[str], heard: list[str]) -> float:
    """Levenshtein distance in words over the number of words said."""
    row = list(range(len(heard) + 1))
    for i, a in enumerate(said, 1):
        left, row[0] = row[0], i
        for j, b in enumerate(heard, 1):
            left, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, left + (a != b))
    return row[-1] / len(said)
