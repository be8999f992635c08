"""What engine.io is told of a request is what its own driver would tell, as far as it asks."""

import pytest
from aiohttp.test_utils import make_mocked_request
from engineio.async_drivers.aiohttp import translate_request
from multidict import CIMultiDict

from api_gateway.answers import Cors
from edge_server.engine_requests import allowed_origins, environ_of
from runtime.settings import WebSettings

# Engine.io's server asks for these, and for nothing else.
ASKED = (
    "REQUEST_METHOD", "QUERY_STRING", "CONTENT_LENGTH", "HTTP_ORIGIN", "HTTP_HOST", "HTTP_UPGRADE",
    "HTTP_CONNECTION", "HTTP_ACCEPT_ENCODING", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST",
    "HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "wsgi.url_scheme", "aiohttp.request",
)  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/socket.io/?EIO=4&transport=polling", [("Host", "chat.example.org")]),
        ("POST", "/socket.io/?EIO=4&transport=polling&sid=x", [("Content-Length", "17")]),
        ("OPTIONS", "/socket.io/", [("Access-Control-Request-Headers", "authorization")]),
        (
            "GET",
            "/socket.io/?EIO=4&transport=websocket",
            [
                ("Host", "edge-1:5001"),
                ("Origin", "https://chat.example.org"),
                ("Connection", "keep-alive"),
                ("Connection", "Upgrade"),
                ("Upgrade", "websocket"),
                ("X-Forwarded-Proto", "https"),
                ("X-Forwarded-Host", "chat.example.org"),
                ("Accept-Encoding", "gzip, deflate"),
                ("User-Agent", "nobody asks for this"),
            ],
        ),
    ],
)
def test_engine_io_learns_all_that_it_asks_for(
    method: str, path: str, headers: list[tuple[str, str]]
) -> None:
    request = make_mocked_request(method, path, headers=CIMultiDict(headers))
    ours, theirs = environ_of(request), translate_request(request)
    assert {key: ours.get(key) for key in ASKED} == {key: theirs.get(key) for key in ASKED}


@pytest.mark.parametrize(
    ("setting", "origins"),
    [
        ("*", "*"),
        ("https://a.example, *", "*"),
        ("https://a.example/, https://b.example", ["https://a.example", "https://b.example"]),
    ],
)
def test_origins_are_read_as_the_gateway_reads_them(setting: str, origins: str | list[str]) -> None:
    listed = WebSettings(allowed_origins=setting).origins
    assert allowed_origins(listed) == origins
    lines = Cors(listed).lines("https://a.example")
    assert "Access-Control-Allow-Origin" in lines
