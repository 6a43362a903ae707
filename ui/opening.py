"""Opening the page: with what its address names, and for visitors who come back with what they brought."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr

from extractors.errors import CineglassError
from settings import Settings
from ui import link, model
from ui.choosing import Choosing
from ui.making import is_made
from ui.player import empty
from ui.returning import Returning
from ui.sessions import NO_CLIP, Shelf, Visit
from ui.shown import Shown, landing

if TYPE_CHECKING:
    from experiments.comparison import Comparison
    from ui.events import Parts

TAB_SAYS = """visit => {
  let key = null, list = null;
  try { key = sessionStorage.getItem("cineglass-tab"); list = localStorage.getItem("cineglass-runs"); } catch {}
  const how = performance.getEntriesByType("navigation")[0];
  return [visit, { key, list, again: Boolean(how) && ["reload", "back_forward"].includes(how.type) }];
}"""
"""What the browser says of its tab: its secret and the id of its list of runs (page.js keeps both), and whether the page was there before.
A frame without storage has neither."""


class Opening:
    """What the page does when it is opened.

    Parameters
    ----------
    parts : Parts
    settings : Settings
    shelf : Shelf
    choosing : Choosing
    returning : Returning
    keep, choice, show, open_example : callable
        Of :class:`ui.events.Handlers`: keep a visit, say where its words may come from, show a result, go over to an example.
    opened : callable
        Told of a comparison that is shown, and to whom.
    arrive : callable
        Of :class:`ui.my_runs.MyRuns`: finds the visitor's list of runs.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        settings: Settings,
        shelf: Shelf,
        choosing: Choosing,
        returning: Returning,
        keep: Callable[[Visit, gr.Request], dict[Any, Any]],
        choice: Callable[[Visit], dict[str, Any]],
        show: Callable[[Shown], dict[Any, Any]],
        open_example: Callable[[Visit, Shown, gr.Request], dict[Any, Any]],
        opened: Callable[[Comparison, gr.Request], None],
        arrive: Callable[..., tuple[str, dict[Any, Any]]],
    ):
        self.parts = parts
        self.settings = settings
        self.shelf = shelf
        self.choosing = choosing
        self.returning = returning
        self._keep = keep
        self._choice = choice
        self._show = show
        self._open_example = open_example
        self._opened = opened
        self._arrive = arrive

    def open_page(self, visit: Visit, said: Any, request: gr.Request) -> dict[Any, Any]:
        """Show what the address names, if there is such a thing.

        In a tab that brought clips here they are still the visitor's; after a reload, Run still takes the last of them.
        """
        said = said if isinstance(said, dict) else {}
        key, left = self.returning.open(request.session_hash, said.get("key"))
        parts = self.parts
        own, listed = self._arrive(said, visit, request)
        changes: dict[Any, Any] = {parts.tab: {"key": key, "list": own}, **listed}
        if left is None:
            changes |= self._open_link(visit, request)
        else:
            changes |= self._come_back(visit, left, said.get("again") is True, request)
        if model.needs_plan(self.choosing.state(request)):
            changes[parts.run.plan] = model.wanted_plan()
        return changes

    def _come_back(self, visit: Visit, left: Visit, again: bool, request: gr.Request) -> dict[Any, Any]:
        parts = self.parts
        visit = visit.but(uploads=left.uploads, runs=left.runs, comparisons=left.comparisons, clips=left.clips, exports=left.exports, made=left.made)
        changes = self._keep(visit, request) | self._open_link(visit, request)
        changes[parts.stimulus.delete] = gr.update(visible=True)
        if left.made:
            changes[parts.export.made] = {"state": "done", "message": "", "made": list(left.made)}
        if again and self.shelf.has_upload(left.upload):
            about = {"name": left.name, "n_trs": left.n_trs, "duration": left.duration}
            visit = changes[parts.visit].but(**NO_CLIP | {"upload": left.upload, "result": left.result, "written": left.written}, **about)
            visit = visit.but(**visit.own_words)
            changes |= self._keep(visit, request) | self.choosing.button(visit, request)
            changes[parts.run.recogniser] = self._choice(visit)
            changes[parts.stimulus.clip] = self.choosing.clip_card(visit, request)
            changes[parts.stimulus.gallery] = gr.update(value={**parts.stimulus.gallery.value, "chosen": None})
        return changes

    def _open_link(self, visit: Visit, request: gr.Request) -> dict[Any, Any]:
        asked = link.asked(request.query_params)
        states = self.choosing.offer.states()
        state = link.model_of(asked, states)
        if state is not None:
            self.choosing.take(state, request)
        changes = self.choosing.look(visit, request)
        if not (asked.example or asked.run or asked.comparison) or (asked.example and asked.example == visit.example):
            return changes
        return changes | self._open_result(asked, visit, request)

    def open_ready(self, visit: Visit, event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Open a finished experiment of the list."""
        return self._open_result(link.asked({"comparison": getattr(event, "id", "")}), visit, request)

    def open_named(self, kind: str, id: str, visit: Visit, request: gr.Request) -> dict[Any, Any]:
        """Open a result ("run", "comparison", "example") by its id, as a link would."""
        return self._open_result(link.asked({kind: id}), visit, request)

    def _open_result(self, asked: link.Asked, visit: Visit, request: gr.Request) -> dict[Any, Any]:
        states = self.choosing.offer.states()
        try:
            shown = link.result_of(asked, shelf=self.shelf, settings=self.settings, states=states)
        except CineglassError as error:
            first = landing(self.settings)
            return {self.parts.player: {**first.payload, "notice": error.message} if first else empty(error.message)}
        if shown.comparison is not None:
            self._opened(shown.comparison, request)
        if shown.example:
            return self._open_example(visit, shown, request)
        about = {"name": shown.title, "n_trs": shown.n_trs, "duration": shown.duration, "shown": shown.transcript}
        written = shown.transcript if is_made(shown.clip, shown.transcript) else None
        visit = visit.but(**NO_CLIP | {"run": asked.run, "comparison": asked.comparison, "written": written}, **about)
        visit = visit.but(**visit.own_words)
        card = self.choosing.clip_card(visit, request, shown.clip)
        kept_visit = self._keep(visit, request)
        around = {self.parts.stimulus.clip: card, self.parts.run.recogniser: self._choice(visit)}
        return self._show(shown) | kept_visit | around | self.choosing.button(visit, request, states)
