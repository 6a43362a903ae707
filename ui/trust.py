"""The Method and trust tab: what was computed, how far to believe it, and what is simulated, from the model's own card."""

from __future__ import annotations

from typing import Any

from encoder.cards import Card, PlantedRule, Recovery
from encoder.domain import ABOUT, sentences
from encoder.responses import Responses
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


def trust_tab(value: dict[str, Any]) -> Panel:
    """Build the tab's content; ``value`` is that of :func:`trust_value`."""
    return Panel("article", value, elem_id="cp-trust")


def trust_value(card: Card | None, responses: Responses | None = None) -> dict[str, Any]:
    """What the tab shows.

    Parameters
    ----------
    card : Card or None
        Of the model that made the result in the player; None when it is missing.
    responses : Responses, optional
        That result, for what is known of this one run.
    """
    return {"blocks": blocks(card, responses)}


def blocks(card: Card | None, responses: Responses | None = None) -> list[dict[str, Any]]:
    """Headings, paragraphs, lists and bars, as page.js draws them."""
    made = _made(responses)
    if card is None:
        who = f"The card of {responses.model_title} is missing" if responses is not None else "The model's card is missing"
        return [{"p": f"{who}, so nothing can be said about its numbers. The examples still show finished results."}, *made]
    content: list[dict[str, Any]] = list(_SIMULATED if card.simulated else _PUBLISHED)
    content += [{"h": "What the model is"}, {"p": card.what}, {"h": "What it was trained on"}, {"p": _sentence(card.trained_on)}]
    if card.rules:
        content.append(_rule_table(card.rules))
    content += recovery_blocks(card.recovery)
    content += [
        {"h": "How well it predicts measured brains"},
        {"p": "Accuracy on measured brains: never tested." if card.accuracy.startswith("never tested") else _sentence(card.accuracy)},
        *_metrics(card),
        {"p": _CALIBRATED[card.calibrated]},
        {"h": "Where not to believe it"},
        {"ul": [*card.limits, *_READING]},
        *_domain(responses),
        {"h": "How a clip becomes these numbers"},
        {"ul": [*_BEFORE, *(_CLASSICAL if card.simulated else _BACKBONES), *([_AVERAGED] if "+" in card.id else []), *_AFTER]},
        *made,
        {"h": "Model card"},
        {"dl": _facts(card, responses)},
        {"more": "References", "table": {"head": ["What", "Where"], "rows": [list(pair) for one in card.references for pair in one.items()]}},
    ]
    return content


_SIMULATED = (
    {"p": "No brain was measured for what you see. The four subjects are simulated.", "strong": True},
    {
        "p": "The embedded model was trained on responses that a written, textbook-style rule produced for each of 1000 parcels: "
        "visual parcels follow motion and contrast, auditory parcels follow sound, language parcels follow words, each with a delay and "
        "noise of its own. It shows how such models behave. It is no evidence about any real brain."
    },
)

_PUBLISHED = (
    {"p": "Predicted, not measured: nobody watched this clip in a scanner.", "strong": True},
    {
        "p": "What you see is a model's guess at how the people it was trained on would respond to this clip. In the published models these are "
        "subjects 1, 2, 3 and 5 of CNeuroMod."
    },
)

_CALIBRATED = {
    "yes": "Offset and gain are calibrated: a difference of means in z may be read as a size, in units of the training data.",
    "no": "Offset and gain are not calibrated: a difference of means in z is not to be read as a size.",
    "unknown": "Whether offset and gain are calibrated is unknown: a difference of means in z is not to be read as a size.",
}

_READING = (
    "Values are relative: z against this parcel's own level in the training data. They cannot be compared between parcels as amounts.",
    "A network mean hides what its parcels do; the seven networks are labels of anatomy, not names of feelings or abilities.",
    "The first rows lack a full past and the last five follow the scoring rule of Algonauts 2025: both are hatched and left out of ranges and means.",
    "Under 30 valid TRs (about a minute of film) a curve is a sketch, nothing to test.",
    "One clip is one clip: what changes here need not change elsewhere.",
)

