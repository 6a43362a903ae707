"""The player in a real browser, against a result whose every value is known."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest

from encoder.curves import curve_ids
from extractors.grid import TR, tr_of
from tests.browser.player_page import DURATION, NASTY, ROWS, planted_spread, planted_value, serve, spoken

pytestmark = pytest.mark.browser
ATLAS = json.loads((Path(__file__).parents[2] / "assets/player/atlas.json").read_text(encoding="utf-8"))
STATE = "window.__cineglass.state()"


@pytest.fixture(scope="module")
def address(tmp_path_factory, browser):
    folder = tmp_path_factory.mktemp("player")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "cache"))
        page, where = serve(folder)
        yield where
        page.close()


@pytest.fixture
def player(open_page, address):
    """The page with a paused player."""
    page = open_page(address)
    ready(page)
    page.evaluate("window.__cineglass.clock.pause()")
    return page


def ready(page):
    page.wait_for_function("window.__cineglass && window.__cineglass.state().row >= 0 && window.__cineglass.part.video.readyState >= 2")


def state(page) -> dict:
    return page.evaluate(STATE)


def seek(page, time: float) -> dict:
    page.evaluate("time => window.__cineglass.clock.seek(time)", time)
    page.wait_for_function("!window.__cineglass.part.video.seeking")
    return state(page)


def send(page, name: str) -> None:
    page.locator(f"#send-{name}").click()


def hover(page, parcel: int, view: str) -> str:
    """Rest the pointer on a parcel's disc (or on one that covers it) and return what the tip says."""
    box = page.locator(".cg-brain").bounding_box()
    at = page.evaluate("([parcel, view]) => window.__cineglass.brain.placeOf(parcel, view)", [parcel, view])
    page.mouse.move(box["x"] + at["x"], box["y"] + at["y"])
    return page.locator(".cg-tip").inner_text()


def hovered_value(page) -> tuple[int, float]:
    hovered = state(page)["hover"]
    text = hovered["text"].replace("−", "-")
    return hovered["parcel"], float(text.split(" z now")[0].split()[-1][-5:])


def pixel_at(page, parcel: int, view: str) -> np.ndarray:
    """RGBA in the middle of a parcel's disc, read from the canvas."""
    script = """([parcel, view]) => { const b = window.__cineglass.brain; const at = b.placeOf(parcel, view);
        return [...b.context.getImageData(Math.floor(at.x * b.ratio), Math.floor(at.y * b.ratio), 1, 1).data, b.parcelAt(at.x, at.y)]; }"""
    return np.array(page.evaluate(script, [parcel, view]))


def outlined(page, parcel: int, view: str) -> bool:
    """Whether an outline of the brain runs through the middle of a parcel's disc."""
    script = """([parcel, view]) => { const b = window.__cineglass.brain; const at = b.placeOf(parcel, view);
        return b.still.getContext('2d').getImageData(Math.floor(at.x * b.ratio), Math.floor(at.y * b.ratio), 1, 1).data[3] > 0; }"""
    return page.evaluate(script, [parcel, view])


def screenshot(page, selector: str) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(page.locator(selector).screenshot())).convert("RGB")).astype(int)


def test_the_example_plays_by_itself_without_sound(open_page, address):
    page = open_page(address)
    page.wait_for_function("window.__cineglass && window.__cineglass.state().time > 0.3")
    assert page.evaluate("[window.__cineglass.part.video.muted, window.__cineglass.part.video.playsInline]") == [True, True]
    first = state(page)["row"]
    page.wait_for_function("row => window.__cineglass.state().row > row", arg=first)


def test_nothing_moves_by_itself_when_the_visitor_wants_less_motion(open_page, address):
    page = open_page(address, reduced_motion="reduce")
    ready(page)
    page.wait_for_timeout(500)
    assert state(page)["time"] == 0
    assert not state(page)["playing"]


def test_row_playhead_and_word_follow_the_film(player):
    words = spoken().words
    for time in (0.0, 1.48, 1.491, 2.2, 15.3, 20.05, 29.83, 40.9):
        now = seek(player, time)
        expected = min(tr_of(time), ROWS - 1)
        assert now["row"] == now["shownRow"] == expected, time
        plot = now["plot"]
        assert now["playheadX"] == pytest.approx(plot["left"] + time / DURATION * plot["width"], abs=0.6)
        spoken_now = [word.text for word in words if word.onset - 0.02 <= time <= word.onset + word.duration + 0.1]
        assert now["word"] == (spoken_now[-1] if spoken_now else None)
        drawn = player.locator(".cg-playhead").bounding_box()
        assert drawn["x"] + 1 - player.locator(".cg-plot").bounding_box()["x"] == pytest.approx(now["playheadX"], abs=1.5)


