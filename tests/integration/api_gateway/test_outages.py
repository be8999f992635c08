"""MongoDB or Kafka go away: what needs them is refused by name and in time, everything else goes on."""

import asyncio
import time

import pytest

from api_gateway import fallen_behind
from deploy.local.backing import RunningBacking
from runtime.mongo import open_store
from runtime.settings import MongoSettings
from schemas import topics
from schemas.documents import PROGRESS, progress_key
from tests.integration.api_gateway.gateways import Answer, Gateway, gateway
from tests.integration.backing import away, new_up
from tests.waiting import DEADLINE_S

REFUSED = 3
"""Each waits for the whole of its timeout."""


async def a_group(here: Gateway, up: str) -> str:
    end = asyncio.get_running_loop().time() + DEADLINE_S
    while (
        made := await here.as_user(up, "POST", "/chat/group", {"name": "Maths", "users": []})
    ).status >= 500:
        assert asyncio.get_running_loop().time() < end, made
        await asyncio.sleep(0.1)
    return str(made.said["id"])


async def post(here: Gateway, group: str, up: str, text: str) -> Answer:
    new = {"group": group, "from": up, "message": text, "id": f"id-{text}"}
    return await here.as_solution("POST", "/message/", new)


async def accepted(here: Gateway, group: str, up: str, text: str) -> Answer:
    """Do what a good caller does: repeat what was refused for now, under the same id."""
    end = asyncio.get_running_loop().time() + DEADLINE_S
    while (answer := await post(here, group, up, text)).status >= 500:
        assert asyncio.get_running_loop().time() < end, answer
        await asyncio.sleep(0.1)
    return answer


@pytest.mark.parametrize("outage", ["stopped", "frozen"])
async def test_without_mongodb_history_is_refused_and_everything_else_goes_on(
    backing: RunningBacking, stored: str, outage: str
) -> None:
    up = new_up()
    async with gateway(mongodb_database=stored, mongodb_timeout_ms=1000, read_timeout_ms=1500) as here:
        group = await a_group(here, up)
        await post(here, group, up, "before")
        async with away(backing.store, outage):
            for path in (f"/chat/{group}/message", "/chat/message"):
                refused = await here.as_user(up, "GET", path)
                assert (refused.status, refused.code) == (503, "history_unavailable")
                assert int(refused.headers["Retry-After"]) > 0
            for path in ("/user/", "/message/", "/message/id-before"):
                assert (await here.as_solution("GET", path)).code == "history_unavailable"
            written = [await post(here, group, up, f"away {n}".replace(" ", "-")) for n in range(3)]
            assert {(one.status, one.said["stored"]) for one in written} == {(202, False)}
            shown = await here.as_user(up, "GET", f"/chat/group/{group}")
            assert (shown.status, shown.said["users"]) == (200, [up])
            assert here.service.health.faults(readiness=True) == {}
        last = written[-1].said["seq"]
        caught_up = await here.answers(
            up, f"/chat/{group}/message", lambda it: it.said.get("storedUpTo", -1) >= last
        )
        said = [one["message"] for one in caught_up.said["messages"]]
        assert said == ["before", "away-0", "away-1", "away-2"]
        assert [one["seq"] for one in caught_up.said["messages"]][1:] == [one.said["seq"] for one in written]
        assert (await post(here, group, up, "after")).said["stored"] is True


@pytest.mark.usefixtures("durable")
@pytest.mark.parametrize("outage", ["stopped", "frozen"])
async def test_without_kafka_writes_are_refused_and_everything_else_goes_on(
    backing: RunningBacking, stored: str, outage: str
) -> None:
    up = new_up()
    async with gateway(mongodb_database=stored, send_timeout_ms=1000, refuse_when_waiting_ms=500) as here:
        group = await a_group(here, up)
        await post(here, group, up, "before")
        async with away(backing.kafka, outage):
            for n in range(REFUSED):
                refused = await post(here, group, up, f"away-{n}")
                assert (refused.status, refused.code) == (503, "unavailable")
                assert int(refused.headers["Retry-After"]) > 0
            create = await here.as_user(up, "POST", "/chat/group", {"name": "Art"})
            assert create.code == "unavailable"
            shown = await here.as_user(up, "GET", f"/chat/{group}/message")
            assert [one["message"] for one in shown.said["messages"]] == ["before"]
            assert (await here.as_user(up, "GET", "/chat/group")).status == 200
        for n in range(REFUSED):
            await accepted(here, group, up, f"away-{n}")
        last = await accepted(here, group, up, "after")
        assert last.status in {200, 201, 202}
        caught_up = await here.answers(
            up, f"/chat/{group}/message", lambda it: it.said.get("storedUpTo", -1) >= last.said["seq"]
        )
        said = [one["message"] for one in caught_up.said["messages"]]
        assert sorted(said) == sorted(["before", *(f"away-{n}" for n in range(REFUSED)), "after"])


async def test_a_write_is_answered_in_time_where_nobody_stores_it(backing: RunningBacking) -> None:
    up = new_up()
    async with gateway(mongodb_database=f"nobody_{time.time_ns()}", wait_stored_ms=100) as here:
        made = await here.as_user(up, "POST", "/chat/group", {"name": "Maths"})
        assert (made.status, made.said["stored"]) == (202, False)
        posted = await post(here, made.said["id"], up, "text")
        assert (posted.status, posted.said["stored"]) == (202, False)
        shown = await here.as_user(up, "GET", f"/chat/{made.said['id']}/message")
        assert (shown.said["messages"], shown.said["storedUpTo"]) == ([], -1)


async def test_a_gateway_that_others_are_ahead_of_is_not_ready_and_lets_nobody_read(
    backing: RunningBacking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tests/faults/test_cut_off_gateway.py` cuts one off for real; here the store says so."""
    monkeypatch.setattr(fallen_behind, "COMPARE_EVERY_S", 0.05)
    monkeypatch.setattr(fallen_behind, "BEHIND_AFTER_S", 0.2)
    up, database = new_up(), f"ahead_{time.time_ns()}"
    async with (
        gateway(mongodb_database=database, wait_stored_ms=100) as here,
        open_store(MongoSettings(mongodb_database=database)) as store,
    ):
        group = await a_group(here, up)

        async def stored(next_offset: int) -> None:
            keys = [progress_key(topics.MEMBERSHIPS, partition) for partition in range(12)]
            await store.upsert(PROGRESS, [(key, {"$set": {"next": next_offset}}) for key in keys])

        await stored(2**40)
        await here.answers(up, f"/chat/{group}/message", lambda it: it.status == 503)
        assert "members" in here.service.health.faults(readiness=True)
        await stored(0)
        await here.answers(up, f"/chat/{group}/message", lambda it: it.status == 200)
        await here.ready()
