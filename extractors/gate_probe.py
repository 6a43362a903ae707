"""What is in an upload: which tracks, when they begin and end, and whether they already are canonical. Runs in the gate's child only.

Every packet is looked at once without decoding; its times are believed, the header's are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
from av.stream import Disposition

from extractors.errors import MediaError
from extractors.gate_limits import Facts, Limits, check_facts, check_picture, check_streams, too_long

CANONICAL_FPS = 60
"""Most pictures per second in a canonical film; faster film is thinned out."""

_STANDARD_RATES = [Fraction(rate) for rate in (24, 25, 30, 50, 60, 15, 12, 10, 48, 100, 120)]
_STANDARD_RATES += [Fraction(rate * 1000, 1001) for rate in (24, 30, 60, 120)]
_HDR_TRANSFERS = {16, 18}  # SMPTE 2084 (PQ) and ARIB STD-B67 (HLG)
_LOOK_PACKETS = 200  # packets tried until one picture or sound can be decoded
_PROTECTED = "The film is protected (DRM) and cannot be read."
_UNREADABLE = "Play it in a browser or VLC; if it does not play there, it is damaged. Otherwise save it again as H.264 MP4."


@dataclass
class VideoTrack:
    """The chosen picture track.

    ``times`` are the presentation times of all packets in decoding order, in seconds; ``rate`` is the canonical frame rate;
    ``orientation`` the filters that turn the picture upright; ``reasons`` why it must be re-encoded, empty when it is canonical.
    """

    index: int
    width: int
    height: int
    pixel_aspect: Fraction
    pix_fmt: str
    orientation: tuple[str, ...]
    interlaced: bool
    hdr: bool
    alpha: bool
    times: np.ndarray
    end: float
    rate: Fraction
    reasons: list[str] = field(default_factory=list)

    @property
    def rate_out(self) -> Fraction:
        """Frame rate of the canonical film: the track's own, halved until it is not above :data:`CANONICAL_FPS`."""
        rate = self.rate
        while rate > CANONICAL_FPS:
            rate /= 2
        return rate

    @property
    def start(self) -> float:
        """First presentation time in seconds."""
        return float(self.times.min())


@dataclass
class AudioTrack:
    """The chosen sound track: ``start`` is the time of the first decoded sample, ``copyable`` whether its packets are canonical AAC."""

    index: int
    start: float
    end: float
    rate: int
    channels: int
    copyable: bool


@dataclass
class Probe:
    """Everything the writer needs to know; ``origin`` is the time in the upload, in seconds, that becomes film time 0."""

    video: VideoTrack | None
    audio: AudioTrack | None
    origin: float
    duration: float
    facts: Facts
    notices: list[str]


def open_upload(path: str, demuxer: str) -> av.container.InputContainer:
    """Open the upload with one demuxer and no way to any other file.

    Raises
    ------
    MediaError
        ``truncated`` or ``not_media``.
    """
    options = {"protocol_whitelist": "file"}
    if demuxer == "mov":
        options |= {"enable_drefs": "0", "use_absolute_path": "0"}  # tracks that live in other files
    try:
        return av.open(path, format=demuxer, options=options, metadata_errors="replace")
    except av.error.MemoryError:
        raise
    except (av.error.FFmpegError, ValueError) as error:
        if demuxer == "mov" and not _has_index(path):
            message = "The film is cut off: its index (the moov atom) is missing, so nothing in it can be found."
            raise MediaError("truncated", message, "Download or copy the film again; it has not arrived whole.") from error
        raise MediaError("not_media", "The file begins like a film but cannot be read as one.", _UNREADABLE) from error


def _has_index(path: str) -> bool:
    """Whether the top-level boxes of an MP4 file hold a whole ``moov``."""
    with open(path, "rb") as file:
        end = file.seek(0, 2)
        position = 0
        for _ in range(10000):
            file.seek(position)
            head = file.read(16)
            if len(head) < 8:
                return False
            size = int.from_bytes(head[:4], "big")
            if size == 1:
                size = int.from_bytes(head[8:16], "big")
            elif size == 0:
                size = end - position
            if head[4:8] == b"moov":
                return position + size <= end
            if size < 8:
                return False
            position += size
    return False


