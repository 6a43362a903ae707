"""Make a stimulus: words only, a held picture, two in turn, a tone or a noise becomes the clip that Run takes, as if it had been uploaded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from extractors.clip import Clip
from extractors.errors import CineglassError
from extractors.grid import HRF_S, TAIL_TRS, TR
from extractors.statements import Param
from extractors.stimuli import (
    MAX_PICTURE_MB,
    MAX_PICTURES,
    MAX_WORDS_CHARS,
    SMALLER,
    SOURCE,
    STIMULI,
    Stimulus,
    StimulusError,
    make_stimulus,
    parse_stimulus,
    picture_form,
)
from extractors.transcript import Transcript
from settings import Settings
from ui.line import Job, Line, in_plain_words
from ui.sessions import Shelf, Visit, remember

if TYPE_CHECKING:
    from ui.choosing import Choosing
    from ui.events import Parts

POLL_S = 0.1

NAMES = {
    "rate": ("Speed", "words/min"),
    "start": ("Rest before it", "s"),
    "seconds": ("Lasts", "s"),
    "each": ("Each picture", "s"),
    "hz": ("Frequency", "Hz"),
    "level": ("Level", "dB of full scale"),
    "colour": ("Colour", ""),
    "seed": ("Seed", ""),
}
"""Parameters of the statements that have a control, by the name and unit that stand beside it."""

REST = "Rows of the first 20 s or so rest on too short a past and do not count: what begins later is seen whole."


@dataclass(frozen=True)
class Picture:
    """A picture that a visitor added: its id on the shelf, and the file's name (hostile text)."""

    token: str
    name: str


def is_made(clip: Clip, transcript: Transcript | None) -> bool:
    """Whether a result is of a stimulus that was made here, so that its words are known and nobody listens for them."""
    return not clip.has_film or (transcript is not None and transcript.source == SOURCE)


def making_value(
    settings: Settings,
    pictures: Sequence[Picture | None] = (None,) * MAX_PICTURES,
    *,
    error: CineglassError | None = None,
    about: str = "",
    busy: str = "",
    fraction: float = 0.0,
    made: str = "",
) -> dict[str, Any]:
    """What the fold shows.

    Parameters
    ----------
    settings : Settings
    pictures : sequence of Picture or None
        One place each.
    error : CineglassError, optional
        Why nothing was made, or a picture was not taken.
    about : {"", "words", "pictures"}
        What the error is about; "" for the other values.
    busy : str
        What is being done.
    fraction : float
        How much of it is.
    made : str
        Name of the clip that was just made.
    """
    return {
        "kinds": [
            {
                "name": kind.name,
                "label": kind.label,
                "help": kind.help,
                "pictures": kind.pictures,
                "words": any(param.kind == "text" for param in kind.params),
                "rests": any(param.name == "start" for param in kind.params),
                "params": [_control(param) for param in kind.params if param.name in NAMES],
            }
            for kind in STIMULI.values()
        ],
        "pictures": [None if picture is None else picture.name for picture in pictures],
        "most_mb": MAX_PICTURE_MB,
        "most_chars": MAX_WORDS_CHARS,
        "least_trs": settings.min_trs,
        "longest_s": settings.max_duration_s,
        "tr": TR,
        "after_s": HRF_S + TAIL_TRS * TR,
        "rest": REST,
        "error": None if error is None else {"message": error.message, "hint": error.hint, "about": about},
        "busy": busy,
        "fraction": fraction,
        "made": made,
    }


def _control(param: Param) -> dict[str, Any]:
    label, unit = NAMES[param.name]
    value = {"name": param.name, "label": label, "unit": unit, "kind": param.kind, "default": param.default}
    return value | {"low": param.low, "high": param.high, "choices": list(param.choices), "whole": param.whole}


