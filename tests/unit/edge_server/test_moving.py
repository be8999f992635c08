"""Who is told to move, and when, by the tables that an edge has seen and the clients that come to it."""

import asyncio
from typing import cast

import pytest
from prometheus_client import REGISTRY

from edge_server.clients import Client
from edge_server.drain import NOTIFY_SHARE
from edge_server.moving import STRAY_AFTER_S
from edge_server.settings import EdgeSettings
from runtime import metrics
from tests.counting import counting
from tests.unit.edge_server.edge_a import EdgeA, Stranger


@pytest.mark.parametrize("draining", [(), ("a",)])
async def test_a_newcomer_is_given_the_time_in_which_a_newer_table_may_come(
    draining: tuple[str, ...],
) -> None:
    """Whoever sent it here may know more than this edge: told at once, it would come back again."""
    edge, newcomer = EdgeA(draining), Stranger()
    now = asyncio.get_running_loop().time()
    edge.step(now - 1.0)
    edge.add(newcomer)
    edge.moving.check(cast(Client, newcomer))
    edge.step(now)
    assert newcomer.told == []
    edge.step(asyncio.get_running_loop().time() + STRAY_AFTER_S)
    assert len(newcomer.told) == 1


async def test_a_newcomer_of_a_stopping_edge_is_told_at_once() -> None:
    edge, newcomer = EdgeA(), Stranger()
    edge.drain.begin(30.0)
    edge.step(asyncio.get_running_loop().time() - 1.0)
    edge.add(newcomer)
    edge.moving.check(cast(Client, newcomer))
    edge.step(asyncio.get_running_loop().time())
    assert len(newcomer.told) == 1


async def test_a_stopping_edge_has_told_everybody_while_there_is_time_for_the_slow() -> None:
    edge, deadline_s, strangers = EdgeA(), 30.0, [Stranger(sid=str(n)) for n in range(9_000)]
    for stranger in strangers:
        edge.add(stranger)
    edge.drain.begin(deadline_s)
    began = asyncio.get_running_loop().time()
    for tenths in range(round(10 * NOTIFY_SHARE * deadline_s) + 5):
        edge.step(began + tenths / 10)
        if tenths == 20:
            told = [n for n, stranger in enumerate(strangers) if stranger.told]
            assert told != list(range(len(told))), "in the order of their connecting, group by group"
    assert all(stranger.told for stranger in strangers)


async def test_who_came_while_a_table_gave_this_edge_more_leaves_when_the_next_one_takes_it_back() -> None:
    """Two tables between two looks: what is held is as it was, who came by the first one is not."""
    edge, newcomer = EdgeA(), Stranger()
    now = asyncio.get_running_loop().time()
    edge.step(now)
    edge.take_table("a", "a")
    edge.add(newcomer)
    edge.moving.check(cast(Client, newcomer))
    edge.take_table("a", "b")
    edge.step(now + 1.0)
    assert len(newcomer.told) == 1


async def test_who_was_told_and_stays_is_closed() -> None:
    edge, newcomer = EdgeA(), Stranger()
    told_count, moved, forced = map(
        counting, (metrics.MOVES_TOLD, metrics.MOVED_CLIENTS, metrics.MOVES_FORCED)
    )
    now = asyncio.get_running_loop().time()
    edge.step(now)
    edge.moving.check(cast(Client, newcomer))
    told_at = now + STRAY_AFTER_S + 1.0
    edge.step(told_at)
    (told,) = newcomer.told
    assert b'"reason":"balance"' in told
    edge.step(told_at + EdgeSettings().move_within_s - 0.1)
    assert edge.closed == []
    edge.step(told_at + EdgeSettings().move_within_s)
    assert edge.closed == [(cast(Client, newcomer), "moved")]
    assert (told_count(), moved(), forced()) == (1, 0, 1)


async def test_who_was_told_and_leaves_has_moved() -> None:
    edge, newcomer = EdgeA(), Stranger()
    moved = counting(metrics.MOVED_CLIENTS)
    now = asyncio.get_running_loop().time()
    edge.step(now)
    edge.moving.check(cast(Client, newcomer))
    assert REGISTRY.get_sample_value("chat_edge_moves_waiting") == 1
    edge.step(now + STRAY_AFTER_S + 1.0)
    assert REGISTRY.get_sample_value("chat_edge_moves_waiting") == 0
    newcomer.gone = True
    edge.step(now + STRAY_AFTER_S + 2.0)
    assert (moved(), edge.closed) == (1, [])


@pytest.mark.parametrize("draining", [(), ("a",)])
async def test_a_table_that_leaves_an_edge_what_it_holds_may_send_its_leavers_elsewhere(
    draining: tuple[str, ...],
) -> None:
    """An edge that drains has told everybody, and yet they are still there; another one's leaver waits."""
    edge, leaver = EdgeA(draining), Stranger()
    now = asyncio.get_running_loop().time()
    edge.step(now)
    edge.add(leaver)
    edge.moving.check(cast(Client, leaver))
    if draining:
        edge.step(now + STRAY_AFTER_S + 1.0)
        assert b"http://b" in leaver.told.pop()
        edge.step(now + STRAY_AFTER_S + 1.1)
    edge.take_table("a", "c", draining)
    edge.step(now + STRAY_AFTER_S + 2.0)
    (told,) = leaver.told
    assert b"http://c" in told
    assert (b'"reason":"draining"' in told) == bool(draining)
