"""Two dispatchers: whatever happens to the leader, readers never take a wrong table, and no client moves."""

import asyncio

import pytest

from tests.integration.dispatcher.dispatchers import Dispatcher, World
from tests.waiting import eventually

pytestmark = pytest.mark.backing


async def two(here: World) -> tuple[Dispatcher, Dispatcher]:
    leader = here.start()
    await leader.until_leading()
    standby = here.start()
    await standby.until_standing_by()
    here.edges.report("a", "b", "c")
    await here.until_held_by("a", "b", "c")
    return leader, standby


def assert_readers_saw_only_newer_tables(here: World) -> None:
    assert here.tables.ages() == sorted(set(here.tables.ages()))


async def test_when_the_leader_is_killed_the_other_leads_and_nobody_moves(here: World) -> None:
    leader, standby = await two(here)
    before = here.tables.newest
    leader.process.kill()
    await standby.until_leading()
    await eventually("the new leader publishes", lambda: here.tables.newest.epoch > before.epoch)
    rounds = here.edges.rounds
    await eventually("edges have reported to it", lambda: here.edges.rounds >= rounds + 5)
    tables = [table for table in here.tables.all if table.epoch > before.epoch]
    assert [(table.epoch, table.shards, table.urls) for table in tables] == [
        (before.epoch + 1, before.shards, before.urls)
    ]
    assert_readers_saw_only_newer_tables(here)


async def test_an_edge_that_dies_with_the_leader_is_replaced_by_the_new_one(here: World) -> None:
    leader, standby = await two(here)
    leader.process.kill()
    here.edges.silence("a")
    await standby.until_leading()
    await here.until_held_by("b", "c")
    assert_readers_saw_only_newer_tables(here)


async def test_who_joins_takes_nothing_over_and_follows_a_leader_that_stops_at_once(here: World) -> None:
    leader, standby = await two(here)
    assert (await leader.until_leading())["leading"]
    assert len({table.epoch for table in here.tables.all[1:]}) == 1
    await asyncio.to_thread(leader.process.stop)
    await standby.until_leading()
    assert leader.process.returncode == 0
    assert_readers_saw_only_newer_tables(here)


async def test_a_leader_that_was_frozen_is_fenced_when_it_wakes(here: World) -> None:
    """While it is frozen an edge joins: it wakes with that report before it, and wants to publish."""
    leader, standby = await two(here)
    leader.process.freeze()
    try:
        await standby.until_leading()
        here.edges.report("d")
        epoch = (await here.until_held_by("a", "b", "c", "d")).epoch
        here.edges.silence("a")
        held = await here.until_held_by("b", "c", "d")
    finally:
        leader.process.thaw()
    await leader.until_standing_by()
    assert "chat_dispatcher_edges{" not in await leader.text("/metrics")
    rounds = here.edges.rounds
    await eventually("edges have gone on reporting", lambda: here.edges.rounds >= rounds + 3)
    # It joins the group again, so that the other one says once more what it leads.
    assert here.tables.newest.shards == held.shards
    assert {table.epoch for table in here.tables.all[-3:]} == {epoch}
    assert (await standby.until_leading())["epoch"] == epoch
    assert_readers_saw_only_newer_tables(here)


async def test_a_leader_that_was_frozen_and_gets_its_partition_back_learns_that_another_led_meanwhile(
    here: World,
) -> None:
    """It finds the edges as it left them, and would publish nothing: the other's table would stay."""
    leader, standby = await two(here)
    leader.process.freeze()
    try:
        await standby.until_leading()
        here.edges.silence("a")
        epoch = (await here.until_held_by("b", "c")).epoch
        standby.process.kill()
        here.edges.report("a")
    finally:
        leader.process.thaw()
    table = await here.until_held_by("a", "b", "c")
    assert table.epoch > epoch
    assert_readers_saw_only_newer_tables(here)
