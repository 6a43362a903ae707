"""Every export of a finished result, opened again with the library a person would open it with."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import replace

import av
import nibabel
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from experiments.examples import card_beside, find_example, list_examples, load_example
from experiments.export import KINDS, Asked, Exported, export, file_stem, find_kind, parse_rows, safe_name
from extractors.errors import CacheError, SelectionError
from extractors.grid import TR
from extractors.stages import Stage, last
from viz.look import Look

ID = list_examples()[0].id
ASKED = Asked(subject=2, tr=20, rows=(20, 21), minus=(30, 31), look=Look(vmax=1.25, threshold=0.2))


@pytest.fixture(scope="module")
def result():
    return load_example(ID)[1]


@pytest.fixture(scope="module")
def made(result, tmp_path_factory):
    """Makes a kind once for the whole module."""
    folder, done = tmp_path_factory.mktemp("exports"), {}

    def make(kind: str) -> Exported:
        if kind not in done:
            done[kind] = last(export(result, kind, folder, asked=ASKED, card=card_beside(find_example(ID).folder, result.responses)))
        return done[kind]

    return make


def test_a_picture_of_the_moment_has_print_size(made):
    with Image.open(made("moment-png").files[0]) as picture:
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert picture.width >= 2000


def test_vector_pictures_hold_their_text_as_text(made, result):
    for kind in ("moment-svg", "strip-svg", "networks-svg"):
        text = made(kind).files[0].read_text(encoding="utf-8")
        assert "SIMULATED" in text
        assert result.responses.clip_name.removesuffix(".mp4") in text
    assert made("networks-pdf").files[0].read_bytes().startswith(b"%PDF")


def test_the_film_plays_for_the_rows_it_was_asked_for_with_its_sound(made):
    with av.open(str(made("mp4").files[0])) as film:
        assert {stream.type for stream in film.streams} == {"video", "audio"}
        assert film.duration / 1e6 == pytest.approx(2 * TR, abs=0.1)


def test_a_row_of_the_gif_lasts_one_tr(made):
    with Image.open(made("gif").files[0]) as picture:
        assert picture.n_frames == 2
        assert picture.info["duration"] == 1490


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("nifti-tr", lambda values: values[20]),
        ("nifti-mean", lambda values: values[20:22].mean(0)),
        ("nifti-contrast", lambda values: values[20:22].mean(0) - values[30:32].mean(0)),
    ],
)
def test_a_volume_holds_the_parcels_values(made, result, kind, expected):
    labels = np.asarray(nibabel.load("assets/atlas/Schaefer2018_1000Parcels_7Networks_order_FSLMNI152_2mm.nii.gz").dataobj).astype(int)
    data = nibabel.load(made(kind).files[0]).get_fdata()
    values = expected(result.responses.subject(2))
    for parcel in (0, 499, 500, 999):
        np.testing.assert_allclose(data[labels == parcel + 1], values[parcel], atol=1e-5)
    assert not data[labels == 0].any()


def test_series_open_with_as_many_rows_as_they_were_asked_for(made, result):
    assert nibabel.load(made("nifti-4d").files[0]).shape == (91, 109, 91, 2)
    left, right = made("gifti").files
    assert len(nibabel.load(left).darrays) == len(nibabel.load(right).darrays) == result.responses.n_trs
    np.testing.assert_allclose(nibabel.load(made("ptseries").files[0]).get_fdata(), result.responses.subject(2), atol=1e-6)
    maps = nibabel.load(made("pscalar").files[0])
    assert list(maps.header.get_axis(0).name) == ["SIMULATED: TR 20", "SIMULATED: mean of the valid TRs"]
    np.testing.assert_allclose(maps.get_fdata()[0], result.responses.subject(2)[20], atol=1e-6)


def test_tables_hold_the_subject_shown(made, result):
    np.testing.assert_array_equal(np.load(made("npy").files[0], allow_pickle=False), result.responses.subject(2))
    table = pd.read_csv(made("tsv").files[0], sep="\t")
    np.testing.assert_array_equal(table.to_numpy(np.float32), result.responses.subject(2))
    assert table.columns[0] == "7Networks_LH_Vis_1"


def test_everything_in_one_file(made):
    with zipfile.ZipFile(made("bids").files[0]) as archive:
        assert archive.testzip() is None
        assert any(name.endswith("dataset_description.json") for name in archive.namelist())
    page = made("html").files[0].read_text(encoding="utf-8")
    assert "Content-Security-Policy" in page


@pytest.mark.parametrize("kind", [kind.id for kind in KINDS])
def test_every_file_comes_with_a_sidecar_that_says_what_it_is(made, result, kind):
    exported = made(kind)
    assert len(exported.files) == len(find_kind(kind).endings)
    for path, ending in zip(exported.files, find_kind(kind).endings, strict=True):
        assert path.name.endswith(ending)
        assert path.stat().st_size > 100
    facts = json.loads(exported.sidecar.read_text(encoding="utf-8"))
    assert facts["Simulated"] is True
    assert facts["WeightsSha256"] == result.responses.weights_sha256
    assert facts["ClipSha256"] == result.responses.clip_sha256
    assert ("Look" in facts) == find_kind(kind).drawn
    assert facts.get("Look", {"range": 1.25})["range"] == 1.25
    assert facts["Space"] == ("fsaverage5" if kind == "gifti" else "MNI152NLin6Asym")
    assert f"cli.py export result {kind}" in facts["HowToRepeat"][1]
    assert not list(exported.sidecar.parent.glob(".*"))


def test_curves_are_drawn_as_the_page_shows_them_and_values_stay_as_they_are(result, tmp_path):
    asked = Asked(rows=(20, 21), look=Look(lag=5.0, dark=True))
    curves, series = (last(export(result, kind, tmp_path, asked=asked)) for kind in ("networks-svg", "nifti-4d"))
    assert "response shifted back 5 s" in curves.files[0].read_text(encoding="utf-8")
    assert "#4a5360" in curves.files[0].read_text(encoding="utf-8")
    drawn, kept = (json.loads(one.sidecar.read_text(encoding="utf-8")) for one in (curves, series))
    assert drawn["LagMode"] == "shifted back 5 s"
    assert kept["LagMode"] == "with BOLD delay, as predicted"
    assert kept["StartTime"] == pytest.approx(20.5 * TR) == nibabel.load(series.files[0]).header["toffset"]
    assert "--lag" not in kept["HowToRepeat"][1]


def test_a_result_without_its_film_says_what_is_left_out(result, tmp_path):
    bare = replace(result, clip=replace(result.clip, path=tmp_path / "gone.mp4"))
    exported = last(export(bare, "mp4", tmp_path / "out", asked=Asked(rows=(20,))))
    assert "holds no film" in exported.notices[0]
    assert json.loads(exported.sidecar.read_text(encoding="utf-8"))["Notices"] == list(exported.notices)
    assert not last(export(result, "html", tmp_path / "out")).notices


def test_two_contrasts_lie_beside_each_other(result, tmp_path):
    for minus in ((1, 2), (3, 4), tuple(range(1, 20, 2))):
        last(export(result, "nifti-contrast", tmp_path, asked=Asked(rows=(20, 21, 25), minus=minus)))
    assert len(list(tmp_path.glob("*trs-20-21+25_minus-*_contrast.nii.gz"))) == 3


# what is refused, and what stays ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "asked", "code"),
    [
        ("moment-png", Asked(tr=10_000), "row_outside"),
        ("npy", Asked(subject=4), "unknown_subject"),
        ("strip-png", Asked(rows=(1,)), "strip_rows"),
        ("nifti-contrast", Asked(rows=(1, 2)), "contrast_rows"),
        ("nifti-mean", Asked(rows=(1, -2)), "row_outside"),
        ("poster", Asked(), "unknown_kind"),
    ],
)
def test_what_the_result_does_not_have_is_refused_by_name(result, tmp_path, kind, asked, code):
    with pytest.raises(SelectionError) as caught:
        last(export(result, kind, tmp_path / "out", asked=asked))
    assert caught.value.code == code
    assert caught.value.hint
    assert not (tmp_path / "out").exists()


def test_a_stopped_export_leaves_nothing(result, tmp_path):
    job = export(result, "nifti-4d", tmp_path / "out", asked=Asked())
    assert isinstance(next(job), Stage)
    next(job)
    job.close()
    assert not list((tmp_path / "out").rglob("*"))


def test_a_place_that_cannot_be_written_is_one_sentence(result, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(CacheError, match="could not be written") as caught:
        last(export(result, "npy", tmp_path / "file" / "out"))
    assert str(tmp_path) not in str(caught.value)


def test_a_place_that_is_taken_by_a_folder_leaves_no_sidecar_behind(result, tmp_path):
    name = f"{file_stem(result, find_kind('npy'), Asked())}.npy"
    (tmp_path / name).mkdir()
    with pytest.raises(CacheError, match="could not be written"):
        last(export(result, "npy", tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_hostile_clip_name_becomes_a_plain_file_name(result, tmp_path):
    sly = replace(result, responses=replace(result.responses, clip_name="../../<img src=x onerror=1>=cmd|'/C calc'!A0.mp4"))
    exported = last(export(sly, "npy", tmp_path))
    assert exported.files[0].parent == tmp_path
    assert re.fullmatch(r"[\w-]+_mean_parcels\.npy", exported.files[0].name)


@given(st.text(max_size=200))
def test_any_name_is_a_name(text):
    name = safe_name(text)
    assert re.fullmatch(r"[\w-]+", name)
    assert not name.startswith("-")
    assert len(name) <= 60


def test_two_kinds_never_take_each_others_place(result):
    stems = {}
    for kind in KINDS:
        for ending in kind.endings:
            name = file_stem(result, kind, ASKED) + ending
            assert name not in stems, (kind.id, stems[name])
            stems[name] = kind.id


# rows as people write them ----------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 59), min_size=1, unique=True))
def test_rows_read_back_as_they_were_written(rows):
    assert parse_rows(", ".join(map(str, rows)), 60) == tuple(rows)


def test_ranges_count_both_ends():
    assert parse_rows("3-5, 9 – 10,0", 20) == (3, 4, 5, 9, 10, 0)


@pytest.mark.parametrize("text", ["", "a", "5-3", "1,1", "0-20", "1;2", "-1", "1e3", "1" * 50, "2,,3", "__import__('os')"])
def test_other_rows_are_refused(text):
    with pytest.raises(SelectionError) as caught:
        parse_rows(text, 20)
    assert "0 to 19" in f"{caught.value} {caught.value.hint}" or caught.value.code == "rows_repeated" or "Write" in caught.value.hint
