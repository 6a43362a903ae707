"""A file appears whole or not at all: written beside its place, then renamed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from extractors.errors import CacheError, CineglassError, SelectionError


@contextmanager
def whole_file(path: Path, what: str = "file") -> Iterator[Path]:
    """``with whole_file(path) as part``: write ``part``; on leaving it takes its place, or is removed when something went wrong.

    Parameters
    ----------
    path : pathlib.Path
    what : str
        For people: "animation", "volume".

    Raises
    ------
    CacheError
        ``<what>_unwritable`` for a full disk, a missing folder, a place that may not be written.
    """
    part = path.with_name(f".{secrets.token_hex(6)}.part")  # its own name: two at once do not meet, and a long name fits
    try:
        try:
            yield part
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        if isinstance(error, CineglassError):
            raise
        reason = (error.strerror or "it cannot be written").lower()
        raise CacheError(
            f"{what.replace(' ', '_')}_unwritable", f"The {what} {path.name} could not be written: {reason}.", "Choose another place."
        ) from None


def check_ending(path: Path, *endings: str) -> Path:
    """The path; SelectionError when its name ends in none of ``endings`` (".nii.gz") or is nothing but the ending."""
    if not any(path.name.lower().endswith(ending) and len(path.name) > len(ending) for ending in endings):
        allowed = " or ".join(endings)
        raise SelectionError(
            "ending", f"The file's name must end in {allowed}, but got {path.name!r} instead.", f"For example responses{endings[0]}."
        )
    return path


def plain_text(text: str) -> str:
    """Text without control and direction characters: XML does not allow the first, and the second turn what stands beside them around."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
