"""The job behind ``make model``: generate clips, plant responses, train the embedded model, measure its recovery, write weights and card."""

from __future__ import annotations

import argparse
import ast
import hashlib
import time
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from encoder.training.measure import Measured, measure_rest
from encoder.training.simulate import FAMILIES, PlantedSubjects, family_indices
from extractors.features import STREAMS
from extractors.stages import Stage, passing_on, stage_clock
from settings import ASSETS, get_settings

FULL_MINUTES = 25.0
MODEL = ASSETS / "models" / "vibe-sim"
SCALES_FILE = "planted.safetensors"
"""Spreads of the planted subjects over their reference clips; read by the recovery figures, never by a model."""
SEED = 7
POOL = 400


@dataclass(frozen=True)
class Plan:
    """What a run of ``minutes`` (about that long on two cores) does; everything follows from it, so a run can be repeated."""

    minutes: float = FULL_MINUTES

    @property
    def clip_minutes(self) -> float:
        """Minutes of film to train on."""
        return min(360.0, 15.0 * self.minutes)

    @property
    def test_minutes(self) -> float:
        """Minutes of film that only measure recovery; as much again stops the training."""
        return min(24.0, max(4.0, 0.1 * self.clip_minutes))

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return max(60, int(160 * self.minutes))


def generated(minutes: float, first_seed: int, work: Path) -> Generator[Stage, None, list[Measured]]:
    """Clips of so many minutes in all, from ``first_seed`` on; measured clips are kept in ``work`` and used again."""
    from encoder.training.clips import random_clip
    from encoder.training.speaking import speech_pool
    from extractors.grid import TR

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
                pool = speech_pool(np.random.default_rng(SEED), POOL)
            seed = first_seed + len(clips)
            long = 420.0 if seed % 25 == 10 else None  # long films are rare but must be known
            clips.append(random_clip(seed, pool, seconds=long).measure())
            clips[-1].save(path)
        done += clips[-1].n_trs * TR / 60
        yield clock(min(done, minutes), f"{len(clips)} clips, {done:.0f} of {minutes:.0f} minutes.")
    return clips


def _version() -> str:
    """Short hash of what decides what a measured clip holds: the generator's code (not its comments) and the extractors' ids."""
    from encoder.training import clips, measure, phrases, scenes, sounds, speaking, textures, truth_features

    said = [repr(sorted(measure.extractor_ids().items()))]
    for module in (clips, measure, phrases, scenes, sounds, speaking, textures, truth_features):
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list):  # without docstrings
                node.body = [item for item in body if not (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant))] or [ast.Pass()]
        said.append(ast.dump(tree))
    return hashlib.sha256("".join(said).encode()).hexdigest()[:12]


def without(clip: Measured, track: str) -> Measured:
    """The clip with its picture or its sound (and so its words) gone, or with nobody to write down its words."""
    truth, streams, present = clip.truth.copy(), dict(clip.streams), dict(clip.present)
    gone = {"picture": ("video",), "sound": ("audio", "text"), "transcript": ("text",)}[track]
    for stream in gone:
        streams[stream], present[stream] = np.zeros_like(streams[stream]), False
    families = family_indices()
    if track == "picture":
        truth[:, families == FAMILIES.index("picture")] = 0
    if track == "sound":
        truth[:, families != FAMILIES.index("picture")] = 0
    return Measured(f"{clip.name} without {track}", streams, present, truth)


def variants(clips: Sequence[Measured], seed: int) -> list[Measured]:
    """The clips, and copies of some with a track missing: the states of absence that a model must know."""
    rng = np.random.default_rng(seed)
    out = list(clips)
    for track in ("picture", "sound", "transcript"):
        out += [without(clip, track) for clip in clips if rng.random() < 0.15]
    return out


