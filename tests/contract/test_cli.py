from __future__ import annotations

import errno
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import cli
from experiments.models import Missing
from settings import get_settings
from tests.films import write_film
from tests.tiny_model import tiny_film_model
from tests.tiny_vibe import tiny_vibe

ROOT = Path(__file__).parents[2]
PUBLISHED = "ShreyDixit/VIBE-Qwen2.5-14B"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a film, a model and a cache."""
    folder = tmp_path_factory.mktemp("cli")
    write_film(folder / "bar.mp4", 18.0)
    write_film(folder / "short.mp4", 6.0)
    write_film(folder / "long.mp4", 90.0, size=(320, 240), codec="mpeg4")  # has to be encoded again, which takes a while
    tiny_film_model(folder / "model")
    (folder / "words.srt").write_text("1\n00:00:01,000 --> 00:00:03,000\nhello there\n")
    return folder


def environment(place):
    return {**os.environ, "CINEGLASS_CACHE_DIR": str(place / "cache"), "COLUMNS": "100"}


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def published(place):
    """A tiny model in the published format, with its backbones."""
    return tiny_vibe(place / "published")


@pytest.fixture
def hub(place, monkeypatch):
    """The hub's cache, which is not there; nobody may ask the hub itself."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(place / "no-hub"))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was asked"))
    return place / "no-hub"


