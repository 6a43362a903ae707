from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest

from extractors import media
from extractors.errors import CacheError, MediaError
from extractors.media import admit, delete_clip, purge
from extractors.stages import Stage, last
from settings import ROOT, Settings
from tests.films import flashing, sound, write_film, write_wav

SMALL = {"size": (64, 48), "fps": 10}


@pytest.fixture
def settings(tmp_path):
    return Settings(cache_dir=tmp_path / "cache")


def accept(path, settings, **options):
    return last(admit(path, settings=settings, allow_short=True, **options))


def packets(path: Path, kind: str) -> list[bytes]:
    with av.open(str(path)) as film:
        return [bytes(packet) for packet in film.demux(**{kind: 0}) if packet.size]


def children() -> set[str]:
    found = set()
    for task in Path("/proc/self/task").iterdir():
        found |= set((task / "children").read_text().split())
    return found


def test_a_canonical_film_is_copied_packet_by_packet(tmp_path, settings):
    source = write_film(tmp_path / "a.mp4", 4, **SMALL)
    clip = accept(source, settings)
    assert packets(clip.path, "video") == packets(source, "video")
    assert packets(clip.path, "audio")[-100:] == packets(source, "audio")[-100:]
    assert clip.notices == ()
    assert (clip.width, clip.height, clip.fps, clip.n_trs) == (64, 48, 10, 2)


def test_reordered_pictures_survive_copying(tmp_path, settings):
    """Films with B-frames store pictures in another order than they show them."""
    source = write_film(tmp_path / "a.mkv", 4, fps=24, size=(64, 48), options={"preset": "veryfast"}, audio=None)
    clip = accept(source, settings)
    shown = []
    for path in (source, clip.path):
        with av.open(str(path)) as film:
            assert film.streams.video[0].codec_context.has_b_frames
            shown.append([(frame.time, frame.to_ndarray(format="gray")) for frame in film.decode(video=0)])
    np.testing.assert_allclose([time_s for time_s, _ in shown[1]], np.arange(96) / 24, atol=1e-4)
    for (_, before), (_, after) in zip(*shown, strict=True):
        np.testing.assert_array_equal(before, after)


def test_the_canonical_film_begins_with_its_index_and_is_plain(tmp_path, settings):
    clip = accept(write_film(tmp_path / "a.webm", 3, codec="libvpx", audio_codec="libopus", **SMALL), settings)
    data = clip.path.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")
    with av.open(str(clip.path)) as film:
        video, audio = film.streams.video[0], film.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt, audio.codec_context.name) == ("h264", "yuv420p", "aac")
        assert "creation_time" not in film.metadata


@pytest.mark.parametrize(
    ("name", "codecs"),
    [
        ("a.mp4", {}),
        ("a.mkv", {}),
        ("a.mov", {"audio_codec": "pcm_s16le"}),
        ("a.webm", {"codec": "libvpx", "audio_codec": "libopus"}),
        ("a.mkv", {"codec": "mpeg4", "audio_codec": "libmp3lame"}),
    ],
    ids=str,
)
def test_picture_and_sound_stay_together_in_the_film_and_in_the_samples(tmp_path, settings, name, codecs):
    clip = accept(write_film(tmp_path / name, 5, fps=25, size=(64, 48), picture=flashing(3.0), audio="beep", beep_at=3.0, **codecs), settings)
    with av.open(str(clip.path)) as film:
        flash = next(frame.time for frame in film.decode(video=0) if frame.to_ndarray(format="gray").mean() > 128)
    with av.open(str(clip.path)) as film:
        heard = [(frame.time, np.abs(frame.to_ndarray()).max(0), frame.sample_rate) for frame in film.decode(audio=0)]
    beep = next(time_s + float(np.argmax(level > 0.2)) / rate for time_s, level, rate in heard if (level > 0.2).any())
    sampled = float(np.flatnonzero(np.abs(np.load(clip.samples_path)) > 0.2)[0]) / 16000
    assert abs(flash - 3.0) < 0.021
    assert abs(beep - 3.0) < 0.03
    assert abs(sampled - 3.0) < 0.03


def test_the_same_bytes_give_the_same_film_and_samples(tmp_path):
    film = write_film(tmp_path / "a.mkv", 3, codec="mpeg4", audio_codec="libmp3lame", size=(320, 240), fps=25)
    first, second = (accept(film, Settings(cache_dir=tmp_path / name)) for name in "xy")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.samples_path.read_bytes() == second.samples_path.read_bytes()
    assert (first.video_key, first.audio_key) == (second.video_key, second.audio_key)


