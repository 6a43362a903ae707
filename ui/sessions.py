"""What the page keeps for its visitors on disk: uploads and results, each under a random id, each with an end date.

The id is the only key: who does not hold it cannot name the folder. Nothing here is shared between visitors; what is shared (features,
canonical clips) lies in the content-addressed cache and holds no names.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from stat import S_ISREG
from typing import Any, TypeVar

from extractors.clip import Clip
from extractors.errors import CacheError
from extractors.transcript import Transcript
from settings import Settings

TOKEN = re.compile(r"[0-9a-f]{32}")
MOST_VISITORS = 1000
"""Visitors of whom something is remembered between their clicks."""
Kept = TypeVar("Kept")


@dataclass(frozen=True)
class Visit:
    """What the page remembers of one visitor between two clicks; everything large lies on disk.

    Attributes
    ----------
    upload : str
        Id of the upload that Run runs; "" when that is another film.
    example : str
        Id of the example that Run runs; "" when that is another film.
    run : str
        Id of the result whose film Run runs, opened by a link; "" when that is another film. The result need not be this visitor's.
    comparison : str
        Id of the comparison, ready-made or opened by a link, whose A Run runs; "" when that is another film. It need not be this visitor's either.
    result : str
        Place of the newest result of ``upload``, "runs/ID" or "comparisons/ID"; "" before its first run.
    name : str
        The visitor's file name (hostile text, for display only).
    n_trs, duration : int, float
        TRs and seconds of the clip that Run runs.
    recogniser : str
        Who listens for words; "" for the setting's.
    transcript : Transcript or None
        Words given by file or edited by hand; None when there are none but the recogniser's.
    given : bool
        Whether the next run takes ``transcript``; the visitor can choose another source meanwhile.
    words_file : str
        Name of the file that ``transcript`` came from; "" for edits.
    shown : Transcript or None
        Words of the result in the player, as it was made.
    written : Transcript or None
        Words of a clip that was made in the page (:mod:`extractors.stimuli`), where nobody need listen; None for every other clip.
    uploads, runs, comparisons, clips, exports : tuple
        Everything this visit brought here, for *delete now*: ids, and the admitted clips.
    made : tuple of dict
        What was exported, newest first, as the page lists it.
    measured, measured_name : str
        Id and name of the measured table beside the result in the player; "" without one.
    """

    upload: str = ""
    example: str = ""
    run: str = ""
    comparison: str = ""
    result: str = ""
    name: str = ""
    n_trs: int = 0
    duration: float = 0.0
    recogniser: str = ""
    transcript: Transcript | None = None
    given: bool = False
    words_file: str = ""
    shown: Transcript | None = None
    written: Transcript | None = None
    uploads: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    comparisons: tuple[str, ...] = ()
    clips: tuple[Clip, ...] = ()
    exports: tuple[str, ...] = ()
    made: tuple[dict[str, Any], ...] = ()
    measured: str = ""
    measured_name: str = ""

    @property
    def owns(self) -> bool:
        """Whether this visit brought anything here that it can delete."""
        return bool(self.uploads or self.runs or self.comparisons or self.clips or self.exports)

    @property
    def has_clip(self) -> bool:
        """Whether there is a film for Run to run."""
        return bool(self.upload or self.example or self.run or self.comparison)

    @property
    def place(self) -> str:
        """Where the finished result of the film that Run runs lies: "examples/ID", "runs/ID" or "comparisons/ID" (its A); "" when it has none."""
        if self.upload:
            return self.result
        named = (("examples", self.example), ("runs", self.run), ("comparisons", self.comparison))
        return next((f"{kind}/{id}" for kind, id in named if id), "")

    @property
    def own_words(self) -> dict[str, Any]:
        """Changes that take the words of a file or of a person's hand away: those that the clip was made with come back."""
        return NO_WORDS if self.written is None else NO_WORDS | {"transcript": self.written, "given": True}

    def but(self, **changes: object) -> Visit:
        """A copy with some fields changed."""
        return replace(self, **changes)


NO_CLIP: dict[str, Any] = {"upload": "", "example": "", "run": "", "comparison": "", "result": "", "written": None}
"""Changes of a visit that goes over to another clip, before that one is named."""

