"""Natural films: real shots, speech and music cut together, on which recovery is measured although no training ever saw their like.

Six films of 90 s are assembled from :mod:`experiments.natural_material`. Nothing in them comes from the generator of the training clips: the
pictures are films and photographs, the speech is human. There is little of such material in public packages, so a shot returns in other crops,
mirrored, slower or darker, and photographs are filmed with a slow camera; every cut is fixed by the film's seed.

``python -m experiments.natural_films FOLDER`` writes them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments import natural_material as material
from experiments.write_film import write_film
from extractors.grid import n_trs
from extractors.tr_table import table_from_words
from extractors.transcript import Transcript, Word

SECONDS = 90.0
SIZE = (180, 320)
FPS = 25
SAMPLE_RATE = material.SAMPLE_RATE


@dataclass(frozen=True)
class Cue:
    """A piece of sound: ``name`` from ``start`` to ``end`` (seconds in the piece, None: all), heard at ``at``, with ``gain`` in dB."""

    name: str
    at: float
    start: float = 0.0
    end: float | None = None
    gain: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """One film: its title, which pictures it cuts between, its mean shot length in seconds, its sound, and how long it is in seconds."""

    id: str
    title: str
    pictures: tuple[str, ...]
    mean_shot: float
    cues: tuple[Cue, ...]
    seconds: float = SECONDS


@dataclass(frozen=True)
class NaturalFilm:
    """An assembled film.

    Attributes
    ----------
    path : pathlib.Path
        mp4, H.264 with AAC.
    title : str
    sources : tuple of str
        What it is made of, with licence notes, for the card.
    transcript : Transcript or None
        The known words; None would stand for a film whose text nobody has written down.
    """

    path: Path
    title: str
    sources: tuple[str, ...]
    transcript: Transcript | None


RECIPES = (
    Recipe(
        "by-car",
        "By car",
        ("carphone", "bikes", "carphone", "tower"),
        4.5,
        (Cue("phone", 4, 6.5), Cue("saxophone", 30, gain=-9), Cue("never free", 49), Cue("phone", 58, 14.3, 28.5), Cue("cantina", 78, gain=-6)),
    ),
    Recipe(
        "sonnet",
        "A sonnet",
        ("flower", "earth", "pavilion", "lion"),
        7.0,
        (Cue("sonnet", 3, 2.6), Cue("saxophone", 57, gain=-14), Cue("sonnet", 71, 2.6, 14.5, gain=-6)),
    ),
    Recipe(
        "sense",
        "Sense and sensibility",
        ("bunny", "pavilion", "carphone", "flower", "bunny"),
        3.5,
        (
            Cue("austen 0870", 2),
            Cue("austen 0880", 12),
            Cue("austen 0890", 17),
            Cue("saxophone", 25, 0, 12, gain=-12),
            Cue("austen 0920", 40),
            Cue("austen 0930", 47),
            Cue("cantina", 54, gain=-3),
            Cue("austen 0870", 60, gain=-8),
            Cue("austen 0890", 70, gain=3),
            Cue("austen 0880", 80),
        ),
    ),
    Recipe(
        "in-the-street",
        "In the street",
        ("bikes", "bikes", "tower", "bunny", "thanks"),
        2.5,
        (
            Cue("cantina", 1),
            Cue("cantina", 4),
            Cue("never free", 12),
            Cue("saxophone", 20, gain=-3),
            Cue("cards 005", 38),
            Cue("cards 001", 44),
            Cue("cantina", 50),
            Cue("cantina", 53),
            Cue("cantina", 56),
            Cue("phone", 64, 17.7, 28.5),
            Cue("saxophone", 74, 3, 14, gain=-8),
        ),
    ),
    Recipe(
        "card-game",
        "A game of cards in the wild",
        ("cheetah", "lion", "bunny", "cheetah face", "bikes"),
        4.0,
        (
            Cue("cards 001", 3),
            Cue("cards 002", 7),
            Cue("saxophone", 8, gain=-18),
            Cue("cards 003", 13),
            Cue("cards 004", 19),
            Cue("cards 005", 25),
            Cue("austen 0920", 36),
            Cue("sonnet", 46, 25.4, 43.7),
            Cue("cards 005", 68),
            Cue("cards 002", 75),
            Cue("cantina", 80, gain=-12),
        ),
    ),
    Recipe(
        "night-and-day",
        "Night and day",
        ("earth", "bikes", "flower", "carphone", "bunny", "tower"),
        5.5,
        (Cue("saxophone", 2, gain=-6), Cue("sonnet", 20, 14.4, 36.6), Cue("austen 0930", 47), Cue("phone", 52, 6.5, 20.2), Cue("sonnet", 68, 36.5)),
    ),
)


def build_natural_films(folder: Path | str, recipes: tuple[Recipe, ...] = RECIPES, *, only: str | None = None) -> list[NaturalFilm]:
    """Assemble all films into ``folder``; the same material gives the same films.

    Parameters
    ----------
    folder : path
        Made when missing; films that lie there already are replaced.
    recipes : tuple of Recipe
    only : str, optional
        Id of the one film to make, the same as among all.

    Returns
    -------
    list of NaturalFilm

    Raises
    ------
    MediaError
        Names the piece and the package when material is missing; nothing is skipped.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    numbered = [(seed, recipe) for seed, recipe in enumerate(recipes) if only in (None, recipe.id)]
    for _, recipe in numbered:  # all of it before the first film is made
        for name in _names(recipe):
            material.locate(name)
    return [_build(recipe, folder, seed) for seed, recipe in numbered]


