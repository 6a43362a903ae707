"""The text stream of published VIBE models, ``vibe-text-1``: what a language model of the Qwen2.5 family makes of the words, per TR.

The whole transcript goes through the model in one pass, one line per TR, after a first line with the priming phrase; so a word is read
with everything said before it. A token belongs to the first TR whose characters (with the line's end) it overlaps. A row is the mean of the
last hidden states over the TR's tokens; no logits are computed and nothing is kept of the layers but that mean.

Source: reference page "VIBE", section 3B "Text". What the training used for silent TRs is unknown; strings are used as they are given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from extractors.backbone import Backbone, Placement
from extractors.cache import content_key
from extractors.clip import Clip
from extractors.errors import ModelError
from extractors.grid import TR
from extractors.hub_files import LocalModel, sha256_of
from extractors.in_thread import Tell, in_thread
from extractors.priming import priming_phrase
from extractors.stages import Stage, stage_clock
from extractors.streams import Stream
from extractors.transcript import Transcript
from settings import Settings

if TYPE_CHECKING:
    from torch import nn

EXTRACTOR = "vibe-text-1"
UNPRIMED = (
    "The phrase that VIBE's authors put before every transcript could not be fetched from their repository, so the text stream differs a little "
    "from the published model's; connect to the network once and run again."
)


class VibeText:
    """Extractor of the text stream.

    Parameters
    ----------
    local : LocalModel
        A Qwen2 model with its tokenizer, with or without its output head.
    weights : str
        What identifies its weights (:func:`extractors.hub_files.weights_id`).
    states : int
        How many of the last hidden states are averaged; the very last one is taken after the final norm.
    placement : Placement
    settings : Settings
        Where the priming phrase is kept.
    """

    stream = "text"
    window_s = 0.0

    def __init__(self, local: LocalModel, *, weights: str, states: int = 4, placement: Placement = Placement(), settings: Settings):
        self.local = local
        self.weights = weights
        self.states = states
        self.placement = placement
        self.settings = settings

    @property
    def id(self) -> str:
        """Id with its version and its backbone."""
        return f"{EXTRACTOR} {self.local.name}"

    @property
    def dim(self) -> int:
        """Columns of the stream."""
        return self.backbone.config.hidden_size

    @cached_property
    def backbone(self) -> Backbone:
        """The language model; ModelError ``no_such_layer`` when it has fewer hidden states than are wanted."""
        backbone = Backbone(self.local, "Qwen2Model", placement=self.placement)
        available = backbone.config.num_hidden_layers + 1
        if not 1 <= self.states <= available:
            raise ModelError(
                "no_such_layer",
                f"The number of hidden states of the words must be 1 to {available} for {self.local.name}, but got {self.states} instead.",
                "Correct text_extractor_num_last_hidden_states in the model's config.json.",
            )
        return backbone

    @cached_property
    def phrase(self) -> str | None:
        """The priming phrase, asked for once, so that a stream and its key agree."""
        return priming_phrase(self.settings)

    @cached_property
    def _tokenizer_sha256(self) -> str | None:
        path = self.local.folder / "tokenizer.json"
        return sha256_of(path) if path.is_file() else None

    def content(self, clip: Clip, transcript: Transcript) -> dict[str, Any] | None:
        """See :class:`extractors.streams.StreamExtractor`."""
        if transcript.source == "none":
            return None
        parameters = {
            "states": self.states,
            "context": self.backbone.config.max_position_embeddings,
            "priming": hashlib.sha256(self.phrase.encode()).hexdigest() if self.phrase is not None else None,
        }
        track = content_key(rows=list(transcript.text_per_tr))
        made_by = {"weights": self.weights, "config": self.backbone.fingerprint, "tokenizer": self._tokenizer_sha256, "dtype": self.placement.dtype}
        return {"extractor": EXTRACTOR, "track": track, **made_by, "parameters": parameters}

    def compute(self, clip: Clip, transcript: Transcript) -> Iterator[Stage | Stream]:
        """See :class:`extractors.streams.StreamExtractor`."""
        layers = self.backbone.config.num_hidden_layers

        def read(tell: Tell) -> Stream:
            tell()
            ids, rows = self._tokens(transcript.text_per_tr)
            context = self.backbone.config.max_position_embeddings
            unseen = sorted(set(rows[context:].tolist()) - {-1})
            warnings = () if self.phrase is not None else (UNPRIMED,)
            if unseen:
                warnings = (*warnings, _too_long(len(ids), context, unseen[0]))
            with self.backbone.using(tell) as module:
                array = self._mean_states(module, ids[:context], rows[:context], transcript.n_trs, tell)
            return Stream(array, warnings, tuple(unseen))

        at = stage_clock("text", layers)
        found = yield from in_thread("text", layers, f"Loading {self.local.name.rpartition('/')[2]}", read)
        yield at(layers, "Words analysed")
        yield found

    def _tokens(self, lines: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Ids and TRs (-1: none) of all tokens, int64 [tokens] each; ModelError ``tokenizer_unusable``."""
        from tokenizers import Tokenizer

        text, spans = prompt(lines, self.phrase)
        try:
            tokenizer = Tokenizer.from_file(str(self.local.folder / "tokenizer.json"))
        except Exception:  # the library raises nothing more special
            raise ModelError(
                "tokenizer_unusable",
                f"{self.local.name} has no tokenizer.json that can be used.",
                "Get the model's files again, with all its tokenizer files.",
            ) from None
        tokenizer.no_truncation()
        tokenizer.no_padding()
        found = tokenizer.encode(text)
        if max(found.ids, default=0) >= self.backbone.config.vocab_size:  # on a GPU this would break more than this run
            raise ModelError("tokenizer_unusable", f"The tokenizer of {self.local.name} belongs to another model.", "Get the model's files again.")
        return np.array(found.ids, np.int64), rows_of_tokens(found.offsets, spans)

    def _mean_states(self, module: nn.Module, ids: np.ndarray, rows: np.ndarray, n_trs: int, tell: Tell) -> np.ndarray:
        """Mean of the last hidden states over each TR's tokens, float32 [n_trs, dim]; rows without tokens are zeros."""
        import torch

        order = np.argsort(rows, kind="stable")[np.count_nonzero(rows < 0) :]
        spoken, counts = np.unique(rows[order], return_counts=True)
        array = np.zeros((n_trs, module.config.hidden_size), np.float32)
        if not len(spoken):
            return array
        device = module.embed_tokens.weight.device
        places, counts = torch.from_numpy(order).to(device), counts.tolist()
        total = torch.zeros((len(spoken), array.shape[1]), dtype=torch.float32, device=device)

        def add(layer: nn.Module, inputs: tuple, output: Any) -> None:
            states = output[0] if isinstance(output, tuple) else output
            total.add_(torch.stack([own.mean(0, dtype=torch.float32) for own in states[0, places].split(counts)]))

        layers = module.layers
        entries = [module.embed_tokens, *layers[:-1], module.norm]  # the output of the last block is only read after the norm
        with ExitStack() as hooks:
            for part in entries[-self.states :]:
                hooks.callback(part.register_forward_hook(add).remove)
            for done, layer in enumerate(layers, 1):
                hooks.callback(layer.register_forward_hook(_told(tell, done, len(layers))).remove)
            module(input_ids=torch.from_numpy(ids)[None].to(device), use_cache=False)
        array[spoken] = (total / self.states).cpu().numpy()
        return array


