"""Everything that happens on the page: what each click does, and what it changes (:mod:`ui.wire` says which click calls what).

Handlers run beside Gradio's queue (``queue=False``) where they can; the two long jobs, letting a film in and running it, stand in lines
of our own (:mod:`ui.line`). So a full house stops nobody from opening an example.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from extractors.errors import CineglassError
from settings import Settings
from ui import export, run, stimulus, trust, words
from ui.choosing import Choosing
from ui.comparing import Comparing
from ui.designing import Designing
from ui.designs import DesignsTab
from ui.experiment import ExperimentSection
from ui.export import ExportTab
from ui.exporting import Exporting
from ui.files import comparison_folder
from ui.line import POLL_S, Job, Line, as_it_is, in_plain_words, news
from ui.making import Making
from ui.measured import Measuring, measured_value
from ui.model import Offer, ready
from ui.my_runs import MyRuns, RunsTab
from ui.opening import Opening
from ui.panel import Panel
from ui.player import Player, failed, kept, working
from ui.returning import Returning
from ui.run import RunSection
from ui.sessions import NO_CLIP, NO_WORDS, Shelf, Visit, remember
from ui.shown import Shown, landing, of_example, of_run, top_value
from ui.stimulus import StimulusSection
from ui.wording import OTHER_WORDS, Wording, file_note, line
from ui.words import WordsTab

if TYPE_CHECKING:
    from pathlib import Path

    from encoder.cards import Card
    from experiments.models import ModelState
    from extractors.clip import Clip
    from extractors.transcript import Transcript

log = logging.getLogger(__name__)

GIVEN = "given"
"""Choice of words: those from the visitor's file or hand."""

RunJob = Callable[..., Iterator[Any]]


@dataclass(frozen=True)
class Parts:
    """All components that events touch."""

    visit: gr.State
    top: Panel
    stimulus: StimulusSection
    experiment: ExperimentSection
    run: RunSection
    player: Player
    trust: Panel
    words: WordsTab
    export: ExportTab
    measured: Panel
    my_runs: RunsTab
    designs: DesignsTab
    tab: Panel


@dataclass(frozen=True)
class Finished:
    """Last item of a run's job: the result lies on the shelf under ``token``."""

    token: str
    result: Any
    card: Card | None


