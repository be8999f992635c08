"""A port holds only so many connections: one more is closed unread, and a free place is given again.

Heads are bounded, too, and what reaches a bound is counted.
"""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable
from contextlib import suppress

import pytest
from aiohttp import web
from aiohttp.web_protocol import _ErrInfo

from runtime import bounded_runner, metrics, service
from runtime.bounded_runner import ENDS_READS
from runtime.service import Service, running
from runtime.settings import ServiceSettings
from schemas.client_events import MAX_TOKEN_CHARS
from schemas.refusals import TABLE, ErrorAnswer, RefusalBody
from tests.counting import counting
from tests.unit.left_over import left_over
from tests.unit.served import served
from tests.waiting import eventually

MOST = 10
ASK = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


async def is_served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    with suppress(ConnectionError):
        writer.write(ASK)
        return bool(await reader.readline())
    return False


async def test_connections_past_the_bound_are_closed_until_others_have_gone() -> None:
    hits = counting(metrics.LIMIT_HITS.labels(limit="open connections"))
    async with served(web.Application(), max_open_connections=MOST) as port:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MOST)]
        for reader, writer in held:
            assert await is_served(reader, writer)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert not await is_served(reader, writer)
        writer.close()
        assert hits() == 1
        held[0][1].close()
        is_let_in = False
        while not is_let_in:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            is_let_in = await is_served(reader, writer)
            writer.close()
        for _, writer in held:
            writer.close()


@pytest.mark.parametrize("path", ["/", "/unknown", "/fails", "/websocket", "/unreadable\xff"])
async def test_no_answer_says_which_versions_serve_it(path: str) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response()

    async def fail(_request: web.Request) -> web.Response:
        raise ValueError

    async def accept(request: web.Request) -> web.WebSocketResponse:
        await (websocket := web.WebSocketResponse()).prepare(request)
        return websocket

    app = web.Application()
    app.add_routes([web.get("/", answer), web.get("/fails", fail), web.get("/websocket", accept)])
    upgrade = (
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    )
    async with served(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n{upgrade}\r\n".encode("latin-1")
        )
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
    assert [line for line in head.split(b"\r\n") if line.startswith(b"Server:")] == [b"Server: uni4all"]


RECEIVED_AHEAD = 262_144
"""What the kernel of a client takes that does not read; the test's is fixed, as it would grow."""


