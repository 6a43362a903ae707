"""What the player is sent, and the constant part of what it draws."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from encoder.atlas import load_atlas
from extractors.grid import TR, valid_rows
from extractors.tr_table import no_words
from extractors.transcript import Transcript
from tests.unit.test_responses import some_ensemble, some_responses
from viz import player_assets
from viz.payload import chunk_bytes, display_range, pack, pack_band, pack_comparison, pack_layer, pack_second, to_int8, transcript_note

ROOT = Path(__file__).parents[2]


@dataclass
class FewResponses:
    values: np.ndarray
    valid: np.ndarray
    subjects: tuple = (1, 5)
    subject_labels: tuple = ("Sim 1", "Sim 5")
    simulated: bool = True
    model_title: str = "A model"
    badge: str = "Textbook simulation"
    tr: float = TR
    duration: float = 60.0
    present: dict = field(default_factory=lambda: {"audio": False, "text": True, "video": True})
    warnings: tuple = ("Only a test.",)
    members: tuple = ()
    curve_spread: dict | None = None


@pytest.fixture
def responses():
    rng = np.random.default_rng(3)
    return FewResponses(rng.normal(0, 0.4, (2, 40, 1000)).astype(np.float32), valid_rows(40))


def packed(responses, transcript=None, **changes):
    return pack(responses, transcript, **{"media_url": None, "media_kind": "none", "title": "A clip", **changes})


def rows_of(chunk: dict, subjects: int) -> np.ndarray:
    """int8 [subjects, rows, 1000] of a chunk that lies in the value."""
    return np.frombuffer(base64.b64decode(chunk["data"]), np.int8).reshape(subjects, -1, 1000)


@settings(max_examples=40, deadline=None)
@given(arrays(np.float32, (2, 3, 5), elements=st.floats(-50, 50, width=32)))
def test_int8_is_never_farther_off_than_half_a_step(values):
    codes, scale = to_int8(values)
    assert codes.dtype == np.int8
    assert np.abs(codes * scale - values).max() <= scale * 0.5 * (1 + 1e-4)
    assert np.abs(values).max() / 127 <= scale * (1 + 1e-5)


def test_a_flat_prediction_of_zero_stays_zero():
    codes, scale = to_int8(np.zeros((1, 2, 3)))
    assert not codes.any()
    assert scale > 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(responses, bad):
    responses.values[1, 2, 3] = bad
    with pytest.raises(ValueError, match="1 values are not"):
        packed(responses)


def test_the_browser_gets_every_subject_row_and_parcel_in_order(responses):
    value = json.loads(json.dumps(packed(responses)))
    assert [list(chunk) for chunk in value["parcels"]["chunks"]] == [["data"]]
    codes, scale = rows_of(value["parcels"]["chunks"][0], 2), value["parcels"]["scale"]
    np.testing.assert_allclose(codes * scale, responses.values, atol=scale * 0.51)
    assert value["n_trs"] == 40
    assert value["valid"] == "".join("1" if row else "0" for row in responses.valid)
    assert [subject["label"] for subject in value["subjects"]] == ["Sim 1", "Sim 5"]
    assert value["badge"] == "Textbook simulation"
    assert value["warnings"] == ["Only a test."]
    assert value["media"] == {"url": None, "kind": "none", "has_sound": False}


def test_the_payload_stays_below_1500_bytes_for_each_row_and_subject(responses):
    words = [("seven", 0.3 * i, 0.2) for i in range(190)]
    rows = [[word for word in words if int((word[1] + word[2]) / TR) == row] for row in range(40)]
    columns = [tuple(tuple(word[part] for word in row) for row in rows) for part in range(3)]
    transcript = Transcript(tuple(" ".join(row) for row in columns[0]), *columns, source="whisper small", timing="recognised")
    responses.values, responses.subjects = np.tile(responses.values, (2, 1, 1)), (1, 2, 3, 5)
    responses.subject_labels = ("Sim 1", "Sim 2", "Sim 3", "Sim 5")
    value = packed(responses, transcript)
    assert len(value["words"]) == 190
    assert len(json.dumps(value, separators=(",", ":"))) / (4 * 40) <= 1500


def test_the_chunks_put_together_are_the_whole_and_those_behind_an_address_fit_in(responses):
    plain = packed(responses, chunk_trs=15)["parcels"]
    named = packed(responses, chunk_trs=15, chunk_url=lambda number: f"there/{number}")["parcels"]
    whole, scale = to_int8(responses.values)
    parts = [rows_of(chunk, 2) for chunk in plain["chunks"]]
    assert [part.shape[1] for part in parts] == [15, 15, 10]
    assert plain["scale"] == named["scale"] == scale
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
    assert named["chunks"] == [plain["chunks"][0], {"url": "there/1"}, {"url": "there/2"}]
    for number in range(3):
        fetched = np.frombuffer(chunk_bytes(responses.values, number, chunk_trs=15), np.int8).reshape(2, -1, 1000)
        np.testing.assert_array_equal(fetched, parts[number])
    for number in (-1, 3):
        with pytest.raises(IndexError):
            chunk_bytes(responses.values, number, chunk_trs=15)


def test_curves_are_the_means_of_their_parcels_for_each_subject_and_for_their_mean(responses):
    curves = json.loads(json.dumps(packed(responses)))["curves"]
    codes = np.frombuffer(base64.b64decode(curves["data"]), "<i2").reshape(len(curves["ids"]), 3, 40)
    atlas = load_atlas()
    for number, name in enumerate(curves["ids"]):
        id, _, side = name.partition("-")
        mask = atlas.mask(id) & ((atlas.hemispheres == side) | (side == ""))
        truth = [responses.values[0][:, mask].mean(1), responses.values[1][:, mask].mean(1), responses.values[:, :, mask].mean((0, 2))]
        np.testing.assert_allclose(codes[number] * curves["scale"], truth, atol=curves["scale"], err_msg=name)


def test_a_second_series_says_where_it_has_no_value(responses):
    values = responses.values[1:] + 0.1
    values[0, 7, 123] = np.nan
    values[0, 9] = np.inf
    second = json.loads(json.dumps(pack_second(values, responses.valid, ["sim5"], "<b>measured</b>", "measured", "A note.")))
    codes = rows_of(second["parcels"]["chunks"][0], 1)
    known = np.isfinite(values)
    np.testing.assert_array_equal(codes == -128, ~known)
    np.testing.assert_allclose(codes[known] * second["parcels"]["scale"], values[known], atol=second["parcels"]["scale"] * 0.51)
    curves = np.frombuffer(base64.b64decode(second["curves"]["data"]), "<i2").reshape(-1, 2, 40)
    assert len(curves) == len(second["curves"]["ids"])
    assert set(np.argwhere(curves == -32768)[:, 2]) == {9}
    assert second["subjects"] == [{"id": "sim5", "label": "sim5"}]
    assert (second["label"], second["kind"], second["note"]) == ("<b>measured</b>", "measured", "A note.")


def test_one_colour_range_covers_both_series(responses):
    second = pack_second(responses.values * 3, responses.valid, ["sim1", "sim5"], "loud", "condition")
    assert packed(responses, second=second)["range"] == second["range"] > 2 * packed(responses)["range"]


@pytest.mark.parametrize(
    ("change", "words"),
    [({"kind": "guess"}, "measured.*condition.*guess"), ({"ids": ["sim1"]}, r"\(1, 40, 1000\)"), ({"valid": np.ones(39, bool)}, r"\(2, 39, 1000\)")],
)
def test_a_second_series_that_does_not_fit_itself_is_refused(responses, change, words):
    given = {"values": responses.values, "valid": responses.valid, "ids": ["sim1", "sim5"], "label": "x", "kind": "measured"}
    with pytest.raises(ValueError, match=words):
        pack_second(**{**given, **change})


def test_a_second_series_of_other_rows_is_refused(responses):
    short = pack_second(responses.values[:, :39], responses.valid[:39], ["sim1", "sim5"], "short", "measured")
    with pytest.raises(ValueError, match=r"40 rows.*39"):
        packed(responses, second=short)


def test_two_conditions_share_one_colour_range_and_come_as_two_whole_values(responses):
    loud = replace(responses, values=responses.values * 3)
    b = packed(loud, title="B", run_id="b")
    value = json.loads(json.dumps(packed(responses, run_id="a", other=b, comparison=pack_comparison(paired=True, kind="edit"))))
    assert value["range"] == value["other"]["range"] == b["range"] > 2 * packed(responses)["range"]
    assert (value["run_id"], value["other"]["run_id"], value["other"]["title"]) == ("a", "b", "B")
    np.testing.assert_array_equal(rows_of(value["other"]["parcels"]["chunks"][0], 2), rows_of(b["parcels"]["chunks"][0], 2))
    assert packed(responses)["other"] is packed(responses)["comparison"] is None


def test_a_band_arrives_for_each_curve_and_place(responses):
    half = np.random.default_rng(8).gamma(2, 0.05, (3, 3, 40))
    band = json.loads(json.dumps(pack_band(half, ["Vis", "Default", "Auditory-L"], n=10)))
    codes = np.frombuffer(base64.b64decode(band["data"]), "<i2").reshape(3, 3, 40)
    np.testing.assert_allclose(codes * band["scale"], half, atol=band["scale"])
    assert (band["ids"], band["n"]) == (["Vis", "Default", "Auditory-L"], 10)
    value = packed(responses, other=packed(responses), comparison=pack_comparison(paired=True, kind="edit", band=band))
    assert value["comparison"]["band"] == band


def test_what_is_not_known_of_a_change_is_null_and_no_numpy_is_left_in_it():
    row = {"curve": "Vis", "r": np.float32(0.5), "change": np.nan, "n": np.int64(3), "outside": np.bool_(True), "high": float("inf")}
    value = pack_comparison(paired=True, kind="lesion", rows={"mean": [row]}, lesions=["The text stream is its mean."], calibrated="no")
    assert json.loads(json.dumps(value, allow_nan=False))["rows"]["mean"] == [
        {"curve": "Vis", "r": 0.5, "change": None, "n": 3, "outside": True, "high": None}
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "mute"}, "edit.*lesion.*film.*mute"),
        ({"calibrated": "maybe"}, "yes.*no.*unknown.*maybe"),
        ({"paired": False}, "need a sentence"),
    ],
    ids=["kind", "calibrated", "no reason"],
)
def test_a_comparison_that_makes_no_sense_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        pack_comparison(**{"paired": True, "kind": "edit", **change})


def test_conditions_that_do_not_fit_each_other_are_refused(responses):
    b, paired = packed(responses), pack_comparison(paired=True, kind="edit")
    unpaired = pack_comparison(paired=False, why="B is shorter.", kind="film")
    short = packed(replace(responses, values=responses.values[:, :30], valid=responses.valid[:30]))
    one = packed(replace(responses, values=responses.values[:1], subjects=(1,), subject_labels=("Sim 1",)))
    assert packed(responses, other=short, comparison=unpaired)["other"]["n_trs"] == 30
    twice = packed(responses, other=b, comparison=paired)
    narrow = pack_comparison(paired=True, kind="edit", band=pack_band(np.ones((1, 3, 39)), ["Vis"], n=2))
    for other, comparison, words in (
        (b, None, "only one"),
        (None, paired, "only one"),
        (short, paired, "same rows.*40.*30"),
        (one, paired, "same subjects"),
        (twice, paired, "of its own"),
        (b, narrow, "3 rows of 40"),
    ):
        with pytest.raises(ValueError, match=words):
            packed(responses, other=other, comparison=comparison)


@pytest.mark.parametrize(
    ("half", "words"),
    [(np.ones((2, 3, 4)), "1 curves"), (np.ones((1, 4)), "1 curves"), (-np.ones((1, 3, 4)), "negative")],
    ids=["curves", "flat", "sign"],
)
def test_a_band_of_another_shape_or_sign_is_refused(half, words):
    with pytest.raises(ValueError, match=words):
        pack_band(half, ["Vis"], n=1)


def test_a_layer_keeps_what_is_unknown_apart_from_zero(responses):
    values = np.linspace(0, 0.8, 1000)
    values[[3, 500]] = np.nan
    layer = json.loads(json.dumps(pack_layer(values, id="accuracy", label="Accuracy", unit="r", subject="sim1")))
    codes = np.frombuffer(base64.b64decode(layer["data"]), np.int8)
    assert set(np.flatnonzero(codes == -128)) == {3, 500}
    np.testing.assert_allclose(np.where(codes == -128, np.nan, codes * layer["scale"]), values, atol=layer["scale"] * 0.51)
    assert layer["range"] == pytest.approx(0.8)
    assert packed(responses, layers=[layer])["layers"] == [layer]
    assert pack_layer(np.full(1000, np.nan), id="a", label="A", unit="r")["range"] == 1
    with pytest.raises(ValueError, match=r"\(1000,\).*\(999,\)"):
        pack_layer(values[:-1], id="a", label="A", unit="r")


def test_a_chunk_of_a_kept_result_is_served_by_its_number(tmp_path):
    from experiments.predict import Result
    from experiments.results import save_result
    from extractors.clip import Clip
    from ui.files import _file

    made = some_responses((1, 5), rows=430)
    clip = Clip(tmp_path / "film.mp4", None, "b" * 64, "c" * 64, None, "film.mp4", 641.0, 430, 25.0, 160, 120, ())
    folder = save_result(Result(clip, no_words(430), made, "f" * 32, {}), tmp_path / "result")
    kept = SimpleNamespace(runs=tmp_path / "runs", comparisons=tmp_path / "comparisons", settings=SimpleNamespace(cache_dir=tmp_path / "cache"))
    value = packed(made, chunk_url=lambda number: f"parcels-{number}.i8")["parcels"]
    for number, rows in ((1, 200), (2, 30)):
        served = _file(lambda: folder, value["chunks"][number]["url"], kept)
        assert tmp_path / "cache" in served.parents
        codes = np.frombuffer(served.read_bytes(), np.int8).reshape(2, rows, 1000)
        np.testing.assert_allclose(codes * value["scale"], made.values[:, 200 * number : 200 * number + rows], atol=value["scale"] * 0.51)
    before = set((tmp_path / "cache").rglob("*"))
    for name in ("parcels-0.i8", "parcels-3.i8", "parcels-01.i8", "parcels--1.i8", "parcels-1.i8/..", "parcels-1.npy", "parcels-99999.i8"):
        with pytest.raises(FileNotFoundError):
            _file(lambda: folder, name, kept)
    assert set((tmp_path / "cache").rglob("*")) == before


def test_the_spread_of_every_curve_arrives_for_each_subject_and_for_their_mean():
    averaged, _ = some_ensemble((1, 5), rows=40)
    value = json.loads(json.dumps(packed(averaged)))["spread"]
    assert value["members"] == 3
    assert value["ids"] == list(averaged.curve_spread)
    codes = np.frombuffer(base64.b64decode(value["data"]), np.int8).reshape(len(value["ids"]), 3, 40)
    for number, name in enumerate(value["ids"]):
        np.testing.assert_allclose(codes[number] * value["scale"], averaged.curve_spread[name], atol=value["scale"] * 0.51, err_msg=name)


def test_a_single_model_sends_no_spread_and_an_ensemble_a_twentieth_more(responses):
    assert packed(responses)["spread"] is None
    averaged, _ = some_ensemble(rows=40)
    single = replace(averaged, members=(), spread=None, member_curves=None)
    small, large = (len(json.dumps(packed(result), separators=(",", ":"))) for result in (single, averaged))
    assert small < large < 1.06 * small


def test_the_range_is_the_98th_percentile_of_the_valid_rows_and_never_below_the_floor():
    rng = np.random.default_rng(1)
    values = rng.normal(0, 1, (2, 50, 1000))
    valid = valid_rows(50)
    values[:, ~valid] *= 100
    assert display_range(values, valid, floor=0.1) == pytest.approx(2.326, abs=0.05)
    assert display_range(values * 0.01, valid, floor=0.4) == 0.4
    assert display_range(values[:, :4], valid[:4], floor=0.1) > 100  # no valid row: all count


def test_the_badge_is_the_one_on_the_models_card(responses):
    responses.badge = "Random weights"
    assert packed(responses)["badge"] == "Random weights"


def test_a_published_model_is_not_called_a_simulation(responses):
    responses.simulated, responses.badge = False, ""
    value = packed(responses)
    assert value["badge"] == "A model"
    assert value["simulated"] is False


def test_an_unknown_kind_of_film_is_refused(responses):
    with pytest.raises(ValueError, match=r'"video", "audio" and "none".*"?slides'):
        packed(responses, media_kind="slides")


def test_the_note_says_where_the_words_come_from():
    silent = ("",) * 3, ((),) * 3, ((),) * 3, ((),) * 3
    assert transcript_note(None) == "Run without words."
    assert "expect errors" in transcript_note(Transcript(*silent, source="pocketsphinx en-us", timing="recognised"))
    assert "guess" in transcript_note(Transcript(*silent, source="file a.txt", timing="spread"))
    assert transcript_note(Transcript(*silent, source="file a.srt", timing="given", edited=True)).endswith("Edited by hand.")


def test_the_payload_is_made_without_heavy_libraries():
    script = "import sys, viz.payload; print(sorted({'torch', 'matplotlib', 'gradio', 'nilearn', 'pandas', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_committed_player_atlas_is_what_make_assets_builds(tmp_path):
    built = player_assets.write(tmp_path / "atlas.json")
    assert built.read_bytes() == player_assets.PLAYER_ATLAS.read_bytes()


def test_outlines_lie_where_nilearn_draws_them():
    """Independent oracle: the patches that nilearn itself puts on an axis, in its data coordinates."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure
    from nilearn.plotting.glass_brain import plot_brain_schematics

    built = player_assets.build()["outlines"]
    for view in "lyrz":
        axis = Figure().add_subplot()
        plot_brain_schematics(axis, view)
        to_data = axis.transData.inverted()
        theirs = [to_data.transform(patch.get_transform().transform(patch.get_path().vertices)) for patch in axis.patches]
        ours = [np.reshape(item, (-1, 2)) for path in built[view]["paths"] for item in path["items"]]
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            mirrored = np.array([-1, 1]) if view == "l" else 1  # nilearn turns the whole axis round for the left view
            np.testing.assert_allclose(mine * mirrored, other, atol=0.06)


