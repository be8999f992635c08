"""Who is calling: a student by their token, or the solution by its service token.

It identifies callers; it does not decide what they may do.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from runtime import metrics
from runtime.bearer import bearer, check_bearer
from runtime.budgets import Budgets
from runtime.tokens import TokenVerifier
from schemas.refusals import RATE_LIMITED, Refused

Identify = Callable[[str | None], str]
"""Takes the Authorization header, returns the caller. Raises `Refused`."""


class _Verified(NamedTuple):
    up: str
    until: float


class KnownTokens:
    """An LRU cache of verified tokens: verifying a signature costs thirty times a look-up.

    A token is trusted until it expires, at most for ``trust_s``: then it is verified again, so that a
    withdrawn key takes effect. Only valid tokens are kept.
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
        self._known: OrderedDict[str, _Verified] = OrderedDict()

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
        identity = self._verifier.verify(bearer(header))
        if header != " ".join(header.split()):
            # The same token can be written with any spaces: only the plain form is kept.
            return identity.up
        until = min(identity.expires_at, self._clock() + self._trust_s)
        self._known[header] = _Verified(identity.up, until)
        if len(self._known) > self._size:
            self._known.popitem(last=False)
        return identity.up


class RateLimiter:
    """Refuses callers who have used up their budget of requests, before anything is done for them."""

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
        """Return the caller. Raises `Refused`: rate limited, or what ``identify`` raises."""
        caller = self._identify(authorization)
        now = self._clock()
        if not self._budgets.pay(caller, now):
            metrics.LIMIT_HITS.labels(limit="requests").inc()
            raise Refused(RATE_LIMITED, retry_after_s=self._budgets.wait_s(caller, now))
        return caller


def identify_solution(service_token: str, authorization: str | None) -> str:
    """Return the name of the solution, whose services all bear one token. Raises `Refused`."""
    check_bearer(authorization, service_token)
    return "solution"
