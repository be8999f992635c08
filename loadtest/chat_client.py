"""A client for one student: connects to the edge of its location, resumes, retries until acked.

It neither decides what is sent nor checks what is received: its owner does, through callbacks.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final

from loadtest.connection import Connection, ConnectRefusedError, Owner, connect
from loadtest.outbox import TRY_AGAIN, Outbox, Outgoing
from loadtest.seen_frames import Batch, SeenFrames
from schemas.client_events import (
    CHAT_MESSAGE,
    JOINED,
    LEFT,
    MOVE,
    ONLINE,
    ChatMessage,
    Joined,
    Left,
    Moved,
    RoomJoined,
    SendMessageOk,
)

RECONNECT_FIRST_S: Final = 0.25
RECONNECT_MOST_S: Final = 5.0

Locate = Callable[[str], Awaitable[str]]
"""Takes a token and returns the URL of its edge. Raises OSError if there is none for now."""


class ChatClient(Owner):
    """One student, one connection at a time. Callbacks are plain attributes, set before `run`."""

    def __init__(
        self, up: str, token: str, *, locate: Locate, seen: SeenFrames, outbox: Outbox | None = None
    ) -> None:
        self.up = up
        self.token = token
        self.outbox = Outbox() if outbox is None else outbox
        self.cursors: dict[str, int] = {}
        """By room: the seq up to which everything was received, from which resuming starts."""
        self.connected = asyncio.Event()
        self.joined = asyncio.Event()
        """Set when the edge has sent, on this connection, the student's rooms (the first 500)."""
        self.connections = 0
        self.lost_because = ""
        """Why the last connection ended."""
        self.failed_because = ""
        """Why the last failed attempt to connect failed."""
        self.not_understood: list[str] = []
        """Reasons why data from edges could not be parsed; each time the connection was aborted."""
        self.holes: list[tuple[str, int, int]] = []
        """Rooms that could not be resumed: room, last seq received, and the head from which it continues."""
        self.shows_online = False
        """Whether the event ``online`` is sent on each connection."""
        self.on_joined: Callable[[str, int], None] = lambda _, __: None
        """Called when a room is joined for the first time: room, and the head after which all is received."""
        self.on_chat: Callable[[ChatMessage], None] = lambda _: None
        self.on_chats: Callable[[Batch], None] | None = None
        """If set, called instead of `on_chat` for a batch that another student has received before."""
        self.on_acked: Callable[[Outgoing, SendMessageOk], None] = lambda _, __: None
        self.on_refused: Callable[[Outgoing, str], None] = lambda _, __: None
        self._locate = locate
        self._seen = seen
        self._connection: Connection | None = None
        self._lost = asyncio.Event()
        self._moved_to: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._flushes_at = math.inf

    async def run(self) -> None:
        """Stay connected until cancelled. Raises `ConnectRefusedError` if a refusal is final."""
        pause_s = RECONNECT_FIRST_S
        try:
            while True:
                try:
                    await self._connect()
                except (OSError, ConnectRefusedError) as error:
                    if isinstance(error, ConnectRefusedError):
                        if error.code not in TRY_AGAIN:
                            raise
                        self._moved_to = error.url
                    self.failed_because = str(error) or repr(error)
                    pause_s = min(2 * pause_s, RECONNECT_MOST_S)
                    await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
                    continue
                pause_s = RECONNECT_FIRST_S
                await self._lost.wait()
        finally:
            self._close()

    def post(self, room: str, text: str, *, message_id: str, sent_at: int) -> None:
        """Queue a message, connected or not. It is sent again until it is acked."""
        self.outbox.post(Outgoing(room, text, message_id, sent_at))
        self._flush()

    def drop_connection(self) -> None:
        """Abort the connection, as a bad network does; `run` reconnects."""
        if self._connection is not None:
            self._connection.abort()

    def on_message(self, message: ChatMessage) -> None:
        """Handle a chat message from the connection."""
        self.cursors[message.room] = message.seq
        self.on_chat(message)

    def on_batch(self, batch: Batch) -> None:
        """Handle a batch of chat messages from the connection."""
        if self.on_chats is None or not batch.room:
            super().on_batch(batch)
        else:
            self.cursors[batch.room] = batch.last
            self.on_chats(batch)

    def on_event(self, name: str, payload: Any) -> None:
        """Handle any other event from the connection."""
        if name == JOINED:
            for room, state in Joined.model_validate(payload).rooms.items():
                self._joined(room, state)
            self.joined.set()
        elif name == LEFT:
            self.cursors.pop(Left.model_validate(payload).room, None)
        elif name == MOVE:
            self._moved_to = Moved.model_validate(payload).url
            if self._connection is not None:
                self._connection.close("moved")

    def on_not_understood(self, why: str) -> None:
        """Keep the reason why data from the edge could not be parsed."""
        self.not_understood.append(why)

    def on_lost(self, reason: str) -> None:
        """Handle the end of the connection."""
        self.lost_because = reason
        self._connection = None
        self.connected.clear()
        self.joined.clear()
        self.outbox.disconnected()
        self._lost.set()

    async def _connect(self) -> None:
        url = self._take_move() or await self._locate(self.token)
        self._lost.clear()
        auth = {"token": self.token, "since": self.cursors}
        connection = await connect(self, self._seen, url, auth)
        if self._lost.is_set():
            return
        self._connection = connection
        self.connections += 1
        self.connected.set()
        if self.shows_online:
            connection.emit(ONLINE, {"up": self.up}, lambda _: None)
        self._flush()
        if self._moved_to is not None:
            connection.close("moved")

    def _take_move(self) -> str | None:
        url, self._moved_to = self._moved_to, None
        return url

    def _joined(self, room: str, state: RoomJoined) -> None:
        """Update a room's cursor, not while missed messages are to come: the connection may end before."""
        before, head = self.cursors.get(room), state.head
        if before is None:
            self.on_joined(room, head)
        if before is None or not state.recovered:
            self.cursors[room] = head
        elif state.missed == 0:
            self.cursors[room] = max(head, before)
        if before is not None and not state.recovered:
            self.holes.append((room, before, head))

    def _flush(self) -> None:
        """Send what is due, and set a timer for what is due later."""
        if self._connection is None:
            return
        now = asyncio.get_running_loop().time()
        for message in self.outbox.take_due(now):
            self._send(self._connection, message)
        due = self.outbox.next_due()
        if due is not None and due < self._flushes_at:
            if self._timer is not None:
                self._timer.cancel()
            self._flushes_at = due
            self._timer = asyncio.get_running_loop().call_at(due, self._flush_again)

    def _flush_again(self) -> None:
        self._flushes_at = math.inf
        self._flush()

    def _send(self, connection: Connection, message: Outgoing) -> None:
        payload = {
            "message": message.text,
            "up": self.up,
            "room": message.room,
            "timestamp": message.sent_at,
            "id": message.id,
        }
        connection.emit(CHAT_MESSAGE, payload, lambda answer: self._answered(message, answer))

    def _answered(self, message: Outgoing, answer: Any) -> None:
        error = answer.get("error") if isinstance(answer, dict) else {"code": "not understood"}
        if error is None:
            ok = SendMessageOk.model_validate(answer)
            done = self.outbox.acked(message.id)
            if done is not None:
                self.on_acked(done, ok)
        else:
            now = asyncio.get_running_loop().time()
            final = self.outbox.refused(message.id, error["code"], now)
            if final is not None:
                self.on_refused(final, error["code"])
        self._flush()

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._connection is not None:
            self._connection.close()
