"""Conditions of a real small film, run by the embedded model."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

import experiments
from encoder.curves import curve_ids
from encoder.lesions import LesionError, parse_lesions
from experiments.comparison import SOUND_GONE, compare
from experiments.comparison_files import save_comparison
from experiments.comparison_plan import plan_comparison
from experiments.conditions import Condition, run_condition, time_map_of
from experiments.factorial import crossed
from experiments.findings import table
from experiments.kept_pair import pair
from experiments.null_band import null_band
from experiments.predict import predict
from experiments.results import load_result, save_result
from experiments.sets import compare_sets, of_results
from experiments.telling import first_condition
from extractors.edit_language import EditError
from extractors.errors import CacheError, MediaError, SelectionError, StatisticsError
from extractors.stages import Stage, last
from extractors.tr_table import table_from_words
from extractors.transcript import Word
from settings import Settings
from tests.films import write_film
from ui.shown import comparison_part

SECONDS = 20.0
SAID = "the fox saw a long road and ran along it until the light was gone"
WORDS = [Word(text, 1.0 + 0.5 * k, 0.4) for k, text in enumerate(SAID.split())]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings(cache_dir=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_film(tmp_path_factory.mktemp("film") / "bar.mp4", SECONDS, fps=12, size=(96, 54), audio="noise")


@pytest.fixture(scope="module")
def base(film, settings):
    """A: the film as it is, with words."""
    clip = last(predict(film, recogniser="none", settings=settings)).clip
    return last(predict(clip, transcript=table_from_words(WORDS, clip.n_trs, source="file fox.srt", timing="given"), settings=settings))


@pytest.fixture(scope="module")
def muted(base, settings):
    """The comparison with the muted film, with two null edits, and the stages it told."""
    told = []
    return last(compare(base, "mute", null=2, settings=settings), told.append), told


def b_of(base, edits="", lesions=""):
    return Condition(base.clip, transcript=base.transcript, edits=edits, lesions=lesions)


def row_of(rows, curve):
    return next(row for row in rows if row["curve"] == curve)


def test_muting_takes_the_picture_stream_from_the_cache(muted):
    comparison, told = muted
    assert comparison.b.clip.video_key == comparison.a.clip.video_key
    of_b = [stage for stage in told if stage.name == "video"]
    assert of_b, "the picture stream is looked up"
    assert of_b[0].message == "Read from the cache", "nothing is decoded for B"


def test_muting_changes_auditory_parcels_and_leaves_visual_ones(muted):
    rows = table(muted[0], None)
    assert row_of(rows, "Auditory")["outside"]
    assert row_of(rows, "Auditory")["difference"] > 0, "A, with sound, answers more"
    assert row_of(rows, "Auditory")["change"] > 5 * row_of(rows, "Vis")["change"]


def test_the_result_of_b_says_what_was_done_to_its_film(muted):
    comparison, _ = muted
    assert comparison.b.responses.edits == ("mute",)
    assert comparison.b.transcript.source == "none"
    assert comparison.b.responses.extra["source_sha256"] == comparison.a.clip.sha256
    assert time_map_of(comparison.b).is_identity
    assert comparison.a.responses.edits == ()


def test_a_finished_a_is_taken_as_it_is(muted, base):
    assert muted[0].a is base


def test_the_same_comparison_again_gives_the_same_bits(muted, base, settings):
    again = last(compare(base, "MUTE", null=2, settings=settings))
    assert np.array_equal(again.b.responses.values, muted[0].b.responses.values)
    assert np.array_equal(again.null.differences, muted[0].null.differences)
    assert again.edits == muted[0].edits == "mute"


def test_null_edits_move_less_than_muting_does(muted):
    comparison, _ = muted
    auditory = curve_ids().index("Auditory")
    apart = comparison.curves[0][-1][:, auditory] - comparison.curves[1][-1][:, auditory]
    assert np.abs(comparison.null.half_width[auditory, -1]).mean() < 0.3 * np.abs(apart).mean()


def test_a_fresh_null_edit_stays_near_the_band_of_the_others(muted, base, settings):
    band = muted[0].null
    fresh = last(null_band(base, n=3, seed=99, settings=settings))
    inside = np.abs(fresh.differences[2]).mean() <= 3 * np.abs(band.differences).mean() + 1e-6
    assert inside


def test_a_comparison_without_a_change_is_refused(base, settings):
    with pytest.raises(SelectionError, match="nothing is changed"):
        last(compare(base, " ; ", settings=settings))


def test_an_unknown_edit_is_refused_before_anything_runs(settings):
    with pytest.raises(EditError, match="mute"):
        last(compare("no such film.mp4", "mutt", settings=settings))


def test_a_lesion_keeps_the_film_and_its_words(base, settings):
    comparison = last(compare(base, lesions="audio zero", null=0, settings=settings))
    assert comparison.kind == "lesion"
    assert comparison.paired
    assert comparison.null is None
    assert comparison.b.clip == base.clip
    assert comparison.b.transcript == base.transcript
    assert comparison.b.responses.lesions == ("audio zero",)
    assert row_of(table(comparison, None), "Auditory")["change"] > 0.2


def test_python_gets_one_labelled_table(base, settings):
    found = experiments.compare(base, "blank", null=0, settings=settings)
    assert found.loc[("mean", "Vis"), "change"] > found.loc[("mean", "Auditory"), "change"]
    assert found.attrs["comparison"].edits == "blank colour=black"


def test_another_film_is_compared_by_its_means(base, settings, tmp_path):
    other = write_film(tmp_path / "other.mp4", SECONDS, fps=5, size=(64, 48), audio=None)
    comparison = last(compare(base, Condition(other), null=0, settings=settings))
    assert not comparison.paired
    assert comparison.kind == "film"
    assert (comparison.label_a, comparison.label_b) == ("bar.mp4", "other.mp4")


def test_stop_ends_a_comparison_and_leaves_nothing_half_written(film, tmp_path):
    settings = Settings(cache_dir=tmp_path)
    job = compare(film, "blank", null=1, settings=settings)
    for stage in job:
        assert isinstance(stage, Stage)
        if stage.name in ("video", "edit"):
            break
    job.close()
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".part") or path.name.startswith(".work-")]


def test_a_plan_names_what_is_computed_again(base, settings):
    steps = {step.what: step for step in plan_comparison(base.clip, b_of(base, "mute"), settings=settings)}
    assert steps["video"].cached
    assert steps["video"].seconds == 0
    assert not steps["audio"].cached
    assert not steps["model"].cached
    assert "sound" in steps
    assert "picture" not in steps
    assert "speech" not in steps, "nothing can be heard"
    assert steps["null"].seconds > 0
    heard = {step.what for step in plan_comparison(base.clip, b_of(base, "reverse track=sound; words policy=hear"), null=0, settings=settings)}
    assert "speech" in heard
    assert "null" not in heard


def test_a_plan_on_an_empty_cache_takes_nothing_for_granted(base, tmp_path):
    steps = {step.what: step for step in plan_comparison(base.clip, b_of(base, "mute"), null=0, settings=Settings(cache_dir=tmp_path))}
    assert not steps["video"].cached
    assert "not yet computed" in steps["video"].note


def test_a_plan_of_a_lesion_computes_nothing_but_the_prediction(base, settings):
    steps = plan_comparison(base.clip, b_of(base, lesions="text zero"), null=0, settings=settings)
    assert [step.what for step in steps if not step.cached] == ["model"]


def test_crossed_edits_give_four_cells_and_their_effects(base, settings):
    found = last(crossed(base, "blank", "mute", factors=("picture", "sound"), settings=settings))
    assert [result.responses.edits for result in found.cells.values()] == [(), ("mute",), ("blank colour=black",), ("blank colour=black", "mute")]
    curves = {cell: curves[-1][found.valid].mean(0) for cell, curves in found.curves.items()}
    table = found.frame()
    assert np.allclose(table["first"], (curves[1, 0] + curves[1, 1] - curves[0, 0] - curves[0, 1]) / 2, atol=1e-5)
    assert np.allclose(table["interaction"], curves[1, 1] - curves[1, 0] - curves[0, 1] + curves[0, 0], atol=1e-5)


def test_a_result_read_from_disk_is_compared_as_the_one_that_was_written(muted, base, settings, tmp_path):
    loaded = load_result(save_result(base, tmp_path / "a", film=True))
    again = last(compare(loaded, "mute", null=0, settings=settings))
    assert again.a.clip.audio_key == base.clip.audio_key
    assert np.array_equal(again.b.responses.values, muted[0].b.responses.values)


def test_an_edit_that_moves_the_film_cannot_be_crossed(base, settings):
    with pytest.raises(SelectionError, match="TR by TR"):
        last(crossed(base, "trim start=0 end=18", "mute", settings=settings))


def test_too_few_clips_are_refused_before_any_is_opened(settings):
    with pytest.raises(StatisticsError, match="6 or more pairs"):
        last(compare_sets(["missing.mp4"] * 5, "mute", settings=settings))


def test_a_missing_clip_of_a_set_is_refused_in_words(settings):
    with pytest.raises(MediaError):
        last(compare_sets(["missing.mp4"] * 6, "mute", settings=settings))


def test_pairs_of_clips_find_a_planted_difference_and_nothing_else(base):
    rng = np.random.default_rng(0)
    first, second = [], []
    for _ in range(8):
        values = base.responses.values + rng.normal(0, 0.1, (4, 1, 1000)).astype(np.float32)
        lower = values.copy()
        lower[:, :, base_parcels()] -= 0.4
        first.append(replace(base, responses=replace(base.responses, values=values)))
        noise = rng.normal(0, 0.05, (4, 1, 1000)).astype(np.float32)
        second.append(replace(base, responses=replace(base.responses, values=lower + noise)))
    found = of_results(first, second, paired=True)
    table = found.frame()
    assert found.curves.exact
    assert found.curves.smallest_p == pytest.approx(2 / 2**8)
    assert table.loc["Auditory", "p"] == pytest.approx(2 / 2**8)
    assert table.loc["Auditory", "difference"] == pytest.approx(0.4, abs=0.05)
    assert table.loc["Vis", "p_max"] > 0.05
    assert "8 pairs of clips" in found.caption
    assert "not of people" in found.caption


def test_results_of_two_models_are_no_set(base):
    other = replace(base, responses=replace(base.responses, weights_sha256="0" * 64))
    with pytest.raises(SelectionError, match="different models"):
        of_results([base] * 6, [other] * 6, paired=True)


def base_parcels():
    from encoder.atlas import load_atlas

    return load_atlas().mask("Auditory")


def test_a_condition_without_edits_is_the_plain_prediction(base, settings):
    again = last(run_condition(Condition(base.clip, transcript=base.transcript), settings=settings))
    assert np.array_equal(again.responses.values, base.responses.values)


def test_b_loses_what_a_had_lost_already(base, settings):
    lesioned = last(run_condition(b_of(base, lesions="text zero"), settings=settings))
    greyed = last(compare(lesioned, "grey", null=0, settings=settings))
    assert greyed.b.responses.lesions == ("text zero",), "one thing is changed"
    assert greyed.kind == "edit"
    other = last(compare(lesioned, lesions="text mean", null=0, settings=settings))
    assert other.b.responses.lesions == ("text mean",), "a lesion takes the place of that of the same stream"
    assert last(compare(lesioned, "mute", null=0, settings=settings)).b.responses.lesions == (), "without words there are none to lose"
    with pytest.raises(SelectionError) as refused:
        last(compare(lesioned, lesions="text zero", null=0, settings=settings))
    assert refused.value.code == "nothing_changed"


def test_a_condition_of_the_same_film_is_no_other_film(base, settings):
    greyed = last(compare(base, b_of(base, "grey"), null=0, settings=settings))
    assert (greyed.paired, greyed.kind) == (True, "edit")
    assert greyed.label_b == "bar.mp4: grey"
    backwards = last(compare(base, b_of(base, "reverse; words policy=drop"), null=0, settings=settings))
    assert backwards.why.startswith("The edit moves the film in time")


def test_a_condition_of_the_same_film_that_only_lost_a_stream_is_a_lesion_and_no_edit(base, settings):
    found = last(compare(base, b_of(base, lesions="audio zero"), null=0, settings=settings))
    assert (found.kind, found.edits, found.lesions) == ("lesion", "", "")
    assert found.undergone == ((), ("audio zero",))
    assert found.label_b == "bar.mp4: model lesion audio zero"
    told = comparison_part(found, None)
    assert told["kind"] == "lesion"
    assert told["b"]["lesions"] == [lesion.says for lesion in parse_lesions("audio zero")]
    assert told["b"]["edits"] == []


def test_two_kept_results_say_what_was_done_to_each(base, settings):
    first, second = (last(run_condition(b_of(base, *done), settings=settings)) for done in (("", "text zero"), ("grey", "audio mean")))
    found = pair(first, second, label_a="My run", label_b="")
    assert (found.label_a, found.label_b) == ("My run: model lesion text zero", "bar.mp4: grey; model lesion audio mean")
    assert (found.kind, found.undergone) == ("edit", (("grey",), ("audio mean",)))
    assert [sentence.partition(".")[0] for sentence in comparison_part(found, None)["b"]["edits"]] == ["The picture is shown in greyscale"]
    assert pair(first, second, label_a="text zero is missing: model lesion text zero", label_b="").label_a.count("text zero") == 2


def test_what_was_done_to_a_was_done_to_b_too_and_is_told(base, settings):
    greyed = last(run_condition(b_of(base, "grey"), settings=settings))
    found = last(compare(greyed, "mute", null=0, settings=settings))
    assert (found.edits, found.b.responses.edits) == ("mute", ("grey", "mute"))
    assert found.label_a == "bar.mp4: grey"
    lost = last(compare(greyed, lesions="audio zero", null=0, settings=settings))
    assert (lost.kind, lost.b.responses.edits) == ("lesion", ("grey",))


def test_a_film_that_was_edited_twice_is_no_other_film(base, settings):
    slow = last(run_condition(b_of(base, "speed factor=0.8"), settings=settings))
    second = last(compare(slow, "trim start=5 end=25", null=0, settings=settings)).b
    found = pair(base, second, label_a="", label_b="")
    assert found.b.responses.edits == ("speed factor=0.8", "trim start=5 end=25")
    np.testing.assert_allclose(found.time_map.source_of([0.0, 10.0, 20.0]), [4.0, 12.0, 20.0], atol=1e-3)
    third = last(compare(second, "trim start=0 end=16", null=0, settings=settings)).b
    np.testing.assert_allclose(pair(base, third, label_a="", label_b="").time_map.source_of([0.0, 10.0]), [4.0, 12.0], atol=1e-3)
    np.testing.assert_allclose(pair(slow, third, label_a="", label_b="").time_map.source_of([0.0, 10.0]), [5.0, 15.0], atol=1e-3)


def test_a_film_finds_itself_in_what_was_made_of_it_either_way_round(base, settings):
    slow = last(run_condition(b_of(base, "speed factor=0.8"), settings=settings))
    forth, back = pair(base, slow, label_a="", label_b=""), pair(slow, base, label_a="", label_b="")
    np.testing.assert_allclose(forth.time_map.source_of([5.0, 10.0]), [4.0, 8.0], atol=1e-3)
    np.testing.assert_allclose(back.time_map.source_of([4.0, 8.0]), [5.0, 10.0], atol=1e-3)
    assert not back.paired
    assert back.why.startswith("A has 16 TRs and B has 13")


def test_a_film_and_its_beginning_share_that_beginning_only(base, settings):
    beginning = last(run_condition(b_of(base, "trim start=0 end=16"), settings=settings))
    for a, b in ((beginning, base), (base, beginning)):
        found = pair(a, b, label_a="", label_b="").time_map
        np.testing.assert_allclose(found.source_of([0.0, 8.0, 15.9]), [0.0, 8.0, 15.9], atol=1e-6)
        assert np.isnan(found.source_of([17.0])).all()


def test_a_lesion_on_an_edited_film_keeps_how_the_film_was_made(base, settings):
    slow = last(run_condition(b_of(base, "speed factor=0.8"), settings=settings))
    lost = last(compare(slow, lesions="audio zero", null=0, settings=settings))
    assert lost.paired
    untold = replace(lost.b, responses=replace(lost.b.responses, extra={}))  # as it was written once
    for a, b in ((slow, untold), (untold, slow)):
        assert pair(a, b, label_a="", label_b="").paired
    greyed = last(compare(untold, "grey", null=0, settings=settings)).b
    for a, b in ((greyed, untold), (untold, greyed)):
        assert pair(a, b, label_a="", label_b="").paired
    assert lost.time_map.is_identity
    assert pair(slow, lost.b, label_a="", label_b="").paired
    np.testing.assert_allclose(pair(base, lost.b, label_a="", label_b="").time_map.source_of([5.0, 10.0]), [4.0, 8.0], atol=1e-3)


def test_a_wrong_edit_of_another_film_is_refused_before_a_is_run(tmp_path, settings):
    for wrong in ({"edits": "mutt"}, {"lesions": "txt mean"}):
        with pytest.raises((EditError, LesionError)):
            last(compare("no such film.mp4", Condition(tmp_path / "nor this", **wrong), settings=settings))
    with pytest.raises(SelectionError, match="lesions of its own"):
        last(compare("no such film.mp4", Condition(tmp_path / "nor this"), lesions="text mean", settings=settings))


def test_a_folder_stands_for_its_result_and_that_of_a_comparison_for_its_a(muted, base, settings, tmp_path):
    save_comparison(muted[0], tmp_path / "compared")
    save_result(base, tmp_path / "one", film=True)
    for name in ("compared", "one"):
        found = experiments.compare(tmp_path / name, "mute", null=0, settings=settings).attrs["comparison"]
        assert found.a.run_id == base.run_id
        assert np.array_equal(found.b.responses.values, muted[0].b.responses.values)
    (tmp_path / "none").mkdir()
    with pytest.raises(SelectionError, match="The folder none holds no result") as refused:
        experiments.compare(str(tmp_path / "none"), "mute", settings=settings)
    assert "predict or compare" in refused.value.hint


def test_a_result_from_disk_and_its_b_have_one_sound(tmp_path):
    """Sound that the gate converted comes out of the film again a little otherwise; that must not look like an effect of the edit."""
    settings = Settings(cache_dir=tmp_path / "cache", recogniser="none")
    film = write_film(tmp_path / "plain.mkv", 16, fps=5, size=(64, 48), audio="noise", audio_codec="pcm_s16le")
    made = last(predict(film, settings=settings))
    save_result(made, tmp_path / "a", film=True)
    for emptied in (False, True):
        if emptied:
            shutil.rmtree(settings.cache_dir)
        found = last(compare(load_result(tmp_path / "a"), "grey", null=0, settings=settings))
        assert found.a.clip.audio_key == found.b.clip.audio_key
        assert (found.a.clip.audio_key == made.clip.audio_key) is not emptied
        assert np.array_equal(found.a.responses.values, made.responses.values) is not emptied
        assert (SOUND_GONE in found.a.responses.warnings) is emptied


@pytest.mark.parametrize("wrong", [{"b": None}, {"b": "mute", "null": -1}, {"b": "mute", "null": 1.5}, {"b": "mute", "seed": -1}])
def test_what_no_comparison_can_be_made_of_is_refused_in_words(wrong, settings):
    with pytest.raises(SelectionError) as refused:
        last(compare("film.mp4", settings=settings, **wrong))
    assert refused.value.code == "bad_value"


def test_the_command_line_finds_the_film_that_predict_did_not_write(base, settings, tmp_path, monkeypatch):
    save_result(base, tmp_path / "a")
    monkeypatch.setattr("settings.get_settings", lambda: settings)
    assert first_condition(str(tmp_path / "a"), transcript=None, recogniser=None).clip.path == base.clip.path
    monkeypatch.setattr("settings.get_settings", lambda: Settings(cache_dir=tmp_path / "empty"))
    with pytest.raises(CacheError) as refused:
        first_condition(str(tmp_path / "a"), transcript=None, recogniser=None)
    assert refused.value.code == "film_missing"
