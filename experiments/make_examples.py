"""The three examples that come with the program: clips that it draws, composes and speaks itself, and their finished results.

``python -m experiments.make_examples`` renders the clips (espeak-ng is needed for the voice) and runs the embedded model on them;
``python -m experiments.make_examples results`` keeps the clips and runs the model again; ``clips`` renders only.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.example_canvas import CREAM, HEIGHT, INK, WIDTH, Canvas, between, faded, title_card
from experiments.example_landscape import LIGHTS, landscape
from experiments.example_motion import looming, poster, wheels
from experiments.example_music import SAMPLE_RATE, softened, tune
from experiments.example_night import lighthouse
from experiments.examples import EXAMPLES
from experiments.write_film import write_film
from extractors.formats import read_transcript, write_transcript
from extractors.grid import n_trs
from extractors.tr_table import table_from_words
from extractors.transcript import Word

FPS = 25
FADE_S = 0.5


@dataclass(frozen=True)
class Block:
    """One stretch of an example: what happens from ``start`` to ``end`` (seconds of film)."""

    kind: str
    start: float
    end: float


def _blocks(*parts: tuple[str, float]) -> tuple[Block, ...]:
    """Blocks one after another from their kinds and lengths."""
    blocks, at = [], 0.0
    for kind, seconds in parts:
        blocks.append(Block(kind, at, at + seconds))
        at += seconds
    return tuple(blocks)


EYES_AND_EARS = _blocks(
    ("title", 4), ("picture", 11), ("sound", 11), ("both", 11), ("picture", 11), ("sound", 11), ("picture", 11), ("both", 10), ("rest", 3)
)
THINGS_THAT_MOVE = _blocks(
    ("title", 4), ("looming", 8), ("cuts", 7), ("left", 11), ("right", 11), ("left", 11), ("right", 11), ("looming", 6), ("rest", 4)
)
STORY = (
    (
        3.0,
        "There was once a keeper who lived alone in a lighthouse, at the edge of a cold sea. "
        "Every evening she climbed one hundred and twelve steps, and lit the lamp. "
        "One night in winter the wind fell, and the whole ocean became as quiet as a room. "
        "Then she heard a voice in the water. It was slow, and very deep, and it seemed to be asking a question. "
        "She opened the window, and held her breath, and listened.",
    ),
    (
        44.0,
        "It was a whale, old and grey, and lost in the dark. "
        "The keeper had no words for a whale. So she turned the lamp three times, as we wave to a friend. "
        "The whale lifted its tail, and answered. "
        "All night long the light turned, and the whale followed it, past the rocks and out to the open sea. "
        "And every winter since then, on the first quiet evening, somebody sings below the lighthouse.",
    ),
)
STORY_SECONDS = 84.0
VOICE = {"voice": "en-gb-x-rp", "words_per_minute": 148, "pitch": 42, "pitch_range": 62}


@dataclass(frozen=True)
class Plan:
    """One example: its texts, which curves it opens with, x264's rate factor, and how it is rendered (frames, 32 kHz samples, words)."""

    id: str
    title: str
    caption: str
    opens_with: tuple[str, ...]
    seconds: float
    quality: int
    render: Callable[[], tuple[Iterator[np.ndarray], np.ndarray, list[Word]]]


def _times(seconds: float) -> Iterator[float]:
    return (index / FPS for index in range(round(seconds * FPS)))


def _block_at(blocks: tuple[Block, ...], time: float) -> tuple[int, Block]:
    return next((number, block) for number, block in enumerate(blocks) if time < block.end - 1e-9)


def _light(block: Block, time: float) -> float:
    """Share of a block's light at a time: it fades in and out; the very first frame shows the title, for whoever has not pressed play."""
    since = time - block.start if block.start > 0 else FADE_S
    return float(np.clip(min(since, block.end - time) / FADE_S, 0, 1))


def _eyes_and_ears() -> tuple[Iterator[np.ndarray], np.ndarray, list[Word]]:
    blocks = EYES_AND_EARS
    title = title_card("Eyes and ears", "what is seen, what is heard, and both together")
    dark = _listening()

    def frames() -> Iterator[np.ndarray]:
        for time in _times(blocks[-1].end):
            number, block = _block_at(blocks, time)
            light = _light(block, time)
            if block.kind == "title":
                yield faded(title, light)
            elif block.kind in ("picture", "both"):
                canvas = landscape(time - block.start, LIGHTS[sum(b.kind in ("picture", "both") for b in blocks[:number]) % len(LIGHTS)])
                _label(canvas, "picture only" if block.kind == "picture" else "picture and sound")
                yield faded(canvas.frame(), light)
            else:
                yield faded(dark, light if block.kind == "sound" else 0.0)

    samples = np.zeros(round(blocks[-1].end * SAMPLE_RATE), np.float32)
    for number, block in enumerate(block for block in blocks if block.kind in ("sound", "both")):
        music = tune(block.end - block.start, first_bar=4 * number)
        start = round(block.start * SAMPLE_RATE)
        samples[start : start + len(music)] = music
    return frames(), samples, []


def _listening() -> np.ndarray:
    """The still, dark picture of the blocks with sound only."""
    canvas = Canvas(INK)
    for ring in range(4):
        canvas.ring(WIDTH / 2, HEIGHT / 2, 26 + 22 * ring, 2.5, between(INK, CREAM, 0.32 - 0.07 * ring))
    canvas.disc(WIDTH / 2, HEIGHT / 2, 9, between(INK, CREAM, 0.4))
    _label(canvas, "sound only")
    return canvas.frame()


