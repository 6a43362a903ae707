"""The media gate: the only way by which a film gets in.

An upload is judged by its first bytes, copied under a name of our own, and read in a child process with limits on time and memory
(:mod:`extractors.gate_worker`). What comes out is a canonical film and 16 kHz samples, kept by the sha256 of the upload; nothing else is ever
played, analysed or handed on.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import shutil
import stat
import tempfile
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from extractors.clip import Clip
from extractors.errors import CacheError, MediaError
from extractors.gate_limits import Facts, Limits, check_facts
from extractors.grid import n_trs
from extractors.sniff import HEAD_BYTES, sniff
from extractors.stages import Stage, stage_clock
from extractors.worker_process import THREADS, death_of, disk_full, messages, worker
from settings import Settings, get_settings

GATE_VERSION = 1
"""Part of every cached admission; raise it when the canonical film or its samples come out differently."""

_BLOCK = 4 * 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_FILE_MB = 4096  # no canonical film within the limits comes near it
_WORK_PREFIX = ".work-"
_STALE_WORK_S = 6 * 3600.0


def admit(path: str | Path, *, name: str | None = None, settings: Settings | None = None, allow_short: bool = False) -> Iterator[Stage | Clip]:
    """Let a film in, or say why not.

    Parameters
    ----------
    path : str or pathlib.Path
        The upload: MP4, MOV, M4A, WebM, MKV, AVI, WAV, MP3, FLAC or OGG. It is read, never changed.
    name : str, optional
        What the visitor called it, for display only; by default the path's last part.
    settings : settings.Settings, optional
    allow_short : bool
        Accept films of fewer than ``settings.min_trs`` TRs (at least one).

    Yields
    ------
    Stage or Clip
        Stages named "gate", at least one a second; at last the Clip. Film time 0 is the earliest start of picture and sound; a film of
        variable frame rate is put on a constant one by presentation time.

    Raises
    ------
    MediaError
        ``empty_file``, ``not_media``, ``truncated``, ``playlist``, ``unsupported_codec``, ``too_large``, ``too_short``, ``too_long``,
        ``too_big_picture``, ``frame_rate``, ``pixel_rate``, ``too_many_streams``, ``decode_timeout``, ``decode_memory`` or ``decode_failed``.
    CacheError
        ``disk_full`` or ``cache_unwritable``.
    """
    settings = settings or get_settings()
    shown_name = display_name(name if name is not None else Path(path).name)
    limits = Limits.of(settings, allow_short)
    at = stage_clock("gate", 1.0)
    yield at(0.0, "Looking at the file")
    try:
        upload = _open_regular(path)
    except OSError as error:
        raise MediaError("not_media", "The file cannot be opened.", "Upload it again.") from error
    with upload:
        size = os.fstat(upload.fileno()).st_size
        if size > settings.max_upload_mb * 2**20:
            raise MediaError(
                "too_large",
                f"The file has {size / 2**20:.0f} MB; at most {settings.max_upload_mb} MB are allowed.",
                "Export it smaller: 720p is all that is used.",
            )
        demuxer = sniff(upload.read(HEAD_BYTES))
        hashing = _Hashing(upload)
        for done in hashing:
            yield at(0.02 * done / size, "Looking at the file")
        sha256 = hashing.sha256
        found = _cached(sha256, shown_name, limits, settings)
        if found is None:
            yield from _admit_new(upload, sha256, demuxer, limits, settings, at)
            found = _cached(sha256, shown_name, limits, settings)
            if found is None:
                raise CacheError("cache_unwritable", "The film vanished from the cache while it was read.", "Try again.")
    yield at(1.0, "The film is ready")
    yield found


def purge(older_than_hours: float | None = None, *, settings: Settings | None = None) -> int:
    """Delete clips that nobody used for ``older_than_hours`` (default: ``settings.keep_hours``), and what killed runs left.

    Of the others those that were used longest ago go too, until the rest fits ``settings.cache_max_gb``. Returns how many clips went.
    """
    settings = settings or get_settings()
    hours = settings.keep_hours if older_than_hours is None else older_than_hours
    return _purge(settings, hours)


def _purge(settings: Settings, hours: float, keep: str = "") -> int:
    now, gone = time.time(), 0
    root = _root(settings)
    left: list[tuple[float, int, str]] = []
    for folder in list(root.iterdir()) if root.is_dir() else []:
        try:
            if folder.name.startswith(_WORK_PREFIX):
                if now - folder.stat().st_mtime > _STALE_WORK_S:
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            if not _SHA256.fullmatch(folder.name):  # nothing of ours
                continue
            used = max((record.stat().st_mtime for record in folder.glob("*/admission.json")), default=folder.stat().st_mtime)
            size = sum(file.stat().st_size for file in folder.glob("*/*"))
        except FileNotFoundError:  # somebody else was faster
            continue
        if now - used > hours * 3600:
            gone += delete_clip(folder.name, settings=settings)
        else:
            left.append((used, size, folder.name))
    excess = sum(size for _, size, _ in left) - settings.cache_max_gb * 1e9
    for _, size, sha256 in sorted(left):
        if excess <= 0:
            break
        if sha256 != keep:
            gone += delete_clip(sha256, settings=settings)
            excess -= size
    return gone


def delete_clip(sha256: str, *, settings: Settings | None = None) -> bool:
    """Delete everything the gate keeps of the upload with this sha256; returns whether there was anything."""
    if not _SHA256.fullmatch(sha256):
        raise MediaError("not_media", "That is not the sha256 of a film.", "Use the one that the clip carries.")
    folder = _root(settings or get_settings()) / sha256
    if not folder.is_dir():
        return False
    grave = folder.parent / f"{_WORK_PREFIX}{sha256[:8]}-{os.getpid()}-{time.monotonic_ns()}"
    try:
        folder.rename(grave)  # at once for everybody; a half-deleted clip is never found
    except FileNotFoundError:
        return False
    shutil.rmtree(grave, ignore_errors=True)
    return True


def kept_samples(clip: Clip, *, settings: Settings | None = None) -> Path | None:
    """The 16 kHz samples of a clip, also of one that was loaded from disk: they lie where it was admitted, until it expires. None when gone."""
    if not clip.has_audio:
        return None
    settings = settings or get_settings()
    for path in (clip.samples_path, _kept(clip.sha256, settings) / "samples.npy" if _SHA256.fullmatch(clip.sha256) else None):
        if path is not None and path.is_file():
            return path
    return None


def display_name(name: str) -> str:
    """A visitor's file name for display: its last part without control characters, at most 120 characters; still hostile text, to be escaped."""
    last = re.split(r"[/\\]", name)[-1]
    kept = "".join(character for character in last if unicodedata.category(character) not in ("Cc", "Cs", "Co", "Cn") and not _is_bidi(character))
    kept = kept.strip()
    if len(kept) > 120:
        kept = kept[:80] + "…" + kept[-39:]
    return kept if kept.strip(".") else "clip"


