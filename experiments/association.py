"""Whether A and B go together: the association of two time courses of one clip, with a p from circular shifts.

The only p-value of a single clip, and it is none of the difference between A and B: :mod:`experiments.findings` holds those sizes, without p.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.association import GUARD_TRS, Association, circular_shift
from analysis.calibration import caption_for
from encoder.curves import curve_ids
from experiments.findings import kind_of, label_of, subject_names
from extractors.errors import SelectionError

if TYPE_CHECKING:
    import pandas

    from experiments.comparison import Comparison

COLUMNS = {
    "curve": "id of the network or group; -L and -R are its halves",
    "label": "its name",
    "kind": "network, or group (not a Yeo network)",
    "r": "correlation of A with B over the TRs that count",
    "p": "share of the shifts, the unshifted pair among them, whose absolute correlation is as large: association of A with B, not their difference",
    "n_shifts": "distinct circular shifts of two TRs or more",
    "smallest_p": "smallest p that so many shifts can reach",
    "rows": "TRs that count",
}
"""Columns of :func:`association_frame` beside the subject."""

ABOUT = (
    "This asks whether two time courses of this one clip rise and fall together more closely than when one is shifted against the other in time; "
    "it does not test the difference between A and B, and says nothing of other films or people. A and B come from one film and one model, so a "
    "small p is what to expect, and no finding."
)


def association(comparison: Comparison, subject: int | None = None) -> Association:
    """Correlation of A with B, and its rank among all circular shifts of B by two TRs or more either way.

    Parameters
    ----------
    comparison : Comparison
        Of paired conditions.
    subject : int or None
        None is the mean of the subjects.

    Returns
    -------
    analysis.association.Association
        ``r`` and ``p`` are float64 [curves], in the order of :func:`encoder.curves.curve_ids`; nan where A or B is flat.

    Raises
    ------
    SelectionError
        ``not_paired`` where row k of A and of B stand for different moments; for a subject that is not there.
    StatisticsError
        When the rows that count are too few to be shifted, or no unbroken run.
    """
    if not comparison.paired:
        said = "A and B do not belong together TR by TR, so nothing can be said of whether they go together."
        raise SelectionError("not_paired", said, "Compare their means, or the same scene in both.")
    place = comparison.place(subject)
    a, b = (curves[place] for curves in comparison.curves)
    return circular_shift(a, b, comparison.valid)


def associations(comparison: Comparison, subject: int | None = None) -> list[dict[str, Any]]:
    """:func:`association` with a dict for each curve: the keys of :data:`COLUMNS`, None where a number does not exist."""
    found = association(comparison, subject)
    alike = {"n_shifts": found.n_shifts, "smallest_p": found.smallest_p, "rows": int(comparison.valid.sum())}
    rows = []
    for curve, r, p in zip(curve_ids(), found.r, found.p, strict=True):
        known = bool(np.isfinite(r))
        about = {"curve": curve, "label": label_of(curve), "kind": kind_of(curve)}
        rows.append({**about, "r": float(r) if known else None, "p": float(p) if known else None, **alike})
    return rows


def association_frame(comparison: Comparison) -> pandas.DataFrame:
    """:func:`associations` of every subject and of their mean in one labelled table: a row for each subject and curve (:data:`COLUMNS`)."""
    import pandas

    rows = [{"subject": name, **row} for subject, name in subject_names(comparison).items() for row in associations(comparison, subject)]
    found = pandas.DataFrame(rows, columns=["subject", *COLUMNS]).astype({"r": float, "p": float})
    found.attrs.update(about=ABOUT, simulated=comparison.a.responses.simulated, model=comparison.a.responses.model_id, columns=dict(COLUMNS))
    return found.set_index(["subject", "curve"])


def association_notes(comparison: Comparison) -> tuple[str, ...]:
    """What the p is and is not, the smallest that can be reached, and where simulations found it off."""
    found, rows = association(comparison), int(comparison.valid.sum())
    full = (comparison.a.responses.valid & comparison.b.responses.valid).any()
    early = "" if full else "No TR of this clip rests on a full past, so all of them are taken, and the p is shaky."
    smallest = f"{found.smallest_p:.3f}" if found.smallest_p >= 0.001 else f"{found.smallest_p:.2g}"
    reach = (
        f"{rows} TRs that count allow {found.n_shifts} shifts of {GUARD_TRS} TRs or more: the smallest p that {found.n_shifts} shifts can reach is "
        f"{smallest}. Every p stands for its curve alone; none is corrected for their number."
    )
    return tuple(text for text in (ABOUT, early, reach, caption_for("circular_shift", rows)) if text)
