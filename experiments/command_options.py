"""What commands are told: the choices and options that several of them share, and what is typed read as what is meant."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from experiments.terminal import INTERRUPTED


class Recogniser(StrEnum):
    """Who listens for words."""

    auto = "auto"
    whisper = "whisper"
    sphinx = "sphinx"
    none = "none"


class Device(StrEnum):
    """Where networks run."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class Form(StrEnum):
    """Transcript formats."""

    tsv = "tsv"
    srt = "srt"
    vtt = "vtt"
    json = "json"
    txt = "txt"


Film = Annotated[Path, typer.Argument(metavar="CLIP", help="A film or sound file.", show_default=False)]
AnyClip = Annotated[
    str, typer.Argument(metavar="A", help="A film or sound file, a folder that predict or compare wrote (its A), or an example.", show_default=False)
]
Words = Annotated[Path | None, typer.Option("--transcript", help="Words to use instead of recognising them: SRT, VTT, JSON, TSV or plain text.")]
Listen = Annotated[Recogniser | None, typer.Option("--recogniser", help="Who listens for words; by default the setting.")]
NoSpeech = Annotated[bool, typer.Option("--no-speech", help="Run without words.")]
Model = Annotated[
    str | None,
    typer.Option("--model", help="Id of an embedded model, a folder, a hub name, or several joined by + (their mean); by default the setting."),
]
LowMem = Annotated[bool, typer.Option("--low-mem", help="Load one part of a published model at a time and free it after use.")]
Where = Annotated[Device | None, typer.Option("--device", help="Where networks run; by default the setting.")]
Short = Annotated[bool, typer.Option("--allow-short", help="Take a film of fewer TRs than the page does.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]
Made = Annotated[
    str,
    typer.Argument(metavar="RESULT", help="Folder of a result (see predict, bake; of compare its A), or the id of an example.", show_default=False),
]


def subjects_of(text: str) -> tuple[int, ...]:
    """Subjects as they are typed, "1,3"; a usage error for anything but numbers."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter("give numbers with commas between them, for example 1,3") from None


def agreed(question: str) -> bool:
    """Ask on stderr for a yes; who leaves instead leaves the program."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        raise SystemExit(INTERRUPTED) from None
