"""Floods of ten times what an edge takes: who keeps the rules is served, and all is well after it (P10).

Flooders, edge and crowd are processes of their own. No test asserts a time in milliseconds; they are printed.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import pytest

from loadtest.rest import RestApi
from schemas.up_number import CIRCLE, up_at
from tests.faults.crowd import Crowd, open_crowd
from tests.faults.outcomes import Outcome, quantile
from tests.faults.stage import Stage

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(900)]

LASTS_S: Final = 3.0
LASTS_LONG_S: Final = 30.0
FLOODED: Final = "edge-2"
LIMITS: Final = {"CONNECTS_PER_S": "20", "CONNECTS_BURST": "100"}
"""Few enough that flooders get past them with the little that others leave them of a busy machine."""

CONNECTING: Final = 40
SPEAKERS: Final = 30
TIMES: Final = 10
MESSAGES_PER_S: Final = 200
"""What an edge takes of one user."""


def speakers(stage: Stage, count: int) -> dict[str, str]:
    """Return students of the flooded edge, and their tokens."""
    url = stage.system.edge_urls[FLOODED]
    found: dict[str, str] = {}
    for point in range(7, CIRCLE, CIRCLE // (8 * count)):
        if len(found) < count and stage.system.locate(up_at(point)) == url:
            found[up_at(point)] = stage.system.mint_token(up_at(point))
    return found


async def jobs(stage: Stage) -> dict[str, dict[str, Any]]:
    """Return what the flooders of each flood do."""
    url = stage.system.edge_urls[FLOODED]
    many = await asyncio.to_thread(speakers, stage, SPEAKERS)
    (first, token), *_ = many.items()
    async with aiohttp.ClientSession() as session:
        api = RestApi(session, stage.system.public_url)
        await api.create_group(f"flood-{first}", list(many), token)
    speak = {"url": url, "room": f"flood-{first}", "per_s": TIMES * MESSAGES_PER_S}
    return {
        "connections": {"url": url, "connecting": CONNECTING},
        "messages of one": {**speak, "speakers": {first: token}},
        "messages of many": {**speak, "speakers": many},
    }


@asynccontextmanager
async def flooding(job: dict[str, Any], seen: Counter[str]) -> AsyncIterator[None]:
    """Flood for the length of the block. The flooders get what the others leave of this machine."""
    process = await asyncio.create_subprocess_exec(
        *("nice", "-n", "19", sys.executable, "-m", "tests.faults.flooder"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(job).encode() + b"\n")
    try:
        assert await process.stdout.readline() == b"begun\n"
        yield
    finally:
        process.stdin.close()
        said, _ = await process.communicate()
    assert process.returncode == 0
    seen.update(json.loads(said))


async def p99_ms(crowd: Crowd, lasts_s: float) -> int:
    """Let the crowd chat for a while; return the p99 from saying to the ack."""
    said = len(crowd.recorder.said)
    async with crowd.chatting():
        await asyncio.sleep(lasts_s)
    await crowd.until_acked()
    return round(quantile(crowd.acks_ms(said), 0.99))


async def test_floods_leave_the_others_their_service(
    stage: Stage, seed: int, minutes: float, outcome: Outcome
) -> None:
    """floods of ten times what an edge takes: connections, messages of one client and of many"""
    lasts_s = LASTS_LONG_S if minutes else LASTS_S
    with stage.told([stage.system.services[FLOODED]], LIMITS):
        async with open_crowd(stage.system, seed) as crowd:
            outcome.counts["without a flood, ack p99 in ms"] = await p99_ms(crowd, lasts_s)
            for kind, job in (await jobs(stage)).items():
                seen = Counter[str]()
                async with flooding(job, seen):
                    during = await p99_ms(crowd, lasts_s)
                outcome.recovered_s.append(await crowd.probe())
                outcome.counts[f"{kind}, ack p99 in ms"] = during
                print(
                    f"{kind}: ack p99 {during} ms, recovered in {outcome.recovered_s[-1]:.1f} s, {dict(seen)}"
                )
            outcome.checked = await crowd.judge()
            print(outcome.counts)