async def connected(port: int, received_ahead: int) -> socket.socket:
    """Return a connection of a client whose kernel receives no more ahead."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received_ahead)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    return connection


async def test_of_what_a_client_does_not_read_the_kernel_takes_little() -> None:
    """Once a client has read fast, the kernel would take 4 MiB for it, beside the bounds of all services."""
    piece = b"x" * 16_000
    read = asyncio.Event()
    taken: list[int] = []

    async def write(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(500):
            await answer.write(piece)
        await read.wait()
        assert request.transport is not None
        written = 0
        while not request.transport.get_write_buffer_size():
            request.transport.write(piece)
            written += len(piece)
            await asyncio.sleep(0)
        taken.append(written)
        request.transport.abort()
        return answer

    app = web.Application()
    app.router.add_get("/", write)
    async with served(app) as port:
        connection = await connected(port, RECEIVED_AHEAD)
        reader, writer = await asyncio.open_connection(sock=connection, limit=1)
        writer.write(ASK)
        await reader.readexactly(500 * len(piece))
        read.set()
        await eventually("nothing more is taken", lambda: bool(taken))
        writer.close()
    assert taken[0] < 4 * RECEIVED_AHEAD


@pytest.mark.skipif(sys.platform != "linux", reason="Linux' kernel ends it")
@pytest.mark.parametrize("size", [40_000, 160_000, 1_000_000])
async def test_an_answer_that_is_not_read_ends_its_connection_in_time(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_runner, "UNREAD_WITHIN_S", 0.5)
    hits = counting(metrics.LIMIT_HITS.labels(limit="stalled connections"))

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=b"x" * size)

    app = web.Application()
    app.router.add_get("/", answer)
    async with served(app) as port:
        with await connected(port, 2_048) as connection:
            connection.send(ASK)
            await eventually("it is ended", lambda: hits() == 1)


@pytest.mark.parametrize(
    ("method", "ends_reads", "goes_on"),
    [("GET", True, False), ("HEAD", True, False), ("POST", True, True), ("GET", False, True)],
)
async def test_a_read_ends_where_its_client_has_gone_and_a_write_never(
    method: str, ends_reads: bool, goes_on: bool
) -> None:
    gone, asked, ended = asyncio.Event(), list[web.Request](), list[str]()

    async def handle(request: web.Request) -> web.Response:
        asked.append(request)
        try:
            await gone.wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        ended.append("whole")
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/", handle)
    if ends_reads:
        app[ENDS_READS] = True
    async with served(app) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ASK.replace(b"GET", method.encode()))
        await eventually("it has begun", lambda: bool(asked))
        writer.transport.abort()
        await eventually("the client is gone", lambda: asked[0].transport is None)
        gone.set()
        await eventually("it has ended", lambda: bool(ended))
    assert ended == ["whole" if goes_on else "cancelled"]


async def test_a_read_that_is_under_way_when_the_service_stops_is_answered() -> None:
    asked = asyncio.Event()

    async def handle(_request: web.Request) -> web.Response:
        asked.set()
        await made.stopping.wait()
        return web.Response(text="whole")

    async def start(service: Service) -> None:
        app = web.Application()
        app.router.add_get("/", handle)
        app[ENDS_READS] = True
        ports.append(await service.serve(app, "127.0.0.1", 0))

    made, ports = Service("test", ServiceSettings(ops_port=0, log_dir="")), list[int]()
    async with running(made, start):
        await eventually("it serves", lambda: bool(ports))
        reader, writer = await asyncio.open_connection("127.0.0.1", ports[0])
        writer.write(ASK)
        await asked.wait()
    assert (await reader.read()).endswith(b"whole")
    writer.close()


HEAD = ASK.removesuffix(b"\r\n")


async def answer_to(sent: bytes, monkeypatch: pytest.MonkeyPatch, *, idle_s: float = 60.0) -> bytes:
    """Return all that a port answers until it closes the connection."""
    monkeypatch.setattr(service, "IDLE_CONNECTION_S", idle_s)
    async with served(web.Application()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        answer = await reader.read()
        writer.close()
    return answer


def refusal_in(answer: bytes) -> RefusalBody:
    """Return what an answer says, which the table has, and which names itself in its head, too."""
    head, _, body = answer.partition(b"\r\n\r\n")
    refused = ErrorAnswer.model_validate_json(body, extra="forbid").error
    lines = head.decode().split("\r\n")
    assert lines[0].split(" ")[1] == str(TABLE[refused.code].status)
    assert refused.message == TABLE[refused.code].message
    assert f"X-Request-Id: {refused.request_id}" in lines
    assert "Connection: close" in lines or lines[0].startswith("HTTP/1.0 ")
    return refused


@pytest.mark.parametrize(
    "head",
    [
        b"SECRET / HTTP/1.1\r\nHost: here\r\n\r\n",
        b"get /SECRET HTTP/1.1\r\nHost: here\r\n\r\n",
        b"GET /SECRET HTTP/1.1\r\n\r\n",
        b"GET /SECR\xc3\x89T/SECRET HTTP/1.1\r\nHost: here\r\n\r\n",
        HEAD + b"SECRET\r\n\r\n",
        HEAD + b"Content-Length: SECRET\r\n\r\n",
        HEAD + b"Authorization: Bearer SECRET" + b"SECRET" * 2_000 + b"\r\n\r\n",
        b"SECRET\r\n\r\n",
    ],
)
async def test_who_sends_what_cannot_be_read_is_told_so_by_the_table_and_nothing_of_it(
    head: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await answer_to(head, monkeypatch)
    assert refusal_in(answer).code == ("too_large" if len(head) > 8_192 else "bad_request")
    for said in (answer.decode(), caplog.text):
        assert "SECRET" not in said.upper()
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


async def test_what_cannot_be_read_is_let_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of a megabyte of each stranger's stayed until the collector came by, which is rarely."""
    with left_over(_ErrInfo) as unread:
        await answer_to(b"SECRET\r\n\r\n" + b"x" * 100_000, monkeypatch)
        assert not unread()


