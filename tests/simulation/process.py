"""A simulated process: tasks that end together, at any step, without any chance to clean up."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

from runtime.health import Health
from tests.simulation.chance import Chance


class Process:
    """One process. It has what services' parts ask of `runtime.service.Service` when they start."""

    def __init__(self, name: str, chance: Chance, trace: Callable[[str], None]) -> None:
        self.name = name
        self.chance = chance
        self.trace = trace
        self.alive = True
        self._frozen_at = self._thaws_at = 0.0
        self.failure: BaseException | None = None
        """What came out of a task: our own code is not supposed to fail."""
        self.on_death: Callable[[], None] = lambda: None
        self.health = Health("edge_server", lambda: None, lambda: None)
        self.resources = AsyncExitStack()
        self._tasks: dict[asyncio.Task[Any], None] = {}

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run something as long as this process lives."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks[task] = None
        task.add_done_callback(self._ended)

    def supervise(self, _name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run a part in the background."""

        async def forever() -> None:
            await run()

        self.spawn(forever())

    async def step(self) -> None:
        """Wait for the outside world: that may take long, and the process may die before it or after it."""
        if self.chance.dies():
            self.kill()
        await asyncio.sleep(self.chance.delay())
        if self.frozen_s() > 0:
            await asyncio.sleep(self._thaws_at - asyncio.get_running_loop().time())
        if self.chance.dies():
            self.kill()
        if not self.alive:
            await asyncio.get_running_loop().create_future()

    def freeze(self, seconds: float) -> None:
        """Stand still at the next step, until then."""
        self.trace(f"{self.name} freezes")
        self._frozen_at = asyncio.get_running_loop().time()
        self._thaws_at = self._frozen_at + seconds

    def frozen_s(self) -> float:
        """Return for how long it has stood still; 0 where it does not."""
        now = asyncio.get_running_loop().time()
        return now - self._frozen_at if now < self._thaws_at else 0.0

    def kill(self) -> None:
        """Die. Nothing that this process does from now on reaches anybody."""
        if self.alive:
            self.alive = False
            self.trace(f"{self.name} dies")
            for task in tuple(self._tasks):
                task.cancel()
            self.on_death()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and task.exception() is not None and self.alive:
            self.failure = self.failure or task.exception()
