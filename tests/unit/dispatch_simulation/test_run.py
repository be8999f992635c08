"""What simulation shows must hold among few edges too, and the same seed shows the same."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.lines import Line2D

from tests.dispatch_simulation.curve import SIZES, Point, exponent, measured
from tests.dispatch_simulation.picture import picture
from tests.dispatch_simulation.run import Run, Step
from tests.dispatch_simulation.scenarios import SCENARIOS

EDGES = 40


def steps_of(name: str, seed: int = 1) -> list[Step]:
    run = Run(SCENARIOS[name], EDGES, EDGES * 10_000, seed)
    run.warm_up()
    return list(run.steps())


@pytest.fixture(scope="module")
def steps() -> dict[str, list[Step]]:
    return {name: steps_of(name) for name in SCENARIOS}


def test_no_edge_is_fuller_than_it_can_be(steps: dict[str, list[Step]]) -> None:
    """But while a crowd comes faster than clients may be told to move."""
    for name in ("day", "rolling-deploy", "rack-loss"):
        assert max(step.fullest for step in steps[name]) < 1
    assert max(step.fullest for step in steps["flash-crowd"][-100:]) < 1


def test_the_table_stays_small(steps: dict[str, list[Step]]) -> None:
    assert all(step.shards <= 3 * EDGES for row in steps.values() for step in row)
    assert steps["day"][-1].shards <= 1.2 * EDGES


def test_moves_end_when_nothing_happens_any_more(steps: dict[str, list[Step]]) -> None:
    for row in steps.values():
        assert not any(step.moves for step in row[-3:])


def test_a_rack_that_dies_and_returns_moves_little_more_than_its_own(steps: dict[str, list[Step]]) -> None:
    moved = sum(step.moved for step in steps["rack-loss"])
    assert moved <= 3 / 25


def test_the_same_seed_gives_the_same_figures(steps: dict[str, list[Step]]) -> None:
    again = steps_of("rack-loss")
    assert [replace(step, decision_ms=0) for step in again] == [
        replace(step, decision_ms=0) for step in steps["rack-loss"]
    ]


def drawn_by(line: Line2D) -> list[float]:
    return [float(y) for _, y in np.asarray(line.get_xydata())]


def test_the_picture_shows_each_scenario(steps: dict[str, list[Step]]) -> None:
    curve = [Point(size, {"all is well": size / 100}) for size in SIZES]
    charts = picture({SCENARIOS[name].title: row for name, row in steps.items()}, curve).axes
    assert len(charts) == 3 * len(SCENARIOS) + 1
    for (name, row), fullness, moved in zip(steps.items(), charts[::3], charts[2::3], strict=False):
        assert fullness.get_title().startswith(SCENARIOS[name].title)
        assert drawn_by(fullness.lines[0]) == [step.fullest for step in row]
        assert drawn_by(moved.lines[0])[-1] == pytest.approx(sum(step.moved for step in row))


def test_the_exponent_is_found_of_what_grows_by_it() -> None:
    for power in (0.5, 1, 2):
        points = [Point(size, {"it": 3 * size**power}) for size in SIZES]
        assert exponent(points, "it") == pytest.approx(power)


def test_a_decision_grows_much_slower_than_the_square_of_edges() -> None:
    """Eight times as many edges: n log n would be 10 to 12 times as long, the square 64 times."""
    few, many = measured(100, seed=1), measured(800, seed=1)
    for what, ms in many.ms.items():
        assert ms < 32 * few.ms[what], what
