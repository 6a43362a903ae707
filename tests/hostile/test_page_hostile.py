"""The page under attack and under load (reference ui.md 7.2: 25 to 28, 33 to 37, 41, 43 to 46)."""

from __future__ import annotations

import os
import time
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from experiments.examples import list_examples
from extractors.errors import CacheError
from settings import Settings
from tests.films import write_film
from tests.page_server import NASTY, Pace, serving, wait_until
from ui.sessions import Shelf, Visit

ROOT = Path(__file__).parents[2]
UPLOAD = "/gradio_api/upload"


@pytest.fixture(scope="module")
def pace():
    return Pace()


@pytest.fixture(scope="module")
def page(tmp_path_factory, pace):
    with serving(tmp_path_factory.mktemp("page") / "cache", predict=pace.predict, queue_size=2, max_upload_mb=2) as (url, demo):
        yield url, demo


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_film(tmp_path_factory.mktemp("film") / "bar.mp4", seconds=16)


@pytest.fixture(autouse=True)
def running(pace):
    pace.go.set()
    pace.fail.clear()
    yield
    pace.go.set()


def endpoint(page, name: str) -> int:
    """Index of a private event by the name of its handler."""
    return next(index for index, function in page[1].fns.items() if function.fn is not None and function.fn.__name__ == name)


def join(page, name: str, data: list, session: str, **more) -> httpx.Response:
    body = {"data": data, "fn_index": endpoint(page, name), "session_hash": session, **more}
    return httpx.post(f"{page[0]}/gradio_api/queue/join", json=body)


# 25 ---------------------------------------------------------------------------------------------------------------------------------

OUTSIDE = ["/etc/passwd", "../../../../etc/passwd", "..%2f..%2fetc%2fpasswd", str(ROOT / "app.py"), str(ROOT / "settings.py")]


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_file_outside_the_pages_own_can_be_fetched(page, path):
    example = list_examples()[0].id
    for address in (
        f"/gradio_api/file={path}",
        f"/cineglass/examples/{example}/{path}",
        f"/cineglass/examples/{example}/{quote(path, safe='')}",
        f"/cineglass/examples/{quote('../' + path, safe='')}/responses.json",
        f"/cineglass/runs/{quote(path, safe='')}/responses.json",
        f"/cineglass/assets/page/{path}",
        f"/cineglass/assets/page/{quote('../../../' + path, safe='')}",
    ):
        answer = httpx.get(page[0] + address)
        assert answer.status_code in (403, 404), address
        assert "root:" not in answer.text
        assert "get_settings" not in answer.text


def test_only_named_files_of_a_result_are_served(page):
    folder = page[1].shelf.runs / ("a" * 32)
    folder.mkdir(parents=True)
    (folder / "responses.json").write_text("{}")
    (folder / "private.txt").write_text("secret")
    assert httpx.get(f"{page[0]}/cineglass/runs/{'a' * 32}/responses.json").text == "{}"
    assert httpx.get(f"{page[0]}/cineglass/runs/{'a' * 32}/private.txt").status_code == 404
    damaged = httpx.get(f"{page[0]}/cineglass/runs/{'a' * 32}/transcript.vtt")
    assert damaged.status_code == 404
    assert str(folder) not in damaged.text


