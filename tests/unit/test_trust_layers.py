"""Agreement, recovery and ceiling parcel by parcel, and what the Subjects tab is told."""

from __future__ import annotations

import base64
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from encoder.atlas import load_atlas
from encoder.cards import Card, read_card
from encoder.checkpoints import MODELS
from encoder.curves import curve_ids
from encoder.domain import UNKNOWN
from encoder.responses import Responses
from encoder.training.measure import Measured
from encoder.training.simulate import PlantedSubjects, Scales
from encoder.training.truth_features import TRUTH_NAMES
from experiments.references import FILE, MODEL, References, references_of
from experiments.train import SCALES_FILE
from experiments.trust_layers import INVENTED, LEARNED, NO_CHANCE, NO_REFERENCE, WEAK, layers, trust
from extractors.errors import ModelError
from extractors.grid import valid_rows
from viz.trust import pack_trust

ROWS = 60
CARD = read_card(MODELS / "vibe-sim" / "card.yaml")
PUBLISHED = read_card(MODELS / "vibe" / "card.yaml")
CURVES = [name for name in curve_ids() if not name.endswith(("-L", "-R"))]


def responses(**changes) -> Responses:
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((1, ROWS, 1000))
    values = (shared + 0.7 * rng.standard_normal((4, ROWS, 1000))).astype(np.float32)
    usual = {
        "values": values,
        "subjects": (1, 2, 3, 5),
        "simulated": True,
        "valid": valid_rows(ROWS, 12.0),
        "model_id": "vibe-sim",
        "model_title": "t",
        "weights_sha256": CARD.weights_sha256,
        "extractor_ids": {},
        "clip_sha256": "c",
        "clip_name": "n",
        "duration": 90.0,
        "present": {},
        "transcript_source": "none",
    }
    return Responses(**usual | changes)


def decoded(layer: dict) -> np.ndarray:
    codes = np.frombuffer(base64.b64decode(layer["data"]), np.int8).astype(float)
    return np.where(codes == -128, np.nan, codes * layer["scale"])


def by_id(found: list[dict]) -> dict[str, dict]:
    return {layer["id"]: layer for layer in found}


def mean_pairs(values: np.ndarray) -> float:
    """numpy's own correlations of [S, T], mean over the pairs."""
    matrix = np.corrcoef(values)
    return float(matrix[np.triu_indices(len(matrix), 1)].mean())


def test_the_map_of_agreement_is_the_mean_pairwise_correlation_over_the_valid_rows():
    told = responses()
    layer = by_id(layers(told))["agreement"]
    expected = [mean_pairs(told.values[:, told.valid, parcel]) for parcel in range(0, 1000, 50)]
    np.testing.assert_allclose(decoded(layer)[::50], expected, atol=0.006)
    assert not layer["signed"]
    assert layer["subject"] is None
    assert layer["range"] == 1.0


def test_agreement_of_curves_and_of_windows_is_that_of_the_curves():
    told = responses()
    found = trust(told, CARD)
    assert found["ids"] == CURVES
    rows = np.flatnonzero(told.valid)
    for name in ("Vis", "Auditory"):
        curve = np.stack([told.values[subject][:, load_atlas().mask(name)].mean(1) for subject in range(4)]).astype(np.float64)
        assert found["agreement"][CURVES.index(name)] == pytest.approx(mean_pairs(curve[:, told.valid]), abs=1e-3)
        codes = np.frombuffer(base64.b64decode(found["windows"]["data"]), np.int8).reshape(len(CURVES), -1)
        first = mean_pairs(curve[:, rows[0] : rows[0] + 20])
        assert codes[CURVES.index(name), 0] * found["windows"]["scale"] == pytest.approx(first, abs=0.006)
    assert found["windows"]["centres"][0] == rows[0] + 9.5
    assert len(found["windows"]["centres"]) == len(rows) - 19


def test_recovery_and_ceiling_have_one_map_for_each_subject_with_one_range_and_fade_where_weak():
    found = by_id(layers(responses()))
    ids = [f"{name}-{subject}" for name in ("recovery", "ceiling") for subject in ("sim1", "sim2", "sim3", "sim5")]
    assert set(ids) <= set(found)
    assert len({found[id]["range"] for id in ids}) == 1
    assert {found[id]["fade"] for id in ids} == {WEAK}
    assert all(found[id]["subject"] == id.split("-")[1] for id in ids)
    kept = References.load(MODEL / FILE)
    np.testing.assert_allclose(decoded(found["recovery-sim2"]), kept.recovery[1], atol=0.004)
    np.testing.assert_allclose(decoded(found["ceiling-sim5"]), kept.ceiling[3], atol=0.004)
    chosen = by_id(layers(responses().select((5,))))
    assert "recovery-sim5" in chosen
    assert "recovery-sim1" not in chosen
    assert "agreement" not in chosen
    np.testing.assert_allclose(decoded(chosen["recovery-sim5"]), kept.recovery[3], atol=0.004)


def test_the_word_accuracy_is_not_used_of_the_simulation():
    for layer in layers(responses()):
        assert "accuracy" not in layer["label"]
        assert "accuracy" not in layer["id"]


def test_the_references_belong_to_the_weights_and_agree_with_the_card():
    kept = references_of("vibe-sim", CARD.weights_sha256)
    generated = next(part for part in CARD.recovery if part.id == "generated")
    counted = kept.ceiling.mean(0) > 0.2
    assert kept.rows == generated.valid_trs
    assert kept.ceiling[:, counted].mean() == pytest.approx(generated.all.ceiling, abs=1e-3)
    assert kept.recovery[:, counted].mean() == pytest.approx(generated.all.r, abs=2e-3)
    for name, figure in generated.networks.items():
        mask = load_atlas().mask(name) & counted
        mask = mask if mask.any() else load_atlas().mask(name)
        assert kept.recovery[:, mask].mean() == pytest.approx(figure.r, abs=2e-3), name


