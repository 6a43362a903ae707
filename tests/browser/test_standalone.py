"""The player in one HTML file, opened from disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from encoder.responses import Responses
from extractors.grid import TR, tr_of
from extractors.stages import last
from tests.browser.player_page import DURATION, NASTY, film, planted, planted_value, serve, spoken
from tests.page_server import wait_until
from viz.look import Look
from viz.player_page import write_html

pytestmark = pytest.mark.browser
STATE = "window.__cineglass.state()"
LONG_TRS = 600
WIDE = {"width": 1300, "height": 1100}


def responses(rows: int | None = None) -> Responses:
    """The planted values as a whole result."""
    found = planted() if rows is None else planted(rows, rows * TR)
    return Responses(
        values=found.values,
        subjects=found.subjects,
        simulated=True,
        valid=found.valid,
        model_id="planted",
        model_title="planted",
        weights_sha256="a" * 64,
        extractor_ids={"video": "bars-1"},
        clip_sha256="b" * 64,
        clip_name=NASTY,
        duration=found.duration,
        present=found.present,
        transcript_source=NASTY,
        badge="Textbook simulation",
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("standalone")


@pytest.fixture(scope="module")
def clip(folder):
    return film(folder / "film.webm")


@pytest.fixture(scope="module")
def page_file(folder, clip):
    told = {"title": "A planted pattern", "caption": "Every parcel has its own rhythm."}
    return last(write_html(responses(), spoken(), folder / "page.html", film=clip, **told))


@pytest.fixture
def opened(open_page):
    """Open a file; afterwards nothing may have been asked for but the file itself and the film inside it."""
    asked = []

    def enter(path: Path, query: str = "", *, done: bool = True, **options):
        page = open_page("about:blank", **{**WIDE, **options})
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{path.as_uri()}{query}")
        if done:
            until(page, f"window.__cineglass && {STATE}.shownRow >= -1 && {STATE}.state === 'done'")
        return page

    yield enter
    assert [url for url in asked if not url.startswith(("file:", "blob:", "data:", "about:"))] == []
    assert len([url for url in asked if url.startswith("file:")]) <= 2  # the page itself, once or after a reload


def until(page, true: str) -> None:
    """Wait for a condition. Playwright's own way has the page evaluate text, and the page's policy forbids that."""
    wait_until(lambda: page.evaluate(true), 15.0)


def rest(page, time: float) -> dict:
    page.evaluate(f"window.__cineglass.clock.pause(); window.__cineglass.clock.seek({time})")
    until(page, f"Math.abs({STATE}.time - {time}) < 0.05 && !document.querySelector('video').seeking")
    return page.evaluate(STATE)


COLOUR = """parcel => {
  const { glass, surface } = window.__cineglass.panes;
  return [[glass, glass.placesOf(parcel)[0]], [surface, surface.placeOf(parcel)]].map(([pane, place]) => {
    if (!place) return null;
    const ratio = pane.canvas.width / pane.canvas.clientWidth;
    const data = pane.canvas.getContext("2d").getImageData(Math.round(place.x * ratio), Math.round(place.y * ratio), 1, 1).data;
    return [...data];
  });
}"""
"""Colours in which both brains show a parcel."""


def test_it_plays_from_disk_film_brain_and_words(opened, page_file):
    page = opened(page_file)
    until(page, f"{STATE}.playing && !{STATE}.stopwatch")
    before = page.evaluate(STATE)
    until(page, f"{STATE}.shownRow > {before['shownRow']}")
    assert page.evaluate("document.querySelector('video').videoWidth") == 256
    assert page.evaluate("document.querySelector('video').src").startswith("blob:")
    until(page, f"{STATE}.word !== null")
    assert page.title() == "A planted pattern · Cineglass"
    assert page.locator(".cg-title").inner_text() == "A planted pattern"
    assert page.locator(".cg-badge").inner_text() == "Textbook simulation"
    assert "No brain was measured" in page.locator("#cs-about").inner_text()
    assert not page.locator(".cg-copy").is_visible()  # nobody else could open such a link


def test_at_any_time_it_shows_the_row_and_the_colours_of_the_apps_page(opened, open_page, page_file, folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "cache"))
        server, address = serve(folder)
        try:
            alone, app = opened(page_file), open_page(address, **WIDE)
            until(app, f"window.__cineglass && {STATE}.row >= 0")
            for page in (alone, app):
                page.evaluate("window.__cineglass.host.style.width = '1000px'; window.__cineglass.setView('both')")  # pixels are compared
                until(page, f"{STATE}.surfaceRow >= 0 && window.__cineglass.size[0] === window.__cineglass.part.panes.clientWidth")
            seen = set()
            for time in (0.4, 7.9, 13.3, 22.2, 31.0):
                ours, theirs = rest(alone, time), rest(app, time)
                assert ours["shownRow"] == theirs["shownRow"] == tr_of(time)
                assert ours["range"] == theirs["range"]
                for parcel in (3, 117, 402, 640, 998):
                    colours = alone.evaluate(COLOUR, parcel)
                    assert colours == app.evaluate(COLOUR, parcel), (time, parcel)
                    seen.add(str(colours[0]))
            assert len(seen) > 10  # there was something to see
        finally:
            server.close()


def test_a_hidden_request_and_a_foreign_script_come_to_nothing(open_page, page_file):
    page = open_page(page_file.as_uri(), allowed=("Content Security Policy", "Refused", "violates", "Fetch API"))
    until(page, f"window.__cineglass && {STATE}.state === 'done'")
    outcome = page.evaluate(
        """async () => {
          const blocked = [];
          document.addEventListener('securitypolicyviolation', (event) => blocked.push(event.effectiveDirective));
          await fetch('http://127.0.0.1:9/').catch(() => {});
          const add = (name, set) => document.body.append(Object.assign(document.createElement(name), set));
          add('script', { textContent: 'window.__fired = 1' });
          add('img', { src: 'http://127.0.0.1:9/x.png' });
          add('iframe', { src: 'http://127.0.0.1:9/' });
          const loud = document.createElement('p');
          loud.setAttribute('onclick', 'window.__fired = 1');
          document.body.append(loud);
          loud.click();
          await new Promise((resolve) => setTimeout(resolve, 300));
          return [blocked, window.__fired];
        }"""
    )
    assert {"connect-src", "script-src-elem", "img-src", "frame-src", "script-src-attr"} <= set(outcome[0])
    assert outcome[1] is None


def test_hostile_title_words_and_names_are_text(opened, folder, clip):
    path = last(write_html(responses(), spoken(), folder / "hostile.html", film=clip, title=NASTY, caption=NASTY))
    page = opened(path)
    rest(page, 15.3)
    page.get_by_role("tab", name="Transcript").click()
    assert page.locator(".cg-title").inner_text() == NASTY
    assert NASTY in page.title()
    assert page.evaluate(STATE)["word"] == NASTY
    assert "window.__fired=1" in page.locator("#cs-about").inner_text()
    page.wait_for_timeout(200)
    assert page.evaluate("window.__fired") is None
    assert page.locator("img").count() == 0


def test_the_theme_is_the_systems_and_a_button_turns_it(opened, page_file, folder):
    light, dark = opened(page_file), opened(page_file, color_scheme="dark")
    assert (light.evaluate(STATE)["map"], dark.evaluate(STATE)["map"]) == ("light", "dark")
    button = light.get_by_role("button", name="Dark page")
    assert button.get_attribute("aria-pressed") == "false"
    button.focus()
    light.keyboard.press("Enter")
    until(light, f"{STATE}.map === 'dark'")
    assert button.get_attribute("aria-pressed") == "true"
    background = "getComputedStyle(document.body).backgroundColor"
    assert light.evaluate(background) == dark.evaluate(background)
    assert sum(int(part) for part in light.evaluate(background)[4:-1].split(",")) < 100


def test_it_opens_as_it_is_told_and_an_address_says_more(opened, folder, clip):
    look = Look(vmax=0.7, threshold=0.1, lag=5.0, views="surface", cmap="cold_hot", dark=True)
    path = last(write_html(responses(), None, folder / "look.html", film=clip, title="Told", look=look, opens_with=("Vis-L", "Vis-R")))
    state = opened(path).evaluate(STATE)
    assert {key: state[key] for key in ("range", "threshold", "lag", "view", "map", "lines")} == {
        "range": 0.7,
        "threshold": 0.1,
        "lag": 5,
        "view": "surface",
        "map": "classic",
        "lines": ["Vis-L", "Vis-R"],
    }
    page = opened(path, "?t=20.5&subject=sim3&lag=0")
    until(page, f"{STATE}.time === 20.5")
    state = page.evaluate(STATE)
    assert (state["subject"], state["lag"], state["threshold"], state["shownRow"], state["playing"]) == ("sim3", 0, 0.1, tr_of(20.5), False)


def test_six_hundred_rows_are_all_there(opened, folder, clip):
    path = last(write_html(responses(LONG_TRS), None, folder / "long.html", title="Long"))
    page = opened(path)
    for row in (0, 199, 200, 431, LONG_TRS - 1):
        time = (row + 0.5) * TR
        page.evaluate(f"window.__cineglass.clock.pause(); window.__cineglass.clock.seek({time})")
        until(page, f"{STATE}.shownRow === {row}")
        shown = page.evaluate("[...window.__cineglass.values.slice(0, 1000)]")
        scale = page.evaluate("window.__cineglass.result.value.parcels.scale")
        assert max(abs(value - planted_value(0, row, parcel)) for parcel, value in enumerate(shown)) <= scale / 2 + 1e-5


def test_without_a_film_the_curves_run_on_a_stopwatch(opened, folder):
    page = opened(last(write_html(responses(), spoken(), folder / "silent.html", title="No film")))
    until(page, f"{STATE}.playing && {STATE}.stopwatch && {STATE}.time > 0.5")
    assert page.locator(".cg-nopicture").inner_text() == "No film"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_a_phone(opened, page_file, theme):
    page = opened(page_file, width=360, height=740, color_scheme=theme)
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate(STATE)["playing"]


def test_the_film_lasts_as_long_as_the_result(opened, page_file):
    page = opened(page_file)
    until(page, "document.querySelector('video').duration > 0")
    assert page.evaluate("document.querySelector('video').duration") == pytest.approx(DURATION, abs=0.2)
