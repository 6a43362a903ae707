"""The My runs tab: what this browser ran and compared, to open, name, compare and delete again; and capsules, saved and opened.

A list is reached by its id alone (:mod:`experiments.runs`). The browser keeps the id of its own list; a link can show another one's.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from experiments.runs import ID, THUMBNAIL, Entry, RunsList, describe, sweep_lists, thumbnail
from extractors.errors import CineglassError, SelectionError
from settings import Settings
from ui.line import Job, Line, as_it_is, in_plain_words
from ui.panel import Panel
from ui.sessions import TOKEN, Shelf, Visit

if TYPE_CHECKING:
    from experiments.capsule_read import Opened
    from experiments.comparison import Comparison
    from experiments.predict import Result
    from ui.events import Parts

POLL_S = 0.2
MOST_VISITORS = 1000
PLACE = re.compile(r"cineglass/(examples|runs|comparisons)/([\w.-]{1,200})")
EXPIRED = "This list is not kept here any more, or its link is wrong. This is your own."


@dataclass(frozen=True)
class RunsTab:
    """Components of the tab."""

    list: Panel
    work: Panel


def runs_tab(settings: Settings) -> RunsTab:
    """Build the tab's content; the list comes when the page is opened."""
    work = Panel("capsule", {}, sends=("stop",), elem_id="cp-capsule")
    sends = ("open", "star", "rename", "remove", "compare", "save", "dropped", "own")
    return RunsTab(Panel("runs", {"hours": settings.keep_hours, "entries": [], "own": True}, sends=sends, elem_id="cp-runs"), work)


