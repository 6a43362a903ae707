"""The priming phrase: fetched once, checked, kept, never run as code; all from a server of the test's own with a phrase of the test's own."""

import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from extractors import priming
from extractors.priming import priming_phrase
from settings import Settings

PHRASE = "[Test]: read this  with two blanks, an é and a blank at the end. "
SOURCE = """
import os
open({mark!r}, "w").write("this file was run")


def main():
    emotional_priming_phrase = (
        "[Test]: read this  with two blanks, "
        "an é and a blank at the end. "
    )
    return emotional_priming_phrase
"""


class Server:
    """Serves one answer on 127.0.0.1 and counts who asks."""

    def __init__(self):
        self.answers: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.slow_s = 0.0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.asked.append(self.path)
                body = server.answers.get(self.path)
                self.send_response(200 if body is not None else 404)
                self.end_headers()
                for start in range(0, len(body or b""), 5000):
                    time.sleep(server.slow_s)
                    try:
                        self.wfile.write(body[start : start + 5000])
                    except OSError:
                        return

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def address(self, path: str) -> str:
        return f"http://127.0.0.1:{self.http.server_port}{path}"


@pytest.fixture
def server(monkeypatch, tmp_path):
    server = Server()
    server.answers["/file.py"] = SOURCE.format(mark=str(tmp_path / "was_run")).encode()
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(priming, "ADDRESSES", (server.address("/file.py"),))
    monkeypatch.setattr(priming, "SHA256", hashlib.sha256(PHRASE.encode()).hexdigest())
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def settings(tmp_path):
    return Settings(cache_dir=tmp_path / "cache")


def kept(settings: Settings) -> list:
    return [path for path in settings.cache_dir.rglob("*") if path.is_file()]


def test_the_pinned_hash_is_a_whole_sha256():
    assert len(priming.SHA256) == 64
    assert int(priming.SHA256, 16) > 0


def test_the_phrase_is_read_from_the_source_without_running_it(server, settings, tmp_path):
    assert priming_phrase(settings) == PHRASE
    assert not (tmp_path / "was_run").exists()


def test_the_phrase_is_fetched_once_and_then_read_from_the_cache(server, settings):
    first = priming_phrase(settings)
    assert priming_phrase(settings) == first
    assert priming_phrase(settings, fetch=False) == first
    assert len(server.asked) == 1


def test_a_phrase_with_another_hash_is_refused_and_not_kept(server, settings, monkeypatch):
    monkeypatch.setattr(priming, "SHA256", "0" * 64)
    assert priming_phrase(settings) is None
    assert kept(settings) == []


def test_a_kept_phrase_that_was_changed_is_not_used_and_is_fetched_again(server, settings):
    priming_phrase(settings)
    (path,) = kept(settings)
    path.write_text("something else")
    assert priming_phrase(settings, fetch=False) is None
    assert priming_phrase(settings) == PHRASE
    assert path.read_bytes() == PHRASE.encode()


def test_nobody_is_asked_when_the_hub_is_set_offline_or_fetching_is_not_wanted(server, settings, monkeypatch):
    assert priming_phrase(settings, fetch=False) is None
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert priming_phrase(settings) is None
    assert server.asked == []


def test_a_failed_fetch_is_remembered_for_a_while(server, settings, monkeypatch):
    right = server.answers.pop("/file.py")
    assert priming_phrase(settings) is None
    server.answers["/file.py"] = right
    assert priming_phrase(settings) is None
    assert len(server.asked) == 1
    monkeypatch.setattr(priming, "AGAIN_AFTER_S", 0.0)
    assert priming_phrase(settings) == PHRASE


def test_the_second_address_is_asked_when_the_first_has_no_phrase(server, settings, monkeypatch):
    monkeypatch.setattr(priming, "ADDRESSES", (server.address("/gone.py"), server.address("/file.py")))
    assert priming_phrase(settings) == PHRASE
    assert server.asked == ["/gone.py", "/file.py"]


def test_nobody_there_is_none_at_once(settings, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(priming, "ADDRESSES", ("http://127.0.0.1:9/file.py",))
    start = time.monotonic()
    assert priming_phrase(settings) is None
    assert time.monotonic() - start < 2


def test_a_slow_server_is_given_up_in_time(server, settings, monkeypatch):
    server.answers["/file.py"] += b"#" * 150_000
    server.slow_s = 0.2
    monkeypatch.setattr(priming, "TIMEOUT_S", 0.6)
    start = time.monotonic()
    assert priming_phrase(settings) is None
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    "source",
    [
        b"#" * (priming.MAX_BYTES + 1),
        b"emotional_priming_phrase = " + b"(" * 50_000,
        b"emotional_priming_phrase = __import__('os').getcwd()",
        b"emotional_priming_phrase = '\\ud800'",
        b"emotional_priming_phrase = 7",
        b"\x00\xff\xfe",
        b"-" * 150_000 + b"1",
        b"",
    ],
    ids=["too large", "deep", "a call", "half a character", "a number", "binary", "long", "empty"],
)
def test_a_hostile_source_is_none_and_leaves_nothing(server, settings, source):
    server.answers["/file.py"] = source
    assert priming_phrase(settings) is None
    assert kept(settings) == []


def test_a_cache_folder_that_cannot_be_written_costs_only_the_keeping(server, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    assert priming_phrase(Settings(cache_dir=tmp_path / "file")) == PHRASE


def test_runs_at_the_same_time_fetch_once(server, settings):
    found = []
    threads = [threading.Thread(target=lambda: found.append(priming_phrase(settings))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [PHRASE] * 6
    assert len(server.asked) == 1
