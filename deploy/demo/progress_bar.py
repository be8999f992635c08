"""A progress bar: redrawn in place on a terminal, otherwise a line every few seconds."""

import sys
import time
from collections.abc import Callable
from typing import Final, TextIO

WIDTH: Final = 30
DRAW_EVERY_S: Final = 0.25
LINE_EVERY_S: Final = 5.0


class ProgressBar:
    """Shows how much of ``total`` is done. `show` may be called as often as one likes."""

    def __init__(
        self,
        what: str,
        total: int,
        *,
        out: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._total = max(1, total)
        self._out = out or sys.stdout
        self._clock = clock
        self._tty = self._out.isatty()
        self._every_s = DRAW_EVERY_S if self._tty else LINE_EVERY_S
        self._next = clock()
        self._longest = 0

    def show(self, done: int, note: str = "") -> None:
        """Draw, where it is time to."""
        if self._clock() >= self._next:
            self._next = self._clock() + self._every_s
            self._draw(done, note, end="" if self._tty else "\n")

    def finish(self, done: int, note: str = "") -> None:
        """Draw a last time, and end the line."""
        self._draw(done, note, end="\n")

    def _draw(self, done: int, note: str, *, end: str) -> None:
        part = min(1.0, done / self._total)
        filled = int(part * WIDTH)
        bar = f"[{'#' * filled}{'.' * (WIDTH - filled)}] " if self._tty else ""
        line = f"{self._what} {bar}{part:4.0%} {done:,}/{self._total:,} {note}".rstrip()
        # A shorter line would leave the end of the longer one before it on the screen.
        padding = " " * max(0, self._longest - len(line)) if self._tty else ""
        self._longest = len(line)
        self._out.write(("\r" if self._tty else "") + line + padding + end)
        self._out.flush()
