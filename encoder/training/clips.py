"""Random training clips: films put together from generated shots, speech, music and noise, fixed by their seed.

Natural film is broader than anything that is drawn here, so the range is wide on purpose: shots from half a second to half a minute, from black to
bright, pans, objects, faces, stills, gratings; sound from digital silence to full level, with speech over music over noise, and stretches in
which picture or sound go away. What a recogniser hears differs from what is said: words are missed, mistaken and misplaced.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from encoder.training.measure import Measured, measure
from encoder.training.scenes import Shot, flashing, frames, grey_field, random_shots
from encoder.training.sounds import random_sound
from encoder.training.speaking import Spoken, talk
from extractors.grid import TR
from extractors.transcript import Transcript, Word

SIZE = (54, 96)
FPS = 12
RATE = 16000
LENGTHS = (60, 90, 120, 180)
"""Seconds a clip may last."""
LATERAL = ("one-sided", "things", "grey", "still")
"""Families of the clips in which the two halves of the picture go their own ways: in most films they rise and fall together."""


@dataclass(frozen=True, eq=False)
class GeneratedClip:
    """A film in pieces: shots, 16 kHz samples, the words that are said and those that are heard by a recogniser (None: run without words)."""

    name: str
    n_trs: int
    shots: list[Shot] | None
    samples: np.ndarray | None
    words: tuple[Word, ...]
    transcript: Transcript | None

    def frames(self) -> Iterator[tuple[float, np.ndarray]] | None:
        """Time and uint8 picture [54, 96, 3], 12 a second; None without picture."""
        return None if self.shots is None else frames(self.shots, FPS)

    def measure(self) -> Measured:
        """Streams and truth."""
        return measure(self.name, self.n_trs, frames=self.frames(), samples=self.samples, words=self.words, transcript=self.transcript)


def random_clip(seed: int, pool: list[Spoken], *, seconds: float | None = None) -> GeneratedClip:
    """One training clip.

    Parameters
    ----------
    seed : int
        Fixes everything but the speech pool.
    pool : list of Spoken
        See :func:`encoder.training.speaking.speech_pool`.
    seconds : float, optional
        Drawn from ``LENGTHS`` when not given.
    """
    from extractors.tr_table import table_from_words

    rng = np.random.default_rng([seed, 771])
    n_trs = int((seconds or rng.choice(LENGTHS)) / TR)
    duration = n_trs * TR
    kind = str(rng.choice(["film", "silent", "dark", "unseen", "unheard"], p=[0.72, 0.06, 0.08, 0.07, 0.07]))
    shots = None if kind == "unseen" else _pictures(rng, duration, blank=kind == "dark")
    samples, words = (None, ()) if kind == "unheard" else _soundtrack(rng, pool, duration, silent=kind == "silent")
    heard = misheard(rng, words) if rng.random() < 0.6 else words
    transcript = table_from_words(heard, n_trs, source="generated", timing="recognised", language="en")
    return GeneratedClip(f"clip-{seed:05d}", n_trs, shots, samples, words, transcript)


def _pictures(rng: np.random.Generator, duration: float, *, blank: bool) -> list[Shot]:
    """Shots that fill the clip, some of them turned into blank screens that last a while."""
    if blank:
        level = rng.choice([0.0, 0.5, rng.random()])
        scene = grey_field(rng, SIZE, level=float(level))
        for _ in range(int(rng.poisson(2))):
            scene = flashing(scene, at=rng.uniform(0, duration), seconds=rng.uniform(0.08, 2), level=float(rng.random()))
        return [Shot(0.0, duration, "blank", scene)]
    families = LATERAL if rng.random() < 0.15 else None
    shots = random_shots(rng, duration, SIZE, mean_shot=float(np.exp(rng.uniform(np.log(1.2), np.log(25)))), families=families)
    if rng.random() < 0.2:  # blocks without picture
        level = float(rng.choice([0.0, 0.5, 0.5, rng.random()]))
        gone = _blocks(rng, duration)
        shots = [
            Shot(shot.start, shot.end, "blank", grey_field(rng, SIZE, level=level)) if gone(0.5 * (shot.start + shot.end)) else shot for shot in shots
        ]
    return shots


def _blocks(rng: np.random.Generator, duration: float):
    """A switch that is on for stretches of 5 to 40 s: seconds -> bool."""
    edges = np.cumsum(rng.uniform(5, 40, size=int(duration / 5) + 2))
    return lambda t: bool(np.searchsorted(edges, t) % 2)


def _soundtrack(rng: np.random.Generator, pool: list[Spoken], duration: float, *, silent: bool) -> tuple[np.ndarray, tuple[Word, ...]]:
    """Samples float32 [n] and the words said in them."""
    length = round(duration * RATE)
    if silent:
        return np.zeros(length, np.float32), ()
    track = np.zeros(length, np.float32)
    words: tuple[Word, ...] = ()
    if rng.random() < 0.8:
        speech, words = talk(rng, pool, duration, mean_pause=float(np.exp(rng.uniform(np.log(0.25), np.log(6)))))
        if rng.random() < 0.4:  # stretches in which nobody speaks
            gone = _blocks(rng, duration)
            keep = tuple(word for word in words if not gone(word.onset))
            mask = np.zeros(length, np.float32)
            for word in keep:
                mask[round((word.onset - 0.02) * RATE) : round((word.offset + 0.02) * RATE)] = 1
            speech, words = speech * mask[: len(speech)], keep
        track += _at_level(speech, rng.uniform(-34, -12))
    if rng.random() < 0.75 or not words:  # a bed of music, noise and effects
        bed, at = np.zeros(length, np.float32), 0
        while at < length:
            seconds = float(np.exp(rng.uniform(np.log(3), np.log(60))))
            piece = random_sound(rng, seconds)[: length - at] if rng.random() < 0.8 else np.zeros(min(length - at, round(seconds * RATE)), np.float32)
            bed[at : at + len(piece)] += _at_level(piece, rng.uniform(-55, -22) if words else rng.uniform(-45, -10))
            at += max(len(piece), RATE)
        track += bed
    if rng.random() < 0.2:
        track += np.float32(10 ** (rng.uniform(-75, -50) / 20)) * rng.standard_normal(length, dtype=np.float32)  # hiss
    if rng.random() < 0.15:
        gone = _blocks(rng, duration)
        for second in range(int(duration) + 1):
            if gone(second):
                track[second * RATE : (second + 1) * RATE] = 0
        words = tuple(word for word in words if not gone(int(word.onset)) and not gone(int(word.offset)))
    return np.clip(track, -1, 1), words


def _at_level(samples: np.ndarray, decibels: float) -> np.ndarray:
    """Scaled so that its loud half has this level re full scale."""
    power = np.square(samples)
    loud = power[power > power.mean()]
    return samples * np.float32(10 ** (decibels / 20) / np.sqrt(loud.mean())) if loud.size else samples


def misheard(rng: np.random.Generator, words: tuple[Word, ...]) -> tuple[Word, ...]:
    """What a recogniser makes of words: some missed, some taken for others, times off by tens of milliseconds."""
    rate = rng.choice([0.05, 0.15, 0.3, 0.5])
    heard = []
    for word in words:
        fate = rng.random()
        if fate < rate * 0.35:
            continue
        text = words[int(rng.integers(len(words)))].text if fate < rate else word.text
        heard.append(Word(text, max(0.0, word.onset + rng.normal(0, 0.03)), max(0.03, word.duration * rng.uniform(0.8, 1.2))))
    return tuple(sorted(heard, key=lambda word: word.onset))
