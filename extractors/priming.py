"""The phrase that stands before every transcript the published model reads.

It belongs to VIBE's authors and is not stored in this project: it is read from the source file in their repository, as a string literal (the
file is parsed, never run), checked against a known sha256 and kept in the cache folder. Without it a run goes on and its result says so.

Source: reference page "VIBE", section 3A "Priming text" (where it stands and its sha256).
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import os
import tempfile
import threading
import time
from pathlib import Path

from extractors.arrays import parse_source
from settings import Settings

_REPOSITORY = "https://raw.githubusercontent.com/Bicanski-NCG/VIBE"
_FILE = "features/qwen_text/extract_7B_full_context_emotions.py"
ADDRESSES = (
    f"{_REPOSITORY}/a1d6286/{_FILE}",
    f"{_REPOSITORY}/28dddf99566529610837c202c7f2c9bbdc2f2568/algonauts/{_FILE}",  # an earlier commit, same phrase
)
"""Where the source file lies; the next is asked only when the one before answers without the phrase."""
CONSTANT = "emotional_priming_phrase"
SHA256 = "6c6507b9d213225e9d33855c1be153f9f337962c6221f99103d7eb3e8eb6d634"
TIMEOUT_S = 5.0
"""A run waits no longer than this, whatever the network does."""
MAX_BYTES = 200_000
AGAIN_AFTER_S = 600.0
"""After a failed fetch nobody tries again for so long."""

_fetching = threading.Lock()
_failed_at: dict[Path, float] = {}


def priming_phrase(settings: Settings, *, fetch: bool = True) -> str | None:
    """The priming phrase, from the cache or else from its authors' repository.

    Parameters
    ----------
    settings : Settings
        Its ``cache_dir`` keeps the phrase.
    fetch : bool
        Whether the network may be asked; it never is where ``HF_HUB_OFFLINE`` is set.

    Returns
    -------
    str or None
        None when the phrase is not here and cannot be had now. A phrase with another sha256 is never returned.
    """
    kept = settings.cache_dir / "priming" / f"{SHA256}.txt"
    phrase = _read(kept)
    if phrase is not None or not fetch or _offline():
        return phrase
    with _fetching:
        phrase = _read(kept)  # another run may have fetched it meanwhile
        failed = _failed_at.get(kept)
        if phrase is not None or (failed is not None and time.monotonic() - failed < AGAIN_AFTER_S):
            return phrase
        phrase = _fetch_in_time()
        if phrase is None:
            _failed_at[kept] = time.monotonic()
            return None
        _failed_at.pop(kept, None)
        with contextlib.suppress(OSError):  # a cache that cannot keep it costs a fetch next time, not the run
            _write(kept, phrase)
    return phrase


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").strip().upper() in ("1", "ON", "YES", "TRUE")


def _checked(data: bytes) -> str | None:
    return data.decode("utf-8") if hashlib.sha256(data).hexdigest() == SHA256 else None


def _read(path: Path) -> str | None:
    try:
        return _checked(path.read_bytes())
    except (OSError, UnicodeDecodeError):
        return None


def _write(path: Path, phrase: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(phrase.encode())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _fetch_in_time() -> str | None:
    """Fetch in a thread that is left behind when the time is up: a name server that does not answer cannot be interrupted."""
    found: list[str] = []

    def fetch() -> None:
        deadline = time.monotonic() + TIMEOUT_S
        for address in ADDRESSES:
            source = _download(address, deadline)
            if source is None:
                return
            phrase = _phrase_in(source)
            if phrase is not None:
                found.append(phrase)
                return

    thread = threading.Thread(target=fetch, name="priming-phrase", daemon=True)
    thread.start()
    thread.join(TIMEOUT_S)
    return found[0] if found else None


def _download(address: str, deadline: float) -> bytes | None:
    """What the address answers, empty for a refusal or something too large; None when nobody answers in time."""
    import httpx

    data = bytearray()
    try:
        with httpx.stream("GET", address, timeout=TIMEOUT_S) as answer:
            if answer.status_code != 200:
                return b""
            for block in answer.iter_bytes(8192):
                data += block
                if len(data) > MAX_BYTES:
                    return b""
                if time.monotonic() > deadline:
                    return None
    except (httpx.HTTPError, OSError, ValueError):
        return None
    return bytes(data)


def _phrase_in(source: bytes) -> str | None:
    """The string literal that is given to the constant in a Python source, if its sha256 is right."""
    try:
        tree = parse_source(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            if CONSTANT in names:
                with contextlib.suppress(UnicodeEncodeError):
                    phrase = _checked(node.value.value.encode())
                    if phrase is not None:
                        return phrase
    return None
