"""The page: layout, and how it is launched."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import gradio as gr

from extractors.errors import CineglassError
from settings import ASSETS, Settings, get_settings
from ui import api, events, experiment, files
from ui.designs import Wanted, designs_tab, designs_value
from ui.export import export_tab
from ui.line import Line
from ui.measured import measured_tab, measured_value
from ui.model import Offer, find, picker_value, why_not
from ui.my_runs import runs_tab, sweep
from ui.panel import Panel
from ui.player import Player
from ui.run import run_section
from ui.sessions import Shelf, Visit
from ui.shown import Shown, landing, top_value
from ui.stimulus import stimulus_section
from ui.theme import theme
from ui.trust import trust_tab, trust_value
from ui.wire import wire
from ui.words import words_tab

log = logging.getLogger(__name__)

TITLE = "Cineglass: a film clip becomes four predicted brains"
SWEEP_EVERY_S = 600.0
STILL_AT = 0.4
"""Where in an example its picture for the list is taken, as a share of its length."""


def build_demo(
    settings: Settings | None = None, *, predict: Callable[..., Iterator[Any]] | None = None, compare: Callable[..., Iterator[Any]] | None = None
) -> gr.Blocks:
    """Build the page.

    Nothing here loads a model, torch or a recogniser: landing shows finished files.

    Parameters
    ----------
    settings : Settings, optional
    predict : callable, optional
        The job behind Run, by default ``experiments.predict.predict``.
    compare : callable, optional
        The job behind Compare, by default ``experiments.comparison.compare``.

    Returns
    -------
    gradio.Blocks
        With the attributes ``shelf`` and ``runs`` (the line); launch it with :func:`launch_arguments`.
    """
    settings = settings or get_settings()
    shelf = Shelf(settings)
    # Before the first component: components take the folder when they are made
    os.environ["GRADIO_TEMP_DIR"] = str(shelf.gradio)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    runs = Line(running=settings.runs_at_once, waiting=settings.queue_size)
    jobs = {"predict": predict or _predict, "compare": compare or _compare}
    first = _landing(settings)
    offer = Offer(settings)
    models = offer.states()
    usual = find(models, settings.model)
    card = first.card if first else usual.card if usual else None
    badge = first.badge if first else card.badge if card else ""
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as demo:
        visit = gr.State(_first_visit(first), time_to_live=int(settings.keep_hours * 3600))
        tab = Panel("tab", {}, elem_id="cp-tab")
        top = Panel("top", top_value(first, badge=badge), elem_id="cp-top")
        with gr.Row(elem_id="cp-room"):
            with gr.Column(elem_id="cp-left"):
                stimulus = stimulus_section(_examples(settings), first.example if first else None, settings)
                bench = experiment.experiment_section(_experiment(first, settings))
                resting = why_not(usual, clip=first is not None)
                run = run_section(picker_value(models, settings.model), *_recognisers(settings), why_not=resting)
            with gr.Column(elem_id="cp-right"):
                player = Player(first.payload if first else None)
            with gr.Column(elem_id="cp-below"), gr.Tabs(elem_id="cp-tabs"):
                with gr.Tab("Method and trust"):
                    trust = trust_tab(trust_value(card, first.responses if first else None))
                with gr.Tab("Words"):
                    words = words_tab(first.transcript if first else None)
                with gr.Tab("Export"):
                    export = export_tab(events.export_of(first) if first else {})
                with gr.Tab("Measured"):
                    measured = measured_tab(measured_value(first, settings))
                with gr.Tab("Designs"):
                    design = designs_tab(_designs(first, settings))
                with gr.Tab("My runs"):
                    listed = runs_tab(settings)
        parts = events.Parts(visit, top, stimulus, bench, run, player, trust, words, export, measured, listed, design, tab)
        # First, so that a private event of the same name does not take an endpoint's
        api.add_endpoints(settings=settings, shelf=shelf, runs=runs, offer=offer, **jobs)
        wire(demo, events.Handlers(parts, settings=settings, shelf=shelf, runs=runs, offer=offer, **jobs))
    # A backstop only: what waits here for long are the two lines' generators, and those lines have bounds of their own
    demo.queue(max_size=4 * settings.queue_size + 40, default_concurrency_limit=None)
    demo.shelf, demo.runs, demo.settings = shelf, runs, settings
    return demo


def launch_arguments(demo: gr.Blocks, settings: Settings | None = None) -> dict[str, Any]:
    """Everything that ``launch`` is given, in one place; tests launch with the same."""
    settings = settings or get_settings()
    shelf: Shelf = demo.shelf
    return {
        "server_name": settings.host,
        "server_port": settings.port,
        "share": False,
        "show_error": False,
        "max_file_size": f"{settings.max_upload_mb}mb",
        "allowed_paths": [],
        "ssr_mode": False,
        "mcp_server": False,
        "enable_monitoring": False,
        "run_history": False,
        "strict_cors": True,
        "max_threads": 40 + 2 * settings.queue_size,
        "theme": theme(),
        "css_paths": [ASSETS / "page" / name for name in ("page.css", "experiment.css", "making.css", "runs.css", "designs.css")],
        "favicon_path": str(ASSETS / "page" / "favicon.png"),
        "footer_links": ["api"],
        "app_kwargs": {"routes": files.routes(shelf), "lifespan": _housekeeping(shelf)},
    }


def _housekeeping(shelf: Shelf) -> Callable[[Any], Any]:
    """Clips and results go when their time is over, whether or not anybody looks."""

    async def sweeping() -> None:
        while True:
            try:
                await asyncio.to_thread(shelf.sweep)
                await asyncio.to_thread(sweep, shelf.settings)
            except Exception:
                log.exception("old files could not be removed")
            await asyncio.sleep(SWEEP_EVERY_S)

    @contextlib.asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        task = asyncio.create_task(sweeping())
        yield
        task.cancel()

    return lifespan


def _predict(*args: Any, **kwargs: Any) -> Iterator[Any]:
    from experiments.predict import predict

    return predict(*args, **kwargs)


def _compare(*args: Any, **kwargs: Any) -> Iterator[Any]:
    from experiments.comparison import compare

    return compare(*args, **kwargs)


def _landing(settings: Settings) -> Shown | None:
    try:
        return landing(settings)
    except CineglassError as error:
        log.warning("The first example cannot be shown: %s", error)
        return None


def _first_visit(first: Shown | None) -> Visit:
    if first is None:
        return Visit()
    return Visit(example=first.example, name=first.title, n_trs=first.n_trs, duration=first.duration, shown=first.transcript)


def _examples(settings: Settings) -> list[dict[str, Any]]:
    from experiments.examples import list_examples, load_example

    listed = []
    for example in list_examples(settings):
        try:
            _, result = load_example(example.id, settings)
        except CineglassError as error:
            log.warning("Example %s cannot be shown: %s", example.id, error)
            continue
        listed.append(
            {
                "id": example.id,
                "title": example.title,
                "caption": example.caption,
                "duration": result.clip.duration,
                "film": f"cineglass/examples/{example.id}/clip.mp4",
                "still": round(STILL_AT * result.clip.duration, 1),
                "badge": result.responses.badge or result.responses.model_title,
            }
        )
    if len({example["badge"] for example in listed}) == 1:  # worth a line only where they differ
        listed = [{**example, "badge": ""} for example in listed]
    return listed


def _experiment(first: Shown | None, settings: Settings) -> dict[str, Any]:
    """Section 2 on landing; what a comparison costs is said once something is chosen."""
    from experiments.examples import list_examples

    clips = [(example.id, example.title) for example in list_examples(settings) if first is None or example.id != first.example]
    if first is None:
        return experiment.experiment_value(experiment.Base(), experiment.Bench(), clips=clips)
    base = experiment.Base(first.title, has_video=first.clip.has_video, has_audio=first.clip.has_audio)
    return experiment.experiment_value(base, experiment.Bench(), clips=clips)


def _designs(first: Shown | None, settings: Settings) -> dict[str, Any]:
    """The Designs tab on landing."""
    from experiments.examples import list_examples

    base = experiment.Base(first.title, has_video=first.clip.has_video, has_audio=first.clip.has_audio) if first else experiment.Base()
    clips = [(f"example:{example.id}", example.title, "Examples") for example in list_examples(settings)]
    return designs_value(base, Wanted(), clips=clips)


def _recognisers(settings: Settings) -> tuple[list[tuple[str, str]], str, list[dict[str, Any]]]:
    """Choices, the one chosen at first, and what a person should know."""
    from ui.recognisers import choices

    return choices(settings)
