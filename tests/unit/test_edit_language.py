"""The language of edits: what it reads, what it refuses and how, and what edits do to each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extractors.edit_language import EDITS, Edit, EditError, checked_edits, edits_text, null_edits, parse_edits, touched, words_policy
from extractors.statements import Param, number_text

TEXTS = st.text(
    st.characters(
        exclude_categories=("Cc", "Cs", "Co", "Cn"), exclude_characters="\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\u2028\u2029"
    ),
    max_size=40,
)


def values(param: Param):
    if param.kind == "number":
        if param.whole:
            return st.integers(int(param.low), int(param.high)).map(float)
        return st.floats(param.low, param.high).map(lambda value: round(value, 6) + 0.0)
    return st.sampled_from(param.choices) if param.kind == "choice" else TEXTS.filter(str.strip)


@st.composite
def edits(draw):
    """One valid edit of any kind but those whose values depend on each other."""
    kind = EDITS[draw(st.sampled_from(sorted(set(EDITS) - {"remove", "trim", "rewrite", "words"})))]
    edit = Edit(kind.name, tuple((param.name, draw(values(param))) for param in kind.params))
    first = edit.values[0][1] if edit.values else None
    if (edit.name == "speed" and first == 1) or (edit.name in ("delay", "shift", "gain") and first == 0):
        return draw(edits())
    return edit


@given(st.lists(edits(), max_size=8))
def test_canonical_text_reads_back_as_the_same_edits(some):
    text = edits_text(some)
    if len(text) > 2000:
        return
    again = parse_edits(text)
    assert list(again) == some
    assert edits_text(again) == text
    assert touched(again) <= {"video", "audio", "text"}
    assert all(edit.says.endswith(".") for edit in again)


@given(st.text(max_size=300) | st.text('abcdeimtu;="\\# \n0.5-', max_size=60))
def test_any_text_is_read_or_refused_by_name_and_with_a_hint(text):
    try:
        read, refused = parse_edits(text), None
    except EditError as error:
        read, refused = None, error
    assert (refused is None) == isinstance(read, tuple)
    if refused is not None:
        assert refused.code
        assert refused.hint
        assert refused.message.endswith(".")
        assert not any(ord(char) < 32 for char in refused.message)


@given(st.floats(-1e6, 1e6).map(lambda value: round(value, 6) + 0.0))
def test_numbers_are_written_without_exponent_and_read_back(value):
    text = number_text(value)
    assert "e" not in text
    assert float(text) == value


def test_the_example_of_the_manual():
    text = 'Mute; BLANK Colour=GREY  # comment; not read\n rewrite row=3 text="a \\"b\\"; # c"; words policy=keep;;\n'
    read = parse_edits(text)
    assert edits_text(read) == 'mute; blank colour=grey; rewrite row=3 text="a \\"b\\"; # c"; words policy=keep'
    assert [edit.says for edit in read] == [
        "The sound is silenced.",
        "The picture is replaced by grey.",
        'Row 3 of the transcript reads "a \\"b\\"; # c"; what is heard stays.',
        "The model reads the words of the unchanged clip.",
    ]
    assert parse_edits("") == parse_edits(" \n;; # nothing") == ()


def test_what_is_not_said_has_its_usual_value():
    assert edits_text(parse_edits("blank; reverse; speed; shuffle; delay; trim; recompress; shift; gain; crop; blur")) == (
        "blank colour=black; reverse track=both; speed factor=0.5; shuffle seconds=8 seed=0; delay seconds=1; trim start=0 end=30;"
        " recompress quality=26; shift ms=40; gain db=1; crop percent=1; blur percent=2"
    )


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("muet", "unknown_edit", "Did you mean mute?"),
        ("blank color=red", "unknown_parameter", "Did you mean colour?"),
        ("mute hard=1", "unknown_parameter", "Write only: mute"),
        ("blank colour=red", "unknown_value", "black, grey"),
        ("blur percent=much", "unknown_value", "must be a number"),
        ("blur percent=nan", "unknown_value", "must be a number"),
        ("blur percent=1e9", "unknown_value", "must be a number"),
        ("speed factor=3", "out_of_range", "0.5 to 2"),
        ("speed factor=99999999999999", "unknown_value", "must be a number"),
        ("speed factor=1", "out_of_range", "change nothing"),
        ("gain db=0", "out_of_range", "change nothing"),
        ("shift ms=-0.0000001", "out_of_range", "change nothing"),
        ("shuffle seed=1.5", "unknown_value", "whole number"),
        ("trim start=5 end=5", "out_of_range", "behind its start"),
        ("remove", "missing_value", "either words or both"),
        ("remove start=1", "missing_value", "either words or both"),
        ("remove words=a start=1 end=2", "missing_value", "either words or both"),
        ('remove words=", ,"', "missing_value", "hold no word"),
        ("rewrite row=1", "missing_value", "text"),
        ("sound", "missing_value", "clip"),
        ('sound clip="  "', "missing_value", "Name a clip"),
        ("mute blank", "bad_text", "no value follows"),
        ("blur percent=", "bad_text", "no value follows"),
        ("blur =2", "bad_text", "stands where"),
        ("blur percent=2 percent=3", "twice", "twice"),
        ("words; words policy=drop", "twice", "only one"),
        ('remove words="the', "bad_text", "not closed"),
        ("mute\x00", "bad_text", "control characters"),
        ('remove words="\\x"', "bad_text", "JSON"),
        ('sound clip="\\ud800"', "bad_text", "hidden"),
        ('sound clip="a\\u202eb"', "bad_text", "hidden"),
        ('sound clip="a\\u0000b"', "bad_text", "hidden"),
        ("rewrite row=1 text=a; mute", "contradiction", "words policy=keep"),
        ("reverse; rewrite row=1 text=a", "contradiction", "words policy=keep"),
        ("mute;" * 13, "too_many", "at most 12"),
        ("#" * 2001, "too_long", "at most 2000"),
        (f"rewrite row=1 text={'a' * 501}", "too_long", "at most 500"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(text, code, words):
    with pytest.raises(EditError) as refused:
        parse_edits(text)
    assert refused.value.code == code
    assert words in f"{refused.value.message} {refused.value.hint}"
    assert isinstance(refused.value, ValueError)


def test_edits_made_by_hand_are_checked_like_written_ones():
    assert checked_edits([Edit("blank")]) == parse_edits("blank")
    for edit in (Edit("nothing"), Edit("speed", (("factor", 9.0),)), Edit("speed", (("factor", float("nan")),)), Edit("blank", (("colour", 3.0),))):
        with pytest.raises(EditError):
            checked_edits([edit])


@pytest.mark.parametrize(
    ("text", "policy", "streams"),
    [
        ("", "keep", ""),
        ("mute", "drop", "audio text"),
        ("mute; words policy=keep", "keep", "audio"),
        ("blank", "keep", "video"),
        ("crop; grey; blur", "keep", "video"),
        ("gain", "keep", "audio"),
        ("sound clip=x", "hear", "audio text"),
        ("mute; sound clip=x", "hear", "audio text"),
        ("sound clip=x; mute", "drop", "audio text"),
        ("mute; reverse track=sound", "drop", "audio text"),
        ("reverse", "drop", "video audio text"),
        ("reverse track=sound", "drop", "audio text"),
        ("reverse; words policy=hear", "hear", "video audio text"),
        ("reverse; sound clip=x", "hear", "video audio text"),
        ("reverse track=picture", "keep", "video"),
        ("speed", "keep", "video audio text"),
        ("delay", "keep", "audio text"),
        ("delay; words policy=keep", "keep", "audio"),
        ("remove words=a", "keep", "audio text"),
        ("rewrite row=1 text=a", "keep", "text"),
        ("words policy=drop", "drop", "text"),
        ("recompress", "keep", "video audio"),
        ("shift", "keep", "video audio text"),
    ],
)
def test_what_the_model_reads_and_what_is_computed_again(text, policy, streams):
    read = parse_edits(text)
    assert words_policy(read) == policy
    assert touched(read) == set(streams.split())


def test_null_edits_are_small_different_and_take_turns():
    found = null_edits(10, seed=3)
    assert len(set(found)) == 10
    assert [text.split()[0] for text in found[:5]] == ["recompress", "shift", "gain", "crop", "recompress"]
    for text in null_edits(40, seed=1):
        (edit,) = parse_edits(text)
        assert edit.kind.null
        low, high = {"recompress": (24, 30), "shift": (20, 100), "gain": (0.25, 1), "crop": (0.25, 1)}[edit.name]
        assert low <= abs(edit.values[0][1]) <= high
        assert edit.text == text
    assert null_edits(10, seed=3) == found != null_edits(10, seed=4)
    assert {text.split()[0] for text in null_edits(6, sound=False)} == {"recompress", "shift", "crop"}
    assert {text.split()[0] for text in null_edits(6, picture=False)} == {"recompress", "shift", "gain"}
