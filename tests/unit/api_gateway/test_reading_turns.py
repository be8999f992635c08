"""Few read at the same time, and nobody waits for ever because of who was refused or went."""

import asyncio

import pytest

from api_gateway.reading_turns import BundleTurns
from runtime import metrics
from schemas.refusals import OVERLOADED, Refused


class Crowd:
    """Holds turns until each is told to end, and counts how many do at the same time."""

    def __init__(self, turns: BundleTurns) -> None:
        self._turns = turns
        self.now = 0
        self.ends = asyncio.Event()

    async def take(self) -> None:
        async with self._turns.one():
            self.now += 1
            await self.ends.wait()
            self.now -= 1


async def settled() -> None:
    """Let all tasks run until each of them waits."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_others_wait_for_a_turn_and_those_past_the_bound_are_refused() -> None:
    hits = metrics.LIMIT_HITS.labels(limit="bundles")._value
    before = hits.get()
    crowd = Crowd(BundleTurns(2, max_waiting=3))
    tasks = [asyncio.create_task(crowd.take()) for _ in range(5)]
    await settled()
    assert crowd.now == 2
    with pytest.raises(Refused) as refused:
        await crowd.take()
    assert refused.value.refusal is OVERLOADED
    assert hits.get() == before + 1
    crowd.ends.set()
    await asyncio.gather(*tasks)
    await crowd.take()


async def test_whoever_is_gone_while_waiting_or_reading_leaves_their_turn_to_the_next() -> None:
    crowd = Crowd(BundleTurns(1, max_waiting=2))
    reading, waiting, next_one = tasks = [asyncio.create_task(crowd.take()) for _ in range(3)]
    await settled()
    for gone in (waiting, reading):
        gone.cancel()
    await settled()
    crowd.ends.set()
    await next_one
    assert [task.cancelled() for task in tasks] == [True, True, False]
    await crowd.take()
