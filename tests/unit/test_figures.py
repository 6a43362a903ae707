from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from mpl_toolkits.mplot3d import proj3d
from PIL import Image

import viz
from encoder.atlas import load_atlas
from encoder.surface import mesh, vertex_labels
from extractors.errors import CacheError, SelectionError
from extractors.grid import TR
from extractors.tr_table import table_from_words
from extractors.transcript import Word
from settings import ROOT
from tests.unit.test_responses import some_responses
from viz.captions import plain, words_at
from viz.colours import colour_map
from viz.export import save_figure
from viz.figures import moment_figure, strip_figure
from viz.look import Look
from viz.plotting import plot_glass_brain, plot_networks, plot_surface

ROW = 20
NASTY = "$\\frac{1}{0 <script>alert(1)</script>&.mp4"


def outer(side: str) -> int:
    """A parcel on the outer face of one hemisphere, index 0 to 999, that fills many vertices."""
    atlas = load_atlas()
    inside = (atlas.hemispheres == side) & (np.abs(atlas.centroids[:, 0]) > 52) & (np.abs(atlas.centroids[:, 1]) < 45)
    sizes = np.bincount(vertex_labels().ravel(), minlength=1001)[1:]
    return int(np.where(inside, sizes, 0).argmax())


RIGHT = outer("R")


def planted(height: float = 5.0, *, subjects=(1, 2), rows=(ROW,), **changes):
    """Zero but for one parcel of the right hemisphere."""
    responses = some_responses((1, 2), 50, **changes)
    responses.values[:] = 0
    for subject in subjects:
        responses.values[responses.subjects.index(subject), list(rows), RIGHT] = height
    return responses


def texts(figure: Figure) -> str:
    """Every text in it, lines joined again."""
    return "\n".join(item.get_text().replace("\n", " ") for item in figure.findobj(Text) if item.get_visible())