class Making:
    """What the page does about stimuli that are made in it.

    Parameters
    ----------
    parts : Parts
    settings : Settings
    shelf : Shelf
    gate : Line
        The one that uploads stand in: who makes a stimulus lets no file in meanwhile.
    choosing : Choosing
    keep, arrived : callable
        Of :class:`ui.events.Handlers`: keep a visit, make a clip the one that Run takes.
    newest : mapping of str to Visit
        The visits as they now are, by session.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        settings: Settings,
        shelf: Shelf,
        gate: Line,
        choosing: Choosing,
        keep: Callable[[Visit, gr.Request], dict[Any, Any]],
        arrived: Callable[..., Awaitable[dict[Any, Any]]],
        newest: Mapping[str, Visit],
    ):
        self.parts, self.settings, self.shelf, self.gate, self.choosing = parts, settings, shelf, gate, choosing
        self._keep, self._arrived, self._newest = keep, arrived, newest
        self.pictures: dict[str, list[Picture | None]] = {}

    def value(self, request: gr.Request, **said: Any) -> dict[str, Any]:
        """What the fold shows to this visitor; ``said`` as in :func:`making_value`."""
        return making_value(self.settings, self._pictures(request), **said)

    def _pictures(self, request: gr.Request) -> list[Picture | None]:
        return self.pictures.get(request.session_hash, [None] * MAX_PICTURES)

    # pictures -----------------------------------------------------------------------------------------------------------------------

    def add_picture(self, visit: Visit, event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Take a picture in. Only its first bytes are looked at here; it is decoded in a child process when something is made of it."""
        from extractors.media import display_name

        section = self.parts.stimulus
        place, name = getattr(event, "place", None), display_name(str(getattr(event, "name", "")))
        if not _is_place(place):
            return {section.making: self.value(request)}
        token = ""
        try:
            token = self.shelf.keep_upload(str(getattr(event, "path", "")))
            _check_picture(self.shelf.upload(token), name)
        except Exception as error:
            self.shelf.drop_upload(token)
            return {section.making: self.value(request, error=in_plain_words(error), about="pictures")}
        visit = self._newest.get(request.session_hash, visit)
        self._put(place, Picture(token, name), request)
        kept = self._keep(visit.but(uploads=(*visit.uploads, token)), request)
        return kept | {section.making: self.value(request), section.delete: gr.update(visible=True)}

    def drop_picture(self, visit: Visit, event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Leave a picture out, and remove it."""
        place = getattr(event, "place", None)
        if _is_place(place):
            self._put(place, None, request)
        return {self.parts.stimulus.making: self.value(request)}

    def _put(self, place: int, picture: Picture | None, request: gr.Request) -> None:
        mine = [*self._pictures(request)]
        if mine[place] is not None:
            self.shelf.drop_upload(mine[place].token)
        mine[place] = picture
        remember(self.pictures, request.session_hash, mine)

    def clear(self, request: gr.Request) -> None:
        """Forget the pictures; what is on the shelf goes with the visit."""
        self.leave(request.session_hash)

    def leave(self, visitor: str) -> None:
        """The page was closed."""
        self.pictures.pop(visitor, None)

    # making -------------------------------------------------------------------------------------------------------------------------

    async def make(self, visit: Visit, event: gr.EventData, request: gr.Request) -> AsyncIterator[dict[Any, Any]]:
        """Make what the statement says, and put it where an upload goes."""
        panel, run, told = self.parts.stimulus.making, self.parts.run.run, None
        job, token, stimulus = None, "", None
        yield {panel: self.value(request, busy="Making the stimulus"), run: gr.update(interactive=False)}
        try:
            stimulus = parse_stimulus(getattr(event, "text", ""))
            start = self._job(stimulus, getattr(event, "words", None), request)
            self.gate.stop_visitor(request.session_hash)
            job = self.gate.join(request.session_hash, start)
            while not job.over:
                await asyncio.sleep(POLL_S)
                if (said := _progress(job)) != told and not job.over:
                    told = said
                    yield {panel: self.value(request, **said)}
            if job.error is not None:
                raise job.error
            if job.state == "stopped":  # a file came meanwhile
                yield {panel: self.value(request)}
                return
            clip, transcript = job.result
            token = await asyncio.to_thread(self.shelf.keep_stimulus, stimulus.text)
        except Exception as error:
            said = {"error": in_plain_words(error), "about": _about(stimulus, error)}
            yield {panel: self.value(request, **said)} | await asyncio.to_thread(self.choosing.button, visit, request)
            return
        finally:
            if job is not None and not job.over:
                self.gate.stop(job)
        changes = await self._arrived(token, clip, clip.name, visit, request, written=transcript)
        yield changes | {panel: self.value(request, made=clip.name)}

    def _job(self, stimulus: Stimulus, words: Any, request: gr.Request) -> Callable[[], Iterator[Any]]:
        added = [picture for picture in self._pictures(request)[: stimulus.kind.pictures] if picture is not None]
        for picture in added:
            if not self.shelf.has_upload(picture.token):
                said = f'The picture "{picture.name}" is no longer kept here.'
                raise StimulusError("picture_missing", said, "Add it again.")
        paths, names = [self.shelf.upload(picture.token) for picture in added], [picture.name for picture in added]
        given = words if stimulus.name == "say" and isinstance(words, str) else None
        return lambda: make_stimulus(stimulus.text, pictures=paths, names=names, words=given, settings=self.settings)


def _is_place(place: Any) -> bool:
    return isinstance(place, int) and place in range(MAX_PICTURES)


def _check_picture(path: Path, name: str) -> None:
    """Refuse at once what is no picture, so that nobody finds out only after pressing the button."""
    if path.stat().st_size > MAX_PICTURE_MB * 2**20:
        raise StimulusError("picture_too_large", f'The picture "{name}" has more than {MAX_PICTURE_MB} MB.', SMALLER)
    with open(path, "rb") as file:
        head = file.read(16)
    if picture_form(head) is None:
        what = "empty" if not head else "no PNG, JPEG or WebP picture"
        raise StimulusError("not_a_picture", f'The file "{name}" is {what}.', "Save the picture as PNG or JPEG and add it again.")


def _progress(job: Job) -> dict[str, Any]:
    """Making counts for half of the bar, letting the film in for the other half."""
    made, gate = job.stages.get("make"), job.stages.get("gate")
    if gate is not None:
        return {"busy": gate.message, "fraction": 0.5 + 0.5 * gate.done / gate.total}
    if made is not None:
        return {"busy": made.message, "fraction": 0.5 * made.done / made.total}
    return {"busy": "Waiting for a place"}


def _about(stimulus: Stimulus | None, error: Exception) -> str:
    """Which control an error stands beside."""
    code = getattr(error, "code", "")
    if "picture" in code:
        return "pictures"
    return "words" if stimulus is not None and stimulus.name == "say" and code in ("no_words", "too_long") else ""
