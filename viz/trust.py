"""What the player's Subjects tab is told besides the responses: how alike the subjects are, what that may be held against, how usual the clip is."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from viz.payload import to_int8


def pack_trust(
    *,
    agreement: Mapping[str, float] | None = None,
    windows: np.ndarray | None = None,
    centres: Sequence[float] = (),
    window_trs: int = 0,
    reference: Mapping[str, float] | None = None,
    reference_label: str = "",
    difference_range: float = 0.0,
    said: Sequence[str] = (),
    domain: Sequence[str] = (),
    about_domain: str = "",
) -> dict[str, Any]:
    """Pack it for ``viz.payload.pack(trust=...)``. Every text is shown as text.

    Parameters
    ----------
    agreement : mapping of curve id to float, optional
        Mean pairwise correlation over the valid rows; a value that is not finite is unknown. None for fewer than two subjects.
    windows : float [T', curves], optional
        The same in a sliding window, in the order of ``agreement``.
    centres : sequence of float [T']
        Row that the middle of each window stands for.
    window_trs : int
        Rows of a window.
    reference : mapping of curve id to float, optional
        What agreement may be held against: planted, or measured.
    reference_label : str
        What it is, in a word or two.
    difference_range : float
        Colour range (z) of the differences from the mean of the subjects, when they have a scale of their own.
    said : sequence of str
        Sentences on agreement.
    domain : sequence of str
        Sentences on the clip; ``about_domain`` says what their number is.

    Returns
    -------
    dict
        JSON-able.

    Raises
    ------
    ValueError
        When windows, centres and curves do not fit each other.
    """
    ids = list(agreement or ())
    windows = np.empty((0, len(ids)), np.float32) if windows is None else np.asarray(windows, np.float32)
    if windows.shape != (len(centres), len(ids)):
        raise ValueError(f"Windows must have shape {(len(centres), len(ids))} (windows, curves), but got {windows.shape} instead.")
    codes, scale = to_int8(windows.T, gaps=True)
    return {
        "ids": ids,
        "agreement": [_plain(value) for value in (agreement or {}).values()],
        "reference": [_plain((reference or {}).get(id)) for id in ids] if reference else None,
        "reference_label": reference_label,
        "windows": {
            "trs": int(window_trs),
            "centres": [float(row) for row in centres],
            "scale": scale,
            "data": base64.b64encode(codes.tobytes()).decode("ascii"),
        },
        "difference_range": float(difference_range),
        "said": list(said),
        "domain": list(domain),
        "about_domain": about_domain,
    }


def _plain(value: float | None) -> float | None:
    return round(float(value), 4) if value is not None and np.isfinite(value) else None
