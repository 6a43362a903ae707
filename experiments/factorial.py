"""Two-by-two designs: two changes crossed, or the pictures of two films with the sound of either."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.contrasts import interval
from analysis.factorial import CELLS, TwoByTwo, two_by_two
from encoder.curves import curve_ids
from encoder.ensemble import read
from encoder.waiting_model import WaitingModel
from experiments.comparison import clip_of
from experiments.conditions import Condition, run_condition, time_map_of
from experiments.findings import label_of
from experiments.intake import Film, admitted
from experiments.null_band import curves_with_mean
from experiments.predict import Result
from extractors.clip import Clip
from extractors.edit_language import edits_text, parse_edits, words_policy
from extractors.errors import SelectionError
from extractors.grid import TR, counting_rows
from extractors.stages import passing_on
from settings import Settings, get_settings

if TYPE_CHECKING:
    import pandas

EFFECTS = ("first", "second", "interaction")


@dataclass(frozen=True, eq=False)
class Factorial:
    """Four conditions of equal rows and what the two factors do.

    Attributes
    ----------
    cells : dict of (0 or 1, 0 or 1) to Result
        Level of the first and of the second factor; (0, 0) is the film as it is.
    factors : tuple of two str
        Their names, for people.
    levels : tuple of two pairs of str
        Names of level 0 and 1 of each.
    seed : int
        Of the intervals.
    """

    cells: dict[tuple[int, int], Result]
    factors: tuple[str, str]
    levels: tuple[tuple[str, str], tuple[str, str]]
    seed: int = 0

    @property
    def valid(self) -> np.ndarray:
        """Rows valid in all four cells, bool [T]; all rows where none is."""
        both = np.logical_and.reduce([result.responses.valid for result in self.cells.values()])
        return counting_rows(both)

    @cached_property
    def curves(self) -> dict[tuple[int, int], np.ndarray]:
        """Curves of every cell with the mean of the subjects last: float32 [S + 1, T, curves]."""
        return {cell: curves_with_mean(result.responses) for cell, result in self.cells.items()}

    @cached_property
    def effects(self) -> TwoByTwo:
        """Of the curves: ``mean`` and ``size`` float64 [S + 1, curves], ``values`` [S + 1, T, curves]."""
        return two_by_two(self.curves, self.valid)

    def frame(self, subject: int | None = None) -> pandas.DataFrame:
        """A row for each curve: mean and size of both main effects and of the interaction, and the interval of each mean.

        Parameters
        ----------
        subject : int, optional
            By default the mean of the subjects.
        """
        import pandas

        responses = self.cells[0, 0].responses
        place = len(responses.subjects) if subject is None else responses.subjects.index(subject)
        columns: dict[str, Any] = {"label": [label_of(curve) for curve in curve_ids()]}
        for name in EFFECTS:
            effect = getattr(self.effects, name)
            low, high = interval(effect.values[place], np.zeros_like(effect.values[place]), self.valid, statistic="difference", seed=self.seed)
            columns |= {name: effect.mean[place], f"{name}_low": low, f"{name}_high": high, f"{name}_size": effect.size[place]}
        found = pandas.DataFrame(columns, index=pandas.Index(curve_ids(), name="curve"))
        about = {"factors": self.factors, "levels": self.levels, "simulated": responses.simulated, "model": responses.model_id}
        found.attrs.update(about, calibrated=responses.extra.get("calibrated", "unknown"))
        return found


def crossed(
    film: Film | Result | Condition,
    first: str,
    second: str,
    *,
    factors: tuple[str, str] = ("first change", "second change"),
    model: Any = None,
    settings: Settings | None = None,
    seed: int = 0,
    allow_short: bool = False,
) -> Generator[Any, None, None]:
    """Cross two edits of one film: as it is, with the first, with the second, with both.

    Parameters
    ----------
    film : path, Clip, Result or Condition
        Of a condition its film, words and recogniser count.
    first, second : str
        In the language of :mod:`extractors.edit_language`; see :func:`crossable` for what cannot be crossed.
    factors : tuple of two str
    model, settings, allow_short : as for :func:`experiments.comparison.compare`
    seed : int

    Yields
    ------
    Stage
        Of every cell; the last item is the :class:`Factorial`. An effect is level 1 (changed) minus level 0 (as it is).

    Raises
    ------
    SelectionError
        Those of :func:`crossable`.
    """
    texts = crossable(first, second)
    settings = settings or get_settings()
    if isinstance(film, Result):
        base = Condition(film=(yield from passing_on(clip_of(film, settings=settings))), transcript=film.transcript)
    else:
        base = film if isinstance(film, Condition) else Condition(film=film)
    chosen = {(0, 0): "", (0, 1): texts[1], (1, 0): texts[0], (1, 1): both(*texts)}
    conditions = {cell: replace(base, edits=text, lesions="") for cell, text in chosen.items()}
    levels = (("as it is", texts[0]), ("as it is", texts[1]))
    yield from factorial(conditions, factors=factors, levels=levels, model=model, settings=settings, seed=seed, allow_short=allow_short)


def crossable(first: str, second: str) -> tuple[str, str]:
    """Two texts of edits that can be crossed, canonical.

    Raises
    ------
    SelectionError
        ``nothing_changed`` for an empty one; ``time_moves`` for one that moves the film in time; ``same_change`` and ``same_words`` where the second
        would do nothing beside the first.
    EditError
        For a text that cannot be read.
    """
    read = [parse_edits(text) for text in (first, second)]
    for edits in read:
        if not edits:
            raise SelectionError("nothing_changed", "A design needs two changes.", "Choose both, for example blank and mute.")
        if moved := [edit for edit in edits if "time" in edit.touches]:
            said = f"{moved[0].kind.label} moves the film in time, so the four conditions could not be compared TR by TR."
            raise SelectionError("time_moves", said, "Choose a change that leaves time alone.")
    if read[0][0].name == read[1][0].name:
        raise SelectionError("same_change", "Both changes are of one kind, and the second would replace the first.", "Choose another change.")
    for edits, rest in (read, read[::-1]):
        if all(edit.name == "words" for edit in edits) and words_policy(rest) == words_policy(edits):
            said = "The other change takes the words away already, so taking them away cannot be crossed with it."
            raise SelectionError("same_words", said, "Choose one that leaves the words to be read, as muting with words still read does.")
    return edits_text(read[0]), edits_text(read[1])


def both(first: str, second: str) -> str:
    """Two texts of edits as one. Where both say what the model reads, the second's statement holds."""
    edits = parse_edits(second)
    if any(edit.name == "words" for edit in edits):
        first = edits_text([edit for edit in parse_edits(first) if edit.name != "words"])
    return "; ".join(text for text in (first, second) if text)