def _is_bidi(character: str) -> bool:
    """Whether the character overrides the direction of what follows it (letters of right-to-left scripts do not)."""
    return character in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def _open_regular(path: str | Path):
    """Open a file without ever waiting on a pipe or a device."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file")
    return open(descriptor, "rb", buffering=0)


class _Hashing:
    """Read ``source`` from its beginning, copying to ``target`` when given; iterating yields the bytes so far, then ``sha256`` is known."""

    def __init__(self, source, target=None):
        self.source, self.target = source, target
        self.sha256 = ""

    def __iter__(self) -> Iterator[int]:
        self.source.seek(0)
        digest, done = hashlib.sha256(), 0
        while block := self.source.read(_BLOCK):
            digest.update(block)
            if self.target is not None:
                self.target.write(block)
            done += len(block)
            yield done
        self.sha256 = digest.hexdigest()


def _root(settings: Settings) -> Path:
    return settings.cache_dir / "clips"


def _kept(sha256: str, settings: Settings) -> Path:
    return _root(settings) / sha256 / f"gate{GATE_VERSION}-{settings.canonical_height}"


def _box(settings: Settings) -> tuple[int, int]:
    return math.ceil(settings.canonical_height * 16 / 9 / 2) * 2, settings.canonical_height


def _cached(sha256: str, name: str, limits: Limits, settings: Settings) -> Clip | None:
    """The clip of an earlier admission, held against today's limits; None when there is none or it is damaged."""
    folder = _kept(sha256, settings)
    answer = _whole_record(folder)
    if answer is None:
        return None
    film, samples = folder / "clip.mp4", folder / "samples.npy"
    with suppress(OSError):
        os.utime(folder / "admission.json")  # the last use decides what expires
    check_facts(Facts(**answer["facts"]), limits)
    return Clip(
        path=film,
        samples_path=samples if answer["audio_key"] else None,
        sha256=sha256,
        video_key=answer["video_key"],
        audio_key=answer["audio_key"],
        name=name,
        duration=answer["duration"],
        n_trs=n_trs(answer["duration"]),
        fps=answer["fps"],
        width=answer["width"],
        height=answer["height"],
        notices=tuple(answer["notices"]),
    )


