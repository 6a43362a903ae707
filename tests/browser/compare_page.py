"""A page with nothing but the player, fed with two conditions whose every value is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from encoder.curves import curve_ids
from extractors.grid import TR
from tests.browser.curves_page import PAGE
from tests.browser.player_page import DURATION, NASTY, ROWS, film, planted, planted_value, spoken
from viz.payload import pack, pack_band, pack_comparison

SHORT_ROWS = 20
WHOLE = [name for name in curve_ids() if "-" not in name]
SUBJECTS = ("sim1", "sim2", "sim3", "sim5", "mean")
PAIRED_ONLY = ("r", "change", "low", "high", "null_change")
SHORT_SCENES = "3 scenes are left out as shorter than six TRs."
WHY = "A has 27 TRs and B has 20, so they cannot be subtracted TR by TR."


def planted_b(subject: int, row: int, parcel: int) -> float:
    """The truth about condition B: a weaker A, and something of its own."""
    return 0.6 * planted_value(subject, row, parcel) + 0.2 * float(np.cos(0.4 * row + 0.01 * parcel))


def planted_half(place: int, row: int, number: int) -> float:
    """The truth about the grey band: place 0 to 3 are subjects, 4 is their mean; ``number`` is the curve's place in the list."""
    return 0.02 + 0.01 * place + 0.015 * (row % 4) + 0.0005 * number


def changed(rows: int = ROWS):
    """Responses of condition B."""
    first = planted(rows)
    row, parcel = np.ogrid[:rows, :1000]
    second = replace(first, values=(0.6 * first.values + 0.2 * np.cos(0.4 * row + 0.01 * parcel)).astype(np.float32))
    return replace(second, present={"audio": False, "text": True, "video": True}, duration=min(DURATION, rows * TR + 0.5))


def table(subject: int) -> list[dict]:
    """Sizes of what changed, each different: a group's is missing, one lies inside the band."""
    rows = []
    for number, curve in enumerate(WHOLE):
        change = 0.1 + 0.08 * number + 0.01 * subject
        row = {"curve": curve, "label": f"{curve} by name", "kind": "network" if number < 7 else "group", "n": 10 + number}
        row |= {"power": 1 + 0.05 * number, "agreement_a": 0.8, "agreement_b": 0.6 - 0.01 * number}
        row |= {"r": 0.9 - 0.1 * number, "change": change, "low": 0.8 * change, "high": 1.3 * change, "difference": 0.1 * number - 0.3}
        rows.append(row | {"null_change": 0.25, "outside": change > 0.25})
    rows[-1] |= {"r": None, "change": float("nan"), "low": None, "high": None}
    return rows


def planted_scene(place: int, number: int, scene: int) -> float:
    """The truth about a scene: place 0 to 3 are subjects, 4 is their mean; ``number`` is the curve's place in the list."""
    return round(0.5 - 0.1 * number + 0.03 * place - 0.4 * scene, 4)


def scenes(count: int = 2) -> dict:
    """Scenes of 15 s, the last of A first; of B every second one takes twice as long."""
    times = []
    for number in range(count):
        start, end = 15.0 * (count - 1 - number), 20.0 * number
        longer = 1 + number % 2
        times.append({"a": [start, start + 15.0], "b": [end, end + 15.0 * longer], "backwards": number == 0, "rows": [10, 10 * longer]})
    means = {
        name: {curve: [planted_scene(place, number, scene) for scene in range(count)] for number, curve in enumerate(WHOLE)}
        for place, name in enumerate(SUBJECTS)
    }
    return {"scenes": times, "differences": means, "notes": [SHORT_SCENES]}


def association() -> dict:
    """A planted r and p of every curve; one has none."""
    rows = {
        name: [{"curve": curve, "r": 0.9 - 0.1 * number - 0.02 * place, "p": 0.02 + 0.05 * number} for number, curve in enumerate(WHOLE)]
        for place, name in enumerate(SUBJECTS)
    }
    for found in rows.values():
        found[-1] |= {"r": None, "p": None}
    return {"rows": rows, "notes": ["This does not test the difference.", "The smallest p that 48 shifts can reach is 0.02."]}


