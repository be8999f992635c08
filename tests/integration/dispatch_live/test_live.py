"""What must hold while dispatching changes under load: nothing is lost, and only those move who must.

FAULTS_MINUTES makes the long form: 3 000 clients at the peak, twenty rounds.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from deploy.demo.local_system import LocalSystem
from deploy.demo.service_process import ServiceProcess
from deploy.local.kafka_native import missing_for_native_kafka
from tests.faults.crowd import Crowd, open_crowd
from tests.integration.dispatch_live.live_system import FORM, Live, eventually, live_system, open_live

pytestmark = [
    pytest.mark.backing,
    pytest.mark.slow,
    pytest.mark.timeout(3600 if FORM.cycles > 1 else 300),
]

CALM_S = 5.0


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[LocalSystem, list[ServiceProcess]]]:
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
async def chatting(live: Live) -> AsyncIterator[Crowd]:
    """Let a crowd chat for the length of the block, then judge what everybody has seen."""
    async with open_crowd(live.system, random.SystemRandom().randrange(1, 2**31), FORM.crowd) as crowd:
        async with crowd.chatting():
            yield crowd
        print(await crowd.judge())
        assert [student.holes for student in crowd.by_up.values() if student.holes] == []


def reconnects(crowd: Crowd) -> dict[str, int]:
    return {up: student.connections - 1 for up, student in crowd.by_up.items()}


async def test_splits_and_merges_lose_nothing_and_move_only_those_whose_shard_moves(live: Live) -> None:
    rounds = merged = 0
    async with chatting(live) as crowd:
        since, began = len(live.tables.all), reconnects(crowd)
        # Whether a part can come back depends on where the circle happens to be cut: soon one can.
        while rounds < FORM.cycles or (merged == 0 and rounds < FORM.cycles + 3):
            rounds += 1
            for first in (True, False, True):
                before = await live.moves("emptied")
                await live.split(first=first)
                merged += await live.moved_more("emptied", before, CALM_S)
            assert len(live.shards) <= 2 * len(live.system.edges), "the table stays small"
        await live.everybody_is_located(crowd.by_up)
    changed = {up: live.changes_of(up, since) for up in crowd.by_up}
    moved = {up: count - began[up] for up, count in reconnects(crowd).items()}
    assert merged > 0
    assert any(moved.values())
    assert {up: (moved[up], changed[up]) for up in moved if moved[up] > changed[up]} == {}


async def test_a_killed_edge_s_clients_are_back_elsewhere_and_the_others_see_nothing(live: Live) -> None:
    loop = asyncio.get_running_loop()
    name, edge = next(iter(live.system.edge_urls)), live.system.edges[0]
    async with chatting(live) as crowd:
        began = reconnects(crowd)
        theirs = {up for up in crowd.by_up if live.tables.newest.shard_of(up).edge == name}
        assert theirs
        await asyncio.to_thread(edge.kill)
        killed_at = loop.time()
        await eventually(
            "all are back",
            lambda: all(
                crowd.by_up[up].connections > 1 + began[up] and crowd.by_up[up].joined.is_set()
                for up in theirs
            ),
        )
        print(f"{len(theirs)} clients were back {loop.time() - killed_at:.1f} s after their edge was killed")
        assert {
            up: count for up, count in reconnects(crowd).items() if up not in theirs and count > began[up]
        } == {}
        await asyncio.to_thread(edge.start)
        await live.all_serve()


@pytest.mark.parametrize("end", ["killed", "frozen"])
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
            await eventually("the other one leads", lambda: live.tables.newest.epoch > shown["epoch"])
            await live.split(first=True)
        finally:
            await asyncio.to_thread(leader.start if end == "killed" else leader.thaw)
        await asyncio.to_thread(leader.wait_ready)
        epoch = live.tables.newest.epoch
        await live.split(first=False)
        locating.cancel()
        assert (failures, answers > 0) == ([], True)
        assert live.tables.newest.epoch == epoch, "who comes back takes nothing over"
        ages = live.tables.ages()
        assert ages == sorted(set(ages)), "readers saw only newer tables"


async def test_a_rolling_restart_of_all_edges_loses_nothing_and_closes_nobody(live: Live) -> None:
    async with chatting(live) as crowd:
        for edge in live.system.edges:
            await asyncio.to_thread(edge.stop)
            assert edge.process.returncode == 0
            await asyncio.to_thread(edge.start)
            await live.all_serve()
        lost_because = {student.lost_because for student in crowd.by_up.values()}
        assert lost_because <= {"", "moved"}, "everybody went when told, before their edge ended"
