"""The word stream against counts made by hand and the trigram model itself."""

import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extractors import text
from extractors.grid import TR, tr_of
from extractors.text import text_features
from extractors.transcript import Transcript
from settings import ROOT

COLUMN = {name: i for i, name in enumerate(text.TEXT_NAMES)}


def transcript(words, n_trs, **kwargs):
    """Transcript of (text, onset, duration); a word goes to the TR that holds its offset."""
    rows = [[] for _ in range(n_trs)]
    for word, onset, duration in words:
        k = tr_of(onset + duration)
        if 0 <= k < n_trs:
            rows[k].append((word, onset, duration))
    return Transcript(
        tuple(" ".join(word for word, _, _ in row) for row in rows),
        *(tuple(tuple(entry[i] for entry in row) for row in rows) for i in range(3)),
        source=kwargs.get("source", "test"),
    )


def spoken(sentence, start=0.1, pace=0.4, n_trs=12):
    return transcript([(word, start + i * pace, 0.3) for i, word in enumerate(sentence.split())], n_trs)


def test_every_column_has_its_own_name():
    assert len(set(text.TEXT_NAMES)) == text.TEXT_DIM == len(text.TEXT_NAMES)


def test_counts_of_a_row_are_those_made_by_hand():
    row = text_features(transcript([("The", 0.1, 0.2), ("elephant,", 0.5, 0.6), ("zzqx", 1.2, 0.2)], 3))[0]
    assert row[COLUMN["words.per_s"]] == pytest.approx(3 / TR)
    assert row[COLUMN["letters.per_s"]] == pytest.approx((3 + 8 + 4) / TR / 5)
    assert row[COLUMN["words.length"]] == pytest.approx(np.log([4, 9, 5]).mean())
    assert row[COLUMN["words.longest"]] == pytest.approx(np.log(9))
    assert row[COLUMN["speech.share"]] == pytest.approx((0.2 + 0.6 + 0.2) / TR)
    assert row[COLUMN["unknown.share"]] == pytest.approx(1 / 3)
    assert row[COLUMN["common.share"]] == pytest.approx(1 / 3)
    assert row[COLUMN["new.share"]] == 1
    assert row[COLUMN["pause"]] == pytest.approx(np.log1p(TR - 1.4))


def test_a_word_counts_in_the_tr_of_its_offset_but_sounds_in_both():
    features = text_features(transcript([("crossing", TR - 0.5, 0.8)], 3))
    np.testing.assert_allclose(features[:, COLUMN["words.per_s"]], [0, 1 / TR, 0], atol=1e-6)
    np.testing.assert_allclose(features[:, COLUMN["speech.share"]], [0.5 / TR, 0.3 / TR, 0], atol=1e-6)


def test_overlapping_words_fill_no_time_twice():
    features = text_features(transcript([("one", 0.2, 0.8), ("two", 0.4, 0.8), ("three", 0.5, 0.1)], 1))
    assert features[0, COLUMN["speech.share"]] == pytest.approx(1.0 / TR)


def test_surprisal_is_the_trigram_models_own_probability():
    import pocketsphinx

    log_math = pocketsphinx.LogMath()
    model = pocketsphinx.NGramModel(pocketsphinx.Config(lm=None), log_math, text.language_model_path())
    assert text.nats(["the", "white", "house"]) == pytest.approx(-log_math.log_to_ln(model.prob(["house", "white", "the"])), abs=1e-4)
    # English itself says which order of the words the model was asked in.
    assert text.nats(["the", "white", "house"]) < 1 < 3 < text.nats(["house", "white", "the"])
    assert text.nats(["once", "upon"]) < text.nats(["upon"])
    assert text.nats(["the"]) < text.nats(["house"]) < text.nats(["elephant"])


def test_a_word_the_model_does_not_know_is_no_number_from_the_model():
    assert text.nats(["zzqx"]) is None
    assert text.nats(["of", "the", "zzqx"]) is None
    assert text.nats(["zzqx", "house"]) == text.nats(["house"])
    assert text.nats(["the", "zzqx", "house"]) == text.nats(["house"])
    row = text_features(spoken("zzqx"))[0]
    assert row[COLUMN["rarity.mean"]] == row[COLUMN["surprisal.mean"]] == np.float32(text.MOST_NATS / 10)


def test_no_known_word_counts_as_rarer_than_an_unknown_one():
    rare = "abacha"
    assert text.nats([rare]) > text.MOST_NATS
    assert text_features(spoken(rare))[0, COLUMN["rarity.max"]] == np.float32(text.MOST_NATS / 10)
    assert text_features(spoken(rare))[0, COLUMN["unknown.share"]] == 0


def test_a_predictable_word_surprises_less_than_an_odd_one():
    usual, odd = (text_features(spoken(s))[1, COLUMN["surprisal.max"]] for s in ("he lived in the white house", "he lived in the purple upon"))
    assert usual < odd


def test_a_word_said_again_within_twelve_seconds_is_not_new():
    features = text_features(transcript([("apple", 0.1, 0.3), ("Apple.", 3.1, 0.3), ("apple", 17.0, 0.3)], 12))
    new = features[:, COLUMN["new.share"]]
    assert (new[0], new[tr_of(3.4)], new[tr_of(17.3)]) == (1, 0, 1)


