from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from encoder.cards import read_card, write_card
from encoder.checkpoints import find_model, list_models, read_card_of, read_model
from encoder.ensemble import from_pretrained, read
from extractors.errors import ModelError, SelectionError
from extractors.hub_files import download, sha256_of
from extractors.stages import last
from settings import ROOT, Settings
from tests.hub_server import COMMIT, Repository, files_of, hub_server, using_hub
from tests.tiny_model import tiny_card, tiny_features, tiny_model
from tests.tiny_vibe import tiny_predictor

VARIANT = "ShreyDixit/VIBE-Qwen2.5-14B"


@pytest.fixture
def folder(tmp_path):
    return tiny_model(tmp_path / "tiny")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder as the hub has it, named as an averaged model; nobody writes to it."""
    return tiny_predictor(tmp_path_factory.mktemp("vibe") / "published")


def published_features():
    return tiny_features({"audio": 24, "text": 16, "video": 96}, {stream: stream for stream in ("audio", "text", "video")}, seed=3)


def features_for(model, **present):
    dims = {stream: len(mean) for stream, mean in model.frontend.mean.items()}
    return tiny_features(dims, model.frontend.extractors, seed=5, **present)


def refresh_card(folder):
    write_card(tiny_card(sha256_of(folder / "model.safetensors")), folder / "card.yaml")


def change_weights(folder, change):
    tensors = load_file(folder / "model.safetensors")
    save_file(change(tensors), folder / "model.safetensors")
    refresh_card(folder)


def test_a_saved_model_predicts_labelled_shapes_for_the_subjects_asked_for(folder):
    model = from_pretrained(folder, device="cpu")
    out = model.predict(features_for(model))
    assert out.shape == (4, 40, 1000)
    assert out.dtype == np.float32
    np.testing.assert_allclose(model.predict(features_for(model), (5, 2)), out[[3, 1]], atol=1e-5)


def test_an_averaged_models_key_names_load_to_the_same_numbers(folder):
    model = from_pretrained(folder, device="cpu")
    before = model.predict(features_for(model))
    change_weights(folder, lambda tensors: {**{f"module.{key}": value for key, value in tensors.items()}, "n_averaged": torch.tensor(7)})
    np.testing.assert_array_equal(from_pretrained(folder, device="cpu").predict(features_for(model)), before)


def test_missing_and_unexpected_keys_and_wrong_shapes_are_listed_in_words(folder):
    def spoil(tensors):
        tensors["output_head.bias"] = torch.zeros(1000)
        tensors["predictor.final_norm.g"] = torch.zeros(2)
        del tensors["encoder.subject_embeddings.weight"]
        return tensors

    change_weights(folder, spoil)
    with pytest.raises(ModelError) as caught:
        from_pretrained(folder)
    message = str(caught.value)
    assert "missing: encoder.subject_embeddings.weight" in message
    assert "unexpected: output_head.bias" in message
    assert "wrong shape: predictor.final_norm.g is [2] instead of [1]" in message
    assert caught.value.code == "weights_mismatch"


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_a_pickle_file_is_refused_by_name_and_never_opened(folder, name):
    class Bomb:
        def __reduce__(self):
            return pytest.fail, ("the pickle was opened",)

    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickle.dumps(Bomb()))
    for asked in (folder, folder / name):
        with pytest.raises(ModelError, match=name) as caught:
            from_pretrained(asked)
        assert caught.value.code == "pickle_refused"


def test_a_damaged_weights_file_is_named_and_not_a_traceback(folder):
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=r"model\.safetensors .* damaged"):
        from_pretrained(folder)


def test_weights_that_are_not_those_of_the_card_are_refused(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["output_head.weight"] += 1
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ModelError) as caught:
        from_pretrained(folder)
    assert caught.value.code == "weights_changed"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "frontend.safetensors", "card.yaml"])
def test_each_missing_file_of_a_model_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelError, match=name.replace(".", r"\.")):
        from_pretrained(folder)


def test_unknown_config_keys_are_reported_and_our_own_section_is_not(folder):
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, "architectures": ["X"]}))
    assert from_pretrained(folder, device="cpu").ignored_keys == ("architectures",)


@pytest.mark.parametrize("content", ["{", "[1]", '{"num_rois": "many"}', '{"modality_fusion_transformer_fuse_mode": "sum"}'])
def test_an_unusable_config_is_a_model_error(folder, content):
    (folder / "config.json").write_text(content)
    with pytest.raises(ModelError, match=r"config\.json"):
        from_pretrained(folder)


def test_a_hub_id_that_is_not_here_is_answered_with_the_way_to_get_it_and_without_the_network(tmp_path, monkeypatch):
    with hub_server() as hub, using_hub(hub, tmp_path, monkeypatch):
        for look in (find_model, read_model, from_pretrained):
            with pytest.raises(ModelError) as caught:
                look(VARIANT)
            assert caught.value.code == "not_here"
            assert VARIANT in str(caught.value)
            assert f"python cli.py download-model {VARIANT}" in caught.value.hint
        assert hub.seen == []


def test_a_name_that_is_nothing_is_answered_with_what_there_is():
    with pytest.raises(ModelError, match="Embedded models: vibe-sim") as caught:
        find_model("vibe-simm")
    assert caught.value.code == "model_unknown"
    assert VARIANT in caught.value.hint


@pytest.mark.parametrize("name", ["x" * 5000, "~nobody-of-that-name/model", "\ud800", "a\0b", "../..", "x" * 300 + "+y"])
def test_whatever_a_name_holds_the_answer_is_one_short_sentence(name):
    with pytest.raises(ModelError) as caught:
        read(name)
    assert len(caught.value.message) < 300


def test_a_model_of_the_hub_may_not_name_folders_of_this_machine(tmp_path, monkeypatch):
    for name in ("/etc", "../../backbones/text"):
        with hub_server() as hub, using_hub(hub, tmp_path / "hub", monkeypatch):
            hub.repositories[VARIANT] = Repository(files_of(tiny_predictor(tmp_path / "sly", text_extractor=name)))
            last(download(VARIANT))
            with pytest.raises(ModelError, match="must name its extractors as the hub does") as caught:
                read_model(VARIANT, settings=Settings(cache_dir=tmp_path))
        assert caught.value.code == "config_invalid"
        shutil.rmtree(tmp_path / "hub")


def test_a_published_model_loads_from_the_hub_cache_with_the_network_gone(tmp_path, monkeypatch, published):
    with hub_server() as hub, using_hub(hub, tmp_path / "hub", monkeypatch):
        hub.repositories[VARIANT] = Repository(files_of(published))
        last(download(VARIANT))
    with using_hub(None, tmp_path / "hub", monkeypatch):
        files = read_model(VARIANT, settings=Settings(cache_dir=tmp_path))
        model = from_pretrained(VARIANT, device="cpu", revision=COMMIT)
    assert files.published
    assert files.local.revision == COMMIT
    assert files.folder == files.local.folder
    assert files.weights_sha256 == model.weights_sha256 == sha256_of(published / "model.safetensors")
    assert model.card.title == f"VIBE ({VARIANT})"
    assert model.id == VARIANT
    assert "0.3193" in model.card.accuracy
    assert "ensemble" in model.card.accuracy
    expected = from_pretrained(published, device="cpu").predict(published_features())
    np.testing.assert_array_equal(model.predict(published_features()), expected)


def test_a_revision_that_is_not_here_is_not_replaced_by_another_one(tmp_path, monkeypatch, published):
    with hub_server() as hub, using_hub(hub, tmp_path / "hub", monkeypatch):
        hub.repositories[VARIANT] = Repository(files_of(published))
        last(download(VARIANT))
        with pytest.raises(ModelError, match="revision v2") as caught:
            read_model(VARIANT, revision="v2")
    assert caught.value.code == "not_here"


def test_a_folder_without_a_card_says_how_little_is_known_of_it(published, tmp_path):
    files = read_model(published)
    assert files.published
    assert files.card.title == "VIBE checkpoint published"
    assert files.card.badge == "VIBE checkpoint"
    assert files.card.id == "published"
    assert files.card.accuracy.startswith("unknown")
    assert "0.3" not in files.card.model_dump_json()
    assert files.card.weights_sha256 is None
    assert not read_model("vibe-sim").published
    for model in (published, "vibe-sim", VARIANT):
        write_card(read_card_of(model), tmp_path / "card.yaml")
        assert read_card(tmp_path / "card.yaml") == read_card_of(model)  # what was put together is a card like any other


def test_a_folder_with_a_card_of_its_own_keeps_it(published, tmp_path):
    folder = shutil.copytree(published, tmp_path / "mine")
    write_card(tiny_card(sha256_of(folder / "model.safetensors"), title="Mine"), folder / "card.yaml")
    assert read_model(folder).card.title == read_card_of(folder).title == "Mine"


def test_other_weights_of_the_same_configuration_are_another_model(published, tmp_path):
    folder = shutil.copytree(published, tmp_path / "published")
    same = read_model(folder)
    assert same.fingerprint == read_model(published).fingerprint
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, "module.output_head.weight": tensors["module.output_head.weight"] + 1}, folder / "model.safetensors")
    assert read_model(folder).fingerprint != same.fingerprint


def test_weights_in_several_parts_load_to_the_same_numbers(published, tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    shutil.copy(published / "config.json", folder)
    tensors = load_file(published / "model.safetensors")
    names = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for part, keys in parts.items():
        save_file({key: tensors[key] for key in keys}, folder / part)
    index = {"weight_map": {key: part for part, keys in parts.items() for key in keys}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    got = from_pretrained(folder, device="cpu").predict(published_features())
    np.testing.assert_array_equal(got, from_pretrained(published, device="cpu").predict(published_features()))


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16])
def test_half_precision_weights_run_in_float32_unless_asked_otherwise(published, tmp_path, stored):
    folder = shutil.copytree(published, tmp_path / "half")
    tensors = load_file(folder / "model.safetensors")
    save_file({key: value.to(stored) if value.is_floating_point() else value for key, value in tensors.items()}, folder / "model.safetensors")
    model = from_pretrained(folder, device="cpu")
    assert {tensor.dtype for tensor in model.module.state_dict().values()} == {torch.float32}
    assert {tensor.dtype for tensor in from_pretrained(folder, device="cpu", dtype=None).module.state_dict().values()} == {stored}
    torch.testing.assert_close(model.module.output_head.weight, tensors["module.output_head.weight"].to(stored).float())


def test_every_tensor_of_a_loaded_model_comes_from_its_file(published):
    module = from_pretrained(published, device="cpu").module
    tensors = load_file(published / "model.safetensors")
    state = module.state_dict()
    assert not any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers()))
    for key, tensor in state.items():
        assert torch.equal(tensor, tensors[f"module.{key}"]), key


def test_changing_a_loaded_model_never_changes_its_file(published):
    before = sha256_of(published / "model.safetensors")
    module = from_pretrained(published, device="cpu").module
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1)
    assert sha256_of(published / "model.safetensors") == before


PEAK = """
import sys
from encoder.checkpoints import load_model, read_model
import torch, encoder.encoding_model, encoder.frontend, encoder.models.published, safetensors.torch

