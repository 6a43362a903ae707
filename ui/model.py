"""The model picker: what the page offers and in what state it is, what a model that is not ready lacks, and the plan of one that is."""

from __future__ import annotations

import hashlib
import math
import re
import secrets
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from extractors.errors import CineglassError, ModelError
from settings import Settings
from ui.amounts import expected, rounded, size

if TYPE_CHECKING:
    from encoder.plan import Part, Plan
    from experiments.models import ModelState

COMMAND = re.compile(r"python cli\.py\b[^\n`,;()]*?(?=\s*(?:$|[\n`,;(]|\.(?:\s|$)|\s(?:or|and|then|to|on|here|there)\s))")
"""A command inside a sentence that says the way out."""


class Offer:
    """Every model of this installation with its state. Whether one fits into memory is left to its plan: that would load torch on landing.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self._lock = threading.Lock()
        self._states: tuple[ModelState, ...] = ()
        self._looked = -math.inf

    def states(self, *, again: bool = False) -> tuple[ModelState, ...]:
        """All of them; looked up anew after some seconds, or when asked to."""
        from experiments.models import list_models

        with self._lock:
            if again or time.monotonic() - self._looked > KEEP_S:
                self._states = tuple(list_models(self.settings, fit=False))
                self._looked = time.monotonic()
            return self._states


KEEP_S = 5.0
"""Seconds for which the states of the models are taken as known; looking takes about a tenth of one."""


def key_of(id: str) -> str:
    """What the browser calls a model: a short hash, because an id may be a folder of this machine."""
    return hashlib.sha256(id.encode()).hexdigest()[:12]


def find(states: Iterable[ModelState], id: str) -> ModelState | None:
    """The model of this id, if it is offered."""
    return next((state for state in states if state.id == id), None)


def by_key(states: Iterable[ModelState], key: str) -> ModelState | None:
    """The model that the browser means, if it is offered."""
    return next((state for state in states if key_of(state.id) == key), None)


def in_words(state: ModelState) -> str:
    """One line on a model's state."""
    if state.state == "ready":
        return "Ready"
    if state.state == "downloadable":
        return f"Not downloaded, {size(state.size_bytes)}" if state.size_bytes else "Not downloaded"
    return "Not on this machine"


def name_of(state: ModelState) -> str:
    """A model's title without the id that tells it from others of that title."""
    return state.title.removesuffix(f" ({state.shown_id})")


def about(state: ModelState) -> str:
    """The small line below a title."""
    if state.card is not None and state.card.simulated:
        return "Simulated people; runs on any machine"
    return "" if state.shown_id in name_of(state).replace(" + ", "+") else state.shown_id


def picker_value(states: Iterable[ModelState], chosen: str, *, too_large: bool = False) -> dict[str, Any]:
    """What the picker shows. ``stamp`` makes every value a new one, so that the browser draws what the server holds.

    Parameters
    ----------
    states : iterable of ModelState
    chosen : str
        Id of the model that the next run takes.
    too_large : bool
        Whether its plan says that it cannot run here.
    """
    states = tuple(replace(one, state="unavailable") if too_large and one.id == chosen else one for one in states)
    state = find(states, chosen)
    return {
        "models": [{"key": key_of(one.id), "title": name_of(one), "about": about(one), "state": one.state, "line": in_words(one)} for one in states],
        "chosen": key_of(chosen),
        "missing": None if state is None or state.state == "ready" or too_large else missing_value(state),  # the plan says it then
        "stamp": secrets.token_hex(4),
    }


def missing_value(state: ModelState) -> dict[str, Any]:
    """What a model that cannot run lacks, what that costs, and the way out."""
    if state.state == "downloadable":
        cost = f"about {size(state.size_bytes)}" if state.size_bytes else "how much is not known before"
        return {"message": f"{name_of(state)} has to be downloaded first, {cost}.", "more": state.why, "way_out": way_out(state.way_out)}
    return {"message": state.why or f"{name_of(state)} cannot run on this machine.", "more": "", "way_out": way_out(state.way_out)}


def way_out(text: str) -> list[dict[str, str]]:
    """A way out in pieces, each a text or a command, in their order."""
    pieces: list[dict[str, str]] = []
    at = 0
    for found in COMMAND.finditer(text):
        pieces += [{"text": text[at : found.start()].strip(" `\n")}, {"command": found.group()}]
        at = found.end()
    rest = text[at:].strip(" `\n")
    if at:  # what follows a command begins anew
        rest = rest.lstrip(".,; ")
        rest = rest[:1].upper() + rest[1:]
    pieces.append({"text": rest})
    return [piece for piece in pieces if any(piece.values())]


