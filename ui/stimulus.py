"""The Stimulus section: examples, an upload, the webcam, a stimulus made here, a transcript file; how long a clip stays, and delete now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from extractors.grid import TR
from settings import Settings
from ui.making import making_value
from ui.panel import Panel

WEBCAM_MOST_S = 180.0
"""Longest webcam recording in seconds."""

TRANSCRIPT_MOST_MB = 4


@dataclass(frozen=True)
class StimulusSection:
    """Components of the section."""

    gallery: Panel
    upload: Panel
    clip: Panel
    delete: gr.Button
    recorder: Panel
    making: Panel
    transcript_file: Panel
    transcript_note: Panel
    no_transcript: gr.Button


def stimulus_section(examples: list[dict[str, Any]], chosen: str | None, settings: Settings) -> StimulusSection:
    """Build the section.

    Parameters
    ----------
    examples : list of {"id", "title", "caption", "duration", "film", "still", "badge"}
    chosen : str or None
        Example shown on landing.
    settings : Settings
    """
    with gr.Column(elem_classes="cp-section", elem_id="cp-stimulus-section"):
        gr.HTML("<h2>1 Stimulus</h2>", elem_classes="cp-section-title", apply_default_css=False)
        gallery = Panel("gallery", {"examples": examples, "chosen": chosen}, sends=("pick",), elem_id="cp-gallery", visible=bool(examples))
        # Not gr.Video: it hands the raw upload to ffmpeg before our gate has seen it
        drop = {"text": "Drop your own film or sound here, or click to choose", "accept": "video/*,audio/*,.mkv", "most_mb": settings.max_upload_mb}
        upload = Panel("drop", drop, sends=("dropped",), elem_id="cp-upload")
        clip = Panel("clip", {}, elem_id="cp-clip")
        recorder = Panel("recorder", {"least": settings.min_trs * TR, "most": WEBCAM_MOST_S}, sends=("recorded",), elem_id="cp-recorder")
        making = Panel("making", making_value(settings), sends=("make", "dropped", "remove"), elem_id="cp-making")
        words_file = {"text": "Add a transcript file", "accept": ".srt,.vtt,.tsv,.json,.txt", "most_mb": TRANSCRIPT_MOST_MB, "slim": True}
        transcript_file = Panel("drop", words_file, sends=("dropped",), elem_id="cp-transcript-file")
        transcript_note = Panel("notes", {"lines": []}, elem_id="cp-transcript-note")
        no_transcript = gr.Button("Leave the file out", size="sm", visible=False, elem_id="cp-no-transcript")
        Panel("notes", {"lines": [{"text": keeping(settings)}]}, elem_id="cp-keeping")
        delete = gr.Button("Delete my clips and results now", size="sm", visible=False, elem_id="cp-delete")
    return StimulusSection(gallery, upload, clip, delete, recorder, making, transcript_file, transcript_note, no_transcript)


def keeping(settings: Settings) -> str:
    """What may be uploaded, and how long it stays."""
    longest = settings.max_duration_s
    length = f"{longest / 60:g} minutes" if longest >= 60 else f"{longest:g} s"
    hours = settings.keep_hours
    kept = f"{hours:g} hours" if hours > 1 else f"{hours * 60:.0f} minutes"
    return (
        f"{settings.min_trs * TR:.0f} s to {length}, up to {settings.max_upload_mb} MB. A clip stays on the computer that runs this page, "
        f"{kept} at most, then it is deleted with its result."
    )


def clip_value(*, name: str, duration: float, n_trs: int, has_video: bool, has_audio: bool, notices: tuple[str, ...] = ()) -> dict[str, Any]:
    """What the clip card shows of a clip that may run."""
    there = {(True, True): "picture and sound", (True, False): "picture, no sound", (False, True): "sound, no picture"}
    tracks = there.get((has_video, has_audio), "words only")
    return {"name": name, "duration": duration, "n_trs": n_trs, "tracks": tracks, "notices": list(notices)}


def clip_error(message: str, hint: str, *, still: str = "") -> dict[str, Any]:
    """What the clip card shows of a file that may not; ``still`` names the clip that Run goes on to take."""
    return {"error": {"message": message, "hint": hint}, "still": still}
