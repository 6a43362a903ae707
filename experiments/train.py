"""The job behind ``make model``: generate clips, plant responses, train the embedded model, measure its recovery, write weights and card."""

from __future__ import annotations

import argparse
import ast
import hashlib
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from encoder.training.measure import Measured, measure_rest
from encoder.training.simulate import FAMILIES, SUBJECTS, PlantedSubjects, family_indices
from extractors.arrays import parse_source
from extractors.errors import CineglassError
from extractors.features import Features
from extractors.grid import TR
from extractors.stages import Stage, stage_clock
from settings import ASSETS, get_settings

if TYPE_CHECKING:
    from encoder.frontend import FrontEnd
    from encoder.models.published import PublishedVIBE
    from encoder.training.loop import Example
    from encoder.training.speaking import Spoken

FULL_MINUTES = 25.0
MODEL = ASSETS / "models" / "vibe-sim"
SCALES_FILE = "planted.safetensors"
"""Spreads of the planted subjects over their reference clips; read by the recovery figures, never by a model."""
SEED = 7
STOP_SEED, TEST_SEED = 50_000, 90_000
"""First seeds of the clips that stop the training, and of those that only measure recovery."""
POOL = 400
DROPOUT = 0.2


@dataclass(frozen=True)
class Plan:
    """What a run of ``minutes`` (about that long on one free core) does; everything follows from it, so a run can be repeated."""

    minutes: float = FULL_MINUTES

    @property
    def clip_minutes(self) -> float:
        """Minutes of film to train on."""
        return min(300.0, 12.0 * self.minutes)

    @property
    def test_minutes(self) -> float:
        """Minutes of film that only measure recovery; as much again stops the training."""
        return min(24.0, max(4.0, 0.1 * self.clip_minutes))

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return max(40, int(40 * self.minutes))

    @property
    def natural(self) -> bool:
        """Whether recovery is measured on natural films too; a shorter run only checks that the command works."""
        return self.minutes >= 5


ABSENT = {"picture": 0.2, "sound": 0.2, "words": 0.35}
"""Share of the training clips that are shown a second time with this missing."""


def generated(minutes: float, first_seed: int, work: Path) -> Generator[Stage, None, list[Measured]]:
    """Clips of so many minutes in all, from ``first_seed`` on; measured clips are kept in ``work`` and used again."""
    from encoder.training.clips import random_clip

    folder = work / _version()
    folder.mkdir(parents=True, exist_ok=True)
    pool = None
    clips: list[Measured] = []
    clock, done = stage_clock("clips", minutes), 0.0
    while done < minutes:
        path = folder / f"clip-{first_seed + len(clips):05d}.npz"
        if path.exists():
            clips.append(Measured.load(path))
        else:
            if pool is None:
                yield clock(done, "Speaking the sentences of the training clips.")
                pool = _spoken()
            seed = first_seed + len(clips)
            long = 420.0 if seed % 25 == 10 else None  # long films are rare but must be known
            clips.append(random_clip(seed, pool, seconds=long).measure())
            clips[-1].save(path)
        done += clips[-1].n_trs * TR / 60
        yield clock(min(done, minutes), f"{len(clips)} clips, {done:.0f} of {minutes:.0f} minutes.")
    return clips


@lru_cache(maxsize=1)
def _spoken() -> list[Spoken]:
    """What all clips of a run are spoken from: the same for those that train, stop and measure."""
    from encoder.training.speaking import speech_pool

    return speech_pool(np.random.default_rng(SEED), POOL)


def _version() -> str:
    """Short hash of what decides what a measured clip holds: the generator's code (not its comments) and the extractors' ids."""
    from encoder.training import clips, measure, phrases, scenes, sounds, speaking, textures, truth_features

    said = [repr(sorted(measure.extractor_ids().items()))]
    for module in (clips, measure, phrases, scenes, sounds, speaking, textures, truth_features):
        tree = parse_source(Path(module.__file__).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list):  # without docstrings
                node.body = [item for item in body if not (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant))] or [ast.Pass()]
        said.append(ast.dump(tree))
    return hashlib.sha256("".join(said).encode()).hexdigest()[:12]


