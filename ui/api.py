"""The endpoints for programs: ``predict``, ``compare``, ``transcribe``, ``run_capsule``, ``list_examples``, ``capabilities``.

They stand in the same line as the page.
"""

from __future__ import annotations

import asyncio
import json
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
MOST_NULL_EDITS = 10
FILES = ("responses.npy", "responses.json", "networks.tsv", "transcript.tsv")


def add_endpoints(
    *, settings: Settings, shelf: Shelf, runs: Line, predict: Callable[..., Iterator[Any]], compare: Callable[..., Iterator[Any]], offer: Offer
) -> None:
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

    async def api_compare(
        clip: gr.FileData,
        request: gr.Request,
        edits: str = "mute",
        lesions: str = "",
        null_edits: int = 0,
        recogniser: str = "auto",
        seed: int = 0,
        allow_short: bool = False,
        model: str = "",
    ) -> dict:
        """Compare a film or sound file (A) with the same with something changed (B).

        clip: the file. edits: changes of the film, statements with ; between them, for example "mute" or "blur percent=4; words policy=keep".
        lesions: streams that the model loses, for example "text zero". null_edits: small changes to A that should not matter, for its sensitivity
        to them (each is a run of its own; at most 10). recogniser: auto, whisper, sphinx or none. seed: of the null edits and the intervals.
        allow_short: take clips under 10 TRs. model: the id of one that capabilities lists as ready. A sound track can be taken from an example by its
        id. Returns comparison_id, paired (whether A - B exists TR by TR) and why not, edits and lesions in canonical form, table (a row for each
        subject and their mean and curve, with the meaning of its columns), sentences (what changed, for the mean of the subjects), warnings, and the
        addresses of A's and B's files on this server.
        """
        token, name = _take(clip, shelf)

        def start() -> Iterator[Any]:
            from experiments.comparison_files import save_comparison
            from experiments.conditions import Condition
            from extractors.errors import SelectionError
            from extractors.media import admit
            from extractors.stages import passing_on

            if not 0 <= null_edits <= MOST_NULL_EDITS:
                raise SelectionError("null_edits", f"Allowed null_edits are 0 to {MOST_NULL_EDITS}, but got {null_edits} instead.", "Take fewer.")
            chosen, listener, others = _model(model, settings, offer), _choice(recogniser), example_films(edits, settings)
            admitted = yield from passing_on(admit(shelf.upload(token), name=name, settings=settings, allow_short=bool(allow_short)))
            a = Condition(film=admitted, recogniser=listener)
            how = {"null": null_edits, "seed": seed, "model": chosen, "settings": settings, "allow_short": bool(allow_short)}
            comparison = yield from passing_on(compare(a, edits, lesions=lesions, others=others, label_a=name, **how))
            id, folder = shelf.new_comparison()
            save_comparison(comparison, folder)
            yield id, comparison

        try:
            id, comparison = await in_line(request.session_hash, start)
        finally:
            shelf.drop_upload(token)
        return await asyncio.to_thread(_told_of, id, comparison)

    async def api_run_capsule(
        capsule: gr.FileData, request: gr.Request, film: gr.FileData | None = None, model: str = "", film_b: gr.FileData | None = None
    ) -> dict:
        """Run an experiment capsule again, everything anew, and say what differs from what it holds.

        capsule: the zip. film: the film of A, where the capsule holds none. film_b: that of B, where B is another film and not A with something
        changed. model: the id of one that capabilities lists as ready; without it the capsule's own. Returns same (whether every number is bit for
        bit the same) and differences: a list of what, here, there.
        """
        taken: list[str] = []

        def start() -> Iterator[Any]:
            from experiments.capsule_run import run_capsule

            chosen = _model(model, settings, offer) if model else None
            zip_, *films = [shelf.upload(token) if token else None for token in taken]
            yield from run_capsule(zip_, *films, model=chosen, settings=settings)

        try:
            for one in (capsule, film, film_b):  # what came before one that is refused is dropped too
                taken.append(_take(one, shelf)[0] if one else "")
            found = await in_line(request.session_hash, start)
        finally:
            for token in taken:
                shelf.drop_upload(token)
        return {"same": not found, "differences": [{"what": one.what, "here": one.here, "there": one.there} for one in found]}

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
    gr.api(api_compare, api_name="compare", concurrency_limit=None)
    gr.api(api_transcribe, api_name="transcribe", concurrency_limit=None)
    gr.api(api_run_capsule, api_name="run_capsule", concurrency_limit=None)
    gr.api(api_list_examples, api_name="list_examples", concurrency_limit=None)
    gr.api(api_capabilities, api_name="capabilities", concurrency_limit=None)


def example_films(edits: str, settings: Settings) -> dict[str, Path]:
    """Films of the examples that edits name; SelectionError for a name that is none."""
    from experiments.examples import FILM, find_example
    from extractors.edit_language import parse_edits

    names = {str(value) for edit in parse_edits(edits) for key, value in edit.values if key == "clip"}
    return {name: find_example(name, settings).folder / FILM for name in names}


def _told_of(id: str, comparison: Any) -> dict[str, Any]:
    """A comparison as a program gets it."""
    from experiments.findings import COLUMNS, frame, sentences

    table = frame(comparison).reset_index()
    rows = json.loads(table.to_json(orient="records"))
    warnings = dict.fromkeys((*comparison.a.responses.warnings, *comparison.b.responses.warnings))
    return {
        "comparison_id": id,
        "paired": comparison.paired,
        "why": comparison.why,
        "edits": comparison.edits,
        "lesions": comparison.lesions,
        "calibrated": comparison.calibrated,
        "simulated": comparison.a.responses.simulated,
        "null_edits": list(comparison.null.edits) if comparison.null is not None else [],
        "table": rows,
        "columns": dict(COLUMNS),
        "sentences": sentences(comparison, None),
        "warnings": list(warnings),
        "files": {side: {name: f"cineglass/comparisons/{id}/{side}/{name}" for name in FILES} for side in ("a", "b")},
    }


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
