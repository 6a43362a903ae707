"""The player as HTML: what a page's head needs to draw it.

Scripts, styles and the atlas travel inside the HTML; only the surface maps, which are large and seldom change, have an address.
"""

from __future__ import annotations

import json
from functools import lru_cache
from hashlib import sha256

from settings import ASSETS

FOLDER = ASSETS / "player"
SCRIPTS = ("series.js", "data.js", "colour.js", "clock.js", "brain.js", "curves.js", "panels.js", "view.js", "player.js")
"""In the order in which they build on each other; together they are one function."""

SURFACE = FOLDER / "surface.bin"


def head_html() -> str:
    """Styles, atlas and scripts of the player, as HTML for a page's head."""
    return _head(json.dumps({"url": surface_address()}))


@lru_cache(maxsize=1)
def surface_address() -> str:
    """Address of the surface maps on the page's own server, named after their content."""
    name = sha256(SURFACE.read_bytes()).hexdigest()[:12] if SURFACE.is_file() else "none"
    return f"cineglass/player/surface-{name}.bin"


@lru_cache(maxsize=2)
def _head(surface: str) -> str:
    return f"<style>\n{_styles()}\n</style>\n<script>\nwindow.CineglassSurface = {surface};\n{_code()}\n</script>"


def _styles() -> str:
    return (FOLDER / "player.css").read_text(encoding="utf-8")


def _code() -> str:
    """All scripts as one function, with the atlas in its scope."""
    atlas = (FOLDER / "atlas.json").read_text(encoding="utf-8")
    scripts = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    code = f'(function () {{\n"use strict";\nconst ATLAS = {atlas.strip()};\n{scripts}\n}})();'
    return code.replace("</", "<\\/")  # a closing tag inside a string would end the element; to JavaScript both mean the same
