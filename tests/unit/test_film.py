from __future__ import annotations

import errno
import math
import time
from dataclasses import replace

import av
import numpy as np
import pytest
from PIL import Image

from encoder.atlas import load_atlas
from encoder.responses import Responses
from extractors.errors import CacheError, MediaError, SelectionError
from extractors.grid import TR
from extractors.media import admit
from extractors.stages import Stage, last
from extractors.transcript import Transcript
from settings import Settings
from tests.films import write_film
from viz import film as films
from viz.colours import colour_table
from viz.film import animate, canonical, film_stages, frame_rate
from viz.film_page import FilmPage, Layout, captions
from viz.look import Look

ROWS, FPS, LENGTH = 12, 10, 18.5  # 12 whole TRs (17.88 s) and a rest
LEFT = int(np.argmin(load_atlas().centroids[:, 0]))
"""The leftmost parcel: nearest to the viewer of the left views."""

AROUND = np.flatnonzero((load_atlas().hemispheres == "L") & (np.linalg.norm(load_atlas().centroids - load_atlas().centroids[LEFT], axis=1) < 20))
"""It and its neighbours: a patch larger than the blocks that film codecs keep colours in."""


def planted(rows=ROWS, *, simulated=True, duration=None) -> Responses:
    """All 0 but a patch of parcels, which is strongly up in even rows and strongly down in odd ones."""
    values = np.zeros((2, rows, 1000), np.float32)
    values[:, :, AROUND] = np.where(np.arange(rows) % 2, -2, 2)[None, :, None]
    values[1] *= -1  # the second brain does the opposite, so that their mean is flat
    return Responses(
        values=values,
        subjects=(1, 2),
        simulated=simulated,
        valid=np.arange(rows) > 2,
        model_id="m",
        model_title="Model <b>",
        weights_sha256="a" * 64,
        extractor_ids={},
        clip_sha256="0" * 64,
        clip_name="a <clip> & more.mp4",
        duration=rows * TR if duration is None else duration,
        present={},
        transcript_source="none",
    )


LOOK = Look(vmax=1.0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("film")
    path = write_film(folder / "a.mp4", LENGTH, fps=FPS, size=(128, 96), audio_seconds=LENGTH)
    return last(admit(path, settings=Settings(cache_dir=folder / "cache"), allow_short=True))


@pytest.fixture(scope="module")
def whole(clip):
    """The result of that film."""
    assert clip.n_trs == ROWS
    return planted(duration=clip.duration)


@pytest.fixture(scope="module")
def made(clip, whole, tmp_path_factory):
    path = tmp_path_factory.mktemp("made") / "film.mp4"
    return animate(whole, path, subject=1, look=LOOK, film=clip.path, transcript=spoken())


@pytest.fixture(scope="module")
def shown(made):
    """Its pictures."""
    return pictures(made)


def spoken(rows=ROWS) -> Transcript:
    """One word a TR, said for its first second."""
    rows = range(rows)
    return Transcript(
        text_per_tr=tuple(f"word{k}" for k in rows),
        words_per_tr=tuple((f"word{k}",) for k in rows),
        onsets_per_tr=tuple((k * TR,) for k in rows),
        durations_per_tr=tuple((1.0,) for k in rows),
        source="file a.tsv",
        timing="given",
    )


def pictures(path) -> dict[float, np.ndarray]:
    """Every picture of a film by its time: uint8 [height, width, 3]."""
    with av.open(str(path)) as file:
        return {frame.time: frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)}


def at(shown: dict[float, np.ndarray], time_s: float) -> np.ndarray:
    """The picture on view at a time: int [height, width, 3]."""
    return shown[max(moment for moment in shown if moment <= time_s + 1e-3)].astype(int)


def places(responses, look, **how) -> dict[str, tuple[int, int]]:
    """Where the leftmost parcel stands on the film's page, by view."""
    layout = Layout.of(1280, 720, look.views, **how)
    page = FilmPage(responses, layout, subject=1, look=look, transcript=None, span=(0, 1), title="")
    found = {key: page.painter.place_of(LEFT, key) for key in ("l", "ll")}
    return {key: (x + layout.brains.left, y + layout.brains.top) for key, (x, y) in found.items()}


def test_a_film_lasts_as_long_as_the_stimulus_and_has_its_frame_rate(made, clip):
    with av.open(str(made)) as file:
        video, audio = file.streams.video[0], file.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (video.width, video.height, video.average_rate) == (1280, 720, FPS)
        assert float(video.duration * video.time_base) == pytest.approx(clip.duration, abs=1 / FPS)
        assert audio.codec_context.name == "aac"
        assert file.duration / av.time_base == pytest.approx(clip.duration, abs=1 / FPS)
        assert "SIMULATED" in file.metadata["comment"]
    head = made.read_bytes()
    assert head.index(b"moov") < head.index(b"mdat")  # plays while it loads


