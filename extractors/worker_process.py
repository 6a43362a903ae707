"""A decoding process of our own: hostile bytes may kill it, but not the app.

The child is this same Python, started as ``python -m extractors.<worker>`` with its job as one JSON line on stdin; it limits its own memory
and processor time before it opens anything (:func:`limit_this_process`).
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from extractors.errors import CacheError, MediaError

_ROOT = Path(__file__).resolve().parent.parent  # not from the settings: a child starts a third sooner without them

THREADS = max(1, min(4, os.cpu_count() or 1))
"""Decoder threads: memory grows with each of them, so a large machine does not get more."""


@contextmanager
def worker(module: str, job: dict) -> Iterator[subprocess.Popen]:
    """Run ``python -m module`` with ``job``; leaving the block, however it is left, ends the process."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=_ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # decoders talk a lot about hostile files, and none of it is for a person
    )
    try:
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it died at once: the caller sees the exit code
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.close()
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def read_job() -> dict:
    """In the child: the job from stdin."""
    return json.loads(sys.stdin.buffer.readline())


def limit_this_process(memory_mb: int, cpu_s: float, file_mb: int | None = None) -> None:
    """In the child: cap its memory, processor time and the size of any file it writes (memory on Linux only)."""
    import resource

    def cap(kind: int, value: int) -> None:
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))

    if sys.platform == "linux":  # macOS counts shared system libraries and refuses
        cap(resource.RLIMIT_AS, memory_mb * 2**20)
    cap(resource.RLIMIT_CPU, int(cpu_s) + 1)
    cap(resource.RLIMIT_CORE, 0)
    if file_mb is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then writing fails with an error we can name
        cap(resource.RLIMIT_FSIZE, file_mb * 2**20)


def messages(process: subprocess.Popen, timeout_s: float, tick_s: float = 0.5) -> Iterator[dict | None]:
    """JSON lines of the child as they come, None at least every ``tick_s`` seconds, until it closes its output.

    Raises
    ------
    MediaError
        ``decode_timeout`` after ``timeout_s`` seconds.
    """
    assert process.stdout is not None
    deadline = time.monotonic() + timeout_s
    buffer = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if time.monotonic() > deadline:
                raise timed_out(timeout_s)
            if not selector.select(tick_s):
                yield None
                continue
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                return
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                yield json.loads(line)


def timed_out(seconds: float) -> MediaError:
    """The error for a film that takes too long to decode."""
    return MediaError(
        "decode_timeout",
        f"Reading the film took longer than {seconds:.0f} s and was stopped.",
        "Try a shorter or smaller version, saved as H.264 MP4.",
    )


def out_of_memory() -> MediaError:
    """The error for a film that needs too much memory to decode."""
    return MediaError("decode_memory", "Reading the film needs more memory than is allowed.", "Try a smaller picture, saved as H.264 MP4.")


def death_of(process: subprocess.Popen, timeout_s: float) -> MediaError | CacheError:
    """The error for a child that ended without a result."""
    code = process.wait(timeout=5)
    if code == -signal.SIGXCPU:
        return timed_out(timeout_s)
    if code == -signal.SIGKILL:  # the kernel's answer to too much memory
        return out_of_memory()
    if code == -signal.SIGBUS:  # a mapped file that the disk has no room for
        return disk_full()
    return broken()


def broken() -> MediaError:
    """The error for a film that no decoder gets through."""
    return MediaError(
        "decode_failed", "The film is damaged in a way that stops the decoder.", "Open it in a video editor and save it again as H.264 MP4."
    )


def disk_full() -> CacheError:
    """The error for a disk without room."""
    return CacheError("disk_full", "There is no room on the disk for the film.", "Free some space, or ask whoever runs this app to.")
