"""Runs the backing services in the foreground for a developer, until Ctrl-C or the end of one of them.

It prints only the lines to export on stdout; messages go to stderr.
"""

import argparse
import shlex
import sys
from pathlib import Path

from deploy.local.backing import backing_services
from deploy.local.processes import watch
from deploy.local.signals import interrupt_on_signals
from deploy.repository import REPOSITORY


def main() -> int:
    """Start the services, print their variables, and stop them on a signal. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=REPOSITORY / ".backing" / "data",
        help="where their data is kept (default: %(default)s)",
    )
    data_dir = parser.parse_args().data_dir
    interrupt_on_signals()
    try:
        with backing_services(data_dir, announce=_print) as running:
            for name, value in running.env().items():
                print(f"export {name}={shlex.quote(value)}", flush=True)
            _print("running; Ctrl-C stops them")
            watch(running.processes)
    except KeyboardInterrupt:
        _print("stopped")
        return 0
    except (RuntimeError, OSError) as error:
        _print(f"FAILED: {error}")
        return 1


def _print(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
