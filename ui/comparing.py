"""Comparing on the page: condition B is put together, priced, run in the same line as Run, and shown beside A."""

from __future__ import annotations

import asyncio
import functools
import inspect
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import gradio as gr

from encoder.lesions import known_in_training, parse_lesions
from extractors.edit_language import parse_edits
from extractors.errors import CineglassError
from extractors.stages import Stage
from settings import Settings
from ui import experiment, run
from ui.choosing import Choosing
from ui.experiment import Base, Bench
from ui.files import comparison_folder
from ui.line import Job, Line, as_it_is, ended, news
from ui.model import needs_plan, ready, why_not
from ui.player import failed, kept, working
from ui.sessions import Shelf, Visit, remember
from ui.shown import RUN_FILM, Shown, of_comparison

if TYPE_CHECKING:
    from encoder.cards import Card
    from experiments.comparison import Comparison
    from experiments.comparison_plan import Step
    from experiments.models import ModelState
    from experiments.predict import Result
    from extractors.clip import Clip
    from ui.events import Parts

DONE = "A and B are in the player: the buttons A, B and A − B (keys x and d) swap them in place. What changed stands in the tab Compare A/B."
AWAY = "Sensitivity to small changes is known by now. Comparing again shows it at once: nothing is computed a second time."
RUNNING = "A comparison is going. Wait for it, or stop it in section 2."


@dataclass(frozen=True)
class Both(run.Course):
    """The course of a comparison: that of A where it is computed first, that of B, and the null edits."""


@dataclass(frozen=True)
class Compared:
    """What a comparison's job hands on: first without the grey band, then with it. It lies on the shelf under ``token``."""

    token: str
    comparison: Comparison
    card: Card | None


