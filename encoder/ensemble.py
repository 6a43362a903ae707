"""Several checkpoints as one model: their mean is the prediction, their standard deviation says how far training itself decides it.

Members must take the same streams from the same extractors, so that a film's features are computed once. They are loaded and run one after the
other: memory holds one at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from encoder.checkpoints import ModelFiles, list_models, load_model, read_model
from encoder.curves import curve_means
from encoder.responses import SUBJECTS
from extractors.cache import content_key
from extractors.errors import ModelError
from extractors.features import Features
from extractors.hub_files import find_local, folder_at

if TYPE_CHECKING:
    from encoder.cards import Card
    from encoder.encoding_model import EncodingModel
    from encoder.models.published_config import PublishedVIBEConfig
    from extractors.hub_files import LocalModel

_OF_THE_STREAMS = (
    "tr",
    "text_extractor",
    "text_extractor_feature_size",
    "text_extractor_dtype",
    "text_extractor_num_last_hidden_states",
    "video_extractor",
    "video_extractor_feature_size",
    "video_extractor_pool_size",
    "video_extractor_dtype",
    "video_extractor_num_last_hidden_states",
    "video_extractor_chunk_length_seconds",
    "audio_extractor",
    "audio_extractor_feature_size",
    "audio_extractor_last_layer_index",
)
"""Fields of ``config.json`` that decide the features of a published model."""


def split(model: str | Path | Sequence[str | Path]) -> list[str | Path]:
    """Names of the members.

    Parameters
    ----------
    model : str, Path, or a sequence of them
        "a+b+c" names three, unless a model or folder of exactly that name exists.

    Returns
    -------
    list
        One name for a model that is no ensemble.

    Raises
    ------
    ModelError
        When a name is empty.
    """
    if isinstance(model, str) and "+" in model and model not in list_models() and folder_at(model) is None:
        names: list[str | Path] = [name.strip() for name in model.split("+")]
    elif isinstance(model, str | Path):
        names = [model]
    else:
        names = list(model)
    if not names or not all(str(name).strip() for name in names):
        raise ModelError(
            "ensemble_empty",
            "An ensemble needs the names of its models with a plus sign between them, but one of them is empty.",
            "For example: ShreyDixit/VIBE-Qwen2.5-14B+another/model.",
        )
    return names


@dataclass(frozen=True, eq=False)
class EnsembleFiles:
    """Several models on disk that are run as one; describes itself as :class:`encoder.checkpoints.ModelFiles` does.

    Attributes
    ----------
    members : tuple of ModelFiles
    member_ids : tuple of str
        What the members are called; no two alike.
    card : Card
        Of the ensemble.
    """

    members: tuple[ModelFiles, ...]
    member_ids: tuple[str, ...]
    card: Card

    @property
    def ignored_keys(self) -> tuple[str, ...]:
        """Keys of any member's ``config.json`` that mean nothing here."""
        return tuple(_unique(key for files in self.members for key in files.ignored_keys))

    @property
    def config(self) -> PublishedVIBEConfig:
        """The first member's; what decides the streams is the same in all."""
        return self.members[0].config

    @property
    def local(self) -> LocalModel:
        """The first member's files."""
        return self.members[0].local

    @property
    def folder(self) -> Path:
        """The first member's: backbones named beside it are the same files for all."""
        return self.members[0].folder

    @property
    def published(self) -> bool:
        """Whether the members take the features of pretrained backbones."""
        return self.members[0].published

    @property
    def frontend(self) -> dict[str, Any] | None:
        """The first member's; each applies its own."""
        return self.members[0].frontend

    @cached_property
    def weights_sha256(self) -> str:
        """Over those of the members, in their order; ModelError when two are the same."""
        digests = [files.weights_sha256 for files in self.members]
        _refuse_twins(self.member_ids, digests)
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()

    @cached_property
    def fingerprint(self) -> str:
        """Of everything that decides its predictions."""
        return content_key(ensemble=[files.fingerprint for files in self.members], weights=self.weights_sha256)


