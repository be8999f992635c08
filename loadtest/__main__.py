"""``python -m loadtest``: the commands of load tests. The exit status says whether all was well."""

import argparse
import asyncio
import logging
import math
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

import aiohttp
import uvloop
from prometheus_client import start_http_server
from pydantic import ValidationError

from loadtest.arguments import add_gateway, add_size, add_target, chosen_scenario, target_of
from loadtest.crew import RunFailedError
from loadtest.crowd import made_up_number
from loadtest.fitness import AUDIT, Outcome
from loadtest.fitness_run import USUAL_MINUTES, measure_fitness
from loadtest.keeping import keep, open_folder
from loadtest.probe import REGISTRY, Probe
from loadtest.report import page
from loadtest.rest import RestApi
from loadtest.results import Result
from loadtest.run_command import run_and_keep
from loadtest.scenario import ready_ones
from loadtest.tokens import open_tokens

MAX_PORT: Final = 65_535

EXAMPLES = """\
Any deployment can be tested whose gateway can be reached, with its shared secret or a file of tokens:

  export TOKEN_SECRET=...            # HS256 deployments: tokens are made here
  python -m loadtest run steady --gateway http://127.0.0.1:8000
  python -m loadtest run steady --gateway https://chat.example.org --tokens tokens.txt \\
      --ops edge-1=http://10.0.0.5:9110 --ops persister=http://10.0.0.7:9101
  python -m loadtest report before.json after.json
  python -m loadtest fitness --gateway http://127.0.0.1:8000
  python -m loadtest probe --gateway http://127.0.0.1:8000 --every 10 --port 9200

A run makes groups of its own (load-...), which stay there. `make loadtest` starts a system here and tests
that. docs/load-testing.md explains scenarios, results and the generator's limits.
Ctrl-C ends a run early: what was said till then is judged and kept. A second one gives it up.
Exit status: 0 objectives held, 1 they did not, 2 the run could not be carried through.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Do what was asked for. Returns the exit status."""
    logging.basicConfig(level=logging.ERROR)
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.command(arguments)
    except (RunFailedError, ValueError, OSError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("FAILED: interrupted", file=sys.stderr)
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest",
        description="Load tests of a chat deployment, from the outside.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run a scenario; write its result and report", description=_ready())
    run.formatter_class = argparse.RawDescriptionHelpFormatter
    run.add_argument("scenario", help="a ready scenario's name, or a TOML file")
    add_target(run)
    add_size(run)
    run.set_defaults(command=_run)
    scenarios = commands.add_parser("scenarios", help="list the ready scenarios")
    scenarios.set_defaults(command=_scenarios)
    probe = commands.add_parser("probe", help="check every few seconds whether a student can chat; for ever")
    add_gateway(probe)
    probe.add_argument("--every", type=float, default=10.0, help="seconds between checks (%(default)g)")
    probe.add_argument(
        "--for", type=float, dest="for_s", metavar="SECONDS", help="end then, and say how it was"
    )
    probe.add_argument("--port", type=int, help="serve /metrics for Prometheus on this port")
    probe.add_argument("--host", default="127.0.0.1", help="where that port listens (%(default)s)")
    probe.add_argument("--up", help="the student it is (default: the token file's first, or made up)")
    probe.set_defaults(command=_probe)
    fit = commands.add_parser("fitness", help="measure the documented fitness functions, and print the table")
    add_target(fit)
    fit.add_argument(
        "--minutes", type=float, default=USUAL_MINUTES, help="about so long in all (%(default)g)"
    )
    fit.add_argument("--out", type=Path, default=Path("reports"), help="folder of the results (%(default)s)")
    fit.set_defaults(command=_fitness)
    report = commands.add_parser("report", help="make the HTML report of one result, or of two side by side")
    report.add_argument("results", nargs="+", type=Path, help="one or two results (JSON)")
    report.add_argument("--out", type=Path, help="the page (default: beside the first result, named by all)")
    report.set_defaults(command=_report)
    return parser


def _ready() -> str:
    lines = (f"  {one.name:<14} {one.students:>6,} students  {one.about}" for one in ready_ones())
    return "Ready scenarios:\n" + "\n".join(lines)


def _run(arguments: argparse.Namespace) -> int:
    open_folder(arguments.out)
    open_tokens(arguments.tokens)
    return run_and_keep(
        chosen_scenario(arguments), target_of(arguments), arguments.out, processes=arguments.processes
    )


def _fitness(arguments: argparse.Namespace) -> int:
    open_folder(arguments.out)
    audit = Outcome(AUDIT, None, "run `make audit` in a checkout")
    return measure_fitness(target_of(arguments), arguments.out, arguments.minutes, lambda: audit)


def _probe(arguments: argparse.Namespace) -> int:
    logging.getLogger("loadtest").setLevel(logging.WARNING)
    if not 0 < arguments.every < math.inf:
        raise ValueError(f"--every {arguments.every:g}: checks are some seconds apart")
    if arguments.for_s is not None and not arguments.for_s > 0:
        raise ValueError(f"--for {arguments.for_s:g}: nothing can be seen in no time")
    if arguments.port is not None and not 0 <= arguments.port <= MAX_PORT:
        raise ValueError(f"--port {arguments.port}: a port is a number up to {MAX_PORT}")
    tokens = open_tokens(arguments.tokens)
    up = arguments.up or (tokens.ups[0] if tokens.ups else made_up_number(uuid4().hex, 0))
    tokens.token(up)
    if arguments.port is not None:
        start_http_server(arguments.port, arguments.host, registry=REGISTRY)

    async def run_probe() -> Probe:
        async with aiohttp.ClientSession() as session:
            probe = Probe(RestApi(session, arguments.gateway), up, tokens.token)
            # A Ctrl-C cancels: it is how an endless probe is ended.
            with suppress(asyncio.CancelledError):
                await probe.run(arguments.every, arguments.for_s)
            return probe

    probe = uvloop.run(run_probe())
    print(probe.summary)
    return int(probe.availability.good < probe.availability.checks)


def _scenarios(_: argparse.Namespace) -> int:
    print(_ready())
    return 0


def read_result(path: Path) -> Result:
    """Return the result that a file holds. Raises OSError, or ValueError that names the file."""
    try:
        return Result.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(f"{path} is not the result of a run: {error}") from error


def _report(arguments: argparse.Namespace) -> int:
    if len(arguments.results) > 2:
        raise ValueError("one result can be shown, or two side by side")
    results = [read_result(path) for path in arguments.results]
    names = "-against-".join(path.stem for path in arguments.results)
    print(keep(arguments.out or arguments.results[0].with_name(f"{names}.html"), page(results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
