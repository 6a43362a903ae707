"""Designs and sets on the page: what is chosen is checked and priced, run in the same line as Run, and shown as tables with their files."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import gradio as gr

from experiments.factorial import crossable
from extractors.errors import CineglassError, SelectionError
from extractors.stages import Stage, stage_clock
from settings import Settings
from ui import designs, run
from ui.amounts import expected
from ui.choosing import Choosing
from ui.designs import DESIGN, EDITS_OF_ONE, HERE, ONE_CHANGE, Wanted, check, factors_of, set_clips, wanted_of
from ui.experiment import STAGES, Base
from ui.line import Job, Line, as_it_is, ended, in_plain_words, news
from ui.model import needs_plan, ready
from ui.sessions import Shelf, Visit, remember

if TYPE_CHECKING:
    from experiments.comparison import Comparison
    from experiments.conditions import Condition
    from experiments.factorial import Factorial
    from experiments.models import ModelState
    from experiments.predict import Result
    from experiments.runs import Entry
    from experiments.sets import SetComparison
    from extractors.clip import Clip
    from ui.events import Parts

MOST_PRICED = 30
"""Clips of a set that are looked at for a price; of more, the price is told from as many."""
RUNNING = "A run or a comparison is going. Wait for it, or stop it."
LAST = "model"
"""Stage that a condition ends with."""


@dataclass(frozen=True)
class Designed(run.Course):
    """The course of a design or a set: a stage for each condition."""


class Designing:
    """What the page does about designs and sets.

    Parameters
    ----------
    parts : Parts
    settings : Settings
    shelf : Shelf
    runs : Line
        The one that Run stands in.
    choosing : Choosing
    keep : callable
        Of :class:`ui.events.Handlers`: keeps a visit.
    base : callable
        Of :class:`ui.comparing.Comparing`: what the clip at hand is.
    listed : callable
        Of :class:`ui.my_runs.MyRuns`: what is in the visitor's own list.
    open_named : callable
        Of :class:`ui.opening.Opening`: shows a result by its id.
    newest : mapping of str to Visit
        The visits as they now are, by session.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        settings: Settings,
        shelf: Shelf,
        runs: Line,
        choosing: Choosing,
        keep: Callable[[Visit, gr.Request], dict[Any, Any]],
        base: Callable[[Visit, ModelState | None], tuple[Base, Clip | None, Result | None]],
        listed: Callable[[gr.Request], Sequence[Entry]],
        open_named: Callable[[str, str, Visit, gr.Request], dict[Any, Any]],
        newest: Mapping[str, Visit],
    ):
        self.parts, self.settings, self.shelf, self.runs, self.choosing = parts, settings, shelf, runs, choosing
        self._keep, self._base, self._listed, self._open_named, self._newest = keep, base, listed, open_named, newest
        self._opened: dict[str, str] = {}  # ready-made designs that were opened in the player, by session
        self._wanted: dict[str, Wanted] = {}  # not in the visit, as with what is chosen for B

    # what is chosen -----------------------------------------------------------------------------------------------------------------

    async def choose(self, visit: Visit, event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Read what was chosen; say whether it can run, what it can find, and what it takes."""
        self._take(event, request)
        return await self.look(visit, request)

    async def look(self, visit: Visit, request: gr.Request) -> dict[Any, Any]:
        """The form as it stands: another clip, model or run of the list may have come."""
        visit = self._newest.get(request.session_hash, visit)
        return {self.parts.designs.form: await asyncio.to_thread(self.value, visit, request)}

    def value(self, visit: Visit, request: gr.Request) -> dict[str, Any]:
        """What the form shows to this visitor."""
        wanted = self._wanted.get(request.session_hash, Wanted())
        state = self.choosing.state(request)
        base, _, _ = self._base(visit, state)
        job, going = self.runs.of(request.session_hash), self.going(request)
        if job is not None and not going:
            base = replace(base, why_not=RUNNING)
        clips = self._clips(visit, base, request)
        cost = ""
        if not going and not needs_plan(state):
            try:
                check(wanted, base, dict((key, title) for key, title, _ in clips) | {HERE: base.title})
                seconds = self._seconds(wanted, visit, request)
                cost = f"Takes {expected(seconds)} on this machine." if seconds else "All of it is in the cache: it takes a moment."
            except CineglassError:
                pass  # the form says it
        return designs.designs_value(base, wanted, clips=clips, cost=cost, working=going)

    def _take(self, event: gr.EventData, request: gr.Request) -> Wanted:
        names = ("mode", "cross", "first", "second", "one", "other", "pairs", "change", "clips", "a", "b", "paired", "seq")
        wanted = wanted_of({name: getattr(event, name, None) for name in names})
        remember(self._wanted, request.session_hash, wanted)
        return wanted

    def _clips(self, visit: Visit, base: Base, request: gr.Request) -> list[tuple[str, str, str]]:
        """Clips to choose from: examples, the visitor's own, and the runs of their list."""
        from experiments.examples import list_examples

        examples = [(f"example:{one.id}", one.title, "Examples") for one in list_examples(self.settings)]
        mine = [(f"clip:{number}", clip.name, "Your clips") for number, clip in enumerate(visit.clips, 1)]
        runs = [(f"run:{entry.token}", entry.title, "My runs") for entry in self._listed(request) if entry.kind == "run"]
        return [*examples, *mine, *runs]

    def _source(self, key: str, visit: Visit, request: gr.Request) -> Result | Condition:
        """A clip that was chosen: its finished result, or the film to run."""
        from experiments.conditions import Condition
        from experiments.examples import load_example
        from experiments.results import load_result

        if key == HERE:
            _, clip, result = self._base(visit, self.choosing.state(request))
            if result is None and clip is None:
                raise SelectionError("no_clip", "Choose a clip first: an example, or your own.", "")
            return result or Condition(film=clip, transcript=visit.transcript if visit.given else None, recogniser=visit.recogniser or None)
        kind, _, name = key.partition(":")
        if kind == "example":
            return load_example(name, self.settings)[1]
        if kind == "clip" and name.isdigit() and 0 < int(name) <= len(visit.clips):
            return Condition(film=visit.clips[int(name) - 1], recogniser=visit.recogniser or None)
        if kind == "run" and any(entry.token == name for entry in self._listed(request)):
            return load_result(self.shelf.run(name))
        raise SelectionError("gone", "A clip that was chosen is not kept here any more.", "Choose again.")

    def _seconds(self, wanted: Wanted, visit: Visit, request: gr.Request) -> float:
        """About how long it takes on the embedded model."""
        from experiments.conditions import Condition
        from experiments.design_plan import seconds_of
        from experiments.factorial import both, swapped_sounds

        def of(source: Result | Condition, edits: str = "") -> Condition:
            film = source.clip if hasattr(source, "clip") else source.film
            return Condition(film=film, edits=edits, transcript=source.transcript, recogniser=getattr(source, "recogniser", None))

        def price(conditions: Iterable[Condition]) -> float:
            return seconds_of(conditions, settings=self.settings)

        if wanted.mode == DESIGN and wanted.cross == EDITS_OF_ONE:
            levels, source = crossable(wanted.first, wanted.second), self._source(HERE, visit, request)
            return price(of(source, edits) for edits in ("", *levels, both(*levels)))
        if wanted.mode == DESIGN:
            return price(swapped_sounds(*(of(self._source(key, visit, request)).film for key in (wanted.one, wanted.other))).values())
        first, second = set_clips(wanted)
        keys = (*first, *second)
        sources = [self._source(key, visit, request) for key in keys[:MOST_PRICED]]
        anew = [of(source) for source in sources if not hasattr(source, "clip")]
        changed = [of(source, wanted.change) for source in sources] if wanted.pairs == ONE_CHANGE else []
        return price([*anew, *changed]) * len(keys) / max(1, len(sources))

    # the job ------------------------------------------------------------------------------------------------------------------------

    async def start(self, visit: Visit, event: gr.EventData, request: gr.Request) -> AsyncIterator[dict[Any, Any]]:
        """Run the design or the set, telling every condition; the last result stays until a new one is there."""
        tab, visitor = self.parts.designs, request.session_hash
        visit = self._newest.get(visitor, visit)
        wanted = self._take(event, request)
        if self.going(request):
            yield as_it_is(tab.status)  # a second click while the first one is out
            return
        try:
            job = await asyncio.to_thread(self._join, wanted, visit, request)
        except Exception as error:
            yield {tab.status: _still(run.failed(in_plain_words(error))), **await self.look(visit, request)}
            return
        try:
            yield {tab.status: _status(job, 0), **await self.look(visit, request)}
            async for status in news(job, self.runs, lambda position: _status(job, position)):
                yield {tab.status: status}
            changes: dict[Any, Any] = {tab.status: _status(job, 0)}
            if job.state == "done":
                token, value = job.result
                newest = self._newest.get(visitor, visit)
                changes |= self._keep(newest.but(exports=(*newest.exports, token)), request) | {tab.result: value}
            yield changes | await self.look(visit, request)
        finally:
            if not job.over:
                self.runs.stop(job)

    async def stop(self, visit: Visit, request: gr.Request) -> dict[Any, Any]:
        """Stop the job; does its own reset, because the cancelled event can no longer speak."""
        job = self.runs.of(request.session_hash)
        if job is None or not self.going(request):
            return await self.look(visit, request)
        self.runs.stop(job)
        await ended(job)
        return {self.parts.designs.status: _stopped(job), **await self.look(visit, request)}

    def going(self, request: gr.Request) -> bool:
        """Whether a design or a set of this visitor's runs or waits."""
        job = self.runs.of(request.session_hash)
        return job is not None and isinstance(job.about, Designed)

    def leave(self, visitor: str) -> None:
        """The page was closed."""
        self._wanted.pop(visitor, None)
        self._opened.pop(visitor, None)

    def _join(self, wanted: Wanted, visit: Visit, request: gr.Request) -> Job:
        state = ready(self.choosing.state(request))
        base, _, _ = self._base(visit, state)
        names = {HERE: base.title} | {key: title for key, title, _ in self._clips(visit, base, request)}
        check(wanted, base, names)
        make = self._design if wanted.mode == DESIGN else self._set
        labels, job = make(wanted, names, visit, state, request)
        course = Designed(
            {f"c{number}": label for number, label in enumerate(labels)}, {f"c{number}": 1 / len(labels) for number in range(len(labels))}
        )
        return self.runs.join(request.session_hash, job, about=course)

    def _design(
        self, wanted: Wanted, names: Mapping[str, str], visit: Visit, state: ModelState, request: gr.Request
    ) -> tuple[list[str], Callable[[], Iterator[Any]]]:
        """What a person calls the four conditions, and what runs them."""
        how = {"model": state.id, "settings": self.settings}
        if wanted.cross == EDITS_OF_ONE:
            levels, source = crossable(wanted.first, wanted.second), self._source(HERE, visit, request)
            title, factors = names[HERE], factors_of(levels)
            labels = ["As it is", levels[1], levels[0], f"{levels[0]}, and {levels[1]}"]

            def job() -> Iterator[Any]:
                from experiments.factorial import crossed

                return crossed(source, *levels, factors=factors, **how)
        else:
            films = [self._source(key, visit, request) for key in (wanted.one, wanted.other)]
            one, other = names[wanted.one], names[wanted.other]
            title = f"{one} and {other}"
            labels = [one, f"Picture of {one}, sound of {other}", f"Picture of {other}, sound of {one}", other]

            def job() -> Iterator[Any]:
                from experiments.factorial import pictures_by_sounds

                return pictures_by_sounds(*(film if hasattr(film, "clip") else film.film for film in films), names=(one, other), **how)

        def kept(found: Factorial) -> Iterator[Any]:
            from experiments.design_files import design_facts, write_design

            return self._kept(lambda folder: write_design(found, folder), lambda: design_facts(found), title=title)

        return labels, lambda: _told(job(), len(labels), kept)

    def _set(
        self, wanted: Wanted, names: Mapping[str, str], visit: Visit, state: ModelState, request: gr.Request
    ) -> tuple[list[str], Callable[[], Iterator[Any]]]:
        """The same of a set: only what has to be run has a stage."""
        from experiments.sets import compare_sets, no_film_twice

        first, second = set_clips(wanted)
        change = wanted.change if wanted.pairs == ONE_CHANGE else ""
        sources = [[self._source(key, visit, request) for key in side] for side in (first, second)]
        no_film_twice(*sources, paired=wanted.paired or bool(change))
        labels = []
        for keys, held in zip((first, second), sources, strict=True):
            for key, source in zip(keys, held, strict=True):
                fresh = not hasattr(source, "clip") or source.responses.model_id != (state.card.model_id if state.card else state.id)
                labels += [names[key]] * fresh + [f"{names[key]}: {change}"] * bool(change)
        called = tuple([names[key] for key in side] for side in (first, first if change else second))
        about = {"paired": wanted.paired or bool(change), "model": state.id, "settings": self.settings}

        def job() -> Iterator[Any]:
            return compare_sets(sources[0], change or sources[1], **about)

        def kept(found: SetComparison) -> Iterator[Any]:
            from experiments.design_files import set_facts, write_set

            more = {"names": called, "change": change}
            title = f"{len(found.a)} pairs of clips" if found.paired else f"{len(found.a)} and {len(found.b)} clips"
            title += f": as they are, and {change}" if change else ""
            return self._kept(lambda folder: write_set(found, folder, **more), lambda: set_facts(found, **more), title=title)

        labels = labels or ["Test"]
        return labels, lambda: _told(job(), len(labels), kept)

    def _kept(self, write: Callable[[Any], Sequence[Any]], facts: Callable[[], dict[str, Any]], *, title: str) -> Iterator[Any]:
        """Put the tables on the shelf; the last item is the tuple (token, value of the result)."""
        token, folder = self.shelf.new_export()
        whole = False
        try:
            files = [designs.file_value(token, path) for path in write(folder)]
            whole = True
        finally:
            if not whole:
                shutil.rmtree(folder, ignore_errors=True)
        yield token, designs.result_value(facts(), title=title, files=files)

    # ready-made ---------------------------------------------------------------------------------------------------------------------

    def open(self, visit: Visit, event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Open a finished design: its effects here, its corners in the player."""
        visit, id = self._newest.get(request.session_hash, visit), str(getattr(event, "id", ""))
        changes = self._open_named("comparison", id, visit, request)
        self._opened.pop(request.session_hash, None)
        return changes | self._ready(id, visit, request)

    def saw(self, comparison: Comparison, request: gr.Request) -> None:
        """A comparison is being opened in the player."""
        from experiments.ready_made import design_id

        if id := design_id(comparison):
            self._opened[request.session_hash] = id

    async def follow(self, visit: Visit, request: gr.Request) -> dict[Any, Any]:
        """After an experiment was opened elsewhere: if it is a design, its effects are shown."""
        return await asyncio.to_thread(self._ready, self._opened.pop(request.session_hash, ""), visit, request)

    def _ready(self, id: str, visit: Visit, request: gr.Request) -> dict[Any, Any]:
        from experiments.design_files import EFFECTS_TABLE, design_frame
        from experiments.ready_made import load_design, ready_made_designs
        from viz.export import write_table

        if id not in {one.id for one in ready_made_designs()}:
            return {self.parts.visit: self._newest.get(request.session_hash, visit)}
        one, facts = load_design(id)
        token, folder = self.shelf.new_export()
        folder.mkdir(parents=True)
        file = designs.file_value(token, write_table(design_frame(facts), folder / EFFECTS_TABLE))
        newest = self._newest.get(request.session_hash, visit)
        value = designs.result_value(facts, title=one.title, files=[file], lines=(one.question, *one.lines(simulated=facts["simulated"])))
        return self._keep(newest.but(exports=(*newest.exports, token)), request) | {self.parts.designs.result: value}


def _told(job: Iterator[Any], n: int, kept: Callable[[Any], Iterator[Any]]) -> Iterator[Any]:
    """The stages of a job as one stage for each of its ``n`` conditions, then what ``kept`` gives for its last item."""
    number, order = 0, list(STAGES)
    at = stage_clock("c0", 1.0)
    found = None
    try:
        for item in job:
            if not isinstance(item, Stage):
                found = item
                continue
            finished = item.name == LAST and item.finished
            share = ((order.index(item.name) if item.name in order else 0) + item.done / max(item.total, 1e-9)) / len(order)
            stage = at(1.0 if finished else min(0.99, share), item.message)
            yield replace(stage, remaining_s=None)
            if finished and number < n - 1:
                number += 1
                at = stage_clock(f"c{number}", 1.0)
    finally:
        job.close()
    yield from kept(found)


def _status(job: Job, position: int) -> dict[str, Any]:
    if job.state == "stopped":
        return _stopped(job)
    return _still(run.of_job(job, position))


def _stopped(job: Job) -> dict[str, Any]:
    return _still({**run.stopped(job), "message": "Finished conditions are kept: running again goes on from there."})


def _still(status: dict[str, Any]) -> dict[str, Any]:
    """The result of this job is below and not in the player, so the page stays where it is."""
    return {**status, "stays": True}


def wire_designs(
    designing: Designing, scene: list[Any], after: tuple[Any, ...], opened: tuple[Any, ...], *, now: dict, long: dict
) -> tuple[Any, ...]:
    """Attach the tab's handlers, as a part of :func:`ui.wire.wire`.

    After each event of ``after`` the form is looked through again; after those of ``opened`` a finished design may be there. Returns the events
    that show another result.
    """
    visit, tab = designing.parts.visit, designing.parts.designs
    whole = [visit, tab.form, tab.status, tab.result]
    tab.form.choose(designing.choose, [visit], [tab.form], **now | {"trigger_mode": "multiple"})
    started = tab.form.start(designing.start, [visit], whole, trigger_mode="multiple", **long)
    tab.form.stop(designing.stop, [visit], whole, cancels=[started], **now)
    ready = tab.form.open(designing.open, [visit], [*scene, tab.result], **now)
    for event in opened:
        event.then(designing.follow, [visit], [visit, tab.result], **now)
    for event in (*after, ready, started):
        event.then(designing.look, [visit], [tab.form], **now)
    return (ready,)
