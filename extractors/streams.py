"""What an extractor of one stream is, and the set of three that belongs to a model.

An extractor says what its stream is made from (:meth:`StreamExtractor.content`, the cache's key) and computes it in small stages. The embedded
model's set is :mod:`extractors.classical`; published models bring their own backbones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from extractors.cache import content_key
from extractors.clip import Clip
from extractors.features import STREAMS
from extractors.stages import Stage
from extractors.transcript import Transcript


@dataclass(frozen=True, eq=False)
class Stream:
    """One finished stream.

    Attributes
    ----------
    array : numpy.ndarray
        float32 [n_trs, dim].
    warnings : tuple of str
        Plain sentences that belong to a result made from it.
    unseen_rows : tuple of int
        Rows the extractor could not look at, for instance words beyond a language model's context; they are zeros and never valid.
    """

    array: np.ndarray
    warnings: tuple[str, ...] = ()
    unseen_rows: tuple[int, ...] = ()


class StreamExtractor(Protocol):
    """Computes one stream of a clip.

    Attributes
    ----------
    stream : {"audio", "text", "video"}
    id : str
        What stands in results, for example ``"classical-video-1"``.
    dim : int
        Columns of the stream.
    window_s : float
        Longest past it looks at, in seconds.
    """

    stream: str
    id: str
    dim: int
    window_s: float

    def content(self, clip: Clip, transcript: Transcript) -> dict[str, Any] | None:
        """Everything but the number of TRs that decides the stream (JSON-able: track, id, parameters, weights); None without such a track."""

    def compute(self, clip: Clip, transcript: Transcript) -> Iterator[Stage | Stream]:
        """Stages named after the stream, at least one a second; the last item is the Stream. Closing stops within two seconds."""


class ExtractorSet(Mapping[str, StreamExtractor]):
    """The extractors of a model, one per stream.

    Parameters
    ----------
    audio, text, video : StreamExtractor
    together : bool
        Sound and words are computed beside the picture; otherwise one stream after the other, in the order given by ``order``.
    order : tuple of str
        Order of work when not together.
    """

    def __init__(
        self,
        *,
        audio: StreamExtractor,
        text: StreamExtractor,
        video: StreamExtractor,
        together: bool = False,
        order: tuple[str, ...] = ("audio", "text", "video"),
    ):
        self._by_stream = {"audio": audio, "text": text, "video": video}
        self.together = together
        self.order = order

    def __getitem__(self, stream: str) -> StreamExtractor:
        return self._by_stream[stream]

    def __iter__(self) -> Iterator[str]:
        return iter(STREAMS)

    def __len__(self) -> int:
        return len(STREAMS)

    @property
    def window_s(self) -> float:
        """Longest past that any of them looks at, in seconds."""
        return max(extractor.window_s for extractor in self.values())

    def keys_of(self, clip: Clip, transcript: Transcript) -> dict[str, str]:
        """Cache key of each stream that the clip has."""
        contents = {stream: extractor.content(clip, transcript) for stream, extractor in self.items()}
        return {stream: content_key(stream=stream, n_trs=clip.n_trs, **content) for stream, content in contents.items() if content is not None}
