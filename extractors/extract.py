"""A film and its words become the three feature streams.

Each stream is kept in the cache as soon as it is finished, under a key made of its own track only: muting a film or editing a word computes
no picture, and a killed run goes on from the streams it had finished.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import numpy as np

from extractors.cache import FeatureCache, feature_cache
from extractors.classical import CLASSICAL
from extractors.clip import Clip
from extractors.errors import CacheError, FeatureError
from extractors.features import STREAMS, Features
from extractors.overlap import overlapping
from extractors.stages import Stage, passing_on
from extractors.streams import ExtractorSet, Stream
from extractors.transcript import Transcript
from settings import Settings


def extract(
    clip: Clip,
    transcript: Transcript,
    *,
    extractors: ExtractorSet = CLASSICAL,
    cache: FeatureCache | None = None,
    settings: Settings | None = None,
    ready: Features | None = None,
) -> Iterator[Stage | Features]:
    """Compute the streams, or read those that are kept.

    Parameters
    ----------
    clip : Clip
    transcript : Transcript
        One row per TR of the clip. With source "none" the text stream is absent.
    extractors : ExtractorSet
        By default those of the embedded model.
    cache : FeatureCache, optional
        Where finished streams are kept.
    settings : Settings, optional
        Names the cache when ``cache`` is None; without either nothing is kept.
    ready : Features, optional
        What an earlier call computed; streams made of the same content are taken from it, without a stage of their own.

    Yields
    ------
    Stage or Features
        Stages "video", "audio" and "text" (absent streams have none), at least one a second; the last item is the Features. Closing stops
        the work.

    Raises
    ------
    FeatureError
        ``rows_differ``: the transcript has another number of TRs than the clip; ``not_finite``; ``no_frames``; what an extractor raises.
    MediaError
        The picture cannot be decoded, or ``clip_gone``.
    """
    if transcript.n_trs != clip.n_trs:
        raise FeatureError(
            "rows_differ",
            f"The transcript has {transcript.n_trs} TRs, but the clip has {clip.n_trs}.",
            "Use the transcript that was made for this clip.",
        )
    if cache is None and settings is not None:
        cache = feature_cache(settings)
    keys = extractors.keys_of(clip, transcript)
    streams = {name: Stream(np.zeros((clip.n_trs, extractor.dim), np.float32)) for name, extractor in extractors.items()}
    kept: set[str] = set()
    warnings = list(ready.warnings) if ready is not None else []
    there = {stream for stream, key in keys.items() if ready is not None and ready.content_keys.get(stream) == key}
    for stream in there:
        streams[stream] = Stream(ready[stream], unseen_rows=ready.unseen_rows.get(stream, ()))
    for stream, key in keys.items():
        if stream in there:
            continue
        entry = _kept(cache, key)
        if entry is not None and entry.array.shape == streams[stream].array.shape:
            streams[stream] = entry
            kept.add(stream)
            yield Stage(stream, 1, 1, "Read from the cache")
    missing = [stream for stream in extractors.order if stream in keys and stream not in kept | there]

    def computed(stream: str) -> Generator[Any, None, None]:
        """Compute a stream and keep it at once; a cache that cannot keep it is a warning, not a failure."""
        job = extractors[stream].compute(clip, transcript)
        finished = None
        try:
            for item in job:
                if not isinstance(item, Stage):
                    streams[stream] = item
                elif item.finished:
                    finished = item  # told when the stream is kept, so that nobody takes it for safe before
                else:
                    yield item
        finally:
            job.close()
        if not np.isfinite(streams[stream].array).all():  # half precision overflows in some models on some GPUs; such a stream is never kept
            raise FeatureError(
                "not_finite",
                f"The {stream} extractor {extractors[stream].id} answered with numbers that are not finite.",
                "If it ran in half precision, set the device to cpu, where it runs in float32; otherwise get the model's files again.",
            )
        if cache is not None:
            try:
                cache.put(keys[stream], {"stream": streams[stream].array}, _manifest(stream, streams[stream], extractors[stream].id))
            except CacheError as error:
                warnings.append(str(error))
        if finished is not None:
            yield finished

    def one_after_the_other(names: list[str]) -> Generator[Any, None, None]:
        for name in names:
            yield from computed(name)

    aside = [stream for stream in missing if stream != "video"]
    if extractors.together and aside and "video" in missing:
        yield from passing_on(overlapping(computed("video"), one_after_the_other(aside)))
    else:
        yield from one_after_the_other(missing)

    for stream in STREAMS:
        warnings += streams[stream].warnings
    yield Features(
        {stream: streams[stream].array for stream in STREAMS},
        {stream: stream in keys for stream in STREAMS},
        {stream: extractors[stream].id for stream in STREAMS},
        max((extractors[stream].window_s for stream in keys), default=0.0),
        frozenset(kept | (ready.from_cache & there if ready is not None else set())),
        tuple(dict.fromkeys(warnings)),
        keys,
        {stream: streams[stream].unseen_rows for stream in STREAMS if streams[stream].unseen_rows},
    )


def _manifest(stream: str, found: Stream, extractor: str) -> dict[str, Any]:
    """What is kept beside the numbers: a stream read from the cache warns as the computed one did."""
    facts = {"stream": stream, "n_trs": found.array.shape[0], "extractor": extractor}
    return {**facts, "warnings": list(found.warnings), "unseen_rows": list(found.unseen_rows)}


def _kept(cache: FeatureCache | None, key: str) -> Stream | None:
    entry = cache.get(key) if cache is not None else None
    if entry is None:
        return None
    manifest = cache.manifest(key) or {}
    return Stream(entry["stream"], tuple(manifest.get("warnings", ())), tuple(manifest.get("unseen_rows", ())))
