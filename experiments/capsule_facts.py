"""What the JSON files inside a capsule must look like, and what ``capsule.json`` says of a result."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from encoder.responses import Responses
from experiments.capsule_form import MOST_SUBJECTS, MOST_TRS, ConditionFacts, Hash, Line, ModelFacts, Statements
from experiments.predict import Result

Id = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Sentence = Annotated[str, Field(max_length=2000)]
Sentences = Annotated[list[Sentence], Field(max_length=200)]
Seconds = Annotated[float, Field(ge=0, le=10**7)]
TimePieces = Annotated[list[Annotated[list[float], Field(min_length=4, max_length=4)]], Field(max_length=20_000)]
"""A time map, as :meth:`extractors.time_map.TimeMap.as_list` writes it."""
Scalar = str | int | float | bool | None


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Open(BaseModel):
    """Names some fields whose form the program relies on; others are plain JSON within the bounds of the whole file."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)


class RunFacts(_Strict):
    """How a result was made."""

    id: Id
    seconds: Annotated[dict[Line, Seconds], Field(max_length=40)]


class ClipFacts(_Strict):
    """A clip without its places on a machine."""

    sha256: Hash
    video_key: Hash | None
    audio_key: Hash | None
    name: Line
    duration: Seconds
    n_trs: Annotated[int, Field(ge=1, le=MOST_TRS)]
    fps: Annotated[float, Field(gt=0, le=1000)] | None
    width: Annotated[int, Field(ge=0, le=20_000)]
    height: Annotated[int, Field(ge=0, le=20_000)]
    notices: Sentences


class TranscriptFacts(_Strict):
    """What is known of the words beside their table."""

    source: Line
    language: Annotated[str, Field(pattern=r"^[A-Za-z-]{0,10}$")]
    timing: Literal["recognised", "given", "aligned", "spread", "none"]
    edited: bool
    edited_rows: Annotated[list[Annotated[int, Field(ge=0, lt=MOST_TRS)]], Field(max_length=MOST_TRS)]
    notices: Sentences


class PlanFacts(_Open):
    """Where the parts of a published model ran."""

    parts: Annotated[list[dict[Line, Any]], Field(max_length=40)] = []


class OriginFacts(_Strict):
    """The film that was there before all edits."""

    sha256: Hash
    time_map: TimePieces


class ExtraFacts(_Open):
    """Further facts of a result."""

    calibrated: Literal["yes", "no", "unknown"] = "unknown"
    accuracy: Sentence = ""
    window_s: Seconds = 0.0
    notices: Sentences = []
    fallen_back: Sentences = []
    plan: PlanFacts | None = None
    made: dict[Line, Any] | None = None
    edits_text: Statements = ""
    source_sha256: Hash | None = None
    time_map: TimePieces | None = None
    origin: OriginFacts | None = None


class ResultFacts(_Strict):
    """``responses.json``; what follows from other fields is held against them when the result is loaded."""

    form: Literal[1, 2]
    subjects: Annotated[list[Literal[1, 2, 3, 5]], Field(min_length=1, max_length=MOST_SUBJECTS)]
    simulated: bool
    model_id: Line
    model_title: Line
    weights_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
    extractor_ids: Annotated[dict[Literal["audio", "text", "video"], Line], Field(max_length=3)]
    clip_sha256: Hash
    clip_name: Line
    duration: Seconds
    present: Annotated[dict[Literal["audio", "text", "video"], bool], Field(max_length=3)]
    transcript_source: Line
    badge: Line
    range_floor: Annotated[float, Field(ge=0, le=100)]
    tr: float
    units: Literal["z"]
    atlas_hash: Hash
    edits: Annotated[list[Sentence], Field(max_length=60)]
    lesions: Annotated[list[Sentence], Field(max_length=12)]
    warnings: Sentences
    extra: ExtraFacts
    members: Annotated[list[Line], Field(max_length=32)]
    valid: Annotated[list[bool], Field(min_length=1, max_length=MOST_TRS)]
    n_trs: int
    shape: list[int]
    axes: list[Line]
    time: Line
    subject_labels: list[Line]
    subject_files: list[Line]
    parcel_labels: Annotated[list[Line], Field(max_length=1000)]
    parcel_networks: Annotated[list[Line], Field(max_length=1000)]
    run: RunFacts
    clip: ClipFacts
    transcript: TranscriptFacts


class ComparisonFacts(_Strict):
    """``comparison.json``."""

    form: Literal[1]
    id: Id
    label_a: Line
    label_b: Line
    edits: Statements
    lesions: Statements
    time_map: Annotated[list[Any], Field(max_length=20_000)] | None
    paired: bool
    why: Sentence
    null_edits: Annotated[list[Line], Field(min_length=1, max_length=50)] | None
    seed: Annotated[int, Field(ge=0, lt=2**63)]


def condition_facts(result: Result, *, label: str, film: bool, transcript_sha256: str) -> ConditionFacts:
    """What ``capsule.json`` says of one condition."""
    clip, responses = result.clip, result.responses
    return ConditionFacts(
        label=label,
        clip_name=clip.name,
        clip_sha256=clip.sha256,
        video_key=clip.video_key,
        audio_key=clip.audio_key,
        duration=clip.duration,
        n_trs=clip.n_trs,
        film_included=film,
        edits=list(responses.edits),
        lesions=list(responses.lesions),
        transcript_source=result.transcript.source,
        transcript_sha256=transcript_sha256,
    )


def model_facts(responses: Responses) -> ModelFacts:
    """What ``capsule.json`` says of the model."""
    return ModelFacts(
        id=responses.model_id,
        title=responses.model_title,
        weights_sha256=responses.weights_sha256,
        members=list(responses.members),
        extractors=responses.extractor_ids,
        simulated=responses.simulated,
    )
