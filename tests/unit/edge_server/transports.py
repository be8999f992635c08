"""Connections without a network, and what was written to them."""

import asyncio
from typing import Any, cast

from edge_server.clients import Client
from edge_server.reading import Reading
from edge_server.write_through import WriteThrough
from runtime.tokens import Identity


class Transport:
    """Remembers what was written, how much of it is unread, and whether its other end is read."""

    def __init__(self) -> None:
        self.wire: list[bytes] = []
        self.unread = 0
        self.paused = False

    def write(self, data: bytes) -> None:
        self.wire.append(data)

    def get_write_buffer_size(self) -> int:
        return self.unread

    def is_closing(self) -> bool:
        return b"ABORTED" in self.wire

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def abort(self) -> None:
        self.wire.append(b"ABORTED")


class Closed(Transport):
    """A transport that remembers its close."""

    def close(self) -> None:
        self.wire.append(b"CLOSED")


class EngineSocket:
    """Engine.io's side of a connection: it polls until it has a websocket."""

    def __init__(self) -> None:
        self.queue: Any = asyncio.Queue()
        self.transport = Transport()
        self.reading = Reading(cast(Any, self.transport))

    def use_websocket(self) -> None:
        """Let it be one that has begun by websocket."""
        self.queue = WriteThrough(cast(Any, self.transport), lambda: None, 100)
        self.websocket = self

    def use_short_path(self, client: Client) -> None:
        """Chat messages of this client would now go past engine.io."""

    def polled(self) -> bytes:
        """Take all that waits for a poll."""
        return b"".join(self.queue.get_nowait().encode().encode() for _ in range(self.queue.qsize()))


def client(socket: EngineSocket, *, max_bytes: int = 100, max_packets: int = 1000) -> Client:
    return Client("sid", Identity("up202000001", 0.0), socket, max_bytes=max_bytes, max_packets=max_packets)


def seqs_on(wire: bytes) -> list[int]:
    return [int(part.split(b'"seq":')[1].split(b",")[0]) for part in wire.split(b'["chat message"')[1:]]
