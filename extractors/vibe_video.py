"""The picture stream of published VIBE models, ``vibe-video-1``: tokens of V-JEPA 2 per TR.

The model sees the 16 s that end with the TR, as 64 pictures spread evenly over them; the whole picture is squeezed into its square. What was
before the film began is zeros. Of the hidden states' mean the tokens of the TR itself are averaged, over a coarse grid of the picture.

The film is decoded once. Neighbouring windows share most of their time, so a picture is held until the last window that shows it is done:
memory does not grow with the film.

Source: reference page "VIBE", section 3B "Video". The published port sums up TR boundaries in floating point; here they are products, and a time
that falls on a picture's first moment belongs to that picture. At 25 pictures per second this moves the ends of a few windows by one
picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from extractors.backbone import Backbone, Placement, in_batches, recording
from extractors.clip import Clip
from extractors.errors import FeatureError, ModelError
from extractors.frames import count_frames, iter_frames
from extractors.grid import TR
from extractors.hub_files import LocalModel
from extractors.in_thread import TICK_S, Tell, in_thread
from extractors.stages import Stage, stage_clock
from extractors.streams import Stream
from extractors.transcript import Transcript

if TYPE_CHECKING:
    from torch import Tensor, nn

EXTRACTOR = "vibe-video-1"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's red, green and blue, as shares of full brightness."""


@dataclass(frozen=True)
class Window:
    """What the model sees for one TR.

    Attributes
    ----------
    frames : tuple of int
        Numbers of the pictures in the order of showing; negative before the film.
    tokens : tuple of int
        First and last (exclusive) moment whose tokens belong to the TR.
    """

    frames: tuple[int, ...]
    tokens: tuple[int, int]


