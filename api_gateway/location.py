"""Which edge a student connects to: the gateway's own copy of the dispatcher's table.

It asks nobody: logins survive a dispatcher that is away. Answers are made once a shard and table, and kept as
bytes, because every client asks this first.
"""

from collections.abc import Sequence

from aiokafka import ConsumerRecord

from runtime import metrics
from runtime.log_folds import readable
from schemas.api import Location
from schemas.assignments import Shard, TableAssigned
from schemas.refusals import NO_EDGE, Refused


class Locations:
    """The newest table that the log holds."""

    def __init__(self) -> None:
        self._table: TableAssigned | None = None
        self._answers: dict[int, bytes] = {}

    def take(self, _partition: int, records: Sequence[ConsumerRecord]) -> None:
        """Fold records of ``dispatch.assignments``: a table that is not newer changes nothing."""
        for record, table in readable(records, TableAssigned):
            if table is not None and self._is_newer(table):
                self._table, self._answers = table, {}
                metrics.TABLE_EPOCH.set(table.epoch)
                metrics.TABLE_VERSION.set(table.version)
                metrics.TABLE_PUBLISHED.set(record.timestamp / 1000)

    def find(self, up: str) -> bytes:
        """Return the `Location` of a well-formed UP number, as JSON. Raises `Refused`: no edge."""
        if self._table is None:
            raise Refused(NO_EDGE)
        shard = self._table.shard_of(up)
        answer = self._answers.get(shard.start)
        if answer is None:
            answer = self._answers[shard.start] = _answer(self._table, shard)
        return answer

    def _is_newer(self, table: TableAssigned) -> bool:
        return self._table is None or table.age_key > self._table.age_key


def _answer(table: TableAssigned, shard: Shard) -> bytes:
    url = None if shard.edge is None else table.urls.get(shard.edge)
    if shard.edge is None or url is None:
        raise Refused(NO_EDGE)
    version = f"{table.epoch}.{table.version}"
    location = Location(url=url, edge=shard.edge, shard=shard.label, version=version)
    return location.model_dump_json().encode()
