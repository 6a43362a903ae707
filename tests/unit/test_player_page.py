"""The player as HTML: the head of the app's page, and a page in one file."""

from __future__ import annotations

import base64
import html
import json
import re
from hashlib import sha256

import numpy as np
import pytest

from extractors.errors import CacheError, MediaError, SelectionError
from extractors.stages import Stage, last
from extractors.tr_table import table_from_words
from extractors.transcript import Word
from tests.page_server import NASTY
from tests.unit.test_responses import some_responses
from viz.look import Look
from viz.payload import pack, pack_comparison, pack_layer
from viz.player_page import FOLDER, PIECE, SCRIPTS, STYLES, SURFACE, OtherCondition, head_html, surface_address, write_html

ROWS = 50
TITLE = "A page"


def some_words(text="hello"):
    return table_from_words([Word(text, 1.0, 0.2), Word("there", 2.1, 0.4)], ROWS, source="file talk.srt", timing="given")


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Bytes that are no film, one piece and a bit, so that pieces meet in the middle."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    path.write_bytes(np.random.default_rng(0).bytes(PIECE + 1001))
    return path


def written(path, film=None, transcript=None, responses=None, **how):
    responses = responses or some_responses(rows=ROWS)
    return last(write_html(responses, transcript or some_words(), path, film=film, **{"title": TITLE} | how)).read_text(encoding="utf-8")


