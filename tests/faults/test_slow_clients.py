"""Clients that read nothing are closed at their bound; memory stays bounded, and the others miss nothing."""

import asyncio
import random
from collections.abc import Sequence
from itertools import cycle
from typing import Final

import aiohttp
import pytest

from deploy.demo.service_process import ServiceProcess
from tests.faults.crowd import Crowd, Size, open_crowd
from tests.faults.outcomes import Outcome, quantile
from tests.faults.recording import RecordedStudent
from tests.faults.service_figures import metric, resident_bytes
from tests.faults.stage import Stage
from tests.integration.backing import eventually
from tests.integration.persister.processes import until

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(900)]

ONE_ROOM: Final = Size(40, (2, 2, 2, 40), 20.0)
SHARES: Final = (0.1,)
SHARES_LONG: Final = (0.02, 0.1, 0.5)
AT_ONCE: Final = 20
"""Messages of 16,000 bytes that are said at once, again and again, until the slow ones are closed."""

BOUND_BYTES: Final = 262_144
MOST_GROWTH_BYTES: Final = 256 * 1024 * 1024
"""The windows of two edges (64 MiB each), each slow client's bound, and what the interpreter keeps."""


async def closed_as_slow(edges: list[ServiceProcess]) -> float:
    async with aiohttp.ClientSession() as session:
        found = [await metric(session, edge, "chat_edge_slow_client_closes_total") for edge in edges]
    return sum(found)


async def close_by_saying_much(
    crowd: Crowd, edges: list[ServiceProcess], slow: Sequence[RecordedStudent]
) -> None:
    """Let some read nothing, and the others say much until all of those are closed."""
    others = [up for up in crowd.groups[-1].members if crowd.by_up[up] not in slow]
    before = await closed_as_slow(edges)
    for student in slow:
        student.stop_reading()

    async def all_are_closed() -> bool:
        await say_much(crowd, others)
        return await closed_as_slow(edges) >= before + len(slow)

    await until("the slow ones are closed", all_are_closed, 120.0)


async def test_clients_that_read_nothing_are_closed_and_the_others_miss_nothing(
    stage: Stage, seed: int, minutes: float, outcome: Outcome
) -> None:
    """slow clients: some read nothing"""
    rng, edges = random.Random(seed), stage.system.edges
    with stage.told(edges, {"MAX_BUFFERED_BYTES": str(BOUND_BYTES)}):
        async with open_crowd(stage.system, seed, ONE_ROOM) as crowd:
            room = crowd.groups[-1]
            for _ in range(5):
                await say_much(crowd, room.members)
            outcome.counts["ack p99 before, ms"] = round(quantile(crowd.acks_ms(0), 0.99))
            before = sum(resident_bytes(edge) for edge in edges)
            for share in SHARES_LONG if minutes else SHARES:
                count = max(1, round(share * len(room.members)))
                slow = [crowd.by_up[up] for up in rng.sample(room.members, count)]
                said = len(crowd.recorder.said)
                await close_by_saying_much(crowd, edges, slow)
                p99_ms = round(quantile(crowd.acks_ms(said), 0.99))
                outcome.counts[f"ack p99 with {share:.0%} slow, ms"] = p99_ms
                outcome.counts["closed"] += count
                await asyncio.gather(*(come_again(student) for student in slow))
            grown = sum(resident_bytes(edge) for edge in edges) - before
            outcome.counts["memory grown, KiB"] = grown // 1024
            assert grown < MOST_GROWTH_BYTES
            outcome.recovered_s.append(await crowd.probe())
            outcome.checked = await crowd.judge()
            print(outcome)


async def come_again(student: RecordedStudent) -> None:
    """Notice that the connection has ended, and wait until the student is back."""
    before = student.connections
    student.drop_connection()
    await eventually("it is back", lambda: student.connections > before and student.joined.is_set())


async def say_much(crowd: Crowd, speakers: Sequence[str]) -> None:
    """Say much at once; return when all of it is acked."""
    for up, _ in zip(cycle(speakers), range(AT_ONCE)):
        crowd.say(crowd.groups[-1], "x" * 16_000, up)
    await crowd.until_acked()