class Ensemble:
    """Several checkpoints that predict as one; has what :class:`encoder.encoding_model.EncodingModel` has, and the members' own predictions.

    Parameters
    ----------
    files : EnsembleFiles
    device : {"auto", "cpu", "cuda", "mps"}
    dtype : str or None
        Number type of the weights; None keeps what is stored.
    """

    def __init__(self, files: EnsembleFiles, *, device: str = "auto", dtype: str | None = "float32"):
        self.files = files
        self.device = device
        self.dtype = dtype
        self.card = files.card
        self.weights_sha256 = files.weights_sha256
        self.ignored_keys = files.ignored_keys
        self.fingerprint = files.fingerprint
        self.member_ids = files.member_ids

    @property
    def config(self) -> PublishedVIBEConfig:
        """The first member's; streams are the same for all."""
        return self.files.config

    @property
    def id(self) -> str:
        """The card's id."""
        return self.card.id

    def predict_members(self, features: Features, subjects: Sequence[int] = SUBJECTS, **options: Any) -> np.ndarray:
        """Responses of every member: float32 [members, subjects, T, 1000].

        Options, and what it raises, are those of :meth:`encoder.encoding_model.EncodingModel.predict`.
        """
        return np.stack([self._load(files).predict(features, subjects, **options) for files in self.files.members])

    def predict(self, features: Features, subjects: Sequence[int] = SUBJECTS, **options: Any) -> np.ndarray:
        """Mean of the members: float32 [subjects, T, 1000]."""
        return self.predict_members(features, subjects, **options).mean(0)

    def _load(self, files: ModelFiles) -> EncodingModel:
        return load_model(files, device=self.device, dtype=self.dtype)


def summary(members: np.ndarray) -> dict[str, np.ndarray]:
    """What a result keeps of its members' predictions.

    Parameters
    ----------
    members : float32 [M, S, T, 1000]
        At least two.

    Returns
    -------
    dict
        ``values`` float32 [S, T, 1000], the mean; ``spread`` float32 [S, T, 1000], the standard deviation between members (of a sample, with
        M - 1) of every parcel; ``member_curves`` float32 [M, S, T, curves], the members' curves: the spread of a mean over parcels or subjects
        is not the mean of their spreads, and can be had from these alone.
    """
    return {"values": members.mean(0), "spread": members.std(0, ddof=1), "member_curves": curve_means(members)}


def from_pretrained(
    model: str | Path | Sequence[str | Path], *, device: str = "auto", revision: str | None = None, dtype: str | None = "float32"
) -> EncodingModel | Ensemble:
    """Load a model, or several as one; never from the network.

    Parameters
    ----------
    model : str, Path or sequence of these
        Id of an embedded model, a folder, or a hub name whose files are in the hub's cache; several, or names joined by "+", are averaged.
    device : {"auto", "cpu", "cuda", "mps"}
    revision : str, optional
        Branch, tag or commit of a hub name.
    dtype : str or None
        Number type of the weights; None keeps what is stored.

    Returns
    -------
    EncodingModel or Ensemble

    Raises
    ------
    ModelError
        When there is no such model, a file is missing or a pickle, or weights and configuration do not fit each other.
    """
    return load(read(model, revision=revision), device=device, dtype=dtype)


def read(model: str | Path | Sequence[str | Path], **options: Any) -> ModelFiles | EnsembleFiles:
    """:func:`encoder.checkpoints.read_model` for one model or for several (:func:`split`); options are its own."""
    names = split(model)
    return read_ensemble(names, **options) if len(names) > 1 else read_model(names[0], **options)


def load(files: ModelFiles | EnsembleFiles, **options: Any) -> EncodingModel | Ensemble:
    """The model of these files; options are those of :func:`encoder.checkpoints.load_model`. Members of an ensemble are loaded when they predict."""
    return Ensemble(files, **options) if isinstance(files, EnsembleFiles) else load_model(files, **options)


def read_ensemble(names: Sequence[str | Path], **options: Any) -> EnsembleFiles:
    """Everything about several models but their tensors.

    Parameters
    ----------
    names : sequence
        Two or more names as :func:`encoder.checkpoints.read_model` takes them.
    **options
        Of that function.

    Raises
    ------
    ModelError
        As that function; and when a checkpoint is named twice, or members take different streams.
    """
    members = tuple(read_model(name, **options) for name in names)
    called = _names(members)
    _refuse_twins(called, [tuple(path.resolve() for path in files.local.weights) for files in members])
    for files, name in zip(members[1:], called[1:], strict=True):
        if difference := _difference(members[0], files):
            raise ModelError(
                "ensemble_differs",
                f"{called[0]} and {name} cannot be averaged: {difference}.",
                "Members of an ensemble must take the same streams from the same extractors.",
            )
    return EnsembleFiles(members, called, _card([files.card for files in members], called))


