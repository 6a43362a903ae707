"""The still picture of the example *A story told*: a lighthouse above the sea at night."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from experiments.example_canvas import CREAM, HEIGHT, SCALE, WIDTH, Canvas, between, gradient


def lighthouse() -> np.ndarray:
    """The whole picture, uint8 [360, 640, 3]; it never moves."""
    rng = np.random.default_rng(11)
    canvas = Canvas(gradient((0, "#0b1330"), (0.45, "#23335f"), (0.66, "#54618c"), (0.661, "#1d2b52"), (1, "#0a1228")))
    for x, y, size in zip(rng.uniform(0, WIDTH, 120), rng.uniform(0, 190, 120), rng.uniform(0.4, 1.5, 120), strict=True):
        canvas.disc(x, y, size, between("#23335f", "#f4f1e2", rng.uniform(0.4, 1)))
    canvas.glow(150, 84, 95, "#dfe3ea", 0.4)
    canvas.disc(150, 84, 30, "#f3efdc")
    for x, y, size in ((141, 76, 6), (160, 92, 8), (156, 70, 4)):
        canvas.disc(x, y, size, "#e4dfc8")
    _beam(canvas)
    _sea(canvas, rng)
    _whale(canvas)
    _rocks_and_tower(canvas)
    return canvas.frame()


def _beam(canvas: Canvas) -> None:
    """Light from the lantern, fading with distance."""
    down, across = np.mgrid[: HEIGHT * SCALE, : WIDTH * SCALE] / SCALE
    x, y = across - 478, down - 118
    distance = np.hypot(x, y)
    angle = np.arctan2(y, x)
    light = np.zeros_like(distance)
    for middle, width, strength in ((math.pi * 1.035, 0.105, 0.62), (0.13, 0.105, 0.4)):
        turn = np.abs((angle - middle + math.pi) % (2 * math.pi) - math.pi)
        light += strength * np.clip(1 - turn / width, 0, 1) ** 0.6 * np.exp(-distance / 330)
    mask = Image.fromarray((np.clip(light, 0, 1) * 255).astype(np.uint8))
    canvas.image.paste(Image.new("RGB", canvas.image.size, "#ffeeb5"), mask=mask)
    canvas.glow(478, 118, 26, "#fff3c9", 0.9)


def _sea(canvas: Canvas, rng: np.random.Generator) -> None:
    """Bands of small waves and the moon's road."""
    for row in range(16):
        y = 243 + 7 * row + 0.2 * row**1.6
        for _ in range(9):
            x, wide = rng.uniform(-20, WIDTH), rng.uniform(12, 26) * (0.6 + row / 10)
            canvas.line([(x, y), (x + wide / 2, y - 1.2), (x + wide, y)], 0.9 + row / 16, between("#1d2b52", "#6f86b8", rng.uniform(0.15, 0.5)))
        spread = 12 + 4.5 * row
        for _ in range(4):
            x, wide = 150 + rng.normal(0, spread / 2), rng.uniform(5, 16) * (0.7 + row / 12)
            canvas.line([(x - wide / 2, y + 2), (x + wide / 2, y + 2)], 1.2, between("#3a4c7d", "#f3efdc", rng.uniform(0.25, 0.75)))


def _whale(canvas: Canvas) -> None:
    """A tail above the water."""
    colour, x, y = "#060a19", 262, 296
    left = [(x, y - 32), (x - 14, y - 44), (x - 38, y - 50), (x - 52, y - 44), (x - 36, y - 38), (x - 18, y - 26), (x - 5, y - 20)]
    canvas.polygon(left, colour)
    canvas.polygon([(2 * x - a, b) for a, b in left], colour)
    canvas.polygon([(x - 5, y - 24), (x + 5, y - 24), (x + 15, y + 8), (x - 15, y + 8)], colour)
    for edge in (left, [(2 * x - a, b) for a, b in left]):
        canvas.line(edge[:4], 1.4, "#7f95c4")
    for wide, lift in ((46, 8), (66, 13)):
        canvas.line([(x - wide / 2, y + lift), (x, y + lift - 3), (x + wide / 2, y + lift)], 1.6, "#7f95c4")


def _rocks_and_tower(canvas: Canvas) -> None:
    """The rock, the house and the lighthouse with its lit windows."""
    ridge = [(352, 360), (372, 330), (392, 322), (408, 298), (436, 288), (452, 272), (512, 268), (540, 280), (566, 284), (588, 306), (624, 318)]
    canvas.polygon([*ridge, (640, 326), (640, 360)], "#0a1024")
    canvas.polygon([(408, 298), (436, 288), (452, 272), (470, 271), (450, 300), (424, 316)], "#141d3a")
    canvas.bar(522, 250, 572, 288, "#28325a")
    canvas.polygon([(516, 252), (547, 230), (578, 252)], "#7b3b46")
    canvas.bar(532, 262, 541, 274, "#ffd98a")
    canvas.bar(553, 262, 562, 274, "#ffd98a")
    foot, head, top, bottom = 25, 15, 136, 276
    for band in range(5):
        upper, lower = top + band * (bottom - top) / 5, top + (band + 1) * (bottom - top) / 5
        wide = [head + (foot - head) * (edge - top) / (bottom - top) for edge in (upper, lower)]
        colour = "#c9503f" if band % 2 else CREAM
        canvas.polygon([(478 - wide[0], upper), (478 + wide[0], upper), (478 + wide[1], lower), (478 - wide[1], lower)], colour)
        shade = between(colour, "#10182b", 0.45)
        canvas.polygon([(478 + 0.3 * wide[0], upper), (478 + wide[0], upper), (478 + wide[1], lower), (478 + 0.3 * wide[1], lower)], shade)
    canvas.bar(457, 131, 499, 137, "#1b2447", rounding=2)
    canvas.bar(466, 106, 490, 131, "#fff0bd")
    for x in (466, 474, 482, 490):
        canvas.line([(x, 106), (x, 131)], 1.6, "#1b2447")
    canvas.polygon([(461, 107), (478, 88), (495, 107)], "#7b3b46")
    canvas.disc(478, 87, 2.6, "#7b3b46")
    for y in (168, 214):
        canvas.bar(474, y, 481, y + 11, "#ffd98a", rounding=3)
    canvas.bar(471, 254, 486, 274, "#3d2a34", rounding=5)