def packets(path, start=None, end=None) -> list[tuple[float, bytes]]:
    with av.open(str(path)) as file:
        found = [(float(packet.pts * packet.time_base), bytes(packet)) for packet in file.demux(audio=0) if packet.size]
    return [(moment, content) for moment, content in found if start is None or start <= moment < end]


def test_the_sound_is_the_stimulus_own_packet_by_packet(made, clip):
    assert packets(made) == packets(clip.path)
    assert len(packets(made)) > 100


@pytest.mark.parametrize("key", ["l", "ll"])
def test_every_row_shows_its_colour_in_both_brains_and_changes_on_its_own_frame(shown, whole, clip, key):
    x, y = places(whole, LOOK, film=(clip.width, clip.height), words=True)[key]
    up, down = colour_table("cineglass_light")[[-1, 0]].astype(int)

    def looks(picture, colour) -> bool:
        seen = picture[y - 1 : y + 2, x - 1 : x + 2].mean((0, 1))
        return bool(np.abs(seen - colour).max() < 45)

    for row in range(10):
        expected, other = (up, down) if row % 2 == 0 else (down, up)
        middle = at(shown, (row + 0.5) * TR)
        assert looks(middle, expected), row
        assert not looks(middle, other), row
        following = (row + 1) * TR
        assert looks(at(shown, following - 1 / FPS), expected), row
        assert looks(at(shown, following + 1 / FPS), other), row


def test_beyond_the_last_row_the_film_says_that_there_is_no_prediction(shown, whole, clip):
    x, y = places(whole, LOOK, film=(clip.width, clip.height), words=True)["ll"]
    held, after = at(shown, ROWS * TR - 0.2), at(shown, ROWS * TR + 0.2)
    assert np.ptp(after[y, x]) < 20 < np.ptp(held[y, x])


def test_the_word_being_said_is_marked(shown, clip):
    box = Layout.of(1280, 720, "both", film=(clip.width, clip.height), words=True).words
    part = np.s_[box.top : box.top + box.height, box.left : box.left + box.width]
    blue = [(np.ptp(at(shown, moment)[part], axis=2) > 60) for moment in (4.2 * TR, 5.2 * TR, 5.9 * TR)]
    first, second = (np.median(np.flatnonzero(mask.any(0))) for mask in blue[:2])
    assert second > first + 20
    assert not blue[2].any()  # said to its end, and the next has not begun


def test_simulated_stands_in_every_picture_and_never_without_cause(clip, tmp_path):
    said, real = (animate(planted(3, simulated=flag), tmp_path / f"{flag}.mp4", look=LOOK) for flag in (True, False))
    layout = Layout.of(1280, 720, "both", film=None, words=False)
    corner = np.s_[
        layout.brains.top + layout.brains.height - 16 : layout.brains.top + layout.brains.height, layout.brains.left : layout.brains.left + 90
    ]
    for with_word, without in zip(pictures(said).values(), pictures(real).values(), strict=True):
        assert np.abs(with_word[corner] - without[corner]).max() > 80
        assert without[corner].min() > 235
    assert b"SIMULATED" not in real.read_bytes()


def test_one_picture_a_row_when_nothing_else_moves_and_none_is_lost(tmp_path):
    path = animate(planted(5), tmp_path / "a.mp4", subject=1, look=LOOK)
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(5 * TR, abs=1e-6)
    assert list(pictures(path)) == pytest.approx([k * TR for k in range(5)])


def test_rows_choose_a_part_of_the_film_with_its_sound(clip, whole, tmp_path):
    path = animate(whole, tmp_path / "a.mp4", subject=1, look=LOOK, film=clip.path, rows=range(4, 8))
    shown = pictures(path)
    start = math.ceil(4 * TR * FPS) / FPS
    assert len(shown) == math.ceil((8 * TR - start) * FPS)
    x, y = places(whole, LOOK, film=(clip.width, clip.height), words=False)["ll"]
    reddish = [picture[y, x, 0] > picture[y, x, 2] for picture in (at(shown, (row + 0.5) * TR - start) for row in range(4, 8))]
    assert reddish == [True, False, True, False]
    own = packets(clip.path, start, 8 * TR)
    copied = packets(path)
    assert [content for _, content in copied] == [content for _, content in own]
    np.testing.assert_allclose([moment for moment, _ in copied], [moment - start for moment, _ in own], atol=1e-4)


