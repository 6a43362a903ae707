"""Bad films and worse: every case is refused under a stable code or accepted with a stated outcome, and the app lives on."""

from __future__ import annotations

import io
import os
import random
import signal
import struct
import subprocess
import sys
import time
import zipfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from extractors.clip import Clip
from extractors.errors import CineglassError, MediaError
from extractors.frames import iter_frames
from extractors.media import admit, display_name
from extractors.stages import last
from extractors.worker_process import death_of
from settings import ROOT, Settings
from tests.films import flashing, quadrants, sound, write_film, write_wav

REFUSALS = {
    "not_media",
    "truncated",
    "decode_failed",
    "unsupported_codec",
    "too_long",
    "too_short",
    "too_big_picture",
    "decode_memory",
    "frame_rate",
    "pixel_rate",
}
SMALL = {"size": (64, 48), "fps": 10}


@pytest.fixture
def settings(tmp_path):
    return Settings(cache_dir=tmp_path / "cache")


def refusal(path: Path, settings: Settings, **options) -> CineglassError:
    with pytest.raises(CineglassError) as caught:
        last(admit(path, settings=settings, **options))
    error = caught.value
    assert error.hint, "every refusal says what to do"
    assert "/" not in f"{error} {error.hint}".replace("https://", ""), "no path in a message"
    assert not list(settings.cache_dir.glob("clips/*/*")), "nothing of a refused film is kept"
    assert not list(settings.cache_dir.glob("clips/.work-*"))
    return error


def code(path: Path, settings: Settings, **options) -> str:
    return refusal(path, settings, **options).code


def accept(path: Path, settings: Settings, **options) -> Clip:
    return last(admit(path, settings=settings, allow_short=True, **options))


# ---- media content (cases 1 to 15)


def test_zero_bytes_are_an_empty_file(tmp_path, settings):
    (tmp_path / "a.mp4").write_bytes(b"")
    assert code(tmp_path / "a.mp4", settings) == "empty_file"


def test_random_bytes_are_not_media(tmp_path, settings):
    (tmp_path / "a.mp4").write_bytes(random.Random(1).randbytes(20000))
    assert code(tmp_path / "a.mp4", settings) == "not_media"


def test_a_film_without_its_index_is_called_truncated(tmp_path, settings):
    whole = write_film(tmp_path / "whole.mp4", 4, **SMALL).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: whole.index(b"moov") - 4])
    error = refusal(tmp_path / "cut.mp4", settings)
    assert error.code == "truncated"
    assert "moov" in str(error)


def test_a_film_cut_off_behind_its_index_is_read_as_far_as_it_goes(tmp_path, settings):
    whole = write_film(tmp_path / "whole.mp4", 8, size=(160, 120), fps=10, container_options={"movflags": "+faststart"}).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    clip = accept(tmp_path / "cut.mp4", settings)
    assert 2 < clip.duration < 7.5
    assert any("cut off" in notice for notice in clip.notices)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp3", "libmp3lame"), ("a.wav", "pcm_s16le"), ("a.flac", "flac"), ("a.ogg", "libopus"), ("a.m4a", "aac")]
)
def test_sound_alone_is_accepted_and_its_picture_is_absent(tmp_path, settings, name, codec):
    clip = accept(write_film(tmp_path / name, 3, picture=None, audio_codec=codec), settings)
    assert clip.has_audio
    assert not clip.has_video
    assert clip.width == clip.height == 0
    assert clip.fps is None
    assert abs(clip.duration - 3) < 0.06
    assert any("no picture" in notice for notice in clip.notices)
    assert list(iter_frames(clip)) == []


def test_a_film_without_sound_is_accepted_and_says_so(tmp_path, settings):
    clip = accept(write_film(tmp_path / "a.mp4", 3, audio=None, **SMALL), settings)
    assert not clip.has_audio
    assert clip.samples_path is None
    assert any("no sound" in notice for notice in clip.notices)


def test_a_silent_sound_track_is_a_sound_track(tmp_path, settings):
    clip = accept(write_film(tmp_path / "a.mp4", 3, audio="silence", **SMALL), settings)
    assert clip.has_audio
    assert np.abs(np.load(clip.samples_path)).max() < 1e-4


