"""Backbones: strict loading, one copy in memory, Stop and lack of memory inside a forward pass."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from extractors.backbone import Backbone, Placement, in_batches, is_memory_error, recording
from extractors.errors import FeatureError, ModelError
from extractors.hub_files import model_in
from extractors.in_thread import Stopped, in_thread
from extractors.warm import WarmPool
from tests.tiny_vibe import tiny_audio, tiny_text, tiny_video

ROOT = Path(__file__).resolve().parents[2]
WORDS = torch.arange(6).unsqueeze(0)


def nobody(*_):
    pass


def backbone(folder, model_class="Qwen2Model", pool=None, **options):
    return Backbone(model_in(folder, source=str(folder)), model_class, pool=pool if pool is not None else WarmPool(), **options)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return tiny_text(tmp_path_factory.mktemp("backbone") / "words")


def test_a_causal_language_model_loads_as_its_body_with_the_saved_numbers(text):
    saved = load_file(text / "model.safetensors")
    with backbone(text).using(nobody) as module:
        assert not module.training
        assert type(module).__name__ == "Qwen2Model"
        assert not any(parameter.requires_grad for parameter in module.parameters())
        for name, tensor in module.state_dict().items():
            torch.testing.assert_close(tensor, saved[f"model.{name}"], rtol=0, atol=0)


def test_numbers_come_in_the_type_that_was_asked_for(text):
    with backbone(text, placement=Placement(dtype="bfloat16")).using(nobody) as module:
        assert {parameter.dtype for parameter in module.parameters()} == {torch.bfloat16}
        assert module(input_ids=WORDS).last_hidden_state.dtype == torch.bfloat16


def test_layers_that_nobody_reads_are_not_loaded(tmp_path):
    folder = tiny_audio(tmp_path / "sound", layers=3)
    with backbone(folder, "ASTModel", changes={"num_hidden_layers": 2}).using(nobody) as module:
        assert len(module.layers) == 2


def test_the_video_models_own_predictor_is_left_out(tmp_path):
    folder = tiny_video(tmp_path / "picture", layers=2)
    with backbone(folder, "VJEPA2Model").using(nobody) as module:
        assert not any(name.startswith("predictor.layer.") for name, _ in module.named_parameters())
        assert module(torch.zeros(1, 4, 3, 32, 32), skip_predictor=True).last_hidden_state.shape == (1, 2 * 2 * 2, 24)


def test_missing_and_misshapen_weights_are_named(text, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "config.json").write_text((text / "config.json").read_text())
    tensors = load_file(text / "model.safetensors")
    del tensors["model.layers.2.mlp.up_proj.weight"]
    tensors["model.norm.weight"] = torch.zeros(7)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"missing: layers\.2\.mlp\.up_proj\.weight") as caught, backbone(folder).using(nobody):
        pass
    assert caught.value.code == "weights_mismatch"
    assert "norm.weight is [7] instead of [16]" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_another_kind_of_model_is_refused_by_name(text, tmp_path):
    folder = tmp_path / "stranger"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (folder / "model.safetensors").write_bytes((text / "model.safetensors").read_bytes())
    with pytest.raises(ModelError, match="The text extractor must be of the kind qwen2, but stranger is llama") as caught:
        _ = backbone(folder).config
    assert caught.value.code == "wrong_backbone"


def test_quantised_weights_are_refused(text, tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    config = json.loads((text / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": {"quant_method": "gptq"}}))
    (folder / "model.safetensors").write_bytes((text / "model.safetensors").read_bytes())
    with pytest.raises(ModelError, match="quantised"):
        _ = backbone(folder).config


def copied(folder, to, **changes):
    """The same weights under another configuration."""
    to.mkdir()
    (to / "config.json").write_text(json.dumps({**json.loads((folder / "config.json").read_text()), **changes}))
    (to / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    return to


@pytest.mark.parametrize(
    "change",
    [
        {"num_hidden_layers": 10**8},
        {"num_hidden_layers": "four"},
        {"num_attention_heads": 0},
        {"hidden_size": True},
        {"vocab_size": 2.5},
        {"layer_types": "x"},
        {"rope_parameters": "x"},
        {"dtype": "nope"},
        {"hidden_act": "nope"},
        {"num_key_value_heads": 0},
    ],
)
def test_a_configuration_from_which_nothing_can_be_built_is_refused_in_words_and_at_once(text, tmp_path, change):
    folder = copied(text, tmp_path / "odd", **change)
    begun = time.monotonic()
    with pytest.raises(ModelError, match=r"config\.json of odd") as caught, backbone(folder).using(nobody):
        pass
    assert caught.value.code == "config_invalid"
    assert time.monotonic() - begun < 5


def test_pictures_smaller_than_a_patch_are_refused(tmp_path):
    folder = copied(tiny_video(tmp_path / "picture", layers=1), tmp_path / "odd", crop_size=8)
    with pytest.raises(ModelError, match="crop_size of 8, which is less than its patch_size"):
        _ = backbone(folder, "VJEPA2Model").config


def test_a_warm_module_is_not_used_again_when_its_configuration_changed(text, tmp_path):
    folder, pool, keep = copied(text, tmp_path / "warm"), WarmPool(), Placement(keep=True)
    with backbone(folder, pool=pool, placement=keep).using(nobody) as module:
        before = module(input_ids=WORDS).last_hidden_state.clone()
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, "rms_norm_eps": 0.5}))
    with backbone(folder, pool=pool, placement=keep).using(nobody) as module:
        assert (module(input_ids=WORDS).last_hidden_state - before).abs().max() > 1e-3
    assert pool.loads == 2
    pool.clear()


def test_loading_prints_nothing_and_leaves_other_peoples_logging_alone(text, capfd):
    logger = logging.getLogger("transformers.modeling_utils")
    before = list(logger.filters)
    with backbone(text).using(nobody):
        pass
    assert logger.filters == before
    assert capfd.readouterr() == ("", "")


def test_a_module_that_ran_out_of_memory_is_freed_before_the_next_user_gets_it(text, monkeypatch):
    from extractors import backbone as module_of

    pool, waiting, real = WarmPool(), threading.Event(), module_of._let_go

    def slowly(error):
        time.sleep(0.5)
        real(error)

    monkeypatch.setattr(module_of, "_let_go", slowly)
    shapes = []

    def tell(done=None, message=None):
        waiting.set() if message else None

    def next_user():
        with backbone(text, pool=pool, placement=Placement(keep=True)).using(tell) as module:
            time.sleep(0.7)
            shapes.append(module(input_ids=WORDS).last_hidden_state.shape)

    other = threading.Thread(target=next_user)

    def first_user():
        with backbone(text, pool=pool, placement=Placement(keep=True)).using(nobody):
            other.start()
            assert waiting.wait(5)
            raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(FeatureError, match="not enough memory"):
        first_user()
    other.join(10)
    assert shapes == [(1, 6, 16)]
    assert pool.loads == 2


def test_recording_keeps_outputs_and_removes_its_hooks(text):
    with backbone(text).using(nobody) as module:
        with recording({"third": module.layers[2], "last": module.norm}) as kept:
            output = module(input_ids=WORDS, output_hidden_states=True)
        torch.testing.assert_close(kept["third"], output.hidden_states[3], rtol=0, atol=0)
        torch.testing.assert_close(kept["last"], output.last_hidden_state, rtol=0, atol=0)
        assert not module.norm._forward_hooks


def test_stop_reaches_inside_a_forward_pass_and_the_module_can_be_used_again(text):
    pool = WarmPool({"cpu": 10**9})
    kept = Placement(keep=True)
    inside = threading.Event()

    def work(tell):
        def slow(*_):
            inside.set()
            time.sleep(0.1)

        with backbone(text, pool=pool, placement=kept).using(tell) as module:
            hooks = [layer.register_forward_hook(slow) for layer in module.layers]  # half a second for one pass
            try:
                while True:
                    module(input_ids=WORDS)
            finally:
                for hook in hooks:
                    hook.remove()

    job = in_thread("text", 1, "Reading the words", work)
    while not inside.is_set():
        next(job)
    started = time.monotonic()
    job.close()
    assert time.monotonic() - started < 1.0
    with backbone(text, pool=pool, placement=kept).using(nobody) as module:
        assert pool.loads == 1  # still warm, and free again
        assert len(module.norm._forward_pre_hooks) == 1
    assert not module.norm._forward_pre_hooks


def test_stop_reaches_loading(text):
    asked = []

    def tell(*_):
        asked.append(1)
        if len(asked) > 12:
            raise Stopped

    pool = WarmPool()
    with pytest.raises(Stopped), backbone(text, pool=pool).using(tell):
        pytest.fail("the module was lent although its loading was stopped")
    assert pool.held() == 0
    assert pool.loads == 0
    with backbone(text, pool=pool).using(nobody):
        pass


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
        MemoryError(),
    ],
    ids=["cuda", "cpu", "mps", "python"],
)
def test_lack_of_memory_is_said_in_a_sentence_frees_the_module_and_the_next_use_works(text, error):
    pool = WarmPool({"cpu": 10**9})
    one = backbone(text, pool=pool, placement=Placement(keep=True))
    with pytest.raises(FeatureError) as caught, one.using(nobody) as module:
        raise error
    assert caught.value.code == "out_of_memory"
    assert "not enough memory" in str(caught.value)
    assert caught.value.hint
    assert pool.held() == 0
    assert all(parameter.numel() == 0 for parameter in module.parameters())  # free although somebody still holds it
    with one.using(nobody) as module:
        assert module(input_ids=WORDS).last_hidden_state.shape == (1, 6, 16)
    assert pool.loads == 2
    assert pool.held() > 0


def test_other_errors_are_no_lack_of_memory(text):
    pool = WarmPool({"cpu": 10**9})
    with pytest.raises(RuntimeError, match="shapes"), backbone(text, pool=pool, placement=Placement(keep=True)).using(nobody):
        raise RuntimeError("shapes cannot be multiplied")
    assert pool.held() > 0
    assert not is_memory_error(FeatureError("no_words", "There are no words."))


def test_batches_halve_until_they_fit_and_nothing_is_done_twice_or_left_out():
    tried = []

    def run(start, stop):
        tried.append(stop - start)
        if stop - start > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return list(range(start, stop))

    results = in_batches(11, 8, run, nobody)
    assert [item for result in results for item in result] == list(range(11))
    assert tried == [8, 4, 2, 2, 2, 2, 2, 1]


def test_batches_give_up_only_when_one_alone_does_not_fit():
    tried = []

    def run(start, stop):
        tried.append(stop - start)
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(FeatureError) as caught:
        in_batches(5, 4, run, nobody)
    assert caught.value.code == "out_of_memory"
    assert tried == [4, 2, 1]


def test_a_failed_batch_leaves_none_of_its_arrays_in_memory():
    import gc
    import weakref

    left = []

    def run(start, stop):
        big = torch.zeros(1000)
        left.append(weakref.ref(big))
        if stop - start > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        gc.collect()
        return [reference() is None for reference in left[:-1]]

    assert all(in_batches(2, 2, run, nobody)[0])


PEAK = """
import sys
sys.path.insert(0, sys.argv[1])
import torch
from extractors.backbone import Backbone, Placement
from extractors.hub_files import model_in
import transformers
from pathlib import Path

def now(name):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(name))

folder = Path(sys.argv[2])
backbone = Backbone(model_in(folder, source="big"), "Qwen2Model", placement=Placement(dtype=sys.argv[3]))
backbone.config, transformers.Qwen2Model
torch.zeros(8, 8) @ torch.zeros(8, 8)
base = now("VmRSS")
with backbone.using(lambda *_: None) as module:
    for parameter in module.parameters():
        parameter.sum()
    print(now("VmHWM") - base)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's account of memory")
def test_weights_are_never_twice_in_host_memory(tmp_path):
    from transformers import Qwen2Config, Qwen2Model

    config = Qwen2Config(vocab_size=4000, hidden_size=1024, intermediate_size=4096, num_hidden_layers=3, num_attention_heads=8, num_key_value_heads=8)
    with torch.device("meta"):
        empty = Qwen2Model(config)
    tensors = {name: torch.zeros(tensor.shape) for name, tensor in empty.state_dict().items()}
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(tmp_path)
    size = (tmp_path / "model.safetensors").stat().st_size
    assert size > 200e6
    said = subprocess.run([sys.executable, "-c", PEAK, str(ROOT), str(tmp_path), "float32"], capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(said.stdout) < 1.3 * size
