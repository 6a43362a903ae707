"""What the player is given: one JSON-able value with every subject's parcels as int8."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from extractors.transcript import Transcript

VERSION = 1
RANGE_PERCENTILE = 98.0
RANGE_FLOOR = 0.5
"""Smallest colour range in z when the model card names none: a flat prediction then looks flat."""


def pack(
    responses: Any,
    transcript: Transcript | None,
    *,
    media_url: str | Path | None,
    media_kind: str,
    title: str,
    caption: str | None = None,
    opens_with: Sequence[str] = (),
    range_floor: float = RANGE_FLOOR,
    run_id: str = "",
    badge: str | None = None,
    has_sound: bool | None = None,
) -> dict[str, Any]:
    """Pack a result for the player.

    Parameters
    ----------
    responses : encoder.responses.Responses
        ``values`` float32 [n_subjects, n_trs, 1000] in z; with members, ``curve_spread`` [n_subjects + 1, n_trs] for each curve.
    transcript : Transcript or None
    media_url : str, Path or None
        The canonical film as a local file; the player component puts it into Gradio's cache and fills in its address.
    media_kind : {"video", "audio", "none"}
    title, caption : str
        Shown as text. The caption says what to look for.
    opens_with : sequence of str
        Curves shown first: networks, groups, or one side of them ("Vis-L"). Empty for the seven networks.
    range_floor : float
        The colour range is never smaller (z), from the model card.
    run_id : str
        A new id makes the player start anew; the same id keeps time and settings.
    badge : str, optional
        What made this; default the badge of the responses, else the model's title.
    has_sound : bool, optional
        Default: whether the audio stream was present.

    Returns
    -------
    dict
        See the module's tests for the shape. About 1.34 kB for each TR and subject, and 4 % more with members.

    Raises
    ------
    ValueError
        For values that are not [n_subjects, n_trs, n_parcels] or not finite, or an unknown media kind.
    """
    if media_kind not in ("video", "audio", "none"):
        raise ValueError(f'Allowed values of media_kind are "video", "audio" and "none", but got {media_kind!r} instead.')
    values = np.asarray(responses.values, np.float32)
    if values.ndim != 3 or values.shape[0] != len(responses.subjects):
        raise ValueError(f"Responses must be [{len(responses.subjects)} subjects, TRs, parcels], but have shape {values.shape}.")
    codes, scale = to_int8(values)
    valid = np.asarray(responses.valid, bool)
    present = {stream: bool(responses.present.get(stream, False)) for stream in ("audio", "text", "video")}
    sound = present["audio"] if has_sound is None else has_sound
    words = [] if transcript is None else [[w.text, round(float(w.onset), 3), round(float(w.duration), 3)] for w in transcript.words]
    return {
        "version": VERSION,
        "state": "done",
        "run_id": run_id,
        "title": title,
        "caption": caption,
        "simulated": bool(responses.simulated),
        "badge": badge or str(responses.badge or responses.model_title),
        "tr": float(responses.tr),
        "n_trs": int(values.shape[1]),
        "duration": float(responses.duration),
        "media": {"url": None if media_url is None else str(media_url), "kind": media_kind, "has_sound": bool(sound)},
        "subjects": [{"id": _subject_id(label), "label": label} for label in responses.subject_labels],
        "subject_count": int(values.shape[0]),
        "parcels": {"data": base64.b64encode(codes.tobytes()).decode("ascii"), "scale": scale},
        "valid": "".join("01"[int(row)] for row in valid),
        "spread": spread_of(responses),
        "range": display_range(values, valid, floor=range_floor),
        "range_floor": float(range_floor),
        "unit": "z",
        "words": words,
        "transcript_note": transcript_note(transcript),
        "present": present,
        "opens_with": list(opens_with),
        "warnings": [str(warning) for warning in responses.warnings],
    }


def spread_of(responses: Any) -> dict[str, Any] | None:
    """Standard deviation between members of every curve, for the player; None without members.

    Returns
    -------
    dict
        ``members`` their number, ``ids`` of the curves, ``data`` int8 [curves, n_subjects + 1, n_trs] with one ``scale``; the last row of a
        curve is that of the mean of the subjects.
    """
    curves = responses.curve_spread
    if curves is None:
        return None
    codes, scale = to_int8(np.stack(list(curves.values())))
    return {
        "members": len(responses.members),
        "ids": list(curves),
        "data": base64.b64encode(codes.tobytes()).decode("ascii"),
        "scale": scale,
    }


def to_int8(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Quantise to int8 with one scale: ``codes * scale`` is within half a scale of ``values``.

    Parameters
    ----------
    values : numpy.ndarray
        Finite, any shape.

    Returns
    -------
    codes : int8, same shape
    scale : float
        Largest absolute value / 127.

    Raises
    ------
    ValueError
        When a value is not finite.
    """
    values = np.asarray(values, np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"Responses must be finite, but {int((~np.isfinite(values)).sum())} values are not.")
    largest = float(np.abs(values).max()) if values.size else 0.0
    scale = largest / 127 if largest > 0 else 1.0
    return np.clip(np.rint(values / scale), -127, 127).astype(np.int8), scale


def display_range(values: np.ndarray, valid: np.ndarray, *, floor: float = RANGE_FLOOR) -> float:
    """Symmetric colour range: 98th percentile of |z| over the valid rows of all subjects, two digits, never below ``floor``.

    Without a valid row (a very short clip) all rows count.
    """
    rows = values[:, valid] if valid.any() else values
    wide = float(np.percentile(np.abs(rows), RANGE_PERCENTILE)) if rows.size else 0.0
    return max(float(f"{wide:.2g}"), float(floor))


def transcript_note(transcript: Transcript | None) -> str:
    """One sentence on where the words come from."""
    if transcript is None or transcript.source == "none":
        return "Run without words."
    timing = {
        "recognised": f"Recognised by {transcript.source}; expect errors.",
        "given": f"Words and times from {transcript.source}." if transcript.words else "",
        "aligned": f"Words from {transcript.source}, aligned to the sound.",
        "spread": f"Words from {transcript.source}, spread evenly: their times are a guess.",
    }.get(transcript.timing, f"Words from {transcript.source}.")
    return f"{timing}{' Edited by hand.' if transcript.edited else ''}".strip()


def _subject_id(label: str) -> str:
    return "".join(character for character in label.lower() if character.isalnum())
