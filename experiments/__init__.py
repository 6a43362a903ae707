"""Rooms become jobs: what the page, the command line and the API all call.

For Python, one function is found here by name and loaded when it is first used::

    import experiments

    table = experiments.compare("film.mp4", "mute")
"""

from __future__ import annotations

from typing import Any

__all__ = ["compare"]


def __getattr__(name: str) -> Any:
    if name != "compare":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from experiments.comparison import compared

    globals()[name] = compared
    return compared


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
