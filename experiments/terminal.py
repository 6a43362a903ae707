"""A job in a terminal: its stages as bars, its errors as one line, Ctrl+C as a wish to stop.

Exit codes: 0 fine, 1 a fault of the program, 2 usage, 3 bad input, 4 a model or recogniser is missing, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from textwrap import shorten
from typing import Any, NoReturn

from extractors.errors import CineglassError, ModelError, SelectionError, SpeechError
from settings import SettingsError

FAULT, USAGE, BAD_INPUT, MISSING, INTERRUPTED, TERMINATED = 1, 2, 3, 4, 130, 143
BESIDE_MESSAGE = 42  # columns of a progress line: the stage's name, its bar and its time


def show(job: Generator[Any, None, None], *, quiet: bool) -> Any:
    """Run a job to its end with a bar for each stage; an interrupt closes the job, which ends its child processes."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from extractors.stages import Stage

    columns = (TextColumn("{task.fields[stage]:6}"), BarColumn(bar_width=24), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    result, tasks = None, {}
    bars = Progress(*columns, console=(console := Console(stderr=True)), disable=quiet)
    room = max(20, console.width - BESIDE_MESSAGE)
    try:
        with _asked_to_stop() as asked, closing(job):
            try:
                for item in job:
                    if asked:
                        break
                    if not isinstance(item, Stage):
                        result = item
                        continue
                    if item.name not in tasks:
                        bars.start()  # with the first stage: a job that fails at once leaves its one line alone
                        tasks[item.name] = bars.add_task("", stage=item.name)
                    message = shorten(item.message, room, placeholder=" ...")  # a long one would squeeze the bars away
                    bars.update(tasks[item.name], completed=item.done, total=item.total, description=message)
            except CineglassError:
                if not asked:  # else a child process got the same signal and its job failed from that
                    raise
        if asked:
            raise SystemExit(TERMINATED) if signal.SIGTERM in asked else KeyboardInterrupt
    finally:
        if tasks:
            bars.stop()
    return result


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """Collect the first signal instead of raising wherever it hits: a job that is starting a child process must finish that and then stop."""
    asked: list[int] = []

    def ask(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def spoken() -> Iterator[None]:
    """Turn errors into one line on stderr and an exit code."""
    try:
        yield
    except (ModelError, SpeechError) as error:
        fail(f"{error.message} {error.hint}", MISSING)
    except SelectionError as error:
        fail(f"{error.message} {error.hint}", USAGE)
    except CineglassError as error:
        fail(f"{error.message} {error.hint}", BAD_INPUT)
    except KeyboardInterrupt:
        fail("Interrupted.", INTERRUPTED)
    except BrokenPipeError:
        # who read stdout has gone; Python would complain once more when it flushes at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except SettingsError as error:
        fail(str(error), USAGE)
    except Exception as error:
        if os.environ.get("CINEGLASS_TRACEBACK"):
            raise
        said = " ".join(str(error).split()) or type(error).__name__
        fail(f"A fault of the program: {said} Set CINEGLASS_TRACEBACK=1 to see where, and please report it.", FAULT)


def fail(message: str, code: int) -> NoReturn:
    """Say one line on stderr and leave with an exit code; SystemExit always."""
    print(" ".join(message.split()), file=sys.stderr)
    raise SystemExit(code) from None


def must_be_there(*files: Path | None) -> None:
    """Leave when a file that was named is not there; None is a file that was not asked for."""
    for file in files:
        if file is not None and not file.is_file():
            fail(f"There is no file {file}. Check its name.", BAD_INPUT)


@contextmanager
def writable_folder(out: Path) -> Iterator[None]:
    """Find out before the long work whether the result can be written; a folder that was made for nothing goes again."""
    new = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"The folder {out} cannot be made: {reason(error)}. Choose another one with --out.", BAD_INPUT)
    try:
        yield
    finally:
        if new:
            with suppress(OSError):  # it holds the result
                out.rmdir()


def write_text(text: str, out: Path) -> None:
    """Write a text file whole or not at all; what was there before stays when it cannot be written."""
    part = out.with_name(f".{out.name}.part")
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(out)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        fail(f"The file {out} cannot be written: {reason(error)}. Choose another one with --out.", BAD_INPUT)


def reason(error: OSError) -> str:
    """Why the system refused, in its own words."""
    return (error.strerror or "unknown reason").lower()
