"""The sound stream as reference section 3B says it: one window at a time through AST's own feature extractor and the whole model."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import torch

TR, WINDOW = Decimal("1.49"), Decimal("10.24")


def window(row: int) -> tuple[int, int, int, int]:
    """First and last (exclusive) sample of the window, first and last (exclusive) of its 101 patches; in exact decimals."""
    end = (row + 1) * TR
    start = max(Decimal(0), end - WINDOW)
    first, last = int((end - TR - start) / WINDOW * 101), min(101, int((end - start) / WINDOW * 101))
    return int(start * 16_000), int(end * 16_000), first, max(last, first + 1)


def hidden_states(folder: Path, samples: np.ndarray, n_trs: int) -> list[tuple[torch.Tensor, ...]]:
    """All hidden states of every window, each [1, 1214, hidden]."""
    from transformers import ASTFeatureExtractor, ASTModel

    prepare = ASTFeatureExtractor.from_pretrained(folder)
    model = ASTModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    found = []
    for row in range(n_trs):
        begin, end, _, _ = window(row)
        values = prepare(np.asarray(samples[begin:end], np.float32), sampling_rate=16_000, return_tensors="pt")["input_values"]
        with torch.no_grad():
            found.append(model(values, output_hidden_states=True).hidden_states)
    return found


def pooled(windows: list[tuple[torch.Tensor, ...]], *, layer_index: int = 2) -> np.ndarray:
    """float32 [n_trs, 2 * hidden] from the hidden states of every window."""
    rows = []
    for row, states in enumerate(windows):
        _, _, first, last = window(row)
        patches = states[-layer_index][0, 2:].reshape(12, 101, -1).mean(0)[first:last]
        spread = torch.sqrt(((patches - patches.mean(0)) ** 2).mean(0))
        rows.append(torch.cat([patches.mean(0), spread]).numpy())
    return np.stack(rows)


def audio_stream(folder: Path, samples: np.ndarray, n_trs: int, *, layer_index: int = 2) -> np.ndarray:
    """float32 [n_trs, 2 * hidden]."""
    return pooled(hidden_states(folder, samples, n_trs), layer_index=layer_index)
