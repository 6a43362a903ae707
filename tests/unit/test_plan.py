"""The plan of a run: which part where, and what is said when it cannot be."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from encoder import plan as planning
from encoder.checkpoints import read_model
from encoder.models.published import PublishedVIBE
from encoder.models.published_config import PublishedVIBEConfig
from encoder.plan import make_plan, plan_for
from extractors.backbone import Backbone
from extractors.errors import ModelError
from extractors.hub_files import find_local
from extractors.warm import WarmPool, bytes_of
from settings import Settings
from tests.tiny_vibe import tiny_vibe

GB = 1e9


def files_of(folder, **changes):
    files = read_model(folder)
    return replace(files, config=replace(files.config, **changes))


def hollow(folder, model, dtype, config):
    """A model's folder whose weights file has the right header and no numbers (the file is sparse)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    header, end = {}, 0
    for name, tensor in model.state_dict().items():
        start, end = end, end + tensor.numel() * {"F32": 4, "BF16": 2}[dtype]
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The published shapes, without their numbers."""
    from transformers import ASTConfig, ASTForAudioClassification, Qwen2Config, Qwen2ForCausalLM, VJEPA2Config, VJEPA2Model

    folder = tmp_path_factory.mktemp("published")
    text = Qwen2Config(
        vocab_size=152064,
        hidden_size=5120,
        intermediate_size=13824,
        num_hidden_layers=48,
        num_attention_heads=40,
        num_key_value_heads=8,
        max_position_embeddings=131072,
    )
    audio, video = ASTConfig(), VJEPA2Config(hidden_size=1408, num_hidden_layers=40, num_attention_heads=22, mlp_ratio=48 / 11)
    with torch.device("meta"):
        hollow(folder / "text", Qwen2ForCausalLM(text), "BF16", text.to_dict())
        hollow(folder / "audio", ASTForAudioClassification(audio), "F32", audio.to_dict())
        hollow(folder / "video", VJEPA2Model(video), "F32", video.to_dict())
        hollow(folder, PublishedVIBE(PublishedVIBEConfig()), "F32", PublishedVIBEConfig().to_dict())
    return files_of(folder, text_extractor="text", audio_extractor="audio", video_extractor="video")


@pytest.fixture(autouse=True)
def speed(monkeypatch):
    """Known speeds, so that plans do not depend on the machine."""
    monkeypatch.setattr(planning, "throughput", lambda device, dtype: 1e11 if device == "cpu" else 1e14)


def placed(plan):
    return {part.name: f"{part.device} {part.dtype}" for part in plan.parts}


ALL_GPU = {"audio": "cuda float32", "text": "cuda float16", "video": "cuda bfloat16", "predictor": "cuda float32"}
ALL_CPU = dict.fromkeys(ALL_GPU, "cpu float32")


@pytest.mark.parametrize(
    ("gpu", "host", "low_mem", "where", "one_at_a_time"),
    [
        (80, 64, False, ALL_GPU, False),
        (80, 64, True, ALL_GPU, True),
        (30, 64, False, ALL_GPU, True),
        (24, 64, False, {**ALL_GPU, "text": "cpu float32"}, True),
        (24, 40, False, {**ALL_GPU, "text": "cpu bfloat16"}, True),
        (2.2, 64, False, {**ALL_CPU, "audio": "cuda float32"}, True),
        (0.1, 128, False, ALL_CPU, False),
        (None, 128, False, ALL_CPU, False),
        (None, 60, False, ALL_CPU, True),
        (None, 40, False, {**ALL_CPU, "text": "cpu bfloat16"}, True),
    ],
)
def test_the_best_plan_that_fits_is_chosen(published, gpu, host, low_mem, where, one_at_a_time):
    free = {"host": host * GB} | ({"gpu": gpu * GB} if gpu else {})
    plan = plan_for(planning._needs(published, 60.0), device="cuda" if gpu else "cpu", free=free, low_mem=low_mem)
    assert plan.ok, plan.problem
    assert placed(plan) == where
    assert plan.low_mem is one_at_a_time
    assert plan.peak_gpu <= (gpu or 0) * GB
    assert plan.peak_host <= host * GB
    assert plan.placement("text").keep is not one_at_a_time


def test_a_smaller_batch_comes_before_a_slower_place(published):
    needs = planning._needs(published, 60.0)
    roomy = plan_for(needs, device="cuda", free={"gpu": 80 * GB, "host": 64 * GB}, low_mem=True)
    tight = plan_for(needs, device="cuda", free={"gpu": 3.2 * GB, "host": 64 * GB}, low_mem=True)
    assert roomy.placement("video").batch == 8
    assert tight.part("video").device == "cuda"
    assert 1 <= tight.placement("video").batch < 8


def test_after_a_lack_of_memory_ever_less_stands_on_the_gpu_until_nothing_is_left(published):
    plan = plan_for(planning._needs(published, 60.0), device="cuda", free={"gpu": 80 * GB, "host": 64 * GB}, low_mem=False)
    on_gpu = []
    while plan is not None:
        assert plan.ok
        on_gpu.append((not plan.low_mem, sum(part.on_gpu for part in plan.parts)))
        plan = plan.next()
    assert on_gpu[0] == (True, 4)
    assert on_gpu[-1] == (False, 0)
    assert [count for _, count in on_gpu] == sorted((count for _, count in on_gpu), reverse=True)
    assert len(set(on_gpu)) == len(on_gpu)


def test_published_shapes_give_the_known_sizes(published):
    plan = plan_for(planning._needs(published, 60.0), device="cuda", free={"gpu": 200 * GB, "host": 64 * GB}, low_mem=False)
    text, video, audio = plan.part("text"), plan.part("video"), plan.part("audio")
    # 14.77 billion parameters, of which the head that makes logits (152064 x 5120) is not loaded
    assert text.parameters == pytest.approx(14.77e9 - 152064 * 5120, rel=0.001)
    assert text.load_bytes == 2 * text.parameters
    assert 27 * GB < text.load_bytes < 29 * GB
    assert text.disk_bytes == pytest.approx(29.54 * GB, rel=0.001)
    assert video.parameters == pytest.approx(1.01e9, rel=0.03)
    assert audio.parameters == pytest.approx(86e6 * 11 / 12, rel=0.03)
    assert plan.part("predictor").parameters == 633_324_551 + 256  # and the table of rotary frequencies


def test_planning_takes_less_than_a_second(published):
    settings = Settings(device="cpu", memory_gb=100)
    make_plan(published, duration_s=60.0, settings=settings)
    started = time.perf_counter()
    make_plan(published, duration_s=600.0, settings=settings)
    assert time.perf_counter() - started < 1.0


def test_longer_clips_never_need_less(published):
    def at(duration):
        return make_plan(published, duration_s=duration, settings=Settings(device="cpu", memory_gb=500))

    plans = [at(duration) for duration in (20.0, 60.0, 300.0, 900.0)]
    for shorter, longer in pairwise(plans):
        assert longer.seconds > shorter.seconds
        assert longer.peak_host >= shorter.peak_host
        assert longer.part("text").work_bytes > shorter.part("text").work_bytes
        assert longer.part("video").work_bytes == shorter.part("video").work_bytes  # windows are bounded by the batch


def test_what_does_not_fit_is_said_with_sizes_and_a_way_out(published):
    plan = make_plan(published, duration_s=60.0, settings=Settings(device="cpu", memory_gb=22))
    assert not plan.ok
    assert plan.next() is None
    assert "needs 28" in plan.problem
    assert "for text" in plan.problem
    assert "has 22.0 GB free" in plan.problem
    assert "smaller variant" in plan.way_out


def test_the_table_names_every_part_and_says_that_it_estimates(published):
    plan = make_plan(published, duration_s=60.0, settings=Settings(device="cpu", memory_gb=40))
    lines = plan.lines()
    assert [row["part"] for row in plan.rows()] == ["Sound", "Words", "Picture", "Brain model"]
    assert set(plan.rows()[0]) == {"part", "model", "where", "numbers", "memory", "time"}
    assert len(lines) >= 6
    assert "estimate" in lines[5]
    assert any("numbers differ slightly" in note for note in plan.notes)
    assert any("bake" in note for note in plan.notes)
    assert str(published.folder) not in "\n".join(lines)


def test_missing_backbones_are_named_with_their_sizes_and_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = tiny_vibe(tmp_path / "model")
    files = files_of(folder, text_extractor="Qwen/Qwen2.5-14B", video_extractor="facebook/vjepa2-vitg-fpc64-256")
    card = files.card.model_copy(update={"downloads": {"Qwen/Qwen2.5-14B": 29_540_000_000}})
    plan = make_plan(replace(files, card=card), duration_s=60.0, settings=Settings(device="cpu"))
    assert not plan.ok
    assert "Qwen/Qwen2.5-14B (29.5 GB) and facebook/vjepa2-vitg-fpc64-256, which are not on this machine" in plan.problem
    assert "python cli.py download-model Qwen/Qwen2.5-14B && python cli.py download-model facebook/vjepa2" in plan.way_out
    assert plan.lines() == [plan.problem, plan.way_out]
    from_the_hub = replace(files, local=replace(files.local, source="ShreyDixit/VIBE-Qwen2.5-14B"))
    way_out = make_plan(from_the_hub, duration_s=60.0, settings=Settings(device="cpu")).way_out
    assert way_out.endswith("python cli.py download-model ShreyDixit/VIBE-Qwen2.5-14B")  # fetches what it stands on too


def test_a_backbone_of_another_kind_is_said_before_anything_loads(tmp_path):
    folder = tiny_vibe(tmp_path / "model")
    plan = make_plan(files_of(folder, text_extractor="backbones/audio"), duration_s=60.0, settings=Settings(device="cpu"))
    assert not plan.ok
    assert "must be of the kind qwen2, but audio is audio-spectrogram-transformer" in plan.problem.replace("backbones/", "")


def test_a_device_that_is_not_here_is_an_error(published):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ModelError) as caught:
        make_plan(published, duration_s=60.0, settings=Settings(device="cuda"))
    assert caught.value.code == "device_missing"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_take_as_much_memory_as_planned(tmp_path, dtype):
    folder = tiny_vibe(tmp_path / "model")
    needs = planning._needs(files_of(folder), 60.0)
    pool = WarmPool()
    for name, model_class, changes in (
        ("text", "Qwen2Model", {}),
        ("audio", "ASTModel", {"num_hidden_layers": 2}),
        ("video", "VJEPA2Model", {}),
    ):
        local = find_local(f"backbones/{name}", beside=folder)
        placement = planning.Placement(dtype=dtype)
        with Backbone(local, model_class, placement=placement, changes=changes, pool=pool).using(lambda *_: None) as module:
            assert needs[name].load_bytes(dtype) == pytest.approx(bytes_of(module), rel=0.1)


def test_an_embedded_model_is_planned_without_backbones(tmp_path):
    folder = tiny_vibe(tmp_path / "model")
    plan = make_plan(replace(files_of(folder), frontend={}), duration_s=60.0, settings=Settings(device="cpu"))
    assert plan.ok
    assert [part.name for part in plan.parts] == ["predictor"]
