"""What this installation can do, as plain data for programs."""

from __future__ import annotations

from typing import Any

from encoder.atlas import DISPLAY_NAMES, NETWORK_NAMES, load_atlas
from encoder.responses import SUBJECTS
from experiments.examples import list_examples
from experiments.models import ModelState, list_models
from extractors import speech
from extractors.formats import FORMATS
from extractors.grid import TR
from settings import Settings, get_settings


def capabilities(settings: Settings | None = None) -> dict[str, Any]:
    """Models, recognisers, limits and names; JSON-able, without paths of this machine."""
    settings = settings or get_settings()
    return {
        "tr": TR,
        "subjects": list(SUBJECTS),
        "units": "z",
        "models": [_model(state) for state in list_models(settings)],
        "recognisers": speech.available(settings),
        "networks": {name: DISPLAY_NAMES[name] for name in NETWORK_NAMES},
        "groups": {group.id: group.label for group in load_atlas().groups},
        "transcript_formats": list(FORMATS),
        "examples": [example.id for example in list_examples(settings)],
        "limits": {
            "min_trs": settings.min_trs,
            "max_duration_s": settings.max_duration_s,
            "max_upload_mb": settings.max_upload_mb,
            "max_long_side": settings.max_long_side,
            "max_fps": settings.max_fps,
        },
    }


def _model(state: ModelState) -> dict[str, Any]:
    """What a program needs to choose a model; of a folder its name only."""
    card = {key: getattr(state.card, key, None) for key in ("simulated", "calibrated", "accuracy", "licence", "weights_sha256")}
    return {"id": state.shown_id, "title": state.title, "badge": state.badge, "state": state.state, "size_bytes": state.size_bytes, **card}
