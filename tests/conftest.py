"""What tests may need of the machine, and how several workers share them.

Missing espeak-ng is one skip at home and a failure in CI. The tests of a file stay with one worker, so that what they share is made once; the longest
begin first.
"""

import ctypes.util
import gc
import os
from pathlib import Path

import pytest

LONG = ("test_page", "test_link", "test_player_views", "test_whole_experiment", "test_experiment", "test_model_picker", "test_player_curves")
"""Browser files of a minute of CPU time and more, the longest first."""
LATER = ("test_cli", "test_figures", "test_published_run", "test_export", "test_gate_hostile", "test_edit_film", "test_comparison")
"""The others of half a minute and more."""


def pytest_configure(config: pytest.Config) -> None:
    if getattr(config.option, "numprocesses", None):  # there are workers for all cores: threads of their own would only wait for each other
        for library in ("OMP", "OPENBLAS", "MKL"):
            os.environ.setdefault(f"{library}_NUM_THREADS", "1")


def pytest_itemcollected(item: pytest.Item) -> None:
    alone = item.get_closest_marker("xdist_group") or item.get_closest_marker("make_model")
    if not alone:
        item.add_marker(pytest.mark.xdist_group(item.path.stem))


_FILE: list[Path] = []


def pytest_runtest_setup(item: pytest.Item) -> None:
    if [item.path] != _FILE:  # thousands of tests and every library imported so far made each full collection last most of a second
        _FILE[:] = [item.path]
        gc.collect()
        gc.freeze()
    if item.get_closest_marker("espeak") and ctypes.util.find_library("espeak-ng") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("needs espeak-ng, which is not installed; tests/find_espeak.sh installs it on Debian")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def turn(item: pytest.Item) -> tuple[int, int]:
        kind, long = (1, LONG) if item.get_closest_marker("browser") else (2, LATER)
        name = item.path.stem
        return 0 if item.get_closest_marker("make_model") else kind, long.index(name) if name in long else len(long)

    items.sort(key=turn)  # those of equal length stay shuffled
