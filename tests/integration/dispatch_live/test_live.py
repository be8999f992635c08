"""What must hold while dispatching changes under load: nothing is lost, and only those move who must.

FAULTS_MINUTES makes the long form: 3 000 students who chat, LIVE_ROUNDS=20 rounds.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from deploy.demo.local_system import LocalSystem
from deploy.demo.service_process import ServiceProcess
from deploy.local.kafka_native import missing_for_native_kafka
from tests.faults.recording import MOVED
from tests.integration.dispatch_live.far_crowd import FarCrowds, Student, open_far_crowds
from tests.integration.dispatch_live.live_system import DEADLINE_S, FORM, SHORT, Live, live_system, open_live
from tests.waiting import eventually

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(3600 if FORM.rounds > 1 else 300)]

LONG_ONLY = pytest.mark.skipif(FORM is SHORT, reason="in the long form only: make faults")

CALM_S = 5.0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalSystem, list[ServiceProcess]]]:
    """The processes, started once."""
    if (missing := missing_for_native_kafka()) is not None:
        pytest.skip(f"two dispatchers need a broker with transactions: {missing}")
    with live_system(tmp_path_factory.mktemp("live")) as opened:
        yield opened


@pytest.fixture
async def live(running: tuple[LocalSystem, list[ServiceProcess]]) -> AsyncIterator[Live]:
    """The running system with all its edges."""
    async with open_live(*running) as opened:
        await opened.all_serve()
        yield opened


@asynccontextmanager
async def chatting(live: Live) -> AsyncIterator[FarCrowds]:
    """Let crowds chat for the length of the block, then judge what everybody has seen."""
    async with open_far_crowds(live.system, FORM.crowds) as crowds:
        yield crowds
        print(*await crowds.judge(), sep="\n")
        assert {up: one.holes for up, one in (await crowds.look()).items() if one.holes} == {}


def came_back(before: dict[str, Student], after: dict[str, Student]) -> dict[str, int]:
    """Return how often each has connected again since ``before``."""
    return {up: one.connections - before[up].connections for up, one in after.items()}


async def all_back(crowds: FarCrowds, before: dict[str, Student], theirs: set[str]) -> dict[str, int]:
    """Wait until all of them have connected again and are in their rooms; return how often everybody has."""
    loop = asyncio.get_running_loop()
    end = loop.time() + DEADLINE_S
    while True:
        now = await crowds.look()
        again = came_back(before, now)
        away = sum(not (again[up] and now[up].joined) for up in theirs)
        if not away:
            return again
        assert loop.time() < end, f"{away} of {len(theirs)} are not back"
        await asyncio.sleep(0.05)


async def test_splits_and_merges_lose_nothing_and_move_only_those_whose_shard_moves(live: Live) -> None:
    loop = asyncio.get_running_loop()
    rounds = merged = 0
    async with chatting(live) as crowds:
        since, before = len(live.tables.all), await crowds.look()
        began, full, calm = loop.time(), await live.moves("full"), await live.moves("emptied")
        # Whether a part can come back depends on where the circle happens to be cut: soon one can.
        while rounds < FORM.rounds or (merged == 0 and rounds < FORM.rounds + 3):
            rounds += 1
            for first in (True, False, True):
                emptied = await live.moves("emptied")
                await live.split(first=first)
                merged += await live.moved_more("emptied", emptied, CALM_S)
            assert len(live.shards) <= 2 * len(live.system.edges), "the table stays small"
            print(f"round {rounds}, {loop.time() - began:.0f} s: {len(live.shards)} shards, {merged=}")
        await live.everybody_is_located(before)
        moved = came_back(before, await crowds.look())
        print(f"connections ended because: {dict(await crowds.losses())}")
    changed = {up: live.changes_of(up, since) for up in moved}
    print(
        f"{rounds} rounds: {await live.moves('full') - full} parts were given away as edges were full,"
        f" {await live.moves('emptied') - calm} came back;"
        f" {len(moved)} students had to move {sum(moved.values())} times"
    )
    assert merged > 0
    assert any(moved.values())
    assert {up: (moved[up], changed[up]) for up in moved if moved[up] > changed[up]} == {}


async def test_a_killed_edge_s_clients_are_back_elsewhere_and_the_others_see_nothing(live: Live) -> None:
    loop = asyncio.get_running_loop()
    name, edge = next(iter(live.system.edge_urls)), live.system.edges[0]
    async with chatting(live) as crowds:
        before = await crowds.look()
        theirs = {up for up in before if live.tables.newest.shard_of(up).edge == name}
        assert theirs
        await asyncio.to_thread(edge.kill)
        killed_at = loop.time()
        again = await all_back(crowds, before, theirs)
        print(f"{len(theirs)} clients were back {loop.time() - killed_at:.1f} s after their edge was killed")
        assert {up: count for up, count in again.items() if count and up not in theirs} == {}
        await asyncio.to_thread(edge.start)
        await live.all_serve()


@pytest.mark.parametrize("end", ["frozen", pytest.param("killed", marks=LONG_ONLY)])
async def test_while_the_leader_is_gone_location_answers_and_the_next_one_splits_on(
    live: Live, end: str
) -> None:
    async with chatting(live):
        token, answers, failures = live.system.mint_token("up201906045"), 0, list[Exception]()

        async def locate() -> None:
            nonlocal answers
            while True:
                try:
                    assert await live.api.locate(token) in live.system.edge_urls.values()
                    answers += 1
                except (OSError, AssertionError) as error:
                    failures.append(error)
                await asyncio.sleep(0.05)

        locating = asyncio.create_task(locate())
        leader, shown = await live.leading()
        await asyncio.to_thread(leader.kill if end == "killed" else leader.freeze)
        try:
            await eventually(
                "the other one leads", lambda: live.tables.newest.epoch > shown["epoch"], DEADLINE_S
            )
            await live.split(first=True)
        finally:
            await asyncio.to_thread(leader.start if end == "killed" else leader.thaw)
        await asyncio.to_thread(leader.wait_ready)
        epoch = live.tables.newest.epoch
        await live.split(first=False)
        locating.cancel()
        print(f"{answers} locations were asked for and given while the leader was {end}, and after")
        assert (failures, answers > 0) == ([], True)
        assert live.tables.newest.epoch == epoch, "who comes back takes nothing over"
        ages = live.tables.ages()
        assert ages == sorted(set(ages)), "readers saw only newer tables"


async def test_a_rolling_restart_of_all_edges_loses_nothing_and_closes_nobody(live: Live) -> None:
    loop = asyncio.get_running_loop()
    async with chatting(live) as crowds:
        before, began = await crowds.look(), loop.time()
        for edge in live.system.edges:
            await asyncio.to_thread(edge.stop)
            assert edge.returncode == 0
            await asyncio.to_thread(edge.start)
            await live.all_serve()
        now = await crowds.look()
        print(
            f"{len(live.system.edges)} edges were restarted in {loop.time() - began:.0f} s:"
            f" {len(now)} students moved {sum(came_back(before, now).values())} times"
        )
        assert set(await crowds.losses()) <= {MOVED}, "everybody went when told, before their edge ended"
