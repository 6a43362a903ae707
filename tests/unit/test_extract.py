"""The three streams of real films, and what of them is computed, kept and stopped."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extractors import audio, classical, extract, features, text, video
from extractors.align import align_stages
from extractors.cache import FeatureCache
from extractors.classical import CLASSICAL
from extractors.clip import Clip
from extractors.errors import FeatureError, MediaError
from extractors.grid import TR, n_trs, tr_of
from extractors.media import admit
from extractors.speech import transcribe
from extractors.stages import Stage, last
from extractors.tr_table import table_from_words
from extractors.transcript import Transcript, Word
from settings import ROOT, Settings
from tests.films import flashing, sound, write_film

BIG = 10**9
FLASH_S = 6.0
DIMS = {"audio": audio.AUDIO_DIM, "text": text.TEXT_DIM, "video": video.VIDEO_DIM}


def spoken(count, *, sentence="once upon a time there was a little boy", source="test"):
    words = [Word(word, 2.0 + 0.4 * i, 0.3) for i, word in enumerate(sentence.split())]
    return table_from_words([word for word in words if tr_of(word.offset) < count], count, source=source, timing="given")


def wordless(count):
    empty = ((),) * count
    return Transcript(("",) * count, empty, empty, empty)


def bare_clip(folder: Path, duration: float, *, picture=True, samples=True) -> Clip:
    """A clip as the gate would leave it, without the gate: one flash at 6 s and a tone."""
    path = folder / "film.mp4"
    if picture:
        write_film(path, duration, fps=12, size=(96, 54), audio=None, picture=flashing(FLASH_S))
    if samples:
        np.save(folder / "samples.npy", sound("tone", duration, 16_000))
    keys = ("picture of " + folder.name if picture else None, "sound of " + folder.name if samples else None)
    size = (96, 54) if picture else (0, 0)
    fps = 12.0 if picture else None
    return Clip(path, folder / "samples.npy" if samples else None, "sha", *keys, "film.mp4", duration, n_trs(duration), fps, *size)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return bare_clip(tmp_path_factory.mktemp("film"), 15.2)


@pytest.fixture(scope="module")
def long_film(tmp_path_factory):
    return bare_clip(tmp_path_factory.mktemp("long"), 400)


@pytest.fixture
def pictures_looked_at(monkeypatch):
    """How many frames each film that was decoded gave; counts the real thing."""
    counts = []
    real = classical.iter_frames

    def counting(*args, **kwargs):
        counts.append(0)
        frames = real(*args, **kwargs)
        try:
            for frame in frames:
                counts[-1] += 1
                yield frame
        finally:
            frames.close()

    monkeypatch.setattr(classical, "iter_frames", counting)
    return counts


def test_all_streams_have_their_rows_names_and_stages(film):
    items = list(extract.extract(film, spoken(film.n_trs)))
    result = items[-1]
    assert set(result) == set(features.STREAMS)
    for stream, array in result.items():
        assert array.shape == (film.n_trs, DIMS[stream])
        assert array.dtype == np.float32
        assert array.any()
    assert result.present == {"audio": True, "text": True, "video": True}
    assert result.extractors == {"audio": "classical-audio-1", "text": "classical-text-1", "video": "classical-video-1"}
    assert result.window_s == text.WINDOW_S
    assert (result.from_cache, result.warnings) == (frozenset(), ())
    stages = items[:-1]
    assert {stage.name for stage in stages if stage.finished} == set(features.STREAMS)
    for name in features.STREAMS:
        done = [stage.done for stage in stages if stage.name == name]
        assert done == sorted(done)


def test_streams_hold_what_the_film_holds(film):
    result = last(extract.extract(film, spoken(film.n_trs)))
    rise = result["video"][:, video.VIDEO_NAMES.index("luminance.rise")]
    assert rise.argmax() == tr_of(FLASH_S)
    samples = np.load(film.samples_path)
    np.testing.assert_array_equal(result["audio"], audio.audio_features(samples, film.n_trs))
    np.testing.assert_array_equal(result["text"], text.text_features(spoken(film.n_trs)))


@pytest.mark.parametrize("duration", [10 * TR - 0.01, 10 * TR, 10 * TR + 0.01, 11 * TR - 1 / 12])
def test_rows_equal_n_trs_around_multiples_of_the_tr(tmp_path, duration):
    clip = bare_clip(tmp_path, duration)
    result = last(extract.extract(clip, spoken(clip.n_trs)))
    assert {array.shape[0] for array in result.values()} == {int(duration / TR + 1e-6)}


@settings(max_examples=12, deadline=None)
@given(count=st.integers(1, 40), excess=st.sampled_from([0.0, 1e-7, 1e-3, 0.7, 1.4899]), less=st.floats(0, 2))
def test_rows_equal_n_trs_for_sound_and_words_of_any_length(tmp_path_factory, count, excess, less):
    duration = count * TR + excess
    folder = tmp_path_factory.mktemp("sound")
    np.save(folder / "samples.npy", sound("noise", max(duration - less, 0), 16_000))
    clip = Clip(Path("none"), folder / "samples.npy", "sha", None, "sound", "a.wav", duration, n_trs(duration), None, 0, 0)
    result = last(extract.extract(clip, spoken(clip.n_trs)))
    assert {array.shape for array in result.values()} == {(count, dim) for dim in DIMS.values()}
    assert all(np.isfinite(array).all() for array in result.values())


def test_a_film_of_uneven_frame_rate_whose_picture_begins_late_is_placed_in_film_time(tmp_path):
    rng = np.random.default_rng(2)
    times = np.cumsum(rng.uniform(0.01, 0.08, 420))
    times = [float(t) for t in times if t < 16]
    flash, late = 6.3, 1.2
    path = write_film(
        tmp_path / "uneven.mp4",
        16,
        size=(160, 90),
        picture=flashing(flash),
        vfr=times,
        video_start=late,
        audio="beep",
        beep_at=8.0,
    )
    clip = last(admit(path, settings=Settings(cache_dir=tmp_path / "cache")))
    result = last(extract.extract(clip, spoken(clip.n_trs)))
    assert {array.shape[0] for array in result.values()} == {clip.n_trs}
    assert result["video"][:, video.VIDEO_NAMES.index("luminance.rise")].argmax() == tr_of(flash + late)
    assert result["audio"][:, audio.AUDIO_NAMES.index("level.peak")].argmax() == tr_of(8.0)


def test_absent_tracks_are_zeros_and_said_to_be_absent(tmp_path):
    clip = bare_clip(tmp_path, 15, samples=False)
    result = last(extract.extract(clip, wordless(clip.n_trs)))
    assert result.present == {"audio": False, "text": False, "video": True}
    assert not result["audio"].any()
    assert not result["text"].any()
    assert result.window_s == video.WINDOW_S

    nothing = dataclasses.replace(clip, video_key=None)
    result = last(extract.extract(nothing, wordless(clip.n_trs)))
    assert not any(result.present.values())
    assert {array.shape for array in result.values()} == {(clip.n_trs, dim) for dim in DIMS.values()}
    assert result.window_s == 0


def test_silence_between_words_is_information_and_no_absent_stream(film):
    result = last(extract.extract(film, dataclasses.replace(wordless(film.n_trs), source="pocketsphinx en-us")))
    assert result.present["text"]


def test_a_transcript_of_another_length_is_refused(film):
    with pytest.raises(FeatureError, match="9 TRs") as error:
        next(extract.extract(film, spoken(9)))
    assert error.value.code == "rows_differ"


def test_the_second_run_computes_nothing(film, tmp_path, pictures_looked_at):
    cache = FeatureCache(tmp_path, BIG)
    first = last(extract.extract(film, spoken(film.n_trs), cache=cache))
    assert pictures_looked_at
    assert pictures_looked_at[0] > 100
    again = list(extract.extract(film, spoken(film.n_trs), cache=cache))
    assert len(pictures_looked_at) == 1
    assert again[-1].from_cache == set(features.STREAMS)
    assert {stage.name for stage in again[:-1] if stage.finished} == set(features.STREAMS)
    for stream in features.STREAMS:
        np.testing.assert_array_equal(again[-1][stream], first[stream])


def test_changing_a_word_or_muting_computes_no_picture(film, tmp_path, pictures_looked_at):
    cache = FeatureCache(tmp_path, BIG)
    before = last(extract.extract(film, spoken(film.n_trs), cache=cache))
    words = spoken(film.n_trs, sentence="once upon a time there was a purple boy")
    edited = last(extract.extract(film, words, cache=cache))
    assert edited.from_cache == {"audio", "video"}
    assert not np.array_equal(edited["text"], before["text"])
    muted = dataclasses.replace(film, audio_key=None, samples_path=None)
    assert last(extract.extract(muted, wordless(film.n_trs), cache=cache)).from_cache == {"video"}
    other_sound = dataclasses.replace(film, audio_key="another sound")
    assert last(extract.extract(other_sound, words, cache=cache)).from_cache == {"text", "video"}
    assert len(pictures_looked_at) == 1


def test_punctuation_and_the_name_of_the_recogniser_do_not_change_the_words(film):
    plain = CLASSICAL.keys_of(film, spoken(film.n_trs))
    dressed = CLASSICAL.keys_of(film, spoken(film.n_trs, sentence="Once upon a time, there was a little boy.", source="file talk.srt"))
    assert plain == dressed
    later = [Word(word.text, word.onset + 0.01, word.duration) for word in spoken(film.n_trs).words]
    assert plain["text"] != CLASSICAL.keys_of(film, table_from_words(later, film.n_trs, source="test", timing="given"))["text"]


@pytest.mark.parametrize("stream", features.STREAMS)
def test_a_new_version_or_other_parameters_of_an_extractor_are_a_miss_for_its_stream_only(film, tmp_path, monkeypatch, stream):
    cache = FeatureCache(tmp_path, BIG)
    last(extract.extract(film, spoken(film.n_trs), cache=cache))
    module = {"audio": audio, "text": text, "video": video}[stream]
    monkeypatch.setattr(module, "EXTRACTOR_ID", module.EXTRACTOR_ID + "b")
    result = last(extract.extract(film, spoken(film.n_trs), cache=cache))
    assert result.from_cache == set(features.STREAMS) - {stream}
    assert result.extractors[stream].endswith("1b")
    monkeypatch.setattr(module, "PARAMETERS", {**module.PARAMETERS, "other": 1})
    assert CLASSICAL.keys_of(film, spoken(film.n_trs))[stream] not in {path.stem for path in tmp_path.rglob("*.json")}


def test_the_number_of_trs_is_part_of_every_key(film):
    shorter = dataclasses.replace(film, n_trs=film.n_trs - 1)
    ours, theirs = CLASSICAL.keys_of(film, spoken(film.n_trs)), CLASSICAL.keys_of(shorter, spoken(film.n_trs - 1))
    assert not set(ours.values()) & set(theirs.values())


def test_the_settings_name_the_cache_and_without_them_nothing_is_kept(film, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    last(extract.extract(film, spoken(film.n_trs)))
    assert not (tmp_path / "home").exists()
    there = Settings(cache_dir=tmp_path / "here")
    last(extract.extract(film, spoken(film.n_trs), settings=there))
    assert last(extract.extract(film, spoken(film.n_trs), settings=there)).from_cache == set(features.STREAMS)


RUN = """
import resource, sys, time
from pathlib import Path
from extractors.cache import FeatureCache
from extractors.clip import Clip
from extractors.extract import extract
from extractors.grid import n_trs
from extractors.tr_table import table_from_words
from extractors.transcript import Word
clip = Clip(Path(sys.argv[1]), Path(sys.argv[2]), "sha", "v", "a", "film.mp4", 15.2, n_trs(15.2), 12.0, 96, 54)
words = table_from_words([Word("hello", 2.0, 0.3)], clip.n_trs, source="test", timing="given")
job = extract(clip, words, cache=FeatureCache(sys.argv[3], 10**9))
"""


def run_in_another_process(code, film, cache_folder, **kwargs):
    command = [sys.executable, "-c", RUN + code, str(film.path), str(film.samples_path), str(cache_folder)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs)


def test_a_full_disk_lets_the_run_go_on_with_a_warning(film, tmp_path):
    process = run_in_another_process(
        """
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
result = list(job)[-1]
print(len(result.warnings), result.warnings[0], all(array.any() for array in result.values()))
""",
        film,
        tmp_path,
    )
    out, problems = process.communicate(timeout=60)
    assert process.returncode == 0, problems
    assert out.startswith("1 The disk is full")
    assert out.strip().endswith("True")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["writing.lock"]


def test_a_killed_run_goes_on_from_the_streams_it_had_finished(film, tmp_path, pictures_looked_at):
    process = run_in_another_process(
        """
