"""Model cards: what a model is, how to call it, and how far to believe it.

A card is ``card.yaml`` beside the weights. Its first part has the field names of BERG's model cards (reference page "BERG", A.3), so that a
reader of those finds everything in its place; the second part is ours.

Needed, as there::

    model_id: vibe-sim
    modality, training_dataset, species, stimuli, model_type, creator: one line each
    description: one paragraph in plain words
    input: {type, shape: [...], description, constraints: [...]}
    output: {type, shape: [...], description, dimensions: [{name, description}]}
    parameters:
      subject: {type, required, valid_values, default, example, description, function: "get_encoding_model, encode"}
      selection: {..., properties: {roi: {...}}}
    references: [{label: URL}, ...]

Optional, as there: ``performance`` {metrics: [{name, value, description}], accuracy_plots, plots}, ``metadata``, ``methods``
{name: {description, parameters, example}}, ``supported_formats``.

Needed, ours::

    title: Textbook simulation            # shown at results
    badge: Textbook simulation            # short, drawn beside the clip's name
    simulated: true                       # SIMULATED is drawn inside every picture
    trained_on: one paragraph
    licence: MIT
    citation: [one or more lines]
    limits: [plain sentences, where not to believe it]
    resources: what it needs to run
    loss: what training minimised
    calibrated: "yes" | "no" | "unknown"  # may a mean difference in z be read as a size?
    accuracy: never tested on measured brains   # or the published figures, with what they are
    usual_sd: 0.4                         # SD of a usual prediction (z); colour and curve ranges never go below it

Optional, ours::

    weights_sha256: ...                   # of model.safetensors; absent when the card stands for several models
    trained_without: never                # or [[video], [audio, text]]: streams that training left out together; absent: unknown
    downloads: {hub id: bytes}            # everything a run fetches from the hub, about
    training: {command, seconds, minutes_per_subject, seed, notes}
    rules: [{parcels, follows, source, caveat}]     # the generative model of simulated subjects
    recovery:                             # simulated models only, never called accuracy
      - id: generated                     # or: natural
        label: Held-out generated clips
        clips: [{name, source, n_trs}]
        valid_trs: 640
        all: {r, interval: [low, high], ceiling, ridge, slope, parcels}
        networks: {Vis: {r, interval, ceiling, ridge, slope, parcels}, ...}
        groups: {Auditory: {...}, ...}    # optional
    intersubject:                         # measured correlation between people who watched the same film, where somebody published it
      {source: citation and what exactly it is, curves: {Vis: r, Auditory: r, ...}}

``r`` is the mean correlation of planted and predicted responses over ``parcels`` parcels, ``ceiling`` the most that any model could reach,
``ridge`` what delayed ridge reaches on the same split, ``slope`` the regression of truth on prediction.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from extractors.errors import ModelError

FUNCTIONS = ("get_encoding_model", "encode", "get_model_metadata")
"""Calls of the Python interface that a parameter of a card may belong to."""

_KINDS = {"bool": bool, "int": int, "float": (int, float), "str": str, "list": list, "dict": dict}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Input(_Strict):
    """What a model takes."""

    type: str
    shape: tuple[str | int, ...]
    description: str
    constraints: tuple[str, ...] = ()


class Dimension(_Strict):
    """One axis of the output."""

    name: str
    description: str


class Output(_Strict):
    """What a model gives."""

    type: str
    shape: tuple[str | int, ...]
    description: str
    dimensions: tuple[Dimension, ...] = Field(min_length=1)


class Property(_Strict):
    """One value that a call takes.

    ``type`` is a Python type's name, or several with "or" between them; ``valid_values`` lists the values allowed, for a list those of its items.
    """

    type: str
    required: bool = False
    valid_values: tuple[Any, ...] | None = None
    default: Any = None
    example: Any = None
    description: str

    @model_validator(mode="after")
    def _values_fit(self) -> Property:
        kinds = [_KINDS[word] for word in self.type.split(" or ") if word in _KINDS]
        for name in ("default", "example"):
            value = getattr(self, name)
            if value is None:
                continue
            # True is an int to Python, but not to a reader
            fits = any(isinstance(value, kind) and (kind is bool or not isinstance(value, bool)) for kind in kinds)
            if len(kinds) == len(self.type.split(" or ")) and not fits:
                raise ValueError(f"{name} must be of type {self.type}, but got {value!r} instead")
            for item in value if isinstance(value, list) else [value]:
                if self.valid_values is not None and item not in self.valid_values:
                    raise ValueError(f"{name}: allowed values are {', '.join(map(str, self.valid_values))}, but got {item!r} instead")
        if self.required and self.default is not None:
            raise ValueError("what is required has no default")
        return self


class Parameter(Property):
    """One argument of the Python interface; ``function`` lists the calls that take it, with commas between them."""

    function: str
    properties: dict[str, Property] = {}

    @property
    def functions(self) -> tuple[str, ...]:
        """The calls that take it."""
        return tuple(name.strip() for name in self.function.split(","))

    @field_validator("function")
    @classmethod
    def _known(cls, function: str) -> str:
        for name in function.split(","):
            if name.strip() not in FUNCTIONS:
                raise ValueError(f"allowed functions are {', '.join(FUNCTIONS)}, but got {name.strip()!r} instead")
        return function


class Metric(_Strict):
    """One published figure, and what exactly it is the figure of."""

    name: str
    value: float | str
    description: str


class Performance(_Strict):
    """Accuracy on measured brains."""

    metrics: tuple[Metric, ...] = ()
    accuracy_plots: tuple[str, ...] = ()
    plots: tuple[str, ...] = ()


class Method(_Strict):
    """One method of a loaded model."""

    description: str
    parameters: dict[str, str] = {}
    example: str = ""


class Figure(_Strict):
    """Recovery of one set of parcels."""

    r: float = Field(ge=-1, le=1)
    interval: tuple[float, float] | None = None
    ceiling: float = Field(ge=0, le=1)
    ridge: float | None = Field(None, ge=-1, le=1)
    slope: float | None = None
    parcels: int = Field(ge=0)

    @property
    def of_ceiling(self) -> float:
        """``r`` as a share of the ceiling (nan without one)."""
        return self.r / self.ceiling if self.ceiling > 0 else float("nan")


class TestClip(_Strict):
    """One clip that recovery was measured on."""

    name: str
    source: str
    n_trs: int = Field(gt=0)


class Recovery(_Strict):
    """Recovery on one kind of clip."""

    id: Literal["generated", "natural"]
    label: str
    clips: tuple[TestClip, ...] = ()
    valid_trs: int = Field(gt=0)
    all: Figure
    networks: dict[str, Figure]
    groups: dict[str, Figure] = {}

    @field_validator("networks")
    @classmethod
    def _all_seven(cls, networks: dict[str, Figure]) -> dict[str, Figure]:
        from encoder.atlas import NETWORK_NAMES

        if set(networks) != set(NETWORK_NAMES):
            raise ValueError(f"the seven networks are {', '.join(NETWORK_NAMES)}, but got {', '.join(sorted(networks))}")
        return networks


class Intersubject(_Strict):
    """Measured inter-subject correlation of network or group means."""

    source: str
    curves: dict[str, float] = Field(min_length=1)

    @field_validator("curves")
    @classmethod
    def _known_curves(cls, curves: dict[str, float]) -> dict[str, float]:
        from encoder.curves import curve_ids

        for name, r in curves.items():
            if name not in curve_ids() or not -1 <= r <= 1:
                raise ValueError(f"curves are networks or groups of the atlas with a correlation each, but got {name!r}: {r} instead")
        return curves


class Training(_Strict):
    """How the weights came to be."""

    command: str
    seconds: float = Field(gt=0)
    minutes_per_subject: float | None = Field(None, gt=0)
    seed: int | None = None
    notes: str = ""


class PlantedRule(_Strict):
    """One sentence of a generative model: which parcels follow what, who says so, and where it is wrong."""

    parcels: str
    follows: str
    source: str
    caveat: str


class Card(_Strict):
    """One model's card; the module's text describes the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    model_id: str = Field(min_length=1)
    modality: str = Field(min_length=1)
    training_dataset: str = Field(min_length=1)
    species: str = Field(min_length=1)
    stimuli: str = Field(min_length=1)
    model_type: str = Field(min_length=1)
    creator: str = Field(min_length=1)
    description: str = Field(min_length=1)
    input: Input
    output: Output
    parameters: dict[str, Parameter]
    references: tuple[dict[str, str], ...] = Field(min_length=1)
    performance: Performance | None = None
    metadata: str = ""
    methods: dict[str, Method] = {}
    supported_formats: tuple[str, ...] = ()

    title: str = Field(min_length=1)
    badge: str = Field(min_length=1, max_length=40)
    simulated: bool
    trained_on: str
    licence: str
    citation: tuple[str, ...]
    limits: tuple[str, ...] = Field(min_length=1)
    resources: str
    loss: str
    calibrated: Literal["yes", "no", "unknown"]
    accuracy: str
    usual_sd: float = Field(gt=0)
    weights_sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")
    trained_without: Literal["never"] | tuple[tuple[Literal["audio", "text", "video"], ...], ...] | None = None
    downloads: dict[str, int] = {}
    training: Training | None = None
    rules: tuple[PlantedRule, ...] = ()
    recovery: tuple[Recovery, ...] = ()
    intersubject: Intersubject | None = None

    @property
    def id(self) -> str:
        """``model_id``, as everything else here calls it."""
        return self.model_id

    @property
    def what(self) -> str:
        """``description``: one paragraph on what the model is."""
        return self.description

    @field_validator("calibrated", mode="before")
    @classmethod
    def _yaml_truth(cls, value: Any) -> Any:
        # YAML reads a bare yes as true
        return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value

    @field_validator("badge")
    @classmethod
    def _no_borrowed_name(cls, badge: str, info: Any) -> str:
        if info.data.get("model_id", "").startswith("vibe-sim") and "VIBE" in badge.upper():
            raise ValueError("a simulation must not wear the name of the published model")
        return badge

    @field_validator("references")
    @classmethod
    def _one_address_each(cls, references: tuple[dict[str, str], ...]) -> tuple[dict[str, str], ...]:
        for reference in references:
            if len(reference) != 1 or not next(iter(reference.values())).startswith("https://"):
                raise ValueError("each reference is one label with one https address")
        return references