def test_a_short_film_is_refused_with_its_numbers(tmp_path, settings):
    error = refusal(write_film(tmp_path / "a.mp4", 13, **SMALL), settings)
    assert error.code == "too_short"
    assert "13.00 s" in str(error)
    assert "8 TRs" in str(error)
    assert "10 TRs" in str(error)


def test_a_film_below_one_tr_is_refused_even_when_short_ones_are_allowed(tmp_path, settings):
    assert code(write_wav(tmp_path / "a.wav", sound("tone", 1.48, 16000), 16000), settings, allow_short=True) == "too_short"
    assert accept(write_wav(tmp_path / "b.wav", sound("tone", 1.49, 16000), 16000), settings).n_trs == 1


def test_four_hours_in_a_small_file_are_judged_by_their_length(tmp_path, settings):
    path = write_film(tmp_path / "a.mp4", size=(32, 32), vfr=[100.0 * k for k in range(145)], audio=None)
    assert path.stat().st_size < 2**20
    error = refusal(path, settings)
    assert error.code == "too_long"
    assert "4:00" in str(error)
    assert "15:00" in str(error)


def test_a_giant_picture_is_refused_before_it_is_decoded(tmp_path, settings):
    path = write_film(tmp_path / "a.mp4", fps=1, size=(8192, 512), vfr=[0.0, 15.0], audio=None, picture=lambda t, w, h: np.zeros((h, w, 3), np.uint8))
    error = refusal(path, settings)
    assert error.code == "too_big_picture"
    assert "8192 x 512" in str(error)


def test_too_many_pixels_a_second_are_refused(tmp_path):
    settings = Settings(cache_dir=tmp_path / "cache", max_pixel_rate=25000)
    assert code(write_film(tmp_path / "a.mp4", 16, **SMALL), settings) == "pixel_rate"


def test_a_variable_frame_rate_is_resampled_by_presentation_time(tmp_path, settings):
    times = np.cumsum(np.random.default_rng(3).uniform(0.01, 0.09, 200))
    times = times[times < 8]
    clip = accept(
        write_film(tmp_path / "a.mkv", 8, size=(64, 48), vfr=[0.0, *times], picture=flashing(3.0, 1.0), audio="beep", beep_at=3.0), settings
    )
    shown = np.array([time for time, _ in iter_frames(clip)])
    np.testing.assert_allclose(np.diff(shown), 1 / clip.fps, atol=1e-3)
    assert abs(first_flash(clip) - 3.0) < 0.1
    assert abs(first_beep(clip) - 3.0) < 0.01


def test_a_jump_in_time_holds_the_picture(tmp_path, settings):
    times = [k / 10 for k in range(20)] + [6 + k / 10 for k in range(20)]
    clip = accept(write_film(tmp_path / "a.mkv", 8, size=(64, 48), vfr=times, picture=flashing(6.0, 9), audio=None), settings)
    assert abs(clip.duration - 8.0) < 0.15
    assert abs(first_flash(clip) - 6.0) < 0.06


def test_film_time_zero_is_the_earliest_start_and_offsets_are_kept(tmp_path, settings):
    late = write_film(tmp_path / "a.mkv", 6, video_start=3.5, audio_start=3.0, picture=flashing(2.0), audio="beep", beep_at=2.0, **SMALL)
    clip = accept(late, settings)
    assert abs(clip.duration - 6.5) < 0.03
    assert abs(first_beep(clip) - 2.0) < 0.01
    assert abs(first_flash(clip) - 2.5) < 0.06


MATRICES = {  # QuickTime file format: x' = ax + cy, y' = bx + dy, y downwards; and where upper left, upper right, lower left go
    "clockwise": ((0, 1, -1, 0), ("blue", "red", "grey", "green")),
    "half": ((-1, 0, 0, -1), ("grey", "blue", "green", "red")),
    "counterclockwise": ((0, -1, 1, 0), ("green", "grey", "red", "blue")),
    "mirrored": ((-1, 0, 0, 1), ("green", "red", "grey", "blue")),
    "transposed": ((0, 1, 1, 0), ("red", "blue", "green", "grey")),
}


