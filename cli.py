"""The command line: the same jobs as the page, with a progress bar.

Exit codes: 0 fine, 1 a fault of the program, 2 usage, 3 bad input, 4 a model or recogniser is missing, 130 interrupted. Errors are one line,
``message hint``, on stderr. Results go to stdout or to files, progress to stderr.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from experiments.command_options import AnyClip, Film, Form, Listen, LowMem, Made, Model, NoSpeech, Quiet, Short, Where, Words, agreed, subjects_of
from experiments.telling import finished_result, listener_of, only_taken, planned, say_models, say_notes, say_result, settings_with, size_text
from experiments.terminal import INTERRUPTED, MISSING, TERMINATED, USAGE, must_be_there, show, spoken, writable_folder, write_text

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help="A film clip becomes four predicted brains.")


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535)] = None,
) -> None:
    """Open the page."""
    with spoken():
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
    low_mem: LowMem = False,
    device: Where = None,
    transcript: Words = None,
    recogniser: Listen = None,
    no_speech: NoSpeech = False,
    lesions: Annotated[str, typer.Option(help="Streams that the model loses, for example: text mean; video zero.")] = "",
    film: Annotated[bool, typer.Option("--film", help="Copy the film as it was analysed into the folder.")] = False,
    allow_short: Short = False,
    quiet: Quiet = False,
) -> None:
    """Predict responses to a film: responses.npy, responses.json, networks.tsv, transcript.tsv."""
    chosen = subjects_of(subjects)
    with spoken():
        from experiments.predict import predict as job
        from experiments.results import save_result

        must_be_there(clip, transcript)
        listener = listener_of(recogniser, no_speech, transcript)
        with writable_folder(out):
            settings = settings_with(low_mem, device)
            taken = planned(clip, model, settings, allow_short=allow_short, quiet=quiet)
            entering = {"transcript": transcript, "recogniser": listener, "allow_short": allow_short, "lesions": lesions}
            result = show(job(taken, subjects=chosen, model=model, settings=settings, **entering), quiet=quiet)
            save_result(result, out, film=film)
        say_result(result, out)


@app.command()
def bake(
    clip: Film,
    out: Annotated[Path, typer.Option("--out", "-o", help="The result's folder: new, or a baked one to replace.")],
    model: Model = None,
    title: Annotated[str | None, typer.Option(help="What the page calls it; by default the film's name.")] = None,
    caption: Annotated[str | None, typer.Option(help="What to look for; by default which model made it.")] = None,
    low_mem: LowMem = False,
    device: Where = None,
    transcript: Words = None,
    recogniser: Listen = None,
    no_speech: NoSpeech = False,
    allow_short: Short = False,
    quiet: Quiet = False,
) -> None:
    """Write a finished result that any machine plays as an example, without the model: see the setting CINEGLASS_RESULTS_DIR."""
    with spoken():
        from experiments.bake import bake as job
        from experiments.results import load_result

        must_be_there(clip, transcript)
        listener = listener_of(recogniser, no_speech, transcript)
        settings = settings_with(low_mem, device)
        taken = planned(clip, model, settings, allow_short=allow_short, quiet=quiet)
        entering = {"transcript": transcript, "recogniser": listener, "allow_short": allow_short}
        made = show(job(taken, out=out, model=model, title=title, caption=caption, settings=settings, **entering), quiet=quiet)
        say_result(load_result(made), made)


@app.command()
def features(
    clip: Film,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the streams.")],
    model: Model = None,
    low_mem: LowMem = False,
    device: Where = None,
    transcript: Words = None,
    recogniser: Listen = None,
    no_speech: NoSpeech = False,
    allow_short: Short = False,
    quiet: Quiet = False,
) -> None:
    """Compute the streams that a model takes: audio.npy, text.npy, video.npy, features.json."""
    with spoken():
        from experiments.features import features as job
        from experiments.features import save_features

        must_be_there(clip, transcript)
        listener = listener_of(recogniser, no_speech, transcript)
        with writable_folder(out):
            settings = settings_with(low_mem, device)
            taken = planned(clip, model, settings, allow_short=allow_short, quiet=quiet)
            entering = {"transcript": transcript, "recogniser": listener, "allow_short": allow_short}
            admitted, _, found = show(job(taken, model=model, settings=settings, **entering), quiet=quiet)
            save_features(found, admitted, out)
        say_notes(found.warnings)
        shapes = ", ".join(f"{name} {array.shape[1]}{'' if found.present[name] else ' (absent)'}" for name, array in found.items())
        print(f"{found.n_trs} TRs: {shapes}; in {out}")


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
    with spoken():
        from experiments.intake import enter
        from extractors.formats import to_string

        must_be_there(clip)
        endings = {item.value for item in Form}
        ending = out.suffix.lstrip(".").lower() if out is not None else ""
        kind = form.value if form is not None else ending if ending in endings else "tsv"
        _, words, _ = show(enter(clip, recogniser=recogniser.value if recogniser else None, allow_short=allow_short), quiet=quiet)
        text = to_string(words, kind)
        if out is None:
            sys.stdout.write(text)
        else:
            write_text(text, out)
            print(f"{len(words.words)} words by {words.source} in {out}", file=sys.stderr)


@app.command()
def download_whisper(
    size: Annotated[str | None, typer.Argument(help="tiny, base, small, ...; by default the setting.", show_default=False)] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before downloading.")] = False,
    quiet: Quiet = False,
) -> None:
    """Download the weights of Whisper, which hears better than the offline recogniser; says how large they are and asks first."""
    with spoken():
        from extractors.recognise_whisper import DOWNLOAD_MB, find_weights
        from extractors.recognise_whisper import download_whisper as job
        from settings import get_settings

        name = size or get_settings().whisper_model
        if find_weights(name) is not None:
            print(f"Whisper {name} is on this machine already.")
        elif name not in DOWNLOAD_MB or yes or agreed(f"Download about {DOWNLOAD_MB[name]} MB from the Hugging Face hub?"):
            show(job(name), quiet=quiet)
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
    with spoken():
        from experiments.intake import streams as job
        from experiments.telling import say_streams

        must_be_there(clip, transcript)
        listener = listener_of(recogniser, no_speech, transcript)
        admitted, words, features = show(job(clip, transcript=transcript, recogniser=listener, allow_short=allow_short), quiet=quiet)
        say_streams(admitted, words, features)


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(metavar="ID", help="Print this model's card.", show_default=False)] = None,
    ask: Annotated[bool, typer.Option("--ask", help="Ask the hub which published variants there are.")] = False,
) -> None:
    """List the models with their state and what is still to be downloaded, or print one model's card in full."""
    with spoken():
        from experiments.card_text import card_lines
        from experiments.models import card_of, list_models

        if name is not None:
            print("\n".join(card_lines(card_of(name))))
        else:
            say_models(list_models(ask=ask))


