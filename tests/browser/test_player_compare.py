"""Two conditions in the player: swapped in place, subtracted, compared, remembered by the link. A real browser against planted values."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from encoder.curves import curve_ids, curve_masks
from extractors.grid import tr_of
from tests.browser.compare_page import SHORT_ROWS, SHORT_SCENES, WHOLE, WHY, planted_b, planted_half, planted_scene, serve
from tests.browser.player_page import NASTY, ROWS, planted_value

pytestmark = pytest.mark.browser
ATLAS = json.loads((Path(__file__).parents[2] / "assets/player/atlas.json").read_text(encoding="utf-8"))
STATE = "window.__cineglass.state()"
LAYOUT = """() => Object.fromEntries(['.cg-conditions', '.cg-main', '.cg-screen', '.cg-panes', '.cg-plot', '.cg-tabbox', '.cg-compare']
    .map((name) => [name, (({ x, y, width, height }) => [x, y, width, height])(document.querySelector(name).getBoundingClientRect())]))"""


@pytest.fixture(scope="module")
def address(tmp_path_factory, browser):
    server, where = serve(tmp_path_factory.mktemp("compare"))
    yield where
    server.should_exit = True


@pytest.fixture
def opened(open_page, address):
    """Open the page with one of its values, paused."""

    def open_it(name: str = "edit", query: str = "", **options):
        page = open_page(f"{address}{query}", **options)
        send(page, name)
        page.wait_for_function("window.__cineglass.part.video.readyState >= 2")
        return page

    return open_it


def send(page, name: str) -> None:
    page.evaluate("name => window.send(name)", name)
    page.wait_for_function(f"name => {STATE}.run === name", arg=name)
    page.evaluate("window.__cineglass.clock.pause()")


def state(page) -> dict:
    return page.evaluate(STATE)


def seek(page, time: float) -> dict:
    page.evaluate("time => window.__cineglass.clock.seek(time)", time)
    page.wait_for_function("!window.__cineglass.part.video.seeking")
    return state(page)


def choose(page, name: str) -> dict:
    page.get_by_role("radiogroup", name="Condition").get_by_role("radio", name=name, exact=True).click()
    return state(page)


def values_now(page) -> list[np.ndarray]:
    """What each brain has drawn: the glass one, the surface."""
    return [np.array(page.evaluate(f"[...window.__cineglass.panes.{pane}.values]")) for pane in ("glass", "surface")]


def truth(of, subject: int, row: int) -> np.ndarray:
    return np.array([of(subject, row, parcel) for parcel in range(1000)])


def curve_truth(of, subject: int, curve: str) -> np.ndarray:
    parcels = np.flatnonzero(curve_masks()[curve])
    return np.array([np.mean([of(subject, row, int(parcel)) for parcel in parcels]) for row in range(ROWS)])


def difference(subject: int, row: int, parcel: int) -> float:
    return planted_value(subject, row, parcel) - planted_b(subject, row, parcel)


def test_b_and_the_difference_take_the_place_of_a_on_both_brains_with_one_range(opened):
    page = opened()
    page.wait_for_function("window.__cineglass.panes.surface.ready")
    row = seek(page, 20.0)["row"]
    wide = state(page)["range"]
    for name, of in (("A", planted_value), ("B", planted_b), ("A − B", difference)):
        now = choose(page, name)
        assert (now["row"], now["surfaceRow"], now["range"]) == (row, row, wide)
        for drawn in values_now(page):
            np.testing.assert_allclose(drawn, truth(of, 0, row), atol=0.012)
    page.get_by_role("radio", name="Mean").click()
    mean = np.mean([truth(difference, subject, row) for subject in range(4)], axis=0)
    np.testing.assert_allclose(values_now(page)[0], mean, atol=0.012)


def test_the_curves_keep_a_solid_and_b_dashed_whichever_is_shown(opened):
    page = opened()
    lines = "window.__cineglass.curves.drawn.map(({ curve, values, other }) => [curve.id, [...values], [...other]])"
    for name in ("A", "B"):
        choose(page, name)
        drawn = {curve: (first, second) for curve, first, second in page.evaluate(lines)}
        assert list(drawn) == ATLAS["network_keys"]
        np.testing.assert_allclose(drawn["Vis"][0], curve_truth(planted_value, 0, "Vis"), atol=0.002)
        np.testing.assert_allclose(drawn["Vis"][1], curve_truth(planted_b, 0, "Vis"), atol=0.002)
        assert page.get_by_text("Solid: A. Dashed: B.").is_visible()


def test_the_difference_runs_about_zero_before_its_own_grey_band(opened):
    page = opened()
    choose(page, "A − B")
    page.get_by_role("radio", name="Sim 5").click()
    drawn = page.evaluate("window.__cineglass.curves.drawn.map(({ curve, values, other, half }) => [curve.id, [...values], other, [...half]])")
    assert [line[0] for line in drawn] == ATLAS["network_keys"]
    for curve, line, other, half in drawn[:2]:
        assert other is None
        np.testing.assert_allclose(line, curve_truth(difference, 3, curve), atol=0.003)
        np.testing.assert_allclose(half, [planted_half(3, row, curve_ids().index(curve)) for row in range(ROWS)], atol=1e-4)
    whole = [number for number, curve in enumerate(curve_ids()) if "-" not in curve]
    widest = max(planted_half(3, row, number) for row in range(ROWS) for number in whole)
    said = f"Grey: sensitivity to small changes, ± the most that any of 10 such changes moved each curve (here at most {widest:.2f} z)."
    assert page.get_by_text(said).is_visible()


GREY = """row => { const p = window.__cineglass, c = p.curves, { half } = c.drawn[0];
    const x = Math.round(c.xOf(c.timeOf(row, 0)) * c.ratio);
    const column = (draw) => {
        c.drawHalf = draw;
        p.set({}, 'curves');
        return c.context.getImageData(x, 0, 1, c.canvas.height).data;
    };
    const kept = c.drawHalf, bare = column(() => {}), drawn = column(kept);
    const differs = (y) => [0, 1, 2, 3].some((i) => Math.abs(bare[4 * y + i] - drawn[4 * y + i]) > 8);
    const changed = [...Array(c.canvas.height).keys()].filter(differs);
    return [changed[0] / c.ratio, changed[changed.length - 1] / c.ratio, c.yOf(half[row]), c.yOf(-half[row])]; }"""
STRENGTH = """() => { const c = window.__cineglass.curves, { half, values, colour } = c.drawn[0];
    const ink = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
    const far = (row) => {
        const [x, y] = [c.xOf(c.timeOf(row, 0)), c.yOf(values[row])].map((place) => Math.round(place * c.ratio));
        const { data } = c.context.getImageData(x - 2, y - 2, 5, 5);
        const from = (i) => ink.reduce((sum, channel, k) => sum + Math.abs(data[i + k] - channel), 255 - data[i + 3]);
        return Math.min(...Array.from({ length: 25 }, (_, i) => from(4 * i)));
    };
    const rows = [...values.keys()].slice(1, -1), out = (row) => Math.abs(values[row]) > half[row];
    return [rows.filter(out).map(far), rows.filter((row) => ![row - 1, row, row + 1].some(out)).map(far)]; }"""


def test_the_grey_reaches_as_far_as_the_null_edits_did_and_a_line_is_pale_inside_it(opened):
    """Read from the canvas: where a lone curve's grey begins and ends, and how strong its line is outside and well inside."""
    page = opened()
    choose(page, "A − B")
    page.evaluate("const p = window.__cineglass; p.setVisible(['Vis']); p.set({}, 'curves')")
    for row in (11, 14, 15, 18):
        top, bottom, above, below = page.evaluate(GREY, row)
        assert below - above > 5
        assert (top, bottom) == (pytest.approx(above, abs=2.5), pytest.approx(below, abs=2.5))
    page.evaluate("const c = window.__cineglass.curves; c.drawn[0].half.fill(0.2, 12, 27); window.__cineglass.set({}, 'curves')")
    full, pale = page.evaluate(STRENGTH)
    assert max(full) < 40
    assert min(pale) > 60


