"""A TCP proxy between two parts, whose network can be made bad while they talk.

It runs in a thread of its own, so that it outlives the event loops of tests. It knows no protocol.
"""

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from deploy.local.ports import HOST

CHUNK_BYTES: Final = 65_536
LOOK_EVERY_S: Final = 0.02
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Network:
    """What the way is like, for chunks of bytes in both directions."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    """A chunk is delayed by up to this much more; the order stays."""
    passes_to: bool = True
    """Whether what the caller sends gets through now. What does not waits, as TCP makes it wait."""
    passes_from: bool = True
    """Whether what the called part sends gets through now."""
    accepts: bool = True
    """Whether new connections are passed on now; those that are not hang."""
    cuts: float = 0.0
    """How many of the chunks (as a fraction) are the last ones of their connection, and only half sent."""


GOOD: Final = Network()
FROZEN: Final = Network(passes_to=False, passes_from=False, accepts=False)


class TcpProxy:
    """Passes connections of its port on to ``target`` (host:port), for the length of a ``with`` block."""

    def __init__(self, target: str, port: int) -> None:
        self._target = target.rsplit(":", 1)
        self.address = f"{HOST}:{port}"
        self.network = GOOD
        self._port = port
        self._writers: set[asyncio.StreamWriter] = set()
        # A thread that draws from everybody's randomness would disturb tests that count on theirs.
        self._random = random.Random()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{port}", daemon=True)
        self._server: asyncio.Server

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, HOST, self._port))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def reset_all(self) -> None:
        """End every connection with a reset, whatever is on its way."""
        self._loop.call_soon_threadsafe(self._reset_now)

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _close(self) -> None:
        self._server.close()
        self._reset_now()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _reset_now(self) -> None:
        for writer in tuple(self._writers):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        self._writers.add(writer)
        try:
            while not self.network.accepts:  # noqa: ASYNC110 - another thread changes it
                await asyncio.sleep(LOOK_EVERY_S)
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            ends.append(far_writer)
            self._writers.add(far_writer)
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pump(reader, far_writer, lambda: self.network.passes_to))
                ways.create_task(self._pump(far_reader, writer, lambda: self.network.passes_from))
        except (OSError, ExceptionGroup):
            pass  # the other end sees its own connection end
        finally:
            for end in ends:
                self._writers.discard(end)
                end.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passes: Callable[[], bool]
    ) -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            network = self.network
            if network.delay_s or network.jitter_s:
                await asyncio.sleep(network.delay_s + self._random.uniform(0.0, network.jitter_s))
            while not passes():  # noqa: ASYNC110 - another thread changes it
                await asyncio.sleep(LOOK_EVERY_S)
            if self._random.random() < network.cuts:
                writer.write(chunk[: len(chunk) // 2])
                break
            writer.write(chunk)
            await writer.drain()
        raise ConnectionError("one end has closed")


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection is not None:
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
