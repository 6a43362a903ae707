"""What edits do to a transcript: words move with the film, are removed, or a row reads otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from extractors.edit_language import EditError
from extractors.time_map import TimeMap, map_words
from extractors.tr_table import table_from_words
from extractors.transcript import Transcript, Word

_Place = tuple[int, int]  # row, and number in the row


def moved(transcript: Transcript, time_map: TimeMap, n_trs: int) -> Transcript:
    """The transcript of a film edited as ``time_map`` says, ``n_trs`` rows; the same object where nothing moves."""
    if time_map.is_identity and n_trs == transcript.n_trs:
        return transcript
    sources = time_map.rows(n_trs).tolist()
    edited = set(transcript.edited_rows)
    return table_from_words(
        map_words(transcript.words, time_map),
        n_trs,
        source=transcript.source,
        timing=transcript.timing,
        language=transcript.language,
        edited=transcript.edited,
        edited_rows=tuple(row for row, source in enumerate(sources) if source in edited),
        notices=transcript.notices,
    )


def named(transcript: Transcript, listed: str) -> tuple[list[_Place], list[str]]:
    """Places of words by name.

    Parameters
    ----------
    transcript : Transcript
    listed : str
        Words or runs of words with commas between them; case and punctuation at their ends do not matter.

    Returns
    -------
    places : list of (row, number in the row)
    missing : list of str
        What the transcript does not hold.

    Raises
    ------
    EditError
        ``no_such_words`` when it holds none of them.
    """
    order = _in_order(transcript)
    plain = [_plain(word.text) for _, word in order]
    places, missing = [], []
    for phrase in listed.split(","):
        wanted = [text for text in map(_plain, phrase.split()) if text]
        if not wanted:
            continue
        starts = [k for k in range(len(plain) - len(wanted) + 1) if plain[k : k + len(wanted)] == wanted]
        if not starts:
            missing.append(" ".join(phrase.split()))
        places += [order[k + step][0] for k in starts for step in range(len(wanted))]
    if not places:
        raise EditError(
            "no_such_words", "The transcript holds none of the words to remove.", "Look for them in the transcript, spelt as they stand there."
        )
    return sorted(set(places)), missing


def between(transcript: Transcript, start: float, end: float) -> list[_Place]:
    """Places of the words whose middle lies between two times in seconds."""
    return [place for place, word in _in_order(transcript) if start <= word.onset + word.duration / 2 < end]


def spans(transcript: Transcript, places: Iterable[_Place]) -> list[tuple[float, float]]:
    """Onset and offset, in seconds, of the words at ``places``; those that meet are one span."""
    times = sorted((transcript.onsets_per_tr[row][k], transcript.onsets_per_tr[row][k] + transcript.durations_per_tr[row][k]) for row, k in places)
    joined: list[tuple[float, float]] = []
    for start, end in times:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return [(start, end) for start, end in joined if end > start]


def without(transcript: Transcript, places: Iterable[_Place]) -> Transcript:
    """The transcript without the words at ``places``; all other rows and times stay as they are."""
    gone = set(places)
    if not gone:
        return transcript
    text, words, onsets, durations = [], [], [], []
    for row in range(transcript.n_trs):
        kept = [k for k in range(len(transcript.words_per_tr[row])) if (row, k) not in gone]
        whole = len(kept) == len(transcript.words_per_tr[row])
        words.append(tuple(transcript.words_per_tr[row][k] for k in kept))
        onsets.append(tuple(transcript.onsets_per_tr[row][k] for k in kept))
        durations.append(tuple(transcript.durations_per_tr[row][k] for k in kept))
        text.append(transcript.text_per_tr[row] if whole else " ".join(words[-1]))
    return replace(
        transcript, text_per_tr=tuple(text), words_per_tr=tuple(words), onsets_per_tr=tuple(onsets), durations_per_tr=tuple(durations), edited=True
    )


def _in_order(transcript: Transcript) -> list[tuple[_Place, Word]]:
    rows = zip(transcript.words_per_tr, transcript.onsets_per_tr, transcript.durations_per_tr, strict=True)
    found = [((row, k), Word(*word)) for row, columns in enumerate(rows) for k, word in enumerate(zip(*columns, strict=True))]
    return sorted(found, key=lambda item: (item[1].onset, item[0]))


def _plain(word: str) -> str:
    """A word without case and without punctuation at its ends."""
    start, end = 0, len(word)
    while start < end and not word[start].isalnum():
        start += 1
    while end > start and not word[end - 1].isalnum():
        end -= 1
    return word[start:end].casefold()
