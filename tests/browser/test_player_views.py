"""Both brains, pins, maximum, strips, layers and keys of the player, in a real browser against values that are known."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest

from extractors.grid import TR, tr_of
from tests.browser.player_page import ROWS, planted, planted_layer, planted_second, planted_value, serve
from tests.browser.test_player import ready, seek, send, state

pytestmark = pytest.mark.browser
ATLAS = json.loads((Path(__file__).parents[2] / "assets/player/atlas.json").read_text(encoding="utf-8"))
SCREENS = Path(__file__).parents[1] / "data" / "screens"
SURFACE_READY = "window.__cineglass.panes.surface.ready"
LIT = (0.82, 1.0)  # darkest and brightest light on the surface, viz/surface_maps.py


@pytest.fixture(scope="module")
def address(tmp_path_factory, browser):
    folder = tmp_path_factory.mktemp("views")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "cache"))
        page, where = serve(folder)
        yield where
        page.close()


@pytest.fixture
def open_player(open_page, address):
    """Open the page with a paused player."""

    def open_it(**options):
        page = open_page(address, **options)
        ready(page)
        page.evaluate("window.__cineglass.clock.pause()")
        return page

    return open_it


@pytest.fixture
def player(open_player):
    """Wide enough for both brains beside each other."""
    page = open_player(width=1180)
    page.wait_for_function(SURFACE_READY)
    return page


@pytest.fixture
def measured(player):
    send(player, "measured")
    player.wait_for_function("window.__cineglass.state().run === 'measured'")
    player.evaluate("window.__cineglass.clock.pause()")
    return player


def name_of(parcel: int) -> str:
    return ATLAS["labels"][parcel].replace("7Networks_", "").replace("_", " ")


def colour_of(value: float, wide: float, name: str) -> np.ndarray:
    """The colour that a value has, worked out from the map's anchors."""
    level = round(min(255, max(0, (value / wide + 1) / 2 * 255)))
    stops = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in ATLAS["maps"][name]])
    place = level / 255 * (len(stops) - 1)
    low = min(int(place), len(stops) - 2)
    return stops[low] + (place - low) * (stops[low + 1] - stops[low])


def glass_pixel(page, parcel: int, view: str) -> tuple[np.ndarray, int]:
    """RGBA of the disc that shows in the middle of a parcel's place, before outlines are drawn over it, and whose it is."""
    script = """([parcel, view]) => { const b = window.__cineglass.panes.glass; const at = b.placeOf(parcel, view);
        const start = 4 * (Math.floor(at.y * b.ratio) * b.image.width + Math.floor(at.x * b.ratio));
        return [[...b.image.data.slice(start, start + 4)], b.parcelAt(at.x, at.y)]; }"""
    rgba, winner = page.evaluate(script, [parcel, view])
    return np.array(rgba), winner


def surface_pixel(page, parcel: int) -> np.ndarray | None:
    """RGBA well inside a parcel on the surface, read from the canvas; None where no view shows it, or only a strip of it."""
    script = """parcel => { const s = window.__cineglass.panes.surface; const at = s.placeOf(parcel);
        if (!at) return null;
        if (s.parcelAt(at.x, at.y) !== parcel) return [-1];
        const [x, y] = [Math.floor(at.x * s.ratio), Math.floor(at.y * s.ratio)];
        const away = 2.5 / s.ratio;
        const inner = [[away, 0], [-away, 0], [0, away], [0, -away]].every(([right, down]) => s.parcelAt(at.x + right, at.y + down) === parcel);
        if (!inner) return null;
        return [...s.context.getImageData(x, y, 1, 1).data]; }"""
    rgba = page.evaluate(script, parcel)
    return None if rgba is None else np.array(rgba)


def assert_lit(rgba: np.ndarray, colour: np.ndarray, what) -> None:
    """The surface shows a colour under its light: darker by one factor for all channels."""
    assert len(rgba) == 4, what
    assert (rgba[:3] <= colour * LIT[1] + 7).all(), (what, rgba, colour)
    assert (rgba[:3] >= colour * LIT[0] - 7).all(), (what, rgba, colour)


def canvas_box(page, which: str) -> dict:
    return page.locator({"glass": ".cg-brain", "surface": ".cg-surface"}[which]).bounding_box()


