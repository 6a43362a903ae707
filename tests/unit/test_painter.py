from __future__ import annotations

import json
import math

import numpy as np
import pytest

from encoder.atlas import load_atlas
from extractors.errors import SelectionError
from settings import ASSETS
from viz.colours import as_rgb, colour_table, new_page
from viz.glass import Glass, GlassView
from viz.look import Look
from viz.painter import Painter
from viz.surface_picture import POINTS, SurfacePicture, SurfaceView, surface_views

ATLAS = json.loads((ASSETS / "player" / "atlas.json").read_text(encoding="utf-8"))
LIMIT = 1.5


def planted(seed=5) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=1000)
    values[::17] = np.round(values[::17], 1)  # equal sizes meet: the first disc must win
    return values.astype(np.float32)


def js_colour(value: float, stops: list[str]) -> list[float]:
    """The player's rule for a colour (colourTable and levelOf), told again in plain arithmetic."""
    level = min(max(((value / LIMIT + 1) / 2) * 255, 0), 255)
    level = math.floor(level + 0.5)
    place = level / 255 * (len(stops) - 1)
    low = min(math.floor(place), len(stops) - 2)
    ends = [[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in (stops[low], stops[low + 1])]
    return [a + (place - low) * (b - a) for a, b in zip(*ends, strict=True)]


def js_fade(size: float, threshold: float) -> float:
    return 1.0 if threshold == 0 or size >= threshold else 0.1 + 0.22 * size / threshold


def slow_glass(values, view: GlassView, shape, threshold: float, name: str) -> np.ndarray:
    """Each pixel by itself, after the player's own loops."""
    low, _, _, high = ATLAS["outlines"][view.key]["bounds"]
    discs = []
    for parcel, (x, y, z) in enumerate(ATLAS["centroids"]):
        if view.key in "lr" and ATLAS["hemispheres"][parcel] != view.key.upper():
            continue
        across, up, near = {"l": (-y, z, -x / 68), "r": (y, z, x / 68), "y": (x, z, (64 - y) / 160), "z": (x, y, (z + 40) / 115)}[view.key]
        near = min(1, max(0, near))
        value = float(values[parcel])
        place = (view.left + (across - low) * view.scale, view.top + (high - up) * view.scale)
        strength = float(np.float32(abs(value) * (0.5 + 0.5 * near) + 0.02 * (0.1 + near)))
        opacity = int(255 * js_fade(abs(value), threshold) * (0.55 + 0.45 * near))
        discs.append((*place, (2.5 + 1.6 * near) * view.scale, strength, js_colour(value, ATLAS["maps"][name]), opacity))
    picture = np.full((*shape, 3), 255.0)
    for row in range(shape[0]):
        for column in range(shape[1]):
            best, most = None, -1.0
            for x, y, radius, strength, colour, opacity in discs:
                cover = radius + 0.5 - math.hypot(column + 0.5 - x, row + 0.5 - y)
                if cover <= 0.04:
                    continue
                cover = min(255, math.floor(cover * 255 + 0.5))
                if strength * cover > most:
                    best, most = (colour, (opacity * cover) >> 8), strength * cover
            if best:
                picture[row, column] = [255 + (channel - 255) * best[1] / 255 for channel in best[0]]
    return picture


@pytest.mark.parametrize(("key", "threshold"), [("l", 0.0), ("y", 0.6), ("z", 0.0)])
def test_the_glass_brain_is_that_of_a_slow_reading_of_the_players_rules(key, threshold):
    view = GlassView(key, -30.0, -20.0, 0.72)  # the middle of a view on a small page
    shape = (44, 52)
    page = new_page(shape[1], shape[0], "#ffffff")
    Glass([view], shape, dark=False).paint(page, planted(), colour_table("cineglass_light"), LIMIT, threshold=threshold)
    drawn = as_rgb(page).astype(float)
    expected = slow_glass(planted(), view, shape, threshold, "light")
    assert (np.ptp(expected, axis=2) > 30).mean() > 0.3
    np.testing.assert_allclose(drawn, expected, atol=1.51)


@pytest.mark.parametrize(("threshold", "dark"), [(0.0, False), (0.8, True)])
def test_the_surface_is_that_of_a_slow_reading_of_the_maps(threshold, dark):
    view = SurfaceView(surface_views()["ll"], 39.75, 59.75, 0.3125)  # whole eighths: no rounding at the points
    name, page = ("dark", "#0f141c") if dark else ("light", "#ffffff")
    ground = np.array([int(page[i : i + 2], 16) for i in (1, 3, 5)], float)
    large = new_page(400, 300, page)
    SurfacePicture([view], large.shape, dark=dark).paint(large, planted(), colour_table(f"cineglass_{name}"), LIMIT, threshold=threshold)
    drawn = as_rgb(large).astype(float)
    told = (ASSETS / "player" / "surface.bin").read_bytes()
    header = json.loads(told[4 : 4 + int.from_bytes(told[:4], "little")])  # what the browser goes by
    (low, high), floor = header["greys"][name], header["light_floor"]
    values = planted()
    for row in range(100, 140, 3):
        for column in range(100, 150, 2):
            total = np.zeros(3)
            for i in range(POINTS):
                for j in range(POINTS):
                    y = math.floor((row + (i + 0.5) / POINTS - view.top) / view.scale)
                    x = math.floor((column + (j + 0.5) / POINTS - view.left) / view.scale)
                    number = int(view.map.ids[y, x])
                    light = int(view.map.shade[y, x]) / 255
                    if number == 0:
                        total += ground
                        continue
                    grey, seen, colour = low + (high - low) * light, 0.0, np.zeros(3)
                    if number != 65535:
                        value = float(values[number - 1])
                        seen, colour = js_fade(abs(value), threshold), np.array(js_colour(value, ATLAS["maps"][name]))
                    total += grey * (1 - seen) + colour * (floor + (1 - floor) * light) * seen
            np.testing.assert_allclose(drawn[row, column], total / POINTS**2, atol=1.6)


def one_parcel(index: int) -> np.ndarray:
    values = np.zeros(1000, np.float32)
    values[index] = LIMIT
    return values


@pytest.mark.parametrize("dark", [False, True])
def test_a_parcel_takes_the_colour_of_its_value_in_both_brains(dark):
    painter = Painter(440, 660, Look(dark=dark), LIMIT)
    atlas = load_atlas()
    expected = colour_table("cineglass_dark" if dark else "cineglass_light")[-1].astype(int)
    far_left = int(np.argmin(atlas.centroids[:, 0]))
    picture = painter.picture(one_parcel(far_left)).astype(int)
    x, y = painter.place_of(far_left, "l")
    assert np.abs(picture[y, x] - expected).max() < 12
    x, y = painter.place_of(far_left, "ll")
    assert np.abs(picture[y, x] / expected - 0.91).max() < 0.12  # lit by 0.82 to 1


def test_a_hemisphere_is_seen_in_its_own_views_only():
    painter = Painter(440, 660, Look(), LIMIT)
    right = int(np.flatnonzero(load_atlas().hemispheres == "R")[30])
    seen = {key for key in ("l", "y", "r", "z", "ll", "lr", "ml", "mr") if painter.place_of(right, key) is not None}
    assert {"y", "r", "z"} < seen
    assert seen & {"l", "ll", "ml"} == set()


@pytest.mark.parametrize("views", ["glass", "surface", "both"])
@pytest.mark.parametrize("size", [(440, 660), (1240, 430), (560, 640), (300, 420)])
def test_views_fit_on_the_page_and_never_overlap(views, size):
    painter = Painter(*size, Look(views=views), LIMIT, who="Sim 1", simulated=True)
    drawn = [*(painter.glass.views if painter.glass else ()), *(painter.surface.views if painter.surface else ())]
    assert len(drawn) == (8 if views == "both" else 4)
    boxes = [(view.left, view.top - 15, view.left + view.width, view.top + view.height) for view in drawn]
    for number, (left, top, right, bottom) in enumerate(boxes):
        assert min(left + 0.5, top, size[0] + 0.5 - right, size[1] - 40 - bottom) >= 0
        for other in boxes[number + 1 :]:
            assert right <= other[0] + 0.01 or other[2] <= left + 0.01 or bottom <= other[1] + 0.01 or other[3] <= top + 0.01


def test_simulated_and_whose_they_are_stand_inside_the_picture():
    said = Painter(440, 660, Look(), LIMIT, who="Sim 1", simulated=True).picture(planted()).astype(int)
    real = Painter(440, 660, Look(), LIMIT, who="Subject 1").picture(planted()).astype(int)
    corner = np.s_[-16:, :90]
    assert np.abs(said[corner] - real[corner]).max() > 100
    assert (real[corner] == 255).all()
    assert (real[-16:, -90:] < 255).any()


def test_without_a_prediction_nothing_is_coloured_and_the_picture_says_so():
    painter = Painter(440, 660, Look(views="both"), LIMIT)
    shown = painter.picture(planted()).astype(int)
    none = painter.picture(None).astype(int)
    body = np.s_[:600]
    assert (np.ptp(shown[body], axis=2) > 60).mean() > 0.1
    assert (np.ptp(none[body], axis=2) > 60).mean() < 0.001
    np.testing.assert_array_equal(painter.picture(planted()), shown)  # and the words go when there is one again


def test_an_unknown_value_is_grey_in_both_brains():
    values = one_parcel(3)
    values[3] = np.nan
    painter = Painter(440, 660, Look(), LIMIT)
    picture = painter.picture(values).astype(int)
    for key in ("l", "ll", "ml"):
        if at := painter.place_of(3, key):
            assert np.ptp(picture[at[1], at[0]]) < 30


def test_a_row_leaves_nothing_of_the_row_before():
    painter = Painter(560, 640, Look(views="both", threshold=0.5), LIMIT, simulated=True)
    first = painter.picture(planted(1))
    painter.picture(planted(2))
    np.testing.assert_array_equal(painter.picture(planted(1)), first)


def test_a_page_too_small_to_read_is_refused():
    with pytest.raises(SelectionError, match="120 pixels"):
        Painter(100, 400, Look(), LIMIT)
