"""The child of :mod:`extractors.edit_film`: writes an edited film and its 16 kHz samples from the canonical ones.

It answers as :mod:`extractors.gate_worker` does. A track that no step changes keeps its packets, and its samples their bytes.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from heapq import merge

import av
import numpy as np

from extractors.arrays import load_array
from extractors.canonical import AAC_RATES, picture_encoder, sound_encoder, sound_frame
from extractors.edit_picture import Film, Filters, blank_frame, blank_of, frames_wanted
from extractors.edit_sound import edited_sound, quality_of
from extractors.gate_limits import Facts
from extractors.gate_probe import decode, open_upload, packets
from extractors.gate_worker import SAY_EVERY_S, answer, audio_key, say, video_key
from extractors.sound import SAMPLE_RATE, SoundLine

_BLOCK = 8192
_BITS = 64000  # a second and channel at the usual quality
_USUAL = 23.0
_COARSER = 12.0  # this much more halves the bits


def main() -> int:
    """Do the job that stdin names; always 0 when an answer was given."""
    return answer(_edit)


def _edit(job: dict) -> dict:
    said = 0.0
    total = job["duration"]

    def tell(reached: float = 0.0) -> None:
        nonlocal said
        if time.monotonic() - said > SAY_EVERY_S:
            said = time.monotonic()
            say(done=min(max(reached, 0.0), total), total=total, doing="Editing the film")

    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with ExitStack() as files:
        source, source_again = (files.enter_context(open_upload(job["source"], "mov")) for _ in range(2))  # the tracks are read apart
        target = files.enter_context(av.open(job["film"], "w", format="mp4", container_options=options))
        tracks = []
        if job["has_video"]:
            tracks.append((_edited_pictures if job["picture"] else _copied)(job, source.streams.video[0], target))
        if job["sound"]:
            tracks.append(_edited_sound(job, target, tell))
        elif job["audio_key"]:
            tracks.append(_copied(job, source_again.streams.audio[0], target))
        for packet in merge(*tracks, key=_seconds):
            tell(_seconds(packet))
            target.mux(packet)
    if _heard_in_film(job["sound"]):
        np.save(job["samples"], _heard(job["film"], SAMPLE_RATE, "mono", total, tell)[0])
    elif job["audio_key"] and not job["sound"]:
        shutil.copyfile(job["source_samples"], job["samples"])
    with av.open(job["film"], format="mov") as film:
        count = len(film.streams)
    return {
        "duration": total,
        "fps": job["fps"],
        "width": job["width"],
        "height": job["height"],
        "video_key": (video_key(job["film"]) if job["picture"] else job["video_key"]) if job["has_video"] else None,
        "audio_key": audio_key(job["samples"]) if job["sound"] else job["audio_key"],
        "facts": Facts(count, job["width"], job["height"], job["fps"] or 0.0, total).to_dict(),
        "notices": job["notices"],
    }


def _seconds(packet: av.Packet) -> float:
    return float(packet.dts * packet.time_base)


def _copied(job: dict, stream, target) -> Iterator[av.Packet]:
    """A track as it is, packet by packet."""
    out = target.add_stream_from_template(stream)
    out.time_base = stream.time_base

    def pour() -> Iterator[av.Packet]:
        for packet in packets(stream.container, [stream]):
            if packet.size:
                packet.stream = out
                yield packet

    return pour()


def _edited_pictures(job: dict, stream, target) -> Iterator[av.Packet]:
    """The picture track, decoded, put into its new order, filtered and encoded once."""
    steps = job["picture"]
    film = Film(job["source"])
    wanted = frames_wanted(steps, film.count, film.rate, film.first)
    first = 0 if any(step[0] == "map" for step in steps) else film.first
    quality = quality_of(steps)
    out = picture_encoder(target, film.rate, film.size, **({} if quality is None else {"crf": f"{quality:g}"}))
    context, tagged = out.codec_context, stream.codec_context
    context.color_range, context.colorspace = tagged.color_range, tagged.colorspace
    context.color_primaries, context.color_trc = tagged.color_primaries, tagged.color_trc
    colour = blank_of(steps)
    filters = Filters(steps, film.size)

    def pour() -> Iterator[av.Packet]:
        blank = blank_frame(*film.size, colour) if colour is not None else None
        for place, frame in enumerate(film.frames(wanted) if blank is None else (blank for _ in wanted)):
            picture = filters(frame) if blank is None else blank
            picture.pts, picture.time_base, picture.pict_type = first + place, 1 / film.rate, 0
            yield from out.encode(picture)
        yield from out.encode(None)
        film.close()

    return pour()


def _edited_sound(job: dict, target, tell: Callable[..., None]) -> Iterator[av.Packet]:
    """The sound track through all steps, once for the film and once at 16 kHz for the extractors.

    What is compressed or stretched has no samples of its own at 16 kHz: the extractors hear the film's (:func:`_edit`).
    """
    steps, others = job["sound"], job["others"]
    shape_of = job["source"] if job["audio_key"] else others[next(step[1] for step in steps if step[0] == "clip")]["film"]
    rate, layout = _shape(shape_of)
    channels = 1 if layout == "mono" else 2
    unheard = steps[0][0] in ("silence", "clip")  # then nobody hears what was there before

    def before(rate: int, channels: int) -> np.ndarray:
        return np.zeros((channels, round(job["source_duration"] * rate)), np.float32)

    if not _heard_in_film(steps):
        plain = before(SAMPLE_RATE, 1) if unheard else load_array(job["source_samples"])[None]
        mono = edited_sound(plain, SAMPLE_RATE, steps, lambda key: load_array(others[key]["samples"])[None], tell)
        np.save(job["samples"], np.ascontiguousarray(mono[0], np.float32))
    sound = before(rate, channels) if unheard else _heard(job["source"], rate, layout, job["source_duration"], tell)
    sound = edited_sound(sound, rate, steps, lambda key: _heard(others[key]["film"], rate, layout, others[key]["duration"], tell), tell)
    quality = quality_of(steps)
    bits = _BITS if quality is None else round(_BITS * 2 ** ((_USUAL - quality) / _COARSER))
    out = sound_encoder(target, rate, layout, bits)

    def pour() -> Iterator[av.Packet]:
        for start in range(0, sound.shape[1], _BLOCK):
            yield from out.encode(sound_frame(sound[:, start : start + _BLOCK], rate, start))
        yield from out.encode(None)

    return pour()


def _heard_in_film(steps: list[list]) -> bool:
    return any(step[0] in ("quality", "stretch") for step in steps)


def _shape(path: str) -> tuple[int, str]:
    """Rate and layout in which the sound of a canonical film is encoded again."""
    with open_upload(path, "mov") as film:
        context = film.streams.audio[0].codec_context
        return (context.sample_rate if context.sample_rate in AAC_RATES else 48000), ("mono" if context.channels == 1 else "stereo")


def _heard(path: str, rate: int, layout: str, duration: float, tell: Callable[..., None]) -> np.ndarray:
    """The whole sound of a canonical film: float32 [channels, n]."""
    line = SoundLine(rate, layout, round(duration * rate))
    samples = np.zeros((line.channels, line.total), np.float32)
    filled = 0

    def fill(blocks: Iterator[np.ndarray]) -> None:
        nonlocal filled
        for block in blocks:
            samples[:, filled : filled + block.shape[1]] = block
            filled += block.shape[1]

    with open_upload(path, "mov") as film:
        stream = film.streams.audio[0]
        for packet in packets(film, [stream]):
            for frame in decode(packet) or ():
                fill(line.add(frame, frame.time))
            tell()
        fill(line.finish())
    return samples


if __name__ == "__main__":
    sys.exit(main())
