"""The published sound stream, against one window at a time through AST's own feature extractor and the whole model."""

import json
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification, ASTModel

from extractors.backbone import Placement
from extractors.clip import Clip
from extractors.errors import ModelError
from extractors.grid import TR, n_trs
from extractors.hub_files import find_local
from extractors.stages import Stage
from extractors.streams import Stream
from extractors.transcript import Transcript
from extractors.vibe_audio import BLOCK, Spectrogram, VibeAudio, frames_of, patches_of, samples_of
from tests.tiny_vibe import AUDIO_WIDTH, randomise, tiny_audio
from tests.vibe_oracles.audio import audio_stream, hidden_states, pooled, window

ROWS = 9
SILENT = Transcript(("",) * ROWS, ((),) * ROWS, ((),) * ROWS, ((),) * ROWS)


def sounds(seconds: float) -> np.ndarray:
    """Noise of changing loudness, a rising tone, digital silence in between."""
    generator = np.random.default_rng(3)
    time_s = np.arange(round(seconds * 16_000)) / 16_000
    samples = 0.1 * generator.standard_normal(len(time_s)) * (1 + np.sin(time_s)) + 0.3 * np.sin(2 * np.pi * (200 + 40 * time_s) * time_s)
    samples[(time_s > 4) & (time_s < 4.7)] = 0
    return samples.astype(np.float32)


def a_clip(folder: Path, samples: np.ndarray | None, duration: float, key: str = "sound") -> Clip:
    if samples is None:
        return Clip(Path("none"), None, "sha", "picture", None, "a.mp4", duration, n_trs(duration), 25.0, 160, 120)
    np.save(folder / "samples.npy", samples)
    return Clip(Path("none"), folder / "samples.npy", "sha", None, key, "a.wav", duration, n_trs(duration), None, 0, 0)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Tiny products only lose by sharing cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_audio(tmp_path_factory.mktemp("backbone") / "audio", layers=4)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return a_clip(tmp_path_factory.mktemp("clip"), sounds(ROWS * TR + 0.4), ROWS * TR + 0.4)


@pytest.fixture(scope="module")
def whole_model(folder, clip):
    """Every hidden state of every window."""
    return hidden_states(folder, clip.samples(), ROWS)


@pytest.fixture(scope="module")
def expected(folder, clip):
    """The stream that other ways of computing it must give."""
    return computed(extractor(folder), clip)[0].array


def extractor(folder: Path, **changes) -> VibeAudio:
    return VibeAudio(find_local(folder), **{"weights": "w" * 64, "placement": Placement(batch=5), **changes})


def computed(extractor: VibeAudio, clip: Clip) -> tuple[Stream, list[Stage]]:
    *stages, stream = extractor.compute(clip, SILENT)
    return stream, stages


def test_the_stream_equals_one_window_at_a_time_through_the_whole_model(folder, clip, whole_model):
    stream, _ = computed(extractor(folder), clip)
    assert stream.array.dtype == np.float32
    assert stream.array.shape == (ROWS, 2 * AUDIO_WIDTH) == (ROWS, extractor(folder).dim)
    np.testing.assert_allclose(stream.array, pooled(whole_model), atol=1e-4)
    assert np.ptp(stream.array, axis=0).min() > 1e-3
    assert stream.warnings == ()
    assert stream.unseen_rows == ()


@pytest.mark.parametrize("layer_index", [1, 3, 4])
def test_another_layer_index_takes_that_hidden_state_although_later_blocks_are_not_loaded(folder, clip, whole_model, layer_index):
    chosen = extractor(folder, layer_index=layer_index)
    assert chosen.backbone.config.num_hidden_layers == 5 - layer_index
    np.testing.assert_allclose(computed(chosen, clip)[0].array, pooled(whole_model, layer_index=layer_index), atol=1e-4)


def test_windows_and_patches_are_exact_and_differ_from_the_published_port_only_by_its_summing_up():
    port = json.loads((Path(__file__).parents[1] / "data" / "vibe_audio_windows.json").read_text())
    for row, (samples, patches) in enumerate(zip(port["samples"], port["patches"], strict=True)):
        assert (*samples_of(row), *patches_of(row, 101)) == window(row)
        assert np.abs(np.subtract(samples_of(row), samples)).max() <= 1
        first, last = patches_of(row, 101)
        assert patches[0] == first
        assert patches[1] == last or (patches[1] == 100 and last == 101 and row >= 7)
    assert samples_of(6) == (3040, 166_880)


def test_every_window_cut_from_the_films_spectrogram_is_what_ast_makes_of_it_alone():
    samples, prepare = sounds(40.5), ASTFeatureExtractor(do_normalize=False)
    spectrogram = Spectrogram(samples, 128)
    for row in range(27):
        first, last = frames_of(row)
        begin, end = samples_of(row)
        alone = prepare(samples[begin:end], sampling_rate=16_000, return_tensors="np")["input_values"][0]
        np.testing.assert_allclose(spectrogram.frames(first, last), alone[: last - first], atol=1e-5, rtol=1e-5)
        assert not alone[last - first :].any()
        assert last - first == 1022 or row < 6


def test_the_spectrogram_is_computed_once_and_little_of_it_is_kept(monkeypatch):
    rows, counted = 600, []
    spectrogram = Spectrogram(np.zeros(rows * 23_840, np.float32), 128)
    monkeypatch.setattr(Spectrogram, "_compute", lambda self, first, stop: counted.append(stop - first) or np.zeros((stop - first, 128), np.float32))
    for row in range(rows):
        spectrogram.frames(*frames_of(row))
        assert len(spectrogram._kept) <= 1022
    assert sum(counted) == frames_of(rows - 1)[1]
    assert max(counted) <= BLOCK


