"""An edge as plain as can be, by python-socketio alone: what the client's tests connect to."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ssl import SSLContext
from typing import Any

import socketio
from aiohttp import web

from schemas.client_events import CHAT_MESSAGE, JOINED, ONLINE
from tests.unit.loadtest.serving import serving

Answer = Callable[[dict[str, Any]], dict[str, Any]]


class PlainEdge:
    """Remembers who came with what, and answers each message as ``answer`` says."""

    def __init__(self) -> None:
        self.auths: list[dict[str, Any]] = []
        self.sids: list[str] = []
        self.got: list[dict[str, Any]] = []
        self.online: list[str] = []
        """The connections that have said that their student is online."""
        self.answer: Answer = lambda _: {"id": "m", "seq": 0, "timestamp": 0}
        self.joined: dict[str, Any] = {}
        self.refuse: dict[str, str] | None = None
        self.url = ""
        self.io = socketio.AsyncServer(async_mode="aiohttp")
        self.io.on("connect", self._connect)
        self.io.on(CHAT_MESSAGE, self._message)
        self.io.on(ONLINE, lambda sid, _: self.online.append(sid))

    async def locate(self, _token: str) -> str:
        """Every student is ours."""
        return self.url

    async def emit(self, name: str, payload: Any) -> None:
        """Send an event to whoever came last."""
        await self.io.emit(name, payload, to=self.sids[-1])

    async def _connect(self, sid: str, _environ: dict[str, Any], auth: dict[str, Any]) -> None:
        if self.refuse is not None:
            raise socketio.exceptions.ConnectionRefusedError("no", self.refuse)
        self.auths.append(auth)
        self.sids.append(sid)
        await self.io.emit(JOINED, {"rooms": self.joined}, to=sid)

    async def _message(self, _sid: str, payload: dict[str, Any]) -> dict[str, Any]:
        self.got.append(payload)
        return self.answer(payload)


@asynccontextmanager
async def running_edge(tls: SSLContext | None = None) -> AsyncIterator[PlainEdge]:
    """Serve a plain edge on a free port."""
    edge = PlainEdge()
    app = web.Application()
    edge.io.attach(app)
    async with serving(app, tls) as edge.url:
        try:
            yield edge
        finally:
            await edge.io.shutdown()
