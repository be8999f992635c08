"""Builds the parts of an edge, in the order of a message's path.

The server, the producer and the readers are arguments: app.py gives the real ones, the simulation its own.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from edge_server.another_log import AnotherLog
from edge_server.cut_off import CutOff
from edge_server.delivery import Delivery
from edge_server.drain import Drain
from edge_server.elsewhere import Elsewhere
from edge_server.fan_out import FanOut
from edge_server.handshake import Handshake
from edge_server.joining import Joining
from edge_server.message_writer import ROUNDS_PER_S
from edge_server.moving import Moving
from edge_server.presence import Presence
from edge_server.publish import Publisher
from edge_server.recent_log import RecentLog
from edge_server.rooms import Rooms
from edge_server.sessions import Sessions
from edge_server.settings import EdgeSettings
from edge_server.socket_events import SocketEvents
from edge_server.socket_server import ChatSocketServer
from edge_server.status_report import StatusReport
from runtime import metrics
from runtime.assignments import Assignments
from runtime.kafka import KeptProducer, partition_of
from runtime.log_reader import LogReader
from runtime.memberships import Memberships
from runtime.service import Service
from runtime.tokens import TokenVerifier
from schemas import topics
from schemas.ids import new_id

if TYPE_CHECKING:
    from runtime.spans import Spans


class Parts:
    """All parts of an edge, without its ports."""

    def __init__(
        self,
        settings: EdgeSettings,
        server: ChatSocketServer,
        tokens: TokenVerifier,
        producer: KeptProducer,
        window: RecentLog,
        spans: "Spans | None" = None,
        *,
        reader: Callable[..., LogReader] = LogReader,
        rounds_per_s: float = ROUNDS_PER_S,
    ) -> None:
        self._settings = settings
        self._server = server
        self._producer = producer
        self._rooms = rooms = Rooms()
        memberships, assignments = Memberships(), Assignments()
        fan_out = FanOut(rooms)
        delivery = Delivery(
            rooms,
            window,
            fan_out,
            beginning=lambda partition: self._messages.beginnings[partition],
            spans=spans,
        )
        tail = settings.window_records // settings.kafka_partitions
        self._messages = reader(settings, topics.MESSAGES, delivery.consumed, tail=tail)
        self._members = reader(settings, topics.MEMBERSHIPS, memberships.take)
        self._tables = reader(settings, topics.ASSIGNMENTS, assignments.take)
        self._publisher = Publisher(settings, producer, delivery, window, spans, rounds_per_s=rounds_per_s)
        # Eight digits tell it from earlier processes of this edge, and keep the table of all edges small.
        self._process = new_id()[:8]
        self._presence = Presence(settings, producer, self._process)
        self._joining = Joining(settings, rooms, window, delivery, fan_out, memberships)
        self._elsewhere = Elsewhere(settings.edge_name, assignments)
        handshake = Handshake(settings, tokens, memberships)
        self._sessions = Sessions(
            settings, server, rooms, handshake, self._joining, self._presence, self._elsewhere
        )
        close = self._sessions.close
        fan_out.on_slow = self._sessions.close_slow
        self.drain = Drain(self._elsewhere, rooms, self._deaf_s)
        self._moving = Moving(settings, rooms, self._elsewhere, self.drain, close)
        self._sessions.on_welcome = self._moving.check
        self._events = SocketEvents(
            settings, rooms, memberships, self._joining, self._publisher, self._presence, close
        )
        metrics.WINDOW_BYTES.set_function(lambda: window.bytes)

    async def start(self, service: Service) -> None:
        """Start the parts that have to run before clients may connect."""
        service.supervise("producer", self._producer.run)
        await self._producer.ready()
        service.supervise("refuse what waits for too long", self._publisher.refuse_overdue)
        self._presence.start(service)
        for reader in (self._tables, self._members, self._messages):
            await reader.start(service)
        self._sessions.start(service)
        service.supervise("move clients", self._moving.run)
        self._events.start(self._server)

    def announce(self, service: Service, url: str) -> None:
        """Report ``url`` to the dispatcher from now on, and begin the checks that close clients."""
        settings, rooms = self._settings, self._rooms
        service.health.ready("name", partial(self._elsewhere.name_fault, url))
        report = StatusReport(
            settings,
            url,
            self._process,
            self._producer,
            rooms,
            self.drain,
            messages=lambda: self._publisher.written,
            clock=asyncio.get_running_loop().time,
        )
        service.supervise("report status", report.run)
        CutOff(settings, rooms, report.silent_s, self._blind_s, self._sessions.close).start(service)
        another_log = AnotherLog(rooms, self._end_of, self._joining.report_hole)
        service.supervise("find cursors of another log", another_log.run)
        service.resources.push_async_callback(self._leave, service, report)

    def _deaf_s(self) -> float:
        return max(self._messages.deaf_s(), self._members.deaf_s())

    def _blind_s(self) -> float:
        """Return for how long this edge has been deaf and read no table: others may have taken over."""
        return min(self._deaf_s(), self._tables.silent_s())

    def _end_of(self, group: str) -> int | None:
        return self._messages.ends.get(partition_of(group.encode(), self._settings.kafka_partitions))

    async def _leave(self, service: Service, report: StatusReport) -> None:
        """Drain (unless the edge has failed), report that it has stopped, wait for pending messages, and
        close the clients that are left."""
        if service.failure is None:
            self.drain.begin(self._settings.drain_deadline_s)
            await report.report()
            await self.drain.until_empty()
        await report.stopped()
        await self._publisher.drain(self._settings.settle_on_stop_ms / 1000)
        await self._sessions.close_all("stopping")
