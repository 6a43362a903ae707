"""A published-format model stage by stage against the reference's order of work: ``python -m benchmarks.published --size small``.

Backbones and predictor have the published shapes (``--size published --device cuda``: Qwen2.5-14B, V-JEPA 2 ViT-g, AST; needs a GPU of 48 GB
or more) or small ones (``--size small``, for a CPU), with random weights that are made on the device and never lie on disk, so loading is not
timed. The clip is the longest example, cut to ``--seconds``.

The baseline does what the published port does, with the same weights, number types and batches: text through the causal model with logits and all
hidden states; sound with one spectrogram per window, all layers and all hidden states; picture with one decode per window, V-JEPA 2's own predictor
and all hidden states; and the predictor once for each subject. Both sides are measured in turn, after one warm-up each.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from encoder.models.published import PublishedVIBE
from encoder.models.published_config import PublishedVIBEConfig
from experiments.examples import load_example
from experiments.intake import admitted
from extractors.backbone import Backbone, Placement
from extractors.clip import Clip
from extractors.extract import extract
from extractors.grid import TR
from extractors.hub_files import LocalModel
from extractors.stages import last
from extractors.streams import ExtractorSet
from extractors.tr_table import table_from_words
from extractors.transcript import Transcript
from extractors.vibe_audio import VibeAudio
from extractors.vibe_text import VibeText
from extractors.vibe_video import VibeVideo
from extractors.warm import POOL
from settings import Settings

EXAMPLE = "a-story-told"
CLASSES = {"text": "Qwen2Model", "audio": "ASTModel", "video": "VJEPA2Model"}
SHAPES: dict[str, dict[str, dict[str, Any]]] = {
    "published": {
        "text": {"vocab_size": 152064, "hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 48, "num_attention_heads": 40,
                 "num_key_value_heads": 8, "max_position_embeddings": 131072},
        "audio": {},
        "video": {"hidden_size": 1408, "num_hidden_layers": 40, "num_attention_heads": 22, "mlp_ratio": 48 / 11, "crop_size": 256,
                  "frames_per_clip": 64},
        "predictor": {},
    },
    "small": {
        "text": {"vocab_size": 152064, "hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 6, "num_attention_heads": 8,
                 "num_key_value_heads": 2, "max_position_embeddings": 32768},
        "audio": {"hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 768},
        "video": {"hidden_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4, "crop_size": 64, "frames_per_clip": 64},
        "predictor": {"modality_fusion_transformer_dim": 128},
    },
}  # fmt: skip
"""Published: the figures of the three models' own configurations."""


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SHAPES, default="small")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), chosen.size, chosen.device, chosen.seconds)
        print(bench.about)
        print("| stage | the reference's order | here | ratio | largest difference |\n|---|---|---|---|---|")
        totals = [0.0, 0.0]
        for stage in ("text", "audio", "video", "predictor"):
            theirs, ours = bench.reference(stage), bench.ours(stage)
            differ = float(np.abs(theirs() - ours()).max())
            seconds = [statistics.median(times) for times in zip(*(measured(theirs, ours) for _ in range(chosen.rounds)), strict=True)]
            totals = [total + part for total, part in zip(totals, seconds, strict=True)]
            print(f"| {stage} | {seconds[0]:.2f} s | {seconds[1]:.2f} s | {seconds[0] / seconds[1]:.1f} | {differ:.1e} |", flush=True)
            bench.forget(stage)
        print(f"| all | {totals[0]:.2f} s | {totals[1]:.2f} s | {totals[0] / totals[1]:.1f} | |")
        if chosen.device.startswith("cuda"):
            for low_mem in (False, True):
                print(f"peak GPU memory of the streams, {'one backbone at a time' if low_mem else 'all warm'}: {bench.peak(low_mem) / 1e9:.1f} GB")


def measured(*jobs: Callable[[], Any]) -> list[float]:
    """Seconds of each job, in turn."""
    seconds = []
    for job in jobs:
        begun = time.perf_counter()
        job()
        seconds.append(time.perf_counter() - begun)
    return seconds


