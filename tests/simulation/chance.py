"""All chance of a run, from its seed: how long things take, what fails, and what is done when."""

from random import Random
from typing import Final

QUICK_S: Final = 0.004
SLOW_S: Final = 0.6


class Chance:
    """Decides by the seed. While it is calm, nothing fails and nothing is slow."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.calm = False
        choice = self.random.choice
        # Each seed has its own kind of bad luck: a run in which all goes wrong at once gets nowhere.
        self._slow = choice((0.0, 0.02, 0.1))
        self._death = choice((0.0, 0.0, 0.002, 0.01))
        self._failure = choice((0.0, 0.02, 0.1))
        self._broken_poll = choice((0.0, 0.0, 0.01))
        self._leader_death = choice((0.0, 0.0, 0.02, 0.1))
        self._producer_failure = choice((0.0, 0.0, 0.01, 0.05))
        self._longest_rebalance_s = choice((0.0, 0.0, 3.0))

    def delay(self) -> float:
        """Return how long one step takes, in seconds."""
        if not self.calm and self.random.random() < self._slow:
            return self.random.uniform(0.0, SLOW_S)
        return self.random.uniform(0.0, QUICK_S)

    def rebalance(self) -> float:
        """Return how long it takes until a member is told of a rebalance, in seconds."""
        return 0.0 if self.calm else self.random.uniform(0.0, self._longest_rebalance_s)

    def dies(self) -> bool:
        """Say whether a process dies at this very step."""
        return not self.calm and self.random.random() < self._death

    def fails(self) -> bool:
        """Say whether what is asked of another process fails."""
        return not self.calm and self.random.random() < self._failure

    def poll_breaks(self) -> bool:
        """Say whether a consumer fails."""
        return not self.calm and self.random.random() < self._broken_poll

    def producer_fails(self) -> bool:
        """Say whether a producer fails for good at what it is given."""
        return not self.calm and self.random.random() < self._producer_failure

    def leader_dies(self) -> bool:
        """Say whether the leader of a partition dies around the time of a write."""
        return not self.calm and self.random.random() < self._leader_death