def test_the_keys_follow_the_tracks_and_not_the_file(tmp_path, settings):
    both = accept(write_film(tmp_path / "a.mp4", 3, **SMALL), settings)
    muted = accept(write_film(tmp_path / "b.mp4", 3, audio=None, **SMALL), settings)
    boxed = accept(write_film(tmp_path / "c.mkv", 3, audio=None, **SMALL), settings)
    blank = accept(write_film(tmp_path / "d.mp4", 3, picture=flashing(1), **SMALL), settings)
    assert both.sha256 != muted.sha256
    assert both.video_key == muted.video_key == boxed.video_key
    assert both.audio_key == blank.audio_key
    assert both.video_key != blank.video_key


@pytest.mark.parametrize(("trs", "extra"), [(1, -1), (1, 0), (10, -1), (10, 0), (10, 1)])
def test_rows_and_samples_follow_the_duration_around_multiples_of_the_tr(tmp_path, settings, trs, extra):
    count = round(trs * 1.49 * 16000) + extra
    path = write_wav(tmp_path / "a.wav", sound("tone", count / 16000, 16000), 16000)
    if trs + (extra >= 0) == 1:
        with pytest.raises(MediaError, match="0 TRs"):
            accept(path, settings)
        return
    clip = accept(path, settings)
    assert clip.n_trs == trs - (extra < 0)
    assert len(np.load(clip.samples_path)) == count == round(clip.duration * 16000)


def test_sound_that_begins_late_is_silence_first(tmp_path, settings):
    clip = accept(write_film(tmp_path / "a.mkv", 4, audio_start=1.0, audio_seconds=2.0, **SMALL), settings)
    samples = np.load(clip.samples_path)
    assert len(samples) == round(clip.duration * 16000)
    assert np.abs(samples[:15900]).max() < 1e-6
    assert np.abs(samples[17000:47000]).max() > 0.05
    assert np.abs(samples[49000:]).max() < 1e-3


@pytest.mark.parametrize(("size", "expected"), [((640, 360), (256, 144)), ((360, 640), (144, 256)), ((500, 100), (256, 52)), ((64, 48), (64, 48))])
def test_a_large_picture_is_made_to_fit_and_a_small_one_is_left(tmp_path, size, expected):
    settings = Settings(cache_dir=tmp_path / "cache", canonical_height=144)
    clip = accept(write_film(tmp_path / "a.mp4", 2, fps=5, size=size, audio=None), settings)
    assert (clip.width, clip.height) == expected


def test_the_second_admission_starts_no_process_and_renews_the_last_use(tmp_path, settings, monkeypatch):
    path = write_film(tmp_path / "a.mp4", 3, **SMALL)
    first = accept(path, settings)
    record = first.path.parent / "admission.json"
    os.utime(record, (0, 0))
    monkeypatch.setattr(media, "worker", None)
    assert accept(path, settings, name=path.name) == first
    assert time.time() - record.stat().st_mtime < 60


def test_a_kept_film_is_held_against_the_limits_of_today(tmp_path, settings):
    path = write_film(tmp_path / "a.mp4", 4, **SMALL)
    accept(path, settings)
    with pytest.raises(MediaError) as caught:
        last(admit(path, settings=settings))
    assert caught.value.code == "too_short"
    with pytest.raises(MediaError) as caught:
        accept(path, Settings(cache_dir=settings.cache_dir, max_fps=5))
    assert caught.value.code == "frame_rate"


def test_two_visitors_with_the_same_film_share_one_copy(tmp_path, settings):
    path = write_film(tmp_path / "a.mp4", 3, **SMALL)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: accept(path, settings), range(2))
    assert first == second
    assert len(list((settings.cache_dir / "clips").iterdir())) == 1


@pytest.mark.parametrize("damage", ["folder gone", "film gone", "film cut", "record broken"])
def test_a_damaged_cache_is_made_good(tmp_path, settings, damage):
    path = write_film(tmp_path / "a.mp4", 3, **SMALL)
    first = accept(path, settings)
    whole = first.path.read_bytes()
    if damage == "folder gone":
        delete_clip(first.sha256, settings=settings)
    elif damage == "film gone":
        first.path.unlink()
    elif damage == "film cut":
        first.path.write_bytes(whole[:100])
    else:
        (first.path.parent / "admission.json").write_text("{")
    assert accept(path, settings) == first
    assert first.path.read_bytes() == whole


@pytest.fixture(scope="module")
def converting(tmp_path_factory) -> Path:
    """A film whose conversion takes some seconds."""
    return write_film(tmp_path_factory.mktemp("long") / "a.mkv", 20, fps=50, size=(640, 480), codec="mpeg4", audio=None)


