"""The extractors that belong to a model: the classical ones of the embedded model, or the backbones that a published configuration names."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from extractors.classical import CLASSICAL
from extractors.clip import Clip
from extractors.errors import ModelError
from extractors.hub_files import find_local, weights_id
from extractors.in_thread import Tell, in_thread
from extractors.stages import Stage
from extractors.streams import ExtractorSet
from extractors.transcript import Transcript
from extractors.vibe_audio import VibeAudio
from extractors.vibe_text import VibeText
from extractors.vibe_video import VibeVideo
from settings import Settings

if TYPE_CHECKING:
    from encoder.checkpoints import ModelFiles
    from encoder.plan import Plan


def extractors_of(files: ModelFiles | None, plan: Plan | None, settings: Settings) -> ExtractorSet:
    """The extractors whose streams a model takes.

    Parameters
    ----------
    files : ModelFiles or None
        None, or a model with a front end of its own, takes the classical streams.
    plan : Plan or None
        Where each backbone runs; needed for published models.
    settings : Settings

    Returns
    -------
    ExtractorSet

    Raises
    ------
    ModelError
        ``not_here``, ``incomplete`` and the like for a backbone that is missing; ``extractor_size`` for one whose stream is of another width
        than the weights were trained on.
    """
    if files is None or not files.published or plan is None:
        return CLASSICAL
    config = files.config
    text, audio, video = (find_local(name, beside=files.folder) for name in (config.text_extractor, config.audio_extractor, config.video_extractor))
    extractors = ExtractorSet(
        audio=VibeAudio(
            audio, weights=weights_id(audio, settings), layer_index=config.audio_extractor_last_layer_index, placement=plan.placement("audio")
        ),
        text=VibeText(
            text,
            weights=weights_id(text, settings),
            states=config.text_extractor_num_last_hidden_states,
            placement=plan.placement("text"),
            settings=settings,
        ),
        video=VibeVideo(
            video,
            weights=weights_id(video, settings),
            states=config.video_extractor_num_last_hidden_states,
            pool=config.video_extractor_pool_size,
            window_s=config.video_extractor_chunk_length_seconds,
            convention=settings.vjepa_states,
            placement=plan.placement("video"),
        ),
    )
    for stream, width in config.input_dims.items():
        if extractors[stream].dim != width:
            raise ModelError(
                "extractor_size",
                f"The weights take {width} {stream} features, but the {stream} extractor {getattr(config, stream + '_extractor')} makes "
                f"{extractors[stream].dim}.",
                "Weights and extractors must belong together: use the ones that the model's config.json was published with.",
            )
    return extractors


def prepared(files: ModelFiles, plan: Plan, clip: Clip, words: Transcript, settings: Settings) -> Generator[Stage, None, ExtractorSet]:
    """``extractors = yield from prepared(...)``: those of a planned run, made in a thread.

    The first time weights are hashed, a library is loaded and the priming phrase is asked for, which takes seconds.

    Yields
    ------
    Stage
        Named "plan", the last one finished.

    Raises
    ------
    ModelError
        As :func:`extractors_of`.
    """

    def made(_: Tell) -> ExtractorSet:
        extractors = extractors_of(files, plan, settings)
        extractors.keys_of(clip, words)
        return extractors

    extractors = yield from in_thread("plan", 1, "Checking the model's files", made)
    yield Stage("plan", 1, 1, plan.summary())
    return extractors