@pytest.mark.parametrize("turn", MATRICES)
def test_a_turned_film_is_put_upright(tmp_path, settings, turn):
    (a, b, c, d), expected = MATRICES[turn]
    plain = write_film(tmp_path / "plain.mp4", 2, fps=5, size=(96, 64), picture=quadrants, audio=None)
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 2**30)
    data = plain.read_bytes()
    at = data.index(identity, data.index(b"tkhd"))
    matrix = struct.pack(">9i", a * 65536, b * 65536, 0, c * 65536, d * 65536, 0, 0, 0, 2**30)
    (tmp_path / "turned.mp4").write_bytes(data[:at] + matrix + data[at + 36 :])
    clip = accept(tmp_path / "turned.mp4", settings)
    assert (clip.width, clip.height) == ((64, 96) if a == 0 else (96, 64))
    _, picture = next(iter_frames(clip))
    height, width = picture.shape[:2]
    corners = [picture[y, x] for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    assert tuple(map(colour, corners)) == expected


def test_pixels_that_are_not_square_become_square(tmp_path, settings):
    clip = accept(write_film(tmp_path / "a.mp4", 2, pixel_aspect=Fraction(4, 3), audio=None, fps=5, size=(96, 64)), settings)
    assert (clip.width, clip.height) == (128, 64)


@pytest.mark.parametrize(
    "odd",
    [
        {"interlaced": True},
        {"pix_fmt": "yuv420p10le"},
        {"pix_fmt": "yuv444p", "size": (65, 49)},
        {"codec": "qtrle", "pix_fmt": "argb", "audio_codec": "pcm_s16le"},
        {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}},
        {"codec": "mpeg4"},
    ],
    ids=str,
)
def test_odd_pictures_become_plain_h264(tmp_path, settings, odd):
    name = "a.mov" if odd.get("codec") == "qtrle" else "a.mp4"
    clip = accept(write_film(tmp_path / name, 2, **({"size": (64, 48), "fps": 10} | odd)), settings)
    assert any("converted" in notice for notice in clip.notices)
    with av.open(str(clip.path)) as film:
        frames = list(film.decode(video=0))
        assert film.streams.video[0].codec_context.name == "h264"
    assert {frame.format.name for frame in frames} == {"yuv420p"}
    assert not any(frame.interlaced_frame for frame in frames)
    assert len(frames) == 20
    bar_at = [int(np.argmax(picture[24].astype(int).sum(1))) / clip.width for _, picture in iter_frames(clip)]
    assert abs(bar_at[5] - 0.125) < 0.08, "the bar crosses in 4 s"


