"""Model lesions: the film stays as it is, and the model loses one of its streams.

A lesion says what the model uses, not what a brain uses, and it is no edit of the stimulus. Lesions are written in a small language, one
statement for each stream, with ";" between them::

    audio mean; text scramble seed=1 block_trs=4; video zero

``mean``: every row becomes the stream's own mean over this clip. ``zero``: what stands for a missing stream in training; the model is told that the
stream is missing. ``scramble``: the stream's own rows in a seeded random order, in blocks; streams scrambled with the same seed and blocks get the
same order and stay together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from extractors.cache import content_key
from extractors.errors import CineglassError
from extractors.features import STREAMS, Features
from extractors.statements import Kind, Param, read_statements
from extractors.tr_table import clean

if TYPE_CHECKING:
    from encoder.cards import Card

LESION_VERSION = 1
"""Part of every key of a lesioned stream; raise it when a lesion comes out differently."""
MAX_CHARS = 500
MAX_BLOCK_TRS = 1000
MAX_SEED = 2**32 - 1
PARTS = {"audio": "sound", "text": "words", "video": "picture"}
"""What a stream carries, in a person's words."""


class LesionError(CineglassError, ValueError):
    """A lesion that cannot be read or done."""


LESIONS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Kind("mean", "Held at its mean", "Every row becomes the stream's mean over this clip: nothing changes any more, the level stays."),
            Kind("zero", "Missing", "The model is told that the stream is missing and gets zeros, as it would for a clip without it."),
            Kind(
                "scramble",
                "Scrambled in time",
                "The stream's own rows in random order: the same values, at the wrong times.",
                (
                    Param("seed", "number", 0, 0, MAX_SEED, whole=True),
                    Param("block_trs", "number", 1, 1, MAX_BLOCK_TRS, unit="TRs", whole=True),
                ),
            ),
        )
    }
)
"""The kinds of lesion by their names."""


@dataclass(frozen=True)
class Lesion:
    """One stream taken away.

    Attributes
    ----------
    stream : {"audio", "text", "video"}
    kind : {"mean", "zero", "scramble"}
    seed : int
        Of the random order.
    block_trs : int
        Rows that stay together.
    """

    stream: str
    kind: str
    seed: int = 0
    block_trs: int = 1

    @property
    def text(self) -> str:
        """Canonical statement of the language."""
        values = (f"{param.name}={getattr(self, param.name)}" for param in LESIONS[self.kind].params)
        return " ".join((self.stream, self.kind, *values))

    @property
    def says(self) -> str:
        """One plain sentence."""
        part = PARTS[self.stream]
        if self.kind == "mean":
            return f"The model reads the same {self.stream} features ({part}) in every TR: their mean over this clip."
        if self.kind == "zero":
            return f"The model is told that the {self.stream} stream ({part}) is missing and gets zeros for it."
        pieces = "TR by TR" if self.block_trs == 1 else f"in pieces of {self.block_trs} TRs"
        return f"The model reads the {self.stream} features ({part}) in random order, {pieces} (seed {self.seed})."


def parse_lesions(text: str) -> tuple[Lesion, ...]:
    """Read the language.

    Parameters
    ----------
    text : str
        Statements with ";" or a new line between them; "" is none. ``#`` begins a comment; names may be written in capitals.

    Returns
    -------
    tuple of Lesion
        In the order audio, text, video, whatever order they were written in: one does not touch the other.

    Raises
    ------
    LesionError
        ``too_long``, ``bad_text``, ``unknown_stream``, ``unknown_lesion``, ``stream_twice``, and for values what
        :func:`extractors.statements.read_statements` raises.
    """
    if len(text) > MAX_CHARS:
        raise LesionError(
            "too_long", f"The lesions have {len(text)} characters; at most {MAX_CHARS} are allowed.", "Write at most one lesion for each stream."
        )
    lines = (line.partition("#")[0] for line in text.splitlines())
    found = [_lesion(" ".join(statement.split())) for line in lines for statement in line.split(";") if statement.strip()]
    return _in_order(found)


