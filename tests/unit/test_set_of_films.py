"""A set over six films, from the files to the tables: what is counted, what it costs, what comes from the cache, what a stop leaves."""

from __future__ import annotations

import shutil
from functools import partial

import numpy as np
import pandas
import pytest

from experiments.conditions import Condition
from experiments.design_files import write_set
from experiments.design_plan import seconds_of
from experiments.factorial import pictures_by_sounds, swapped_sounds
from experiments.intake import admitted
from experiments.sets import compare_sets
from extractors.edit_language import EditError
from extractors.errors import SelectionError
from extractors.stages import Stage, last
from settings import Settings
from tests.films import bar, write_film

SECONDS, N = 15.0, 6


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings(cache_dir=tmp_path_factory.mktemp("cache"), recogniser="none")


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Six films, each with a bar of another pace and a beep at another time."""
    folder = tmp_path_factory.mktemp("films")
    paths = []
    for k in range(N):
        picture = partial(lambda pace, time_s, *size: bar(pace * time_s, *size), 0.5 + 0.3 * k)
        paths.append(write_film(folder / f"film-{k}.mp4", SECONDS, fps=6, size=(64, 48), picture=picture, beep_at=2.0 + k, audio_rate=16000))
    return paths


@pytest.fixture(scope="module")
def clips(films, settings):
    return [last(admitted(film, settings=settings)) for film in films]


@pytest.fixture(scope="module")
def found(films, clips, settings):
    """The set, its price before and after, and the stages that it told."""
    conditions = [Condition(clip, edits=edits) for clip in clips for edits in ("", "mute")]
    before = seconds_of(conditions, settings=settings)
    told = []
    made = last(compare_sets(films, "mute", settings=settings), told.append)
    return made, told, before, seconds_of(conditions, settings=settings)


def test_six_films_muted_are_six_pairs_whose_tables_hold_every_film(found, clips, tmp_path):
    made, _, _, _ = found
    assert (made.paired, len(made.a), made.sizes_a.shape[0], made.curves.smallest_p) == (True, N, N, 2 / 2**N)
    assert [result.responses.edits for result in made.b] == [("mute",)] * N
    files = write_set(made, tmp_path, change="mute")
    table = pandas.read_csv(files[2], sep="\t", na_values="n/a")
    assert list(table["clip"]) == [clip.name for clip in clips] * 2
    assert list(table["done"].fillna("")) == [""] * N + ["mute"] * N
    assert set(table["trs_counted"]) <= set(table["trs"])
    assert f"Signs of {N} pairs of clips permuted in all 64 ways" in made.caption


def test_the_picture_of_a_muted_film_is_computed_once(found):
    made, told, _, _ = found
    assert all(b.clip.video_key == a.clip.video_key for a, b in zip(made.a, made.b, strict=True))
    ends = [stage.message for stage in told if stage.name == "video" and stage.finished]
    assert sorted(ends) == ["Picture analysed"] * N + ["Read from the cache"] * N
    assert sum(stage.finished for stage in told if stage.name == "model") == 2 * N


def test_the_price_is_told_before_and_is_nothing_for_what_is_kept(found):
    _, _, before, after = found
    assert before > N
    assert after == 0


def test_the_same_set_again_gives_the_same_numbers_from_the_cache(found, films, settings):
    made, told = found[0], []
    again = last(compare_sets(films, "mute", settings=settings), told.append)
    np.testing.assert_array_equal(again.sizes_a, made.sizes_a)
    np.testing.assert_array_equal(again.sizes_b, made.sizes_b)
    np.testing.assert_array_equal(again.curves.p_max, made.curves.p_max)
    assert not [stage for stage in told if stage.name in ("video", "audio") and "cache" not in stage.message.lower() and not stage.finished]


def test_a_film_under_two_names_is_refused_before_anything_is_predicted(films, clips, settings, tmp_path):
    copy = shutil.copyfile(films[0], tmp_path / "another name.mp4")
    told: list[Stage] = []
    with pytest.raises(SelectionError, match="the same film, and a film counts once"):
        last(compare_sets([*films[:5], copy], "mute", settings=settings), told.append)
    assert {stage.name for stage in told} <= {"gate"}


def test_a_set_that_is_stopped_leaves_no_half_of_anything(found, settings):
    before = set(settings.cache_dir.rglob("*"))
    job = compare_sets(found[0].a, "blur percent=9", settings=settings)
    for item in job:
        if isinstance(item, Stage) and item.name == "edit" and 0 < item.done < item.total:
            break
    job.close()
    assert {path for path in settings.cache_dir.rglob("*") if path.is_file()} <= before


def test_two_pictures_by_two_sounds_are_called_by_their_files_and_priced_by_what_they_need(films, clips, tmp_path):
    settings = Settings(cache_dir=tmp_path, recogniser="none")  # its own cache: the set's films must be new to the set whatever runs first
    conditions = swapped_sounds(*clips[:2])
    assert {cell: (one.film.name, one.edits) for cell, one in conditions.items()} == {
        (0, 0): ("film-0.mp4", ""),
        (0, 1): ("film-0.mp4", "sound clip=other"),
        (1, 0): ("film-1.mp4", "sound clip=other"),
        (1, 1): ("film-1.mp4", ""),
    }
    before = seconds_of(conditions.values(), settings=settings)
    design = last(pictures_by_sounds(*films[:2], settings=settings))
    assert design.levels == (("film-0.mp4", "film-1.mp4"),) * 2
    assert seconds_of(conditions.values(), settings=settings) < before
    with pytest.raises(SelectionError, match="the same film"):
        last(pictures_by_sounds(films[0], films[0], settings=settings))
    with pytest.raises(EditError):
        seconds_of([Condition(clips[0], edits='remove words="fox"')], settings=settings)
