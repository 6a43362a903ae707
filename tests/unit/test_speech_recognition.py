"""Speech: nothing is heard where nobody speaks, most words are heard where somebody does, and a run can be stopped."""

import itertools
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from speech_material import RATE, SENTENCES, clip_of, gradio_sound, speeds, two_sentences, word_error_rate

from extractors.align import align_stages, align_text
from extractors.errors import SpeechError
from extractors.grid import TR
from extractors.speech import available, transcribe
from extractors.speech_workers import split_long
from extractors.stages import Stage, last
from extractors.vad import Span, find_speech
from settings import Settings


@pytest.fixture(scope="module")
def spoken():
    return two_sentences()


@pytest.fixture
def options(tmp_path):
    return Settings(cache_dir=tmp_path / "cache", recogniser="sphinx", whisper_model=str(tmp_path / "no" / "weights" / "here"))


def spans_of(samples) -> list[Span]:
    return last(find_speech(samples))


def written(words) -> list[str]:
    return [word.lower().strip(".,") for word in words]


def not_speech() -> dict[str, np.ndarray]:
    time_s = np.arange(RATE * 12) / RATE
    random = np.random.default_rng(3)
    return {
        "digital silence": np.zeros(RATE * 12),
        "a pure tone": 0.3 * np.sin(2 * np.pi * 440 * time_s),
        "a low tone": 0.3 * np.sin(2 * np.pi * 130 * time_s),
        "white noise": 0.2 * random.standard_normal(RATE * 12),
        "faint noise": 0.001 * random.standard_normal(RATE * 12),
        "solo saxophone": gradio_sound("sax.wav"),
        "a band": gradio_sound("cantina.wav"),
        "an empty track": np.zeros(0),
        "one sample": np.ones(1),
    }


@pytest.mark.parametrize("name", list(not_speech()))
@pytest.mark.parametrize("gain", [1.0, 0.05])
def test_where_nobody_speaks_there_are_no_words_at_all(name, gain, tmp_path, options):
    transcript = last(transcribe(clip_of(not_speech()[name] * gain, tmp_path), settings=options))
    assert transcript.n_words == 0
    assert transcript.source == "pocketsphinx en-us"
    assert transcript.notices == ("No speech was found in the sound, so there are no words.",)


def test_a_saxophone_at_any_speed_is_not_taken_for_a_voice():
    assert not any(spans_of(sound) for sound in speeds(gradio_sound("sax.wav"), (0.5, 0.7, 0.85, 0.95, 1.1, 1.2, 1.4, 2)))


def test_the_detector_finds_both_sentences_and_little_else(spoken):
    samples, _ = spoken
    inside = np.zeros(len(samples), bool)
    for span in spans_of(samples):
        assert 0 <= span.start < span.end <= len(samples) / RATE
        inside[round(span.start * RATE) : round(span.end * RATE)] = True
    truth = np.zeros(len(samples), bool)
    for start, end in SENTENCES:
        truth[round(start * RATE) : round(end * RATE)] = True
    assert inside[truth].mean() > 0.9
    assert inside[~truth].mean() < 0.4  # 0.15 s of padding at four ends, and 2.5 s of silence in all


@pytest.mark.parametrize("name", ["cate_blanch.mp3", "cate_blanch_2.mp3", "heath_ledger.mp3"])
def test_people_are_found_also_quietly_and_with_music_behind_them(name):
    voice = gradio_sound(name)
    music = np.resize(gradio_sound("sax.wav"), len(voice))
    music *= np.sqrt(np.mean(voice**2) / np.mean(music**2)) * 10 ** (-10 / 20)
    for samples in (voice, voice * 0.01, voice + music):
        assert sum(span.duration for span in spans_of(samples)) > 0.5 * len(voice) / RATE


def test_pocketsphinx_gets_most_words_of_clear_speech_at_the_right_time(spoken, tmp_path, options):
    samples, sentences = spoken
    items = list(transcribe(clip_of(samples, tmp_path), settings=options))
    transcript = items[-1]
    assert all(isinstance(item, Stage) and item.name == "speech" for item in items[:-1])
    said = [written(sentence.split()) for sentence in sentences]
    heard = written(word.text for word in transcript.words)
    assert word_error_rate([word for sentence in said for word in sentence], heard) < 0.35  # measured 0.23
    for (start, end), words in zip(SENTENCES, said, strict=True):
        inside = [word.text for word in transcript.words if start - 0.2 <= word.onset and word.offset <= end + 0.2]
        assert len(set(inside) & set(words)) >= len(set(words)) // 2
    assert transcript.source == "pocketsphinx en-us"
    assert transcript.language == "en"
    assert transcript.timing == "recognised"
    assert any("English only" in notice and "many errors" in notice for notice in transcript.notices)


def test_the_same_sound_gives_the_same_words_with_one_child_or_three(spoken, tmp_path, options):
    clip = clip_of(np.concatenate([spoken[0], gradio_sound("heath_ledger.mp3")]), tmp_path)
    runs = [last(transcribe(clip, settings=options.model_copy(update={"speech_processes": n, "cache_dir": tmp_path / str(n)}))) for n in (1, 3)]
    assert runs[0] == runs[1]
    assert runs[0].n_words > 15


def test_a_second_run_reads_the_cache_and_a_broken_or_missing_cache_is_no_error(spoken, tmp_path, options):
    clip = clip_of(spoken[0][: 6 * RATE], tmp_path)
    first = last(transcribe(clip, settings=options))
    (kept,) = (options.cache_dir / "transcripts").iterdir()
    start = time.monotonic()
    assert last(transcribe(clip, settings=options)) == first
    assert time.monotonic() - start < 0.5
    marked = json.loads(kept.read_text())
    kept.write_text(json.dumps({**marked, "source": "from the cache"}))
    assert last(transcribe(clip, settings=options)).source == "from the cache"
    kept.write_text("{half a fi")
    assert last(transcribe(clip, settings=options)) == first
    assert json.loads(kept.read_text()) == marked
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert last(transcribe(clip, settings=options.model_copy(update={"cache_dir": blocked}))) == first


