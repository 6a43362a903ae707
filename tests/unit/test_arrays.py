"""Arrays and literals are read from files as they were written, also by several threads at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from extractors.arrays import load_array, load_arrays, parse_source, read_literal

ROOT = Path(__file__).parents[2]
AT_ONCE = """
import gc, sys, threading, time
from extractors.arrays import load_array, load_arrays, parse_source, read_literal

class Leftover:  # what the garbage collector ends in the middle of a load, and lets another thread go on
    def __init__(self):
        self.me = self
    def __del__(self):
        time.sleep(0.0002)

text = "[" + ",".join(["(1, [2, 3])"] * 300) + "]"
reads = [lambda: read_literal(text), lambda: parse_source(text), lambda: load_array(sys.argv[1]), lambda: load_arrays(sys.argv[2])]
failed = []

def read(which, deeper):
    if deeper:
        return read(which, deeper - 1)
    for _ in range(4):
        gc.collect()
        for _ in range(400):
            Leftover()
        try:
            reads[which]()
        except SystemError as error:
            failed.append(str(error))

gc.set_threshold(450, 1000, 1000)
threads = [threading.Thread(target=read, args=(index, 10 * index)) for index in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(*failed, end="")
"""


@pytest.fixture
def files(tmp_path):
    """A ``.npy`` with a long head, and a ``.npz`` of two arrays."""
    rows = np.zeros(3, [(f"field{index}", "<f4") for index in range(300)])
    np.save(tmp_path / "one.npy", rows)
    np.savez(tmp_path / "two.npz", rows=rows, numbers=np.arange(5))
    return tmp_path


def test_an_array_comes_back_as_it_was_written(files):
    np.save(files / "plain.npy", np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(load_array(files / "plain.npy"), [[0, 1, 2], [3, 4, 5]])
    mapped = load_array(files / "plain.npy", mapped=True)
    assert isinstance(mapped, np.memmap)
    assert not mapped.flags.writeable
    arrays = load_arrays(files / "two.npz")
    assert list(arrays) == ["rows", "numbers"]
    np.testing.assert_array_equal(arrays["numbers"], range(5))


def test_an_array_of_python_objects_is_refused(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    np.savez(tmp_path / "objects.npz", a=np.array([{}], object))
    with pytest.raises(ValueError, match="pickle"):
        load_array(tmp_path / "objects.npy")
    with pytest.raises(ValueError, match="pickle"):
        load_arrays(tmp_path / "objects.npz")


@pytest.mark.parametrize("kept", [30, 200, 1500])
def test_a_cut_off_file_is_no_array(files, kept):
    for name, read in (("one.npy", load_array), ("two.npz", load_arrays)):
        cut = files / f"cut-{name}"
        cut.write_bytes((files / name).read_bytes()[:kept])
        with pytest.raises((ValueError, EOFError)):
            read(cut)


def test_one_array_and_several_are_not_taken_for_each_other(files):
    np.save(files / "plain.npy", np.arange(3))
    with pytest.raises(ValueError, match="several"):
        load_array(files / "two.npz")
    with pytest.raises(ValueError, match="one array"):
        load_arrays(files / "plain.npy")


def test_literals_and_sources_are_read_and_never_run():
    assert read_literal("[1, 'a', (2.5, None)]") == [1, "a", (2.5, None)]
    with pytest.raises(ValueError, match="malformed"):
        read_literal("[print(1)]")
    assert parse_source("raise SystemExit").body


def test_threads_that_read_at_once_do_not_disturb_each_other(files):
    command = [sys.executable, "-c", AT_ONCE, files / "one.npy", files / "two.npz"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == ""
