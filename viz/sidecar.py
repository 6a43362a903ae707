"""The JSON file beside an export: what it is, and everything needed to make it again.

Field names are those of BIDS where BIDS has one (RepetitionTime, StartTime, Units, SpatialReference), else of the same make. There is no date and no
place of this machine in it: equal results give equal bytes. SIMULATED is said where it is so.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shlex
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from encoder.responses import Responses
from encoder.surface import MADE
from extractors.formats import to_string
from extractors.tr_table import clean
from extractors.transcript import Transcript
from viz.methods import PROGRAM, program_version, rows_in_words
from viz.picked import runs
from viz.volumes import SPACE
from viz.writing import whole_file

if TYPE_CHECKING:
    from viz.look import Look

PACKAGES = ("numpy", "torch", "transformers", "av", "scikit-learn", "nilearn", "nibabel", "faster-whisper", "pocketsphinx", "matplotlib")
"""Whose versions may show in a result or a picture; those that are not installed are left out."""

ENDINGS = (".nii.gz", ".func.gii", ".ptseries.nii", ".pscalar.nii", ".tsv.gz")
"""Endings of more than one part."""

NO_SEED = "none: nothing random is drawn when a film is predicted"


def facts(
    responses: Responses, *, transcript: Transcript | None = None, look: Look | None = None, made: Mapping[str, Any], space: str = "volume"
) -> dict[str, Any]:
    """What a sidecar says.

    Parameters
    ----------
    responses : Responses
        The whole result, also where the file shows a part of it.
    transcript : Transcript, optional
        The words that the model was given.
    look : Look, optional
        Range, threshold, colours and lag of a picture.
    made : mapping
        What the file shows: ``kind`` (as ``cli.py export`` names it) and what was asked of it, for instance ``subject``, ``tr``, ``rows``;
        JSON-able. ``description`` becomes the field Description, ``notices`` the field Notices.
    space : {"volume", "surface", "both"}
        Where the file's values lie; a table of parcels, or a picture, is about the volume.

    Returns
    -------
    dict
        JSON-able, without paths of this machine; always in the same order.
    """
    made = {key: value for key, value in made.items() if value is not None}
    said = {key.title(): made.pop(key) for key in ("description", "notices") if key in made}
    first = int(next(iter(made.get("rows", ())), made.get("tr", 0)))
    lag = 0.0 if look is None else look.lag
    kept = np.flatnonzero(responses.valid)
    found = {
        **said,
        "Simulated": responses.simulated,
        "About": _ABOUT[responses.simulated],
        "RepetitionTime": responses.tr,
        "StartTime": round((first + 0.5) * responses.tr, 6),
        "TimeOfRows": "Row k, counted from 0, stands for film time (k + 0.5) * RepetitionTime seconds, the middle of its TR.",
        "SampleUnit": "TR",
        "LagMode": f"shifted back {lag:g} s" if lag else "with BOLD delay, as predicted",
        "Units": responses.units,
        "UnitsDescription": "z against the parcel's own level in the training data",
        **_SPACES[space],
        "AtlasName": "Schaefer 2018, 1000 parcels, 7 networks",
        "AtlasHash": responses.atlas_hash,
        "Rows": responses.n_trs,
        "ValidRows": rows_in_words(kept),
        "Subjects": dict(zip(responses.subject_files, responses.subject_labels, strict=True)),
        "ModelId": responses.model_id,
        "ModelTitle": responses.model_title,
        "WeightsSha256": responses.weights_sha256,
        "Members": list(responses.members),
        "ExtractorIds": responses.extractor_ids,
        "ClipName": responses.clip_name,
        "ClipSha256": responses.clip_sha256,
        "ClipDuration": responses.duration,
        "StreamsPresent": responses.present,
        "TranscriptSource": responses.transcript_source,
        **_words(transcript),
        "Edits": list(responses.edits),
        "Lesions": list(responses.lesions),
        "Seed": responses.extra.get("seed", NO_SEED),
        "Settings": {key: value for key, value in responses.extra.items() if key != "seed"},
        "Warnings": list(responses.warnings),
        "SoftwareVersions": "; ".join(f"{name} {version}" for name, version in software().items()),
        "Hardware": hardware(responses),
        "Shown": made,
        **({"Look": {**look.as_dict(), "range": look.range_of(responses)}} if look is not None else {}),
        "HowToRepeat": list(commands(responses, look, made)),
    }
    return without_places(found)


def software() -> dict[str, str]:
    """Versions of the program, of Python, and of the installed packages out of :data:`PACKAGES`."""
    found = {PROGRAM.lower(): program_version(), "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware(responses: Responses) -> str:
    """Where the parts of the model ran, where that was planned, and on what kind of machine the file was written."""
    plan = responses.extra.get("plan")
    parts = plan.get("parts", []) if isinstance(plan, Mapping) else []
    ran = [f"{part['name']} on {part['device']} ({part['dtype']})" for part in parts if {"name", "device", "dtype"} <= set(part)]
    return "; ".join([*ran, f"written on {platform.machine()}, {platform.system()}"])


def commands(responses: Responses, look: Look | None, made: Mapping[str, Any]) -> tuple[str, str]:
    """Two lines for a shell: the prediction from the film, then the export from the result.

    ``film`` is the file of ``ClipSha256`` and ``transcript.tsv`` the table of ``TranscriptSha256``; names are quoted for a POSIX shell.
    """
    name = _last_part(clean(responses.clip_name))
    film = "film" if name in ("", ".", "..") else f"./{name}" if name.startswith("-") else name
    words = ["--no-speech"] if responses.transcript_source == "none" else ["--transcript", "transcript.tsv"]
    who = ["--model", _without_place(responses.model_id), "--subjects", ",".join(map(str, responses.subjects))]
    predict = ["python", "cli.py", "predict", film, *who, *words, "--out", "result", "--film"]
    export = ["python", "cli.py", "export", "result", str(made.get("kind", ""))]
    for key in ("subject", "tr", "rows", "minus"):
        if made.get(key) is not None:
            export += [f"--{key}", _as_option(made[key])]
    for key, value in _changed(look).items():
        export += [f"--{key}"] if value is True else [f"--{key}", _as_option(value)]
    return shlex.join(predict), shlex.join([*export, "--out", "."])


def sidecar_name(target: str) -> str:
    """Name of the sidecar of a file: its own without the whole ending, and ``.json``."""
    ending = next((ending for ending in ENDINGS if target.lower().endswith(ending)), os.path.splitext(target)[1])
    return f"{target[: len(target) - len(ending)] if ending else target}.json"


def write_sidecar(target_path: str | os.PathLike, facts: Mapping[str, Any]) -> Path:
    """Write the facts beside a file.

    Parameters
    ----------
    target_path : path
        The file that they are about; it need not exist.
    facts : mapping
        As :func:`facts` gives them.

    Returns
    -------
    pathlib.Path
        ``<name without its whole ending>.json``; ``<name>.json`` where that name is taken by the sidecar of another file.

    Raises
    ------
    CacheError
        When it cannot be written; nothing half-written stays.
    """
    target = Path(target_path)
    path = target.with_name(sidecar_name(target.name))
    if path == target or (path.exists() and _is_about(path) != target.name):
        path = target.with_name(f"{target.name}.json")
    with whole_file(path, "sidecar") as part:
        part.write_text(to_json({"File": target.name, **facts}), encoding="utf-8", newline="\n")
    return path


def to_json(content: Any) -> str:
    """JSON with one fact on each line, letters of all languages as they are."""
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def without_places(content: Any) -> Any:
    """JSON-able content in which every text that is a place on a machine keeps its last part only, and no text breaks UTF-8."""
    if isinstance(content, Mapping):
        return {clean(str(key)): without_places(value) for key, value in content.items()}
    if isinstance(content, str):
        return _without_place(clean(content))
    if isinstance(content, (list, tuple, np.ndarray)):
        return [without_places(value) for value in content]
    return content.item() if isinstance(content, np.generic) else content


_SURFACE = f"vertices of fsaverage5; the parcels were {MADE}"
_SPACES = {
    "volume": {"Space": SPACE, "SpaceDescription": "FSL's MNI152, 2 mm; coordinates of parcels are centroids in the same space"},
    "surface": {"Space": "fsaverage5", "SpaceDescription": _SURFACE},
    "both": {"Space": SPACE, "SpaceDescription": f"FSL's MNI152, 2 mm; each parcel also names {_SURFACE}"},
}

_ABOUT = {
    True: "SIMULATED. No brain was measured; the model was trained on simulated subjects.",
    False: "Predicted by a model, not measured: nobody watched this film in a scanner.",
}

_PLACE = re.compile(r"(?:/|~[/\\]|\.{1,2}[/\\]|[A-Za-z]:[/\\]|\\\\|file:/)\S")
_PLACE_INSIDE = re.compile(rf"(?<=\s){_PLACE.pattern}+")


def _without_place(text: str) -> str:
    """A text that is a place on a machine, or holds one as a word of its own, with the last part of it only; "owner/model" stays whole."""
    if _PLACE.match(text):
        return _last_part(text)
    return _PLACE_INSIDE.sub(lambda found: _last_part(found[0]), text)


def _last_part(text: str) -> str:
    return re.split(r"[/\\]", text.rstrip("/\\"))[-1]


def _words(transcript: Transcript | None) -> dict[str, Any]:
    if transcript is None:
        return {}
    return {
        "TranscriptSha256": hashlib.sha256(to_string(transcript, "tsv").encode("utf-8", "replace")).hexdigest(),
        "TranscriptWords": transcript.n_words,
        "TranscriptTiming": transcript.timing,
        "TranscriptLanguage": transcript.language,
        "TranscriptEditedRows": list(transcript.edited_rows),
    }


def _changed(look: Look | None) -> dict[str, Any]:
    """Settings of a look that are not the default."""
    if look is None:
        return {}
    usual = type(look)().as_dict()
    return {key: value for key, value in look.as_dict().items() if value != usual.get(key)}


def _as_option(value: Any) -> str:
    """A value as the command line takes it; every digit of a number."""
    if not isinstance(value, (list, tuple, np.ndarray)):
        return repr(float(value)).removesuffix(".0") if isinstance(value, float) else str(value)
    return row_runs(value)


def row_runs(rows: Iterable[int]) -> str:
    """Rows in their order, written as the command line takes them: "10-19,25"."""
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs(rows))


def _is_about(path: Path) -> str | None:
    """The file that a sidecar belongs to; None for JSON of another kind."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return found.get("File")
    except (OSError, ValueError, AttributeError):
        return None
