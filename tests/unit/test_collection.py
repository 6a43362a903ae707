"""The list of published variants: asked for, remembered, and never believed beyond its form."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder import collection
from encoder.collection import KNOWN, Variant, is_variant, variants
from extractors.hub_files import is_repository
from settings import Settings
from tests.hub_server import Repository, hub_server, using_hub

OTHER = "ShreyDixit/VIBE-Qwen2.5-7B"
FILES = {"config.json": b"{}", "model.safetensors": b"x" * 1000}


@pytest.fixture
def settings(tmp_path):
    return Settings(cache_dir=tmp_path / "cache")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with hub_server() as hub, using_hub(hub, tmp_path / "hub", monkeypatch):
        yield hub


def answer(*names, kind="model"):
    return {"slug": "ShreyDixit/vibe", "items": [{"_id": "0", "id": name, "type": kind, "position": k} for k, name in enumerate(names)]}


def ids(found):
    return [variant.id for variant in found]


def test_without_being_asked_the_hub_is_left_alone_and_the_known_variant_is_there(hub, settings):
    assert variants(settings) == (Variant(KNOWN),)
    assert is_variant(KNOWN, settings)
    assert not is_variant(OTHER, settings)
    assert hub.seen == []


def test_the_collections_list_is_remembered_for_when_the_network_is_gone(hub, settings, tmp_path, monkeypatch):
    hub.collection = answer(OTHER, KNOWN)
    hub.repositories[OTHER] = Repository(dict(FILES))
    found = variants(settings, ask=True)
    assert ids(found) == [KNOWN, OTHER]
    assert [variant.bytes for variant in found] == [None, 1002]
    assert not any(variant.from_memory for variant in found)
    with using_hub(None, tmp_path / "hub", monkeypatch):
        for ask in (False, True):
            again = variants(settings, ask=ask)
            assert ids(again) == [KNOWN, OTHER]
            assert [variant.bytes for variant in again] == [None, 1002]
            assert all(variant.from_memory and variant.asked for variant in again)
    assert is_variant(OTHER, settings)


def test_offline_and_never_asked_the_known_variant_is_there(tmp_path, monkeypatch, settings):
    with using_hub(None, tmp_path / "hub", monkeypatch):
        assert variants(settings, ask=True) == (Variant(KNOWN),)
        from huggingface_hub import constants

        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        assert variants(settings, ask=True) == (Variant(KNOWN),)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b'{"items": 3}',
        b'{"items": [3, null, {"id": 4}]}',
        b"[" * 100_000,
        b'{"items": [' + b" " * 2**21 + b"]}",
    ],
)
def test_an_answer_that_is_no_list_of_models_changes_nothing(hub, settings, body):
    hub.collection = body
    assert variants(settings, ask=True) == (Variant(KNOWN),)


def test_strange_names_other_owners_and_other_kinds_are_left_out(hub, settings):
    strange = (
        "../../etc/passwd",
        "ShreyDixit/..",
        "ShreyDixit/a b",
        "ShreyDixit/<script>",
        "Somebody/VIBE",
        "ShreyDixit/" + "x" * 300,
        7,
        OTHER,
        OTHER,
    )
    hub.collection = answer(*strange)
    assert ids(variants(settings, ask=True)) == [OTHER]
    hub.collection = answer(KNOWN, kind="dataset")
    assert ids(variants(settings, ask=True)) == [OTHER]


def test_a_huge_list_is_cut(hub, settings):
    hub.collection = answer(*(f"ShreyDixit/V{k}" for k in range(5000)), KNOWN)
    found = variants(settings, ask=True)
    assert len(found) == collection.VARIANTS_MAX
    assert found[0].id == KNOWN


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=20) | st.just(KNOWN), lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner)
    )
)
def test_a_memory_that_was_changed_by_somebody_never_breaks_the_list(tmp_path_factory, value):
    settings = Settings(cache_dir=tmp_path_factory.mktemp("cache"))
    for content in (value, {"asked": "2026-01-01", "models": value}):
        (settings.cache_dir / "variants.json").write_text(json.dumps(content))
        found = variants(settings)
        assert found
        assert all(is_repository(variant.id) for variant in found)


def test_a_cache_that_cannot_be_written_costs_only_the_memory(hub, tmp_path):
    (tmp_path / "file").write_text("")
    hub.collection = answer(KNOWN, OTHER)
    settings = Settings(cache_dir=tmp_path / "file")
    assert ids(variants(settings, ask=True)) == [KNOWN, OTHER]
    assert ids(variants(settings)) == [KNOWN]
