"""Capsules from strangers: each trick is refused by name, quickly, and leaves nothing behind. Cases 20 and 50 of the list of abuses."""

from __future__ import annotations

import io
import json
import os
import pickle
import stat
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.capsule import write_capsule
from experiments.capsule_form import MANIFEST, MOST_DEPTH
from experiments.capsule_read import open_capsule, plain_state, read_capsule
from extractors.errors import CapsuleError, CineglassError
from extractors.stages import last
from settings import Settings
from tests.capsules import contents, forged, some_comparison, some_result, with_facts, write_stored
from tests.page_server import NASTY

BOMB = b"\0" * 8_000_000


@pytest.fixture(scope="module", autouse=True)
def undrawn():
    """Capsules without pictures, which are most of the work of writing one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.capsule._draw", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("capsule")
    return last(write_capsule(some_result(), folder / "a.zip", settings=Settings(cache_dir=folder)))


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    return last(write_capsule(some_comparison(), folder / "ab.zip", settings=Settings(cache_dir=folder)))


def refused(path, tmp_path, *codes):
    """The capsule is refused with one of these codes, in one plain sentence, and its folder is gone."""
    out = tmp_path / "out"
    with pytest.raises(CapsuleError) as caught:
        read_capsule(path, out)
    assert caught.value.code in codes, (caught.value.code, caught.value.message)
    assert caught.value.hint
    assert str(tmp_path) not in caught.value.message
    assert len(caught.value.message) < 300
    assert caught.value.message.isprintable()
    assert not out.exists()
    assert not list(tmp_path.parent.glob("evil*"))


# the zip ----------------------------------------------------------------------------------------------------------------------------

NAMES = {
    "absolute": "/etc/cron.d/evil",
    "drive": "C:\\evil.txt",
    "parent": "../evil.txt",
    "deep parent": "a/../../evil.txt",
    "backslash": "a\\..\\..\\evil.txt",
    "backslash of a known name": "a\\responses.npy",
    "dot": "./methods.txt",
    "double slash": "a//responses.npy",
    "folder": "a/",
    "hidden": ".bashrc",
    "other case": "A/responses.npy",
    "trailing space": "methods.txt ",
    "trailing dot": "methods.txt.",
    "letter that looks alike": "methоds.txt",
    "right to left": "\u202etxt.sdohtem",
    "long": "a/" + "x" * 5000,
    "a capsule inside": "capsule.zip",
    "markup": NASTY,
    "nothing": "",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=list(NAMES))
def test_a_name_that_no_capsule_has_is_refused(base, tmp_path, name):
    files = [*contents(base).items(), (name, b"evil")]
    refused(write_stored(tmp_path / "c.zip", files), tmp_path, "unknown_file", "layout")


def test_a_name_with_a_null_byte_is_refused_whichever_part_a_reader_takes(base, tmp_path):
    data = write_stored(tmp_path / "c.zip", {**contents(base), "methods.txtX.sh": b"evil"}).read_bytes()
    (tmp_path / "c.zip").write_bytes(data.replace(b"methods.txtX.sh", b"methods.txt\0.sh"))
    refused(tmp_path / "c.zip", tmp_path, "unknown_file")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice_is_refused(base, tmp_path):
    files = [*contents(base).items(), ("methods.txt", b"another")]
    refused(write_stored(tmp_path / "c.zip", files), tmp_path, "repeated_file")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["deflate", "bzip2", "lzma"])
def test_a_bomb_by_ratio_is_refused_before_a_byte_of_it_is_unpacked(base, tmp_path, method):
    path = write_stored(tmp_path / "c.zip", {**contents(base), "methods.txt": BOMB}, method=method)
    assert path.stat().st_size < len(BOMB) / 3
    refused(path, tmp_path, "compressed", "layout")


def test_a_bomb_by_number_of_entries_is_refused_without_reading_their_list(tmp_path):
    path = tmp_path / "c.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(2_000):
            archive.writestr(f"{number}", b"")
    refused(path, tmp_path, "too_many")


def test_a_zip64_that_claims_more_than_a_zip_can_hold_is_refused(base, tmp_path):
    data = base.read_bytes()
    for place in (8, 12, 16):  # number of files, length of their list, its place
        forgery = bytearray(data)
        forgery[len(data) - 22 + place : len(data) - 22 + place + 4] = b"\xff\xff\xff\xff"
        (tmp_path / "c.zip").write_bytes(forgery)
        refused(tmp_path / "c.zip", tmp_path, "zip64")


def test_a_zip_inside_a_file_of_the_capsule_stays_a_file_and_is_never_unpacked(base, tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../evil.txt", BOMB)
    read_capsule(forged(base, tmp_path / "c.zip", {"methods.txt": inner.getvalue()}), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file()) == [
        "networks.tsv",
        "responses.json",
        "responses.npy",
        "transcript.tsv",
    ]
    refused(forged(base, tmp_path / "d.zip", {"a/responses.npy": inner.getvalue()}), tmp_path / "d", "bad_array")


KINDS = {
    "symlink": stat.S_IFLNK | 0o777,
    "folder": stat.S_IFDIR | 0o755,
    "block device": stat.S_IFBLK | 0o600,
    "character device": stat.S_IFCHR | 0o600,
    "pipe": stat.S_IFIFO | 0o600,
    "socket": stat.S_IFSOCK | 0o600,
}


@pytest.mark.parametrize("mode", KINDS.values(), ids=list(KINDS))
def test_links_folders_and_devices_are_refused(base, tmp_path, mode):
    refused(write_stored(tmp_path / "c.zip", contents(base), mode=mode), tmp_path, "link")


def patched(base, path, local, central):
    """The capsule with bytes of the second entry's heads replaced: ``{place: bytes}`` of the local head and of the list."""
    data = bytearray(base.read_bytes())
    start = struct.unpack_from("<L", data, len(data) - 6)[0]
    first = 46 + struct.unpack_from("<H", data, start + 28)[0]
    offset = struct.unpack_from("<L", data, start + first + 42)[0]
    for places, at in ((local, offset), (central, start + first)):
        for place, value in places.items():
            data[at + place : at + place + len(value)] = value
    path.write_bytes(data)
    return path


