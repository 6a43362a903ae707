"""Models on disk: a folder with ``config.json``, ``model.safetensors``, ``card.yaml`` and, for the embedded model, ``frontend.safetensors``.

Only safetensors are read. Published weights may be named as an averaged model saves them (every key behind ``module.``, and ``n_averaged``);
both namings load (reference, section 2B).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from encoder.models.published_config import PublishedVIBEConfig
from extractors.cache import content_key
from extractors.errors import ModelError
from settings import ASSETS

if TYPE_CHECKING:
    from torch import Tensor, nn

    from encoder.cards import Card
    from encoder.encoding_model import EncodingModel
    from encoder.frontend import FrontEnd

MODELS = ASSETS / "models"
PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")
OWN_KEYS = ("frontend",)
"""Keys of ``config.json`` that are ours and not fields of the published configuration."""


@dataclass(frozen=True, eq=False)
class ModelFiles:
    """A model as it lies on disk, read without loading torch.

    Attributes
    ----------
    folder : pathlib.Path
    config : PublishedVIBEConfig
    ignored_keys : tuple of str
        Keys of ``config.json`` that mean nothing here.
    frontend : dict or None
        The front end's section of ``config.json``.
    card : Card
    weights_sha256 : str
        Of ``model.safetensors``.
    fingerprint : str
        Of everything that decides its predictions.
    """

    folder: Path
    config: PublishedVIBEConfig
    ignored_keys: tuple[str, ...]
    frontend: dict[str, Any] | None
    card: Card
    weights_sha256: str
    fingerprint: str


def list_models() -> tuple[str, ...]:
    """Ids of the models that come with the program."""
    return tuple(sorted(path.parent.name for path in MODELS.glob("*/config.json")))


def from_pretrained(model: str | Path, *, device: str = "auto") -> EncodingModel:
    """Load a model.

    Parameters
    ----------
    model : str or Path
        Id of an embedded model, or a folder.
    device : {"auto", "cpu", "cuda", "mps"}

    Returns
    -------
    EncodingModel

    Raises
    ------
    ModelError
        When there is no such model, a file is missing or a pickle, or weights and configuration do not fit each other.
    """
    return load_model(read_model(model), device=device)


def read_model(model: str | Path) -> ModelFiles:
    """Everything about a model but its tensors; ModelError when a file is missing, a pickle, or unreadable."""
    from encoder.cards import read_card

    folder = find_model(model)
    values = _read_config(folder)
    try:
        config, ignored = PublishedVIBEConfig.from_dict(values)
    except (TypeError, ValueError) as error:
        raise _unusable_config(error) from None
    weights = _weights_file(folder)
    card = read_card(folder / "card.yaml")
    digest = sha256_of(weights)
    frontend = folder / "frontend.safetensors"
    if "frontend" in values and not frontend.is_file():
        raise ModelError("frontend_missing", f"The model folder {folder.name!r} has no frontend.safetensors.", "Get the model's files again.")
    return ModelFiles(
        folder,
        config,
        tuple(key for key in ignored if key not in OWN_KEYS),
        values.get("frontend"),
        card,
        digest,
        content_key(config=values, weights=digest, card=card.weights_sha256, frontend=sha256_of(frontend) if "frontend" in values else ""),
    )


def load_model(files: ModelFiles, *, device: str = "auto") -> EncodingModel:
    """The model of these files on a device; ModelError when weights, configuration and card do not fit each other."""
    import torch

    from encoder.encoding_model import EncodingModel
    from encoder.frontend import FrontEnd
    from encoder.models.published import PublishedVIBE

    try:
        module = PublishedVIBE(files.config)
    except (TypeError, ValueError) as error:
        raise _unusable_config(error) from None
    load_strictly(module, _read_tensors(files.folder / "model.safetensors"))
    card, digest = files.card, files.weights_sha256
    if card.weights_sha256 != digest:
        raise ModelError(
            "weights_changed",
            f"The weights of {card.id} are not those its card describes ({digest[:12]}... instead of {card.weights_sha256[:12]}...).",
            "Get the model's files again, or write a card for the new weights.",
        )
    return EncodingModel(
        module.to(torch.device(_choose_device(device))).eval(),
        frontend=FrontEnd.load(files.folder / "frontend.safetensors", files.frontend) if files.frontend is not None else None,
        card=card,
        weights_sha256=digest,
        ignored_keys=files.ignored_keys,
        fingerprint=files.fingerprint,
    )


def save_pretrained(module: nn.Module, frontend: FrontEnd | None, folder: Path) -> str:
    """Write ``config.json``, ``model.safetensors`` and ``frontend.safetensors``; returns the sha256 of the weights, for the card."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    values: dict[str, Any] = module.config.to_dict()
    if frontend is not None:
        values["frontend"] = frontend.save(folder / "frontend.safetensors")
    (folder / "config.json").write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    save_file({key: tensor.detach().cpu().contiguous() for key, tensor in module.state_dict().items()}, folder / "model.safetensors")
    return sha256_of(folder / "model.safetensors")


