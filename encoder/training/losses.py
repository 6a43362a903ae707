"""What training minimises: correlation over time, and squared error so that offset and gain are right as well."""

from __future__ import annotations

import torch
from torch import Tensor


def pearson(prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Correlation over the valid rows of each sequence and parcel.

    Parameters
    ----------
    prediction, target : Tensor [B, T, R]
    valid : bool Tensor [B, T]
        Rows that count; others change nothing.

    Returns
    -------
    Tensor [B, R]
        0 where a column is constant.
    """
    weight = valid[..., None].to(prediction.dtype)
    count = weight.sum(1, keepdim=True).clamp_min(1)

    def centred(values: Tensor) -> Tensor:
        return (values - (values * weight).sum(1, keepdim=True) / count) * weight

    p, t = centred(prediction), centred(target)
    return (p * t).sum(1) / ((p * p).sum(1) * (t * t).sum(1)).clamp_min(1e-12).sqrt()


def pearson_mse_loss(prediction: Tensor, target: Tensor, valid: Tensor, *, mse_weight: float = 1.0) -> Tensor:
    """``-mean r + mse_weight * mean squared error`` over the valid rows; a scalar.

    The published loss (VIBE repository, commit a1d6286) is this with a weight of 0.03. Correlation alone leaves offset and gain of every
    sequence free; here their error weighs as much, so that values can be read as z.
    """
    weight = valid[..., None].to(prediction.dtype)
    squared = (torch.square(prediction - target) * weight).sum() / (weight.sum() * prediction.shape[-1]).clamp_min(1)
    return mse_weight * squared - pearson(prediction, target, valid).mean()
