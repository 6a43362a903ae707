"""Taking a result home from the page, and a measured table beside it."""

from __future__ import annotations

import json
import re

import h5py
import nibabel
import numpy as np
import pytest

from encoder.atlas import load_atlas
from experiments.examples import list_examples, load_example
from experiments.export import safe_name
from tests.page_server import Pace, serving

pytestmark = pytest.mark.browser
STATE = "window.__cineglass.state()"
FIRST = list_examples()[0].id


@pytest.fixture(scope="module")
def address(tmp_path_factory, browser):
    with serving(tmp_path_factory.mktemp("exports") / "cache", predict=Pace().predict) as (url, _):
        yield url


@pytest.fixture
def page(open_page, address):
    page = open_page(address)
    page.wait_for_function(f"window.__cineglass && {STATE}.row >= 0 && window.CineglassPage?.tools")
    page.evaluate("window.__cineglass.clock.pause()")
    return page


@pytest.fixture(scope="module")
def responses():
    return load_example(FIRST)[1].responses


def open_tab(page, name: str):
    page.get_by_role("tab", name=name, exact=True).click()


def make(page, kind: str, timeout: float = 40) -> list[str]:
    """Press a kind's button and wait until its files are listed; gives their addresses."""
    before = page.locator(".cp-made li").count()
    page.locator(f'.cp-export button[data-kind="{kind}"]').click()
    page.wait_for_function(f"document.querySelectorAll('.cp-made li').length === {before + 1}", timeout=timeout * 1000)
    return [link.get_attribute("href") for link in page.locator(".cp-made li").first.locator("a").all()]


def fetched(page, address: str):
    answer = page.request.get(f"{page.url.split('?')[0]}{address}")
    assert answer.status == 200
    assert answer.headers["content-disposition"].startswith("attachment")
    return answer.body()


def test_a_file_shows_what_the_player_shows(page, responses, tmp_path):
    page.get_by_role("radio", name="Sim 3").click()
    page.evaluate("window.__cineglass.clock.seek(24.4 * 1.49)")
    page.wait_for_function(f"{STATE}.row === 24")
    open_tab(page, "Export")
    page.wait_for_function("document.querySelector('.cp-export-now').textContent.includes('TR 24')")
    assert "Sim 3" in page.locator(".cp-export-now").inner_text()
    volume, sidecar = make(page, "nifti-tr")
    (tmp_path / "map.nii.gz").write_bytes(fetched(page, volume))
    labels = np.asarray(nibabel.load("assets/atlas/Schaefer2018_1000Parcels_7Networks_order_FSLMNI152_2mm.nii.gz").dataobj).astype(int)
    data = nibabel.load(tmp_path / "map.nii.gz").get_fdata()
    for parcel in (3, 700):
        np.testing.assert_allclose(data[labels == parcel + 1], responses.subject(3)[24, parcel], atol=1e-5)
    facts = json.loads(fetched(page, sidecar))
    assert facts["Simulated"] is True
    assert (facts["Shown"]["tr"], facts["Shown"]["subject"]) == (24, 3)
    assert "Look" not in facts  # a volume holds values, which no range changes
    _, sidecar = make(page, "networks-svg")
    assert json.loads(fetched(page, sidecar))["Look"]["range"] == page.evaluate(STATE)["range"]


def test_a_contrast_asks_for_two_sets_of_trs_and_refuses_others_in_words(page):
    open_tab(page, "Export")
    page.locator('.cp-export button[data-kind="nifti-contrast"]').click()
    page.wait_for_selector(".cp-exported .cp-problem:has-text('two sets of TRs')")
    row = page.locator(".cp-maker", has=page.locator('button[data-kind="nifti-contrast"]'))
    row.locator("input").nth(0).fill("20-25")
    row.locator("input").nth(1).fill("<img src=x onerror=1>")
    page.locator('.cp-export button[data-kind="nifti-contrast"]').click()
    page.wait_for_selector(".cp-exported .cp-problem:has-text('<img src=x')")
    row.locator("input").nth(1).fill("8-12")
    assert len(make(page, "nifti-contrast")) == 2
    assert not page.locator(".cp-exported .cp-problem").count()


def test_every_file_has_a_link_also_when_its_name_lists_trs(page):
    open_tab(page, "Export")
    page.get_by_label("Strip of TRs: TRs side by side").fill("10, 14, 18-19")
    for file in make(page, "strip-svg"):
        assert fetched(page, file)
    page.get_by_label("Contrast: TRs to take").fill("20-22, 25")
    page.get_by_label("Contrast: TRs to subtract").fill("16, 18")
    for file in make(page, "nifti-contrast"):
        assert fetched(page, file)
    assert page.locator(".cp-made li").count() == 2
    assert page.locator(".cp-made a").count() == 4