def probe(path: str, demuxer: str, limits: Limits, box: tuple[int, int]) -> Probe:
    """Measure an upload and hold it against the limits.

    Parameters
    ----------
    path : str
        Absolute path of our own copy.
    demuxer : str
        From :func:`extractors.sniff.sniff`.
    limits : Limits
    box : tuple of int
        Long and short side that a canonical picture must fit in.

    Raises
    ------
    MediaError
        Any code of :func:`extractors.gate_limits.check_facts`, or ``truncated``, ``not_media``, ``unsupported_codec``, ``too_long``.
    """
    notices: list[str] = []
    with open_upload(path, demuxer) as film:
        count = len(film.streams)
        check_streams(count, limits)
        covers = Disposition.attached_pic | Disposition.timed_thumbnails
        pictures = [stream for stream in film.streams.video if not stream.disposition & covers]
        sounds = list(film.streams.audio)
        if not pictures and not sounds:
            raise MediaError("not_media", "The file holds neither a picture track nor a sound track.", "Upload a film or a sound file.")
        if len(film.streams.video) > len(pictures):
            notices.append("The cover picture was left out.")
        picture, sound = _choose(pictures, "picture", notices), _choose(sounds, "sound", notices)
        if picture is not None:
            check_picture(picture.codec_context.width, picture.codec_context.height, limits)
        stated = (film.duration or 0) / av.time_base
        walks = _walk(film, [track for track in (picture, sound) if track is not None], limits, stated)
        video = _video_track(picture, walks[picture.index], box, limits) if picture is not None else None
        audio = _audio_track(sound, walks[sound.index]) if sound is not None else None

    tracks = [track for track in (video, audio) if track is not None]
    origin = min(track.start for track in tracks)
    duration = round(max(track.end for track in tracks) - origin, 6)
    facts = Facts(count, 0, 0, 0.0, duration)
    if video is not None:
        facts = Facts(count, video.width, video.height, len(video.times) / max(video.end - video.start, 1e-3), duration)
        if abs(video.start - origin) > 1.5 / video.rate:
            video.reasons.append("it begins after the sound")
    check_facts(facts, limits)
    if stated > max(track.end for track in tracks) * 1.05 + 1:
        notices.append(f"The file says it lasts {stated:.0f} s but ends after {duration:.1f} s; it may have been cut off.")
    if video is None:
        notices.append("There is no picture: the picture stream is marked absent.")
    if audio is None:
        notices.append("There is no sound: the sound stream is marked absent.")
    return Probe(video, audio, origin, duration, facts, notices)


def _choose(tracks: list, what: str, notices: list[str]):
    """The track marked as default, else the first, among those that can be decoded."""
    known = [track for track in tracks if _decodable(track)]
    if tracks and not known:
        protected = any(_tag(track) in ("encv", "enca") for track in tracks)
        message = _PROTECTED if protected else f"The {what} track is in a format that cannot be decoded here."
        raise MediaError("unsupported_codec", message, "Save it again as H.264 MP4 with AAC sound.")
    if not known:
        return None
    chosen = next((track for track in known if track.disposition & Disposition.default), known[0])
    if len(tracks) > 1:
        language = chosen.language or ""
        named = f" ({language})" if language.isascii() and language.isalpha() and len(language) <= 3 and language != "und" else ""
        notices.append(f"The film has {len(tracks)} {what} tracks; number {tracks.index(chosen) + 1}{named} was taken.")
    return chosen


def _decodable(track) -> bool:
    return track.codec_context is not None and _tag(track) not in ("encv", "enca")


def _tag(track) -> str:
    return track.codec_context.codec_tag if track.codec_context is not None else ""


@dataclass
class _Walk:
    """What one pass over a track's packets found; times in seconds."""

    times: list[float] = field(default_factory=list)
    end: float = 0.0
    timed: bool = True  # every packet carries its own presentation time
    hidden: int = 0  # packets that are decoded but not shown (an encoder's run-in, a beginning cut off by an edit list)
    protected: bool = False
    first_is_key: bool = False
    frames: list = field(default_factory=list)


