"""The player as HTML: what a page's head needs to draw it, and a page of its own in one file.

Scripts, styles and the atlas travel inside the HTML. On the app's page the surface maps, which are large and seldom change, have an address; the
page in one file (``assets/player/standalone``) holds them too, and the film: it opens without a server and asks nobody for anything.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from encoder.responses import Responses
from extractors.errors import MediaError
from extractors.stages import Stage, stage_clock
from extractors.transcript import Transcript
from settings import ASSETS
from viz.look import Look
from viz.methods import citations, methods_text
from viz.payload import RANGE_FLOOR, pack, transcript_note
from viz.writing import check_ending, whole_file

FOLDER = ASSETS / "player"
SCRIPTS = (
    "series.js",
    "data.js",
    "conditions.js",
    "colour.js",
    "clock.js",
    "brain.js",
    "surface.js",
    "bar.js",
    "foot.js",
    "frame.js",
    "curves.js",
    "zoom.js",
    "keys.js",
    "panels.js",
    "scatter.js",
    "panes.js",
    "picking.js",
    "subject_lines.js",
    "subjects.js",
    "controls.js",
    "voice.js",
    "state.js",
    "compare.js",
    "view.js",
    "link.js",
    "player.js",
)
"""In the order in which they build on each other; together they are one function."""

STYLES = ("player.css", "compare.css", "link.css", "subjects.css")
SURFACE = FOLDER / "surface.bin"
PAGE = FOLDER / "standalone"

MEDIA_TYPES = {".mp4": "video/mp4", ".webm": "video/webm"}
MAPS = {"cold_hot": "classic"}
"""Colour maps that the player offers besides its own."""

PIECE = 3 << 20
"""Bytes of film in one piece of base64; a browser turns a piece back without holding the whole film twice."""

LICENCE = (
    "The player in this page is part of Cineglass, free software under the MIT licence. The film and its words belong to whoever holds their rights, "
    "and the model has terms of its own: check both before you pass this page on."
)
KEPT_HERE = "Film, words and responses lie inside this file. It was written to open without a server, and it asks no other computer for anything."


@dataclass(frozen=True, eq=False)
class OtherCondition:
    """Condition B of a page.

    Attributes
    ----------
    responses : Responses
    transcript : Transcript or None
    film : path or None
        The canonical film; None where B has the film of A, as after a lesion of the model.
    title : str
        Shown as text; "" for that of A.
    """

    responses: Responses
    transcript: Transcript | None
    film: str | Path | None = None
    title: str = ""


def head_html() -> str:
    """Styles, atlas and scripts of the player, as HTML for a page's head."""
    return _head(surface_address())


@lru_cache(maxsize=1)
def surface_address() -> str:
    """Address of the surface maps on the page's own server, named after their content."""
    return f"cineglass/player/surface-{sha256(SURFACE.read_bytes()).hexdigest()[:12]}.bin"


def write_html(
    responses: Responses,
    transcript: Transcript | None,
    path: str | Path,
    *,
    film: str | Path | None = None,
    title: str,
    caption: str | None = None,
    look: Look | None = None,
    opens_with: Sequence[str] = (),
    second: dict[str, Any] | None = None,
    layers: Sequence[dict[str, Any]] = (),
    trust: dict[str, Any] | None = None,
    other: OtherCondition | None = None,
    comparison: dict[str, Any] | None = None,
) -> Generator[Stage | Path, None, None]:
    """Write the player with a result in it as one HTML file.

    Nothing in it leaves the file: a content security policy forbids every request. Equal results give equal bytes.

    Parameters
    ----------
    responses : Responses
    transcript : Transcript or None
    path : path
        Ends in ``.html``.
    film : path, optional
        The canonical film; without it the curves run on a stopwatch.
    title, caption : str
        Shown as text.
    look : Look, optional
        Range, threshold, colour map, lag, view and theme that the page opens with.
    opens_with : sequence of str
        Curves shown first.
    second : dict, optional
        Another series on the same rows, from :func:`viz.payload.pack_second`.
    layers : sequence of dict
        From :func:`viz.payload.pack_layer`.
    trust : dict, optional
        From :func:`viz.trust.pack_trust`.
    other : OtherCondition, optional
        Condition B; the page swaps it with the first in place.
    comparison : dict, optional
        What lies between them, from :func:`viz.payload.pack_comparison`; goes with ``other``.

    Yields
    ------
    Stage
        Named "html"; the message says how large the page becomes. The last item is the file's :class:`pathlib.Path`.

    Raises
    ------
    SelectionError
        ``ending`` for another ending.
    MediaError
        ``film_missing`` when there is no such film of either condition.
    CacheError
        ``page_unwritable`` when the file cannot be written.
    """
    path = check_ending(Path(path), ".html")
    given = {"a": film, "b": other.film if other else None}
    films = {name: Path(one) for name, one in given.items() if one is not None and (name == "a" or film is not None)}
    if not all(one.is_file() for one in films.values()):
        raise MediaError("film_missing", "The film of this result is not here any more.", "Export the page without the film, or run the clip again.")
    sizes = [one.stat().st_size for one in films.values()]
    yield stage_clock("html", 1.0)(0.0, "Putting the result into the page")
    value = pack(
        responses,
        transcript,
        media_url=None,
        media_kind=_media_kind(responses, films),
        title=title,
        caption=caption,
        opens_with=opens_with,
        range_floor=responses.range_floor or RANGE_FLOOR,
        run_id="file",
        second=second,
        layers=layers,
        trust=trust,
        other=_packed_other(other, films, title) if other else None,
        comparison=comparison,
    )
    value["look"] = _look(look or Look())
    types = {name: MEDIA_TYPES.get(one.suffix.lower(), "video/mp4") for name, one in films.items()}
    told = {"value": value, "about": _about(responses, transcript, other), "films": types}
    before, after = _page(told, title=title, dark=bool(look and look.dark))
    total = len(before) + len(after) + sum(_wrapped(min(PIECE, size - start)) for size in sizes for start in range(0, size, PIECE))
    message = f"Writing the page, {total / 1e6:.1f} MB"
    at = stage_clock("html", total)
    with whole_file(path, "page") as part, part.open("wb") as out:
        out.write(before)
        yield at(len(before), message)
        for name, one in films.items():
            for piece in _film(name, one):
                out.write(piece)
                yield at(out.tell(), message)
        out.write(after)
    yield at(total, f"The page is written, {total / 1e6:.1f} MB")
    yield path


