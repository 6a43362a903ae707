"""Every setting of the app, in one frozen object.

Each field can be set by an environment variable: its name in capitals behind ``CINEGLASS_`` (``CINEGLASS_MAX_DURATION_S=600``).
Gradio's own ``GRADIO_SERVER_NAME`` and ``GRADIO_SERVER_PORT`` are honoured too.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent
ASSETS = ROOT / "assets"


class SettingsError(ValueError):
    """A setting in the environment that cannot be used; ``str`` is one plain sentence for whoever set it."""


class Settings(BaseSettings):
    """Settings of one process; build it once with :func:`get_settings`, or directly in tests with keyword arguments."""

    model_config = SettingsConfigDict(env_prefix="CINEGLASS_", frozen=True, populate_by_name=True, extra="ignore")

    # the door
    host: str = Field("127.0.0.1", validation_alias=AliasChoices("CINEGLASS_HOST", "GRADIO_SERVER_NAME"))
    port: int = Field(7860, ge=1, le=65535, validation_alias=AliasChoices("CINEGLASS_PORT", "GRADIO_SERVER_PORT"))
    runs_at_once: int = Field(1, ge=1, description="runs that compute at the same time; the others wait in line")
    queue_size: int = Field(20, ge=1, description="visitors who may wait for a run; the next one is told politely")

    # what is kept, and for how long
    cache_dir: Path = Field(Path.home() / ".cache" / "cineglass", description="features, canonical clips, runs")
    cache_max_gb: float = Field(5.0, gt=0, description="bound of features, of clips and of results each; what was used longest ago goes first")
    keep_hours: float = Field(24.0, gt=0, description="how long an uploaded clip and its result stay on this machine")

    # the media gate
    min_trs: int = Field(10, ge=1)
    max_duration_s: float = Field(15 * 60.0, gt=0)
    max_upload_mb: int = Field(300, ge=1)
    max_long_side: int = Field(4096, ge=16, description="pixels")
    max_fps: float = Field(120.0, gt=0)
    max_pixel_rate: float = Field(550e6, gt=0, description="decoded pixels per second of film (4K at 60 fps is 498e6)")
    max_streams: int = Field(16, ge=1)
    gate_timeout_s: float = Field(600.0, gt=0, description="wall-clock limit of the decoding process")
    gate_memory_mb: int = Field(2048, ge=256, description="memory limit of the decoding process")
    canonical_height: int = Field(720, ge=64, description="the longest side upright is at most 16:9 of this")

    # speech
    recogniser: Literal["auto", "whisper", "sphinx", "none"] = "auto"
    whisper_model: str = Field("small", description="size on the hub, or a folder that holds a CTranslate2 model")
    whisper_device: Literal["auto", "cpu", "cuda"] = "auto"
    language: str | None = Field(None, description="two-letter code; None lets Whisper find it")
    speech_processes: int = Field(2, ge=1, le=16)

    # the model
    model: str = "vibe-sim"
    models: str = Field("", description="further models the page offers: folders or hub names, with commas between them")
    results_dir: Path | None = Field(None, description="folder of finished results (see the command bake) that the page lists as examples")
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    low_mem: bool = Field(False, description="load one backbone at a time and free it after use")
    memory_gb: float | None = Field(None, gt=0, description="host memory a run may plan with; None reads what is free")
    gpu_memory_gb: float | None = Field(None, gt=0, description="GPU memory a run may plan with; None reads what is free")
    vjepa_states: Literal["4.57", "5"] = Field("4.57", description="whose convention of V-JEPA 2 hidden states: that transformers version's")


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once from the environment; SettingsError for one that cannot be used."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = "CINEGLASS_" + str(first["loc"][0]).upper().removeprefix("CINEGLASS_")
        raise SettingsError(f"The setting {name} cannot be {str(first['input'])[:60]!r}: {first['msg'].lower()}.") from None
