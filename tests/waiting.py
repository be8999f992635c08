"""Tests wait for what comes true, never for a time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from inspect import isawaitable
from typing import Any, Final

DEADLINE_S: Final = 60.0
LOOK_EVERY_S: Final = 0.02


async def eventually(what: str, holds: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
    """Wait until ``holds()``, which may be awaited. Fails, naming ``what``, when no healthy machine would."""
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline_s
    while not (await found if isawaitable(found := holds()) else found):
        assert loop.time() < end, f"never came true: {what}"
        await asyncio.sleep(LOOK_EVERY_S)


@asynccontextmanager
async def in_background(work: Coroutine[Any, Any, Any]) -> AsyncIterator["asyncio.Task[Any]"]:
    """Let this run for the length of the block. Yields its task, which has ended when the block is left."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def passes(count: int = 20) -> None:
    """Let the loop run what is ready, so many times: after the usual number all tasks wait for something."""
    for _ in range(count):
        await asyncio.sleep(0)