class MyRuns:
    """What the page does about the list of runs and about capsules.

    Parameters
    ----------
    parts : Parts
    settings : Settings
    shelf : Shelf
    keep : callable
        Takes a visit and a request, gives the changes that keep the visit.
    open_result : callable
        Takes "run", "comparison" or "example", an id, a visit and a request; gives the changes that show it.
    newest : mapping of str to Visit
        The visits as they now are, by session.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        settings: Settings,
        shelf: Shelf,
        keep: Callable[[Visit, gr.Request], dict[Any, Any]],
        open_result: Callable[[str, str, Visit, gr.Request], dict[Any, Any]],
        newest: Mapping[str, Visit],
    ):
        self.parts, self.settings, self.shelf = parts, settings, shelf
        self._keep, self._open_result, self._newest = keep, open_result, newest
        self._lists: dict[str, tuple[str, str]] = {}  # by session: the visitor's own list, and the one that is shown
        self._astray: set[str] = set()  # sessions whose link named no list: said until they do something
        self.line = Line(running=2, waiting=settings.queue_size)

    # the list -----------------------------------------------------------------------------------------------------------------------

    def arrive(self, said: Mapping[str, Any], visit: Visit, request: gr.Request) -> tuple[str, dict[Any, Any]]:
        """A page was opened.

        Parameters
        ----------
        said : mapping
            ``list``: the id that the browser keeps, if it has one.
        visit : Visit
        request : gradio.Request
            Its query may name another list as ``runs``.

        Returns
        -------
        id : str
            Of the visitor's own list, for the browser to keep.
        changes : dict
            Of the page.
        """
        own, asked = said.get("list"), request.query_params.get("runs")
        own = own if isinstance(own, str) and ID.fullmatch(own) else RunsList(self.settings).id
        shown = own
        if asked and asked != own:
            if ID.fullmatch(str(asked)) and RunsList(self.settings, str(asked)).exists:
                shown = str(asked)
            else:
                self._astray.add(request.session_hash)
        self._lists.pop(request.session_hash, None)
        self._lists[request.session_hash] = (own, shown)
        for visitor in list(self._lists)[:-MOST_VISITORS]:
            self.leave(visitor)
        return own, self._told(request)

    async def look(self, visit: Visit, request: gr.Request) -> dict[Any, Any]:
        """Take in what this visit ran meanwhile, and show the list as it now is."""
        visit = self._newest.get(request.session_hash, visit)
        await asyncio.to_thread(self._take_in, visit, request)
        return self._told(request)

    def _take_in(self, visit: Visit, request: gr.Request) -> None:
        own, _ = self._ids(request)
        mine = RunsList(self.settings, own)
        mine.tidy()
        listed = {entry.token for entry in mine.entries()}
        for kind, tokens in (("run", visit.runs), ("comparison", visit.comparisons)):
            for token in tokens:
                if token not in listed:
                    try:
                        self._add(mine, kind, token)
                    except CineglassError:
                        continue  # its time is over

    def _add(self, mine: RunsList, kind: str, token: str, *, title: str = "", about: str = "") -> None:
        held = self._held(kind, token)
        first = held.a if kind == "comparison" else held
        title = title or (_title(held) if kind == "comparison" else first.clip.name)
        mine.add(kind, token, title, about=f"{about}{describe(held)}", thumbnail=thumbnail(first))

    def _held(self, kind: str, token: str) -> Result | Comparison:
        from experiments.capsule import load_source

        return load_source(self.shelf.comparison(token) if kind == "comparison" else self.shelf.run(token))

    def _ids(self, request: gr.Request) -> tuple[str, str]:
        """The visitor's own list and the one shown; a session that never opened the page has a list of its own."""
        return self._lists.setdefault(request.session_hash, (fresh := RunsList(self.settings).id, fresh))

    def listed(self, request: gr.Request) -> tuple[Entry, ...]:
        """What is in the visitor's own list."""
        return RunsList(self.settings, self._ids(request)[0]).entries()

    def _told(self, request: gr.Request, error: CineglassError | None = None) -> dict[Any, Any]:
        own, shown = self._ids(request)
        held = RunsList(self.settings, shown)
        if error is None and request.session_hash in self._astray:
            error = SelectionError("no_list", EXPIRED, "")
        value = {
            "id": shown,
            "own": own == shown,
            "hours": self.settings.keep_hours,
            "entries": [_entry_value(entry) for entry in held.entries()],
            "stamp": secrets.token_hex(4),  # every value is a new one: what was typed meanwhile is drawn over
        }
        return {self.parts.my_runs.list: value | ({"error": _words(error)} if error is not None else {})}

    def open(self, visit: Visit, event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Show a run of the list in the player."""
        visit = self._newest.get(request.session_hash, visit)
        try:
            entry = self._entry(event, request)
        except CineglassError as error:
            return self._told(request, error)
        return self._open_result(entry.kind, entry.token, visit, request)

    def star(self, event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Mark a run, or take its mark away."""
        return self._change(event, request, lambda held, entry: held.star(entry.token, getattr(event, "starred", None) is True))

    def rename(self, event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Give a run another name."""
        return self._change(event, request, lambda held, entry: held.rename(entry.token, str(getattr(event, "title", ""))))

    def remove(self, visit: Visit, event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Delete a run with its files."""
        changes = self._change(event, request, lambda held, entry: held.delete(entry.token))
        visit, token = self._newest.get(request.session_hash, visit), getattr(event, "token", "")
        if token in (*visit.runs, *visit.comparisons):
            left = {name: tuple(one for one in getattr(visit, name) if one != token) for name in ("runs", "comparisons")}
            changes |= self._keep(visit.but(**left, result="" if visit.result.endswith(token) else visit.result), request)
        return changes

    def own(self, request: gr.Request) -> dict[Any, Any]:
        """Back from a list that a link showed to the visitor's own."""
        own, _ = self._ids(request)
        self._astray.discard(request.session_hash)
        self._lists[request.session_hash] = (own, own)
        return self._told(request)

    def _change(self, event: gr.EventData, request: gr.Request, act: Callable[[RunsList, Entry], None]) -> dict[Any, Any]:
        self._astray.discard(request.session_hash)
        try:
            act(RunsList(self.settings, self._ids(request)[1]), self._entry(event, request))
        except CineglassError as error:
            return self._told(request, error)
        return self._told(request)

    def _entry(self, event: gr.EventData, request: gr.Request, name: str = "token") -> Entry:
        return RunsList(self.settings, self._ids(request)[1]).entry(str(getattr(event, name, "")))

    # two of them --------------------------------------------------------------------------------------------------------------------

    async def compare(self, visit: Visit, event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Put two runs beside each other as A and B, and show them."""
        visit = self._newest.get(request.session_hash, visit)
        try:
            token = await asyncio.to_thread(self._pair, event, request)
        except Exception as error:
            return self._told(request, in_plain_words(error))
        visit = visit.but(comparisons=(*visit.comparisons, token))
        kept = self._keep(visit, request)
        return kept | self._open_result("comparison", token, visit, request) | await self.look(visit, request)

    def _pair(self, event: gr.EventData, request: gr.Request) -> str:
        from experiments.comparison_files import save_comparison
        from experiments.kept_pair import pair

        results, labels = [], []
        for name in ("a", "b"):
            entry = self._entry(event, request, name)
            held = self._held(entry.kind, entry.token)
            side = getattr(event, f"{name}_side", "a")
            result = held if entry.kind == "run" else held.b if side == "b" else held.a
            results.append(result)
            label = entry.title if entry.kind == "run" else held.label_b if side == "b" else held.label_a
            labels.append("" if label in ("A", "B") else label)
        token, folder = self.shelf.new_comparison()
        save_comparison(pair(*results, label_a=labels[0], label_b=labels[1]), folder)
        return token

    # capsules -----------------------------------------------------------------------------------------------------------------------

    async def save(self, visit: Visit, event: gr.EventData, request: gr.Request) -> AsyncIterator[dict[Any, Any]]:
        """Save a capsule of a run of the list, or of what the player shows."""
        visit = self._newest.get(request.session_hash, visit)
        try:
            said = {name: getattr(event, name, None) for name in ("token", "place", "film", "state", "title")}
            source, title = await asyncio.to_thread(self._source, said, event, request)
            job = self.line.join(request.session_hash, lambda: self._saving(source, title, said), about="Capsule")
        except Exception as error:
            work, second = self.parts.my_runs.work, getattr(error, "code", "") == "already_running"
            yield as_it_is(work) if second else {work: _failed(in_plain_words(error))}
            return
        async for changes in self._follow(job):
            yield changes
        if job.state == "done":
            token, path = job.result
            visit = self._newest.get(request.session_hash, visit)
            kept = self._keep(visit.but(exports=(*visit.exports, token)), request)
            file = {"name": path.name, "href": f"cineglass/exports/{token}/{path.name}", "size": path.stat().st_size}
            yield kept | {self.parts.my_runs.work: {"state": "done", "message": "The capsule is ready.", "file": file}}

    def _source(self, said: dict[str, Any], event: gr.EventData, request: gr.Request) -> tuple[Result | Comparison, str]:
        """What is to be saved, and what it is called."""
        if said["token"]:
            entry = self._entry(event, request)
            return self._held(entry.kind, entry.token), entry.title
        found = PLACE.fullmatch(str(said["place"]))
        if found is None:
            raise SelectionError("no_result", "There is no result in the player.", "Run a clip or open an example.")
        title = str(said["title"] or "")[:200]
        if found[1] == "examples":
            from experiments.examples import load_example

            example, result = load_example(found[2], self.settings)
            return result, example.title
        if found[1] == "comparisons" and not TOKEN.fullmatch(found[2]):
            from experiments.ready_made import load_ready_made

            about, comparison = load_ready_made(found[2])
            return comparison, about.title
        return self._held(found[1].removesuffix("s"), found[2]), title

    def _saving(self, source: Result | Comparison, title: str, said: dict[str, Any]) -> Iterator[Any]:
        from experiments.capsule import ENDING, write_capsule
        from experiments.export import safe_name
        from extractors.stages import passing_on

        token, folder = self.shelf.new_export()
        whole = False
        try:
            folder.mkdir(parents=True)
            path = folder / f"{safe_name(title)}{ENDING}"
            how = {"film": said["film"] is True, "state": str(said["state"] or ""), "title": title or None, "settings": self.settings}
            path = yield from passing_on(write_capsule(source, path, **how))
            whole = True
        finally:
            if not whole:
                shutil.rmtree(folder, ignore_errors=True)
        yield token, path

    async def receive(self, visit: Visit, event: gr.EventData, request: gr.Request) -> AsyncIterator[dict[Any, Any]]:
        """Open a capsule that was dropped: its results go on the shelf, into the list and into the player."""
        upload = ""
        try:
            upload = await asyncio.to_thread(self.shelf.keep_upload, str(getattr(event, "path", "")))
            job = self.line.join(request.session_hash, lambda: self._opening(self.shelf.upload(upload)), about="Capsule")
        except Exception as error:
            self.shelf.drop_upload(upload)
            yield {self.parts.my_runs.work: _failed(in_plain_words(error))}
            return
        try:
            async for changes in self._follow(job):
                yield changes
        finally:
            self.shelf.drop_upload(upload)
        if job.state != "done":
            return
        kind, token, opened = job.result
        visit = self._newest.get(request.session_hash, visit)
        name = "comparisons" if kind == "comparison" else "runs"
        visit = visit.but(clips=(*opened.clips.values(), *visit.clips), **{name: (*getattr(visit, name), token)})
        kept = self._keep(visit, request)
        await asyncio.to_thread(self._list_opened, kind, token, opened, request)
        address = "&".join(part for part in (f"{kind}={token}", opened.state) if part)
        yield kept | self._told(request) | {self.parts.my_runs.work: {"state": "done", "message": "Opening the capsule", "address": f"?{address}"}}

    def _opening(self, file: Path) -> Iterator[Any]:
        from experiments.capsule_read import open_capsule
        from extractors.stages import passing_on

        room = self.settings.cache_dir / "capsules" / secrets.token_hex(16)
        try:
            opened: Opened = yield from passing_on(open_capsule(file, room, settings=self.settings))
            token, home = self.shelf.new_comparison() if opened.kind == "comparison" else self.shelf.new_run()
            home.parent.mkdir(parents=True, exist_ok=True)
            (room if opened.kind == "comparison" else room / "a").rename(home)
        finally:
            shutil.rmtree(room, ignore_errors=True)
        yield opened.kind, token, opened

    def _list_opened(self, kind: str, token: str, opened: Opened, request: gr.Request) -> None:
        try:
            self._add(RunsList(self.settings, self._ids(request)[0]), kind, token, title=opened.title, about="From a capsule · ")
        except CineglassError:
            return  # it is shown all the same

    async def _follow(self, job: Job) -> AsyncIterator[dict[Any, Any]]:
        """Tell how far a job is until it is over, and what went wrong."""
        work, told = self.parts.my_runs.work, None
        try:
            while not job.over:
                value = _working(job, self.line.position(job))
                if value != told and not job.stopping:
                    told = value
                    yield {work: value}
                await asyncio.sleep(POLL_S)
            if job.error is not None:
                yield {work: _failed(job.error)}
        finally:
            if not job.over:
                self.line.stop(job)

    def stop(self, request: gr.Request) -> dict[Any, Any]:
        """Stop saving or opening; does its own reset, because the cancelled event can no longer speak."""
        job = self.line.of(request.session_hash)
        self.line.stop_visitor(request.session_hash)
        return {self.parts.my_runs.work: {"state": "done", "message": "Stopped. Nothing was kept.", "job": job.id if job is not None else ""}}

    def leave(self, visitor: str) -> None:
        """The page was closed."""
        self.line.stop_visitor(visitor)
        self._lists.pop(visitor, None)
        self._astray.discard(visitor)


def sweep(settings: Settings) -> None:
    """Remove lists whose time is over, and what killed openings left."""
    sweep_lists(settings)
    rooms = settings.cache_dir / "capsules"
    for room in rooms.iterdir() if rooms.is_dir() else ():
        with contextlib.suppress(OSError):  # it ended meanwhile
            if time.time() - room.stat().st_mtime > settings.keep_hours * 3600:
                shutil.rmtree(room, ignore_errors=True)


def _entry_value(entry: Entry) -> dict[str, Any]:
    inside = f"{entry.token}/a" if entry.kind == "comparison" else entry.token
    picture = f"cineglass/{entry.kind}s/{inside}/{THUMBNAIL}" if entry.thumbnail else ""
    about = {"kind": entry.kind, "token": entry.token, "title": entry.title, "about": entry.about, "starred": entry.starred}
    return about | {"made": round(entry.made), "picture": picture}


def _working(job: Job, position: int) -> dict[str, Any]:
    if job.state == "waiting":
        return {"state": "working", "message": f"Waiting, {position} before you", "fraction": 0.0, "job": job.id}
    stage = list(job.stages.values())[-1] if job.stages else None
    done = round(stage.done / stage.total, 2) if stage else 0.0
    return {"state": "working", "message": stage.message if stage else "Begins", "fraction": done, "job": job.id}


def _failed(error: CineglassError) -> dict[str, Any]:
    return {"state": "failed", "error": _words(error)}


def _words(error: CineglassError) -> dict[str, str]:
    return {"message": error.message, "hint": error.hint}


def wire_runs(runs: MyRuns, scene: list[Any], after: tuple[Any, ...], *, now: dict[str, Any], long: dict[str, Any]) -> tuple[Any, ...]:
    """Attach the tab's handlers, as a part of :func:`ui.wire.wire`.

    After each event of ``after`` the list is looked through again. Returns the events that show another result.
    """
    parts, tab = runs.parts, runs.parts.my_runs
    many = now | {"trigger_mode": "multiple"}  # Gradio drops what comes while an event is out, and a star has no second chance
    whole = [*scene, tab.work]
    opened = tab.list.open(runs.open, [parts.visit], scene, **now)
    tab.list.star(runs.star, None, [tab.list], **many)
    tab.list.rename(runs.rename, None, [tab.list], **many)
    tab.list.remove(runs.remove, [parts.visit], [parts.visit, tab.list], **many)
    tab.list.own(runs.own, None, [tab.list], **now)
    paired = tab.list.compare(runs.compare, [parts.visit], scene, **long)
    saving = tab.list.save(runs.save, [parts.visit], [parts.visit, tab.work], **long)
    opening = tab.list.dropped(runs.receive, [parts.visit], whole, **long)
    opening.then(None, None, None, js="() => window.CineglassPage.follow()", **now)
    tab.work.stop(runs.stop, None, [tab.work], cancels=[saving, opening], **now)
    for event in after:
        event.then(runs.look, [parts.visit], [tab.list], **now)
    return opened, paired


def _title(held: Comparison) -> str:
    """A comparison in the list: whose film, and what was done to it."""
    done = "; ".join(text for text in (held.edits, held.lesions and f"lesion {held.lesions}") if text)
    return f"{held.label_a}: {done}" if done else f"{held.label_a} and {held.label_b}"