def _names(recipe: Recipe) -> list[str]:
    return sorted({*recipe.pictures, *(cue.name for cue in recipe.cues)})


def _build(recipe: Recipe, folder: Path, seed: int) -> NaturalFilm:
    samples, words = _soundtrack(recipe)
    path = folder / f"{recipe.id}.mp4"
    write_film(path, _shots(recipe, np.random.default_rng([seed, 61])), samples, size=SIZE, fps=FPS)
    transcript = table_from_words(words, n_trs(recipe.seconds), source="known words", timing="given", language="en")
    sources = tuple(sorted({material.SOURCES[name].note for name in _names(recipe)}))
    return NaturalFilm(path, recipe.title, sources, transcript)


def _soundtrack(recipe: Recipe) -> tuple[np.ndarray, list[Word]]:
    """Samples float32 [n] at 16 kHz and the words in them, over a trace of room noise as recordings have."""
    track = np.random.default_rng(7).normal(0, 4e-4, round(recipe.seconds * SAMPLE_RATE)).astype(np.float32)
    said = []
    for cue in recipe.cues:
        samples = material.sound(cue.name)
        end = min(cue.end or np.inf, len(samples) / SAMPLE_RATE, cue.start + recipe.seconds - cue.at)
        piece = samples[round(cue.start * SAMPLE_RATE) : round(end * SAMPLE_RATE)].copy()
        ramp = np.linspace(0, 1, SAMPLE_RATE // 20, dtype=np.float32)
        piece[: len(ramp)] *= ramp
        piece[-len(ramp) :] *= ramp[::-1]
        first = round(cue.at * SAMPLE_RATE)
        track[first : first + len(piece)] += piece * np.float32(10 ** (cue.gain / 20))
        said += [
            Word(word.text, word.onset - cue.start + cue.at, word.duration)
            for word in material.words(cue.name)
            if word.onset >= cue.start - 0.05 and word.offset <= end + 0.05
        ]
    return np.clip(track, -1, 1), sorted(said, key=lambda word: word.onset)


def _shots(recipe: Recipe, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """All frames of a film, uint8 [180, 320, 3]."""
    stock = {name: material.pictures(name, SIZE) for name in set(recipe.pictures)}
    left, number = round(recipe.seconds * FPS), int(rng.integers(len(recipe.pictures)))
    while left > 0:
        length = min(left, round(FPS * float(np.clip(recipe.mean_shot * rng.lognormal(-0.1, 0.5), 0.8, 14))))
        if left - length < FPS:
            length = left
        yield from _shot(*stock[recipe.pictures[number % len(recipe.pictures)]], length, rng)
        left -= length
        number += 1 if rng.random() < 0.8 else 2


def _shot(frames: list[np.ndarray], rate: float, length: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """One shot of ``length`` frames: a stretch of a film, or a photograph seen by a slow camera; sometimes mirrored or darker."""
    from PIL import Image

    height, width = SIZE
    still = len(frames) == 1
    first = 0 if still else int(rng.integers(max(1, len(frames) // 2)))
    speed = rate / FPS * rng.choice([1.0, 1.0, 0.7])
    zooms = rng.uniform(1.0, 1.9, 2) if still else np.full(2, rng.choice([1.0, 1.0, 1.3, 1.7]))
    places = rng.random((2, 2)) if still else np.tile(rng.random(2), (2, 1))
    mirrored, light = rng.random() < 0.4, rng.choice([1.0, 1.0, 0.7])
    for k in range(length):
        way = k / max(1, length - 1)
        zoom, (y, x) = (1 - way) * zooms[0] + way * zooms[1], (1 - way) * places[0] + way * places[1]
        # a film that is too short for its shot runs back and forth
        step = int(first + k * speed) % max(1, 2 * len(frames) - 2)
        picture = Image.fromarray(frames[step if step < len(frames) else 2 * len(frames) - 2 - step])
        top, left = y * height * (1 - 1 / zoom), x * width * (1 - 1 / zoom)
        if zoom > 1:
            picture = picture.resize((width, height), Image.Resampling.BILINEAR, box=(left, top, left + width / zoom, top + height / zoom))
        frame = np.asarray(picture)
        frame = frame[:, ::-1] if mirrored else frame
        yield np.ascontiguousarray(frame if light == 1 else (frame * light).astype(np.uint8))


def main() -> int:
    """Write the films and say what they are."""
    for film in build_natural_films(Path(sys.argv[1])):
        print(f"{film.path.name}: {film.title}, {film.transcript.n_trs} TRs, {len(film.transcript.words)} words")
        for source in film.sources:
            print(f"  {source}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
