"""Training clips, the loop, the baseline, and the command that makes the embedded model."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from encoder.models.published import PublishedVIBE, PublishedVIBEConfig
from encoder.training.clips import misheard, random_clip
from encoder.training.loop import Example, Recipe, Trained, predict, train, validation_loss
from encoder.training.ridge import DelayedRidge, delayed
from encoder.training.speaking import Spoken
from extractors.features import STREAMS
from extractors.stages import Stage
from extractors.transcript import Word

ROOT = Path(__file__).resolve().parents[2]
DIMS = {"audio": 3, "text": 2, "video": 4}
needs_espeak = pytest.mark.espeak


def hummed(rng: np.random.Generator, count: int) -> list[Spoken]:
    """A speech pool without a synthesiser: noises with word times."""
    pool = []
    for number in range(count):
        samples = rng.normal(0, 0.1, 3 * 16000).astype(np.float32)
        words = tuple(Word(f"word{number}{i}", 0.5 * i, 0.4) for i in range(6))
        pool.append(Spoken(samples, words, " ".join(word.text for word in words), "hum"))
    return pool


# --- clips ------------------------------------------------------------------------------------------------------------------------------


def test_a_seed_fixes_a_clip():
    first, again = (random_clip(11, hummed(np.random.default_rng(1), 5), seconds=20.0) for _ in range(2))
    assert first.words == again.words
    assert np.array_equal(first.samples, again.samples)
    for (time, frame), (other_time, other) in zip(first.frames(), again.frames(), strict=True):
        assert time == other_time
        assert np.array_equal(frame, other)


def test_streams_and_truth_of_a_clip_have_its_rows_and_are_finite():
    clips = [random_clip(seed, hummed(np.random.default_rng(1), 5), seconds=16.0) for seed in range(6)]
    for clip in clips:
        measured = clip.measure()
        assert measured.n_trs == clip.n_trs == 10
        for stream in STREAMS:
            assert measured.streams[stream].shape[0] == 10
            assert np.isfinite(measured.streams[stream]).all()
        assert np.isfinite(measured.truth).all()
        assert measured.present["video"] == (clip.shots is not None)
        assert measured.present["audio"] == (clip.samples is not None)


def test_words_are_inside_the_clip_and_only_where_there_is_sound():
    for seed in range(20):
        clip = random_clip(seed, hummed(np.random.default_rng(1), 5), seconds=60.0)
        if clip.samples is None:
            assert clip.words == ()
        for word in clip.words:
            heard = clip.samples[int(word.onset * 16000) : int(word.offset * 16000)]
            assert np.abs(heard).max() > 0


def test_a_recogniser_misses_and_mistakes_words_but_makes_up_no_time():
    words = tuple(Word(f"w{i}", 0.5 * i, 0.4) for i in range(400))
    heard = misheard(np.random.default_rng(2), words)
    assert 200 < len(heard) < 400
    assert len({word.text for word in heard}) > 100
    assert min(word.onset for word in heard) >= 0
    assert max(word.offset for word in heard) < 201


# --- the loop ---------------------------------------------------------------------------------------------------------------------------


def world(count: int, seed: int, *, noise: float = 0.3) -> list[Example]:
    """Clips whose responses are a fixed linear map of the streams, delayed by two rows, with a gain per subject."""
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(99)
    weights = fixed.normal(size=(sum(DIMS.values()), 6)) / 2
    out = []
    for number in range(count):
        streams = {name: rng.normal(size=(40, size)).astype(np.float32) for name, size in DIMS.items()}
        signal = np.roll(np.concatenate([streams[name] for name in STREAMS], axis=1) @ weights, 2, axis=0)
        signal[:2] = 0
        responses = np.stack([gain * signal for gain in (1.0, 0.8, 1.2, 0.9)]) + noise * rng.normal(size=(4, 40, 6))
        out.append(Example(f"clip {seed} {number}", streams, responses.astype(np.float32), np.ones(40, bool)))
    return out


def tiny(seed: int = 0) -> PublishedVIBE:
    torch.manual_seed(seed)
    config = PublishedVIBEConfig(
        num_rois=6,
        modality_fusion_transformer_num_heads=2,
        modality_fusion_transformer_dim=16,
        predictor_transformer_num_heads=2,
        predictor_transformer_num_layers=1,
        audio_extractor_feature_size=DIMS["audio"],
        text_extractor_feature_size=DIMS["text"],
        video_extractor_feature_size=DIMS["video"],
        video_extractor_pool_size=1,
    )
    return PublishedVIBE(config)


RECIPE = Recipe(steps=120, learning_rate=5e-3, warm_up=10, trs_per_batch=160, crops=(40,), check_every=40, threads=1, seed=3, input_noise=0.0)


def trained(recipe: Recipe = RECIPE, *, noise: float = 0.3, clips: int = 24) -> tuple[Trained, list[Stage]]:
    items = list(train(tiny(), world(clips, 1, noise=noise), world(4, 2, noise=noise), recipe))
    return items[-1], items[:-1]


def test_training_learns_a_delayed_map_and_says_how_far_it_is():
    held_out = world(4, 2)
    before = validation_loss(tiny(), held_out)
    result, stages = trained()
    assert isinstance(result, Trained)
    assert [stage.done for stage in stages] == [0, 40, 80, 120]
    assert result.losses[-1] < before - 1.0
    prediction = predict(result.module, held_out[0].streams)
    assert prediction.shape == (4, 40, 6)
    assert np.corrcoef(prediction[:, 8:].ravel(), held_out[0].responses[:, 8:].ravel())[0, 1] > 0.8


def test_the_same_seed_gives_the_same_weights():
    recipe = Recipe(**{**vars(RECIPE), "steps": 12, "check_every": 6})
    (first, _), (again, _) = trained(recipe), trained(recipe)
    for name, tensor in first.module.state_dict().items():
        assert torch.equal(tensor, again.module.state_dict()[name])


def test_training_stops_early_on_pure_noise_and_returns_the_best_weights():
    rng = np.random.default_rng(0)
    noise = [Example(clip.name, clip.streams, rng.normal(size=clip.responses.shape).astype(np.float32), clip.valid) for clip in world(3, 1)]
    other = [Example(clip.name, clip.streams, rng.normal(size=clip.responses.shape).astype(np.float32), clip.valid) for clip in world(3, 2)]
    recipe = Recipe(**{**vars(RECIPE), "steps": 400, "check_every": 10, "patience": 3, "learning_rate": 1e-2})
    result = list(train(tiny(), noise, other, recipe))[-1]
    assert len(result.losses) < 40
    assert validation_loss(result.module, other) == pytest.approx(min(result.losses), abs=1e-5)


def test_rows_that_are_not_valid_teach_nothing():
    recipe = Recipe(**{**vars(RECIPE), "steps": 12, "check_every": 6})
    clips = world(3, 1)
    spoiled = []
    for clip in clips:
        responses, valid = clip.responses.copy(), clip.valid.copy()
        responses[:, 30:], valid[30:] = 50.0, False
        spoiled.append(Example(clip.name, clip.streams, responses, valid))
        clip.valid[30:] = False
    held_out = world(2, 2)
    clean, dirty = (list(train(tiny(), examples, held_out, recipe))[-1] for examples in (clips, spoiled))
    for name, tensor in clean.module.state_dict().items():
        assert torch.allclose(tensor, dirty.module.state_dict()[name], atol=1e-6)


# --- the baseline -----------------------------------------------------------------------------------------------------------------------


def test_delayed_copies_are_shifted_later_and_begin_with_rest():
    values = np.arange(1, 7, dtype=np.float32)[:, None]
    assert delayed(values, range(3)).tolist() == [[1, 0, 0], [2, 1, 0], [3, 2, 1], [4, 3, 2], [5, 4, 3], [6, 5, 4]]


def test_ridge_returns_a_delayed_linear_map_and_shrinks_noise():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(5, 2))

    def clips(count):
        inputs = [rng.normal(size=(60, 5)).astype(np.float32) for _ in range(count)]
        targets = []
        for x in inputs:
            signal = np.concatenate([np.zeros((3, 2)), (x @ weights)[:-3]])
            targets.append(np.concatenate([signal + 0.3 * rng.normal(size=signal.shape), rng.normal(size=(60, 1))], axis=1).astype(np.float32))
        return inputs, targets

    inputs, targets = clips(12)
    ridge = DelayedRidge(alphas=(0.1, 1, 10, 100, 1000, 1e4), folds=3).fit(inputs, targets, [np.ones(60, bool)] * 12)
    (x,), (y,) = clips(1)
    prediction = ridge.predict(x)
    assert prediction.shape == (60, 3)
    assert np.corrcoef(prediction[:, 0], y[:, 0])[0, 1] > 0.9
    assert prediction[:, 2].std() < 0.15
    assert ridge.best_alphas[2] > ridge.best_alphas[0]


def test_with_fewer_rows_than_delayed_features_the_map_is_that_of_the_textbook():
    rng = np.random.default_rng(5)
    inputs, targets = ([rng.normal(size=(30, size)).astype(np.float32) for _ in range(3)] for size in (20, 4))
    ridge = DelayedRidge(alphas=(50.0,)).fit(inputs, targets, [np.ones(30, bool)] * 3)
    rows, wanted = np.concatenate([delayed(x) for x in inputs]).astype(float), np.concatenate(targets).astype(float)
    assert len(rows) < rows.shape[1]
    means, offsets = rows.mean(0), wanted.mean(0)
    weights = np.linalg.solve((rows - means).T @ (rows - means) + 50.0 * np.eye(rows.shape[1]), (rows - means).T @ (wanted - offsets))
    expected = (delayed(inputs[0]) - means) @ weights + offsets
    assert np.allclose(ridge.predict(inputs[0]), expected, atol=1e-4)


# --- the command ------------------------------------------------------------------------------------------------------------------------


@needs_espeak
@pytest.mark.make_model
def test_the_command_makes_a_model_from_nothing(tmp_path):
    from encoder import from_pretrained

    command = [sys.executable, "-m", "experiments.train", "--minutes", "1", "--out", str(tmp_path / "made"), "--work", str(tmp_path / "work")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    model = from_pretrained(tmp_path / "made")
    assert model.card.simulated
    assert model.card.training.command == "make model MINUTES=1"
    assert model.card.recovery[0].id == "generated"
    assert model.card.recovery[0].all.of_ceiling > 0.45  # 0.54 after 40 steps; weights that learned nothing have 0
