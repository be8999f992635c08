"""What a request to the log counts, where there may be only so many a second. Pure.

What it costs edge and broker hardly depends on how many messages it brings. Where few share one nobody
should wait; where many do, waiting a little longer lets even more of them share the next one.
"""

from typing import Final

SHARED_COST: Final = 0.15
"""What each message after the first adds."""
MOST_COST: Final = 2.0


def cost_of(messages: int) -> float:
    """Return what a request counts that brings so many messages: 1 to `MOST_COST`."""
    return min(1.0 + SHARED_COST * max(0, messages - 1), MOST_COST)
