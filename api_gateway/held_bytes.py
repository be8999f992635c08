"""Bytes that are held for callers: at most so many for all; for each a share of that, or one piece. Pure.

No piece takes more than half of what is free, so that a few large ones leave room for small ones.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter as Count

from schemas.refusals import OVERLOADED, RATE_LIMITED, Refused


class HeldBytes:
    """Counts bytes while they are held. Each limit has its own count of how often it was hit."""

    def __init__(self, *, most_bytes: int, share: float, full: Count, full_for_caller: Count) -> None:
        self._most_bytes = most_bytes
        self._most_per_caller = share * most_bytes
        self._full = full
        self._full_for_caller = full_for_caller
        self._by_caller = Counter[str]()
        self.bytes = 0

    def admit(self, caller: str, size: int) -> None:
        """Raise `Refused` if ``size`` more bytes are too many. While nothing is held any size is admitted.

        Overloaded: too many for all callers. Rate limited: too many for this one, who holds some already.
        """
        if self.bytes and size > (self._most_bytes - self.bytes) / 2:
            self._full.inc()
            raise Refused(OVERLOADED)
        held = self._by_caller.get(caller, 0)
        if held and held + size > self._most_per_caller:
            self._full_for_caller.inc()
            raise Refused(RATE_LIMITED)

    @contextmanager
    def counted(self, caller: str, size: int) -> Iterator[None]:
        """Count bytes for the length of the block."""
        self.bytes += size
        self._by_caller[caller] += size
        try:
            yield
        finally:
            self.bytes -= size
            self._by_caller[caller] -= size
            if not self._by_caller[caller]:
                del self._by_caller[caller]
