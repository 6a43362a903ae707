"""Responses as parcellated CIFTI-2: ``ptseries.nii`` (parcels by TRs) and ``pscalar.nii`` (parcels by named maps).

Every parcel names both its voxels in the committed 2 mm volume (MNI152NLin6Asym) and its vertices on fsaverage5, so Connectome Workbench draws
it in either. The intents are 3004 ``ConnParcelSries`` and 3008 ``ConnParcelScalr`` (CIFTI-2, appendix A), in the code and in the name of the
intent: nibabel alone writes ``ConnUnknown``. A row stands for the middle of its TR, so a series starts at ``(first row + 0.5) * TR`` seconds.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from encoder.atlas import N_PARCELS, load_atlas
from encoder.responses import Responses
from encoder.surface import MADE, N_VERTICES, vertex_labels
from extractors.errors import SelectionError
from viz.picked import Rows, pick
from viz.volumes import SPACE, parcel_volume
from viz.writing import check_ending, plain_text, whole_file

if TYPE_CHECKING:
    from nibabel.cifti2 import Axis, Cifti2MatrixIndicesMap, ParcelsAxis

SERIES, SCALARS = ".ptseries.nii", ".pscalar.nii"
STRUCTURES = ("CIFTI_STRUCTURE_CORTEX_LEFT", "CIFTI_STRUCTURE_CORTEX_RIGHT")


def write_ptseries(
    responses: Responses,
    path: str | os.PathLike,
    *,
    subject: int | None = None,
    rows: Rows | None = None,
    minus: Rows | Responses | None = None,
) -> Path:
    """Write the TRs of one subject, or of the mean of all, as a parcellated series. Equal responses give equal bytes.

    Parameters
    ----------
    responses : Responses
    path : path
        Ends in ``.ptseries.nii``.
    subject : int, optional
    rows : optional
        Rows that follow each other; by default all.
    minus : optional
        Rows whose mean is taken away, or another result, as in :func:`viz.picked.pick`.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    SelectionError
        For another ending, and as :func:`viz.picked.pick`.
    CacheError
        When the file cannot be written; nothing half-written stays.
    """
    from nibabel.cifti2 import SeriesAxis

    path = check_ending(Path(path), SERIES)
    picked = pick(responses, subject=subject, rows=rows, mean=False, minus=minus)
    axis = SeriesAxis(picked.start_s, responses.tr, len(picked.values), "SECOND")
    facts = {"ModelId": responses.model_id, "Shows": f"{picked.who}; {picked.what}", "Unit": responses.units}
    return _write(path, axis, picked.values, "ConnParcelSries", responses.simulated, facts)


def write_pscalar(maps: Mapping[str, np.ndarray], path: str | os.PathLike, *, simulated: bool, facts: Mapping[str, str] | None = None) -> Path:
    """Write named maps over the parcels.

    Parameters
    ----------
    maps : mapping of str to float [1000]
        At least one; NaN is allowed for parcels of which nothing is known. Values of a result come from :func:`viz.picked.pick`.
    path : path
        Ends in ``.pscalar.nii``.
    simulated : bool
        Whether the maps come from a simulated brain; each map's name then says so.
    facts : mapping of str to str, optional
        Further metadata of the file.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    SelectionError
        For another ending, no map, or values that are not [1000].
    CacheError
        When the file cannot be written; nothing half-written stays.
    """
    from nibabel.cifti2 import ScalarAxis

    path = check_ending(Path(path), SCALARS)
    if not maps:
        raise SelectionError("no_maps", "There is no map to write.", "Give at least one.")
    arrays = {name: np.asarray(values, np.float32) for name, values in maps.items()}
    for name, values in arrays.items():
        if values.shape != (N_PARCELS,):
            raise SelectionError(
                "map_shape", f"The map {name!r} must have shape ({N_PARCELS},), but got {values.shape} instead.", "Give one value a parcel."
            )
    names = [plain_text(f"SIMULATED: {name}" if simulated else name) for name in maps]
    return _write(path, ScalarAxis(names), np.stack(list(arrays.values())), "ConnParcelScalr", simulated, facts or {})


@lru_cache(maxsize=1)
def parcels_axis() -> ParcelsAxis:
    """The 1000 parcels with their names, voxels and vertices."""
    from nibabel.cifti2 import ParcelsAxis

    labels, affine = parcel_volume()
    surfaces = vertex_labels()
    voxels, vertices = np.empty(N_PARCELS, object), np.empty(N_PARCELS, object)
    inside = np.argwhere(labels > 0)
    found = labels[tuple(inside.T)]
    order = np.argsort(found, kind="stable")
    ends = np.searchsorted(found[order], np.arange(1, N_PARCELS + 2))
    for parcel in range(N_PARCELS):
        voxels[parcel] = inside[order[ends[parcel] : ends[parcel + 1]]]
        on = {structure: np.flatnonzero(surface == parcel + 1) for structure, surface in zip(STRUCTURES, surfaces, strict=True)}
        vertices[parcel] = {structure: indices for structure, indices in on.items() if len(indices)}
    names = np.array(load_atlas().labels, object)
    return ParcelsAxis(names, voxels, vertices, affine, labels.shape, dict.fromkeys(STRUCTURES, N_VERTICES))


@lru_cache(maxsize=1)
def _parcels_mapping() -> Cifti2MatrixIndicesMap:
    """:func:`parcels_axis` as the second dimension of a file; never changed."""
    return parcels_axis().to_mapping(1)


def _write(path: Path, axis: Axis, values: np.ndarray, intent: str, simulated: bool, facts: Mapping[str, str]) -> Path:
    from nibabel.cifti2 import Cifti2Header, Cifti2Image, Cifti2Matrix, Cifti2MetaData

    header = Cifti2Header(Cifti2Matrix())
    header.matrix.append(axis.to_mapping(0))
    header.matrix.append(_parcels_mapping())
    header.copy = lambda: header  # nibabel copies a header index by index, which takes longer than all the rest; this one is nobody else's
    told = {
        "Simulated": str(simulated).lower(),
        "Description": f"{'SIMULATED' if simulated else 'predicted'} BOLD",
        "Space": f"voxels {SPACE}, vertices fsaverage5",
        "Parcels": f"Schaefer 2018, 1000 parcels, 7 networks; vertices {MADE}",
        **facts,
    }
    header.matrix.metadata = Cifti2MetaData({plain_text(name): plain_text(text) for name, text in told.items()})
    image = Cifti2Image(np.ascontiguousarray(values, "<f4"), header)
    image.nifti_header.set_intent(intent, name=intent)
    image.nifti_header["descrip"] = told["Description"].encode()
    with whole_file(path, "parcel file") as part:
        part.write_bytes(image.to_bytes())
    return path
