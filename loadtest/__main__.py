"""``python -m loadtest``: what load testers call. The exit status says whether all was well."""

import argparse
import asyncio
import logging
import math
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

import aiohttp
import uvloop
from prometheus_client import start_http_server
from pydantic import ValidationError

from loadtest.crew import RunFailedError
from loadtest.crowd import made_up_number
from loadtest.fitness import AUDIT, Outcome
from loadtest.fitness import table as fitness_table
from loadtest.fitness_run import FitnessRun
from loadtest.keeping import keep, open_folder
from loadtest.probe import REGISTRY, Probe
from loadtest.report import page
from loadtest.rest import RestApi
from loadtest.results import Result, ShownSecond, shown
from loadtest.run import LiveLine, Target, interrupt_ends, run_scenario
from loadtest.scenario import Scenario, load, ready_ones
from loadtest.server_side import Watched, pairs, pids
from loadtest.tokens import open_tokens

USUAL_MINUTES: Final = 6.0
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
    asked = _parser().parse_args(argv)
    try:
        status: int = asked.command(asked)
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
    probe = commands.add_parser("probe", help="look every few seconds whether a student can chat; for ever")
    add_target(probe)
    probe.add_argument("--every", type=float, default=10.0, help="seconds between looks (%(default)g)")
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


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say what is tested."""
    parser.add_argument("--gateway", required=True, metavar="URL", help="the public API's URL")
    parser.add_argument(
        "--tokens", type=Path, help="lines 'up201906045 TOKEN' (default: made with $TOKEN_SECRET)"
    )
    parser.add_argument(
        "--ops", action="append", default=[], metavar="NAME=URL", help="a server's ops port; may be repeated"
    )
    parser.add_argument(
        "--pid",
        action="append",
        default=[],
        metavar="NAME=PID",
        help="a server's process on this machine; edge... and kafka... count for a delivery's CPU",
    )


def add_size(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that change a scenario."""
    parser.add_argument("--students", type=int, help="so many instead of the scenario's")
    parser.add_argument("--group-size", type=int, help="so many in each group")
    parser.add_argument(
        "--stretch", type=float, default=1.0, help="measured phases last so many times as long"
    )
    parser.add_argument(
        "--replay", type=Path, metavar="FOLDER", help="say what the *.log of a folder say (IRC)"
    )
    parser.add_argument("--processes", type=int, default=0, help="processes of students (default: by cores)")
    parser.add_argument(
        "--out", type=Path, default=Path("reports"), help="folder of the result (%(default)s)"
    )


def chosen_scenario(asked: argparse.Namespace) -> Scenario:
    """Return the scenario as the arguments change it. Raises ValueError."""
    scenario = load(asked.scenario).stretched(asked.stretch)
    changes = {"students": asked.students, "group_size": asked.group_size}
    changed = scenario.model_dump() | {name: value for name, value in changes.items() if value is not None}
    if asked.replay is not None:
        changed["replay"] = (changed["replay"] or {}) | {"folder": asked.replay}
    if changed["replay"] is not None and (asked.students is not None or asked.group_size is not None):
        raise ValueError(
            "who is in which group of a replay is what its logs say: --students and --group-size do not"
        )
    return Scenario.model_validate(changed)


def show_and_keep(result: Result, folder: Path) -> int:
    """Print what was judged, write result and report into a folder, and return the exit status."""
    for one in result.judged:
        print(f"{'ok  ' if one.held else 'FAIL'}  {one.what}: {one.got} (wanted {one.wanted})")
    cores = dict(result.server_cpu)
    if result.others_cpu is not None:
        cores["everything else"] = result.others_cpu
    used = ", ".join(f"{name} {used:.2f}" for name, used in cores.items())
    generator = shown(result.generator_us_per_delivery, "µs")
    print(
        f"{result.verdict.received:,} deliveries of {result.verdict.said:,} messages; "
        f"{shown(result.deliveries_per_s, '/s')} while measured; p50 {result.deliver.p50:.1f} ms, "
        f"p99 {result.deliver.p99:.1f} ms; generator {generator} a delivery"
        + (f"; cores used: {used}" if used else "")
    )
    path = folder / f"load-{result.scenario.name}-{result.started.replace(':', '')[:17]}-{result.run}.json"
    keep(path, result.model_dump_json(indent=1))
    print(f"{path}\n{keep(path.with_suffix('.html'), page([result]))}")
    return 0 if result.ok else 1


