"""What lies between a client and an edge: each way in order, at any speed, until it is cut."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from tests.simulation.chance import Chance

_CLOSE_FRAME: Final = b"\x88"
_TEXT_FRAME: Final = b"\x81"


class Pipe:
    """One way. What is under way when it is cut never arrives.

    What arrives while its reader has paused waits, and is then received in one piece.
    """

    def __init__(self, chance: Chance, receive: Callable[[Sequence[Any]], None]) -> None:
        self._chance = chance
        self._receive = receive
        self._last = 0.0
        self._arrived: list[Any] = []
        self._paused = False
        self.under_way = 0
        self.cut = False

    def send(self, item: Any) -> None:
        """Send something; it arrives after everything that was sent before it."""
        loop = asyncio.get_running_loop()
        self._last = max(self._last + 1e-6, loop.time() + self._chance.delay())
        self.under_way += 1
        loop.call_at(self._last, self._arrive, item)

    def pause(self) -> None:
        """Let what arrives wait."""
        self._paused = True

    def resume(self) -> None:
        """Receive what has waited, and what comes from now on."""
        self._paused = False
        asyncio.get_running_loop().call_soon(self._hand_over)

    def _arrive(self, item: Any) -> None:
        self.under_way -= 1
        self._arrived.append(item)
        self._hand_over()

    def _hand_over(self) -> None:
        if self._arrived and not self._paused and not self.cut:
            arrived, self._arrived = self._arrived, []
            self._receive(arrived)


class Transport:
    """The edge's end of a connection, as far as an edge uses it."""

    def __init__(self, to_client: Pipe, to_edge: Pipe, cut: Callable[[], None]) -> None:
        self._to_client = to_client
        self._closing = False
        self.abort = cut
        self.pause_reading = to_edge.pause
        self.resume_reading = to_edge.resume

    def write(self, data: bytes) -> None:
        self._to_client.send(bytes(data))

    def close(self) -> None:
        """End the connection, after all that was written."""
        self._closing = True
        self._to_client.send(None)

    def is_closing(self) -> bool:
        return self._closing or self._to_client.cut

    def get_write_buffer_size(self) -> int:
        return 0


def texts_of(data: bytes | None) -> list[str | None]:
    """Return what stands in an edge's bytes: a packet and a newline, or websocket frames. None is the end."""
    if data is None:
        return [None]
    if data[:1] not in (_TEXT_FRAME, _CLOSE_FRAME):
        return [data[:-1].decode()]
    texts: list[str | None] = []
    while data:
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        texts.append(data[start : start + size].decode() if data[:1] == _TEXT_FRAME else None)
        data = data[start + size :]
    return texts
