"""The promises hold in every simulated run, a run is its seed's alone, and each planted bug is found."""

import hashlib
import os
import subprocess
import sys
from collections import Counter

import pytest

from deploy.repository import REPOSITORY
from tests.simulation.bugs import BUGS, seeds_to_find
from tests.simulation.verdict import violations
from tests.simulation.world import World, run_seed

SEEDS = int(os.environ.get("SEEDS", "80"))
STORM = 60
WITHIN_SEEDS = 1_000


def trace_of(seed: int) -> str:
    """Return what happens in a run, in every detail that is traced."""
    lines: list[str] = []
    world = run_seed(seed, on_trace=lines.append)
    lines += [repr(client.sights) for client in world.clients]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@pytest.fixture(scope="module")
def storm() -> tuple[list[World], str]:
    """The first runs, and what is traced of them."""
    lines: list[str] = []
    worlds = [run_seed(seed, on_trace=lines.append) for seed in range(STORM)]
    return worlds, "\n".join(lines)


@pytest.mark.timeout(3_600)
def test_every_promise_is_kept_whatever_fails_when(storm: tuple[list[World], str]) -> None:
    worlds, _ = storm
    for seed in range(SEEDS):
        found = violations(worlds[seed] if seed < STORM else run_seed(seed))
        assert not found, f"SEED={seed}: {found[:5]}; python -m tests.simulation --seed {seed}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str) -> None:
    assert seeds_to_find(bug, at_most=WITHIN_SEEDS)


def test_a_seed_replays_exactly_in_another_process() -> None:
    code = "from tests.simulation.test_simulation import trace_of; print(trace_of(7))"
    traces = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert traces == {trace_of(7) + "\n"}


def test_a_storm_does_hurt(storm: tuple[list[World], str]) -> None:
    """What never happens in the runs is not tested by them."""
    worlds, text = storm
    for what in (
        "edge-0 dies",
        "edge-0 stops",
        "persister-0 dies",
        "published table 3.",
        "dispatcher-0 freezes",
        "asked to drain",
        "is not in",
        "leader of",
        "the producer of edge-0 fails",
    ):
        assert what in text
    clients = [client for world in worlds for client in world.clients]
    assert sum(len(client.acks) for client in clients) > 20 * len(worlds)
    assert sum(client.holes_read for client in clients) > 10
    refusals = sum((client.refusals for client in clients), Counter[str]())
    assert refusals["overloaded"] > 10
    assert refusals["unavailable"] > 10


def test_seeds_are_judged_in_processes_that_are_not_forked() -> None:
    """As from Python 3.14 on, and on macOS."""
    code = """
import multiprocessing, runpy, sys
multiprocessing.set_start_method("spawn")
sys.argv[1:] = ["--seeds", "1"]
runpy.run_module("tests.simulation", run_name="__main__", alter_sys=True)
"""
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)