def test_a_lag_shows_later_rows_and_ends_without_a_prediction(clip, whole, tmp_path):
    look = replace(LOOK, lag=5.0, views="surface")
    path = animate(whole, tmp_path / "a.mp4", subject=1, look=look, film=clip.path, sound=False)
    shown = pictures(path)
    layout = Layout.of(1280, 720, "surface", film=(clip.width, clip.height), words=False)
    page = FilmPage(whole, layout, subject=1, look=look, transcript=None, span=(0, 1), title="")
    x, y = (sum(pair) for pair in zip(page.painter.place_of(LEFT, "ll"), (layout.brains.left, layout.brains.top), strict=True))
    for moment in np.arange(0.3, LENGTH - 0.2, 0.75):
        row = math.floor((moment + 5) / TR)
        colour = at(shown, moment)[y, x]
        if row >= ROWS:
            assert np.ptp(colour) < 20
        else:
            assert (colour[0] > colour[2]) == (row % 2 == 0), moment
    with av.open(str(path)) as file:
        assert not file.streams.audio


def test_a_sound_without_a_picture_gives_brains_with_that_sound(tmp_path):
    source = tmp_path / "a.m4a"
    with av.open(str(source), "w", format="mp4") as file:
        stream = file.add_stream("aac", rate=16000, layout="mono")
        tone = np.sin(np.arange(16000 * 9) / 9).astype(np.float32)[None]
        for first in range(0, tone.shape[1], 1024):
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(tone[:, first : first + 1024]), format="fltp", layout="mono")
            block.sample_rate, block.pts = 16000, first
            file.mux(stream.encode(block))
        file.mux(stream.encode(None))
    path = animate(planted(6, duration=9.0), tmp_path / "b.mp4", film=source, look=LOOK, transcript=spoken(6), size="480p")
    assert packets(path) == packets(source)
    assert float(np.diff(list(pictures(path))).max()) == pytest.approx(TR / 10, abs=1e-3)


def durations(path) -> list[int]:
    with Image.open(path) as file:
        return [(file.seek(k), file.info["duration"])[1] for k in range(file.n_frames)]


@pytest.mark.parametrize("lag", [0.0, 5.0])
def test_a_gif_shows_every_row_for_exactly_one_tr(tmp_path, lag):
    path = animate(planted(6), tmp_path / "a.gif", subject=1, look=replace(LOOK, lag=lag))
    took = durations(path)
    assert sum(took) == round(6 * TR * 100) * 10
    assert took == [1490] * 6 if lag == 0 else took[1:-1] == [1490] * (len(took) - 2)


def test_a_gif_keeps_the_colours_of_its_map(tmp_path):
    path = animate(planted(4), tmp_path / "a.gif", subject=1, look=LOOK)
    layout = Layout.of(960, 540, "both", film=None, words=False)
    page = FilmPage(planted(4), layout, subject=1, look=LOOK, transcript=None, span=(0, 1), title="")
    x, y = page.painter.place_of(LEFT, "l")
    ends = colour_table("cineglass_light")[[-1, 0]].astype(int)
    with Image.open(path) as file:
        for row in range(4):
            file.seek(row)
            seen = np.asarray(file.convert("RGB")).astype(int)[y + layout.brains.top, x + layout.brains.left]
            assert np.abs(seen - ends[row % 2]).max() < 30


def test_a_gif_of_a_film_moves_five_times_a_second(clip, whole, tmp_path):
    path = animate(whole, tmp_path / "a.gif", look=LOOK, film=clip.path, rows=range(3), size="1080p")
    took = durations(path)
    assert set(took) == {200}
    assert len(took) == math.ceil(3 * TR * 5)
    with Image.open(path) as file:
        assert file.size == (960, 540)


