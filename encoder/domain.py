"""Is a clip like the film the model was trained on? Distance of its stream statistics from those of the training clips.

What is measured: a stream, standardised by the model's front end, is cut into windows of 10 TRs (15 s). A window's statistics are the mean and the
standard deviation over its rows of every feature, in standard deviations over the training windows. Its distance is the root mean square
difference from the third nearest window of the training clips: training clips come in kinds, so that a distance from their average would call an
ordinary clip far when it lies between two kinds. A clip's distance in a stream is the median over its windows. It is set beside the distances of
windows of other training clips, which are not among those compared with.

A far distance says that a prediction rests on extrapolation, not that it is wrong; a near one says that features are about as usual, not that
their meaning is. The distance of a model whose training clips nobody measured is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from encoder.frontend import FrontEnd
from extractors.features import STREAMS, Features

FILE = "domain.safetensors"
"""Beside the model's weights."""
WINDOW_TRS = 10
FLOOR = 0.01
"""Smallest spread of a statistic, in SDs of its feature: one that never changed in training must not count for everything."""
NEIGHBOUR = 3
"""Which of the nearest training windows is measured to: one alone may be a double by accident."""
USUAL, FAR = 95.0, 99.5
"""Percentiles of the training windows up to which a clip is usual, and beyond which nothing in training was like it."""

NAMES = {"audio": "Sound", "text": "Words", "video": "Picture"}
UNKNOWN = "Whether this clip is like the training clips is unknown: nobody has measured the stream statistics of this model's training clips."
ABOUT = (
    "The number is a distance of stream statistics: how far mean and spread of every feature over a quarter of a minute of this clip lie from "
    "the most similar quarter minutes of the training clips, as a percentile of the same distance of other training clips. A high one means that "
    "the model extrapolates; a low one does not make it right."
)


