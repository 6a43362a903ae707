"""The published VIBE model: three streams, a fusion transformer over streams, a predictor over time.

Source: reference page "VIBE", sections 1B (forward pass, key names) and 2B (configuration). The predictor follows x-transformers 1.31 and
later: pre-norm blocks with ScaleNorm whose stored gain has a unit offset, interleaved rotary positions on every channel of q and k, no
biases in attention. Names of parameters and buffers are those of the published files, so these load strictly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from encoder.models.published_config import STREAMS, PublishedVIBEConfig


class FusionEncoder(nn.Module):
    """Streams of one time point become one vector, with the subject as one more token.

    Parameters
    ----------
    config : PublishedVIBEConfig
    dropout : float
        Of the fusion transformer, in training only.
    """

    def __init__(self, config: PublishedVIBEConfig, dropout: float = 0.0):
        super().__init__()
        width = config.modality_fusion_transformer_dim
        layers = config.modality_fusion_transformer_num_projection_layers
        self.projections = nn.ModuleDict({name: _projection(size, width, layers) for name, size in config.input_dims.items()})
        self.subject_embeddings = nn.Embedding(config.num_subjects + 1, width)  # the last row is the null subject
        block = nn.TransformerEncoderLayer(
            width, config.modality_fusion_transformer_num_heads, 4 * width, dropout=dropout, activation="gelu", batch_first=True
        )
        self.transformer = nn.TransformerEncoder(block, config.modality_fusion_transformer_num_layers, enable_nested_tensor=False)
        self.concat = config.modality_fusion_transformer_fuse_mode == "concat"

    def forward(self, features: Mapping[str, Tensor], subject_ids: Tensor) -> Tensor:
        """Fuse.

        Parameters
        ----------
        features : mapping of stream to Tensor [B or 1, T, C]
            A batch of one is projected once and shared by all subjects.
        subject_ids : LongTensor [B]

        Returns
        -------
        Tensor [B, T, fused_dim]
        """
        count = subject_ids.shape[0]
        tokens = [self.projections[name](features[name]) for name in STREAMS]
        steps = tokens[0].shape[1]
        tokens = [token.expand(count, -1, -1) for token in tokens]
        tokens.append(self.subject_embeddings(subject_ids)[:, None, :].expand(-1, steps, -1))
        stacked = torch.stack(tokens, dim=2)
        mixed = self.transformer(stacked.flatten(0, 1)).unflatten(0, (count, steps))
        return mixed.flatten(2) if self.concat else mixed.mean(2)


class ScaleNorm(nn.Module):
    """Unit length times ``sqrt(dim) * (g + 1)``."""

    def __init__(self, dim: int):
        super().__init__()
        self.scale = dim**0.5
        self.g = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dimension."""
        return F.normalize(x, dim=-1, eps=1e-12) * self.scale * (self.g + 1)


class Attention(nn.Module):
    """Bidirectional attention over time with interleaved rotary positions and no biases."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_k = nn.Linear(dim, dim, bias=False)
        self.to_v = nn.Linear(dim, dim, bias=False)
        self.to_out = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """``x`` is [B, T, dim]; ``cos`` and ``sin`` are [T, head_dim / 2]."""
        q, k, v = (layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.to_q, self.to_k, self.to_v))
        mixed = F.scaled_dot_product_attention(_rotate(q, cos, sin), _rotate(k, cos, sin), v)
        return self.to_out(mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Linear, exact GELU, Linear; nested as the published key names ask (``ff.0.0`` and ``ff.2``)."""

    def __init__(self, dim: int, dropout: float = 0.0):
        super().__init__()
        self.ff = nn.Sequential(nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU()), nn.Dropout(dropout), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """``x`` is [B, T, dim]."""
        return self.ff(x)


class RotaryPositions(nn.Module):
    """Angles of the rotary positions; the frequencies are stored in the published files."""

    def __init__(self, head_dim: int):
        super().__init__()
        self.register_buffer("inv_freq", 10000.0 ** (-torch.arange(0, head_dim, 2).float() / head_dim))

    def forward(self, steps: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines [steps, head_dim / 2] of positions 0..steps-1."""
        angles = torch.arange(steps, device=self.inv_freq.device, dtype=self.inv_freq.dtype)[:, None] * self.inv_freq
        return angles.cos(), angles.sin()


class Predictor(nn.Module):
    """Pre-norm transformer over time; even layers attend, odd layers feed forward."""

    def __init__(self, config: PublishedVIBEConfig, dropout: float = 0.0):
        super().__init__()
        dim = config.fused_dim
        self.layers = nn.ModuleList()
        for _ in range(config.predictor_transformer_num_layers):
            for block in (Attention(dim, config.predictor_transformer_num_heads), FeedForward(dim, dropout)):
                self.layers.append(nn.ModuleList([nn.ModuleList([ScaleNorm(dim)]), block]))
        self.rotary_pos_emb = RotaryPositions(config.head_dim)
        self.final_norm = ScaleNorm(dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``x`` is [B, T, fused_dim] and so is the result."""
        cos, sin = self.rotary_pos_emb(x.shape[1])
        for norms, block in self.layers:
            normed = norms[0](x)
            branch = block(normed, cos, sin) if isinstance(block, Attention) else block(normed)
            x = x + self.drop(branch)
        return self.final_norm(x)


class PublishedVIBE(nn.Module):
    """The class that the published weights fit.

    Parameters
    ----------
    config : PublishedVIBEConfig
    dropout : float
        Of the fusion transformer and of the predictor's branches; acts in training only.
    """

    def __init__(self, config: PublishedVIBEConfig, *, dropout: float = 0.0):
        super().__init__()
        self.config = config
        self.register_buffer("pre_tokens", torch.zeros(0, config.fused_dim))  # empty and unused, but part of the published files
        self.encoder = FusionEncoder(config, dropout)
        self.predictor = Predictor(config, dropout)
        self.output_head = nn.Linear(config.fused_dim, config.num_rois, bias=False)

    def forward(self, features: Mapping[str, Tensor], subject_ids: Tensor) -> Tensor:
        """Predict responses.

        Parameters
        ----------
        features : mapping of stream to Tensor [B, T, C]
            ``audio``, ``text`` and ``video`` with the sizes in ``config.input_dims``. With a batch of one and several subjects the
            stream projections are computed once and shared.
        subject_ids : LongTensor [B]
            Rows of the subject table; ``config.num_subjects`` is the null subject.

        Returns
        -------
        Tensor [B, T, num_rois]
        """
        return self.output_head(self.predictor(self.encoder(features, subject_ids)))


def _projection(size: int, width: int, layers: int) -> nn.Sequential:
    """Linears with LeakyReLU between them; widths run evenly from ``size`` to ``width``."""
    widths = [int(value) for value in np.linspace(size, width, layers + 1)]
    steps: list[nn.Module | Callable] = []
    for i in range(layers):
        steps.append(nn.Linear(widths[i], widths[i + 1]))
        if i < layers - 1:
            steps.append(nn.LeakyReLU(0.01))
    return nn.Sequential(*steps)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn channel pairs (2i, 2i + 1) of ``x`` [B, heads, T, head_dim] by the angles of their position."""
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(-2)
