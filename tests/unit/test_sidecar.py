from __future__ import annotations

import hashlib
import json
import re
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from extractors.errors import CacheError
from extractors.formats import write_transcript
from extractors.tr_table import edit_row, no_words, table_from_words
from extractors.transcript import Word
from tests.unit.test_responses import some_ensemble, some_responses
from viz.look import Look
from viz.sidecar import commands, facts, hardware, sidecar_name, software, to_json, without_places, write_sidecar

ROOT = Path(__file__).parents[2]
MADE = {"kind": "nifti-mean", "subject": 2, "rows": (10, 11, 12, 20)}
SMALL = {"subjects": (1,), "rows": 12}


def some_words(rows=50):
    return table_from_words([Word("=1+1", 1.0, 0.2), Word("ünï", 2.1, 0.4)], rows, source="file talk.srt", timing="given", language="en")


def test_it_holds_every_field_that_repeating_a_file_needs():
    found = facts(some_responses(warnings=("Short.",), edits=("muted",)), transcript=some_words(), made=MADE)
    needed = (
        "RepetitionTime StartTime Units SampleUnit LagMode ModelId WeightsSha256 ExtractorIds AtlasHash ClipSha256 TranscriptSource TranscriptSha256 "
        "Edits Lesions Seed SoftwareVersions Hardware Warnings Simulated Space Settings HowToRepeat Shown ValidRows"
    )
    assert set(needed.split()) <= set(found)
    assert found["RepetitionTime"] == 1.49
    assert found["StartTime"] == pytest.approx(10.5 * 1.49)
    assert found["Space"] == "MNI152NLin6Asym"
    assert found["Edits"] == ["muted"]
    assert found["Warnings"] == ["Short."]
    assert found["Shown"] == {"kind": "nifti-mean", "subject": 2, "rows": [10, 11, 12, 20]}
    assert json.loads(to_json(found)) == found


def test_a_simulated_result_says_so_and_a_published_one_that_nobody_was_scanned():
    simulated, published = facts(some_responses(), made=MADE), facts(some_responses(simulated=False), made=MADE)
    assert simulated["Simulated"] is True
    assert simulated["About"].startswith("SIMULATED. No brain was measured")
    assert simulated["Subjects"]["sub-sim01"] == "Sim 1"
    assert published["Simulated"] is False
    assert "nobody watched this film in a scanner" in published["About"]
    assert published["Subjects"]["sub-01"] == "Subject 1"
    assert "imulat" not in to_json({key: value for key, value in published.items() if key != "Simulated"})


def test_equal_results_give_equal_bytes_without_a_date(tmp_path):
    one, two = (facts(some_responses(), transcript=some_words(), look=Look(), made=dict(MADE)) for _ in range(2))
    first = write_sidecar(tmp_path / "a.png", one).read_bytes()
    assert write_sidecar(tmp_path / "a.png", two).read_bytes() == first
    assert not re.search(rb"20\d\d-\d\d|\d\d:\d\d", first)


