from __future__ import annotations

import inspect

import pytest
import yaml

from encoder.atlas import NETWORK_NAMES
from encoder.cards import read_card, write_card
from encoder.responses import SUBJECTS
from experiments.berg import BERG
from extractors.errors import ModelError
from settings import ASSETS
from tests.tiny_model import tiny_card

SHA = "a" * 64
MODELS = ASSETS / "models"
CARDS = sorted(MODELS.glob("*/card.yaml"))
BERG_KEYS = ["model_id", "modality", "training_dataset", "species", "stimuli", "model_type", "creator"]
BERG_KEYS += ["description", "input", "output", "parameters", "references"]


@pytest.fixture
def card_file(tmp_path):
    def write(**changes):
        content = tiny_card(SHA).model_dump(mode="json")
        content.update(changes)
        path = tmp_path / "card.yaml"
        path.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not ...}))
        return path

    return write


def test_a_card_comes_back_from_disk_as_it_was(tmp_path):
    card = tiny_card(SHA, limits=["Ümlaut: and a colon", "# not a comment"])
    write_card(card, tmp_path / "card.yaml")
    assert read_card(tmp_path / "card.yaml") == card


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("badge", ...),
        ("limits", []),
        ("weights_sha256", "abc"),
        ("usual_sd", 0),
        ("calibrated", "perhaps"),
        ("surprise", 1),
        ("recovery", [{"id": "x"}]),
        ("creator", ...),
        ("description", ""),
        ("output", {"type": "x", "shape": [], "description": "x", "dimensions": []}),
        ("references", [{"a": "https://a.org", "b": "https://b.org"}]),
        ("references", [{"a": "ftp://a.org"}]),
        ("example:", {}),
    ],
)
def test_a_missing_wrong_or_unknown_field_is_named(card_file, field, value):
    with pytest.raises(ModelError, match=field) as caught:
        read_card(card_file(**{field: value}))
    assert caught.value.code == "card_invalid"


def test_a_bare_yes_in_yaml_counts_as_the_word(card_file):
    path = card_file()
    path.write_text(path.read_text().replace("calibrated: 'no'", "calibrated: yes"))
    assert read_card(path).calibrated == "yes"


def test_a_simulation_cannot_wear_the_name_of_the_published_model(card_file):
    with pytest.raises(ModelError, match="must not wear"):
        read_card(card_file(model_id="vibe-sim", badge="VIBE"))


def test_recovery_must_name_all_seven_networks(card_file):
    figure = {"r": 0.1, "ceiling": 0.5, "parcels": 3}
    with pytest.raises(ModelError, match="seven networks"):
        read_card(card_file(recovery=[{"id": "natural", "label": "x", "valid_trs": 5, "all": figure, "networks": {"Vis": figure}}]))


def parameter(**changes):
    return {"x": {"type": "str", "description": "x", "function": "encode", **changes}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"function": "encode, decode"}, "allowed functions are get_encoding_model, encode, get_model_metadata, but got 'decode'"),
        ({"valid_values": ["a", "b"], "default": "c"}, "allowed values are a, b, but got 'c'"),
        ({"type": "list", "valid_values": ["a"], "example": ["a", "d"]}, "but got 'd'"),
        ({"type": "bool", "default": "fale"}, "default must be of type bool, but got 'fale'"),
        ({"type": "int", "default": True}, "default must be of type int"),
        ({"required": True, "default": "a"}, "what is required has no default"),
        ({"properties": {"y": {"type": "bool", "default": "no?", "description": "y"}}}, "x.properties.y"),
    ],
)
def test_a_parameter_whose_values_contradict_each_other_is_refused_in_words(card_file, changes, said):
    with pytest.raises(ModelError) as caught:
        read_card(card_file(parameters=parameter(**changes)))
    assert said in str(caught.value)
    assert read_card(card_file(parameters=parameter())).parameters["x"].functions == ("encode",)


def test_a_key_that_stands_twice_is_refused_and_not_silently_overwritten(card_file):
    path = card_file()
    path.write_text(path.read_text() + "creator: somebody else\n")
    with pytest.raises(ModelError, match="'creator' twice"):
        read_card(path)


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.parent.name)
def test_every_card_that_comes_with_the_program_has_what_bergs_cards_have(path):
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(BERG_KEYS) <= set(content)
    card = read_card(path)
    asked = {name for name, parameter in card.parameters.items() if "encode" in parameter.functions}
    assert {"transcripts", "video_path", "subject", "return_metadata"} <= asked
    assert card.parameters["device"].functions == ("get_encoding_model",)
    assert set(card.parameters["selection"].properties) == {"roi", "parcel_index", "parcels"}
    assert tuple(card.parameters["selection"].properties["roi"].valid_values) == NETWORK_NAMES
    assert tuple(card.parameters["subject"].valid_values) == SUBJECTS
    assert card.output.shape[-1] == 1000


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.parent.name)
def test_every_parameter_of_a_card_is_an_argument_of_the_call_it_names_with_that_default(path):
    for name, parameter in read_card(path).parameters.items():
        for function in parameter.functions:
            argument = inspect.signature(getattr(BERG, function)).parameters[name]
            if parameter.default is not None and name != "model_variant":  # the card's own default stands for None there
                assert argument.default == parameter.default, (function, name)


def test_the_published_card_names_its_figures_as_those_of_an_ensemble_and_the_rest_as_unknown():
    card = read_card(MODELS / "vibe" / "card.yaml")
    assert (card.id, card.simulated, card.calibrated, card.weights_sha256) == ("fmri-cneuromod_algo2025-vibe", False, "unknown", None)
    assert [metric.value for metric in card.performance.metrics] == [0.3193, 0.2122]
    assert "ensemble" in card.performance.metrics[0].description
    assert "One checkpoint alone: unknown" in " ".join(card.accuracy.split())
    assert not card.recovery
    assert 36e9 < sum(card.downloads.values()) < 38e9
    assert "CINEGLASS_VJEPA_STATES" in " ".join(card.limits)


def test_the_embedded_model_answers_to_the_published_models_calls():
    ours, theirs = (read_card(MODELS / name / "card.yaml") for name in ("vibe-sim", "vibe"))
    assert set(theirs.parameters) - set(ours.parameters) == {"model_variant"}
    assert all(theirs.parameters[name] == parameter for name, parameter in ours.parameters.items())


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe\x00", b"- just\n- a list\n"])
def test_an_unreadable_card_is_a_model_error(tmp_path, content):
    path = tmp_path / "card.yaml"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="card"):
        read_card(path)
