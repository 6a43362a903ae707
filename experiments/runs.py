"""Lists of finished runs and comparisons, each under an id that nobody can guess: who has the id has the list.

A list holds names and places, never results: those lie in the cache folder under ids of their own, and go when their time is over. What is gone
leaves the list by itself.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extractors.errors import CineglassError, SelectionError
from extractors.grid import counting_rows
from extractors.tr_table import clean
from settings import Settings
from viz.writing import whole_file

if TYPE_CHECKING:
    from experiments.comparison import Comparison
    from experiments.predict import Result

ID = re.compile(r"[0-9a-f]{32}")
HOMES = {"run": "runs", "comparison": "comparisons"}
"""Folder of the cache in which a kind of result lies, each under its token."""
WHOLE = {"run": "responses.json", "comparison": "comparison.json"}
"""The file without which a folder is no result."""
THUMBNAIL = "thumbnail.png"
THUMBNAIL_PX = (160, 90)
STILL_S = 8.0
"""The picture of a film is taken here, or at two fifths of a shorter one (s)."""
TITLE_MAX = 120
MOST_ENTRIES = 200
FORM = 1

_writing = threading.Lock()


@dataclass(frozen=True)
class Entry:
    """One finished run or comparison.

    Attributes
    ----------
    kind : {"run", "comparison"}
    token : str
        Its id on the shelf.
    title : str
        Hostile text.
    about : str
        One line: model, TRs, what was changed.
    starred : bool
    made : float
        Seconds since 1970.
    thumbnail : bool
        Whether there is a picture.
    """

    kind: str
    token: str
    title: str
    about: str = ""
    starred: bool = False
    made: float = 0.0
    thumbnail: bool = False


class RunsList:
    """One list.

    Parameters
    ----------
    settings : Settings
        ``cache_dir`` and ``keep_hours`` are used.
    id : str, optional
        32 hexadecimal digits; without it a new list begins.

    Raises
    ------
    SelectionError
        ``no_list`` for anything else.
    """

    def __init__(self, settings: Settings, id: str | None = None):
        if id is not None and (not isinstance(id, str) or not ID.fullmatch(id)):
            raise SelectionError("no_list", "There is no such list of runs.", "Open My runs again.")
        self.settings = settings
        self.id = id or secrets.token_hex(16)
        self._file = settings.cache_dir / "lists" / self.id / "list.json"

    @property
    def exists(self) -> bool:
        """Whether anything was ever kept under this id, and is not over."""
        return self._file.is_file()

    def entries(self) -> tuple[Entry, ...]:
        """What is still here: starred ones first, then the newest."""
        here = [entry for entry in self._read() if self._whole(entry)]
        return tuple(sorted(here, key=lambda entry: (not entry.starred, -entry.made)))

    def entry(self, token: str) -> Entry:
        """The entry of a token; SelectionError ``not_listed`` when there is none."""
        for entry in self.entries():
            if entry.token == token:
                return entry
        raise SelectionError("not_listed", "This run is not in the list any more.", "Open My runs again.")

    def add(self, kind: str, token: str, title: str, *, about: str = "", thumbnail: bytes | None = None) -> Entry:
        """Put a result on top of the list.

        Parameters
        ----------
        kind : {"run", "comparison"}
        token : str
            Its id on the shelf; the folder must be there.
        title, about : str
            For people; kept as text.
        thumbnail : bytes, optional
            A PNG, kept beside the result.

        Raises
        ------
        SelectionError
            ``no_result`` when there is no such result.
        CacheError
            When the list cannot be written.
        """
        entry = Entry(kind, token, _title(title) or "A film", clean(about)[:300], False, time.time(), thumbnail is not None)
        if kind not in HOMES or not ID.fullmatch(token) or not self._whole(entry):
            raise SelectionError("no_result", "This result is no longer kept here.", "Run the clip again.")
        if thumbnail is not None:
            with whole_file(self.folder(entry) / ("a" if kind == "comparison" else "") / THUMBNAIL) as part:
                part.write_bytes(thumbnail)
        with self._changing() as entries:
            entries[:] = [entry, *(one for one in entries if one.token != token)][:MOST_ENTRIES]
        return entry

    def star(self, token: str, starred: bool) -> None:
        """Mark an entry, or take its mark away."""
        self._change(token, starred=bool(starred))

    def rename(self, token: str, title: str) -> None:
        """Give an entry another title; SelectionError ``no_title`` for one without letters."""
        if not (title := _title(title)):
            raise SelectionError("no_title", "A run needs a name, but got an empty one instead.", "Write a few letters.")
        self._change(token, title=title)

    def delete(self, token: str) -> None:
        """Remove an entry and its result, film and all."""
        entry = self.entry(token)
        shutil.rmtree(self.folder(entry), ignore_errors=True)
        with self._changing() as entries:
            entries[:] = [one for one in entries if one.token != token]

    def tidy(self) -> None:
        """Forget the names of what is gone."""
        if any(not self._whole(entry) for entry in self._read()):
            with self._changing():
                pass

    def folder(self, entry: Entry) -> Path:
        """Where an entry's result lies."""
        return self.settings.cache_dir / HOMES[entry.kind] / entry.token

    def _change(self, token: str, **changes: Any) -> None:
        self.entry(token)
        with self._changing() as entries:
            entries[:] = [replace(entry, **changes) if entry.token == token else entry for entry in entries]

    def _whole(self, entry: Entry) -> bool:
        return (self.folder(entry) / WHOLE[entry.kind]).is_file()

    @contextmanager
    def _changing(self) -> Iterator[list[Entry]]:
        """The entries to change; two tabs with one list do not overwrite each other's changes."""
        with _writing:
            entries = [entry for entry in self._read() if self._whole(entry)]
            yield entries
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(self._file, "list") as part:
                part.write_text(json.dumps({"form": FORM, "entries": [asdict(entry) for entry in entries]}, ensure_ascii=False), encoding="utf-8")

    def _read(self) -> list[Entry]:
        try:
            facts = json.loads(self._file.read_text(encoding="utf-8"))
            found = [Entry(**entry) for entry in facts["entries"]] if facts["form"] == FORM else []
            return [entry for entry in found if entry.kind in HOMES and ID.fullmatch(entry.token)]
        except (OSError, ValueError, KeyError, TypeError):
            return []


