"""Pictures for V-JEPA 2, from film to the windows that go to the device: ``python -m benchmarks.vibe_video [--minutes 10] [--every 1]``.

Films: one of the natural films, scaled to 720p and repeated to 60 s and to ten minutes (H.264, a keyframe every 2 s). For every TR a window of 64
pictures of 256 x 256 pixels is made, uint8. Three ways, each in a process of its own, one after the other, on all cores: ours (one decode of the
film in a child process, pictures shared between windows), the published port's order of work (decord, the reader opened once, ``get_batch`` for
each window) and plain PyAV (the file opened once, one seek and decode for each window, only the shown pictures scaled). ``--every N`` measures
the two baselines on each N-th window only and multiplies. All three must give the same pictures. Memory is the proportional set size of the
process and its children at its peak. Normalising the pixels is the same work in all of them, happens on the device, and is timed on its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.pipeline import ROOT, make_film, memory_mb

SIZE = 256
AIM = 5.0


def ours(path: Path, n_trs: int, every: int) -> Iterator[np.ndarray]:
    from extractors.clip import Clip
    from extractors.frames import count_frames, iter_frames
    from extractors.vibe_video import plan_windows, window_pictures

    clip = Clip(path, None, "", "picture", None, path.name, n_trs * 1.49, n_trs, 25.0, 1280, 720)
    frames = iter_frames(clip, size=(SIZE, SIZE), exact=True)
    yield from window_pictures((picture for _, picture in frames), plan_windows(n_trs, clip.fps, count_frames(clip)), SIZE)


def by_decord(path: Path, n_trs: int, every: int) -> Iterator[np.ndarray]:
    import decord

    from extractors.vibe_video import plan_windows

    reader = decord.VideoReader(str(path), width=SIZE, height=SIZE)
    for window in plan_windows(n_trs, reader.get_avg_fps(), len(reader))[::every]:
        shown = np.zeros((len(window.frames), SIZE, SIZE, 3), np.uint8)
        present = [number for number in window.frames if number >= 0]
        shown[-len(present) :] = reader.get_batch(present).asnumpy()
        yield shown


def by_pyav(path: Path, n_trs: int, every: int) -> Iterator[np.ndarray]:
    import av
    from av.video.reformatter import Interpolation, VideoReformatter

    from extractors.vibe_video import plan_windows

    reformatter = VideoReformatter()
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        stream.thread_type = "AUTO"
        for window in plan_windows(n_trs, 25.0, stream.frames)[::every]:
            shown = np.zeros((len(window.frames), SIZE, SIZE, 3), np.uint8)
            places: dict[int, list[int]] = {}
            for place, number in enumerate(window.frames):
                places.setdefault(number, []).append(place)
            film.seek(round(max(0, window.frames[0]) / 25 / stream.time_base), stream=stream)
            for frame in film.decode(stream):
                number = round(frame.time * 25)
                if number in places:
                    small = reformatter.reformat(frame, SIZE, SIZE, "rgb24", interpolation=Interpolation.BILINEAR)
                    shown[places[number]] = small.to_ndarray()
                if number >= window.frames[-1]:
                    break
            yield shown


WAYS = {"ours": ours, "decord": by_decord, "PyAV": by_pyav}


def run_one(way: str, path: Path, n_trs: int, every: int) -> None:
    """In a process of its own: make all windows, keep the sums of some; print the figures as JSON."""
    peak, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            peak[0] = max(peak[0], memory_mb(os.getpid()))

    import extractors.vibe_video  # noqa: F401

    if way == "decord":
        import decord  # noqa: F401
    threading.Thread(target=watch, daemon=True).start()
    step = 1 if way == "ours" else every
    sums: dict[int, list[float]] = {}
    began, count = time.perf_counter(), 0
    for window in WAYS[way](path, n_trs, every):
        if count * step % (20 * every) == 0:
            sums[count * step] = [float(window[place].astype(int).sum() / window[place].size) for place in (20, 40, 63)]
        count += 1
    seconds = (time.perf_counter() - began) * n_trs / count
    done.set()
    print(json.dumps({"seconds": seconds, "memory": peak[0], "sums": sums}))


def normalising_ms() -> float:
    """Milliseconds to normalise one window on this machine's processor, float32; median of seven."""
    import torch

    from extractors.vibe_video import normalised

    shown, absent = torch.zeros(1, 64, SIZE, SIZE, 3, dtype=torch.uint8), torch.zeros(1, 64, dtype=torch.bool)
    times = []
    for _ in range(7):
        began = time.perf_counter()
        normalised(shown, absent, torch.float32)
        times.append(time.perf_counter() - began)
    return 1000 * float(np.median(times))


def main() -> int:
    """Measure and print a table; the exit status says whether the aim was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="length of the long film; 0 leaves it out")
    parser.add_argument("--every", type=int, default=1, help="measure the baselines on each N-th window only")
    parser.add_argument("--run", nargs=4, metavar=("WAY", "FILM", "TRS", "EVERY"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        way, path, count, every = arguments.run
        run_one(way, Path(path), int(count), int(every))
        return 0

    from experiments.natural_films import build_natural_films
    from extractors.grid import n_trs

    missed = False
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        source = next(film.path for film in build_natural_films(here / "natural") if "sense" in film.path.stem)
        print("| film | windows | ours | decord, window by window | ratio | PyAV, window by window | ratio | memory: ours | decord | PyAV |")
        print("|---|---|---|---|---|---|---|---|---|---|")
        for name, seconds in (("60 s", 60), (f"{arguments.minutes:g} min", 60 * arguments.minutes)):
            if not seconds:
                continue
            path, count = make_film(here / f"{seconds:g}.mp4", source, seconds, "libx264"), n_trs(seconds)
            got = {}
            for way in WAYS:
                command = [sys.executable, "-m", "benchmarks.vibe_video", "--run", way, str(path), str(count), str(arguments.every)]
                answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
                got[way] = json.loads(answer.stdout.splitlines()[-1])
            for way in ("decord", "PyAV"):
                shared = got["ours"]["sums"].keys() & got[way]["sums"].keys()
                assert shared
                assert np.abs(np.array([np.subtract(got["ours"]["sums"][key], got[way]["sums"][key]) for key in shared])).max() <= 1, way
            ratios = {way: got[way]["seconds"] / got["ours"]["seconds"] for way in got}
            missed |= min(ratios["decord"], ratios["PyAV"]) < AIM
            print(
                f"| {name}, H.264 720p | {count} | {got['ours']['seconds']:.1f} s | {got['decord']['seconds']:.1f} s | {ratios['decord']:.1f} | "
                f"{got['PyAV']['seconds']:.1f} s | {ratios['PyAV']:.1f} | " + " | ".join(f"{got[way]['memory']:.0f} MB" for way in WAYS) + " |",
                flush=True,
            )
    print(f"\nNormalising a window on the processor (float32) takes {normalising_ms():.0f} ms in each of the three.")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
