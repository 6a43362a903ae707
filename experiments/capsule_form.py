"""The form of an experiment capsule: which files it may hold, how large they may be, and what ``capsule.json`` says.

A capsule is one zip whose entries are stored, not compressed: what it unpacks to is its own size, so there is nothing to blow up. The names are
those of :func:`names`, and every file but ``capsule.json`` is named there with its sha256::

    capsule.json                  what this is; below
    a/responses.npy  a/responses.json  a/networks.tsv  a/transcript.tsv      a result as :mod:`experiments.results` writes it
    a/spread.npy  a/member_curves.npy                                        where an ensemble made it
    a/film.mp4  a/samples.npy                                                where the film was included: as it is played, and as it is heard
    b/...  comparison.json  null_differences.npy  null_parcel_change.npy     of a comparison
    figures/*.png  tables/*.tsv  methods.txt                                 for people; nothing is read from them
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from extractors.errors import CapsuleError
from extractors.tr_table import clean

FORMAT = "cineglass-capsule"
FORM = 1
"""Version of this form."""

MANIFEST = "capsule.json"
SIDES = ("a", "b")
RESULT = ("responses.json", "responses.npy", "networks.tsv", "transcript.tsv")
MEMBERS = ("spread.npy", "member_curves.npy")
FILM, SAMPLES = "film.mp4", "samples.npy"
COMPARISON = "comparison.json"
NULL = ("null_differences.npy", "null_parcel_change.npy")
METHODS = "methods.txt"
FIGURES = ("figures/a_networks.png", "figures/b_networks.png", "figures/a_moment.png", "figures/b_moment.png")
TABLES = ("tables/comparison.tsv", "tables/association.tsv", "tables/scenes.tsv")

MOST_BYTES = 4 * 2**30 - 2**20
"""Of a whole capsule; the zip's own fields hold no more."""
MOST_TRS = 20_000
MOST_SUBJECTS = 4
MOST_TEXT = 20_000
MOST_DEPTH = 12
MOST_NODES = 400_000
TITLE_MAX = 120
STATE_MAX = 4_000

MB = 2**20
SIZES = {".json": 8 * MB, ".tsv": 64 * MB, ".txt": MB, ".png": 32 * MB, ".npy": 2048 * MB, ".mp4": 4000 * MB}
"""Largest size of a file by the ending of its name."""

UNCHANGED = "Ask for the capsule again: it must be as it was saved."


