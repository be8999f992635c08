"""The web client's page with a stage around it: what REST answers and what an edge says, a test decides."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import jwt
import orjson
import socketio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Page
from socketio.exceptions import ConnectionRefusedError as NotLetIn

from api_gateway import pages
from api_gateway.answers import Api
from api_gateway.ready_response import ReadyResponse
from schemas.client_events import MAX_CURSORS
from schemas.refusals import EXPIRED_TOKEN, INVALID_PAYLOAD, Refusal, Refused
from tests.unit.api_gateway.parts import UNBOUNDED
from tests.waiting import eventually

UP = "up202000001"
TOKEN = jwt.encode({"sub": UP}, "nobody looks at the signature here 0123456789")


def message(seq: int, text: str, **other: Any) -> dict[str, Any]:
    """Return a message of somebody else in the group ``g``."""
    said = {"id": f"m{seq}", "seq": seq, "room": "g", "up": "up202000002", "message": text}
    return {**said, "timestamp": 1_700_000_000_000 + seq, "sentAt": 1_700_000_000_000, **other}


class Stage:
    """A gateway and an edge."""

    url: str
    edge_url: str
    greeting: "asyncio.Task[None]"
    """Is done once the newest connection was told of its rooms."""

    def __init__(self) -> None:
        self.groups = ["g"]
        self.head = -1
        self.recovered = True
        self.history: list[dict[str, Any]] = []
        self.newest: list[dict[str, Any]] = []
        """The newest message of each group that has any."""
        self.stored_up_to = -1
        self.users = {"g": [UP, "up202000002"]}
        self.names: dict[str, str] = {}
        """What users are called; who has a name is online."""
        self.tells_older = asyncio.Event()
        """Until it is set, nobody is told what is older than the newest page."""
        self.tells_older.set()
        self.greets = asyncio.Event()
        """Until it is set, nobody who connects is told of a room."""
        self.greets.set()
        self.reads = 0
        self.reads_of_names = 0
        self.refused: dict[str, Refusal] = {}
        """What REST refuses, by path."""
        self.acks: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        """What who writes is answered, each once a test has put it here."""
        self.said: list[dict[str, Any]] = []
        """What was written, in the order of coming, also what was not answered."""
        self.sinces: list[Mapping[str, int]] = []
        """The cursors of each connection that came."""
        self.sid = ""
        """The newest connection that was let in."""
        # Tests move the page's clock on, and nothing is to be late by that.
        self.edge = socketio.AsyncServer(
            async_mode="aiohttp", cors_allowed_origins="*", ping_interval=1e6, ping_timeout=1e6
        )
        self.edge.on("connect", self._connect)
        self.edge.on("online", lambda _sid, _payload: {"ok": True})
        self.edge.on("chat message", self._ack)

    async def open(self, page: Page) -> None:
        """Open the page as a student, and wait until the edge has greeted it."""
        await page.goto(f"{self.url}#token={TOKEN}")
        await eventually("it is connected", lambda: bool(self.sid))

    async def tell(self, event: str, payload: Any) -> None:
        """Say something to the newest connection."""
        await self.edge.emit(event, payload, to=self.sid)

    async def lose(self) -> None:
        """End the newest connection."""
        await self.edge.disconnect(self.sid)

    async def expire(self) -> None:
        """Tell the newest connection that its token has expired."""
        row = EXPIRED_TOKEN
        await self.tell("refused", {"code": row.code, "message": row.message, "request_id": "r"})

    def has_heard(self, times: int) -> bool:
        """Say whether so many messages were written."""
        return len(self.said) == times

    async def _connect(self, sid: str, _: object, auth: Mapping[str, Any]) -> None:
        since = auth["since"]
        self.sinces.append(since)
        if len(since) > MAX_CURSORS:
            raise NotLetIn("too many cursors", {"code": INVALID_PAYLOAD.code, "message": "too many cursors"})
        self.sid = sid
        self.greeting = self.edge.start_background_task(self._greet, sid)

    async def _ack(self, _sid: str, said: dict[str, Any]) -> dict[str, Any]:
        self.said.append(said)
        return await self.acks.get()

    async def _greet(self, sid: str) -> None:
        await self.greets.wait()
        how = {"head": self.head, "recovered": self.recovered, "missed": 0}
        await self.edge.emit("joined", {"rooms": dict.fromkeys(self.groups, how)}, to=sid)

    def gateway(self) -> web.Application:
        """Return what serves the page and REST."""
        api = Api("public", None, max_body_bytes=1_000, unread=UNBOUNDED)
        pages.add_web_client(api)
        api.serve("GET", "/chat/location", self._location)
        api.serve("GET", "/chat/group", self._groups)
        api.serve("GET", "/chat/group/{group}", self._members)
        api.serve("GET", "/chat/group/{group}/member", self._names)
        api.serve("GET", "/chat/message", self._previews)
        api.serve("GET", "/chat/{group}/message", self._page)
        return api.application

    async def _location(self, _: web.Request) -> ReadyResponse:
        return _json({"url": self.edge_url, "edge": "edge-1", "shard": "[0-9]", "version": "1.1"})

    async def _groups(self, _: web.Request) -> ReadyResponse:
        self._refuse("/chat/group")
        return _json({"groups": [{"id": group, "name": f"Group {group}"} for group in self.groups]})

    async def _members(self, request: web.Request) -> ReadyResponse:
        self._refuse(request.path)
        group = request.match_info["group"]
        return _json({"id": group, "name": f"Group {group}", "users": self.users[group]})

    async def _names(self, request: web.Request) -> ReadyResponse:
        self.reads_of_names += 1
        self._refuse(request.path)
        page, ups = int(request.query["page"]), self.users.get(request.match_info["group"], [])
        users = [{"up": up, "name": self.names.get(up), "online": up in self.names} for up in ups]
        return _json({"users": users[page : page + 1], "nextPage": page + 1 if page + 1 < len(ups) else None})

    async def _previews(self, _: web.Request) -> ReadyResponse:
        self._refuse("/chat/message")
        messages: dict[str, list[Any]] = {group: [] for group in self.groups}
        messages |= {one["room"]: [one] for one in self.newest}
        return _json({"groups": [{"group": group, "messages": said} for group, said in messages.items()]})

    async def _page(self, request: web.Request) -> ReadyResponse:
        self.reads += 1
        self._refuse(request.path)
        before = int(request.query.get("before", self.stored_up_to + 1))
        older = [one for one in self.history if one["seq"] < before][-int(request.query["perPage"]) :]
        group = request.match_info["group"]
        if "before" in request.query:
            await self.tells_older.wait()
        return _json({"group": group, "messages": older, "storedUpTo": self.stored_up_to})

    def _refuse(self, path: str) -> None:
        if path in self.refused:
            raise Refused(self.refused[path])


def _json(value: Any) -> ReadyResponse:
    return ReadyResponse(orjson.dumps(value))


@asynccontextmanager
async def a_stage() -> AsyncIterator[Stage]:
    """Serve a stage."""
    stage, sockets = Stage(), web.Application()
    stage.edge.attach(sockets)
    async with TestServer(stage.gateway()) as gateway, TestServer(sockets) as edge:
        stage.url, stage.edge_url = str(gateway.make_url("/")), str(edge.make_url("/"))
        yield stage
        await stage.edge.shutdown()


async def say(page: Page, text: str) -> None:
    """Send a message by the keyboard, in the open group."""
    await page.get_by_label("Message", exact=True).fill(text)
    await page.keyboard.press("Enter")


async def read_further_up(page: Page, top: int) -> None:
    """Scroll the messages up to here. While the page still takes its form it stays at the end: then again."""
    while not await page.evaluate(
        """async (top) => {
            const noticed = new Promise((done) => messages.addEventListener("scroll", done, { once: true }));
            messages.scrollTop = top;
            await noticed;
            return messages.scrollTop === top;
        }""",
        top,
    ):
        pass
