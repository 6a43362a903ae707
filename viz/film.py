"""Responses as a film: the stimulus with its words, glass brain, surface and the seven curves on one clock, as MP4 or GIF.

What is drawn follows the player: at film time t the row ``floor((t + lag) / TR)``, steps and never morphs between rows. Beyond the last row stands
"no prediction here", also in the last part of a TR, where the player keeps the last row and says so.
"""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from encoder.responses import Responses
from extractors.clip import Clip
from extractors.errors import MediaError, SelectionError
from extractors.frames import iter_frames
from extractors.grid import TR
from extractors.in_thread import Tell, in_thread
from extractors.stages import Stage, last
from extractors.transcript import Transcript
from viz.film_page import FilmPage, Layout, lay
from viz.film_writers import Gif, Mp4, palette_of
from viz.lettering import plain
from viz.look import Look
from viz.writing import check_ending, whole_file

SIZES = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080)}
GIF_LINES = 540
"""A GIF is never larger: it stores every picture nearly whole."""

FASTEST, SLOWEST = 30, 8
"""Pictures a second of a film that has a picture of its own."""

A_TR = 10
"""Pictures a TR where sound or words move between the rows but no picture does."""

GIF_FPS = 5
PALETTE_PAGES = 6
TR_EXACT = Fraction(149, 100)
TICK_S = 0.25


def animate(
    responses: Responses,
    output_file: str | os.PathLike,
    *,
    subject: int | None = None,
    look: Look | None = None,
    film: str | os.PathLike | None = None,
    transcript: Transcript | None = None,
    rows: Sequence[int] | None = None,
    size: str = "720p",
    sound: bool = True,
    title: str | None = None,
) -> Path:
    """Make a film and return its path; arguments and errors as for :func:`film_stages`."""
    how = {"film": None if film is None else Path(film), "transcript": transcript, "rows": rows, "size": size, "sound": sound, "title": title}
    return last(film_stages(responses, output_file, subject=subject, look=look or Look(), **how))


def film_stages(
    responses: Responses,
    path: str | os.PathLike,
    *,
    subject: int | None = None,
    look: Look | None = None,
    film: Path | None = None,
    transcript: Transcript | None = None,
    rows: Sequence[int] | None = None,
    size: str = "720p",
    sound: bool = True,
    title: str | None = None,
) -> Generator[Any, None, None]:
    """Make a film of a result.

    Parameters
    ----------
    responses : Responses
    path : path
        Ends in ``.mp4`` or ``.gif``. A GIF is silent and at most 540 lines high.
    subject : int, optional
        By default the mean of all.
    look : Look, optional
    film : pathlib.Path, optional
        The canonical film (``clip.path``); its picture stands beside the brains, its sound is copied as it is. A sound file of that form has no
        picture, and the brains take the page.
    transcript : Transcript, optional
        Words are written, the one being said marked.
    rows : sequence of int, optional
        TRs of film time to show, one after the other without a gap; by default the whole film.
    size : {"720p", "480p", "1080p"}
    sound : bool
        False leaves the sound out.
    title : str, optional
        Shown as it is; by default the clip's name.

    Yields
    ------
    Stage
        Named "film"; the last item is the path. An MP4 has the film's frame rate, 30 at most; without a picture ten pictures a TR, or a single
        one where neither sound nor words nor a lag ask for more. In a GIF of the brains alone a picture lasts as long as its row, 1.49 s; with
        the film it has 5 pictures a second.

    Raises
    ------
    SelectionError
        For another ending or size, an unknown subject, rows outside the result or apart, a film that is not this result's.
    MediaError
        For a film that is gone, damaged, or not in canonical form.
    CacheError
        When the file cannot be written; nothing half-written stays.
    """
    path = check_ending(Path(path), ".mp4", ".gif")
    look = look or Look()
    job = _Job.of(responses, path, look, film, transcript, rows, size, sound)
    page = FilmPage(
        responses,
        job.layout,
        subject=subject,
        look=look,
        transcript=transcript,
        span=(float(job.start), float(job.end)),
        title=plain(responses.clip_name if title is None else title),
    )

    def work(tell: Tell) -> Path:
        with whole_file(path, "film") as part:
            (_write_gif if job.is_gif else _write_mp4)(job, page, part, tell)
        return path

    written = yield from in_thread("film", job.count, "Drawing the film", work)
    yield Stage("film", job.count, job.count, f"{job.count} pictures are drawn")
    yield written


