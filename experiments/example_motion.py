"""The pictures of the example *Things that move*: wheels of petals in one half of the frame, rings that come nearer, a quick run of posters.

A small dot stays in the middle throughout: motion on the left reaches the right half of the visual cortex only in somebody who looks there.
"""

from __future__ import annotations

import math

import numpy as np

from experiments.example_canvas import BLUE, CORAL, CREAM, GOLD, HEIGHT, INK, PLUM, ROSE, TEAL, WIDTH, Canvas, between

CX, CY = WIDTH / 2, HEIGHT / 2
PALETTE = (CORAL, GOLD, TEAL, ROSE, BLUE, CREAM)
STILL_TIME = 1.7


def fixation(canvas: Canvas) -> Canvas:
    """The dot to look at."""
    canvas.disc(CX, CY, 7, INK)
    canvas.disc(CX, CY, 4.5, CREAM)
    return canvas


def wheels(time: float, *, moving: str) -> np.ndarray:
    """Two wheels of petals, left and right; the one named in ``moving`` ("left", "right", "none") turns."""
    canvas = Canvas(INK)
    for side, x in (("left", 158), ("right", WIDTH - 158)):
        turns = moving == side
        _wheel(canvas, x, CY, STILL_TIME + time if turns else STILL_TIME, bright=1.0 if turns else 0.32)
    return fixation(canvas).frame()


def _wheel(canvas: Canvas, x: float, y: float, time: float, *, bright: float) -> None:
    """Rings of petals that turn against each other and breathe."""
    for ring, (count, radius, petal, speed) in enumerate(((11, 117, 23, 0.6), (8, 69, 18, -0.95), (5, 32, 12.5, 1.5))):
        reach = radius + 6 * math.sin(2.4 * time + ring)
        for number in range(count):
            angle = 2 * math.pi * number / count + speed * time
            colour = between(INK, PALETTE[(number + 2 * ring) % 5], bright)
            canvas.disc(x + reach * math.cos(angle), y + reach * math.sin(angle), petal, colour)
    canvas.disc(x, y, 9, between(INK, CREAM, bright))


def looming(time: float) -> np.ndarray:
    """Rings that grow out of the middle towards the viewer."""
    count, pace = 7, 0.6
    canvas = Canvas(PLUM)
    first = math.floor(time * pace)
    for step in range(count, -1, -1):
        nearness = step + (time * pace - first)
        radius = 14 * 1.85**nearness
        colour = PALETTE[(first - step) % len(PALETTE)]
        canvas.disc(CX, CY, radius, between(INK, colour, min(1.0, 0.15 + nearness / 4)))
        for petal in range(6):
            angle = 2 * math.pi * petal / 6 + 0.4 * (first - step) + 0.15 * time
            x, y = CX + 0.77 * radius * math.cos(angle), CY + 0.77 * radius * math.sin(angle)
            canvas.disc(x, y, 0.12 * radius, between(INK, CREAM, min(0.85, nearness / 6)))
    return fixation(canvas).frame()


def poster(number: int) -> np.ndarray:
    """One of a run of still compositions; each differs from the one before in colour, light and form."""
    rng = np.random.default_rng([number, 8])
    ground = (CREAM, TEAL, INK, CORAL, BLUE, GOLD, PLUM, ROSE)[number % 8]
    others = [colour for colour in (INK, CREAM, *PALETTE) if colour != ground]
    canvas = Canvas(ground)
    kind = number % 5
    if kind == 0:
        canvas.disc(CX - 90, CY, 130, others[number % 3])
        canvas.disc(CX + 110, CY + 20, 84, others[(number + 3) % len(others)])
        canvas.ring(CX + 110, CY + 20, 112, 6, others[(number + 4) % len(others)])
    elif kind == 1:
        for stripe in range(0, WIDTH, 80):
            canvas.bar(stripe, 0, stripe + 40, HEIGHT, others[(number + stripe // 80) % len(others)])
    elif kind == 2:
        for row in range(3):
            for column in range(6):
                size = rng.uniform(18, 44)
                canvas.disc(64 + 103 * column, 64 + 116 * row, size, others[(row * 2 + column + number) % len(others)])
    elif kind == 3:
        for layer, colour in enumerate(others[:4]):
            top = 110 + 66 * layer
            canvas.polygon([(0, top + 40), (160, top - 24), (330, top + 30), (480, top - 40), (640, top + 10), (640, 360), (0, 360)], colour)
        canvas.disc(500, 70, 38, others[-1])
    else:
        for beam in range(12):
            a, b = 2 * math.pi * beam / 12, 2 * math.pi * (beam + 0.5) / 12
            far = [(CX + 420 * math.cos(angle), CY + 420 * math.sin(angle)) for angle in (a, b)]
            canvas.polygon([(CX, CY), *far], others[(number + beam % 2) % len(others)])
        canvas.disc(CX, CY, 70, others[(number + 4) % len(others)])
    return fixation(canvas).frame()
