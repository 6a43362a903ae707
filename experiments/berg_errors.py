"""Errors by the names that users of BERG catch. Each is one of ours too: a sentence with what is allowed and what came, and a hint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from extractors.errors import BusyError, CacheError, CineglassError, MediaError, ModelError, SelectionError


class BERGError(CineglassError):
    """Base of all errors of the Python interface; ``str`` is the sentence and the hint, which a notebook shows nowhere else."""

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class ModelNotFoundError(BERGError, LookupError):
    """There is no model of this id."""


class ModelLoadError(BERGError, RuntimeError):
    """The files of a model are missing, damaged, or do not belong together."""


class InvalidParameterError(BERGError, ValueError):
    """An argument that is not allowed."""


class StimulusError(BERGError, ValueError):
    """A film or a transcript that cannot be used, or the two do not fit each other."""


class ResourceError(BERGError, RuntimeError):
    """Not enough memory or disk, or somebody else is using them."""


@contextmanager
def berg_errors() -> Iterator[None]:
    """Errors of the other rooms leave under BERG's names with their sentence, hint and code."""
    try:
        yield
    except BERGError:
        raise
    except CineglassError as error:
        raise _name_for(error)(error.code, error.message, error.hint) from error


def _name_for(error: CineglassError) -> type[BERGError]:
    if isinstance(error, CacheError | BusyError) or ("memory" in error.code and not isinstance(error, MediaError)):
        return ResourceError
    if isinstance(error, ModelError):
        return ModelLoadError
    return InvalidParameterError if isinstance(error, SelectionError) else StimulusError


def not_allowed(name: str, allowed: str, given: Any, hint: str = "") -> InvalidParameterError:
    """The error for an argument that has a wrong value: ``name`` must be ``allowed``."""
    shown = repr(given)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    return InvalidParameterError("not_allowed", f"{name} must be {allowed}, but got {shown} instead.", hint)


def unknown_name(what: str, allowed: Iterable[str], given: Any, hint: str = "", *, more: str = "") -> InvalidParameterError:
    """The error for a name that is none of ``allowed`` (``more`` tells of further ones), with the nearest one as the hint."""
    names = [str(name) for name in allowed]
    close = did_you_mean(str(given), names)
    message = f"Allowed {what} are {', '.join(names)}{more}, but got {str(given)[:80]!r} instead."
    return InvalidParameterError("unknown_name", message, " ".join(part for part in (close, hint) if part) or "Choose one of them.")


def did_you_mean(given: str, names: Iterable[str]) -> str:
    """The question "Did you mean ...?" for the nearest name, however it is written; "" when none is near."""
    lower = {name.lower(): name for name in names}
    close = get_close_matches(given.lower(), lower, n=1)
    return f"Did you mean {lower[close[0]]}?" if close else ""