def without(clip: Measured, track: str) -> Measured:
    """The clip with its picture or its sound (and so its words) gone, or with speech that nobody understands: it is heard, and says nothing."""
    truth, streams, present = clip.truth.copy(), dict(clip.streams), dict(clip.present)
    gone = {"picture": ("video",), "sound": ("audio", "text"), "words": ("text",)}[track]
    for stream in gone:
        streams[stream], present[stream] = np.zeros_like(streams[stream]), False
    families = family_indices()
    if track == "picture":
        truth[:, families == FAMILIES.index("picture")] = 0
    if track == "sound":
        truth[:, families != FAMILIES.index("picture")] = 0
    if track == "words":
        truth[:, families == FAMILIES.index("words")] = 0
    return Measured(f"{clip.name} without {track}", streams, present, truth)


def variants(clips: Sequence[Measured], seed: int) -> list[Measured]:
    """The clips, and copies of some with a track missing: the states of absence that a model must know."""
    rng = np.random.default_rng(seed)
    out = list(clips)
    for track, share in ABSENT.items():
        out += [without(clip, track) for clip in clips if rng.random() < share]
    return out


def job(*, minutes: float = FULL_MINUTES, out: Path = MODEL, work: Path | None = None, threads: int = 1) -> Generator[Stage | Path, None, None]:
    """Train and write the embedded model: weights, front end, scales of the planted subjects, card.

    Parameters
    ----------
    minutes : float
        About how long, on one free core; the default makes the model that is shipped.
    out : Path
        Folder of the model.
    work : Path, optional
        Where measured clips are kept; ``training`` in the cache folder.
    threads : int
        Of torch; one makes a run repeat to the last bit on one machine.

    Yields
    ------
    Stage, at last the folder.

    Raises
    ------
    SpeechError
        Without espeak-ng.
    MediaError
        When the natural films cannot be assembled.
    """
    import torch

    from encoder.cards import TestClip, write_card
    from encoder.checkpoints import save_pretrained
    from encoder.frontend import FrontEnd
    from encoder.training.loop import Example, Recipe, predict, train
    from experiments.model_card import make_card
    from experiments.recovery import natural_clips, outcome

    began = time.monotonic()
    plan, work = Plan(minutes), work or get_settings().cache_dir / "training"
    torch.set_num_threads(threads)
    fit = yield from generated(plan.clip_minutes, 0, work)
    stop = yield from generated(plan.test_minutes, STOP_SEED, work)
    test = yield from generated(plan.test_minutes, TEST_SEED, work)
    clock = stage_clock("plant", 2)
    yield clock(0, "Planting responses.")
    subjects = PlantedSubjects().fit_scales([clip.truth for clip in fit])
    frontend = FrontEnd.fit([clip.features for clip in fit], rest=measure_rest().features, clip=8.0)

    def example(clip: Measured) -> Example:
        noisy = subjects.signal(clip.truth) + subjects.noise(clip.n_trs, clip.name)
        return Example(clip.name, frontend(clip.features), noisy, np.ones(clip.n_trs, bool))

    shown = variants(fit, SEED)
    examples, held_out = [example(clip) for clip in shown], [example(clip) for clip in variants(stop, SEED + 1)]
    yield clock(1, "Fitting the baseline, delayed ridge.")
    ridge = baseline(shown, examples, frontend)
    yield clock(2, "Responses are planted, the baseline is fitted.")
    trained: Any = None
    recipe = Recipe(steps=plan.steps, threads=threads, seed=SEED)
    torch.manual_seed(SEED)
    for item in train(small_model(frontend), examples, held_out, recipe):
        if isinstance(item, Stage):
            yield item
        else:
            trained = item
    digest = save_pretrained(trained.module, frontend, out)
    subjects.scales.save(out / SCALES_FILE)
    clock = stage_clock("recovery", 3)
    yield clock(0, "Measuring recovery on held-out generated clips.")

    def model(features: Features) -> np.ndarray:
        return predict(trained.module, frontend(features))

    lines = [TestClip(name=clip.name, source="this project's generator, not used in training", n_trs=clip.n_trs) for clip in test]
    reports = [outcome(test, subjects, model, ridge).report(id="generated", label="Held-out generated clips", clips=lines)]
    if plan.natural:
        yield clock(1, "Assembling and measuring the natural films.")
        natural, lines = natural_clips(work / "natural")
        yield clock(2, "Measuring recovery on natural films.")
        reports.append(outcome(natural, subjects, model, ridge).report(id="natural", label="Natural films never seen in training", clips=lines))
    usual = float(np.mean([model(clip.features).std(1).mean() for clip in test]))
    card = make_card(
        recovery=reports,
        digest=digest,
        usual_sd=usual,
        clip_minutes=sum(clip.n_trs for clip in fit) * TR / 60,
        command="make model" if minutes == FULL_MINUTES else f"make model MINUTES={minutes:g}",
        seconds=time.monotonic() - began,
        best_step=trained.best_step,
        seed=SEED,
    )
    write_card(card, out / "card.yaml")
    yield clock(3, "The model, its figures and its card are written.")
    yield out


