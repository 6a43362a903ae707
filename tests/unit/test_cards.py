from __future__ import annotations

import pytest
import yaml

from encoder.cards import read_card, write_card
from extractors.errors import ModelError
from tests.tiny_model import tiny_card

SHA = "a" * 64


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
        read_card(card_file(id="vibe-sim", badge="VIBE"))


def test_recovery_must_name_all_seven_networks(card_file):
    figure = {"r": 0.1, "ceiling": 0.5, "parcels": 3}
    with pytest.raises(ModelError, match="seven networks"):
        read_card(card_file(recovery=[{"id": "natural", "label": "x", "valid_trs": 5, "all": figure, "networks": {"Vis": figure}}]))


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe\x00", b"- just\n- a list\n"])
def test_an_unreadable_card_is_a_model_error(tmp_path, content):
    path = tmp_path / "card.yaml"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="card"):
        read_card(path)
