"""The cortical surface in a real browser: a bare page with the player's own scripts, planted values, and the pixels that come of them."""

from __future__ import annotations

import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from encoder.atlas import load_atlas
from settings import ASSETS
from viz.player_page import FOLDER, SURFACE
from viz.surface_maps import GREYS, LIGHT_FLOOR, read_surface_maps

pytestmark = pytest.mark.browser

THEME = {
    "font": "sans-serif",
    "text": "#16202e",
    "muted": "#5a6675",
    "surface": "#ffffff",
    "warn": "#a34a0b",
    "crease": "rgba(70, 84, 102, 0.42)",
}
SETTINGS = {"range": 1.0, "threshold": 0.0, "map": "light", "dark": False, "simulated": True, "who": "Sim 1"}
VALUES = np.sin(0.37 * np.arange(1000)).round(3)
KEYS = ("ll", "ml", "mr", "lr")

PAGE = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><body style="margin:0"><canvas></canvas><script>
"use strict";
const ATLAS = %s;
%s
const canvas = document.querySelector("canvas");
const surface = new Surface(canvas);
function lay(width, ratio, theme) {
  canvas.style.width = `${width}px`;
  return surface.layout(width, ratio, theme);
}
function pixel(x, y) {
  return Array.from(canvas.getContext("2d").getImageData(Math.floor(x * surface.ratio), Math.floor(y * surface.ratio), 1, 1).data);
}
</script>"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("surface")
    scripts = [FOLDER / name for name in ("series.js", "data.js", "colour.js", "foot.js", "surface.js") if (FOLDER / name).is_file()]
    code = "\n".join(path.read_text(encoding="utf-8") for path in scripts)
    (folder / "index.html").write_text(PAGE % ((FOLDER / "atlas.json").read_text(encoding="utf-8"), code), encoding="utf-8")
    (folder / "surface.bin").write_bytes(SURFACE.read_bytes())
    (folder / "broken.bin").write_bytes(SURFACE.read_bytes().replace(load_atlas().hash[:8].encode(), b"00000000"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def drawn(open_page, address):
    """Open the page, load the maps, lay them out and draw; returns the page."""

    def make(width=1000, ratio=1, values=VALUES, row=3, **settings):
        page = open_page(address, width=max(width, 400), height=700)
        page.evaluate(
            """async ([width, ratio, theme, values, row, settings]) => {
              const maps = await loadSurface("surface.bin");
              surface.setMaps(maps.header, maps.ids, maps.shades);
              lay(width, ratio, theme);
              surface.draw(Float32Array.from(values), row, settings);
            }""",
            [width, ratio, THEME, list(map(float, values)), row, SETTINGS | settings],
        )
        return page

    return make


def look(page, parcel: int, key: str) -> tuple[list[int], int]:
    """Colour of the pixel well inside a parcel, and the parcel told for that place."""
    return page.evaluate(
        "([parcel, key]) => { const at = surface.placeOf(parcel, key); return [pixel(at.x, at.y), surface.parcelAt(at.x, at.y)]; }", [parcel, key]
    )


def colour_of(value: float, name: str = "light", limit: float = 1.0) -> np.ndarray:
    """Colour of a value, straight from the committed stops of the map."""
    stops = json.loads((ASSETS / "player" / "atlas.json").read_text(encoding="utf-8"))["maps"][name]
    rgb = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in stops], float)
    place = np.clip((value / limit + 1) / 2, 0, 1) * (len(stops) - 1)
    return np.array([np.interp(place, np.arange(len(stops)), channel) for channel in rgb.T])


def well_seen(key: str, how_many: int = 20) -> list[int]:
    """Parcels spread over those that a view shows large."""
    view = next(view for view in read_surface_maps().views if view.key == key)
    counts = np.bincount(view.ids[(view.ids > 0) & (view.ids <= 1000)], minlength=1001)
    large = np.flatnonzero(counts >= 260) - 1
    return [int(parcel) for parcel in large[np.linspace(0, len(large) - 1, how_many).astype(int)]]


