"""Arrays kept on disk, found by what they were made from.

An entry is two files: ``<key>.safetensors`` and ``<key>.json``, its manifest. The manifest is renamed into place last and holds the
sha256 of the arrays, so an entry is whole or not there. Writers take turns by a file lock; readers need none. When the folder grows
beyond its bound the entries that were used longest ago go first. The folder may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from extractors.errors import CacheError
from settings import Settings

LOCK_TIMEOUT_S = 1.5
"""Writing takes milliseconds; a run that waits longer for its turn could not be stopped in time."""


def content_key(**parts: Any) -> str:
    """Key of an entry: sha256 of everything that decides its content (JSON-able values, the order does not matter)."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def feature_cache(settings: Settings) -> FeatureCache:
    """The cache of feature streams where the settings want it."""
    return FeatureCache(settings.cache_dir / "features", int(settings.cache_max_gb * 1e9))


class FeatureCache:
    """Content-addressed arrays in one folder; safe for many threads and processes at once.

    Parameters
    ----------
    root : pathlib.Path
        Folder; made when first needed.
    max_bytes : int
        Bound on the bytes kept.
    """

    def __init__(self, root: Path | str, max_bytes: int):
        self.root = Path(root)
        self.max_bytes = max_bytes

    def get(self, key: str) -> dict[str, np.ndarray] | None:
        """Arrays of an entry, marked as used now; None when there is no whole entry."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        manifest_path = self._manifest(key)
        try:
            manifest = json.loads(manifest_path.read_bytes())
            data = self._arrays(key).read_bytes()
            if hashlib.sha256(data).hexdigest() != manifest["arrays_sha256"]:
                return None
            arrays = load(data)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError):
            return None
        with contextlib.suppress(OSError):  # gone since, or not ours to touch; the arrays are good
            os.utime(manifest_path)
        return arrays

    def manifest(self, key: str) -> dict[str, Any] | None:
        """What was written down about an entry; None when there is none."""
        try:
            return json.loads(self._manifest(key).read_bytes())
        except (OSError, ValueError):
            return None

    def put(self, key: str, arrays: Mapping[str, np.ndarray], manifest: Mapping[str, Any]) -> None:
        """Keep arrays under a key; an entry larger than the whole cache is not kept.

        Raises
        ------
        CacheError
            ``cache_full``, ``cache_busy`` or ``cache_unavailable``; nothing half-written stays.
        """
        from safetensors.numpy import save

        data = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        note = json.dumps({**manifest, "arrays_sha256": hashlib.sha256(data).hexdigest()}, indent=1, sort_keys=True).encode()
        if len(data) + len(note) > self.max_bytes:
            return
        for attempt in (1, 2):
            try:
                self._put(key, data, note)
                return
            except FileNotFoundError as error:  # the folder was deleted under us
                if attempt == 2:
                    raise _unavailable() from error
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                    raise CacheError(
                        "cache_full",
                        "The disk is full, so the features of this film could not be kept for the next run.",
                        "Free some disk space or choose another cache folder.",
                    ) from error
                raise _unavailable() from error

    def size(self) -> int:
        """Bytes of all entries."""
        return sum(size for _, size, _ in self._entries())

    def _put(self, key: str, data: bytes, note: bytes) -> None:
        from filelock import FileLock, Timeout

        self.root.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.root / "writing.lock", timeout=LOCK_TIMEOUT_S):
                self._tidy()
                self._make_room(len(data) + len(note), key)
                self._write(self._arrays(key), data)
                self._write(self._manifest(key), note)
        except Timeout as error:
            raise CacheError("cache_busy", "The cache is in use by another process for too long.", "Run again later.") from error

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(exist_ok=True)
        temporary = path.with_name(f"{path.name}.tmp")
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _tidy(self) -> None:
        """Remove what killed writers left: only the holder of the lock writes, so nobody is still writing these."""
        for path in self.root.glob("??/*.tmp"):
            path.unlink(missing_ok=True)
        for path in self.root.glob("??/*.safetensors"):
            if not path.with_suffix(".json").exists():
                path.unlink(missing_ok=True)

    def _make_room(self, needed: int, key: str) -> None:
        entries = sorted(entry for entry in self._entries() if entry[2] != key)
        total = sum(size for _, size, _ in entries) + needed
        for _, size, old in entries:
            if total <= self.max_bytes:
                return
            self._manifest(old).unlink(missing_ok=True)
            self._arrays(old).unlink(missing_ok=True)
            total -= size

    def _entries(self) -> list[tuple[int, int, str]]:
        """Time of last use (ns), bytes and key of each entry."""
        entries = []
        for path in self.root.glob("??/*.json"):
            try:
                note = path.stat()
                entries.append((note.st_mtime_ns, note.st_size + path.with_suffix(".safetensors").stat().st_size, path.stem))
            except FileNotFoundError:  # evicted meanwhile
                continue
        return entries

    def _arrays(self, key: str) -> Path:
        return self.root / key[:2] / f"{key}.safetensors"

    def _manifest(self, key: str) -> Path:
        return self.root / key[:2] / f"{key}.json"


def _unavailable() -> CacheError:
    return CacheError(
        "cache_unavailable",
        "The cache folder cannot be written, so the features of this film could not be kept for the next run.",
        "Check the folder's permissions or choose another cache folder.",
    )
