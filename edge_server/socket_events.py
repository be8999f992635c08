"""Handles clients' events: each becomes a call, its result the ack, and a refusal the ack ``{error: {...}}``.

A direct client's chat message that asks for an ack takes the short path: from the websocket's reader to the
log, its ack straight to the transport. All other events, and malformed frames, take the ordinary path through
engine.io and python-socketio. Both check and refuse the same; the short path charges for the frame, the
ordinary one for the message's text.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeVar

import orjson
from pydantic import BaseModel

from edge_server.clients import Client
from edge_server.frames import ack, event_cost, is_larger, message_ack
from edge_server.joining import Joining
from edge_server.presence import Presence
from edge_server.publish import Publisher
from edge_server.recent_log import Entry
from edge_server.rooms import Rooms
from edge_server.settings import EdgeSettings
from edge_server.socket_server import ChatSocketServer
from runtime import metrics, refusing
from runtime.budgets import Budgets
from runtime.memberships import Memberships
from schemas import client_events as events
from schemas.ids import new_id
from schemas.log_records import MAX_TEXT_BYTES
from schemas.refusals import (
    INVALID_PAYLOAD,
    NOT_A_MEMBER,
    RATE_LIMITED,
    TOO_LARGE,
    UNKNOWN_EVENT,
    UP_MISMATCH,
    Refused,
    checked,
)

Event = TypeVar("Event", bound=events.ClientEvent)
Answer = dict[str, Any]

AckSender = Callable[[str, Entry | Refused], None]
"""Called with a message's id and its outcome."""

MAX_PAUSE_S: Final = 2.0
"""The longest pause in reading a client that was told to wait: its pongs are not read meanwhile either."""

_PAUSED: Final = metrics.LIMIT_HITS.labels(limit="resting")
_CHAT_MESSAGE: Final = re.compile(r'42(0|[1-9][0-9]{0,8})\["chat message",')


