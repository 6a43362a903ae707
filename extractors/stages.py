"""Progress of long work, told in small steps.

Every long job is a generator of :class:`Stage`; its last item is the result. Only a generator can be stopped from a page, so a job yields
at least once a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Stage:
    """One step of a long job.

    ``name`` identifies the stage ("gate", "speech", "video", "audio", "text", "model"), ``done`` of ``total`` units are finished,
    ``message`` is one plain sentence, ``elapsed_s`` and ``remaining_s`` are seconds since the stage began and until it should end
    (None while unknown).
    """

    name: str
    done: float
    total: float
    message: str
    elapsed_s: float = 0.0
    remaining_s: float | None = None

    @property
    def finished(self) -> bool:
        """Whether this stage has nothing left to do."""
        return self.done >= self.total


def stage_clock(name: str, total: float) -> Callable[..., Stage]:
    """Start a stage's clock; the function returned makes a Stage from ``(done, message)`` with times filled in."""
    start = time.monotonic()

    def at(done: float, message: str) -> Stage:
        elapsed = time.monotonic() - start
        remaining = elapsed * (total - done) / done if done > 0 else None
        return Stage(name, done, total, message, elapsed, remaining)

    return at


def last(job: Iterator[Any], on_stage: Callable[[Stage], None] | None = None) -> Any:
    """Run a job to its end and return its result, handing every Stage on the way to ``on_stage``."""
    result = None
    for item in job:
        if isinstance(item, Stage):
            if on_stage is not None:
                on_stage(item)
        else:
            result = item
    return result


def passing_on(job: Iterator[Any]) -> Generator[Stage, None, Any]:
    """``result = yield from passing_on(job)``: yields the job's stages on, returns its last item; closing closes the job."""
    result = None
    try:
        for item in job:
            if isinstance(item, Stage):
                yield item
            else:
                result = item
    finally:
        close = getattr(job, "close", None)
        if close is not None:
            close()
    return result
