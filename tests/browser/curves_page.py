"""A page with nothing but the player, fed with long results in chunks and with second series whose every value is known."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from encoder.atlas import load_atlas
from extractors.grid import TR
from tests.browser.player_page import film, planted, spoken
from viz.payload import chunk_bytes, pack, pack_second

LONG_ROWS, LONG_S = 600, 894.4  # 0.4 s of film are left after the last row
MEASURED = "<b>measured</b>"
UNKNOWN_ROW = 12


def planted_rest(subject: int, row: int, parcel: int) -> float:
    """What the second series has more than the first."""
    return float(0.3 * np.cos(0.31 * row + 0.02 * parcel + 2 * subject))


def second_values(rows: int) -> np.ndarray:
    """float32 [4, rows, 1000]: the planted values and the planted rest."""
    subject, row, parcel = np.ogrid[:4, :rows, :1000]
    return (planted(rows).values + 0.3 * np.cos(0.31 * row + 0.02 * parcel + 2 * subject)).astype(np.float32)


def slow(rows: int, duration: float):
    """Planted responses that change from network to network, a few times a minute: curves that can be told apart in a picture."""
    made = planted(rows, duration)
    subject, row, parcel = np.ogrid[:4, :rows, :1000]
    network = np.searchsorted(np.unique(load_atlas().networks), load_atlas().networks)[None, None, :]
    made.values = (0.55 * np.sin(row / (5 + network) + network + 0.5 * subject) + 0.25 * np.sin(0.9 * row + 0.4 * parcel)).astype(np.float32)
    return made


def values(folder: Path) -> dict[str, dict]:
    """What the player is sent, by name."""
    clip = film(folder / "clip.webm")
    short, ids = planted(), ("sim1", "sim2", "sim3", "sim5")
    nothing = {"media_url": None, "media_kind": "none"}
    some = second_values(short.values.shape[1])[:2]
    some[:, UNKNOWN_ROW] = np.nan
    two = pack_second(some, short.valid, ids[:2], MEASURED, "measured", "Planted.")
    long = planted(LONG_ROWS, LONG_S)
    told = {"label": "measured", "kind": "measured"}

    def address(series: str):
        return lambda number: f"cineglass/chunks/{series}-{number}.i8"

    both = pack_second(second_values(LONG_ROWS), long.valid, ids, **told, chunk_url=address("second"))
    return {
        "first": pack(short, spoken(), media_url=clip, media_kind="video", title="A planted pattern", run_id="first"),
        "two": pack(short, None, **nothing, title="Two of four were measured", run_id="two", second=two),
        "long": pack(long, None, **nothing, title="Fifteen minutes", run_id="long", chunk_url=address("first"), second=both),
        "foreign": pack(long, None, **nothing, title="Foreign", run_id="foreign", chunk_url=lambda number: f"https://example.org/{number}.i8"),
        "slow": pack(slow(LONG_ROWS, LONG_S), spoken(LONG_ROWS), **nothing, title="Slow waves", run_id="slow"),
    }


PAGE = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">HEAD<body><div><div class="cineglass" data-mount></div></div>
<div style="height: 900px"></div>
<script>
  const box = document.querySelector("body > div"), props = {};
  window.send = async (name) => {
    props.value = await (await fetch(`value/${name}`)).json();
    if (window.changed) window.changed();
    else window.CineglassPlayer.mount(box, props, (_, changed) => { window.changed = changed; }, () => {});
  };
</script>"""


def serve(folder: Path):
    """Launch a bare page; returns its server, to be stopped with ``should_exit``, and its address."""
    import socket
    import threading

    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
    from starlette.routing import Route

    from viz.player_page import SURFACE, head_html, surface_address

    sent = values(folder)
    sent["first"]["media"] = {"kind": "video", "has_sound": True, "file": {"url": "clip.webm"}}

    async def page(_) -> Response:
        return HTMLResponse(PAGE.replace("HEAD", head_html()))

    async def value(request) -> Response:
        return JSONResponse(sent[request.path_params["name"]])

    async def chunk(request) -> Response:
        series, number = re.fullmatch(r"(first|second)-(\d+)\.i8", request.path_params["file"]).groups()
        rows = planted(LONG_ROWS, LONG_S).values if series == "first" else second_values(LONG_ROWS)
        return Response(chunk_bytes(rows, int(number)), media_type="application/octet-stream")

    def file(path: Path):
        async def send(_) -> Response:
            return FileResponse(path)

        return send

    routes = [
        Route("/", page),
        Route("/value/{name}", value),
        Route("/clip.webm", file(folder / "clip.webm")),
        Route("/cineglass/chunks/{file}", chunk),
        Route(f"/{surface_address()}", file(SURFACE)),
    ]
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="warning"))
    threading.Thread(target=server.run, args=([listening],), daemon=True).start()
    return server, f"http://127.0.0.1:{listening.getsockname()[1]}/"


def row_at(time: float, lag: float, rows: int) -> int:
    """Python's own arithmetic: the row at a film time, -1 beyond the last; unshifted, the last part of a TR keeps the last row."""
    row = int((time + lag) // TR)
    return row if row < rows else rows - 1 if row == rows and not lag else -1