async def test_what_cannot_be_read_and_is_never_answered_is_let_go_with_its_connection() -> None:
    """Behind a request that is still being answered."""
    asked = asyncio.Event()

    async def wait(request: web.Request) -> web.Response:
        asked.set()
        await eventually("its client has gone", lambda: request.transport is None)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", wait)
    with left_over(_ErrInfo) as unread:
        async with served(app) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await asked.wait()
            writer.write(b"SECRET\r\n\r\n" + b"x" * 100_000)
            await eventually("it was read", lambda: bool(unread()))
            writer.transport.abort()
            await eventually("it is let go", lambda: not unread())


def head_hits() -> Callable[[], tuple[float, float]]:
    """Count the heads that are too long, and those that do not end in time."""
    long, slow = (counting(metrics.LIMIT_HITS.labels(limit=f"{how} heads")) for how in ("long", "slow"))
    return lambda: (long(), slow())


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 10_000,
        b"GET /" + b"a/" * 2_000 + b" HTTP/1.1\r\nHost: here\r\n\r\n",
        HEAD + b"X-A: " + b"x" * 10_000,
        HEAD + b"x" * 10_000,
        HEAD + b"X-A: b\r\n" * 200 + b"\r\n",
    ],
)
async def test_a_head_that_is_too_long_is_answered_and_counted(
    head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    hits = head_hits()
    refused = refusal_in(await answer_to(head, monkeypatch))
    assert refused.code == "too_large"
    assert hits() == (1, 0)


async def test_the_longest_token_that_is_looked_at_fits_into_a_head(monkeypatch: pytest.MonkeyPatch) -> None:
    longest = b"Authorization: Bearer " + b"x" * MAX_TOKEN_CHARS + b"\r\n"
    answer = await answer_to(HEAD + b"Connection: close\r\n" + longest + b"\r\n", monkeypatch)
    assert b" 404 " in answer.partition(b"\r\n")[0]


@pytest.mark.parametrize(("proxy", "idle_s"), [("nginx", 60), ("Go's, as Traefik", 90), ("Caddy", 120)])
def test_a_proxy_closes_a_connection_that_is_idle_before_we_do(proxy: str, idle_s: float) -> None:
    # Where we are first, a POST that is on its way then is answered 502, as nobody may send it again.
    assert idle_s + 5 <= service.IDLE_CONNECTION_S, proxy


@pytest.mark.parametrize("begun", [b"", HEAD + b"X-A: "])
async def test_a_first_head_that_does_not_end_in_time_closes_the_connection_and_is_counted(
    begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    hits = head_hits()
    assert await answer_to(begun, monkeypatch, idle_s=0.1) == b""
    assert hits() == (0, 1)


@pytest.mark.parametrize(("sent", "status"), [(ASK, b" 404 "), (b"\x16\x03\x01\r\n\r\n", b" 400 ")])
async def test_neither_who_has_been_served_nor_who_speaks_no_http_reaches_a_bound_of_heads(
    sent: bytes, status: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    hits = head_hits()
    assert status in await answer_to(sent, monkeypatch, idle_s=2.0)
    assert hits() == (0, 0)


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\n",
        b"PUT / HTTP/1.1\r\n",
        b"POST /nowhere HTTP/1.1\r\n",
        b"POST / HTTP/1.1\r\nExpect: much\r\n",
        b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
        b"POST / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n",
    ],
)
@pytest.mark.parametrize(
    "body", [b"Content-Length: 4\r\n\r\nbody", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"]
)
@pytest.mark.parametrize("missing", [0, 2])
async def test_a_connection_stays_open_only_if_the_whole_body_has_come(
    head: bytes, body: bytes, missing: int
) -> None:
    """HAProxy 2.6 sends the next request on it, whether or not it has sent the body of the one before."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response()

    app = web.Application()
    app.add_routes([web.get("/", answer), web.post("/", answer)])
    async with served(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sent = head + b"Host: here\r\n" + body
        writer.write(sent[: len(sent) - missing])
        stays_open = b"Connection: close" not in await reader.readuntil(b"\r\n\r\n")
        writer.close()
    assert stays_open is (missing == 0)
