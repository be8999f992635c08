"""Many students of this process: connects them at a bounded rate, and ends them all together."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Final, Self

from loadtest.chat_client import ChatClient

CONNECTING_AT_ONCE: Final = 64
CONNECT_DEADLINE_S: Final = 180.0


class Students(AbstractAsyncContextManager["Students"]):
    """Keeps `ChatClient`s running for the length of the block."""

    def __init__(self, clients: Iterable[ChatClient]) -> None:
        self.clients = list(clients)
        self._tasks: list[asyncio.Task[None]] = []
        self._failed = asyncio.Event()
        self._failure: BaseException | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def connect(self, progress: Callable[[], object] = lambda: None) -> None:
        """Connect everybody, and wait until each knows its rooms.

        Raises what ended a student, or TimeoutError at a deadline.
        """
        places = asyncio.Semaphore(CONNECTING_AT_ONCE)

        async def one(client: ChatClient) -> None:
            async with places:
                task = asyncio.create_task(client.run(), name=client.up)
                task.add_done_callback(self._ended)
                self._tasks.append(task)
                await client.joined.wait()
                progress()

        everybody: asyncio.Future[Any] = asyncio.gather(*(one(client) for client in self.clients))
        failed: asyncio.Future[Any] = asyncio.create_task(self._failed.wait())
        try:
            async with asyncio.timeout(CONNECT_DEADLINE_S):
                await asyncio.wait({everybody, failed}, return_when=asyncio.FIRST_COMPLETED)
            self.check()
        finally:
            everybody.cancel()
            failed.cancel()
            await asyncio.gather(everybody, failed, return_exceptions=True)

    def check(self) -> None:
        """Raise what ended a student, where one has ended."""
        if self._failure is not None:
            raise self._failure

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self._failure = task.exception() or RuntimeError("a student ended by itself")
            self._failed.set()
