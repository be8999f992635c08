"""Delivery on an edge whose messages are traced: a span for each record that is handed to members here.

It stands between the log and delivery only while somebody looks, and changes nothing of what delivery does.
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiokafka import ConsumerRecord

from edge_server.delivery import Delivery
from edge_server.rooms import Rooms

if TYPE_CHECKING:
    from runtime.spans import Spans


class TracedDelivery:
    """Takes consumed records as `Delivery` does."""

    def __init__(self, delivery: Delivery, rooms: Rooms, spans: "Spans") -> None:
        self._delivery = delivery
        self._rooms = rooms
        self._spans = spans

    def take(self, partition: int, records: Sequence[ConsumerRecord]) -> None:
        """Hand them on. A record of ours that had its turn by its ack is in the span of its sending."""
        since_ns = time.time_ns()
        had_their_turn = self._delivery.head(partition)
        self._delivery.take(partition, records)
        self._spans.processed(
            (record for record in records if record.offset > had_their_turn and self._is_watched(record)),
            since_ns,
        )

    def _is_watched(self, record: ConsumerRecord) -> bool:
        return self._rooms.is_watched((record.key or b"").decode(errors="replace"))
