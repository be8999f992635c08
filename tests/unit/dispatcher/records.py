"""Records as the client library hands them over."""

from aiokafka import ConsumerRecord

from schemas.log_records import Record, encode
from tests.records import consumed


def record(value: Record, *, offset: int = 0, topic: str = "edge.status") -> ConsumerRecord:
    """Return what stands at ``offset``."""
    return consumed(topic, encode(value, key="key", source="test"), offset=offset)
