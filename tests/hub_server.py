"""A small Hugging Face hub on 127.0.0.1: model pages, files with ranges, and one collection, with the faults that tests ask for."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34


@dataclass
class Repository:
    """One model.

    ``status`` answers everything with that code; ``breaks`` maps a file to the bytes after which its connections break, one number for each
    connection; files in ``damaged`` have their last byte changed on the way; ``pause_s`` is slept after each 64 KiB.
    """

    files: dict[str, bytes]
    status: int = 200
    error_code: str = ""
    breaks: dict[str, list[int]] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)
    pause_s: float = 0.0
    ranges: bool = True

    def sibling(self, name: str) -> dict:
        content = self.files[name]
        entry = {"rfilename": name, "size": len(content), "blobId": git_hash(content)}
        return entry | ({"lfs": {"sha256": sha256(content), "size": len(content), "pointerSize": 134}} if is_large(name) else {})


@dataclass
class Hub:
    """The server's state: ``repositories`` by name, the ``collection``'s answer, and every request seen as (method, path, Range)."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    collection: dict | bytes | None = None
    seen: list[tuple[str, str, str | None]] = field(default_factory=list)

    def ranges_of(self, name: str) -> list[str | None]:
        """Range header of every GET of a file."""
        return [asked for method, path, asked in self.seen if method == "GET" and path.endswith(f"/{name}")]


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def is_large(name: str) -> bool:
    return name.endswith((".safetensors", ".bin"))


def files_of(folder: Path) -> dict[str, bytes]:
    """The files at the top of a folder, as a repository has them."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


@contextmanager
def hub_server() -> Iterator[Hub]:
    """Run the hub; ends with the block."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def using_hub(hub: Hub | None, cache: Path, monkeypatch) -> Iterator[None]:
    """Point huggingface_hub at a server (None: at a port where nobody listens) and at an empty cache, without token or proxy."""
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session

    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    url = hub.url if hub is not None else "http://127.0.0.1:9"
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    close_session()
    try:
        yield
    finally:
        close_session()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.seen.append((self.command, path, self.headers.get("Range")))
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "collections"]:
            return self._collection()
        if parts[:2] == ["api", "models"]:
            name, rest = "/".join(parts[2:4]), parts[4:]
        else:
            name, rest = "/".join(parts[:2]), parts[2:]
        repository = self.hub.repositories.get(name)
        if repository is None:
            return self._json({"error": "not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        if repository.status != 200:
            return self._json({"error": "no"}, repository.status, {"X-Error-Code": repository.error_code} if repository.error_code else {})
        if rest and rest[0] in ("revision", "resolve", "tree") and rest[1] not in ("main", COMMIT):
            return self._json({"error": "no revision"}, 404, {"X-Error-Code": "RevisionNotFound"})
        if rest and rest[0] == "resolve":
            return self._file(repository, "/".join(rest[2:]))
        if rest and rest[0] == "tree":
            entries = [repository.sibling(file) for file in repository.files]
            tree = [{"type": "file", "path": e["rfilename"], "size": e["size"], "oid": e["blobId"]} | _tree_lfs(e) for e in entries]
            return self._json(tree)
        return self._json({"id": name, "modelId": name, "sha": COMMIT, "siblings": [repository.sibling(file) for file in repository.files]})

    def _collection(self) -> None:
        if self.hub.collection is None:
            return self._json({"error": "not found"}, 404)
        return self._json(self.hub.collection)

    def _file(self, repository: Repository, name: str) -> None:
        if name not in repository.files:
            return self._json({"error": "no entry"}, 404, {"X-Error-Code": "EntryNotFound"})
        content = repository.files[name]
        tag = sha256(content) if is_large(name) else git_hash(content)
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{tag}"', "X-Linked-Etag": f'"{tag}"', "X-Linked-Size": str(len(content))}
        start = 0
        asked = self.headers.get("Range")
        if asked and repository.ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if name in repository.damaged:
            content = content[:-1] + bytes([content[-1] ^ 1])
        body = content[start:]
        self.send_response(206 if "Content-Range" in headers else 200)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = repository.breaks[name].pop(0) if repository.breaks.get(name) else len(body)
        for k in range(0, min(cut, len(body)), 2**16):
            self.wfile.write(body[k : min(k + 2**16, cut)])
            time.sleep(repository.pause_s)
        if cut < len(body):
            self.wfile.flush()
            self.close_connection = True

    def _json(self, value, status: int = 200, headers: dict | None = None) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for key, text in {**(headers or {}), "Content-Type": "application/json", "Content-Length": str(len(body))}.items():
            self.send_header(key, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle(self) -> None:
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


def _tree_lfs(entry: dict) -> dict:
    lfs = entry.get("lfs")
    return {"lfs": {"oid": lfs["sha256"], "size": lfs["size"], "pointerSize": lfs["pointerSize"]}} if lfs else {}