def _refuse_twins(called: Sequence[str], marks: Sequence[Any]) -> None:
    for k, mark in enumerate(marks):
        if mark in marks[:k]:
            raise ModelError(
                "ensemble_twice",
                f"{called[marks.index(mark)]} and {called[k]} are the same checkpoint.",
                "Name every checkpoint of an ensemble once.",
            )


def _difference(first: ModelFiles, other: ModelFiles) -> str:
    """In words what keeps two models from sharing their features; "" when nothing does."""
    if first.card.simulated != other.card.simulated:
        return "one was trained on simulated subjects and one on measured people"
    if first.published != other.published:
        return "one brings its own backbones and one takes the classical streams"
    if first.config.num_rois != other.config.num_rois:
        return f"they predict {first.config.num_rois} and {other.config.num_rois} parcels"
    if not first.published:
        return ""  # the classical streams are the same for all; each member brings its own front end for them
    for field in _OF_THE_STREAMS:
        mine, theirs = getattr(first.config, field), getattr(other.config, field)
        if mine != theirs:
            return f"{field.replace('_', ' ')} is {_shown(mine)} in one and {_shown(theirs)} in the other"
    for stream in ("text", "audio", "video"):
        source = getattr(first.config, f"{stream}_extractor")
        if _backbone(source, first) != _backbone(source, other):
            return f"their {stream} backbones {_shown(source)} are not the same files (copies count as others: name one folder in both)"
    return ""


def _backbone(source: str, files: ModelFiles) -> Path | str:
    """Where a member's backbone lies; its name when it is not here, which the run itself will say better."""
    try:
        return find_local(source, beside=files.folder).folder.resolve()
    except ModelError:
        return source


def _names(members: Sequence[ModelFiles]) -> tuple[str, ...]:
    """Ids of the members; where two share a card, the names of their folders; where those are alike too, numbers."""
    ids, folders = [files.card.id for files in members], [files.folder.name for files in members]
    for names in (ids, folders):
        if len(set(names)) == len(names):
            return tuple(names)
    return tuple(f"{name} ({number})" for number, name in enumerate(ids, 1))


def _card(cards: list[Card], called: Sequence[str]) -> Card:
    """One card for all; nothing that was measured on a member is claimed for their mean."""
    first, count = cards[0], len(cards)
    calibrated = {card.calibrated for card in cards}
    simulated = first.simulated
    return first.model_copy(
        update={
            "model_id": "+".join(called),
            "title": f"{first.title} and {count - 1} more (ensemble of {count})",
            "badge": first.badge if len(first.badge) > 35 else f"{first.badge}, x{count}",
            "description": f"The mean of {count} checkpoints: {', '.join(called)}. {first.description}",
            "trained_on": " ".join(_unique(card.trained_on for card in cards)),
            "licence": ", ".join(_unique(card.licence for card in cards)),
            "citation": tuple(_unique(line for card in cards for line in card.citation)),
            "limits": (
                "The band shows how far the checkpoints differ. It is no confidence interval: all of them can be wrong together.",
                *_unique(line for card in cards for line in card.limits),
            ),
            "trained_without": first.trained_without if all(card.trained_without == first.trained_without for card in cards) else None,
            "calibrated": calibrated.pop() if len(calibrated) == 1 else "unknown",
            "accuracy": "never tested on measured brains"
            if simulated
            else "unknown: this ensemble was not measured. Ensemble figures of the paper belong to its authors' checkpoints and not to these.",
            "performance": None,
            "usual_sd": sum(card.usual_sd for card in cards) / count,
            "weights_sha256": None,
            "downloads": {name: size for card in cards for name, size in card.downloads.items()},
            "training": None,
            "recovery": (),
        }
    )


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


def _shown(value: Any) -> str:
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else str(value)
