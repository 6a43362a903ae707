"""The planted subjects and the features they listen to."""

import ast
from pathlib import Path

import numpy as np
import pytest

from encoder.training.simulate import AR, SUBJECTS, PlantedSubjects, hrf, hrf_kernel
from encoder.training.truth_features import (
    OWN_NAMES,
    PICTURE_NAMES,
    SOUND_NAMES,
    TRUTH_NAMES,
    WORD_NAMES,
    PictureTruth,
    sound_truth,
    word_truth,
)
from extractors.grid import TR
from extractors.transcript import Word

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def subjects() -> PlantedSubjects:
    rng = np.random.default_rng(0)
    clips = [rng.exponential(1.0, (80, len(TRUTH_NAMES))) * (rng.random((80, len(TRUTH_NAMES))) < 0.6) for _ in range(4)]
    return PlantedSubjects().fit_scales(clips)


def impulse(*names: str, row: int = 5, rows: int = 40, size: float = 1.0) -> np.ndarray:
    truth = np.zeros((rows, len(TRUTH_NAMES)))
    truth[row, [TRUTH_NAMES.index(name) for name in names]] = size
    return truth


def above_rest(subjects: PlantedSubjects, truth: np.ndarray) -> np.ndarray:
    return subjects.signal(truth) - subjects.signal(np.zeros_like(truth))


def test_a_seed_fixes_everything_and_another_seed_plants_other_people():
    first, again, other = PlantedSubjects(seed=3), PlantedSubjects(seed=3), PlantedSubjects(seed=4)
    assert np.array_equal(first.peaks_s, again.peaks_s)
    assert np.array_equal(first.amplitudes, again.amplitudes)
    assert np.array_equal(first.noise(30, "a"), again.noise(30, "a"))
    assert not np.array_equal(first.peaks_s, other.peaks_s)
    assert not np.array_equal(first.noise(30, "a"), first.noise(30, "b"))


def test_the_hrf_family_is_nilearns_glover_stretched_in_time():
    from nilearn.glm.first_level import glover_hrf

    oracle = glover_hrf(1.0, oversampling=100, time_length=32.0)
    times = np.linspace(0, 32, len(oracle)) - 0.01  # nilearn shifts its densities by one sample
    own_peak = times[np.argmax(oracle)]
    ours = hrf(times, np.array([own_peak]))[0]
    assert np.corrcoef(ours, oracle)[0, 1] > 0.9999
    for peak in (4.0, 5.5, 7.0):
        fine = np.arange(0, 15, 0.01)
        assert fine[np.argmax(hrf(fine, np.array([peak]))[0])] == pytest.approx(peak, abs=0.02)


def test_every_parcel_peaks_between_four_and_seven_seconds():
    peaks = PlantedSubjects().peaks_s
    assert peaks.min() >= 4.0
    assert peaks.max() <= 7.0
    assert peaks.std() > 0.2


def test_an_impulse_in_a_tr_gives_the_hrf_counted_from_that_tr(subjects):
    vision = subjects.atlas.mask("EarlyVisual")
    response = above_rest(subjects, impulse("luminance step", row=7))[:, :, vision]
    assert np.abs(response[:, :7]).max() < 1e-6
    for subject in range(4):
        for parcel, peak in zip(response[subject].T, subjects.peaks_s[subject, vision], strict=True):
            expected = hrf_kernel(np.array([peak]))[0]
            assert np.argmax(np.abs(parcel)) == 7 + np.argmax(expected)


def test_nothing_seen_heard_or_said_gives_a_constant_response(subjects):
    assert subjects.signal(np.zeros((50, len(TRUTH_NAMES)))).std(axis=1).max() < 1e-5


def test_motion_on_the_left_drives_right_occipital_parcels_more(subjects):
    fields = [name for name in TRUTH_NAMES if name.startswith("flow energy")]
    left = above_rest(subjects, impulse(*(name for name in fields if "left" in name)))
    right = above_rest(subjects, impulse(*(name for name in fields if "right" in name)))
    for seen, opposite, same in ((left, "Vis-R", "Vis-L"), (right, "Vis-L", "Vis-R")):
        size = np.abs(seen).max(axis=(0, 1))
        assert size[subjects.atlas.mask(opposite)].mean() > 1.3 * size[subjects.atlas.mask(same)].mean()


def test_low_and_high_tones_move_different_ends_of_auditory_cortex(subjects):
    auditory = subjects.atlas.mask("Auditory")
    low = np.abs(above_rest(subjects, impulse("ERB band 0", "mel band 0"))[:, :, auditory]).max(axis=(0, 1))
    high = np.abs(above_rest(subjects, impulse("ERB band 9", "mel band 9"))[:, :, auditory]).max(axis=(0, 1))
    back = -subjects.atlas.centroids[auditory, 1]
    assert np.corrcoef(high - low, back)[0, 1] > 0.5


