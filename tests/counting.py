"""What a counter counts from some moment on: the tests of a process share its counters."""

from collections.abc import Callable

from prometheus_client import Counter


def counting(*counters: Counter) -> Callable[[], float]:
    """Return what says, whenever it is called, how much these have counted together since now."""

    def count() -> float:
        return float(sum(counter._value.get() for counter in counters))

    before = count()
    return lambda: count() - before