def test_high_dynamic_range_is_mapped_to_the_reference_white(tmp_path, settings):
    def grey(time_s, width, height):
        return np.full((height, width, 3), 102, np.uint8)  # 0.4 of full signal

    clip = accept(write_film(tmp_path / "a.mp4", 2, picture=grey, audio=None, pix_fmt="yuv420p10le", transfer=16, **SMALL), settings)
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128  # SMPTE ST 2084
    root = 0.4 ** (1 / m2)
    nits = 10000 * (max(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    expected = 255 * (nits / 203) ** (1 / 2.4)
    assert abs(next(iter_frames(clip))[1].mean() - expected) < 8
    assert any("HDR" in notice for notice in clip.notices)


def test_of_several_sound_tracks_one_is_taken_and_named(tmp_path, settings):
    clip = accept(write_film(tmp_path / "a.mkv", 2, audio_tracks=3, **SMALL), settings)
    assert any("3 sound tracks; number 1" in notice for notice in clip.notices)


def test_too_many_tracks_are_refused(tmp_path):
    settings = Settings(cache_dir=tmp_path / "cache", max_streams=3)
    assert code(write_film(tmp_path / "a.mkv", 2, audio_tracks=3, **SMALL), settings) == "too_many_streams"


def test_cover_art_is_not_a_picture(tmp_path, settings):
    mp3 = write_film(tmp_path / "plain.mp3", 3, picture=None, audio_codec="libmp3lame").read_bytes()
    jpeg = io.BytesIO()
    with av.open(jpeg, "w", format="image2pipe") as out:
        stream = out.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        out.mux(stream.encode(None))
    body = b"\x00image/jpeg\x00\x03\x00" + jpeg.getvalue()
    frame = b"APIC" + struct.pack(">IH", len(body), 0) + body
    size = bytes((len(frame) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    start = mp3.index(b"\xff\xfb") if not mp3.startswith(b"ID3") else 10 + int.from_bytes(mp3[6:10], "big")
    (tmp_path / "a.mp3").write_bytes(b"ID3\x03\x00\x00" + size + frame + mp3[start:])
    clip = accept(tmp_path / "a.mp3", settings)
    assert not clip.has_video
    assert any("cover" in notice for notice in clip.notices)


@pytest.mark.parametrize(
    "film",
    [
        {"fps": 1},
        {"audio_rate": 8000},
        {"audio_rate": 96000},
        {"layout": "5.1"},
        {"audio_rate": 22050, "audio_codec": "libmp3lame"},
    ],
    ids=str,
)
def test_unusual_rates_and_channels_are_accepted(tmp_path, settings, film):
    clip = accept(write_film(tmp_path / "a.mp4", 3, **({"size": (64, 48), "fps": 10} | film)), settings)
    samples = np.load(clip.samples_path)
    assert samples.dtype == np.float32
    assert len(samples) == round(clip.duration * 16000)
    spectrum = np.abs(np.fft.rfft(samples[8000:40000]))
    assert abs(np.argmax(spectrum) * 16000 / 32000 - 440) < 2
    assert 0.05 < samples[8000:40000].std() < 0.15, "mixing down keeps the loudness"


def test_240_pictures_a_second_are_refused_by_default_and_thinned_out_when_allowed(tmp_path, settings):
    path = write_film(tmp_path / "a.mp4", 4, fps=240, size=(32, 32), audio=None, picture=flashing(3.0))
    error = refusal(path, settings, allow_short=True)
    assert error.code == "frame_rate"
    assert "240" in str(error)
    clip = accept(path, Settings(cache_dir=settings.cache_dir, max_fps=240))
    assert clip.fps == 60
    assert abs(first_flash(clip) - 3.0) < 0.02


@pytest.mark.parametrize("stated", [1, 3600])
def test_a_lie_in_the_header_does_not_change_the_length(tmp_path, settings, stated):
    data = bytearray(write_film(tmp_path / "a.mp4", 6, **SMALL).read_bytes())
    for box, scale_at in ((b"mvhd", 16), (b"mdhd", 16)):
        at = data.find(box)
        while at >= 0:
            scale = struct.unpack_from(">I", data, at + scale_at)[0]
            struct.pack_into(">I", data, at + scale_at + 4, stated * scale)
            at = data.find(box, at + 4)
    (tmp_path / "lie.mp4").write_bytes(data)
    assert abs(accept(tmp_path / "lie.mp4", settings).duration - 6) < 0.06


def test_a_film_longer_than_its_header_says_is_stopped_by_the_cap(tmp_path):
    settings = Settings(cache_dir=tmp_path / "cache", max_duration_s=5)
    path = write_film(tmp_path / "a.mkv", 9, **SMALL)
    data = path.read_bytes()
    at = data.index(b"\x44\x89\x88") + 3
    path.write_bytes(data[:at] + struct.pack(">d", 2000.0) + data[at + 8 :])
    assert code(path, settings, allow_short=True) == "too_long"


@pytest.mark.parametrize("tag", [b"zzzz", b"encv"])
def test_an_unknown_or_protected_codec_is_refused_by_name(tmp_path, settings, tag):
    plain = write_film(tmp_path / "plain.mp4", 2, audio=None, **SMALL)
    data = plain.read_bytes()
    at = data.index(b"avc1", data.index(b"stsd"))
    (tmp_path / "a.mp4").write_bytes(data[:at] + tag + data[at + 4 :])
    assert code(tmp_path / "a.mp4", settings, allow_short=True) == "unsupported_codec"


# ---- containers as weapons (cases 16 to 21)


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{secret}\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>http://127.0.0.1:9/</BaseURL></MPD>',
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=video 9 RTP/AVP 96\r\n",
        "ffconcat version 1.0\nfile '{secret}'\n",
        "file '{secret}'\n",
        "\ufeff\n  #EXTM3U\n{secret}\n",
    ],
)
def test_playlists_and_scripts_are_refused_whatever_their_name(tmp_path, settings, text):
    secret = write_film(tmp_path / "secret.mp4", 2, **SMALL)
    (tmp_path / "clip.mp4").write_text(text.format(secret=secret))
    assert code(tmp_path / "clip.mp4", settings, allow_short=True) == "playlist"


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>', "SVG"),
        (b"<!DOCTYPE html><script>alert(1)</script>", "web page"),
        (b"%PDF-1.7\n", "PDF"),
        (b"PK\x03\x04" + bytes(100), "zip"),
        (b"\x1f\x8b\x08" + bytes(100), "gzip"),
        (b"\x00\x00\x00\x1cftypheic" + bytes(20), "picture"),
        (b"concat:/etc/passwd|/etc/hosts", "no kind"),
        (b"subfile,,start,0,end,100,,:/etc/passwd", "no kind"),
    ],
)
def test_other_files_are_refused_by_their_first_bytes(tmp_path, settings, head, word):
    (tmp_path / "clip.mp4").write_bytes(head)
    error = refusal(tmp_path / "clip.mp4", settings)
    assert error.code == "not_media"
    assert word in str(error)


