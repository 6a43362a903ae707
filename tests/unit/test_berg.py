from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encoder.atlas import load_atlas
from experiments import berg as berg_module
from experiments.berg import (
    BERG,
    BERGError,
    InvalidParameterError,
    ModelLoadError,
    ModelNotFoundError,
    ResourceError,
    StimulusError,
)
from experiments.berg_errors import berg_errors
from experiments.berg_selection import selected
from experiments.berg_transcripts import strings_per_tr
from extractors.classical import CLASSICAL
from extractors.errors import CacheError, CineglassError, FeatureError, MediaError, ModelError, SelectionError, TranscriptError
from extractors.formats import write_transcript
from extractors.tr_table import table_from_words
from extractors.transcript import Word
from settings import Settings, get_settings
from tests.films import write_film
from tests.tiny_vibe import tiny_predictor, tiny_vibe

ROOT = Path(__file__).parents[2]
PUBLISHED = "fmri-cneuromod_algo2025-vibe"
REPOSITORY = "ShreyDixit/VIBE-Qwen2.5-14B"
SECONDS, TRS, TR = 8.0, 5, 1.49
WORDS = ["once upon a time", "", "there was a", " ", "boy who lived"]
NETWORKS = {"Vis": 162, "SomMot": 194, "DorsAttn": 122, "SalVentAttn": 121, "Limbic": 60, "Cont": 129, "Default": 212}

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> str:
    return str(write_film(tmp_path_factory.mktemp("film") / "film.mp4", SECONDS))


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    return Settings(cache_dir=tmp_path_factory.mktemp("cache"), recogniser="none")


@pytest.fixture(scope="module")
def berg(settings) -> BERG:
    return BERG(settings=settings)


@pytest.fixture(scope="module")
def model(berg):
    return berg.get_encoding_model("vibe-sim", subject=1)


@pytest.fixture(scope="module")
def full(berg, model, film) -> np.ndarray:
    """Subject 1's responses of all parcels: float32 [5, 1000]."""
    return berg.encode(model, WORDS, video_path=film, show_progress=False).numpy()


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    return tiny_vibe(tmp_path_factory.mktemp("published") / "variant")


def encode(berg, model, film, transcripts=WORDS, **how):
    return berg.encode(model, transcripts, video_path=film, show_progress=False, **how)


# ---- what there is


