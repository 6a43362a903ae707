"""Words for a paper: a methods paragraph that is true for one result, and the works that it stands on.

What is said follows the result: simulated or published model, streams that were there, where the words came from, edits, rows. The works are those of
``CITATION.cff``, chosen by what was used; nothing is cited that is not in that file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from encoder.responses import Responses
from extractors.features import STREAMS
from extractors.grid import HRF_S, TAIL_TRS
from extractors.tr_table import clean
from extractors.transcript import Transcript
from settings import ROOT
from viz.picked import runs

if TYPE_CHECKING:
    from encoder.cards import Card

PROGRAM = "Cineglass"

_STREAM = {"audio": "sound", "text": "words", "video": "picture"}
_CLASSICAL = {
    "audio": "The sound was described by mel bands, loudness and change.",
    "text": "The words were described by their rate, length, frequency, surprisal and n-grams.",
    "video": "The picture was described by motion energy ({nishimoto2011}), luminance, contrast, colour and cuts.",
}
_BACKBONES = {"audio": ("ast", "gong2021"), "text": ("qwen", "qwen2024"), "video": ("vjepa", "assran2025")}
_TIMES = {
    "recognised": "with the times at which they were heard",
    "given": "with the times given there",
    "aligned": "and were aligned with the sound",
    "spread": "without times and were spread evenly over the film, so that their timing was a guess",
}
_CALIBRATED = {
    "yes": "Offset and gain of the predictions were calibrated on the training data.",
    "no": "Offset and gain of the predictions were not calibrated, so that a difference of means was not to be read as a size.",
    "unknown": "It was not known whether offset and gain of the predictions were calibrated: a difference of means was not to be read as a size.",
}


@dataclass(frozen=True)
class Citation:
    """One work.

    Attributes
    ----------
    key : str
        First author and year, "schaefer2018"; the program's own is "cineglass".
    short : str
        For the running text: "Schaefer et al., 2018".
    text : str
        For a list of references.
    bibtex : str
    """

    key: str
    short: str
    text: str
    bibtex: str


def methods_text(responses: Responses, transcript: Transcript | None = None, card: Card | None = None) -> str:
    """One paragraph in the past tense on how this result came to be, for a paper.

    Parameters
    ----------
    responses : Responses
    transcript : Transcript, optional
        The words that the model was given; without it only their source is named.
    card : Card, optional
        Of the model: what is known of its accuracy. Without it, what the result itself carries.

    Returns
    -------
    str
        Plain text without markup, one line.
    """
    parts = (_film, _model, _time, _streams, _words, _edits, _space, _valid)
    said = [sentence for part in parts for sentence in part(responses, transcript)]
    text = " ".join([*said, *_accuracy(responses, card), *_limits(responses)])
    short = {citation.key: citation.short for citation in _works().values()}
    return re.sub(r"\{(\w+)\}", lambda found: short[found[1]], text).replace("\0", "{").replace("\1", "}")


def citations(responses: Responses) -> tuple[Citation, ...]:
    """The program and the works that this result stands on, in the order of the methods text.

    Parameters
    ----------
    responses : Responses

    Returns
    -------
    tuple of Citation
    """
    keys = [PROGRAM.lower(), *(["schad2025"] if _is_vibe(responses) else []), "gifford2025"]
    for stream in (stream for stream in STREAMS if responses.present.get(stream)):
        made = responses.extractor_ids.get(stream, "").lower()
        word, key = _BACKBONES[stream]
        if _classical(made):
            keys += ["nishimoto2011"] if stream == "video" else []
        elif word in made.replace("-", ""):
            keys.append(key)
    keys += ["glover1999"] if _filtered(responses) else []
    return tuple(_works()[key] for key in (*keys, "schaefer2018", "yeo2011"))


def program_version() -> str:
    """Version of the program, as ``CITATION.cff`` has it."""
    return str(_cff()["version"])


def program_address() -> str:
    """Where the program's code is published; empty while ``CITATION.cff`` names no place."""
    return str(_cff().get("repository-code", ""))


def _film(responses: Responses, transcript: Transcript | None) -> Iterator[str]:
    yield (
        f"Responses to the film “{_quoted(responses.clip_name, 'without a name')}” ({responses.duration:.1f} s, SHA-256 beginning "
        f"{responses.clip_sha256[:12]}) were predicted with {PROGRAM} {program_version()}."
    )


