"""What the player is given: one JSON-able value with every subject's parcels as int8, and the curves made of them as int16.

Parcels travel in chunks of rows. The first lies in the value; the others may have an address each, so that a long clip is on the screen before
all of it has come.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from encoder.atlas import N_PARCELS
from encoder.curves import curve_ids, curve_means
from extractors.transcript import Transcript

VERSION = 2
CHUNK_TRS = 200
"""Rows of a chunk: about five minutes of film."""
KINDS = ("measured", "condition")
"""What a second series can be."""
CHANGES = ("edit", "lesion", "film")
"""What sets condition B apart from A: a stimulus edit, a model lesion, or another film."""
CALIBRATED = ("yes", "no", "unknown")
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
    chunk_trs: int = CHUNK_TRS,
    chunk_url: Callable[[int], str] | None = None,
    second: dict[str, Any] | None = None,
    layers: Sequence[dict[str, Any]] = (),
    other: dict[str, Any] | None = None,
    comparison: dict[str, Any] | None = None,
    trust: dict[str, Any] | None = None,
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
    chunk_trs : int
        Rows of a chunk of parcels.
    chunk_url : callable, optional
        Address of chunk 1, 2, ... on the page's own server, where :func:`chunk_bytes` answers; default all of them travel in the value.
    second : dict, optional
        Another series on the same rows, from :func:`pack_second`. The colour range then covers both.
    layers : sequence of dict
        Further maps of the parcels, from :func:`pack_layer`.
    other : dict, optional
        Condition B: a value of its own, from this function. The player swaps the two in place, with one colour range for both.
    comparison : dict, optional
        What B changes and what came of it, from :func:`pack_comparison`; goes with ``other``.
    trust : dict, optional
        How alike the subjects are and how usual the clip is, from :func:`viz.trust.pack_trust`.

    Returns
    -------
    dict
        See the module's tests for the shape. About 1.45 kB for each TR and subject, and 4 % more with members.

    Raises
    ------
    ValueError
        For values that are not [n_subjects, n_trs, 1000] or not finite, an unknown media kind, a second series of other rows, or conditions
        that do not fit each other.
    """
    if media_kind not in ("video", "audio", "none"):
        raise ValueError(f'Allowed values of media_kind are "video", "audio" and "none", but got {media_kind!r} instead.')
    values = np.asarray(responses.values, np.float32)
    if values.ndim != 3 or values.shape[0] != len(responses.subjects):
        raise ValueError(f"Responses must be [{len(responses.subjects)} subjects, TRs, parcels], but have shape {values.shape}.")
    if second is not None and len(second["valid"]) != values.shape[1]:
        raise ValueError(f"The second series must have {values.shape[1]} rows, as the first has, but has {len(second['valid'])} instead.")
    valid = np.asarray(responses.valid, bool)
    wide = max(display_range(values, valid, floor=range_floor), second["range"] if second else 0.0, other["range"] if other else 0.0)
    subjects = [{"id": subject_id(label), "label": label} for label in responses.subject_labels]
    _check_conditions(values.shape[1], subjects, other, comparison)
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
        "subjects": subjects,
        "subject_count": int(values.shape[0]),
        "parcels": pack_parcels(values, chunk_trs=chunk_trs, chunk_url=chunk_url),
        "curves": pack_curves(values),
        "valid": _marks(valid),
        "spread": spread_of(responses),
        "second": second,
        "layers": list(layers),
        "other": {**other, "range": wide} if other else None,
        "comparison": comparison,
        "trust": trust,
        "range": wide,
        "range_floor": float(range_floor),
        "unit": "z",
        "words": words,
        "transcript_note": transcript_note(transcript),
        "present": present,
        "opens_with": list(opens_with),
        "warnings": [str(warning) for warning in responses.warnings],
    }


