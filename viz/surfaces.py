"""Responses on the cortical surface as GIFTI: one ``func.gii`` for each hemisphere of fsaverage5 (10 242 vertices).

A vertex holds the value of its parcel (:func:`encoder.surface.vertex_labels`: sampled from the volume, not the official annotation). The medial
wall is 0, not NaN: FreeSurfer and Connectome Workbench both write 0 there, leave it undrawn below a threshold, and carry a NaN on into
whatever is computed next.

A series is one data array per TR of intent ``NIFTI_INTENT_TIME_SERIES``, a map one of ``NIFTI_INTENT_NONE``: FreeSurfer writes and reads
both so, and Workbench takes either as a metric. ``TimeStep`` is in milliseconds, the unit in which FreeSurfer keeps a TR; the file's
own metadata say ``RepetitionTime`` and ``StartTime`` in seconds.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from encoder.responses import Responses
from encoder.surface import MADE, vertex_labels
from extractors.errors import SelectionError
from extractors.in_thread import Tell, in_thread
from extractors.stages import Stage, last
from viz.picked import Picked, Rows, pick
from viz.writing import plain_text, whole_file

if TYPE_CHECKING:
    from nibabel.gifti import GiftiImage

SPACE = "fsaverage5"
SIDES = ("L", "R")
STRUCTURES = ("CortexLeft", "CortexRight")
ENDING = ".func.gii"
FIELD = "{hemi}"


def write_gifti(
    responses: Responses,
    stem: str | os.PathLike,
    *,
    subject: int | None = None,
    tr: int | None = None,
    rows: Rows | None = None,
    mean: bool = True,
    minus: Rows | Responses | None = None,
) -> tuple[Path, Path]:
    """Write two files, left and right. Equal responses give equal bytes.

    Parameters
    ----------
    responses : Responses
    stem : path
        ``<stem>_hemi-L.func.gii`` and ``<stem>_hemi-R.func.gii`` are made. A name that holds ``{hemi}`` is taken as it is, with L and R put there.
    subject, tr, rows, mean, minus
        What is shown, as in :func:`viz.picked.pick`; by default all TRs of the mean of all subjects.

    Returns
    -------
    tuple of pathlib.Path
        Left, right.

    Raises
    ------
    SelectionError
        As :func:`viz.picked.pick`, and for a name with ``{hemi}`` and another ending than ``.func.gii``.
    CacheError
        When a file cannot be written; nothing half-written stays.
    """
    return last(gifti_stages(responses, stem, subject=subject, tr=tr, rows=rows, mean=mean, minus=minus))


def gifti_stages(
    responses: Responses,
    stem: str | os.PathLike,
    *,
    subject: int | None = None,
    tr: int | None = None,
    rows: Rows | None = None,
    mean: bool = True,
    minus: Rows | Responses | None = None,
) -> Generator[Any, None, None]:
    """:func:`write_gifti` as a job that can be stopped.

    Yields
    ------
    Stage
        Named "surfaces"; the last item is the pair of paths.
    """
    left, right = _paths(Path(stem))
    picked = pick(responses, subject=subject, tr=tr, rows=rows, mean=mean, minus=minus)
    total = 2 * len(picked.values)

    def work(tell: Tell) -> tuple[Path, Path]:
        with whole_file(left, "surface") as one, whole_file(right, "surface") as two:
            for side, part in enumerate((one, two)):
                part.write_bytes(_image(picked, side, tell).to_bytes())
        return left, right

    written = yield from in_thread("surfaces", total, "Writing the surfaces", work)
    yield Stage("surfaces", total, total, "Both hemispheres are written")
    yield written


def _paths(stem: Path) -> tuple[Path, Path]:
    if FIELD not in stem.name:
        stem = stem.with_name(f"{stem.name}_hemi-{FIELD}{ENDING}")
    if not stem.name.endswith(ENDING):
        raise SelectionError(
            "ending", f"The file's name must end in {ENDING}, but got {stem.name!r} instead.", f"For example all_hemi-{FIELD}{ENDING}."
        )
    left, right = (stem.with_name(stem.name.replace(FIELD, side)) for side in SIDES)
    return left, right


def _image(picked: Picked, side: int, tell: Tell) -> GiftiImage:
    from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiMetaData

    responses, labels = picked.responses, vertex_labels()[side].astype(np.intp)
    facts = {
        "AnatomicalStructurePrimary": STRUCTURES[side],
        "Simulated": str(responses.simulated).lower(),
        "Description": f"{'SIMULATED' if responses.simulated else 'predicted'} BOLD, {responses.units}; {picked.who}; {picked.what}",
        "Space": SPACE,
        "Parcels": f"Schaefer 2018, 1000 parcels, 7 networks; {MADE}; the medial wall is 0",
        "ModelId": responses.model_id,
    }
    step = {}
    if picked.series:
        facts |= {"RepetitionTime": f"{responses.tr:g} s", "StartTime": f"{picked.start_s:g} s, the middle of TR {picked.rows[0]}"}
        step = {"TimeStep": f"{responses.tr * 1000:f}"}
    image = GiftiImage(meta=GiftiMetaData({name: plain_text(text) for name, text in facts.items()}))
    for number, (name, values) in enumerate(zip(picked.names, picked.values, strict=True), 1):
        image.add_gifti_data_array(
            GiftiDataArray(
                np.concatenate([[0], values]).astype("<f4")[labels],
                intent="NIFTI_INTENT_TIME_SERIES" if picked.series else "NIFTI_INTENT_NONE",
                datatype="NIFTI_TYPE_FLOAT32",
                endian="little",
                meta=GiftiMetaData({"Name": plain_text(name), **step}),
            )
        )
        tell(side * len(picked.values) + number, f"{'Left' if side == 0 else 'Right'} hemisphere, map {number} of {len(picked.values)}")
    return image