def point_of(page, which: str, parcel: int, key: str | None = None) -> tuple[float, float]:
    """Where on the page a parcel is drawn."""
    page.locator({"glass": ".cg-brain", "surface": ".cg-surface"}[which]).scroll_into_view_if_needed()
    at = page.evaluate("([which, parcel, key]) => window.__cineglass.panes[which].placeOf(parcel, key || undefined)", [which, parcel, key])
    box = canvas_box(page, which)
    return box["x"] + at["x"], box["y"] + at["y"]


def visible_on_glass(page, view: str = "l") -> list[int]:
    """Parcels whose own disc shows in the middle of their place."""
    script = """view => { const b = window.__cineglass.panes.glass;
        return Array.from({ length: 1000 }, (_, i) => i).filter((i) => { const at = b.placeOf(i, view); return b.parcelAt(at.x, at.y) === i; }); }"""
    return page.evaluate(script, view)


def set_number(page, name: str, value: str) -> None:
    field = page.get_by_role("spinbutton", name=name)
    field.fill(value)
    field.press("Enter")


# ---- one range, one threshold, one map on both brains ----


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_parcel_takes_the_colour_of_its_value_in_both_brains(player, theme):
    if theme == "dark":
        player.evaluate("document.body.classList.add('dark')")
        player.wait_for_function("window.__cineglass.state().map === 'dark'")
    for wide, row in ((0.9, 4), (1.6, 11)):
        set_number(player, "Colour range in z", str(wide))
        seek(player, (row + 0.5) * TR)
        seen = 0
        for parcel in range(3, 1000, 23):
            rgba, winner = glass_pixel(player, parcel, "l" if parcel < 500 else "r")
            if winner >= 0 and rgba[3] > 60:
                expected = colour_of(planted_value(0, row, winner), wide, theme)
                np.testing.assert_allclose(rgba[:3], expected, atol=7, err_msg=f"{row} {winner}")
                seen += 1
            lit = surface_pixel(player, parcel)
            if lit is not None:
                assert_lit(lit, colour_of(planted_value(0, row, parcel), wide, theme), (row, parcel))
                seen += 1
        assert seen > 45


def test_the_classic_map_and_another_subject_reach_both_brains(player):
    player.get_by_label("Colour map").select_option("classic")
    player.get_by_role("radio", name="Sim 3").click()
    set_number(player, "Colour range in z", "0.5")
    seek(player, 8.5 * TR)
    strong = [parcel for parcel in range(1000) if abs(planted_value(2, 8, parcel)) > 0.4][::9]
    assert len(strong) > 20
    for parcel in strong:
        colour = colour_of(planted_value(2, 8, parcel), 0.5, "classic")
        rgba, winner = glass_pixel(player, parcel, "z")
        np.testing.assert_allclose(rgba[:3], colour_of(planted_value(2, 8, winner), 0.5, "classic"), atol=9)
        lit = surface_pixel(player, parcel)
        if lit is not None:
            assert_lit(lit, colour, parcel)


def test_below_the_threshold_both_brains_fade_and_the_bar_too(player):
    seek(player, 12.0)
    row = tr_of(12.0)
    set_number(player, "Colour range in z", "0.9")
    parcel = next(p for p in visible_on_glass(player) if -0.4 < planted_value(0, row, p) < -0.3 and surface_pixel(player, p) is not None)
    glass, lit = glass_pixel(player, parcel, "l")[0], surface_pixel(player, parcel)
    bar = player.evaluate("window.__cineglass.part.bar.toDataURL()")
    set_number(player, "Threshold in z", "0.6")
    faded_glass, faded = glass_pixel(player, parcel, "l")[0], surface_pixel(player, parcel)
    assert 0 < faded_glass[3] < 0.6 * glass[3]
    assert np.ptp(faded[:3]) < 0.5 * np.ptp(lit[:3])
    assert player.evaluate("window.__cineglass.part.bar.toDataURL()") != bar
    assert "weaker than 0.6 faded" in player.locator(".cg-colourbar").get_attribute("aria-label")
    strong = next(p for p in range(3, 1000, 5) if planted_value(0, row, p) > 0.65 and surface_pixel(player, p) is not None)
    assert_lit(surface_pixel(player, strong), colour_of(planted_value(0, row, strong), 0.9, "light"), strong)


def test_the_bar_says_unit_and_range(player):
    set_number(player, "Colour range in z", "1.25")
    assert player.locator(".cg-colourbar").get_attribute("aria-label") == "Colour bar: predicted BOLD (z), from minus 1.25 to plus 1.25"


