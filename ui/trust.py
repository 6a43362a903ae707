"""The Method and trust tab: what was computed, how far to believe it, and what is simulated, from the model's own card."""

from __future__ import annotations

from typing import Any

from encoder.cards import Card, PlantedRule, Recovery
from extractors.grid import TR
from ui.panel import Panel

DISPLAY = {
    "Vis": "Visual",
    "SomMot": "Somatomotor (holds auditory cortex)",
    "DorsAttn": "Dorsal attention",
    "SalVentAttn": "Salience / ventral attention",
    "Limbic": "Limbic (few parcels)",
    "Cont": "Control",
    "Default": "Default mode",
}


def trust_tab(card: Card | None) -> Panel:
    """Build the tab's content from the card of the model that the page runs."""
    return Panel("article", {"blocks": blocks(card)}, elem_id="cp-trust")


def blocks(card: Card | None) -> list[dict[str, Any]]:
    """Headings, paragraphs, lists and bars, as page.js draws them."""
    if card is None:
        return [{"p": "The model's card is missing, so nothing can be said about its numbers. The examples still show finished results."}]
    content: list[dict[str, Any]] = []
    if card.simulated:
        content += [
            {"p": "No brain was measured for what you see. The four subjects are simulated.", "strong": True},
            {
                "p": "The embedded model was trained on responses that a written, textbook-style rule produced for each of 1000 parcels: "
                "visual parcels follow motion and contrast, auditory parcels follow sound, language parcels follow words, each with a delay and "
                "noise of its own. It shows how such models behave. It is no evidence about any real brain."
            },
        ]
    content += [{"h": "What the model is"}, {"p": card.what}, {"h": "What it was trained on"}, {"p": card.trained_on}]
    if card.rules:
        content.append(_rule_table(card.rules))
    content += recovery_blocks(card.recovery)
    content += [
        {"h": "How well it predicts measured brains"},
        {"p": "Accuracy on measured brains: never tested." if card.accuracy.startswith("never tested") else card.accuracy},
    ]
    content += [
        {"h": "Where not to believe it"},
        {"ul": [*card.limits, *_READING]},
        {"h": "How a clip becomes these numbers"},
        {"ul": list(_METHOD)},
        {"h": "Model card"},
        {"dl": _facts(card)},
    ]
    return content


_READING = (
    "Values are relative: z against this parcel's own level in the training data. They cannot be compared between parcels as amounts.",
    "A network mean hides what its parcels do; the seven networks are labels of anatomy, not names of feelings or abilities.",
    "The first rows lack a full past and the last five follow the scoring rule of Algonauts 2025: both are hatched and left out of ranges and means.",
    "Under 30 valid TRs (about a minute of film) a curve is a sketch, nothing to test.",
    "One clip is one clip: what changes here need not change elsewhere.",
)

_METHOD = (
    "The file passes a gate in a process of its own and becomes one upright H.264 and AAC film; only that film is played and analysed.",
    f"Time is cut into TRs of {TR} s. A last partial TR is dropped. Row k stands for the middle of TR k.",
    "Words come from a speech recogniser on this machine, from your transcript, or are left out. A word belongs to the TR in which it ends.",
    "Picture: motion energy, luminance, contrast, colour, cuts. Sound: mel bands, loudness, change. "
    "Words: rate, length, frequency, surprisal, n-grams.",
    "One transformer of the published VIBE class predicts 1000 Schaefer parcels for all four subjects. The mean is the mean of the four predictions.",
    "Nothing leaves this machine.",
)


def recovery_blocks(recovery: tuple[Recovery, ...]) -> list[dict[str, Any]]:
    """Recovery against its ceiling, network by network; natural film first, because that is what visitors bring."""
    content: list[dict[str, Any]] = []
    for part in sorted(recovery, key=lambda item: item.id != "natural"):
        whole = part.all
        interval = f" (95 % interval {whole.interval[0]:.2f} to {whole.interval[1]:.2f})" if whole.interval else ""
        ridge = f" Delayed ridge on the same clips reaches {whole.ridge:.2f}." if whole.ridge is not None else ""
        content += [
            {"h": f"Recovery: {part.label[0].lower() + part.label[1:]}"},
            {
                "p": f"Planted and predicted responses correlate at r = {whole.r:.2f}{interval} over {part.valid_trs} valid TRs and {whole.parcels} "
                f"parcels; {whole.ceiling:.2f} is the most any model could reach, so this is {100 * whole.of_ceiling:.0f} % of it.{ridge}"
            },
            {
                "bars": [
                    {
                        "label": DISPLAY.get(name, name),
                        "value": figure.r,
                        "ceiling": figure.ceiling,
                        "baseline": figure.ridge,
                        "text": f"r {figure.r:.2f} of {figure.ceiling:.2f}",
                    }
                    for name, figure in part.networks.items()
                ],
                "caption": "Filled: recovery r. Outline: ceiling. Tick: delayed ridge. Recovery is about planted responses, not accuracy on brains.",
            },
        ]
        if part.clips:
            rows = [[clip.name, clip.source, str(clip.n_trs)] for clip in part.clips]
            content.append({"more": "The clips, and where they come from", "table": {"head": ["Clip", "From", "TRs"], "rows": rows}})
    return content


def _rule_table(rules: tuple[PlantedRule, ...]) -> dict[str, Any]:
    rows = [[rule.parcels, rule.follows, rule.source, rule.caveat] for rule in rules]
    return {"more": "Every rule of the simulated people, with its source", "table": {"head": ["Parcels", "Follow", "After", "But"], "rows": rows}}


def _facts(card: Card) -> list[tuple[str, str]]:
    facts = [
        ("Model", f"{card.title} ({card.id})"),
        ("Loss", card.loss),
        ("Offset and gain calibrated", card.calibrated),
        ("Needs", card.resources),
        ("Licence", card.licence),
        ("Weights (sha256)", card.weights_sha256),
        ("Cite", " ".join(card.citation)),
    ]
    if card.training is not None:
        facts.insert(2, ("Trained with", f"{card.training.command}, {card.training.seconds / 60:.0f} minutes"))
    return facts
