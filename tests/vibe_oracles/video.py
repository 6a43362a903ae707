"""The picture stream as reference section 3B says it: decord, one window at a time through the whole model, every hidden state."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import decord
import numpy as np
import torch

TR, WINDOW = Fraction(149, 100), 16


def window(row: int, fps: Fraction, total: int, *, frames: int = 64, tokens: int = 32) -> tuple[list[int], int, int]:
    """Picture numbers, first and last (exclusive) token of a row; in exact fractions. The pictures' end is the film's."""
    begin, end = row * TR, min((row + 1) * TR, total / fps)
    start = begin - (WINDOW - TR)
    first, stop = int(start * fps), min(total, int(end * fps))
    span = Fraction(stop - first - 1, frames - 1)
    numbers = [first + int(k * span) for k in range(frames)]
    return numbers, round((begin - start) / (end - start) * tokens), round((end - start) / (end - start) * tokens)


def video_stream(folder: Path, film: Path, wanted: Iterable[int], *, states: int = 3, pool: int = 2, behind_norm: bool = True) -> np.ndarray:
    """The wanted rows, float32 [rows, hidden * pool * pool]."""
    from transformers import VJEPA2Model

    dtype = torch.float32
    model = VJEPA2Model.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()
    size = model.config.crop_size
    side, moments = size // model.config.patch_size, model.config.frames_per_clip // model.config.tubelet_size
    reader = decord.VideoReader(str(film), width=size, height=size)
    fps = Fraction(reader.get_avg_fps()).limit_denominator(1001)
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=dtype).reshape(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225], dtype=dtype).reshape(3, 1, 1)
    rows = []
    for row in wanted:
        numbers, first, last = window(row, fps, len(reader), frames=model.config.frames_per_clip, tokens=moments)
        pixels = torch.zeros(1, len(numbers), 3, size, size, dtype=dtype)
        for place, number in enumerate(numbers):
            if number >= 0:
                picture = torch.from_numpy(reader[number].asnumpy()).permute(2, 0, 1).to(dtype)
                pixels[0, place] = (picture / 255 - mean) / std
        with torch.no_grad():
            hidden = list(model(pixels, output_hidden_states=True).hidden_states)
            if behind_norm:
                hidden[-1] = model.encoder.layernorm(hidden[-1])
        tokens = torch.stack(hidden[-states:]).float().mean(0).reshape(moments, side, side, -1)[first:last].mean(0)
        edges = [(i * side // pool, -(-(i + 1) * side // pool)) for i in range(pool)]
        places = [[tokens[top:bottom, left:right].mean((0, 1)) for left, right in edges] for top, bottom in edges]
        rows.append(torch.stack([torch.stack(line, -1) for line in places], -2).reshape(-1).numpy())
    return np.stack(rows)
