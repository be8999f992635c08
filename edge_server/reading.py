"""Whether a connection is read. Only this stops and resumes reading, for whatever reason. No frames here."""

import asyncio
from typing import Final

FULL: Final = 1
"""Too much was read that nobody has taken yet."""
RESTS: Final = 2
"""The client was told to wait."""


class Reading:
    """A transport that is read while nobody has a reason against it (`FULL`, `RESTS`)."""

    __slots__ = ("_against", "transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self._against = 0

    def stop(self, reason: int) -> None:
        """Read no more until this reason has gone. It may be given again meanwhile."""
        self._set(self._against | reason)

    def go_on(self, reason: int) -> None:
        """This reason has gone, if it was there: read, where there is no other one."""
        self._set(self._against & ~reason)

    def _set(self, against: int) -> None:
        before, self._against = self._against, against
        if bool(before) == bool(against) or self.transport.is_closing():
            return
        if against:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()
