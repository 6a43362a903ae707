"""The child of :mod:`experiments.measured`: opens a stranger's table and writes it down as a plain float32 array.

HDF5 is a large library in C, and a file may point at other files of this machine (external links, external storage, virtual data sets):
such pointers are refused, and what damages the library ends this process and nothing else.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from extractors.arrays import load_array
from extractors.worker_process import limit_this_process, read_job

PARCELS = 1000
MOST_ROWS = 20_000
MOST_CHUNK = 64 * 2**20
MOST_NAMES = 2000
MOST_CELL = 64
INDEX = ("", "index", "row", "tr", "time", "time_s", "label", "name", "parcel", "region", "frame", "volume", "scan")
"""Heads of a first column that only numbers or names the rows."""

DELIMITERS = {".csv": (";", ",", "\t", " "), ".tsv": ("\t", ";", ",", " ")}
"""What stands between cells: the first of these in the first line, whatever the ending says."""

FILTERS = {1, 2, 3, 32000}
"""HDF5 filters that only compress or check: gzip, shuffle, Fletcher's sum, and h5py's own LZF."""


class Refused(Exception):
    """The file is not taken; the code is what the parent puts into words, with ``facts``."""

    def __init__(self, code: str, **facts: Any):
        super().__init__(code)
        self.code, self.facts = code, facts


def main() -> int:
    """Do the job that stdin names; the answer is one JSON line."""
    job = read_job()
    limit_this_process(job["memory_mb"], job["cpu_s"], file_mb=PARCELS * MOST_ROWS * 4 // 2**20 + 1)
    try:
        answer = _read(Path(job["path"]), job["ending"], job["dataset"], Path(job["out"]))
    except Refused as refused:
        answer = {"refused": refused.code, **refused.facts}
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, EOFError, OverflowError):
        answer = {"refused": "unreadable"}
    except MemoryError:
        answer = {"refused": "too_large"}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    return 0


def _read(path: Path, ending: str, dataset: str | None, out: Path) -> dict[str, Any]:
    answer: dict[str, Any] = {"labels": None, "datasets": []}
    if ending in (".h5", ".hdf5"):
        table, answer["dataset"], answer["datasets"] = _hdf5(path, dataset)
    elif ending == ".npy":
        table = _npy(path)
    else:
        table, answer["labels"] = _text(path, ending)
    table = _upright(table)
    np.save(out, np.ascontiguousarray(table, np.float32), allow_pickle=False)
    return answer | {"rows": len(table)}


def _upright(table: np.ndarray) -> np.ndarray:
    """Rows are TRs; a table of parcels by TRs is turned."""
    if table.ndim != 2 or PARCELS not in table.shape:
        raise Refused("parcels", shape=list(table.shape))
    if table.shape[1] != PARCELS:
        table = table.T
    if not 0 < len(table) <= MOST_ROWS:
        raise Refused("rows", rows=len(table), most=MOST_ROWS)
    return table


def _npy(path: Path) -> np.ndarray:
    table = load_array(path, mapped=True)
    if not isinstance(table, np.ndarray) or table.dtype.kind not in "fiu":
        raise Refused("not_numbers")
    return _upright(table)


def _hdf5(path: Path, wanted: str | None) -> tuple[np.ndarray, str, list[list[Any]]]:
    import h5py

    with h5py.File(path, "r") as file:
        found = dict(_tables(file, h5py, count(1)))
        names = [[name, int(shape[0])] for name, shape in ((name, data.shape) for name, data in found.items())]
        if not found:
            raise Refused("no_dataset")
        if wanted is None and len(found) > 1:
            raise Refused("dataset_needed", datasets=names)
        name = wanted if wanted is not None else next(iter(found))
        if name not in found:
            raise Refused("no_such_dataset", datasets=names)
        data = found[name]
        if data.chunks is not None and int(np.prod(data.chunks)) * data.dtype.itemsize > MOST_CHUNK:
            raise Refused("too_large")
        return data[()], name, names


def _tables(group: Any, h5py: Any, seen: Iterator[int], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Data sets of numbers with 1000 columns or rows, by name; whatever points elsewhere is passed over.

    ``seen`` counts the names of the whole file: groups may hold each other.
    """
    if depth > 4:
        return
    for key in group:
        if next(seen) > MOST_NAMES:
            return
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            continue
        item = group[key]
        name = f"{prefix}{key}"
        if isinstance(item, h5py.Group):
            yield from _tables(item, h5py, seen, f"{name}/", depth + 1)
        elif isinstance(item, h5py.Dataset) and _is_table(item):
            yield name, item


def _is_table(item: Any) -> bool:
    if item.is_virtual or item.external or item.dtype.kind not in "fiu" or item.ndim != 2:
        return False
    plist = item.id.get_create_plist()
    if any(plist.get_filter(i)[0] not in FILTERS for i in range(plist.get_nfilters())):
        return False
    return PARCELS in item.shape and min(item.shape) > 0 and max(item.shape) <= MOST_ROWS


def _text(path: Path, ending: str) -> tuple[np.ndarray, list[str] | None]:
    """Numbers, and the parcels' names where the columns or the rows carry them."""
    with path.open(encoding="utf-8-sig") as file:
        first = file.readline()
    delimiter = next((mark for mark in DELIMITERS[ending] if mark in first.strip()), DELIMITERS[ending][0])
    rows: list[list[float]] = []
    heads: list[str] | None = None
    names: list[str] = []
    skip = 0
    with path.open(encoding="utf-8-sig", newline="") as file:
        for cells in (reader := csv.reader(file, delimiter=delimiter, strict=True)):
            if not cells:
                continue
            if delimiter == ";":  # as programs write it where a comma stands before decimals
                cells = [cell.replace(",", ".") for cell in cells]
            if len(rows) >= MOST_ROWS or len(cells) > MOST_ROWS:
                raise Refused("rows", rows=len(rows) + 1, most=MOST_ROWS)
            if not rows:
                if heads is None and (_numbers(cells[1:]) is None or _counts(cells)):
                    heads = [cell.strip()[:MOST_CELL] for cell in cells]
                    continue
                named = heads is not None and len(heads) == len(cells) and heads[0].lower() in INDEX
                skip = int(named or _numbers(cells[:1]) is None)
            numbers = _numbers(cells[skip:])
            if numbers is None:
                raise Refused("cell", line=reader.line_num)
            if rows and len(numbers) != len(rows[0]):
                raise Refused("ragged", line=reader.line_num, cells=len(numbers), expected=len(rows[0]))
            rows.append(numbers)
            names += [cell.strip()[:MOST_CELL] for cell in cells[:skip]]
    if not rows:
        raise Refused("empty")
    columns = None if heads is None else heads[-len(rows[0]) :]
    labels = next((found for found in (columns, names) if found and len(found) == PARCELS and not _counts(found)), None)
    return np.array(rows, np.float32), labels


def _counts(cells: list[str]) -> bool:
    """Whether cells only number columns: 0, 1, 2 ... or 1, 2, 3 ..."""
    cells = [cell.strip() for cell in cells]
    return len(cells) > 2 and any(
        cells[-3:] == [str(len(cells) - 3 + first), str(len(cells) - 2 + first), str(len(cells) - 1 + first)] for first in (-1, 0, 1)
    )


def _numbers(cells: list[str]) -> list[float] | None:
    missing = {"", "n/a", "nan", "na"}
    try:
        return [float("nan") if cell.strip().lower() in missing else float(cell[:MOST_CELL]) for cell in cells]
    except ValueError:
        return None


if __name__ == "__main__":
    sys.exit(main())