HEADS = {
    "encrypted": ({6: b"\x01\0"}, {8: b"\x01\0"}, "encrypted"),
    "strongly encrypted": ({6: b"\x41\0"}, {8: b"\x41\0"}, "encrypted"),
    "encrypted in its own head only": ({6: b"\x01\0"}, {}, "layout"),
    "size after the content": ({6: b"\x08\0"}, {8: b"\x08\0"}, "layout"),
    "larger in the list": ({}, {24: b"\xff\xff\xff\x7f"}, "compressed"),
    "both sizes larger in the list": ({}, {20: b"\xff\xff\xff\x00", 24: b"\xff\xff\xff\x00"}, "file_too_large"),
    "sizes a little larger in the list": ({}, {20: b"\xff\xff\x00\x00", 24: b"\xff\xff\x00\x00"}, "layout"),
    "larger in its own head": ({22: b"\xff\xff\xff\x7f"}, {}, "layout"),
    "smaller everywhere": ({18: b"\x10\0\0\0", 22: b"\x10\0\0\0"}, {20: b"\x10\0\0\0", 24: b"\x10\0\0\0"}, "layout"),
    "wrong checksum": ({14: b"\0\0\0\0"}, {16: b"\0\0\0\0"}, "damaged"),
    "another checksum in the list": ({}, {16: b"\0\0\0\0"}, "layout"),
    "lies on another file": ({}, {42: b"\0\0\0\0"}, "layout"),
    "lies beyond the end": ({}, {42: b"\xf0\xff\xff\xff"}, "layout"),
    "on another disk": ({}, {34: b"\x01\0"}, "layout"),
    "another name in its own head": ({30: b"b"}, {}, "layout"),
    "long extra field": ({28: b"\xff\xff"}, {}, "layout"),
    "extra field in the list": ({}, {30: b"\x10\0"}, "layout"),
    "comment": ({}, {32: b"\x10\0"}, "layout"),
    "name beyond the list": ({}, {28: b"\xff\xff"}, "layout"),
    "no such method": ({8: b"\x63\0"}, {10: b"\x63\0"}, "compressed"),
    "folder by its DOS attribute": ({}, {38: b"\x10\0\0\0"}, "link"),
}


