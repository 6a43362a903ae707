from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pandas
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from encoder.atlas import load_atlas
from encoder.cards import read_card
from extractors.errors import CacheError, SelectionError
from extractors.formats import read_transcript
from extractors.stages import Stage, last
from extractors.tr_table import no_words, table_from_words
from extractors.transcript import Word
from settings import ASSETS, ROOT
from tests.unit.test_responses import some_ensemble, some_responses
from viz.bids import IGNORED, _Dataset, _files, task_label, write_bids

HOSTILE = "=cmd|' /C calc'!A0 <img src=x onerror=alert(1)> é日本 ../../x.mp4"
VALIDATOR = Path(sys.executable).with_name("bids-validator-deno")
ROWS = 26


def hostile_words():
    words = [Word("=1+1", 1.0, 0.2), Word("@SUM(A1)", 2.1, 0.4), Word("- no", 5.0, 0.5), Word("<script>", 9.5, 0.25), Word("ünï", 30, 0.5)]
    return table_from_words(words, ROWS, source="file =talk.srt", timing="given", language="en")


def one_subject(**changes):
    return some_responses((1,), ROWS, **changes)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A hostile film of two simulated subjects as (responses, words, zip, folder with its files)."""
    place = tmp_path_factory.mktemp("bids")
    film = place / "film.mp4"
    film.write_bytes(b"film" * 1000)
    responses = some_responses((1, 5), ROWS, clip_name=HOSTILE, valid=np.arange(ROWS) > 15, model_id="vibe-sim")
    card = read_card(ASSETS / "models" / "vibe-sim" / "card.yaml")
    path = last(write_bids(responses, hostile_words(), place / "a.zip", title="=A <b>title</b>\n", film=film, card=card))
    zipfile.ZipFile(path).extractall(place / "out")
    return responses, hostile_words(), path, place / "out"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """An ensemble's result without words and without a valid row."""
    place = tmp_path_factory.mktemp("bids")
    responses, _ = some_ensemble((3,), ROWS, members=2, simulated=False, valid=np.zeros(ROWS, bool), clip_name="日本.mp4")
    path = last(write_bids(responses, no_words(ROWS), place / "a.zip"))
    zipfile.ZipFile(path).extractall(place / "out")
    return responses, place / "out"


def only(folder, pattern):
    (found,) = folder.glob(pattern)
    return found


