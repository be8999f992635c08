"""Retries a write for as long as the store is away. Nothing is skipped, and nothing counts as stored.

Pauses grow to a bound, with jitter, so that many persisters do not overload a store that is just coming back.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from runtime import logs, metrics
from runtime.mongo import StoreUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 2.0


class NoLongerOursError(RuntimeError):
    """The batch belongs to another persister now, which reads and writes it again."""


def pause_s(failures: int, *, longest_s: float, jitter: float) -> float:
    """Return the pause after so many failures in a row (from 1). ``jitter`` is in [0, 1)."""
    bound = min(longest_s, FIRST_PAUSE_S * 2.0 ** min(failures - 1, 30))
    return bound * (0.5 + jitter / 2)


class Outage:
    """Retries, and keeps whether the store is away and since when, for readiness and a metric."""

    def __init__(
        self, longest_pause_s: float = LONGEST_PAUSE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._longest_pause_s = longest_pause_s
        self._clock = clock
        self._failures: dict[str, int] = {}
        self._since: float | None = None
        self._last_error = ""

    def fault(self) -> str | None:
        """Return the store's last error while it is away, for a readiness check."""
        return f"the store is away; what is read waits: {self._last_error}" if self._failures else None

    def age_s(self) -> float:
        """Return for how long (s) the store has been away, while a write waits for it; otherwise 0."""
        return self._clock() - self._since if self._failures and self._since is not None else 0.0

    async def retry(
        self, what: str, operation: Callable[[], Awaitable[T]], *, wanted: Callable[[], bool] = lambda: True
    ) -> T:
        """Return what ``operation`` returns, retrying it for as long as the store is away.

        Raises `NoLongerOursError` if it fails and is no longer ``wanted``. ``what`` names the operation.
        """
        try:
            while True:
                try:
                    result = await operation()
                except StoreUnavailable as error:
                    await self._pause(what, error)
                else:
                    self._since = None
                    if failures := self._failures.get(what):
                        facts = logs.facts(writing=what, failures=failures)
                        log.info("the store answers again", extra=facts)
                    return result
                if not wanted():
                    # A cancelled write keeps `_since`: the rebuilt reader waits for the same outage, and its
                    # age must go on counting.
                    self._since = None
                    raise NoLongerOursError(what)
        finally:
            self._failures.pop(what, None)

    async def _pause(self, what: str, error: StoreUnavailable) -> None:
        failures = self._failures[what] = self._failures.get(what, 0) + 1
        self._last_error = str(error)
        if self._since is None:
            self._since = self._clock()
        metrics.STORE_RETRIES.inc()
        if failures == 1:
            log.error("the store is away", extra=logs.facts(writing=what, error=str(error)))
        jitter = random.random()
        await asyncio.sleep(pause_s(failures, longest_s=self._longest_pause_s, jitter=jitter))