def sweep_lists(settings: Settings, *, now: float | None = None) -> int:
    """Remove lists that nobody changed for ``keep_hours``: whatever they named is gone by then. Returns how many went."""
    now, gone = time.time() if now is None else now, 0
    root = settings.cache_dir / "lists"
    for folder in root.iterdir() if root.is_dir() else ():
        try:
            changed = max(file.stat().st_mtime for file in (folder, *folder.iterdir()))
        except OSError:
            continue  # another process removed it meanwhile
        if ID.fullmatch(folder.name) and now - changed > settings.keep_hours * 3600:
            shutil.rmtree(folder, ignore_errors=True)
            gone += 1
    return gone


def describe(held: Result | Comparison) -> str:
    """One line on a result: what was changed, which model, how long."""
    if hasattr(held, "label_a"):
        responses = held.a.responses
        made = " and ".join(text for text in (held.edits, f"model lesion: {held.lesions}" if held.lesions else "") if text)
        what = f"A and B: {made}" if made else f"{held.label_a} and {held.label_b}"
        return f"{what} · {_model(responses)} · {responses.n_trs} TRs"
    return f"{_model(held.responses)} · {held.responses.n_trs} TRs"


def thumbnail(result: Result) -> bytes | None:
    """A small PNG: a picture of the film, decoded in a child process, or without one the brain at the middle TR; None when neither can be had."""
    import io

    from PIL import Image

    try:
        pixels = _film_still(result) if result.clip.has_video and result.clip.path.is_file() else _brain(result)
    except CineglassError:
        return None
    if pixels is None:
        return None
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return file.getvalue()


def _film_still(result: Result) -> Any:
    from extractors.frames import iter_frames

    clip = result.clip
    scale = min(THUMBNAIL_PX[0] / clip.width, THUMBNAIL_PX[1] / clip.height)
    size = (max(2, round(clip.width * scale)), max(2, round(clip.height * scale)))
    at = min(STILL_S, 0.4 * clip.duration)
    picture = None
    with closing(iter_frames(clip, fps=1 / at, size=size)) as frames:
        for time_s, pixels in frames:
            picture = pixels
            if time_s >= at - 1e-3:
                break
    return picture


def _brain(result: Result) -> Any:
    import numpy as np
    from PIL import Image

    from viz.look import Look
    from viz.painter import Painter

    responses = result.responses
    rows = np.flatnonzero(counting_rows(responses.valid))
    look = Look(views="glass")
    width, height = (2 * side for side in THUMBNAIL_PX)
    painter = Painter(width, height, look, look.range_of(responses), simulated=responses.simulated)
    picture = painter.picture(responses.values[:, rows[len(rows) // 2]].mean(0))
    return np.asarray(Image.fromarray(picture).resize(THUMBNAIL_PX))


def _model(responses: Any) -> str:
    return clean(responses.badge or responses.model_title)[:80]


def _title(text: Any) -> str:
    return clean(str(text)).strip()[:TITLE_MAX]
