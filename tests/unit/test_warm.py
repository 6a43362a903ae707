"""The pool of warm modules: budget, order of leaving, one user at a time."""

from __future__ import annotations

import threading
import time

import pytest
import torch

from extractors.in_thread import Stopped
from extractors.memory import free_bytes, total_bytes
from extractors.warm import WarmPool, bytes_of

KB = 1024


def nobody(*_):
    pass


def module(kilobytes):
    return torch.nn.Linear(KB // 4, kilobytes, bias=False)  # one kilobyte a row


def use(pool, key, kilobytes=100, *, keep=True, tell=nobody):
    with pool.lease(key, lambda: module(kilobytes), device="cpu", keep=keep, tell=tell, size=kilobytes * KB) as lent:
        return lent


def test_a_kept_module_is_loaded_once():
    pool = WarmPool({"cpu": 1000 * KB})
    assert use(pool, "a") is use(pool, "a")
    assert pool.loads == 1
    assert pool.held("cpu") == 100 * KB
    assert pool.held("cuda") == 0


def test_what_was_used_longest_ago_leaves_first():
    pool = WarmPool({"cpu": 250 * KB})
    use(pool, "a")
    use(pool, "b")
    use(pool, "a")
    use(pool, "c")
    assert [pool.has(key) for key in "abc"] == [True, False, True]
    assert pool.held() <= 250 * KB


def test_a_module_larger_than_the_budget_is_used_and_freed():
    pool = WarmPool({"cpu": 50 * KB})
    lent = use(pool, "a", 100)
    assert pool.held() == 0
    assert bytes_of(lent) == 0


def test_a_module_that_is_not_kept_is_freed_and_finds_an_empty_device():
    pool = WarmPool({"cpu": 1000 * KB})
    use(pool, "a")
    held = []

    def load():
        held.append(pool.held())
        return module(100)

    with pool.lease("b", load, device="cpu", keep=False, tell=nobody) as lent:
        assert bytes_of(lent) == 100 * KB
    assert held == [0]
    assert pool.held() == 0
    assert bytes_of(lent) == 0


def test_two_users_never_hold_a_module_at_once_and_the_second_is_told_why_it_waits():
    pool = WarmPool({"cpu": 1000 * KB})
    inside, most, messages = [], [], []

    def tell(done=None, message=None):
        messages.append(message)

    def user():
        with pool.lease("a", lambda: module(1), device="cpu", keep=True, tell=tell):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.15)
            inside.pop()

    threads = [threading.Thread(target=user) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == [1] * 4
    assert pool.loads == 1
    assert any(message and "another run" in message for message in messages)


def test_who_stops_waiting_leaves_no_trace():
    pool = WarmPool({"cpu": 1000 * KB})

    def stopped(*_):
        raise Stopped

    with pool.lease("a", lambda: module(1), device="cpu", keep=False, tell=nobody):
        thread_error = []

        def waiter():
            try:
                use(pool, "a", tell=stopped, keep=False)
            except Stopped as error:
                thread_error.append(error)

        thread = threading.Thread(target=waiter)
        thread.start()
        thread.join(5)
        assert len(thread_error) == 1
    assert pool.held() == 0
    use(pool, "a")
    assert pool.loads == 2


def test_a_failed_load_is_forgotten():
    pool = WarmPool({"cpu": 1000 * KB})

    def load():
        raise ValueError("no such file")

    with pytest.raises(ValueError, match="no such file"), pool.lease("a", load, device="cpu", keep=True, tell=nobody):
        pass
    use(pool, "a")
    assert pool.loads == 1


def test_clear_frees_what_nobody_uses():
    pool = WarmPool({"cpu": 1000 * KB})
    use(pool, "a")
    with pool.lease("b", lambda: module(7), device="cpu", keep=True, tell=nobody):
        pool.clear()
        assert pool.held() == 7 * KB
    pool.clear()
    assert pool.held() == 0


def test_a_dropped_module_is_loaded_anew_for_the_next_user():
    pool = WarmPool({"cpu": 1000 * KB})
    with pool.lease("a", lambda: module(7), device="cpu", keep=True, tell=nobody):
        pool.drop("a")
        assert pool.held() == 0
    assert bytes_of(use(pool, "a", 7)) == 7 * KB
    assert pool.loads == 2


def test_a_containers_limit_counts_and_files_in_its_cache_do_not(tmp_path):
    (tmp_path / "memory.max").write_text("50000000\n")
    (tmp_path / "memory.current").write_text("30000000\n")
    (tmp_path / "memory.stat").write_text("anon 20000000\nfile 10000000\ninactive_file 6000000\nactive_file 4000000\n")
    assert total_bytes("cpu", cgroup=tmp_path) == 50_000_000
    assert free_bytes("cpu", cgroup=tmp_path) == 30_000_000


def test_without_a_limit_the_machines_memory_counts(tmp_path):
    (tmp_path / "memory.max").write_text("max\n")
    assert total_bytes("cpu", cgroup=tmp_path) == total_bytes("cpu", cgroup=tmp_path / "none") > 10**8
    assert 0 < free_bytes("cpu", cgroup=tmp_path) <= total_bytes("cpu", cgroup=tmp_path)