def _walk(film: av.container.InputContainer, tracks: list, limits: Limits, stated: float) -> dict[int, _Walk]:
    """Pass over all packets of the tracks, decoding only until a few frames of each are known."""
    walks = {track.index: _Walk() for track in tracks}
    ceiling = limits.max_long_side
    for track in tracks:
        if track.type == "video":  # the picture inside may be larger than the container says
            track.codec_context.options = {"max_pixels": str(ceiling * ceiling)}
    most = int(limits.max_duration_s * max(limits.max_fps, 1000) * 2)
    earliest = None
    for number, packet in enumerate(packets(film, tracks)):
        walk = walks[packet.stream_index]
        if len(walk.frames) < 3 and len(walk.times) < _LOOK_PACKETS:
            walk.frames += decode(packet) or []
        if packet.size == 0:
            continue
        ticks = packet.pts if packet.pts is not None else packet.dts
        walk.timed &= packet.pts is not None
        if packet.is_discard:
            walk.hidden += 1
            continue
        walk.protected |= packet.has_sidedata("encryption_info")
        if not walk.times:
            walk.first_is_key = packet.is_keyframe
        time = walk.end if ticks is None else float(ticks * packet.time_base)  # without any time: right behind the last one
        walk.times.append(time)
        walk.end = max(walk.end, time + float((packet.duration or 0) * packet.time_base)) if len(walk.times) > 1 else time
        earliest = time if earliest is None else min(earliest, time)
        if walk.end - earliest > limits.max_duration_s + 1 or number > most:
            raise too_long(stated if stated > limits.max_duration_s else None, limits)
    return walks


def packets(film: av.container.InputContainer, tracks: list) -> Iterator[av.Packet]:
    """Packets of the tracks up to the first place that cannot be read."""
    try:
        yield from film.demux(tracks)
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError:
        return


def decode(packet: av.Packet) -> list | None:
    """The packet's frames; None when it is damaged."""
    try:
        return packet.decode()
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError:
        return None


def _nothing_decoded(what: str, walk: _Walk) -> MediaError:
    if walk.protected:
        return MediaError("unsupported_codec", _PROTECTED, "Use a copy without protection.")
    if not walk.times:
        return MediaError("truncated", f"The {what} track is empty: the file was cut off before it begins.", "Copy the film again.")
    return MediaError("not_media", f"Nothing in the {what} track can be decoded: it is damaged or protected.", _UNREADABLE)


def _video_track(stream, walk: _Walk, box: tuple[int, int], limits: Limits) -> VideoTrack:
    if not walk.frames or walk.protected:
        raise _nothing_decoded("picture", walk)
    frame = walk.frames[0]
    check_picture(frame.width, frame.height, limits)
    context = stream.codec_context
    times = np.array(walk.times)
    rate, regular = _frame_rate(np.sort(times), stream)
    pixel_aspect = stream.sample_aspect_ratio or Fraction(1)
    orientation = _orientation(frame)
    components = frame.format.components
    track = VideoTrack(
        index=stream.index,
        width=frame.width,
        height=frame.height,
        pixel_aspect=pixel_aspect if Fraction(1, 20) < pixel_aspect < 20 else Fraction(1),
        pix_fmt=frame.format.name,
        orientation=orientation,
        interlaced=any(picture.interlaced_frame for picture in walk.frames),
        hdr=frame.color_trc in _HDR_TRANSFERS,
        alpha=any(component.is_alpha for component in components),
        times=times,
        end=max(walk.end, float(times.max() + 1 / rate)),
        rate=rate,
    )
    reasons = {
        f"it is {context.name}": context.name != "h264",
        f"its colours are stored as {track.pix_fmt}": track.pix_fmt != "yuv420p" or bool(walk.frames[0].color_range == 2),
        "it is interlaced": track.interlaced,
        "it is HDR": track.hdr,
        "it lies on its side": bool(orientation),
        "its pixels are not square": track.pixel_aspect != 1,
        f"it is {track.width} x {track.height}": max(frame.width, frame.height) > box[0]
        or min(frame.width, frame.height) > box[1]
        or bool(frame.width % 2 or frame.height % 2),
        "its frame rate varies": not regular,
        f"it has more than {CANONICAL_FPS} pictures per second": rate > CANONICAL_FPS,
        "its beginning was cut off": bool(walk.hidden) or not walk.first_is_key,
        "its packets carry no times": not walk.timed,
        "its headers lie between the pictures": context.name == "h264" and not context.extradata,
    }
    track.reasons = [reason for reason, applies in reasons.items() if applies]
    return track


