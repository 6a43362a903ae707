"""What a command asks before its work and says after it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.terminal import BAD_INPUT, MISSING, USAGE, fail, must_be_there, show

if TYPE_CHECKING:
    from experiments.comparison import Comparison
    from experiments.conditions import Condition
    from experiments.export import Kind
    from experiments.predict import Result
    from extractors.clip import Clip
    from settings import Settings


def planned(clip: Path, model: str | None, settings: Settings, *, allow_short: bool, quiet: bool) -> Path | Clip:
    """With a published model, admit the film and print the plan; otherwise the film's path as it came."""
    from experiments.intake import admitted
    from experiments.models import model_plan, whole

    chosen = model or settings.model
    if not whole(chosen, settings).published:
        return clip

    taken = show(admitted(clip, settings=settings, allow_short=allow_short), quiet=quiet)
    made = model_plan(chosen, duration_s=taken.duration, settings=settings)
    if not made.ok:
        fail(f"{made.problem} {made.way_out}", MISSING)
    print("\n".join(made.lines()), file=sys.stderr)
    return taken


def finished_result(name: str) -> tuple[Result, Path]:
    """A finished result and its folder: an example's id, or a folder."""
    from experiments.examples import find_example, list_examples
    from experiments.results import load_result

    folder = find_example(name).folder if name in {example.id for example in list_examples()} else Path(name)
    if not folder.is_dir():
        known = ", ".join(example.id for example in list_examples())
        fail(f"There is no result {name}. Give a folder that predict wrote, or an example: {known}.", BAD_INPUT)
    return load_result(folder), folder


def only_taken(kind: Kind, rows: dict[str, Any], looked: bool) -> None:
    """A usage error for an option that would change nothing: who gives it expects that it does."""
    unused = [f"--{name}" for name, given in rows.items() if given is not None and name not in kind.takes]
    if looked and not kind.drawn:
        unused.append("--vmax, --threshold or --lag")
    if unused:
        why = "holds the values as they are" if not kind.drawn and unused[0].startswith("--vmax") else "does not take it"
        fail(f"{unused[0]} changes nothing here: {kind.id} {why}. Leave it out, or see export list.", USAGE)


def say_notes(notes: Iterable[str]) -> None:
    """What a person should know about a result, on stderr."""
    for note in notes:
        print(f"Note: {note}", file=sys.stderr)


def say_result(result: Result, out: Path) -> None:
    """One line on what was made and where, warnings before it on stderr."""
    responses = result.responses
    say_notes((*responses.warnings, *(result.transcript.notices if responses.present["text"] else ())))
    mark = "SIMULATED. " if responses.simulated else ""
    rows = f"{responses.n_trs} TRs, {int(responses.valid.sum())} valid"
    print(f"{mark}{responses.model_title}: {', '.join(responses.subject_labels)}; {rows}; in {out}")


def first_condition(name: str, *, transcript: Path | None, recogniser: str | None) -> Result | Condition:
    """A of a comparison: an example or a finished result by its name, else a film to run."""
    from experiments.conditions import Condition
    from experiments.examples import list_examples

    if Path(name).is_dir() or name in {example.id for example in list_examples()}:
        if transcript is not None or recogniser is not None:
            fail("A finished result has its words already: leave --transcript, --recogniser and --no-speech out.", USAGE)
        return finished_result(name)[0]
    must_be_there(Path(name), transcript)
    return Condition(film=Path(name), transcript=transcript, recogniser=recogniser)


def say_comparison(comparison: Comparison, out: Path) -> None:
    """What changed, a line for each network and group; notes before it on stderr, the table's place last."""
    from experiments.findings import captions, sentences

    responses = comparison.b.responses
    say_notes((*responses.warnings, *((comparison.why,) if comparison.why else ()), *captions(comparison)))
    for found in sentences(comparison, None):
        print(f"{found['label']}: {found['text']}")
    mark = "SIMULATED. " if responses.simulated else ""
    print(f"{mark}{responses.model_title}, mean of {len(responses.subjects)} brains; every subject in {out / 'comparison.tsv'}")


def say_edits() -> None:
    """The words of both languages, one line each."""
    from encoder.lesions import LESIONS
    from extractors.edit_language import EDITS

    for edit in EDITS.values():
        values = " ".join(f"{param.name}={param.default}" for param in edit.params)
        print(f"{edit.name} {values}".strip() + f"\t{edit.help}")
    for lesion in LESIONS.values():
        values = " ".join(f"{param.name}={param.default}" for param in lesion.params)
        print(f"audio|text|video {lesion.name} {values}".strip() + f"\tModel lesion. {lesion.help}")


def size_text(count: int | None) -> str:
    """A download's size for a person."""
    from extractors.hub_transfer import in_units

    return "size unknown" if count is None else f"about {in_units(count)}"
