"""An experiment capsule from a stranger becomes a result or a comparison: nothing in it is believed before it was checked.

The zip is read by :mod:`experiments.capsule_zip`. Every file must be the one that ``capsule.json`` names by its sha256; texts, numbers and arrays
are held against the form, and what the files say of each other must agree. What lies in the folder at the end was written by this program from
what it understood. A film is hostile until the media gate has let it in (:func:`open_capsule`).
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from experiments import capsule_form as form
from experiments.capsule_check import check_comparison, check_result, check_samples, disagree
from experiments.capsule_zip import CapsuleZip, open_capsule_file
from experiments.results import load_result, save_result
from extractors.errors import CacheError, CapsuleError, CineglassError
from extractors.in_thread import in_thread
from extractors.media import admit
from extractors.stages import passing_on, stage_clock
from settings import Settings, get_settings

if TYPE_CHECKING:
    from experiments.comparison import Comparison
    from experiments.predict import Result
    from extractors.clip import Clip

FROM_CAPSULE = (
    "Opened from a capsule: whoever saved it vouches for its numbers, which were not computed here. Running it again shows whether they are true."
)
APART_S = 0.25
"""Largest difference between the length of a film and what its result says (s): a container rounds it to whole pictures or sound frames."""

_STATE_KEY = re.compile(r"[a-z]{1,16}")
_NAMED = frozenset(("run", "example", "comparison", "runs", "capsule", "model"))


@dataclass(frozen=True)
class Opened:
    """A capsule that was read.

    Attributes
    ----------
    kind : {"run", "comparison"}
    folder : pathlib.Path
        Holds ``a`` (and ``b``), results as :mod:`experiments.results` writes them; of a comparison it is one as
        :mod:`experiments.comparison_files` writes it.
    manifest : experiments.capsule_form.Manifest
        What the capsule says of itself; its texts are hostile.
    films, samples : dict of str to pathlib.Path
        By side, as they came: no film of these was let in by the gate yet.
    clips : dict of str to Clip
        Films that the gate let in; empty after :func:`read_capsule`.
    """

    kind: str
    folder: Path
    manifest: form.Manifest
    films: dict[str, Path] = field(default_factory=dict)
    samples: dict[str, Path] = field(default_factory=dict)
    clips: dict[str, Clip] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What the sender called it (hostile text)."""
        return self.manifest.title

    @property
    def state(self) -> str:
        """Settings of the player, as a query; "" for none."""
        return self.manifest.state

    def result(self, side: str = "a") -> Result:
        """One condition's result."""
        return load_result(self.folder / side)

    def comparison(self) -> Comparison:
        """The comparison; of a capsule of that kind."""
        from experiments.comparison_files import load_comparison

        return load_comparison(self.folder)


def plain_state(query: str) -> str:
    """A link's query with the player's settings only: what names a result, a list or a model of this server is left out."""
    pairs = parse_qsl(query.lstrip("?")[: form.STATE_MAX], max_num_fields=60) if query.count("&") < 60 else []
    kept = [(key, value) for key, value in pairs if _STATE_KEY.fullmatch(key) and key not in _NAMED and value.isprintable()]
    return urlencode(kept, safe=",")[: form.STATE_MAX]


def read_capsule(path: str | os.PathLike, folder: str | os.PathLike, *, note: str = "", tell: Callable[[], None] = lambda: None) -> Opened:
    """Read a capsule into a folder, or say why not.

    Parameters
    ----------
    path : path
        The capsule; it is read, never changed.
    folder : path
        New or empty; it appears whole or not at all.
    note : str
        A warning that its results carry from now on.
    tell : callable
        Called now and then; what it raises ends the reading.

    Returns
    -------
    Opened

    Raises
    ------
    CapsuleError
        Those of :class:`experiments.capsule_zip.CapsuleZip` and :func:`experiments.capsule_form.strict_json`; ``not_capsule``,
        ``unknown_version``, ``unknown_key``, ``bad_value``, ``missing_file``, ``unlisted_file``, ``wrong_hash``, ``damaged``, ``bad_array``,
        ``bad_state`` or ``disagree``.
    CacheError
        When the folder cannot be written.
    """
    folder = Path(folder)
    raw = folder / ".raw"
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CacheError("capsule_in_the_way", f"The folder {folder.name!r} holds other things.", "Choose a new folder.")
    try:
        with open_capsule_file(path) as file:
            raw.mkdir(parents=True)
            opened = _read(CapsuleZip(file), folder, raw, note, tell)
        shutil.rmtree(raw)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, CineglassError):
            raise
        reason = (error.strerror or "it cannot be written").lower()
        said = f"The capsule could not be unpacked: {reason}."
        raise CacheError("capsule_unwritable", said, "Choose another folder, or free some space.") from None
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return opened


