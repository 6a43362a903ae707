"""Pretrained models on this machine: a folder, or what the Hugging Face hub's cache already holds. Looking never uses the network.

A model is a folder with ``config.json`` and safetensors weights: ``model.safetensors``, or the parts listed by
``model.safetensors.index.json``. In the hub's cache ``refs/<branch>`` holds a commit, ``snapshots/<commit>`` the files as links into ``blobs``,
and the name of a large blob is its sha256. Pickles are never opened.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from extractors.errors import ModelError
from extractors.hub_transfer import PICKLES, ask, check_space, fetch_all, here_already, in_units, pickle_refused
from extractors.in_thread import in_thread
from extractors.stages import Stage
from settings import Settings

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
"""What a repository of the hub may be called."""
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PART = re.compile(r"[A-Za-z0-9._-]{1,120}\.safetensors")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")

REMEMBER_FROM = 32 * 2**20
"""Bytes from which a file's hash is written down: smaller ones are hashed in less time than that is worth."""
GET_AGAIN = "Get the model's files again."
"""Of a folder, which only its owner can mend."""
HEADER_MAX = 100 * 2**20
"""Bytes that the format allows a safetensors header."""
INDEX_MAX = 64 * 2**20


@dataclass(frozen=True)
class LocalModel:
    """A model whose files are all here.

    Attributes
    ----------
    source : str
        What it was asked for by.
    folder : pathlib.Path
    revision : str or None
        Commit on the hub; None for a folder.
    weights : tuple of pathlib.Path
        ``model.safetensors``, or its parts.
    weight_bytes : int
        Of all weights together.
    """

    source: str
    folder: Path
    revision: str | None
    weights: tuple[Path, ...]
    weight_bytes: int

    @property
    def name(self) -> str:
        """What a person is shown: the hub's name, or the folder's."""
        return display_name(self.source)


def find_local(source: str | Path, *, revision: str | None = None, beside: Path | None = None) -> LocalModel:
    """Find a model's files on this machine.

    Parameters
    ----------
    source : str or Path
        A folder (relative ones are looked for in ``beside`` first, then in the working directory), or a hub name ``org/name``.
    revision : str, optional
        Branch, tag or commit of a hub name; "main" by default. A folder has none.
    beside : pathlib.Path, optional
        Folder of the model that names this one.

    Returns
    -------
    LocalModel

    Raises
    ------
    ModelError
        ``not_here``, ``incomplete`` (half-downloaded or cut off), ``config_missing``, ``weights_missing``, ``pickle_refused``,
        ``index_invalid``, ``revision_unknown``.
    """
    text = str(source)
    if Path(text).suffix in PICKLES:
        raise pickle_refused(Path(text).name)
    folder = _folder(text, beside)
    if folder is not None and revision is None:
        return model_in(folder, source=text)
    if folder is not None and not is_repository(text):
        raise ModelError("revision_unknown", f"The folder {display_name(text)!r} has no revisions.", "Leave the revision out.")
    if not is_repository(text):
        raise ModelError(
            "not_here",
            f"There is no model folder {display_name(text)!r} here.",
            "Give a folder that holds config.json and model.safetensors, or a hub name such as ShreyDixit/VIBE-Qwen2.5-14B.",
        )
    storage = storage_of(text)
    commit = cached_commit(storage, revision)
    if commit is None:
        started = (storage / "blobs").is_dir() and any((storage / "blobs").iterdir())
        if started and revision is None:
            raise _half_here(text, "its download was never finished", _get(text))
        which = text if revision is None else f"{text} (revision {revision[:40]})"
        raise ModelError("not_here", f"The model {which} is not on this machine.", _get(text))
    return model_in(storage / "snapshots" / commit, source=text, revision=commit)