def lesions_text(lesions: Iterable[Lesion]) -> str:
    """Canonical text of lesions; :func:`parse_lesions` gives them back."""
    return "; ".join(lesion.text for lesion in _in_order(list(lesions)))


def lesioned(features: Features, lesions: Sequence[Lesion]) -> Features:
    """The streams with some of them taken away.

    Parameters
    ----------
    features : Features
        Is not changed.
    lesions : sequence of Lesion
        At most one for each stream.

    Returns
    -------
    Features
        Same rows, same past (``window_s``), so that the rows which count stay the same. The key of a lesioned stream tells its lesion. Rows that an
        extractor could not see do not count in the mean; where they land in a random order is not valid either.

    Raises
    ------
    LesionError
        ``stream_absent``: the clip has no such stream; ``stream_twice``; ``too_few_blocks``: nothing to put in another order.
    """
    arrays, present = dict(features.arrays), dict(features.present)
    keys, unseen = dict(features.content_keys), dict(features.unseen_rows)
    for lesion in _in_order(list(lesions)):
        stream = lesion.stream
        if not present[stream]:
            raise LesionError(
                "stream_absent",
                f"The {stream} stream ({PARTS[stream]}) cannot be taken away: this clip has none.",
                f"Leave this lesion out; allowed are those of {', '.join(name for name in STREAMS if features.present[name]) or 'no stream'}.",
            )
        values = arrays[stream]
        if lesion.kind == "zero":
            arrays[stream], present[stream] = np.zeros_like(values), False
        elif lesion.kind == "mean":
            seen = np.ones(len(values), bool)
            seen[list(unseen.get(stream, ()))] = False
            mean = values[seen if seen.any() else slice(None)].mean(0, dtype=np.float64)
            arrays[stream] = np.broadcast_to(mean.astype(np.float32), values.shape).copy()
        else:
            order = scrambled_rows(len(values), seed=lesion.seed, block_trs=lesion.block_trs)
            arrays[stream] = values[order]
            if stream in unseen:
                moved = np.flatnonzero(np.isin(order, unseen[stream])).tolist()
                unseen[stream] = tuple(sorted({*unseen[stream], *moved}))
        if stream in keys:
            keys[stream] = content_key(of=keys[stream], lesion=lesion.text, version=LESION_VERSION)
    return replace(features, arrays=arrays, present=present, content_keys=keys, unseen_rows=unseen)


def scrambled_rows(n_trs: int, *, seed: int = 0, block_trs: int = 1) -> np.ndarray:
    """Row that is read in each place, int [n_trs]: whole blocks in a seeded random order that is never the old one.

    Rows that fill no block stay at the end. LesionError ``too_few_blocks`` under two blocks.
    """
    blocks = n_trs // block_trs
    if blocks < 2:
        raise LesionError(
            "too_few_blocks",
            f"A clip of {n_trs} TRs has no two pieces of {block_trs} TRs to put in another order.",
            f"Choose pieces of at most {n_trs // 2} TRs." if n_trs >= 2 else "Choose a longer clip.",
        )
    rng = np.random.default_rng(seed)
    order = np.arange(blocks)
    while (order == np.arange(blocks)).all():
        order = rng.permutation(blocks)
    rows = (order[:, None] * block_trs + np.arange(block_trs)).ravel()
    return np.concatenate([rows, np.arange(blocks * block_trs, n_trs)])


