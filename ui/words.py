"""The Transcript tab: film time, TR and words of the result in the player; the words can be changed and run again."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import gradio as gr

from extractors.grid import TR
from extractors.stimuli import SOURCE
from extractors.transcript import Transcript
from ui.panel import Panel


@dataclass(frozen=True)
class WordsTab:
    """Components of the tab."""

    table: Panel
    note: Panel
    undo: gr.Button


def words_tab(transcript: Transcript | None) -> WordsTab:
    """Build the tab's content."""
    note = Panel("notes", note_value(transcript), elem_id="cp-words-note")
    table = Panel("words", table_value(transcript), sends=("edit",), elem_id="cp-words")
    undo = gr.Button("Undo all edits", size="sm", visible=False, elem_id="cp-words-undo")
    return WordsTab(table, note, undo)


def table_value(transcript: Transcript | None, *, editable: bool = True) -> dict[str, Any]:
    """One row per TR: film time of its start, index, words. ``stamp`` makes every value a new one, so that a refused edit is drawn over."""
    rows = [] if transcript is None else [[_clock(row * TR), row, text] for row, text in enumerate(transcript.text_per_tr)]
    return {"rows": rows, "editable": editable, "stamp": secrets.token_hex(4)}


def note_value(transcript: Transcript | None, *, pending: bool = False, taken: bool = True) -> dict[str, Any]:
    """What stands above the table: who found the words, how far to trust them, whether a person changed them."""
    if transcript is None:
        return {"lines": [{"text": "No words yet."}]}
    lines = [{"text": about(transcript)}]
    if transcript.edited:
        tail = ""
        if pending and taken:
            tail = " Press Run to predict with the changed words; picture and sound are not computed again."
        elif not taken:
            tail = " The next run does not take these words: another source is chosen beside Run."
        lines.append({"text": f"Edited by hand.{tail}", "warn": True})
    elif transcript.text_per_tr:
        lines.append({"text": "Click into a row to change its words, then press Run."})
    lines += [{"text": notice} for notice in transcript.notices]
    return {"lines": lines}


def about(transcript: Transcript) -> str:
    """One sentence on where the words come from."""
    if transcript.source == "none":
        return "This result was made without words."
    count = len(transcript.words)
    if not count:
        return "There are no words in this clip." if transcript.timing == "given" else f"No words found by {transcript.source}."
    if transcript.source == SOURCE:
        return f"{count} word{'s' if count != 1 else ''}, timed as the stimulus was made."
    language = f", language {transcript.language}" if transcript.language else ""
    times = {
        "recognised": "times from the recogniser",
        "given": "times as in the file",
        "aligned": "times from aligning the text to the sound",
        "spread": "times spread evenly, because the text had none",
        "none": "no times",
    }[transcript.timing]
    return f"{count} word{'s' if count != 1 else ''}: {transcript.source}{language}, {times}."


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{seconds % 60:05.2f}"
