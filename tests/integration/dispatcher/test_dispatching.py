"""One dispatcher: edges come and go, and the log holds the table that follows from it."""

import asyncio

import pytest

from schemas.up_number import CIRCLE
from tests.integration.dispatcher.dispatchers import World
from tests.waiting import eventually

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


async def test_nothing_is_published_until_an_edge_drains_and_gives_everything_away(here: World) -> None:
    here.start()
    here.edges.report("a", "b")
    await here.until_held_by("a", "b")
    published, rounds = len(here.tables.all), here.edges.rounds
    await eventually("edges have gone on reporting", lambda: here.edges.rounds >= rounds + 4)
    assert len(here.tables.all) == published

    here.edges.report("b", state="draining")
    await here.until_held_by("a")
    here.edges.report("b")
    await here.until_held_by("a", "b")


async def test_a_full_edge_gives_a_part_away_and_with_few_clients_fewer_edges_would_do(here: World) -> None:
    dispatcher = here.start(EDGE_REST_S="1")
    here.edges.report("a", "b", "c")
    shard = (await here.until_held_by("a", "b", "c")).shards[0]
    here.edges.crowd(shard.edge, 95, shard.start, shard.end)
    await dispatcher.until("says why", lambda body: body["moves"][0]["reason"] == "full")

    def inside() -> set[str | None]:
        return {new.edge for new in here.tables.newest.shards if new.start < shard.end}

    await eventually("some of the crowd belong elsewhere", lambda: len(inside()) > 1)
    here.edges.crowd(shard.edge, 10, shard.start, shard.end)
    await dispatcher.until("fewer edges would do", lambda body: body["edges_wanted"] == 2)


async def test_where_nobody_has_room_more_edges_are_wanted_and_metrics_say_so(here: World) -> None:
    dispatcher = here.start()
    here.edges.report("a")
    await here.until_held_by("a")
    here.edges.crowd(here.edges.name("a"), 95, 0, CIRCLE)
    await dispatcher.until("one more is wanted", lambda body: body["edges_wanted"] == 2)
    assert "chat_dispatcher_edges_wanted 2.0" in await dispatcher.text("/metrics")
    # Another thread writes the lines, a moment later.
    await eventually("its log says so", lambda: "edges are wanted" in dispatcher.log())


async def test_operators_ask_any_dispatcher_and_the_table_says_what_was_granted(here: World) -> None:
    leader = here.start()
    await leader.until_leading()
    standby = here.start()
    await standby.until_standing_by()
    here.edges.report("a", "b")
    await here.until_held_by("a", "b")
    a = here.edges.name("a")
    await standby.until("has read the table", lambda body: len(body["edges"]) == 2)
    assert await standby.post(f"/edges/{a}/drain") == (200, {"ok": True})
    await here.until_held_by("b")
    assert (await standby.get("/table"))[1]["leader"] == (await leader.get("/table"))[1]["leader"]
    assert await leader.post(f"/edges/{a}/undrain") == (200, {"ok": True})
    await here.until_held_by("a", "b")
    assert await leader.post("/edges-asked", {"edges": 4}) == (200, {"ok": True})
    await leader.until("wants what was asked for", lambda body: body["edges_wanted"] == 4)

    assert (await leader.post("/edges/nobody/drain"))[0] == 404
    assert (await leader.post("/edges-asked", {"edges": -1}))[0] == 422
    assert (await leader.post(f"/edges/{a}/drain", token=None))[0] == 401


async def test_only_operators_with_the_token_see_the_table_and_it_ends_cleanly(here: World) -> None:
    dispatcher = here.start()
    await dispatcher.until_leading()
    for token, code in ((None, "missing_token"), ("wrong", "invalid_token")):
        status, body = await dispatcher.get("/table", token=token)
        assert (status, body["error"]["code"]) == (401, code)
    await asyncio.to_thread(dispatcher.process.stop)
    assert dispatcher.process.returncode == 0, dispatcher.log()
