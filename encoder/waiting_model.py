"""A model that is loaded beside other work, and only when it is needed: loading torch takes longer than a kept prediction."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import TYPE_CHECKING, Any

from encoder.checkpoints import ModelFiles
from encoder.ensemble import Ensemble, EnsembleFiles, load
from extractors.stages import stage_clock

if TYPE_CHECKING:
    from encoder.encoding_model import EncodingModel

TICK_S = 0.25


class WaitingModel:
    """Describes a model as :class:`encoder.encoding_model.EncodingModel` does, before it is loaded.

    Parameters
    ----------
    files : ModelFiles or EnsembleFiles
    device : {"auto", "cpu", "cuda", "mps"}
    """

    def __init__(self, files: ModelFiles | EnsembleFiles, *, device: str = "auto"):
        self.files = files
        self.card = files.card
        self.ignored_keys = files.ignored_keys
        self.device = device
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model-loader")
        self._loaded: Future[EncodingModel | Ensemble] | None = None

    @property
    def weights_sha256(self) -> str:
        """Of the weights; takes seconds when gigabytes are seen for the first time."""
        return self.files.weights_sha256

    @property
    def fingerprint(self) -> str:
        """Of everything that decides its predictions."""
        return self.files.fingerprint

    def begin(self) -> None:
        """Start loading in a thread, if that has not happened yet."""
        if self._loaded is None:
            self._loaded = self._thread.submit(_load, self.files, device=self.device)

    def loaded(self) -> Generator[Any, None, None]:
        """Yields Stages named "model" until the model is there; it is the last item. ModelError when it cannot be loaded."""
        self.begin()
        at = stage_clock("model", 1)
        while True:
            try:
                model = self._loaded.result(timeout=TICK_S)
            except NotYet:
                yield at(0, "The model is being loaded")
            else:
                yield model
                return

    def close(self) -> None:
        """Start nothing any more; a model that is being loaded is left to itself."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _load(files: ModelFiles | EnsembleFiles, *, device: str) -> EncodingModel | Ensemble:
    from extractors.backbone import memory_in_words

    with memory_in_words("the predictor", device):
        return load(files, device=device)
