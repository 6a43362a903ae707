"""Finished results that open without a model: the examples that come with the program, and those of the setting ``results_dir``.

An example is a folder with ``clip.mp4``, ``example.json`` and a result as :mod:`experiments.results` writes it; ``card.yaml`` is the card of the
model that made it. :mod:`experiments.bake` writes such folders.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from encoder.atlas import load_atlas
from encoder.checkpoints import MODELS, list_models
from encoder.responses import Responses
from experiments.predict import Result
from experiments.results import MEMBERS, load_result
from extractors.errors import CineglassError, SelectionError
from settings import ASSETS, Settings, get_settings

if TYPE_CHECKING:
    from encoder.cards import Card

log = logging.getLogger(__name__)

EXAMPLES = ASSETS / "examples"
FILM, FACTS, CARD = "clip.mp4", "example.json", "card.yaml"
NEEDED = (FACTS, FILM, "responses.json", "responses.npy", "transcript.tsv")
OPTIONAL = (CARD, "networks.tsv", *MEMBERS.values())
TITLE_MAX, CAPTION_MAX = 120, 600


@dataclass(frozen=True)
class Example:
    """One example.

    Attributes
    ----------
    id, title : str
        The id is safe in an address and unique; the title of a baked one is hostile text.
    caption : str
        What to look for; of a built-in example a test holds that the curves show it.
    opens_with : tuple of str
        Curves shown first; empty for the seven networks.
    order : int
        Place in the list; the first one is the landing page's.
    folder : pathlib.Path
        Where its clip and result lie.
    """

    id: str
    title: str
    caption: str
    opens_with: tuple[str, ...]
    order: int
    folder: Path


def list_examples(settings: Settings | None = None) -> tuple[Example, ...]:
    """The built-in examples in their order, then the finished results of ``settings.results_dir`` in theirs; damaged ones are left out."""
    settings = settings or get_settings()
    listed = list(_built_in())
    taken = {example.id for example in listed}
    for found in _baked(settings.results_dir) if settings.results_dir is not None else ():
        plain = re.sub(r"[^a-z0-9]+", "-", found.id.lower()).strip("-") or "result"
        id = next(name for name in (plain, *(f"{plain}-{k}" for k in range(2, len(taken) + 3))) if name not in taken)
        taken.add(id)
        listed.append(replace(found, id=id))
    return tuple(listed)


def find_example(id: str, settings: Settings | None = None) -> Example:
    """An example by its id; SelectionError for an unknown one."""
    examples = list_examples(settings)
    for example in examples:
        if example.id == id:
            return example
    known = ", ".join(example.id for example in examples) or "none"
    raise SelectionError("unknown_example", f"There is no example {id!r}. Allowed values are {known}.", "Choose one of them.")


def load_example(id: str, settings: Settings | None = None) -> tuple[Example, Result]:
    """An example with its finished result; SelectionError for an unknown id."""
    example = find_example(id, settings)
    return example, load_result(example.folder)


def card_of(example: Example, responses: Responses) -> Card | None:
    """The card of the model that made an example."""
    return card_beside(example.folder, responses)


def card_beside(folder: Path, responses: Responses) -> Card | None:
    """The card that lies beside a result, else the embedded model's of that id; None when neither can be read."""
    from encoder.cards import read_card

    path = folder / CARD
    if not path.is_file():
        path = MODELS / responses.model_id / CARD if responses.model_id in list_models() else None
    try:
        return read_card(path) if path is not None else None
    except CineglassError as error:
        log.warning("The card beside %s cannot be shown: %s", folder.name, error)
        return None


def example_beside(folder: Path) -> Example | None:
    """Title, caption and first curves of a result that is an example; None for another one."""
    try:
        return _example(folder, json.loads((folder / FACTS).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


@lru_cache(maxsize=1)
def _built_in() -> tuple[Example, ...]:
    found = []
    for path in EXAMPLES.glob(f"*/{FACTS}"):
        facts = json.loads(path.read_text(encoding="utf-8"))
        found.append(Example(path.parent.name, facts["title"], facts["caption"], tuple(facts["opens_with"]), int(facts["order"]), path.parent))
    return tuple(sorted(found, key=lambda example: example.order))


def _baked(folder: Path) -> list[Example]:
    """Whole results below a folder, or the folder itself where it is one; their ids are still the folders' names."""
    found = [_looked_at(*seen) for seen in _candidates(folder)]
    return sorted((example for example in found if example is not None), key=lambda example: (example.order, example.id))


def _candidates(folder: Path) -> Iterator[tuple[Path, tuple[int, ...]]]:
    """Folders with their files' times and sizes: what was looked at once is looked at again only when it has changed."""
    try:
        places = [folder] if (folder / FACTS).is_file() else sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        log.warning("The folder of finished results, %r, cannot be read. Check the setting CINEGLASS_RESULTS_DIR.", folder.name)
        return
    for place in places:
        if not (place / FACTS).is_file():
            continue
        about = [(place / name).stat() if (place / name).is_file() else None for name in (*NEEDED, *OPTIONAL)]
        yield place, tuple(value for stat in about for value in ((stat.st_mtime_ns, stat.st_size) if stat else (0, -1)))


@lru_cache(maxsize=512)
def _looked_at(folder: Path, stamp: tuple[int, ...]) -> Example | None:
    try:
        for name in (*NEEDED, *OPTIONAL):
            if not (folder / name).resolve().is_relative_to(folder.resolve()):
                raise ValueError(f"{name} leads out of the folder")
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        example = _example(folder, facts)
        if not (folder / FILM).is_file():
            raise ValueError(f"{FILM} is missing")
        load_result(folder)
        return example
    except (CineglassError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        log.warning("The finished result %r is left out: %s", folder.name, error)
        return None


def _example(folder: Path, facts: dict[str, Any]) -> Example:
    title, caption, opens_with = facts["title"], facts.get("caption") or "", facts.get("opens_with") or ()
    if not isinstance(title, str) or not isinstance(caption, str) or not title.strip():
        raise ValueError(f"{FACTS} holds no title and caption")
    known = tuple(name for name in opens_with if isinstance(name, str) and _is_curve(name))
    return Example(folder.name, title[:TITLE_MAX], caption[:CAPTION_MAX], known, int(facts.get("order") or 0), folder)


def _is_curve(name: str) -> bool:
    try:
        load_atlas().mask(name)
    except SelectionError:
        return False
    return True
