"""Experiment capsules: one zip that holds a result or a comparison with everything that is needed to look at it and to run it again.

The form is that of :mod:`experiments.capsule_form`; :mod:`experiments.capsule_read` opens one, :mod:`experiments.capsule_run` runs it again.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import capsule_form as form
from experiments.capsule_facts import condition_facts, model_facts
from experiments.capsule_read import plain_state, read_capsule
from experiments.capsule_zip import write_zip
from experiments.results import load_result, save_result
from extractors.arrays import load_array
from extractors.errors import CapsuleError
from extractors.grid import counting_rows
from extractors.in_thread import Tell, in_thread
from extractors.media import kept_samples
from extractors.stages import stage_clock
from extractors.tr_table import clean
from settings import Settings, get_settings
from viz.writing import whole_file

if TYPE_CHECKING:
    from experiments.comparison import Comparison
    from experiments.predict import Result

ENDING = ".cineglass.zip"

ABOUT = {
    True: "SIMULATED: responses of simulated subjects; no brain was measured.",
    False: "Predicted by a model, not measured: nobody watched these films in a scanner.",
}

KEPT_SETTINGS = ("model", "device", "low_mem", "vjepa_states", "recogniser", "whisper_model", "language", "canonical_height")
"""Settings that can change a number of a result."""


def write_capsule(
    source: str | os.PathLike | Result | Comparison,
    path: str | os.PathLike,
    *,
    film: bool = False,
    state: str = "",
    title: str | None = None,
    settings: Settings | None = None,
) -> Generator[Any, None, None]:
    """Write a capsule.

    Parameters
    ----------
    source : path, Result or Comparison
        A folder as :mod:`experiments.results` or :mod:`experiments.comparison_files` writes it, or what lies there.
    path : path
        Of the zip; it appears whole or not at all. Equal results give equal bytes.
    film : bool
        Whether the films go with it. Without them it can be looked at, and run again by who has the film.
    state : str
        The player's settings, as the query of its link.
    title : str, optional
        By default the name of the clip, or of both conditions.
    settings : Settings, optional

    Yields
    ------
    Stage
        "capsule"; the last item is the path.

    Raises
    ------
    CacheError
        When it cannot be written, or the result cannot be read.
    CapsuleError
        ``nothing_to_include`` when the film is asked for and is not here any more.
    """
    settings = settings or get_settings()
    path = Path(path)
    held = load_source(source) if isinstance(source, str | os.PathLike) else source
    with whole_file(path, "capsule") as part:
        work = part.with_name(f".{secrets.token_hex(6)}.work")
        try:
            yield from in_thread("capsule", 1, "Collecting the files", lambda tell: _write(held, part, work, film, state, title, settings, tell))
        finally:
            shutil.rmtree(work, ignore_errors=True)
    yield stage_clock("capsule", 1)(1, "The capsule is written")
    yield path


def load_source(folder: str | os.PathLike) -> Result | Comparison:
    """The result or comparison of a folder; CacheError when it is neither."""
    folder = Path(folder)
    if (folder / form.COMPARISON).is_file():
        from experiments.comparison_files import load_comparison

        return load_comparison(folder)
    return load_result(folder)


def _write(held: Result | Comparison, part: Path, work: Path, film: bool, state: str, title: str | None, settings: Settings, tell: Tell) -> None:
    results = {"a": held.a, "b": held.b} if hasattr(held, "time_map") else {"a": held}
    comparison = held if len(results) == 2 else None
    for side, result in results.items():
        save_result(result, work / side)
        _clean_file(work / side / "responses.json")
        if film:
            _include_film(result, work / side, settings, sound=side == "a" or not derived(comparison))
        tell(0.1)
    if comparison is not None:
        _save_comparison(comparison, work)
    tell(0.2, "Drawing the figures")
    _draw(results, work, tell)
    (work / form.METHODS).write_text(_methods(results, comparison, settings), encoding="utf-8", newline="\n")
    tell(0.7, "Writing the capsule")
    again = {side: load_result(work / side) for side in results}  # with the texts as they are written
    files = {name: work / name for name in _in_order(work)}
    manifest = _manifest(again, comparison, files, title, state, settings)
    text = json.dumps(manifest, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    write_zip(part, {form.MANIFEST: text.encode("utf-8"), **files}, tell)
    tell(0.9, "Checking the capsule")
    read_capsule(part, work / "check", tell=tell)


def derived(comparison: Comparison | None) -> bool:
    """Whether the film of B follows from A's and the edits alone."""
    if comparison is None or comparison.time_map is None:
        return False
    return bool(comparison.edits or comparison.lesions) and "clip=" not in comparison.edits


def _include_film(result: Result, folder: Path, settings: Settings, *, sound: bool) -> None:
    """The film as it is played, and the samples that were analysed: sound that the gate converted does not come out of the film again as it was."""
    clip = result.clip
    if not clip.has_video and not clip.has_audio:
        return  # words only
    if not clip.path.is_file():
        raise CapsuleError("nothing_to_include", "The film of this result is not here any more.", "Save the capsule without the film.")
    shutil.copyfile(clip.path, folder / form.FILM)
    samples = kept_samples(clip, settings=settings) if sound else None
    if samples is not None:
        with (folder / form.SAMPLES).open("wb") as file:
            np.save(file, load_array(samples, mapped=True), allow_pickle=False)


