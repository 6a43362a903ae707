"""One pretrained backbone: read from its folder straight onto its device, lent out for a while, freed or kept warm.

Weights are mapped from safetensors files and copied tensor by tensor to where they are used, so they are never twice in host memory.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from extractors import warm
from extractors.errors import FeatureError, ModelError
from extractors.hub_files import LocalModel
from extractors.in_thread import Tell

if TYPE_CHECKING:
    from torch import Tensor, nn

T = TypeVar("T")

STREAM_OF = {"Qwen2Model": "text", "ASTModel": "audio", "VJEPA2Model": "video"}
"""Which stream's extractor a model class serves."""

KIND_OF = {"text": "qwen2", "audio": "audio-spectrogram-transformer", "video": "vjepa2"}
"""What ``model_type`` in a backbone's ``config.json`` must be, per stream."""

MOST = {
    "text": {
        "hidden_size": 10**5,
        "intermediate_size": 10**6,
        "num_hidden_layers": 1000,
        "num_attention_heads": 1000,
        "max_position_embeddings": 10**8,
        "vocab_size": 10**7,
    },
    "audio": {
        "hidden_size": 10**5,
        "intermediate_size": 10**6,
        "num_hidden_layers": 1000,
        "num_attention_heads": 1000,
        "num_mel_bins": 1000,
        "max_length": 10**5,
        "patch_size": 1000,
        "time_stride": 1000,
        "frequency_stride": 1000,
    },
    "video": {
        "hidden_size": 10**5,
        "mlp_ratio": 100,
        "num_hidden_layers": 1000,
        "num_attention_heads": 1000,
        "frames_per_clip": 1000,
        "crop_size": 4096,
        "patch_size": 1000,
        "tubelet_size": 1000,
    },
}
"""The largest numbers of a ``config.json`` that are no slip of the pen; beyond all measure, building a model would never end."""

LARGER = {
    "text": (),
    "audio": (("num_mel_bins", "patch_size"), ("max_length", "patch_size")),
    "video": (("crop_size", "patch_size"), ("frames_per_clip", "tubelet_size")),
}
"""Of each pair the first must hold the second at least once."""

LEFT_OUT = {"VJEPA2Model": {"pred_num_hidden_layers": 0}}
"""Changes that leave out layers of which no stream is made: V-JEPA 2's own predictor of masked patches."""


OUT_OF_MEMORY = ("out of memory", "not enough memory", "defaultcpuallocator", "cublas_status_alloc_failed")
"""What errors for lack of memory say, in small letters."""


@dataclass(frozen=True)
class Placement:
    """Where and how a backbone runs.

    Attributes
    ----------
    device : str
        "cpu", "cuda", "cuda:1", "mps".
    dtype : str
        Torch's name of the number type.
    batch : int
        Windows at a time.
    keep : bool
        Keep it in memory for the next run.
    """

    device: str = "cpu"
    dtype: str = "float32"
    batch: int = 8
    keep: bool = False


