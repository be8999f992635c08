"""Switches a client that polls over to its websocket (engine.io's upgrade); no packet is lost or reordered.

The client sends a probe by the websocket (``2probe``). It is answered, and a waiting poll ends. Once the
client has the answer to that poll, it sends the upgrade (``5``): from then on its session is the websocket's,
and packets that still wait are written to it before anything newer. The protocol:
https://socket.io/docs/v4/engine-io-protocol/#upgrade
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from engineio import packet

from edge_server.direct_websocket import DirectWebSocket
from edge_server.settings import EdgeSettings
from edge_server.write_through import WriteThrough
from runtime import metrics


class ComingOver:
    """Handles a websocket's packets in place of its engine.io socket until the client has switched over."""

    def __init__(
        self,
        socket: Any,
        websocket: DirectWebSocket,
        settings: EdgeSettings,
        switched_over: Callable[[Any], None],
        ended: Callable[[Any], None],
    ) -> None:
        self.closed = False
        """Whether the upgrade has failed. The client continues by polling."""
        self._socket = socket
        self._websocket: DirectWebSocket | None = websocket
        self._switched_over = switched_over
        self._ended = ended
        self._queue = WriteThrough(websocket.transport, websocket.close, settings.max_buffered_bytes)
        socket.websocket = websocket
        self._late = asyncio.get_running_loop().call_later(settings.handshake_within_s, self._give_up)

    async def receive(self, received: packet.Packet) -> None:
        """Handle the probe, then the upgrade. Any other packet ends the websocket."""
        kind, socket, websocket = received.packet_type, self._socket, self._websocket
        if websocket is None:
            self.closed = True
        elif kind == packet.PING and received.data == "probe" and not socket.queue.ends_polls:
            # Polls still return waiting packets: our answer to the probe may never arrive. So engine.io's
            # `upgrading`, with which polls return nothing, is never set.
            socket.queue.ends_polls = True
            self._queue.put_nowait(packet.Packet(packet.PONG, "probe"))
            self._queue.flush()
            await socket.queue.put(packet.Packet(packet.NOOP))
        elif kind == packet.UPGRADE and socket.queue.ends_polls and not socket.closed:
            self._switch_over(websocket)
        else:
            self.closed = True

    def ended(self) -> None:
        """Clean up: the websocket is gone, and the session continues by polling."""
        self._late.cancel()
        # A cycle of references would stay until the garbage collector runs, which is rarely.
        self._queue.detach()
        self._websocket = self._socket.websocket = None
        self._socket.queue.ends_polls = False

    def _switch_over(self, websocket: DirectWebSocket) -> None:
        self._late.cancel()
        socket, polled = self._socket, self._socket.queue
        socket.upgraded = True
        socket.queue = self._queue
        websocket.set_handler(socket, partial(self._ended, socket))
        for waiting in polled.take_all():
            self._queue.put_nowait(waiting)
            if waiting is None:
                break
        # A client that still polls, as engine.io's own clients don't, gets the end.
        polled.put_nowait(None)
        self._switched_over(socket)

    def _give_up(self) -> None:
        metrics.LIMIT_HITS.labels(limit="slow handshakes").inc()
        if self._websocket is not None:
            self._websocket.transport.abort()