class Bench:
    """One clip, random backbones of one size on one device."""

    def __init__(self, folder: Path, size: str, device: str, seconds: float):
        self.folder, self.size, self.device = folder, size, device
        self.half = {"text": "float16", "video": "bfloat16"} if device.startswith("cuda") else {}
        self.settings = Settings(cache_dir=folder / "cache")
        self.clip, self.transcript = self._material(seconds)
        self.about = f"{self.clip.n_trs} TRs, {len(self.transcript.words)} words, {size} shapes, {device}"
        for part in CLASSES:
            self._write(part)
        self._weights: dict[str, Any] = {}
        Backbone._load = lambda backbone, tell: self._loaded(backbone)

    def _material(self, seconds: float) -> tuple[Clip, Transcript]:
        _, example = load_example(EXAMPLE)
        clip = last(admitted(example.clip.path, settings=self.settings, allow_short=True))
        rows = min(clip.n_trs, int(seconds / TR + 1e-6))
        words = [word for word in example.transcript.words if word.offset < rows * TR]
        return replace(clip, n_trs=rows), table_from_words(words, rows, source="example", timing="given")

    def _write(self, part: str) -> None:
        """``config.json`` and what belongs to it, without weights."""
        import transformers

        from tests.tiny_vibe import tiny_text

        place = self.folder / part
        if part == "text":
            tiny_text(place)  # its tokenizer; the words are few, so the tokens are a few more than Qwen's own would be
            (place / "model.safetensors").unlink()
        config = getattr(transformers, CLASSES[part]).config_class(**SHAPES[self.size][part])
        config.save_pretrained(place)

    def local(self, part: str) -> LocalModel:
        """A folder that names no weights."""
        return LocalModel(part, self.folder / part, None, (), 0)

    def network(self, part: str) -> Any:
        """The whole network with random weights, made once on the device; a head and V-JEPA 2's own predictor are in it for the baseline."""
        import torch
        import transformers

        if part not in self._weights:
            whole = {"text": "Qwen2ForCausalLM"}.get(part, CLASSES.get(part, ""))
            torch.manual_seed(0)
            before = torch.get_default_dtype()
            torch.set_default_dtype(getattr(torch, self.half.get(part, "float32")))
            try:
                with torch.device(self.device):
                    if part == "predictor":
                        module = PublishedVIBE(self._config())
                    else:
                        config = json.loads((self.folder / part / "config.json").read_text())
                        kind = getattr(transformers, whole)
                        module = kind._from_config(kind.config_class(**config), attn_implementation="sdpa")
            finally:
                torch.set_default_dtype(before)
            self._weights[part] = module.eval().requires_grad_(False)
        module = self._weights[part]
        return module.model if part == "text" else module

    def _loaded(self, backbone: Backbone) -> Any:
        """Stands in for reading from disk: the random network, with only the layers that the extractor asks for."""
        module = copy.copy(self.network(next(part for part, name in CLASSES.items() if name == backbone.model_class)))
        module._modules = dict(module._modules)
        if "num_hidden_layers" in backbone.changes:
            module.layers = module.layers[: backbone.changes["num_hidden_layers"]]
        return module

    def _config(self) -> PublishedVIBEConfig:
        shapes = SHAPES[self.size]
        kinds = {part: json.loads((self.folder / part / "config.json").read_text()) for part in CLASSES}
        return PublishedVIBEConfig(
            text_extractor_feature_size=kinds["text"]["hidden_size"],
            audio_extractor_feature_size=2 * kinds["audio"]["hidden_size"],
            video_extractor_feature_size=kinds["video"]["hidden_size"],
            **shapes["predictor"],
        )

    def extractor(self, part: str, *, keep: bool = True) -> Any:
        """Ours."""
        placement = Placement(self.device, self.half.get(part, "float32"), {"audio": 32, "video": 8}.get(part, 1), keep=keep)
        given = {"weights": "random", "placement": placement}
        if part == "text":
            return VibeText(self.local(part), settings=self.settings, **given)
        if part == "audio":
            return VibeAudio(self.local(part), layer_index=2, **given)
        return VibeVideo(self.local(part), **given)

    def ours(self, stage: str) -> Callable[[], np.ndarray]:
        """What Cineglass does for a stage."""
        import torch

        if stage == "predictor":
            module, batch = self.network(stage), self._streams()

            def four() -> np.ndarray:
                with torch.inference_mode():
                    return module(batch, torch.arange(4, device=self.device)).cpu().numpy()

            return four
        extractor = self.extractor(stage)
        return lambda: last(extractor.compute(self.clip, self.transcript)).array

    def reference(self, stage: str) -> Callable[[], np.ndarray]:
        """What the published port does for a stage."""
        import torch

        module = self.network(stage)
        whole = self._weights[stage]
        how = {"text": reference_text, "audio": reference_audio, "video": reference_video}

        def run() -> np.ndarray:
            with torch.inference_mode():
                if stage == "predictor":
                    batch = self._streams()
                    return torch.cat([module(batch, torch.tensor([row], device=self.device)) for row in range(4)]).cpu().numpy()
                return how[stage](whole, self.clip, self.transcript, self.folder / stage, self.device)

        return run

    def _streams(self) -> dict[str, Any]:
        import torch

        generator = torch.Generator().manual_seed(0)
        dims = self._config().input_dims
        return {name: torch.randn(1, self.clip.n_trs, size, generator=generator).to(self.device) for name, size in dims.items()}

    def forget(self, part: str) -> None:
        """Free a part's weights."""
        import torch

        POOL.clear()
        self._weights.pop(part, None)
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()

    def peak(self, low_mem: bool) -> int:
        """Most bytes on the GPU while the streams are made."""
        import torch

        for part in CLASSES:
            self.forget(part)
        torch.cuda.reset_peak_memory_stats()
        extractors = {part: self.extractor(part, keep=not low_mem) for part in CLASSES}
        made = ExtractorSet(**extractors, together=False)
        for item in extract(self.clip, self.transcript, extractors=made):
            if low_mem and getattr(item, "finished", False):
                self._weights.pop(item.name, None)
        return torch.cuda.max_memory_allocated()


