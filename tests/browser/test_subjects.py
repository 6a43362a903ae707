"""The Subjects tab in a real browser, against a result whose every value is known."""

from __future__ import annotations

import time

import numpy as np
import pytest

from encoder.curves import curve_ids
from extractors.grid import TR
from tests.browser.player_page import NASTY, ROWS, planted, planted_layer, planted_value
from tests.browser.test_player_views import colour_of, name_of

pytestmark = pytest.mark.browser
SUBJECTS = ("sim1", "sim2", "sim3", "sim5")
CURVES = [name for name in curve_ids() if not name.endswith(("-L", "-R"))]
AGREEMENT = {name: 0.05 + 0.08 * number for number, name in enumerate(CURVES)}
PLANTED = {name: 0.9 - 0.05 * number for number, name in enumerate(CURVES)}
CENTRES = [17.5, 18.5, 19.5]
TAB = "window.__cineglass.part.sideBySide"

COUNTING = """([name, owners]) => { window[`__${name}`] = 0; for (const owner of eval(owners)) { const draw = owner.draw;
    owner.draw = function (...given) { window[`__${name}`] += 1; draw.apply(this, given); }; } }"""


def value() -> dict:
    """Four subjects, a map of trust for each, agreement with a planted reference."""
    from viz.payload import pack, pack_layer
    from viz.trust import pack_trust

    recovery = np.array([planted_layer(parcel) for parcel in range(1000)])
    turned = [np.roll(recovery, 100 * number) for number in range(4)]
    layers = [pack_layer(turned[n], id=f"recovery-{id}", label="recovery", unit="r", subject=id, range=0.4) for n, id in enumerate(SUBJECTS)]
    layers.append(pack_layer(np.full(1000, 0.5), id="agreement", label="agreement of the four", unit="mean pairwise r", range=1.0))
    windows = np.array([[AGREEMENT[name] + 0.01 * row for name in CURVES] for row in range(3)])
    trust = pack_trust(
        agreement=AGREEMENT,
        windows=windows,
        centres=CENTRES,
        window_trs=20,
        reference=PLANTED,
        reference_label="planted",
        difference_range=0.3,
        said=["These differences were invented by the simulator.", "No chance line is drawn.", NASTY],
        domain=[f"Sound: {NASTY}"],
        about_domain="A distance.",
    )
    return pack(planted(), None, media_url=None, media_kind="none", title="Four", run_id="four", layers=layers, trust=trust)


@pytest.fixture(scope="module")
def page(tmp_path_factory, browser):
    """One page for all tests, wide, paused, with the tab open; no error on its console at the end."""
    import gradio as gr
    from starlette.responses import FileResponse
    from starlette.routing import Route

    from ui.player import Player
    from viz.player_page import SURFACE, surface_address

    async def surface(_) -> FileResponse:
        return FileResponse(SURFACE)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("subjects")))
        with gr.Blocks(analytics_enabled=False) as demo:
            Player(value())
        routes = {"routes": [Route(f"/{surface_address()}", surface)]}
        _, address, _ = demo.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, ssr_mode=False, app_kwargs=routes)
        faults: list[str] = []
        context = browser.new_context(viewport={"width": 1280, "height": 1000}, reduced_motion="reduce")
        page = context.new_page()
        page.set_default_timeout(45_000)
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(address)
        page.wait_for_function("window.__cineglass && window.__cineglass.base")
        yield page
        context.close()
        demo.close()
    assert not faults, faults


@pytest.fixture
def tab(page):
    """The tab open at row 10, everything else as a visitor finds it."""
    page.evaluate(
        """() => { const p = window.__cineglass; p.part.tabs.choose("subjects"); p.picking.setPins([]); p.setView("glass"); p.setLayer("response");
        p.setThreshold(0); p.part.sideBySide.set({ way: "response", curve: "Vis" }); }"""
    )
    page.evaluate(f"{TAB}.ownBox.checked = false")
    seek(page, 10)
    return page


def seek(page, row: int) -> None:
    page.evaluate("time => { const p = window.__cineglass; p.clock.pause(); p.clock.seek(time); p.tick(time); }", (row + 0.5) * TR)


def drawn(page, place: int) -> np.ndarray:
    """What a subject's glass brain was drawn with."""
    return np.array(page.evaluate(f"Array.from({TAB}.cells[{place}].glass.values)"), float)


def planted_rows(row: int) -> np.ndarray:
    return np.array([[planted_value(subject, row, parcel) for parcel in range(1000)] for subject in range(4)])


def lines(page) -> dict[str, np.ndarray]:
    told = page.evaluate(f"{TAB}.together.drawn.map(({{ curve, values }}) => [curve.label, Array.from(values)])")
    return {label: np.array(values, float) for label, values in told}


def test_every_brain_shows_its_own_subject_at_the_row_of_the_clock(tab):
    for row in (10, 11):
        seek(tab, row)
        found = np.stack([drawn(tab, place) for place in range(4)])
        np.testing.assert_allclose(found, planted_rows(row), atol=0.006)
    assert tab.locator(".cg-subject figcaption b").all_inner_texts() == ["Sim 1", "Sim 2", "Sim 3", "Sim 5"]


