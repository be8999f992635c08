"""Signals that end a command: the first one interrupts it, later ones do not disturb its stop."""

import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
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


def signals_wait() -> AbstractContextManager[None]:
    """Let signals wait until the end of the block.

    An event loop that one interrupts as it starts or ends can neither go on nor be closed.
    """
    return _masked(signal.SIG_BLOCK)


def signals_come() -> AbstractContextManager[None]:
    """Let signals come again for a block within one that lets them wait."""
    return _masked(signal.SIG_UNBLOCK)


@contextmanager
def _masked(how: signal.Sigmasks) -> Iterator[None]:
    before = signal.pthread_sigmask(how, stops())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    ignore_signals()
    raise KeyboardInterrupt
