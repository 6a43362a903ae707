"""The published text stream against the causal-LM forward with logits: ``python -m benchmarks.vibe_text [--minutes 10] [--rounds 3]``.

A Qwen2 model with the vocabulary of Qwen2.5 (152,064) and random weights, of the width of Qwen2.5-0.5B and a third of its depth, reads the same
transcript both ways, in turn, each time in a process of its own with the same threads and number type. The baseline is the reference's order of work
(reference page "VIBE", section 3B): the model with its output head, every hidden state kept, logits for every token, then the mean of the last four
states and of each TR's tokens. Time is that of a second pass with the weights loaded; memory is the process's peak above what it had before loading.
The output head is half of this model's multiplications, of a 14B model's one twentieth: expect less to gain in time there.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
VOCABULARY, WIDTH, LAYERS, STATES = 152_064, 896, 8, 4
PHRASE = "[Instruction]: a phrase of the length of the published one. " * 6
WORDS = ("the", "quick", "brown", "fox", "jumps", "over", "lazy", "dog", "once", "upon", "there", "was", "little", "boy", "who", "lived", "by", "sea")


def model_in(folder: Path) -> None:
    """A random model and a byte-level tokenizer."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from tests.tiny_vibe import tiny_text

    tiny_text(folder)
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=4864,
        num_hidden_layers=LAYERS,
        num_attention_heads=14,
        num_key_value_heads=2,
        max_position_embeddings=131_072,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)


def lines_of(rows: int) -> list[str]:
    random = np.random.default_rng(0)
    return [" ".join(random.choice(WORDS, 4)) if random.uniform() < 0.8 else "" for _ in range(rows)]


def ours(folder: Path, rows: int):
    from extractors import vibe_text
    from extractors.backbone import Placement
    from extractors.clip import Clip
    from extractors.hub_files import find_local
    from extractors.stages import last
    from extractors.transcript import Transcript
    from settings import Settings

    vibe_text.priming_phrase = lambda settings: PHRASE
    clip = Clip(None, None, "sha", "v", None, "a", rows * 1.49, rows, 25.0, 160, 120)
    transcript = Transcript(tuple(lines_of(rows)), *[((),) * rows] * 3, source="file a")
    extractor = vibe_text.VibeText(
        find_local(folder), weights="w", states=STATES, placement=Placement(keep=True), settings=Settings(cache_dir=folder)
    )
    return lambda: last(extractor.compute(clip, transcript)).array


def baseline(folder: Path, rows: int):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from extractors.vibe_text import prompt, rows_of_tokens

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()

    def read() -> np.ndarray:
        text, spans = prompt(lines_of(rows), PHRASE)
        encoded = tokenizer(text, return_offsets_mapping=True, verbose=False)
        row = rows_of_tokens(encoded["offset_mapping"], spans)
        with torch.inference_mode():
            output = model(torch.tensor([encoded["input_ids"]]), output_hidden_states=True)
            mean = torch.stack(output.hidden_states[-STATES:]).mean(0)[0].numpy()
        stream = np.zeros((rows, WIDTH), np.float32)
        for k in np.unique(row[row >= 0]):
            stream[k] = mean[row == k].mean(0)
        return stream

    return read


def child(way: str, folder: Path, rows: int) -> None:
    import torch
    import transformers.models.qwen2.modeling_qwen2  # noqa: F401  both need it; neither is charged for it

    torch.set_num_threads(2)
    before = int(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")).split()[1])
    read = {"ours": ours, "baseline": baseline}[way](folder, rows)
    read()
    start, worked = time.perf_counter(), time.process_time()
    array = read()
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    np.save(folder / f"{way}.npy", array)
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "memory_mb": (peak - before) / 1024}))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        way, folder, rows = options.child
        child(way, Path(folder), int(rows))
        return
    rows = int(options.minutes * 60 / 1.49)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        model_in(folder)
        measured: dict[str, list[dict[str, float]]] = {"ours": [], "baseline": []}
        for _ in range(options.rounds):
            for way, results in measured.items():
                command = [sys.executable, "-m", "benchmarks.vibe_text", "--child", way, place, str(rows)]
                answer = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
                results.append(json.loads(answer.splitlines()[-1]))
        apart = np.abs(np.load(folder / "ours.npy") - np.load(folder / "baseline.npy")).max()
        from extractors.vibe_text import prompt

        tokens = _tokens(folder, prompt(lines_of(rows), PHRASE)[0])
    found = {way: {what: statistics.median(result[what] for result in results) for what in results[0]} for way, results in measured.items()}
    print(f"{rows} TRs, {tokens:,} tokens, {options.rounds} rounds in turn, medians; largest difference {apart:.1e}\n")
    print("| | ours | causal LM with logits | ratio |\n|---|---|---|---|")
    for what, name, unit in (("seconds", "time", "s"), ("cpu_seconds", "time on the cores", "s"), ("memory_mb", "peak memory", "MB")):
        mine, theirs = found["ours"][what], found["baseline"][what]
        print(f"| {name} | {mine:,.1f} {unit} | {theirs:,.1f} {unit} | {mine / theirs:.2f} |")


def _tokens(folder: Path, text: str) -> int:
    from tokenizers import Tokenizer

    return len(Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids)


if __name__ == "__main__":
    main()
