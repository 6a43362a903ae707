"""Designs and sets in a real browser: put together, refused before anything runs, run, stopped, read and taken away as tables."""

from __future__ import annotations

import json
import shutil
import threading
import time
from dataclasses import replace

import numpy as np
import pandas
import pytest

from analysis.factorial import CELLS
from encoder.curves import curve_masks
from experiments.examples import find_example, load_example
from experiments.factorial import Factorial
from extractors.stages import stage_clock
from tests.page_server import NASTY, serving, wait_until

pytestmark = pytest.mark.browser
MORE = 5


class Crossing:
    """A design whose pace a test sets: the first change lowers the visual network by 0.6 z, the second auditory parcels by 0.4 z."""

    def __init__(self):
        self.go = threading.Event()
        self.calibrated = "yes"
        self.asked, self.closed = [], 0

    def crossed(self, film, first, second, *, factors, **how):
        self.asked.append((first, second))
        result = load_example("eyes-and-ears")[1]
        seen, heard = (curve_masks()[name].astype(np.float32) for name in ("Vis", "Auditory"))
        cells = {}
        try:
            for cell in CELLS:
                at = stage_clock("model", 2)
                yield at(1, "Four brains are predicted")
                while cell == (1, 0) and not self.go.is_set():
                    time.sleep(0.05)
                    yield at(1, "Four brains are predicted")
                yield at(2, "Ready")
                responses = result.responses
                values = responses.values - 0.6 * cell[0] * seen - 0.4 * cell[1] * heard
                cells[cell] = replace(result, responses=replace(responses, values=values, extra=responses.extra | {"calibrated": self.calibrated}))
        finally:
            self.closed += 1
        yield Factorial(cells, factors, (("as it is", first), ("as it is", second)))


@pytest.fixture(scope="module")
def crossing():
    pace = Crossing()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("experiments.factorial.crossed", pace.crossed)
        yield pace


@pytest.fixture(scope="module")
def served(tmp_path_factory, browser, crossing):
    """The page with five more finished results, each of a film of its own."""
    room = tmp_path_factory.mktemp("designs")
    source = find_example("a-story-told").folder
    for k in range(MORE):
        folder = room / "more" / f"more-{k}"
        folder.mkdir(parents=True)
        for file in source.iterdir():
            shutil.copyfile(file, folder / file.name)
        for name, changed in (("example.json", {"title": NASTY[:60] if k == 0 else f"More {k}"}), ("responses.json", None)):
            facts = json.loads((folder / name).read_text(encoding="utf-8"))
            if changed is None:
                changed = {"clip": facts["clip"] | {"sha256": f"{k:064x}"}, "clip_sha256": f"{k:064x}"}
            (folder / name).write_text(json.dumps(facts | changed), encoding="utf-8")
        values = np.load(folder / "responses.npy")
        np.save(folder / "responses.npy", values + np.float32(0.01 * k + 0.5) * curve_masks()["Vis"].astype(np.float32))
    with serving(room / "cache", results_dir=room / "more") as (url, demo):
        yield url, demo


@pytest.fixture
def visit(open_page, served, crossing):
    crossing.go.set()
    crossing.calibrated = "yes"

    def open_it(query: str = "", **how):
        page = open_page(served[0] + query, **{"still": True} | how)
        page.wait_for_function("window.__cineglass && window.__cineglass.result")
        page.evaluate("window.__cineglass.clock.pause()")
        page.get_by_role("tab", name="Designs", exact=True).click()
        page.wait_for_selector("#cp-design-start")
        return page

    return open_it


def table(page, name):
    rows = page.get_by_role("table", name=name, exact=True).locator("tbody tr")
    return {row.get_attribute("data-curve"): row.inner_text().replace("−", "-").split() for row in rows.all()}


def start(page):
    page.wait_for_selector("#cp-design-start:enabled").click()


def test_a_design_runs_and_shows_effects_cells_and_a_table_to_take_away(visit, tmp_path):
    page = visit()
    assert "The four conditions" in page.locator(".cp-design-grid").get_attribute("aria-label")
    start(page)
    page.wait_for_selector(".cp-design-table")
    rows = table(page, "Main effects and interaction")
    assert len(rows) == 11
    assert "-0.60" in rows["Vis"]
    assert "-0.40" in rows["Auditory"]
    assert page.locator(".cp-plot-simulated").count() == 2
    words = page.locator(".cp-design-result").inner_text()
    assert "without a p-value" in words
    assert "SIMULATED" in words
    page.get_by_role("button", name="Auditory (within SomMot)").click()
    assert page.locator(".cp-design-result figcaption").inner_text() == "Auditory (within SomMot)"
    page.locator(".cp-design-result input[value=sim3]").check()
    page.wait_for_selector(".cp-design-result input[value=sim3]:checked")
    with page.expect_download() as download:
        page.locator(".cp-design-files a", has_text="effects.tsv").click()
    download.value.save_as(tmp_path / "effects.tsv")
    effects = pandas.read_csv(tmp_path / "effects.tsv", sep="\t")
    assert set(effects["simulated"]) == {True}
    assert set(effects["subject"]) == {"mean", "Sim 1", "Sim 2", "Sim 3", "Sim 5"}


