"""The whole way of an experiment in a real browser: an example is muted, compared, looked at from every side, saved, and opened by somebody else.

Everything on it is real, the model too; only the sensitivity to small changes comes from two null edits instead of ten.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from encoder.curves import curve_ids, curve_masks
from experiments.comparison import Comparison, compare
from experiments.comparison_files import load_comparison
from experiments.examples import list_examples
from extractors.grid import TR
from tests.page_server import serving, wait_until

pytestmark = pytest.mark.browser
PLAYER = "window.__cineglass"
STATE = f"{PLAYER}.state()"
EXAMPLE = next(one for one in list_examples()[1:] if "Auditory" in one.opens_with)  # not the one that is open anyway
AUDITORY = np.flatnonzero(curve_masks()["Auditory"])
SIM_3 = 2  # its place
SETTINGS = "subject row time view shown tab threshold range lag map lines labels greys offered maximum word"
TEXTS = "title badge caption absent filmtag conditions readings rownote subtitles brainnote shownnote words compare subjects"

PICTURES = """() => Object.fromEntries([...document.querySelectorAll('.cineglass canvas')].filter((canvas) => canvas.offsetParent && canvas.width)
    .map((canvas, i) => [`${i} ${canvas.className || canvas.parentNode.className} ${canvas.getAttribute('aria-label')}`, canvas.toDataURL()]))"""
FRAME = """() => { const { video } = window.__cineglass.part, canvas = document.createElement('canvas');
    Object.assign(canvas, { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext('2d').drawImage(video, 0, 0);
    return canvas.toDataURL(); }"""
RESTS = """() => { const { part: { video }, panes, result } = window.__cineglass;
    return video.readyState >= 2 && !video.seeking && panes.surface.ready && result.everySeries.every(({ chunks }) => chunks.whole); }"""
TINTS = """parcels => ['glass', 'surface'].map((name) => {
    const brain = window.__cineglass.panes[name], ink = brain.canvas.getContext('2d');
    const places = parcels.flatMap((parcel) => (name === 'glass' ? brain.placesOf(parcel) : [brain.placeOf(parcel)])).filter(Boolean);
    const [x, y] = ['x', 'y'].map((axis) => places.map((place) => Math.round(place[axis] * brain.ratio)));
    const tints = x.map((at, i) => ink.getImageData(at, y[i], 1, 1).data).map(([red, , blue]) => red - blue);
    return tints.reduce((sum, tint) => sum + tint, 0) / tints.length; })"""
GREY = """() => { const p = window.__cineglass, c = p.curves, { half } = c.drawn[0], wide = c.canvas.width;
    const { drawHalf, drawLine } = c, none = () => {};
    const paint = (grey, line) => {
        Object.assign(c, { drawHalf: grey ? drawHalf : none, drawLine: line ? drawLine : none });
        p.set({}, 'curves');
        return c.context.getImageData(0, 0, wide, c.canvas.height).data;
    };
    const bare = paint(false, false), grey = paint(true, false), line = paint(false, true), whole = paint(true, true);
    const apart = (one, other, at) => Math.max(...[0, 1, 2, 3].map((i) => Math.abs(one[4 * at + i] - other[4 * at + i])));
    const rows = [...half.keys()].slice(1, -1).map((row) => {
        const x = Math.round(c.xOf(c.timeOf(row, 0)) * c.ratio);
        const found = [...Array(c.canvas.height).keys()].filter((y) => apart(bare, grey, y * wide + x) > 6);
        return [found[0] / c.ratio, (found[found.length - 1] + 1) / c.ratio, c.yOf(half[row]), c.yOf(-half[row])];
    });
    const covered = [...Array(wide * c.canvas.height).keys()].filter((at) => apart(bare, grey, at) > 6 && apart(grey, whole, at) > 6);
    return { rows, covered: covered.length, wholly: covered.filter((at) => apart(line, whole, at) === 0).length }; }"""
CELLS = """() => { const { cells, panes } = window.__cineglass.part.sideBySide;
    return cells.map(({ values, lines }, i) => ({ values: [...values], brain: panes[i].range, axis: [lines.range, lines.yOf(0), lines.yOf(1)],
        greys: lines.drawn.filter(({ half }) => half).length })); }"""


def with_two_null_edits(a, edits, **how):
    yield from compare(a, edits, **{**how, "null": 2 if how["null"] is None else how["null"]})


@pytest.fixture(scope="module")
def served(tmp_path_factory, browser):
    with serving(tmp_path_factory.mktemp("whole") / "cache", compare=with_two_null_edits) as (url, demo):
        yield url, demo.shelf


@dataclass
class Truth:
    """What the files of a comparison hold."""

    comparison: Comparison

    @property
    def subjects(self) -> dict[str, np.ndarray]:
        """float32 [4, T, 1000] of A, of B and of A - B, under the player's names."""
        a, b = (side.responses.values for side in (self.comparison.a, self.comparison.b))
        return {"a": a, "b": b, "difference": a - b}

    @property
    def auditory(self) -> np.ndarray:
        """Auditory cortex of Sim 3 in A - B, float32 [T]."""
        return self.subjects["difference"][SIM_3][:, AUDITORY].mean(1)

    @property
    def row(self) -> int:
        """Where it is farthest from zero."""
        return int(np.argmax(np.where(self.comparison.valid, np.abs(self.auditory), 0)))

    @property
    def half(self) -> np.ndarray:
        """Half width of its grey band, float32 [T]."""
        return self.comparison.null.half_width[curve_ids().index("Auditory"), SIM_3]


def landing(open_page, url):
    page = open_page(url, width=1400)
    page.set_default_timeout(300_000)  # a model computes, and other tests run beside this one
    page.wait_for_function(f"{PLAYER} && {STATE}.row >= 0")
    page.wait_for_selector(".cp-quick-one")
    return page


def rest(page):
    """Paused, with film, rows and surface there."""
    page.evaluate(f"{PLAYER}.clock.pause()")
    page.wait_for_function(RESTS)


def pressed(page, key: str) -> dict[str, str]:
    """All canvases after a key."""
    page.keyboard.press(key)
    rest(page)
    return page.evaluate(PICTURES)


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name.split()[1] for name in before if before[name] != after.get(name)}


def seen(page) -> tuple:
    """Settings, sentences, canvases, and the frame of the film."""
    page.mouse.move(0, 0)
    rest(page)
    state = page.evaluate(STATE)
    texts = {name: page.locator(f".cg-{name}").all_text_contents() for name in TEXTS.split()} | {"B": page.locator(".cp-change").all_text_contents()}
    return {name: state[name] for name in SETTINGS.split()}, texts, page.evaluate(PICTURES), page.evaluate(FRAME)


def choose_an_example_mute_it_and_compare(page) -> str:
    """Address of the comparison."""
    page.locator(".cp-example", has_text=EXAMPLE.title).click()
    page.wait_for_function(f"{STATE}.run === 'cineglass/examples/{EXAMPLE.id}'")
    page.get_by_role("button", name="Mute the sound", exact=True).click()
    page.locator("#cp-compare:enabled").click()
    page.wait_for_selector("#cp-compare-status .cp-status[data-state=done]", state="attached")
    return page.evaluate(f"{STATE}.run")


def look_at_auditory_cortex_of_sim_3(page, truth):
    page.get_by_role("radio", name="Sim 3").click()
    for chip in page.locator(".cg-chip").all():
        if (chip.get_attribute("aria-pressed") == "true") != (chip.get_attribute("data-curve") == "Auditory"):
            chip.click()
    page.evaluate(f"time => {{ {PLAYER}.clock.pause(); {PLAYER}.clock.seek(time); }}", round(truth.row * TR + 0.4, 2))
    page.wait_for_function(f"{STATE}.row === {truth.row}")
    rest(page)


def check_brains(page, truth, shown: str):
    """Both brains were drawn with what the files hold."""
    now = truth.subjects[shown][SIM_3, truth.row]
    assert page.evaluate(f"{STATE}.shown") == shown
    step = page.evaluate(f"{PLAYER}.conditions.a.scale + {PLAYER}.conditions.b.scale")  # of the bytes that the page is sent
    for pane in ("glass", "surface"):
        np.testing.assert_allclose(page.evaluate(f"[...{PLAYER}.panes.{pane}.values]"), now, atol=step)


def swap_and_swap_back(page, truth):
    """A's picture, B's, A's; the curves keep A solid and B dashed meanwhile."""
    check_brains(page, truth, "a")
    a = page.evaluate(PICTURES)
    b = pressed(page, "x")
    check_brains(page, truth, "b")
    assert page.locator(".cg-filmtag").inner_text() == "B"
    assert changed(a, b) >= {"cg-brain", "cg-surface"}
    assert "cg-curves" not in changed(a, b)
    assert pressed(page, "x") == a


def look_at_the_contrast(page, truth):
    before = page.evaluate(PICTURES)
    contrast = pressed(page, "d")
    check_brains(page, truth, "difference")
    assert changed(before, contrast) >= {"cg-brain", "cg-surface", "cg-curves"}
    for tint in page.evaluate(TINTS, AUDITORY.tolist()):
        assert np.sign(tint) == np.sign(truth.auditory[truth.row])  # red is above zero
    curve, values, half = page.evaluate(f"(({{ curve, values, half }}) => [curve.id, [...values], [...half]])({PLAYER}.curves.drawn[0])")
    assert curve == "Auditory"
    np.testing.assert_allclose(values, truth.auditory, atol=0.01 * np.abs(truth.auditory).max())
    np.testing.assert_allclose(half, truth.half, atol=0.01 * truth.half.max())
    assert page.locator(".cg-changes li[data-curve=Auditory]").get_attribute("data-outside") == "yes"
    check_the_grey(page, truth)
    assert page.evaluate(PICTURES) == contrast
    assert changed(contrast, pressed(page, "x")) >= {"cg-brain", "cg-surface", "cg-curves"}
    pressed(page, "x")
    assert pressed(page, "d") == contrast


def check_the_grey(page, truth):
    """Read from the pixels, on an axis on which small changes can be seen although a whole film was muted."""
    page.get_by_label("scale of the brains").check()
    page.get_by_label("Colour range in z").fill(f"{max(0.06, 2 * float(truth.half.max())):.3f}")
    page.keyboard.press("Enter")
    found = page.evaluate(GREY)
    tall = [row for row in found["rows"] if row[3] - row[2] > 10]
    assert len(tall) > len(found["rows"]) / 4
    for top, bottom, above, below in tall:
        assert (top, bottom) == (pytest.approx(above, abs=3), pytest.approx(below, abs=3))  # it climbs by up to three pixels in one
    assert found["covered"] > 20
    assert found["wholly"] > found["covered"] / 4  # the grey lies behind: nothing of it is left on a line at full strength
    page.get_by_role("button", name="back to auto").click()
    page.get_by_label("scale of the brains").uncheck()


def look_at_four_subjects(page, truth):
    page.get_by_role("tab", name="Subjects", exact=True).click()
    subjects = page.locator(".cg-subject")
    assert subjects.locator("b").all_inner_texts() == list(truth.comparison.a.responses.subject_labels)
    for canvas in (".cg-one", ".cg-small canvas"):
        assert len({one.evaluate("canvas => canvas.toDataURL()") for one in subjects.locator(canvas).all()}) == 4
    cells = page.evaluate(CELLS)
    apart = truth.subjects["difference"][:, truth.row]
    np.testing.assert_allclose([cell["values"] for cell in cells], apart, atol=0.02 * np.abs(apart).max())
    assert {cell["brain"] for cell in cells} == {page.evaluate(f"{STATE}.range")}
    assert len({tuple(cell["axis"]) for cell in cells}) == 1
    assert [cell["greys"] for cell in cells] == [1] * 4
    contrast = page.evaluate(PICTURES)
    assert "cg-one" in changed(contrast, pressed(page, "x"))
    pressed(page, "x")
    assert pressed(page, "d") == contrast
    pressed(page, "d")


def save_the_capsule(page, folder):
    page.get_by_role("tab", name="My runs", exact=True).click()
    page.get_by_label("with the film in it").check()
    page.locator(".cp-runs-one").first.get_by_role("button", name="Save capsule").click()
    with page.expect_download() as download:
        page.locator(".cp-capsule a").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def open_the_capsule(page, path):
    page.get_by_role("tab", name="My runs", exact=True).click()
    page.locator(".cp-runs input[type=file]").set_input_files(path)
    page.wait_for_url("**comparison=*")
    page.wait_for_function(f"{PLAYER} && {PLAYER}.base && {STATE}.run.startsWith('cineglass/comparisons/')")
    page.wait_for_selector(".cp-change")


def test_an_example_is_muted_compared_swapped_seen_in_four_brains_saved_and_opened_in_a_new_visit(open_page, served, tmp_path):
    url, shelf = served
    page = landing(open_page, url)
    run = choose_an_example_mute_it_and_compare(page)
    truth = Truth(load_comparison(shelf.comparison(run.rpartition("/")[2])))
    look_at_auditory_cortex_of_sim_3(page, truth)
    swap_and_swap_back(page, truth)
    look_at_the_contrast(page, truth)
    look_at_four_subjects(page, truth)
    pressed(page, "x")
    capsule = save_the_capsule(page, tmp_path)
    looks = [seen(page)]
    pressed(page, "d")
    looks.append(seen(page))
    assert [(now["shown"], now["tab"], now["subject"], now["greys"]) for now, *_ in looks] == [
        ("b", "subjects", "sim3", 0),
        ("difference", "subjects", "sim3", 1),
    ]
    warnings = page.locator(".cg-warnings li").all_inner_texts()

    page.get_by_role("button", name="Delete my clips and results now").click()  # from here on there is only the file
    wait_until(lambda: page.request.get(f"{url}/{run}/a/responses.json").status == 404, 60)
    other = landing(open_page, url)
    assert other.context is not page.context
    open_the_capsule(other, capsule)
    assert other.evaluate(f"{STATE}.run") != run
    for settings, texts, pictures, frame in looks:
        again = seen(other)
        assert again[:2] == (settings, texts)
        assert list(again[2]) == list(pictures)
        assert len(pictures) > 12
        assert changed(pictures, again[2]) == set()  # to the last pixel
        assert again[3] == frame
        pressed(other, "d")
    added = [text for text in other.locator(".cg-warnings li").all_inner_texts() if text not in warnings]
    assert added
    assert all("Opened from a capsule" in text for text in added)
