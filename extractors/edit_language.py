"""Edits of a film as text, for example ``mute; blank colour=black``: what page, command line, API and record share.

Statements act one after the other, each on the film as the ones before it left it. :data:`EDITS` says which there are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from extractors.errors import CineglassError
from extractors.statements import Kind, Param, Statement, Value, checked, number_text, read_statements

Policy = Literal["keep", "hear", "drop"]

_PICTURE, _SOUND, _WORDS, _TIME = "picture", "sound", "words", "time"


class EditError(CineglassError, ValueError):
    """An edit that cannot be understood, or not be made on this film."""


@dataclass(frozen=True)
class EditKind(Kind):
    """One kind of edit.

    Attributes
    ----------
    touches : frozenset of {"picture", "sound", "words", "time"}
        What of the film it changes ("time": when things happen, for all of it).
    words : {"keep", "hear", "drop"}
        What the model reads unless a ``words`` statement says otherwise.
    null : bool
        Whether a small one serves as a change that should not matter.
    """

    touches: frozenset[str] = frozenset()
    words: Policy = "keep"
    null: bool = False


def _kind(name: str, label: str, help: str, *params: Param, touches: Iterable[str], words: Policy = "keep", null: bool = False) -> EditKind:
    return EditKind(name, label, help, params, frozenset(touches), words, null)


def _number(name: str, default: float | None, low: float, high: float, unit: str = "", *, whole: bool = False, optional: bool = False) -> Param:
    return Param(name, "number", default, low, high, unit=unit, whole=whole, optional=optional)


def _choice(name: str, *choices: str) -> Param:
    return Param(name, "choice", choices[0], choices=choices)


EDITS: Mapping[str, EditKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            _kind("mute", "Mute", "The sound becomes digital silence; nothing is read.", touches=[_SOUND], words="drop"),
            _kind("blank", "Blank", "Every picture becomes one even colour.", _choice("colour", "black", "grey"), touches=[_PICTURE]),
            _kind("grey", "Greyscale", "The picture loses its colour and keeps its brightness.", touches=[_PICTURE]),
            _kind(
                "blur",
                "Blur",
                "Gaussian blur; its standard deviation is a share of the picture's height.",
                _number("percent", 2.0, 0.05, 20.0, "% of height"),
                touches=[_PICTURE],
            ),
            _kind(
                "reverse",
                "Reverse",
                "Played backwards: the whole film, or one of its tracks while the other runs on. Nobody understands speech that is played "
                "backwards, so with the sound the words are gone.",
                _choice("track", "both", "sound", "picture"),
                touches=[_PICTURE, _SOUND, _TIME],
                words="drop",
            ),
            _kind(
                "speed",
                "Slow or fast",
                "The film runs slower or faster; the pitch of the sound stays.",
                _number("factor", 0.5, 0.5, 2.0, "×"),
                touches=[_PICTURE, _SOUND, _TIME],
            ),
            _kind(
                "shuffle",
                "Shuffle",
                "The film is cut into pieces of one length, which come in a random order; a shorter last piece stays last.",
                _number("seconds", 8.0, 0.5, 300.0, "s"),
                _number("seed", 0, 0, 2**31 - 1, whole=True),
                touches=[_PICTURE, _SOUND, _TIME],
            ),
            _kind(
                "delay",
                "Delay the sound",
                "The sound comes later than the picture (below zero: earlier), its words with it.",
                _number("seconds", 1.0, -30.0, 30.0, "s"),
                touches=[_SOUND, _WORDS],
            ),
            _kind(
                "sound",
                "Swap the sound",
                "The sound track of another clip, cut to this film's length or followed by silence.",
                Param("clip", "clip"),
                touches=[_SOUND],
                words="hear",
            ),
            _kind(
                "trim",
                "Trim",
                "Only the part between two times is kept.",
                _number("start", 0.0, 0.0, 86400.0, "s"),
                _number("end", 30.0, 0.0, 86400.0, "s"),
                touches=[_PICTURE, _SOUND, _TIME],
            ),
            _kind(
                "remove",
                "Remove words",
                "Words are silenced in the sound and no longer read: those named, or all between two times.",
                Param("words", "text", optional=True),
                _number("start", None, 0.0, 86400.0, "s", optional=True),
                _number("end", None, 0.0, 86400.0, "s", optional=True),
                touches=[_SOUND, _WORDS],
            ),
            _kind(
                "rewrite",
                "Rewrite a row",
                "One row of the transcript reads otherwise; what is heard stays.",
                _number("row", None, 0, 100_000, whole=True),
                Param("text", "text"),
                touches=[_WORDS],
            ),
            _kind(
                "words",
                "What the model reads",
                "The words of the unchanged clip (keep), what a recogniser hears in the edited sound (hear), or nothing (drop).",
                _choice("policy", "keep", "hear", "drop"),
                touches=[_WORDS],
            ),
            _kind(
                "recompress",
                "Encode again",
                "Picture and sound are compressed once more; higher numbers are coarser.",
                _number("quality", 26.0, 18.0, 40.0),
                touches=[_PICTURE, _SOUND],
                null=True,
            ),
            _kind(
                "shift",
                "Shift in time",
                "The whole film comes a little later (below zero: earlier); its length stays.",
                _number("ms", 40.0, -100.0, 100.0, "ms"),
                touches=[_PICTURE, _SOUND, _WORDS, _TIME],
                null=True,
            ),
            _kind("gain", "Loudness", "The sound becomes louder or softer.", _number("db", 1.0, -40.0, 20.0, "dB"), touches=[_SOUND], null=True),
            _kind(
                "crop",
                "Crop",
                "The middle of the picture, scaled back to the full size.",
                _number("percent", 1.0, 0.1, 10.0, "%"),
                touches=[_PICTURE],
                null=True,
            ),
        )
    }
)
"""Every edit by name, in the order in which a page offers them."""


@dataclass(frozen=True)
class Edit(Statement):
    """One statement: its name and all its values, defaults included; made by :func:`parse_edits`."""

    @property
    def kind(self) -> EditKind:
        """Its row in the table."""
        return EDITS[self.name]

    @property
    def says(self) -> str:
        """What it does, as one plain sentence; holds text of the visitor's."""
        return _SAYS[self.name](self)

    @property
    def touches(self) -> frozenset[str]:
        """What of the film this one changes, of "picture", "sound", "words" and "time"."""
        if self.name == "reverse" and self["track"] != "both":
            return frozenset({str(self["track"])})
        return self.kind.touches

    @property
    def words(self) -> Policy:
        """What the model reads after it, unless a ``words`` statement says otherwise."""
        if self.name == "words":
            return self["policy"]
        return "keep" if self.name == "reverse" and self["track"] == "picture" else self.kind.words


