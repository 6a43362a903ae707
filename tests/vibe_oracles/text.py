"""The text stream as reference section 3B says it: the causal language model with its logits, all hidden states kept, token by token."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch


def text_stream(folder: Path, lines: list[str], phrase: str | None, *, states: int = 4) -> np.ndarray:
    """float32 [len(lines), hidden]."""
    from transformers import AutoTokenizer, Qwen2ForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    text = "[Metadata]: " + (phrase or "") + "\n"
    begins = []
    for line in lines:
        begins.append(len(text))
        text += line + "\n"
    ends = [*begins[1:], len(text)]
    encoded = tokenizer(text, return_offsets_mapping=True)
    most = model.config.max_position_embeddings
    ids, offsets = encoded["input_ids"][:most], encoded["offset_mapping"][:most]
    with torch.no_grad():
        output = model(torch.tensor([ids]), output_hidden_states=True)
    assert output.logits.shape[1] == len(ids)
    mean = sum(output.hidden_states[-k][0] for k in range(1, states + 1)) / states
    stream = np.zeros((len(lines), mean.shape[1]), np.float32)
    taken: set[int] = set()
    for row, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        own = [i for i, (first, last) in enumerate(offsets) if i not in taken and first < end and last > begin]
        taken.update(own)
        if own:
            stream[row] = torch.stack([mean[i] for i in own]).mean(0).numpy()
    return stream
