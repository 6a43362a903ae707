"""A capsule runs again: every stream and every prediction is computed anew, nothing is taken from the cache, and what differs is said."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from encoder.checkpoints import list_models
from experiments.capsule import derived
from experiments.capsule_read import Opened, admit_film, example_film, read_capsule
from experiments.capsule_zip import CapsuleZip, open_capsule_file
from experiments.predict import Result, predict
from extractors.clip import Clip
from extractors.edit_film import edit_clip
from extractors.edit_language import parse_edits
from extractors.errors import CapsuleError, SelectionError
from extractors.in_thread import in_thread
from extractors.media import admit, kept_samples
from extractors.stages import passing_on
from settings import Settings, get_settings

if TYPE_CHECKING:
    from experiments.comparison import Comparison

FETCHED = ("priming", "weight-hashes")
"""What the cache holds that no capsule changes: fetched once, and checked by hash."""

OPTIONS = {"a": "--film", "b": "--film-b"}
"""How the command line is told the film of a condition."""

PACKAGES = ("numpy", "torch", "transformers", "av", "scikit-learn")
"""Whose version can change a number."""


@dataclass(frozen=True)
class Difference:
    """One thing that is not as the capsule has it.

    Attributes
    ----------
    what, here, there : str
        What differs, as it is in this run, and as it is in the capsule (hostile text).
    """

    what: str
    here: str
    there: str


@dataclass(frozen=True, eq=False)
class Differences(Sequence[Difference]):
    """What differs between a run and its capsule; empty when everything is the same, bit for bit.

    Attributes
    ----------
    found : tuple of Difference
    circumstances : tuple of Difference
        What was different about the run itself: weights, versions, settings. Results can be the same all the same.
    results : tuple of Result
        What was computed here: A, and of a comparison B.
    simulated : bool
    """

    found: tuple[Difference, ...]
    circumstances: tuple[Difference, ...]
    results: tuple[Result, ...]
    simulated: bool

    def __getitem__(self, index: Any) -> Any:
        return self.found[index]

    def __len__(self) -> int:
        return len(self.found)

    def lines(self) -> tuple[str, ...]:
        """For a terminal: one line for each difference, then the circumstances; one sentence when all is the same."""
        mark = "SIMULATED. " if self.simulated else ""
        if not self.found:
            return (f"{mark}Nothing differs: every value is the same, bit for bit.", *self._said("Another here: ", self.circumstances))
        return (*self._said("Differs: ", self.found), *self._said("A possible reason: ", self.circumstances))

    @staticmethod
    def _said(mark: str, rows: tuple[Difference, ...]) -> tuple[str, ...]:
        return tuple(f"{mark}{row.what}: {row.here} here, {row.there} in the capsule." for row in rows)


def run_capsule(
    path: str | os.PathLike,
    film: str | os.PathLike | None = None,
    film_b: str | os.PathLike | None = None,
    *,
    model: str | None = None,
    settings: Settings | None = None,
) -> Generator[Any, None, None]:
    """Run a capsule again and say what differs.

    Parameters
    ----------
    path : path
        The capsule.
    film : path, optional
        The film of A, where the capsule holds none: as it was analysed, or as it was before its edits.
    film_b : path, optional
        The same for B, of a comparison whose B does not follow from A.
    model : str, optional
        As for :func:`experiments.predict.predict`; by default the capsule's, when it comes with the program or is one of the settings'.
    settings : Settings, optional

    Yields
    ------
    Stage
        "capsule", then those of the runs; the last item is :class:`Differences`.

    Raises
    ------
    CapsuleError
        As :func:`experiments.capsule_read.read_capsule`; ``film_missing``, ``other_film``, ``film_differs``, ``edits_unknown``, ``unknown_model``.
    SelectionError
        ``film_not_needed`` for a film of B where there is none but A's.
    CineglassError
        What predicting raises.
    """
    settings = settings or get_settings()
    with open_capsule_file(path) as file:
        CapsuleZip(file)  # what is no capsule is refused before the first stage
    room = settings.cache_dir / "capsules" / secrets.token_hex(16)
    try:
        opened = yield from in_thread("capsule", 1, "Checking the capsule", lambda tell: read_capsule(path, room / "capsule", tell=tell))
        chosen = model or _model(opened, settings)
        alone = _apart(settings, room / "cache")
        yield (yield from _run(opened, {"a": film, "b": film_b}, chosen, alone))
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _run(opened: Opened, films: dict[str, Any], model: str, settings: Settings) -> Generator[Any, None, Differences]:
    there = opened.comparison() if opened.kind == "comparison" else None
    if films["b"] is not None and (there is None or derived(there)):
        said = "The capsule holds one result and no B." if there is None else "B of this capsule is made out of A: it has no film of its own."
        raise SelectionError("film_not_needed", said, "Leave the film of B out.")
    result = opened.result("a")
    clip = yield from _clip(opened, "a", result, films["a"], settings)
    how = {"model": model, "settings": settings, "allow_short": True, "subjects": result.responses.subjects}
    first = yield from _again(result, clip, how)
    found = list(differences(first, result, "" if there is None else "A: "))
    results = [first]
    if there is not None:
        second = yield from _second(opened, there, first, films["b"], settings, how)
        found += differences(second, there.b, "B: ")
        found += yield from _null(there, first, how)
        results.append(second)

    return Differences(tuple(found), tuple(_circumstances(opened, first, settings)), tuple(results), first.responses.simulated)


def _second(opened: Opened, there: Comparison, first: Result, film: Any, settings: Settings, how: dict[str, Any]) -> Generator[Any, None, Result]:
    if derived(there):
        from experiments.conditions import changed, run_condition

        return (yield from passing_on(run_condition(changed(first, there.edits, there.lesions), **how)))
    clip = yield from _clip(opened, "b", there.b, film, settings)
    return (yield from _again(there.b, clip, how))


def _null(there: Comparison, first: Result, how: dict[str, Any]) -> Generator[Any, None, list[Difference]]:
    """The null edits again; their kinds and sizes follow from the seed."""
    if there.null is None:
        return []
    from experiments.null_band import null_band

    how = {name: value for name, value in how.items() if name != "subjects"}
    band = yield from passing_on(null_band(first, n=len(there.null.edits), seed=there.seed, **how))
    found = []
    if band.edits != there.null.edits:
        found.append(Difference("null edits", "; ".join(band.edits), "; ".join(there.null.edits)))
    found += _arrays("null edits, curves", band.differences, there.null.differences)
    return found + _arrays("null edits, change of parcels", band.parcel_change, there.null.parcel_change)


def _again(there: Result, clip: Clip, how: dict[str, Any]) -> Generator[Any, None, Result]:
    """A condition whose film is taken as it is. Where it was edited before it came here, the run does not know of that; the film is the same."""
    here: Result = yield from passing_on(predict(clip, transcript=there.transcript, lesions="; ".join(there.responses.lesions), **how))
    extra = {**there.responses.extra, **here.responses.extra}
    return replace(here, responses=replace(here.responses, edits=there.responses.edits, extra=extra))


def _clip(opened: Opened, side: str, result: Result, film: str | os.PathLike | None, settings: Settings) -> Generator[Any, None, Clip]:
    """The clip of a condition as it was analysed: the given film, the capsule's, or that of an example; one from before the edits is edited again."""
    told = result.clip
    if not told.has_video and not told.has_audio:
        return told
    known = film if film is not None else None if side in opened.films else example_film(told.sha256)
    if known is None and side not in opened.films:
        known = example_film(str(result.responses.extra.get("source_sha256")))
    if known is not None:
        clip: Clip = yield from passing_on(admit(known, name=told.name, settings=settings, allow_short=True))
        if clip.sha256 == result.responses.extra.get("source_sha256"):
            clip = yield from passing_on(_edited_again(clip, result, side, settings))
        elif clip.sha256 != told.sha256 and (clip.video_key, clip.audio_key) != (told.video_key, told.audio_key):
            said = f"This is not the film of {side.upper()} in the capsule, which was called {told.name}."
            raise CapsuleError("other_film", said, "Give the file that was uploaded then, or leave it out if the capsule holds it.")
        return replace(clip, sha256=told.sha256, duration=told.duration, n_trs=told.n_trs, notices=told.notices)
    if side not in opened.films:
        said = f"The capsule does not hold the film of {side.upper()}, {told.name}."
        raise CapsuleError("film_missing", said, f"Give the film: {OPTIONS[side]} FILE.")
    clip = yield from passing_on(admit_film(opened, side, settings=settings))
    samples = opened.samples.get(side) if clip.audio_key != told.audio_key else kept_samples(clip, settings=settings)
    if told.has_audio and samples is None:  # the sound that was analysed is gone; what is played comes near it
        return replace(told, path=clip.path, samples_path=clip.samples_path, audio_key=clip.audio_key)
    return replace(told, path=clip.path, samples_path=samples)


