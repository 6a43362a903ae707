"""Matrix products of a layer, by the faster of the two libraries that torch carries for a CPU.

torch hands float32 products on x86 to its BLAS; oneDNN, which it carries too, does the same arithmetic faster on many of them (figures in
``benchmarks/README.md``, predictor) and applies the GELU on the way. torch offers that product under no public name, so where it is missing, and for
gradients, other devices and other number types, the usual one stands in.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMALLEST = 2**20
"""Weights from here on; below, the product is too small for the choice to matter."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, gelu: bool = False) -> Tensor:
    """``x @ weight.T + bias`` in float32 as exact as torch's own, then the exact GELU if wanted.

    Parameters
    ----------
    x : Tensor [..., in]
    weight : Tensor [out, in]
    bias : Tensor [out], optional

    Returns
    -------
    Tensor [..., out]
    """
    if _suits_onednn(x, weight):
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "gelu" if gelu else "none", [], "none" if gelu else "")
    out = F.linear(x, weight, bias)
    return F.gelu(out) if gelu else out


class Linear(nn.Linear):
    """``torch.nn.Linear`` by way of :func:`linear`; same parameters, names and first values."""

    def forward(self, x: Tensor) -> Tensor:
        """``x`` is [..., in]."""
        return linear(x, self.weight, self.bias)


def _suits_onednn(x: Tensor, weight: Tensor) -> bool:
    return (
        weight.numel() >= SMALLEST
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_grad_enabled()
        and torch.backends.mkldnn.is_available()
        and torch.backends.mkldnn.enabled
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )
