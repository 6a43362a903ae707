"""A finished result as the page shows it: an example, built in or baked, or a run from the shelf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from extractors.clip import Clip
from extractors.grid import TR
from extractors.transcript import Transcript
from settings import Settings

if TYPE_CHECKING:
    from encoder.cards import Card
    from encoder.responses import Responses


RUN_FILM = "film.mp4"
"""Name of the film in the folder of a run."""


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
    clip : Clip
        The canonical film and what is known of it.
    film_name : str
        The film's name under ``place``.
    card : Card or None
        Of the model that made it.
    card_file : bool
        Whether the card lies under ``place`` as ``card.yaml``.
    responses : Responses
    """

    payload: dict[str, Any]
    title: str
    example: str
    place: str
    clip: Clip
    film_name: str
    transcript: Transcript | None
    duration: float
    n_trs: int
    simulated: bool
    badge: str
    card: Card | None
    card_file: bool
    responses: Responses


def of_example(name: str, settings: Settings) -> Shown:
    """An example by its id, built in or baked.

    Raises
    ------
    CineglassError
        ``unknown_example`` when there is none, ``result_damaged`` when its files are not whole.
    """
    from experiments.examples import CARD, card_of, load_example

    example, result = load_example(name, settings)
    return _shown(
        result,
        title=example.title,
        caption=example.caption,
        opens_with=example.opens_with,
        place=f"cineglass/examples/{example.id}",
        film_name="clip.mp4",
        example=example.id,
        card=card_of(example, result.responses),
        card_file=(example.folder / CARD).is_file(),
    )


def landing(settings: Settings) -> Shown | None:
    """What a visitor sees first: the first example; None when there is none."""
    from experiments.examples import list_examples

    examples = list_examples(settings)
    return of_example(examples[0].id, settings) if examples else None


def of_run(token: str, result: Any, *, title: str, card: Card | None) -> Shown:
    """A run that lies on the shelf under ``token``; ``card`` is that of the model that ran."""
    return _shown(
        result,
        title=title,
        caption=None,
        opens_with=(),
        place=f"cineglass/runs/{token}",
        film_name=RUN_FILM,
        example="",
        card=card,
        card_file=False,
    )


def _shown(
    result: Any,
    *,
    title: str,
    caption: str | None,
    opens_with: Any,
    place: str,
    film_name: str,
    example: str,
    card: Card | None,
    card_file: bool,
) -> Shown:
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
        chunk_url=lambda number: f"{place}/parcels-{number}.i8",
        **extra,
    )
    return Shown(
        payload=payload,
        title=title,
        example=example,
        place=place,
        clip=clip,
        film_name=film_name,
        transcript=result.transcript,
        duration=clip.duration,
        n_trs=clip.n_trs,
        simulated=responses.simulated,
        badge=payload["badge"],
        card=card,
        card_file=card_file,
        responses=responses,
    )


def top_value(shown: Shown | None, *, badge: str = "") -> dict[str, Any]:
    """What the top bar shows."""
    if shown is None:
        return {"title": "", "badge": badge}
    note = SIMULATED if shown.simulated else PREDICTED
    return {
        "title": shown.title,
        "duration": shown.duration,
        "n_trs": shown.n_trs,
        "tr": TR,
        "badge": shown.badge,
        "badge_note": note,
        "simulated": shown.simulated,
    }


SIMULATED = "Responses of four simulated subjects; no brain was measured."
PREDICTED = "Predicted responses of subjects 1, 2, 3 and 5; nobody watched this clip in a scanner."
