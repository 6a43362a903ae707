"""Ready-made experiments: planted effects with finished results that open without computing anything.

Each is a folder of ``assets/experiments`` with a comparison (:mod:`experiments.comparison_files`) and ``experiment.json``: what is asked, what the
simulator was told, with its source, and what the model returned. :mod:`experiments.make_experiments` makes them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from experiments.comparison import Comparison
from experiments.comparison_files import FACTS as COMPARISON
from experiments.comparison_files import load_comparison
from experiments.design_files import DESIGN
from experiments.examples import find_example
from extractors.errors import CacheError, SelectionError
from settings import ASSETS

EXPERIMENTS = ASSETS / "experiments"
FACTS = "experiment.json"
RESPONSES = "responses.json"
NOT_PLANTED = "Not planted: a prediction that may disagree with the textbook."
"""What stands in place of the two lines when a published model runs the same experiment."""


@dataclass(frozen=True)
class ReadyMade:
    """One experiment.

    Attributes
    ----------
    id, title, question : str
    told : str
        What the simulator was told: the rule, in a sentence.
    source : str
        Where the rule comes from.
    returned : str
        What the model returned, with its figures.
    opens_with : tuple of str
        Curves shown first.
    order : int
    base : str
        Example whose result is A; "" when A lies in the folder.
    folder : pathlib.Path
    """

    id: str
    title: str
    question: str
    told: str
    source: str
    returned: str
    opens_with: tuple[str, ...]
    order: int
    base: str
    folder: Path

    @property
    def base_folder(self) -> Path:
        """Folder of A's result."""
        return find_example(self.base).folder if self.base else self.folder / "a"

    def lines(self, *, simulated: bool, returned: bool = True) -> tuple[str, ...]:
        """The two lines that stand with the experiment: told and returned, or that nothing was planted; without ``returned`` the first alone,
        for somebody's own run of it, whose figures are its own.
        """
        if not simulated:
            return (NOT_PLANTED,)
        told = f"The simulator was told: {self.told} ({self.source})"
        return (told, f"The model returned, mean of the four: {self.returned}") if returned else (told,)


@lru_cache(maxsize=1)
def list_ready_made() -> tuple[ReadyMade, ...]:
    """All ready-made experiments in their order."""
    found = []
    for path in EXPERIMENTS.glob(f"*/{FACTS}"):
        facts = json.loads(path.read_text(encoding="utf-8"))
        texts = {name: str(facts[name]) for name in ("title", "question", "told", "source", "returned", "base")}
        found.append(ReadyMade(id=path.parent.name, opens_with=tuple(facts["opens_with"]), order=int(facts["order"]), folder=path.parent, **texts))
    return tuple(sorted(found, key=lambda one: one.order))


def find_ready_made(id: str) -> ReadyMade:
    """An experiment by its id; SelectionError for an unknown one."""
    for one in list_ready_made():
        if one.id == id:
            return one
    known = ", ".join(one.id for one in list_ready_made()) or "none"
    raise SelectionError("unknown_experiment", f"There is no experiment {str(id)[:60]!r}. Allowed values are {known}.", "Choose one of them.")


def load_ready_made(id: str) -> tuple[ReadyMade, Comparison]:
    """An experiment with its finished comparison; SelectionError for an unknown id, CacheError for damaged files."""
    one = find_ready_made(id)
    return one, load_comparison(one.folder, base=one.base_folder)


def same_experiment(comparison: Comparison) -> ReadyMade | None:
    """The ready-made experiment that a comparison repeats, perhaps with another model: the same films, edits and lesions; None for any other."""
    for one in list_ready_made():
        facts = json.loads((one.folder / COMPARISON).read_text(encoding="utf-8"))
        films = [json.loads((folder / RESPONSES).read_text(encoding="utf-8"))["clip_sha256"] for folder in (one.base_folder, one.folder / "b")]
        changes_a = (facts["edits"], facts["lesions"]) == (comparison.edits, comparison.lesions) != ("", "")
        both = [result.responses.clip_sha256 for result in (comparison.a, comparison.b)]
        if (changes_a and both[0] == films[0]) or both == films:
            return one
    return None


def ready_made_designs() -> tuple[ReadyMade, ...]:
    """Those that are two-by-two designs: their effects lie beside the comparison of their corners."""
    return tuple(one for one in list_ready_made() if (one.folder / DESIGN).is_file())


def design_id(comparison: Comparison) -> str:
    """Id of the ready-made design whose corners a comparison is; "" for any other one."""
    for one in ready_made_designs():
        if json.loads((one.folder / COMPARISON).read_text(encoding="utf-8")).get("id") == comparison.id:
            return one.id
    return ""


def load_design(id: str) -> tuple[ReadyMade, dict[str, Any]]:
    """A design with its finished effects (:func:`experiments.design_files.design_facts`).

    Raises
    ------
    SelectionError
        For an unknown id.
    CacheError
        ``result_damaged`` for files that are not whole.
    """
    one = find_ready_made(id)
    try:
        facts = json.loads((one.folder / DESIGN).read_text(encoding="utf-8"))
        if facts["kind"] != "design" or not facts["tables"]["mean"]:
            raise ValueError("no design")
    except (OSError, ValueError, KeyError, TypeError):
        raise CacheError("result_damaged", f"The effects of {one.title} are not whole.", "Make the experiment again.") from None
    return one, facts
