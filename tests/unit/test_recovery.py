"""Recovery of the committed weights, measured again, and what the card says of it.

The natural films' streams are kept in ``tests/data/natural`` (``python -m tests.unit.test_recovery`` measures them anew).
"""

import random
import tempfile
from pathlib import Path

import numpy as np
import pytest

from encoder import from_pretrained
from encoder.atlas import load_atlas
from encoder.cards import read_card
from encoder.training.measure import Measured
from encoder.training.simulate import PlantedSubjects, Scales
from encoder.training.truth_features import TRUTH_NAMES
from experiments.natural_films import RECIPES
from experiments.recovery import natural_clips, outcome
from experiments.train import MODEL, SCALES_FILE
from extractors.features import STREAMS
from extractors.grid import valid_rows

NATURAL = Path(__file__).parents[1] / "data" / "natural"


@pytest.fixture(scope="module")
def subjects() -> PlantedSubjects:
    return PlantedSubjects(scales=Scales.load(MODEL / SCALES_FILE))


@pytest.fixture(scope="module")
def card():
    return read_card(MODEL / "card.yaml")


def invented(seed: int, rows: int = 80) -> Measured:
    rng = np.random.default_rng(seed)
    truth = (rng.exponential(1.0, (rows, len(TRUTH_NAMES))) * (rng.random((rows, 1)) < 0.5)).astype(np.float32)
    streams = {"audio": np.zeros((rows, 104), np.float32), "text": np.zeros((rows, 123), np.float32), "video": np.zeros((rows, 136), np.float32)}
    return Measured(f"invented {seed}", streams, dict.fromkeys(streams, True), truth)


@pytest.fixture(scope="module")
def oracle(subjects):
    """Clips with an outcome whose prediction is the planted signal itself."""
    clips = [invented(seed) for seed in range(5)]
    return outcome(clips, subjects, lambda features: next(signals), None) if (signals := iter([subjects.signal(c.truth) for c in clips])) else None


def test_a_perfect_model_reaches_the_ceiling_with_slope_one(oracle):
    figure = oracle.figure(np.ones(1000, bool), draws=20)
    assert figure.r == pytest.approx(figure.ceiling, abs=0.02)
    assert figure.slope == pytest.approx(1.0, abs=0.05)
    assert figure.interval[0] < figure.r < figure.interval[1]


def test_only_parcels_with_a_ceiling_above_a_fifth_count(oracle):
    counted = oracle.ceilings.mean(0) > 0.2
    assert oracle.figure(np.ones(1000, bool), interval=False).parcels == counted.sum() < 1000


def test_warm_up_and_tail_rows_are_left_out(oracle):
    assert oracle.lengths == (int(valid_rows(80, 12.0).sum()),) * 5


def test_twice_the_signal_has_the_same_recovery_and_half_the_slope(subjects):
    clips = [invented(seed) for seed in range(3)]
    signals = [subjects.signal(clip.truth) for clip in clips]
    (once, twice) = (outcome(clips, subjects, lambda _, it=iter(signals), gain=gain: gain * next(it)) for gain in (1, 2))
    everywhere = np.ones(1000, bool)
    a, b = (one.figure(everywhere, interval=False) for one in (once, twice))
    assert a.r == pytest.approx(b.r, abs=1e-3)
    assert b.slope == pytest.approx(a.slope / 2, abs=1e-3)


def test_the_card_shows_what_the_targets_ask_for(card):
    assert [report.id for report in card.recovery] == ["generated", "natural"]
    for report, share in zip(card.recovery, (0.9, 0.75), strict=True):
        assert report.all.of_ceiling >= share
        assert report.all.r > report.all.ridge
        assert 0.9 <= report.all.slope <= 1.1
        assert report.valid_trs >= 200
        assert report.all.interval[0] < report.all.r < report.all.interval[1]
    assert len(card.recovery[1].clips) >= 5
    assert all(clip.n_trs >= 40 for clip in card.recovery[1].clips)
    assert card.calibrated == "yes"
    assert "never tested" in card.accuracy
    assert "VIBE" not in card.badge
    assert (MODEL / "model.safetensors").stat().st_size <= 10_000_000


def test_recovery_on_natural_film_is_what_the_card_says(subjects, card):
    model = from_pretrained("vibe-sim", device="cpu")
    clips = [Measured.load(NATURAL / f"{recipe.id}.npz") for recipe in RECIPES]
    result = outcome(clips, subjects, model.predict)
    figure, told = result.figure(np.ones(1000, bool), interval=False), card.recovery[1]
    assert len(result.signal) == told.valid_trs >= 200
    assert [clip.n_trs for clip in clips] == [clip.n_trs for clip in told.clips]
    assert figure.r == pytest.approx(told.all.r, abs=0.02)
    assert figure.of_ceiling >= 0.75
    assert 0.9 <= figure.slope <= 1.1
    assert figure.r > told.all.ridge
    for network in ("Vis", "DorsAttn", "Default"):
        mine = result.figure(load_atlas().mask(network), interval=False)
        assert mine.r == pytest.approx(told.networks[network].r, abs=0.03), network


def test_a_natural_film_measures_as_it_is_kept(tmp_path):
    """One film of the six, another one in another order of the tests; all take most of a minute."""
    recipe = random.choice(RECIPES)
    (clip,), (line,) = natural_clips(tmp_path, only=recipe.id)
    kept = Measured.load(NATURAL / f"{recipe.id}.npz")
    assert (clip.name, clip.present, line.name, line.n_trs) == (kept.name, kept.present, recipe.title, kept.n_trs)
    for name, now in {**clip.streams, "truth": clip.truth}.items():
        before = kept.truth if name == "truth" else kept.streams[name]
        assert now.shape == before.shape
        spread = before.std(0) + 1e-6
        assert np.abs((now - before) / spread).max() < 0.5, (recipe.id, name)
        assert np.abs((now - before) / spread).mean() < 0.01, (recipe.id, name)


def keep_natural_clips() -> None:
    """Measure the natural films anew, after a change of the extractors or of the films; then ``make model``."""
    with tempfile.TemporaryDirectory() as folder:
        for clip in natural_clips(Path(folder))[0]:
            present = [clip.present[stream] for stream in STREAMS]
            np.savez_compressed(NATURAL / f"{clip.name}.npz", truth=clip.truth, present=present, **clip.streams)


if __name__ == "__main__":
    keep_natural_clips()