@app.command()
def download_model(
    name: Annotated[str, typer.Argument(metavar="ID", help="A hub name, for example ShreyDixit/VIBE-Qwen2.5-14B.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before downloading.")] = False,
    quiet: Quiet = False,
) -> None:
    """Download a published model and the pretrained networks it stands on; says how large they are and asks first."""
    with spoken():
        from experiments.models import download_model as job
        from experiments.models import missing_of

        fetched: set[str] = set()
        # which networks a model stands on may be known only when its own files are here
        while missing := [part for part in missing_of(name) if part.source not in fetched]:
            for part in missing:
                print(f"{part.source}\t{size_text(part.size_bytes)}", file=sys.stderr)
            sizes = [part.size_bytes for part in missing]
            if len(sizes) > 1 and None not in sizes:
                print(f"together\t{size_text(sum(sizes))}", file=sys.stderr)
            if not yes and not agreed("Download from the Hugging Face hub?"):
                return
            fetched |= set(show(job(name), quiet=quiet))
        print(f"{name} and all it needs are on this machine.")


@app.command()
def plan(
    model: Model = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="Length of the film.")] = 10.0,
    low_mem: LowMem = False,
    device: Where = None,
) -> None:
    """Print what a run would take: which part where, how much memory, about how long. Nothing is loaded."""
    with spoken():
        from experiments.models import card_of, model_plan

        settings = settings_with(low_mem, device)
        chosen = model or settings.model
        made = model_plan(chosen, duration_s=60 * minutes, settings=settings)
        if made is not None and made.ok:
            print(f"For a film of {minutes:g} min:")
        print("\n".join(made.lines()) if made is not None else card_of(chosen, settings).resources)
        if made is not None and not made.ok:
            raise SystemExit(MISSING)


