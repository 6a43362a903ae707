from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder import lesions as module
from encoder.atlas import load_atlas
from encoder.cards import read_card
from encoder.checkpoints import MODELS
from encoder.ensemble import from_pretrained
from encoder.lesions import LESIONS, Lesion, LesionError, known_in_training, lesioned, lesions_text, parse_lesions, scrambled_rows
from experiments.examples import load_example
from experiments.predict import predict
from extractors import audio, text, video
from extractors.features import STREAMS, Features
from extractors.grid import valid_rows
from extractors.media import admit
from extractors.stages import last
from settings import Settings
from tests.films import write_film
from tests.tiny_model import tiny_film_model

ROWS = 40


def features(**unseen: tuple[int, ...]) -> Features:
    rng = np.random.default_rng(3)
    arrays = {stream: rng.normal(1.0, 2.0, (ROWS, size)).astype(np.float32) for stream, size in (("audio", 4), ("text", 3), ("video", 5))}
    for stream, rows in unseen.items():
        arrays[stream][list(rows)] = 0
    keys = {stream: stream * 4 for stream in STREAMS}
    return Features(arrays, dict.fromkeys(STREAMS, True), dict.fromkeys(STREAMS, "x-1"), 4.0, content_keys=keys, unseen_rows=unseen)


LESION = st.builds(
    lambda stream, kind, seed, block: Lesion(stream, kind, seed, block) if kind == "scramble" else Lesion(stream, kind),
    st.sampled_from(STREAMS),
    st.sampled_from(sorted(LESIONS)),
    st.integers(0, module.MAX_SEED),
    st.integers(1, module.MAX_BLOCK_TRS),
)


@given(st.lists(LESION, unique_by=lambda lesion: lesion.stream))
def test_the_canonical_text_of_lesions_reads_back_as_the_same_lesions_in_the_order_of_the_streams(lesions):
    read = parse_lesions(lesions_text(lesions))
    assert read == tuple(sorted(lesions, key=lambda lesion: STREAMS.index(lesion.stream)))
    assert lesions_text(read) == lesions_text(lesions)
    assert parse_lesions(f"  {lesions_text(lesions).upper()} ;; ") == read
    assert parse_lesions(f"# nothing\n{lesions_text(lesions).replace('; ', ' # and' + chr(10))}") == read


def test_nothing_written_is_no_lesion_and_values_have_defaults():
    assert parse_lesions("") == parse_lesions(" ; ") == ()
    assert parse_lesions("text scramble") == (Lesion("text", "scramble", seed=0, block_trs=1),)


@pytest.mark.parametrize(
    ("written", "code", "said"),
    [
        ("txt mean", "unknown_stream", "Did you mean text?"),
        ("text scrambled", "unknown_lesion", "Did you mean scramble?"),
        ("text", "bad_text", "For example: text mean"),
        ("text mean seed=1", "unknown_parameter", "Write only: mean"),
        ("text scramble sed=1", "unknown_parameter", "Did you mean seed?"),
        ("text scramble seed=1 seed=2", "twice", "Give it once."),
        ("text scramble seed=1.5", "unknown_value", "fraction"),
        ("text scramble seed", "bad_text", "key=value"),
        ("text scramble seed=-1", "out_of_range", "within these bounds"),
        ("text scramble block_trs=0", "out_of_range", "within these bounds"),
        ("text mean; text zero", "stream_twice", "begins with text"),
        ("text mean;" * 200, "too_long", "at most one lesion"),
        ("<img src=x onerror=alert(1)> mean", "unknown_stream", "Choose among audio, text, video."),
    ],
)
def test_a_lesion_that_cannot_be_read_is_refused_with_what_is_allowed(written, code, said):
    with pytest.raises(LesionError) as caught:
        parse_lesions(written)
    assert caught.value.code == code
    assert said in caught.value.hint
    assert len(caught.value.message) < 200


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused_in_words(written):
    said = ("read", "")
    try:
        parse_lesions(written)
    except LesionError as error:
        said = (error.message, error.hint)
    assert all("\n" not in part for part in said)
    assert said[0] == "read" or said[1]


def test_mean_leaves_the_mean_and_takes_every_change_while_the_other_streams_stay():
    before = features()
    after = lesioned(before, parse_lesions("text mean"))
    np.testing.assert_allclose(after["text"], np.tile(before["text"].astype(np.float64).mean(0), (ROWS, 1)), rtol=1e-6)
    assert after["text"].dtype == np.float32
    assert after.present["text"]
    assert after["audio"] is before["audio"]
    assert after["video"] is before["video"]
    assert (after.n_trs, after.window_s, after.extractors) == (before.n_trs, before.window_s, before.extractors)


def test_zero_is_what_a_clip_without_the_stream_has():
    after = lesioned(features(), parse_lesions("video zero"))
    assert not after["video"].any()
    assert after.present == {"audio": True, "text": True, "video": False}


