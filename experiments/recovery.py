"""Recovery: how well a model returns planted responses, on clips it never saw, beside what is possible and what ridge does.

Never called accuracy: nothing here says how well a measured brain would be predicted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis import block_bootstrap, known_ceiling, mean_correlation, pearson, pooled_slope
from encoder.atlas import load_atlas
from encoder.cards import Figure, Recovery, TestClip
from encoder.training.measure import Measured, window_s
from encoder.training.simulate import AR_VARIANCE, PlantedSubjects
from extractors.arrays import load_array
from extractors.grid import valid_rows
from extractors.transcript import Transcript

CEILING = 0.2
"""Parcels whose planted ceiling (mean over subjects, on the clips at hand) is lower count for nothing."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """Valid rows of all clips behind one another.

    Attributes
    ----------
    signal, response, prediction : float32 [rows, S, 1000]
        Planted without noise, planted with noise, predicted.
    ridge : float32 [rows, S, 1000] or None
    lengths : tuple of int
        Valid rows of each clip.
    noise_sd : float64 [S, 1000]
    """

    signal: np.ndarray
    response: np.ndarray
    prediction: np.ndarray
    ridge: np.ndarray | None
    lengths: tuple[int, ...]
    noise_sd: np.ndarray

    @property
    def ceilings(self) -> np.ndarray:
        """Correlation of signal and response that is to be expected on these rows, float64 [S, 1000]."""
        return known_ceiling(self.signal, np.square(self.noise_sd) * AR_VARIANCE)

    def figure(self, parcels: np.ndarray, *, interval: bool = True, draws: int = 200) -> Figure:
        """Recovery over ``parcels`` (bool [1000]) with a ceiling above ``CEILING``; over all of them where none has one."""
        ceilings = self.ceilings
        chosen = parcels & (ceilings.mean(0) > CEILING)
        if not chosen.any():
            chosen = parcels
        response, prediction = (values[:, :, chosen].reshape(len(values), -1) for values in (self.response, self.prediction))

        def recovery(truth: np.ndarray, predicted: np.ndarray) -> float:
            return mean_correlation(pearson(truth, predicted))

        return Figure(
            r=round(recovery(response, prediction), 4),
            interval=tuple(round(x, 4) for x in block_bootstrap(recovery, response, prediction, clip_lengths=self.lengths, draws=draws))
            if interval
            else None,
            ceiling=round(float(ceilings[:, chosen].mean()), 4),
            ridge=None if self.ridge is None else round(recovery(response, self.ridge[:, :, chosen].reshape(len(response), -1)), 4),
            slope=round(pooled_slope(response, prediction), 4),
            parcels=int(chosen.sum()),
        )

    def report(self, *, id: str, label: str, clips: Sequence[TestClip], draws: int = 200) -> Recovery:
        """All figures, as the card holds them."""
        atlas = load_atlas()
        everywhere = np.ones(len(atlas.labels), bool)
        return Recovery(
            id=id,
            label=label,
            clips=tuple(clips),
            valid_trs=len(self.signal),
            all=self.figure(everywhere, draws=draws),
            networks={name: self.figure(atlas.mask(name), draws=draws) for name in atlas.network_names},
            groups={group.id: self.figure(atlas.mask(group.id), draws=draws) for group in atlas.groups},
        )


def outcome(clips: Iterable[Measured], subjects: PlantedSubjects, predict, ridge=None) -> Outcome:
    """Compare predictions with planted responses.

    Parameters
    ----------
    clips : iterable of Measured
        Films that no training has seen.
    subjects : PlantedSubjects
    predict : callable
        Features -> float32 [S, T, 1000].
    ridge : callable, optional
        The same, of the baseline.
    """
    parts: dict[str, list[np.ndarray]] = {"signal": [], "response": [], "prediction": [], "ridge": []}
    for clip in clips:
        valid = valid_rows(clip.n_trs, window_s())
        signal = subjects.signal(clip.truth)
        for name, values in (
            ("signal", signal),
            ("response", signal + subjects.noise(clip.n_trs, clip.name)),
            ("prediction", predict(clip.features)),
            ("ridge", None if ridge is None else ridge(clip.features)),
        ):
            if values is not None:
                parts[name].append(values[:, valid].transpose(1, 0, 2))
    joined = {name: np.concatenate(values) if values else None for name, values in parts.items()}
    return Outcome(**joined, lengths=tuple(len(part) for part in parts["signal"]), noise_sd=subjects.noise_sd)


def measure_film(path: Path, name: str, transcript: Transcript) -> Measured:
    """Streams and truth of a film file, through the media gate as any upload.

    The transcript is what is really said; planted subjects and model both read it.
    """
    from encoder.training.measure import measure
    from extractors.frames import iter_frames
    from extractors.media import admit
    from extractors.stages import last
    from extractors.video import FPS, HEIGHT, WIDTH

    clip = last(admit(path))
    samples = load_array(clip.samples_path) if clip.has_audio else None
    frames = iter_frames(clip, fps=FPS, size=(WIDTH, HEIGHT)) if clip.has_video else None
    return measure(name, clip.n_trs, frames=frames, samples=samples, words=transcript.words, transcript=transcript)


def natural_clips(folder: Path, *, only: str | None = None) -> tuple[list[Measured], list[TestClip]]:
    """The natural films of :mod:`experiments.natural_films`, or ``only`` one, assembled into ``folder`` and measured, with their lines for the card.

    Raises
    ------
    MediaError
        When material is missing: these films are never skipped.
    """
    from experiments.natural_films import build_natural_films

    films = build_natural_films(folder, only=only)
    clips = [measure_film(film.path, film.path.stem, film.transcript) for film in films]
    lines = [TestClip(name=film.title, source="; ".join(film.sources), n_trs=clip.n_trs) for film, clip in zip(films, clips, strict=True)]
    return clips, lines