def model_in(folder: Path, *, source: str, revision: str | None = None) -> LocalModel:
    """The model in a folder that exists; ModelError as :func:`find_local`."""
    name, get_again = display_name(source), _get(source) if revision else GET_AGAIN
    begun = revision is not None and any((folder.parents[1] / "blobs").glob("*.incomplete"))
    if not (folder / "config.json").is_file():
        if begun:
            raise _half_here(name, "config.json is missing", get_again)
        raise ModelError("config_missing", f"The model {name!r} has no config.json.", get_again)
    files = weight_files(folder, source)
    if not files:
        if begun:
            raise _half_here(name, f"{WEIGHTS} is missing", get_again)
        for path in sorted(folder.iterdir()):
            if path.suffix in PICKLES:
                raise pickle_refused(path.name)
        raise ModelError("weights_missing", f"The model {name!r} has no {WEIGHTS}.", get_again)
    if missing := [path.name for path in files if not path.is_file()]:
        what = f"{missing[0]} is missing" + (f" ({len(missing)} of {len(files)} files)" if len(files) > 1 else "")
        raise _half_here(name, what, get_again)
    for path in files:
        _check_whole(path, name, get_again)
    return LocalModel(source, folder, revision, files, sum(path.stat().st_size for path in files))


def weights_id(local: LocalModel, settings: Settings) -> str:
    """sha256 that identifies a model's weights.

    Large files of the hub's cache carry their sha256 as the name of their blob; other files are hashed once and remembered by place, size
    and times. Several files are identified by the hash over their names and hashes.

    Returns
    -------
    str
        64 hexadecimal digits; of a single file, its own sha256.
    """
    hashes = [_identity(path, settings) for path in local.weights]
    if len(hashes) == 1:
        return hashes[0]
    listed = [[path.name, digest] for path, digest in zip(local.weights, hashes, strict=True)]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def download(source: str, *, revision: str | None = None) -> Iterator[Stage | LocalModel]:
    """Fetch a model into the hub's cache; only ever called because a person asked for it.

    What is here already is checked and not fetched again; a download that was stopped goes on where it was.

    Parameters
    ----------
    source : str
        Hub name ``org/name``.
    revision : str, optional
        Branch, tag or commit; "main" by default.

    Yields
    ------
    Stage
        Named "download"; done and total are megabytes.
    LocalModel
        Last.

    Raises
    ------
    ModelError
        ``offline``, ``gated``, ``not_found``, ``wrong_hash``, ``disk_full``, ``download_failed``, ``pickle_refused``, ``weights_missing``.
    """
    if not is_repository(source) or (revision is not None and not _REVISION.fullmatch(revision)):
        raise ModelError(
            "not_found",
            f"{display_name(source)[:80]!r} is no name of a model on the hub.",
            "Names look like ShreyDixit/VIBE-Qwen2.5-14B.",
        )
    listing = yield from in_thread("download", 1, f"Asking the hub about {source}", lambda tell: ask(source, revision))
    storage = storage_of(source)
    check_space(listing, storage)
    total, begun = listing.size / 1e6, here_already(listing, storage) / 1e6
    message = f"Downloading {source}, {in_units(listing.size)}"
    yield from _time_left(
        in_thread("download", total, message, lambda tell: fetch_all(listing, storage, revision or "main", tell)),
        begun,
    )
    found = model_in(storage / "snapshots" / listing.commit, source=source, revision=listing.commit)
    yield Stage("download", total, total, f"{source} is here")
    yield found


def sha256_of(path: Path) -> str:
    """sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weight_files(folder: Path, source: str) -> tuple[Path, ...]:
    """Paths of the weights a folder should hold, there or not; empty when it names none. ModelError for an index that cannot be used."""
    if (folder / WEIGHTS).is_file() or not (folder / INDEX).is_file():
        return (folder / WEIGHTS,) if (folder / WEIGHTS).is_file() else ()
    try:
        if (folder / INDEX).stat().st_size > INDEX_MAX:
            raise ValueError
        names = sorted(set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
        if not names or not all(_PART.fullmatch(name) for name in names):
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):  # ValueError is the parent of both decoding errors
        raise ModelError("index_invalid", f"The {INDEX} of {display_name(source)!r} lists no safetensors files beside it.", _get(source)) from None
    return tuple(folder / name for name in names)


def is_repository(source: str) -> bool:
    """Whether a name could be that of a repository on the hub."""
    return REPOSITORY.fullmatch(source) is not None and ".." not in source and "--" not in source


def storage_of(repository: str) -> Path:
    """Where the hub's cache keeps a repository; nothing need be there."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"