def test_going_back_to_an_earlier_window_gives_its_frames_again():
    spectrogram = Spectrogram(sounds(30), 128)
    early = spectrogram.frames(*frames_of(8)).copy()
    spectrogram.frames(*frames_of(18))
    np.testing.assert_array_equal(spectrogram.frames(*frames_of(8)), early)


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_the_number_of_windows_at_a_time_does_not_matter(folder, clip, expected, batch):
    got, _ = computed(extractor(folder, placement=Placement(batch=batch)), clip)
    np.testing.assert_allclose(got.array, expected, atol=1e-5)


def test_running_out_of_memory_halves_the_batch_and_changes_no_number(folder, clip, expected, monkeypatch):
    whole, asked = VibeAudio._rows, []

    def small_memory(self, module, spectrogram, start, stop):
        asked.append(stop - start)
        if stop - start > 2:
            spectrogram.frames(frames_of(start)[0], frames_of(stop - 1)[1])
            raise RuntimeError("CUDA out of memory (a test's)")
        return whole(self, module, spectrogram, start, stop)

    monkeypatch.setattr(VibeAudio, "_rows", small_memory)
    got, _ = computed(extractor(folder, placement=Placement(batch=8)), clip)
    assert max(asked) == 8
    np.testing.assert_allclose(got.array, expected, atol=1e-5)


def test_a_sound_that_ends_before_the_film_goes_on_as_silence_and_broken_samples_stay_finite(folder, tmp_path):
    samples = sounds(4)
    samples[2000] = np.nan
    whole = np.concatenate([np.nan_to_num(samples), np.zeros(8 * 16_000, np.float32)])
    stream, _ = computed(extractor(folder), a_clip(tmp_path, samples, 4 * TR))
    np.testing.assert_allclose(stream.array, audio_stream(folder, whole, 4), atol=1e-4)


def test_mean_and_spread_of_the_backbones_own_preprocessor_are_used(folder, clip, expected, tmp_path):
    other = tiny_audio(tmp_path / "other", layers=4)
    ASTFeatureExtractor(mean=-3.0, std=2.0).save_pretrained(other)
    assert extractor(other).normalisation == (-3.0, 2.0)
    np.testing.assert_allclose(computed(extractor(other), clip)[0].array, audio_stream(other, clip.samples(), ROWS), atol=1e-4)
    (other / "preprocessor_config.json").unlink()
    np.testing.assert_allclose(computed(extractor(other), clip)[0].array, expected, atol=1e-6)
    (other / "preprocessor_config.json").write_text('{"std": "wide"}')
    with pytest.raises(ModelError, match=r"preprocessor_config\.json"):
        extractor(other).content(clip, SILENT)


def test_weights_saved_without_the_classification_head_load_as_well(folder, clip, expected, tmp_path):
    plain = tmp_path / "plain"
    ASTModel.from_pretrained(folder).save_pretrained(plain)
    np.testing.assert_allclose(computed(extractor(plain), clip)[0].array, expected, atol=1e-6)


def test_a_layer_that_is_not_there_is_refused_in_words(folder):
    for index in (0, 5, -1):
        with pytest.raises(ModelError, match="must be 1 to 4") as caught:
            _ = extractor(folder, layer_index=index).dim
        assert caught.value.code == "no_such_layer"


def test_the_key_changes_with_everything_that_changes_the_stream_and_with_nothing_else(folder, clip, tmp_path):
    def key(clip=clip, **changes):
        return json.dumps(extractor(folder, **changes).content(clip, SILENT), sort_keys=True)

    assert key() == key(placement=Placement(batch=32, keep=True)) == key(clip=replace(clip, name="b.wav", sha256="t", video_key="v"))
    different = [key(), key(layer_index=1), key(weights="v" * 64), key(placement=Placement(dtype="bfloat16")), key(clip=replace(clip, audio_key="o"))]
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 0.1}))
    different += [json.dumps(extractor(other).content(clip, SILENT), sort_keys=True)]
    assert len(set(different)) == len(different)
    assert str(tmp_path.parent) not in key()
    assert extractor(folder).content(a_clip(tmp_path, None, 20.0), SILENT) is None


def test_the_id_names_the_backbone_but_never_a_path(folder):
    assert extractor(folder).id == "vibe-audio-1 audio"
    assert VibeAudio(replace(find_local(folder), source="MIT/ast-x"), weights="w").id == "vibe-audio-1 MIT/ast-x"
    assert extractor(folder).window_s == 10.24


def test_progress_counts_windows(folder, clip):
    _, stages = computed(extractor(folder), clip)
    assert {stage.name for stage in stages} == {"audio"}
    assert stages[0].message == "Loading audio"
    assert stages[-1].finished
    assert stages[-1].total == ROWS
    assert not any(stage.finished for stage in stages[:-1])


def test_closing_stops_within_two_seconds_inside_a_forward_pass(tmp_path):
    config = ASTConfig(hidden_size=192, num_hidden_layers=12, num_attention_heads=3, intermediate_size=768)
    model = ASTForAudioClassification(config)
    randomise(model, 0)
    model.save_pretrained(tmp_path / "slow")
    clip = a_clip(tmp_path, sounds(36), 36.0)
    job = extractor(tmp_path / "slow", placement=Placement(batch=12)).compute(clip, SILENT)
    for stage in job:
        if stage.message.startswith("Sound:"):
            break
    start = time.monotonic()
    job.close()
    while any(thread.name == "work-audio" for thread in threading.enumerate()):  # the work itself ends, not only the waiting for it
        assert time.monotonic() - start < 4  # as for the words
        time.sleep(0.01)
