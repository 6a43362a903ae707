from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from analysis import beyond, change, interval, spectra
from extractors.errors import StatisticsError


def slow_noise(rng: np.random.Generator, rows: int, curves: int, strength: float) -> np.ndarray:
    """Stationary AR(1) series of unit variance, [rows, curves]."""
    white = rng.standard_normal((rows + 200, curves)) * np.sqrt(1 - strength**2)
    return signal.lfilter([1], [1, -strength], white, axis=0)[200:]


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(2, 60, 5))
    return a, 0.6 * a + 0.5 * rng.normal(size=a.shape) + 0.3


def test_sizes_equal_numpys_over_the_rows_that_count(pair):
    a, b = pair
    valid = np.arange(60) > 14
    got = change(a.astype(np.float32), b.astype(np.float32), valid)
    kept_a, kept_b = a[1, valid, 3], b[1, valid, 3]
    expected = {
        "r": np.corrcoef(kept_a, kept_b)[0, 1],
        "change": np.std(kept_a - kept_b) / np.std(kept_a),
        "difference": np.mean(kept_a) - np.mean(kept_b),
        "sd_a": np.std(kept_a),
        "sd_b": np.std(kept_b),
    }
    assert {name: size[1, 3] for name, size in got.items()} == pytest.approx(expected, rel=1e-5)
    assert all(size.shape == (2, 5) and size.dtype == np.float64 for size in got.values())


def test_rows_that_do_not_count_change_nothing(pair):
    a, b = pair
    valid = np.arange(60) % 7 != 0
    spoilt = np.where(valid[:, None], b, 1e6)
    for name, size in change(a, b, valid).items():
        np.testing.assert_array_equal(size, change(a, spoilt, valid)[name])


@given(scale=st.floats(0.1, 10), offset=st.floats(-100, 100))
@settings(max_examples=30, deadline=None)
def test_a_change_in_time_course_ignores_offsets_and_the_unit(scale, offset):
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 40, 2))
    plain, moved = change(a, b), change(scale * a + offset, scale * b)
    np.testing.assert_allclose(moved["change"], plain["change"], rtol=1e-9)
    np.testing.assert_allclose(moved["r"], plain["r"], rtol=1e-9)
    np.testing.assert_allclose(moved["difference"], scale * plain["difference"] + offset, rtol=1e-9, atol=1e-9)


def test_nothing_changed_is_zero_change_and_a_constant_a_has_no_size():
    a = np.random.default_rng(2).normal(size=(40, 2)).astype(np.float32)
    same = change(a, a + 1)
    assert same["change"] == pytest.approx(0, abs=1e-6)
    assert same["difference"] == pytest.approx(-1)
    lost = change(np.full((40, 2), 0.1, np.float32), a)
    assert np.isnan(lost["change"]).all()
    assert np.isnan(lost["r"]).all()
    assert (lost["sd_a"] == 0).all()
    gone = change(a, np.zeros_like(a))
    assert gone["change"] == pytest.approx(1)
    assert np.isnan(gone["r"]).all()


@pytest.mark.parametrize("statistic", ["r", "change", "difference"])
@pytest.mark.parametrize(("rows", "strength"), [(40, 0.35), (100, 0.6)])
def test_intervals_hold_the_planted_size_as_often_as_they_say(statistic, rows, strength):
    rng = np.random.default_rng(3)
    trials = 600
    kept, added = rng.uniform(0, 1, trials), rng.uniform(0.1, 1, trials)
    a = slow_noise(rng, rows, trials, strength)
    b = kept * a + added * slow_noise(rng, rows, trials, strength) - 0.4
    truth = {"r": kept / np.hypot(kept, added), "change": np.hypot(1 - kept, added), "difference": 0.4}[statistic]
    low, high = interval(a, b, statistic=statistic, draws=400)
    held = ((low <= truth) & (truth <= high)).mean()
    assert 0.92 <= held <= 0.995  # 600 trials: three standard errors are 0.027


def test_intervals_lie_around_their_size_and_inside_what_it_can_be(pair):
    a, b = pair
    sizes = change(a, b)
    for statistic in ("r", "change", "difference"):
        low, high = interval(a, b, statistic=statistic)
        assert (low < sizes[statistic]).all()
        assert (sizes[statistic] < high).all()
        assert low.shape == (2, 5)
    low, high = interval(a, b, statistic="r")
    assert (low >= -1).all()
    assert (high <= 1).all()
    assert (interval(a, b, statistic="change")[0] >= 0).all()