def _whole_record(folder: Path) -> dict | None:
    """What the gate wrote down about the clip in ``folder``; None unless every file of it is there in full."""
    try:
        answer = json.loads((folder / "admission.json").read_bytes())
        sizes = {name: (folder / name).stat().st_size for name in answer["bytes"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return answer if sizes == answer["bytes"] else None


def _admit_new(upload, sha256: str, demuxer: str, limits: Limits, settings: Settings, at) -> Iterator[Stage]:
    """Read the upload in a child and keep the result under its sha256, whole or not at all."""
    with new_folder(settings) as work:
        try:
            with open(work / "upload", "wb") as copy:
                copying = _Hashing(upload, copy)
                for _ in copying:
                    yield at(0.03, "Looking at the file")
        except OSError as error:
            raise _disk_error(error) from error
        if copying.sha256 != sha256:
            raise MediaError("not_media", "The file changed while it was read.", "Wait until it is written, then try again.")
        result = {}
        for item in _child(work, demuxer, limits, settings, at):
            if isinstance(item, Stage):
                yield item
            else:
                result = item
        (work / "upload").unlink()
        keep(work, sha256, result, settings)


@contextmanager
def new_folder(settings: Settings) -> Iterator[Path]:
    """A folder to write one clip in; what :func:`keep` has not moved from it goes when the block is left. CacheError when it cannot be made."""
    root = _root(settings)
    try:
        root.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=_WORK_PREFIX, dir=root))
    except OSError as error:
        raise _disk_error(error) from error
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def keep(work: Path, sha256: str, record: dict, settings: Settings) -> None:
    """Keep the ``clip.mp4`` and ``samples.npy`` in ``work`` under their sha256, whole or not at all.

    Parameters
    ----------
    work : pathlib.Path
        Of :func:`new_folder`; it moves.
    sha256 : str
        Of the upload, or of the recipe by which the clip was made.
    record : dict
        What the gate's child says of a film: ``duration``, ``fps``, ``width``, ``height``, ``video_key``, ``audio_key``, ``facts``, ``notices``.

    Raises
    ------
    CacheError
        ``disk_full`` or ``cache_unwritable``.
    """
    try:
        whole = record | {"bytes": {file.name: file.stat().st_size for file in work.iterdir()}}
        (work / "admission.json").write_text(json.dumps(whole))
        target = _kept(sha256, settings)
        target.parent.mkdir(parents=True, exist_ok=True)
        _move(work, target)
    except OSError as error:
        raise _disk_error(error) from error
    _purge(settings, settings.keep_hours, keep=sha256)  # on a machine without the page nobody else tidies up


def find(sha256: str, name: str, settings: Settings, *, allow_short: bool = False) -> Clip | None:
    """The clip kept under ``sha256``, called ``name``; None when there is none. MediaError where today's limits do not allow it."""
    return _cached(sha256, name, Limits.of(settings, allow_short), settings)


def _move(work: Path, target: Path) -> None:
    """Rename into place; another visitor's identical clip that came first stays, a damaged one is replaced."""
    try:
        work.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if _whole_record(target) is not None:
            return
        shutil.rmtree(target, ignore_errors=True)
        work.rename(target)


def _child(work: Path, demuxer: str, limits: Limits, settings: Settings, at) -> Iterator[Stage | dict]:
    job = {
        "upload": str((work / "upload").absolute()),
        "demuxer": demuxer,
        "film": str((work / "clip.mp4").absolute()),
        "samples": str((work / "samples.npy").absolute()),
        "box": _box(settings),
        "limits": vars(limits),
    }
    yield from in_child("extractors.gate_worker", job, settings, at, "Reading the film")


def in_child(module: str, job: dict, settings: Settings, at, message: str) -> Iterator[Stage | dict]:
    """Run a worker that answers as :mod:`extractors.gate_worker` does, within the gate's limits on time, memory and file size.

    Parameters
    ----------
    module : str
        The worker.
    job : dict
        For it, JSON-able.
    settings : settings.Settings
    at : callable
        A stage clock (:func:`extractors.stages.stage_clock`) of total 1.
    message : str
        Sentence of the first stage.

    Yields
    ------
    Stage or dict
        At least two stages a second, at last the worker's result.

    Raises
    ------
    MediaError, CacheError
        As the worker names it, or for a worker that died.
    """
    limits = {"memory_mb": settings.gate_memory_mb, "cpu_s": settings.gate_timeout_s * max(2, THREADS), "file_mb": _MOST_FILE_MB}
    stage = at(0.05, message)
    answer = None
    with worker(module, job | limits) as process:
        yield stage
        for told in messages(process, settings.gate_timeout_s):
            if told is not None and "doing" in told:
                stage = at(0.05 + 0.95 * told["done"] / max(told["total"], 1e-9), told["doing"])
            elif told is not None:
                answer = told
                continue
            yield at(stage.done, stage.message)
        if answer is None:
            raise death_of(process, settings.gate_timeout_s)
    if "error" in answer:
        code, text, hint = answer["error"]
        raise (CacheError if code == "disk_full" else MediaError)(code, text, hint)
    yield answer["result"]


def _disk_error(error: OSError) -> CacheError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full()
    return CacheError("cache_unwritable", "The folder for films cannot be written.", "Check the setting CINEGLASS_CACHE_DIR.")
