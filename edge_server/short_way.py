"""The short way of a chat message: from the websocket's reader to the log, its ack straight to the transport.

Only direct clients go it, and only with what is plainly a chat message that asks for an ack. All else, and
whatever looks wrong, takes the ordinary way through engine.io and python-socketio, which answers it. What is
checked, and how it is refused, is the same on both.
"""

import asyncio
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final, cast

import orjson
from aiohttp import WSMsgType
from aiohttp._websocket.reader import WebSocketDataQueue

from edge_server.clients import Client
from edge_server.frames import ack, message_ack
from edge_server.reading import Reading
from edge_server.recent_log import Entry
from edge_server.unfinished import count_if_long
from runtime import metrics
from runtime.budgets import Budget
from schemas.refusals import Refused

TakeText = Callable[[str], bool]
"""Takes the text of a frame; False: it has to go the ordinary way."""

Say = Callable[[Client, object, Callable[[str, Entry | Refused], None]], None]
"""Says a message for a client, and tells its id and what became of it. Whatever it raises is refused."""

Refuse = Callable[[Client, Exception], dict[str, Any]]
"""Logs and counts a refusal, and returns its answer."""

DATA: Final = (WSMsgType.TEXT, WSMsgType.BINARY)
"""The frames that make a message."""

_RESTING: Final = metrics.LIMIT_HITS.labels(limit="resting")
_CHAT_MESSAGE: Final = re.compile(r'42(0|[1-9][0-9]{0,8})\["chat message",')


class Inbox(WebSocketDataQueue):
    """What a websocket's reader puts its messages into. Those that go the short way never wait in it."""

    take: TakeText | None = None

    def __init__(self, reading: Reading, limit: int, budget: Budget, most_debt: float) -> None:
        self._now = asyncio.get_running_loop().time
        super().__init__(cast(Any, reading), limit, loop=asyncio.get_running_loop())
        self._reading = reading
        self._budget = budget
        self._most_debt = most_debt
        self._busy = False
        self.message_ended: Callable[[], None] = lambda: None
        """Called for each message before it is taken."""

    def feed_data(self, data: Any, size: int) -> None:
        """Take a message. Called by the reader: it must not fail.

        Nothing overtakes what still waits here, or is being handed on. What goes the short way is counted
        there; all else is counted here, whatever kind of frame it is.
        """
        if data[0] in DATA:
            self.message_ended()
        if self.take is None or self._busy or data[0] is not WSMsgType.TEXT or not self.take(data[1]):
            self._busy = True
            if self._budget.spend(self._now()) <= self._most_debt:
                self._cut_off()
            super().feed_data(data, size)

    def set_exception(self, exc: BaseException, *cause: Any) -> None:
        """The client has sent what is no websocket frame, or too much."""
        count_if_long(exc)
        super().set_exception(exc, *cause)

    def asked_for_more(self) -> None:
        """All that was taken from here has been handed on, and has begun."""
        if not self._buffer:
            self._busy = False

    def _cut_off(self) -> None:
        metrics.LIMIT_HITS.labels(limit="frames").inc()
        self._reading.transport.abort()


class ShortWay:
    """Reads chat messages from frames, and writes their acks."""

    def __init__(self, say: Say, refuse: Refuse, *, max_event_bytes: int) -> None:
        self._say = say
        self._refuse = refuse
        self._max_chars = max_event_bytes

    def take(self, client: Client, text: str) -> bool:
        """Take a chat message and answer it; False: this is not one, and nothing has happened.

        While a client rests after a refusal, its messages are not looked into.
        """
        found = _CHAT_MESSAGE.match(text)
        if found is None or client.gone or len(text) > self._max_chars:
            return False
        ack_id = found[1]
        if client.resting is not None:
            _RESTING.inc()
            client.send_frame(ack(ack_id, client.resting))
            return True
        try:
            payload = orjson.loads(text[found.end(1) :])[1]
        except orjson.JSONDecodeError:
            return False
        try:
            self._say(client, payload, partial(self._tell, client, ack_id))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is logged and answered
            client.send_frame(ack(ack_id, self._refuse(client, error)))
        return True

    def _tell(self, client: Client, ack_id: str, message_id: str, outcome: Entry | Refused) -> None:
        if isinstance(outcome, Refused):
            client.send_frame(ack(ack_id, self._refuse(client, outcome)))
        else:
            client.send_frame(message_ack(ack_id, message_id, outcome.seq, outcome.timestamp))
