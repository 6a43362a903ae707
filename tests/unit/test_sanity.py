"""What a viewer would check on the embedded model: ears, eyes, words, delay, sides, and a film of nothing."""

from functools import lru_cache

import numpy as np
import pytest
from speech_material import two_sentences

from encoder import from_pretrained
from encoder.atlas import load_atlas
from encoder.training.measure import extractor_ids, window_s
from extractors.audio import AUDIO_DIM, audio_features
from extractors.features import Features
from extractors.grid import TR, valid_rows
from extractors.text import TEXT_DIM, text_features
from extractors.tr_table import spread, table_from_words
from extractors.video import VIDEO_DIM, VideoAccumulator

ROWS = 60
RATE = 16000
FPS = 12
GREY = np.full((54, 96, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def model():
    return from_pretrained("vibe-sim", device="cpu")


def pictures(frame_at, rows: int = ROWS) -> np.ndarray:
    seen = VideoAccumulator(rows)
    for k in range(int(np.ceil(rows * TR * FPS))):
        seen.add(frame_at(k / FPS), k / FPS)
    return seen.finish()


def film(*, video=None, samples=None, words=None, rows: int = ROWS) -> Features:
    """Features of a film; a track that is None is absent."""
    arrays = {
        "video": np.zeros((rows, VIDEO_DIM), np.float32) if video is None else video,
        "audio": np.zeros((rows, AUDIO_DIM), np.float32) if samples is None else audio_features(samples, rows),
        "text": np.zeros((rows, TEXT_DIM), np.float32)
        if words is None
        else text_features(table_from_words(words, rows, source="given", timing="given")),
    }
    return Features(arrays, {"video": video is not None, "audio": samples is not None, "text": words is not None}, extractor_ids(), window_s())


@lru_cache(maxsize=1)
def talking() -> tuple[np.ndarray, tuple]:
    """Two spoken sentences, again and again for 20 s with 15 s of silence between: samples and words."""
    sound, lines = two_sentences()
    track, words = np.zeros(int(ROWS * TR * RATE) + 1, np.float32), []
    for start in (5.0, 16.0, 42.0, 53.0, 75.0):
        first = int(start * RATE)
        piece = sound[: len(track) - first]
        track[first : first + len(piece)] = piece
        for line, (begin, end) in zip(lines, ((1.0, 5.7), (6.45, 10.44)), strict=True):
            words += spread(line.split(), start + begin, start + end)
    return track, tuple(words)


@lru_cache(maxsize=1)
def busy() -> np.ndarray:
    """A textured world that moves for 9 s, then grey for 9 s, and so on with another world."""
    rng = np.random.default_rng(0)
    worlds = []
    for _ in range(4):
        rough = rng.normal(size=(54, 400, 3))
        for axis in (0, 1):
            for _ in range(4):
                rough = rough + np.roll(rough, 1, axis) + np.roll(rough, -1, axis)
        worlds.append(np.clip(rng.uniform(90, 150) + 45 * rough / rough.std(), 0, 255).astype(np.uint8))

    def frame(t: float) -> np.ndarray:
        shot, since = int(t // 9), t % 9
        left = int(30 * since)
        return GREY if shot % 2 else worlds[shot // 2 % 4][:, left : left + 96]

    return pictures(frame)


def response(model, features: Features, name: str) -> np.ndarray:
    """Mean over subjects and parcels in valid rows."""
    values = model.predict(features)[:, :, load_atlas().mask(name)].mean(axis=(0, 2))
    return values[valid_rows(len(values), window_s())]


def test_muting_a_talking_film_lowers_auditory_and_language_parcels_and_leaves_occipital_ones(model):
    samples, words = talking()
    whole = film(video=busy(), samples=samples, words=words)
    for muted in (film(video=busy()), film(video=busy(), samples=np.zeros_like(samples), words=())):
        for name in ("Auditory", "LanguageTemporal", "LanguageFrontal"):
            assert response(model, muted, name).mean() < response(model, whole, name).mean() - 0.2, name
        kept, before = response(model, muted, "Vis"), response(model, whole, "Vis")
        assert np.corrcoef(kept, before)[0, 1] > 0.9
        assert abs(kept.mean() - before.mean()) < 0.15


def test_blanking_a_talking_film_lowers_occipital_parcels_and_leaves_auditory_and_language_ones(model):
    samples, words = talking()
    whole = film(video=busy(), samples=samples, words=words)
    for blanked in (film(samples=samples, words=words), film(video=pictures(lambda t: GREY), samples=samples, words=words)):
        assert response(model, blanked, "Vis").mean() < response(model, whole, "Vis").mean() - 0.15
        for name in ("Auditory", "LanguageTemporal", "LanguageFrontal"):
            kept, before = response(model, blanked, name), response(model, whole, name)
            assert np.corrcoef(kept, before)[0, 1] > 0.9, name
            assert abs(kept.mean() - before.mean()) < 0.15, name


def test_speech_raises_auditory_and_language_parcels_while_it_lasts(model):
    samples, words = talking()
    features = film(video=pictures(lambda t: GREY), samples=samples, words=words)
    times = (np.arange(ROWS) + 0.5) * TR
    for name in ("Auditory", "LanguageTemporal"):
        values = model.predict(features)[:, :, load_atlas().mask(name)].mean(axis=(0, 2))
        talked = values[(times > 52) & (times < 64)].mean()
        quiet = values[(times > 37) & (times < 42)].mean()
        assert talked > quiet + 0.2, name


def test_a_flash_drives_early_visual_parcels_with_a_peak_four_to_seven_seconds_later(model):
    row = 30
    at = (row + 0.5) * TR
    white = np.full_like(GREY, 235)
    flashed = film(video=pictures(lambda t: white if abs(t - at) < 0.26 else GREY))
    plain = film(video=pictures(lambda t: GREY))
    atlas = load_atlas()
    change = (model.predict(flashed) - model.predict(plain))[:, :, atlas.mask("EarlyVisual")].mean(2)
    times = (np.arange(ROWS) + 0.5) * TR - at
    for subject in change:
        # parabola through the highest row and its neighbours: rows are 1.49 s apart
        top = int(np.argmax(subject))
        before, here, after = subject[top - 1 : top + 2]
        peak = times[top] + TR * 0.5 * (before - after) / (before - 2 * here + after)
        assert 4.0 <= peak <= 7.0
        assert here > 3 * np.abs(subject[5 : row - 2]).max()


def test_motion_in_the_left_half_drives_right_occipital_parcels_more_and_the_other_way_round(model):
    rng = np.random.default_rng(3)
    world = np.repeat(rng.integers(30, 226, (27, 400, 1), dtype=np.uint8).repeat(2, 0), 3, axis=2).repeat(2, 1)

    def half(side: str):
        def frame(t: float) -> np.ndarray:
            out = GREY.copy()
            if (t // 12) % 2:
                columns = slice(0, 46) if side == "left" else slice(50, 96)
                left = int(24 * t) % 300
                out[:, columns] = world[:, left : left + 46]
            return out

        return film(video=pictures(frame))

    for side, opposite, same in (("left", "Vis-R", "Vis-L"), ("right", "Vis-L", "Vis-R")):
        features = half(side)
        assert response(model, features, opposite).std() > 1.3 * response(model, features, same).std()


def test_a_constant_grey_silent_film_gives_a_nearly_flat_line(model):
    samples, words = talking()
    talked = film(video=busy(), samples=samples, words=words)
    valid = valid_rows(ROWS, window_s())
    usual = model.predict(talked)[:, valid].std(axis=1).mean()
    nothing = (
        film(video=pictures(lambda t: GREY), samples=np.zeros(ROWS * 24000, np.float32), words=()),
        film(video=pictures(lambda t: GREY)),
    )
    for flat in nothing:
        assert model.predict(flat)[:, valid].std(axis=1).mean() < 0.1 * usual


def test_a_ten_minute_film_is_predicted_as_its_parts_are(model):
    samples, words = talking()
    part = film(video=busy(), samples=samples, words=words)
    times = 7
    long = Features({name: np.concatenate([part[name]] * times) for name in part}, part.present, part.extractors, part.window_s)
    assert long.n_trs == 420
    once, many = model.predict(part), model.predict(long)
    middle = many[:, 3 * ROWS : 4 * ROWS]
    rows = slice(20, ROWS - 5)  # past the first rows, whose past differs
    for name in ("Vis", "Auditory", "LanguageTemporal", "DorsAttn"):
        mask = load_atlas().mask(name)
        a, b = once[:, rows][:, :, mask].mean(2).ravel(), middle[:, rows][:, :, mask].mean(2).ravel()
        assert np.corrcoef(a, b)[0, 1] > 0.95, name
        assert 0.85 < b.std() / a.std() < 1.15, name