def cached_commit(storage: Path, revision: str | None) -> str | None:
    """Commit whose snapshot the cache holds for a revision, or None."""
    asked = revision or "main"
    commit = asked
    if not _COMMIT.fullmatch(asked):
        if not _REVISION.fullmatch(asked):
            return None
        try:
            commit = (storage / "refs" / asked).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
    return commit if _COMMIT.fullmatch(commit) and (storage / "snapshots" / commit).is_dir() else None


def display_name(source: str) -> str:
    """A model's name as a person may see it: hub names as they are, of a folder its name only."""
    return source if is_repository(source) else Path(source).name[:100]


def folder_at(path: str | Path) -> Path | None:
    """The folder of that name, or None; a name may hold anything."""
    try:
        folder = Path(path).expanduser()
        return folder if folder.is_dir() else None
    except (OSError, ValueError, RuntimeError):  # too long, not to be written in bytes, the home of nobody
        return None


def _folder(text: str, beside: Path | None) -> Path | None:
    if not text.strip():
        return None
    return (folder_at(beside / text) if beside is not None else None) or folder_at(text)


def _check_whole(path: Path, name: str, get_again: str) -> None:
    """Compare a file's size with what its header promises: a copy that was cut off, or the note that git leaves in a large file's place."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if start == b"version ":
            raise ModelError(
                "incomplete",
                f"{path.name} of {name!r} is only git's note of a large file, not the file itself.",
                "Run `git lfs pull` in that folder, or copy the file there.",
            )
        length = int.from_bytes(start, "little")
        try:
            if len(start) < 8 or length > min(HEADER_MAX, size):
                raise ValueError
            header = json.loads(file.read(length))
            needed = 8 + length + max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            raise _cut_off(path, name, get_again) from None
    if size < needed:
        raise _cut_off(path, name, get_again)


def _cut_off(path: Path, name: str, get_again: str) -> ModelError:
    return ModelError("incomplete", f"The file {path.name} of {name!r} is damaged or only half here.", get_again)


def _half_here(name: str, what: str, get_again: str) -> ModelError:
    return ModelError("incomplete", f"The model {name} is only half here: {what}.", get_again)


def _get(source: str) -> str:
    if is_repository(source):
        return f"Get it with: python cli.py download-model {source} (goes on where a download stopped), or give a folder that holds its files."
    return GET_AGAIN


def _identity(path: Path, settings: Settings) -> str:
    blob = path.resolve()
    if blob.parent.name == "blobs" and _SHA256.fullmatch(blob.name):
        return blob.name
    about = blob.stat()
    if about.st_size < REMEMBER_FROM:
        return sha256_of(blob)
    known_by = [str(blob), about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino]
    note = settings.cache_dir / "weight-hashes" / hashlib.sha256(json.dumps(known_by).encode()).hexdigest()
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if _SHA256.fullmatch(known := note.read_text(encoding="ascii")):
            return known
    digest = sha256_of(blob)
    with contextlib.suppress(OSError):  # without a writable cache it is hashed again next time
        note.parent.mkdir(parents=True, exist_ok=True)
        part = note.with_name(f"{note.name}.{os.getpid()}.part")
        part.write_text(digest, encoding="ascii")
        part.replace(note)
    return digest


def _time_left(job: Generator[Stage, None, Any], begun: float) -> Generator[Stage, None, Any]:
    """The job's stages with a time left that does not count what was here before."""
    try:
        while True:
            try:
                stage = next(job)
            except StopIteration as end:
                return end.value
            new = stage.done - begun
            yield replace(stage, remaining_s=stage.elapsed_s * (stage.total - stage.done) / new if new > 0 else None)
    finally:
        job.close()
