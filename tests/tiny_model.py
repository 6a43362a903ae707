"""A tiny random model in the embedded model's format, for tests that need some model and not a trained one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from encoder.atlas import NETWORK_NAMES
from encoder.cards import Card, write_card
from encoder.checkpoints import save_pretrained
from encoder.frontend import FrontEnd
from encoder.models.published import PublishedVIBE, PublishedVIBEConfig
from extractors.features import STREAMS, Features


def tiny_features(dims: dict[str, int], extractors: dict[str, str], *, rows: int = 40, seed: int = 0, **present: bool) -> Features:
    """Random features; ``audio=False`` and so on make a stream absent."""
    rng = np.random.default_rng(seed)
    there = {stream: present.get(stream, True) for stream in STREAMS}
    arrays = {stream: rng.normal(size=(rows, dims[stream])).astype(np.float32) * there[stream] for stream in STREAMS}
    return Features(arrays, there, extractors, window_s=4.0)


def tiny_card(weights_sha256: str, **changes) -> Card:
    """A card that says honestly that nobody trained this."""
    figure = {"r": 0.1, "ceiling": 0.5, "ridge": 0.2, "slope": 1.0, "parcels": 10, "interval": (0.05, 0.15)}
    values = {
        "model_id": "tiny",
        "modality": "fmri",
        "training_dataset": "none",
        "species": "none",
        "stimuli": "films",
        "model_type": "transformer",
        "creator": "tests",
        "description": "Random weights.",
        "input": {"type": "film file", "shape": [1], "description": "A film."},
        "output": {
            "type": "float32",
            "shape": ["n_trs", 1000],
            "description": "Noise.",
            "dimensions": [{"name": "n_trs", "description": "TRs"}, {"name": "parcels", "description": "parcels"}],
        },
        "parameters": {
            "subject": {
                "type": "int",
                "valid_values": [1, 2, 3, 5],
                "default": 1,
                "description": "Whose responses.",
                "function": "get_encoding_model, encode",
            }
        },
        "references": [{"Nobody": "https://example.org"}],
        "title": "Tiny random model",
        "badge": "Random weights",
        "simulated": True,
        "trained_on": "Nothing.",
        "licence": "MIT",
        "citation": ["none"],
        "limits": ["Believe none of it."],
        "resources": "None.",
        "loss": "none",
        "calibrated": "no",
        "accuracy": "never tested on measured brains",
        "usual_sd": 0.3,
        "weights_sha256": weights_sha256,
        "recovery": [{"id": "generated", "label": "None", "valid_trs": 10, "all": figure, "networks": dict.fromkeys(NETWORK_NAMES, figure)}],
    }
    return Card.model_validate({**values, **changes})


def tiny_model(folder: Path, *, dims: dict[str, int] | None = None, extractors: dict[str, str] | None = None, seed: int = 0, **card) -> Path:
    """Save a random model into ``folder`` and return it; stream sizes and extractor ids default to small ones of its own."""
    dims = dims or {"audio": 4, "text": 3, "video": 5}
    extractors = extractors or {stream: f"test-{stream}-1" for stream in STREAMS}
    frontend = FrontEnd.fit([tiny_features(dims, extractors, seed=seed)])
    sizes = frontend.output_dims
    config = PublishedVIBEConfig(
        modality_fusion_transformer_dim=16,
        predictor_transformer_num_heads=4,
        predictor_transformer_num_layers=1,
        audio_extractor_feature_size=sizes["audio"],
        text_extractor_feature_size=sizes["text"],
        video_extractor_feature_size=sizes["video"],
        video_extractor_pool_size=1,
    )
    generator = torch.Generator().manual_seed(seed)
    module = PublishedVIBE(config)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    write_card(tiny_card(save_pretrained(module, frontend, folder), **card), folder / "card.yaml")
    return folder


def tiny_film_model(folder: Path, **card) -> Path:
    """A random model for the real streams, so that films can be run through it."""
    from extractors import audio, text, video

    dims = {"audio": audio.AUDIO_DIM, "text": text.TEXT_DIM, "video": video.VIDEO_DIM}
    extractors = {"audio": audio.EXTRACTOR_ID, "text": text.EXTRACTOR_ID, "video": video.EXTRACTOR_ID}
    return tiny_model(folder, dims=dims, extractors=extractors, **card)