@app.command()
def examples() -> None:
    """List the finished examples: those that come with the program, and those of the setting CINEGLASS_RESULTS_DIR."""
    with spoken():
        from experiments.examples import list_examples

        for example in list_examples():
            print(f"{example.id}\t{example.title}\t{example.caption}")


@app.command()
def export(
    result: Made,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="What to make; `export list` names all kinds.", show_default=False)] = "",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path("."),
    subject: Annotated[int | None, typer.Option(help="One subject; by default the mean of all.")] = None,
    tr: Annotated[int | None, typer.Option("--tr", help="The TR shown, from 0; by default one in the middle.")] = None,
    rows: Annotated[str | None, typer.Option(help="Several TRs: 10-19, or 10,14,18.")] = None,
    minus: Annotated[str | None, typer.Option(help="TRs to subtract in a contrast.")] = None,
    vmax: Annotated[float | None, typer.Option(help="Colours run from -vmax to vmax (z); by default the 98th percentile.")] = None,
    threshold: Annotated[float, typer.Option(help="Weaker values (z) are faded.")] = 0.0,
    cmap: Annotated[str, typer.Option(help="cineglass_light, cineglass_dark, cold_hot or a diverging map of matplotlib.")] = "cineglass_light",
    lag: Annotated[float, typer.Option(help="5: the response shifted back by 5 s.")] = 0.0,
    views: Annotated[str, typer.Option(help="glass, surface or both.")] = "both",
    dark: Annotated[bool, typer.Option("--dark", help="Dark background.")] = False,
    quiet: Quiet = False,
) -> None:
    """Make a picture, film, brain image or dataset from a result: PNG, SVG, MP4, GIF, NIfTI, GIFTI, CIFTI, BIDS, HTML."""
    with spoken():
        from experiments.examples import card_beside, example_beside
        from experiments.export import KINDS, Asked, find_kind, parse_rows
        from experiments.export import export as job
        from viz.look import Look

        if "list" in (result if not kind else "", kind):
            for one in KINDS:
                print(f"{one.id}\t{one.label}: {one.note}")
            return
        only_taken(find_kind(kind), {"tr": tr, "rows": rows, "minus": minus}, vmax is not None or bool(threshold) or bool(lag))
        found, folder = finished_result(result)
        several = {name: None if text is None else parse_rows(text, found.responses.n_trs) for name, text in (("rows", rows), ("minus", minus))}
        look = Look(vmax=vmax, threshold=threshold, cmap=cmap, lag=lag, views=views, dark=dark)
        asked = Asked(subject=subject, tr=tr, look=look, **several)
        about = {"card": card_beside(folder, found.responses), "example": example_beside(folder)}
        made = show(job(found, kind, out, asked=asked, **about), quiet=quiet)
        say_notes(made.notices)
        for path in (*made.files, made.sidecar):
            print(path)


@app.command()
def accuracy(
    result: Made,
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="Measured responses: Algonauts HDF5, or 1000 parcels by TRs as TSV, CSV or NPY.")],
    subject: Annotated[int, typer.Option(help="Subject of the prediction to compare with.")] = 1,
    tr: Annotated[float, typer.Option("--tr", help="Seconds between the table's rows.")] = 1.49,
    dataset: Annotated[str | None, typer.Option(help="Which data set of an HDF5 file.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the correlation of every parcel to this TSV.")] = None,
) -> None:
    """Compare a prediction with measured responses: mean correlation of all parcels, of each network and group."""
    with spoken():
        from experiments.measured import accuracy_table, beside, read_measured, write_accuracy

        must_be_there(table)
        found, _ = finished_result(result)
        measured = beside(found.responses, read_measured(table, tr=tr, dataset=dataset), subject)
        say_notes(measured.notices)
        print("where\tparcels\tmean_r")
        for name, parcels, mean in accuracy_table(measured):
            print(f"{name}\t{parcels}\t{mean:.4f}")
        if out is not None:
            write_accuracy(measured, out)


