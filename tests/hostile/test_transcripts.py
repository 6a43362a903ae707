"""Transcripts from strangers: normalised, or refused by name with the line; never run, never a raw exception."""

import csv
import io
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extractors.errors import TranscriptError
from extractors.formats import MAX_BYTES, guard_cell, read_transcript, to_string
from extractors.tr_table import table_from_words
from extractors.transcript import Word

HEADER = "text_per_tr\twords_per_tr\tonsets_per_tr\tdurations_per_tr\n"
NASTY = "<script>alert(1)</script> <img src=x onerror=alert(1)> [x](javascript:alert(1)) {{constructor}} ${7*7} {0.__class__} %s \u202eevil"


def read(data, n_trs=10, name="a.srt"):
    return read_transcript(data if isinstance(data, bytes) else data.encode(), n_trs, name=name)


def refusal(data, n_trs=10, name="a.srt") -> TranscriptError:
    with pytest.raises(TranscriptError) as caught:
        read(data, n_trs, name)
    assert caught.value.hint
    assert "Traceback" not in str(caught.value)
    assert "/" not in str(caught.value)
    return caught.value


def outcome(data, n_trs, name):
    """What a reader made of the data: a transcript of the right length, or a refusal with a hint; anything else raises."""
    try:
        transcript = read(data, n_trs, name)
    except TranscriptError as error:
        return error.hint
    return transcript.n_trs == n_trs


def srt(*cues):
    return "".join(f"{k}\n{times}\n{text}\n\n" for k, (times, text) in enumerate(cues, 1))


@pytest.mark.parametrize(
    ("times", "code"),
    [
        ("00:00:05,000 --> 00:00:02,000", "ends_before_start"),
        ("-00:00:01,000 --> 00:00:02,000", "bad_time"),
        ("999:00:00,000 --> 999:00:01,000", "bad_time"),
        ("9" * 5000 + ":00:00,000 --> 00:00:01,000", "bad_time"),
        ("00:99:00,000 --> 00:99:01,000", "bad_time"),
        ("nan --> inf", "bad_time"),
        ("00:00:01,000 -->", "bad_time"),
    ],
)
def test_impossible_cue_times_are_refused_with_their_line(times, code):
    error = refusal(srt(("00:00:00,000 --> 00:00:01,000", "fine"), (times, "bad")))
    assert error.code == code
    assert "line 6" in str(error)


def test_overlapping_and_unordered_cues_are_put_in_order():
    table = read(srt(("00:00:05,000 --> 00:00:06,000", "late"), ("00:00:01,000 --> 00:00:05,500", "early")))
    assert [word.text for word in table.words] == ["early", "late"]


def test_a_hundred_thousand_cues_are_refused_quickly_with_the_line():
    many = srt(*[("00:00:01,000 --> 00:00:02,000", "a")] * 100_000)
    start = time.monotonic()
    error = refusal(many[:MAX_BYTES])
    assert error.code == "too_many_cues"
    assert "line" in str(error)
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("name", ["a.srt", "a.vtt", "a.txt", "a.tsv"])
def test_a_line_of_a_megabyte_is_refused_with_its_line(name):
    assert "ine 2" in str(refusal(HEADER + "x" * 1_000_000 if name == "a.tsv" else "WEBVTT\n" + "x" * 1_000_000, name=name))


def test_too_many_bytes_are_refused():
    assert refusal(b"a " * MAX_BYTES, name="a.txt").code == "too_large"


@pytest.mark.parametrize("opening", ["<a" * 450, "< / " * 240, "{\\" * 450, "\n1" * 450])
def test_tag_soup_does_not_make_the_reader_slow(opening):
    start = time.monotonic()
    outcome(srt(*[("00:00:01,000 --> 00:00:02,000", opening)] * 400), 400, "a.srt")
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("text", ["y" * 300, "<a" * 450])
def test_endless_words_and_cues_are_refused_with_their_line(text):
    assert "line 2" in str(refusal(srt(("00:00:01,000 --> 00:00:02,000", text))))
    assert "line 2" in str(refusal(srt(("00:00:01,000 --> 00:00:02,000", "a b " * 300))))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends_are_normalised(encoding, end):
    text = srt(("00:00:01,000 --> 00:00:02,000", "Größe 日本 is read")).replace("\n", end)
    assert [word.text for word in read(text.encode(encoding)).words] == ["Größe", "日本", "is", "read"]


def test_mixed_encodings_are_read_with_a_notice_that_names_the_line():
    data = srt(("00:00:01,000 --> 00:00:02,000", "Größe")).encode() + b"2\n00:00:03,000 --> 00:00:04,000\ncaf\xe9\n"
    table = read(data)
    assert [word.text for word in table.words] == ["Größe", "café"]
    assert "Line 7" in table.notices[0]


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" * 50, b"\xff\xfe\x00\xd8\x00", b"\0" * 50])
def test_what_is_not_text_is_refused(data):
    assert refusal(data).code == "not_text"


@pytest.mark.parametrize(("data", "name", "code"), [("", "a.srt", "no_cues"), ("hello", "a.srt", "no_cues"), (" \n ", "a.txt", "no_words"),
                                                    ("WEBVTT\n\nNOTE x", "a.vtt", "no_cues"), ("hello", "a.exe", "format")])  # fmt: skip