def test_means_of_an_uncalibrated_model_stand_apart(visit, crossing):
    crossing.calibrated = "no"
    page = visit()
    start(page)
    page.wait_for_selector(".cp-design-table")
    assert all(cell.endswith("%") or cell == "%" or cell.isdigit() for cell in table(page, "Main effects and interaction")["Vis"][1:])
    apart = page.locator(".cp-design-uncalibrated")
    assert "Uncalibrated" in apart.inner_text()
    assert not page.get_by_role("table", name="Uncalibrated mean differences").is_visible()
    assert "SD over time" in page.locator(".cp-plot").first.get_attribute("aria-label")


def test_a_design_is_stopped_and_what_was_shown_before_stays(visit, crossing):
    page = visit()
    page.get_by_role("button", name="Picture and sound, crossed").last.click()
    page.wait_for_selector(".cp-design-table")
    crossing.go.clear()
    before = crossing.closed
    start(page)
    page.wait_for_selector("#cp-designs-status li[data-state=active]:has-text('blank')")
    assert page.locator("#cp-designs-status li[data-state=done]").count() == 2
    page.locator("#cp-design-stop").click()
    wait_until(lambda: crossing.closed == before + 1)
    page.wait_for_selector("#cp-design-start:visible")
    assert "Stopped" in page.locator("#cp-designs-status").inner_text()
    assert "Picture and sound, crossed" in page.locator(".cp-design-result h3").inner_text()


def test_what_cannot_be_crossed_says_why_before_anything_runs(visit, crossing):
    page = visit()
    before = len(crossing.asked)
    second = page.get_by_label("Second change")
    second.select_option("unread")
    page.get_by_label("First change").select_option("mute")
    page.wait_for_selector("#cp-design-says:has-text('words away already')")
    assert page.locator("#cp-design-start").is_disabled()
    page.get_by_label("First change").select_option("mute-read")
    start(page)
    wait_until(lambda: len(crossing.asked) == before + 1)
    assert crossing.asked[-1] == ("mute; words policy=keep", "words policy=drop")


def test_a_ready_made_design_opens_by_its_link_with_its_effects_and_in_the_player(visit):
    page = visit("?comparison=picture-by-sound")
    page.wait_for_selector(".cp-design-table")
    words = page.locator(".cp-design-result").inner_text()
    assert "The simulator was told" in words
    assert "The model returned" in words
    assert float(table(page, "Main effects and interaction")["Vis"][1]) < -0.3
    assert page.evaluate("Boolean(window.__cineglass.result.value.comparison)")


def test_a_set_is_refused_with_five_pairs_and_tested_between_two_lists(visit):
    page = visit()
    page.get_by_text("Set of clips, with p-values").click()
    boxes = page.locator(".cp-design-clips input[type=checkbox]")
    for k in range(5):
        boxes.nth(k).check()
    page.wait_for_selector("#cp-design-says:has-text('6 or more pairs of clips')")
    assert page.locator("#cp-design-start").is_disabled()
    boxes.nth(5).check()
    page.wait_for_selector("#cp-design-says:has-text('6 pairs of clips: the smallest p that can be reached is 0.031')")
    page.get_by_text("Two lists of clips").click()
    sides = page.locator(".cp-design-clip-row")
    for k in range(8):
        sides.nth(k).locator("button").nth(k // 4).click()
    page.wait_for_selector("#cp-design-says:has-text('4 and 4 clips')")
    start(page)
    page.wait_for_selector(".cp-design-table", timeout=60_000)
    rows = table(page, "A against B over clips")
    assert len(rows) == 11
    words = page.locator(".cp-design-result").inner_text()
    assert "Labels of 4 and 4 clips permuted in all 70 ways (exact)" in words
    assert "n = 4 and 4 clips · exact: all 70 relabellings · smallest p 0.029" in words
    assert page.evaluate("window.__fired") is None
    assert {"set.tsv", "parcels.tsv", "clips.tsv"} <= set(page.locator(".cp-design-files a").all_inner_texts())


def test_a_phone_shows_form_and_result_without_scrolling_sideways(visit):
    page = visit()
    page.set_viewport_size({"width": 360, "height": 800})
    page.get_by_role("button", name="Picture and sound, crossed").last.click()
    page.wait_for_selector(".cp-design-table")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    frame = page.locator(".cp-design-result .cp-scroll").first
    assert frame.evaluate("(node) => node.scrollWidth - node.clientWidth") <= 1
