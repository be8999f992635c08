"""Writes records that cannot be stored to the topic of dead letters, with the reason, before the commit.

After a restart the same record may be written twice, with the same ``ce_id``.
"""

import asyncio
import logging
from base64 import b64encode
from collections.abc import Sequence
from typing import Final

from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError

from persister.read_records import Poison
from runtime import kafka, logs, metrics
from schemas import topics
from schemas.log_records import DeadLetter, Encoded, header, headers_of

log = logging.getLogger(__name__)
log.addFilter(logs.RateLimit())

# Base64 makes four bytes of three, JSON six of a control character in a header, and the whole must stay below
# the broker's limit of 1 MiB a record: a letter that is refused holds its partition up for good.
MAX_VALUE_BYTES: Final = 512 * 1024
MAX_KEY_BYTES: Final = 16 * 1024
MAX_HEADERS: Final = 32
MAX_HEADER_CHARS: Final = 512
CUT: Final = "(cut here:"
"""Marks, in its reason, a letter that does not hold its whole record. It must not be sent again."""


class DeadLetters:
    """Writes to ``chat.dead-letters``."""

    def __init__(self, producer: kafka.KeptProducer, *, consumer: str, partitions: int) -> None:
        self._producer = producer
        self._consumer = consumer
        self._partitions = partitions

    async def write(self, poison: Sequence[Poison]) -> None:
        """Write dead letters; return once every in-sync replica has them. Raises `KafkaError`."""
        await self._producer.ready()
        await asyncio.gather(*map(self._write, poison))
        for record in poison:
            _report(record)

    async def _write(self, poison: Poison) -> None:
        letter = dead_letter(poison, self._consumer)
        try:
            await (await kafka.write(self._producer, topics.DEAD_LETTERS, letter, self._partitions))
        except KafkaError as error:
            log.error(
                "a dead letter cannot be written", extra=logs.facts(**_position(poison), error=repr(error))
            )
            # The pipeline restarts, as after every failure, and shows the reason in its readiness.
            raise KafkaError(f"a dead letter cannot be written: {error!r}") from error


def dead_letter(poison: Poison, consumer: str) -> Encoded:
    """Return the dead letter of a record, under its key. Huge parts are cut."""
    record = poison.source
    letter = DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        reason=poison.reason + _cuts(record),
        consumer=consumer,
        key_base64=_base64(record.key, MAX_KEY_BYTES),
        value_base64=_base64(record.value, MAX_VALUE_BYTES),
        headers=_headers(record),
    )
    ce_id = f"{record.topic}/{record.partition}/{record.offset}"
    headers = headers_of(DeadLetter.ce_type, source=consumer, ce_id=ce_id)
    return Encoded((record.key or b"")[:MAX_KEY_BYTES], letter.value(), headers)


def _base64(content: bytes | None, at_most: int) -> str | None:
    return None if content is None else b64encode(content[:at_most]).decode()


def _text(content: bytes | None) -> str:
    return (content or b"").decode(errors="backslashreplace")[:MAX_HEADER_CHARS]


def _headers(record: ConsumerRecord) -> list[tuple[str, str]]:
    return [(name[:MAX_HEADER_CHARS], _text(value)) for name, value in record.headers[:MAX_HEADERS]]


def _cuts(record: ConsumerRecord) -> str:
    value_bytes, key_bytes = len(record.value or b""), len(record.key or b"")
    if value_bytes > MAX_VALUE_BYTES or key_bytes > MAX_KEY_BYTES:
        return f" {CUT} the value has {value_bytes} bytes, the key {key_bytes})"
    if [(name, text.encode()) for name, text in _headers(record)] != list(record.headers):
        longest = max(max(len(name), len(value or b"")) for name, value in record.headers)
        return (
            f" {CUT} its {len(record.headers)} headers, the longest of {longest} bytes, "
            "are too many or too long, or one has no value or none in UTF-8)"
        )
    return ""


def _position(poison: Poison) -> dict[str, object]:
    record = poison.source
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}


def _report(poison: Poison) -> None:
    record = poison.source
    metrics.DEAD_LETTERS.labels(topic=topics.of_any_generation(record.topic)).inc()
    log.error(
        "a record was set aside",
        extra=logs.facts(
            message=f"{_text(record.key)}/{_text(header(record.headers, 'ce_id'))}",
            **_position(poison),
            reason=poison.reason,
        ),
    )
