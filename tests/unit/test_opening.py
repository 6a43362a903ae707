"""What the server makes of a page's address, and of a tab's secret; both are anybody's text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extractors.errors import CacheError
from settings import Settings
from ui import link
from ui.returning import MOST_VISITS, Returning
from ui.sessions import Shelf, Visit

RUN = "0123456789abcdef" * 2
OWNED = Visit(uploads=("a" * 32,))


def test_an_address_is_read_where_it_could_be_right():
    assert link.asked({"example": "a-story-told", "model": "vibe-sim", "t": "5"}) == link.Asked(example="a-story-told", model="vibe-sim")
    assert link.asked({"run": RUN, "example": "a-story-told"}) == link.Asked(run=RUN)
    assert link.asked({"comparison": RUN, "run": RUN, "example": "a-story-told"}) == link.Asked(comparison=RUN)
    assert link.asked({"comparison": "../mute", "run": RUN}) == link.Asked(run=RUN)
    assert link.asked({"run": "short", "example": "a-story-told"}) == link.Asked(example="a-story-told")


@given(st.dictionaries(st.sampled_from(["example", "run", "comparison", "model", "x"]), st.text(max_size=300)))
def test_nothing_but_plain_names_comes_out_of_an_address(query):
    asked = link.asked(query)
    assert re.fullmatch(r"[a-z0-9-]{0,100}", asked.example)
    assert re.fullmatch(r"(?:[0-9a-f]{32})?", asked.run)
    assert re.fullmatch(r"[a-z0-9-]{0,100}", asked.comparison)
    assert len(asked.model) <= link.MODEL_MOST


def test_a_result_that_is_not_here_is_one_sentence_for_a_person(tmp_path):
    settings = Settings(cache_dir=tmp_path)
    gone = (link.Asked(run=RUN), link.Asked(comparison=RUN), link.Asked(comparison="no-such-experiment"))
    for asked, said in (*((one, link.GONE) for one in gone), (link.Asked(example="nobody"), link.NO_EXAMPLE)):
        with pytest.raises(CacheError) as caught:
            link.result_of(asked, shelf=Shelf(settings), settings=settings, states=())
        assert caught.value.message == said


def test_a_tab_that_knows_its_secret_gets_its_visit_back_and_nobody_else_does():
    returning = Returning()
    key, left = returning.open("first", None)
    assert left is None
    returning.keep("first", OWNED)
    assert returning.open("second", key) == (key, OWNED)
    for said in ("first", key.upper(), key[:-1], "", None, 5, {"key": key}, "f" * 32):
        other, left = returning.open("other", said)
        assert left is None
        assert other != key


def test_a_visit_that_has_deleted_everything_leaves_nothing():
    returning = Returning()
    key, _ = returning.open("first", None)
    returning.keep("first", OWNED)
    returning.keep("first", Visit(example="a-story-told"))
    assert returning.open("second", key)[1] is None


def test_the_memory_of_visits_has_a_bound():
    returning = Returning()
    keys = []
    for number in range(MOST_VISITS + 5):
        keys.append(returning.open(str(number), None)[0])
        returning.keep(str(number), OWNED)
    assert returning.open("late", keys[0])[1] is None
    assert returning.open("later", keys[-1])[1] == OWNED
