"""SRT and WebVTT: cues with a start and an end, whose words are spread over the cue by their length.

This file finds the cues, so that every complaint can name a line and no number, note or style block is taken for speech; pysubs2 reads each cue.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from extractors.errors import TranscriptError
from extractors.tr_table import MAX_WORD_CHARS, clean, spread
from extractors.transcript import Transcript, Word

MAX_CUES = 20_000
MAX_CUE_CHARS = 1_000
MAX_HOURS = 99

CUE_WORDS = 8
CUE_CHARS = 60
CUE_SECONDS = 6.0
CUE_PAUSE_S = 1.0
"""A written cue ends at a sentence's end, at a pause this long, or when it is full."""

_STAMP = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?"
_TIMING = re.compile(rf"\s*{_STAMP}\s*-->\s*{_STAMP}(?:\s.*)?$")
_INLINE_TIME = re.compile(r"<[\d:.]{5,16}>")
_OVERRIDE = re.compile(r"\{\\[^{}]*\}")


@dataclass
class _Cue:
    line: int
    start: float
    end: float
    text: list[str]


def read_cues(lines: list[str], *, vtt: bool) -> list[Word]:
    """Words of a subtitle file.

    Parameters
    ----------
    lines : list of str
        The file without line ends.
    vtt : bool
        Whether it is WebVTT (a blank line ends a cue, ``&lt;`` stands for <) or SRT.

    Returns
    -------
    list of Word
        In the order of the file; overlapping and unordered cues are kept as they are.

    Raises
    ------
    TranscriptError
        A timing line cannot be read, a cue ends before it starts, or a cap is exceeded; the message names the line.
    """
    words, count = [], 0
    for cue in _cues(lines, vtt):
        count += 1
        if count > MAX_CUES:
            raise TranscriptError(
                "too_many_cues", f"The subtitle file has more than {MAX_CUES} cues (line {cue.line}).", "Cut it to the clip's part."
            )
        texts = clean(_plain(" ".join(part.strip() for part in cue.text), vtt)).split()
        if any(len(text) > MAX_WORD_CHARS for text in texts):
            raise TranscriptError(
                "word_too_long", f"The cue at line {cue.line} has a word of more than {MAX_WORD_CHARS} characters.", "Put spaces between the words."
            )
        words += spread(texts, cue.start, cue.end) if texts else []
    if not count:
        raise TranscriptError("no_cues", "The subtitle file holds no cue with a start and an end.", "Choose an SRT or WebVTT file with times.")
    return words


def _cues(lines: list[str], vtt: bool) -> Iterator[_Cue]:
    cue, previous, size = None, "", 0
    for number, line in enumerate(lines, 1):
        starts_block = not previous.strip() or previous.strip().isdigit() or (vtt and cue is None)
        if "-->" in line and (starts_block or _TIMING.match(line)):
            if cue is not None:
                yield _without_index(cue, vtt)
            cue, size = _timing(line, number), 0
        elif cue is not None:
            size += len(line)
            if size > MAX_CUE_CHARS:
                raise TranscriptError(
                    "cue_too_long", f"The cue at line {cue.line} holds more than {MAX_CUE_CHARS} characters.", "Split it into shorter cues."
                )
            if vtt and not line.strip():
                yield cue
                cue = None
            else:
                cue.text.append(line)
        previous = line
    if cue is not None:
        yield cue


def _without_index(cue: _Cue, vtt: bool) -> _Cue:
    """An SRT cue without the next cue's running number, which stands alone after a blank line (or alone before any text)."""
    text = cue.text
    if not vtt and text and text[-1].strip().isdigit() and (len(text) == 1 or not text[-2].strip()):
        cue.text = text[:-1]
    return cue


def _timing(line: str, number: int) -> _Cue:
    match = _TIMING.match(line)
    if match is None:
        raise TranscriptError(
            "bad_time", f"The times in line {number} cannot be read: {clean(line[:60]).strip()!r}.", "Write them as 00:01:02,500 --> 00:01:04,000."
        )
    start, end = _seconds(match.groups()[:4], number), _seconds(match.groups()[4:], number)
    if end < start:
        raise TranscriptError("ends_before_start", f"The cue at line {number} ends before it starts.", "Swap its two times, or remove the cue.")
    return _Cue(number, start, end, [])


def _seconds(groups: tuple[str | None, ...], number: int) -> float:
    hours, minutes, seconds, fraction = groups
    if len((hours or "0").lstrip("0")) > 2 or int(hours or 0) > MAX_HOURS:
        raise TranscriptError("bad_time", f"A time in line {number} lies beyond {MAX_HOURS} hours.", "Count times from the start of the film.")
    if int(minutes) > 59 or int(seconds) > 59:
        raise TranscriptError("bad_time", f"A time in line {number} has more than 59 minutes or seconds.", "Write times as 00:01:02,500.")
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + int((fraction or "0").ljust(3, "0")) / 1000


def _plain(text: str, vtt: bool) -> str:
    """Cue text without tags; one line in, so that pysubs2 takes no trailing number for the next cue's."""
    import pysubs2

    text = _INLINE_TIME.sub("", text)
    if not text.strip():
        return ""
    events = pysubs2.SSAFile.from_string(f"00:00:00,000 --> 00:00:01,000\n{text}\n", format_="srt")
    text = _OVERRIDE.sub("", " ".join(event.text for event in events)).replace("\\N", " ")
    return html.unescape(text) if vtt else text


def write_cues(transcript: Transcript, *, vtt: bool) -> str:
    """Subtitles that a player shows: up to eight words a cue. Times are rounded to 1 ms; words inside a cue lose their own times."""
    from pysubs2.formats.subrip import SubripFormat
    from pysubs2.formats.webvtt import WebVTTFormat

    stamp = (WebVTTFormat if vtt else SubripFormat).ms_to_timestamp
    parts = ["WEBVTT\n"] if vtt else []
    for number, cue in enumerate(_grouped(transcript.words), 1):
        text = clean(" ".join(word.text for word in cue)).replace("-->", "→")
        text = html.escape(text, quote=False) if vtt else text
        start, end = round(cue[0].onset * 1000), round(max(word.offset for word in cue) * 1000)
        parts.append(("" if vtt else f"{number}\n") + f"{stamp(start)} --> {stamp(end)}\n{text}\n")
    return "\n".join(parts)


def _grouped(words: tuple[Word, ...]) -> Iterator[list[Word]]:
    cue: list[Word] = []
    for word in words:
        if not word.text.strip():
            continue
        full = cue and (
            len(cue) >= CUE_WORDS
            or sum(len(kept.text) + 1 for kept in cue) + len(word.text) > CUE_CHARS
            or word.offset - cue[0].onset > CUE_SECONDS
            or word.onset - cue[-1].offset > CUE_PAUSE_S
            or cue[-1].text[-1] in ".?!"
        )
        if full:
            yield cue
            cue = []
        cue.append(word)
    if cue:
        yield cue
