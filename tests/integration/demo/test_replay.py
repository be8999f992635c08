"""A replay over the real system is right, whichever part dies in the middle of it."""

import asyncio
import re
from pathlib import Path
from typing import Protocol

import pytest

from deploy.demo.local_system import LocalSystem
from deploy.demo.replay import plan_of, run_replay

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(300)]

MINUTES, A_MINUTE = 20, 15
AWAY_S = 8.0
LONG_AWAY_S = 20.0
"""Longer than any request to Kafka may take; those to the store have failed long before `AWAY_S`."""

NICKS = [f"nick{n}" for n in range(24)] + ["olá", "[x] y", "b^d|away"]
TEXTS = [
    b"hello",
    b"",
    b" two  spaces ",
    "olá \N{SMILING FACE WITH SUNGLASSES}".encode(),
    b"\xe9t\xe9",
    b"\x02b\x08",
]


class Disturbed(Protocol):
    def kill(self) -> None: ...

    def start(self) -> None: ...


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Three logs whose members overlap, over midnight, with all that real lines have."""
    for number in range(3):
        lines: list[bytes] = []
        for n in range(MINUTES * A_MINUTE):
            minute = (23 * 60 + 55 + n // A_MINUTE) % (24 * 60)
            nick = NICKS[(n * 7 + number) % (len(NICKS) - number)].encode()
            clock = f"[{minute // 60:02}:{minute % 60:02}]".encode()
            lines.append(clock + b" <" + nick + b"> " + TEXTS[n % len(TEXTS)])
            lines += [b"=== nick1 is away", clock + b"  * nick1 waves"] if n % 20 == 0 else []
        (tmp_path / f"2004-0{number}.log").write_bytes(b"\n".join(lines))
    return tmp_path


async def test_a_replay_reaches_every_member_once_in_order_and_is_stored_and_again_into_the_same_groups(
    local_system: LocalSystem, logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for speed in (200.0, 1_000.0):
        plan = plan_of(logs, speed=speed)
        verdict = await run_replay(local_system, plan)
        assert verdict.ok, verdict
        assert verdict.sent == verdict.acked == verdict.stored == len(plan.lines)
        assert verdict.delivered == plan.deliveries
        said = capsys.readouterr().out.strip().splitlines()
        assert f"delivered {plan.deliveries:,} of {plan.deliveries:,}" in said[-1]
        assert said[-1].endswith("missing 0 · doubled 0 · out of order 0")


def parts_of(system: LocalSystem) -> dict[str, Disturbed]:
    return {**system.services, "broker": system.backing.kafka, "store": system.backing.store}


@pytest.mark.parametrize(
    ("who", "away_s"),
    [
        # Of each pair, neither does the other's work.
        ("edge-1 persister", AWAY_S),
        ("api_gateway dispatcher", AWAY_S),
        ("broker", LONG_AWAY_S),
        ("store", AWAY_S),
    ],
)
async def test_a_replay_is_right_although_parts_die_in_the_middle_and_come_back_later(
    local_system: LocalSystem, logs: Path, capsys: pytest.CaptureFixture[str], who: str, away_s: float
) -> None:
    if who == "broker" and not local_system.backing.kafka_durable:
        pytest.skip("the end of the broker in memory ends its records")
    parts = [parts_of(local_system)[name] for name in who.split()]
    plan = plan_of(logs, speed=80.0)
    replay = asyncio.create_task(run_replay(local_system, plan))
    try:
        while not re.search(r"replaying .* delivered [1-9]", said := capsys.readouterr().out):
            assert not replay.done(), said
            await asyncio.sleep(0.1)
        for part in parts:
            await asyncio.to_thread(part.kill)
        try:
            await asyncio.sleep(away_s)
        finally:
            for part in parts:
                await asyncio.to_thread(part.start)
        verdict = await replay
        assert verdict.ok, verdict
    finally:
        replay.cancel()
        await asyncio.gather(replay, return_exceptions=True)
        await asyncio.to_thread(local_system.wait_until_spread)
