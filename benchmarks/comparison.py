"""What a second condition costs against a full run, for each edit: ``python -m benchmarks.comparison [--edits mute blank ...]``.

A natural film, scaled to 720p and cut to 60 s, is predicted with an empty cache (the baseline of every ratio: gate, recognition, three streams,
model). Then condition B is run for each edit and each lesion with A's cache, as on the page: writing the edited film, the streams that changed, the
model. Last, ten null edits. The model is loaded once, as in a server.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.pipeline import make_film

SECONDS = 60
EDITS = (
    "mute",
    "blank colour=black",
    "grey",
    "blur percent=2",
    "reverse track=both",
    "reverse track=sound",
    "speed factor=0.5",
    "speed factor=2",
    "shuffle seconds=2 seed=0",
    "shuffle seconds=8 seed=0",
    "shuffle seconds=30 seed=0",
    "delay seconds=1",
    "sound clip=other",
    "trim start=0 end=30",
    "remove start=10 end=12",
    'rewrite row=12 text="something else"',
    "words policy=drop",
)
LESIONS = ("audio mean", "text zero", "video scramble")
NULLS = 10


def main(edits: tuple[str, ...]) -> None:
    """Measure, and print the table."""
    from encoder.ensemble import read
    from encoder.waiting_model import WaitingModel
    from experiments.conditions import Condition, run_condition
    from experiments.intake import admitted
    from experiments.natural_films import build_natural_films
    from experiments.null_band import null_band
    from experiments.predict import predict
    from extractors.stages import last
    from settings import Settings

    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        settings = Settings(cache_dir=work / "cache")
        natural = sorted(build_natural_films(work / "natural"), key=lambda film: "sense" not in film.path.stem)  # the one with speech first
        film, other = (make_film(work / f"{number}.mp4", source.path, SECONDS, "libx264") for number, source in enumerate(natural[:2]))
        model = WaitingModel(read(settings.model, settings=settings))
        last(model.loaded())

        def timed(job) -> tuple[float, object]:
            began = time.perf_counter()
            found = last(job)
            return time.perf_counter() - began, found

        full, a = timed(predict(film, model=model, settings=settings))
        clips = {"other": last(admitted(other, settings=settings))}
        print(f"A, 60 s of 720p with an empty cache: {full:.1f} s\n")
        print("| condition B | seconds | of a full run | its stages |\n|---|---|---|---|")
        for text in edits:
            seconds, b = timed(run_condition(Condition(a.clip, text, transcript=a.transcript, others=clips), model=model, settings=settings))
            print(f"| `{text}` | {seconds:.1f} | {seconds / full:.2f} | {stages(b)} |", flush=True)
        for text in LESIONS:
            seconds, b = timed(run_condition(Condition(a.clip, lesions=text, transcript=a.transcript), model=model, settings=settings))
            print(f"| lesion `{text}` | {seconds:.1f} | {seconds / full:.2f} | {stages(b)} |", flush=True)
        seconds, _ = timed(null_band(a, n=NULLS, model=model, settings=settings))
        print(f"| {NULLS} null edits of A | {seconds:.1f} | {seconds / full:.2f} | |")
        seconds, _ = timed(null_band(a, n=NULLS, model=model, settings=settings))
        print(f"| the same again | {seconds:.1f} | {seconds / full:.2f} | |")
        model.close()


def stages(result) -> str:
    """Seconds of each stage that took any."""
    return ", ".join(f"{name} {seconds:.1f}" for name, seconds in result.seconds.items() if seconds >= 0.05)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", nargs="*", default=list(EDITS), help="only these")
    main(tuple(parser.parse_args().edits))