def prompt(lines: Sequence[str], phrase: str | None) -> tuple[str, list[tuple[int, int]]]:
    """The text a model reads, and first and last (exclusive) character of each TR's line in it.

    Half surrogate pairs, which no tokenizer takes, become question marks; nothing else is changed.
    """
    parts = [f"[Metadata]: {phrase or ''}\n"]
    spans, position = [], len(parts[0])
    for line in lines:
        parts.append(line.encode("utf-8", "replace").decode("utf-8") + "\n")
        spans.append((position, position + len(parts[-1])))
        position = spans[-1][1]
    return "".join(parts), spans


def rows_of_tokens(offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]) -> np.ndarray:
    """TR of each token: the first whose characters it overlaps, -1 for none.

    Parameters
    ----------
    offsets : sequence of (int, int)
        First and last (exclusive) character of each token.
    spans : sequence of (int, int)
        Of each TR, one right behind the other, none empty.

    Returns
    -------
    numpy.ndarray of int64, shape [tokens]
    """
    if not len(spans):
        return np.full(len(offsets), -1, np.int64)
    starts, stops = np.array(spans, np.int64).T
    first, last = np.array(offsets, np.int64).reshape(-1, 2).T
    row = np.searchsorted(stops, first, side="right")  # the first TR that ends behind the token's beginning
    inside = row < len(spans)
    inside[inside] = last[inside] > starts[row[inside]]
    return np.where(inside, row, -1)


def _told(tell: Tell, done: int, layers: int) -> Any:
    def hook(*_: Any) -> None:
        tell(done, f"Words: {done} of {layers} layers")

    return hook


def _too_long(tokens: int, context: int, row: int) -> str:
    minutes, seconds = divmod(int(row * TR), 60)
    return (
        f"The transcript is {tokens:,} tokens long, but the language model reads {context:,}: what is said from TR {row} on "
        f"({minutes}:{seconds:02d} of the film) was left out."
    )
