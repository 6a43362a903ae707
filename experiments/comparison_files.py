"""A comparison on disk: a folder that the page keeps, a capsule carries, and a ready-made experiment is.

``comparison.json`` says what was compared; ``a`` and ``b`` are results as :mod:`experiments.results` writes them, each with its film;
``null.npz`` holds what the null edits changed. For people, and read by nothing here: ``comparison.tsv``, the sizes, a row for each subject and curve
(:data:`experiments.findings.COLUMNS`); ``association.tsv`` of paired conditions (:data:`experiments.association.COLUMNS`); ``scenes.tsv`` where an
edit moved whole scenes in time (:data:`experiments.scene_by_scene.COLUMNS`).
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from experiments.association import association_frame
from experiments.comparison import Comparison
from experiments.conditions import called
from experiments.findings import frame
from experiments.null_band import NullBand
from experiments.results import COMPARISON, load_result, save_result
from experiments.scene_by_scene import has_scenes, scene_frame
from extractors.arrays import load_arrays
from extractors.errors import CacheError, StatisticsError
from extractors.time_map import TimeMap
from viz.export import write_table
from viz.writing import whole_file

FORM = 1
"""Version of ``comparison.json``."""

FACTS, NULL, SIDES = COMPARISON, "null.npz", ("a", "b")
TABLE, ASSOCIATION, SCENES = TABLES = "comparison.tsv", "association.tsv", "scenes.tsv"


def save_comparison(comparison: Comparison, folder: str | os.PathLike, *, film: bool = True, base: bool = True) -> Path:
    """Write a comparison; ``comparison.json`` comes last, so a folder that holds it is whole.

    Parameters
    ----------
    comparison : Comparison
    folder : path
        Made when missing.
    film : bool
        Whether the films are written beside the results.
    base : bool
        Whether A is written too; without it :func:`load_comparison` must be told where A lies.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    CacheError
        When the folder cannot be written.
    """
    folder = Path(folder)
    (folder / FACTS).unlink(missing_ok=True)
    for side, result in zip(SIDES, (comparison.a, comparison.b), strict=True):
        if side == "b" or base:
            save_result(result, folder / side, film=film and result.clip.path is not None and result.clip.path.is_file())
    try:
        if comparison.null is not None:
            with whole_file(folder / NULL) as part, open(part, "wb") as file:
                np.savez_compressed(file, differences=comparison.null.differences, parcel_change=comparison.null.parcel_change)
        else:
            (folder / NULL).unlink(missing_ok=True)
        write_tables(comparison, folder)
        with whole_file(folder / FACTS) as part:
            part.write_text(json.dumps(facts_of(comparison), ensure_ascii=False, indent=1), encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or "it cannot be written").lower()
        message = f"The comparison could not be written: {reason}."
        raise CacheError("result_unwritable", message, "Choose another folder, or free some space.") from None
    return folder


def write_tables(comparison: Comparison, folder: Path) -> tuple[Path, ...]:
    """Write those of :data:`TABLES` that this comparison has, and take away the others; each says in
    columns whether it is simulated and what A and B are.

    Raises
    ------
    CacheError
        ``table_unwritable``.
    """
    made = {TABLE: frame(comparison)}
    if comparison.paired:
        with suppress(StatisticsError):  # too few rows to shift
            made[ASSOCIATION] = association_frame(comparison)
    elif has_scenes(comparison):
        made[SCENES] = scene_frame(comparison)
        if made[SCENES].empty:
            del made[SCENES]
    for name in TABLES:
        if name not in made:
            (folder / name).unlink(missing_ok=True)
    return tuple(write_table(one.assign(**marks(comparison)), folder / name) for name, one in made.items())


def marks(comparison: Comparison) -> dict[str, Any]:
    """Columns that every table of a comparison has, the same in all rows: whether it is simulated, and what each condition is."""
    return {"simulated": comparison.a.responses.simulated, "condition_a": called(comparison.a), "condition_b": called(comparison.b)}


def facts_of(comparison: Comparison) -> dict[str, Any]:
    """What ``comparison.json`` holds, JSON-able."""
    return {
        "form": FORM,
        "id": comparison.id,
        "label_a": comparison.label_a,
        "label_b": comparison.label_b,
        "edits": comparison.edits,
        "lesions": comparison.lesions,
        "time_map": None if comparison.time_map is None else comparison.time_map.as_list(),
        "paired": comparison.paired,
        "why": comparison.why,
        "null_edits": None if comparison.null is None else list(comparison.null.edits),
        "seed": comparison.seed,
    }


def load_comparison(folder: str | os.PathLike, *, base: str | os.PathLike | None = None) -> Comparison:
    """Read what :func:`save_comparison` wrote.

    Parameters
    ----------
    folder : path
    base : path, optional
        Folder of A's result where it was not written with the comparison.

    Raises
    ------
    CacheError
        ``result_missing``, ``result_damaged`` or ``result_newer``.
    """
    folder = Path(folder)
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        if facts["form"] > FORM:
            raise CacheError("result_newer", "This comparison was written by a newer version of the program.", "Update the program to open it.")
        a = load_result(base if base is not None else folder / "a")
        b = load_result(folder / "b")
        null = None
        if facts["null_edits"] is not None:
            arrays = load_arrays(folder / NULL)
            null = NullBand(tuple(map(str, facts["null_edits"])), arrays["differences"], arrays["parcel_change"])
            if null.differences.shape[1:3] != (len(a.responses.subjects) + 1, a.responses.n_trs):
                raise ValueError("the null edits belong to another result")
        time_map = None if facts["time_map"] is None else TimeMap.from_list(facts["time_map"])
        texts = {name: str(facts[name]) for name in ("label_a", "label_b", "edits", "lesions", "id")}
        return Comparison(a=a, b=b, time_map=time_map, null=null, seed=int(facts["seed"]), **texts)
    except FileNotFoundError as error:
        missing = Path(error.filename or "a file").name
        raise CacheError("result_missing", f"This comparison is not here any more ({missing} is missing).", "Compare again.") from None
    except CacheError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, EOFError, OSError):
        raise CacheError("result_damaged", "The files of this comparison are damaged or do not belong together.", "Compare again.") from None
