"""How many files a process may have open: every connection of a student is one, here and at the edge."""

import math
import resource


def allow_open_files(wanted: int) -> float:
    """Raise this process's limit of open files to ``wanted``, if the machine allows, and return it.

    Never lower it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    return math.inf if soft == resource.RLIM_INFINITY else soft
