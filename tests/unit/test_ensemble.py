"""Several checkpoints as one model."""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from encoder import ensemble
from encoder.checkpoints import load_model, read_model
from encoder.ensemble import from_pretrained, load, read, split, summary
from encoder.waiting_model import WaitingModel
from extractors.errors import ModelError
from extractors.features import Features
from tests.tiny_model import tiny_features, tiny_model
from tests.tiny_vibe import AUDIO_WIDTH, POOL, TEXT_WIDTH, VIDEO_WIDTH, tiny_predictor


@pytest.fixture
def three(tmp_path):
    return [tiny_model(tmp_path / f"seed{seed}", seed=seed) for seed in range(3)]


def features_for(folder) -> Features:
    model = from_pretrained(folder, device="cpu")
    return tiny_features({stream: len(mean) for stream, mean in model.frontend.mean.items()}, model.frontend.extractors, seed=5)


def backbone(folder: Path, seed: int = 0) -> Path:
    """A folder that is a model to whoever only looks."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "any"}')
    save_file({"a": torch.full((3,), float(seed))}, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("a", ["a"]),
        ("a+b+c", ["a", "b", "c"]),
        ("org/a + org/b", ["org/a", "org/b"]),
        (["a", "b+c"], ["a", "b+c"]),
        (("one",), ["one"]),
        (Path("a+b"), [Path("a+b")]),
    ],
)
def test_a_plus_sign_or_a_list_names_several_models(given, names):
    assert split(given) == names


def test_a_folder_whose_name_has_a_plus_sign_is_one_model(tmp_path):
    folder = tiny_model(tmp_path / "rich+clear")
    assert split(str(folder)) == [str(folder)]
    assert read(str(folder)).folder == folder


@pytest.mark.parametrize("given", ["a+", "+", "a++b", [], ["a", " "]])
def test_a_missing_name_is_said_so(given):
    with pytest.raises(ModelError, match="one of them is empty"):
        split(given)


def test_the_prediction_is_the_mean_of_the_members_and_the_spread_their_standard_deviation(three):
    model = load(read("+".join(map(str, three))), device="cpu")
    features = features_for(three[0])
    alone = [from_pretrained(folder, device="cpu").predict(features, (2, 5)) for folder in three]
    members = model.predict_members(features, (2, 5))
    assert members.shape == (3, 2, 40, 1000)
    assert members.dtype == np.float32
    for got, truth in zip(members, alone, strict=True):
        np.testing.assert_allclose(got, truth, atol=1e-6)
    np.testing.assert_allclose(model.predict(features, (2, 5)), (alone[0] + alone[1] + alone[2]) / 3, atol=1e-6)
    kept = summary(members)
    mean = sum(one.astype(float) for one in alone) / 3
    truth = np.sqrt(sum((one - mean) ** 2 for one in alone) / 2)
    np.testing.assert_allclose(kept["values"], mean, atol=1e-5)
    np.testing.assert_allclose(kept["spread"], truth, atol=1e-5)
    assert kept["member_curves"].shape[:3] == (3, 2, 40)
    assert {array.dtype for array in kept.values()} == {np.dtype(np.float32)}


def test_members_are_in_memory_one_after_the_other(three, monkeypatch):
    alive, most = weakref.WeakSet(), []
    features = features_for(three[0])

    def counted(files, **options):
        gc.collect()
        most.append(len(alive))
        model = load_model(files, **options)
        alive.add(model.module)
        return model

    monkeypatch.setattr(ensemble, "load_model", counted)
    model = load(read(three), device="cpu")
    assert most == []  # nothing is loaded before it predicts
    model.predict(features)
    assert most == [0, 0, 0]


def test_an_ensemble_waits_like_a_single_model_and_names_itself(three):
    files = read(three)
    waiting = WaitingModel(files, device="cpu")
    assert waiting.card.title == "Tiny random model and 2 more (ensemble of 3)"
    assert waiting.fingerprint == files.fingerprint
    waiting.close()
    assert files.member_ids == ("seed0", "seed1", "seed2")  # all three cards say "tiny"
    assert files.card.id == "seed0+seed1+seed2"
    assert files.card.simulated
    assert files.card.recovery == ()
    assert "no confidence interval" in files.card.limits[0]


def test_the_hash_is_that_of_the_members_in_their_order(three):
    files, other = read(three), read(three[::-1])
    assert files.weights_sha256 == read(three).weights_sha256
    assert len({files.weights_sha256, other.weights_sha256, read(three[:2]).weights_sha256, read_model(three[0]).weights_sha256}) == 4
    assert len({files.fingerprint, other.fingerprint, read(three[:2]).fingerprint}) == 3


def test_the_same_checkpoint_twice_is_refused_even_as_a_copy(three, tmp_path):
    with pytest.raises(ModelError, match="are the same checkpoint") as caught:
        read([three[0], three[0]])
    assert caught.value.code == "ensemble_twice"
    copy = shutil.copytree(three[0], tmp_path / "copy")
    with pytest.raises(ModelError, match="seed0 and copy are the same checkpoint"):
        _ = read([three[0], three[1], copy]).fingerprint


def test_a_simulation_is_not_averaged_with_measured_people(three, tmp_path):
    measured = tiny_model(tmp_path / "measured", seed=7, simulated=False)
    with pytest.raises(ModelError, match="one was trained on simulated subjects"):
        read([three[0], measured])


class TestPublished:
    """Members that bring backbones."""

    @pytest.fixture
    def backbones(self, tmp_path):
        folders = {name: str(backbone(tmp_path / "shared" / name)) for name in ("text", "audio", "video")}
        return {f"{name}_extractor": folder for name, folder in folders.items()}

    @pytest.fixture
    def features(self):
        rng = np.random.default_rng(0)
        sizes = {"audio": 2 * AUDIO_WIDTH, "text": TEXT_WIDTH, "video": VIDEO_WIDTH * POOL**2}
        arrays = {name: rng.normal(size=(30, size)).astype(np.float32) for name, size in sizes.items()}
        return Features(arrays, dict.fromkeys(sizes, True), dict.fromkeys(sizes, "x"), window_s=16.0)

    def test_they_are_averaged_when_their_streams_are_the_same(self, tmp_path, backbones, features):
        folders = [tiny_predictor(tmp_path / f"p{seed}", seed=seed, averaged=seed > 0, **backbones) for seed in range(2)]
        files = read(folders)
        assert files.published
        model = load(files, device="cpu")
        alone = [from_pretrained(folder, device="cpu").predict(features) for folder in folders]
        np.testing.assert_allclose(model.predict(features), (alone[0] + alone[1]) / 2, atol=1e-6)

    def test_nothing_of_the_papers_figures_is_claimed_for_them(self, tmp_path, backbones):
        card = read([tiny_predictor(tmp_path / f"p{seed}", seed=seed, **backbones) for seed in range(2)]).card
        assert card.accuracy.startswith("unknown: this ensemble was not measured.")
        assert "and not to these" in card.accuracy
        assert card.performance is None
        assert card.weights_sha256 is None

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"text_extractor_num_last_hidden_states": 2}, "text extractor num last hidden states is 4 in one and 2 in the other"),
            ({"video_extractor_dtype": "bfloat16"}, "video extractor dtype is float32 in one and bfloat16 in the other"),
            ({"text_extractor": "Qwen/Qwen2.5-7B"}, "text extractor is text in one and Qwen/Qwen2.5-7B in the other"),
            ({"audio_extractor_feature_size": 10}, "audio extractor feature size is 24 in one and 10 in the other"),
        ],
    )
    def test_other_streams_are_a_sentence(self, tmp_path, backbones, change, words):
        first, other = tiny_predictor(tmp_path / "p0", **backbones), tiny_predictor(tmp_path / "p1", seed=1, **{**backbones, **change})
        with pytest.raises(ModelError, match=words) as caught:
            read([first, other])
        assert str(tmp_path) not in str(caught.value)

    def test_batch_sizes_may_differ_because_they_change_no_number(self, tmp_path, backbones):
        first = tiny_predictor(tmp_path / "p0", **backbones)
        other = tiny_predictor(tmp_path / "p1", seed=1, **backbones, **{"video_extractor_batch_size": 1, "audio_extractor_batch_size": 9})
        assert len(read([first, other]).members) == 2

    def test_the_same_name_for_other_backbones_beside_the_model_is_noticed(self, tmp_path):
        folders = [tiny_predictor(tmp_path / f"p{seed}", seed=seed) for seed in range(2)]  # "backbones/text" and so on, relative to each
        for seed, folder in enumerate(folders):
            for name in ("text", "audio", "video"):
                backbone(folder / "backbones" / name, seed)
        with pytest.raises(ModelError, match="their text backbones backbones/text are not the same files"):
            read(folders)

    def test_a_model_with_backbones_and_one_without_cannot_be_averaged(self, tmp_path, three, backbones):
        published = tiny_predictor(tmp_path / "p0", **backbones)
        simulated = json.loads((three[0] / "config.json").read_text())
        assert "frontend" in simulated
        with pytest.raises(ModelError, match="cannot be averaged"):
            read([three[0], published])


def test_reading_an_ensemble_loads_no_torch():
    script = "import sys, encoder.ensemble; print(sorted({'torch', 'transformers', 'gradio', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_from_pretrained_averages_a_list_or_names_joined_by_plus(tmp_path):
    folders = [tiny_predictor(tmp_path / name, seed=seed) for seed, name in enumerate("ab")]
    for asked in (folders, f"{folders[0]}+{folders[1]}"):
        assert len(from_pretrained(asked, device="cpu").member_ids) == 2
    assert not hasattr(from_pretrained(folders[0], device="cpu"), "member_ids")
