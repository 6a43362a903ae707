"""The Experiment section: A is the clip in the player, B the same clip with something changed; what may be changed, what it costs, one button."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from encoder.lesions import LESIONS, PARTS, Lesion
from extractors.edit_language import EDITS, Edit, EditKind, words_policy
from extractors.errors import CineglassError
from extractors.features import STREAMS
from extractors.statements import Param
from ui import run
from ui.amounts import expected, rounded
from ui.panel import Panel

if TYPE_CHECKING:
    from experiments.comparison_plan import Step

QUICK = {"mute": "Mute the sound", "blank": "Blank the picture", "reverse": "Play it backwards", "shuffle": "Shuffle its pieces"}
"""Changes that stand as buttons, and what they are called there; the others are one click further away."""

GROUPS = {"time": "Time", "sound": "Sound", "picture": "Picture", "words": "Words"}
NAMES = {("shuffle", "seconds"): "pieces of", ("scramble", "block_trs"): "pieces of"}
"""Parameters of an edit or a lesion that have another name on the page."""

ABOUT_WORDS = ("remove", "rewrite")
NULL_GROUP = "Small changes that should not matter"

NO_SOUND = "This clip has no sound that could be heard."
BACKWARDS = "words played backwards are no words"

READS = {
    "keep": ("as in A", "The model reads the words of A, moved with the film where the film is moved."),
    "hear": ("heard again", "A recogniser listens to the changed sound, and the model reads what it hears."),
    "drop": ("none", "The model reads no words at all."),
}
"""What the model reads in B: the policy of the language, its name on the page, and what it means."""

CLIP_MOST = 40
"""Clips that a sound track can be taken from."""

STAGES = {
    "edit": "Change the film",
    "gate": "Check and prepare the film",
    "plan": "Plan for this machine",
    "speech": "Listen for words",
    "video": "Picture",
    "audio": "Sound",
    "text": "Words",
    "model": "Predict four brains",
}
"""What a person calls the stages of a condition, in the order in which they are shown."""

UNFINISHED = "missing_value"
"""Code of a change that lacks a value: nothing is wrong yet."""

NOISE = "null"
"""Stage of the null edits."""


@dataclass(frozen=True)
class ExperimentSection:
    """Components of the section."""

    panel: Panel
    status: Panel


@dataclass(frozen=True)
class Bench:
    """What a visitor has chosen for B.

    Attributes
    ----------
    edits, lesions : str
        In the languages of :mod:`extractors.edit_language` and :mod:`encoder.lesions`; as they were typed where they cannot be read.
    band : bool
        Whether null edits of A are run too, for its sensitivity to small changes.
    seq : int
        Number of the newest change that the browser has told.
    error : CineglassError or None
        Why they cannot.
    stamp : str
        A new one makes the browser forget what it had chosen; without it what was chosen there meanwhile stays.
    """

    edits: str = ""
    lesions: str = ""
    band: bool = True
    seq: int = 0
    error: CineglassError | None = None
    stamp: str = ""


@dataclass(frozen=True)
class Base:
    """What A is.

    Attributes
    ----------
    title : str
        Of the clip (may be hostile text); "" without a clip.
    has_video, has_audio, has_words : bool
    note : str
        What is to be known of it: that A is computed first, and why.
    why_not : str
        Why nothing can be compared; "" when it can.
    """

    title: str = ""
    has_video: bool = True
    has_audio: bool = True
    has_words: bool = True
    note: str = ""
    why_not: str = ""


def experiment_section(value: dict[str, Any]) -> ExperimentSection:
    """Build the section; ``value`` is that of :func:`experiment_value`."""
    with gr.Column(elem_classes="cp-section", elem_id="cp-experiment-section"):
        gr.HTML("<h2>2 Experiment</h2>", elem_classes="cp-section-title", apply_default_css=False)
        panel = Panel("experiment", value, sends=("choose", "compare", "stop", "open"), elem_id="cp-experiment")
        status = Panel("status", run.empty(), elem_id="cp-compare-status")
        Panel("experiment-more", {}, elem_id="cp-experiment-more")
    return ExperimentSection(panel, status)


def experiment_value(
    base: Base,
    bench: Bench,
    *,
    edits: Sequence[Edit] = (),
    lesions: Sequence[Lesion] = (),
    notes: Sequence[str] = (),
    plan: Sequence[Step] | None = None,
    n_null: int = 10,
    clips: Sequence[tuple[str, str]] = (),
    working: bool = False,
    band_left: bool = False,
) -> dict[str, Any]:
    """What the section shows.

    Parameters
    ----------
    base : Base
    bench : Bench
    edits, lesions : sequence
        What its texts say; empty where they cannot be read.
    notes : sequence of str
        One for each lesion: whether the model knew it in training.
    plan : sequence of Step, optional
        What comparing will compute; None while that is not known.
    n_null : int
        Null edits that the grey band takes.
    clips : sequence of (key, label)
        Where a sound track can be taken from.
    working : bool
        Whether a comparison is going on.
    band_left : bool
        Whether A and B of it are shown, and only the grey band is still to come.
    """
    policy = words_policy(edits)
    chosen = any(edit.name == "words" for edit in edits)
    return {
        "base": {"title": base.title, "note": base.note},
        "quick": list(QUICK),
        "menu": [_kind(kind, base, clips) for name, kind in EDITS.items() if name != "words"],
        "clips": [{"key": key, "label": label} for key, label in clips[:CLIP_MOST]],
        "edits": bench.edits,
        "lesions": bench.lesions,
        "chain": [{"name": edit.name, "values": dict(edit.values), "says": edit.says} for edit in edits if edit.name != "words"],
        "words": {
            "policy": policy,
            "chosen": chosen,
            "options": [
                {"key": key, "label": label, "says": says, "why_not": NO_SOUND if key == "hear" and not base.has_audio else ""}
                for key, (label, says) in READS.items()
            ],
        },
        "lost": [
            {
                "stream": lesion.stream,
                "kind": lesion.kind,
                "values": {param.name: getattr(lesion, param.name) for param in LESIONS[lesion.kind].params},
                "says": lesion.says,
                "note": note,
            }
            for lesion, note in zip(lesions, notes, strict=False)
        ],
        "lesions_menu": {
            "streams": [{"stream": stream, "label": PARTS[stream].capitalize(), "why_not": _no_stream(stream, base)} for stream in STREAMS],
            "kinds": [
                {"name": kind.name, "label": kind.label, "help": kind.help, "params": [_param(kind.name, one) for one in kind.params]}
                for kind in LESIONS.values()
            ],
        },
        "error": None if bench.error is None else {"code": bench.error.code, "message": bench.error.message, "hint": bench.error.hint},
        "band": _band(bench, plan, n_null),
        "plan": None if plan is None or bench.error is not None else plan_value(plan),
        "why_not": why_not(base, bench, changed=bool(edits or lesions)),
        "working": working,
        "band_left": band_left,
        "seq": bench.seq,
        "stamp": bench.stamp,
        "ready": ready_made(),
    }


def ready_made() -> list[dict[str, str]]:
    """Finished experiments that open without computing anything."""
    from experiments.ready_made import list_ready_made

    return [{"id": one.id, "title": one.title, "question": one.question} for one in list_ready_made()]


def why_not(base: Base, bench: Bench, *, changed: bool) -> str:
    """Why A and B cannot be compared now; "" when they can."""
    if not base.title:
        return "Choose a clip first: an example, or your own."
    if base.why_not:
        return base.why_not
    if bench.error is not None:
        return f"{bench.error.message} {bench.error.hint}" if bench.error.code == UNFINISHED else "B cannot be read yet."
    return "" if changed else "Nothing is changed yet, so B is A."


def plan_value(plan: Sequence[Step]) -> dict[str, Any]:
    """What will be recomputed and how long it takes: one line, and a row for each step. The null edits are priced apart."""
    steps = [step for step in plan if step.what != NOISE]
    seconds = sum(step.seconds for step in steps)
    kept = [PARTS.get(step.what, step.title.lower()) for step in steps if step.cached]
    summary = f"B takes {expected(seconds)}" if seconds else "B is known already"
    if kept:
        summary += f"; {_listed(kept)} from the cache"
    rows = [{"what": step.title, "cached": step.cached, "how": "from the cache" if step.cached else rounded(step.seconds)} for step in steps]
    return {"summary": summary, "rows": rows}


def _band(bench: Bench, plan: Sequence[Step] | None, n_null: int) -> dict[str, Any]:
    seconds = sum(step.seconds for step in plan or () if step.what == NOISE)
    price = f" Takes {expected(seconds)} more, once for this clip; A and B are shown before." if seconds else ""
    return {
        "on": bench.band,
        "label": "Sensitivity to small changes",
        "says": f"{n_null} small changes to A that should not matter show how much the model moves by itself.{price}",
    }


def _kind(kind: EditKind, base: Base, clips: Sequence[tuple[str, str]]) -> dict[str, Any]:
    group = "Words" if kind.name in ABOUT_WORDS else next(label for part, label in GROUPS.items() if part in kind.touches)
    return {
        "name": kind.name,
        "label": QUICK.get(kind.name, kind.label),
        "help": kind.help,
        "group": NULL_GROUP if kind.null else group,
        "params": [_param(kind.name, one) for one in kind.params],
        "why_not": _no_edit(kind, base, clips),
    }


def _param(kind: str, param: Param) -> dict[str, Any]:
    """One control; a number whose unit says what it is needs no name before it."""
    return {
        "name": param.name,
        "label": NAMES.get((kind, param.name), "" if param.unit and param.name not in ("start", "end") else param.name),
        "kind": param.kind,
        "default": param.default,
        "low": param.low,
        "high": param.high,
        "choices": list(param.choices),
        "unit": param.unit,
        "whole": param.whole,
    }


def _no_edit(kind: EditKind, base: Base, clips: Sequence[tuple[str, str]]) -> str:
    """Why an edit is not possible for this clip; "" when it is."""
    if any(param.kind == "clip" for param in kind.params) and not clips:
        return "there is no other clip here"
    tracks = {"picture": base.has_video, "sound": base.has_audio}
    needed = [track for track in tracks if track in kind.touches]
    if kind.name == "reverse" and not any(tracks.values()):
        return BACKWARDS
    unheard = kind.name == "remove" and base.has_words  # then they leave the transcript, and there is no sound to silence
    if needed and "time" not in kind.touches and not any(tracks[track] for track in needed) and not unheard:
        return f"this clip has no {' or '.join(needed)}"
    if set(kind.touches) == {"words"} and not base.has_words:
        return "this clip has no words"
    return ""


def _no_stream(stream: str, base: Base) -> str:
    there = {"audio": base.has_audio, "video": base.has_video, "text": base.has_words}[stream]
    return "" if there else f"This clip has no {PARTS[stream]}."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
