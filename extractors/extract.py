"""A film and its words become the three feature streams.

The picture is decoded and analysed here while a thread works on sound and words. Each stream is kept in the cache as soon as it is
finished, under a key made of its own track only: muting a film or editing a word computes no picture, and a killed run goes on from the
streams it had finished.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from extractors import audio, text, video
from extractors.cache import FeatureCache, content_key, feature_cache
from extractors.clip import Clip
from extractors.errors import CacheError, FeatureError
from extractors.features import STREAMS, Features
from extractors.frames import iter_frames
from extractors.grid import TR
from extractors.stages import Stage, stage_clock
from extractors.transcript import Transcript
from settings import Settings

TICK_S = 0.25
_MODULES = {"audio": audio, "text": text, "video": video}
WINDOW_S = max(module.WINDOW_S for module in _MODULES.values())
"""Longest past that any stream looks at, in seconds; a clip without words looks at less."""
_DIMS = {"audio": audio.AUDIO_DIM, "text": text.TEXT_DIM, "video": video.VIDEO_DIM}
_DOING = {"audio": "Listening to the sound", "text": "Reading the words", "video": "Looking at the picture"}
_DONE = {"audio": "Sound analysed", "text": "Words analysed", "video": "Picture analysed"}


class _Stopped(Exception):
    """Ends the thread's work after the generator was closed."""


def stream_keys(clip: Clip, transcript: Transcript) -> dict[str, str]:
    """Cache key of each stream that the clip has.

    A key holds what the stream is made from (picture packets, samples or normalised words), the number of TRs, and the extractor with its
    parameters and the data it carries.
    """
    tracks: dict[str, dict[str, Any]] = {}
    if clip.has_audio:
        tracks["audio"] = {"track": clip.audio_key}
    if transcript.source != "none":
        tracks["text"] = {"track": content_key(rows=text.normalised_rows(transcript)), "language_model": text.language_model_sha256()}
    if clip.has_video:
        tracks["video"] = {"track": clip.video_key}
    keys = {}
    for stream, track in tracks.items():
        module = _MODULES[stream]
        keys[stream] = content_key(stream=stream, n_trs=clip.n_trs, extractor=module.EXTRACTOR_ID, parameters=module.PARAMETERS, **track)
    return keys


def extract(
    clip: Clip,
    transcript: Transcript,
    *,
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
        ``rows_differ``: the transcript has another number of TRs than the clip; ``no_frames``.
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
    keys = stream_keys(clip, transcript)
    arrays = {stream: np.zeros((clip.n_trs, _DIMS[stream]), np.float32) for stream in STREAMS}
    kept: set[str] = set()
    warnings = list(ready.warnings) if ready is not None else []
    there = {stream for stream, key in keys.items() if ready is not None and ready.content_keys.get(stream) == key}
    for stream in there:
        arrays[stream] = ready[stream]
    for stream, key in keys.items():
        if stream in there:
            continue
        entry = cache.get(key) if cache is not None else None
        if entry is not None and entry["stream"].shape == arrays[stream].shape:
            arrays[stream] = entry["stream"]
            kept.add(stream)
            yield Stage(stream, 1, 1, "Read from the cache")
    missing = keys.keys() - kept - there

    stopping = threading.Event()

    def finish(stream: str, array: np.ndarray) -> np.ndarray:
        """Keep a stream; a cache that cannot keep it is a warning, not a failure."""
        if cache is not None:
            try:
                cache.put(keys[stream], {"stream": array}, {"stream": stream, "n_trs": clip.n_trs, "extractor": _MODULES[stream].EXTRACTOR_ID})
            except CacheError as error:
                warnings.append(str(error))
        return array

    def go_on(_: float) -> None:
        if stopping.is_set():
            raise _Stopped

    def listen() -> np.ndarray:
        go_on(0)
        return finish("audio", audio.audio_features(clip.samples(), clip.n_trs, on_progress=go_on))

    def read() -> np.ndarray:
        go_on(0)
        return finish("text", text.text_features(transcript))

    pool = ThreadPoolExecutor(1, thread_name_prefix="streams")
    jobs: dict[str, Callable[[], np.ndarray]] = {"audio": listen, "text": read}
    waiting: dict[str, Future[np.ndarray]] = {}
    try:
        waiting = {stream: pool.submit(job) for stream, job in jobs.items() if stream in missing}
        clocks = {stream: stage_clock(stream, 1) for stream in waiting}

        def finished() -> Iterator[Stage]:
            for stream in [stream for stream, future in waiting.items() if future.done()]:
                arrays[stream] = waiting.pop(stream).result()
                yield clocks[stream](1, _DONE[stream])

        if "video" in missing:
            accumulator = video.VideoAccumulator(clip.n_trs)
            for stage in _look(clip, accumulator):
                yield stage
                yield from finished()
            arrays["video"] = finish("video", accumulator.finish())
            yield Stage("video", stage.total, stage.total, _DONE["video"], stage.elapsed_s)
        while waiting:
            stream = next(iter(waiting))
            yield clocks[stream](0, _DOING[stream])
            wait(waiting.values(), timeout=TICK_S, return_when=FIRST_COMPLETED)
            yield from finished()
    finally:
        stopping.set()
        pool.shutdown(cancel_futures=True)

    yield Features(
        arrays,
        {stream: stream in keys for stream in STREAMS},
        {stream: _MODULES[stream].EXTRACTOR_ID for stream in STREAMS},
        max((_MODULES[stream].WINDOW_S for stream in keys), default=0.0),
        frozenset(kept | (ready.from_cache & there if ready is not None else set())),
        tuple(dict.fromkeys(warnings)),
        keys,
    )


def _look(clip: Clip, accumulator: video.VideoAccumulator) -> Iterator[Stage]:
    """Show the film's frames to the accumulator, telling how far it is; closing ends the decoder."""
    seconds = clip.n_trs * TR
    at = stage_clock("video", seconds)
    yield at(0, _DOING["video"])
    frames = iter_frames(clip, fps=video.FPS, size=(video.WIDTH, video.HEIGHT), tick_s=TICK_S)
    told = time.monotonic()
    try:
        for shown in frames:
            if shown is not None:
                time_s, frame = shown
                accumulator.add(frame, time_s)
                if accumulator.full:
                    break
            if time.monotonic() - told > TICK_S:
                told = time.monotonic()
                yield at(min(accumulator.seconds, seconds), _DOING["video"])
    finally:
        frames.close()
