"""Connects, disconnects and closes clients.

Like socket_events.py it is called by python-socketio; the events of connected clients are handled there.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

from socketio.exceptions import ConnectionRefusedError as NotLetIn

from edge_server.clients import Client
from edge_server.elsewhere import Elsewhere
from edge_server.frames import event_frame
from edge_server.handshake import Handshake
from edge_server.joining import Joining
from edge_server.presence import Presence
from edge_server.rooms import Rooms
from edge_server.settings import EdgeSettings
from edge_server.socket_server import ChatSocketServer
from edge_server.token_expiry import TokenExpiry
from runtime import metrics, refusing
from runtime.service import Service
from schemas.client_events import REFUSED, ConnectRefused
from schemas.refusals import (
    EXPIRED_TOKEN,
    SLOW_CLIENT,
    TOO_MANY_CONNECTIONS,
    Refusal,
    Refused,
)


class Sessions:
    """The connections of this edge, bounded in all and for each user."""

    def __init__(
        self,
        settings: EdgeSettings,
        server: ChatSocketServer,
        rooms: Rooms,
        handshake: Handshake,
        joining: Joining,
        presence: Presence,
        elsewhere: Elsewhere,
    ) -> None:
        self._server = server
        self._rooms = rooms
        self._handshake = handshake
        self._joining = joining
        self._presence = presence
        self._elsewhere = elsewhere
        self._capacity = settings.edge_capacity
        self._most_of_user = settings.max_connections_per_user
        self._max_bytes = settings.max_buffered_bytes
        self._max_packets = settings.max_queued_packets
        self._expiry = TokenExpiry(partial(self._refuse, refusal=EXPIRED_TOKEN))
        self._closing: set[asyncio.Task[None]] = set()
        self.on_welcome: Callable[[Client], None]
        """Called with each client that has joined its rooms. Has to be set before clients are let in."""

    def start(self, service: Service) -> None:
        """Accept clients from now on, and close them when their tokens expire."""
        self._server.on("connect", self._connect)
        self._server.on("disconnect", self._disconnect)
        self._server.on_switched_over = self._switched_over
        service.supervise("expire tokens", self._expiry.run)

    def close_slow(self, client: Client) -> None:
        """Close a client that does not read what it is sent, so without a last packet."""
        client.abort()
        self.close(client, SLOW_CLIENT.code)

    def close(self, client: Client, reason: str) -> None:
        """Close a client's connection from our side, once."""
        if client.gone:
            return
        self._forget(client, reason)
        self._closing.add(task := asyncio.create_task(self._end(client)))
        task.add_done_callback(self._closing.discard)

    async def close_all(self, reason: str) -> None:
        """Close all clients, and wait until they are closed."""
        for client in tuple(self._rooms.clients.values()):
            self.close(client, reason)
        await asyncio.gather(*self._closing)

    async def _connect(self, sid: str, _environ: object, auth: object = None) -> None:
        """Accept a client, or raise the library's refusal, which the client gets as ``connect_error``."""
        try:
            client, since = self._admit(sid, auth)
        except Exception as error:
            body = refusing.answer(error, sid=sid)["error"]
            data = ConnectRefused(**body, url=self._other_edge_url(error, auth))
            raise NotLetIn(data.message, data.model_dump(exclude_none=True)) from error
        self._rooms.add(client)
        self._close_oldest(client.up)
        self._expiry.watch(client)
        metrics.CONNECTS.inc()
        # The library confirms the connection when this returns, without an await until that is queued:
        # `joined` is sent right after it.
        asyncio.get_running_loop().call_soon(self._welcome, client, since)

    def _admit(self, sid: str, auth: object) -> tuple[Client, Mapping[str, int]]:
        if len(self._rooms.clients) >= self._capacity:
            metrics.LIMIT_HITS.labels(limit="clients").inc()
            raise refusing.NoCapacity
        identity, since = self._handshake.authenticate(auth)
        self._handshake.require_budget(identity.up)
        socket = self._server.eio.sockets[self._server.manager.eio_sid_from_sid(sid, "/")]
        client = Client(sid, identity, socket, max_bytes=self._max_bytes, max_packets=self._max_packets)
        return client, since

    def _close_oldest(self, up: str) -> None:
        """Close a user's oldest connections if there are too many: they are the likeliest to be dead."""
        clients = self._rooms.of_user(up)
        for oldest in clients[: max(0, len(clients) - self._most_of_user)]:
            metrics.LIMIT_HITS.labels(limit="connections of a user").inc()
            self._refuse(oldest, TOO_MANY_CONNECTIONS)

    def _other_edge_url(self, error: Exception, auth: object) -> str | None:
        """Return another edge's URL for a client that is refused for capacity, if its token is valid."""
        if not isinstance(error, refusing.NoCapacity):
            return None
        try:
            identity, _ = self._handshake.authenticate(auth)
        except Refused:
            return None
        return self._elsewhere.url_of_another(identity.up)

    def _welcome(self, client: Client, since: Mapping[str, int]) -> None:
        if not client.gone:
            self._joining.join_all(client, since)
            client.go_direct()
            self.on_welcome(client)

    def _switched_over(self, sid: str) -> None:
        """Make a client direct that polled and has switched over to its websocket."""
        if (client := self._rooms.clients.get(sid)) is not None:
            client.go_direct()

    async def _disconnect(self, sid: str, reason: str) -> None:
        client = self._rooms.clients.get(sid)
        if client is not None:
            self._forget(client, reason)
            client.end()

    def _refuse(self, client: Client, refusal: Refusal) -> None:
        """Send ``refused``, and close."""
        body = refusing.answer(Refused(refusal), sid=client.sid)["error"]
        client.send(event_frame(REFUSED, body))
        self.close(client, refusal.code)

    def _forget(self, client: Client, reason: str) -> None:
        client.gone = True
        client.count_as(None)
        metrics.DISCONNECTS.labels(reason=reason).inc()
        if self._rooms.remove(client):
            self._presence.left(client)

    async def _end(self, client: Client) -> None:
        await self._server.disconnect(client.sid)
        client.end()
