"""The Run section: model and words, one button, the stages with their times and a bar, and what each state says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from extractors.errors import CineglassError
from extractors.stages import Stage
from ui.amounts import duration, expected
from ui.line import Job
from ui.model import way_out
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

PUBLISHED_STAGES = {
    "gate": "Check and prepare the film",
    "plan": "Plan for this machine",
    "speech": "Listen for words",
    "audio": "Sound",
    "text": "Words",
    "video": "Picture",
    "model": "Predict four brains",
}
"""The same for a published model, whose extractors run one after the other."""

BEFORE_S = {"gate": 3.0, "plan": 2.0, "speech": 12.0}
"""Seconds taken for the stages that a plan does not hold; they only set shares of the bar."""


SURE_S = 3.0
"""Seconds a stage runs before its own estimate of the time left is told."""


@dataclass(frozen=True)
class Course:
    """Stages of a run, and the share of the bar that each fills (they add up to 1)."""

    stages: dict[str, str]
    share: dict[str, float]


EMBEDDED = Course(STAGES, SHARE)


def published_course(seconds: Mapping[str, float] | None = None) -> Course:
    """The course of a published model.

    Parameters
    ----------
    seconds : mapping, optional
        What its plan expects of "audio", "text", "video" and "model"; without it the picture counts most, as it does on most machines.
    """
    taken = BEFORE_S | {name: max(1.0, (seconds or {}).get(name, 80.0 if name == "video" else 10.0)) for name in ("audio", "text", "video", "model")}
    whole = sum(taken.values())
    return Course(PUBLISHED_STAGES, {name: taken[name] / whole for name in PUBLISHED_STAGES})


@dataclass(frozen=True)
class RunSection:
    """Components of the section."""

    picker: Panel
    plan: Panel
    run: gr.Button
    why: Panel
    stop: gr.Button
    status: Panel
    recogniser: Panel
    notes: Panel


def run_section(models: dict[str, Any], recognisers: list[tuple[str, str]], chosen: str, notes: list[dict[str, Any]], *, why_not: str) -> RunSection:
    """Build the section.

    Parameters
    ----------
    models : dict
        Value of the model picker (:func:`ui.model.picker_value`).
    recognisers : list of (label, value)
    chosen : str
        Value selected at first.
    notes : list of {"text", "warn"}
        What a person should know about the recognisers.
    why_not : str
        Why Run rests at first; "" when it does not.
    """
    with gr.Column(elem_classes="cp-section", elem_id="cp-run-section"):
        gr.HTML("<h2>3 Run</h2>", elem_classes="cp-section-title", apply_default_css=False)
        picker = Panel("models", models, sends=("choose",), elem_id="cp-models")
        recogniser = Panel("choice", {"label": "Words", "options": recognisers, "chosen": chosen}, sends=("choose",), elem_id="cp-recogniser")
        note = Panel("notes", {"lines": notes}, elem_id="cp-recogniser-note")
        plan = Panel("plan", {}, sends=("again",), elem_id="cp-plan")
        with gr.Row(elem_id="cp-run-buttons"):
            run = gr.Button("Run", variant="primary", elem_id="cp-run", interactive=not why_not)
            stop = gr.Button("Stop", variant="stop", elem_id="cp-stop", visible=False)
        why = Panel("notes", why_value(why_not), elem_id="cp-run-why")
        status = Panel("status", empty(), elem_id="cp-status")
    return RunSection(picker, plan, run, why, stop, status, recogniser, note)


def why_value(reason: str) -> dict[str, Any]:
    """What stands beside a button that rests."""
    return {"lines": [{"text": reason}] if reason else []}


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
            "job": job.id,
        }
    rows = stage_rows(job, running=job.state == "running")
    if job.state == "done":
        return {"state": "done", "title": f"Done in {duration(job.elapsed)}", "stages": rows, "fraction": 1.0, "job": job.id}
    left = _remaining(job)
    title = f"Working, {duration(job.elapsed)}" + (f", {expected(left)} left" if left is not None else "")
    return {"state": "working", "title": title, "stages": rows, "fraction": fraction(job), "job": job.id}


def failed(error: CineglassError, job: Job | None = None) -> dict[str, Any]:
    """A run that failed, or was not taken; the words are the error's own."""
    return {
        "state": "full" if error.code == "queue_full" else "failed",
        "title": "Not run" if job is None else "Failed",
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "way_out": way_out(error.hint),
        "stages": [] if job is None else stage_rows(job, running=False),
        "job": "" if job is None else job.id,
    }


def stopped(job: Job | None = None) -> dict[str, Any]:
    """A run that the visitor stopped."""
    return {
        "state": "stopped",
        "title": "Stopped",
        "message": "Finished stages are kept: Run goes on from there.",
        "stages": [] if job is None else stage_rows(job, running=False),
        "job": "" if job is None else job.id,
    }


def stage_rows(job: Job, *, running: bool) -> list[dict[str, Any]]:
    """Every stage with its state and seconds; those to come are listed while the job runs."""
    labels = course_of(job).stages
    names = list(labels) + [name for name in job.stages if name not in labels]
    rows = []
    for name in names:
        stage = job.stages.get(name)
        if stage is None:
            if running:
                rows.append({"name": name, "label": labels[name], "state": "pending", "seconds": 0.0, "message": ""})
            continue
        active = running and not stage.finished
        rows.append(
            {
                "name": name,
                "label": labels.get(name, name.capitalize()),
                "state": "active" if active else "done" if stage.finished else "failed" if job.state == "failed" else "pending",
                "seconds": stage.elapsed_s,
                "message": _with_time_left(stage) if active else stage.message if name == "plan" and stage.finished else "",
            }
        )
    return rows


def course_of(job: Job) -> Course:
    """The course that a job was started with."""
    return job.about if isinstance(job.about, Course) else EMBEDDED


def fraction(job: Job) -> float:
    """How much of the run is behind, 0 to 1; never more than the stages say."""
    done = 0.0
    for name, share in course_of(job).share.items():
        stage = job.stages.get(name)
        if stage is not None and stage.total > 0:
            done += share * min(1.0, stage.done / stage.total)
    return min(0.99, done)


def active_message(job: Job) -> str:
    """One sentence for the player while it waits."""
    active = [stage for stage in job.stages.values() if not stage.finished]
    return active[-1].message if active else "Working"


def _with_time_left(stage: Stage) -> str:
    if stage.remaining_s is None or stage.elapsed_s < SURE_S or stage.remaining_s < SURE_S:
        return stage.message
    return f"{stage.message} · {expected(stage.remaining_s)} left"


def _remaining(job: Job) -> float | None:
    done = fraction(job)
    if done < 0.15 or job.elapsed < 3:
        return None
    return job.elapsed * (1 - done) / done
