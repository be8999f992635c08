"""The store is stopped, killed and frozen: live chat goes on, and the backlog drains by itself."""

import asyncio
import random
from functools import partial
from typing import Final

import aiohttp
import pytest

from edge_server.settings import EdgeSettings
from tests.faults.crowd import open_crowd
from tests.faults.outcomes import Outcome
from tests.faults.service_figures import metric
from tests.faults.stage import Stage
from tests.waiting import eventually

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(1200)]

AWAY_S: Final = 3.0
AWAY_LONG_S: Final = 60.0
WINDOW_RECORDS: Final = 60
AWAY: Final = 10


async def test_without_the_store_live_chat_goes_on_and_history_gets_all_of_it(
    stage: Stage, seed: int, minutes: float, outcome: Outcome
) -> None:
    """the store killed, and frozen (SIGSTOP)"""
    store, rng = stage.store, random.Random(seed)
    async with open_crowd(stage.system, seed) as crowd:
        everybody = crowd.groups[-1]
        async with crowd.chatting():
            for away, back in ((store.kill, store.start), (store.freeze, store.thaw)):
                await asyncio.to_thread(away)
                for _ in range(3):
                    message_id = crowd.say(everybody, "without the store")
                    await eventually("it came to all", partial(crowd.has_reached_all, message_id, everybody))
                await asyncio.sleep((AWAY_LONG_S if minutes else AWAY_S) * rng.uniform(0.5, 1.0))
                async with aiohttp.ClientSession() as session:
                    window = await metric(session, stage.system.edges[0], "chat_edge_window_bytes")
                assert 0 < window <= EdgeSettings().window_bytes
                await asyncio.to_thread(back)
                outcome.recovered_s.append(await crowd.probe())
                outcome.counts[away.__name__] += 1
        outcome.checked = await crowd.judge()


async def test_what_left_the_window_while_the_store_was_away_is_a_hole_that_clients_are_told_of(
    stage: Stage, seed: int, outcome: Outcome
) -> None:
    """the store away for longer than the edges' window reaches, and clients that come back meanwhile"""
    rng = random.Random(seed)
    with stage.told(stage.system.edges, {"WINDOW_RECORDS": str(WINDOW_RECORDS)}):
        async with open_crowd(stage.system, seed) as crowd:
            everybody = crowd.groups[-1]
            await crowd.probe()
            await crowd.until_acked()
            await asyncio.to_thread(stage.store.kill)
            away = rng.sample([crowd.by_up[up] for up in everybody.members], AWAY)
            for student in away:
                student.stop_reading()
            speakers = [up for up in everybody.members if crowd.by_up[up] not in away]
            for _ in range(2 * WINDOW_RECORDS):
                crowd.say(everybody, "missed by some", rng.choice(speakers))
            await crowd.until_acked()
            for student in away:
                student.drop_connection()
            for student in away:
                await eventually("it is told of the hole", lambda: bool(student.holes))  # noqa: B023
            outcome.counts["holes told of"] = sum(len(student.holes) for student in away)
            await asyncio.to_thread(stage.store.start)
            outcome.recovered_s.append(await crowd.probe())
            outcome.checked = await crowd.judge()
