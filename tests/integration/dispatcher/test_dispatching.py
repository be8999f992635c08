"""One dispatcher: edges come and go, and the log holds the table that follows from it."""

import asyncio

import pytest

from tests.integration.dispatcher.dispatchers import World, eventually

pytestmark = pytest.mark.backing


async def test_edges_that_report_share_the_circle_and_a_dead_one_loses_its_part(here: World) -> None:
    dispatcher = here.start()
    here.edges.report("a", "b", "c")
    before = await here.until_held_by("a", "b", "c")
    assert set(before.urls) == {here.edges.name(name) for name in "abc"}

    here.edges.silence("b")
    after = await here.until_held_by("a", "c")
    dead = here.edges.name("b")
    for old in before.shards:
        if old.edge != dead:
            inside = [new for new in after.shards if new.start <= old.start and old.end <= new.end]
            assert [new.edge for new in inside] == [old.edge]
    shown = await dispatcher.until("shows the death", lambda body: body["moves"][0]["reason"] == "dead")
    assert {edge["edge"]: edge["state"] for edge in shown["edges"]}[dead] == "dead"


async def test_a_draining_edge_gives_everything_away_while_it_lives(here: World) -> None:
    here.start()
    here.edges.report("a", "b")
    await here.until_held_by("a", "b")
    here.edges.report("b", state="draining")
    await here.until_held_by("a")
    here.edges.report("b")
    await here.until_held_by("a", "b")


async def test_nothing_is_published_while_nothing_changes(here: World) -> None:
    here.start()
    here.edges.report("a", "b")
    await here.until_held_by("a", "b")
    published, rounds = len(here.tables.all), here.edges.rounds
    await eventually("edges have gone on reporting", lambda: here.edges.rounds >= rounds + 4)
    assert len(here.tables.all) == published


async def test_only_operators_with_the_token_see_the_table(here: World) -> None:
    dispatcher = here.start()
    await dispatcher.until_leading()
    for token, code in ((None, "missing_token"), ("wrong", "invalid_token")):
        status, body = await dispatcher.get("/table", token=token)
        assert (status, body["error"]["code"]) == (401, code)


async def test_it_ends_cleanly_when_it_is_told_to(here: World) -> None:
    dispatcher = here.start()
    await dispatcher.until_leading()
    await asyncio.to_thread(dispatcher.process.stop)
    assert dispatcher.process.returncode == 0, dispatcher.log()