def why_not(state: ModelState | None, *, clip: bool, problem: str = "") -> str:
    """Why Run rests, in one sentence beside it; "" when it does not."""
    if state is None:
        return "The model that was chosen is not offered any more. Choose another one."
    if state.state != "ready":
        return f"{name_of(state)} cannot run yet: see above what it needs, or choose another model."
    if problem:
        return f"{name_of(state)} cannot run this clip here: see the plan above, or choose another model."
    return "" if clip else "Choose an example or add a clip first."


# plan -------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Planned:
    """What a published model would do with a clip.

    Attributes
    ----------
    model : str
        Its id.
    duration : float
        Of the clip in seconds.
    plan : Plan or None
        None when it could not be made; then ``error`` says why.
    """

    model: str
    duration: float
    plan: Plan | None
    error: CineglassError | None = None

    @property
    def problem(self) -> str:
        """Why the run would not even begin; "" when it would."""
        if self.error is not None:
            return self.error.message
        return "" if self.plan.ok else self.plan.problem


def ready(state: ModelState | None) -> ModelState:
    """The model, if it can run now.

    Raises
    ------
    ModelError
        ``model_not_ready``, with its way out.
    """
    if state is None or state.state != "ready":
        raise ModelError("model_not_ready", why_not(state, clip=True), state.way_out if state is not None else "Choose another model.")
    return state


def plan_for(id: str, duration: float, settings: Settings) -> Planned | None:
    """Look at what this machine can do for a clip; loads torch but no weights. None for a model that needs no plan."""
    from experiments.models import model_plan
    from ui.line import in_plain_words

    try:
        plan = model_plan(id, duration_s=duration, settings=settings)
    except Exception as error:
        return Planned(id, duration, None, in_plain_words(error))
    return None if plan is None else Planned(id, duration, plan)


def needs_plan(state: ModelState | None) -> bool:
    """Whether a run of this model is to be planned: an embedded one takes next to nothing."""
    return state is not None and state.state == "ready" and not (state.card is not None and state.card.simulated)


def busy_plan() -> dict[str, Any]:
    """While the plan is being made."""
    return {"state": "busy", "message": "Looking at what this machine can do …"}


def wanted_plan() -> dict[str, Any]:
    """The same, and the browser then asks for it: a page that needs no plan asks for none when it is opened."""
    return busy_plan() | {"ask": secrets.token_hex(4)}


def plan_value(planned: Planned | None) -> dict[str, Any]:
    """What the plan's place shows."""
    if planned is None:
        return {}
    if planned.problem:
        hint = planned.error.hint if planned.error is not None else planned.plan.way_out
        return {"state": "problem", "message": planned.problem, "way_out": way_out(hint)}
    plan = planned.plan
    return {
        "state": "ready",
        "summary": summary(plan),
        "table": {"head": ["Part", "On", "Numbers", "Memory", "Time"], "rows": [_row(part) for part in plan.parts]},
        "notes": [
            f"For {_length(planned.duration)} of film, from arithmetic and a short measurement; what is in the cache costs nothing.",
            *([] if plan.peak_gpu else [_memory(plan)]),
            *plan.notes,
        ],
    }


def summary(plan: Plan) -> str:
    """One line: how long, where, how much memory."""
    where = " and ".join(dict.fromkeys(f"the {_where(part)}" for part in plan.parts))
    memory = f"{size(plan.peak_gpu)} of GPU memory" if plan.peak_gpu else f"{size(plan.peak_host)} of memory"
    return f"Estimate: {expected(plan.seconds)} on {where}, {memory}"


def _memory(plan: Plan) -> str:
    from encoder.plan import HOST_BASE

    return f"{size(HOST_BASE)} of the memory are for the film itself; the parts are loaded {'one at a time' if plan.low_mem else 'together'}."


def window_of(state: ModelState, settings: Settings) -> float:
    """Longest past that the model's extractors look at, in seconds."""
    from encoder.ensemble import read
    from extractors.classical import CLASSICAL

    if state.card is not None and state.card.simulated:
        return CLASSICAL.window_s
    try:
        files = read(state.id, settings=settings)
    except CineglassError:  # its files are not here
        return PUBLISHED_WINDOW_S
    return float(files.config.video_extractor_chunk_length_seconds) if files.published else CLASSICAL.window_s


PUBLISHED_WINDOW_S = 16.0
"""Of the published models' picture (reference, section 3B), for one whose configuration is not here."""


def _row(part: Part) -> list[str]:
    memory = part.load_bytes + part.work_bytes
    return [part.title, _where(part), part.dtype, size(memory), rounded(part.seconds)]


def _where(part: Part) -> str:
    return "GPU" if part.on_gpu else "CPU"


def _length(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