def _model(responses: Responses, transcript: Transcript | None) -> Iterator[str]:
    kind = " of the VIBE class ({schad2025})" if _is_vibe(responses) else ""
    title, id = _quoted(responses.model_title), _quoted(responses.model_id)
    name = f"{title} ({id}; weights SHA-256 beginning {responses.weights_sha256[:12]})" if responses.weights_sha256 else f"{title} ({id})"
    if responses.simulated:
        yield (
            f"No brain was measured: the model, {name}, was a network{kind} that had been trained on simulated subjects only, whose responses "
            "followed written rules. All values were therefore simulated and no evidence about any person's brain."
        )
    else:
        yield (
            f"Nobody watched this film in a scanner: all values were predictions of the published model {name}, a network{kind} that had been "
            "trained on responses measured in other sessions. Its weights were used as they came."
        )
    if responses.members:
        yield f"The predictions of {len(responses.members)} checkpoints were averaged; their standard deviation was kept beside the mean."


def _time(responses: Responses, transcript: Transcript | None) -> Iterator[str]:
    yield (
        f"Film time was cut into samples (TRs) of {responses.tr:g} s, the repetition time of the Algonauts 2025 data ({{gifford2025}}). There were "
        f"floor(duration / {responses.tr:g} s) = {responses.n_trs} rows: a last partial TR was dropped, and row k, counted from 0, stood for the "
        f"film time (k + 0.5) × {responses.tr:g} s."
    )


def _streams(responses: Responses, transcript: Transcript | None) -> Iterator[str]:
    for stream in (stream for stream in STREAMS if responses.present.get(stream)):
        made = responses.extractor_ids.get(stream, "")
        word, key = _BACKBONES[stream]
        if _classical(made):
            yield _CLASSICAL[stream]
        else:
            source = f" ({{{key}}})" if word in made.lower().replace("-", "") else ""
            was = "were" if stream == "text" else "was"
            yield f"The {_STREAM[stream]} {was} turned into numbers by the extractor “{_quoted(made, 'of the model')}”{source}."
    if _filtered(responses):
        yield "Each was given to the model as it was, and filtered with a haemodynamic response function and its derivative ({glover1999})."
    absent = [_STREAM[stream] for stream in STREAMS if not responses.present.get(stream)]
    if absent:
        yield f"The run was made without {_listed(absent, 'or')}."


def _words(responses: Responses, transcript: Transcript | None) -> Iterator[str]:
    if not responses.present.get("text") or transcript is None:
        return
    if not transcript.n_words:
        yield "The transcript held no words."
        return
    language = f", language {_quoted(transcript.language)}" if transcript.language else ""
    times = _TIMES.get(transcript.timing)
    yield (
        f"The {transcript.n_words} words came from “{_quoted(responses.transcript_source, 'an unnamed source')}”{language}"
        f"{f', {times}' if times else ''}; a word belonged to the TR in which it ended."
    )
    if transcript.edited_rows:
        yield f"A person changed them in {_count(len(transcript.edited_rows), 'row')}."


def _edits(responses: Responses, transcript: Transcript | None) -> Iterator[str]:
    if responses.edits:
        yield f"The stimulus was changed before the prediction: {_listed([_quoted(edit) for edit in responses.edits])}."
    if responses.lesions:
        yield f"Inside the model this was left out: {_listed([_quoted(lesion) for lesion in responses.lesions])}."
    if not responses.edits and not responses.lesions:
        yield "Neither the film nor the model was changed."


def _space(responses: Responses, transcript: Transcript | None) -> Iterator[str]:
    who = _listed(list(responses.subject_labels))
    yield (
        f"Predicted BOLD was given for {who} in {_quoted(responses.units)}, relative to each parcel's own level in the training data, for the 1000 "
        "parcels of the Schaefer atlas with seven networks ({schaefer2018}; {yeo2011}) in FSL's MNI152 space (MNI152NLin6Asym); values of networks "
        "were means over their parcels."
    )


def _valid(responses: Responses, transcript: Transcript | None) -> Iterator[str]:
    kept = int(responses.valid.sum())
    window = responses.extra.get("window_s")
    warm_up = f"{window:g} s, the longest window of an extractor, and " if isinstance(window, (int, float)) and window else ""
    why = f"the first ones lacked a past of {warm_up}{HRF_S:g} s of haemodynamics, the last {TAIL_TRS} were left out, as in Algonauts 2025"
    if kept == responses.n_trs:
        yield "All rows were kept for means and ranges."
    elif kept:
        yield (
            f"Of the {responses.n_trs} rows, {kept} ({rows_in_words(np.flatnonzero(responses.valid))}) were kept for means and ranges; the others "
            f"were marked as not valid: {why}."
        )
    else:
        yield f"The film was so short that every row was marked as not valid: {why}."