@dataclass(frozen=True, eq=False)
class StreamDomain:
    """One stream of the training clips.

    Attributes
    ----------
    scale : float32 [2 * dim]
        Standard deviation of every statistic over the training windows.
    windows : float32 [n, 2 * dim]
        Statistics of training windows, divided by ``scale``.
    distances : float32 [101]
        Percentiles 0 to 100 of the distances of windows of other training clips.
    """

    scale: np.ndarray
    windows: np.ndarray
    distances: np.ndarray

    @classmethod
    def fit(cls, first: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> StreamDomain:
        """Windows from the standardised rows [T, dim] of the ``first`` clips, distances from the ``other`` ones."""
        seen = np.concatenate([window_statistics(rows) for rows in first])
        scale = seen.std(0) + FLOOR
        domain = cls(scale, (seen / scale).astype(np.float16).astype(np.float32), np.zeros(101, np.float32))
        distances = np.concatenate([domain.of_windows(rows) for rows in other])
        return cls(scale, domain.windows, np.percentile(distances, np.arange(101)).astype(np.float32))

    def of_windows(self, rows: np.ndarray) -> np.ndarray:
        """Distance of every window of the standardised rows [T, dim]: float32 [windows]."""
        found = window_statistics(rows) / self.scale
        squares = np.stack([np.square(self.windows - one).mean(1) for one in found])
        return np.sqrt(np.partition(squares, NEIGHBOUR - 1, axis=1)[:, NEIGHBOUR - 1])

    def percentile(self, distance: float) -> float:
        """Percent of training windows that are nearer: 0 to 100."""
        if distance <= self.distances[0]:  # several training windows may be doubles, such as those without a word
            return 0.0
        return float(np.interp(distance, self.distances, np.arange(101)))


def window_statistics(rows: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of every feature in windows of 10 rows beside each other; what is left at the end goes with the last whole one.

    Parameters
    ----------
    rows : float [T, dim]

    Returns
    -------
    float32 [windows, 2 * dim]
        One window or more, whatever T.
    """
    edges = [*range(0, max(1, len(rows) - WINDOW_TRS + 1), WINDOW_TRS), len(rows)]
    parts = [rows[start:end] for start, end in pairwise(edges)]
    return np.stack([np.concatenate([part.mean(0), part.std(0)]) for part in parts]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Domain:
    """The training clips of one model, stream by stream.

    Attributes
    ----------
    streams : dict of str to StreamDomain
    weights_sha256 : str
        Of the model's weights: for others it says nothing.
    """

    streams: dict[str, StreamDomain]
    weights_sha256: str

    @classmethod
    def fit(cls, clips: Sequence[Features], frontend: FrontEnd, *, weights_sha256: str) -> Domain:
        """From training clips: every other one gives the windows, the rest the distances."""
        streams = {}
        for stream in STREAMS:
            rows = [frontend.standardise(features)[stream] for features in clips if features.present[stream]]
            streams[stream] = StreamDomain.fit(rows[::2], rows[1::2])
        return cls(streams, weights_sha256)

    def reading(self, features: Features, frontend: FrontEnd) -> dict[str, dict[str, Any]]:
        """How far a clip is from the training clips.

        Parameters
        ----------
        features : Features
        frontend : FrontEnd
            The model's.

        Returns
        -------
        dict of stream to dict
            For every stream that the clip has: ``distance`` (about 1 is usual), ``percentile`` (of training windows that are nearer, 0 to 100),
            ``usual`` (bool) and ``sentence``.
        """
        standardised = frontend.standardise(features)
        found = {}
        for stream, domain in self.streams.items():
            if not features.present[stream]:
                continue
            distance = float(np.median(domain.of_windows(standardised[stream])))
            percentile = domain.percentile(distance)
            found[stream] = {
                "distance": round(distance, 3),
                "percentile": round(percentile, 1),
                "usual": percentile <= USUAL,
                "sentence": sentence(stream, percentile, distance / float(domain.distances[50])),
            }
        return found

    def save(self, path: Path) -> None:
        """Write as safetensors; windows in half precision, as they were fitted."""
        from safetensors.numpy import save_file

        arrays = {}
        for stream, domain in self.streams.items():
            arrays[f"{stream}.scale"] = np.ascontiguousarray(domain.scale, np.float32)
            arrays[f"{stream}.windows"] = np.ascontiguousarray(domain.windows, np.float16)
            arrays[f"{stream}.distances"] = np.ascontiguousarray(domain.distances, np.float32)
        save_file(arrays, path, metadata={"weights_sha256": self.weights_sha256})

    @classmethod
    def load(cls, path: Path) -> Domain:
        """Read what :meth:`save` wrote."""
        from safetensors import safe_open

        with safe_open(path, framework="numpy") as file:
            parts = {
                stream: [file.get_tensor(f"{stream}.{part}").astype(np.float32) for part in ("scale", "windows", "distances")] for stream in STREAMS
            }
            return cls({stream: StreamDomain(*arrays) for stream, arrays in parts.items()}, file.metadata()["weights_sha256"])


def sentence(stream: str, percentile: float, ratio: float) -> str:
    """What a percentile means, for a person; ``ratio`` is the distance over the training windows' median."""
    if percentile > FAR:
        return f"{NAMES[stream]}: unlike anything in the training clips, {ratio:.1f} times as far from them as they usually are from each other."
    said = f"{NAMES[stream]}: {'as in training' if percentile <= USUAL else 'unusual'}"
    return f"{said}. {percentile:.0f} % of training film is nearer to other training film than this clip is."


def reading_of(model: Any, features: Features) -> dict[str, dict[str, Any]] | None:
    """The reading of a model that may not be loaded; None for one whose training clips nobody measured.

    Parameters
    ----------
    model : EncodingModel, Ensemble or WaitingModel
    features : Features
        As computed, before any lesion.
    """
    files = model.files
    if files is None or files.published or not (files.folder / FILE).is_file():
        return None
    domain = Domain.load(files.folder / FILE)
    if domain.weights_sha256 != model.weights_sha256:
        return None
    return domain.reading(features, FrontEnd.load(files.folder / "frontend.safetensors", files.frontend))


def sentences(extra: Mapping[str, Any]) -> tuple[str, ...]:
    """What ``Responses.extra`` says of the clip, one sentence a stream; the sentence for unknown when it says nothing."""
    kept = extra.get("domain")
    if not isinstance(kept, Mapping) or not kept:
        return (UNKNOWN,)
    return tuple(str(kept[stream]["sentence"]) for stream in STREAMS if isinstance(kept.get(stream), Mapping) and "sentence" in kept[stream])