class SocketEvents:
    """Handles the events of connected clients."""

    def __init__(
        self,
        settings: EdgeSettings,
        rooms: Rooms,
        memberships: Memberships,
        joining: Joining,
        publisher: Publisher,
        presence: Presence,
        close: Callable[[Client, str], None],
    ) -> None:
        self._max_unacked = settings.max_pending_sends_per_client
        self._max_event_bytes = settings.max_event_bytes
        self._messages = Budgets(settings.messages_per_s_per_user, settings.messages_burst_per_user)
        self._close = close
        self._rooms = rooms
        self._memberships = memberships
        self._joining = joining
        self._publisher = publisher
        self._presence = presence

    def start(self, server: ChatSocketServer) -> None:
        """Register the handlers with the server."""
        self._on(server, events.ONLINE, events.GoOnline, self._online)
        self._on(server, events.JOIN_ROOM, events.JoinRoom, self._join_room)
        self._on(server, events.LEAVE_ROOM, events.LeaveRoom, self._leave_room)
        self._on(server, events.CHAT_MESSAGE, events.SendMessage, self._chat_message)
        server.on("*", self._unknown)
        server.try_short_path = self._try_short_path

    def _on(
        self,
        server: ChatSocketServer,
        name: str,
        kind: type[Event],
        handle: Callable[[Client, Event], Awaitable[BaseModel]],
    ) -> None:
        async def handler(sid: str, *payload: object) -> Answer:
            client = self._rooms.clients.get(sid)
            try:
                if client is None:
                    # A client that floods is closed with many events unanswered: that is no outage of ours.
                    raise Refused(RATE_LIMITED, "This connection is closed. Send it again on the next one.")
                answer = await handle(client, _validated(kind, client, payload))
                return answer.model_dump(by_alias=True)
            except Exception as error:  # noqa: BLE001 - any error is logged and answered
                return self._refuse(client, error, name)

        server.on(name, handler)

    def _refuse(self, client: Client | None, error: Exception, event: str) -> Answer:
        facts = {"sid": client.sid, "up": client.up} if client else {}
        return refusing.answer(error, event=event, **facts)

    async def _unknown(self, event: str, sid: str, *_payload: object) -> Answer:
        return self._refuse(self._rooms.clients.get(sid), Refused(UNKNOWN_EVENT), str(event)[:64])

    async def _online(self, client: Client, _event: events.GoOnline) -> events.Ok:
        self._charge(client)
        await self._presence.online(client)
        return events.Ok()

    async def _join_room(self, client: Client, event: events.JoinRoom) -> events.JoinRoomOk:
        self._charge(client)
        self._require_member(client, event.room)
        joined = self._joining.join(client, event.room, event.since)
        return events.JoinRoomOk(**joined.model_dump())

    async def _leave_room(self, client: Client, event: events.LeaveRoom) -> events.Ok:
        self._charge(client)
        self._require_member(client, event.room)
        self._rooms.leave(client, event.room)
        return events.Ok()

    async def _chat_message(self, client: Client, event: events.SendMessage) -> events.SendMessageOk:
        """Publish a message on the ordinary path, and wait for its outcome."""
        self._charge(client, event_cost(event.message))
        result: asyncio.Future[events.SendMessageOk] = asyncio.get_running_loop().create_future()

        def send_ack(message_id: str, outcome: Entry | Refused) -> None:
            if result.done():
                return
            if isinstance(outcome, Refused):
                result.set_exception(outcome)
            else:
                ok = events.SendMessageOk(id=message_id, seq=outcome.seq, timestamp=outcome.timestamp)
                result.set_result(ok)

        self._check_and_publish(client, event, send_ack)
        return await result

    def _try_short_path(self, client: Client, text: str) -> bool:
        """Publish and answer a message on the short path. Return False if it has to take the ordinary one.

        While a client is paused after a refusal, its messages get that refusal and are not parsed.
        """
        header = _CHAT_MESSAGE.match(text)
        if header is None or client.gone or is_larger(text, self._max_event_bytes):
            return False
        ack_id = header[1]
        if client.pause_refusal is not None:
            _PAUSED.inc()
            client.send_ack(ack(ack_id, client.pause_refusal))
            return True
        try:
            self._charge(client, event_cost(text))
            payload = orjson.loads(text[header.end(1) :])[1]
            event = _validated(events.SendMessage, client, (payload,))
            self._check_and_publish(client, event, partial(self._send_ack, client, ack_id))
        except orjson.JSONDecodeError:
            return False
        except Exception as error:  # noqa: BLE001 - any error is logged and answered
            client.send_ack(ack(ack_id, self._refuse_message(client, error)))
        return True

    def _send_ack(self, client: Client, ack_id: str, message_id: str, outcome: Entry | Refused) -> None:
        if isinstance(outcome, Refused):
            client.send_ack(ack(ack_id, self._refuse_message(client, outcome)))
        else:
            client.send_ack(message_ack(ack_id, message_id, outcome.seq, outcome.timestamp))

    def _refuse_message(self, client: Client, error: Exception) -> Answer:
        """Return the refusal of a message on the short path; pause reading a client that was told to wait."""
        refusal = self._refuse(client, error, events.CHAT_MESSAGE)
        if isinstance(error, Refused) and error.retry_after_s is not None:
            client.pause_reading(min(error.retry_after_s, MAX_PAUSE_S), refusal)
        return refusal

    def _charge(self, client: Client, amount: float = 1.0) -> None:
        """Charge an event to the user's budget. Raises `Refused`; closes a client that ignores refusals."""
        now = asyncio.get_running_loop().time()
        if not self._messages.pay(client.up, now, amount):
            metrics.LIMIT_HITS.labels(limit="messages").inc()
            if self._messages.ignores_refusals(client.up, now):
                self._close(client, RATE_LIMITED.code)
            raise Refused(RATE_LIMITED, retry_after_s=self._messages.wait_s(client.up, now, amount))

    def _check_and_publish(self, client: Client, event: events.SendMessage, send_ack: AckSender) -> None:
        """Check a message and publish it; ``send_ack`` gets its outcome later. Raises `Refused` at once."""
        self._require_member(client, event.room)
        if is_larger(event.message, MAX_TEXT_BYTES):
            raise Refused(TOO_LARGE, f"A message has at most {MAX_TEXT_BYTES} bytes.")
        if client.unacked >= self._max_unacked:
            metrics.LIMIT_HITS.labels(limit="unacked messages of a connection").inc()
            raise Refused(RATE_LIMITED, "Too many messages wait for their ack.")
        message_id = event.id or new_id()

        def on_outcome(outcome: Entry | Refused) -> None:
            client.unacked -= 1
            send_ack(message_id, outcome)

        client.unacked += 1
        try:
            self._publisher.publish(message_id, event, on_outcome)
        except BaseException:
            client.unacked -= 1
            raise

    def _require_member(self, client: Client, room: str) -> None:
        if not self._memberships.is_member(room, client.up):
            raise Refused(NOT_A_MEMBER)


def _validated(kind: type[Event], client: Client, payload: tuple[object, ...]) -> Event:
    """Return the validated payload. Raises `Refused`, also where its user is not the token's."""
    if not payload or not isinstance(payload[0], dict):
        raise Refused(INVALID_PAYLOAD, "payload: Input should be an object")
    event = checked(kind, payload[0])
    if getattr(event, "up", client.up) != client.up:
        raise Refused(UP_MISMATCH)
    return event
