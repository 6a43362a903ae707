"""An admitted film."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from extractors.arrays import load_array
from extractors.errors import MediaError


@dataclass(frozen=True)
class Clip:
    """A film that has passed the media gate.

    Only the canonical file is ever played, analysed or handed to a component; the upload itself is not.

    Attributes
    ----------
    path : pathlib.Path
        Canonical file: mp4 with H.264 (yuv420p, constant frame rate, upright) and AAC, either of which may be absent. Without both
        (:func:`extractors.stimuli.make_stimulus`, words only) there is no such file.
    samples_path : pathlib.Path or None
        16 kHz mono samples as a float32 ``.npy``, time 0 = film time 0; None without sound.
    sha256 : str
        Of the upload's bytes; of an edited film, of the tracks it was made from and the work done to them.
    video_key, audio_key : str or None
        sha256 of the canonical video packets with their timestamps, and of the 16 kHz samples; None when the track is absent.
    name : str
        The visitor's file name, for display only (hostile text).
    duration : float
        Seconds.
    n_trs : int
        ``floor(duration / TR + 1e-6)``.
    fps : float or None
        Constant frame rate of the canonical video.
    width, height : int
        Of the canonical video, 0 without picture.
    notices : tuple of str
        Plain sentences about what was chosen or changed on the way in.
    """

    path: Path
    samples_path: Path | None
    sha256: str
    video_key: str | None
    audio_key: str | None
    name: str
    duration: float
    n_trs: int
    fps: float | None
    width: int
    height: int
    notices: tuple[str, ...] = ()

    @property
    def has_video(self) -> bool:
        """Whether the clip has a picture."""
        return self.video_key is not None

    @property
    def has_film(self) -> bool:
        """Whether there is anything to play; a clip of words only has no file."""
        return self.has_video or self.has_audio

    @property
    def has_audio(self) -> bool:
        """Whether the clip has a sound track."""
        return self.audio_key is not None

    def samples(self) -> np.ndarray:
        """The 16 kHz samples, float32 [n], as a read-only memory map; MediaError ``clip_gone`` when they were deleted."""
        try:
            return load_array(self.samples_path, mapped=True)
        except (OSError, ValueError) as error:
            raise self.gone() from error

    @staticmethod
    def gone() -> MediaError:
        """The error for a clip whose files were deleted meanwhile."""
        return MediaError("clip_gone", "The film is no longer on this machine.", "Upload it again.")