def _edited_again(clip: Clip, result: Result, side: str, settings: Settings) -> Generator[Any, None, None]:
    """The film of a condition made anew out of the film that was there before; its words are the capsule's. The last item is the Clip."""
    edits = [edit for edit in parse_edits(str(result.responses.extra.get("edits_text", ""))) if edit.name not in ("rewrite", "words")]
    if any(edit.name == "sound" or (edit.name == "remove" and edit.get("words") is not None) for edit in edits):
        said = f"The film of {side.upper()} cannot be edited again from the capsule: a sound track or words that its edits name are not in it."
        raise CapsuleError("edits_unknown", said, "Save the capsule with its films.")
    edited = yield from passing_on(edit_clip(clip, edits, settings=settings))
    yield edited.clip


def _model(opened: Opened, settings: Settings) -> str:
    """The capsule's model, when it is one that this machine chose to have: a capsule does not make anybody load or fetch another one."""
    wanted = opened.manifest.model.id
    offered = [settings.model, *(name.strip() for name in settings.models.split(","))]
    if wanted in list_models() or wanted in offered:
        return wanted
    said = f"The capsule was made with the model {wanted}, which does not come with the program."
    raise CapsuleError("unknown_model", said, "Name a model you trust: --model.")


def _apart(settings: Settings, cache: Path) -> Settings:
    """Settings with an empty cache of their own."""
    cache.mkdir(parents=True)
    for name in FETCHED:
        if (kept := settings.cache_dir / name).is_dir():
            (cache / name).symlink_to(kept.absolute(), target_is_directory=True)
    return settings.model_copy(update={"cache_dir": cache})