def test_brains_step_from_tr_to_tr_and_do_not_move_within_one(player):
    def pictures():
        return player.evaluate("[...document.querySelectorAll('.cg-brain, .cg-surface')].map((canvas) => canvas.toDataURL())")

    seek(player, 7 * TR + 0.02)
    first = pictures()
    for share in (0.3, 0.6, 0.98):
        seek(player, (7 + share) * TR)
        assert pictures() == first
    seek(player, 8 * TR + 0.02)
    assert all(late != early for late, early in zip(pictures(), first, strict=True))


def test_where_there_is_no_prediction_neither_brain_holds_the_last_row(player):
    player.evaluate("window.__cineglass.set({ lag: 5 }, 'brain', 'curves')")  # unshifted, the last row stays to the film's end
    now = seek(player, ROWS * TR - 5 + 0.3)
    assert (now["row"], now["surfaceRow"]) == (-1, -1)
    inside = [rgba for parcel in range(0, 1000, 41) if (rgba := surface_pixel(player, parcel)) is not None]
    assert np.mean([np.ptp(rgba[:3]) <= 4 for rgba in inside]) > 0.8  # the rest lies under the words
    assert player.locator(".cg-brainnote").inner_text() == "Largest now: none."


def test_simulated_is_written_inside_every_picture_of_values(player):
    """Taking the flag away changes pixels of each canvas."""
    player.get_by_role("radio", name="Every parcel").click()
    script = "['.cg-brain', '.cg-surface', '.cg-curves', '.cg-scatter'].map((name) => document.querySelector(name).toDataURL())"
    before = player.evaluate(script)
    player.evaluate("const p = window.__cineglass; p.result.value.simulated = false; p.redraw()")
    assert all(late != early for late, early in zip(player.evaluate(script), before, strict=True))


# ---- pointing ----


@pytest.mark.parametrize("which", ["glass", "surface"])
def test_hovering_either_brain_names_the_parcel_and_its_value_follows_the_playing_film(player, which):
    parcel = 250 if which == "surface" else visible_on_glass(player)[20]
    seek(player, 5 * TR + 0.1)
    x, y = point_of(player, which, parcel, "l" if which == "glass" else None)
    player.mouse.move(x, y)
    if which == "glass":
        parcel = state(player)["hover"]["parcel"]
    x, y, z = (str(mm).replace("-", "−") for mm in ATLAS["centroids"][parcel])
    network = ATLAS["network_names"][ATLAS["network_keys"][ATLAS["networks"][parcel]]]
    player.evaluate("window.__cineglass.clock.play()")
    seen = set()
    for _ in range(200):
        now = state(player)
        name, where, value = now["hover"]["text"].split("\n")[:3]
        assert (name, where) == (name_of(parcel), f"{network} · MNI {x}, {y}, {z}")
        assert float(value.removesuffix(" z now").replace("−", "-")) == pytest.approx(planted_value(0, now["shownRow"], parcel), abs=0.012)
        seen.add(now["shownRow"])
        if len(seen) >= 3:
            break
        player.wait_for_timeout(40)
    assert len(seen) >= 3


def test_the_pointer_on_one_brain_marks_the_parcel_on_the_other(player):
    parcel = 300
    before = player.evaluate("document.querySelector('.cg-surface').toDataURL()")
    player.mouse.move(*point_of(player, "surface", parcel))
    assert state(player)["markers"] == [{"parcel": parcel, "kind": "hover"}]
    ring = player.locator(".cg-marks .cg-ring-hover").first.bounding_box()
    places = player.evaluate("window.__cineglass.panes.glass.placesOf(300)")
    box = canvas_box(player, "glass")
    assert ring["x"] + ring["width"] / 2 - box["x"] == pytest.approx(places[0]["x"], abs=1.5)
    assert player.evaluate("document.querySelector('.cg-surface').toDataURL()") != before
    player.mouse.move(5, 5)
    assert state(player)["markers"] == []
    assert player.evaluate("document.querySelector('.cg-surface').toDataURL()") == before


# ---- pins ----


def test_a_click_on_either_brain_pins_the_parcels_curve_and_another_lets_it_go(player):
    seek(player, 12.0)
    parcel = visible_on_glass(player)[30]
    player.mouse.click(*point_of(player, "glass", parcel, "l"))
    parcel = state(player)["hover"]["parcel"]
    player.mouse.click(*point_of(player, "surface", 700))
    assert state(player)["pins"] == [parcel, 700]
    chips = [text.split("\n") for text in player.locator(".cg-pin").all_inner_texts()]
    for (name, value, _), pinned in zip(chips, (parcel, 700), strict=True):
        assert name == name_of(pinned)
        assert float(value.replace("−", "-")) == pytest.approx(planted_value(0, tr_of(12.0), pinned), abs=0.012)
    curve = player.evaluate("[...window.__cineglass.result.parcelCurve('sim1', 700)]")
    np.testing.assert_allclose(curve, [planted_value(0, row, 700) for row in range(ROWS)], atol=0.005)
    player.mouse.click(*point_of(player, "surface", 700))
    player.get_by_role("button", name=f"Unpin {name_of(parcel)}").first.click()
    assert state(player)["pins"] == []


