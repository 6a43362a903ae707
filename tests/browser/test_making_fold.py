"""Stimuli made in the page, in a real browser: words only, pictures and a tone become the clip that Run and Compare take."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from tests.page_server import NASTY, serving

pytestmark = pytest.mark.browser
STATE = "window.__cineglass.state()"
WORDS = "the old man said that nobody came home and the young woman went away with the dog"


@pytest.fixture(scope="module")
def served(tmp_path_factory, browser):
    with serving(tmp_path_factory.mktemp("making") / "cache", canonical_height=180) as (url, demo):
        yield url, demo


@pytest.fixture
def visit(open_page, served):
    """A visitor who has opened the fold."""

    def enter(**options):
        page = open_page(served[0], **{"still": True} | options)
        page.set_default_timeout(45_000)
        page.wait_for_function(f"window.__cineglass && {STATE}.row >= 0")
        page.locator("#cp-making summary").click()
        return page

    return enter


def choose(page, kind: str):
    page.locator("#cp-making").get_by_text(kind, exact=True).click()


def make(page):
    page.locator("#cp-make:enabled").click()
    page.wait_for_selector(".cp-making-made")


def finished(page, section: str):
    page.wait_for_selector(f"#{section} .cp-status[data-state=done]", state="attached")


def test_words_only_are_made_run_compared_come_back_and_go_with_the_visit(visit):
    page = visit()
    assert page.locator("#cp-make").is_disabled()
    page.locator("#cp-making textarea").fill(f"{WORDS} {NASTY}")
    page.locator("#cp-making textarea").fill(WORDS)
    said = page.locator("#cp-making .cp-num").inner_text()
    assert "17 words in 6.8 s" in said
    make(page)
    rows = re.search(r"\d+ TRs", said)[0]
    assert f"{rows} · words only" in page.locator("#cp-clip").inner_text()
    assert page.locator("#cp-recogniser input").count() == 1  # nobody need listen
    page.locator("#cp-run").click()
    finished(page, "cp-status")
    state = page.evaluate(STATE)
    assert state["run"].startswith("cineglass/runs/")
    assert page.locator(".cineglass").get_by_text("Words only: no picture, no sound").is_visible()

    assert page.get_by_role("button", name="Mute the sound", exact=True).is_disabled()
    assert "no sound" in page.get_by_role("button", name="Mute the sound", exact=True).get_attribute("title")
    assert "no words" in page.get_by_role("button", name="Play it backwards", exact=True).get_attribute("title")
    page.get_by_role("button", name="Shuffle its pieces", exact=True).click()
    page.locator("#cp-compare:enabled").wait_for()
    assert page.get_by_role("radio", name="heard again").is_disabled()
    page.locator("#cp-noise-band").uncheck()
    page.locator("#cp-compare:enabled").click()
    finished(page, "cp-compare-status")
    assert page.evaluate(f"{STATE}.run").startswith("cineglass/comparisons/")

    page.reload()
    page.wait_for_function(f"window.__cineglass && {STATE}.row >= 0")
    page.wait_for_selector("#cp-clip strong")
    assert "words only" in page.locator("#cp-clip").inner_text()
    assert page.get_by_role("radio", name="As made").is_checked()
    page.get_by_role("button", name="Delete my clips and results now").click()
    page.wait_for_selector("#cp-clip .cp-clip[hidden]", state="attached")
    assert page.get_by_role("radio", name="Recognise").count() == 1


def test_a_tone_is_made_on_a_phone_and_a_value_that_is_refused_says_so_beside_its_control(visit):
    page = visit(width=360, height=800)
    for kind in ("Still picture", "Two pictures in turn", "Noise", "Words only"):
        choose(page, kind)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, kind
    choose(page, "Tone")
    page.get_by_role("spinbutton", name="Frequency").fill("20")
    page.locator("#cp-make").click()
    page.wait_for_selector("#cp-making .cp-problem")
    assert "50" in page.locator("#cp-making .cp-problem").inner_text()
    assert page.locator("#cp-clip .cp-clip[hidden]").count() == 1
    page.get_by_role("spinbutton", name="Frequency").fill("880")
    page.get_by_role("spinbutton", name="Rest before it").fill("2")
    page.get_by_role("spinbutton", name="Lasts").fill("15")
    make(page)
    assert page.locator("#cp-making .cp-problem").count() == 0
    assert "Tone, 880 Hz" in page.locator("#cp-clip").inner_text()
    assert "sound, no picture" in page.locator("#cp-clip").inner_text()
    assert "Tone, 880 Hz" in page.locator("#cp-experiment").inner_text()


def test_two_pictures_are_added_refused_where_they_are_none_and_take_turns(visit, tmp_path):
    Image.new("RGB", (160, 90), (200, 30, 40)).save(tmp_path / "red.png")
    Image.new("RGB", (60, 90), (20, 60, 220)).save(tmp_path / "blue.webp")
    page = visit()
    choose(page, "Two pictures in turn")
    field = page.locator("#cp-making input[type=file]")
    field.nth(0).set_input_files({"name": NASTY.replace("/", "") + ".png", "mimeType": "image/png", "buffer": b"<svg onload=alert(1)>"})
    page.wait_for_selector("#cp-making .cp-problem")
    assert "no PNG, JPEG or WebP picture" in page.locator("#cp-making .cp-problem").inner_text()
    field.nth(0).set_input_files(tmp_path / "red.png")
    page.wait_for_selector(".cp-making-name")
    assert page.locator("#cp-make").is_disabled()
    page.locator("#cp-making input[type=file]").set_input_files(tmp_path / "blue.webp")
    page.wait_for_selector(".cp-making-name >> nth=1")
    page.get_by_role("spinbutton", name="Lasts").fill("16")
    page.get_by_role("spinbutton", name="Each picture").fill("4")
    make(page)
    assert "picture, no sound" in page.locator("#cp-clip").inner_text()
    page.get_by_role("button", name="Remove picture 1").click()
    page.wait_for_function("document.querySelectorAll('.cp-making-name').length === 1")
    assert page.evaluate("window.__fired") is None
