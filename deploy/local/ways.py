"""Chooses how to get a backing service: the first of four ways that works here. Pure."""

from collections.abc import Callable, Collection, Mapping
from enum import Enum


class Way(Enum):
    """Ways to get a backing service, in order of preference."""

    GIVEN = "given"
    DOCKER = "docker"
    NATIVE = "native"
    PIP = "pip"


# Returns why a way does not work here; None if it does. Called only when needed: checking Docker or
# Java starts a process.
Obstacle = Callable[[], str | None]
Obstacles = Mapping[Way, Obstacle]


class NoWayError(RuntimeError):
    """No way that may be used is open; the text says why."""


def choose_way(obstacles: Obstacles, allowed: Collection[Way]) -> Way:
    """Return the first allowed way without an obstacle. Raises NoWayError when there is none."""
    closed: list[str] = []
    for way in Way:
        if way not in allowed:
            continue
        obstacle = obstacles[way]()
        if obstacle is None:
            return way
        closed.append(f"{way.value}: {obstacle}")
    raise NoWayError("no way to start it here: " + "; ".join(closed))


def allowed_ways(environ: Mapping[str, str]) -> tuple[Way, ...]:
    """All ways, or the single one that the variable BACKING names. Raises NoWayError where it names none."""
    forced = environ.get("BACKING", "")
    if not forced:
        return tuple(Way)
    if forced not in {way.value for way in Way}:
        known = ", ".join(way.value for way in Way)
        raise NoWayError(f"BACKING={forced} is none of {known}")
    return (Way(forced),)
