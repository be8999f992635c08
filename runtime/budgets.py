"""Budgets: rate limits with a burst (token buckets). Pure: times are arguments.

What is left may go below 0: a debt, at most twice the burst. Nothing is admitted until it is paid back at the
budget's rate. So a spender that ignores refusals has to wait longer, and its debt shows that it does.
"""

import math
from typing import Final

SWEEP_FROM: Final = 1_024
SHARED_COST: Final = 0.15
"""What each message of a request to the log adds after the first."""
MOST_REQUEST_COST: Final = 2.0
FEWEST_REFUSALS: Final = 10
"""However large the amounts, so many are refused before the debt says that refusals are ignored."""


def request_cost(messages: int) -> float:
    """Return the charge for a request to the log with so many messages: 1 to `MOST_REQUEST_COST`.

    Its cost for edge and broker hardly depends on their number. While few messages share a request none
    should wait; when many do, a little longer wait lets even more of them share the next one.
    """
    return min(1.0 + SHARED_COST * max(0, messages - 1), MOST_REQUEST_COST)


class Budget:
    """One spender's budget: ``burst`` at once, and ``per_s`` a second (both above 0)."""

    __slots__ = ("_at", "_burst", "_left", "_per_s")

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._left = burst
        self._at: float | None = None

    def spend(self, now: float, amount: float = 1.0) -> float:
        """Spend some; return what is left. Below 0 it was too much; the debt is at most twice the burst."""
        self._left = max(self.left(now) - amount, -2.0 * self._burst)
        self._at = now
        return self._left

    def pay(self, now: float, amount: float = 1.0) -> bool:
        """Spend an amount if there is so much, and owe it otherwise. Return whether there was.

        It counts at most the burst: a full budget allows any amount once.
        """
        amount = min(amount, self._burst)
        left = self.left(now)
        if left < amount:
            self.owe(now, amount)
            return False
        self._left, self._at = left - amount, now
        return True

    def take(self, now: float) -> bool:
        """Spend 1 if there is so much, and owe nothing otherwise. Return whether there was."""
        if self.left(now) < 1:
            return False
        self.spend(now)
        return True

    def owe(self, now: float, amount: float) -> None:
        """Charge a refused amount: at most a tenth of the burst.

        So a spender is refused ten times before its debt is the burst.
        """
        self.spend(now, max(1.0, min(amount, self._burst / FEWEST_REFUSALS)))

    def left(self, now: float) -> float:
        """Return what may be spent at once."""
        if self._at is None or now <= self._at:
            return self._left
        left = self._left + (now - self._at) * self._per_s
        return min(self._burst, left)

    def owes_burst(self, now: float) -> bool:
        """Return whether the debt is as large as the burst."""
        return self.left(now) <= -self._burst

    def is_full(self, now: float) -> bool:
        """Return whether this budget is as a new one, so that it may be forgotten."""
        return self.left(now) >= self._burst


class Budgets:
    """One budget a spender. Budgets that are full again are forgotten."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._budgets: dict[str, Budget] = {}
        self._sweep_at = SWEEP_FROM

    def left(self, spender: str, now: float) -> float:
        """Return what a spender may spend at once."""
        budget = self._budgets.get(spender)
        return self._burst if budget is None else budget.left(now)

    def spend(self, spender: str, now: float, amount: float = 1.0) -> float:
        """Spend some; return what is left, as `Budget.spend` does."""
        return self._of(spender, now).spend(now, amount)

    def pay(self, spender: str, now: float, amount: float = 1.0) -> bool:
        """Spend an amount if there is so much, as `Budget.pay` does; return whether there was."""
        budget = self._budgets.get(spender) or self._of(spender, now)
        return budget.pay(now, amount)

    def owe(self, spender: str, now: float, amount: float) -> None:
        """Charge a refused amount, as `Budget.owe` does."""
        self._of(spender, now).owe(now, amount)

    def ignores_refusals(self, spender: str, now: float) -> bool:
        """Return whether a spender owes as much as the burst: it has ignored at least ten refusals."""
        budget = self._budgets.get(spender)
        return budget is not None and budget.owes_burst(now)

    def wait_s(self, spender: str, now: float, amount: float = 1.0) -> int:
        """Return after how many whole seconds a spender can pay an amount, if nothing is spent meanwhile."""
        return max(1, math.ceil((min(amount, self._burst) - self.left(spender, now)) / self._per_s))

    def _of(self, spender: str, now: float) -> Budget:
        budget = self._budgets.get(spender)
        if budget is None:
            if len(self._budgets) >= self._sweep_at:
                self._sweep(now)
            budget = self._budgets[spender] = Budget(self._per_s, self._burst)
        return budget

    def _sweep(self, now: float) -> None:
        """Forget full budgets. Done again once their number has doubled: a constant cost a spender."""
        self._budgets = {who: budget for who, budget in self._budgets.items() if not budget.is_full(now)}
        self._sweep_at = max(SWEEP_FROM, 2 * len(self._budgets))
