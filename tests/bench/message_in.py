"""A message in, and its ack: through the edge with the log's durable ack, and by python-socketio alone.

The senders have left their rooms (members stay members): neither side delivers the messages to anybody.
"""

import asyncio
from typing import Any

from loadtest.server_side import cpu_s
from schemas.client_events import CHAT_MESSAGE, LEAVE_ROOM
from tests.bench.processes import Rig, Server, Size
from tests.bench.rounds import Figures, compare
from tests.bench.socket_clients import ACK_ONLY, Student, connect_all, require_ack, until
from tests.bench.table import Row
from tests.integration.backing import new_group, open_log

SENDERS = 64
UNACKED = 8
MESSAGES = 16_000


class Senders:
    """Connections that keep several messages unacked each, all the time."""

    def __init__(self, server: Server, event: str, groups: dict[str, str]) -> None:
        self._server = server
        self._event = event
        self._groups = groups
        self._students = [Student(up, []) for up in groups]
        self._to_send = 0
        self._acked = 0

    async def connect(self) -> None:
        """Connect all."""
        await connect_all(self._server.url, self._students)

    async def leave_rooms(self) -> None:
        """Stop receiving what we send."""
        for student in self._students:
            await student.call(LEAVE_ROOM, {"up": student.up, "room": self._groups[student.up]})

    async def send(self, messages: int) -> Figures:
        """Send so many messages in all, and wait for all acks."""
        loop = asyncio.get_running_loop()
        self._to_send, self._acked = messages, 0
        before, started = cpu_s(self._server.pid), loop.time()
        for student in self._students:
            for _ in range(UNACKED):
                self._next(student)
        await until(lambda: self._acked >= messages, self._students)
        used, took = cpu_s(self._server.pid) - before, loop.time() - started
        return {"cpu_us": used / messages * 1e6, "per_cpu_s": messages / used, "per_s": messages / took}

    def _next(self, student: Student) -> None:
        if self._to_send <= 0:
            return
        self._to_send -= 1

        def acked(answer: Any) -> None:
            require_ack(answer)
            self._acked += 1
            self._next(student)

        student.say(self._groups[student.up], acked, event=self._event)


async def run(rig: Rig, size: Size) -> list[Row]:
    """Compare both servers."""
    groups = {f"up{n:09d}": new_group() for n in range(SENDERS)}
    async with open_log() as log:
        for up, group in groups.items():
            await log.join(group, up)
    ours = Senders(await rig.edge("edge-in"), CHAT_MESSAGE, groups)
    reference = Senders(await rig.reference("reference_socketio"), ACK_ONLY, groups)
    await ours.connect()
    await ours.leave_rooms()
    await reference.connect()
    messages = size.of(MESSAGES)
    compared = await compare(size.rounds, lambda: ours.send(messages), lambda: reference.send(messages))
    return [
        compared.row("CPU a message in with ack (ours durable)", "cpu_us", "µs"),
        compared.row("messages in a core", "per_cpu_s", "1/CPU s", better="higher"),
        compared.row("messages in, all on this machine", "per_s", "1/s", better="higher"),
    ]
