"""The outermost layer: nothing of the inside gets out, and every answer has its name."""

import asyncio
import logging
import subprocess
import sys

import orjson
import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from api_gateway.answers import Api, Cors, as_refused, new_request_id
from api_gateway.bodies import Bodies
from api_gateway.ready_response import ReadyResponse
from api_gateway.routing import Route, add_routes
from runtime import metrics
from schemas import refusals
from schemas.api import Location, NoArguments
from schemas.refusals import INTERNAL, ErrorAnswer, RefusalBody, Refused
from tests.counting import counting
from tests.unit.api_gateway.parts import UNBOUNDED, until
from tests.unit.served import served

SECRET = "mongodb://admin:hunter2@10.0.0.7"


async def ask(
    raises: Exception | None,
    *,
    cors: Cors | None = None,
    method: str = "GET",
    path: str = "/thing",
    **headers: str,
) -> tuple[ClientResponse, bytes]:
    async def handle(_: web.Request) -> ReadyResponse:
        if raises is not None:
            raise raises
        return ReadyResponse(b'"well"')

    api = Api("public", cors, max_body_bytes=1_000, unread=UNBOUNDED)
    api.serve("GET", "/thing", handle)
    async with TestClient(TestServer(api.application)) as client:
        asked = client.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        async with asked as answer:
            return answer, await answer.read()


@pytest.mark.parametrize("row", [refusals.MISSING_TOKEN, refusals.NOT_A_MEMBER, refusals.OVERLOADED])
async def test_a_refusal_is_answered_as_its_row_says(row: refusals.Refusal) -> None:
    answer, body = await ask(Refused(row))
    error = ErrorAnswer.model_validate_json(body).error
    assert (answer.status, error.code, error.message) == (row.status, row.code, row.message)
    assert answer.headers["X-Request-Id"] == error.request_id
    expected = None if row.retry_after_s is None else str(row.retry_after_s)
    assert answer.headers.get("Retry-After") == expected
    assert ("WWW-Authenticate" in answer.headers) == (row.status == 401)


async def test_a_refusal_that_knows_how_long_to_wait_says_so_in_head_and_body() -> None:
    answer, body = await ask(Refused(refusals.RATE_LIMITED, retry_after_s=250))
    assert ErrorAnswer.model_validate_json(body).error.retry_after == 250
    assert answer.headers["Retry-After"] == "250"


@pytest.mark.parametrize(
    "error", [RuntimeError(SECRET), KeyError(SECRET), web.HTTPInternalServerError(text=SECRET)]
)
async def test_an_unexpected_error_says_nothing_to_the_client_and_everything_to_the_log(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer, body = await ask(error)
    said = ErrorAnswer.model_validate_json(body).error
    assert (answer.status, said.code, said.message) == (500, INTERNAL.code, INTERNAL.message)
    assert b"hunter2" not in body
    assert b"Traceback" not in body
    (line,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert line.__dict__["facts"]["request_id"] == said.request_id
    assert line.exc_info is not None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (web.HTTPNotFound(), "not_found"),
        (web.HTTPMethodNotAllowed("PUT", ["GET"]), "method_not_allowed"),
        (web.HTTPRequestEntityTooLarge(1, 2), "too_large"),
        (web.HTTPBadRequest(), "invalid_payload"),
        (web.RequestPayloadError(), "invalid_payload"),
        (web.HTTPServiceUnavailable(), None),
        (ValueError(), None),
    ],
)
def test_the_library_s_own_errors_are_rows_of_the_table(error: Exception, code: str | None) -> None:
    refused = as_refused(error)
    assert (refused and refused.refusal.code) == code


async def test_an_answer_that_went_well_has_an_id_of_its_own_and_does_not_name_the_server_s_version() -> None:
    first, _ = await ask(None)
    second, _ = await ask(None)
    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]
    assert "aiohttp" not in first.headers["Server"]


def test_request_ids_differ_within_and_between_processes() -> None:
    make = "from api_gateway.answers import new_request_id as new; print(new(), new())"
    others = subprocess.run([sys.executable, "-c", make], capture_output=True, text=True, check=True)
    ids = [*others.stdout.split(), *(new_request_id() for _ in range(1_000))]
    assert len(set(ids)) == len(ids) == 1_002


async def test_any_page_may_call_where_all_may() -> None:
    answer, _ = await ask(Refused(INTERNAL), cors=Cors({"*"}), Origin="https://anywhere.example")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(("origin", "may"), [("https://a.example", True), ("https://evil.example", False)])
async def test_only_listed_pages_may_call_where_some_are_listed(origin: str, may: bool) -> None:
    answer, _ = await ask(None, cors=Cors({"https://a.example", "https://b.example"}), Origin=origin)
    assert answer.headers.get("Access-Control-Allow-Origin") == (origin if may else None)
    assert answer.headers["Vary"] == "Origin"


