"""What a connection holds of heads is bounded; whatever ordinary clients send is read as before."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import LineTooLong
from aiohttp.http_parser import HttpRequestParser
from aiohttp.web_protocol import _ErrInfo
from hypothesis import given
from hypothesis import strategies as st

from runtime import metrics
from runtime.bounded_parser import MAX_AHEAD_BYTES, MAX_HEAD_BYTES, PIECE_BYTES, BoundedParser
from runtime.bounded_runner import MAX_LINE_BYTES
from schemas.client_events import MAX_TOKEN_CHARS
from tests.counting import counting
from tests.unit.left_over import left_over
from tests.unit.served import served
from tests.waiting import eventually

GET = b"GET / HTTP/1.1\r\nHost: here\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: here\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: here\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
FIELD = b"X-A: " + b"x" * 1_000 + b"\r\n"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(waits: asyncio.Event | None = None) -> AsyncIterator[Streams]:
    """Connect to a server that tells how long each body was; it sets ``waits``, and answers HEAD never."""

    async def length(request: web.Request) -> web.Response:
        if request.method == "HEAD" and waits is not None:
            waits.set()
            await asyncio.Event().wait()
        return web.Response(text=f"<{len(await request.read())}>")

    app = web.Application(client_max_size=10_000_000)
    app.router.add_route("*", "/", length)
    async with served(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()


@asynccontextmanager
async def behind_another() -> AsyncIterator[tuple[asyncio.StreamWriter, Callable[[], set[int]]]]:
    """Connect behind a request that is never answered. Yields the writer, and what finds unread requests."""
    waits = asyncio.Event()
    with left_over(_ErrInfo) as unread:
        async with connected(waits) as (_, writer):
            writer.write(HEAD)
            await waits.wait()
            yield writer, unread


async def lengths(streams: Streams, sent: bytes, answers: int) -> list[int]:
    """Send what is answered so often; return the lengths that the answers tell."""
    reader, writer = streams
    writer.write(sent)
    told = [await reader.readuntil(b">") for _ in range(answers)]
    return [int(one.rpartition(b"<")[2][:-1]) for one in told]


@pytest.mark.parametrize(
    "begun",
    [
        GET + FIELD * 30,
        GET + b"\r\n" + GET + FIELD * 30,
        POST + b"Content-Length: 3\r\n\r\n123" + GET + FIELD * 30,
    ],
)
async def test_a_head_that_goes_on_is_refused_before_it_ends(begun: bytes) -> None:
    """Each connection held a megabyte of it, in two of memory: a few hundred ended a gateway."""
    hits = counting(metrics.LIMIT_HITS.labels(limit="long heads"))
    async with connected() as (reader, writer):
        writer.write(begun)
        assert (await reader.read()).count(b" 413 ") == 1
    assert hits() == 1


async def test_what_follows_the_last_chunk_of_a_body_is_bounded_like_a_head() -> None:
    hits = counting(metrics.LIMIT_HITS.labels(limit="long heads"))
    async with connected() as (_, writer):
        writer.write(CHUNKED + b"0\r\n" + FIELD * 100)
        await eventually("it is refused", lambda: hits() == 1)
    assert hits() == 1


async def test_heads_that_wait_for_an_earlier_request_are_bounded_together() -> None:
    async with behind_another() as (writer, unread):
        writer.write((GET + FIELD * 8 + b"\r\n") * (2 + MAX_AHEAD_BYTES // (8 * len(FIELD))))
        await eventually("they are refused", lambda: len(unread()) == 1)


@pytest.mark.parametrize("size", [MAX_TOKEN_CHARS, MAX_HEAD_BYTES - 200])
async def test_a_head_within_the_bound_is_read_in_any_pieces(size: int) -> None:
    fields = FIELD * (size // len(FIELD))
    async with connected() as streams:
        for byte in GET + fields:
            streams[1].write(bytes([byte]))
        assert await lengths(streams, b"\r\n", 1) == [0]
        assert await lengths(streams, (GET + fields + b"\r\n") * 3, 3) == [0] * 3


@given(
    st.integers(-50, 50),
    st.integers(2, 100),
    st.integers(1, MAX_LINE_BYTES),
    st.integers(0, PIECE_BYTES),
    st.lists(st.integers(0, MAX_HEAD_BYTES), max_size=5),
)
async def test_whether_a_head_is_too_long_does_not_depend_on_how_it_is_cut(
    more: int, fields: int, path: int, body: int, cuts: list[int]
) -> None:
    loop = asyncio.get_running_loop()
    parser = BoundedParser(HttpRequestParser(BaseProtocol(loop), loop, 65_536, max_field_size=MAX_HEAD_BYTES))
    left, lines = MAX_HEAD_BYTES + more - fields - len("Hosthere"), [b"Host: here\r\n"]
    for n in range(fields):
        size = left // (fields - n)
        lines.append(b"X: " + b"x" * size + b"\r\n")
        left -= size
    head = b"GET /" + b"x" * path + b" HTTP/1.1\r\n" + b"".join(lines) + b"\r\n"
    sent = POST + b"Content-Length: %d\r\n\r\n" % body + b"x" * body + head
    edges = [0, *sorted(cuts), len(sent)]
    read = 0
    try:
        for begin, end in pairwise(edges):
            read += len(parser.feed_data(sent[begin:end])[0])
    except LineTooLong:
        assert more > 0
    else:
        assert (read, more > 0) == (2, False)


@pytest.mark.parametrize("size", [PIECE_BYTES - len(POST), PIECE_BYTES, 5 * PIECE_BYTES, 2_000_000])
async def test_bodies_are_no_heads_and_neither_is_their_end(size: int) -> None:
    whole = POST + b"Content-Length: %d\r\n\r\n" % size + b"x" * size
    async with connected() as streams:
        assert await lengths(streams, whole + GET + b"\r\n" + whole, 3) == [size, 0, size]


@pytest.mark.parametrize("chunk", [1, 1_000, 100_000])
async def test_a_body_in_chunks_of_any_size_is_read(chunk: int) -> None:
    count = min(20_000, 1_000_000 // chunk)
    body = (b"%x\r\n" % chunk + b"x" * chunk + b"\r\n") * count + b"0\r\n\r\n"
    async with connected() as streams:
        assert await lengths(streams, CHUNKED + body + CHUNKED + body, 2) == [chunk * count] * 2


async def test_many_requests_at_once_are_answered_each_and_more_after_them() -> None:
    """Together they are longer than what may wait at one time."""
    async with connected() as streams:
        for _ in range(2):
            assert await lengths(streams, (GET + FIELD + b"\r\n") * 50, 50) == [0] * 50


async def test_behind_what_cannot_be_read_nothing_is_read() -> None:
    """Each further piece was kept as another one that cannot be read."""
    async with behind_another() as (writer, unread):
        for _ in range(20):
            writer.write(b"SECRET\r\n\r\n")
            await asyncio.sleep(0.01)
        await eventually("it was read", lambda: bool(unread()))
        assert len(unread()) == 1
