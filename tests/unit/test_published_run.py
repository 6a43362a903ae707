"""A published-format model with real backbone classes, from a film to labelled responses."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
import torch

from encoder import backbones
from encoder.ensemble import read
from encoder.models.published import PublishedVIBE
from experiments.features import features
from experiments.intake import enter
from experiments.predict import predict
from extractors import backbone, warm
from extractors.errors import FeatureError, ModelError
from extractors.grid import valid_rows
from extractors.stages import Stage, last
from extractors.tr_table import no_words, table_from_words
from extractors.transcript import Word
from settings import Settings
from tests.films import write_film
from tests.tiny_vibe import tiny_predictor, tiny_vibe
from tests.vibe_oracles.audio import audio_stream
from tests.vibe_oracles.text import text_stream
from tests.vibe_oracles.video import video_stream

SECONDS = 38.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_vibe(tmp_path_factory.mktemp("models") / "vibe")


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    write_film(path, SECONDS, fps=12, size=(96, 54))
    return last(enter(path, recogniser="none", settings=Settings(cache_dir=path.parent / "cache")))[0]


@pytest.fixture(scope="module")
def transcript(film):
    said = ["once", "upon", "a", "time", "there", "was", "a", "little", "boy", "who", "lived", "by", "the", "sea"]
    words = [Word(word, 2.0 + 2.5 * i, 0.4) for i, word in enumerate(said)]
    return table_from_words(words, film.n_trs, source="test", timing="given")


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # the priming phrase is not asked for either
    warm.POOL.clear()
    yield Settings(cache_dir=tmp_path / "cache")
    warm.POOL.clear()


def stages_of(job):
    told, result = [], None
    for item in job:
        if isinstance(item, Stage):
            told.append(item)
        else:
            result = item
    return told, result


def test_a_film_becomes_the_responses_that_slow_oracles_of_every_part_give(film, transcript, folder, settings):
    told, result = stages_of(predict(film, transcript=transcript, model=folder, settings=settings))
    responses = result.responses
    streams = {
        "audio": audio_stream(folder / "backbones" / "audio", np.asarray(film.samples()), film.n_trs),
        "text": text_stream(folder / "backbones" / "text", list(transcript.text_per_tr), None),
        "video": video_stream(folder / "backbones" / "video", film.path, range(film.n_trs)),
    }
    files = read(folder, settings=settings)
    module = PublishedVIBE(files.config).eval()
    from safetensors.torch import load_file

    stored = load_file(folder / "model.safetensors")
    module.load_state_dict({key.removeprefix("module."): value for key, value in stored.items() if key != "n_averaged"})
    with torch.inference_mode():
        batch = {name: torch.as_tensor(np.asarray(stream), dtype=torch.float32)[None] for name, stream in streams.items()}
        expected = torch.cat([module(batch, torch.tensor([row])) for row in range(4)]).numpy()
    np.testing.assert_allclose(responses.values, expected, atol=1e-4)
    assert not responses.simulated
    assert responses.subject_labels == ("Subject 1", "Subject 2", "Subject 3", "Subject 5")
    assert [name for name in dict.fromkeys(stage.name for stage in told)] == ["plan", "audio", "text", "video", "model"]
    assert {part["name"] for part in responses.extra["plan"]["parts"]} == {"audio", "text", "video", "predictor"}
    assert any("before every transcript" in warning for warning in responses.warnings)


def test_rows_are_valid_after_the_picture_window_of_16_s_and_10_s_of_hrf(film, transcript, folder, settings):
    responses = last(predict(film, transcript=transcript, model=folder, settings=settings)).responses
    np.testing.assert_array_equal(responses.valid, valid_rows(film.n_trs, 16.0))
    assert int(responses.valid.argmax()) == 18  # ceil(26 / 1.49)


def test_rows_whose_words_the_language_model_could_not_read_are_not_valid(film, transcript, tmp_path, settings):
    short = tiny_vibe(tmp_path / "short", context=40)
    responses = last(predict(film, transcript=transcript, model=short, settings=settings)).responses
    whole = valid_rows(film.n_trs, 16.0)
    assert responses.valid.sum() < whole.sum()
    assert not (responses.valid & ~whole).any()
    assert any("reads 40" in warning for warning in responses.warnings)
    again = last(predict(film, transcript=transcript, model=short, settings=settings, subjects=(2,))).responses  # from the cache
    np.testing.assert_array_equal(again.valid, responses.valid)
    assert again.warnings == responses.warnings


def test_another_subject_and_another_predictor_compute_no_stream_and_load_no_backbone(film, transcript, folder, settings, tmp_path):
    last(predict(film, transcript=transcript, model=folder, subjects=(1,), settings=settings))
    variant = tiny_predictor(tmp_path / "variant", seed=5)
    (variant / "backbones").symlink_to(folder / "backbones")
    loads = warm.POOL.loads
    told, second = stages_of(predict(film, transcript=transcript, model=folder, subjects=(5,), settings=settings))
    assert {stage.message for stage in told if stage.name in ("audio", "text", "video")} == {"Read from the cache"}
    told, other = stages_of(predict(film, transcript=transcript, model=variant, subjects=(5,), settings=settings))
    assert {stage.message for stage in told if stage.name in ("audio", "text", "video")} == {"Read from the cache"}
    assert warm.POOL.loads == loads
    assert np.abs(second.responses.values - other.responses.values).max() > 1e-3


def test_editing_a_word_computes_the_text_stream_only(film, transcript, folder, settings):
    from extractors.tr_table import edit_row

    last(predict(film, transcript=transcript, model=folder, settings=settings))
    told, _ = stages_of(predict(film, transcript=edit_row(transcript, 3, "a quick brown fox"), model=folder, settings=settings))
    read_back = {stage.name for stage in told if stage.message == "Read from the cache"}
    assert read_back == {"audio", "video"}


def test_a_film_without_sound_picture_or_words_gets_zeros_and_a_warning_that_the_model_never_learned_that(film, folder, settings):
    mute = dataclasses.replace(film, audio_key=None, samples_path=None)
    responses = last(predict(mute, transcript=no_words(film.n_trs), model=folder, settings=settings)).responses
    assert responses.present == {"audio": False, "text": False, "video": True}
    assert sum("never learned to do without" in warning for warning in responses.warnings) == 2
    heard = dataclasses.replace(film, video_key=None)
    responses = last(predict(heard, transcript=no_words(film.n_trs), model=folder, settings=settings)).responses
    np.testing.assert_array_equal(responses.valid, valid_rows(film.n_trs, 10.24))


def test_when_memory_runs_out_the_next_plan_is_taken_and_the_result_says_so(film, transcript, folder, settings, monkeypatch):
    real, failures = backbone.Backbone._load, []

    def limited(self, tell):
        if self.placement.keep and self.model_class == "VJEPA2Model":  # a fake limit: all parts together do not fit
            failures.append(self.name)
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(self, tell)

    monkeypatch.setattr(backbone.Backbone, "_load", limited)
    responses = last(predict(film, transcript=transcript, model=folder, settings=settings)).responses
    assert failures
    assert len(responses.extra["fallen_back"]) == 1
    assert responses.extra["plan"]["low_mem"]
    assert warm.POOL.held() == 0


def test_when_no_plan_fits_the_error_says_what_to_do_and_the_next_run_works(film, transcript, folder, settings, monkeypatch):
    def full(self, tell):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory")

    with monkeypatch.context() as patch:
        patch.setattr(backbone.Backbone, "_load", full)
        with pytest.raises(FeatureError, match="not enough memory") as caught:
            last(predict(film, transcript=transcript, model=folder, settings=settings))
    assert caught.value.code == "out_of_memory"
    assert "another machine" in caught.value.hint
    assert warm.POOL.held() == 0
    assert last(predict(film, transcript=transcript, model=folder, settings=settings)).responses.n_trs == film.n_trs


def test_a_model_whose_extractors_are_of_another_size_is_refused_in_words(film, tmp_path, settings):
    wrong = tiny_vibe(tmp_path / "wrong", text_extractor_feature_size=20)
    with pytest.raises(ModelError, match=r"take 20 text features, but the text extractor .* makes 16"):
        last(predict(film, transcript=no_words(film.n_trs), model=wrong, settings=settings))


def test_a_missing_backbone_is_named_before_anything_is_loaded(film, tmp_path, settings):
    lacking = tiny_vibe(tmp_path / "lacking", text_extractor="Qwen/Qwen2.5-14B")
    with pytest.raises(ModelError, match=r"Qwen2\.5-14B") as caught:
        last(predict(film, transcript=no_words(film.n_trs), model=lacking, settings=settings))
    assert "download-model Qwen/Qwen2.5-14B" in caught.value.hint
    assert warm.POOL.held() == 0


@pytest.mark.parametrize("job", [predict, features])
def test_preparing_the_extractors_keeps_nobody_from_stopping(job, film, folder, settings, monkeypatch):
    def slow(*_):
        time.sleep(4)  # as hashing tens of gigabytes
        raise RuntimeError

    monkeypatch.setattr(backbones, "extractors_of", slow)
    running = job(film, transcript=no_words(film.n_trs), model=folder, settings=settings)
    stage = next(item for item in running if item.name == "plan" and "files" in item.message)
    assert not stage.finished
    began = time.monotonic()
    running.close()
    assert time.monotonic() - began < 4  # a quiet machine takes less than 2 s; tests share its cores


@pytest.mark.parametrize("part", ["audio", "text", "video"])
def test_stop_reaches_inside_an_extractor_within_two_seconds_and_the_next_run_works(part, film, transcript, folder, settings, monkeypatch):
    classes = {"audio": "ASTModel", "text": "Qwen2Model", "video": "VJEPA2Model"}
    real = backbone.Backbone._load
    large = True

    def wait(*_):
        if large:
            time.sleep(0.3)  # a large model on a small machine

    def slow(self, tell):
        module = real(self, tell)
        if self.model_class == classes[part]:
            for leaf in [leaf for leaf in module.modules() if not any(leaf.children())]:
                leaf.register_forward_hook(wait)
        return module

    monkeypatch.setattr(backbone.Backbone, "_load", slow)
    job = predict(film, transcript=transcript, model=folder, settings=settings)
    for item in job:
        if item.name == part and item.elapsed_s > 0.5:
            break
    asked = time.monotonic()
    job.close()
    assert time.monotonic() - asked < 4
    large = False  # the module may be in use still, and is then kept for the next run
    warm.POOL.clear()
    monkeypatch.setattr(backbone.Backbone, "_load", real)
    assert last(predict(film, transcript=transcript, model=folder, settings=settings)).responses.n_trs == film.n_trs


def test_an_ensemble_is_the_mean_of_its_members_and_keeps_their_spread(film, transcript, folder, settings, tmp_path):
    other = tiny_predictor(tmp_path / "other", seed=9)
    (other / "backbones").symlink_to(folder / "backbones")
    one, two, both = (
        last(predict(film, transcript=transcript, model=model, settings=settings)).responses for model in (folder, other, [folder, other])
    )
    np.testing.assert_allclose(both.values, (one.values + two.values) / 2, atol=1e-6)
    np.testing.assert_allclose(both.spread, np.abs(one.values - two.values) / np.sqrt(2), atol=1e-5)
    assert len(both.members) == 2
    kept = last(predict(film, transcript=transcript, model=f"{folder}+{other}", settings=settings)).responses
    np.testing.assert_array_equal(kept.spread, both.spread)