def _save_comparison(comparison: Comparison, work: Path) -> None:
    from experiments.comparison_files import facts_of, write_tables

    facts = form.cleaned(facts_of(comparison))
    (work / form.COMPARISON).write_text(json.dumps(facts, ensure_ascii=False, allow_nan=False, indent=1), encoding="utf-8")
    if comparison.null is not None:
        for name, array in zip(form.NULL, (comparison.null.differences, comparison.null.parcel_change), strict=True):
            with (work / name).open("wb") as file:
                np.save(file, np.ascontiguousarray(array, np.float32), allow_pickle=False)
    (work / form.TABLES[0]).parent.mkdir()
    write_tables(comparison, (work / form.TABLES[0]).parent)


def _clean_file(path: Path) -> None:
    facts = form.cleaned(json.loads(path.read_text(encoding="utf-8")))
    path.write_text(json.dumps(facts, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _draw(results: dict[str, Result], work: Path, tell: Callable[..., None]) -> None:
    """The curves of each condition, and one moment of it: the middle valid TR."""
    from viz.export import save_figure, write_networks
    from viz.figures import moment_figure
    from viz.look import Look

    (work / "figures").mkdir()
    for side, result in results.items():
        responses = result.responses
        write_networks(responses, work / "figures" / f"{side}_networks.png", "png")
        tell()
        rows = np.flatnonzero(counting_rows(responses.valid))
        figure = moment_figure(responses, int(rows[len(rows) // 2]), look=Look(views="glass"), transcript=result.transcript)
        figure.set_dpi(150)
        save_figure(figure, work / "figures" / f"{side}_moment.png", "png")
        tell()


def _methods(results: dict[str, Result], comparison: Comparison | None, settings: Settings) -> str:
    """The methods text of each condition; of a comparison with what was compared, and what was found on average over the subjects."""
    from viz.methods import citations, methods_text

    texts = {side: methods_text(result.responses, result.transcript) for side, result in results.items()}
    works = {work.key: work.text for result in results.values() for work in citations(result.responses)}
    parts = list(texts.values())
    if comparison is not None:
        from experiments.findings import captions, sentences

        parts = [
            f"Two conditions were compared: A, {_told(comparison.a)}, and B, {_told(comparison.b)}.",
            f"A ({clean(comparison.label_a)}). {texts['a']}",
            f"B ({clean(comparison.label_b)}). {texts['b']}",
            *([comparison.why] if comparison.why else []),
            "\n".join(f"{found['label']}: {found['text']}" for found in sentences(comparison, None)),
            *captions(comparison),
        ]
    return "\n\n".join([*parts, "References", *works.values()]) + "\n"


def _told(result: Result) -> str:
    """A condition inside a sentence: its film, and what was done to it and to the model."""
    responses = result.responses
    done = [f"after {', '.join(responses.edits)}"] if responses.edits else []
    done += [f"with the model lesion {', '.join(responses.lesions)}"] if responses.lesions else []
    return f"“{clean(result.clip.name)}” {clean(' '.join(done)) or 'as it was'}"


def _in_order(work: Path) -> list[str]:
    """The files that were made, in the order of the form."""
    needed, allowed = form.names("comparison")
    return [name for name in (*needed, *allowed) if (work / name).is_file()]


def _manifest(
    results: dict[str, Result], comparison: Comparison | None, files: dict[str, Path], title: str | None, state: str, settings: Settings
) -> dict[str, Any]:
    import hashlib

    from viz.sidecar import software, without_places

    members = {}
    for name, file in files.items():
        with file.open("rb") as content:
            members[name] = {"sha256": hashlib.file_digest(content, "sha256").hexdigest(), "bytes": file.stat().st_size}
    labels = {"a": "", "b": ""} if comparison is None else {"a": comparison.label_a, "b": comparison.label_b}
    conditions = {
        side: condition_facts(
            result, label=clean(labels[side]), film=f"{side}/{form.FILM}" in files, transcript_sha256=members[f"{side}/transcript.tsv"]["sha256"]
        ).model_dump()
        for side, result in results.items()
    }
    responses = results["a"].responses
    usual = results["a"].clip.name if comparison is None else f"{comparison.label_a} and {comparison.label_b}"
    kept = {name: getattr(settings, name) for name in KEPT_SETTINGS}
    manifest = {
        "format": form.FORMAT,
        "form": form.FORM,
        "kind": "run" if comparison is None else "comparison",
        "title": clean(title or usual).strip()[: form.TITLE_MAX] or "A film",
        "about": ABOUT[responses.simulated],
        "conditions": conditions,
        "edits": "" if comparison is None else comparison.edits,
        "lesions": "" if comparison is None else comparison.lesions,
        "null_edits": None if comparison is None or comparison.null is None else list(comparison.null.edits),
        "seed": 0 if comparison is None else comparison.seed,
        "model": model_facts(responses).model_dump(),
        "settings": {name: "none" if value is None else str(without_places(str(value))) for name, value in kept.items()},
        "versions": {name: str(version) for name, version in software().items()},
        "state": plain_state(state),
        "files": members,
    }
    return form.cleaned(manifest)
