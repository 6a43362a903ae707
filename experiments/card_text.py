"""A model card, and how well its model returns what was planted, for reading in a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from encoder.cards import Card, Property

WIDTH = 110


def card_lines(card: Card) -> list[str]:
    """The whole card in plain lines; what was planted and recovered only in its totals, as ``cli.py recovery`` has the table."""
    name = card.title if card.id in card.title else f"{card.title} ({card.id})"
    lines = [f"{name}{'   SIMULATED' if card.simulated else ''}", "", *_wrapped(card.description), ""]
    facts = {
        "Modality": card.modality,
        "Training data": card.training_dataset,
        "Species": card.species,
        "Stimuli": card.stimuli,
        "Model type": card.model_type,
        "Creator": card.creator,
        "Badge": card.badge,
        "Trained on": card.trained_on,
        "Loss": card.loss,
        "Offset and gain calibrated": card.calibrated,
        "Usual SD of a prediction (z)": f"{card.usual_sd:g}",
        "Accuracy": card.accuracy,
        "Needs": card.resources,
        "Licence": card.licence,
        "Weights (sha256)": card.weights_sha256 or "not pinned by this card",
    }
    if card.training is not None:
        facts["Trained with"] = f"{card.training.command}, {card.training.seconds / 60:.0f} minutes"
    for name, value in facts.items():
        lines += _wrapped(f"{name}: {value}", indent="  ")
    lines += _listed("Where not to believe it", card.limits)
    if card.performance is not None:
        lines += _listed("Figures", (f"{metric.name}: {metric.value}. {metric.description}" for metric in card.performance.metrics))
    lines += _listed(
        "Recovery of planted responses (no accuracy)",
        (f"{part.label}: r = {part.all.r:.3f}, the most possible {part.all.ceiling:.3f}; {part.valid_trs} valid TRs" for part in card.recovery),
    )
    lines += _listed("Rules of the simulated people", (f"{rule.parcels}: {rule.follows}. {rule.source}. But: {rule.caveat}" for rule in card.rules))
    for name, part in (("Input", card.input), ("Output", card.output)):
        lines += _listed(f"{name}: {part.type} [{', '.join(map(str, part.shape))}]", [part.description])
    lines += _listed("Input, constraints", card.input.constraints)
    lines += _listed("Output, dimensions", (f"{axis.name}: {axis.description}" for axis in card.output.dimensions))
    for name, parameter in card.parameters.items():
        lines += _listed(f"{name} ({parameter.function})", [_parameter(parameter)])
        for key, part in (parameter.properties or {}).items():
            lines += _wrapped(f"{key}: {_parameter(part)}", indent="    ")
    lines += _listed("Metadata", [card.metadata] if card.metadata else [])
    lines += _listed("Methods", (f"{name}: {method.description}" for name, method in card.methods.items()))
    lines += _listed("File formats", [", ".join(card.supported_formats)] if card.supported_formats else [])
    lines += _listed("Downloads, about", (f"{name}: {count / 1e9:.1f} GB" for name, count in card.downloads.items()))
    lines += _listed("Cite", card.citation)
    return lines + _listed("References", (f"{label}: {address}" for entry in card.references for label, address in entry.items()))


def recovery_lines(card: Card) -> list[str]:
    """How well a simulated model returns what was planted, a table for each measured part."""
    lines = [f"{card.title} ({card.id}). Accuracy on measured brains: {card.accuracy}."]
    for part in card.recovery:
        lines += ["", f"{part.label}: {part.valid_trs} valid TRs of {len(part.clips)} clips"]
        lines.append("parcels\tn\tr\tinterval\tceiling\tof ceiling\tridge\tslope")
        for name, figure in {"all": part.all, **part.networks, **part.groups}.items():
            interval = f"{figure.interval[0]:.3f} to {figure.interval[1]:.3f}" if figure.interval else ""
            ridge, slope = (f"{value:.3f}" if value is not None else "" for value in (figure.ridge, figure.slope))
            numbers = f"{figure.r:.3f}\t{interval}\t{figure.ceiling:.3f}\t{figure.of_ceiling:.3f}\t{ridge}\t{slope}"
            lines.append(f"{name}\t{figure.parcels}\t{numbers}")
    return lines


def _parameter(parameter: Property) -> str:
    said = [parameter.type]
    if parameter.valid_values is not None:
        said.append(f"out of {', '.join(map(str, parameter.valid_values))}")
    if parameter.required:
        said.append("required")
    elif parameter.default is not None:
        said.append(f"default {parameter.default}")
    return f"{parameter.description} [{'; '.join(said)}]"


def _listed(title: str, items: Iterable[str]) -> list[str]:
    found = [line for item in items for line in _wrapped(item, indent="  ")]
    return ["", title, *found] if found else []


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent + ("  " if indent else ""), break_long_words=False, break_on_hyphens=False
    )
