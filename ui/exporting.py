"""Exports asked for on the page: what the browser says is checked, the job stands in a line of its own, its files are kept for a while."""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from encoder.curves import curve_ids
from experiments.export import Asked, Exported, export, find_kind, parse_rows
from extractors.errors import CineglassError, SelectionError
from settings import Settings
from ui import export as tab
from ui.files import comparison_folder, example_folder
from ui.line import Job, Line, as_it_is, in_plain_words, news
from ui.sessions import Shelf, Visit
from viz.look import Look

if TYPE_CHECKING:
    from experiments.predict import Result
    from ui.events import Parts

PLACE = re.compile(r"cineglass/(?:(examples|runs)/([\w.-]{1,200})|comparisons/([a-z0-9-]{1,100})(?:/([ab]))?)")
SUBJECT = re.compile(r"(?:sim|subject)(\d{1,3})")
WIDEST = 100.0
"""Largest colour range that a page may ask for, as in the player (z)."""


class Exporting:
    """What the page does about exports.

    Parameters
    ----------
    parts : Parts
    settings : Settings
    shelf : Shelf
    keep : callable
        Takes a visit and a request, gives the changes that keep the visit.
    newest : mapping of str to Visit
        The visits as they now are, by session.
    """

    def __init__(self, parts: Parts, *, settings: Settings, shelf: Shelf, keep: Callable[..., dict[Any, Any]], newest: Mapping[str, Visit]):
        self.parts, self.settings, self.shelf, self._keep, self._newest = parts, settings, shelf, keep, newest
        self.line = Line(running=settings.runs_at_once, waiting=settings.queue_size)

    async def make(self, visit: Visit, event: gr.EventData, request: gr.Request) -> AsyncIterator[dict[Any, Any]]:
        """Make what was asked for, telling how far it is."""
        made = self.parts.export.made
        visit = self._newest.get(request.session_hash, visit)
        job = None
        try:
            data = {key: getattr(event, key, None) for key in ("kind", "player", "dark", "rows", "minus")}
            kind, folder = find_kind(str(data["kind"])), self._folder(data["player"])
            job = self.line.join(request.session_hash, lambda: self._job(kind.id, folder, data), about=kind)
        except Exception as error:
            second = getattr(error, "code", "") == "already_running"  # a click while the first one is made
            yield as_it_is(made) if second else {made: _failed(in_plain_words(error), visit)}
            return
        try:
            async for now in news(job, self.line, lambda position: _working(job, position, visit)):
                yield {made: now}
            visit = self._newest.get(request.session_hash, visit)
            if job.error is not None:
                yield {made: _failed(job.error, visit)}
            elif job.state == "stopped":
                yield {made: _resting("Stopped. Nothing was written.", visit)}
            else:
                token, exported = job.result
                entry = {"label": exported.kind.label, "files": [_file(token, path) for path in (*exported.files, exported.sidecar)]}
                visit = visit.but(exports=(*visit.exports, token), made=(entry, *visit.made)[: tab.MOST_MADE])
                yield {**self._keep(visit, request), made: _resting("", visit)}
        finally:
            if not job.over:
                self.line.stop(job)

    def stop(self, visit: Visit, request: gr.Request) -> dict[Any, Any]:
        """Stop what is being made; does its own reset, because the cancelled event can no longer speak."""
        job = self.line.of(request.session_hash)
        self.line.stop_visitor(request.session_hash)
        now = _resting("Stopped. Nothing was written.", self._newest.get(request.session_hash, visit))
        return {self.parts.export.made: now | {"job": job.id if job is not None else ""}}

    def leave(self, visitor: str) -> None:
        """The page was closed."""
        self.line.stop_visitor(visitor)

    def _folder(self, player: Any) -> Path:
        """Folder of the result in the player, named by its address; who names a run's random id may read it."""
        found = PLACE.fullmatch(str(player.get("run"))) if isinstance(player, dict) else None
        if found is None:
            raise SelectionError("no_result", "There is no result in the player.", "Run a clip or open an example.")
        try:
            if found[3]:
                return comparison_folder(found[3], found[4] or "a", self.shelf)
            return example_folder(found[2], self.settings) if found[1] == "examples" else self.shelf.run(found[2])
        except FileNotFoundError:
            raise SelectionError("no_result", "This example is no longer here.", "Reload the page.") from None

    def _job(self, kind: str, folder: Path, data: Mapping[str, Any]) -> Iterator[Any]:
        from experiments.examples import card_beside, example_beside
        from experiments.results import load_result
        from extractors.stages import passing_on

        result = load_result(folder)
        asked = asked_of(data, result)
        token, place = self.shelf.new_export()
        about = {"card": card_beside(folder, result.responses), "example": example_beside(folder)}
        exported: Exported = yield from passing_on(export(result, kind, place, asked=asked, **about))
        yield token, exported


def asked_of(data: Mapping[str, Any], result: Result) -> Asked:
    """What the browser asked for, checked: it may send anything.

    Raises
    ------
    SelectionError
        For a subject, TR or number that the result or the player cannot have.
    """
    player = data["player"]
    responses = result.responses
    subject = None
    if (name := str(player.get("subject"))) != "mean":
        found = SUBJECT.fullmatch(name)
        if found is None:
            raise SelectionError("unknown_subject", "There is no such subject.", "Choose one in the player.")
        subject = int(found[1])
    tr = player.get("tr")
    tr = tr if isinstance(tr, int) and 0 <= tr < responses.n_trs else None
    rows = {name: parse_rows(str(data.get(name)), responses.n_trs) if str(data.get(name) or "").strip() else None for name in ("rows", "minus")}
    dark = data.get("dark") is True
    cmap = "cold_hot" if player.get("classic") is True else f"cineglass_{'dark' if dark else 'light'}"
    view = player.get("view") if player.get("view") in ("glass", "surface", "both") else "both"
    look = Look(
        vmax=_number(player.get("range"), 0.01, WIDEST),
        threshold=_number(player.get("threshold"), 0.0, WIDEST),
        cmap=cmap,
        lag=5.0 if player.get("lag") else 0.0,
        views=view,
        dark=dark,
    )
    wanted = player.get("curves")
    curves = tuple(name for name in curve_ids() if isinstance(wanted, list) and name in wanted)
    return Asked(subject=subject, tr=tr, rows=rows["rows"], minus=rows["minus"], look=look, curves=curves)


def _number(value: Any, low: float, high: float) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and low <= value <= high:
        return float(value)
    raise SelectionError("number_outside", f"Allowed are numbers from {low:g} to {high:g} z.", "Set range and threshold in the player again.")


def _file(token: str, path: Path) -> dict[str, Any]:
    return {"name": path.name, "href": f"cineglass/exports/{token}/{path.name}", "size": path.stat().st_size}


def _working(job: Job, position: int, visit: Visit) -> dict[str, Any]:
    told = {"state": "working", "made": list(visit.made), "job": job.id}
    if job.state == "waiting":
        return told | {"message": f"{job.about.label}: waiting, {position} before you", "fraction": 0.0}
    stage = list(job.stages.values())[-1] if job.stages else None
    message = f"{job.about.label}: {stage.message}" if stage else f"{job.about.label}: begins"
    return told | {"message": message, "fraction": round(stage.done / stage.total, 3) if stage else 0.0}


def _resting(message: str, visit: Visit) -> dict[str, Any]:
    return {"state": "done" if visit.made or message else "", "message": message, "made": list(visit.made)}


def _failed(error: CineglassError, visit: Visit) -> dict[str, Any]:
    return {"state": "failed", "error": {"message": error.message, "hint": error.hint}, "made": list(visit.made)}
