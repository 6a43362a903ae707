"""Models on disk: a folder with ``config.json``, ``model.safetensors``, ``card.yaml`` and, for the embedded model, ``frontend.safetensors``.

A published model is such a folder without a front end, or a repository of the hub whose files are in the hub's cache; it may come without a card.
Only safetensors are read. Published weights may be named as an averaged model saves them (every key behind ``module.``, and ``n_averaged``);
both namings load (reference, section 2B).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from encoder.models.published_config import PublishedVIBEConfig
from extractors.cache import content_key
from extractors.errors import ModelError
from extractors.hub_files import LocalModel, display_name, find_local, folder_at, is_repository, sha256_of, weights_id
from extractors.hub_transfer import PICKLES
from settings import ASSETS, Settings, get_settings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from encoder.cards import Card
    from encoder.encoding_model import EncodingModel
    from encoder.frontend import FrontEnd

MODELS = ASSETS / "models"
OWN_KEYS = ("frontend",)
"""Keys of ``config.json`` that are ours and not fields of the published configuration."""


@dataclass(frozen=True, eq=False)
class ModelFiles:
    """A model as it lies on disk, read without loading torch.

    Attributes
    ----------
    local : LocalModel
        Where its weights are.
    config : PublishedVIBEConfig
    ignored_keys : tuple of str
        Keys of ``config.json`` that mean nothing here.
    frontend : dict or None
        The front end's section of ``config.json``.
    card : Card
    values : dict
        ``config.json`` as it stands.
    settings : Settings
        Whose cache remembers the hash of large weights.
    """

    local: LocalModel
    config: PublishedVIBEConfig
    ignored_keys: tuple[str, ...]
    frontend: dict[str, Any] | None
    card: Card
    values: dict[str, Any]
    settings: Settings

    @property
    def folder(self) -> Path:
        """Where ``config.json`` is."""
        return self.local.folder

    @property
    def published(self) -> bool:
        """Whether it takes the features of pretrained backbones, as the published models do."""
        return self.frontend is None

    @cached_property
    def weights_sha256(self) -> str:
        """Of ``model.safetensors``; takes seconds when gigabytes outside the hub's cache are seen for the first time."""
        return weights_id(self.local, self.settings)

    @cached_property
    def fingerprint(self) -> str:
        """Of everything that decides its predictions."""
        frontend = sha256_of(self.folder / "frontend.safetensors") if not self.published else ""
        return content_key(config=self.values, weights=self.weights_sha256, card=self.card.weights_sha256, frontend=frontend)


def list_models() -> tuple[str, ...]:
    """Ids of the models that come with the program."""
    return tuple(sorted(path.parent.name for path in MODELS.glob("*/config.json")))


def read_model(model: str | Path, *, revision: str | None = None, settings: Settings | None = None) -> ModelFiles:
    """Everything about a model but its tensors; ModelError when a file is missing, a pickle, or unreadable."""
    local = _find(model, revision)
    values = _read_config(local.folder)
    try:
        config, ignored = PublishedVIBEConfig.from_dict(values)
    except (TypeError, ValueError) as error:
        raise _unusable_config(error) from None
    if "frontend" in values and not (local.folder / "frontend.safetensors").is_file():
        raise ModelError("frontend_missing", f"The model folder {local.name!r} has no frontend.safetensors.", "Get the model's files again.")
    if local.revision is not None:
        _check_names(config, local)
    settings = settings or get_settings()
    return ModelFiles(
        local,
        config,
        tuple(key for key in ignored if key not in OWN_KEYS),
        values.get("frontend"),
        _card_in(local.folder, local.source, settings, published="frontend" not in values),
        values,
        settings,
    )


def read_card_of(model: str | Path, *, settings: Settings | None = None) -> Card:
    """The card of a model: of an embedded one, of a folder, or of a hub name whether its files are here or not.

    Raises
    ------
    ModelError
        For a model that is neither, or a card that cannot be used.
    """
    settings = settings or get_settings()
    try:
        folder = find_model(model)
    except ModelError as error:
        if error.code in ("not_here", "incomplete") and is_repository(str(model)):
            return _published_card(str(model), settings)
        raise
    return _card_in(folder, str(model), settings, published=not (folder / "frontend.safetensors").is_file())