def read_card(path: Path) -> Card:
    """Read and check a card.

    Raises
    ------
    ModelError
        When the file is missing or not YAML, names a key twice, or a field is missing, unknown or out of range; the message names the fields.
    """
    import yaml

    hint = "Get the model's files again; encoder/cards.py describes the fields of a card."
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_once_loader())
    except FileNotFoundError:
        raise ModelError("card_missing", "The model has no card.yaml, so nobody could say what its numbers mean.", hint) from None
    except _Twice as twice:
        raise ModelError("card_invalid", f"The model's card.yaml names {twice.key!r} twice in one place.", hint) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ModelError("card_unreadable", "The model's card.yaml is not readable YAML.", hint) from None
    try:
        return Card.model_validate(content)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, part['loc'])) or 'card'}: {part['msg'].lower()}" for part in error.errors()[:5])
        raise ModelError("card_invalid", f"The model's card.yaml does not hold what a card must: {said}.", hint) from None


def write_card(card: Card, path: Path) -> None:
    """Write a card so that :func:`read_card` gives it back."""
    import yaml

    content = card.model_dump(mode="json", exclude_none=True)
    content = {key: _without_empty(value) for key, value in content.items() if value or Card.model_fields[key].is_required()}
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8")


def _without_empty(value: Any) -> Any:
    """Nothing that says nothing, such as the properties of a parameter that has none."""
    if isinstance(value, dict):
        return {key: _without_empty(item) for key, item in value.items() if item not in ({}, [])}
    return [_without_empty(item) for item in value] if isinstance(value, list) else value


class _Twice(Exception):
    def __init__(self, key: Any):
        super().__init__(key)
        self.key = key


def _once_loader() -> type:
    """PyYAML's safe loader, which by itself lets the last of two equal keys win without a word."""
    import yaml

    class OnceLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # the one in C, where it was built, is ten times as fast
        def construct_mapping(self, node: Any, deep: bool = False) -> dict:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            for k, key in enumerate(keys):
                if key in keys[:k]:
                    raise _Twice(key)
            return super().construct_mapping(node, deep)

    return OnceLoader