@app.command()
def compare(
    clip: AnyClip,
    edits: Annotated[
        str, typer.Argument(metavar="EDITS", help="What is changed in B, for example mute; `edits` lists the words. A stays as it is.")
    ] = "",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for both results and the table.")] = Path("comparison"),
    lesions: Annotated[str, typer.Option(help="What the model loses in B, for example 'text mean'. In A it loses nothing.")] = "",
    other: Annotated[
        Path | None,
        typer.Option("--with", help="Another film as B. EDITS and --lesions then change that film and its run, never A: two things differ at once."),
    ] = None,
    clips: Annotated[list[Path] | None, typer.Option("--clip", help="A film whose sound the edits take: clip=1 is the first.")] = None,
    null: Annotated[int | None, typer.Option(min=0, max=50, help="Null edits of A; by default 10, 3 for a large model.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of null edits and intervals.")] = 0,
    model: Model = None,
    device: Where = None,
    transcript: Words = None,
    recogniser: Listen = None,
    no_speech: NoSpeech = False,
    allow_short: Short = False,
    quiet: Quiet = False,
) -> None:
    """Compare two conditions: A as it is, B with edits or lesions, or another film; says what changed and writes comparison.tsv."""
    with spoken():
        from experiments.comparison_files import save_comparison
        from experiments.telling import comparison_job, say_comparison

        must_be_there(other, *(clips or ()))
        words = {"transcript": transcript, "recogniser": listener_of(recogniser, no_speech, transcript)}
        about = {"model": model, "settings": settings_with(False, device), "null": null, "seed": seed, "allow_short": allow_short}
        job = comparison_job(clip, edits, other, lesions=lesions, clips=clips or (), **words, **about)
        with writable_folder(out):
            found = show(job, quiet=quiet)
            save_comparison(found, out)
        say_comparison(found, out)


@app.command()
def cross(
    clip: AnyClip,
    first: Annotated[str, typer.Argument(metavar="FIRST", help="The first factor: edits, for example blank.")] = "",
    second: Annotated[str, typer.Argument(metavar="SECOND", help="The second factor, for example mute.")] = "",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the tables.")] = Path("design"),
    other: Annotated[Path | None, typer.Option("--with", help="Another film instead: both pictures with both sound tracks.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the intervals.")] = 0,
    model: Model = None,
    device: Where = None,
    transcript: Words = None,
    recogniser: Listen = None,
    no_speech: NoSpeech = False,
    allow_short: Short = False,
    quiet: Quiet = False,
) -> None:
    """Cross two changes of a film, or two pictures with two sound tracks: main effects and interaction in effects.tsv."""
    with spoken():
        from experiments.design_files import write_design
        from experiments.telling import design_job, say_design

        must_be_there(other)
        words = {"transcript": transcript, "recogniser": listener_of(recogniser, no_speech, transcript)}
        about = {"model": model, "settings": settings_with(False, device), "seed": seed, "allow_short": allow_short}
        job = design_job(clip, first, second, other, **words, **about)
        with writable_folder(out):
            found = show(job, quiet=quiet)
            files = write_design(found, out)
        say_design(found, files)


