"""How fast films of brains are made: `python -m benchmarks.film`. Prints a Markdown table.

A result of 200 TRs becomes an MP4 of the glass brain, one of glass brain and surface, and a GIF. The baseline is what a user of nilearn would
do: one `plot_glass_brain` (lyrz) a TR, and for the surface four `plot_surf_stat_map` (left and right, lateral and medial, inflated
fsaverage5) beside it, each saved as a PNG. Nine TRs are drawn so and their time is scaled to 200; joining the pictures into a film would come
on top. Processor time is printed too: it does not depend on what else the machine does.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from encoder.atlas import N_PARCELS, load_atlas
from encoder.responses import Responses
from extractors.grid import TR
from settings import ASSETS
from viz.film import animate
from viz.look import Look

ROWS, ROUNDS, PICTURES = 200, 3, 3
VOLUME = ASSETS / "atlas" / "Schaefer2018_1000Parcels_7Networks_order_FSLMNI152_2mm.nii.gz"


FILMS = (
    ("MP4, glass brain", "glass", "mp4", 30),
    ("MP4, glass brain and surface", "both", "mp4", 60),
    ("GIF, glass brain", "glass", "gif", 10),
    ("GIF, glass brain and surface", "both", "gif", 10),
)
"""Name, views, ending, and how many times faster it is meant to be."""


def main() -> None:
    """Measure in rounds, nilearn and Cineglass in turn, and print medians."""
    responses = smooth_responses()
    values = responses.values[0]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for picture in (nilearn_glass, nilearn_surface):  # the first one loads what nilearn needs
            picture(values[0], place)
        rounds = []
        for number in range(ROUNDS):
            rows = values[1 + number * PICTURES : 1 + (number + 1) * PICTURES]
            drawn = [timed(drawn_each, picture, rows, place) / PICTURES for picture in (nilearn_glass, nilearn_surface)]
            made = [timed(animate, responses, place / f"{views}.{ending}", look=Look(views=views)) for _, views, ending, _ in FILMS]
            rounds.append(np.stack([*drawn, *made]))
        glass, surface, *made = np.median(rounds, axis=0)
        print(f"nilearn, a TR: plot_glass_brain {glass[0]:.2f} s, four plot_surf_stat_map {surface[0]:.2f} s.\n")
        print(f"In brackets: processor time. nilearn's pictures are scaled to {ROWS} TRs.\n")
        print("| film | MB | here (s) | nilearn's pictures (s) | times faster | wanted |")
        print("|---|---|---|---|---|---|")
        for (what, views, ending, wanted), took in zip(FILMS, made, strict=True):
            baseline = ROWS * (glass + surface if views == "both" else glass)
            size = (place / f"{views}.{ending}").stat().st_size / 1e6
            here, there, ratio = (f"{one[0]:.{digits}f} ({one[1]:.{digits}f})" for one, digits in ((took, 1), (baseline, 0), (baseline / took, 0)))
            print(f"| {what} | {size:.0f} | {here} | {there} | {ratio} | {wanted} |")


def smooth_responses() -> Responses:
    """Responses that vary smoothly over the brain and in time, as BOLD does."""
    generator = np.random.default_rng(0)
    centroids = load_atlas().centroids
    apart = ((centroids[:, None] - centroids[None, generator.integers(N_PARCELS, size=40)]) ** 2).sum(-1)
    courses = np.stack([np.convolve(generator.normal(size=ROWS + 8), np.hanning(9), "valid") for _ in range(40)])
    values = (np.exp(-apart / (2 * 20.0**2)) @ courses).T.astype(np.float32)
    return Responses(
        values=(values / values.std())[None],
        subjects=(1,),
        simulated=True,
        valid=np.ones(ROWS, bool),
        model_id="benchmark",
        model_title="Benchmark",
        weights_sha256="0" * 64,
        extractor_ids={},
        clip_sha256="0" * 64,
        clip_name="benchmark",
        duration=ROWS * TR,
        present={},
        transcript_source="none",
    )


def timed(work: Callable, *given: Any, **how: Any) -> np.ndarray:
    """Seconds on the clock, and of all processors, that some work takes: float64 [2]."""
    began = time.perf_counter(), time.process_time()
    work(*given, **how)
    return np.array([time.perf_counter() - began[0], time.process_time() - began[1]])


def drawn_each(picture: Callable[[np.ndarray, Path], None], rows: np.ndarray, folder: Path) -> None:
    """Draw a picture of each row."""
    for row in rows:
        picture(row, folder)


def nilearn_glass(row: np.ndarray, folder: Path) -> None:
    """One glass brain of nilearn as PNG."""
    import matplotlib

    matplotlib.use("Agg")
    import nibabel
    from nilearn import plotting

    image = nibabel.load(VOLUME)
    filled = np.append(np.float32(0), row)[np.asarray(image.dataobj).astype(int)]
    display = plotting.plot_glass_brain(nibabel.Nifti1Image(filled, image.affine), display_mode="lyrz", plot_abs=False, colorbar=True, vmax=2)
    display.savefig(folder / "nilearn.png")
    display.close()


def nilearn_surface(row: np.ndarray, folder: Path) -> None:
    """Four surface pictures of nilearn as PNG."""
    import matplotlib.pyplot as plt
    from nilearn import datasets, plotting

    from encoder.surface import vertex_labels

    meshes = datasets.fetch_surf_fsaverage("fsaverage5")
    for number, side in enumerate(("left", "right")):
        texture = np.append(np.float32(0), row)[vertex_labels()[number]]
        for view in ("lateral", "medial"):
            figure = plotting.plot_surf_stat_map(
                meshes[f"infl_{side}"], texture, hemi=side, view=view, bg_map=meshes[f"sulc_{side}"], vmax=2, colorbar=False
            )
            figure.savefig(folder / "nilearn.png")
            plt.close(figure)


if __name__ == "__main__":
    main()
