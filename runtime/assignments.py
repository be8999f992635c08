"""The dispatcher's newest table, folded from ``dispatch.assignments``.

Gateways and edges each keep their own copy, and need not ask the dispatcher. A table that is not newer than
the present one, by epoch and version, is ignored: a fenced dispatcher can't bring an older table back.
"""

from collections.abc import Callable, Sequence

from aiokafka import ConsumerRecord

from runtime import metrics
from runtime.log_folds import readable
from schemas.assignments import TableAssigned

OnTable = Callable[[TableAssigned], None]


class Assignments:
    """The newest table, and the listeners for its changes."""

    def __init__(self) -> None:
        self.table: TableAssigned | None = None
        self._listeners: list[OnTable] = []

    def on_change(self, listener: OnTable) -> None:
        """Call ``listener`` with each newer table."""
        self._listeners.append(listener)

    def take(self, _partition: int, records: Sequence[ConsumerRecord]) -> None:
        """Fold records of ``dispatch.assignments``."""
        for record, table in readable(records, TableAssigned):
            if table is not None and (self.table is None or table.age_key > self.table.age_key):
                self.table = table
                metrics.TABLE_EPOCH.set(table.epoch)
                metrics.TABLE_VERSION.set(table.version)
                metrics.TABLE_PUBLISHED.set(record.timestamp / 1000)
                for listener in self._listeners:
                    listener(table)
