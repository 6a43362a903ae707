from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis import label_permutation, sign_flip
from extractors.errors import StatisticsError


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_exact_sign_flips_equal_scipys(rng):
    differences = rng.normal(size=(8, 6)) + np.array([0, 0.3, 0.6, 0.9, 1.2, -2])
    got = sign_flip(differences)
    expected = stats.permutation_test(
        (differences,),
        lambda x, axis: np.abs(stats.ttest_1samp(x, 0, axis=axis).statistic),
        permutation_type="samples",
        alternative="greater",
        n_resamples=np.inf,
        axis=0,
        vectorized=True,
    )
    assert got.exact
    assert got.n_permutations == 256
    np.testing.assert_allclose(got.p, expected.pvalue, rtol=1e-12)
    np.testing.assert_allclose(got.t, stats.ttest_1samp(differences, 0).statistic, rtol=1e-9)
    np.testing.assert_allclose(got.q_fdr, stats.false_discovery_control(expected.pvalue), rtol=1e-12)


def test_exact_labels_equal_scipys_with_welchs_t(rng):
    a, b = rng.normal(size=(5, 6)), 2 * rng.normal(size=(6, 6)) + np.array([0, 0.5, 1, 1.5, 2, 4])
    got = label_permutation(a, b)
    expected = stats.permutation_test(
        (a, b),
        lambda x, y, axis: np.abs(stats.ttest_ind(x, y, axis=axis, equal_var=False).statistic),
        alternative="greater",
        n_resamples=np.inf,
        axis=0,
        vectorized=True,
    )
    assert got.exact
    assert got.n_permutations == 462
    np.testing.assert_allclose(got.p, expected.pvalue, rtol=1e-12)
    np.testing.assert_allclose(got.t, stats.ttest_ind(a, b, equal_var=False).statistic, rtol=1e-9)


def test_the_largest_statistic_corrects_over_all_curves_together(rng):
    differences = rng.normal(size=(7, 4)) + np.array([0, 0.5, 1, 3])
    got = sign_flip(differences)
    signs = np.array(np.meshgrid(*[[1, -1]] * 7)).reshape(7, -1).T
    largest = np.abs(stats.ttest_1samp(signs[:, :, None] * differences, 0, axis=1).statistic).max(1)
    expected = [(largest >= abs(t) - 1e-9).mean() for t in got.t]
    np.testing.assert_allclose(got.p_max, expected, rtol=1e-12)
    assert (got.p_max >= got.p).all()


def test_random_signs_agree_with_the_t_test_on_gaussian_differences(rng):
    differences = rng.normal(size=(40, 30)) + np.linspace(0, 0.6, 30)
    got = sign_flip(differences, n_permutations=20_000)
    assert not got.exact
    assert got.smallest_p == 1 / 20_001
    np.testing.assert_allclose(got.p, stats.ttest_1samp(differences, 0).pvalue, atol=0.015)


def test_the_smallest_p_is_reached_and_never_undercut(rng):
    far = rng.normal(size=(20, 3)) + 50
    got = sign_flip(far, n_permutations=999)
    assert got.p.tolist() == got.p_max.tolist() == [1 / 1000] * 3 == [got.smallest_p] * 3
    few = sign_flip(far[:6])
    assert few.p.tolist() == [2 / 64] * 3 == [few.smallest_p] * 3
    even = label_permutation(far[:4], far[4:8] - 99)
    assert even.p.tolist() == [2 / 70] * 3 == [even.smallest_p] * 3
    uneven = label_permutation(far[:4], far[4:9] - 99)
    assert uneven.smallest_p == 1 / 126
    assert (uneven.p >= uneven.smallest_p).all()


@pytest.mark.parametrize(("n", "exact"), [(6, True), (13, True), (14, False)])
def test_all_sign_patterns_are_used_when_fewer_than_ten_thousand_exist(rng, n, exact):
    got = sign_flip(rng.normal(size=(n, 2)))
    assert got.exact == exact
    assert got.n_permutations == (2**n if exact else 10_000)


def test_more_random_patterns_than_exist_are_never_drawn(rng):
    got = sign_flip(rng.normal(size=(14, 2)), n_permutations=20_000)
    assert got.exact
    assert got.n_permutations == 2**14


@pytest.mark.parametrize("n", [0, 1, 5])
def test_fewer_than_six_pairs_are_refused_with_the_reason(n):
    with pytest.raises(StatisticsError, match=r"6 or more pairs of clips to reach p = 0\.05, but got") as error:
        sign_flip(np.ones((n, 3)))
    assert error.value.code == "too_few"
    assert "without a p-value" in error.value.hint


