from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from extractors.errors import MediaError
from extractors.frames import count_frames, iter_frames
from extractors.media import admit
from extractors.stages import last
from settings import ASSETS, Settings
from tests.films import bar, write_film


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Four seconds of picture at 10 per second under five seconds of sound."""
    folder = tmp_path_factory.mktemp("frames")
    path = write_film(folder / "a.mp4", 4, fps=10, size=(64, 48), audio_seconds=5.0)
    return last(admit(path, settings=Settings(cache_dir=folder / "cache"), allow_short=True))


def test_all_pictures_come_at_their_own_times_in_their_own_size(clip):
    times, pictures = zip(*iter_frames(clip), strict=True)
    np.testing.assert_allclose(times, np.arange(40) / 10, atol=1e-3)
    assert {picture.shape for picture in pictures} == {(48, 64, 3)}
    assert pictures[0].dtype == np.uint8
    drawn = np.stack([bar(k / 10, 64, 48) for k in range(40)]).astype(int)
    assert np.abs(np.stack(pictures) - drawn).mean() < 8


@pytest.fixture(scope="module")
def own(clip):
    """Its pictures, each once."""
    return [picture for _, picture in iter_frames(clip)]


@pytest.mark.parametrize("fps", [4, 10, 25, 7.5])
def test_a_picture_is_what_a_viewer_sees_at_that_time(clip, own, fps):
    times, pictures = zip(*iter_frames(clip, fps=fps), strict=True)
    np.testing.assert_allclose(times, np.arange(np.ceil(clip.duration * fps - 1e-6)) / fps)
    for time_s, picture in zip(times, pictures, strict=True):
        seen = min(int(time_s * 10 + 0.02), 39)  # the last picture stands while the sound goes on
        np.testing.assert_array_equal(picture, own[seen])


def test_a_small_picture_holds_the_mean_of_each_area(clip):
    _, whole = next(iter_frames(clip))
    _, small = next(iter_frames(clip, size=(16, 12)))
    means = whole.reshape(12, 4, 16, 4, 3).mean((1, 3))
    assert np.abs(small - means).mean() < 3


def test_a_film_is_found_by_a_relative_name_from_any_folder(clip, monkeypatch):
    monkeypatch.chdir(clip.path.parent)
    assert count_frames(replace(clip, path=Path(clip.path.name))) == 40


def test_closing_early_ends_the_decoder_at_once(clip):
    frames = iter_frames(clip, fps=1000)
    next(frames)
    start = time.monotonic()
    frames.close()
    assert time.monotonic() - start < 2


def test_pictures_belong_to_the_caller(clip):
    pictures = [picture for _, picture in iter_frames(clip, fps=10)]
    pictures[0][:] = 0
    assert pictures[1].max() > 0


@pytest.mark.parametrize("fps", [24, 25, 30, Fraction(30000, 1001)], ids=str)
def test_exact_pictures_are_those_decord_gives_of_the_upload(tmp_path, fps):
    options = {"preset": "veryfast", "bf": "3", "g": "20"}
    path = write_film(tmp_path / "a.mp4", 2, fps=fps, size=(320, 180), picture=waves, options=options)  # two or three groups of pictures
    assert_equal_decord(path, last(admit(path, settings=Settings(cache_dir=tmp_path / "cache"), allow_short=True)))


def test_exact_pictures_are_those_decord_gives_of_a_real_film(tmp_path):
    path = sorted((ASSETS / "examples").glob("*/clip.mp4"))[0]
    assert_equal_decord(path, last(admit(path, settings=Settings(cache_dir=tmp_path / "cache"))), limit=60)


def waves(time_s: float, width: int, height: int) -> np.ndarray:
    """Coloured waves that drift, so that no picture is like its neighbour."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([128 + 100 * np.sin((x + c * y) / (5 + c) + 4 * time_s) for c in range(3)], -1).astype(np.uint8)


def assert_equal_decord(path, clip, limit: int | None = None) -> None:
    """Same number of pictures, each of them like decord's of the same number and unlike its neighbours."""
    decord = pytest.importorskip("decord", reason="decord, which the published port used, is not installed")
    reader = decord.VideoReader(str(path), width=256, height=256)
    assert count_frames(clip) == len(reader)
    assert clip.fps == pytest.approx(reader.get_avg_fps(), rel=1e-6)
    ours = np.stack([picture for _, picture in islice(iter_frames(clip, size=(256, 256), exact=True), limit)])
    assert len(ours) == (limit or len(reader))
    theirs = reader.get_batch(range(len(ours))).asnumpy().astype(np.int16)
    difference = np.abs(ours - theirs)
    assert difference.mean((1, 2, 3)).max() <= 1
    moved = np.abs(np.diff(theirs, axis=0)).mean((1, 2, 3))
    assert np.median(moved) > 3 * difference.mean()


def test_counting_a_film_that_is_gone_says_so(clip, tmp_path):
    with pytest.raises(MediaError) as caught:
        count_frames(replace(clip, path=tmp_path / "gone.mp4"))
    assert caught.value.code == "clip_gone"


def test_counting_a_file_that_is_no_film_says_so(clip, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"nothing")
    with pytest.raises(MediaError):
        count_frames(replace(clip, path=tmp_path / "a.mp4"))