@dataclass(frozen=True, eq=False)
class _Job:
    """What is to be made: times are exact film seconds."""

    responses: Responses
    look: Look
    clip: Clip | None
    sound: Path | None
    layout: Layout
    rate: Fraction
    start: Fraction
    end: Fraction
    is_gif: bool

    @classmethod
    def of(
        cls,
        responses: Responses,
        path: Path,
        look: Look,
        film: Path | None,
        transcript: Transcript | None,
        rows: Sequence[int] | None,
        size: str,
        sound: bool,
    ) -> _Job:
        if size not in SIZES:
            raise SelectionError("size", f"Allowed sizes are {', '.join(SIZES)}, but got {size!r} instead.", "For example 720p.")
        if not responses.n_trs:
            raise SelectionError("no_rows", "This result has no row to show.", "Run a longer film.")
        is_gif = path.suffix.lower() == ".gif"
        clip = None if film is None else canonical(Path(film))
        if clip is not None and abs(clip.duration - responses.duration) > TR:
            told = f"{clip.duration:.1f} s and {responses.duration:.1f} s"
            raise SelectionError("another_film", f"The film and the result differ in length: {told}.", "Give the film that the result was made from.")
        width, height = SIZES[size]
        if is_gif and height > GIF_LINES:
            width, height = 2 * round(width * GIF_LINES / height / 2), GIF_LINES
        words = transcript is not None and transcript.n_words > 0
        pictured = clip if clip is not None and clip.has_video else None
        shape = (pictured.width, pictured.height) if pictured else None
        layout = Layout.of(width, height, look.views, film=shape, words=words)
        heard = clip is not None and clip.has_audio and sound and not is_gif
        if pictured:
            rate = Fraction(GIF_FPS) if is_gif else frame_rate(pictured.fps or 25)
        else:
            rate = (A_TR if heard or words or look.lag else 1) / TR_EXACT
        whole = Fraction(clip.duration).limit_denominator(10**6) if clip is not None else responses.n_trs * TR_EXACT
        start, end = _span(rows, responses.n_trs, whole)
        if pictured:  # the film's own pictures: begin with one of them
            start = math.ceil(start * rate) / rate
        return cls(responses, look, pictured, Path(film) if heard else None, layout, rate, start, end, is_gif)

    @property
    def count(self) -> int:
        """Number of pictures."""
        return (
            len(self.changes()) - 1
            if self.is_gif and self.clip is None
            else max(1, math.ceil((self.end - self.start) * self.rate - Fraction(1, 10**4)))
        )

    def changes(self) -> list[Fraction]:
        """Film times at which the row changes, from the start to the end."""
        lag = Fraction(self.look.lag)
        edges = (row * TR_EXACT - lag for row in range(self.responses.n_trs + 1))
        return [self.start, *(edge for edge in edges if self.start < edge < self.end), self.end]

    def moments(self, tell: Tell) -> Iterator[tuple[float, np.ndarray | None]]:
        """Film time and stimulus picture of every picture."""
        if self.clip is None:
            for number in range(self.count):
                yield float(self.start + number / self.rate), None
            return
        first = int(self.start * self.rate)
        with closing(self.pictures(self.rate, tell)) as pictures:
            for number, (_, picture) in enumerate(islice(pictures, first + self.count)):
                if number >= first:
                    yield float(number / self.rate), picture

    def pictures(self, rate: Fraction, tell: Tell) -> Generator[tuple[float, np.ndarray], None, None]:
        """The film's pictures at the size of their place, from its beginning."""
        assert self.clip is not None
        assert self.layout.film is not None
        size = (self.layout.film.width, self.layout.film.height)
        for found in iter_frames(self.clip, fps=float(rate), size=size, tick_s=TICK_S):
            tell()
            if found is not None:
                yield found

    def told(self) -> str:
        """One line for the file's own notes."""
        responses = self.responses
        kind = "SIMULATED responses" if responses.simulated else "Predicted responses"
        return f"{kind} of {plain(responses.model_title)} ({responses.model_id}, weights {responses.weights_sha256[:8]}); made with Cineglass"


def _span(rows: Sequence[int] | None, n_trs: int, whole: Fraction) -> tuple[Fraction, Fraction]:
    """Film time that the chosen TRs cover."""
    if rows is None:
        return Fraction(0), whole
    chosen = list(rows)
    if not chosen or any(isinstance(row, bool) or not isinstance(row, (int, np.integer)) for row in chosen):
        raise SelectionError("rows", "The rows of a film are whole numbers, at least one.", f"This result has rows 0 to {n_trs - 1}.")
    outside = [row for row in chosen if not 0 <= row < n_trs]
    if outside:
        raise SelectionError("row_outside", f"Allowed rows are 0 to {n_trs - 1}, but got {outside[0]} instead.", f"Name rows from 0 to {n_trs - 1}.")
    if any(later != row + 1 for row, later in pairwise(chosen)):
        raise SelectionError("rows_apart", "The rows of a film must follow each other without a gap.", "Name a range such as 10-19.")
    return int(chosen[0]) * TR_EXACT, min(whole, (int(chosen[-1]) + 1) * TR_EXACT)


