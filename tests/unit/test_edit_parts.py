"""Edits of bare samples, frame numbers and words: what needs no film."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extractors.clip import Clip
from extractors.edit_language import EDITS, EditError, parse_edits
from extractors.edit_picture import frames_wanted
from extractors.edit_plan import plan_edits
from extractors.edit_sound import edited_sound
from extractors.grid import TR
from extractors.tr_table import table_from_words
from extractors.transcript import Word

RATE = 1000
SECONDS = 20.0
CLIP = Clip(None, None, "0" * 64, "v" * 64, "a" * 64, "film", SECONDS, 13, 25.0, 160, 120)
NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, (2, round(SECONDS * RATE))).astype(np.float32)
WORDS = [Word(text, 0.9 * k + 0.5, 0.5) for k, text in enumerate(["To", "be,", "or", "not", "to", "be,", "that", "is", "the", "question."])]
TABLE = table_from_words(WORDS, 13, source="file", timing="given", language="en")


def planned(text: str, transcript=TABLE):
    return plan_edits(CLIP, parse_edits(text), transcript, {})


def sounding(text: str, samples: np.ndarray = NOISE) -> np.ndarray:
    return edited_sound(samples, RATE, planned(text).sound, lambda key: NOISE, lambda: None)


def texts(transcript) -> str:
    return " ".join(word.text for word in transcript.words)


EXAMPLES = {
    "sound": "sound clip=other",
    "trim": "trim start=0 end=8",
    "remove": 'remove words="or not"',
    "rewrite": 'rewrite row=2 text="anew"',
    "reverse of the sound": "reverse track=sound",
    "reverse of the picture": "reverse track=picture",
    "remove between times": "remove start=1 end=3",
    "words heard": "words policy=hear",
    "words dropped": "words policy=drop",
}
ALL_EDITS = {name: name for name in EDITS} | EXAMPLES
REFUSED_WITHOUT_FILM = {
    **dict.fromkeys(("mute", "delay", "gain", "reverse of the sound", "words heard"), "no sound"),
    **dict.fromkeys(("blank", "grey", "blur", "crop", "reverse of the picture"), "no picture"),
    "recompress": "no picture and no sound",
    "sound": "words only",
    "reverse": "words only",
}
REFUSED_WITHOUT_PICTURE = dict.fromkeys(("blank", "grey", "blur", "crop", "reverse of the picture"), "no picture")
REFUSED_WITHOUT_SOUND = dict.fromkeys(("mute", "delay", "gain", "reverse of the sound", "words heard"), "no sound")


@pytest.mark.parametrize("name", ALL_EDITS)
@pytest.mark.parametrize(
    ("missing", "refused"),
    [
        (("video_key", "audio_key"), REFUSED_WITHOUT_FILM),
        (("video_key",), REFUSED_WITHOUT_PICTURE),
        (("audio_key",), REFUSED_WITHOUT_SOUND),
    ],
    ids=["words-only", "sound-only", "picture-only"],
)
def test_every_edit_works_on_what_a_clip_has_or_says_what_is_missing(missing, refused, name):
    clip = replace(CLIP, **dict.fromkeys(missing))

    def plan():
        return plan_edits(clip, parse_edits(ALL_EDITS[name]), TABLE, {"other": replace(CLIP, audio_key="b" * 64)})

    if name in refused:
        with pytest.raises(EditError, match=refused[name]) as said:
            plan()
        assert said.value.hint
        return
    made = plan()
    tracks = {"video_key": made.picture, "audio_key": made.sound}
    assert not any(tracks[track] for track in missing if name != "sound"), "nothing is done to a track that is not there"
    moved = made.read is None or made.read != TABLE or not made.time_map.is_identity
    assert moved or made.picture or made.sound or name == "words"


@pytest.mark.parametrize("text", ['remove words="or not"', "remove start=2.0 end=4.2"])
def test_words_without_a_sound_leave_the_transcript_and_nothing_else_happens(text):
    made = plan_edits(replace(CLIP, video_key=None, audio_key=None), parse_edits(text), TABLE, {})
    assert texts(made.read) == "To be, to be, that is the question."
    assert not made.changes_film
    assert made.notices == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("remove start=15 end=18", "No word lies between"),
        ('remove words="or"; words policy=keep', "its words are kept"),
        ('remove words="fox"', "none of"),
    ],
)
def test_removing_what_is_not_there_from_words_without_a_sound_is_refused(text, said):
    with pytest.raises(EditError, match=said):
        plan_edits(replace(CLIP, video_key=None, audio_key=None), parse_edits(text), TABLE, {})


def test_words_alone_of_which_an_edit_leaves_none_say_so():
    made = plan_edits(replace(CLIP, video_key=None, audio_key=None), parse_edits("trim start=12 end=20"), TABLE, {})
    assert "the model is given nothing" in made.notices[0]


def test_sound_steps_do_not_touch_what_they_are_given():
    before = NOISE.copy()
    for text in ("mute", "gain db=3", "reverse", "shuffle seconds=3", "remove start=1 end=2", "delay", "trim start=2 end=9"):
        sounding(text)
        np.testing.assert_array_equal(NOISE, before)


@pytest.mark.parametrize("seconds", [2.5, -2.5])
def test_a_delay_of_the_sound_is_exact_both_ways(seconds):
    after, by = sounding(f"delay seconds={seconds}"), 2500
    early, late = (NOISE, after) if seconds > 0 else (after, NOISE)
    np.testing.assert_array_equal(late[:, by:], early[:, :-by])
    assert not (after[:, :by] if seconds > 0 else after[:, -by:]).any()


def test_two_reversals_are_none():
    plan = planned("reverse; reverse")
    assert plan.time_map.is_identity
    np.testing.assert_array_equal(sounding("reverse; reverse"), NOISE)
    assert frames_wanted(plan.picture, 500, Fraction(25)).tolist() == list(range(500))


def test_a_gain_beyond_full_scale_is_clipped_as_a_player_clips_it():
    after = sounding("gain db=20")
    np.testing.assert_allclose(after, np.clip(NOISE * 10, -1, 1), atol=1e-6)
    assert np.abs(after).max() == 1


@given(st.floats(0.5, 10), st.integers(0, 50))
def test_a_shuffle_is_another_order_of_whole_pieces(seconds, seed):
    plan = planned(f"shuffle seconds={seconds:.3f} seed={seed}")
    length, count = round(seconds, 3), int(SECONDS / round(seconds, 3) + 1e-6)
    assert len(plan.time_map.rows(13)) == 13
    assert not plan.time_map.is_identity
    at = (np.arange(count) + 0.5) * length
    order = np.floor(plan.time_map.source_of(at) / length).astype(int)
    assert sorted(order.tolist()) == list(range(count))
    rest = np.linspace(count * length + 1e-3, SECONDS, 5) if SECONDS - count * length > 0.01 else []
    np.testing.assert_allclose(plan.time_map.source_of(rest), rest)


def test_joins_are_faded_so_that_no_cut_clicks():
    ones = np.ones((1, NOISE.shape[1]), np.float32)
    after = sounding("shuffle seconds=2 seed=1", ones)[0]
    assert np.abs(np.diff(after)).max() < 0.3
    assert (after == 1).mean() > 0.99


def test_silenced_words_are_silent_inside_and_fade_at_their_ends():
    ones = np.ones((1, NOISE.shape[1]), np.float32)
    after = sounding("remove start=3 end=5", ones)[0]
    assert not after[3010:4990].any()
    assert (after[:3000] == 1).all()
    assert (after[5000:] == 1).all()
    assert np.abs(np.diff(after)).max() < 0.3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("reverse", range(499, -1, -1)),
        ("reverse track=picture", range(499, -1, -1)),
        ("speed factor=2", range(1, 500, 2)),
        ("trim start=2 end=7", range(50, 175)),
        ("shift ms=40", [0, *range(499)]),
        ("shift ms=-100", [*np.clip(np.arange(500) + 3, 0, 499)]),
        ("shift ms=10", range(500)),
        ("grey; crop", range(500)),
    ],
)
def test_frames_by_number(text, expected):
    assert frames_wanted(planned(text).picture, 500, Fraction(25)).tolist() == [int(k) for k in expected]


def test_a_picture_shorter_than_the_film_holds_its_last_frame_where_the_map_needs_it():
    wanted = frames_wanted(planned("reverse").picture, 400, Fraction(25)).tolist()  # 16 of 20 s
    assert wanted == [399] * 100 + list(range(399, -1, -1))


@given(st.sampled_from(["23.976", "24", "25", "29.97", "30", "60", "12.5"]), st.integers(30, 900), st.floats(-0.03, 0.03))
@settings(deadline=None)
def test_the_number_of_frames_stays_where_the_length_does(rate, count, longer):
    rate = Fraction(rate).limit_denominator(1001) if "." not in rate else Fraction(round(float(rate) * 1001), 1001)
    clip = replace(CLIP, duration=round(float(count / rate) + longer, 6))
    for text in ("reverse", "reverse track=picture", "shift ms=-33"):
        plan = plan_edits(clip, parse_edits(text), None, {})
        assert len(frames_wanted(plan.picture, count, rate)) == count
    assert frames_wanted(plan_edits(clip, parse_edits("reverse track=picture"), None, {}).picture, count, rate).tolist() == list(range(count))[::-1]


def test_words_follow_the_film():
    assert planned("grey").read is TABLE
    slow = planned("speed factor=0.5").read
    assert slow.n_trs == 26
    assert [word.onset for word in slow.words] == pytest.approx([2 * word.onset for word in WORDS])
    cut = planned("trim start=1.2 end=5").read
    assert texts(cut) == "be, or not"  # "to" ends beyond the last whole TR
    assert cut.words[0].onset == pytest.approx(0.2)
    assert (cut.source, cut.timing, cut.language) == ("file", "given", "en")
    assert texts(planned("reverse; words policy=keep").read) == ""
    assert planned("reverse; words policy=hear").read is None
    assert texts(planned("reverse").read) == "", "nobody understands it"
    assert planned("reverse track=sound; words policy=keep").read is TABLE


def test_words_follow_a_delayed_sound_unless_the_unchanged_ones_are_asked_for():
    assert planned("delay seconds=2").read.words[0].onset == pytest.approx(2.5)
    assert planned("delay seconds=2; words policy=keep").read is TABLE


def test_words_are_removed_by_name_in_runs_without_case_or_punctuation():
    done = planned('remove words="TO BE, question"')
    assert texts(done.read) == "or not that is the"
    assert done.sound == [["quiet", [[0.5, 1.0], [1.4, 1.9], [4.1, 4.6], [5.0, 5.5], [pytest.approx(8.6), pytest.approx(9.1)]]]]
    assert planned('remove words="to be"; words policy=keep'.replace("to be", "is")).read is TABLE
    kept = done.read
    assert all(kept.text_per_tr[row] == " ".join(kept.words_per_tr[row]) for row in range(13) if kept.words_per_tr[row] != TABLE.words_per_tr[row])


def test_words_between_two_times_leave_with_their_sound():
    done = planned("remove start=2 end=4")
    assert texts(done.read) == "To be, to be, that is the question."
    assert done.sound == [["quiet", [[2.0, 4.0]]]]
    assert planned("remove start=2 end=4", None).sound == done.sound


@pytest.mark.parametrize("before", ["delay seconds=2", "delay seconds=2; words policy=keep", "speed factor=0.5; delay seconds=2; speed factor=2"])
def test_words_are_silenced_where_they_are_said_by_now(before):
    later = 1.0 if "speed" in before else 2.0
    done = planned(f"{before}; remove words=question")
    assert done.sound[-1] == ["quiet", [[pytest.approx(8.6 + later), pytest.approx(9.1 + later)]]]
    assert ("question" in texts(done.read)) is ("keep" in before)


@pytest.mark.parametrize("before", ["reverse", "reverse track=sound", "reverse track=sound; words policy=keep", "reverse; reverse"])
def test_words_are_not_looked_for_where_nobody_knows_them(before):
    with pytest.raises(EditError) as refused:
        planned(f"{before}; remove words=not")
    assert refused.value.code == "words_moved"
    assert planned(f"{before}; remove start=2 end=4").sound[-1] == ["quiet", [[2.0, 4.0]]]


def test_times_that_are_guesses_are_said_to_be():
    assert "estimated" in planned("remove words=not", replace(TABLE, timing="spread")).notices[0]


def test_rewritten_rows_move_with_the_film():
    done = planned('rewrite row=2 text="cats"; trim start=1.49 end=20')
    assert done.read.edited_rows == (1,)
    assert done.read.text_per_tr[1] == "cats"


@pytest.mark.parametrize("text", ["remove words=not", 'rewrite row=1 text="x"'])
def test_words_that_are_not_known_cannot_be_changed(text):
    with pytest.raises(EditError) as refused:
        planned(text, None)
    assert refused.value.code == "needs_transcript"


def test_a_trim_beyond_the_end_is_cut_there_and_said():
    done = planned("trim start=5 end=60")
    assert done.duration == 15.0
    assert done.notices
    assert not planned("trim start=0 end=20").picture
    assert not planned("trim start=0 end=30", None).changes_film


@pytest.mark.parametrize("text", ["shuffle seconds=2; reverse; speed factor=2; trim start=1 end=8; shift ms=50"])
def test_a_long_chain_ends_where_its_map_says(text):
    plan = planned(text)
    wanted = frames_wanted(plan.picture, 500, Fraction(25))
    assert len(wanted) == round(plan.duration * 25)
    expected = plan.time_map.source_of((np.arange(len(wanted)) + 0.5) / 25) * 25
    off = np.abs(wanted + 0.5 - expected)
    assert np.nanmedian(off) <= 2  # each step rounds to a frame
    assert plan.n_trs == int(plan.duration / TR)
