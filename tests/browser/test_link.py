"""Links in a real browser: the address holds what is shown, and opening it shows that again."""

from __future__ import annotations

import contextlib
import http.server
import threading
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from experiments.examples import list_examples
from extractors.grid import TR
from tests.films import write_film
from tests.page_server import NASTY, Pace, serving

pytestmark = pytest.mark.browser
STATE = "window.__cineglass.state()"
SHORT_S = 16.0
FIRST, SECOND, *_ = [example.id for example in list_examples()]
KEYS = ("run", "time", "subject", "view", "threshold", "range", "lag", "lines", "pins", "rate")


@pytest.fixture(scope="module")
def pace():
    return Pace()


@pytest.fixture(scope="module")
def address(tmp_path_factory, browser, pace):
    with serving(tmp_path_factory.mktemp("links") / "cache", predict=pace.predict) as (url, _):
        yield url


@pytest.fixture
def visit(open_page, address, pace):
    """Open the page with a query and wait until its result is drawn; brain and film rest unless a test is about what moves."""
    pace.go.set()

    def enter(query: str = "", **options):
        page = open_page(f"{address}/{query}", **{"still": True} | options)
        landed(page)
        return page

    return enter


def landed(page):
    page.wait_for_function(f"window.__cineglass && {STATE}.state === 'done' && {STATE}.shownRow >= -1 && {STATE}.run")
    page.wait_for_selector("#cp-run:visible")


def shown(page) -> dict:
    return page.evaluate(STATE)


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def ran(page, film) -> str:
    """Upload a film, run it, and give the id of its result."""
    page.set_input_files("#cp-upload input[type=file]", film)
    page.wait_for_selector(f".cp-clip:has-text('{SHORT_S:.1f} s')")
    page.click("#cp-run")
    page.wait_for_function(f"{STATE}.run.startsWith('cineglass/runs/')")
    return shown(page)["run"].rsplit("/", 1)[1]


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_film(tmp_path_factory.mktemp("film") / "bar.mp4", seconds=SHORT_S)


# keeping and restoring --------------------------------------------------------------------------------------------------------------


def test_the_address_of_an_untouched_landing_page_stays_plain(visit, address):
    page = visit(still=False)
    page.wait_for_function(f"{STATE}.time > 1.5")
    assert page.url == f"{address}/"


def test_the_colours_chosen_for_the_brains_go_with_the_address(visit):
    page = visit(f"?example={SECOND}&t=5")
    page.get_by_label("Colour map").select_option("classic")
    page.wait_for_function("location.search.includes('map=classic')")
    again = visit(page.url.partition("/?")[2].join(("?", "")))
    again.wait_for_function(f"{STATE}.map === 'classic'")
    assert again.get_by_label("Colour map").input_value() == "classic"


def test_what_a_visitor_sets_stands_in_the_address_and_opening_it_shows_the_same_again(visit):
    page = visit(f"?example={SECOND}")
    page.wait_for_function(f"{STATE}.run === 'cineglass/examples/{SECOND}'")
    page.evaluate(
        """() => {
          const player = window.__cineglass;
          player.clock.pause();
          player.setSubject('mean');
          player.setRange(1.3, true);
          player.setThreshold(0.25);
          player.setLag(5);
          player.setView('surface');
          player.openWith(['Vis-L', 'Vis-R', 'SomMot']);
          player.picking.setPins([11, 404]);
          player.setRate(1.5);
          player.clock.seek(20 * 1.49 + 0.4);
        }"""
    )
    page.wait_for_function("location.search.includes('rate=1.5') && location.search.includes('t=30.2')")
    before = shown(page)
    query = query_of(page.url)
    assert query["example"] == SECOND
    assert (query["subject"], query["view"], query["lag"], query["pins"]) == ("mean", "surface", "5", "12,405")
    assert (float(query["threshold"]), float(query["range"]), float(query["t"])) == (0.25, 1.3, 30.2)

    again = visit(f"?{urlsplit(page.url).query}", still=False)
    again.wait_for_function(f"{STATE}.time > 30")
    after = shown(again)
    assert {key: after[key] for key in KEYS} == {key: before[key] for key in KEYS}
    assert after["shownRow"] == before["shownRow"] == int((30.2 + 5) / TR)
    assert not after["playing"]