def _ready() -> str:
    lines = (f"  {one.name:<14} {one.students:>6,} students  {one.about}" for one in ready_ones())
    return "Ready scenarios:\n" + "\n".join(lines)


def _run(asked: argparse.Namespace) -> int:
    open_folder(asked.out)
    open_tokens(asked.tokens)
    return run_and_keep(chosen_scenario(asked), _target(asked), asked)


def run_and_keep(scenario: Scenario, target: Target, asked: argparse.Namespace) -> int:
    """Run a scenario, show and keep its result in an open folder, and return the exit status."""
    live = LiveLine(scenario.seconds)

    async def run() -> Result:
        ending = asyncio.Event()
        with interrupt_ends(ending):
            return await run_scenario(
                scenario, target, processes=asked.processes, on_second=live.show, ending=ending
            )

    result = uvloop.run(run())
    live.finish()
    return show_and_keep(result, asked.out)


def _target(asked: argparse.Namespace) -> Target:
    return Target(asked.gateway, asked.tokens, Watched(pairs(asked.ops), pids(asked.pid)))


def _fitness(asked: argparse.Namespace) -> int:
    open_folder(asked.out)
    audit = Outcome(AUDIT, None, "run `make audit` in a checkout")
    return measure_fitness(_target(asked), asked.out, asked.minutes, lambda: audit)


def measure_fitness(target: Target, folder: Path, minutes: float, audit: Callable[[], Outcome]) -> int:
    """Measure all fitness functions, print the table and keep it, and return the exit status."""

    def on_scenario(scenario: Scenario) -> Callable[[ShownSecond], None]:
        print(f"\n{scenario.name}: {scenario.about}", flush=True)
        return LiveLine(scenario.seconds).show

    run = FitnessRun(target, folder, stretch=minutes / USUAL_MINUTES, on_scenario=on_scenario)
    outcomes, needs = uvloop.run(run.run())
    outcomes.append(audit())
    table = f"{fitness_table(outcomes)}\n\n{needs}"
    print(f"\n\n{table}\n")
    print(keep(folder / f"fitness-{time.strftime('%Y%m%d-%H%M%S')}.txt", table + "\n"))
    return int(any(one.grade == "FAIL" for one in outcomes))


def _probe(asked: argparse.Namespace) -> int:
    logging.getLogger("loadtest").setLevel(logging.WARNING)
    if not 0 < asked.every < math.inf:
        raise ValueError(f"--every {asked.every:g}: looks are some seconds apart")
    if asked.for_s is not None and not asked.for_s > 0:
        raise ValueError(f"--for {asked.for_s:g}: nothing can be seen in no time")
    if asked.port is not None and not 0 <= asked.port <= MAX_PORT:
        raise ValueError(f"--port {asked.port}: a port is a number up to {MAX_PORT}")
    tokens = open_tokens(asked.tokens)
    up = asked.up or (tokens.ups[0] if tokens.ups else made_up_number(uuid4().hex, 0))
    tokens.token(up)
    if asked.port is not None:
        start_http_server(asked.port, asked.host, registry=REGISTRY)

    async def look() -> Probe:
        async with aiohttp.ClientSession() as session:
            probe = Probe(RestApi(session, asked.gateway), up, tokens.token)
            # A Ctrl-C cancels: it is how one ends that would look for ever.
            with suppress(asyncio.CancelledError):
                await probe.run(asked.every, asked.for_s)
            return probe

    probe = uvloop.run(look())
    print(probe.summary)
    return int(probe.availability.good < probe.availability.looks)


def _scenarios(_: argparse.Namespace) -> int:
    print(_ready())
    return 0


def read_result(path: Path) -> Result:
    """Return the result that a file holds. Raises OSError, or ValueError that names the file."""
    try:
        return Result.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(f"{path} is not the result of a run: {error}") from error


def _report(asked: argparse.Namespace) -> int:
    if len(asked.results) > 2:
        raise ValueError("one result can be shown, or two side by side")
    results = [read_result(path) for path in asked.results]
    names = "-against-".join(path.stem for path in asked.results)
    print(keep(asked.out or asked.results[0].with_name(f"{names}.html"), page(results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
