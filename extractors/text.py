"""The word stream ``classical-text-1``: speech, rate, length, frequency, surprisal and hashed n-grams per TR.

Everything comes from the transcript, never from the sound. A word belongs to the TR that holds its offset; only ``speech.share`` splits
a word between TRs. Frequency and surprisal (natural log) come from the English trigram model that pocketsphinx carries, so for other
languages they say only "unknown word". An unknown word gets the value ``MOST_NATS`` and is counted in ``unknown.share``.

The n-grams are hashed by scikit-learn (signed 32-bit MurmurHash3, the same in every process) and projected by a fixed random matrix drawn
from NumPy's frozen legacy generator, so a column means the same thing on every machine. A word is one vector of unit expected norm;
"now" sums the vectors of the TR's words, "context" those of the last 20 words of the last 12 s, each older word counting 0.85 times the
next, both divided by the root of the summed squared weights.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from extractors.grid import TR
from extractors.transcript import Transcript

EXTRACTOR_ID = "classical-text-1"
WORD_DIM, LETTER_DIM = 32, 16
SHORT_S, LONG_S = 6.0, 12.0
"""Past that the two running averages take in, in seconds."""
WINDOW_S = LONG_S
CONTEXT_WORDS = 20
DECAY = 0.85
MOST_NATS = 16.0
"""What an unknown word is given as -log p, and the most that a known one gets: among the rarest words of the model the figure says more
about its training text than about English."""
COMMON_NATS = 6.5
"""Words more frequent than this (the, of, and, ...) count as common: most of them are function words."""
PARAMETERS = {
    "word_dim": WORD_DIM,
    "letter_dim": LETTER_DIM,
    "short_s": SHORT_S,
    "long_s": LONG_S,
    "context": CONTEXT_WORDS,
    "decay": DECAY,
    "most_nats": MOST_NATS,
}

_NOW_NAMES = (
    "speech.share",
    "speech.any",
    "words.per_s",
    "letters.per_s",
    "words.length",
    "words.longest",
    "rarity.mean",
    "rarity.max",
    "surprisal.mean",
    "surprisal.max",
    "surprisal.per_s",
    "common.share",
    "unknown.share",
    "new.share",
    "pause",
)
_AVERAGED = ("speech.share", "words.per_s", "letters.per_s", "rarity.mean", "surprisal.per_s", "new.share")
TEXT_NAMES: tuple[str, ...] = (
    *_NOW_NAMES,
    *(f"{name}.{seconds:g}s" for seconds in (SHORT_S, LONG_S) for name in _AVERAGED),
    *(f"word_ngrams.now{i:02d}" for i in range(WORD_DIM)),
    *(f"word_ngrams.context{i:02d}" for i in range(WORD_DIM)),
    *(f"letter_ngrams.now{i:02d}" for i in range(LETTER_DIM)),
    *(f"letter_ngrams.context{i:02d}" for i in range(LETTER_DIM)),
)
"""One name per column. ``speech.share``: part of the TR inside words; ``words.length``: letters, log(1 + n); ``rarity``: -log p of the
word alone, in tens of nats; ``surprisal``: -log p after the two words before, in tens of nats; ``new.share``: words not said in the last
12 s; ``pause``: log(1 + s) from the last word's end to the TR's end, at most 12 s; ``.6s``, ``.12s``: mean over the TRs of that past;
``now``, ``context``: see above."""
TEXT_DIM = len(TEXT_NAMES)

_HASHES = 2**12
_SEED = 20_250_149


@lru_cache(maxsize=1)
def _language_model() -> tuple[Any, Callable[[int], float]]:
    """Pocketsphinx's trigram model (0.05 s) and what turns its integers into natural logarithms."""
    import pocketsphinx

    log_math = pocketsphinx.LogMath()
    model = pocketsphinx.NGramModel(pocketsphinx.Config(lm=None), log_math, language_model_path())
    return model, log_math.log_to_ln


def language_model_path() -> str:
    """File of the English trigram model inside the pocketsphinx package."""
    import pocketsphinx

    return os.path.join(pocketsphinx.get_model_path(), "en-us", "en-us.lm.bin")


