"""The TR table: the offset rule, and what an edit does."""

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extractors.errors import TranscriptError
from extractors.grid import TR
from extractors.tr_table import clean, edit_row, no_words, spread, table_from_words
from extractors.transcript import Word

times = st.floats(0, 60, allow_nan=False)


@given(st.lists(st.tuples(times, st.floats(0, 3)), max_size=40), st.integers(0, 30))
def test_every_word_stands_in_the_row_that_holds_its_offset_and_no_word_is_lost_unsaid(pairs, n_trs):
    words = [Word(f"w{k}", onset, duration) for k, (onset, duration) in enumerate(pairs)]
    table = table_from_words(words, n_trs, source="test", timing="given")
    assert table.n_trs == n_trs
    for row, found in enumerate(zip(table.words_per_tr, table.onsets_per_tr, table.durations_per_tr, strict=True)):
        for _, onset, duration in zip(*found, strict=True):
            offset = onset + duration  # half-open with a millionth of a TR of tolerance below the boundary
            assert row * TR - 2e-6 * TR <= offset < (row + 1) * TR
    dropped = sum(1 for word in words if math.floor(Fraction(word.offset) / Fraction(TR) + Fraction(1, 10**6)) >= n_trs)
    assert len(words) - table.n_words == dropped
    assert bool(table.notices) == (dropped > 0)


def test_a_word_that_ends_on_a_boundary_belongs_to_the_later_row():
    table = table_from_words([Word("edge", 1.0, TR - 1.0), Word("inside", 0.2, 0.3)], 3, source="test", timing="given")
    assert table.words_per_tr == (("inside",), ("edge",), ())
    assert table.text_per_tr == ("inside", "edge", "")


def test_words_beyond_the_last_tr_are_dropped_with_a_notice_that_counts_them():
    table = table_from_words([Word("a", 0, 0.1), Word("b", 2.9, 0.2), Word("c", 3599 * 999, 1)], 2, source="test", timing="given")
    assert [word.text for word in table.words] == ["a"]
    assert table.notices == ("2 words lie beyond the clip's last whole TR and were left out.",)


@pytest.mark.parametrize(("onset", "duration", "code"), [(math.nan, 1, "bad_time"), (0, math.inf, "bad_time"), (2, -0.5, "ends_before_start")])
def test_impossible_times_are_refused(onset, duration, code):
    with pytest.raises(TranscriptError) as caught:
        table_from_words([Word("x", onset, duration)], 5, source="test", timing="given")
    assert caught.value.code == code
    assert caught.value.hint


@given(st.lists(st.text(min_size=1, max_size=9), min_size=1, max_size=20), times, st.floats(0.01, 9))
def test_spread_words_cover_their_span_without_gaps_in_proportion_to_their_length(words, start, length):
    placed = spread(words, start, start + length)
    assert placed[0].onset == start
    assert placed[-1].offset == pytest.approx(start + length)
    assert all(a.offset == pytest.approx(b.onset) for a, b in itertools.pairwise(placed))
    share = length / sum(map(len, words))
    assert all(word.duration == pytest.approx(share * len(word.text), abs=1e-9) for word in placed)


@given(st.integers(0, 9), st.lists(st.text("abcdefg", min_size=1, max_size=6), max_size=12))
def test_an_edited_row_is_marked_and_its_words_keep_to_the_offset_rule(row, words):
    before = table_from_words([Word("old", k * TR + 0.1, 0.3) for k in range(10)], 10, source="test", timing="given")
    after = edit_row(before, row, "  ".join(words))
    if words == ["old"]:
        assert after is before
        return
    assert after.edited
    assert after.edited_rows == (row,)
    assert after.words_per_tr[row] == tuple(words)
    again = table_from_words(after.words, 10, source="test", timing="given")
    assert again.words_per_tr == after.words_per_tr
    assert [after.words_per_tr[k] for k in range(10) if k != row] == [("old",)] * 9


def test_correcting_a_word_keeps_its_time_and_adding_one_lays_the_row_out_anew():
    before = table_from_words([Word("helo", 0.2, 0.3), Word("world", 0.6, 0.4)], 1, source="test", timing="given")
    assert edit_row(before, 0, "hello world").onsets_per_tr == before.onsets_per_tr
    longer = edit_row(before, 0, "hello big world")
    assert longer.onsets_per_tr[0] == pytest.approx((0, TR / 3, 2 * TR / 3), abs=0.002)


def test_clearing_a_row_silences_it_and_an_unchanged_row_is_no_edit():
    before = table_from_words([Word("a", 0.1, 0.1)], 2, source="test", timing="given")
    assert edit_row(before, 0, " a ") is before
    cleared = edit_row(before, 0, "")
    assert (cleared.text_per_tr[0], cleared.words_per_tr[0], cleared.edited_rows) == ("", (), (0,))


@pytest.mark.parametrize(("row", "text"), [(-1, "a"), (2, "a"), (0, "x" * 5000), (0, "a " * 300), (0, "y" * 201)])
def test_an_edit_outside_the_table_or_beyond_the_caps_is_refused(row, text):
    with pytest.raises(TranscriptError):
        edit_row(no_words(2), row, text)


@given(st.text())
def test_cleaned_text_has_no_control_characters_and_survives_utf8(text):
    cleaned = clean(text)
    assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in cleaned)
    assert cleaned.encode("utf-8").decode("utf-8") == clean(cleaned)