def test_an_interval_is_the_same_for_the_same_seed_and_for_a_curve_alone(pair):
    a, b = pair
    together = interval(a, b, statistic="change", seed=4)
    np.testing.assert_array_equal(together, interval(a, b, statistic="change", seed=4))
    alone = interval(a[1, :, 2], b[1, :, 2], statistic="change", seed=4)
    np.testing.assert_allclose([one[1, 2] for one in together], alone, rtol=1e-12)
    assert not np.array_equal(together, interval(a, b, statistic="change", seed=5))


def test_many_parcels_in_batches_have_the_intervals_they_have_alone(pair, monkeypatch):
    a, b = pair
    whole = interval(a, b, statistic="r")
    monkeypatch.setattr("analysis.contrasts.CURVES_AT_ONCE", 3)
    np.testing.assert_allclose(interval(a, b, statistic="r"), whole, rtol=1e-12)


def test_a_slow_series_has_a_wider_interval_than_a_quick_one():
    rng = np.random.default_rng(5)
    widths = []
    for strength in (0.0, 0.9):
        a, b = slow_noise(rng, 400, 40, strength), slow_noise(rng, 400, 40, strength)
        low, high = interval(a, b, statistic="difference")
        widths.append(np.median(high - low))
    assert widths[1] > 2 * widths[0]


def test_where_nothing_varies_the_interval_is_the_size_and_short_clips_have_none(pair):
    a, _ = pair
    for statistic, size in (("change", 0.0), ("r", 1.0)):
        low, high = interval(a, a, statistic=statistic)
        assert (low == size).all()
        assert (high == size).all()
    low, high = interval(a, np.zeros_like(a), statistic="r")
    assert np.isnan(low).all()
    assert np.isnan(high).all()
    assert np.isnan(interval(a[:, :19], a[:, :19] + 1, statistic="difference")).all()


def test_a_size_stands_outside_when_it_is_larger_than_every_null_edit_either_way():
    null = np.array([[0.1, -0.5], [0.3, 0.2], [-0.2, 0.1], [0.05, 0.4]])
    found = beyond(np.array([-0.25, 0.9]), null)
    assert found.n == 4
    assert found.largest.tolist() == [0.3, 0.5]
    assert found.share.tolist() == [0.25, 0.0]
    assert found.outside.tolist() == [False, True]


def test_one_more_null_edit_is_outside_as_often_as_chance_says():
    sizes = np.random.default_rng(6).normal(size=(11, 20_000))
    assert beyond(sizes[0], sizes[1:]).outside.mean() == pytest.approx(1 / 11, abs=0.01)


def test_an_unknown_size_is_never_outside():
    found = beyond(np.array([np.nan, 3.0]), np.array([[0.1, 0.1], [0.1, np.nan]]))
    assert found.outside.tolist() == [False, False]
    assert np.isnan(found.share).all()


def test_spectra_of_unequal_clips_share_their_frequencies_and_find_a_planted_rhythm():
    tr, rhythm = 1.49, 0.1
    rng = np.random.default_rng(7)
    long = np.sin(2 * np.pi * rhythm * tr * np.arange(90))[:, None] + 0.1 * rng.normal(size=(90, 3))
    short = rng.normal(size=(50, 3))
    frequencies, power_long, power_short = spectra(long, short, tr=tr)
    assert power_long.shape == power_short.shape == (len(frequencies), 3)
    assert frequencies[power_long.argmax(0)] == pytest.approx(rhythm, abs=1 / (32 * tr))
    assert np.trapezoid(power_short, frequencies, axis=0) == pytest.approx(1, rel=0.6)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda a, b: change(a, b[:, :9]), "shape"),
        (lambda a, b: change(a, b, np.zeros(60, bool)), "valid"),
        (lambda a, b: change(a, b, np.ones(59, bool)), "valid"),
        (lambda a, b: interval(a, b, statistic="mean"), "unknown_statistic"),
        (lambda a, b: interval(a, b, statistic="r", block=31), "block"),
        (lambda a, b: beyond(np.zeros(3), np.zeros((0, 3))), "null_shape"),
        (lambda a, b: spectra(a[:, :7], b, tr=1.49), "too_short"),
    ],
    ids=["shapes", "no valid row", "mask of another length", "statistic", "block", "no null edit", "short spectrum"],
)
def test_what_cannot_be_compared_is_refused_by_name(pair, call, code):
    with pytest.raises(StatisticsError) as error:
        call(*pair)
    assert error.value.code == code
    assert error.value.hint
