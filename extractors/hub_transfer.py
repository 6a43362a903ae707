"""Getting a repository's files from the Hugging Face hub into its cache, in pieces that survive a broken connection and a killed program.

huggingface_hub itself throws an unfinished file away when it is stopped. Here a file grows as ``blobs/<hash>.incomplete``, goes on from its
last byte (HTTP Range), and gets its final name after its hash has been compared with the one that the hub states. Nothing but safetensors,
JSON and plain text from the top of the repository is taken.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from extractors.errors import ModelError
from extractors.in_thread import Tell

RETRIES = 5
"""How often in a row a connection may break without a single new byte."""
PAUSE_S = 1.0
ANSWER_S = 10.0
"""How long the hub may stay silent."""
LOCK_S = 15.0
"""How long another download of the same repository is waited for: one that was just stopped needs up to ``ANSWER_S`` to notice."""
SPARE_BYTES = 200 * 10**6
"""Left free on the disk."""
CHUNK = 8 * 2**20
"""Bytes that are hashed between two chances to stop."""
FILES_MAX = 2000
TEXT_MAX = 64 * 2**20
"""Largest JSON or text file that is taken."""

PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")

_WANTED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}\.(json|txt)|model(-\d{5}-of-\d{5})?\.safetensors")
_PICKLE_INDEX = re.compile(r".*\.(bin|pt|pth|msgpack|h5)\.index\.json")
_HASH = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")


def pickle_refused(name: str) -> ModelError:
    """The error for weights that are a pickle."""
    return ModelError(
        "pickle_refused",
        f"{name!r} is a pickle file, which can run code when it is read; only safetensors are loaded.",
        "Ask its authors for a model.safetensors.",
    )


@dataclass(frozen=True)
class HubFile:
    """One file of a repository.

    Attributes
    ----------
    name : str
    size : int
        Bytes.
    blob : str
        sha256 of a large file, git's hash of a small one: its name in the cache.
    """

    name: str
    size: int
    blob: str

    def fits(self, path: Path, tell: Tell) -> bool:
        """Whether a file's content has the hash that the hub states; ``tell`` is called on the way."""
        digest = hashlib.sha256() if len(self.blob) == 64 else hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                tell()
                digest.update(chunk)
        return digest.hexdigest() == self.blob


