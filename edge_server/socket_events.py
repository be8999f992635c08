"""An event becomes a call, its result the ack; a refusal becomes the ack ``{error: {code, message, ...}}``.

A direct client's chat message that asks for an ack goes the short way: from the websocket's reader to the
log, its ack straight to the transport. All other events, and frames that look wrong, take the ordinary way
through engine.io and python-socketio. Both check and refuse the same; the short way charges for the frame,
the ordinary one for the message's text. What an event means stands elsewhere.
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

TellSender = Callable[[str, Entry | Refused], None]
"""Takes a message's id and what became of it."""

MAX_REST_S: Final = 2.0
"""A client that was told to wait is left unread for no longer than this: its answers to pings wait, too."""

_RESTING: Final = metrics.LIMIT_HITS.labels(limit="resting")
_CHAT_MESSAGE: Final = re.compile(r'42(0|[1-9][0-9]{0,8})\["chat message",')


class SocketEvents:
    """What clients may ask for, once they are here."""

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
        """Let the server call us."""
        self._on(server, events.ONLINE, events.GoOnline, self._online)
        self._on(server, events.JOIN_ROOM, events.JoinRoom, self._join_room)
        self._on(server, events.LEAVE_ROOM, events.LeaveRoom, self._leave_room)
        self._on(server, events.CHAT_MESSAGE, events.SendMessage, self._chat_message)
        server.on("*", self._unknown)
        server.take = self._take

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
                    # Whoever floods is closed with much still to be answered: that is no outage of ours.
                    raise Refused(RATE_LIMITED, "This connection is closed. Send it again on the next one.")
                result = await handle(client, _read(kind, client, payload))
                return result.model_dump(by_alias=True)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is logged and answered
                return self._refuse(client, error, name)

        server.on(name, handler)

    def _refuse(self, client: Client | None, error: Exception, event: str) -> Answer:
        facts = {"sid": client.sid, "up": client.up} if client else {}
        return refusing.answer(error, event=event, **facts)

    async def _unknown(self, event: str, sid: str, *_payload: object) -> Answer:
        return self._refuse(self._rooms.clients.get(sid), Refused(UNKNOWN_EVENT), str(event)[:64])

    async def _online(self, client: Client, _event: events.GoOnline) -> events.Ok:
        self._spend(client)
        await self._presence.online(client)
        return events.Ok()

    async def _join_room(self, client: Client, event: events.JoinRoom) -> events.JoinRoomOk:
        self._spend(client)
        self._require_member(client, event.room)
        joined = self._joining.join(client, event.room, event.since)
        return events.JoinRoomOk(**joined.model_dump())

    async def _leave_room(self, client: Client, event: events.LeaveRoom) -> events.Ok:
        self._spend(client)
        self._require_member(client, event.room)
        self._rooms.leave(client, event.room)
        return events.Ok()

    async def _chat_message(self, client: Client, event: events.SendMessage) -> events.SendMessageOk:
        """The ordinary way of a message. Unlike the short one it waits for what becomes of it."""
        self._spend(client, event_cost(event.message))
        answered: asyncio.Future[events.SendMessageOk] = asyncio.get_running_loop().create_future()

        def tell(message_id: str, outcome: Entry | Refused) -> None:
            if answered.done():
                return
            if isinstance(outcome, Refused):
                answered.set_exception(outcome)
            else:
                ok = events.SendMessageOk(id=message_id, seq=outcome.seq, timestamp=outcome.timestamp)
                answered.set_result(ok)

        self._send(client, event, tell)
        return await answered

    def _take(self, client: Client, text: str) -> bool:
        """Take a message the short way and answer it. False: it has to go the ordinary one.

        While a client rests after a refusal, its messages are not looked into.
        """
        found = _CHAT_MESSAGE.match(text)
        if found is None or client.gone or is_larger(text, self._max_event_bytes):
            return False
        ack_id = found[1]
        if client.resting is not None:
            _RESTING.inc()
            client.answer(ack(ack_id, client.resting))
            return True
        try:
            self._spend(client, event_cost(text))
            payload = orjson.loads(text[found.end(1) :])[1]
            event = _read(events.SendMessage, client, (payload,))
            self._send(client, event, partial(self._tell, client, ack_id))
        except orjson.JSONDecodeError:
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, it is logged and answered
            client.answer(ack(ack_id, self._refuse_message(client, error)))
        return True

    def _tell(self, client: Client, ack_id: str, message_id: str, outcome: Entry | Refused) -> None:
        if isinstance(outcome, Refused):
            client.answer(ack(ack_id, self._refuse_message(client, outcome)))
        else:
            client.answer(message_ack(ack_id, message_id, outcome.seq, outcome.timestamp))

    def _refuse_message(self, client: Client, error: Exception) -> Answer:
        """Refuse a message of the short way. Who was told to wait is not read until it may try again."""
        refusal = self._refuse(client, error, events.CHAT_MESSAGE)
        if isinstance(error, Refused) and error.retry_after_s is not None:
            client.rest(min(error.retry_after_s, MAX_REST_S), refusal)
        return refusal

    def _spend(self, client: Client, amount: float = 1.0) -> None:
        """Count what a user asks for, good or bad. Raises `Refused`; who goes on all the same is closed."""
        now = asyncio.get_running_loop().time()
        if not self._messages.pay(client.up, now, amount):
            metrics.LIMIT_HITS.labels(limit="messages").inc()
            if self._messages.ignores_refusals(client.up, now):
                self._close(client, RATE_LIMITED.code)
            raise Refused(RATE_LIMITED, retry_after_s=self._messages.wait_s(client.up, now, amount))

    def _send(self, client: Client, event: events.SendMessage, tell: TellSender) -> None:
        """Check a message and publish it. Raises `Refused`."""
        self._require_member(client, event.room)
        if is_larger(event.message, MAX_TEXT_BYTES):
            raise Refused(TOO_LARGE, f"A message has at most {MAX_TEXT_BYTES} bytes.")
        if client.unacked >= self._max_unacked:
            metrics.LIMIT_HITS.labels(limit="unacked messages of a connection").inc()
            raise Refused(RATE_LIMITED, "Too many messages wait for their ack.")
        message_id = event.id or new_id()

        def settled(outcome: Entry | Refused) -> None:
            client.unacked -= 1
            tell(message_id, outcome)

        client.unacked += 1
        try:
            self._publisher.publish(message_id, event, settled)
        except BaseException:
            client.unacked -= 1
            raise

    def _require_member(self, client: Client, room: str) -> None:
        if not self._memberships.is_member(room, client.up):
            raise Refused(NOT_A_MEMBER)


def _read(kind: type[Event], client: Client, payload: tuple[object, ...]) -> Event:
    """Return the validated payload. It must be of the token's user, whatever it says."""
    if not payload or not isinstance(payload[0], dict):
        raise Refused(INVALID_PAYLOAD, "payload: Input should be an object")
    event = checked(kind, payload[0])
    if getattr(event, "up", client.up) != client.up:
        raise Refused(UP_MISMATCH)
    return event
