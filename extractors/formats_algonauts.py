"""The Algonauts 2025 transcript table: tab-separated, one row per TR, word lists as Python literals.

Columns ``text_per_tr``, ``words_per_tr``, ``onsets_per_tr``, ``durations_per_tr`` (reference: the challenge's data release). A silent TR has an empty
text cell and ``[]`` lists. Values survive a round trip unchanged: numbers are written as Python prints them, which reads back bit for bit, and text
is written as it is. Cells are therefore *not* guarded against spreadsheet formulas; the ``csv`` format is the one for spreadsheets. One more column,
``edited_per_tr`` (0 or 1), is written only when a person changed a row. Lists are parsed as literals with caps, never evaluated.
"""

from __future__ import annotations

import csv
import io
import math

from extractors.arrays import read_literal
from extractors.errors import TranscriptError
from extractors.grid import TR
from extractors.tr_table import MAX_ROW_CHARS, MAX_ROW_WORDS, MAX_WORD_CHARS, MAX_WORDS, clean
from extractors.transcript import Transcript

COLUMNS = ("text_per_tr", "words_per_tr", "onsets_per_tr", "durations_per_tr")
EDITED = "edited_per_tr"
MAX_CELL_CHARS = 50_000


def read_table(text: str, n_trs: int, *, source: str) -> Transcript:
    """Read an Algonauts table of ``n_trs`` rows, or of one more (the last, partial TR is then left out with a notice).

    Raises
    ------
    TranscriptError
        Columns are missing, a cell is not what it should be, or the number of rows is not the clip's; the message names the line.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t", strict=True)
    rows, edited, total = [], [], 0
    try:
        header = [name.strip() for name in next(reader, [])]
        missing = [name for name in COLUMNS if name not in header]
        if missing:
            raise TranscriptError(
                "missing_columns", f"The transcript table lacks the column {', '.join(missing)}.", f"It needs {', '.join(COLUMNS)}."
            )
        where = [header.index(name) for name in COLUMNS]
        flag = header.index(EDITED) if EDITED in header else None
        for cells in reader:
            line = reader.line_num
            if not cells:
                continue  # a blank line is no row, as pandas has it
            cells = cells + [""] * (len(header) - len(cells))
            if flag is not None and cells[flag].strip() == "1":
                edited.append(len(rows))
            rows.append(_row([cells[k] for k in where], line))
            total += len(rows[-1][1])
            if total > MAX_WORDS:
                raise TranscriptError("too_many_words", f"The transcript table has more than {MAX_WORDS} words (line {line}).", "Cut it to the clip.")
            if len(rows) > max(n_trs + 1, 100_000):
                break
    except csv.Error as error:
        raise TranscriptError(
            "bad_table", f"Line {reader.line_num} of the transcript table cannot be read.", "Save it as tab-separated text with balanced quotes."
        ) from error
    rows, notices = check_rows(rows, n_trs)
    text_per_tr, words, onsets, durations = zip(*rows, strict=True) if rows else ((), (), (), ())
    edited = [row for row in edited if row < n_trs]
    return Transcript(
        text_per_tr, words, onsets, durations,
        source=source, timing="given", edited=bool(edited), edited_rows=tuple(edited), notices=notices,
    )  # fmt: skip


def check_rows(rows: list, n_trs: int) -> tuple[list, tuple[str, ...]]:
    """The clip's rows of a table: exactly ``n_trs``, or one more, whose last stands for the partial TR at the end of the film."""
    if len(rows) == n_trs + 1:
        return rows[:n_trs], (f"The table has {len(rows)} rows and the clip {n_trs} whole TRs: the last row, a partial TR, was left out.",)
    if len(rows) != n_trs:
        raise TranscriptError(
            "row_count",
            f"The transcript table has {len(rows)} rows, but the clip has {n_trs} TRs of {TR} s.",
            "Use the table that belongs to this clip: one row per TR.",
        )
    return rows, ()


def _row(cells: list[str], line: int) -> tuple[str, tuple, tuple, tuple]:
    text = clean(cells[0])
    if len(text) > MAX_ROW_CHARS:
        raise TranscriptError(
            "row_too_long", f"The text in line {line} has more than {MAX_ROW_CHARS} characters.", "Check the table's tabs and quotes."
        )
    words, onsets, durations = (_list(cell, name, line) for cell, name in zip(cells[1:], COLUMNS[1:], strict=True))
    if not len(words) == len(onsets) == len(durations):
        raise TranscriptError(
            "list_lengths",
            f"Line {line} has {len(words)} words, {len(onsets)} onsets and {len(durations)} durations; the three must be equally many.",
            "Give every word one onset and one duration.",
        )
    for word in words:
        if not isinstance(word, str) or len(word) > MAX_WORD_CHARS:
            raise TranscriptError(
                "bad_word", f"A word in line {line} is not a text of at most {MAX_WORD_CHARS} characters.", "Write words in quotes."
            )
    for number in (*onsets, *durations):
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number) or number < 0:
            raise TranscriptError(
                "bad_time", f"A time in line {line} is not a number of seconds from 0 upwards.", "Give onsets and durations in seconds of film time."
            )
    if not words and text.strip().lower() == "nan":
        text = ""  # how a silent row looks after a careless export
    return text, tuple(clean(word) for word in words), onsets, durations


def _list(cell: str, name: str, line: int) -> tuple:
    cell = cell.strip()
    if cell in ("", "nan", "NaN"):
        return ()
    try:
        if len(cell) > MAX_CELL_CHARS or cell[0] != "[":
            raise ValueError
        value = read_literal(cell)
        if not isinstance(value, list) or len(value) > MAX_ROW_WORDS:
            raise ValueError
        return tuple(float(item) if isinstance(item, int) and abs(item) > 2**53 else item for item in value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, OverflowError) as error:
        raise TranscriptError(
            "bad_list", f"{name} in line {line} is not a plain list of at most {MAX_ROW_WORDS} values.", "Write lists as ['a', 'b'] or [0.5, 1.2]."
        ) from error


def write_table(transcript: Transcript) -> str:
    """The transcript as an Algonauts table."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    edited = set(transcript.edited_rows)
    writer.writerow([*COLUMNS, EDITED] if edited else COLUMNS)
    columns = (transcript.text_per_tr, transcript.words_per_tr, transcript.onsets_per_tr, transcript.durations_per_tr)
    for row, (text, *lists) in enumerate(zip(*columns, strict=True)):
        cells = [text, *(repr(list(values)) for values in lists)]
        writer.writerow([*cells, int(row in edited)] if edited else cells)
    return out.getvalue()