def frame_rate(fps: float) -> Fraction:
    """The film's own rate, or the whole part of it that is not above 30, or multiple that is not below 8."""
    rate = Fraction(fps).limit_denominator(1001)
    if rate > FASTEST:
        return rate / math.ceil(rate / FASTEST - Fraction(1, 100))
    return rate * math.ceil(SLOWEST / rate)


def canonical(path: Path) -> Clip:
    """A canonical film as a clip, from what its container says.

    Raises
    ------
    MediaError
        ``clip_gone``, or ``not_canonical`` for a file of another form.
    """
    import av

    if not path.is_file():
        raise Clip.gone()
    try:
        with av.open(str(path), format="mov", options={"protocol_whitelist": "file"}) as file:
            video, audio = next(iter(file.streams.video), None), next(iter(file.streams.audio), None)
            duration = (file.duration or 0) / av.time_base
            right = video is None or (video.codec_context.name == "h264" and video.codec_context.pix_fmt == "yuv420p")
            right = right and (audio is None or audio.codec_context.name == "aac") and (video or audio) and duration > 0
            if right:
                return Clip(
                    path=path,
                    samples_path=None,
                    sha256="",
                    video_key="film" if video else None,
                    audio_key="film" if audio else None,
                    name=path.name,
                    duration=duration,
                    n_trs=math.floor(duration / TR + 1e-6),
                    fps=float(video.average_rate) if video else None,
                    width=video.codec_context.width if video else 0,
                    height=video.codec_context.height if video else 0,
                )
    except (av.error.FFmpegError, OSError):
        pass
    message = "The film beside a result must be the admitted one (MP4 with H.264 and AAC), but this file is not."
    raise MediaError("not_canonical", message, "Give the path of the clip that the result was made from.")


def _write_mp4(job: _Job, page: FilmPage, part: Path, tell: Tell) -> None:
    told = {"title": page.title, "comment": job.told()}
    span = (float(job.start), float(job.end))
    out = Mp4(part, page.ground(), rate=job.rate, sound=job.sound, span=span, told=told)
    try:
        for number, (time, picture) in enumerate(job.moments(tell)):
            tell(number, f"Picture {number + 1} of {job.count}")
            out.add(page.patches(time, picture))
        out.finish()
    finally:
        out.close()


def _write_gif(job: _Job, page: FilmPage, part: Path, tell: Tell) -> None:
    ground, film = page.ground(), job.layout.film
    palette = palette_of(_some_pages(job, page, ground, tell), dark=job.look.dark, map_name=job.look.map_name)
    page.shown.clear()
    place = None if film is None else (film.left, film.top, film.left + film.width, film.top + film.height)
    out = Gif(part, ground, palette=palette, told=job.told(), dithered=place)
    try:
        if job.clip is None:
            changes = job.changes()
            for number, (edge, following) in enumerate(pairwise(changes)):
                tell(number, f"Picture {number + 1} of {job.count}")
                hundredths = round(100 * (following - job.start)) - round(100 * (edge - job.start))
                out.add(page.patches(float(edge)), hundredths)
        else:
            for number, (time, picture) in enumerate(job.moments(tell)):
                tell(number, f"Picture {number + 1} of {job.count}")
                out.add(page.patches(time, picture), 100 // GIF_FPS)
        out.finish()
    finally:
        out.close()


def _some_pages(job: _Job, page: FilmPage, ground: np.ndarray, tell: Tell) -> list[np.ndarray]:
    """A few whole pages from all over the film, for the palette."""
    pages = []
    length = float(job.end - job.start)
    found: Iterator = iter(())
    if job.clip is not None:
        found = job.pictures(Fraction(PALETTE_PAGES / job.clip.duration).limit_denominator(1000), tell)
    for number in range(PALETTE_PAGES):
        whole = ground.copy()
        _, picture = next(found, (None, None))
        page.shown.clear()
        lay(whole, page.patches(float(job.start) + length * (number + 0.5) / PALETTE_PAGES, picture))
        pages.append(whole)
    return pages
