"""Rows are floor(duration / TR); the reference keeps the last partial TR and attends to it. What that changes in the other rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from encoder.checkpoints import load_strictly
from encoder.models.published import PublishedVIBE
from encoder.models.published_config import PublishedVIBEConfig

FIXTURE = Path(__file__).parents[1] / "data" / "published_small"


@pytest.fixture(scope="module")
def model():
    config, _ = PublishedVIBEConfig.from_dict(json.loads((FIXTURE / "config.json").read_text()))
    module = PublishedVIBE(config).eval()
    load_strictly(module, load_file(FIXTURE / "model.safetensors"))
    return module


def change(model, features) -> float:
    """RMS difference of the shared rows, with and without the last row, in SDs of the output."""
    subjects = torch.tensor([0])
    with torch.inference_mode():
        kept = model(features, subjects)[:, :-1]
        dropped = model({name: stream[:, :-1] for name, stream in features.items()}, subjects)
    return float(((kept - dropped).square().mean() / kept.var()).sqrt())


def test_dropping_the_partial_tr_changes_the_other_rows_by_about_four_percent_of_their_sd_in_a_minute_of_film(model):
    io = np.load(FIXTURE / "io.npz")
    features = {name: torch.from_numpy(io[f"feat__{name}"][:1]) for name in ("audio", "text", "video")}
    assert 0.02 < change(model, features) < 0.08  # 31 rows, the reference's random weights: 0.045


def test_the_longer_the_film_the_less_the_partial_tr_matters(model):
    generator = torch.Generator().manual_seed(0)

    def film(rows: int):
        return {name: torch.randn(1, rows, size, generator=generator) for name, size in model.config.input_dims.items()}

    minute, two_and_a_half, ten = (change(model, film(rows)) for rows in (40, 100, 400))
    assert minute < 0.06  # measured 0.039
    assert two_and_a_half < 0.03  # 0.016
    assert ten < 0.006  # 0.0031
    assert minute > two_and_a_half > ten > 0
