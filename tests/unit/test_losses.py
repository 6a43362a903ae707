"""What training minimises."""

import numpy as np
import pytest
import torch

from encoder.training.losses import pearson, pearson_mse_loss


def arrays(seed: int = 0, shape=(2, 30, 5)):
    rng = np.random.default_rng(seed)
    prediction, target = rng.normal(size=shape), rng.normal(size=shape)
    valid = np.ones(shape[:2], bool)
    valid[0, :7] = False
    return torch.tensor(prediction), torch.tensor(target + prediction), torch.tensor(valid)


def test_correlation_equals_numpys_over_the_valid_rows():
    prediction, target, valid = arrays()
    ours = pearson(prediction, target, valid)
    for b in range(2):
        for r in range(5):
            rows = valid[b].numpy()
            assert float(ours[b, r]) == pytest.approx(np.corrcoef(prediction[b, rows, r], target[b, rows, r])[0, 1], abs=1e-9)


def test_a_perfect_prediction_costs_minus_one():
    _, target, valid = arrays()
    assert float(pearson_mse_loss(target, target, valid)) == pytest.approx(-1.0, abs=1e-9)


def test_a_wrong_gain_or_offset_costs_squared_error_although_the_correlation_is_perfect():
    _, target, valid = arrays()
    assert float(pearson_mse_loss(2 * target, target, valid)) > -0.5
    assert float(pearson_mse_loss(target + 1, target, valid)) == pytest.approx(0.0, abs=1e-9)
    assert float(pearson_mse_loss(target + 1, target, valid, mse_weight=0.03)) == pytest.approx(-0.97, abs=1e-9)


def test_rows_that_are_not_valid_change_nothing():
    prediction, target, valid = arrays()
    loss = pearson_mse_loss(prediction, target, valid)
    spoiled = prediction.clone()
    spoiled[0, :7] = 1e3
    assert float(pearson_mse_loss(spoiled, target, valid)) == pytest.approx(float(loss), abs=1e-9)
    spoiled.requires_grad_()
    pearson_mse_loss(spoiled, target, valid).backward()
    assert float(spoiled.grad[0, :7].abs().max()) == 0


def test_a_constant_prediction_has_no_correlation_and_no_broken_gradient():
    prediction, target, valid = arrays()
    flat = torch.zeros_like(prediction).requires_grad_()
    loss = pearson_mse_loss(flat, target, valid)
    loss.backward()
    assert torch.isfinite(flat.grad).all()
    assert float(pearson(flat, target, valid).detach().abs().max()) == 0
