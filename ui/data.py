"""The Data tab: every file of the result in the player, as ``cli.py predict`` writes them, and what can be made from it."""

from __future__ import annotations

from typing import Any

from ui.panel import Panel

GROUPS = (
    (
        "Predicted responses",
        (
            ("responses.npy", "float32 [subjects, TRs, 1000], z"),
            ("responses.json", "labels, units and where every number comes from"),
            ("networks.tsv", "seven networks and four groups, per subject and TR"),
        ),
    ),
    (
        "Network curves",
        (
            ("networks.png", "for a slide"),
            ("networks.svg", "for a paper"),
        ),
    ),
    (
        "Words",
        (
            ("transcript.tsv", "one row per TR, as in Algonauts 2025"),
            ("transcript.srt", "subtitles"),
            ("transcript.vtt", "subtitles for the web"),
            ("transcript.json", "words with onset and duration"),
        ),
    ),
)

SIMULATED = "SIMULATED: predictions for four simulated subjects, not for measured people. responses.json, networks.tsv and the figures say so too."

PREDICTED = "Predicted by a model for subjects 1, 2, 3 and 5; nobody was measured with this clip."


def data_tab(value: dict[str, Any]) -> Panel:
    """Build the tab's content; ``value`` is that of :func:`files_value`, empty without a result."""
    return Panel("files", value, elem_id="cp-files")


def files_value(place: str, *, simulated: bool, film: str | None = None, card: bool = False) -> dict[str, Any]:
    """What the tab shows.

    Parameters
    ----------
    place : str
        Address of the result's folder on this server, for example ``cineglass/examples/story``.
    simulated : bool
        Whether the files hold simulated subjects or predictions for measured people; said above them.
    film : str, optional
        Name of the film in that folder.
    card : bool
        Whether the model's card lies there too.
    """
    groups = [{"title": title, "files": [{"name": name, "note": note, "href": f"{place}/{name}"} for name, note in files]} for title, files in GROUPS]
    if film:
        groups.append({"title": "The clip", "files": [{"name": film, "note": "as it was played and analysed", "href": f"{place}/{film}"}]})
    if card:
        groups.append(
            {
                "title": "The model",
                "files": [{"name": "card.yaml", "note": "what made this, and how far to believe it", "href": f"{place}/card.yaml"}],
            }
        )
    return {"groups": groups, "mark": SIMULATED if simulated else PREDICTED, "simulated": simulated}
