from __future__ import annotations

import json
import shutil
import time
import weakref
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import extractors.frames
from extractors import vibe_video
from extractors.backbone import Placement
from extractors.errors import FeatureError, ModelError
from extractors.grid import TR, n_trs
from extractors.hub_files import find_local
from extractors.media import admit
from extractors.stages import Stage, last
from extractors.transcript import Transcript
from extractors.vibe_video import Encoder, VibeVideo, normalised, plan_windows, window_pictures
from settings import Settings
from tests.films import write_film
from tests.tiny_vibe import CROP, FRAMES, POOL, VIDEO_WIDTH, tiny_video

DATA = Path(__file__).parents[1] / "data"
ROWS = 12
NO_WORDS = Transcript((), (), (), (), "none")


def texture(time_s: float, width: int, height: int) -> np.ndarray:
    """Coloured waves that drift: every picture differs from the next one, and every place from its mirror image."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / (7 + 3 * c) + (c + 1) * time_s) * np.cos(y / (9 - 2 * c) + time_s / 2) + x / width for c in range(3)]
    return np.clip(100 + 60 * np.stack(waves, -1), 0, 255).astype(np.uint8)


def made(folder: Path, seconds: float = 18.0, **film):
    options = {"preset": "veryfast", "bf": "3"}
    path = write_film(folder / "film.mp4", seconds, **{"size": (128, 64), "picture": texture, "options": options, **film})
    return path, last(admit(path, settings=Settings(cache_dir=folder / "cache"), allow_short=True))


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Tiny products only lose by sharing cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """18 s at 25 pictures per second, with B-frames: 12 rows, of which the first 10 look at a time before the film."""
    return made(tmp_path_factory.mktemp("film"))


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return tiny_video(tmp_path_factory.mktemp("backbone") / "video")


def extractor(backbone: Path, *, batch: int = 3, **options) -> VibeVideo:
    return VibeVideo(find_local(str(backbone)), weights="0" * 64, placement=Placement(batch=batch), **options)


@pytest.fixture(scope="module")
def stream(film, backbone):
    return last(extractor(backbone).compute(film[1], NO_WORDS)).array


@pytest.mark.parametrize("convention", ["4.57", "5"])
def test_the_stream_equals_a_slow_one_written_from_the_reference_alone(film, backbone, convention):
    pytest.importorskip("decord", reason="decord, which the reference used, is not installed")
    from tests.vibe_oracles.video import video_stream

    path, clip = film
    ours = last(extractor(backbone, convention=convention).compute(clip, NO_WORDS)).array
    rows = range(ROWS) if convention == "4.57" else (0, 5, ROWS - 1)
    expected = video_stream(backbone, path, rows, behind_norm=convention == "4.57")
    assert ours.shape == (ROWS, VIDEO_WIDTH * POOL**2)
    assert ours.dtype == np.float32
    assert expected.std(0).mean() > 0.01  # rows differ
    np.testing.assert_allclose(ours[list(rows)], expected, atol=1e-4)


def test_the_size_of_a_batch_does_not_matter(film, backbone, stream):
    for batch in (1, 20):
        np.testing.assert_allclose(last(extractor(backbone, batch=batch).compute(film[1], NO_WORDS)).array, stream, atol=1e-5)


def test_every_picture_is_decoded_once(film, backbone, monkeypatch):
    calls, times = [], []

    def counted(*args, **kwargs):
        calls.append(kwargs)
        for item in extractors.frames.iter_frames(*args, **kwargs):
            times.extend([] if item is None else [item[0]])
            yield item

    monkeypatch.setattr(vibe_video, "iter_frames", counted)
    last(extractor(backbone).compute(film[1], NO_WORDS))
    assert len(calls) == 1
    assert len(times) == len(set(times)) == int(ROWS * TR * 25)


def test_only_pictures_that_a_later_window_shows_are_held():
    alive = [0, 0]

    def pictures(count):
        for number in range(count):
            picture = np.full((2, 2, 3), number % 256, np.uint8)
            alive[0] += 1
            alive[1] = max(alive)
            weakref.finalize(picture, lambda: alive.__setitem__(0, alive[0] - 1))
            yield picture
            del picture

    most = []
    for minutes in (1, 8):
        total = minutes * 60 * 25
        alive[:] = [0, 0]
        for _ in window_pictures(pictures(total), plan_windows(n_trs(minutes * 60), 25, total), 2):
            pass
        most.append(alive[1])
    assert most[0] <= 16 * 25 + 2
    assert most[1] <= most[0] + 5


def test_closing_stops_within_two_seconds_and_ends_the_decoder(film, backbone, monkeypatch):
    children, run = [], extractors.frames.worker

    class Slow(Encoder):
        def __call__(self, *args):
            time.sleep(0.3)
            return super().__call__(*args)

    class Watched:
        def __init__(self, *args):
            self.inner = run(*args)

        def __enter__(self):
            children.append(self.inner.__enter__())
            return children[-1]

        def __exit__(self, *error):
            return self.inner.__exit__(*error)

    monkeypatch.setattr(vibe_video, "Encoder", Slow)
    monkeypatch.setattr(extractors.frames, "worker", Watched)
    job = extractor(backbone, batch=1).compute(film[1], NO_WORDS)
    for stage in job:
        if stage.done >= 2:
            break
    assert children[-1].poll() is None
    start = time.monotonic()
    job.close()
    assert time.monotonic() - start < 4  # a quiet machine takes less than 2 s; tests share its cores
    while children[-1].poll() is None:
        assert time.monotonic() - start < 4
        time.sleep(0.02)


def test_progress_counts_windows(film, backbone):
    *stages, result = extractor(backbone).compute(film[1], NO_WORDS)
    assert {stage.name for stage in stages} == {"video"}
    assert stages[0].message == "Loading V-JEPA 2"
    assert stages[-1] == replace(stages[-1], done=ROWS, total=ROWS, message="Picture analysed", remaining_s=0)
    assert not [stage for stage in stages[:-1] if stage.finished]
    assert {stage.message for stage in stages[1:-1]} <= {"Loading V-JEPA 2"} | {f"Picture: {done} of {ROWS} windows" for done in range(ROWS + 1)}
    assert not isinstance(result, Stage)


def test_what_did_not_fit_into_memory_once_is_not_tried_again(film, backbone, stream, monkeypatch):
    asked = []

    class Small(Encoder):
        def __call__(self, pictures, *rest):
            asked.append(len(pictures))
            if len(pictures) > 2:
                raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return super().__call__(pictures, *rest)

    monkeypatch.setattr(vibe_video, "Encoder", Small)
    np.testing.assert_allclose(last(extractor(backbone, batch=8).compute(film[1], NO_WORDS)).array, stream, atol=1e-5)
    assert [size for size in asked if size > 2] == [8, 4]


def test_what_the_stream_is_made_of_is_named_whole(film, backbone, tmp_path):
    ours, clip = extractor(backbone), film[1]
    content = ours.content(clip, NO_WORDS)
    assert content["track"] == clip.video_key
    assert content["weights"] == "0" * 64
    json.dumps(content)
    others = [extractor(backbone, **change) for change in ({"states": 2}, {"pool": 1}, {"window_s": 8.0}, {"convention": "5"})]
    others.append(VibeVideo(ours.local, weights="1" * 64))
    others.append(VibeVideo(ours.local, weights=ours.weights, placement=Placement(dtype="bfloat16")))
    changed = tmp_path / "video"
    shutil.copytree(backbone, changed)
    values = json.loads((changed / "config.json").read_text())
    (changed / "config.json").write_text(json.dumps({**values, "layer_norm_eps": 0.1}))
    others.append(extractor(changed))
    assert all(other.content(clip, NO_WORDS) != content for other in others)
    assert extractor(backbone, batch=1).content(clip, NO_WORDS) == content
    assert ours.id == "vibe-video-1 video"
    assert (ours.window_s, ours.dim) == (16.0, VIDEO_WIDTH * POOL**2)


def test_hidden_states_that_are_not_there_are_refused_in_words(backbone):
    for states in (0, 6):
        with pytest.raises(ModelError, match="must be 1 to 5") as caught:
            _ = extractor(backbone, states=states).dim
        assert caught.value.code == "no_such_layer"


def test_a_film_without_a_picture_has_no_such_stream(tmp_path, backbone):
    _, clip = made(tmp_path, 3.0, picture=None)
    assert extractor(backbone).content(clip, NO_WORDS) is None


def test_where_only_the_sound_goes_on_the_last_picture_stands(tmp_path, backbone):
    _, clip = made(tmp_path, 3.2, audio_seconds=24.0)
    array = last(extractor(backbone).compute(clip, NO_WORDS)).array
    assert len(array) == 16
    assert np.isfinite(array).all()
    windows = plan_windows(clip.n_trs, clip.fps, 80)
    assert windows[2].frames[-1] == 79  # its TR holds the end: 2.98 s to 4.47 s
    assert windows[2].tokens == (round(14.51 / 14.73 * 32) - 1, 32)
    assert set(windows[14].frames) == {79}
    np.testing.assert_array_equal(array[14], array[15])


def test_a_track_that_holds_nothing_is_an_error_in_words(film, backbone, monkeypatch):
    monkeypatch.setattr(vibe_video, "count_frames", lambda clip: 0)
    with pytest.raises(FeatureError) as caught:
        last(extractor(backbone).compute(film[1], NO_WORDS))
    assert caught.value.code == "no_frames"


@pytest.fixture(scope="module")
def states():
    """A tiny model, an input and what transformers 4.57.1 made of it (the script stands beside the file)."""
    from safetensors.torch import load_file
    from transformers import VJEPA2Config, VJEPA2Model

    folder = DATA / "vjepa2_states"
    tensors = load_file(folder / "states.safetensors")
    model = VJEPA2Model(VJEPA2Config(**json.loads((folder / "config.json").read_text()))).eval()
    weights = {name.removeprefix("weights."): tensor for name, tensor in tensors.items() if name.startswith("weights.")}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected
    assert all(name.startswith("predictor.") for name in missing)
    return model, tensors["pixels"], tensors["mean_of_last_3"]


def mean_state(model, pixels, **options) -> torch.Tensor:
    with torch.no_grad():
        return torch.stack(Encoder(model, pool=POOL, **options).states(pixels)).mean(0)


def test_hidden_states_are_those_of_the_older_transformers_by_default(states):
    model, pixels, expected = states
    np.testing.assert_allclose(mean_state(model, pixels, states=3, convention="4.57"), expected, atol=1e-5)
    assert (mean_state(model, pixels, states=3, convention="5") - expected).abs().max() > 0.1


@pytest.mark.parametrize("count", [1, 3, 5])
def test_hidden_states_are_those_of_transformers_5_on_request(states, count):
    model, pixels, _ = states
    with torch.no_grad():
        expected = torch.stack(model(pixels, output_hidden_states=True, skip_predictor=True).hidden_states[-count:]).mean(0)
    np.testing.assert_allclose(mean_state(model, pixels, states=count, convention="5"), expected, atol=1e-5)


def test_the_predictor_is_not_run(states):
    model, pixels, _ = states
    called = []
    handle = model.predictor.register_forward_hook(lambda *_: called.append(1))
    mean_state(model, pixels, states=3, convention="4.57")
    handle.remove()
    assert not called


def test_columns_run_over_channels_then_rows_then_columns_of_the_picture(states):
    model, _, _ = states
    moments, side, hidden = 4, 4, 24
    encoder = Encoder(model, 2, 2, "4.57")
    encoder.side = side
    t, row, column, channel = np.ogrid[0:moments, 0:side, 0:side, 0:hidden]
    state = torch.from_numpy((1000.0 * channel + 10 * row + column + 0.1 * t).reshape(1, -1, hidden))
    encoder.states = lambda pixels: [state, state + 2]
    window = replace(plan_windows(1, 25, 100)[0], tokens=(2, 4))
    with torch.no_grad():
        got = encoder([np.zeros((FRAMES, CROP, CROP, 3), np.uint8)], [window])[0].numpy()
    top, left = [0.5, 2.5], [0.5, 2.5]
    expected = [1000 * c + 10 * r + k + 0.25 + 1 for c in range(hidden) for r in top for k in left]
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_what_was_before_the_film_is_zero_and_black_is_not():
    pictures = torch.zeros(1, 3, 2, 2, 3, dtype=torch.uint8)
    pixels = normalised(pictures, torch.tensor([[True, False, True]]), torch.float32)
    assert pixels.shape == (1, 3, 3, 2, 2)
    assert not pixels[0, 0].any()
    assert not pixels[0, 2].any()
    np.testing.assert_allclose(pixels[0, 1, :, 0, 0], [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225], rtol=1e-6)


def test_pixels_are_rounded_at_every_step_as_the_reference_rounds_them():
    grey = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16, 1).expand(1, 1, 16, 16, 3)
    pixels = normalised(grey, torch.zeros(1, 1, dtype=torch.bool), torch.bfloat16)
    mean, std = (torch.tensor(values).bfloat16().float() for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    share = (torch.arange(256).float() / 255).bfloat16().float()
    expected = ((share[:, None] - mean).bfloat16().float() / std).bfloat16()
    assert torch.equal(pixels[0, 0].flatten(1).T, expected)


def test_windows_are_those_of_the_published_port():
    port = json.loads((DATA / "vibe_video_windows.json").read_text())
    for case in port["films"]:  # the port keeps the partial TR; ours would be its row too
        windows = plan_windows(len(case["tokens"]), port["fps"], round(case["duration_s"] * port["fps"]))
        assert [list(window.tokens) for window in windows] == case["tokens"]
        for row, frames in case.get("frames", {}).items():
            assert list(windows[int(row)].frames) == frames


@pytest.mark.parametrize("fps", [24, 25, 30, 30000 / 1001, 50])
def test_summing_up_boundaries_as_the_port_does_moves_a_window_by_a_picture_at_most(fps):
    """Where a window's end falls on a picture's first moment, rounding of the sum decides; nowhere else do the two differ."""
    time_s = 0.0
    for row, window in enumerate(plan_windows(600, fps, 10**6)):
        first, stop = int((time_s - 14.51) * fps), int((time_s + 1.49) * fps)
        for ours, theirs, exact in ((window.frames[0], first, (row * TR - 14.51) * fps), (window.frames[-1] + 1, stop, (row + 1) * TR * fps)):
            assert ours == theirs or (abs(ours - theirs) == 1 and abs(exact - round(exact)) < 1e-6)
        time_s += 1.49


@given(row=st.integers(0, 700), fps=st.fractions(10, 60, max_denominator=1001), seconds=st.fractions(0, 30, max_denominator=50))
def test_windows_follow_exact_arithmetic(row, fps, seconds):
    pytest.importorskip("decord", reason="decord, which the reference used, is not installed")
    from tests.vibe_oracles.video import window

    total = int((row * Fraction(149, 100) + seconds) * fps) + 1
    fps = Fraction(float(fps)).limit_denominator(1001)
    if int(row * Fraction(149, 100) * fps) >= total:
        return
    ours = plan_windows(row + 1, float(fps), total)[row]
    frames, first, stop = window(row, fps, total)
    assert len(ours.frames) == 64
    assert list(ours.frames) == sorted(ours.frames)
    assert np.abs(np.array(ours.frames) - frames).max() <= 1  # a truncated step of linspace may lie a rounding below a whole number
    assert (ours.frames[0], ours.frames[-1]) == (frames[0], frames[-1])
    assert ours.tokens in {(first, stop), (31, 32)}
    assert ours.tokens[0] < ours.tokens[1]


def test_pictures_that_a_damaged_film_lacks_are_the_last_good_one():
    pictures = (np.full((2, 2, 3), number, np.uint8) for number in range(20))
    plan = plan_windows(2, 25, 75)
    shown = list(window_pictures(pictures, plan, 2))
    for window, got in zip(plan, shown, strict=True):
        expected = [0 if number < 0 else min(number, 19) for number in window.frames]
        np.testing.assert_array_equal(got[:, 0, 0, 0], expected)
