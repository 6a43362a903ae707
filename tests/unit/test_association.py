from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from analysis import circular_shift
from extractors.errors import StatisticsError


def slow_noise(rng: np.random.Generator, rows: int, curves: int, strength: float) -> np.ndarray:
    return signal.lfilter([1], [1, -strength], rng.standard_normal((rows + 200, curves)), axis=0)[200:]


@pytest.mark.parametrize("rows", [31, 40])
@pytest.mark.parametrize("guard", [1, 2, 7])
def test_r_and_p_equal_those_of_every_shift_turned_by_hand(rows, guard):
    rng = np.random.default_rng(0)
    a = slow_noise(rng, rows, 4, 0.6)
    b = 0.5 * a + slow_noise(rng, rows, 4, 0.6)
    got = circular_shift(a, b, guard_trs=guard)
    turns = [shift for shift in range(rows) if min(shift, rows - shift) >= guard]
    assert got.n_shifts == len(turns) == len(set(turns))
    assert got.smallest_p == 1 / (len(turns) + 1)
    for curve in range(4):
        r = np.corrcoef(a[:, curve], b[:, curve])[0, 1]
        turned = [abs(np.corrcoef(a[:, curve], np.roll(b[:, curve], shift))[0, 1]) for shift in turns]
        assert got.r[curve] == pytest.approx(r)
        assert got.p[curve] == pytest.approx((1 + sum(one >= abs(r) for one in turned)) / (1 + len(turns)))


def test_a_time_course_and_itself_reach_the_smallest_p_and_no_smaller():
    a = np.random.default_rng(1).normal(size=50)
    got = circular_shift(a, -a)
    assert got.r == pytest.approx(-1)
    assert got.p == got.smallest_p == 1 / 48


def test_only_the_valid_run_is_turned():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 60))
    valid = (np.arange(60) >= 15) & (np.arange(60) < 55)
    whole, cut = circular_shift(a, b, valid), circular_shift(a[15:55], b[15:55])
    assert (whole.r, whole.p, whole.n_shifts) == (cut.r, cut.p, cut.n_shifts)


def test_unrelated_slow_series_are_rarely_called_related():
    rng = np.random.default_rng(3)
    a, b = slow_noise(rng, 100, 2000, 0.6), slow_noise(rng, 100, 2000, 0.6)
    wrong = (circular_shift(a, b).p <= 0.05).mean()
    assert 0.03 <= wrong <= 0.065
    related = circular_shift(a, 0.6 * a + 0.8 * b).p
    assert (related <= 0.05).mean() > 0.9


def test_a_constant_series_has_no_association():
    got = circular_shift(np.full((30, 1), 0.1), np.random.default_rng(4).normal(size=(30, 1)))
    assert np.isnan(got.r).all()
    assert np.isnan(got.p).all()


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda a: circular_shift(a, a[:9]), "shape"),
        (lambda a: circular_shift(a, a, np.arange(20) != 9), "valid"),
        (lambda a: circular_shift(a, a, guard_trs=11), "too_short"),
        (lambda a: circular_shift(a, a, guard_trs=0), "too_short"),
    ],
    ids=["shapes", "gap in the rows", "guard too wide", "no guard"],
)
def test_what_cannot_be_turned_is_refused_by_name(call, code):
    with pytest.raises(StatisticsError) as error:
        call(np.random.default_rng(5).normal(size=20))
    assert error.value.code == code