def told(**changes) -> dict:
    """What is said of the comparison."""
    said = {name: [{"curve": c, "label": c, "text": f"{c} of {name} changes."} for c in reversed(WHOLE)] for name in SUBJECTS}
    rows = {name: table(place) for place, name in enumerate(SUBJECTS)}
    if not changes.get("paired", True):
        rows = {name: [{key: cell for key, cell in row.items() if key not in PAIRED_ONLY} for row in found] for name, found in rows.items()}
    return pack_comparison(
        **{
            "paired": True,
            "kind": "edit",
            "a": "Bars",
            "b": "Bars, muted",
            "edits": ["The sound is silenced."],
            "said": said,
            "rows": rows,
            "notes": ["Ten null edits were run."],
            "calibrated": "yes",
            "association": association(),
            "band": pack_band(
                np.array([[[planted_half(place, row, n) for row in range(ROWS)] for place in range(5)] for n in range(len(curve_ids()))]),
                curve_ids(),
                n=10,
            ),
            **changes,
        }
    )


def values(folder: Path) -> dict[str, dict]:
    """What the player is sent, by name. Films: a.webm and b.webm under the page's own address."""
    film(folder / "a.webm")
    film(folder / "b.webm", DURATION, size=(192, 144))

    def value(responses, transcript, letter: str, **changes) -> dict:
        about = {"title": f"Film {letter}", "run_id": letter, "has_sound": letter == "a", **changes}
        made = pack(responses, transcript, media_url=None, media_kind="video", **about)
        return {**made, "media": {**made["media"], "file": {"url": f"{letter}.webm"}}}

    b = value(changed(), None, "b")
    lesion = value(changed(), spoken(), "a", title="Film b")
    short = value(changed(SHORT_ROWS), None, "b")
    hostile = told(a=NASTY, b=NASTY, edits=[NASTY], lesions=[NASTY], notes=[NASTY], said={"sim1": [{"curve": "", "label": NASTY, "text": NASTY}]})
    loss = {"kind": "lesion", "edits": [], "lesions": ["The text stream is its own mean."], "band": None, "calibrated": "unknown"}
    apart = {"paired": False, "why": WHY, "kind": "film", "edits": [], "band": None, "association": None}
    moved = apart | {"kind": "edit", "edits": ["Pieces of 15 s are shuffled."], "scenes": scenes()}
    many = moved | {"scenes": scenes(14), "calibrated": "unknown"}
    return {
        "plain": value(planted(), spoken(), "a", run_id="plain"),
        "edit": value(planted(), spoken(), "a", run_id="edit", other=b, comparison=told()),
        "lesion": value(planted(), spoken(), "a", run_id="lesion", other=lesion, comparison=told(**loss)),
        "apart": value(planted(), spoken(), "a", run_id="apart", other=short, comparison=told(**apart)),
        "moved": value(planted(), spoken(), "a", run_id="moved", other=short, comparison=told(**moved)),
        "many": value(planted(), spoken(), "a", run_id="many", other=short, comparison=told(**many)),
        "hostile": value(planted(), spoken(), "a", run_id="hostile", other={**b, "title": NASTY, "warnings": [NASTY]}, comparison=hostile),
    }


def serve(folder: Path):
    """Launch the page; returns its server, to be stopped with ``should_exit``, and its address."""
    import socket
    import threading

    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
    from starlette.routing import Route

    from viz.player_page import SURFACE, head_html, surface_address

    sent = values(folder)

    async def page(_) -> Response:
        return HTMLResponse(PAGE.replace("HEAD", head_html()))

    async def value(request) -> Response:
        return JSONResponse(sent[request.path_params["name"]])

    def file(path: Path):
        async def send(_) -> Response:
            return FileResponse(path)

        return send

    routes = [Route("/", page), Route("/value/{name}", value), Route(f"/{surface_address()}", file(SURFACE))]
    routes += [Route(f"/{name}.webm", file(folder / f"{name}.webm")) for name in "ab"]
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="warning"))
    threading.Thread(target=server.run, args=([listening],), daemon=True).start()
    return server, f"http://127.0.0.1:{listening.getsockname()[1]}/"