@pytest.mark.parametrize(
    "name", ["concat:/etc/passwd", "data:video/mp4;base64,AAAA", "http://127.0.0.1:9/a.mp4", "pipe:0", "file:/etc/passwd", "/dev/zero"]
)
def test_a_name_is_a_file_and_never_an_address(settings, name):
    assert code(Path(name), settings) == "not_media"


def test_a_named_pipe_does_not_make_the_gate_wait(tmp_path, settings):
    os.mkfifo(tmp_path / "a.mp4")
    start = time.monotonic()
    assert code(tmp_path / "a.mp4", settings) == "not_media"
    assert time.monotonic() - start < 2


def test_a_polyglot_leaves_its_other_half_behind(tmp_path, settings):
    film = write_film(tmp_path / "a.mp4", 2, **SMALL)
    payload = b"<html><script>alert('half')</script></html>"
    film.write_bytes(film.read_bytes() + struct.pack(">I", len(payload) + 8) + b"free" + payload)
    clip = accept(film, settings)
    assert b"script" not in clip.path.read_bytes()


def test_metadata_of_the_upload_is_not_carried_over(tmp_path, settings):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as film:
        film.metadata["title"] = "private-title"
        film.metadata["location"] = "+48.1+011.5/"
        track = film.add_stream("pcm_s16le", rate=16000, layout="mono")
        track.metadata["title"] = "private-track"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 16000
        film.mux(track.encode(frame))
        film.mux(track.encode(None))
    kept = accept(path, settings).path.read_bytes()
    assert b"private" not in kept
    assert b"+48.1" not in kept


def test_a_zip_bomb_named_as_a_film_is_refused_at_once(tmp_path, settings):
    with zipfile.ZipFile(tmp_path / "bomb.mp4", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("zeros", bytes(50 * 2**20))
    start = time.monotonic()
    assert code(tmp_path / "bomb.mp4", settings) == "not_media"
    assert time.monotonic() - start < 1


@pytest.mark.parametrize("kind", ["mp4", "mkv", "webm"])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_fuzzed_film_is_admitted_or_refused_and_nothing_else(tmp_path, settings, kind, seed):
    codecs = {"codec": "libvpx", "audio_codec": "libopus"} if kind == "webm" else {}
    data = bytearray(write_film(tmp_path / f"a.{kind}", 3, **SMALL, **codecs).read_bytes())
    source = random.Random(seed)
    for _ in range(60):
        data[source.randrange(16, len(data))] = source.randrange(256)
    (tmp_path / f"fuzzed.{kind}").write_bytes(data)
    refused, shown, expected = "", 0, 0
    try:
        clip = accept(tmp_path / f"fuzzed.{kind}", settings)
        expected = int(np.ceil(clip.duration * 5 - 1e-6)) if clip.has_video else 0
        shown = sum(1 for _ in iter_frames(clip, fps=5, size=(16, 16)))
    except CineglassError as error:
        refused = error.code
    assert refused in REFUSALS if refused else shown == expected


@pytest.mark.skipif(sys.platform != "linux", reason="memory limits of a process are a Linux matter")
def test_a_film_that_needs_too_much_memory_is_named(tmp_path):
    settings = Settings(cache_dir=tmp_path / "cache", gate_memory_mb=256)
    path = write_film(tmp_path / "a.mp4", fps=1, size=(2048, 2048), vfr=[0.0, 2.0], audio=None)
    assert code(path, settings, allow_short=True) == "decode_memory"


def test_a_film_that_takes_too_long_is_named(tmp_path):
    settings = Settings(cache_dir=tmp_path / "cache", gate_timeout_s=0.02)
    assert code(write_film(tmp_path / "a.mp4", 16, **SMALL), settings) == "decode_timeout"


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (signal.SIGSEGV, "decode_failed"),
        (signal.SIGKILL, "decode_memory"),
        (signal.SIGXCPU, "decode_timeout"),
        (signal.SIGBUS, "disk_full"),  # the samples are written through a map, and the disk has no room for it
    ],
)
def test_the_death_of_the_child_is_named(number, expected):
    process = subprocess.Popen([sys.executable, "-c", f"import os; os.kill(os.getpid(), {int(number)})"], cwd=ROOT)
    assert death_of(process, 1.0).code == expected


