"""The predictor's matrix products, and the way a long clip goes through it in pieces, change no number."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from encoder.models import linear as products
from encoder.models import published
from encoder.models.linear import Linear, linear
from encoder.models.published import PublishedVIBE, PublishedVIBEConfig


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def exact_gelu(x):
    return x * 0.5 * (1 + torch.erf(x / 2**0.5))


@pytest.mark.parametrize("shape", [(7, 1024), (2, 3, 1024), (0, 1024)])
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("gelu", [True, False])
def test_a_product_is_right_to_float32_in_both_ways(shape, biased, gelu):
    x, weight, bias = numbers(*shape), numbers(1024, 1024, seed=1) / 32, numbers(1024, seed=2) if biased else None
    truth = x.double() @ weight.double().T + (bias.double() if biased else 0)
    truth = exact_gelu(truth) if gelu else truth
    with torch.inference_mode():
        quick = linear(x, weight, bias, gelu=gelu)
    slow = linear(x, weight.requires_grad_(), bias, gelu=gelu)
    assert quick.dtype == torch.float32
    np.testing.assert_allclose(quick.numpy(), truth.numpy(), atol=1e-5)
    np.testing.assert_allclose(slow.detach().numpy(), truth.numpy(), atol=1e-5)


def test_the_quick_way_is_taken_for_large_float32_products_without_gradients_only():
    layer, small = Linear(1024, 1024), Linear(8, 8)
    taken = products._suits_onednn
    with torch.inference_mode():
        assert taken(numbers(2, 1024), layer.weight) == torch.backends.mkldnn.is_available()
        assert not taken(numbers(2, 8), small.weight)
        assert not taken(numbers(2, 1024).double(), layer.weight)
        assert not taken(numbers(2, 1024).bfloat16(), layer.weight.bfloat16())
    assert not taken(numbers(2, 1024), layer.weight)
    layer(numbers(2, 1024)).sum().backward()
    assert layer.weight.grad is not None


def test_without_that_product_in_torch_the_usual_one_answers(monkeypatch):
    x, layer = numbers(5, 1024), Linear(1024, 1024)
    with torch.inference_mode():
        before = layer(x)
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
        np.testing.assert_allclose(layer(x).numpy(), before.numpy(), atol=1e-5)


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = PublishedVIBEConfig(
        modality_fusion_transformer_dim=16,
        predictor_transformer_num_heads=4,
        predictor_transformer_num_layers=2,
        audio_extractor_feature_size=5,
        text_extractor_feature_size=6,
        video_extractor_feature_size=7,
        video_extractor_pool_size=1,
    )
    return PublishedVIBE(config, dropout=0.5).eval()


def streams(model, rows, batch=1):
    return {name: numbers(batch, rows, size, seed=size) for name, size in model.config.input_dims.items()}


@pytest.mark.parametrize("rows_at_once", [2, 3, 20, 25, 1000])
def test_subjects_and_rows_in_pieces_give_the_numbers_of_the_whole(model, monkeypatch, rows_at_once):
    given, ids = streams(model, 11), torch.tensor([3, 0, 4, 1])
    whole = model(given, ids).detach()  # with gradients nothing is cut
    monkeypatch.setattr(published, "ROWS_AT_ONCE", rows_at_once)
    projected = []
    for projection in model.encoder.projections.values():
        projection.register_forward_hook(lambda module, args, out: projected.append(out.shape[0]))
    with torch.inference_mode():
        np.testing.assert_allclose(model(given, ids).numpy(), whole.numpy(), atol=1e-5)
    assert projected == [1, 1, 1]


def test_a_batch_of_different_clips_is_never_mixed_up_by_the_pieces(model, monkeypatch):
    given, ids = streams(model, 11, batch=2), torch.tensor([1, 2])
    whole = model(given, ids).detach()
    monkeypatch.setattr(published, "ROWS_AT_ONCE", 5)
    with torch.inference_mode():
        np.testing.assert_allclose(model(given, ids).numpy(), whole.numpy(), atol=1e-5)


def test_the_shapes_alone_are_built_without_torchs_compiler():
    script = """
import sys, torch
from encoder.models.published import PublishedVIBE, PublishedVIBEConfig
with torch.device("meta"):
    PublishedVIBE(PublishedVIBEConfig())
print(sorted({"torch._dynamo", "sympy"} & set(sys.modules)))"""
    done = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_dropout_still_acts_in_training_without_gradients(model):
    given, ids = streams(model, 11), torch.tensor([0])
    model.train()
    with torch.no_grad():
        assert (model(given, ids) - model(given, ids)).abs().max() > 1e-3
        fused = [model.encoder(given, ids) for _ in range(2)]
    assert (fused[0] - fused[1]).abs().max() > 1e-3
