"""Tracks whether the one partition of ``edge.status`` is ours, and where reading it continues."""

from collections.abc import Collection
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener

from schemas import topics

PARTITION: Final = TopicPartition(topics.EDGE_STATUS, 0)


class Ownership(ConsumerRebalanceListener):  # type: ignore[misc]
    """Tracks whether the partition is ours, and how often a rebalance has said so."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.held = False
        self.assignments = 0
        self.next_offset: int | None = None

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Do nothing until the next assignment: what is published until then is fenced, if need be."""

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Store whether the partition is ours; continue reading where we were."""
        self.held = PARTITION in assigned
        self.assignments += self.held
        if not self.held:
            self.next_offset = None
        elif self.next_offset is not None:
            self._consumer.seek(PARTITION, self.next_offset)