def test_a_film_ends_with_its_last_whole_tr_on_the_brains_and_says_so(player):
    assert ROWS * TR + 0.3 < DURATION
    whole = seek(player, (ROWS - 0.5) * TR)
    assert "the last whole TR stays" not in player.locator(".cg-rownote").inner_text()
    drawn = player.evaluate("[...window.__cineglass.panes.glass.values]")
    for time in (ROWS * TR + 0.3, DURATION):
        assert seek(player, time)["row"] == whole["row"] == ROWS - 1
        assert player.evaluate("[...window.__cineglass.panes.glass.values]") == drawn
        assert "the last whole TR stays" in player.locator(".cg-rownote").inner_text()
    assert not player.get_by_text("no prediction here").first.is_visible()


def test_words_of_the_field_are_told_in_a_fold_that_keyboard_and_finger_open(player):
    fold = player.locator(".cg-glossary")
    assert not fold.locator("dl").is_visible()
    fold.locator("summary").focus()
    player.keyboard.press("Enter")
    assert fold.locator("dt").all_inner_texts() == ["TR", "BOLD", "Parcel", "z", "Sensitivity to small changes"]
    assert fold.locator("dd").first.is_visible()


def test_values_beyond_the_colours_are_told_below_the_bar(player):
    seek(player, 20.0)
    player.evaluate("window.__cineglass.setRange(0.5, true)")
    values = np.array(player.evaluate("[...window.__cineglass.values]"))
    many = int((np.abs(values) > 0.5).sum())
    assert f"Beyond ±\u00a00.5: {many} parcels." in player.locator(".cg-brainnote").first.inner_text()
    player.evaluate("window.__cineglass.setRange(5, true)")
    assert "Beyond" not in player.locator(".cg-brainnote").first.inner_text()


def test_hovering_names_the_parcel_and_its_value_now_and_follows_time(player):
    seek(player, 10.0)
    text = hover(player, 40, "l")
    parcel, _ = hovered_value(player)
    assert ATLAS["labels"][parcel].replace("7Networks_", "").replace("_", " ") in text
    assert ATLAS["network_names"][ATLAS["network_keys"][ATLAS["networks"][parcel]]] in text
    x, y, z = (str(mm).replace("-", "−") for mm in ATLAS["centroids"][parcel])
    assert f"MNI {x}, {y}, {z}" in text
    for time in (10.0, 16.0, 27.0):
        seek(player, time)
        same, shown = hovered_value(player)
        assert same == parcel
        assert shown == pytest.approx(planted_value(0, tr_of(time), parcel), abs=0.012)


def test_discs_carry_the_colour_of_their_value(player):
    seen = 0
    for row in (3, 8, 14):
        seek(player, (row + 0.5) * TR)
        for parcel in range(0, 1000, 9):
            *rgba, winner = pixel_at(player, parcel, "z")
            value = planted_value(0, row, winner)
            if winner < 0 or abs(value) < 0.35 or rgba[3] < 120 or outlined(player, parcel, "z"):
                continue
            seen += 1
            assert (rgba[0] > rgba[2]) == (value > 0), (row, winner, value, rgba)
    assert seen > 60


def test_subjects_and_their_mean_switch_without_asking_the_server(player):
    seek(player, 12.0)
    hover(player, 700, "r")
    asked = []
    player.on("request", lambda request: asked.append(request.url))
    for number, name in enumerate(("Sim 1", "Sim 2", "Sim 3", "Sim 5")):
        player.get_by_role("radio", name=name).click()
        hover(player, 700, "r")
        parcel, shown = hovered_value(player)
        assert shown == pytest.approx(planted_value(number, tr_of(12.0), parcel), abs=0.012)
    player.get_by_role("radio", name="Mean").click()
    hover(player, 700, "r")
    parcel, shown = hovered_value(player)
    assert shown == pytest.approx(np.mean([planted_value(subject, tr_of(12.0), parcel) for subject in range(4)]), abs=0.012)
    assert "mean of the four predictions" in player.get_by_role("radio", name="Mean").get_attribute("title")
    assert asked == []


