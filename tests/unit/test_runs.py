from __future__ import annotations

import io
import os
import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from experiments.results import save_result
from experiments.runs import THUMBNAIL_PX, RunsList, describe, sweep_lists, thumbnail
from extractors.errors import SelectionError
from extractors.media import admit
from extractors.stages import last
from settings import Settings
from tests.capsules import some_result
from tests.films import write_film
from tests.page_server import NASTY

TOKENS = tuple(f"{number:032x}" for number in range(40))


@pytest.fixture
def here(tmp_path):
    return Settings(cache_dir=tmp_path, keep_hours=24)


@pytest.fixture(scope="module")
def result():
    return some_result()


def put(here, token, kind="run"):
    """A folder that looks like a result."""
    folder = here.cache_dir / {"run": "runs", "comparison": "comparisons"}[kind] / token
    folder.mkdir(parents=True)
    (folder / {"run": "responses.json", "comparison": "comparison.json"}[kind]).write_text("{}")
    return folder


def test_a_list_is_found_again_by_its_id_and_by_nothing_else(here):
    put(here, TOKENS[0])
    mine = RunsList(here)
    assert not mine.exists
    mine.add("run", TOKENS[0], "A film", about="10 TRs")
    assert [entry.title for entry in RunsList(here, mine.id).entries()] == ["A film"]
    assert RunsList(here, "0" * 32).entries() == ()
    assert len({RunsList(here).id for _ in range(100)}) == 100


@pytest.mark.parametrize("id", ["", "0" * 31, "0" * 33, "../" + "0" * 29, "0" * 32 + "\n", "G" * 32, 7, b"0" * 32], ids=repr)
def test_an_id_of_any_other_form_names_no_list(here, id):
    with pytest.raises(SelectionError, match="no such list"):
        RunsList(here, id)


def test_starred_runs_come_first_then_the_newest(here):
    mine = RunsList(here)
    for number, kind in enumerate(("run", "comparison", "run")):
        put(here, TOKENS[number], kind)
        mine.add(kind, TOKENS[number], str(number))
    assert [entry.title for entry in mine.entries()] == ["2", "1", "0"]
    mine.star(TOKENS[0], True)
    assert [entry.title for entry in mine.entries()] == ["0", "2", "1"]
    mine.star(TOKENS[0], False)
    assert [entry.title for entry in mine.entries()] == ["2", "1", "0"]
    assert [entry.kind for entry in mine.entries()] == ["run", "comparison", "run"]


def test_a_run_is_renamed_and_markup_in_a_name_stays_text(here):
    put(here, TOKENS[0])
    mine = RunsList(here)
    mine.add("run", TOKENS[0], "A\0 film\u202e")
    assert mine.entries()[0].title == "A film"
    mine.rename(TOKENS[0], NASTY)
    assert mine.entries()[0].title == NASTY[:120].strip()
    with pytest.raises(SelectionError, match="needs a name"):
        mine.rename(TOKENS[0], " \n ")


def test_deleting_a_run_removes_its_files_and_no_other_run(here):
    folders = [put(here, token) for token in TOKENS[:2]]
    mine = RunsList(here)
    for token in TOKENS[:2]:
        mine.add("run", token, token)
    mine.delete(TOKENS[0])
    assert [folder.exists() for folder in folders] == [False, True]
    assert [entry.token for entry in mine.entries()] == [TOKENS[1]]


def test_only_what_is_in_the_list_can_be_changed_or_deleted_through_it(here):
    folder = put(here, TOKENS[0])
    mine, other = RunsList(here), RunsList(here)
    other.add("run", TOKENS[0], "Another visitor's")
    for act in (lambda: mine.delete(TOKENS[0]), lambda: mine.star(TOKENS[0], True), lambda: mine.rename(TOKENS[0], "Mine")):
        with pytest.raises(SelectionError, match="not in the list"):
            act()
    assert folder.exists()


def test_what_is_not_on_the_shelf_is_not_listed(here):
    mine = RunsList(here)
    for kind, token in (("run", TOKENS[0]), ("script", TOKENS[0]), ("run", "../" + TOKENS[0][3:])):
        with pytest.raises(SelectionError, match="no longer kept"):
            mine.add(kind, token, "A film")


def test_a_run_whose_time_is_over_leaves_the_list_by_itself(here):
    folder = put(here, TOKENS[0])
    mine = RunsList(here)
    mine.add("run", TOKENS[0], "A film")
    (folder / "responses.json").unlink()
    assert mine.entries() == ()


def test_a_list_goes_when_everything_it_named_must_have_gone(here):
    put(here, TOKENS[0])
    old, new = RunsList(here), RunsList(here)
    for one in (old, new):
        one.add("run", TOKENS[0], "A film")
    for path in (here.cache_dir / "lists" / old.id, here.cache_dir / "lists" / old.id / "list.json"):
        os.utime(path, (1e9, 1e9))
    assert sweep_lists(here, now=1e9 + 23 * 3600) == 0
    assert sweep_lists(here) == 1
    assert (old.exists, new.exists) == (False, True)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"form": 9, "entries": []}', '{"form": 1, "entries": [{"x": 1}]}'])
def test_a_damaged_list_is_an_empty_one_and_can_be_used_again(here, content):
    put(here, TOKENS[0])
    mine = RunsList(here)
    mine.add("run", TOKENS[0], "A film")
    (here.cache_dir / "lists" / mine.id / "list.json").write_text(content)
    assert mine.entries() == ()
    mine.add("run", TOKENS[0], "Again")
    assert [entry.title for entry in mine.entries()] == ["Again"]


def test_runs_that_end_at_the_same_time_are_all_listed(here):
    mine = RunsList(here)
    for token in TOKENS:
        put(here, token)
    threads = [threading.Thread(target=RunsList(here, mine.id).add, args=("run", token, token)) for token in TOKENS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {entry.token for entry in mine.entries()} == set(TOKENS)


def test_the_picture_of_a_run_is_one_of_its_film(here, tmp_path):
    red = write_film(tmp_path / "red.mp4", 15.0, size=(96, 72), fps=5, audio=None, picture=lambda t, w, h: np.full((h, w, 3), (200, 0, 0), np.uint8))
    clip = last(admit(red, settings=here))
    picture = np.asarray(Image.open(io.BytesIO(thumbnail(some_result(clip=clip)))))
    assert picture.shape[0] == THUMBNAIL_PX[1]
    assert picture.shape[1] <= THUMBNAIL_PX[0]
    assert picture[..., 0].mean() > 5 * picture[..., 1:].mean()


def test_a_run_without_a_picture_shows_its_brain_and_one_whose_film_is_damaged_nothing(result, here, tmp_path):
    deaf = replace(result, clip=replace(result.clip, video_key=None))
    assert Image.open(io.BytesIO(thumbnail(deaf))).size == THUMBNAIL_PX
    (tmp_path / "film.mp4").write_bytes(b"no film")
    assert thumbnail(replace(result, clip=replace(result.clip, path=tmp_path / "film.mp4"))) is None


def test_a_line_says_what_a_run_is(result, here):
    token = TOKENS[0]
    save_result(result, here.cache_dir / "runs" / token)
    entry = RunsList(here).add("run", token, "A film", about=describe(result))
    assert entry.about == "Tiny · 12 TRs"
