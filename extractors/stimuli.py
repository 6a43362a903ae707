"""Stimuli made here and not filmed: words only, a held picture, two pictures in turn, a tone, a noise.

One statement says what is made, in the small language of :mod:`extractors.statements`: ``say text="the fox" rate=150``, ``still picture=1``,
``alternate each=5``, ``tone hz=440``, ``noise colour=pink``. The result is an ordinary clip with its words; what it has no track of is
absent. Pictures are hostile uploads: they are judged by their first bytes and decoded only in a child process with limits
(:mod:`extractors.stimuli_worker`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten
from types import MappingProxyType
from typing import Any

from extractors.cache import content_key
from extractors.clip import Clip
from extractors.errors import CineglassError, MediaError
from extractors.grid import HRF_S, TAIL_TRS, TR, n_trs
from extractors.media import admit, display_name, in_child, new_folder
from extractors.stages import Stage, passing_on, stage_clock
from extractors.statements import Kind, Param, Statement, number_text, read_statements
from extractors.tr_table import clean, no_words, spread, table_from_words
from extractors.transcript import Transcript
from settings import Settings, get_settings

MAKE_VERSION = 1
"""Part of the key of words; raise it when they are timed differently."""
MAX_PICTURES = 2
MAX_PICTURE_MB = 30
MAX_PICTURE_PIXELS = 50_000_000
MAX_WORDS_CHARS = 20_000
SMALLER = "Save it smaller: 1280 x 720 is all that is used."
FPS = 25
SOURCE = "the stimulus"
"""Source of transcripts that hold exactly what was made; see :class:`extractors.transcript.Transcript`."""

_BLOCK = 2**20


class StimulusError(CineglassError, ValueError):
    """A stimulus that cannot be understood, or not be made."""


@dataclass(frozen=True)
class StimulusKind(Kind):
    """One kind of stimulus.

    Attributes
    ----------
    streams : frozenset of {"audio", "text", "video"}
        Which it has; the others are absent. A tone holds nobody's words, and the model is told so: its text stream is there and silent.
    pictures : int
        How many pictures it takes.
    """

    streams: frozenset[str] = frozenset()
    pictures: int = 0


def _start() -> Param:
    # rows before about 22 s rest on too short a past: what begins at 0 is never seen in rows that count
    return Param("start", "number", 20, 0, 120, unit="s")


def _seconds(default: float = 20) -> Param:
    return Param("seconds", "number", default, 1, 600, unit="s")


def _level(high: float) -> Param:
    return Param("level", "number", -20, -60, high, unit="dB of full scale (RMS)")


STIMULI: Mapping[str, StimulusKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            StimulusKind(
                "say",
                "Words only",
                "Written words at a steady pace: nothing is heard or seen. Silence stands before, and follows until the last response has come.",
                (
                    Param("text", "text", optional=True),
                    Param("rate", "number", 150, 30, 400, unit="words a minute"),
                    _start(),
                ),
                frozenset({"text"}),
            ),
            StimulusKind(
                "still",
                "Still picture",
                "One picture, held after some seconds of black.",
                (_start(), _seconds(), Param("picture", "number", 1, 1, MAX_PICTURES, whole=True)),
                frozenset({"video"}),
                1,
            ),
            StimulusKind(
                "alternate",
                "Two pictures in turn",
                "Two pictures, each held for some seconds, in turn; the second one stands inside the frame of the first.",
                (_seconds(40), Param("each", "number", 5, 0.2, 60, unit="s")),
                frozenset({"video"}),
                2,
            ),
            StimulusKind(
                "tone",
                "Tone",
                "A sine tone after some seconds of silence.",
                (Param("hz", "number", 440, 50, 7500, unit="Hz"), _start(), _seconds(), _level(-6)),
                frozenset({"audio", "text"}),
            ),
            StimulusKind(
                "noise",
                "Noise",
                "Gaussian noise after some seconds of silence: white (every frequency alike) or pink (every octave alike).",
                (
                    _start(),
                    _seconds(),
                    _level(-14),
                    Param("colour", "choice", "white", choices=("white", "pink")),
                    Param("seed", "number", 0, 0, 2**31 - 1, whole=True),
                ),
                frozenset({"audio", "text"}),
            ),
        )
    }
)
"""Every stimulus by name, in the order in which a page offers them."""


@dataclass(frozen=True)
class Stimulus(Statement):
    """One statement: its name and all its values, defaults included; made by :func:`parse_stimulus`."""

    @property
    def kind(self) -> StimulusKind:
        """Its row in the table."""
        return STIMULI[self.name]

    @property
    def title(self) -> str:
        """A few words for a list; holds no text of the visitor's."""
        if self.name == "tone":
            return f"Tone, {number_text(self['hz'])} Hz"
        return {"say": "Words only", "noise": f"{str(self.get('colour')).capitalize()} noise"}.get(self.name, self.kind.label)

    @property
    def says(self) -> str:
        """What it is, as one plain sentence."""
        n = {key: number_text(value) for key, value in self.values if not isinstance(value, str)}
        if self.name == "say":
            return f"Made here: words at {n['rate']} a minute from {n['start']} s, without sound or picture."
        if self.name == "alternate":
            return f"Made here: two pictures in turn, {n['each']} s each, for {n['seconds']} s, without sound."
        when = f"from {n['start']} s for {n['seconds']} s"
        if self.name == "still":
            return f"Made here: a still picture {when}, black before, without sound."
        what = f"a tone of {n['hz']} Hz" if self.name == "tone" else f"{self['colour']} noise (seed {n['seed']})"
        return f"Made here: {what} {when} at {n['level']} dB of full scale, silence before, without picture."


