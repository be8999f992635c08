"""The dispatcher's table as a value: which edge holds which shard of the circle of UP numbers.

A shard is an interval ``[start, end)`` of points (see up_number.py). The shards of a table tile the whole
circle, in order. The rule that changes tables is in the dispatcher; this module has only what readers need.
"""

import gzip
import zlib
from bisect import bisect_right
from functools import cached_property
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.ids import EdgeId, ProcessId
from schemas.log_records import MAX_EXACT, BadRecord, Headers, Record
from schemas.up_number import CIRCLE, DIGITS, point_of

TABLE_KEY = "table"

PLAIN_BYTES: Final = 128 * 1024
"""A longer table is compressed: that of 10 000 edges would be 2 MiB, more than a broker accepts."""

MAX_TABLE_BYTES: Final = 32 * 1024 * 1024
_GZIP_MAGIC: Final = b"\x1f\x8b"


class Shard(BaseModel):
    """An interval of the circle and the edge that holds it (none while no edge lives)."""

    model_config = ConfigDict(frozen=True)

    start: int = Field(ge=0, lt=CIRCLE)
    end: int = Field(gt=0, le=CIRCLE)
    edge: EdgeId | None

    @property
    def label(self) -> str:
        """The shard as shown to people: ``3``, ``3[0-4]``, ``3[25-49]``."""
        return shard_label(self.start, self.end)


class TableAssigned(Record):
    """The record on ``dispatch.assignments``: the whole table, newer by (epoch, version).

    Its value is JSON, compressed by gzip if longer than `PLAIN_BYTES`: the first two bytes tell which.
    """

    ce_type = "pt.uni4all.chat.table.assigned.v1"

    epoch: int = Field(ge=0, le=MAX_EXACT, description="Grows with each change of the leading dispatcher.")
    version: int = Field(ge=0, le=MAX_EXACT, description="Grows with each table of one leader.")
    shards: tuple[Shard, ...]
    urls: dict[EdgeId, str] = Field(
        description="Where clients reach each edge that serves; if none does, each that still holds a shard."
    )
    processes: dict[EdgeId, ProcessId] = Field(
        default={},
        description="Which process of each of these edges the dispatcher hears: whoever came by another one "
        "is no longer online. An edge that is not here: not known.",
    )
    draining: tuple[EdgeId, ...] = Field(
        default=(),
        description="Edges that were asked to drain and have not stopped yet. An edge that finds itself here "
        "begins to drain as on SIGTERM; one that finds itself here no longer may serve again.",
    )
    edges_asked: int = Field(
        default=0, ge=0, description="As many edges as an operator asked for; fewer are never wanted."
    )
    leader: str = Field(
        default="", max_length=200, description="Who published it: operators ask that dispatcher."
    )

    @model_validator(mode="after")
    def _tiles_the_circle(self) -> Self:
        bounds = [0, *(shard.end for shard in self.shards)]
        if bounds[-1] != CIRCLE or [shard.start for shard in self.shards] != bounds[:-1]:
            raise ValueError("the shards do not tile the circle")
        return self

    @cached_property
    def _starts(self) -> list[int]:
        return [shard.start for shard in self.shards]

    def value(self) -> bytes:
        """Return the record's value."""
        plain = super().value()
        return plain if len(plain) <= PLAIN_BYTES else gzip.compress(plain, 6, mtime=0)

    @classmethod
    def read(cls, headers: Headers, value: bytes | None) -> Self:
        """Return the table. Raises `BadRecord`, also for a value that begins as gzip and is none."""
        if value is not None and value.startswith(_GZIP_MAGIC):
            value = _unzipped(value)
        return super().read(headers, value)

    @property
    def age_key(self) -> tuple[int, int]:
        """What readers compare: they accept only a table with a larger key."""
        return (self.epoch, self.version)

    def shard_of(self, up: str) -> Shard:
        """Return the shard that holds a well-formed UP number."""
        return self.shards[bisect_right(self._starts, point_of(up)) - 1]


def _unzipped(value: bytes) -> bytes:
    decompressor = zlib.decompressobj(wbits=31)
    try:
        plain = decompressor.decompress(value, MAX_TABLE_BYTES)
    except zlib.error as error:
        raise BadRecord("not gzip") from error
    if not decompressor.eof:
        raise BadRecord(f"cut short, or longer than {MAX_TABLE_BYTES} bytes")
    return plain


def shard_label(start: int, end: int) -> str:
    """Name an interval by last digits read backwards: those that all share, then the range of the next."""
    if end - start == CIRCLE:
        return "[0-9]"
    first, last = f"{start:0{DIGITS}d}", f"{end - 1:0{DIGITS}d}"
    shared = next(i for i in range(DIGITS + 1) if i == DIGITS or first[i] != last[i])
    low, high = first[shared:].rstrip("0"), last[shared:].rstrip("9")
    if not low and not high:
        return first[:shared]
    width = max(len(low), len(high))
    return f"{first[:shared]}[{low.ljust(width, '0')}-{high.ljust(width, '9')}]"