def pixels(figure: Figure, dpi: int = 100) -> np.ndarray:
    """The figure as int [height, width, 3]."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(int)


def within(picture: np.ndarray, axes) -> tuple[np.ndarray, tuple[float, float]]:
    """The part of a picture that axes cover, and the place of its upper left corner."""
    box = axes.get_window_extent()
    left, right, top, bottom = round(box.x0), round(box.x1), round(picture.shape[0] - box.y1), round(picture.shape[0] - box.y0)
    return picture[max(top, 0) : bottom, max(left, 0) : right], (max(left, 0), max(top, 0))


def coloured(part: np.ndarray, colour) -> np.ndarray:
    """Where a picture has nearly this colour: bool [height, width]."""
    return np.abs(part - np.array(to_rgb(colour)) * 255).max(2) < 12


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    pyplot.close("all")
    yield
    assert pyplot.get_fignums() == []


@pytest.fixture(scope="module")
def transcript():
    words = [Word(f"word{k}", 0.5 * k, 0.4) for k in range(140)]
    return table_from_words(words, 50, source="test", timing="given")


@pytest.fixture(scope="module")
def moment(transcript):
    """A figure of a simulated result, its SVG, and its PNG."""
    return moment_figure(some_responses(clip_name=NASTY), ROW, subject=2, transcript=transcript)


# one brain


def test_a_parcel_is_coloured_at_its_place_on_the_right_and_nowhere_on_the_left():
    display = plot_glass_brain(planted(), ROW, vmax=5)
    picture = pixels(display.frame_axes.figure)
    red = colour_map("cineglass_light")(1.0)[:3]
    found = {}
    for direction, view in display.axes.items():
        part, (left, top) = within(picture, view.ax)
        ys, xs = np.nonzero(coloured(part, red))
        found[direction] = len(xs)
        if direction != "l":
            x, y, z = load_atlas().centroids[RIGHT]
            across, up = {"r": (y, z), "y": (x, z), "z": (x, y)}[direction]
            there = view.ax.transData.transform((across, up))
            assert (np.median(xs) + left, picture.shape[0] - np.median(ys) - top) == pytest.approx(tuple(there), abs=8)
    assert found["l"] == 0
    assert min(found["y"], found["r"], found["z"]) > 10


def test_a_parcel_is_coloured_at_its_place_on_the_surface():
    figure = plot_surface(planted(), ROW, vmax=5)
    picture = pixels(figure)
    red = colour_map("cineglass_light")(1.0)[:3]
    views = [axes for axes in figure.axes if axes.name == "3d"]
    counts = []
    for axes in views:  # lateral left, lateral right, medial left, medial right
        ys, xs = np.nonzero(coloured(within(picture, axes)[0], red))
        counts.append(len(xs))
        if len(views) - len(counts) == 2:
            points = mesh("infl", "right")[0]
            middle = (points - points.mean(0))[vertex_labels()[1] == RIGHT + 1].mean(0)
            x, y, _ = proj3d.proj_transform(*middle, axes.get_proj())
            there = axes.transData.transform((x, y)) - axes.get_window_extent().p0
            high = within(picture, axes)[0].shape[0]
            assert (np.median(xs), high - np.median(ys)) == pytest.approx(tuple(there), abs=8)
    assert counts[1] > 50
    assert counts[0] == counts[2] == 0


def test_the_range_is_symmetric_and_the_players_unless_it_is_given():
    responses = some_responses()
    for vmax, expected in ((None, Look().range_of(responses)), (2.5, 2.5)):
        display = plot_glass_brain(responses, ROW, display_mode="z", vmax=vmax, colorbar=False)
        (image,) = display.axes["z"].ax.images
        assert image.get_clim() == (-expected, expected)


def test_twice_the_range_makes_the_same_value_paler():
    inks = []
    for vmax in (5, 10):
        figure = plot_surface(planted(), ROW, vmax=vmax, hemi="right", views="lateral", colorbar=False)
        expected = colour_map("cineglass_light")(0.5 + 0.5 * 5 / vmax)[:3]
        inks.append(coloured(pixels(figure), expected).sum())
    assert min(inks) > 50
    assert inks[0] == pytest.approx(inks[1], rel=0.1)


def test_values_below_the_threshold_are_not_drawn():
    for threshold, seen in ((4.9, True), (5.1, False)):
        display = plot_glass_brain(planted(), ROW, display_mode="r", vmax=6, threshold=threshold, colorbar=False)
        figure = plot_surface(planted(), ROW, hemi="right", views="lateral", vmax=6, threshold=threshold, colorbar=False)
        ink = colour_map("cineglass_light")(0.5 + 0.5 * 5 / 6)[:3]
        assert coloured(pixels(display.frame_axes.figure), ink).any() == seen
        assert coloured(pixels(figure), ink).any() == seen
        assert f"weaker than {threshold:g} not drawn" in texts(figure)


def test_the_mean_is_over_valid_rows_and_the_title_says_how_many():
    responses = planted(3.0, rows=range(50))
    responses.values[:, ~responses.valid, RIGHT] = 1000
    display = plot_glass_brain(responses, display_mode="r", colorbar=False)
    assert float(np.ma.max(display.axes["r"].ax.images[0].get_array())) == pytest.approx(3.0)
    assert f"mean of {responses.valid.sum()} valid TRs of 50" in texts(display.frame_axes.figure)


def test_a_result_without_a_valid_row_has_no_mean_but_still_has_rows():
    responses = planted(valid=np.zeros(50, bool))
    with pytest.raises(SelectionError, match="No TR of this result is valid"):
        plot_glass_brain(responses)
    assert "no full past" in texts(plot_surface(responses, ROW, hemi="left", views="lateral"))


def test_only_the_chosen_subject_is_drawn_and_named():
    responses = planted(subjects=(2,))
    for subject, largest, said in ((1, 0.0, "Sim 1"), (2, 5.0, "Sim 2"), (None, 2.5, "mean of the two predictions")):
        display = plot_glass_brain(responses, ROW, subject=subject, display_mode="r", colorbar=False)
        drawn = [float(np.ma.max(image.get_array())) for image in display.axes["r"].ax.images]
        assert drawn == pytest.approx([largest] if largest else [])  # without a value there are outlines alone
        assert said in texts(display.frame_axes.figure)


@pytest.mark.parametrize("simulated", [True, False])
def test_every_brain_says_inside_its_own_axes_whether_it_is_simulated(simulated):
    responses = planted(simulated=simulated)
    display = plot_glass_brain(responses, ROW)
    surface = plot_surface(responses, ROW, hemi="left")
    networks = plot_networks(responses, ROW)
    brains = [view.ax for view in display.axes.values()] + [axes for axes in surface.axes if axes.name == "3d"] + networks.axes
    assert len(brains) == 7
    for axes in brains:
        figure = axes.get_figure()
        FigureCanvasAgg(figure).draw()
        words = [item for item in axes.findobj(Text) if "SIMULATED" in item.get_text()]
        assert bool(words) == simulated
        for word in words:
            place, inside = word.get_window_extent(), axes.get_window_extent()
            assert inside.x0 <= place.x0
            assert place.x1 <= inside.x1
            assert inside.y0 - 1 <= place.y0
            assert place.y1 <= inside.y1 + 1
    assert ("SIMULATED" in texts(surface)) == simulated


def test_sides_unit_model_and_weights_stand_on_every_brain():
    display = plot_glass_brain(planted(), ROW)
    surface = plot_surface(planted(), ROW)
    letters = {key: "".join(item.get_text() for item in view.ax.texts if item.get_text() in "LR") for key, view in display.axes.items()}
    assert letters == {"l": "L", "y": "LR", "r": "R", "z": "LR"}
    assert [item.get_text() for axes in surface.axes for item in axes.texts if item.get_text() in ("L", "R")] == ["L", "R", "L", "R"]
    for figure in (display.frame_axes.figure, surface):
        said = texts(figure)
        for words in ("predicted BOLD (z)", "weights aaaaaaaa", "Tiny", "a film.mp4", "50 TRs", "no threshold", "TR 20 of 0–49"):
            assert words in said, words


def test_a_lag_changes_the_film_time_and_not_the_row():
    with_delay, shifted = (plot_networks(planted(), ROW, lag=lag) for lag in (0, 5))
    brain = texts(plot_surface(planted(), ROW, hemi="left", views="lateral", lag=5))
    assert "film time 24.8 to 26.3 s, response shifted back 5 s" in brain
    for figure, lag in ((with_delay, 0), (shifted, 5)):
        (head,) = [patch for patch in figure.axes[0].patches if patch.get_gid() == "playhead"]
        assert (head.get_x(), head.get_x() + head.get_width()) == pytest.approx((ROW * TR - lag, (ROW + 1) * TR - lag))
    lines = [{line.get_gid(): line.get_xdata() for line in figure.axes[0].lines} for figure in (with_delay, shifted)]
    np.testing.assert_allclose(lines[0]["curve-Vis"] - lines[1]["curve-Vis"], 5)
    assert "no prediction here" in texts(shifted)
    assert "no prediction here" not in texts(with_delay)


def test_a_black_page_is_black_and_its_words_are_light():
    for figure in (plot_glass_brain(planted(), ROW, black_bg=True, display_mode="x").frame_axes.figure, plot_networks(planted(), black_bg=True)):
        picture = pixels(figure)
        assert picture[:3].max() == 0
        assert picture.max() > 200


def test_nilearns_places_and_titles_are_kept():
    figure = Figure(figsize=(8, 4))
    axes = figure.add_axes((0.5, 0.0, 0.5, 1.0))
    display = plot_glass_brain(planted(), ROW, axes=axes, title="mine", display_mode="lr")
    assert display.frame_axes.figure is figure
    figure.draw_without_rendering()
    assert all(view.ax.get_position().x0 >= 0.5 for view in display.axes.values())
    assert "mine" in texts(figure)
    assert "a film.mp4" not in texts(figure)
    display.close()


def test_where_figures_are_shown_the_glass_brain_is_one_of_pyplots_as_in_nilearn(monkeypatch):
    monkeypatch.setattr(matplotlib, "get_backend", lambda: "module://a_notebook")
    display = plot_glass_brain(planted(), ROW, display_mode="l")
    assert pyplot.get_fignums() == [display.frame_axes.figure.number]
    display.close()


def test_an_output_file_is_written_at_print_resolution_or_not_at_all(tmp_path):
    figure = plot_networks(planted(), ROW, output_file=tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (2700, 1350)
    assert figure.dpi == 100
    with pytest.raises(SelectionError, match=r"\.png or \.svg or \.pdf"):
        plot_networks(planted(), output_file=tmp_path / "a.gif")
    with pytest.raises(CacheError, match=r"b\.png could not be written"):
        plot_networks(planted(), output_file=tmp_path / "nowhere" / "b.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("draw", "how", "said"),
    [
        (plot_glass_brain, {"tr": 50}, "Allowed TRs are 0 to 49, but got 50 instead"),
        (plot_glass_brain, {"tr": -1}, "Allowed TRs are 0 to 49, but got -1 instead"),
        (plot_surface, {"tr": 2.5}, "whole number, but got 2.5"),
        (plot_networks, {"tr": 50}, "Allowed TRs are 0 to 49"),
        (plot_glass_brain, {"subject": 3}, "no subject 3. Allowed values are 1, 2"),
        (plot_networks, {"subject": 3}, "no subject 3"),
        (plot_glass_brain, {"display_mode": "lq"}, "Allowed display modes are ortho, x, y, z"),
        (plot_glass_brain, {"cmap": "cold_hott"}, "Allowed colour maps"),
        (plot_glass_brain, {"vmax": 0}, "above 0, but got 0"),
        (plot_surface, {"threshold": -1}, "from 0 on, but got -1"),
        (plot_surface, {"views": ("lateral", "inside")}, "Allowed views are lateral, medial"),
        (plot_surface, {"views": ()}, "one or more different views"),
        (plot_surface, {"hemi": "middle"}, "Allowed values of hemi are both, left, right"),
        (plot_surface, {"mesh": "flat"}, "Allowed meshes are inflated"),
        (plot_networks, {"lag": 3}, "Allowed lags are 0 and 5"),
        (plot_networks, {"curves": ("Vision",)}, "Vision"),
    ],
)
def test_what_is_not_allowed_is_said_with_what_is(draw, how, said):
    with pytest.raises(SelectionError) as error:
        draw(planted(), **how)
    assert said in str(error.value)
    assert error.value.hint


# a moment


def test_a_moment_is_as_wide_as_a_page_and_holds_brains_curves_and_words(moment):
    assert moment.get_size_inches()[0] * 25.4 == pytest.approx(180)
    assert moment.dpi == 300
    assert len([axes for axes in moment.axes if axes.name == "3d"]) == 4
    said = texts(moment)
    assert f"TR {ROW} of 0–49, film time 29.8 to 31.3 s, with BOLD delay" in said
    assert "Sim 2" in said
    curves = [axes for axes in moment.axes if axes.get_ylabel() == "predicted BOLD (z)" and axes.lines and axes.get_xlabel()]
    assert {line.get_gid() for line in curves[0].lines} >= {"curve-Vis", "at-Vis", "curve-Default", "at-Default"}


def test_the_words_of_a_moment_are_those_that_end_in_its_tr(moment, transcript):
    assert " ".join(transcript.words_per_tr[ROW]) in texts(moment)
    before, during, after = words_at(transcript, (ROW * TR) - 5, (ROW + 1) * TR - 5)
    assert during == [f"word{k}" for k in range(140) if ROW * TR - 5 <= 0.5 * k + 0.4 < (ROW + 1) * TR - 5]
    assert int(before[-1][4:]) + 1 == int(during[0][4:])
    assert int(during[-1][4:]) + 1 == int(after[0][4:])
    for row in range(50):
        assert words_at(transcript, row * TR, (row + 1) * TR)[1] == list(transcript.words_per_tr[row])


def test_no_word_of_a_moment_runs_out_of_the_page_or_into_another(moment):
    FigureCanvasAgg(moment).draw()
    boxes = [(item.get_window_extent(), item.get_text()) for item in moment.texts]
    for box, said in boxes:
        assert box.x0 >= 0, said
        assert box.x1 <= moment.bbox.width, said
    for number, (one, said) in enumerate(boxes):
        assert not [other for box, other in boxes[number + 1 :] if one.overlaps(box)], said


def test_equal_moments_give_equal_bytes_with_text_as_text_and_nothing_hostile(moment, transcript, tmp_path):
    again = moment_figure(some_responses(clip_name=NASTY), ROW, subject=2, transcript=transcript)
    for kind in ("svg", "png"):
        files = []
        for name, figure in (("one", moment), ("two", again)):
            figure.set_dpi(90)  # quicker than print
            files.append(save_figure(figure, tmp_path / f"{name}.{kind}", kind).read_bytes())
            figure.set_dpi(300)
        assert files[0] == files[1], kind
    root = ElementTree.parse(tmp_path / "one.svg").getroot()
    assert not [node for node in root.iter() if node.tag.endswith("script")]
    said = ["".join(node.itertext()) for node in root.iter() if node.tag.endswith("}text")]
    assert any(plain(NASTY, 40) in words for words in said)
    assert said.count("SIMULATED") == 1 + 4 + 4 + 2
    assert b"<dc:date>" not in (tmp_path / "one.svg").read_bytes()


def test_a_moment_of_measured_people_says_nothing_of_simulation_and_follows_its_look():
    responses = planted(simulated=False, valid=np.arange(50) > ROW)
    faded = Look(vmax=5.0, threshold=10.0, cmap="cold_hot", lag=5.0, views="surface", dark=True)
    figure = moment_figure(responses, ROW, look=faded)
    said = texts(figure)
    assert "SIMULATED" not in said
    for words in ("warm-up: no full past yet", "shifted back 5 s", "run without words", "weaker than 10 faded", "colours from −5 to +5 z"):
        assert words in said, words
    assert "Glass brain" not in said
    right = [axes for axes in figure.axes if axes.name == "3d"][3]
    share = 0.1 + 0.22 * 5 / 10
    part = within(pixels(figure), right)[0]
    grey = [np.array([1, 1, 1]) * (1 - fold) for fold in (0.64, 0.82)]
    full = np.array(colour_map("cold_hot")(1.0)[:3])
    assert sum(coloured(part, np.clip(share * full + (1 - share) * under, 0, 1)).sum() for under in grey) > 50
    assert not coloured(part, full).any()


def test_a_moment_tells_how_far_it_is_and_can_be_stopped():
    told = []

    def tell(share):
        told.append(share)
        if share > 0.3:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        moment_figure(planted(), ROW, look=Look(views="surface"), tell=tell)
    assert told == sorted(told)
    assert 1 < len(told) < 6


# a strip


@pytest.mark.parametrize("rows", [(30, 12), (1, 20, 21, 22, 48)])
def test_a_strip_shows_its_rows_in_order_with_film_time_and_one_colour_bar(rows):
    responses = planted(rows=rows[:1])
    figure = strip_figure(responses, rows, look=Look(vmax=5.0, lag=5.0, views="surface"))
    assert figure.get_size_inches()[0] * 25.4 <= 180.001
    heads = sorted((item.get_position()[0], item.get_text()) for item in figure.texts if item.get_text().startswith("TR "))
    assert [text for _, text in heads] == [f"TR {row}" for row in rows]
    said = texts(figure).replace("−", "-")
    for row in rows:
        assert f"{row * TR - 5:.1f} to {(row + 1) * TR - 5:.1f} s" in said
    assert "response shifted back 5 s" in said
    assert [axes.get_ylabel() for axes in figure.axes].count("predicted BOLD (z)") == 1
    views = [axes for axes in figure.axes if axes.name == "3d"]
    assert len(views) == 4 * len(rows)
    picture, red = pixels(figure, 150), colour_map("cineglass_light")(1.0)[:3]
    counts = [coloured(within(picture, axes)[0], red).sum() for axes in views]
    assert counts[1] > 20
    assert sum(counts[4:]) == 0


def test_a_strip_marks_rows_that_are_not_valid_and_repeats_no_glass_view():
    figure = strip_figure(planted(), (0, ROW), look=Look(views="glass"))
    assert "warm-up" in texts(figure)
    assert [item.get_text() for item in figure.texts].count("warm-up") == 1
    assert sum(item.get_text() == "SIMULATED" for item in figure.findobj(Text)) == 1 + 2 * 4


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ((3,), "A strip takes 2 to 8 TRs, but got 1"),
        (range(9), "A strip takes 2 to 8 TRs, but got 9"),
        ((3, 3), "named twice"),
        ((3, 50), "Allowed TRs are 0 to 49, but got 50"),
    ],
)
def test_a_strip_of_other_rows_is_refused(rows, said):
    with pytest.raises(SelectionError, match=said):
        strip_figure(planted(), rows)


# words and names


def test_a_name_is_made_plain_and_counts_wide_letters_twice():
    assert plain("a\nb\x00\u202ec") == "a b c"
    assert plain("x" * 60) == "x" * 60
    assert plain("x" * 61) == "x" * 59 + "…"
    assert plain("漢" * 40, 20) == "漢" * 9 + "…"


def test_the_public_names_are_found_lazily_and_others_are_not():
    assert {"plot_glass_brain", "plot_surface", "plot_networks", "animate", "to_nifti"} <= set(viz.__all__)
    assert all(callable(getattr(viz, name)) for name in viz.__all__)
    assert set(viz.__all__) <= set(dir(viz))
    with pytest.raises(AttributeError, match="plot_brain"):
        getattr(viz, "plot_brain")  # noqa: B009


def test_an_ensembles_figure_is_drawn_like_any_other():
    from tests.unit.test_responses import some_ensemble

    responses, _ = some_ensemble()
    figure = plot_networks(replace(responses, simulated=False), ROW, vmax=4.0)
    assert figure.axes[0].get_ylim() == (-4.0, 4.0)
    assert any(band.get_gid() == "band-Vis" for band in figure.axes[0].collections)


def test_the_drawing_examples_in_the_documentation_run(tmp_path, monkeypatch):
    _, _, page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8").partition("## Drawing")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    names["display"].close()
    assert {path.name for path in tmp_path.iterdir()} == {"assets", "brain.svg", "brain.mp4", "moment.png"}
    assert names["image"].shape == (91, 109, 91)