def pack_second(
    values: np.ndarray,
    valid: np.ndarray,
    ids: Sequence[str],
    label: str,
    kind: str,
    note: str = "",
    *,
    labels: Sequence[str] | None = None,
    id: str = "second",
    chunk_trs: int = CHUNK_TRS,
    chunk_url: Callable[[int], str] | None = None,
) -> dict[str, Any]:
    """Pack a series that stands beside the first on the same rows: measured responses, or those of another condition.

    Parameters
    ----------
    values : float32 [n_subjects, n_trs, 1000]
        z. A value that is not finite means that there is none.
    valid : bool [n_trs]
        Rows that count.
    ids : sequence of str
        For each subject here, the player's id of the predicted subject that it stands beside ("sim1", "subject2").
    label, note : str
        The series' name and what it is, shown as text.
    kind : {"measured", "condition"}
    labels : sequence of str, optional
        The subjects' own names; default their ids.
    id : str
        Name of the series among several.
    chunk_trs, chunk_url
        As in :func:`pack`.

    Returns
    -------
    dict
        For ``pack(second=...)``.

    Raises
    ------
    ValueError
        For an unknown kind, or shapes that do not fit each other.
    """
    if kind not in KINDS:
        raise ValueError(f'Allowed values of kind are "measured" and "condition", but got {kind!r} instead.')
    values = np.asarray(values, np.float32)
    valid = np.asarray(valid, bool)
    shape = (len(ids), len(valid), N_PARCELS)
    if values.shape != shape:
        raise ValueError(f"A second series must have shape {shape} (subjects, TRs, parcels), but got {values.shape} instead.")
    return {
        "id": id,
        "label": label,
        "kind": kind,
        "note": note,
        "subjects": [{"id": subject, "label": name} for subject, name in zip(ids, labels or ids, strict=True)],
        "parcels": pack_parcels(values, chunk_trs=chunk_trs, chunk_url=chunk_url, gaps=True),
        "curves": pack_curves(values, gaps=True),
        "valid": _marks(valid),
        "range": display_range(values, valid, floor=0.0),
    }


