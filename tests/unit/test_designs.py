"""Designs and sets as files and as the page's forms: numbers come back from what was written, and what cannot be tested is refused before it runs."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import replace
from itertools import product

import numpy as np
import pandas
import pytest
from scipy.stats import false_discovery_control, ttest_1samp

from analysis.factorial import CELLS
from encoder.curves import curve_ids, curve_masks
from experiments import sets
from experiments.design_files import CELLS_TABLE, DESIGN, design_facts, set_facts, write_design, write_set
from experiments.examples import load_example
from experiments.factorial import EFFECTS, Factorial, both, crossable
from experiments.ready_made import load_design, ready_made_designs
from experiments.sets import compare_sets, of_results, smallest_p
from extractors.errors import CineglassError, SelectionError, StatisticsError
from extractors.stages import Stage, last
from ui.designing import _told
from ui.designs import Wanted, check, designs_value, factors_of, wanted_of
from ui.experiment import Base

NASTY = "=HYPERLINK(1)<img src=x onerror=alert(1)>.mp4"
FACTORS, LEVELS = ("picture", "sound"), (("as it is", "blank colour=black"), ("as it is", "mute"))


@pytest.fixture(scope="module")
def result():
    return load_example("eyes-and-ears")[1]


def moved(result, by=0.0, *, times=1.0, name=None, calibrated=None):
    """A result with values times ``times`` plus ``by`` (a number or [1000])."""
    values = (result.responses.values * times + np.asarray(by, np.float32)).astype(np.float32)
    extra = result.responses.extra | ({"calibrated": calibrated} if calibrated else {})
    clip = replace(result.clip, name=name) if name else result.clip
    return replace(result, clip=clip, responses=replace(result.responses, values=values, extra=extra))


def of_film(result, number):
    """The same result as if it were of another film."""
    return replace(result, clip=replace(result.clip, sha256=f"a{number:063x}", name=f"film {number}.mp4"))


@pytest.fixture(scope="module")
def design(result):
    """Picture away lowers the visual network by 0.6 z, sound away the auditory parcels by 0.4 z; both together give the latter back."""
    seen, heard = curve_masks()["Vis"], curve_masks()["Auditory"]
    cells = {(i, j): moved(result, -0.6 * i * seen - 0.4 * (j - i * j) * heard) for i, j in CELLS}
    return Factorial(cells, FACTORS, LEVELS)


def of(facts, curve, subject="mean"):
    return next(row for row in facts["tables"][subject] if row["curve"] == curve)


def test_planted_effects_stand_in_the_facts_for_every_subject(design):
    facts = design_facts(design)
    assert [subject["label"] for subject in facts["subjects"]] == ["mean", "Sim 1", "Sim 2", "Sim 3", "Sim 5"]
    for subject in facts["subjects"]:
        seen, heard = of(facts, "Vis", subject["id"]), of(facts, "Auditory", subject["id"])
        assert seen["first"] == pytest.approx(-0.6, abs=1e-4)
        assert seen["second"] == pytest.approx(0, abs=1e-4)
        assert (heard["first"], heard["second"], heard["interaction"]) == pytest.approx((0.2, -0.2, 0.4), abs=1e-4)
        assert np.subtract(seen["cells"], seen["cells"][0]) == pytest.approx([0, 0, -0.6, -0.6], abs=1e-4)
        assert all(row[f"{effect}_low"] <= row[effect] <= row[f"{effect}_high"] for row in (seen, heard) for effect in EFFECTS)
    assert facts["simulated"] is True
    assert facts["says"][1][1] == "The sound is silenced."
    assert "without a p-value" in facts["caption"]
    json.dumps(facts, allow_nan=False)


def test_the_four_time_courses_come_back_from_their_integers(design):
    packed = design_facts(design)["courses"]
    numbers = np.frombuffer(base64.b64decode(packed["data"]), "<i2").reshape(4, len(packed["curves"]), 5, -1) * packed["scale"]
    for number, cell in enumerate(CELLS):
        expected = design.curves[cell][-1][:, curve_ids().index("Auditory")]
        np.testing.assert_allclose(numbers[number, packed["curves"].index("Auditory"), 0], expected, atol=packed["scale"])
        expected = design.curves[cell][0][:, curve_ids().index("Vis")]
        np.testing.assert_allclose(numbers[number, packed["curves"].index("Vis"), 1], expected, atol=packed["scale"])


def test_tables_of_a_design_say_whose_and_simulated_and_hold_what_the_frame_holds(design, tmp_path):
    files = write_design(design, tmp_path / "new")
    effects = pandas.read_csv(files[0], sep="\t", na_values="n/a").set_index(["subject", "curve"])
    assert set(effects["simulated"]) == {True}
    np.testing.assert_allclose(effects.loc["Sim 3"][list(EFFECTS)], design.frame(3)[list(EFFECTS)], atol=1e-5)
    cells = pandas.read_csv(tmp_path / "new" / CELLS_TABLE, sep="\t")
    chosen = cells[(cells["subject"] == "mean") & (cells["first"] == LEVELS[0][1]) & (cells["second"] == "as it is")]
    np.testing.assert_allclose(chosen["Default"], design.curves[1, 0][-1][:, curve_ids().index("Default")], atol=1e-5)
    assert json.loads((tmp_path / "new" / DESIGN).read_text()) == json.loads(json.dumps(design_facts(design)))
    assert {path.name for path in (tmp_path / "new").iterdir()} == {path.name for path in files}


def test_a_set_is_written_with_its_test_and_no_name_of_a_clip_is_a_formula(result, tmp_path):
    apart = 0.3 * curve_masks()["Vis"]
    found = of_results([moved(result, apart * (1 + k / 10), name=NASTY) for k in range(6)], [moved(result, k / 100) for k in range(6)], paired=True)
    facts = set_facts(found, change="mute")
    assert facts["says"] == "The sound is silenced."
    seen = facts["rows"][0]
    assert seen["curve"] == "Vis"
    assert seen["p"] == pytest.approx(2 / 2**6)
    assert "6 pairs of clips" in facts["caption"]
    assert np.shape(facts["sizes"]) == (2, 6, len(sets.tested_curves()))
    files = {path.stem: path for path in write_set(found, tmp_path, change="mute")[:3]}
    clips = pandas.read_csv(files["clips"], sep="\t")
    assert set(clips["clip"]) == {f"'{NASTY}", result.clip.name}
    parcels = pandas.read_csv(files["parcels"], sep="\t")
    np.testing.assert_allclose(parcels["p_max"], found.parcels.p_max, atol=1e-6)
    assert set(parcels["simulated"]) == {True}
    assert files["set"].read_text().startswith("curve\tlabel\ta\tb\tdifference\tt\tp\tp_max\tq_fdr\tsimulated")


def test_endless_statistics_are_none_in_json(result):
    found = of_results([moved(result, 0.5) for _ in range(6)], [moved(result) for _ in range(6)], paired=True)
    assert math.isinf(found.curves.t[0])
    assert set_facts(found)["rows"][0]["t"] is None


def test_too_few_pairs_are_refused_before_any_film_is_looked_at(tmp_path):
    missing = [tmp_path / f"{k}.mp4" for k in range(5)]
    with pytest.raises(StatisticsError, match="6 or more pairs of clips") as error:
        last(compare_sets(missing, "mute"))
    assert error.value.code == "too_few"
    assert smallest_p(6, 6, paired=True) == 2 / 64
    assert smallest_p(4, 4, paired=False) == 2 / 70


def test_a_finished_result_needs_no_film_for_two_lists_and_one_of_the_same_model_is_not_run_again(result):
    here = [of_film(moved(result, k / 50), k) for k in range(8)]
    found = last(compare_sets(here[:4], here[4:], model=result.responses.model_id))
    assert found.a == tuple(here[:4])
    assert not found.paired


def test_a_film_that_would_count_twice_is_refused_before_anything_is_predicted(result):
    here = [of_film(moved(result, k / 50), k) for k in range(6)]
    beside = moved(here[0], 0.1)
    for a, b, paired in (([*here[:5], here[0]], "mute", True), (here[:4], [beside, *here[4:], of_film(result, 9)], False)):
        with pytest.raises(SelectionError, match=r"film 0\.mp4 is in the set twice") as error:
            next(compare_sets(a, b, paired=paired))
        assert error.value.code == "twice"
    edited = of_film(result, 8)
    edited = replace(edited, responses=replace(edited.responses, extra=edited.responses.extra | {"source_sha256": here[1].clip.sha256}))
    with pytest.raises(SelectionError, match="are the same film"):
        next(compare_sets(here, [*here[:5], edited], paired=True))
    assert last(compare_sets(here, [moved(one, 0.1) for one in here], paired=True, model=result.responses.model_id)).paired


def test_a_set_against_itself_is_refused_as_a_comparison_of_nothing_is():
    with pytest.raises(SelectionError, match="nothing is changed") as error:
        next(compare_sets(["a.mp4"] * 6, "  "))
    assert error.value.code == "nothing_changed"


def test_tables_of_a_set_agree_with_sign_flips_made_by_hand_and_say_what_they_rest_on(result, tmp_path):
    rng = np.random.default_rng(4)
    noise = rng.normal(0, 0.2, (2, 6, 1000))
    here = [of_film(result, k) for k in range(6)]
    found = of_results(
        [moved(one, noise[0, k] + 0.2 * curve_masks()["Auditory"]) for k, one in enumerate(here)],
        [moved(one, noise[1, k]) for k, one in enumerate(here)],
        paired=True,
        seed=7,
    )
    files = {path.stem: path for path in write_set(found, tmp_path, change="mute")[:3]}
    table, clips, parcels = (pandas.read_csv(files[name], sep="\t", na_values="n/a") for name in ("set", "clips", "parcels"))
    sizes = {side: clips[clips["set"] == side][list(table["curve"])].to_numpy() for side in "AB"}
    apart = sizes["A"] - sizes["B"]
    of_signs = [np.abs(ttest_1samp(apart * np.array(signs)[:, None], 0).statistic) for signs in product((1, -1), repeat=6)]
    reached = np.abs(ttest_1samp(apart, 0).statistic) * (1 - 1e-6)
    np.testing.assert_allclose(table["p"], np.mean(of_signs >= reached, axis=0), atol=1e-6)
    np.testing.assert_allclose(table["p_max"], np.mean(np.max(of_signs, axis=1, keepdims=True) >= reached, axis=0), atol=1e-6)
    np.testing.assert_allclose(table["q_fdr"], false_discovery_control(table["p"]), atol=1e-5)
    np.testing.assert_allclose(table["difference"], apart.mean(0), atol=1e-5)
    expected = np.mean([first - second for first, second in zip(noise[0], noise[1], strict=True)], axis=0) + 0.2 * curve_masks()["Auditory"]
    np.testing.assert_allclose(parcels["difference"], expected, atol=1e-5)
    for held in (table, parcels):
        about = held.iloc[0][["n_a", "n_b", "relabellings", "exact", "seed", "smallest_p", "change"]].to_list()
        assert about == [6, 6, 64, True, 7, 2 / 64, "mute"]
    assert set(clips["trs_counted"]) == {int(result.responses.valid.sum())}
    assert list(clips["sha256"][:6]) == [one.clip.sha256 for one in here]
    assert "in all 64 ways (exact)" in found.caption
    assert "never n" in found.caption


def test_a_pair_is_averaged_over_the_same_moments_in_a_and_in_b(result):
    """B of a muted film has fewer rows to warm up over; what differs between rows must not come out as what the edit did."""
    here = [of_film(moved(result, k / 50), k) for k in range(6)]
    more = [replace(one, responses=replace(one.responses, valid=np.ones_like(one.responses.valid))) for one in here]
    assert not all(one.responses.valid.all() for one in here)
    pairs = of_results(here, more, paired=True)
    assert pairs.counted[0] == pairs.counted[1] == (int(result.responses.valid.sum()),) * 6
    np.testing.assert_array_equal(pairs.sizes_a, pairs.sizes_b)
    others = [of_film(one, 10 + k) for k, one in enumerate(more)]
    apart = of_results(here, others, paired=True)
    assert apart.counted[1] == (result.responses.n_trs,) * 6


def test_subjects_are_never_n(result):
    """Four subjects who say the same four times over change no p-value."""
    pairs = [(of_film(moved(result, k / 10 + 0.1), k), of_film(moved(result, (k % 3) / 5), k)) for k in range(6)]
    by_mean = of_results(*zip(*pairs, strict=True), paired=True)
    assert by_mean.sizes_a.shape == (6, len(sets.tested_curves()))
    one = of_results(*zip(*pairs, strict=True), paired=True, subject=3)
    assert (one.curves.n_permutations, one.curves.smallest_p) == (by_mean.curves.n_permutations, by_mean.curves.smallest_p) == (64, 2 / 64)


def test_an_uncalibrated_model_is_tested_by_its_spread_and_its_means_are_called_none(result):
    sides = [[of_film(moved(result, k / 10, times=times + k / 50, calibrated="no"), k) for k in range(6)] for times in (1.0, 1.3)]
    found = of_results(*sides, paired=True)
    assert found.statistic == "spread"
    np.testing.assert_allclose(found.frame()["difference"], np.mean([np.log((1 + k / 50) / (1.3 + k / 50)) for k in range(6)]), atol=1e-3)
    assert "uncalibrated" not in found.caption
    assert "its means are no sizes" in of_results(*sides, paired=True, statistic="mean").caption


def test_an_interval_that_is_not_given_is_not_described(design, result):
    assert "variation over time" in design_facts(design)["caption"]
    few = np.arange(result.responses.n_trs) < 12
    short = {cell: replace(one, responses=replace(one.responses, valid=few)) for cell, one in design.cells.items()}
    facts = design_facts(Factorial(short, FACTORS, LEVELS))
    assert "No interval of the mean is given: 12 TRs count" in facts["caption"]
    assert of(facts, "Vis")["first_low"] is None


def test_ready_made_designs_open_with_their_effects():
    assert [one.id for one in ready_made_designs()] == ["picture-by-sound"]
    one, facts = load_design("picture-by-sound")
    assert facts["factors"] == ["picture", "sound"]
    assert of(facts, "Vis")["first"] < -0.3 < of(facts, "Vis")["second"]
    assert of(facts, "Auditory")["second"] < -0.3
    assert one.lines(simulated=facts["simulated"])[0].startswith("The simulator was told")
    with pytest.raises(SelectionError):
        load_design("nothing-like-it")


NAMES = {str(number): f"Clip {number}" for number in range(12)}


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (Wanted(first="mute", second="words policy=drop"), "same_words"),
        (Wanted(first="speed factor=2", second="mute"), "time_moves"),
        (Wanted(first="blank colour=black", second="blank colour=grey"), "same_change"),
        (Wanted(first="nonsense", second="mute"), "unknown_edit"),
        (Wanted(cross="films", one="1", other="1"), "same_clip"),
        (Wanted(cross="films", one="1", other="gone"), "gone"),
        (Wanted(mode="set", clips=tuple("12345")), "too_few"),
        (Wanted(mode="set", clips=tuple("123451")), "twice"),
        (Wanted(mode="set", pairs="lists", a=tuple("1234"), b=tuple("4567")), "twice"),
        (Wanted(mode="set", pairs="lists", a=tuple("123456"), b=tuple("789"), paired=True), "unequal_sets"),
        (Wanted(mode="set", pairs="lists", a=tuple("123"), b=tuple("456")), "too_few"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_tested_is_refused_by_name_and_the_form_says_so(wanted, code):
    with pytest.raises(CineglassError) as error:
        check(wanted, Base("A film"), NAMES)
    assert error.value.code == code
    value = designs_value(Base("A film"), wanted, clips=[(key, title, "Examples") for key, title in NAMES.items()])
    assert error.value.message in value["why_not"]


def test_sound_and_words_can_be_crossed_and_factors_are_named_by_what_they_change():
    levels = crossable("mute; words policy=keep", "words policy=drop")
    assert factors_of(levels) == ("sound", "words")
    assert both(*levels) == "mute; words policy=drop"
    assert factors_of(("blank colour=black", "mute")) == ("picture", "sound")
    assert factors_of(("grey", "blur percent=2")) == ("greyscale", "blur")


def test_whatever_a_browser_says_becomes_a_choice_or_the_usual_one():
    said = {"mode": ["set"], "cross": 3, "first": None, "clips": "abc", "a": [1, None, {}], "paired": "yes", "seq": "9"}
    found = wanted_of(said)
    assert (found.mode, found.cross, found.first, found.clips, found.paired, found.seq) == ("design", "edits", Wanted().first, (), False, 0)
    assert all(isinstance(key, str) for key in found.a)


def test_each_condition_is_one_stage_and_closing_closes_the_job():
    closed = []

    def job():
        try:
            for _ in range(3):
                for name in ("edit", "model"):
                    yield Stage(name, 0, 1, f"{name} begins")
                    yield Stage(name, 1, 1, f"{name} is ready")
            yield "found"
        finally:
            closed.append(True)

    told = list(_told(job(), 3, lambda found: iter([found.upper()])))
    assert told[-1] == "FOUND"
    assert [stage.name for stage in told[:-1] if stage.finished] == ["c0", "c1", "c2"]
    stopped = _told(job(), 3, lambda found: iter(()))
    next(stopped)
    stopped.close()
    assert closed == [True, True]