def test_stopping_ends_the_decoding_process_and_leaves_nothing(converting, settings):
    job = admit(converting, settings=settings)
    before = children() if sys.platform == "linux" else set()
    last_time = time.monotonic()
    for stage in job:
        assert isinstance(stage, Stage)
        assert stage.name == "gate"
        assert time.monotonic() - last_time < 1.5
        last_time = time.monotonic()
        if stage.message.startswith("Converting the film") and stage.done > 0.06:
            break
    else:
        pytest.fail("no progress was told")
    if sys.platform == "linux":
        assert children() - before
    start = time.monotonic()
    job.close()
    assert time.monotonic() - start < 2
    if sys.platform == "linux":
        assert not children() - before
    assert list((settings.cache_dir / "clips").iterdir()) == []


def test_a_killed_run_leaves_no_film_and_the_next_one_succeeds(converting, settings):
    program = (
        "from extractors.media import admit; from settings import Settings; from pathlib import Path; import sys\n"
        f"for stage in admit({str(converting)!r}, settings=Settings(cache_dir=Path({str(settings.cache_dir)!r}))):\n"
        "    print(stage.message, flush=True)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert any("Converting" in line for line in run.stdout)
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    clips = settings.cache_dir / "clips"
    left = list(clips.iterdir())
    assert [folder.name.startswith(".work-") for folder in left] == [True]
    os.utime(left[0], (0, 0))
    assert purge(settings=settings) == 0
    assert not left[0].exists()
    assert last(admit(converting, settings=settings)).path.is_file()


def test_unused_clips_expire_and_used_ones_stay(tmp_path, settings):
    old, new = (accept(write_wav(tmp_path / f"{n}.wav", sound("tone", n, 16000), 16000), settings) for n in (2, 3))
    os.utime(old.path.parent / "admission.json", (time.time() - 25 * 3600,) * 2)
    assert purge(settings=settings) == 1
    assert not old.path.exists()
    assert new.path.exists()
    assert purge(0.0, settings=settings) == 1
    assert not new.path.exists()


def test_clips_beyond_the_size_bound_go_with_the_next_admission_those_used_longest_ago_first(tmp_path):
    settings = Settings(cache_dir=tmp_path / "cache", min_trs=1, cache_max_gb=0.0015)  # each clip below keeps 0.6 to 0.7 MB
    (settings.cache_dir / "clips" / "not a clip").mkdir(parents=True)
    clips = [accept(write_wav(tmp_path / f"{n}.wav", sound("noise", 8 + n, 16000), 16000), settings) for n in range(2)]
    os.utime(clips[1].path.parent / "admission.json", (time.time() - 60,) * 2)
    third = accept(write_wav(tmp_path / "third.wav", sound("noise", 10, 16000), 16000), settings)
    assert [clip.path.exists() for clip in (*clips, third)] == [True, False, True]
    alone = Settings(cache_dir=tmp_path / "cache", min_trs=1, cache_max_gb=1e-6)
    fourth = accept(write_wav(tmp_path / "fourth.wav", sound("noise", 11, 16000), 16000), alone)
    assert fourth.path.exists()
    assert not third.path.exists()
    assert (settings.cache_dir / "clips" / "not a clip").exists()


def test_delete_now_removes_everything_of_a_clip(tmp_path, settings):
    clip = accept(write_wav(tmp_path / "a.wav", sound("tone", 2, 16000), 16000), settings)
    assert delete_clip(clip.sha256, settings=settings)
    assert list((settings.cache_dir / "clips").iterdir()) == []
    assert not delete_clip(clip.sha256, settings=settings)


def test_a_disk_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    path = write_wav(tmp_path / "a.wav", sound("tone", 2, 16000), 16000)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CacheError) as caught:
        accept(path, Settings(cache_dir=tmp_path / "file"))
    assert caught.value.code == "cache_unwritable"
    monkeypatch.setattr(media, "_MOST_FILE_MB", 0)  # the child may not write one byte
    with pytest.raises(CacheError) as caught:
        accept(path, Settings(cache_dir=tmp_path / "cache"))
    assert caught.value.code == "disk_full"
    assert list((tmp_path / "cache" / "clips").iterdir()) == []


def test_the_gate_loads_no_decoder_and_its_child_no_learning_library():
    program = "import json, sys, {module}; print(json.dumps([name for name in ('av', 'torch', 'gradio', 'nilearn') if name in sys.modules]))"
    for module, allowed in (
        ("extractors.media", []),
        ("extractors.frames", []),
        ("extractors.gate_worker", ["av"]),
        ("extractors.frames_worker", ["av"]),
    ):
        answer = subprocess.run([sys.executable, "-c", program.format(module=module)], cwd=ROOT, capture_output=True, text=True, check=True)
        assert json.loads(answer.stdout) == allowed
