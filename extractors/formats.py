"""Transcript files: which form a file has, reading it for a clip, and writing every form."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Literal

from extractors.errors import TranscriptError
from extractors.formats_algonauts import read_table, write_table
from extractors.formats_json import read_json, write_json
from extractors.formats_subtitles import read_cues, write_cues
from extractors.grid import TR, tr_of
from extractors.tr_table import EDIT_MARGIN_S, MAX_WORDS, clean, spread, table_from_words
from extractors.transcript import Transcript

Format = Literal["tsv", "srt", "vtt", "json", "txt", "csv"]
FORMATS: tuple[Format, ...] = ("tsv", "srt", "vtt", "json", "txt", "csv")
"""What can be written. ``csv`` is for spreadsheets: one word per line, cells that would start a formula are quoted; it is not read back."""

MAX_BYTES = 4_000_000
MAX_LINE_CHARS = 100_000
_SUFFIXES = {".tsv": "tsv", ".srt": "srt", ".vtt": "vtt", ".json": "json", ".txt": "txt", "": "txt"}


def read_transcript(path_or_bytes: str | os.PathLike | bytes, n_trs: int, *, name: str | None = None) -> Transcript:
    """Read a transcript file for a clip of ``n_trs`` TRs.

    SRT, WebVTT, word-level JSON, the Algonauts table, or plain text (whose words are spread evenly over the clip, timing "spread"; see
    :func:`extractors.align.align_text` for better). The content decides the form where it is unmistakable, else the name's ending.

    Parameters
    ----------
    path_or_bytes : path or bytes
        A file, or what it holds.
    n_trs : int
        TRs of the clip.
    name : str, optional
        The file's name as the visitor knows it; shown as text in the transcript's source.

    Returns
    -------
    Transcript
        With ``n_trs`` rows; notices say what was left out or guessed.

    Raises
    ------
    TranscriptError
        With the line where one is at fault.
    """
    if isinstance(path_or_bytes, bytes):
        data, name = path_or_bytes, name or "transcript"
    else:
        path = Path(path_or_bytes)
        name = name or path.name
        data = _bytes_of(path)
    text, notices = decode(data)
    shown = clean(os.path.basename(name.replace("\\", "/")))[:100] or "transcript"
    source, form, lines = f"file {shown}", _form(text, shown), text.split("\n")
    long_line = next((k for k, line in enumerate(lines, 1) if len(line) > MAX_LINE_CHARS), None)
    if long_line is not None and form != "json":
        raise TranscriptError("line_too_long", f"Line {long_line} has more than {MAX_LINE_CHARS} characters.", "Check that this is a transcript.")
    if form == "tsv":
        transcript = read_table(text, n_trs, source=source)
    elif form == "json":
        transcript = read_json(text, n_trs, source=source)
    elif form in ("srt", "vtt"):
        transcript = table_from_words(read_cues(lines, vtt=form == "vtt"), n_trs, source=source, timing="given")
    else:
        transcript = spread_text(text, n_trs, source=source)
    return replace(transcript, notices=(*notices, *transcript.notices))


def spread_text(text: str, n_trs: int, *, source: str) -> Transcript:
    """Plain text spread over ``n_trs`` TRs by the length of its words; timing "spread", with a notice that the times are a guess."""
    words = clean(text).split()
    if len(words) > MAX_WORDS:
        raise TranscriptError("too_many_words", f"The text has more than {MAX_WORDS} words.", "Cut it to the part that belongs to the clip.")
    if not words:
        raise TranscriptError("no_words", "The text holds no words.", "Paste the words that are spoken, or run without words.")
    placed = spread(words, 0.0, n_trs * TR - EDIT_MARGIN_S)
    notice = "The text has no times: its words were spread evenly over the clip, so their timing is a guess."
    return table_from_words(placed, n_trs, source=source, timing="spread", notices=(notice,))


def to_string(transcript: Transcript, format: Format) -> str:
    """The transcript as text in one of :data:`FORMATS`."""
    if format == "tsv":
        return write_table(transcript)
    if format in ("srt", "vtt"):
        return write_cues(transcript, vtt=format == "vtt")
    if format == "json":
        return write_json(transcript)
    if format == "txt":
        return "\n".join(text for row in transcript.text_per_tr if (text := clean(row).strip())) + "\n"
    if format == "csv":
        return _spreadsheet(transcript)
    raise TranscriptError("format", f"Allowed transcript formats are {', '.join(FORMATS)}, but got {format!r} instead.", "Choose one of them.")


def write_transcript(transcript: Transcript, path: str | os.PathLike, format: Format | None = None) -> Path:
    """Write the transcript in one of :data:`FORMATS` (by default the one of the path's ending), UTF-8 with LF; returns the path."""
    path = Path(path)
    path.write_text(to_string(transcript, format or path.suffix.lstrip(".").lower()), encoding="utf-8", newline="\n")
    return path


def decode(data: bytes) -> tuple[str, tuple[str, ...]]:
    """Text of a file: UTF-8 or UTF-16, LF or CRLF; lines that are not UTF-8 are read as Windows-1252, with a notice naming the first.

    Returns
    -------
    str
        With ``\\n`` as the only line end and without byte-order mark.
    tuple of str
        Notices.

    Raises
    ------
    TranscriptError
        More than 4 MB, or not text.
    """
    if len(data) > MAX_BYTES:
        raise TranscriptError(
            "too_large", f"The transcript has {len(data) / 1e6:.1f} MB; at most {MAX_BYTES / 1e6:g} MB are allowed.", "Cut it to the clip's part."
        )
    notices: tuple[str, ...] = ()
    wide = _utf16(data)
    try:
        text = data.decode(wide or "utf-8-sig")
    except UnicodeDecodeError as error:
        if wide:
            raise TranscriptError("not_text", "The transcript is not text: its UTF-16 is broken.", "Save it as UTF-8.") from error
        text, line = _mixed(data)
        notices = (f"Line {line} and others like it are not UTF-8 and were read as Windows-1252.",)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise TranscriptError("not_text", f"The file is not text (line {line} holds binary data).", "Choose an SRT, VTT, JSON, TSV or text file.")
    return text, notices


def _utf16(data: bytes) -> str | None:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    head = data[:2000]
    if len(head) >= 8 and head[1::2].count(0) > 0.7 * len(head[1::2]):
        return "utf-16-le"
    if len(head) >= 8 and head[0::2].count(0) > 0.7 * len(head[0::2]):
        return "utf-16-be"
    return None


def _mixed(data: bytes) -> tuple[str, int]:
    lines, first = [], 0
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            lines.append(line.decode("utf-8"))
        except UnicodeDecodeError:
            first = first or number
            lines.append(line.decode("cp1252", errors="replace"))
    return "\n".join(lines), first


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise TranscriptError("unreadable", "The transcript file cannot be opened.", "Choose the file again.") from error


def _form(text: str, name: str) -> str:
    start = text[:4000].lstrip()
    if start.startswith("WEBVTT"):
        return "vtt"
    if "\t" in start and "text_per_tr" in start.split("\n", 1)[0]:
        return "tsv"
    suffix = os.path.splitext(name)[1].lower()
    form = _SUFFIXES.get(suffix)
    if form is None:
        form = "json" if start[:1] in ("{", "[") else "srt" if "-->" in start else None
    if form is None:
        raise TranscriptError(
            "format",
            f"Transcripts can be SRT, VTT, JSON, TSV or plain text, but got a file that ends in {suffix[:12]!r}.",
            "Save it in one of these forms.",
        )
    if form == "txt" and start[:1] == "{":
        form = "json"
    if form in ("txt", "vtt") and "-->" in start and start[:1].isdigit():
        form = "srt"
    return form


def _spreadsheet(transcript: Transcript) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["tr", "onset_s", "duration_s", "word"])
    for word in transcript.words:
        writer.writerow([tr_of(word.offset), f"{word.onset:.3f}", f"{word.duration:.3f}", guard_cell(clean(word.text))])
    return out.getvalue()


def guard_cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula: a leading ``= + - @`` (also behind spaces) gets an apostrophe before it."""
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@") and text.strip() else text
