"""Tests wait for what comes true, never for a time."""

import asyncio
from collections.abc import Callable
from inspect import isawaitable
from typing import Final

DEADLINE_S: Final = 60.0
LOOK_EVERY_S: Final = 0.02


async def eventually(what: str, holds: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
    """Wait until ``holds()``, which may be awaited. Fails, naming ``what``, when no healthy machine would."""
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline_s
    while not (await found if isawaitable(found := holds()) else found):
        assert loop.time() < end, f"never came true: {what}"
        await asyncio.sleep(LOOK_EVERY_S)