@given(n=st.integers(2, 60), block=st.integers(1, 30), seed=st.integers(0, 1000))
def test_a_random_order_keeps_every_row_and_every_block_and_is_never_the_old_one(n, block, seed):
    if n // block < 2:
        with pytest.raises(LesionError, match="no two pieces"):
            scrambled_rows(n, seed=seed, block_trs=block)
        return
    rows = scrambled_rows(n, seed=seed, block_trs=block)
    assert sorted(rows) == list(range(n))
    assert (rows != np.arange(n)).any()
    whole = n // block * block
    assert (np.diff(rows[:whole].reshape(-1, block), axis=1) == 1).all()
    assert (rows[:whole:block] % block == 0).all()
    np.testing.assert_array_equal(rows[whole:], np.arange(whole, n))
    np.testing.assert_array_equal(rows, scrambled_rows(n, seed=seed, block_trs=block))


def test_streams_scrambled_with_one_seed_stay_together_and_other_seeds_part_them():
    before = features()
    together = lesioned(before, parse_lesions("audio scramble seed=5; text scramble seed=5"))
    rows = scrambled_rows(ROWS, seed=5)
    for stream in ("audio", "text"):
        np.testing.assert_array_equal(together[stream], before[stream][rows])
    assert (lesioned(before, parse_lesions("text scramble seed=6"))["text"] != together["text"]).any()


def test_rows_that_nobody_saw_do_not_count_in_the_mean_and_are_not_valid_where_they_land():
    before = features(text=(3, 4))
    seen = np.delete(before["text"], [3, 4], axis=0)
    np.testing.assert_allclose(lesioned(before, parse_lesions("text mean"))["text"][0], seen.mean(0), rtol=1e-5)
    after = lesioned(before, parse_lesions("text scramble seed=1"))
    landed = {k for k in range(ROWS) if not after["text"][k].any()}
    assert landed | {3, 4} == set(after.unseen_rows["text"])


def test_every_lesion_has_a_key_of_its_own_and_leaves_the_keys_of_other_streams():
    before = features()
    written = ["text mean", "text zero", "text scramble", "text scramble seed=1", "text scramble block_trs=2"]
    after = [lesioned(before, parse_lesions(one)) for one in written]
    assert len({one.content_keys["text"] for one in after} | {before.content_keys["text"]}) == len(written) + 1
    assert all(one.content_keys["audio"] == before.content_keys["audio"] for one in after)


def test_a_stream_that_the_clip_lacks_cannot_be_lesioned():
    silent = lesioned(features(), parse_lesions("audio zero"))
    with pytest.raises(LesionError, match="this clip has none") as caught:
        lesioned(silent, parse_lesions("audio mean"))
    assert caught.value.code == "stream_absent"


def test_cards_say_which_lesions_training_knew():
    ours, published = (read_card(MODELS / name / "card.yaml") for name in ("vibe-sim", "vibe"))
    silent_about_it = ours.model_copy(update={"trained_without": None})
    known = {(stream, kind): known_in_training(ours, stream, kind)[0] for stream in STREAMS for kind in LESIONS}
    assert known == {(stream, kind): kind == "zero" and stream != "audio" for stream in STREAMS for kind in LESIONS}
    assert known_in_training(ours, "audio", "zero", missing={"text"})[0] is True
    assert known_in_training(ours, "video", "zero", missing={"text"})[0] is False
    assert {known_in_training(published, stream, kind)[0] for stream in STREAMS for kind in LESIONS} == {False}
    assert {known_in_training(silent_about_it, stream, kind)[0] for stream in STREAMS for kind in LESIONS} == {None}


def test_a_clip_that_lacks_streams_in_a_way_training_never_showed_says_so():
    ours, published = (read_card(MODELS / name / "card.yaml") for name in ("vibe-sim", "vibe"))

    def said(card, *missing):
        return module.not_taught(card, {stream: stream not in missing for stream in STREAMS})

    for taught in ((), ("audio", "text"), ("text",), ("video",)):
        assert said(ours, *taught) == ()
    assert "never the sound alone" in said(ours, "audio")[0]
    assert "never the sound and picture together" in said(ours, "audio", "video")[0]
    assert said(published, "audio") == ()


def test_the_card_of_the_embedded_model_tells_what_its_training_left_out():
    from encoder.training.measure import Measured
    from encoder.training.truth_features import TRUTH_NAMES
    from experiments.train import variants

    ours = read_card(MODELS / "vibe-sim" / "card.yaml")
    clip = Measured(
        "clip", {s: np.ones((4, 2), np.float32) for s in STREAMS}, dict.fromkeys(STREAMS, True), np.ones((4, len(TRUTH_NAMES)), np.float32)
    )
    shown = {frozenset(s for s in STREAMS if not one.present[s]) for one in variants([clip] * 40, 0)} - {frozenset()}
    assert shown == {frozenset(together) for together in ours.trained_without}