def test_a_pinned_parcel_has_a_line_among_the_curves(player):
    bare = player.evaluate("document.querySelector('.cg-curves').toDataURL()")
    player.evaluate("window.__cineglass.picking.pick(700)")
    assert player.evaluate("document.querySelector('.cg-curves').toDataURL()") != bare
    assert len(state(player)["lines"]) == 8
    player.evaluate("window.__cineglass.picking.pick(700)")
    assert player.evaluate("document.querySelector('.cg-curves').toDataURL()") == bare


def test_a_sixth_pin_is_refused_in_words(player):
    for parcel in (10, 120, 330, 600, 910):
        player.mouse.click(*point_of(player, "surface", parcel))
    assert state(player)["pins"] == [10, 120, 330, 600, 910]
    player.mouse.click(*point_of(player, "surface", 250))
    assert state(player)["pins"] == [10, 120, 330, 600, 910]
    assert player.get_by_text("Five parcels are pinned: let one go to pin another.").is_visible()
    player.locator(".cg-pin").first.click()
    assert not player.get_by_text("Five parcels are pinned").is_visible()


def test_shift_click_switches_the_curve_of_the_whole_network(player):
    key = ATLAS["network_keys"][ATLAS["networks"][700]]
    assert key in state(player)["visible"]
    player.keyboard.down("Shift")
    player.mouse.click(*point_of(player, "surface", 700))
    player.keyboard.up("Shift")
    assert key not in state(player)["visible"]
    assert state(player)["pins"] == []


def test_a_finger_names_a_parcel_first_and_pins_it_with_the_second_tap(open_player):
    page = open_player(width=360, height=740, has_touch=True, is_mobile=True)
    parcel = visible_on_glass(page)[40]
    page.locator(".cg-brain").scroll_into_view_if_needed()
    page.touchscreen.tap(*point_of(page, "glass", parcel, "l"))
    assert state(page)["hover"]["parcel"] == parcel
    assert state(page)["pins"] == []
    page.touchscreen.tap(*point_of(page, "glass", parcel, "l"))
    assert state(page)["pins"] == [parcel]


def test_a_finger_need_not_hit_a_disc_and_the_second_tap_may_be_beside_the_first(open_player):
    page = open_player(width=360, height=740, has_touch=True, is_mobile=True)
    page.locator(".cg-brain").scroll_into_view_if_needed()
    box = page.locator(".cg-brain").bounding_box()
    gap = """parcels => { const b = window.__cineglass.panes.glass;
        for (const parcel of parcels.filter((number) => number < 500)) {
            const { x, y } = b.placeOf(parcel, 'l');
            for (const dx of [-5, 5]) for (const dy of [-5, 5]) if (b.parcelAt(x + dx, y + dy) < 0) return [x + dx, y + dy];
        } }"""
    x, y = (start + offset for start, offset in zip((box["x"], box["y"]), page.evaluate(gap, visible_on_glass(page)), strict=True))
    page.touchscreen.tap(x, y)
    named = state(page)["hover"]["parcel"]
    assert named >= 0
    page.touchscreen.tap(x + 4, y - 4)
    assert state(page)["pins"] == [named]
    page.get_by_role("button", name="Go to maximum").tap()
    assert state(page)["hover"] is None


# ---- maximum ----


def test_go_to_maximum_finds_the_largest_valid_value_of_the_subject_and_marks_it(player):
    for number, name in ((0, "Sim 1"), (3, "Sim 5"), (None, "Mean")):
        player.get_by_role("radio", name=name).click()
        result = planted()
        values = np.abs(result.values.mean(0) if number is None else result.values[number])
        values[~result.valid] = 0
        player.get_by_role("button", name="Go to maximum").click()
        player.wait_for_function("!window.__cineglass.part.video.seeking")
        now = state(player)
        parcel = now["maximum"]["parcel"]
        assert values[now["row"], parcel] == pytest.approx(values.max(), abs=0.008)
        assert {"parcel": parcel, "kind": "maximum"} in now["markers"]
        assert f"Largest now: {name_of(parcel)}, " in player.locator(".cg-brainnote").inner_text()
    player.keyboard.press("ArrowRight")
    player.wait_for_function("!window.__cineglass.state().markers.some(({kind}) => kind === 'maximum')")