def test_x_swaps_film_words_and_absent_streams_in_place_without_moving_anything(opened):
    page = opened()
    before = seek(page, 17.3)
    page.evaluate("window.__cineglass.part.plot.mark = 'same'")
    layout = page.evaluate(LAYOUT)
    assert page.locator(".cg-word").count() > 40
    page.keyboard.press("x")
    page.wait_for_function("!window.__cineglass.part.video.seeking")
    after = state(page)
    assert after["shown"] == "b"
    assert after["time"] == pytest.approx(before["time"], abs=0.01)
    assert after["film"].endswith("b.webm")
    assert page.evaluate("window.__cineglass.part.video.currentTime") == pytest.approx(17.3, abs=0.05)
    page.wait_for_function("document.querySelectorAll('.cg-screen video:not(.is-waiting)').length === 1")
    assert page.evaluate("document.querySelector('.cg-screen video:not(.is-waiting)').videoWidth") == 192
    assert page.get_by_text("absent: sound").is_visible()
    assert page.locator(".cg-filmtag").inner_text() == "B"
    assert page.locator(".cg-word").count() == 0
    assert page.locator(".cg-title").inner_text() == "Film b"
    assert page.locator(".cg-subtitles").inner_text() == ""
    assert page.evaluate(LAYOUT) == layout
    page.keyboard.press("d")
    assert state(page)["shown"] == "difference"
    assert state(page)["film"].endswith("b.webm")
    assert page.evaluate(LAYOUT) == layout
    page.keyboard.press("d")
    page.keyboard.press("x")
    again = state(page)
    assert (again["shown"], again["film"][-6:]) == ("a", "a.webm")
    assert page.evaluate(LAYOUT) == layout
    assert not page.get_by_text("absent: sound").is_visible()
    assert page.evaluate("window.__cineglass.part.plot.mark") == "same"


