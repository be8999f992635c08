"""Connections that cost the client little, so that what is measured is the server."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from itertools import count
from typing import Any, Final

from loadtest.connection import Connection, Owner, connect
from loadtest.seen_frames import SeenFrames
from schemas.client_events import CHAT_MESSAGE, JOINED, ChatMessage
from tests.integration.backing import token

ACK_ONLY: Final = "ack only"
AT_ONCE: Final = 50
TEXT: Final = "It is a truth universally acknowledged, that a message must be in want of a reader."

_numbers = count(1)


def message_of(up: str, room: str, text: str) -> dict[str, str | int]:
    """Return what a student says. Every message of a run has an id of its own, of one length."""
    return {
        "message": text,
        "up": up,
        "room": room,
        "timestamp": 1_700_000_000_000,
        "id": f"bench-{next(_numbers):010d}",
    }


class Student(Owner):
    """One connection, and what it hears. ``on_chat`` is a plain attribute."""

    def __init__(self, up: str, rooms: Sequence[str]) -> None:
        self.up = up
        self.rooms = rooms
        self.joined = asyncio.Event()
        self.lost: str | None = None
        self.on_chat: Callable[[ChatMessage], None] = lambda _: None
        self.connection: Connection

    async def connect(self, url: str, seen: SeenFrames) -> None:
        """Connect, and wait until the server has said which rooms this connection is in."""
        auth = {"token": token(self.up), "rooms": list(self.rooms)}
        self.connection = await connect(self, seen, url, auth)
        async with asyncio.timeout(30):
            await self.joined.wait()

    def on_message(self, message: ChatMessage) -> None:
        """Take a chat message."""
        self.on_chat(message)

    def on_event(self, name: str, _payload: Any) -> None:
        """Take any other event."""
        if name == JOINED:
            self.joined.set()

    def on_lost(self, reason: str) -> None:
        """Remember why the connection is gone; whoever waits for something asks `check`."""
        self.lost = reason

    def check(self) -> None:
        """Raise where the connection is gone."""
        if self.lost is not None:
            raise ConnectionError(self.lost)

    def say(
        self, room: str, on_ack: Callable[[Any], None], *, event: str = CHAT_MESSAGE, text: str = TEXT
    ) -> str:
        """Send a message; return its id."""
        payload = message_of(self.up, room, text)
        self.connection.emit(event, payload, on_ack)
        return str(payload["id"])

    async def call(self, event: str, payload: dict[str, Any]) -> None:
        """Send any event and wait for its ack."""
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.connection.emit(event, payload, answered.set_result)
        require_ack(await answered)


def require_ack(answer: Any) -> None:
    """Raise where the ack is a refusal."""
    if not isinstance(answer, dict) or "error" in answer:
        raise ConnectionError(f"refused: {answer}")


async def connect_all(url: str, students: Sequence[Student]) -> None:
    """Connect students, some at a time."""
    seen = SeenFrames()
    await all_of(student.connect(url, seen) for student in students)


async def all_of(actions: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do what clients do, some at a time."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(action: Coroutine[Any, Any, None]) -> None:
        async with turns:
            await action

    await asyncio.gather(*map(one, actions))


async def until(holds: Callable[[], bool], students: Sequence[Student], deadline_s: float = 60.0) -> None:
    """Look every few milliseconds until ``holds()``. Raises where a connection is lost or nothing comes."""
    async with asyncio.timeout(deadline_s):
        while not holds():
            for student in students:
                student.check()
            await asyncio.sleep(0.002)
