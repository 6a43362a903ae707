"""The model picker in a real browser: a published-format model from upload to a moving brain, models that are not here, finished results."""

from __future__ import annotations

import json
import re
import shutil
import time

import pytest

from experiments.examples import list_examples
from settings import ASSETS
from tests.browser.test_page import STATE, landed, natural_film, shown, status, wait_status
from tests.page_server import Pace, serving, wait_until
from tests.tiny_vibe import tiny_vibe, tiny_video

pytestmark = pytest.mark.browser
WINDOWS_AND_STOP = """() => {
    const at = (state) => [...document.querySelectorAll(`.cp-stages li[data-state=${state}]`)].map((node) => node.innerText).join(" ");
    const done = at("active").includes(" of 20 windows") && at("done");
    if (done) document.querySelector("#cp-stop").click();
    return done;
}"""
"""Press Stop in the moment in which the windows are counted, since a tiny model has done them all in a second; gives the stages done by then."""
VIBE = "ShreyDixit/VIBE-Qwen2.5-14B"
LAYERS = 40
"""Of the tiny picture backbone: enough work that Stop can be pressed while it goes on."""


@pytest.fixture(scope="module", autouse=True)
def no_hub(tmp_path_factory):
    """A machine without network and without weights, whatever this one has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path_factory.mktemp("hub")))
        yield


@pytest.fixture(scope="module")
def real(tmp_path_factory, browser):
    """The page with its real job, which offers a tiny model of the published format."""
    folder = tiny_vibe(tmp_path_factory.mktemp("models") / "tiny")
    shutil.rmtree(folder / "backbones" / "video")
    tiny_video(folder / "backbones" / "video", layers=LAYERS)
    with serving(tmp_path_factory.mktemp("real") / "cache", models=str(folder), device="cpu") as (url, demo):
        yield url, demo


def choose(page, title: str):
    page.locator(".cp-model", has_text=title).click()
    page.wait_for_selector(f".cp-model:has(:checked):has-text('{title}')")


def test_a_published_model_goes_from_upload_to_a_moving_brain_with_plan_stages_and_stop(open_page, real, tmp_path):
    url, demo = real
    page = open_page(url)
    landed(page)
    before = shown(page)["run"]
    page.set_input_files("#cp-upload input[type=file]", natural_film(tmp_path / "talk.mp4"))
    choose(page, "tiny")  # while the film is being let in
    page.wait_for_selector("#cp-clip:has-text('none of its TRs rests on a full past')")  # 30 s are too few for a window of 16 s
    page.wait_for_selector(".cp-plan summary:has-text('on the CPU')", timeout=60_000)
    assert page.locator(".cp-plan summary").inner_text().startswith("Estimate: ")
    page.click(".cp-plan summary")
    assert page.locator(".cp-plan tbody th").all_inner_texts() == ["Sound", "Words", "Picture", "Brain model"]
    assert shown(page)["run"] == before

    page.click("#cp-run")
    page.wait_for_selector(".cp-stages li[data-state=active]:has-text('Picture')", timeout=60_000)
    done = page.wait_for_function(WINDOWS_AND_STOP).json_value()
    assert "Plan for this machine" in done
    assert "Sound" in done
    began = time.monotonic()
    wait_status(page, "stopped")
    wait_until(lambda: len(demo.runs) == 0, 2.0)
    assert time.monotonic() - began < 2.0
    assert (shown(page)["run"], shown(page)["state"]) == (before, "done")

    page.click("#cp-run")
    wait_status(page, "done", 60)
    page.wait_for_function(f"{STATE}.run.startsWith('cineglass/runs/') && {STATE}.playing", timeout=60_000)
    row = shown(page)["shownRow"]
    picture = page.locator(".cg-brain").screenshot()
    page.wait_for_function(f"{STATE}.shownRow > {row}")
    assert page.locator(".cg-brain").screenshot() != picture
    assert page.locator(".cp-badge").inner_text() == "VIBE checkpoint"
    assert "Subject 1" in page.locator("#cp-right").inner_text()
    assert "Sim 1" not in page.locator("#cp-right").inner_text()
    told = page.locator("#cp-trust").inner_text()
    assert "Predicted, not measured" in told
    assert "simulated" not in told
    page.locator(".cp-example").first.click()
    page.wait_for_selector("#cp-trust:has-text('The four subjects are simulated')")


def test_without_network_and_weights_vibe_gives_the_sentence_and_the_way_out_and_the_embedded_model_runs(open_page, real):
    page = open_page(real[0], still=True)
    landed(page)
    before = shown(page)["run"]
    choose(page, VIBE)
    box = page.locator(".cp-missing:visible")
    box.wait_for()
    assert re.search(r"has to be downloaded first, about \d+ GB", box.inner_text())
    assert "Qwen/Qwen2.5-14B" in box.inner_text()
    assert box.locator("code").inner_text() == f"python cli.py download-model {VIBE}"
    assert page.locator("#cp-run").is_disabled()
    assert "VIBE cannot run yet" in page.locator("#cp-run-why").inner_text()
    assert (shown(page)["run"], shown(page)["state"], status(page)) == (before, "done", "empty")
    box.get_by_role("button", name="Copy").click()
    box.locator("button:has-text('Copied'), button:has-text('Ctrl')").wait_for()
    choose(page, "Textbook simulation")
    page.wait_for_selector("#cp-run:enabled")
    assert not page.locator("#cp-run-why").is_visible()
    page.get_by_label("No words").check()
    page.click("#cp-run")
    wait_status(page, "done", 40)
    page.wait_for_function(f"{STATE}.run.startsWith('cineglass/runs/')")
    assert page.locator(".cp-badge").inner_text() == "Textbook simulation"


def test_a_model_too_large_for_this_machine_says_so_before_run_and_another_one_takes_its_place(open_page, tmp_path):
    folder = tiny_vibe(tmp_path / "tiny")
    with serving(tmp_path / "cache", predict=Pace().predict, models=str(folder), device="cpu", memory_gb=0.2) as (url, _):
        page = open_page(url, still=True)
        landed(page)
        choose(page, "tiny")
        page.wait_for_selector(".cp-plan .cp-missing:has-text('The model needs')", timeout=60_000)
        assert "this machine has" in page.locator(".cp-plan").inner_text()
        page.wait_for_selector("#cp-run:disabled")
        page.wait_for_selector(".cp-model:has(:checked):has-text('Not on this machine')")
        page.get_by_role("button", name="Look again").click()
        page.wait_for_selector(".cp-plan-busy:visible, .cp-plan .cp-missing:visible")
        page.wait_for_selector(".cp-plan .cp-missing:visible")
        assert "cannot run this clip here" in page.locator("#cp-run-why").inner_text()
        choose(page, "Textbook simulation")
        page.wait_for_selector("#cp-run:enabled")
        page.wait_for_selector(".cp-plan", state="hidden")
        page.close()


def test_a_model_whose_files_went_away_after_it_was_chosen_is_said_to_be_missing_and_comes_back(open_page, tmp_path):
    weights = tiny_vibe(tmp_path / "tiny") / "model.safetensors"
    with serving(tmp_path / "cache", models=str(weights.parent), device="cpu") as (url, _):
        page = open_page(url, still=True)
        landed(page)
        choose(page, "tiny")
        page.wait_for_selector(".cp-plan summary:visible", timeout=60_000)
        kept = weights.read_bytes()
        weights.unlink()
        page.click("#cp-run")
        wait_status(page, "failed")
        page.wait_for_selector(".cp-model:has(:checked):not([data-state=ready])")
        page.wait_for_selector("#cp-run:disabled")
        weights.write_bytes(kept)
        page.get_by_role("button", name="Look again").first.click()
        page.wait_for_selector(".cp-model:has(:checked)[data-state=ready]")
        page.wait_for_selector("#cp-run:enabled")
        page.close()


def test_the_picker_is_worked_by_keyboard_and_fits_a_phone(open_page, real):
    page = open_page(real[0], still=True, width=360, height=800)
    landed(page)
    page.locator(".cp-model input").first.focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_selector(".cp-missing code:visible")
    out = "() => [...document.querySelectorAll('#cp-left *')].filter(node => node.getBoundingClientRect().right > 361).length"
    assert page.evaluate(out) == 0
    page.keyboard.press("ArrowDown")
    page.wait_for_selector(".cp-plan summary:visible", timeout=60_000)
    assert page.evaluate("document.activeElement.closest('.cp-model').innerText").startswith("VIBE checkpoint")
    page.click(".cp-plan summary")
    assert page.evaluate(out) == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_long_list_of_models_says_how_many_there_are_and_shows_the_chosen_one(open_page, tmp_path):
    names = [str(tmp_path / f"none-{k}") for k in range(12)]
    with serving(tmp_path / "cache", predict=Pace().predict, models=",".join(names), model=names[-2]) as (url, _):
        page = open_page(url, still=True)
        landed(page)
        assert page.locator(".cp-model-list legend").inner_text() == f"Model: {page.locator('.cp-model').count()} to choose from"
        chosen, rows = (page.locator(part).bounding_box() for part in (".cp-model:has(:checked)", ".cp-model-rows"))
        assert rows["y"] <= chosen["y"]
        assert chosen["y"] + chosen["height"] <= rows["y"] + rows["height"]
        page.close()


def test_of_several_quick_choices_the_last_one_is_what_the_server_takes(open_page, tmp_path):
    with serving(tmp_path / "cache", predict=Pace().predict) as (url, _):
        page = open_page(url, still=True)
        landed(page)
        for example in list_examples():
            page.locator(".cp-example", has_text=example.title).click()
        page.wait_for_function(f"{STATE}.run === 'cineglass/examples/{list_examples()[-1].id}'")
        page.locator(".cp-model input").first.focus()
        for key in ("ArrowDown", "ArrowUp", "ArrowDown"):
            page.keyboard.press(key)
        page.wait_for_selector(".cp-model:has(:checked):has-text('VIBE')")
        page.wait_for_selector("#cp-run-why:has-text('VIBE cannot run yet')")
        page.keyboard.press("ArrowUp")
        page.wait_for_selector("#cp-run:enabled")
        page.close()


def test_there_and_back_again_ends_where_it_began(open_page, tmp_path):
    with serving(tmp_path / "cache", predict=Pace().predict) as (url, _):
        page = open_page(url)
        landed(page)
        first, second = list_examples()[:2]
        page.wait_for_function(f"{STATE}.run === 'cineglass/examples/{first.id}'")
        for example in (second, first):
            page.locator(".cp-example", has_text=example.title).click()
        page.locator(".cp-model input").first.focus()
        for key in ("ArrowDown", "ArrowUp"):
            page.keyboard.press(key)
        page.wait_for_timeout(4000)  # whatever the page says again has been said by then
        assert page.evaluate(f"{STATE}.run") == f"cineglass/examples/{first.id}"
        assert page.locator(".cp-example[aria-pressed=true]").inner_text().startswith(first.title)
        assert page.locator("[data-chosen]").get_attribute("data-chosen") == page.locator(".cp-model input:checked").get_attribute("value")
        page.close()


def test_twenty_finished_results_are_listed_in_their_place_and_each_brings_its_own_card(open_page, tmp_path):
    for k in range(20):
        folder = shutil.copytree(list_examples()[k % len(list_examples())].folder, tmp_path / "results" / f"film-{k:02d}")
        facts = json.loads((folder / "responses.json").read_text())
        facts.update(simulated=False, badge="VIBE (published)", model_id=VIBE, model_title="VIBE")
        (folder / "responses.json").write_text(json.dumps(facts))
        (folder / "example.json").write_text(json.dumps({"title": f"Film {k}", "caption": "", "opens_with": [], "order": k}))
        shutil.copyfile(ASSETS / "models" / "vibe" / "card.yaml", folder / "card.yaml")
    with serving(tmp_path / "cache", predict=Pace().predict, results_dir=tmp_path / "results") as (url, _):
        page = open_page(url, still=True)
        landed(page)
        assert page.locator(".cp-example").count() == len(list_examples()) + 20
        left, below = (page.locator(part).bounding_box() for part in ("#cp-stimulus-section", "#cp-experiment-section"))
        assert below["y"] < 1000  # the list scrolls by itself
        assert left["width"] == below["width"]
        page.get_by_role("button", name="Film 17").click()
        page.wait_for_function(f"{STATE}.run === 'cineglass/examples/film-17'")
        assert page.locator(".cp-badge").inner_text() == "VIBE (published)"
        assert "ensemble" in page.locator("#cp-trust").inner_text()
        page.get_by_role("tab", name="Export").click()
        card = page.locator(".cp-files a", has_text="card.yaml").get_attribute("href")
        assert "0.3193" in page.request.get(f"{page.url.split('?')[0]}{card}").text()
        page.close()
