"""What the embedded model can be held against, parcel by parcel, measured once and kept beside its weights.

``python -m experiments.references`` generates training clips and held-out clips again (about 200 minutes of film, 4 CPU-minutes; kept in the cache
folder) and writes two files into the model's folder: :data:`FILE`, recovery and ceiling of every parcel and subject and the agreement that was
planted, over the held-out clips; and :data:`encoder.domain.FILE`, the training clips' stream statistics. Both name the weights they belong to.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Generator, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np

from analysis import pearson
from analysis.agreement import pairwise_agreement
from encoder.curves import curve_means
from extractors.errors import CineglassError
from extractors.grid import TR
from extractors.stages import Stage, stage_clock
from settings import ASSETS, get_settings

MODEL = ASSETS / "models" / "vibe-sim"
FILE = "parcels.safetensors"
CLIP_MINUTES, TEST_MINUTES = 180.0, 24.0
"""Minutes of training clips whose statistics are kept, and of held-out clips: those that the card's recovery was measured on."""


@dataclass(frozen=True, eq=False)
class References:
    """Of one model of simulated subjects.

    Attributes
    ----------
    recovery : float32 [4, 1000]
        Correlation of planted (with noise) and predicted responses over the valid rows of all held-out clips.
    ceiling : float32 [4, 1000]
        The most that any model could reach.
    planted : float32 [1000]
        Agreement of the four planted subjects without their noise: mean pairwise correlation within a clip, mean over the clips.
    planted_curves : float32 [curves]
        The same of the curves (:func:`encoder.curves.curve_ids`).
    noisy_curves : float32 [curves]
        The same with their noise, as a scanner would record them.
    predicted, predicted_curves : float32
        The same of the model's predictions for these clips.
    weights_sha256 : str
        Of the weights it belongs to.
    rows : int
        Valid rows, all clips together.
    """

    recovery: np.ndarray
    ceiling: np.ndarray
    planted: np.ndarray
    planted_curves: np.ndarray
    noisy_curves: np.ndarray
    predicted: np.ndarray
    predicted_curves: np.ndarray
    weights_sha256: str
    rows: int

    @property
    def minutes(self) -> float:
        """Minutes of film that counted."""
        return self.rows * TR / 60

    def save(self, path: Path) -> None:
        """Write as safetensors."""
        from safetensors.numpy import save_file

        arrays = {name: np.ascontiguousarray(getattr(self, name), np.float32) for name in ARRAYS}
        save_file(arrays, path, metadata={"weights_sha256": self.weights_sha256, "rows": str(self.rows)})

    @classmethod
    def load(cls, path: Path) -> References:
        """Read what :meth:`save` wrote."""
        from safetensors import safe_open

        with safe_open(path, framework="numpy") as file:
            facts = file.metadata()
            return cls(**{name: file.get_tensor(name) for name in ARRAYS}, weights_sha256=facts["weights_sha256"], rows=int(facts["rows"]))


ARRAYS = tuple(item.name for item in fields(References) if item.name not in ("weights_sha256", "rows"))


def references_of(model_id: str, weights_sha256: str) -> References | None:
    """Those of a model that comes with the program; None for any other, and for other weights."""
    from encoder.checkpoints import MODELS, list_models

    path = MODELS / model_id / FILE
    if model_id not in list_models() or not path.is_file():
        return None
    found = _kept(path)
    return found if found.weights_sha256 == weights_sha256 else None


@lru_cache(maxsize=4)
def _kept(path: Path) -> References:
    return References.load(path)


def job(
    *, model: Path = MODEL, clip_minutes: float = CLIP_MINUTES, test_minutes: float = TEST_MINUTES, work: Path | None = None
) -> Generator[Stage | Path, None, None]:
    """Measure and write both files.

    Parameters
    ----------
    model : Path
        Folder of a model that :mod:`experiments.train` made.
    clip_minutes, test_minutes : float
        Film to take.
    work : Path, optional
        Where measured clips are kept; ``training`` in the cache folder, as for training.

    Yields
    ------
    Stage, at last the folder.

    Raises
    ------
    ModelError, SpeechError
    """
    from encoder import from_pretrained
    from encoder.domain import FILE as DOMAIN_FILE
    from encoder.domain import Domain
    from encoder.training.simulate import PlantedSubjects, Scales
    from experiments.recovery import outcome
    from experiments.train import SCALES_FILE, TEST_SEED, generated

    work = work or get_settings().cache_dir / "training"
    loaded = from_pretrained(model)
    test = yield from generated(test_minutes, TEST_SEED, work)
    fit = yield from generated(clip_minutes, 0, work)
    clock = stage_clock("references", 2)
    yield clock(0, "Comparing planted and predicted responses parcel by parcel.")
    subjects = PlantedSubjects(scales=Scales.load(model / SCALES_FILE))
    found = outcome(test, subjects, loaded.predict)

    def agreement(values: np.ndarray) -> np.ndarray:
        clips = np.split(values, np.cumsum(found.lengths)[:-1])
        return np.nanmean([pairwise_agreement(clip.transpose(1, 0, 2)) for clip in clips], axis=0)

    References(
        recovery=pearson(found.response, found.prediction),
        ceiling=found.ceilings,
        planted=agreement(found.signal),
        planted_curves=agreement(curve_means(found.signal)),
        noisy_curves=agreement(curve_means(found.response)),
        predicted=agreement(found.prediction),
        predicted_curves=agreement(curve_means(found.prediction)),
        weights_sha256=loaded.weights_sha256,
        rows=sum(found.lengths),
    ).save(model / FILE)
    yield clock(1, "Measuring what the training clips' streams look like.")
    Domain.fit([clip.features for clip in fit], loaded.frontend, weights_sha256=loaded.weights_sha256).save(model / DOMAIN_FILE)
    yield clock(2, "Both files are written.")
    yield model


def main(arguments: Sequence[str] | None = None) -> int:
    """One line per step; exit code 1 with one line on a known error."""
    parser = argparse.ArgumentParser(description="Measure what the embedded model can be held against, parcel by parcel.")
    parser.add_argument("--model", type=Path, default=MODEL, help="folder of the model")
    parser.add_argument("--work", type=Path, default=None, help="where measured clips are kept")
    given = parser.parse_args(arguments)
    try:
        for item in job(model=given.model, work=given.work):
            print(f"{item.name}: {item.message}" if isinstance(item, Stage) else f"Written to {item.name}.", flush=True)
    except CineglassError as error:
        print(f"{error} {error.hint}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
