"""Maps from edited seconds to source seconds: composition, rows, words, and lists from strangers."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extractors.edit_language import EditError
from extractors.grid import TR
from extractors.time_map import Piece, TimeMap, map_words
from extractors.transcript import Word

DURATION = 24.0


@st.composite
def maps(draw, duration: float = DURATION):
    """Maps onto a film of ``duration``: its pieces in any order, some backwards, some left out, some slower or faster; with the length they make."""
    cuts = sorted(draw(st.sets(st.integers(1, round(duration * 4) - 1), max_size=6)))
    edges = [0.0, *(cut / 4 for cut in cuts), duration]
    parts = draw(st.permutations(list(pairwise(edges))))[: draw(st.integers(1, len(edges) - 1))]
    pieces, at = [], 0.0
    for low, high in parts:
        at += draw(st.sampled_from([0.0, 0.5]))
        length = (high - low) * draw(st.sampled_from([0.5, 1.0, 2.0]))
        ends = (high, low) if draw(st.booleans()) else (low, high)
        pieces.append(Piece(at, at + length, *ends))
        at += length
    return TimeMap(tuple(pieces))


def length(time_map: TimeMap) -> float:
    return time_map.pieces[-1].end


def inside(time_map: TimeMap, times: np.ndarray) -> np.ndarray:
    """Which times lie off every border of the map, where neighbours are told apart."""
    borders = np.array([edge for piece in time_map.pieces for edge in (piece.start, piece.end)] or [np.inf])
    return np.abs(times[:, None] - borders).min(1) > 1e-6


def away_from_borders(time_map: TimeMap, times: np.ndarray) -> np.ndarray:
    return times[inside(time_map, times)]


@given(maps())
def test_the_inverse_leads_every_shown_second_back_and_knows_no_other(time_map):
    back = time_map.inverse()
    times = away_from_borders(time_map, np.linspace(0, length(time_map), 97))
    times = times[~np.isnan(time_map.source_of(times))]
    np.testing.assert_allclose(back.source_of(time_map.source_of(times)), times, atol=1e-6)
    source = away_from_borders(back, np.linspace(0, DURATION, 97))
    shown = np.array([any(low <= time <= high for low, high in (sorted((p.source_start, p.source_end)) for p in time_map.pieces)) for time in source])
    np.testing.assert_array_equal(~np.isnan(back.source_of(source)), shown)


def test_maps_of_strangers_that_multiply_each_other_are_refused_before_they_fill_the_memory():
    tiny = TimeMap(tuple(Piece(k * 0.01, k * 0.01 + 0.005, 20.0 - k * 0.01, 20.005 - k * 0.01) for k in range(2000)))
    whole = TimeMap(tuple(Piece(float(k), k + 0.5, 0.0, 20.0) for k in range(2000)))
    with pytest.raises(EditError) as refused:
        tiny.then(whole)
    assert refused.value.code == "bad_map"


def test_a_map_that_shows_a_second_twice_has_no_inverse():
    assert TimeMap((Piece(0.0, 4.0, 0.0, 4.0), Piece(4.0, 8.0, 7.0, 3.0))).inverse() is None
    assert TimeMap((Piece(0.0, 4.0, 0.0, 4.0), Piece(4.0, 8.0, 8.0, 4.0))).inverse() is not None


@given(st.data())
def test_one_map_after_another_sends_every_second_where_the_two_steps_do(data):
    first = data.draw(maps())
    second = data.draw(maps(max(1.0, math.floor(length(first)))))
    both = first.then(second)
    times = away_from_borders(both, away_from_borders(second, np.linspace(0, length(second), 97)))
    middle = second.source_of(times)
    safe = np.isnan(middle)
    safe[~safe] = inside(first, middle[~safe])
    expected = first.source_of(middle[safe])
    np.testing.assert_allclose(both.source_of(times[safe]), expected, atol=1e-6, equal_nan=True)


@given(maps())
def test_a_map_and_its_list_in_json_are_the_same(time_map):
    assert TimeMap.from_list(json.loads(json.dumps(time_map.as_list()))) == time_map


@given(maps())
def test_the_identity_before_or_behind_changes_nothing(time_map):
    times = away_from_borders(time_map, np.linspace(0, length(time_map), 50))
    for same in (TimeMap.identity(DURATION).then(time_map), time_map.then(TimeMap.identity(length(time_map)))):
        np.testing.assert_allclose(same.source_of(times), time_map.source_of(times), atol=1e-9, equal_nan=True)


def test_reversing_twice_is_the_identity():
    backwards = TimeMap((Piece(0.0, 20.0, 20.0, 0.0),))
    assert not backwards.is_identity
    assert backwards.then(backwards).is_identity
    assert backwards.source_of([0.0, 5.0, 20.0]).tolist() == [20.0, 15.0, 0.0]


def test_outside_all_pieces_there_is_no_source():
    shifted = TimeMap((Piece(1.0, 10.0, 0.0, 9.0),))
    assert np.isnan(shifted.source_of([0.5, 10.5])).all()
    assert shifted.source_of(10.0) == 9.0
    assert shifted.source_of(np.full((2, 3), 4.0)).tolist() == [[3.0] * 3] * 2
    assert not shifted.is_identity
    assert not TimeMap((Piece(0.0, 1.0, 0.0, 1.0), Piece(2.0, 3.0, 2.0, 3.0))).is_identity


@given(st.integers(1, 60), st.floats(0, 1.48))
def test_each_row_of_the_identity_is_its_own_source(count, rest):
    same = TimeMap.identity(count * TR + rest)
    assert same.is_identity
    assert same.keeps_rows(count)
    assert same.rows(count).tolist() == list(range(count))


def test_rows_follow_the_middle_of_their_tr():
    count = 10
    backwards = TimeMap((Piece(0.0, count * TR, count * TR, 0.0),))
    assert backwards.rows(count).tolist() == list(range(count))[::-1]
    assert not backwards.keeps_rows(count)
    half = TimeMap((Piece(0.0, 2 * count * TR, 0.0, count * TR),))  # at half speed every row is shown twice
    assert half.rows(2 * count).tolist() == [row for row in range(count) for _ in (0, 1)]
    cut = TimeMap((Piece(0.0, 5 * TR, 0.0, 5 * TR),))
    assert cut.rows(8).tolist() == [0, 1, 2, 3, 4, -1, -1, -1]
    assert TimeMap.identity(11.5 * TR).rows(12, source_count=11).tolist() == [*range(11), -1]


@pytest.mark.parametrize("late", [0.1, -0.1])
def test_a_shift_by_a_tenth_of_a_second_keeps_rows_but_is_not_the_identity(late):
    piece = Piece(late, 30.0, 0.0, 30.0 - late) if late > 0 else Piece(0.0, 30.0 + late, -late, 30.0)
    shifted = TimeMap((piece,))
    assert shifted.keeps_rows(20)
    assert not shifted.is_identity


def test_words_move_with_their_piece_and_stretch_with_it():
    words = [Word("one", 1.0, 0.5), Word("two", 5.0, 1.0), Word("cut", 9.8, 0.4), Word("four", 12.0, 0.5)]
    swapped = TimeMap((Piece(0.0, 10.0, 10.0, 20.0), Piece(10.0, 30.0, 0.0, 10.0)))  # the second half first, then the first at half speed
    moved = map_words(words, swapped)
    assert [word.text for word in moved] == ["four", "one", "two"]
    assert [(word.onset, word.duration) for word in moved] == [(2.0, 0.5), (12.0, 1.0), (20.0, 2.0)]


def test_words_in_a_piece_that_runs_backwards_are_left_out():
    assert map_words([Word("one", 1.0, 0.5)], TimeMap((Piece(0.0, 10.0, 10.0, 0.0),))) == []


@given(maps(), st.lists(st.tuples(st.floats(0, DURATION), st.floats(0, 1)), max_size=8))
def test_every_moved_word_stands_where_the_map_sends_back_to_its_own_onset(time_map, times):
    words = [Word(str(number), onset, duration) for number, (onset, duration) in enumerate(times)]
    for word in map_words(words, time_map):
        middle = time_map.source_of(word.onset + word.duration / 2)
        source = words[int(word.text)]
        assert middle == pytest.approx(source.onset + source.duration / 2, abs=1e-5)


@pytest.mark.parametrize(
    "listed",
    [
        "pieces",
        [[0, 1, 0]],
        [[0, 1, 0, "1"]],
        [[0, 1, 0, True]],
        [[0, 1, 0, float("nan")]],
        [[0, 1, 0, float("inf")]],
        [[0, 1, -1, 0]],
        [[1, 0, 0, 1]],
        [[0, 2, 0, 2], [1, 3, 1, 3]],
        [[0, 1, 5, 5]],
        [[0, 10**400, 0, 1]],
        [[k, k + 1, k, k + 1] for k in range(20_001)],
    ],
    ids=["text", "three", "string", "bool", "nan", "infinite", "negative", "backwards-time", "overlap", "still", "huge", "many"],
)
def test_a_list_that_is_no_map_is_refused_by_name(listed):
    with pytest.raises(EditError) as refused:
        TimeMap.from_list(listed)
    assert refused.value.code == "bad_map"
