"""Runs seeds until the time or the seeds are over, and says which of them break a promise, and how."""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from runtime.service import collect_less
from tests.simulation.bugs import BUGS, seeds_to_find
from tests.simulation.verdict import judge, violations
from tests.simulation.world import run_seed

MAX_SHOWN = 10
SEEDS_AT_ONCE = 250
MOST_SEEDS = 1_000


def main() -> None:
    """Exit 1 where a seed breaks a promise."""
    arguments = _arguments()
    if arguments.bugs:
        sys.exit(_find_bugs())
    if arguments.seed is not None:
        sys.exit(_run_one(arguments.seed))
    started, done, broken = time.monotonic(), 0, 0
    for first, found in _judged(arguments):
        for seed, faults in enumerate(found, first):
            if faults:
                broken += 1
                print(f"SEED={seed} {'; '.join(faults[:MAX_SHOWN])}", flush=True)
        done += len(found)
        print(f"{done} seeds, {broken} of them break a promise", flush=True)
    per_minute = done / max(time.monotonic() - started, 1e-9) * 60
    print(
        f"{done} seeds from {arguments.first} on, {broken} break a promise, {per_minute:.0f} seeds a minute"
    )
    sys.exit(1 if broken else 0)


def _judged(arguments: argparse.Namespace) -> Iterator[tuple[int, list[list[str]]]]:
    """Yield a first seed, and what is wrong with it and with each that follows. All cores take part."""
    until = time.monotonic() + 60 * arguments.minutes
    end = sys.maxsize if arguments.minutes else arguments.first + arguments.seeds
    with ProcessPoolExecutor(os.cpu_count(), initializer=collect_less) as pool:
        for first in range(arguments.first, end, SEEDS_AT_ONCE):
            seeds = range(first, min(first + SEEDS_AT_ONCE, end))
            yield first, list(pool.map(judge, seeds, chunksize=5))
            if arguments.minutes and time.monotonic() >= until:
                break


def _run_one(seed: int) -> int:
    world = run_seed(seed, on_trace=print)
    found = violations(world)
    print("\n".join(found) if found else "every promise was kept")
    return 1 if found else 0


def _find_bugs() -> int:
    """Print what each planted bug takes to be found."""
    needed = {bug: seeds_to_find(bug, at_most=MOST_SEEDS) for bug in BUGS}
    for bug, seeds in needed.items():
        print(f"{bug}: {f'not found within {MOST_SEEDS} seeds' if seeds is None else f'{seeds} seeds'}")
    return 1 if None in needed.values() else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2_000, help="how many seeds to run")
    parser.add_argument("--minutes", type=float, default=0.0, help="run for so long instead")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--bugs", action="store_true", help="say how many seeds find each planted bug")
    parser.add_argument("--seed", type=int, help="run only this seed, and say what happens in it")
    return parser.parse_args()


main()
