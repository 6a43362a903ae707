"""Findings become pictures and files. Draws and writes; computes no science.

The drawing functions of this package are found here by name and loaded when they are first used::

    import viz

    viz.plot_glass_brain(responses, tr=40)
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "plot_glass_brain": "viz.plotting",
    "plot_surface": "viz.plotting",
    "plot_networks": "viz.plotting",
    "moment_figure": "viz.figures",
    "strip_figure": "viz.figures",
    "animate": "viz.film",
    "to_nifti": "viz.volumes",
    "Look": "viz.look",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
