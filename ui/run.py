"""The Run section: one button, the stages with their times and a bar, and what each state says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from extractors.errors import CineglassError
from ui.line import Job
from ui.panel import Panel

STAGES = {
    "gate": "Check and prepare the film",
    "speech": "Listen for words",
    "video": "Picture",
    "audio": "Sound",
    "text": "Words",
    "model": "Predict four brains",
}
"""Stages of a run in the order they are shown, and what a person calls them."""

SHARE = {"gate": 0.2, "speech": 0.4, "video": 0.2, "audio": 0.05, "text": 0.05, "model": 0.1}
"""Share of the bar that each stage fills; measured on a one-minute clip with speech."""


@dataclass(frozen=True)
class RunSection:
    """Components of the section."""

    run: gr.Button
    stop: gr.Button
    status: Panel
    recogniser: Panel
    notes: Panel


def run_section(recognisers: list[tuple[str, str]], chosen: str, notes: list[dict[str, Any]], *, ready: bool) -> RunSection:
    """Build the section.

    Parameters
    ----------
    recognisers : list of (label, value)
    chosen : str
        Value selected at first.
    notes : list of {"text", "warn"}
        What a person should know about the recognisers.
    ready : bool
        Whether there is a clip to run.
    """
    with gr.Column(elem_classes="cp-section", elem_id="cp-run-section"):
        gr.HTML("<h2>2 Run</h2>", elem_classes="cp-section-title", apply_default_css=False)
        recogniser = Panel("choice", {"label": "Words", "options": recognisers, "chosen": chosen}, sends=("choose",), elem_id="cp-recogniser")
        note = Panel("notes", {"lines": notes})
        with gr.Row(elem_id="cp-run-buttons"):
            run = gr.Button("Run", variant="primary", elem_id="cp-run", interactive=ready)
            stop = gr.Button("Stop", variant="stop", elem_id="cp-stop", visible=False)
        status = Panel("status", empty(), elem_id="cp-status")
    return RunSection(run, stop, status, recogniser, note)


def empty() -> dict[str, Any]:
    """Nothing has been run."""
    return {"state": "empty", "title": "", "stages": []}


def of_job(job: Job, position: int) -> dict[str, Any]:
    """What the section shows for a job as it stands."""
    if job.state == "failed" and job.error is not None:
        return failed(job.error, job)
    if job.state == "stopped":
        return stopped(job)
    if job.state == "waiting":
        before = "one run is" if position == 1 else f"{position} runs are"
        return {
            "state": "working",
            "title": f"Waiting: {before} before yours",
            "message": "You keep your place while this page is open. The examples stay open meanwhile.",
            "fraction": 0.0,
            "position": position,
            "stages": [],
        }
    rows = stage_rows(job, running=job.state == "running")
    if job.state == "done":
        return {"state": "done", "title": f"Done in {_seconds(job.elapsed)}", "stages": rows, "fraction": 1.0}
    left = _remaining(job)
    title = f"Working, {_seconds(job.elapsed)}" + (f", about {_seconds(left)} left" if left is not None else "")
    return {"state": "working", "title": title, "stages": rows, "fraction": fraction(job)}


def failed(error: CineglassError, job: Job | None = None) -> dict[str, Any]:
    """A run that failed, or was not taken; the words are the error's own."""
    return {
        "state": "full" if error.code == "queue_full" else "failed",
        "title": "Not run" if job is None else "Failed",
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "stages": [] if job is None else stage_rows(job, running=False),
    }


def stopped(job: Job | None = None) -> dict[str, Any]:
    """A run that the visitor stopped."""
    return {
        "state": "stopped",
        "title": "Stopped",
        "message": "Finished stages are kept: Run goes on from there.",
        "stages": [] if job is None else stage_rows(job, running=False),
    }


def stage_rows(job: Job, *, running: bool) -> list[dict[str, Any]]:
    """Every stage with its state and seconds; those to come are listed while the job runs."""
    names = list(STAGES) + [name for name in job.stages if name not in STAGES]
    rows = []
    for name in names:
        stage = job.stages.get(name)
        if stage is None:
            if running:
                rows.append({"name": name, "label": STAGES[name], "state": "pending", "seconds": 0.0, "message": ""})
            continue
        active = running and not stage.finished
        rows.append(
            {
                "name": name,
                "label": STAGES.get(name, name.capitalize()),
                "state": "active" if active else "done" if stage.finished else "failed" if job.state == "failed" else "pending",
                "seconds": stage.elapsed_s,
                "message": stage.message,
            }
        )
    return rows


def fraction(job: Job) -> float:
    """How much of the run is behind, 0 to 1; never more than the stages say."""
    done = 0.0
    for name, share in SHARE.items():
        stage = job.stages.get(name)
        if stage is not None and stage.total > 0:
            done += share * min(1.0, stage.done / stage.total)
    return min(0.99, done)


def active_message(job: Job) -> str:
    """One sentence for the player while it waits."""
    active = [stage for stage in job.stages.values() if not stage.finished]
    return active[-1].message if active else "Working"


def _remaining(job: Job) -> float | None:
    done = fraction(job)
    if done < 0.15 or job.elapsed < 3:
        return None
    return job.elapsed * (1 - done) / done


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s" if value < 90 else f"{value / 60:.0f} min"