@pytest.mark.parametrize(("local", "central", "code"), HEADS.values(), ids=list(HEADS))
def test_a_head_that_does_not_say_what_is_there_is_refused(base, tmp_path, local, central, code):
    refused(patched(base, tmp_path / "c.zip", local, central), tmp_path, code)


def test_nothing_may_stand_before_behind_or_between_the_files(base, tmp_path):
    data = base.read_bytes()
    start = struct.unpack_from("<L", data, len(data) - 6)[0]
    for number, forgery in enumerate((b"#!/bin/sh\n" + data, data + b"x", data[:start] + b"gap" + data[start:], data[:-40], data[:2000])):
        path = tmp_path / f"{number}.zip"
        path.write_bytes(forgery)
        refused(path, tmp_path, "layout", "not_capsule", "too_many")


NO_CAPSULES = {
    "empty": b"",
    "one byte": b"P",
    "one mark": b"PK\x03\x04",
    "empty zip": b"PK\x05\x06" + b"\0" * 18,
    "gzip": b"\x1f\x8b" + b"\0" * 200,
    "page": b"<html>" * 50,
    "anything": bytes(range(256)),
}


@pytest.mark.parametrize("content", NO_CAPSULES.values(), ids=list(NO_CAPSULES))
def test_what_is_no_capsule_is_refused(tmp_path, content):
    path = tmp_path / "c.zip"
    path.write_bytes(content)
    refused(path, tmp_path, "not_capsule", "layout")


def test_pipes_folders_and_missing_files_do_not_hang_the_reader(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "missing", tmp_path / "nul\0name"):
        refused(path, tmp_path, "not_capsule")


