"""Words with times, and the TR table they make."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Timing = Literal["recognised", "given", "aligned", "spread", "none"]


@dataclass(frozen=True)
class Word:
    """One word with onset and duration in seconds of film time."""

    text: str
    onset: float
    duration: float

    @property
    def offset(self) -> float:
        """End of the word in seconds."""
        return self.onset + self.duration


@dataclass(frozen=True)
class Transcript:
    """The words of a clip and their TR table (Algonauts 2025 columns; one entry per TR, silent TRs hold "" and empty tuples).

    Attributes
    ----------
    text_per_tr : tuple of str
    words_per_tr : tuple of tuple of str
    onsets_per_tr, durations_per_tr : tuple of tuple of float
        Seconds of film time. A word belongs to the TR that holds its offset.
    source : str
        What made it: "whisper small", "pocketsphinx en-us", "file talk.srt", "none".
    language : str
        Two-letter code, or "".
    timing : {"recognised", "given", "aligned", "spread", "none"}
        Where the times come from.
    edited : bool
        Whether a person changed it in the table.
    edited_rows : tuple of int
        Rows that a person changed, in order.
    notices : tuple of str
    """

    text_per_tr: tuple[str, ...]
    words_per_tr: tuple[tuple[str, ...], ...]
    onsets_per_tr: tuple[tuple[float, ...], ...]
    durations_per_tr: tuple[tuple[float, ...], ...]
    source: str = "none"
    language: str = ""
    timing: Timing = "none"
    edited: bool = False
    edited_rows: tuple[int, ...] = ()
    notices: tuple[str, ...] = field(default=(), compare=False)

    @property
    def n_trs(self) -> int:
        """Rows of the TR table."""
        return len(self.text_per_tr)

    @property
    def words(self) -> tuple[Word, ...]:
        """All words in order of onset."""
        rows = zip(self.words_per_tr, self.onsets_per_tr, self.durations_per_tr, strict=True)
        flat = [Word(*word) for row in rows for word in zip(*row, strict=True)]
        return tuple(sorted(flat, key=lambda word: word.onset))

    @property
    def n_words(self) -> int:
        """Number of words."""
        return sum(len(row) for row in self.words_per_tr)
