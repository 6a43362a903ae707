"""What each part of a published model needs: parameters, memory at work, arithmetic. Read from ``config.json`` and the headers of safetensors files.

Memory at work counts the largest set of arrays that live at once in one layer, with the attention of
``scaled_dot_product_attention``, whose memory is linear in the tokens on CPU and CUDA; on MPS the whole matrix of weights is counted. All of it is
an estimate.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from encoder.models.published_config import PublishedVIBEConfig
from extractors.backbone import read_config
from extractors.errors import ModelError
from extractors.grid import n_trs
from extractors.hub_files import LocalModel

SIZES = {"float32": 4, "float16": 2, "bfloat16": 2}
"""Bytes of one number."""

PROMPT_TOKENS = 100
"""About what stands before the transcript: 386 characters of priming phrase."""
TOKENS_PER_S = 3.5
"""Of fast speech: 150 to 180 words a minute at 1.3 tokens each."""
LINE_TOKENS = 1
"""The newline after each TR."""

AST_EXTRA_TOKENS = 2
HEADER_MAX = 100 * 2**20

_LAYER = re.compile(r"\.layers?\.(\d+)\.")
_EMBEDDING = re.compile(r"embed_tokens|word_embeddings|position_embeddings|mask_token|cls_token|subject_embeddings")


@dataclass(frozen=True)
class Need:
    """One part of a model.

    Attributes
    ----------
    name : str
        "text", "audio", "video" or "predictor".
    title : str
        In words.
    source : str
        What its model is called.
    parameters : int
        Of the layers that run.
    disk_bytes : int
        Of its files.
    dtype : str
        Number type of the published features.
    batch : int
        Windows at a time, as published.
    largest : int
        Numbers in the largest tensor.
    work : callable
        ``work(batch, device_kind)``: numbers (not bytes) that live at once beside the weights.
    flops : float
        Of the whole clip.
    """

    name: str
    title: str
    source: str
    parameters: int
    disk_bytes: int
    dtype: str
    batch: int
    largest: int
    work: Callable[[int, str], float]
    flops: float

    def load_bytes(self, dtype: str) -> int:
        """Bytes of the loaded weights."""
        return self.parameters * SIZES[dtype]

    def work_bytes(self, dtype: str, batch: int, device: str) -> int:
        """Bytes beside the weights while it runs."""
        return int(self.work(batch, device.partition(":")[0]) * SIZES[dtype])


def text_need(local: LocalModel, *, duration_s: float, dtype: str, states: int) -> Need:
    """The language model: one pass over the whole transcript."""
    config = read_config(local, "text")
    shapes = {name: shape for name, shape in tensor_shapes(local.weights) if not name.startswith("lm_head.")}
    hidden, inner, heads, layers = _numbers(config, local, "hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers")
    (context,) = _numbers(config, local, "max_position_embeddings")
    tokens = min(context, math.ceil(PROMPT_TOKENS + LINE_TOKENS * n_trs(duration_s) + TOKENS_PER_S * duration_s))

    def work(batch: int, device: str) -> float:
        # one layer: the residual stream, its norm, q, k and v for all heads, the heads' output, its projection; or gate, up and their product;
        # beside them the states to average and their mean in float32; and a mask of one byte for each pair of tokens
        layer = hidden * 7 + 3 * inner
        return tokens * (layer + hidden * (states + 4)) + tokens**2 + _attention(heads, tokens, device)

    return _need("text", "Words", local, dtype, 1, shapes, work, _flops(shapes, tokens, hidden, layers, 1))


def audio_need(local: LocalModel, *, duration_s: float, batch: int, layer_index: int) -> Need:
    """The spectrogram transformer: one window of 10.24 s per TR, up to the layer that is read."""
    config = read_config(local, "audio")
    hidden, inner, heads, layers = _numbers(config, local, "hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers")
    layers -= layer_index - 1
    bins, frames, patch = (config.get(key, usual) for key, usual in (("num_mel_bins", 128), ("max_length", 1024), ("patch_size", 16)))
    strides = (config.get("frequency_stride", 10), config.get("time_stride", 10))
    tokens = ((bins - patch) // strides[0] + 1) * ((frames - patch) // strides[1] + 1) + AST_EXTRA_TOKENS
    shapes = {
        name: shape for name, shape in tensor_shapes(local.weights) if not name.startswith("classifier.") and not _layer_of(name, at_least=layers)
    }

    def work(batch: int, device: str) -> float:
        # the spectrogram; residual stream, norm, q, k, v, heads' output, projection; or both sides of the activation; the state that is kept
        return batch * (bins * frames + tokens * (hidden * 8 + 2 * inner) + _attention(heads, tokens, device))

    return _need("audio", "Sound", local, "float32", batch, shapes, work, _flops(shapes, tokens, hidden, layers, n_trs(duration_s)))


def video_need(local: LocalModel, *, duration_s: float, dtype: str, batch: int, states: int) -> Need:
    """The video transformer: one window of 16 s per TR."""
    config = read_config(local, "video")
    hidden, heads, layers = _numbers(config, local, "hidden_size", "num_attention_heads", "num_hidden_layers")
    inner = int(hidden * config.get("mlp_ratio", 4.0))
    frames, crop, tubelet = (config.get(key, usual) for key, usual in (("frames_per_clip", 64), ("crop_size", 256), ("tubelet_size", 2)))
    patch = config.get("patch_size", 16)
    tokens = (frames // tubelet) * (crop // patch) ** 2
    shapes = {name: shape for name, shape in tensor_shapes(local.weights) if not name.startswith("predictor.layer.")}

    def work(batch: int, device: str) -> float:
        # the frames and their copy as patches; residual stream, norm, q, k, v, the copies that turn q and k (four of their size), heads' output,
        # projection; or both sides of the activation; the states to average and their mean in float32
        layer = max(hidden * 12, hidden * 3 + 2 * inner)
        return batch * (2 * frames * 3 * crop**2 + tokens * (layer + hidden * (states + 2)) + _attention(heads, tokens, device))

    return _need("video", "Picture", local, dtype, batch, shapes, work, _flops(shapes, tokens, hidden, layers, n_trs(duration_s)))


def predictor_need(local: LocalModel, config: PublishedVIBEConfig, *, duration_s: float) -> Need:
    """The model itself: the whole clip for all its subjects at once."""
    shapes = {name.removeprefix("module."): shape for name, shape in tensor_shapes(local.weights) if name != "n_averaged"}
    rows, subjects, fused, fusion = n_trs(duration_s), config.num_subjects, config.fused_dim, config.modality_fusion_transformer_dim

    def work(batch: int, device: str) -> float:
        # per row: the streams, four tokens of the fusion and their feed-forward part; for each subject the residual stream, norm, q, k, v, heads'
        # output, projection, or both sides of the activation (four times as wide each), and the responses
        streams = sum(config.input_dims.values()) + 4 * fusion * 12
        each = fused * max(8, 2 + 2 * 4) + 2 * config.num_rois
        return rows * (streams + subjects * each) + subjects * _attention(config.predictor_transformer_num_heads, rows, device)

    flops = _flops(shapes, rows, fused, config.predictor_transformer_num_layers, subjects)
    return _need("predictor", "Brain model", local, "float32", 1, shapes, work, flops)


def tensor_shapes(weights: tuple[Path, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of every tensor in safetensors files, from their headers; ModelError for a file that has none."""
    for path in weights:
        try:
            with path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                if length > HEADER_MAX:
                    raise ValueError
                header = json.loads(file.read(length))
            yield from ((name, tuple(map(int, entry["shape"]))) for name, entry in header.items() if name != "__metadata__")
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            raise ModelError("weights_unreadable", f"{path.name} is damaged or no safetensors file.", "Get the model's files again.") from None


