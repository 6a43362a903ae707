"""The command line: the same jobs as the page, with a progress bar.

Exit codes: 0 fine, 1 a fault of the program, 2 usage, 3 bad input, 4 a model or recogniser is missing, 130 interrupted. Errors are one line,
``message hint``, on stderr. Results go to stdout or to files, progress to stderr.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from extractors.errors import CineglassError, ModelError, SelectionError, SpeechError
from settings import SettingsError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help="A film clip becomes four predicted brains.")

FAULT, USAGE, BAD_INPUT, MISSING, INTERRUPTED, TERMINATED = 1, 2, 3, 4, 130, 143


class Recogniser(StrEnum):
    """Who listens for words."""

    auto = "auto"
    whisper = "whisper"
    sphinx = "sphinx"
    none = "none"


class Form(StrEnum):
    """Transcript formats."""

    tsv = "tsv"
    srt = "srt"
    vtt = "vtt"
    json = "json"
    txt = "txt"


def _subjects(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter("give numbers with commas between them, for example 1,3") from None


Film = Annotated[Path, typer.Argument(metavar="CLIP", help="A film or sound file.", show_default=False)]
Words = Annotated[Path | None, typer.Option("--transcript", help="Words to use instead of recognising them: SRT, VTT, JSON, TSV or plain text.")]
Listen = Annotated[Recogniser | None, typer.Option("--recogniser", help="Who listens for words; by default the setting.")]
NoSpeech = Annotated[bool, typer.Option("--no-speech", help="Run without words.")]
Model = Annotated[str | None, typer.Option("--model", help="Id of an embedded model, or a folder; by default the setting.")]
Short = Annotated[bool, typer.Option("--allow-short", help="Take a film of fewer TRs than the page does.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535)] = None,
) -> None:
    """Open the page."""
    with _spoken():
        # settings are read once from the environment, by the page too
        for key, value in (("CINEGLASS_HOST", host), ("CINEGLASS_PORT", port)):
            if value is not None:
                os.environ[key] = str(value)
        import app as page

        page.main()


@app.command()
def predict(
    clip: Film,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the result.")],
    subjects: Annotated[str, typer.Option(help="Subjects, with commas between them.")] = "1,2,3,5",
    model: Model = None,
    transcript: Words = None,
    recogniser: Listen = None,
    no_speech: NoSpeech = False,
    film: Annotated[bool, typer.Option("--film", help="Copy the film as it was analysed into the folder.")] = False,
    allow_short: Short = False,
    quiet: Quiet = False,
) -> None:
    """Predict responses to a film: responses.npy, responses.json, networks.tsv, transcript.tsv."""
    chosen = _subjects(subjects)
    with _spoken():
        from experiments.predict import predict as job
        from experiments.results import save_result

        _must_be_there(clip, transcript)
        _must_be_folder(out)
        listener = _recogniser(recogniser, no_speech, transcript)
        result = _show(
            job(clip, transcript=transcript, recogniser=listener, subjects=chosen, model=model, allow_short=allow_short), quiet=quiet
        )
        save_result(result, out, film=film)
        responses = result.responses
        for warning in responses.warnings:
            print(f"Note: {warning}", file=sys.stderr)
        mark = "SIMULATED. " if responses.simulated else ""
        rows = f"{responses.n_trs} TRs, {int(responses.valid.sum())} valid"
        print(f"{mark}{responses.model_title}: {', '.join(responses.subject_labels)}; {rows}; in {out}")


@app.command()
def transcribe(
    clip: Film,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; by default the words go to stdout.")] = None,
    form: Annotated[Form | None, typer.Option("--format", help="By default that of the file's ending, else tsv.")] = None,
    recogniser: Listen = None,
    allow_short: Short = False,
    quiet: Quiet = False,
) -> None:
    """Recognise the words of a film."""
    with _spoken():
        from experiments.intake import enter
        from extractors.formats import to_string

        _must_be_there(clip)
        endings = {item.value for item in Form}
        ending = out.suffix.lstrip(".").lower() if out is not None else ""
        kind = form.value if form is not None else ending if ending in endings else "tsv"
        _, words, _ = _show(enter(clip, recogniser=recogniser.value if recogniser else None, allow_short=allow_short), quiet=quiet)
        text = to_string(words, kind)
        if out is None:
            sys.stdout.write(text)
        else:
            try:
                out.write_text(text, encoding="utf-8", newline="\n")
            except OSError as error:
                _fail(f"The file {out} cannot be written: {_reason(error)}. Choose another one with --out.", BAD_INPUT)
            print(f"{len(words.words)} words by {words.source} in {out}", file=sys.stderr)


@app.command()
def download_whisper(
    size: Annotated[str | None, typer.Argument(help="tiny, base, small, ...; by default the setting.", show_default=False)] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before downloading.")] = False,
    quiet: Quiet = False,
) -> None:
    """Download the weights of Whisper, which hears better than the offline recogniser; says how large they are and asks first."""
    with _spoken():
        from extractors.recognise_whisper import DOWNLOAD_MB, find_weights
        from extractors.recognise_whisper import download_whisper as job
        from settings import get_settings

        name = size or get_settings().whisper_model
        if find_weights(name) is not None:
            print(f"Whisper {name} is on this machine already.")
        elif name not in DOWNLOAD_MB or yes or typer.confirm(f"Download about {DOWNLOAD_MB[name]} MB from the Hugging Face hub?", err=True):
            _show(job(name), quiet=quiet)
            print(f"Whisper {name} is on this machine now; the page and the command line take it by themselves.")


@app.command()
def streams(
    clip: Film,
    transcript: Words = None,
    recogniser: Listen = None,
    no_speech: NoSpeech = False,
    allow_short: Short = False,
    quiet: Quiet = False,
) -> None:
    """Compute the feature streams of a film and print their shapes and ranges."""
    with _spoken():
        from experiments.intake import streams as job

        _must_be_there(clip, transcript)
        listener = _recogniser(recogniser, no_speech, transcript)
        admitted, words, features = _show(job(clip, transcript=transcript, recogniser=listener, allow_short=allow_short), quiet=quiet)
        print(f"{admitted.n_trs} TRs in {admitted.duration:.2f} s; words: {words.source}, {len(words.words)}")
        print("stream\tpresent\trows\tdim\tmean\tsd\tmin\tmax\tcached\textractor")
        for name, array in features.items():
            present = "yes" if features.present[name] else "no"
            cached = "yes" if name in features.from_cache else "no"
            numbers = "\t".join(f"{value:.4g}" for value in (array.mean(), array.std(), array.min(), array.max()))
            print(f"{name}\t{present}\t{array.shape[0]}\t{array.shape[1]}\t{numbers}\t{cached}\t{features.extractors[name]}")


@app.command()
def examples() -> None:
    """List the finished examples that come with the program."""
    with _spoken():
        from experiments.examples import list_examples

        for example in list_examples():
            print(f"{example.id}\t{example.title}\t{example.caption}")


@app.command()
def capabilities() -> None:
    """Print models, recognisers, limits and names as JSON."""
    with _spoken():
        from experiments.capabilities import capabilities as describe

        print(json.dumps(describe(), indent=1, ensure_ascii=False))


@app.command()
def train(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the model.")],
    minutes: Annotated[float, typer.Option(min=0.5, help="About how long it may take on two cores.")] = 25.0,
    quiet: Quiet = False,
) -> None:
    """Train the embedded model from nothing on generated clips (needs espeak-ng and requirements-dev.txt)."""
    with _spoken():
        from experiments.train import job

        _must_be_folder(out)
        print(f"The model is in {_show(job(minutes=minutes, out=out), quiet=quiet)}")


@app.command()
def recovery(model: Model = None) -> None:
    """Print how well a simulated model returns what was planted, from its card."""
    with _spoken():
        from encoder.cards import read_card
        from encoder.checkpoints import find_model
        from settings import get_settings

        card = read_card(find_model(model or get_settings().model) / "card.yaml")
        print(f"{card.title} ({card.id}). Accuracy on measured brains: {card.accuracy}.")
        for part in card.recovery:
            print(f"\n{part.label}: {part.valid_trs} valid TRs of {len(part.clips)} clips")
            print("parcels\tn\tr\tinterval\tceiling\tof ceiling\tridge\tslope")
            for name, figure in {"all": part.all, **part.networks, **part.groups}.items():
                interval = f"{figure.interval[0]:.3f} to {figure.interval[1]:.3f}" if figure.interval else ""
                ridge, slope = (f"{value:.3f}" if value is not None else "" for value in (figure.ridge, figure.slope))
                numbers = f"{figure.r:.3f}\t{interval}\t{figure.ceiling:.3f}\t{figure.of_ceiling:.3f}\t{ridge}\t{slope}"
                print(f"{name}\t{figure.parcels}\t{numbers}")


def _recogniser(recogniser: Recogniser | None, no_speech: bool, transcript: Path | None) -> str | None:
    """Which recogniser is meant; exits with a usage error when the options contradict each other."""
    asked = [name for name, given in (("--no-speech", no_speech), ("--transcript", transcript), ("--recogniser", recogniser)) if given]
    if len(asked) > 1:
        _fail(f"{' and '.join(asked)} cannot be given together. Choose one of them.", USAGE)
    return "none" if no_speech else recogniser.value if recogniser else None


def _must_be_there(*files: Path | None) -> None:
    for file in files:
        if file is not None and not file.is_file():
            _fail(f"There is no file {file}. Check its name.", BAD_INPUT)


def _must_be_folder(out: Path) -> None:
    """Find out before the long work whether the result can be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _fail(f"The folder {out} cannot be made: {_reason(error)}. Choose another one with --out.", BAD_INPUT)


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown reason").lower()


