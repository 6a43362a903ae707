"""Sets of clips: one condition against another over several films. Only here do p-values come from: the unit is the clip."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from analysis.calibration import caption_for
from analysis.permutation import PermutationResult, label_permutation, sign_flip
from encoder.curves import curve_ids, curve_means
from encoder.ensemble import read
from encoder.pipeline import FEW_ROWS
from encoder.waiting_model import WaitingModel
from experiments.comparison import first_result, nothing_changed
from experiments.conditions import Condition, changed, origin_of, run_condition, time_map_between
from experiments.findings import label_of
from experiments.intake import Film, admitted
from experiments.predict import Result
from extractors.edit_language import edits_text, parse_edits
from extractors.errors import SelectionError, StatisticsError
from extractors.grid import counting_rows
from extractors.stages import passing_on
from settings import Settings, get_settings

if TYPE_CHECKING:
    import pandas

STATISTICS = ("mean", "spread")
MOST_CLIPS = 200


@dataclass(frozen=True, eq=False)
class SetComparison:
    """Condition A against B over clips.

    Attributes
    ----------
    a, b : tuple of Result
        One for each clip; of pairs, ``a[k]`` and ``b[k]`` are one clip.
    paired : bool
    statistic : {"mean", "spread"}
        What stands for a clip: the mean over its valid rows (z), or the logarithm of the SD over them.
    subject : int or None
        Whose responses; None is the mean of the subjects. Subjects share a trunk and are never n.
    sizes_a, sizes_b : float64 [n, curves], [m, curves]
        The statistic of every clip.
    curves, parcels : PermutationResult
        Tests of A - B for each curve (:func:`encoder.curves.curve_ids` without halves) and each of the 1000 parcels.
    parcel_difference : float64 [1000]
        Mean of A - B of every parcel, in the statistic's unit.
    counted : two tuples of int
        How many TRs of every clip of A and of B the statistic is taken over. Of a pair that can be laid TR on TR they are the rows valid in both,
        so that A and B are of the same moments.
    seed : int
        Of random relabellings; of no weight where all are used.
    """

    a: tuple[Result, ...]
    b: tuple[Result, ...]
    paired: bool
    statistic: str
    subject: int | None
    sizes_a: np.ndarray
    sizes_b: np.ndarray
    curves: PermutationResult
    parcels: PermutationResult
    parcel_difference: np.ndarray
    counted: tuple[tuple[int, ...], tuple[int, ...]]
    seed: int

    @property
    def calibrated(self) -> str:
        """Whether means of this model may be read as sizes: "yes", "no" or "unknown", from its card."""
        return str(self.a[0].responses.extra.get("calibrated", "unknown"))

    @property
    def who(self) -> str:
        """Whose responses these are, for people."""
        return "the mean of the subjects" if self.subject is None else self.a[0].responses.select((self.subject,)).subject_labels[0]

    @property
    def _shortest(self) -> str:
        """A sentence where clips are so short that no row is valid."""
        every = (*self.a, *self.b)
        short = sum(not result.responses.valid.any() for result in every)
        return f"No row rests on a full past in {short} of {len(every)} runs, which are too short: all their rows were taken." if short else ""

    def frame(self) -> pandas.DataFrame:
        """A row for each network and group: means, their difference, t, p, p corrected by the largest statistic, and q (FDR)."""
        import pandas

        tested = self.curves
        rows = {
            "label": [label_of(curve) for curve in tested_curves()],
            "a": self.sizes_a.mean(0),
            "b": self.sizes_b.mean(0),
            "difference": self.sizes_a.mean(0) - self.sizes_b.mean(0),
            "t": tested.t,
            "p": tested.p,
            "p_max": tested.p_max,
            "q_fdr": tested.q_fdr,
        }
        found = pandas.DataFrame(rows, index=pandas.Index(tested_curves(), name="curve"))
        about = {"n_a": len(self.a), "n_b": len(self.b), "paired": self.paired, "statistic": self.statistic, "exact": tested.exact}
        found.attrs.update(about, smallest_p=tested.smallest_p, n_permutations=tested.n_permutations, seed=self.seed, caption=self.caption)
        return found

    @property
    def caption(self) -> str:
        """What the p-values are, in words."""
        few, many = min(map(min, self.counted)), max(map(max, self.counted))
        span = f"{few} TRs" if few == many else f"{few} to {many} TRs a clip"
        n = f"{len(self.a)} pairs of clips" if self.paired else f"{len(self.a)} and {len(self.b)} clips"
        unit = "pair of clips" if self.paired else "clip"
        what = f"mean over the valid rows ({span}), z" if self.statistic == "mean" else f"logarithm of the SD over the valid rows ({span})"
        tested, moved = self.curves, "Signs" if self.paired else "Labels"
        drawn = f"all {tested.n_permutations} ways (exact)" if tested.exact else f"{tested.n_permutations} random ways (seed {self.seed})"
        uncalibrated = self.statistic == "mean" and self.calibrated != "yes"
        told = (
            f"{moved} of {n} permuted in {drawn}; {self.who}; statistic: {what}.",
            f"t is that of A - B. What is counted is the {unit}: subjects share one model and are never n.",
            f"The smallest p that can be reached is {tested.smallest_p:.2g}. p is two-sided; p_max is corrected over all {len(tested_curves())} rows "
            "by the largest statistic, q_fdr is the false discovery rate. It speaks of clips like these, not of people.",
            self._shortest,
            f"Averages over fewer than {FEW_ROWS} TRs are shaky: longer clips are better." if few < FEW_ROWS else "",
            "This model is not calibrated: its means are no sizes and rank no network." if uncalibrated else "",
            caption_for("sign_flip" if self.paired else "label_permutation", min(len(self.a), len(self.b))),
        )
        return " ".join(text for text in told if text)


def tested_curves() -> tuple[str, ...]:
    """Networks and groups, without their halves."""
    return tuple(curve for curve in curve_ids() if "-" not in curve)


def compare_sets(
    a: Sequence[Film | Result | Condition],
    b: Sequence[Film | Result | Condition] | str,
    *,
    paired: bool = False,
    statistic: Literal["mean", "spread"] | None = None,
    subject: int | None = None,
    model: Any = None,
    settings: Settings | None = None,
    seed: int = 0,
    allow_short: bool = False,
) -> Generator[Any, None, None]:
    """Compare two conditions over sets of clips.

    Parameters
    ----------
    a : sequence of films, finished results or conditions
    b : the same, or str
        A text is edits of every clip of ``a``, which makes pairs.
    paired : bool
        Whether ``a[k]`` and ``b[k]`` belong together.
    statistic : {"mean", "spread"}, optional
        By default "mean" where the model's card calls it calibrated, else "spread": a mean of such a model is not to be read.
    subject : int, optional
        By default the mean of the subjects.
    model, settings, allow_short : as for :func:`experiments.comparison.compare`
    seed : int
        Of random relabellings.

    Yields
    ------
    Stage
        Of every clip, all films being let in first; the last item is the :class:`SetComparison`.

    Raises
    ------
    StatisticsError
        ``too_few`` when 0.05 cannot be reached, before anything is computed.
    SelectionError
        For pairs of unequal number, more than 200 clips, or ``twice`` for a film that would be counted twice: before anything is predicted.
    """
    settings = settings or get_settings()
    edits = edits_text(parse_edits(b)) if isinstance(b, str) else None
    if edits == "":
        raise nothing_changed()
    paired = paired or edits is not None
    others = a if isinstance(b, str) else b
    if statistic is not None and statistic not in STATISTICS:
        said = f"Allowed values of statistic are {', '.join(STATISTICS)}, but got {str(statistic)[:40]!r} instead."
        raise StatisticsError("unknown_statistic", said, "Choose one of them.")
    if paired and len(a) != len(others):
        raise SelectionError("unequal_sets", f"Pairs need as many clips in A as in B, but got {len(a)} and {len(others)}.", "Add the missing clips.")
    if max(len(a), len(others)) > MOST_CLIPS:
        raise SelectionError("too_many_clips", f"A set holds at most {MOST_CLIPS} clips.", "Leave some out.")
    smallest_p(len(a), len(others), paired=paired)
    first_films = yield from passing_on(_let_in(a, settings, allow_short))
    second_films = [] if edits is not None else (yield from passing_on(_let_in(others, settings, allow_short)))
    no_film_twice(first_films, second_films, paired=paired)
    waiting = None
    if model is None or isinstance(model, str):
        waiting = WaitingModel(read(model or settings.model, settings=settings), device=settings.device)
    how = {"model": waiting or model, "settings": settings, "allow_short": allow_short}
    first, second = [], []
    try:
        for item in first_films:
            first.append((yield from passing_on(_result(item, waiting, film=edits is not None, **how))))
            if edits is not None:
                second.append((yield from passing_on(run_condition(changed(first[-1], edits), **how))))
        for item in second_films:
            second.append((yield from passing_on(_result(item, waiting, film=False, **how))))
    finally:
        if waiting is not None:
            waiting.close()
    yield of_results(first, second, paired=paired, statistic=statistic, subject=subject, seed=seed)


def of_results(
    a: Sequence[Result], b: Sequence[Result], *, paired: bool, statistic: str | None = None, subject: int | None = None, seed: int = 0
) -> SetComparison:
    """The tests of :func:`compare_sets` on finished results of one model.

    Raises
    ------
    StatisticsError
        ``too_few``.
    SelectionError
        ``models_differ``.
    """
    if len({result.responses.weights_sha256 for result in (*a, *b)}) > 1:
        raise SelectionError("models_differ", "These results come from different models.", "Run all clips with the same model.")
    if statistic is None:
        statistic = "mean" if a[0].responses.extra.get("calibrated") == "yes" else "spread"
    rows = _rows_of_pairs(a, b) if paired else tuple([counting_rows(result.responses.valid) for result in side] for side in (a, b))

    def sizes(*, parcels: bool) -> list[np.ndarray]:
        return [
            np.stack([_size(result, counted, statistic, subject, parcels=parcels) for result, counted in zip(side, of_side, strict=True)])
            for side, of_side in zip((a, b), rows, strict=True)
        ]

    of_a, of_b = sizes(parcels=False)
    parcels_a, parcels_b = sizes(parcels=True)
    first, second = (tuple(int(one.sum()) for one in of_side) for of_side in rows)
    if paired:
        curves, parcels = sign_flip(of_a - of_b, seed=seed), sign_flip(parcels_a - parcels_b, seed=seed)
    else:
        curves, parcels = label_permutation(of_a, of_b, seed=seed), label_permutation(parcels_a, parcels_b, seed=seed)
    apart = parcels_a.mean(0) - parcels_b.mean(0)
    return SetComparison(tuple(a), tuple(b), paired, statistic, subject, of_a, of_b, curves, parcels, apart, (first, second), seed)


def smallest_p(n: int, m: int, *, paired: bool) -> float:
    """The smallest p that a test of so many clips can reach, known before any film is computed.

    Raises
    ------
    StatisticsError
        ``too_few`` where that is above 0.05.
    """
    nothing = np.zeros((n, 1))
    return (sign_flip(nothing) if paired else label_permutation(nothing, np.zeros((m, 1)))).smallest_p


def no_film_twice(a: Sequence[Result | Condition], b: Sequence[Result | Condition], *, paired: bool) -> None:
    """Refuse a film that would be counted twice; of pairs, both sides of one pair may be the same film.

    Parameters
    ----------
    a, b : sequence of Result or Condition
        With films that were let in; ``b`` is empty where it is made of ``a``.
    paired : bool

    Raises
    ------
    SelectionError
        ``twice``.
    """
    counted = [tuple(pair) for pair in zip(a, b, strict=True)] if paired and b else [(one,) for one in (*a, *b)]
    seen: dict[str, str] = {}
    for together in counted:
        here: dict[str, str] = {}
        for item in together:
            sha256, name = (origin_of(item)[0], (item.clip if isinstance(item, Result) else item.film).name)
            if sha256 in seen:
                names = name if name == seen[sha256] else f"{name} and {seen[sha256]}"
                said = f"{names} is in the set twice" if name == seen[sha256] else f"{names} are the same film"
                raise SelectionError("twice", f"{said}, and a film counts once.", "Take one of them out.")
            here[sha256] = name
        seen |= here


def _let_in(items: Sequence[Film | Result | Condition], settings: Settings, allow_short: bool) -> Generator[Any, None, None]:
    """The items with their films let in; the last item is the list of them. What cannot be taken is said before anything is predicted."""
    found: list[Result | Condition] = []
    for item in items:
        if not isinstance(item, Result):
            condition = item if isinstance(item, Condition) else Condition(film=item)
            item = replace(condition, film=(yield from passing_on(admitted(condition.film, settings=settings, allow_short=allow_short))))
        found.append(item)
    yield found


def _result(item: Result | Condition, waiting: WaitingModel | None, *, film: bool, **how: Any) -> Generator[Any, None, None]:
    """The result of one clip; a finished one of this model is taken as it is, unless its film is still to be edited."""
    same = isinstance(item, Result) and (waiting is None or item.responses.weights_sha256 == waiting.weights_sha256)
    if same and not film:
        yield item
        return
    yield from first_result(item, waiting, **how)


def _rows_of_pairs(a: Sequence[Result], b: Sequence[Result]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Rows that count in A and in B of every pair: those valid in both where row k is the same moment in both, else each its own."""
    found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for first, second in zip(a, b, strict=True):
        valid, n_trs, time_map = [first.responses.valid, second.responses.valid], first.responses.n_trs, time_map_between(first, second)
        if time_map is not None and n_trs == second.responses.n_trs and time_map.keeps_rows(n_trs):
            valid = [valid[0] & valid[1]] * 2
        for side, rows in zip(found, valid, strict=True):
            side.append(counting_rows(rows))
    return found


def _size(result: Result, rows: np.ndarray, statistic: str, subject: int | None, *, parcels: bool) -> np.ndarray:
    """The statistic of one clip over the rows that count: float64 [curves] or [1000]."""
    responses = result.responses
    values = (responses.values.mean(0) if subject is None else responses.subject(subject))[rows].astype(np.float64)
    if not parcels:
        chosen = [curve_ids().index(curve) for curve in tested_curves()]
        values = curve_means(values)[:, chosen].astype(np.float64)
    if statistic == "mean":
        return values.mean(0)
    with np.errstate(divide="ignore"):
        return np.log(values.std(0))
