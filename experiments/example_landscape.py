"""A paper-cut landscape seen from a train, for the example *Eyes and ears*: hills at four distances, a paper sky, birds, trees, telegraph poles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw

from experiments.example_canvas import BLUE, CORAL, CREAM, GOLD, HEIGHT, PLUM, ROSE, SCALE, TEAL, WIDTH, Canvas, between

LOOP = 1600
"""Pixels after which a range of hills repeats."""


@dataclass(frozen=True)
class Light:
    """Colours of one time of day: sky from far to near the sun, the sun, and hills from far to near."""

    sky: tuple[str, str, str]
    sun: str
    hills: tuple[str, str, str, str]
    sun_height: float


LIGHTS = (
    Light(("#6d6fa8", "#e6a6a1", "#fbe3b6"), "#fff3d1", ("#a58bb0", "#7a6a9b", "#4d4f80", "#2b3158"), 128),
    Light(("#4a93c9", "#a5d4e4", "#f4efd8"), "#fffbe8", ("#9cc4c0", "#5fa295", "#2f7a6d", "#17473f"), 70),
    Light(("#372f5e", "#c65b5b", "#f7b267"), "#ffe2a0", ("#a3506a", "#76395f", "#482a50", "#24183a"), 170),
    Light(("#0e1730", "#203a63", "#5d86a6"), "#f2f0dc", ("#35537c", "#263f66", "#182b4c", "#0c172e"), 84),
)
"""Morning, noon, evening, night."""

SPEEDS = (14.0, 42.0, 105.0, 230.0)
"""Pixels per second of the four ranges."""


@cache
def _range(light: Light, number: int) -> Image.Image:
    """One range of hills as a mask-carrying strip that repeats after ``LOOP`` pixels."""
    rng = np.random.default_rng([number, 5])
    x = np.arange(0, LOOP + 1, 4)
    base, swing = (215, 232, 262, 318)[number], (38, 34, 26, 12)[number]
    outline = np.full(len(x), float(base))
    for waves in (1, 2, 3, 5, 8, 13)[: 4 + number % 3]:
        outline -= swing / math.sqrt(waves) * rng.uniform(0.3, 0.9) * np.sin(2 * np.pi * waves * x / LOOP + rng.uniform(0, 6.3))
    strip = Image.new("RGBA", (LOOP * SCALE, HEIGHT * SCALE), (0, 0, 0, 0))
    pen = ImageDraw.Draw(strip)
    colour = light.hills[number]
    pen.polygon(
        [(SCALE * a, SCALE * b) for a, b in zip(x, outline, strict=True)] + [(LOOP * SCALE, HEIGHT * SCALE), (0, HEIGHT * SCALE)], fill=colour
    )
    if number in (1, 2):
        _trees(pen, rng, x, outline, between(colour, light.hills[min(3, number + 1)], 0.45), count=(0, 34, 44)[number], size=(0, 11, 24)[number])
    if number == 2:
        _houses(pen, rng, x, outline, light)
    if number == 3:
        for pole in range(0, LOOP, 400):
            pen.rectangle([SCALE * (pole + 60), SCALE * 150, SCALE * (pole + 66), SCALE * HEIGHT], fill=colour)
            pen.rectangle([SCALE * (pole + 36), SCALE * 164, SCALE * (pole + 90), SCALE * 168], fill=colour)
            across = np.linspace(0, 400, 41)
            wire = 166 + 26 * (1 - (2 * across / 400 - 1) ** 2)
            for lift in (0, 9):
                points = [(SCALE * ((pole + 63 + a) % LOOP), SCALE * (b + lift)) for a, b in zip(across, wire, strict=True)]
                for first, second in pairwise(points):
                    if second[0] > first[0]:
                        pen.line([first, second], fill=colour, width=2)
    return strip


def _trees(pen: ImageDraw.ImageDraw, rng: np.random.Generator, x: np.ndarray, outline: np.ndarray, colour, *, count: int, size: float) -> None:
    for place in np.sort(rng.uniform(2 * size, LOOP - 2 * size, count)):
        ground, tall = float(np.interp(place, x, outline)), size * rng.uniform(0.7, 1.5)
        if rng.random() < 0.55:  # a fir
            for layer in range(3):
                wide, top = tall * (0.32 + 0.13 * layer), ground - tall * (1.75 - 0.5 * layer)
                corners = ((place, top), (place - wide, top + tall * 0.8), (place + wide, top + tall * 0.8))
                pen.polygon([(SCALE * a, SCALE * b) for a, b in corners], fill=colour)
            pen.rectangle([SCALE * (place - 1.5), SCALE * (ground - tall * 0.3), SCALE * (place + 1.5), SCALE * (ground + 6)], fill=colour)
        else:
            pen.rectangle([SCALE * (place - 1.5), SCALE * (ground - tall), SCALE * (place + 1.5), SCALE * (ground + 6)], fill=colour)
            crown = (place - 0.55 * tall, ground - 1.7 * tall, place + 0.55 * tall, ground - 0.5 * tall)
            pen.ellipse([SCALE * value for value in crown], fill=colour)


def _houses(pen: ImageDraw.ImageDraw, rng: np.random.Generator, x: np.ndarray, outline: np.ndarray, light: Light) -> None:
    walls = (CORAL, CREAM, GOLD, ROSE, TEAL, BLUE)
    for number, place in enumerate(np.arange(90, LOOP - 90, 190)):
        place += rng.uniform(-35, 35)
        ground = float(np.interp(place, x, outline)) + 7
        wide, high = rng.uniform(24, 38), rng.uniform(20, 32)
        wall = between(walls[number % len(walls)], light.hills[2], 0.3)
        roof = between(PLUM, light.hills[3], 0.4)
        pen.rectangle([SCALE * (place - wide / 2), SCALE * (ground - high), SCALE * (place + wide / 2), SCALE * ground], fill=wall)
        eaves = [(place - wide / 2 - 4, ground - high), (place, ground - high - 16), (place + wide / 2 + 4, ground - high)]
        pen.polygon([(SCALE * a, SCALE * b) for a, b in eaves], fill=roof)
        for offset in (-0.25, 0.25):
            window = [place + offset * wide - 3.5, ground - high * 0.65, place + offset * wide + 3.5, ground - high * 0.3]
            pen.rectangle([SCALE * value for value in window], fill="#ffe9a8")


@cache
def _sky(light: Light) -> Image.Image:
    """Sheets of paper around the sun, each a flat colour (a smooth gradient would fall into blocks when the film is encoded); at night, stars."""
    canvas = Canvas(light.sky[0])
    sheets = 8
    for sheet in range(sheets, 0, -1):
        share = sheet / sheets
        colour = between(light.sky[2], light.sky[1], 2 * share) if share <= 0.5 else between(light.sky[1], light.sky[0], 2 * share - 1)
        canvas.disc(452, light.sun_height, 34 + 520 * share**1.15, colour)
    if light.sky[0] == "#0e1730":
        rng = np.random.default_rng(3)
        for x, y, size in zip(rng.uniform(0, WIDTH, 90), rng.uniform(0, 190, 90), rng.uniform(0.5, 1.4, 90), strict=True):
            canvas.disc(x, y, size, "#dfe6ee")
    canvas.disc(452, light.sun_height, 34, light.sun)
    return canvas.image


def landscape(time: float, light: Light) -> Canvas:
    """The view at ``time`` seconds."""
    canvas = Canvas(_sky(light))
    for number, speed in enumerate(SPEEDS):
        if number == 2:
            _birds(canvas, time, light)
        strip, left = _range(light, number), round(speed * time * SCALE) % (LOOP * SCALE)
        for start in (-left, LOOP * SCALE - left):
            if start < WIDTH * SCALE:
                canvas.image.paste(strip, (start, 0), strip)
    return canvas


def _birds(canvas: Canvas, time: float, light: Light) -> None:
    """A flock that crosses from right to left in about eight seconds, wings beating."""
    colour = between(light.hills[3], "#000000", 0.1)
    for number in range(9):
        side = -1 if number % 2 else 1
        x = 760 - ((time * 96 + 40) % 960) + 26 * ((number + 1) // 2)
        y = 112 + side * 11 * ((number + 1) // 2) + 5 * math.sin(1.7 * time + number)
        lift = 7 * math.sin(2 * math.pi * (2.2 * time + 0.13 * number))
        canvas.line([(x - 11, y - lift), (x - 4, y - 0.2 * lift - 1.5), (x, y), (x + 4, y - 0.2 * lift - 1.5), (x + 11, y - lift)], 2.4, colour)
