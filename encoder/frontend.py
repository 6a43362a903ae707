"""What the embedded model sees of the streams: standardised, and offered with a haemodynamic delay.

The published class has no normalisation and no HRF. Both stand in front of it here: every stream is standardised with the training mean and SD
(and may be reduced by a fixed linear map), and then offered as it is, filtered with the Glover HRF, and filtered with that HRF's time
derivative, so that a network of that class need not learn a delay of several TRs by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from extractors.errors import ModelError
from extractors.features import STREAMS, Features
from extractors.grid import TR

COPIES = ("raw", "glover", "glover_derivative")
LAGS = 21
"""Kernel samples at lags 0, 1, ..., 20 TRs: 29.8 s, after which the Glover HRF is back at rest."""


def glover(times: np.ndarray) -> np.ndarray:
    """Glover HRF at ``times`` (seconds), unnormalised: two gamma densities, peak 6, undershoot 12, dispersions 0.9, ratio 0.48.

    Source: Glover 1999 (NeuroImage 9:416) with the parameters nilearn uses.
    """
    return _gamma_density(times, 6 / 0.9, 0.9) - 0.48 * _gamma_density(times, 12 / 0.9, 0.9)


def hrf_kernels(copies: Sequence[str] = COPIES) -> np.ndarray:
    """Kernels of the copies, sampled at lags m * TR.

    A feature row and a response row both stand for the middle of their TR, so lag m of the kernel is the HRF at exactly m * TR.

    Returns
    -------
    float32 [len(copies), 21]
        The raw copy is a one at lag 0; the Glover kernel sums to one; the derivative has the Glover kernel's Euclidean length.
    """
    times = np.arange(LAGS) * TR
    hrf = glover(times)
    hrf /= hrf.sum()
    step = 0.05
    derivative = glover(times) - glover(times - step)
    derivative *= np.linalg.norm(hrf) / np.linalg.norm(derivative)
    kernels = {"raw": np.eye(1, LAGS)[0], "glover": hrf, "glover_derivative": derivative}
    return np.stack([kernels[name] for name in copies]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class FrontEnd:
    """Standardises streams and offers their filtered copies.

    Attributes
    ----------
    mean, std : dict of str to float32 [dim]
        Per stream: the value that stands for zero (the training mean, or the stream at rest), and the spread around it over the training
        clips; a constant feature has spread 1.
    kernels : float32 [copies, 21]
    extractors : dict of str to str
        Extractor ids these numbers belong to; features of another version are refused.
    reduction : dict of str to float32 [dim, kept]
        Fixed linear map per stream after standardising; streams without one keep their features.
    clip : float
        Standardised values beyond this many SD are cut: an odd film must not leave the range the model knows.
    copies : tuple of str
        Names of the kernels' rows.
    """

    mean: dict[str, np.ndarray]
    std: dict[str, np.ndarray]
    kernels: np.ndarray
    extractors: dict[str, str]
    reduction: dict[str, np.ndarray]
    clip: float = 6.0
    copies: tuple[str, ...] = COPIES

    @classmethod
    def fit(
        cls,
        clips: Sequence[Features],
        *,
        reduction: Mapping[str, np.ndarray] | None = None,
        copies: Sequence[str] = COPIES,
        clip: float = 6.0,
        rest: Features | None = None,
    ) -> FrontEnd:
        """Means and SDs over the rows of all ``clips`` in which a stream is present.

        With ``rest`` (streams of a still grey silent film; its last row counts) values are counted from there instead of from the mean, so
        that an absent track, an empty one and the time before the film are one and the same zero.
        """
        mean, std = {}, {}
        for stream in STREAMS:
            rows = np.concatenate([features[stream] for features in clips if features.present[stream]]).astype(np.float64)
            mean[stream] = rows.mean(0).astype(np.float32) if rest is None else rest[stream][-1].astype(np.float32)
            spread = np.sqrt(np.square(rows - mean[stream]).mean(0))
            std[stream] = np.where(spread > 1e-6, spread, 1.0).astype(np.float32)
        return cls(mean, std, hrf_kernels(copies), dict(clips[0].extractors), dict(reduction or {}), clip, tuple(copies))

    @property
    def output_dims(self) -> dict[str, int]:
        """Size of each stream behind the front end: kept features times copies."""
        kept = {stream: self.reduction[stream].shape[1] if stream in self.reduction else len(self.mean[stream]) for stream in STREAMS}
        return {stream: size * len(self.copies) for stream, size in kept.items()}

    def standardise(self, features: Features) -> dict[str, np.ndarray]:
        """Streams in SDs from the training mean, reduced, without filtering: float32 [T, kept].

        An absent stream is zero everywhere: its training mean, or rest. Training feeds exactly this for a track that a clip does not have.

        Raises
        ------
        ModelError
            When the features come from another extractor version, or have another size, than the model was trained on.
        """
        streams = {}
        for stream in STREAMS:
            values = features[stream]
            if not features.present[stream]:
                kept = self.output_dims[stream] // len(self.copies)
                streams[stream] = np.zeros((values.shape[0], kept), np.float32)
                continue
            self._check(stream, values, features.extractors.get(stream, ""))
            scaled = np.clip((values - self.mean[stream]) / self.std[stream], -self.clip, self.clip)
            streams[stream] = (scaled @ self.reduction[stream] if stream in self.reduction else scaled).astype(np.float32)
        return streams

    def filtered(self, values: np.ndarray) -> np.ndarray:
        """Copies of standardised ``values`` [T, kept] side by side: float32 [T, kept * copies]; before the clip there was zero."""
        padded = np.concatenate([np.zeros((LAGS - 1, values.shape[1]), np.float32), values])
        out = np.zeros((len(self.copies), *values.shape), np.float32)
        for copy, kernel in enumerate(self.kernels):
            for lag in np.flatnonzero(kernel):
                out[copy] += kernel[lag] * padded[LAGS - 1 - lag : len(padded) - lag]
        return np.concatenate(list(out), axis=1)

    def __call__(self, features: Features) -> dict[str, np.ndarray]:
        """Stream -> float32 [T, kept * copies], ready for the model."""
        return {stream: self.filtered(values) for stream, values in self.standardise(features).items()}

    def save(self, path: Path) -> dict[str, Any]:
        """Write the arrays as safetensors and return the section that ``config.json`` keeps under ``"frontend"``."""
        from safetensors.numpy import save_file

        arrays = {"kernels": self.kernels}
        for stream in STREAMS:
            arrays[f"{stream}.mean"], arrays[f"{stream}.std"] = self.mean[stream], self.std[stream]
            if stream in self.reduction:
                arrays[f"{stream}.reduction"] = self.reduction[stream]
        save_file({name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}, path)
        return {"version": 1, "copies": list(self.copies), "clip": self.clip, "extractors": self.extractors}

    @classmethod
    def load(cls, path: Path, section: Mapping[str, Any]) -> FrontEnd:
        """Read back what :meth:`save` wrote; ModelError when arrays and section do not belong together."""
        from safetensors.numpy import load_file

        if section.get("version") != 1:
            raise ModelError("frontend_version", "The model's front end is of a version this program does not know.", "Update Cineglass.")
        arrays = load_file(path)
        needed = {"kernels", *(f"{stream}.{part}" for stream in STREAMS for part in ("mean", "std"))}
        if missing := sorted(needed - set(arrays)):
            raise ModelError("frontend_keys", f"The model's front end lacks {', '.join(missing)}.", "Get the model's files again.")
        copies = tuple(section["copies"])
        if arrays["kernels"].shape != (len(copies), LAGS):
            raise ModelError("frontend_keys", "The model's front end holds other kernels than its config.json names.", "Get the model's files again.")
        return cls(
            {stream: arrays[f"{stream}.mean"] for stream in STREAMS},
            {stream: arrays[f"{stream}.std"] for stream in STREAMS},
            arrays["kernels"],
            dict(section["extractors"]),
            {stream: arrays[f"{stream}.reduction"] for stream in STREAMS if f"{stream}.reduction" in arrays},
            float(section["clip"]),
            copies,
        )

    def _check(self, stream: str, values: np.ndarray, extractor: str) -> None:
        if extractor != self.extractors[stream]:
            raise ModelError(
                "extractor_version",
                f"The model was trained on {stream} features of {self.extractors[stream]!r}, but got {extractor!r} instead.",
                "Use the extractors that came with this model, or train the model again.",
            )
        if values.shape[1] != len(self.mean[stream]):
            raise ModelError(
                "feature_size",
                f"The {stream} stream must have {len(self.mean[stream])} features, but got {values.shape[1]} instead.",
                "Use the extractors that came with this model, or train the model again.",
            )


def _gamma_density(times: np.ndarray, shape: float, scale: float) -> np.ndarray:
    t = np.maximum(np.asarray(times, float), 0.0) / scale
    return t ** (shape - 1) * np.exp(-t) / (math.gamma(shape) * scale)
