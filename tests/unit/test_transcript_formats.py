"""Transcript files: what is read, what is written, and what a round trip keeps."""

import io
import json

import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extractors.errors import TranscriptError
from extractors.formats import FORMATS, read_transcript, to_string, write_transcript
from extractors.grid import TR
from extractors.tr_table import clean, edit_row, table_from_words
from extractors.transcript import Transcript, Word

COLUMNS = ["text_per_tr", "words_per_tr", "onsets_per_tr", "durations_per_tr"]
plain = st.text(min_size=1, max_size=12).map(lambda text: clean(text).strip()).filter(bool)
numbers = st.one_of(st.floats(0, 1e6), st.integers(0, 10**6))


@st.composite
def tables(draw):
    rows = draw(st.lists(st.lists(st.tuples(plain, numbers, numbers), max_size=4), min_size=1, max_size=6))
    texts = [draw(st.sampled_from([" ".join(word[0] for word in row), " his own\u00a0text"])) if row else "" for row in rows]
    columns = [tuple(tuple(word[k] for word in row) for row in rows) for k in range(3)]
    return Transcript(tuple(texts), *columns, source="file t.tsv", timing="given")


def read(text: str, n_trs: int, name: str) -> Transcript:
    return read_transcript(text.encode(), n_trs, name=name)


@given(tables())
def test_the_algonauts_table_survives_a_round_trip_value_for_value_and_byte_for_byte(table):
    written = to_string(table, "tsv")
    again = read(written, table.n_trs, "t.tsv")
    assert again == table
    assert to_string(again, "tsv") == written


@given(tables())
def test_our_json_survives_a_round_trip_with_everything_it_knows(table):
    edited = edit_row(table, 0, "one two three")
    assert read(to_string(edited, "json"), table.n_trs, "t.json") == edited


def test_a_table_as_pandas_writes_it_comes_back_byte_for_byte():
    frame = pandas.DataFrame(
        {
            "text_per_tr": [' He said "don\'t"', None, "a\u2014b"],
            "words_per_tr": [["He", "said", '"don\'t"'], [], ["a\u2014b"]],
            "onsets_per_tr": [[0.1, 0.30000000000000004, 1], [], [3.0]],
            "durations_per_tr": [[0.2, 0.1, 0.25], [], [1e-05]],
        }
    )
    theirs = frame.to_csv(sep="\t", index=False)
    table = read(theirs, 3, "movie10_life01.tsv")
    assert table.text_per_tr == (' He said "don\'t"', "", "a\u2014b")
    assert table.words_per_tr[1] == ()
    assert table.onsets_per_tr[0] == (0.1, 0.30000000000000004, 1)
    assert to_string(table, "tsv") == theirs
    assert pandas.read_csv(io.StringIO(to_string(table, "tsv")), sep="\t")["text_per_tr"].isna().tolist() == [False, True, False]


def test_an_edit_is_written_into_the_table_and_read_back_as_an_edit():
    table = edit_row(table_from_words([Word("a", 0.1, 0.2)], 3, source="file t.tsv", timing="given"), 2, "new words")
    again = read(to_string(table, "tsv"), 3, "t.tsv")
    assert again == table
    assert again.edited
    assert again.edited_rows == (2,)


def test_one_row_more_than_the_clip_is_the_partial_tr_and_any_other_count_is_refused_with_both_numbers():
    table = to_string(table_from_words([Word("a", 0.1, 0.2)], 11, source="x", timing="given"), "tsv")
    kept = read(table, 10, "t.tsv")
    assert kept.n_trs == 10
    assert "partial" in kept.notices[0]
    for n_trs in (9, 12):
        with pytest.raises(TranscriptError, match=f"11 rows.*{n_trs} TRs") as caught:
            read(table, n_trs, "t.tsv")
        assert caught.value.code == "row_count"


def test_srt_cues_are_read_with_their_tags_stripped_and_their_words_spread_by_length():
    text = "1\n00:00:01,000 --> 00:00:02,000\n<i>ab</i> {\\an8}cd\n\n2\n00:00:03,000 --> 00:00:04,500\n<font color=red>{name}</font>\n1999\n"
    words = read(text, 10, "a.srt").words
    assert [word.text for word in words] == ["ab", "cd", "{name}", "1999"]
    assert [word.onset for word in words] == pytest.approx([1.0, 1.5, 3.0, 3.9])
    assert words[-1].offset == pytest.approx(4.5)


