"""The published predictor at its published size, four subjects: ``python -m benchmarks.predictor [--rows 40 400 1200] [--rounds 5]``.

Ours predicts all four in one call; the baseline is the composition of the reference (stream projections, torch's fusion transformer,
``x_transformers.Encoder``, head; reference page "VIBE", section 1B), run once per subject as the reference does, with the faster of its two exact
attention settings and the same threads. Both hold the same random weights (the same tensors), answer the same features and take turns. Peak memory
is that of a process of its own that loads the weights from a file and predicts once, whole (Python and torch included).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[1]
AIMS = {40: 1.6, 400: 1.0, 1200: 1.0}
CLOSE = 1e-4
MEMORY = 1.2

if TYPE_CHECKING:
    from torch import Tensor, nn

    from encoder.models.published import PublishedVIBE


def ours(tensors: dict[str, Tensor] | None = None) -> PublishedVIBE:
    """Our class at the published size; with random weights of a usual size, or with the given ones."""
    import torch

    from encoder.models.published import PublishedVIBE
    from encoder.models.published_config import PublishedVIBEConfig

    with torch.device("meta"):
        model = PublishedVIBE(PublishedVIBEConfig()).eval()
    if tensors is not None:
        model.load_state_dict(tensors, strict=True, assign=True)
        return model
    model = model.to_empty(device="cpu")
    width = model.config.head_dim
    model.predictor.rotary_pos_emb.inv_freq.copy_(10000.0 ** (-torch.arange(0, width, 2).float() / width))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # as trained weights are: matrices keep the size of what they are given, norms stay near one
            spread = parameter.shape[-1] ** -0.5 if parameter.ndim > 1 else 0.05
            parameter.normal_(0, spread, generator=generator)
            if "norm" in name and name.endswith("weight") and parameter.ndim == 1:
                parameter.add_(1)
    return model


def reference(model: PublishedVIBE, *, flash: bool) -> nn.Module:
    """The reference's composition over the same tensors, loaded strictly."""
    import torch
    from torch import nn
    from x_transformers import Encoder

    config = model.config
    width = config.modality_fusion_transformer_dim

    class Composition(nn.Module):
        def __init__(self):
            super().__init__()
            block = nn.TransformerEncoderLayer(
                width, config.modality_fusion_transformer_num_heads, 4 * width, dropout=0.1, activation="gelu", batch_first=True
            )
            self.encoder = nn.Module()
            self.encoder.projections = nn.ModuleDict({name: nn.Sequential(nn.Linear(size, width)) for name, size in config.input_dims.items()})
            self.encoder.subject_embeddings = nn.Embedding(config.num_subjects + 1, width)
            self.encoder.transformer = nn.TransformerEncoder(block, config.modality_fusion_transformer_num_layers)
            self.predictor = Encoder(
                dim=config.fused_dim,
                depth=config.predictor_transformer_num_layers,
                heads=config.predictor_transformer_num_heads,
                rotary_pos_emb=True,
                rotary_emb_dim=config.head_dim,
                attn_dim_head=config.head_dim,
                use_scalenorm=True,
                attn_flash=flash,
            )
            self.output_head = nn.Linear(config.fused_dim, config.num_rois, bias=False)
            self.register_buffer("pre_tokens", torch.zeros(0, config.fused_dim))

        def forward(self, features, subject_ids):
            tokens = [self.encoder.projections[name](features[name]) for name in sorted(features)]
            steps = tokens[0].shape[1]
            tokens.append(self.encoder.subject_embeddings(subject_ids)[:, None].expand(-1, steps, -1))
            stacked = torch.stack(tokens, dim=2)
            mixed = self.encoder.transformer(stacked.flatten(0, 1))
            return self.output_head(self.predictor(mixed.reshape(len(subject_ids), steps, -1)))

    with torch.device("meta"):
        made = Composition().eval()
    made.load_state_dict(model.state_dict(), strict=True, assign=True)
    return made


def features(rows: int) -> dict[str, Tensor]:
    """Random streams [1, rows, size]."""
    import torch

    from encoder.models.published_config import PublishedVIBEConfig

    generator = torch.Generator().manual_seed(rows)
    return {name: torch.randn(1, rows, size, generator=generator) for name, size in PublishedVIBEConfig().input_dims.items()}