def test_names_of_films_in_any_language_have_links_and_other_places_have_none(page):
    own = "href => window.CineglassPage.tools.ownLink(href)"
    name = f"cineglass/exports/{'0' * 32}/{safe_name('Ma vidéo 映画 हिन्दी.mp4')}_player.html"
    assert page.evaluate(own, name) == name
    for other in ("https://example.org/x", "//example.org/x", "javascript:alert(1)", "cineglass/../secret", "cineglass/%2e%2e/x", "cineglass/a b"):
        assert page.evaluate(own, other) is None


def test_a_long_export_tells_how_far_it_is_and_stops(page):
    open_tab(page, "Export")
    page.locator('.cp-export button[data-kind="mp4"]').click()
    page.wait_for_selector(".cp-exported button:visible:has-text('Stop')")
    assert page.locator('.cp-export button[data-kind="npy"]').is_disabled()
    page.wait_for_function("/\\d/.test(document.querySelector('.cp-export-line span').textContent)", timeout=60_000)
    page.locator(".cp-exported button", has_text="Stop").click()
    page.wait_for_selector(".cp-exported:has-text('Stopped')", timeout=2000)
    assert not page.locator(".cp-made li").count()
    assert len(make(page, "npy")) == 2


def test_on_a_phone_what_was_made_stays_in_sight_of_the_button_and_no_line_is_cut(page):
    page.set_viewport_size({"width": 360, "height": 740})
    open_tab(page, "Export")
    page.locator('.cp-maker button[data-kind="pscalar"]').scroll_into_view_if_needed()
    make(page, "pscalar")
    box = page.locator(".cp-made a").first.bounding_box()
    assert 0 <= box["y"] < 740
    lines = "[...document.querySelectorAll('.cp-export-head *, .cp-maker *, .cp-exported *')]"
    assert page.evaluate(f"{lines}.filter(e => e.getBoundingClientRect().right > innerWidth).length") == 0


def test_files_belong_to_who_holds_their_id_and_go_with_delete(page, address):
    open_tab(page, "Export")
    (file, _) = make(page, "npy")
    assert re.fullmatch(r"cineglass/exports/[0-9a-f]{32}/[\w.-]+", file)
    token = file.split("/")[2]
    for other in (f"cineglass/exports/{token}/..%2f..%2fsettings.py", f"cineglass/exports/{'0' * 32}/x.npy", f"cineglass/exports/{token}/.part"):
        assert page.request.get(f"{address}/{other}").status == 404


def test_a_measured_table_opens_beside_the_prediction(page, responses, tmp_path):
    noise = np.random.default_rng(1).normal(size=responses.values.shape[1:]).astype(np.float32)
    measured = responses.subject(2) + noise
    path = tmp_path / "sub-02_task-movie_bold.h5"
    with h5py.File(path, "w") as file:
        file["ses-001_task-one"] = measured
        file["ses-002_task-two"] = measured[:20]
    open_tab(page, "Measured")
    page.get_by_label("Beside").select_option(label="Sim 2")
    page.set_input_files(".cp-measured input[type=file]", path)
    page.get_by_label("Data set").wait_for()
    page.get_by_label("Data set").select_option("ses-001_task-one")
    page.wait_for_selector(".cp-measured-head")
    valid = responses.valid
    vis = load_atlas().mask("Vis")
    expected = np.mean([np.corrcoef(measured[valid, parcel], responses.subject(2)[valid, parcel])[0, 1] for parcel in np.flatnonzero(vis)])
    row = page.locator(".cp-measured tr", has_text="Visual").first
    assert float(row.locator("td").nth(1).inner_text()) == pytest.approx(expected, abs=6e-4)
    assert "simulated" in page.locator(".cp-measured").inner_text()
    page.wait_for_function("window.__cineglass.result.second !== null")
    assert page.evaluate("window.__cineglass.result.layers.map(({ id }) => id)").count("accuracy") == 1
    assert page.evaluate(STATE)["run"] == f"cineglass/examples/{FIRST}"
    page.get_by_label("Data set").select_option("ses-002_task-two")
    page.wait_for_selector(".cp-measured .cp-problem:has-text('20 rows')")
    page.get_by_label("Data set").select_option("ses-001_task-one")
    page.get_by_role("button", name="Take the table away").click()
    page.wait_for_function("window.__cineglass.result.second === null")
    assert not page.locator(".cp-measured-head").count()


@pytest.mark.parametrize("width", [360, 1180])
def test_the_export_tab_leads_to_where_a_whole_experiment_is_saved(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    open_tab(page, "Export")
    page.locator(".cp-export-whole button").click()
    page.wait_for_selector(".cp-runs:visible")
    assert page.get_by_role("button", name="Save what the player shows as a capsule").is_visible()
