"""Arrivals: only so many handshakes at once and in a second, and none for ever."""

from typing import Any

import pytest

from edge_server.arrivals import PACKETS_BEFORE_LOGIN, Arrivals
from edge_server.settings import EdgeSettings
from schemas.refusals import OVERLOADED, Refused
from tests.unit.refusing import refuses


def arrivals(**changes: Any) -> Arrivals:
    return Arrivals(EdgeSettings(**{"connects_burst": 1_000, **changes}))


def test_only_so_many_handshakes_are_under_way_at_once() -> None:
    here = arrivals(max_handshakes=3)
    for n in range(3):
        here.require_capacity(0.0)
        here.begin(f"s{n}", 0.0)
    with refuses(OVERLOADED):
        here.require_capacity(0.0)
    here.end("s1")
    here.require_capacity(0.0)


def test_only_so_many_begin_in_a_second() -> None:
    here = arrivals(connects_per_s=10, connects_burst=5)
    for n in range(5):
        here.require_capacity(0.0)
        here.begin(f"s{n}", 0.0)
    with pytest.raises(Refused):
        here.require_capacity(0.0)
    here.require_capacity(0.3)


def test_who_has_not_logged_in_sends_few_packets_and_who_has_as_many_as_they_like() -> None:
    here = arrivals()
    for sid in ("stranger", "student"):
        here.begin(sid, 0.0)
    here.end("student")
    admitted = [here.admits_packet("stranger") for _ in range(PACKETS_BEFORE_LOGIN + 1)]
    assert admitted == [True] * PACKETS_BEFORE_LOGIN + [False]
    assert all(here.admits_packet("student") for _ in range(PACKETS_BEFORE_LOGIN + 1))
    here.begin_again("student", 1.0)
    assert all(here.admits_packet("student") for _ in range(PACKETS_BEFORE_LOGIN + 1))


def test_handshakes_that_take_too_long_are_told_oldest_first() -> None:
    here = arrivals(handshake_within_s=10)
    here.begin("old", 0.0)
    here.begin("done", 1.0)
    here.begin("older than allowed", 2.0)
    here.begin("new", 9.0)
    here.end("done")
    assert here.overdue(9.9) == []
    assert here.overdue(12.0) == ["old", "older than allowed"]
    assert len(here._since) == 3


def test_the_end_of_an_unknown_connection_changes_nothing() -> None:
    here = arrivals()
    here.end("nobody")
    assert len(here._since) == 0


def test_who_is_left_by_their_client_has_the_time_of_a_newcomer() -> None:
    here = arrivals(handshake_within_s=10, connects_burst=1, connects_per_s=0.001)
    here.begin("joined", 0.0)
    here.end("joined")
    assert "joined" not in here
    here.begin_again("joined", 50.0)
    assert "joined" in here
    assert (here.overdue(59.9), here.overdue(60.0)) == ([], ["joined"])