def test_a_film_that_plays_plays_on_after_a_swap_at_its_speed_and_with_its_sound(opened):
    page = opened()
    seek(page, 10.0)
    page.evaluate("const p = window.__cineglass; p.part.video.muted = false; p.setRate(1.5); p.clock.play()")
    page.wait_for_function(f"{STATE}.time > 10.3")
    page.keyboard.press("x")
    now = state(page)
    assert now["playing"]
    assert 10.3 < now["time"] < 14
    page.wait_for_function(f"time => {STATE}.time > time + 0.5", arg=now["time"])
    video = page.evaluate("(({ muted, playbackRate, src }) => [muted, playbackRate, src])(window.__cineglass.part.video)")
    assert video[:2] == [False, 1.5]
    assert video[2].endswith("b.webm")
    assert page.evaluate("[...document.querySelectorAll('.cg-screen video')].filter((v) => !v.paused).length") == 1
    page.wait_for_function(f"{STATE}.shownRow === Math.floor({STATE}.time / 1.49 + 1e-6)")


def test_a_lesion_keeps_its_film_and_is_never_called_an_edit(opened):
    page = opened("lesion")
    page.evaluate("window.__cineglass.clock.play()")
    page.wait_for_function(f"{STATE}.time > 0.4")
    page.evaluate("window.__cineglass.part.video.mark = 'same'")
    choose(page, "B")
    assert page.evaluate("window.__cineglass.part.video.mark") == "same"
    assert page.locator(".cg-screen video").count() == 1
    assert state(page)["playing"]
    said = page.locator(".cg-conditions").inner_text()
    assert "Model lesion" in said
    assert "The text stream is its own mean." in said
    assert "Stimulus edit" not in said
    choose(page, "A − B")
    assert page.get_by_text("No grey: sensitivity to small changes is not known here, or not yet.").is_visible()
    assert state(page)["greys"] == 0