def test_importing_and_reading_metadata_load_no_torch():
    code = (
        "import sys\nfrom experiments.berg import BERG\nberg = BERG()\nberg.list_models(), berg.get_model_metadata('vibe-sim')\n"
        "berg.get_encoding_model('vibe-sim', subject=1, selection={'roi': ['Vis']})\n"
        "print(*[name for name in ('torch', 'transformers', 'matplotlib', 'sklearn', 'nilearn', 'gradio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


def test_models_are_listed_by_id_and_by_dataset(berg, capsys):
    assert {PUBLISHED, "vibe-sim"} <= set(berg.list_models())
    assert isinstance(berg.list_models(), list)
    catalog = berg.get_model_catalog(print_format=True)
    assert "cneuromod_algo2025" in catalog["fmri"]
    assert all(datasets == sorted(datasets) for datasets in catalog.values())
    assert "cneuromod_algo2025" in capsys.readouterr().out


@pytest.mark.parametrize("model_id", [PUBLISHED, "vibe-sim"])
def test_describe_prints_and_returns_the_card(berg, capsys, model_id):
    facts = berg.describe(model_id)
    said = capsys.readouterr().out
    wanted = {
        "model_id", "model_info", "description", "input", "output", "parameters", "parameters_by_function", "performance", "example_usage",
    }  # fmt: skip
    assert wanted <= set(facts)
    assert facts["model_id"] == model_id
    assert facts["model_id"] in said
    assert facts["description"] in said
    assert facts["model_info"]["model_type"] in said
    assert ("SIMULATED" in said) == (model_id == "vibe-sim")
    assert "selection" in facts["parameters_by_function"]["get_encoding_model"]
    assert "video_path" in facts["parameters_by_function"]["encode"]
    compile(facts["example_usage"], "example", "exec")


def test_published_accuracy_is_told_as_that_of_an_ensemble_and_a_simulation_has_none(berg):
    figures = {metric["value"]: metric["description"] for metric in berg.describe(PUBLISHED)["performance"]["metrics"]}
    assert set(figures) == {0.3193, 0.2122}
    assert "ensemble" in " ".join(figures.values())
    simulated = berg.describe("vibe-sim")["performance"]
    assert "never tested" in simulated["accuracy"]
    assert "metrics" not in simulated


@pytest.mark.parametrize("model_id", [PUBLISHED, "vibe-sim"])
def test_metadata_hold_a_mask_for_each_network_and_need_no_weights(berg, model_id):
    metadata = berg.get_model_metadata(model_id, subject=2)
    masks = metadata["roi_masks"]
    assert {name: int(mask.sum()) for name, mask in masks.items()} == NETWORKS
    assert all(mask.shape == (1000,) and mask.dtype == bool for mask in masks.values())
    assert (sum(mask.astype(int) for mask in masks.values()) == 1).all()
    assert masks["Cont"][998:].all()  # the last two parcels are Control again
    np.testing.assert_array_equal(masks["salventattn"], masks["SalVentAttn"])
    assert "default" in masks
    assert masks.get("defaul") is None
    with pytest.raises(KeyError):
        masks["vis1"]
    assert metadata["parcel_ids"].tolist() == list(range(1, 1001))
    assert metadata["simulated"] == (model_id == "vibe-sim")


def test_variants_are_known_without_a_network(berg, no_network, monkeypatch):
    assert REPOSITORY in berg.get_model_variants(PUBLISHED)
    assert berg.get_model_variants("vibe-sim") == []


# ---- encode


def test_a_response_is_a_float_tensor_of_trs_and_parcels(berg, model, film, full):
    import torch

    responses = encode(berg, model, film)
    assert isinstance(responses, torch.Tensor)
    assert responses.dtype == torch.float32
    assert tuple(responses.shape) == (TRS, 1000)
    assert np.isfinite(full).all()
    assert full.std() > 0


def test_several_subjects_are_the_single_ones_stacked_and_encode_overrides_the_model(berg, model, film, full):
    both, metadata = encode(berg, model, film, subject=[3, 1], return_metadata=True)
    assert tuple(both.shape) == (2, TRS, 1000)
    np.testing.assert_array_equal(both[1], full)
    np.testing.assert_array_equal(encode(berg, model, film, subject=3), both[0])
    assert metadata["subject"] == [3, 1]
    assert metadata["axes"][0] == "subject"
    assert not np.array_equal(both[0], both[1])
    np.testing.assert_array_equal(berg.encode(model, stimulus=WORDS, video_path=film), full)  # BERG's own name for it
    without = berg.get_encoding_model("vibe-sim")
    np.testing.assert_array_equal(encode(berg, without, film, subject=np.int64(1)), full)
    several = berg.get_encoding_model("vibe-sim", subject=[3, 1])
    np.testing.assert_array_equal(several.generate_response(WORDS, video_path=film, show_progress=False), both)


ONE_HOT = np.zeros(1000, int)
ONE_HOT[[999, 5, 300]] = 1


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        ({"roi": ["Vis"]}, lambda masks: masks["Vis"]),
        ({"roi": ["Default", "Vis"]}, lambda masks: masks["Vis"] | masks["Default"]),
        ({"roi": "Limbic"}, lambda masks: masks["Limbic"]),
        ({"parcel_index": ONE_HOT}, lambda masks: ONE_HOT == 1),
        ({"parcel_index": ONE_HOT.tolist(), "roi": ["Cont"]}, lambda masks: (ONE_HOT == 1) | masks["Cont"]),
        ({"parcels": [1000, 1, 17]}, lambda masks: np.isin(np.arange(1000), [999, 0, 16])),
        ({"parcels": ["7Networks_LH_Vis_2", 3]}, lambda masks: np.isin(np.arange(1000), [1, 2])),
        ({"parcels": np.array([7]), "roi": ["Vis-L"]}, lambda masks: np.arange(1000) < 81),
        ({}, lambda masks: np.ones(1000, bool)),
        (None, lambda masks: np.ones(1000, bool)),
    ],
)
def test_a_selection_equals_the_slice_of_the_whole_exactly_and_metadata_are_sliced_with_it(berg, film, full, selection, wanted):
    mask = wanted(berg.get_model_metadata("vibe-sim")["roi_masks"])
    model = berg.get_encoding_model("vibe-sim", subject=1, selection=selection)
    responses, metadata = encode(berg, model, film, return_metadata=True)
    np.testing.assert_array_equal(responses, full[:, mask])
    assert metadata["parcel_ids"].tolist() == (np.flatnonzero(mask) + 1).tolist()
    assert metadata["parcel_labels"] == [load_atlas().labels[k] for k in np.flatnonzero(mask)]
    for name, chosen in metadata["roi_masks"].items():
        np.testing.assert_array_equal(chosen, load_atlas().mask(name)[mask])
    assert model.get_metadata()["parcel_ids"].tolist() == metadata["parcel_ids"].tolist()