def test_the_words_hash_is_that_of_the_transcript_file(tmp_path):
    for transcript in (some_words(), edit_row(some_words(), 3, "two words"), no_words(50)):
        file = write_transcript(transcript, tmp_path / "transcript.tsv")
        found = facts(some_responses(), transcript=transcript, made=MADE)
        assert found["TranscriptSha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert found["TranscriptWords"] == transcript.n_words
    assert found["TranscriptEditedRows"] == []


def test_places_of_this_machine_are_cut_to_names():
    responses = some_responses(
        clip_name="/home/someone/my films/a film.mp4",
        model_id="/srv/models/vibe",
        extractor_ids={"audio": "vibe-audio-1 /srv/hub/ast", "text": "t-1", "video": "C:\\Users\\someone\\vjepa"},
        extra={"plan": {"parts": [{"name": "text", "source": "~/models/qwen", "device": "cuda:0", "dtype": "bfloat16"}]}, "notices": ["file:/tmp/x"]},
    )
    text = to_json(facts(responses, transcript=some_words(), made={**MADE, "folder": "/srv/out"}))
    for place in ("/home", "someone", "/srv", "~/", "Users", "/tmp", "my films"):
        assert place not in text
    for name in ("a film.mp4", "vibe-audio-1 ast", "vjepa", '"qwen"', "text on cuda:0 (bfloat16)"):
        assert name in text


@pytest.mark.parametrize(
    "text", ["ShreyDixit/VIBE-Qwen2.5-14B", "https://example.org/a/b", "and/or", "1 / 2", "(k + 0.5) * TR", "Salience / ventral", "/"]
)
def test_what_is_no_place_stays_whole(text):
    assert without_places(text) == text


def test_a_picture_says_its_look_and_how_its_time_is_shifted():
    responses = some_responses()
    found = facts(responses, look=Look(threshold=0.25, lag=5.0), made={"kind": "moment-png", "tr": 17})
    assert found["LagMode"] == "shifted back 5 s"
    assert found["Look"]["threshold"] == 0.25
    assert found["Look"]["range"] == pytest.approx(Look().range_of(responses))
    assert "--threshold 0.25" in found["HowToRepeat"][1]
    assert "--lag 5 " in found["HowToRepeat"][1]
    assert "--tr 17" in found["HowToRepeat"][1]
    plain = facts(responses, look=Look(), made={"kind": "moment-png", "tr": 17})
    assert plain["LagMode"] == "with BOLD delay, as predicted"
    assert plain["HowToRepeat"][1] == "python cli.py export result moment-png --tr 17 --out ."
    assert "Look" not in facts(responses, made=MADE)
    exact = commands(responses, Look(vmax=0.7482731), {"kind": "moment-png", "tr": 17})[1]
    assert "--vmax 0.7482731 " in exact


def test_a_series_starts_at_the_middle_of_its_first_row_and_says_where_it_lies():
    rows = facts(some_responses(), made={"kind": "nifti-4d", "rows": (10, 11)})
    assert rows["StartTime"] == pytest.approx(10.5 * 1.49)
    assert facts(some_responses(), made={"kind": "gifti"}, space="surface")["Space"] == "fsaverage5"


def test_the_commands_name_the_model_the_people_the_words_and_the_rows():
    predict, export = commands(some_responses((1, 3), transcript_source="file talk.srt"), None, MADE)
    assert predict == "python cli.py predict 'a film.mp4' --model tiny --subjects 1,3 --transcript transcript.tsv --out result --film"
    assert export == "python cli.py export result nifti-mean --subject 2 --rows 10-12,20 --out ."
    assert "--no-speech" in shlex.split(commands(some_responses(transcript_source="none"), None, MADE)[0])


@settings(deadline=None)
@given(st.text(max_size=60))
@example("-rf.mp4")
@example("$(reboot); `reboot`'\".mp4")
@example("../../etc/passwd")
def test_a_films_name_is_one_argument_of_the_command_and_no_option(name):
    predict, _ = commands(some_responses(**SMALL, clip_name=name), None, MADE)
    words = shlex.split(predict)
    assert words[:3] == ["python", "cli.py", "predict"]
    assert not words[3].startswith("-")
    assert words[4] == "--model"
    assert ".." not in Path(words[3]).parts


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
@example("\ud800", "\udfff")
@example('"},{"a": "', "\\u0000")
def test_any_names_give_json_that_reads_back(name, warning):
    found = facts(some_responses(**SMALL, clip_name=name, warnings=(warning,)), made=MADE)
    assert json.loads(to_json(found).encode("utf-8")) == found


def test_versions_are_those_that_are_installed():
    found = software()
    assert found["numpy"] == np.__version__ == metadata.version("numpy")
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert "cineglass" in found
    text = facts(some_responses(), made=MADE)["SoftwareVersions"]
    assert all(f"{name} {version}" in text for name, version in found.items())


def test_a_package_that_is_not_there_is_left_out(monkeypatch):
    real = metadata.version

    def version(name):
        if name == "transformers":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    assert "transformers" not in software()
    assert "numpy" in software()


def test_saying_the_versions_loads_no_library():
    code = (
        "import sys; from viz.sidecar import software; software(); print(*[name for name in ('torch', 'nilearn', 'nibabel') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == []


def test_the_hardware_names_a_kind_of_machine_and_no_machine():
    import platform

    assert platform.machine() in hardware(some_responses())
    assert platform.node() not in hardware(some_responses()).split()


def test_the_members_of_an_ensemble_are_named():
    assert facts(some_ensemble(members=2)[0], made=MADE)["Members"] == ["checkpoint-0", "checkpoint-1"]


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("a_mean.nii.gz", "a_mean.json"),
        ("a_hemi-L.func.gii", "a_hemi-L.json"),
        ("a.ptseries.nii", "a.json"),
        ("a.pscalar.nii", "a.json"),
        ("a.b.png", "a.b.json"),
        ("a.nii", "a.json"),
        ("bare", "bare.json"),
    ],
)
def test_a_sidecar_is_called_like_its_file_without_the_whole_ending(target, name, tmp_path):
    assert sidecar_name(target) == name
    assert write_sidecar(tmp_path / target, {"a": 1}) == tmp_path / name
    assert json.loads((tmp_path / name).read_text()) == {"File": target, "a": 1}


def test_a_name_that_another_files_sidecar_has_is_not_taken_from_it(tmp_path):
    first, second = write_sidecar(tmp_path / "a.png", {"n": 1}), write_sidecar(tmp_path / "a.svg", {"n": 2})
    assert (first.name, second.name) == ("a.json", "a.svg.json")
    assert write_sidecar(tmp_path / "a.png", {"n": 3}) == first
    assert write_sidecar(tmp_path / "a.svg", {"n": 4}) == second
    assert [json.loads(path.read_text())["n"] for path in (first, second)] == [3, 4]
    (tmp_path / "b.json").write_text("[]")
    assert write_sidecar(tmp_path / "b.gif", {}).name == "b.gif.json"
    assert write_sidecar(tmp_path / "c.json", {}).name == "c.json.json"


def test_a_folder_that_is_not_there_is_one_sentence_and_nothing_stays(tmp_path):
    with pytest.raises(CacheError, match=r"sidecar a\.json could not be written"):
        write_sidecar(tmp_path / "missing" / "a.png", {})
    with pytest.raises((TypeError, ValueError)):
        write_sidecar(tmp_path / "a.png", {"bad": float("nan")})
    assert list(tmp_path.iterdir()) == []
