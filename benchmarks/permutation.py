"""Sign flips of a set of clips, against a plain loop: ``python -m benchmarks.permutation [--clips 200 --parcels 1000 --flips 10000]``.

Ours and the loop run in new processes of their own, with one thread for linear algebra; what counts is processor time (all threads) from the numbers
in memory to the result, and the peak memory of the whole process, Python and scipy included. The loop is numpy as one would write it first: flip the
signs, take the mean and the standard deviation over clips, keep the largest t; it is run for some of the flips and multiplied. Both must give the
same p-values to within the error of random flips. Prints a Markdown table; returns 1 when an aim is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

CPU_S, PEAK_MB, APART = 2.0, 1000, 0.075
LOOPED = 1000
"""Flips of the loop; APART is four and a half standard errors of the difference that leaves between two p-values, of which there are 2,000."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def planted(clips: int, parcels: int) -> np.ndarray:
    """Differences with effects from none to a quarter of an SD, float64 [clips, parcels]."""
    return np.random.default_rng(8).normal(size=(clips, parcels)) + np.linspace(0, 0.25, parcels)


def loop(differences: np.ndarray, flips: int) -> tuple[np.ndarray, np.ndarray]:
    """p and p_max, one flip after another."""
    rng = np.random.default_rng(0)
    clips, parcels = differences.shape

    def t_of(values: np.ndarray) -> np.ndarray:
        return np.abs(values.mean(0) / (values.std(0, ddof=1) / np.sqrt(clips)))

    observed = t_of(differences)
    own, overall = np.zeros(parcels), np.zeros(parcels)
    for _ in range(flips):
        flipped = t_of(differences * rng.choice([-1, 1], size=(clips, 1)))
        own += flipped >= observed
        overall += flipped.max() >= observed
    return (own + 1) / (flips + 1), (overall + 1) / (flips + 1)


def child(kind: str, clips: int, parcels: int, flips: int) -> None:
    """Run one of the two and print what it took, with its p-values, as JSON."""
    from scipy.stats import false_discovery_control  # noqa: F401

    from analysis import sign_flip

    differences = planted(clips, parcels)
    began = time.process_time()
    if kind == "ours":
        found = sign_flip(differences, n_permutations=flips)
        p, p_max = found.p, found.p_max
    else:
        p, p_max = loop(differences, flips)
    took = time.process_time() - began
    peak = next(int(line.split()[1]) / 1000 for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    print(json.dumps({"s": took, "peak": peak, "p": p.tolist(), "p_max": p_max.tolist()}))


def main() -> int:
    """Run the children, print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clips", type=int, default=200)
    options.add_argument("--parcels", type=int, default=1000)
    options.add_argument("--flips", type=int, default=10_000)
    options.add_argument("--child", choices=("ours", "loop"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.child:
        child(chosen.child, chosen.clips, chosen.parcels, chosen.flips)
        return 0
    found = {}
    for kind, flips in (("ours", chosen.flips), ("loop", min(LOOPED, chosen.flips))):
        asked = [sys.executable, "-m", "benchmarks.permutation", "--child", kind, "--clips", str(chosen.clips)]
        asked += ["--parcels", str(chosen.parcels), "--flips", str(flips)]
        one_thread = {**os.environ, **dict.fromkeys(THREADS, "1")}
        found[kind] = json.loads(subprocess.run(asked, check=True, capture_output=True, text=True, env=one_thread).stdout)
        found[kind]["s"] *= chosen.flips / flips
    ours, plain = found["ours"], found["loop"]
    apart = max(float(np.abs(np.subtract(ours[name], plain[name])).max()) for name in ("p", "p_max"))
    print("| flips x parcels x clips | here | plain loop | times faster | peak memory | p apart |\n|---|---|---|---|---|---|")
    size = f"{chosen.flips:,} x {chosen.parcels:,} x {chosen.clips:,}"
    print(f"| {size} | {ours['s']:.2f} s | {plain['s']:.1f} s | {plain['s'] / ours['s']:.0f} | {ours['peak']:.0f} MB | {apart:.3f} |")
    return int(ours["s"] > CPU_S or ours["peak"] > PEAK_MB or apart > APART)


if __name__ == "__main__":
    sys.exit(main())