def find_model(model: str | Path) -> Path:
    """Folder of a model.

    Raises
    ------
    ModelError
        When the name is neither an embedded model nor a folder, or names a pickle file.
    """
    if str(model) in list_models():
        return MODELS / str(model)
    path = Path(model)
    if path.suffix in PICKLES:
        raise _pickle(path.name)
    if path.is_dir():
        return path
    known = ", ".join(list_models()) or "none"
    raise ModelError(
        "model_unknown",
        f"There is no model {path.name!r} here. Embedded models: {known}; this version loads no models from the web.",
        "Leave the model out to use the embedded one, or give a folder that holds config.json and model.safetensors.",
    )


def load_strictly(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load weights whose names and shapes must all fit, in either naming.

    Raises
    ------
    ModelError
        Listing every missing key, unexpected key and wrong shape in words.
    """
    given = plain_keys(tensors)
    expected = module.state_dict()
    problems = []
    if missing := sorted(set(expected) - set(given)):
        problems.append(f"missing: {_some(missing)}")
    if unexpected := sorted(set(given) - set(expected)):
        problems.append(f"unexpected: {_some(unexpected)}")
    shapes = [
        f"{key} is {list(given[key].shape)} instead of {list(expected[key].shape)}"
        for key in sorted(set(expected) & set(given))
        if given[key].shape != expected[key].shape
    ]
    if shapes:
        problems.append(f"wrong shape: {_some(shapes)}")
    if problems:
        raise ModelError(
            "weights_mismatch",
            f"The weights do not fit the model that config.json describes; {'; '.join(problems)}.",
            "Weights and config.json must come from the same model.",
        )
    module.load_state_dict(given, strict=True)


def plain_keys(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names without the ``module.`` prefix and the counter of an averaged model."""
    return {key.removeprefix("module."): tensor for key, tensor in tensors.items() if key != "n_averaged"}


def sha256_of(path: Path) -> str:
    """sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError("config_missing", f"The model folder {folder.name!r} has no config.json.", "Get the model's files again.") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise ModelError("config_invalid", "The model's config.json is not readable JSON.", "Get the model's files again.") from None
    if not isinstance(values, dict):
        raise ModelError("config_invalid", "The model's config.json must hold names and values.", "Get the model's files again.")
    return values


def _weights_file(folder: Path) -> Path:
    weights = folder / "model.safetensors"
    if weights.is_file():
        return weights
    for path in sorted(folder.iterdir()):
        if path.suffix in PICKLES:
            raise _pickle(path.name)
    raise ModelError("weights_missing", f"The model folder {folder.name!r} has no model.safetensors.", "Get the model's files again.")


def _read_tensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError:
        raise ModelError("weights_unreadable", "The model.safetensors of this model is damaged or no safetensors file.", "Get it again.") from None


def _unusable_config(error: Exception) -> ModelError:
    return ModelError("config_invalid", f"The model's config.json cannot be used: {error}", "Get the model's files again.")


def _choose_device(device: str) -> str:
    import torch

    there = [name for name, has in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available()), ("cpu", True)) if has]
    if device == "auto":
        return there[0]
    if device not in there:
        raise ModelError("device_missing", f"There is no device {device!r} here; there is {', '.join(there)}.", "Set the device to auto.")
    return device


def _pickle(name: str) -> ModelError:
    return ModelError(
        "pickle_refused",
        f"{name!r} is a pickle file, which can run code when it is read; only safetensors are loaded.",
        "Ask its authors for a model.safetensors.",
    )


def _some(names: Iterable[str], limit: int = 8) -> str:
    names = list(names)
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")
