"""What a comparison found, curve by curve: a table, and one sentence for each network and group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.agreement import pairwise_agreement
from analysis.calibration import caption_for
from analysis.contrasts import INTERVAL_LABEL, beyond, change, interval, spectra
from encoder.atlas import NETWORK_NAMES, load_atlas
from encoder.curves import curve_ids, curve_masks
from extractors.errors import StatisticsError
from extractors.grid import TR, counting_rows

if TYPE_CHECKING:
    import pandas

    from experiments.comparison import Comparison

SLOWEST_HZ, FASTEST_HZ = 0.01, 0.15
"""Where a haemodynamic response lets power through."""
SMALL = 0.005
"""A change that rounds to 0 % is called none."""
STILL = 0.1
"""A curve whose SD is under this share of the liveliest curve's hardly moves: a share of next to nothing is not worth a sentence."""

COLUMNS = {
    "curve": "id of the network or group; -L and -R are its halves",
    "label": "its name",
    "kind": "network, or group (not a Yeo network)",
    "n": "parcels",
    "r": "correlation of A with B over the valid rows",
    "change": "SD of A - B over SD of A",
    "sd_a": "SD of A over the valid rows, z",
    "apart": "SD of A - B over the valid rows, z",
    "low": "lower end of the interval of change: variation over time within this clip, no confidence interval",
    "high": "its upper end",
    "difference": "mean of A - B, z",
    "difference_low": "lower end of its interval",
    "difference_high": "its upper end",
    "null_change": "change of the null edit that changes most",
    "null_difference": "largest absolute mean difference of a null edit, z",
    "outside": "whether change (of unpaired conditions: difference) is larger than that of every null edit",
    "power": "power of B over power of A, 0.01 to 0.15 Hz, of conditions that are not paired",
    "between_members": "SD between checkpoints of the mean of A - B, z",
    "agreement_a": "mean correlation between subjects in A",
    "agreement_b": "the same in B",
    "calibrated": "whether a mean difference may be read as a size",
}
"""Columns of :func:`frame`; the rows of :func:`table` hold those that exist."""


def table(comparison: Comparison, subject: int | None) -> list[dict[str, Any]]:
    """Sizes of what changed, a row for each curve (:func:`encoder.curves.curve_ids`).

    Parameters
    ----------
    comparison : Comparison
    subject : int or None
        None is the mean of the subjects.

    Returns
    -------
    list of dict
        With the keys of :data:`COLUMNS`; None where a number does not exist: ``r`` and ``change`` of conditions that are not paired, the null
        edits' where there are none.
    """
    place = comparison.place(subject)
    ids, masks = curve_ids(), curve_masks()
    sizes = _paired(comparison, place) if comparison.paired else _apart(comparison, place)
    between = _between_members(comparison, subject)
    agreement = [_agreement(result) for result in (comparison.a, comparison.b)]
    rows = []
    for number, curve in enumerate(ids):
        rows.append(
            {
                **dict.fromkeys(COLUMNS),
                "curve": curve,
                "label": label_of(curve),
                "kind": kind_of(curve),
                "n": int(masks[curve].sum()),
                **{key: _plain(values[number]) for key, values in sizes.items()},
                "between_members": None if between is None else _plain(between[number]),
                "agreement_a": None if agreement[0] is None else _plain(agreement[0][number]),
                "agreement_b": None if agreement[1] is None else _plain(agreement[1][number]),
                "calibrated": comparison.calibrated,
            }
        )
    return rows


def label_of(curve: str) -> str:
    """A curve's name for people: "Visual", "Visual, left"."""
    atlas = load_atlas()
    name, _, side = curve.partition("-")
    plain = atlas.display_names[name] if name in NETWORK_NAMES else atlas.group(name).label
    return f"{plain}, {'left' if side == 'L' else 'right'}" if side else plain


def kind_of(curve: str) -> str:
    """ "network", or "group": not a Yeo network."""
    return "network" if curve.partition("-")[0] in NETWORK_NAMES else "group"


def subject_names(comparison: Comparison) -> dict[int | None, str]:
    """What tables call the subjects, and their mean under None."""
    responses = comparison.a.responses
    return {**dict(zip(responses.subjects, responses.subject_labels, strict=True)), None: "mean"}


