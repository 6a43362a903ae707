"""What each model's state is on this machine, without asking anybody."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from encoder.cards import read_card
from experiments import models as models_module
from experiments.card_text import WIDTH, card_lines
from experiments.models import Missing, card_of, download_model, list_models, missing_of, model_plan, state_of, whole
from extractors.errors import ModelError
from extractors.stages import Stage
from settings import ASSETS, Settings
from tests.tiny_model import tiny_model
from tests.tiny_vibe import tiny_vibe

KNOWN = "ShreyDixit/VIBE-Qwen2.5-14B"
BACKBONES = ("Qwen/Qwen2.5-14B", "facebook/vjepa2-vitg-fpc64-256", "MIT/ast-finetuned-audioset-10-10-0.4593")


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    """An empty hub cache, and a network that fails the test when it is asked."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was asked"))


@pytest.fixture(scope="module")
def vibe(tmp_path_factory):
    return tiny_vibe(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def settings(tmp_path):
    return Settings(cache_dir=tmp_path / "cache", memory_gb=4, gpu_memory_gb=4, device="cpu")


def in_hub(tmp_path: Path, name: str, folder: Path) -> None:
    """Put a folder's files where the hub's cache would have them."""
    storage = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
    shutil.copytree(folder, storage / "snapshots" / ("a" * 40), ignore=shutil.ignore_patterns("backbones"))
    (storage / "refs").mkdir()
    (storage / "refs" / "main").write_text("a" * 40)


def test_an_installation_with_nothing_but_itself_offers_the_embedded_model_and_says_what_the_published_one_costs(settings):
    embedded, published = list_models(settings)
    assert (embedded.id, embedded.state, embedded.why, embedded.way_out) == ("vibe-sim", "ready", "", "")
    assert (published.id, published.state, published.badge) == (KNOWN, "downloadable", "VIBE (published)")
    assert published.size_bytes == sum(read_card(ASSETS / "models" / "vibe" / "card.yaml").downloads.values())
    for name in (KNOWN, *BACKBONES):
        assert name in published.why
    assert published.way_out == f"Get them with: python cli.py download-model {KNOWN}"
    assert not published.card.simulated


def test_the_list_loads_no_torch():
    code = "import sys; from experiments.models import list_models; list_models(); print('torch' in sys.modules, 'transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ASSETS.parent, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_folder_with_everything_is_ready_and_one_entry_of_the_settings_each(settings, vibe, tmp_path):
    other = tiny_model(tmp_path / "other", title="Another")
    both = settings.model_copy(update={"models": f" {vibe} , {other},{vibe},", "model": "vibe-sim"})
    states = list_models(both)
    assert [state.id for state in states] == ["vibe-sim", KNOWN, str(vibe), str(other)]
    assert [state.state for state in states] == ["ready", "downloadable", "ready", "ready"]
    assert states[2].shown_id == "tiny"
    assert states[3].title == "Another"


def test_a_model_whose_backbones_are_missing_counts_only_those(settings, vibe, tmp_path):
    half = tmp_path / "half"
    shutil.copytree(vibe, half)
    values = json.loads((half / "config.json").read_text())
    (half / "config.json").write_text(json.dumps({**values, "audio_extractor": BACKBONES[2], "text_extractor": "some/where"}))
    state = state_of(str(half), settings)
    assert state.state == "downloadable"
    assert state.size_bytes is None, "nobody here knows how large some/where is"
    assert state.way_out == f"Get them with: python cli.py download-model some/where; python cli.py download-model {BACKBONES[2]}"
    assert str(tmp_path) not in state.why + state.way_out
    assert missing_of(str(half), settings) == (Missing("some/where", None), Missing(BACKBONES[2], 350_000_000))


def test_a_model_that_does_not_fit_is_not_for_this_machine(settings, vibe):
    state = state_of(str(vibe), settings.model_copy(update={"memory_gb": 0.001, "gpu_memory_gb": 0.001}))
    assert state.state == "unavailable"
    assert "memory" in state.why
    assert state.way_out


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "config.json").write_text("{"), "config.json"),
        (lambda folder: (folder / "config.json").unlink(), "config.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors"),
        (lambda folder: (folder / "model.safetensors").rename(folder / "model.pt"), "model.pt"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\0" * 9), "model.safetensors"),
        (lambda folder: (folder / "card.yaml").write_text("title: only"), "card.yaml"),
        (lambda folder: shutil.rmtree(folder / "backbones" / "text"), "lacks backbones/text"),
        (lambda folder: (folder / "backbones" / "text" / "model.safetensors").write_bytes(b"\0" * 9), "damaged"),
    ],
)
def test_a_broken_entry_is_unavailable_with_its_sentence_and_harms_no_other(settings, vibe, tmp_path, spoil, said):
    folder = tmp_path / "broken"
    shutil.copytree(vibe, folder)
    spoil(folder)
    states = list_models(settings.model_copy(update={"models": f"{folder},{tmp_path / 'nowhere'}"}))
    assert [state.state for state in states] == ["ready", "downloadable", "unavailable", "unavailable"]
    assert said in states[2].why
    assert states[2].way_out
    assert "download-model" not in states[2].way_out  # nobody but the folder's owner can mend it
    assert str(tmp_path) not in " ".join(state.why + state.way_out + state.title for state in states)