def test_a_torch_one_hot_selects_as_numpys_does():
    import torch

    assert selected({"parcel_index": torch.from_numpy(ONE_HOT)}).tolist() == [5, 300, 999]


def test_metadata_say_what_made_the_responses(berg, model, film):
    _, metadata = encode(berg, model, film, return_metadata=True)
    assert metadata["simulated"] is True
    assert metadata["subject_labels"] == ["Sim 1"]
    assert metadata["model_id"] == "vibe-sim"
    assert metadata["tr"] == TR
    np.testing.assert_allclose(metadata["times"], (np.arange(TRS) + 0.5) * TR)
    assert metadata["valid"].shape == (TRS,)
    assert metadata["units"] == "z"
    assert metadata["clip_name"] == "film.mp4"
    assert str(Path(film).parent) not in str(metadata)


def test_the_labelled_responses_are_one_call_away(berg, film, full):
    model = berg.get_encoding_model("vibe-sim", subject=1, selection={"roi": ["Vis"]})
    with pytest.raises(BERGError, match="not encoded a film"):
        _ = model.responses
    encode(berg, model, film)
    np.testing.assert_array_equal(model.responses.subject(1), full)
    assert model.responses.simulated
    model.cleanup()
    with pytest.raises(BERGError):
        _ = model.responses


def test_another_subject_or_selection_of_a_film_computes_no_features(berg, film, full, monkeypatch):
    computed = []
    for stream, extractor in CLASSICAL.items():
        before = type(extractor).compute

        def counted(self, clip, transcript, before=before, stream=stream):
            computed.append(stream)
            return before(self, clip, transcript)

        monkeypatch.setattr(type(extractor), "compute", counted)
    encode(berg, berg.get_encoding_model("vibe-sim", subject=5), film)
    encode(berg, berg.get_encoding_model("vibe-sim", subject=[2, 3], selection={"roi": ["Default"]}), film)
    assert computed == []
    encode(berg, berg.get_encoding_model("vibe-sim", subject=1), film, transcripts=["other words"] * TRS)
    assert computed == ["text"]


