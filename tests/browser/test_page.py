"""The page in a real browser: what a visitor sees and does, from landing to a moving brain, and what goes wrong on the way."""

from __future__ import annotations

import re
import shutil
import threading
import time
from pathlib import Path

import gradio
import pytest

from experiments.examples import list_examples
from tests.films import write_film
from tests.page_server import NASTY, Pace, app_process, serving, wait_until

pytestmark = pytest.mark.browser
NASTY_FILE = "<img src=x onerror='window.__fired=1'> ${window.__fired=1} `b`.mp4"
STATE = "window.__cineglass.state()"
SHORT_S = 16.0


@pytest.fixture(scope="module")
def pace():
    return Pace()


@pytest.fixture(scope="module")
def paced(tmp_path_factory, browser, pace):
    """The page with a job whose pace the tests set; one visitor may wait."""
    with serving(tmp_path_factory.mktemp("paced") / "cache", predict=pace.predict, queue_size=1) as (url, _):
        yield url


@pytest.fixture
def visit(open_page, paced, pace):
    """A visitor on the landing page, with a job that runs through; brain and film rest unless a test is about what moves."""
    pace.go.set()
    pace.fail.clear()

    def enter(**options):
        page = open_page(paced, **{"still": True} | options)
        landed(page)
        return page

    yield enter
    pace.go.set()
    pace.fail.clear()


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_film(tmp_path_factory.mktemp("film") / "bar.mp4", seconds=SHORT_S)


def landed(page):
    page.wait_for_selector("#cp-run:visible")
    page.wait_for_function(f"window.__cineglass && {STATE}.row >= 0")


def shown(page) -> dict:
    return page.evaluate(STATE)


def status(page) -> str:
    return page.locator("#cp-status .cp-status").get_attribute("data-state")


def wait_status(page, state: str, seconds: float = 45.0):
    page.wait_for_selector(f"#cp-status .cp-status[data-state={state}]", timeout=seconds * 1000, state="attached")


def choose_film(page, path: Path):
    page.set_input_files("#cp-upload input[type=file]", path)
    page.wait_for_selector(f".cp-clip:has-text('{SHORT_S:.1f} s')", timeout=120_000)  # it goes through the gate


# landing ----------------------------------------------------------------------------------------------------------------------------


def test_landing_shows_the_first_example_in_motion_without_a_click(visit):
    page = visit(still=False)
    first = list_examples()[0]
    assert page.locator(".cp-top-clip strong").inner_text() == first.title
    assert shown(page)["run"] == f"cineglass/examples/{first.id}"
    before = shown(page)["time"]
    page.wait_for_function(f"{STATE}.time > {before + 0.5}")
    assert page.locator(".cp-badge").inner_text() == "Textbook simulation"
    assert page.locator(".cp-gallery button[aria-pressed=true]").count() == 1
    assert not page.locator("#cp-stop").is_visible()


def test_there_is_one_primary_button(visit):
    assert visit().locator("button.primary:visible").count() == 1


def test_every_example_opens_with_its_result_and_its_files(visit):
    page = visit()
    for example in list_examples():
        page.locator(".cp-example", has_text=example.title).click()
        page.wait_for_function(f"{STATE}.run === 'cineglass/examples/{example.id}'")
        if example.opens_with:
            assert set(shown(page)["lines"]) == set(example.opens_with)
    page.get_by_role("tab", name="Export").click()
    hrefs = [link.get_attribute("href") for link in page.locator(".cp-files a").all()]
    assert len(hrefs) >= 8
    for href in hrefs:
        answer = page.request.get(f"{page.url.split('?')[0]}{href}")
        assert answer.status == 200, href
        assert len(answer.body()) > 10 or "transcript" in href, href  # a film without words has empty subtitles


def test_text_can_be_read_in_both_themes(visit, paced):
    page = visit()
    for theme in ("light", "dark"):
        page.goto(f"{paced}/?__theme={theme}")
        landed(page)
        for selector in (
            ".cp-brand h1",
            ".cp-brand p",
            ".cp-caption",
            ".cp-note",
            "#cp-run",
            ".cp-badge span",
            "#cp-tabs [role=tab][aria-selected=true]",
        ):
            assert contrast(page, selector) >= 4.5, (theme, selector)
        behind = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)")
        assert max(behind) < 60 if theme == "dark" else min(behind) > 200, (theme, behind)


