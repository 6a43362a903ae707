"""Files that are fetched by address, also while they go away."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from ui.files import KeptFile

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


def asking(respond) -> httpx.AsyncClient:
    app = Starlette(routes=[Route("/file", respond, methods=["GET", "HEAD"])])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here")


@pytest.fixture
def kept(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(bytes(range(256)) * 1000)
    return path


async def test_a_kept_file_is_sent_whole_and_in_parts(kept):
    async with asking(lambda request: KeptFile(kept)) as client:
        whole = await client.get("/file")
        assert (whole.status_code, whole.content) == (200, kept.read_bytes())
        part = await client.get("/file", headers={"Range": "bytes=256-511"})
        assert (part.status_code, part.content) == (206, bytes(range(256)))
        head = await client.head("/file")
        assert (head.status_code, head.headers["content-length"], head.content) == (200, "256000", b"")


@pytest.mark.parametrize("asked", [{}, {"Range": "bytes=0-9"}], ids=["whole", "part"])
async def test_a_file_that_went_away_before_it_was_opened_is_not_there(kept, asked):
    kept.unlink()
    async with asking(lambda request: KeptFile(kept)) as client:
        answer = await client.get("/file", headers=asked)
    assert (answer.status_code, answer.text) == (404, "There is no such file here.")


@pytest.mark.parametrize("asked", [{}, {"Range": "bytes=0-9"}], ids=["whole", "part"])
async def test_a_file_that_goes_away_between_its_size_and_its_first_byte_is_not_there(kept, asked):
    class Late(KeptFile):
        def set_stat_headers(self, stat_result):
            super().set_stat_headers(stat_result)
            kept.unlink()

    async with asking(lambda request: Late(kept)) as client:
        answer = await client.get("/file", headers=asked)
    assert (answer.status_code, answer.text) == (404, "There is no such file here.")
