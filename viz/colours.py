"""The player's colours for pictures made in Python: the rules of ``assets/player/colour.js``, in numpy."""

from __future__ import annotations

import json
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from extractors.errors import SelectionError
from settings import ASSETS

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

LEVELS = 256
OWN_MAPS = {"cold_hot": "classic", "cineglass_light": "light", "cineglass_dark": "dark"}
"""Colour maps that lie in the player's atlas; ``cold_hot`` is nilearn's, which matplotlib does not have."""

THEMES = {
    False: {
        "page": "#ffffff",
        "sunken": "#f2f4f7",
        "ink": "#16202e",
        "muted": "#5a6675",
        "outline": "#283444",
        "crease": "#465466",
        "line": "#dbe0e7",
        "warn": "#a34a0b",
        "head": "#d1302a",
        "accent": "#1f5f8b",
    },
    True: {
        "page": "#0f141c",
        "sunken": "#171e29",
        "ink": "#e8edf4",
        "muted": "#98a4b3",
        "outline": "#cdd9e8",
        "crease": "#aabace",
        "line": "#2a3442",
        "warn": "#f0a35e",
        "head": "#ff6a5f",
        "accent": "#7cbcf0",
    },
}
"""Light (False) and dark (True) page, after ``player.css``."""

OPACITY = {"outline": 0.62, "crease": 0.42}
"""How much the glass brain's lines cover."""


@lru_cache(maxsize=1)
def player_atlas() -> dict[str, Any]:
    """``assets/player/atlas.json``, read once: centroids, hemispheres, outlines and colour maps (see :func:`viz.player_assets.build`)."""
    return json.loads((ASSETS / "player" / "atlas.json").read_text(encoding="utf-8"))


def check_map(name: str) -> str:
    """The name; SelectionError unless it is one of :data:`OWN_MAPS` or a colour map of matplotlib."""
    if isinstance(name, str) and name in OWN_MAPS:
        return name
    from matplotlib import colormaps

    if isinstance(name, str) and name in colormaps:
        return name
    close = get_close_matches(str(name), [*OWN_MAPS, *colormaps], n=1)
    allowed = f"Allowed colour maps are {', '.join(OWN_MAPS)} and those of matplotlib, but got {name!r} instead."
    raise SelectionError("unknown_colour_map", allowed, f"Did you mean {close[0]}?" if close else "For example cold_hot.")


def colour_map(name: str) -> Colormap:
    """A colour map by name for matplotlib and nilearn; SelectionError for an unknown one."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    if check_map(name) in OWN_MAPS:
        return LinearSegmentedColormap.from_list(name, player_atlas()["maps"][OWN_MAPS[name]])
    return colormaps[name]


@lru_cache(maxsize=16)
def colour_table(name: str) -> np.ndarray:
    """A map's colours, low to high: uint8 [256, 3]; SelectionError for an unknown one."""
    if check_map(name) in OWN_MAPS:
        stops = np.stack([rgb_of(stop) for stop in player_atlas()["maps"][OWN_MAPS[name]]]).astype(float)
        at = np.linspace(0, len(stops) - 1, LEVELS)
        table = np.stack([np.interp(at, np.arange(len(stops)), channel) for channel in stops.T], axis=1)
    else:
        table = colour_map(name)(np.linspace(0, 1, LEVELS))[:, :3] * 255
    table = np.rint(table).astype(np.uint8)
    table.flags.writeable = False
    return table


def level_of(values: np.ndarray, limit: float) -> np.ndarray:
    """Place in a colour table, 0 to 255, of values on the range from ``-limit`` to ``limit``; a half goes up."""
    place = (np.asarray(values, np.float64) / limit + 1) / 2 * (LEVELS - 1)
    return np.floor(np.clip(place, 0, LEVELS - 1) + 0.5).astype(np.uint8)


def fade(sizes: np.ndarray, threshold: float) -> np.ndarray:
    """How much of each absolute value is seen: all from the threshold on, faded and never gone below it."""
    sizes = np.asarray(sizes, np.float64)
    return np.where(sizes >= threshold, 1.0, 0.1 + 0.22 * sizes / threshold) if threshold > 0 else np.ones_like(sizes)


def rgb_of(colour: str) -> np.ndarray:
    """A colour written as #rrggbb: uint8 [3]."""
    return np.frombuffer(bytes.fromhex(colour[1:]), np.uint8)


def new_page(width: int, height: int, colour: str) -> np.ndarray:
    """A picture of one colour: uint32 [height, width], a pixel's bytes red, green, blue and 255. Whole pixels are moved fastest."""
    return np.broadcast_to(as_pixels(rgb_of(colour)[None]), (height, width)).copy()


def as_pixels(colours: np.ndarray) -> np.ndarray:
    """Colours, [n, 3] from 0 to 255, as pixels of a page: uint32 [n]; a half goes up."""
    pixels = np.empty((len(colours), 4), np.uint8)
    pixels[:, :3] = colours if colours.dtype == np.uint8 else colours + 0.5
    pixels[:, 3] = 255
    return pixels.view(np.uint32)[:, 0]


def as_bytes(page: np.ndarray) -> np.ndarray:
    """A page as uint8 [height, width, 4], the same memory."""
    return page.view(np.uint8).reshape(*page.shape, 4)


def as_rgb(page: np.ndarray) -> np.ndarray:
    """A page as uint8 [height, width, 3], a copy."""
    from PIL import Image

    height, width = page.shape
    return np.array(Image.frombuffer("RGBX", (width, height), page, "raw", "RGBX", 0, 1).convert("RGB"))
