from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from encoder.checkpoints import load_strictly, plain_keys
from encoder.models.published import STREAMS, PublishedVIBE, PublishedVIBEConfig

FIXTURE = Path(__file__).parents[1] / "data" / "published_small"


@pytest.fixture(scope="module")
def numbers():
    with np.load(FIXTURE / "io.npz", allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope="module")
def config():
    return PublishedVIBEConfig.from_dict(json.loads((FIXTURE / "config.json").read_text()))[0]


def model_from(config, tensors):
    model = PublishedVIBE(config).eval()
    load_strictly(model, tensors)
    return model


@pytest.fixture
def model(config):
    return model_from(config, load_file(FIXTURE / "model.safetensors"))


def inputs(numbers, dtype=torch.float32):
    return {name: torch.from_numpy(numbers[f"feat__{name}"]).to(dtype) for name in STREAMS}, torch.from_numpy(numbers["subject_ids"])


@torch.inference_mode()
@pytest.mark.parametrize("naming", ["averaged", "plain"])
def test_the_fixture_of_the_reference_class_is_matched_in_both_key_namings(config, numbers, naming):
    tensors = load_file(FIXTURE / "model.safetensors")
    assert all(key.startswith("module.") or key == "n_averaged" for key in tensors)
    out = model_from(config, plain_keys(tensors) if naming == "plain" else tensors)(*inputs(numbers))
    np.testing.assert_allclose(out.numpy(), numbers["output"], atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_the_fixture_is_matched_in_float64(model, numbers):
    out = model.double()(*inputs(numbers, torch.float64))
    np.testing.assert_allclose(out.numpy(), numbers["output_float64"], atol=1e-6)


@torch.inference_mode()
def test_the_fused_vector_every_branch_and_the_predictors_output_match_the_reference(model, numbers):
    seen = {}
    for i, layer in enumerate(model.predictor.layers):
        layer[1].register_forward_hook(lambda module, args, out, i=i: seen.__setitem__(f"inter__branch{i}", out))
    model.encoder.register_forward_hook(lambda module, args, out: seen.__setitem__("inter__fused", out))
    model.predictor.register_forward_hook(lambda module, args, out: seen.__setitem__("inter__predictor_out", out))
    model(*inputs(numbers))
    names = [name for name in numbers if name.startswith("inter__")]
    assert len(names) == 8
    for name in names:
        np.testing.assert_allclose(seen[name].numpy(), numbers[name], atol=1e-5, rtol=1e-5, err_msg=name)


@torch.inference_mode()
def test_all_four_subjects_in_one_batch_equal_one_at_a_time_with_streams_projected_once(model, numbers):
    features, _ = inputs(numbers)
    one = {name: values[:1] for name, values in features.items()}
    calls = []
    for projection in model.encoder.projections.values():
        projection.register_forward_hook(lambda module, args, out: calls.append(tuple(out.shape[:2])))
    together = model(one, torch.arange(4))
    assert calls == [(1, 31)] * 3
    for subject in range(4):
        np.testing.assert_allclose(together[subject].numpy(), model(one, torch.tensor([subject]))[0].numpy(), atol=1e-5)
    assert (together[0] - together[1]).abs().max() > 1e-3


@torch.inference_mode()
def test_the_null_subject_has_a_row_of_its_own(model, numbers):
    features, _ = inputs(numbers)
    one = {name: values[:1] for name, values in features.items()}
    out = model(one, torch.tensor([3, 4]))
    assert torch.isfinite(out).all()
    assert (out[0] - out[1]).abs().max() > 1e-3


@torch.inference_mode()
def test_a_later_film_changes_earlier_rows_because_attention_runs_both_ways(model, numbers):
    features, ids = inputs(numbers)
    before = model(features, ids)
    changed = {name: values.clone() for name, values in features.items()}
    changed["video"][:, -1] += 5
    assert (model(changed, ids)[:, 0] - before[:, 0]).abs().max() > 1e-6


def test_the_published_defaults_give_the_published_number_of_entries_and_parameters():
    with torch.device("meta"):
        model = PublishedVIBE(PublishedVIBEConfig())
    assert len(model.state_dict()) == 53
    assert sum(parameter.numel() for parameter in model.parameters()) == 633_324_551
    assert list(model.state_dict()["predictor.rotary_pos_emb.inv_freq"].shape) == [256]


def test_mean_fusion_and_deeper_projections_change_the_widths_as_the_reference_says():
    config = PublishedVIBEConfig(
        modality_fusion_transformer_dim=32,
        modality_fusion_transformer_fuse_mode="mean",
        modality_fusion_transformer_num_projection_layers=2,
        audio_extractor_feature_size=101,
        text_extractor_feature_size=8,
        video_extractor_feature_size=3,
    )
    state = PublishedVIBE(config).state_dict()
    assert list(state["encoder.projections.audio.0.weight"].shape) == [66, 101]
    assert list(state["encoder.projections.audio.2.weight"].shape) == [32, 66]
    assert list(state["output_head.weight"].shape) == [1000, 32]


def test_keys_of_a_config_that_are_no_field_are_ignored_and_reported():
    config, ignored = PublishedVIBEConfig.from_dict({"num_rois": 7, "architectures": ["VIBE"], "_name": 1})
    assert config.num_rois == 7
    assert ignored == ("_name", "architectures")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"modality_fusion_transformer_fuse_mode": "sum"}, "'concat' and 'mean'"),
        ({"modality_fusion_transformer_dim": 30}, "multiple of its number of heads"),
        ({"modality_fusion_transformer_dim": 4, "predictor_transformer_num_heads": 16}, "even head size"),
        ({"tr": 2.0}, "steps of 1.49 s"),
        ({"video_extractor_batch_size": 0}, "video_extractor_batch_size: must be a whole number from 1 to 10000, but got '0'"),
        ({"predictor_transformer_num_layers": 10**8}, "from 1 to 1000"),
        ({"num_rois": "many"}, "num_rois: must be a whole number"),
        ({"num_subjects": True}, "num_subjects: must be a whole number"),
        ({"video_extractor_chunk_length_seconds": float("nan")}, "must be 1.49 to 3600 seconds"),
        ({"video_extractor_chunk_length_seconds": "16"}, "must be 1.49 to 3600 seconds"),
        ({"text_extractor": ["Qwen/Qwen2.5-14B"]}, "text_extractor: must be the name of a model"),
        ({"text_extractor": "x" * 5000}, "text_extractor: must be the name of a model"),
    ],
)
def test_a_configuration_that_cannot_be_built_is_refused_in_words(change, words):
    with pytest.raises(ValueError, match=words):
        PublishedVIBEConfig(**change)
