"""What is still there of some classes, also where only the collector would find it."""

import gc


def ids_of(*kinds: type) -> set[int]:
    """Return the ids of all objects of just these classes, in this process."""
    # isinstance() would ask the weak proxies of other tests, and raise for what is gone.
    return {id(one) for one in gc.get_objects() if type(one) in kinds}