for item in job:
    if item.name == "video" and item.finished:
        break
print("picture done", flush=True)
time.sleep(60)
""",
        film,
        tmp_path,
    )
    assert process.stdout.readline() == "picture done\n", process.stderr.read()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not list(tmp_path.rglob("*.tmp"))
    same = dataclasses.replace(film, video_key="v", audio_key="a")
    result = last(extract.extract(same, spoken(film.n_trs), cache=FeatureCache(tmp_path, BIG)))
    assert "video" in result.from_cache
    assert not pictures_looked_at


@pytest.mark.parametrize("when", ["at once", "while the picture is decoded"])
def test_stop_ends_the_work_and_its_processes_within_two_seconds(long_film, when):
    job = extract.extract(long_film, spoken(long_film.n_trs))
    stage = next(job)
    while when != "at once" and not (stage.name == "video" and stage.done > 0):
        stage = next(job)
    assert isinstance(stage, Stage)
    start = time.monotonic()
    job.close()
    assert time.monotonic() - start < 2
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("streams")]
    if os.path.exists("/proc/self/task"):
        assert not children_with(b"frames_worker")


def children_with(word: bytes) -> list[int]:
    children = "".join(path.read_text() for path in Path("/proc/self/task").glob("*/children")).split()
    return [int(child) for child in children if word in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for the decoder through /proc")
def test_a_decoder_that_says_nothing_silences_neither_progress_nor_stop(long_film):
    job = extract.extract(long_film, dataclasses.replace(spoken(long_film.n_trs), source="none"))
    stage = next(job)
    while not (stage.name == "video" and stage.done > 0):
        stage = next(job)
    (decoder,) = children_with(b"frames_worker")
    os.kill(decoder, signal.SIGSTOP)
    began = before = time.monotonic()
    while time.monotonic() < began + 2:
        next(job)
        assert time.monotonic() - before < 1
        before = time.monotonic()
    job.close()
    assert time.monotonic() - before < 2
    assert not children_with(b"frames_worker")


def test_numbers_that_are_not_finite_are_refused_and_never_kept(film, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(text, "text_features", lambda transcript: np.full((transcript.n_trs, text.TEXT_DIM), np.nan, np.float32))
        with pytest.raises(FeatureError, match=r"text extractor .* not finite") as caught:
            last(extract.extract(film, spoken(film.n_trs), cache=FeatureCache(tmp_path, BIG)))
    assert caught.value.code == "not_finite"
    assert np.isfinite(last(extract.extract(film, spoken(film.n_trs), cache=FeatureCache(tmp_path, BIG)))["text"]).all()


def test_streams_that_are_ready_are_taken_only_where_they_are_of_the_same_content(film, pictures_looked_at):
    before = last(extract.extract(film, dataclasses.replace(wordless(film.n_trs), source="none")))
    told = []
    after = last(extract.extract(film, spoken(film.n_trs), ready=before), told.append)
    assert {stage.name for stage in told} == {"text"}
    assert after["video"] is before["video"]
    assert after["text"].any()
    assert after.from_cache == frozenset()
    other = dataclasses.replace(film, video_key="another picture")
    assert last(extract.extract(other, spoken(film.n_trs), ready=after))["video"] is not before["video"]
    assert len(pictures_looked_at) == 2


def test_a_film_that_cannot_be_decoded_is_an_error_of_ours_and_stops_the_thread_too(tmp_path):
    clip = bare_clip(tmp_path, 15)
    clip.path.write_bytes(b"no film at all")
    with pytest.raises((FeatureError, ValueError)) as error:
        last(extract.extract(clip, spoken(clip.n_trs)))
    assert error.value.code in ("decode_failed", "no_frames")
    assert str(tmp_path) not in str(error.value)


@pytest.mark.parametrize("picture", [False, True])
def test_a_film_that_was_deleted_meanwhile_is_an_error_of_ours_that_says_so(tmp_path, picture):
    clip = bare_clip(tmp_path, 15, picture=picture, samples=not picture)
    (clip.path if picture else clip.samples_path).unlink()
    jobs = [extract.extract(clip, spoken(clip.n_trs))]
    if not picture:
        jobs += [transcribe(clip, recogniser="sphinx", settings=Settings(cache_dir=tmp_path / "cache")), align_stages("hello there", clip)]
    for job in jobs:
        with pytest.raises(MediaError, match="no longer on this machine") as error:
            last(job)
        assert error.value.code == "clip_gone"
        assert str(tmp_path) not in str(error.value)
