"""The errors a person may see: what went wrong, with which input, and what to do about it.

Each class is also a builtin exception type, so ordinary ``except ValueError`` code keeps working. ``str(error)`` is one plain
sentence without paths or tracebacks; ``error.hint`` says what a person can do next; ``error.code`` is stable for tests and programs.
"""

from __future__ import annotations


class CineglassError(Exception):
    """Base of all errors that are meant to be shown.

    Parameters
    ----------
    code : str
        Short stable name, for example ``"too_short"``.
    message : str
        What went wrong, which input, what is allowed and what came.
    hint : str
        What a person can do about it.
    """

    def __init__(self, code: str, message: str, hint: str = ""):
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message

    def __reduce__(self):  # travels between processes whole
        return type(self), (self.code, self.message, self.hint)


class MediaError(CineglassError, ValueError):
    """A film or sound file that cannot be admitted."""


class TranscriptError(CineglassError, ValueError):
    """A transcript that cannot be read or does not fit the clip."""


class SpeechError(CineglassError, RuntimeError):
    """The speech recogniser cannot run."""


class FeatureError(CineglassError, RuntimeError):
    """A feature stream cannot be computed."""


class CacheError(CineglassError, OSError):
    """The cache on disk cannot be used (full, read-only, gone)."""


class ModelError(CineglassError, ValueError):
    """A model that cannot be found, loaded or applied."""


class SelectionError(CineglassError, KeyError):
    """A network, parcel, group or subject that does not exist."""


class StatisticsError(CineglassError, ValueError):
    """Numbers that do not carry the statistic asked for."""


class CapsuleError(CineglassError, ValueError):
    """An experiment capsule that cannot be read, trusted or run again."""


class BusyError(CineglassError, RuntimeError):
    """Too many visitors at once."""
