from __future__ import annotations

import numpy as np
import pytest

from analysis import block_bootstrap, known_ceiling, mean_correlation, pearson, pooled_slope, repeat_ceiling, slope


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_pearson_equals_numpys_for_every_parcel(rng):
    a, b = rng.normal(size=(2, 60, 5))
    expected = [np.corrcoef(a[:, parcel], b[:, parcel])[0, 1] for parcel in range(5)]
    np.testing.assert_allclose(pearson(a, b), expected, atol=1e-12)
    np.testing.assert_allclose(pearson(a.T, b.T, axis=1), expected, atol=1e-12)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6])
def test_a_constant_parcel_has_no_correlation_and_is_left_out_of_the_mean(rng, constant):
    a, b = rng.normal(size=(2, 60, 3))
    a[:, 1] = constant
    r = pearson(a.astype(np.float32), b)
    assert np.isnan(r).tolist() == [False, True, False]
    assert mean_correlation(r) == pytest.approx((r[0] + r[2]) / 2)
    assert np.isnan(slope(b, a)[1])
    assert np.isnan(mean_correlation(r[1:2]))


def test_slope_equals_numpys_regression_of_truth_on_prediction(rng):
    prediction = rng.normal(size=(80, 3))
    truth = prediction * [0.5, 1, 2] + rng.normal(size=(80, 3)) + 4
    expected = [np.polyfit(prediction[:, parcel], truth[:, parcel], 1)[0] for parcel in range(3)]
    np.testing.assert_allclose(slope(truth, prediction), expected, atol=1e-12)


def test_the_pooled_slope_ignores_offsets_and_weighs_parcels_by_their_power():
    t = np.linspace(0, 9, 200)
    prediction = np.stack([np.sin(t), 10 * np.cos(t)], 1)
    truth = prediction * [5.0, 1.0] + [3.0, -7.0]
    assert pooled_slope(truth, prediction) == pytest.approx(1.0, abs=0.1)
    assert pooled_slope(prediction * 2 + 1, prediction) == pytest.approx(2.0)


def test_the_known_ceiling_is_what_the_true_signal_reaches_against_noisy_data(rng):
    signal = rng.normal(size=(50_000, 4)) * [0.2, 0.5, 1, 3]
    noise = np.array([1.0, 1.0, 0.5, 0.1])
    noisy = signal + rng.normal(size=signal.shape) * np.sqrt(noise)
    np.testing.assert_allclose(known_ceiling(signal, noise), pearson(signal, noisy), atol=0.02)
    assert known_ceiling(np.zeros((9, 1)), np.ones(1)).tolist() == [0.0]


def test_the_repeat_ceiling_agrees_with_the_known_one(rng):
    signal = rng.normal(size=(50_000, 2)) * [0.5, 2]
    repeats = signal + rng.normal(size=(2, *signal.shape))
    np.testing.assert_allclose(repeat_ceiling(*repeats), known_ceiling(signal, np.ones(2)), atol=0.03)


def test_the_bootstrap_interval_of_a_mean_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(3)
    covered = 0
    for trial in range(60):
        noise = rng.normal(size=420)
        series = np.zeros(400)
        for k in range(400):
            series[k] = 0.7 * series[k - 1] + noise[k]
        low, high = block_bootstrap(np.mean, series, block=25, draws=200, seed=trial)
        covered += low <= 0 <= high
    assert 48 <= covered <= 60


def test_blocks_give_a_wider_interval_than_single_rows_when_neighbours_resemble_each_other():
    series = np.repeat(np.random.default_rng(1).normal(size=30), 20)
    narrow = block_bootstrap(np.mean, series, block=1)
    wide = block_bootstrap(np.mean, series, block=40)
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])


def test_series_are_drawn_together_and_blocks_stay_inside_their_clip():
    clips = np.repeat([0, 1, 2], [30, 7, 50])
    row = np.arange(87)
    jumps = []

    def look(drawn, numbers):
        assert (clips[numbers] == drawn).all()
        neighbours = np.diff(numbers) == 1
        jumps.append((np.diff(drawn)[neighbours] != 0).sum() / max(1, neighbours.sum()))
        return 0.0

    block_bootstrap(look, clips, row, clip_lengths=(30, 7, 50), block=10, draws=50)
    assert len(jumps) == 50
    assert np.mean(jumps) < 0.02  # only where a block happens to end where the next clip's first block begins


def test_lengths_that_do_not_add_up_are_refused():
    with pytest.raises(ValueError, match="as many rows"):
        block_bootstrap(np.mean, np.zeros(10), clip_lengths=(4, 5))