def test_network_curves_are_the_means_of_their_parcels(player):
    script = """([id, side]) => { const p = window.__cineglass; const line = p.curves.drawn.find(({curve}) => curve.id === id);
        return [...p.result.curve('sim3', line.curve, side)]; }"""
    for number, key in enumerate(ATLAS["network_keys"]):
        for side in ("", "L", "R"):
            parcels = [i for i in range(1000) if ATLAS["networks"][i] == number and side in ("", ATLAS["hemispheres"][i])]
            truth = [np.mean([planted_value(2, row, parcel) for parcel in parcels]) for row in range(ROWS)]
            np.testing.assert_allclose(player.evaluate(script, [key, side]), truth, atol=0.004)


def test_the_lag_switch_shows_the_response_five_seconds_later_and_nothing_beyond_the_last_row(player):
    player.get_by_role("radio", name="shifted back 5 s").click()
    assert seek(player, 12.0)["row"] == tr_of(17.0)
    assert player.locator(".cg-reading .cg-num").all_inner_texts() == ["0:12.0", f"{tr_of(17.0)} / {ROWS}", "0:17.0"]
    assert seek(player, 36.0)["row"] == -1
    assert "no prediction here" in player.locator(".cg-rownote").inner_text()
    assert player.locator(".cg-nohead").is_visible()
    hover(player, 40, "l")
    assert "no prediction here" in state(player)["hover"]["text"]
    player.get_by_role("radio", name="with BOLD delay").click()
    assert state(player)["row"] == tr_of(36.0)


def test_keys_drive_the_player_and_leave_text_fields_alone(player):
    seek(player, 10.0)
    player.locator(".cg-plot").focus()
    row = tr_of(10.0)
    for key, step in (("ArrowRight", 1), ("ArrowRight", 1), ("ArrowLeft", -1), ("Shift+ArrowRight", 5), ("Shift+ArrowLeft", -5)):
        row += step
        player.keyboard.press(key)
        player.wait_for_function("row => window.__cineglass.state().row === row", arg=row)
    player.keyboard.press("1")
    assert "Vis" not in state(player)["visible"]
    player.keyboard.press("1")
    assert "Vis" in state(player)["visible"]
    player.keyboard.press("Space")
    player.wait_for_function("window.__cineglass.state().playing")
    player.keyboard.press("Space")
    player.wait_for_function("!window.__cineglass.state().playing")
    before = state(player)
    player.locator("#notes textarea, #notes input").first.fill("")
    player.locator("#notes textarea, #notes input").first.press_sequentially("1 2 3")
    player.keyboard.press("ArrowLeft")
    after = state(player)
    assert player.locator("#notes textarea, #notes input").first.input_value() == "1 2 3"
    assert [after[key] for key in ("row", "visible", "playing")] == [before[key] for key in ("row", "visible", "playing")]


def test_a_click_or_a_drag_on_the_curves_seeks(player):
    plot, box = state(player)["plot"], player.locator(".cg-plot").bounding_box()
    player.mouse.click(box["x"] + plot["left"] + 0.25 * plot["width"], box["y"] + 100)
    assert state(player)["time"] == pytest.approx(0.25 * DURATION, abs=0.1)
    player.mouse.move(box["x"] + plot["left"] + 0.5 * plot["width"], box["y"] + 100)
    player.mouse.down()
    player.mouse.move(box["x"] + plot["left"] + 0.6 * plot["width"], box["y"] + 100, steps=3)
    player.mouse.up()
    player.wait_for_function("time => Math.abs(window.__cineglass.state().time - time) < 0.1", arg=0.6 * DURATION)


def test_a_new_value_keeps_the_film_element_and_the_same_run_keeps_its_time(player):
    seek(player, 17.0)
    player.evaluate("window.__cineglass.part.video.mark = 'same'")
    send(player, "again")
    player.wait_for_function("document.querySelector('.cg-title').textContent.includes('again')")
    assert player.evaluate("document.querySelector('.cineglass video').mark") == "same"
    assert state(player)["time"] == pytest.approx(17.0, abs=0.05)
    send(player, "opened")
    player.wait_for_function("window.__cineglass.state().run === 'opened'")
    assert player.evaluate("document.querySelector('.cineglass video').mark") == "same"
    assert state(player)["time"] < 5


