"""Runs many clients in this process: connects them at a bounded rate, and closes them all."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final

from loadtest.chat_client import ChatClient

CONNECTING_AT_ONCE: Final = 64
CONNECT_DEADLINE_S: Final = 180.0


class Students(AbstractAsyncContextManager["Students"]):
    """Keeps `ChatClient`s running for the length of the block."""

    def __init__(self, clients: Iterable[ChatClient]) -> None:
        self.clients = list(clients)
        self._places = asyncio.Semaphore(CONNECTING_AT_ONCE)
        self._tasks: list[asyncio.Task[None]] = []
        self._failed: asyncio.Task[None] | None = None

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def began(self) -> int:
        """How many have begun to connect."""
        return len(self._tasks)

    @property
    def failed(self) -> tuple[str, BaseException] | None:
        """The first student that ended by itself, and its error; None if none has."""
        if self._failed is None:
            return None
        return self._failed.get_name(), self._failed.exception() or RuntimeError("a student ended by itself")

    async def connect(self, progress: Callable[[], object] = lambda: None) -> None:
        """Connect all, and wait until each knows its rooms.

        Raises the error of a student that ended, or TimeoutError at a deadline.
        """

        async def connect_and_check(client: ChatClient) -> None:
            await self.connect_one(client)
            self.check()
            progress()

        try:
            async with asyncio.timeout(CONNECT_DEADLINE_S), asyncio.TaskGroup() as connecting:
                for client in self.clients:
                    connecting.create_task(connect_and_check(client))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def connect_one(self, client: ChatClient, begins: Callable[[], object] = lambda: None) -> None:
        """Connect a student, and return when it knows its rooms or has ended.

        Waits for a free place first, and then calls ``begins``.
        """
        async with self._places:
            begins()
            task = asyncio.create_task(client.run(), name=client.up)
            task.add_done_callback(self._ended)
            self._tasks.append(task)
            joined = asyncio.create_task(client.joined.wait())
            try:
                await asyncio.wait({task, joined}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                joined.cancel()

    def check(self) -> None:
        """Raise the error of a student that ended, if one has."""
        if self.failed is not None:
            raise self.failed[1]

    async def close(self) -> None:
        """End all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self._failed = self._failed or task
