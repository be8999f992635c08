"""What members may do, and who may become one: by the log, and within bounds."""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from api_gateway.reading_turns import ReadsOfUsers
from api_gateway.store_reads import StoreReads
from runtime import metrics
from runtime.budgets import Budgets
from runtime.memberships import Memberships
from schemas.documents import MEMBERSHIPS
from schemas.ids import membership_key
from schemas.refusals import NOT_A_MEMBER, NOT_ALLOWED, RATE_LIMITED, UNAVAILABLE, Refused

MAX_NAMED: Final = 10
"""How many users a refusal names."""


class NewMembers:
    """Limits the rate at which a student adds members: every edge and gateway keeps a membership for good.

    Removing somebody who is no member counts, too: the store keeps the tombstone. A request needs a budget
    above 0 and may overdraw it: the next one waits until the budget is above 0 again.
    """

    def __init__(self, *, per_s: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._budgets = Budgets(per_s, burst)
        self._clock = clock

    def spend(self, caller: str, count: int) -> None:
        """Take ``count`` new members from the caller's budget. Raises `Refused`: rate limited."""
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


class FormerMembers:
    """Who has left a group: the log forgets that after a week, the store does not."""

    def __init__(self, reads: StoreReads, reads_of_users: ReadsOfUsers) -> None:
        self._reads = reads
        self._reads_of_users = reads_of_users

    async def require_not(self, group: str, up: str) -> None:
        """Raise `Refused` if ``up`` was a member and is none."""
        # Where a membership has ended, only its key is left.
        ended = {"_id": membership_key(group, up), "up": {"$exists": False}}
        with self._reads_of_users.counted(up):
            found = await self._reads.find(MEMBERSHIPS, ended, limit=1)
        if found:
            raise Refused(NOT_ALLOWED, "You have left the group with this id.")


class MembersOnly:
    """Decides who may read and change a group, by the log alone, once it has been read."""

    def __init__(
        self, memberships: Memberships, not_ready: Callable[[], str | None], max_groups_per_user: int
    ) -> None:
        self._memberships = memberships
        self._not_ready = not_ready
        self._max_groups_per_user = max_groups_per_user
        self._in_order: dict[str, list[str]] = {}
        """Sorted members of the groups that were requested: sorting ten thousand takes 2 ms, and each of them
        may request a hundred times a second."""
        memberships.on_change(self._keep_in_order)

    def require(self, group: str, up: str) -> None:
        """Raise `Refused` unless ``up`` is a member. A group that doesn't exist has no members."""
        self.require_ready()
        if not self.is_member(group, up):
            raise Refused(NOT_A_MEMBER)

    def is_member(self, group: str, up: str) -> bool:
        """Return whether a user is in a group, as far as the log has been read."""
        return self._memberships.is_member(group, up)

    def groups_of(self, up: str) -> list[str]:
        """Return the groups of a user, in order."""
        self.require_ready()
        return sorted(self._memberships.groups_of(up))

    def members_of(self, group: str) -> list[str]:
        """Return the members of a group, in order, as far as the log has been read."""
        members = self._in_order.get(group)
        if members is None:
            members = sorted(self._memberships.members_of(group))
            if members:
                self._in_order[group] = members
        return members.copy()

    def require_few_groups(self, group: str, ups: Iterable[str]) -> None:
        """Raise `Refused` if a user who is new in the group is in as many groups as they may be."""
        most = self._max_groups_per_user
        full = [up for up in ups if not self.is_member(group, up) and self._memberships.count_of(up) >= most]
        if full:
            metrics.LIMIT_HITS.labels(limit="groups of a user").inc()
            raise Refused(NOT_ALLOWED, f"In too many groups already ({most}): {_first_few(full)}.")

    def fold(self, group: str, up: str, *, member: bool) -> None:
        """Fold a change of our own that is durable and not read back yet."""
        self._memberships.set_member(group, up, member)

    def _keep_in_order(self, group: str, up: str, member: bool, _at: int) -> None:
        members = self._in_order.get(group)
        if members is None:
            return
        index = bisect_left(members, up)
        if member:
            members.insert(index, up)
        else:
            del members[index]
        if not members:
            del self._in_order[group]

    def require_ready(self) -> None:
        """Raise `Refused` if members are not known: the log is not read yet, or can no longer be read."""
        if self._not_ready() is not None:
            raise Refused(UNAVAILABLE, "This server does not know all members yet. Try again.")


def _first_few(ups: Sequence[str]) -> str:
    """Return the first few as text: a request may hold thousands."""
    others = f" and {len(ups) - MAX_NAMED} others" if len(ups) > MAX_NAMED else ""
    return ", ".join(ups[:MAX_NAMED]) + others
