"""The connected students of one process: a `ChatClient` each, which connects and sends at planned moments.

`schedule` makes the plan, and `memory` judges what is received.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from itertools import count
from typing import Final

from loadtest.chat_client import ChatClient
from loadtest.connection import ConnectRefusedError
from loadtest.memory import Memory, SentMessage
from loadtest.outbox import Outbox, Outgoing
from loadtest.schedule import Line
from loadtest.seen_frames import SeenFrames
from loadtest.shared_batches import SharedBatches
from loadtest.students import Students
from schemas.client_events import SendMessageOk

LINES_A_PASS: Final = 50
WINDOW: Final = 200
"""Unacked messages per student. The load is open loop: sending does not wait for acks; edges bound them."""

Clock = Callable[[], float]


class LiveCrowd:
    """Owns the clients of the students ``ups``."""

    def __init__(
        self,
        ups: Sequence[str],
        token_of: Callable[[str], str],
        locate: Callable[[str], Awaitable[str]],
        memory: Memory,
        *,
        prefix: str,
        clock: Clock,
    ) -> None:
        self._memory = memory
        self._clock = clock
        self._ids = (f"{prefix}{number}" for number in count())
        self.planned = 0
        self.refused_because = ""
        """The code with which the first message was refused for good, if one was."""
        self.shared_batches = SharedBatches(memory, clock)
        seen = SeenFrames()
        self.clients = {
            up: ChatClient(up, token_of(up), locate=locate, seen=seen, outbox=Outbox(window=WINDOW))
            for up in ups
        }
        self._students = Students(self.clients.values())
        for client in self.clients.values():
            self._follow(client)

    @property
    def failure(self) -> str | None:
        """Why a student ended for good, if one did."""
        if self._students.failed is None:
            return None
        up, error = self._students.failed
        return f"{up} {'was refused' if isinstance(error, ConnectRefusedError) else 'ended'}: {error}"

    @property
    def online(self) -> int:
        """How many are connected and know their rooms."""
        return sum(client.joined.is_set() for client in self.clients.values())

    @property
    def connects_begun(self) -> int:
        """How many have begun to connect."""
        return self._students.began

    @property
    def came(self) -> int:
        """How many have been connected at least once."""
        return sum(client.connections > 0 for client in self.clients.values())

    @property
    def failed_because(self) -> str:
        """Why an offline student could not connect, if known."""
        away = (client for client in self.clients.values() if not client.joined.is_set())
        return next((client.failed_because for client in away if client.failed_because), "no answer")

    @property
    def connections(self) -> int:
        """Number of successful connections, of all students."""
        return sum(client.connections for client in self.clients.values())

    @property
    def repeated(self) -> int:
        """How often a message was queued to be sent again."""
        return sum(client.outbox.retries for client in self.clients.values())

    @property
    def holes(self) -> int:
        """How many rooms could not be resumed."""
        return sum(len(client.holes) for client in self.clients.values())

    @property
    def not_understood(self) -> list[str]:
        """Reasons why data from edges could not be parsed."""
        return [why for client in self.clients.values() for why in client.not_understood]

    async def connect_all(self, at_s: Iterable[float]) -> None:
        """Connect the students in order, each at its moment; the number at once is bounded."""
        async with asyncio.TaskGroup() as coming:
            for moment, client in zip(at_s, self.clients.values(), strict=False):
                await self._sleep_until(moment)
                begins = partial(self._memory.came.add, client.up)
                coming.create_task(self._students.connect_one(client, begins))

    async def talk(self, lines: Iterable[Line]) -> None:
        """Send each line at its planned moment, however slow the system is (no coordinated omission)."""
        for number, line in enumerate(lines):
            if line.at_s > self._clock():
                await self._sleep_until(line.at_s)
            elif number % LINES_A_PASS == 0:
                await asyncio.sleep(0)
            self._post(line)

    async def drop_connections(self, losses: Iterable[tuple[float, Sequence[str]]]) -> None:
        """Drop connections at their moments. The clients reconnect by themselves."""
        for moment, ups in losses:
            await self._sleep_until(moment)
            for up in ups:
                self.clients[up].drop_connection()

    def note_holes(self) -> None:
        """Copy the holes that edges reported to the memory."""
        for up, client in self.clients.items():
            for room, subscription in self._memory.subscriptions[up].items():
                subscription.holes = [(after, up_to) for hole, after, up_to in client.holes if hole == room]

    async def close(self) -> None:
        """End all connections."""
        await self._students.close()

    def _follow(self, client: ChatClient) -> None:
        memory = self._memory
        client.on_chat = memory.listener(client.up)
        client.on_chats = self.shared_batches.listener(client.up)

        def on_joined(room: str, head: int) -> None:
            memory.add_joined(client.up, room, head)

        def on_acked(message: Outgoing, ok: SendMessageOk) -> None:
            memory.add_ack(message.id, ok.seq)

        def on_refused(message: Outgoing, code: str) -> None:
            memory.add_refusal(message.id)
            self.refused_because = self.refused_because or code

        client.on_joined, client.on_acked, client.on_refused = on_joined, on_acked, on_refused

    def _post(self, line: Line) -> None:
        message_id = next(self._ids)
        self.planned += 1
        sent_at = int(time.time() * 1000)
        message = SentMessage(line.room, line.up, line.text, line.at_s, sent_at, measured=line.measured)
        self._memory.add_sent(message_id, message)
        self.clients[line.up].post(line.room, line.text, message_id=message_id, sent_at=sent_at)

    async def _sleep_until(self, moment: float) -> None:
        wait_s = moment - self._clock()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
