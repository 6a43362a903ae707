"""The whole page on a free port, launched as ``app.py`` launches it, with a folder of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from extractors.errors import MediaError
from extractors.stages import stage_clock
from settings import Settings
from ui.page import build_demo, launch_arguments

NASTY = '<img src=x onerror="window.__fired=1"> {{value}} ${window.__fired=1} `\'" </script><script>window.__fired=1</script>'
STEP_S = 0.1
ROOT = Path(__file__).parents[1]


class Pace:
    """A job of the page's form whose pace a test sets: it goes on while ``go`` is set, fails when ``fail`` is, and counts itself."""

    def __init__(self):
        self.go = threading.Event()
        self.fail = threading.Event()
        self.error = MediaError("decode_failed", "The picture ends in the middle.", "Save it again as H.264 MP4.")
        self.started = 0
        self.closed = 0
        self.films: list[str] = []
        self.transcripts: list[Any] = []

    def predict(self, film: Any, *, transcript: Any = None, **_: Any) -> Iterator[Any]:
        """Three stages, then the result of an example."""
        from experiments.examples import list_examples, load_example

        self.started += 1
        self.films.append(str(film))
        self.transcripts.append(transcript)
        try:
            for name in ("gate", "video", "model"):
                at = stage_clock(name, 2)
                yield at(0, f"{name} begins")
                while name == "video" and not self.go.is_set():
                    time.sleep(STEP_S)
                    yield at(1, "The picture is read")
                if name == "video" and self.fail.is_set():
                    raise self.error
                yield at(2, f"{name} is ready")
            yield load_example(list_examples()[-1].id)[1]
        finally:
            self.closed += 1


@contextlib.contextmanager
def serving(
    folder: Path, *, predict: Callable[..., Iterator[Any]] | None = None, compare: Callable[..., Iterator[Any]] | None = None, **changes: Any
) -> Iterator[tuple[str, Any]]:
    """Serve the page; gives its address and the Blocks. Everything it keeps lies under ``folder`` and goes with it.

    Gradio reads its upload folder from the environment again and again, so only one page at a time can take uploads in one process.
    """
    before = os.environ.get("GRADIO_TEMP_DIR")
    settings = Settings(**{"cache_dir": folder, "port": free_port(), "host": "127.0.0.1"} | changes)
    demo = build_demo(settings, predict=predict, compare=compare)
    demo.launch(**launch_arguments(demo, settings), prevent_thread_lock=True, quiet=True)
    try:
        yield f"http://127.0.0.1:{settings.port}", demo
    finally:
        demo.close()
        shutil.rmtree(folder, ignore_errors=True)
        os.environ.pop("GRADIO_TEMP_DIR") if before is None else os.environ.update(GRADIO_TEMP_DIR=before)


@contextlib.contextmanager
def app_process(folder: Path, **environment: str) -> Iterator[tuple[str, list[str]]]:
    """``python app.py`` as a process of its own; gives its address and what it printed until it answered."""
    port = free_port()
    told = folder / "told.txt"
    folder.mkdir(parents=True, exist_ok=True)
    with open(told, "w") as out:
        process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=ROOT,
            env=os.environ | {"CINEGLASS_PORT": str(port), "CINEGLASS_CACHE_DIR": str(folder / "cache")} | environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(address) or process.poll() is not None, 60)
        assert process.poll() is None, told.read_text()
        yield address, told.read_text().splitlines()
    finally:
        process.terminate()
        process.wait(10)


def _answers(address: str) -> bool:
    try:
        return urllib.request.urlopen(address, timeout=5).status == 200
    except OSError:
        return False


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(true: Callable[[], Any], seconds: float = 30.0) -> None:
    """Return as soon as ``true()`` is; fail after ``seconds``."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
