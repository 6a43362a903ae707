"""The Designs tab: a two-by-two design of the clip at hand, or a set of clips; what may be chosen, whether it can run, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from experiments.factorial import crossable
from experiments.sets import MOST_CLIPS, smallest_p
from extractors.edit_language import EDITS, edits_text, parse_edits
from extractors.errors import CineglassError, SelectionError
from ui import run
from ui.experiment import Base, Bench, experiment_value
from ui.panel import Panel

DESIGN, SET = "design", "set"
EDITS_OF_ONE, TWO_FILMS = "edits", "films"
ONE_CHANGE, TWO_LISTS = "change", "lists"
HERE = "here"
"""Key of the clip at hand."""

BEYOND = ("rewrite", "trim", "remove", "shift")
"""Edits that are about one clip's rows, and make no sense for a factor or a whole set."""
HOW = {"mute": "Mute the sound, and its words", "mute-read": "Mute the sound, words still read", "unread": "Take the words away"}

TEXT_MOST = 2000


@dataclass(frozen=True)
class DesignsTab:
    """Components of the tab."""

    form: Panel
    status: Panel
    result: Panel


@dataclass(frozen=True)
class Wanted:
    """What a visitor has chosen.

    Attributes
    ----------
    mode : {"design", "set"}
    cross : {"edits", "films"}
        A design of two edits of the clip at hand, or of two films.
    first, second : str
        The edits.
    one, other : str
        Keys of the two films.
    pairs : {"change", "lists"}
        A set whose B is an edit of A, or two lists.
    change : str
        That edit.
    clips, a, b : tuple of str
        Keys of the set's clips, and of the two lists.
    paired : bool
        Whether the lists belong together, first with first.
    seq : int
        Number of the newest choice that the browser has told.
    """

    mode: str = DESIGN
    cross: str = EDITS_OF_ONE
    first: str = "blank colour=black"
    second: str = "mute"
    one: str = HERE
    other: str = ""
    pairs: str = ONE_CHANGE
    change: str = "mute"
    clips: tuple[str, ...] = ()
    a: tuple[str, ...] = ()
    b: tuple[str, ...] = ()
    paired: bool = False
    seq: int = 0


def designs_tab(value: dict[str, Any]) -> DesignsTab:
    """Build the tab's content; ``value`` is that of :func:`designs_value`."""
    form = Panel("designs", value, sends=("choose", "start", "stop", "open"), elem_id="cp-designs")
    status = Panel("status", run.empty(), elem_id="cp-designs-status")
    return DesignsTab(form, status, Panel("design-result", {}, elem_id="cp-design-result"))


def wanted_of(said: Mapping[str, Any]) -> Wanted:
    """What the browser says was chosen; it may say anything."""
    usual = Wanted()

    def text(name: str) -> str:
        value = said.get(name)
        return value[:TEXT_MOST] if isinstance(value, str) else getattr(usual, name)

    def keys(name: str) -> tuple[str, ...]:
        value = said.get(name)
        return tuple(str(key)[:200] for key in value[: MOST_CLIPS + 1]) if isinstance(value, (list, tuple)) else ()

    def one_of(name: str, allowed: Iterable[str]) -> str:
        return said[name] if said.get(name) in allowed else getattr(usual, name)

    return Wanted(
        mode=one_of("mode", (DESIGN, SET)),
        cross=one_of("cross", (EDITS_OF_ONE, TWO_FILMS)),
        pairs=one_of("pairs", (ONE_CHANGE, TWO_LISTS)),
        paired=said.get("paired") is True,
        seq=said["seq"] if isinstance(said.get("seq"), int) else 0,
        **{name: text(name) for name in ("first", "second", "one", "other", "change")},
        **{name: keys(name) for name in ("clips", "a", "b")},
    )


def check(wanted: Wanted, base: Base, names: Mapping[str, str]) -> str:
    """Say what can be tested with this choice, before anything runs: "" for a design, the smallest p for a set.

    Parameters
    ----------
    wanted : Wanted
    base : Base
        The clip at hand.
    names : mapping of str to str
        Titles of the clips that can be chosen, by key.

    Raises
    ------
    CineglassError
        Why it cannot run, in words: the refusal of a set that is too small is :func:`experiments.sets.smallest_p`'s.
    """
    if base.why_not:
        raise SelectionError("not_ready", base.why_not, "")
    if wanted.mode == DESIGN and wanted.cross == EDITS_OF_ONE:
        if not base.title:
            raise SelectionError("no_clip", "Choose a clip first: an example, or your own.", "")
        crossable(wanted.first, wanted.second)
        return ""
    chosen = _keys(wanted)
    if missing := [key for key in chosen if key and key not in names]:
        raise SelectionError("gone", f"A clip that was chosen is not kept here any more ({len(missing)} in all).", "Choose again.")
    if wanted.mode == DESIGN:
        if not wanted.one or not wanted.other:
            raise SelectionError("no_clip", "Choose two clips.", "")
        if wanted.one == wanted.other:
            raise SelectionError("same_clip", "Both clips are the same one: there is nothing to cross.", "Choose another clip.")
        return ""
    return _check_set(wanted, names)


