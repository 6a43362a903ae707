"""Edits of real and drawn films, judged on decoded frames and samples."""

from __future__ import annotations

import os
import signal
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from extractors import edit_film
from extractors.clip import Clip
from extractors.edit_film import Edited, edit_clip
from extractors.edit_language import EDITS, EditError
from extractors.errors import MediaError
from extractors.gate_worker import audio_key, video_key
from extractors.media import admit
from extractors.stages import Stage, last
from extractors.tr_table import table_from_words
from extractors.transcript import Word
from settings import Settings
from tests.films import read_wav, write_film, write_wav

SPEECH = Path(__file__).parents[1] / "data" / "speech" / "two_sentences.ogg"
SECONDS = 6.2  # one sentence is said in it, and pieces of 2 s leave a rest
BITS = 8
SAID = ["The", "quick", "fox", "saw", "the", "dog", "and", "the", "fox", "ran"]
WORDS = tuple(Word(text, 1.0 + 0.5 * k, 0.4) for k, text in enumerate(SAID))


def code(time_s: float, width: int, height: int, fps: float = 10) -> np.ndarray:
    """A picture that spells the number of its frame in eight black or white columns."""
    number = round(time_s * fps)
    columns = [235 if number >> bit & 1 else 16 for bit in range(BITS)]
    return np.repeat(np.tile(np.repeat(np.uint8(columns), width // BITS), (height, 1))[..., None], 3, axis=2)


def numbers(path: Path) -> list[int]:
    """Frame numbers spelt by the decoded pictures of a film, in the order in which they are shown."""
    pictures = luma(path)
    wide = pictures.shape[2] // BITS
    return [sum((picture[4:-4, bit * wide + 4 : (bit + 1) * wide - 4].mean() > 126) << bit for bit in range(BITS)) for picture in pictures]


def planes(path: Path) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Y, U and V of every picture, uint8; pictures stand at k / fps from 0."""
    found, times = [], []
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        for frame in film.decode(stream):
            y, *uv = (np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:, : plane.width] for plane in frame.planes)
            found.append((y.copy(), uv[0].copy(), uv[1].copy()))
            times.append(frame.pts * stream.time_base)
        rate = Fraction(stream.average_rate)
    assert times == [k / rate for k in range(len(times))]
    return found


def luma(path: Path) -> np.ndarray:
    return np.stack([y for y, _, _ in planes(path)])


def heard(path: Path, rate: int = 16000) -> np.ndarray:
    """The sound of a film as a player gives it, mono at ``rate``, from its own first sample."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
    with av.open(str(path)) as film:
        blocks = [out.to_ndarray() for frame in [*film.decode(audio=0), None] for out in resampler.resample(frame)]
    return np.concatenate(blocks, axis=1)[0]


def packets(path: Path, kind: str) -> list[bytes]:
    with av.open(str(path)) as film:
        return [bytes(packet) for packet in film.demux(**{kind: 0}) if packet.size]


def same_as(a: np.ndarray, b: np.ndarray) -> float:
    n = min(len(a), len(b))
    return float(np.corrcoef(a[:n], b[:n])[0, 1])


def talking_film(path: Path) -> Path:
    """Real pictures (gradio's sample film of the Earth from orbit) under real speech: their packets are copied, the sound is AAC."""
    import gradio

    world = Path(gradio.__file__).parent / "media_assets" / "videos" / "world.mp4"
    with av.open(str(world)) as source, av.open(str(SPEECH)) as spoken, av.open(str(path), "w") as film:
        picture = film.add_stream_from_template(source.streams.video[0])
        sound = film.add_stream("aac", rate=48000, layout="stereo")
        for packet in source.demux(source.streams.video[0]):
            if packet.size and packet.pts * packet.time_base < SECONDS - 1e-3:
                packet.stream = picture
                film.mux(packet)
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=48000, frame_size=1024)
        left = round(SECONDS * 48000)
        for frame in spoken.decode(audio=0):
            for out in resampler.resample(frame):
                out.pts = None
                if left >= out.samples:
                    film.mux(sound.encode(out))
                    left -= out.samples
        film.mux(sound.encode(None))
    return path


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings(cache_dir=tmp_path_factory.mktemp("cache"), min_trs=1)


@pytest.fixture(scope="module")
def talking(tmp_path_factory, settings) -> Clip:
    return last(admit(talking_film(tmp_path_factory.mktemp("film") / "talking.mp4"), settings=settings))


@pytest.fixture(scope="module")
def shown(talking) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The talking film's pictures."""
    return planes(talking.path)


@pytest.fixture(scope="module")
def coded(tmp_path_factory, settings) -> Clip:
    """Numbered pictures, ten a second, with noise."""
    path = write_film(tmp_path_factory.mktemp("film") / "coded.mp4", SECONDS, fps=10, size=(160, 64), picture=code, audio="noise")
    return last(admit(path, settings=settings))


@pytest.fixture(scope="module")
def other(tmp_path_factory, settings) -> Clip:
    wav = write_wav(tmp_path_factory.mktemp("film") / "other.wav", np.sin(np.arange(5 * 16000) / 9).astype(np.float32) / 2, 16000)
    return last(admit(wav, settings=settings))


@pytest.fixture(scope="module")
def tones(tmp_path_factory, settings) -> Clip:
    """440 Hz from 2 to 3 s and from 5 to 6 s."""
    t = np.arange(8 * 16000) / 16000
    wave = np.sin(2 * np.pi * 440 * t).astype(np.float32) * np.isin(t.astype(int), [2, 5]) * 0.5
    return last(admit(write_wav(tmp_path_factory.mktemp("film") / "tones.wav", wave, 16000), settings=settings))


@pytest.fixture(scope="module")
def transcript(talking):
    return table_from_words(WORDS, talking.n_trs, source="file", timing="given")


@pytest.fixture(scope="module")
def edit(settings, talking, transcript, other):
    """``edit(text)``: the talking film edited; what was edited before is found again."""

    def run(text: str, clip: Clip = talking, **options) -> Edited:
        return last(edit_clip(clip, text, others={"other": other}, settings=settings, **({"transcript": transcript} | options)))

    return run


EVERY = {  # one of each statement that makes a film: which tracks it leaves as they are
    "mute": "picture",
    "blank colour=grey": "sound",
    "grey": "sound",
    "blur percent=2": "sound",
    "reverse track=both": "",
    "reverse track=sound": "picture",
    "reverse track=picture": "sound",
    "speed factor=2": "",
    "speed factor=0.8": "",
    "shuffle seconds=2 seed=1": "",
    "delay seconds=1": "picture",
    "sound clip=other": "picture",
    "trim start=1.1 end=6": "",
    'remove words="Fox, saw the, unicorn"': "picture",
    "recompress quality=30": "",
    "shift ms=100": "",
    "gain db=-6": "picture",
    "crop percent=5": "sound",
}


def test_the_list_of_tried_edits_is_whole():
    assert {text.split()[0] for text in EVERY} == set(EDITS) - {"rewrite", "words"}


@pytest.mark.parametrize("text", EVERY)
def test_each_edit_of_a_talking_film_is_a_whole_film_whose_other_track_is_untouched(text, edit, talking):
    done = edit(text)
    clip, untouched = done.clip, EVERY[text]
    length = {"speed factor=2": talking.duration / 2, "speed factor=0.8": talking.duration / 0.8, "trim start=1.1 end=6": 4.9}.get(
        text, talking.duration
    )
    assert clip.duration == pytest.approx(length, abs=1e-6)
    assert (clip.n_trs, clip.width, clip.height, clip.fps, clip.name) == (int(length / 1.49), 480, 270, 30.0, "talking.mp4")
    assert clip.sha256 != talking.sha256
    assert done.time_map.source_of(0.0) >= 0 or text == "shift ms=100"
    with av.open(str(clip.path)) as film:
        assert [stream.type for stream in film.streams] == ["video", "audio"]
        assert sum(1 for _ in film.decode(video=0)) == round(length * 30)
    assert len(clip.samples()) == round(length * 16000)
    assert clip.video_key == video_key(str(clip.path))
    assert clip.audio_key == audio_key(str(clip.samples_path))
    assert (clip.video_key == talking.video_key) == (untouched == "picture")
    assert (clip.audio_key == talking.audio_key) == (untouched == "sound")
    for kind, what in (("video", "picture"), ("audio", "sound")):
        if untouched == what:
            assert packets(clip.path, kind) == packets(talking.path, kind)
    if text != "mute":
        assert same_as(heard(clip.path), clip.samples()) > 0.97 - 0.1 * text.startswith("speed")  # what is heard is what is analysed
        assert np.abs(clip.samples()).max() > 0.05


def test_muting_leaves_digital_silence(edit, talking):
    clip = edit("mute").clip
    assert not clip.samples().any()
    assert not heard(clip.path).any()
    assert heard(talking.path).any()


@pytest.mark.parametrize(("colour", "level"), [("black", 16), ("grey", 126)])
def test_blanking_leaves_one_even_colour(colour, level, edit):
    for y, u, v in planes(edit(f"blank colour={colour}").clip.path):
        assert np.abs(y.astype(int) - level).max() <= 1
        assert np.abs(u.astype(int) - 128).max() <= 1
        assert np.abs(v.astype(int) - 128).max() <= 1


def test_greyscale_takes_the_colour_and_leaves_the_brightness(edit, shown):
    before, after = shown[::5], planes(edit("grey").clip.path)[::5]
    assert max(np.abs(u.astype(int) - 128).max() for _, u, _ in before) > 20
    for (y, _, _), (grey, u, v) in zip(before, after, strict=True):
        assert np.abs(u.astype(int) - 128).max() <= 1
        assert np.abs(v.astype(int) - 128).max() <= 1
        assert np.abs(y.astype(int) - grey).mean() < 2.5


def test_a_blur_is_the_gaussian_that_it_says(edit, shown, talking):
    from scipy.ndimage import gaussian_filter

    sigma = 0.02 * talking.height
    after = planes(edit("blur percent=2").clip.path)
    for (y, u, _), (blurred_y, blurred_u, _) in list(zip(shown, after, strict=True))[::60]:
        for plain, blurred, width in ((y, blurred_y, sigma), (u, blurred_u, sigma / 2)):
            expected = gaussian_filter(plain.astype(float), width, mode="nearest")
            assert np.abs(blurred - expected).mean() < 1.5
            assert np.abs(blurred - expected).mean() < 0.5 * max(1.0, np.abs(plain - expected).mean())


def test_a_crop_shows_the_middle_at_full_size(edit, shown):
    from scipy.ndimage import map_coordinates

    before, after = np.stack([y for y, _, _ in shown]), luma(edit("crop percent=5").clip.path)
    grid = [(np.arange(side) - (side - 1) / 2) * 0.95 + (side - 1) / 2 for side in before.shape[1:]]
    for plain, cropped in list(zip(before, after, strict=True))[::60]:
        expected = map_coordinates(plain.astype(float), np.meshgrid(*grid, indexing="ij"), order=1)
        assert np.abs(cropped - expected).mean() < 3
        assert np.abs(cropped - expected).mean() < 0.7 * np.abs(cropped - plain.astype(float)).mean()


def test_encoding_again_keeps_the_picture_and_is_coarser_as_asked(edit, shown):
    fine, coarse = edit("recompress quality=30").clip, edit("recompress quality=38").clip
    before = np.stack([y for y, _, _ in shown])[::10].astype(int)
    off = [np.abs(luma(clip.path)[::10] - before).mean() for clip in (fine, coarse)]
    assert 0 < off[0] < off[1] < 12
    assert coarse.path.stat().st_size < fine.path.stat().st_size


def test_reversed_sound_is_the_samples_from_last_to_first(edit, talking):
    for text in ("reverse track=sound", "reverse"):
        clip = edit(text).clip
        np.testing.assert_array_equal(clip.samples(), talking.samples()[::-1])
        assert same_as(heard(clip.path), heard(talking.path)[: len(talking.samples())][::-1]) > 0.9
    assert edit("reverse").time_map.as_list() == [[0, talking.duration, talking.duration, 0]]
    assert edit("reverse track=sound").time_map.is_identity


def test_a_delay_shifts_the_sound_by_exactly_its_length(edit, talking):
    done = edit("delay seconds=1")
    np.testing.assert_array_equal(done.clip.samples()[16000:], talking.samples()[:-16000])
    assert not done.clip.samples()[:16000].any()
    assert done.time_map.is_identity  # the picture did not move
    assert done.transcript.words[0].onset == pytest.approx(2.0)  # the words are said in the sound


def test_swapped_sound_is_the_other_clips_and_then_silence(edit, other, talking):
    done = edit("sound clip=other")
    samples = done.clip.samples()
    np.testing.assert_array_equal(samples[: 5 * 16000], other.samples())
    assert not samples[5 * 16000 :].any()
    assert done.transcript is None  # must be heard


def test_a_gain_scales_every_sample(edit, talking):
    np.testing.assert_allclose(edit("gain db=-6").clip.samples(), talking.samples() * 10 ** (-6 / 20), atol=1e-6)


def test_removed_words_fall_silent_and_leave_the_transcript_and_all_else_stays_to_the_bit(edit, talking):
    done = edit('remove words="Fox, saw the, unicorn"')
    samples, before = done.clip.samples(), talking.samples()
    outside = np.ones(len(samples), bool)
    for start, end in [(2.0, 2.4), (2.5, 2.9), (3.0, 3.4), (5.0, 5.4)]:
        first, behind = round(start * 16000), round(end * 16000)
        outside[first:behind] = False
        assert not samples[first + 160 : behind - 160].any()
    np.testing.assert_array_equal(samples[outside], before[outside])
    assert [word.text for word in done.transcript.words] == ["The", "quick", "dog", "and", "the", "ran"]
    assert done.transcript.edited
    assert done.notices == ("Not in the transcript, so not removed: unicorn.",)


def frames_by(time_map, count: int, fps: int = 10) -> list[int]:
    """What a film of numbered pictures should show by its time map."""
    times = time_map.source_of((np.arange(count) + 0.5) / fps)
    return np.floor(times * fps + 1e-6).astype(int).tolist()


@pytest.mark.parametrize("text", ["reverse", "shuffle seconds=2 seed=3", "shuffle seconds=0.7; reverse; trim start=1 end=5"])
def test_pictures_and_sound_are_where_the_time_map_says(text, edit, coded):
    done = edit(text, coded, transcript=None)
    assert numbers(done.clip.path) == frames_by(done.time_map, round(done.clip.duration * 10))
    samples = done.clip.samples()
    times = (np.arange(len(samples)) + 0.5) / 16000
    edges = np.array([edge for piece in done.time_map.pieces for edge in (piece.start, piece.end)])
    safe = np.abs(times[:, None] - edges).min(1) > 0.006  # joins are faded over 5 ms
    assert safe.mean() > 0.95
    source = np.floor(done.time_map.source_of(times[safe]) * 16000 + 1e-4).astype(int)
    np.testing.assert_array_equal(samples[safe], coded.samples()[source])


def test_at_half_speed_every_picture_is_shown_twice(edit, coded):
    done = edit("speed factor=0.5", coded, transcript=None)
    assert numbers(done.clip.path) == [number for number in range(62) for _ in (0, 1)] == frames_by(done.time_map, 124)
    assert len(done.clip.samples()) == 2 * len(coded.samples())


def test_a_shuffle_moves_whole_pieces_and_leaves_the_rest_last(edit, coded):
    shown = numbers(edit("shuffle seconds=2 seed=3", coded, transcript=None).clip.path)
    pieces = [shown[k : k + 20] for k in range(0, 60, 20)]
    assert sorted(pieces) == [list(range(k, k + 20)) for k in range(0, 60, 20)]
    assert shown[:60] != list(range(60))
    assert shown[60:] == [60, 61]


def test_only_the_picture_runs_backwards_where_only_the_picture_is_meant(edit, coded):
    done = edit("reverse track=picture", coded, transcript=None)
    assert numbers(done.clip.path) == list(range(62))[::-1]
    assert done.time_map.is_identity


def test_a_shift_keeps_the_length_and_moves_picture_and_sound_alike(edit, coded):
    done = edit("shift ms=100", coded, transcript=None)
    assert numbers(done.clip.path) == [0, *range(61)]
    np.testing.assert_array_equal(done.clip.samples()[1600:], coded.samples()[:-1600])
    assert done.time_map.keeps_rows(done.clip.n_trs)


@pytest.mark.parametrize("factor", [0.5, 1.6])
def test_speed_keeps_the_pitch_and_puts_sounds_where_the_map_says(factor, settings, tones):
    samples = last(edit_clip(tones, f"speed factor={factor}", settings=settings)).clip.samples()
    loud = np.flatnonzero(np.abs(samples) > 0.25) / 16000
    for start in (2, 5):
        on = loud[np.abs(loud - (start + 0.5) / factor) < 1.0 / factor]
        np.testing.assert_allclose((on.min(), on.max()), (start / factor, (start + 1) / factor), atol=0.1)
        inside = samples[round((start + 0.2) / factor * 16000) : round((start + 0.8) / factor * 16000)]
        spectrum = np.abs(np.fft.rfft(inside * np.hanning(len(inside)), 1 << 18))
        assert np.argmax(spectrum) * 16000 / (1 << 18) == pytest.approx(440, rel=0.01)


def test_a_muted_word_that_is_read_all_the_same_is_kept_on_demand(edit, transcript):
    assert edit("mute; words policy=keep").transcript is transcript
    assert edit("mute").transcript.n_words == 0
    assert edit("mute; words policy=keep").clip == edit("mute").clip


def test_words_alone_leave_the_very_clip(edit, talking, settings):
    done = edit('rewrite row=1 text="cats sleep"; words policy=keep')
    assert done.clip is talking
    assert done.transcript.text_per_tr[1] == "cats sleep"
    assert edit("").clip is talking
    assert edit("words policy=drop").transcript.n_words == 0
    assert edit("words policy=hear").transcript is None


def test_an_edited_film_is_found_again_without_any_work(edit, talking, monkeypatch):
    first = edit("mute").clip
    monkeypatch.setattr(edit_film, "in_child", None)
    assert edit("MUTE # again").clip == first


def test_the_same_edits_write_the_same_bytes(settings, talking, edit, tmp_path):
    text = "shuffle seconds=2 seed=1"
    elsewhere = Settings(cache_dir=tmp_path / "elsewhere", min_trs=1)
    again = last(edit_clip(talking, text, settings=elsewhere)).clip
    assert again.path.read_bytes() == edit(text).clip.path.read_bytes()
    assert again.sha256 == edit(text).clip.sha256


def leftovers(settings: Settings) -> set[str]:
    return {path.name for path in (settings.cache_dir / "clips").iterdir()}


def test_stages_are_named_and_the_result_is_last(talking, settings):
    items = list(edit_clip(talking, "gain db=1", settings=settings))
    assert all(isinstance(item, Stage) and item.name == "edit" for item in items[:-1])
    assert items[-2].finished
    assert isinstance(items[-1], Edited)


def test_a_closed_edit_leaves_nothing(talking, settings):
    before = leftovers(settings)
    job = edit_clip(talking, "blur percent=5", settings=settings)
    while next(job).message != "Editing the film":
        pass
    assert leftovers(settings) > before  # it was at work
    job.close()
    assert leftovers(settings) == before


def test_an_edit_whose_process_is_killed_leaves_nothing_and_says_so(talking, settings):
    before, mine = leftovers(settings), children()
    job = edit_clip(talking, "blur percent=6", settings=settings)
    while not children() - mine:
        next(job)
    for pid in children() - mine:
        os.kill(int(pid), signal.SIGKILL)
    with pytest.raises(MediaError) as died:
        list(job)
    assert died.value.code == "decode_memory"
    assert leftovers(settings) == before


def children() -> set[str]:
    return {pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def test_a_film_that_is_gone_cannot_be_edited(talking, settings, tmp_path):
    from dataclasses import replace

    with pytest.raises(MediaError) as gone:
        list(edit_clip(replace(talking, path=tmp_path / "no.mp4"), "blur percent=7", settings=settings))
    assert gone.value.code == "clip_gone"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("sound clip=othr", "unknown_clip"),
        ("remove words=unicorn", "no_such_words"),
        ("trim start=9 end=20", "out_of_range"),
        ("remove start=9 end=20", "out_of_range"),
        ("shuffle seconds=4", "out_of_range"),
        ("delay seconds=20", "out_of_range"),
        ("trim start=1 end=2", "too_short"),
        ("speed factor=0.5", "too_long"),
        ("rewrite row=99 text=x", "no_such_row"),
    ],
)
def test_an_edit_that_does_not_fit_the_film_is_refused_by_name(text, code, talking, transcript, other, settings):
    tight = settings.model_copy(update={"max_duration_s": 10.0})
    with pytest.raises(ValueError) as refused:
        last(edit_clip(talking, text, transcript=transcript, others={"other": other}, settings=tight))
    assert refused.value.code == code
    assert refused.value.hint


def test_a_film_without_sound_or_picture_takes_edits_of_what_it_has(tmp_path, settings, other):
    silent = last(admit(write_film(tmp_path / "silent.mp4", 6, fps=10, size=(160, 64), picture=code, audio=None), settings=settings))
    for clip, text, code_ in ((silent, "mute", "no_sound"), (silent, "reverse track=sound", "no_sound"), (other, "blank", "no_picture")):
        with pytest.raises(EditError) as refused:
            last(edit_clip(clip, text, settings=settings))
        assert refused.value.code == code_
    dubbed = last(edit_clip(silent, "reverse; sound clip=tone; gain db=-2", others={"tone": other}, settings=settings)).clip
    assert numbers(dubbed.path) == list(range(60))[::-1]
    np.testing.assert_allclose(dubbed.samples()[: 5 * 16000], other.samples() * 10 ** (-2 / 20), atol=1e-6)
    heard_only = last(edit_clip(other, "reverse; recompress", settings=settings)).clip
    assert same_as(heard_only.samples(), other.samples()[::-1]) > 0.97
    assert not heard_only.has_video


def test_words_without_film_move_too(settings, tmp_path):
    clip = Clip(tmp_path / "none", None, "a" * 64, None, None, "words", 8.0, 5, None, 0, 0)
    words = table_from_words(WORDS[:4], 5, source="typed", timing="given")
    done = last(edit_clip(clip, "speed factor=0.5", transcript=words, settings=settings))
    assert (done.clip.duration, done.clip.n_trs, done.clip.has_audio, done.clip.has_video) == (16.0, 10, False, False)
    assert [word.onset for word in done.transcript.words] == [2.0, 3.0, 4.0, 5.0]
    assert done.clip.sha256 != clip.sha256


def test_the_sound_that_came_as_another_codec_keeps_its_samples_when_the_picture_is_edited(tmp_path, settings):
    samples, rate = read_wav(write_wav(tmp_path / "n.wav", np.random.default_rng(0).normal(0, 0.1, 6 * 44100), 44100))
    assert rate == 44100
    path = write_film(tmp_path / "a.mkv", 6, fps=24, size=(64, 48), options={"preset": "veryfast"}, speech_wav=tmp_path / "n.wav", audio_codec="flac")
    clip = last(admit(path, settings=settings))  # B-frames, sound without loss
    done = last(edit_clip(clip, "grey", settings=settings)).clip
    assert done.audio_key == clip.audio_key == audio_key(str(done.samples_path))
    swapped = last(edit_clip(clip, "mute", settings=settings)).clip
    assert swapped.video_key == clip.video_key == video_key(str(swapped.path))
    assert packets(swapped.path, "video") == packets(clip.path, "video")
    assert len(samples)