def test_nothing_sticks_out_sideways_down_to_a_phone(visit):
    page = visit(width=1440)
    for width in (1440, 1024, 768, 360):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function("width => document.documentElement.clientWidth <= width", arg=width)
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        out = "width => [...document.querySelectorAll('#cp-left *, #cp-top *')].filter(node => node.getBoundingClientRect().right > width + 1).length"
        assert page.evaluate(out, width) == 0


def test_every_control_can_be_reached_by_keyboard_and_has_a_name(visit):
    page = visit()
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('#cp-left button, #cp-left input:not([type=file])')].filter(node => node.offsetParent)
            .filter(node => !(node.textContent || node.ariaLabel || node.title || (node.labels && node.labels.length))).map(node => node.outerHTML)"""
    )
    assert unnamed == []
    page.locator(".cp-example").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_function(f"{STATE}.run === 'cineglass/examples/{list_examples()[1].id}'")


# run --------------------------------------------------------------------------------------------------------------------------------


def test_who_presses_run_by_keyboard_reaches_stop_with_one_key_and_then_run_again(visit, pace):
    page = visit()
    pace.go.clear()
    page.locator("#cp-run").focus()
    page.keyboard.press("Enter")
    wait_status(page, "working")
    page.wait_for_function("document.activeElement.classList.contains('cp-status')")
    page.wait_for_selector("#cp-stop")  # the page draws its parts one after the other
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.id") == "cp-stop"
    page.keyboard.press("Enter")
    wait_status(page, "stopped")
    page.wait_for_function("document.activeElement.classList.contains('cp-status')")
    page.wait_for_selector("#cp-stop", state="hidden")
    page.wait_for_selector("#cp-run:enabled")

    def one_key_reaches_run() -> bool:
        page.locator("#cp-status .cp-status").focus()
        page.keyboard.press("Shift+Tab")
        return page.evaluate("document.activeElement.id") == "cp-run"

    wait_until(one_key_reaches_run)  # the page draws its parts one after the other, and a button that is drawn anew has no focus


def test_a_run_tells_its_stages_and_ends_in_a_result(visit, pace, film):
    pace.go.clear()
    page = visit()
    choose_film(page, film)
    page.click("#cp-run")
    wait_status(page, "working")
    page.wait_for_selector(".cp-stages li[data-state=active]:has-text('Picture')")
    assert page.locator(".cp-stages li[data-state=done]").all_inner_texts()[0].startswith("Check and prepare the film")
    assert float(page.locator("#cp-status .cp-bar").get_attribute("aria-valuenow")) > 0
    assert shown(page)["state"] == "working"
    pace.go.set()
    wait_status(page, "done")
    page.wait_for_function(f"{STATE}.run.startsWith('cineglass/runs/')")
    assert shown(page)["state"] == "done"
    assert page.locator(".cp-top-clip strong").inner_text() == "bar.mp4"
    assert page.locator("#cp-run").is_visible()


def test_stop_is_honoured_within_two_seconds_and_the_last_result_comes_back(visit, pace):
    pace.go.clear()
    page = visit()
    before = shown(page)["run"]
    page.click("#cp-run")
    page.wait_for_selector(".cp-stages li[data-state=active]")
    closed = pace.closed
    began = time.monotonic()
    page.click("#cp-stop")
    wait_status(page, "stopped")
    wait_until(lambda: pace.closed == closed + 1, 2.0)
    assert time.monotonic() - began < 2.0
    assert page.locator("#cp-run").is_visible()
    assert (shown(page)["run"], shown(page)["state"]) == (before, "done")
    pace.go.set()
    page.click("#cp-run")
    wait_status(page, "done")


def test_what_is_said_of_a_job_after_its_end_is_not_shown(visit):
    """Answers that Gradio queues are overtaken by those that it does not: on a busy machine "Working" came after "Stopped" and stayed."""
    page = visit()
    drawn = page.evaluate(
        """() => {
            const element = document.createElement("div"), props = { value: { state: "empty", stages: [] } }, told = [];
            element.append(document.createElement("div"));
            let update;
            window.CineglassPage.mount("status", { element, props, trigger() {}, events: [], watch: (_, call) => (update = call) });
            for (const [state, job] of [["working", "a"], ["stopped", "a"], ["working", "a"], ["working", "b"], ["done", "b"], ["working", "b"]]) {
                props.value = { state, job, title: state, stages: [] };
                update();
                told.push(element.firstElementChild.dataset.state);
            }
            return told;
        }"""
    )
    assert drawn == ["working", "stopped", "stopped", "working", "done", "done"]
    before = shown(page)["run"]
    for state, job, expected in (("working", "a", "working"), ("done", "a", "done"), ("working", "a", "done"), ("working", "b", "working")):
        page.evaluate("([state, job]) => window.__cineglass.take({ version: 1, state, job, message: 'The picture is read' })", [state, job])
        assert (shown(page)["run"], shown(page)["state"]) == (before, expected)


def test_a_failure_keeps_the_last_result_greyed_and_says_what_to_do(visit, pace):
    pace.fail.set()
    page = visit()
    before = shown(page)["run"]
    page.click("#cp-run")
    wait_status(page, "failed")
    assert page.locator("#cp-status .cp-problem").inner_text().split("\n\n") == ["The picture ends in the middle.", "Save it again as H.264 MP4."]
    assert (shown(page)["run"], shown(page)["state"]) == (before, "failed")
    page.locator(".cp-example").first.click()
    page.wait_for_function(f"{STATE}.state === 'done'")
    assert not page.locator(".cp-problem").is_visible()


def test_a_server_that_was_started_again_is_said_and_the_controls_rest(open_page, tmp_path):
    with serving(tmp_path / "first", predict=Pace().predict) as (url, _):
        page = open_page(url, allowed=("Failed to load resource", "ERR_"))
        landed(page)
        page.wait_for_function("performance.getEntriesByName(`${location.href}cineglass/server`).some((asked) => asked.responseEnd > 0)")
        page.evaluate("window.scrollTo(0, 900)")
        port = int(url.rsplit(":", 1)[1])
    with serving(tmp_path / "second", predict=Pace().predict, port=port):
        page.wait_for_selector(".cp-banner:has-text('was started again')", timeout=60_000)
        assert page.evaluate("document.querySelector('#cp-left').inert")
        assert page.evaluate("document.querySelector('.cp-banner').getBoundingClientRect().top") == 0
        page.get_by_role("button", name="Reload the page").click()
        landed(page)
        assert not page.locator(".cp-banner").is_visible()
        assert not page.evaluate("document.querySelector('#cp-left').inert")


def test_a_server_that_was_started_again_in_the_middle_of_a_run_leaves_what_is_on_the_page(open_page, tmp_path):
    pace = Pace()
    with serving(tmp_path / "first", predict=pace.predict) as (url, _):
        page = open_page(url, allowed=("Failed to load resource", "ERR_", "Connection errored out", "Unexpected error", "AbortError"), still=True)
        landed(page)
        page.wait_for_function("performance.getEntriesByName(`${location.href}cineglass/server`).some((asked) => asked.responseEnd > 0)")
        before = shown(page)["run"]
        page.click("#cp-run")
        page.wait_for_selector(".cp-stages li[data-state=active]")
        page.evaluate("window.__same = true")
        port = int(url.rsplit(":", 1)[1])
        threading.Timer(1.0, pace.go.set).start()  # the run may not outlive its server
    with serving(tmp_path / "second", predict=Pace().predict, port=port):
        page.wait_for_selector(".cp-banner:has-text('was started again')", timeout=60_000)
        assert page.evaluate("window.__same")  # Gradio would have opened the page anew
        assert shown(page)["run"] == before
        assert page.evaluate("document.querySelector('#cp-left').inert")
        assert not page.locator(".toast-body").is_visible()
        asked = []
        page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
        page.get_by_role("button", name="Reload the page").click()
        page.wait_for_function("!window.__same")
        landed(page)
        assert not asked, "nothing runs any more"


def test_a_lost_connection_is_said_and_leaves_what_is_on_the_page(visit):
    page = visit(allowed=("Failed to load resource", "ERR_", "Connection errored out"))
    before = shown(page)["run"]
    page.route("**/queue/join*", lambda route: route.abort())
    page.evaluate("window.__same = true")
    page.click("#cp-run")
    page.wait_for_selector(".cp-banner:has-text('connection to the server was lost')", timeout=60_000)
    assert page.evaluate("window.__same")
    assert shown(page)["run"] == before
    assert page.evaluate("document.querySelector('#cp-left').inert")
    assert not page.locator(".toast-body").is_visible()
    page.get_by_role("tab", name="Designs").click()  # its part is made only now
    page.wait_for_selector("#cp-designs [inert]")
    page.get_by_role("button", name="Reload the page").click()
    landed(page)
    assert not page.evaluate("document.querySelector('#cp-left').inert")


def test_a_new_clip_ends_the_failure_of_the_last(visit, pace, film):
    page = visit()
    pace.fail.set()
    page.click("#cp-run")
    wait_status(page, "failed")
    page.wait_for_function(f"{STATE}.state === 'failed'")
    choose_film(page, film)
    page.wait_for_function(f"{STATE}.state === 'done'")
    assert status(page) == "empty"


def test_a_run_that_ends_while_an_example_is_open_brings_its_clip_back(visit, pace, film):
    page = visit()
    choose_film(page, film)
    pace.go.clear()
    page.click("#cp-run")
    page.wait_for_selector(".cp-stages li[data-state=active]")
    page.locator(".cp-example", has_text=list_examples()[1].title).click()
    page.wait_for_selector(".cp-clip", state="hidden")
    pace.go.set()
    wait_status(page, "done")
    page.wait_for_selector(f".cp-clip:has-text('{film.name}')")


def test_a_clip_that_comes_while_another_one_runs_is_the_next_runs(visit, pace, film):
    page = visit()
    pace.go.clear()
    page.click("#cp-run")
    wait_status(page, "working")
    choose_film(page, film)
    pace.go.set()
    wait_status(page, "done")
    assert "examples" in pace.films[-1]
    assert f"{SHORT_S:.1f} s" in page.locator(".cp-clip").inner_text()
    started = pace.started
    page.click("#cp-run")
    wait_until(lambda: pace.started > started)
    assert "uploads" in pace.films[-1]
    wait_status(page, "done")


def test_a_long_left_column_does_not_hide_the_result_of_a_finished_run(visit, pace):
    page = visit(height=500, still=False)
    pace.go.clear()
    page.click("#cp-run")
    wait_status(page, "working")
    page.locator("#cp-status").scroll_into_view_if_needed()
    assert page.locator(".cg-brain").bounding_box()["y"] < -200
    pace.go.set()
    wait_status(page, "done")
    page.wait_for_function("Math.abs(document.getElementById('cp-right').getBoundingClientRect().top) < 60")


def test_a_double_click_makes_one_job(visit, pace):
    pace.go.clear()
    page = visit()
    started = pace.started
    page.locator("#cp-run").dblclick()
    page.wait_for_selector(".cp-stages li[data-state=active]")
    time.sleep(0.5)
    assert pace.started == started + 1


def test_a_closed_page_ends_its_job(visit, pace):
    pace.go.clear()
    page = visit()
    closed = pace.closed
    page.click("#cp-run")
    page.wait_for_selector(".cp-stages li[data-state=active]")
    page.close()
    wait_until(lambda: pace.closed == closed + 1, 5.0)


def test_waiting_visitors_are_told_their_place_and_a_full_line_is_a_sentence_with_the_examples_open(visit, pace):
    pace.go.clear()
    first, second, third = visit(), visit(), visit()
    first.click("#cp-run")
    first.wait_for_selector(".cp-stages li[data-state=active]")
    second.click("#cp-run")
    second.wait_for_selector(".cp-status :text('one run is before yours')")
    third.click("#cp-run")
    wait_status(third, "full")
    assert "visitors are waiting" in third.locator("#cp-status .cp-problem").inner_text()
    assert shown(third)["state"] == "done"
    third.locator(".cp-example").last.click()
    third.wait_for_function(f"{STATE}.run === 'cineglass/examples/{list_examples()[-1].id}'")
    second.locator(".cp-example").last.click()  # the examples stay open to those who wait, too
    second.wait_for_function(f"{STATE}.run === 'cineglass/examples/{list_examples()[-1].id}' && {STATE}.state === 'done'")
    pace.go.set()
    wait_status(first, "done")
    wait_status(second, "done")


def test_two_visitors_with_the_same_film_get_results_of_their_own(visit, pace, film):
    first, second = visit(), visit()
    for page in (first, second):
        choose_film(page, film)
        page.click("#cp-run")
        wait_status(page, "done")
    runs = [shown(page)["run"] for page in (first, second)]
    assert runs[0] != runs[1]
    first.click("#cp-delete")
    first.wait_for_selector(":text('are deleted')")
    root = second.url.split("?")[0]
    assert second.request.get(f"{root}{runs[0]}/responses.json").status == 404
    assert second.request.get(f"{root}{runs[1]}/responses.json").status == 200


# stimulus and words -----------------------------------------------------------------------------------------------------------------


def test_a_file_that_is_no_film_is_named_at_once_and_what_was_there_stays_and_runs(visit, pace, tmp_path):
    wrong = tmp_path / "notes.mp4"
    wrong.write_text("only words " * 100)
    page = visit()
    before = shown(page)["run"]
    page.set_input_files("#cp-upload input[type=file]", wrong)
    page.wait_for_selector("#cp-clip .cp-problem")
    text = page.locator("#cp-clip .cp-problem").inner_text()
    assert str(tmp_path) not in text
    assert "Traceback" not in text
    assert len(text.split("\n\n")) == 2  # what is wrong, and what to do
    assert (shown(page)["run"], shown(page)["state"]) == (before, "done")
    assert page.locator(".cp-still").inner_text() == f"Run still takes {list_examples()[0].title}."
    page.click("#cp-run")
    wait_status(page, "done")
    assert pace.films[-1].endswith(f"{list_examples()[0].id}/clip.mp4")


def test_a_transcript_file_is_used_by_the_next_run(visit, pace, film, tmp_path):
    page = visit()
    choose_film(page, film)
    subtitles = tmp_path / "talk.srt"
    subtitles.write_text("1\n00:00:02,000 --> 00:00:04,000\nhello there\n")
    page.set_input_files("#cp-transcript-file input[type=file]", subtitles)
    page.wait_for_selector(":text('The next run takes these words')")
    page.click("#cp-run")
    wait_status(page, "done")
    assert [word.text for word in pace.transcripts[-1].words] == ["hello", "there"]
    page.click("#cp-no-transcript")
    page.wait_for_selector(":text('The next run takes these words')", state="hidden")


def test_an_edited_row_is_kept_marked_and_used(visit, pace):
    page = visit()
    page.locator(".cp-example", has_text=list_examples()[1].title).click()
    page.wait_for_function(f"{STATE}.run === 'cineglass/examples/{list_examples()[1].id}'")
    page.get_by_role("tab", name="Words").click()
    edit_row(page, 4, "lighthouse")
    page.wait_for_selector(":text('Edited by hand')")
    page.click("#cp-run")
    wait_status(page, "done")
    assert pace.transcripts[-1].edited
    assert pace.transcripts[-1].text_per_tr[4] == "lighthouse"
    assert pace.films[-1].endswith("clip.mp4")


def test_edited_words_are_a_choice_beside_the_others_and_the_choice_is_what_runs(visit, pace):
    page = visit()
    page.locator(".cp-example", has_text=list_examples()[1].title).click()
    page.wait_for_function(f"{STATE}.run === 'cineglass/examples/{list_examples()[1].id}'")
    page.get_by_role("tab", name="Words").click()
    edit_row(page, 4, "lighthouse")
    page.wait_for_selector("#cp-recogniser label:has(:checked):has-text('Edited words')")
    page.get_by_label("No words").check()
    page.wait_for_selector(":text('The next run does not take these words')")
    page.get_by_label("Edited words").check()
    page.wait_for_selector(":text('Press Run to predict with the changed words')")
    page.get_by_label("No words").check()
    page.wait_for_selector(":text('The next run does not take these words')")
    page.click("#cp-run")
    wait_status(page, "done")
    assert pace.transcripts[-1] is None
    page.wait_for_selector("#cp-recogniser label:has-text('Edited words')", state="detached")
    assert page.locator("#cp-recogniser label:has(:checked)").inner_text() == "No words"


def test_on_a_phone_a_finished_run_is_scrolled_to(visit, pace):
    page = visit(width=360, height=740, still=False)
    page.locator("#cp-run").scroll_into_view_if_needed()
    assert page.evaluate("document.querySelector('#cp-right').getBoundingClientRect().bottom") < 740
    page.click("#cp-run")
    wait_status(page, "done")
    page.wait_for_function("Math.abs(document.querySelector('#cp-right').getBoundingClientRect().top) < 100")


def test_a_film_that_is_being_converted_says_how_far_and_how_long_it_is(visit, tmp_path):
    page = visit()
    page.evaluate(
        "window.__said = []; new MutationObserver(() => window.__said.push(document.querySelector('#cp-clip').innerText))"
        ".observe(document.querySelector('#cp-clip'), {childList: true, subtree: true})"
    )
    film = write_film(tmp_path / "old.mp4", seconds=SHORT_S, size=(640, 360), codec="mpeg4")
    page.set_input_files("#cp-upload input[type=file]", film)
    page.wait_for_selector(f".cp-clip:has-text('{SHORT_S:.1f} s')")
    said = " ".join(page.evaluate("window.__said"))
    assert re.search(r"Converting the film \(16 s, 10 TRs\) · \d+ %", said), said


def test_undo_gives_the_words_back(visit):
    page = visit()
    page.get_by_role("tab", name="Words").click()
    before = row_text(page, 5)
    edit_row(page, 5, "something else")
    page.wait_for_selector(":text('Edited by hand')")
    page.click("#cp-words-undo")
    page.wait_for_selector(":text('Edited by hand')", state="hidden")
    wait_until(lambda: row_text(page, 5) == before)


def test_hostile_text_is_shown_as_text_wherever_it_comes_in(visit, pace, film, tmp_path):
    page = visit()
    named = tmp_path / NASTY_FILE
    shutil.copyfile(film, named)
    choose_film(page, named)
    assert page.locator(".cp-clip strong").inner_text() == NASTY_FILE
    subtitles = tmp_path / "${window.__fired=1}.srt"
    subtitles.write_text(f"1\n00:00:02,000 --> 00:00:05,000\n{NASTY}\n")
    page.set_input_files("#cp-transcript-file input[type=file]", subtitles)
    page.wait_for_selector(":text('The next run takes these words')")
    page.click("#cp-run")
    wait_status(page, "done")
    page.get_by_role("tab", name="Words").click()
    edit_row(page, 3, NASTY)
    page.wait_for_selector(":text('Edited by hand')")
    pace.fail.set()
    kept, pace.error = pace.error, type(pace.error)("decode_failed", NASTY, NASTY)
    try:
        page.click("#cp-run")
        wait_status(page, "failed")
    finally:
        pace.error = kept
    assert "${window.__fired=1}" in page.locator("#cp-status .cp-problem").inner_text()
    page.wait_for_timeout(300)
    assert page.evaluate("window.__fired") is None
    assert page.locator("img[src=x]").count() == 0


def test_the_webcam_records_a_film_that_the_gate_lets_in(browser, visit, paced):
    context = browser.new_context()
    context.add_init_script(CAMERA)
    page = context.new_page()
    try:
        page.goto(paced)
        landed(page)
        page.click("text=Record with the webcam")
        page.wait_for_selector(".cp-recorder .cp-note:has-text('Recording 0:02')")
        page.click("text=Stop recording")
        page.wait_for_selector("#cp-clip .cp-problem:has-text('TR')")  # it is a film, but two seconds are too short to run
    finally:
        context.close()


def test_without_a_secure_context_the_page_says_why_there_is_no_webcam(browser, visit, paced):
    context = browser.new_context()
    context.add_init_script("Object.defineProperty(window, 'isSecureContext', {get: () => false})")
    page = context.new_page()
    try:
        page.goto(paced)
        landed(page)
        assert "https" in page.locator(".cp-recorder").inner_text()
        assert page.locator(".cp-recorder button").count() == 0
    finally:
        context.close()


# the real job -----------------------------------------------------------------------------------------------------------------------


def test_a_natural_film_with_speech_goes_from_upload_to_a_moving_brain(open_page, tmp_path):
    talk = natural_film(tmp_path / "talk.mp4")
    with app_process(tmp_path / "app") as (url, told):
        assert any(url in line for line in told)
        page = open_page(url)
        landed(page)
        page.set_input_files("#cp-upload input[type=file]", talk)
        page.wait_for_selector("#cp-clip:has-text('TRs')", timeout=60_000)
        page.click("#cp-run")
        wait_status(page, "done", 120)
        page.wait_for_function(f"{STATE}.run.startsWith('cineglass/runs/') && {STATE}.playing", timeout=60_000)
        before = shown(page)
        picture = page.locator(".cg-brain").screenshot()
        page.wait_for_function(f"{STATE}.shownRow > {before['shownRow']}")
        assert page.locator(".cg-brain").screenshot() != picture
        page.get_by_role("tab", name="Words").click()
        assert "pocketsphinx" in page.locator("#cp-words-note").inner_text()
        assert re.search(r"[1-9]\d* words?", page.locator("#cp-words-note").inner_text())
        page.click("#cp-run")
        began = time.monotonic()
        page.wait_for_function(f"{STATE}.run !== '{before['run']}'", timeout=60_000)
        assert time.monotonic() - began < 10  # everything is in the cache
        page.close()  # before the server goes


def natural_film(path: Path) -> Path:
    """A camera film with a person's speech, put together from what the gradio package carries."""
    import av

    assets = Path(gradio.__file__).parent / "media_assets"
    with (
        av.open(str(path), "w") as out,
        av.open(str(assets / "videos" / "world.mp4")) as film,
        av.open(str(assets / "audio" / "heath_ledger.mp3")) as talk,
    ):
        picture, sound = film.streams.video[0], talk.streams.audio[0]
        video = out.add_stream_from_template(picture)
        audio = out.add_stream("aac", rate=44100, layout="mono")
        for packet in film.demux(picture):
            if packet.dts is not None:
                packet.stream = video
                out.mux(packet)
        resampler = av.AudioResampler("fltp", "mono", 44100)
        for frame in talk.decode(sound):
            for piece in resampler.resample(frame):
                out.mux(audio.encode(piece))
        out.mux(audio.encode())
    return path


