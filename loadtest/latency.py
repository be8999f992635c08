"""Latencies as counts in buckets of equal relative width. Pure.

The idea is that of HDR histograms: any two can be added, and every percentile is right to 1.6 %.
"""

from collections.abc import Iterable
from typing import Final

_PRECISION_BITS: Final = 7
_SUB_BUCKETS: Final = 1 << (_PRECISION_BITS - 1)


def bucket_of(value: int) -> int:
    """Return the bucket of a value (0 or more, in any unit; here microseconds)."""
    shift = value.bit_length() - _PRECISION_BITS
    return value if shift <= 0 else shift * _SUB_BUCKETS + (value >> shift)


def highest_in(bucket: int) -> int:
    """Return the largest value of a bucket, so that a percentile is never too low."""
    shift = bucket // _SUB_BUCKETS - 1
    if shift <= 0:
        return bucket
    return ((bucket - shift * _SUB_BUCKETS + 1) << shift) - 1


class Latencies:
    """Counts of values in microseconds."""

    __slots__ = ("counts",)

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        self.counts: dict[int, int] = dict(pairs)

    def record(self, value_us: int, times: int = 1) -> None:
        """Count a value so often; a negative one (clocks that disagree) counts as 0."""
        bucket = bucket_of(max(0, value_us))
        self.counts[bucket] = self.counts.get(bucket, 0) + times

    def add(self, other: "Latencies") -> None:
        """Count all that the other has counted."""
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count

    def take(self) -> "Latencies":
        """Return the counts so far, and reset them."""
        taken, self.counts = Latencies(self.counts.items()), {}
        return taken

    @property
    def total(self) -> int:
        """How many values were counted."""
        return sum(self.counts.values())

    def percentile_ms(self, percent: float) -> float:
        """Return the value, in ms, that ``percent`` of all do not exceed; 0.0 where there is none."""
        wanted = self.total * percent / 100
        so_far = 0
        for bucket in sorted(self.counts):
            so_far += self.counts[bucket]
            if so_far >= wanted:
                return highest_in(bucket) / 1000
        return 0.0

    def pairs(self) -> list[tuple[int, int]]:
        """Return pairs of bucket and count, from which `Latencies` can be made again."""
        return sorted(self.counts.items())
