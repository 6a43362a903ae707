from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from analysis import pairwise_agreement, sliding_agreement
from extractors.errors import StatisticsError


@pytest.fixture
def values():
    rng = np.random.default_rng(0)
    return rng.normal(size=(1, 50, 3)) + 0.7 * rng.normal(size=(4, 50, 3))


def mean_of_pairs(series: np.ndarray) -> float:
    return float(np.mean([np.corrcoef(series[one], series[two])[0, 1] for one, two in combinations(range(len(series)), 2)]))


def test_agreement_is_the_mean_of_all_pairs_correlations(values):
    valid = np.arange(50) >= 12
    got = pairwise_agreement(values.astype(np.float32), valid)
    np.testing.assert_allclose(got, [mean_of_pairs(values[:, valid, curve]) for curve in range(3)], atol=1e-6)
    assert pairwise_agreement(values[:, :, 0]).shape == ()


def test_agreement_of_copies_is_one_and_of_opposites_minus_one(values):
    copies = np.repeat(values[:1], 4, 0) * np.array([1, 2, 3, 4]).reshape(4, 1, 1) + 5
    np.testing.assert_allclose(pairwise_agreement(copies), 1)
    np.testing.assert_allclose(pairwise_agreement(np.stack([values[0], -values[0]])), -1)


def test_planted_agreement_is_returned():
    rng = np.random.default_rng(1)
    shared = rng.normal(size=(1, 40_000, 3))
    noisy = shared + np.array([0.3, 1.0, 3.0]) * rng.normal(size=(4, 40_000, 3))
    np.testing.assert_allclose(pairwise_agreement(noisy), 1 / (1 + np.array([0.3, 1.0, 3.0]) ** 2), atol=0.02)


def test_the_window_slides_over_valid_rows_only_and_says_where_its_middle_is(values):
    valid = np.ones(50, bool)
    valid[[0, 1, 30]] = False
    agreement, centres = sliding_agreement(values, valid, window_trs=9)
    firsts = [k for k in range(50 - 8) if valid[k : k + 9].all()]
    assert centres.tolist() == [k + 4 for k in firsts]
    expected = [[mean_of_pairs(values[:, k : k + 9, curve]) for curve in range(3)] for k in firsts]
    np.testing.assert_allclose(agreement, expected, atol=1e-12)
    assert sliding_agreement(values, window_trs=20)[1][0] == 9.5


def test_a_subject_that_is_constant_leaves_no_agreement_there(values):
    values = values.astype(np.float32)
    values[2, 10:25, 1] = 0.1
    agreement, centres = sliding_agreement(values, window_trs=10)
    inside = (centres >= 14.5) & (centres <= 19.5)
    np.testing.assert_array_equal(np.isnan(agreement), inside[:, None] & (np.arange(3) == 1))
    values[2, :, 1] = 1e6
    assert np.isnan(pairwise_agreement(values)).tolist() == [False, True, False]


def test_a_clip_shorter_than_the_window_has_no_windows(values):
    for agreement, centres in (sliding_agreement(values, window_trs=51), sliding_agreement(values, np.arange(50) < 15)):
        assert agreement.shape == (0, 3)
        assert centres.shape == (0,)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda values: pairwise_agreement(values[:1]), "too_few_subjects"),
        (lambda values: pairwise_agreement(values, np.zeros(50, bool)), "valid"),
        (lambda values: sliding_agreement(values, window_trs=2), "window"),
    ],
    ids=["one subject", "no valid row", "window of two"],
)
def test_what_has_no_agreement_is_refused_by_name(values, call, code):
    with pytest.raises(StatisticsError) as error:
        call(values)
    assert error.value.code == code
