"""Take it home: every file that can be made from a finished result, as one job for the page, the command line and the API.

Each export lands with a JSON sidecar that says what it is and how to make it again. Long ones tell how far they are and can be stopped.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.predict import Result
from extractors.errors import CacheError, CineglassError, SelectionError
from extractors.in_thread import Tell, in_thread
from extractors.stages import Stage, passing_on
from viz.figures import STRIP_ROWS
from viz.look import Look

if TYPE_CHECKING:
    from encoder.cards import Card
    from experiments.examples import Example

NAME_MAX = 60
NO_FILM = "The result holds no film (predict keeps one with --film), so the file shows brains and curves without it."


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes
    ----------
    id : str
    group, label, note : str
        For people: where it stands, what it is called, what it holds.
    endings : tuple of str
        Of the files it makes, the sidecar left out; the whole ending ("_hemi-L.func.gii").
    takes : frozenset of str
        What it asks for beside subject and look: "tr" (one TR), "rows" (some TRs), "minus" (TRs to subtract), "film".
    long : bool
        Takes more than a few seconds.
    space : str
        Where its values lie, as the sidecar says it: "volume", "surface" or "both".
    """

    id: str
    group: str
    label: str
    note: str
    endings: tuple[str, ...]
    takes: frozenset[str] = frozenset()
    long: bool = False
    space: str = "volume"

    @property
    def drawn(self) -> bool:
        """Whether it is a picture or a player, which a look changes; the others hold the values as they are."""
        return self.group in (PICTURES, FILMS) or self.id == "html"


def _kind(id: str, group: str, label: str, note: str, *endings: str, takes: str = "", long: bool = False, space: str = "volume") -> Kind:
    return Kind(id, group, label, note, endings, frozenset(takes.split()), long, space)


PICTURES, FILMS, VOLUMES, TABLES, WHOLE = "Pictures", "Films", "Brain images", "Tables", "Everything"

KINDS: tuple[Kind, ...] = (
    _kind("moment-png", PICTURES, "This moment, PNG", "glass brain, surface, curves and words at one TR; 300 dpi", ".png", takes="tr", long=True),
    _kind("moment-svg", PICTURES, "This moment, SVG", "the same for a paper, text as text", ".svg", takes="tr", long=True),
    _kind("strip-png", PICTURES, "Strip of TRs, PNG", "two to eight TRs side by side; 300 dpi", ".png", takes="rows", long=True),
    _kind("strip-svg", PICTURES, "Strip of TRs, SVG", "the same for a paper", ".svg", takes="rows", long=True),
    _kind("networks-png", PICTURES, "Network curves, PNG", "seven networks over the film", ".png"),
    _kind("networks-svg", PICTURES, "Network curves, SVG", "the same for a paper", ".svg"),
    _kind("networks-pdf", PICTURES, "Network curves, PDF", "the same for print", ".pdf"),
    _kind("mp4", FILMS, "Film, MP4", "film, words, brains and curves together, with the sound", ".mp4", takes="rows film", long=True),
    _kind("film-gif", FILMS, "Film, GIF", "five pictures a second, no sound: for a few TRs", ".gif", takes="rows film", long=True),
    _kind("gif", FILMS, "Brains, GIF", "brains and curves, one picture a TR, each 1.49 s long", ".gif", takes="rows", long=True),
    _kind("bids", WHOLE, "BIDS derivatives, ZIP", "every subject, with atlas, methods text and citations", ".zip", long=True),
    _kind("html", WHOLE, "Player, HTML", "one file with its film; opens without a server or a network", ".html", takes="film", long=True),
    _kind("npy", TABLES, "Parcels by TRs, NumPy", "float32 [TRs, 1000], z, of the subject shown", ".npy"),
    _kind("tsv", TABLES, "Parcels by TRs, TSV", "one column a parcel, of the subject shown", ".tsv"),
    _kind("nifti-mean", VOLUMES, "Mean, NIfTI", "mean over the TRs, 2 mm, MNI152NLin6Asym", ".nii.gz", takes="rows"),
    _kind("nifti-tr", VOLUMES, "This TR, NIfTI", "one TR, 2 mm, MNI152NLin6Asym", ".nii.gz", takes="tr"),
    _kind("nifti-contrast", VOLUMES, "Contrast, NIfTI", "mean of some TRs minus the mean of others", ".nii.gz", takes="rows minus"),
    _kind("nifti-4d", VOLUMES, "All TRs, 4D NIfTI", "one volume a TR: large", ".nii.gz", takes="rows", long=True),
    _kind(
        "gifti",
        VOLUMES,
        "Surface series, GIFTI",
        "fsaverage5, one file a hemisphere",
        "_hemi-L.func.gii",
        "_hemi-R.func.gii",
        long=True,
        space="surface",
    ),
    _kind("ptseries", VOLUMES, "Parcel series, CIFTI", "1000 parcels by TRs", ".ptseries.nii", space="both"),
    _kind("pscalar", VOLUMES, "Parcel maps, CIFTI", "mean over the valid TRs, and this TR", ".pscalar.nii", takes="tr", space="both"),
)


