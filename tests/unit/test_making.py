from __future__ import annotations

import os
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from experiments.comparison_plan import plan_comparison
from experiments.conditions import Condition
from extractors.edit_film import edit_clip
from extractors.edit_language import EditError
from extractors.stages import last
from extractors.stimuli import STIMULI, make_stimulus, parse_stimulus
from extractors.tr_table import no_words
from settings import Settings
from ui.experiment import Base, Bench, experiment_value
from ui.line import Line
from ui.making import NAMES, Making, is_made, making_value
from ui.sessions import NO_CLIP, Shelf, Visit
from ui.stimulus import clip_value

ME = SimpleNamespace(session_hash="me")
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40


@pytest.fixture
def settings(tmp_path):
    return Settings(cache_dir=tmp_path)


@pytest.fixture
def said(settings):
    """Words only, and the words."""
    return last(make_stimulus("say rate=120", words="one two three", settings=settings))


@pytest.fixture
def making(settings):
    parts = SimpleNamespace(stimulus=SimpleNamespace(making="fold", delete="delete"))
    held = {"choosing": None, "arrived": None, "newest": {}, "keep": lambda visit, request: {"visit": visit}}
    return Making(parts, settings=settings, shelf=Shelf(settings), gate=Line(running=1, waiting=1), **held)


def sent(making, content: bytes, **how):
    """An event of the browser, with a file that Gradio took in."""
    path = making.shelf.gradio / f"{len(content)}" / "file"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return SimpleNamespace(path=str(path), **{"place": 0, "name": "a.png"} | how)


def test_every_value_of_every_kind_has_a_control_and_the_defaults_can_be_made(settings):
    kinds = {kind["name"]: kind for kind in making_value(settings)["kinds"]}
    assert list(kinds) == list(STIMULI)
    for name, kind in STIMULI.items():
        shown = {param["name"] for param in kinds[name]["params"]}
        assert shown | {"text", "picture"} >= {param.name for param in kind.params}
        written = " ".join([name, *(f"{param['name']}={param['default']}" for param in kinds[name]["params"])])
        assert parse_stimulus(written) == parse_stimulus(name)
    assert all(label for label, _ in NAMES.values())


def test_a_made_clip_takes_its_words_along_until_the_visit_goes_over_to_another(said):
    visit = Visit(written=said[1])
    given = visit.but(**visit.own_words)
    assert (given.transcript, given.given) == (said[1], True)
    film = given.but(**NO_CLIP)
    assert film.own_words["transcript"] is None
    assert not film.own_words["given"]


def test_a_made_clip_is_known_by_its_words_or_by_having_no_film(said):
    clip, words = said
    assert is_made(clip, no_words(clip.n_trs))
    film = replace(clip, audio_key="a")
    assert is_made(film, words)
    assert not is_made(film, no_words(clip.n_trs))
    assert not is_made(film, replace(words, source="pocketsphinx"))


def test_a_made_clip_expires_and_is_deleted_as_an_upload_is(settings):
    shelf = Shelf(settings)
    first, second = (shelf.keep_stimulus("tone hz=440") for _ in range(2))
    assert shelf.has_upload(first)
    shelf.delete(Visit(uploads=(first,)))
    assert not shelf.has_upload(first)
    old = time.time() - (settings.keep_hours + 1) * 3600
    for path in (shelf.uploads / second, shelf.uploads / second / "film"):
        os.utime(path, (old, old))
    shelf.sweep()
    assert not shelf.has_upload(second)


def test_words_only_offer_no_change_that_would_leave_nothing_or_change_nothing():
    base = Base("words", has_video=False, has_audio=False)
    value = experiment_value(base, Bench(), clips=(("other", "Another"),))
    possible = {kind["name"] for kind in value["menu"] if not kind["why_not"]}
    assert possible == {"speed", "shuffle", "trim", "remove", "rewrite", "shift"}
    assert [option["key"] for option in value["words"]["options"] if option["why_not"]] == ["hear"]


def test_words_only_cannot_be_given_a_sound_and_it_is_said_in_words(said, settings):
    with pytest.raises(EditError) as caught:
        last(edit_clip(said[0], "sound clip=x", transcript=said[1], others={"x": said[0]}, settings=settings))
    assert caught.value.code == "no_film"


def test_a_word_of_words_only_leaves_the_transcript_and_the_clip_stays(said, settings):
    found = last(edit_clip(said[0], 'remove words="two"', transcript=said[1], settings=settings))
    assert [word.text for word in found.transcript.words] == ["one", "three"]
    assert found.clip is said[0]


def test_nothing_is_priced_that_words_only_do_not_have(said, settings):
    steps = plan_comparison(said[0], Condition(film=said[0], edits="shuffle", transcript=said[1]), settings=settings)
    assert {step.what for step in steps} == {"text", "model", "null"}
    film = replace(said[0], video_key="v", audio_key="a")
    of_film = plan_comparison(film, Condition(film=film, edits="shuffle", transcript=said[1]), settings=settings)
    assert steps[-1].seconds < 0.5 * of_film[-1].seconds


def test_the_card_of_a_clip_says_which_tracks_it_has():
    about = {"name": "x", "duration": 20.0, "n_trs": 13}
    assert clip_value(**about, has_video=False, has_audio=False)["tracks"] == "words only"
    assert clip_value(**about, has_video=True, has_audio=False)["tracks"] == "picture, no sound"


@pytest.mark.parametrize(
    ("content", "code_words"),
    [(b"", "empty"), (b"<svg onload=x>", "no PNG, JPEG or WebP"), (b"%PDF-1.7", "no PNG, JPEG or WebP")],
    ids=["empty", "svg", "pdf"],
)
def test_what_is_no_picture_is_refused_when_it_is_added_and_does_not_stay(making, content, code_words):
    changes = making.add_picture(Visit(), sent(making, content, name="<b>.png"), ME)
    error = changes["fold"]["error"]
    assert code_words in error["message"]
    assert "<b>.png" in error["message"]
    assert error["about"] == "pictures"
    assert changes["fold"]["pictures"] == [None, None]
    assert not list(making.shelf.uploads.iterdir())


@pytest.mark.parametrize("place", [2, -1, "0", 1.0, None, 10**9], ids=str)
def test_a_place_that_is_none_takes_no_picture(making, place):
    assert making.add_picture(Visit(), sent(making, PNG, place=place), ME)["fold"]["pictures"] == [None, None]
    assert making.drop_picture(Visit(), SimpleNamespace(place=place), ME)["fold"]["pictures"] == [None, None]


def test_a_picture_belongs_to_its_visitor_and_goes_when_it_is_left_out(making):
    changes = making.add_picture(Visit(), sent(making, PNG), ME)
    assert changes["fold"]["pictures"] == ["a.png", None]
    (token,) = changes["visit"].uploads
    assert making.value(SimpleNamespace(session_hash="another"))["pictures"] == [None, None]
    assert making.drop_picture(changes["visit"], SimpleNamespace(place=0), ME)["fold"]["pictures"] == [None, None]
    assert not making.shelf.has_upload(token)


def test_a_path_that_is_no_upload_is_refused(making, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(PNG)
    changes = making.add_picture(Visit(), SimpleNamespace(path=str(secret), name="a.png", place=0), ME)
    assert changes["fold"]["error"] is not None
    assert changes["fold"]["pictures"] == [None, None]
