"""An edited film from a clip: a clip of its own, its words, and a map back to the film it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from extractors.cache import content_key
from extractors.clip import Clip
from extractors.edit_language import Edit, EditError, checked_edits, parse_edits
from extractors.edit_plan import Plan, plan_edits
from extractors.errors import CacheError
from extractors.grid import TR
from extractors.media import find, in_child, keep, new_folder
from extractors.stages import Stage, passing_on, stage_clock
from extractors.time_map import TimeMap
from extractors.transcript import Transcript
from settings import Settings, get_settings

EDIT_VERSION = 1
"""Part of what an edited film is kept by; raise it when an edit comes out differently."""

NO_OTHERS: Mapping[str, Clip] = MappingProxyType({})


@dataclass(frozen=True)
class Edited:
    """What edits made of a clip.

    Attributes
    ----------
    clip : Clip
        The edited film; the very clip that was given where only words change. Its ``sha256`` is of the source's tracks and the work done to
        them, so that the same edits of the same film give the same one.
    transcript : Transcript or None
        What the model reads; None when it must be heard in the edited sound.
    time_map : TimeMap
        Edited second to second of the clip that was given.
    edits : tuple of Edit
    notices : tuple of str
        Plain sentences; may hold words of the visitor's.
    """

    clip: Clip
    transcript: Transcript | None
    time_map: TimeMap
    edits: tuple[Edit, ...]
    notices: tuple[str, ...] = ()


def edit_clip(
    clip: Clip,
    edits: str | Sequence[Edit],
    *,
    transcript: Transcript | None = None,
    others: Mapping[str, Clip] = NO_OTHERS,
    settings: Settings | None = None,
) -> Iterator[Stage | Edited]:
    """Edit a film.

    Parameters
    ----------
    clip : Clip
    edits : str or sequence of Edit
        In the language of :mod:`extractors.edit_language`; "" changes nothing.
    transcript : Transcript, optional
        Words of ``clip``; removing words by name and rewriting need it.
    others : mapping of str to Clip
        Clips whose sound may be taken, by the name that the edit uses.
    settings : settings.Settings, optional

    Yields
    ------
    Stage or Edited
        Stages named "edit", at least one a second; at last the result. An edited film is kept like an upload and found again; a track that is
        not edited keeps its key, and with it all features that were ever computed from it.

    Raises
    ------
    EditError
        Everything that :func:`extractors.edit_language.parse_edits` and :func:`extractors.edit_plan.plan_edits` raise, ``too_short``, ``too_long``.
    MediaError, CacheError, TranscriptError
        As the gate and the TR table raise them.
    """
    settings = settings or get_settings()
    done = parse_edits(edits) if isinstance(edits, str) else checked_edits(edits)
    at = stage_clock("edit", 1.0)
    yield at(0.0, "Reading the edits")
    plan = plan_edits(clip, done, transcript, others)
    edited = clip
    if plan.changes_film:
        _check_length(plan, settings)
        sha256 = _recipe(plan)
        if clip.has_video or plan.has_audio:
            edited = find(sha256, clip.name, settings, allow_short=True)
            if edited is None:
                yield from passing_on(_written(plan, sha256, settings, at))
                edited = find(sha256, clip.name, settings, allow_short=True)
            if edited is None:
                raise CacheError("cache_unwritable", "The edited film vanished from the cache while it was made.", "Try again.")
        else:
            edited = replace(clip, sha256=sha256, duration=plan.duration, n_trs=plan.n_trs)
    yield at(1.0, "The edited film is ready" if edited is not clip else "The film stays as it is")
    yield Edited(edited, plan.read, plan.time_map, done, tuple(plan.notices))


def edited_before(
    clip: Clip, edits: Sequence[Edit], *, transcript: Transcript | None, others: Mapping[str, Clip] = NO_OTHERS, settings: Settings
) -> tuple[Clip, Transcript | None] | None:
    """The edited film and its words (None: to be heard) where :func:`edit_clip` would find them without any work, else None.

    Raises
    ------
    EditError, TranscriptError
        As :func:`extractors.edit_plan.plan_edits` raises them.
    """
    plan = plan_edits(clip, edits, transcript, others)
    if not plan.changes_film:
        return clip, plan.read
    edited = find(_recipe(plan), clip.name, settings, allow_short=True) if clip.has_video or plan.has_audio else None
    return None if edited is None else (edited, plan.read)


def _check_length(plan: Plan, settings: Settings) -> None:
    fewest = min(settings.min_trs, plan.clip.n_trs)  # a clip that was let in although it is short may stay as short
    if plan.n_trs < fewest:
        raise EditError(
            "too_short",
            f"The edited film would last {plan.duration:.2f} s, which is {plan.n_trs} TRs of {TR} s; at least {fewest} TRs are needed.",
            "Keep a longer part of the film, or slow it down.",
        )
    if plan.duration > settings.max_duration_s + 0.5:
        raise EditError(
            "too_long",
            f"The edited film would last {plan.duration:.0f} s; at most {settings.max_duration_s:.0f} s are allowed.",
            "Trim the film before it is slowed down.",
        )


def _recipe(plan: Plan) -> str:
    """sha256 of all that decides the edited film."""
    clip = plan.clip
    return content_key(
        made="edit",
        version=EDIT_VERSION,
        video=clip.video_key,
        audio=clip.audio_key,
        words_only=None if clip.has_video or clip.has_audio else clip.sha256,
        before=clip.duration,
        duration=plan.duration,
        picture=plan.picture,
        sound=plan.sound,
    )


def _written(plan: Plan, sha256: str, settings: Settings, at) -> Iterator[Stage]:
    """Write the edited film in a child, and keep it whole or not at all."""
    clip = plan.clip
    sources = [clip, *plan.others.values()]
    if any(not path.is_file() for source in sources for path in (source.path, source.samples_path) if path is not None):
        raise Clip.gone()
    with new_folder(settings) as work:
        job = {
            "source": str(clip.path.absolute()),
            "source_samples": str(clip.samples_path.absolute()) if clip.samples_path else "",
            "source_duration": clip.duration,
            "film": str((work / "clip.mp4").absolute()),
            "samples": str((work / "samples.npy").absolute()),
            "others": {
                key: {"film": str(other.path.absolute()), "samples": str(other.samples_path.absolute()), "duration": other.duration}
                for key, other in plan.others.items()
            },
            "has_video": clip.has_video,
            "video_key": clip.video_key,
            "audio_key": clip.audio_key,
            "fps": clip.fps,
            "width": clip.width,
            "height": clip.height,
            "duration": plan.duration,
            "picture": plan.picture,
            "sound": plan.sound,
            "notices": list(clip.notices),
        }
        for item in in_child("extractors.edit_worker", job, settings, at, "Editing the film"):
            if isinstance(item, Stage):
                yield item
            else:
                keep(work, sha256, item, settings)
