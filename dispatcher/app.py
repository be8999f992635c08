"""Starts the dispatcher. The ops port opens first: while Kafka is away, health says what it waits for."""

import logging

from dispatcher.leadership import Leadership
from dispatcher.routes import Operators
from dispatcher.settings import DispatcherSettings
from runtime import logs
from runtime.assignments import Assignments
from runtime.kafka_topics import ensure_topics
from runtime.log_reader import LogReader
from runtime.service import Service
from schemas import topics

log = logging.getLogger(__name__)


async def start(service: Service, settings: DispatcherSettings) -> None:
    """Follow the published table, and take part in the group: stand by, or lead."""
    published = Assignments()
    leadership = Leadership(settings, published)
    reader = LogReader(settings, topics.ASSIGNMENTS, published.take)
    service.health.ready("kafka", leadership.fault)
    Operators(settings, leadership, published).add_routes(service.ops)
    port = await service.open_ops()
    log.info("the operators' page is served", extra=logs.facts(port=port))
    if not settings.kafka_durable:
        log.warning("this broker has no transactions: never run a second dispatcher with it")
    await ensure_topics(settings, [topics.EDGE_STATUS, topics.ASSIGNMENTS])
    reader.follow(service)
    service.supervise("leadership", leadership.run)