@dataclass(frozen=True)
class Asked:
    """What an export is to show.

    Attributes
    ----------
    subject : int or None
        None for the mean of all.
    tr : int or None
        Row of kinds that show one.
    rows, minus : tuple of int or None
        Rows of kinds that take several (None: the valid ones, or all where a series is written), and rows to subtract.
    look : Look
    curves : tuple of str
        Curves that the player opens with; empty for the example's own.
    """

    subject: int | None = None
    tr: int | None = None
    rows: tuple[int, ...] | None = None
    minus: tuple[int, ...] | None = None
    look: Look = field(default_factory=Look)
    curves: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exported:
    """What was written: the files themselves, then the sidecar; and what a person should know about them."""

    kind: Kind
    files: tuple[Path, ...]
    sidecar: Path
    notices: tuple[str, ...] = ()


def find_kind(id: str) -> Kind:
    """A kind by its id; SelectionError for an unknown one."""
    for kind in KINDS:
        if kind.id == id:
            return kind
    known = ", ".join(kind.id for kind in KINDS)
    raise SelectionError("unknown_kind", f"There is no export {id!r}. Allowed values are {known}.", "Choose one of them.")


def parse_rows(text: str, n_trs: int) -> tuple[int, ...]:
    """Rows written by a person: numbers and ranges with commas between them, both ends counted ("10-19, 25").

    Raises
    ------
    SelectionError
        For anything else, and for a row that the result does not have.
    """
    rows: list[int] = []
    for part in text.replace("–", "-").split(","):
        found = re.fullmatch(r"\s*(\d{1,6})\s*(?:-\s*(\d{1,6})\s*)?", part)
        if found is None:
            got = part.strip()[:40]
            raise SelectionError("rows_unreadable", f"TRs are numbers and ranges such as 10-19, 25, but got {got!r} instead.", _of(n_trs))
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise SelectionError("rows_unreadable", f"A range of TRs goes upwards, but got {first}-{last} instead.", f"Write {last}-{first}.")
        if last >= n_trs:
            raise SelectionError("row_outside", f"Allowed TRs are 0 to {n_trs - 1}, but got {last} instead.", _of(n_trs))
        rows += range(first, last + 1)
    if len(set(rows)) != len(rows):
        raise SelectionError("rows_repeated", "A TR is named twice.", "Name each TR once.")
    return tuple(rows)


def _of(n_trs: int) -> str:
    return f"This result has TRs 0 to {n_trs - 1}."


