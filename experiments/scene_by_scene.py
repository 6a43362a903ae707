"""The same scene in A and in B where an edit moves the film in time: means of both, matched through the time map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from encoder.curves import curve_ids
from experiments.findings import kind_of, label_of, subject_names
from extractors.errors import SelectionError
from extractors.grid import TR, counting_rows, tr_middles

if TYPE_CHECKING:
    import pandas

    from experiments.comparison import Comparison
    from extractors.time_map import Piece

DELAY_S = 5.0
"""Peak of the haemodynamic response: how long after a scene its response is taken."""
SHORTEST_S = 6 * TR
LONGEST_S = 30.0
"""A stretch that is longer, in A or in B, is taken in equal parts."""

COLUMNS = {
    "scene": "number of the scene, in the order of B",
    "start_a": "where it begins in A, s",
    "end_a": "where it ends in A, s",
    "start_b": "where it begins in B, s",
    "end_b": "where it ends in B, s",
    "backwards": "whether B runs through it backwards",
    "rows_a": "TRs of A that its mean is taken over: those of moments that count in both",
    "rows_b": "the same of B",
    "curve": "id of the network or group; -L and -R are its halves",
    "label": "its name",
    "kind": "network, or group (not a Yeo network)",
    "mean_a": "mean of A, z",
    "mean_b": "mean of B, z",
    "difference": "mean of A less mean of B, z",
    "calibrated": "whether a mean difference may be read as a size",
}
"""Columns of :func:`scene_frame` beside the subject."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A stretch of the film that the edit left whole.

    Attributes
    ----------
    start_a, end_a, start_b, end_b : float
        Where it lies in A and in B, in seconds.
    backwards : bool
        Whether B runs through it backwards.
    rows_a, rows_b : bool [T of A], bool [T of B]
        The rows that hold its response: of moments whose row counts in A and in B, so that both means are of the same moments.
    """

    start_a: float
    end_a: float
    start_b: float
    end_b: float
    backwards: bool
    rows_a: np.ndarray
    rows_b: np.ndarray


def has_scenes(comparison: Comparison) -> bool:
    """Whether there is something to match: the edit moves the film in time, and B is no other film."""
    return not comparison.paired and comparison.time_map is not None


def find_scenes(comparison: Comparison) -> tuple[list[Scene], int, int]:
    """The scenes of a comparison.

    A scene is a piece of the time map, taken in equal parts where it is longer than 30 s. Its rows are those 5 s later, when its response peaks, of
    moments whose row counts in both: what falls into the warm-up of one is left out of the other.

    Returns
    -------
    scenes : list of Scene
        In the order of B.
    too_short : int
        How many are left out since they are shorter than six TRs, in A or in B.
    without_rows : int
        How many are left out since no row of theirs counts.

    Raises
    ------
    SelectionError
        ``no_time_map`` when B is another film: nothing tells which scenes belong together.
    """
    if comparison.time_map is None:
        raise SelectionError("no_time_map", "A and B are different films: nothing tells which scenes belong together.", "Compare their means.")
    valid_a, valid_b = (counting_rows(result.responses.valid) for result in (comparison.a, comparison.b))
    found, too_short, without_rows = [], 0, 0
    for piece in comparison.time_map.pieces:
        for start_b, end_b, at, to in _parts(piece):
            (start_a, in_b), (end_a, to_b) = sorted(((at, start_b), (to, end_b)))
            if min(end_b - start_b, end_a - start_a) < SHORTEST_S - 1e-6:
                too_short += 1
                continue
            rows_a = _rows(valid_a, (start_a, end_a), valid_b, (in_b, to_b))
            rows_b = _rows(valid_b, (start_b, end_b), valid_a, (at, to))
            if not rows_a.any() or not rows_b.any():
                without_rows += 1
            else:
                found.append(Scene(start_a, end_a, start_b, end_b, to < at, rows_a, rows_b))
    return found, too_short, without_rows


def scenes(comparison: Comparison, subject: int | None = None) -> list[dict[str, Any]]:
    """Means of A and of B over each scene.

    Parameters
    ----------
    comparison : Comparison
    subject : int or None
        None is the mean of the subjects.

    Returns
    -------
    list of dict
        ``scene`` (:class:`Scene`), and ``mean_a``, ``mean_b`` and ``difference`` (A less B): float64 [curves] in z, in the order of
        :func:`encoder.curves.curve_ids`.

    Raises
    ------
    SelectionError
        As :func:`find_scenes`, and for a subject that is not there.
    """
    place = comparison.place(subject)
    a, b = (curves[place].astype(np.float64) for curves in comparison.curves)
    found = []
    for scene in comparison.scenes[0]:
        mean_a, mean_b = a[scene.rows_a].mean(0), b[scene.rows_b].mean(0)
        found.append({"scene": scene, "mean_a": mean_a, "mean_b": mean_b, "difference": mean_a - mean_b})
    return found


def scene_frame(comparison: Comparison) -> pandas.DataFrame:
    """:func:`scenes` of every subject and of their mean in one labelled table: a row for each subject, scene and curve (:data:`COLUMNS`)."""
    import pandas

    rows = []
    for subject, name in subject_names(comparison).items():
        for number, one in enumerate(scenes(comparison, subject), 1):
            scene: Scene = one["scene"]
            times = {key: round(getattr(scene, key), 3) for key in ("start_a", "end_a", "start_b", "end_b")}
            about = {"subject": name, "scene": number, **times, "backwards": scene.backwards}
            about |= {"rows_a": int(scene.rows_a.sum()), "rows_b": int(scene.rows_b.sum())}
            for place, curve in enumerate(curve_ids()):
                means = {key: float(one[key][place]) for key in ("mean_a", "mean_b", "difference")}
                rows.append({**about, "curve": curve, "label": label_of(curve), "kind": kind_of(curve), **means, "calibrated": comparison.calibrated})
    found = pandas.DataFrame(rows, columns=["subject", *COLUMNS])
    found.attrs.update(simulated=comparison.a.responses.simulated, model=comparison.a.responses.model_id, columns=dict(COLUMNS))
    return found.set_index(["subject", "scene", "curve"])


def scene_notes(comparison: Comparison) -> tuple[str, ...]:
    """What a scene is here, and which ones are left out and why."""
    found, too_short, without_rows = comparison.scenes
    notes = []
    if found:
        notes.append(
            f"A scene is a stretch of film that the edit left whole; one longer than {LONGEST_S:.0f} s is taken in equal parts. Its response is "
            f"taken {DELAY_S:.0f} s later, when it peaks, of moments whose TR counts in both; it still holds some of what came before."
        )
    if too_short:
        many = "1 scene is" if too_short == 1 else f"{too_short} scenes are"
        notes.append(
            f"{many} left out as shorter than six TRs ({SHORTEST_S:.1f} s): a response takes that long to rise and fall, so it could not be told "
            "from those of the scenes beside it."
        )
    if without_rows:
        many = "1 scene is" if without_rows == 1 else f"{without_rows} scenes are"
        notes.append(f"{many} left out because no moment there counts in both: too early for a full past, or too near the end.")
    return tuple(notes)


def _parts(piece: Piece) -> list[tuple[float, float, float, float]]:
    """Equal parts of a piece: (start, end) in B and what they show of A, (at, to); none is shortened under six TRs by the cut."""
    length_b, length_a = piece.end - piece.start, abs(piece.source_end - piece.source_start)
    wanted = math.ceil(max(length_a, length_b) / LONGEST_S - 1e-6)
    count = max(1, min(wanted, math.floor(min(length_a, length_b) / SHORTEST_S)))
    cuts = np.linspace(piece.start, piece.end, count + 1)
    shown = np.linspace(piece.source_start, piece.source_end, count + 1)
    return [tuple(map(float, (*cuts[k : k + 2], *shown[k : k + 2]))) for k in range(count)]


def _rows(valid: np.ndarray, here: tuple[float, float], other: np.ndarray, there: tuple[float, float]) -> np.ndarray:
    """Rows that count 5 s after the moments of a scene, where the same moments count on the other side; ``here`` rises, ``there`` may fall."""
    moments = tr_middles(len(valid)) - DELAY_S
    rows = np.floor((np.interp(moments, here, there) + DELAY_S) / TR + 1e-6).astype(int)
    counts = (rows < len(other)) & other[np.minimum(rows, len(other) - 1)]
    return valid & (moments >= here[0]) & (moments < here[1]) & counts
