"""From edits to work: what is done to picture, sound and words of one clip, worked out before any film is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from extractors import edit_words
from extractors.clip import Clip
from extractors.edit_language import Edit, EditError, words_policy
from extractors.grid import TR, n_trs
from extractors.time_map import Piece, TimeMap
from extractors.tr_table import edit_row, no_words
from extractors.transcript import Transcript

NORMAL_QUALITY = 23.0
"""Of a film that is not compressed on purpose; see :mod:`extractors.canonical`."""


@dataclass
class Plan:
    """The work that edits of one clip make; while it is made, the state of the film after the edits so far.

    Attributes
    ----------
    duration : float
        Seconds of the edited film.
    time_map : TimeMap
        Edited film to source.
    picture, sound : list of list
        Steps for :mod:`extractors.edit_picture` and :mod:`extractors.edit_sound`, JSON-able; empty: the track stays as it is.
    others : dict of str to Clip
        Clips whose sound is used, by their ``audio_key``.
    read : Transcript or None
        Words after the edits; None when they must be heard.
    said : Transcript or None
        The words where they lie in the sound after the edits, so that they can be silenced there; None where that is not known.
    notices : list of str
    """

    clip: Clip
    duration: float
    time_map: TimeMap
    read: Transcript | None
    said: Transcript | None
    picture: list[list] = field(default_factory=list)
    sound: list[list] = field(default_factory=list)
    others: dict[str, Clip] = field(default_factory=dict)
    has_audio: bool = False
    notices: list[str] = field(default_factory=list)
    _words_follow: bool = True  # words said in a sound that moves or falls silent go with it

    @property
    def n_trs(self) -> int:
        """TRs of the edited film."""
        return n_trs(self.duration)

    @property
    def changes_film(self) -> bool:
        """Whether there is a film to write."""
        return bool(self.picture or self.sound) or self.duration != self.clip.duration


def plan_edits(clip: Clip, edits: Sequence[Edit], transcript: Transcript | None, others: Mapping[str, Clip]) -> Plan:
    """Work out ``edits``, one after the other, for a clip.

    Raises
    ------
    EditError
        ``no_picture``, ``no_sound``, ``no_film``, ``unknown_clip``, ``needs_transcript``, ``words_moved``, ``no_such_words`` or ``out_of_range``.
    TranscriptError
        For a row that does not exist.
    """
    policy = words_policy(edits)
    said = any(edit.name == "words" for edit in edits)
    plan = Plan(clip, clip.duration, TimeMap.identity(clip.duration), transcript, transcript, has_audio=clip.has_audio)
    plan._words_follow = not (said and policy == "keep")
    for edit in edits:
        if edit.name == "sound":
            _swap(plan, edit, others)
        elif edit.name != "words":
            _need_tracks(plan, edit)
            _STEPS[edit.name](plan, edit)
        elif edit.words == "hear" and not any(one.name == "sound" for one in edits) and not plan.has_audio:
            raise EditError("no_sound", "The clip has no sound in which words could be heard.", "Keep its words, or drop them.")
    if policy == "hear":
        plan.read = None
    elif policy == "drop":
        plan.read = no_words(plan.n_trs)
    elif not clip.has_film and plan.read is not None and not plan.read.n_words and transcript.n_words:
        plan.notices.append("None of the clip's words are left, and it is words only: the model is given nothing.")
    return plan


def _need_tracks(plan: Plan, edit: Edit) -> None:
    """An edit of one track wants that track; an edit of time takes what there is; words are removed from a transcript without sound too."""
    wants = [track for track in ("picture", "sound") if track in edit.touches]
    present = {name for name, there in (("picture", plan.clip.has_video), ("sound", plan.has_audio)) if there}
    if not wants or present & set(wants):
        return
    if edit.name == "reverse" and "time" in edit.touches and not present:
        raise EditError("no_film", "The clip is words only, and words played backwards are no words.", "Shuffle the words, or drop them.")
    if edit.name != "remove" and not ("time" in edit.touches and not present):
        said = f'The clip has no {" and no ".join(wants)}, so "{edit.name}" can change nothing.'
        raise EditError(f"no_{wants[0]}", said, "Choose an edit of what the clip has.")


def _mute(plan: Plan, edit: Edit) -> None:
    plan.sound.append(["silence"])


def _filter(plan: Plan, edit: Edit) -> None:
    plan.picture.append([edit.name, *(value for _, value in edit.values)])


def _gain(plan: Plan, edit: Edit) -> None:
    plan.sound.append(["gain", edit["db"]])


def _recompress(plan: Plan, edit: Edit) -> None:
    for steps, there in ((plan.picture, plan.clip.has_video), (plan.sound, plan.has_audio)):
        if there:
            steps.append(["quality", edit["quality"]])


def _swap(plan: Plan, edit: Edit, others: Mapping[str, Clip]) -> None:
    if not plan.clip.has_film:
        raise EditError("no_film", "The clip is words only: there is no film that could be given another sound.", "Choose an edit of its words.")
    name = str(edit["clip"])
    if name not in others:
        close = get_close_matches(name, list(others), n=1)
        hint = f'Did you mean "{close[0]}"?' if close else "Give the clip whose sound is wanted together with the edit."
        raise EditError("unknown_clip", "The clip whose sound is to be taken is not at hand.", hint)
    other = others[name]
    if not other.has_audio:
        raise EditError("no_sound", "The clip whose sound is to be taken has none.", "Choose a clip with sound.")
    plan.others[other.audio_key] = other
    plan.sound.append(["clip", other.audio_key, plan.duration])
    plan.said = None
    plan.has_audio = True


def _reverse(plan: Plan, edit: Edit) -> None:
    backwards = TimeMap((Piece(0.0, plan.duration, plan.duration, 0.0),))
    if edit["track"] == "picture":
        plan.picture.append(["flip"])
    elif edit["track"] == "sound":
        plan.sound.append(["pieces", backwards.as_list(), plan.duration])
        plan.said = None
    else:
        _retime(plan, backwards, plan.duration)
        plan.said = None


def _speed(plan: Plan, edit: Edit) -> None:
    duration = round(plan.duration / edit["factor"], 6)
    step = ["stretch", edit["factor"], duration]
    _retime(plan, TimeMap((Piece(0.0, duration, 0.0, plan.duration),)), duration, sound=step)


def _shuffle(plan: Plan, edit: Edit) -> None:
    import numpy as np

    length = edit["seconds"]
    count = int(plan.duration / length + 1e-6)
    if count < 2:
        raise EditError(
            "out_of_range",
            f"The film lasts {plan.duration:.1f} s, too short for two pieces of {length:g} s.",
            f"Choose pieces of at most {plan.duration / 2:.1f} s.",
        )
    rng = np.random.default_rng(int(edit["seed"]))
    order = np.arange(count)
    while (order == np.arange(count)).all():
        order = rng.permutation(count)
    pieces = [Piece(k * length, (k + 1) * length, source * length, (source + 1) * length) for k, source in enumerate(order.tolist())]
    if plan.duration - count * length > 1e-6:
        pieces.append(Piece(count * length, plan.duration, count * length, plan.duration))
    _retime(plan, TimeMap(tuple(pieces)), plan.duration)


def _trim(plan: Plan, edit: Edit) -> None:
    start, end = edit["start"], min(edit["end"], plan.duration)
    if start >= plan.duration:
        raise EditError("out_of_range", f"The film ends at {plan.duration:.2f} s, before the part to keep begins.", "Choose an earlier start.")
    if edit["end"] > plan.duration + TR:
        plan.notices.append(f"The film ends at {plan.duration:.2f} s, before the end of the part to keep.")
    if start > 0 or end < plan.duration:
        duration = round(end - start, 6)
        _retime(plan, TimeMap((Piece(0.0, duration, start, end),)), duration)


def _shift(plan: Plan, edit: Edit) -> None:
    later = TimeMap((_moved_by(edit["ms"] / 1000, plan.duration),))
    _retime(plan, later, plan.duration, same_frames=True)


def _delay(plan: Plan, edit: Edit) -> None:
    if abs(edit["seconds"]) >= plan.duration:
        raise EditError("out_of_range", f"The film lasts {plan.duration:.1f} s: nothing of its sound would be left.", "Choose a shorter delay.")
    later = TimeMap((_moved_by(edit["seconds"], plan.duration),))
    plan.sound.append(["pieces", later.as_list(), plan.duration])
    follows = plan.read is plan.said and plan._words_follow
    if plan.said is not None:
        plan.said = edit_words.moved(plan.said, later, plan.n_trs)
    if follows:
        plan.read = plan.said
    elif plan.read is not None and plan._words_follow:
        plan.read = edit_words.moved(plan.read, later, plan.n_trs)


def _remove(plan: Plan, edit: Edit) -> None:
    if not plan.has_audio and not plan._words_follow:
        raise EditError("no_sound", 'The clip has no sound and its words are kept, so "remove" can change nothing.', "Leave out: words policy=keep")
    listed = edit.get("words")
    if listed is None:
        places = edit_words.between(plan.read, edit["start"], edit["end"]) if plan.read is not None else []
        silent = [(edit["start"], min(edit["end"], plan.duration))]
        if edit["start"] >= plan.duration:
            raise EditError("out_of_range", f"The film ends at {plan.duration:.2f} s, before the words to remove.", "Choose an earlier start.")
    else:
        if plan.read is None:
            raise EditError("needs_transcript", "Words are removed by name, but the clip's words are not known yet.", "Make the transcript first.")
        if plan.said is None:
            said = "Words are removed by name, but where they lie in the changed sound is not known."
            raise EditError("words_moved", said, "Remove them before the sound is reversed or swapped, or remove what lies between two times.")
        places, missing = edit_words.named(plan.said, listed)
        silent = edit_words.spans(plan.said, places)
        if missing:
            plan.notices.append("Not in the transcript, so not removed: " + ", ".join(missing) + ".")
        if plan.said.timing == "spread" and plan.has_audio:
            plan.notices.append("The times of the words are estimated, so what falls silent may not be the words.")
    if plan.has_audio:
        plan.sound.append(["quiet", [list(span) for span in silent]])
    elif not places:
        said = "No word lies between these times, and the clip has no sound that could be silenced."
        raise EditError("no_such_words", said, "Look at the transcript for the times of its words.")
    if plan.read is not None and plan._words_follow:  # then the words that are read lie where they are said
        follows = plan.read is plan.said
        plan.read = edit_words.without(plan.read, places)
        plan.said = plan.read if follows else plan.said


def _rewrite(plan: Plan, edit: Edit) -> None:
    if plan.read is None:
        raise EditError("needs_transcript", "A row is rewritten, but the clip's words are not known yet.", "Make the transcript first.")
    follows = plan.said is plan.read
    plan.read = edit_row(plan.read, int(edit["row"]), edit["text"])
    if follows:
        plan.said = plan.read


def _retime(plan: Plan, step: TimeMap, duration: float, *, sound: list | None = None, same_frames: bool = False) -> None:
    """Both tracks, the words and the map follow one change of time."""
    if plan.clip.has_video:
        plan.picture.append(["map", step.as_list(), plan.duration, duration, same_frames])
    if plan.has_audio:
        plan.sound.append(sound or ["pieces", step.as_list(), duration])
    plan.duration = duration
    plan.time_map = plan.time_map.then(step)
    follows = plan.said is plan.read
    if plan.read is not None:
        plan.read = edit_words.moved(plan.read, step, plan.n_trs)
    if follows:
        plan.said = plan.read
    elif plan.said is not None:
        plan.said = edit_words.moved(plan.said, step, plan.n_trs)


def _moved_by(seconds: float, duration: float) -> Piece:
    if seconds > 0:
        return Piece(seconds, duration, 0.0, duration - seconds)
    return Piece(0.0, duration + seconds, -seconds, duration)


_STEPS: dict[str, Callable[[Plan, Edit], None]] = {
    "mute": _mute,
    "blank": _filter,
    "grey": _filter,
    "blur": _filter,
    "reverse": _reverse,
    "speed": _speed,
    "shuffle": _shuffle,
    "delay": _delay,
    "trim": _trim,
    "remove": _remove,
    "rewrite": _rewrite,
    "recompress": _recompress,
    "shift": _shift,
    "gain": _gain,
    "crop": _filter,
}
