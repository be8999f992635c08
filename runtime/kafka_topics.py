"""Creates missing topics and checks existing ones, at the start of each service."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any, Final

from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from aiokafka.structs import TopicPartition

from runtime import logs
from runtime.health import waiting_for
from runtime.kafka import RETRY_AFTER_S, new_admin, report_unreachable, started_consumer, until_reached
from runtime.service import Fatal
from runtime.settings import KafkaSettings
from schemas import topics

log = logging.getLogger(__name__)

ADMIN_CLIENT: Final = "admin client"


async def ensure_topics(settings: KafkaSettings, names: Iterable[str]) -> None:
    """Create the topics that are missing, and check those that exist.

    Raises `Fatal` if ``seq`` would lose its meaning: a topic has another number of partitions, or is missing
    in a later generation, which must begin behind all earlier records. Also if its configuration is not what
    its readers need: a broker that creates topics by itself gives them its own defaults.
    """
    wanted = [topics.ALL[name] for name in names]
    fault = None
    with waiting_for("Kafka") as set_reason:
        while True:
            admin = await until_reached(lambda: new_admin(settings), ADMIN_CLIENT)
            if fault is not None:
                set_reason(fault)
            try:
                for topic in wanted:
                    await _ensure_topic(admin, topic, settings)
            except (KafkaError, OSError) as error:
                # The broker may have died just now: the client asks any that it once knew. Or it advertises a
                # listener that does not exist, which only its address shows.
                fault = type(error).__name__
                set_reason(fault)
                report_unreachable(ADMIN_CLIENT, error, brokers=_addresses(admin))
            else:
                return
            finally:
                await admin.close()
            await asyncio.sleep(RETRY_AFTER_S)


def _addresses(admin: Any) -> str:
    brokers = admin._client.cluster.brokers()  # noqa: SLF001 - nothing public says it
    return ", ".join(sorted(f"{one.host}:{one.port}" for one in brokers))


async def _ensure_topic(admin: Any, topic: topics.Topic, settings: KafkaSettings) -> None:
    partitions = topic.partitions(settings.kafka_partitions)
    name = settings.topic(topic.name)
    described = await _partitions_if_any(admin, name)
    if not described and name != topic.name:
        raise Fatal(f"topic {name} is missing: only `python -m persister.grow` makes it")
    with waiting_for(f"topic {name}") as set_reason:
        while not described:
            refusal = await _create(admin, topic, name, settings)
            if refusal is not None:
                set_reason(f"it cannot be created: {refusal}")
            await asyncio.sleep(RETRY_AFTER_S if refusal else RETRY_AFTER_S / 10)
            described = await _partitions_if_any(admin, name)
    found = len(described)
    if found < partitions or (found > partitions and not topic.grows):
        if not await _are_ignored(settings, name, range(partitions, found)):
            raise Fatal(
                f"topic {name} has {found} partitions, not {partitions}: "
                "the number of partitions must never change in place"
            )
        log.warning("added partitions are ignored", extra=logs.facts(topic=name, partitions=found))
    if settings.kafka_durable:
        await _check_config(
            admin, topic, name, replicas=fewest_replicas(described), wanted=settings.kafka_replication_factor
        )


async def _are_ignored(settings: KafkaSettings, name: str, added: range) -> bool:
    """Return whether partitions were added and are to be ignored: the setting says so, and all are empty.

    That they are empty is not enough. In a new log all partitions are, and a service that was told a wrong
    number of partitions would spread groups by that number.
    """
    if not (added and settings.kafka_ignore_added_partitions):
        return False
    async with started_consumer(settings) as consumer:
        ends = await consumer.end_offsets([TopicPartition(name, n) for n in added])
    return not any(ends.values())


async def _partitions_if_any(admin: Any, name: str) -> Sequence[Any]:
    """Return none for a topic that is missing. Asking for one by name makes some brokers create it."""
    return await partitions_of(admin, name) if name in await admin.list_topics() else ()


async def partitions_of(admin: Any, name: str) -> Sequence[Any]:
    """Return the partitions of a topic that exists, as the brokers describe them."""
    (described,) = await admin.describe_topics([name])
    partitions: Sequence[Any] = described["partitions"]
    return partitions


def fewest_replicas(partitions: Sequence[Any]) -> int:
    """Return how many replicas a topic has: those of the partition that has the fewest; 0 without any."""
    return min((len(one["replicas"]) for one in partitions), default=0)


async def config_of(admin: Any, name: str) -> tuple[int, list[Any]]:
    """Return how a topic is configured: an error's code or 0, and the entries, which begin name, value."""
    (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    ((code, _, _, _, entries),) = answer.resources
    return code, entries


async def _check_config(admin: Any, topic: topics.Topic, name: str, *, replicas: int, wanted: int) -> None:
    code, entries = await config_of(admin, name)
    if code:
        # Some deployments do not let services read this: that is no fault of the topic.
        log.warning(
            "the configuration of a topic cannot be read",
            extra=logs.facts(topic=name, error=for_code(code).__name__),
        )
        return
    found = {entry[0]: entry[1] for entry in entries}
    fault = topic.misfit(found)
    if fault is not None:
        raise Fatal(f"topic {name} has {fault}: change it by kafka-configs.sh --alter before you go on")
    if topics.SEAL.items() <= found.items():
        # Not fatal: the persister runs while the log grows.
        log.warning("a topic is sealed, nobody can write to it", extra=logs.facts(topic=name))
    risk = topics.not_durable(found, replicas, wanted)
    if risk is not None:
        # Not fatal: it ran yesterday.
        log.warning("a topic may lose acked records with one broker", extra=logs.facts(topic=name, has=risk))


async def _create(admin: Any, topic: topics.Topic, name: str, settings: KafkaSettings) -> str | None:
    """Return why the topic cannot be created; None if it will exist in a moment."""
    replicas = settings.kafka_replication_factor
    config = {**topic.config, **topics.in_sync(replicas)}
    new = NewTopic(name, topic.partitions(settings.kafka_partitions), replicas, topic_configs=config)
    ((_, code, *_),) = (await admin.create_topics([new])).topic_errors
    error = for_code(code)
    if code and error is not TopicAlreadyExistsError:
        log.warning("a topic cannot be created", extra=logs.facts(topic=name, error=error.__name__))
        return str(error.__name__)
    return None