def parse_stimulus(text: str) -> Stimulus:
    """Read one statement.

    Raises
    ------
    StimulusError
        ``one_stimulus`` for none or several, and what :func:`extractors.statements.read_statements` raises.
    """
    found = read_statements(text, STIMULI, StimulusError)
    if len(found) != 1:
        raise StimulusError(
            "one_stimulus",
            f"A stimulus is one statement, but got {len(found)} instead.",
            f"Write one of {', '.join(STIMULI)}; for example: tone hz=440",
        )
    return Stimulus(*found[0])


def make_stimulus(
    text: str,
    *,
    pictures: Sequence[str | os.PathLike] = (),
    names: Sequence[str] = (),
    words: str | None = None,
    settings: Settings | None = None,
) -> Iterator[Any]:
    """Make a stimulus.

    Parameters
    ----------
    text : str
        One statement, see :data:`STIMULI`.
    pictures : sequence of path
        PNG, JPEG or WebP files for ``still`` and ``alternate``, at most two.
    names : sequence of str
        What people call the pictures; by default the names of their files.
    words : str, optional
        For ``say``: what to say, where it is too long for the statement.
    settings : Settings, optional

    Yields
    ------
    Stage
        "make", then the gate's own; the last item is the tuple (Clip, Transcript). Closing stops within two seconds. The same statement and
        pictures give the same clip.

    Raises
    ------
    StimulusError
        As :func:`parse_stimulus`; ``no_words``, ``too_long``, ``picture_missing``, ``not_a_picture``, ``picture_too_large``, ``picture_damaged``.
    MediaError, TranscriptError, CacheError
        From the gate, the table of words and the disk.
    """
    settings = settings or get_settings()
    stimulus = parse_stimulus(text)
    at = stage_clock("make", 1.0)
    yield at(0.0, "Making the stimulus")
    if stimulus.name == "say":
        clip, transcript = _said(stimulus, words, settings)
        yield at(1.0, "The words are timed")
    else:
        clip = yield from passing_on(_filmed(stimulus, pictures, names, settings, at))
        transcript = no_words(clip.n_trs)
        if "text" in stimulus.kind.streams:  # it is known that nobody speaks, which is another thing than not knowing the words
            transcript = replace(transcript, source=SOURCE, timing="given")
    yield replace(clip, notices=(*clip.notices, stimulus.says)), transcript


def _said(stimulus: Stimulus, words: str | None, settings: Settings) -> tuple[Clip, Transcript]:
    """Words end to end, each as long as its share of the letters; the clip has no file."""
    text = words if words is not None else stimulus.get("text") or ""
    if len(text) > MAX_WORDS_CHARS:
        raise StimulusError("too_long", f"The text has {len(text)} characters; at most {MAX_WORDS_CHARS} are allowed.", "Say less of it.")
    said = clean(text).split()
    if not any(char.isalnum() for char in text):
        raise StimulusError("no_words", "There are no words to say.", 'For example: say text="the old man said nothing"')
    start, rate = float(stimulus["start"]), float(stimulus["rate"])
    end = start + len(said) * 60 / rate
    # the response to the last word comes later, and the last rows never count
    duration = max(end + HRF_S + TAIL_TRS * TR, settings.min_trs * TR)
    if duration > settings.max_duration_s:
        raise StimulusError(
            "too_long",
            f"{len(said)} words at {rate:g} a minute last {duration:.0f} s; at most {settings.max_duration_s:.0f} s are allowed.",
            "Say fewer words, or say them faster.",
        )
    rows = n_trs(duration)
    transcript = table_from_words(spread(said, start, end), rows, source=SOURCE, timing="given")
    sha256 = content_key(stimulus=stimulus.text, words=said, version=MAKE_VERSION)
    nowhere = settings.cache_dir / "clips" / sha256 / "no film"
    name = display_name(f"Words only: {shorten(' '.join(said), 44, placeholder=' …')}")
    return Clip(nowhere, None, sha256, None, None, name, duration, rows, None, 0, 0), transcript