def _label(canvas: Canvas, words: str) -> None:
    """A small plate in the lower left corner."""
    wide = 9.2 * len(words) + 26
    canvas.bar(18, 318, 18 + wide, 344, INK, rounding=13)
    canvas.text(18 + wide / 2, 331, words, 15, CREAM)


def _a_story_told() -> tuple[Iterator[np.ndarray], np.ndarray, list[Word]]:
    from encoder.training.speaking import Request, say_all

    picture = lighthouse()
    samples = np.zeros(round(STORY_SECONDS * SAMPLE_RATE), np.float32)
    words: list[Word] = []
    told = say_all([Request(text, **VOICE) for _, text in STORY])
    for (at, _), spoken in zip(STORY, told, strict=True):
        voice, start = softened(spoken.samples, 16000), round(at * SAMPLE_RATE)
        if start + len(voice) > len(samples) - SAMPLE_RATE:
            raise ValueError(f"The part of the story at {at} s is too long for the clip.")
        samples[start : start + len(voice)] += voice
        words += [Word(word.text, at + word.onset, word.duration) for word in spoken.words]
    return (picture for _ in _times(STORY_SECONDS)), samples, words


def _things_that_move() -> tuple[Iterator[np.ndarray], np.ndarray, list[Word]]:
    blocks = THINGS_THAT_MOVE
    title = title_card("Things that move", "keep your eyes on the dot in the middle")
    shot_s = 7 / 9
    posters = [poster(number) for number in range(9)]
    still = wheels(0, moving="none")

    def frames() -> Iterator[np.ndarray]:
        for time in _times(blocks[-1].end):
            _, block = _block_at(blocks, time)
            since = time - block.start
            if block.kind == "title":
                yield faded(title, _light(block, time))
            elif block.kind in ("left", "right"):
                yield wheels(since, moving=block.kind)
            elif block.kind == "looming":
                yield looming(since)
            elif block.kind == "cuts":
                yield posters[min(int(since / shot_s + 1e-6), len(posters) - 1)]
            else:
                yield still

    samples = np.zeros(round(blocks[-1].end * SAMPLE_RATE), np.float32)
    music = tune(blocks[-1].end - 1.0, first_bar=0, seed=4) * np.float32(0.7)
    samples[: len(music)] = music
    return frames(), samples, []


PLANS = (
    Plan(
        "eyes-and-ears",
        "Eyes and ears",
        "Auditory rises in the blocks with sound, Vis in the blocks with a picture: each a few seconds late, as blood is.",
        ("Auditory", "Vis"),
        EYES_AND_EARS[-1].end,
        35,
        _eyes_and_ears,
    ),
    Plan(
        "a-story-told",
        "A story told",
        "The picture never moves. Auditory and temporal language rise while the story is told and sink in the pause in its middle.",
        ("Auditory", "LanguageTemporal"),
        STORY_SECONDS,
        26,
        _a_story_told,
    ),
    Plan(
        "things-that-move",
        "Things that move",
        "What moves on the left drives the right half of Vis, what moves on the right drives the left half.",
        ("Vis-L", "Vis-R"),
        THINGS_THAT_MOVE[-1].end,
        34,
        _things_that_move,
    ),
)


def make_clip(plan: Plan, folder: Path) -> None:
    """Render one example: ``clip.mp4``, ``transcript.tsv`` and ``example.json`` in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    frames, samples, words = plan.render()
    write_film(
        folder / "clip.mp4",
        frames,
        samples,
        size=(HEIGHT, WIDTH),
        fps=FPS,
        sample_rate=SAMPLE_RATE,
        quality=plan.quality,
        preset="slow",
        tune="animation",
        audio_bit_rate=32000,
    )
    table = table_from_words(words, n_trs(plan.seconds), source="known words", timing="given", language="en")
    write_transcript(table, folder / "transcript.tsv", "tsv")
    facts = {"id": plan.id, "title": plan.title, "caption": plan.caption, "opens_with": plan.opens_with, "order": PLANS.index(plan) + 1}
    (folder / "example.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def make_results(plan: Plan, folder: Path) -> None:
    """Run the embedded model on one example with the words that are really said."""
    from dataclasses import replace

    from experiments.predict import predict
    from experiments.results import save_result
    from extractors.stages import last

    words = read_transcript(folder / "transcript.tsv", n_trs(plan.seconds), name="transcript.tsv")
    words = replace(words, source="known words", timing="given", language="en")
    save_result(last(predict(folder / "clip.mp4", transcript=words, name=f"{plan.title}.mp4")), folder)


def main() -> int:
    """``clips``, ``results`` or both; ids of examples confine it to them."""
    wanted = [word for word in sys.argv[1:] if word in ("clips", "results")] or ["clips", "results"]
    for plan in [plan for plan in PLANS if plan.id in sys.argv[1:]] or PLANS:
        folder = EXAMPLES / plan.id
        if "clips" in wanted:
            make_clip(plan, folder)
        if "results" in wanted:
            make_results(plan, folder)
        size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        print(f"{plan.id}: {plan.seconds:.0f} s, {size:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