def _show(job: Generator[Any, None, None], *, quiet: bool) -> Any:
    """Run a job to its end with a bar for each stage; an interrupt closes the job, which ends its child processes."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from extractors.stages import Stage

    columns = (TextColumn("{task.fields[stage]:6}"), BarColumn(bar_width=24), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    result, tasks = None, {}
    bars = Progress(*columns, console=Console(stderr=True), disable=quiet)
    try:
        with _asked_to_stop() as asked, closing(job):
            try:
                for item in job:
                    if asked:
                        break
                    if not isinstance(item, Stage):
                        result = item
                        continue
                    if item.name not in tasks:
                        bars.start()  # with the first stage: a job that fails at once leaves its one line alone
                        tasks[item.name] = bars.add_task(item.message, stage=item.name)
                    bars.update(tasks[item.name], completed=item.done, total=item.total, description=item.message)
            except CineglassError:
                if not asked:  # else a child process got the same signal and its job failed from that
                    raise
        if asked:
            raise SystemExit(TERMINATED) if signal.SIGTERM in asked else KeyboardInterrupt
    finally:
        if tasks:
            bars.stop()
    return result


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """Collect the first signal instead of raising wherever it hits: a job that is starting a child process must finish that and then stop."""
    asked: list[int] = []

    def ask(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _spoken() -> Iterator[None]:
    """Turn errors into one line on stderr and an exit code."""
    try:
        yield
    except typer.Exit:
        raise
    except (ModelError, SpeechError) as error:
        _fail(f"{error.message} {error.hint}", MISSING)
    except SelectionError as error:
        _fail(f"{error.message} {error.hint}", USAGE)
    except CineglassError as error:
        _fail(f"{error.message} {error.hint}", BAD_INPUT)
    except KeyboardInterrupt:
        _fail("Interrupted.", INTERRUPTED)
    except BrokenPipeError:
        # who read stdout has gone; Python would complain once more when it flushes at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except SettingsError as error:
        _fail(str(error), USAGE)
    except Exception as error:
        if os.environ.get("CINEGLASS_TRACEBACK"):
            raise
        said = " ".join(str(error).split()) or type(error).__name__
        _fail(f"A fault of the program: {said} Set CINEGLASS_TRACEBACK=1 to see where, and please report it.", FAULT)


def _fail(message: str, code: int) -> NoReturn:
    print(" ".join(message.split()), file=sys.stderr)
    raise typer.Exit(code) from None


def main() -> NoReturn:
    """Run the command line; usage errors are one line too."""
    try:
        code = app(standalone_mode=False)
    except typer.BadParameter.__base__ as error:  # every usage error, whichever library typer took it from
        command = f"{error.ctx.command_path} --help" if error.ctx is not None else "--help"
        if message := " ".join(error.format_message().split()):
            print(f"{message}{'' if message[-1] in '.!?' else '.'} See {command}.", file=sys.stderr)
        code = USAGE
    except typer.Abort:
        code = INTERRUPTED
    except SystemExit as stop:
        code = stop.code
    if code in (INTERRUPTED, TERMINATED):
        # jobs are closed and child processes ended; what is left is a thread that loads the model, which nobody can hurry
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code or 0)


if __name__ == "__main__":
    main()
