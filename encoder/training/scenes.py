"""Building blocks for generated pictures: textures, motion, objects, camera, shots.

A *scene* is a function of time: ``scene(t)`` returns one float32 RGB frame [height, width, 3] between 0 and 1, ``t`` in seconds since the
scene began. Builders take a numpy Generator and a size, so that a clip is fixed by its seed; nothing touches global random state. The random
choices are made when the scene is built, drawing a frame is plain array work (0.01 to 0.6 ms at 96 x 54).

The families cover what the simulated visual system listens to: motion energy at many directions, speeds and scales, left and right of the
middle, luminance, contrast, colour, onsets and cuts, looming, and natural image statistics (1/f spectra and the dead-leaves model of
Ruderman 1997 and Lee, Mumford & Huang 2001, where occluding objects have power-law sizes).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from encoder.training.textures import Size, blend, dead_leaves, pixel_grid, power_texture, random_colour, sample, soft

Scene = Callable[[float], np.ndarray]


def _path(rng: np.random.Generator, speed: float, *, wander: float = 0.5) -> Callable[[float], tuple[float, float]]:
    """A smooth course (down, right) in frame heights: steady motion at about ``speed`` heights per second with slow turns on top."""
    angle = rng.uniform(0, 2 * math.pi)
    steady = rng.uniform(0.3, 1.0) * speed
    vy, vx = steady * math.sin(angle), steady * math.cos(angle)
    swings = [(rng.uniform(0.05, 0.45), rng.uniform(0, 2 * math.pi), rng.uniform(0, 2 * math.pi)) for _ in range(3)]

    def at(t: float) -> tuple[float, float]:
        y, x = vy * t, vx * t
        for rate, phase_y, phase_x in swings:
            reach = wander * speed / (2 * math.pi * rate) / 2
            y += reach * math.sin(2 * math.pi * rate * t + phase_y)
            x += reach * math.sin(2 * math.pi * rate * t + phase_x)
        return y, x

    return at


# --- scenes ------------------------------------------------------------------------------------------------------------------------


def colour_field(rng: np.random.Generator, size: Size) -> Scene:
    """One colour, still."""
    frame = np.broadcast_to(random_colour(rng), (*size, 3)).astype(np.float32)
    return lambda t: frame


def grey_field(rng: np.random.Generator, size: Size, *, level: float | None = None) -> Scene:
    """Blank grey: a constant level (0 black, 1 white; drawn when not given)."""
    level = rng.uniform(0, 1) if level is None else level
    frame = np.full((*size, 3), level, np.float32)
    return lambda t: frame


def still_picture(rng: np.random.Generator, size: Size) -> Scene:
    """A photograph-like still."""
    if rng.random() < 0.6:
        frame = dead_leaves(rng, size)
    else:
        frame = power_texture(rng, size, exponent=rng.uniform(0.7, 1.6), contrast=rng.uniform(0.08, 0.3))
    return lambda t: frame


def drifting_grating(
    rng: np.random.Generator,
    size: Size,
    *,
    direction: float | None = None,
    cycles: float | None = None,
    rate: float | None = None,
    contrast: float | None = None,
) -> Scene:
    """A sine grating that drifts.

    ``direction`` in radians (0 = rightward, pi/2 = downward), ``cycles`` per frame height (drawn from 1 to 10), ``rate`` in Hz (0.5 to 5),
    ``contrast`` 0..1; now and then windowed by a Gaussian somewhere in the frame.
    """
    y, x = pixel_grid(size)
    direction = rng.uniform(0, 2 * math.pi) if direction is None else direction
    cycles = math.exp(rng.uniform(0, math.log(10))) if cycles is None else cycles
    rate = rng.uniform(0.5, 5) if rate is None else rate
    contrast = rng.uniform(0.15, 1) if contrast is None else contrast
    phase = (2 * math.pi * cycles * (x * math.cos(direction) + y * math.sin(direction))).astype(np.float32)
    mean, swing = random_colour(rng, saturation=rng.uniform(0, 0.6), value=0.6), random_colour(rng, saturation=rng.uniform(0, 0.6), value=1.0)
    envelope = np.float32(0.4 * contrast)
    if rng.random() < 0.4:
        cy, cx, reach = rng.uniform(-0.3, 0.3), rng.uniform(-0.6, 0.6), rng.uniform(0.15, 0.4)
        envelope = envelope * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * reach**2))
    tinted = np.asarray(envelope)[..., None] * swing

    def draw(t: float) -> np.ndarray:
        return np.clip(mean + np.cos(phase - np.float32(2 * math.pi * rate * t))[..., None] * tinted, 0, 1)

    return draw


def plaid(rng: np.random.Generator, size: Size) -> Scene:
    """Two drifting gratings, averaged."""
    first, second = drifting_grating(rng, size), drifting_grating(rng, size)
    return lambda t: 0.5 * (first(t) + second(t))


def drifting_texture(rng: np.random.Generator, size: Size, *, direction: float | None = None, speed: float | None = None) -> Scene:
    """A 1/f texture that slides steadily; ``speed`` in frame heights per second (0.05 to 1.5)."""
    look = {"exponent": rng.uniform(0.4, 1.6), "colour": rng.uniform(0, 0.7), "contrast": rng.uniform(0.08, 0.3)}
    texture = power_texture(rng, (size[0] * 2, size[1] * 2), **look)
    direction = rng.uniform(0, 2 * math.pi) if direction is None else direction
    speed = math.exp(rng.uniform(math.log(0.05), math.log(1.5))) if speed is None else speed
    vy, vx = -speed * size[0] * math.sin(direction), -speed * size[0] * math.cos(direction)
    return lambda t: sample(texture, size, vy * t, vx * t)


def camera_pan(rng: np.random.Generator, size: Size) -> Scene:
    """A camera that pans, wanders, shakes a little and slowly zooms over a large picture."""
    world = dead_leaves(rng, (size[0] * 2, size[1] * 2), leaves=int(rng.integers(120, 320)), saturation=rng.uniform(0, 0.9))
    course = _path(rng, math.exp(rng.uniform(math.log(0.02), math.log(0.8))))
    zoom_rate, zoom_phase, zoom_depth = rng.uniform(0.02, 0.2), rng.uniform(0, 6.28), rng.uniform(0, 0.35)
    shake, shake_rate = rng.exponential(0.004), rng.uniform(1, 3)

    def draw(t: float) -> np.ndarray:
        y, x = course(t)
        y += shake * math.sin(2 * math.pi * shake_rate * t)
        x += shake * math.sin(2 * math.pi * shake_rate * 0.73 * t + 1)
        return sample(world, size, y * size[0], x * size[0], 1.2 * math.exp(zoom_depth * math.sin(2 * math.pi * zoom_rate * t + zoom_phase)))

    return draw


def looming(rng: np.random.Generator, size: Size, *, inward: bool | None = None) -> Scene:
    """A disc or a texture that grows (or shrinks) again and again, as things do that approach."""
    y, x = pixel_grid(size)
    inward = bool(rng.random() < 0.3) if inward is None else inward
    period, cy, cx = rng.uniform(0.8, 3), rng.uniform(-0.25, 0.25), rng.uniform(-0.5, 0.5)
    growth = rng.uniform(0.8, 2.2)
    ground = random_colour(rng)

    def size_at(t: float) -> float:
        phase = (t / period) % 1
        return math.exp(growth * ((1 - phase if inward else phase) - 0.5))

    if rng.random() < 0.5:
        texture = dead_leaves(rng, (size[0] * 2, size[1] * 2))
        return lambda t: sample(texture, size, cy * size[0], cx * size[0], 0.9 * size_at(t))
    colour = random_colour(rng)
    distance = np.hypot(y - cy, x - cx)
    still = np.broadcast_to(ground, (*size, 3))

    def draw(t: float) -> np.ndarray:
        frame = still.astype(np.float32)
        blend(frame, colour, soft(distance - 0.2 * size_at(t), size))
        return frame

    return draw


@dataclass(frozen=True)
class _Thing:
    """One moving object: how it looks and where it is."""

    kind: str
    colour: np.ndarray
    radius: float
    aspect: float
    place: Callable[[float], tuple[float, float]]


def _bounce(position: float, reach: float) -> float:
    """Fold a straight course back into [-reach, reach]."""
    return abs((position - reach) % (4 * reach) - 2 * reach) - reach


def _random_thing(rng: np.random.Generator, size: Size, *, speed: float, side: str | None = None) -> _Thing:
    half_width = size[1] / size[0] / 2
    centre, reach = {None: (0.0, half_width), "left": (-half_width / 2, half_width / 2.6), "right": (half_width / 2, half_width / 2.6)}[side]
    course, y0, x0 = _path(rng, speed), rng.uniform(-0.4, 0.4), rng.uniform(-reach, reach)

    def place(t: float) -> tuple[float, float]:
        y, x = course(t)
        return _bounce(y + y0, 0.45), centre + _bounce(x + x0, reach)

    return _Thing(
        kind=str(rng.choice(["disc", "bar", "box", "ring"])),
        colour=random_colour(rng),
        radius=math.exp(rng.uniform(math.log(0.04), math.log(0.25))),
        aspect=rng.uniform(0.4, 2.5),
        place=place,
    )


def _cover(thing: _Thing, t: float, grid: tuple[np.ndarray, np.ndarray], size: Size) -> np.ndarray:
    """Coverage [height, width] of a thing at time ``t``."""
    y, x = grid
    cy, cx = thing.place(t)
    if thing.kind == "disc":
        return soft(np.hypot((y - cy) * thing.aspect, x - cx) - thing.radius, size)
    if thing.kind == "ring":
        return soft(np.abs(np.hypot(y - cy, x - cx) - thing.radius) - 0.25 * thing.radius, size)
    wide, high = (thing.radius, thing.radius * thing.aspect) if thing.kind == "box" else (0.25 * thing.radius, 2 * thing.radius)
    return soft(np.abs(y - cy) - high, size) * soft(np.abs(x - cx) - wide, size)


def moving_things(
    rng: np.random.Generator,
    size: Size,
    *,
    count: int | None = None,
    speed: float | None = None,
    side: str | None = None,
    ground: Scene | None = None,
) -> Scene:
    """Discs, bars, boxes and rings on smooth courses over a ground.

    Parameters
    ----------
    rng : numpy.random.Generator
    size : (int, int)
    count : int, optional
        Number of things (1 to 6).
    speed : float, optional
        Frame heights per second (0.05 to 1.5).
    side : {"left", "right"}, optional
        Keep every thing in one half of the frame.
    ground : Scene, optional
        What lies behind; a still colour or texture when not given.
    """
    grid = pixel_grid(size)
    count = int(rng.integers(1, 7)) if count is None else count
    speed = math.exp(rng.uniform(math.log(0.05), math.log(1.5))) if speed is None else speed
    things = [_random_thing(rng, size, speed=speed * rng.uniform(0.6, 1.4), side=side) for _ in range(count)]
    ground = ground or (colour_field(rng, size) if rng.random() < 0.5 else still_picture(rng, size))

    def draw(t: float) -> np.ndarray:
        frame = np.array(ground(t), np.float32)
        for thing in things:
            blend(frame, thing.colour, _cover(thing, t, grid, size))
        return frame

    return draw


def random_dots(rng: np.random.Generator, size: Size, *, coherence: float | None = None, direction: float | None = None) -> Scene:
    """A field of dots of which a share (``coherence``) moves one way and the rest each its own way; dots live 0.4 to 2 s."""
    height, width = size
    count = int(rng.integers(40, 160))
    coherence = rng.choice([0.0, 0.25, 0.5, 1.0]) if coherence is None else coherence
    direction = rng.uniform(0, 2 * math.pi) if direction is None else direction
    speed, life = rng.uniform(0.1, 1.2), rng.uniform(0.4, 2.0)
    born_y, born_x, age = rng.random(count), rng.random(count), rng.random(count)
    angles = np.where(rng.random(count) < coherence, direction, rng.uniform(0, 2 * math.pi, count))
    dot = int(rng.integers(1, max(2, height // 14) + 1))
    ground, colour = random_colour(rng, value=rng.uniform(0, 0.5)), random_colour(rng, saturation=0.2, value=1.0)
    blank = np.broadcast_to(ground, (height, width, 3))
    corner = np.arange(dot)

    def draw(t: float) -> np.ndarray:
        frame = blank.astype(np.float32)
        lives = t / life + age
        generation, lived = np.floor(lives), lives % 1 * life
        # each life begins at a new place; the golden-ratio steps scatter them without a random state that would depend on frame order
        y = (born_y + 0.618034 * generation + speed * lived * np.sin(angles)) % 1
        x = (born_x + 0.754878 * generation + speed * lived * np.cos(angles) * height / width) % 1
        rows = ((y * height).astype(int)[:, None, None] + corner[None, :, None]) % height
        columns = ((x * width).astype(int)[:, None, None] + corner[None, None, :]) % width
        frame[rows, columns] = colour
        return frame

    return draw


def face_like(rng: np.random.Generator, size: Size) -> Scene:
    """A head with eyes and a mouth that speaks, swaying in front of a ground; a talking head as a film shows it, in blobs."""
    y, x = pixel_grid(size)
    skin = np.array([0.92, 0.72, 0.58], np.float32) * rng.uniform(0.35, 1.0)
    hair, dark = random_colour(rng, saturation=0.4, value=rng.uniform(0.05, 0.6)), np.array([0.08, 0.06, 0.06], np.float32)
    radius, cy0, cx0 = rng.uniform(0.16, 0.38), rng.uniform(-0.1, 0.12), rng.uniform(-0.5, 0.5)
    course, talk, blink = _path(rng, rng.uniform(0.01, 0.12)), rng.uniform(2, 5), rng.uniform(2, 5)
    speaking = rng.random() < 0.7
    ground = still_picture(rng, size) if rng.random() < 0.7 else camera_pan(rng, size)

    def oval(cy: float, cx: float, high: float, wide: float) -> np.ndarray:
        return soft((np.hypot((y - cy) / high, (x - cx) / wide) - 1) * min(high, wide), size)

    def draw(t: float) -> np.ndarray:
        frame = np.array(ground(t), np.float32)
        dy, dx = course(t)
        cy, cx = cy0 + _bounce(dy, 0.15), cx0 + _bounce(dx, 0.2)
        blend(frame, hair, oval(cy + 1.9 * radius, cx, radius, 1.3 * radius))
        blend(frame, hair, oval(cy - 0.15 * radius, cx, 1.1 * radius, 0.85 * radius))
        blend(frame, skin, oval(cy, cx, radius, 0.75 * radius))
        lids = 0.02 if (t % blink) < 0.15 else 0.1
        for side in (-1, 1):
            blend(frame, dark, oval(cy - 0.2 * radius, cx + side * 0.3 * radius, lids * radius, 0.13 * radius))
        opening = 0.05 + (0.16 * abs(math.sin(math.pi * talk * t)) * (math.sin(0.9 * t) > -0.4) if speaking else 0)
        blend(frame, dark, oval(cy + 0.5 * radius, cx, opening * radius, 0.28 * radius))
        return frame

    return draw


def house_like(rng: np.random.Generator, size: Size) -> Scene:
    """Walls, roofs, windows and a sky, with a camera that slowly passes by."""
    height, width = size[0], size[1] * 3
    world = np.empty((height, width, 3), np.float32)
    sky, grass = random_colour(rng, saturation=0.35, value=rng.uniform(0.4, 1)), random_colour(rng, saturation=0.5, value=rng.uniform(0.15, 0.5))
    horizon = int(height * rng.uniform(0.65, 0.85))
    world[:horizon], world[horizon:] = sky, grass
    world += power_texture(rng, (height, width), exponent=1.2, colour=0.1, contrast=0.06) - 0.5
    left = 0
    rows = np.arange(height)[:, None]
    while left < width:
        wide, high = int(height * rng.uniform(0.3, 0.8)) + 4, int(height * rng.uniform(0.2, 0.5)) + 3
        right, top = min(width, left + wide), max(2, horizon - high)
        wall, roof, glass = random_colour(rng, saturation=0.4), random_colour(rng, saturation=0.6, value=0.45), random_colour(rng, saturation=0.3)
        world[top:horizon, left:right] = wall
        peak, columns = min(top, int(0.35 * wide)), np.arange(left, right)[None, :]
        slope = np.abs(columns - (left + wide / 2)) / (wide / 2)
        under = (rows >= top - peak * (1 - slope)) & (rows < top)
        world[:, left:right][under] = roof
        step = max(4, wide // int(rng.integers(2, 5)))
        for row in range(top + 2, horizon - 2, step):
            for column in range(left + 2, right - step // 2, step):
                world[row : row + step // 2, column : column + step // 2] = glass
        left += wide + int(rng.integers(1, max(2, height // 4)))
    np.clip(world, 0, 1, out=world)
    speed, sway = rng.choice([-1, 1]) * rng.exponential(0.15), rng.uniform(0, 0.03)
    return lambda t: sample(world, size, size[0] / 2 + size[0] * sway * math.sin(1.3 * t), size[1] + speed * size[0] * t, 1.15)


def street(rng: np.random.Generator, size: Size) -> Scene:
    """Natural-like composition: a textured, slowly moving background with several textured objects passing at different depths."""
    backdrop = (camera_pan, house_like, still_picture, drifting_texture)[int(rng.choice(4, p=[0.4, 0.25, 0.25, 0.1]))](rng, size)
    grid = pixel_grid(size)
    half_width = size[1] / size[0] / 2
    movers = []
    for _ in range(int(rng.integers(1, 6))):
        radius = math.exp(rng.uniform(math.log(0.06), math.log(0.35)))
        coat = power_texture(rng, size, exponent=1.0, colour=0.4, contrast=0.12) * random_colour(rng) * 1.4
        speed = rng.choice([-1, 1]) * rng.uniform(0.05, 1.0) * (0.4 + 2 * radius)
        movers.append((radius, coat, speed, rng.uniform(-0.2, 0.4), rng.uniform(-half_width, half_width), rng.uniform(0.5, 2.2), rng.uniform(1, 3)))
    movers.sort(key=lambda mover: mover[0])

    def draw(t: float) -> np.ndarray:
        y, x = grid
        frame = np.array(backdrop(t), np.float32)
        for radius, coat, speed, y0, x0, aspect, step in movers:
            cx = (x0 + speed * t + half_width + radius) % (2 * (half_width + radius)) - half_width - radius
            cy = y0 + 0.03 * radius * math.sin(2 * math.pi * step * t)
            outside = np.maximum(np.abs(y - cy) / aspect, np.abs(x - cx)) - 0.7 * radius
            alpha = soft(np.minimum(outside, np.hypot((y - cy + aspect * radius), x - cx) - 0.45 * radius), size)
            blend(frame, np.clip(coat, 0, 1), alpha)
        return frame

    return draw


def water(rng: np.random.Generator, size: Size) -> Scene:
    """Flickering natural texture (water, leaves, fire): two textures that slide over each other and multiply."""
    first = power_texture(rng, size, exponent=rng.uniform(0.7, 1.5), colour=0.2, contrast=0.3)
    second = power_texture(rng, size, exponent=rng.uniform(0.7, 1.5), colour=0.2, contrast=0.3)
    tint, speed = random_colour(rng, value=1.0), rng.uniform(0.05, 0.6)
    a, b = rng.uniform(0, 2 * math.pi, 2)

    def draw(t: float) -> np.ndarray:
        far = speed * size[0] * t
        product = sample(first, size, far * math.sin(a), far * math.cos(a)) * sample(second, size, far * math.sin(b), far * math.cos(b))
        return np.minimum(2.2 * product * tint, 1)

    return draw


def one_sided(rng: np.random.Generator, size: Size, *, side: str | None = None) -> Scene:
    """Motion in one half of the frame only: what a lateralised visual system must tell apart.

    The other half is blank or holds a still picture. Unless ``side`` ("left" or "right") is given, motion may change sides every few seconds.
    """
    change = math.inf if side or rng.random() < 0.4 else rng.uniform(4, 14)
    first = side or str(rng.choice(["left", "right"]))
    middle = size[1] // 2
    halves = {"left": slice(0, middle), "right": slice(size[1] - middle, size[1])}
    busy = {name: _busy_half(rng, size, name) for name in halves}
    rest = np.full((*size, 3), np.float32(rng.uniform(0, 0.7)), np.float32)
    if rng.random() < 0.5:
        rest = np.array(still_picture(rng, size)(0.0)) * np.float32(rng.uniform(0.3, 1))

    def draw(t: float) -> np.ndarray:
        swapped = int(t // change) % 2 if math.isfinite(change) else 0
        now = first if not swapped else {"left": "right", "right": "left"}[first]
        frame = rest.copy()
        frame[:, halves[now]] = busy[now](t)[:, halves[now]]
        return frame

    return draw


def _busy_half(rng: np.random.Generator, size: Size, side: str) -> Scene:
    """A moving scene that has something to move in the half ``side``."""
    families = ("grating", "texture", "things", "dots", "pan", "water")
    family = families[int(rng.integers(len(families)))]
    if family == "things":
        return moving_things(rng, size, count=int(rng.integers(2, 9)), speed=rng.uniform(0.3, 1.5), side=side)
    return FAMILIES[family][0](rng, size)


# --- what can be done to a scene ----------------------------------------------------------------------------------------------------


def flickering(scene: Scene, *, rate: float, depth: float) -> Scene:
    """Brightness that pulses at ``rate`` Hz between 1 and ``1 - depth``."""
    return lambda t: scene(t) * np.float32(1 - depth * (0.5 - 0.5 * math.cos(2 * math.pi * rate * t)))


def flashing(scene: Scene, *, at: float, seconds: float = 0.2, level: float = 1.0) -> Scene:
    """A full-field flash of ``level`` from ``at`` seconds on."""
    return lambda t: np.full_like(scene(t), level) if at <= t < at + seconds else scene(t)


def fading(scene: Scene, *, duration: float, fade_in: float = 0.0, fade_out: float = 0.0) -> Scene:
    """From and to black within ``fade_in`` and ``fade_out`` seconds of a scene of ``duration`` seconds."""

    def draw(t: float) -> np.ndarray:
        gain = min(1.0, t / fade_in if fade_in else 1.0, max(0.0, (duration - t) / fade_out) if fade_out else 1.0)
        return scene(t) * np.float32(gain)

    return draw


def exposed(scene: Scene, *, gain: float = 1.0, contrast: float = 1.0, saturation: float = 1.0) -> Scene:
    """Darker or brighter, flatter, greyer: luminance, contrast around mid grey and colour scaled."""

    def draw(t: float) -> np.ndarray:
        frame = scene(t)
        if saturation != 1:
            grey = frame @ np.array([0.2126, 0.7152, 0.0722], np.float32)
            frame = grey[..., None] + np.float32(saturation) * (frame - grey[..., None])
        return np.clip(np.float32(gain) * (0.5 + np.float32(contrast) * (frame - 0.5)), 0, 1)

    return draw


def frozen(scene: Scene, *, every: float) -> Scene:
    """Holds each picture for ``every`` seconds (a slide show, or the low frame rates of old film)."""
    return lambda t: scene(math.floor(t / every + 1e-6) * every)


# --- films -------------------------------------------------------------------------------------------------------------------------

FAMILIES: dict[str, tuple[Callable[[np.random.Generator, Size], Scene], float]] = {
    "street": (street, 5.0),
    "pan": (camera_pan, 4.0),
    "face": (face_like, 4.0),
    "houses": (house_like, 2.0),
    "things": (moving_things, 3.0),
    "one-sided": (one_sided, 5.0),
    "grating": (drifting_grating, 1.5),
    "plaid": (plaid, 0.7),
    "texture": (drifting_texture, 1.5),
    "dots": (random_dots, 1.0),
    "looming": (looming, 1.5),
    "water": (water, 1.5),
    "still": (still_picture, 2.0),
    "colour": (colour_field, 0.7),
    "grey": (grey_field, 0.8),
}
"""Builder and relative frequency of every family of scenes."""


def random_scene(rng: np.random.Generator, size: Size, *, families: tuple[str, ...] | None = None) -> tuple[str, Scene]:
    """Name and scene of a random family (all of :data:`FAMILIES`, weighted, unless named)."""
    names = list(families or FAMILIES)
    weights = np.array([FAMILIES[name][1] for name in names])
    name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    return name, FAMILIES[name][0](rng, size)


def dressed(rng: np.random.Generator, scene: Scene, duration: float) -> Scene:
    """A scene as a film would light it: sometimes darker, flatter, greyer, flickering, flashing or fading."""
    if rng.random() < 0.5:
        scene = exposed(scene, gain=rng.uniform(0.35, 1.25), contrast=rng.uniform(0.35, 1.1), saturation=rng.choice([0.0, 0.5, 1.0, 1.0]))
    if rng.random() < 0.06:
        scene = flickering(scene, rate=rng.uniform(0.5, 5), depth=rng.uniform(0.2, 0.9))
    if rng.random() < 0.05:
        scene = flashing(scene, at=rng.uniform(0, max(0.1, duration - 0.3)), seconds=rng.uniform(0.08, 0.5), level=rng.choice([0.0, 1.0]))
    if rng.random() < 0.06:
        scene = frozen(scene, every=rng.uniform(0.2, 1.5))
    if rng.random() < 0.12:
        scene = fading(scene, duration=duration, fade_in=rng.uniform(0, 0.3) * duration, fade_out=rng.uniform(0, 0.3) * duration)
    return scene


@dataclass(frozen=True)
class Shot:
    """One shot of a film: ``[start, end)`` in seconds, the family it came from, its scene (time 0 at ``start``)."""

    start: float
    end: float
    family: str
    scene: Scene


def random_shots(
    rng: np.random.Generator, duration: float, size: Size, *, mean_shot: float = 4.0, families: tuple[str, ...] | None = None
) -> list[Shot]:
    """Shots that fill ``duration`` seconds; lengths are log-normal around ``mean_shot`` seconds, as in edited film, and at least 0.5 s.

    Now and then two shots alternate, as in a dialogue.
    """
    shots: list[Shot] = []
    start = 0.0
    while start < duration - 1e-9:
        length = max(0.5, mean_shot * rng.lognormal(-0.2, 0.65))
        end = duration if duration - start - length < 0.5 else start + length
        if len(shots) >= 2 and rng.random() < 0.2:
            family, scene = shots[-2].family, shots[-2].scene
        else:
            family, scene = random_scene(rng, size, families=families)
            scene = dressed(rng, scene, end - start)
        shots.append(Shot(start, end, family, scene))
        start = end
    return shots


def frames(shots: list[Shot], fps: float) -> Iterator[tuple[float, np.ndarray]]:
    """Time in seconds and uint8 RGB frame [height, width, 3] of a film made of ``shots``, at ``fps`` frames a second."""
    index = 0
    for shot in shots:
        while (time := index / fps) < shot.end - 1e-9:
            yield time, to_bytes(shot.scene(time - shot.start))
            index += 1


def to_bytes(frame: np.ndarray) -> np.ndarray:
    """float 0..1 to uint8, rounded."""
    return (np.clip(frame, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
