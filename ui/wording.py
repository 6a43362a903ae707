"""Words changed by hand: a row of the Words tab, all edits undone, and what stands beside a transcript file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr

from extractors.errors import CineglassError
from extractors.transcript import Transcript
from ui import words
from ui.sessions import Visit

if TYPE_CHECKING:
    from ui.events import Parts

OTHER_WORDS = "These are the words of the clip in the player. Those of your clip come with its run."


class Wording:
    """What the page does about words that a person changes.

    Parameters
    ----------
    parts : Parts
    keep : callable
        Takes a visit and a request, gives the changes that keep the visit.
    newest : mapping of str to Visit
        The visits as they now are, by session.
    choice : callable
        Takes a visit, gives the value of the choice where the words of the next run come from.
    """

    def __init__(self, parts: Parts, *, keep: Callable[..., dict[Any, Any]], newest: Mapping[str, Visit], choice: Callable[[Visit], dict[str, Any]]):
        self.parts, self._keep, self._newest, self._choice = parts, keep, newest, choice

    def edit(self, visit: Visit, event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Take over a row that a person changed."""
        from extractors.tr_table import edit_row

        part = self.parts.words
        visit = self._newest.get(request.session_hash, visit)  # a row changed just before may still be on its way
        before: Transcript | None = visit.transcript or visit.shown
        row, text = getattr(event, "row", None), getattr(event, "text", None)
        if before is None or not isinstance(row, int) or not isinstance(text, str):
            return {self.parts.visit: visit}
        try:
            after = edit_row(before, row, text)
        except CineglassError as error:
            return {part.table: words.table_value(before), part.note: line(f"{error.message} {error.hint}", warn=True)}
        if after is before:
            return {self.parts.visit: visit}
        visit = visit.but(transcript=after, given=True)
        return {
            **self._keep(visit, request),
            self.parts.run.recogniser: self._choice(visit),
            part.note: words.note_value(after, pending=True),
            part.undo: gr.update(visible=True),
        }

    def undo(self, visit: Visit, request: gr.Request) -> dict[Any, Any]:
        """Back to the words of the result in the player, or to those that the clip was made with."""
        part = self.parts.words
        visit = visit.but(**visit.own_words)
        left = visit.transcript or visit.shown
        return {
            **self._keep(visit, request),
            self.parts.run.recogniser: self._choice(visit),
            part.table: words.table_value(left),
            part.note: words.note_value(left),
            part.undo: gr.update(visible=False),
        }

    def of_another(self, visit: Visit, shown: Transcript | None) -> dict[Any, Any]:
        """The words tab when the player shows a result while the next run takes another clip."""
        part = self.parts.words
        if visit.transcript is not None:
            return {part.table: words.table_value(visit.transcript), part.note: words.note_value(visit.transcript, taken=visit.given)}
        return {part.table: words.table_value(shown, editable=False), part.note: line(OTHER_WORDS)}


def file_note(visit: Visit) -> dict[str, Any]:
    """What stands under the transcript file: whether the next run takes it, and what it holds."""
    transcript = visit.transcript
    if transcript is None:
        return {"lines": []}
    if not visit.given:
        return line(f"The next run leaves {visit.words_file} out: another source is chosen beside Run.")
    lines = [{"text": f"The next run takes these words. {words.about(transcript)}"}]
    if transcript.timing == "spread":
        lines = [{"text": f"The next run takes these {transcript.n_words} words from {transcript.source} and aligns them with the sound."}]
    return {"lines": lines + [{"text": notice, "warn": True} for notice in transcript.notices]}


def line(text: str, *, warn: bool = False) -> dict[str, Any]:
    """One sentence under a control."""
    return {"lines": [{"text": text, "warn": warn}]}
