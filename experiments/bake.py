"""Bake: one machine computes a result, any other plays it. The folder is an example of :mod:`experiments.examples` and needs no model."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from encoder import ensemble
from encoder.cards import Card, write_card
from experiments.examples import CARD, FACTS, FILM, NEEDED, OPTIONAL
from experiments.intake import Film, Words
from experiments.predict import Result, predict
from experiments.results import save_result
from extractors.errors import CacheError, CineglassError
from extractors.stages import passing_on
from settings import Settings, get_settings

if TYPE_CHECKING:
    from encoder.encoding_model import EncodingModel

LIBRARIES = ("torch", "transformers")
WRITTEN = frozenset((*NEEDED, *OPTIONAL))
"""What a baked folder may hold; one with anything else in it, or without ``example.json``, is never replaced."""


def bake(
    film: Film,
    *,
    out: str | os.PathLike,
    model: str | os.PathLike | EncodingModel | None = None,
    title: str | None = None,
    caption: str | None = None,
    transcript: Words = None,
    recogniser: str | None = None,
    settings: Settings | None = None,
    name: str | None = None,
    allow_short: bool = False,
) -> Generator[Any, None, None]:
    """Predict all four subjects' responses to a film and write a finished result.

    Parameters
    ----------
    film, transcript, recogniser, model, settings, name, allow_short
        As :func:`experiments.predict.predict` takes them.
    out : path
        The result's folder: new, empty, or a baked one that is to be replaced. It appears whole or not at all.
    title, caption : str, optional
        What the page lists it as; by default the film's name, and which model made it.

    Yields
    ------
    Stage
        Those of the prediction; the last item is the folder's Path. It holds ``clip.mp4``, ``transcript.tsv``, ``responses.npy``,
        ``responses.json`` (its section ``extra.made`` says where, when and with what it was computed), ``networks.tsv``, ``example.json`` and
        ``card.yaml``.

    Raises
    ------
    CineglassError
        Those of the prediction; ``bake_in_the_way`` when ``out`` holds something else; ``result_unwritable``.
    """
    settings = settings or get_settings()
    out = Path(out)
    _must_be_free(out)
    chosen = settings.model if model is None else model
    card = ensemble.read(chosen, settings=settings).card if isinstance(chosen, str | os.PathLike) else chosen.card
    entering = {"transcript": transcript, "recogniser": recogniser, "name": name, "allow_short": allow_short}
    began = time.monotonic()
    result = yield from passing_on(predict(film, model=chosen, settings=settings, **entering))
    made = {
        "program": "Cineglass",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - began, 1),
        "asked": {"device": settings.device, "low_mem": settings.low_mem},
        "libraries": {library: metadata.version(library) for library in LIBRARIES},
    }
    responses = replace(result.responses, extra={**result.responses.extra, "made": made})
    _write(replace(result, responses=responses), card, out, title=title, caption=caption)
    yield out


def _write(result: Result, card: Card, out: Path, *, title: str | None, caption: str | None) -> None:
    facts = {
        "title": title or Path(result.clip.name).stem or "A film",
        "caption": caption if caption is not None else f"Responses predicted by {card.title}.",
        "opens_with": [],
        "order": 0,
    }
    work = out.parent / f".{out.name}.{secrets.token_hex(4)}"
    try:
        save_result(result, work, film=FILM)
        write_card(card, work / CARD)
        (work / FACTS).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        _must_be_free(out)  # hours may have passed
        if out.exists():
            old = out.parent / f".{out.name}.{secrets.token_hex(4)}"
            out.rename(old)
            work.rename(out)
            shutil.rmtree(old, ignore_errors=True)
        else:
            work.rename(out)
    except OSError as error:
        if isinstance(error, CineglassError):
            raise
        reason = (error.strerror or "it cannot be written").lower()
        raise CacheError("result_unwritable", f"The result could not be written: {reason}.", "Choose another folder, or free some space.") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _must_be_free(out: Path) -> None:
    """Replace only what was baked: a wrong word on the command line must not cost anybody a folder."""
    problem = ""
    try:
        if out.exists() and not out.is_dir():
            problem = "is a file"
        elif out.is_dir() and (names := {path.name for path in out.iterdir()}) and (FACTS not in names or not names <= WRITTEN):
            problem = "holds other things"  # a film with its transcript too, or a result that nobody baked
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"cannot be used: {(error.strerror or 'unknown reason').lower()}"
    if problem:
        raise CacheError("bake_in_the_way", f"The folder {out.name or str(out)!r} {problem}.", "Choose a new folder.")