def parse_edits(text: str) -> tuple[Edit, ...]:
    """Read edits.

    Parameters
    ----------
    text : str
        Statements with ``;`` between them; "" is no edit.

    Returns
    -------
    tuple of Edit
        In the order of the text.

    Raises
    ------
    EditError
        ``too_long``, ``too_many``, ``bad_text``, ``unknown_edit``, ``unknown_parameter``, ``unknown_value``, ``missing_value``, ``out_of_range``,
        ``twice`` or ``contradiction``.
    """
    return checked_edits([Edit(name, values) for name, values in read_statements(text, EDITS, EditError)])


def checked_edits(edits: Iterable[Edit]) -> tuple[Edit, ...]:
    """Edits held against the table and against each other; EditError as :func:`parse_edits` raises it."""
    done = []
    for edit in edits:
        if not isinstance(edit, Edit) or edit.name not in EDITS:
            raise EditError("unknown_edit", "One of the edits is of no kind we know.", f"There are {', '.join(EDITS)}.")
        done.append(Edit(edit.name, checked(EDITS[edit.name], dict(edit.values), EditError)))
    for edit in done:
        _check_values(edit)
    if sum(edit.name == "words" for edit in done) > 1:
        raise EditError("twice", '"words" is said twice, and only one can hold.', "Keep one of the two statements.")
    if any(edit.name == "rewrite" for edit in done) and words_policy(done) != "keep":
        said = "hears the words anew" if words_policy(done) == "hear" else "reads no words"
        raise EditError("contradiction", f"A row is rewritten, but the model {said} after these edits.", "Add: words policy=keep")
    return tuple(done)


def _check_values(edit: Edit) -> None:
    if edit.name == "remove":
        named, start, end = edit.get("words"), edit.get("start"), edit.get("end")
        if (named is None) == (start is None and end is None) or (start is None) != (end is None):
            raise EditError("missing_value", '"remove" takes either words or both start and end.', 'For example: remove words="the, fox"')
        if named is not None and not any(char.isalnum() for char in named):
            raise EditError("missing_value", 'The words of "remove" hold no word.', 'For example: remove words="the, fox"')
    if edit.name in ("remove", "trim") and edit.get("start") is not None and edit["start"] >= edit["end"]:
        raise EditError("out_of_range", f'The end of "{edit.name}" must lie behind its start.', "Swap the two times.")
    if (edit.name == "speed" and edit["factor"] == 1) or (edit.name in ("delay", "shift", "gain") and edit.values[0][1] == 0):
        raise EditError("out_of_range", f'This "{edit.name}" would change nothing.', "Choose another value, or leave the statement out.")


def edits_text(edits: Iterable[Edit]) -> str:
    """Canonical text of edits; :func:`parse_edits` gives equal edits back."""
    return "; ".join(edit.text for edit in edits)


def words_policy(edits: Iterable[Edit]) -> Policy:
    """What the model reads after all edits: what a ``words`` statement says, else what the edits do to the words together.

    Silence, and speech that is played backwards, stay unread until another sound track comes.
    """
    policy: Policy = "keep"
    for edit in edits:
        if edit.name == "words":
            return edit.words
        if edit.words == "drop" or (edit.words == "hear" and (policy != "drop" or edit.name == "sound")):
            policy = edit.words
    return policy