def open_capsule(path: str | os.PathLike, folder: str | os.PathLike, *, settings: Settings | None = None) -> Generator[Any, None, None]:
    """Read a capsule and let its films in; where a film was left out and is one of the examples', that is taken.

    Yields
    ------
    Stage
        "capsule" and those of the gate; the last item is the :class:`Opened`, its films beside their results.

    Raises
    ------
    CapsuleError
        As :func:`read_capsule`; ``film_differs`` when a film is not that of its result.
    MediaError
        For a film that the gate does not let in.
    """
    settings = settings or get_settings()
    folder = Path(folder)
    opened = yield from in_thread("capsule", 1, "Checking the capsule", lambda tell: read_capsule(path, folder, note=FROM_CAPSULE, tell=tell))
    whole = False
    try:
        clips = {}
        for side in opened.manifest.conditions:
            kept = opened.folder / side / form.FILM
            if side in opened.films:
                clips[side] = yield from passing_on(admit_film(opened, side, settings=settings))
                shutil.copyfile(clips[side].path, kept)
            elif (known := example_film(opened.manifest.conditions[side].clip_sha256)) is not None:
                shutil.copyfile(known, kept)
        shutil.rmtree(folder / "films", ignore_errors=True)
        whole = True
    finally:
        if not whole:
            shutil.rmtree(folder, ignore_errors=True)
    yield stage_clock("capsule", 1)(1, "The capsule is open")
    yield Opened(opened.kind, opened.folder, opened.manifest, clips=clips)


def admit_film(opened: Opened, side: str, *, settings: Settings) -> Generator[Any, None, None]:
    """Let the film of a condition through the gate; the last item is its Clip.

    Raises
    ------
    CapsuleError
        ``film_differs`` when its picture, sound or length is not that of the result.
    """
    told = opened.manifest.conditions[side]
    clip: Clip = yield from passing_on(admit(opened.films[side], name=told.clip_name, settings=settings, allow_short=True))
    same = clip.video_key == told.video_key and clip.has_audio == (told.audio_key is not None)
    if not same or abs(clip.duration - told.duration) > APART_S:
        raise CapsuleError("film_differs", "The film in the capsule is not the one that its result was made from.", form.UNCHANGED)
    yield clip


def example_film(sha256: str) -> Path | None:
    """The film of a built-in example, found by its content. What other visitors brought here is never looked at: its hash gives nobody a film."""
    from experiments.examples import EXAMPLES, FILM

    for folder in sorted(EXAMPLES.glob("*")):
        try:
            if json.loads((folder / "responses.json").read_bytes())["clip"]["sha256"] == sha256 and (folder / FILM).is_file():
                return folder / FILM
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _read(archive: CapsuleZip, folder: Path, raw: Path, note: str, tell: Callable[[], None]) -> Opened:
    if form.MANIFEST not in archive.entries:
        raise CapsuleError("not_capsule", "The file is a zip, but no experiment capsule.", "Choose a capsule that Cineglass saved.")
    manifest = form.read_manifest(archive.read(form.MANIFEST))
    _whole(archive, manifest)
    films, samples = {}, {}
    for name, told in manifest.files.items():
        target = _target(name, folder, raw)
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
        if archive.copy(name, target, tell) != told.sha256:
            raise CapsuleError("wrong_hash", f"{name} in the capsule was changed after the capsule was saved.", form.UNCHANGED)
        side, _, last = name.partition("/")
        if last == form.FILM:
            films[side] = target
        elif last == form.SAMPLES:
            samples[side] = target
    results = {side: check_result(raw / side, manifest, side) for side in manifest.conditions}
    for side, sound in samples.items():
        check_samples(sound, results[side].clip, f"{side}/{form.SAMPLES}")
    if manifest.kind == "comparison":
        from experiments.comparison_files import save_comparison

        comparison = check_comparison(raw, manifest, results)
        save_comparison(replace(comparison, a=_noted(comparison.a, note), b=_noted(comparison.b, note)), folder, film=False)
    else:
        save_result(_noted(results["a"], note), folder / "a")
    return Opened(manifest.kind, folder, manifest, films, samples)


def _noted(result: Result, note: str) -> Result:
    warnings = result.responses.warnings
    return result if not note or note in warnings else replace(result, responses=replace(result.responses, warnings=(*warnings, note)))


def _target(name: str, folder: Path, raw: Path) -> Path | None:
    """Where a file of the capsule is unpacked to; None for what only people read. The name is one of the form's own by now."""
    side, _, last = name.partition("/")
    if last in (form.FILM, form.SAMPLES):
        return folder / "films" / f"{side}{Path(last).suffix}"
    return raw / name if side in form.SIDES or name in (form.COMPARISON, *form.NULL) else None


def _whole(archive: CapsuleZip, manifest: form.Manifest) -> None:
    """Exactly the files that the capsule names are there, with their sizes, and all that its kind needs."""
    needed, allowed = form.names(manifest.kind)
    sides = form.SIDES if manifest.kind == "comparison" else form.SIDES[:1]
    there = {name: entry.size for name, entry in archive.entries.items() if name != form.MANIFEST}
    for name in (*needed, *manifest.files):
        if name not in there:
            shown = name if name in form.ALL_NAMES else "A file"
            raise CapsuleError("missing_file", f"{shown} is missing in the capsule.", form.UNCHANGED)
    for name, size in there.items():
        if name not in manifest.files or name not in (*needed, *allowed):
            raise CapsuleError("unlisted_file", f"The capsule holds {name}, but says nothing of it.", form.UNCHANGED)
        if manifest.files[name].bytes != size:
            raise CapsuleError("wrong_size", f"{name} in the capsule has another size than the capsule says.", form.UNCHANGED)
    if tuple(manifest.conditions) != sides:
        raise disagree("its conditions are not those of its kind")
    if plain_state(manifest.state) != manifest.state:
        raise CapsuleError("bad_state", "The settings of the player in the capsule are not what a link holds.", form.UNCHANGED)