@app.command()
def sets(
    a: Annotated[list[str], typer.Option("--a", help="A clip of set A: a film, a folder that predict wrote, or an example. Give it once for each.")],
    b: Annotated[list[str] | None, typer.Option("--b", help="A clip of set B.")] = None,
    edits: Annotated[str, typer.Option(help="Instead of --b: what is changed in every clip of A, which makes pairs.")] = "",
    paired: Annotated[bool, typer.Option("--paired", help="The first of A belongs to the first of B, and so on.")] = False,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the tables.")] = Path("sets"),
    statistic: Annotated[str | None, typer.Option(help="mean or spread; by default mean where the model is calibrated.")] = None,
    subject: Annotated[int | None, typer.Option(help="One subject; by default the mean of all.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of random relabellings.")] = 0,
    model: Model = None,
    device: Where = None,
    recogniser: Listen = None,
    no_speech: NoSpeech = False,
    allow_short: Short = False,
    quiet: Quiet = False,
) -> None:
    """Compare two conditions over sets of clips, with p-values: set.tsv, parcels.tsv, clips.tsv."""
    with spoken():
        from experiments.design_files import write_set
        from experiments.telling import say_set, set_job

        about = {"recogniser": listener_of(recogniser, no_speech, None), "paired": paired, "statistic": statistic, "subject": subject, "seed": seed}
        job = set_job(a, b or (), edits, **about, model=model, settings=settings_with(False, device), allow_short=allow_short)
        with writable_folder(out):
            found = show(job, quiet=quiet)
            files = write_set(found, out, change=edits)
        say_set(found, files)


@app.command()
def capsule(
    source: Annotated[str, typer.Argument(metavar="FOLDER", help="A folder that predict or compare wrote, or an example.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="The capsule.")] = Path("experiment.cineglass.zip"),
    film: Annotated[bool, typer.Option("--film", help="Put the films in too.")] = False,
    title: Annotated[str | None, typer.Option(help="What it is called; by default the film's name.")] = None,
    quiet: Quiet = False,
) -> None:
    """Save a result or a comparison as a capsule: one file to look at, to pass on, and to run again."""
    with spoken():
        from experiments.capsule import write_capsule
        from experiments.telling import kept_folder

        print(show(write_capsule(kept_folder(source), out, film=film, title=title), quiet=quiet))


@app.command("run")
def run_again(
    capsule: Annotated[Path, typer.Argument(metavar="CAPSULE", help="A capsule.", show_default=False)],
    film: Annotated[Path | None, typer.Option("--film", help="The film of A, where the capsule holds none.")] = None,
    film_b: Annotated[Path | None, typer.Option("--film-b", help="The film of B, where that is another one and the capsule holds none.")] = None,
    model: Model = None,
    low_mem: LowMem = False,
    device: Where = None,
    quiet: Quiet = False,
) -> None:
    """Run a capsule again, everything anew, and print what differs from it."""
    with spoken():
        from experiments.capsule_run import run_capsule

        must_be_there(capsule, film, film_b)
        found = show(run_capsule(capsule, film, film_b, model=model, settings=settings_with(low_mem, device)), quiet=quiet)
        print("\n".join(found.lines()))


@app.command()
def edits() -> None:
    """List what can be changed in a film, and what a model can lose, with their values."""
    with spoken():
        from experiments.telling import say_edits

        say_edits()


@app.command()
def capabilities() -> None:
    """Print models, recognisers, limits and names as JSON."""
    with spoken():
        from experiments.capabilities import capabilities as describe

        print(json.dumps(describe(), indent=1, ensure_ascii=False))


@app.command()
def train(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the model.")],
    minutes: Annotated[float, typer.Option(min=0.5, help="About how long it may take on two cores.")] = 25.0,
    quiet: Quiet = False,
) -> None:
    """Train the embedded model from nothing on generated clips (needs espeak-ng and requirements-dev.txt)."""
    with spoken():
        from experiments.train import job

        with writable_folder(out):
            print(f"The model is in {show(job(minutes=minutes, out=out), quiet=quiet)}")


@app.command()
def recovery(model: Model = None) -> None:
    """Print how well a simulated model returns what was planted, from its card."""
    with spoken():
        from experiments.card_text import recovery_lines
        from experiments.models import card_of
        from settings import get_settings

        print("\n".join(recovery_lines(card_of(model or get_settings().model))))


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
    if isinstance(code, str):  # the page's, which has no other way out
        print(code, file=sys.stderr)
        code = USAGE
    if code in (INTERRUPTED, TERMINATED):
        # jobs are closed and child processes ended; what is left is a thread that loads the model, which nobody can hurry
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code or 0)


if __name__ == "__main__":
    main()
