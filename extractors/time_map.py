"""Which second of the unchanged film an edited film shows at each of its own seconds."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from extractors.edit_language import EditError
from extractors.grid import TR, tr_middles
from extractors.transcript import Word

MAX_PIECES = 20_000
_LATEST_S = 1e6
_TINY = 1e-9
_NEAR = 1e-6


@dataclass(frozen=True)
class Piece:
    """Seconds ``start`` to ``end`` of the edited film show ``source_start`` to ``source_end``, linearly; backwards where those fall."""

    start: float
    end: float
    source_start: float
    source_end: float

    @property
    def slope(self) -> float:
        """Source seconds for each edited second."""
        return (self.source_end - self.source_start) / (self.end - self.start)

    def at(self, time: float) -> float:
        """Source second of an edited second."""
        if time >= self.end:  # exact at both ends
            return self.source_end + (time - self.end) * self.slope
        return self.source_start + (time - self.start) * self.slope


@dataclass(frozen=True)
class TimeMap:
    """Edited seconds to source seconds.

    Parameters
    ----------
    pieces : tuple of Piece
        In order, without overlaps; between them the edited film shows nothing of the source.

    Raises
    ------
    EditError
        ``bad_map``.
    """

    pieces: tuple[Piece, ...]

    def __post_init__(self):
        if len(self.pieces) > MAX_PIECES:
            raise _bad(f"it has {len(self.pieces)} pieces, and at most {MAX_PIECES} are allowed")
        before = 0.0
        for piece in self.pieces:
            times = (piece.start, piece.end, piece.source_start, piece.source_end)
            if not all(math.isfinite(time) and 0 <= time <= _LATEST_S for time in times):
                raise _bad("it holds a time that no film has")
            if piece.start < before - _TINY or piece.end <= piece.start or piece.source_start == piece.source_end:
                raise _bad("its pieces overlap, are empty or stand still")
            before = piece.end

    @classmethod
    def identity(cls, duration: float) -> TimeMap:
        """The map of an unchanged film of ``duration`` seconds."""
        return cls((Piece(0.0, duration, 0.0, duration),) if duration > 0 else ())

    @property
    def is_identity(self) -> bool:
        """Whether every second shows itself, from 0 to the end of the map."""
        return all(abs(p.start - p.source_start) < _TINY and abs(p.end - p.source_end) < _TINY for p in self.pieces) and self._without_gaps

    @property
    def _without_gaps(self) -> bool:
        ends = [0.0, *(piece.end for piece in self.pieces)]
        return all(abs(piece.start - end) < _TINY for piece, end in zip(self.pieces, ends, strict=False))

    def keeps_rows(self, count: int) -> bool:
        """Whether each of ``count`` TRs shows mostly itself: true of the identity and of a shift by less than half a TR.

        Rows of the two films may then be compared one by one.
        """
        return all(0.0 < piece.slope < 1.5 for piece in self.pieces) and bool((self.rows(count) == np.arange(count)).all())

    def then(self, other: TimeMap) -> TimeMap:
        """The map of a film edited as this one says and then, as it came out, as ``other`` says; EditError ``bad_map`` beyond MAX_PIECES."""
        pieces: list[Piece] = []
        starts = [piece.start for piece in self.pieces]
        for outer in other.pieces:
            low, high = sorted((outer.source_start, outer.source_end))
            parts = []
            for inner in self.pieces[max(0, bisect_right(starts, low) - 1) : bisect_left(starts, high)]:
                begin, end = max(low, inner.start), min(high, inner.end)
                if end - begin <= _TINY:
                    continue
                at = [outer.start + (time - outer.source_start) / outer.slope for time in (begin, end)]
                to = [inner.at(begin), inner.at(end)]
                if outer.slope < 0:
                    at, to = at[::-1], to[::-1]
                parts.append((*at, *(max(0.0, time) for time in to)))
                if len(pieces) + len(parts) > 2 * MAX_PIECES:  # neighbours may still become one
                    raise _bad("it has too many pieces")
            pieces += [Piece(*part) for part in sorted(parts)]
        return TimeMap(_joined(pieces))

    def inverse(self) -> TimeMap | None:
        """Where each second of the source is shown; None where one of them is shown twice."""
        turned = []
        for piece in self.pieces:
            (low, at_low), (high, at_high) = sorted(((piece.source_start, piece.start), (piece.source_end, piece.end)))
            turned.append(Piece(low, high, at_low, at_high))
        turned.sort(key=lambda piece: piece.start)
        if any(later.start < earlier.end - _TINY for earlier, later in pairwise(turned)):
            return None
        return TimeMap(_joined(turned))

    def source_of(self, times: Iterable[float] | np.ndarray) -> np.ndarray:
        """Source seconds of edited seconds: float64 of the same shape, nan where the edited film shows nothing of the source.

        A time on a border belongs to the later piece; the very end of a piece that none follows belongs to it.
        """
        times = np.asarray(times, np.float64)
        found = np.full(times.shape, np.nan)
        starts = [piece.start for piece in self.pieces]
        for place, time in np.ndenumerate(times):
            number = bisect_right(starts, time + _TINY) - 1 if time == time else -1
            if number >= 0 and time <= self.pieces[number].end + _TINY:
                found[place] = self.pieces[number].at(time)
        return found

    def rows(self, count: int, source_count: int | None = None) -> np.ndarray:
        """Source row that holds what the middle of each edited row shows: int [count], -1 where there is none.

        Parameters
        ----------
        count : int
            TRs of the edited film.
        source_count : int, optional
            TRs of the source: rows from here on (its last partial TR) are given as -1.
        """
        times = self.source_of(tr_middles(count))
        rows = np.full(count, -1)
        known = ~np.isnan(times)
        rows[known] = np.floor(times[known] / TR + _NEAR).astype(int)
        if source_count is not None:
            rows[rows >= source_count] = -1
        return rows

    def as_list(self) -> list[list[float]]:
        """For JSON: one ``[start, end, source_start, source_end]`` for each piece."""
        return [[piece.start, piece.end, piece.source_start, piece.source_end] for piece in self.pieces]

    @classmethod
    def from_list(cls, listed: object) -> TimeMap:
        """Read what :meth:`as_list` wrote, from anybody; EditError ``bad_map``."""
        if not isinstance(listed, list) or len(listed) > MAX_PIECES:
            raise _bad("it is not a list of pieces")
        for piece in listed:
            if not isinstance(piece, list) or len(piece) != 4 or not all(type(time) in (int, float) for time in piece):
                raise _bad("a piece of it is not four numbers")
            if not all(abs(time) <= _LATEST_S for time in piece):  # before a whole number of any length becomes a float
                raise _bad("it holds a time that no film has")
        return cls(tuple(Piece(*map(float, piece)) for piece in listed))


def map_words(words: Sequence[Word], time_map: TimeMap) -> list[Word]:
    """Words of the source where the edited film says them.

    Parameters
    ----------
    words : sequence of Word
    time_map : TimeMap

    Returns
    -------
    list of Word
        In order of onset: those that lie whole in one piece, with onset and duration of the edited film. A word that a cut divides, and every
        word in a piece that runs backwards, is left out.
    """
    forward = sorted((piece for piece in time_map.pieces if piece.slope > 0), key=lambda piece: piece.source_start)
    starts = [piece.source_start for piece in forward]
    moved = []
    for word in words:
        number = bisect_right(starts, word.onset + _NEAR) - 1
        if number >= 0 and word.offset <= forward[number].source_end + _NEAR:
            piece = forward[number]
            onset = piece.start + max(0.0, word.onset - piece.source_start) / piece.slope
            moved.append(Word(word.text, onset, word.duration / piece.slope))
    return sorted(moved, key=lambda word: word.onset)


def _joined(pieces: list[Piece]) -> tuple[Piece, ...]:
    """Neighbours that continue each other as one piece."""
    joined: list[Piece] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if (
            last is not None
            and abs(last.end - piece.start) < _TINY
            and abs(last.source_end - piece.source_start) < _TINY
            and abs(last.slope - piece.slope) < _TINY
        ):
            joined[-1] = Piece(last.start, piece.end, last.source_start, piece.source_end)
        else:
            joined.append(piece)
    return tuple(joined)


def _bad(why: str) -> EditError:
    return EditError("bad_map", f"The time map cannot be used: {why}.", "Run the comparison again.")
