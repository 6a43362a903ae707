"""A loaded model: features in, responses of all subjects out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np

from encoder.responses import SUBJECTS, check_subjects
from extractors.errors import ModelError
from extractors.features import STREAMS, Features
from extractors.in_thread import Tell

if TYPE_CHECKING:
    from encoder.cards import Card
    from encoder.checkpoints import ModelFiles
    from encoder.frontend import FrontEnd
    from encoder.models.published import PublishedVIBE
    from encoder.models.published_config import PublishedVIBEConfig


class EncodingModel:
    """One model with its front end and its card; made by :func:`encoder.from_pretrained`.

    Attributes
    ----------
    module : PublishedVIBE
    frontend : FrontEnd or None
        None for a model that takes features as they are.
    card : Card
    weights_sha256 : str
        Of ``model.safetensors``.
    ignored_keys : tuple of str
        Keys of ``config.json`` that mean nothing to this class.
    fingerprint : str
        Of everything that decides its predictions; "" for a model that never lay on disk.
    files : ModelFiles or None
        Where it was loaded from; names the backbones of a published model.
    """

    def __init__(
        self,
        module: PublishedVIBE,
        *,
        frontend: FrontEnd | None,
        card: Card,
        weights_sha256: str,
        ignored_keys: tuple[str, ...] = (),
        fingerprint: str = "",
        files: ModelFiles | None = None,
    ):
        self.module = module
        self.frontend = frontend
        self.card = card
        self.weights_sha256 = weights_sha256
        self.ignored_keys = ignored_keys
        self.fingerprint = fingerprint
        self.files = files

    @property
    def config(self) -> PublishedVIBEConfig:
        """The published configuration."""
        return self.module.config

    @property
    def id(self) -> str:
        """The card's id."""
        return self.card.id

    def predict(self, features: Features, subjects: Sequence[int] = SUBJECTS, *, tell: Tell | None = None) -> np.ndarray:
        """Responses of several subjects in one batch, stream projections computed once.

        Parameters
        ----------
        features : Features
            float32 [T, dim] per stream.
        subjects : sequence of int
            Out of 1, 2, 3, 5.
        tell : callable, optional
            Called before every layer; may raise to stop.

        Returns
        -------
        float32 [subjects, T, 1000]
            Predicted BOLD in z; row k stands for film time (k + 0.5) * TR.

        Raises
        ------
        ModelError
            When the features do not fit the model, or it answers with numbers that are not finite.
        SelectionError
            For a subject the model does not have.
        FeatureError
            ``out_of_memory``.
        """
        import torch

        from extractors.backbone import memory_in_words, telling

        rows = [SUBJECTS.index(subject) for subject in check_subjects(subjects)]
        streams = self.frontend(features) if self.frontend is not None else features
        for stream, size in self.config.input_dims.items():
            if streams[stream].shape[1] != size:
                raise ModelError(
                    "feature_size",
                    f"The model {self.id} takes {size} {stream} features, but got {streams[stream].shape[1]} instead.",
                    "Use the extractors that belong to this model.",
                )
        weight = self.module.output_head.weight
        asked = telling(self.module, tell) if tell is not None else nullcontext()
        with memory_in_words("the predictor", weight.device.type), asked, torch.inference_mode():
            batch = {name: torch.from_numpy(np.ascontiguousarray(streams[name], np.float32))[None].to(weight) for name in STREAMS}
            out = self.module(batch, torch.tensor(rows, device=weight.device)).float().cpu().numpy()
        if not np.isfinite(out).all():
            raise ModelError("not_finite", f"The model {self.id} answered with numbers that are not finite.", "Get the model's files again.")
        return out
