"""What looks like an operator, a header, a log line, markup or a bomb is only text, or refused."""

import gzip
import json
import logging
import re
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from api_gateway import pages
from deploy.repository import REPOSITORY
from runtime.logs import TextLine, facts
from tests.integration.api_gateway.gateways import Gateway, gateway
from tests.integration.backing import Log, new_group, new_up, token
from tests.integration.edge_server.abusers import raw
from tests.integration.edge_server.edges import ChatClient, edge
from tests.waiting import eventually

OPERATORS: list[Any] = [
    {"$ne": None},
    {"$gt": ""},
    {"$where": "sleep(1000)"},
    {"$regex": ".*"},
    ["a", "b"],
    [{"$ne": 1}],
    None,
    True,
    {"a.b": 1},
]
NAMES = [
    "$where",
    "a.$b",
    "a.b.c/../d",
    "\x00",
    "a\r\nX-Injected: 1",
    "a\nerror: forged {}",
    "{{7*7}}",
    "../../x",
]


async def _bad_fields(here: Gateway, up: str) -> list[str]:
    """Put each operator into each field of each body, and return what was not refused."""
    bodies: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/group/", {"name": "n", "users": [up], "id": "g1"}),
        ("POST", "/message/", {"group": "g1", "from": up, "message": "m", "id": "i1"}),
        ("POST", f"/user/{up}", {"username": "u", "name": "n", "online": True}),
        ("GET", "/group/messages", {"groupID": "g1", "page": 0, "perPage": 1}),
        ("GET", "/message/", {"page": 0, "perPage": 1}),
    ]
    taken = []
    for method, path, good in bodies:
        for field in good:
            for operator in OPERATORS:
                optional = operator is None and field == "id"
                boolean = operator is True and field in {"online", "page", "perPage"}
                if optional or boolean or (operator == ["a", "b"] and field == "users"):
                    continue
                answer = await here.as_solution(method, path, {**good, field: operator})
                if answer.status not in {400, 422}:
                    taken.append(f"{method} {path} {field}={operator}: {answer.status}")
    return taken


async def test_no_operator_gets_into_any_field_that_reaches_the_store(log: Log) -> None:
    up = new_up()
    async with gateway(wait_stored_ms=0) as here:
        assert await _bad_fields(here, up) == []
        for operator in OPERATORS:
            made = await here.as_user(up, "POST", "/chat/group", {"name": operator})
            assert made.status == 422, operator


async def test_no_operator_gets_into_any_field_of_an_event(log: Log) -> None:
    group, client = new_group(), ChatClient(new_up())
    await log.join(group, client.up)
    good = {"up": client.up, "room": group, "message": "x", "timestamp": 1, "id": "i"}
    async with edge() as here:
        await client.connect(here, transports=["websocket"])
        for field in good:
            for operator in OPERATORS:
                if operator is None and field == "id":
                    continue
                ack = await client.call("chat message", {**good, field: operator})
                assert ack["error"]["code"] == "invalid_payload", (field, operator, ack)


async def test_a_name_in_a_path_is_no_operator_no_header_and_no_way_out(log: Log) -> None:
    bearer = {"Authorization": f"Bearer {token(new_up())}"}
    async with gateway() as here, aiohttp.ClientSession(headers=bearer) as session:
        for name in NAMES:
            for path in (f"/chat/{quote(name, safe='')}/message", f"/chat/group/{quote(name, safe='')}"):
                async with session.get(URL(here.public.url + path, encoded=True)) as answer:
                    assert answer.status in {400, 403, 404, 422}, (path, answer.status)
                    assert "X-Injected" not in answer.headers
                    assert "Traceback" not in await answer.text()


def test_whatever_a_client_sends_is_one_line_of_the_log() -> None:
    for text in (*NAMES, "\x1b[31mred", "\u2028", "\x85"):
        record = logging.LogRecord("x", logging.INFO, "", 0, f"said {text}", None, None)
        record.__dict__.update(facts(name=text))
        line = TextLine().format(record)
        assert "\n" not in line
        assert "\r" not in line
        assert json.loads(line[line.index(' {"time"') :])["name"] == text


def test_the_pages_never_take_text_for_markup() -> None:
    scripts = [*REPOSITORY.glob("api_gateway/web/**/*.js"), *REPOSITORY.glob("dispatcher/page/*.js")]
    ours = [script for script in scripts if "vendor" not in script.parts]
    assert len(ours) >= 2
    sinks = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc")
    assert {script.name: sinks.findall(script.read_text()) for script in ours} == {
        script.name: [] for script in ours
    }


async def test_every_page_forbids_foreign_and_inline_scripts_and_frames(log: Log) -> None:
    async with gateway() as here, aiohttp.ClientSession() as session:
        found = ["/", "/docs", "/docs/", "/web/chat.js", "/openapi.json"]
        for api, paths in ((here.public, found), (here.internal, ["/docs", "/openapi.json"])):
            for path in paths:
                async with session.get(api.url + path) as answer:
                    assert answer.status == 200
                    policy = answer.headers["Content-Security-Policy"]
                    assert "default-src 'none'" in policy
                    assert "script-src 'self'" in policy
                    assert "frame-ancestors 'none'" in policy
                    assert "unsafe" not in policy.partition("script-src")[2].partition(";")[0]
                    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for file in pages.WEB.rglob("*.html"):
        assert not re.search(r"<script>|<script [^>]*>[^<]|\son\w+=", file.read_text()), file


async def test_a_compressed_body_is_refused_without_being_unpacked(log: Log) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    up = new_up()
    async with gateway() as here, edge() as there, aiohttp.ClientSession() as session:
        for encoding in ("gzip", "deflate", "br", "zstd"):
            answer = await here.public.ask(
                "POST", "/chat/group", bearer=token(up), data=bomb, **{"Content-Encoding": encoding}
            )
            assert (answer.status, answer.code) == (415, "unsupported_encoding")
        url = f"{there.url}/socket.io/?EIO=4&transport=polling"
        sid = json.loads((await (await session.get(url)).text())[1:])["sid"]
        for whose, status in ((sid, 415), ("nobody's", 400)):
            headers = {"Content-Encoding": "gzip"}
            async with session.post(f"{url}&sid={whose}", data=bomb, headers=headers) as polled:
                assert polled.status == status


async def test_a_websocket_never_compresses(log: Log) -> None:
    async with edge() as here, raw(here, new_up(), compress=15) as client:
        await eventually("it is in", lambda: any(frame.startswith("40") for frame in client.frames))
        assert client.websocket.compress == 0
