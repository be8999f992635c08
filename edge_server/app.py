"""Puts the edge together, in the order of a message's way."""

import asyncio
import logging

from aiohttp import web

from edge_server.clients import Client
from edge_server.delivery import Delivery
from edge_server.fan_out import FanOut
from edge_server.handshake import Handshake, Joining
from edge_server.presence import Presence
from edge_server.publish import Publisher
from edge_server.recent_log import RecentLog
from edge_server.rooms import Rooms
from edge_server.settings import EdgeSettings
from edge_server.socket_events import SocketEvents
from edge_server.socket_server import ChatSocketServer
from edge_server.status_report import StatusReport
from edge_server.token_expiry import TokenExpiry
from runtime import logs, metrics
from runtime.kafka import ensure_topics, started_producer
from runtime.log_reader import LogReader
from runtime.memberships import Memberships
from runtime.service import Service
from runtime.tokens import TokenVerifier
from schemas import topics
from schemas.refusals import OVERLOADED, Refused

log = logging.getLogger(__name__)

SOCKET_IO_PATH = "/socket.io/"


async def start(service: Service, settings: EdgeSettings) -> str:
    """Start every part. Returns the URL of this edge, when clients may connect there."""
    tokens = TokenVerifier(settings)
    memberships = Memberships()
    rooms = Rooms()
    window = RecentLog(max_bytes=settings.window_bytes, max_records=settings.window_records)
    metrics.WINDOW_BYTES.set_function(lambda: window.bytes)
    fan_out = FanOut(rooms, close_slow=lambda client: events.close(client, "slow_client"))
    delivery = Delivery(rooms, window, fan_out, starts=lambda partition: messages.starts[partition])
    messages = LogReader(
        settings,
        topics.MESSAGES,
        delivery.take,
        tail=settings.window_records // settings.kafka_partitions,
    )
    members = LogReader(settings, topics.MEMBERSHIPS, memberships.take)
    service.health.ready(topics.MESSAGES, messages.ready_fault)
    service.health.ready(topics.MEMBERSHIPS, members.ready_fault)
    await service.open_ops()
    await tokens.start(service)

    await ensure_topics(settings, [topics.MESSAGES, topics.MEMBERSHIPS, topics.USERS, topics.EDGE_STATUS])
    producer = await service.resources.enter_async_context(started_producer(settings))
    publisher = Publisher(settings, producer, delivery, window)
    presence = Presence(settings, producer)
    presence.start(service)
    service.supervise("follow memberships", members.run)
    service.supervise("follow messages", messages.run)
    await members.caught_up.wait()
    await messages.caught_up.wait()

    server = ChatSocketServer(settings)
    expiry = TokenExpiry(lambda client: events.expire(client))
    joining = Joining(settings, rooms, window, delivery, fan_out, memberships)
    events = SocketEvents(
        settings, server, rooms, memberships, Handshake(settings, tokens), joining, publisher, presence, expiry
    )  # fmt: skip
    events.accepting = lambda: None if len(rooms.clients) < settings.edge_capacity else Refused(OVERLOADED)
    events.register()
    service.supervise("expire tokens", expiry.run)
    port = await _accept_clients(service, settings, server)

    url = settings.edge_url or f"http://{settings.edge_host}:{port}"
    report = StatusReport(settings, url, producer, connected=lambda: len(rooms.clients))
    service.supervise("report status", report.run)

    async def leave() -> None:
        """Clients go last: nothing new may come in, what is on its way is settled, then all are told."""
        await report.say("stopped")
        await publisher.drain(settings.settle_on_stop_ms / 1000)
        await _close_all(events, tuple(rooms.clients.values()))

    service.resources.push_async_callback(leave)
    log.info("accepting clients", extra=logs.facts(edge=settings.edge_name, url=url))
    return url


async def _accept_clients(service: Service, settings: EdgeSettings, server: ChatSocketServer) -> int:
    app = web.Application(client_max_size=settings.max_frame_bytes)
    server.attach(app, SOCKET_IO_PATH.strip("/"))
    service.resources.push_async_callback(server.shutdown)
    return await service.serve(app, settings.edge_host, settings.edge_port, log_requests=True)


async def _close_all(events: SocketEvents, clients: tuple[Client, ...]) -> None:
    for client in clients:
        events.close(client, "stopping")
    await events.closed()