def job(
    *, minutes: float = FULL_MINUTES, out: Path = MODEL, work: Path | None = None, threads: int = 2, ridge: bool = True
) -> Generator[Stage | Path, None, None]:
    """Train and write the embedded model.

    Parameters
    ----------
    minutes : float
        About how long, on two cores; the default makes the model that is shipped.
    out : Path
        Folder of the model.
    work : Path, optional
        Where measured clips are kept; ``training`` in the cache folder.
    threads : int
        Of torch.
    ridge : bool
        Whether to fit the baseline.

    Yields
    ------
    Stage, at last the folder.
    """
    import torch

    from encoder.checkpoints import save_pretrained
    from encoder.frontend import FrontEnd
    from encoder.models.published import PublishedVIBE, PublishedVIBEConfig
    from encoder.training.loop import Example, Recipe, predict, train
    from encoder.training.ridge import DelayedRidge
    from experiments.model_card import make_card
    from experiments.recovery import outcome

    began = time.monotonic()
    plan, work = Plan(minutes), work or get_settings().cache_dir / "training"
    torch.set_num_threads(threads)
    fit = yield from generated(plan.clip_minutes, 0, work)
    stop = yield from generated(plan.test_minutes, 50_000, work)
    test = yield from generated(plan.test_minutes, 90_000, work)
    clock = stage_clock("plant", 3)
    yield clock(0, "Planting responses.")
    subjects = PlantedSubjects().fit_scales([clip.truth for clip in fit])
    rest = measure_rest().features
    frontend = FrontEnd.fit([clip.features for clip in fit], rest=rest, clip=8.0)

    def example(clip: Measured) -> Example:
        noisy = subjects.signal(clip.truth) + subjects.noise(clip.n_trs, clip.name)
        return Example(clip.name, frontend(clip.features), noisy, np.ones(clip.n_trs, bool))

    examples, held_out = [example(clip) for clip in variants(fit, SEED)], [example(clip) for clip in variants(stop, SEED + 1)]
    baseline = None
    if ridge:
        yield clock(1, "Fitting the baseline, delayed ridge.")
        flat = lambda features: np.concatenate([frontend.standardise(features)[stream] for stream in STREAMS], axis=1)  # noqa: E731
        known = variants(fit, SEED)
        model = DelayedRidge().fit(
            [flat(clip.features) for clip in known],
            [one.responses.transpose(1, 0, 2).reshape(one.n_trs, -1) for one in examples],
            [one.valid for one in examples],
        )
        baseline = lambda features: model.predict(flat(features)).reshape(features.n_trs, 4, -1).transpose(1, 0, 2)  # noqa: E731
    yield clock(3, "Responses are planted.")
    torch.manual_seed(SEED)
    dims = frontend.output_dims
    config = PublishedVIBEConfig(
        modality_fusion_transformer_dim=64,
        predictor_transformer_num_layers=2,
        text_extractor=frontend.extractors["text"],
        text_extractor_feature_size=dims["text"],
        text_extractor_dtype="float32",
        text_extractor_num_last_hidden_states=1,
        video_extractor=frontend.extractors["video"],
        video_extractor_feature_size=dims["video"],
        video_extractor_pool_size=1,
        video_extractor_dtype="float32",
        video_extractor_num_last_hidden_states=1,
        audio_extractor_feature_size=dims["audio"],
    )
    trained = None
    for item in train(PublishedVIBE(config, dropout=0.05), examples, held_out, Recipe(steps=plan.steps, threads=threads, seed=SEED)):
        if isinstance(item, Stage):
            yield item
        else:
            trained = item
    clock = stage_clock("recovery", 2)
    yield clock(0, "Measuring recovery on held-out generated clips.")
    digest = save_pretrained(trained.module, frontend, out)
    subjects.scales.save(out / SCALES_FILE)

    def model_predict(features):
        return predict(trained.module, frontend(features))

    reports = {"generated": (test, outcome(test, subjects, model_predict, baseline))}
    for card in make_card(reports, plan, trained, digest, began):
        yield card
    yield out


def passing_on_list(stages: Generator[Stage, None, list[Measured]]) -> Generator[Stage, None, list[Measured]]:
    """Yield the stages on, return the clips."""
    return (yield from stages)
