"""The reference of the socket benchmarks: python-socketio alone, on aiohttp and uvloop, as the edge is.

``python -m tests.bench.reference_socketio``; the port is OPS_PORT's, where it also says that it is ready.
"""

import asyncio
import time
from typing import Any

import socketio
import uvloop
from aiohttp import web

from edge_server.engine import Json
from schemas.client_events import CHAT_MESSAGE, JOINED
from tests.bench.processes import LONG_S
from tests.bench.reference_http import serve
from tests.bench.socket_clients import ACK_ONLY


class ReferenceServer:
    """Rooms, emit and acks, all by the library."""

    def __init__(self) -> None:
        self.io: Any = socketio.AsyncServer(
            async_mode="aiohttp", json=Json, ping_interval=int(LONG_S), namespaces=["/"]
        )
        self._seq = 0
        self._greetings: set[asyncio.Task[None]] = set()
        self.io.on("connect", self.connect)
        self.io.on(CHAT_MESSAGE, self.chat_message)
        self.io.on(ACK_ONLY, self.ack_only)

    async def connect(self, sid: str, _environ: object, auth: dict[str, Any]) -> None:
        """Let a client into the rooms that it names, and tell it so once it is connected."""
        for room in auth["rooms"]:
            await self.io.enter_room(sid, room)
        greeting = asyncio.create_task(self.io.emit(JOINED, {"rooms": {}}, to=sid))
        self._greetings.add(greeting)
        greeting.add_done_callback(self._greetings.discard)

    async def chat_message(self, _sid: str, sent: dict[str, Any]) -> dict[str, Any]:
        """Emit a message to its room, then ack it."""
        ack = self._ack(sent)
        event = {"room": sent["room"], "up": sent["up"], "message": sent["message"]}
        await self.io.emit(CHAT_MESSAGE, {**ack, **event, "sentAt": sent["timestamp"]}, room=sent["room"])
        return ack

    async def ack_only(self, _sid: str, sent: dict[str, Any]) -> dict[str, Any]:
        """Ack a message that nobody gets."""
        return self._ack(sent)

    def _ack(self, sent: dict[str, Any]) -> dict[str, Any]:
        self._seq += 1
        return {"id": sent["id"], "seq": self._seq, "timestamp": int(time.time() * 1000)}


if __name__ == "__main__":
    reference = web.Application()
    ReferenceServer().io.attach(reference)
    uvloop.run(serve(reference))
