"""The choice of a way: the first that is open, in the order that the README names."""

import itertools

import pytest

from deploy.local.ways import NoWayError, Obstacles, Way, allowed_ways, choose_way


def obstacles(open_ways: set[Way]) -> Obstacles:
    def obstacle(way: Way) -> str | None:
        return None if way in open_ways else f"{way.value} is closed"

    return {way: lambda way=way: obstacle(way) for way in Way}  # type: ignore[misc]


def test_the_first_way_that_is_open_and_allowed_is_chosen() -> None:
    assert list(Way) == [Way.GIVEN, Way.DOCKER, Way.NATIVE, Way.PIP]
    every_set = [set(some) for n in range(5) for some in itertools.combinations(Way, n)]
    for open_ways, allowed in itertools.product(every_set, every_set):
        if open_ways & allowed:
            first = next(way for way in Way if way in open_ways & allowed)
            assert choose_way(obstacles(open_ways), allowed) is first
        else:
            with pytest.raises(NoWayError):
                choose_way(obstacles(open_ways), allowed)


def test_a_later_way_is_not_even_asked_for() -> None:
    asked: list[Way] = []

    def open_way(way: Way) -> None:
        asked.append(way)

    choose_way({way: lambda way=way: open_way(way) for way in Way}, tuple(Way))  # type: ignore[misc]
    assert asked == [Way.GIVEN]


def test_the_error_says_why_each_way_is_closed() -> None:
    with pytest.raises(NoWayError, match="docker: docker is closed; native: native is closed"):
        choose_way(obstacles(set()), (Way.DOCKER, Way.NATIVE))


def test_the_variable_backing_names_the_only_way() -> None:
    assert allowed_ways({}) == tuple(Way)
    assert allowed_ways({"BACKING": ""}) == tuple(Way)
    assert allowed_ways({"BACKING": "pip"}) == (Way.PIP,)
    with pytest.raises(NoWayError, match="BACKING=java is none of given, docker, native, pip"):
        allowed_ways({"BACKING": "java"})
