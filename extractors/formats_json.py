"""Word-level JSON: what whisper and whisperx write, plain lists of words, and our own form, which keeps the whole table."""

from __future__ import annotations

import json
import math
from typing import Any, get_args

from extractors.errors import TranscriptError
from extractors.formats_algonauts import check_rows
from extractors.grid import TR
from extractors.tr_table import MAX_ROW_CHARS, MAX_ROW_WORDS, MAX_WORD_CHARS, MAX_WORDS, clean, spread, table_from_words
from extractors.transcript import Timing, Transcript, Word

FORMAT = "cineglass-transcript"
VERSION = 1
_HINT = "Use the JSON that whisper, whisperx or this app writes."


def read_json(text: str, n_trs: int, *, source: str) -> Transcript:
    """Read word-level JSON.

    Accepted: ``{"segments": [{"start", "end", "text", "words": [...]}]}`` (whisper, whisperx; words may lack times), ``{"word_segments": [...]}`` or
    ``{"words": [...]}`` or a bare list, each of ``{"word" | "text", "start" | "onset", "end" | "duration"}``, and our own form.

    Raises
    ------
    TranscriptError
        Not JSON (with the line), not one of these shapes, or a value out of range (with the item's place).
    """
    try:
        data = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise TranscriptError("bad_json", f"The file is not JSON: line {error.lineno}, column {error.colno}.", _HINT) from error
    except (RecursionError, ValueError) as error:
        raise TranscriptError("bad_json", "The JSON is nested too deeply or holds a number that is not finite.", _HINT) from error
    if isinstance(data, dict) and data.get("format") == FORMAT:
        return _own(data, n_trs)
    language = ""
    if isinstance(data, dict):
        language = _language(data.get("language"))
        if isinstance(data.get("segments"), list):
            words = [word for k, item in enumerate(data["segments"], 1) for word in _segment(item, f"segment {k}")]
            return table_from_words(words, n_trs, source=source, timing="given", language=language)
        data = data.get("words", data.get("word_segments"))
    if not isinstance(data, list):
        raise TranscriptError("json_shape", "The JSON holds neither segments nor words.", _HINT)
    if len(data) > MAX_WORDS:
        raise TranscriptError("too_many_words", f"The transcript has more than {MAX_WORDS} words.", "Cut it to the part that belongs to the clip.")
    return table_from_words(_filled(data, None, None, "list"), n_trs, source=source, timing="given", language=language)


def write_json(transcript: Transcript) -> str:
    """The whole transcript in our own form: every row with its text and ``[word, onset, duration]``, and where it came from."""
    columns = (transcript.text_per_tr, transcript.words_per_tr, transcript.onsets_per_tr, transcript.durations_per_tr)
    rows = [{"text": text, "words": [list(word) for word in zip(*lists, strict=True)]} for text, *lists in zip(*columns, strict=True)]
    about = {
        "format": FORMAT,
        "version": VERSION,
        "tr": TR,
        "source": transcript.source,
        "language": transcript.language,
        "timing": transcript.timing,
        "edited": transcript.edited,
        "edited_rows": list(transcript.edited_rows),
        "notices": list(transcript.notices),
    }
    return json.dumps({**about, "rows": rows}, ensure_ascii=False, allow_nan=False)


def _own(data: dict, n_trs: int) -> Transcript:
    rows, timing = data.get("rows"), data.get("timing", "given")
    if data.get("version") != VERSION or not isinstance(rows, list) or timing not in get_args(Timing):
        raise TranscriptError("json_shape", f"The transcript is not of version {VERSION} of this app's form.", _HINT)
    if data.get("tr") != TR:
        raise TranscriptError("tr", f"The transcript's rows do not last {TR} s.", "Use a transcript made for the same TR.")
    rows, notices = check_rows(rows, n_trs)
    read = [_own_row(row, f"row {k}") for k, row in enumerate(rows)]
    texts, words = [text for text, _ in read], [row for _, row in read]
    if sum(map(len, words)) > MAX_WORDS:
        raise TranscriptError("too_many_words", f"The transcript has more than {MAX_WORDS} words.", "Cut it to the part that belongs to the clip.")
    marked = data.get("edited_rows")
    edited = {row for row in marked if type(row) is int and 0 <= row < n_trs} if isinstance(marked, list) else set()
    kept = data.get("notices")
    return Transcript(
        tuple(texts),
        tuple(tuple(word.text for word in row) for row in words),
        tuple(tuple(word.onset for word in row) for row in words),
        tuple(tuple(word.duration for word in row) for row in words),
        source=clean(str(data.get("source", "")))[:120],
        language=_language(data.get("language")),
        timing=timing,
        edited=data.get("edited") is True,
        edited_rows=tuple(sorted(edited)),
        notices=(*(clean(note)[:300] for note in (kept if isinstance(kept, list) else [])[:20] if isinstance(note, str)), *notices),
    )


