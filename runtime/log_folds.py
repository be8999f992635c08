"""Reading records for folds: those that can't be read are counted and left out."""

import logging
from collections.abc import Iterator, Sequence
from typing import TypeVar

from aiokafka import ConsumerRecord

from runtime import logs, metrics
from schemas.log_records import BadRecord, Record
from schemas.topics import of_any_generation

log = logging.getLogger(__name__)

R = TypeVar("R", bound=Record)


def readable(records: Sequence[ConsumerRecord], kind: type[R]) -> Iterator[tuple[ConsumerRecord, R | None]]:
    """Yield each record with what it says; a tombstone says None."""
    for record in records:
        try:
            said = None if record.value is None else kind.read(record.headers, record.value)
        except BadRecord as error:
            leave_out(record, error)
        else:
            yield record, said


def leave_out(record: ConsumerRecord, error: BadRecord) -> None:
    """Count and log a record that can't be read."""
    metrics.BAD_RECORDS.labels(topic=of_any_generation(record.topic)).inc()
    facts = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    log.warning("a record cannot be read", extra=logs.facts(**facts, reason=str(error)))
