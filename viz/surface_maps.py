"""Builds ``assets/player/surface.bin``: four still pictures of the cortical surface whose pixels hold parcel numbers.

Left and right, lateral and medial, on nilearn's fsaverage5 inflated surface, seen from the side in parallel projection as in nilearn's
surface plots. The browser and the film painter colour them anew for every row; nothing is projected while a film runs. The vertex labels
come from :mod:`encoder.surface` (sampled from the 2 mm volume), the grey of sulci and gyri from the bundled sulcal depth.

File: length of a JSON header (4 bytes, little-endian), header (UTF-8), one zlib stream. The stream holds, view by view, the low bytes
of all parcel numbers and then their high bytes; then, view by view, the shades. Every byte is stored as its difference (mod 256) from the
byte one row above, which makes the inside of a parcel zero.

Run by ``make assets`` (``python -m viz.surface_maps``), which samples the vertex labels first.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from encoder.atlas import N_PARCELS, load_atlas
from encoder.surface import MADE, SIDES, mesh, neighbours, vertex_labels, write_vertex_labels
from settings import ASSETS

SURFACE = ASSETS / "player" / "surface.bin"
VERSION = 1
WIDTH, HEIGHT = 640, 432
PIXELS_PER_MM = 2.9
OUTSIDE, WALL = 0, 65535
"""Pixels that are no brain, and brain without a parcel."""

VIEWS = {"ll": ("left", "lateral"), "ml": ("left", "medial"), "mr": ("right", "medial"), "lr": ("right", "lateral")}
SEEN_PIXELS = 24
"""A parcel with fewer pixels than this in every view counts as hidden: it is too small to find."""

SHADES = 40
"""Steps of grey that are stored."""

LIGHT_FLOOR = 0.82
GREYS = {"light": (138, 222), "dark": (40, 104)}
"""A grey pixel is ``low + (high - low) * shade / 255`` of its theme; a coloured one is its colour times
``LIGHT_FLOOR + (1 - LIGHT_FLOOR) * shade / 255``."""


@dataclass(frozen=True, eq=False)
class View:
    """One picture.

    Attributes
    ----------
    key : str
        "ll", "ml", "mr", "lr": lateral or medial, then left or right.
    title : str
    side : str
        "L" or "R".
    ids : uint16 [height, width]
        Parcel id 1..1000, 0 outside the brain, 65535 where the brain has no parcel (medial wall).
    shade : uint8 [height, width]
        Grey of sulci and gyri under a mild light, 1..255; 0 outside the brain.
    """

    key: str
    title: str
    side: str
    ids: np.ndarray
    shade: np.ndarray


@dataclass(frozen=True, eq=False)
class SurfaceMaps:
    """The four views in the order ll, ml, mr, lr, and the parcels (index 0..999) that none of them shows."""

    views: tuple[View, ...]
    hidden: tuple[int, ...]


@lru_cache(maxsize=1)
def read_surface_maps() -> SurfaceMaps:
    """The committed maps, read once; their arrays are read-only."""
    return unpack(SURFACE.read_bytes())


def build(labels: np.ndarray | None = None) -> SurfaceMaps:
    """Draw the maps.

    Parameters
    ----------
    labels : uint16 [2, 10242], optional
        Vertex labels, left and right; those of :func:`encoder.surface.vertex_labels` when left out.
    """
    labels = vertex_labels() if labels is None else labels
    drawn = {side: _Half(side, labels[number]) for number, side in enumerate(SIDES)}
    views = []
    for key, (side, turn) in VIEWS.items():
        ids, shade = drawn[side].seen_from(turn)
        views.append(View(key, f"{side} {turn}", side[0].upper(), ids, shade))
    return SurfaceMaps(tuple(views), hidden_parcels(views))


def hidden_parcels(views) -> tuple[int, ...]:
    """Indices of the parcels that no view shows in at least ``SEEN_PIXELS`` pixels."""
    most = np.max([np.bincount(view.ids.ravel(), minlength=WALL + 1)[1 : N_PARCELS + 1] for view in views], axis=0)
    return tuple(np.flatnonzero(most < SEEN_PIXELS).tolist())


def write(path: Path = SURFACE) -> Path:
    """Build the maps, write them and return the path."""
    work = path.with_name(f".{path.name}.new")
    work.write_bytes(pack(build()))
    os.replace(work, path)
    return path


def pack(maps: SurfaceMaps) -> bytes:
    """Maps as the bytes of a file (see the module)."""
    header = {
        "version": VERSION,
        "atlas_hash": load_atlas().hash,
        "views": [{"key": v.key, "title": v.title, "side": v.side, "width": v.ids.shape[1], "height": v.ids.shape[0]} for v in maps.views],
        "hidden": list(maps.hidden),
        "made": MADE,
        "order": "per view low bytes, then high bytes of ids (uint16); then per view shade (uint8); each minus the byte one row above, mod 256",
        "light_floor": LIGHT_FLOOR,
        "greys": GREYS,
    }
    planes = [plane for view in maps.views for plane in (view.ids & 255, view.ids >> 8)] + [view.shade for view in maps.views]
    stream = b"".join(_downward(plane.astype(np.uint8)).tobytes() for plane in planes)
    told = json.dumps(header, separators=(",", ":")).encode()
    return len(told).to_bytes(4, "little") + told + zlib.compress(stream, 9)


def unpack(content: bytes) -> SurfaceMaps:
    """Maps from the bytes of a file.

    Raises
    ------
    ValueError
        When the file is of another version or atlas, or is not whole.
    """
    size = int.from_bytes(content[:4], "little")
    header = json.loads(content[4 : 4 + size])
    if header["version"] != VERSION or header["atlas_hash"] != load_atlas().hash:
        raise ValueError("The surface maps belong to another version or atlas: make them again with make assets.")
    stream = np.frombuffer(zlib.decompress(content[4 + size :]), np.uint8)
    shapes = [(view["height"], view["width"]) for view in header["views"]]
    if stream.size != 3 * sum(h * w for h, w in shapes):
        raise ValueError("The surface maps are not whole: make them again with make assets.")
    planes, at = [], 0
    for shape in [shape for shape in shapes for _ in range(2)] + shapes:
        planes.append(np.cumsum(stream[at : at + shape[0] * shape[1]].reshape(shape), axis=0, dtype=np.uint8))
        at += shape[0] * shape[1]
    views = []
    for number, view in enumerate(header["views"]):
        ids = planes[2 * number].astype(np.uint16) | planes[2 * number + 1].astype(np.uint16) << 8
        shade = planes[2 * len(shapes) + number]
        ids.flags.writeable = shade.flags.writeable = False
        views.append(View(view["key"], view["title"], view["side"], ids, shade))
    return SurfaceMaps(tuple(views), tuple(header["hidden"]))


def _downward(plane: np.ndarray) -> np.ndarray:
    return np.diff(plane, axis=0, prepend=np.zeros((1, plane.shape[1]), np.uint8))


class _Half:
    """One hemisphere's inflated surface, ready to be drawn from either side."""

    def __init__(self, side: str, labels: np.ndarray):
        from nilearn.datasets import fetch_surf_fsaverage
        from nilearn.surface import load_surf_data

        self.side = side
        self.labels = labels.astype(np.int64)
        self.points, self.faces = mesh("infl", side)
        self.normals = _vertex_normals(self.points, self.faces)
        depth = np.asarray(load_surf_data(fetch_surf_fsaverage("fsaverage5")[f"sulc_{side}"]), np.float64)
        self.gyrus = 1 / (1 + np.exp(depth / 0.3))  # sulcal depth is positive inside a sulcus
        joined = neighbours(self.faces)
        # One vote for the vertex itself, less than one for all around it: borders get smoother, no vertex loses its parcel.
        around = joined.multiply(1 / joined.sum(1)).tocsr()
        from scipy.sparse import csr_matrix, identity

        one_hot = csr_matrix((np.ones(len(labels)), (np.arange(len(labels)), self.labels)), shape=(len(labels), N_PARCELS + 1))
        self.votes = ((identity(len(labels)) + 0.95 * around) @ one_hot).tocsr()

    def seen_from(self, turn: str) -> tuple[np.ndarray, np.ndarray]:
        """Parcel numbers uint16 and shades uint8, both [HEIGHT, WIDTH]."""
        toward = -1.0 if (self.side == "left") == (turn == "lateral") else 1.0  # direction of the viewer along x
        middle = (self.points.min(0) + self.points.max(0)) / 2
        across = WIDTH / 2 + toward * (self.points[:, 1] - middle[1]) * PIXELS_PER_MM
        down = HEIGHT / 2 - (self.points[:, 2] - middle[2]) * PIXELS_PER_MM
        pixel, face, weights = rasterise(np.stack([across, down, toward * self.points[:, 0]], axis=1), self.faces)
        corners = self.faces[face]
        ids = np.zeros(HEIGHT * WIDTH, np.uint16)
        ids[pixel] = np.where((found := self._label(corners, weights)) > 0, found, WALL)
        normal = (self.normals[corners] * weights[:, :, None]).sum(1)
        facing = np.clip(toward * normal[:, 0] / np.linalg.norm(normal, axis=1), 0, 1)
        gyrus = (self.gyrus[corners] * weights).sum(1)
        bright = (0.12 + 0.88 * gyrus) * (0.55 + 0.45 * facing)
        step = np.rint(np.clip(bright, 0, 1) * (SHADES - 1))
        shade = np.zeros(HEIGHT * WIDTH, np.uint8)
        shade[pixel] = np.rint(1 + step * 254 / (SHADES - 1))
        return ids.reshape(HEIGHT, WIDTH), shade.reshape(HEIGHT, WIDTH)

    def _label(self, corners: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The corner's parcel with most of the three corners' votes at each pixel."""
        offered = self.labels[corners]
        score = np.zeros(offered.shape)
        for place in range(3):
            for corner in range(3):
                score[:, place] += weights[:, corner] * np.asarray(self.votes[corners[:, corner], offered[:, place]]).ravel()
        return offered[np.arange(len(offered)), score.argmax(1)]


def rasterise(points: np.ndarray, faces: np.ndarray, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which triangle shows in each pixel.

    Parameters
    ----------
    points : float64 [vertices, 3]
        Across and down in pixels, and nearness to the viewer.
    faces : int [triangles, 3]
    shape : (height, width)

    Returns
    -------
    int64 [pixels], int64 [pixels], float64 [pixels, 3]
        The covered pixels (flat index), the nearest triangle at their middles, and its corners' weights there.
    """
    height, width = shape
    corners = points[faces]
    low = np.clip(np.floor(corners[:, :, :2].min(1) - 0.5).astype(int), 0, [width - 1, height - 1])
    high = np.clip(np.ceil(corners[:, :, :2].max(1) - 0.5).astype(int), 0, [width - 1, height - 1])
    span = high - low + 1
    count = span[:, 0] * span[:, 1]
    face = np.repeat(np.arange(len(faces)), count)
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    column = low[face, 0] + place % span[face, 0]
    row = low[face, 1] + place // span[face, 0]
    a, b, c = corners[face, 0], corners[face, 1], corners[face, 2]
    x, y = column + 0.5, row + 0.5
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    with np.errstate(divide="ignore", invalid="ignore"):
        second = ((x - a[:, 0]) * (c[:, 1] - a[:, 1]) - (y - a[:, 1]) * (c[:, 0] - a[:, 0])) / area
        third = ((b[:, 0] - a[:, 0]) * (y - a[:, 1]) - (b[:, 1] - a[:, 1]) * (x - a[:, 0])) / area
    weights = np.stack([1 - second - third, second, third], axis=1)
    inside = (area != 0) & (weights >= -1e-9).all(1)
    face, weights, pixel = face[inside], weights[inside], (row * width + column)[inside]
    near = (weights * points[faces[face], 2]).sum(1)
    order = np.lexsort((face, near, pixel))
    last = np.append(pixel[order][1:] != pixel[order][:-1], True)
    chosen = order[last]
    return pixel[chosen], face[chosen], weights[chosen]


def _vertex_normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Outward normals, weighted by area, of length 1."""
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    each = np.cross(b - a, c - a)
    normals = np.zeros_like(points)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], each)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    outward = np.sign((normals * (points - points.mean(0))).sum())
    return normals * outward


if __name__ == "__main__":
    write_vertex_labels()
    write()
