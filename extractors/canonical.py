"""Write the canonical film: H.264 (yuv420p, constant frame rate, upright, square pixels) and AAC in an MP4 that a browser plays at once.

Runs in the gate's child only. A track that already is canonical is copied packet by packet, the other is encoded once. Nothing of the upload's
metadata is carried over, and encoders run with a fixed number of threads, so that the same bytes always give the same film.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter

from extractors.gate_probe import AudioTrack, Probe, VideoTrack, decode, open_upload, packets
from extractors.sound import SAMPLE_RATE, SoundLine
from extractors.worker_process import THREADS

_X264 = {"preset": "ultrafast", "crf": "23", "maxrate": "6M", "bufsize": "12M"}  # a third of veryfast's work, two to three times its bytes
_X264_THREADS = 2  # part of the result: another number gives other bytes
AAC_RATES = (16000, 22050, 24000, 32000, 44100, 48000)
_BT709, _UNKNOWN = 1, 2
_SD_MATRICES = (5, 6)  # BT.470BG and SMPTE 170M, kept as they are


def canonical_size(track: VideoTrack, box: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the upright picture with square pixels, even, inside the ``box`` (long side, short side) and never enlarged."""
    width, height = float(track.width * track.pixel_aspect), float(track.height)
    if any(name.startswith("transpose") for name in track.orientation):
        width, height = height, width
    scale = min(1.0, box[0] / max(width, height), box[1] / min(width, height))
    return tuple(max(16, 2 * round(side * scale / 2)) for side in (width, height))


def write_canonical(upload: str, demuxer: str, found: Probe, film_path: str, samples_path: str, box: tuple[int, int], tell: Callable) -> dict:
    """Write the film and its 16 kHz samples in one pass over the upload.

    Parameters
    ----------
    upload, demuxer : str
        As for :func:`extractors.gate_probe.open_upload`.
    found : Probe
    film_path, samples_path : str
        Files to write.
    box : tuple of int
        Long and short side the picture must fit in.
    tell : callable
        Called with the film time reached, in seconds.

    Returns
    -------
    dict
        ``width``, ``height``, ``fps`` and ``damaged``, the number of packets that could not be decoded.
    """
    with (
        open_upload(upload, demuxer) as source,
        av.open(film_path, "w", format="mp4", container_options={"movflags": "+faststart", "fflags": "+bitexact"}) as target,
    ):
        video = audio = None
        if found.video is not None:
            stream = source.streams[found.video.index]
            kind = _EncodedVideo if found.video.reasons else _CopiedVideo
            video = kind(source, target, stream, found, box)
        if found.audio is not None:
            audio = _Audio(target, source.streams[found.audio.index], found, samples_path)
        tracks = [source.streams[track.index] for track in (found.video, found.audio) if track is not None]
        for packet in packets(source, tracks):
            reached = None if packet.pts is None else float(packet.pts * packet.time_base) - found.origin
            writer = video if found.video is not None and packet.stream_index == found.video.index else audio
            for out in writer.add(packet):
                target.mux(out)
            if reached is not None:
                tell(reached)
        for writer in (video, audio):
            if writer is not None:
                for out in writer.finish():
                    target.mux(out)
    result = {"damaged": sum(writer.damaged for writer in (video, audio) if writer is not None), "width": 0, "height": 0, "fps": None}
    if video is not None:
        result |= {"width": video.size[0], "height": video.size[1], "fps": float(found.video.rate_out)}
    return result


def picture_encoder(target: av.container.OutputContainer, rate: Fraction, size: tuple[int, int], **options: str):
    """A new stream of canonical pictures at a constant ``rate``; pictures are numbered by their ``pts``. ``options`` go to the encoder."""
    stream = target.add_stream("libx264", rate=rate, options=_X264 | options)
    context = stream.codec_context
    context.width, context.height = size
    context.pix_fmt = "yuv420p"
    context.time_base = 1 / rate
    context.thread_count = _X264_THREADS
    context.gop_size = max(1, round(2 * rate))  # a seek lands within two seconds
    return stream