def test_a_file_over_the_size_limit_is_refused(tmp_path):
    settings = Settings(cache_dir=tmp_path / "cache", max_upload_mb=1)
    with open(tmp_path / "a.mp4", "wb") as file:
        file.truncate(2 * 2**20)
    error = refusal(tmp_path / "a.mp4", settings)
    assert error.code == "too_large"
    assert "2 MB" in str(error)


# ---- names (cases 22 to 24)


UNUSUAL = [
    "Фильм.mp4",
    "映画 🎬.mp4",
    "סרט.mp4",
    "-rf.mp4",
    ".hidden.mp4",
    "CON.mp4",
    "a;b$(c).mp4",
    "100%.mp4",
    '"><img src=x onerror=alert(1)>.mp4',
]


def test_unusual_names_are_kept_for_display():
    assert [display_name(name) for name in UNUSUAL] == UNUSUAL


@pytest.mark.parametrize("name", UNUSUAL[-6::5])
def test_an_unusual_name_is_never_used(tmp_path, settings, name):
    plain = write_wav(tmp_path / "a.wav", sound("tone", 2, 16000), 16000)
    (tmp_path / name).write_bytes(plain.read_bytes())
    clip = accept(tmp_path / name, settings)
    assert clip.name == name
    assert name not in str(clip.path)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/x.mp4", "x.mp4"),
        ("..\\..\\x.mp4", "x.mp4"),
        ("a\x00b\r\n.mp4", "ab.mp4"),
        ("abc\u202e4pm.exe", "abc4pm.exe"),
        ("..", "clip"),
        ("", "clip"),
    ],
)
def test_names_lose_paths_and_control_characters(name, shown):
    assert display_name(name) == shown


def test_a_very_long_name_is_shortened():
    assert len(display_name("x" * 300 + ".mp4")) == 120
    assert display_name("x" * 300 + ".mp4").endswith(".mp4")


def test_the_same_film_under_two_names_is_one_film_with_two_names(tmp_path, settings):
    path = write_wav(tmp_path / "a.wav", sound("tone", 2, 16000), 16000)
    first, second = accept(path, settings, name="one.wav"), accept(path, settings, name="two.wav")
    assert (first.name, second.name) == ("one.wav", "two.wav")
    assert first.path == second.path


def test_a_sha256_from_a_stranger_is_not_a_path(tmp_path, settings):
    from extractors.media import delete_clip

    with pytest.raises(MediaError):
        delete_clip("../../etc", settings=settings)


# ---- helpers


def first_flash(clip: Clip) -> float:
    return next(time_s for time_s, picture in iter_frames(clip, size=(16, 16)) if picture.mean() > 128)


def first_beep(clip: Clip) -> float:
    return float(np.flatnonzero(np.abs(np.load(clip.samples_path)) > 0.2)[0]) / 16000


def colour(pixel: np.ndarray) -> str:
    red, green, blue = (int(value) > 110 for value in pixel)
    return {(1, 0, 0): "red", (0, 1, 0): "green", (0, 0, 1): "blue", (1, 1, 1): "grey"}.get((red, green, blue), str(pixel))
