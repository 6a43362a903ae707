"""Which models there are and in what state: ready, to be downloaded, or not for this machine. Looking never uses the network."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from encoder import ensemble
from encoder.cards import Card, read_card
from encoder.checkpoints import list_models as embedded_models
from encoder.checkpoints import read_card_of, read_model
from encoder.collection import KNOWN, variants
from encoder.models.published_config import PublishedVIBEConfig
from extractors.errors import CineglassError, ModelError
from extractors.hub_files import LocalModel, display_name, download, find_local, is_repository
from extractors.hub_transfer import in_units
from extractors.in_thread import in_thread
from extractors.priming import priming_phrase
from extractors.stages import Stage
from settings import ASSETS, Settings, get_settings

if TYPE_CHECKING:
    from encoder.checkpoints import ModelFiles
    from encoder.ensemble import EnsembleFiles
    from encoder.plan import Plan

log = logging.getLogger(__name__)

PUBLISHED = ASSETS / "models" / "vibe" / "card.yaml"
LOOKED_AT_S = 60.0
"""Length of clip for which a model must fit to count as ready."""
NOT_HERE = ("not_here", "incomplete")
"""Codes of what a download mends."""


@dataclass(frozen=True)
class ModelState:
    """One model as a person may choose it.

    Attributes
    ----------
    id : str
        What ``model=`` takes: an embedded id, a hub name, a folder, or several joined by "+".
    title, badge : str
        For people.
    state : {"ready", "downloadable", "unavailable"}
        All files are here and a plan fits; files are missing that a download brings; it does not run on this machine.
    size_bytes : int or None
        What is still to be downloaded, about; None when that is not known.
    why, way_out : str
        One sentence each on what is wrong and what to do; "" when ready.
    card : Card or None
        None when the model's card cannot be read.
    """

    id: str
    title: str
    badge: str
    state: Literal["ready", "downloadable", "unavailable"]
    size_bytes: int | None = None
    why: str = ""
    way_out: str = ""
    card: Card | None = None

    @property
    def shown_id(self) -> str:
        """The id as others may see it: hub names and embedded ids as they are, of a folder its name only."""
        return "+".join(display_name(str(part)) for part in ensemble.split(self.id))


@dataclass(frozen=True)
class Missing:
    """One repository that a model needs and this machine lacks; ``size_bytes`` is None when not known, else about."""

    source: str
    size_bytes: int | None


def list_models(settings: Settings | None = None, *, ask: bool = False, fit: bool = True) -> tuple[ModelState, ...]:
    """Every model that can be chosen: embedded ones, the published collection, and those of the settings.

    Parameters
    ----------
    settings : Settings, optional
    ask : bool
        Ask the hub for the list of the collection; without it what is remembered counts and nothing uses the network.
    fit : bool
        Look also whether a model whose files are here fits into this machine, which loads torch; without it such a model is "ready".

    Returns
    -------
    tuple of ModelState
        A broken entry is "unavailable" and says why.
    """
    settings = settings or get_settings()
    published = [variant.id for variant in variants(settings, ask=ask)]
    ids = [*embedded_models(), *published, *(name.strip() for name in settings.models.split(",")), settings.model]
    return tuple(state_of(id, settings, fit=fit) for id in dict.fromkeys(ids) if id)


def state_of(id: str, settings: Settings | None = None, *, fit: bool = True) -> ModelState:
    """The state of one model; never an exception. ``fit`` as in :func:`list_models`."""
    settings = settings or get_settings()
    card = None
    try:
        card = card_of(id, settings)
        missing = missing_of(id, settings)
        if missing:
            return _downloadable(id, card, missing)
        files = ensemble.read(id, settings=settings)
        card = files.card
        plan = _plan(files, LOOKED_AT_S, settings) if fit else None
        if plan is not None and not plan.ok:
            return _state(id, card, "unavailable", why=plan.problem, way_out=plan.way_out)
        return _state(id, card, "ready")
    except CineglassError as error:
        return _state(id, card, "unavailable", why=error.message, way_out=error.hint)
    except Exception:
        log.exception("the state of a model could not be found")
        return _state(id, card, "unavailable", why="Its files could not be looked at.", way_out="Get the model's files again.")


def card_of(id: str | os.PathLike, settings: Settings | None = None) -> Card:
    """A model's card, whether or not its weights are here; ModelError when it has none that can be read. Of an ensemble that of its first member."""
    return read_card_of(ensemble.split(id)[0], settings=settings or get_settings())


def missing_of(id: str | os.PathLike, settings: Settings | None = None) -> tuple[Missing, ...]:
    """Repositories that a model still needs, its own first.

    While its own files are missing, those of its backbones are known only for the models that the published card counts up.

    Raises
    ------
    ModelError
        For what a download does not mend.
    """
    settings = settings or get_settings()
    found: dict[str, Missing] = {}
    for part in ensemble.split(id):
        for missing in _missing_of_one(str(part), settings):
            found.setdefault(missing.source, missing)
    return tuple(found.values())


