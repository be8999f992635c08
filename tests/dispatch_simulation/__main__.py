"""``python -m tests.dispatch_simulation``: run scenarios, print what they cost, write the picture."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.dispatch_simulation.curve import SIZES, Point, exponent, measured
from tests.dispatch_simulation.picture import picture
from tests.dispatch_simulation.run import Run, Step
from tests.dispatch_simulation.scenarios import SCENARIOS, Scenario

BAR: Final = 30


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.dispatch_simulation", description=__doc__)
    parser.add_argument("--edges", type=int, default=10_000, help="how many edges (default: %(default)s)")
    parser.add_argument(
        "--users", type=int, help="how many people are online at most (default: 10 000 an edge)"
    )
    parser.add_argument(
        "--scenario", action="append", choices=[*SCENARIOS, "curve"], help="only this; may be given again"
    )
    parser.add_argument("--seed", type=int, default=1, help="of all that is random (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="write the picture to this file: .svg, .png")
    arguments = parser.parse_args()
    if arguments.edges < 2:
        parser.error("--edges: two or more")
    if arguments.users is not None and arguments.users < 1:
        parser.error("--users: one or more")
    return arguments


def main() -> None:
    """Run what was asked for."""
    asked = _arguments()
    names = asked.scenario or [*SCENARIOS, "curve"]
    users = asked.users or asked.edges * 10_000
    print(f"{asked.edges:,} edges, {users:,} people, seed {asked.seed}; times are CPU times", flush=True)
    runs = {}
    for name in SCENARIOS:
        if name in names:
            scenario = SCENARIOS[name]
            steps = list(_watched(Run(scenario, asked.edges, users, asked.seed), scenario))
            runs[scenario.title] = steps
            print(f"{scenario.title}\n{_summary(steps)}", flush=True)
    curve = list(_curve(asked.seed)) if "curve" in names else []
    if curve:
        print(f"Time by the number of edges\n{_table(curve)}")
    if asked.out is not None:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        picture(runs, curve).savefig(asked.out)
        print(f"the picture is in {asked.out}")


def _watched(run: Run, scenario: Scenario) -> Iterator[Step]:
    """Yield the steps of a run, and show on a terminal how far it is."""
    _progress(scenario.title, 0.0)
    run.warm_up()
    for step in run.steps():
        _progress(scenario.title, min(1.0, step.at_s / scenario.lasts_s))
        yield step
    _progress("", None)


def _curve(seed: int) -> Iterator[Point]:
    for n, size in enumerate(SIZES):
        _progress(f"{size:,} edges", n / len(SIZES))
        yield measured(size, seed)
    _progress("", None)


def _progress(what: str, part: float | None) -> None:
    """Draw the bar anew; None clears it."""
    if not sys.stderr.isatty():
        return
    bar = "" if part is None else f"{what:<26} [{'#' * round(BAR * part):<{BAR}}] {part:4.0%}"
    print(f"\r{bar:<{BAR + 40}}", end="" if bar else "\r", file=sys.stderr, flush=True)


def _summary(steps: Sequence[Step]) -> str:
    """Say in a few lines what a scenario came to."""
    decisions = sorted(step.decision_ms for step in steps)
    moves = [step.moves for step in steps if step.moves]
    last = steps[-1]
    return "\n".join(
        f"  {what:<28} {value}"
        for what, value in {
            "fullness, mean (most)": f"{max(step.mean for step in steps):.2f}",
            "fullness, p99 (most)": f"{max(step.p99 for step in steps):.2f}",
            "fullness, fullest (most)": f"{max(step.fullest for step in steps):.2f}",
            "fullest / mean (most)": f"{max(step.fullest / step.mean for step in steps):.2f}",
            "edges changed": f"{sum(step.changed for step in steps):,}",
            "moves": f"{sum(moves):,}, at most {max(moves, default=0):,} in a decision",
            "clients moved, of all": f"{sum(step.moved for step in steps):.1%}",
            "shards (most, at the end)": f"{max(step.shards for step in steps):,}, {last.shards:,}",
            "edges wanted (most, at the end)": f"{max(step.wanted for step in steps):,}, {last.wanted:,}",
            "a decision, p50 / p99 / max": f"{decisions[len(decisions) // 2]:.1f} / "
            f"{decisions[len(decisions) * 99 // 100]:.1f} / {decisions[-1]:.1f} ms",
        }.items()
    )


def _table(curve: Sequence[Point]) -> str:
    """Return the curve as a table, and how each row grows."""
    head = f"  {'a decision, ms (median)':<28}" + "".join(f"{point.edges:>9,}" for point in curve)
    rows = (
        f"  {what:<28}"
        + "".join(f"{point.ms[what]:>9.2f}" for point in curve)
        + f"   n^{exponent(curve, what):.2f}"
        for what in curve[0].ms
    )
    return "\n".join((head, *rows))


if __name__ == "__main__":
    main()
