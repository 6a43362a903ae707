"""Measured beside predicted: a stranger's fMRI table opens as a second series on the clock of a prediction.

Taken are the HDF5 files of Algonauts 2025 (one data set an episode, TRs by parcels) and any table of 1000 Schaefer parcels by TRs (TSV, CSV,
NumPy) together with its TR. The file is opened in a child process; see :mod:`experiments.measured_worker`.
"""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.accuracy import mean_correlation, pearson
from encoder.atlas import N_PARCELS, load_atlas
from encoder.responses import Responses, check_subjects
from extractors.arrays import load_array
from extractors.errors import CineglassError, MediaError
from extractors.grid import TR, tr_middles
from extractors.worker_process import messages, worker
from settings import Settings, get_settings
from viz.captions import plain
from viz.writing import whole_file

ENDINGS = (".h5", ".hdf5", ".npy", ".tsv", ".csv")
TIMEOUT_S = 60.0
SLACK_TRS = 3
"""How many TRs a measured table may be longer or shorter than the prediction: scanners stop a little early or late."""

FEWEST_ROWS = 10
"""Rows that both must have for a correlation."""


class MeasuredError(CineglassError, ValueError):
    """A measured table that cannot be read or does not fit.

    Attributes
    ----------
    datasets : tuple of (str, int)
        Data sets of the file and their rows, where one must be chosen.
    """

    datasets: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, eq=False)
class Table:
    """A measured table as it came.

    Attributes
    ----------
    values : float32 [rows, 1000]
        TRs by parcels in the atlas' order; nan where the file has no number.
    tr : float
        Seconds.
    name, dataset : str
        File and data set (hostile text).
    datasets : tuple of (str, int)
        All data sets of an HDF5 file that would do, with their rows.
    """

    values: np.ndarray
    tr: float
    name: str
    dataset: str = ""
    datasets: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, eq=False)
class Measured:
    """A measured table on the rows of a prediction.

    Attributes
    ----------
    values : float32 [T, 1000]
        Each parcel with mean 0 and standard deviation 1 over the rows there are; nan where there is no measurement.
    valid : bool [T]
        Rows with a measurement.
    subject : int
        Subject of the prediction that it stands beside.
    accuracy : float64 [1000]
        Correlation over the rows valid in both; nan for parcels without numbers.
    rows : int
        How many those are.
    name : str
        File, and data set where there is one (hostile text).
    notices : tuple of str
    """

    values: np.ndarray
    valid: np.ndarray
    subject: int
    accuracy: np.ndarray
    rows: int
    name: str
    notices: tuple[str, ...] = ()

    @property
    def mean_accuracy(self) -> float:
        """Mean correlation over parcels, as the Algonauts 2025 metric takes it."""
        return mean_correlation(self.accuracy)


def read_measured(
    path: str | os.PathLike, *, tr: float = TR, dataset: str | None = None, name: str | None = None, settings: Settings | None = None
) -> Table:
    """Read a measured table.

    Parameters
    ----------
    path : path
    tr : float
        Seconds between its rows.
    dataset : str, optional
        Of an HDF5 file with several.
    name : str, optional
        For messages and for the ending, where the file lies under another name.
    settings : Settings, optional

    Raises
    ------
    MeasuredError
        For a file that cannot be read or whose parcels do not fit; ``dataset_needed`` names the data sets.
    """
    path = Path(path)
    name = name or path.name
    settings = settings or get_settings()
    ending = Path(name).suffix.lower()
    if ending not in ENDINGS:
        raise MeasuredError(
            "measured_form", f"Allowed endings are {', '.join(ENDINGS)}, but got {ending or 'none'} instead.", "Save the table as one of them."
        )
    if not 0.1 <= float(tr) <= 20:
        raise MeasuredError("measured_tr", f"A TR is 0.1 to 20 s, but got {tr} instead.", f"Algonauts 2025 has {TR} s.")
    try:
        size = path.stat().st_size
    except OSError:
        raise MeasuredError("measured_missing", f"There is no file {name}.", "Check its name.") from None
    if not size:
        raise MeasuredError("measured_empty", f"{name} is empty.", "Choose another file.")
    with tempfile.TemporaryDirectory(prefix="cineglass-") as folder:
        out = Path(folder) / "table.npy"
        answer = _asked_child({"path": str(path.resolve()), "ending": ending, "dataset": dataset, "out": str(out)}, settings)
        if "refused" in answer:
            raise _refusal(answer, name)
        values = load_array(out)
    values = _in_order(values, answer["labels"], name)
    datasets = tuple((str(key), int(rows)) for key, rows in answer["datasets"])
    return Table(values, float(tr), name, str(answer.get("dataset") or ""), datasets)