def test_the_kept_ceiling_and_planted_agreement_are_those_of_the_planted_subjects():
    """On other stimuli, so roughly: what the generative model itself says of parcels and subjects."""
    subjects = PlantedSubjects(scales=Scales.load(MODEL / SCALES_FILE))
    kept = References.load(MODEL / FILE)
    known = subjects.amplitudes / np.sqrt(subjects.amplitudes**2 + subjects.noise_sd**2)
    for subject in range(4):
        assert np.corrcoef(kept.ceiling[subject], known[subject])[0, 1] > 0.9
    rng = np.random.default_rng(1)
    clip = Measured("x", {}, {}, (rng.exponential(1.0, (80, len(TRUTH_NAMES))) * (rng.random((80, 1)) < 0.5)).astype(np.float32))
    signal = subjects.signal(clip.truth)[:, 15:]
    agreement = [mean_pairs(signal[:, :, parcel]) for parcel in range(0, 1000, 40)]
    assert abs(np.mean(agreement) - kept.planted[::40].mean()) < 0.05
    assert kept.planted_curves.min() > 0.9 > kept.noisy_curves.mean()


def test_planted_agreement_stands_beside_the_simulation_and_the_tab_says_who_invented_the_differences():
    found = trust(responses(), CARD)
    kept = References.load(MODEL / FILE)
    assert found["reference_label"] == "planted"
    assert found["reference"] == pytest.approx([kept.planted_curves[curve_ids().index(name)] for name in CURVES], abs=1e-4)
    assert found["said"][0] == INVENTED
    assert NO_CHANCE in found["said"]
    assert any("Planted" in text and "held-out generated film" in text for text in found["said"])


def test_a_published_model_has_no_reference_and_its_accuracy_is_unknown_in_every_parcel():
    told = responses(simulated=False, model_id="vibe")
    found = by_id(layers(told))
    assert set(found) == {"agreement", "card-accuracy"}
    assert np.isnan(decoded(found["card-accuracy"])).all()
    assert "Nobody has measured" in found["card-accuracy"]["note"]
    said = trust(told, PUBLISHED)
    assert said["reference"] is None
    assert NO_REFERENCE in said["said"]
    assert said["said"][0] == LEARNED
    assert INVENTED not in said["said"]


def test_a_measured_correlation_between_people_is_the_reference_where_the_card_has_one():
    told = responses(simulated=False, model_id="vibe")
    card = PUBLISHED.model_copy(update={"intersubject": SimpleNamespace(source="A paper.", curves={"Vis": 0.31})})
    found = trust(told, card)
    assert found["reference_label"] == "measured"
    assert found["reference"][CURVES.index("Vis")] == 0.31
    assert found["reference"][CURVES.index("Cont")] is None
    assert any("A paper." in text for text in found["said"])


@pytest.mark.parametrize("curves", [{"Nowhere": 0.3}, {"Vis": 1.4}, {}], ids=["unknown", "too-large", "none"])
def test_a_card_with_impossible_correlations_between_people_is_refused(curves):
    content = PUBLISHED.model_dump(mode="json", exclude_none=True) | {"intersubject": {"source": "A paper.", "curves": curves}}
    with pytest.raises(ValueError, match="intersubject"):
        Card.model_validate(content)


def test_other_weights_of_the_same_id_have_no_planted_reference():
    told = responses(weights_sha256="0" * 64)
    assert set(by_id(layers(told))) == {"agreement"}
    assert trust(told, CARD)["reference"] is None
    assert references_of("elsewhere", CARD.weights_sha256) is None


def test_one_subject_has_no_agreement_and_a_constant_curve_is_unknown():
    alone = trust(responses().select((2,)), CARD)
    assert alone["ids"] == []
    assert alone["agreement"] == []
    assert alone["domain"] == [UNKNOWN]
    values = responses().values.copy()
    values[1] = 0.0
    flat = trust(replace(responses(), values=values), CARD)
    assert flat["agreement"] == [None] * len(CURVES)
    assert any("unknown" in text for text in flat["said"])


def test_a_clip_too_short_for_a_window_has_none_and_no_valid_row_means_all_rows():
    told = replace(responses(), valid=np.zeros(ROWS, bool))
    assert trust(told, CARD)["agreement"][0] is not None
    short = responses()
    short = replace(short, values=short.values[:, :24], valid=valid_rows(24, 0.0))
    found = trust(short, CARD)
    assert found["windows"]["centres"] == []
    assert found["windows"]["data"] == ""
    assert found["agreement"][0] is not None


def test_the_range_of_differences_is_that_of_the_subjects_from_their_mean():
    told = responses()
    rest = (told.values - told.values.mean(0))[:, told.valid]
    assert trust(told, CARD)["difference_range"] == pytest.approx(np.percentile(np.abs(rest), 98), rel=1e-3)


def test_what_the_clip_was_found_to_be_is_passed_on():
    told = replace(responses(), extra={"domain": {"audio": {"sentence": "Sound: as in training."}}})
    found = trust(told, CARD)
    assert found["domain"] == ["Sound: as in training."]
    assert "distance" in found["about_domain"]


def test_windows_that_do_not_fit_their_curves_are_refused():
    with pytest.raises(ValueError, match="Windows must have shape"):
        pack_trust(agreement={"Vis": 0.5}, windows=np.zeros((3, 2)), centres=[1, 2, 3])


def test_the_job_names_a_model_that_is_not_there(tmp_path):
    from experiments.references import job

    with pytest.raises(ModelError):
        list(job(model=tmp_path, work=tmp_path))
