"""What is still there of some classes, also where only the collector would find it."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def left_over(*kinds: type) -> Iterator[Callable[[], set[int]]]:
    """Keep the collector away for the length of the block.

    What it yields returns the ids of all objects of these classes that were made since.
    """
    gc.collect()
    before = _ids_of(kinds)
    gc.disable()
    try:
        yield lambda: _ids_of(kinds) - before
    finally:
        gc.enable()


def _ids_of(kinds: tuple[type, ...]) -> set[int]:
    # isinstance() would ask the weak proxies of other tests, and raise for what is gone.
    return {id(one) for one in gc.get_objects() if issubclass(type(one), kinds)}
