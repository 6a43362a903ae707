"""The cortical surface's labels and pictures: rebuilt, held against the table of the atlas, and drawn by an independent hand."""

from __future__ import annotations

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from encoder import surface
from encoder.atlas import load_atlas
from encoder.surface import N_VERTICES, SIDES, mesh, neighbours, sample_labels, vertex_labels
from viz import surface_maps
from viz.surface_maps import SEEN_PIXELS, SURFACE, WALL, build, pack, rasterise, read_surface_maps, unpack


@pytest.fixture(scope="module")
def sampled():
    return sample_labels()


def middles(side: str) -> np.ndarray:
    """Vertices half way between white and pial surface, MNI152 mm, by the affine as the FreeSurfer wiki prints it."""
    (white, _), (pial, _) = mesh("white", side), mesh("pial", side)
    affine = "0.9975 -0.0073 0.0176 -0.0429 0.0146 1.0009 -0.0024 1.5496 -0.0130 -0.0093 0.9971 1.1840"
    matrix = np.array(affine.split(), float).reshape(3, 4)
    return np.einsum("ij,nj->ni", matrix[:, :3], (white + pial) / 2) + matrix[:, 3]


def distances(labels: np.ndarray) -> np.ndarray:
    """From every parcel's centroid of vertices to the table's centroid, mm; NaN for a parcel without a vertex."""
    centroids = load_atlas().centroids
    places = np.concatenate([middles(side) for side in SIDES])
    flat = labels.ravel().astype(int)
    sums = np.stack([np.bincount(flat, axis, 1001) for axis in places.T], axis=1)[1:]
    with np.errstate(invalid="ignore"):
        return np.linalg.norm(sums / np.bincount(flat, minlength=1001)[1:, None] - centroids, axis=1)


def test_the_committed_labels_are_what_the_volume_gives(sampled):
    labels = vertex_labels()
    assert labels.shape == (2, N_VERTICES)
    assert labels.dtype == np.uint16
    assert (labels == sampled).mean() > 0.9999  # a rounding apart on another machine would do no harm


def test_every_parcel_is_on_the_surface_and_only_on_its_own_side():
    labels, sides = vertex_labels(), load_atlas().hemispheres
    for number, side in enumerate("LR"):
        assert set(np.unique(labels[number])) == {0, *(np.flatnonzero(sides == side) + 1)}


def test_vertex_labels_lie_where_the_table_says():
    distance = distances(vertex_labels())
    assert distance.mean() < 2.6
    assert distance.max() < 10


def test_the_affine_to_mni152_brings_the_labels_nearer_to_the_table(monkeypatch, sampled):
    monkeypatch.setattr(surface, "MNI305_TO_MNI152", np.eye(4)[:3])
    assert distances(sampled).mean() < np.nanmean(distances(sample_labels())) - 0.2


def test_the_medial_wall_is_one_empty_piece_and_nothing_else_is_empty():
    from scipy.sparse.csgraph import connected_components

    for labels, side in zip(vertex_labels(), SIDES, strict=True):
        empty = np.flatnonzero(labels == 0)
        joined = neighbours(mesh("white", side)[1])
        pieces, _ = connected_components(joined[empty][:, empty])
        assert pieces == 1
        assert 780 < empty.size < 980  # FreeSurfer's own medial wall has 888 and 881 vertices
        # it lies at the midline, around the callosum and the thalamus
        assert np.abs(middles(side)[empty, 0]).mean() < 16


def test_nearly_every_parcel_is_one_piece():
    from scipy.sparse.csgraph import connected_components

    broken = 0
    for labels, side in zip(vertex_labels(), SIDES, strict=True):
        joined = neighbours(mesh("white", side)[1])
        for parcel in np.unique(labels[labels > 0]):
            vertices = np.flatnonzero(labels == parcel)
            broken += connected_components(joined[vertices][:, vertices])[0] > 1
    assert broken <= 6


def test_labels_of_another_atlas_are_refused(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "labels.npz", labels=np.array(vertex_labels()), atlas_hash=np.array("another"))
    monkeypatch.setattr(surface, "VERTEX_LABELS", tmp_path / "labels.npz")
    with pytest.raises(ValueError, match="make assets"):
        vertex_labels.__wrapped__()


def test_the_committed_maps_are_what_the_labels_give():
    built, committed = build(), read_surface_maps()
    assert built.hidden == committed.hidden
    for new, old in zip(built.views, committed.views, strict=True):
        assert (new.key, new.title, new.side, new.ids.shape) == (old.key, old.title, old.side, old.ids.shape)
        assert (new.ids == old.ids).mean() > 0.9999
        assert (np.abs(new.shade.astype(int) - old.shade) <= 7).mean() > 0.9999


def test_the_file_is_small_and_a_round_trip_loses_nothing():
    assert SURFACE.stat().st_size < 400_000
    maps = read_surface_maps()
    again = unpack(pack(maps))
    assert again.hidden == maps.hidden
    for one, other in zip(maps.views, again.views, strict=True):
        assert (one.ids == other.ids).all()
        assert (one.shade == other.shade).all()


