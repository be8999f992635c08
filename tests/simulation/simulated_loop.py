"""An event loop whose clock jumps to the next timer: seconds cost nothing, and the machine decides nothing.

Callbacks run in the order in which asyncio promises to run them; all chance comes from the seed, by delays.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeVarTuple

Arguments = TypeVarTuple("Arguments")


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
    """A loop without sockets, files, threads or real time.

    Its timers are kept as tuples, not as handles: comparing handles was most of what a run cost.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._ready: Any
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timer_numbers = count()
        task_numbers = count()

        def make(
            loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
        ) -> NumberedTask:
            return NumberedTask(coroutine, number=next(task_numbers), loop=loop, **options)

        self.set_task_factory(make)  # type: ignore[arg-type]

    def time(self) -> float:
        """Return the simulated seconds since the start."""
        return self.now

    def call_at(
        self,
        when: float,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call back at a moment of the simulated time; those of the same moment in the order of the calls."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heappush(self._timers, (when, next(self._timer_numbers), handle))
        return handle

    def _run_once(self) -> None:
        """Run what is ready; where nothing is, let the time pass until the next timer."""
        timers, ready = self._timers, self._ready
        while timers and timers[0][2].cancelled():
            heappop(timers)
        if not ready:
            if not timers:
                raise StandstillError
            self.now = max(self.now, timers[0][0])
        while timers and timers[0][0] <= self.now:
            ready.append(heappop(timers)[2])
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()

    def _write_to_self(self) -> None:
        """Nobody has to be woken."""