async def test_a_preflight_is_answered_without_a_token() -> None:
    answer, _ = await ask(
        Refused(refusals.MISSING_TOKEN),
        cors=Cors({"*"}),
        method="OPTIONS",
        Origin="https://a.example",
        Access_Control_Request_Method="PUT",
    )
    assert answer.status == 204
    assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_the_internal_api_lets_no_page_call() -> None:
    answer, body = await ask(
        None, method="OPTIONS", Origin="https://a.example", Access_Control_Request_Method="GET"
    )
    assert answer.status == 405
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert orjson.loads(body)["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/nothing", 404, None),
        ("GET", "/thing/more", 404, None),
        ("GET", "/", 404, None),
        ("PUT", "/thing", 405, "GET, HEAD"),
        ("PATCH", "/nothing", 404, None),
    ],
)
async def test_what_is_not_served_is_refused_by_a_row_of_the_table(
    method: str, path: str, status: int, allow: str | None
) -> None:
    answer, body = await ask(None, method=method, path=path)
    assert (answer.status, answer.headers.get("Allow")) == (status, allow)
    assert orjson.loads(body)["error"]["request_id"] == answer.headers["X-Request-Id"]


async def told(sent: bytes, cors: Cors | None) -> tuple[str, RefusalBody]:
    """Send bytes to a gateway's port; return the head of the answer, and its refusal."""
    async with served(Api("public", cors, max_body_bytes=1_000, unread=UNBOUNDED).application) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    return head.decode(), ErrorAnswer.model_validate_json(body).error


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"OPTIONS * HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n", "not_found"),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "not_found"),
        (b"GET http://here HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n", "not_found"),
        (b"GET / HTTP/1.1\r\nHost: here\r\nExpect: much\r\nConnection: close\r\n\r\n", "not_found"),
        (b"GET / HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer " + b"x" * 9_000 + b"\r\n\r\n", "too_large"),
        (b"FOO / HTTP/1.1\r\nHost: here\r\n\r\n", "bad_request"),
    ],
)
@pytest.mark.parametrize(
    ("cors", "line"),
    [
        (None, ""),
        (Cors({"*"}), "Access-Control-Allow-Origin: *"),
        (Cors({"https://a.example"}), "Vary: Origin"),
    ],
)
async def test_what_no_route_hears_of_is_answered_like_everything_else(
    sent: bytes, code: str, cors: Cors | None, line: str
) -> None:
    head, refused = await told(sent, cors)
    lines = head.split("\r\n")
    assert refused.code == code
    assert {f"X-Request-Id: {refused.request_id}", "Server: uni4all", line} <= {*lines, ""}
    assert ("Access-Control-Allow-Origin" in head) == ("*" in line)


@pytest.mark.parametrize(
    ("version", "expects", "begins"),
    [
        (b"1.1", b"100-Continue", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"),
        (b"1.1", b"much", b"HTTP/1.1 200"),
        (b"1.0", b"100-continue", b"HTTP/1.1 200"),
    ],
)
async def test_a_body_is_asked_for_only_where_a_client_waits_for_that(
    version: bytes, expects: bytes, begins: bytes
) -> None:
    async def handle(_: web.Request) -> ReadyResponse:
        return ReadyResponse(b"{}")

    api = Api("public", None, max_body_bytes=1_000, unread=UNBOUNDED)
    api.serve("POST", "/thing", handle)
    async with served(api.application) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = b"POST /thing HTTP/%s\r\nHost: here\r\nExpect: %s\r\nConnection: close\r\n\r\n"
        writer.write(head % (version, expects))
        assert (await reader.read()).startswith(begins)
        writer.close()


async def test_a_read_that_nobody_waits_for_any_more_is_counted_as_such() -> None:
    begun = asyncio.Event()

    async def handle(_: web.Request) -> ReadyResponse:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    api = Api("public", None, max_body_bytes=1_000, unread=UNBOUNDED)
    api.serve("GET", "/slow", handle)
    ended = counting(metrics.HTTP_REQUESTS.labels(api="public", route="/slow", status=499))
    async with served(api.application) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /slow HTTP/1.1\r\nHost: here\r\n\r\n")
        await begun.wait()
        writer.close()
        await until(lambda: ended() == 1)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_who_goes_before_their_body_is_whole_is_no_failure_of_ours(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    bodies = Bodies(most_bytes=100, share=1.0, longest_bytes=100, within_s=3600)
    path = f"/{method}/never"

    async def handle(_caller: str, _arguments: NoArguments) -> ReadyResponse:
        raise AssertionError

    public = Api("public", None, max_body_bytes=1_000, unread=UNBOUNDED)
    add_routes(public, [Route(method, path, NoArguments, Location, handle)], lambda _: "up1", bodies)
    gone, failed = (
        counting(metrics.HTTP_REQUESTS.labels(api="public", route=path, status=status))
        for status in (499, 500)
    )
    async with served(public.application) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\n{{".encode())
        await until(lambda: bodies.bytes == 10)
        writer.close()
        await until(lambda: bodies.bytes == 0)
        await until(lambda: gone() or failed())
    assert (gone(), failed()) == (1, 0)
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]
