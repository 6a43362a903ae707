"""Model cards: what a model is, and how far to believe it.

A card is ``card.yaml`` beside the weights. Fields (all needed unless marked)::

    id: vibe-sim
    title: Textbook simulation            # shown at results
    badge: Textbook simulation            # short, drawn beside the clip's name
    simulated: true                       # SIMULATED is drawn inside every picture
    what: one paragraph                   # in plain words
    trained_on: one paragraph
    licence: MIT
    citation: [one or more lines]
    limits: [plain sentences, where not to believe it]
    resources: what it needs to run
    loss: what training minimised
    calibrated: "yes" | "no" | "unknown"  # may a mean difference in z be read as a size?
    accuracy: never tested on measured brains   # or the published figures, with what they are
    usual_sd: 0.4                         # SD of a usual prediction (z); colour and curve ranges never go below it
    weights_sha256: ...                   # of model.safetensors
    training: {command, seconds, minutes_per_subject, seed, notes}          # optional
    rules: [{parcels, follows, source, caveat}]                             # optional; the generative model of simulated subjects
    recovery:                             # optional; simulated models only, never called accuracy
      - id: generated                     # or: natural
        label: Held-out generated clips
        clips: [{name, source, n_trs}]
        valid_trs: 640
        all: {r, interval: [low, high], ceiling, ridge, slope, parcels}
        networks: {Vis: {r, interval, ceiling, ridge, slope, parcels}, ...}
        groups: {Auditory: {...}, ...}    # optional

``r`` is the mean correlation of planted and predicted responses over ``parcels`` parcels, ``ceiling`` the most that any model could reach,
``ridge`` what delayed ridge reaches on the same split, ``slope`` the regression of truth on prediction.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from extractors.errors import ModelError


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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

    id: str = Field(min_length=1)
    title: str = Field(min_length=1)
    badge: str = Field(min_length=1, max_length=40)
    simulated: bool
    what: str
    trained_on: str
    licence: str
    citation: tuple[str, ...]
    limits: tuple[str, ...] = Field(min_length=1)
    resources: str
    loss: str
    calibrated: Literal["yes", "no", "unknown"]
    accuracy: str
    usual_sd: float = Field(gt=0)
    weights_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    training: Training | None = None
    rules: tuple[PlantedRule, ...] = ()
    recovery: tuple[Recovery, ...] = ()

    @field_validator("calibrated", mode="before")
    @classmethod
    def _yaml_truth(cls, value: Any) -> Any:
        # YAML reads a bare yes as true
        return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value

    @field_validator("badge")
    @classmethod
    def _no_borrowed_name(cls, badge: str, info: Any) -> str:
        if info.data.get("id", "").startswith("vibe-sim") and "VIBE" in badge.upper():
            raise ValueError("a simulation must not wear the name of the published model")
        return badge


def read_card(path: Path) -> Card:
    """Read and check a card.

    Raises
    ------
    ModelError
        When the file is missing or not YAML, or a field is missing, unknown or out of range; the message names the fields.
    """
    import yaml

    hint = "Get the model's files again; encoder/cards.py describes the fields of a card."
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError("card_missing", "The model has no card.yaml, so nobody could say what its numbers mean.", hint) from None
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
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8")
