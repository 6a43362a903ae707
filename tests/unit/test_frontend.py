from __future__ import annotations

import numpy as np
import pytest

from encoder.frontend import COPIES, FrontEnd, glover, hrf_kernels
from extractors.errors import ModelError
from extractors.features import STREAMS, Features
from extractors.grid import TR

DIMS = {"audio": 4, "text": 3, "video": 5}
IDS = {stream: f"test-{stream}-1" for stream in STREAMS}


def some_features(rows=40, seed=0, present=None):
    rng = np.random.default_rng(seed)
    arrays = {stream: (rng.normal(size=(rows, dim)) * 3 + 7).astype(np.float32) for stream, dim in DIMS.items()}
    return Features(arrays, present or dict.fromkeys(STREAMS, True), IDS)


def test_the_glover_hrf_equals_nilearns():
    from nilearn.glm.first_level import glover_hrf

    step = 0.01
    count = 3200
    theirs = glover_hrf(t_r=step, oversampling=1, time_length=32.0)  # their grid starts one step late
    ours = glover(np.linspace(0, 32, count) - step)
    np.testing.assert_allclose(ours / ours.sum(), theirs, atol=1e-9)


def test_the_filtered_copy_of_an_impulse_peaks_four_to_seven_seconds_later():
    front = FrontEnd.fit([some_features()], clip=100.0)
    impulse = np.zeros((40, 1), np.float32)
    impulse[10] = 1
    out = front.filtered(impulse)
    assert out[10, 0] == 1
    assert np.count_nonzero(out[:, 0]) == 1
    assert not out[:10].any()
    assert 4 <= (out[:, 1].argmax() - 10) * TR <= 7
    assert out[:, 2].argmax() < out[:, 1].argmax() < out[:, 2].argmin()


def test_filtering_equals_numpy_convolution_for_each_feature():
    front = FrontEnd.fit([some_features()])
    values = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32)
    out = front.filtered(values).reshape(50, len(COPIES), 4)
    for copy, kernel in enumerate(hrf_kernels()):
        for column in range(4):
            np.testing.assert_allclose(out[:, copy, column], np.convolve(values[:, column], kernel)[:50], atol=1e-5)


def test_standardised_training_features_have_mean_zero_and_sd_one():
    clips = [some_features(seed=1), some_features(seed=2)]
    front = FrontEnd.fit(clips, clip=100.0)
    rows = np.concatenate([front.standardise(features)["video"] for features in clips])
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(rows.std(0), 1, atol=1e-5)


def test_a_constant_feature_does_not_divide_by_zero():
    features = some_features()
    features.arrays["text"][:, 0] = 5
    assert not FrontEnd.fit([features])(features)["text"][:, 0].any()


def test_an_absent_stream_is_zero_everywhere_whatever_its_array_holds():
    front = FrontEnd.fit([some_features()])
    out = front(some_features(present={"audio": True, "text": False, "video": True}))
    assert not out["text"].any()
    assert out["audio"].any()


def test_rows_of_absent_streams_do_not_enter_the_means():
    silent = some_features(seed=3, present={"audio": False, "text": True, "video": True})
    silent.arrays["audio"][:] = 0
    both = FrontEnd.fit([some_features(), silent])
    np.testing.assert_array_equal(both.mean["audio"], FrontEnd.fit([some_features()]).mean["audio"])


def test_extreme_values_are_cut_at_the_clip_limit():
    front = FrontEnd.fit([some_features()], clip=4.0)
    odd = some_features()
    odd.arrays["audio"][5] = 1e6
    assert front.standardise(odd)["audio"].max() == 4.0


def test_a_front_end_comes_back_from_disk_as_it_was(tmp_path):
    reduction = {"video": np.random.default_rng(4).normal(size=(5, 2)).astype(np.float32)}
    front = FrontEnd.fit([some_features()], reduction=reduction)
    section = front.save(tmp_path / "frontend.safetensors")
    again = FrontEnd.load(tmp_path / "frontend.safetensors", section)
    features = some_features(seed=9)
    for stream, values in front(features).items():
        np.testing.assert_array_equal(again(features)[stream], values)
    assert again.output_dims == front.output_dims == {"audio": 12, "text": 9, "video": 6}


def test_features_of_another_extractor_version_are_refused_by_name():
    front = FrontEnd.fit([some_features()])
    other = Features(some_features().arrays, dict.fromkeys(STREAMS, True), {**IDS, "audio": "test-audio-2"})
    with pytest.raises(ModelError, match="test-audio-2"):
        front(other)


def test_features_of_another_size_are_refused():
    front = FrontEnd.fit([some_features()])
    other = some_features()
    other.arrays["video"] = other.arrays["video"][:, :3]
    with pytest.raises(ModelError, match="5 features, but got 3"):
        front(other)


def test_a_front_end_file_without_its_means_is_refused_in_words(tmp_path):
    from safetensors.numpy import load_file, save_file

    path = tmp_path / "frontend.safetensors"
    section = FrontEnd.fit([some_features()]).save(path)
    arrays = load_file(path)
    del arrays["audio.mean"]
    save_file(arrays, path)
    with pytest.raises(ModelError, match=r"lacks audio\.mean"):
        FrontEnd.load(path, section)
