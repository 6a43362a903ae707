"""Frames and samples become an mp4 in canonical form: H.264 (yuv420p, constant frame rate, faststart) and AAC."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np


def write_film(
    path: Path,
    frames: Iterable[np.ndarray],
    samples: np.ndarray,
    *,
    size: tuple[int, int],
    fps: int,
    sample_rate: int = 16000,
    quality: int = 23,
    preset: str = "ultrafast",
    tune: str | None = None,
    audio_bit_rate: int = 64000,
) -> Path:
    """Write a film.

    Parameters
    ----------
    path : pathlib.Path
        Written under a temporary name, then renamed.
    frames : iterable of uint8 RGB [height, width, 3]
    samples : numpy.ndarray, float32 [n] or [n, 2]
        Mono or stereo sound, within -1..1.
    size : (int, int)
        Height and width, both even.
    fps : int
    sample_rate : int
        Of ``samples``.
    quality : int
        x264's constant rate factor; smaller is better and larger on disk.
    preset, tune : str
        x264's speed, and what it is tuned for ("animation"). Only "ultrafast" was seen to give the same bytes in every run; slower presets look
        ahead, and that differed now and then.
    audio_bit_rate : int
        Bits per second.
    """
    import av

    part = path.with_suffix(".part.mp4")
    with av.open(str(part), "w", options={"movflags": "+faststart"}) as file:
        options = {"crf": str(quality), "preset": preset, "threads": "1"} | ({"tune": tune} if tune else {})
        picture = file.add_stream("libx264", rate=fps, options=options)
        picture.height, picture.width = size
        picture.pix_fmt = "yuv420p"
        picture.time_base = Fraction(1, fps)
        layout = "stereo" if samples.ndim == 2 else "mono"
        sound = file.add_stream("aac", rate=sample_rate, layout=layout)
        sound.bit_rate = audio_bit_rate
        for index, frame in enumerate(frames):
            coded = av.VideoFrame.from_ndarray(frame, format="rgb24")
            coded.pts = index
            file.mux(picture.encode(coded))
        file.mux(picture.encode(None))
        planar = np.ascontiguousarray(samples.T if samples.ndim == 2 else samples[None], np.float32)
        for start in range(0, planar.shape[1], 1024):
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(planar[:, start : start + 1024]), format="fltp", layout=layout)
            block.sample_rate, block.pts = sample_rate, start
            file.mux(sound.encode(block))
        file.mux(sound.encode(None))
    part.replace(path)
    return path
