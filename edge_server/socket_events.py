"""An event becomes a call, its result the ack; a refusal becomes the ack ``{error: {code, message}}``.

This is the only place that knows python-socketio's handlers. What an event means stands elsewhere.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from socketio.exceptions import ConnectionRefusedError as Rejected

from edge_server.clients import Client
from edge_server.frames import event_text
from edge_server.handshake import Handshake, Joining
from edge_server.presence import Presence
from edge_server.publish import Publisher
from edge_server.rooms import Rooms
from edge_server.settings import EdgeSettings
from edge_server.socket_server import ChatSocketServer
from edge_server.token_expiry import TokenExpiry
from runtime import logs, metrics, refusing
from runtime.memberships import Memberships
from schemas import client_events as events
from schemas.ids import new_id
from schemas.log_records import MAX_TEXT_BYTES, MessageSent
from schemas.refusals import (
    EXPIRED_TOKEN,
    INVALID_PAYLOAD,
    NOT_A_MEMBER,
    RATE_LIMITED,
    TOO_LARGE,
    UNKNOWN_EVENT,
    UP_MISMATCH,
    Refused,
)

log = logging.getLogger(__name__)

Event = TypeVar("Event", bound=events.ClientEvent)
Answer = dict[str, Any]


class SocketEvents:
    """The edge's side of the Socket.IO contract."""

    def __init__(
        self,
        settings: EdgeSettings,
        server: ChatSocketServer,
        rooms: Rooms,
        memberships: Memberships,
        handshake: Handshake,
        joining: Joining,
        publisher: Publisher,
        presence: Presence,
        expiry: TokenExpiry,
    ) -> None:
        self._settings = settings
        self._server = server
        self._rooms = rooms
        self._memberships = memberships
        self._handshake = handshake
        self._joining = joining
        self._publisher = publisher
        self._presence = presence
        self._expiry = expiry
        self._closing: set[asyncio.Task[None]] = set()
        self.accepting: Callable[[], Refused | None] = lambda: None
        """Says why nobody may connect for now; None when everybody may."""

    def register(self) -> None:
        """Let the server call us."""
        self._server.on("connect", self.connect)
        self._server.on("disconnect", self.disconnect)
        self._on(events.ONLINE, events.GoOnline, self._online)
        self._on(events.JOIN_ROOM, events.JoinRoom, self._join_room)
        self._on(events.LEAVE_ROOM, events.LeaveRoom, self._leave_room)
        self._on(events.CHAT_MESSAGE, events.SendMessage, self._chat_message)
        self._server.on("*", self._unknown)

    async def connect(self, sid: str, _environ: object, auth: object = None) -> None:
        """Accept a client, or raise the library's refusal, which the client gets as ``connect_error``."""
        try:
            if (closed := self.accepting()) is not None:
                raise closed
            identity, since = self._handshake.authenticate(auth)
        except Exception as error:
            body = refusing.answer(error, sid=sid)["error"]
            raise Rejected(body["message"], body) from error
        client = self._handshake.client(sid, identity, self._engine_socket(sid))
        self._rooms.add(client)
        self._expiry.watch(client)
        metrics.CONNECTS.inc()
        # The library confirms the connection when this returns, without an await until it is queued:
        # the rooms are told right after it.
        asyncio.get_running_loop().call_soon(self._welcome, client, since)

    async def disconnect(self, sid: str, reason: str = "") -> None:
        """Forget a client."""
        client = self._rooms.clients.get(sid)
        if client is not None:
            self._forget(client, reason)
            client.end()

    def _forget(self, client: Client, reason: str) -> None:
        client.gone = True
        client.count_as(None)
        metrics.DISCONNECTS.labels(reason=reason or "unknown").inc()
        if self._rooms.remove(client):
            self._presence.left(client)

    def expire(self, client: Client) -> None:
        """Tell a client that its token has expired, and close it."""
        body = refusing.answer(Refused(EXPIRED_TOKEN), sid=client.sid)["error"]
        client.send(event_text(events.REFUSED, body))
        self.close(client, EXPIRED_TOKEN.code)

    def close(self, client: Client, reason: str) -> None:
        """Close a client's connection from our side."""
        self._forget(client, reason)
        self._closing.add(task := asyncio.create_task(self._end(client)))
        task.add_done_callback(self._closing.discard)

    async def closed(self) -> None:
        """Wait until all connections that are being closed have been."""
        await asyncio.gather(*self._closing)

    async def _end(self, client: Client) -> None:
        await self._server.disconnect(client.sid)
        client.end()

    def _welcome(self, client: Client, since: Mapping[str, int]) -> None:
        if not client.gone:
            self._joining.join_all(client, since)
            client.try_direct()

    def _engine_socket(self, sid: str) -> Any:
        return self._server.eio.sockets[self._server.manager.eio_sid_from_sid(sid, "/")]

    def _on(
        self, name: str, kind: type[Event], handle: Callable[[Client, Event], Awaitable[BaseModel]]
    ) -> None:
        async def handler(sid: str, *payload: object) -> Answer:
            client = self._rooms.clients.get(sid)
            try:
                if client is None:
                    raise Refused(INVALID_PAYLOAD, "This connection is closed.")
                result = await handle(client, _read(kind, client, payload))
                return result.model_dump(by_alias=True)
            except Exception as error:
                return self._refuse(client, error, name)

        self._server.on(name, handler)

    def _refuse(self, client: Client | None, error: Exception, event: str) -> Answer:
        facts = {"sid": client.sid, "up": client.up} if client else {}
        return refusing.answer(error, event=event, **facts)

    async def _unknown(self, event: str, sid: str, *_payload: object) -> Answer:
        return self._refuse(self._rooms.clients.get(sid), Refused(UNKNOWN_EVENT), str(event)[:64])

    async def _online(self, client: Client, _event: events.GoOnline) -> events.Ok:
        await self._presence.online(client)
        return events.Ok()

    async def _join_room(self, client: Client, event: events.JoinRoom) -> events.JoinRoomOk:
        self._require_member(client, event.room)
        joined = self._joining.join(client, event.room, event.since)
        return events.JoinRoomOk(**joined.model_dump())

    async def _leave_room(self, client: Client, event: events.LeaveRoom) -> events.Ok:
        self._require_member(client, event.room)
        self._rooms.leave(client, event.room)
        return events.Ok()

    async def _chat_message(self, client: Client, event: events.SendMessage) -> events.SendMessageOk:
        self._require_member(client, event.room)
        if len(event.message.encode(errors="surrogatepass")) > MAX_TEXT_BYTES:
            raise Refused(TOO_LARGE, f"A message has at most {MAX_TEXT_BYTES} bytes.")
        if client.unacked >= self._settings.max_pending_sends_per_client:
            raise Refused(RATE_LIMITED, "Too many messages wait for their ack.")
        message = MessageSent(
            id=event.id or new_id(),
            group=event.room,
            up=client.up,
            message=event.message,
            sent_at=event.timestamp,
        )
        client.unacked += 1
        try:
            acked = await self._publisher.publish(message)
        finally:
            client.unacked -= 1
        log.debug("acked", extra=logs.facts(message_id=acked.id, room=event.room, seq=acked.seq))
        return acked

    def _require_member(self, client: Client, room: str) -> None:
        if not self._memberships.is_member(room, client.up):
            raise Refused(NOT_A_MEMBER)


def _read(kind: type[Event], client: Client, payload: tuple[object, ...]) -> Event:
    """Return the validated payload. It must be of the token's user, whatever it says."""
    if not payload or not isinstance(payload[0], dict):
        raise Refused(INVALID_PAYLOAD, "payload: an object is needed")
    try:
        event = kind.model_validate(payload[0])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Refused(INVALID_PAYLOAD, f"{where}: {first['msg']}") from error
    if getattr(event, "up", client.up) != client.up:
        raise Refused(UP_MISMATCH)
    return event