def beside(responses: Responses, table: Table, subject: int) -> Measured:
    """Put a measured table on the rows of a prediction and correlate the two.

    A table with another TR is interpolated linearly at the middles of the prediction's rows. Every parcel is standardised over the rows there
    are, because tables come in many units and the training data were standardised too.

    Raises
    ------
    MeasuredError
        When the lengths differ by more than :data:`SLACK_TRS` TRs, or too few rows are left.
    SelectionError
        For a subject that the prediction does not have.
    """
    (subject,) = check_subjects((subject,), responses.subjects)
    length, wanted = len(table.values) * table.tr, responses.n_trs * responses.tr
    if abs(length - wanted) > SLACK_TRS * responses.tr + 1e-6:
        raise MeasuredError(
            "measured_rows",
            f"{table.name} has {len(table.values)} rows of {table.tr:g} s ({length:.0f} s), "
            f"but the prediction has {responses.n_trs} of {responses.tr} s ({wanted:.0f} s).",
            "Choose the table of this film, or give its TR.",
        )
    values, valid = _on_rows(table, responses.n_trs)
    there = values[valid].astype(np.float64)  # a table may be in any unit, and its squares too large for less
    known = np.isfinite(there).all(0)
    known[known] = there[:, known].min(0) < there[:, known].max(0) if len(there) else False
    both = valid & responses.valid
    if valid.any() and not known.any():
        raise MeasuredError(
            "measured_flat",
            f"No parcel of {table.name} has a number in every measured row and changes over the film.",
            "Leave rows out whole (n/a in every column), or choose another table.",
        )
    if both.sum() < FEWEST_ROWS:
        raise MeasuredError(
            "measured_few",
            f"{table.name} shares {int(both.sum())} valid rows with the prediction; at least {FEWEST_ROWS} are needed.",
            "Use a longer film.",
        )
    standard = np.full_like(values, np.nan)
    chosen = there[:, known]
    standard[np.ix_(valid, known)] = (chosen - chosen.mean(0)) / chosen.std(0)
    accuracy = np.full(N_PARCELS, np.nan)
    accuracy[known] = pearson(standard[both][:, known], responses.subject(subject)[both][:, known])
    notices = _notices(table, responses, known, valid)
    name = f"{table.name}, {table.dataset}" if table.dataset else table.name
    return Measured(standard, valid, subject, accuracy, int(both.sum()), name, notices)


def accuracy_table(measured: Measured) -> list[tuple[str, int, float]]:
    """Network or group, parcels with numbers, mean correlation: one line for each, after one for all parcels."""
    atlas = load_atlas()
    names = [("all", np.ones(N_PARCELS, bool))]
    names += [(name, atlas.mask(name)) for name in (*atlas.network_names, *(group.id for group in atlas.groups))]
    return [(name, int(np.isfinite(measured.accuracy[mask]).sum()), mean_correlation(measured.accuracy[mask])) for name, mask in names]


def write_accuracy(measured: Measured, path: str | os.PathLike) -> Path:
    """Write the correlation of every parcel as TSV: parcel id, label, network, r ("n/a" where unknown)."""
    atlas = load_atlas()
    with whole_file(Path(path), "table") as part, part.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(["index", "label", "network", "r"])
        for index, (label, network, r) in enumerate(zip(atlas.labels, atlas.networks, measured.accuracy, strict=True), 1):
            table.writerow([index, label, network, f"{r:.6g}" if np.isfinite(r) else "n/a"])
    return Path(path)


