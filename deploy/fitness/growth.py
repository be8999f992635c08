"""``python -m deploy.fitness.growth``: what a delivery costs as groups and edges grow."""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import uvloop

from deploy.fitness.local_target import local_target
from deploy.local.run_folder import run_folder
from deploy.local.signals import interrupt_on_signals
from loadtest.crew import RunFailedError
from loadtest.keeping import keep, open_folder
from loadtest.results import formatted
from loadtest.run import Target, run_scenario
from loadtest.scenario import Phase, Scenario

DELIVERIES_PER_S: Final = 15_000
STUDENTS: Final = 1_000
CONNECTS_PER_S: Final = 200
MEASURED_S: Final = 8.0
WARM_UP_S: Final = 3.0
GROUP_SIZES: Final = (10, 100, 1_000, 10_000)
EDGES: Final = (1, 4)
"""Measured besides 2 edges, on which `GROUP_SIZES` are measured."""

FOLDER: Final = Path("reports")
HEAD: Final = (
    "| edges | members a group | messages/s | deliveries/s | edges, a delivery | broker, a delivery"
    " | p50 / p99 |\n|---|---|---|---|---|---|---|"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print each row when it is there, write them all. Returns the exit status."""
    argparse.ArgumentParser(prog="python -m deploy.fitness.growth", description=__doc__).parse_args(argv)
    interrupt_on_signals()
    rows: list[dict[str, Any]] = []
    try:
        open_folder(FOLDER)
        print(HEAD, flush=True)
        for edges, sizes in ((2, GROUP_SIZES), *((edges, (100,)) for edges in EDGES)):
            for row in _on_edges(edges, sizes):
                rows.append(row)
                print(_shown(row), flush=True)
        print(keep(FOLDER / f"growth-{time.strftime('%Y%m%d-%H%M%S')}.json", json.dumps(rows, indent=1)))
    except (RunFailedError, OSError, RuntimeError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("FAILED: interrupted", file=sys.stderr)
        return 130
    return int(any(row["faults"] for row in rows))


def scenario(members: int) -> Scenario:
    """Return a load of as many deliveries a second as any other, by groups of ``members``."""
    students = max(STUDENTS, members)
    comes_s = students / CONNECTS_PER_S
    each_s = students * members / DELIVERIES_PER_S
    return Scenario(
        name=f"groups of {members}",
        about="How the cost of a delivery grows.",
        students=students,
        group_size=members,
        check_history=2,
        phases=(
            Phase(name="come online", seconds=comes_s, measured=False),
            Phase(name="warm up", seconds=WARM_UP_S, each_s=each_s, measured=False),
            Phase(name="talk", seconds=MEASURED_S, each_s=each_s),
        ),
    )


def _on_edges(edges: int, sizes: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    with (
        run_folder("uni4all-chat-growth-") as folder,
        local_target(folder, edges=edges) as target,
    ):
        for members in sizes:
            yield _row(edges, members, target)


def _row(edges: int, members: int, target: Target) -> dict[str, Any]:
    wanted = scenario(members)
    result = uvloop.run(run_scenario(wanted, target, processes=1, on_second=lambda _: None))
    cpu, per_s = result.server_cpu, result.deliveries_per_s
    edge_cores = sum(used for name, used in cpu.items() if name.startswith("edge"))
    return {
        "edges": edges,
        "members": members,
        "messages_per_s": result.messages_per_s,
        "deliveries_per_s": result.deliveries_per_s,
        "edge_us": edge_cores / per_s * 1e6 if per_s else None,
        "broker_us": cpu.get("kafka", 0.0) / per_s * 1e6 if per_s else None,
        "p50_ms": result.deliver.p50,
        "p99_ms": result.deliver.p99,
        "generator_us": result.generator_us_per_delivery,
        "faults": 0 if result.ok else 1,
    }


def _shown(row: dict[str, Any]) -> str:
    return (
        f"| {row['edges']} | {row['members']:,} | {formatted(row['messages_per_s'], '')}"
        f" | {formatted(row['deliveries_per_s'], '')} | {formatted(row['edge_us'], 'µs')}"
        f" | {formatted(row['broker_us'], 'µs')}"
        f" | {row['p50_ms']:.0f} / {row['p99_ms']:.0f} ms |"
    )


if __name__ == "__main__":
    sys.exit(main())
