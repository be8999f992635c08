"""Reads records for folds. Those that can't be read are counted and skipped."""

import logging
from collections.abc import Iterator, Sequence
from typing import TypeVar

from aiokafka import ConsumerRecord

from runtime import logs, metrics
from schemas.log_records import BadRecord, Record
from schemas.topics import of_any_generation

log = logging.getLogger(__name__)
log.addFilter(logs.RateLimit())

R = TypeVar("R", bound=Record)


def readable(records: Sequence[ConsumerRecord], kind: type[R]) -> Iterator[tuple[ConsumerRecord, R | None]]:
    """Yield each record with its parsed value; None for a tombstone."""
    for record in records:
        try:
            value = None if record.value is None else kind.read(record.headers, record.value)
        except BadRecord as error:
            report_bad_record(record, error)
        else:
            yield record, value


def report_bad_record(record: ConsumerRecord, error: BadRecord) -> None:
    """Count and log a record that can't be read."""
    metrics.BAD_RECORDS.labels(topic=of_any_generation(record.topic)).inc()
    facts = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    log.warning("a record cannot be read", extra=logs.facts(**facts, reason=str(error)))
