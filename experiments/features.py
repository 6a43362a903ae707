"""The job behind ``cli.py features``: the streams that a model takes, as files."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np

from encoder import ensemble
from encoder.backbones import extractors_of, prepared
from encoder.plan import make_plan
from experiments.intake import Film, Words, enter
from extractors.cache import feature_cache
from extractors.clip import Clip
from extractors.errors import CacheError, FeatureError
from extractors.extract import extract
from extractors.features import Features
from extractors.grid import TR
from extractors.in_thread import in_thread
from extractors.stages import passing_on
from settings import Settings, get_settings


def features(
    film: Film,
    *,
    model: str | os.PathLike | None = None,
    transcript: Words = None,
    recogniser: str | None = None,
    settings: Settings | None = None,
    allow_short: bool = False,
) -> Generator[Any, None, None]:
    """Compute the streams of a film with a model's own extractors; nothing is predicted.

    Parameters
    ----------
    film, transcript, recogniser, allow_short
        As :func:`experiments.intake.enter` takes them.
    model : str or path, optional
        By default the setting.
    settings : Settings, optional

    Yields
    ------
    Stage
        Those of the intake and of the streams, and "plan" with a published model; the last item is the tuple (Clip, Transcript, Features).

    Raises
    ------
    CineglassError
        As :func:`experiments.predict.predict`.
    """
    settings = settings or get_settings()
    cache = feature_cache(settings)
    files = ensemble.read(settings.model if model is None else model, settings=settings)
    ahead = None if files.published else cache  # backbones wait for their turn, classical streams are computed beside the speech
    entering = {"transcript": transcript, "recogniser": recogniser, "allow_short": allow_short}
    clip, words, ready = yield from passing_on(enter(film, settings=settings, cache=ahead, **entering))
    plan = None
    if files.published:
        work = in_thread("plan", 1, "Looking at what this machine can do", lambda _: make_plan(files, duration_s=clip.duration, settings=settings))
        plan = yield from work
    while True:
        if plan is not None:
            plan.check()
            extractors = yield from prepared(files, plan, clip, words, settings)
        else:
            extractors = extractors_of(files, None, settings)
        job = extract(clip, words, extractors=extractors, cache=cache, settings=settings, ready=ready)
        try:
            found = yield from passing_on(job)
        except FeatureError as error:
            plan = plan.next() if plan is not None and error.code == "out_of_memory" else None
            if plan is None:
                raise
        else:
            yield clip, words, found
            return


def save_features(found: Features, clip: Clip, folder: str | os.PathLike) -> Path:
    """Write ``audio.npy``, ``text.npy``, ``video.npy`` (float32 [n_trs, dim]; zeros for an absent stream) and ``features.json``.

    Raises
    ------
    CacheError
        When the folder cannot be written.
    """
    folder = Path(folder)
    facts = {
        "n_trs": found.n_trs,
        "tr": TR,
        "dims": {stream: int(array.shape[1]) for stream, array in found.items()},
        "extractors": found.extractors,
        "present": found.present,
        "window_s": found.window_s,
        "unseen_rows": {stream: list(rows) for stream, rows in found.unseen_rows.items()},
        "warnings": list(found.warnings),
        "keys": found.content_keys,
        "clip": {"name": clip.name, "sha256": clip.sha256, "duration": clip.duration},
    }
    parts = {name: folder / f".{name}.part" for name in (*(f"{stream}.npy" for stream in found), "features.json")}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            for stream, array in found.items():
                with parts[f"{stream}.npy"].open("wb") as file:
                    np.save(file, np.ascontiguousarray(array, np.float32), allow_pickle=False)
            parts["features.json"].write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            (folder / "features.json").unlink(missing_ok=True)  # comes last: a folder with it is whole
            for name, part in parts.items():
                part.replace(folder / name)
        finally:
            for part in parts.values():
                part.unlink(missing_ok=True)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        way_out = "Choose another folder, or free some space."
        raise CacheError("features_unwritable", f"The streams could not be written: {reason}.", way_out) from None
    return folder
