"""What a comparison will compute anew, and about how long that takes: told before anybody presses the button."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from encoder.lesions import parse_lesions
from experiments.conditions import Condition
from experiments.null_band import N_EMBEDDED, N_LARGE
from extractors.cache import feature_cache
from extractors.classical import CLASSICAL
from extractors.edit_language import Edit, null_edits, parse_edits, touched, words_policy
from extractors.tr_table import no_words
from extractors.transcript import Transcript

if TYPE_CHECKING:
    from encoder.plan import Plan
    from extractors.clip import Clip
    from settings import Settings

RATES = {"picture": 0.02, "sound": 0.01, "speech": 0.05, "video": 0.04, "audio": 0.005, "text": 0.003}
"""Seconds of work for each second of film on two cores: writing a track, listening for words, and the embedded model's streams."""
PICTURE_MP = 0.08
"""What a megapixel adds to the rate of writing a picture."""
START_S = {"picture": 1.0, "sound": 0.6, "speech": 1.0, "video": 1.0, "audio": 0.5, "text": 1.0, "model": 1.5}
"""Seconds that each takes however short the film is."""
NULL_START_S = 0.5
"""The same for one null edit, whose processes and model are warm."""

TITLES = {
    "picture": "Write the changed picture",
    "sound": "Write the changed sound track",
    "speech": "Listen for words in the changed sound",
    "video": "Picture stream",
    "audio": "Sound stream",
    "text": "Word stream",
    "model": "Predict four brains",
    "null": "Sensitivity to small changes",
}


@dataclass(frozen=True)
class Step:
    """One line of the plan.

    Attributes
    ----------
    what : str
        "picture", "sound", "speech", "video", "audio", "text", "model" or "null".
    title : str
        For people.
    cached : bool
        Whether it comes from A as it is.
    seconds : float
        Expected; 0 for what is cached.
    note : str
        Why, in a few words.
    """

    what: str
    title: str
    cached: bool
    seconds: float
    note: str = ""


def plan_comparison(
    clip: Clip, condition: Condition, *, null: int | None = None, settings: Settings, published: Plan | None = None
) -> tuple[Step, ...]:
    """Plan condition B, and the null edits of A.

    Parameters
    ----------
    clip : Clip
        Of A.
    condition : Condition
        B; its texts count, and its transcript where A's words are known.
    null : int, optional
        Null edits; 0 for none, by default as in :func:`experiments.comparison.compare`.
    settings : Settings
        Names the cache.
    published : encoder.plan.Plan, optional
        Of a published model on this clip: its streams' seconds are taken from there.

    Returns
    -------
    tuple of Step

    Raises
    ------
    CineglassError
        EditError or LesionError for a text that cannot be read.
    """
    made, words = parse_edits(condition.edits), condition.transcript
    streams = touched(made)
    n = (N_LARGE if published is not None else N_EMBEDDED) if null is None else null
    steps = [Step(part, TITLES[part], False, _seconds(part, clip)) for part in ("picture", "sound") if _writes(part, made, clip)]
    if words_policy(made) == "hear":
        steps.append(Step("speech", TITLES["speech"], False, _seconds("speech", clip), "the edit changes what can be heard"))
    known = isinstance(words, Transcript)
    keys = CLASSICAL.keys_of(clip, words if known else no_words(clip.n_trs)) if published is None else {}
    cache = feature_cache(settings)
    spoken = not known or words.source != "none" or "text" in streams
    for stream, there in (("video", clip.has_video), ("audio", clip.has_audio), ("text", spoken)):
        if not there or (stream == "text" and words_policy(made) == "drop"):
            continue
        kept = stream not in streams and (published is not None or (stream in keys and cache.manifest(keys[stream]) is not None))
        unchanged = "unchanged: from the cache" if kept else "unchanged, but not yet computed on this machine"
        note = "changed by the edit" if stream in streams else unchanged
        steps.append(Step(stream, TITLES[stream], kept, 0.0 if kept else _stream_seconds(stream, clip, published), note))
    anew = bool(streams or parse_lesions(condition.lesions))
    steps.append(Step("model", TITLES["model"], not anew, _stream_seconds("model", clip, published) if anew else 0.0))
    if n:
        note = f"{n} small changes to A that should not matter; kept for the next time"
        steps.append(Step("null", TITLES["null"], False, _null_seconds(n, clip, published), note))
    return tuple(steps)


def _writes(part: str, edits: Sequence[Edit], clip: Clip) -> bool:
    """Whether a track is written: one that the clip has, or is given by another clip."""
    there = clip.has_video if part == "picture" else clip.has_audio or any(edit.name == "sound" for edit in edits)
    return there and any({part, "time"} & edit.touches for edit in edits)


def _seconds(what: str, clip: Clip) -> float:
    return START_S[what] + _rate(what, clip) * clip.duration


def _rate(what: str, clip: Clip) -> float:
    return RATES.get(what, 0.0) + (PICTURE_MP * (clip.width or 0) * (clip.height or 0) / 1e6 if what == "picture" else 0.0)


def _stream_seconds(what: str, clip: Clip, published: Plan | None) -> float:
    if published is None:
        return _seconds(what, clip)
    name = "predictor" if what == "model" else what
    return sum(part.seconds for part in published.parts if part.name == name)


def _null_seconds(n: int, clip: Clip, published: Plan | None) -> float:
    total = 0.0
    for text in null_edits(n, picture=clip.has_video, sound=clip.has_audio):
        edits = parse_edits(text)
        total += NULL_START_S + sum(_rate(part, clip) * clip.duration for part in ("picture", "sound") if _writes(part, edits, clip))
        absent = {stream for stream, there in (("video", clip.has_video), ("audio", clip.has_audio)) if not there}
        for stream in (touched(edits) - absent) | {"model"}:
            total += RATES.get(stream, 0.0) * clip.duration if published is None else _stream_seconds(stream, clip, published)
    return total
