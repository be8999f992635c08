"""Whether a connection is read: the one owner of that, whoever has a reason to stop. It knows no frames."""

import asyncio


class Reading:
    """A transport that is read while what came is not too much, and its client was not told to wait."""

    __slots__ = ("_reading_paused", "_rests", "transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self._reading_paused = False
        self._rests = False

    def pause_reading(self) -> None:
        """Too much was read that nobody has taken yet."""
        self._set(full=True, rests=self._rests)

    def resume_reading(self) -> None:
        """What was read has been taken."""
        self._set(full=False, rests=self._rests)

    def rest(self) -> None:
        """The client was told to wait."""
        self._set(full=self._reading_paused, rests=True)

    def wake(self) -> None:
        """It may go on."""
        self._set(full=self._reading_paused, rests=False)

    def _set(self, *, full: bool, rests: bool) -> None:
        was_read, is_read = not (self._reading_paused or self._rests), not (full or rests)
        self._reading_paused, self._rests = full, rests
        if is_read == was_read or self.transport.is_closing():
            return
        if is_read:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()
