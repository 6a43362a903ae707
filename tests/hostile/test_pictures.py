"""Bad pictures and worse: every one is refused under a stable code, in a child with limits, and the app's own process never decodes one."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from extractors.stages import last
from extractors.stimuli import MAX_PICTURE_MB, MAX_PICTURE_PIXELS, StimulusError, make_stimulus
from extractors.stimuli_worker import picture_of
from settings import ROOT, Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(cache_dir=tmp_path / "cache", canonical_height=90, gate_memory_mb=1024)


def refusal(path, settings) -> StimulusError:
    with pytest.raises(StimulusError) as caught:
        last(make_stimulus("still start=0 seconds=15", pictures=[path], settings=settings))
    error = caught.value
    assert error.hint
    assert "/" not in f"{error} {error.hint}", "no path in a message"
    assert not list(settings.cache_dir.glob("clips/*"))
    assert not list(settings.cache_dir.glob("clips/.work-*"))
    return error


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    out = b"\x89PNG\r\n\x1a\n"
    for name, data in (*chunks, (b"IEND", b"")):
        out += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return out


def header(width: int, height: int) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)


def encoded(form: str, size=(64, 48), **how) -> bytes:
    out = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(out, form, **how)
    return out.getvalue()


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("a.png", "x")
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.png", b""),
        ("drawing.png", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'),
        ("page.jpg", b"<!doctype html><script>alert(1)</script>"),
        ("moving.png", b"GIF89a" + b"\0" * 40),
        ("postscript.png", b"%!PS-Adobe-3.0 EPSF-3.0\n"),
        ("tiff.png", b"II*\0" + b"\0" * 40),
        ("film.webp", b"\0\0\0\x18ftypmp42" + b"\0" * 40),
        ("sound.webp", b"RIFF\x24\0\0\0WAVEfmt "),
        ("archive.png", zipped()),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_what_is_no_picture_by_its_first_bytes_is_refused_whatever_its_name(tmp_path, settings, name, content):
    (tmp_path / name).write_bytes(content)
    error = refusal(tmp_path / name, settings)
    assert error.code == "not_a_picture"
    assert name in error.message


def test_pipes_folders_and_missing_files_are_refused_and_not_waited_for(tmp_path, settings):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    for name in ("pipe.png", "folder.png", "missing.png"):
        assert refusal(tmp_path / name, settings).code == "not_a_picture"


def test_a_file_of_too_many_bytes_is_refused_unread(tmp_path, settings):
    path = tmp_path / "large.png"
    path.write_bytes(png(header(8, 8)))
    os.truncate(path, (MAX_PICTURE_MB + 1) * 2**20)
    assert refusal(path, settings).code == "picture_too_large"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_damaged_pictures_are_refused_and_kill_nobody(tmp_path, form):
    whole = encoded(form)
    rng = np.random.default_rng(1)
    for number, content in enumerate((whole[: len(whole) // 2], whole[:20], whole[:12] + rng.bytes(400))):
        path = tmp_path / f"{number}.picture"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"cannot be read|million pixels"):
            picture_of(str(path), form, "x", MAX_PICTURE_PIXELS)


@pytest.mark.parametrize(
    ("content", "codes"),
    [
        (png(header(60_000, 60_000), (b"IDAT", zlib.compress(b"\0" * 1000))), {"picture_too_large"}),
        (png(header(64, 64), (b"zTXt", b"k\0\0" + zlib.compress(b"\0" * 400_000_000, 9))), {"picture_damaged"}),
        (
            b"\xff\xd8\xff\xc0\x00\x11\x08" + struct.pack(">HH", 65500, 65500) + b"\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01" + b"\0" * 64,
            {"picture_too_large", "picture_damaged"},
        ),
        (b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0" + b"\xff\x3f\0" * 2 + b"\0" * 8, {"picture_too_large", "picture_damaged"}),
        (encoded("PNG")[:-80], {"picture_damaged"}),
    ],
    ids=["png-of-60000-squared", "text-chunk-bomb", "jpeg-of-65500-squared", "webp-of-16384-squared", "cut-off"],
)
def test_bombs_are_refused_in_the_child(tmp_path, settings, content, codes):
    path = tmp_path / "<img src=x onerror=alert(1)>\u202e.png"
    path.write_bytes(content)
    error = refusal(path, settings)
    assert error.code in codes
    assert "\u202e" not in error.message


def test_a_picture_of_another_form_than_its_first_bytes_say_is_not_tried_with_other_decoders(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(encoded("GIF"))
    with pytest.raises(ValueError, match="cannot be read"):
        picture_of(str(path), "PNG", "x.png", MAX_PICTURE_PIXELS)


def saved(tmp_path, image: Image.Image, form: str = "PNG", **how) -> Image.Image:
    path = tmp_path / f"odd.{form}"
    image.save(path, form, **how)
    return picture_of(str(path), form, "odd", MAX_PICTURE_PIXELS)


def test_odd_but_honest_pictures_become_upright_rgb(tmp_path):
    grey16 = Image.fromarray(np.full((8, 8), 32768, np.uint16))
    assert abs(saved(tmp_path, grey16).getpixel((4, 4))[0] - 128) <= 1
    assert saved(tmp_path, Image.new("RGBA", (8, 8), (255, 0, 0, 128))).getpixel((4, 4)) == (128, 0, 0)
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 255, 0, 0, 0, 255])
    assert saved(tmp_path, palette, transparency=1).getpixel((4, 4)) == (0, 0, 0)
    assert saved(tmp_path, palette).getpixel((4, 4)) == (0, 0, 255)
    assert saved(tmp_path, Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG").getpixel((4, 4))[0] > 200
    assert saved(tmp_path, Image.new("1", (8, 8), 1)).getpixel((4, 4)) == (255, 255, 255)
    first, second = (Image.new("RGB", (8, 8), colour) for colour in ((250, 0, 0), (0, 0, 250)))
    assert saved(tmp_path, first, "WEBP", save_all=True, append_images=[second], lossless=True).getpixel((4, 4)) == (250, 0, 0)
    turned = Image.Exif()
    turned[274] = 6  # the camera lay on its side
    lying = Image.new("RGB", (40, 20), (0, 200, 0))
    assert saved(tmp_path, lying, "JPEG", exif=turned).size == (20, 40)


def test_the_process_that_takes_the_upload_never_loads_a_picture_decoder(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded("PNG"))
    code = (
        "import sys; from pathlib import Path; from settings import Settings\n"
        "from extractors.stages import last; from extractors.stimuli import make_stimulus\n"
        "home = Path(sys.argv[1]); s = Settings(cache_dir=home / 'cache', canonical_height=90)\n"
        "clip, _ = last(make_stimulus('still start=0 seconds=15', pictures=[home / 'a.png'], settings=s))\n"
        "assert clip.has_video; assert not {'PIL', 'av'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
