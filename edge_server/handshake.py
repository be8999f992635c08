"""Logs a client in: checks its token, and limits how often each user connects."""

import asyncio
from collections.abc import Mapping
from typing import Final

from edge_server.settings import EdgeSettings
from runtime import metrics
from runtime.budgets import Budgets
from runtime.memberships import Memberships
from runtime.tokens import Identity, TokenVerifier
from schemas.client_events import ConnectAuth
from schemas.refusals import MISSING_TOKEN, RATE_LIMITED, Refused, checked

GROUPS_A_CONNECT: Final = 100
"""A connect is charged 1, and 1 more for every so many groups of its user: each is about 1 ms of the edge."""


class Handshake:
    """Checks tokens and budgets."""

    def __init__(self, settings: EdgeSettings, tokens: TokenVerifier, memberships: Memberships) -> None:
        self._tokens = tokens
        self._memberships = memberships
        self._connects = Budgets(settings.connects_per_s_per_user, settings.connects_burst_per_user)

    def authenticate(self, auth: object) -> tuple[Identity, Mapping[str, int]]:
        """Return the identity in the token, and the client's cursors. Raises `Refused`."""
        if not isinstance(auth, Mapping) or "token" not in auth:
            raise Refused(MISSING_TOKEN)
        wanted = checked(ConnectAuth, auth, within="auth")
        return self._tokens.verify(wanted.token), wanted.since or {}

    def require_budget(self, up: str) -> None:
        """Charge a connect to its user's budget, mostly by the number of rooms. Raises `Refused`.

        Only accepted connects are charged: devices that retry must not keep each other out.
        """
        now = asyncio.get_running_loop().time()
        if self._connects.left(up, now) < 1:
            metrics.LIMIT_HITS.labels(limit="connects of a user").inc()
            raise Refused(RATE_LIMITED, retry_after_s=self._connects.wait_s(up, now))
        self._connects.spend(up, now, 1 + self._memberships.count_of(up) / GROUPS_A_CONNECT)