def test_a_fault_of_the_program_is_a_plain_sentence_too(settings, monkeypatch, caplog):
    monkeypatch.setattr(models_module, "missing_of", lambda *_: 1 / 0)
    state = state_of("vibe-sim", settings)
    assert state.state == "unavailable"
    assert "division" not in state.why
    assert "ZeroDivisionError" in caplog.text


def test_an_ensemble_is_as_far_as_its_members_are(settings, vibe, tmp_path):
    second = tiny_vibe(tmp_path / "second", seed=3)
    shutil.rmtree(second / "backbones")
    (second / "backbones").symlink_to(vibe / "backbones")
    ready, mixed = (state_of(f"{vibe}+{other}", settings) for other in (second, "some/where"))
    assert ready.state == "ready"
    assert ready.title == "tiny + second"
    assert ready.shown_id == "tiny+second"
    assert mixed.state == "downloadable"
    assert missing_of(f"{vibe}+some/where", settings) == (Missing("some/where", None),)


def test_a_published_model_in_the_hubs_cache_names_its_backbones(settings, vibe, tmp_path):
    in_hub(tmp_path, "some/vibe", vibe)
    values = json.loads((vibe / "config.json").read_text())
    config = tmp_path / "hub" / "models--some--vibe" / "snapshots" / ("a" * 40) / "config.json"
    config.write_text(json.dumps({**values, "text_extractor": BACKBONES[0], "audio_extractor": BACKBONES[2], "video_extractor": BACKBONES[1]}))
    assert [part.source for part in missing_of("some/vibe", settings)] == list(BACKBONES)
    in_hub(tmp_path, BACKBONES[2], vibe / "backbones" / "audio")
    assert [part.source for part in missing_of("some/vibe", settings)] == list(BACKBONES[:2])
    assert missing_of(BACKBONES[2], settings) == (), "a backbone may be fetched by itself and needs nothing more"


def test_what_is_not_whole_is_refused_with_its_cost_and_the_way_out(settings):
    for ask in (lambda: whole(KNOWN, settings), lambda: model_plan(KNOWN, duration_s=60, settings=settings)):
        with pytest.raises(ModelError) as caught:
            ask()
        assert "about 36.6 GB" in str(caught.value)
        assert f"download-model {KNOWN}" in caught.value.hint


def test_a_plan_is_made_for_published_models_only(settings, vibe):
    assert model_plan("vibe-sim", duration_s=60, settings=settings) is None
    plan = model_plan(vibe, duration_s=60, settings=settings)
    assert plan.ok
    assert {part.name for part in plan.parts} == {"audio", "text", "video", "predictor"}


def test_a_download_fetches_what_is_missing_in_order_and_then_the_phrase(settings, monkeypatch):
    fetched = []

    def download(source):
        yield Stage("download", 1, 1, source)
        fetched.append(source)

    monkeypatch.setattr(models_module, "download", download)
    monkeypatch.setattr(models_module, "priming_phrase", lambda _: fetched.append("phrase"))
    *stages, names = download_model(KNOWN, settings)
    assert fetched == [KNOWN, *BACKBONES, "phrase"]
    assert names == (KNOWN, *BACKBONES)
    assert {stage.name for stage in stages} == {"download", "phrase"}
    fetched.clear()
    assert list(download_model("vibe-sim", settings)) == [()]
    assert not fetched


def test_a_card_is_there_before_the_weights_are(settings):
    assert card_of(KNOWN, settings).model_id == KNOWN
    assert card_of("vibe-sim", settings).simulated
    assert card_of("some/where", settings).accuracy.startswith("unknown")


def test_a_card_is_printed_whole_and_within_the_width_of_a_terminal(settings):
    for id in ("vibe-sim", KNOWN):
        card, lines = card_of(id, settings), card_lines(card_of(id, settings))
        text = " ".join(" ".join(lines).split())
        assert max(len(line) for line in lines if "http" not in line) <= WIDTH
        assert ("SIMULATED" in text) == card.simulated
        for told in (*card.limits, *card.citation, card.description, card.accuracy, card.licence, card.resources, card.loss, *card.parameters):
            assert " ".join(told.split()) in text
        for reference in card.references:
            assert next(iter(reference.values())) in text
