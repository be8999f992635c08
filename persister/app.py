"""The composition root: a persister's parts, put together."""

import time
from functools import partial

from persister.batch_writer import BatchWriter
from persister.dead_letters import DeadLetters
from persister.outage import Outage
from persister.pipeline import Pipeline
from persister.read_records import TOPICS
from persister.settings import PersisterSettings
from runtime import kafka, metrics, tracing
from runtime.kafka_topics import ensure_topics
from runtime.mongo import open_store
from runtime.service import Service
from schemas import topics


async def start(service: Service, settings: PersisterSettings) -> None:
    """Start a persister: first its health, then what it needs, however long that takes."""
    outage = Outage()
    service.health.ready("store", outage.fault)
    # Until the pipeline sets it: a persister that waits for Kafka or the store is behind since its start.
    started = time.monotonic()
    metrics.UNSTORED_AGE_SECONDS.set_function(lambda: time.monotonic() - started)
    await service.open_ops()

    await ensure_topics(settings, (*TOPICS, topics.DEAD_LETTERS))
    producer = kafka.KeptProducer(settings)
    service.supervise("producer", producer.run)
    await producer.ready()
    store = await service.resources.enter_async_context(open_store(settings))

    dead_letters = DeadLetters(producer, consumer=service.name, partitions=settings.kafka_partitions)
    spans = tracing.start(service, settings)
    group = settings.persister_group
    processed = None if spans is None else partial(spans.processed, consumer_group=group)
    writer = BatchWriter(store, dead_letters, outage, processed)
    pipeline = Pipeline(settings, store, writer, outage)
    service.health.ready("consumer group", pipeline.fault)
    service.supervise("persist", pipeline.run)
