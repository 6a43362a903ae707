"""A page with nothing but the player, fed with a result whose every value is known."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from extractors.grid import TR, n_trs, valid_rows
from extractors.transcript import Transcript

DURATION = 41.0
ROWS = n_trs(DURATION)
NASTY = "<img src=x onerror=\"window.__fired=1\"> {{value}} ${window.__fired=1} 'quoted' </script><script>window.__fired=1</script>"


@dataclass
class PlantedResponses:
    """The fields of a result that the player's payload reads."""

    values: np.ndarray
    valid: np.ndarray
    subjects: tuple = (1, 2, 3, 5)
    subject_labels: tuple = ("Sim 1", "Sim 2", "Sim 3", "Sim 5")
    simulated: bool = True
    model_title: str = "planted"
    badge: str = "Textbook simulation"
    tr: float = TR
    duration: float = DURATION
    present: dict = field(default_factory=lambda: {"audio": True, "text": True, "video": True})
    warnings: tuple = ()
    members: tuple = ()
    curve_spread: dict | None = None


def planted_value(subject: int, row: int, parcel: int) -> float:
    """The truth that the tests look for on the screen: every subject, row and parcel has its own value."""
    return float(np.sin(0.7 * row + 0.013 * parcel + subject) * (0.4 + 0.5 * ((parcel * 7919) % 1000) / 1000))


def planted(rows: int = ROWS, duration: float = DURATION) -> PlantedResponses:
    """A result made of :func:`planted_value`."""
    subject, row, parcel = np.ogrid[:4, :rows, :1000]
    values = np.sin(0.7 * row + 0.013 * parcel + subject) * (0.4 + 0.5 * ((parcel * 7919) % 1000) / 1000)
    return PlantedResponses(values.astype(np.float32), valid_rows(rows), duration=duration)


def planted_spread(place: int, row: int, number: int) -> float:
    """The truth about the band: place 0 to 3 are subjects, 4 is their mean; ``number`` is the curve's place in the list."""
    return 0.08 + 0.02 * place + 0.04 * (row % 3) + 0.001 * number


def averaged() -> PlantedResponses:
    """:func:`planted` as the mean of three checkpoints."""
    from encoder.curves import curve_ids

    spread = {
        name: np.array([[planted_spread(place, row, number) for row in range(ROWS)] for place in range(5)], np.float32)
        for number, name in enumerate(curve_ids())
    }
    return replace(planted(), members=("a", "b", "c"), curve_spread=spread)


def planted_layer(parcel: int) -> float:
    """The truth about the layer "accuracy": unknown for every seventh parcel."""
    return float("nan") if parcel % 7 == 0 else 0.4 * parcel / 999


def planted_second(subject: int, row: int, parcel: int) -> float:
    """The truth about the second series: half the first one, and a tenth more."""
    return 0.5 * planted_value(subject, row, parcel) + 0.1


def measured(rows: int = ROWS) -> dict:
    """What a measured table adds to the value: a second series for two of the subjects, and the accuracy of one."""
    from viz.payload import pack_layer, pack_second

    first = planted(rows)
    second = pack_second(0.5 * first.values[:2] + 0.1, first.valid, ["sim1", "sim2"], "Measured", "measured", "A table that was made for a test.")
    accuracy = [planted_layer(parcel) for parcel in range(1000)]
    layer = {"label": "accuracy", "unit": "r", "range": 0.4, "note": "Correlation over the valid rows."}
    contrast = [planted_value(0, 5, parcel) for parcel in range(1000)]
    layers = [
        pack_layer(accuracy, id="accuracy-sim1", subject="sim1", **layer),
        pack_layer(accuracy[::-1], id="accuracy-sim2", subject="sim2", **layer),
        pack_layer(contrast, id="contrast", label="contrast", unit="z", signed=True, range=0.9),
    ]
    return {"second": second, "layers": layers}