class Backbone:
    """A pretrained model of a known class in a folder.

    Parameters
    ----------
    local : LocalModel
    model_class : str
        Its name in transformers, for example "Qwen2Model". Weights of heads that this class does not have are left alone.
    placement : Placement
    changes : dict, optional
        Values of ``config.json`` to replace, for example ``{"num_hidden_layers": 11}`` to leave out layers nobody reads.
    pool : warm.WarmPool, optional
        Where warm modules live; the process's own pool by default.
    """

    def __init__(
        self,
        local: LocalModel,
        model_class: str,
        *,
        placement: Placement = Placement(),
        changes: dict[str, Any] | None = None,
        pool: warm.WarmPool | None = None,
    ):
        self.local = local
        self.model_class = model_class
        self.placement = placement
        self.changes = {**LEFT_OUT.get(model_class, {}), **(changes or {})}
        self.pool = pool if pool is not None else warm.POOL

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.local.name

    @cached_property
    def config(self) -> Any:
        """The model's configuration in transformers, with the changes.

        Raises
        ------
        ModelError
            When ``config.json`` is missing, unreadable or of another kind of model.
        """
        import transformers

        values = read_config(self.local, STREAM_OF[self.model_class])
        try:
            return getattr(transformers, self.model_class).config_class(**{**values, **self.changes})
        except Exception:  # the library checks values with errors of its own, of many kinds
            raise _damaged_config(self.name) from None

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the configuration with its changes: with the weights it decides what the model answers."""
        values = {**read_config(self.local, STREAM_OF[self.model_class]), **self.changes}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    @contextmanager
    def using(self, tell: Tell) -> Iterator[nn.Module]:
        """The module on its device, in eval mode, without gradients, for this user alone.

        Every leaf module calls ``tell()`` before it runs, so a stop reaches inside a forward pass.

        Raises
        ------
        ModelError
            When weights and configuration do not fit each other, or the device is not there.
        FeatureError
            ``"out_of_memory"``, after the module and the device's cache have been freed.
        """
        import torch

        where, key = self.placement, self._key()
        lease = self.pool.lease(key, lambda: self._load(tell), device=where.device, keep=where.keep, tell=tell, size=self.local.weight_bytes)
        loading = memory_in_words(self.name, where.device)
        # what ran out of memory is freed while it is still lent: whoever waits for it loads it again
        running = memory_in_words(self.name, where.device, free=lambda: self.pool.drop(key))
        with loading, lease as module, running, telling(module, tell), torch.inference_mode():
            yield module

    def _key(self) -> tuple:
        where = self.placement
        files = tuple((path.name, *_stamp(path)) for path in self.local.weights)
        return (str(self.local.folder), self.model_class, files, where.dtype, where.device, self.fingerprint)

    def _load(self, tell: Tell) -> nn.Module:
        import torch
        import transformers
        from safetensors import SafetensorError

        try:
            with _quietly(tell):
                module, info = getattr(transformers, self.model_class).from_pretrained(
                    self.local.folder,
                    config=self.config,
                    dtype=getattr(torch, self.placement.dtype),
                    device_map={"": self.placement.device},
                    attn_implementation="sdpa",
                    local_files_only=True,
                    use_safetensors=True,
                    trust_remote_code=False,
                    ignore_mismatched_sizes=True,  # so that they are listed below, in words
                    output_loading_info=True,
                )
        except SafetensorError:
            raise ModelError("weights_unreadable", f"The weights of {self.name} are damaged.", "Get the model's files again.") from None
        except (ValueError, TypeError, LookupError, ArithmeticError):  # layers that cannot be built
            raise _damaged_config(self.name) from None
        except OSError:
            raise ModelError("weights_missing", f"The weights of {self.name} are not complete.", "Get the model's files again.") from None
        problems = []
        if missing := sorted(info["missing_keys"]):
            problems.append(f"missing: {_some(missing)}")
        if wrong := sorted(info["mismatched_keys"]):
            problems.append(f"wrong shape: {_some(f'{key} is {list(given)} instead of {list(expected)}' for key, given, expected in wrong)}")
        problems += info["error_msgs"]
        if problems:
            raise ModelError(
                "weights_mismatch",
                f"The weights of {self.name} do not fit its config.json; {'; '.join(problems)}.",
                "Weights and config.json must come from the same model; get its files again.",
            )
        return module.eval().requires_grad_(False)


def in_batches(count: int, batch: int, run: Callable[[int, int], T], tell: Tell) -> list[T]:
    """Run ``run(start, stop)`` over all of ``count``, ``batch`` at a time; out of memory halves the batch and goes on.

    Returns
    -------
    list
        What ``run`` returned, in order.

    Raises
    ------
    FeatureError
        ``"out_of_memory"`` when not even one at a time fits.
    """
    results: list[T] = []
    start = 0
    while start < count:
        tell()
        stop = min(start + batch, count)
        failed = None
        try:
            results.append(run(start, stop))
        except BaseException as error:
            if not is_memory_error(error):
                raise
            _let_go(error)
            failed = error if isinstance(error, FeatureError) else out_of_memory()
        if failed is None:
            start = stop
            continue
        warm.empty_cache()
        if stop - start == 1:
            raise failed
        batch = (stop - start) // 2
    return results


@contextmanager
def recording(modules: Mapping[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """Keep what modules put out (of a tuple the first item): name to the output of the last forward pass."""
    kept: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(module, inputs, output) -> None:
            kept[name] = output[0] if isinstance(output, tuple) else output

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def is_memory_error(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on whatever device."""
    if isinstance(error, FeatureError):
        return error.code == "out_of_memory"
    if isinstance(error, MemoryError):
        return True
    # torch.OutOfMemoryError is a RuntimeError; the CPU's and Metal's allocators raise plain ones
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(word in said for word in OUT_OF_MEMORY)