def test_a_run_that_works_or_fails_leaves_the_last_result_in_sight(player):
    seek(player, 17.0)
    send(player, "working")
    player.wait_for_selector(".cineglass[data-state=working]")
    assert player.get_by_text("Listening to the speech, 12 s left").is_visible()
    assert state(player)["row"] == tr_of(17.0)
    send(player, "failed")
    player.wait_for_selector(".cineglass[data-state=failed]")
    assert player.get_by_role("alert").inner_text().replace("\n", " ") == f"{NASTY} Choose another clip."
    assert state(player)["row"] == tr_of(17.0)
    assert player.evaluate("getComputedStyle(document.querySelector('.cg-body')).filter") == "grayscale(1)"
    assert player.evaluate("window.__fired") is None
    send(player, "first")
    player.wait_for_selector(".cineglass[data-state=done]")
    assert not player.get_by_role("alert").is_visible()


def test_hostile_text_is_shown_and_never_runs(player):
    send(player, "opened")
    player.wait_for_function("window.__cineglass.state().run === 'opened'")
    player.evaluate("window.__cineglass.clock.pause()")
    for selector in (".cg-title", ".cg-caption", ".cg-warnings li"):
        assert player.locator(selector).inner_text() == NASTY
    seek(player, 15.2)
    assert player.locator(".cg-subtitles").inner_text() == NASTY
    player.get_by_role("tab", name="Transcript").click()
    assert player.get_by_text(NASTY, exact=True).count() >= 1
    player.wait_for_timeout(200)
    assert player.evaluate("window.__fired") is None
    assert player.locator(".cineglass img, .cineglass script").count() == 0


def test_a_result_opens_with_the_curves_it_names(player):
    assert state(player)["lines"] == ATLAS["network_keys"]
    send(player, "opened")
    player.wait_for_function("window.__cineglass.state().run === 'opened'")
    assert state(player)["lines"] == ["Vis-L", "Vis-R", "Auditory-L", "Auditory-R"]


def test_labels_at_the_lines_ends_do_not_cover_each_other(player):
    player.get_by_text("left and right apart").click()
    for group in ATLAS["groups"]:
        player.locator(f".cg-chip[data-curve={group['id']}]").click()
    now = state(player)
    heights = sorted(label["y"] for label in now["labels"])
    assert len(heights) == len(now["lines"]) > 14
    assert np.diff(heights).min() >= min(11, now["labelSpace"]) - 0.01


def test_the_threshold_fades_and_never_cuts(player):
    seek(player, 12.0)
    row = tr_of(12.0)
    weak = [p for p in range(500) if 0.15 < abs(planted_value(0, row, p)) < 0.3 and pixel_at(player, p, "l")[4] == p][:10]
    before = [pixel_at(player, p, "l")[3] for p in weak]
    player.get_by_role("spinbutton", name="Threshold in z").fill("0.5")
    player.get_by_role("spinbutton", name="Threshold in z").press("Enter")
    after = [pixel_at(player, p, "l")[3] for p in weak]
    assert len(weak) >= 5
    assert all(0 < late < early for early, late in zip(before, after, strict=True))


def test_a_typed_range_holds_and_auto_returns_to_the_98th_percentile(player):
    automatic = state(player)["range"]
    field = player.get_by_role("spinbutton", name="Colour range in z")
    field.fill("2.5")
    field.press("Enter")
    assert state(player)["range"] == 2.5
    field.fill("-1")
    field.press("Enter")
    assert state(player)["range"] == 2.5
    player.get_by_role("button", name="back to auto").click()
    assert state(player)["range"] == automatic == pytest.approx(0.84, abs=0.03)


def test_networks_are_ranked_by_their_value_at_the_playhead(player):
    seek(player, 22.0)
    values = [float(text.replace("−", "-")) for text in player.locator(".cg-ranks").first.locator(".cg-value").all_inner_texts()]
    names = player.locator(".cg-ranks").first.locator(".cg-name").all_inner_texts()
    assert values == sorted(values, reverse=True)
    number = ATLAS["network_keys"].index("Cont")
    truth = np.mean([planted_value(0, tr_of(22.0), p) for p in range(1000) if ATLAS["networks"][p] == number])
    assert values[names.index("Control")] == pytest.approx(truth, abs=0.011)


def test_a_word_of_the_transcript_seeks_and_is_marked(player):
    player.get_by_role("tab", name="Transcript").click()
    player.get_by_text("more5", exact=True).last.click()
    assert state(player)["time"] == pytest.approx(22.5, abs=0.05)
    assert player.locator(".cg-word.is-now").inner_text() == "more5"
    assert player.locator(".cg-note").inner_text() == "Words and times from planted.srt."


