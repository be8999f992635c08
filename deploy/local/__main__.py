"""Runs the backing services in the foreground for a developer, until Ctrl-C.

It prints, on stdout, only the lines to export; what it has to say goes to stderr.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from deploy.local.backing import backing_services
from deploy.local.kafka_native import REPOSITORY


def main() -> None:
    """Start the services, print their variables, and stop them on Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=REPOSITORY / ".backing" / "data",
        help="where their data is kept (default: %(default)s)",
    )
    data_dir = parser.parse_args().data_dir
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        with backing_services(data_dir, announce=_say) as running:
            for name, value in running.env().items():
                print(f"export {name}={shlex.quote(value)}", flush=True)
            _say("running; Ctrl-C stops them")
            # signal.pause() would sleep on after a signal that comes just before it.
            while True:
                time.sleep(1)
    except KeyboardInterrupt:
        _say("stopped")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _as_interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