def sound_encoder(target: av.container.OutputContainer, rate: int, layout: str, bits: int = 64000):
    """A new stream of canonical sound of ``bits`` a second and channel."""
    return target.add_stream("aac", rate=rate, layout=layout, bit_rate=bits * (1 if layout == "mono" else 2))


def sound_frame(block: np.ndarray, rate: int, start: int) -> av.AudioFrame:
    """Samples, float32 [channels, n], as a frame whose first one is number ``start``."""
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout="mono" if len(block) == 1 else "stereo")
    frame.sample_rate = rate
    frame.time_base = Fraction(1, rate)
    frame.pts = start
    return frame


class _CopiedVideo:
    """Packets of a canonical track, with their times set to the exact grid of the frame rate."""

    def __init__(self, source, target, stream, found: Probe, box):
        track = found.video
        self.damaged = 0
        self.size = (track.width, track.height)
        self.stream = target.add_stream_from_template(stream)
        rate = track.rate
        self._ticks = rate.denominator * max(1, -(-12000 // rate.numerator))  # per picture
        self._base = Fraction(rate.denominator, rate.numerator) / self._ticks
        self.stream.time_base = self._base
        order = np.argsort(track.times, kind="stable")
        self._rank = np.empty(len(order), int)
        self._rank[order] = np.arange(len(order))
        self._delay = int(np.max(np.arange(len(order)) - self._rank))
        self._offset = round((track.start - found.origin) / self._base)
        self._number = 0

    def add(self, packet) -> Iterator[av.Packet]:
        if packet.size == 0 or self._number >= len(self._rank):
            return
        number = self._number
        self._number += 1
        packet.time_base = self._base
        packet.pts = self._offset + int(self._rank[number]) * self._ticks
        packet.dts = self._offset + (number - self._delay) * self._ticks
        packet.duration = self._ticks
        packet.stream = self.stream
        yield packet

    def finish(self) -> Iterator[av.Packet]:
        return iter(())


class _EncodedVideo:
    """Pictures made upright, square and small, put on the frame-rate grid by their presentation times, and encoded."""

    def __init__(self, source, target, stream, found: Probe, box):
        self.track: VideoTrack = found.video
        self.damaged = 0
        self.size = canonical_size(self.track, box)
        self._rate = self.track.rate_out
        self._origin = found.origin
        self._slots = max(1, round((self.track.end - found.origin) * float(self._rate)))
        self._decoder = stream
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = THREADS
        self._encoder = picture_encoder(target, self._rate, self.size)
        self._shrinker, self._reformatter = VideoReformatter(), VideoReformatter()
        self._graph = None
        self._pending: tuple[int, av.VideoFrame] | None = None
        self._last_time = None

    def add(self, packet) -> Iterator[av.Packet]:
        frames = decode(packet)
        self.damaged += frames is None
        for frame in frames or ():
            yield from self._add_frames(self._prepared(frame))

    def _add_frames(self, frames: Iterable[av.VideoFrame]) -> Iterator[av.Packet]:
        for frame in frames:
            time = frame.time if frame.time is not None else (self._last_time or self._origin) + float(1 / self._rate)
            if self._last_time is not None and time <= self._last_time:
                continue  # time runs backwards here: the picture has no place of its own
            self._last_time = time
            yield from self._place(round((time - self._origin) * float(self._rate)), frame)

    def finish(self) -> Iterator[av.Packet]:
        if self._graph is not None:
            self._graph.push(None)
            yield from self._add_frames(self._pulled())
        if self._pending is not None:
            yield from self._show(self._slots)
        yield from self._encoder.encode(None)

    def _place(self, slot: int, frame: av.VideoFrame) -> Iterator[av.Packet]:
        """Hold the picture before this one until ``slot``; the first picture stands from film time 0."""
        if self._pending is not None and slot > self._pending[0]:
            yield from self._show(slot)
            self._pending = (slot, frame)
        else:
            self._pending = (slot if self._pending else 0, frame)

    def _show(self, until: int) -> Iterator[av.Packet]:
        slot, frame = self._pending
        picture = self._normal(frame)
        for place in range(slot, min(until, self._slots)):
            picture.pts = place
            picture.time_base = 1 / self._rate
            yield from self._encoder.encode(picture)

    def _normal(self, frame: av.VideoFrame) -> av.VideoFrame:
        matrix = int(frame.colorspace)
        kept = matrix in (_BT709, _UNKNOWN, *_SD_MATRICES) and not self.track.hdr
        if self.track.hdr:  # mapping colours is slow: do it on the small picture
            frame = self._shrinker.reformat(frame, *self.size, frame.format.name, interpolation=Interpolation.BICUBIC, threads=_X264_THREADS)
        picture = self._reformatter.reformat(
            frame,
            *self.size,
            "yuv420p",
            interpolation=Interpolation.BICUBIC,
            dst_colorspace=None if kept else Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            dst_color_trc=ColorTrc.BT709 if self.track.hdr else None,
            dst_color_primaries=ColorPrimaries.BT709 if self.track.hdr else None,
            threads=_X264_THREADS,
        )
        picture.pict_type = 0
        return picture

    def _prepared(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
        """The picture deinterlaced, upright and without alpha; a filter may hold it back until the next one."""
        names = [("yadif", "deint=interlaced")] if self.track.interlaced else []
        if self.track.alpha:  # over black, as the empty screen is
            names += [("format", "yuva420p"), ("premultiply", "inplace=1")]
        names += [tuple(name.partition("=")[::2]) for name in self.track.orientation]
        if not names:
            yield frame
            return
        kind = (frame.width, frame.height, frame.format.name)
        if self._graph is None or self._kind != kind:
            self._kind = kind
            self._graph = av.filter.Graph()
            nodes = [self._graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=self._decoder.time_base)]
            nodes += [self._graph.add(name, argument or None) for name, argument in names]
            nodes.append(self._graph.add("buffersink"))
            self._graph.link_nodes(*nodes).configure()
        self._graph.push(frame)
        yield from self._pulled()

    def _pulled(self) -> Iterator[av.VideoFrame]:
        while True:
            try:
                yield self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):  # wants more, or has no more
                return


class _Audio:
    """The sound track twice: AAC for the film (copied or encoded), 16 kHz mono for the extractors."""

    def __init__(self, target, stream, found: Probe, samples_path: str):
        self.track: AudioTrack = found.audio
        self.damaged = 0
        self._origin = found.origin
        stream.thread_type = "AUTO"
        total = round(found.duration * SAMPLE_RATE)
        self._mono = SoundLine(SAMPLE_RATE, "mono", total)
        self._samples = np.lib.format.open_memmap(samples_path, "w+", np.float32, (total,))
        self._filled = 0
        self._shift = round(found.origin / stream.time_base)
        if self.track.copyable:
            self._out = target.add_stream_from_template(stream)
            return
        rate = self.track.rate if self.track.rate in AAC_RATES else 48000
        layout = "mono" if self.track.channels == 1 else "stereo"
        self._out = sound_encoder(target, rate, layout)
        self._line = SoundLine(rate, layout, round(found.duration * rate))
        self._encoded = 0

    def add(self, packet) -> Iterator[av.Packet]:
        frames = decode(packet)
        self.damaged += frames is None
        for frame in frames or ():
            time = None if frame.time is None else frame.time - self._origin
            if not self.track.copyable:
                for block in self._line.add(frame, time):
                    yield from self._encode(block)
            for block in self._mono.add(frame, time):
                self._keep(block)
        if self.track.copyable and packet.size:
            packet.pts -= self._shift
            packet.dts = packet.pts
            packet.stream = self._out
            yield packet

    def finish(self) -> Iterator[av.Packet]:
        for block in self._mono.finish():
            self._keep(block)
        self._samples.flush()
        if not self.track.copyable:
            for block in self._line.finish():
                yield from self._encode(block)
            yield from self._out.encode(None)

    def _keep(self, block: np.ndarray) -> None:
        self._samples[self._filled : self._filled + block.shape[1]] = block[0]
        self._filled += block.shape[1]

    def _encode(self, block: np.ndarray) -> Iterator[av.Packet]:
        frame = sound_frame(block, self._line.rate, self._encoded)
        self._encoded += block.shape[1]
        yield from self._out.encode(frame)