@contextmanager
def memory_in_words(name: str, device: str, *, free: Callable[[], Any] = lambda: None) -> Iterator[None]:
    """Memory errors leave as FeatureError ``"out_of_memory"``, after ``free()`` and with the device's cache emptied."""
    try:
        yield
    except BaseException as error:
        if not is_memory_error(error):
            raise
        _let_go(error)
        free()
        warm.empty_cache(device)
        raise out_of_memory(name, device) from None


def out_of_memory(name: str = "this part of the model", device: str | None = None) -> FeatureError:
    """The error that says so."""
    where = {"cuda": "The GPU", "mps": "The GPU", "cpu": "This machine"}.get((device or "").partition(":")[0], "The device")
    return FeatureError(
        "out_of_memory",
        f"{where} has not enough memory free for {name}.",
        "Close other programs that use it, choose a smaller variant of the model, or compute the clip on another machine.",
    )


def read_config(local: LocalModel, stream: str) -> dict[str, Any]:
    """A backbone's ``config.json``.

    Raises
    ------
    ModelError
        When it is missing, unreadable, or of a model that cannot make this stream.
    """
    name = local.name
    try:
        values = json.loads((local.folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError("config_missing", f"{name} has no config.json.", "Get the model's files again.") from None
    except (OSError, ValueError, RecursionError):  # ValueError is the parent of both decoding errors
        raise _damaged_config(name) from None
    if not isinstance(values, dict):
        raise _damaged_config(name)
    if values.get("model_type") != KIND_OF[stream]:
        raise ModelError(
            "wrong_backbone",
            f"The {stream} extractor must be of the kind {KIND_OF[stream]}, but {name} is {values.get('model_type', 'of no known kind')}.",
            "Name a backbone of that kind in the model's config.json.",
        )
    if "quantization_config" in values:
        raise ModelError(
            "quantised",
            f"{name} holds quantised weights, which this version cannot read.",
            "Use the model in float16, bfloat16 or float32.",
        )
    _check_numbers(values, stream, name)
    return values


def _check_numbers(values: dict[str, Any], stream: str, name: str) -> None:
    for key, most in MOST[stream].items():
        value = values.get(key, 1)
        kind = int | float if key == "mlp_ratio" else int
        if not isinstance(value, kind) or isinstance(value, bool) or not 0 < value <= most:
            problem = f"The config.json of {name} must give {key} as a number up to {most:,}, but gives {str(value)[:40]!r}."
            raise ModelError("config_invalid", problem, "Get the model's files again.")
    for large, small in LARGER[stream]:
        if large in values and values[large] < values.get(small, 1):
            problem = f"The config.json of {name} gives a {large} of {values[large]}, which is less than its {small}."
            raise ModelError("config_invalid", problem, "Get the model's files again.")


@contextmanager
def telling(module: nn.Module, tell: Tell) -> Iterator[None]:
    """Every leaf module calls ``tell()`` before it runs, so that a stop reaches inside a forward pass."""

    def ask(*_: Any) -> None:
        tell()

    handles = [part.register_forward_pre_hook(ask) for part in module.modules() if not any(part.children())]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _quietly(tell: Tell) -> Iterator[None]:
    """No progress bar and no table of keys for what this thread loads; ``tell()`` before each tensor instead. Other threads notice nothing."""
    from transformers.utils import logging as transformers_logging

    here = threading.get_ident()

    def bar(factory: Callable[..., Any], args: tuple, kwargs: dict) -> Any:
        if threading.get_ident() != here:
            return factory(*args, **kwargs)
        return _asking(args[0] if args else kwargs.get("iterable") or (), tell)

    def elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != here

    logger = logging.getLogger("transformers.modeling_utils")
    logger.addFilter(elsewhere)
    before = transformers_logging.set_tqdm_hook(bar)
    try:
        yield
    finally:
        transformers_logging.set_tqdm_hook(before)
        logger.removeFilter(elsewhere)


def _asking(items: Iterable[T], tell: Tell) -> Iterator[T]:
    for item in items:
        tell()
        yield item


def _let_go(error: BaseException) -> None:
    """Free the local variables of a failed computation, which its traceback would keep in memory."""
    seen: BaseException | None = error
    while seen is not None:
        traceback.clear_frames(seen.__traceback__)
        seen.__traceback__ = None
        seen = seen.__context__


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_size, status.st_mtime_ns)


def _damaged_config(name: str) -> ModelError:
    return ModelError("config_invalid", f"The config.json of {name} cannot be used.", "Get the model's files again.")


def _some(names: Iterable[str], limit: int = 8) -> str:
    names = list(names)
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")