def test_without_calibration_a_difference_has_no_unit_and_no_order(opened):
    page = opened("lesion")
    choose(page, "A − B")
    assert page.get_by_text("Mean difference, A − B: uncalibrated").is_visible()
    means = page.locator(".cg-means li")
    assert means.evaluate_all("items => items.map((item) => item.dataset.curve)") == WHOLE
    assert " z" not in page.locator(".cg-means").inner_text()
    assert "uncalibrated" in page.locator(".cg-brainbox .cg-colourbar").get_attribute("aria-label")
    assert " z" not in page.locator(".cg-brainbox .cg-brainnote").inner_text()


def test_the_tab_gives_each_curve_its_change_its_interval_the_null_edits_and_a_sentence(opened):
    page = opened()
    page.get_by_role("radio", name="Sim 2").click()
    assert state(page)["tab"] == "compare"
    items = page.locator(".cg-changes li")
    assert items.evaluate_all("items => items.map((item) => item.dataset.curve)") == WHOLE[::-1]
    vis = page.locator(".cg-changes li[data-curve=Vis]")
    text = vis.inner_text()
    assert "Vis of sim2 changes." in text
    for figure in ("11 %", "9 to 14 %", "r +0.90"):
        assert figure in text
    assert vis.get_attribute("data-outside") == "no"
    assert page.locator(".cg-changes li[data-curve=Default]").get_attribute("data-outside") == "yes"
    box = vis.locator(".cg-dotplot").bounding_box()
    share = [(vis.locator(name).bounding_box()["x"] - box["x"]) for name in (".cg-dot", ".cg-whisker")]
    null = vis.locator(".cg-dotnull").bounding_box()["width"]
    assert (share[0] + 6) / null == pytest.approx(0.11 / 0.25, abs=0.02)
    assert share[1] / null == pytest.approx(0.088 / 0.25, abs=0.02)
    whole = page.locator(".cg-compare").inner_text()
    for words in ("variation over time within this clip", "sensitivity to small changes", "Ten null edits were run.", "SIMULATED"):
        assert words in whole
    assert not any(word in whole.lower() for word in ("p =", "p <", "p-value", "significan"))


def test_films_of_other_rows_swap_but_are_not_subtracted_and_the_page_says_why(opened):
    page = opened("apart")
    button = page.get_by_role("radio", name="A − B")
    assert button.is_disabled()
    assert button.get_attribute("title") == WHY
    assert page.locator(".cg-conditions").get_by_text(WHY).is_visible()
    seek(page, 38.0)
    page.keyboard.press("d")
    assert state(page)["shown"] == "a"
    page.keyboard.press("x")
    now = state(page)
    assert (now["shown"], now["offered"]) == ("b", ["a", "b"])
    assert now["time"] == pytest.approx(SHORT_ROWS * 1.49 + 0.5, abs=0.02)
    assert f"/ {SHORT_ROWS}" in page.locator(".cg-readings").inner_text()
    seek(page, 20.0)
    np.testing.assert_allclose(values_now(page)[0], truth(planted_b, 0, tr_of(20.0)), atol=0.012)
    assert len(page.evaluate("[...window.__cineglass.curves.drawn[0].values]")) == SHORT_ROWS


