"""Records as the client library's consumers hand them over."""

from aiokafka import ConsumerRecord

from schemas.log_records import Encoded

LOG_APPEND_TIME = 1


def consumed(
    topic: str, record: Encoded, *, offset: int = 0, partition: int = 0, timestamp: int = 1_000
) -> ConsumerRecord:
    """Return what stands at ``offset``; a key of None is what `Encoded` can't say."""
    key: bytes | None = record.key
    return ConsumerRecord(
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp=timestamp,
        timestamp_type=LOG_APPEND_TIME,
        key=key,
        value=record.value,
        checksum=None,
        serialized_key_size=-1 if key is None else len(key),
        serialized_value_size=-1 if record.value is None else len(record.value),
        headers=tuple(record.headers),
    )
