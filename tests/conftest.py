"""What tests may need of the machine: missing espeak-ng is one skip at home and a failure in CI."""

import ctypes.util
import os

import pytest


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("espeak") and ctypes.util.find_library("espeak-ng") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("needs espeak-ng, which is not installed; tests/find_espeak.sh installs it on Debian")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("make_model") is None)  # the longest test begins first, the others stay shuffled