@lru_cache(maxsize=1)
def language_model_sha256() -> str:
    """sha256 of the trigram model: part of the stream's cache key."""
    with open(language_model_path(), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def nats(words: list[str]) -> float | None:
    """-log p(last word | up to two words before it) under the trigram model; None if the last word is unknown to it.

    ``words`` are normalised (see :func:`normalised`), in order of speaking; unknown words before the last one end the context.
    """
    model, to_ln = _language_model()
    if model.prob(words[-1:]) <= _sentinel():
        return None
    history: list[str] = []
    for word in reversed(words[-3:-1]):
        if model.prob([word]) <= _sentinel():
            break
        history.append(word)
    return -to_ln(model.prob([words[-1], *history]))  # the model wants the latest word first


@lru_cache(maxsize=1)
def _sentinel() -> int:
    """At or below this the model means "I do not know the word" (it returns -2**29); real log probabilities are far above."""
    return -(2**28)


def normalised(word: str) -> str:
    """Lower case, straight apostrophes, no punctuation at the ends: the form the trigram model and the hashes see."""
    return word.lower().replace("’", "'").strip("\"'.,;:!?…()[]{}<>«»“”„‚‘*-–—_/\\|~ \t\n")


def normalised_rows(transcript: Transcript) -> list[list[tuple[str, float, float]]]:
    """Per TR the normalised words with onset and duration: all that the stream sees. A row with text but no timed words spreads them over its TR."""
    rows = []
    for k in range(transcript.n_trs):
        words = transcript.words_per_tr[k]
        onsets, durations = transcript.onsets_per_tr[k], transcript.durations_per_tr[k]
        if not words and transcript.text_per_tr[k].strip():
            words = transcript.text_per_tr[k].split()
            durations = [TR / len(words)] * len(words)
            onsets = [k * TR + i * durations[0] for i in range(len(words))]
        row = [(normalised(word), onset, duration) for word, onset, duration in zip(words, onsets, durations, strict=True)]
        rows.append([entry for entry in row if entry[0]])
    return rows


@lru_cache(maxsize=2)
def _projection(dim: int) -> np.ndarray:
    """Fixed random matrix float32 [_HASHES, dim] that keeps the expected norm of a signed one-hot vector at 1."""
    matrix = np.random.RandomState(_SEED + dim).standard_normal((_HASHES, dim))
    return (matrix / np.sqrt(dim)).astype(np.float32)


def _vectors(documents: list[list[str]], dim: int) -> np.ndarray:
    """One vector of unit expected norm per document, a document being its list of n-grams; float32 [documents, dim]."""
    from sklearn.feature_extraction.text import HashingVectorizer

    if not documents:
        return np.zeros((0, dim), np.float32)
    hasher = HashingVectorizer(analyzer=list, n_features=_HASHES, norm="l2", alternate_sign=True, dtype=np.float32)
    return hasher.transform(documents) @ _projection(dim)


def _grams(words: list[str]) -> tuple[list[list[str]], list[list[str]]]:
    """Word n-grams (the word, and it with the word before) and letter n-grams (2 to 4, with word ends) of each word."""
    pairs = [[word, f"{before} {word}"] for before, word in zip(["", *words][: len(words)], words, strict=True)]
    letters = []
    for word in words:
        edged = f"<{word}>"
        letters.append([edged[i : i + n] for n in (2, 3, 4) for i in range(len(edged) - n + 1)])
    return pairs, letters


def text_features(transcript: Transcript) -> np.ndarray:
    """The word stream.

    Parameters
    ----------
    transcript : Transcript

    Returns
    -------
    numpy.ndarray of float32, shape [transcript.n_trs, TEXT_DIM]
        Rows of silence hold zeros but for ``pause`` and the averages and contexts of what was said before.
    """
    n_trs = transcript.n_trs
    rows = normalised_rows(transcript)
    flat = [entry for row in rows for entry in row]
    texts = [text for text, _, _ in flat]
    ends = np.array([onset + duration for _, onset, duration in flat])
    now = np.zeros((n_trs, len(_NOW_NAMES)))
    now[:, _NOW_NAMES.index("speech.share")] = _speech_share(flat, n_trs)

    word_vectors, letter_vectors = (_vectors(grams, dim) for grams, dim in zip(_grams(texts), (WORD_DIM, LETTER_DIM), strict=True))
    vectors = np.concatenate([word_vectors, letter_vectors], axis=1)
    here = np.zeros((n_trs, WORD_DIM + LETTER_DIM))
    context = np.zeros_like(here)
    new = _not_said_before(texts, ends)
    first = 0
    for k, row in enumerate(rows):
        stop = first + len(row)
        if row:
            now[k, 1:-2] = _word_columns(texts, first, stop)
            now[k, -2] = new[first:stop].mean()
            here[k] = vectors[first:stop].sum(0) / np.sqrt(len(row))
        end = (k + 1) * TR
        recent = [i for i in range(max(0, stop - CONTEXT_WORDS), stop) if ends[i] > end - LONG_S]
        if recent:
            weights = DECAY ** np.arange(len(recent) - 1, -1, -1)
            context[k] = weights @ vectors[recent] / np.sqrt((weights**2).sum())
        since = end - ends[:stop].max() if stop else LONG_S
        now[k, -1] = np.log1p(np.clip(since, 0, LONG_S))
        first = stop
    averaged = now[:, [_NOW_NAMES.index(name) for name in _AVERAGED]]
    columns = np.concatenate(
        [
            now,
            _past_mean(averaged, SHORT_S),
            _past_mean(averaged, LONG_S),
            here[:, :WORD_DIM],
            context[:, :WORD_DIM],
            here[:, WORD_DIM:],
            context[:, WORD_DIM:],
        ],
        axis=1,
    )
    return columns.astype(np.float32)


def _not_said_before(texts: list[str], ends: np.ndarray) -> np.ndarray:
    """Whether each word was not said in the ``LONG_S`` before it, bool [words]."""
    said: dict[str, float] = {}
    new = np.zeros(len(texts), bool)
    for i, (word, end) in enumerate(zip(texts, ends, strict=True)):
        new[i] = said.get(word, -np.inf) <= end - LONG_S
        said[word] = max(end, said.get(word, end))
    return new


def _word_columns(texts: list[str], first: int, stop: int) -> tuple[float, ...]:
    """Columns of a TR that holds words ``first`` to ``stop - 1``: ``_NOW_NAMES`` from ``speech.any`` to ``unknown.share``."""
    words = texts[first:stop]
    lengths = np.array([sum(letter.isalnum() for letter in word) for word in words])
    alone = [nats([word]) for word in words]
    after = [nats(texts[max(0, i - 2) : i + 1]) for i in range(first, stop)]
    rarity, surprisal = (np.minimum([MOST_NATS if value is None else value for value in values], MOST_NATS) / 10 for values in (alone, after))
    return (
        1.0,
        len(words) / TR,
        lengths.sum() / TR / 5,
        np.log1p(lengths).mean(),
        np.log1p(lengths.max()),
        rarity.mean(),
        rarity.max(),
        surprisal.mean(),
        surprisal.max(),
        surprisal.sum() / TR,
        float(np.mean(rarity < COMMON_NATS / 10)),
        float(np.mean([value is None for value in alone])),
    )


def _speech_share(words: list[tuple[str, float, float]], n_trs: int) -> np.ndarray:
    """Part of each TR that lies inside words; words that overlap count once."""
    share = np.zeros(n_trs)
    covered = 0.0
    for _, onset, duration in sorted(words, key=lambda word: word[1]):
        start, stop = max(onset, covered), min(onset + duration, n_trs * TR)
        covered = max(covered, onset + duration)
        k = max(int(start / TR), 0)
        while k < n_trs and k * TR < stop:
            share[k] += max(0.0, min(stop, (k + 1) * TR) - max(start, k * TR)) / TR
            k += 1
    return np.minimum(share, 1.0)


def _past_mean(values: np.ndarray, seconds: float) -> np.ndarray:
    """Mean of each column over the TRs that end within the last ``seconds``; before the film there was silence."""
    length = max(1, int(seconds / TR))
    total = np.cumsum(np.pad(values, ((length, 0), (0, 0))), axis=0)
    return (total[length:] - total[:-length]) / length
