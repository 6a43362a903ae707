"""The sound stream against librosa, NumPy and sounds whose content is known."""

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extractors import audio
from extractors.errors import FeatureError
from extractors.grid import TR

COLUMN = {name: i for i, name in enumerate(audio.AUDIO_NAMES)}


def seconds(duration):
    return np.arange(int(duration * audio.RATE)) / audio.RATE


def features(samples, n_trs):
    return audio.audio_features(np.asarray(samples, np.float32), n_trs)


def talking(duration, seed=0):
    """Speech-like sound: a buzz with moving pitch and formants, in syllables of about a quarter second."""
    rng = np.random.default_rng(seed)
    t = seconds(duration)
    pitch = 120 * 2 ** (0.3 * np.sin(2 * np.pi * 0.7 * t) + 0.1 * np.sin(2 * np.pi * 2.3 * t))
    buzz = sum(np.sin(2 * np.pi * n * np.cumsum(pitch) / audio.RATE) / n for n in range(1, 25))
    knots = np.arange(0, duration + 0.25, 0.125)
    syllables = np.interp(t, knots, rng.uniform(0.5, 1, len(knots)))
    return 0.2 * buzz * syllables * np.clip(np.sin(2 * np.pi * 4 * t), 0, 1)


def chord(duration):
    """Music-like sound: three held notes."""
    t = seconds(duration)
    return 0.2 * sum(np.sin(2 * np.pi * f * t) for f in (220, 277, 330))


def test_every_column_has_its_own_name():
    assert len(set(audio.AUDIO_NAMES)) == audio.AUDIO_DIM == len(audio.AUDIO_NAMES)


def test_mel_weights_are_those_of_librosa():
    oracle = librosa.filters.mel(sr=audio.RATE, n_fft=audio.N_FFT, n_mels=audio.MELS, fmin=audio.LOWEST_HZ, norm=None)
    np.testing.assert_allclose(audio.mel_weights(), oracle.T, atol=1e-5)


def test_mel_columns_are_the_means_of_librosas_log_mel_spectrum_per_tr():
    rng = np.random.default_rng(0)
    samples = talking(12) + 0.01 * rng.normal(size=12 * audio.RATE)
    n_trs = 8
    frames = {"sr": audio.RATE, "n_fft": audio.N_FFT, "hop_length": audio.HOP, "center": True, "pad_mode": "constant"}
    power = librosa.feature.melspectrogram(y=samples, n_mels=audio.MELS, fmin=audio.LOWEST_HZ, norm=None, **frames)
    level = (librosa.power_to_db(power / (audio.N_FFT / 4) ** 2, amin=1e-8, top_db=None) + 80) / 20
    times = np.arange(level.shape[1]) / 100
    rows = features(samples, n_trs)
    for k in range(n_trs):
        inside = (times >= k * TR) & (times < (k + 1) * TR)
        ours = rows[k]
        np.testing.assert_allclose(ours[: audio.MELS], level[:, inside].mean(1), atol=2e-3)
        np.testing.assert_allclose(ours[[COLUMN[f"mel{i:02d}.sd"] for i in range(audio.MELS)]], level[:, inside].std(1), atol=2e-3)


def test_centroid_follows_librosas_spectral_centroid():
    low, high = (features(0.3 * np.sin(2 * np.pi * f * seconds(6)), 3)[1, COLUMN["centroid.mean"]] for f in (500, 2000))
    assert low == pytest.approx(-1, abs=0.05)
    assert high == pytest.approx(1, abs=0.05)


def test_level_counts_decibels_from_full_scale():
    for gain, expected in ((1.0, 4), (0.1, 3), (0.01, 2)):
        row = features(gain * np.sin(2 * np.pi * 1000 * seconds(6)), 3)[1]
        assert row[COLUMN["level.mean"]] == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("frequency", [150, 600, 3000])
def test_a_tone_is_loudest_in_the_mel_band_that_holds_it(frequency):
    row = features(0.3 * np.sin(2 * np.pi * frequency * seconds(6)), 3)[1]
    edges = librosa.mel_frequencies(n_mels=audio.MELS + 2, fmin=audio.LOWEST_HZ, fmax=audio.RATE / 2)
    assert row[: audio.MELS].argmax() == np.abs(edges[1:-1] - frequency).argmin()


def test_pitch_of_a_voice_is_found():
    t = seconds(6)
    for f0 in (100, 200, 300):
        buzz = 0.1 * sum(np.sin(2 * np.pi * n * f0 * t) for n in range(1, 12))
        row = features(buzz, 3)[1]
        assert row[COLUMN["voiced.share"]] > 0.95
        assert row[COLUMN["pitch.mean"]] == pytest.approx(np.log2(f0 / 150), abs=0.05)


