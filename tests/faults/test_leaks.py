"""Connections that are given up, at every stage of the handshake, are not kept."""

import asyncio
import random
import re
from collections.abc import Sequence
from typing import Final

import aiohttp
import pytest

from deploy.demo.service_process import ServiceProcess
from loadtest.server_side import resident_bytes
from loadtest.websocket import client_frame
from tests.faults.flooder import UPGRADE
from tests.faults.outcomes import Outcome
from tests.faults.service_figures import metric, open_files
from tests.faults.stage import Stage
from tests.integration.backing import new_up
from tests.waiting import eventually

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(1800)]

CONNECTS: Final = 1_000
CONNECTS_LONG: Final = 20_000
"""The first half warms up."""

AT_ONCE: Final = 20
KEPT_BYTES: Final = 1024
"""Less than anything that a connection could leave behind: it takes 9 KiB while it is there."""

SPARE_BYTES: Final = 10 * 1024 * 1024
"""What the allocator may come to hold however many connect."""

SPARE_FILES: Final = 8
"""A connection of the edge's own to the broker may have come meanwhile."""

ANSWER_WITHIN_S: Final = 10.0
"""However slow the edge is, a whole part has its effect before the next one is sent."""

LOOK_S: Final = 0.05
"""What is cut short has no answer, and the last part's is left unread by whoever is too slow for it."""

ALL_MAY_COME: Final = {
    "CONNECTS_PER_S": "100000",
    "CONNECTS_BURST": "100000",
    "CONNECTS_PER_S_PER_USER": "100000",
    "CONNECTS_BURST_PER_USER": "100000",
    "MAX_HANDSHAKES": "100000",
    # What is given up without a word is noticed soon.
    "HANDSHAKE_WITHIN_S": "2",
    "PING_INTERVAL_S": "1",
    "PING_TIMEOUT_S": "1",
}

POLLING: Final = b"/socket.io/?EIO=4&transport=polling"
POLL: Final = b"GET " + POLLING + b" HTTP/1.1\r\nHost: edge\r\n\r\n"
ANSWERED: Final = re.compile(rb'"sid":"([^"]+)"|\r\n\r\nOK')
"""What a part is answered by: with a session, or what was polled has been taken."""


def polled(body: str) -> bytes:
    """Return a request that posts a packet; the session's id is still to be put in."""
    post = b"POST " + POLLING + b"&sid=SID HTTP/1.1\r\nHost: edge\r\nContent-Length: %d\r\n\r\n" % len(body)
    return post + body.encode()


def stages(token: str) -> dict[str, Sequence[bytes]]:
    """Return what a client sends before it goes away: it waits for the answer of each part but the last."""
    connect, bad = f'40{{"token":"{token}"}}', '40{"token":"' + "x" * 200 + '"}'
    return {
        "connected": [],
        "half a request": [UPGRADE[:60]],
        "upgraded": [UPGRADE],
        "a bad token": [UPGRADE, client_frame(bad.encode())],
        "half a token": [UPGRADE, client_frame(connect.encode())[:50]],
        "let in": [UPGRADE, client_frame(connect.encode())],
        "half a message": [UPGRADE, client_frame(connect.encode()), client_frame(b"42" + b"x" * 200)[:50]],
        "polling": [POLL],
        "polling, half a token": [POLL, polled(connect)[:-50]],
        "polling, let in": [POLL, polled(connect)],
        "polling, waiting": [POLL, polled(connect), POLL.replace(b"polling", b"polling&sid=SID", 1)],
    }


async def answer(reader: asyncio.StreamReader) -> bytes:
    """Read until a part is answered, or the edge has closed; return the session that the answer names."""
    read = b""
    while not (found := ANSWERED.search(read)) and (more := await reader.read(4_096)):
        read += more
    return found[1] or b"" if found else b""


async def give_up(port: int, parts: Sequence[bytes], rng: random.Random) -> None:
    """Do a part of the handshake, then go: in order, or as a lost network does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    session = b""
    try:
        for n, part in enumerate(parts, 1):
            writer.write(part.replace(b"SID", session))
            try:
                async with asyncio.timeout(LOOK_S if n == len(parts) else ANSWER_WITHIN_S):
                    session = await answer(reader) or session
            except (TimeoutError, ConnectionError):
                pass  # whoever gives up does not care
    finally:
        if rng.random() < 0.5:
            writer.transport.abort()
        else:
            writer.close()


async def give_up_often(stage: Stage, port: int, times: int, rng: random.Random) -> None:
    """Give up in each way in turn, some at the same time."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(parts: Sequence[bytes]) -> None:
        async with places:
            await give_up(port, parts, rng)

    ways = list(stages(stage.system.mint_token(new_up())).values())
    await asyncio.gather(*(one(ways[n % len(ways)]) for n in range(times)))


async def until_all_are_gone(edge: ServiceProcess, files: int) -> None:
    """Wait until an edge has no clients any more, and no descriptors of theirs."""
    await eventually("descriptors are given back", lambda: open_files(edge) <= files + SPARE_FILES)
    async with aiohttp.ClientSession() as session:

        async def nobody_is_here() -> bool:
            return await metric(session, edge, "chat_edge_connections") == 0

        await eventually("nobody is here", nobody_is_here)


async def test_connections_that_are_given_up_are_not_kept(
    stage: Stage, seed: int, minutes: float, outcome: Outcome
) -> None:
    """connects and aborts at every stage of the handshake"""
    rng, edge = random.Random(seed), stage.system.services["edge-2"]
    port = int(stage.system.edge_urls["edge-2"].rsplit(":", 1)[1])
    with stage.told([edge], ALL_MAY_COME):
        files, times = open_files(edge), CONNECTS_LONG if minutes else CONNECTS
        await give_up_often(stage, port, times // 2, rng)
        await until_all_are_gone(edge, files)
        before = resident_bytes(edge.pid)
        await give_up_often(stage, port, times // 2, rng)
        await until_all_are_gone(edge, files)
        grown = resident_bytes(edge.pid) - before
        async with aiohttp.ClientSession() as session:
            let_in = await metric(session, edge, "chat_edge_connects_total")
    outcome.counts.update({"connects": times, "let in": int(let_in), "memory grown, KiB": grown // 1024})
    assert let_in > times / 8
    assert grown < SPARE_BYTES + KEPT_BYTES * times / 2
    outcome.checked = f"descriptors are flat, and memory grew by {2 * grown / times:.0f} bytes a connection"
