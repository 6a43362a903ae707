"""Capsules for tests: small honest ones, and forgeries of them whose hashes are right again."""

from __future__ import annotations

import hashlib
import json
import stat
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.predict import Result
from extractors.clip import Clip
from extractors.grid import TR
from extractors.tr_table import table_from_words
from extractors.transcript import Word
from tests.unit.test_responses import some_responses

ROWS = 12


def some_result(film: Path | None = None, *, clip: Clip | None = None, rows: int = ROWS, title: str = "a film.mp4", **changes: Any) -> Result:
    """A result that nobody computed; ``clip`` is one that the gate let in."""
    if clip is None:
        clip = Clip(film or Path("nowhere.mp4"), None, "b" * 64, "c" * 64, "d" * 64, title, rows * TR + 0.3, rows, 25.0, 64, 48, ("Cut.",))
    words = table_from_words([Word("it's", 1.0, 0.2), Word("=cmd()", 2.1, 0.4)], clip.n_trs, source="file talk.srt", timing="given", language="en")
    about = {"clip_sha256": clip.sha256, "clip_name": clip.name, "duration": clip.duration, "transcript_source": words.source}
    return Result(clip, words, some_responses(rows=clip.n_trs, **{**about, **changes}), "f" * 32, {"gate": 0.5})


def some_comparison(**changes: Any) -> Any:
    """A comparison that nobody computed, with a band of two null edits."""
    from encoder.curves import curve_ids
    from experiments.comparison import Comparison
    from experiments.null_band import NullBand
    from extractors.time_map import TimeMap

    a = some_result()
    b = replace(some_result(seed=1, edits=("mute",)), run_id="e" * 32)
    rng = np.random.default_rng(0)
    differences = rng.normal(0, 0.01, (2, 5, ROWS, len(curve_ids()))).astype(np.float32)
    parcels = rng.random((2, 4, 1000)).astype(np.float32)
    parcels[0, 0, 0] = np.nan  # a parcel that is constant in A
    null = NullBand(("gain db=0.5", "shift ms=20"), differences, parcels)
    about = {"label_a": "As it is", "label_b": "Muted", "edits": "mute", "lesions": "", "time_map": TimeMap.identity(a.clip.duration), "null": null}
    return Comparison(a, b, **{**about, "seed": 3, **changes})


def contents(path: Path) -> dict[str, bytes]:
    """Every file of a capsule, in order."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_stored(path: Path, files: dict[str, bytes] | list[tuple[str, bytes]], **how: Any) -> Path:
    """A zip as capsules are; ``how`` changes the head of every entry ("method", "mode")."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items() if isinstance(files, dict) else files:
            info = zipfile.ZipInfo(name)
            info.compress_type = how.get("method", zipfile.ZIP_STORED)
            info.external_attr = how.get("mode", stat.S_IFREG | 0o644) << 16
            archive.writestr(info, content)
    return path


def forged(
    base: Path, path: Path, files: dict[str, bytes | None] | None = None, manifest: Callable[[dict[str, Any]], None] | None = None, **how: Any
) -> Path:
    """``base`` with some files changed (None: taken out) and ``capsule.json`` telling of the new ones; ``manifest`` changes what it says."""
    held = contents(base)
    told = json.loads(held.pop("capsule.json"))
    for name, content in (files or {}).items():
        if content is None:
            held.pop(name)
            told["files"].pop(name)
        else:
            held[name] = content
            told["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
            if name.endswith("transcript.tsv"):
                told["conditions"][name[0]]["transcript_sha256"] = told["files"][name]["sha256"]
    if manifest is not None:
        manifest(told)
    return write_stored(path, {"capsule.json": json.dumps(told, ensure_ascii=True).encode(), **held}, **how)


def with_facts(base: Path, name: str, change: Callable[[dict[str, Any]], None]) -> bytes:
    """A JSON file of a capsule after ``change``."""
    facts = json.loads(contents(base)[name])
    change(facts)
    return json.dumps(facts).encode()