def test_a_clip_without_picture_and_a_result_without_film_say_so(player):
    send(player, "sound")
    player.wait_for_function("window.__cineglass.state().run === 'sound'")
    assert player.get_by_text("Sound only: no picture").is_visible()
    assert player.get_by_text("absent: picture").is_visible()
    player.wait_for_function("window.__cineglass.state().time > 0.2")
    send(player, "silent")
    player.wait_for_function("window.__cineglass.state().run === 'silent'")
    assert state(player)["stopwatch"]
    player.wait_for_function("window.__cineglass.state().time > 1.6 && window.__cineglass.state().row === 1")


def test_simulated_is_written_on_the_brain_and_beside_the_curves(player):
    """Erasing the flag must change the pixels of both canvases, and nothing else on the page names it there."""
    before = [screenshot(player, selector) for selector in (".cg-brain", ".cg-plot")]
    player.evaluate("const p = window.__cineglass; p.result.value.simulated = false; p.measure(); p.tick(p.clock.time)")
    after = [screenshot(player, selector) for selector in (".cg-brain", ".cg-plot")]
    for early, late in zip(before, after, strict=True):
        changed = np.argwhere(np.abs(early - late).sum(axis=2) > 60)
        assert len(changed) > 100
        height, width = np.ptp(changed, axis=0)
        assert height < 16
        assert width < 110


def test_dark_theme_changes_page_and_map_and_classic_stays_classic(player):
    assert state(player)["map"] == "light"
    player.evaluate("document.body.classList.add('dark')")
    player.wait_for_function("window.__cineglass.state().map === 'dark'")
    assert screenshot(player, ".cg-brain").mean() < 90
    player.get_by_label("Colour map").select_option("classic")
    assert state(player)["map"] == "classic"


