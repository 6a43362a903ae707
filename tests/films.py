"""Small films for tests, made with PyAV and never downloaded.

``write_film`` makes ordinary and odd films; its arguments say what is odd. The default picture is a bar that moves over grey, the default sound
a soft tone; ``flash_at`` and ``beep_at`` mark moments that a test can find again.
"""

from __future__ import annotations

import wave
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

TICKS = 90000  # of the picture's clock


def bar(time_s: float, width: int, height: int) -> np.ndarray:
    """A white bar that crosses a grey picture once every 4 s: uint8 [height, width, 3]."""
    picture = np.full((height, width, 3), 96, np.uint8)
    left = int((time_s % 4) / 4 * width)
    picture[:, left : left + max(2, width // 8)] = 235
    return picture


def flashing(at: float, length: float = 0.2) -> Callable[[float, int, int], np.ndarray]:
    """Black, with a white picture from ``at`` for ``length`` seconds."""
    return lambda t, width, height: np.full((height, width, 3), 255 if at - 1e-6 <= t < at + length - 1e-6 else 0, np.uint8)


def quadrants(time_s: float, width: int, height: int) -> np.ndarray:
    """Upper left red, upper right green, lower left blue, lower right grey: shows which way is up."""
    picture = np.full((height, width, 3), 128, np.uint8)
    picture[: height // 2, : width // 2] = (255, 0, 0)
    picture[: height // 2, width // 2 :] = (0, 255, 0)
    picture[height // 2 :, : width // 2] = (0, 0, 255)
    return picture


def sound(kind: str, seconds: float, rate: int, beep_at: float | None = None) -> np.ndarray:
    """Mono samples, float32: "tone" (440 Hz, soft), "silence", "noise", or "beep" (silence with 0.2 s of 1 kHz from ``beep_at``)."""
    t = np.arange(round(seconds * rate)) / rate
    if kind == "tone":
        return (0.1 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    if kind == "noise":
        return (0.1 * np.random.default_rng(0).standard_normal(len(t))).astype(np.float32)
    samples = np.zeros(len(t), np.float32)
    if kind == "beep":
        on = (t >= beep_at) & (t < beep_at + 0.2)
        samples[on] = 0.5 * np.sin(2 * np.pi * 1000 * t[on])
    return samples


def read_wav(path: str | Path) -> tuple[np.ndarray, int]:
    """Samples of a 16-bit WAV, mono float32, and their rate."""
    with wave.open(str(path)) as file:
        data = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
        return (data.mean(1) / 32768).astype(np.float32), file.getframerate()


def write_wav(path: str | Path, samples: np.ndarray, rate: int) -> Path:
    """Write float samples [n] as a 16-bit mono WAV."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return Path(path)


def write_film(
    path: str | Path,
    seconds: float = 16.0,
    fps: float | Fraction = 25,
    size: tuple[int, int] = (160, 120),
    *,
    picture: Callable[[float, int, int], np.ndarray] | None = bar,
    audio: str | None = "tone",
    beep_at: float | None = None,
    speech_wav: str | Path | None = None,
    vfr: Sequence[float] | None = None,
    video_start: float = 0.0,
    audio_start: float = 0.0,
    audio_seconds: float | None = None,
    rotation: int = 0,
    pixel_aspect: Fraction | None = None,
    interlaced: bool = False,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    transfer: int | None = None,
    audio_codec: str = "aac",
    audio_rate: int = 48000,
    layout: str = "stereo",
    audio_tracks: int = 1,
    format: str | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write a small film.

    Parameters
    ----------
    path : str or pathlib.Path
        The ending chooses the container unless ``format`` does.
    seconds, fps, size
        Length, pictures per second, (width, height).
    picture : callable or None
        ``(time_s, width, height) -> uint8 [height, width, 3]``; None: no picture track.
    audio : str or None
        Kind of :func:`sound`; None: no sound track.
    speech_wav : path, optional
        A 16-bit WAV to lay under the film instead, padded with silence.
    vfr : sequence of float, optional
        Presentation time of each picture in seconds, instead of a constant rate.
    video_start, audio_start : float
        Seconds by which a track begins late.
    rotation : int
        Degrees of the display matrix, as PyAV's ``set_display_rotation`` takes them.
    transfer : int, optional
        Transfer characteristic to write into the stream (16 is PQ).
    audio_tracks : int
        How many equal sound tracks.

    Returns
    -------
    pathlib.Path
    """
    with av.open(str(path), "w", format=format, container_options=container_options or {}) as film:
        video = _add_picture(film, codec, fps, size, pix_fmt, options, rotation, pixel_aspect, interlaced, transfer) if picture else None
        samples, rate = None, audio_rate
        if speech_wav is not None:
            samples, rate = read_wav(speech_wav)
            samples = np.pad(samples, (0, max(0, round(seconds * rate) - len(samples))))[: round(seconds * rate)]
        elif audio is not None:
            samples = sound(audio, seconds if audio_seconds is None else audio_seconds, rate, beep_at)
        tracks = [film.add_stream(audio_codec, rate=rate, layout=layout) for _ in range(audio_tracks)] if samples is not None else []
        written = 0

        def sounds_until(time_s: float) -> None:
            nonlocal written
            stop = min(len(samples), max(written, round((time_s - audio_start) * rate)))
            for start in range(written, stop, 4096):
                _write_sound(film, tracks, samples[start : min(start + 4096, stop)], start, rate, layout, audio_start)
            written = stop

        times = vfr if vfr is not None else [k / float(fps) for k in range(round(seconds * float(fps)))]
        for time_s in times if video is not None else ():
            frame = av.VideoFrame.from_ndarray(picture(time_s, *size), format="rgb24").reformat(format=pix_fmt)
            frame.time_base = Fraction(1, TICKS)
            frame.pts = round((time_s + video_start) * TICKS)
            film.mux(video.encode(frame))
            if tracks:
                sounds_until(time_s + video_start)
        if video is not None:
            film.mux(video.encode(None))
        if tracks:
            sounds_until(1e9)
            for track in tracks:
                film.mux(track.encode(None))
    return Path(path)


def _add_picture(film, codec, fps, size, pix_fmt, options, rotation, pixel_aspect, interlaced, transfer):
    defaults = {"preset": "ultrafast", "crf": "28"} if codec == "libx264" else {}
    if interlaced:
        defaults["x264-params"] = "tff=1:interlaced=1"
    video = film.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=defaults | (options or {}))
    context = video.codec_context
    context.width, context.height = size
    context.pix_fmt = pix_fmt
    context.thread_count = 1
    if codec not in ("mpeg4", "mpeg2video"):  # those know only their own rates
        context.time_base = Fraction(1, TICKS)
    if pixel_aspect is not None:
        context.sample_aspect_ratio = pixel_aspect
    if transfer is not None:
        context.color_trc, context.color_primaries, context.colorspace = transfer, 9, 9
    if rotation:
        video.set_display_rotation(rotation)
    return video


def _write_sound(film, tracks, mono, start, rate, layout, audio_start) -> None:
    channels = av.AudioLayout(layout).nb_channels
    for track in tracks:
        block = np.ascontiguousarray(np.tile(mono, (channels, 1)))
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
        frame.sample_rate = rate
        frame.time_base = Fraction(1, rate)
        frame.pts = start + round(audio_start * rate)
        film.mux(track.encode(frame))
