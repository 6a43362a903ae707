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


def serve(folder: Path):
    """Launch the page; returns the app and its address."""
    import gradio as gr
    from starlette.responses import FileResponse, Response
    from starlette.routing import Route

    from ui.player import Player
    from viz.player_page import SURFACE, surface_address

    async def surface(_) -> FileResponse:
        return FileResponse(SURFACE)

    async def chunk(request) -> Response:
        series, number = re.fullmatch(r"(first|second)-(\d+)\.i8", request.path_params["file"]).groups()
        rows = planted(LONG_ROWS, LONG_S).values if series == "first" else second_values(LONG_ROWS)
        return Response(chunk_bytes(rows, int(number)), media_type="application/octet-stream")

    sent = values(folder)
    with gr.Blocks(analytics_enabled=False) as page:
        player = Player(sent["first"])
        for name, value in sent.items():
            gr.Button(name, elem_id=f"send-{name}").click(lambda value=value: value, outputs=player, show_progress="hidden")
    routes = [Route("/cineglass/chunks/{file}", chunk), Route(f"/{surface_address()}", surface)]
    _, address, _ = page.launch(
        server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, ssr_mode=False, show_error=False, app_kwargs={"routes": routes}
    )
    return page, address


def row_at(time: float, lag: float, rows: int) -> int:
    """Python's own arithmetic: the row at a film time, -1 beyond the last."""
    row = int((time + lag) // TR)
    return row if row < rows else -1
