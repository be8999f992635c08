"""A socket server behind its gate with nothing behind it, and clients that poll and upgrade by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import (
    ClientSession,
    ClientWebSocketResponse,
    WSMsgType,
    web,
)
from aiohttp.typedefs import Middleware

from edge_server.gate import gate
from edge_server.settings import EdgeSettings
from edge_server.socket_server import ChatSocketServer
from runtime.service import Service, running
from tests.waiting import eventually

SOON_S = 0.3


class Poller:
    """A client that polls, by hand."""

    def __init__(self, session: ClientSession, url: str) -> None:
        self._session = session
        self.url = f"{url}?EIO=4&transport=polling"

    async def hello(self, *, join: bool = True) -> None:
        """Begin; to ``join``, be let in."""
        opened = (await self.poll())[1:]
        self.sid = opened.partition('"sid":"')[2].partition('"')[0]
        self.url += f"&sid={self.sid}"
        if join:
            await self.say("40{}")
            assert (await self.poll()).startswith('40{"sid":')

    async def poll(self) -> str:
        """Read what there is."""
        async with self._session.get(self.url) as answer:
            return await answer.text()

    async def say(self, *packets: str) -> int:
        """Send packets; return the status."""
        async with self._session.post(self.url, data="\x1e".join(packets)) as answer:
            return answer.status

    async def upgrade(self) -> ClientWebSocketResponse:
        """Ask for a websocket, and no more."""
        return await self._session.ws_connect(self.url.replace("=polling", "=websocket"))

    async def upgraded(self) -> ClientWebSocketResponse:
        """Return the websocket that has taken the place of the polls."""
        socket = await self.upgrade()
        await socket.send_str("2probe")
        assert await socket.receive_str() == "3probe"
        await socket.send_str("5")
        assert await socket.receive_str() == "6"
        return socket


class Edge:
    """A socket server behind its gate, and behind ``outside``, if there is such a thing."""

    def __init__(self, session: ClientSession, *outside: Middleware, **settings: Any) -> None:
        self._settings = EdgeSettings(**{"handshake_within_s": 60.0, **settings})
        self._outside = outside
        self.server = ChatSocketServer(self._settings)
        self.connects = 0
        self.ends: list[str] = []
        self.session = session
        self.server.on("connect", self._on_connect)
        self.server.on("disconnect", self._on_disconnect)
        self.server.on("*", self._answer)

    async def _on_connect(self, _sid: str, _environ: object, _auth: object = None) -> None:
        self.connects += 1

    async def _on_disconnect(self, _sid: str, reason: str) -> None:
        self.ends.append(reason)

    async def _answer(self, _event: str, _sid: str, *_payload: object) -> str:
        return "answered"

    async def start(self, service: Service) -> None:
        way_in = gate(self._settings, self.server.arrivals, self.server.eio)
        app = web.Application(middlewares=[*self._outside, way_in])
        self.server.attach(app, "socket.io")
        service.supervise("close late arrivals", self.server.close_late)
        service.supervise("ping clients", self.server.eio.ping_all)
        service.resources.push_async_callback(self.server.shutdown)
        self.resources = service.resources
        self.port = await service.serve(app, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.port}/socket.io/"

    async def websocket(self, *, join: bool = True) -> ClientWebSocketResponse:
        """Return the websocket of a client that has said hello and, to ``join``, has been let in."""
        socket = await self.session.ws_connect(self.url + "?EIO=4&transport=websocket")
        assert (await socket.receive_str()).startswith('0{"sid":')
        if join:
            await socket.send_str("40{}")
            assert (await socket.receive_str()).startswith('40{"sid":')
        return socket

    async def poller(self, *, join: bool = True) -> Poller:
        """Return a polling client."""
        made = Poller(self.session, self.url)
        await made.hello(join=join)
        return made

    @property
    def sessions(self) -> list[Any]:
        return list(self.server.eio.sockets.values())

    async def is_empty(self) -> None:
        await eventually("no session is left", lambda: all(one.closed for one in self.sessions))


@asynccontextmanager
async def an_edge(*outside: Middleware, **settings: Any) -> AsyncIterator[Edge]:
    async with ClientSession() as session:
        made = Edge(session, *outside, **settings)
        async with running(Service("edge_server", EdgeSettings(ops_port=0, log_dir="")), made.start):
            yield made


async def is_closed(socket: ClientWebSocketResponse) -> None:
    """Read until the edge has closed it. Raises TimeoutError where it does not."""
    async with asyncio.timeout(60):
        while (await socket.receive()).type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            pass


def wire_of(socket: ClientWebSocketResponse) -> asyncio.Transport:
    """Return where bytes can be written that are no whole frames."""
    connection = socket._response.connection
    assert connection is not None
    assert isinstance(connection.transport, asyncio.Transport)
    return connection.transport
