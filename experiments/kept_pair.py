"""Two results that are there already become a comparison: nothing is computed, so there is no grey band of small changes."""

from __future__ import annotations

from experiments.comparison import Comparison
from experiments.conditions import called, time_map_between
from experiments.predict import Result
from extractors.errors import SelectionError


def pair(a: Result, b: Result, *, label_a: str, label_b: str) -> Comparison:
    """Put two finished results beside each other.

    Parameters
    ----------
    a, b : Result
        Of the same model and subjects.
    label_a, label_b : str
        What people call them; what was done to either is added, unless it is said there. "" for the film's name.

    Returns
    -------
    Comparison
        Paired row by row where both come from the same film and no edit moved one in time against the other.

    Raises
    ------
    SelectionError
        ``models_differ`` or ``conditions_differ``: then a difference would be one of models.
    """
    first, second = a.responses, b.responses
    if first.weights_sha256 != second.weights_sha256 or first.model_id != second.model_id:
        said = f"A was made by {first.model_title} and B by {second.model_title}, so what differs between them may be the model."
        raise SelectionError("models_differ", said, "Run both with the same model.")
    return Comparison(a, b, called(a, label_a), called(b, label_b), "", "", time_map_between(a, b), None)