def names(kind: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Files that a capsule of this kind must hold beside ``capsule.json``, and those that it may hold."""
    sides = SIDES if kind == "comparison" else SIDES[:1]
    needed = [f"{side}/{name}" for side in sides for name in RESULT]
    allowed = [f"{side}/{name}" for side in sides for name in (*MEMBERS, FILM, SAMPLES)]
    allowed += [METHODS, *(name for name in FIGURES if name.partition("/")[2][0] in sides)]
    if kind == "comparison":
        needed.append(COMPARISON)
        allowed += [*NULL, *TABLES]
    return tuple(needed), tuple(allowed)


ALL_NAMES = frozenset((MANIFEST, *(name for part in names("comparison") for name in part)))

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Line = Annotated[str, Field(max_length=500)]
Statements = Annotated[str, Field(max_length=4000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Member(_Strict):
    """A file of the capsule."""

    sha256: Hash
    bytes: Annotated[int, Field(ge=0, le=MOST_BYTES)]


class ConditionFacts(_Strict):
    """One condition."""

    label: Line
    clip_name: Line
    clip_sha256: Hash
    video_key: Hash | None
    audio_key: Hash | None
    duration: Annotated[float, Field(ge=0, le=10**6)]
    n_trs: Annotated[int, Field(ge=1, le=MOST_TRS)]
    film_included: bool
    edits: Annotated[list[Annotated[str, Field(max_length=2000)]], Field(max_length=60)]
    lesions: Annotated[list[Line], Field(max_length=12)]
    transcript_source: Line
    transcript_sha256: Hash


class ModelFacts(_Strict):
    """The model that made every result of the capsule."""

    id: Line
    title: Line
    weights_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
    members: Annotated[list[Line], Field(max_length=32)]
    extractors: Annotated[dict[Line, Line], Field(max_length=8)]
    simulated: bool


class Manifest(_Strict):
    """``capsule.json``."""

    format: Literal["cineglass-capsule"]
    form: Literal[1]
    kind: Literal["run", "comparison"]
    title: Annotated[str, Field(min_length=1, max_length=TITLE_MAX)]
    about: Line
    conditions: Annotated[dict[Literal["a", "b"], ConditionFacts], Field(min_length=1, max_length=2)]
    edits: Statements
    lesions: Statements
    null_edits: Annotated[list[Line], Field(max_length=50)] | None
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    model: ModelFacts
    settings: Annotated[dict[Line, Line], Field(max_length=40)]
    versions: Annotated[dict[Line, Line], Field(max_length=40)]
    state: Annotated[str, Field(max_length=STATE_MAX)]
    files: Annotated[dict[Line, Member], Field(max_length=60)]


def read_manifest(data: bytes) -> Manifest:
    """``capsule.json`` of this form; CapsuleError for anything else."""
    facts = strict_json(data, MANIFEST)
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise CapsuleError("not_capsule", "The file is a zip, but no experiment capsule.", "Choose a capsule that Cineglass saved.")
    form = facts.get("form")
    if form != FORM or isinstance(form, bool):
        newer = isinstance(form, int) and not isinstance(form, bool) and form > FORM
        hint = "Update the program to open it." if newer else UNCHANGED
        raise CapsuleError("unknown_version", f"The capsule has version {_short(form)}; allowed is version {FORM}.", hint)
    return checked(Manifest, facts, MANIFEST)


def checked(model: type[BaseModel], facts: Any, name: str) -> Any:
    """``facts`` as a ``model``; CapsuleError with the place of the first thing that is wrong."""
    try:
        return model.model_validate(facts)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = clean(".".join(map(str, first["loc"])))[:80] or "the whole"
        said = "is not known" if first["type"] == "extra_forbidden" else "is missing" if first["type"] == "missing" else "is not what it must be"
        code = "unknown_key" if first["type"] == "extra_forbidden" else "bad_value"
        raise CapsuleError(code, f"In {name} of the capsule, {place!r} {said}.", UNCHANGED) from None


def strict_json(data: bytes, name: str) -> Any:
    """JSON of a capsule: UTF-8, finite numbers, no key twice, not deep, and no text that would break a page or a file.

    Raises
    ------
    CapsuleError
        ``not_json``, ``bad_number``, ``repeated_key``, ``too_deep``, ``too_large`` or ``bad_text``.
    """
    try:
        found = json.loads(data.decode("utf-8"), parse_constant=_no_number, parse_float=_number, parse_int=_whole, object_pairs_hook=_once)
    except CapsuleError as error:
        raise CapsuleError(error.code, error.message.format(name=name), UNCHANGED) from None
    except RecursionError:
        raise _too_deep(name) from None
    except ValueError:
        raise CapsuleError("not_json", f"{name} of the capsule is not JSON.", UNCHANGED) from None
    for depth, count, item in _nodes(found):
        if depth > MOST_DEPTH:
            raise _too_deep(name)
        if count > MOST_NODES:
            raise CapsuleError("too_large", f"{name} of the capsule holds too many things.", UNCHANGED)
        if isinstance(item, str) and (len(item) > MOST_TEXT or clean(item) != item):
            said = f"more than {MOST_TEXT} characters" if len(item) > MOST_TEXT else "control characters"
            raise CapsuleError("bad_text", f"{name} of the capsule holds a text with {said}.", UNCHANGED)
    return found


def cleaned(content: Any) -> Any:
    """JSON-able content whose texts :func:`strict_json` takes: control characters and direction overrides are left out."""
    if isinstance(content, dict):
        return {clean(str(key)): cleaned(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [cleaned(value) for value in content]
    return clean(content)[:MOST_TEXT] if isinstance(content, str) else content


def _nodes(content: Any) -> Iterator[tuple[int, int, Any]]:
    """Depth, running number and value of everything in a JSON value, keys too."""
    waiting, count = [(1, content)], 0
    while waiting:
        depth, item = waiting.pop()
        count += 1
        yield depth, count, item
        if isinstance(item, dict):
            waiting += [(depth + 1, part) for pair in item.items() for part in pair]
        elif isinstance(item, list):
            waiting += [(depth + 1, part) for part in item]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise CapsuleError("repeated_key", "{name} of the capsule names a thing twice.")
    return found


def _no_number(text: str) -> float:
    raise CapsuleError("bad_number", "{name} of the capsule holds a number that is not finite.")


def _number(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)


def _whole(text: str) -> int:
    return int(text) if len(text) <= 20 else _no_number(text)


def _too_deep(name: str) -> CapsuleError:
    return CapsuleError("too_deep", f"{name} of the capsule is nested too deeply; at most {MOST_DEPTH} levels are allowed.", UNCHANGED)


def _short(value: Any) -> str:
    return clean(repr(value))[:20]
