"""Raises and checks the limit of open files: each connection is one.

When none is left libuv accepts each connection and closes it at once, and no error reaches Python. So the
limit is checked when a service starts.
"""

import logging
import resource
from contextlib import suppress
from typing import Final

from runtime import logs

log = logging.getLogger(__name__)

SPARE: Final = 1_000
"""Beside counted connections: to Kafka and for the ops port, pollers' second ones, logs."""


def allow_all() -> None:
    """Raise this process's limit to what the machine allows: the initial one may be 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        # Not every system takes its own highest limit; `require` says whether what is left is too little.
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def require(connections: int) -> None:
    """Log an error if the limit is too low for so many connections."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed != resource.RLIM_INFINITY and allowed < connections + SPARE:
        log.error(
            "too few open files are allowed: connections beyond that will be reset silently",
            extra=logs.facts(allowed=allowed, needed=connections + SPARE),
        )
