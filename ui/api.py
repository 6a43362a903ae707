"""The four endpoints for programs: ``predict``, ``transcribe``, ``list_examples``, ``capabilities``. They stand in the same line as the page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from encoder.atlas import NETWORK_NAMES
from encoder.responses import SUBJECTS
from extractors.errors import CineglassError, MediaError, ModelError
from settings import Settings
from ui.line import Line, in_plain_words
from ui.model import Offer, find
from ui.sessions import Shelf

POLL_S = 0.1
ALL_SUBJECTS = list(SUBJECTS)
FILES = ("responses.npy", "responses.json", "networks.tsv", "transcript.tsv")


def add_endpoints(*, settings: Settings, shelf: Shelf, runs: Line, predict: Callable[..., Iterator[Any]], offer: Offer) -> None:
    """Attach the endpoints to the Blocks being built."""

    async def in_line(visitor: str | None, start: Callable[[], Iterator[Any]]) -> Any:
        """Wait for a job; when the caller goes away, so does the job."""
        try:
            job = runs.join(visitor or "api", start)
        except CineglassError as error:
            raise _told(error) from None
        try:
            while not job.over:
                await asyncio.sleep(POLL_S)
        finally:
            if not job.over:
                runs.stop(job)
        if job.error is not None:
            raise _told(job.error)
        if job.state == "stopped":
            raise gr.Error("The run was stopped.", print_exception=False)
        return job.result

    async def api_predict(
        clip: gr.FileData,
        request: gr.Request,
        recogniser: str = "auto",
        subjects: list[int] = ALL_SUBJECTS,
        allow_short: bool = False,
        model: str = "",
    ) -> dict:
        """Predict the responses of four subjects to a film or sound file.

        clip: the file. recogniser: auto, whisper, sphinx or none. subjects: out of 1, 2, 3, 5. allow_short: take clips under 10 TRs.
        model: the id of one that capabilities lists as ready; without it the page's usual one.
        Returns run_id, metadata (labels, units, provenance), networks (mean per network: one list of z values per subject), words, and the
        addresses of the result's files on this server.
        """
        token, name = _take(clip, shelf)

        def start() -> Iterator[Any]:
            from experiments.results import save_result
            from extractors.stages import passing_on

            job = predict(
                shelf.upload(token),
                model=_model(model, settings, offer),
                recogniser=_choice(recogniser),
                subjects=tuple(subjects),
                settings=settings,
                name=name,
                allow_short=bool(allow_short),
            )
            result = yield from passing_on(job)
            run, folder = shelf.new_run()
            save_result(result, folder)
            yield run, result

        try:
            run, result = await in_line(request.session_hash, start)
        finally:
            shelf.drop_upload(token)
        responses = result.responses
        return {
            "run_id": run,
            "metadata": responses.metadata(),
            "networks": {network: responses.network_mean(network).round(5).tolist() for network in NETWORK_NAMES},
            "words": _words(result.transcript),
            "seconds": result.seconds,
            "files": {name: f"cineglass/runs/{run}/{name}" for name in FILES},
        }

    async def api_transcribe(clip: gr.FileData, request: gr.Request, recogniser: str = "auto") -> dict:
        """Recognise the words of a film or sound file.

        clip: the file. recogniser: auto, whisper, sphinx or none. Returns the recogniser that ran, its language, the words as [text, onset,
        duration] in seconds, and the text of each TR.
        """
        token, name = _take(clip, shelf)

        def start() -> Iterator[Any]:
            from extractors.media import admit
            from extractors.speech import transcribe
            from extractors.stages import passing_on

            admitted = yield from passing_on(admit(shelf.upload(token), name=name, settings=settings, allow_short=True))
            yield from transcribe(admitted, recogniser=_choice(recogniser), settings=settings)

        try:
            transcript = await in_line(request.session_hash, start)
        finally:
            shelf.drop_upload(token)
        return {
            "source": transcript.source,
            "language": transcript.language,
            "timing": transcript.timing,
            "notices": list(transcript.notices),
            "words": _words(transcript),
            "text_per_tr": list(transcript.text_per_tr),
        }

    def api_list_examples() -> list[dict]:
        """The examples that come with the program, with the addresses of their finished results on this server."""
        from experiments.examples import list_examples

        return [
            {
                "id": example.id,
                "title": example.title,
                "caption": example.caption,
                "opens_with": list(example.opens_with),
                "files": {name: f"cineglass/examples/{example.id}/{name}" for name in ("clip.mp4", *FILES)},
            }
            for example in list_examples(settings)
        ]

    def api_capabilities() -> dict:
        """Models, recognisers, networks, file formats and limits of this installation."""
        from experiments.capabilities import capabilities

        return capabilities(settings)

    gr.api(api_predict, api_name="predict", concurrency_limit=None)
    gr.api(api_transcribe, api_name="transcribe", concurrency_limit=None)
    gr.api(api_list_examples, api_name="list_examples", concurrency_limit=None)
    gr.api(api_capabilities, api_name="capabilities", concurrency_limit=None)


def _take(clip: Any, shelf: Shelf) -> tuple[str, str]:
    """Put an uploaded file on the shelf; what came is not trusted to be one."""
    from extractors.media import display_name

    path = clip.get("path") if isinstance(clip, dict) else getattr(clip, "path", None)
    try:
        if not isinstance(path, str) or not path:
            raise MediaError("not_uploaded", "clip must be an uploaded file.", "Upload it first; gradio_client's handle_file does.")
        return shelf.keep_upload(path), display_name(Path(path).name)
    except Exception as error:
        raise _told(in_plain_words(error)) from None


def _choice(recogniser: str) -> str:
    from extractors.errors import SpeechError
    from extractors.speech import CHOICES

    if recogniser not in CHOICES:
        raise SpeechError(
            "recogniser", f"Allowed recognisers are {', '.join(CHOICES)}, but got {str(recogniser)[:40]!r} instead.", "Choose one of them."
        )
    return recogniser


def _model(name: str, settings: Settings, offer: Offer) -> str:
    """Id of an offered model, which must be ready; a caller names no folder."""
    states = offer.states(again=True)
    state = find(states, settings.model) if not name else next((one for one in states if one.shown_id == name), None)
    if state is None:
        known = ", ".join(one.shown_id for one in states)
        raise ModelError("model_unknown", f"Allowed models are {known}, but got {str(name)[:80]!r} instead.", "Choose one of them.")
    if state.state != "ready":
        raise ModelError("model_not_ready", state.why, state.way_out)
    return state.id


def _words(transcript: Any) -> list[list[Any]]:
    return [[word.text, round(word.onset, 3), round(word.duration, 3)] for word in transcript.words]


def _told(error: CineglassError) -> gr.Error:
    """The error as Gradio hands it to a program: code, sentence and hint, never a traceback."""
    return gr.Error(f"{error.code}: {error.message} {error.hint}".strip(), print_exception=False)