def kilobytes(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

files = read_model(sys.argv[1])
files.weights_sha256
torch.zeros(1000).sum()
before = kilobytes("VmRSS")
model = load_model(files, device="cpu")
assert "sympy" not in sys.modules  # of torch's compiler, which takes longer to import than the embedded model to load
for tensor in model.module.state_dict().values():
    tensor.sum()  # weights are mapped: a page counts from when it is read
print((kilobytes("VmHWM") - before) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_loading_needs_little_more_memory_than_the_weights(tmp_path):
    folder = tiny_predictor(tmp_path / "large", modality_fusion_transformer_dim=256, predictor_transformer_num_layers=4)
    size = (folder / "model.safetensors").stat().st_size
    assert size > 180e6
    peak = int(subprocess.run([sys.executable, "-c", PEAK, str(folder)], cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    assert 0.9 * size < peak < 1.25 * size


def test_no_error_about_a_model_shows_a_path(tmp_path):
    for asked in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(ModelError) as caught:
            from_pretrained(asked)
        assert str(tmp_path.parent) not in str(caught.value)


def test_absent_streams_change_the_prediction_and_stay_finite(folder):
    model = from_pretrained(folder, device="cpu")
    full = model.predict(features_for(model))
    mute = model.predict(features_for(model, audio=False))
    assert np.isfinite(mute).all()
    assert np.abs(full - mute).max() > 1e-3


@pytest.mark.parametrize("subjects", [(4,), (), (1, 1)])
def test_a_subject_that_does_not_exist_is_refused_with_the_allowed_ones(folder, subjects):
    model = from_pretrained(folder, device="cpu")
    with pytest.raises(SelectionError, match="1, 2, 3, 5"):
        model.predict(features_for(model), subjects)


def test_a_device_that_is_not_here_is_refused_with_those_that_are(folder):
    missing = next(name for name, has in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available())) if not has)
    with pytest.raises(ModelError, match="cpu") as caught:
        from_pretrained(folder, device=missing)
    assert caught.value.code == "device_missing"


def test_numbers_that_are_not_finite_never_leave_a_model(folder):
    change_weights(folder, lambda tensors: {**tensors, "output_head.weight": tensors["output_head.weight"] * float("inf")})
    model = from_pretrained(folder, device="cpu")
    with pytest.raises(ModelError) as caught:
        model.predict(features_for(model))
    assert caught.value.code == "not_finite"


def test_the_embedded_models_load_and_fit_their_cards():
    for name in list_models():
        model = from_pretrained(name, device="cpu")
        assert model.id == name == read_card(find_model(name) / "card.yaml").id
        total = sum(path.stat().st_size for path in find_model(name).iterdir())
        assert total <= 10_000_000