def export(
    result: Result, kind: str, folder: str | os.PathLike, *, asked: Asked | None = None, card: Card | None = None, example: Example | None = None
) -> Generator[Any, None, None]:
    """Make one kind of file from a result, and its sidecar.

    Parameters
    ----------
    result : experiments.predict.Result
    kind : str
        Id of one of :data:`KINDS`.
    folder : path
        Made when missing; files of the same name are replaced.
    asked : Asked, optional
        By default the mean of all subjects, the middle valid TR, the look of the page.
    card : Card, optional
        Of the model, for the methods text.
    example : Example, optional
        Title, caption and first curves, where the result is an example; by default the clip's name and the seven networks.

    Yields
    ------
    Stage
        The last item is :class:`Exported`.

    Raises
    ------
    SelectionError
        For an unknown kind, subject or TR.
    CacheError
        When the files cannot be written; nothing half-written stays.
    """
    chosen = find_kind(kind)
    asked = _checked(chosen, asked or Asked(), result)
    folder = Path(folder)
    stem = file_stem(result, chosen, asked)
    work = folder / f".{secrets.token_hex(4)}.part"
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            work.mkdir()
            order = _Order(result, chosen, asked, work, stem, card, example)
            made = yield from _MAKERS[chosen.id](order)
            done, sidecar = _put(order, made, folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        if isinstance(error, CineglassError):
            raise
        reason = (error.strerror or "it cannot be written").lower()
        raise CacheError("export_unwritable", f"The file could not be written: {reason}.", "Choose another folder, or free some space.") from None
    yield Exported(chosen, done, sidecar, order.notices)


def file_stem(result: Result, kind: Kind, asked: Asked) -> str:
    """Name of the files of an export, without ending: clip, subject, TRs and kind."""
    whole = kind.group == WHOLE
    who = "" if whole else f"_{_who_in_files(result, asked.subject)}"
    at = f"_tr-{asked.tr}" if "tr" in kind.takes and asked.tr is not None else ""
    for key, rows in (("trs", asked.rows if "rows" in kind.takes else None), ("minus", asked.minus if "minus" in kind.takes else None)):
        at += f"_{key}-{_rows_in_files(rows)}" if rows else ""
    return f"{safe_name(result.responses.clip_name)}{who}{at}_{_NAMES.get(kind.id, kind.id.partition('-')[0])}"


_NAMES = {
    "mp4": "film",
    "film-gif": "film",
    "gif": "brains",
    "html": "player",
    "npy": "parcels",
    "tsv": "parcels",
    "nifti-mean": "mean",
    "nifti-tr": "map",
    "nifti-contrast": "contrast",
    "nifti-4d": "series",
    "gifti": "series",
    "ptseries": "parcels",
    "pscalar": "maps",
}
"""What a file holds, as its name says it; the others are called by the first part of their id."""


def safe_name(text: str) -> str:
    """A clip's name as part of a file name: letters and digits of any language, hyphens, not long."""
    stem = text.rsplit(".", 1)[0] if re.search(r"\.\w{2,4}$", text) else text
    plain = re.sub(r"[\W_]+", "-", stem).strip("-").lower()
    return plain[:NAME_MAX].strip("-") or "clip"


def _rows_in_files(rows: tuple[int, ...]) -> str:
    """Rows as "20-29+35"; many pieces as first, last and how many, so that names stay short."""
    from viz.sidecar import row_runs

    text = row_runs(rows).replace(",", "+")
    return text if len(text) <= NAME_MAX // 2 else f"{rows[0]}-{rows[-1]}x{len(rows)}"


def _who_in_files(result: Result, subject: int | None) -> str:
    responses = result.responses
    return "mean" if subject is None else responses.subject_files[responses.subjects.index(subject)]


def _checked(kind: Kind, asked: Asked, result: Result) -> Asked:
    """The order with what was left out filled in; SelectionError for what the result does not have."""
    responses = result.responses
    rows, valid = responses.n_trs, np.flatnonzero(responses.valid)
    if asked.subject is not None:
        responses.subject(asked.subject)
    tr = asked.tr
    if "tr" in kind.takes and tr is None:
        tr = int(valid[len(valid) // 2]) if len(valid) else rows // 2
    for row in (*(() if tr is None else (tr,)), *(asked.rows or ()), *(asked.minus or ())):
        if not 0 <= row < rows:
            raise SelectionError("row_outside", f"Allowed TRs are 0 to {rows - 1}, but got {row} instead.", _of(rows))
    picked = asked.rows
    if kind.id.startswith("strip"):
        picked = picked or _spread(valid if len(valid) >= STRIP_ROWS[0] else np.arange(rows))
        fewest, most = STRIP_ROWS
        if not fewest <= len(picked) <= most:
            hint = "Name some, for example 10, 14, 18."
            raise SelectionError("strip_rows", f"A strip takes {fewest} to {most} TRs, but got {len(picked)} instead.", hint)
    if "minus" in kind.takes and (not picked or not asked.minus):
        hint = "Name the TRs to take and the TRs to subtract, for example 20-29 and 5-14."
        raise SelectionError("contrast_rows", "A contrast needs two sets of TRs.", hint)
    taken = {"tr": tr, "rows": picked, "minus": asked.minus}
    return replace(asked, **{name: value if name in kind.takes else None for name, value in taken.items()})


def _spread(rows: np.ndarray) -> tuple[int, ...]:
    """Up to six rows, evenly over the film."""
    return tuple(int(rows[round(place)]) for place in np.linspace(0, len(rows) - 1, min(6, len(rows))))


@dataclass(frozen=True, eq=False)
class _Order:
    """Everything a maker needs; it writes into ``folder``, and what it returns is moved to its place."""

    result: Result
    kind: Kind
    asked: Asked
    folder: Path
    stem: str
    card: Card | None
    example: Example | None

    @property
    def title(self) -> str:
        return self.example.title if self.example else self.result.responses.clip_name

    def path(self, ending: str | None = None) -> Path:
        return self.folder / f"{self.stem}{ending or self.kind.endings[0]}"

    @property
    def film(self) -> Path | None:
        """The canonical film, where it is still there."""
        return self.result.clip.path if self.result.clip.path.is_file() else None

    @property
    def notices(self) -> tuple[str, ...]:
        """What the files lack."""
        return (NO_FILM,) if "film" in self.kind.takes and self.film is None else ()


Maker = Callable[[_Order], Generator[Stage, None, tuple[Path, ...]]]


def _in_one_go(said: str, write: Callable[[_Order, Tell], Any]) -> Maker:
    """A maker of one file that is written in one go."""

    def make(order: _Order) -> Generator[Stage, None, tuple[Path, ...]]:
        def work(tell: Tell) -> tuple[Path, ...]:
            write(order, tell)
            tell(1)
            return (order.path(),)

        return (yield from in_thread("export", 1, said, work))

    return make


def _moment(order: _Order, tell: Tell) -> None:
    from viz.export import save_figure
    from viz.figures import moment_figure

    asked = order.asked
    figure = moment_figure(order.result.responses, asked.tr, subject=asked.subject, look=asked.look, transcript=order.result.transcript, tell=tell)
    save_figure(figure, order.path(), order.path().suffix[1:])


def _strip(order: _Order, tell: Tell) -> None:
    from viz.export import save_figure
    from viz.figures import strip_figure

    asked = order.asked
    figure = strip_figure(order.result.responses, asked.rows, subject=asked.subject, look=asked.look, tell=tell)
    save_figure(figure, order.path(), order.path().suffix[1:])


def _networks(order: _Order, tell: Tell) -> None:
    from viz.export import write_networks

    look, format = order.asked.look, order.path().suffix[1:]
    write_networks(order.result.responses, order.path(), format, subject=order.asked.subject, lag=look.lag, dark=look.dark)


def _nifti(order: _Order, tell: Tell) -> None:
    from viz.volumes import write_nifti

    asked = order.asked
    rows = None if asked.tr is not None else asked.rows or "valid"
    write_nifti(order.result.responses, order.path(), subject=asked.subject, tr=asked.tr, rows=rows, minus=asked.minus)


def _npy(order: _Order, tell: Tell) -> None:
    from viz.look import values_of

    with order.path().open("wb") as file:
        np.save(file, np.ascontiguousarray(values_of(order.result.responses, order.asked.subject), np.float32), allow_pickle=False)


def _tsv(order: _Order, tell: Tell) -> None:
    from viz.export import write_parcels_tsv

    write_parcels_tsv(order.result.responses, order.path(), subject=order.asked.subject)


def _film(order: _Order) -> Generator[Stage, None, tuple[Path, ...]]:
    from viz.film import film_stages

    asked, path = order.asked, order.path()
    film = order.film if "film" in order.kind.takes else None
    transcript = order.result.transcript if film else None
    how = {"subject": asked.subject, "look": asked.look, "rows": asked.rows, "title": order.title}
    yield from passing_on(film_stages(order.result.responses, path, film=film, transcript=transcript, **how))
    return (path,)


def _nifti_series(order: _Order) -> Generator[Stage, None, tuple[Path, ...]]:
    from viz.volumes import nifti_stages

    asked, path = order.asked, order.path()
    yield from passing_on(nifti_stages(order.result.responses, path, subject=asked.subject, rows=asked.rows, mean=False))
    return (path,)


def _gifti(order: _Order) -> Generator[Stage, None, tuple[Path, ...]]:
    from viz.surfaces import gifti_stages

    return tuple((yield from passing_on(gifti_stages(order.result.responses, order.folder / order.stem, subject=order.asked.subject))))


def _ptseries(order: _Order, tell: Tell) -> None:
    from viz.cifti import write_ptseries

    write_ptseries(order.result.responses, order.path(), subject=order.asked.subject)


def _pscalar(order: _Order, tell: Tell) -> None:
    from viz.cifti import write_pscalar
    from viz.picked import pick

    responses, asked = order.result.responses, order.asked
    now = pick(responses, subject=asked.subject, tr=asked.tr)
    maps = {now.what: now.values[0]}
    if responses.valid.any():
        maps["mean of the valid TRs"] = pick(responses, subject=asked.subject, rows="valid").values[0]
    facts = {"ModelId": responses.model_id, "Shows": now.who, "Unit": responses.units}
    write_pscalar(maps, order.path(), simulated=responses.simulated, facts=facts)


def _bids(order: _Order) -> Generator[Stage, None, tuple[Path, ...]]:
    from viz.bids import write_bids

    result, path = order.result, order.path()
    yield from passing_on(write_bids(result.responses, result.transcript, path, title=order.title, card=order.card))
    return (path,)


def _html(order: _Order) -> Generator[Stage, None, tuple[Path, ...]]:
    from experiments.trust_layers import layers, trust
    from viz.player_page import write_html

    result, path = order.result, order.path()
    caption, curves = (order.example.caption, order.example.opens_with) if order.example else (None, ())
    how = {"film": order.film, "title": order.title, "caption": caption, "opens_with": order.asked.curves or curves, "look": order.asked.look}
    how |= {"layers": layers(result.responses), "trust": trust(result.responses, order.card)}
    yield from passing_on(write_html(result.responses, result.transcript, path, **how))
    return (path,)


_MAKERS: Mapping[str, Maker] = {
    "moment-png": _in_one_go("Drawing this moment", _moment),
    "moment-svg": _in_one_go("Drawing this moment", _moment),
    "strip-png": _in_one_go("Drawing the strip", _strip),
    "strip-svg": _in_one_go("Drawing the strip", _strip),
    "networks-png": _in_one_go("Drawing the curves", _networks),
    "networks-svg": _in_one_go("Drawing the curves", _networks),
    "networks-pdf": _in_one_go("Drawing the curves", _networks),
    "mp4": _film,
    "film-gif": _film,
    "gif": _film,
    "nifti-mean": _in_one_go("Writing the volume", _nifti),
    "nifti-tr": _in_one_go("Writing the volume", _nifti),
    "nifti-contrast": _in_one_go("Writing the volume", _nifti),
    "nifti-4d": _nifti_series,
    "gifti": _gifti,
    "ptseries": _in_one_go("Writing the series", _ptseries),
    "pscalar": _in_one_go("Writing the maps", _pscalar),
    "npy": _in_one_go("Writing the table", _npy),
    "tsv": _in_one_go("Writing the table", _tsv),
    "bids": _bids,
    "html": _html,
}


def _put(order: _Order, made: tuple[Path, ...], folder: Path) -> tuple[tuple[Path, ...], Path]:
    """Move the files to their place and write the sidecar beside them: all of it, or nothing."""
    done: list[Path] = []
    try:
        for path in made:
            done.append(path.replace(folder / path.name))
        return tuple(done), _sidecar(order, made, folder)
    except (OSError, CineglassError):
        for path in done:
            path.unlink(missing_ok=True)
        raise


def _sidecar(order: _Order, made: tuple[Path, ...], folder: Path) -> Path:
    from viz.sidecar import facts, write_sidecar

    result, kind, asked = order.result, order.kind, order.asked
    shown = {
        "kind": kind.id,
        "description": f"{kind.label}: {kind.note}",
        "files": [path.name for path in made],
        "subject": asked.subject,
        "tr": asked.tr,
        "rows": asked.rows,
        "minus": asked.minus,
        "notices": order.notices or None,
    }
    look = asked.look if kind.drawn else None
    # in its place at once: there it sees whether the name is that of another file's sidecar
    return write_sidecar(folder / made[0].name, facts(result.responses, transcript=result.transcript, look=look, made=shown, space=kind.space))
