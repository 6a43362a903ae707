"""Clock, curves and chunks of the player in a real browser, against Python's own arithmetic and planted values."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from encoder.curves import curve_ids, curve_masks
from extractors.grid import TR
from tests.browser.curves_page import LONG_ROWS, LONG_S, MEASURED, UNKNOWN_ROW, planted_rest, row_at, serve
from tests.browser.player_page import DURATION, ROWS, planted, planted_value, spoken

pytestmark = pytest.mark.browser
ATLAS = json.loads((Path(__file__).parents[2] / "assets/player/atlas.json").read_text(encoding="utf-8"))
CHUNK = re.compile(r"/cineglass/chunks/(first|second)-(\d+)\.i8")
SET = "(change) => window.__cineglass.set({ ...change, ...(change.visible ? { visible: new Set(change.visible) } : {}) }, 'curves')"


@pytest.fixture(scope="module")
def address(tmp_path_factory, browser):
    server, where = serve(tmp_path_factory.mktemp("curves"))
    yield where
    server.should_exit = True


@pytest.fixture
def opened(open_page, address):
    """Open the page with one of its values, paused; `first` has a film, the others have none."""

    def open_it(name: str = "first", **options):
        page = open_page(address, **options)
        send(page, name)
        if name == "first":
            page.wait_for_function("window.__cineglass.part.video.readyState >= 2")
        return page

    return open_it


def send(page, name: str) -> None:
    page.evaluate("name => window.send(name)", name)
    page.wait_for_function("name => window.__cineglass.state().run === name", arg=name)
    page.evaluate("window.__cineglass.clock.pause()")


def state(page) -> dict:
    return page.evaluate("window.__cineglass.state()")


def seek(page, time: float) -> dict:
    page.evaluate("time => window.__cineglass.clock.seek(time)", time)
    page.wait_for_function("!window.__cineglass.part.video.seeking")
    return state(page)


def put(page, **change) -> None:
    """Change settings of the curves, as a control would."""
    page.evaluate(SET, change)


def lines(page) -> dict[str, list]:
    """Values of every line that is drawn, by its id."""
    script = """window.__cineglass.curves.drawn.map(({curve, side, values, other}) =>
        [side ? `${curve.id}-${side}` : curve.id, [...values], other ? [...other] : null])"""
    return {name: (np.array(values, float), None if other is None else np.array(other, float)) for name, values, other in page.evaluate(script)}


def curves(page, what: str):
    return page.evaluate(f"window.__cineglass.curves.{what}")


def key(page, name: str) -> None:
    """Press a key on the plot and wait for the picture."""
    page.locator(".cg-plot").focus()
    page.keyboard.press(name)
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


# ---- one clock ----

SEEN = """(() => {
  const all = (name) => [...document.querySelectorAll(name)];
  const box = (name) => (({ x, width }) => ({ x, width }))(all(name)[0].getBoundingClientRect());
  const marked = all(".cg-word").flatMap((word, i) => (word.classList.contains("is-now") ? [i] : []));
  const nowhere = all(".cg-nohead")[0];
  const shown = nowhere.checkVisibility({ visibilityProperty: true }) && nowhere.getBoundingClientRect().width > 0;
  return [box(".cg-playhead"), box(".cg-band"), shown, all(".cg-cue .is-now").map((word) => word.innerText), marked];
})()"""
"""What a visitor sees at one time: places of playhead and band, whether no prediction is there, the word of the cue and of the transcript."""


@pytest.mark.parametrize("lag", [0, 5])
def test_at_fifty_random_times_row_playhead_and_word_are_those_of_python(opened, lag):
    page = opened()
    page.evaluate("lag => window.__cineglass.set({ lag }, 'brain', 'curves')", lag)
    page.get_by_role("tab", name="Transcript").click()
    words = spoken().words
    box = page.locator(".cg-plot").bounding_box()
    beyond = 0
    for time in np.random.default_rng(20 + lag).uniform(0, DURATION - 0.05, 50).round(3):
        now = seek(page, float(time))
        row = row_at(time, lag, ROWS)
        assert now["time"] == pytest.approx(time, abs=2e-3)
        assert now["row"] == now["shownRow"] == row, time
        head, band, nowhere, cue, marked = page.evaluate(SEEN)
        assert head["x"] + 1 - box["x"] == pytest.approx(now["plot"]["left"] + time / DURATION * now["plot"]["width"], abs=1.1)
        assert nowhere == (row < 0)
        said = [number for number, word in enumerate(words) if word.onset - 0.02 <= time <= word.onset + word.duration + 0.15]
        assert cue == [words[number].text for number in said[-1:]], time
        assert marked == said[-1:], time
        if row < 0:
            beyond += 1
            continue
        start, end = (max(0.0, min(DURATION, edge * TR - lag)) for edge in (row, row + 1))
        assert band["x"] - box["x"] == pytest.approx(now["plot"]["left"] + start / DURATION * now["plot"]["width"], abs=0.6)
        assert band["width"] == pytest.approx((end - start) / DURATION * now["plot"]["width"], abs=0.6)
    assert beyond > 1 or not lag


def test_shifted_beyond_the_last_row_nothing_of_it_is_held(opened):
    page = opened()
    dots = "(c => c.getImageData(0, 0, c.canvas.width, c.canvas.height).data.some((value) => value))(window.__cineglass.curves.dotContext)"
    for time, lag in ((ROWS * TR - 5 + 0.01, 5), (DURATION - 1, 5), (DURATION, 5)):
        page.evaluate("lag => window.__cineglass.set({ lag }, 'brain', 'curves')", lag)
        assert seek(page, (ROWS - 0.5) * TR - lag)["row"] == ROWS - 1
        assert page.evaluate(dots)
        assert not page.locator(".cg-nohead").is_visible()
        assert seek(page, time)["row"] == -1
        assert not page.evaluate(dots)
        assert page.locator(".cg-nohead").is_visible()
        assert "no prediction here" in page.locator(".cg-rownote").inner_text()


def test_the_speed_is_the_films_and_the_stopwatchs(opened):
    page = opened()
    page.evaluate("window.__cineglass.clock.setRate(2)")
    assert page.evaluate("(({video}) => [video.playbackRate, video.preservesPitch])(window.__cineglass.part)") == [2, True]
    send(page, "two")
    run = """async () => { const c = window.__cineglass.clock; c.seek(0); c.play(); const began = performance.now();
        await new Promise((done) => setTimeout(done, 400)); c.pause(); return c.time / ((performance.now() - began) / 1000); }"""
    assert page.evaluate(run) == pytest.approx(2, rel=0.1)
    page.evaluate("window.__cineglass.clock.setRate(0.5)")
    assert page.evaluate(run) == pytest.approx(0.5, rel=0.1)


def test_a_change_of_speed_does_not_move_the_stopwatch(opened):
    page = opened("two")
    moved = """() => { const c = window.__cineglass.clock; c.seek(10); c.play(); const before = c.time; c.setRate(2); return c.time - before; }"""
    assert abs(page.evaluate(moved)) < 0.1


def test_a_new_film_keeps_the_speed(opened):
    page = opened("two")
    page.evaluate("window.__cineglass.clock.setRate(1.5)")
    send(page, "first")
    page.wait_for_function("window.__cineglass.part.video.readyState >= 2")
    assert page.evaluate("window.__cineglass.part.video.playbackRate") == 1.5


# ---- chunks ----


def test_six_hundred_rows_of_four_subjects_and_a_second_series_arrive_whole_and_the_nearest_first(opened):
    page = opened()
    asked = []
    page.on("request", lambda request: asked.extend(CHUNK.findall(request.url)))
    send(page, "long")
    page.wait_for_function("window.__cineglass.result.everySeries.every(({ chunks }) => chunks.whole)")
    assert sorted(asked) == [("first", "1"), ("first", "2"), ("second", "1"), ("second", "2")]
    script = """([second, id, row]) => { const r = window.__cineglass.result; const out = new Float32Array(1000);
        const there = (second ? r.second : r).fill(id, row, out); return [there, [...out]]; }"""
    for row in (0, 199, 200, 399, 400, 599):
        for number, id in enumerate(("sim1", "sim2", "sim3", "sim5")):
            truth = np.array([planted_value(number, row, parcel) for parcel in range(1000)])
            rest = np.array([planted_rest(number, row, parcel) for parcel in range(1000)])
            for second in (False, True):
                there, values = page.evaluate(script, [second, id, row])
                assert there
                np.testing.assert_allclose(values, truth + rest * second, atol=0.006)
    _, mean = page.evaluate(script, [False, "mean", 471])
    np.testing.assert_allclose(mean, [np.mean([planted_value(s, 471, p) for s in range(4)]) for p in range(1000)], atol=0.006)


def test_the_chunk_at_the_playhead_is_asked_for_first(opened):
    page = opened()
    asked, held = [], []

    def hold(route):
        asked.extend(CHUNK.findall(route.request.url))
        held.append(route)

    page.route("**/cineglass/chunks/**", hold)
    send(page, "long")
    page.wait_for_function("window.__cineglass.result.chunks.fetching")
    seek(page, 500 * TR)
    while sum(name == "first" for name, _ in asked) < 2:
        if held:
            held.pop(0).continue_()
        page.wait_for_timeout(20)
    assert [number for name, number in asked if name == "first"] == ["1", "2"]  # 1 was under way when the playhead left
    for route in held:
        route.continue_()
    page.unroute("**/cineglass/chunks/**")


def test_a_chunk_that_is_missing_is_told_in_words_and_asked_for_again(opened):
    page = opened(allowed=("ERR_FAILED", "503"))
    tries = []

    def fail(route):
        tries.append(route.request.url)
        if len(tries) == 1:
            route.abort()
        elif len(tries) == 2:
            route.fulfill(status=503, body="")
        else:
            route.fulfill(status=200, body=b"too short")

    page.route("**/chunks/first-2.i8", fail)
    send(page, "long")
    now = seek(page, 450.5 * TR)
    assert now["shownRow"] == 450
    assert now["row"] == -1  # nothing is drawn for it
    page.wait_for_function("window.__cineglass.result.partNote(450) === 'TRs 400 to 599 could not be loaded; trying again.'")
    page.wait_for_function("window.__cineglass.result.chunks.parts[2].failures >= 3", timeout=60_000)
    assert len(tries) >= 3
    assert curves(page, "drawn.length") == 7  # the curves are all there
    page.unroute("**/chunks/first-2.i8")
    page.evaluate("const { chunks } = window.__cineglass.result; chunks.parts[2].again = 0; chunks.fetchNext()")
    page.wait_for_function("window.__cineglass.state().row === 450")
    assert page.evaluate("window.__cineglass.result.partNote(450)") == ""
    shown = page.evaluate("[...window.__cineglass.values]")
    np.testing.assert_allclose(shown, [planted_value(0, 450, parcel) for parcel in range(1000)], atol=0.006)


def test_a_chunk_is_never_fetched_from_another_host(opened):
    page = opened("foreign")  # the page's own check is that no request leaves
    page.wait_for_function("window.__cineglass.result.chunks.parts.some(({ failures }) => failures > 0)")


def test_a_result_that_is_replaced_stops_fetching(opened):
    page = opened(allowed=("ERR_FAILED",))
    asked = []
    page.route("**/cineglass/chunks/**", lambda route: (asked.append(route.request.url), route.abort()))
    send(page, "long")
    page.wait_for_function("window.__cineglass.result.chunks.parts[1].failures > 0")
    page.evaluate("window.__old = window.__cineglass.result")
    send(page, "two")
    page.evaluate("window.__old.chunks.parts.forEach((part) => { part.again = 0; }); window.__old.chunks.fetchNext()")
    before = len(asked)
    page.wait_for_timeout(300)
    assert len(asked) == before


# ---- curves ----


def test_the_curves_are_pythons_for_each_subject_their_mean_and_each_side(opened):
    page = opened()
    script = """(ids) => { const r = window.__cineglass.result; const curves = window.__cineglass.curves.drawn.map(({ curve }) => curve);
        return ids.map(([subject, id, side]) => [...r.curve(subject, { id }, side)]); }"""
    wanted = [(subject, *(*name.split("-"), "")[:2]) for subject in ("sim1", "sim5", "mean") for name in curve_ids()]
    values = planted().values
    rows = {"sim1": values[0], "sim5": values[3], "mean": values.mean(0)}
    for (subject, id, side), curve in zip(wanted, page.evaluate(script, wanted), strict=True):
        mask = curve_masks()[f"{id}-{side}" if side else id]
        np.testing.assert_allclose(curve, rows[subject][:, mask].mean(1), atol=2e-4, err_msg=f"{subject} {id} {side}")


def test_a_pinned_parcel_has_a_line_of_its_own_with_its_name(opened):
    page = opened()
    pins = [40, 700, 911, 3, 999]
    put(page, pins=pins)
    drawn = lines(page)
    for parcel in pins:
        np.testing.assert_allclose(drawn[f"parcel-{parcel}"][0], [planted_value(0, row, parcel) for row in range(ROWS)], atol=0.006)
    assert sum(label["id"].startswith("parcel") for label in state(page)["labels"]) == 5
    named = curves(page, "drawn.filter(({ curve }) => curve.kind === 'pin').map(({ curve, colour }) => [curve.label, colour])")
    assert [name for name, _ in named] == [ATLAS["labels"][parcel].replace("7Networks_", "").replace("_", " ") for parcel in pins]
    assert len({colour for _, colour in named}) == 5
    assert curves(page, "range") >= max(abs(planted_value(0, row, parcel)) for row in range(ROWS) for parcel in pins)


def test_a_pinned_line_is_drawn_where_its_values_are(opened):
    page = opened()
    put(page, pins=[40], visible=[], band=False)
    column = """(row) => {
      const c = window.__cineglass.curves;
      const data = c.context.getImageData(Math.round(c.xOf(c.timeOf(row, c.lag)) * c.ratio), 0, 1, c.canvas.height).data;
      return [[...data], c.drawn[0].colour, c.ratio, c.top, c.height - c.top - c.bottom, c.range];
    }"""
    seen = 0
    for row in range(2, ROWS - 2):
        data, colour, ratio, top, height, span = page.evaluate(column, row)
        pixels = np.array(data).reshape(-1, 4)
        ink = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)] + [255])
        hits = np.flatnonzero(np.abs(pixels - ink).sum(1) < 40) / ratio
        if not hits.size:
            continue  # between two dashes
        seen += 1
        expected = top + height / 2 - planted_value(0, row, 40) / span * height / 2
        assert np.abs(hits + 0.5 - expected).min() < 4, row  # a line's corner is round
    assert seen > ROWS / 3


def test_a_pinned_parcels_line_waits_for_its_chunks_and_says_so(opened):
    page = opened()
    held, open_now = [], []
    page.route("**/chunks/first-*.i8", lambda route: route.continue_() if open_now else held.append(route))
    send(page, "long")
    put(page, pins=[123], second="off")
    early = lines(page)["parcel-123"][0]
    assert np.isfinite(early[:200]).all()
    assert np.isnan(early[200:]).all()
    assert "pinned parcels: some TRs still loading" in curves(page, "notes")
    open_now.append(True)
    for route in held:
        route.continue_()
    page.wait_for_function("window.__cineglass.result.everySeries.every(({ chunks }) => chunks.whole)")
    np.testing.assert_allclose(lines(page)["parcel-123"][0], [planted_value(0, row, 123) for row in range(LONG_ROWS)], atol=0.006)
    assert "pinned parcels: some TRs still loading" not in curves(page, "notes")


def test_an_axis_of_its_own_is_marked_and_a_locked_one_has_the_brains_range(opened):
    page = opened()
    assert "own scale" in curves(page, "notes")
    assert curves(page, "range") != state(page)["range"]
    put(page, locked=True)
    assert curves(page, "notes") == []
    assert curves(page, "range") == state(page)["range"]


@pytest.mark.parametrize("locked", [True, False])
def test_the_strip_at_the_axis_has_the_brains_colour_of_each_height(opened, locked):
    page = opened()
    put(page, locked=locked)
    script = """(value) => {
      const c = window.__cineglass.curves;
      return [...c.context.getImageData(Math.floor((c.left - 5) * c.ratio), Math.floor(c.yOf(value) * c.ratio), 1, 1).data].slice(0, 3);
    }"""
    stops = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in ATLAS["maps"]["light"]], float)
    full = state(page)["range"]
    for value in (-0.45, -0.2, 0.0, 0.2, 0.45):
        place = (value / full + 1) / 2 * (len(stops) - 1)
        expected = [np.interp(place, range(len(stops)), stops[:, channel]) for channel in range(3)]
        np.testing.assert_allclose(page.evaluate(script, value), expected, atol=9)


# ---- a second series ----


def test_a_second_series_stands_beside_the_first_or_is_what_it_has_more(opened):
    page = opened("two")
    put(page, pins=[77], second="beside")
    mask = curve_masks()["DorsAttn"]
    first = np.array([np.mean([planted_value(0, row, p) for p in np.flatnonzero(mask)]) for row in range(ROWS)])
    rest = np.array([np.mean([planted_rest(0, row, p) for p in np.flatnonzero(mask)]) for row in range(ROWS)])
    rest[UNKNOWN_ROW] = np.nan
    values, other = lines(page)["DorsAttn"]
    np.testing.assert_allclose(values, first, atol=1e-3)
    np.testing.assert_allclose(other, first + rest, atol=1e-3)
    assert curves(page, "notes") == ["own scale", "predicted", MEASURED]
    put(page, second="residual")
    values, other = lines(page)["DorsAttn"]
    assert other is None
    np.testing.assert_allclose(values, rest, atol=2e-3)
    pinned = np.array([planted_rest(0, row, 77) for row in range(ROWS)])
    pinned[UNKNOWN_ROW] = np.nan
    np.testing.assert_allclose(lines(page)["parcel-77"][0], pinned, atol=0.012)
    put(page, second="off")
    assert lines(page)["DorsAttn"][1] is None
    assert page.locator(".cineglass b b").count() == 0


def test_where_a_subject_or_the_mean_has_no_second_series_it_is_said(opened):
    page = opened("two")
    for subject, words in (("sim2", None), ("sim3", "none for this subject"), ("mean", "none for the mean")):
        put(page, subject=subject, second="beside")
        assert (lines(page)["Vis"][1] is None) == bool(words)
        assert (f"{MEASURED}: {words}" in curves(page, "notes")) == bool(words)


# ---- zoom ----


def test_ctrl_and_wheel_zoom_about_the_pointer_and_a_plain_wheel_is_the_pages(opened):
    page = opened("slow", height=500)
    page.locator(".cg-plot").scroll_into_view_if_needed()
    box = page.locator(".cg-plot").bounding_box()
    x = round(box["x"] + curves(page, "left") + 0.3 * curves(page, "plotWidth")) - box["x"]
    page.mouse.move(box["x"] + x, box["y"] + 100)
    before = page.evaluate("x => window.__cineglass.curves.timeAt(x)", x)
    page.keyboard.down("Control")
    for _ in range(4):
        page.mouse.wheel(0, -120)
    page.keyboard.up("Control")
    page.wait_for_function("window.__cineglass.state().window")
    page.wait_for_timeout(100)
    start, end = state(page)["window"]
    assert end - start < LONG_S / 3
    assert page.evaluate("x => window.__cineglass.curves.timeAt(x)", x) == pytest.approx(before, abs=0.5)
    scrolled = page.evaluate("scrollY")
    page.mouse.wheel(0, -60)
    page.wait_for_function("before => scrollY !== before", arg=scrolled)
    assert state(page)["window"] == [start, end]


def test_a_click_in_a_zoomed_plot_goes_to_the_time_that_is_written_there(opened):
    page = opened("slow")
    put(page, window=[300, 420])
    plot, box = state(page)["plot"], page.locator(".cg-plot").bounding_box()
    page.mouse.click(box["x"] + plot["left"] + 0.25 * plot["width"], box["y"] + 150)
    now = state(page)
    assert now["time"] == pytest.approx(330, abs=0.3)
    assert now["row"] == row_at(330, 0, LONG_ROWS)
    assert now["playheadX"] == pytest.approx(plot["left"] + 0.25 * plot["width"], abs=1)


def test_the_time_told_under_a_resting_pointer_is_that_of_the_new_window(opened):
    page = opened("slow")
    plot, box = state(page)["plot"], page.locator(".cg-plot").bounding_box()
    page.mouse.move(box["x"] + plot["left"] + 0.25 * plot["width"], box["y"] + 150)
    put(page, window=[300, 420])
    minutes, seconds = page.locator(".cg-ghost").inner_text().split(" ")[0].split(":")
    assert 60 * int(minutes) + float(seconds) == pytest.approx(330, abs=0.5)


def test_keys_zoom_about_the_playhead_and_back_to_the_whole_film(opened):
    page = opened("slow")
    seek(page, 600)
    whole = page.get_by_role("button", name="Show the whole film")
    assert not whole.is_visible()
    key(page, "+")
    key(page, "+")
    start, end = state(page)["window"]
    assert end - start == pytest.approx(LONG_S / 2.25, rel=0.01)
    assert (600 - start) / (end - start) == pytest.approx(600 / LONG_S, abs=0.02)
    key(page, "-")
    assert np.ptp(state(page)["window"]) == pytest.approx(LONG_S / 1.5, rel=0.01)
    assert whole.is_visible()
    key(page, "0")
    assert state(page)["window"] is None
    for _ in range(20):
        key(page, "+")
    assert np.ptp(state(page)["window"]) == pytest.approx(10 * TR)
    whole.click()
    page.wait_for_function("window.__cineglass.state().window === null")
    assert state(page)["time"] == pytest.approx(600)


def test_shift_and_drag_pan_and_do_not_seek(opened):
    page = opened("slow")
    seek(page, 350)
    put(page, window=[300, 400])
    width, box = curves(page, "plotWidth"), page.locator(".cg-plot").bounding_box()
    x, y = box["x"] + curves(page, "left") + 0.5 * width, box["y"] + 150
    page.keyboard.down("Shift")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 0.25 * width, y, steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
    page.wait_for_timeout(60)
    assert state(page)["window"] == pytest.approx([275, 375], abs=0.5)
    assert state(page)["time"] == 350


def test_two_fingers_zoom_and_keep_their_times(opened):
    page = opened("slow", has_touch=True)
    page.locator(".cg-plot").scroll_into_view_if_needed()
    box, left, width = page.locator(".cg-plot").bounding_box(), curves(page, "left"), curves(page, "plotWidth")
    y = box["y"] + 120
    protocol = page.context.new_cdp_session(page)

    def touch(kind, *places):
        points = [{"x": box["x"] + left + place * width, "y": y, "id": number} for number, place in enumerate(places)]
        protocol.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 0.4)
    time = state(page)["time"]
    touch("touchStart", 0.4, 0.6)
    for share in (0.3, 0.6, 1.0):
        touch("touchMove", 0.4 - 0.2 * share, 0.6 + 0.2 * share)
        page.wait_for_timeout(40)
    touch("touchEnd")
    page.wait_for_function("window.__cineglass.state().window")
    start, end = state(page)["window"]
    assert (start + 0.2 * (end - start)) == pytest.approx(0.4 * LONG_S, abs=6)
    assert (start + 0.8 * (end - start)) == pytest.approx(0.6 * LONG_S, abs=6)
    assert state(page)["time"] == time


def test_the_window_turns_over_with_the_playhead_and_follows_a_seek(opened):
    page = opened("slow")
    seek(page, 350)
    put(page, window=[300, 400])
    assert seek(page, 399)["window"] == [300, 400]
    start, end = seek(page, 401)["window"]
    assert end - start == pytest.approx(100)
    assert start < 401 < start + 15
    start, end = seek(page, 800)["window"]
    assert start < 800 < end
    assert page.locator(".cg-playhead").is_visible()
    put(page, window=[0, 60])  # panned away by hand
    assert not page.locator(".cg-playhead").is_visible()
    page.evaluate("window.__cineglass.tick(window.__cineglass.clock.time)")
    assert state(page)["window"] == [0, 60]
    page.evaluate("window.__cineglass.clock.play()")
    page.wait_for_function("window.__cineglass.state().window[0] > 700")


def test_a_zoomed_axis_has_its_times_and_the_rows_in_their_places(opened):
    page = opened("slow")
    put(page, window=[447, 536.4])  # rows 300 to 360
    left, width = curves(page, "left"), curves(page, "plotWidth")
    for row in (300, 330, 359):
        x = page.evaluate("row => { const c = window.__cineglass.curves; return c.xOf(c.timeOf(row, 0)); }", row)
        assert x == pytest.approx(left + ((row + 0.5) * TR - 447) / 89.4 * width, abs=0.01)
    seek(page, 330 * TR + 0.2)
    band, box = page.locator(".cg-band").bounding_box(), page.locator(".cg-plot").bounding_box()
    assert band["width"] == pytest.approx(TR / 89.4 * width, abs=0.6)
    assert band["x"] - box["x"] == pytest.approx(left + (330 * TR - 447) / 89.4 * width, abs=0.6)


def test_many_rows_on_a_pixel_are_drawn_as_their_lowest_and_highest(opened):
    """A spike of one row must not vanish from the picture of a long film."""
    page = opened("slow", width=360, height=740)
    script = """() => {
      const c = window.__cineglass.curves, kept = c.result, Real = window.Path2D, rows = 6000, seen = [];
      const values = new Float32Array(rows);
      values[3001] = c.range;
      const note = (x, y) => seen.push([x, y]);
      window.Path2D = class { lineTo(x, y) { note(x, y); } moveTo(x, y) { note(x, y); } };
      c.result = { tr: 1.49, rows, duration: rows * 1.49 };
      [c.from, c.to] = [0, rows * 1.49];
      try { c.piecesOf(values); } finally { window.Path2D = Real; c.result = kept; }
      return [seen.length, Math.min(...seen.map(([, y]) => y)), c.top, c.plotWidth];
    }"""
    points, highest, top, width = page.evaluate(script)
    assert highest == pytest.approx(top, abs=0.1)
    assert points < 4 * math.ceil(width)