def baseline(clips: Sequence[Measured], examples: Sequence[Example], frontend: FrontEnd) -> Callable[[Features], np.ndarray]:
    """Delayed ridge on the same streams, clips and responses: Features -> float32 [4, T, 1000]."""
    from encoder.training.ridge import DelayedRidge

    def streams(features: Features) -> np.ndarray:
        return np.concatenate(list(frontend.standardise(features).values()), axis=1)

    ridge = DelayedRidge().fit(
        [streams(clip.features) for clip in clips],
        [one.responses.transpose(1, 0, 2).reshape(one.n_trs, -1) for one in examples],
        [one.valid for one in examples],
    )
    return lambda features: ridge.predict(streams(features)).reshape(features.n_trs, len(SUBJECTS), -1).transpose(1, 0, 2)


def small_model(frontend: FrontEnd) -> PublishedVIBE:
    """An untrained model of the published class at small width, for the streams behind ``frontend``."""
    from encoder.models.published import PublishedVIBE, PublishedVIBEConfig

    sizes = frontend.output_dims
    config = PublishedVIBEConfig(
        modality_fusion_transformer_dim=64,
        predictor_transformer_num_layers=2,
        text_extractor=frontend.extractors["text"],
        text_extractor_feature_size=sizes["text"],
        text_extractor_dtype="float32",
        text_extractor_num_last_hidden_states=1,
        video_extractor=frontend.extractors["video"],
        video_extractor_feature_size=sizes["video"],
        video_extractor_pool_size=1,
        video_extractor_dtype="float32",
        video_extractor_num_last_hidden_states=1,
        audio_extractor_feature_size=sizes["audio"],
    )
    return PublishedVIBE(config, dropout=DROPOUT)


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m experiments.train --minutes 2 --out FOLDER``; one line per step, exit code 1 with one line on a known error."""
    parser = argparse.ArgumentParser(description="Make the embedded model from nothing.")
    parser.add_argument("--minutes", type=float, default=FULL_MINUTES, help="about how long (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=MODEL, help="folder of the model")
    parser.add_argument("--work", type=Path, default=None, help="where measured clips are kept")
    parser.add_argument("--threads", type=int, default=1, help="of torch and of linear algebra (default: %(default)s)")
    given = parser.parse_args(arguments)
    from threadpoolctl import threadpool_limits

    try:
        with threadpool_limits(given.threads):
            for item in job(minutes=given.minutes, out=given.out, work=given.work, threads=given.threads):
                print(f"{item.name}: {item.message}" if isinstance(item, Stage) else f"Written to {item.name}.", flush=True)
    except CineglassError as error:
        print(f"{error} {error.hint}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
