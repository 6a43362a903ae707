"""Is a clip like the training clips: noise, colour bars and a talking film, against training clips that nobody else knows."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from encoder.cards import read_card
from encoder.checkpoints import MODELS, read_model
from encoder.domain import ABOUT, FILE, UNKNOWN, Domain, StreamDomain, reading_of, sentence, sentences, window_statistics
from encoder.frontend import FrontEnd
from extractors.features import STREAMS, Features
from extractors.tr_table import no_words
from tests.films import write_film, write_wav
from tests.unit.speech_material import RATE, two_sentences

FOLDER = MODELS / "vibe-sim"
COLOURS = np.array([[235, 235, 235], [235, 235, 16], [16, 235, 235], [16, 235, 16], [235, 16, 235], [235, 16, 16], [16, 16, 235]], np.uint8)


def static(time_s: float, width: int, height: int) -> np.ndarray:
    return np.random.default_rng(round(time_s * 1000)).integers(0, 256, (height, width, 3), dtype=np.uint8)


def bars(time_s: float, width: int, height: int) -> np.ndarray:
    return np.repeat(COLOURS[np.arange(width) * len(COLOURS) // width][None], height, 0)


@pytest.fixture(scope="module")
def model():
    return SimpleNamespace(files=(files := read_model("vibe-sim")), weights_sha256=files.weights_sha256)


@pytest.fixture(scope="module")
def read(tmp_path_factory, model):
    """Film -> the reading of its streams, through the gate and the extractors as any upload."""
    from extractors.extract import extract
    from extractors.media import admit
    from extractors.stages import last
    from settings import Settings

    folder = tmp_path_factory.mktemp("domain")
    settings = Settings(cache_dir=folder / "cache")

    def reading(name: str, **how):
        clip = last(admit(write_film(folder / f"{name}.mp4", 16.0, 12, **how), settings=settings))
        return reading_of(model, last(extract(clip, no_words(clip.n_trs), settings=settings)))

    said, _ = two_sentences()
    speech = write_wav(folder / "speech.wav", np.resize(said, 16 * RATE), RATE)
    return {
        "noise": reading("noise", picture=static, audio="noise"),
        "bars": reading("bars", picture=bars, audio="tone"),
        "talking": reading("talking", speech_wav=speech),
    }


def test_white_noise_sounds_like_nothing_in_training_and_speech_like_much_of_it(read):
    assert read["noise"]["audio"]["percentile"] > 95
    assert not read["noise"]["audio"]["usual"]
    assert read["talking"]["audio"]["percentile"] < 80
    assert read["talking"]["audio"]["usual"]
    assert read["noise"]["audio"]["distance"] > 2 * read["talking"]["audio"]["distance"]


def test_colour_bars_look_like_nothing_in_training(read):
    assert read["bars"]["video"]["percentile"] > 99
    assert read["bars"]["video"]["distance"] > 2 * max(read[name]["video"]["distance"] for name in ("noise", "talking"))
    assert "unlike anything in the training clips" in read["bars"]["video"]["sentence"]


def test_a_stream_that_the_clip_lacks_has_no_reading(read):
    assert all("text" not in found and set(found) == {"audio", "video"} for found in read.values())


def test_the_reference_belongs_to_the_weights_that_are_shipped(model):
    domain = Domain.load(FOLDER / FILE)
    assert domain.weights_sha256 == model.weights_sha256 == read_card(FOLDER / "card.yaml").weights_sha256
    for stream in domain.streams.values():
        assert (np.diff(stream.distances) >= 0).all()
        assert stream.distances[50] > 0
        assert np.isfinite(stream.windows).all()
        assert len(stream.windows) > 100


def test_other_weights_and_published_models_have_no_reading(model):
    features = Features({stream: np.zeros((12, 1), np.float32) for stream in STREAMS}, dict.fromkeys(STREAMS, True), {})
    assert reading_of(SimpleNamespace(files=model.files, weights_sha256="0" * 64), features) is None
    assert reading_of(SimpleNamespace(files=SimpleNamespace(published=True), weights_sha256=""), features) is None
    assert reading_of(SimpleNamespace(files=None, weights_sha256=""), features) is None


def clips(rng: np.random.Generator, count: int = 12, shift: float = 0.0) -> list[np.ndarray]:
    return [rng.standard_normal((40, 6)).astype(np.float32) + np.float32(shift) for _ in range(count)]


def test_distances_of_other_training_clips_spread_evenly_over_the_percentiles():
    rng = np.random.default_rng(0)
    domain = StreamDomain.fit(clips(rng, 60), clips(rng, 60))
    fresh = np.concatenate([domain.of_windows(rows) for rows in clips(rng, 60)])
    percentiles = np.array([domain.percentile(distance) for distance in fresh])
    assert abs(percentiles.mean() - 50) < 8
    assert abs((percentiles > 95).mean() - 0.05) < 0.05


def test_a_window_that_training_held_again_and_again_has_nothing_nearer():
    silence = [np.zeros((40, 6), np.float32)] * 4
    domain = StreamDomain.fit([*silence, *clips(np.random.default_rng(5), 4)], [*silence, *clips(np.random.default_rng(6), 4)])
    assert domain.percentile(float(np.median(domain.of_windows(silence[0])))) == 0


def test_a_clip_that_drifts_away_is_farther_and_farther():
    rng = np.random.default_rng(1)
    domain = StreamDomain.fit(clips(rng), clips(rng))
    rows = clips(rng, 1)[0]
    distances = [np.median(domain.of_windows(rows + np.float32(shift))) for shift in (0, 1, 2, 4, 8)]
    assert (np.diff(distances) > 0).all()
    assert domain.percentile(distances[-1]) == 100


def test_the_distance_is_that_from_the_third_nearest_window():
    rng = np.random.default_rng(2)
    domain = StreamDomain.fit(clips(rng), clips(rng))
    rows = clips(rng, 1)[0][:10]
    statistics = np.concatenate([rows.mean(0), rows.std(0)]) / domain.scale
    everyone = np.sort(np.sqrt(((domain.windows - statistics) ** 2).mean(1)))
    assert domain.of_windows(rows)[0] == pytest.approx(everyone[2], rel=1e-5)


@pytest.mark.parametrize(("rows", "windows"), [(3, 1), (10, 1), (19, 1), (20, 2), (25, 2)])
def test_windows_cover_every_row_once(rows, windows):
    values = np.random.default_rng(3).standard_normal((rows, 4)).astype(np.float32)
    found = window_statistics(values)
    assert found.shape == (windows, 8)
    lengths = np.array([10] * (windows - 1) + [rows - 10 * (windows - 1)])
    np.testing.assert_allclose((found[:, :4] * lengths[:, None]).sum(0) / rows, values.mean(0), atol=1e-5)


def test_a_reference_survives_its_file(tmp_path):
    frontend = FrontEnd.load(FOLDER / "frontend.safetensors", read_model("vibe-sim").frontend)
    rng = np.random.default_rng(4)
    films = [
        Features(
            {stream: rng.standard_normal((20, len(frontend.mean[stream]))).astype(np.float32) for stream in STREAMS},
            dict.fromkeys(STREAMS, True),
            dict(frontend.extractors),
        )
        for _ in range(8)
    ]
    domain = Domain.fit(films, frontend, weights_sha256="a" * 64)
    domain.save(tmp_path / FILE)
    again = Domain.load(tmp_path / FILE)
    assert again.weights_sha256 == "a" * 64
    assert again.reading(films[0], frontend) == domain.reading(films[0], frontend)
    absent = replace(films[0], present={"audio": True, "text": False, "video": False})
    assert set(again.reading(absent, frontend)) == {"audio"}


def test_the_text_says_what_the_number_is_and_what_is_unknown():
    assert sentences({}) == (UNKNOWN,)
    assert sentences({"domain": None}) == (UNKNOWN,)
    assert sentences({"domain": {"audio": {"sentence": "One."}, "video": "odd"}}) == ("One.",)
    assert "distance of stream statistics" in ABOUT
    assert "training clips" in ABOUT
    assert sentence("audio", 40.0, 0.9).startswith("Sound: as in training. 40 %")
    assert sentence("text", 97.0, 1.5).startswith("Words: unusual. 97 %")
    assert sentence("video", 100.0, 4.0) == (
        "Picture: unlike anything in the training clips, 4.0 times as far from them as they usually are from each other."
    )
