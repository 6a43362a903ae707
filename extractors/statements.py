"""The small language in which stimuli and their edits are written: ``name key=value ...``, statements separated by ``;`` or a new line.

A value is a number, a bare word, or a JSON string in double quotes; ``#`` begins a comment. Names and keys may be written in any case. What
statements exist is a table of :class:`Kind`; :func:`read_statements` reads text by such a table and :func:`write_statement` writes it back.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from extractors.errors import CineglassError
from extractors.tr_table import clean

MAX_CHARS = 2000
MAX_STATEMENTS = 12
MAX_TEXT = 500
"""Characters of one text value."""

_TOKEN = re.compile(r"""(?P<space>[^\S\n]+|\#[^\n]*)|(?P<end>;|\n)|(?P<equals>=)|(?P<text>"(?:[^"\\\n]|\\.)*")|(?P<word>[^\s;#="]+)""")
_NUMBER = re.compile(r"[+-]?(?:\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})")
_DECIMALS = 6

Value = float | str
Values = tuple[tuple[str, Value], ...]


@dataclass(frozen=True)
class Param:
    """One parameter of a statement.

    Attributes
    ----------
    name : str
    kind : {"number", "choice", "text", "clip"}
        "clip" is the name of another clip.
    default : float, str or None
        None: it has none, and must be given unless it is ``optional``.
    low, high : float or None
        Bounds of a number, both allowed.
    choices : tuple of str
    unit : str
        For the page: "s", "dB", "%".
    whole : bool
        Whether a number must be whole.
    optional : bool
    """

    name: str
    kind: Literal["number", "choice", "text", "clip"]
    default: Value | None = None
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    whole: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Kind:
    """What one statement is called, does and takes; ``label`` and ``help`` are words for a person."""

    name: str
    label: str
    help: str
    params: tuple[Param, ...] = ()


def read_statements(text: str, kinds: Mapping[str, Kind], error: type[CineglassError]) -> list[tuple[str, Values]]:
    """Read ``text`` by a table of statements.

    Parameters
    ----------
    text : str
        At most 2000 characters and 12 statements; "" has none.
    kinds : mapping of str to Kind
    error : type
        Raised with the code ``too_long``, ``too_many``, ``bad_text``, ``unknown_edit``, ``unknown_parameter``, ``twice``, ``missing_value``,
        ``unknown_value`` or ``out_of_range``.

    Returns
    -------
    list of (str, tuple of (str, float or str))
        Names with all their values in the order of the table, defaults filled in.
    """
    if not isinstance(text, str):
        raise error("bad_text", "Edits are written as text.", "For example: mute; blank colour=black")
    if len(text) > MAX_CHARS:
        raise error("too_long", f"The text has {len(text)} characters; at most {MAX_CHARS} are allowed.", "Leave out some of the statements.")
    if any(unicodedata.category(char) == "Cc" and char not in "\t\n\r" for char in text):
        raise error("bad_text", "The text holds control characters.", "Type it anew, as plain words.")
    raw = _split(text, error)
    if len(raw) > MAX_STATEMENTS:
        raise error("too_many", f"There are {len(raw)} statements; at most {MAX_STATEMENTS} are allowed.", "Leave out some of them.")
    found = []
    for word, given in raw:
        kind = kinds.get(word.lower())
        if kind is None:
            raise _not_among(error, "unknown_edit", "statements", word, list(kinds))
        found.append((kind.name, checked(kind, given, error)))
    return found


def checked(kind: Kind, given: Mapping[str, Value], error: type[CineglassError]) -> Values:
    """Values of one statement held against its table, defaults filled in, in the table's order; raises as :func:`read_statements` does."""
    names = {param.name for param in kind.params}
    for key in given:
        if key not in names:
            if not names:
                raise error("unknown_parameter", f'"{kind.name}" takes no values, but got {_shown(key)}.', f"Write only: {kind.name}")
            raise _not_among(error, "unknown_parameter", f'values of "{kind.name}"', key, sorted(names))
    values = []
    for param in kind.params:
        value = given.get(param.name, param.default)
        if value is None:
            if not param.optional:
                example = {"number": "1", "choice": "|".join(param.choices)}.get(param.kind, '"..."')
                raise error("missing_value", f'"{kind.name}" needs a value for {param.name}.', f"For example: {kind.name} {param.name}={example}")
            continue
        values.append((param.name, _value(kind, param, value, error)))
    return tuple(values)


def write_statement(name: str, values: Values) -> str:
    """One statement as canonical text."""
    return " ".join([name, *(f"{key}={_written(value)}" for key, value in values)])


@dataclass(frozen=True)
class Statement:
    """One statement: its name and all its values, defaults included."""

    name: str
    values: Values = ()

    def __getitem__(self, key: str) -> Value:
        return dict(self.values)[key]

    def get(self, key: str) -> Value | None:
        """A value; None when it was not given."""
        return dict(self.values).get(key)

    @property
    def text(self) -> str:
        """Canonical text of the statement."""
        return write_statement(self.name, self.values)


def number_text(value: float) -> str:
    """A number as the language writes it: no exponent, no superfluous zeros."""
    return f"{value:.{_DECIMALS}f}".rstrip("0").rstrip(".")


def _written(value: Value) -> str:
    if isinstance(value, str):
        return value if re.fullmatch(r"[a-z]+", value) else json.dumps(value, ensure_ascii=False)
    return number_text(value)


def _split(text: str, error: type[CineglassError]) -> list[tuple[str, dict[str, str]]]:
    """Raw statements: their names and their values as text."""
    statements: list[tuple[str, dict[str, str]]] = []
    open_statement, key, wants = False, "", "name"
    for match in _tokens(text + "\n", error):
        kind, token = match.lastgroup, match.group()
        if kind == "space":
            continue
        if kind == "end":
            if wants in ("=", "value"):
                raise error("bad_text", f"Behind {_shown(key)} no value follows.", "Values are written key=value; statements end with a semicolon.")
            open_statement, wants = False, "name"
        elif wants == "name" and kind == "word" and not open_statement:
            statements.append((token, {}))
            open_statement, wants = True, "key"
        elif wants == "key" and kind == "word":
            key, wants = token.lower(), "="
            if key in statements[-1][1]:
                raise error("twice", f"The value {_shown(key)} is given twice in one statement.", "Give it once.")
        elif wants == "=" and kind == "equals":
            wants = "value"
        elif wants == "value" and kind in ("word", "text"):
            statements[-1][1][key] = _json_text(token, error) if kind == "text" else token
            wants = "key"
        else:
            raise error("bad_text", f"{_shown(token)} stands where {_expected(wants)} should.", "Write: name key=value; name key=value")
    return statements


def _tokens(text: str, error: type[CineglassError]) -> Iterable[re.Match]:
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise error("bad_text", "A text in double quotes is not closed.", 'Texts stand between double quotes; a quote inside is written \\".')
        yield match
        place = match.end()


def _expected(wants: str) -> str:
    return {"name": "the name of a statement", "key": "key=value or a semicolon", "=": "=", "value": "a value"}[wants]


def _json_text(token: str, error: type[CineglassError]) -> str:
    try:
        return json.loads(token)
    except ValueError as cause:
        raise error(
            "bad_text", "A text in double quotes is not written as JSON writes it.", 'Inside, a quote is written \\" and a backslash twice.'
        ) from cause


def _value(kind: Kind, param: Param, value: Value, error: type[CineglassError]) -> Value:
    where = f'{param.name} of "{kind.name}"'
    if param.kind == "number":
        return _number(param, where, value, error)
    text = value if isinstance(value, str) else number_text(value)
    if param.kind == "choice":
        if text.lower() not in param.choices:
            raise _not_among(error, "unknown_value", f"values of {where}", text, list(param.choices))
        return text.lower()
    if len(text) > MAX_TEXT:
        raise error("too_long", f"The {where} has {len(text)} characters; at most {MAX_TEXT} are allowed.", "Shorten the text.")
    if clean(text) != text or any(unicodedata.category(char) in ("Cn", "Co") for char in text):
        raise error("bad_text", f"The {where} holds control characters or hidden signs.", "Type the text anew, as plain words.")
    if param.kind == "clip" and not text.strip():
        raise error("missing_value", f"The {where} is empty.", "Name a clip.")
    return text


def _number(param: Param, where: str, value: Value, error: type[CineglassError]) -> float:
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            raise error("unknown_value", f"The {where} must be a number, but got {_shown(value)} instead.", "Write it like 2 or 0.5.")
        value = float(value)
    low, high = param.low, param.high
    if isinstance(value, bool) or not (value == value and (low is None or value >= low) and (high is None or value <= high)):
        unit = f" {param.unit}" if param.unit else ""
        got = f"{value:g}" if isinstance(value, (int, float)) else _shown(value)
        raise error("out_of_range", f"The {where} may be {low:g} to {high:g}{unit}, but got {got} instead.", "Choose a value within these bounds.")
    if param.whole and value != int(value):
        raise error("unknown_value", f"The {where} must be a whole number, but got {value:g} instead.", "Leave out the fraction.")
    return round(float(value), _DECIMALS) + 0.0  # -0 becomes 0


def _not_among(error: type[CineglassError], code: str, what: str, got: str, allowed: list[str]) -> CineglassError:
    close = get_close_matches(got.lower(), allowed, n=1)
    hint = f"Did you mean {close[0]}?" if close else "Choose one of these."
    return error(code, f"Allowed {what} are {', '.join(allowed)}, but got {_shown(got)} instead.", hint)


def _shown(text: object) -> str:
    shown = clean(str(text))[:40]
    return f'"{shown}"'
