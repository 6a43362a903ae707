"""The numbers a film becomes: one array per stream, with the extractors that made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

STREAMS = ("audio", "text", "video")
"""Streams in the order of the published model."""


@dataclass(frozen=True, eq=False)
class Features(Mapping[str, np.ndarray]):
    """Mapping stream -> float32 [n_trs, dim].

    Attributes
    ----------
    arrays : dict of str to numpy.ndarray
        One float32 array [n_trs, dim] per stream; an absent stream holds zeros.
    present : dict of str to bool
        False where the clip has no such track; the model is then told so and feeds what its training used for a missing stream.
    extractors : dict of str to str
        Extractor id with version, for example ``"classical-video-1"``.
    window_s : float
        Longest past, in seconds, that any extractor looked at.
    from_cache : frozenset of str
        Streams that were read from the cache and not computed.
    warnings : tuple of str
        Plain sentences about what went wrong without stopping the work, for example that nothing could be kept.
    content_keys : dict of str to str
        Per present stream, a hash of everything that decides its content; empty for features that were not computed from a film.
    unseen_rows : dict of str to tuple of int
        Rows that a stream's extractor could not look at (its warnings say why); they are zeros and never valid.
    """

    arrays: dict[str, np.ndarray]
    present: dict[str, bool]
    extractors: dict[str, str]
    window_s: float = 0.0
    from_cache: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()
    content_keys: dict[str, str] = field(default_factory=dict)
    unseen_rows: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def __getitem__(self, stream: str) -> np.ndarray:
        return self.arrays[stream]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    @property
    def n_trs(self) -> int:
        """Rows of every stream."""
        return next(iter(self.arrays.values())).shape[0]