def load_model(files: ModelFiles, *, device: str = "auto", dtype: str | None = "float32") -> EncodingModel:
    """The model of these files on a device; ModelError when weights, configuration and card do not fit each other.

    The weights are mapped from disk and go straight to the device: they are never twice in host memory.
    """
    from encoder.encoding_model import EncodingModel
    from encoder.frontend import FrontEnd
    from encoder.models.published import PublishedVIBE
    from encoder.models.unfilled import Unfilled

    where = choose_device(device)
    try:
        with Unfilled():  # the tensors of the file take their places
            module = PublishedVIBE(files.config)
    except (TypeError, ValueError, RuntimeError) as error:
        raise _unusable_config(error) from None
    load_strictly(module, _read_tensors(files.local, where, dtype), assign=True)
    card, digest = files.card, files.weights_sha256
    if card.weights_sha256 is not None and card.weights_sha256 != digest:
        raise ModelError(
            "weights_changed",
            f"The weights of {card.id} are not those its card describes ({digest[:12]}... instead of {card.weights_sha256[:12]}...).",
            "Get the model's files again, or write a card for the new weights.",
        )
    return EncodingModel(
        module.eval(),
        frontend=FrontEnd.load(files.folder / "frontend.safetensors", files.frontend) if files.frontend is not None else None,
        card=card,
        weights_sha256=digest,
        ignored_keys=files.ignored_keys,
        fingerprint=files.fingerprint,
        files=files,
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


def find_model(model: str | Path, *, revision: str | None = None) -> Path:
    """Folder of a model.

    Raises
    ------
    ModelError
        When the name is neither an embedded model nor a folder nor a model in the hub's cache, or its weights are missing or a pickle.
    """
    return _find(model, revision).folder


def load_strictly(module: nn.Module, tensors: Mapping[str, Tensor], *, assign: bool = False) -> None:
    """Load weights whose names and shapes must all fit, in either naming.

    With ``assign`` the tensors themselves become the module's, with their device and number type; otherwise they are copied into it.

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
    module.load_state_dict(given, strict=True, assign=assign)


def plain_keys(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names without the ``module.`` prefix and the counter of an averaged model."""
    return {key.removeprefix("module."): tensor for key, tensor in tensors.items() if key != "n_averaged"}


def _find(model: str | Path, revision: str | None) -> LocalModel:
    if str(model) in list_models():
        return replace(find_local(MODELS / str(model)), source=str(model))
    if str(model).strip() and (folder_at(model) is not None or Path(model).suffix in PICKLES or is_repository(str(model))):
        return find_local(model, revision=revision)
    raise ModelError(
        "model_unknown",
        f"There is no model {display_name(str(model))!r} here. Embedded models: {', '.join(list_models()) or 'none'}.",
        "Leave the model out to use the embedded one, or give a folder that holds config.json and model.safetensors, or a hub name such as "
        "ShreyDixit/VIBE-Qwen2.5-14B.",
    )


def _check_names(config: PublishedVIBEConfig, local: LocalModel) -> None:
    """What comes from the hub may name repositories there and no folders of this machine."""
    for name in (config.text_extractor, config.audio_extractor, config.video_extractor):
        if not is_repository(name):
            raise ModelError(
                "config_invalid",
                f"The config.json of {local.name} must name its extractors as the hub does, but names {display_name(name)!r}.",
                "Ask its authors, or get the model's files again.",
            )


def _card_in(folder: Path, source: str, settings: Settings, *, published: bool) -> Card:
    from encoder.cards import read_card

    if (folder / "card.yaml").is_file() or not published:
        return read_card(folder / "card.yaml")
    return _published_card(source, settings)


def _published_card(source: str, settings: Settings) -> Card:
    """The card of the published models for a repository of their collection; for any other checkpoint one that says how little is known."""
    from encoder.cards import read_card
    from encoder.collection import is_variant

    card = read_card(MODELS / "vibe" / "card.yaml")
    name = display_name(source)
    if is_variant(source, settings):
        downloads = card.downloads if source in card.downloads else {}
        return card.model_copy(update={"model_id": source, "title": f"VIBE ({source})", "downloads": downloads})
    unknown = "unknown: this checkpoint came without a card"
    return card.model_copy(
        update={
            "model_id": name,
            "title": f"VIBE checkpoint {name}",
            "badge": "VIBE checkpoint",
            "description": "A checkpoint of the published VIBE class, which predicts the responses of 1000 parcels from a film's sound, words and "
            "picture. It came without a card of its own, so all that is known of it is its configuration.",
            "creator": unknown,
            "training_dataset": unknown,
            "trained_on": unknown,
            "licence": unknown,
            "loss": unknown,
            "accuracy": unknown,
            "calibrated": "unknown",
            "limits": (
                "It came without a card: on what it was trained, on whom, and how good it is, nobody here can say.",
                "A difference of means in z is not to be read as a size.",
                "Every row looks at the whole clip, its future too. It is a description of a finished film, not a forecast.",
            ),
            "resources": "See python cli.py plan for what this machine would do.",
            "performance": None,
            "downloads": {},
        }
    )


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError("config_missing", f"The model folder {folder.name!r} has no config.json.", "Get the model's files again.") from None
    except (ValueError, RecursionError):  # the first is the parent of both decoding errors
        raise ModelError("config_invalid", "The model's config.json is not readable JSON.", "Get the model's files again.") from None
    if not isinstance(values, dict):
        raise ModelError("config_invalid", "The model's config.json must hold names and values.", "Get the model's files again.")
    return values


def _read_tensors(local: LocalModel, device: str, dtype: str | None) -> dict[str, Tensor]:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    tensors: dict[str, Tensor] = {}
    for path in local.weights:
        try:
            tensors |= load_file(path, device=device)
        except SafetensorError:
            raise ModelError("weights_unreadable", f"The {path.name} of {local.name} is damaged or no safetensors file.", "Get it again.") from None
    for key, tensor in tensors.items():
        if dtype is not None and tensor.is_floating_point():
            tensors[key] = tensor.to(getattr(torch, dtype))
    return tensors


def _unusable_config(error: Exception) -> ModelError:
    return ModelError("config_invalid", f"The model's config.json cannot be used: {error}", "Get the model's files again.")


def choose_device(device: str) -> str:
    """What "auto" is on this machine, or the device asked for; ModelError ``device_missing`` when it is not here."""
    import torch

    there = [name for name, has in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available()), ("cpu", True)) if has]
    if device == "auto":
        return there[0]
    if device not in there:
        raise ModelError("device_missing", f"There is no device {device!r} here; there is {', '.join(there)}.", "Set the device to auto.")
    return device


def _some(names: Iterable[str], limit: int = 8) -> str:
    names = list(names)
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")
