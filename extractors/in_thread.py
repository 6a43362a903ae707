"""Work that says little, in a thread of its own, told as stages.

The work is handed a ``tell`` function and calls it now and then; that is where a stop reaches it. The generator itself yields four times a
second whatever the work does, so a page can stop it at any moment; after a close the work is waited for only briefly and ends at its next
``tell``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextvars import copy_context
from typing import Any, TypeVar

from extractors.stages import Stage, stage_clock

TICK_S = 0.25
LEAVE_S = 0.5
"""How long a stopped thread is waited for."""

T = TypeVar("T")
Tell = Callable[..., None]
"""``tell(done=None, message=None)``: how far the work is; raises :class:`Stopped` when nobody waits for it any more."""


class Stopped(Exception):
    """Ends the work inside its thread; no caller ever sees it."""


def in_thread(name: str, total: float, message: str, work: Callable[[Tell], T]) -> Generator[Stage, None, T]:
    """``result = yield from in_thread(...)``: run ``work(tell)`` in a thread.

    Parameters
    ----------
    name : str
        Of the stages.
    total : float
        What ``tell`` counts up to.
    message : str
        The first stage's sentence.
    work : callable
        Takes ``tell``.

    Yields
    ------
    Stage
        Never a finished one: the caller says that in words of its own.

    Raises
    ------
    Exception
        Whatever the work raised.
    """
    stopping = threading.Event()
    told: dict[str, Any] = {"done": 0.0, "message": message}

    def tell(done: float | None = None, message: str | None = None) -> None:
        if stopping.is_set():
            raise Stopped
        if done is not None:
            told["done"] = done
        if message is not None:
            told["message"] = message

    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work(tell))
        except BaseException as error:
            future.set_exception(error)

    at = stage_clock(name, total)
    yield at(0, message)
    thread = threading.Thread(target=copy_context().run, args=(run,), name=f"work-{name}", daemon=True)
    thread.start()
    try:
        while True:
            try:
                return future.result(timeout=TICK_S)
            except NotYet:
                if future.done():
                    raise  # the work itself raised a TimeoutError
                yield at(min(told["done"], 0.999 * total), told["message"])
    finally:
        stopping.set()
        thread.join(LEAVE_S)