def test_files_without_words_or_of_another_kind_are_refused(data, name, code):
    assert refusal(data, name=name).code == code


def test_markup_and_templates_stay_text_in_every_form():
    table = table_from_words([Word(word, 0.1 * k, 0.1) for k, word in enumerate(NASTY.replace("\u202e", "").split())], 4, source="x", timing="given")
    words = [word.text for word in table.words]
    for form in ("tsv", "json", "vtt", "txt"):
        assert [word.text for word in read(to_string(table, form), 4, f"a.{form}").words] == words
    assert "<script>" not in to_string(table, "vtt")
    assert [word.text for word in read("text\n" + NASTY, 4, "a.txt").words][1:-1] == words[:-1]


def test_control_characters_and_direction_overrides_are_taken_out():
    table = read(srt(("00:00:01,000 --> 00:00:02,000", "a\x1b[31mb \u202etxt\x07")))
    assert [word.text for word in table.words] == ["a[31mb", "txt"]
    lone = read(b'[{"word": "a\\ud800b", "start": 0, "end": 1}]', name="a.json")
    assert lone.words[0].text == "ab"


CODE = [
    "__import__('os').system('touch pwned')",
    "[__import__('os').getcwd()]",
    "[x for x in (1,2)]",
    "['a'] + ['b']",
    "{'a'}",
    "['a'",
    "[" * 5000,
    "('a',)",
    "'a'",
    "[1e999999, ['a']]",
    "[" + "'a'," * 300 + "]",
    "['" + "a" * 300 + "']",
    "[1]",
]


@pytest.mark.parametrize("cell", CODE)
def test_code_and_nonsense_in_a_list_cell_is_refused_with_its_line_and_never_run(cell, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = refusal(HEADER + f"ok\t['ok']\t[0.1]\t[0.2]\nx\t{cell}\t[0.1]\t[0.2]\n", 2, "a.tsv")
    assert "line 3" in str(error) or "Line 3" in str(error)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("cell", ["[nan]", "[-1]", "['0.1']", "[True]", "[None]", "[1e999]", "[" + "9" * 5000 + "]", "[0.1, 0.2]", "[[0.1]]"])
def test_times_of_a_table_that_are_not_seconds_are_refused_with_their_line(cell):
    assert "ine 2" in str(refusal(HEADER + f"x\t['x']\t{cell}\t[0.2]\n", 1, "a.tsv"))


def test_missing_columns_are_named():
    assert "durations_per_tr" in str(refusal("text_per_tr\twords_per_tr\tonsets_per_tr\nx\t['x']\t[1]\n", 1, "a.tsv"))


def test_nan_cells_are_silence():
    table = read(HEADER + "nan\t[]\t[]\t[]\nNaN\t\t\t\n\t[]\t[]\t[]\n", 3, "a.tsv")
    assert table.text_per_tr == ("", "", "")
    assert table.n_words == 0


@pytest.mark.parametrize(
    "text",
    ["{", "[" * 100_000, '[{"word": "a", "start": NaN, "end": 1}]', '[{"word": "a", "start": -1, "end": 1}]', '[{"word": "a", "start": 2, "end": 1}]',
     '[{"word": 5, "start": 0, "end": 1}]', '[{"word": "a"}]', '{"segments": [5]}', '{"segments": [{"text": "a"}]}', '{"a": 1}', '"text"', "[[1, 2]]",
     '[{"word": "a", "start": 1e999, "end": 1e999}]', '[{"word": "a", "start": ' + "9" * 5000 + ', "end": 1}]',
     json.dumps({"format": "cineglass-transcript", "version": 2}), json.dumps({"format": "cineglass-transcript", "version": 1, "tr": 2, "rows": []}),
     json.dumps({"format": "cineglass-transcript", "version": 1, "tr": 1.49, "rows": [5]})],
)  # fmt: skip
def test_hostile_json_is_refused_by_name(text):
    refusal(text, 1, "a.json")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode), st.sampled_from(["a.srt", "a.vtt", "a.json", "a.tsv", "a.txt", "a.bin"]))
def test_any_bytes_give_a_transcript_of_the_right_length_or_a_named_refusal(data, name):
    assert outcome(data, 3, name)


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("0123456789:,.-> \nab<>{}\\&;\t[]'\""), max_size=200))
def test_near_misses_of_subtitles_and_tables_do_not_break_the_readers(text):
    for name, head in (("a.srt", "1\n"), ("a.vtt", "WEBVTT\n"), ("a.tsv", HEADER), ("a.json", "[")):
        assert outcome(head + text, 2, name)


@pytest.mark.parametrize("text", ["=cmd()", "+1", "-1", "@SUM(A1)", " =1+1"])
def test_the_spreadsheet_form_guards_formulas(text):
    assert guard_cell(text).startswith("'")
    table = table_from_words([Word(text, 0.1, 0.2)], 2, source="x", timing="given")
    cells = list(csv.reader(io.StringIO(to_string(table, "csv"))))
    assert cells[1][3] == f"'{text}"
    assert guard_cell("well-known") == "well-known"


def test_a_missing_file_is_refused_without_its_path(tmp_path):
    with pytest.raises(TranscriptError) as caught:
        read_transcript(tmp_path / "secret.srt", 3)
    assert str(tmp_path) not in str(caught.value)
    assert caught.value.code == "unreadable"