# 26, 44, 46 -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/etc/passwd", str(ROOT / "app.py"), "http://127.0.0.1/x.mp4", "", "\x00", 7, None, {"a": 1}])
def test_a_path_that_was_not_uploaded_is_refused(page, path):
    answer = httpx.post(f"{page[0]}/gradio_api/call/predict", json={"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}, "none"]})
    if answer.status_code == 200:
        told = httpx.get(f"{page[0]}/gradio_api/call/predict/{answer.json()['event_id']}", timeout=20).text
        assert "event: error" in told
    else:
        told = answer.text
    assert "Traceback" not in told
    assert "root:" not in told


@pytest.mark.parametrize("data", [[], [1], ["x"] * 9, [{"path": "x"}, {}, "y", []], None, "text"])
def test_malformed_calls_do_not_hurt_the_server(page, data):
    answer = httpx.post(f"{page[0]}/gradio_api/call/predict", json={"data": data})
    assert "Traceback" not in answer.text
    assert httpx.get(page[0]).status_code == 200


def test_a_recording_from_outside_the_upload_folder_is_not_taken(page):
    with pytest.raises(CacheError) as refused:
        page[1].shelf.keep_upload(ROOT / "app.py")
    assert refused.value.code == "not_uploaded"
    link = page[1].shelf.gradio / "link.mp4"
    link.parent.mkdir(parents=True, exist_ok=True)
    os.symlink("/etc/passwd", link)
    with pytest.raises(CacheError):
        page[1].shelf.keep_upload(link)


def test_a_forged_session_sees_and_stops_nothing_of_another(page, pace):
    pace.go.clear()
    visitors = page[1].runs
    job = visitors.join("victim", lambda: pace.predict("film"))
    httpx.post(f"{page[0]}/gradio_api/run/predict", json={"data": [], "fn_index": endpoint(page, "stop_run"), "session_hash": "attacker"})
    assert not job.over
    visitors.stop(job)


def test_another_site_may_not_call_us(page):
    answer = httpx.options(
        f"{page[0]}/gradio_api/call/predict", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST", "Host": "127.0.0.1"}
    )
    assert answer.headers.get("access-control-allow-origin") != "https://evil.example"
    assert answer.headers.get("access-control-allow-origin") != "*"


# 33, 34, 35 -------------------------------------------------------------------------------------------------------------------------


def test_the_api_stands_in_the_same_line_and_is_told_politely_when_it_is_full(page, pace, film):
    pace.go.clear()
    callers = [Client(page[0], verbose=False) for _ in range(4)]
    jobs = []
    for number, caller in enumerate(callers[:3]):
        jobs.append(caller.submit(handle_file(str(film)), "none", api_name="/predict"))
        wait_until(lambda count=number + 1: len(page[1].runs) == count)
    with pytest.raises(AppError, match="queue_full") as full:
        callers[3].predict(handle_file(str(film)), "none", api_name="/predict")
    assert "visitors are waiting" in str(full.value)
    assert callers[3].predict(api_name="/list_examples")  # what needs no place stays open
    pace.go.set()
    for job in jobs:
        assert job.result(timeout=30)["run_id"]


def test_a_caller_who_leaves_frees_the_place(page, pace, film):
    pace.go.clear()
    client = Client(page[0], verbose=False)
    job = client.submit(handle_file(str(film)), "none", api_name="/predict")
    wait_until(lambda: len(page[1].runs) == 1, 30)
    job.cancel()
    wait_until(lambda: len(page[1].runs) == 0, 30)


def test_uploads_of_a_call_are_gone_after_it_whatever_happened(page, pace, film):
    client = Client(page[0], verbose=False)
    pace.fail.set()
    with pytest.raises(AppError, match="decode_failed"):
        client.predict(handle_file(str(film)), "none", api_name="/predict")
    assert list(page[1].shelf.uploads.iterdir()) == []


def test_an_error_with_markup_reaches_a_program_as_plain_text(page, pace, film):
    kept, pace.error = pace.error, type(pace.error)("decode_failed", NASTY, "")
    pace.fail.set()
    try:
        with pytest.raises(AppError) as told:
            Client(page[0], verbose=False).predict(handle_file(str(film)), "none", api_name="/predict")
    finally:
        pace.error = kept
    assert "Traceback" not in str(told.value)


# 36, 37 -----------------------------------------------------------------------------------------------------------------------------


def test_an_upload_survives_a_restart_and_can_be_run_again(tmp_path):
    settings = Settings(cache_dir=tmp_path)
    before = Shelf(settings)
    incoming = before.gradio / "abc" / "film.mp4"
    incoming.parent.mkdir(parents=True)
    incoming.write_bytes(b"film")
    token = before.keep_upload(incoming)
    assert Shelf(settings).upload(token).read_bytes() == b"film"


def test_a_folder_that_cannot_be_written_is_named_and_leaves_nothing_behind(tmp_path, monkeypatch):
    shelf = Shelf(Settings(cache_dir=tmp_path))
    incoming = shelf.gradio / "abc" / "film.mp4"
    incoming.parent.mkdir(parents=True)
    incoming.write_bytes(b"film")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ui.sessions.os.link", full)
    monkeypatch.setattr("ui.sessions.shutil.copyfile", full)
    with pytest.raises(CacheError) as told:
        shelf.keep_upload(incoming)
    assert told.value.code == "disk"
    assert str(tmp_path) not in str(told.value)
    assert list(shelf.uploads.iterdir()) == []


def test_a_result_that_was_deleted_under_us_is_a_sentence(page):
    answer = httpx.get(f"{page[0]}/cineglass/runs/{'b' * 32}/responses.npy")
    assert answer.status_code == 404
    assert answer.text == "This result is no longer kept here. Run the clip again, or open an example."


# 41, 43 -----------------------------------------------------------------------------------------------------------------------------


def test_uploads_that_nobody_submitted_expire_and_the_fresh_ones_stay(tmp_path):
    shelf = Shelf(Settings(cache_dir=tmp_path, keep_hours=1))
    old, fresh = shelf.gradio / "old" / "a.bin", shelf.gradio / "fresh" / "b.bin"
    for file in (old, fresh):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"x" * 1000)
    for entry in (old, old.parent):
        os.utime(entry, (time.time() - 7200,) * 2)
    shelf.sweep()
    assert not old.parent.exists()
    assert fresh.is_file()


def test_beyond_the_size_bound_the_oldest_go_first(tmp_path):
    shelf = Shelf(Settings(cache_dir=tmp_path, cache_max_gb=3e-6))  # 3 kB
    for age in range(5):
        file = shelf.gradio / f"u{age}" / "a.bin"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"x" * 1000)
        for entry in (file, file.parent):
            os.utime(entry, (time.time() - 100 * age,) * 2)
    shelf.sweep()
    left = {entry.name for entry in shelf.gradio.iterdir()}
    assert "u0" in left
    assert "u4" not in left