def judged(folder, *options):
    """Errors that the validator reports of a folder, as (code, key or place)."""
    command = [VALIDATOR, *options, "--format", "json", "--max-rows", "-1", folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    issues = json.loads(done.stdout)["issues"]["issues"]
    errors = {(issue["code"], issue.get("subCode") or issue["location"]) for issue in issues if issue["severity"] == "error"}
    assert bool(done.returncode) == bool(errors), done.stderr
    return errors


def problems(folder, tmp_path):
    """Errors in a derivative dataset.

    Of a derivative the validator asks only for the keys that derivatives add (3.0.2), so the description is judged once more by itself, under the
    rules that hold for every dataset.
    """
    alone = tmp_path / "alone"
    alone.mkdir()
    content = json.loads((folder / "dataset_description.json").read_text(encoding="utf-8"))
    assert content["DatasetType"] == "derivative"
    (alone / "dataset_description.json").write_text(json.dumps({**content, "DatasetType": "raw"}))
    return judged(folder, "--datasetTypes", "derivative") | judged(alone)


def test_the_validator_finds_no_error_in_a_simulated_result(simulated, tmp_path):
    assert problems(simulated[3], tmp_path) == set()


def test_the_validator_finds_no_error_in_a_published_models_result(published, tmp_path):
    assert problems(published[1], tmp_path) == set()


def test_the_validator_misses_a_removed_name(simulated, tmp_path):
    folder = shutil.copytree(simulated[3], tmp_path / "copy")
    content = json.loads((folder / "dataset_description.json").read_text(encoding="utf-8"))
    del content["Name"]
    (folder / "dataset_description.json").write_text(json.dumps(content))
    assert problems(folder, tmp_path) == {("JSON_KEY_REQUIRED", "Name")}


def test_the_validator_refuses_a_misnamed_sidecar(simulated, tmp_path):
    folder = shutil.copytree(simulated[3], tmp_path / "copy")
    sidecar = only(folder, "sub-sim05/func/*_bold.json")
    wrong = sidecar.rename(sidecar.with_name(sidecar.name.replace("_bold.json", "_bolt.json")))
    found = problems(folder, tmp_path)
    assert ("NOT_INCLUDED", f"/{wrong.relative_to(folder)}") in found
    assert ("SIDECAR_KEY_REQUIRED", "SkullStripped") in found


def test_only_parcel_series_cifti_files_and_their_sidecars_are_hidden_from_the_validator(simulated):
    folder = simulated[3]
    listed = (folder / ".bidsignore").read_text().split("\n")
    assert listed == ["*_timeseries.tsv", "*_timeseries.json", "*.ptseries.nii", "*.pscalar.nii", "*_boldmap.json", ""]
    assert tuple(listed[:-1]) == IGNORED
    hidden = {path.name.split("_")[-1] for pattern in IGNORED for path in folder.rglob(pattern)}
    assert hidden == {"timeseries.tsv", "timeseries.ptseries.nii", "timeseries.json", "boldmap.pscalar.nii", "boldmap.json"}


def test_every_file_stands_where_it_is_looked_for(simulated):
    folder = simulated[3]
    stem = "func/{0}_task-x_acq-insilico_space-MNI152NLin6Asym"
    parcels = "atlas-Schaefer2018_seg-7n_scale-1000"
    own = ("responses.npy", "responses.json", "networks.tsv", "transcript.tsv")
    expected = {
        *("dataset_description.json", "README.txt", ".bidsignore", "participants.tsv", "participants.json"),
        *(f"atlas-Schaefer2018_{end}" for end in ("description.json", "dseg.tsv", "dseg.json")),
        *(f"tpl-MNI152NLin6Asym/anat/tpl-MNI152NLin6Asym_{parcels}_res-2_dseg.{end}" for end in ("nii.gz", "json")),
        *(f"docs/{name}" for name in ("methods.txt", "references.bib", "networks.png")),
        *(f"sourcedata/cineglass/{name}" for name in own),
        *(f"stimuli/task-x_{name}" for name in ("words.tsv", "words.srt", "words.vtt", "film.mp4")),
    }
    for name in ("sub-sim01", "sub-sim05"):
        place = f"{name}/{stem.format(name)}"
        expected |= {f"{place}_{parcels}_stat-mean_timeseries.{end}" for end in ("tsv", "ptseries.nii", "json")}
        expected |= {f"{place}_{parcels}_stat-mean_boldmap.{end}" for end in ("pscalar.nii", "json")}
        expected |= {f"{place}_res-2_desc-mean_bold.{end}" for end in ("nii.gz", "json")}
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == expected


def test_the_series_read_by_pandas_are_the_responses_to_the_last_bit(simulated):
    responses, _, _, folder = simulated
    for subject, name in zip(responses.subjects, responses.subject_files, strict=True):
        table = pandas.read_csv(only(folder, f"{name}/func/*_timeseries.tsv"), sep="\t")
        assert tuple(table.columns) == load_atlas().labels
        np.testing.assert_array_equal(table.to_numpy(np.float32), responses.subject(subject))
    np.testing.assert_array_equal(np.load(folder / "sourcedata/cineglass/responses.npy", allow_pickle=False), responses.values)


def test_the_cifti_files_read_by_nibabel_are_the_responses_and_their_mean_over_valid_rows(simulated):
    responses, _, _, folder = simulated
    for subject, name in zip(responses.subjects, responses.subject_files, strict=True):
        series = nibabel.load(only(folder, f"{name}/func/*.ptseries.nii"))
        np.testing.assert_array_equal(series.get_fdata(dtype=np.float32), responses.subject(subject))
        assert series.nifti_header.get_intent()[0] == "ConnParcelSries"
        assert series.header.get_axis(0).step == pytest.approx(1.49)
        assert tuple(series.header.get_axis(1).name) == load_atlas().labels
        scalar = nibabel.load(only(folder, f"{name}/func/*.pscalar.nii"))
        expected = responses.subject(subject)[responses.valid].mean(0, dtype=np.float64)
        np.testing.assert_allclose(scalar.get_fdata()[0], expected, atol=1e-6)
        assert scalar.nifti_header.get_intent()[0] == "ConnParcelScalr"
        assert "SIMULATED" in scalar.header.get_axis(0).name[0]


def test_the_mean_volume_holds_each_parcels_mean_on_the_grid_of_the_parcel_volume_in_the_zip(simulated):
    responses, _, _, folder = simulated
    labels = nibabel.load(only(folder, "tpl-*/anat/*_dseg.nii.gz"))
    ids = np.asarray(labels.dataobj)
    assert set(np.unique(ids)) == set(range(1001))
    for subject, name in zip(responses.subjects, responses.subject_files, strict=True):
        image = nibabel.load(only(folder, f"{name}/func/*_desc-mean_bold.nii.gz"))
        assert image.shape == (91, 109, 91, 1)
        assert image.header.get_zooms()[3] == pytest.approx(1.49)
        assert image.header.get_xyzt_units() == ("mm", "sec")
        assert b"SIMULATED" in bytes(image.header["descrip"])
        np.testing.assert_array_equal(image.affine, labels.affine)
        expected = np.concatenate([[0], responses.subject(subject)[responses.valid].mean(0, dtype=np.float64)])
        np.testing.assert_allclose(np.asarray(image.dataobj)[..., 0], expected[ids], atol=1e-6)


def test_without_a_valid_row_the_mean_is_over_all_rows_and_the_sidecar_names_them(published):
    responses, folder = published
    scalar = nibabel.load(only(folder, "sub-03/func/*.pscalar.nii"))
    np.testing.assert_allclose(scalar.get_fdata()[0], responses.values[0].mean(0, dtype=np.float64), atol=1e-6)
    assert json.loads(only(folder, "sub-03/func/*_boldmap.json").read_text())["RowsAveraged"] == list(range(ROWS))


def test_every_sidecar_says_what_it_is_how_to_repeat_it_and_that_it_is_simulated(simulated):
    responses, words, _, folder = simulated
    sidecars = list(folder.glob("sub-*/func/*.json"))
    assert len(sidecars) == 6
    for path in sidecars:
        found = json.loads(path.read_text(encoding="utf-8"))
        assert found["Simulated"] is True
        assert found["RepetitionTime"] == 1.49
        assert found["StartTime"] == pytest.approx(0.745)
        assert found["ClipSha256"] == responses.clip_sha256
        assert found["TaskName"] == "x"
        assert found["Description"].startswith("Sim ")
        table = (folder / "sourcedata/cineglass/transcript.tsv").read_bytes()
        assert found["TranscriptSha256"] == hashlib.sha256(table).hexdigest()
        if "RowsAveraged" in found:
            assert found["RowsAveraged"] == np.flatnonzero(responses.valid).tolist()
    assert read_transcript(folder / "sourcedata/cineglass/transcript.tsv", ROWS).words_per_tr == words.words_per_tr


def test_the_parcel_table_is_the_atlas(simulated):
    table = pandas.read_csv(simulated[3] / "atlas-Schaefer2018_dseg.tsv", sep="\t")
    atlas = load_atlas()
    assert table["index"].tolist() == list(range(1, 1001))
    assert tuple(table["name"]) == atlas.labels
    np.testing.assert_array_equal(table["network"], atlas.networks)
    np.testing.assert_array_equal(table["hemisphere"], atlas.hemispheres)
    np.testing.assert_allclose(table[["x", "y", "z"]], atlas.centroids, atol=1e-4)


def test_participants_are_simulated_without_a_species_or_people(simulated, published):
    tables = [pandas.read_csv(folder / "participants.tsv", sep="\t", keep_default_na=False) for folder in (simulated[3], published[1])]
    assert tables[0]["participant_id"].tolist() == ["sub-sim01", "sub-sim05"]
    assert tables[0]["species"].tolist() == ["n/a", "n/a"]
    assert tables[1]["participant_id"].tolist() == ["sub-03"]
    assert tables[1]["species"].tolist() == ["homo sapiens"]


def test_no_word_can_start_a_formula_and_the_subtitles_hold_them_all(simulated):
    _, words, _, folder = simulated
    table = pandas.read_csv(folder / "stimuli/task-x_words.tsv", sep="\t")
    assert len(table) == words.n_words
    assert not table["word"].str.match(r"\s*[=+\-@]").any()
    assert table["word"][0] == "'=1+1"
    np.testing.assert_allclose(table["onset"], [word.onset for word in words.words], atol=1e-3)
    for ending in ("srt", "vtt"):
        assert read_transcript(folder / f"stimuli/task-x_words.{ending}", ROWS).n_words > 0


def test_the_description_readme_and_methods_are_those_of_the_result(simulated, published):
    folder, other = simulated[3], published[1]
    content = json.loads((folder / "dataset_description.json").read_text(encoding="utf-8"))
    assert content["Name"] == "=A <b>title</b>"
    assert content["GeneratedBy"][0] == {"Name": "Cineglass", "Version": "0.1.0"}
    assert content["License"] == "MIT"
    assert (folder / "README.txt").read_text(encoding="utf-8").startswith("SIMULATED RESPONSES")
    methods = (folder / "docs/methods.txt").read_text(encoding="utf-8")
    assert "No brain was measured" in methods
    assert all(limit in methods for limit in read_card(ASSETS / "models" / "vibe-sim" / "card.yaml").limits)
    assert "@article{schaefer2018," in (folder / "docs/references.bib").read_text(encoding="utf-8")
    assert (folder / "docs/networks.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((other / "dataset_description.json").read_text())["Name"] == "Predicted responses to the film film"
    told = [path for path in other.rglob("*") if path.suffix in (".json", ".txt", ".tsv", ".bib") and "SIMULATED" in path.read_text(encoding="utf-8")]
    assert told == []


def test_an_ensembles_spread_comes_along(published):
    responses, folder = published
    np.testing.assert_array_equal(np.load(folder / "sourcedata/cineglass/spread.npy", allow_pickle=False), responses.spread)
    np.testing.assert_array_equal(np.load(folder / "sourcedata/cineglass/member_curves.npy", allow_pickle=False), responses.member_curves)
    assert not (folder / "stimuli").exists()


def test_equal_results_give_equal_bytes_in_order_without_a_date_or_a_place_of_this_machine(tmp_path):
    one, two = (last(write_bids(one_subject(), hostile_words(), tmp_path / name)) for name in ("one.zip", "two.zip"))
    assert one.read_bytes() == two.read_bytes()
    archive = zipfile.ZipFile(one)
    names = archive.namelist()
    assert names == sorted(names)
    assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    for name in names:
        content = archive.read(name)
        for place in (str(ROOT), str(tmp_path), str(Path.home()), "/tmp/"):
            assert place.encode() not in content, name


def cheap(dataset, tmp_path):
    """Names of all files, and the bytes of those that need no image library."""
    files = _files(dataset, tmp_path)
    texts = {name: make for name, make in files.items() if name.endswith((".json", ".txt", "_words.tsv", "participants.tsv", ".bib"))}
    return set(files), {name: b"".join(make()) for name, make in texts.items()}


@settings(max_examples=40, deadline=None)
@given(name=st.text(max_size=60), title=st.text(max_size=60), word=st.text(min_size=1, max_size=20))
@example(name="../../etc/passwd", title="\ud800", word="=\udfff")
@example(name="CON", title="\u202e", word=" +1")
@example(name="-rf.mp4", title='"}', word="@a\tb")
@example(name="." * 60, title="-" * 300, word='"')
def test_names_of_others_make_safe_file_names_json_that_reads_and_cells_that_are_no_formulas(name, title, word, tmp_path_factory):
    transcript = replace(no_words(ROWS), words_per_tr=((word,), *[()] * (ROWS - 1)), onsets_per_tr=((0.5,), *[()] * (ROWS - 1)))
    transcript = replace(transcript, durations_per_tr=transcript.onsets_per_tr, source="file x", timing="given")
    folder = tmp_path_factory.getbasetemp()
    names, contents = cheap(_Dataset(one_subject(clip_name=name), transcript, title, None, None), folder)
    for file in names:
        assert re.fullmatch(r"(?:[A-Za-z0-9_-]+/)*[A-Za-z0-9._-]+", file), file
        assert max(map(len, file.split("/"))) < 200
        assert ".." not in file
    for file, content in contents.items():
        text = content.decode("utf-8")
        if file.endswith(".json"):
            json.loads(text)
        elif file.endswith(".tsv"):
            rows = pandas.read_csv(io.StringIO(text), sep="\t", keep_default_na=False, dtype=str)
            assert not any(cell.lstrip()[:1] in tuple("=+-@") and cell.strip() for cell in rows.to_numpy().ravel())


@settings(deadline=None)
@given(st.text(max_size=80))
@example("日本.mp4")
@example("Eyes and ears.mp4")
def test_a_task_label_is_short_and_of_letters_and_digits(name):
    assert re.fullmatch(r"[0-9A-Za-z]{1,30}", task_label(name))


def test_task_labels_keep_what_can_be_read():
    assert task_label("Eyes and ears.mp4") == "Eyesandears"
    assert task_label("Émile & Zoë, v1.2.mov") == "EmileZoev12"
    assert task_label("C:\\films\\night.mkv") == "night"
    assert task_label("日本.mp4") == "film"


def test_stages_are_told_and_a_stop_leaves_nothing(tmp_path):
    job = write_bids(one_subject(), no_words(ROWS), tmp_path / "a.zip")
    seen = [next(job) for _ in range(2)]  # a warm worker is done within a second
    assert all(isinstance(stage, Stage) and stage.name == "bids" for stage in seen)
    job.close()
    patience = time.monotonic() + 30
    while list(tmp_path.iterdir()) and time.monotonic() < patience:  # the thread ends at its next file
        time.sleep(0.05)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(SelectionError, match=r"\.zip"):
        last(write_bids(one_subject(), no_words(ROWS), tmp_path / "a.tar"))
    with pytest.raises(CacheError, match=r"dataset a\.zip could not be written"):
        last(write_bids(one_subject(), no_words(ROWS), tmp_path / "missing" / "a.zip"))
    broken = one_subject()
    broken.values[0, 3, 7] = np.nan
    with pytest.raises(SelectionError, match="not finite"):
        last(write_bids(broken, no_words(ROWS), tmp_path / "a.zip"))
    assert list(tmp_path.iterdir()) == []
