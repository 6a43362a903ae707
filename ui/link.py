"""What a page's address asks the server for: a result, and the model of the next run. Everything else in it is the player's own
(``assets/player/link.js``).

A link lets its reader see a result, and run its film again. It never makes anybody the owner of a clip: what *delete now* removes is
what the same visit brought here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from extractors.errors import CacheError, CineglassError
from settings import Settings
from ui import model
from ui.sessions import TOKEN, Shelf
from ui.shown import Shown, of_comparison, of_example, of_run

if TYPE_CHECKING:
    from encoder.cards import Card
    from experiments.models import ModelState
    from experiments.predict import Result

EXAMPLE = re.compile(r"[a-z0-9-]{1,100}")
MODEL_MOST = 200

GONE = "This result is no longer kept here. This is an example instead."
NO_EXAMPLE = "The example of this link is not here. This is another one."


@dataclass(frozen=True)
class Asked:
    """What a link names; "" for what it does not, or not in a form that could be right.

    Attributes
    ----------
    example, run, comparison : str
        The result: id of an example, of a run on the shelf, or of a comparison, on the shelf or ready-made. A link has at most one of them.
    model : str
        Key or id of a model.
    """

    example: str = ""
    run: str = ""
    model: str = ""
    comparison: str = ""


def asked(query: Mapping[str, Any]) -> Asked:
    """Read a query string; its values are anybody's text and go no further than these forms."""
    values = {name: str(query.get(name, "")) for name in ("example", "run", "model", "comparison")}
    comparison = values["comparison"] if EXAMPLE.fullmatch(values["comparison"]) else ""
    run = values["run"] if not comparison and TOKEN.fullmatch(values["run"]) else ""
    example = values["example"] if not run and not comparison and EXAMPLE.fullmatch(values["example"]) else ""
    return Asked(example, run, values["model"] if len(values["model"]) <= MODEL_MOST else "", comparison)


def model_of(link: Asked, states: Iterable[ModelState]) -> ModelState | None:
    """The model that a link names, if it is offered: by its key, or by the id that people see."""
    states = tuple(states)
    return model.by_key(states, link.model) or next((state for state in states if link.model and state.shown_id == link.model), None)


def result_of(link: Asked, *, shelf: Shelf, settings: Settings, states: Iterable[ModelState]) -> Shown:
    """The result that a link names.

    Raises
    ------
    CacheError
        ``gone`` with one sentence for a person, when it is not here (any more) or cannot be read.
    """
    if link.comparison:
        return _comparison(link, shelf, states)
    if not link.run:
        try:
            return of_example(link.example, settings)
        except CineglassError:
            raise CacheError("gone", NO_EXAMPLE, "") from None
    from experiments.results import load_result

    try:
        result = load_result(shelf.run(link.run))
    except CineglassError:
        raise CacheError("gone", GONE, "") from None
    return of_run(link.run, result, title=result.clip.name, card=_card(result, states))


def _comparison(link: Asked, shelf: Shelf, states: Iterable[ModelState]) -> Shown:
    from experiments.comparison_files import load_comparison
    from experiments.examples import find_example
    from experiments.ready_made import load_ready_made

    about, example = None, None
    try:
        if TOKEN.fullmatch(link.comparison):
            comparison = load_comparison(shelf.comparison(link.comparison))
        else:
            about, comparison = load_ready_made(link.comparison)
            example = find_example(about.base) if about.base else None
    except CineglassError:
        raise CacheError("gone", GONE, "") from None
    title = example.title if example else comparison.label_a if comparison.label_a not in ("", "A") else comparison.a.clip.name
    how = {"card": _card(comparison.a, states), "film_name": comparison.a.clip.path.name, "about": about}
    return of_comparison(link.comparison, comparison, title=title, example=example.id if example else "", **how)


def _card(result: Result, states: Iterable[ModelState]) -> Card | None:
    """The card of the model that made a result, if it is offered here."""
    cards = (state.card for state in states if state.card is not None)
    return next((card for card in cards if card.model_id == result.responses.model_id), None)
