"""Designs and sets for people: what a page or a program reads of them, and their tables as TSV files.

A folder of a design holds ``design.json`` (:func:`design_facts`), ``effects.tsv`` (a row for each subject and curve) and ``cells.tsv`` (the four
conditions TR by TR). That of a set holds ``set.json``, ``set.tsv`` (a row for each network and group), ``parcels.tsv`` (for each parcel) and
``clips.tsv`` (for each clip).
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.calibration import caption_for
from analysis.contrasts import INTERVAL_LABEL, LEAST_ROWS
from analysis.factorial import CELLS
from encoder.atlas import NETWORK_NAMES, load_atlas
from encoder.curves import curve_ids
from experiments.conditions import done_to
from experiments.factorial import EFFECTS, Factorial
from experiments.findings import label_of
from experiments.sets import SetComparison, tested_curves
from extractors.edit_language import parse_edits
from extractors.errors import CacheError, CineglassError
from extractors.grid import TR
from viz.export import write_table
from viz.payload import subject_id
from viz.writing import whole_file

if TYPE_CHECKING:
    import pandas

    from experiments.predict import Result

FORM = 1
DESIGN, EFFECTS_TABLE, CELLS_TABLE = "design.json", "effects.tsv", "cells.tsv"
SET, SET_TABLE, PARCELS_TABLE, CLIPS_TABLE = "set.json", "set.tsv", "parcels.tsv", "clips.tsv"
STEPS = 32_000
"""Steps of the integers that the four time courses are kept in, to either side of zero."""

DESIGN_CAPTION = (
    "A main effect is level 1 less level 0, averaged over the other factor; the interaction is the difference of the two differences. Size is the "
    "SD of the effect over time as a share of the usual SD of the four conditions. One design, one deterministic model: sizes without a p-value."
)
INTERVAL_CAPTION = f"Intervals of the mean: {INTERVAL_LABEL} ({{rows}} TRs that count), no confidence interval over films or people."
NO_INTERVAL = f"No interval of the mean is given: {{rows}} TRs count, and one needs {LEAST_ROWS}."


def design_facts(found: Factorial) -> dict[str, Any]:
    """A finished design, JSON-able.

    Returns
    -------
    dict
        ``factors``, ``levels`` (each with ``says``, in plain words), ``simulated``, ``model``, ``calibrated``, ``caption``, ``subjects``,
        ``tables``: subject id -> a row for each curve (:data:`EFFECTS` with ``_low``, ``_high``, ``_size``; ``cells`` and ``spread``, the mean and
        the SD over the valid rows of each cell in the order of ``order``), and ``courses``: the four conditions TR by TR of the curves without
        halves, int16 [cells, curves, subjects + 1, T], little-endian, times ``scale`` (z).
    """
    responses = found.cells[0, 0].responses
    valid = found.valid
    counted = int(valid.sum())
    intervals = (INTERVAL_CAPTION.format(rows=counted), caption_for("interval difference", counted))
    caption = " ".join(text for text in (DESIGN_CAPTION, *(intervals if counted >= LEAST_ROWS else (NO_INTERVAL.format(rows=counted),))) if text)
    whole = tested_curves()
    courses = _stacked(found)[..., [curve_ids().index(curve) for curve in whole]].transpose(0, 3, 1, 2)
    scale = float(np.abs(courses).max()) / STEPS or 1.0
    tables = {id: _rows(found, subject) for id, (_, subject) in _subjects(found).items()}
    return {
        "form": FORM,
        "kind": "design",
        "factors": list(found.factors),
        "levels": [list(pair) for pair in found.levels],
        "says": [[_says(level) for level in pair] for pair in found.levels],
        "order": [list(cell) for cell in CELLS],
        "simulated": responses.simulated,
        "model": responses.model_title,
        "calibrated": responses.extra.get("calibrated", "unknown"),
        "caption": caption,
        "tr": TR,
        "valid": [int(row) for row in valid],
        "subjects": [{"id": id, "label": label} for id, (label, _) in _subjects(found).items()],
        "tables": tables,
        "courses": {"curves": list(whole), "scale": scale, "data": base64.b64encode(np.round(courses / scale).astype("<i2").tobytes()).decode()},
    }


def design_frame(facts: Mapping[str, Any]) -> pandas.DataFrame:
    """Effects of every subject and of their mean (of :func:`design_facts`) in one labelled table, a row for each subject and curve."""
    import pandas

    labels = {subject["id"]: subject["label"] for subject in facts["subjects"]}
    rows = []
    for id, table in facts["tables"].items():
        for row in table:
            numbers = {
                f"{what}_{i}{j}": value for what, key in (("mean", "cells"), ("sd", "spread")) for (i, j), value in zip(CELLS, row[key], strict=True)
            }
            rows.append({"subject": labels[id], **{key: row[key] for key in row if key not in ("cells", "spread")}, **numbers})
    named = zip(facts["factors"], facts["levels"], strict=True)
    levels = {f"factor_{number}": f"{name}: {pair[0]} | {pair[1]}" for number, (name, pair) in enumerate(named, 1)}
    return pandas.DataFrame(rows).set_index(["subject", "curve"]).assign(**levels, calibrated=facts["calibrated"], simulated=facts["simulated"])


def write_design(found: Factorial, folder: Path) -> tuple[Path, ...]:
    """Write a design's folder (see the module); the files, ``design.json`` last.

    Raises
    ------
    CacheError
        When a file cannot be written.
    """
    folder = _made(folder)
    facts = design_facts(found)
    effects = write_table(design_frame(facts), folder / EFFECTS_TABLE)
    cells = write_table(_courses_frame(found).assign(calibrated=facts["calibrated"], simulated=facts["simulated"]), folder / CELLS_TABLE)
    with whole_file(folder / DESIGN) as part:
        part.write_text(json.dumps(facts, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return effects, cells, folder / DESIGN


def set_facts(found: SetComparison, *, names: tuple[Sequence[str], Sequence[str]] | None = None, change: str = "") -> dict[str, Any]:
    """A finished comparison of sets, JSON-able.

    Parameters
    ----------
    found : SetComparison
    names : two sequences of str, optional
        What people call the clips of A and of B; by default their file names.
    change : str
        Edits that make B of A; "" for two lists.

    Returns
    -------
    dict
        ``rows``: one for each network and group with the columns of :meth:`SetComparison.frame`; ``caption``; ``test``: what the p-values rest on;
        ``sizes``: the statistic of every clip, [2][clips][curves]; ``counted``: TRs it is taken over, [2][clips].
    """
    responses = found.a[0].responses
    frame = found.frame()
    names = names or tuple([result.clip.name for result in side] for side in (found.a, found.b))
    rows = [{"curve": curve, "kind": _kind(curve), **{key: _plain(value) for key, value in frame.loc[curve].items()}} for curve in frame.index]
    return {
        "form": FORM,
        "kind": "set",
        "paired": found.paired,
        "statistic": found.statistic,
        "change": change,
        "says": _says(change) if change else "",
        "names": [list(side) for side in names],
        "simulated": responses.simulated,
        "model": responses.model_title,
        "calibrated": responses.extra.get("calibrated", "unknown"),
        "caption": found.caption,
        "test": _test(found),
        "rows": rows,
        "counted": [list(side) for side in found.counted],
        "sizes": [[[_plain(value) for value in clip] for clip in side] for side in (found.sizes_a, found.sizes_b)],
    }


def write_set(found: SetComparison, folder: Path, *, names: tuple[Sequence[str], Sequence[str]] | None = None, change: str = "") -> tuple[Path, ...]:
    """Write a set's folder (see the module); the files, ``set.json`` last.

    Raises
    ------
    CacheError
        When a file cannot be written.
    """
    import pandas

    folder = _made(folder)
    facts = set_facts(found, names=names, change=change)
    about = {"simulated": facts["simulated"], "calibrated": facts["calibrated"], "statistic": found.statistic, "paired": found.paired}
    about |= {"change": change or "n/a", "model": facts["model"], "whose": found.who}
    tested, atlas = found.parcels, load_atlas()
    numbers = {"difference": found.parcel_difference, "t": tested.t, "p": tested.p, "p_max": tested.p_max, "q_fdr": tested.q_fdr}
    parcels = pandas.DataFrame({"label": atlas.labels, "network": atlas.networks, **numbers}, index=pandas.RangeIndex(1, 1001, name="parcel"))
    sizes = [
        {"set": side, "number": number, "clip": name, **_of_clip(result, counted), **dict(zip(tested_curves(), values, strict=True))}
        for side, *told in zip("AB", facts["names"], (found.a, found.b), found.counted, (found.sizes_a, found.sizes_b), strict=True)
        for number, (name, result, counted, values) in enumerate(zip(*told, strict=True), 1)
    ]
    files = (
        write_table(found.frame().assign(**about, **facts["test"]), folder / SET_TABLE),
        write_table(parcels.assign(**about, **facts["test"]), folder / PARCELS_TABLE),
        write_table(pandas.DataFrame(sizes).set_index(["set", "number"]).assign(**about), folder / CLIPS_TABLE),
    )
    with whole_file(folder / SET) as part:
        part.write_text(json.dumps(facts, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return (*files, folder / SET)


def _test(found: SetComparison) -> dict[str, Any]:
    """What the p-values of a set rest on."""
    tested = found.curves
    about = {"n_a": len(found.a), "n_b": len(found.b), "relabellings": tested.n_permutations, "exact": tested.exact, "seed": found.seed}
    return about | {"smallest_p": _plain(tested.smallest_p)}


def _of_clip(result: Result, counted: int) -> dict[str, Any]:
    """Which film a run of a set was of, what was done to it, and how long it is."""
    done = done_to(result) or "n/a"
    return {"sha256": result.clip.sha256, "done": done, "seconds": result.clip.duration, "trs": result.responses.n_trs, "trs_counted": counted}


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or "it cannot be written").lower()
        raise CacheError("table_unwritable", f"The tables could not be written: {reason}.", "Choose another folder, or free some space.") from None
    return folder


def _subjects(found: Factorial) -> dict[str, tuple[str, int | None]]:
    """Id of the player -> (label, number); the mean of the subjects first."""
    responses = found.cells[0, 0].responses
    named = zip(responses.subject_labels, responses.subjects, strict=True)
    return {"mean": ("mean", None)} | {subject_id(label): (label, subject) for label, subject in named}


def _stacked(found: Factorial) -> np.ndarray:
    """Curves of the four cells, the mean of the subjects first as in :func:`_subjects`: float [cells, S + 1, T, curves]."""
    return np.stack([np.roll(found.curves[cell], 1, axis=0) for cell in CELLS])


def _rows(found: Factorial, subject: int | None) -> list[dict[str, Any]]:
    frame = found.frame(subject)
    place = list(dict(_subjects(found).values()).values()).index(subject)
    counted = _stacked(found)[:, place][:, found.valid].astype(np.float64)
    means, spreads = counted.mean(1), counted.std(1)
    keys = [f"{effect}{end}" for effect in EFFECTS for end in ("", "_low", "_high", "_size")]
    return [
        {
            "curve": curve,
            "label": label_of(curve),
            "kind": _kind(curve),
            **{key: _plain(frame.loc[curve, key]) for key in keys},
            "cells": [_plain(value) for value in means[:, number]],
            "spread": [_plain(value) for value in spreads[:, number]],
        }
        for number, curve in enumerate(frame.index)
    ]


def _courses_frame(found: Factorial) -> pandas.DataFrame:
    """The four conditions TR by TR: a row for each subject, cell and TR, a column for each curve."""
    import pandas

    stacked, valid = _stacked(found), found.valid
    times = (np.arange(len(valid)) + 0.5) * TR
    parts = []
    for number, (i, j) in enumerate(CELLS):
        for place, (label, _) in enumerate(_subjects(found).values()):
            levels = {"subject": label, "first": found.levels[0][i], "second": found.levels[1][j]}
            rows = {"row": np.arange(len(valid)), "time_s": times, "valid": valid}
            parts.append(pandas.DataFrame({**levels, **rows, **dict(zip(curve_ids(), stacked[number, place].T, strict=True))}))
    return pandas.concat(parts).set_index(["subject", "first", "second", "row"])


def _kind(curve: str) -> str:
    return "network" if curve.partition("-")[0] in NETWORK_NAMES else "group"


def _says(level: str) -> str:
    """A level in plain words: what its edits do, or the level itself."""
    try:
        return " ".join(edit.says for edit in parse_edits(level))
    except CineglassError:
        return level


def _plain(value: Any) -> Any:
    """A number as JSON has it: rounded, None where there is none; text as it is."""
    if isinstance(value, str):
        return value
    value = float(value)
    return float(f"{value:.6g}") if math.isfinite(value) else None
