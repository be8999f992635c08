"""Clients that read nothing are closed at their bound; memory stays bounded, and the others miss nothing."""

import asyncio
import random
from collections.abc import Sequence
from itertools import cycle
from typing import Final

import aiohttp
import pytest

from deploy.demo.service_process import ServiceProcess
from loadtest.server_side import resident_bytes
from tests.faults.crowd import Crowd, Size, open_crowd
from tests.faults.outcomes import Outcome, quantile
from tests.faults.recording import RecordedStudent
from tests.faults.service_figures import metric
from tests.faults.stage import Stage
from tests.waiting import eventually

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(900)]

ONE_ROOM: Final = Size(40, (2, 2, 2, 40), 20.0)
SHARES: Final = (0.1,)
SHARES_LONG: Final = (0.02, 0.1, 0.5)
TURNS_LONG: Final = 20
"""The others' delays with and without slow clients are compared in turns: a machine has its moments."""
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
) -> int:
    """Let some read nothing, and the others say much until all of those are closed. Returns how often."""
    others = [up for up in crowd.groups[-1].members if crowd.by_up[up] not in slow]
    before = await closed_as_slow(edges)
    times = 0
    for student in slow:
        student.stop_reading()

    async def all_are_closed() -> bool:
        nonlocal times
        times += 1
        await say_much(crowd, others)
        return await closed_as_slow(edges) >= before + len(slow)

    await eventually("the slow ones are closed", all_are_closed, 120.0)
    return times


async def test_clients_that_read_nothing_are_closed_and_the_others_miss_nothing(
    stage: Stage, seed: int, minutes: float, outcome: Outcome
) -> None:
    """slow clients: some read nothing"""
    rng, edges = random.Random(seed), stage.system.edges
    with stage.told(edges, {"MAX_BUFFERED_BYTES": str(BOUND_BYTES)}):
        async with open_crowd(stage.system, seed, ONE_ROOM) as crowd:
            members = crowd.groups[-1].members
            await say_much(crowd, members)
            before = sum(resident_bytes(edge.pid) for edge in edges)
            for share in SHARES_LONG if minutes else SHARES:
                turns = list[tuple[float, float]]()
                count = max(1, round(share * len(members)))
                for _ in range(TURNS_LONG if minutes else 1):
                    slow = [crowd.by_up[up] for up in rng.sample(members, count)]
                    turns.append(await take_turns(crowd, edges, slow))
                    outcome.counts["closed"] += count
                note(outcome, share, turns)
            grown = sum(resident_bytes(edge.pid) for edge in edges) - before
            outcome.counts["memory grown, KiB"] = grown // 1024
            assert grown < MOST_GROWTH_BYTES
            outcome.recovered_s.append(await crowd.probe())
            outcome.checked = await crowd.judge()
            print(outcome)


def note(outcome: Outcome, share: float, turns: Sequence[tuple[float, float]]) -> None:
    """Note the p99 of acks (ms) beside slow clients and without them, each as the median of its turns."""
    beside, without = (quantile(p99s, 0.5) for p99s in zip(*turns, strict=True))
    outcome.counts[f"ack p99 with {share:.0%} slow, in % of the same without"] = round(100 * beside / without)
    print(f"{share:.0%} slow: ack p99 {beside:.1f} ms, without them {without:.1f} ms, in {len(turns)} turns")


async def take_turns(
    crowd: Crowd, edges: list[ServiceProcess], slow: Sequence[RecordedStudent]
) -> tuple[float, float]:
    """Return the p99 of acks (ms) until the slow ones were closed, and for as much with all reading."""
    said = len(crowd.recorder.said)
    times = await close_by_saying_much(crowd, edges, slow)
    beside = quantile(crowd.acks_ms(said), 0.99)
    await asyncio.gather(*(come_again(student) for student in slow))
    said = len(crowd.recorder.said)
    for _ in range(times):
        await say_much(crowd, crowd.groups[-1].members)
    return beside, quantile(crowd.acks_ms(said), 0.99)


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