def test_a_link_without_a_time_opens_as_the_example_does_and_one_with_a_time_rests_there(visit):
    playing = visit(f"?example={SECOND}&subject=sim3", still=False)
    playing.wait_for_function(f"{STATE}.subject === 'sim3' && {STATE}.playing")
    resting = visit(f"?example={SECOND}&t=40.25", still=False)
    resting.wait_for_function(f"{STATE}.time === 40.25")
    resting.wait_for_timeout(600)
    assert (shown(resting)["time"], shown(resting)["playing"]) == (40.25, False)
    assert resting.evaluate("document.querySelector('video').muted")


def test_a_time_keeps_its_row_at_the_edges_of_rows(visit):
    page = visit()
    page.evaluate("window.__cineglass.clock.pause()")
    seen = []
    for time in (3 * TR + 0.001, 7 * TR - 0.0004, 7 * TR, 20 * TR + 1e-6, 50 * TR - 1e-4):
        page.evaluate(f"window.__cineglass.clock.seek({time})")
        pairs = page.evaluate("Object.fromEntries(window.__cineglass.link.pairs)")
        seen.append((int(time / TR + 1e-6), int(float(pairs["t"]) / TR + 1e-6)))
    assert [kept for _, kept in seen] == [row for row, _ in seen]


def test_only_what_differs_is_written_and_what_is_gradios_stays(visit):
    page = visit("?__theme=dark&flavour=plain%20one&view=api-recorder")
    page.evaluate("window.__cineglass.clock.pause(); window.__cineglass.setView('glass'); window.__cineglass.setThreshold(0.3)")
    page.wait_for_function("location.search.includes('threshold=0.3')")
    assert urlsplit(page.url).query.startswith("__theme=dark&flavour=plain%20one&view=api-recorder&")
    assert set(query_of(page.url)) <= {"__theme", "flavour", "view", "example", "t", "threshold"}
    assert page.evaluate("document.body.classList.contains('dark')")


def test_the_address_is_written_at_most_once_a_second(visit):
    page = visit(still=False)
    page.evaluate(
        "window.__calls = 0; const real = history.replaceState.bind(history);"
        "history.replaceState = (...given) => { window.__calls += 1; return real(...given); }; 0"
    )
    page.mouse.click(5, 5)
    began = page.evaluate("performance.now()")
    for step in range(60):
        page.evaluate(f"window.__cineglass.setThreshold({0.01 * step})")
        page.wait_for_timeout(25)
    page.wait_for_function("location.search.includes('threshold=0.59')")
    seconds = (page.evaluate("performance.now()") - began) / 1000
    assert 1 <= page.evaluate("window.__calls") <= seconds + 1


def test_another_example_takes_the_place_of_the_first_in_the_address_and_a_reload_brings_it_back(visit):
    page = visit()
    page.locator(".cp-example").nth(1).click()
    page.wait_for_function(f"location.search.includes('example={SECOND}')")
    page.reload()
    landed(page)
    page.wait_for_function(f"{STATE}.run === 'cineglass/examples/{SECOND}'")
    assert page.locator(".cp-example[aria-pressed=true]").inner_text().startswith(list_examples()[1].title)


def test_the_result_of_a_link_is_the_only_one_that_is_drawn(open_page, address):
    page = open_page("about:blank")
    page.add_init_script(
        """window.__titles = [];
        new MutationObserver(() => {
          const body = document.querySelector('.cg-body');
          const title = body && !body.hidden && body.querySelector('.cg-title').textContent;
          if (title && !window.__titles.includes(title)) window.__titles.push(title);
        }).observe(document, {childList: true, subtree: true, attributes: true, characterData: true});"""
    )
    page.goto(f"{address}/?example={SECOND}")
    landed(page)
    page.wait_for_function(f"{STATE}.run === 'cineglass/examples/{SECOND}'")
    assert page.evaluate("window.__titles") == [list_examples()[1].title]


def test_a_model_of_a_link_is_chosen_for_the_next_run_and_one_that_is_not_offered_is_not(visit):
    page = visit()
    page.wait_for_function("document.querySelectorAll('.cp-models input').length > 1")  # the list may be drawn after the player
    keys = page.locator(".cp-models input").evaluate_all("fields => fields.map(field => field.value)")
    usual = page.locator(".cp-models input:checked").input_value()
    other = next(key for key in keys if key != usual)
    page.goto(f"{page.url.split('?')[0]}?model={other}")
    landed(page)
    page.wait_for_selector(f".cp-models input[value='{other}']:checked")
    page.wait_for_function(f"new URLSearchParams(location.search).get('model') === '{other}'")
    page.goto(f"{page.url.split('?')[0]}?model=nobody/has-this")
    landed(page)
    page.wait_for_timeout(500)
    assert page.locator(".cp-models input:checked").input_value() == usual


