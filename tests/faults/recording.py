"""Students that write down all that happens to them, as the judge's history."""

import socket
from collections.abc import Callable, Iterable
from typing import Any, Final

from loadtest.chat_client import ChatClient, Locate
from loadtest.outbox import Outgoing
from loadtest.seen_frames import SeenFrames
from schemas.client_events import JOINED, LEFT, MOVE, ChatMessage, SendMessageOk
from tests.faults.history import Acked, Connection, History, Joined, Left, Membership, Received, Said, Sight

MOVED: Final = "moved"
"""Why a connection ended whose edge has sent its client elsewhere."""

KERNEL_BYTES: Final = 4_096


class Recorder:
    """Collects one history. ``clock`` gives the seconds of its moments."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.said: list[Said] = []
        self.said_elsewhere: list[Said] = []
        """Messages that others than the recorded students have put into the log."""
        self.acks: dict[str, Acked] = {}
        self.refused: dict[str, str] = {}
        """Messages that were refused for good, and with which code."""
        self.sights: dict[tuple[str, str], Sight] = {}
        """By client and group."""
        self.losses: list[str] = []
        """Why connections ended."""

    def sight(self, client: str, up: str, group: str) -> Sight:
        """Return what a client saw of a group."""
        key = (client, group)
        if key not in self.sights:
            self.sights[key] = Sight(client, up, group)
        return self.sights[key]

    def has_received(self, client: str, group: str, message_id: str) -> bool:
        """Say whether a message has come to a client. Cheap for the newest ones."""
        steps = self.sight(client, client, group).steps
        return any(isinstance(step, Received) and step.message.id == message_id for step in reversed(steps))

    def history(self, memberships: Iterable[Membership], stored: Iterable[ChatMessage]) -> History:
        """Return the history as it stands."""
        said = self.said + self.said_elsewhere
        return History(
            said, list(self.acks.values()), list(self.sights.values()), list(memberships), list(stored)
        )


class RecordedStudent(ChatClient):
    """A student whose steps go to the recorder."""

    def __init__(self, up: str, token: str, *, locate: Locate, seen: SeenFrames, recorder: Recorder) -> None:
        super().__init__(up, token, locate=self._note_edge, seen=seen)
        self._where_to = locate
        self._recorder = recorder
        self._connection_now = Connection(1, "")
        self.on_acked = self._note_ack
        self.on_refused = self._note_refusal

    def say(self, group: str, text: str, message_id: str) -> None:
        """Post a message; it is sent, and sent again, until it is acked."""
        sent_at = int(self._recorder.clock() * 1000)
        self._recorder.said.append(Said(self.up, group, message_id, text, sent_at))
        self.post(group, text, message_id=message_id, sent_at=sent_at)

    def stop_reading(self) -> None:
        """Read nothing any more, as a client whose machine hangs, until the connection ends."""
        assert self._connection is not None
        transport = self._connection._transport
        # The kernel would take megabytes for us.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BYTES)
        transport.pause_reading()

    def on_message(self, message: ChatMessage) -> None:
        """Take a chat message from the connection."""
        super().on_message(message)
        received = Received(message, self._connection_now, self._recorder.clock())
        self._sight(message.room).steps.append(received)

    def on_event(self, name: str, payload: Any) -> None:
        """Take any other event from the connection."""
        now = self._recorder.clock()
        if name == JOINED:
            for room, state in payload["rooms"].items():
                joined = Joined(state["head"], state["recovered"], self._connection_now, now)
                self._sight(room).steps.append(joined)
        elif name == LEFT:
            self._sight(payload["room"]).steps.append(Left(now))
        elif name == MOVE:
            self._connection_now = self._connection_now._replace(edge=payload["url"])
        super().on_event(name, payload)

    def on_lost(self, reason: str) -> None:
        """Take the end of the connection."""
        self._connection_now = self._connection_now._replace(number=self._connection_now.number + 1)
        self._recorder.losses.append(reason)
        super().on_lost(reason)

    async def _note_edge(self, token: str) -> str:
        url = await self._where_to(token)
        self._connection_now = self._connection_now._replace(edge=url)
        return url

    def _sight(self, group: str) -> Sight:
        return self._recorder.sight(self.up, self.up, group)

    def _note_ack(self, message: Outgoing, ok: SendMessageOk) -> None:
        now = self._recorder.clock()
        self._recorder.acks[message.id] = Acked(message.id, ok.seq, ok.timestamp, self._connection_now, now)

    def _note_refusal(self, message: Outgoing, code: str) -> None:
        self._recorder.refused[message.id] = code
