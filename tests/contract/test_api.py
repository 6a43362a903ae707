"""The endpoints, called as a program calls them."""

from __future__ import annotations

import io
import json

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from encoder.atlas import load_atlas
from extractors.grid import n_trs
from tests.films import write_film
from tests.page_server import serving
from tests.tiny_model import tiny_film_model

SECONDS = 16.0


@pytest.fixture(scope="module", autouse=True)
def no_hub(tmp_path_factory):
    """What the hub's cache of this machine holds is not seen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path_factory.mktemp("hub")))
        yield


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    model = tiny_film_model(tmp_path_factory.mktemp("model"))
    with serving(tmp_path_factory.mktemp("page") / "cache", model=str(model)) as (url, demo):
        yield url, demo


@pytest.fixture(scope="module")
def client(page):
    return Client(page[0], verbose=False)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_film(tmp_path_factory.mktemp("films") / "bar.mp4", seconds=SECONDS)


def test_only_the_six_endpoints_are_public(client):
    known = client.view_api(return_format="dict")
    assert sorted(known["named_endpoints"]) == ["/capabilities", "/compare", "/list_examples", "/predict", "/run_capsule", "/transcribe"]
    assert known["unnamed_endpoints"] == {}
    parameters = [parameter["parameter_name"] for parameter in known["named_endpoints"]["/predict"]["parameters"]]
    assert parameters == ["clip", "recogniser", "subjects", "allow_short", "model"]


def test_predict_returns_labelled_responses_and_files_that_agree_with_them(client, page, film):
    answer = client.predict(handle_file(str(film)), "none", [1, 5], api_name="/predict")
    rows = n_trs(SECONDS)
    assert np.shape(answer["networks"]["Vis"]) == (2, rows)
    assert len(answer["networks"]) == 7
    values = np.load(_fetch(page[0], answer["files"]["responses.npy"]))
    assert values.shape == (2, rows, 1000)
    facts = json.loads(httpx.get(f"{page[0]}/{answer['files']['responses.json']}").content)
    assert facts["clip"]["name"] == "bar.mp4"
    table = httpx.get(f"{page[0]}/{answer['files']['networks.tsv']}").text
    assert table.count("\n") > rows
    mask = np.array(["_Vis_" in label for label in _labels()])
    np.testing.assert_allclose(values[:, :, mask].mean(2), answer["networks"]["Vis"], atol=1e-4)


def test_the_same_clip_gives_the_same_numbers_twice(client, film):
    first, second = (client.predict(handle_file(str(film)), "none", api_name="/predict")["networks"] for _ in range(2))
    assert first == second


def test_transcribe_names_the_recogniser_and_finds_nothing_in_a_tone(client, film):
    answer = client.predict(handle_file(str(film)), api_name="/transcribe")
    assert answer["words"] == []
    assert len(answer["text_per_tr"]) == n_trs(SECONDS)
    assert answer["notices"]


def test_examples_are_listed_with_files_that_can_be_fetched(client, page):
    examples = client.predict(api_name="/list_examples")
    assert examples
    for example in examples:
        facts = json.loads(httpx.get(f"{page[0]}/{example['files']['responses.json']}").content)
        values = np.load(_fetch(page[0], example["files"]["responses.npy"]))
        assert values.shape[1] == n_trs(facts["clip"]["duration"])
        assert httpx.head(f"{page[0]}/{example['files']['clip.mp4']}").headers["content-type"] == "video/mp4"


def test_capabilities_say_limits_and_recognisers_and_hold_no_path(client):
    known = client.predict(api_name="/capabilities")
    assert known["tr"] == 1.49
    assert known["subjects"] == [1, 2, 3, 5]
    assert known["recognisers"]["sphinx"]["language"] == "English only"
    assert known["limits"]["min_trs"] == 10
    assert "/home" not in json.dumps(known)
    assert "site-packages" not in json.dumps(known)


def test_capabilities_list_every_model_with_its_state(client):
    models = {model["id"]: model for model in client.predict(api_name="/capabilities")["models"]}
    assert models["vibe-sim"]["state"] == "ready"
    assert models["vibe-sim"]["simulated"] is True
    vibe = models["ShreyDixit/VIBE-Qwen2.5-14B"]
    assert (vibe["state"], vibe["simulated"]) == ("downloadable", False)
    assert vibe["size_bytes"] > 30e9


def test_a_model_is_chosen_by_its_id(client, film):
    usual = client.predict(handle_file(str(film)), "none", api_name="/predict")
    chosen = client.predict(handle_file(str(film)), "none", [1, 2, 3, 5], False, "vibe-sim", api_name="/predict")
    assert chosen["metadata"]["model_id"] == "vibe-sim" != usual["metadata"]["model_id"]


def test_a_model_that_is_not_here_is_refused_with_the_way_out(client, film):
    with pytest.raises(AppError, match=r"model_not_ready.*python cli.py download-model"):
        client.predict(handle_file(str(film)), "none", [1], False, "ShreyDixit/VIBE-Qwen2.5-14B", api_name="/predict")


def test_only_models_that_are_offered_can_be_named_and_never_a_folder(client, film, page):
    folder = page[1].settings.model
    with pytest.raises(AppError, match="Allowed models are vibe-sim") as refused:
        client.predict(handle_file(str(film)), "none", [1], False, folder, api_name="/predict")
    assert str(folder).rsplit("/", 1)[0] not in str(refused.value).split("but got")[0]


@pytest.fixture(scope="module")
def muted(client, film):
    """The film beside itself without sound, one null edit."""
    return client.predict(handle_file(str(film)), "Mute", "", 1, "none", 0, False, "vibe-sim", api_name="/compare")


def test_compare_returns_a_row_for_every_subject_and_curve_and_both_results(muted, page):
    assert (muted["edits"], muted["lesions"], muted["paired"], muted["why"]) == ("mute", "", True, "")
    rows = {(row["subject"], row["curve"]): row for row in muted["table"]}
    assert len(rows) == 5 * len({curve for _, curve in rows})  # four subjects and their mean
    assert {"r", "change", "difference", "null_change", "outside"} <= set(muted["columns"])
    a, b = (np.load(_fetch(page[0], muted["files"][side]["responses.npy"])) for side in ("a", "b"))
    valid = np.array(json.loads(httpx.get(f"{page[0]}/{muted['files']['a']['responses.json']}").content)["valid"], bool)
    mask = np.array(["_Vis_" in label for label in _labels()])
    expected = (a - b).mean(0)[valid if valid.any() else slice(None)][:, mask].mean()
    assert rows["mean", "Vis"]["difference"] == pytest.approx(expected, abs=1e-4)
    assert len(muted["null_edits"]) == 1
    assert any(sentence["curve"] == "Vis" for sentence in muted["sentences"])


def test_a_capsule_of_a_comparison_run_again_is_the_same(client, page, muted, film, tmp_path):
    from experiments.capsule import write_capsule
    from extractors.stages import last

    demo = page[1]
    capsule = last(write_capsule(demo.shelf.comparison(muted["comparison_id"]), tmp_path / "muted.zip", film=True, settings=demo.settings))
    answer = client.predict(handle_file(str(capsule)), None, "", api_name="/run_capsule")
    assert answer == {"same": True, "differences": []}
    with pytest.raises(AppError, match="film_not_needed"):
        client.predict(handle_file(str(capsule)), None, "", handle_file(str(film)), api_name="/run_capsule")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("mutte",), "mute"),
        (("blur percent=90",), "out_of_range"),
        (("",), "nothing_changed"),
        (("sound clip=nobody",), "unknown_example"),
        (("mute", "", 99), "null_edits"),
        (("mute", "smell zero"), "unknown_stream"),
    ],
    ids=["misspelt", "too-much", "nothing", "no-such-clip", "too-many-nulls", "no-such-stream"],
)
def test_what_cannot_be_compared_is_said_in_words(client, film, arguments, said):
    with pytest.raises(AppError, match=said):
        client.predict(handle_file(str(film)), *arguments, api_name="/compare")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("none", [4]), "subject"),
        (("telepathy", [1]), "recogniser"),
    ],
)
def test_a_wrong_argument_is_named(client, film, arguments, code):
    with pytest.raises(AppError, match=code):
        client.predict(handle_file(str(film)), *arguments, api_name="/predict")


def test_a_file_that_is_no_film_is_refused_with_the_gates_words(client, tmp_path):
    wrong = tmp_path / "notes.mp4"
    wrong.write_bytes(b"these are only words " * 50)
    with pytest.raises(AppError, match="not_media") as refused:
        client.predict(handle_file(str(wrong)), api_name="/predict")
    assert "Traceback" not in str(refused.value)
    assert str(tmp_path) not in str(refused.value)


def _fetch(url, address):
    answer = httpx.get(f"{url}/{address}")
    assert answer.status_code == 200
    return io.BytesIO(answer.content)


def _labels():
    return load_atlas().labels