@dataclass(frozen=True)
class Listing:
    """What a download will fetch: the commit, and the files, small ones first."""

    repository: str
    commit: str
    files: tuple[HubFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def ask(repository: str, revision: str | None, *, timeout: float = ANSWER_S) -> Listing:
    """Ask the hub for a repository's files; ``timeout`` in seconds.

    Raises
    ------
    ModelError
        ``offline``, ``gated``, ``not_found``, ``pickle_refused``, ``weights_missing``, ``download_failed``.
    """
    from huggingface_hub import HfApi

    with in_words(repository):
        info = HfApi().model_info(repository, revision=revision, files_metadata=True, timeout=timeout)
        commit, found = info.sha or "", list(info.siblings or ())[:FILES_MAX]
    names = {entry.rfilename for entry in found}
    single = "model.safetensors" in names
    files = []
    for entry in found:
        name, size = entry.rfilename, entry.lfs.size if entry.lfs is not None else entry.size
        if not _WANTED.fullmatch(name) or _PICKLE_INDEX.fullmatch(name) or (single and name.startswith("model-")):
            continue
        blob = entry.lfs.sha256 if entry.lfs is not None else entry.blob_id
        if not isinstance(size, int) or size < 0 or not isinstance(blob, str) or not _HASH.fullmatch(blob):
            raise _unusable(repository)
        if name.endswith(".safetensors") or size <= TEXT_MAX:
            files.append(HubFile(name, size, blob))
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise _unusable(repository)
    if not any(file.name.endswith(".safetensors") for file in files):
        if pickles := sorted(name for name in names if name.endswith(PICKLES)):
            raise pickle_refused(pickles[0])
        raise ModelError("weights_missing", f"The repository {repository} has no model.safetensors.", "Look at its page on the hub.")
    return Listing(repository, commit, tuple(sorted(files, key=lambda file: (file.name.endswith(".safetensors"), file.name))))


def here_already(listing: Listing, storage: Path) -> int:
    """Bytes of the listing's files that the cache holds, parts included."""
    total = 0
    for file in listing.files:
        for path in (*_places(file, listing, storage), _part(file, storage)):
            with contextlib.suppress(OSError):
                total += min(path.stat().st_size, file.size)
                break
    return total


def check_space(listing: Listing, storage: Path) -> None:
    """ModelError ``disk_full`` when the rest of the files has no room."""
    folder = next(path for path in (storage, *storage.parents) if path.is_dir())
    needed = listing.size - here_already(listing, storage)
    free = shutil.disk_usage(folder).free
    if needed and needed + SPARE_BYTES > free:
        raise ModelError(
            "disk_full",
            f"The download of {listing.repository} needs {in_units(needed + SPARE_BYTES)}, but the hub's cache has {in_units(free)} of free disk.",
            "Free some space, or set HF_HOME to a folder on a larger disk.",
        )


def fetch_all(listing: Listing, storage: Path, revision: str, tell: Tell) -> None:
    """Fetch, check and link every file; the branch points at them only when all are there.

    Raises
    ------
    ModelError
        ``offline``, ``gated``, ``not_found``, ``wrong_hash``, ``disk_full``, ``download_failed``. What has arrived is kept.
    """
    done = 0
    with in_words(listing.repository), _one_at_a_time(listing.repository, storage, tell):
        (storage / "blobs").mkdir(parents=True, exist_ok=True)
        snapshot = storage / "snapshots" / listing.commit
        snapshot.mkdir(parents=True, exist_ok=True)
        for file in listing.files:
            before = done

            def here(count: int, file: HubFile = file, before: int = before) -> None:
                progress = f"{in_units(before + count, of=listing.size)} of {in_units(listing.size)}"
                tell((before + count) / 1e6, f"Downloading {listing.repository}: {file.name}, {progress}")

            _fetch(file, listing, storage, tell, here)
            done += file.size
        if revision != listing.commit:
            ref = storage / "refs" / revision
            ref.parent.mkdir(parents=True, exist_ok=True)
            part = ref.with_name(f"{ref.name}.{os.getpid()}.part")
            part.write_text(listing.commit, encoding="ascii")
            part.replace(ref)


def _fetch(file: HubFile, listing: Listing, storage: Path, tell: Tell, here: Callable[[int], None]) -> None:
    blob, pointer = _places(file, listing, storage)
    for path in (blob, pointer):
        if path.is_file():
            tell(None, f"Checking {listing.repository}: {file.name}")
            if path.stat().st_size == file.size and file.fits(path, tell):
                _link(path, pointer)
                return
            path.resolve().unlink()  # damaged: it is fetched again
    part = _part(file, storage)
    failures = 0
    while not part.exists() or part.stat().st_size != file.size:
        before = part.stat().st_size if part.exists() else 0
        if before > file.size:
            part.unlink()
            before = 0
        try:
            _stream(file, listing, part, here)
        except Exception as error:
            if not _is_connection(error):
                raise
            failures = 1 if part.exists() and part.stat().st_size > before else failures + 1
            if failures > RETRIES:
                raise
            until = time.monotonic() + PAUSE_S
            while time.monotonic() < until:
                tell(None, f"The connection broke; trying again ({listing.repository}: {file.name})")
                time.sleep(min(0.2, PAUSE_S))
    tell(None, f"Checking {listing.repository}: {file.name}")
    if not file.fits(part, tell):
        part.unlink()
        raise ModelError(
            "wrong_hash",
            f"The file {file.name} of {listing.repository} arrived damaged: its hash is not the one that the hub states. It was removed.",
            "Start the download again; only this file is fetched anew.",
        )
    part.replace(blob)
    _link(blob, pointer)


def _stream(file: HubFile, listing: Listing, part: Path, here: Callable[[int], None]) -> None:
    """One connection: append to the part what comes, from where it ends."""
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    start = part.stat().st_size if part.exists() else 0
    url = hf_hub_url(listing.repository, file.name, revision=listing.commit, endpoint=constants.ENDPOINT)
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with get_session().stream("GET", url, headers=headers, timeout=ANSWER_S, follow_redirects=True) as response:
        hf_raise_for_status(response)
        resumed = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        count = start if resumed else 0
        with part.open("ab" if resumed else "wb") as out:
            here(count)
            for chunk in response.iter_bytes():  # as it comes: what a broken connection brought is kept
                count += len(chunk)
                if count > file.size:
                    raise _too_long(file, listing, part)
                out.write(chunk)
                here(count)


def _too_long(file: HubFile, listing: Listing, part: Path) -> ModelError:
    part.unlink(missing_ok=True)
    return ModelError(
        "wrong_hash",
        f"The file {file.name} of {listing.repository} is longer than the hub says. It was removed.",
        "Start the download again; only this file is fetched anew.",
    )


def _places(file: HubFile, listing: Listing, storage: Path) -> tuple[Path, Path]:
    return storage / "blobs" / file.blob, storage / "snapshots" / listing.commit / file.name


def _part(file: HubFile, storage: Path) -> Path:
    return storage / "blobs" / f"{file.blob}.incomplete"


def _link(blob: Path, pointer: Path) -> None:
    if pointer.exists() and pointer.samefile(blob):
        return
    pointer.unlink(missing_ok=True)
    try:
        pointer.symlink_to(os.path.relpath(blob, pointer.parent))
    except OSError:  # a disk or a system without links: the file itself moves there, as huggingface_hub has it
        blob.replace(pointer)


@contextmanager
def _one_at_a_time(repository: str, storage: Path, tell: Tell) -> Iterator[None]:
    from filelock import FileLock, Timeout

    folder = storage.parent / ".locks" / storage.name
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "cineglass.lock")
    until = time.monotonic() + LOCK_S
    while True:
        try:
            lock.acquire(timeout=0.2)
            break
        except Timeout:
            tell(None, f"Waiting for another download of {repository}")
            if time.monotonic() > until:
                raise ModelError(
                    "download_failed", f"The model {repository} is being downloaded by another program.", "Wait until that one is done."
                ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def in_words(repository: str) -> Iterator[None]:
    """Turn whatever goes wrong between here and the hub into one sentence."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled, RevisionNotFoundError

    kept = "Files that have arrived are kept, so the next try goes on from there."
    try:
        yield
    except ModelError:
        raise
    except OfflineModeIsEnabled:
        raise ModelError(
            "offline", f"The model {repository} is not fetched, because HF_HUB_OFFLINE is set.", "Unset it, or give a folder that holds the files."
        ) from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise ModelError(
                "gated",
                f"The hub does not give out {repository} without a login: its licence must be accepted first, it is private, or the name is wrong.",
                f"Accept the licence on the model's page ({_page(repository)}), then run `hf auth login` and try again.",
            ) from None
        if status == 404:
            what = "has no such revision or file" if isinstance(error, RevisionNotFoundError) or "/resolve/" in str(error.response.url) else None
            sentence = f"The repository {repository} {what}." if what else f"There is no repository {repository} on the hub."
            raise ModelError("not_found", sentence, "Check the spelling of name and revision.") from None
        raise ModelError("download_failed", f"The hub answered the download of {repository} with error {status}.", f"Try later. {kept}") from None
    except Exception as error:
        if _is_connection(error):
            raise ModelError("offline", f"The hub cannot be reached, so {repository} cannot be fetched.", f"Check the network. {kept}") from None
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ModelError("disk_full", f"The disk of the hub's cache is full; {repository} is not complete.", f"Free some space. {kept}") from None
        if isinstance(error, OSError):
            raise ModelError(
                "download_failed", f"The hub's cache cannot be written, so {repository} cannot be kept.", "Set HF_HOME to a folder you may write to."
            ) from None
        if isinstance(error, ValueError | TypeError | KeyError | AttributeError):  # what comes of an answer that is not the hub's
            raise _unusable(repository) from None
        raise


def _is_connection(error: BaseException) -> bool:
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # the second is the HTTP library's own, whichever this huggingface_hub uses

    return isinstance(error, HTTPError) and not isinstance(error, HfHubHTTPError)


def _unusable(repository: str) -> ModelError:
    return ModelError(
        "download_failed", f"What answered for {repository} does not speak as the hub does.", "Check HF_ENDPOINT, proxy and firewall, then try again."
    )


def _page(repository: str) -> str:
    return f"huggingface.co/{repository}"


def in_units(count: float, of: float | None = None) -> str:
    """Bytes in words; with ``of`` the bare number, in the unit that ``of`` would get."""
    whole = count if of is None else of
    number, unit = (count / 1e9, "GB") if whole >= 1e9 else (count / 1e6, "MB")
    digits = f"{number:.1f}" if unit == "GB" or number < 10 else f"{number:.0f}"
    return digits if of is not None else f"{digits} {unit}"
