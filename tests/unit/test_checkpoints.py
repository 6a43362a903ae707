from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from encoder.cards import read_card, write_card
from encoder.checkpoints import find_model, from_pretrained, list_models, sha256_of
from extractors.errors import ModelError, SelectionError
from tests.tiny_model import tiny_card, tiny_features, tiny_model


@pytest.fixture
def folder(tmp_path):
    return tiny_model(tmp_path / "tiny")


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


def test_a_hub_id_is_answered_with_what_this_version_has():
    with pytest.raises(ModelError, match="loads no models from the web") as caught:
        find_model("ShreyDixit/VIBE-Qwen2.5-14B")
    assert caught.value.code == "model_unknown"


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