# Chromium's own fake camera needs a switch at its start; this one is a canvas and a silent tone.
CAMERA = """
navigator.mediaDevices.getUserMedia = async () => {
  const canvas = document.createElement('canvas');
  canvas.width = 320; canvas.height = 240;
  const pen = canvas.getContext('2d');
  setInterval(() => { pen.fillStyle = `hsl(${performance.now() / 10 % 360} 80% 50%)`; pen.fillRect(0, 0, 320, 240); }, 40);
  const sound = new AudioContext();
  const out = sound.createMediaStreamDestination();
  const tone = sound.createOscillator();
  tone.connect(out); tone.start();
  return new MediaStream([...canvas.captureStream(25).getTracks(), ...out.stream.getTracks()]);
};
"""


def row_text(page, row: int) -> str:
    return page.get_by_label(f"Words of TR {row}", exact=True).input_value()


def edit_row(page, row: int, text: str):
    field = page.get_by_label(f"Words of TR {row}", exact=True)
    field.fill(text)
    field.press("Enter")


def contrast(page, selector: str) -> float:
    """WCAG contrast of the text of the first visible element that matches, against the first opaque background behind it."""
    return page.evaluate(
        """selector => {
          const node = [...document.querySelectorAll(selector)].find(one => one.offsetParent);
          const parse = text => text.match(/[\\d.]+/g).map(Number);
          const light = rgb => { const [r, g, b] = rgb.map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                                 return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
          let behind = node; let back = [255, 255, 255];
          while (behind) {
            const c = parse(getComputedStyle(behind).backgroundColor);
            if (c.length < 4 || c[3] === 1) { back = c.slice(0, 3); break; }
            behind = behind.parentElement;
          }
          const a = light(parse(getComputedStyle(node).color).slice(0, 3)), b = light(back);
          return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); }""",
        selector,
    )
