"""Ours and the reference in turns (A B A B), after one round of each that does not count.

The machine is shared and noisy: neighbours disturb both sides alike, and the median forgets the worst.
"""

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.table import Row

Figures = dict[str, float]
"""What one round of one side has measured, by name."""

Measure = Callable[[], Awaitable[Figures]]


@dataclass(frozen=True)
class Compared:
    """The rounds of both sides."""

    ours: Sequence[Figures]
    reference: Sequence[Figures]

    def row(self, name: str, figure: str, unit: str, *, better: str = "lower") -> Row:
        """Return a figure's row: the medians, and all samples."""
        ours = [one[figure] for one in self.ours]
        reference = [one[figure] for one in self.reference]
        return Row(name, unit, better, median(ours), median(reference), ours, reference)


async def compare(rounds: int, ours: Measure, reference: Measure) -> Compared:
    """Measure both sides in turns."""
    await ours()
    await reference()
    turns = [(await ours(), await reference()) for _ in range(rounds)]
    return Compared([mine for mine, _ in turns], [theirs for _, theirs in turns])


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of the values do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