@pytest.mark.parametrize(("name", "dark", "ratio"), [("light", False, 1), ("dark", True, 2)])
def test_twenty_parcels_of_each_view_take_the_colour_of_their_value_under_a_mild_light(drawn, name, dark, ratio):
    page = drawn(ratio=ratio, map=name, dark=dark)
    for key in KEYS:
        for parcel in well_seen(key):
            seen, told = look(page, parcel, key)
            assert told == parcel
            assert seen[3] == 255
            full = colour_of(VALUES[parcel], name)
            # one light for all three channels, between its floor and 1; a level of the table more or less
            light = seen[:3] @ full / (full @ full)
            assert LIGHT_FLOOR - 0.02 <= light <= 1.02, (key, parcel, seen, full)
            assert np.abs(np.array(seen[:3]) - light * full).max() <= 4, (key, parcel, seen, full)


def test_what_a_view_shows_belongs_to_its_side_and_every_parcel_that_is_not_hidden_can_be_pointed_at(drawn):
    page = drawn(width=1280)
    found = page.evaluate("""() => Array.from({ length: 1000 }, (_, parcel) => {
      const at = surface.placeOf(parcel);
      return at ? [at.key, surface.parcelAt(at.x, at.y), surface.hidden.has(parcel)] : ["", -1, surface.hidden.has(parcel)];
    })""")
    sides = load_atlas().hemispheres
    for parcel, (key, told, hidden) in enumerate(found):
        assert hidden or told == parcel
        assert not key or key[1].upper() == sides[parcel]
    assert page.evaluate("surface.hidden.size") == len(read_surface_maps().hidden)


def test_nothing_is_told_off_the_brain_and_on_the_medial_wall(drawn):
    page = drawn()
    assert page.evaluate("[surface.parcelAt(1, 1), surface.parcelAt(-5, 40), surface.parcelAt(5000, 40)]") == [-1, -1, -1]
    at = page.evaluate("(() => { const p = surface.places[1]; return [p.x + p.width / 2, p.y + p.height * 0.55]; })()")
    assert page.evaluate("([x, y]) => surface.parcelAt(x, y)", at) == -1
    red, green, blue, clear = page.evaluate("([x, y]) => pixel(x, y)", at)
    assert red == green == blue
    assert GREYS["light"][0] <= red <= GREYS["light"][1]
    assert clear == 255


def test_below_the_threshold_a_colour_fades_into_the_grey_and_does_not_vanish(drawn):
    values = np.where(np.arange(1000) % 2, 0.9, 0.3)
    full, faded, none = drawn(values=values), drawn(values=values, threshold=0.5), drawn(values=values, row=-1)
    for parcel in well_seen("ll", 12):
        before, after, bare = (np.array(look(page, parcel, "ll")[0][:3], float) for page in (full, faded, none))
        if parcel % 2:
            assert (before == after).all()
            continue
        share = 0.1 + 0.22 * 0.3 / 0.5
        assert np.abs(after - (share * before + (1 - share) * bare)).max() <= 2
        assert (after != bare).any()


def test_without_a_prediction_the_brains_are_grey_and_it_is_said_in_the_picture(drawn):
    page = drawn(row=-1)
    for key in KEYS:
        for parcel in well_seen(key, 6):
            (red, green, blue, _), _told = look(page, parcel, key)
            assert red == green == blue
            assert GREYS["light"][0] <= red <= GREYS["light"][1]
    assert page.evaluate("surface.row") == -1
    middle = """(() => {
      const { y, height } = surface.places[0];
      return canvas.getContext("2d").getImageData(canvas.width / 2 - 20, y + height * 0.92 - 6, 40, 12).data.join();
    })()"""
    told = page.evaluate(middle)
    assert len(set(told.split(","))) > 4
    page.evaluate("([values, settings]) => surface.draw(Float32Array.from(values), 2, settings)", [VALUES.tolist(), SETTINGS])
    assert page.evaluate(middle) != told
    assert page.evaluate("surface.row") == 2


def test_an_unknown_value_leaves_the_parcel_grey(drawn):
    page = drawn(values=np.zeros(1000))
    parcel, other = well_seen("lr", 2)
    page.evaluate(
        "([parcel, settings]) => { const v = new Float32Array(1000).fill(0.8); v[parcel] = NaN; surface.draw(v, 1, settings); }", [parcel, SETTINGS]
    )
    red, green, blue, _ = look(page, parcel, "lr")[0]
    assert red == green == blue
    red, green, blue, _ = look(page, other, "lr")[0]
    assert red > blue + 20