def reference_text(model: Any, clip: Clip, transcript: Transcript, folder: Path, device: str) -> np.ndarray:
    """Logits of every token and all hidden states; the mean of the last four per TR."""
    import torch
    from transformers import AutoTokenizer

    from extractors.vibe_text import prompt, rows_of_tokens

    text, spans = prompt(list(transcript.text_per_tr), None)
    encoded = AutoTokenizer.from_pretrained(folder)(text, return_offsets_mapping=True)
    rows = rows_of_tokens(encoded["offset_mapping"], spans)
    output = model(torch.tensor([encoded["input_ids"]], device=device), output_hidden_states=True)
    mean = torch.stack(output.hidden_states[-4:]).mean(0)[0].float().cpu().numpy()
    assert output.logits.shape[1] == len(rows)
    stream = np.zeros((clip.n_trs, mean.shape[1]), np.float32)
    for row in range(clip.n_trs):
        if (rows == row).any():
            stream[row] = mean[rows == row].mean(0)
    return stream


def reference_audio(model: Any, clip: Clip, transcript: Transcript, folder: Path, device: str) -> np.ndarray:
    """A spectrogram for each window, 32 windows at a time."""
    import torch
    from transformers import ASTFeatureExtractor

    from extractors.vibe_audio import patches_of, samples_of

    samples = np.asarray(clip.samples())
    spectrogram = ASTFeatureExtractor()
    stream = []
    for start in range(0, clip.n_trs, 32):
        rows = range(start, min(start + 32, clip.n_trs))
        given = [spectrogram(samples[slice(*samples_of(row))], sampling_rate=16_000, return_tensors="pt").input_values for row in rows]
        states = model(torch.cat(given).to(device), output_hidden_states=True).hidden_states[-2][:, 2:].float().cpu()
        tokens = states.unflatten(1, (12, 101)).mean(1)
        for row, token in zip(rows, tokens, strict=True):
            part = token[slice(*patches_of(row, 101))]
            stream.append(torch.cat([part.mean(0), part.std(0, correction=0)]).numpy())
    return np.stack(stream)


def reference_video(model: Any, clip: Clip, transcript: Transcript, folder: Path, device: str) -> np.ndarray:
    """64 pictures decoded for each window, 8 windows at a time."""
    import torch
    from decord import VideoReader

    from extractors.vibe_video import MEAN, STD, plan_windows

    size = model.config.crop_size
    dtype = next(model.parameters()).dtype
    film = VideoReader(str(clip.path), width=size, height=size)
    windows = plan_windows(clip.n_trs, film.get_avg_fps(), len(film))
    mean, std = (torch.tensor(value, dtype=dtype)[:, None, None] for value in (MEAN, STD))
    grid = size // model.config.patch_size
    stream = []
    for start in range(0, clip.n_trs, 8):
        shown = windows[start : start + 8]
        batch = []
        for window in shown:
            there = [number for number in window.frames if number >= 0]
            pictures = torch.from_numpy(film.get_batch(there).asnumpy()).permute(0, 3, 1, 2).to(dtype)
            absent = torch.zeros(len(window.frames) - len(there), 3, size, size, dtype=dtype)
            batch.append(torch.cat([absent, (pictures / 255 - mean) / std]))
        output = model(torch.stack(batch).to(device), output_hidden_states=True)
        entries = [*output.hidden_states[-3:-1], model.encoder.layernorm(output.hidden_states[-1])]
        states = torch.stack(entries).mean(0).unflatten(1, (-1, grid, grid)).float()
        for window, state in zip(shown, states, strict=True):
            tokens = torch.nn.functional.adaptive_avg_pool2d(state.permute(0, 3, 1, 2), 2).flatten(1)
            stream.append(tokens[slice(*window.tokens)].mean(0).cpu().numpy())
    return np.stack(stream)


if __name__ == "__main__":
    main()
