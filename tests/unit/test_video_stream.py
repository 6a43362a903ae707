"""The picture stream against pymoten, NumPy and films whose content is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extractors import video
from extractors.errors import FeatureError
from extractors.grid import TR

H, W = video.HEIGHT, video.WIDTH
COLUMN = {name: i for i, name in enumerate(video.VIDEO_NAMES)}


def stream(frames, n_trs, *, fps=video.FPS, start=0.0):
    accumulator = video.VideoAccumulator(n_trs)
    for i, frame in enumerate(frames):
        accumulator.add(frame, start + i / fps)
    return accumulator.finish()


def grey(value, shape=(H, W)):
    return np.full((*shape, 3), value, np.uint8)


def grating(seconds, *, dx=0.0, dy=0.0, half=None, fps=video.FPS):
    """A grating of 4 cycles per picture height that drifts ``dx``, ``dy`` pixels a frame, everywhere or in one half."""
    x, y = np.arange(W)[None, :], np.arange(H)[:, None]
    for i in range(int(seconds * fps)):
        phase = (x - i * dx) * (dx != 0) + (y - i * dy) * (dy != 0)
        picture = np.broadcast_to(127 + 100 * np.sin(2 * np.pi * phase / 13.5), (H, W)).copy()
        if half == "left":
            picture[:, W // 2 :] = 127
        elif half == "right":
            picture[:, : W // 2] = 127
        yield np.repeat(picture.astype(np.uint8)[..., None], 3, axis=2)


def mean_of(row, pattern):
    """Mean of the columns whose name holds every part of ``pattern``."""
    return row[[i for name, i in COLUMN.items() if all(part in name for part in pattern.split())]].mean()


def test_every_column_has_its_own_name():
    assert len(set(video.VIDEO_NAMES)) == video.VIDEO_DIM == len(video.VIDEO_NAMES)


def test_filter_amplitudes_are_those_of_pymoten():
    from moten.core import raw_project_stimulus
    from moten.pyramids import MotionEnergyPyramid

    rng = np.random.default_rng(3)
    frames = rng.random((40, H, W)).astype(np.float32)
    bank = video.filter_bank()
    motion, static = video.filter_amplitudes(frames.reshape(40, -1) @ bank.gabors)
    pyramid = MotionEnergyPyramid(
        stimulus_vhsize=(H, W),
        stimulus_fps=video.FPS,
        temporal_frequencies=[0, *video.TEMPORAL],
        spatial_frequencies=list(video.SPATIAL),
        filter_spacing=2.0,
        max_spatial_env=0.22,
    )
    chosen = pyramid.filters[::7]
    oracle = np.hypot(*raw_project_stimulus(frames, chosen))[bank.past : bank.past + len(motion)]
    for column, one in zip(oracle.T, chosen, strict=True):
        place = np.flatnonzero(
            (bank.frequency == one["spatial_freq"]) & np.isclose(bank.x, one["centerh"] - W / H / 2) & np.isclose(bank.y, 0.5 - one["centerv"])
        )
        direction = int(one["direction"] // 45)
        if one["temporal_freq"] == 0:
            ours = static[:, direction, place[0]]
        else:  # pymoten's filters answer to the opposite of the direction they are drawn for
            ours = motion[:, video.TEMPORAL.index(one["temporal_freq"]), (direction + 4) % 8, place[0]]
        assert np.corrcoef(ours, column)[0, 1] > 0.9999


@pytest.mark.parametrize(("direction", "dx", "dy"), [(0, 2, 0), (180, -2, 0), (90, 0, -2), (270, 0, 2)])
def test_motion_columns_name_the_direction_in_which_things_move(direction, dx, dy):
    row = stream(grating(7, dx=dx, dy=dy), 4)[2]
    energy = {angle: mean_of(row, f"motion.{angle}deg.") for angle in video.DIRECTIONS}
    assert max(energy, key=energy.get) == direction
    assert energy[direction] > 3 * energy[(direction + 180) % 360]


@pytest.mark.parametrize(("half", "other"), [("left", "right"), ("right", "left")])
def test_motion_in_one_half_of_the_picture_stays_in_the_columns_of_that_half(half, other):
    row = stream(grating(7, dx=2, half=half), 4)[2]
    assert mean_of(row, f"motion.0deg {half}_periphery") > 4 * mean_of(row, f"motion.0deg {other}_periphery")
    assert mean_of(row, f"motion.4cpi {half}") > 2 * mean_of(row, f"motion.4cpi {other}")
    columns = {"left": "column0", "right": "column3"}
    assert mean_of(row, f"flicker {columns[half]}") > 0.3
    assert mean_of(row, f"flicker {columns[other]}") == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("sign", "kind"), [(1, "outward"), (-1, "inward")])
def test_looming_is_outward_motion_and_receding_is_inward(sign, kind):
    y, x = np.mgrid[:H, :W]
    radius = np.hypot(y - H / 2, x - W / 2)
    pictures = (127 + 100 * np.sin(2 * np.pi * (radius - sign * 2 * i) / 13.5) for i in range(90))
    row = stream((np.repeat(p.astype(np.uint8)[..., None], 3, 2) for p in pictures), 4)[2]
    flows = {name: row[COLUMN[f"motion.{name}"]] for name in ("outward", "inward", "anticlockwise", "clockwise")}
    assert max(flows, key=flows.get) == kind


@pytest.mark.parametrize(("sign", "kind"), [(1, "anticlockwise"), (-1, "clockwise")])
def test_a_turning_wheel_turns_the_way_its_column_says(sign, kind):
    y, x = np.mgrid[:H, :W]
    angle = np.arctan2(H / 2 - y, x - W / 2)
    pictures = (127 + 100 * np.sin(8 * angle - sign * i * 2 * np.pi / 6) for i in range(90))
    row = stream((np.repeat(p.astype(np.uint8)[..., None], 3, 2) for p in pictures), 4)[2]
    flows = {name: row[COLUMN[f"motion.{name}"]] for name in ("outward", "inward", "anticlockwise", "clockwise")}
    assert max(flows, key=flows.get) == kind


def test_luminance_contrast_and_colour_are_what_numpy_measures_in_the_pixels():
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (H, W, 3), dtype=np.uint8)
    frame[:, : W // 2] //= 3
    row = stream([frame] * 20, 1)[0]
    rgb = frame / 255
    luma = rgb @ [0.2126, 0.7152, 0.0722]
    corner, far = luma[:18, :24], luma[36:, 72:]
    assert row[COLUMN["luminance.mean"]] == pytest.approx(luma.mean(), abs=1e-4)
    assert row[COLUMN["luminance.row0_column0"]] == pytest.approx(corner.mean(), abs=1e-4)
    assert row[COLUMN["luminance.row2_column3"]] == pytest.approx(far.mean(), abs=1e-4)
    assert row[COLUMN["contrast.row0_column0"]] == pytest.approx(corner.std(), abs=1e-3)
    assert row[COLUMN["contrast.whole"]] == pytest.approx(luma.std(), abs=1e-3)
    assert row[COLUMN["red_green.spread"]] == pytest.approx((rgb[..., 0] - rgb[..., 1]).std(), abs=1e-3)


def test_a_red_left_half_and_a_blue_right_half_are_told_apart():
    frame = np.zeros((H, W, 3), np.uint8)
    frame[:, : W // 2, 0] = 255
    frame[:, W // 2 :, 2] = 255
    row = stream([frame] * 20, 1)[0]
    assert row[COLUMN["red_green.left_centre"]] == pytest.approx(1, abs=1e-4)
    assert row[COLUMN["blue_yellow.right_periphery"]] == pytest.approx(-1, abs=1e-4)
    assert row[COLUMN["red_green.right_centre"]] == pytest.approx(0, abs=1e-4)


def test_a_row_averages_what_lies_in_its_own_tr():
    n_trs = 6
    change = 3 * TR
    frames = [grey(50 if i / 24 < change else 200) for i in range(int(n_trs * TR * 24) + 1)]
    luma = stream(frames, n_trs, fps=24)[:, COLUMN["luminance.mean"]]
    # A frame on screen at the boundary may fill the last grid frame before it, never more.
    np.testing.assert_allclose(luma, np.array([50, 50, 50, 200, 200, 200]) / 255, atol=1 / 17)


def test_cuts_are_counted_where_they_are_and_flashes_and_motion_are_none():
    rng = np.random.default_rng(5)
    scenes = [rng.integers(0, 256, (6, 8, 3), dtype=np.uint8).repeat(9, 0).repeat(12, 1) for _ in range(3)]
    frames = [scenes[0]] * 40 + [scenes[1]] * 40 + [scenes[2]] * 60
    cuts = stream(frames, 7)[:, COLUMN["cuts.count"]]
    expected = np.zeros(7)
    for frame in (40, 80):
        expected[int(frame / 12 / TR)] += 1
    np.testing.assert_allclose(cuts, np.log1p(expected), atol=1e-6)

    flash = [scenes[0]] * 40 + [grey(255)] * 2 + [scenes[0]] * 60
    assert stream(flash, 5)[:, COLUMN["cuts.count"]].sum() == 0
    assert stream(grating(8, dx=5), 5)[:, COLUMN["cuts.count"]].sum() == 0


def test_time_since_the_last_cut_starts_again_at_a_cut():
    rng = np.random.default_rng(6)
    scenes = [rng.integers(0, 256, (6, 8, 3), dtype=np.uint8).repeat(9, 0).repeat(12, 1) for _ in range(2)]
    since = np.expm1(stream([scenes[0]] * 60 + [scenes[1]] * 120, 10)[:, COLUMN["cuts.since_last"]])
    expected = [(k + 1) * TR - (5 if (k + 1) * TR > 5 else 0) for k in range(10)]
    np.testing.assert_allclose(since, np.minimum(expected, 10), atol=1e-4)


def test_a_flash_is_a_rise_and_a_fall_of_luminance():
    frames = [grey(20)] * 30 + [grey(250)] * 3 + [grey(20)] * 60
    features = stream(frames, 4)
    for name in ("luminance.rise", "luminance.fall", "flicker.peak"):
        assert features[:, COLUMN[name]].argmax() == 1
        assert features[0, COLUMN[name]] == 0


@settings(max_examples=25, deadline=None)
@given(
    n_trs=st.integers(0, 6),
    fps=st.sampled_from([5.0, 10.0, 23.976, 60.0]),
    start=st.floats(-0.5, 2.0),
    coverage=st.floats(0.05, 1.3),
    seed=st.integers(0, 99),
)
def test_there_are_always_n_trs_finite_rows(n_trs, fps, start, coverage, seed):
    rng = np.random.default_rng(seed)
    times = start + np.cumsum(rng.exponential(1 / fps, max(1, int(n_trs * TR * fps * coverage))))
    accumulator = video.VideoAccumulator(n_trs)
    for time in times:
        accumulator.add(rng.integers(0, 256, (20, 36, 3), dtype=np.uint8), time)
    features = accumulator.finish()
    assert features.shape == (n_trs, video.VIDEO_DIM)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert np.abs(features).max(initial=0) < 10


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 500), excess=st.floats(0, 1.48))
def test_every_row_of_a_film_of_any_length_holds_frames(count, excess):
    accumulator = video.VideoAccumulator(count)
    rows = accumulator._row
    assert len(np.unique(rows)) == count
    starts = np.arange(len(rows)) / video.FPS
    assert (starts >= rows * TR - 1e-5).all()
    assert (starts < (rows + 1) * TR + 1e-5).all()
    assert len(rows) == math.ceil(count * TR * video.FPS - 1e-6)


def test_before_the_first_frame_and_after_the_last_the_picture_stands_still():
    features = stream([grey(90)] * 3, 5, start=3.0)
    np.testing.assert_allclose(features[:, COLUMN["luminance.mean"]], 90 / 255, atol=1e-5)
    assert np.ptp(features[:, COLUMN["flicker.peak"]]) == 0


def test_uneven_frame_times_show_the_same_film_as_even_ones():
    rng = np.random.default_rng(1)
    even = list(grating(9, dx=1, fps=24))
    accumulator = video.VideoAccumulator(5)
    for i, frame in enumerate(even):  # every picture stays on screen for the same grid frames, but some are sent again
        accumulator.add(frame, i / 24)
        if rng.random() < 0.4:
            accumulator.add(frame, i / 24 + rng.uniform(0.001, 0.04))
    np.testing.assert_allclose(accumulator.finish(), stream(even, 5, fps=24), atol=1e-6)


def test_batches_leave_no_trace_in_the_result():
    frames = list(grating(12, dx=1.5))
    whole = stream(frames, 8)
    usual = video._BATCH
    try:
        video._BATCH = 7
        np.testing.assert_allclose(stream(frames, 8), whole, atol=1e-5)
    finally:
        video._BATCH = usual


def test_a_black_film_and_a_grey_one_give_constant_rows():
    for value in (0, 128):
        features = stream([grey(value)] * 200, 10)
        still = np.delete(features, COLUMN["cuts.since_last"], axis=1)
        np.testing.assert_allclose(still, np.broadcast_to(still[0], still.shape), atol=1e-5)
    np.testing.assert_allclose(stream([grey(0)] * 20, 1)[0, : COLUMN["luminance.dark_share"]], 0, atol=1e-6)


def test_frames_of_any_size_show_the_same_picture():
    large = grey(0, (720, 1280))
    large[:360, :640] = 200
    small = grey(0)
    small[: H // 2, : W // 2] = 200
    np.testing.assert_allclose(stream([large] * 20, 1), stream([small] * 20, 1), atol=0.02)


def test_the_callers_buffer_may_be_used_again():
    buffer = grey(10)
    accumulator = video.VideoAccumulator(1)
    accumulator.add(buffer, 0.0)
    buffer[:] = 255
    assert accumulator.finish()[0, COLUMN["luminance.mean"]] == pytest.approx(10 / 255, abs=1e-5)


def test_a_picture_track_without_frames_and_a_wrong_frame_are_named():
    with pytest.raises(FeatureError) as empty:
        video.VideoAccumulator(3).finish()
    assert empty.value.code == "no_frames"
    with pytest.raises(FeatureError, match="uint8") as wrong:
        video.VideoAccumulator(3).add(np.zeros((4, 4), np.uint8), 0)
    assert wrong.value.code == "bad_frame"
