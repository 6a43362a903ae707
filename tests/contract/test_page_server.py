"""The page as a server: how it is launched, what it serves, what it refuses, and what building it loads."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from encoder.cards import read_card
from experiments.examples import list_examples
from experiments.models import ModelState, state_of
from extractors.classical import CLASSICAL
from extractors.errors import BusyError, CineglassError, MediaError
from extractors.stages import Stage
from settings import ASSETS, Settings
from tests.page_server import Pace, serving, wait_until
from tests.tiny_vibe import tiny_predictor, tiny_vibe
from ui import model, run, trust
from ui.choosing import Choosing
from ui.exporting import Exporting
from ui.line import Line, in_plain_words
from ui.page import build_demo, launch_arguments
from ui.sessions import Visit
from ui.shown import of_example

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("page") / "cache", predict=Pace().predict) as (url, demo):
        yield url, demo


def test_building_the_page_loads_no_model_and_nothing_heavy():
    code = (
        "import sys, app, settings; from ui.page import build_demo; build_demo(settings.get_settings());"
        "heavy = ('torch', 'transformers', 'moten', 'sklearn', 'nilearn.plotting', 'matplotlib.pyplot', 'pocketsphinx', 'faster_whisper');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_a_published_model_on_this_disk_makes_the_page_load_no_torch_either(tmp_path):
    tiny_vibe(tmp_path / "tiny")
    code = (
        "import sys, settings; from ui.page import build_demo;"
        f"demo = build_demo(settings.Settings(cache_dir={str(tmp_path / 'cache')!r}, models={str(tmp_path / 'tiny')!r}));"
        "print('torch' in sys.modules, 'transformers' in sys.modules, 'tiny' in str(demo.config))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip().splitlines()[-1] == "False False True"


def test_launch_is_always_closed_to_the_outside(tmp_path):
    settings = Settings(cache_dir=tmp_path, max_upload_mb=7)
    arguments = launch_arguments(build_demo(settings), settings)
    assert arguments["allowed_paths"] == []
    assert arguments["share"] is False
    assert arguments["show_error"] is False
    assert arguments["ssr_mode"] is False
    assert arguments["max_file_size"] == "7mb"
    assert arguments["server_name"] == "127.0.0.1"


def test_every_event_of_the_page_is_private(page):
    visibility = {dependency["api_name"]: dependency["api_visibility"] for dependency in page[1].config["dependencies"]}
    public = {name for name, seen in visibility.items() if seen == "public"}
    assert public == {"predict", "compare", "transcribe", "run_capsule", "list_examples", "capabilities"}


def test_the_page_names_no_path_of_this_machine(page):
    shown = httpx.get(page[0]).text
    for path in (str(ROOT), str(page[1].shelf.gradio), str(Path.home()) + "/"):
        assert path not in shown


def test_analytics_are_off(page):
    assert page[1].analytics_enabled is False
    assert "huggingface.co/api/telemetry" not in httpx.get(page[0]).text


def test_the_files_of_an_example_are_those_the_command_line_writes(page):
    example = list_examples()[0]
    for name in ("responses.npy", "responses.json", "networks.tsv", "transcript.tsv"):
        answer = httpx.get(f"{page[0]}/cineglass/examples/{example.id}/{name}")
        assert answer.content == (example.folder / name).read_bytes()
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_subtitles_are_made_when_asked_for(page):
    answer = httpx.get(f"{page[0]}/cineglass/examples/{list_examples()[0].id}/transcript.vtt", timeout=30)
    assert answer.status_code == 200
    assert answer.content.startswith(b"WEBVTT")


def test_a_film_can_be_fetched_in_ranges(page):
    film = f"{page[0]}/cineglass/examples/{list_examples()[0].id}/clip.mp4"
    whole = httpx.get(film).content
    part = httpx.get(film, headers={"Range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == whole[100:200]


def test_settings_reach_the_words_on_the_page(tmp_path):
    with serving(tmp_path / "cache", predict=Pace().predict, keep_hours=0.5, max_upload_mb=12, max_duration_s=120) as (url, _):
        shown = json.dumps(httpx.get(f"{url}/config").json())
    assert "30 minutes at most" in shown
    assert "to 2 minutes, up to 12 MB" in shown


# models -----------------------------------------------------------------------------------------------------------------------------


def a_model(id="vibe-sim", title="Textbook simulation", state="ready", card=None, **more):
    return ModelState(id, title, title, state, card=card, **more)


def test_the_browser_learns_no_folder_and_can_only_name_what_it_was_offered():
    states = (a_model(), a_model("/srv/weights/mine", "Mine"))
    value = model.picker_value(states, "vibe-sim")
    assert "/srv" not in json.dumps(value)
    keys = [one["key"] for one in value["models"]]
    assert [model.by_key(states, key).id for key in keys] == ["vibe-sim", "/srv/weights/mine"]
    for other in ("/srv/weights/mine", "vibe-sim", "../mine", ""):
        assert model.by_key(states, other) is None


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (a_model(), "Ready"),
        (a_model(state="downloadable", size_bytes=36_400_000_000), "Not downloaded, 36 GB"),
        (a_model(state="downloadable"), "Not downloaded"),
        (a_model(state="unavailable", why="It needs a GPU."), "Not on this machine"),
    ],
)
def test_the_state_of_a_model_is_said_in_words(state, line):
    assert model.in_words(state) == line
    assert (model.picker_value([state], state.id)["missing"] is None) == (line == "Ready")
    assert bool(model.why_not(state, clip=True)) == (line != "Ready")


def test_a_way_out_falls_into_sentences_and_a_command_that_can_be_copied():
    pieces = model.way_out("Get it with: python cli.py download-model Qwen/Qwen2.5-14B (goes on where it stopped), or give a folder.")
    assert pieces == [
        {"text": "Get it with:"},
        {"command": "python cli.py download-model Qwen/Qwen2.5-14B"},
        {"text": "(goes on where it stopped), or give a folder."},
    ]
    assert model.way_out("Run `python cli.py download-model a/b.c --yes`.")[1] == {"command": "python cli.py download-model a/b.c --yes"}
    assert model.way_out("Choose a shorter clip.") == [{"text": "Choose a shorter clip."}]
    assert model.way_out("") == []


def test_going_back_to_a_model_shows_its_plan_and_the_late_plan_of_another_is_dropped(tmp_path, monkeypatch):
    states = (a_model("a"), a_model("b"))
    parts = SimpleNamespace(run=SimpleNamespace(picker="picker", plan="plan", run="run", why="why"))
    choosing = Choosing(parts, settings=Settings(cache_dir=tmp_path), offer=SimpleNamespace(states=lambda again=False: states))
    slow = threading.Event()

    def plan_for(id, duration, settings):
        assert id != "b" or slow.wait(10)
        plan = SimpleNamespace(
            ok=True, problem="", parts=(), notes=(), seconds={"a": 300.0, "b": 900.0}[id], low_mem=False, peak_gpu=0, peak_host=2_000_000_000
        )
        return model.Planned(id, duration, plan)

    monkeypatch.setattr(model, "plan_for", plan_for)
    visit, request = Visit(example="x", duration=60.0), SimpleNamespace(session_hash="me")

    def choose(id):
        choosing.choose(visit, SimpleNamespace(key=model.key_of(id)), request)

    async def told():
        return [changes["plan"].get("summary", "") async for changes in choosing.plan_run(visit, request)]

    async def visitor():
        choose("a")
        first = await told()
        choose("b")
        late = asyncio.create_task(told())
        await asyncio.sleep(0.1)
        choose("a")
        again = await told()
        slow.set()
        return first, again, await late

    with ThreadPoolExecutor(1) as thread:  # a browser test before this one may have left its loop in the main thread
        first, again, late = thread.submit(lambda: asyncio.run(visitor())).result()
    assert first[-1] == again[-1]
    assert "5 min" in again[-1]
    assert late == [""]


def test_how_many_rows_are_valid_follows_the_window_of_the_model(tmp_path):
    settings = Settings(cache_dir=tmp_path)
    sim, vibe = (state_of(name, settings, fit=False) for name in ("vibe-sim", "ShreyDixit/VIBE-Qwen2.5-14B"))
    assert model.window_of(sim, settings) == CLASSICAL.window_s
    assert model.window_of(vibe, settings) == 16.0
    folder = tiny_predictor(tmp_path / "tiny", video_extractor_chunk_length_seconds=8)
    tiny = state_of(str(folder), settings, fit=False)
    assert model.window_of(a_model(str(folder), card=tiny.card), settings) == 8.0


def test_shares_of_the_bar_follow_the_plan_of_a_published_model():
    seconds = {"audio": 20.0, "text": 10.0, "video": 600.0, "model": 3.0}
    course = run.published_course(seconds)
    assert set(course.share) == set(course.stages) == set(run.PUBLISHED_STAGES)
    assert sum(course.share.values()) == pytest.approx(1)
    assert course.share["video"] / course.share["audio"] == pytest.approx(30)
    assert course.share["video"] > 0.9
    assert max(run.published_course().share, key=run.published_course().share.get) == "video"


def test_a_stage_says_how_long_it_still_takes_once_that_is_known():
    line = Line()

    def job():
        yield Stage("audio", 3, 4, "Sound: 3 of 4 windows", 1.0, 40.0)
        yield Stage("video", 12, 40, "Picture: 12 of 40 windows", 24.0, 56.0)
        yield from iter(lambda: Stage("text", 0, 1, "Reading", 9.0, None), None)

    held = line.join("a", job, about=run.published_course())
    wait_until(lambda: "text" in held.stages)
    messages = {row["name"]: row["message"] for row in run.of_job(held, 0)["stages"]}
    assert messages["video"] == "Picture: 12 of 40 windows · about 60 s left"
    assert messages["audio"] == "Sound: 3 of 4 windows"  # one second in, nobody knows
    assert messages["text"] == "Reading"
    line.stop(held)


def said(card, responses=None) -> str:
    return json.dumps(trust.blocks(card, responses))


def test_what_is_said_of_the_simulation_is_not_said_of_a_published_model():
    vibe = read_card(ASSETS / "models" / "vibe" / "card.yaml")
    assert "simulated" not in said(vibe).lower()
    assert "motion energy" not in said(vibe)
    assert "ensemble" in said(vibe)
    assert "0.3193" in said(vibe)
    assert "calibrated is unknown" in said(vibe)
    assert "not measured" in said(vibe)
    sim = said(read_card(ASSETS / "models" / "vibe-sim" / "card.yaml"))
    assert "The four subjects are simulated" in sim
    assert "never tested" in sim
    assert "0.3193" not in sim


def test_an_ensemble_is_said_to_be_a_mean_and_its_members_are_named():
    vibe = read_card(ASSETS / "models" / "vibe" / "card.yaml")
    both = vibe.model_copy(
        update={"model_id": "one+two", "title": "VIBE (ensemble of 2)", "loss": "unknown: no card", "accuracy": "unknown: no card"}
    )
    assert "the curves are their mean" in said(both)
    assert "the curves are their mean" not in said(vibe)
    assert "VIBE (ensemble of 2): one + two" in said(both)
    assert '"Unknown: no card."' in said(both)
    assert '["Loss", "unknown"]' in said(both)


def test_a_result_without_a_card_is_said_to_have_none():
    shown = of_example(list_examples()[0].id, Settings())
    assert shown.card.id == "vibe-sim"
    assert "The card of Textbook simulation is missing" in said(None, shown.responses)


# the line ---------------------------------------------------------------------------------------------------------------------------


def endless():
    while True:
        yield Stage("video", 0, 1, "working")


def test_jobs_run_in_the_order_they_came_and_know_their_place():
    line = Line(running=1, waiting=2)
    jobs = [line.join(visitor, endless) for visitor in "abc"]
    assert [line.position(job) for job in jobs] == [0, 1, 2]
    line.stop(jobs[0])
    wait_until(lambda: jobs[1].state == "running")
    assert jobs[0].state == "stopped"
    assert line.position(jobs[2]) == 1
    line.stop(jobs[2])
    assert jobs[2].state == "stopped"
    line.stop(jobs[1])


def test_one_visitor_has_one_job_and_a_full_line_says_so_with_a_hint():
    line = Line(running=1, waiting=1)
    first = line.join("a", endless)
    with pytest.raises(BusyError) as again:
        line.join("a", endless)
    assert again.value.code == "already_running"
    second = line.join("b", endless)
    with pytest.raises(BusyError) as full:
        line.join("c", endless)
    assert full.value.code == "queue_full"
    assert "examples" in full.value.hint
    line.stop(first)
    line.stop(second)


def test_a_stopped_job_closes_its_generator():
    closed = []

    def job():
        try:
            yield from endless()
        finally:
            closed.append(True)

    line = Line()
    held = line.join("a", job)
    wait_until(lambda: held.stages)
    line.stop(held)
    wait_until(lambda: held.over)
    assert closed == [True]


def test_after_stop_an_export_tells_no_more_of_its_work():
    goes_on, changes = threading.Event(), []
    parts = SimpleNamespace(export=SimpleNamespace(made="made"))
    exporting = Exporting(parts, settings=Settings(), shelf=None, keep=None, newest={})
    first = list_examples()[0].id
    event = SimpleNamespace(kind="npy", player={"run": f"cineglass/examples/{first}"}, dark=False, rows="", minus="")
    request = SimpleNamespace(session_hash="a")

    def job(*_):
        yield Stage("export", 0.1, 1, "begun")
        goes_on.wait(5)  # its news, and the end of its work, come after Stop
        yield Stage("export", 0.9, 1, "late")

    async def watch():
        async for change in exporting.make(Visit(), event, request):
            changes.append(change["made"])
            if changes[-1].get("fraction", 0) > 0:
                changes.append(exporting.stop(Visit(), request)["made"])
                exporting.line.of("a").stages["export"] = Stage("export", 0.5, 1, "between")
                asyncio.get_running_loop().call_later(0.6, goes_on.set)

    exporting._job = job
    asyncio.run(watch())
    stopped = next(i for i, change in enumerate(changes) if change["state"] != "working")
    assert all(change["state"] != "working" for change in changes[stopped:]), changes


def test_a_visitor_whose_job_is_over_can_start_the_next_at_once():
    for _ in range(300):
        line = Line()
        job = line.join("a", lambda: iter(["result"]))
        while not job.over:
            pass
        line.join("a", lambda: iter(["result"]))


def test_a_job_that_breaks_frees_its_place_and_its_words_hold_no_trace():
    def breaking():
        yield Stage("video", 0, 1, "working")
        raise KeyError("/secret/path")

    line = Line()
    job = line.join("a", breaking)
    wait_until(lambda: job.over)
    assert job.state == "failed"
    assert "secret" not in f"{job.error} {job.error.hint}"
    after = line.join("a", lambda: iter(["result"]))
    wait_until(lambda: after.over)
    assert after.result == "result"


@pytest.mark.parametrize(
    ("error", "code"), [(MemoryError(), "out_of_memory"), (OSError(28, "No space left"), "disk"), (MediaError("empty_file", "Empty."), "empty_file")]
)
def test_errors_become_plain_words(error, code):
    told = in_plain_words(error)
    assert isinstance(told, CineglassError)
    assert told.code == code
    assert "\n" not in told.message


def test_the_bar_never_goes_beyond_what_the_stages_say():
    line = Line()

    def half():
        yield Stage("gate", 1, 1, "ready")
        yield Stage("video", 1, 2, "half")
        yield from endless()

    job = line.join("a", half)
    wait_until(lambda: "video" in job.stages)
    shown = run.of_job(job, 0)
    assert 0 < shown["fraction"] <= run.SHARE["gate"] + 0.5 * run.SHARE["video"] + 1e-9
    states = {row["name"]: row["state"] for row in shown["stages"]}
    assert states["gate"] == "done"
    assert states["video"] == "active"
    assert states["model"] == "pending"
    line.stop(job)


def test_shares_of_the_bar_cover_every_stage():
    assert set(run.SHARE) == set(run.STAGES)
    assert sum(run.SHARE.values()) == pytest.approx(1)
