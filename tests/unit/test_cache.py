"""The cache on disk, broken in every way a disk and its users can."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from extractors.cache import FeatureCache, content_key
from extractors.errors import CacheError
from settings import ROOT

KEY = content_key(name="one")
BIG = 10**9
HEAD = """
import resource, signal, sys
import numpy as np
from extractors.cache import FeatureCache, content_key
from extractors.errors import CacheError
"""


def array(seed=0, n=1000):
    return np.random.default_rng(seed).normal(size=(n // 10, 10)).astype(np.float32)


def in_another_process(code, *arguments):
    return subprocess.run([sys.executable, "-c", HEAD + code, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=60)


def files(root):
    return sorted(path.name for path in root.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_what_was_put_comes_back_with_its_manifest(tmp_path):
    cache = FeatureCache(tmp_path, BIG)
    cache.put(KEY, {"stream": array(), "none": np.zeros((0, 4), np.float32)}, {"extractor": "test-1"})
    entry = cache.get(KEY)
    np.testing.assert_array_equal(entry["stream"], array())
    assert entry["none"].shape == (0, 4)
    assert cache.manifest(KEY)["extractor"] == "test-1"
    assert cache.get(content_key(name="two")) is None
    assert cache.manifest(content_key(name="two")) is None


def test_a_key_depends_on_every_part_and_not_on_their_order():
    assert content_key(a=1, b=[2]) == content_key(b=[2], a=1)
    assert len({content_key(a=1, b=2), content_key(a=2, b=1), content_key(a=1), content_key(a="1", b=2)}) == 4


@pytest.mark.parametrize("damage", ["truncated", "one bit", "empty manifest", "manifest gone", "arrays gone", "manifest is a list"])
def test_a_damaged_entry_is_a_miss_and_can_be_put_again(tmp_path, damage):
    cache = FeatureCache(tmp_path, BIG)
    cache.put(KEY, {"stream": array()}, {})
    arrays, manifest = next(tmp_path.rglob("*.safetensors")), next(tmp_path.rglob("*.json"))
    data = arrays.read_bytes()
    if damage == "truncated":
        arrays.write_bytes(data[: len(data) // 2])
    elif damage == "one bit":
        arrays.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif damage == "empty manifest":
        manifest.write_bytes(b"")
    elif damage == "manifest is a list":
        manifest.write_text("[1]")
    else:
        (manifest if damage == "manifest gone" else arrays).unlink()
    assert cache.get(KEY) is None
    cache.put(KEY, {"stream": array()}, {})
    np.testing.assert_array_equal(cache.get(KEY)["stream"], array())


def test_a_folder_deleted_under_us_is_made_again(tmp_path):
    root = tmp_path / "deep" / "cache"
    cache = FeatureCache(root, BIG)
    assert cache.get(KEY) is None
    cache.put(KEY, {"stream": array()}, {})
    shutil.rmtree(tmp_path / "deep")
    assert cache.get(KEY) is None
    assert cache.size() == 0
    cache.put(KEY, {"stream": array()}, {})
    assert cache.get(KEY) is not None


def test_a_folder_deleted_again_and_again_while_we_write_never_breaks_anything(tmp_path):
    cache = FeatureCache(tmp_path / "cache", BIG)
    stop = threading.Event()

    def vandal():
        while not stop.is_set():
            shutil.rmtree(tmp_path / "cache", ignore_errors=True)

    thread = threading.Thread(target=vandal)
    thread.start()
    try:
        for i in range(60):
            with contextlib.suppress(CacheError):
                cache.put(content_key(i=i), {"stream": array(i)}, {})
            entry = cache.get(content_key(i=i))
            assert entry is None or np.array_equal(entry["stream"], array(i))
    finally:
        stop.set()
        thread.join()
    cache.put(KEY, {"stream": array()}, {})
    assert cache.get(KEY) is not None


def test_the_bound_holds_and_what_was_used_longest_ago_goes_first(tmp_path):
    cache = FeatureCache(tmp_path, BIG)
    keys = [content_key(i=i) for i in range(5)]
    for i, key in enumerate(keys):
        cache.put(key, {"stream": array(i)}, {})
    for age, key in enumerate(keys):  # file times may be coarse: say plainly which is oldest
        os.utime(next(tmp_path.rglob(f"{key}.json")), (1000 + age, 1000 + age))
    assert cache.get(keys[0]) is not None
    one = cache.size() // 5
    bounded = FeatureCache(tmp_path, one * 4 + one // 2)
    bounded.put(content_key(i="new"), {"stream": array(9)}, {})
    assert [bounded.get(key) is not None for key in keys] == [True, False, False, True, True]
    assert bounded.get(content_key(i="new")) is not None
    assert bounded.size() <= bounded.max_bytes
    assert bounded.size() == sum(path.stat().st_size for path in tmp_path.glob("??/*"))


def test_an_entry_larger_than_the_cache_displaces_nothing(tmp_path):
    cache = FeatureCache(tmp_path, 20_000)
    cache.put(KEY, {"stream": array()}, {})
    cache.put(content_key(name="huge"), {"stream": array(n=100_000)}, {})
    assert cache.get(KEY) is not None
    assert cache.get(content_key(name="huge")) is None


def test_putting_an_entry_again_does_not_count_it_twice(tmp_path):
    cache = FeatureCache(tmp_path, BIG)
    cache.put(KEY, {"stream": array()}, {})
    tight = FeatureCache(tmp_path, cache.size() + 10)
    for _ in range(3):
        tight.put(KEY, {"stream": array()}, {})
    assert tight.get(KEY) is not None


def test_a_full_disk_is_named_and_leaves_nothing_behind(tmp_path):
    FeatureCache(tmp_path, BIG).put(KEY, {"stream": array()}, {})
    before = files(tmp_path)
    run = in_another_process(
        """
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    FeatureCache(sys.argv[1], 10**9).put(content_key(name="large"), {"stream": np.ones((100, 1000), np.float32)}, {})
except CacheError as error:
    print(error.code, "|", error, "|", isinstance(error, OSError), "|", sys.argv[1] in str(error) + error.hint)
