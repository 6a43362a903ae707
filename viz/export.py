"""Every file that a result can be written to."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from encoder.atlas import NETWORK_NAMES, load_atlas
from encoder.responses import Responses
from extractors.errors import SelectionError


def write(responses: Responses, kind: str, path: str | os.PathLike, *, more: Mapping[str, Any] | None = None) -> Path:
    """Write responses to a file.

    Parameters
    ----------
    responses : Responses
    kind : {"npy", "json", "networks_tsv", "networks_png", "networks_svg", "networks_pdf"}
        Values [subjects, TRs, 1000] as float32; labels and provenance; network and group means; their curves as a picture.
    path : path
    more : mapping, optional
        Further sections for "json".

    Returns
    -------
    pathlib.Path

    Raises
    ------
    SelectionError
        For an unknown kind.
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


def _npy(responses: Responses, path: Path) -> None:
    with path.open("wb") as file:  # given a path, numpy would add an ending of its own
        np.save(file, np.ascontiguousarray(responses.values, np.float32), allow_pickle=False)


def _networks_tsv(responses: Responses, path: Path) -> None:
    """One line per subject and TR: seven networks, then the groups that are no Yeo networks (mean z over their parcels)."""
    names = [*NETWORK_NAMES, *(group.id for group in load_atlas().groups)]
    means = np.stack([responses.network_mean(name) for name in names], axis=-1)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(["subject", "simulated", "row", "time_s", "valid", *names])
        for subject, rows in zip(responses.subject_files, means, strict=True):
            for k, (time, row) in enumerate(zip(responses.times, rows, strict=True)):
                marks = [str(responses.simulated).lower(), k, f"{time:.3f}", str(bool(responses.valid[k])).lower()]
                table.writerow([subject, *marks, *(f"{value:.6g}" for value in row)])


def _figure(format: str) -> Callable[[Responses, Path], None]:
    def draw(responses: Responses, path: Path) -> None:
        import matplotlib

        from viz.curves import network_figure

        # text stays text in SVG; fixed salt and no date, so that equal results give equal files
        with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "cineglass"}):
            dated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(format)
            network_figure(responses).savefig(path, format=format, dpi=160, metadata=dated)

    return draw


_WRITERS: dict[str, Callable[[Responses, Path], None]] = {
    "npy": _npy,
    "networks_tsv": _networks_tsv,
    "networks_png": _figure("png"),
    "networks_svg": _figure("svg"),
    "networks_pdf": _figure("pdf"),
}
