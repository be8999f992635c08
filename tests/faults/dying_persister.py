"""``python -m tests.faults.dying_persister after_write|after_progress``: a persister that dies at that step.

It is the production code, killed by itself (SIGKILL) the first time that the step before its commit is done.
"""

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import patch

from persister import pipeline
from persister.app import start
from persister.batch_writer import BatchWriter
from persister.settings import PersisterSettings
from runtime.service import run


def dying(step: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return the step with death right behind it."""

    async def then_die(*args: Any, **kwargs: Any) -> Any:
        result = await step(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
        return result

    return then_die


POINTS = {"after_write": (BatchWriter, "write"), "after_progress": (pipeline, "write_progress")}


def main(point: str) -> None:
    """Run a persister until it reaches the point."""
    where, step = POINTS[point]
    with patch.object(where, step, dying(getattr(where, step))):
        run("persister", PersisterSettings, start)


if __name__ == "__main__":
    # The persister reads the arguments, too, and knows none.
    main(sys.argv.pop())