def frame(comparison: Comparison) -> pandas.DataFrame:
    """:func:`table` of every subject and of their mean in one labelled table, a row for each subject and curve."""
    import pandas

    responses = comparison.a.responses
    names = subject_names(comparison)
    rows = [{"subject": names[subject], **row} for subject, one in comparison.tables.items() for row in one]
    found = pandas.DataFrame(rows, columns=["subject", *COLUMNS])
    about = {"a": comparison.label_a, "b": comparison.label_b, "edits": comparison.edits, "lesions": comparison.lesions}
    found.attrs.update(about, paired=comparison.paired, why=comparison.why, simulated=responses.simulated, model=responses.model_id)
    found.attrs["columns"] = dict(COLUMNS)
    return found.set_index(["subject", "curve"])


def sentences(comparison: Comparison, subject: int | None) -> list[dict[str, str]]:
    """What changed, one sentence for each network and each group, the largest SD of A - B in z first.

    Of a model that is not calibrated, z is no size: paired conditions are ordered by the share of each curve's own SD that changed, what hardly
    moves last, and others stand in the order of the networks.

    Returns
    -------
    list of dict
        ``curve``, ``label``, ``text``.
    """
    rows = [row for row in comparison.tables[subject] if row["curve"] in _whole()]
    liveliest = max((row["sd_a"] or 0.0 for row in rows), default=0.0)
    if comparison.calibrated == "yes":
        key = "apart" if comparison.paired else "difference"
        rows.sort(key=lambda row: -abs(row[key] or 0.0))
    elif comparison.paired:
        rows.sort(key=lambda row: ((row["sd_a"] or 0.0) < STILL * liveliest, -(row["change"] or 0.0)))
    n = 0 if comparison.null is None else len(comparison.null.edits)
    texts = [
        _sentence_paired(row, n, comparison.calibrated, liveliest) if comparison.paired else _sentence_apart(row, n, comparison.calibrated)
        for row in rows
    ]
    return [{"curve": row["curve"], "label": row["label"], "text": text} for row, text in zip(rows, texts, strict=True)]


def captions(comparison: Comparison) -> tuple[str, ...]:
    """What must stand under the numbers of paired conditions: what the interval is, and where simulations found it off."""
    if not comparison.paired:
        return ()
    rows = int(comparison.valid.sum())
    label = f"Intervals: {INTERVAL_LABEL} ({rows} TRs that count), no confidence interval over films or people."
    return tuple(text for text in (label, caption_for("interval change", rows)) if text)


def _whole() -> tuple[str, ...]:
    return tuple(curve for curve in curve_ids() if "-" not in curve)


def _paired(comparison: Comparison, place: int) -> dict[str, np.ndarray]:
    a, b = (curves[place] for curves in comparison.curves)
    valid = comparison.valid
    size = change(a, b, valid)
    low, high = interval(a, b, valid, statistic="change", seed=comparison.seed)
    difference_low, difference_high = interval(a, b, valid, statistic="difference", seed=comparison.seed)
    found = {
        "r": size["r"],
        "change": size["change"],
        "sd_a": size["sd_a"],
        "apart": np.where(size["sd_a"] > 0, size["change"] * size["sd_a"], (a - b)[valid].std(0)),
        "low": low,
        "high": high,
        "difference": size["difference"],
        "difference_low": difference_low,
        "difference_high": difference_high,
    }
    if comparison.null is not None:
        moved = [change(a, a - one[place], valid) for one in comparison.null.differences]
        among = beyond(size["change"], np.stack([one["change"] for one in moved]))
        apart = beyond(size["difference"], np.stack([one["difference"] for one in moved]))
        found |= {"null_change": among.largest, "null_difference": apart.largest, "outside": among.outside}
    return found


def _apart(comparison: Comparison, place: int) -> dict[str, np.ndarray]:
    """Of conditions whose rows do not belong together: means only."""
    a, b = (curves[place] for curves in comparison.curves)
    rows_a, rows_b = (counting_rows(result.responses.valid) for result in (comparison.a, comparison.b))
    difference = a[rows_a].astype(np.float64).mean(0) - b[rows_b].astype(np.float64).mean(0)
    found = {"difference": difference, "power": _power(a, b, comparison)}
    if comparison.null is not None:
        moved = comparison.null.differences[:, place][:, rows_a].mean(1)
        apart = beyond(difference, moved)
        found |= {"null_difference": apart.largest, "outside": apart.outside}
    return found


