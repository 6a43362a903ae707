"""Models in folders and in the hub's cache, and their download, against a small hub on this machine."""

from __future__ import annotations

import collections
import errno
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save, save_file

from extractors import hub_files, hub_transfer
from extractors.errors import ModelError
from extractors.hub_files import LocalModel, download, find_local, is_repository, sha256_of, storage_of, weights_id
from extractors.stages import Stage, last
from settings import ROOT, Settings
from tests.hub_server import COMMIT, Repository, files_of, hub_server, sha256, using_hub
from tests.tiny_vibe import tiny_predictor

NAME = "somebody/VIBE-tiny"


@pytest.fixture(scope="module")
def model_files(tmp_path_factory):
    folder = tiny_predictor(tmp_path_factory.mktemp("vibe") / "tiny")
    return files_of(folder)


@pytest.fixture(scope="module")
def sharded_files():
    shards = {f"model-0000{k}-of-00003.safetensors": {f"w{k}": torch.full((50_000,), float(k))} for k in (1, 2, 3)}
    index = {"metadata": {}, "weight_map": {f"w{k}": name for k, name in enumerate(shards, 1)}}
    return {name: save(tensors) for name, tensors in shards.items()} | {
        "config.json": b"{}",
        "model.safetensors.index.json": json.dumps(index).encode(),
    }


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(hub_transfer, "PAUSE_S", 0.01)
    with hub_server() as hub, using_hub(hub, tmp_path / "hub", monkeypatch):
        yield hub


def settings_in(tmp_path) -> Settings:
    return Settings(cache_dir=tmp_path / "cache")


