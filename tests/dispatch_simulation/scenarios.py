"""What happens to edges and people, step by step."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from schemas.up_number import CIRCLE
from tests.dispatch_simulation.fleet import Fleet, State

Happening = Iterator[None]
"""Lets a step of the clock pass at each of its own; it ends with the scenario."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """``begins_with`` is the part of all people that is online, and settled, before the first step.

    ``lasts_s`` is about how long it takes by its own clock.
    """

    title: str
    happens: Callable[[Fleet, Random], Happening]
    lasts_s: float
    begins_with: float = 1.0
    step_s: float = 1.0


def _wait(fleet: Fleet, seconds: float) -> Happening:
    for _ in range(round(seconds / fleet.step_s)):
        yield


def _ramp(fleet: Fleet, seconds: float, online: float) -> Happening:
    before, steps = fleet.online, round(seconds / fleet.step_s)
    for n in range(steps):
        fleet.online = before + (online - before) * (n + 1) / steps
        yield


def a_day(fleet: Fleet, _: Random) -> Happening:
    """All log on within an hour, and eight in ten leave again within the next."""
    yield from _ramp(fleet, 3600, 1.0)
    yield from _wait(fleet, 600)
    yield from _ramp(fleet, 3600, 0.2)
    yield from _wait(fleet, 600)


def flash_crowd(fleet: Fleet, chance: Random) -> Happening:
    """One in twenty more log on within two minutes, with the same two last digits; they leave all at once."""
    calm = fleet.population
    start = chance.randrange(100) * CIRCLE // 100
    yield from _wait(fleet, 20)
    for n in range(24):
        fleet.population = calm.with_crowd(start, start + CIRCLE // 100, 0.05 * (n + 1) / 24)
        yield from _wait(fleet, 5)
    yield from _wait(fleet, 300)
    fleet.population = calm
    yield from _wait(fleet, 120)


BATCHES: Final = 20
BETWEEN_BATCHES_S: Final = 60


def rolling_deploy(fleet: Fleet, chance: Random) -> Happening:
    """Every edge drains, stops and starts again, one in twenty at a time, with a minute in between."""
    edges = sorted(fleet.states)
    chance.shuffle(edges)
    for n in range(BATCHES):
        batch = edges[n::BATCHES]
        yield from _become(fleet, batch, "draining")
        while not all(fleet.is_empty(edge) for edge in batch):
            yield
        yield from _become(fleet, batch, "stopped")
        yield from _become(fleet, batch, "serving")
        yield from _wait(fleet, BETWEEN_BATCHES_S)


def rack_loss(fleet: Fleet, chance: Random) -> Happening:
    """One edge in 25 dies in the same moment, and is back two minutes later."""
    edges = sorted(fleet.states)
    rack = chance.sample(edges, max(1, len(edges) // 25))
    yield from _wait(fleet, 10)
    yield from _become(fleet, rack, "dead")
    yield from _wait(fleet, 120)
    yield from _become(fleet, rack, "serving")
    yield from _wait(fleet, 120)


def _become(fleet: Fleet, edges: Iterable[str], state: State) -> Happening:
    for edge in edges:
        fleet.become(edge, state)
    yield


SCENARIOS: Final = {
    "day": Scenario("A day of skewed digits", a_day, 8400, begins_with=0.02, step_s=20),
    "flash-crowd": Scenario("A flash crowd", flash_crowd, 560, step_s=5),
    "rolling-deploy": Scenario("A rolling deploy", rolling_deploy, 2000, step_s=10),
    "rack-loss": Scenario("The loss of a rack", rack_loss, 254, step_s=2),
}