# whose it is ------------------------------------------------------------------------------------------------------------------------


def test_a_run_comes_back_with_its_clip_and_the_right_to_delete_it_in_its_own_tab_only(visit, film, pace):
    owner = visit()
    run = ran(owner, film)
    owner.wait_for_function(f"location.search.includes('run={run}')")
    link = f"?{urlsplit(owner.url).query}"

    other = visit(link)
    other.wait_for_function(f"{STATE}.run === 'cineglass/runs/{run}'")
    assert other.locator(".cp-clip strong").inner_text() == other.locator(".cp-top-clip strong").inner_text()
    assert not other.locator("#cp-delete").is_visible()
    other.click("#cp-run")  # the film can be run again, for a result of their own
    other.wait_for_function(f"{STATE}.run.startsWith('cineglass/runs/') && {STATE}.run !== 'cineglass/runs/{run}'")
    assert pace.films[-1].endswith(f"runs/{run}/film.mp4")
    other.click("#cp-delete")
    other.wait_for_selector(":text('are deleted')")
    root = other.url.split("?")[0]
    assert other.request.get(f"{root}cineglass/runs/{run}/responses.json").status == 200

    owner.reload()
    landed(owner)
    owner.wait_for_function(f"{STATE}.run === 'cineglass/runs/{run}'")
    owner.wait_for_selector(".cp-clip:has-text('bar.mp4')")
    owner.click("#cp-run")
    owner.wait_for_function(f"{STATE}.run !== 'cineglass/runs/{run}'")
    assert "uploads" in pace.films[-1]
    owner.click("#cp-delete")
    owner.wait_for_selector(":text('are deleted')")
    assert owner.request.get(f"{root}cineglass/runs/{run}/responses.json").status == 404

    late = visit(f"?run={run}&t=5&subject=sim3")
    assert late.locator(".cg-notice").inner_text() == "This result is no longer kept here. This is an example instead."
    assert (shown(late)["run"], shown(late)["subject"]) == (f"cineglass/examples/{FIRST}", "sim1")
    late.wait_for_function("!location.search.includes('run=')")
    late.locator(".cp-example").nth(1).click()
    late.wait_for_selector(".cg-notice", state="hidden")


# hostile --------------------------------------------------------------------------------------------------------------------------


HOSTILE = (
    "t=1e3",
    "t=NaN&threshold=Infinity&range=-1&lag=4.9&rate=1e9",
    "t=999999&threshold=0x10&range=0&rate=0.6&view=sideways",
    f"subject={quote(NASTY)}&layer={quote(NASTY)}&curves={quote(NASTY)}&pins={quote(NASTY)}&view={quote(NASTY)}&t={quote(NASTY)}",
    f"example={quote(NASTY)}&model={quote(NASTY)}",
    "example=../../etc/passwd&run=..%2F..%2Fetc",
    "run=" + "a" * 32,
    "run=" + "A" * 32 + "&example=__proto__&subject=constructor&view=toString&layer=__proto__",
    "pins=0,1001,-5,1.5,99999,&curves=,,,&subject=",
    "curves=" + ",".join(["Vis-L"] * 1000) + "&pins=" + ",".join(str(k) for k in range(3000)),
    "t=5&" + "x=" + "y" * 10_000,
    "%E0%A4%A&%00=%00&t=%00&=&&&?",
)


@pytest.mark.parametrize("query", HOSTILE, ids=range(len(HOSTILE)))
def test_what_a_link_asks_in_vain_is_left_out_and_nothing_of_it_is_run(visit, query):
    page = visit(f"?{query}")
    page.wait_for_timeout(150)
    state = shown(page)
    assert page.evaluate("window.__fired") is None
    assert page.locator("img[src=x]").count() == 0
    assert state["state"] == "done"
    assert state["run"].startswith("cineglass/examples/")
    assert state["subject"] == "sim1"
    assert (state["threshold"], state["lag"], state["layer"], state["rate"]) == (0, 0, "response", 1)
    assert 0.05 <= state["range"] <= 100
    assert not state["viewChosen"]
    assert 0 <= state["time"] <= 200
    assert len(state["pins"]) <= 5
    assert "passwd" not in page.content()
    notices = page.locator(".cg-notice").inner_text() if page.locator(".cg-notice").is_visible() else ""
    assert "<" not in notices


