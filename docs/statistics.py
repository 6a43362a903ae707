"""The page on statistics and the table behind the captions, from simulations: ``python -m docs.statistics`` (about two minutes of one core).

Writes ``docs/statistics.md`` from ``docs/statistics.in.md`` and ``assets/statistics.json``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from string import Template

import numpy as np

from analysis.calibration import KINDS, Cell, caption_for, write
from analysis.contrasts import LEAST_ROWS
from docs import statistics_trials as trials

HERE = Path(__file__).parent
LABELS = {"interval r": "r", "interval change": "change", "interval difference": "difference"}
EFFECTS, CORRELATIONS = (0.3, 0.5, 0.8, 1.2), (0.3, 0.5, 0.7)
PARCEL_TRIALS = 400
SLOW = (trials.HRF, "AR(1) noise 0.9")


def main() -> None:
    """Simulate, then write the table and the page."""
    began = time.process_time()
    cells = []
    for simulation in (trials.coverage, trials.false_positives, trials.unrelated):
        for cell in simulation():
            cells.append(cell)
            print(f"{cell.kind}, {cell.n}, {cell.setting}: {cell.got}", flush=True)
    write(cells)
    parts = _parts(cells)
    minutes = (time.process_time() - began) / 60
    parts["took"] = f"{minutes:.1f} minutes"
    page = Template((HERE / "statistics.in.md").read_text(encoding="utf-8")).substitute(parts)
    (HERE / "statistics.md").write_text("<!-- made by python -m docs.statistics from statistics.in.md -->\n" + page, encoding="utf-8")


def _parts(cells: Sequence[Cell]) -> dict[str, str]:
    """What stands behind each name of the page."""
    wrong, right = trials.subjects_as_n(6)
    hrf = trials.noise(trials.HRF, trials.seeded("lag"), 400, 200)
    labels = [cell for cell in cells if cell.kind == "label_permutation"]
    plain, welch = trials.plain_labels(10, 20)
    guarded = [cell for cell in trials.unrelated(guard_trs=10) if cell.n in (40, 100) and cell.setting in SLOW]
    return {
        "seed": str(trials.SEED),
        "trials": f"{trials.TRIALS:,}",
        "least_rows": str(LEAST_ROWS),
        "peak": str(trials.PEAK_S),
        "parcel_trials": str(PARCEL_TRIALS),
        "hrf_lag": f"{np.mean(hrf[1:] * hrf[:-1]):.2f}",
        "rows_as_n": _percent(trials.rows_as_n(100, trials.HRF)),
        "subjects_as_n": _percent(wrong),
        "subjects_mean": _percent(right),
        "plain_labels": _percent(plain),
        "welch_labels": _percent(welch),
        "guard": ", ".join(f"{_percent(cell.got)} ({cell.n} rows, {cell.setting})" for cell in guarded),
        "strengths": _table(
            ("example", "valid rows", "lowest", "median", "highest"),
            ([name, str(rows), *(f"{one:.2f}" for one in found)] for name, (rows, *found) in trials.strengths().items()),
        ),
        "coverage": _table(
            ("size", "valid rows", *trials.NOISES),
            (
                [LABELS[kind], str(rows), *(_marked(cell, 1) for cell in cells if (cell.kind, cell.n) == (kind, rows))]
                for kind in LABELS
                for rows in trials.INTERVAL_ROWS
            ),
        ),
        "widths": ", ".join(
            f"{low:.2f} to {high:.2f} with {rows} rows" for rows in trials.INTERVAL_ROWS for low, high in [trials.widths(rows, trials.HRF)]
        ),
        "signs": _signs([cell for cell in cells if cell.kind == "sign_flip"]),
        "labels": _table(("sets", "p ≤ 0.05 without effect"), ([cell.setting, _marked(cell, 1)] for cell in labels)),
        "parcels": _table(
            ("clips", "any p_max ≤ 0.05, no effect", "false share at q ≤ 0.05", "found by p_max", "found by q"),
            (_parcels(clips) for clips in trials.CLIPS),
        ),
        "shifts": _table(
            ("valid rows", "smallest p", *trials.NOISES),
            (
                [str(rows), f"{1 / (rows - 2):.3f}", *(_marked(cell, 1) for cell in cells if (cell.kind, cell.n) == ("circular_shift", rows))]
                for rows in trials.SHIFT_ROWS
            ),
        ),
        "power": _grid("clips", trials.CLIPS, EFFECTS, lambda n, d: f"{_percent(trials.power_of_signs(n, d))} ({_percent(trials.power_of_t(n, d))})"),
        "shift_power": _grid("valid rows", trials.SHIFT_ROWS, CORRELATIONS, lambda n, r: _percent(trials.power_of_shifts(n, r, trials.HRF))),
        "captions": _captions(),
        "rejected": _rejected(),
    }


def _signs(cells: Sequence[Cell]) -> str:
    ar = [f"{name}, {rows} rows" for rows in trials.ROWS for name in trials.NOISES]
    others = [cell.setting for cell in cells if cell.n == trials.CLIPS[0] and cell.setting not in ar]
    got = {(cell.n, cell.setting): _marked(cell, 1) for cell in cells}
    rows = [
        [f"T = {length}, {name}", *(got[clips, f"{name}, {length} rows"] for clips in trials.CLIPS)]
        for length in trials.ROWS
        for name in trials.NOISES
    ]
    rows += [[setting, *(got[clips, setting] for clips in trials.CLIPS)] for setting in others]
    return _table(("differences", *(f"n = {clips}" for clips in trials.CLIPS)), rows)


def _parcels(clips: int) -> list[str]:
    nothing, planted = (trials.many_parcels(clips, effect=effect, trials=PARCEL_TRIALS) for effect in (0.0, 1.0))
    return [str(clips), *(_percent(one) for one in (nothing["any"], planted["false"], planted["found_max"], planted["found_fdr"]))]


def _rejected() -> str:
    cases = [(statistic, rows, name) for statistic in ("change", "difference") for name in SLOW for rows in (40, 100, 400)]
    found = {case: trials.rejected_intervals(case[1], case[2], case[0]) for case in cases}
    kinds = list(dict.fromkeys(kind for each in found.values() for kind in each))
    lines = []
    for statistic, rows, name in cases:
        each = found[statistic, rows, name]
        cell = [f"{_percent(each[kind][0])} ({each[kind][1]:.1f})" if kind in each else "" for kind in kinds]
        lines.append([statistic, name, str(rows), *cell])
    return _table(("size", "noise", "rows", *kinds), lines)


def _captions() -> str:
    asked = [(kind, n) for kind, unit in KINDS.items() for n in (trials.CLIPS if "clips" in unit else trials.INTERVAL_ROWS)]
    return _table(("kind", "n", "caption"), ([kind, str(n), caption_for(kind, n) or "(none)"] for kind, n in asked))


def _grid(corner: str, rows: Sequence[int], columns: Sequence[float], filled: Callable[[int, float], str]) -> str:
    return _table((corner, *map(str, columns)), ([str(row), *(filled(row, column) for column in columns)] for row in rows))


def _marked(cell: Cell, digits: int) -> str:
    shown = f"{100 * cell.got:.{digits}f}"
    return f"**{shown}**" if cell.off else shown


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share > 0.1 else f"{100 * share:.1f} %"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in ([*head], *rows)]
    return "\n".join([lines[0], f"|{'---|' * len(head)}", *lines[1:]])


if __name__ == "__main__":
    main()