def _accuracy(responses: Responses, card: Card | None) -> Iterator[str]:
    known = card.accuracy if card is not None else str(responses.extra.get("accuracy", ""))
    if known.startswith("never tested"):
        yield "How well the model predicts measured brains had never been tested."
    elif known:
        yield f"On its accuracy the model's card says: “{_quoted(known.rstrip('.'))}”."
    else:
        yield "Nothing was known about the model's accuracy on measured brains."
    for part in card.recovery if card is not None else ():
        where = _quoted(part.label)
        yield (
            f"On {where[:1].lower()}{where[1:]} it returned planted responses with a mean correlation of r = {part.all.r:.3f}, where "
            f"{part.all.ceiling:.3f} was the most possible; this is recovery of what was planted and no accuracy."
        )


def _limits(responses: Responses) -> Iterator[str]:
    yield _CALIBRATED.get(str(responses.extra.get("calibrated", "unknown")), _CALIBRATED["unknown"])
    yield "The result rested on one film and said nothing about others."
    if responses.warnings:
        yield f"The program warned: {' '.join(_sentence(_quoted(warning)) for warning in responses.warnings)}"


def rows_in_words(rows: Sequence[int] | np.ndarray) -> str:
    """Row numbers as "rows 3 and 15 to 49"; "row 7" for a single one, "no rows" for none."""
    if not len(rows):
        return "no rows"
    return f"row{'s' if len(rows) > 1 else ''} {_listed([str(first) if first == last else f'{first} to {last}' for first, last in runs(rows)])}"


def _is_vibe(responses: Responses) -> bool:
    return any("vibe" in text.lower() for text in (responses.model_id, responses.model_title, responses.badge))


def _classical(extractor: str) -> bool:
    return extractor.startswith("classical-")


def _filtered(responses: Responses) -> bool:
    """Whether the streams are those of the embedded models, which are offered with HRF-filtered copies (:mod:`encoder.frontend`)."""
    return any(_classical(responses.extractor_ids.get(stream, "")) for stream, there in responses.present.items() if there)


def _quoted(text: str, empty: str = "") -> str:
    """Somebody's text inside a sentence: one line, no control characters, not long, and its braces kept from being read as a citation."""
    shown = " ".join(clean(str(text)).split()) or empty
    shown = shown if len(shown) <= 600 else f"{shown[:599]}…"
    return shown.replace("{", "\0").replace("}", "\1")


def _listed(items: Sequence[str], last: str = "and") -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


@lru_cache(maxsize=1)
def _cff() -> dict[str, Any]:
    import yaml

    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _works() -> dict[str, Citation]:
    """Every work of ``CITATION.cff`` by its key, the program first."""
    content = _cff()
    own = {**content, "year": str(content["date-released"])[:4]}
    found = {PROGRAM.lower(): _citation(PROGRAM.lower(), own)}
    for work in content["references"]:
        name = _family(work["authors"][0]).split()[0]
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        key = next(key for letter in ("", *"bcdefgh") if (key := f"{plain}{work['year']}{letter}") not in found)
        found[key] = _citation(key, work)
    return found


def _citation(key: str, work: dict[str, Any]) -> Citation:
    authors = work["authors"]
    more = len(authors) > 2 or any(author.get("name") == "et al." for author in authors)
    named = [_family(author) for author in authors if author.get("name") != "et al."]
    short = f"{named[0]} et al., {work['year']}" if more else f"{' & '.join(named)}, {work['year']}"
    place = " ".join(str(part) for part in (work.get("journal", ""), _pages(work)) if part)
    version = f"Version {work['version']}" if "version" in work else ""
    tail = ". ".join(part for part in (place, version) if part)
    text = f"{_people(authors)} ({work['year']}). {work['title']}.{f' {tail}.' if tail else ''}"
    kind = {"article": "article", "software": "software"}.get(work["type"], "misc")
    fields = {
        "author": " and ".join(_bib_name(author) for author in authors),
        "title": f"{{{work['title']}}}",
        "journal": work.get("journal"),
        "volume": work.get("volume"),
        "pages": work.get("start"),
        "year": work["year"],
        "version": work.get("version"),
    }
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value is not None]
    return Citation(key, short, text, f"@{kind}{{{key},\n" + ",\n".join(lines) + "\n}")


def _family(author: dict[str, str]) -> str:
    return author.get("family-names") or author["name"]


def _people(authors: Sequence[dict[str, str]]) -> str:
    names = [f"{author['family-names']}, {_initials(author['given-names'])}" if "family-names" in author else author["name"] for author in authors]
    if names[-1] == "et al.":
        return f"{', '.join(names[:-1])}, et al."
    return _listed(names, "&")


def _initials(given: str) -> str:
    return " ".join(f"{name[0]}." for name in re.split(r"[\s.]+", given) if name)


def _bib_name(author: dict[str, str]) -> str:
    if "family-names" in author:
        return f"{author['family-names']}, {author['given-names']}"
    return "others" if author["name"] == "et al." else f"{{{author['name']}}}"


def _pages(work: dict[str, Any]) -> str:
    return f"{work['volume']}:{work['start']}" if "volume" in work else ""
