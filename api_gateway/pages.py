"""Serves files to browsers: the web client and the documents of the APIs. No CDN is used.

Files are read once and kept in memory: they are small. Their CSP allows no inline or foreign script.
"""

import gzip
import hashlib
import mimetypes
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import swagger_ui_bundle
from aiohttp import web

from api_gateway import asyncapi_page
from api_gateway.answers import Api
from api_gateway.ready_response import ReadyResponse, line

WEB: Final = Path(__file__).parent / "web"
SWAGGER: Final = Path(swagger_ui_bundle.swagger_ui_path)
SWAGGER_FILES: Final = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")

_STRICT: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self' http: https: ws: wss:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_LINES: Final = (
    "Cache-Control: no-cache\r\n"
    f"Content-Security-Policy: {_STRICT}\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Vary: Accept-Encoding\r\n"
)


MAX_READ_CHARS: Final = 1_000
"""Of a header that is looked into: a browser's is far shorter, and each part of a long one takes time."""
_TAGS: Final = re.compile(r'(?:W/)?("[^"]*")')
_NOUGHT: Final = re.compile(r"q\s*=\s*0(\.0*)?")


@dataclass(frozen=True)
class Page:
    """A file as it is served."""

    plain: bytes
    zipped: bytes
    content_type: str
    etag: str


def page_of(content: bytes, content_type: str) -> Page:
    """Return a file ready to be served."""
    etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    return Page(content, gzip.compress(content, mtime=0), content_type, etag)


def is_known(etag: str, if_none_match: Sequence[str]) -> bool:
    """Return whether If-None-Match names this version. Tags are compared weakly (RFC 9110).

    A proxy that compresses makes a tag weak.
    """
    given = _short(if_none_match)
    return given.strip() == "*" or etag in _TAGS.findall(given)


def takes_gzip(accept_encoding: Sequence[str]) -> bool:
    """Return whether Accept-Encoding allows gzip, by name or by ``*``. A weight of 0 forbids it."""
    taken = {}
    for item in _short(accept_encoding).lower().split(","):
        coding, *parameters = (part.strip() for part in item.split(";"))
        taken[coding] = not any(_NOUGHT.fullmatch(part) for part in parameters)
    return taken.get("gzip", taken.get("*", False))


def _short(values: Sequence[str]) -> str:
    """Return a header's values as one, nothing where that is too long to be looked into."""
    return joined if len(joined := ",".join(values)) <= MAX_READ_CHARS else ""


def read_page(path: Path) -> Page:
    """Return the file at ``path`` ready to be served."""
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return page_of(path.read_bytes(), f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)


def add_docs(api: Api, openapi: dict[str, Any]) -> None:
    """Serve the OpenAPI document at ``/openapi.json`` and Swagger UI at ``/docs``."""
    docs = WEB / "docs"
    _serve(api, "/openapi.json", page_of(orjson.dumps(openapi), "application/json"))
    _serve(api, "/docs", read_page(docs / "index.html"))
    _serve(api, "/docs/", read_page(docs / "index.html"))
    for name in ("docs.css", "docs.js"):
        _serve(api, f"/docs/{name}", read_page(docs / name))
    for name in SWAGGER_FILES:
        _serve(api, f"/docs/{name}", read_page(SWAGGER / name))


def add_asyncapi(api: Api, asyncapi: dict[str, Any]) -> None:
    """Serve the AsyncAPI document at ``/asyncapi.json``, and as a page at ``/asyncapi``."""
    html = page_of(asyncapi_page.page(asyncapi).encode(), "text/html; charset=utf-8")
    _serve(api, "/asyncapi.json", page_of(orjson.dumps(asyncapi), "application/json"))
    _serve(api, "/asyncapi", html)
    _serve(api, "/asyncapi/", html)
    _serve(api, "/asyncapi/asyncapi.css", read_page(WEB / "asyncapi" / "asyncapi.css"))


def add_web_client(api: Api) -> None:
    """Serve the web client at ``/``."""
    _serve(api, "/", read_page(WEB / "index.html"))
    for path in (WEB / "icon.svg", WEB / "chat.css", *WEB.glob("*.js"), WEB / "vendor" / "socket.io.min.js"):
        _serve(api, f"/web/{path.name}", read_page(path))


def _serve(api: Api, at: str, page: Page) -> None:
    api.serve("GET", at, _handler(page))


def _handler(page: Page) -> Callable[[web.Request], Awaitable[ReadyResponse]]:
    headers = f"{_LINES}{line('ETag', page.etag)}"
    plain_headers = f"{headers}{line('Content-Type', page.content_type)}"

    async def handle(request: web.Request) -> ReadyResponse:
        if is_known(page.etag, request.headers.getall("If-None-Match", ())):
            return ReadyResponse(b"", headers, status=304)
        if takes_gzip(request.headers.getall("Accept-Encoding", ())):
            return ReadyResponse(page.zipped, f"{plain_headers}Content-Encoding: gzip\r\n")
        return ReadyResponse(page.plain, plain_headers)

    return handle