_BEFORE = (
    "The file passes a gate in a process of its own and becomes one upright H.264 and AAC film; only that film is played and analysed.",
    f"Time is cut into TRs of {TR} s. A last partial TR is dropped. Row k stands for the middle of TR k.",
    "Words come from a speech recogniser on this machine, from your transcript, or are left out. A word belongs to the TR in which it ends.",
)

_CLASSICAL = (
    "Picture: motion energy, luminance, contrast, colour, cuts. Sound: mel bands, loudness, change. "
    "Words: rate, length, frequency, surprisal, n-grams.",
    "One transformer of the published VIBE class predicts 1000 Schaefer parcels for all four simulated subjects.",
)

_BACKBONES = (
    "Picture: a pretrained video network looks back over a window of film at the end of every TR (16 s in the published model). "
    "Sound: a pretrained sound network hears the last 10.24 s. Words: a language model reads the whole transcript in one pass.",
    "One transformer predicts 1000 Schaefer parcels for all four subjects. The weights are used as they came; nothing was trained here.",
)

_AVERAGED = "Every checkpoint does so by itself, from the same streams; the curves are their mean, the band is one standard deviation between them."

_AFTER = (
    "The mean is the mean of the four predictions.",
    "Nothing of your clip leaves the machine that runs this page.",
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


def _metrics(card: Card) -> list[dict[str, Any]]:
    """Published figures, each with what exactly it is the figure of."""
    if card.performance is None or not card.performance.metrics:
        return []
    rows = [[metric.name, str(metric.value), metric.description] for metric in card.performance.metrics]
    return [{"table": {"head": ["Tested on", "r", "What it is"], "rows": rows}}]


def _domain(responses: Responses | None) -> list[dict[str, Any]]:
    """Whether this clip is like the training clips."""
    if responses is None:
        return []
    known = [{"p": ABOUT}] if responses.extra.get("domain") else []
    return [{"h": "Is this clip like the training clips?"}, {"ul": list(sentences(responses.extra))}, *known]


def _made(responses: Responses | None) -> list[dict[str, Any]]:
    """What is known of the run that made this result."""
    if responses is None:
        return []
    facts = [(_STREAM_NAMES.get(stream, stream), id) for stream, id in responses.extractor_ids.items() if responses.present.get(stream)]
    made = responses.extra.get("made")
    if isinstance(made, dict) and made.get("date"):
        facts.append(("Made", f"{str(made['date'])[:10]}, before this visit; it plays here without the model"))
    before = responses.extra.get("fallen_back")
    if isinstance(before, list) and before:
        facts.append(("Memory ran short", f"A smaller plan was taken. The first was: {before[0]}"))
    content = [{"h": "How this result was made"}, {"dl": facts}] if facts else []
    return content + ([{"ul": [str(warning) for warning in responses.warnings]}] if responses.warnings else [])


_STREAM_NAMES = {"audio": "Sound", "text": "Words", "video": "Picture"}


def _facts(card: Card, responses: Responses | None) -> list[tuple[str, str]]:
    weights = responses.weights_sha256 if responses is not None else card.weights_sha256
    facts = [
        ("Model", _named(card)),
        ("Loss", _known(card.loss)),
        ("Offset and gain calibrated", card.calibrated),
        ("Needs", card.resources),
        ("Licence", _known(card.licence)),
        ("Weights (sha256)", weights or "not stated"),
        ("Cite", " ".join(card.citation)),
    ]
    if card.training is not None:
        facts.insert(2, ("Trained with", f"{card.training.command}, {card.training.seconds / 60:.0f} minutes"))
    return facts


def _named(card: Card) -> str:
    """Title and id, for an ensemble the ids of its members."""
    if "+" in card.id:
        return f"{card.title}: {card.id.replace('+', ' + ')}"
    return card.title if card.id in card.title else f"{card.title} ({card.id})"


def _sentence(text: str) -> str:
    """A card's phrase as a paragraph."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?', '!', '.)')) else '.'}"


def _known(text: str) -> str:
    """A card's phrase in a table: why something is unknown was said above."""
    return "unknown" if text.startswith("unknown:") else text