class Comparing:
    """What the page does about experiments.

    Parameters
    ----------
    parts : Parts
    settings : Settings
    shelf : Shelf
    runs : Line
        The one that Run stands in.
    choosing : Choosing
    compare : callable
        ``experiments.comparison.compare``, or in tests a generator function of the same form.
    elsewhere : set of str
        Ids of jobs whose visitor opened something else meanwhile: the player stays with that.
    keep, show : callable
        Of :class:`ui.events.Handlers`: keep a visit, show a result.
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
        compare: Callable[..., Iterator[Any]],
        elsewhere: set[str],
        keep: Callable[[Visit, gr.Request], dict[Any, Any]],
        show: Callable[[Shown], dict[Any, Any]],
        newest: Mapping[str, Visit],
    ):
        self.parts, self.settings, self.shelf, self.runs, self.choosing = parts, settings, shelf, runs, choosing
        self.elsewhere = elsewhere
        self.left: set[str] = set()  # jobs whose null edits were left for another comparison, which has taken over the page
        self._compare, self._keep, self._show, self._newest = compare, keep, show, newest
        self.benches: dict[str, Bench] = {}  # not in the visit: a long event would end by writing an older choice back

    # what is chosen -----------------------------------------------------------------------------------------------------------------

    async def choose(self, visit: Visit, event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Read what was chosen for B, and say what it would cost."""
        self._take(event, request)
        return await self.look(visit, request)

    async def look(self, visit: Visit, request: gr.Request) -> dict[Any, Any]:
        """The section as it stands: another clip, model or choice of words is another A."""
        visit = self._newest.get(request.session_hash, visit)
        return {self.parts.experiment.panel: await asyncio.to_thread(self.value, visit, request)}

    def after(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        """The handler, whose answer then says what A is by now: in the same answer, so that nothing is out once the page rests."""
        if inspect.isasyncgenfunction(handler):

            @functools.wraps(handler)
            async def telling(visit: Visit, *more: Any) -> AsyncIterator[dict[Any, Any]]:
                async for changes in handler(visit, *more):
                    yield changes
                yield await self.look(visit, more[-1])

            return telling

        @functools.wraps(handler)
        def told(visit: Visit, *more: Any) -> dict[Any, Any]:
            changes = handler(visit, *more)
            visit = changes.get(self.parts.visit, visit)
            return changes | {self.parts.experiment.panel: self.value(visit, more[-1])}

        return told

    def value(self, visit: Visit, request: gr.Request) -> dict[str, Any]:
        """What the section shows to this visitor."""
        bench = self.benches.get(request.session_hash, Bench())
        state = self.choosing.state(request)
        base, clip, _ = self.base(visit, state)
        job, going = self.runs.of(request.session_hash), self.going(request)
        if job is not None and not going:
            base = replace(base, why_not="A run is going. Wait for it, or stop it in section 3.")
        shown = {"clips": self._other_clips(visit), "working": going, "band_left": going and job.result is not None, "n_null": _null_edits(state)}
        if bench.error is not None:
            return experiment.experiment_value(base, bench, **shown)
        edits, lesions = parse_edits(bench.edits), parse_lesions(bench.lesions)
        missing = {lesion.stream for lesion in lesions if lesion.kind == "zero"}
        card = state.card if state is not None else None
        notes = ["" if card is None else known_in_training(card, one.stream, one.kind, missing=missing)[1] for one in lesions]
        plan = self._plan(visit, request, state, clip, bench) if clip is not None and (edits or lesions) else None
        return experiment.experiment_value(base, bench, edits=edits, lesions=lesions, notes=notes, plan=plan, **shown)

    def _take(self, event: gr.EventData, request: gr.Request) -> Bench:
        """What the browser says was chosen; it may say anything."""
        edits, lesions, seq = (getattr(event, name, None) for name in ("edits", "lesions", "seq"))
        bench = Bench(
            edits=edits if isinstance(edits, str) else "",
            lesions=lesions if isinstance(lesions, str) else "",
            band=getattr(event, "band", None) is not False,
            seq=seq if isinstance(seq, int) else 0,
        )
        try:
            parse_edits(bench.edits), parse_lesions(bench.lesions)
        except CineglassError as error:
            bench = replace(bench, error=error, edits=bench.edits[:2000], lesions=bench.lesions[:500])
        return self._put(bench, request)

    def _put(self, bench: Bench, request: gr.Request) -> Bench:
        remember(self.benches, request.session_hash, bench)
        return bench

    def take_from(self, comparison: Comparison, request: gr.Request) -> None:
        """Choose what made this comparison, so that the section tells of what is in the player."""
        self._put(Bench(edits=comparison.edits, lesions=comparison.lesions, stamp=secrets.token_hex(4)), request)
        if (job := self.runs.of(request.session_hash)) is not None:
            self.elsewhere.add(job.id)

    def clear(self, request: gr.Request) -> None:
        """Choose nothing."""
        self._put(Bench(stamp=secrets.token_hex(4)), request)

    def base(self, visit: Visit, state: ModelState | None) -> tuple[Base, Clip | None, Result | None]:
        """What A is: its facts, its clip, and its result where it need not be computed first."""
        if not visit.has_clip:
            return Base(), None, None
        reason = why_not(state, clip=True) if state is None or state.state != "ready" else ""
        clip, result = None, None
        try:
            result = self._result(visit.place) if visit.place else None
        except CineglassError as error:
            reason = reason or f"{error.message} {error.hint}"
        if result is not None:
            clip = result.clip
        elif visit.upload and visit.clips:
            clip = visit.clips[-1]
        note = ""
        if result is None:
            note = "A has not been run yet: comparing runs it first."
        elif visit.given and visit.transcript != visit.shown:
            note, result = "The words of A were changed: comparing runs it again first.", None
        elif state is not None and state.card is not None and state.card.model_id != result.responses.model_id:
            note = "A was made by another model than the one chosen below: comparing runs it again first."
        words = visit.transcript if visit.given else visit.shown if visit.place else None
        facts = {"has_video": clip is None or clip.has_video, "has_audio": clip is None or clip.has_audio}
        has_words = words is None or bool(words.words) or words.source != "none"
        return Base(visit.name, has_words=has_words, note=note, why_not=reason, **facts), clip, result

    def _result(self, place: str) -> Result:
        """The finished result of A by its place: "examples/ID", "runs/ID" or "comparisons/ID"."""
        from experiments.examples import load_example
        from experiments.results import load_result

        kind, _, name = place.partition("/")
        if kind == "examples":
            return load_example(name, self.settings)[1]
        return load_result(self.shelf.run(name) if kind == "runs" else comparison_folder(name, "a", self.shelf))

    def _other_clips(self, visit: Visit) -> list[tuple[str, str]]:
        """Clips whose sound can be taken: the examples, and the visitor's own."""
        from experiments.examples import list_examples

        mine = [(f"clip-{number}", clip.name) for number, clip in enumerate(visit.clips, 1) if clip.has_audio]
        return [(one.id, one.title) for one in list_examples(self.settings) if one.id != visit.example] + mine

    def _films(self, visit: Visit, edits: str) -> dict[str, Any]:
        """The films of the clips that these edits name: the visitor's own, and examples."""
        from experiments.examples import FILM, find_example

        named = {str(value) for edit in parse_edits(edits) for key, value in edit.values if key == "clip"}
        mine = {f"clip-{number}": clip for number, clip in enumerate(visit.clips, 1) if f"clip-{number}" in named}
        return mine | {name: find_example(name, self.settings).folder / FILM for name in named - set(mine)}

    def _plan(self, visit: Visit, request: gr.Request, state: ModelState | None, clip: Clip, bench: Bench) -> Sequence[Step] | None:
        """What comparing computes; None for a published model whose own plan is not made yet."""
        from experiments.comparison_plan import plan_comparison
        from experiments.conditions import Condition

        planned = self.choosing.plan_of(visit, request)
        published = planned.plan if planned is not None else None
        if published is None and needs_plan(state):
            return None
        words = visit.transcript if visit.given else visit.shown if visit.place else None
        condition = Condition(film=clip, edits=bench.edits, lesions=bench.lesions, transcript=words)
        return plan_comparison(clip, condition, settings=self.settings, published=published)

    # the comparison -----------------------------------------------------------------------------------------------------------------

    async def compare(self, visit: Visit, event: gr.EventData, request: gr.Request) -> AsyncIterator[dict[Any, Any]]:
        """Compare A with B. A and B are shown as soon as both are there; the grey band joins them when it is ready."""
        section, visitor = self.parts.experiment, request.session_hash
        visit = self._newest.get(visitor, visit)
        bench = self._take(event, request)
        if self.going(request):
            before = self.runs.of(visitor)
            if before.result is None:
                yield as_it_is(section.status)  # a second click while the first one is out
                return
            self.left.add(before.id)
            self.runs.stop(before)
        try:
            job = await asyncio.to_thread(self._join, visit, bench, request)
        except CineglassError as error:
            yield {section.status: run.failed(error), **await self.look(visit, request)}
            return
        said, token = "", ""

        def now(position: int) -> tuple[dict[str, Any], Compared | None]:
            return _status(job, position, token), job.result

        resting = {self.parts.run.run: gr.update(interactive=False), self.parts.run.why: run.why_value(RUNNING)}
        try:
            yield {section.status: _status(job, 0, ""), self.parts.run.status: run.empty(), **resting, **await self.look(visit, request)}
            async for status, compared in news(job, self.runs, now):
                changes = {section.status: status}
                if compared is not None and not token:
                    token = compared.token
                    changes = await asyncio.to_thread(self._finish, compared, visit, request) | await self.look(visit, request)
                elif job.state == "running" and not token and job.id not in self.elsewhere and run.active_message(job) != said:
                    said = run.active_message(job)
                    changes[self.parts.player] = working(said, job=job.id, progress=status["fraction"])
                yield changes
            if job.id not in self.left:
                yield await self._end(job, visit, token, request)
        finally:
            self.elsewhere.discard(job.id)
            self.left.discard(job.id)
            if not job.over:
                self.runs.stop(job)

    async def _end(self, job: Job, visit: Visit, token: str, request: gr.Request) -> dict[Any, Any]:
        """The page when nothing more will come; ``token`` once A and B have been shown."""
        away = job.id in self.elsewhere
        changes: dict[Any, Any] = {self.parts.experiment.status: _status(job, 0, token, away=away and bool(token))}
        if job.state == "done":
            if not (away and token):  # the player is elsewhere by now, and stays there
                changes |= await asyncio.to_thread(self._finish, job.result, visit, request)
        elif not token and not away:
            changes[self.parts.player] = failed(job.error.message, job.error.hint, job=job.id) if job.error is not None else kept(job.id)
        return changes | await self._rest(visit, request)

    async def _rest(self, visit: Visit, request: gr.Request) -> dict[Any, Any]:
        """Both buttons as they are when nothing goes on."""
        visit = self._newest.get(request.session_hash, visit)
        return await self.look(visit, request) | await asyncio.to_thread(self.choosing.button, visit, request)

    async def stop(self, visit: Visit, request: gr.Request) -> dict[Any, Any]:
        """Stop the comparison; does its own reset, because the cancelled event can no longer speak."""
        if not self.going(request):
            return await self._rest(visit, request)
        job = self.runs.of(request.session_hash)
        token = job.result.token if job.result is not None else ""
        self.runs.stop_visitor(request.session_hash)
        await ended(job)
        changes = {self.parts.experiment.status: _stopped(job, token)} | ({} if token else {self.parts.player: kept(job.id)})
        return changes | await self._rest(visit, request)

    def going(self, request: gr.Request) -> bool:
        """Whether a comparison of this visitor's runs or waits."""
        job = self.runs.of(request.session_hash)
        return job is not None and isinstance(job.about, Both)

    def leave(self, visitor: str) -> None:
        """The page was closed."""
        self.benches.pop(visitor, None)

    def _join(self, visit: Visit, bench: Bench, request: gr.Request) -> Job:
        state = ready(self.choosing.state(request))
        if bench.error is not None:
            raise bench.error
        base, clip, result = self.base(visit, state)
        first = result is None or base.note != ""
        course = _course(self.choosing.course(visit, request, state), bench, first=first, n_null=_null_edits(state))
        return self.runs.join(request.session_hash, self._job(visit, bench, state, clip, result, first=first), about=course)

    def _job(
        self, visit: Visit, bench: Bench, state: ModelState, clip: Clip | None, result: Result | None, *, first: bool
    ) -> Callable[[], Iterator[Any]]:
        """The generator of a comparison, made when its turn comes."""

        def start() -> Iterator[Any]:
            from experiments.conditions import Condition

            words = visit.transcript if visit.given else None
            a = result or Condition(film=clip, transcript=words, recogniser=visit.recogniser or None)
            how = {"lesions": bench.lesions, "others": self._films(visit, bench.edits), "model": state.id, "settings": self.settings}
            job = self._compare(a, bench.edits, **how, null=None if bench.band else 0, label_a=visit.name)
            token, folder = self.shelf.new_comparison()
            side = "a" if first else "b"
            try:
                for item in job:
                    if not isinstance(item, Stage):
                        keep_comparison(item, folder)
                        yield Compared(token, item, state.card)
                        continue
                    if item.name != experiment.NOISE:
                        yield replace(item, name=f"{side}-{item.name}")
                        side = "b" if item.name == "model" and item.finished else side
                    else:
                        yield item
            finally:
                job.close()

        return start

    def _finish(self, compared: Compared, visit: Visit, request: gr.Request) -> dict[Any, Any]:
        """Show the comparison; a clip that came meanwhile stays the next run's."""
        comparison = compared.comparison
        shown = of_comparison(compared.token, comparison, title=visit.name, card=compared.card, film_name=RUN_FILM)
        newest = self._newest.get(request.session_hash, visit)
        tokens = tuple(dict.fromkeys((*newest.comparisons, compared.token)))
        another = bool(newest.upload) and newest.upload != visit.upload
        if another:
            visit = newest.but(comparisons=tokens)
        else:
            later = tuple(clip for clip in newest.clips if all(clip is not one for one in visit.clips))
            owned = {"uploads": newest.uploads, "runs": newest.runs, "exports": newest.exports, "made": newest.made}
            visit = visit.but(comparisons=tokens, clips=(*later, *visit.clips), shown=comparison.a.transcript, **owned)
            if visit.upload:
                visit = visit.but(result=f"comparisons/{compared.token}")
            if visit.given:
                visit = visit.but(transcript=comparison.a.transcript)
        stimulus = self.parts.stimulus
        gallery = {stimulus.gallery: {**stimulus.gallery.value, "chosen": visit.example or None}}
        return self._show(shown) | self._keep(visit, request) | gallery | {stimulus.delete: gr.update(visible=True)}


def keep_comparison(comparison: Comparison, folder: Any) -> None:
    """Put a comparison on the shelf. With the band it comes to itself without it, whose films are being played: only what is new is replaced."""
    import os
    import shutil

    from experiments.comparison_files import FACTS, NULL, TABLES, save_comparison

    if not (folder / FACTS).is_file():
        save_comparison(comparison, folder)
        return
    beside = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    try:
        save_comparison(comparison, beside, film=False, base=False)
        for name in (NULL, *TABLES, FACTS):
            if (beside / name).is_file():
                os.replace(beside / name, folder / name)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _null_edits(state: ModelState | None) -> int:
    from experiments.null_band import N_EMBEDDED, N_LARGE

    return N_EMBEDDED if state is None or state.card is None or state.card.simulated else N_LARGE


def _course(one: run.Course, bench: Bench, *, first: bool, n_null: int) -> Both:
    """Stages and shares of the bar: B's, before them A's where it is computed, after them the null edits."""
    stages: dict[str, str] = {}
    weights: dict[str, float] = {}
    for side in ("a", "b") if first else ("b",):
        for name, label in experiment.STAGES.items():
            if (name == "edit" and (side == "a" or not bench.edits)) or (name not in one.stages and name != "edit"):
                continue
            stages[f"{side}-{name}"] = f"{side.upper()}: {label[0].lower()}{label[1:]}"
            weights[f"{side}-{name}"] = one.share.get(name, 0.2)
    if bench.band:
        stages[experiment.NOISE] = f"Sensitivity to {n_null} small changes"
        weights[experiment.NOISE] = 2.0
    whole = sum(weights.values())
    return Both(stages, {name: weight / whole for name, weight in weights.items()})


def _status(job: Job, position: int, token: str, *, away: bool = False) -> dict[str, Any]:
    """What the section says of the job; ``token`` once A and B are shown, ``away`` when something else was opened since."""
    if job.state == "stopped":
        return _stopped(job, token)
    status = run.of_job(job, position)
    if job.state in ("running", "done"):  # stages that did not come are streams from the cache
        at = max((place for place, row in enumerate(status["stages"]) if row["state"] != "pending"), default=0)
        status["stages"] = [row for place, row in enumerate(status["stages"]) if place >= at or row["state"] != "pending"]
    if token:
        status["ready"] = True
        if job.state == "running":
            status["message"] = "A and B are in the player. Sensitivity to small changes is being computed: grey, it will join them."
        elif job.state == "failed":
            status["message"] = f"A and B are shown, but sensitivity to small changes could not be computed: {status['message']}"
    if job.state == "done":
        status["message"] = AWAY if away else DONE
    return status


def _stopped(job: Job, token: str) -> dict[str, Any]:
    said = "A and B are shown, without sensitivity to small changes." if token else "Finished stages are kept: comparing goes on from there."
    return {**run.stopped(job), "message": said}
