"""What members may do, and who may become one: by the log, and within bounds."""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from runtime import metrics
from runtime.budgets import Budgets
from runtime.memberships import Memberships
from schemas.refusals import NOT_A_MEMBER, NOT_ALLOWED, RATE_LIMITED, UNAVAILABLE, Refused

MOST_NAMED: Final = 10
"""Users that a refusal names."""


class NewMembers:
    """How many members each student may add to groups: every edge and gateway keeps a membership for good.

    Removing somebody who is no member counts as one, too: the store keeps that. A request needs a budget
    above 0 and may overdraw it by its size: the next one waits until that is paid back.
    """

    def __init__(self, *, per_s: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._budgets = Budgets(per_s, burst)
        self._clock = clock

    def spend(self, caller: str, count: int) -> None:
        """Note so many new members. Raises `Refused`: rate limited."""
        now = self._clock()
        if self._budgets.left(caller, now) <= 0:
            metrics.LIMIT_HITS.labels(limit="new members").inc()
            wait_s = self._budgets.wait_s(caller, now)
            raise Refused(
                RATE_LIMITED,
                "You have changed many members. Wait before you change more.",
                retry_after_s=wait_s,
            )
        self._budgets.spend(caller, now, count)


class MembersOnly:
    """Who may read and change a group. It decides by the log alone, as soon as it has been read once."""

    def __init__(self, memberships: Memberships, not_ready: Callable[[], str | None]) -> None:
        self._memberships = memberships
        self._not_ready = not_ready
        self._in_order: dict[str, list[str]] = {}
        """The members of groups that somebody has asked for: ten thousand are sorted in 2 ms, and any of them
        may ask a hundred times a second."""
        memberships.on_change(self._keep_in_order)

    def require(self, group: str, up: str) -> None:
        """Raise `Refused` unless ``up`` is a member. A group that doesn't exist has no members."""
        self.require_ready()
        if not self.is_member(group, up):
            raise Refused(NOT_A_MEMBER)

    def is_member(self, group: str, up: str) -> bool:
        """Say whether a user is in a group, as far as the log has been read."""
        return self._memberships.is_member(group, up)

    def groups_of(self, up: str) -> list[str]:
        """Return the groups of a user, in order."""
        self.require_ready()
        return sorted(self._memberships.groups_of(up))

    def members_of(self, group: str) -> list[str]:
        """Return the members of a group, in order, as far as the log has been read."""
        known = self._in_order.get(group)
        if known is None:
            known = sorted(self._memberships.members_of(group))
            if known:
                self._in_order[group] = known
        return known.copy()

    def require_few_groups(self, group: str, ups: Iterable[str], *, most: int) -> None:
        """Raise `Refused` where somebody would be new in the group and is in ``most`` groups or more."""
        full = [up for up in ups if not self.is_member(group, up) and self._memberships.count_of(up) >= most]
        if full:
            metrics.LIMIT_HITS.labels(limit="groups of a user").inc()
            raise Refused(NOT_ALLOWED, f"In too many groups already ({most}): {_some(full)}.")

    def fold(self, group: str, up: str, *, member: bool) -> None:
        """Take a change of our own, durable by now, before it has been read back."""
        self._memberships.set_member(group, up, member)

    def _keep_in_order(self, group: str, up: str, member: bool, _at: int) -> None:
        known = self._in_order.get(group)
        if known is None:
            return
        at = bisect_left(known, up)
        if member:
            known.insert(at, up)
        else:
            del known[at]
        if not known:
            del self._in_order[group]

    def require_ready(self) -> None:
        """Raise `Refused` where members are not known: the log is still being read, or can be no more."""
        if self._not_ready() is not None:
            raise Refused(UNAVAILABLE, "This server does not know all members yet. Try again.")


def _some(ups: Sequence[str]) -> str:
    """Name a few: a request may hold thousands."""
    others = f" and {len(ups) - MOST_NAMED} others" if len(ups) > MOST_NAMED else ""
    return ", ".join(ups[:MOST_NAMED]) + others