def test_delete_now_removes_the_upload_the_result_and_the_words(tmp_path, film):
    from extractors.media import admit
    from extractors.stages import last

    settings = Settings(cache_dir=tmp_path)
    shelf = Shelf(settings)
    incoming = shelf.gradio / "abc" / "bar.mp4"
    incoming.parent.mkdir(parents=True)
    incoming.write_bytes(film.read_bytes())
    token = shelf.keep_upload(incoming)
    clip = last(admit(shelf.upload(token), settings=settings))
    words = tmp_path / "transcripts" / f"{clip.audio_key}-{'0' * 32}.json"
    words.parent.mkdir()
    words.write_text("{}")
    run, folder = shelf.new_run()
    folder.mkdir(parents=True)
    (folder / "responses.json").write_text("{}")
    shelf.delete(Visit(uploads=(token,), runs=(run,), clips=(clip,)))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_upload_beyond_the_limit_is_refused_before_it_is_kept(page):
    answer = httpx.post(page[0] + UPLOAD, files={"files": ("big.mp4", b"x" * 3_000_000)})
    assert answer.status_code == 413


# 45 ---------------------------------------------------------------------------------------------------------------------------------


ODD = ["bytes=0-9,20-29", "bytes=-5", "bytes=5-", "bytes=9-5", "bytes=99999999999-", "bytes=a-b", "lines=1-2", "bytes=" + "0-1," * 500]


@pytest.mark.parametrize("asked", ODD)
def test_odd_ranges_never_crash_the_film(page, asked):
    answer = httpx.get(f"{page[0]}/cineglass/examples/{list_examples()[0].id}/clip.mp4", headers={"Range": asked})
    assert answer.status_code in (200, 206, 400, 416)


# 28 ---------------------------------------------------------------------------------------------------------------------------------


def test_drawn_parts_have_constant_templates(page):
    """Gradio runs a template's outcome as JavaScript, so no value may ever be printed into one."""
    for component in page[1].config["components"]:
        template = component["props"].get("html_template")
        if template is not None and component["props"].get("component_class_name") != "HTML":
            assert "{{" not in template
            assert "${" not in template
