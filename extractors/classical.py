"""The embedded model's extractors: numbers that need no pretrained weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

from extractors import audio, text, video
from extractors.cache import content_key
from extractors.clip import Clip
from extractors.frames import iter_frames
from extractors.grid import TR
from extractors.in_thread import TICK_S, in_thread
from extractors.stages import Stage, stage_clock
from extractors.streams import ExtractorSet, Stream
from extractors.transcript import Transcript


class _Classical:
    """What the three have in common: id, size and window stand in their modules."""

    stream: str
    module: ModuleType

    @property
    def id(self) -> str:
        """Id with its version."""
        return self.module.EXTRACTOR_ID

    @property
    def dim(self) -> int:
        """Columns of the stream."""
        return getattr(self.module, f"{self.stream.upper()}_DIM")

    @property
    def window_s(self) -> float:
        """Longest past it looks at, in seconds."""
        return self.module.WINDOW_S

    def _content(self, **track: Any) -> dict[str, Any]:
        return {"extractor": self.id, "parameters": self.module.PARAMETERS, **track}


class ClassicalAudio(_Classical):
    """Mel bands, loudness and change (:mod:`extractors.audio`)."""

    stream, module = "audio", audio

    def content(self, clip: Clip, transcript: Transcript) -> dict[str, Any] | None:
        """See :class:`extractors.streams.StreamExtractor`."""
        return self._content(track=clip.audio_key) if clip.has_audio else None

    def compute(self, clip: Clip, transcript: Transcript) -> Iterator[Stage | Stream]:
        """See :class:`extractors.streams.StreamExtractor`."""

        def listen(tell: Callable[..., None]) -> np.ndarray:
            tell()
            return audio.audio_features(clip.samples(), clip.n_trs, on_progress=lambda _: tell())

        array = yield from in_thread("audio", 1, "Listening to the sound", listen)
        yield Stage("audio", 1, 1, "Sound analysed")
        yield Stream(array)


class ClassicalText(_Classical):
    """Word rate, frequency, surprisal and n-grams (:mod:`extractors.text`)."""

    stream, module = "text", text

    def content(self, clip: Clip, transcript: Transcript) -> dict[str, Any] | None:
        """See :class:`extractors.streams.StreamExtractor`."""
        if transcript.source == "none":
            return None
        return self._content(track=content_key(rows=text.normalised_rows(transcript)), language_model=text.language_model_sha256())

    def compute(self, clip: Clip, transcript: Transcript) -> Iterator[Stage | Stream]:
        """See :class:`extractors.streams.StreamExtractor`."""

        def read(tell: Callable[..., None]) -> np.ndarray:
            tell()
            return text.text_features(transcript)

        array = yield from in_thread("text", 1, "Reading the words", read)
        yield Stage("text", 1, 1, "Words analysed")
        yield Stream(array)


class ClassicalVideo(_Classical):
    """Motion energy, luminance, contrast, colour and cuts (:mod:`extractors.video`)."""

    stream, module = "video", video

    def content(self, clip: Clip, transcript: Transcript) -> dict[str, Any] | None:
        """See :class:`extractors.streams.StreamExtractor`."""
        return self._content(track=clip.video_key) if clip.has_video else None

    def compute(self, clip: Clip, transcript: Transcript) -> Iterator[Stage | Stream]:
        """Show the film's frames to the accumulator, telling how far it is; closing ends the decoder."""
        accumulator = video.VideoAccumulator(clip.n_trs)
        seconds = clip.n_trs * TR
        at = stage_clock("video", seconds)
        yield at(0, "Looking at the picture")
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
                    yield at(min(accumulator.seconds, seconds), "Looking at the picture")
        finally:
            frames.close()
        array = accumulator.finish()
        yield at(seconds, "Picture analysed")
        yield Stream(array)


CLASSICAL = ExtractorSet(audio=ClassicalAudio(), text=ClassicalText(), video=ClassicalVideo(), together=True)
