"""Looks whether topics are still configured as readers need it, and as safe as is wanted. It changes nothing.

A topic that somebody changes while services run loses data only days later, and services look only when they
start: the first one to restart would then refuse to. It is no reason to end this one.
"""

import asyncio
import logging
from typing import Any, Final

from aiokafka.errors import KafkaError

from runtime import logs, metrics
from runtime.kafka import new_admin, report_unreachable
from runtime.kafka_topics import ADMIN_CLIENT, config_of, fewest_replicas, partitions_of
from runtime.settings import KafkaSettings
from schemas import topics

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 300.0


async def watch_topic_configs(settings: KafkaSettings) -> None:
    """Look at all topics, for ever; log and count those that no service would start on, and unsafe ones."""
    while True:
        admin = new_admin(settings)
        try:
            await admin.start()
            for topic in topics.ALL.values():
                await _look(admin, topic, settings.topic(topic.name), settings.kafka_replication_factor)
        except (KafkaError, OSError) as error:
            report_unreachable(ADMIN_CLIENT, error)
        finally:
            await admin.close()
        await asyncio.sleep(LOOK_EVERY_S)


async def _look(admin: Any, topic: topics.Topic, name: str, wanted: int) -> None:
    code, entries = await config_of(admin, name)
    if code:
        return  # Some deployments do not let services read this: they were told so at the start.
    found = {entry[0]: entry[1] for entry in entries}
    fault = topic.misfit(found)
    metrics.TOPIC_MISCONFIGURED.labels(topic=topic.name).set(fault is not None)
    if fault is not None:
        log.error(
            "a topic was changed: no service would start on it", extra=logs.facts(topic=name, has=fault)
        )
    risk = topics.not_durable(found, fewest_replicas(await partitions_of(admin, name)), wanted)
    metrics.TOPIC_NOT_DURABLE.labels(topic=topic.name).set(risk is not None)
    if risk is not None:
        log.error("a topic may lose acked records with one broker", extra=logs.facts(topic=name, has=risk))