def _filmed(stimulus: Stimulus, pictures: Sequence[str | os.PathLike], names: Sequence[str], settings: Settings, at) -> Iterator[Stage | Clip]:
    """A file written by the child, and let in by the gate like any other."""
    job: dict[str, Any] = {"name": stimulus.name, **dict(stimulus.values)}
    with new_folder(settings) as work:
        if stimulus.kind.pictures:
            paths = _chosen(stimulus, pictures)
            called = [*names] or [Path(path).name for path in pictures]
            first = int(stimulus.get("picture") or 1) - 1
            job["pictures"] = [_copied(path, called[first + number], work / f"picture-{number}") for number, path in enumerate(paths)]
            job |= {"fps": FPS, "most_pixels": MAX_PICTURE_PIXELS, "height": settings.canonical_height}
        made = work / ("stimulus.mp4" if stimulus.kind.pictures else "stimulus.wav")
        job["out"] = str(made.absolute())
        try:
            yield from passing_on(in_child("extractors.stimuli_worker", job, settings, at, "Making the stimulus"))
        except MediaError as error:
            raise _in_words(error) from None
        yield at(1.0, "The stimulus is made")
        yield (yield from passing_on(admit(made, name=stimulus.title, settings=settings)))


def _chosen(stimulus: Stimulus, pictures: Sequence[str | os.PathLike]) -> list[Path]:
    first = int(stimulus.get("picture") or 1)
    needed = range(first, first + stimulus.kind.pictures)
    if len(pictures) < needed[-1] or len(pictures) > MAX_PICTURES:
        allowed = f"{needed[-1]}" if needed[-1] == MAX_PICTURES else f"{needed[-1]} to {MAX_PICTURES}"
        raise StimulusError(
            "picture_missing",
            f'"{stimulus.name}" needs {allowed} picture{"s" if allowed != "1" else ""}, but got {len(pictures)} instead.',
            "Add PNG, JPEG or WebP pictures.",
        )
    return [Path(pictures[number - 1]) for number in needed]


def _copied(path: Path, name: str, target: Path) -> dict[str, str]:
    """Copy an upload under a name of our own; what it is, its first bytes say."""
    shown = display_name(name)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # never waits on a pipe or a device
        with open(descriptor, "rb") as source:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError("not a regular file")
            if os.fstat(descriptor).st_size > MAX_PICTURE_MB * 2**20:
                raise StimulusError(
                    "picture_too_large",
                    f'The picture "{shown}" has more than {MAX_PICTURE_MB} MB.',
                    SMALLER,
                )
            head = source.read(16)
            form = picture_form(head)
            if form is None:
                what = "empty" if not head else "no PNG, JPEG or WebP picture"
                raise StimulusError("not_a_picture", f'The file "{shown}" is {what}.', "Save the picture as PNG or JPEG and add it again.")
            left = MAX_PICTURE_MB * 2**20
            with open(target, "wb") as copy:
                block = head
                while block and left > 0:
                    copy.write(block)
                    left -= len(block)
                    block = source.read(_BLOCK)
    except CineglassError:
        raise
    except OSError:
        raise StimulusError("not_a_picture", f'The file "{shown}" cannot be opened.', "Add the picture again.") from None
    return {"path": str(target.absolute()), "form": form, "shown": shown}


def picture_form(head: bytes) -> str | None:
    """What the first bytes of a file say it is: "PNG", "JPEG" or "WEBP"; None for anything else."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    return None


def _in_words(error: MediaError) -> CineglassError:
    """What the child says, as an error of pictures and not of films."""
    if error.code == "decode_memory":
        return StimulusError("picture_too_large", "The picture needs more memory than is allowed.", SMALLER)
    if error.code in ("decode_failed", "decode_timeout"):
        return StimulusError("picture_damaged", "The picture cannot be read.", "Open it in another program and save it again as PNG or JPEG.")
    return StimulusError(error.code, error.message, error.hint)