""",
        tmp_path,
    )
    code, message, is_os_error, tells_path = (part.strip() for part in run.stdout.split("|"))
    assert (code, is_os_error, tells_path) == ("cache_full", "True", "False")
    assert "disk is full" in message
    assert files(tmp_path) == before


def test_a_writer_killed_in_the_middle_of_a_file_leaves_no_entry_and_its_rest_is_swept_away(tmp_path):
    run = in_another_process(
        """
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # the kernel kills us at byte 50 000
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
FeatureCache(sys.argv[1], 10**9).put(content_key(name="one"), {"stream": np.ones((100, 1000), np.float32)}, {})
""",
        tmp_path,
    )
    assert run.returncode == -signal.SIGXFSZ
    assert [name.rsplit(".", 1)[1] for name in files(tmp_path)] == ["tmp"]
    cache = FeatureCache(tmp_path, BIG)
    assert cache.get(KEY) is None
    cache.put(content_key(name="two"), {"stream": array()}, {})  # the dead writer's lock is free
    assert len(files(tmp_path)) == 2
    assert not any(name.endswith(".tmp") for name in files(tmp_path))


def test_a_writer_killed_between_its_two_files_leaves_no_entry(tmp_path):
    cache = FeatureCache(tmp_path, BIG)
    cache.put(KEY, {"stream": array()}, {})
    next(tmp_path.rglob("*.json")).unlink()
    assert cache.get(KEY) is None
    cache.put(content_key(name="two"), {"stream": array()}, {})
    assert files(tmp_path) == sorted(path.name for path in tmp_path.rglob(f"{content_key(name='two')}*"))


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for root in (tmp_path / "file", tmp_path / "file" / "cache"):
        cache = FeatureCache(root, BIG)
        assert cache.get(KEY) is None
        with pytest.raises(CacheError) as error:
            cache.put(KEY, {"stream": array()}, {})
        assert error.value.code == "cache_unavailable"
        assert str(tmp_path) not in str(error.value) + error.value.hint


def test_many_users_at_once_read_whole_entries_and_keep_the_bound(tmp_path):
    code = """
cache = FeatureCache(sys.argv[1], int(sys.argv[2]))
rng = np.random.default_rng(int(sys.argv[3]))
hits = 0
for _ in range(120):
    i = int(rng.integers(12))
    entry = cache.get(content_key(i=i))
    if entry is None:
        cache.put(content_key(i=i), {"stream": np.full((40, 50), i, np.float32)}, {"i": i})
    else:
        hits += 1
        assert (entry["stream"] == i).all() and entry["stream"].shape == (40, 50)
print(hits)
"""
    command = [sys.executable, "-c", HEAD + code, str(tmp_path), "60000"]
    users = [subprocess.Popen([*command, str(i)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for i in range(3)]
    for user in users:
        out, problems = user.communicate(timeout=60)
        assert user.returncode == 0, problems
        assert int(out) > 0
    cache = FeatureCache(tmp_path, 60_000)
    assert 0 < cache.size() <= 60_000
    for path in tmp_path.rglob("*.json"):
        i = json.loads(path.read_text())["i"]
        assert path.stem == content_key(i=i)
        assert (cache.get(path.stem)["stream"] == i).all()
    assert not any(name.endswith(".tmp") for name in files(tmp_path))
