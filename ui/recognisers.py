"""Which recognisers a visitor can choose, and what to know about them before believing their words."""

from __future__ import annotations

from typing import Any

from settings import Settings


def choices(settings: Settings) -> tuple[list[tuple[str, str]], str, list[dict[str, Any]]]:
    """Choices as (label, value), the one chosen at first, and sentences to show below."""
    from extractors.speech import available

    known = available(settings)
    takes = known["auto"]["takes"]
    options = [("Recognise", "auto")]
    if known["whisper"]["ready"]:
        options.append(("Offline English", "sphinx"))
    options.append(("No words", "none"))
    if takes == "whisper":
        notes = [
            {"text": f"{known['whisper']['source']} listens, on this machine; language: {known['whisper']['language']}. Or add a transcript file."}
        ]
    else:
        notes = [
            {"text": "The offline recogniser listens: English only, and it makes many errors. A transcript file is better.", "warn": True},
        ]
        size = known["whisper"]["download_mb"]
        if size:
            notes.append(
                {"text": f"Whisper's weights are not on this machine (about {size} MB); nothing is downloaded unless the owner asks for it."}
            )
    values = [value for _, value in options]
    chosen = settings.recogniser if settings.recogniser in values else "auto"
    return options, chosen, notes