def write(files, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def refused(code, source, **options) -> ModelError:
    with pytest.raises(ModelError) as caught:
        find_local(source, **options)
    assert caught.value.code == code
    assert caught.value.hint
    assert "/tmp" not in str(caught.value) + caught.value.hint
    return caught.value


def failed(code, name=NAME, **options) -> ModelError:
    with pytest.raises(ModelError) as caught:
        last(download(name, **options))
    assert caught.value.code == code
    assert caught.value.hint
    assert str(caught.value).count(". ") <= 1
    return caught.value


# folders


def test_a_folder_is_found_absolute_beside_its_model_and_from_the_working_directory(tmp_path, model_files, monkeypatch):
    folder = write(model_files, tmp_path / "backbones" / "text")
    local = find_local(folder)
    assert (local.folder, local.revision, local.weight_bytes) == (folder, None, len(model_files["model.safetensors"]))
    assert find_local("backbones/text", beside=tmp_path).folder.samefile(folder)
    monkeypatch.chdir(tmp_path)
    assert find_local("backbones/text").folder.samefile(folder)
    assert find_local("backbones/text", beside=tmp_path / "nowhere").folder.samefile(folder)


def test_the_folder_beside_the_model_comes_before_the_one_in_the_working_directory(tmp_path, model_files, monkeypatch):
    write(model_files, tmp_path / "here" / "text")
    write(model_files, tmp_path / "beside" / "text")
    monkeypatch.chdir(tmp_path / "here")
    assert find_local("text", beside=tmp_path / "beside").folder == tmp_path / "beside" / "text"


@pytest.mark.parametrize(("name", "code"), [("config.json", "config_missing"), ("model.safetensors", "weights_missing")])
def test_a_missing_file_of_a_folder_is_named(tmp_path, model_files, name, code):
    folder = write(model_files, tmp_path / "tiny")
    (folder / name).unlink()
    assert name in str(refused(code, folder))


def test_a_model_that_exists_only_as_a_pickle_is_refused_by_name(tmp_path, model_files):
    folder = write(model_files, tmp_path / "tiny")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "pytorch_model.bin" in str(refused("pickle_refused", folder))
    assert "model.pt" in str(refused("pickle_refused", folder / "model.pt"))


def test_every_listed_part_must_be_there_and_the_first_missing_one_is_named(tmp_path, sharded_files):
    folder = write(sharded_files, tmp_path / "big")
    local = find_local(folder)
    assert [path.name for path in local.weights] == [f"model-0000{k}-of-00003.safetensors" for k in (1, 2, 3)]
    assert local.weight_bytes == sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    for k in (2, 3):
        (folder / f"model-0000{k}-of-00003.safetensors").unlink()
    message = str(refused("incomplete", folder))
    assert "model-00002-of-00003.safetensors" in message
    assert "2 of 3" in message


@pytest.mark.parametrize("names", [["../secret.safetensors"], ["/etc/passwd"], ["model.bin"], [], [3]])
def test_an_index_that_names_anything_but_safetensors_beside_it_is_refused(tmp_path, sharded_files, names):
    folder = write(sharded_files, tmp_path / "big")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": dict(enumerate(names))}))
    refused("index_invalid", folder)


@pytest.mark.parametrize("keep", [0, 7, 300, 0.5, 0.999])
def test_a_file_that_was_cut_off_is_told_apart_from_a_whole_one(tmp_path, model_files, keep):
    folder = write(model_files, tmp_path / "tiny")
    content = model_files["model.safetensors"]
    (folder / "model.safetensors").write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    assert "model.safetensors" in str(refused("incomplete", folder))


def test_gits_note_in_place_of_a_large_file_is_explained(tmp_path, model_files):
    folder = write(model_files, tmp_path / "tiny")
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n")
    assert "git lfs pull" in refused("incomplete", folder).hint


@given(st.binary(max_size=300).filter(lambda content: content[1:8] != bytes(7) or content[8:9] != b"{"))
def test_no_content_of_a_weights_file_breaks_the_check(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("any")
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError) as caught:
        find_local(folder)
    assert caught.value.code == "incomplete"


@given(st.text(max_size=40) | st.from_regex(r"[\w./-]{1,12}/[\w./-]{1,12}", fullmatch=True))
def test_a_hub_name_is_never_a_way_out_of_the_cache(text):
    if is_repository(text):
        assert storage_of(text).parent == storage_of("a/b").parent
        assert text.count("/") == 1


# the hub's cache


def test_a_model_that_is_not_here_is_answered_with_the_way_to_get_it_and_without_the_network(hub):
    error = refused("not_here", NAME)
    assert NAME in str(error)
    assert f"python cli.py download-model {NAME}" in error.hint
    assert hub.seen == []


def test_what_huggingface_hub_downloaded_is_found_where_it_says(hub, model_files, tmp_path):
    from huggingface_hub import snapshot_download

    hub.repositories[NAME] = Repository(dict(model_files))
    folder = snapshot_download(NAME)
    hub.seen.clear()
    for revision in (None, "main", COMMIT):
        local = find_local(NAME, revision=revision)
        assert str(local.folder) == folder
        assert local.revision == COMMIT
    refused("not_here", NAME, revision="v2")
    refused("not_here", NAME, revision="../../..")
    assert weights_id(local, settings_in(tmp_path)) == sha256(model_files["model.safetensors"])
    assert hub.seen == []


def test_what_is_downloaded_here_is_what_huggingface_hub_finds_offline(hub, model_files):
    from huggingface_hub import hf_hub_download, snapshot_download

    hub.repositories[NAME] = Repository(dict(model_files))
    local = last(download(NAME))
    assert snapshot_download(NAME, local_files_only=True) == str(local.folder)
    for name in model_files:
        assert Path(hf_hub_download(NAME, name, local_files_only=True)).read_bytes() == model_files[name]


def test_a_blob_whose_download_broke_off_makes_the_model_incomplete(hub, model_files):
    hub.repositories[NAME] = Repository(dict(model_files))
    local = last(download(NAME))
    blob = local.weights[0].resolve()
    blob.rename(blob.with_name(blob.name + ".incomplete"))
    local.weights[0].unlink()
    assert "model.safetensors" in str(refused("incomplete", NAME))


# identity of weights


def test_the_identity_of_cached_weights_costs_no_hashing(hub, model_files, monkeypatch, tmp_path):
    hub.repositories[NAME] = Repository(dict(model_files))
    local = last(download(NAME))
    monkeypatch.setattr(hub_files, "sha256_of", lambda path: pytest.fail("the file was hashed"))
    assert weights_id(local, settings_in(tmp_path)) == sha256(model_files["model.safetensors"])


def test_a_large_file_is_hashed_once_and_again_when_it_changed(tmp_path, model_files, monkeypatch):
    folder = write(model_files, tmp_path / "tiny")
    monkeypatch.setattr(hub_files, "REMEMBER_FROM", 1000)
    hashed = []
    monkeypatch.setattr(hub_files, "sha256_of", lambda path: hashed.append(path) or sha256_of(path))
    first = weights_id(find_local(folder), settings_in(tmp_path))
    assert weights_id(find_local(folder), settings_in(tmp_path)) == first == sha256(model_files["model.safetensors"])
    assert len(hashed) == 1
    save_file({"other": torch.ones(len(model_files["model.safetensors"]) // 4)}, folder / "model.safetensors")
    assert weights_id(find_local(folder), settings_in(tmp_path)) != first
    assert len(hashed) == 2


def test_a_copy_with_the_same_name_size_and_time_is_not_taken_for_another(tmp_path, monkeypatch):
    monkeypatch.setattr(hub_files, "REMEMBER_FROM", 0)
    ids = set()
    for value in (1.0, 2.0):
        folder = tmp_path / str(value)
        write({"config.json": b"{}"}, folder)
        save_file({"w": torch.full((100,), value)}, folder / "model.safetensors")
        os.utime(folder / "model.safetensors", ns=(0, 0))
        ids.add(weights_id(find_local(folder), settings_in(tmp_path)))
    assert len(ids) == 2


def test_the_identity_of_several_parts_follows_each_of_them(tmp_path, sharded_files):
    folder = write(sharded_files, tmp_path / "big")
    before = weights_id(find_local(folder), settings_in(tmp_path))
    assert before == weights_id(find_local(folder), settings_in(tmp_path))
    save_file({"w2": torch.zeros(50_000)}, folder / "model-00002-of-00003.safetensors")
    assert weights_id(find_local(folder), settings_in(tmp_path)) != before


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path, model_files, monkeypatch):
    monkeypatch.setattr(hub_files, "REMEMBER_FROM", 0)
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert weights_id(find_local(write(model_files, tmp_path / "tiny")), settings_in(tmp_path)) == sha256(model_files["model.safetensors"])


# downloads


def test_a_download_tells_its_megabytes_and_ends_with_the_model(hub, model_files):
    extra = {"pytorch_model.bin": b"x" * 10, "README.md": b"read me", "onnx/model.safetensors": b"x", "pytorch_model.bin.index.json": b"{}"}
    hub.repositories[NAME] = Repository({**model_files, **extra, "merges.txt": b"a b"})
    items = list(download(NAME))
    *stages, local = items
    assert isinstance(local, LocalModel)
    assert all(isinstance(stage, Stage) and stage.name == "download" for stage in stages)
    wanted = {**model_files, "merges.txt": b"a b"}
    assert stages[-1].done == stages[-1].total == pytest.approx(sum(map(len, wanted.values())) / 1e6)
    assert stages[-1].finished
    assert not any(stage.finished for stage in stages[:-1])
    assert {path.name: path.read_bytes() for path in local.folder.iterdir()} == wanted
    assert local.revision == COMMIT


def test_a_connection_that_breaks_goes_on_from_the_byte_it_stopped_at(hub, model_files):
    hub.repositories[NAME] = Repository(dict(model_files), breaks={"model.safetensors": [150_000, 100_000]})
    local = last(download(NAME))
    assert local.weights[0].read_bytes() == model_files["model.safetensors"]
    assert hub.ranges_of("model.safetensors") == [None, "bytes=150000-", "bytes=250000-"]


def test_a_download_that_failed_is_resumed_by_the_next_one(hub, model_files, monkeypatch):
    monkeypatch.setattr(hub_transfer, "RETRIES", 0)
    hub.repositories[NAME] = Repository(dict(model_files), breaks={"model.safetensors": [200_000, 0, 0]})
    error = failed("offline")
    assert "kept" in error.hint
    refused("incomplete", NAME)
    hub.repositories[NAME].breaks.clear()
    hub.seen.clear()
    stages = []
    local = last(download(NAME), stages.append)
    assert hub.ranges_of("model.safetensors") == ["bytes=200000-"]
    assert hub.ranges_of("config.json") == []
    assert find_local(NAME) == local


def test_a_server_that_ignores_ranges_is_downloaded_from_the_start(hub, model_files):
    hub.repositories[NAME] = Repository(dict(model_files), breaks={"model.safetensors": [150_000]}, ranges=False)
    assert last(download(NAME)).weights[0].read_bytes() == model_files["model.safetensors"]


def test_a_stopped_download_ends_within_two_seconds_and_keeps_what_it_has(hub, model_files):
    hub.repositories[NAME] = Repository(dict(model_files), pause_s=0.3)
    job = download(NAME)
    for stage in job:
        if "model.safetensors" in stage.message and stage.done > 0.1:
            break
    begun = time.monotonic()
    job.close()
    assert time.monotonic() - begun < 2
    parts = list(storage_of(NAME).glob("blobs/*.incomplete"))
    assert len(parts) == 1
    assert parts[0].stat().st_size > 0
    hub.repositories[NAME].pause_s = 0
    hub.seen.clear()
    assert last(download(NAME)).weights[0].read_bytes() == model_files["model.safetensors"]
    assert hub.ranges_of("model.safetensors")[0].startswith("bytes=")


def test_the_time_left_does_not_count_what_was_here_before():
    def job():
        yield Stage("download", 50, 100, "", 0.0)
        yield Stage("download", 60, 100, "", 10.0)
        return "result"

    told = []

    def outer():
        told.append((yield from hub_files._time_left(job(), 50)))

    assert [stage.remaining_s for stage in outer()] == [None, 40.0]
    assert told == ["result"]


def test_what_is_here_is_checked_and_not_fetched_again(hub, model_files):
    hub.repositories[NAME] = Repository(dict(model_files))
    last(download(NAME))
    hub.seen.clear()
    last(download(NAME))
    assert hub.ranges_of("model.safetensors") == []


def test_a_damaged_file_that_is_here_is_fetched_anew(hub, model_files):
    hub.repositories[NAME] = Repository(dict(model_files))
    local = last(download(NAME))
    content = bytearray(model_files["model.safetensors"])
    content[-1] ^= 1
    local.weights[0].resolve().write_bytes(content)
    assert last(download(NAME)).weights[0].read_bytes() == model_files["model.safetensors"]


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_file_with_a_wrong_hash_is_named_and_removed_and_the_next_try_works(hub, model_files, name):
    hub.repositories[NAME] = Repository(dict(model_files), damaged={name})
    assert name in str(failed("wrong_hash"))
    assert not any(storage_of(NAME).glob("blobs/*.incomplete"))
    hub.repositories[NAME].damaged.clear()
    assert last(download(NAME)).weights[0].read_bytes() == model_files["model.safetensors"]


@pytest.mark.parametrize(("status", "code"), [(401, ""), (401, "GatedRepo"), (403, "GatedRepo"), (403, ""), (401, "RepoNotFound")])
def test_a_gated_model_is_explained_with_licence_and_login(hub, model_files, status, code):
    hub.repositories[NAME] = Repository(dict(model_files), status=status, error_code=code)
    error = failed("gated")
    assert "licence" in error.hint
    assert "hf auth login" in error.hint
    assert f"huggingface.co/{NAME}" in error.hint


def test_a_model_or_revision_that_does_not_exist_is_said_so(hub, model_files):
    assert NAME in str(failed("not_found"))
    hub.repositories[NAME] = Repository(dict(model_files))
    assert "revision" in str(failed("not_found", revision="v9"))
    for name in ("", "vibe", "../../etc/passwd", "a/b/c", "https://x/y"):
        failed("not_found", name)


def test_a_full_disk_is_said_before_anything_is_fetched(hub, model_files, monkeypatch):
    hub.repositories[NAME] = Repository(dict(model_files))
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 10**12 - 10**6, 10**6))
    error = failed("disk_full")
    assert "needs 20" in str(error)
    assert "1.0 MB of free" in str(error)
    assert hub.ranges_of("model.safetensors") == []


def test_a_disk_that_fills_up_on_the_way_is_said_too(hub, model_files, monkeypatch):
    hub.repositories[NAME] = Repository(dict(model_files))

    def full(*args):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(hub_transfer, "_stream", full)
    failed("disk_full")


def test_no_network_is_one_sentence(tmp_path, monkeypatch):
    with using_hub(None, tmp_path, monkeypatch):
        assert "cannot be reached" in str(failed("offline"))
        from huggingface_hub import constants

        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        assert "HF_HUB_OFFLINE" in str(failed("offline"))


@pytest.mark.parametrize("status", [500, 503, 418])
def test_any_other_answer_of_the_hub_is_a_failed_download(hub, model_files, status):
    hub.repositories[NAME] = Repository(dict(model_files), status=status)
    assert str(status) in str(failed("download_failed"))


def test_a_repository_of_pickles_is_refused_before_anything_is_fetched(hub):
    hub.repositories[NAME] = Repository({"config.json": b"{}", "pytorch_model.bin": b"x"})
    assert "pytorch_model.bin" in str(failed("pickle_refused"))
    assert hub.ranges_of("pytorch_model.bin") == []


@pytest.mark.parametrize("entry", [{"blobId": "../../evil"}, {"size": -1}, {"blobId": None}, {"size": "big"}])
def test_a_listing_that_cannot_be_believed_is_refused(hub, model_files, monkeypatch, entry):
    repository = Repository(dict(model_files))
    hub.repositories[NAME] = repository
    real = Repository.sibling
    monkeypatch.setattr(Repository, "sibling", lambda self, name: real(self, name) | (entry if name == "config.json" else {}))
    failed("download_failed")


def test_looking_for_models_loads_neither_torch_nor_the_hub_library():
    code = "import sys, extractors.hub_files; print([m for m in ('torch', 'transformers', 'huggingface_hub', 'httpx') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip() == "[]"
