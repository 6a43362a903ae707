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

from encoder.models.linear import Linear, linear
from encoder.models.published_config import STREAMS, PublishedVIBEConfig

ROWS_AT_ONCE = 256
"""Rows (subjects times TRs) that are predicted together: enough for fast matrix products, few enough that memory holds hardly more than the
weights. A single long clip is one sequence and goes in whole; its feed-forward layers take this many rows at a time."""


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
        with torch.device("cpu"):  # as for the rotary positions
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
        return self.fuse(self.project(features), subject_ids)

    def project(self, features: Mapping[str, Tensor]) -> Tensor:
        """The streams' tokens [B or 1, T, streams, width]; they do not depend on the subject."""
        return torch.stack([self.projections[name](features[name]) for name in STREAMS], dim=2)

    def fuse(self, tokens: Tensor, subject_ids: Tensor) -> Tensor:
        """Tokens of :meth:`project` and subjects [B] become [B, T, fused_dim]."""
        count, steps = subject_ids.shape[0], tokens.shape[1]
        subject = self.subject_embeddings(subject_ids)[:, None, None].expand(-1, steps, -1, -1)
        stacked = torch.cat([tokens.expand(count, -1, -1, -1), subject], dim=2).flatten(0, 1)
        if self.training or torch.is_grad_enabled():
            stacked = self.transformer(stacked)
        else:
            for rows in stacked.split(ROWS_AT_ONCE // 2):
                rows.copy_(self._mixed(rows))
        mixed = stacked.unflatten(0, (count, steps))
        return mixed.flatten(2) if self.concat else mixed.mean(2)

    def _mixed(self, x: Tensor) -> Tensor:
        """What ``self.transformer`` answers without gradients or dropout, by the faster products: [rows, tokens, width]."""
        for layer in self.transformer.layers:
            attention = layer.self_attn
            q, k, v = linear(x, attention.in_proj_weight, attention.in_proj_bias).unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
            mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
            x = layer.norm1(x + linear(mixed, attention.out_proj.weight, attention.out_proj.bias))
            hidden = linear(x, layer.linear1.weight, layer.linear1.bias, gelu=True)
            x = layer.norm2(x + linear(hidden, layer.linear2.weight, layer.linear2.bias))
        return x


class ScaleNorm(nn.Module):
    """Unit length times ``sqrt(dim) * (g + 1)``."""

    def __init__(self, dim: int):
        super().__init__()
        self.scale = dim**0.5
        self.g = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dimension."""
        unit = F.normalize(x, dim=-1, eps=1e-12)
        if torch.is_grad_enabled():
            return unit * self.scale * (self.g + 1)
        return unit.mul_(self.scale).mul_(self.g + 1)


class Attention(nn.Module):
    """Bidirectional attention over time with interleaved rotary positions and no biases."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.to_q = Linear(dim, dim, bias=False)
        self.to_k = Linear(dim, dim, bias=False)
        self.to_v = Linear(dim, dim, bias=False)
        self.to_out = Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """``x`` is [B, T, dim]; ``cos`` and ``sin`` are [T, head_dim / 2]."""
        if not torch.is_grad_enabled() and x.shape[0] * x.shape[1] > ROWS_AT_ONCE:
            return self._head_by_head(x, cos, sin)
        q, k, v = (layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.to_q, self.to_k, self.to_v))
        mixed = F.scaled_dot_product_attention(_rotate(q, cos, sin), _rotate(k, cos, sin), v)
        return self.to_out(mixed.transpose(1, 2).flatten(2))

    def _head_by_head(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """The same for a long sequence: q, k and v of one head are in memory at a time."""
        weights = [layer.weight.unflatten(0, (self.heads, -1)) for layer in (self.to_q, self.to_k, self.to_v)]
        mixed = torch.empty_like(x)
        for head, part in enumerate(mixed.unflatten(-1, (self.heads, -1)).unbind(-2)):
            q, k, v = (linear(x, weight[head])[:, None] for weight in weights)
            part.copy_(F.scaled_dot_product_attention(_rotate(q, cos, sin), _rotate(k, cos, sin), v)[:, 0])
        for rows in mixed.flatten(0, 1).split(ROWS_AT_ONCE):
            rows.copy_(self.to_out(rows))
        return mixed


class FeedForward(nn.Module):
    """Linear, exact GELU, Linear; nested as the published key names ask (``ff.0.0`` and ``ff.2``)."""

    def __init__(self, dim: int, dropout: float = 0.0):
        super().__init__()
        self.ff = nn.Sequential(nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU()), nn.Dropout(dropout), Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """``x`` is [B, T, dim]."""
        if self.training or torch.is_grad_enabled():
            return self.ff(x)
        first, last = self.ff[0][0], self.ff[2]
        out = torch.empty_like(x)
        for given, answer in zip(x.flatten(0, 1).split(ROWS_AT_ONCE), out.view(-1, x.shape[-1]).split(ROWS_AT_ONCE), strict=True):
            answer.copy_(last(linear(given, first.weight, first.bias, gelu=True)))
        return out


class RotaryPositions(nn.Module):
    """Angles of the rotary positions; the frequencies are stored in the published files."""

    def __init__(self, head_dim: int):
        super().__init__()
        with torch.device("cpu"):  # arithmetic without values (on "meta") would first load torch's compiler: seconds, and 80 MB
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

    def forward(self, x: Tensor, *, owned: bool = False) -> Tensor:
        """``x`` is [B, T, fused_dim] and so is the result; without gradients an ``owned`` one is written over."""
        positions = self.rotary_pos_emb(x.shape[1])
        for norms, block in self.layers:
            x = self._step(x, norms[0], block, positions, owned=owned)
            owned = True
        return self.final_norm(x)

    def _step(self, x: Tensor, norm: ScaleNorm, block: nn.Module, positions: tuple[Tensor, Tensor], *, owned: bool) -> Tensor:
        """One block with its residual; without gradients into ``x`` itself where that is ours."""
        branch = self.drop(block(norm(x), *positions) if isinstance(block, Attention) else block(norm(x)))
        return x.add_(branch) if owned and not torch.is_grad_enabled() else x + branch


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
        self.output_head = Linear(config.fused_dim, config.num_rois, bias=False)

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
        steps = features[STREAMS[0]].shape[1]
        groups = subject_ids.split(max(1, ROWS_AT_ONCE // max(1, steps)))
        if torch.is_grad_enabled() or len(groups) == 1 or any(values.shape[0] > 1 for values in features.values()):
            return self.output_head(self.predictor(self.encoder(features, subject_ids)))
        tokens = self.encoder.project(features)
        out = tokens.new_empty(subject_ids.shape[0], steps, self.config.num_rois)
        for part, group in zip(out.split(groups[0].shape[0]), groups, strict=True):
            part.copy_(self.output_head(self.predictor(self.encoder.fuse(tokens, group), owned=True)))
        return out


def _projection(size: int, width: int, layers: int) -> nn.Sequential:
    """Linears with LeakyReLU between them; widths run evenly from ``size`` to ``width``."""
    widths = [int(value) for value in np.linspace(size, width, layers + 1)]
    steps: list[nn.Module | Callable] = []
    for i in range(layers):
        steps.append(Linear(widths[i], widths[i + 1]))
        if i < layers - 1:
            steps.append(nn.LeakyReLU(0.01))
    return nn.Sequential(*steps)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn channel pairs (2i, 2i + 1) of ``x`` [B, heads, T, head_dim] by the angles of their position."""
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(-2)