def test_words_without_sound_move_language_parcels_less_than_words_with_sound(subjects):
    language = subjects.atlas.mask("LanguageTemporal")
    words = ("words", "content words", "syllables", "speech cover")
    read, heard, sound = impulse(*words), impulse(*words, "loudness"), impulse("loudness")
    read = above_rest(subjects, read)[:, :, language].max(axis=1).mean()
    heard = (above_rest(subjects, heard) - above_rest(subjects, sound))[:, :, language].max(axis=1).mean()
    assert 0 < read < 0.85 * heard


def test_a_second_stimulus_right_after_a_long_one_moves_less_than_the_first(subjects):
    vision = subjects.atlas.mask("EarlyVisual")
    once = impulse("luminance step", row=20, rows=50, size=3.0)
    before = np.zeros_like(once)
    for row in range(8, 20):
        before += impulse("luminance step", row=row, rows=50, size=3.0)
    alone = above_rest(subjects, once)[:, :, vision]
    after = (above_rest(subjects, before + once) - above_rest(subjects, before))[:, :, vision]
    assert np.abs(after).max(axis=1).mean() < 0.9 * np.abs(alone).max(axis=1).mean()


def test_subjects_are_alike_but_not_the_same(subjects):
    truth = np.random.default_rng(5).exponential(1.0, (200, len(TRUTH_NAMES)))
    signal = subjects.signal(truth)
    strong = subjects.amplitudes.mean(0) > 0.3
    for one in range(len(SUBJECTS)):
        for other in range(one):
            both = [np.corrcoef(signal[one, :, p], signal[other, :, p])[0, 1] for p in np.flatnonzero(strong)[::20]]
            assert 0.6 < np.mean(both) < 0.999


def test_noise_is_ar1_with_unit_variance_times_the_subjects_sd():
    subjects = PlantedSubjects()
    noise = subjects.noise(400, "long") / subjects.noise_sd[:, None]
    assert noise.var() == pytest.approx(1.0, abs=0.02)
    assert (noise[:, 1:] * noise[:, :-1]).mean() == pytest.approx(AR, abs=0.02)


def test_limbic_parcels_are_mostly_noise_and_visual_ones_are_not():
    subjects = PlantedSubjects()
    ceiling = subjects.amplitudes / np.hypot(subjects.amplitudes, subjects.noise_sd)
    assert ceiling[:, subjects.atlas.mask("Limbic")].mean() < 0.2
    for network in ("Vis", "Auditory", "LanguageTemporal"):
        assert ceiling[:, subjects.atlas.mask(network)].mean() > 0.4


def test_scales_survive_saving(tmp_path, subjects):
    subjects.scales.save(tmp_path / "scales.safetensors")
    again = PlantedSubjects(scales=type(subjects.scales).load(tmp_path / "scales.safetensors"))
    truth = impulse("loudness")
    assert np.array_equal(again.signal(truth), subjects.signal(truth))


# --- truth features ------------------------------------------------------------------------------------------------------------------


def watch(frames, fps: int = 12, rows: int = 4) -> dict[str, np.ndarray]:
    truth = PictureTruth(rows)
    for index, frame in enumerate(frames):
        truth.add(frame, index / fps)
    return dict(zip(PICTURE_NAMES, truth.finish().T, strict=True))


