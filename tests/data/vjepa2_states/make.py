"""Make ``states.safetensors``: what transformers 4.57.1 takes for the last hidden states of V-JEPA 2.

Run once, with a transformers of that version that leaves the project's own alone::

    pip install --target FOLDER --no-deps transformers==4.57.1 huggingface_hub==0.36.0 tokenizers==0.22.1
    PYTHONPATH=FOLDER python tests/data/vjepa2_states/make.py

The file holds a tiny model's random weights (``weights.*``), an input [1, frames, 3, height, width] and the mean of the last three entries of the
encoder's ``hidden_states``, [1, tokens, hidden]; ``config.json`` beside it the model's configuration.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import VJEPA2Config, VJEPA2Model

HERE = Path(__file__).parent
CONFIG = {
    "hidden_size": 24,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "crop_size": 32,
    "patch_size": 16,
    "frames_per_clip": 8,
    "tubelet_size": 2,
    "mlp_ratio": 2.0,
    "pred_hidden_size": 24,
    "pred_num_hidden_layers": 1,
    "pred_num_attention_heads": 2,
    "pred_num_mask_tokens": 1,
}


def main() -> None:
    """Write both files."""
    assert transformers.__version__ == "4.57.1"
    generator = torch.Generator().manual_seed(0)
    model = VJEPA2Model(VJEPA2Config(**CONFIG)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
        pixels = torch.randn(1, CONFIG["frames_per_clip"], 3, CONFIG["crop_size"], CONFIG["crop_size"], generator=generator)
        hidden = model(pixels, output_hidden_states=True).hidden_states
    assert len(hidden) == CONFIG["num_hidden_layers"] + 1
    tensors = {f"weights.{name}": tensor for name, tensor in model.state_dict().items() if name.startswith("encoder.")}
    save_file({**tensors, "pixels": pixels, "mean_of_last_3": torch.stack(hidden[-3:]).mean(0)}, HERE / "states.safetensors")
    (HERE / "config.json").write_text(json.dumps(CONFIG, indent=1) + "\n")


if __name__ == "__main__":
    main()