def test_a_folder_that_holds_other_things_is_left_alone(base, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(CineglassError, match="holds other things"):
        read_capsule(base, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


@given(place=st.floats(0, 1, exclude_max=True), value=st.binary(min_size=1, max_size=4))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_changed_byte_gets_past_the_reader_unseen(base, tmp_path, place, value):
    data = bytearray(base.read_bytes())
    start = struct.unpack_from("<L", data, len(data) - 6)[0]
    at = int(place * len(data)) if place < 0.5 else start + int((2 * place - 1) * (len(data) - start))  # half of them in the list of files
    before = bytes(data)
    data[at : at + len(value)] = value[: len(data) - at]
    path = tmp_path / "fuzzed.zip"
    path.write_bytes(data)
    out = tmp_path / "fuzzed"
    try:
        opened = read_capsule(path, out)
    except CapsuleError:
        assert not out.exists()
        return
    # what may change without being seen: dates, versions and rights in the heads, and nothing that is read
    changed = [k for k in range(len(data)) if data[k] != before[k]]
    honest = {entry.name: entry for entry in _entries(base)}
    assert not any(entry.offset <= k < entry.offset + entry.size for k in changed for entry in honest.values())
    assert opened.kind == "run"
    _remove(out)


def _entries(path):
    from experiments.capsule_zip import CapsuleZip

    with path.open("rb") as file:
        return list(CapsuleZip(file).entries.values())


def _remove(folder):
    import shutil

    shutil.rmtree(folder)


# what the files say -----------------------------------------------------------------------------------------------------------------


def test_a_file_changed_after_saving_is_refused_by_its_hash(base, tmp_path):
    held = contents(base)
    for name in ("methods.txt", "a/responses.npy", "a/transcript.tsv", "a/networks.tsv"):
        other = held[name][:-1] + bytes([held[name][-1] ^ 1])
        refused(write_stored(tmp_path / "c.zip", {**held, name: other}), tmp_path, "wrong_hash")


def test_files_that_are_missing_or_not_spoken_of_are_refused(base, tmp_path):
    held = contents(base)
    refused(write_stored(tmp_path / "c.zip", {name: data for name, data in held.items() if name != "methods.txt"}), tmp_path, "missing_file")
    refused(forged(base, tmp_path / "d.zip", {"a/responses.npy": None}), tmp_path, "missing_file")
    refused(write_stored(tmp_path / "e.zip", {name: data for name, data in held.items() if name != MANIFEST}), tmp_path, "not_capsule")
    refused(write_stored(tmp_path / "f.zip", {**held, "a/film.mp4": b"film"}), tmp_path, "unlisted_file")
    refused(forged(base, tmp_path / "g.zip", {"b/film.mp4": b"film"}), tmp_path, "unlisted_file")


def _nested(levels):
    return json.loads("[" * levels + "]" * levels)


MANIFESTS = {
    "newer version": (lambda m: m.update(form=2), "unknown_version"),
    "version 0": (lambda m: m.update(form=0), "unknown_version"),
    "version true": (lambda m: m.update(form=True), "unknown_version"),
    "version as text": (lambda m: m.update(form="1"), "unknown_version"),
    "no version": (lambda m: m.pop("form"), "unknown_version"),
    "another format": (lambda m: m.update(format="zip"), "not_capsule"),
    "unknown key": (lambda m: m.update(run_me="rm"), "unknown_key"),
    "unknown key of a file": (lambda m: m["files"]["methods.txt"].update(path="/etc"), "unknown_key"),
    "unknown kind": (lambda m: m.update(kind="script"), "bad_value"),
    "two conditions of a run": (lambda m: m["conditions"].update(b=m["conditions"]["a"]), "disagree"),
    "no condition": (lambda m: m.update(conditions={}), "bad_value"),
    "title missing": (lambda m: m.pop("title"), "bad_value"),
    "title too long": (lambda m: m.update(title="x" * 121), "bad_value"),
    "title is a list": (lambda m: m.update(title=["x"]), "bad_value"),
    "lone surrogate": (lambda m: m.update(title="\ud800"), "bad_text"),
    "null byte in a text": (lambda m: m.update(title="a\0b"), "bad_text"),
    "line break in a text": (lambda m: m.update(title="a\nb"), "bad_text"),
    "direction override": (lambda m: m.update(title="\u202egpj.exe"), "bad_text"),
    "control character in a key": (lambda m: m["versions"].update({"\x1b[31m": "1"}), "bad_text"),
    "endless text": (lambda m: m.update(edits="x" * 30_000), "bad_text"),
    "deep": (lambda m: m.update(settings=_nested(MOST_DEPTH)), "too_deep"),
    "very deep": (lambda m: m.update(settings=_nested(900)), "too_deep"),
    "many settings": (lambda m: m.update(settings={str(k): "" for k in range(100)}), "bad_value"),
    "hash of wrong length": (lambda m: m["files"]["methods.txt"].update(sha256="a" * 63), "bad_value"),
    "hash with a line end": (lambda m: m["files"]["methods.txt"].update(sha256="a" * 64 + "\n"), "bad_text"),
    "negative size": (lambda m: m["files"]["methods.txt"].update(bytes=-1), "bad_value"),
    "another size": (lambda m: m["files"]["methods.txt"].update(bytes=7), "wrong_size"),
    "files as list": (lambda m: m.update(files=[]), "bad_value"),
    "a file elsewhere": (lambda m: m["files"].update({"../evil": m["files"]["methods.txt"]}), "missing_file"),
    "state with a script": (lambda m: m.update(state="javascript:alert(1)"), "bad_state"),
    "state that names a run": (lambda m: m.update(state="run=" + "0" * 32), "bad_state"),
    "state that names a model": (lambda m: m.update(state="model=evil%2Frepo"), "bad_state"),
    "another clip": (lambda m: m["conditions"]["a"].update(clip_sha256="0" * 64), "disagree"),
    "another length": (lambda m: m["conditions"]["a"].update(n_trs=13), "disagree"),
    "edits that are not in the result": (lambda m: m["conditions"]["a"].update(edits=["mute"]), "disagree"),
    "another model": (lambda m: m["model"].update(id="published"), "disagree"),
    "not simulated": (lambda m: m["model"].update(simulated=False), "disagree"),
    "huge seed": (lambda m: m.update(seed=2**63), "bad_value"),
}


@pytest.mark.parametrize(("change", "code"), MANIFESTS.values(), ids=list(MANIFESTS))
def test_a_manifest_that_is_not_as_it_must_be_is_refused(base, tmp_path, change, code):
    refused(forged(base, tmp_path / "c.zip", manifest=change), tmp_path, code)


JSONS = {
    "empty": (b"", "not_json"),
    "cut off": (b'{"format": "cineglass-', "not_json"),
    "not UTF-8": (b'{"format": "\xff"}', "not_json"),
    "UTF-16": ('{"format": "x"}'.encode("utf-16"), "not_json"),
    "a list": (b"[]", "not_capsule"),
    "a number": (b"7", "not_capsule"),
    "NaN": (b'{"format": NaN}', "bad_number"),
    "Infinity": (b'{"form": -Infinity}', "bad_number"),
    "too large a number": (b'{"form": 1e999}', "bad_number"),
    "endless digits": (b'{"form": ' + b"9" * 100_000 + b"}", "bad_number"),
    "a key twice": (b'{"format": "cineglass-capsule", "form": 1, "form": 1}', "repeated_key"),
    "a million brackets": (b"[" * 1_000_000, "too_deep"),
    "a million things": (b"[" + b"0," * 1_000_000 + b"0]", "too_large"),
    "nine megabytes": (b" " * 9 * 2**20, "file_too_large"),
    "pickle": (pickle.dumps({"format": "cineglass-capsule"}), "not_json"),
}


@pytest.mark.parametrize(("data", "code"), JSONS.values(), ids=list(JSONS))
def test_json_that_would_hurt_a_parser_is_refused(base, tmp_path, data, code):
    refused(write_stored(tmp_path / "c.zip", {**contents(base), MANIFEST: data}), tmp_path, code)
    refused(forged(base, tmp_path / "d.zip", {"a/responses.json": data}), tmp_path, code, "bad_value")


RESULTS = {
    "unknown key": (lambda f: f.update(onload="x"), "unknown_key"),
    "unknown key of the clip": (lambda f: f["clip"].update(path="/etc/passwd"), "unknown_key"),
    "samples of the clip": (lambda f: f["clip"].update(samples_path="/etc/passwd"), "unknown_key"),
    "newer form": (lambda f: f.update(form=3), "bad_value"),
    "warnings as markup objects": (lambda f: f.update(warnings=[{"html": NASTY}]), "bad_value"),
    "badge as object": (lambda f: f.update(badge={"x": 1}), "bad_value"),
    "duration as text": (lambda f: f.update(duration="9"), "bad_value"),
    "a day of film": (lambda f: f["clip"].update(n_trs=10**9), "bad_value"),
    "another time of a row": (lambda f: f.update(tr=0.001), "disagree"),
    "range that nothing fits": (lambda f: f.update(range_floor=1e30), "bad_value"),
    "other labels": (lambda f: f.update(subject_labels=["Subject 1", "Subject 2", "Subject 3", "Subject 5"]), "disagree"),
    "other parcels": (lambda f: f["parcel_labels"].reverse(), "disagree"),
    "another atlas": (lambda f: f.update(atlas_hash="0" * 64), "disagree"),
    "a fifth subject": (lambda f: f.update(subjects=[1, 2, 3, 4]), "bad_value"),
    "a subject twice": (lambda f: f.update(subjects=[1, 1, 2, 3]), "disagree", "bad_array"),
    "more rows than there are": (lambda f: f["valid"].append(True), "bad_array"),
    "words of another clip": (lambda f: f.update(transcript_source="none"), "disagree"),
    "clip of another name": (lambda f: f.update(clip_name="other"), "disagree"),
    "longer than its rows": (lambda f: (f.update(duration=400.0), f["clip"].update(duration=400.0)), "disagree"),
    "members without their files": (lambda f: f.update(members=["a", "b"]), "disagree"),
    "plan of another form": (lambda f: f["extra"].update(plan={"parts": [1, 2]}), "bad_value"),
    "a map with text": (lambda f: f["extra"].update(time_map=[["a", 1, 2, 3]]), "bad_value"),
    "a map that runs into itself": (lambda f: f["extra"].update(time_map=[[5, 1, 0, 0]]), "disagree"),
    "a map of an endless film": (lambda f: f["extra"].update(time_map=[[0, 1e300, 0, 1]]), "disagree"),
    "a map of more film than there is": (lambda f: f["extra"].update(time_map=[[0, 9000, 0, 9000]]), "disagree"),
    "an origin of another form": (lambda f: f["extra"].update(origin={"sha256": "x", "time_map": []}), "bad_value"),
    "an origin with a map of more film": (lambda f: f["extra"].update(origin={"sha256": "0" * 64, "time_map": [[0, 9000, 0, 9000]]}), "disagree"),
    "seconds as text": (lambda f: f["run"].update(seconds={"gate": "x"}), "bad_value"),
    "id that is a path": (lambda f: f["run"].update(id="../../x"), "bad_value"),
    "a model of this program, not simulated": (lambda f: f.update(model_id="vibe-sim", simulated=False), "disagree"),
}


@pytest.mark.parametrize("case", RESULTS.values(), ids=list(RESULTS))
def test_a_result_that_is_not_as_it_must_be_is_refused(base, tmp_path, case):
    change, *codes = case
    refused(forged(base, tmp_path / "c.zip", {"a/responses.json": with_facts(base, "a/responses.json", change)}), tmp_path, *codes)


def test_nobody_takes_the_mark_simulated_off_the_programs_own_model(tmp_path):
    honest = some_result(model_id="vibe-sim", model_title="Textbook simulation", badge="Textbook simulation")
    path = last(write_capsule(honest, tmp_path / "a.zip", settings=Settings(cache_dir=tmp_path)))

    def real(facts):
        facts.update(simulated=False)
        facts["subject_labels"] = [label.replace("Sim", "Subject") for label in facts["subject_labels"]]
        facts["subject_files"] = [name.replace("sim", "") for name in facts["subject_files"]]

    changed = {"a/responses.json": with_facts(path, "a/responses.json", real)}
    refused(forged(path, tmp_path / "b.zip", changed, lambda m: m["model"].update(simulated=False)), tmp_path, "disagree")


def npy(array, **how):
    file = io.BytesIO()
    np.save(file, array, **how)
    return file.getvalue()


def header(text, version=b"\x01\x00"):
    padded = text.encode("latin1") + b" " * (-(10 + len(text) + 1) % 64) + b"\n"
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(padded))
    return b"\x93NUMPY" + version + length + padded


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil",)


GOOD = np.zeros((4, 12, 1000), np.float32)
ARRAYS = {
    "pickled objects": npy(np.array([[Evil()]], object), allow_pickle=True),
    "a bare pickle": pickle.dumps(Evil()),
    "giant shape": header("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4000000000, 1000), }") + b"\0" * 64,
    "giant shape that overflows": header("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 2, 2), }"),
    "negative shape": header("{'descr': '<f4', 'fortran_order': False, 'shape': (-4, 12, 1000), }"),
    "code in the header": header("{'descr': '<f4', 'fortran_order': False, 'shape': (__import__('os').system('touch evil'),), }"),
    "deep header": header("(" * 5000 + ")" * 5000),
    "object dtype": header("{'descr': '|O', 'fortran_order': False, 'shape': (4, 12, 1000), }") + b"\0" * 400,
    "version 2 header": header("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 12, 1000), }", b"\x02\x00") + GOOD.tobytes(),
    "header beyond the file": b"\x93NUMPY\x01\x00\xff\xff",
    "no header": b"",
    "float64": npy(GOOD.astype(np.float64)),
    "int": npy(GOOD.astype(np.int32)),
    "big endian": npy(GOOD.astype(">f4")),
    "other order": npy(np.asfortranarray(GOOD)),
    "other shape": npy(GOOD.transpose(1, 0, 2).copy()),
    "one row fewer": npy(GOOD[:, :11]),
    "too short": npy(GOOD)[:-1],
    "too long": npy(GOOD) + b"\0",
    "nan": npy(np.where(np.arange(1000) == 7, np.float32("nan"), GOOD)),
    "infinite": npy(np.where(np.arange(1000) == 7, np.float32("inf"), GOOD)),
    "absurd": npy(GOOD + np.float32(1e30)),
    "npz": b"PK\x03\x04" + b"\0" * 100,
}


@pytest.mark.parametrize("data", ARRAYS.values(), ids=list(ARRAYS))
def test_an_array_that_is_not_what_it_must_be_is_refused_without_being_interpreted(base, tmp_path, data, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(forged(base, tmp_path / "c.zip", {"a/responses.npy": data}), tmp_path, "bad_array")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    "table",
    [b"", b"text_per_tr\n" * 12, b"\xff\xfe", b"a\tb\tc\td\n" + b"x\t__import__('os').system('touch evil')\t[]\t[]\n" * 12, b"\0" * 5000],
    ids=["empty", "other columns", "cut UTF-16", "code in a list", "null bytes"],
)
def test_a_transcript_that_is_none_is_refused(base, tmp_path, table):
    refused(forged(base, tmp_path / "c.zip", {"a/transcript.tsv": table}), tmp_path, "disagree")


def test_samples_that_are_not_those_of_the_clip_are_refused(base, tmp_path):
    sound = np.zeros(1000, np.float32)
    refused(forged(base, tmp_path / "c.zip", {"a/samples.npy": npy(sound)}), tmp_path, "damaged")
    refused(forged(base, tmp_path / "d.zip", {"a/samples.npy": npy(np.zeros(16000 * 60, np.float32))}), tmp_path, "bad_array")
    refused(forged(base, tmp_path / "e.zip", {"a/samples.npy": npy(sound.reshape(10, 100))}), tmp_path, "bad_array")


COMPARISONS = {
    "unknown key": (lambda f: f.update(x=1), "unknown_key"),
    "newer form": (lambda f: f.update(form=2), "bad_value"),
    "edits that are no language": (lambda f: f.update(edits="rm -rf /"), "disagree"),
    "lesions that are no language": (lambda f: f.update(lesions="import os"), "disagree"),
    "other edits than the manifest": (lambda f: f.update(edits="grey"), "disagree"),
    "more null edits than arrays": (lambda f: f["null_edits"].append("gain db=0.25"), "bad_array"),
    "null edits without arrays": (lambda f: f.update(null_edits=None), "disagree"),
    "map with text": (lambda f: f.update(time_map=[["a", 1, 2, 3]]), "disagree"),
    "map beyond all films": (lambda f: f.update(time_map=[[0, 1e300, 0, 1e300]]), "disagree"),
    "map of more film than there is": (lambda f: f.update(time_map=[[9.0 * k, 9.0 * k + 9, 0, 9] for k in range(20_000)]), "disagree"),
    "map that is an object": (lambda f: f.update(time_map={"0": 1}), "bad_value"),
    "a reason that is not so": (lambda f: f.update(paired=False, why="Because."), "disagree"),
    "label of markup objects": (lambda f: f.update(label_a={"html": NASTY}), "bad_value"),
    "id that is a path": (lambda f: f.update(id="../../../etc"), "bad_value"),
}


@pytest.mark.parametrize(("change", "code"), COMPARISONS.values(), ids=list(COMPARISONS))
def test_a_comparison_that_is_not_as_it_must_be_is_refused(compared, tmp_path, change, code):
    refused(forged(compared, tmp_path / "c.zip", {"comparison.json": with_facts(compared, "comparison.json", change)}), tmp_path, code)


def test_null_edits_of_another_result_are_refused(compared, tmp_path):
    held = contents(compared)
    differences = np.load(io.BytesIO(held["null_differences.npy"]))
    for name, array in (("null_differences.npy", differences[:1]), ("null_differences.npy", differences * np.nan), ("null_parcel_change.npy", GOOD)):
        refused(forged(compared, tmp_path / "c.zip", {name: npy(np.asarray(array, np.float32))}), tmp_path, "bad_array")
    refused(forged(compared, tmp_path / "c.zip", {"null_differences.npy": None}), tmp_path, "disagree")


def test_sides_of_different_films_or_models_do_not_pass_as_one_comparison(compared, tmp_path):
    other = {name: data for name, data in contents(compared).items() if name.startswith("b/")}
    facts = json.loads(other["b/responses.json"])
    facts["model_id"] = "another"
    refused(forged(compared, tmp_path / "c.zip", {"b/responses.json": json.dumps(facts).encode()}), tmp_path, "disagree")
    refused(forged(compared, tmp_path / "d.zip", dict.fromkeys(other)), tmp_path, "missing_file")


# texts and films that are let in ----------------------------------------------------------------------------------------------------


def test_markup_in_every_text_stays_text_and_comes_back_as_it_was(tmp_path):
    nasty = some_result(title=NASTY, warnings=(NASTY,), model_title=NASTY, badge=NASTY, extra={"notices": [NASTY], "calibrated": "no"})
    path = last(write_capsule(nasty, tmp_path / "a.zip", title=NASTY[:120], state="t=1", settings=Settings(cache_dir=tmp_path)))
    opened = read_capsule(path, tmp_path / "out")
    again = opened.result()
    assert opened.title == NASTY[:120].strip()
    assert (again.clip.name, again.responses.badge, again.responses.warnings) == (NASTY, NASTY, (NASTY,))


FILMS = {
    "empty": b"",
    "playlist": b"#EXTM3U\nfile:///etc/passwd\n",
    "drawing with a script": b"<svg onload=alert(1)>",
    "zip": b"PK\x03\x04" * 50,
    "anything": bytes(range(256)) * 8,
}


@pytest.mark.parametrize("content", FILMS.values(), ids=list(FILMS))
def test_a_film_in_a_capsule_goes_through_the_gate_like_any_other(base, tmp_path, content):
    path = forged(base, tmp_path / "c.zip", {"a/film.mp4": content}, lambda m: m["conditions"]["a"].update(film_included=True))
    with pytest.raises(CineglassError) as caught:
        last(open_capsule(path, tmp_path / "out", settings=Settings(cache_dir=tmp_path / "cache")))
    assert caught.value.code in ("empty_file", "not_media", "playlist")
    assert not (tmp_path / "out").exists()


@given(query=st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_whatever_a_state_says_only_the_players_settings_are_left_of_it(query):
    plain = plain_state(query)
    assert plain_state(plain) == plain
    assert plain.isascii()
    assert plain.isprintable()
    assert not any(part.partition("=")[0] in ("run", "example", "comparison", "model", "runs") for part in plain.split("&"))
