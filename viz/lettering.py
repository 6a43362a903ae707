"""Text in pictures made without matplotlib: always plain, one line, in the font that matplotlib carries."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont


@lru_cache(maxsize=64)
def font(size: float, bold: bool = False) -> FreeTypeFont:
    """DejaVu Sans at a size in pixels."""
    import matplotlib
    from PIL import ImageFont

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def plain(text: str) -> str:
    """Text as one line of printable characters."""
    return " ".join("".join(character if character.isprintable() else " " for character in str(text)[:2000]).split())


def width_of(text: str, size: float, bold: bool = False) -> float:
    """Width of a line in pixels."""
    return font(size, bold).getlength(text)


def fitted(text: str, width: float, size: float, bold: bool = False) -> str:
    """The line, cut with an ellipsis where it is wider than ``width`` pixels."""
    text = plain(text)
    if width_of(text, size, bold) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width_of(text[:middle].rstrip() + "…", size, bold) <= width else (low, middle - 1)
    return text[:low].rstrip() + "…" if low else ""


def write(image: Image, at: tuple[float, float], text: str, *, size: float, colour: str, bold: bool = False, anchor: str = "lm") -> None:
    """Write one line onto an opaque picture; ``anchor`` as in Pillow ("lm": left end, middle height)."""
    from PIL import ImageDraw

    ImageDraw.Draw(image).text(at, plain(text), font=font(size, bold), fill=colour, anchor=anchor)


class Layer:
    """What stays above changing colours: letters and lines, each with its own share of cover.

    A picture under it shows as ``picture * through + over``; both arrays are float32, ``over`` [height, width, 3] and ``through`` [height, width].
    """

    def __init__(self, width: int, height: int):
        self.over = np.zeros((height, width, 3), np.float32)
        self.through = np.ones((height, width), np.float32)

    def stamp(self, mask: np.ndarray, colour: str, opacity: float = 1.0, at: tuple[int, int] = (0, 0)) -> None:
        """Lay a colour over what ``mask`` (uint8 [h, w], its upper left corner ``at`` x, y) covers; what lies outside is left out."""
        from viz.colours import rgb_of

        height, width = self.through.shape
        x, y = at
        mask = mask[max(0, -y) : max(0, height - y), max(0, -x) : max(0, width - x)]
        x, y = max(0, x), max(0, y)
        part = np.s_[y : y + mask.shape[0], x : x + mask.shape[1]]
        share = mask.astype(np.float32) * (opacity / 255)
        self.over[part] = self.over[part] * (1 - share[..., None]) + rgb_of(colour).astype(np.float32) * share[..., None]
        self.through[part] *= 1 - share

    def write(self, at: tuple[float, float], text: str, *, size: float, colour: str, bold: bool = False, anchor: str = "lm") -> None:
        """Write one line; as :func:`write`."""
        from PIL import Image, ImageDraw

        text, letters = plain(text), font(size, bold)
        left, top, right, bottom = letters.getbbox(text, anchor=anchor)
        x, y = int(np.floor(at[0] + left)) - 1, int(np.floor(at[1] + top)) - 1
        mask = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4))
        ImageDraw.Draw(mask).text((at[0] - x, at[1] - y), text, font=letters, fill=255, anchor=anchor)
        self.stamp(np.asarray(mask), colour, at=(x, y))

    def on(self, picture: np.ndarray) -> np.ndarray:
        """The layer above a picture, uint8 [height, width, 3]."""
        return np.rint(picture * self.through[..., None] + self.over).astype(np.uint8)
