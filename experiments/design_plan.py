"""About how long several conditions take on the embedded model: told before anybody presses the button, and next to nothing for what is kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from experiments.comparison_plan import RATES, START_S, plan_comparison
from experiments.conditions import Condition
from extractors.edit_film import edited_before
from extractors.edit_language import parse_edits, words_policy
from extractors.speech import heard_before
from extractors.transcript import Transcript

if TYPE_CHECKING:
    from extractors.clip import Clip
    from settings import Settings


def seconds_of(conditions: Iterable[Condition], *, settings: Settings) -> float:
    """Expected seconds of all conditions, one after the other.

    Parameters
    ----------
    conditions : iterable of Condition
        With films that were let in.
    settings : Settings
        Names the cache: words that were heard, films that were edited and streams that were computed cost nothing again.

    Raises
    ------
    CineglassError
        For edits that cannot be read, or cannot be made of a film.
    """
    heard: set[str] = set()
    return sum(_seconds(condition, heard, settings) for condition in conditions)


def _seconds(condition: Condition, heard: set[str], settings: Settings) -> float:
    clip, edits = condition.film, parse_edits(condition.edits)
    if edits and words_policy(edits) != "keep":
        words, listening = condition.transcript, 0.0
    else:
        words, listening = _words(clip, condition.transcript, condition.recogniser, heard, settings)
    if not edits:
        return listening + _streams(clip, words, settings)
    found = edited_before(clip, edits, transcript=words, others=condition.others, settings=settings)
    if found is None:
        steps = plan_comparison(clip, Condition(film=clip, edits=condition.edits, transcript=words), null=0, settings=settings)
        return listening + sum(step.seconds for step in steps)
    made, read = found
    if read is None:
        read, again = _words(made, None, condition.recogniser, heard, settings)
        listening += again
    return listening + _streams(made, read, settings)


def _words(clip: Clip, words: object, recogniser: str | None, heard: set[str], settings: Settings) -> tuple[Transcript | None, float]:
    """What is known of a clip's words, and how long listening for them takes; a sound is listened to once."""
    if isinstance(words, Transcript) or not clip.has_audio:
        return words if isinstance(words, Transcript) else None, 0.0
    kept = heard_before(clip, recogniser=recogniser, settings=settings)
    if kept is not None or clip.audio_key in heard:
        return kept, 0.0
    heard.add(clip.audio_key)
    return None, START_S["speech"] + RATES["speech"] * clip.duration


def _streams(clip: Clip, words: Transcript | None, settings: Settings) -> float:
    """Seconds of the streams of a clip that are not in the cache, and of the prediction where one is not."""
    steps = plan_comparison(clip, Condition(film=clip, transcript=words), null=0, settings=settings)
    seconds = sum(step.seconds for step in steps)
    return seconds + START_S["model"] if seconds else 0.0