def spoken(rows: int = ROWS) -> Transcript:
    """A word every half second in three phrases, with hostile text among them."""
    words = [(f"word{i}", 2.0 + 0.5 * i, 0.4) for i in range(20)] + [(NASTY, 15.0, 0.8)] + [(f"more{i}", 20.0 + 0.5 * i, 0.4) for i in range(24)]
    table: list[list[tuple]] = [[] for _ in range(rows)]
    for word in words:
        if (row := int((word[1] + word[2]) / TR)) < rows:
            table[row].append(word)
    columns = [tuple(tuple(word[part] for word in cell) for cell in table) for part in range(3)]
    text = tuple(" ".join(cell) for cell in columns[0])
    return Transcript(text, *columns, source="planted.srt", timing="given")


def film(path: Path, seconds: float = DURATION, *, size=(256, 144), fps: int = 12) -> Path:
    """A WebM film that every Chromium plays: a drifting bar, and a tone that beats once a second."""
    import av

    with av.open(str(path), "w") as out:
        video = out.add_stream("libvpx", rate=fps, options={"deadline": "realtime", "cpu-used": "8"})
        video.width, video.height, video.pix_fmt, video.bit_rate = *size, "yuv420p", 300_000
        audio = out.add_stream("libopus", rate=48_000)
        column = np.arange(size[0])
        for number in range(round(seconds * fps)):
            bar = 90 + 60 * np.sin(2 * np.pi * (column / 120 - number / fps))
            picture = np.repeat(np.repeat(bar[None, :, None], size[1], 0), 3, 2).astype(np.uint8)
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(video.encode())
        time = np.arange(round(seconds * 48_000)) / 48_000
        tone = (0.2 * np.sin(2 * np.pi * 330 * time) * (np.sin(2 * np.pi * time) > 0)).astype(np.float32)
        for start in range(0, len(tone) - 959, 960):
            frame = av.AudioFrame.from_ndarray(tone[None, start : start + 960], format="flt", layout="mono")
            frame.sample_rate, frame.pts = 48_000, start
            out.mux(audio.encode(frame))
        out.mux(audio.encode())
    return path


def values(folder: Path) -> dict[str, dict]:
    """What the buttons of the page send to the player, by name."""
    from ui.player import failed, working
    from viz.payload import pack

    clip = film(folder / "clip.webm")
    told = {"title": "A planted pattern", "caption": "Every parcel has its own rhythm."}
    first = pack(planted(), spoken(), media_url=clip, media_kind="video", run_id="first", **told)
    opened = {**first, "run_id": "opened", "opens_with": ["Vis-L", "Vis-R", "Auditory"], "title": NASTY, "caption": NASTY, "warnings": [NASTY]}
    silent = pack(planted(), None, media_url=None, media_kind="none", title="No film", run_id="silent")
    sound = {**first, "run_id": "sound", "media": {**first["media"], "kind": "audio"}, "present": {"audio": True, "text": True, "video": False}}
    return {
        "first": first,
        "again": {**first, "title": "A planted pattern, again"},
        "opened": opened,
        "measured": pack(planted(), spoken(), media_url=clip, media_kind="video", run_id="measured", **told, **measured()),
        "averaged": pack(averaged(), spoken(), media_url=clip, media_kind="video", run_id="averaged", **told),
        "silent": silent,
        "sound": sound,
        "working": working("Listening to the speech, 12 s left", progress=0.4),
        "failed": failed(NASTY, "Choose another clip."),
    }


def serve(folder: Path):
    """Launch the page; returns the app and its address."""
    import gradio as gr
    from starlette.responses import FileResponse
    from starlette.routing import Route

    from ui.player import Player
    from viz.player_page import SURFACE, surface_address

    async def surface(_) -> FileResponse:
        return FileResponse(SURFACE)

    sent = values(folder)
    with gr.Blocks(analytics_enabled=False) as page:
        player = Player(sent["first"])
        gr.Textbox(label="Notes", elem_id="notes")
        for name, value in sent.items():
            gr.Button(name, elem_id=f"send-{name}").click(lambda value=value: value, outputs=player, show_progress="hidden")
    routes = {"routes": [Route(f"/{surface_address()}", surface)]}
    _, address, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, ssr_mode=False, show_error=False, app_kwargs=routes)
    return page, address