@pytest.fixture(scope="module")
def model():
    return from_pretrained("vibe-sim", device="cpu")


@pytest.fixture(scope="module")
def told_story(model, tmp_path_factory):
    """Sound and words of an example, with gratings that drift and rest for a picture (the example's own is nearly a still)."""
    _, result = load_example("a-story-told", Settings())
    clip = last(admit(result.clip.path, settings=Settings(cache_dir=tmp_path_factory.mktemp("cache"))))
    seen = video.VideoAccumulator(ROWS)
    x = np.arange(96)[None, :, None] / 54
    for k in range(int(ROWS * 1.49 * 12)):
        drifts = k // 84 % 2  # 7 s each
        picture = 128 + 110 * drifts * np.sign(np.sin(2 * np.pi * (3 * x - k / 6)))
        seen.add(np.broadcast_to(picture, (54, 96, 3)).astype(np.uint8), k / 12)
    arrays = {
        "audio": audio.audio_features(clip.samples(), ROWS),
        "text": text.text_features(result.transcript)[:ROWS],
        "video": seen.finish(),
    }
    return Features(arrays, dict.fromkeys(STREAMS, True), model.frontend.extractors, text.WINDOW_S)


@pytest.mark.parametrize("lesion", ["text mean", "text scramble seed=1"])
def test_without_words_the_language_parcels_of_the_embedded_model_fall_and_the_visual_ones_go_on(model, told_story, lesion):
    valid = valid_rows(told_story.n_trs, told_story.window_s)
    before = model.predict(told_story)[:, valid]
    after = model.predict(lesioned(told_story, parse_lesions(lesion)))[:, valid]

    def of(name):
        """Share of the spread over time that is left, and the size of the change against the spread, mean over parcels and subjects."""
        mask = load_atlas().mask(name)
        a, b = before[..., mask], after[..., mask]
        return (b.std(1) / a.std(1)).mean(), ((a - b).std(1) / a.std(1)).mean()

    for language in ("LanguageTemporal", "LanguageFrontal"):
        left, changed = of(language)
        assert left < 0.8
        assert changed > 0.25
    left, changed = of("Vis")
    assert left == pytest.approx(1, abs=0.1)
    assert changed < 0.15


@pytest.fixture(scope="module")
def lesioned_run(tmp_path_factory):
    """A short film with a few words through a random model: whole, whole once more, and lesioned."""
    home = tmp_path_factory.mktemp("run")
    film = write_film(home / "bar.mp4", 18.0)
    words = home / "words.srt"
    words.write_text("1\n00:00:02,000 --> 00:00:04,000\nthe old man said\n\n2\n00:00:08,000 --> 00:00:11,000\nthat nobody came home\n")
    how = {"transcript": words, "model": tiny_film_model(home / "model"), "settings": Settings(cache_dir=home / "cache")}
    whole = last(predict(film, **how))
    told: list = []
    lost = last(predict(film, lesions="text scramble seed=2", **how), told.append)
    return film, how, whole.responses, lost.responses, told


def test_a_run_names_its_lesion_computes_no_stream_again_and_keeps_its_prediction_apart(lesioned_run):
    film, how, whole, lost, told = lesioned_run
    assert lost.lesions == ("text scramble seed=2 block_trs=1",)
    assert whole.lesions == ()
    assert lost.present == whole.present == dict.fromkeys(STREAMS, True)
    assert (lost.valid == whole.valid).all()
    assert np.abs(lost.values - whole.values).max() > 1e-3
    assert {stage.message for stage in told if stage.name in STREAMS} == {"Read from the cache"}
    np.testing.assert_array_equal(last(predict(film, **how)).responses.values, whole.values)
    np.testing.assert_array_equal(last(predict(film, lesions=parse_lesions("text scramble seed=2"), **how)).responses.values, lost.values)


def test_a_lesioned_result_warns_of_the_model_lesion_and_says_nothing_false_of_the_clip(lesioned_run):
    film, how, _, lost, _ = lesioned_run
    assert sum(warning.startswith("Model lesion:") for warning in lost.warnings) == 1
    zero = last(predict(film, lesions="audio zero", **how)).responses
    said = " ".join(zero.warnings)
    assert "The clip has no sound" not in said
    assert "Model lesion: The model is told that the audio stream (sound) is missing" in said
    assert zero.present["audio"]


def test_a_lesion_that_does_not_exist_is_refused_before_any_work(tmp_path):
    with pytest.raises(LesionError, match="There is no lesion"):
        next(predict(tmp_path / "no film.mp4", lesions="text gone", settings=Settings(cache_dir=tmp_path)))
