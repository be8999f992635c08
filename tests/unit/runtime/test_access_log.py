"""Requests are logged as aiohttp's own logger would, each once, and none is left behind at the end."""

import logging
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import make_mocked_request
from aiohttp.web_log import AccessLogger

from runtime import access_log, logs
from runtime.access_log import MAX_FIELD_CHARS, AccessLog
from tests.unit.served import served

APACHE_COMBINED = '%a - - %t "%r" %s %b "%{Referer}i" "%{User-Agent}i"'


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def kept_of(logger: logging.Logger) -> Lines:
    """Return what keeps the logger's lines from now on."""
    logger.addHandler(kept := Lines())
    return kept


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("test requests")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield logger
    logger.handlers.clear()


REQUESTS: list[tuple[str, str, dict[str, str]]] = [
    ("GET", "/chat/location", {}),
    ("POST", "/message/?a=%22b%20c&d=%C3%A9", {"User-Agent": "curl/8", "Referer": "https://example.org/"}),
    ("GET", "/" + "x" * 500, {"User-Agent": "a (b; c)"}),
]


@pytest.fixture(params=[("UTC", "14/Nov/2023:22:13:20 +0000"), ("HERE-13:45", "15/Nov/2023:11:58:20 +1345")])
def moment(request: pytest.FixtureRequest) -> Iterator[str]:
    """What the clock shows in a zone, as a line has it."""
    zone, shown = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", zone)
        patch.setattr(time, "time", lambda: 1_700_000_000.4)
        time.tzset()
        yield shown
    time.tzset()


@pytest.mark.parametrize(("method", "path", "headers"), REQUESTS)
async def test_a_line_is_what_aiohttps_own_logger_writes(
    logger: logging.Logger, moment: str, method: str, path: str, headers: dict[str, str]
) -> None:
    kept = kept_of(logger)
    request = make_mocked_request(method, path, headers=headers)
    response: Any = web.Response(status=201)
    response._body_length = 17
    log = AccessLog(logger)
    log.logger_class()(logger, "").log(request, response, 0.25)
    log.write()
    AccessLogger(logger, APACHE_COMBINED).log(request, response, 0.25)
    ours, theirs = (line.partition("[") for line in kept.lines)
    assert ours[0] == theirs[0]
    assert ours[2].partition("]")[2] == theirs[2].partition("]")[2]
    assert ours[2].startswith(f"{moment}]")


@pytest.mark.parametrize("header", ["User-Agent", "Referer"])
@pytest.mark.parametrize(
    "sent", ['x" 200 17 "-" "y', "back\\slash\\", "\x1b[31m", "a\u2028b", "a\tb", "a\x85b"]
)
async def test_what_a_client_sends_ends_neither_its_field_nor_the_line(
    logger: logging.Logger, header: str, sent: str
) -> None:
    kept = kept_of(logger)
    log = AccessLog(logger)
    log.logger_class()(logger, "").log(
        make_mocked_request("GET", "/", headers={header: sent}), web.Response(status=201), 0.25
    )
    log.write()
    (line,) = kept.lines
    assert line.isprintable()
    fields = re.findall(r'"(?:[^"\\]|\\.)*"', line)
    assert len(fields) == 3
    assert line.endswith(f"{fields[1]} {fields[2]}")


async def test_a_path_ends_neither_its_field_nor_the_line(logger: logging.Logger) -> None:
    kept = kept_of(logger)
    log = AccessLog(logger)
    log.add(make_mocked_request("GET", '/x"\x1b[31m\udce9\\'), web.Response(status=201), 0.25)
    log.write()
    assert r'"GET /x\"\x1b[31m\xdce9\\ HTTP/1.1" 201' in kept.lines[0]


async def test_what_can_be_written_only_escaped_makes_no_long_line(logger: logging.Logger) -> None:
    kept = kept_of(logger)
    log = AccessLog(logger)
    path, field = "/" + "\udcff" * 8_000, "\x85" * 8_000
    request = make_mocked_request("GET", path, headers={"User-Agent": field, "Referer": field})
    log.add(request, web.Response(), 0.0)
    log.write()
    assert len(kept.lines[0]) < 3 * 6 * (MAX_FIELD_CHARS + 100)


async def test_lines_are_written_together_and_early_when_they_are_many(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = kept_of(logger)
    monkeypatch.setattr(access_log, "MAX_LINES", 3)
    log = AccessLog(logger)
    request, response = make_mocked_request("GET", "/"), web.Response()
    for _ in range(5):
        log.add(request, response, 0.0)
    assert [len(text.splitlines()) for text in kept.lines] == [3]
    log.write()
    log.write()
    assert [len(text.splitlines()) for text in kept.lines] == [3, 2]


async def test_each_line_is_a_record_where_there_is_no_file(logger: logging.Logger) -> None:
    kept = kept_of(logger)
    logger.propagate = True
    log = AccessLog(logger)
    for _ in range(3):
        log.add(make_mocked_request("GET", "/"), web.Response(), 0.0)
    log.write()
    assert len(kept.lines) == 3


async def test_a_service_that_stops_leaves_no_request_unwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "WRITE_EVERY_S", 3600)
    kept, requests = Lines(), logging.getLogger(logs.ACCESS_LOG)
    monkeypatch.setattr(requests, "handlers", [kept])
    monkeypatch.setattr(requests, "level", logging.INFO)
    async with (
        served(web.Application()) as port,
        ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/nothing") as answer,
    ):
        assert answer.status == 404
    (line,) = kept.lines
    assert '"GET /nothing HTTP/1.1" 404' in line
