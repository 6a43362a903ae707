"""What a command asks before its work and says after it."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.terminal import BAD_INPUT, MISSING, USAGE, fail, must_be_there, show

if TYPE_CHECKING:
    from experiments.comparison import Comparison
    from experiments.conditions import Condition
    from experiments.export import Kind
    from experiments.factorial import Factorial
    from experiments.models import ModelState
    from experiments.predict import Result
    from experiments.sets import SetComparison
    from extractors.clip import Clip
    from extractors.features import Features
    from extractors.transcript import Transcript
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


def settings_with(low_mem: bool, device: str | None) -> Settings:
    """The settings of this process, with what the command says."""
    from settings import get_settings

    settings = get_settings().model_copy(update=({"low_mem": True} if low_mem else {}) | ({"device": str(device)} if device else {}))
    if settings.device in ("cuda", "mps"):
        from encoder.checkpoints import choose_device

        choose_device(settings.device)  # when it is not here, that is said now and not behind minutes of work
    return settings


def listener_of(recogniser: str | None, no_speech: bool, transcript: Path | None) -> str | None:
    """Which recogniser is meant; exits with a usage error when the options contradict each other."""
    asked = [name for name, given in (("--no-speech", no_speech), ("--transcript", transcript), ("--recogniser", recogniser)) if given]
    if len(asked) > 1:
        fail(f"{' and '.join(asked)} cannot be given together. Choose one of them.", USAGE)
    return "none" if no_speech else str(recogniser) if recogniser else None


def kept_folder(name: str) -> Path:
    """The folder of a finished result or comparison: an example's id, or a folder that holds one."""
    from experiments.examples import find_example, list_examples
    from experiments.results import holds_result

    known = [example.id for example in list_examples()]
    folder = find_example(name).folder if name in known else Path(name)
    if not holds_result(folder):
        there = f"The folder {name} holds no result" if folder.is_dir() else f"There is no result {name}"
        fail(f"{there}. Give a folder that predict or compare wrote, or an example: {', '.join(known)}.", BAD_INPUT)
    return folder


def finished_result(name: str) -> tuple[Result, Path]:
    """A finished result and its folder: an example's id, or a folder; of a comparison it is A, which is said."""
    from experiments.results import load_result, result_folder

    held = kept_folder(name)
    folder = result_folder(held)
    if folder != held:
        say_notes((f"{name} holds a comparison; its A is taken. B is in {held / 'b'}.",))
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
        return _with_film(finished_result(name)[0])
    must_be_there(Path(name), transcript)
    return Condition(film=Path(name), transcript=transcript, recogniser=recogniser)


def comparison_job(
    clip: str, edits: str, other: Path | None, *, lesions: str, clips: Sequence[Path], transcript: Path | None, recogniser: str | None, **about: Any
) -> Generator[Any, None, None]:
    """The job of a comparison: B is A with edits and lesions, or another film, to which edits and lesions then belong."""
    from experiments.comparison import compare
    from experiments.conditions import Condition

    first = first_condition(clip, transcript=transcript, recogniser=recogniser)
    named: dict[str, Path] = {str(number): path for number, path in enumerate(clips, 1)}
    if other is None:
        return compare(first, edits, lesions=lesions, others=named, **about)
    if edits.strip() or lesions.strip():
        say_notes((f"What is changed is changed in B, {other.name}, and not in A: they differ by the film and by that.",))
    return compare(first, Condition(film=other, edits=edits, lesions=lesions, recogniser=recogniser, others=named), **about)


def _with_film(result: Result) -> Result:
    """``predict`` writes no film: it lies where it was let in, and whoever types a command may have it. On a page a hash gives nobody a film."""
    from extractors.errors import CacheError
    from extractors.media import find
    from settings import get_settings

    told = result.clip
    if not told.has_film or told.path.is_file():
        return result
    clip = find(told.sha256, told.name, get_settings(), allow_short=True)
    if clip is None or (clip.video_key, clip.audio_key) != (told.video_key, told.audio_key):
        raise CacheError("film_missing", "The film of this result is neither in its folder nor kept any more.", "Name the film itself instead.")
    return replace(result, clip=clip)


def say_comparison(comparison: Comparison, out: Path) -> None:
    """What changed, a line for each network and group; notes before it on stderr, the table's place last."""
    from experiments.comparison_files import ASSOCIATION, SCENES
    from experiments.findings import captions, sentences

    responses = comparison.b.responses
    say_notes((*responses.warnings, *((comparison.why,) if comparison.why else ()), *captions(comparison)))
    for letter, label in (("A", comparison.label_a), ("B", comparison.label_b)):
        if label != letter:
            print(f"{letter} is {label}.")
    for found in sentences(comparison, None):
        print(f"{found['label']}: {found['text']}")
    mark = "SIMULATED. " if responses.simulated else ""
    print(f"{mark}{responses.model_title}, mean of {len(responses.subjects)} brains; every subject in {out / 'comparison.tsv'}")
    for name, what in ((ASSOCIATION, "Whether A and B go together"), (SCENES, "The same scenes in A and in B")):
        if (out / name).is_file():
            print(f"{what}: {out / name}")


