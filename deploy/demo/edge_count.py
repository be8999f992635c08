"""Decides when to start one more edge, and when to stop one. Pure: times are arguments, in seconds.

It follows the number that the dispatcher wants: upwards at once, downwards after a delay.
"""

from dataclasses import dataclass
from typing import Final, Literal

MOST: Final = 8
"""Maximum number of edges on one machine."""

CALM_S: Final = 20.0
"""How long the dispatcher must want fewer edges before one is stopped."""

Step = Literal["start", "stop"]


@dataclass
class EdgeCount:
    """Decides, one step at a time. Never fewer than ``least`` edges, never more than `MOST`."""

    least: int
    calm_s: float = CALM_S
    _fewer_since: float | None = None

    def goal(self, wanted: int) -> int:
        """Return the number of edges to run if so many are wanted."""
        return max(self.least, min(wanted, MOST))

    def step(self, now: float, *, serving: int, wanted: int) -> Step | None:
        """Return the next step, given how many edges serve and how many are wanted (0: not known)."""
        goal = self.goal(wanted)
        if wanted == 0 or serving <= goal:
            self._fewer_since = None
            return "start" if wanted and serving < goal else None
        if self._fewer_since is None:
            self._fewer_since = now
        if now - self._fewer_since < self.calm_s:
            return None
        self._fewer_since = None
        return "stop"
