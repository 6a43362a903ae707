"""The configuration of the published VIBE model, apart from its layers: it says what a model takes and needs no torch.

Source: reference page "VIBE", section 2B.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from extractors.grid import TR

STREAMS = ("audio", "text", "video")
"""Order of the streams in the fused vector; the subject token comes last."""


DTYPES = {"float16": "float16", "fp16": "float16", "half": "float16", "bfloat16": "bfloat16", "bf16": "bfloat16"}
DTYPES |= {"float32": "float32", "fp32": "float32", "float": "float32"}
"""Names of number types that a ``config.json`` may use (reference, section 2B), and torch's name of each."""

MOST = {"num_layers": 1000, "num_heads": 1000, "projection_layers": 100, "states": 1000, "layer_index": 1000, "pool_size": 64, "batch_size": 10_000}
"""By the end of a field's name, the largest number that is no slip of the pen; of every other size a million."""
WINDOW_S = (TR, 3600.0)
"""Shortest and longest window of the picture in seconds."""


@dataclass(frozen=True)
class PublishedVIBEConfig:
    """Fields of a published ``config.json`` with their published defaults (reference, section 2B).

    The extractor fields describe where features came from; only the three feature sizes and the pool size shape the network.
    """

    tr: float = 1.49
    num_subjects: int = 4
    num_rois: int = 1000
    modality_fusion_transformer_num_layers: int = 1
    modality_fusion_transformer_num_heads: int = 4
    modality_fusion_transformer_dim: int = 1024
    modality_fusion_transformer_fuse_mode: str = "concat"
    modality_fusion_transformer_num_projection_layers: int = 1
    predictor_transformer_num_heads: int = 8
    predictor_transformer_num_layers: int = 3
    text_extractor: str = "Qwen/Qwen2.5-14B"
    text_extractor_feature_size: int = 5120
    text_extractor_dtype: str = "float16"
    text_extractor_num_last_hidden_states: int = 4
    video_extractor: str = "facebook/vjepa2-vitg-fpc64-256"
    video_extractor_feature_size: int = 1408
    video_extractor_pool_size: int = 2
    video_extractor_dtype: str = "bfloat16"
    video_extractor_num_last_hidden_states: int = 3
    video_extractor_chunk_length_seconds: float = 16
    video_extractor_batch_size: int = 8
    audio_extractor: str = "MIT/ast-finetuned-audioset-10-10-0.4593"  # ours: the published files leave it unsaid
    audio_extractor_last_layer_index: int = 2
    audio_extractor_batch_size: int = 32
    audio_extractor_feature_size: int = 1536

    def __post_init__(self):
        self._check_kinds()
        for field in ("text_extractor_dtype", "video_extractor_dtype"):
            value = str(getattr(self, field)).removeprefix("torch.")
            if value not in DTYPES:
                raise ValueError(f"{field}: allowed values are {', '.join(DTYPES)}, but got {value!r} instead.")
            object.__setattr__(self, field, DTYPES[value])
        if self.modality_fusion_transformer_fuse_mode not in ("concat", "mean"):
            raise ValueError(
                "modality_fusion_transformer_fuse_mode: allowed values are 'concat' and 'mean', "
                f"but got {self.modality_fusion_transformer_fuse_mode!r} instead."
            )
        for size, heads, what in (
            (self.modality_fusion_transformer_dim, self.modality_fusion_transformer_num_heads, "fusion dimension"),
            (self.fused_dim, self.predictor_transformer_num_heads, "fused dimension"),
        ):
            if heads < 1 or size % heads:
                raise ValueError(f"The {what} ({size}) must be a multiple of its number of heads ({heads}).")
        if self.head_dim % 2:
            raise ValueError(f"Rotary positions need an even head size, but got {self.head_dim} instead.")

    def _check_kinds(self) -> None:
        """A file may hold anything; what is of another kind or beyond all measure would fail late, or never end."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "int":
                most = next((most for end, most in MOST.items() if field.name.endswith(end)), 10**6)
                if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
                    raise ValueError(f"{field.name}: must be a whole number from 1 to {most}, but got {str(value)[:40]!r} instead.")
            elif field.type == "float":
                if not isinstance(value, int | float) or isinstance(value, bool) or not WINDOW_S[0] <= value <= WINDOW_S[1]:
                    raise ValueError(f"{field.name}: must be {WINDOW_S[0]} to {WINDOW_S[1]:.0f} seconds, but got {str(value)[:40]!r} instead.")
            elif field.name.endswith("_extractor") and not (isinstance(value, str) and 0 < len(value.strip()) <= 500 and value.isprintable()):
                raise ValueError(f"{field.name}: must be the name of a model or folder, but got {str(value)[:40]!r} instead.")
        if abs(self.tr - TR) > 1e-9:
            raise ValueError(f"tr: this program predicts in steps of {TR} s only, but got {self.tr} instead.")

    @property
    def input_dims(self) -> dict[str, int]:
        """Feature size per stream, in the model's order."""
        return {
            "audio": self.audio_extractor_feature_size,
            "text": self.text_extractor_feature_size,
            "video": self.video_extractor_feature_size * self.video_extractor_pool_size**2,
        }

    @property
    def fused_dim(self) -> int:
        """Width of the predictor: four tokens side by side, or their mean."""
        tokens = len(STREAMS) + 1 if self.modality_fusion_transformer_fuse_mode == "concat" else 1
        return tokens * self.modality_fusion_transformer_dim

    @property
    def head_dim(self) -> int:
        """Channels of one attention head of the predictor."""
        return self.fused_dim // self.predictor_transformer_num_heads

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> tuple[PublishedVIBEConfig, tuple[str, ...]]:
        """Build from a ``config.json``; the second item lists the keys that are no field of this class and were ignored."""
        known = {field.name for field in fields(cls)}
        ignored = tuple(sorted(key for key in values if key not in known))
        return cls(**{key: value for key, value in values.items() if key in known}), ignored

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for a ``config.json``."""
        return asdict(self)