@pytest.mark.parametrize("spoil", [b'"version":9', b'"atlas_hash":"0"'])
def test_maps_of_another_version_or_atlas_are_refused(spoil):
    import json

    content = SURFACE.read_bytes()
    size = int.from_bytes(content[:4], "little")
    header = json.loads(content[4 : 4 + size]) | json.loads(b"{" + spoil + b"}")
    told = json.dumps(header).encode()
    with pytest.raises(ValueError, match="make assets"):
        unpack(len(told).to_bytes(4, "little") + told + content[4 + size :])


def test_every_parcel_is_seen_in_a_view_or_listed_as_hidden():
    maps = read_surface_maps()
    most = np.zeros(1000, int)
    for view in maps.views:
        for parcel, count in zip(*np.unique(view.ids, return_counts=True), strict=True):
            if 1 <= parcel <= 1000:
                most[parcel - 1] = max(most[parcel - 1], count)
    assert set(np.flatnonzero(most < SEEN_PIXELS)) == set(maps.hidden)
    assert len(maps.hidden) <= 5


def test_each_view_shows_its_own_hemisphere_only():
    sides = load_atlas().hemispheres
    assert [(view.key, view.side) for view in read_surface_maps().views] == [("ll", "L"), ("ml", "L"), ("mr", "R"), ("lr", "R")]
    for view in read_surface_maps().views:
        shown = np.unique(view.ids[(view.ids > 0) & (view.ids != WALL)]).astype(int) - 1
        assert set(sides[shown]) == {view.side}


def test_views_are_turned_as_nilearn_turns_them():
    """Frontal pole left in the left lateral and right medial view, right in the others; the vertex of the head on top; the wall medial."""
    centroids = load_atlas().centroids
    for view in read_surface_maps().views:
        brain = (view.ids > 0) & (view.ids != WALL)
        rows, columns = np.nonzero(brain)
        places = centroids[view.ids[brain].astype(int) - 1]
        assert np.corrcoef(columns, places[:, 1])[0, 1] * (-1 if view.key in ("ll", "mr") else 1) > 0.9
        assert np.corrcoef(-rows, places[:, 2])[0, 1] > 0.85
        inner = np.abs(places[:, 0]).mean()
        assert inner < 25 if view.key[0] == "m" else inner > 35
        assert ((view.ids == WALL).mean() > 0.1) == (view.key[0] == "m")
        assert ((view.shade > 0) == (view.ids > 0)).all()


def test_sulci_are_darker_than_gyri():
    """Parcels on the crown of the precentral gyrus against parcels deep in the insula, left and right."""
    atlas = load_atlas()
    for view in read_surface_maps().views:
        if view.key[0] == "m":
            continue
        x = -1 if view.side == "L" else 1
        shade = []
        for place in ((x * 38, 2, 2), (x * 62, -40, -8)):  # insula; middle temporal gyrus
            near = np.linalg.norm(atlas.centroids - place, axis=1).argsort()[:4] + 1
            shade.append(view.shade[np.isin(view.ids, near)].mean())
        assert shade[0] + 40 < shade[1]


def test_the_rasteriser_shows_the_nearer_triangle_and_weights_give_the_pixel_back():
    points = np.array([[2, 2, 0], [30, 2, 0], [2, 30, 0], [4.2, 4.2, 5], [14.2, 4.2, 5], [4.2, 14.2, 5], [9, 9, 9], [9, 9, 9], [9, 9, 9]], float)
    faces = np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8]])
    pixel, face, weights = rasterise(points, faces, (32, 40))
    seen = np.full((32, 40), -1)
    seen.flat[pixel] = face
    y, x = np.mgrid[:32, :40] + 0.5
    large = (x > 2) & (y > 2) & (x + y < 32)
    small = (x > 4.2) & (y > 4.2) & (x + y < 18.4)
    on_edge = np.isclose(x + y, 32)
    assert (np.where(small, 1, np.where(large, 0, -1)) == seen)[~on_edge].all()
    back = (points[faces[face]][:, :, :2] * weights[:, :, None]).sum(1)
    assert np.allclose(back, np.stack([pixel % 40, pixel // 40], axis=1) + 0.5)


def test_the_page_serves_the_maps_under_a_name_made_of_their_content(tmp_path):
    from hashlib import sha256

    from settings import Settings
    from ui.files import routes
    from ui.sessions import Shelf

    client = TestClient(Starlette(routes=routes(Shelf(Settings(cache_dir=tmp_path)))))
    name = sha256(SURFACE.read_bytes()).hexdigest()[:12]
    answer = client.get(f"/cineglass/player/surface-{name}.bin")
    assert answer.content == SURFACE.read_bytes()
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert client.get("/cineglass/player/surface-000000000000.bin").status_code == 404


def test_nothing_heavy_is_imported_before_maps_are_built():
    import subprocess
    import sys

    code = "import sys, viz.surface_maps as s; s.read_surface_maps(); print([m for m in ('nilearn', 'nibabel', 'scipy') if m in sys.modules])"
    root = surface_maps.ASSETS.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
