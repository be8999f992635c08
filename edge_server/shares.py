"""How much of what waits for the log is whose: who has most of it is refused first when it is too much.

Pure, and two dictionary steps a message: it is asked in the way of each one.
"""

from typing import Final

SMALL: Final = 10
"""Whoever has fewer messages under way is never too much: a burst of a person, or a second of a slow log."""


class Shares:
    """Each user's messages that wait for their turn in the log."""

    __slots__ = ("_of", "_total")

    def __init__(self) -> None:
        self._of: dict[str, int] = {}
        self._total = 0

    def __len__(self) -> int:
        """How many users have something under way."""
        return len(self._of)

    def add(self, up: str) -> None:
        """One more message of a user is under way."""
        self._of[up] = self._of.get(up, 0) + 1
        self._total += 1

    def remove(self, up: str) -> None:
        """A message of a user, added before, has been settled."""
        left = self._of[up] - 1
        self._total -= 1
        if left:
            self._of[up] = left
        else:
            del self._of[up]

    def is_large(self, up: str) -> bool:
        """Say whether a user has an even share of what is under way, or more, and not only a little."""
        own = self._of.get(up, 0)
        return own >= SMALL and own * len(self._of) >= self._total
