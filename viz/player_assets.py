"""Builds ``assets/player/atlas.json``, the constant part of what the player draws: parcels, outlines, colours.

Run by ``make assets``; a test rebuilds it and compares. Outlines: nilearn's glass-brain schematics (BSD-3, see NOTICE) with nilearn's
affines to MNI millimetres. ``berlin`` comes from matplotlib (F. Crameri), ``cold_hot`` from nilearn, the light map is drawn here from
seven anchors through OKLab after the reading of ``vik``: dark blue, near white, dark red.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from encoder.atlas import NETWORK_NOTES, load_atlas
from settings import ASSETS

PLAYER_ATLAS = ASSETS / "player" / "atlas.json"

COLOURS_LIGHT = {"Limbic": "#a9c46c"}
"""Where the Yeo colour has too little contrast on white (1.2) a darker shade of the same hue stands in."""

COLOURS_DARK = {"Vis": "#b565c4", "DorsAttn": "#35a845", "SomMot": "#5d9bd0", "SalVentAttn": "#cf63fb", "Default": "#e2606f"}
"""Lighter shades of the Yeo colours that are too dark on a dark page."""

GROUP_COLOURS = {"light": ("#1f5f8b", "#4a0b54", "#8a2f3b", "#a0522d"), "dark": ("#8cc4ee", "#d9a3e3", "#f0a0aa", "#e0b08c")}
"""Groups are drawn dashed, in relatives of the colours of the networks they lie in."""

OKABE_ITO = {
    "light": ("#0072b2", "#56b4e9", "#009e73", "#cc79a7", "#000000", "#e69f00", "#d55e00"),
    "dark": ("#3d9bd9", "#8fd0f5", "#1fbf92", "#dd9bc0", "#f0e442", "#e69f00", "#ee7733"),
}
"""Okabe and Ito's palette in network order; black turns to their yellow on a dark page."""

LIGHT_ANCHORS = ("#0a1a5c", "#1f5590", "#7fb0d0", "#efeeec", "#dfa184", "#a63d28", "#5a0a10")
MAP_STEPS = 65

VIEWS = {
    # file, affine (nilearn.plotting.glass_brain, "tweaked by hand to fit the MNI template"), is the horizontal axis mirrored
    "l": ("side", (0.38, 0.38, -108, -70), True),
    "y": ("back", (0.39, 0.39, -73, -73), False),
    "r": ("side", (0.38, 0.38, -108, -70), False),
    "z": ("top", (0.36, 0.37, -71, -107), False),
}
VIEW_TITLES = {"l": "left", "y": "behind", "r": "right", "z": "top"}


def build() -> dict:
    """Everything the browser needs to draw a result, JSON-able.

    Returns
    -------
    dict
        ``labels`` [1000], ``networks`` (index into ``network_keys`` per parcel), ``hemispheres`` ("LLL...R"), ``centroids`` [1000, 3]
        in MNI mm, names, notes and colours of networks, ``groups``, ``outlines`` per view in mm, ``maps`` (hex colours, low to high).
    """
    atlas = load_atlas()
    keys = list(atlas.network_names)
    return {
        "hash": atlas.hash,
        "labels": list(atlas.labels),
        "networks": [keys.index(name) for name in atlas.networks],
        "hemispheres": "".join(atlas.hemispheres),
        "centroids": [[round(float(value)) for value in row] for row in atlas.centroids],
        "network_keys": keys,
        "network_names": atlas.display_names,
        "network_notes": dict(NETWORK_NOTES),
        "colours_light": {**atlas.colours, **COLOURS_LIGHT},
        "colours_dark": {**atlas.colours, **COLOURS_DARK},
        "okabe_ito": {theme: dict(zip(keys, row, strict=True)) for theme, row in OKABE_ITO.items()},
        "groups": [
            {
                "id": group.id,
                "label": group.label.split(" (within")[0],
                "note": _group_note(atlas, group, keys),
                "source": group.source,
                "indices": list(map(int, group.indices)),
                "colour_light": GROUP_COLOURS["light"][number % 4],
                "colour_dark": GROUP_COLOURS["dark"][number % 4],
            }
            for number, group in enumerate(atlas.groups)
        ],
        "outlines": {view: _outline(view) for view in VIEWS},
        "maps": _maps(),
    }


def write(path: Path = PLAYER_ATLAS) -> Path:
    """Write the built atlas as compact JSON and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(build(), separators=(",", ":"), ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _group_note(atlas, group, keys: list[str]) -> str:
    """Which networks the group lies in, told as "within ..., not a Yeo network"."""
    inside = [name for name in keys if (atlas.networks[list(group.indices)] == name).any()]
    place = f"within {inside[0]}" if len(inside) == 1 else "across " + ", ".join(inside)
    return f"{place}, not a Yeo network"


def _outline(view: str) -> dict:
    """One view's outline: bounds [left, right, bottom, top] and paths in mm, each a run of points of Bezier curves or lines."""
    from nilearn import plotting

    name, (scale_x, scale_y, shift_x, shift_y), mirrored = VIEWS[view]
    source = Path(plotting.__file__).parent / "glass_brain_files" / f"brain_schematics_{name}.json"
    drawing = json.loads(source.read_text(encoding="utf-8"))

    def place(point) -> list[float]:
        x = scale_x * point[0] + shift_x
        return [round(-x if mirrored else x, 1), round(scale_y * point[1] + shift_y, 1)]

    left, right, bottom, top = drawing["metadata"]["bounds"]
    corners = [place((left, bottom)), place((right, top))]
    paths = []
    for path in drawing["paths"]:
        items = [[number for point in item["pts"] for number in place(point)] for item in path["items"]]
        paths.append({"main": path["edgecolor"] == "#000000", "width": round(path["linewidth"], 1), "items": items})
    xs, ys = zip(*corners, strict=True)
    return {"title": VIEW_TITLES[view], "bounds": [min(xs), max(xs), min(ys), max(ys)], "paths": paths}


def _maps() -> dict[str, list[str]]:
    """Colour maps, low to high, as hex colours: diverging ones, and cividis for values of one sign, which keeps the part below zero flat."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex, to_rgb
    from nilearn.plotting.cm import cold_hot

    at = np.linspace(0, 1, MAP_STEPS)
    anchors = _to_oklab(np.array([to_rgb(colour) for colour in LIGHT_ANCHORS]))
    places = np.linspace(0, 1, len(anchors))
    upwards = np.clip(2 * at - 1, 0, 1)
    light = _from_oklab(np.stack([np.interp(at, places, channel) for channel in anchors.T], axis=1))
    return {
        "light": [to_hex(colour) for colour in light],
        "dark": [to_hex(colormaps["berlin"](value)) for value in at],
        "classic": [to_hex(cold_hot(value)) for value in at],
        "one_sided_light": [to_hex(colormaps["cividis_r"](value)) for value in upwards],
        "one_sided_dark": [to_hex(colormaps["cividis"](value)) for value in upwards],
    }


# Bjoern Ottosson's OKLab (2020), so that steps between the anchors look even.
_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def _to_oklab(rgb: np.ndarray) -> np.ndarray:
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ _TO_LMS.T) @ _TO_LAB.T


def _from_oklab(lab: np.ndarray) -> np.ndarray:
    linear = (lab @ np.linalg.inv(_TO_LAB).T) ** 3 @ np.linalg.inv(_TO_LMS).T
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


if __name__ == "__main__":
    write()