@pytest.mark.parametrize("ending", ["mp4", "gif"])
def test_equal_results_give_equal_files(tmp_path, ending):
    one, two = (animate(planted(4), tmp_path / f"{name}.{ending}", look=replace(LOOK, dark=True)).read_bytes() for name in "ab")
    assert one == two


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"subject": 5}, "no subject 5"),
        ({"size": "8k"}, "480p, 720p, 1080p"),
        ({"rows": [1, 3]}, "without a gap"),
        ({"rows": [11, 12]}, "Allowed rows are 0 to 11, but got 12"),
        ({"rows": []}, "at least one"),
        ({"rows": [True]}, "whole numbers"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_what_can(tmp_path, how, said):
    with pytest.raises(SelectionError, match=said):
        animate(planted(), tmp_path / "a.mp4", **how)
    with pytest.raises(SelectionError, match=r"must end in \.mp4 or \.gif"):
        animate(planted(), tmp_path / "a.avi")
    assert list(tmp_path.iterdir()) == []


def test_a_film_of_another_result_or_form_is_refused(clip, tmp_path):
    with pytest.raises(SelectionError, match=r"differ in length: 18\.5 s and 44\.7 s"):
        animate(planted(30), tmp_path / "a.mp4", film=clip.path)
    (tmp_path / "list.mp4").write_text("#EXTM3U\nfile.ts\n")
    with pytest.raises(MediaError, match="must be the admitted one"):
        canonical(tmp_path / "list.mp4")
    with pytest.raises(MediaError, match="no longer"):
        canonical(tmp_path / "gone.mp4")


def test_a_stop_ends_the_work_within_two_seconds_and_leaves_nothing(clip, whole, tmp_path):
    job = film_stages(whole, tmp_path / "a.mp4", film=clip.path, look=LOOK)
    assert isinstance(next(job), Stage)
    next(job)
    next(job)
    began = time.monotonic()
    job.close()
    assert time.monotonic() - began < 2
    deadline = time.monotonic() + 10
    while list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("ending", "writer"), [("mp4", "Mp4"), ("gif", "Gif")])
def test_a_full_disk_is_told_and_nothing_half_written_stays(tmp_path, monkeypatch, ending, writer):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(getattr(films, writer), "finish", full)
    with pytest.raises(CacheError, match=rf"a\.{ending} could not be written: no space left on device"):
        animate(planted(2), tmp_path / f"a.{ending}")
    with pytest.raises(CacheError, match="could not be written"):
        animate(planted(2), tmp_path / "nowhere" / f"a.{ending}")
    assert list(tmp_path.iterdir()) == []


def test_ffmpegs_own_failure_to_write_is_told_as_the_disks(tmp_path, monkeypatch):
    def full(*_):
        raise av.error.FFmpegError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(films.Mp4, "_sound_until", full)
    with pytest.raises(CacheError, match="no space left on device"):
        animate(planted(2), tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("fps", "expected"), [(25, 25), (30000 / 1001, 30000 / 1001), (60, 30), (50, 25), (60000 / 1001, 30000 / 1001), (5, 10), (1, 8), (120, 30)]
)
def test_the_frame_rate_is_the_films_own_within_bounds(fps, expected):
    assert float(frame_rate(fps)) == pytest.approx(expected)


def test_words_break_at_pauses_and_never_run_over_the_edge():
    words = Transcript(
        text_per_tr=("",), words_per_tr=(("one", "two\n<b>", "three" * 40, "four"),), onsets_per_tr=((0, 0.5, 1, 9),), durations_per_tr=((0.4,) * 4,)
    ).words
    assert [[word.text[:4] for word in line] for line in captions(words, 300, 19)] == [["one", "two\n"], ["thre"], ["four"]]


def test_a_page_gives_only_what_has_changed():
    responses = planted()
    layout = Layout.of(1280, 720, "both", film=None, words=False)
    page = FilmPage(responses, layout, subject=1, look=LOOK, transcript=None, span=(0, ROWS * TR), title="")
    whole = list(page.patches(0.0))
    assert {(left, top) for left, top, _ in whole} == {(box.left, box.top) for box in (layout.brains, layout.curves, layout.status)}
    assert list(page.patches(0.0)) == []
    moved = {(left, top) for left, top, _ in page.patches(0.3)}
    assert (layout.brains.left, layout.brains.top) not in moved
    assert (layout.curves.left, layout.curves.top) in moved


@pytest.mark.parametrize("views", ["both", "glass", "surface"])
@pytest.mark.parametrize("size", list(films.SIZES.values()))
@pytest.mark.parametrize("shape", [None, (1280, 720), (640, 480), (360, 640), (1280, 536)])
def test_nothing_on_the_page_overlaps_and_everything_is_even(views, size, shape):
    layout = Layout.of(*size, views, film=shape, words=True)
    boxes = [box for box in (layout.header, layout.status, layout.brains, layout.curves, layout.words, layout.film) if box is not None]
    for number, box in enumerate(boxes):
        assert all(side % 2 == 0 for side in (box.left, box.top, box.width, box.height))
        assert min(box.left, box.top, box.width - 40, box.height - 20, size[0] - box.left - box.width, size[1] - box.top - box.height) >= 0
        for other in boxes[number + 1 :]:
            across = box.left + box.width <= other.left or other.left + other.width <= box.left
            assert across or box.top + box.height <= other.top or other.top + other.height <= box.top
    if shape:
        assert layout.film.width / layout.film.height == pytest.approx(shape[0] / shape[1], rel=0.03)