class VibeVideo:
    """Extractor of the picture stream.

    Parameters
    ----------
    local : LocalModel
        A V-JEPA 2 model; its own configuration names pictures per window, picture size and patches.
    weights : str
        What identifies its weights (:func:`extractors.hub_files.weights_id`).
    states : int
        How many hidden states, counted from the end, are averaged.
    pool : int
        The stream keeps ``pool`` x ``pool`` places of the picture.
    window_s : float
        Length of a window in seconds.
    convention : {"4.57", "5"}
        Whose list of hidden states: up to transformers 4.57 its last entry stands behind the encoder's final normalisation, in 5 before it.
    placement : Placement
    """

    stream = "video"

    def __init__(
        self,
        local: LocalModel,
        *,
        weights: str,
        states: int = 3,
        pool: int = 2,
        window_s: float = 16.0,
        convention: Literal["4.57", "5"] = "4.57",
        placement: Placement = Placement(),
    ):
        self.local = local
        self.weights = weights
        self.states = states
        self.pool = pool
        self.window_s = float(window_s)
        self.convention = convention
        self.placement = placement

    @property
    def id(self) -> str:
        """Id with its version and its backbone."""
        return f"{EXTRACTOR} {self.local.name}"

    @property
    def dim(self) -> int:
        """Columns of the stream: every channel at every place."""
        return self.backbone.config.hidden_size * self.pool**2

    @cached_property
    def backbone(self) -> Backbone:
        """The pretrained model; ModelError ``no_such_layer`` when it has fewer hidden states than are wanted."""
        backbone = Backbone(self.local, "VJEPA2Model", placement=self.placement)
        available = backbone.config.num_hidden_layers + 1
        if not 1 <= self.states <= available:
            raise ModelError(
                "no_such_layer",
                f"The number of hidden states of the picture must be 1 to {available} for {self.local.name}, but got {self.states} instead.",
                "Correct video_extractor_num_last_hidden_states in the model's config.json.",
            )
        return backbone

    def content(self, clip: Clip, transcript: Transcript) -> dict[str, Any] | None:
        """See :class:`extractors.streams.StreamExtractor`."""
        if not clip.has_video:
            return None
        config = self.backbone.config
        parameters = {
            "states": self.states,
            "pool": self.pool,
            "window_s": self.window_s,
            "convention": self.convention,
            "frames": config.frames_per_clip,
            "size": config.crop_size,
        }
        made_by = {"weights": self.weights, "config": self.backbone.fingerprint, "dtype": self.placement.dtype}
        return {"extractor": EXTRACTOR, "track": clip.video_key, **made_by, "parameters": parameters}

    def compute(self, clip: Clip, transcript: Transcript) -> Iterator[Stage | Stream]:
        """See :class:`extractors.streams.StreamExtractor`; FeatureError ``no_frames`` for a film that holds no picture."""
        count = clip.n_trs
        at = stage_clock("video", count)
        if count:
            array = yield from in_thread("video", count, "Loading V-JEPA 2", lambda tell: self._rows(clip, tell))
        else:
            array = np.zeros((0, self.dim), np.float32)
        yield at(count, "Picture analysed")
        yield Stream(array)

    def _rows(self, clip: Clip, tell: Tell) -> np.ndarray:
        """The stream, float32 [n_trs, dim]."""
        import torch

        config = self.backbone.config
        size, total = config.crop_size, clip.n_trs
        tell()
        with self.backbone.using(tell) as module:
            tell(0, f"Picture: 0 of {total} windows")
            pictures_in_all = count_frames(clip)
            if not pictures_in_all:
                raise FeatureError("no_frames", "The film's picture track holds no picture.", "Save the film again as H.264 MP4.")
            frames = config.frames_per_clip
            plan = plan_windows(total, clip.fps, pictures_in_all, self.window_s, frames=frames, tokens=frames // config.tubelet_size)
            shown = iter_frames(clip, size=(size, size), tick_s=TICK_S, exact=True)
            encoder = Encoder(module, self.states, self.pool, self.convention)
            batch, rows, done = self.placement.batch, [], 0
            try:
                pictures = window_pictures(_telling(shown, tell), plan, size)
                while done < total:
                    group = [next(pictures) for _ in range(min(batch, total - done))]
                    part = plan[done : done + len(group)]
                    sizes = []

                    def run(start: int, stop: int, group=group, part=part, sizes=sizes) -> Tensor:
                        found = encoder(group[start:stop], part[start:stop])
                        sizes.append(stop - start)
                        return found

                    # results stay on the device: a GPU goes on computing while the next windows are decoded
                    rows += in_batches(len(group), batch, run, tell)
                    batch = max(sizes)  # what did not fit once is not tried again
                    done += len(group)
                    tell(done, f"Picture: {done} of {total} windows")
            finally:
                shown.close()
            return torch.cat(rows).cpu().numpy()


def whole(value: float) -> int:
    """``value`` without its fraction, towards 0; what misses a whole number by rounding alone counts as that number."""
    return int(round(value, 6))


def plan_windows(n_trs: int, fps: float, total: int, window_s: float = 16.0, *, frames: int = 64, tokens: int = 32) -> list[Window]:
    """The windows of all TRs.

    Parameters
    ----------
    n_trs : int
    fps : float
        Pictures per second.
    total : int
        Pictures in all. A window ends with them; where only the sound goes on, TRs see the last picture stand still.
    window_s : float
        Seconds.
    frames, tokens : int
        Pictures a window shows, and moments the model makes of them.

    Returns
    -------
    list of Window
    """
    windows = []
    for row in range(n_trs):
        begin, end = row * TR, (row + 1) * TR
        start = begin - (window_s - TR)
        first, stop = whole(start * fps), whole(end * fps)
        if whole(begin * fps) < total:
            end, stop = min(end, total / fps), min(stop, total)
        numbers = first + np.linspace(0, max(0, stop - first - 1), frames).astype(int)
        length = end - start
        own = min(round((begin - start) / length * tokens), tokens - 1)
        windows.append(Window(tuple(np.minimum(numbers, total - 1).tolist()), (own, tokens)))
    return windows


def window_pictures(pictures: Iterator[np.ndarray], plan: Sequence[Window], size: int) -> Iterator[np.ndarray]:
    """The pictures of each window, uint8 [frames, size, size, 3].

    Parameters
    ----------
    pictures : iterator of numpy.ndarray
        The film's pictures in order, uint8 [size, size, 3]; taken only as far as the next window needs. Should they end early, the last one
        stands for those that are missing.
    plan : sequence of Window
        They hold zeros for what was before the film.
    size : int
        Pixels.
    """
    last_use = {number: index for index, window in enumerate(plan) for number in window.frames}
    held: dict[int, np.ndarray] = {}
    number, latest = -1, None
    for index, window in enumerate(plan):
        while number < window.frames[-1] and (picture := next(pictures, None)) is not None:
            number, latest = number + 1, picture
            if number in last_use:
                held[number] = picture
        shown = np.zeros((len(window.frames), size, size, 3), np.uint8)
        for place, wanted in enumerate(window.frames):
            if wanted >= 0:
                shown[place] = held.get(wanted, latest)
        yield shown
        for old in [old for old in held if last_use[old] <= index]:
            del held[old]


def normalised(pictures: Tensor, absent: Tensor, dtype: Any) -> Tensor:
    """Pixels as the model takes them, in its own number type from the first step on.

    Parameters
    ----------
    pictures : torch.Tensor
        uint8 [windows, frames, height, width, 3].
    absent : torch.Tensor
        bool [windows, frames]: pictures that are not there become zeros.
    dtype : torch.dtype

    Returns
    -------
    torch.Tensor
        [windows, frames, 3, height, width].
    """
    mean, std = (pictures.new_tensor(values, dtype=dtype) for values in (MEAN, STD))
    pixels = pictures.to(dtype).div_(255).sub_(mean).div_(std)
    pixels[absent] = 0
    return pixels.movedim(-1, 2)


class Encoder:
    """V-JEPA 2's encoder, its hidden states pooled to rows of the stream. The predictor behind it is not run.

    Parameters
    ----------
    module : torch.nn.Module
        A ``VJEPA2Model``.
    states, pool, convention
        As for :class:`VibeVideo`.
    """

    def __init__(self, module: nn.Module, states: int, pool: int, convention: str):
        encoder = module.encoder
        entries = [encoder.embeddings, *encoder.layer]
        if convention == "4.57":
            entries[-1] = encoder.layernorm
        self.encoder = encoder
        self.read = {f"state {index}": entry for index, entry in enumerate(entries[-states:])}
        self.pool = pool
        self.moments = module.config.frames_per_clip // module.config.tubelet_size
        self.side = module.config.crop_size // module.config.patch_size

    def __call__(self, pictures: Sequence[np.ndarray], windows: Sequence[Window]) -> Tensor:
        """Rows of the windows, float32 [windows, dim], on the model's device; ``pictures`` are uint8 [frames, height, width, 3] each."""
        import torch

        weight = next(self.encoder.parameters())
        absent = torch.tensor([[number < 0 for number in window.frames] for window in windows], device=weight.device)
        shown = torch.from_numpy(np.stack(pictures)).to(weight.device)
        states = self.states(normalised(shown, absent, weight.dtype))
        rows = []
        for index, window in enumerate(windows):
            own = slice(*window.tokens)
            tokens = torch.stack([state[index].unflatten(0, (self.moments, self.side, self.side))[own] for state in states])
            grid = tokens.float().mean((0, 1)).movedim(-1, 0)
            rows.append(torch.nn.functional.adaptive_avg_pool2d(grid, self.pool).flatten())
        return torch.stack(rows)

    def states(self, pixels: Tensor) -> list[Tensor]:
        """The hidden states that are read, each [windows, tokens, hidden], for pixels [windows, frames, 3, height, width]."""
        with recording(self.read) as kept:
            self.encoder(pixel_values_videos=pixels)
        return [kept[name] for name in self.read]


def _telling(shown: Iterator, tell: Tell) -> Iterator[np.ndarray]:
    """The pictures alone, with an ear for a stop."""
    for item in shown:
        tell()
        if item is not None:
            yield item[1]