def test_noise_is_flat_and_unvoiced_and_a_tone_is_not():
    rng = np.random.default_rng(0)
    noise = features(0.1 * rng.normal(size=6 * audio.RATE), 3)[1]
    tone = features(0.1 * np.sin(2 * np.pi * 200 * seconds(6)), 3)[1]
    assert noise[COLUMN["flatness.mean"]] > 0.4 > 0.05 > tone[COLUMN["flatness.mean"]]
    assert noise[COLUMN["voiced.share"]] < 0.05 < 0.95 < tone[COLUMN["voiced.share"]]


@pytest.mark.parametrize(("rate", "band"), [(1.4, "1to2hz"), (3, "2to4hz"), (6, "4to8hz"), (12, "8to16hz")])
def test_rhythm_columns_name_the_rate_at_which_a_sound_swells(rate, band):
    t = seconds(9)
    row = features(0.3 * np.sin(2 * np.pi * 500 * t) * (0.5 + 0.5 * np.sin(2 * np.pi * rate * t)), 6)[3]
    rhythm = {name: row[i] for name, i in COLUMN.items() if name.startswith("rhythm.all")}
    assert max(rhythm, key=rhythm.get) == f"rhythm.all.{band}"


def test_speech_and_music_differ_without_any_words():
    speech, music = features(talking(12), 8)[2:6].mean(0), features(chord(12), 8)[2:6].mean(0)
    for name, ratio in (("rhythm.all.4to8hz", 5), ("onset.strength", 3), ("level.sd", 3)):
        assert speech[COLUMN[name]] > ratio * music[COLUMN[name]]
    assert speech[COLUMN["steadiness.mean"]] < 0.8 * music[COLUMN["steadiness.mean"]]


def test_onsets_are_counted_in_the_tr_in_which_they_sound():
    samples = np.zeros(int(9 * audio.RATE))
    t = seconds(0.4)
    for onset in (3.2, 3.7, 4.2):  # all in row 2
        samples[int(onset * audio.RATE) :][: len(t)] += np.sin(2 * np.pi * 700 * t) * np.exp(-t * 25)
    features_ = features(samples, 6)
    assert features_[:, COLUMN["onset.rate"]].argmax() == 2
    assert np.expm1(features_[2, COLUMN["onset.rate"]]) * TR == pytest.approx(3, abs=0.1)


def test_digital_silence_gives_constant_rows():
    silent = features(np.zeros(15 * audio.RATE), 10)
    expected = np.zeros(audio.AUDIO_DIM)
    expected[COLUMN["silence.share"]] = 1
    np.testing.assert_allclose(silent, np.broadcast_to(expected, silent.shape), atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(n_trs=st.integers(0, 8), coverage=st.floats(0, 1.5), gain=st.sampled_from([0, 1e-5, 0.1, 1, 100]), seed=st.integers(0, 99))
def test_there_are_always_n_trs_finite_rows(n_trs, coverage, gain, seed):
    rng = np.random.default_rng(seed)
    out = features(gain * rng.normal(size=int(n_trs * TR * audio.RATE * coverage)), n_trs)
    assert out.shape == (n_trs, audio.AUDIO_DIM)
    assert out.dtype == np.float32
    assert np.isfinite(out).all()
    assert np.abs(out).max(initial=0) < 15


def test_broken_samples_do_not_break_the_rows():
    samples = talking(6)
    samples[100:200] = np.nan
    samples[300] = np.inf
    assert np.isfinite(features(samples, 4)).all()


def test_blocks_leave_no_trace_in_the_result():
    samples = talking(40, seed=3)
    whole = features(samples, 26)
    usual = audio._BLOCK
    try:
        audio._BLOCK = 333
        np.testing.assert_allclose(features(samples, 26), whole, atol=1e-4)
    finally:
        audio._BLOCK = usual


def test_a_memory_map_gives_what_an_array_gives(tmp_path):
    samples = talking(8).astype(np.float32)
    np.save(tmp_path / "samples.npy", samples)
    mapped = np.load(tmp_path / "samples.npy", mmap_mode="r")
    np.testing.assert_array_equal(audio.audio_features(mapped, 5), audio.audio_features(samples, 5))


def test_progress_is_told_and_what_it_raises_stops_the_work():
    told = []

    def stop_at_half(share):
        told.append(share)
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        audio.audio_features(np.zeros(100 * audio.RATE, np.float32), 67, on_progress=stop_at_half)
    assert told == sorted(told)
    assert len(told) == 4


def test_stereo_is_refused_by_name():
    with pytest.raises(FeatureError) as error:
        audio.audio_features(np.zeros((100, 2), np.float32), 1)
    assert error.value.code == "bad_samples"