def _audio_track(stream, walk: _Walk) -> AudioTrack:
    if not walk.frames or walk.protected:
        raise _nothing_decoded("sound", walk)
    frame, context = walk.frames[0], stream.codec_context
    times = np.array(walk.times)
    start = frame.time if frame.time is not None else float(times[0])
    steps = np.diff(times)
    steady = len(steps) == 0 or float(np.abs(steps - np.median(steps)).max()) < 0.02
    copyable = (
        context.name == "aac"
        and context.profile == "LC"
        and bool(context.extradata)
        and context.channels <= 2
        and 8000 <= context.sample_rate <= 48000
        and all(picture.sample_rate == context.sample_rate for picture in walk.frames)
        and walk.timed
        and steady
    )
    return AudioTrack(stream.index, start, max(walk.end, start + frame.samples / frame.sample_rate), frame.sample_rate, context.channels, copyable)


def _frame_rate(times: np.ndarray, stream) -> tuple[Fraction, bool]:
    """Frame rate of a picture track, and whether all its pictures keep to it.

    A picture may stand off its place by a fifth of a period or 5 ms, whichever is less: clocks of phones and the milliseconds of Matroska do.
    Without one rate for all, the usual distance between pictures decides.
    """
    if len(times) < 2:
        return Fraction(25), False
    span = float(times[-1] - times[0])
    mean = (len(times) - 1) / span if span > 0 else 25.0
    candidates = [rate for rate in (stream.average_rate, stream.guessed_rate) if rate] + _STANDARD_RATES
    candidates = [rate for rate in candidates if abs(float(rate) / mean - 1) < 0.01] + [Fraction(mean).limit_denominator(1001)]
    for rate in candidates:
        if rate <= 0:
            continue
        off = times - times[0] - np.arange(len(times)) / float(rate)
        if np.ptp(off) / 2 <= min(0.2 / float(rate), 0.005):
            return rate, True
    steps = np.diff(times)
    usual = 1 / max(float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.04, 1e-4)
    near = min(_STANDARD_RATES, key=lambda rate: abs(float(rate) - usual))
    return (near if abs(float(near) / usual - 1) < 0.03 else Fraction(max(1, round(usual)))), False


def _orientation(frame: av.VideoFrame) -> tuple[str, ...]:
    """Filters that turn a picture upright by its display matrix (quarter turns and mirrors; other angles go to the nearest quarter)."""
    try:
        side = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # side data of a kind PyAV has no name for hides the rest
        return {90: ("transpose=cclock",), -90: ("transpose=clock",), 180: ("hflip", "vflip"), -180: ("hflip", "vflip")}.get(frame.rotation, ())
    if side is None:
        return ()
    matrix = np.frombuffer(bytes(side), np.int32)[[0, 1, 3, 4]].astype(float)
    if not np.abs(matrix).max() > 0:
        return ()
    turned = abs(matrix[1]) + abs(matrix[2]) > abs(matrix[0]) + abs(matrix[3])
    if turned:
        b, c = np.sign(matrix[1]), np.sign(matrix[2])
        name = {(1, -1): "clock", (-1, 1): "cclock", (1, 1): "cclock_flip", (-1, -1): "clock_flip"}.get((b, c), "clock")
        return (f"transpose={name}",)
    return tuple(name for name, sign in (("hflip", matrix[0]), ("vflip", matrix[3])) if sign < 0)
