"""The TR table of a transcript: which word belongs to which TR, and what a person's edit of a row does to it.

A word belongs to the TR that holds its *offset*, as in the Algonauts 2025 files; TRs are half-open (:func:`extractors.grid.tr_of`).
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace

from extractors.errors import TranscriptError
from extractors.grid import TR, tr_of
from extractors.transcript import Timing, Transcript, Word

MAX_WORD_CHARS = 200
MAX_WORDS = 50_000
MAX_ROW_CHARS = 4_000
MAX_ROW_WORDS = 200
EDIT_MARGIN_S = 0.001
"""Re-timed words end this much before the TR does, so that the last offset still lies inside it."""

_HIDDEN = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
"""Direction overrides and byte-order marks: invisible, and able to make a line read as another."""


def clean(text: str) -> str:
    """Text as text: control characters become a space or vanish, invisible direction overrides go; markup stays as it is.

    Markup is not removed here because it is harmless where text is shown as text, which is the only way it is shown.
    """
    kept = []
    for char in text:
        if char in "\t\n\r\x0b\x0c\x85\u2028\u2029":
            kept.append(" ")
        elif char not in _HIDDEN and unicodedata.category(char) not in ("Cc", "Cs"):
            kept.append(char)
    return "".join(kept)


def spread(words: Sequence[str], start: float, end: float) -> list[Word]:
    """Lay ``words`` end to end over ``[start, end]`` seconds, each as long as its share of the characters."""
    total = sum(max(1, len(word)) for word in words)
    placed, before = [], 0
    for word in words:
        after = before + max(1, len(word))
        onset, offset = start + (end - start) * before / total, start + (end - start) * after / total
        placed.append(Word(word, onset, offset - onset))
        before = after
    return placed


def table_from_words(
    words: Iterable[Word],
    n_trs: int,
    *,
    source: str,
    timing: Timing,
    language: str = "",
    edited: bool = False,
    edited_rows: tuple[int, ...] = (),
    notices: Iterable[str] = (),
) -> Transcript:
    """Make a transcript from timed words; each goes to the row that holds its offset.

    Parameters
    ----------
    words : iterable of Word
        In any order. Words that end before the film begins or after its last whole TR are left out, with a notice.
    n_trs : int
        Rows of the table.
    source, timing, language, edited, edited_rows, notices
        As in :class:`extractors.transcript.Transcript`.

    Returns
    -------
    Transcript
        With ``n_trs`` rows.

    Raises
    ------
    TranscriptError
        A time is not a finite number, a duration is negative, a word is longer than 200 characters, or there are too many words in all or in one row.
    """
    rows: list[list[Word]] = [[] for _ in range(n_trs)]
    notices, beyond, early = list(notices), 0, 0
    for count, word in enumerate(sorted(words, key=_order)):
        if count >= MAX_WORDS:
            raise TranscriptError(
                "too_many_words", f"The transcript has more than {MAX_WORDS} words.", "Cut it to the part that belongs to the clip."
            )
        _check(word)
        row = tr_of(word.offset)
        if word.offset < 0 or (word.offset == 0 and word.onset < 0):
            early += 1
        elif row >= n_trs:
            beyond += 1
        else:
            onset = max(0.0, word.onset)
            rows[row].append(word if onset == word.onset else Word(word.text, onset, word.offset - onset))
    for number, row in enumerate(rows):
        if len(row) > MAX_ROW_WORDS or sum(len(word.text) + 1 for word in row) > MAX_ROW_CHARS:
            raise TranscriptError(
                "too_many_words", f"{len(row)} words end inside row {number}, which lasts {TR} s; at most {MAX_ROW_WORDS} can.", "Check the times."
            )
    if beyond:
        notices.append(f"{_count(beyond)} beyond the clip's last whole TR and {_was(beyond)} left out.")
    if early:
        notices.append(f"{_count(early)} before the clip begins and {_was(early)} left out.")
    return Transcript(
        text_per_tr=tuple(" ".join(word.text for word in row) for row in rows),
        words_per_tr=tuple(tuple(word.text for word in row) for row in rows),
        onsets_per_tr=tuple(tuple(word.onset for word in row) for row in rows),
        durations_per_tr=tuple(tuple(word.duration for word in row) for row in rows),
        source=source,
        language=language,
        timing=timing,
        edited=edited,
        edited_rows=edited_rows,
        notices=tuple(notices),
    )


def no_words(n_trs: int, *, source: str = "none", language: str = "", notices: Iterable[str] = ()) -> Transcript:
    """A transcript of ``n_trs`` silent rows."""
    return table_from_words((), n_trs, source=source, timing="none", language=language, notices=notices)


def edit_row(transcript: Transcript, row: int, text: str) -> Transcript:
    """Replace the text of one row, as a person does in the table.

    The same number of words is taken as a correction and keeps its times; another number is laid evenly inside the TR.

    Parameters
    ----------
    transcript : Transcript
    row : int
        0-based TR.
    text : str
        The row's new text; "" silences it.

    Returns
    -------
    Transcript
        A new transcript with ``edited`` True, or the same one when nothing changed.

    Raises
    ------
    TranscriptError
        The row does not exist, or the text is too long.
    """
    if not 0 <= row < transcript.n_trs:
        raise TranscriptError(
            "no_such_row", f"Row {row} does not exist: the table has rows 0 to {transcript.n_trs - 1}.", "Choose a row of the table."
        )
    if len(text) > MAX_ROW_CHARS:
        raise TranscriptError("row_too_long", f"Row {row} holds {len(text)} characters; at most {MAX_ROW_CHARS} are allowed.", "Shorten the text.")
    text = clean(text).strip()
    words = tuple(text.split())
    if text == transcript.text_per_tr[row].strip():
        return transcript
    if len(words) > MAX_ROW_WORDS:
        raise TranscriptError(
            "row_too_long", f"Row {row} holds {len(words)} words; at most {MAX_ROW_WORDS} are allowed.", "Spread them over more rows."
        )
    onsets, durations = transcript.onsets_per_tr[row], transcript.durations_per_tr[row]
    if len(words) != len(onsets):
        step = (TR - EDIT_MARGIN_S) / max(1, len(words))
        onsets, durations = tuple(row * TR + step * k for k in range(len(words))), (step,) * len(words)
    for word in words:
        _check(Word(word, 0.0, 0.0))
    return replace(
        transcript,
        text_per_tr=_with(transcript.text_per_tr, row, text),
        words_per_tr=_with(transcript.words_per_tr, row, words),
        onsets_per_tr=_with(transcript.onsets_per_tr, row, onsets),
        durations_per_tr=_with(transcript.durations_per_tr, row, durations),
        edited=True,
        edited_rows=tuple(sorted({*transcript.edited_rows, row})),
    )


def _with(rows: tuple, row: int, value) -> tuple:
    return (*rows[:row], value, *rows[row + 1 :])


def _order(word: Word) -> tuple[float, float]:
    return word.onset, word.offset


def _count(words: int) -> str:
    return "1 word lies" if words == 1 else f"{words} words lie"


def _was(words: int) -> str:
    return "was" if words == 1 else "were"


def _check(word: Word) -> None:
    shown = clean(word.text[:40])
    if not (math.isfinite(word.onset) and math.isfinite(word.duration)):
        raise TranscriptError("bad_time", f"The word {shown!r} has a time that is not a finite number.", "Give seconds from the start of the film.")
    if word.duration < 0:
        raise TranscriptError("ends_before_start", f"The word {shown!r} ends before it starts ({word.onset:g} s).", "Swap its two times.")
    if len(word.text) > MAX_WORD_CHARS:
        raise TranscriptError(
            "word_too_long",
            f"The word that begins with {shown!r} has {len(word.text)} characters; at most {MAX_WORD_CHARS} are allowed.",
            "Put spaces between the words.",
        )
