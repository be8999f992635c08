"""Orders edges by a number that changes while a table does. Pure."""

from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush


class Ranking:
    """Returns the edge with the least number without checking all; of equal ones, the first by name."""

    def __init__(self, edges: Iterable[str], figure: Callable[[str], float]) -> None:
        self._figure = figure
        self._heap = [(figure(edge), edge) for edge in edges]
        heapify(self._heap)

    def changed(self, edge: str) -> None:
        """Note that the figure of ``edge`` may be another one."""
        heappush(self._heap, (self._figure(edge), edge))

    def first(self) -> str:
        """Return the edge whose figure is least."""
        while self._figure(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][1]
