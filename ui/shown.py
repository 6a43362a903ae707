"""A finished result as the page shows it: an example, built in or baked, or a run from the shelf."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from extractors.clip import Clip
from extractors.errors import CineglassError
from extractors.grid import TR
from extractors.transcript import Transcript
from settings import Settings

if TYPE_CHECKING:
    from encoder.cards import Card
    from encoder.responses import Responses
    from experiments.comparison import Comparison
    from experiments.ready_made import ReadyMade


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
    comparison : Comparison or None
        Where the player shows A and B; all other fields are those of A.
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
    comparison: Comparison | None = None


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


def of_comparison(
    id: str,
    comparison: Comparison,
    *,
    title: str,
    card: Card | None,
    film_name: str,
    example: str = "",
    about: ReadyMade | None = None,
) -> Shown:
    """A comparison, ready-made or on the shelf: A is the result, B lies beside it.

    Parameters
    ----------
    id : str
        In the address.
    comparison : Comparison
    title : str
        Of A's clip.
    card : Card or None
        Of the model that ran.
    film_name : str
        Of A's film in its folder.
    example : str
        Id of the example that A is; "" for another clip.
    about : ReadyMade, optional
        What is asked, what the simulator was told and what came back.
    """
    place = f"cineglass/comparisons/{id}"
    opens_with = most_changed(comparison)
    how = {"title": title, "card": card, "card_file": False, "opens_with": about.opens_with if about else opens_with}
    other = _shown(comparison.b, place=f"{place}/b", film_name=RUN_FILM, caption=None, example="", **how).payload
    other["range"] = max(other["range"], range_of_difference(comparison))  # one scale for A, B and A - B: the widest of the three
    from experiments.ready_made import same_experiment

    simulated = comparison.a.responses.simulated
    repeats = about or same_experiment(comparison)
    lines = repeats.lines(simulated=simulated, returned=about is not None) if repeats else ()
    between = comparison_part(comparison, card, lines=lines)
    caption = f"{about.title}: {about.question}" if about else None
    how |= {"place": f"{place}/a", "run_id": place, "film_name": film_name, "example": example, "caption": caption}
    return replace(_shown(comparison.a, other=other, between=between, **how), comparison=comparison)


def range_of_difference(comparison: Comparison) -> float:
    """Colour range of A - B (z), as a result has one; 0 where A - B is not drawn."""
    from viz.payload import display_range

    if not comparison.paired:
        return 0.0
    return display_range(comparison.a.responses.values - comparison.b.responses.values, comparison.valid, floor=0.0)


MOST_CURVES = 2


def most_changed(comparison: Comparison) -> tuple[str, ...]:
    """The networks or groups that the first sentences are about, on the mean of the subjects: two, as A and B have two lines each."""
    from experiments.findings import sentences

    return tuple(said["curve"] for said in sentences(comparison, None)[:MOST_CURVES])


def comparison_part(comparison: Comparison, card: Card | None, *, lines: Sequence[str] = ()) -> dict[str, Any]:
    """What the player says of a comparison: what B changes, every sentence and number, and the band of the null edits; ``lines`` come first."""
    from encoder.curves import curve_ids
    from encoder.lesions import parse_lesions
    from experiments.findings import captions, sentences
    from extractors.edit_language import parse_edits
    from viz.payload import pack_band, pack_comparison, subject_id

    responses, null = comparison.a.responses, comparison.null
    subjects = {None: "mean", **{subject: subject_id(label) for subject, label in zip(responses.subjects, responses.subject_labels, strict=True)}}
    b_warnings = [text for text in comparison.b.responses.warnings if text not in responses.warnings]
    edits, lesions = comparison.undergone
    leads = [{"curve": "", "label": "", "text": text} for text in lines]  # of no curve
    return pack_comparison(
        paired=comparison.paired,
        why=comparison.why,
        kind=comparison.kind,
        a="" if comparison.label_a == "A" else comparison.label_a,
        b="" if comparison.label_b == "B" else comparison.label_b,
        edits=[_says(text, parse_edits) for text in edits],
        lesions=[_says(text, parse_lesions) for text in lesions],
        band=None if null is None or not comparison.paired else pack_band(null.half_width, curve_ids(), n=len(null.edits)),
        said={id: [*leads, *sentences(comparison, subject)] for subject, id in subjects.items()},
        rows={id: comparison.tables[subject] for subject, id in subjects.items()},
        notes=[*captions(comparison), *b_warnings],
        calibrated=card.calibrated if card is not None else comparison.calibrated,
        scenes=_scenes(comparison, subjects),
        association=_association(comparison, subjects),
    )


def _says(text: str, parse: Callable[[str], Sequence[Any]]) -> str:
    """A statement as a sentence; one that is in no language, as a stranger's capsule may hold it and as a person's hand leaves it, as it is."""
    try:
        return " ".join(statement.says for statement in parse(text))
    except CineglassError:
        return f"{text[:1].upper()}{text[1:]}."


def _scenes(comparison: Comparison, subjects: dict[int | None, str]) -> dict[str, Any] | None:
    """The same scene in A and in B, of the curves that are no halves; None where no scene was moved."""
    from encoder.curves import curve_ids
    from experiments.scene_by_scene import has_scenes, scene_notes, scenes

    if not has_scenes(comparison):
        return None
    times = [
        {
            "a": [round(scene.start_a, 3), round(scene.end_a, 3)],
            "b": [round(scene.start_b, 3), round(scene.end_b, 3)],
            "backwards": scene.backwards,
            "rows": [int(scene.rows_a.sum()), int(scene.rows_b.sum())],
        }
        for scene in comparison.scenes[0]
    ]
    differences = {}
    for subject, id in subjects.items():
        found = [one["difference"] for one in scenes(comparison, subject)]
        curves = {curve: place for place, curve in enumerate(curve_ids()) if "-" not in curve}
        differences[id] = {curve: [round(float(one[place]), 4) for one in found] for curve, place in curves.items()}
    return {"scenes": times, "differences": differences, "notes": list(scene_notes(comparison))}


def _association(comparison: Comparison, subjects: dict[int | None, str]) -> dict[str, Any] | None:
    """Whether A and B go together, of the curves that are no halves; None where no TR of one belongs to a TR of the other."""
    from experiments.association import association_notes, associations
    from extractors.errors import StatisticsError

    if not comparison.paired:
        return None
    keys = ("curve", "r", "p")
    try:
        rows = {
            id: [{key: row[key] for key in keys} for row in associations(comparison, subject) if "-" not in row["curve"]]
            for subject, id in subjects.items()
        }
        return {"rows": rows, "notes": list(association_notes(comparison))}
    except StatisticsError as error:
        return {"rows": {}, "notes": [error.message]}


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
    run_id: str = "",
    other: dict[str, Any] | None = None,
    between: dict[str, Any] | None = None,
) -> Shown:
    from experiments.trust_layers import layers, trust
    from viz.payload import pack

    clip, responses = result.clip, result.responses
    kind = "video" if clip.has_video else "audio" if clip.has_audio else "none"
    extra = {"range_floor": responses.range_floor} if responses.range_floor else {}
    payload = pack(
        responses,
        result.transcript,
        media_url=f"{place}/{film_name}" if clip.has_film and clip.path.is_file() else None,  # a capsule may come without its film
        media_kind=kind,
        title=title,
        caption=caption,
        opens_with=tuple(opens_with),
        run_id=run_id or place,
        has_sound=clip.has_audio,
        chunk_url=lambda number: f"{place}/parcels-{number}.i8",
        other=other,
        comparison=between,
        layers=layers(responses),
        trust=trust(responses, card),
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
