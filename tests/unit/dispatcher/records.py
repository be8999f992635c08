"""Records as the client library hands them over."""

from aiokafka import ConsumerRecord

from schemas.log_records import Record, encode


def record(value: Record, *, offset: int = 0, topic: str = "edge.status") -> ConsumerRecord:
    """Return what stands at ``offset``."""
    written = encode(value, key="key", source="test")
    return ConsumerRecord(
        topic=topic,
        partition=0,
        offset=offset,
        timestamp=0,
        timestamp_type=1,
        key=written.key,
        value=written.value,
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        headers=written.headers,
    )
