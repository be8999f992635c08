"""Signals that end a command: the first one interrupts it, later ones do not disturb its stop."""

import signal
from types import FrameType


def interrupt_on_signals() -> None:
    """Raise KeyboardInterrupt in the main thread at the first Ctrl-C, SIGTERM, or end of the terminal."""
    for number in stops():
        signal.signal(number, _interrupt)


def stops() -> list[signal.Signals]:
    """Return the signals that ask for an end. Under nohup the end of the terminal does not."""
    hung_up = [signal.SIGHUP] if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else []
    return [signal.SIGINT, signal.SIGTERM, *hung_up]


def ignore_signals() -> None:
    """Let nothing interrupt the stop."""
    for number in stops():
        signal.signal(number, signal.SIG_IGN)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    ignore_signals()
    raise KeyboardInterrupt
