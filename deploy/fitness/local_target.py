"""A whole system on this machine as a load test's target, with all its processes watched."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deploy.demo.local_system import LocalSystem
from deploy.local.backing import without_given
from deploy.local.service import BackingProcess
from loadtest.run import Target
from loadtest.server_side import Watched
from loadtest.tokens import SECRET_VARIABLE

STORE_NICENESS: Final = 10


@contextmanager
def local_target(folder: Path, *, edges: int) -> Iterator[Target]:
    """Run a system under ``folder`` for the length of the block; this process can mint its tokens.

    The store has a lower CPU priority than the rest: storing may wait, deliveries may not.
    """
    with LocalSystem(
        data_dir=folder / "data",
        log_dir=folder / "logs",
        edges=edges,
        # A load test writes groups and messages, which must not go to an external broker by accident.
        environ=without_given(os.environ),
        usual_ports=False,
    ) as system:
        if isinstance(system.backing.store, BackingProcess):
            os.setpriority(os.PRIO_PGRP, system.backing.store.pid, STORE_NICENESS)
        before = os.environ.get(SECRET_VARIABLE)
        os.environ[SECRET_VARIABLE] = system.token_secret
        try:
            yield Target(system.public_url, watched=watched(system))
        finally:
            if before is None:
                del os.environ[SECRET_VARIABLE]
            else:
                os.environ[SECRET_VARIABLE] = before


def watched(system: LocalSystem) -> Watched:
    """Return all processes of a system; a broker or a store in Docker is not ours to look at."""
    pids = {name: service.pid for name, service in system.services.items()}
    for name, service in (("kafka", system.backing.kafka), ("store", system.backing.store)):
        if isinstance(service, BackingProcess):
            pids[name] = service.pid
    return Watched({name: service.ops_url for name, service in system.services.items()}, pids)
