"""Laws of tokens that expire: each client is told of once, in time, and nobody is kept who has gone."""

import asyncio
import time
from math import ceil
from unittest.mock import patch

from hypothesis import example, given
from hypothesis import strategies as st

from edge_server.clients import Client
from edge_server.token_expiry import TokenExpiry
from runtime.tokens import Identity
from tests.simulation.simulated_loop import SimulatedLoop
from tests.unit.edge_server.transports import EngineSocket
from tests.waiting import in_background

A_DAY_S = 86_400
A_VISIT = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 30))
"""When somebody comes (s), for how long their token is good, and for how long they would stay."""


class Edge:
    """Clients who come and go on a loop without real time, and what is told of them: who, and when."""

    def __init__(self, *, clock_jumps_s: float = 0.0) -> None:
        self.loop = SimulatedLoop()
        self.told: list[tuple[str, float]] = []
        self.expiry = TokenExpiry(lambda client: self.told.append((client.sid, self.loop.time())))
        self._clock_jumps_s = clock_jumps_s

    def wall(self) -> float:
        """Return what the wall clock shows, which is set once, after 10 s."""
        return 1e9 + self.loop.time() + (self._clock_jumps_s if self.loop.time() > 10 else 0.0)

    def visited(self, name: str, comes: float, token_s: float, stays_s: float) -> None:
        def come() -> None:
            identity = Identity("up202000001", self.wall() + token_s)
            client = Client(name, identity, EngineSocket(), max_bytes=1, max_packets=1)
            self.expiry.watch(client)
            self.loop.call_later(stays_s, setattr, client, "gone", True)

        self.loop.call_at(comes, come)

    def run(self, seconds: int) -> None:
        async def live() -> None:
            async with in_background(self.expiry.run()):
                await asyncio.sleep(seconds + 0.1)

        with patch.object(time, "time", self.wall):
            self.loop.run_until_complete(live())
        self.loop.close()


MOST_LEAVE_EARLY = [(0, 5, 2), (0, 6, 2), (0, 20, 30), (0, 8, 30), (0, 9, 2)]
"""Of those who stay, the one whose token is good for longer came first."""


@given(st.lists(A_VISIT, max_size=30), st.sampled_from([0, A_DAY_S, -A_DAY_S]))
@example(MOST_LEAVE_EARLY, 0)
def test_each_is_told_of_once_within_a_second_after_its_token_whatever_the_wall_clock_does(
    visits: list[tuple[int, int, int]], clock_jumps_s: int
) -> None:
    edge, expected = Edge(clock_jumps_s=clock_jumps_s), []
    for n, (second, token_s, stays_s) in enumerate(visits):
        comes = second + 0.2
        edge.visited(str(n), comes, token_s + 0.2, stays_s + 0.6)
        is_looked_at = ceil(comes + token_s + 0.2)
        if is_looked_at < comes + stays_s + 0.6:
            expected.append((str(n), is_looked_at))
    edge.run(60)
    assert sorted(edge.told) == sorted(expected)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=30), st.integers(1, 40))
def test_who_has_gone_is_not_kept_until_its_token_expires(
    visits: list[tuple[int, int]], seconds: int
) -> None:
    edge = Edge()
    for n, (second, stays_s) in enumerate(visits):
        edge.visited(str(n), second + 0.2, A_DAY_S, stays_s + 0.6)
    edge.run(seconds)
    here = sum(second < seconds <= second + stays_s for second, stays_s in visits)
    assert here <= len(edge.expiry._heap) <= 2 * here


def test_others_have_a_turn_between_any_two_whose_tokens_expire_together() -> None:
    """As at midnight: 10 000 in one turn kept everybody else waiting for most of a second."""
    edge, turns = Edge(), list[str]()

    def expire(client: Client) -> None:
        turns.append(client.sid)
        edge.loop.call_soon(turns.append, "others")

    edge.expiry = TokenExpiry(expire)
    for name in "abc":
        edge.visited(name, 0.2, 5.2, 30.0)
    edge.run(8)
    assert turns == ["a", "others", "b", "others", "c", "others"]
