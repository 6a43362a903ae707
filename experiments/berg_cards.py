"""Model cards as BERG's users read them: which models there are, and ``describe``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from encoder.checkpoints import MODELS
from experiments.berg_errors import ModelNotFoundError, berg_errors, did_you_mean

if TYPE_CHECKING:
    from encoder.cards import Card

INFO = ("modality", "training_dataset", "species", "stimuli", "model_type", "creator", "title", "simulated", "trained_on", "licence", "citation")


def cards() -> dict[str, tuple[Card, Path]]:
    """Card and folder of every model that the program knows, by id."""
    from encoder.cards import read_card

    with berg_errors():
        found = [(read_card(path), path.parent) for path in sorted(MODELS.glob("*/card.yaml"))]
    return {card.model_id: (card, folder) for card, folder in found}


def card_of(model_id: Any) -> tuple[Card, Path]:
    """Card and folder of a model; ModelNotFoundError with the ids that there are."""
    known = cards()
    if isinstance(model_id, str) and model_id in known:
        return known[model_id]
    hint = did_you_mean(str(model_id), known) or "Choose one of them; a folder or another repository goes into model_variant."
    raise ModelNotFoundError("unknown_model", f"Allowed model ids are {', '.join(known)}, but got {str(model_id)[:80]!r} instead.", hint)


def described(card: Card) -> dict[str, Any]:
    """A card as ``describe`` returns it.

    Returns
    -------
    dict
        ``model_id``, ``model_info``, ``description``, ``input``, ``output``, ``parameters``, ``parameters_by_function``, ``performance`` (of a
        simulated model its recovery, which is not an accuracy), ``example_usage``, ``limits``, ``references``.
    """
    plain = card.model_dump(mode="json", exclude_none=True)
    functions: dict[str, dict[str, Any]] = {}
    for name, parameter in card.parameters.items():
        for function in parameter.functions:
            functions.setdefault(function, {})[name] = plain["parameters"][name]
    performance = {"accuracy": card.accuracy, **plain.get("performance", {})}
    if card.recovery:
        performance["recovery"] = plain["recovery"]
    return {
        "model_id": card.model_id,
        "model_info": {name: plain[name] for name in INFO},
        "description": card.description,
        "input": plain["input"],
        "output": plain["output"],
        "parameters": plain["parameters"],
        "parameters_by_function": functions,
        "performance": performance,
        "example_usage": _example(card),
        "limits": list(card.limits),
        "references": plain["references"],
    }


def as_text(facts: dict[str, Any]) -> str:
    """What :func:`described` returns, for reading."""
    info = facts["model_info"]
    lines = [facts["model_id"], "=" * len(facts["model_id"]), facts["description"], ""]
    if info["simulated"]:
        lines[0] += "   SIMULATED"
    lines += [f"{name.replace('_', ' ')}: {'; '.join(value) if isinstance(value, list) else value}" for name, value in info.items()]
    for part in ("input", "output"):
        lines += ["", f"{part}: {facts[part]['type']} {facts[part]['shape']}", f"  {facts[part]['description']}"]
    for function, parameters in facts["parameters_by_function"].items():
        lines += ["", f"{function}:"]
        for name, parameter in parameters.items():
            values = f" out of {parameter['valid_values']}" if "valid_values" in parameter else ""
            lines.append(f"  {name} ({parameter['type']}{values}, default {parameter.get('default')}): {parameter['description']}")
    lines += ["", f"accuracy: {facts['performance']['accuracy']}", "", "limits:", *(f"  {limit}" for limit in facts["limits"])]
    return "\n".join([*lines, "", "example:", *(f"  {line}" for line in facts["example_usage"].splitlines())])


def _example(card: Card) -> str:
    return f'''from experiments.berg import BERG

berg = BERG()
model = berg.get_encoding_model("{card.model_id}", subject=1, selection={{"roi": ["Vis"]}})
responses, metadata = berg.encode(model, transcripts, video_path="film.mp4", return_metadata=True)
model.generate_glass_brain_animation(responses=responses, out_path="brain_activation.gif")
'''