@pytest.fixture
def no_network(monkeypatch):
    """Any connection to another place than a local socket fails the test."""

    def refuse(self, address):
        raise OSError(101, f"no network in this test: {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **how: refuse(None, args))


def test_a_run_needs_no_network_when_the_files_are_here(no_network, berg, film, tmp_path):
    fresh = BERG(settings=Settings(cache_dir=tmp_path, recogniser="none"))
    model = fresh.get_encoding_model("vibe-sim", subject=1)
    assert encode(fresh, model, write_film(tmp_path / "short.mp4", 4.0), transcripts=["a", "b"]).shape == (2, 1000)


# ---- transcripts


def test_strings_reach_the_model_as_they_are_and_words_stay_inside_their_tr():
    transcript = strings_per_tr(WORDS)
    assert transcript.text_per_tr == tuple(WORDS)
    assert transcript.words_per_tr[0] == ("once", "upon", "a", "time")
    for row, (onsets, durations) in enumerate(zip(transcript.onsets_per_tr, transcript.durations_per_tr, strict=True)):
        assert all(row * TR <= onset and onset + duration < (row + 1) * TR for onset, duration in zip(onsets, durations, strict=True))


def test_one_string_more_than_whole_trs_is_accepted_with_a_warning(berg, model, film, full):
    with pytest.warns(UserWarning, match="6 strings and the film 5 whole TRs"):
        responses, metadata = encode(berg, model, film, transcripts=[*WORDS, "left over"], return_metadata=True)
    np.testing.assert_array_equal(responses, full)
    assert any("6 strings" in warning for warning in metadata["warnings"])


@pytest.mark.parametrize("count", [0, 1, 4, 7, 40])
def test_another_number_of_strings_is_refused_with_both_numbers(berg, model, film, count):
    with pytest.raises(StimulusError, match=rf"\b{count} strings?\b.*\b5 TRs\b") as caught:
        encode(berg, model, film, transcripts=["word"] * count)
    assert "floor(8.00 s / 1.49 s)" in str(caught.value)


def test_words_with_times_a_file_and_a_transcript_give_the_same_responses(berg, model, film, tmp_path):
    words = [("hello", 0.2, 0.4), ("there", 0.7, 0.3), ("brain", 5.0, 0.5)]
    table = table_from_words([Word(*word) for word in words], TRS, source="test", timing="given")
    expected = encode(berg, model, film, transcripts=table)
    np.testing.assert_array_equal(encode(berg, model, film, transcripts=words), expected)
    for ending in ("tsv", "json"):
        path = write_transcript(table, tmp_path / f"words.{ending}")
        np.testing.assert_array_equal(encode(berg, model, film, transcripts=path), expected)
        np.testing.assert_array_equal(encode(berg, model, film, transcripts=str(path)), expected)
    np.testing.assert_array_equal(encode(berg, model, film, transcripts=np.array(WORDS)), encode(berg, model, film))


def test_without_a_transcript_the_recogniser_of_the_settings_is_asked(berg, model, film):
    with pytest.warns(UserWarning, match="without words"):
        _, metadata = encode(berg, model, film, transcripts=None, return_metadata=True)
    assert metadata["transcript_source"] == "none"
    assert metadata["present"] == {"audio": True, "video": True, "text": False}


# ---- bad arguments

NOT_ONE_HOT = (
    *(np.zeros(1000), np.ones(999), np.ones((1, 1000)), np.full(1000, 2), np.full(1000, np.nan)),
    *(["a"] * 1000, [-1] * 1000, [[1], [1, 0]], 7, None, "Vis"),
)
GET = [
    ({"model_id": "fmri-cneuromod_algo2025-vib"}, ModelNotFoundError, "Did you mean fmri-cneuromod_algo2025-vibe?"),
    ({"model_id": "eeg-things_eeg_2-vit_b_32"}, ModelNotFoundError, "Allowed model ids are"),
    ({"model_id": None}, ModelNotFoundError, "vibe-sim"),
    ({"model_id": ["vibe-sim"]}, ModelNotFoundError, "vibe-sim"),
    *(({"subject": wrong}, InvalidParameterError, "1, 2, 3, 5") for wrong in (4, 0, "1", 1.0, True, [], [1, 1], [1, 4], ["1"], {"a": 1}, b"1")),
    *(({"device": wrong}, InvalidParameterError, "auto, cpu, cuda, mps") for wrong in ("tpu", None, 0, "cuda:0")),
    *(({"low_mem_use": wrong}, InvalidParameterError, "True or False") for wrong in ("yes", None, 1)),
    ({"model_variant": "some/model"}, InvalidParameterError, "its own weights"),
    ({"config": {"tr": 1.49}}, InvalidParameterError, "model_variant"),
    ({"channels": "Oz"}, InvalidParameterError, "Allowed arguments of get_encoding_model are"),
    ({"subjects": 1}, InvalidParameterError, "Did you mean subject?"),
    *(({"selection": wrong}, InvalidParameterError, "roi, parcel_index, parcels") for wrong in ("Vis", ["Vis"], 3, {"voxel_index": [1]})),
    ({"selection": {"rois": ["Vis"]}}, InvalidParameterError, "Did you mean roi?"),
    ({"selection": {"roi": ["vis"]}}, InvalidParameterError, "Did you mean Vis?"),
    ({"selection": {"roi": ["SalVenAttn"]}}, InvalidParameterError, "Did you mean SalVentAttn?"),
    *(({"selection": {"roi": wrong}}, InvalidParameterError, "roi") for wrong in ([], None, 3, [3], [["Vis"]], "V1", [None])),
    *(({"selection": {"parcel_index": wrong}}, InvalidParameterError, "parcel_index must be 1000 zeros and ones") for wrong in NOT_ONE_HOT),
    *(
        ({"selection": {"parcels": wrong}}, InvalidParameterError, "parcels must be")
        for wrong in ([0], [1001], [True], [1.0], [], None, ["7Networks_LH_Vis_999"], [None], 0)
    ),
    ({"selection": {"parcels": ["7networks_lh_vis_2"]}}, InvalidParameterError, "Did you mean 7Networks_LH_Vis_2?"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "error", "said"), GET, ids=lambda value: None if isinstance(value, type) else str(value)[:50])
def test_a_bad_argument_of_get_encoding_model_is_refused_in_words(berg, wrong, error, said):
    with pytest.raises(error, match=re.escape(said)) as caught:
        berg.get_encoding_model(**{"model_id": "vibe-sim", "subject": 1, **wrong})
    _is_ours(caught.value)


ENCODE = [
    *(({"video_path": wrong}, StimulusError, "film") for wrong in (None, "nowhere.mp4", "", 3, np.zeros((2, 8, 8, 3)), "x" * 5000, "a\0b", ROOT)),
    *(({"transcripts": wrong}, StimulusError, "transcripts") for wrong in (7, {"a": 1}, b"words", [1.0] * 5, ["a"] * 4 + [float("nan")], [None] * 5)),
    *(({"transcripts": wrong}, StimulusError, "no transcript file") for wrong in ("nowhere.tsv", "", "once upon a time", "y" * 5000)),
    ({"transcripts": [("word", 1.0)]}, StimulusError, "Item 0"),
    ({"transcripts": [("word", 1.0, -1.0)]}, StimulusError, "ends before it starts"),
    ({"transcripts": [("word", float("inf"), 1.0)]}, StimulusError, "finite"),
    ({"transcripts": ["w" * 5000] * 5}, StimulusError, "String 0"),
    *(({"subject": wrong}, InvalidParameterError, "1, 2, 3, 5") for wrong in (4, "1", [], [1, 9])),
    ({"model": "vibe-sim"}, InvalidParameterError, "get_encoding_model"),
    ({"model": None}, InvalidParameterError, "get_encoding_model"),
    ({"selection": {"roi": ["Vis"]}}, InvalidParameterError, "selection is given to get_encoding_model"),
    ({"video": "film.mp4"}, InvalidParameterError, "Did you mean video_path?"),
]


@pytest.mark.parametrize(("wrong", "error", "said"), ENCODE, ids=lambda value: None if isinstance(value, type) else str(value)[:50])
def test_a_bad_argument_of_encode_is_refused_in_words(berg, model, film, wrong, error, said):
    arguments = {"model": model, "transcripts": WORDS, "video_path": film, "show_progress": False, **wrong}
    with pytest.raises(error, match=re.escape(said)) as caught:
        berg.encode(**arguments)
    _is_ours(caught.value)


def _is_ours(error: BERGError) -> None:
    """One of BERG's names and of ours, with a sentence, and without a path of this machine."""
    assert isinstance(error, CineglassError)
    assert isinstance(error, BERGError)
    assert error.message.endswith(".")
    assert error.message in str(error)
    assert "/tmp" not in str(error)
    assert len(str(error)) < 1000


def test_a_film_that_is_too_short_or_no_film_is_refused_with_the_gates_own_sentence(berg, model, tmp_path):
    with pytest.raises(StimulusError) as caught:
        encode(berg, model, write_film(tmp_path / "short.mp4", 1.0))
    assert isinstance(caught.value.__cause__, MediaError)
    assert (caught.value.code, caught.value.message, caught.value.hint) == (
        caught.value.__cause__.code, caught.value.__cause__.message, caught.value.__cause__.hint,
    )  # fmt: skip
    assert caught.value.code == "too_short"
    (tmp_path / "no.mp4").write_bytes(b"not a film" * 100)
    with pytest.raises(StimulusError):
        encode(berg, model, tmp_path / "no.mp4")


def test_a_subject_must_be_given_somewhere(berg, film):
    with pytest.raises(InvalidParameterError, match=r"subject=1"):
        encode(berg, berg.get_encoding_model("vibe-sim"), film)


@pytest.mark.parametrize("call", ["describe", "get_model_variants", "get_model_metadata"])
def test_every_call_knows_an_unknown_model(berg, call):
    with pytest.raises(ModelNotFoundError, match=r"Did you mean vibe-sim\?"):
        getattr(berg, call)("vibe_sim")


def test_metadata_take_no_strange_arguments(berg):
    with pytest.raises(InvalidParameterError, match="Allowed arguments of get_model_metadata are subject"):
        berg.get_model_metadata("vibe-sim", roi="V1")
    with pytest.raises(InvalidParameterError):
        berg.get_model_metadata("vibe-sim", subject=4)
    with pytest.raises(InvalidParameterError, match="berg_dir"):
        BERG(5)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (MediaError("decode_memory", "A.", "B."), StimulusError),
        (TranscriptError("row_count", "A.", "B."), StimulusError),
        (FeatureError("no_frames", "A.", "B."), StimulusError),
        (FeatureError("out_of_memory", "A.", "B."), ResourceError),
        (ModelError("not_here", "A.", "B."), ModelLoadError),
        (SelectionError("unknown_name", "A.", "B."), InvalidParameterError),
        (CacheError("disk_full", "A.", "B."), ResourceError),
    ],
)
def test_errors_of_other_rooms_leave_under_bergs_names_with_their_sentence_and_hint(ours, theirs):
    with pytest.raises(theirs) as caught, berg_errors():
        raise ours
    assert type(caught.value) is theirs
    assert (caught.value.code, caught.value.message, caught.value.hint, str(caught.value)) == (ours.code, "A.", "B.", "A. B.")