def test_a_maximum_that_the_surface_does_not_show_is_said(player):
    seek(player, 12.0)
    parcel = state(player)["maximum"]["parcel"]
    sentence = f"The maximum, {name_of(parcel)}, lies where the surface views do not show it."
    assert not player.get_by_text(sentence).is_visible()
    player.evaluate("parcel => { const p = window.__cineglass; p.panes.surface.hidden.add(parcel); p.redraw(); }", parcel)
    assert player.get_by_text(sentence).is_visible()
    assert state(player)["maximum"]["hidden"]
    player.keyboard.press("g")
    assert not player.get_by_text(sentence).is_visible()


# ---- networks now ----


def test_every_parcel_stands_in_the_strip_of_its_network_at_its_value(player):
    seek(player, 12.0)
    player.get_by_role("radio", name="Every parcel").click()
    assert not player.locator(".cg-ranks").first.is_visible()
    xs, ys = player.evaluate("(() => { const s = window.__cineglass.part.scatter; return [[...s.xs], [...s.ys]]; })()")
    values = [planted_value(0, tr_of(12.0), parcel) for parcel in range(1000)]
    assert np.corrcoef(xs, values)[0, 1] > 0.9999
    strips = [(y - 8) // 32 for y in ys]
    assert strips == ATLAS["networks"]
    alone = max(range(1000), key=lambda p: min(np.hypot(xs[p] - xs[q], ys[p] - ys[q]) for q in range(1000) if q != p))
    box = player.locator(".cg-scatter").bounding_box()
    player.mouse.move(box["x"] + xs[alone], box["y"] + ys[alone])
    name, value = player.locator(".cg-scattername").inner_text().split(", ")
    assert name == name_of(alone)
    assert float(value.removesuffix(" z").replace("−", "-")) == pytest.approx(values[alone], abs=0.012)
    player.mouse.click(box["x"] + xs[alone], box["y"] + ys[alone])
    assert state(player)["pins"] == [alone]
    player.get_by_role("radio", name="Ranked").click()
    assert player.locator(".cg-ranks").first.is_visible()


def test_the_ranked_parcels_are_those_farthest_from_zero_and_a_click_pins_one(player):
    seek(player, 22.0)
    values = np.array([planted_value(0, tr_of(22.0), parcel) for parcel in range(1000)])
    told = [float(text.replace("−", "-")) for text in player.locator(".cg-parcels .cg-value").all_inner_texts()]
    np.testing.assert_allclose(np.abs(told), np.sort(np.abs(values))[::-1][: len(told)], atol=0.012)
    line = player.locator(".cg-parcels button").nth(2)
    name = line.locator(".cg-name").inner_text()
    line.click()
    assert [name_of(parcel) for parcel in state(player)["pins"]] == [name]
    assert line.get_attribute("aria-pressed") == "true"


# ---- keys and people who listen ----


def test_pins_and_maximum_are_reached_without_a_mouse(player):
    seek(player, 22.0)
    player.locator(".cg-parcels button").first.focus()
    player.keyboard.press("ArrowDown")
    player.keyboard.press("ArrowDown")
    name = player.evaluate("document.activeElement.querySelector('.cg-name').textContent")
    hovered = state(player)["hover"]
    assert hovered["text"].startswith(name)
    player.keyboard.press("Enter")
    assert name_of(state(player)["pins"][0]) == name
    assert player.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    row = state(player)["row"]
    player.keyboard.press("m")
    player.wait_for_function("row => window.__cineglass.state().row !== row", arg=row)
    assert any(marker["kind"] == "maximum" for marker in state(player)["markers"])


def test_keys_choose_the_view_the_lag_and_the_speed(player):
    for key, view in (("g", "glass"), ("s", "surface"), ("b", "both")):
        player.keyboard.press(key)
        assert state(player)["view"] == view
        assert player.locator(".cg-brain").is_visible() == (view != "surface")
        assert player.locator(".cg-surface").is_visible() == (view != "glass")
    player.keyboard.press("l")
    assert state(player)["lag"] == 5
    player.keyboard.press("l")
    assert state(player)["lag"] == 0
    for key, rate in (("]", 1.5), ("]", 2), ("]", 2), ("[", 1.5), ("[", 1), ("[", 0.75)):
        player.keyboard.press(key)
        assert state(player)["rate"] == rate
        assert player.evaluate("window.__cineglass.part.video.playbackRate") == rate
    player.get_by_label("Speed").select_option("1")
    assert state(player)["rate"] == 1


def test_the_list_of_keys_opens_closes_and_gives_the_focus_back(player):
    button = player.get_by_role("button", name="Keys (?)")
    button.focus()
    player.keyboard.press("?")
    dialog = player.get_by_role("dialog", name="Keys")
    assert dialog.is_visible()
    assert "one TR back or on" in dialog.inner_text()
    player.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert player.evaluate("document.activeElement.className").startswith("cg-icon")


def test_a_paused_row_is_told_to_people_who_listen(player):
    seek(player, 22.0)
    live = player.locator(".cg-live")
    player.wait_for_function("row => document.querySelector('.cg-live').textContent.includes(`TR ${row} of`)", arg=tr_of(22.0))
    assert live.get_attribute("aria-live") == "polite"
    assert "Highest network " in live.inner_text()
    assert "Largest now: " in live.inner_text()


# ---- layers and a second series ----


def test_a_layer_has_its_own_colours_unit_and_range_and_says_so(measured):
    choice = measured.get_by_label("Shown on the brains")
    assert choice.locator("option").all_inner_texts() == ["response", "accuracy", "contrast"]
    choice.select_option("accuracy-sim1")
    assert measured.locator(".cg-colourbar").get_attribute("aria-label") == "Colour bar: accuracy (r), own scale, from 0 to 0.4"
    for parcel in (300, 501, 800, 990):
        value = planted_layer(parcel)
        lit = surface_pixel(measured, parcel)
        if lit is not None:
            assert_lit(lit, colour_of(value, 0.4, "one_sided_light"), parcel)
        rgba, winner = glass_pixel(measured, parcel, "r" if parcel >= 500 else "l")
        if not np.isnan(planted_layer(winner)):
            np.testing.assert_allclose(rgba[:3], colour_of(planted_layer(winner), 0.4, "one_sided_light"), atol=7)
    unknown = surface_pixel(measured, 770)
    assert np.ptp(unknown[:3]) <= 2
    assert measured.get_by_text("Correlation over the valid rows.").is_visible()
    assert measured.get_by_role("spinbutton", name="Colour range in z").is_disabled()
    measured.mouse.move(*point_of(measured, "surface", 770))
    assert "accuracy: unknown" in state(measured)["hover"]["text"]


def test_a_layer_stays_while_the_film_goes_on_and_follows_the_subject(measured):
    choice = measured.get_by_label("Shown on the brains")
    choice.select_option("accuracy-sim1")
    seek(measured, 6.0)
    early = measured.evaluate("document.querySelector('.cg-surface').toDataURL()")
    seek(measured, 20.0)
    assert measured.evaluate("document.querySelector('.cg-surface').toDataURL()") == early
    assert state(measured)["row"] == tr_of(20.0)
    measured.get_by_role("radio", name="Sim 2").click()
    assert state(measured)["layer"] == "accuracy-sim2"
    assert measured.evaluate("document.querySelector('.cg-surface').toDataURL()") != early
    measured.get_by_role("radio", name="Sim 3").click()
    assert state(measured)["layer"] == "response"
    assert measured.get_by_role("spinbutton", name="Colour range in z").is_enabled()


def test_a_signed_layer_takes_the_usual_map(measured):
    measured.get_by_label("Shown on the brains").select_option("contrast")
    assert "contrast (z), own scale, from minus 0.9 to plus 0.9" in measured.locator(".cg-colourbar").get_attribute("aria-label")
    lit = {parcel: rgba for parcel in range(5, 1000, 17) if (rgba := surface_pixel(measured, parcel)) is not None}
    assert len(lit) > 5
    for parcel, rgba in lit.items():
        assert_lit(rgba, colour_of(planted_value(0, 5, parcel), 0.9, "light"), parcel)


def test_without_layers_and_second_series_nothing_offers_them(player):
    assert not player.get_by_label("Shown on the brains").is_visible()
    assert not player.locator(".cg-second").is_visible()


def test_a_second_series_is_named_and_stands_beside_or_as_what_is_left(measured):
    box = measured.locator(".cg-second")
    assert "Measured A table that was made for a test." in box.inner_text()
    pictures = []
    for name, choice in (("Beside", "beside"), ("Residual", "residual"), ("Off", "off")):
        measured.get_by_role("radio", name=name).click()
        assert state(measured)["second"] == choice
        pictures.append(measured.evaluate("document.querySelector('.cg-curves').toDataURL()"))
    assert len(set(pictures)) == 3
    measured.get_by_role("radio", name="Beside").click()
    seek(measured, 12.0)
    measured.mouse.move(*point_of(measured, "surface", 700))
    told = next(line for line in state(measured)["hover"]["text"].split("\n") if line.startswith("Measured: "))
    value = float(told.removeprefix("Measured: ").removesuffix(" z").replace("−", "-"))
    assert value == pytest.approx(planted_second(0, tr_of(12.0), 700), abs=0.012)


# ---- layout ----


@pytest.mark.parametrize(
    ("width", "view", "beside"), [(360, "glass", False), (760, "glass", False), (900, "glass", True), (1180, "both", True), (1400, "both", True)]
)
def test_nothing_overlaps_or_leaves_the_page(open_player, width, view, beside):
    page = open_player(width=width, height=900)
    assert state(page)["view"] == view
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sections = (".cg-film", ".cg-brainbox", ".cg-settings", ".cg-curvebox", ".cg-tabbox")
    for parts in (sections, (".cg-brainbar", ".cg-panes", ".cg-colourbar", ".cg-brainnote")):
        boxes = [page.locator(part).bounding_box() for part in parts]
        for box in boxes:
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
        for i, one in enumerate(boxes):
            for other in boxes[i + 1 :]:
                apart_x = one["x"] + one["width"] <= other["x"] + 0.5 or other["x"] + other["width"] <= one["x"] + 0.5
                apart_y = one["y"] + one["height"] <= other["y"] + 0.5 or other["y"] + other["height"] <= one["y"] + 0.5
                assert apart_x or apart_y, (parts, one, other)
    page.keyboard.press("b")
    page.wait_for_function(SURFACE_READY)
    glass, surface = canvas_box(page, "glass"), canvas_box(page, "surface")
    if beside:
        assert glass["x"] + glass["width"] <= surface["x"]
        assert abs(glass["height"] - surface["height"]) < 0.2 * glass["height"]
    else:
        assert glass["y"] + glass["height"] <= surface["y"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [360, 1180])
def test_tips_notes_and_sentences_move_nothing(open_player, width):
    page = open_player(width=width, height=900)
    page.keyboard.press("b")
    page.wait_for_function(SURFACE_READY)
    parts = (".cg-settings", ".cg-plot", ".cg-tabbox", ".cg-brain", ".cg-surface", ".cg-colourbar")

    def places():
        page.evaluate("scrollTo(0, 0)")
        return [page.locator(part).bounding_box() for part in parts]

    seek(page, 12.0)
    before = places()
    page.evaluate("window.__cineglass.picking.point(700)")
    assert places() == before
    page.evaluate("const p = window.__cineglass; p.panes.surface.hidden.add(p.picking.maximum.parcel); p.redraw()")
    assert page.get_by_text("lies where the surface views do not show it").is_visible()
    assert places() == before
    seek(page, ROWS * TR + 0.3)
    assert "the last whole TR stays" in page.locator(".cg-rownote").inner_text()
    assert places() == before
    seek(page, 30.0)
    page.evaluate("window.__cineglass.picking.goToMaximum()")
    assert places() == before


def test_the_surface_takes_its_room_before_it_has_come(open_page, address):
    held = []
    page = open_page("about:blank", width=1180)
    page.route("**/cineglass/player/surface-*", lambda route: held.append(route))
    page.goto(address)
    ready(page)
    page.evaluate("window.__cineglass.clock.pause()")
    before = [page.locator(part).bounding_box() for part in (".cg-surface", ".cg-plot")]
    assert not page.evaluate(SURFACE_READY)
    held[0].continue_()
    page.wait_for_function(SURFACE_READY)
    assert [page.locator(part).bounding_box() for part in (".cg-surface", ".cg-plot")] == before


def test_a_surface_that_cannot_be_loaded_is_said_and_the_glass_brain_goes_on(open_page, address):
    page = open_page("about:blank", width=1180, allowed=("ERR_FAILED",))
    page.route("**/cineglass/player/surface-*", lambda route: route.abort())
    page.goto(address)
    ready(page)
    assert page.get_by_text("The surface views could not be loaded.").is_visible()
    assert seek(page, 12.0)["row"] == tr_of(12.0)
    page.unroute("**/cineglass/player/surface-*")
    send(page, "again")
    page.wait_for_function(SURFACE_READY)
    assert not page.get_by_text("The surface views could not be loaded.").is_visible()


def test_less_motion_leaves_nothing_that_moves_by_itself(open_player):
    page = open_player(reduced_motion="reduce")
    moving = page.evaluate("""() => [...document.querySelectorAll('.cineglass, .cineglass *')].filter((e) => { const s = getComputedStyle(e);
        return s.animationName !== 'none' || s.transitionDuration.split(',').some((time) => parseFloat(time) > 0); }).map((e) => e.className)""")
    assert moving == []
    assert not state(page)["playing"]


def test_changing_results_leaves_no_canvases_or_listeners_behind(player):
    """Counted by the browser itself, after its rubbish has been collected."""
    session = player.context.new_cdp_session(player)
    session.send("Performance.enable")

    def counted(times: int) -> dict:
        for name in ("measured", "averaged", "first") * times:
            send(player, name)
            player.wait_for_function("name => window.__cineglass.state().run === name", arg=name)
            player.evaluate("const p = window.__cineglass; p.clock.pause(); p.picking.pick(700); p.picking.pick(700)")
        session.send("HeapProfiler.collectGarbage")
        metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
        canvases = player.evaluate("document.querySelectorAll('canvas').length")
        return {"canvases": canvases, "listeners": metrics["JSEventListeners"], "nodes": metrics["Nodes"]}

    early = counted(1)
    late = counted(2)
    assert late["canvases"] == early["canvases"]
    assert late["listeners"] <= early["listeners"] + 5  # one a result would be six
    assert late["nodes"] <= early["nodes"] + 60


# ---- pictures ----


def brain_pictures(page, theme: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Both canvases at a known row over the theme's own ground, drawn 300 pixels wide and halved; each with the mask of its brains (no letters)."""
    from PIL import Image

    page.evaluate("theme => document.body.classList.toggle('dark', theme === 'dark')", theme)
    page.wait_for_function("theme => window.__cineglass.state().map === theme", arg=theme)
    page.wait_for_function(SURFACE_READY)
    seek(page, 9.5 * TR)
    script = """() => { const p = window.__cineglass; const told = {};
        for (const name of ['glass', 'surface']) {
            const brain = p.panes[name];
            brain.layout(300, 1, brain.theme);
            brain.draw(p.values, 9, p.pane);
            told[name] = [brain.canvas.toDataURL(), brain.places.map(({ x, y, width, height }) => [x, y, width, height])];
        }
        p.redraw();
        return told; }"""
    pictures = {}
    for name, (data, places) in page.evaluate(script).items():
        drawn = Image.open(io.BytesIO(base64.b64decode(data.split(",")[1]))).convert("RGBA")
        ground = Image.new("RGBA", drawn.size, "#0f141c" if theme == "dark" else "#ffffff")
        picture = np.asarray(Image.alpha_composite(ground, drawn).convert("RGB").reduce(2)).astype(int)
        mask = np.zeros(picture.shape[:2], bool)
        for x, y, width, height in places:
            mask[round(y / 2) + 8 : round((y + height) / 2) - 6, round(x / 2) : round((x + width) / 2)] = True
        pictures[f"{name}-{theme}"] = (picture, mask)
    return pictures


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_brains_look_as_they_did(player, theme):
    """Against small pictures kept with the tests (renew them with ``python -m tests.browser.test_player_views``, and look at them)."""
    from PIL import Image

    for name, (picture, mask) in brain_pictures(player, theme).items():
        kept = np.asarray(Image.open(SCREENS / f"{name}.png").convert("RGB")).astype(int)
        assert kept.shape == picture.shape, name
        away = np.abs(picture - kept).max(axis=2)[mask]
        assert away.mean() < 2.0, name
        assert (away > 40).mean() < 0.01, name


def write_screens() -> None:
    """Draw the kept pictures anew."""
    import tempfile

    from PIL import Image
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import ARGUMENTS, browser_path

    SCREENS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server, where = serve(Path(folder))
        chromium = playwright.chromium.launch(executable_path=browser_path(), args=ARGUMENTS)
        page = chromium.new_page(viewport={"width": 1180, "height": 1000})
        page.goto(where)
        ready(page)
        page.evaluate("window.__cineglass.clock.pause()")
        for theme in ("light", "dark"):
            for name, (picture, _) in brain_pictures(page, theme).items():
                Image.fromarray(picture.astype(np.uint8)).save(SCREENS / f"{name}.png", optimize=True)
        chromium.close()
        server.close()


if __name__ == "__main__":
    write_screens()
