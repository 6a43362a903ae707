"""Every file that a result can be written to."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from encoder.atlas import NETWORK_NAMES, load_atlas
from encoder.responses import Responses
from extractors.errors import SelectionError
from extractors.formats import guard_cell
from extractors.tr_table import clean
from viz.writing import whole_file

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure


def write(responses: Responses, kind: str, path: str | os.PathLike, *, more: Mapping[str, Any] | None = None) -> Path:
    """Write responses to a file.

    Parameters
    ----------
    responses : Responses
    kind : {"npy", "json", "networks_tsv", "networks_png", "networks_svg", "networks_pdf", "spread_npy", "member_curves_npy"}
        Values [subjects, TRs, 1000] as float32; labels and provenance; network and group means; their curves as a picture. For the result of an
        ensemble: the standard deviation between its members [subjects, TRs, 1000], and the members' curves [members, subjects, TRs, curves].
    path : path
    more : mapping, optional
        Further sections for "json".

    Returns
    -------
    pathlib.Path

    Raises
    ------
    SelectionError
        For an unknown kind, and for the spread of a result without members.
    """
    path = Path(path)
    if kind == "json":
        facts = {**responses.metadata(), **(more or {})}
        lines = (f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False, allow_nan=False)}" for key, value in facts.items())
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8", newline="\n")  # one fact on each line
    elif kind in _WRITERS:
        _WRITERS[kind](responses, path)
    else:
        raise SelectionError("unknown_kind", f"Allowed kinds are json, {', '.join(_WRITERS)}, but got {kind!r} instead.", "Choose one of them.")
    return path


def write_parcels_tsv(responses: Responses, path: str | os.PathLike, *, subject: int | None = None) -> Path:
    """One line a TR, one column a parcel, named as in the atlas: z of one subject, or of the mean of all (``subject`` None)."""
    from viz.look import values_of

    path = Path(path)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(parcel_lines(values_of(responses, subject)))
    return path


def parcel_lines(values: np.ndarray) -> Iterator[str]:
    """float32 [T, 1000] as lines of a TSV with a named column for each parcel; nine digits give every float32 back."""
    yield "\t".join(load_atlas().labels) + "\n"
    line = "\t".join(["%.9g"] * values.shape[1]) + "\n"
    for row in values:
        yield line % tuple(row.tolist())


def _array(name: str) -> Callable[[Responses, Path], None]:
    def save(responses: Responses, path: Path) -> None:
        array = getattr(responses, name)
        if array is None:
            raise SelectionError("no_spread", "This result comes from a single checkpoint and has no spread.", "Run an ensemble of several.")
        with path.open("wb") as file:  # given a path, numpy would add an ending of its own
            np.save(file, np.ascontiguousarray(array, np.float32), allow_pickle=False)

    return save


def _networks_tsv(responses: Responses, path: Path) -> None:
    """One line per subject and TR: seven networks, then the groups that are no Yeo networks (mean z over their parcels).

    The result of an ensemble has a column ``sd_<name>`` for each of them after that: the standard deviation between members of the same mean.
    """
    names = [*NETWORK_NAMES, *(group.id for group in load_atlas().groups)]
    columns = [responses.network_mean(name) for name in names]
    spread = responses.curve_spread
    if spread is not None:
        columns += [spread[name][:-1] for name in names]  # the last row is that of the subjects' mean
    heads = [*names, *(f"sd_{name}" for name in names if spread is not None)]
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(["subject", "simulated", "row", "time_s", "valid", *heads])
        for subject, rows in zip(responses.subject_files, np.stack(columns, axis=-1), strict=True):
            for k, (time, row) in enumerate(zip(responses.times, rows, strict=True)):
                marks = [str(responses.simulated).lower(), k, f"{time:.3f}", str(bool(responses.valid[k])).lower()]
                table.writerow([subject, *marks, *(f"{value:.6g}" for value in row)])


def write_table(table: pandas.DataFrame, path: str | os.PathLike) -> Path:
    """Write a labelled table as TSV, whole or not at all; no cell of text is taken for a formula by a spreadsheet.

    Raises
    ------
    CacheError
        ``table_unwritable``.
    """
    path = Path(path)
    held = table.reset_index()
    for name in held.columns:
        if held[name].dtype.kind == "b":
            held[name] = held[name].map({True: "true", False: "false"})  # as in networks.tsv
        elif held[name].dtype.kind not in "iufc":
            held[name] = [guard_cell(clean(value)) if isinstance(value, str) else value for value in held[name]]
    with whole_file(path, "table") as part:
        held.to_csv(part, sep="\t", index=False, na_rep="n/a", float_format="%.6g", lineterminator="\n")
    return path


def save_figure(figure: Figure, path: str | os.PathLike, format: str) -> Path:
    """Save a figure as "png", "svg" or "pdf" so that equal figures give equal bytes; text stays text in an SVG."""
    import matplotlib

    path = Path(path)
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "cineglass"}):
        dated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(format)
        figure.savefig(path, format=format, dpi=figure.dpi, metadata=dated)  # "figure" would be the dpi it was made with
    return path


def write_networks(
    responses: Responses, path: str | os.PathLike, format: str, *, subject: int | None = None, lag: float = 0.0, dark: bool = False
) -> Path:
    """The curves of :func:`viz.curves.network_figure` as "png", "svg" or "pdf", of one subject or of the mean of all."""
    from viz.curves import network_figure

    figure = network_figure(responses, subjects=None if subject is None else (subject,), lag=lag, dark=dark)
    figure.set_dpi(160)
    return save_figure(figure, path, format)


_WRITERS: dict[str, Callable[[Responses, Path], Any]] = {
    "npy": _array("values"),
    "networks_tsv": _networks_tsv,
    **{f"networks_{form}": partial(write_networks, format=form) for form in ("png", "svg", "pdf")},
    "spread_npy": _array("spread"),
    "member_curves_npy": _array("member_curves"),
}