# ---- the model object


def test_a_model_answers_to_all_that_bergs_interface_asks(berg, film, full, capsys):
    with berg.get_encoding_model("vibe-sim", device="cpu", subject=1) as model:
        assert model.get_model_id() == "vibe-sim"
        assert {"subject", "selection", "device"} <= set(model.get_supported_parameters())
        assert model.describe()["model_id"] == "vibe-sim"
        assert model.get_pretrained_variants() == []
        assert {name: int(mask.sum()) for name, mask in model.get_metadata()["roi_masks"].items()} == NETWORKS
        np.testing.assert_array_equal(model.generate_response(WORDS, video_path=film), full)
        assert "Responses are ready" in capsys.readouterr().err
    np.testing.assert_array_equal(encode(berg, model, film), full)  # usable again after cleanup


def test_progress_can_be_silenced(berg, model, film, capsys):
    encode(berg, model, film)
    assert capsys.readouterr() == ("", "")


def test_the_animation_plays_a_tr_in_its_own_time_and_returns_its_path(berg, model, film, tmp_path):
    responses = encode(berg, model, film)
    path = model.generate_glass_brain_animation(responses=responses, out_path=str(tmp_path / "brain.gif"), display_mode="lr")
    assert path == str(tmp_path / "brain.gif")
    with Image.open(path) as gif:
        shown = 0
        for frame in range(gif.n_frames):
            gif.seek(frame)
            shown += gif.info["duration"]
    assert shown / 1000 == pytest.approx(TRS * TR, abs=0.010)
    assert [item.name for item in tmp_path.iterdir()] == ["brain.gif"]


