"""The argument ``transcripts``: strings per TR as BERG takes them, and everything else that holds the words of a film."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

from experiments.berg_errors import StimulusError
from extractors.clip import Clip
from extractors.errors import TranscriptError
from extractors.grid import TR
from extractors.tr_table import EDIT_MARGIN_S, MAX_ROW_CHARS, MAX_ROW_WORDS, MAX_WORD_CHARS, clean, spread, table_from_words
from extractors.transcript import Transcript, Word

HINT = (
    "transcripts may be a list with one string per TR, the path of a transcript file, a list of words as (text, onset, duration) in seconds, "
    "or None: then the words are recognised."
)


def words_for(transcripts: Any, clip: Clip) -> tuple[Transcript | Path | None, tuple[str, ...]]:
    """The words of a clip in the form that a run takes, and what the caller should be warned of.

    Parameters
    ----------
    transcripts : None, Transcript, path, sequence of str, or sequence of (str, float, float)
        Strings: one per TR, ``clip.n_trs`` of them or one more, whose last is then left out. Triples: text, onset and duration in seconds.
    clip : Clip

    Raises
    ------
    StimulusError
        For anything else, a file that is not there, or another number of strings.
    TranscriptError
        For words that cannot be placed, for instance by their times.
    """
    if transcripts is None or isinstance(transcripts, Transcript):
        return transcripts, ()
    if isinstance(transcripts, str | os.PathLike):
        return _file(transcripts), ()
    if isinstance(transcripts, bytes | dict) or not isinstance(transcripts, Iterable):
        raise StimulusError("transcript_form", f"transcripts cannot be a {type(transcripts).__name__}.", HINT)
    items = list(transcripts)
    if items and all(_is_word(item) for item in items):
        words = [item if isinstance(item, Word) else Word(str(item[0]), float(item[1]), float(item[2])) for item in items]
        return table_from_words(words, clip.n_trs, source="words with times", timing="given"), ()
    for number, item in enumerate(items):
        if not isinstance(item, str):
            raise StimulusError(
                "transcript_form",
                f"Item {number} of transcripts is neither a string nor a word with its times: {type(item).__name__} {str(item)[:40]!r}.",
                HINT,
            )
    return _rows(items, clip)


def strings_per_tr(rows: Sequence[str]) -> Transcript:
    """A transcript whose rows are these strings as they are; the words' times inside a TR are laid evenly by their length.

    Raises
    ------
    TranscriptError
        For a row or a word of unreasonable length.
    """
    texts = tuple(clean(row) for row in rows)
    table = []
    for row, text in enumerate(texts):
        words = text.split()
        if len(text) > MAX_ROW_CHARS or len(words) > MAX_ROW_WORDS or any(len(word) > MAX_WORD_CHARS for word in words):
            raise TranscriptError(
                "row_too_long",
                f"String {row} of the transcript has {len(text)} characters and {len(words)} words; in one TR at most {MAX_ROW_CHARS} characters, "
                f"{MAX_ROW_WORDS} words and {MAX_WORD_CHARS} characters a word are allowed.",
                "Check that each string holds the words of one TR.",
            )
        table.append(spread(words, row * TR, (row + 1) * TR - EDIT_MARGIN_S) if words else [])
    return Transcript(
        text_per_tr=texts,
        words_per_tr=tuple(tuple(word.text for word in row) for row in table),
        onsets_per_tr=tuple(tuple(word.onset for word in row) for row in table),
        durations_per_tr=tuple(tuple(word.duration for word in row) for row in table),
        source="strings per TR",
        timing="given",
        notices=("The words were given per TR; their times inside a TR are laid evenly.",),
    )


def _rows(items: list[str], clip: Clip) -> tuple[Transcript, tuple[str, ...]]:
    count, wanted = len(items), clip.n_trs
    if count == wanted + 1:
        said = f"transcripts holds {count} strings and the film {wanted} whole TRs of {TR} s: the last string, of a partial TR, was left out."
        return strings_per_tr(items[:wanted]), (said,)
    if count != wanted:
        raise StimulusError(
            "row_count",
            f"transcripts holds {count} string{'s' if count != 1 else ''}, but the film has {wanted} TRs (floor({clip.duration:.2f} s / {TR} s)).",
            f'Give {wanted} strings, "" for a silent TR. {HINT}',
        )
    return strings_per_tr(items), ()


def _file(path: str | os.PathLike) -> Path:
    try:
        there = Path(path).is_file()
    except (OSError, ValueError):  # too long for a name, or holding a zero
        there = False
    if not there:
        raise StimulusError("no_transcript", f"There is no transcript file {Path(os.fspath(path)).name[:60]!r}.", HINT)
    return Path(path)


def _is_word(item: Any) -> bool:
    if isinstance(item, Word):
        return True
    triple = isinstance(item, Sequence) and not isinstance(item, str) and len(item) == 3 and isinstance(item[0], str)
    return triple and all(isinstance(time, Real) and not isinstance(time, bool) for time in item[1:])
