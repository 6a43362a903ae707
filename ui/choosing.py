"""Choosing a model: the picker, whether Run can be pressed, and the plan of the next run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import gradio as gr

from encoder.pipeline import FEW_ROWS
from extractors.clip import Clip
from extractors.grid import valid_rows
from settings import Settings
from ui import model, run, stimulus
from ui.sessions import Visit, remember

if TYPE_CHECKING:
    from experiments.models import ModelState
    from ui.events import Parts

STAGE_OF = {"predictor": "model"}
"""Parts of a plan whose stage has another name."""


MOST_CHOICES = 10_000
"""Visitors whose choice of a model is remembered."""


class Choosing:
    """What the page does about models.

    Parameters
    ----------
    parts : Parts
    settings : Settings
    offer : Offer
    """

    def __init__(self, parts: Parts, *, settings: Settings, offer: model.Offer):
        self.parts = parts
        self.settings = settings
        self.offer = offer
        # Not in the visit: a long event that began before a click on the picker would end by writing its older visit back
        self.chosen: dict[str, str] = {}
        self.planned: dict[str, model.Planned] = {}  # the newest plan of each visitor
        self.planning: dict[str, object] = {}  # whose plan is being made, and which of several askings is the newest

    def look(self, visit: Visit, request: gr.Request) -> dict[Any, Any]:
        """When a page is opened and when a run failed: what is ready now need not be what was ready before."""
        states = self.offer.states(again=True)
        return {self.parts.run.picker: model.picker_value(states, self._model(request))} | self.button(visit, request, states)

    def take(self, state: ModelState, request: gr.Request) -> None:
        """Remember which model a visitor's next run takes."""
        remember(self.chosen, request.session_hash, state.id, MOST_CHOICES)

    def choose(self, visit: Visit, event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Take another model for the next run; what is in the player stays."""
        parts = self.parts
        states = self.offer.states(again=True)
        state = model.by_key(states, str(getattr(event, "key", "")))
        if state is not None:
            self.take(state, request)
        changes = {parts.run.picker: model.picker_value(states, self._model(request))}
        if visit.upload:
            changes[parts.stimulus.clip] = self.clip_card(visit, request)
        return changes | self.button(visit, request, states)

    async def plan_run(self, visit: Visit, request: gr.Request) -> AsyncIterator[dict[Any, Any]]:
        """Say what a run of the chosen model would take on this machine; an embedded model takes next to nothing and gets no plan."""
        parts, visitor = self.parts, request.session_hash
        mine = self.planning[visitor] = object()
        state = await asyncio.to_thread(self.state, request)
        known = self.plan_of(visit, request)
        if known is not None and not known.problem:
            yield {parts.run.plan: model.plan_value(known)}
            return
        if not visit.duration or not model.needs_plan(state):
            self.planned.pop(visitor, None)
            yield {parts.run.plan: {}}
            return
        yield {parts.run.plan: model.busy_plan()}
        planned = await asyncio.to_thread(model.plan_for, state.id, visit.duration, self.settings)
        if self.planning.get(visitor) is not mine:
            return  # another clip or model was chosen meanwhile
        self.planned.pop(visitor, None)
        if planned is not None:
            self.planned[visitor] = planned
        states = await asyncio.to_thread(self.offer.states)
        too_large = planned is not None and bool(planned.problem)
        picker = model.picker_value(states, self._model(request), too_large=too_large)
        yield {parts.run.plan: model.plan_value(planned), parts.run.picker: picker} | self.button(visit, request, states)

    def _model(self, request: gr.Request) -> str:
        return self.chosen.get(request.session_hash, self.settings.model)

    def state(self, request: gr.Request, states: tuple[ModelState, ...] | None = None) -> ModelState | None:
        """The model that the visitor's next run takes; None when it is not offered any more."""
        return model.find(self.offer.states() if states is None else states, self._model(request))

    def plan_of(self, visit: Visit, request: gr.Request) -> model.Planned | None:
        """The plan for this very model and clip, if it was made."""
        planned = self.planned.get(request.session_hash)
        return planned if planned is not None and (planned.model, planned.duration) == (self._model(request), visit.duration) else None

    def button(self, visit: Visit, request: gr.Request, states: tuple[ModelState, ...] | None = None) -> dict[Any, Any]:
        """Whether Run can be pressed, and if not why."""
        planned = self.plan_of(visit, request)
        problem = planned.problem if planned is not None else ""
        reason = model.why_not(self.state(request, states), clip=visit.has_clip, problem=problem)
        return {self.parts.run.run: gr.update(interactive=not reason), self.parts.run.why: run.why_value(reason)}

    def clip_card(self, visit: Visit, request: gr.Request, clip: Clip | None = None) -> dict[str, Any]:
        """What stands of the visitor's own clip; whether it is short depends on the window of the model that will run."""
        clip = clip or visit.clips[-1]
        state = self.state(request)
        window_s = model.window_of(state, self.settings) if state is not None else model.PUBLISHED_WINDOW_S
        valid = int(valid_rows(clip.n_trs, window_s).sum())
        notices = clip.notices
        if valid < FEW_ROWS:
            count = f"{valid} of its TRs rest" if valid > 1 else f"{'one' if valid else 'none'} of its TRs rests"
            notices += (f"Short: {count} on a full past, so the curves are a sketch.",)
        return stimulus.clip_value(
            name=visit.name, duration=clip.duration, n_trs=clip.n_trs, has_video=clip.has_video, has_audio=clip.has_audio, notices=notices
        )

    def course(self, visit: Visit, request: gr.Request, state: ModelState) -> run.Course:
        """Stages and shares of the bar for a run that begins now."""
        planned = self.plan_of(visit, request)
        if planned is not None and planned.plan is not None:
            return run.published_course({STAGE_OF.get(part.name, part.name): part.seconds for part in planned.plan.parts})
        return run.EMBEDDED if state.card is None or state.card.simulated else run.published_course()

    def leave(self, visitor: str) -> None:
        """Forget a visitor's plan; the choice stays, for a page that lost its connection comes back as the same visitor."""
        self.planned.pop(visitor, None)
        self.planning.pop(visitor, None)
