"""Clients that ask and never read: what is kept for them is bounded, in bytes and in time."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from typing import Any, cast
from unittest.mock import Mock

import pytest
import uvloop
from aiohttp import ClientSession, web
from aiohttp.test_utils import BaseTestServer, TestServer

from api_gateway.answers import Api
from api_gateway.history import MAX_BUNDLE_BYTES
from api_gateway.ready_response import ReadyResponse
from api_gateway.routing import reply
from api_gateway.unread_answers import LONGEST_OF_A_WRITE, UnreadAnswers
from runtime.bounded_runner import BoundedRunner
from schemas.api import MAX_NEW_MEMBERS, GroupAccepted, MessageAccepted
from schemas.log_records import MAX_EXACT, MAX_NAME_CHARS, MAX_TEXT_BYTES
from schemas.refusals import OVERLOADED, RATE_LIMITED, Refused
from tests.unit.api_gateway.parts import until
from tests.unit.left_over import left_over
from tests.unit.refusing import refuses

LARGE = 8 * 2**20
"""More than the buffers of a connection hold."""

UP = "up200000001"


class BoundedServer(TestServer):
    """Served as services serve."""

    async def _make_runner(self, **_: Any) -> BoundedRunner:
        return BoundedRunner(self.app, most=10, access_log=None)


async def serving(unread: UnreadAnswers, kind: type[TestServer] = TestServer) -> TestServer:
    """Serve a large answer and a small one within these bounds."""
    api = Api("public", None, max_body_bytes=1_000, unread=unread)

    async def large(request: web.Request) -> ReadyResponse:
        return ReadyResponse(b"x" * LARGE, caller=request.query.get("caller", ""))

    async def small(_: web.Request) -> ReadyResponse:
        return ReadyResponse(b"{}")

    async def made(_: web.Request) -> ReadyResponse:
        return ReadyResponse(b"x" * LONGEST_OF_A_WRITE)

    api.serve("GET", "/large", large)
    api.serve("GET", "/small", small)
    for method in ("GET", "POST"):
        api.serve(method, "/made", made)
    server = kind(api.application)
    await server.start_server()
    return server


@pytest.fixture
async def mute() -> AsyncIterator[list[socket.socket]]:
    """Connections of clients that never read."""
    connections: list[socket.socket] = []
    yield connections
    for one in connections:
        one.close()


async def ask_and_never_read(
    server: BaseTestServer, connections: list[socket.socket], what: bytes = b"GET /large"
) -> None:
    one = socket.socket()
    connections.append(one)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    # As on a wire: where segments are as large as loopback's, the kernel takes twice as much.
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1_400)
    one.setblocking(False)
    await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", server.port))
    one.send(what + b" HTTP/1.1\r\nHost: x\r\n\r\n")


async def test_large_answers_are_refused_while_too_much_is_unread_and_small_ones_never(
    mute: list[socket.socket],
) -> None:
    unread = UnreadAnswers(most_bytes=LARGE + LARGE // 2, share=1.0, within_s=3600)
    async with await serving(unread) as server, ClientSession() as session:
        await ask_and_never_read(server, mute)
        await until(lambda: unread.bytes > LARGE)
        async with session.get(server.make_url("/large")) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (503, "overloaded")
        async with session.get(server.make_url("/small")) as answer:
            assert answer.status == 200
        mute[0].close()
        await until(lambda: unread.bytes == 0)
        async with session.get(server.make_url("/large")) as answer:
            assert len(await answer.read()) == LARGE
        await until(lambda: unread.bytes == 0)


async def test_who_reads_nothing_takes_the_room_of_nobody_else(mute: list[socket.socket]) -> None:
    unread = UnreadAnswers(most_bytes=10 * LARGE, share=0.15, within_s=3600)
    async with await serving(unread) as server, ClientSession() as session:
        await ask_and_never_read(server, mute)
        await until(lambda: unread.bytes > LARGE)
        async with session.get(server.make_url("/large")) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (429, "rate_limited")
        async with session.get(server.make_url("/large?caller=another")) as answer:
            assert len(await answer.read()) == LARGE
        mute[0].close()
        await until(lambda: unread.bytes == 0)
        async with session.get(server.make_url("/large")) as answer:
            assert len(await answer.read()) == LARGE, "one alone is always kept, however large"
        await until(lambda: unread.bytes == 0)


@pytest.mark.parametrize(("asked", "most_bytes"), [(b"GET /large", 2 * LARGE), (b"POST /made", 0)])
async def test_who_does_not_read_an_answer_in_time_is_closed(
    asked: bytes, most_bytes: int, mute: list[socket.socket]
) -> None:
    unread = UnreadAnswers(most_bytes=most_bytes, share=1.0, within_s=0.05)
    async with await serving(unread) as server:
        await ask_and_never_read(server, mute, asked)
        await until(lambda: unread.bytes > 0)
        await until(lambda: unread.bytes == 0)
        await until(lambda: not server.handler.connections)


def test_the_answer_of_a_client_that_goes_is_let_go_at_once() -> None:
    """It may be a bundle's 16 MiB. Server and loop are those of services: only there did it stay."""
    uvloop.run(go_while_an_answer_is_sent())