def test_folds_hold_the_same_scene_in_both_and_whether_both_go_together_and_stay_open_for_the_next_subject(opened):
    """Cells of the tables against the planted truth; closed at first; a fold is there only where it has something to say."""
    page = opened("moved", width=360, height=740)
    table = page.locator(".cg-apart tr[data-curve=Vis] td")
    assert table.all_inner_texts() == ["−0.30", "1.00", "0.80", "0.60"]
    fold = page.locator(".cg-fold[data-fold=scenes]")
    assert not fold.locator("table").is_visible()
    fold.get_by_text("Scene by scene", exact=True).click()
    page.get_by_role("radio", name="Sim 3").click()
    heads = [row.locator("th").all_inner_texts() for row in fold.locator("thead tr").all()]
    assert heads[:2] == [["in A", "0:30–0:15", "0:00–0:15"], ["in B", "0:00–0:15", "0:20–0:50"]]
    assert heads[2:4] == [["length in A", "15.0 s", "15.0 s"], ["length in B", "15.0 s", "30.0 s"]]
    for number, curve in enumerate(WHOLE):
        cells = [float(text.replace("−", "-")) for text in fold.locator(f"tr[data-curve={curve}] td").all_inner_texts()]
        np.testing.assert_allclose(cells, [planted_scene(2, number, scene) for scene in range(2)], atol=0.006)
    assert fold.get_by_text(SHORT_SCENES).is_visible()
    assert "SIMULATED" in fold.inner_text()
    assert page.locator(".cg-fold").count() == 1
    send(page, "many")
    assert page.locator(".cg-fold h3").inner_text().startswith("Mean difference of each scene, A − B, Sim 3: uncalibrated")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    send(page, "apart")
    assert page.locator(".cg-fold").count() == 0
    send(page, "edit")
    together = page.locator(".cg-fold[data-fold=association]")
    together.get_by_text("Do A and B go together?").click()
    rows = {row.get_attribute("data-curve"): row.locator("td").all_inner_texts() for row in together.locator("tbody tr").all()}
    assert list(rows) == WHOLE
    assert (rows["Vis"], rows["SomMot"], rows[WHOLE[-1]]) == (["+0.86", "0.020"], ["+0.76", "0.070"], ["–", "–"])
    for words in ("does not test the difference", "smallest p that 48 shifts can reach is 0.02", "SIMULATED"):
        assert words in together.inner_text()


def test_pins_zoom_and_the_name_under_the_pointer_go_with_every_condition(opened):
    page = opened()
    row = seek(page, 20.0)["row"]
    page.evaluate("const p = window.__cineglass; p.picking.setPins([7, 640]); p.set({ window: [12, 32] }, 'curves'); p.picking.point(7)")
    for name, of in (("A", planted_value), ("B", planted_b), ("A − B", difference)):
        now = choose(page, name)
        assert (now["pins"], now["window"]) == ([7, 640], [12, 32])
        page.evaluate("window.__cineglass.picking.point(7)")
        told = state(page)["hover"]["text"].replace("−", "-")
        value = of(0, row, 7)
        assert f"{name.replace('−', '-')}: {value:+.2f}" in told or f"{value:+.3f}"[:-1] in told
        chips = page.locator(".cg-pin .cg-value").all_inner_texts()
        np.testing.assert_allclose([float(text.replace("−", "-")) for text in chips], [of(0, row, 7), of(0, row, 640)], atol=0.012)
        pinned = page.evaluate("[...window.__cineglass.curves.drawn.at(-1).values]")
        shown = difference if name == "A − B" else planted_value
        np.testing.assert_allclose(pinned, [shown(0, r, 640) for r in range(ROWS)], atol=0.012)
    assert len(told.split("\n")) == 5  # its name, its place, A - B, and A and B themselves


def test_the_maximum_of_the_difference_is_found_where_it_is(opened):
    page = opened()
    choose(page, "A − B")
    page.evaluate("window.__cineglass.picking.goToMaximum()")
    valid = page.evaluate("window.__cineglass.result.valid")
    rows = [row for row in range(ROWS) if valid[row]]
    sizes = np.abs(np.stack([truth(difference, 0, row) for row in rows]))
    row, parcel = np.unravel_index(sizes.argmax(), sizes.shape)
    now = state(page)
    found = abs(difference(0, now["row"], now["maximum"]["parcel"]))
    assert found == pytest.approx(sizes[row, parcel], abs=0.02)


