from __future__ import annotations

import json

import numpy as np
import pytest

from encoder.atlas import load_atlas
from experiments import examples
from experiments.predict import Result
from experiments.results import save_result
from extractors.clip import Clip
from extractors.errors import SelectionError
from extractors.tr_table import no_words
from tests.unit.test_responses import some_responses


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Two small examples instead of those that come with the program."""
    monkeypatch.setattr(examples, "EXAMPLES", tmp_path)
    examples.list_examples.cache_clear()
    (tmp_path / "film.mp4").write_bytes(b"film")
    clip = Clip(tmp_path / "film.mp4", None, "b" * 64, "v", None, "clip.mp4", 74.8, 50, 25.0, 160, 120)
    for name, order in (("late", 2), ("early", 1)):
        folder = save_result(Result(clip, no_words(50), some_responses(), "f" * 32), tmp_path / name, film="clip.mp4")
        facts = {"id": name, "title": name.title(), "caption": "Look.", "opens_with": ["Vis"], "order": order}
        (folder / "example.json").write_text(json.dumps(facts))
    yield tmp_path
    examples.list_examples.cache_clear()


def test_examples_are_listed_in_their_order(shelf):
    assert [(example.id, example.title, example.opens_with) for example in examples.list_examples()] == [
        ("early", "Early", ("Vis",)),
        ("late", "Late", ("Vis",)),
    ]


def test_an_example_opens_with_its_film_and_result(shelf):
    example, result = examples.load_example("late")
    assert example.folder == shelf / "late"
    assert result.clip.path == shelf / "late" / "clip.mp4"
    assert result.responses.n_trs == 50


@pytest.mark.parametrize("name", ["../late", "", "LATE", "early/../late"])
def test_a_name_that_is_not_in_the_list_is_refused_with_the_list(shelf, name):
    with pytest.raises(SelectionError, match="early, late"):
        examples.load_example(name)


def test_every_example_that_comes_with_the_program_is_whole():
    examples.list_examples.cache_clear()
    for example in examples.list_examples():
        _, result = examples.load_example(example.id)
        assert result.clip.path.name == "clip.mp4"
        assert result.clip.path.stat().st_size < 2_000_000
        assert 45 <= result.clip.duration <= 90
        assert np.isfinite(result.responses.values).all()
        for name in example.opens_with:
            assert load_atlas().mask(name).any()
