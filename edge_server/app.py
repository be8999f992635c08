"""Puts the edge together, in the order of a message's way."""

import logging
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web

from edge_server.another_log import AnotherLog
from edge_server.arrivals import gate
from edge_server.cut_off import CutOff
from edge_server.delivery import Delivery
from edge_server.drain import Drain
from edge_server.elsewhere import Elsewhere
from edge_server.engine_requests import allowed_origins
from edge_server.fan_out import FanOut
from edge_server.handshake import Handshake
from edge_server.joining import Joining
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
from runtime import logs, metrics, tracing
from runtime.assignments import Assignments
from runtime.kafka import KeptProducer, partition_of
from runtime.kafka_topics import ensure_topics
from runtime.log_reader import LogReader
from runtime.memberships import Memberships
from runtime.service import Service
from runtime.tokens import TokenVerifier
from schemas import topics

if TYPE_CHECKING:
    from runtime.spans import Spans

log = logging.getLogger(__name__)

SOCKET_IO_PATH = "socket.io"
USED_TOPICS = (topics.MESSAGES, topics.MEMBERSHIPS, topics.USERS, topics.EDGE_STATUS, topics.ASSIGNMENTS)


async def start(service: Service, settings: EdgeSettings) -> str:
    """Start every part. Returns the URL of this edge, when clients may connect there."""
    tokens = TokenVerifier(settings)
    memberships = Memberships()
    rooms = Rooms()
    window = RecentLog(max_bytes=settings.window_bytes, max_records=settings.window_records)
    fan_out = FanOut(rooms)
    spans = tracing.start(service, settings, instance=settings.edge_name)
    delivery, messages = _delivery(settings, rooms, window, fan_out, spans)
    members = LogReader(settings, topics.MEMBERSHIPS, memberships.take)
    assignments = Assignments()
    tables = LogReader(settings, topics.ASSIGNMENTS, assignments.take)

    await service.open_ops()
    await tokens.start(service)
    await ensure_topics(settings, USED_TOPICS)
    producer = await _keep_producer(service, settings)
    publisher = Publisher(settings, producer, delivery, window, spans)
    publisher.start(service)
    presence = Presence(settings, producer)
    presence.start(service)
    await tables.start(service)
    await members.start(service)
    await messages.start(service)

    server = ChatSocketServer(settings)
    joining = Joining(settings, rooms, window, delivery, fan_out, memberships)
    elsewhere = Elsewhere(settings.edge_name, assignments)
    sessions = Sessions(
        settings, server, rooms, Handshake(settings, tokens, memberships), joining, presence, elsewhere
    )
    sessions.start(service)
    fan_out.on_slow = sessions.close_slow
    drain = Drain(elsewhere, rooms)
    moving = Moving(settings, rooms, elsewhere, drain, sessions.close)
    sessions.on_welcome = moving.look_at
    service.supervise("move clients", moving.run)
    SocketEvents(settings, rooms, memberships, joining, publisher, presence, sessions.close).start(server)
    url = await _accept_clients(service, settings, server)
    service.health.ready("name", partial(elsewhere.name_fault, url))
    report = StatusReport(settings, url, producer, rooms, drain, messages=lambda: publisher.written)
    service.supervise("report status", report.run)
    CutOff(settings, rooms, report.silent_s, sessions.close).start(service)
    AnotherLog(rooms, partial(_end_of, messages, settings), joining.tell_hole).start(service)
    service.resources.push_async_callback(_leave, service, settings, drain, report, publisher, sessions)
    return url


def _delivery(
    settings: EdgeSettings, rooms: Rooms, window: RecentLog, fan_out: FanOut, spans: "Spans | None"
) -> tuple[Delivery, LogReader]:
    """Return what gives records their turn, and the reader that brings them."""
    delivery = Delivery(
        rooms,
        window,
        fan_out,
        starts=lambda partition: messages.starts[partition],
        sure_from=lambda partition: messages.sure_from[partition],
        spans=spans,
    )
    metrics.WINDOW_BYTES.set_function(lambda: window.bytes)
    tail = settings.window_records // settings.kafka_partitions
    messages = LogReader(settings, topics.MESSAGES, delivery.take, tail=tail)
    return delivery, messages


async def _keep_producer(service: Service, settings: EdgeSettings) -> KeptProducer:
    producer = KeptProducer(settings)
    service.supervise("producer", producer.run)
    await producer.ready()
    return producer


def _end_of(messages: LogReader, settings: EdgeSettings, group: str) -> int | None:
    return messages.ends.get(partition_of(group.encode(), settings.kafka_partitions))


async def _accept_clients(service: Service, settings: EdgeSettings, server: ChatSocketServer) -> str:
    origins = allowed_origins(settings.origins)
    way_in = gate(settings, server.arrivals, server.eio.sockets, origins)
    app = web.Application(client_max_size=settings.max_frame_bytes, middlewares=[way_in])
    service.supervise("close late arrivals", server.close_late)
    service.supervise("ping clients", server.eio.ping_all)
    server.attach(app, SOCKET_IO_PATH)
    service.resources.push_async_callback(server.shutdown)
    port = await service.serve(app, settings.edge_host, settings.edge_port, log_requests=True)
    url = settings.edge_url or f"http://{settings.edge_host}:{port}"
    log.info("accepting clients", extra=logs.facts(edge=settings.edge_name, url=url))
    return url


async def _leave(
    service: Service,
    settings: EdgeSettings,
    drain: Drain,
    report: StatusReport,
    publisher: Publisher,
    sessions: Sessions,
) -> None:
    """Clients are given away first; an edge that can't go on has no time for that. Then the dispatcher
    hears that we are gone, what is on its way is settled, and whoever is still here is closed."""
    if service.failure is None:
        drain.begin(settings.drain_deadline_s)
        await report.report()
        await drain.until_empty()
    await report.stopped()
    await publisher.drain(settings.settle_on_stop_ms / 1000)
    await sessions.close_all("stopping")
