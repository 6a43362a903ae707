"""The Export tab: what can be made from the result in the player, and the files that are ready, as ``cli.py predict`` writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from experiments.export import KINDS, Kind
from ui.panel import Panel
from viz.volumes import nifti_size

READY = (
    (
        "Every subject, ready",
        (
            ("responses.npy", "float32 [subjects, TRs, 1000], z"),
            ("responses.json", "labels, units and where every number comes from"),
            ("networks.tsv", "seven networks and four groups, per subject and TR"),
        ),
    ),
    (
        "Words, ready",
        (
            ("transcript.tsv", "one row per TR, as in Algonauts 2025"),
            ("transcript.srt", "subtitles"),
            ("transcript.vtt", "subtitles for the web"),
            ("transcript.json", "words with onset and duration"),
        ),
    ),
)

FIELDS = {
    "strip": (("rows", "TRs side by side", "TRs: six over the film, or 10, 14, 18"),),
    "contrast": (("rows", "TRs to take", "TRs to take, e.g. 20-29"), ("minus", "TRs to subtract", "minus TRs, e.g. 8-15")),
    "mean": (("rows", "TRs", "TRs: all valid, or 10-19, 25"),),
    "series": (("rows", "TRs", "TRs: all, or 10-39"),),
}
"""What a kind asks for: name, label, and what stands in the empty field."""

SIMULATED = "SIMULATED: predictions for four simulated subjects, not for measured people. Every file says so too."

PREDICTED = "Predicted by a model for subjects 1, 2, 3 and 5; nobody was measured with this clip."

MOST_MADE = 20
"""Exports that stay in the list."""


@dataclass(frozen=True)
class ExportTab:
    """Components of the tab."""

    kinds: Panel
    made: Panel


def export_tab(value: dict[str, Any]) -> ExportTab:
    """Build the tab's content; ``value`` is that of :func:`export_value`, empty without a result."""
    made = Panel("exported", {}, sends=("stop",), elem_id="cp-exported")
    kinds = Panel("export", value, sends=("make",), elem_id="cp-export")
    return ExportTab(kinds, made)


def export_value(place: str, *, simulated: bool, n_trs: int, film: str | None = None, card: bool = False) -> dict[str, Any]:
    """What the tab shows of a result.

    Parameters
    ----------
    place : str
        Address of the result's folder on this server, for example ``cineglass/examples/story``.
    simulated : bool
        Whether the files hold simulated subjects or predictions for measured people; said above them.
    n_trs : int
        Rows of the result.
    film : str, optional
        Name of the film in that folder.
    card : bool
        Whether the model's card lies there too.
    """
    groups = [{"title": title, "files": [{"name": name, "note": note, "href": f"{place}/{name}"} for name, note in files]} for title, files in READY]
    more = [{"name": film, "note": "as it was played and analysed", "href": f"{place}/{film}"}] if film else []
    if card:
        more.append({"name": "card.yaml", "note": "what made this, and how far to believe it", "href": f"{place}/card.yaml"})
    if more:
        groups.append({"title": "Clip and model, ready" if card else "The clip, ready", "files": more})
    titles = dict.fromkeys(kind.group for kind in KINDS)
    makers = [{"title": title, "items": _items([kind for kind in KINDS if kind.group == title], n_trs)} for title in titles]
    return {"makers": makers, "groups": groups, "mark": SIMULATED if simulated else PREDICTED, "simulated": simulated}


def _items(kinds: list[Kind], n_trs: int) -> list[dict[str, Any]]:
    """One line for what is the same in several formats: a button for each of them."""
    items: dict[str, dict[str, Any]] = {}
    for kind in kinds:
        what, _, form = kind.label.rpartition(", ")
        note = f"{kind.note}, about {_megabytes(nifti_size(n_trs))}" if kind.id == "nifti-4d" else kind.note
        fields = [{"name": name, "label": label, "placeholder": placeholder} for name, label, placeholder in FIELDS.get(_asks(kind), ())]
        items.setdefault(what, {"label": what, "note": note, "fields": fields, "forms": []})["forms"].append({"id": kind.id, "label": form})
    return list(items.values())


def _asks(kind: Kind) -> str:
    if "minus" in kind.takes:
        return "contrast"
    if "rows" not in kind.takes:
        return ""
    return "strip" if kind.id.startswith("strip") else "mean" if kind.id.endswith("mean") else "series"


def _megabytes(count: int) -> str:
    return f"{max(1, round(count / 1e6))} MB"