@pytest.fixture
def cineglass(place, monkeypatch, capsys):
    """Run the command line in this process, which has loaded the libraries already."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("CINEGLASS_CACHE_DIR", str(place / "cache"))

    def call(*words):
        get_settings.cache_clear()
        monkeypatch.setattr(sys, "argv", ["cli.py", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        said = capsys.readouterr()
        return Done(stop.value.code, said.out, said.err)

    yield call
    get_settings.cache_clear()


def test_predict_as_a_program_writes_its_files_and_exits_with_zero(place):
    command = [sys.executable, str(ROOT / "cli.py"), "predict", "bar.mp4", "-o", "program", "--model", "model", "--no-speech"]
    done = subprocess.run(command, cwd=place, env=environment(place), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("SIMULATED. ")
    assert (place / "program" / "responses.json").exists()
    command = [sys.executable, "-X", "importtime", *command[1:], "-q"]
    again = subprocess.run(command, cwd=place, env=environment(place), capture_output=True, text=True, timeout=60, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in again.stderr.splitlines() if line.startswith("import time:")}
    assert "numpy" in loaded
    assert not loaded & {"torch", "faster_whisper", "sklearn", "pocketsphinx", "av"}  # what is kept is only read


def test_predict_writes_the_four_files_and_says_that_they_are_simulated(place, cineglass):
    done = cineglass("predict", "bar.mp4", "--out", "out", "--model", "model", "--no-speech", "--film")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("SIMULATED. Tiny random model: Sim 1, Sim 2, Sim 3, Sim 5; 12 TRs")
    assert len(done.stdout.splitlines()) == 1
    for stage in ("gate", "video", "audio", "model"):
        assert stage in done.stderr
    values = np.load(place / "out" / "responses.npy", allow_pickle=False)
    facts = json.loads((place / "out" / "responses.json").read_text(encoding="utf-8"))
    assert list(values.shape) == facts["shape"] == [4, 12, 1000]
    assert facts["subject_files"] == ["sub-sim01", "sub-sim02", "sub-sim03", "sub-sim05"]
    assert (place / "out" / "networks.tsv").read_text().startswith("subject\tsimulated\t")
    assert (place / "out" / "transcript.tsv").read_text().startswith("text_per_tr\t")
    assert (place / "out" / "film.mp4").stat().st_size > 1000


def test_predict_takes_subjects_and_words_from_a_file(place, cineglass):
    done = cineglass("predict", "bar.mp4", "-o", "two", "--model", "model", "--transcript", "words.srt", "--subjects", "3,1", "-q")
    assert done.returncode == 0, done.stderr
    facts = json.loads((place / "two" / "responses.json").read_text(encoding="utf-8"))
    assert facts["subjects"] == [3, 1]
    assert facts["transcript_source"] == "file words.srt"
    assert "hello" in (place / "two" / "transcript.tsv").read_text()


def test_predict_takes_a_stream_from_the_model_and_says_so(place, cineglass):
    done = cineglass("predict", "bar.mp4", "-o", "lost", "--model", "model", "--transcript", "words.srt", "--lesions", "text MEAN", "-q")
    assert done.returncode == 0
    facts = json.loads((place / "lost" / "responses.json").read_text())
    assert facts["lesions"] == ["text mean"]
    assert "Model lesion:" in done.stderr
    refused = cineglass("predict", "bar.mp4", "-o", "lost2", "--model", "model", "--lesions", "txt mean", "-q")
    assert refused.returncode == 3
    assert "Did you mean text?" in refused.stderr


def test_a_short_film_needs_its_flag(cineglass):
    refused = cineglass("predict", "short.mp4", "-o", "s", "--model", "model", "--no-speech", "-q")
    assert refused.returncode == 3
    done = cineglass("predict", "short.mp4", "-o", "s", "--model", "model", "--no-speech", "-q", "--allow-short")
    assert done.returncode == 0, done.stderr
    assert "no row rests on a full past" in done.stderr


def test_streams_prints_shapes_and_ranges(cineglass):
    done = cineglass("streams", "bar.mp4", "--no-speech", "-q")
    assert done.returncode == 0, done.stderr
    head, columns, *rows = done.stdout.splitlines()
    assert head.startswith("12 TRs in 18.0")
    table = {row.split("\t")[0]: dict(zip(columns.split("\t"), row.split("\t"), strict=True)) for row in rows}
    assert set(table) == {"audio", "text", "video"}
    assert table["text"]["present"] == "no"
    assert all(row["rows"] == "12" for row in table.values())


def test_transcribe_writes_the_format_of_the_files_ending(place, cineglass):
    done = cineglass("transcribe", "bar.mp4", "--recogniser", "sphinx", "--out", "w.vtt", "-q")
    assert done.returncode == 0, done.stderr
    assert (place / "w.vtt").read_text().startswith("WEBVTT")
    printed = cineglass("transcribe", "bar.mp4", "--recogniser", "none", "-q")
    assert printed.stdout.startswith("text_per_tr\t")
    assert len(printed.stdout.splitlines()) == 13


def test_capabilities_are_json_without_paths(cineglass):
    done = cineglass("capabilities")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["subjects"] == [1, 2, 3, 5]
    assert set(facts["recognisers"]) >= {"whisper", "sphinx"}
    assert str(ROOT) not in done.stdout


def test_models_lists_states_and_costs_and_prints_a_card(cineglass, hub):
    done = cineglass("models")
    assert done.returncode == 0, done.stderr
    head, *rows = (line.split("\t") for line in done.stdout.splitlines())
    assert head == ["id", "state", "size", "note"]
    table = {row[0]: row[1:] for row in rows}
    assert table["vibe-sim"][:2] == ["ready", ""]
    assert table[PUBLISHED][:2] == ["downloadable", "about 36.6 GB"]
    assert f"python cli.py download-model {PUBLISHED}" in table[PUBLISHED][2]
    card = cineglass("models", PUBLISHED)
    assert card.returncode == 0, card.stderr
    assert "0.3193" in card.stdout
    assert "arxiv.org/abs/2507.17958" in card.stdout
    unknown = cineglass("models", "nobody")
    assert (unknown.returncode, unknown.stdout) == (4, "")
    assert len(unknown.stderr.splitlines()) == 1


def test_a_published_model_that_is_not_here_is_refused_with_its_cost_and_the_way_out(cineglass, hub):
    for words in (["predict", "bar.mp4", "-o", "x"], ["bake", "bar.mp4", "-o", "x2"], ["features", "bar.mp4", "-o", "x"], ["plan"]):
        done = cineglass(*words, "--model", PUBLISHED)
        assert (done.returncode, done.stdout) == (4, ""), words
        assert len(done.stderr.splitlines()) == 1
        assert "about 36.6 GB" in done.stderr
        assert f"python cli.py download-model {PUBLISHED}" in done.stderr


def test_a_models_download_names_its_sizes_and_happens_only_when_it_is_said_yes_to(cineglass, hub, monkeypatch):
    monkeypatch.setattr("os._exit", sys.exit)  # how an interrupt leaves; here it would take the tests along
    for answer, code in (("n\n", 0), ("", 130)):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        done = cineglass("download-model", PUBLISHED)
        assert (done.returncode, done.stdout.strip()) == (code, "")
        assert f"{PUBLISHED}\tabout 2.5 GB" in done.stderr
        assert "Qwen/Qwen2.5-14B\tabout 29.5 GB" in done.stderr
        assert "together\tabout 36.6 GB" in done.stderr
        assert "fault" not in done.stderr
    assert not hub.exists()
    assert cineglass("download-model", "vibe-sim").stdout == "vibe-sim and all it needs are on this machine.\n"


def test_a_models_download_asks_again_for_what_its_own_files_name(cineglass, hub, monkeypatch):
    rounds = [("some/vibe",), ("some/text", "some/sound")]
    asked = []
    monkeypatch.setattr("experiments.models.missing_of", lambda name: [Missing(source, None) for source in rounds[0]] if rounds else [])
    monkeypatch.setattr("experiments.models.download_model", lambda name: (rounds.pop(0) for _ in range(1)))
    monkeypatch.setattr("typer.confirm", lambda question, err: asked.append(question) or True)
    done = cineglass("download-model", "some/vibe")
    assert done.returncode == 0, done.stderr
    assert len(asked) == 2
    assert done.stderr.splitlines() == ["some/vibe\tsize unknown", "some/text\tsize unknown", "some/sound\tsize unknown"]


def test_plan_says_that_the_embedded_model_needs_none(cineglass):
    done = cineglass("plan", "--model", "vibe-sim")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no GPU" in done.stdout


def test_features_writes_the_streams_of_the_models_extractors(place, cineglass):
    done = cineglass("features", "bar.mp4", "-o", "streams", "--model", "model", "--no-speech", "-q")
    assert done.returncode == 0, done.stderr
    facts = json.loads((place / "streams" / "features.json").read_text(encoding="utf-8"))
    assert (facts["n_trs"], facts["tr"], facts["present"]) == (12, 1.49, {"audio": True, "text": False, "video": True})
    assert set(facts["keys"]) == {"audio", "video"}
    for stream, dim in facts["dims"].items():
        array = np.load(place / "streams" / f"{stream}.npy", allow_pickle=False)
        assert (array.dtype, array.shape) == (np.float32, (12, dim))
        assert array.any() == facts["present"][stream]
    assert str(place) not in json.dumps(facts)


def test_a_baked_result_is_listed_among_the_examples(place, cineglass, monkeypatch):
    done = cineglass("bake", "bar.mp4", "-o", "results/one", "--model", "model", "--no-speech", "-q", "--title", "One bar", "--caption", "It moves.")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("SIMULATED. Tiny random model: Sim 1, Sim 2, Sim 3, Sim 5; 12 TRs")
    assert "one\tOne bar\tIt moves." not in cineglass("examples").stdout
    monkeypatch.setenv("CINEGLASS_RESULTS_DIR", str(place / "results"))
    assert cineglass("examples").stdout.splitlines()[-1] == "one\tOne bar\tIt moves."
    refused = cineglass("bake", "bar.mp4", "-o", ".", "--model", "model", "--no-speech", "-q")
    assert refused.returncode == 3
    assert "holds other things" in refused.stderr


def test_a_published_model_prints_its_plan_before_it_runs_and_its_result_can_be_baked(place, published, cineglass, monkeypatch):
    entering = ["bar.mp4", "--model", "published", "--transcript", "words.srt", "--low-mem", "--device", "cpu"]
    done = cineglass("predict", *entering, "-o", "by-plan")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("VIBE checkpoint published: Subject 1, Subject 2, Subject 3, Subject 5; 12 TRs")
    plan, run = done.stderr.find("Brain model"), done.stderr.find("Responses are ready")
    assert 0 <= plan < run
    assert "one part at a time" in done.stderr
    facts = json.loads((place / "by-plan" / "responses.json").read_text(encoding="utf-8"))
    assert facts["subject_files"] == ["sub-01", "sub-02", "sub-03", "sub-05"]
    assert facts["simulated"] is False
    baked = cineglass("bake", *entering, "-o", "shelf/real", "-q")
    assert baked.returncode == 0, baked.stderr
    text = (place / "shelf" / "real" / "responses.json").read_text(encoding="utf-8")
    assert json.loads(text)["extra"]["made"]["asked"] == {"device": "cpu", "low_mem": True}
    assert str(place) not in text
    (place / "published").rename(place / "elsewhere")
    try:
        monkeypatch.setenv("CINEGLASS_RESULTS_DIR", str(place / "shelf"))
        assert "real\tbar\t" in cineglass("examples").stdout
    finally:
        (place / "elsewhere").rename(place / "published")


def test_features_of_a_published_model_are_those_of_its_backbones(place, published, cineglass):
    done = cineglass("features", "bar.mp4", "-o", "deep", "--model", "published", "--transcript", "words.srt", "-q")
    assert done.returncode == 0, done.stderr
    facts = json.loads((place / "deep" / "features.json").read_text(encoding="utf-8"))
    assert facts["dims"] == {"audio": 24, "text": 16, "video": 96}
    assert facts["window_s"] == 16
    assert all("vibe" in name for name in facts["extractors"].values())
    assert all(facts["present"].values())


def test_a_published_model_that_does_not_fit_says_so_before_anything_runs(published, cineglass, monkeypatch):
    monkeypatch.setenv("CINEGLASS_MEMORY_GB", "0.001")
    done = cineglass("predict", "bar.mp4", "--model", "published", "-o", "x", "-q")
    assert (done.returncode, done.stdout) == (4, "")
    assert len(done.stderr.splitlines()) == 1
    assert "memory" in done.stderr


def test_a_device_that_is_not_here_is_refused_before_the_film_is_read(cineglass, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    cineglass("predict", "bar.mp4", "-o", "kept", "--model", "model", "--no-speech", "-q")
    done = cineglass("predict", "bar.mp4", "-o", "on-cuda", "--model", "model", "--no-speech", "--device", "cuda")
    assert (done.returncode, done.stdout) == (4, "")  # even though the responses are in the cache
    assert done.stderr.startswith("There is no device 'cuda' here")
    assert len(done.stderr.splitlines()) == 1


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_nothing_beside_it(place, cineglass, monkeypatch):
    real = Path.write_text

    def fill(path, text, **how):
        if path.parent.name != "words":
            return real(path, text, **how)
        path.write_bytes(b"")
        raise OSError(errno.ENOSPC, "No space left on device")

    folder = place / "words"
    folder.mkdir()
    (folder / "old.tsv").write_bytes(b"mine")
    monkeypatch.setattr(Path, "write_text", fill)
    done = cineglass("transcribe", "bar.mp4", "--recogniser", "none", "-q", "-o", "words/old.tsv")
    assert done.returncode == 3
    assert "no space left on device" in done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"old.tsv": b"mine"}


def test_streams_that_cannot_be_written_leave_no_half_file(place, cineglass, monkeypatch):
    real = np.save

    def fill(file, array, **how):
        if "no-room" not in str(getattr(file, "name", file)):
            return real(file, array, **how)
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("experiments.features.np.save", fill)
    done = cineglass("features", "bar.mp4", "-o", "no-room", "--model", "model", "--no-speech", "-q")
    assert done.returncode == 3
    assert "no space left on device" in done.stderr
    assert not (place / "no-room").exists()


def test_a_long_message_is_cut_and_leaves_the_bars_of_all_stages_whole(published, cineglass, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = cineglass("predict", "bar.mp4", "--model", "published", "--no-speech", "-o", "narrow")
    assert done.returncode == 0, done.stderr
    bars = [line.split()[0] for line in done.stderr.splitlines() if "\u2501" * 24 in line]
    assert {"plan", "audio", "video", "model"} <= set(bars)


def test_export_names_its_kinds_and_writes_one_with_its_sidecar(place, cineglass):
    for words in (("export", "list"), ("export", "a-story-told", "list")):
        done = cineglass(*words)
        assert done.returncode == 0, done.stderr
        assert "nifti-contrast\tContrast, NIfTI" in done.stdout
    done = cineglass("export", "a-story-told", "npy", "--subject", "3", "--out", "taken", "-q")
    assert done.returncode == 0, done.stderr
    assert [Path(line).name for line in done.stdout.split()] == ["a-story-told_sub-sim03_parcels.npy", "a-story-told_sub-sim03_parcels.json"]


def test_examples_and_recovery_answer(cineglass):
    assert cineglass("examples").returncode == 0
    done = cineglass("recovery", "--model", "model")
    assert done.returncode == 0, done.stderr
    assert "Accuracy on measured brains: never tested" in done.stdout
    assert "Vis\t10\t0.100" in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["predict", "bar.mp4"], 2, "--out"),
        (["run", "bar.mp4"], 3, "no experiment capsule"),
        (["run", "nowhere.zip"], 3, "no file"),
        (["capsule", "nowhere", "-o", "x.zip"], 3, "There is no result nowhere"),
        (["predict", "bar.mp4", "-o", "x", "--subjects", "one"], 2, "1,3"),
        (["predict", "bar.mp4", "-o", "x", "--subjects", "4", "--model", "model"], 2, "1, 2, 3, 5"),
        (["predict", "bar.mp4", "-o", "x", "--no-speech", "--recogniser", "sphinx"], 2, "together"),
        (["dream"], 2, "dream"),
        (["export", "a-story-told", "-o", "x"], 2, "nifti-contrast"),
        (["export", "a-story-told", "ptseries", "--rows", "3-5", "-o", "x"], 2, "--rows changes nothing here"),
        (["export", "a-story-told", "nifti-mean", "--minus", "3-5", "-o", "x"], 2, "--minus changes nothing here"),
        (["export", "a-story-told", "nifti-mean", "--threshold", "1", "-o", "x"], 2, "holds the values as they are"),
        (["predict", "nowhere.mp4", "-o", "x"], 3, "There is no file nowhere.mp4"),
        (["predict", "words.srt", "-o", "x", "--model", "model"], 3, ""),
        (["predict", "bar.mp4", "-o", "x", "--transcript", "bar.mp4", "--model", "model"], 3, ""),
        (["predict", "bar.mp4", "-o", "bar.mp4/x", "--model", "model"], 3, "cannot be made"),
        (["predict", "bar.mp4", "-o", "x", "--model", "vibe-14b"], 4, "vibe-14b"),
        (["transcribe", "bar.mp4", "--recogniser", "whisper"], 4, "download-whisper"),
        (["transcribe", "bar.mp4", "--recogniser", "none", "-o", "nowhere/w.srt"], 3, "cannot be written: no such file or directory"),
    ],
)
def test_an_error_is_one_line_on_stderr_with_its_exit_code(cineglass, words, code, said):
    done = cineglass(*words, *(["-q"] if words[0] in ("predict", "transcribe") else []))
    assert done.returncode == code, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not Path("x").exists()  # a folder that was made for nothing goes again


@pytest.mark.parametrize(
    ("name", "value", "words", "code", "said"),
    [
        ("CINEGLASS_PORT", "abc", ["capabilities"], 2, "The setting CINEGLASS_PORT cannot be 'abc'"),
        ("CINEGLASS_CACHE_MAX_GB", "-1", ["capabilities"], 2, "The setting CINEGLASS_CACHE_MAX_GB cannot be '-1'"),
        ("CINEGLASS_DEVICE", "mps", ["predict", "bar.mp4", "-o", "x", "--model", "model", "-q", "--no-speech"], 4, "There is no device 'mps' here"),
    ],
)
def test_a_setting_that_cannot_be_used_is_one_line_that_names_it(cineglass, tmp_path, monkeypatch, name, value, words, code, said):
    if name == "CINEGLASS_DEVICE" and sys.platform == "darwin":
        pytest.skip("this machine may have that device")
    monkeypatch.setenv("CINEGLASS_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv(name, value)
    done = cineglass(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == 1
    assert "pydantic" not in done.stderr


def test_a_port_that_is_taken_is_said_in_one_line(place):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        words = [sys.executable, str(ROOT / "cli.py"), "serve", "--host", "127.0.0.1", "--port", port]
        done = subprocess.run(words, cwd=place, env=environment(place), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"127.0.0.1:{port}" in done.stderr
    assert "CINEGLASS_PORT" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_whispers_download_names_its_size_and_happens_only_when_it_is_said_yes_to(place, cineglass, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(place / "hub"))
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    done = cineglass("download-whisper", "tiny")
    assert done.returncode == 0
    assert "about 78 MB" in done.stderr
    assert not (place / "hub").exists()
    refused = cineglass("download-whisper", "enormous")
    assert refused.returncode == 4
    assert "tiny" in refused.stderr


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks at processes through /proc")
@pytest.mark.parametrize(("number", "whom", "code"), [(signal.SIGINT, "group", 130), (signal.SIGINT, "parent", 130), (signal.SIGTERM, "parent", 143)])
def test_an_interrupt_ends_the_run_and_its_children_within_two_seconds(place, tmp_path, number, whom, code):
    command = [sys.executable, str(ROOT / "cli.py"), "predict", "long.mp4", "-o", str(tmp_path / "x"), "--model", "model"]
    run = subprocess.Popen(
        command, cwd=place, env=environment(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        while not children_of(run.pid):
            assert run.poll() is None, run.stderr.read()
            time.sleep(0.05)
        time.sleep(0.2)
        began = time.monotonic()
        (os.killpg if whom == "group" else os.kill)(run.pid, number)  # a terminal sends Ctrl+C to the whole group
        assert run.wait(timeout=30) == code
        assert time.monotonic() - began < 2
        assert not [pid for pid in members_of(run.pid) if pid != run.pid]
        said = run.stderr.read()
        assert "Traceback" not in said
        assert number == signal.SIGTERM or said.splitlines()[-1] == "Interrupted."
        assert not (tmp_path / "x" / "responses.json").exists()
    finally:
        run.kill()
        run.wait()
        run.stderr.close()


def children_of(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def members_of(session):
    """Living processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def test_cross_writes_the_effects_of_a_design_and_says_them_with_what_they_are(place, cineglass):
    done = cineglass("cross", "bar.mp4", "blank", "mute", "-o", "crossed", "--model", "model", "--no-speech", "-q")
    assert done.returncode == 0, done.stderr
    assert "without a p-value" in done.stderr
    assert done.stdout.startswith("Visual: blank ")
    assert done.stdout.splitlines()[-1].startswith("SIMULATED. ")
    facts = json.loads((place / "crossed" / "design.json").read_text(encoding="utf-8"))
    assert [pair[1] for pair in facts["levels"]] == ["blank colour=black", "mute"]
    lines = (place / "crossed" / "effects.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("subject\tcurve\tlabel")
    assert len(lines) == 1 + 5 * len(facts["tables"]["mean"])


@pytest.mark.parametrize(
    "words",
    [("cross", "bar.mp4", "blank"), ("cross", "bar.mp4", "blank", "mute", "--with", "long.mp4"), ("sets", "--a", "bar.mp4")],
    ids=["one-change", "changes-and-film", "no-b"],
)
def test_a_design_or_set_that_is_half_asked_for_is_a_usage_error(place, cineglass, words):
    done = cineglass(*words, "-o", "half")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert not (place / "half").exists()


def test_sets_of_finished_results_are_tested_and_too_small_ones_refused_before_anything_runs(place, cineglass):
    for k in range(8):
        folder = shutil.copytree(ROOT / "assets" / "examples" / "eyes-and-ears", place / f"result-{k}")
        facts = json.loads((folder / "responses.json").read_text(encoding="utf-8"))
        facts |= {"clip": facts["clip"] | {"sha256": f"{k:064x}"}, "clip_sha256": f"{k:064x}"}
        (folder / "responses.json").write_text(json.dumps(facts), encoding="utf-8")
    a, b = ([word for k in numbers for word in (side, f"result-{k}")] for side, numbers in (("--a", range(4)), ("--b", range(4, 8))))
    done = cineglass("sets", *a, *b, "-o", "lists", "-q")
    assert done.returncode == 0, done.stderr
    assert "Labels of 4 and 4 clips permuted in all 70 ways (exact)" in done.stderr
    assert {path.name for path in (place / "lists").iterdir()} == {"set.json", "set.tsv", "parcels.tsv", "clips.tsv"}
    twice = cineglass("sets", *a, *a[:2], *b, "-o", "pairs")
    assert (twice.returncode, "is in the set twice" in twice.stderr) == (2, True)
    refused = cineglass("sets", *a, "--edits", "mute", "-o", "pairs")
    assert refused.returncode == 3
    assert "6 or more pairs of clips" in refused.stderr
    assert not (place / "pairs").exists()


@pytest.fixture
def compared(place, cineglass):
    """What comparing two films wrote, the second of them greyed; made once."""
    words = ("compare", "bar.mp4", "grey", "--with", "long.mp4", "--lesions", "audio zero", "-o", "compared", "--null", "0", "--model", "model")
    if not (place / "compared").exists():
        done = cineglass(*words, "--no-speech", "-q")
        assert done.returncode == 0, done.stderr
        (place / "compared" / "said").write_text(done.stdout + done.stderr)
    return place / "compared"


def test_edits_beside_another_film_are_made_on_that_film_and_this_is_said(compared):
    facts = [json.loads((compared / side / "responses.json").read_text()) for side in ("a", "b")]
    assert [(one["edits"], one["lesions"]) for one in facts] == [([], []), (["grey"], ["audio zero"])]
    said = (compared / "said").read_text()
    assert "A is bar.mp4." in said.splitlines()
    assert "B is long.mp4: grey; model lesion audio zero." in said.splitlines()
    assert "changed in B, long.mp4, and not in A" in said
    table = (compared / "comparison.tsv").read_text().splitlines()
    assert [name for name in table[0].split("\t") if name.startswith("condition")] == ["condition_a", "condition_b"]
    assert "\tbar.mp4\tlong.mp4: grey; model lesion audio zero" in table[1]


def test_the_help_of_compare_says_which_film_is_changed(cineglass):
    said = " ".join(cineglass("compare", "--help").stdout.replace("\u2502", " ").split())
    assert "never A: two things differ at once" in said


def test_a_folder_that_compare_wrote_is_its_a_and_a_capsule_of_it_holds_both(place, compared, cineglass):
    again = cineglass("compare", "compared", "mute", "-o", "again", "--null", "0", "--model", "model", "-q")
    assert again.returncode == 0, again.stderr
    assert "compared holds a comparison; its A is taken." in again.stderr
    first, second = (json.loads((place / name / "a" / "responses.json").read_text())["run"]["id"] for name in ("compared", "again"))
    assert first == second
    done = cineglass("capsule", "compared", "-o", "compared.zip", "-q")
    assert done.returncode == 0, done.stderr
    needs_b = cineglass("run", "compared.zip", "--film", "bar.mp4", "--model", "model", "-q")
    assert (needs_b.returncode, len(needs_b.stderr.splitlines())) == (3, 1)
    assert "--film-b FILE" in needs_b.stderr
    same = cineglass("run", "compared.zip", "--film", "bar.mp4", "--film-b", "long.mp4", "--model", "model", "-q")
    assert same.stdout == "SIMULATED. Nothing differs: every value is the same, bit for bit.\n", same.stderr


@pytest.mark.parametrize(("command", "more"), [("compare", ("mute", "-o", "x")), ("capsule", ("-o", "x.zip")), ("export", ("npy", "-o", "x"))])
def test_a_folder_without_a_result_is_refused_with_what_to_give(place, cineglass, command, more):
    (place / "nothing").mkdir(exist_ok=True)
    done = cineglass(command, "nothing", *more)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (3, "", 1)
    assert done.stderr.startswith("The folder nothing holds no result. Give a folder that predict or compare wrote, or an example: ")


def test_the_command_line_is_short_and_its_shared_options_lie_beside_it():
    assert len((ROOT / "cli.py").read_text(encoding="utf-8").splitlines()) < 550