def texture(seed: int = 0, size=(54, 300)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rough = rng.normal(size=size)
    for axis in (0, 1):
        for _ in range(3):
            rough = rough + np.roll(rough, 1, axis) + np.roll(rough, -1, axis)
    grey = 128 + 45 * rough / rough.std()
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def test_a_texture_that_slides_right_flows_right_and_one_that_slides_left_flows_left():
    world = texture()
    right = watch([world[:, 150 - 2 * k : 246 - 2 * k] for k in range(72)])
    left = watch([world[:, 2 * k : 96 + 2 * k] for k in range(72)])
    assert right["flow to the right"].mean() > 5 * right["flow to the left"].mean()
    assert left["flow to the left"].mean() > 5 * left["flow to the right"].mean()


def test_motion_in_the_left_half_has_flow_energy_in_the_left_fields_only():
    world, frames = texture(), []
    for k in range(72):
        frame = np.full((54, 96, 3), 128, np.uint8)
        frame[:, :44] = world[:, k : k + 44]
        frames.append(frame)
    seen = watch(frames)
    left = np.mean([values.mean() for name, values in seen.items() if name.startswith("flow energy, left")])
    right = np.mean([values.mean() for name, values in seen.items() if name.startswith("flow energy, right")])
    assert left > 1.0 > 10 * right


def test_features_hardly_depend_on_frame_rate_or_picture_size():
    world = texture(size=(108, 800))
    slow = watch([world[::2, 4 * k : 192 + 4 * k : 2] for k in range(72)], fps=12)
    fast = watch([world[:, 2 * k : 192 + 2 * k] for k in range(144)], fps=24)
    for name in ("flow energy, left upper near", "edges, right lower far"):
        assert slow[name].mean() == pytest.approx(fast[name].mean(), rel=0.25)


def test_rest_is_exactly_zero_for_eye_and_ear_and_words():
    still = watch([np.full((54, 96, 3), 128, np.uint8)] * 72)
    assert max(np.abs(values).max() for values in still.values()) < 1e-6
    assert np.abs(sound_truth(np.zeros(0, np.float32), 6)).max() == 0
    assert np.abs(word_truth((), 6)).max() == 0


def test_a_cut_is_a_cut_and_slow_motion_is_none():
    world, other = texture(1), texture(2)
    other = 255 - other // 3
    film = [world[:, k // 4 : 96 + k // 4] for k in range(36)] + [other[:, k // 4 : 96 + k // 4] for k in range(36)]
    cut = watch(film)["picture cut"]
    assert np.argmax(cut) == int(3 / TR)
    assert np.sort(cut)[-2] < 0.1 * cut.max()


@pytest.mark.parametrize(("frequency", "band"), [(100, 0), (850, 4), (6500, 9)])
def test_a_tone_excites_the_band_it_lies_in_most(frequency, band):
    t = np.arange(16000 * 6) / 16000
    excited = sound_truth((0.1 * np.sin(2 * np.pi * frequency * t)).astype(np.float32), 4)[2, :10]
    assert abs(int(np.argmax(excited)) - band) <= 1


def test_syllabic_modulation_answers_to_five_hertz_and_not_to_a_steady_tone():
    t = np.arange(16000 * 9) / 16000
    column = SOUND_NAMES.index("syllabic modulation (4 to 9 Hz)")
    steady = 0.1 * np.sin(2 * np.pi * 500 * t)
    beating = steady * (1 + np.sin(2 * np.pi * 5 * t)) / 2
    assert sound_truth(beating.astype(np.float32), 6)[3, column] > 5 * sound_truth(steady.astype(np.float32), 6)[3, column]


def test_words_are_counted_in_the_tr_of_their_end():
    words = (Word("The", 0.1, 0.2), Word("elephant", 1.2, 0.5), Word("elephant", 4.0, 0.3))
    table = dict(zip(WORD_NAMES, np.expm1(word_truth(words, 4)).T.round(3), strict=True))
    assert table["words"].tolist() == [1, 1, 1, 0]
    assert table["syllables"].tolist() == [1, 3, 3, 0]
    assert table["content words"].tolist() == [0, 1, 1, 0]
    assert table["words new within 30 s"].tolist() == [1, 1, 0, 0]
    assert table["phrase beginnings"].tolist() == [1, 1, 1, 0]
    assert word_truth(words, 4)[0, 0] == pytest.approx((0.2 + 0.29) / TR, abs=1e-6)


# --- who may know ----------------------------------------------------------------------------------------------------------------------


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {f"{node.module}.{alias.name}" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module for alias in node.names}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 60}
    return imported | strings


def test_no_training_or_model_file_reads_the_planted_weights():
    allowed = {"simulate.py", "truth_features.py", "measure.py", "clips.py", "__init__.py"}
    readers = [path for path in (ROOT / "encoder").rglob("*.py") if path.name not in allowed] + sorted((ROOT / "extractors").glob("*.py"))
    assert {"loop.py", "losses.py", "ridge.py", "published.py", "frontend.py", "checkpoints.py"} <= {path.name for path in readers}
    for path in readers:
        told = [name for name in names_in(path) if "simulate" in name or "truth_features" in name or "planted" in name]
        assert not told, f"{path.name} knows of {told}"


def test_at_least_a_third_of_what_is_planted_comes_from_code_the_streams_do_not_use():
    assert len(OWN_NAMES) >= len(TRUTH_NAMES) / 3
    tree = ast.parse((ROOT / "encoder/training/truth_features.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name != "borrowed_features":
            imported = [inner.module for inner in ast.walk(node) if isinstance(inner, ast.ImportFrom)]
            assert not [module for module in imported if module.startswith("extractors.")], node.name
    top = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert top & {"extractors.video", "extractors.audio", "extractors.text"} == set()
