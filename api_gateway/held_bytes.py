"""Bytes that are held for callers: at most so many for all; for each a share of that, or one piece. Pure.

No piece takes more than half of what is left, so that a few large ones leave enough for small ones.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter as Count

from schemas.refusals import OVERLOADED, RATE_LIMITED, Refused


class HeldBytes:
    """Counts bytes while they are held. Each limit has its own count of how often it was hit."""

    def __init__(self, *, most_bytes: int, share: float, full: Count, full_for_one: Count) -> None:
        self._most_bytes = most_bytes
        self._most_of_one = share * most_bytes
        self._full = full
        self._full_for_one = full_for_one
        self._of_callers = Counter[str]()
        self.bytes = 0

    def admit(self, caller: str, size: int) -> None:
        """Raise `Refused` where ``size`` more bytes are too many. None are while nothing is held.

        Overloaded: for all callers together. Rate limited: for this one, who holds some already.
        """
        if self.bytes and size > (self._most_bytes - self.bytes) / 2:
            self._full.inc()
            raise Refused(OVERLOADED)
        has = self._of_callers.get(caller, 0)
        if has and has + size > self._most_of_one:
            self._full_for_one.inc()
            raise Refused(RATE_LIMITED)

    @contextmanager
    def counted(self, caller: str, size: int) -> Iterator[None]:
        """Count bytes for the length of the block."""
        self.bytes += size
        self._of_callers[caller] += size
        try:
            yield
        finally:
            self.bytes -= size
            self._of_callers[caller] -= size
            if not self._of_callers[caller]:
                del self._of_callers[caller]