def test_a_phone_shows_everything_without_sideways_scrolling(open_page, address):
    page = open_page(address, width=360, height=740)
    ready(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for part in (".cg-screen", ".cg-brain", ".cg-plot", ".cg-segments"):
        box = page.locator(part).first.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
    size = page.locator(".cineglass").bounding_box()["height"]
    seek(page, 20.0)
    assert page.locator(".cineglass").bounding_box()["height"] == size


def test_nothing_is_drawn_while_the_player_is_out_of_sight(player):
    player.evaluate("document.body.insertAdjacentHTML('afterbegin', '<div style=\"height:4000px\"></div>'); scrollTo(0, 0)")
    player.wait_for_function("!window.__cineglass.onScreen")
    before = state(player)["row"]
    player.evaluate("window.__cineglass.clock.seek(30)")
    assert state(player)["row"] == before
    player.locator(".cg-plot").scroll_into_view_if_needed()
    player.wait_for_function("row => window.__cineglass.state().row === row", arg=tr_of(30.0))


@pytest.fixture
def averaged(player):
    """The player with a result of three checkpoints."""
    send(player, "averaged")
    player.wait_for_function("window.__cineglass.state().run === 'averaged'")
    player.evaluate("window.__cineglass.clock.pause()")
    return player


def test_an_ensembles_curves_have_a_band_that_can_be_switched_off_and_says_what_it_is(averaged):
    drawn = screenshot(averaged, ".cg-plot")
    assert state(averaged)["bands"] == len(state(averaged)["lines"]) == 7
    assert averaged.get_by_text("Band: ± 1 SD between 3 checkpoints.").is_visible()
    averaged.get_by_label("spread between checkpoints").uncheck()
    bare = screenshot(averaged, ".cg-plot")
    assert state(averaged)["bands"] == 0
    assert not averaged.get_by_text("Band: ± 1 SD").is_visible()
    assert (np.abs(drawn - bare).sum(axis=2) > 8).mean() > 0.1
    averaged.get_by_label("spread between checkpoints").check()
    assert np.abs(screenshot(averaged, ".cg-plot") - drawn).max() == 0


def test_a_single_models_curves_have_no_band_and_no_switch_for_it(player):
    assert state(player)["bands"] == 0
    assert not player.get_by_label("spread between checkpoints").is_visible()
    assert not player.locator(".cg-bandnote").is_visible()
    assert player.locator(".cg-sd:visible").count() == 0


def test_the_band_is_the_one_of_the_curve_the_side_and_the_subject_or_their_mean(averaged):
    script = """side => { const p = window.__cineglass; const r = p.result;
        return CURVE_IDS.map((id) => [...r.band(p.settings.subject, { id }, side)]); }"""
    ids = list(curve_ids())
    for place, name in enumerate(("Sim 1", "Sim 2", "Sim 3", "Sim 5", "Mean")):
        averaged.get_by_role("radio", name=name).click()
        for side in ("", "R"):
            wanted = ["Vis", "Default", "Auditory"]
            got = averaged.evaluate(script.replace("CURVE_IDS", json.dumps(wanted)), side)
            for curve, band in zip(wanted, got, strict=True):
                number = ids.index(f"{curve}-{side}" if side else curve)
                np.testing.assert_allclose(band, [planted_spread(place, row, number) for row in range(ROWS)], atol=0.002)


def test_the_band_reaches_one_standard_deviation_above_and_below_the_line(averaged):
    """Where the band of a lone curve begins and ends, read from the canvas at the middle of a row."""
    for key in ATLAS["network_keys"][1:]:
        averaged.locator(f".cg-chip[data-curve={key}]").click()
    script = """row => { const p = window.__cineglass, c = p.curves; const { band, values } = c.drawn[0];
        const x = Math.round(c.xOf(c.timeOf(row, 0)) * c.ratio), tall = c.canvas.height;
        const column = (on) => {
            p.set({ band: on }, "curves");
            return c.context.getImageData(x, 0, 1, tall).data;
        };
        const bare = [...column(false)], drawn = [...column(true)];
        const differs = (y) => [0, 1, 2, 3].some((i) => Math.abs(bare[4 * y + i] - drawn[4 * y + i]) > 6);
        const changed = Array.from({ length: tall }, (_, y) => y).filter(differs);
        return [changed[0] / c.ratio, changed[changed.length - 1] / c.ratio, c.yOf(values[row] + band[row]), c.yOf(values[row] - band[row])]; }"""
    for row in (4, 9, 14):
        top, bottom, above, below = averaged.evaluate(script, row)
        assert below - above > 8
        assert top == pytest.approx(above, abs=3)
        assert bottom == pytest.approx(below, abs=3)


def test_the_ranking_gives_the_spread_beside_each_value(averaged):
    seek(averaged, 22.0)
    row = averaged.locator(".cg-rank", has_text="Default mode").first
    number = list(curve_ids()).index("Default")
    assert row.locator(".cg-sd").inner_text() == f"± {planted_spread(0, tr_of(22.0), number):.2f}"


def test_the_band_fits_a_phone(open_page, address):
    page = open_page(address, width=360, height=740)
    ready(page)
    send(page, "averaged")
    page.wait_for_function("window.__cineglass.state().run === 'averaged'")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for part in (".cg-bandnote", ".cg-sd >> nth=0"):
        box = page.locator(part).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360


def test_every_control_has_a_name_and_focus_can_be_seen(player):
    nameless = player.evaluate("""() => [...document.querySelectorAll('.cineglass button, .cineglass input, .cineglass select, .cineglass [role]')]
        .filter((e) => e.offsetParent && !['group', 'tabpanel', 'tablist', 'status', 'tooltip', 'alert'].includes(e.getAttribute('role')))
        .filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.closest('label')?.textContent.trim())).map((e) => e.outerHTML)""")
    assert nameless == []
    player.locator(".cg-play").focus()
    player.keyboard.press("Tab")
    assert player.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_the_film_comes_from_the_cache_and_its_own_folder_stays_closed(open_page, address):
    player = open_page(address, allowed=("403",))
    ready(player)
    source = player.evaluate("window.__cineglass.part.video.src")
    assert "/gradio_api/file=" in source
    assert "cache" in source
    original = source.split("file=")[1].split("/cache/")[0] + "/clip.webm"
    status = player.evaluate("url => fetch(url).then((reply) => reply.status)", f"{address}gradio_api/file={original}")
    assert Path(original).is_file()
    assert status == 403


def test_what_the_player_is_sent_is_small(player):
    value = json.loads(player.evaluate("JSON.stringify(window.__cineglass.result.value)"))
    assert len(json.dumps(value)) <= 1500 * ROWS * 4
    assert len(base64.b64decode(value["parcels"]["chunks"][0]["data"])) == 4 * ROWS * 1000
