"""Puts the edge together, in the order of a message's way."""

import logging

from aiohttp import web

from edge_server.delivery import Delivery
from edge_server.fan_out import FanOut
from edge_server.handshake import Handshake, Joining
from edge_server.presence import Presence
from edge_server.publish import Publisher
from edge_server.recent_log import RecentLog
from edge_server.rooms import Rooms
from edge_server.sessions import Sessions
from edge_server.settings import EdgeSettings
from edge_server.socket_events import SocketEvents
from edge_server.socket_server import ChatSocketServer
from edge_server.status_report import StatusReport
from runtime import logs
from runtime.kafka import ensure_topics, started_producer
from runtime.log_reader import LogReader
from runtime.memberships import Memberships
from runtime.service import Service
from runtime.tokens import TokenVerifier
from schemas import topics

log = logging.getLogger(__name__)

SOCKET_IO_PATH = "socket.io"
USED_TOPICS = (topics.MESSAGES, topics.MEMBERSHIPS, topics.USERS, topics.EDGE_STATUS)


async def start(service: Service, settings: EdgeSettings) -> str:
    """Start every part. Returns the URL of this edge, when clients may connect there."""
    tokens = TokenVerifier(settings)
    memberships = Memberships()
    rooms = Rooms()
    window = RecentLog(max_bytes=settings.window_bytes, max_records=settings.window_records)
    fan_out = FanOut(rooms)
    delivery = Delivery(rooms, window, fan_out, starts=lambda partition: messages.starts[partition])
    tail = settings.window_records // settings.kafka_partitions
    messages = LogReader(settings, topics.MESSAGES, delivery.take, tail=tail)
    members = LogReader(settings, topics.MEMBERSHIPS, memberships.take)

    await service.open_ops()
    await tokens.start(service)
    await ensure_topics(settings, USED_TOPICS)
    producer = await service.resources.enter_async_context(started_producer(settings))
    publisher = Publisher(settings, producer, delivery, window)
    presence = Presence(settings, producer)
    presence.start(service)
    await members.start(service)
    await messages.start(service)

    server = ChatSocketServer(settings)
    joining = Joining(settings, rooms, window, delivery, fan_out, memberships)
    handshake = Handshake(settings, tokens)
    sessions = Sessions(server, rooms, handshake, joining, presence, capacity=settings.edge_capacity)
    sessions.start(service)
    fan_out.on_slow(sessions.close_slow)
    SocketEvents(settings, rooms, memberships, joining, publisher, presence).start(server)
    url = await _accept_clients(service, settings, server)
    report = StatusReport(settings, url, producer, connected=lambda: len(rooms.clients))
    service.supervise("report status", report.run)
    service.resources.push_async_callback(_leave, settings, report, publisher, sessions)
    return url


async def _accept_clients(service: Service, settings: EdgeSettings, server: ChatSocketServer) -> str:
    app = web.Application(client_max_size=settings.max_frame_bytes)
    server.attach(app, SOCKET_IO_PATH)
    service.resources.push_async_callback(server.shutdown)
    port = await service.serve(app, settings.edge_host, settings.edge_port, log_requests=True)
    url = settings.edge_url or f"http://{settings.edge_host}:{port}"
    log.info("accepting clients", extra=logs.facts(edge=settings.edge_name, url=url))
    return url


async def _leave(
    settings: EdgeSettings, report: StatusReport, publisher: Publisher, sessions: Sessions
) -> None:
    """The dispatcher hears it first, what is on its way is settled, and clients go last."""
    await report.say("stopped")
    await publisher.drain(settings.settle_on_stop_ms / 1000)
    await sessions.close_all("stopping")