async def go_while_an_answer_is_sent() -> None:
    unread = UnreadAnswers(most_bytes=2 * LARGE, share=1.0, within_s=3600)
    connections: list[socket.socket] = []
    async with await serving(unread, BoundedServer) as server:
        with left_over(ReadyResponse) as answers:
            await ask_and_never_read(server, connections)
            await until(lambda: unread.bytes > 0)
            connections.pop().close()
            await until(lambda: unread.bytes == 0)
            await until(lambda: not answers())


async def test_what_a_write_answers_is_not_refused_where_a_read_is() -> None:
    unread = UnreadAnswers(most_bytes=0, share=1.0, within_s=9)
    async with await serving(unread) as server, ClientSession() as session:
        with unread.counted("another", 1):
            async with session.get(server.make_url("/made")) as answer:
                assert answer.status == 503
            async with session.post(server.make_url("/made")) as answer:
                assert len(await answer.read()) == LONGEST_OF_A_WRITE


async def test_a_first_answer_is_always_kept_and_more_of_one_caller_up_to_their_share() -> None:
    read = asyncio.Event()

    class Writer:
        async def write_eof(self, _: bytes) -> None:
            await read.wait()

    class Request:
        writer, transport = Writer(), Mock(asyncio.Transport)

    unread = UnreadAnswers(most_bytes=100, share=0.3, within_s=3600)
    unread.admit("a", 100)
    sending = asyncio.create_task(unread.send(cast(web.BaseRequest, Request()), "a", b"x" * 20))
    await asyncio.sleep(0)
    for caller, fits, refusal in (("a", 10, RATE_LIMITED), ("b", 40, OVERLOADED)):
        unread.admit(caller, fits)
        with refuses(refusal):
            unread.admit(caller, fits + 1)
    read.set()
    await sending
    unread.admit("a", 100)
    assert not unread._by_caller, "who has read all is forgotten"


def test_beside_a_few_who_read_the_largest_answers_slowly_others_get_theirs() -> None:
    unread = UnreadAnswers(most_bytes=4 * MAX_BUNDLE_BYTES, share=0.25, within_s=3600)
    with ExitStack() as held:
        for up in "abcdefgh":
            with suppress(Refused):
                unread.admit(up, MAX_BUNDLE_BYTES)
                held.enter_context(unread.counted(up, MAX_BUNDLE_BYTES))
        unread.admit("another", MAX_BUNDLE_BYTES // 2)


@pytest.mark.parametrize(
    "accepted",
    [
        GroupAccepted(
            id="g" * 64,
            name="\U0001f600" * MAX_NAME_CHARS,
            users=[UP] * (MAX_NEW_MEMBERS + 1),
            stored=False,
        ),
        MessageAccepted(
            id="m" * 64,
            seq=MAX_EXACT,
            room="g" * 64,
            up=UP,
            message="\1" * MAX_TEXT_BYTES,
            timestamp=MAX_EXACT,
            sent_at=MAX_EXACT,
            stored=False,
        ),
    ],
    ids=["group", "message"],
)
async def test_nothing_that_was_made_is_refused_by_its_answer(
    accepted: GroupAccepted | MessageAccepted,
) -> None:
    unread = UnreadAnswers(most_bytes=0, share=1.0, within_s=9)
    api = Api("internal", None, max_body_bytes=1_000, unread=unread)

    async def make(_: web.Request) -> ReadyResponse:
        return ReadyResponse(reply(accepted).body, status=202)

    api.serve("POST", "/made", make)
    with unread.counted("another", 1):
        async with (
            TestServer(api.application) as server,
            ClientSession() as session,
            session.post(server.make_url("/made")) as answer,
        ):
            assert answer.status == 202
