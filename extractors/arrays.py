"""Arrays from ``.npy`` and ``.npz`` files, and literals from text, one thread at a time.

Both go through Python's own parser, which counts its depth for all threads together: two that parse at once may end in
``SystemError: AST constructor recursion depth mismatch`` (seen with Python 3.11.7).
"""

from __future__ import annotations

import ast
import os
import threading
import zipfile
import zlib
from typing import IO, Any

import numpy as np

_parser = threading.RLock()  # what the garbage collector ends in the middle of a load may load as well


def load_array(file: str | os.PathLike, *, mapped: bool = False) -> np.ndarray:
    """The array of a ``.npy`` file; ``mapped`` leaves its values on the disk, read-only.

    Raises
    ------
    OSError
        When there is no such file.
    ValueError, EOFError
        When it is no array, or one of Python objects.
    """
    with _parser:
        found = np.load(file, mmap_mode="r" if mapped else None, allow_pickle=False)
    if isinstance(found, np.ndarray):
        return found
    found.close()
    raise ValueError("several arrays where one was wanted")


def load_arrays(file: str | os.PathLike | IO[bytes]) -> dict[str, np.ndarray]:
    """The arrays of a ``.npz`` file by name; raises as :func:`load_array`."""
    try:
        with _parser:
            found = np.load(file, allow_pickle=False)
            if isinstance(found, np.ndarray):
                raise ValueError("one array where several were wanted")
            with found:
                return dict(found)
    except (zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"not a whole npz file: {error}") from error


def read_literal(text: str) -> Any:
    """The value of a Python literal, never evaluated; raises what :func:`ast.literal_eval` does."""
    with _parser:
        return ast.literal_eval(text)


def parse_source(text: str) -> ast.Module:
    """The tree of a Python source, never run; raises what :func:`ast.parse` does."""
    with _parser:
        return ast.parse(text)
