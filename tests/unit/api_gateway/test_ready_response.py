"""An answer in one write is what aiohttp's own response would be to any client."""

import asyncio
from http import HTTPStatus

import pytest
from aiohttp import HttpVersion11, web
from aiohttp.test_utils import TestServer

from api_gateway.ready_response import ReadyResponse, line

BODY = b'{"a":1}'


async def exchange(response: type[web.StreamResponse], request: bytes, status: int) -> tuple[bytes, bool]:
    """Return what a server writes for one request, and whether it closes the connection by itself."""

    async def handle(_: web.Request) -> web.StreamResponse:
        if response is ReadyResponse:
            return ReadyResponse(BODY, status=status)
        return web.Response(body=BODY, status=status, content_type="application/json")

    app = web.Application()
    app.router.add_get("/", handle)
    async with TestServer(app) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        # What is asked second is only answered where the connection stays open.
        writer.write(request + b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        said = await reader.read()
        writer.close()
    first, _, second = said.partition(b"HTTP/1.1 404")
    return first, not second


def parted(said: bytes) -> tuple[bytes, set[bytes], bytes]:
    """Return the status line, the headers that matter, and the body."""
    head, _, body = said.partition(b"\r\n\r\n")
    status, *headers = head.split(b"\r\n")
    return status, {one for one in headers if not one.startswith((b"Server", b"Date"))}, body


@pytest.mark.parametrize("status", [HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.SERVICE_UNAVAILABLE])
@pytest.mark.parametrize(
    "request_head",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n",
        b"GET / HTTP/1.0\r\nHost: x\r\n",
        b"GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n",
        b"HEAD / HTTP/1.1\r\nHost: x\r\n",
    ],
)
async def test_a_client_of_any_kind_gets_what_aiohttps_own_response_says(
    request_head: bytes, status: int
) -> None:
    ours, we_close = await exchange(ReadyResponse, request_head + b"\r\n", status)
    theirs, they_close = await exchange(web.Response, request_head + b"\r\n", status)
    assert we_close == they_close
    assert parted(ours)[1:] == parted(theirs)[1:]
    # aiohttp repeats the client's version; RFC 9110 (2.5) has a server say its own.
    assert parted(ours)[0].partition(b" ")[2] == parted(theirs)[0].partition(b" ")[2]


@pytest.mark.parametrize("status", [HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED])
def test_an_answer_that_has_no_body_gives_no_length(status: int) -> None:
    assert "Content-Length" not in ReadyResponse(b"", status=status).head(HttpVersion11, keep_alive=True)


def test_a_header_cannot_end_its_line() -> None:
    with pytest.raises(ValueError, match="a line break in the header Allow"):
        line("Allow", "GET\r\nSet-Cookie: a=b")