def whole(id: str | os.PathLike, settings: Settings | None = None) -> ModelFiles | EnsembleFiles:
    """A model whose files, and those of its backbones, are all here; ModelError that says what is missing, what it costs and how to get it."""
    settings = settings or get_settings()
    if missing := missing_of(id, settings):
        why, way_out = _lacking(str(id), missing)
        size = _size_of(missing)
        raise ModelError("not_here", f"{why[:-1]}; to be downloaded: {f'about {in_units(size)}' if size else 'size unknown'}.", way_out)
    return ensemble.read(id, settings=settings)


def model_plan(model: str | os.PathLike, *, duration_s: float, settings: Settings | None = None) -> Plan | None:
    """What a published model would do with a clip of this length on this machine; None for an embedded model, which needs no plan.

    Raises
    ------
    ModelError
        As :func:`whole`.
    """
    settings = settings or get_settings()
    return _plan(whole(model, settings), duration_s, settings)


def download_model(id: str, settings: Settings | None = None) -> Generator[Any, None, None]:
    """Fetch everything that :func:`missing_of` lists, and the phrase that published models read first.

    Yields
    ------
    Stage
        "download", "phrase"; the last item is a tuple of the names that were fetched.

    Raises
    ------
    ModelError
        As :func:`extractors.hub_files.download`.
    """
    settings = settings or get_settings()
    todo = missing_of(id, settings)
    for missing in todo:
        for item in download(missing.source):
            if isinstance(item, Stage):
                yield item
    if todo:
        yield from in_thread("phrase", 1, "Fetching the phrase that stands before every transcript", lambda _: priming_phrase(settings))
    yield tuple(missing.source for missing in todo)


def _missing_of_one(id: str, settings: Settings) -> list[Missing]:
    if id in embedded_models():
        return []
    sizes = read_card(PUBLISHED).downloads
    missing, config, folder = [], PublishedVIBEConfig(), None
    try:
        local = find_local(id)
    except ModelError as error:
        if error.code not in NOT_HERE or not is_repository(id):
            raise
        missing.append(Missing(id, sizes.get(id)))
        if id != KNOWN:  # which backbones it names is known when its config.json is here
            return missing
    else:
        if _is_backbone(local):
            return []
        files = read_model(id, settings=settings)
        if not files.published:
            return []
        config, folder = files.config, files.folder
    for source in (config.text_extractor, config.video_extractor, config.audio_extractor):
        try:
            find_local(source, beside=folder)
        except ModelError as error:
            if error.code not in NOT_HERE or not is_repository(source):
                raise
            if folder is not None and (folder / source).is_dir():
                raise  # it is here and damaged
            if folder is not None and (folder / source.partition("/")[0]).is_dir():  # a name like "backbones/text" reads as a hub name too
                raise ModelError("not_here", f"The model's folder lacks {source}, which it stands on.", "Get the model's files again.") from None
            missing.append(Missing(source, sizes.get(source)))
    return missing


def _is_backbone(local: LocalModel) -> bool:
    """Whether a folder holds a model of transformers, which names its kind, and not one of ours."""
    try:
        values = json.loads((local.folder / "config.json").read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return False  # who reads it as one of ours says what is wrong with it
    return isinstance(values, dict) and "model_type" in values and "num_rois" not in values


def _plan(files: ModelFiles | EnsembleFiles, duration_s: float, settings: Settings) -> Plan | None:
    if not files.published:
        return None
    from encoder.plan import make_plan

    return make_plan(files, duration_s=duration_s, settings=settings)


def _downloadable(id: str, card: Card, missing: tuple[Missing, ...]) -> ModelState:
    why, way_out = _lacking(id, missing)
    return _state(id, card, "downloadable", size_bytes=_size_of(missing), why=why, way_out=way_out)


def _lacking(id: str, missing: tuple[Missing, ...]) -> tuple[str, str]:
    """What is not here, and how to get it."""
    names = [part.source for part in missing]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    # a folder of this machine is not named; its backbones are fetched by their own names
    asked = [id] if all(is_repository(str(part)) for part in ensemble.split(id)) else names
    commands = "; ".join(f"python cli.py download-model {name}" for name in asked)
    return f"{listed} {'is' if len(names) == 1 else 'are'} not on this machine.", f"Get {'it' if len(names) == 1 else 'them'} with: {commands}"


def _size_of(missing: tuple[Missing, ...]) -> int | None:
    sizes = [part.size_bytes for part in missing]
    return None if None in sizes else sum(sizes)


def _state(id: str, card: Card | None, state: str, **more: Any) -> ModelState:
    names = [display_name(str(part)) for part in ensemble.split(id)] if card is not None else [display_name(id)]
    title = card.title if card is not None and len(names) == 1 else " + ".join(names)
    return ModelState(id, title, card.badge if card is not None else "", state, card=card, **more)
