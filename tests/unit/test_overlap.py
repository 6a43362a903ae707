from __future__ import annotations

import threading
import time

import pytest

from extractors.overlap import overlapping
from extractors.stages import Stage, last


def steps(name, count, result, *, wait=0.02, closed=None, fail_at=None):
    try:
        for k in range(count):
            if k == fail_at:
                raise ValueError(f"{name} failed")
            time.sleep(wait)
            yield Stage(name, k + 1, count, name)
        yield result
    finally:
        if closed is not None:
            closed.append(name)


def test_both_results_come_last_and_every_stage_of_both_is_told_in_order():
    told = []
    result = last(overlapping(steps("main", 5, "m"), steps("side", 8, "s")), told.append)
    assert result == ("m", "s")
    for name, count in (("main", 5), ("side", 8)):
        assert [stage.done for stage in told if stage.name == name] == list(range(1, count + 1))


def test_two_waiting_jobs_take_as_long_as_the_longer_one():
    began = time.monotonic()
    last(overlapping(steps("main", 5, 1, wait=0.1), steps("side", 5, 2, wait=0.1)))
    assert time.monotonic() - began < 0.85  # one after the other: 1.0


@pytest.mark.parametrize(("main_wait", "side_wait"), [(0.05, 0.5), (0.05, 0.05)])
def test_closing_ends_both_jobs_within_two_seconds(main_wait, side_wait):
    closed = []
    job = overlapping(steps("main", 1000, 1, wait=main_wait, closed=closed), steps("side", 1000, 2, wait=side_wait, closed=closed))
    next(job)
    began = time.monotonic()
    job.close()
    assert time.monotonic() - began < 2
    assert sorted(closed) == ["main", "side"]
    assert not any(thread.name == "side-job" for thread in threading.enumerate() if thread.is_alive())


@pytest.mark.parametrize("who", ["main", "side"])
def test_a_failure_of_either_is_raised_and_ends_the_other(who):
    closed = []
    jobs = {name: steps(name, 200, 0, closed=closed, fail_at=3 if name == who else None) for name in ("main", "side")}
    with pytest.raises(ValueError, match=f"{who} failed"):
        last(overlapping(jobs["main"], jobs["side"]))
    assert sorted(closed) == ["main", "side"]


def test_a_slow_side_job_does_not_silence_the_progress_once_the_main_job_is_done():
    gaps, before = [], time.monotonic()
    for _ in overlapping(steps("main", 1, 1), steps("side", 3, 2, wait=0.9)):
        gaps.append(time.monotonic() - before)
        before = time.monotonic()
    assert max(gaps) < 1.2
    assert len(gaps) >= 6
