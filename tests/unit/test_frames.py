from __future__ import annotations

import time

import numpy as np
import pytest

from extractors.frames import iter_frames
from extractors.media import admit
from extractors.stages import last
from settings import Settings
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


@pytest.mark.parametrize("fps", [4, 10, 25, 7.5])
def test_a_picture_is_what_a_viewer_sees_at_that_time(clip, fps):
    times, pictures = zip(*iter_frames(clip, fps=fps), strict=True)
    np.testing.assert_allclose(times, np.arange(np.ceil(clip.duration * fps - 1e-6)) / fps)
    own = [picture for _, picture in iter_frames(clip)]
    for time_s, picture in zip(times, pictures, strict=True):
        seen = min(int(time_s * 10 + 0.02), 39)  # the last picture stands while the sound goes on
        np.testing.assert_array_equal(picture, own[seen])


def test_a_small_picture_holds_the_mean_of_each_area(clip):
    _, whole = next(iter_frames(clip))
    _, small = next(iter_frames(clip, size=(16, 12)))
    means = whole.reshape(12, 4, 16, 4, 3).mean((1, 3))
    assert np.abs(small - means).mean() < 3


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
