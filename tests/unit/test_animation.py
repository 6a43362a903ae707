from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from encoder.atlas import load_atlas
from extractors.errors import CacheError, SelectionError
from extractors.grid import TR
from extractors.stages import Stage, last
from viz import animation
from viz.animation import PX_PER_MM, TOP_PX, glass_brain_gif

ROWS = 5


@pytest.fixture
def values():
    return np.random.default_rng(3).normal(size=(ROWS, 1000)).astype(np.float32)


def drawn(values, path, **how) -> list[np.ndarray]:
    """Every picture of the animation: uint8 [height, width, 3]."""
    with Image.open(last(glass_brain_gif(values, path, **how))) as film:
        return [np.asarray(_seek(film, k).convert("RGB")).astype(int) for k in range(film.n_frames)]


def _seek(film, k):
    film.seek(k)
    return film


def durations(path) -> list[int]:
    with Image.open(path) as film:
        return [_seek(film, k).info["duration"] for k in range(film.n_frames)]


def one_parcel(index: int, height: float = 1.0) -> np.ndarray:
    row = np.zeros((1, 1000), np.float32)
    row[0, index] = height
    return row


def coloured(picture: np.ndarray) -> np.ndarray:
    """Where a picture is far from grey, below its headline and left of the colour bar: bool [height, width]."""
    body = np.ptp(picture, axis=2) > 60
    body[:TOP_PX] = False
    body[:, -100:] = False
    return body


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_the_animation_lasts_as_long_as_the_film(values, tmp_path, rows):
    path = last(glass_brain_gif(np.resize(values, (rows, 1000)), tmp_path / "a.gif", display_mode="l"))
    assert sum(durations(path)) / 1000 == pytest.approx(rows * TR, abs=0.010)


def test_rows_that_do_not_change_still_take_their_time(tmp_path):
    path = last(glass_brain_gif(np.zeros((4, 1000)), tmp_path / "a.gif", display_mode="lr"))
    assert sum(durations(path)) / 1000 == pytest.approx(4 * TR, abs=0.010)


def test_a_parcel_is_drawn_where_its_centroid_lies_in_every_view(tmp_path):
    atlas = load_atlas()
    right = atlas.hemispheres == "R"
    index = int(np.flatnonzero(right & (atlas.centroids[:, 1] < -85) & (np.abs(atlas.centroids[:, 2]) < 20))[0])  # a right occipital one
    (picture,) = drawn(one_parcel(index), tmp_path / "a.gif", display_mode="yz", cmap="RdBu_r")
    x = np.flatnonzero(coloured(picture).any(0)) / PX_PER_MM
    across, _, up = atlas.centroids[index]
    gap = 12 / PX_PER_MM
    in_y, in_z = x[x < 146 + gap] - gap - 73, x[x > 146 + gap] - 2 * gap - 146 - 70.5  # widths and left ends of the outlines in mm
    assert np.median(in_y) == pytest.approx(across, abs=2)
    assert np.median(in_z) == pytest.approx(across, abs=2)
    behind = coloured(picture)[:, : round(160 * PX_PER_MM)]
    assert 83.9 - (np.median(np.flatnonzero(behind.any(1))) - TOP_PX) / PX_PER_MM == pytest.approx(up, abs=2)


def test_a_hemisphere_view_shows_only_its_own_parcels(tmp_path):
    left = int(np.flatnonzero(load_atlas().hemispheres == "L")[40])
    both = {mode: coloured(drawn(one_parcel(left), tmp_path / f"{mode}.gif", display_mode=mode, cmap="RdBu_r")[0]).any() for mode in "lrx"}
    assert both == {"l": True, "r": False, "x": True}


def test_only_selected_parcels_are_drawn_and_at_their_own_places(values, tmp_path):
    mask = load_atlas().mask("Vis")
    chosen = drawn(values[:, mask], tmp_path / "a.gif", parcels=mask, cmap="RdBu_r")[0]
    alone = np.where(mask, values, np.nan)
    limit = np.percentile(np.abs(values[:, mask]), 99)
    everything = drawn(np.nan_to_num(alone), tmp_path / "b.gif", cmap="RdBu_r", range_floor=limit)[0]
    # zeros are drawn pale, so what is strongly coloured must be the same but for the discs that lie over others
    assert (coloured(chosen) != coloured(everything)).mean() < 0.01
    assert coloured(chosen).mean() > 0.02
    with pytest.raises(SelectionError, match=r"\[TRs, 162\]"):
        last(glass_brain_gif(values, tmp_path / "c.gif", parcels=mask))


def test_the_colour_range_is_symmetric_about_zero(tmp_path):
    strong = one_parcel(3) - one_parcel(700)
    up, down = (drawn(sign * strong, tmp_path / f"{sign}.gif", cmap="RdBu_r", range_floor=1.0, display_mode="x")[0] for sign in (1, -1))
    red, blue = up[..., 0] - up[..., 2], down[..., 2] - down[..., 0]
    assert coloured(up).any()
    assert (np.sign(red[coloured(up)]) == np.sign(blue[coloured(up)])).mean() > 0.95


def test_a_flat_prediction_looks_flat_against_the_usual_size(values, tmp_path):
    quiet = 0.01 * values
    assert not coloured(drawn(quiet, tmp_path / "a.gif", cmap="RdBu_r", range_floor=0.5)[0]).any()
    assert coloured(drawn(quiet, tmp_path / "b.gif", cmap="RdBu_r")[0]).any()


