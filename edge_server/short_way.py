"""The short way of a chat message: from the websocket's reader to the log, its ack straight to the transport.

Only direct clients go it, and only with what is plainly a chat message that asks for an ack. All else, and
whatever looks wrong, takes the ordinary way through engine.io and python-socketio, which answers it. What is
checked, and how it is refused, is the same on both; what is paid is the frame here, and the text there.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import orjson

from edge_server.clients import Client
from edge_server.frames import ack, event_cost, is_larger, message_ack
from edge_server.recent_log import Entry
from runtime import metrics
from schemas.refusals import Refused

TellSender = Callable[[str, Entry | Refused], None]
"""Takes a message's id and what became of it."""

Say = Callable[[Client, object, TellSender], None]
"""Says a message for a client. Whatever it raises is refused."""

Spend = Callable[[Client, float], None]
"""Lets a client's user pay for an event. Raises `Refused`; who goes on all the same is closed."""

Refuse = Callable[[Client, Exception], dict[str, Any]]
"""Logs and counts a refusal, and returns its answer."""

_RESTING: Final = metrics.LIMIT_HITS.labels(limit="resting")
_CHAT_MESSAGE: Final = re.compile(r'42(0|[1-9][0-9]{0,8})\["chat message",')


class ShortWay:
    """Reads chat messages from frames, and writes their acks."""

    def __init__(self, spend: Spend, say: Say, refuse: Refuse, *, max_event_bytes: int) -> None:
        self._spend = spend
        self._say = say
        self._refuse = refuse
        self._max_event_bytes = max_event_bytes

    def take(self, client: Client, text: str) -> bool:
        """Take a chat message and answer it; False: this is not one, and nothing was done but paying for it.

        While a client rests after a refusal, its messages are not looked into.
        """
        found = _CHAT_MESSAGE.match(text)
        if found is None or client.gone or is_larger(text, self._max_event_bytes):
            return False
        ack_id = found[1]
        if client.resting is not None:
            _RESTING.inc()
            client.send_frame(ack(ack_id, client.resting))
            return True
        try:
            self._spend(client, event_cost(text))
            payload = orjson.loads(text[found.end(1) :])[1]
            self._say(client, payload, partial(self._tell, client, ack_id))
        except orjson.JSONDecodeError:
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, it is logged and answered
            client.send_frame(ack(ack_id, self._refuse(client, error)))
        return True

    def _tell(self, client: Client, ack_id: str, message_id: str, outcome: Entry | Refused) -> None:
        if isinstance(outcome, Refused):
            client.send_frame(ack(ack_id, self._refuse(client, outcome)))
        else:
            client.send_frame(message_ack(ack_id, message_id, outcome.seq, outcome.timestamp))
