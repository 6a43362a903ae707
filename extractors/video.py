"""The picture stream ``classical-video-1``: motion energy, luminance, contrast, colour, flicker and shot cuts per TR.

A frame is brought to 96 x 54 pixels whatever its shape (the film is taken to fill a 16:9 visual field, fixated in the middle; a portrait
film is squashed, not letterboxed, so that no bar of black reads as a picture) and to 12 frames a second by presentation time: a grid
frame shows the latest film frame at or before it, the first frame is held backwards and the last one forwards. Row ``k`` averages the
grid frames that begin in ``[k * TR, (k + 1) * TR)``.

Motion energy is pymoten's filter bank (Nishimoto et al. 2011, Current Biology 21:1641): its gabors at 2, 4 and 8 cycles per picture
height, 8 directions, 2 and 4 Hz, and 0 Hz for static structure. All spatial gabors are applied in one float32 matrix product per batch of
frames; opposite directions share theirs. Amplitudes are divided by the L1 norm of the filter, so they read as contrast, are pooled over
position and compressed by ``log(1 + 50 a)``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from extractors.errors import FeatureError
from extractors.gabors import FPS, HEIGHT, SPATIAL, TEMPORAL, WIDTH, filter_bank
from extractors.grid import TR

EXTRACTOR_ID = "classical-video-1"
WINDOW_S = 4 / FPS
"""Past that a motion energy filter looks at, in seconds (and 3 frames ahead)."""

DIRECTIONS = (0, 45, 90, 135, 180, 225, 270, 315)
HEMIFIELDS = ("left", "right")
REGIONS = ("left_centre", "left_periphery", "right_centre", "right_periphery")
ROWS, COLUMNS = 3, 4
CELLS = tuple(f"row{row}_column{column}" for row in range(ROWS) for column in range(COLUMNS))
CENTRE_RADIUS = 0.35
"""Centre and periphery part at this distance from the middle, in picture heights."""
CUT_CHANGE = 0.055
"""Least mean change of the thumbnail (0 to 1) that can be a shot cut."""
PARAMETERS = {"fps": FPS, "width": WIDTH, "height": HEIGHT, "spatial": SPATIAL, "temporal": TEMPORAL, "cut": CUT_CHANGE}

_MOTION_NAMES = (
    *(f"motion.{cell}" for cell in CELLS),
    *(f"motion.{direction}deg.{region}" for direction in DIRECTIONS for region in REGIONS),
    *(f"motion.{sf}cpi_{tf}hz.{side}" for tf in TEMPORAL for sf in SPATIAL for side in HEMIFIELDS),
    *(f"motion.{kind}" for kind in ("outward", "inward", "anticlockwise", "clockwise")),
    *(f"static.{angle}deg.{side}" for angle in DIRECTIONS[:4] for side in HEMIFIELDS),
    *(f"static.{sf}cpi.{side}" for sf in SPATIAL for side in HEMIFIELDS),
)
_FRAME_NAMES = (
    *(f"luminance.{cell}" for cell in CELLS),
    "luminance.mean",
    "luminance.dark_share",
    "luminance.bright_share",
    *(f"contrast.{cell}" for cell in CELLS),
    "contrast.whole",
    *(f"{channel}.{region}" for channel in ("red_green", "blue_yellow", "colourfulness") for region in REGIONS),
    "red_green.spread",
    "blue_yellow.spread",
    *(f"flicker.{cell}" for cell in CELLS),
    "flicker.mean",
    "luminance.rise",
    "luminance.fall",
)
_ROW_NAMES = ("luminance.sd_in_time", "flicker.peak", "cuts.count", "cuts.largest_change", "cuts.since_last")
VIDEO_NAMES: tuple[str, ...] = _MOTION_NAMES + _FRAME_NAMES + _ROW_NAMES
"""One name per column. ``motion.*`` and ``static.*``: log-compressed filter amplitude (direction of motion: 0 = right, 90 = up); ``luminance``:
luma 0 to 1; ``contrast``: its SD; ``red_green`` = R - G, ``blue_yellow`` = (R + G) / 2 - B; ``flicker``: log-compressed absolute frame
difference; ``rise``/``fall``: change of the mean luma; ``cuts.since_last``: log(1 + s) at the TR's end, at most 10 s, where the film's
start counts as a cut. Left and right are halves of the visual field; row 0 is the top."""
VIDEO_DIM = len(VIDEO_NAMES)

_BATCH = 48
_TOLERANCE_S = 1e-3
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32) / 255


def filter_amplitudes(projections: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Motion and static amplitudes from frames that were multiplied with the gabors.

    Parameters
    ----------
    projections : numpy.ndarray of float32, shape [frames + width - 1, 2 * n]
        ``luma @ filter_bank().gabors``, with ``past`` frames before the first wanted one and the rest of the window after the last.

    Returns
    -------
    motion : numpy.ndarray of float32, shape [frames, len(TEMPORAL), 8 directions, positions]
        Ordered by ``DIRECTIONS``, where things really move: pymoten convolves its gabors with time, so a filter it calls 0 degrees
        answers to motion to the left.
    static : numpy.ndarray of float32, shape [frames, 4 orientations, positions]
    """
    bank = filter_bank()
    n_kernels, width = bank.kernels.shape
    frames = len(projections) - width + 1
    n = projections.shape[1] // 2
    # One banded matrix applies all temporal kernels in one product. pymoten correlates with the kernel reversed in time.
    bands = np.zeros((n_kernels, frames, len(projections)), np.float32)
    rows = np.arange(frames)[:, None]
    bands[:, rows, rows + np.arange(width)] = bank.kernels[:, None, ::-1]
    filtered = (bands.reshape(-1, len(projections)) @ projections).reshape(n_kernels, frames, 2, n // 4, 4)
    sine, cosine = filtered[:, :, 0], filtered[:, :, 1]
    motion = np.empty((frames, len(TEMPORAL), len(DIRECTIONS), n // 4), np.float32)
    for i in range(len(TEMPORAL)):
        sc, cs = sine[2 * i], cosine[2 * i + 1]
        ss, cc = sine[2 * i + 1], cosine[2 * i]
        motion[:, i, 4:] = np.hypot(sc + cs, cc - ss).swapaxes(1, 2)
        motion[:, i, :4] = np.hypot(cs - sc, cc + ss).swapaxes(1, 2)
    return motion, np.hypot(sine[-1], cosine[-1]).swapaxes(1, 2)


class _Pools(NamedTuple):
    """Weights that pool filter positions, each column summing to 1 over what it pools."""

    cells: np.ndarray
    regions: np.ndarray
    bands: np.ndarray
    flow: np.ndarray


@lru_cache(maxsize=1)
def _pools() -> _Pools:
    bank = filter_bank()
    x, y, frequency = bank.x, bank.y, bank.frequency
    share = np.array([1 / np.sum(frequency == f) for f in frequency])  # each spatial frequency counts the same

    width, height = WIDTH / HEIGHT / COLUMNS, 1 / ROWS
    middle_x = (np.arange(COLUMNS) + 0.5) * width - WIDTH / HEIGHT / 2
    middle_y = 0.5 - (np.arange(ROWS) + 0.5) * height
    near_x = np.exp(-((x[:, None] - middle_x) ** 2) / (2 * (width / 2) ** 2))
    near_y = np.exp(-((y[:, None] - middle_y) ** 2) / (2 * (height / 2) ** 2))
    # The lowest frequency has three positions for the whole picture: too coarse to say which cell.
    cells = (near_y[:, :, None] * near_x[:, None, :]).reshape(len(x), -1) * (share * (frequency > SPATIAL[0]))[:, None]

    left = np.where(np.abs(x) < 1e-6, 0.5, x < 0)
    centre = np.hypot(x, y) < CENTRE_RADIUS
    sides = np.stack([left, 1 - left], 1)
    regions = np.stack([left * centre, left * ~centre, (1 - left) * centre, (1 - left) * ~centre], 1) * share[:, None]
    bands = np.stack([sides[:, side] * (frequency == f) for f in SPATIAL for side in range(2)], 1)

    angle = np.arctan2(y, x)
    heading = np.deg2rad(DIRECTIONS)[:, None]
    off_centre = (np.hypot(x, y) > 0.1) * share
    turns = (0, np.pi, np.pi / 2, -np.pi / 2)  # outward, inward, anticlockwise, clockwise
    flow = np.stack([np.maximum(np.cos(heading - angle - turn), 0) * off_centre for turn in turns], 2)

    def unit(weights: np.ndarray, axis: int | tuple[int, ...] = 0) -> np.ndarray:
        return (weights / weights.sum(axis, keepdims=True)).astype(np.float32)

    return _Pools(unit(cells), unit(regions), unit(bands), unit(flow, (0, 1)))


def _motion_columns(projections: np.ndarray) -> np.ndarray:
    """Columns ``_MOTION_NAMES`` per frame from padded projections (see :func:`filter_amplitudes`)."""
    motion, static = filter_amplitudes(projections)
    pools = _pools()
    frames = len(motion)
    all_directions = motion.mean(2)
    all_rates = motion.mean(1)
    static_bands = static.mean(1) @ pools.bands
    orientation = (static @ pools.regions).reshape(frames, 4, 2, 2).mean(3)
    pooled = np.concatenate(
        [
            all_directions.mean(1) @ pools.cells,
            (all_rates @ pools.regions).reshape(frames, -1),
            (all_directions @ pools.bands).reshape(frames, -1),
            np.tensordot(all_rates, pools.flow, ([1, 2], [0, 1])),
            orientation.reshape(frames, -1),
            static_bands,
        ],
        axis=1,
    )
    return np.log1p(50 * pooled)


@lru_cache(maxsize=1)
def _region_pixels() -> np.ndarray:
    """Weights [HEIGHT * WIDTH, 4] that average a picture over ``REGIONS``."""
    x = (np.arange(WIDTH) + 0.5) / HEIGHT - WIDTH / HEIGHT / 2
    y = (np.arange(HEIGHT) + 0.5) / HEIGHT - 0.5
    centre = np.hypot(y[:, None], x) < CENTRE_RADIUS
    left = np.broadcast_to(x < 0, centre.shape)
    masks = np.stack([left & centre, left & ~centre, ~left & centre, ~left & ~centre], -1).reshape(-1, 4)
    return (masks / masks.sum(0)).astype(np.float32)


def _cell_means(pictures: np.ndarray) -> np.ndarray:
    """Mean of pictures [frames, HEIGHT * WIDTH] in each grid cell, [frames, ROWS * COLUMNS]."""
    cells = pictures.reshape(-1, ROWS, HEIGHT // ROWS, COLUMNS, WIDTH // COLUMNS)
    return cells.mean((2, 4)).reshape(len(pictures), -1)


def _frame_columns(luma: np.ndarray, before: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Columns ``_FRAME_NAMES`` of frames: luma [frames, pixels] 0 to 1, the luma one frame earlier, uint8 [frames, pixels, 3]."""
    cells = _cell_means(luma)
    square = _cell_means(luma * luma)
    mean = cells.mean(1, keepdims=True)
    whole = np.sqrt(np.maximum(square.mean(1, keepdims=True) - mean**2, 0))
    red, green, blue = (colours[..., i].astype(np.float32) / 255 for i in range(3))
    opponent = (red - green, (red + green) / 2 - blue)
    colourfulness = np.sqrt(opponent[0] ** 2 + opponent[1] ** 2)
    regions = _region_pixels()
    difference = _cell_means(np.abs(luma - before))
    rise = mean - before.mean(1, keepdims=True)
    return np.concatenate(
        [
            cells,
            mean,
            (luma < 0.06).mean(1, keepdims=True),
            (luma > 0.9).mean(1, keepdims=True),
            np.sqrt(np.maximum(square - cells**2, 0)),
            whole,
            *(channel @ regions for channel in (*opponent, colourfulness)),
            *(channel.std(1, keepdims=True) for channel in opponent),
            np.log1p(20 * difference),
            np.log1p(20 * difference.mean(1, keepdims=True)),
            np.log1p(20 * np.maximum(rise, 0)),
            np.log1p(20 * np.maximum(-rise, 0)),
        ],
        axis=1,
    )


def find_cuts(thumbnails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shot cuts in a run of thumbnails.

    A cut is a change that is large, stands out from the changes around it (so fast motion is none) and lasts (so a flash is none).

    Parameters
    ----------
    thumbnails : numpy.ndarray, shape [frames, values]
        Values 0 to 1.

    Returns
    -------
    is_cut : numpy.ndarray of bool, shape [frames]
        True for the first frame of a new shot.
    change : numpy.ndarray of float32, shape [frames]
        Mean absolute change from the frame before; 0 for the first.
    """
    frames = len(thumbnails)
    change = np.zeros(frames, np.float32)
    change[1:] = np.abs(np.diff(thumbnails, axis=0)).mean(1)
    reach = 4
    padded = np.pad(change, reach)
    around = np.stack([padded[reach + lag : reach + lag + frames] for lag in range(-reach, reach + 1) if lag])
    usual = np.median(around, axis=0)
    peak = change >= padded[reach - 1 : reach - 1 + frames]
    peak &= change > padded[reach + 1 : reach + 1 + frames]
    later = thumbnails[np.minimum(np.arange(frames) + 3, frames - 1)]
    # Where a flash begins the picture before it comes back; where it ends, the picture from before it is there again.
    lasting = np.ones(frames, bool)
    for lag in (1, reach):
        earlier = thumbnails[np.maximum(np.arange(frames) - lag, 0)]
        lasting &= np.abs(later - earlier).mean(1) > CUT_CHANGE * 0.8
    return (change > CUT_CHANGE) & (change > 3 * usual) & peak & lasting, change


def resized(frame: np.ndarray) -> np.ndarray:
    """A frame uint8 [H, W, 3] at the internal size [HEIGHT, WIDTH, 3]; one that has it already is copied."""
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or not frame.size:
        raise FeatureError("bad_frame", f"A frame must be uint8 [height, width, 3], but got {frame.dtype} {list(frame.shape)} instead.")
    if frame.shape[:2] == (HEIGHT, WIDTH):
        return frame.copy()
    from PIL import Image

    return np.asarray(Image.fromarray(frame).resize((WIDTH, HEIGHT), Image.Resampling.BOX))


class VideoAccumulator:
    """Turns frames into the video stream, a batch at a time; memory does not grow with the frames' size.

    Parameters
    ----------
    n_trs : int
        Rows wanted. Frames beyond ``n_trs * TR`` seconds are not looked at.
    """

    def __init__(self, n_trs: int):
        self.n_trs = n_trs
        total = int(np.ceil(n_trs * TR * FPS - 1e-6))
        self._row = np.minimum(np.floor(np.arange(total) / FPS / TR + 1e-6).astype(int), n_trs - 1)
        self._sums = np.zeros((n_trs, len(_MOTION_NAMES) + len(_FRAME_NAMES)))
        self._mean_luma = np.zeros(total, np.float32)
        self._thumbnails = np.zeros((total, 18 * 3), np.float32)
        self._flicker = np.zeros(total, np.float32)
        self._held: np.ndarray | None = None
        self._batch: list[np.ndarray] = []
        self._next = 0  # grid frames shown so far
        self._framed = 0  # of which the frame columns are done
        self._moved = 0  # of which the motion columns are done
        self._before: np.ndarray | None = None
        self._projections: np.ndarray | None = None

    @property
    def seconds(self) -> float:
        """Film time covered so far."""
        return self._next / FPS

    @property
    def full(self) -> bool:
        """Whether all rows are covered; later frames change nothing."""
        return self._next >= len(self._row)

    def add(self, frame_rgb: np.ndarray, time_s: float) -> None:
        """Show the next frame.

        Parameters
        ----------
        frame_rgb : numpy.ndarray of uint8, shape [H, W, 3]
            Any size; 54 x 96 is taken as it is.
        time_s : float
            Presentation time in seconds of film time, in order.

        Raises
        ------
        FeatureError
            ``bad_frame``.
        """
        small = resized(frame_rgb)
        self._show_until(time_s - _TOLERANCE_S, small if self._held is None else self._held)
        self._held = small

    def finish(self) -> np.ndarray:
        """The video stream, float32 [n_trs, VIDEO_DIM].

        Raises
        ------
        FeatureError
            ``no_frames``: no frame was added.
        """
        if self.n_trs == 0:
            return np.zeros((0, VIDEO_DIM), np.float32)
        if self._held is None:
            raise FeatureError("no_frames", "The film has a picture track without a single frame.", "Choose another file.")
        self._show_until(np.inf, self._held)
        self._work()
        self._project(np.repeat(self._projections[-1:], filter_bank().kernels.shape[1] - 1 - filter_bank().past, axis=0))
        counts = np.bincount(self._row, minlength=self.n_trs)[:, None]
        columns = np.concatenate([self._sums / counts, self._row_columns()], axis=1)
        return columns.astype(np.float32)

    def _show_until(self, time_s: float, picture: np.ndarray) -> None:
        while not self.full and self._next / FPS < time_s:
            self._batch.append(picture)
            self._next += 1
            if len(self._batch) == _BATCH:
                self._work()

    def _work(self) -> None:
        """Turn the waiting frames into columns."""
        if not self._batch:
            return
        colours = np.stack(self._batch).reshape(len(self._batch), -1, 3)
        self._batch.clear()
        luma = colours.astype(np.float32) @ _LUMA
        before = np.concatenate([luma[:1] if self._before is None else self._before, luma[:-1]])
        self._before = luma[-1:]
        columns = _frame_columns(luma, before, colours)
        span = slice(self._framed, self._framed + len(luma))
        np.add.at(self._sums[:, len(_MOTION_NAMES) :], self._row[span], columns)
        self._mean_luma[span] = luma.mean(1)
        self._flicker[span] = columns[:, _FRAME_NAMES.index("flicker.mean")]
        blocks = colours.reshape(len(luma), 3, HEIGHT // 3, 6, WIDTH // 6, 3)
        self._thumbnails[span] = blocks.mean((2, 4), dtype=np.float32).reshape(len(luma), -1) / 255
        self._framed = span.stop
        self._project(luma @ filter_bank().gabors)

    def _project(self, projections: np.ndarray) -> None:
        """Add projected frames and compute motion for all frames whose window is now complete."""
        bank = filter_bank()
        if self._projections is None:  # the first frame stood there before
            self._projections = np.repeat(projections[:1], bank.past, axis=0)
        waiting = np.concatenate([self._projections, projections])
        width = bank.kernels.shape[1]
        ready = len(waiting) - width + 1
        if ready > 0:
            rows = self._row[self._moved : self._moved + ready]
            np.add.at(self._sums[:, : len(_MOTION_NAMES)], rows, _motion_columns(waiting))
            self._moved += ready
            waiting = waiting[-(width - 1) :]
        self._projections = waiting

    def _row_columns(self) -> np.ndarray:
        """Columns ``_ROW_NAMES``."""
        is_cut, change = find_cuts(self._thumbnails)
        columns = np.zeros((self.n_trs, len(_ROW_NAMES)))
        cut_times = np.concatenate([[0.0], np.flatnonzero(is_cut) / FPS])
        for k in range(self.n_trs):
            inside = self._row == k
            end = (k + 1) * TR
            since = min(end - cut_times[cut_times < end][-1], 10.0)
            columns[k] = (
                self._mean_luma[inside].std(),
                self._flicker[inside].max(),
                np.log1p(is_cut[inside].sum()),
                np.log1p(20 * change[inside].max()),
                np.log1p(since),
            )
        return columns