def test_sets_and_relabellings_too_few_for_a_finding_are_refused(rng):
    for call in (
        lambda: label_permutation(rng.normal(size=(3, 2)), rng.normal(size=(9, 2))),
        lambda: sign_flip(rng.normal(size=(20, 2)), n_permutations=18),
    ):
        with pytest.raises(StatisticsError) as error:
            call()
        assert error.value.code == "too_few"
    with pytest.raises(StatisticsError):
        label_permutation(rng.normal(size=(9, 2)), rng.normal(size=(9, 3)))


def test_no_difference_at_all_is_no_finding_and_equal_differences_are_a_certain_one():
    got = sign_flip(np.stack([np.zeros(8), np.full(8, 0.1)], 1))
    assert got.t.tolist() == [0, np.inf]
    assert got.p.tolist() == [1.0, 2 / 256]
    same = label_permutation(np.full((5, 1), 4.1), np.full((5, 1), 4.1))
    assert same.p.tolist() == [1.0]
    apart = label_permutation(np.full((5, 1), 4.1), np.full((5, 1), 5.2))
    assert apart.t.tolist() == [-np.inf]
    assert apart.p.tolist() == [apart.smallest_p]


def test_a_curve_with_missing_clips_is_left_out_of_everything(rng):
    differences = rng.normal(size=(9, 4)) + 1
    spoilt = differences.copy()
    spoilt[3, 1], spoilt[4, 2] = np.nan, np.inf
    got, kept = sign_flip(spoilt), sign_flip(differences[:, [0, 3]])
    for name in ("t", "p", "p_max", "q_fdr"):
        assert np.isnan(getattr(got, name)).tolist() == [False, True, True, False]
        np.testing.assert_allclose(getattr(got, name)[[0, 3]], getattr(kept, name), rtol=1e-12)


@given(scale=st.floats(1e-6, 1e6), seed=st.integers(0, 99), n=st.sampled_from([6, 9, 15]))
@settings(max_examples=25, deadline=None)
def test_p_depends_neither_on_unit_nor_sign_nor_the_order_of_clips(scale, seed, n):
    rng = np.random.default_rng(seed)
    differences = rng.integers(-3, 5, size=(n, 3)).astype(float)  # many ties
    plain = sign_flip(differences, seed=1)
    np.testing.assert_array_equal(sign_flip(-scale * differences, seed=1).p, plain.p)
    if plain.exact:
        np.testing.assert_array_equal(sign_flip(rng.permutation(differences), seed=1).p, plain.p)


def test_the_same_seed_gives_the_same_p_whatever_the_memory(rng):
    differences = rng.normal(size=(20, 2, 5))
    one, two = sign_flip(differences, seed=3), sign_flip(differences, seed=3, batch_mb=0.01)
    assert one.p.shape == (2, 5)
    np.testing.assert_array_equal(one.p, two.p)
    np.testing.assert_array_equal(one.p_max, two.p_max)
    assert not np.array_equal(one.p, sign_flip(differences, seed=4).p)
    sets = label_permutation(differences[:9], differences[9:], seed=3), label_permutation(differences[:9], differences[9:], seed=3, batch_mb=0.01)
    np.testing.assert_array_equal(sets[0].p, sets[1].p)


@pytest.mark.parametrize("n", [6, 12, 30])
def test_sign_flips_find_nothing_in_nothing_more_often_than_they_say(n):
    noise = np.random.default_rng(n).normal(size=(n, 2000)) * np.linspace(0.5, 3, n)[:, None]  # clips of unequal reliability
    wrong = (sign_flip(noise, n_permutations=2000).p <= 0.05).mean()
    assert 0.018 <= wrong <= 0.066


def test_one_finding_among_many_curves_is_as_rare_as_the_corrected_p_says():
    rng = np.random.default_rng(5)
    wrong = np.mean([sign_flip(rng.normal(size=(8, 60)) + rng.normal(size=(8, 1))).p_max.min() <= 0.05 for _ in range(300)])
    assert wrong <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)


def test_labels_hold_when_the_larger_set_varies_more_where_the_plain_difference_of_means_does_not():
    rng = np.random.default_rng(6)
    a, b = 3 * rng.normal(size=(10, 1500)), rng.normal(size=(30, 1500))
    wrong = (label_permutation(a, b, n_permutations=999).p <= 0.05).mean()
    labels = rng.permuted(np.tile(np.arange(40) < 10, (999, 1)), axis=1)
    both = np.concatenate([a, b])
    apart = np.abs(labels @ both / 10 - ~labels @ both / 30)
    plain = (1 + (apart >= np.abs(a.mean(0) - b.mean(0))).sum(0)) / 1000
    assert wrong < 0.08
    assert (plain <= 0.05).mean() > 0.15
