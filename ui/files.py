"""What can be fetched by address: the page's own script, and the files of a result, each named; nothing else on this disk.

A result is named by its random id, an example by its name. Files that are made from a result (subtitles) are made when they are
first asked for and kept beside it; exports lie under random ids of their own.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

from experiments.runs import THUMBNAIL
from extractors.errors import CacheError, CineglassError, SelectionError
from settings import ASSETS, Settings
from ui.sessions import TOKEN, Shelf
from viz.player_page import SURFACE, surface_address

log = logging.getLogger(__name__)

MEDIA_TYPES = {
    ".mp4": "video/mp4",
    ".json": "application/json",
    ".tsv": "text/tab-separated-values; charset=utf-8",
    ".srt": "application/x-subrip; charset=utf-8",
    ".vtt": "text/vtt; charset=utf-8",
    ".yaml": "application/yaml; charset=utf-8",
    ".npy": "application/octet-stream",
    ".i8": "application/octet-stream",
    ".png": "image/png",
}
FILMS = ("film.mp4", "clip.mp4")
STORED = ("responses.npy", "responses.json", "spread.npy", "member_curves.npy", "networks.tsv", "transcript.tsv", "card.yaml", THUMBNAIL, *FILMS)
TRANSCRIPTS = ("transcript.srt", "transcript.vtt", "transcript.json")
CHUNK = re.compile(r"parcels-([1-9][0-9]{0,3})\.i8")
"""Rows of parcels that the player asks for when a clip is long; see :func:`viz.payload.chunk_bytes`."""
SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, max-age=0, must-revalidate"}
KEPT_FOR_GOOD = "public, max-age=31536000, immutable"


class KeptFile(FileResponse):
    """A file that its visitor may delete at any moment: gone before its first byte, it was never there."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as a :class:`FileResponse`; 404 where the file cannot be opened any more."""
        begins: list[Message] = []

        async def when_open(message: Message) -> None:
            if message["type"] == "http.response.start":
                begins.append(message)
                return
            while begins:
                await send(begins.pop())
            await send(message)

        try:
            self.stat_result = await run_in_threadpool(os.stat, self.path)
            self.set_stat_headers(self.stat_result)
            await super().__call__(scope, receive, when_open)
        except FileNotFoundError:
            await _none()(scope, receive, send)


def routes(shelf: Shelf) -> list[Route | Mount]:
    """Routes for ``launch(app_kwargs={"routes": ...})``; they come before Gradio's own."""

    async def of_run(request: Request) -> Response:
        return await _answer(lambda: shelf.run(request.path_params["id"]), request.path_params["file"], shelf)

    async def of_side(request: Request) -> Response:
        """A or B of a comparison."""
        id, side = request.path_params["id"], request.path_params["side"]
        return await _answer(lambda: comparison_folder(id, side, shelf), request.path_params["file"], shelf)

    async def of_example(request: Request) -> Response:
        return await _answer(lambda: example_folder(request.path_params["id"], shelf.settings), request.path_params["file"], shelf)

    async def exported(request: Request) -> Response:
        """An exported file, always to be saved: one of them is a page with scripts of its own."""
        id, name = request.path_params["id"], request.path_params["file"]
        try:
            path = await run_in_threadpool(shelf.exported, id, name)
        except CineglassError as error:
            return PlainTextResponse(f"{error.message} {error.hint}", status_code=404, headers=SAFE)
        return KeptFile(path, media_type="application/octet-stream", headers=SAFE, filename=name, content_disposition_type="attachment")

    async def surface(_: Request) -> Response:
        """The surface maps; their address changes with their content, so they are kept for good."""
        if not SURFACE.is_file():
            return PlainTextResponse("There are no surface maps here.", status_code=404, headers=SAFE)
        return FileResponse(SURFACE, media_type="application/octet-stream", headers=SAFE | {"Cache-Control": KEPT_FOR_GOOD})

    started = secrets.token_hex(8)

    async def server(_: Request) -> Response:
        """Which start of the server answers: visits do not outlive it, so a page asks from time to time."""
        return PlainTextResponse(started, headers=SAFE | {"Cache-Control": "no-store"})

    return [
        Route("/cineglass/server", server, methods=["GET"]),
        Route("/cineglass/runs/{id}/{file}", of_run, methods=["GET", "HEAD"]),
        Route("/cineglass/comparisons/{id}/{side}/{file}", of_side, methods=["GET", "HEAD"]),
        Route("/cineglass/examples/{id}/{file}", of_example, methods=["GET", "HEAD"]),
        Route("/cineglass/exports/{id}/{file}", exported, methods=["GET", "HEAD"]),
        Route(f"/{surface_address()}", surface, methods=["GET", "HEAD"]),
        Mount("/cineglass/assets/page", StaticFiles(directory=ASSETS / "page")),
    ]


