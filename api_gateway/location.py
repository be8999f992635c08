"""Which edge a student connects to: the gateway's own copy of the dispatcher's table.

It calls no other service: logins survive an absent dispatcher. Answers are encoded once for each shard of a
table, because every client requests its location first.
"""

from runtime.assignments import Assignments
from schemas.api import Location
from schemas.assignments import Shard, TableAssigned
from schemas.refusals import NO_EDGE, Refused


class Locations:
    """Answers from the newest table."""

    def __init__(self, assignments: Assignments) -> None:
        self._assignments = assignments
        self._answers: dict[int, bytes] = {}
        assignments.on_change(lambda _table: self._answers.clear())

    def find(self, up: str) -> bytes:
        """Return the `Location` of a well-formed UP number, as JSON. Raises `Refused`: no edge."""
        table = self._assignments.table
        if table is None:
            raise Refused(NO_EDGE)
        shard = table.shard_of(up)
        answer = self._answers.get(shard.start)
        if answer is None:
            answer = self._answers[shard.start] = _answer(table, shard)
        return answer


def _answer(table: TableAssigned, shard: Shard) -> bytes:
    if shard.edge is None or shard.edge not in table.urls:
        raise Refused(NO_EDGE)
    version = f"{table.epoch}.{table.version}"
    location = Location(url=table.urls[shard.edge], edge=shard.edge, shard=shard.label, version=version)
    return location.model_dump_json().encode()