def differences(here: Result, there: Result, mark: str = "") -> Iterator[Difference]:
    """What differs between two results; their ids, times and names aside."""
    ours, theirs = here.responses, there.responses
    for what, attribute in (("film's picture", "video_key"), ("film's sound", "audio_key"), ("TRs", "n_trs")):
        if getattr(here.clip, attribute) != getattr(there.clip, attribute):
            yield Difference(mark + what, _text(getattr(here.clip, attribute)), _text(getattr(there.clip, attribute)))
    if here.transcript.words != there.transcript.words:
        yield Difference(mark + "words", f"{here.transcript.n_words}", f"{there.transcript.n_words}")
    for what in ("subjects", "simulated", "present", "edits", "lesions", "members"):
        if getattr(ours, what) != getattr(theirs, what):
            yield Difference(mark + what, _text(getattr(ours, what)), _text(getattr(theirs, what)))
    if not np.array_equal(ours.valid, theirs.valid):
        yield Difference(mark + "valid rows", str(int(ours.valid.sum())), str(int(theirs.valid.sum())))
    yield from _arrays(mark + "responses", ours.values, theirs.values)
    if ours.spread is not None and theirs.spread is not None:
        yield from _arrays(mark + "spread between checkpoints", ours.spread, theirs.spread)


def _arrays(what: str, here: np.ndarray, there: np.ndarray) -> list[Difference]:
    """Bit for bit, so that +0 and -0 differ and one nan equals another."""
    if here.shape != there.shape:
        return [Difference(what, _text(here.shape), _text(there.shape))]
    same = here.view(np.uint32) == there.view(np.uint32)
    same |= np.isnan(here) & np.isnan(there)
    if same.all():
        return []
    apart = np.nanmax(np.abs(here.astype(np.float64) - there))
    return [Difference(what, f"{int((~same).sum())} of {same.size} numbers are others, by at most {apart:.2g}", "as saved")]


def _circumstances(opened: Opened, first: Result, settings: Settings) -> Iterator[Difference]:
    from viz.sidecar import software, without_places

    manifest, responses = opened.manifest, first.responses
    if responses.weights_sha256 != manifest.model.weights_sha256:
        yield Difference("weights of the model", responses.weights_sha256[:12], manifest.model.weights_sha256[:12])
    for stream, id in responses.extractor_ids.items():
        if manifest.model.extractors.get(stream) != id:
            yield Difference(f"extractor of {stream}", id, _text(manifest.model.extractors.get(stream)))
    ours = software()
    for name in ("cineglass", "python", *PACKAGES):
        if ours.get(name) != manifest.versions.get(name):
            yield Difference(name, _text(ours.get(name)), _text(manifest.versions.get(name)))
    for name in ("device", "vjepa_states"):
        now = str(without_places(str(getattr(settings, name))))
        if now != manifest.settings.get(name):
            yield Difference(f"setting {name}", now, _text(manifest.settings.get(name)))


def _text(value: Any) -> str:
    return "none" if value is None else ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)[:200]