def _power(a: np.ndarray, b: np.ndarray, comparison: Comparison) -> np.ndarray:
    """Power of B over that of A where responses have any; nan where either is too short for a spectrum."""
    valid_a, valid_b = comparison.a.responses.valid, comparison.b.responses.valid
    try:
        frequencies, power_a, power_b = spectra(a, b, valid_a, valid_b, tr=TR)
    except StatisticsError:
        return np.full(a.shape[1], np.nan)
    inside = (frequencies >= SLOWEST_HZ) & (frequencies <= FASTEST_HZ)
    with np.errstate(divide="ignore", invalid="ignore"):
        return power_b[inside].sum(0) / power_a[inside].sum(0)


def _between_members(comparison: Comparison, subject: int | None) -> np.ndarray | None:
    """SD between checkpoints of each curve's mean difference; None without an ensemble, or where A and B come from different ones."""
    a, b = comparison.a.responses, comparison.b.responses
    if not a.members or a.members != b.members:
        return None
    means = []
    for responses in (a, b):
        rows = counting_rows(responses.valid)
        curves = responses.member_curves[:, :, rows].mean(2)  # [members, S, curves]
        means.append(curves.mean(1) if subject is None else curves[:, comparison.place(subject)])
    return (means[0] - means[1]).std(0, ddof=1)


def _agreement(result: Any) -> np.ndarray | None:
    from encoder.curves import curve_means

    responses = result.responses
    if len(responses.subjects) < 2:
        return None
    return pairwise_agreement(curve_means(responses.values), counting_rows(responses.valid))


def _sentence_paired(row: dict[str, Any], n: int, calibrated: str, liveliest: float) -> str:
    """One sentence on a curve of paired conditions."""
    size = row["change"]
    if size is None or row["sd_a"] < STILL * liveliest:
        if max(row["apart"], row["sd_a"]) < STILL * liveliest:
            return "It hardly moves, in A and in B."
        apart = f"A and B differ by {row['apart']:.2f} z (SD)" if calibrated == "yes" else "more in B"
        text = f"It hardly moves in A; {apart}."
        return f"{text} {_against(row['outside'], row['null_change'], n, _percent)}".strip()
    if size < SMALL:
        moved = calibrated == "yes" and abs(row["difference"]) >= SMALL
        return f"The time course keeps its shape. {_average(row['difference'])}." if moved else "No change."
    text = f"The time course changes by {_percent(size)} of its size"
    if row["low"] is not None:
        text += f" ({_percent(row['low'])} to {_percent(row['high'])} in other stretches of this clip)"
    text += f"; A and B correlate at r = {_number(row['r'])}." if row["r"] is not None else "; B is flat."
    if calibrated == "yes":
        text += f" {_average(row['difference'])}."
    return f"{text} {_against(row['outside'], row['null_change'], n, _percent)}".strip()


def _sentence_apart(row: dict[str, Any], n: int, calibrated: str) -> str:
    """One sentence on a curve of conditions that are compared by their means."""
    sure = calibrated == "yes"
    text = f"{_average(row['difference'])}." if sure else _direction(row["difference"])
    if row["power"] is not None:
        text += f" Its ups and downs have {row['power']:.2f} times the power of A's."
    return f"{text} {_against(row['outside'], row['null_difference'], n, _in_z if sure else None)}".strip()


def _direction(difference: float) -> str:
    """Of a model whose means are no sizes."""
    if abs(difference) < SMALL:
        return "On average A and B are equal."
    return f"On average B is {'lower' if difference > 0 else 'higher'} than A (uncalibrated: by how much is not to be read)."


def _average(difference: float) -> str:
    if abs(difference) < SMALL:
        return "On average A and B are equal"
    return f"On average B is {abs(difference):.2f} z {'lower' if difference > 0 else 'higher'} than A"


def _against(outside: bool | None, largest: float | None, n: int, in_words: Any) -> str:
    if not n or largest is None:
        return ""
    if outside:
        many = f"None of {n} small changes" if n > 1 else "The one small change tried"
        if in_words is None:
            return f"{many} that should not matter {'changes' if n > 1 else 'does not change'} it as much."
        verb = "changes it by" if n > 1 else "does not change it by"
        return f"{many} that should not matter {verb} more than {in_words(largest)}."
    most = f" (up to {in_words(largest)})" if in_words is not None else ""
    return f"Small changes that should not matter change it as much{most}: nothing to explain."


def _percent(size: float) -> str:
    return f"{100 * size:.0f} %" if size >= SMALL else "half a per cent"


def _in_z(size: float) -> str:
    return f"{size:.2f} z" if size >= SMALL else f"{SMALL} z"


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _plain(value: Any) -> Any:
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    return float(value) if np.isfinite(value) else None