def test_at_ratio_two_the_maps_are_shown_pixel_by_pixel_and_not_enlarged(drawn):
    values = np.where(np.arange(1000) % 2, 0.6, -0.6)
    read = """() => {
      const [{ x, y, width, height }, r] = [surface.places[0], surface.ratio];
      const box = [x, y, width, height].map((n) => Math.round(n * r));
      const { data } = canvas.getContext("2d").getImageData(...box);
      return [box, Array.from({ length: data.length / 4 }, (_, i) => Math.sign(data[4 * i] - data[4 * i + 2]) + 1).join("")];
    }"""
    view = read_surface_maps().views[0]
    wrong = {}
    for ratio in (1, 2):
        box, data = drawn(width=1280, ratio=ratio, values=values).evaluate(read)
        sign = (np.frombuffer(data.encode(), np.uint8).astype(int) - ord("1")).reshape(box[3], box[2])  # of red minus blue
        sign = sign.repeat(2 // ratio, 0).repeat(2 // ratio, 1)
        rows = ((np.arange(len(sign)) + 0.5) / len(sign) * view.ids.shape[0]).astype(int)
        columns = ((np.arange(len(sign[0])) + 0.5) / len(sign[0]) * view.ids.shape[1]).astype(int)
        ids = view.ids[rows][:, columns].astype(int)
        brain = (ids > 0) & (ids <= 1000)
        expected = np.where((ids - 1) % 2, 1, -1)
        wrong[ratio] = (sign != expected)[brain].mean()
    assert wrong[2] < 0.02
    assert wrong[2] < wrong[1] / 2


def test_views_stand_left_on_the_left_in_one_row_or_in_two(drawn):
    wide = drawn(width=1000).evaluate("surface.places.map((p) => [p.view.key, Math.round(p.x), Math.round(p.y)])")
    assert [key for key, *_ in sorted(wide, key=lambda place: place[1])] == list(KEYS)
    assert len({y for *_, y in wide}) == 1
    page = drawn(width=360)
    narrow = {key: (x, y) for key, x, y in page.evaluate("surface.places.map((p) => [p.view.key, p.x, p.y])")}
    assert narrow["ll"][0] == narrow["ml"][0] < narrow["lr"][0] == narrow["mr"][0]
    assert narrow["ll"][1] == narrow["lr"][1] < narrow["ml"][1] == narrow["mr"][1]
    assert page.evaluate("surface.places.every((p) => p.x >= 0 && p.x + p.width <= 360 && p.y + p.height <= surface.height)")


def test_the_pane_keeps_its_height_when_the_maps_come_later(open_page, address):
    page = open_page(address)
    before, after, ready = page.evaluate(
        """async (theme) => {
          const before = lay(900, 1, theme);
          const settings = { range: 1, threshold: 0, map: "light", dark: false, simulated: true, who: "" };
          surface.draw(new Float32Array(1000), 0, settings);
          const ready = surface.ready;
          const maps = await loadSurface(new Uint8Array(await (await fetch("surface.bin")).arrayBuffer()));
          surface.setMaps(maps.header, maps.ids, maps.shades);
          return [before, surface.height, [ready, surface.ready]];
        }""",
        THEME,
    )
    assert before == after
    assert ready == [False, True]


def test_maps_of_another_atlas_or_none_at_all_are_refused_in_words(open_page, address):
    page = open_page(address, allowed=("404",))
    asked = "(name) => loadSurface(name).then(() => 'taken', (error) => error.message)"
    assert page.evaluate(asked, "broken.bin") == "The surface maps belong to another atlas."
    assert page.evaluate(asked, "missing.bin") == "The surface maps could not be fetched."


def test_a_ring_marks_a_parcel_from_outside_and_goes_with_the_next_drawing(drawn):
    page = drawn(width=800)
    parcel = well_seen("lr", 3)[1]
    plain, _ = look(page, parcel, "lr")
    count = """(colour) => { const d = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      let n = 0; for (let i = 0; i < d.length; i += 4) n += d[i] === 1 && d[i + 1] === 254 && d[i + 2] === 3; return n; }"""
    draw = "([values, settings]) => surface.draw(Float32Array.from(values), 3, settings)"
    page.evaluate(draw, [VALUES.tolist(), SETTINGS | {"marks": [{"parcel": parcel, "colour": "#01fe03"}]}])
    assert page.evaluate(count) > 12
    assert look(page, parcel, "lr")[0] == plain
    page.evaluate(draw, [VALUES.tolist(), SETTINGS])
    assert page.evaluate(count) == 0
