"""``python -m deploy.demo``: the whole system here, with students who chat, or with real logs replayed.

It owns the signals: the first Ctrl-C, SIGTERM or end of the terminal stops everything in order, later ones
change nothing.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Sequence
from pathlib import Path

import uvloop

from deploy.demo.campus import run_campus
from deploy.demo.local_system import LocalSystem
from deploy.demo.replay import plan_of, run_replay
from deploy.demo.replay_plan import ReplayPlan
from deploy.demo.verdict import Verdict
from deploy.local.run_folder import run_folder
from deploy.local.signals import ignore_signals, interrupt_on_signals, signals_come, signals_wait, stops

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo or a replay. Returns the exit status."""
    arguments = _arguments(argv)
    interrupt_on_signals()
    try:
        plan = plan_of(arguments.replay, arguments.speed) if arguments.replay else None
    except (OSError, ValueError) as error:
        print(f"nothing to replay: {error}", file=sys.stderr)
        return 2
    try:
        with run_folder("uni4all-chat-demo-") as folder:
            return _run(
                LocalSystem(
                    data_dir=folder,
                    log_dir=arguments.log_dir,
                    edges=arguments.edges,
                    env={"edge_server": {"EDGE_CAPACITY": str(arguments.edge_capacity)}},
                    compose=True,
                ),
                plan,
            )
    except KeyboardInterrupt:
        print("FAILED: interrupted" if plan else "stopped", flush=True)
        return INTERRUPTED if plan else 0
    except BrokenPipeError:
        # As by `| head`, or by `| tee` at a Ctrl-C. What stdout still holds must not be written at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print("FAILED: nobody reads the output any more", file=sys.stderr)
        return 1
    except (RuntimeError, OSError) as error:
        print(f"FAILED: {error}", flush=True)
        return 1


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.demo", description=__doc__)
    parser.add_argument("--replay", type=Path, help="a folder of IRC logs (*.log), or one log")
    parser.add_argument(
        "--speed",
        type=float,
        help="clocks of a replay run so many times faster (default: each log lasts 90 s)",
    )
    parser.add_argument("--edges", type=int, default=2, help="how many edges (default: %(default)s)")
    parser.add_argument(
        "--edge-capacity",
        type=int,
        default=10_000,
        help="clients that an edge can hold: with fewer than students chat, more edges are started "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--log-dir", type=Path, default=Path("logs"), help="folder of all logs (default: %(default)s)"
    )
    arguments = parser.parse_args(argv)
    if arguments.speed is not None and not arguments.speed > 0:
        parser.error("--speed must be more than 0")
    if arguments.edges < 1 or arguments.edge_capacity < 1:
        parser.error("--edges and --edge-capacity must be 1 or more")
    return arguments


def _run(system: LocalSystem, plan: ReplayPlan | None) -> int:
    """Run until the work is done or a signal comes; everything has stopped when this returns."""
    if plan is not None:
        _print_plan(plan)
    print("starting", flush=True)
    with system:
        print(f"dispatcher, persister, gateway and {len(system.edges)} edges are ready", flush=True)
        with signals_wait():
            try:
                work = run_campus(system) if plan is None else run_replay(system, plan)
                verdict = uvloop.run(_until_stopped(work))
            finally:
                # The loop has removed its signal handlers; from here on nothing interrupts the stop.
                ignore_signals()
                print("stopping", flush=True)
    if verdict is None:
        raise KeyboardInterrupt
    print(verdict.last_line, flush=True)
    return 0 if verdict.ok else 1


async def _until_stopped(work: Awaitable[Verdict | None]) -> Verdict | None:
    """Return what the work returns, or None if a signal came first."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in stops():
        loop.add_signal_handler(number, stopping.set)
    working = asyncio.ensure_future(work)
    stop = asyncio.create_task(stopping.wait())
    with signals_come():
        await asyncio.wait({working, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not working.done():
        working.cancel()
        await asyncio.wait({working})
    return None if stopping.is_set() else working.result()


def _print_plan(plan: ReplayPlan) -> None:
    print(
        f"{len(plan.groups)} groups, {len(plan.students):,} students, {len(plan.lines):,} messages,"
        f" {plan.deliveries:,} deliveries, over {plan.lasts_s:.0f} s",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
