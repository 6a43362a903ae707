"""Which click calls what: every handler of the page is attached here."""

from __future__ import annotations

import gradio as gr

from ui.designing import wire_designs
from ui.events import Handlers
from ui.my_runs import wire_runs
from ui.opening import TAB_SAYS


def wire(demo: gr.Blocks, handlers: Handlers) -> None:
    """Attach every handler. All of it is private: programs use the named endpoints of :mod:`ui.api`."""
    parts = handlers.parts
    section, running, text = parts.stimulus, parts.run, parts.words
    now = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    all_of_them = now | {"trigger_mode": "multiple"}  # Gradio drops what comes while an event is out; the list of models and the gallery say it again
    long = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}
    scene = [
        parts.visit,
        parts.top,
        parts.player,
        parts.trust,
        parts.export.kinds,
        parts.export.made,
        parts.measured,
        section.gallery,
        section.clip,
        section.making,
        section.delete,
        section.transcript_note,
        section.no_transcript,
        running.picker,
        running.recogniser,
        running.plan,
        running.run,
        running.why,
        running.stop,
        running.status,
        parts.experiment.panel,
        parts.experiment.status,
        text.table,
        text.note,
        text.undo,
        parts.my_runs.list,
        parts.tab,
    ]
    planned = [running.picker, running.plan, running.run, running.why]
    panel, comparing = parts.experiment.panel, handlers.comparing
    after = comparing.after  # what changes the clip, its words or the model makes another A
    opened = demo.load(after(handlers.opening.open_page), [parts.visit, parts.tab], scene, js=TAB_SAYS, **now)
    changes_clip = (
        section.gallery.pick(after(handlers.pick_example), [parts.visit], scene, **now),
        section.upload.dropped(after(handlers.receive_upload), [parts.visit], scene, trigger_mode="multiple", **long),
        section.recorder.recorded(after(handlers.receive_recording), [parts.visit], scene, trigger_mode="multiple", **long),
        section.making.make(after(handlers.making.make), [parts.visit], scene, trigger_mode="multiple", **long),
        running.picker.choose(after(handlers.choosing.choose), [parts.visit], scene, **now),
    )
    for event in changes_clip:
        event.then(handlers.choosing.plan_run, [parts.visit], planned, **long)
    pictures = [parts.visit, section.making, section.delete]
    section.making.dropped(handlers.making.add_picture, [parts.visit], pictures, **all_of_them)
    section.making.remove(handlers.making.drop_picture, [parts.visit], pictures, **all_of_them)
    running.plan.again(handlers.choosing.plan_run, [parts.visit], planned, **long)
    section.transcript_file.dropped(after(handlers.read_transcript), [parts.visit], scene, **now)
    section.no_transcript.click(after(handlers.leave_transcript), [parts.visit], scene, **now)

    running.recogniser.choose(after(handlers.choose_recogniser), [parts.visit], scene, **all_of_them)
    run_event = running.run.click(handlers.run_clip, [parts.visit], scene, trigger_mode="once", **long)
    stopped = running.stop.click(handlers.stop_run, None, scene, cancels=[run_event], **now)
    deleted = section.delete.click(after(handlers.delete_now), [parts.visit], scene, cancels=[run_event], **now)
    deleted.then(handlers.choosing.plan_run, [parts.visit], planned, **long)

    text.table.edit(after(handlers.wording.edit), [parts.visit], scene, **all_of_them)
    text.undo.click(after(handlers.wording.undo), [parts.visit], scene, **now)

    panel.choose(comparing.choose, [parts.visit], [panel], **all_of_them)
    comparison = panel.compare(comparing.compare, [parts.visit], scene, trigger_mode="multiple", **long)
    ready = panel.open(after(handlers.opening.open_ready), [parts.visit], scene, **all_of_them)
    panel.stop(comparing.stop, [parts.visit], scene, cancels=[comparison], **now)
    listed = wire_runs(handlers.my_runs, scene, (opened, run_event, comparison, deleted), now=now, long=long)
    clips_change = (opened, ready, run_event, comparison, deleted, *listed, *changes_clip)
    listed += wire_designs(handlers.designing, scene, clips_change, (opened, ready), now=now, long=long)
    for event in (*listed, stopped):
        event.then(comparing.look, [parts.visit], [panel], **now)
    made = [parts.visit, parts.export.made]
    making = parts.export.kinds.make(handlers.exporting.make, [parts.visit], made, **long)
    parts.export.made.stop(handlers.exporting.stop, [parts.visit], made, cancels=[making], **now)
    compared = [parts.visit, parts.player, parts.measured]
    parts.measured.dropped(handlers.measuring.receive, [parts.visit], compared, **long)
    parts.measured.choose(handlers.measuring.choose, [parts.visit], compared, **long)
    parts.measured.remove(handlers.measuring.remove, [parts.visit], compared, **now)
    demo.unload(handlers.leave)
