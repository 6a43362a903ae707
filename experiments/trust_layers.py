"""Trust in a result, as the player shows it: agreement of the subjects, recovery or accuracy and ceiling parcel by parcel, and the clip's domain.

Agreement is computed from the result; what it is held against comes from the model: planted for simulated subjects (:mod:`experiments.references`),
measured where the card has it, else nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.agreement import WINDOW_TRS, pairwise_agreement, sliding_agreement
from encoder.atlas import N_PARCELS
from encoder.curves import curve_ids, curve_means
from encoder.domain import ABOUT, sentences
from encoder.responses import SUBJECTS, Responses
from experiments.references import References, references_of
from extractors.grid import counting_rows
from viz.payload import RANGE_PERCENTILE, pack_layer, subject_id
from viz.trust import pack_trust

if TYPE_CHECKING:
    from encoder.cards import Card

WEAK = 0.2
"""Recovery and ceilings below it are drawn faded, as they count for nothing in the card's figures."""
INVENTED = "These differences were invented by the simulator."
LEARNED = "These differences are what one model learned of each person; nobody watched this clip in a scanner."
NO_CHANCE = "No chance line is drawn: with one film and one shared trunk, agreement is certain."
NO_REFERENCE = "Nothing to hold it against: the model's card has no measured inter-subject correlation."
CONSTANT = "Agreement is unknown where a curve does not change."

_NOTES = {
    "agreement": "Mean pairwise correlation of the subjects over the valid rows of this clip. One film and one shared trunk make agreement certain.",
    "planted": "Mean pairwise correlation of the planted responses, without noise, over {minutes:.0f} minutes of held-out generated film.",
    "recovery": "Correlation of planted and predicted responses over {minutes:.0f} minutes of held-out generated film. No accuracy.",
    "ceiling": "The most that any model could reach for this parcel: correlation of the planted response with and without its noise.",
    "accuracy": "Nobody has measured this model's accuracy parcel by parcel. Published figures are means over all parcels.",
}


_AGREEING = ("planted", "noisy", "predicted")


def layers(responses: Responses) -> list[dict[str, Any]]:
    """Maps of trust for the player (:func:`viz.payload.pack_layer`), in the order in which they are offered."""
    ids = [subject_id(label) for label in responses.subject_labels]
    references = _references(responses)
    found = []
    if len(ids) > 1:
        agreement = _quiet(pairwise_agreement, responses.values, counting_rows(responses.valid))
        note = _NOTES["agreement"]
        found.append(pack_layer(agreement, id="agreement", label=f"agreement of the {_count(ids)}", unit="mean pairwise r", range=1.0, note=note))
    if references is None:
        if not responses.simulated:
            unknown = np.full(N_PARCELS, np.nan)
            found.append(pack_layer(unknown, id="card-accuracy", label="accuracy", unit="r", range=1.0, note=_NOTES["accuracy"]))
        return found
    said = {name: note.format(minutes=references.minutes) for name, note in _NOTES.items()}
    found.append(pack_layer(references.planted, id="planted", label="planted agreement", unit="mean pairwise r", range=1.0, note=said["planted"]))
    top = float(np.ceil(10 * references.ceiling.max()) / 10)  # one range for both, so that they can be compared
    for name in ("recovery", "ceiling"):
        for id, subject in zip(ids, responses.subjects, strict=True):
            values = getattr(references, name)[SUBJECTS.index(subject)]
            found.append(pack_layer(values, id=f"{name}-{id}", label=name, unit="r", subject=id, range=top, fade=WEAK, note=said[name]))
    return found


def trust(responses: Responses, card: Card | None) -> dict[str, Any]:
    """What the Subjects tab is told (:func:`viz.trust.pack_trust`); ``card`` is that of the model that made the result."""
    told = {"domain": sentences(responses.extra), "about_domain": ABOUT if responses.extra.get("domain") else ""}
    if len(responses.subjects) < 2:
        return pack_trust(**told)
    curves = [name for name in curve_ids() if not name.endswith(("-L", "-R"))]
    chosen = [curve_ids().index(name) for name in curves]
    means = curve_means(responses.values)[:, :, chosen]
    rows = counting_rows(responses.valid)
    windows, centres = _quiet(sliding_agreement, means, rows)
    reference, label, about = _reference(responses, card, curves)
    rest = responses.values - responses.values.mean(0)
    agreement = _quiet(pairwise_agreement, means, rows)
    return pack_trust(
        agreement=dict(zip(curves, agreement.tolist(), strict=True)),
        windows=windows,
        centres=centres.tolist(),
        window_trs=WINDOW_TRS,
        reference=reference,
        reference_label=label,
        difference_range=max(0.01, float(np.percentile(np.abs(rest[:, rows]), RANGE_PERCENTILE))),
        said=[
            INVENTED if responses.simulated else LEARNED,
            f"Agreement is the mean correlation of all pairs of the {_count(responses.subjects)}, over the valid rows.",
            *about,
            NO_CHANCE,
            *([CONSTANT] if not np.isfinite(agreement).all() else []),
        ],
        **told,
    )


def _reference(responses: Responses, card: Card | None, curves: Sequence[str]) -> tuple[dict[str, float] | None, str, list[str]]:
    """What agreement is held against, its name, and sentences on it."""
    references = _references(responses)
    if references is not None:
        of = {name: {curve: float(getattr(references, f"{name}_curves")[curve_ids().index(curve)]) for curve in curves} for name in _AGREEING}
        planted, noisy, predicted = (np.mean(list(of[name].values())) for name in _AGREEING)
        about = (
            f"Planted: the same of the simulated subjects' own responses, without noise, within clips of held-out generated film "
            f"({references.minutes:.0f} valid minutes); {planted:.2f} on average. With their noise, as a scanner would record them, they agree at "
            f"{noisy:.2f}; the model's predictions for that film at {predicted:.2f}. Another film than yours: a guide, no target."
        )
        return of["planted"], "planted", [about]
    if card is not None and card.intersubject is not None:
        return dict(card.intersubject.curves), "measured", [f"Measured between people: {card.intersubject.source}"]
    return None, "", [NO_REFERENCE if not responses.simulated else "Nothing to hold it against: what was planted is not known for these weights."]


def _references(responses: Responses) -> References | None:
    return references_of(responses.model_id, responses.weights_sha256) if responses.simulated else None


def _quiet(statistic: Any, *arrays: np.ndarray) -> Any:
    """Correlations of constant series are unknown, which is no news."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return statistic(*arrays)


def _count(items: Sequence[Any]) -> str:
    return {2: "two", 3: "three", 4: "four"}.get(len(items), str(len(items)))
