"""Responses as NIfTI volumes: one map, a contrast, or all TRs as 4D.

Every voxel of a parcel holds the parcel's value; outside the parcels it is 0, as viewers expect. The grid is that of the committed parcel volume:
2 mm, in the space that FSL calls MNI152 (BIDS: ``MNI152NLin6Asym``); it is not ICBM 2009c. Both transforms carry the code 4, "MNI 152".

A row stands for the middle of its TR, so a 4D file starts at ``toffset = (first row + 0.5) * TR``: NIfTI-1 places volume m at
``toffset + m * pixdim[4]`` (nifti1.h, units of spatial and temporal dimensions). Tools that leave toffset out count from 0 at the first row.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Generator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from encoder.responses import Responses
from encoder.surface import VOLUME
from extractors.in_thread import Tell, in_thread
from extractors.stages import Stage, last
from viz.picked import Picked, Rows, pick
from viz.writing import check_ending, whole_file

if TYPE_CHECKING:
    from nibabel import Nifti1Header, Nifti1Image

SPACE = "MNI152NLin6Asym"
ENDINGS = (".nii.gz", ".nii")
MNI = 4
"""NIFTI_XFORM_MNI_152."""

HEADER_BYTES = 352
LEVEL = 4
"""Of gzip: a fifth smaller than level 1 for twice its time; level 9 takes nine times as long for another tenth."""

COMPRESSED_BYTES = 114_000
"""Of one volume of 1000 different numbers at that level; a flat map is smaller."""


@lru_cache(maxsize=1)
def parcel_volume() -> tuple[np.ndarray, np.ndarray]:
    """The committed parcel volume.

    Returns
    -------
    labels : int16 [91, 109, 91]
        0 outside, else the parcel's id (1 to 1000).
    affine : float64 [4, 4]
        Voxel indices to millimetres.
    """
    import nibabel

    image = nibabel.load(VOLUME)
    labels = np.asarray(image.dataobj, np.int16)
    labels.flags.writeable = False
    return labels, image.affine


@lru_cache(maxsize=1)
def _places() -> np.ndarray:
    """Parcel id of every voxel in the order of the file (first axis fastest)."""
    return parcel_volume()[0].ravel(order="F").astype(np.intp)


def to_nifti(
    responses: Responses,
    *,
    subject: int | None = None,
    tr: int | None = None,
    rows: Rows | None = None,
    mean: bool = True,
    minus: Rows | Responses | None = None,
) -> Nifti1Image:
    """Responses as an image of nibabel, 3D for a map, 4D for a series.

    A series is held in memory whole (3.6 MB a TR); :func:`write_nifti` writes it volume by volume.

    Parameters
    ----------
    responses : Responses
    subject, tr, rows, mean, minus
        What the image shows, as in :func:`viz.picked.pick`; by default all TRs of the mean of all subjects.

    Returns
    -------
    nibabel.Nifti1Image
        float32 [91, 109, 91] or [91, 109, 91, n].

    Raises
    ------
    SelectionError
        As :func:`viz.picked.pick`.
    """
    from nibabel import Nifti1Image

    picked = pick(responses, subject=subject, tr=tr, rows=rows, mean=mean, minus=minus)
    header = _header(picked)
    shape = header.get_data_shape()
    data = np.empty((len(picked.values), *shape[2::-1]), np.float32)
    for volume, values in zip(data, picked.values, strict=True):
        np.take(_table(values), _places(), out=volume.reshape(-1))
    return Nifti1Image((data if picked.series else data[0]).T, parcel_volume()[1], header)


def write_nifti(
    responses: Responses,
    path: str | os.PathLike,
    *,
    subject: int | None = None,
    tr: int | None = None,
    rows: Rows | None = None,
    mean: bool = True,
    minus: Rows | Responses | None = None,
) -> Path:
    """Write what :func:`to_nifti` makes, volume by volume: memory does not grow with the TRs. Equal responses give equal bytes.

    Parameters
    ----------
    responses : Responses
    path : path
        Ends in ``.nii.gz`` or ``.nii``.
    subject, tr, rows, mean, minus
        As in :func:`to_nifti`.

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
    return last(nifti_stages(responses, path, subject=subject, tr=tr, rows=rows, mean=mean, minus=minus))


def nifti_stages(
    responses: Responses,
    path: str | os.PathLike,
    *,
    subject: int | None = None,
    tr: int | None = None,
    rows: Rows | None = None,
    mean: bool = True,
    minus: Rows | Responses | None = None,
) -> Generator[Any, None, None]:
    """:func:`write_nifti` as a job that can be stopped.

    Yields
    ------
    Stage
        Named "volumes"; the last item is the path.
    """
    path = check_ending(Path(path), *ENDINGS)
    picked = pick(responses, subject=subject, tr=tr, rows=rows, mean=mean, minus=minus)
    total = len(picked.values)

    def work(tell: Tell) -> Path:
        with whole_file(path, "volume") as part, part.open("wb") as raw:
            if path.name.lower().endswith(".gz"):
                with gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=raw, mtime=0) as packed:
                    _stream(picked, packed, tell)
            else:
                _stream(picked, raw, tell)
        return path

    written = yield from in_thread("volumes", total, "Writing the volumes", work)
    yield Stage("volumes", total, total, f"{total} volumes are written" if total > 1 else "The volume is written")
    yield written


def nifti_size(n_trs: int, *, compressed: bool = True) -> int:
    """Bytes that a file of ``n_trs`` volumes takes: exact when not compressed, else an estimate for maps that vary over the parcels."""
    return HEADER_BYTES + n_trs * (COMPRESSED_BYTES if compressed else parcel_volume()[0].size * 4)


def _stream(picked: Picked, file: BinaryIO | gzip.GzipFile, tell: Tell) -> None:
    _header(picked).write_to(file)
    for number, values in enumerate(picked.values, 1):
        file.write(np.take(_table(values), _places()).data)
        tell(number, f"Volume {number} of {len(picked.values)}")


def _table(values: np.ndarray) -> np.ndarray:
    """Value of every parcel id; id 0 is no parcel."""
    return np.concatenate([[0], values]).astype("<f4")


def _header(picked: Picked) -> Nifti1Header:
    from nibabel import Nifti1Header

    labels, affine = parcel_volume()
    responses = picked.responses
    header = Nifti1Header(endianness="<")
    header.set_data_dtype(np.float32)
    header.set_data_shape((*labels.shape, len(picked.values)) if picked.series else labels.shape)
    header.set_qform(affine, MNI)
    header.set_sform(affine, MNI)
    header.set_slope_inter(1, 0)
    header["vox_offset"] = HEADER_BYTES
    if picked.series:
        header["pixdim"][4] = responses.tr
        header["toffset"] = picked.start_s
        header.set_xyzt_units("mm", "sec")
    else:
        header.set_xyzt_units("mm")
    header.set_intent("estimate", name="SIMULATED BOLD" if responses.simulated else "predicted BOLD")
    header["descrip"] = _described(picked).encode()[:79]
    return header


def _described(picked: Picked) -> str:
    """What a file shows in ASCII, the most needful first: a NIfTI header keeps 79 letters of it."""
    responses = picked.responses
    kind = "SIMULATED" if responses.simulated else "predicted"
    said = f"{kind}; {picked.who}; {SPACE}; {picked.what}; {responses.model_id}"
    return said.encode("ascii", "replace").decode()