# copying ----------------------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def framing(address: str, permission: str = ""):
    """A page on another origin that holds ours in a frame."""
    body = f"<!doctype html><title>embedder</title><iframe src='{address}' style='width:1100px;height:900px' {permission}></iframe>".encode()

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/" else 404)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body if self.path == "/" else b"")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def pasted(page) -> str:
    """What lies on the clipboard, pasted as a person would."""
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<textarea id=paste></textarea>')")
    page.locator("#paste").focus()
    page.keyboard.press("Control+V")
    return page.locator("#paste").input_value()


def test_copy_link_copies_the_moment_with_its_settings(visit, address):
    page = visit("?__theme=light&__sign=secret")
    page.evaluate("window.__cineglass.clock.pause(); window.__cineglass.clock.seek(20); window.__cineglass.setSubject('sim2')")
    page.click(".cg-copy")
    page.wait_for_selector(".cg-copy:has-text('Copied')")
    assert pasted(page) == f"{address}/?example={FIRST}&subject=sim2&t=20"
    page.wait_for_selector(".cg-copy:has-text('Copy link')")


@pytest.mark.parametrize("permission", ["", "allow='clipboard-write'"], ids=["without the permission", "with it"])
def test_copy_link_works_inside_a_frame_of_another_site(open_page, address, permission):
    with framing(f"{address}/?example={SECOND}&t=12.5", permission) as outside:
        page = open_page(outside, allowed=("404", "clipboard"))
        frame = page.frame_locator("iframe")
        frame.locator(".cg-copy").wait_for()
        inner = page.frames[1]
        inner.wait_for_function(f"{STATE}.run === 'cineglass/examples/{SECOND}' && {STATE}.time === 12.5")
        frame.locator(".cg-copy").click()
        frame.locator(".cg-copy:has-text('Copied')").wait_for()
        page.wait_for_timeout(100)
        assert pasted(page) == f"{address}/?example={SECOND}&t=12.5"
        inner.wait_for_function("location.search.includes('t=12.5')")
        page.close()


def test_where_nothing_may_be_copied_the_link_stands_in_a_field(visit, address):
    page = visit()
    page.evaluate("document.execCommand = () => false; navigator.clipboard.writeText = () => Promise.reject(new Error('no')); 0")
    page.evaluate("window.__cineglass.clock.pause(); window.__cineglass.clock.seek(20)")
    page.click(".cg-copy")
    field = page.get_by_label("The link, to copy by hand")
    field.wait_for()
    assert field.input_value() == f"{address}/?example={FIRST}&t=20"
    assert page.evaluate("const field = document.activeElement; field.value.slice(field.selectionStart, field.selectionEnd)") == field.input_value()
    page.keyboard.press("Tab")
    field.wait_for(state="hidden")


SPACE = """<!doctype html><title>a Space</title>
<script>window.told = []; addEventListener("message", ({{origin, data}}) => data.queryString && window.told.push([origin, data]));</script>
<iframe src="{}" style="width:1100px;height:900px" allow="local-network-access *"></iframe>"""


def test_inside_a_space_the_parent_page_is_told_the_state_and_nothing_else(browser, address):
    context = browser.new_context(permissions=["local-network-access"])  # a page of a public site may not hold one of this machine otherwise
    try:
        body = SPACE.format(f"{address}/?__theme=dark&__sign=secret&subject=sim2&t=7.5")
        context.route("https://huggingface.co/**", lambda route: route.fulfill(body=body, content_type="text/html"))  # nothing leaves this machine
        page = context.new_page()
        page.goto("https://huggingface.co/spaces/someone/cineglass")
        page.wait_for_function("window.told.length")
        assert page.evaluate("window.told") == [[address, {"queryString": f"?example={FIRST}&subject=sim2&t=7.5"}]]
    finally:
        context.close()


def test_a_page_above_that_is_no_space_is_told_nothing(open_page, address):
    with framing(f"{address}/?subject=sim2&t=7.5") as outside:
        page = open_page("about:blank", allowed=("404",))
        page.add_init_script("window.told = []; addEventListener('message', (event) => event.data.queryString && window.told.push(event.data))")
        page.goto(outside)
        page.frame_locator("iframe").locator(".cg-copy").wait_for()
        page.frames[1].wait_for_function("location.search.includes('example=')")
        page.wait_for_timeout(200)
        assert page.evaluate("window.told") == []
        page.close()
