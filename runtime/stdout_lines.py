"""Writes log lines to stdout in a thread of its own: if nobody takes them, the service goes on.

A pipe holds 64 KiB; with more in it a write waits for whoever reads, and so would the event loop. A container
engine whose disk or collector hangs would end all services: no probe would be answered.
"""

import logging
import os
import threading
from copy import copy
from typing import Final

MAX_WAITING_BYTES: Final = 8_388_608
"""More lines are left out; the next one that is not says how many."""
FLUSH_WITHIN_S: Final = 1.0
"""How long the end of the process waits for its last lines to be taken."""


class StdoutLines(logging.Handler):
    """Hands lines to the thread that writes them to ``descriptor``."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        # One lock for all: a finalizer that logs may run in either thread, while that one holds it.
        self._changed = threading.Condition(self.lock)
        self._lines: list[bytes] = []
        self._waiting_bytes = 0
        """Of these lines, and of those that are being written."""
        self._left_out = 0
        self._told = 0
        """How many were left out by what these lines say."""
        threading.Thread(target=self._write, name="stdout", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Add a line, or leave it out. `handle` calls it, and holds the lock."""
        if self._waiting_bytes >= MAX_WAITING_BYTES:
            self._left_out += 1
            return
        if self._left_out:
            record = copy(record)  # files lack nothing
            record.facts = {**getattr(record, "facts", {}), "left_out": self._left_out}
            self._told += self._left_out
            self._left_out = 0
        try:
            line = f"{self.format(record)}\n".encode(errors="backslashreplace")
        except Exception:  # noqa: BLE001 - as every handler does
            self.handleError(record)
        else:
            self._lines.append(line)
            self._waiting_bytes += len(line)
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until all lines are written, but not for long. The end of the process calls it."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting_bytes == 0, FLUSH_WITHIN_S)

    def _write(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines)
                lines, self._lines = self._lines, []
                told, self._told = self._told, 0
            text = b"".join(lines)
            taken = self._take(text)
            with self._changed:
                self._waiting_bytes -= len(text)
                self._left_out += 0 if taken else len(lines) + told
                self._changed.notify_all()

    def _take(self, text: bytes) -> bool:
        """Return whether all was written: a file's disk may be full, a pipe's reader gone."""
        rest = memoryview(text)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            return False
        return True
