"""``python -m tests.bench``: run the benchmarks, print the table, write the report."""

import argparse
import json
import logging
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import uvloop

from deploy.local.backing import RunningBacking
from loadtest.open_files import allow_open_files
from runtime.kafka_topics import ensure_topics
from runtime.settings import KafkaSettings
from schemas import topics
from tests.bench import (
    connecting,
    fan_out,
    history_pages,
    latency,
    loaded,
    location,
    message_in,
    peer,
    skimming,
    store_rate,
)
from tests.bench.processes import Rig, Size
from tests.bench.table import Row, as_json, as_text
from tests.integration.backing import running_backing

OPEN_FILES: Final = 20_000

Benchmark = Callable[[Rig, Size], Awaitable[list[Row]]]

BENCHMARKS: Final[dict[str, Benchmark]] = {
    "fan-out": fan_out.run,
    "message-in": message_in.run,
    "skimming": skimming.run,
    "latency": latency.run,
    "loaded": loaded.run,
    "store-rate": store_rate.run,
    "history": history_pages.run,
    "location": location.run,
    "connect": connecting.run,
    "peer": peer.run,
}
ONLY_IF_ASKED_FOR: Final = ("peer",)
REPORTS: Final = Path("reports")


def parse() -> argparse.Namespace:
    """Return the arguments."""
    about = "\n".join(f"  {name:<12}{_first_line(run)}" for name, run in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"Side-by-side benchmarks, on this machine alone.\n\n{about}",
        epilog="They write into the broker and the store: never point them at a production system.",
    )
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="only this one; may be repeated")
    parser.add_argument("--quick", action="store_true", help="few and small rounds, to see that all work")
    parser.add_argument("--rounds", type=int, help="rounds that count, of each side (4; quick: 1)")
    return parser.parse_args()


def main() -> None:
    """Run what was asked for."""
    args = parse()
    size = Size(rounds=args.rounds or (1 if args.quick else 4), scale=0.1 if args.quick else 1.0)
    allow_open_files(OPEN_FILES)
    # What the client library retries by itself it logs as an error; what fails for good raises.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="chat-bench-") as folder,
        running_backing(Path(folder) / "backing") as backing,
    ):
        machine = describe_machine(backing)
        print(machine, flush=True)
        names = args.only or [name for name in BENCHMARKS if name not in ONLY_IF_ASKED_FOR]
        rows = uvloop.run(run_all(names, size, Path(folder), backing))
    print(f"\n{as_text(rows)}\n")
    report = as_json(rows, machine, time.monotonic() - started)
    print(f"{report['seconds']} s; all samples: {write_report(report)}")


async def run_all(names: Sequence[str], size: Size, folder: Path, backing: RunningBacking) -> list[Row]:
    """Run benchmarks one after the other; each has its servers to itself."""
    rows: list[Row] = []
    await ensure_topics(KafkaSettings(), topics.ALL)
    for name in names:
        started = time.monotonic()
        print(f"{name}: ", end="", flush=True)
        async with AsyncExitStack() as stack:
            rows += await BENCHMARKS[name](Rig(stack, folder, backing), size)
        print(f"{time.monotonic() - started:.0f} s", flush=True)
    return rows


def describe_machine(backing: RunningBacking) -> str:
    """Return in one line what the figures were measured on."""
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{os.cpu_count()} cores ({platform.machine()}, {platform.system()} {platform.release()}), "
        f"Python {platform.python_version()}, uvloop {version('uvloop')}, load before {load}; "
        f"{backing.description}"
    )


def write_report(report: dict[str, object]) -> Path:
    """Write the report beside earlier ones, and return where."""
    REPORTS.mkdir(exist_ok=True)
    path = REPORTS / f"bench-{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False))
    return path


def _first_line(run: Benchmark) -> str:
    return (sys.modules[run.__module__].__doc__ or "").partition("\n")[0]


if __name__ == "__main__":
    # Both ways of being ended stop the servers and leave no files behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
