"""A finished result as the page shows it: an example from the assets, or a run from the shelf."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extractors.grid import TR
from extractors.transcript import Transcript


@dataclass(frozen=True, eq=False)
class Shown:
    """One result ready for the player and the parts around it.

    Attributes
    ----------
    payload : dict
        The player's value.
    title : str
        Of the clip (may be hostile text).
    example : str
        Id of the example; "" for a run.
    place : str
        Address of its files on this server.
    film : pathlib.Path
        The canonical film.
    film_name : str
        The film's name under ``place``.
    """

    payload: dict[str, Any]
    title: str
    example: str
    place: str
    film: Path
    film_name: str
    transcript: Transcript | None
    duration: float
    n_trs: int
    simulated: bool
    badge: str


def of_example(name: str) -> Shown:
    """An example by its id.

    Raises
    ------
    CineglassError
        ``unknown_example`` when there is none, ``result_damaged`` when its files are not whole.
    """
    from experiments.examples import load_example

    example, result = load_example(name)
    return _shown(
        result,
        title=example.title,
        caption=example.caption,
        opens_with=example.opens_with,
        place=f"cineglass/examples/{example.id}",
        film_name="clip.mp4",
        example=example.id,
    )


def landing() -> Shown | None:
    """What a visitor sees first: the first example; None when there is none."""
    from experiments.examples import list_examples

    examples = list_examples()
    return of_example(examples[0].id) if examples else None


def of_run(token: str, result: Any, *, title: str) -> Shown:
    """A run that lies on the shelf under ``token``."""
    return _shown(result, title=title, caption=None, opens_with=(), place=f"cineglass/runs/{token}", film_name="film.mp4", example="")


def _shown(result: Any, *, title: str, caption: str | None, opens_with: Any, place: str, film_name: str, example: str) -> Shown:
    from viz.payload import pack

    clip, responses = result.clip, result.responses
    kind = "video" if clip.has_video else "audio" if clip.has_audio else "none"
    extra = {"range_floor": responses.range_floor} if responses.range_floor else {}
    payload = pack(
        responses,
        result.transcript,
        media_url=f"{place}/{film_name}",
        media_kind=kind,
        title=title,
        caption=caption,
        opens_with=tuple(opens_with),
        run_id=place,
        has_sound=clip.has_audio,
        **extra,
    )
    return Shown(
        payload=payload,
        title=title,
        example=example,
        place=place,
        film=clip.path,
        film_name=film_name,
        transcript=result.transcript,
        duration=clip.duration,
        n_trs=clip.n_trs,
        simulated=responses.simulated,
        badge=payload["badge"],
    )


def top_value(shown: Shown | None, *, badge: str = "") -> dict[str, Any]:
    """What the top bar shows."""
    if shown is None:
        return {"title": "", "badge": badge}
    note = "Responses of four simulated subjects; no brain was measured." if shown.simulated else ""
    return {"title": shown.title, "duration": shown.duration, "n_trs": shown.n_trs, "tr": TR, "badge": shown.badge, "badge_note": note}