def touched(edits: Iterable[Edit]) -> frozenset[str]:
    """Which feature streams must be computed again: of "video", "audio" and "text"."""
    edits = tuple(edits)
    changed = frozenset().union(*(edit.touches for edit in edits)) if edits else frozenset()
    streams = {stream for what, stream in ((_PICTURE, "video"), (_SOUND, "audio")) if what in changed}
    says_keep = any(edit.name == "words" and edit.words == "keep" for edit in edits)
    rewritten = any(edit.name == "rewrite" for edit in edits)
    moved = _TIME in changed or (_WORDS in changed and not says_keep)
    if words_policy(edits) != "keep" or moved or rewritten:
        streams.add("text")
    return frozenset(streams)


def null_edits(n: int = 10, seed: int = 0, *, picture: bool = True, sound: bool = True) -> tuple[str, ...]:
    """Small changes that should not matter, each as canonical text.

    Parameters
    ----------
    n : int
        How many; the kinds take turns.
    seed : int
        Decides their sizes, none of which is zero.
    picture, sound : bool
        Whether the film has the track: a film without sound is not made louder.

    Returns
    -------
    tuple of str, length n
        All different.
    """
    import numpy as np

    kinds = [name for name, kind in EDITS.items() if kind.null and (kind.touches - {_TIME, _WORDS} != {_SOUND} or sound)]
    kinds = [name for name in kinds if (EDITS[name].touches != {_PICTURE} or picture) and (name != "recompress" or picture or sound)]
    rng = np.random.default_rng(seed)
    found: list[str] = []
    while len(found) < n:
        name = kinds[len(found) % len(kinds)]
        sign = rng.choice([-1.0, 1.0])
        size = rng.uniform()
        key, value = {
            "recompress": ("quality", 24 + 6 * size),
            "shift": ("ms", sign * (20 + 80 * size)),
            "gain": ("db", sign * (0.25 + 0.75 * size)),
            "crop": ("percent", 0.25 + 0.75 * size),
        }[name]
        text = Edit(name, ((key, round(float(value), 2)),)).text
        if text not in found:
            found.append(text)
    return tuple(found)


def _quoted(text: Value) -> str:
    return json.dumps(text, ensure_ascii=False)


def _n(edit: Edit, key: str, *, size: bool = False) -> str:
    value = edit[key]
    return number_text(abs(value) if size else value)


def _reversed(edit: Edit) -> str:
    return {"both": "The film runs backwards.", "sound": "The sound runs backwards.", "picture": "The picture runs backwards."}[edit["track"]]


def _removed(edit: Edit) -> str:
    if edit.get("words") is not None:
        return f"The words {_quoted(edit['words'])} are silenced and not read."
    return f"The words from {_n(edit, 'start')} s to {_n(edit, 'end')} s are silenced and not read."


def _policy(edit: Edit) -> str:
    return {
        "keep": "The model reads the words of the unchanged clip.",
        "hear": "The model reads what a recogniser hears in the edited sound.",
        "drop": "The model reads no words.",
    }[edit["policy"]]


_SAYS: dict[str, Callable[[Edit], str]] = {
    "mute": lambda edit: "The sound is silenced.",
    "blank": lambda edit: f"The picture is replaced by {edit['colour']}.",
    "grey": lambda edit: "The picture is shown in greyscale.",
    "blur": lambda edit: f"The picture is blurred (standard deviation {_n(edit, 'percent')} % of its height).",
    "reverse": _reversed,
    "speed": lambda edit: f"The film runs at {_n(edit, 'factor')} times its speed, the pitch kept.",
    "shuffle": lambda edit: f"The film's pieces of {_n(edit, 'seconds')} s come in a random order (seed {_n(edit, 'seed')}).",
    "delay": lambda edit: f"The sound comes {_n(edit, 'seconds', size=True)} s {'later' if edit['seconds'] > 0 else 'earlier'} than the picture.",
    "sound": lambda edit: f"The sound is that of {_quoted(edit['clip'])}.",
    "trim": lambda edit: f"Only {_n(edit, 'start')} s to {_n(edit, 'end')} s of the film are kept.",
    "remove": _removed,
    "rewrite": lambda edit: f"Row {_n(edit, 'row')} of the transcript reads {_quoted(edit['text'])}; what is heard stays.",
    "words": _policy,
    "recompress": lambda edit: f"Picture and sound are encoded again (quality {_n(edit, 'quality')}).",
    "shift": lambda edit: f"The whole film comes {_n(edit, 'ms', size=True)} ms {'later' if edit['ms'] > 0 else 'earlier'}.",
    "gain": lambda edit: f"The sound is {_n(edit, 'db', size=True)} dB {'louder' if edit['db'] > 0 else 'softer'}.",
    "crop": lambda edit: f"{_n(edit, 'percent')} % of the picture's width and height are cropped and the rest scaled back.",
}
