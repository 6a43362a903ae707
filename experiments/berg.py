"""The Python interface that users of BERG know (Brain Encoding Response Generator, Gifford et al.), for the models that are here.

After ``from experiments.berg import BERG`` a notebook that was written for BERG's VIBE runs as it is; docs/python.md says what is added.
Importing this loads neither torch nor transformers. Arguments are checked before anything long begins.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.berg_cards import as_text, card_of, cards, described
from experiments.berg_errors import (
    BERGError,
    InvalidParameterError,
    ModelLoadError,
    ModelNotFoundError,
    ResourceError,
    StimulusError,
    berg_errors,
    not_allowed,
    unknown_name,
)
from experiments.berg_model import BERGModel, model_facts
from experiments.berg_selection import subjects_of
from settings import Settings, get_settings

if TYPE_CHECKING:
    import torch

__all__ = ["BERG", "BERGError", "InvalidParameterError", "ModelLoadError", "ModelNotFoundError", "ResourceError", "StimulusError"]

WEIGHTS = Path("encoding_models", "modality-fmri", "train_dataset-cneuromod_algo2025", "model-vibe", "encoding_models_weights")
"""Where BERG keeps VIBE's weights below its folder (reference page "VIBE", 2B)."""


class BERG:
    """The door to all models.

    Parameters
    ----------
    berg_dir : path, optional
        Folder of a BERG installation. Not needed; weights that lie there are used.
    settings : Settings, optional
        By default those of the process: cache folder, recogniser, memory.
    """

    def __init__(self, berg_dir: str | os.PathLike | None = None, *, settings: Settings | None = None):
        if berg_dir is not None and not isinstance(berg_dir, str | os.PathLike):
            raise not_allowed("berg_dir", "a folder or None", berg_dir)
        self.berg_dir = berg_dir
        self._settings = settings or get_settings()

    def list_models(self) -> list[str]:
        """Ids of all models."""
        return sorted(cards())

    def get_model_catalog(self, print_format: bool = False) -> dict[str, list[str]]:
        """Modality to its training datasets, sorted; ``print_format`` prints it too."""
        catalog: dict[str, set[str]] = {}
        for card, _ in cards().values():
            catalog.setdefault(card.modality, set()).add(card.training_dataset)
        found = {modality: sorted(datasets) for modality, datasets in sorted(catalog.items())}
        if print_format:
            for modality, datasets in found.items():
                print(f"{modality}: {', '.join(datasets)}")
        return found

    def describe(self, model_id: str) -> dict[str, Any]:
        """Print what a model is and return it, see :func:`experiments.berg_cards.described`; ModelNotFoundError for an unknown id."""
        facts = described(card_of(model_id)[0])
        print(as_text(facts))
        return facts

    def get_model_variants(self, model_id: str) -> list[str]:
        """Hub names of the weights that fit a model's card.

        Asks the hub when it can be reached and answers from memory otherwise; an embedded model has none. ModelNotFoundError for an unknown id.
        """
        if _embedded(card_of(model_id)[1]):
            return []
        from encoder.collection import variants

        with berg_errors():
            return [variant.id for variant in variants(self._settings, ask=True)]

    def get_model_metadata(self, model_id: str, subject: Any = None, **unknown: Any) -> dict[str, Any]:
        """What a model's responses are, without loading weights.

        Parameters
        ----------
        model_id : str
        subject : int or list of int, optional

        Returns
        -------
        dict
            ``roi_masks``: for each of Vis, SomMot, DorsAttn, SalVentAttn, Limbic, Cont and Default a bool mask [1000] (lower-case names answer
            too); ids, labels, networks, hemispheres and centres of the parcels; ``tr``, ``units``, ``accuracy``, ``simulated``.

        Raises
        ------
        ModelNotFoundError, InvalidParameterError
        """
        card, _ = card_of(model_id)
        _refuse(unknown, "get_model_metadata", ("subject",))
        if subject is not None:
            subjects_of(subject)
        return model_facts(card, subject)

    def get_encoding_model(
        self,
        model_id: str,
        device: str = "auto",
        selection: Mapping[str, Any] | None = None,
        *,
        subject: Any = None,
        model_variant: Any = None,
        low_mem_use: bool = True,
        config: Any = None,
        **unknown: Any,
    ) -> BERGModel:
        """A model that encodes films. Its files are checked now and loaded when they are needed.

        Parameters
        ----------
        model_id : str
            One of :meth:`list_models`.
        device : {"auto", "cpu", "cuda", "mps"}
        selection : dict, optional
            ``{"roi": [...], "parcel_index": [...], "parcels": [...]}``, combined with OR; see :func:`experiments.berg_selection.selected`.
        subject : int or list of int, optional
            Out of 1, 2, 3, 5; needed here or in :meth:`encode`.
        model_variant : str or path, or a list of them, optional
            Hub name or folder with the weights of a published model; several are averaged. By default the card's.
        low_mem_use : bool
            Load one backbone at a time and free it; the embedded model has none and ignores this.
        config : None
            BERG chooses weights by their configuration; here ``model_variant`` does, and beside it ``config`` is ignored, as in BERG.

        Raises
        ------
        ModelNotFoundError
            Unknown id.
        ModelLoadError
            Something is missing on this machine; the message says what and how to get it.
        InvalidParameterError
            Any other argument.
        """
        card, folder = card_of(model_id)
        _refuse(unknown, "get_encoding_model", ("device", "selection", "subject", "model_variant", "low_mem_use"))
        if config is not None and model_variant is None:
            raise InvalidParameterError(
                "config", "config chooses no weights here.", "Name the weights with model_variant: a hub name or a folder with config.json."
            )
        embedded = _embedded(folder)
        if embedded and model_variant is not None:
            raise not_allowed("model_variant", f"None for {model_id}, which has its own weights", model_variant)
        names = [] if embedded else self._names(model_variant, card)
        places = [self._place(name) for name in names]
        model = BERGModel(
            card,
            model_id if embedded else places[0] if len(places) == 1 else places,
            variant="+".join(Path(name).name if Path(name).is_dir() else name for name in names) or None,
            repository=names[0] if len(names) == 1 and places != names and not Path(places[0], "card.yaml").is_file() else None,
            variants=lambda: self.get_model_variants(model_id),
            subject=subject,
            selection=selection,
            device=device,
            low_mem=low_mem_use,
            settings=self._settings,
        )
        model.load_model()
        return model

    def encode(
        self,
        model: BERGModel,
        transcripts: Any = None,
        return_metadata: bool = False,
        *,
        video_path: Any = None,
        subject: Any = None,
        show_progress: bool = True,
        **unknown: Any,
    ) -> torch.Tensor | tuple[torch.Tensor, dict[str, Any]]:
        """Predict responses to a film.

        Parameters
        ----------
        model : BERGModel
        transcripts : sequence of str, path, sequence of (str, float, float), Transcript, or None
            One string per TR (``floor(duration / 1.49)`` of them; one more is accepted with a warning), a transcript file, words with onset and
            duration in seconds, or None: then the words are recognised. BERG's own name for it, ``stimulus``, works too.
        return_metadata : bool
        video_path : path
            The film.
        subject : int or list of int, optional
            Instead of the model's.
        show_progress : bool
            A bar on stderr for each stage.

        Returns
        -------
        torch.Tensor
            float32 [n_TR, n] for one subject, [n_subjects, n_TR, n] for a list; n is 1000, or the selected parcels in the order of the atlas.
        dict
            With ``return_metadata``: what the columns, rows and subjects are, ``valid`` rows, warnings, provenance; sliced as the responses.
            The same with all parcels, as one labelled object, is ``model.responses``.

        Raises
        ------
        StimulusError
            The film or the transcript cannot be used, or they do not fit each other.
        InvalidParameterError, ModelLoadError, ResourceError
        """
        if not isinstance(model, BERGModel):
            raise not_allowed("model", "what get_encoding_model returned", type(model).__name__)
        if transcripts is None:
            transcripts = unknown.pop("stimulus", None)
        _refuse(unknown, "encode", ("transcripts", "video_path", "subject", "return_metadata", "show_progress"))
        values, metadata = model.encode(transcripts, video_path=video_path, subject=subject, show_progress=show_progress)
        return (values, metadata) if return_metadata else values

    def _names(self, given: Any, card: Any) -> list[str]:
        """Names of the weights asked for."""
        default = card.parameters["model_variant"].default
        names = [default] if given is None else [given] if isinstance(given, str | os.PathLike) else given
        if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str | os.PathLike) and os.fspath(name) for name in names):
            raise not_allowed("model_variant", "a hub name or a folder, or a list of them", given, f"For example {default}.")
        return [os.fspath(name) for name in names]

    def _place(self, name: str) -> str:
        """Folder of a variant below BERG's own folder, when it is there; otherwise its name as it is."""
        if self.berg_dir is None or Path(name).is_dir():
            return name
        from extractors.hub_files import cached_commit

        root = Path(self.berg_dir) / WEIGHTS
        storage = root / f"models--{name.replace('/', '--')}"
        commit = cached_commit(storage, None) if "/" in name else None
        places = [storage / "snapshots" / commit] if commit else []
        places += [root / name, root / name.rpartition("/")[2], root]
        return next((str(place) for place in places if (place / "config.json").is_file()), name)


def _embedded(folder: Path) -> bool:
    """Whether a model's weights come with the program."""
    return (folder / "config.json").is_file()


def _refuse(unknown: Mapping[str, Any], function: str, allowed: tuple[str, ...]) -> None:
    for name in unknown:
        hint = "selection is given to get_encoding_model." if name == "selection" else ""
        raise unknown_name(f"arguments of {function}", allowed, name, hint)