def design_job(
    clip: str, first: str, second: str, other: Path | None, *, transcript: Path | None, recogniser: str | None, **about: Any
) -> Generator[Any, None, None]:
    """The job of a two-by-two design: two edits crossed, or with another film two pictures by two sounds; a usage error for anything else."""
    from experiments.factorial import crossed, pictures_by_sounds
    from experiments.predict import Result

    if other is None and not (first and second):
        fail("A design needs two changes, FIRST and SECOND, or another film with --with. For example: cross film.mp4 blank mute.", USAGE)
    if other is not None and (first or second or transcript or recogniser):
        fail("With --with the two films are the design, and words are heard in each sound: leave changes and words out.", USAGE)
    base = first_condition(clip, transcript=transcript, recogniser=recogniser)
    if other is None:
        return crossed(base, first, second, factors=(first, second), **about)
    return pictures_by_sounds(base.clip if isinstance(base, Result) else base.film, other, **about)


def set_job(a: Sequence[str], b: Sequence[str], edits: str, *, recogniser: str | None, **about: Any) -> Generator[Any, None, None]:
    """The job of a comparison of sets, whose B is either clips or edits of A; a usage error for both and for neither."""
    from experiments.conditions import Condition
    from experiments.sets import compare_sets

    if bool(b) == bool(edits):
        fail("B is either clips, with --b, or a change of every clip of A, with --edits. Give one of them.", USAGE)
    found = [[first_condition(name, transcript=None, recogniser=None) for name in names] for names in (a, b)]
    first, second = ([replace(one, recogniser=recogniser) if isinstance(one, Condition) else one for one in side] for side in found)
    return compare_sets(first, edits or second, **about)


def say_design(found: Factorial, files: Sequence[Path]) -> None:
    """Effects of a design, a line for each network and group of the mean of all; its caption before it on stderr."""
    from experiments.design_files import design_facts

    facts = design_facts(found)
    contrasts = [f"{name}, {pair[1]} less {pair[0]}" for name, pair in zip(found.factors, found.levels, strict=True)]
    say_notes((*found.cells[0, 0].responses.warnings, facts["caption"], f"Main effects: {'; '.join(contrasts)}."))
    mean = facts["calibrated"] == "yes"
    effects = dict(zip(("first", "second", "interaction"), (*found.factors, "interaction"), strict=True))
    for row in facts["tables"]["mean"]:
        if "-" not in row["curve"]:
            told = [f"{name} {row[key]:+.2f} z" if mean else f"{name} {_share(row[f'{key}_size'])}" for key, name in effects.items()]
            print(f"{row['label']}: {', '.join(told)}")
    _say_files(found.cells[0, 0], files, "the mean of the subjects")


def say_set(found: SetComparison, files: Sequence[Path]) -> None:
    """What a comparison of sets found, a line for each network and group; its caption before it on stderr."""
    say_notes((found.caption,))
    uncalibrated = found.statistic == "mean" and found.calibrated != "yes"
    for row in found.frame().itertuples():
        size = "" if uncalibrated else f"A - B {row.difference:+.3f}, "
        print(f"{row.label}: {size}t {row.t:.2f}, p {row.p:.3g}, p_max {row.p_max:.3g}, q {row.q_fdr:.3g}")
    _say_files(found.a[0], files, found.who)


def _say_files(result: Result, files: Sequence[Path], who: str) -> None:
    mark = "SIMULATED. " if result.responses.simulated else ""
    names = ", ".join(file.name for file in files)
    print(f"{mark}{result.responses.model_title}, {who}; {names} in {files[0].parent}")


def _share(size: float | None) -> str:
    return "n/a" if size is None else f"{100 * size:.0f} %"


def say_streams(clip: Clip, words: Transcript, features: Features) -> None:
    """A table of the streams, a line for each."""
    print(f"{clip.n_trs} TRs in {clip.duration:.2f} s; words: {words.source}, {len(words.words)}")
    print("stream\tpresent\trows\tdim\tmean\tsd\tmin\tmax\tcached\textractor")
    for name, array in features.items():
        present = "yes" if features.present[name] else "no"
        cached = "yes" if name in features.from_cache else "no"
        numbers = "\t".join(f"{value:.4g}" for value in (array.mean(), array.std(), array.min(), array.max()))
        print(f"{name}\t{present}\t{array.shape[0]}\t{array.shape[1]}\t{numbers}\t{cached}\t{features.extractors[name]}")


def say_edits() -> None:
    """The words of both languages, one line each: every value with its default, or with what belongs there; what can be left out in brackets."""
    from encoder.lesions import LESIONS
    from extractors.edit_language import EDITS
    from extractors.statements import number_text

    def line(kind: Any) -> str:
        parts = [kind.name]
        for param in kind.params:
            known = number_text(param.default) if isinstance(param.default, int | float) else param.default
            value = "|".join(param.choices) or known or {"number": "NUMBER", "clip": "NAME"}.get(param.kind, '"..."')
            parts.append(f"[{param.name}={value}]" if param.optional else f"{param.name}={value}")
        return " ".join(parts)

    for edit in EDITS.values():
        print(f"{line(edit)}\t{edit.help}")
    for lesion in LESIONS.values():
        print(f"audio|text|video {line(lesion)}\tModel lesion. {lesion.help}")


def say_models(states: Iterable[ModelState]) -> None:
    """A table of models, a line for each."""
    print("id\tstate\tsize\tnote")
    for state in states:
        size = "" if state.state != "downloadable" else size_text(state.size_bytes)
        print(f"{state.id}\t{state.state}\t{size}\t{' '.join(f'{state.why} {state.way_out}'.split()) or state.title}")


def size_text(count: int | None) -> str:
    """A download's size for a person."""
    from extractors.hub_transfer import in_units

    return "size unknown" if count is None else f"about {in_units(count)}"
