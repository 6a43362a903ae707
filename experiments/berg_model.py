"""A model as BERG's users know it: made by :meth:`experiments.berg.BERG.get_encoding_model`."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.berg_cards import described
from experiments.berg_errors import BERGError, InvalidParameterError, StimulusError, berg_errors, not_allowed
from experiments.berg_selection import EVERY_PARCEL, parcel_facts, selected, subjects_of
from experiments.berg_transcripts import words_for
from extractors.clip import Clip
from extractors.stages import Stage, last
from settings import Settings

if TYPE_CHECKING:
    import torch

    from encoder.cards import Card
    from encoder.responses import Responses

DEVICES = ("auto", "cpu", "cuda", "mps")


class BERGModel:
    """Predicts the responses of one or several subjects to a film.

    Nothing heavy is loaded before it is needed; making one only checks that the files are here.

    Parameters
    ----------
    card : Card
    source : str or list of str
        What :func:`experiments.predict.predict` takes as the model: an id, a folder, a hub name, or several to average.
    variant : str or None
        Name of the weights asked for, for people; None for an embedded model.
    repository : str or None
        Hub name of weights that were found in a folder without a card: they get that repository's card.
    variants : callable
        Hub names of further weights for the same card.
    subject : int, list of int or None
        Of those that :meth:`encode` predicts when it is not told otherwise.
    selection : mapping or None
        See :func:`experiments.berg_selection.selected`.
    device : {"auto", "cpu", "cuda", "mps"}
    low_mem : bool
    settings : Settings

    Attributes
    ----------
    weights_card : Card
        Of the weights themselves, which may lie in a folder with a card of its own.
    """

    def __init__(
        self,
        card: Card,
        source: str | list[str],
        *,
        variant: str | None = None,
        repository: str | None = None,
        variants: Callable[[], list[str]],
        subject: Any,
        selection: Any,
        device: Any,
        low_mem: Any,
        settings: Settings,
    ):
        if subject is not None:
            subjects_of(subject)
        if str(device) not in DEVICES:
            raise not_allowed("device", f"one of {', '.join(DEVICES)}", str(device), "auto takes a GPU when there is one.")
        if not isinstance(low_mem, bool | np.bool_):
            raise not_allowed("low_mem_use", "True or False", low_mem)
        self.card = self.weights_card = card
        self.subject = subject
        self.selection = selection
        self.columns = selected(selection)
        self.model_variant = variant
        self._source, self._repository = source, repository
        self._settings = settings.model_copy(update={"device": str(device), "low_mem": bool(low_mem)})
        self._variants = variants
        self._responses: Responses | None = None

    @property
    def responses(self) -> Responses:
        """The labelled result of the last :meth:`encode`: all 1000 parcels, subjects, valid rows, provenance. BERGError before the first."""
        if self._responses is None:
            raise BERGError("no_responses", "This model has not encoded a film yet, so it holds no responses.", "Call encode first.")
        return self._responses

    def load_model(self) -> None:
        """Check that everything the model is made of is on this machine, without loading it.

        Raises
        ------
        ModelLoadError
            Naming what is missing and how to get it.
        InvalidParameterError
            For a device that this machine does not have.
        """
        from encoder.checkpoints import read_card_of
        from encoder.ensemble import read
        from extractors.hub_files import find_local

        with berg_errors():
            files = read(self._source, settings=self._settings)
            if files.published:
                for name in (files.config.text_extractor, files.config.audio_extractor, files.config.video_extractor):
                    find_local(name, beside=files.folder)
            self.weights_card = files.card if self._repository is None else read_card_of(self._repository, settings=self._settings)
        device = self._settings.device
        if device in ("cuda", "mps"):
            import torch

            if not (torch.cuda.is_available() if device == "cuda" else torch.backends.mps.is_available()):
                raise InvalidParameterError("device_missing", f"There is no device {device!r} on this machine.", 'device="auto" takes what there is.')

    def generate_response(self, transcripts: Any = None, *, video_path: Any = None, subject: Any = None, show_progress: bool = True) -> torch.Tensor:
        """Predict responses to a film; see :meth:`experiments.berg.BERG.encode`."""
        return self.encode(transcripts, video_path=video_path, subject=subject, show_progress=show_progress)[0]

    def encode(self, transcripts: Any, *, video_path: Any, subject: Any, show_progress: bool) -> tuple[torch.Tensor, dict[str, Any]]:
        """Responses and what they are; see :meth:`experiments.berg.BERG.encode`."""
        from experiments.intake import admitted
        from experiments.predict import predict

        subjects, single = subjects_of(self.subject if subject is None else subject)
        film = _film(video_path)
        with berg_errors():
            clip = _run(admitted(film, settings=self._settings, allow_short=True), show_progress)
            words, said = words_for(transcripts, clip)
            job = predict(clip, transcript=words, subjects=subjects, model=self._source, settings=self._settings, allow_short=True)
            responses = _run(job, show_progress).responses
        self._responses = responses if self._repository is None else _relabelled(responses, self.weights_card)
        for sentence in (*said, *self._responses.warnings):
            warnings.warn(sentence, stacklevel=3)
        import torch

        values = self._responses.values[0] if single else self._responses.values
        return torch.from_numpy(np.ascontiguousarray(values[..., self.columns])), self._facts(single, said)

    def get_supported_parameters(self) -> dict[str, Any]:
        """The arguments that the calls take, from the model's card: type, allowed values, default and what they do."""
        return described(self.card)["parameters"]

    def get_model_id(self) -> str:
        """The model's id."""
        return self.card.model_id

    def get_metadata(self) -> dict[str, Any]:
        """What the columns of this model's responses are; sliced by the selection, as the responses."""
        return model_facts(self.weights_card, self.subject, self.columns)

    def describe(self) -> dict[str, Any]:
        """What the model is, from its card."""
        return described(self.card)

    def get_pretrained_variants(self) -> list[str]:
        """Hub names of the weights that fit this model's card; empty for an embedded model."""
        return self._variants()

    def generate_glass_brain_animation(
        self,
        responses: Any = None,
        out_path: Any = "brain_activation.gif",
        display_mode: str = "lyrz",
        cmap: str = "cold_hot",
        cleanup_frames: bool = True,
    ) -> str:
        """Write responses as a GIF of a glass brain in which a TR takes its 1.49 s.

        Parameters
        ----------
        responses : torch.Tensor or array, float [n_TR, 1000 or selected], optional
            One person's; by default those of the first subject of the last encode.
        out_path : path
            Ends in ``.gif``.
        display_mode : str
            Views out of "l", "y", "r", "z", "x" in any order, or "ortho".
        cmap : str
            "cold_hot", or a colour map of matplotlib.
        cleanup_frames : bool
            Accepted and of no effect: no single pictures are left on the disk.

        Returns
        -------
        str
            The path.

        Raises
        ------
        InvalidParameterError
            For a path of another ending, an unknown view or colour map, or responses of another shape.
        ResourceError
            When the file cannot be written.
        """
        from viz.animation import glass_brain_gif

        values = self.responses.values[0][:, self.columns] if responses is None else _as_array(responses)
        if values.ndim == 1:
            values = values[None]
        full = values.ndim == 2 and values.shape[-1] == len(EVERY_PARCEL)
        if not full and (values.ndim != 2 or values.shape[1] != len(self.columns)):
            allowed = " or ".join(dict.fromkeys(f"[n_TR, {count}]" for count in (1000, len(self.columns))))
            hint = "Take one subject of several, for example responses[0]." if values.ndim == 3 else "Give what encode returned."
            raise not_allowed("responses", f"of the shape {allowed}", list(values.shape), hint)
        shown = EVERY_PARCEL if full else self.columns
        who, valid = self._whose(values, shown)
        if not isinstance(out_path, str | os.PathLike):
            raise not_allowed("out_path", "a path that ends in .gif", out_path)
        with berg_errors():
            path = _run(
                glass_brain_gif(
                    values,
                    out_path,
                    parcels=shown,
                    display_mode=display_mode,
                    cmap=cmap,
                    simulated=self.weights_card.simulated,
                    valid=valid,
                    range_floor=self.weights_card.usual_sd,
                    title=who,
                ),
                False,
            )
        return str(path)

    def cleanup(self) -> None:
        """Free the networks that are kept loaded, and forget the last responses. The model stays usable: it loads again what it needs."""
        self._responses = None
        if "torch" in sys.modules:
            from extractors.warm import POOL

            POOL.clear()

    def __enter__(self) -> BERGModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.cleanup()

    def _facts(self, single: bool, said: tuple[str, ...]) -> dict[str, Any]:
        """Metadata of the last responses, sliced as they are."""
        responses = self._responses
        facts = responses.metadata()
        left_out = ("parcel_labels", "parcel_networks", "shape", "axes", "subject_files", "atlas_hash", "extra", "range_floor")
        return {
            **{key: value for key, value in facts.items() if key not in left_out},
            **parcel_facts(self.columns),
            "subject": responses.subjects[0] if single else list(responses.subjects),
            "model_variant": self.model_variant,
            "axes": ["TR", "parcel"] if single else ["subject", "TR", "parcel"],
            "times": responses.times,
            "valid": np.array(responses.valid),
            "warnings": [*said, *responses.warnings],
            **responses.extra,
        }

    def _whose(self, values: np.ndarray, columns: np.ndarray) -> tuple[str, np.ndarray | None]:
        """Name and valid rows when these are the last responses of one of the subjects."""
        if self._responses is not None:
            for label, known in zip(self._responses.subject_labels, self._responses.values, strict=True):
                if values.shape == (len(known), len(columns)) and np.array_equal(values, known[:, columns]):
                    return label, self._responses.valid
        return "", None


