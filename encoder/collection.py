"""The published variants: the list that the authors' collection on the hub gives, remembered for when there is no network.

The hub is asked only when somebody wants it asked. What it answers is not believed beyond its form: names must look like repositories, and
only so many are taken.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extractors.errors import ModelError
from extractors.hub_files import is_repository
from extractors.hub_transfer import ask as listing_of
from settings import Settings

COLLECTION = "ShreyDixit/vibe"
KNOWN = "ShreyDixit/VIBE-Qwen2.5-14B"
"""The one variant that is always known."""

ANSWER_S = 5.0
"""How long the hub has to answer, all together."""
ANSWER_MAX = 2**20
"""Bytes of an answer that are read."""
VARIANTS_MAX = 50


@dataclass(frozen=True)
class Variant:
    """One published model.

    Attributes
    ----------
    id : str
        Its name on the hub.
    bytes : int or None
        Of its download, without its backbones; None when the hub never said.
    asked : str or None
        Day the hub was asked, as YYYY-MM-DD; None for what is known without asking.
    from_memory : bool
        Whether the hub was not asked just now.
    """

    id: str
    bytes: int | None = None
    asked: str | None = None
    from_memory: bool = True


def variants(settings: Settings, *, ask: bool = False) -> tuple[Variant, ...]:
    """The published variants, the known one first; never empty and never an error.

    Parameters
    ----------
    settings : Settings
        Its ``cache_dir`` keeps the list.
    ask : bool
        Ask the hub (at most 5 s); without an answer the list comes from memory.

    Returns
    -------
    tuple of Variant
    """
    found = _asked() if ask else None
    if found is not None:
        day = time.strftime("%Y-%m-%d")
        _remember(found, day, settings)
        return tuple(Variant(name, size, day, from_memory=False) for name, size in found.items())
    remembered, day = _remembered(settings)
    return tuple(Variant(name, size, day) for name, size in remembered.items())


def is_variant(name: str, settings: Settings) -> bool:
    """Whether a name is that of a published variant, as far as this machine knows."""
    return any(name == variant.id for variant in variants(settings))


def _asked() -> dict[str, int | None] | None:
    from huggingface_hub import constants
    from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled  # the first is the HTTP library's own
    from huggingface_hub.utils import build_hf_headers, get_session

    until = time.monotonic() + ANSWER_S
    body = b""
    try:
        url = f"{constants.ENDPOINT}/api/collections/{COLLECTION}"
        with get_session().stream("GET", url, headers=build_hf_headers(), timeout=ANSWER_S, follow_redirects=True) as response:
            response.raise_for_status()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > ANSWER_MAX or time.monotonic() > until:
                    return None
        items = json.loads(body)["items"]
        names = _usable([item.get("id") for item in items if isinstance(item, dict) and item.get("type", "model") == "model"])
    except (HTTPError, OfflineModeIsEnabled, OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return {name: _size(name, until - time.monotonic()) for name in names} or None


def _size(name: str, seconds: float) -> int | None:
    try:
        return listing_of(name, None, timeout=seconds).size if seconds > 0 else None
    except ModelError:
        return None


def _usable(names: Any) -> list[str]:
    """The repositories of the collection's owner among ``names``, the known one first, each once."""
    if not isinstance(names, list):
        return []
    owner = COLLECTION.split("/")[0]
    good = [name for name in names if isinstance(name, str) and is_repository(name) and name.split("/")[0] == owner]
    return list(dict.fromkeys(sorted(good, key=lambda name: name != KNOWN)))[:VARIANTS_MAX]


def _note(settings: Settings) -> Path:
    return settings.cache_dir / "variants.json"


def _remember(found: dict[str, int | None], day: str, settings: Settings) -> None:
    note = _note(settings)
    part = note.with_name(f"{note.name}.{os.getpid()}.part")
    with contextlib.suppress(OSError):  # without a writable cache it is asked again
        note.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps({"collection": COLLECTION, "asked": day, "models": found}), encoding="utf-8")
        part.replace(note)


def _remembered(settings: Settings) -> tuple[dict[str, int | None], str | None]:
    try:
        note = json.loads(_note(settings).read_text(encoding="utf-8"))
        day = time.strftime("%Y-%m-%d", time.strptime(note["asked"], "%Y-%m-%d"))
        sizes = note["models"]
        found = {name: sizes[name] if isinstance(sizes[name], int) and sizes[name] > 0 else None for name in _usable(list(sizes))}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {KNOWN: None}, None
    return (found, day) if found else ({KNOWN: None}, None)
