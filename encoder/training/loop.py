"""The training loop of the embedded model: crops of clips, AdamW with a cosine schedule, averaged weights, early stopping.

Receives arrays only: it knows neither how the clips were made nor what responses were planted in them.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from encoder.training.losses import pearson_mse_loss
from extractors.features import STREAMS
from extractors.stages import Stage, stage_clock


@dataclass(frozen=True, eq=False)
class Example:
    """One clip as the model meets it.

    Attributes
    ----------
    name : str
    streams : dict of str to float32 [T, C]
        Behind the front end.
    responses : float32 [S, T, R]
        One row per subject.
    valid : bool [T]
    """

    name: str
    streams: dict[str, np.ndarray]
    responses: np.ndarray
    valid: np.ndarray

    @property
    def n_trs(self) -> int:
        """Rows."""
        return len(self.valid)


@dataclass(frozen=True)
class Recipe:
    """How to train."""

    steps: int
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    warm_up: int = 100
    trs_per_batch: int = 320
    crops: tuple[int, ...] = (40, 60, 80, 120, 160, 320)
    settle_trs: int = 10
    ema_decay: float = 0.995
    mse_weight: float = 1.0
    input_noise: float = 0.05
    check_every: int = 100
    patience: int = 8
    threads: int = 2
    seed: int = 1


@dataclass(frozen=True, eq=False)
class Trained:
    """The best averaged weights, and the validation losses on the way."""

    module: torch.nn.Module
    losses: tuple[float, ...]
    best_step: int
    seconds: float


def train(module: torch.nn.Module, examples: Sequence[Example], held_out: Sequence[Example], recipe: Recipe) -> Iterator[Stage | Trained]:
    """Train a model of the published class.

    A batch is a few crops of equal length, each seen by all subjects at once. Rows at the beginning of a crop that starts inside its clip do not
    count, their past is missing.

    Parameters
    ----------
    module : PublishedVIBE
        Trained in place and thereby spoiled; the result is the averaged copy.
    examples, held_out : sequence of Example
        Early stopping looks at the second.
    recipe : Recipe

    Yields
    ------
    Stage
        At each check.
    Trained
        Last.
    """
    torch.set_num_threads(recipe.threads)
    rng = np.random.default_rng(recipe.seed)
    torch.manual_seed(recipe.seed)
    optimiser = torch.optim.AdamW(module.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, betas=(0.9, 0.98))
    averaged = copy.deepcopy(module).eval()
    clock, began = stage_clock("train", recipe.steps), time.monotonic()
    losses: list[float] = []
    best, best_step, best_weights = math.inf, 0, copy.deepcopy(averaged.state_dict())
    yield clock(0, "Training begins.")
    for step in range(recipe.steps):
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * _schedule(step, recipe)
        module.train()
        streams, subjects, targets, valid = _batch(rng, examples, recipe)
        loss = pearson_mse_loss(module(streams, subjects), targets, valid, mse_weight=recipe.mse_weight)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.step()
        _average(averaged, module, min(recipe.ema_decay, (1 + step) / (10 + step)))
        if (step + 1) % recipe.check_every == 0 or step + 1 == recipe.steps:
            losses.append(validation_loss(averaged, held_out, mse_weight=recipe.mse_weight))
            if losses[-1] < best - 1e-5:
                best, best_step, best_weights = losses[-1], step + 1, copy.deepcopy(averaged.state_dict())
            yield clock(step + 1, f"Step {step + 1} of {recipe.steps}, loss on held-out clips {losses[-1]:.4f}.")
            if step + 1 - best_step >= recipe.patience * recipe.check_every:
                break
    averaged.load_state_dict(best_weights)
    yield Trained(averaged, tuple(losses), best_step, time.monotonic() - began)


@torch.inference_mode()
def predict(module: torch.nn.Module, streams: dict[str, np.ndarray], subjects: int = 4) -> np.ndarray:
    """Responses of all subjects to one clip behind the front end: float32 [S, T, R]."""
    module.eval()
    return module({name: torch.from_numpy(streams[name])[None] for name in STREAMS}, torch.arange(subjects)).numpy()


def validation_loss(module: torch.nn.Module, examples: Sequence[Example], *, mse_weight: float = 1.0) -> float:
    """Mean loss over whole clips."""
    total = 0.0
    for example in examples:
        prediction = torch.from_numpy(predict(module, example.streams, len(example.responses)))
        valid = torch.from_numpy(example.valid)[None].expand(len(prediction), -1)
        total += float(pearson_mse_loss(prediction, torch.from_numpy(example.responses), valid, mse_weight=mse_weight))
    return total / len(examples)


def _schedule(step: int, recipe: Recipe) -> float:
    """Linear warm-up, then half a cosine to 2 % of the rate."""
    if step < recipe.warm_up:
        return (step + 1) / recipe.warm_up
    progress = (step - recipe.warm_up) / max(1, recipe.steps - recipe.warm_up)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))


def _average(averaged: torch.nn.Module, module: torch.nn.Module, decay: float) -> None:
    """Exponential moving average of the weights."""
    with torch.no_grad():
        for slow, fast in zip(averaged.parameters(), module.parameters(), strict=True):
            slow.lerp_(fast, 1 - decay)


def _batch(
    rng: np.random.Generator, examples: Sequence[Example], recipe: Recipe
) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor, torch.Tensor]:
    """Random crops of one length: streams [B * S, T, C], subject rows [B * S], responses [B * S, T, R], valid [B * S, T]."""
    longest = max(example.n_trs for example in examples)
    length = int(rng.choice([crop for crop in recipe.crops if crop <= longest] or [longest]))
    fitting = [example for example in examples if example.n_trs >= length]
    chosen = [fitting[int(i)] for i in rng.integers(len(fitting), size=max(1, recipe.trs_per_batch // length))]
    subjects = len(chosen[0].responses)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in STREAMS}
    targets, valid = [], []
    for example in chosen:
        start = 0 if rng.random() < 0.25 else int(rng.integers(example.n_trs - length + 1))
        rows = slice(start, start + length)
        for name in STREAMS:
            parts[name].append(example.streams[name][rows])
        targets.append(example.responses[:, rows])
        counts = example.valid[rows].copy()
        if start > 0:
            counts[: recipe.settle_trs] = False
        valid.append(np.broadcast_to(counts, (subjects, length)))
    streams = {}
    for name in STREAMS:
        values = torch.from_numpy(np.stack(parts[name]))
        present = (values != 0).flatten(1).any(1)[:, None, None]  # a missing track stays exactly zero
        values = values + recipe.input_noise * torch.randn_like(values) * present
        streams[name] = values.repeat_interleave(subjects, 0)
    rows = torch.arange(subjects).repeat(len(chosen))
    return streams, rows, torch.from_numpy(np.concatenate(targets)), torch.from_numpy(np.concatenate(valid))
