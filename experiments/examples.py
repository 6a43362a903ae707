"""The finished examples that come with the program; their results open without a model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from experiments.predict import Result
from experiments.results import load_result
from extractors.errors import SelectionError
from settings import ASSETS

EXAMPLES = ASSETS / "examples"


@dataclass(frozen=True)
class Example:
    """One example.

    Attributes
    ----------
    id, title : str
    caption : str
        What to look for; a test holds that the curves show it.
    opens_with : tuple of str
        Curves shown first; empty for the seven networks.
    order : int
        Place in the list; the first one is the landing page's.
    """

    id: str
    title: str
    caption: str
    opens_with: tuple[str, ...]
    order: int

    @property
    def folder(self) -> Path:
        """Where its clip and result lie."""
        return EXAMPLES / self.id


@lru_cache(maxsize=1)
def list_examples() -> tuple[Example, ...]:
    """All examples in their order."""
    found = []
    for path in EXAMPLES.glob("*/example.json"):
        facts = json.loads(path.read_text(encoding="utf-8"))
        found.append(Example(path.parent.name, facts["title"], facts["caption"], tuple(facts["opens_with"]), int(facts["order"])))
    return tuple(sorted(found, key=lambda example: example.order))


def load_example(id: str) -> tuple[Example, Result]:
    """An example with its finished result; SelectionError for an unknown id."""
    for example in list_examples():
        if example.id == id:
            return example, load_result(example.folder)
    known = ", ".join(example.id for example in list_examples()) or "none"
    raise SelectionError("unknown_example", f"There is no example {id!r}. Allowed values are {known}.", "Choose one of them.")