def test_the_animation_takes_selected_responses_and_its_own_last_ones(berg, film, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = berg.get_encoding_model("vibe-sim", subject=[1, 2], selection={"roi": ["Vis"]})
    responses = encode(berg, model, film)
    assert model.generate_glass_brain_animation(responses[0], display_mode="l", cleanup_frames=False) == "brain_activation.gif"
    first = (tmp_path / "brain_activation.gif").read_bytes()
    assert model.generate_glass_brain_animation(out_path=tmp_path / "own.gif", display_mode="l") == str(tmp_path / "own.gif")
    assert (tmp_path / "own.gif").read_bytes() == first
    for wrong, said in (
        ({"responses": responses}, "responses[0]"),
        ({"responses": np.zeros((3, 17))}, "[n_TR, 1000] or [n_TR, 162]"),
        ({"responses": "brain"}, "array of numbers"),
        ({"responses": responses[0], "out_path": "brain.mp4"}, ".gif"),
        ({"responses": responses[0], "out_path": None}, ".gif"),
        ({"responses": responses[0], "display_mode": "q"}, "Allowed views"),
        ({"responses": responses[0], "cmap": "cold_hott"}, "Did you mean cold_hot?"),
    ):
        with pytest.raises(InvalidParameterError, match=re.escape(said)):
            model.generate_glass_brain_animation(**wrong)
    with pytest.raises(ResourceError):
        model.generate_glass_brain_animation(responses[0], out_path=tmp_path / "nowhere" / "a.gif")
    with pytest.raises(BERGError, match="not encoded a film"):
        berg.get_encoding_model("vibe-sim", subject=1).generate_glass_brain_animation()


# ---- published weights

NOTEBOOK = """
from berg import BERG

berg = BERG(berg_dir="path/to/brain-encoding-response-generator")
variants = berg.get_model_variants("fmri-cneuromod_algo2025-vibe")
model = berg.get_encoding_model(
    "fmri-cneuromod_algo2025-vibe",
    subject=1,
    device="cpu",
    model_variant=VARIANT,
    low_mem_use=True,
    selection={"roi": ["Vis", "Default"], "parcel_index": one_hot},
)
responses, metadata = berg.encode(
    model,
    transcripts,
    video_path=video_path,
    subject=2,
    return_metadata=True,
    show_progress=True,
)
silent = berg.encode(model, transcripts, video_path=video_path)
about = berg.get_model_metadata("fmri-cneuromod_algo2025-vibe", subject=1)
visual = about["roi_masks"]["Vis"]
names = model.get_pretrained_variants()
gif = model.generate_glass_brain_animation(responses=responses, out_path=out_path)
"""


def test_a_notebook_written_for_berg_runs_after_changing_the_import_line(published, film, tmp_path, monkeypatch, settings, no_network):
    monkeypatch.setattr(berg_module, "get_settings", lambda: settings)
    names = {
        "VARIANT": str(published),
        "transcripts": WORDS,
        "video_path": film,
        "one_hot": ONE_HOT,
        "out_path": str(tmp_path / "brain_activation.gif"),
    }
    exec(compile(NOTEBOOK.replace("from berg import BERG", "from experiments.berg import BERG"), "notebook", "exec"), names)
    mask = names["visual"] | names["about"]["roi_masks"]["Default"] | (ONE_HOT == 1)
    assert tuple(names["responses"].shape) == (TRS, mask.sum())
    assert not np.array_equal(names["responses"], names["silent"])
    assert names["metadata"]["parcel_ids"].tolist() == (np.flatnonzero(mask) + 1).tolist()
    assert names["metadata"]["simulated"] is False
    assert names["metadata"]["subject_labels"] == ["Subject 2"]
    assert REPOSITORY in names["variants"]
    assert names["names"] == names["variants"]
    assert Path(names["gif"]).is_file()


def test_the_published_features_are_computed_once_for_all_subjects_and_selections(published, film, settings, monkeypatch):
    from extractors import vibe_audio, vibe_text, vibe_video

    computed = []
    for kind in (vibe_audio.VibeAudio, vibe_text.VibeText, vibe_video.VibeVideo):

        def counted(self, clip, transcript, before=kind.compute):
            computed.append(self.stream)
            return before(self, clip, transcript)

        monkeypatch.setattr(kind, "compute", counted)
    berg = BERG(settings=settings)
    model = berg.get_encoding_model(PUBLISHED, subject=1, model_variant=published, device="cpu")
    encode(berg, model, film, transcripts=[*WORDS[:-1], "the very end"])
    before = list(computed)
    assert "text" in before
    other = berg.get_encoding_model(PUBLISHED, model_variant=str(published), device="cpu", selection={"roi": ["Limbic"]})
    assert encode(berg, other, film, transcripts=[*WORDS[:-1], "the very end"], subject=[2, 5]).shape == (2, TRS, 60)
    assert computed == before


def test_several_variants_are_averaged(published, film, settings, tmp_path):
    second = tiny_predictor(tmp_path / "second", seed=4)
    (second / "backbones").symlink_to(published / "backbones")
    berg = BERG(settings=settings)

    def responses(variant):
        return encode(berg, berg.get_encoding_model(PUBLISHED, subject=1, model_variant=variant, device="cpu"), film).numpy()

    one, two, both = responses(published), responses(second), responses([published, str(second)])
    assert not np.allclose(one, two, atol=1e-3)
    np.testing.assert_allclose(both, (one + two) / 2, atol=1e-5)


def test_missing_weights_are_named_with_the_way_to_get_them(berg, tmp_path, monkeypatch, no_network):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelLoadError, match=re.escape(f"The model {REPOSITORY} is not on this machine.")) as caught:
        berg.get_encoding_model(PUBLISHED, subject=1)
    assert f"download-model {REPOSITORY}" in str(caught.value)
    for wrong in ("nothing-here", ["some/model", "nothing-here"]):
        with pytest.raises(ModelLoadError):
            berg.get_encoding_model(PUBLISHED, subject=1, model_variant=wrong)
    for wrong in ([], 3, [None], ""):
        with pytest.raises(InvalidParameterError, match="model_variant"):
            berg.get_encoding_model(PUBLISHED, subject=1, model_variant=wrong)