def test_diverging_maps_are_light_or_dark_in_the_middle_and_even_at_the_ends():
    maps = player_assets.build()["maps"]

    def light(colour):
        return sum(int(colour[i : i + 2], 16) for i in (1, 3, 5)) / (3 * 255)

    assert light(maps["light"][32]) > 0.9
    assert light(maps["dark"][32]) < 0.12
    assert light(maps["classic"][32]) < 0.05
    for name, middle in (("light", 1), ("dark", -1)):
        steps = np.diff([light(colour) for colour in maps[name]])
        assert (np.sign(steps[2:30]) == middle).all()
        assert (np.sign(steps[-30:-2]) == -middle).all()


class TestComponent:
    """The component's Python side."""

    @pytest.fixture
    def player(self, tmp_path, monkeypatch):
        monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
        from ui.player import Player

        return Player()

    def test_the_film_is_copied_into_the_cache_under_its_content(self, player, tmp_path):
        film = tmp_path / "film.mp4"
        film.write_bytes(b"a film")
        value = player.postprocess({"state": "done", "media": {"url": str(film), "kind": "video", "has_sound": True}})
        cached = Path(value["media"]["file"]["path"])
        assert cached.read_bytes() == b"a film"
        assert (tmp_path / "cache") in cached.parents
        assert str(film) not in json.dumps(value)

    def test_the_film_of_the_other_condition_is_served_in_the_same_way(self, player, tmp_path):
        for name in "ab":
            (tmp_path / f"{name}.mp4").write_bytes(f"film {name}".encode())
        media = {name: {"url": str(tmp_path / f"{name}.mp4"), "kind": "video", "has_sound": True} for name in "ab"}
        value = player.postprocess({"state": "done", "media": media["a"], "other": {"state": "done", "media": media["b"]}})
        assert Path(value["media"]["file"]["path"]).read_bytes() == b"film a"
        assert Path(value["other"]["media"]["file"]["path"]).read_bytes() == b"film b"
        assert "url" not in value["other"]["media"]

    @pytest.mark.parametrize("url", ["https://example.org/film.mp4", "//example.org/film.mp4", "/nowhere/film.mp4", "file:///etc/passwd", "", None])
    def test_an_address_that_is_no_local_file_is_never_passed_on(self, player, url):
        value = player.postprocess({"state": "done", "media": {"url": url, "kind": "video", "has_sound": True}})
        assert value["media"]["file"] is None
        assert not url or url not in json.dumps(value)

    def test_nothing_is_taken_from_the_browser(self, player):
        assert player.preprocess({"anything": "at all"}) is None

    def test_the_template_is_constant_and_the_head_closes_only_once(self, player):
        assert "{{" not in player.html_template
        assert "${" not in player.html_template
        assert player.head.count("</script") == 1
        assert player.head.count("<script") == 1
        assert "http://" not in player.head.replace("http://www.w3.org/2000/svg", "")
        assert player.head.count("https://") == player.head.count('"https://huggingface.co"') == 1  # told the address, never asked

    def test_no_script_of_the_player_writes_markup(self):
        from viz.player_page import FOLDER, SCRIPTS

        assert sorted(path.name for path in FOLDER.glob("*.js")) == sorted(SCRIPTS)
        for name in SCRIPTS:
            code = (FOLDER / name).read_text(encoding="utf-8")
            for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
                assert word not in code, (name, word)
            assert name in ("series.js", "surface.js") or "fetch(" not in code, name


def test_parcels_without_values_are_left_out_of_a_curves_mean():
    vis = np.flatnonzero(load_atlas().mask("Vis"))
    values = np.random.default_rng(2).normal(size=(1, 12, 1000)).astype(np.float32)
    values[0, :, vis[:7]] = np.nan
    values[0, 3] = np.nan
    packed = pack_second(values, np.arange(12) != 3, ["sim1"], "Measured", "measured")["curves"]
    codes = np.frombuffer(base64.b64decode(packed["data"]), "<i2").reshape(len(packed["ids"]), 2, 12)
    curve = codes[packed["ids"].index("Vis"), 0] * packed["scale"]
    rows = np.arange(12) != 3
    np.testing.assert_allclose(curve[rows], values[0][rows][:, vis[7:]].mean(1), atol=packed["scale"])
    assert (codes[:, 0, 3] == -32768).all()