def known_in_training(model: Card | Any, stream: str, kind: str, *, missing: Collection[str] = ()) -> tuple[bool | None, str]:
    """Whether training ever showed the model such a lesion, so that what it says under it can mean something.

    Parameters
    ----------
    model : Card, or anything with a ``card``
    stream, kind : str
        Of the lesion.
    missing : collection of str
        Streams that are missing besides: lesioned by zero, or absent in the clip. A model that learned to do without sound and words together
        has not learned to read words without sound.

    Returns
    -------
    known : bool or None
        None when the card does not say.
    sentence : str
    """
    card = getattr(model, "card", model)
    taught = card.trained_without
    part = PARTS[stream]
    if taught is None:
        return None, f"Whether the model met anything like this {stream} stream in training is unknown: its card does not say."
    if kind != "zero":
        what = "held at its mean" if kind == "mean" else "in random order"
        return False, f"In training the model never met the {stream} stream {what}: what it answers is an extrapolation."
    gone = {stream, *missing}
    if taught == "never":
        return False, f"In training the model never met a film without its {part}: what it answers is an extrapolation."
    if any(gone == set(together) for together in taught):
        return True, f"The model learned to do without the {_parts(gone)}: training showed it such films."
    others = [_parts(together) for together in taught if stream in together]
    if others:
        only = "; ".join(f"the {names} together" if " and " in names else f"the {names} alone" for names in others)
        return False, f"Training took away {only}, never the {_parts(gone)} {'together' if len(gone) > 1 else 'alone'}: this is an extrapolation."
    return False, f"In training the model never met a film without its {_parts(gone)}: what it answers is an extrapolation."


def warnings_of(lesions: Sequence[Lesion], model: Card | Any, present: dict[str, bool]) -> tuple[str, ...]:
    """One warning for each lesion: what it does, and whether the model knew it; ``present`` as the clip had the streams."""
    missing = {stream for stream in STREAMS if not present[stream]} | {lesion.stream for lesion in lesions if lesion.kind == "zero"}
    return tuple(
        f"Model lesion: {lesion.says} {known_in_training(model, lesion.stream, lesion.kind, missing=missing)[1]}"
        for lesion in _in_order(list(lesions))
    )


def not_taught(model: Card | Any, present: dict[str, bool]) -> tuple[str, ...]:
    """A warning for a clip that lacks streams which training never left out together; none where the card knows of no missing stream at all."""
    card = getattr(model, "card", model)
    missing = [stream for stream in STREAMS if not present[stream]]
    if not missing or card.trained_without in (None, "never"):
        return ()
    known, sentence = known_in_training(card, missing[0], "zero", missing=missing)
    return () if known else (sentence,)


def _parts(streams: Iterable[str]) -> str:
    return " and ".join(PARTS[stream] for stream in STREAMS if stream in set(streams))


def _in_order(lesions: list[Lesion]) -> tuple[Lesion, ...]:
    for stream in STREAMS:
        if sum(lesion.stream == stream for lesion in lesions) > 1:
            raise LesionError(
                "stream_twice", f"The {stream} stream has two lesions; each stream takes one.", f"Write one statement that begins with {stream}."
            )
    return tuple(sorted(lesions, key=lambda lesion: STREAMS.index(lesion.stream)))


def _lesion(statement: str) -> Lesion:
    stream, _, rest = statement.strip().partition(" ")
    stream = _known(stream, STREAMS, "unknown_stream", "stream")
    kind, _, values = rest.strip().partition(" ")
    if not kind:
        raise LesionError(
            "bad_text", f"What shall happen to the {stream} stream? Allowed values are {', '.join(LESIONS)}.", f"For example: {stream} mean"
        )
    kind = _known(kind, tuple(LESIONS), "unknown_lesion", "lesion")
    ((_, read),) = read_statements(f"{kind} {values}", LESIONS, LesionError)
    return Lesion(stream, kind, **{name: int(value) for name, value in read})


def _known(name: str, allowed: Sequence[str], code: str, what: str) -> str:
    if name.lower() in allowed:
        return name.lower()
    close = get_close_matches(name.lower(), allowed, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"Choose among {', '.join(allowed)}."
    raise LesionError(code, f'There is no {what} "{clean(name)[:40]}". Allowed values are {", ".join(allowed)}.', hint)