def _check_set(wanted: Wanted, names: Mapping[str, str]) -> str:
    if not _keys(wanted):
        raise SelectionError("no_clip", "Choose the clips of the set: six or more for pairs, four or more in each of two lists.", "")
    twice = [key for side in ((wanted.clips,) if wanted.pairs == ONE_CHANGE else (wanted.a, wanted.b)) for key in side if side.count(key) > 1]
    if twice:
        raise SelectionError("twice", f"{names[twice[0]]} is in a list twice, and a clip counts once.", "Take one of them out.")
    if wanted.pairs == ONE_CHANGE:
        if not edits_text(parse_edits(wanted.change)):
            raise SelectionError("nothing_changed", "Choose what is changed in every clip.", "")
        n = m = len(wanted.clips)
        paired = True
    else:
        n, m, paired = len(wanted.a), len(wanted.b), wanted.paired
        if set(wanted.a) & set(wanted.b):
            raise SelectionError("twice", f"{names[next(iter(set(wanted.a) & set(wanted.b)))]} is in both lists.", "Take it out of one of them.")
        if paired and n != m:
            raise SelectionError("unequal_sets", f"Pairs need as many clips in A as in B, but got {n} and {m}.", "Add the missing clips.")
    least = smallest_p(n, m, paired=paired)
    return f"{n} pairs of clips" + _reach(least) if paired else f"{n} and {m} clips" + _reach(least)


def factors_of(levels: Sequence[str]) -> tuple[str, str]:
    """Names of two factors: what of the film each changes where that tells them apart, else what it does."""
    touched = [set().union(*(edit.touches for edit in parse_edits(text) if edit.name != "words")) or {"words"} for text in levels]
    names = ["sound" if one == {"sound", "words"} else "-".join(sorted(one)) for one in touched]
    if names[0] == names[1]:
        names = [parse_edits(text)[0].kind.label.lower() for text in levels]
    return (names[0], names[1]) if names[0] != names[1] else ("first change", "second change")


def designs_value(
    base: Base,
    wanted: Wanted,
    *,
    clips: Sequence[tuple[str, str, str]] = (),
    cost: str = "",
    working: bool = False,
) -> dict[str, Any]:
    """What the form shows.

    Parameters
    ----------
    base : Base
        The clip at hand.
    wanted : Wanted
    clips : sequence of (key, title, where it comes from)
        What can be chosen for a set, or as the films of a design.
    cost : str
        How long it takes; "" while that is not known.
    working : bool
        Whether such a job of this visitor's is going on.
    """
    from experiments.ready_made import ready_made_designs

    refused, says = None, ""
    try:
        says = check(wanted, base, {HERE: base.title} | {key: title for key, title, _ in clips})
    except CineglassError as error:
        refused = f"{error.message} {error.hint}".strip()
    return {
        "title": base.title,
        "clips": [{"key": key, "title": title, "group": group} for key, title, group in clips],
        "changes": _changes(base, timeless=True),
        "set_changes": _changes(Base("a clip"), timeless=False),
        "usual": {"first": "blank", "second": "mute", "change": "mute"},
        "ready": [{"id": one.id, "title": one.title, "question": one.question} for one in ready_made_designs()],
        "why_not": refused or "",
        "says": says,
        "cost": "" if refused else cost,
        "working": working,
        "seq": wanted.seq,
    }


def result_value(facts: Mapping[str, Any], *, title: str, files: Sequence[dict[str, Any]], lines: Sequence[str] = ()) -> dict[str, Any]:
    """What came of a design or a set (:mod:`experiments.design_files`), its files, and for a ready-made one what was told and returned."""
    return {**facts, "title": title, "files": list(files), "lines": list(lines)}


def file_value(token: str, path: Path) -> dict[str, Any]:
    """A file of the shelf as the page lists it."""
    return {"name": path.name, "href": f"cineglass/exports/{token}/{path.name}", "size": path.stat().st_size}


def set_clips(wanted: Wanted) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keys of A and of B; B is empty where it is A with a change."""
    return (wanted.clips, ()) if wanted.pairs == ONE_CHANGE else (wanted.a, wanted.b)


def _keys(wanted: Wanted) -> tuple[str, ...]:
    if wanted.mode == DESIGN:
        return (wanted.one, wanted.other)
    return sum(set_clips(wanted), ())


def _reach(least: float) -> str:
    return f": the smallest p that can be reached is {least:.2g}."


def _changes(base: Base, *, timeless: bool) -> list[dict[str, Any]]:
    """Changes to choose from: those of section 2 that any clip can have, and two about words."""
    menu = experiment_value(replace(base, why_not=""), Bench())["menu"]
    listed = []
    for kind in menu:
        edit = EDITS[kind["name"]]
        if edit.null or edit.name in BEYOND or any(param["kind"] == "clip" for param in kind["params"]):
            continue
        if timeless and "time" in edit.touches and edit.name != "reverse":
            continue
        if timeless and edit.name == "reverse":
            kind = {
                **kind,
                "params": [{**one, "choices": [track for track in one["choices"] if track != "both"], "default": "sound"} for one in kind["params"]],
            }
        item = {"key": edit.name, "name": edit.name, "label": HOW.get(edit.name, kind["label"]), "params": kind["params"], "more": ""}
        listed.append(item | {"why_not": kind["why_not"]})
        if edit.name == "mute":
            listed.append({**listed[-1], "key": "mute-read", "label": HOW["mute-read"], "more": "words policy=keep"})
    no_words = "" if base.has_words else "this clip has no words"
    unread = {"key": "unread", "name": "words policy=drop", "label": HOW["unread"], "params": [], "more": "", "why_not": no_words}
    return [*listed, unread]
