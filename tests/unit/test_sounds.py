"""Generated sound and speech: lengths, levels, spectra, and words where they are heard."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from encoder.training import sounds
from encoder.training.phrases import random_sentence
from encoder.training.speaking import VOICES, Request, Spoken, say, say_all, speech_pool, talk
from extractors.errors import SpeechError
from extractors.transcript import Word
from settings import ROOT

RATE = 16000
spoken_aloud = pytest.mark.espeak


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("family", sounds.SOUNDS)
def test_every_family_has_its_length_level_and_seed(family):
    build = sounds.SOUNDS[family][0]
    for seed, seconds in ((1, 0.5), (2, 3.7), (3, 21.3)):
        first, second = build(rng(seed), seconds), build(rng(seed), seconds)
        assert first.shape == (round(seconds * RATE),)
        assert first.dtype == np.float32
        np.testing.assert_array_equal(first, second)
        rms = float(np.sqrt(np.mean(first.astype(float) ** 2)))
        assert rms == pytest.approx(0 if family == "silence" else sounds.LEVEL, rel=0.01) or (family == "strikes" and rms == 0)


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_noise_falls_with_frequency_as_asked(slope):
    noise = sounds.shaped_noise(rng(1), 20, slope=slope)
    power = np.mean(np.abs(np.fft.rfft(noise.reshape(-1, 4000))) ** 2, axis=0)
    frequency = np.fft.rfftfreq(4000, 1 / RATE)
    band = (frequency > 100) & (frequency < 6000)
    assert np.polyfit(np.log(frequency[band]), np.log(power[band]), 1)[0] == pytest.approx(-2 * slope, abs=0.1)


def test_a_long_noise_repeats_without_a_click():
    noise = sounds.shaped_noise(rng(2), 45, slope=1.0)
    steps = np.abs(np.diff(noise))
    assert steps.max() < 12 * steps.mean()


def test_a_tone_is_one_pitch_and_a_sweep_is_many():
    def spread(samples):
        power = np.abs(np.fft.rfft(samples)) ** 2
        return int((power > 0.001 * power.max()).sum())

    steady, gliding = (np.median([spread(build(rng(seed), 4.0)) for seed in range(6)]) for build in (sounds.tone, sounds.sweep))
    assert gliding > 10 * steady


def test_nothing_touches_the_global_random_state():
    before = np.random.get_state()[1].copy()
    for seed in range(20):
        sounds.random_sound(rng(seed), 1.0)
        random_sentence(rng(seed))
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_sentences_are_many_whole_and_plain():
    sentences = [random_sentence(rng(seed)) for seed in range(600)]
    assert len(set(sentences)) > 450
    words = {word.strip(".,?!").lower() for sentence in sentences for word in sentence.split()}
    assert len(words) > 300
    for sentence in sentences:
        assert sentence[0].isupper()
        assert sentence[-1] in ".?!"
        assert not set(sentence) & set("{}_")
        assert "  " not in sentence


@spoken_aloud
def test_words_stand_within_100_ms_of_where_they_are_heard():
    spoken = say("stop. Go. Please. Wait. Never. Again.", words_per_minute=120)
    loud = np.abs(spoken.samples).reshape(-1)[: len(spoken.samples) // 160 * 160].reshape(-1, 160).max(axis=1) > 0.02
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]])))
    stretches = [[start / 100, end / 100] for start, end in edges.reshape(-1, 2)]
    heard = [stretches[0]]
    for start, end in stretches[1:]:  # a stop consonant's closure is shorter than a pause between sentences
        if start - heard[-1][1] < 0.2:
            heard[-1][1] = end
        else:
            heard.append([start, end])
    assert len(heard) == len(spoken.words) == 6
    for word, (start, end) in zip(spoken.words, heard, strict=True):
        assert word.onset == pytest.approx(start, abs=0.1)
        assert word.offset == pytest.approx(end, abs=0.1)


@spoken_aloud
def test_every_written_word_is_spoken_once_in_order():
    requests = [Request(" ".join(random_sentence(rng(10 * seed + k)) for k in range(3)), voice=voice) for seed, voice in enumerate(VOICES)]
    for request, spoken in zip(requests, say_all(requests), strict=True):
        assert [word.text for word in spoken.words] == request.text.split()
        onsets = [word.onset for word in spoken.words]
        assert onsets == sorted(onsets)
        assert spoken.words[-1].offset <= spoken.seconds + 0.001
        assert 90 < 60 * len(spoken.words) / spoken.seconds < 260


@spoken_aloud
def test_the_same_pool_is_spoken_twice_alike():
    first, second = speech_pool(rng(4), 3), speech_pool(rng(4), 3)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)
        assert one.words == other.words


@spoken_aloud
def test_faster_speech_is_shorter_and_an_unknown_voice_is_an_error_in_words():
    text = "The keeper climbed the steps and lit the lamp."
    assert say(text, words_per_minute=240).seconds < 0.75 * say(text, words_per_minute=130).seconds
    with pytest.raises(SpeechError, match="no voice 'nobody'"):
        say(text, voice="nobody")


def test_without_espeak_the_child_says_what_to_install():
    code = "import ctypes.util, sys; ctypes.util.find_library = lambda name: None\nfrom encoder.training import speaking; sys.exit(speaking._serve())"
    done = subprocess.run([sys.executable, "-c", code], input=b"[]", capture_output=True, cwd=ROOT, check=False)
    assert done.returncode == 1
    assert b"no_espeak" in done.stderr
    assert b"apt-get install espeak-ng" in done.stderr


def test_talk_lays_passages_where_its_words_say():
    passage = Spoken(np.full(RATE, 0.5, np.float32), (Word("yes", 0.0, 1.0),), "yes", "x")
    samples, words = talk(rng(3), [passage], 30.0, mean_pause=1.0)
    assert samples.shape == (30 * RATE,)
    assert len(words) >= 5
    said = np.zeros(30 * RATE, bool)
    for word in words:
        said[round(word.onset * RATE) : round(word.offset * RATE)] = True
    np.testing.assert_array_equal(samples != 0, said)
