"""The same id sent again never makes a second message, wherever and whenever it is sent again."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest

from tests.faults.crowd import Crowd, open_crowd
from tests.faults.history import Acked, Connection, Said
from tests.faults.outcomes import Outcome
from tests.faults.stage import Stage
from tests.integration.edge_server.edges import ChatClient
from tests.waiting import DEADLINE_S

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(300)]


class Retrier:
    """One member of the crowd on a connection of its own to each edge, for sending the same message again."""

    def __init__(self, crowd: Crowd, stage: Stage, rng: random.Random) -> None:
        self.group = rng.choice(crowd.groups[2:])
        self.up = rng.choice(self.group.members)
        self._crowd = crowd
        self.stage = stage
        self.clients: dict[str, ChatClient] = {}

    async def connect(self, name: str) -> None:
        client = ChatClient(self.up)
        url = self.stage.system.edge_urls[name]
        auth = {"token": self.stage.system.mint_token(self.up)}
        # By itself the library waits for 1 s until the edge has let it in.
        await client._io.connect(url, auth=auth, wait_timeout=DEADLINE_S)
        self.clients[name] = client

    async def disconnect(self) -> None:
        for client in self.clients.values():
            await client.disconnect()

    def said(self, message_id: str) -> None:
        """Tell the judge of a message that is about to be sent."""
        self._crowd.recorder.said_elsewhere.append(Said(self.up, self.group.id, message_id, message_id, 7))

    async def send(self, name: str, message_id: str) -> None:
        """Send by one edge, and tell the judge what it said. A refusal or a death is none of its business."""
        payload = {
            "message": message_id,
            "up": self.up,
            "room": self.group.id,
            "timestamp": 7,
            "id": message_id,
        }
        with suppress(Exception):  # the edge may have died under it
            answer: dict[str, Any] = await self.clients[name]._io.call("chat message", payload, timeout=20)
            if "seq" in answer:
                self._note(Acked(message_id, answer["seq"], answer["timestamp"], Connection(1, name), 0.0))

    def _note(self, ack: Acked) -> None:
        """Every ack of a message must say the same."""
        first = self._crowd.recorder.acks.setdefault(ack.id, ack)
        assert (first.seq, first.timestamp) == (ack.seq, ack.timestamp), f"{ack.id} was acked as two messages"


Way = Callable[[Retrier, str], Awaitable[None]]


async def same_edge(one: Retrier, message_id: str) -> None:
    for _ in range(3):
        await one.send("edge-1", message_id)


async def another_edge(one: Retrier, message_id: str) -> None:
    for name in ("edge-1", "edge-2", "edge-1"):
        await one.send(name, message_id)


async def concurrently(one: Retrier, message_id: str) -> None:
    sends = [one.send(name, message_id) for name in ("edge-1", "edge-2") * 5]
    await asyncio.gather(*sends)


async def after_a_death(one: Retrier, message_id: str) -> None:
    """The edge dies with the message on its way: nobody knows whether the log has it."""
    edge = one.stage.system.services["edge-1"]
    sending = asyncio.create_task(one.send("edge-1", message_id))
    await asyncio.sleep(0)
    await asyncio.to_thread(edge.kill)
    await one.send("edge-2", message_id)
    await asyncio.to_thread(edge.start)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    await one.connect("edge-1")
    await one.send("edge-1", message_id)


async def test_the_same_id_sent_again_is_one_message(
    stage: Stage, seed: int, minutes: float, outcome: Outcome
) -> None:
    """the same id sent again: on the same edge, on another, concurrently on both, after an edge's death"""
    rng = random.Random(seed)
    ways: list[Way] = [same_edge, another_edge, concurrently, after_a_death]
    async with open_crowd(stage.system, seed) as crowd, AsyncExitStack() as stack:
        async with crowd.chatting():
            for number in range(20 if minutes else 2):
                one = Retrier(crowd, stage, rng)
                stack.push_async_callback(one.disconnect)
                for name in ("edge-1", "edge-2"):
                    await one.connect(name)
                for way in ways if number else ways[:3]:
                    message_id = f"retried-{seed}-{number}-{way.__name__}"
                    one.said(message_id)
                    await way(one, message_id)
                    assert message_id in crowd.recorder.acks, f"{message_id} was never acked"
                    outcome.counts[way.__name__] += 1
        outcome.checked = await crowd.judge()
