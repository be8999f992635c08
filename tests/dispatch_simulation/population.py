"""How many people are online, by where they stand on the circle: evenly spread between a few borders."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from random import Random
from typing import Self

from schemas.up_number import CIRCLE


class Population:
    """Shares of all who are online at an ordinary time; their sum is 1, or more while a crowd is there."""

    def __init__(self, borders: Sequence[int], shares: Sequence[float]) -> None:
        self._borders = borders
        self._below = [0.0, *accumulate(shares)]

    @classmethod
    def zipf(cls, seed: int) -> Self:
        """Return people whose last digit, and the one before, is one in so many by its rank: 1, 1/2, 1/3 …"""
        chance = Random(seed)
        ranked = [1 / rank for rank in range(1, 11)]
        total = sum(ranked)
        last, second = (chance.sample(ranked, 10) for _ in range(2))
        shares = [a * b / total**2 for a in last for b in second]
        return cls([n * CIRCLE // 100 for n in range(101)], shares)

    def with_crowd(self, start: int, end: int, share: float) -> "Population":
        """Return the same people and so many more, evenly between two points."""
        borders = sorted({*self._borders, start, end})
        shares = [
            self.between(low, high) + (share * (high - low) / (end - start) if start <= low < end else 0.0)
            for low, high in pairwise(borders)
        ]
        return Population(borders, shares)

    def below(self, point: int) -> float:
        """Return the share that stands below ``point``."""
        n = bisect_right(self._borders, point) - 1
        if n == len(self._borders) - 1:
            return self._below[-1]
        low, high = self._borders[n], self._borders[n + 1]
        return self._below[n] + (self._below[n + 1] - self._below[n]) * (point - low) / (high - low)

    def between(self, start: int, end: int) -> float:
        """Return the share that stands in ``[start, end)``."""
        return self.below(end) - self.below(start)

    def point_at(self, share: float) -> int:
        """Return the point below which this share stands: the inverse of `below`."""
        n = min(bisect_right(self._below, share), len(self._below) - 1) - 1
        low, high = self._borders[n], self._borders[n + 1]
        part = self._below[n + 1] - self._below[n]
        return min(high, low + round((high - low) * (share - self._below[n]) / part)) if part > 0 else low