def test_simulated_is_written_into_every_picture(values, tmp_path):
    said, silent = (drawn(values, tmp_path / f"{flag}.gif", simulated=flag) for flag in (True, False))
    for with_word, without in zip(said, silent, strict=True):
        headline = slice(0, TOP_PX - 16), slice(with_word.shape[1] // 2, None)
        assert np.abs(with_word[headline] - without[headline]).max() > 100
        assert np.ptp(without[headline].reshape(-1, 3), axis=0).max() == 0


def test_every_row_says_its_time_and_whether_it_rests_on_a_full_past(tmp_path):
    pictures = drawn(np.zeros((3, 1000)), tmp_path / "a.gif", valid=[False, True, True])
    heads = [picture[: TOP_PX - 16] for picture in pictures]
    width = [int(np.flatnonzero((np.abs(head - head[0, 0]).max(2) > 60).any(0)).max()) for head in heads]
    assert width[0] > width[1] + 50
    assert (heads[1] != heads[2]).any()


@pytest.mark.parametrize("mode", ["l", "zyx", "lyrz", "ortho", "rlzyx"])
def test_views_can_be_chosen_in_any_order_and_never_overlap(mode, tmp_path):
    chosen = animation.check_views(mode)
    scene = animation._Scene(chosen, np.arange(1000), "cold_hot", 1.0, simulated=True, unit="z", title="")
    assert "".join(view.key for view in scene.views) == chosen
    edges = [(view.left, view.left + view.width) for view in scene.views]
    assert all(before[1] < after[0] for before, after in pairwise(edges))
    assert edges[-1][1] < scene.width - 80  # the colour bar's place
    assert max(view.top + view.height for view in scene.views) < scene.height
    letters = [letter for view in scene.views for letter, _ in view.letters() if letter in ("L", "R")]
    assert letters.count("L") == sum(key in "lyz" for key in chosen)
    assert letters.count("R") == sum(key in "ryz" for key in chosen)


def test_a_view_drawn_alone_is_the_one_drawn_among_others(values, tmp_path):
    alone = drawn(values[:1], tmp_path / "a.gif", display_mode="y", cmap="RdBu_r")[0]
    among = drawn(values[:1], tmp_path / "b.gif", display_mode="yz", cmap="RdBu_r")[0]
    body = np.s_[TOP_PX + 20 : TOP_PX + 170, 20 : round(146 * PX_PER_MM)]
    assert (np.abs(alone[body] - among[body]).max(2) > 24).mean() < 0.02  # the palettes differ a little


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"display_mode": "lq"}, "Allowed views are l, y, r, z, x"),
        ({"display_mode": "ll"}, "each once"),
        ({"display_mode": ""}, "Allowed views"),
        ({"display_mode": None}, "Allowed views"),
        ({"cmap": "cold_hott"}, "cold_hot"),
        ({"cmap": 3}, "Allowed colour maps"),
        ({"valid": [True]}, "5 rows"),
        ({"parcels": np.array([1, 2, 1000])}, "0 to 999"),
        ({"parcels": np.zeros(1000, bool)}, "at least one"),
    ],
)
def test_what_is_not_allowed_is_said_with_what_is(values, tmp_path, how, said):
    with pytest.raises(SelectionError, match=said.replace("(", r"\(")):
        last(glass_brain_gif(values, tmp_path / "a.gif", **how))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [np.zeros((0, 1000)), np.zeros((2, 3, 1000)), np.zeros((2, 999)), np.full((1, 1000), np.nan)])
def test_values_of_another_shape_or_not_finite_are_refused(tmp_path, wrong):
    with pytest.raises(SelectionError):
        last(glass_brain_gif(wrong, tmp_path / "a.gif"))


def test_a_place_that_cannot_be_written_is_said_and_nothing_half_written_stays(values, tmp_path):
    with pytest.raises(SelectionError, match=r"must end in \.gif"):
        last(glass_brain_gif(values, tmp_path / "a.mp4"))
    with pytest.raises(CacheError, match=r"a\.gif could not be written"):
        last(glass_brain_gif(values, tmp_path / "nowhere" / "a.gif"))
    assert list(tmp_path.iterdir()) == []


def test_a_stop_reaches_the_drawing_within_two_seconds(values, tmp_path):
    job = glass_brain_gif(np.resize(values, (400, 1000)), tmp_path / "a.gif")
    assert isinstance(next(job), Stage)
    next(job)
    began = time.monotonic()
    job.close()
    assert time.monotonic() - began < 2
    time.sleep(0.3)
    assert not (tmp_path / "a.gif").exists()


def test_one_scene_serves_all_rows(values, tmp_path, monkeypatch):
    made = []
    before = animation._Scene.__init__
    monkeypatch.setattr(animation._Scene, "__init__", lambda self, *args, **how: (made.append(1), before(self, *args, **how))[1])
    last(glass_brain_gif(values, tmp_path / "a.gif"))
    assert len(made) == 1


def test_equal_values_give_equal_files(values, tmp_path):
    one, two = (last(glass_brain_gif(values, tmp_path / f"{name}.gif", simulated=True)).read_bytes() for name in "ab")
    assert one == two
    assert b"SIMULATED" in one
