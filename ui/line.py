"""The waiting line: one job per visitor, a bounded number waiting, and a way to stop each of them.

Gradio has a queue of its own, but a visitor it turns away gets a bare 503. Here the line belongs to us, so a full house is a sentence,
the position is known at every moment, and the page and the API stand in the same line.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any, Literal, TypeVar

import gradio as gr

from extractors.errors import BusyError, CacheError, CineglassError
from extractors.stages import Stage

POLL_S = 0.2
"""Seconds between two looks at a job."""
STOPS_S = 2.0
"""Seconds that a job may take to stop; a stage ends within one or so."""

log = logging.getLogger(__name__)

State = Literal["waiting", "running", "done", "failed", "stopped"]
Said = TypeVar("Said")


class Job:
    """One visitor's run.

    Attributes
    ----------
    state : {"waiting", "running", "done", "failed", "stopped"}
    stages : dict of str to Stage
        The newest Stage of each name, in order of first appearance.
    result : object or None
        The last item of the generator, once done.
    error : CineglassError or None
        Why it failed, in words for a person.
    about : object or None
        Whatever the one who joined wants to find here again.
    """

    def __init__(self, visitor: str, start: Callable[[], Iterator[Any]], about: Any = None):
        self.id = secrets.token_hex(8)
        self.visitor = visitor
        self.about = about
        self.state: State = "waiting"
        self.stages: dict[str, Stage] = {}
        self.result: Any = None
        self.error: CineglassError | None = None
        self.began = time.monotonic()
        self.seconds = 0.0
        self._start = start
        self._stop = threading.Event()

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ("done", "failed", "stopped")

    @property
    def stopping(self) -> bool:
        """Whether it was asked to end: whoever asked has told the page so, and news of its work would come after that."""
        return self._stop.is_set()

    @property
    def elapsed(self) -> float:
        """Seconds of work so far, waiting not counted."""
        if self.state == "waiting":
            return 0.0
        return self.seconds if self.over else time.monotonic() - self.began

    def stop(self) -> None:
        """Ask the job to end; it does at its next stage, at most a second away, and closes what it opened."""
        self._stop.set()

    def work(self) -> None:
        """Run the job to its end in the calling thread."""
        self.began = time.monotonic()
        stages: Iterator[Any] = iter(())
        end: State = "failed"
        try:
            stages = self._start()
            for item in stages:
                if self._stop.is_set():
                    break
                if isinstance(item, Stage):
                    before = self.stages.get(item.name)
                    if before is not None and item.finished:  # some say the end without the time it took
                        item = replace(item, elapsed_s=max(item.elapsed_s, before.elapsed_s))
                    self.stages[item.name] = item
                else:
                    self.result = item
            end = "stopped" if self._stop.is_set() else "done"
        except Exception as error:
            self.error = in_plain_words(error)
        finally:
            close = getattr(stages, "close", None)
            if close is not None:
                close()
            self.seconds = time.monotonic() - self.began
            self.state = end


def in_plain_words(error: Exception) -> CineglassError:
    """The error a person may see; whatever we did not foresee goes to the log and becomes one honest sentence."""
    if isinstance(error, CineglassError):
        return error
    log.error("a job failed", exc_info=error)
    if isinstance(error, MemoryError):
        return CineglassError("out_of_memory", "This machine ran out of memory on this clip.", "Try a shorter clip, or close other programs.")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EROFS, errno.EDQUOT):
        return CacheError("disk", "The disk of this machine is full or cannot be written.", "Free some space, then press Run again.")
    return CineglassError("unexpected", "Something went wrong inside Cineglass, not with your clip.", "Try again; finished stages are kept.")


class Line:
    """First come, first served.

    Parameters
    ----------
    running : int
        Jobs that may run at the same time.
    waiting : int
        Visitors who may wait behind them.
    """

    def __init__(self, *, running: int = 1, waiting: int = 20):
        self._limit = running
        self._room = waiting
        self._lock = threading.Lock()
        self._waiting: deque[Job] = deque()
        self._running: list[Job] = []

    def __len__(self) -> int:
        """Jobs that run or wait."""
        with self._lock:
            return len(self._running) + len(self._waiting)

    def join(self, visitor: str, start: Callable[[], Iterator[Any]], *, about: Any = None) -> Job:
        """Put a job at the end of the line.

        Parameters
        ----------
        visitor : str
            Who asks; one job each.
        start : callable
            Makes the generator of stages, called when the turn comes.
        about : object, optional
            Kept with the job.

        Raises
        ------
        BusyError
            Codes ``already_running`` and ``queue_full``.
        """
        job = Job(visitor, start, about)
        with self._lock:
            theirs = (other for other in (*self._running, *self._waiting) if other.visitor == visitor)
            if any(not other._stop.is_set() and not other.over for other in theirs):  # one that is over may not have left yet
                raise BusyError("already_running", "A run of yours is already going.", "Wait for it, or press Stop first.")
            if len(self._running) >= self._limit and len(self._waiting) >= self._room:
                raise BusyError(
                    "queue_full",
                    f"Every place is taken: {len(self._waiting)} visitors are waiting for a run and no more can queue.",
                    "Try again in a few minutes. The examples have finished results and stay open meanwhile.",
                )
            self._waiting.append(job)
        self._advance()
        return job

    def position(self, job: Job) -> int:
        """How many jobs come before this one; 0 once it runs or is over."""
        with self._lock:
            if job not in self._waiting:
                return 0
            return list(self._waiting).index(job) + len(self._running)

    def stop(self, job: Job) -> None:
        """End a job, whether it waits or runs."""
        job.stop()
        with self._lock:
            if job in self._waiting:
                self._waiting.remove(job)
                job.state = "stopped"

    def of(self, visitor: str) -> Job | None:
        """The job this visitor has going."""
        with self._lock:
            return next((job for job in (*self._running, *self._waiting) if job.visitor == visitor and not job.over), None)

    def stop_visitor(self, visitor: str) -> bool:
        """End whatever this visitor has going; True when there was something."""
        with self._lock:
            theirs = [job for job in (*self._running, *self._waiting) if job.visitor == visitor]
        for job in theirs:
            self.stop(job)
        return bool(theirs)

    def _advance(self) -> None:
        with self._lock:
            while self._waiting and len(self._running) < self._limit:
                job = self._waiting.popleft()
                job.state = "running"
                job.began = time.monotonic()
                self._running.append(job)
                threading.Thread(target=self._work, args=(job,), name=f"run-{job.id}", daemon=True).start()

    def _work(self, job: Job) -> None:
        try:
            job.work()
        finally:
            with self._lock:
                self._running.remove(job)
            self._advance()


def as_it_is(part: Any) -> dict[Any, Any]:
    """What a generator says that changes nothing: Gradio empties every output of one that says nothing at all."""
    return {part: gr.skip()}


async def news(job: Job, line: Line, say: Callable[[int], Said]) -> AsyncIterator[Said]:
    """What ``say`` makes of a job and its position in the line, each time that is something new, until the job is over.

    Once it was asked to stop nothing more is said: whoever asked has told the page so. Whoever listens stops the job when nobody listens any more,
    and says what is to be said of its end.
    """
    told: Said | None = None
    while not job.over:
        said = say(line.position(job))
        if said != told and not job.stopping:
            told = said
            yield said
        await asyncio.sleep(POLL_S)


async def ended(job: Job) -> None:
    """Wait for a job that was asked to stop, for two seconds at most, so that the page may show its buttons again."""
    for _ in range(round(STOPS_S / POLL_S)):
        if job.over:
            return
        await asyncio.sleep(POLL_S)
