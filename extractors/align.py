"""Times for pasted text: forced alignment with pocketsphinx, else an even spread that says so.

The voice detector's stretches of speech are laid end to end and the text is aligned to them as one utterance, so music and pauses cannot pull words
to themselves. Words that the English dictionary lacks share the gap between their neighbours. Run as a program this file is the worker.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from extractors.arrays import load_array
from extractors.clip import Clip
from extractors.formats import spread_text
from extractors.recognise_sphinx import FRAME_S, make_decoder, pcm
from extractors.speech_workers import POLL_S
from extractors.stages import Stage, last, passing_on, stage_clock
from extractors.tr_table import clean, spread, table_from_words
from extractors.transcript import Transcript, Word
from extractors.vad import SAMPLE_RATE, Span, find_speech
from settings import ROOT

KNOWN_SHARE = 0.5
"""With fewer words than this in the dictionary the text is not English as far as the aligner is concerned."""


def align_stages(text: str, clip: Clip, *, source: str = "pasted text") -> Iterator[Stage | Transcript]:
    """Give the words of ``text`` times in ``clip``.

    Parameters
    ----------
    text : str
        What is spoken, in order.
    clip : Clip
    source : str
        Shown as the transcript's source.

    Yields
    ------
    Stage
        Named "speech". Closing the generator kills the aligner.
    Transcript
        Last: timing "aligned", or "spread" with a notice that says why.

    Raises
    ------
    TranscriptError
        The text holds no words, or too many.
    """
    words = clean(text).split()
    evenly = spread_text(text, clip.n_trs, source=source)
    at = stage_clock("speech", 1.0)
    if not clip.has_audio or clip.samples_path is None:
        yield at(1.0, "No sound to align the text with")
        yield evenly
        return
    spans = yield from passing_on(find_speech(clip.samples()))
    if not spans:
        yield at(1.0, "No speech to align the text with")
        yield evenly
        return
    times = yield from _aligned(clip.samples_path, spans, [_tokens(word) for word in words])
    yield at(1.0, "Text aligned" if times else "Text spread over the speech")
    if times:
        guessed = sum(time is None for time in times)
        notices = (
            [f"{guessed} of {len(words)} words are not in the aligner's dictionary and were placed between their neighbours."] if guessed else []
        )
        placed = _placed(words, times, spans)
        yield table_from_words(placed, clip.n_trs, source=source, timing="aligned", language="en", notices=notices)
    else:
        notice = "The text could not be aligned to the sound: its words were spread evenly over the speech, so their timing is a guess."
        yield table_from_words(_over_speech(words, spans), clip.n_trs, source=source, timing="spread", notices=(notice,))


def align_text(text: str, clip: Clip, *, source: str = "pasted text") -> Transcript:
    """:func:`align_stages` run to its end."""
    return last(align_stages(text, clip, source=source))


def _tokens(word: str) -> list[str]:
    """Dictionary entries of a written word: lower case, without punctuation, hyphens split; empty where nothing is left."""
    word = word.lower().replace("\u2019", "'")
    return [part for piece in re.split(r"[-\u2013\u2014/]", word) if (part := re.sub(r"[^\w']", "", piece).strip("'_"))]


def _aligned(samples_path: Path, spans: list[Span], tokens: list[list[str]]):
    """Start and end of every word in speech time (spans laid end to end), None for unknown words; [] where no alignment exists."""
    at = stage_clock("speech", 1.0)
    job = {"samples": str(Path(samples_path).resolve()), "spans": [(span.start, span.end) for span in spans], "tokens": tokens}
    child = subprocess.Popen(
        [sys.executable, "-m", "extractors.align"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        sent: bytes | None = json.dumps(job).encode()
        while True:
            try:
                out, _ = child.communicate(sent, timeout=POLL_S)
                break
            except subprocess.TimeoutExpired:
                sent = None
                yield at(0.0, "Aligning the text to the speech")
    finally:
        if child.poll() is None:
            child.kill()
            child.communicate()
    return json.loads(out) if child.returncode == 0 else []


def _placed(words: list[str], times: list, spans: list[Span]) -> list[Word]:
    """Words in film time; those without times share the gap between their neighbours."""
    placed: list[Word] = []
    k = 0
    while k < len(words):
        if times[k] is not None:
            start, end = (_film_time(time, spans) for time in times[k])
            placed.append(Word(words[k], round(start, 3), round(max(0.0, end - start), 3)))
            k += 1
            continue
        stop = next((j for j in range(k, len(words)) if times[j] is not None), len(words))
        left = placed[-1].offset if placed else spans[0].start
        right = _film_time(times[stop][0], spans) if stop < len(words) else spans[-1].end
        placed += spread(words[k:stop], left, max(left, right))
        k = stop
    return placed


def _over_speech(words: list[str], spans: list[Span]) -> list[Word]:
    placed = spread(words, 0.0, sum(span.duration for span in spans))
    timed = [(word.text, _film_time(word.onset, spans), _film_time(word.offset, spans)) for word in placed]
    return [Word(text, round(start, 3), round(max(0.0, end - start), 3)) for text, start, end in timed]


def _film_time(time: float, spans: list[Span]) -> float:
    for span in spans:
        if time <= span.duration:
            return span.start + time
        time -= span.duration
    return spans[-1].end


def _align(job: dict) -> list:
    """The worker: one forced alignment of all known words over all speech."""
    samples = load_array(job["samples"], mapped=True)
    parts = [np.asarray(samples[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)], dtype=np.float32) for start, end in job["spans"]]
    decoder = make_decoder(lm=None)
    known = [entries if entries and all(decoder.lookup_word(entry) is not None for entry in entries) else None for entries in job["tokens"]]
    flat = [(k, entry) for k, entries in enumerate(known) if entries for entry in entries]
    if len([entries for entries in known if entries]) < KNOWN_SHARE * len(known) or not flat:
        return []
    decoder.set_align_text(" ".join(entry for _, entry in flat))
    decoder.start_utt()
    decoder.process_raw(pcm(np.concatenate(parts)), full_utt=True)
    decoder.end_utt()
    found = [] if decoder.hyp() is None else [segment for segment in decoder.seg() or () if segment.word[:1] not in "<[+("]
    if len(found) != len(flat):
        return []
    times: list = [None] * len(known)
    for (k, _), segment in zip(flat, found, strict=True):
        start, end = segment.start_frame * FRAME_S, (segment.end_frame + 1) * FRAME_S
        times[k] = (times[k][0] if times[k] else start, end)
    return times


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_align(json.load(sys.stdin))))