def example_folder(name: str, settings: Settings) -> Path:
    """Folder of an example, built in or baked; FileNotFoundError when there is none of this name."""
    from experiments.examples import find_example

    try:
        return find_example(name, settings).folder
    except SelectionError:
        raise FileNotFoundError("There is no such example.") from None


def comparison_folder(id: str, side: str, shelf: Shelf) -> Path:
    """Folder of A or B ("a", "b") of a comparison, ready-made or on the shelf; CacheError ``gone`` when there is none of this id."""
    from experiments.ready_made import find_ready_made

    if side not in ("a", "b"):
        raise CacheError("gone", "A comparison has the sides a and b.", "Open it again.")
    if TOKEN.fullmatch(id):
        return shelf.comparison(id) / side
    try:
        one = find_ready_made(id)
    except SelectionError as error:
        raise CacheError("gone", error.message, error.hint) from None
    return one.base_folder if side == "a" else one.folder / side


async def _answer(find: Callable[[], Path], name: str, shelf: Shelf) -> Response:
    try:
        path = await run_in_threadpool(_file, find, name, shelf)
    except CineglassError as error:
        return PlainTextResponse(f"{error.message} {error.hint}", status_code=404, headers=SAFE)
    except FileNotFoundError:
        return _none()
    except Exception:
        log.exception("a file could not be made")
        return PlainTextResponse("This file could not be made from the result.", status_code=500, headers=SAFE)
    film = name in FILMS
    return KeptFile(
        path,
        media_type=MEDIA_TYPES[path.suffix],
        headers=SAFE,
        filename=name,
        content_disposition_type="inline" if film else "attachment",
    )


def _none() -> Response:
    return PlainTextResponse("There is no such file here.", status_code=404, headers=SAFE)


def _file(find: Callable[[], Path], name: str, shelf: Shelf) -> Path:
    folder = find()
    if name in STORED:
        path = folder / name
        # a baked folder may come from anywhere, and with links in it
        if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
            raise FileNotFoundError(name)
        return path
    if name not in TRANSCRIPTS and not CHUNK.fullmatch(name):
        raise FileNotFoundError(name)
    # An example's folder belongs to the project, or to whoever baked it, and is not written to
    own = folder.is_relative_to(shelf.runs) or folder.is_relative_to(shelf.comparisons)
    home = folder if own else shelf.settings.cache_dir / "made" / sha256(str(folder).encode()).hexdigest()[:24]
    made = home / name
    newest = max((folder / source).stat().st_mtime for source in ("responses.json", "transcript.tsv") if (folder / source).is_file())
    if made.is_file() and made.stat().st_mtime >= newest:
        return made
    home.mkdir(parents=True, exist_ok=True)
    work = home / f".{secrets.token_hex(4)}{made.suffix}"
    try:
        _make(folder, name, work)
        os.replace(work, made)
    finally:
        work.unlink(missing_ok=True)
    return made


def _make(folder: Path, name: str, target: Path) -> None:
    from experiments.results import load_result

    result = load_result(folder)
    if chunk := CHUNK.fullmatch(name):
        from viz.payload import chunk_bytes

        try:
            target.write_bytes(chunk_bytes(result.responses.values, int(chunk[1])))
        except IndexError:
            raise FileNotFoundError(name) from None
    else:
        from extractors.formats import write_transcript

        write_transcript(result.transcript, target, target.suffix[1:])
