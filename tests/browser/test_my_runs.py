"""My runs in a real browser: the list and its link, two runs side by side, capsules saved here and opened by somebody else."""

from __future__ import annotations

import re

import pytest

from experiments.capsule import write_capsule
from extractors.stages import last
from tests.capsules import contents, some_result, write_stored
from tests.page_server import NASTY, Pace, serving

pytestmark = pytest.mark.browser
STATE = "window.__cineglass.state()"
SHOWN = ("subject", "row", "time", "view", "threshold", "range", "lag", "lines", "map")
BRAINS = "[...document.querySelectorAll('.cg-brain, .cg-surface')].map((canvas) => canvas.toDataURL())"


@pytest.fixture(scope="module")
def served(tmp_path_factory, browser):
    pace = Pace()
    pace.go.set()
    with serving(tmp_path_factory.mktemp("runs") / "cache", predict=pace.predict) as (url, demo):
        yield url, demo.shelf


@pytest.fixture
def visit(open_page, served):
    """Open the page (with a query) and its tab."""

    def open_it(query: str = "", **how):
        page = open_page(served[0] + query, **{"still": True} | how)
        page.set_default_timeout(60_000)  # capsules are drawn, and other tests run beside this one
        ready(page)
        tab(page)
        return page

    return open_it


def ready(page):
    page.wait_for_function(f"window.__cineglass && window.__cineglass.result && {STATE}.row >= 0")
    page.evaluate("window.__cineglass.clock.pause()")


def tab(page):
    page.get_by_role("tab", name="My runs", exact=True).click()
    page.wait_for_selector(".cp-runs-doors")


def run_once(page):
    there = page.locator(".cp-runs-one").count()
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_function(f"document.querySelectorAll('.cp-runs-one').length === {there + 1}")
    page.evaluate("window.__cineglass.clock.pause()")
    return page.locator(".cp-runs-one").first


def test_a_run_is_listed_with_its_picture_starred_renamed_and_found_again(visit, served):
    page = visit()
    assert "Kept for 24 hours" in page.locator(".cp-runs").inner_text()
    run_once(page)
    one = run_once(page)
    page.wait_for_function("[...document.querySelectorAll('.cp-runs-still img')].every((still) => still.complete && still.naturalWidth > 20)")
    one.get_by_role("button", name="Rename").click()
    page.keyboard.type(NASTY)
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('.cp-runs-title').textContent.includes('onerror')")
    page.locator(".cp-runs-one").last.get_by_role("button", name=re.compile("Star")).click()
    page.wait_for_function("document.querySelector('.cp-runs-star').getAttribute('aria-pressed') === 'true'")  # and first now
    page.reload()
    ready(page)
    tab(page)
    page.wait_for_function("document.querySelectorAll('.cp-runs-one').length === 2")
    assert page.locator(".cp-runs-title").nth(1).inner_text() == NASTY[:120].strip()
    assert page.evaluate("window.__fired") is None
    assert page.locator(".cp-runs-star").first.get_attribute("aria-pressed") == "true"


def test_two_runs_stand_side_by_side_and_a_run_is_deleted_with_its_files(visit, served):
    page = visit()
    run_once(page)
    first = run_once(page).get_attribute("data-token")
    page.get_by_role("button", name="Put A and B side by side").click()
    page.wait_for_function("window.__cineglass.result.value.comparison && window.__cineglass.result.value.comparison.paired")
    page.wait_for_function("document.querySelectorAll('.cp-runs-one').length === 3")
    one = page.locator(f'.cp-runs-one[data-token="{first}"]')
    one.get_by_role("button", name="Delete").click()
    assert (served[1].runs / first).is_dir()  # it asks again
    one.get_by_role("button", name="Delete").click()
    one.wait_for(state="detached")
    assert not (served[1].runs / first).exists()


def test_the_link_to_a_list_shows_it_elsewhere_and_what_runs_there_goes_into_another(visit, served):
    page = visit()
    run_once(page)
    id = page.evaluate("localStorage.getItem('cineglass-runs')")
    assert re.fullmatch("[0-9a-f]{32}", id)
    other = visit(f"?runs={id}")
    other.wait_for_selector(".cp-runs-one")
    assert "opened by a link" in other.locator(".cp-runs-from").inner_text()
    assert id not in other.url  # whoever passes this address on passes on the result alone
    assert other.evaluate("localStorage.getItem('cineglass-runs')") != id
    other.get_by_role("button", name="Show my own list").click()
    other.wait_for_function("document.querySelectorAll('.cp-runs-one').length === 0")
    wrong = visit("?runs=" + "0" * 32)
    wrong.wait_for_selector(".cp-runs .cp-problem")


def test_a_capsule_opens_for_another_visitor_with_the_same_picture(visit, open_page, tmp_path):
    page = visit()
    run_once(page)
    page.get_by_role("radio", name="Sim 3").click()
    page.evaluate("window.__cineglass.setThreshold(0.2); window.__cineglass.clock.seek(30 * 1.49 + 0.4)")
    page.wait_for_function(f"{STATE}.row === 30")
    page.get_by_role("button", name="Save what the player shows as a capsule").click()
    with page.expect_download(timeout=90_000) as download:
        page.locator(".cp-capsule a").click(timeout=90_000)
    capsule = tmp_path / download.value.suggested_filename
    download.value.save_as(capsule)
    assert capsule.name.endswith(".cineglass.zip")

    other = visit()
    other.locator(".cp-runs input[type=file]").set_input_files(capsule)
    other.wait_for_url("**run=*")
    other.wait_for_function(f"window.__cineglass && {STATE}.row === 30 && {STATE}.subject === 'sim3'")
    before, after = ({key: one.evaluate(STATE).get(key) for key in SHOWN} for one in (page, other))
    assert after == before
    assert page.evaluate(STATE)["run"] != other.evaluate(STATE)["run"]
    other.evaluate("window.__cineglass.clock.pause()")
    assert other.evaluate(BRAINS) == page.evaluate(BRAINS)
    assert "Opened from a capsule" in other.locator(".cg-warnings").inner_text()
    tab(other)
    assert "From a capsule" in other.locator(".cp-runs-one").first.inner_text()

    broken = write_stored(tmp_path / "broken.zip", {**contents(capsule), "methods.txt": b"another"})
    was = other.url
    other.locator(".cp-runs input[type=file]").set_input_files(broken)
    other.wait_for_selector(".cp-capsule .cp-problem")
    assert "methods.txt in the capsule" in other.locator(".cp-capsule").inner_text()
    assert other.url == was


def test_a_capsule_without_its_film_shows_brains_and_curves_and_says_where_the_film_would_be(visit, tmp_path):
    capsule = last(write_capsule(some_result(), tmp_path / "bare.zip", title="No film"))
    page = visit()
    missing = []
    page.on("response", lambda answer: missing.append(answer.url) if answer.status >= 400 else None)
    page.locator(".cp-runs input[type=file]").set_input_files(capsule)
    page.wait_for_url("**run=*")
    ready(page)
    screen = page.locator(".cg-screen")
    assert "The film is not here. Brains, curves and words work without it." in screen.inner_text()
    assert not page.locator(".cg-wave").is_visible()
    page.evaluate("window.__cineglass.clock.seek(8 * 1.49 + 0.1)")
    page.wait_for_function(f"{STATE}.row === 8")
    page.keyboard.press("Space")
    page.wait_for_function(f"{STATE}.row >= 9")
    assert missing == []