def told(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="cs-value">(.*?)</script>', page, re.S)[1])


# the head of the app's page ---------------------------------------------------------------------------------------------------------


def test_every_script_and_style_of_the_player_is_in_the_head_in_the_order_in_which_they_build_on_each_other():
    head = head_html()
    places = [head.index((FOLDER / name).read_text(encoding="utf-8").replace("</", "<\\/")) for name in SCRIPTS]
    assert places == sorted(places)
    assert {path.name for path in FOLDER.glob("*.css")} == set(STYLES)
    assert all((FOLDER / name).read_text(encoding="utf-8") in head for name in STYLES)


def test_the_surface_maps_have_an_address_that_changes_with_their_content():
    name = sha256(SURFACE.read_bytes()).hexdigest()[:12]
    assert surface_address() == f"cineglass/player/surface-{name}.bin"
    assert f'window.CineglassSurface = {{"url": "{surface_address()}"}};' in head_html()


# a page in one file -----------------------------------------------------------------------------------------------------------------


def test_equal_results_give_equal_bytes_and_another_result_gives_others(tmp_path, film):
    first, second = written(tmp_path / "a.html", film), written(tmp_path / "b.html", film)
    assert first == second
    assert written(tmp_path / "c.html", film, responses=some_responses(rows=ROWS, warnings=("Short.",))) != first


def test_film_value_and_surface_maps_lie_in_it_whole(tmp_path, film):
    page = written(tmp_path / "page.html", film)
    pieces = re.findall(r'<script type="text/plain" data-film="a">(.*?)</script>', page, re.S)
    assert len(pieces) == 2
    assert b"".join(base64.b64decode(piece, validate=True) for piece in pieces) == film.read_bytes()
    packed = pack(some_responses(rows=ROWS), some_words(), media_url=None, media_kind="video", title=TITLE, run_id="file", range_floor=0.3)
    value = told(page)["value"]
    assert {key: value[key] for key in packed} == packed
    assert all("url" not in chunk for chunk in value["parcels"]["chunks"])
    surface = re.search(r'window\.CineglassSurface = \{"data": "([^"]*)"\}', page)[1]
    assert base64.b64decode(surface) == SURFACE.read_bytes()


def test_condition_b_lies_in_it_with_its_own_film_and_how_it_was_made(tmp_path, film):
    second = tmp_path / "second.webm"
    second.write_bytes(b"the film of B")
    quiet = some_responses(rows=ROWS, warnings=("No sound.",))
    how = {"responses": some_responses(rows=ROWS), "comparison": pack_comparison(paired=True, kind="edit", edits=["The sound is silenced."])}
    page = written(tmp_path / "page.html", film, other=OtherCondition(quiet, None, second, "Muted"), **how)
    films = {name: b"".join(map(base64.b64decode, re.findall(f'data-film="{name}">(.*?)</script>', page, re.S))) for name in "ab"}
    assert films == {"a": film.read_bytes(), "b": b"the film of B"}
    assert told(page)["films"] == {"a": "video/mp4", "b": "video/webm"}
    value = told(page)["value"]
    assert (value["other"]["title"], value["other"]["warnings"], value["comparison"]["b"]["edits"]) == (
        "Muted",
        ["No sound."],
        ["The sound is silenced."],
    )
    assert [block["title"] for block in told(page)["about"]][:4:2] == ["How this was made", "Condition B: how this was made"]
    lesion = told(written(tmp_path / "lesion.html", film, other=OtherCondition(quiet, None), **how))
    assert (list(lesion["films"]), lesion["value"]["other"]["title"], lesion["value"]["other"]["media"]["kind"]) == (["a"], TITLE, "video")
    silent = told(written(tmp_path / "silent.html", None, other=OtherCondition(quiet, None, second), **how))
    assert (silent["films"], silent["value"]["other"]["media"]["kind"]) == ({}, "none")


def test_it_names_nothing_outside_itself_and_its_policy_allows_nothing_outside(tmp_path, film):
    page = written(tmp_path / "page.html", film)
    assert not re.search(r'\b(?:src|href|action|data|poster|srcset)\s*=\s*["\'](?!data:,)', page.split("<script")[0])
    assert not re.search(r"https?://", page.replace("http://www.w3.org/2000/svg", "").replace("https://huggingface.co", ""))
    assert not re.search(r"url\(\s*[\"']?(?!#)|@import", page.split("<script")[0])
    policy = dict(part.split(" ", 1) for part in re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].split("; "))
    assert policy["default-src"] == "'none'"
    assert set(policy) == {"default-src", "script-src", "style-src", "media-src", "img-src", "base-uri", "form-action"}
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    hashes = [f"'sha256-{base64.b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts]
    assert policy["script-src"].split() == hashes
    assert (policy["media-src"], policy["img-src"]) == ("blob:", "data:")


def test_hostile_text_ends_no_element_and_comes_back_as_it_was(tmp_path):
    page = written(tmp_path / "page.html", transcript=some_words(NASTY), title=f"{{{{player}}}} {NASTY}", caption=NASTY)
    assert page.count("</script") == page.count("<script") == 3
    assert "<img" not in page
    value = told(page)["value"]
    assert value["title"] == f"{{{{player}}}} {NASTY}"
    assert value["words"][0][0] == NASTY
    assert html.unescape(re.search(r"<title>(.*?)</title>", page, re.S)[1]) == f"{{{{player}}}} {NASTY} · Cineglass"


def test_it_says_how_it_was_made_whose_it_is_and_what_to_cite(tmp_path):
    responses = some_responses(rows=ROWS)
    about = {block["title"]: block for block in told(written(tmp_path / "page.html", responses=responses))["about"]}
    facts = " ".join(about["Model, clip and words"]["lines"])
    assert responses.weights_sha256 in facts
    assert responses.clip_sha256 in facts
    assert responses.model_id in facts
    assert "simulated" in about["How this was made"]["text"]
    assert any("Schaefer" in line for line in about["Please cite"]["lines"])
    assert "MIT" in about["Licence"]["lines"][0]
    published = told(written(tmp_path / "other.html", responses=some_responses(rows=ROWS, simulated=False)))
    assert not published["value"]["simulated"]
    assert "No brain was measured" not in published["about"][0]["text"]


def test_a_look_sets_the_player_and_the_theme(tmp_path):
    look = Look(vmax=1.4, threshold=0.2, cmap="cold_hot", lag=5.0, views="glass", dark=True)
    page = written(tmp_path / "page.html", look=look)
    assert told(page)["value"]["look"] == {"range": 1.4, "threshold": 0.2, "lag": 5.0, "view": "glass", "map": "classic"}
    assert '<body class="dark">' in page
    plain = written(tmp_path / "plain.html")
    assert told(plain)["value"]["look"] == {}
    assert '<body class="">' in plain


def test_layers_travel_along(tmp_path):
    layer = pack_layer(np.linspace(0, 0.5, 1000), id="accuracy", label="accuracy", unit="r")
    assert told(written(tmp_path / "page.html", layers=[layer]))["value"]["layers"] == [layer]


def test_stages_say_how_large_it_becomes_and_go_one_way(tmp_path, film):
    path = tmp_path / "page.html"
    *stages, result = write_html(some_responses(rows=ROWS), some_words(), path, film=film, title=TITLE)
    assert result == path
    assert all(isinstance(stage, Stage) for stage in stages)
    shares = [stage.done / stage.total for stage in stages]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
    size = path.stat().st_size
    assert stages[-1].total == size
    assert f"{size / 1e6:.1f} MB" in stages[1].message


def test_a_stopped_page_leaves_nothing_behind_and_keeps_the_one_before(tmp_path, film):
    path = tmp_path / "page.html"
    path.write_text("the one before")
    for count in (1, 2, 3):
        job = write_html(some_responses(rows=ROWS), some_words(), path, film=film, title=TITLE)
        for _ in range(count):
            next(job)
        job.close()
        assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]
        assert path.read_text() == "the one before"


def test_what_cannot_be_written_is_one_sentence(tmp_path, film):
    def write(path, **how):
        last(write_html(some_responses(rows=ROWS), None, path, title=TITLE, **how))

    with pytest.raises(SelectionError, match=r"must end in \.html"):
        write(tmp_path / "page.htm")
    with pytest.raises(MediaError, match="not here any more"):
        write(tmp_path / "page.html", film=tmp_path / "gone.mp4")
    with pytest.raises(CacheError, match="could not be written") as caught:
        write(tmp_path / "nowhere" / "page.html", film=film)
    assert str(tmp_path) not in caught.value.message
