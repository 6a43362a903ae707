"""Coordinates, colours, textures and anti-aliased edges: what generated pictures are made of.

Frames are float32 RGB [height, width, 3] between 0 and 1.
"""

from __future__ import annotations

import numpy as np

Size = tuple[int, int]
"""Height and width in pixels."""


def pixel_grid(size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Vertical [height, 1] and horizontal [1, width] positions in units of the frame's height, 0 = middle, down and right positive."""
    height, width = size
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height - 0.5
    x = ((np.arange(width, dtype=np.float32)[None, :] + 0.5) - width / 2) / height
    return y, x


def random_colour(rng: np.random.Generator, *, saturation: float | None = None, value: float | None = None) -> np.ndarray:
    """One RGB colour, float32 [3], hue uniform; saturation and value drawn from (0, 0.9) and (0.15, 1) unless given."""
    hue = rng.uniform(0, 6)
    saturation = rng.uniform(0, 0.9) if saturation is None else saturation
    value = rng.uniform(0.15, 1.0) if value is None else value
    offsets = np.array([5.0, 3.0, 1.0])
    k = (offsets + hue) % 6
    return (value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1)).astype(np.float32)


def power_texture(rng: np.random.Generator, size: Size, *, exponent: float = 1.0, colour: float = 0.5, contrast: float = 0.2) -> np.ndarray:
    """A wrapping texture whose amplitude spectrum falls as ``1 / frequency ** exponent``.

    Parameters
    ----------
    rng : numpy.random.Generator
    size : (int, int)
        Height and width.
    exponent : float
        1 is like natural images, 0 white noise, 2 clouds.
    colour : float
        Share of each channel that is its own (0 grey, 1 three independent channels).
    contrast : float
        Standard deviation around 0.5 before clipping to 0..1.

    Returns
    -------
    numpy.ndarray, float32 [height, width, 3]
    """
    height, width = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = 1.0
    gain = frequency**-exponent
    gain[0, 0] = 0.0
    spectrum = np.fft.rfft2(rng.standard_normal((4 if colour > 0 else 1, height, width))) * gain
    fields = np.fft.irfft2(spectrum, s=size)
    fields /= fields.std(axis=(1, 2), keepdims=True)
    grey = fields[0][..., None]
    picture = grey if colour <= 0 else (1 - colour) * grey + colour * np.moveaxis(fields[1:], 0, -1)
    return np.clip(0.5 + contrast * np.broadcast_to(picture, (height, width, 3)), 0, 1).astype(np.float32)


def dead_leaves(rng: np.random.Generator, size: Size, *, leaves: int = 150, saturation: float = 0.5) -> np.ndarray:
    """An image of occluding discs and boxes with power-law sizes, float32 [height, width, 3]; edges and spectra like natural images."""
    height, width = size
    picture = power_texture(rng, size, exponent=1.2, colour=0.3, contrast=0.15)
    smallest, largest = 0.03 * height, 0.45 * height
    radii = np.sort((smallest**-1.0 + rng.random(leaves) * (largest**-1.0 - smallest**-1.0)) ** -1.0)[::-1]
    for radius in radii:
        cy, cx = rng.uniform(0, height), rng.uniform(0, width)
        top, bottom = max(0, int(cy - radius)), min(height, int(cy + radius) + 1)
        left, right = max(0, int(cx - radius)), min(width, int(cx + radius) + 1)
        shade = random_colour(rng, saturation=rng.uniform(0, saturation), value=rng.beta(1.6, 1.8))
        window = picture[top:bottom, left:right]
        yy, xx = np.arange(top, bottom)[:, None] - cy, np.arange(left, right)[None, :] - cx
        tilt = 1 + rng.uniform(-0.3, 0.3) * yy / radius
        if rng.random() < 0.6:
            window[yy**2 + xx**2 < radius**2] = shade
        else:
            window[:] = shade
        window *= tilt[..., None]
    return np.clip(picture, 0, 1, out=picture)


def sample(picture: np.ndarray, size: Size, top: float, left: float, zoom: float = 1.0) -> np.ndarray:
    """A window of a wrapping picture at a sub-pixel position, bilinear; ``zoom`` > 1 shows less of it, larger."""
    height, width = size
    rows = top + (np.arange(height, dtype=np.float32) - height / 2) / zoom
    columns = left + (np.arange(width, dtype=np.float32) - width / 2) / zoom
    r0, c0 = np.floor(rows).astype(np.intp), np.floor(columns).astype(np.intp)
    fr, fc = (rows - r0).astype(np.float32)[:, None, None], (columns - c0).astype(np.float32)[None, :, None]
    ra, rb = r0 % picture.shape[0], (r0 + 1) % picture.shape[0]
    ca, cb = c0 % picture.shape[1], (c0 + 1) % picture.shape[1]
    upper, lower = picture[ra], picture[rb]
    band = upper + fr * (lower - upper)
    start = band[:, ca]
    return start + fc * (band[:, cb] - start)


def soft(distance: np.ndarray, size: Size) -> np.ndarray:
    """Coverage 0..1 of an edge from a signed distance in frame heights (negative = inside), one pixel wide: the anti-aliasing."""
    return np.clip(0.5 - distance * size[0], 0, 1)


def blend(picture: np.ndarray, colour: np.ndarray, alpha: np.ndarray) -> None:
    """Lay ``colour`` (one colour or a picture) over ``picture`` in place with coverage ``alpha`` [height, width]."""
    picture += alpha[..., None] * (colour - picture)