def _on_rows(table: Table, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Values at the middles of the prediction's rows, and which rows have one."""
    values = np.full((rows, N_PARCELS), np.nan, np.float32)
    if abs(table.tr - TR) < 1e-6:
        there = min(rows, len(table.values))
        values[:there] = table.values[:there]
        return values, _measured(values)
    places = tr_middles(rows) / table.tr - 0.5
    inside = (places >= 0) & (places <= len(table.values) - 1)
    low = np.clip(np.floor(places).astype(int), 0, max(0, len(table.values) - 2))
    share = (places - low)[:, None].astype(np.float32)
    high = np.minimum(low + 1, len(table.values) - 1)
    between = (1 - share[inside]) * table.values[low[inside]].astype(np.float64) + share[inside] * table.values[high[inside]]
    values[inside] = between
    return values, _measured(values)


def _measured(values: np.ndarray) -> np.ndarray:
    """Rows with a number for at least half of the parcels that have any: a row that was left out may still hold a 0 or a note in some column."""
    finite = np.isfinite(values)
    return finite[:, finite.any(0)].mean(1) >= 0.5 if finite.any() else np.zeros(len(values), bool)


def _notices(table: Table, responses: Responses, known: np.ndarray, valid: np.ndarray) -> tuple[str, ...]:
    said = ["Measured values are standardised per parcel over this film."]
    if responses.simulated:
        said.append("The predicted subjects are simulated: this correlation is no accuracy of a model of this person.")
    if abs(table.tr - TR) >= 1e-6:
        said.append(f"Interpolated from a TR of {table.tr:g} s.")
    elif len(table.values) > responses.n_trs:
        said.append(f"{len(table.values) - responses.n_trs} rows beyond the film are left out.")
    if not valid.all():
        said.append(f"{int((~valid).sum())} rows of the film have no measurement.")
    if not known.all():
        said.append(f"{int((~known).sum())} parcels have no usable numbers: their accuracy is unknown, and curves leave them out.")
    return tuple(said)


def _in_order(values: np.ndarray, labels: Sequence[str] | None, name: str) -> np.ndarray:
    """Columns in the atlas' order, where the table names them."""
    if labels is None:
        return values
    place = {label.removeprefix("7Networks_"): index for index, label in enumerate(load_atlas().labels)}
    found = [place.get(label.removeprefix("7Networks_")) for label in labels]
    unknown = [label for label, index in zip(labels, found, strict=True) if index is None]
    if len(unknown) == len(labels):
        raise MeasuredError(
            "measured_labels",
            f"The columns of {name} are named, but not as Schaefer's 1000 parcels (first: {unknown[0]!r}).",
            "Use its 7-network labels.",
        )
    if unknown or len(set(found)) != N_PARCELS:
        what = f"{unknown[0]!r} is not one" if unknown else "one is named twice"
        raise MeasuredError(
            "measured_labels", f"The columns of {name} must be the 1000 parcels, each once, but {what}.", "Use Schaefer's 7-network labels."
        )
    ordered = np.empty_like(values)
    ordered[:, found] = values
    return ordered


def _asked_child(job: dict[str, Any], settings: Settings) -> dict[str, Any]:
    limits = {"memory_mb": settings.gate_memory_mb, "cpu_s": TIMEOUT_S}
    with worker("experiments.measured_worker", {**job, **limits}) as process, suppress(MediaError, ValueError):  # no answer in time, or half of one
        for answer in messages(process, TIMEOUT_S):
            if answer is not None:
                return answer
    return {"refused": "unreadable"}


def _refusal(answer: dict[str, Any], name: str) -> MeasuredError:
    code = answer["refused"]
    names = ", ".join(plain(str(entry[0])) for entry in answer.get("datasets", [])[:20])
    message, hint = {
        "parcels": (
            f"{name} must have {N_PARCELS} parcels, but its table is {' x '.join(map(str, answer.get('shape', [])))}.",
            "Use Schaefer 2018, 1000 parcels, 7 networks.",
        ),
        "rows": (f"{name} has {answer.get('rows')} rows; allowed are 1 to {answer.get('most')}.", "Choose the table of one film."),
        "not_numbers": (f"{name} does not hold plain numbers.", "Save it as float32."),
        "no_dataset": (f"{name} holds no data set of {N_PARCELS} parcels by TRs.", "Choose an Algonauts fMRI file."),
        "dataset_needed": (f"{name} holds several data sets: {names}.", "Choose the one of this film."),
        "no_such_dataset": (f"{name} has no data set of that name. There are {names}.", "Choose one of them."),
        "too_large": (f"{name} needs more memory than is allowed.", "Save the one table of this film."),
        "cell": (f"Line {answer.get('line')} of {name} holds something that is no number.", "Leave empty cells as n/a."),
        "ragged": (
            f"Line {answer.get('line')} of {name} has {answer.get('cells')} cells, but {answer.get('expected')} were expected.",
            "Save the table again.",
        ),
        "empty": (f"{name} holds no rows.", "Choose another file."),
    }.get(code, (f"{name} cannot be read as what its ending says.", "Save it again, or choose another file."))
    error = MeasuredError(f"measured_{code}", message, hint)
    error.datasets = tuple((str(entry[0]), int(entry[1])) for entry in answer.get("datasets", []))
    return error
