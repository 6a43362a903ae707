"""Which parcel each vertex of fsaverage5 belongs to, sampled from the committed volume.

This is not the official surface annotation, which is not part of this project: labels are read off the 2 mm volume between the white and
the pial surface. fsaverage lies in MNI305 and the volume in FSL's MNI152, so points go through FreeSurfer's affine between the two
(FreeSurfer wiki, "CoordinateSystems", case 8). Parcels then lie 2.4 mm from the table's centroids on average, without it 2.7 mm.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from encoder.atlas import N_PARCELS, load_atlas
from extractors.arrays import load_arrays
from settings import ASSETS

VERTEX_LABELS = ASSETS / "atlas" / "fsaverage5_parcels.npz"
VOLUME = ASSETS / "atlas" / "Schaefer2018_1000Parcels_7Networks_order_FSLMNI152_2mm.nii.gz"
SIDES = ("left", "right")
N_VERTICES = 10242
MADE = "sampled from the 2 mm volume between the white and the pial surface; not the official annotation"

MNI305_TO_MNI152 = np.array(
    [
        [0.9975, -0.0073, 0.0176, -0.0429],
        [0.0146, 1.0009, -0.0024, 1.5496],
        [-0.0130, -0.0093, 0.9971, 1.1840],
    ]
)
DEPTHS = np.linspace(0, 1, 11)
FAR_MM = 6.0
"""How far from its centre a piece of a parcel begins to count less."""

NEAR_MM = 3.0
KEPT = 3
"""A parcel with fewer vertices than this takes some that pass within ``NEAR_MM`` of its voxels, from parcels with more than twice as many."""


@lru_cache(maxsize=1)
def vertex_labels() -> np.ndarray:
    """Parcel of every vertex of fsaverage5.

    Sampled from the volume (see the module), not the official annotation.

    Returns
    -------
    uint16 [2, 10242]
        Left, right; the parcel's id (1..1000), 0 on the medial wall. Read-only.
    """
    stored = load_arrays(VERTEX_LABELS)
    labels, told = stored["labels"], str(stored["atlas_hash"])
    if labels.shape != (2, N_VERTICES) or labels.dtype != np.uint16 or told != load_atlas().hash:
        raise ValueError(f"{VERTEX_LABELS.name} belongs to another atlas: make it again with make assets.")
    labels.flags.writeable = False
    return labels


def write_vertex_labels(path: Path = VERTEX_LABELS) -> Path:
    """Sample the labels, write them and return the path."""
    np.savez_compressed(path, labels=sample_labels(), atlas_hash=np.array(load_atlas().hash), made=np.array(MADE))
    return path


def mesh(surface: str, side: str) -> tuple[np.ndarray, np.ndarray]:
    """One of nilearn's bundled fsaverage5 meshes.

    Parameters
    ----------
    surface : "white", "pial", "infl"
    side : "left", "right"

    Returns
    -------
    float64 [10242, 3], int64 [20480, 3]
        Vertices in MNI305 mm (an inflated mesh keeps only the directions), and triangles.
    """
    from nilearn.datasets import fetch_surf_fsaverage
    from nilearn.surface import load_surf_mesh

    loaded = load_surf_mesh(fetch_surf_fsaverage("fsaverage5")[f"{surface}_{side}"])
    return np.asarray(loaded.coordinates, np.float64), np.asarray(loaded.faces, np.int64)


def to_mni152(points: np.ndarray) -> np.ndarray:
    """Points [..., 3] of fsaverage (MNI305) in MNI152, mm."""
    return points @ MNI305_TO_MNI152[:, :3].T + MNI305_TO_MNI152[:, 3]


def neighbours(faces: np.ndarray):
    """Which vertices share an edge: scipy CSR matrix of ones, [vertices, vertices]."""
    from scipy.sparse import coo_matrix

    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = np.concatenate([edges, edges[:, ::-1]])
    count = int(faces.max()) + 1
    found = coo_matrix((np.ones(len(edges)), edges.T), shape=(count, count)).tocsr()
    found.data[:] = 1
    return found


def sample_labels() -> np.ndarray:
    """Sample the volume anew: what :func:`vertex_labels` returns.

    Each vertex takes the parcel that most of eleven points between white and pial surface meet, points near the middle counting more;
    parcels of the other hemisphere do not count. Crumbs apart from their parcel go to what surrounds them, parcels that were hardly met
    take the vertices nearest to them, holes are filled from their edges, and the largest unlabelled piece, the medial wall, stays empty.
    """
    import nibabel

    image = nibabel.load(VOLUME)
    volume = np.asarray(image.dataobj).astype(np.int64)
    hemispheres = np.concatenate([[""], load_atlas().hemispheres])
    labels = np.zeros((2, N_VERTICES), np.uint16)
    for number, side in enumerate(SIDES):
        mine = np.where(hemispheres[volume] == side[0].upper(), volume, 0)
        white, faces = mesh("white", side)
        pial, _ = mesh("pial", side)
        points = to_mni152(white[None] + DEPTHS[:, None, None] * (pial - white)[None])
        found = _most_met(_look_up(mine, image.affine, points))
        voxels = {int(parcel): np.argwhere(mine == parcel) @ image.affine[:3, :3].T + image.affine[:3, 3] for parcel in np.unique(mine[mine > 0])}
        centres = np.full((N_PARCELS + 1, 3), np.nan)
        for parcel, places in voxels.items():
            centres[parcel] = places.mean(0)
        joined = neighbours(faces)
        found = _without_crumbs(found, joined, points[len(DEPTHS) // 2], centres)
        found = _rescue(found, joined, points, voxels, centres)
        labels[number] = _filled(found, joined)
    return labels


def _look_up(volume: np.ndarray, affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Value of the nearest voxel at every point [..., 3] in mm."""
    inverse = np.linalg.inv(affine)
    voxels = np.rint(points @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
    voxels = np.clip(voxels, 0, np.array(volume.shape) - 1)
    return volume[tuple(np.moveaxis(voxels, -1, 0))]


def _most_met(samples: np.ndarray) -> np.ndarray:
    """The parcel with the largest vote per column of ``samples`` [depths, vertices]; 0 where none was met."""
    votes = np.zeros((samples.shape[1], N_PARCELS + 1), np.float32)
    for depth, row in zip(DEPTHS, samples, strict=True):
        votes[np.arange(len(row)), row] += 1 + depth * (1 - depth)
    votes[:, 0] = 0
    return votes.argmax(1)


def _without_crumbs(found: np.ndarray, joined, middle: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Keep one piece of every parcel, the largest when vertices far from its centre count less; the rest is open again."""
    from scipy.sparse.csgraph import connected_components

    kept = np.zeros_like(found)
    for parcel in np.unique(found[found > 0]):
        vertices = np.flatnonzero(found == parcel)
        _, piece = connected_components(joined[vertices][:, vertices])
        worth = np.exp(-((np.linalg.norm(middle[vertices] - centres[parcel], axis=1) / FAR_MM) ** 2))
        kept[vertices[piece == np.bincount(piece, worth).argmax()]] = parcel
    return kept


def _rescue(found: np.ndarray, joined, points: np.ndarray, voxels: dict[int, np.ndarray], centres: np.ndarray) -> np.ndarray:
    """Let parcels with hardly a vertex grow where the surface passes near their voxels, as far as their neighbours can spare it."""
    from scipy.spatial import cKDTree

    found = found.copy()
    to_centre = points[len(DEPTHS) // 2]
    for parcel, places in voxels.items():
        if (found == parcel).sum() >= KEPT:
            continue
        near = cKDTree(places).query(points, distance_upper_bound=NEAR_MM)[0].min(0) <= NEAR_MM
        while (count := (found == parcel).sum()) < KEPT:
            allowed = near & (found != parcel) & ((found == 0) | (np.bincount(found, minlength=N_PARCELS + 1)[found] > 2 * KEPT))
            if count:
                allowed &= joined @ (found == parcel) > 0
            if not allowed.any():
                break
            distance = np.linalg.norm(to_centre - centres[parcel], axis=1)
            found[np.where(allowed, distance, np.inf).argmin()] = parcel
    return found


def _filled(found: np.ndarray, joined) -> np.ndarray:
    """Fill every hole but the largest, ring by ring, with what most neighbours are."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    found = found.copy()
    empty = np.flatnonzero(found == 0)
    _, piece = connected_components(joined[empty][:, empty])
    hole = empty[piece != np.bincount(piece).argmax()]
    while (open_ := hole[found[hole] == 0]).size:
        around = joined[open_] @ csr_matrix((found > 0, (np.arange(len(found)), found)), shape=(len(found), N_PARCELS + 1), dtype=float)
        best = np.asarray(around.argmax(1)).ravel()
        if not best.any():
            break
        found[open_] = best
    return found
