"""Nobody is shown anything without the operators' token, and whatever is asked gets an answer with a name."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from dispatcher.routes import Operators
from dispatcher.settings import DispatcherSettings
from dispatcher.shown import show_published
from dispatcher.wishes import Wishes
from runtime.assignments import Assignments
from schemas.refusals import UNAVAILABLE, Refused

TOKEN = "only-for-tests-0123456789"


class Leadership:
    """Nobody leads."""

    leader = None


class TakingOver:
    """This one is about to lead: it still reads the published table."""

    class leader:  # noqa: N801 - an attribute like the real one's
        term = None


@pytest.fixture(params=[Leadership, TakingOver])
async def port(request: pytest.FixtureRequest) -> AsyncIterator[int]:
    """Serve the operators' routes; yields their port. There is neither a leader's term nor a table."""
    app, leadership = web.Application(), request.param()
    settings = DispatcherSettings(dispatcher_token=SecretStr(TOKEN))
    Operators(settings, leadership, Assignments()).add_routes(app)
    async with TestServer(app) as server:
        assert server.port is not None
        yield server.port


async def ask(port: int, request: bytes, token: bytes) -> tuple[int, Any]:
    """Send any bytes as a request; return the status and the code of the refusal."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = b"Host: x\r\nConnection: close\r\nAuthorization: Bearer " + token
    writer.write(request + b" HTTP/1.1\r\n" + head + b"\r\n\r\n")
    answer = await reader.read()
    writer.close()
    said, _, body = answer.partition(b"\r\n\r\n")
    return int(said.split()[1]), json.loads(body)["error"]["code"]


@pytest.mark.parametrize("token", [b"\xff\xfe", TOKEN.encode() + b"\x80", "ü".encode()])
async def test_a_token_of_any_bytes_is_refused_by_name(port: int, token: bytes) -> None:
    assert await ask(port, b"GET /table", token) == (401, "invalid_token")


@pytest.mark.parametrize("name", [b"no%20such", b"%FF", b"-", b"x" * 65])
@pytest.mark.parametrize("wish", [b"drain", b"undrain"])
async def test_a_name_that_no_edge_can_have_is_refused_by_name(port: int, name: bytes, wish: bytes) -> None:
    asked = b"POST /edges/" + name + b"/" + wish
    assert await ask(port, asked, TOKEN.encode()) == (404, "not_found")


async def test_a_wish_that_nobody_grants_in_time_is_refused_with_when_to_ask_again(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def is_not_granted(*_: object) -> None:
        raise Refused(UNAVAILABLE)

    monkeypatch.setattr(Wishes, "drain", is_not_granted)
    url, headers = f"http://127.0.0.1:{port}/edges/e/undrain", {"Authorization": f"Bearer {TOKEN}"}
    async with ClientSession() as session, session.post(url, headers=headers) as refused:
        assert (refused.status, refused.headers["Retry-After"]) == (503, str(UNAVAILABLE.retry_after_s))
        assert refused.headers["X-Request-Id"] == (await refused.json())["error"]["request_id"]


async def test_what_is_published_is_shown_by_whoever_does_not_lead_yet(port: int) -> None:
    url, headers = f"http://127.0.0.1:{port}/table", {"Authorization": f"Bearer {TOKEN}"}
    async with ClientSession() as session, session.get(url, headers=headers) as answer:
        assert (answer.status, await answer.json()) == (200, show_published(None))
