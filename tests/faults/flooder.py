"""``python -m tests.faults.flooder``: clients that keep no rules. Their job is a JSON line of the input.

It says when its flood has come so far that an edge has something to bear, floods until its input ends, and
says in a JSON line what came of it.
"""

import asyncio
import json
import sys
from collections import Counter
from contextlib import suppress
from itertools import count
from typing import Any, Final
from urllib.parse import urlsplit

import uvloop

from loadtest.websocket import client_frame
from schemas.ids import new_id
from tests.frame_reader import FrameReader

AT_ONCE: Final = 50
"""Connections of one process that begin at the same time."""

FLOODS: Final = {"503", "said"}
"""What is noted once more is asked than an edge takes: a machine that is busy may take long to get there."""

PIECE: Final = 20
"""Messages of a write."""

UPGRADE: Final = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: edge\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Flooder:
    """What one process does to one edge."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname, parts.port
        self.seen: Counter[str] = Counter()
        self.begun = asyncio.Event()

    async def connect_for_ever(self) -> None:
        """Connect, read the answer, and go, again and again."""
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection(self._host, self._port)
                writer.write(UPGRADE)
                status = await reader.read(4_096)
                self._note("let in" if b" 101 " in status[:20] else f"{status[9:12].decode()}")
                writer.transport.abort()

    async def speak_for_ever(self, up: str, token: str, room: str, per_s: float) -> None:
        """Say so much a second, whatever the answers are; whoever is closed comes again."""
        while True:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._speak(up, token, room, per_s)
            self._note("closed")
            await asyncio.sleep(0.1)

    async def _speak(self, up: str, token: str, room: str, per_s: float) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        listening = None
        try:
            writer.write(UPGRADE)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(client_frame(f"40{json.dumps({'token': token})}".encode()))
            listening = asyncio.create_task(self._listen(reader))
            loop = asyncio.get_running_loop()
            began, said = loop.time(), 0
            numbers = count()
            while not listening.done():
                while said < (loop.time() - began) * per_s:
                    writer.write(b"".join(_message(up, room, next(numbers)) for _ in range(PIECE)))
                    said += PIECE
                    self._note("said", PIECE)
                    await writer.drain()
                await asyncio.sleep(PIECE / per_s)
        finally:
            if listening is not None:
                listening.cancel()
            writer.close()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        frames = FrameReader()
        while data := await reader.read(262_144):
            for _, payload in frames.feed(data):
                if payload.startswith(b"43"):
                    self._count(payload)

    def _count(self, ack: bytes) -> None:
        (answer,) = json.loads(ack[ack.index(b"[") :])
        self._note(answer["error"]["code"] if "error" in answer else "acked")

    def _note(self, what: str, times: int = 1) -> None:
        self.seen[what] += times
        if what in FLOODS:
            self.begun.set()


def _message(up: str, room: str, number: int) -> bytes:
    said = {"message": "flood", "up": up, "room": room, "timestamp": number, "id": new_id()}
    return client_frame(f'42{number % 10**8}["chat message",{json.dumps(said)}]'.encode())


async def _flood(job: dict[str, Any]) -> None:
    flooder = Flooder(job["url"])
    floods = [flooder.connect_for_ever() for _ in range(job.get("connecting", 0))]
    for up, token in job.get("speakers", {}).items():
        floods.append(flooder.speak_for_ever(up, token, job["room"], job["per_s"]))
    tasks = [asyncio.create_task(flood) for flood in floods]
    await flooder.begun.wait()
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    sys.stdout.write(json.dumps(flooder.seen) + "\n")


if __name__ == "__main__":
    uvloop.run(_flood(json.loads(sys.stdin.readline())))