def pack_comparison(
    *,
    paired: bool,
    why: str = "",
    kind: str,
    a: str = "",
    b: str = "",
    edits: Sequence[str] = (),
    lesions: Sequence[str] = (),
    band: dict[str, Any] | None = None,
    said: dict[str, Sequence[dict[str, str]]] | None = None,
    rows: dict[str, Sequence[dict[str, Any]]] | None = None,
    notes: Sequence[str] = (),
    calibrated: str = "unknown",
    scenes: dict[str, Any] | None = None,
    association: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Pack what two conditions differ in, for ``pack(other=..., comparison=...)``. Every text is shown as text.

    Parameters
    ----------
    paired : bool
        Whether row k of B stands for the same moment as row k of A, so that A - B has a meaning.
    why : str
        One sentence: why they are not paired. Needed then.
    kind : {"edit", "lesion", "film"}
        What sets B apart.
    a, b : str
        Names of the conditions; "" for "A" and "B" alone.
    edits, lesions : sequence of str
        What B's film and B's model have undergone, one sentence each.
    band : dict, optional
        From :func:`pack_band`.
    said : dict, optional
        Player's id of a subject or "mean" -> what changed: ``curve``, ``label``, ``text`` each.
    rows : dict, optional
        Player's id of a subject or "mean" -> one row a curve: ``curve``, ``label``, ``kind`` ("network" or "group"), ``n`` (parcels), ``r``,
        ``change`` (SD of A - B over SD of A), ``difference`` (mean of A - B, z), ``low`` and ``high`` (interval of ``change``), ``null_change``
        (largest of the null edits), ``outside`` (whether ``change`` is larger). A number that is not finite, or missing, is unknown.
    notes : sequence of str
        What else is to be said.
    calibrated : {"yes", "no", "unknown"}
        Whether offset and gain of the model are, from its card: a mean difference is read as a size only when they are.
    scenes : dict, optional
        The same scene in both, where B moves the film in time: ``scenes``, a list of ``a`` and ``b`` (start and end in each, s), ``backwards`` and
        ``rows`` (TRs in each); ``differences``, player's id of a subject or "mean" -> curve -> mean of A - B of each scene (z); ``notes``.
    association : dict, optional
        Whether A and B go together, of paired conditions: ``rows``, player's id of a subject or "mean" -> a list of ``curve``, ``r`` and ``p``;
        ``notes``.

    Raises
    ------
    ValueError
        For another kind, another word of ``calibrated``, or an unpaired comparison without a reason.
    """
    if kind not in CHANGES:
        raise ValueError(f'Allowed values of kind are "edit", "lesion" and "film", but got {kind!r} instead.')
    if calibrated not in CALIBRATED:
        raise ValueError(f'Allowed values of calibrated are "yes", "no" and "unknown", but got {calibrated!r} instead.')
    if not paired and not why:
        raise ValueError("Conditions that are not paired need a sentence that says why.")
    return {
        "paired": bool(paired),
        "why": why,
        "kind": kind,
        "a": {"label": a},
        "b": {"label": b, "edits": list(edits), "lesions": list(lesions)},
        "band": band,
        "said": {subject: [dict(sentence) for sentence in sentences] for subject, sentences in (said or {}).items()},
        "rows": {subject: [{key: _plain(cell) for key, cell in row.items()} for row in table] for subject, table in (rows or {}).items()},
        "notes": list(notes),
        "calibrated": calibrated,
        "scenes": scenes,
        "association": association,
    }


def pack_band(half_width: np.ndarray, ids: Sequence[str], *, n: int) -> dict[str, Any]:
    """Pack how far small changes that should not matter moved every curve: the grey band "sensitivity to small changes".

    Parameters
    ----------
    half_width : float [curves, n_subjects + 1, n_trs]
        Largest absolute difference over the null edits (z); the last row of a curve is that of the mean of the subjects.
    ids : sequence of str
        Of the curves.
    n : int
        Number of null edits.

    Raises
    ------
    ValueError
        For a shape that does not fit ``ids``, or a width that is negative or not finite.
    """
    half_width = np.asarray(half_width, np.float32)
    if half_width.ndim != 3 or len(half_width) != len(ids):
        raise ValueError(f"A band must have shape [{len(ids)} curves, subjects + 1, TRs], but got {half_width.shape} instead.")
    if (half_width < 0).any():
        raise ValueError("The half width of a band must not be negative.")
    codes, scale = _codes(half_width, np.int16, False)
    return {"n": int(n), "ids": list(ids), "scale": scale, "data": _text(codes.astype("<i2"))}


def pack_layer(
    values: np.ndarray,
    *,
    id: str,
    label: str,
    unit: str,
    subject: str | None = None,
    signed: bool = False,
    range: float | None = None,
    fade: float = 0.0,
    note: str = "",
) -> dict[str, Any]:
    """Pack a map of the parcels that does not change with time: the accuracy of each, a noise ceiling, a contrast.

    Parameters
    ----------
    values : float [1000]
        A value that is not finite is unknown, and is drawn as such.
    id, label, unit, note : str
        Shown as text, the id apart.
    subject : str, optional
        The player's id of the subject it belongs to; None for all of them.
    signed : bool
        Whether zero stands in the middle of the colours.
    range : float, optional
        Largest value of the colours; default the largest one here.
    fade : float
        Values whose size is below it are drawn faded: they are weak.

    Returns
    -------
    dict
        For ``pack(layers=[...])``.

    Raises
    ------
    ValueError
        When ``values`` are not 1000.
    """
    values = np.asarray(values, np.float32)
    if values.shape != (N_PARCELS,):
        raise ValueError(f"A layer must have shape ({N_PARCELS},), but got {values.shape} instead.")
    codes, scale = to_int8(values, gaps=True)
    known = np.abs(values[np.isfinite(values)])
    largest = float(known.max()) if known.size else 0.0
    return {
        "id": id,
        "label": label,
        "subject": subject,
        "unit": unit,
        "signed": bool(signed),
        "range": float(range or largest or 1.0),
        "fade": float(fade),
        "scale": scale,
        "data": _text(codes),
        "note": note,
    }


def pack_parcels(
    values: np.ndarray, *, chunk_trs: int = CHUNK_TRS, chunk_url: Callable[[int], str] | None = None, gaps: bool = False
) -> dict[str, Any]:
    """Parcels of a series in chunks: the first in the value, the others too or by address.

    Parameters
    ----------
    values : float32 [n_subjects, n_trs, 1000]
    chunk_trs, chunk_url
        As in :func:`pack`.
    gaps : bool
        Whether values that are not finite are allowed; they become -128.

    Returns
    -------
    dict
        ``scale``, ``rows`` of a chunk, and ``chunks``: each ``data`` (int8 [n_subjects, rows, 1000]) or ``url``.
    """
    codes, scale = to_int8(values, gaps=gaps)
    starts = range(0, max(1, codes.shape[1]), chunk_trs)
    chunks = [
        {"data": _text(codes[:, start : start + chunk_trs])} if number == 0 or chunk_url is None else {"url": chunk_url(number)}
        for number, start in enumerate(starts)
    ]
    return {"scale": scale, "rows": chunk_trs, "chunks": chunks}


def chunk_bytes(values: np.ndarray, number: int, *, chunk_trs: int = CHUNK_TRS, gaps: bool = False) -> bytes:
    """What the address of a chunk answers: int8 [n_subjects, rows, 1000] in the scale of :func:`pack_parcels`.

    Raises
    ------
    IndexError
        When there is no chunk of this number.
    """
    if not 0 <= number * chunk_trs < values.shape[1]:
        raise IndexError(f"There is no chunk {number}.")
    codes, _ = to_int8(values, gaps=gaps)
    return codes[:, number * chunk_trs : (number + 1) * chunk_trs].tobytes()


def pack_curves(values: np.ndarray, *, gaps: bool = False) -> dict[str, Any]:
    """Means over the parcels of every curve (:mod:`encoder.curves`), for each subject and for their mean.

    Returns
    -------
    dict
        ``ids`` of the curves, ``data`` int16 (little-endian) [curves, n_subjects + 1, n_trs] with one ``scale``; the last row of a curve is that
        of the mean of the subjects. With ``gaps`` the mean is over the parcels that have a value, and -32768 where none has.
    """
    values = np.concatenate([values, values.mean(0, keepdims=True)])
    missing = ~np.isfinite(values)
    if gaps and missing.any():
        share = curve_means((~missing).astype(np.float32))
        with np.errstate(divide="ignore", invalid="ignore"):
            means = np.where(share > 1e-6, curve_means(np.where(missing, np.float32(0), values)) / share, np.nan)
    else:
        means = curve_means(values)
    codes, scale = _codes(means.transpose(2, 0, 1), np.int16, gaps)
    return {"ids": list(curve_ids()), "scale": scale, "data": _text(codes.astype("<i2"))}


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
    return {"members": len(responses.members), "ids": list(curves), "data": _text(codes), "scale": scale}


def to_int8(values: np.ndarray, *, gaps: bool = False) -> tuple[np.ndarray, float]:
    """Quantise to int8 with one scale: ``codes * scale`` is within half a scale of ``values``.

    Parameters
    ----------
    values : numpy.ndarray
        Any shape.
    gaps : bool
        Whether values that are not finite are allowed; they become -128.

    Returns
    -------
    codes : int8, same shape
    scale : float
        Largest absolute value / 127.

    Raises
    ------
    ValueError
        When a value is not finite, without ``gaps``.
    """
    return _codes(values, np.int8, gaps)


def _codes(values: np.ndarray, dtype: type[np.signedinteger], gaps: bool) -> tuple[np.ndarray, float]:
    values = np.asarray(values, np.float32)
    most, gap = np.iinfo(dtype).max, np.iinfo(dtype).min
    finite = np.isfinite(values)
    known = finite.all()
    if not known and not gaps:
        raise ValueError(f"Responses must be finite, but {int((~finite).sum())} values are not.")
    largest = float(np.abs(values).max(where=finite, initial=0.0))
    scale = largest / most if largest > 0 else 1.0
    codes = np.clip(np.rint((values if known else np.where(finite, values, 0)) / scale), -most, most).astype(dtype)
    if not known:
        codes[~finite] = gap
    return codes, scale


def display_range(values: np.ndarray, valid: np.ndarray, *, floor: float = RANGE_FLOOR) -> float:
    """Symmetric colour range: 98th percentile of |z| over the valid rows of all subjects, two digits, never below ``floor``.

    Without a valid row (a very short clip) all rows count.
    """
    rows = values[:, valid] if valid.any() else values
    sizes = np.abs(rows[np.isfinite(rows)])
    wide = float(np.percentile(sizes, RANGE_PERCENTILE)) if sizes.size else 0.0
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


def subject_id(label: str) -> str:
    """The player's id of a subject: "Sim 1" becomes "sim1"."""
    return "".join(character for character in label.lower() if character.isalnum())


def _check_conditions(n_trs: int, subjects: list[dict[str, str]], other: dict[str, Any] | None, comparison: dict[str, Any] | None) -> None:
    if (other is None) != (comparison is None):
        raise ValueError("Condition B and what is said of the comparison go together, but only one of them was given.")
    if other is None:
        return
    if other.get("other") is not None:
        raise ValueError("Condition B must not have a condition B of its own.")
    if other["subjects"] != subjects:
        raise ValueError(f"Both conditions must have the same subjects, but B has {[subject['id'] for subject in other['subjects']]}.")
    if comparison["paired"] and other["n_trs"] != n_trs:
        raise ValueError(f"Paired conditions must have the same rows, but A has {n_trs} and B has {other['n_trs']}.")
    band = comparison["band"]
    if band is not None and len(base64.b64decode(band["data"])) != 2 * len(band["ids"]) * (len(subjects) + 1) * n_trs:
        raise ValueError(f"The band must have {len(subjects) + 1} rows of {n_trs} TRs for each curve.")


def _plain(cell: Any) -> Any:
    """A cell of a table for JSON: a number that is not finite is None."""
    if isinstance(cell, bool | np.bool_):
        return bool(cell)
    if isinstance(cell, int | float | np.number):
        number = cell.item() if isinstance(cell, np.number) else cell
        return number if np.isfinite(number) else None
    return cell


def _marks(valid: np.ndarray) -> str:
    return "".join("01"[int(row)] for row in valid)


def _text(codes: np.ndarray) -> str:
    return base64.b64encode(codes.tobytes()).decode("ascii")