def pictures_by_sounds(
    one: Film | Result,
    other: Film | Result,
    *,
    names: tuple[str, str] | None = None,
    model: Any = None,
    settings: Settings | None = None,
    seed: int = 0,
    allow_short: bool = False,
) -> Generator[Any, None, None]:
    """Two pictures by two sound tracks: both films, and each with the sound of the other.

    The longer film is cut to the length of the shorter one first, so that all four cells have equal rows; words are heard in each sound.

    Parameters
    ----------
    one, other : path, Clip or Result
    names : tuple of two str
        What people call them; by default the names of their files.
    model, settings, seed, allow_short : as for :func:`crossed`

    Yields
    ------
    Stage
        The last item is the :class:`Factorial`; the first factor is the picture, the second the sound.

    Raises
    ------
    SelectionError
        ``same_clip`` when both are one film.
    CineglassError
        What admitting, editing and predicting raise.
    """
    settings = settings or get_settings()
    films: list[Clip] = []
    for film in (one, other):
        entering = clip_of(film, settings=settings) if isinstance(film, Result) else admitted(film, settings=settings, allow_short=allow_short)
        films.append((yield from passing_on(entering)))
    if films[0].sha256 == films[1].sha256:
        raise SelectionError("same_clip", "Both clips are the same film: there is nothing to cross.", "Choose another clip.")
    if names is None:
        names = (films[0].name, films[1].name)
        names = names if names[0] != names[1] else (f"{names[0]} (first)", f"{names[1]} (second)")
    conditions = swapped_sounds(*films)
    how = {"model": model, "settings": settings, "seed": seed, "allow_short": allow_short}
    yield from factorial(conditions, factors=("picture", "sound"), levels=(names, names), **how)


def swapped_sounds(one: Clip, other: Clip) -> dict[tuple[int, int], Condition]:
    """The four conditions of two pictures by two sounds; the longer film is cut to the length of the shorter one."""
    films = (one, other)
    rows = min(film.n_trs for film in films)
    cut = ["" if film.n_trs == rows else f"trim start=0 end={rows * TR:.2f}" for film in films]
    return {
        (i, j): Condition(
            film=films[i],
            edits="; ".join(text for text in (cut[i], "sound clip=other" if i != j else "") if text),
            others={"other": films[1 - i]},
        )
        for i, j in CELLS
    }


def factorial(
    conditions: Mapping[tuple[int, int], Condition],
    *,
    factors: tuple[str, str],
    levels: tuple[tuple[str, str], tuple[str, str]],
    model: Any = None,
    settings: Settings | None = None,
    seed: int = 0,
    allow_short: bool = False,
) -> Generator[Any, None, None]:
    """Run the four conditions of a design; see :func:`crossed`."""
    settings = settings or get_settings()
    waiting = None
    if model is None or isinstance(model, str):
        waiting = WaitingModel(read(model or settings.model, settings=settings), device=settings.device)
    cells: dict[tuple[int, int], Result] = {}
    try:
        for cell in CELLS:
            job = run_condition(conditions[cell], model=waiting or model, settings=settings, allow_short=allow_short)
            cells[cell] = yield from passing_on(job)
    finally:
        if waiting is not None:
            waiting.close()
    rows = [result.responses.n_trs for result in cells.values()]
    if len(set(rows)) > 1 or not all(time_map_of(result).is_identity or _cut(result) for result in cells.values()):
        said = f"The four conditions have {', '.join(map(str, rows))} TRs, or show another moment in the same TR: effects cannot be taken TR by TR."
        raise SelectionError("rows_differ", said, "Choose edits that leave the film's time as it is.")
    yield Factorial(cells, factors, levels, seed)


def _cut(result: Result) -> bool:
    """Whether a film was only cut at its end: TR k is still TR k."""
    pieces = time_map_of(result).pieces
    return len(pieces) == 1 and pieces[0].start == pieces[0].source_start == 0 and abs(pieces[0].end - pieces[0].source_end) < 1e-6
