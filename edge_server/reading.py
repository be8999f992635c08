"""Pauses and resumes reading a connection. Only this module does so, for any reason."""

import asyncio
from typing import Final

FULL: Final = 1
"""Too much was read that is not processed yet."""
RETRY_LATER: Final = 2
"""The client was refused and told to wait."""


class Reading:
    """A transport that is read while no reason (`FULL`, `RETRY_LATER`) is set."""

    __slots__ = ("_reasons", "transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self._reasons = 0

    def pause(self, reason: int) -> None:
        """Stop reading until this reason is cleared. Setting it again changes nothing."""
        self._set(self._reasons | reason)

    def resume(self, reason: int) -> None:
        """Clear this reason, if it was set, and read again if no other one is."""
        self._set(self._reasons & ~reason)

    def _set(self, reasons: int) -> None:
        before, self._reasons = self._reasons, reasons
        if bool(before) == bool(reasons) or self.transport.is_closing():
            return
        if reasons:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()
