"""Two long jobs at once, told as one.

The side job runs in a thread of its own (meant for work that waits for child processes, such as speech recognition), the main job in the
caller's. Closing the generator closes both: the side job is closed at its next step, and jobs take a step at least once a second.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from typing import Any

from extractors.stages import Stage

STEP_S = 0.25
"""How long the side job may be waited for before its last stage is told again; a page can only stop a job between two stages."""


def overlapping(main: Generator[Any, None, None], side: Generator[Any, None, None]) -> Generator[Any, None, None]:
    """Run two jobs at once.

    Yields
    ------
    Stage
        Of either job, as they come; the last item is the tuple (main's result, side's result).

    Raises
    ------
    Exception
        What either job raised; the other one is closed.
    """
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    stop = threading.Event()
    end = object()
    failure: list[BaseException] = []

    def drive() -> None:
        try:
            for item in side:
                told.put(item)
                if stop.is_set():
                    return
        except BaseException as error:
            failure.append(error)
        finally:
            side.close()
            told.put(end)

    thread = threading.Thread(target=drive, name="side-job", daemon=True)
    results: list[Any] = [None, None]
    running = True
    thread.start()
    try:
        for item in main:
            if isinstance(item, Stage):
                yield item
            else:
                results[0] = item
            while running:
                try:
                    item = told.get_nowait()
                except queue.Empty:
                    break
                running = item is not end
                if isinstance(item, Stage):
                    yield item
                elif running:
                    results[1] = item
            if failure:
                raise failure[0]
        latest = None
        while running:
            try:
                item = told.get(timeout=STEP_S)
            except queue.Empty:
                if latest is not None:
                    yield latest
                continue
            running = item is not end
            if isinstance(item, Stage):
                latest = item
                yield item
            elif running:
                results[1] = item
        if failure:
            raise failure[0]
    finally:
        stop.set()
        main.close()
        thread.join(timeout=5)
    yield tuple(results)
