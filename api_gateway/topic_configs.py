"""Looks whether topics are still configured as their readers need it. It changes nothing.

A topic that somebody changes while services run loses data only days later, and services look only when they
start: the first one to restart would then refuse to. It is no reason to end this one.
"""

import asyncio
import logging
from typing import Any, Final

from aiokafka.errors import KafkaError

from runtime import logs, metrics
from runtime.kafka import new_admin, report_unreachable
from runtime.kafka_topics import ADMIN_CLIENT, config_of
from runtime.settings import KafkaSettings
from schemas import topics

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 300.0


async def watch_topic_configs(settings: KafkaSettings) -> None:
    """Look at all topics, for ever; log and count those that services would not start on."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        admin = new_admin(settings)
        try:
            await admin.start()
            for topic in topics.ALL.values():
                await _look(admin, topic, settings.topic(topic.name))
        except (KafkaError, OSError) as error:
            report_unreachable(ADMIN_CLIENT, error)
        finally:
            await admin.close()


async def _look(admin: Any, topic: topics.Topic, name: str) -> None:
    code, entries = await config_of(admin, name)
    if code:
        return  # Some deployments do not let services read this: they were told so at the start.
    fault = topic.misfit({entry[0]: entry[1] for entry in entries})
    metrics.TOPIC_MISCONFIGURED.labels(topic=topic.name).set(fault is not None)
    if fault is not None:
        log.error(
            "a topic was changed: no service would start on it", extra=logs.facts(topic=name, has=fault)
        )