def test_a_missing_backbone_is_named_before_any_film_is_read(berg, published, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    lonely = shutil.copytree(published, tmp_path / "lonely")
    text = (lonely / "config.json").read_text().replace("backbones/video", "facebook/vjepa2-vitg-fpc64-256")
    (lonely / "config.json").write_text(text)
    with pytest.raises(ModelLoadError, match="facebook/vjepa2-vitg-fpc64-256"):
        berg.get_encoding_model(PUBLISHED, subject=1, model_variant=lonely)


def test_weights_in_a_berg_folder_are_found_in_either_layout(published, tmp_path, monkeypatch, settings):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    cached, plain = tmp_path / "cached", tmp_path / "plain"
    storage = cached / berg_module.WEIGHTS / f"models--{REPOSITORY.replace('/', '--')}"
    commit = "a" * 40
    shutil.copytree(published, storage / "snapshots" / commit)
    (storage / "refs").mkdir()
    (storage / "refs" / "main").write_text(commit)
    shutil.copytree(published, plain / berg_module.WEIGHTS / "VIBE-Qwen2.5-14B")
    for folder in (cached, plain):
        berg = BERG(folder, settings=settings)
        assert berg.berg_dir == folder
        model = berg.get_encoding_model(PUBLISHED, subject=1)
        assert model.model_variant == REPOSITORY
        assert model.weights_card.id == REPOSITORY
        assert not model.weights_card.simulated
    with pytest.raises(ModelLoadError):
        BERG(tmp_path / "neither", settings=settings).get_encoding_model(PUBLISHED, subject=1)


# ---- the page in docs


def test_the_examples_in_the_documentation_run(film, settings, tmp_path, monkeypatch, full):
    page, _, _ = (ROOT / "docs" / "python.md").read_text(encoding="utf-8").partition("## Drawing")  # which tests/unit/test_figures.py runs
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) >= 3
    monkeypatch.setenv("CINEGLASS_CACHE_DIR", str(settings.cache_dir))
    monkeypatch.setenv("CINEGLASS_RECOGNISER", "none")
    get_settings.cache_clear()
    monkeypatch.chdir(tmp_path)
    shutil.copy(film, tmp_path / "film.mp4")
    names: dict = {"transcripts": WORDS}
    try:
        for block in blocks:
            exec(compile(block, "docs/python.md", "exec"), names)
    finally:
        get_settings.cache_clear()
    np.testing.assert_array_equal(names["responses"], full)
