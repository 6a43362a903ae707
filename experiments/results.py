"""Results on disk: the files that `cli.py predict` writes, the page offers, and the examples are made of."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from encoder.responses import Responses
from experiments.predict import Result
from extractors.arrays import load_array
from extractors.clip import Clip
from extractors.errors import CacheError, CineglassError
from extractors.formats import read_transcript, write_transcript
from extractors.tr_table import no_words
from extractors.transcript import Transcript
from viz.export import write

FORM = 2
"""Version of this form, kept in ``responses.json``. 2 may hold the spread of an ensemble; a result of form 1 has none and is read as before."""

MEMBERS = {"spread": "spread.npy", "member_curves": "member_curves.npy"}
"""Files of what the members of an ensemble leave behind."""

COMPARISON = "comparison.json"
"""Makes a folder one of a comparison (:mod:`experiments.comparison_files`), whose A lies in ``a``."""

FILMS = ("film.mp4", "clip.mp4")
"""Names under which a film may lie beside its result."""


def save_result(result: Result, folder: str | os.PathLike, *, film: bool | str = False) -> Path:
    """Write a result.

    ``responses.npy`` float32 [subjects, TRs, 1000]; ``responses.json`` labels, units and provenance; ``networks.tsv`` network and group means;
    ``transcript.tsv`` the TR table; with ``film`` the canonical film too, under that name (True: ``film.mp4``), where the clip has one. The result
    of an ensemble has ``spread.npy`` float32 [subjects, TRs, 1000] too, the standard deviation between its members, and ``member_curves.npy``
    float32 [members, subjects, TRs, curves], named by :func:`encoder.curves.curve_ids`. All files are written beside their places before the
    first is renamed, and while they are renamed there is no ``responses.json``: a folder with it is whole.

    Parameters
    ----------
    result : Result
    folder : path
        Made when missing.
    film : bool or {"film.mp4", "clip.mp4"}

    Returns
    -------
    pathlib.Path

    Raises
    ------
    CacheError
        When the folder cannot be written.
    """
    folder = Path(folder)
    steps: dict[str, Callable[[Path], Any]] = {
        "responses.npy": lambda path: write(result.responses, "npy", path),
        "networks.tsv": lambda path: write(result.responses, "networks_tsv", path),
        "transcript.tsv": lambda path: write_transcript(result.transcript, path, "tsv"),
    }
    for part, name in MEMBERS.items():
        if result.responses.members:
            steps[name] = lambda path, part=part: write(result.responses, f"{part}_npy", path)
    if film and result.clip.has_film:
        steps[film if isinstance(film, str) else FILMS[0]] = lambda path: shutil.copyfile(result.clip.path, path)
    steps["responses.json"] = lambda path: write(result.responses, "json", path, more=_facts(result))
    parts = {name: folder / f".{name}.part" for name in steps}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            for name, make in steps.items():
                make(parts[name])
            (folder / "responses.json").unlink(missing_ok=True)
            of_another = set(MEMBERS.values()) | (set() if result.clip.has_film else set(FILMS))
            for name in of_another - set(parts):
                (folder / name).unlink(missing_ok=True)
            for name, part in parts.items():
                part.replace(folder / name)
        finally:
            for part in parts.values():
                part.unlink(missing_ok=True)
    except OSError as error:
        if isinstance(error, CineglassError):
            raise
        reason = (error.strerror or "it cannot be written").lower()
        raise CacheError("result_unwritable", f"The result could not be written: {reason}.", "Choose another folder, or free some space.") from None
    return folder


def holds_result(folder: str | os.PathLike) -> bool:
    """Whether a folder is one that :func:`save_result` wrote, or that of a comparison."""
    return any((Path(folder) / name).is_file() for name in ("responses.json", COMPARISON))


def result_folder(folder: str | os.PathLike) -> Path:
    """Where the result of a folder lies: the folder itself, or where it is that of a comparison its A."""
    folder = Path(folder)
    return folder / "a" if (folder / COMPARISON).is_file() else folder


def load_result(folder: str | os.PathLike) -> Result:
    """Read what :func:`save_result` wrote.

    The clip's path is the film in the folder; without one, as with a clip of words only, it does not exist.

    Raises
    ------
    CacheError
        When a file is missing or damaged, or they do not belong together.
    """
    folder = Path(folder)
    try:
        facts = json.loads((folder / "responses.json").read_text(encoding="utf-8"))
        if facts["form"] > FORM:
            raise CacheError("result_newer", "This result was written by a newer version of the program.", "Update the program to open it.")
        values = load_array(folder / "responses.npy")
        more = {part: load_array(folder / name) for part, name in MEMBERS.items() if facts.get("members")}
        responses = Responses.from_metadata(values, facts, **more)
        if not (folder / "transcript.tsv").is_file():
            raise FileNotFoundError(2, "", "transcript.tsv")
        film = next((folder / name for name in FILMS if (folder / name).is_file()), folder / FILMS[0])
        clip = Clip(path=film, samples_path=None, **_known(Clip, facts["clip"], notices=tuple))
        transcript = _transcript(folder, facts["transcript"], responses.n_trs)
        return Result(clip, transcript, responses, str(facts["run"]["id"]), dict(facts["run"]["seconds"]))
    except FileNotFoundError as error:
        missing = Path(error.filename or "a file").name
        raise CacheError("result_missing", f"This result is not here any more ({missing} is missing).", "Run the clip again.") from None
    except (KeyError, TypeError, ValueError, AttributeError, EOFError):
        raise CacheError("result_damaged", "The files of this result are damaged or do not belong together.", "Run the clip again.") from None


def _facts(result: Result) -> dict[str, Any]:
    """What ``responses.json`` keeps besides the responses' own metadata; no path of this machine."""
    clip = {key: value for key, value in asdict(result.clip).items() if key not in ("path", "samples_path")}
    tables = ("text_per_tr", "words_per_tr", "onsets_per_tr", "durations_per_tr")
    transcript = {key: value for key, value in asdict(result.transcript).items() if key not in tables}
    return {"form": FORM, "run": {"id": result.run_id, "seconds": result.seconds}, "clip": clip, "transcript": transcript}


def _transcript(folder: Path, facts: dict[str, Any], n_trs: int) -> Transcript:
    """The table from its file, and what only the JSON knows about it."""
    known = _known(Transcript, facts, notices=tuple, edited_rows=tuple)
    if facts["source"] == "none":
        return replace(no_words(n_trs), **known)
    return replace(read_transcript(folder / "transcript.tsv", n_trs), **known)


def _known(cls: type, facts: dict[str, Any], **convert: Callable[[Any], Any]) -> dict[str, Any]:
    names = {item.name for item in fields(cls)}
    return {key: convert.get(key, lambda value: value)(value) for key, value in facts.items() if key in names}
