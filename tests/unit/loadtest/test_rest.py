"""The API as a program calls it: pages are put together, and whatever goes wrong is an OSError."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast

import aiohttp
import pytest
from aiohttp import web

from loadtest import rest
from loadtest.rest import RestApi
from schemas.api import MAX_NEW_MEMBERS, MAX_PER_PAGE
from schemas.client_events import ChatMessage
from tests.unit.loadtest.serving import serving

UP = "up201906045"
DEADLINE_S = 20.0


def messages(count: int) -> list[ChatMessage]:
    return [
        ChatMessage(id=f"m{n}", seq=3 * n, room="leic", up=UP, message="", timestamp=2, sent_at=1)
        for n in range(count)
    ]


@asynccontextmanager
async def gateway(stored: list[ChatMessage], status: int = 200) -> AsyncIterator[RestApi]:
    async def location(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer a token"
        where = {"url": "http://edge.example", "edge": "edge-1", "shard": "3", "version": "1.2"}
        return web.json_response(where, status=status)

    async def history(request: web.Request) -> web.Response:
        after, per_page = int(request.query["after"]), int(request.query["perPage"])
        page = [one.model_dump(by_alias=True) for one in stored if one.seq > after][:per_page]
        body = {"group": request.match_info["group"], "messages": page, "storedUpTo": 0}
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_get("/chat/location", location)
    app.router.add_get("/chat/{group}/message", history)
    async with served(app) as api:
        yield api


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[RestApi]:
    async with serving(app) as url, aiohttp.ClientSession() as session:
        yield RestApi(session, f"{url}/")


async def test_the_location_is_the_url_of_the_edge() -> None:
    async with gateway([]) as api:
        assert await api.locate("a token") == "http://edge.example"


@pytest.mark.parametrize("count", [0, 1, MAX_PER_PAGE - 1, MAX_PER_PAGE, MAX_PER_PAGE + 1, 2 * MAX_PER_PAGE])
async def test_history_is_all_pages_once_in_order(count: int) -> None:
    async with gateway(messages(count)) as api:
        assert await api.history("leic", "a token", after=-1) == messages(count)
        assert await api.history("leic", "a token", after=5) == messages(count)[2:]


@pytest.mark.parametrize("body", ["{}", "[]", '"here"', "{", "null"])
async def test_an_answer_that_is_none_as_of_a_proxy_in_between_is_an_os_error(body: str) -> None:
    async def location(_: web.Request) -> web.Response:
        return web.Response(text=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/{any:.*}", location)
    async with served(app) as api:
        with pytest.raises(OSError, match="/chat/location"):
            await api.locate("a token")
        with pytest.raises(OSError, match="/chat/leic/message"):
            await api.history("leic", "a token", after=-1)


async def test_a_history_that_tells_the_same_page_for_ever_is_read_once_more_and_no_longer() -> None:
    async def history(request: web.Request) -> web.Response:
        page = [one.model_dump(by_alias=True) for one in messages(MAX_PER_PAGE)]
        body = {"group": request.match_info["group"], "messages": page, "storedUpTo": 0}
        return web.json_response(body)

    app = web.Application()
    app.router.add_get("/chat/{group}/message", history)
    async with served(app) as api, asyncio.timeout(DEADLINE_S):
        told = await api.history("leic", "a token", after=-1)
    assert len(told) == 2 * MAX_PER_PAGE


async def test_a_refusal_and_an_absent_gateway_are_os_errors() -> None:
    async with gateway([], status=503) as api:
        with pytest.raises(OSError, match="503"):
            await api.locate("a token")
        with pytest.raises(OSError, match="503"):
            await api.history("leic", "a token", after=-1)
    with pytest.raises(OSError, match="location"):
        async with aiohttp.ClientSession() as session:
            await RestApi(session, "http://127.0.0.1:1").locate("a token")


@asynccontextmanager
async def creating(statuses: list[int]) -> AsyncIterator[tuple[RestApi, list[dict[str, object]]]]:
    """Run a gateway that answers with these statuses in turn, and remembers what it was asked."""
    asked: list[dict[str, object]] = []

    async def create(request: web.Request) -> web.Response:
        asked.append(await request.json())
        return web.json_response({"error": {"code": "x"}}, status=statuses.pop(0))

    app = web.Application(client_max_size=2**24)
    app.router.add_post("/chat/group", create)
    async with served(app) as api:
        yield api, asked


async def test_a_group_with_more_members_than_a_request_takes_is_created_in_parts() -> None:
    ups = [f"up{n:09d}" for n in range(MAX_NEW_MEMBERS + 3)]
    async with creating([201, 202]) as (api, asked):
        await api.create_group("leic", ups, "a token")
    assert [one["id"] for one in asked] == ["leic", "leic"]
    assert [len(cast("list[str]", one["users"])) for one in asked] == [MAX_NEW_MEMBERS, 3]


async def test_what_is_refused_for_now_is_asked_again_and_what_is_refused_for_good_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rest, "RETRY_PAUSES_S", (0.0, 0.0))
    async with creating([503, 429, 201]) as (api, asked):
        await api.create_group("leic", [UP], "a token")
        assert len(asked) == 3
    for statuses in ([403], [503, 503, 503]):
        async with creating(list(statuses)) as (api, asked):
            with pytest.raises(OSError, match=f"{statuses[-1]} "):
                await api.create_group("leic", [UP], "a token")
            assert len(asked) == len(statuses)


@pytest.mark.parametrize(
    ("told", "waits"), [("7", [0.0, 7.0, 2.0]), ("1", [0.0, 1.5, 2.0]), ("Tue, 01 Dec 2026", [0.0, 1.5, 2.0])]
)
async def test_a_gateway_is_asked_again_no_sooner_than_it_says(
    told: str, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(rest, "RETRY_PAUSES_S", (1.5, 2.0))
    monkeypatch.setattr(rest, "asyncio", SimpleNamespace(sleep=sleep))
    refused = [web.Response(status=429, headers={"Retry-After": told}), web.Response(status=503)]
    answers = [*refused, web.Response(status=201)]

    async def create(_: web.Request) -> web.Response:
        return answers.pop(0)

    app = web.Application()
    app.router.add_post("/chat/group", create)
    async with served(app) as api:
        await api.create_group("leic", [UP], "a token")
    assert waited == waits


async def test_nobody_waits_where_nothing_is_tried_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "RETRY_PAUSES_S", (0.0, 2 * DEADLINE_S))
    for tries in (1, 2):
        async with creating([503, 503, 201]) as (api, asked), asyncio.timeout(DEADLINE_S):
            with pytest.raises(OSError, match="503 "):
                await api.create_group("leic", [UP], "a token", tries=tries)
            assert len(asked) == tries


async def test_a_gateway_that_has_moved_is_named() -> None:
    """To another host a request goes without its token, and a redirected POST may become a GET."""
    secure = "https://chat.example.org"

    async def moved(request: web.Request) -> web.Response:
        raise web.HTTPMovedPermanently(secure + request.path)

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", moved)
    async with served(app) as api:
        with pytest.raises(ConnectionError, match=f"301, moved to {secure}/chat/group"):
            await api.create_group("leic", [UP], "a token")
        with pytest.raises(ConnectionError, match=f"301, moved to {secure}/chat/location"):
            await api.locate("a token")