def test_the_link_remembers_what_is_shown_and_the_tab(opened):
    page = opened()
    choose(page, "A − B")
    page.get_by_role("tab", name="Transcript").click()
    seek(page, 20.0)
    query = page.evaluate("new URL(window.__cineglass.link.address).search")
    assert "shown=difference" in query
    assert "tab=transcript" in query
    other = opened(query=query)
    now = state(other)
    assert (now["shown"], now["tab"], now["row"]) == ("difference", "transcript", tr_of(20.0))
    choose(other, "A")
    other.get_by_role("tab", name="Compare A/B").click()
    query = other.evaluate("new URL(window.__cineglass.link.address).search")
    assert not any(key in query for key in ("shown=", "tab="))
    plain = opened("plain", query="?shown=difference&tab=compare")
    assert (state(plain)["shown"], state(plain)["tab"]) == ("a", "now")


def test_a_result_alone_has_no_switch_and_takes_the_comparison_away(opened):
    page = opened()
    choose(page, "B")
    send(page, "plain")
    now = state(page)
    assert (now["shown"], now["offered"], now["tab"], now["film"][-6:]) == ("a", ["a"], "now", "a.webm")
    assert page.locator(".cg-screen video").count() == 1
    for hidden in (".cg-shown", ".cg-conditions", ".cg-filmtag", ".cg-shownnote"):
        assert not page.locator(hidden).is_visible()
    assert not page.get_by_role("tab", name="Compare A/B").is_visible()
    page.keyboard.press("x")
    page.keyboard.press("d")
    assert state(page)["shown"] == "a"
    np.testing.assert_allclose(values_now(page)[0], truth(planted_value, 0, state(page)["row"]), atol=0.012)


def test_curves_and_pins_that_were_chosen_stay_when_a_comparison_of_the_same_film_arrives(opened):
    page = opened("plain")
    page.locator(".cg-chip[data-curve=Vis]").click()
    page.locator(".cg-chip[data-curve=Auditory]").click()
    page.evaluate("window.__cineglass.picking.setPins([7])")
    chosen = set(state(page)["visible"])
    send(page, "edit")
    assert (set(state(page)["visible"]), state(page)["pins"]) == (chosen, [7])
    page.evaluate("""async () => { const value = await (await fetch("value/edit")).json();
        window.__cineglass.take({ ...value, run_id: "else", title: "Another film", opens_with: ["Cont"] }); }""")
    assert state(page)["visible"] == ["Cont"]  # another film opens with its own


def test_what_the_curves_show_is_told_above_them_where_no_curve_runs(opened):
    for width in (360, 1180):
        page = opened(width=width)
        for name in ("A", "A − B"):
            choose(page, name)
            top, notes = page.evaluate("[window.__cineglass.curves.top, window.__cineglass.curves.placed.map(({ line }) => 9 + 16 * line + 7)]")
            assert notes
            assert max(notes) < top


def test_hostile_labels_edits_and_sentences_are_shown_and_never_run(opened):
    page = opened("hostile")
    for name in ("B", "A − B"):
        choose(page, name)
    assert page.locator(".cg-conditions").get_by_text(NASTY, exact=True).count() == 4
    assert page.locator(".cg-lead").inner_text() == NASTY
    assert page.locator(".cg-warnings").inner_text() == f"B: {NASTY}"
    page.wait_for_timeout(150)
    assert page.evaluate("window.__fired") is None
    assert page.locator(".cineglass img, .cineglass script").count() == 0


def test_a_phone_shows_both_conditions_without_sideways_scrolling_or_jumping(opened):
    page = opened(width=360, height=740)
    seek(page, 20.0)
    heights = set()
    for name in ("A", "B", "A − B"):
        choose(page, name)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        heights.add(page.locator(".cineglass").bounding_box()["height"])
    assert len(heights) == 1
    for part in (".cg-shown", ".cg-conditions", ".cg-changes", ".cg-tabs"):
        box = page.locator(part).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
