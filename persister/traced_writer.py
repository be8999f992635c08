"""Batches with records that are traced: a span for each of them, from the batch's write until it is stored.

It stands before the writer only while somebody looks, and changes nothing of what is written.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from persister.batch import Batch
from persister.batch_writer import BatchWriter

if TYPE_CHECKING:
    from runtime.spans import Spans


class TracedWriter:
    """Writes batches as the `BatchWriter` does."""

    def __init__(self, writer: BatchWriter, spans: "Spans", consumer_group: str) -> None:
        self._writer = writer
        self._spans = spans
        self._consumer_group = consumer_group

    async def write(self, batch: Batch, wanted: Callable[[], bool]) -> None:
        """Store a batch. What is not stored in the end has no span."""
        since_ns = time.time_ns()
        await self._writer.write(batch, wanted)
        sources = [message.source for message in batch.messages.values()]
        sources += [fold.source for fold in batch.folds.values()]
        self._spans.processed(sources, since_ns, consumer_group=self._consumer_group)
