"""What a film may be: the limits of the media gate, judged on measured facts and never on what a header says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from extractors.errors import MediaError
from extractors.grid import TR, n_trs
from extractors.worker_process import out_of_memory

if TYPE_CHECKING:  # the gate's child has no use for them, and starts a third sooner
    from settings import Settings

_PICTURE_BYTES = 3  # a pixel in 10 bits with halved colour
_PICTURES_HELD = 24  # 16 references, some in the decoding threads, some on the way


@dataclass(frozen=True)
class Limits:
    """Limits of one admission, as :class:`settings.Settings` holds them; picklable and JSON-able for the decoding process."""

    min_trs: int
    max_duration_s: float
    max_long_side: int
    max_fps: float
    max_pixel_rate: float
    max_streams: int
    memory_mb: int

    @classmethod
    def of(cls, settings: Settings, allow_short: bool) -> Limits:
        """The limits in ``settings``; ``allow_short`` lowers the shortest film to one TR."""
        return cls(
            1 if allow_short else settings.min_trs,
            settings.max_duration_s,
            settings.max_long_side,
            settings.max_fps,
            settings.max_pixel_rate,
            settings.max_streams,
            settings.gate_memory_mb,
        )


@dataclass(frozen=True)
class Facts:
    """What the packets of an upload say.

    ``streams`` counts tracks of any kind; ``width`` and ``height`` are stored pixels, 0 without picture; ``fps`` is pictures over seconds of
    picture; ``duration`` is seconds from the first to the last thing shown or heard.
    """

    streams: int
    width: int
    height: int
    fps: float
    duration: float

    def to_dict(self) -> dict:
        """As JSON-able mapping."""
        return asdict(self)


def clock(seconds: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def check_streams(count: int, limits: Limits) -> None:
    """Raise ``too_many_streams``."""
    if count > limits.max_streams:
        raise MediaError(
            "too_many_streams",
            f"The file holds {count} tracks; at most {limits.max_streams} are allowed.",
            "Export it with one picture and one sound track.",
        )


def check_picture(width: int, height: int, limits: Limits) -> None:
    """Raise ``too_big_picture``, or ``decode_memory`` where the decoder could not hold the pictures it must keep.

    A decoder without memory reports damage, so what it will need is reckoned beforehand.
    """
    if max(width, height) > limits.max_long_side:
        raise MediaError(
            "too_big_picture",
            f"The picture is {width} x {height}; the longer side may have at most {limits.max_long_side} pixels.",
            "Export it in a smaller size; 720p is all that is used.",
        )
    if width * height * _PICTURE_BYTES * _PICTURES_HELD > 0.75 * limits.memory_mb * 2**20:
        raise out_of_memory()


def too_long(seconds: float | None, limits: Limits) -> MediaError:
    """The error for a film of ``seconds`` (None: reading stopped at the limit)."""
    allowed = clock(limits.max_duration_s)
    length = f"The film lasts {clock(seconds)}" if seconds is not None else f"The film goes on after {allowed}"
    return MediaError("too_long", f"{length}; at most {allowed} is allowed.", "Cut out the part you want to look at.")


def check_facts(facts: Facts, limits: Limits) -> None:
    """Hold a film against all limits.

    Raises
    ------
    MediaError
        ``too_many_streams``, ``too_big_picture``, ``decode_memory``, ``too_long``, ``too_short``, ``frame_rate`` or ``pixel_rate``.
    """
    check_streams(facts.streams, limits)
    check_picture(facts.width, facts.height, limits)
    if facts.duration > limits.max_duration_s + 0.5:  # a film of exactly the limit may carry some padding of its sound
        raise too_long(facts.duration, limits)
    count = n_trs(facts.duration)
    if count < limits.min_trs:
        raise MediaError(
            "too_short",
            f"The film lasts {facts.duration:.2f} s, which is {count} TRs of {TR} s;"
            f" at least {limits.min_trs} TRs ({limits.min_trs * TR:.1f} s) are needed.",
            "Choose a longer clip, best a minute or more: the first 22 s rest on too short a past to be trusted.",
        )
    if facts.fps > limits.max_fps * 1.001:
        raise MediaError(
            "frame_rate",
            f"The film has {facts.fps:.0f} pictures per second; at most {limits.max_fps:.0f} are allowed.",
            "Export it with 60 pictures per second or fewer.",
        )
    rate = facts.fps * facts.width * facts.height
    if rate > limits.max_pixel_rate:
        raise MediaError(
            "pixel_rate",
            f"The film has {rate / 1e6:.0f} million pixels per second ({facts.width} x {facts.height} at {facts.fps:.0f} per second);"
            f" at most {limits.max_pixel_rate / 1e6:.0f} million are allowed.",
            "Export it in a smaller size; 720p is all that is used.",
        )
