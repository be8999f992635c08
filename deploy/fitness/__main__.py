"""``python -m deploy.fitness``: load tests on a system that is started here for them, and stopped."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from deploy.fitness.local_target import local_target
from loadtest.__main__ import add_size, chosen_scenario, show_and_keep
from loadtest.crew import RunFailedError
from loadtest.run import LiveLine, run_scenario


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.fitness", description=__doc__)
    parser.add_argument("--scenario", help="only this load test")
    parser.add_argument("--edges", type=int, default=2, help="how many edges (default: %(default)s)")
    add_size(parser)
    asked = parser.parse_args(argv)
    try:
        scenario = chosen_scenario(asked)
        with (
            TemporaryDirectory(prefix="uni4all-chat-load-", ignore_cleanup_errors=True) as folder,
            local_target(Path(folder), edges=asked.edges) as target,
        ):
            live = LiveLine(scenario.seconds)
            result = uvloop.run(
                run_scenario(scenario, target, processes=asked.processes, on_moment=live.show)
            )
            live.finish()
    except (RunFailedError, ValueError, OSError, RuntimeError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 2
    return show_and_keep(result, asked.out)


if __name__ == "__main__":
    sys.exit(main())