def test_vtt_notes_styles_and_identifiers_are_not_spoken():
    text = (
        "WEBVTT - title\n\nSTYLE\n::cue { color: red }\n\nNOTE not spoken\n\nintro\n00:01.000 --> 00:02.000 align:start position:0%\n"
        "<v Anna>Fish &amp; <00:00:01.500><c>chips</c>\n\nNOTE\nnor this\n\n2\n00:02.000 --> 00:03.000\nyes\n"
    )
    assert [word.text for word in read(text, 10, "a.vtt").words] == ["Fish", "&", "chips", "yes"]


@given(st.lists(st.tuples(st.floats(0, 40), st.floats(0.05, 1), st.text("abcdefgh&<;'", min_size=1, max_size=8)), min_size=1, max_size=30))
def test_written_vtt_reads_back_the_same_words_within_their_cue(triples):
    table = table_from_words([Word(text, onset, duration) for onset, duration, text in triples], 40, source="x", timing="given")
    again = read(to_string(table, "vtt"), 40, "a.vtt")
    assert sorted(word.text for word in again.words) == sorted(word.text for word in table.words)
    first, last = min(word.onset for word in table.words), max(word.offset for word in table.words)
    assert all(first - 0.001 <= word.onset and word.offset <= last + 0.001 for word in again.words)


def test_whisper_json_is_read_word_by_word():
    data = {"text": " Hi you", "language": "en", "segments": [{"start": 0, "end": 2, "text": " Hi you", "words": [
        {"word": " Hi", "start": 0.1, "end": 0.4, "probability": 0.9}, {"word": " you", "start": 1.3, "end": 1.6, "probability": 0.8}]}]}  # fmt: skip
    table = read(json.dumps(data), 4, "a.json")
    assert table.language == "en"
    assert [(word.text, word.onset, round(word.offset, 3)) for word in table.words] == [("Hi", 0.1, 0.4), ("you", 1.3, 1.6)]
    assert table.words_per_tr[:2] == (("Hi",), ("you",))


def test_whisperx_words_without_times_share_the_gap_between_their_neighbours():
    words = [{"word": "in", "start": 0.0, "end": 0.2}, {"word": "1999"}, {"word": "we"}, {"word": "met", "start": 1.0, "end": 1.3}]
    table = read(json.dumps({"segments": [{"start": 0.0, "end": 1.3, "text": "", "words": words}]}), 4, "a.json")
    assert [word.text for word in table.words] == ["in", "1999", "we", "met"]
    assert table.words[1].onset == pytest.approx(0.2)
    assert table.words[2].offset == pytest.approx(1.0)


def test_whisper_segments_without_words_are_spread_and_bare_lists_are_accepted():
    segments = read(json.dumps({"segments": [{"start": 1, "end": 2, "text": "ab cd"}]}), 4, "a.json")
    assert [word.onset for word in segments.words] == pytest.approx([1, 1.5])
    bare = read(json.dumps([{"text": "x", "onset": 0.5, "duration": 0.25}]), 4, "a.json")
    assert bare.words == (Word("x", 0.5, 0.25),)


def test_plain_text_is_spread_over_the_whole_clip_and_says_that_its_times_are_a_guess():
    table = read("one two\nthree", 6, "a.txt")
    assert table.timing == "spread"
    assert table.n_words == 3
    assert table.words[0].onset == 0
    assert table.words[-1].offset == pytest.approx(6 * TR, abs=0.01)
    assert "guess" in table.notices[0]


@pytest.mark.parametrize("form", FORMATS)
def test_every_form_is_written_as_utf8_with_lf_and_ends_with_a_line_end_where_it_is_lines(tmp_path, form):
    table = table_from_words([Word("naïve", 0.1, 0.2), Word("日本", 2, 0.5)], 4, source="x", timing="given")
    data = write_transcript(table, tmp_path / f"t.{form}").read_bytes()
    assert b"\r" not in data
    assert data.decode("utf-8") == to_string(table, form)
    if form != "csv":
        assert [word.text for word in read_transcript(tmp_path / f"t.{form}", 4).words] == ["naïve", "日本"]


def test_an_unknown_format_is_refused_with_the_allowed_ones():
    with pytest.raises(TranscriptError, match="tsv, srt, vtt, json, txt, csv"):
        to_string(table_from_words([], 2, source="x", timing="none"), "docx")