def together(model: nn.Module, streams: dict[str, Tensor]) -> Tensor:
    """All four subjects in one call."""
    import torch

    with torch.inference_mode():
        return model(streams, torch.arange(4))


def one_by_one(model: nn.Module, streams: dict[str, Tensor]) -> Tensor:
    """Each subject in a call of its own, as the reference does."""
    import torch

    with torch.inference_mode():
        return torch.cat([model(streams, torch.tensor([subject])) for subject in range(4)])


def took(work: Callable[[], Tensor]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def peak_of(kind: str, rows: int, weights: Path) -> None:
    """In a process of its own: load, predict once, print the peak and the sizes in bytes as JSON."""
    from safetensors.torch import load_file

    model = ours(load_file(weights))
    out = together(model, features(rows)) if kind == "ours" else one_by_one(reference(model, flash=True), features(rows))
    held = sum(tensor.nbytes for tensor in model.state_dict().values())
    # getrusage would count the process that started this one; /proc counts this program alone
    peak = next(int(line.split()[1]) * 1024 for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    print(json.dumps({"peak": peak, "weights": held, "outputs": out.nbytes}))


def main() -> int:
    """Measure and print the tables; the exit status says whether an aim was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=list(AIMS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-memory", action="store_true", help="leave the peak memory out")
    parser.add_argument("--peak", nargs=3, metavar=("KIND", "ROWS", "WEIGHTS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        peak_of(arguments.peak[0], int(arguments.peak[1]), Path(arguments.peak[2]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "model.safetensors"
        missed = _times(arguments.rows, arguments.rounds, None if arguments.no_memory else weights)
        if not arguments.no_memory:
            missed |= _memory(arguments.rows, weights)
    return int(missed)


def _times(all_rows: list[int], rounds: int, weights: Path | None) -> bool:
    import torch
    from safetensors.torch import save_file

    model = ours()
    if weights is not None:
        save_file(model.state_dict(), weights)
    plain, flash = reference(model, flash=False), reference(model, flash=True)
    missed = False
    print(f"{torch.get_num_threads()} threads, float32\n")
    print("| rows | baseline, attn_flash off | attn_flash on | ours | faster than the better one | aim | largest difference |")
    print("|---|---|---|---|---|---|---|")
    for rows in all_rows:
        streams = features(rows)
        calls = {"off": lambda: one_by_one(plain, streams), "on": lambda: one_by_one(flash, streams), "ours": lambda: together(model, streams)}  # noqa: B023
        expected = [calls["off"](), calls["on"]()]
        answer = calls["ours"]()
        apart = max(float((answer - other).abs().max()) for other in expected)
        seconds: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(rounds):
            for name, call in calls.items():
                seconds[name].append(took(call))
        ratios = [min(off, on) / mine for off, on, mine in zip(*seconds.values(), strict=True)]
        middle = {name: statistics.median(values) for name, values in seconds.items()}
        aim = AIMS.get(rows)
        ratio = min(middle["off"], middle["on"]) / middle["ours"]
        missed |= apart > CLOSE or (aim is not None and ratio < aim)
        print(
            f"| {rows} | {middle['off']:.2f} s | {middle['on']:.2f} s | {middle['ours']:.2f} s | "
            f"{ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f}) | {aim or ''} | {apart:.1e} |",
            flush=True,
        )
    return missed


def _memory(all_rows: list[int], weights: Path) -> bool:
    missed = False
    print("\n| rows | weights and outputs | peak of the baseline | peak of ours | ours / (weights and outputs) | aim |")
    print("|---|---|---|---|---|---|")
    for rows in all_rows:
        got = {}
        for kind in ("reference", "ours"):
            command = [sys.executable, "-m", "benchmarks.predictor", "--peak", kind, str(rows), str(weights)]
            got[kind] = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
        needed = got["ours"]["weights"] + got["ours"]["outputs"]
        share = got["ours"]["peak"] / needed
        missed |= share > MEMORY
        sizes = (needed, got["reference"]["peak"], got["ours"]["peak"])
        print(f"| {rows} | {' | '.join(f'{size / 1e6:.0f} MB' for size in sizes)} | {share:.2f} | {MEMORY} |", flush=True)
    return missed


if __name__ == "__main__":
    sys.exit(main())