def children() -> set[int]:
    found = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=False).stdout
    return {int(line.split()[0]) for line in found.splitlines() if "extractors." in line}


@pytest.mark.skipif(sys.platform == "win32", reason="reads the process list with ps")
def test_stopping_kills_the_children_within_two_seconds_and_leaves_nothing_in_the_cache(spoken, tmp_path, options):
    job = transcribe(clip_of(np.tile(spoken[0], 8), tmp_path), settings=options)
    for stage in job:
        if "Recognising" in stage.message:
            break
    running = children()
    assert running
    start = time.monotonic()
    job.close()
    assert time.monotonic() - start < 2
    assert not running & children()
    assert not (options.cache_dir / "transcripts").exists()


def test_progress_is_told_at_least_once_a_second_and_only_grows(spoken, tmp_path, options):
    times, done = [time.monotonic()], []
    for item in transcribe(clip_of(spoken[0], tmp_path), settings=options):
        times.append(time.monotonic())
        if isinstance(item, Stage) and "Recognising" in item.message:
            done.append(item.done)
    assert max(np.diff(times)) < 1
    assert done == sorted(done)


def test_a_silent_film_and_a_run_without_words_have_an_empty_transcript_that_says_why(spoken, tmp_path, options):
    clip = clip_of(spoken[0], tmp_path)
    silent = last(transcribe(replace(clip, audio_key=None, samples_path=None), settings=options))
    without = last(transcribe(clip, recogniser="none", settings=options))
    for transcript in (silent, without):
        assert transcript.n_trs == clip.n_trs
        assert transcript.n_words == 0
        assert transcript.source == "none"
    assert "no sound" in silent.notices[0]
    assert "without words" in without.notices[0]


def test_a_recogniser_that_does_not_exist_is_refused_with_the_allowed_ones(spoken, tmp_path, options):
    with pytest.raises(SpeechError, match="auto, whisper, sphinx, none"):
        last(transcribe(clip_of(spoken[0], tmp_path), recogniser="siri", settings=options))


def test_what_is_available_is_described_in_words(options):
    found = available(options)
    assert found["auto"]["takes"] == "sphinx"
    assert found["sphinx"]["ready"]
    assert found["sphinx"]["language"] == "English only"
    assert not found["whisper"]["ready"]
    assert found["whisper"]["why_not"]


def test_long_speech_is_cut_at_quiet_places_and_nothing_is_lost():
    samples = np.ones(RATE * 30, np.float32)
    samples[10 * RATE : 10 * RATE + 1600] = 0
    pieces = split_long(samples, [Span(0, 30), Span(40, 41)], 12)
    assert pieces[0].end == pytest.approx(10.05, abs=0.06)
    assert all(piece.duration <= 12 for piece in pieces)
    assert [a.end for a in pieces[:-2]] == [b.start for b in pieces[1:-1]]
    assert pieces[-1] == Span(40, 41)


def test_pasted_text_is_aligned_to_the_sentence_it_belongs_to(spoken, tmp_path):
    samples, sentences = spoken
    transcript = align_text(" ".join(sentences).replace("window", "windowzzq"), clip_of(np.pad(samples, (0, 2 * RATE)), tmp_path))
    assert transcript.timing == "aligned"
    words = transcript.words
    assert [word.text for word in words] == " ".join(sentences).replace("window", "windowzzq").split()
    assert all(a.offset <= b.onset + 0.011 for a, b in itertools.pairwise(words))
    assert "1 of" in transcript.notices[0]
    count = len(sentences[0].split())
    for part, (start, end) in zip((words[:count], words[count:]), SENTENCES, strict=True):
        assert all(start - 0.1 <= word.onset and word.offset <= end + 0.1 for word in part)


@pytest.mark.parametrize("text", ["привет мир " * 6, "hello there " * 200])
def test_text_that_cannot_be_aligned_is_spread_over_the_speech_and_says_so(text, spoken, tmp_path):
    transcript = align_text(text, clip_of(np.pad(spoken[0], (0, 3 * RATE)), tmp_path))
    assert transcript.timing == "spread"
    assert "guess" in transcript.notices[0]
    assert transcript.n_words == len(text.split())
    assert transcript.words[0].onset >= SENTENCES[0][0] - 0.3
    assert transcript.words[-1].offset <= SENTENCES[-1][1] + 0.3


def test_text_for_a_clip_without_speech_is_spread_over_the_clip(tmp_path):
    transcript = align_text("one two three four", clip_of(np.zeros(RATE * 15), tmp_path))
    assert transcript.timing == "spread"
    assert transcript.words[-1].offset == pytest.approx(10 * TR, abs=0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="reads the process list with ps")
def test_stopping_an_alignment_kills_its_child(spoken, tmp_path):
    job = align_stages(" ".join(spoken[1]), clip_of(spoken[0], tmp_path))
    for stage in job:
        if "Aligning" in stage.message:
            break
    running = children()
    assert running
    job.close()
    assert not running & children()


def test_importing_speech_loads_no_recogniser():
    heavy = (
        "import sys, extractors.speech, extractors.align, extractors.formats\n"
        "print([name for name in ('torch', 'pocketsphinx', 'faster_whisper', 'pysubs2') if name in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", heavy], cwd=root, capture_output=True, text=True, check=True).stdout.strip() == "[]"
