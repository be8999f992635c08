"""What lies between a client and an edge: each way in order, at any speed, until it is cut."""

import asyncio
from asyncio import Queue
from collections.abc import Callable
from typing import Any

from edge_server.clients import Client
from tests.simulation.chance import Chance


class Pipe:
    """One way. What is under way when it is cut never arrives."""

    def __init__(self, chance: Chance, receive: Callable[[Any], None]) -> None:
        self._chance = chance
        self._receive = receive
        self._last = 0.0
        self.under_way = 0
        self.cut = False

    def send(self, item: Any) -> None:
        """Send something; it arrives after everything that was sent before it."""
        loop = asyncio.get_running_loop()
        self._last = max(self._last + 1e-6, loop.time() + self._chance.delay())
        self.under_way += 1
        loop.call_at(self._last, self._arrive, item)

    def _arrive(self, item: Any) -> None:
        self.under_way -= 1
        if not self.cut:
            self._receive(item)


class Transport:
    """The edge's end of a websocket, as far as an edge writes to one. None is its orderly end."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def write(self, data: bytes) -> None:
        self._pipe.send(bytes(data))

    def end(self) -> None:
        self._pipe.send(None)

    def pause_reading(self) -> None:
        """Whatever arrives until reading goes on counts as read already: edges must answer it, too."""

    def resume_reading(self) -> None:
        """Nothing has waited."""

    def is_closing(self) -> bool:
        return self._pipe.cut

    def get_write_buffer_size(self) -> int:
        return 0


class FramedWebSocket:
    """What an engine.io socket shows of its websocket."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.client: Client | None = None
        """The client whose messages go the short way, once they do."""

    def take_short_way(self, client: Client) -> None:
        self.client = client


class EngineSocket:
    """An engine.io socket: packets wait in its queue for a writer, until the client's websocket is up."""

    def __init__(self, transport: Transport, *, upgraded: bool) -> None:
        self.queue: Queue[Any] = Queue()
        self.upgraded = upgraded
        self.framed_websocket = FramedWebSocket(transport)
        self._transport = transport

    async def write_packets(self) -> None:
        """Write what is queued, in order, and end the connection after it."""
        while (packet := await self.queue.get()) is not None:
            self._transport.write(b"%b\n" % str(packet.encode()).encode())
            await asyncio.sleep(0)
        self._transport.end()


def texts_of(data: bytes) -> list[str]:
    """Return what stands in bytes of an edge: a packet and a newline, or websocket frames."""
    if not data.startswith(b"\x81"):
        return [data[:-1].decode()]
    texts = []
    while data:
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        texts.append(data[start : start + size].decode())
        data = data[start + size :]
    return texts
