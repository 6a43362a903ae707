"""Writing responses as a 4D NIfTI, against nilearn: ``python -m benchmarks.volumes [--rows 200]``.

The same 200 x 1000 numbers are written by ``viz.volumes.write_nifti``, volume by volume, and by ``NiftiLabelsMasker(...).fit()
.inverse_transform(...)`` and ``to_filename``; each in its own new process, one after another, packed (.nii.gz) and not (.nii). The time runs from
the numbers in memory to the file on disk, with the modules loaded; the memory is the process's peak and how much of it came in that time. Then the
parent reads the files and asks for equal numbers in every voxel. Prints a Markdown table; returns 1 when the numbers differ or memory grew
with the rows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

MIB = 2**20
MOST_GROWN_MIB = 100
WRITERS = ("cineglass", "nilearn")


def memory(name: str) -> int:
    """Bytes of this process: "VmRSS" now, "VmHWM" at most."""
    return next(int(line.split()[1]) * 1024 for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))


def planted(rows: int):
    """A result of one simulated subject with ``rows`` TRs of noise."""
    from encoder.responses import Responses
    from extractors.grid import TR, valid_rows

    values = np.random.default_rng(4).normal(size=(1, rows, 1000)).astype(np.float32)
    names = {"model_id": "planted", "model_title": "Planted", "weights_sha256": "0" * 64, "clip_sha256": "0" * 64, "clip_name": "planted"}
    facts = {"extractor_ids": {}, "duration": rows * TR, "present": {}, "transcript_source": "none", "simulated": True}
    return Responses(values=values, subjects=(1,), valid=valid_rows(rows), **names, **facts)


def child(writer: str, rows: int, path: Path) -> None:
    """Write one file and print what it took as JSON."""
    import nibabel  # noqa: F401

    from viz.volumes import VOLUME, write_nifti

    responses = planted(rows)
    if writer == "nilearn":
        from nilearn.maskers import NiftiLabelsMasker
    before, began = memory("VmRSS"), time.perf_counter()
    if writer == "nilearn":
        masker = NiftiLabelsMasker(labels_img=str(VOLUME), standardize=None).fit()
        masker.inverse_transform(responses.values[0]).to_filename(path)
    else:
        write_nifti(responses, path, subject=1)
    took = time.perf_counter() - began
    peak = memory("VmHWM")
    print(json.dumps({"s": took, "peak": peak, "grown": peak - before, "size": path.stat().st_size}))


def same(one: Path, two: Path, rows: int) -> bool:
    """Whether two files hold the same numbers; read a volume at a time."""
    import nibabel

    first, second = nibabel.load(one).dataobj, nibabel.load(two).dataobj
    return all(np.array_equal(first[..., row], second[..., row]) for row in range(rows))


def main() -> int:
    """Run the children, print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=200)
    options.add_argument("--child", nargs=2, metavar=("WRITER", "PATH"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.child:
        child(chosen.child[0], chosen.rows, Path(chosen.child[1]))
        return 0
    grown = 0
    print("| file | written by | time | peak memory | of that while writing | size |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for ending in (".nii.gz", ".nii"):
            found = {}
            for writer in WRITERS:
                path = Path(folder) / f"{writer}{ending}"
                asked = [sys.executable, "-m", "benchmarks.volumes", "--rows", str(chosen.rows), "--child", writer, str(path)]
                found[writer] = json.loads(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)
            for writer, took in found.items():
                sizes = " | ".join(f"{took[name] / MIB:.0f} MiB" for name in ("peak", "grown", "size"))
                print(f"| {ending}, {chosen.rows} TRs | {writer} | {took['s']:.1f} s | {sizes} |")
            ours, theirs = (found[writer] for writer in WRITERS)
            ratios = {name: theirs[name] / ours[name] for name in ("s", "peak", "grown", "size")}
            print(f"| | nilearn / cineglass | {ratios['s']:.1f} | {ratios['peak']:.0f} | {ratios['grown']:.0f} | {ratios['size']:.2f} |")
            grown = max(grown, ours["grown"])
        equal = same(*(Path(folder) / f"{writer}.nii" for writer in WRITERS), chosen.rows)
    print(f"\nEvery voxel equal: {'yes' if equal else 'NO'}.")
    return int(not equal or grown > MOST_GROWN_MIB * MIB)


if __name__ == "__main__":
    sys.exit(main())