def test_the_difference_from_the_mean_of_the_four_is_on_brains_and_curves(tab):
    tab.get_by_role("radio", name="Difference from the mean").click()
    rows = planted_rows(10)
    found = np.stack([drawn(tab, place) for place in range(4)])
    np.testing.assert_allclose(found, rows - rows.mean(0), atol=0.012)
    told = lines(tab)
    visual = np.array(planted().values)[:, :, tab.evaluate("CineglassPlayer && window.__cineglass.part.sideBySide.rows[0].curve.indices")].mean(2)
    np.testing.assert_allclose(np.stack(list(told.values())), visual - visual.mean(0), atol=2e-3)
    assert "minus the mean" in tab.locator(".cg-fourbar").get_attribute("aria-label")


def test_a_parcel_has_the_colour_of_its_value_on_the_range_that_all_brains_share(tab):
    shared = tab.evaluate("window.__cineglass.settings.range")
    script = """([place, parcel]) => { const b = window.__cineglass.part.sideBySide.cells[place].glass; const at = b.placeOf(parcel, "l");
        const shows = b.parcelAt(at.x, at.y); const start = 4 * (Math.floor(at.y * b.ratio) * b.image.width + Math.floor(at.x * b.ratio));
        return [shows, [...b.image.data.slice(start, start + 3)]]; }"""
    checked = 0
    for place in range(4):
        for parcel in range(0, 500, 61):
            shows, rgb = tab.evaluate(script, [place, parcel])
            if shows < 0:
                continue
            expected = colour_of(planted_value(place, 10, shows), shared, "light")
            assert np.abs(np.array(rgb) - expected).max() <= 8, (place, shows)
            checked += 1
    assert checked > 20


def test_own_scale_takes_the_range_of_the_differences_for_all_four(tab):
    tab.get_by_role("radio", name="Difference from the mean").click()
    tab.locator(".cg-subjectsbar input").check()
    assert set(tab.evaluate(f"{TAB}.panes.map(({{ range }}) => range)")) == {0.3}
    assert "own scale" in tab.locator(".cg-fourbar").get_attribute("aria-label")


def test_nothing_is_drawn_while_the_tab_is_closed(tab):
    tab.get_by_role("tab", name="Networks now").click()
    tab.evaluate(COUNTING, ["drawn", f"{TAB}.cells.map(({{ glass }}) => glass)"])
    for row in (12, 13, 14):
        seek(tab, row)
    assert tab.evaluate("window.__drawn") == 0
    tab.get_by_role("tab", name="Subjects").click()
    assert tab.evaluate("window.__drawn") == 4
    np.testing.assert_allclose(drawn(tab, 3), planted_rows(14)[3], atol=0.006)


def test_a_row_costs_one_drawing_of_each_brain_and_no_curve(tab):
    tab.evaluate(COUNTING, ["curves", f"[{TAB}.together]"])
    seek(tab, 15)
    assert tab.evaluate("window.__curves") == 0
    tab.evaluate("window.__cineglass.setThreshold(0.2)")
    assert tab.evaluate("window.__curves") > 0


def test_a_pinned_parcel_shows_the_curves_of_all_four_together(tab):
    tab.evaluate("window.__cineglass.picking.pick(123)")
    told = lines(tab)
    assert list(told) == ["Sim 1", "Sim 2", "Sim 3", "Sim 5"]
    expected = np.array([[planted_value(subject, row, 123) for row in range(ROWS)] for subject in range(4)])
    np.testing.assert_allclose(np.stack(list(told.values())), expected, atol=0.006)
    assert tab.get_by_role("combobox", name="Curve of all subjects").evaluate("s => s.selectedOptions[0].textContent") == name_of(123)
    assert tab.locator(".cg-subject .cg-marks .cg-ring-pin").count() > 3


def test_the_small_curves_of_the_four_have_one_scale_also_with_pins(tab):
    tab.evaluate("window.__cineglass.setVisible(['Vis', 'Limbic']); window.__cineglass.picking.setPins([123, 900])")
    told = tab.evaluate(f"{TAB}.cells.map(({{ lines }}) => [lines.range, lines.drawn.map(({{ curve }}) => curve.id).join()])")
    assert len({scale for scale, _ in told}) == 1
    assert {names for _, names in told} == {"Vis,Limbic,parcel-123,parcel-900"}


def test_pointing_at_a_parcel_of_one_brain_reads_all_four(tab):
    canvas = tab.locator(".cg-subject .cg-one").nth(2)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    at = tab.evaluate(f"{TAB}.cells[2].glass.placeOf(700, 'z')")
    tab.mouse.move(box["x"] + at["x"], box["y"] + at["y"])
    parcel = tab.evaluate("window.__cineglass.picking.hovered")
    told = tab.locator(".cg-fourpoint").inner_text().replace("−", "-")
    assert told.startswith(f"{name_of(parcel)}:")
    numbers = [float(part.split()[-1]) for part in told.split(":")[1].split("·")]
    np.testing.assert_allclose(numbers, planted_rows(10)[:, parcel], atol=0.012)
    tab.mouse.move(5, 5)


