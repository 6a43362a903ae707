"""Generated pictures: what each family promises, measured on its frames with other means than it was drawn with."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from encoder.training import scenes
from encoder.training.textures import dead_leaves, power_texture

SIZE = (54, 96)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def film(scene: scenes.Scene, seconds: float = 2.0, fps: float = 24.0) -> np.ndarray:
    """Grey levels, float [frames, height, width]."""
    return np.stack([scene(k / fps).mean(axis=-1) for k in range(round(seconds * fps))])


def shift_between(first: np.ndarray, second: np.ndarray) -> tuple[int, int]:
    """(down, right) by which the second picture is moved against the first: the peak of their circular cross-correlation."""
    spectrum = np.conj(np.fft.fft2(first - first.mean())) * np.fft.fft2(second - second.mean())
    peak = np.unravel_index(np.argmax(np.fft.ifft2(spectrum).real), first.shape)
    return tuple(int(place - extent if place > extent // 2 else place) for place, extent in zip(peak, first.shape, strict=True))


@pytest.mark.parametrize("size", [(54, 96), (27, 48), (90, 61)])
@pytest.mark.parametrize("family", scenes.FAMILIES)
def test_every_family_draws_whole_frames_of_any_size(family, size):
    for seed in range(4):
        scene = scenes.FAMILIES[family][0](rng(seed), size)
        for time in (0.0, 0.37, 40.0):
            frame = scene(time)
            assert frame.shape == (*size, 3)
            assert np.isfinite(frame).all()
            shown = scenes.to_bytes(frame)
            assert shown.dtype == np.uint8


@pytest.mark.parametrize("family", scenes.FAMILIES)
def test_a_seed_fixes_every_frame_in_whatever_order_frames_are_drawn(family):
    forwards, backwards = (scenes.FAMILIES[family][0](rng(5), SIZE) for _ in range(2))
    times = [0.0, 0.4, 1.1, 2.3]
    first = {time: scenes.to_bytes(forwards(time)) for time in times}
    second = {time: scenes.to_bytes(backwards(time)) for time in reversed(times)}
    for time in times:
        np.testing.assert_array_equal(first[time], second[time])


def test_nothing_touches_the_global_random_state():
    before = np.random.get_state()[1].copy()
    list(scenes.frames(scenes.random_shots(rng(), 20, SIZE), 5))
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.5])
def test_a_textures_spectrum_falls_as_asked(exponent):
    picture = power_texture(rng(1), (256, 256), exponent=exponent, colour=0, contrast=0.05)[..., 0]
    power = np.abs(np.fft.fft2(picture - picture.mean())) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256), indexing="ij"))
    band = (frequency > 4 / 256) & (frequency < 0.35)
    slope = np.polyfit(np.log(frequency[band]), np.log(power[band]), 1)[0]
    assert slope == pytest.approx(-2 * exponent, abs=0.15)


def test_dead_leaves_have_the_spectrum_of_natural_images():
    pictures = [dead_leaves(rng(seed), (128, 128)).mean(axis=-1) for seed in range(8)]
    power = np.mean([np.abs(np.fft.fft2(picture - picture.mean())) ** 2 for picture in pictures], axis=0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(128), np.fft.fftfreq(128), indexing="ij"))
    band = (frequency > 3 / 128) & (frequency < 0.35)
    assert -3.0 < np.polyfit(np.log(frequency[band]), np.log(power[band]), 1)[0] < -1.5


@pytest.mark.parametrize(("direction", "right", "down"), [(0.0, 1, 0), (math.pi, -1, 0), (math.pi / 2, 0, 1), (-math.pi / 2, 0, -1)])
def test_textures_and_dots_move_the_way_that_is_asked(direction, right, down):
    texture = scenes.drifting_texture(rng(2), SIZE, direction=direction, speed=0.4)
    dots = scenes.random_dots(rng(3), SIZE, coherence=1.0, direction=direction)
    for scene in (texture, dots):
        moved = shift_between(*(scene(time).mean(axis=-1) for time in (0.10, 0.18)))
        assert (np.sign(moved[0]), np.sign(moved[1])) == (down, right)


def test_a_gratings_flicker_at_one_place_is_its_rate():
    values = film(scenes.drifting_grating(rng(4), SIZE, direction=0.3, cycles=3, rate=4.0, contrast=0.5), seconds=4)[:, 20, 30]
    spectrum = np.abs(np.fft.rfft(values - values.mean()))
    assert np.fft.rfftfreq(len(values), 1 / 24)[np.argmax(spectrum)] == pytest.approx(4.0)


def test_motion_on_one_side_leaves_the_other_half_perfectly_still():
    for side, still, busy in (("left", slice(48, 96), slice(0, 48)), ("right", slice(0, 48), slice(48, 96))):
        for seed in range(20):
            frames = film(scenes.one_sided(rng(seed), SIZE, side=side), seconds=1)
            assert np.ptp(frames[:, :, still], axis=0).max() == 0
            assert np.ptp(frames[:, :, busy], axis=0).max() > 0.01


def test_what_looms_grows_within_each_period():
    seen = 0
    for seed in range(12):
        scene = scenes.looming(rng(seed), SIZE, inward=False)
        frames = film(scene, seconds=0.6, fps=10)
        corner = frames[0, 0, 0]
        areas = (np.abs(frames - corner) > 0.03).sum(axis=(1, 2))
        if np.ptp(frames[:, 0, 0]) == 0 and areas[0] > 0:  # the plain disc, not the zooming picture
            assert areas[-1] > areas[0]
            seen += 1
    assert seen >= 2


def test_a_flash_lasts_as_long_as_asked_and_fades_end_in_black():
    flashed = film(scenes.flashing(scenes.grey_field(rng(), SIZE, level=0.2), at=0.5, seconds=0.25), seconds=1, fps=100)[:, 0, 0]
    assert np.flatnonzero(flashed > 0.9).tolist() == list(range(50, 75))
    faded = scenes.fading(scenes.grey_field(rng(), SIZE, level=0.8), duration=2.0, fade_in=0.5, fade_out=0.5)
    assert [float(faded(time).mean()) for time in (0.0, 0.25, 1.0, 1.75, 2.0)] == pytest.approx([0, 0.4, 0.8, 0.4, 0], abs=1e-6)


def test_shots_fill_a_film_without_gaps_and_frames_come_on_time():
    shots = scenes.random_shots(rng(6), 61.3, SIZE, mean_shot=3.0)
    assert shots[0].start == 0
    assert shots[-1].end == 61.3
    assert all(first.end == second.start for first, second in pairwise(shots))
    assert min(shot.end - shot.start for shot in shots) >= 0.5
    times = [time for time, _ in scenes.frames(shots, 5)]
    assert times == pytest.approx(np.arange(len(times)) / 5)
    assert len(times) == math.ceil(61.3 * 5)


def test_a_cut_falls_on_the_first_frame_of_the_next_shot():
    black, white = (scenes.grey_field(rng(), SIZE, level=level) for level in (0.0, 1.0))
    shots = [scenes.Shot(0, 1.0, "grey", black), scenes.Shot(1.0, 2.0, "grey", white)]
    assert [int(frame[0, 0, 0]) for _, frame in scenes.frames(shots, 10)] == [0] * 10 + [255] * 10
