"""An event loop whose clock jumps to the next timer: seconds cost nothing, and the machine decides nothing.

Callbacks run in the order in which asyncio promises to run them; all chance comes from the seed, by delays.
"""

import asyncio
from collections.abc import Coroutine
from itertools import count
from typing import Any


class StandstillError(RuntimeError):
    """Everybody waits and no timer is set: nothing can ever happen again."""


class NumberedTask(asyncio.Task[Any]):
    """A task whose place in a set depends on its number, not on its address: sets of tasks are iterated."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], *, number: int, **options: Any) -> None:
        self._number = number
        super().__init__(coroutine, **options)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class SimulatedLoop(asyncio.BaseEventLoop):
    """A loop without sockets, files, threads or real time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._clock_resolution = 1e-9
        self._selector = self
        numbers = count()

        def make(
            loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
        ) -> NumberedTask:
            return NumberedTask(coroutine, number=next(numbers), loop=loop, **options)

        self.set_task_factory(make)  # type: ignore[arg-type]

    def time(self) -> float:
        """Return the simulated seconds since the start."""
        return self.now

    def select(self, timeout: float | None) -> list[Any]:
        """Stand in for a selector: instead of waiting, let the time pass."""
        if timeout is None:
            raise StandstillError
        self.now += timeout
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        """There is nothing but timers and callbacks."""

    def _write_to_self(self) -> None:
        """Nobody has to be woken."""