def test_a_map_of_each_subject_is_drawn_on_its_own_brain_and_unknown_stays_unknown(tab):
    tab.evaluate("window.__cineglass.setSubject('sim1'); window.__cineglass.setLayer('recovery-sim1')")
    recovery = np.array([planted_layer(parcel) for parcel in range(1000)])
    for place in range(4):
        np.testing.assert_allclose(drawn(tab, place), np.roll(recovery, 100 * place), atol=0.002)
    assert "recovery (r)" in tab.locator(".cg-fourbar").get_attribute("aria-label")


def test_agreement_stands_beside_what_was_planted_and_hostile_sentences_stay_text(tab):
    told = tab.locator(".cg-agreelist .cg-value").all_inner_texts()
    assert told == [f"{AGREEMENT[name]:.3f} (planted {PLANTED[name]:.3f})" for name in CURVES]
    assert tab.locator(".cg-subjectsnote").inner_text() == "These differences were invented by the simulator."
    assert tab.locator(".cg-alike .cg-said li").all_inner_texts() == ["No chance line is drawn.", NASTY]
    assert tab.locator(".cg-domain li").inner_text() == f"Sound: {NASTY}"
    assert tab.evaluate("window.__fired") is None
    tab.get_by_role("combobox", name="Curve of all subjects").select_option("Auditory")
    windows = tab.evaluate(f"Array.from({TAB}.windows[{CURVES.index('Auditory')}])")
    np.testing.assert_allclose(windows, AGREEMENT["Auditory"] + 0.01 * np.arange(3), atol=0.005)
    assert "Auditory" in tab.locator(".cg-alike").locator("xpath=preceding-sibling::div[1]/h3").inner_text()


def test_the_map_of_agreement_is_one_press_away_and_back(tab):
    tab.get_by_role("button", name="Show the map on the brains").click()
    assert tab.evaluate("window.__cineglass.settings.layer") == "agreement"
    tab.get_by_role("button", name="Back to the response").click()
    assert tab.evaluate("window.__cineglass.settings.layer") == "response"


def test_simulated_is_written_in_every_picture_of_the_tab(tab):
    tab.evaluate(
        """() => { window.__said = []; const fill = CanvasRenderingContext2D.prototype.fillText; window.__fill = fill;
        CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) { window.__said.push(text); return fill.call(this, text, ...rest); };
        const { sideBySide } = window.__cineglass.part; sideBySide.prepare(sideBySide.mine); sideBySide.drawBrains(10, true);
        CanvasRenderingContext2D.prototype.fillText = fill; }"""
    )
    pictures = tab.locator(".cg-subjects canvas[role=img]").count() - 1 + 4  # without the bar, with the small curves
    assert pictures == 10
    assert tab.evaluate("window.__said.filter((text) => text === 'SIMULATED').length") == pictures


def test_the_tab_draws_surfaces_when_the_player_does(tab):
    tab.evaluate("window.__cineglass.setView('surface')")
    tab.wait_for_function(f"{TAB}.cells.every(({{ surface }}) => surface && surface.ready && surface.row === 10)")
    for place in (0, 3):
        found = np.array(tab.evaluate(f"Array.from({TAB}.cells[{place}].surface.values)"), float)
        np.testing.assert_allclose(found, planted_rows(10)[place], atol=0.006)
    assert tab.evaluate(f"{TAB}.cells[0].surface.maps === {TAB}.cells[3].surface.maps")


def test_the_playhead_of_every_plot_stands_at_the_clock_and_a_press_moves_it(tab):
    plot = tab.locator(".cg-together")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    tab.mouse.click(box["x"] + box["width"] / 2, box["y"] + 60)
    now = tab.evaluate("window.__cineglass.clock.time")
    assert abs(now - tab.evaluate(f"{TAB}.together.timeAt({box['width'] / 2})")) < 0.1
    heads = f"[...{TAB}.plots, ...{TAB}.cells.map((cell) => cell.plot)]"
    place = "({ plot, head }) => [new DOMMatrix(head.style.transform).e, plot.xOf(window.__cineglass.clock.time)]"
    told = tab.evaluate(f"{heads}.map({place})")
    assert len(told) == 6
    for shown, expected in told:
        assert abs(shown - expected) < 1


@pytest.mark.parametrize(("width", "columns"), [(1280, 2), (360, 2)])
def test_the_four_stand_two_by_two_and_nothing_sticks_out(tab, width, columns):
    tab.set_viewport_size({"width": width, "height": 900})
    try:
        deadline = time.monotonic() + 5
        while tab.evaluate(f"Math.abs({TAB}.cells[0].glass.width - {TAB}.cells[0].canvas.clientWidth) > 1") and time.monotonic() < deadline:
            tab.wait_for_timeout(50)
        boxes = [tab.locator(".cg-subject").nth(place).bounding_box() for place in range(4)]
        assert len({round(box["x"]) for box in boxes}) == columns
        assert len({round(box["y"]) for box in boxes}) == 4 // columns
        assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    finally:
        tab.set_viewport_size({"width": 1280, "height": 1000})
