"""Frames that no honest client sends: each is answered or closes its own connection, and memory stays.

FUZZ_FRAMES makes the long form, e.g. 1000000.
"""

import asyncio
import json
import os
import random
import resource
import secrets
from contextlib import suppress

import aiohttp
import pytest

from tests.integration.backing import Log, new_group, new_up, token
from tests.integration.edge_server.abusers import OPEN, raw, tcp
from tests.integration.edge_server.edges import ChatClient, Edge, edge
from tests.waiting import eventually

FRAMES = int(os.environ.get("FUZZ_FRAMES", "5000"))
A_CONNECTION = 50
GROWTH_KIB = 100_000
MASK = b"\x01\x02\x03\x04"
CLOSE, NORMAL = b"\x88\x02", b"\x03\xe8"


def frame(first: int, payload: bytes, *, masked: bool = True) -> bytes:
    """Return a client's websocket frame with any first byte."""
    size = len(payload)
    assert size < 126
    if not masked:
        return bytes([first, size]) + payload
    return bytes([first, 0x80 | size]) + MASK + bytes(b ^ MASK[n % 4] for n, b in enumerate(payload))


MALFORMED = {
    "unmasked": frame(0x81, b"2", masked=False),
    "reserved bits": frame(0xC1, b"2"),
    "an unknown opcode": frame(0x83, b"2"),
    "a continuation of nothing": frame(0x80, b"2"),
    "a control frame in parts": frame(0x09, b"x"),
    "bytes that are no UTF-8": frame(0x81, b"\xff\xfe"),
    "a message within a message": frame(0x01, b"4") + frame(0x81, b"2"),
    "a close without a code": frame(0x88, b"\x00"),
}


async def _open_by_hand(here: Edge, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    writer.write(
        f"GET {OPEN} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert b"101" in await reader.readline()


async def test_malformed_frames_close_their_own_connection_alone(log: Log) -> None:
    group, other = new_group(), ChatClient(new_up())
    await log.join(group, other.up)
    # aiohttp reads an unmasked frame as any other: who sends it is closed for not having connected in time.
    async with edge(handshake_within_s=5.0) as here:
        await other.connect(here, transports=["websocket"])
        await eventually("in the room", lambda: group in other.joined)
        for name, content in MALFORMED.items():
            async with tcp(here) as (reader, writer):
                await _open_by_hand(here, reader, writer)
                writer.write(content)
                async with asyncio.timeout(30):
                    answer = await reader.read()
            # Who has only not connected in time is closed as if all were well.
            assert name == "unmasked" or (answer[-4:-2] == CLOSE and answer[-2:] != NORMAL), name
            assert "seq" in await other.say(group, name), name
        assert other.disconnects == 0


async def test_a_message_in_many_parts_with_control_frames_between_is_one_message(log: Log) -> None:
    up = new_up()
    async with edge() as here, tcp(here) as (reader, writer):
        await _open_by_hand(here, reader, writer)
        text = ("40" + json.dumps({"token": token(up)})).encode()
        parts = [text[n : n + 100] for n in range(0, len(text), 100)]
        for n, part in enumerate(parts):
            last = 0x80 if n == len(parts) - 1 else 0
            writer.write(frame(last | (0 if n else 1), part) + frame(0x8A, b""))
        async with asyncio.timeout(30):
            answer = b""
            while b'"sid"' not in answer.partition(b"40{")[2]:
                answer += await reader.read(4096)


def _nonsense(chance: random.Random, up: str, group: str) -> str:
    """Return a text that is nearly, or not at all, what clients send."""
    payload = f'{{"up":"{up}","room":"{group}","message":"x","timestamp":1}}'
    good = f'42{chance.randrange(10)}["chat message",{payload}]'
    kind = chance.randrange(6)
    if kind == 0:
        return "".join(chr(chance.choice((*range(32, 127), 0x7FF, 0xFFFD, 0x1F600))) for _ in range(30))
    if kind == 1:
        cut = chance.randrange(len(good))
        return good[:cut] + chance.choice(('"', "[", "]", "{", "\\", "\x00", "9" * 20, "null")) + good[cut:]
    if kind == 2:
        return good[: chance.randrange(len(good))]
    if kind == 3:
        return chance.choice("0123456789") + good[1:]
    if kind == 4:
        return "4" + chance.choice("0123456789") + "[" * chance.randrange(200)
    return chance.choice(
        ("", "4", "42", "43", "451-", "40", "40/other,", "41", '42["disconnect"]', "420[]", "6")
    )


@pytest.mark.timeout(3_600)
async def test_no_nonsense_crashes_an_edge_or_makes_it_grow(log: Log) -> None:
    seed = int(os.environ.get("FUZZ_SEED", "0")) or secrets.randbelow(2**31)
    print(f"FUZZ_SEED={seed} FUZZ_FRAMES={FRAMES}")
    chance = random.Random(seed)
    group, other = new_group(), ChatClient(new_up())
    await log.join(group, other.up)
    async with edge(events_per_s_per_client=1e6, messages_per_s_per_user=1e6) as here:
        await other.connect(here, transports=["websocket"])
        await eventually("in the room", lambda: group in other.joined)
        before = 0
        for done in range(0, FRAMES, A_CONNECTION):
            async with raw(here, up := new_up()) as client:
                with suppress(aiohttp.ClientError, ConnectionError):
                    await client.send(*(_nonsense(chance, up, group) for _ in range(A_CONNECTION)))
            if done == FRAMES // A_CONNECTION // 2 * A_CONNECTION:
                before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < GROWTH_KIB, f"{grown} KiB more in the second half"
        assert "seq" in await other.say(group, "still here")
        await eventually("the others are gone", lambda: here.connected() == 1)
        await other.got("still here")
        assert here.service.failure is None