def _media_kind(responses: Responses, films: dict[str, Path]) -> str:
    return "none" if not films else "video" if responses.present.get("video") else "audio"


def _packed_other(other: OtherCondition, films: dict[str, Path], title: str) -> dict[str, Any]:
    kind = _media_kind(other.responses, films)
    floor = other.responses.range_floor or RANGE_FLOOR
    return pack(other.responses, other.transcript, media_url=None, media_kind=kind, title=other.title or title, range_floor=floor, run_id="file-b")


def _film(name: str, film: Path) -> Iterator[bytes]:
    """A film in elements of base64, which no browser runs."""
    with film.open("rb") as source:
        while piece := source.read(PIECE):
            yield _FILM[0] % name.encode() + base64.b64encode(piece) + _FILM[1]


_FILM = (b'<script type="text/plain" data-film="%s">', b"</script>\n")


def _wrapped(size: int) -> int:
    return len(_FILM[0] % b"a") + (size + 2) // 3 * 4 + len(_FILM[1])


def _look(look: Look) -> dict[str, Any]:
    """What the player is set to, in its own words; what is as usual is left out."""
    chosen = {
        "range": look.vmax,
        "threshold": look.threshold or None,
        "lag": look.lag or None,
        "view": look.views if look.views != "both" else None,
        "map": MAPS.get(look.cmap),
    }
    return {key: value for key, value in chosen.items() if value is not None}


def _about(responses: Responses, transcript: Transcript | None, other: OtherCondition | None = None) -> list[dict[str, Any]]:
    """What stands below the player; no date, so that equal results stay equal."""
    b = [] if other is None else [{**block, "title": f"Condition B: {block['title'].lower()}"} for block in _made(other.responses, other.transcript)]
    return [
        *_made(responses, transcript),
        *b,
        {"title": "Please cite", "lines": [work.text for work in citations(responses)]},
        {"title": "Licence", "lines": [LICENCE, KEPT_HERE]},
    ]


def _made(responses: Responses, transcript: Transcript | None) -> list[dict[str, Any]]:
    facts = [
        f"Model: {responses.model_title} ({responses.model_id})",
        f"Weights: SHA-256 {responses.weights_sha256}" if responses.weights_sha256 else "",
        f"Clip: SHA-256 {responses.clip_sha256}",
        f"Words: {words}" if (words := transcript_note(transcript)) else "",
        *(f"{stream.capitalize()} features: {made}" for stream, made in sorted(responses.extractor_ids.items())),
        f"Rows: {responses.n_trs} TRs of {responses.tr:g} s, {int(responses.valid.sum())} with a full past",
    ]
    return [
        {"title": "How this was made", "text": methods_text(responses, transcript)},
        {"title": "Model, clip and words", "lines": [fact for fact in facts if fact]},
    ]


def _page(told: dict[str, Any], *, title: str, dark: bool) -> tuple[bytes, bytes]:
    """The page in two halves; the film goes between them."""
    surface = json.dumps({"data": base64.b64encode(SURFACE.read_bytes()).decode("ascii")})
    player = f"\nwindow.CineglassSurface = {surface};\n{_code()}\n"
    page = f"\n{(PAGE / 'page.js').read_text(encoding='utf-8')}"
    policy = {
        "default-src": "'none'",
        "script-src": " ".join(f"'sha256-{base64.b64encode(sha256(code.encode()).digest()).decode('ascii')}'" for code in (player, page)),
        "style-src": "'unsafe-inline'",
        "media-src": "blob:",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    values = {
        "policy": "; ".join(f"{key} {allowed}" for key, allowed in policy.items()),
        "title": html.escape(title),
        "styles": f"{_styles()}\n{(PAGE / 'page.css').read_text(encoding='utf-8')}",
        "theme": "dark" if dark else "",
        "value": json.dumps(told, allow_nan=False).replace("<", "\\u003c"),  # no text in it can end the element
        "player": player,
        "page": page,
    }
    before, after = (PAGE / "page.html").read_text(encoding="utf-8").split("{{film}}\n")
    # one pass: braces in what is put in are text
    return tuple(re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], half).encode() for half in (before, after))


@lru_cache(maxsize=1)
def _head(surface: str) -> str:
    return f"<style>\n{_styles()}\n</style>\n<script>\nwindow.CineglassSurface = {json.dumps({'url': surface})};\n{_code()}\n</script>"


def _styles() -> str:
    return "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in STYLES)


def _code() -> str:
    """All scripts as one function, with the atlas in its scope."""
    atlas = (FOLDER / "atlas.json").read_text(encoding="utf-8")
    scripts = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    code = f'(function () {{\n"use strict";\nconst ATLAS = {atlas.strip()};\n{scripts}\n}})();'
    return code.replace("</", "<\\/")  # a closing tag inside a string would end the element; to JavaScript both mean the same