def _own_row(row: Any, place: str) -> tuple[str, list[Word]]:
    if not isinstance(row, dict) or not isinstance(row.get("text"), str) or not isinstance(row.get("words"), list):
        raise TranscriptError("json_shape", f"The transcript's {place} needs a text and words.", _HINT)
    if len(row["text"]) > MAX_ROW_CHARS or len(row["words"]) > MAX_ROW_WORDS:
        raise TranscriptError("row_too_long", f"The {place} has more than {MAX_ROW_CHARS} characters or {MAX_ROW_WORDS} words.", _HINT)
    words = []
    for item in row["words"]:
        if not isinstance(item, list) or len(item) != 3:
            raise TranscriptError("json_shape", f"A word of {place} is not [word, onset, duration].", _HINT)
        words.append(Word(_text(item[0], place), _number(item[1], place), _number(item[2], place)))
    return clean(row["text"]), words


def _segment(item: Any, place: str) -> list[Word]:
    if not isinstance(item, dict):
        raise TranscriptError("json_shape", f"The transcript's {place} is not an object.", _HINT)
    start, end = (_number(item[key], place) if item.get(key) is not None else None for key in ("start", "end"))
    if start is not None and end is not None and end < start:
        raise TranscriptError("ends_before_start", f"The transcript's {place} ends before it starts.", "Swap its two times.")
    if isinstance(item.get("words"), list) and item["words"]:
        return _filled(item["words"], start, end, place)
    text = item.get("text", "")
    if not isinstance(text, str) or (text.strip() and (start is None or end is None)):
        raise TranscriptError("json_shape", f"The transcript's {place} needs a text, a start and an end.", _HINT)
    words = [_text(word, place) for word in text.split()]
    return spread(words, start, end) if words else []


def _filled(items: list, start: float | None, end: float | None, place: str) -> list[Word]:
    """Words of one list; those without times (whisperx leaves numerals so) share the gap between their neighbours."""
    timed: list[tuple[str, float | None, float | None]] = []
    for k, item in enumerate(items, 1):
        where = f"word {k} of the {place}"
        if not isinstance(item, dict):
            raise TranscriptError("json_shape", f"The transcript's {where} is not an object.", _HINT)
        text = _text(item.get("word", item.get("text")), where).strip()
        onset, offset = item.get("start", item.get("onset")), item.get("end")
        if offset is None and onset is not None and item.get("duration") is not None:
            offset = _number(onset, where) + _number(item["duration"], where)
        if onset is None or offset is None:
            timed.append((text, None, None))
            continue
        onset, offset = _number(onset, where), _number(offset, where)
        if offset < onset:
            raise TranscriptError("ends_before_start", f"The transcript's {where} ends before it starts.", "Swap its two times.")
        timed.append((text, onset, offset))
    words: list[Word] = []
    k = 0
    while k < len(timed):
        text, onset, offset = timed[k]
        if onset is not None:
            words.append(Word(text, onset, offset - onset))
            k += 1
            continue
        stop = next((j for j in range(k, len(timed)) if timed[j][1] is not None), len(timed))
        left = words[-1].offset if words else start
        right = timed[stop][1] if stop < len(timed) else end
        left, right = right if left is None else left, left if right is None else right
        if left is None:
            raise TranscriptError("json_shape", f"No word of the {place} has a time.", _HINT)
        words += spread([text for text, _, _ in timed[k:stop]], left, max(left, right))
        k = stop
    return [word for word in words if word.text]


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_WORD_CHARS:
        raise TranscriptError("bad_word", f"The {place} holds a word that is not a text of at most {MAX_WORD_CHARS} characters.", _HINT)
    return clean(value)


def _number(value: Any, place: str) -> float:
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    try:
        good = good and math.isfinite(value) and value >= 0
    except OverflowError:
        good = False
    if not good:
        raise TranscriptError(
            "bad_time", f"The {place} holds a time that is not a number of seconds from 0 upwards.", "Count from the start of the film."
        )
    return value


def _language(value: Any) -> str:
    return value if isinstance(value, str) and value.isascii() and value.isalpha() and len(value) <= 3 else ""


def _no_constant(name: str) -> float:
    raise ValueError(name)
