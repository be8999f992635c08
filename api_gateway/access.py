"""Who is calling: a student by their token, or the solution by its service token.

It says who somebody is, never what they may do.
"""

import time
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from runtime import metrics
from runtime.bearer import check_bearer
from runtime.budgets import Budgets
from runtime.memberships import Memberships
from runtime.tokens import TokenVerifier
from schemas.refusals import (
    NOT_A_MEMBER,
    NOT_ALLOWED,
    RATE_LIMITED,
    UNAVAILABLE,
    Refused,
)

MOST_NAMED: Final = 10
"""Users that a refusal names."""

Identify = Callable[[str | None], str]
"""Takes the Authorization header, returns the caller. Raises `Refused`."""


class _Known(NamedTuple):
    up: str
    until: float


class KnownTokens:
    """Remembers the tokens it has verified: a signature costs thirty times a look-up.

    A token is believed until it expires, and at most ``trust_s`` before it is verified again, so that a
    withdrawn key takes effect. Only valid tokens are kept, the least recently used goes first.
    """

    def __init__(
        self,
        verifier: TokenVerifier,
        *,
        size: int,
        trust_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._verifier = verifier
        self._size = size
        self._trust_s = trust_s
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def identify(self, authorization: str | None) -> str:
        """Return the UP number of the bearer. Raises `Refused`: missing, invalid or expired token."""
        header = authorization or ""
        known = self._known.get(header)
        if known is not None and known.until > self._clock():
            self._known.move_to_end(header)
            return known.up
        return self._verify(header)

    def _verify(self, header: str) -> str:
        self._known.pop(header, None)
        identity = self._verifier.verify_header(header)
        if header != " ".join(header.split()):
            # There are endless ways to space one token.
            return identity.up
        until = min(identity.expires_at, self._clock() + self._trust_s)
        self._known[header] = _Known(identity.up, until)
        if len(self._known) > self._size:
            self._known.popitem(last=False)
        return identity.up


class Paced:
    """Callers within their budget of requests; past it they are refused before anything is done for them."""

    def __init__(
        self,
        identify: Identify,
        *,
        per_s: float,
        burst: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._identify = identify
        self._budgets = Budgets(per_s, burst)
        self._clock = clock

    def identify(self, authorization: str | None) -> str:
        """Return the caller. Raises `Refused`: what identifying refuses, and rate limited."""
        caller = self._identify(authorization)
        now = self._clock()
        if self._budgets.spend(caller, now) < 0:
            metrics.LIMIT_HITS.labels(limit="requests").inc()
            raise Refused(RATE_LIMITED, retry_after_s=self._budgets.wait_s(caller, now))
        return caller


class NewMembers:
    """How many members each student may add to groups: every edge and gateway keeps a membership for good.

    Removing somebody who is no member counts as one, too: the store keeps that. Whoever has anything left may
    add as many as a request holds, and waits for that before the next one.
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


class ServiceToken:
    """The one token of the solution's own services."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def identify(self, authorization: str | None) -> str:
        """Return the solution's name. Raises `Refused`: missing or invalid token."""
        check_bearer(authorization, self._secret)
        return "solution"


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
        """Return the members of a group, in order."""
        self.require_ready()
        known = self._in_order.get(group)
        if known is None:
            known = sorted(self._memberships.members_of(group))
            if known:
                self._in_order[group] = known
        return known.copy()

    def require_room(self, group: str, ups: Iterable[str], *, most: int) -> None:
        """Raise `Refused` where somebody would be new in the group and is in ``most`` groups or more."""
        full = [up for up in ups if not self.is_member(group, up) and self._memberships.count_of(up) >= most]
        if full:
            metrics.LIMIT_HITS.labels(limit="groups of a user").inc()
            raise Refused(NOT_ALLOWED, f"In too many groups already ({most}): {_some(full)}.")

    def fold(self, group: str, up: str, *, member: bool) -> None:
        """Take a change of our own, durable by now, before it has been read back."""
        self._memberships.set_member(group, up, member)

    def _keep_in_order(self, group: str, up: str, member: bool) -> None:
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
