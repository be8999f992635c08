"""Starts the edge: its parts, the producer, and the ports."""

import logging

from aiohttp import web

from edge_server.gate import gate
from edge_server.parts import Parts
from edge_server.recent_log import RecentLog
from edge_server.settings import EdgeSettings
from edge_server.socket_server import ChatSocketServer
from runtime import logs, open_files, tracing
from runtime.kafka import KeptProducer
from runtime.kafka_topics import ensure_topics
from runtime.service import Service
from runtime.tokens import TokenVerifier
from schemas import topics

log = logging.getLogger(__name__)

SOCKET_IO_PATH = "socket.io"
USED_TOPICS = (topics.MESSAGES, topics.MEMBERSHIPS, topics.USERS, topics.EDGE_STATUS, topics.ASSIGNMENTS)


async def start(service: Service, settings: EdgeSettings) -> str:
    """Start every part. Return the URL of this edge once clients may connect there."""
    open_files.require(settings.edge_capacity + settings.max_handshakes)
    tokens = TokenVerifier(settings)
    window = RecentLog(max_bytes=settings.window_bytes, max_records=settings.window_records)
    spans = tracing.start(service, settings, instance=settings.edge_name)
    server = ChatSocketServer(settings)
    parts = Parts(settings, server, tokens, KeptProducer(settings), window, spans)

    await service.open_ops()
    await tokens.start(service)
    await ensure_topics(settings, USED_TOPICS)
    await parts.start(service)
    url = await _accept_clients(service, settings, server)
    parts.announce(service, url)
    return url


async def _accept_clients(service: Service, settings: EdgeSettings, server: ChatSocketServer) -> str:
    middleware = gate(settings, server.arrivals, server.eio)
    app = web.Application(client_max_size=settings.max_frame_bytes, middlewares=[middleware])
    service.supervise("close late arrivals", server.close_late)
    service.supervise("ping clients", server.eio.ping_all)
    server.attach(app, SOCKET_IO_PATH)
    service.resources.push_async_callback(server.shutdown)
    port = await service.serve(app, settings.edge_host, settings.edge_port)
    url = settings.url_at(port)
    log.info("accepting clients", extra=logs.facts(edge=settings.edge_name, url=url))
    return url