NO_WORDS: dict[str, Any] = {"transcript": None, "given": False, "words_file": ""}
"""Changes of a visit that has no words of its own any more."""


def remember(held: dict[str, Kept], visitor: str, value: Kept, most: int = MOST_VISITORS) -> None:
    """Keep a value for a visitor as the newest one; the oldest beyond ``most`` are forgotten."""
    held.pop(visitor, None)
    held[visitor] = value
    for old in list(held)[:-most]:
        del held[old]


class Shelf:
    """Uploads and results of all visitors.

    Parameters
    ----------
    settings : Settings
        ``cache_dir``, ``keep_hours`` and ``cache_max_gb`` are used.
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self.gradio = settings.cache_dir / "incoming"
        self.uploads = settings.cache_dir / "uploads"
        self.runs = settings.cache_dir / "runs"
        self.comparisons = settings.cache_dir / "comparisons"
        self.exports = settings.cache_dir / "exports"

    def uploaded(self, path: str | Path) -> Path:
        """The file that Gradio says was uploaded. The path came through the browser: only files below our own incoming folder are taken."""
        try:
            source = Path(path).resolve()
            if source.is_relative_to(self.gradio.resolve()) and source.is_file():
                return source
        except (OSError, ValueError):  # a name that is no name
            pass
        raise CacheError("not_uploaded", "That file was not uploaded here, or it is gone.", "Upload it again.")

    def keep_upload(self, path: str | Path) -> str:
        """Take an uploaded file out of Gradio's folder and return its id.

        Parameters
        ----------
        path : path
            Where Gradio says it put the file; checked by :meth:`uploaded`.

        Raises
        ------
        CacheError
            ``not_uploaded`` for a path that is no upload, ``disk`` when it cannot be kept.
        """
        source = self.uploaded(path)
        token = secrets.token_hex(16)
        try:
            folder = self.uploads / token
            folder.mkdir(parents=True)
            # Gradio names its folder after the content, so two visitors with the same film share it: link, and leave theirs alone
            try:
                os.link(source, folder / "film")
            except OSError:  # a file system without links
                shutil.copyfile(source, folder / "film")
            (folder / "incoming").write_text(source.relative_to(self.gradio.resolve()).parts[0], encoding="utf-8")
        except OSError as error:
            shutil.rmtree(self.uploads / token, ignore_errors=True)
            raise CacheError(
                "disk", "The upload could not be kept: the disk of this machine is full or cannot be written.", "Try again later."
            ) from error
        return token

    def keep_stimulus(self, statement: str) -> str:
        """Return the id of a clip that was made here. Its film lies with the canonical clips; the statement stands for it, and ends with its time.

        Raises
        ------
        CacheError
            ``disk`` when it cannot be kept.
        """
        token = secrets.token_hex(16)
        try:
            (self.uploads / token).mkdir(parents=True)
            (self.uploads / token / "film").write_text(statement, encoding="utf-8")
        except OSError as error:
            self.drop_upload(token)
            said = "The stimulus could not be kept: the disk of this machine is full or cannot be written."
            raise CacheError("disk", said, "Try again later.") from error
        return token

    def upload(self, token: str) -> Path:
        """File of an upload; raises CacheError ``gone`` when it has expired or was deleted."""
        if not self.has_upload(token):
            raise CacheError("gone", "This clip is no longer kept here.", "Upload it again.")
        return self.uploads / token / "film"

    def has_upload(self, token: str) -> bool:
        """Whether an upload, or a clip that was made here, is still kept."""
        return bool(TOKEN.fullmatch(token)) and (self.uploads / token / "film").is_file()

    def new_run(self) -> tuple[str, Path]:
        """A fresh id and the folder its result goes to (not made yet)."""
        token = secrets.token_hex(16)
        return token, self.runs / token

    def run(self, token: str) -> Path:
        """Folder of a result; raises CacheError ``gone`` when it has expired or was deleted."""
        if not TOKEN.fullmatch(token) or not (self.runs / token / "responses.json").is_file():
            raise CacheError("gone", "This result is no longer kept here.", "Run the clip again, or open an example.")
        return self.runs / token

    def new_comparison(self) -> tuple[str, Path]:
        """A fresh id and the folder its comparison goes to (not made yet)."""
        token = secrets.token_hex(16)
        return token, self.comparisons / token

    def comparison(self, token: str) -> Path:
        """Folder of a comparison; raises CacheError ``gone`` when it has expired or was deleted."""
        if not TOKEN.fullmatch(token) or not (self.comparisons / token / "comparison.json").is_file():
            raise CacheError("gone", "This comparison is no longer kept here.", "Compare again, or open an example.")
        return self.comparisons / token

    def new_export(self) -> tuple[str, Path]:
        """A fresh id and the folder that exported files go to (not made yet)."""
        token = secrets.token_hex(16)
        return token, self.exports / token

    def exported(self, token: str, name: str) -> Path:
        """An exported file; raises CacheError ``gone`` when it has expired or was deleted."""
        folder = self.exports / token
        # a name is looked for among those that are there, never joined to a path
        there = {path.name: path for path in folder.iterdir()} if TOKEN.fullmatch(token) and folder.is_dir() else {}
        if name not in there or name.startswith(".") or not there[name].is_file():
            raise CacheError("gone", "This file is no longer kept here.", "Export it again.")
        return there[name]

    def drop_upload(self, token: str) -> None:
        """Remove an upload that is of no more use; Gradio's own copy, which others may be about to take, expires."""
        if TOKEN.fullmatch(token):
            shutil.rmtree(self.uploads / token, ignore_errors=True)

    def delete(self, visit: Visit) -> None:
        """Remove everything a visit brought here, now: uploads, results, canonical clips and the words heard in them."""
        from extractors.media import delete_clip

        for token in visit.uploads:
            note = self.uploads / token / "incoming"
            if note.is_file():
                shutil.rmtree(self.gradio / Path(note.read_text(encoding="utf-8") or "-").name, ignore_errors=True)
            self.drop_upload(token)
        for token in visit.runs:
            if TOKEN.fullmatch(token):
                shutil.rmtree(self.runs / token, ignore_errors=True)
        for token in visit.comparisons:
            if TOKEN.fullmatch(token):
                shutil.rmtree(self.comparisons / token, ignore_errors=True)
        for token in visit.exports:
            if TOKEN.fullmatch(token):
                shutil.rmtree(self.exports / token, ignore_errors=True)
        for clip in visit.clips:
            delete_clip(clip.sha256, settings=self.settings)
            for heard in (self.settings.cache_dir / "transcripts").glob(f"{clip.audio_key}-*.json"):
                heard.unlink(missing_ok=True)

    def sweep(self, *, now: float | None = None) -> int:
        """Remove what is older than ``keep_hours``, also uploads that nobody submitted; then the oldest beyond the size bound.

        Returns
        -------
        int
            How many entries went.
        """
        from extractors.media import purge

        now = time.time() if now is None else now
        oldest_allowed = now - self.settings.keep_hours * 3600
        kept: list[tuple[float, int, Path]] = []
        gone = purge(settings=self.settings)
        for root in (self.gradio, self.uploads, self.runs, self.comparisons, self.exports, self.settings.cache_dir / "transcripts"):
            for entry in root.iterdir() if root.is_dir() else ():
                try:
                    age, size = _age_and_size(entry)
                except OSError:
                    continue  # another process removed it meanwhile
                if age < oldest_allowed:
                    _remove(entry)
                    gone += 1
                else:
                    kept.append((age, size, entry))
        excess = sum(size for _, size, _ in kept) - self.settings.cache_max_gb * 1e9
        for _, size, entry in sorted(kept, key=lambda item: item[0]):
            if excess <= 0:
                break
            _remove(entry)
            gone += 1
            excess -= size
        return gone


def _age_and_size(entry: Path) -> tuple[float, int]:
    files = [entry, *entry.rglob("*")] if entry.is_dir() else [entry]
    stats = [file.stat() for file in files]
    return max(stat.st_mtime for stat in stats), sum(stat.st_size for stat in stats if S_ISREG(stat.st_mode))


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        entry.unlink(missing_ok=True)
