"""How long a film takes from upload to response, cold and warm, and how much memory: ``python -m benchmarks.pipeline [--minutes 10]``.

Films: one of the natural films, scaled to 720p and cut to 60 s (H.264, copied by the gate), the same in MPEG-4 (must be re-encoded), and the
first repeated to ten minutes. Each film is predicted in a new process whose cache is empty and whose modules are loaded, as in a server; then once
more from the cache, and for one other subject. Recognition, streams and model are the page's defaults. The baseline of each ratio is the time that
plain PyAV takes to decode every picture of the same film on two threads, measured right before.
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
from fractions import Fraction
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
LIMITS_S = {"60 s, H.264 720p": 20, "60 s, MPEG-4 720p, re-encoded": 45, "10 min, H.264 720p": 180}
AGAIN_S = 1.0
MEMORY_MB = 1500


def make_film(path: Path, source: Path, seconds: float, codec: str) -> Path:
    """Scale a film to 720p, repeat it until ``seconds`` are full, and encode it with AAC sound."""
    import av

    with av.open(str(path), "w") as out:
        picture = out.add_stream(codec, rate=25, options={"preset": "veryfast", "crf": "23", "g": "50"} if codec == "libx264" else {"q": "5"})
        picture.width, picture.height, picture.pix_fmt = 1280, 720, "yuv420p"
        if codec != "libx264":
            picture.bit_rate = 4_000_000
        sound = out.add_stream("aac", rate=44100, layout="mono")
        pictures, samples = 0, 0
        while pictures < seconds * 25:
            with av.open(str(source)) as film:
                resampler = av.AudioResampler("fltp", "mono", 44100)
                for frame in film.decode(video=0, audio=0):
                    if isinstance(frame, av.VideoFrame):
                        if pictures < seconds * 25:
                            scaled = frame.reformat(1280, 720, "yuv420p")
                            scaled.pts, scaled.time_base = pictures, Fraction(1, 25)
                            pictures += 1
                            out.mux(picture.encode(scaled))
                    elif samples < seconds * 44100:
                        for part in resampler.resample(frame):
                            part.pts, part.time_base = samples, Fraction(1, 44100)
                            samples += part.samples
                            out.mux(sound.encode(part))
        out.mux(picture.encode(None))
        out.mux(sound.encode(None))
    return path


def decode_seconds(path: Path) -> float:
    """Baseline: plain PyAV over every picture."""
    import av

    began = time.perf_counter()
    with av.open(str(path)) as film:
        film.streams.video[0].thread_type = "AUTO"
        film.streams.video[0].codec_context.thread_count = 2
        for _ in film.decode(video=0):
            pass
    return time.perf_counter() - began


def memory_mb(root: int) -> float:
    """Proportional set size of a process and all that descend from it, so that shared pages count once."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    family, grown = {root}, True
    while grown:
        new = {pid for pid, parent in parents.items() if parent in family} - family
        family |= new
        grown = bool(new)
    total = 0
    for pid in family:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue
    return total / 1024


def run_one(film: Path, cache: Path) -> None:
    """In a process of its own: predict cold, again, and for another subject; print the figures as JSON."""
    import torch

    from experiments.predict import predict
    from extractors.stages import last
    from settings import Settings

    settings = Settings(cache_dir=cache)
    torch.zeros(1)
    peak, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.25):
            peak[0] = max(peak[0], memory_mb(os.getpid()))

    threading.Thread(target=watch, daemon=True).start()
    figures: dict = {}
    for key, subjects in (("cold", (1, 2, 3, 5)), ("again", (1, 2, 3, 5)), ("other subject", (2,))):
        began, steps = time.perf_counter(), [time.perf_counter()]
        result = last(predict(film, subjects=subjects, settings=settings), lambda _, steps=steps: steps.append(time.perf_counter()))
        figures[key] = time.perf_counter() - began
        if key == "cold":
            figures["stages"] = result.seconds
            figures["longest silence"] = float(np.diff(steps).max())
            figures["words"] = result.transcript.n_words
            figures["source"] = result.transcript.source
    done.set()
    figures["memory"] = peak[0]
    print(json.dumps(figures))


def main() -> int:
    """Measure and print a table; the exit status says whether a limit was passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="length of the long film; 0 leaves it out")
    parser.add_argument("--run", nargs=2, metavar=("FILM", "CACHE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        run_one(Path(arguments.run[0]), Path(arguments.run[1]))
        return 0

    from experiments.natural_films import build_natural_films

    missed = False
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        source = next(film.path for film in build_natural_films(here / "natural") if "sense" in film.path.stem)
        films = {
            "60 s, H.264 720p": make_film(here / "a.mp4", source, 60, "libx264"),
            "60 s, MPEG-4 720p, re-encoded": make_film(here / "b.mp4", source, 60, "mpeg4"),
        }
        if arguments.minutes:
            films["10 min, H.264 720p"] = make_film(here / "c.mp4", source, 60 * arguments.minutes, "libx264")
        print("| film | decoding alone | cold | ratio | limit | again | other subject | memory | longest silence |")
        print("|---|---|---|---|---|---|---|---|---|")
        shares = []
        for index, (name, film) in enumerate(films.items()):
            base = decode_seconds(film)
            command = [sys.executable, "-m", "benchmarks.pipeline", "--run", str(film), str(here / f"cache{index}")]
            answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            got = json.loads(answer.stdout.splitlines()[-1])
            missed |= got["cold"] > LIMITS_S[name] or got["again"] > AGAIN_S or got["other subject"] > AGAIN_S or got["memory"] > MEMORY_MB
            print(
                f"| {name} | {base:.1f} s | {got['cold']:.1f} s | {got['cold'] / base:.1f} | {LIMITS_S[name]} s | {got['again']:.2f} s | "
                f"{got['other subject']:.2f} s | {got['memory']:.0f} MB | {got['longest silence']:.2f} s |",
                flush=True,
            )
            parts = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in sorted(got["stages"].items(), key=lambda item: -item[1]))
            shares.append(f"- {name}: {parts} ({got['words']} words by {got['source']}; speech, picture and sound overlap)")
        print("\nStages of the cold run, by their own clocks:\n\n" + "\n".join(shares))
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