def test_averages_take_in_the_past_and_never_the_future():
    features = text_features(transcript([("word", 6.1, 0.3)], 20))
    rate = features[:, COLUMN["words.per_s"]]
    k = rate.argmax()
    for seconds, name in ((text.SHORT_S, "words.per_s.6s"), (text.LONG_S, "words.per_s.12s")):
        length = int(seconds / TR)
        expected = np.zeros(20)
        expected[k : k + length] = rate[k] / length
        np.testing.assert_allclose(features[:, COLUMN[name]], expected, atol=1e-6)


def test_what_is_said_later_changes_no_earlier_row():
    first = [("a", 0.2, 0.2), ("little", 0.6, 0.3), ("boy", 3.0, 0.3)]
    short, long = text_features(transcript(first, 12)), text_features(transcript([*first, ("ran", 7.5, 0.3), ("away", 8.0, 0.3)], 12))
    k = tr_of(7.5)
    np.testing.assert_array_equal(short[:k], long[:k])
    assert not np.array_equal(short[k], long[k])


def ngrams(features, part):
    return features[[i for name, i in COLUMN.items() if name.startswith(part)]]


def likeness(a, b):
    return a @ b / np.sqrt((a @ a) * (b @ b))


def test_same_words_give_the_same_ngram_columns_and_other_words_do_not():
    first, again, other = (text_features(spoken(s))[0] for s in ("purple monkeys dance", "Purple, monkeys dance!", "seven houses burn"))
    np.testing.assert_allclose(ngrams(first, "word_ngrams.now"), ngrams(again, "word_ngrams.now"))
    assert likeness(ngrams(first, "word_ngrams.now"), ngrams(other, "word_ngrams.now")) < 0.6


def test_words_spelt_alike_are_near_in_the_letter_columns():
    alike = ("walking walked", "houses house", "friendly friend", "mountains mountain", "singer singing", "tomorrow morrow")
    vectors = [[ngrams(text_features(spoken(word))[0], "letter_ngrams.now") for word in pair.split()] for pair in alike]
    near = np.mean([likeness(a, b) for a, b in vectors])
    far = np.mean([likeness(vectors[i][0], vectors[j][1]) for i in range(6) for j in range(6) if i != j])
    assert near > far + 0.3


def test_the_context_remembers_words_for_twelve_seconds_and_recent_ones_best():
    features = text_features(transcript([("elephant", 1.0, 0.4), ("tomorrow", 5.0, 0.4)], 20))
    context = np.array([ngrams(row, "word_ngrams.context") for row in features])
    now = np.array([ngrams(row, "word_ngrams.now") for row in features])
    elephant, tomorrow = now[tr_of(1.4)], now[tr_of(5.4)]
    np.testing.assert_allclose(context[tr_of(1.4)], elephant, atol=1e-6)
    both = context[tr_of(5.4)]
    np.testing.assert_allclose(both, (tomorrow + text.DECAY * elephant) / np.sqrt(1 + text.DECAY**2), atol=1e-5)
    ends = (np.arange(20) + 1) * TR
    assert not context[ends - 5.4 >= text.LONG_S].any()
    assert context[(ends - 5.4 < text.LONG_S) & (ends > 5.4)].any(1).all()


def test_silence_is_all_zeros_but_for_the_pause():
    features = text_features(transcript([], 10))
    assert (features[:, COLUMN["pause"]] == np.float32(np.log1p(text.LONG_S))).all()
    assert not np.delete(features, COLUMN["pause"], axis=1).any()


def test_a_row_with_text_but_no_timed_words_is_read_too():
    bare = Transcript(("hello there", "", ""), ((), (), ()), ((), (), ()), ((), (), ()), source="test")
    features = text_features(bare)
    assert features[0, COLUMN["words.per_s"]] == pytest.approx(2 / TR)
    assert features[0, COLUMN["speech.share"]] == pytest.approx(1)
    assert not features[1, COLUMN["speech.share"]]


def test_another_process_computes_the_same_numbers():
    code = (
        "from extractors.text import text_features; from extractors.transcript import Transcript;"
        "t = Transcript(('once upon a time',), (('once', 'upon', 'a', 'time'),), ((.1, .3, .5, .7),), ((.1,) * 4,), source='x');"
        "print(text_features(t).tobytes().hex())"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env={"PYTHONHASHSEED": seed, "OPENBLAS_NUM_THREADS": "1"}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1
    ours = text_features(Transcript(("once upon a time",), (("once", "upon", "a", "time"),), ((0.1, 0.3, 0.5, 0.7),), ((0.1,) * 4,), source="x"))
    theirs = np.frombuffer(bytes.fromhex(runs.pop().decode()), np.float32).reshape(ours.shape)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    n_trs=st.integers(0, 8),
    words=st.lists(st.tuples(st.text(max_size=12), st.floats(-1, 14), st.floats(0, 5)), max_size=20),
)
def test_there_are_always_n_trs_finite_rows(n_trs, words):
    features = text_features(transcript(words, n_trs))
    assert features.shape == (n_trs, text.TEXT_DIM)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    shares = [i for name, i in COLUMN.items() if name.endswith(".share")]
    assert (features[:, shares] >= 0).all()
    assert (features[:, shares] <= 1).all()


def test_a_flood_of_words_takes_no_flood_of_time():
    start = time.monotonic()
    features = text_features(transcript([(f"word{i % 5000}", i * 0.01, 0.01) for i in range(20_000)], 130))
    assert time.monotonic() - start < 20
    assert np.isfinite(features).all()
