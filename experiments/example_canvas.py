"""A small canvas for the example clips: anti-aliased flat shapes, gradients and type at 640 x 360."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 640, 360
SCALE = 2  # drawn this much larger and averaged down: that is the anti-aliasing

INK = "#10182b"
CREAM = "#f7ecd4"
CORAL = "#ef6f53"
GOLD = "#f4b942"
TEAL = "#2fa394"
BLUE = "#4a7fb5"
ROSE = "#e7a79d"
PLUM = "#6b4a75"

Colour = str | tuple[int, int, int]
Point = tuple[float, float]


@cache
def font(pixels: int, *, serif: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu, which matplotlib carries, at a height in pixels of the finished frame."""
    import matplotlib

    name = "DejaVuSerif.ttf" if serif else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), pixels * SCALE)


def rgb(colour: Colour) -> np.ndarray:
    """Colour as float [3], 0 to 255."""
    from PIL import ImageColor

    return np.array(ImageColor.getrgb(colour) if isinstance(colour, str) else colour, float)


def between(first: Colour, second: Colour, share: float) -> tuple[int, int, int]:
    """The colour ``share`` of the way from the first to the second."""
    return tuple(round(value) for value in (1 - share) * rgb(first) + share * rgb(second))


def gradient(*stops: tuple[float, Colour]) -> Image.Image:
    """A canvas-sized picture with colours from top (0) to bottom (1)."""
    rows = np.linspace(0, 1, HEIGHT * SCALE)
    places, colours = [stop for stop, _ in stops], np.array([rgb(colour) for _, colour in stops])
    column = np.stack([np.interp(rows, places, colours[:, channel]) for channel in range(3)], axis=-1)
    return Image.fromarray(np.broadcast_to(column[:, None], (HEIGHT * SCALE, WIDTH * SCALE, 3)).round().astype(np.uint8))


class Canvas:
    """Shapes in frame coordinates (0..640 across, 0..360 down), drawn in order.

    Parameters
    ----------
    ground : colour or PIL.Image.Image
        What lies under them.
    """

    def __init__(self, ground: Colour | Image.Image = INK):
        self.image = ground.copy() if isinstance(ground, Image.Image) else Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), ground)
        self.pen = ImageDraw.Draw(self.image)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """A filled circle."""
        self.pen.ellipse([SCALE * (x - radius), SCALE * (y - radius), SCALE * (x + radius), SCALE * (y + radius)], fill=colour)

    def ring(self, x: float, y: float, radius: float, width: float, colour: Colour) -> None:
        """A circle of a given line width."""
        box = [SCALE * (x - radius), SCALE * (y - radius), SCALE * (x + radius), SCALE * (y + radius)]
        self.pen.ellipse(box, outline=colour, width=max(1, round(SCALE * width)))

    def polygon(self, points: list[Point], colour: Colour) -> None:
        """A filled polygon."""
        self.pen.polygon([(SCALE * x, SCALE * y) for x, y in points], fill=colour)

    def bar(self, left: float, top: float, right: float, bottom: float, colour: Colour, *, rounding: float = 0) -> None:
        """A box, its corners rounded if wanted."""
        self.pen.rounded_rectangle([SCALE * left, SCALE * top, SCALE * right, SCALE * bottom], radius=SCALE * rounding, fill=colour)

    def line(self, points: list[Point], width: float, colour: Colour) -> None:
        """A line with round joints."""
        self.pen.line([(SCALE * x, SCALE * y) for x, y in points], fill=colour, width=max(1, round(SCALE * width)), joint="curve")

    def text(self, x: float, y: float, words: str, pixels: int, colour: Colour, *, serif: bool = False, anchor: str = "mm") -> None:
        """Words, by default centred on (x, y)."""
        self.pen.text((SCALE * x, SCALE * y), words, fill=colour, font=font(pixels, serif=serif), anchor=anchor)

    def glow(self, x: float, y: float, radius: float, colour: Colour, strength: float) -> None:
        """Soft light around a point."""
        down, across = np.ogrid[: HEIGHT * SCALE, : WIDTH * SCALE]
        distance = np.hypot(down / SCALE - y, across / SCALE - x) / radius
        alpha = (np.exp(-(distance**2)) * strength * 255).round().astype(np.uint8)
        self.image.paste(Image.new("RGB", self.image.size, colour if isinstance(colour, str) else tuple(colour)), mask=Image.fromarray(alpha))

    def frame(self) -> np.ndarray:
        """The finished frame, uint8 [360, 640, 3]."""
        return np.asarray(self.image.reduce(SCALE))


def faded(frame: np.ndarray, share: float, ground: Colour = INK) -> np.ndarray:
    """A frame with ``share`` (0..1) of its light over the ground colour."""
    if share >= 1:
        return frame
    return (rgb(ground) * (1 - share) + frame * max(0.0, share)).round().astype(np.uint8)


def title_card(title: str, line: str) -> np.ndarray:
    """A title over one quiet line."""
    canvas = Canvas(INK)
    for ring in range(4):
        canvas.disc(WIDTH / 2, HEIGHT / 2 + 20, 330 - 70 * ring, between(INK, BLUE, 0.06 * (ring + 1)))
    canvas.text(WIDTH / 2, 158, title, 44, CREAM, serif=True)
    canvas.bar(WIDTH / 2 - 22, 196, WIDTH / 2 + 22, 198, GOLD)
    canvas.text(WIDTH / 2, 228, line, 16, between(INK, CREAM, 0.75))
    return canvas.frame()
