"""A film's streams and truth features, from the same frames, samples and words: what training and recovery begin with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from encoder.training.truth_features import PictureTruth, borrowed_features, own_features, sound_truth, truth_features, word_truth
from extractors.arrays import load_arrays
from extractors.features import STREAMS, Features
from extractors.transcript import Transcript, Word


@dataclass(frozen=True, eq=False)
class Measured:
    """One film in numbers.

    Attributes
    ----------
    name : str
    streams : dict of str to float32 [T, dim]
        What the extractors make of it; zeros for a track it does not have.
    present : dict of str to bool
    truth : float32 [T, truth features]
        What the planted subjects make of it.
    """

    name: str
    streams: dict[str, np.ndarray]
    present: dict[str, bool]
    truth: np.ndarray

    @property
    def n_trs(self) -> int:
        """Rows."""
        return len(self.truth)

    @property
    def features(self) -> Features:
        """The streams as the pipeline hands them to a model."""
        return Features(dict(self.streams), dict(self.present), extractor_ids(), window_s())

    def save(self, path: Path) -> None:
        """Write as one npz file under a temporary name, then rename."""
        temporary = path.with_suffix(f".{path.stem}.tmp.npz")
        np.savez(temporary, truth=self.truth, present=[self.present[stream] for stream in STREAMS], **self.streams)
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path) -> Measured:
        """Read what :meth:`save` wrote."""
        file = load_arrays(path)
        present = dict(zip(STREAMS, (bool(value) for value in file["present"]), strict=True))
        return cls(path.stem, {stream: file[stream] for stream in STREAMS}, present, file["truth"])


def extractor_ids() -> dict[str, str]:
    """Ids of the streams' extractors."""
    from extractors import audio, text, video

    return {"audio": audio.EXTRACTOR_ID, "text": text.EXTRACTOR_ID, "video": video.EXTRACTOR_ID}


def window_s() -> float:
    """Longest past that any extractor looks at, in seconds."""
    from extractors.classical import CLASSICAL

    return CLASSICAL.window_s


def measure(
    name: str,
    n_trs: int,
    *,
    frames: Iterable[tuple[float, np.ndarray]] | None,
    samples: np.ndarray | None,
    words: Sequence[Word],
    transcript: Transcript | None,
) -> Measured:
    """Streams and truth of one film.

    Parameters
    ----------
    name : str
    n_trs : int
    frames : iterable of (seconds, uint8 [H, W, 3]), optional
        None for a film without picture.
    samples : float32 [n], optional
        16 kHz; None for a film without sound.
    words : sequence of Word
        What is really said: the truth reads these.
    transcript : Transcript, optional
        What the model reads, with a recogniser's errors perhaps; None for a run without words.
    """
    from extractors.audio import AUDIO_DIM, audio_features
    from extractors.text import TEXT_DIM, text_features
    from extractors.tr_table import table_from_words
    from extractors.video import VIDEO_DIM, VideoAccumulator

    picture, video = None, np.zeros((n_trs, VIDEO_DIM), np.float32)
    if frames is not None:
        seen, streamed = PictureTruth(n_trs), VideoAccumulator(n_trs)
        for time_s, frame in frames:
            seen.add(frame, time_s)
            streamed.add(frame, time_s)
        picture, video = seen.finish(), streamed.finish()
    sound, audio = None, np.zeros((n_trs, AUDIO_DIM), np.float32)
    if samples is not None:
        sound, audio = sound_truth(samples, n_trs), audio_features(samples, n_trs)
    said = text_features(table_from_words(words, n_trs, source="planted", timing="given"))
    read = text_features(transcript) if transcript is not None else np.zeros((n_trs, TEXT_DIM), np.float32)
    present = {"audio": samples is not None, "text": transcript is not None, "video": frames is not None}
    own = own_features(picture, sound, word_truth(words, n_trs), n_trs)
    whole = Features({"audio": audio, "text": said, "video": video}, present, extractor_ids())
    return Measured(name, {"audio": audio, "text": read, "video": video}, present, truth_features(own, borrowed_features(whole)))


def measure_rest(n_trs: int = 40) -> Measured:
    """A still mid-grey screen, digital silence, no words."""
    grey = np.full((54, 96, 3), 128, np.uint8)
    from extractors.tr_table import table_from_words

    frames = [(k / 12, grey) for k in range(int(n_trs * 1.49 * 12) + 1)]
    return measure(
        "rest", n_trs, frames=frames, samples=np.zeros(0, np.float32), words=(), transcript=table_from_words((), n_trs, source="none", timing="none")
    )