@lru_cache(maxsize=16)
def throughput(device: str, dtype: str) -> float:
    """Floating-point operations a second of matrix products on a device, measured in less than a tenth of a second, once per process."""
    import torch

    kind = getattr(torch, dtype)

    def wait() -> None:
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        elif device == "mps":
            torch.mps.synchronize()

    def run(size: int) -> float:
        one = torch.ones(size, size, device=device, dtype=kind)
        wait()
        start = time.perf_counter()
        torch.mm(one, one)
        wait()
        return max(time.perf_counter() - start, 1e-7)

    run(256)  # the first product also wakes the device's libraries
    size, best, begun = 256, 0.0, time.perf_counter()
    while time.perf_counter() - begun < 0.05:  # the best of several, for other programs compute too
        best = max(best, 2 * size**3 / run(size))
        if size < 8192 and 2 * (2 * size) ** 3 / best < 0.01:
            size *= 2
    return best


def _need(
    name: str,
    title: str,
    local: LocalModel,
    dtype: str,
    batch: int,
    shapes: dict[str, tuple[int, ...]],
    work: Callable[[int, str], float],
    flops: float,
) -> Need:
    return Need(name, title, local.name, _count(shapes), local.weight_bytes, dtype, batch, _largest(shapes), work, flops)


def _flops(shapes: dict[str, tuple[int, ...]], tokens: int, hidden: int, layers: int, windows: int) -> float:
    # each weight is multiplied and added once per token, tables of vectors are only looked up; attention multiplies all pairs of tokens twice
    weights = sum(math.prod(shape) for name, shape in shapes.items() if len(shape) > 1 and not _EMBEDDING.search(name))
    return float(windows) * (2.0 * weights * tokens + 4.0 * tokens**2 * hidden * layers)


def _attention(heads: int, tokens: int, device: str) -> float:
    return float(heads) * tokens**2 if device == "mps" else 0.0


def _layer_of(name: str, *, at_least: int) -> bool:
    found = _LAYER.search(name)
    return found is not None and int(found[1]) >= at_least


def _count(shapes: dict[str, tuple[int, ...]]) -> int:
    return sum(math.prod(shape) for shape in shapes.values())


def _largest(shapes: dict[str, tuple[int, ...]]) -> int:
    return max((math.prod(shape) for shape in shapes.values()), default=0)


def _numbers(config: dict[str, Any], local: LocalModel, *keys: str) -> tuple[int, ...]:
    for key in keys:
        if not isinstance(config.get(key), int) or config[key] < 1:
            raise ModelError("config_invalid", f"The config.json of {local.name} must give {key} as a whole number.", "Get the model's files again.")
    return tuple(config[key] for key in keys)
