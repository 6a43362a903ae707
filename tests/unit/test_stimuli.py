from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from PIL import Image

from encoder.atlas import load_atlas
from experiments.predict import predict
from experiments.results import load_result, save_result
from extractors.frames import iter_frames
from extractors.grid import TR
from extractors.sound import SAMPLE_RATE
from extractors.stages import Stage, last
from extractors.stimuli import SOURCE, STIMULI, StimulusError, make_stimulus, parse_stimulus
from extractors.stimuli_worker import samples_of
from settings import Settings
from ui.shown import of_run

RED, BLUE = (200, 30, 40), (20, 60, 220)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings(cache_dir=tmp_path_factory.mktemp("cache"), canonical_height=180)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A red picture of 16:9 and a blue one that stands upright."""
    home = tmp_path_factory.mktemp("pictures")
    Image.new("RGB", (160, 90), RED).save(home / "red.png")
    Image.new("RGB", (120, 240), BLUE).save(home / "blue.webp", lossless=True)
    return home / "red.png", home / "blue.webp"


def sounded(**values):
    return samples_of({"start": 0, "level": -20, "seconds": 4, **values})


@pytest.mark.parametrize("name", sorted(STIMULI))
def test_canonical_text_reads_back_with_all_defaults(name):
    stimulus = parse_stimulus(name.upper())
    assert parse_stimulus(stimulus.text) == stimulus
    assert stimulus.says.startswith("Made here: ")
    assert {key for key, _ in stimulus.values} == {param.name for param in stimulus.kind.params if param.default is not None}


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("", "one_stimulus"),
        ("tone; noise", "one_stimulus"),
        ("tune", "unknown_edit"),
        ("tone hz=20", "out_of_range"),
        ("noise colour=brown", "unknown_value"),
        ("tone hz=440 loud=1", "unknown_parameter"),
    ],
)
def test_a_statement_that_makes_nothing_is_refused(written, code):
    with pytest.raises(StimulusError) as caught:
        parse_stimulus(written)
    assert caught.value.code == code
    assert caught.value.hint


@budget(max_examples=25)
@given(hz=st.floats(100, 7000), level=st.floats(-50, -6))
def test_a_tone_has_its_frequency_and_level(hz, level):
    samples = sounded(name="tone", hz=hz, level=level)
    middle = samples[SAMPLE_RATE : 3 * SAMPLE_RATE].astype(float)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert abs(np.fft.rfftfreq(len(middle), 1 / SAMPLE_RATE)[spectrum.argmax()] - hz) <= 0.5
    assert 20 * np.log10(np.sqrt(np.mean(middle**2))) == pytest.approx(level, abs=0.1)


def test_white_noise_has_equal_power_in_equal_bands_and_pink_noise_in_octaves():
    def power(samples, low, high):
        spectrum = np.abs(np.fft.rfft(samples)) ** 2
        frequencies = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
        return spectrum[(frequencies >= low) & (frequencies < high)].sum()

    white, pink = (sounded(name="noise", seed=3, colour=colour, seconds=20) for colour in ("white", "pink"))
    assert power(white, 1000, 2000) / power(white, 5000, 6000) == pytest.approx(1, rel=0.05)
    assert power(pink, 250, 500) / power(pink, 2000, 4000) == pytest.approx(1, rel=0.1)
    assert power(white, 2000, 4000) / power(white, 250, 500) == pytest.approx(8, rel=0.1)


def test_a_sound_comes_after_its_silence_without_a_click_and_its_seed_decides_it():
    samples = sounded(name="noise", seed=1, colour="white", start=2)
    assert len(samples) == 6 * SAMPLE_RATE
    assert not samples[: 2 * SAMPLE_RATE].any()
    assert abs(samples[2 * SAMPLE_RATE]) < 1e-3
    np.testing.assert_array_equal(samples, sounded(name="noise", seed=1, colour="white", start=2))
    assert (samples != sounded(name="noise", seed=2, colour="white", start=2)).any()


@budget(max_examples=30)
@given(words=st.lists(st.text("abcdefg'", min_size=1, max_size=9).filter(lambda w: w.strip("'")), min_size=1, max_size=60), rate=st.integers(30, 400))
def test_words_come_at_their_rate_one_behind_the_other_and_leave_room_for_the_response(words, rate):
    clip, transcript = last(make_stimulus(f"say rate={rate} start=3", words=" ".join(words), settings=Settings()))
    said = transcript.words
    assert [word.text for word in said] == words
    assert said[0].onset == pytest.approx(3)
    assert said[-1].offset == pytest.approx(3 + len(words) * 60 / rate)
    np.testing.assert_allclose([a.offset for a in said[:-1]], [b.onset for b in said[1:]])
    assert clip.n_trs == transcript.n_trs >= 10
    assert clip.duration >= said[-1].offset + 10 + 5 * TR - 1e-6
    assert not clip.has_film


@pytest.mark.parametrize(
    ("written", "words", "code"),
    [
        ("say", None, "no_words"),
        ('say text="?!"', None, "no_words"),
        ("say", "a " * 12_000, "too_long"),
        ("say rate=30", "word " * 600, "too_long"),
    ],
)
def test_too_little_and_too_much_to_say_are_refused(written, words, code):
    with pytest.raises(StimulusError) as caught:
        last(make_stimulus(written, words=words, settings=Settings()))
    assert caught.value.code == code


def test_a_still_picture_stands_after_black_in_every_frame(settings, pictures):
    told = []
    clip, transcript = last(make_stimulus("still start=5 seconds=12", pictures=pictures[:1], settings=settings), told.append)
    assert all(isinstance(stage, Stage) for stage in told)
    assert {stage.name for stage in told} == {"make", "gate"}
    frames = dict(iter_frames(clip, fps=2, size=(16, 9)))
    colours = np.array([frame.reshape(-1, 3).mean(0) for time, frame in sorted(frames.items())])
    assert (colours[:10] < 4).all()
    np.testing.assert_allclose(colours[10:], np.tile(RED, (24, 1)), atol=5)
    assert (clip.has_video, clip.has_audio, transcript.source) == (True, False, "none")
    assert (clip.width, clip.height, clip.duration) == (160, 90, pytest.approx(17))
    assert clip.notices[-1] == "Made here: a still picture from 5 s for 12 s, black before, without sound."


def test_two_pictures_take_turns_and_the_second_stands_whole_inside_the_frame_of_the_first(settings, pictures):
    clip, _ = last(make_stimulus("alternate seconds=16 each=4", pictures=pictures, settings=settings))
    frames = [frame for _, frame in iter_frames(clip, fps=1, size=(160, 90))]
    for k, frame in enumerate(frames):
        np.testing.assert_allclose(frame[45, 80], BLUE if k // 4 % 2 else RED, atol=6)
    assert (frames[4][45, :50] < 16).all()
    assert (frames[4][[3, 86], 80, 2] > 200).all()


@pytest.mark.parametrize(("written", "count"), [("still", 0), ("still picture=2", 1), ("alternate", 1), ("alternate", 3)])
def test_a_wrong_number_of_pictures_is_refused(settings, pictures, written, count):
    with pytest.raises(StimulusError) as caught:
        last(make_stimulus(written, pictures=(pictures * 2)[:count], settings=settings))
    assert caught.value.code == "picture_missing"
    assert f"got {count}" in caught.value.message


def test_the_same_statement_makes_the_same_clip_and_nothing_is_left_lying_about(settings):
    first, again = (last(make_stimulus("noise seconds=15 start=0", settings=settings))[0] for _ in range(2))
    assert first == again
    assert not list((settings.cache_dir / "clips").glob(".work-*"))


def test_a_stimulus_that_is_stopped_leaves_nothing(settings):
    job = make_stimulus("noise seconds=600 seed=9", settings=settings)
    next(job)
    next(job)
    job.close()
    assert not list((settings.cache_dir / "clips").glob(".work-*"))


@pytest.fixture(scope="module")
def spoken(settings):
    """Words only through the embedded model."""
    text = "the old man said that nobody came home and the young woman went away with the dog before the night was over"
    clip, transcript = last(make_stimulus(f'say text="{text}" rate=150', settings=settings))
    return last(predict(clip, transcript=transcript, model="vibe-sim", settings=settings))


def test_words_without_sound_or_picture_move_language_parcels_and_no_others(spoken):
    responses = spoken.responses
    assert responses.present == {"audio": False, "text": True, "video": False}
    spread = {name: responses.values[:, responses.valid][..., load_atlas().mask(name)].std(1).mean() for name in ("LanguageTemporal", "Vis")}
    assert spread["LanguageTemporal"] > 4 * spread["Vis"]
    assert any("never the sound and picture together" in warning for warning in responses.warnings)
    assert "words at 150 a minute" in responses.extra["notices"][0]


def test_a_result_without_a_film_is_saved_loaded_and_shown(tmp_path, spoken):
    (tmp_path / "film.mp4").write_bytes(b"of another result")
    loaded = load_result(save_result(spoken, tmp_path, film=True))
    assert not (tmp_path / "film.mp4").exists()
    np.testing.assert_array_equal(loaded.responses.values, spoken.responses.values)
    assert loaded.transcript == spoken.transcript
    assert not loaded.clip.has_film
    payload = of_run("token", loaded, title="Words", card=None).payload
    assert payload["media"] == {"url": None, "kind": "none", "has_sound": False}
    assert len(payload["words"]) == spoken.transcript.n_words
    assert payload["transcript_note"] == f"Words and times from {SOURCE}."


def test_a_tone_is_heard_with_the_words_known_to_be_none(settings):
    clip, transcript = last(make_stimulus("tone start=10 seconds=10", settings=settings))
    result = last(predict(clip, transcript=transcript, model="vibe-sim", settings=settings))
    assert result.responses.present == {"audio": True, "text": True, "video": False}
    assert transcript.n_words == 0
    heard = result.responses.network_mean("Auditory").mean(0)
    assert heard[6 + 4] - heard[5] > 0.3
    assert "Training" not in " ".join(result.responses.warnings)
    assert of_run("token", result, title="Tone", card=None).payload["media"]["kind"] == "audio"
