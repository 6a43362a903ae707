"""The child of :mod:`extractors.stimuli`: decodes pictures and writes films and sounds, within the gate's limits.

It answers as :mod:`extractors.gate_worker` does. Nothing of a picture but its pixels and the side that is up leaves it.
"""

from __future__ import annotations

import math
import sys
import time
import wave
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from extractors.errors import MediaError
from extractors.gate_worker import SAY_EVERY_S, answer, say
from extractors.sound import SAMPLE_RATE

if TYPE_CHECKING:
    from PIL import Image

FADE_S = 0.02
"""Sounds begin and end this softly, so that nothing clicks."""
_LOW_HZ = 20.0


def main() -> int:
    """Do the job that stdin names; always 0 when an answer was given."""
    return answer(_make)


def _make(job: dict) -> dict:
    if "pictures" in job:
        _write_film(job)
    else:
        write_sound(job["out"], samples_of(job))
    return {}


def samples_of(job: dict) -> np.ndarray:
    """Mono samples, float32 at 16 kHz, of a "tone" or a "noise" with the values of its statement, and the silence before it."""
    count = round(job["seconds"] * SAMPLE_RATE)
    if job["name"] == "tone":
        wanted = np.sin(2 * np.pi * job["hz"] * np.arange(count) / SAMPLE_RATE)
    else:
        wanted = np.random.default_rng(int(job["seed"])).standard_normal(count)
        if job["colour"] == "pink":
            frequencies = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
            weights = np.where(frequencies >= _LOW_HZ, 1 / np.sqrt(np.maximum(frequencies, _LOW_HZ)), 0.0)
            wanted = np.fft.irfft(np.fft.rfft(wanted) * weights, count)
    wanted *= 10 ** (job["level"] / 20) / np.sqrt(np.mean(wanted**2))
    ramp = np.sin(np.linspace(0, np.pi / 2, round(FADE_S * SAMPLE_RATE))) ** 2
    wanted[: len(ramp)] *= ramp
    wanted[-len(ramp) :] *= ramp[::-1]
    return np.concatenate([np.zeros(round(job["start"] * SAMPLE_RATE), np.float32), wanted.astype(np.float32)])


def write_sound(path: str, samples: np.ndarray) -> None:
    """A 16-bit WAV file; what lies beyond full scale is cut."""
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes())


def _write_film(job: dict) -> None:
    import av
    from av.video.reformatter import ColorRange, Colorspace

    from extractors.canonical import picture_encoder

    rate = Fraction(job["fps"])
    before = round(job.get("start", 0) * job["fps"])
    total = before + round(job["seconds"] * job["fps"])
    images = [picture_of(**picture, most_pixels=job["most_pixels"]) for picture in job["pictures"]]
    size = _size(images[0].size, job["height"])
    shown = []
    for pixels in (*(_fitted(image, size) for image in images), np.zeros((size[1], size[0], 3), np.uint8)):
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        shown.append(frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG))
    said = time.monotonic()
    with av.open(job["out"], "w", format="mp4", container_options={"fflags": "+bitexact"}) as target:
        stream = picture_encoder(target, rate, size, **{"x264-params": "colorprim=bt709:transfer=bt709:colormatrix=bt709"})
        for number in range(total):
            turn = int((number - before) / job["fps"] / job["each"] + 1e-9) % 2 if "each" in job else 0
            frame = shown[turn if number >= before else -1]
            frame.pts, frame.time_base = number, 1 / rate
            target.mux(stream.encode(frame))
            if time.monotonic() - said > SAY_EVERY_S:
                said = time.monotonic()
                say(done=number, total=total, doing="Writing the pictures")
        target.mux(stream.encode(None))


def _size(size: tuple[int, int], height: int) -> tuple[int, int]:
    """Width and height of the film for a picture of ``size``: even, inside 16:9 of the canonical height, never enlarged but to 16 pixels."""
    box = (math.ceil(height * 16 / 9 / 2) * 2, height)
    scale = min(1.0, box[0] / max(size), box[1] / min(size))
    return tuple(max(16, 2 * round(side * scale / 2)) for side in size)


def picture_of(path: str, form: str, shown: str, most_pixels: int) -> Image.Image:
    """A picture as upright RGB, without alpha (over black, as the empty screen is), of an animation the first one.

    Parameters
    ----------
    path : str
    form : {"PNG", "JPEG", "WEBP"}
        The only decoder that is tried.
    shown : str
        What the visitor calls the file.
    most_pixels : int
        Judged by the header, before anything is decoded.

    Raises
    ------
    MediaError
        ``picture_too_large`` or ``picture_damaged``.
    """
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = None  # the limit here is our own, and told in words
    try:
        with Image.open(path, formats=[form]) as opened:
            if opened.width * opened.height > most_pixels:
                raise MediaError(
                    "picture_too_large",
                    f'The picture "{shown}" is {opened.width} x {opened.height}; {most_pixels / 1e6:.0f} million pixels are allowed.',
                    "Save it smaller: 1280 x 720 is all that is used.",
                )
            opened.draft("RGB", (2048, 2048))  # JPEG can be decoded smaller at once
            opened.load()
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith(("I", "F")):
                image = _grey_of(image)
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
            return image.convert("RGB")
    except (MediaError, MemoryError):
        raise
    except Exception:  # hostile bytes raise anything; nothing of it is for a person
        raise MediaError(
            "picture_damaged",
            f'The picture "{shown}" cannot be read.',
            "Open it in another program and save it again as PNG or JPEG.",
        ) from None


def _grey_of(image: Image.Image) -> Image.Image:
    """A picture of 16 bits and more as one of 8."""
    from PIL import Image

    values = np.asarray(image, np.float32)
    top = 65535.0 if image.mode.startswith("I") else 1.0
    return Image.fromarray((np.clip(values / top, 0, 1) * 255).round().astype(np.uint8))


def _fitted(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """Pixels uint8 [height, width, 3] of the whole picture inside ``size``, over black; one of nearly that shape fills it."""
    from PIL import Image, ImageOps

    if abs(image.width * size[1] - image.height * size[0]) <= 2 * max(image.size):
        return np.asarray(image.resize(size, Image.Resampling.LANCZOS))
    return np.asarray(ImageOps.pad(image, size, Image.Resampling.LANCZOS, color=(0, 0, 0)))


if __name__ == "__main__":
    sys.exit(main())