def model_facts(card: Card, subject: Any, columns: np.ndarray = EVERY_PARCEL) -> dict[str, Any]:
    """What is known of a model's responses before there are any."""
    from encoder.responses import SUBJECTS
    from extractors.grid import TR

    return {
        "model_id": card.model_id,
        "simulated": card.simulated,
        "subject": subject,
        "subjects": list(SUBJECTS),
        "tr": TR,
        "units": "z",
        "calibrated": card.calibrated,
        "accuracy": card.accuracy,
        **parcel_facts(columns),
    }


def _relabelled(responses: Responses, card: Card) -> Responses:
    """The same responses under the card that belongs to their weights."""
    extra = {**responses.extra, "calibrated": card.calibrated, "accuracy": card.accuracy}
    return replace(responses, model_id=card.id, model_title=card.title, badge=card.badge, range_floor=card.usual_sd, extra=extra)


def _film(video_path: Any) -> Path | Clip:
    hint = 'Give the path of a film: video_path="film.mp4".'
    if isinstance(video_path, Clip):
        return video_path
    if not isinstance(video_path, str | os.PathLike):
        raise StimulusError("no_film", f"video_path must be the path of a film, but got {type(video_path).__name__} instead.", hint)
    try:
        there = Path(video_path).is_file()
    except (OSError, ValueError):
        there = False
    if not there:
        raise StimulusError("no_film", f"There is no film file {Path(os.fspath(video_path)).name[:60]!r}.", hint)
    return Path(video_path)


def _as_array(responses: Any) -> np.ndarray:
    try:
        return np.asarray(responses.detach().cpu() if hasattr(responses, "detach") else responses, np.float32)
    except (TypeError, ValueError):
        raise not_allowed("responses", "a tensor or an array of numbers", type(responses).__name__, "Give what encode returned.") from None


def _run(job: Generator[Any, None, None], show: bool) -> Any:
    """A job's result; with ``show`` a bar on stderr for each stage. An interrupt closes the job, which ends its child processes."""
    if not show:
        with closing(job):
            return last(job)
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.fields[stage]:6}"), BarColumn(bar_width=24), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    bars: dict[str, Any] = {}
    with closing(job), Progress(*columns, console=Console(stderr=True)) as progress:

        def tell(stage: Stage) -> None:
            if stage.name not in bars:
                bars[stage.name] = progress.add_task(stage.message, stage=stage.name)
            progress.update(bars[stage.name], completed=stage.done, total=stage.total, description=stage.message)

        return last(job, tell)
