"""Section 2 in a real browser: condition B is put together, priced, compared with A, stopped, refused, and opened again by its link."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from experiments.comparison import Comparison, compare
from experiments.examples import list_examples, load_example
from experiments.null_band import NullBand, curves_with_mean
from experiments.ready_made import list_ready_made, load_ready_made
from extractors.edit_language import null_edits
from extractors.errors import MediaError
from extractors.stages import stage_clock
from extractors.time_map import TimeMap
from tests.films import write_film
from tests.page_server import NASTY, serving, wait_until

pytestmark = pytest.mark.browser
STATE = "window.__cineglass.state()"


class Bench:
    """A comparison whose pace a test sets: B is A at half its size, the null edits move A by a hundredth."""

    def __init__(self):
        self.go, self.band, self.fail = threading.Event(), threading.Event(), threading.Event()
        self.real = False
        self.asked: list[dict[str, Any]] = []
        self.closed = 0

    def compare(self, a: Any, edits: str, **how: Any) -> Iterator[Any]:
        self.asked.append({"a": a, "edits": edits, **how})
        if self.real:
            yield from compare(a, edits, **how)
            return
        try:
            a = load_example(list_examples()[0].id)[1]
            for name in ("edit", "audio", "model"):
                at = stage_clock(name, 2)
                yield at(0, f"{name} begins")
                while name == "audio" and not self.go.is_set():
                    time.sleep(0.05)
                    yield at(1, "The sound is listened to")
                if name == "audio" and self.fail.is_set():
                    raise MediaError("edit_failed", "The sound could not be written.", "Try another change.")
                yield at(2, f"{name} is ready")
            b = replace(a, responses=replace(a.responses, values=a.responses.values / 2))
            found = Comparison(a, b, how["label_a"], "B", edits, how["lesions"], TimeMap.identity(a.clip.duration), None)
            if how["null"] != 0:
                yield found
                at = stage_clock("null", 2)
                while not self.band.is_set():
                    time.sleep(0.05)
                    yield at(1, "Small change 1 of 2")
                curves = curves_with_mean(a.responses)
                moved = np.stack([0.01 * curves, -0.02 * curves]).astype(np.float32)
                change = np.full((2, len(a.responses.subjects), 1000), 0.02, np.float32)
                found = replace(found, null=NullBand(null_edits(2), moved, change))
            yield found
        finally:
            self.closed += 1


@pytest.fixture(scope="module")
def bench():
    return Bench()


@pytest.fixture(scope="module")
def served(tmp_path_factory, browser, bench):
    with serving(tmp_path_factory.mktemp("experiment") / "cache", compare=bench.compare) as (url, demo):
        yield url, demo


@pytest.fixture
def visit(open_page, served, bench):
    """A visitor on the landing page; what is compared runs through."""

    def ready():
        for event in (bench.go, bench.band):
            event.set()
        bench.fail.clear()
        bench.real = False

    def enter(query: str = "", **options):
        page = open_page(f"{served[0]}/{query}", **{"still": True} | options)
        page.set_default_timeout(45_000)
        page.wait_for_function(f"window.__cineglass && {STATE}.row >= 0")
        page.wait_for_selector(".cp-quick-one")
        return page

    ready()
    yield enter
    ready()


def mute(page):
    page.get_by_role("button", name="Mute the sound", exact=True).click()
    page.wait_for_selector("#cp-compare:enabled")


def wait_status(page, state: str):
    page.wait_for_selector(f"#cp-compare-status .cp-status[data-state={state}]", state="attached")


def test_a_teacher_mutes_the_sound_of_an_example_and_sees_what_changed(visit, bench):
    page = visit()
    assert page.locator("#cp-compare").is_disabled()
    assert "Nothing is changed yet" in page.locator("#cp-compare-why").inner_text()
    mute(page)
    assert "silenced" in page.locator(".cp-change").inner_text()
    assert page.get_by_role("radio", name="none").is_checked()  # nobody hears the words of a muted film
    assert page.locator(".cp-cost summary").inner_text().startswith("B takes")
    page.locator("#cp-compare").click()
    wait_status(page, "done")
    assert bench.asked[-1]["edits"] == "mute"
    state = page.evaluate(STATE)
    assert state["run"].startswith("cineglass/comparisons/")
    page.get_by_role("tab", name="Compare").click()
    assert "50 %" in page.locator(".cineglass [role=tabpanel]:visible").inner_text()  # B is A at half its size


def test_a_comparison_is_kept_under_its_link_and_goes_with_the_visit(visit, served):
    page = visit()
    mute(page)
    page.locator("#cp-compare").click()
    wait_status(page, "done")
    run = page.evaluate(f"{STATE}.run")
    again = visit(f"?comparison={run.rpartition('/')[2]}")
    again.wait_for_function(f"{STATE}.run === '{run}'")
    again.wait_for_selector(".cp-change")
    assert "silenced" in again.locator(".cp-change").inner_text()
    for side in ("a", "b"):
        assert again.request.get(f"{served[0]}/{run}/{side}/responses.json").status == 200
    page.get_by_role("button", name="Delete my clips and results now").click()
    wait_until(lambda: again.request.get(f"{served[0]}/{run}/a/responses.json").status == 404)


def test_a_and_b_are_shown_while_the_noise_band_is_still_computed(visit, bench):
    page = visit()
    bench.band.clear()
    mute(page)
    page.locator("#cp-compare").click()
    page.wait_for_function(f"{STATE}.run.startsWith('cineglass/comparisons/')")
    wait_status(page, "working")
    run = page.evaluate(f"{STATE}.run")
    page.wait_for_timeout(500)  # sooner it would be the second of a double click
    page.locator("#cp-compare-stop").click()
    wait_status(page, "stopped")
    assert "without sensitivity to small changes" in page.locator("#cp-compare-status").inner_text()
    assert page.evaluate(f"{STATE}.run") == run
    page.wait_for_selector("#cp-compare:enabled")


def test_the_noise_band_can_be_left_for_another_comparison_and_for_an_example(visit, bench):
    page = visit()
    bench.band.clear()
    mute(page)
    page.locator("#cp-compare").click()
    page.wait_for_function(f"{STATE}.run.startsWith('cineglass/comparisons/')")
    first = page.evaluate(f"{STATE}.run")
    page.get_by_role("button", name="Blank the picture", exact=True).click()
    page.wait_for_selector(".cp-change >> nth=1")
    page.locator("#cp-compare:enabled").click()
    page.wait_for_function(f"!['{first}', 'cineglass/examples/{list_examples()[0].id}'].includes({STATE}.run)")
    assert bench.asked[-1]["edits"] == "mute; blank colour=black"
    other = list_examples()[1]
    page.locator(".cp-example", has_text=other.title).click()
    page.wait_for_function(f"{STATE}.run === 'cineglass/examples/{other.id}'")
    bench.band.set()
    wait_status(page, "done")
    assert page.evaluate(f"{STATE}.run") == f"cineglass/examples/{other.id}"


def test_an_own_film_is_run_first_and_then_compared_with_itself_muted(visit, bench, tmp_path):
    page = visit()
    bench.real = True
    page.set_input_files("#cp-upload input[type=file]", write_film(tmp_path / "bar.mp4", seconds=16.0))
    page.wait_for_selector("#cp-experiment:has-text('has not been run yet')")
    page.get_by_role("radio", name="No words").check()
    mute(page)
    page.locator("#cp-noise-band").uncheck()
    page.locator("#cp-compare").click()
    wait_status(page, "done")
    stages = page.locator("#cp-compare-status .cp-stage-name").all_inner_texts()
    assert [name[0] for name in stages] == sorted(name[0] for name in stages)  # A's before B's
    assert {"A: picture", "B: change the film"} <= set(stages)
    run = page.evaluate(f"{STATE}.run")
    facts = {side: page.request.get(f"{page.url.split('?')[0]}{run}/{side}/responses.json").json() for side in ("a", "b")}
    assert facts["a"]["clip"]["name"] == "bar.mp4"
    assert facts["a"]["clip"]["video_key"] == facts["b"]["clip"]["video_key"]  # the picture was not touched
    assert facts["b"]["edits"] == ["mute"]
    assert page.get_by_text("has not been run yet").count() == 0  # A is known by now


def test_stop_keeps_what_is_shown_and_gives_the_buttons_back(visit, bench):
    page = visit()
    run = page.evaluate(f"{STATE}.run")
    bench.go.clear()
    mute(page)
    page.locator("#cp-compare").click()
    page.wait_for_selector("#cp-compare-stop:visible")
    page.wait_for_selector("#cp-run:disabled")
    assert "comparison is going" in page.locator("#cp-run-why").inner_text()
    closed = bench.closed
    page.wait_for_timeout(500)  # sooner it would be the second of a double click
    page.locator("#cp-compare-stop").click()
    wait_status(page, "stopped")
    wait_until(lambda: bench.closed > closed)
    assert page.evaluate(f"{STATE}.run") == run
    page.wait_for_selector("#cp-compare:enabled")
    page.wait_for_selector("#cp-run:enabled")


@pytest.mark.parametrize("lands_on", ["cp-compare-stop", "cp-compare"])
def test_a_second_click_on_compare_changes_nothing(visit, bench, lands_on):
    page = visit()
    models = page.locator(".cp-model").count()
    bench.go.clear()
    mute(page)
    asked = len(bench.asked)
    if lands_on == "cp-compare-stop":  # which has taken the button's place; however long that took, it was soon
        page.evaluate("() => { const now = performance.now(); performance.now = () => now; }")
        page.locator("#cp-compare").click()
        page.locator("#cp-compare-stop").click()
        page.evaluate("() => delete performance.now")
    else:  # past the button, which is not there any more
        page.locator("#cp-compare").click()
        page.wait_for_selector("#cp-compare-stop:visible")
        page.wait_for_timeout(500)
        page.evaluate("() => { const go = document.getElementById('cp-compare'); go.disabled = false; go.click(); }")
    page.wait_for_timeout(300)
    bench.go.set()
    wait_status(page, "done")
    assert len(bench.asked) == asked + 1
    assert page.locator(".cp-model").count() == models > 0
    assert page.locator("#cp-trust").inner_text()
    assert "undefined" not in page.url


def test_a_failure_says_why_and_keeps_what_is_shown(visit, bench):
    page = visit()
    run = page.evaluate(f"{STATE}.run")
    bench.fail.set()
    mute(page)
    page.locator("#cp-compare").click()
    wait_status(page, "failed")
    assert "could not be written" in page.locator("#cp-compare-status").inner_text()
    assert page.evaluate(f"{STATE}.run") == run
    page.wait_for_selector("#cp-compare:enabled")


def test_changes_chain_with_a_control_for_each_value_and_can_be_written_as_text(visit, bench):
    page = visit()
    mute(page)
    page.select_option(".cp-more", "blur")
    page.get_by_role("spinbutton", name="% of height").fill("3.5")
    page.get_by_text("As text", exact=True).click()
    field = page.get_by_label("Changes of the film")
    page.wait_for_function("document.querySelector('.cp-as-text textarea').value === 'mute; blur percent=3.5'")
    assert "all of them together" in page.locator("#cp-experiment").inner_text()
    page.get_by_role("button", name="Remove: Mute the sound").click()
    page.wait_for_function("document.querySelector('.cp-as-text textarea').value === 'blur percent=3.5'")
    field.fill("blurr percent=2")
    page.wait_for_selector(".cp-change-trouble .cp-problem")
    assert "blur" in page.locator(".cp-change-trouble").inner_text()
    assert page.locator("#cp-compare").is_disabled()
    field.fill(f'rewrite row=1 text="{NASTY.replace(chr(34), "")}"; grey')
    page.wait_for_selector(".cp-change strong:has-text('Greyscale')")
    assert page.evaluate("window.__fired") is None


def test_a_lesion_stands_apart_with_whether_training_knew_it(visit, bench):
    page = visit()
    page.locator(".cp-lesions summary").click()
    page.get_by_label("Lesion of the words stream").select_option("zero")
    page.wait_for_selector("#cp-compare:enabled")
    said = page.locator(".cp-lesion[data-lost=true]").inner_text()
    assert "training" in said
    assert page.locator(".cp-change").count() == 0
    page.locator("#cp-noise-band").uncheck()
    page.locator("#cp-compare").click()
    wait_status(page, "done")
    assert (bench.asked[-1]["edits"], bench.asked[-1]["lesions"], bench.asked[-1]["null"]) == ("", "text zero", 0)


def test_nothing_sticks_out_of_the_section_on_a_phone(visit):
    page = visit(width=360, height=800)
    mute(page)
    page.select_option(".cp-more", "shuffle")
    page.locator(".cp-lesions summary").click()
    page.get_by_label("Lesion of the sound stream").select_option("scramble")
    page.wait_for_selector(".cp-lesion[data-lost=true] input")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for label, place in (("Finished experiments", ".cp-ready-made"), ("Change one thing", ".cp-quick"), ("Examples", ".cp-gallery")):
        page.evaluate("scrollTo(0, 0)")
        page.locator(".cp-jumps").get_by_role("button", name=label).click()
        page.wait_for_function(
            "place => { const { top } = document.querySelector(place).getBoundingClientRect(); return top > -20 && top < 500; }", arg=place
        )


def test_finished_experiments_are_cards_with_their_question_and_the_one_in_the_player_is_marked(visit):
    page = visit()
    for one in list_ready_made()[:2]:
        card = page.locator(".cp-ready-one", has_text=one.question)
        assert card.inner_text().startswith(one.question)
        card.click()
        page.wait_for_function(f"{STATE}.run === 'cineglass/comparisons/{one.id}'")
        page.wait_for_selector(".cp-ready-one[aria-pressed=true]")
        assert page.locator(".cp-ready-one[aria-pressed=true]").inner_text() == card.inner_text()
        found = load_ready_made(one.id)[1]
        a, b = (result.responses.values[:, found.valid] for result in (found.a, found.b))
        beyond = [np.mean(np.abs(values) > page.evaluate(f"{STATE}.range")) for values in (a, b, a - b)]
        assert max(beyond) < 0.025  # one scale fits all three
