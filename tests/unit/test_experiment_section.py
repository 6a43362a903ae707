"""What section 2 offers, prices and refuses, without a browser."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoder.lesions import parse_lesions
from experiments.comparison_plan import Step
from extractors.edit_language import EDITS, parse_edits
from extractors.errors import CacheError
from settings import Settings
from ui import run
from ui.comparing import Comparing, _course
from ui.experiment import QUICK, Base, Bench, experiment_value, plan_value
from ui.files import comparison_folder
from ui.sessions import Shelf, Visit

TOKEN = "0123456789abcdef" * 2
FILM = Base("A film")


def menu(base: Base, clips=(("other", "Another"),)) -> dict[str, str]:
    """Every edit that is offered, with why it is not possible."""
    return {kind["name"]: kind["why_not"] for kind in experiment_value(base, Bench(), clips=clips)["menu"]}


def test_every_edit_of_the_language_is_offered_and_the_quick_ones_are_among_them():
    offered = menu(FILM)
    assert set(offered) == set(EDITS) - {"words"}  # what is read has a switch of its own
    assert set(QUICK) <= set(offered)
    assert set(offered.values()) == {""}


@pytest.mark.parametrize(
    ("base", "impossible", "possible"),
    [
        (Base("x", has_audio=False), {"mute", "sound", "delay", "gain"}, {"blank", "reverse", "recompress"}),
        (Base("x", has_video=False), {"blank", "grey", "blur", "crop"}, {"mute", "reverse", "recompress"}),
        (Base("x", has_words=False), {"rewrite"}, {"mute", "blank"}),
    ],
    ids=["no-sound", "no-picture", "no-words"],
)
def test_what_a_clip_cannot_have_taken_away_says_why_in_words(base, impossible, possible):
    offered = menu(base)
    assert all("this clip has no" in offered[name] for name in impossible)
    assert not any(offered[name] for name in possible)


def test_a_sound_track_can_only_be_taken_from_a_clip_that_is_here():
    assert menu(FILM, clips=())["sound"]


def test_the_button_rests_with_a_reason_until_b_differs_from_a():
    assert "clip" in experiment_value(Base(), Bench())["why_not"]
    assert "changed" in experiment_value(FILM, Bench())["why_not"]
    assert experiment_value(FILM, Bench(edits="mute"), edits=parse_edits("mute"))["why_not"] == ""
    assert experiment_value(FILM, Bench(lesions="text zero"), lesions=parse_lesions("text zero"))["why_not"] == ""


@pytest.mark.parametrize("text", ["mute", "mute; words policy=keep", "reverse track=picture", "sound clip=other; blur percent=3"])
def test_the_switch_shows_what_the_model_reads_and_is_no_link_of_the_chain(text):
    edits = parse_edits(text)
    value = experiment_value(FILM, Bench(edits=text), edits=edits)
    assert [edit["name"] for edit in value["chain"]] == [edit.name for edit in edits if edit.name != "words"]
    assert value["words"]["chosen"] == ("words" in text)
    if "policy" in text:
        assert value["words"]["policy"] == "keep"


def test_what_comes_from_the_cache_costs_nothing_and_sensitivity_to_small_changes_is_priced_apart():
    steps = (
        Step("sound", "Write the sound", False, 20.0),
        Step("video", "Picture stream", True, 0.0),
        Step("null", "Sensitivity to small changes", False, 300.0),
    )
    value = plan_value(steps)
    assert "20 s" in value["summary"]
    assert "picture from the cache" in value["summary"]
    assert [row["cached"] for row in value["rows"]] == [False, True]
    band = experiment_value(FILM, Bench(edits="mute"), edits=parse_edits("mute"), plan=steps)["band"]
    assert "5 min" in band["says"]


@given(first=st.booleans(), band=st.booleans(), edits=st.sampled_from(["", "mute"]), published=st.booleans())
@settings(max_examples=16, deadline=None)
def test_the_bar_of_a_comparison_is_whole_and_names_each_stage_once(first, band, edits, published):
    course = _course(run.published_course() if published else run.EMBEDDED, Bench(edits=edits, band=band), first=first, n_null=10)
    assert sum(course.share.values()) == pytest.approx(1.0)
    assert set(course.share) == set(course.stages)
    assert ("null" in course.stages) == band
    assert any(name.startswith("a-") for name in course.stages) == first
    assert ("b-edit" in course.stages) == bool(edits)


@given(st.one_of(st.none(), st.text(max_size=80), st.integers(), st.lists(st.integers(), max_size=3)))
@settings(max_examples=40, deadline=None)
def test_whatever_a_browser_says_was_chosen_becomes_a_choice_or_a_sentence(said):
    bench = Comparing._take(SimpleNamespace(_put=lambda bench, _: bench), SimpleNamespace(edits=said, lesions=said, band=said, seq=said), None)
    assert bench.error is None or bench.error.message
    assert isinstance(bench.edits, str)
    assert isinstance(bench.seq, int)


def test_a_visits_result_is_that_of_the_film_run_runs():
    assert Visit(example="a", result="runs/x").place == "examples/a"
    assert Visit(upload=TOKEN).place == ""
    assert Visit(upload=TOKEN, result=f"comparisons/{TOKEN}").place == f"comparisons/{TOKEN}"
    assert Visit(comparison="mute").place == "comparisons/mute"


def test_comparisons_go_with_the_visit_and_when_their_time_is_over(tmp_path):
    shelf = Shelf(Settings(cache_dir=tmp_path, keep_hours=1))
    tokens = []
    for _ in range(2):
        token, folder = shelf.new_comparison()
        folder.mkdir(parents=True)
        (folder / "comparison.json").write_text("{}")
        tokens.append(token)
    mine, old = tokens
    shelf.delete(Visit(comparisons=(mine, "../runs")))
    for path in (shelf.comparison(old), shelf.comparison(old) / "comparison.json"):
        os.utime(path, (time.time() - 7200,) * 2)
    with pytest.raises(CacheError):
        shelf.comparison(mine)
    assert shelf.sweep() == 1
    with pytest.raises(CacheError):
        shelf.comparison(old)


@pytest.mark.parametrize(("id", "side"), [("../runs", "a"), (TOKEN, "a"), (TOKEN, "../b"), ("no-such-experiment", "b")])
def test_a_side_of_a_comparison_that_is_not_here_is_one_sentence(tmp_path, id, side):
    with pytest.raises(CacheError) as caught:
        comparison_folder(id, side, Shelf(Settings(cache_dir=tmp_path)))
    assert str(tmp_path) not in caught.value.message
