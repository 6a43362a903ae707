"""One clip and its words become responses: streams, then the model."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from encoder.domain import reading_of
from encoder.ensemble import Ensemble, summary
from encoder.lesions import Lesion, lesioned, not_taught, warnings_of
from encoder.responses import SUBJECTS, Responses, check_subjects
from encoder.waiting_model import WaitingModel
from extractors.cache import FeatureCache, content_key, feature_cache
from extractors.classical import CLASSICAL
from extractors.clip import Clip
from extractors.errors import CacheError
from extractors.extract import extract
from extractors.features import STREAMS, Features
from extractors.grid import valid_rows
from extractors.in_thread import Tell, in_thread
from extractors.stages import passing_on, stage_clock
from extractors.streams import ExtractorSet
from extractors.transcript import Transcript
from settings import Settings

if TYPE_CHECKING:
    from encoder.encoding_model import EncodingModel

FEW_ROWS = 30
"""Below this many valid rows a result carries a warning."""

_ABSENT = {
    "audio": "The clip has no sound; the model is told that sound is missing.",
    "video": "The clip has no picture; the model is told that the picture is missing.",
    "text": "The run went without words; the model is told that words are missing.",
}
_UNTAUGHT = {
    "audio": "The clip has no sound. The model never learned to do without: zeros stand in, so do not trust what hangs on sound.",
    "video": "The clip has no picture. The model never learned to do without: zeros stand in, so do not trust what hangs on the picture.",
    "text": "The run went without words. The model never learned to do without: zeros stand in, so do not trust what hangs on words.",
}


def run(
    clip: Clip,
    transcript: Transcript,
    *,
    model: EncodingModel | Ensemble | WaitingModel,
    subjects: Sequence[int] = SUBJECTS,
    cache: FeatureCache | None = None,
    settings: Settings | None = None,
    ready: Features | None = None,
    extractors: ExtractorSet = CLASSICAL,
    facts: Mapping[str, Any] | None = None,
    lesions: Sequence[Lesion] = (),
) -> Generator[Any, None, None]:
    """Compute the streams of a clip and predict responses.

    Parameters
    ----------
    clip : Clip
    transcript : Transcript
        With as many rows as the clip; source "none" to run without words.
    model : EncodingModel or WaitingModel
        One that waits is loaded only when its prediction is not kept.
    subjects : sequence of int
        Out of 1, 2, 3, 5. All are predicted and kept, so that another one costs nothing.
    cache : FeatureCache, optional
        Streams and predictions found there are not computed again.
    settings : Settings, optional
        Names the cache when ``cache`` is None.
    ready : Features, optional
        Streams that were computed before, for instance beside the speech.
    extractors : ExtractorSet
        Those whose streams the model takes (:func:`encoder.backbones.extractors_of`).
    facts : mapping, optional
        Further JSON-able provenance for ``Responses.extra``.
    lesions : sequence of Lesion
        Streams that the model loses; they are computed, or found in the cache, as for the whole film.

    Yields
    ------
    Stage
        "video", "audio", "text", "model"; the last item is the :class:`Responses`.

    Raises
    ------
    CineglassError
        FeatureError, ModelError, SelectionError or LesionError, as named there.
    """
    subjects = check_subjects(subjects)
    if cache is None and settings is not None:
        cache = feature_cache(settings)
    features = yield from passing_on(extract(clip, transcript, extractors=extractors, cache=cache, settings=settings, ready=ready))
    present = features.present
    domain = reading_of(model, features)
    facts = {**({"domain": domain} if domain is not None else {}), **(facts or {})}
    if lesions:
        features = lesioned(features, lesions)
    at = stage_clock("model", 1)
    key = content_key(stream="responses", model=model.fingerprint, features=features.content_keys, n_trs=clip.n_trs) if model.fingerprint else ""
    found = cache.get(key) if cache is not None and key else None
    if found is None:
        loaded = (yield from passing_on(model.loaded())) if isinstance(model, WaitingModel) else model
        said = f"{model.card.title} predicts {len(subjects)} brain{'s' if len(subjects) > 1 else ''}"
        found = yield from in_thread("model", 1, said, lambda tell: _predicted(loaded, features, tell))
        if cache is not None and key:
            try:
                cache.put(key, found, {"model": model.card.id, "n_trs": clip.n_trs, "streams": features.content_keys})
            except CacheError as error:
                features = replace(features, warnings=tuple(dict.fromkeys((*features.warnings, str(error)))))
    of_clip = replace(features, present=present)
    responses = label(clip, transcript, of_clip, found.pop("values"), model=model, facts=facts, lesions=lesions, **found).select(subjects)
    yield at(1, "Responses are ready")
    yield responses


def _predicted(model: EncodingModel | Ensemble, features: Features, tell: Tell) -> dict[str, np.ndarray]:
    """``values`` of all subjects, and for an ensemble what lies between its members."""
    if isinstance(model, Ensemble):
        return summary(model.predict_members(features, SUBJECTS, tell=tell))
    return {"values": model.predict(features, SUBJECTS, tell=tell)}


def label(
    clip: Clip,
    transcript: Transcript,
    features: Features,
    values: np.ndarray,
    *,
    model: EncodingModel | Ensemble | WaitingModel,
    subjects: tuple[int, ...] = SUBJECTS,
    facts: Mapping[str, Any] | None = None,
    lesions: Sequence[Lesion] = (),
    **between: np.ndarray,
) -> Responses:
    """Predicted values float32 [subjects, TRs, 1000] with everything that says what they are.

    ``features.present`` are the streams of the clip, whatever the model lost of them by ``lesions``; ``between`` is an ensemble's spread.
    """
    card = model.card
    valid = valid_rows(features.n_trs, features.window_s)
    for rows in features.unseen_rows.values():
        valid[list(rows)] = False
    return Responses(
        values=values,
        subjects=subjects,
        simulated=card.simulated,
        valid=valid,
        model_id=card.id,
        model_title=card.title,
        badge=card.badge,
        range_floor=card.usual_sd,
        weights_sha256=model.weights_sha256,
        extractor_ids=dict(features.extractors),
        clip_sha256=clip.sha256,
        clip_name=clip.name,
        duration=clip.duration,
        present=dict(features.present),
        transcript_source=transcript.source,
        edits=("transcript edited by hand",) if transcript.edited else (),
        lesions=tuple(lesion.text for lesion in lesions),
        warnings=(
            *warnings_of(lesions, card, features.present),
            *warnings_for(features, transcript, int(valid.sum()), taught=model.files is None or not model.files.published),
            *not_taught(card, features.present),
        ),
        extra={
            "calibrated": card.calibrated,
            "accuracy": card.accuracy,
            "transcript_timing": transcript.timing,
            "transcript_language": transcript.language,
            "window_s": features.window_s,
            "ignored_config_keys": list(model.ignored_keys),
            "notices": [*clip.notices, *transcript.notices],
            **(facts or {}),
        },
        members=getattr(model.files, "member_ids", ()),
        **between,
    )


def warnings_for(features: Features, transcript: Transcript, n_valid: int, *, taught: bool = True) -> tuple[str, ...]:
    """Plain sentences on what weakens a result; ``taught``: the model takes our own streams and learned to do without one."""
    said = [(_ABSENT if taught else _UNTAUGHT)[stream] for stream in STREAMS if not features.present[stream]]
    if n_valid == 0:
        said.append("The clip is so short that no row rests on a full past; take the curves as a rough sketch.")
    elif n_valid < FEW_ROWS:
        said.append(f"Only {n_valid} of {features.n_trs} rows rest on a full past; averages over so few are shaky.")
    if features.present["text"] and transcript.timing == "spread":
        said.append("The words were spread evenly over the clip, so their timing is a guess.")
    if taught and features.present["text"] and transcript.language not in ("", "en"):
        said.append("The word stream knows English only; for other languages it says little more than when somebody speaks.")
    return (*said, *features.warnings)