class Handlers:
    """What the page does.

    Parameters
    ----------
    parts : Parts
    settings : Settings
    shelf : Shelf
    runs : Line
        Shared with the API.
    predict, compare : callable
        ``experiments.predict.predict`` and ``experiments.comparison.compare``, or in tests generator functions of the same form.
    offer : Offer
        The models that can be chosen.
    """

    def __init__(self, parts: Parts, *, settings: Settings, shelf: Shelf, runs: Line, predict: RunJob, compare: RunJob, offer: Offer):
        self.parts = parts
        self.choosing = Choosing(parts, settings=settings, offer=offer)
        self.settings = settings
        self.shelf = shelf
        self.runs = runs
        self.gate = Line(running=2, waiting=settings.queue_size)
        self.predict = predict
        # A long event ends with the visit it began with; what changed meanwhile is here
        self.newest: dict[str, Visit] = {}
        self.exporting = Exporting(parts, settings=settings, shelf=shelf, keep=self._keep, newest=self.newest)
        self.measuring = Measuring(parts, settings=settings, shelf=shelf, keep=self._keep, newest=self.newest)
        self.looking_elsewhere: set[str] = set()  # jobs whose visitor opened an example meanwhile: the player stays with that
        held = {"settings": settings, "shelf": shelf, "runs": runs, "choosing": self.choosing, "newest": self.newest}
        self.comparing = Comparing(parts, compare=compare, elsewhere=self.looking_elsewhere, keep=self._keep, show=self._show, **held)
        show_named = {"open_result": lambda *asked: self.opening.open_named(*asked)}
        self.my_runs = MyRuns(parts, settings=settings, shelf=shelf, keep=self._keep, newest=self.newest, **show_named)
        self.making = Making(
            parts, settings=settings, shelf=shelf, gate=self.gate, choosing=self.choosing, keep=self._keep, arrived=self._arrived, newest=self.newest
        )
        offered = {"base": self.comparing.base, "listed": self.my_runs.listed, "open_named": lambda *asked: self.opening.open_named(*asked)}
        self.designing = Designing(parts, keep=self._keep, **offered, **held)
        self.wording = Wording(parts, keep=self._keep, newest=self.newest, choice=self._choice)
        self.returning = Returning()
        self.opening = Opening(
            parts,
            settings=settings,
            shelf=shelf,
            choosing=self.choosing,
            returning=self.returning,
            keep=self._keep,
            choice=self._choice,
            show=self._show,
            open_example=self._open_example,
            opened=self._comparison_opened,
            arrive=self.my_runs.arrive,
        )

    def _keep(self, visit: Visit, request: gr.Request) -> dict[Any, Any]:
        """The visit as it now is, for the browser's session and for long events that began before."""
        remember(self.newest, request.session_hash, visit)
        self.returning.keep(request.session_hash, visit)
        return {self.parts.visit: visit}

    def _comparison_opened(self, comparison: Any, request: gr.Request) -> None:
        self.comparing.take_from(comparison, request)
        self.designing.saw(comparison, request)

    # stimulus -----------------------------------------------------------------------------------------------------------------------

    def pick_example(self, visit: Visit, event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Show an example's finished result."""
        try:
            shown = of_example(str(getattr(event, "id", "")), self.settings)
        except CineglassError as error:
            return {self.parts.stimulus.clip: stimulus.clip_error(error.message, error.hint)}
        return self._open_example(visit, shown, request)

    def _open_example(self, visit: Visit, shown: Shown, request: gr.Request) -> dict[Any, Any]:
        job = self.runs.of(request.session_hash)
        if job is not None:
            self.looking_elsewhere.add(job.id)
        about = {"name": shown.title, "n_trs": shown.n_trs, "duration": shown.duration, "shown": shown.transcript}
        visit = visit.but(**NO_CLIP | {"example": shown.example}, **about, **NO_WORDS)
        parts = self.parts
        changes = self._show(shown) | {
            **self._keep(visit, request),
            parts.run.recogniser: self._choice(visit),
            parts.stimulus.clip: {},
            parts.stimulus.making: self.making.value(request),
            parts.stimulus.transcript_note: {"lines": []},
            parts.stimulus.no_transcript: gr.update(visible=False),
        }
        if job is None:
            changes |= {parts.run.status: run.empty(), parts.experiment.status: run.empty()}
        else:
            changes[parts.player] = {**shown.payload, "job": job.id}
        return changes | self.choosing.button(visit, request)

    async def receive_upload(self, visit: Visit, event: gr.EventData, request: gr.Request) -> AsyncIterator[dict[Any, Any]]:
        """Let a film in: it goes through the gate at once, so length and mistakes are known before Run."""
        async for changes in self._receive(str(getattr(event, "path", "")), str(getattr(event, "name", "")), visit, request):
            yield changes

    async def receive_recording(self, visit: Visit, event: gr.EventData, request: gr.Request) -> AsyncIterator[dict[Any, Any]]:
        """Let a webcam recording in."""
        async for changes in self._receive(str(getattr(event, "path", "")), "Webcam recording", visit, request):
            yield changes

    async def _receive(self, path: str, name: str, visit: Visit, request: gr.Request) -> AsyncIterator[dict[Any, Any]]:
        from extractors.media import admit, display_name

        parts = self.parts
        name = display_name(name)
        yield {parts.run.run: gr.update(interactive=False), parts.stimulus.clip: {"name": name, "busy": "Looking at the file", "fraction": 0.0}}
        token = ""
        job = None
        try:
            token = await asyncio.to_thread(self.shelf.keep_upload, path)
            self.gate.stop_visitor(request.session_hash)
            film = self.shelf.upload(token)
            job = self.gate.join(request.session_hash, lambda: admit(film, name=name, settings=self.settings))
            while not job.over:
                await asyncio.sleep(POLL_S / 2)
                stage = job.stages.get("gate")
                if stage is not None and not job.over:
                    yield {parts.stimulus.clip: {"name": name, "busy": stage.message, "fraction": stage.done / stage.total}}
            if job.error is not None:
                raise job.error
        except Exception as error:
            error = in_plain_words(error)
            self.shelf.drop_upload(token)
            card = stimulus.clip_error(error.message, error.hint, still=visit.name if visit.has_clip else "")
            yield {parts.stimulus.clip: card} | await asyncio.to_thread(self.choosing.button, visit, request)
            return
        finally:
            if job is not None and not job.over:
                self.gate.stop(job)
                self.shelf.drop_upload(token)
        if job.state == "stopped":  # another file came meanwhile
            self.shelf.drop_upload(token)
            return
        yield await self._arrived(token, job.result, name, visit, request) | {parts.stimulus.making: self.making.value(request)}

    async def _arrived(
        self, token: str, clip: Clip, name: str, visit: Visit, request: gr.Request, *, written: Transcript | None = None
    ) -> dict[Any, Any]:
        """Make a clip that was let in, or made here with the words ``written``, the one that Run takes."""
        parts = self.parts
        visit = self.newest.get(request.session_hash, visit)  # a run may have ended meanwhile
        mine = {"uploads": (*visit.uploads, token), "clips": (*visit.clips, clip)}
        visit = visit.but(**NO_CLIP | {"upload": token, "written": written}, name=name, n_trs=clip.n_trs, duration=clip.duration, **mine)
        visit = visit.but(**visit.own_words)
        kept_visit = self._keep(visit, request)
        card = await asyncio.to_thread(self.choosing.clip_card, visit, request)
        ready = {
            **kept_visit,
            parts.run.recogniser: self._choice(visit),
            parts.stimulus.clip: card,
            parts.stimulus.gallery: gr.update(value=self._gallery(None)),
            parts.stimulus.delete: gr.update(visible=True),
            parts.stimulus.no_transcript: gr.update(visible=False),
            parts.stimulus.transcript_note: {"lines": []},
            parts.words.table: words.table_value(written or visit.shown, editable=written is not None),
            parts.words.undo: gr.update(visible=False),
            parts.words.note: words.note_value(written) if written is not None else line(OTHER_WORDS),
        }
        if self.runs.of(request.session_hash) is None:
            ready |= {parts.run.status: run.empty(), parts.player: kept()}  # what failed was another clip
        return ready | await asyncio.to_thread(self.choosing.button, visit, request)

    def read_transcript(self, visit: Visit, event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Take the words of the clip from a file."""
        from extractors.formats import read_transcript
        from extractors.media import display_name

        section = self.parts.stimulus
        if not visit.n_trs:
            return {section.transcript_note: line("Choose a clip first: a transcript needs its length.", warn=True)}
        try:
            file = self.shelf.uploaded(str(getattr(event, "path", "")))
            name = display_name(str(getattr(event, "name", "")))
            transcript = read_transcript(file, visit.n_trs, name=name)
        except Exception as error:
            error = in_plain_words(error)
            return {section.transcript_note: {"lines": [{"text": error.message, "warn": True}, {"text": error.hint}]}}
        visit = visit.but(transcript=transcript, given=True, words_file=name)
        return {
            **self._keep(visit, request),
            self.parts.run.recogniser: self._choice(visit),
            section.transcript_note: file_note(visit),
            section.no_transcript: gr.update(visible=True),
            self.parts.words.table: words.table_value(transcript),
            self.parts.words.note: words.note_value(transcript),
            self.parts.words.undo: gr.update(visible=False),
        }

    def leave_transcript(self, visit: Visit, request: gr.Request) -> dict[Any, Any]:
        """Go back to what the recogniser finds."""
        section = self.parts.stimulus
        changes = {section.transcript_note: {"lines": []}, section.no_transcript: gr.update(visible=False)}
        return self.wording.undo(visit, request) | changes

    def delete_now(self, visit: Visit, request: gr.Request) -> dict[Any, Any]:
        """Remove everything this visit brought here, and show the first example again."""
        self.runs.stop_visitor(request.session_hash)
        self.gate.stop_visitor(request.session_hash)
        self.exporting.leave(request.session_hash)
        self.shelf.delete(visit)
        parts = self.parts
        fresh = Visit()
        changes = {**self._keep(fresh, request), parts.stimulus.clip: {}} | self.choosing.button(fresh, request)
        shown = landing(self.settings)
        if shown is not None:
            changes = self._open_example(fresh, shown, request)
        changes[parts.run.run] = {**changes[parts.run.run], "visible": True}
        changes |= {parts.export.made: {}, parts.stimulus.delete: gr.update(visible=False), parts.run.stop: gr.update(visible=False)}
        self.comparing.clear(request)
        self.making.clear(request)
        changes[parts.stimulus.making] = self.making.value(request)
        changes[parts.experiment.status] = run.empty()
        return changes | {parts.run.status: run.empty(), parts.stimulus.transcript_note: line("Your clips and their results are deleted.")}

    # run ----------------------------------------------------------------------------------------------------------------------------

    def choose_recogniser(self, visit: Visit, event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Remember who is to listen."""
        offered = {key for _, key in self._choice(visit)["options"]}
        key = getattr(event, "key", "")
        if key not in offered:
            return {self.parts.visit: visit}
        visit = visit.but(given=True) if key == GIVEN else visit.but(given=False, recogniser=key)
        changes = self._keep(visit, request)
        if visit.words_file:
            changes[self.parts.stimulus.transcript_note] = file_note(visit)
        if visit.transcript is not None:
            changes[self.parts.words.note] = words.note_value(visit.transcript, pending=visit.transcript is not visit.shown, taken=visit.given)
        return changes

    def _choice(self, visit: Visit) -> dict[str, Any]:
        """Where the words of the next run may come from, and where they will."""
        first = self.parts.run.recogniser.value
        options = [] if visit.written is not None else [*first["options"]]
        if visit.transcript is not None:
            made = visit.transcript is visit.written
            options.append(("Edited words" if visit.transcript.edited else "As made" if made else "From the file", GIVEN))
        # the stamp makes every value a new one: what the visitor clicked meanwhile is drawn over
        return {**first, "options": options, "chosen": GIVEN if visit.given else visit.recogniser or first["chosen"], "stamp": secrets.token_hex(4)}

    async def run_clip(self, visit: Visit, request: gr.Request) -> AsyncIterator[dict[Any, Any]]:
        """Run the clip, telling every stage; the last result stays until a new one is there."""
        parts = self.parts
        idle = {parts.run.run: gr.update(visible=True), parts.run.stop: gr.update(visible=False)}
        state = await asyncio.to_thread(self.choosing.state, request)
        try:
            job = self.runs.join(request.session_hash, self._job(visit, ready(state)), about=self.choosing.course(visit, request, state))
        except CineglassError as error:
            if error.code != "already_running" or self.comparing.going(request) or self.designing.going(request):
                yield idle | {parts.run.status: run.failed(error)} | await asyncio.to_thread(self._again, visit, request)
            else:
                yield as_it_is(parts.run.status)  # a second click while the first one runs
            return
        said = ""
        try:
            begun = {parts.run.run: gr.update(visible=False), parts.run.stop: gr.update(visible=True), parts.run.status: run.of_job(job, 0)}
            yield begun | await self.comparing.look(visit, request)
            async for status in news(job, self.runs, lambda position: run.of_job(job, position)):
                changes: dict[Any, Any] = {parts.run.status: status}
                if job.state == "running" and job.id not in self.looking_elsewhere and run.active_message(job) != said:
                    said = run.active_message(job)
                    changes[parts.player] = working(said, job=job.id, progress=status["fraction"])
                yield changes
            elsewhere = job.id in self.looking_elsewhere
            if job.state == "stopped":
                told = idle | {parts.run.status: run.stopped(job)} | ({} if elsewhere else {parts.player: kept(job.id)})
            elif job.error is not None:
                told = idle | {parts.run.status: run.of_job(job, 0)} | await asyncio.to_thread(self._again, visit, request)
                told |= {} if elsewhere else {parts.player: failed(job.error.message, job.error.hint, job=job.id)}
            else:
                told = idle | await asyncio.to_thread(self._finish, job, visit, request, elsewhere=elsewhere)
            yield told | await self.comparing.look(visit, request)
        finally:
            self.looking_elsewhere.discard(job.id)
            if not job.over:
                self.runs.stop(job)

    def _again(self, visit: Visit, request: gr.Request) -> dict[Any, Any]:
        """After a failure: the model's files may have been the reason, so the picker shows how they are now."""
        changes = self.choosing.look(self.newest.get(request.session_hash, visit), request)
        changes[self.parts.run.run] = {**changes[self.parts.run.run], "visible": True}
        return changes

    def _job(self, visit: Visit, state: ModelState) -> Callable[[], Iterator[Any]]:
        """The generator of a run, made when its turn comes: predict, then put the result on the shelf."""

        def start() -> Iterator[Any]:
            from experiments.results import save_result
            from extractors.stages import passing_on

            given = visit.transcript if visit.given else None
            how = {"transcript": given, "recogniser": visit.recogniser or None, "model": state.id}
            stages = self.predict(self._film(visit), **how, settings=self.settings, name=visit.name)
            result = yield from passing_on(stages)
            token, folder = self.shelf.new_run()
            save_result(result, folder, film=True)
            yield Finished(token, result, state.card)

        return start

    def _film(self, visit: Visit) -> Path | Clip:
        """What Run takes: a file that goes through the gate, or a clip that has none or need not."""
        from experiments.results import load_result

        if visit.upload:
            film = self.shelf.upload(visit.upload)
            return film if visit.written is None else visit.clips[-1]
        if visit.run or visit.comparison:
            clip = load_result(self.shelf.run(visit.run) if visit.run else comparison_folder(visit.comparison, "a", self.shelf)).clip
        else:
            clip = of_example(visit.example, self.settings).clip
        return clip.path if clip.has_film else clip

    def _finish(self, job: Job, visit: Visit, request: gr.Request, *, elsewhere: bool) -> dict[Any, Any]:
        finished = job.result
        shown = of_run(finished.token, finished.result, title=visit.name, card=finished.card)
        newest = self.newest.get(request.session_hash, visit)
        later = tuple(clip for clip in newest.clips if all(clip is not one for one in visit.clips))
        visit = visit.but(uploads=newest.uploads, clips=(*later, *visit.clips))  # the last is the one that its card tells of
        section = self.parts.stimulus
        changes: dict[Any, Any] = {}
        another = bool(newest.upload) and newest.upload != visit.upload
        if another:  # a clip that came meanwhile, with its words, stays the next run's
            visit = newest
            changes = self.wording.of_another(visit, shown.transcript)
        elif visit.given:
            visit = visit.but(transcript=shown.transcript)  # as it was used: pasted text is aligned by now
        else:
            visit = visit.but(**visit.own_words)
            changes = {section.transcript_note: {"lines": []}, section.no_transcript: gr.update(visible=False)}
        if visit.upload and not another:
            visit = visit.but(result=f"runs/{finished.token}")
        visit = visit.but(shown=shown.transcript, runs=(*newest.runs, finished.token), comparisons=newest.comparisons)
        if elsewhere and visit.upload and not another:  # the example that was opened meanwhile had emptied the card
            changes[section.clip] = self.choosing.clip_card(visit, request, finished.result.clip)
        return (
            self._show(shown)
            | changes
            | {
                **self._keep(visit, request),
                self.parts.run.recogniser: self._choice(visit),
                self.parts.run.status: run.of_job(job, 0),
                self.parts.stimulus.delete: gr.update(visible=True),
            }
        )

    def stop_run(self, request: gr.Request) -> dict[Any, Any]:
        """Stop the visitor's run; does its own reset, because the cancelled event can no longer speak."""
        job = self.runs.of(request.session_hash)
        self.runs.stop_visitor(request.session_hash)
        parts = self.parts
        return {
            parts.run.run: gr.update(visible=True),
            parts.run.stop: gr.update(visible=False),
            parts.run.status: run.stopped(job),
            parts.player: kept(job.id if job is not None else ""),
        }

    def leave(self, request: gr.Request) -> None:
        """The page was closed: nothing goes on for nobody."""
        self.runs.stop_visitor(request.session_hash)
        self.gate.stop_visitor(request.session_hash)
        self.choosing.leave(request.session_hash)
        self.exporting.leave(request.session_hash)
        self.measuring.leave(request.session_hash)
        self.comparing.leave(request.session_hash)
        self.designing.leave(request.session_hash)
        self.making.leave(request.session_hash)
        self.my_runs.leave(request.session_hash)
        self.newest.pop(request.session_hash, None)

    # what is shown ------------------------------------------------------------------------------------------------------------------

    def _show(self, shown: Shown) -> dict[Any, Any]:
        """A result in the player and in everything around it."""
        parts = self.parts
        return {
            parts.player: shown.payload,
            parts.top: top_value(shown),
            parts.export.kinds: export_of(shown),
            parts.measured: measured_value(shown, self.settings),
            parts.trust: trust.trust_value(shown.card, shown.responses),
            parts.stimulus.gallery: gr.update(value=self._gallery(shown.example or None)),
            parts.words.table: words.table_value(shown.transcript),
            parts.words.note: words.note_value(shown.transcript),
            parts.words.undo: gr.update(visible=False),
        }

    def _gallery(self, chosen: str | None) -> dict[str, Any]:
        # the stamp makes every value a new one: the browser says a choice again until it has heard the answer
        return {**self.parts.stimulus.gallery.value, "chosen": chosen, "stamp": secrets.token_hex(4)}


def export_of(shown: Shown) -> dict[str, Any]:
    """What the Export tab shows of a result."""
    film = shown.film_name if shown.clip.has_film else None
    return export.export_value(shown.place, simulated=shown.simulated, n_trs=shown.n_trs, film=film, card=shown.card_file)
