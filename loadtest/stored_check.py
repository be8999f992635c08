"""Compares history with what was sent, acked and received, once the store has caught up."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from loadtest.crowd import Group
from loadtest.rest import RestApi
from schemas.client_events import ChatMessage

log = logging.getLogger(__name__)

Read = TypeVar("Read")

POLL_EVERY_S: Final = 0.5
PATIENCE_S: Final = 60.0
"""How long history may make no progress, or be unreadable, before the check ends."""


class UnreadError(Exception):
    """History could not be read, so what it lacks is not known. The text says why."""


class Stored(NamedTuple):
    """Faults of history, in messages."""

    lacking: int = 0
    """Seqs that were acked or received and are not there."""
    wrong: int = 0
    """Messages that differ from what was sent, or are there twice or out of order."""


class StoredCheck:
    """Reads history as the first member of each group. ``clock`` gives seconds.

    ``is_as_sent`` returns whether a message of these groups has the seq and content of one that was sent.
    """

    def __init__(
        self,
        api: RestApi,
        token_of: Callable[[str], str],
        clock: Callable[[], float],
        is_as_sent: Callable[[ChatMessage], bool],
    ) -> None:
        self._api = api
        self._token_of = token_of
        self._clock = clock
        self._is_as_sent = is_as_sent
        self._read_at = 0.0
        self._warned = False

    async def compare(self, groups: Sequence[Group], wanted: Mapping[str, Collection[int]]) -> Stored:
        """Compare the history of these groups with what was sent and the wanted seqs (by group's id).

        Raises `UnreadError` if nothing could be read for too long.
        """
        active = [group for group in groups if wanted[group.id]]
        self._read_at = self._clock()
        await self._until_stored({group: max(wanted[group.id]) for group in active})
        lacking = wrong = 0
        for group in active:
            messages = await self._stored(group, min(wanted[group.id]))
            lacking += len({*wanted[group.id]} - {message.seq for message in messages})
            wrong += self._count_wrong(group, messages)
        return Stored(lacking, wrong)

    def _count_wrong(self, group: Group, messages: Sequence[ChatMessage]) -> int:
        """Return how many messages are not as sent, or not newer than those before them."""
        wrong, newest = 0, -1
        for message in messages:
            rises = message.seq > newest
            wrong += not (rises and message.room == group.id and self._is_as_sent(message))
            newest = max(newest, message.seq)
        return wrong

    async def _until_stored(self, behind: dict[Group, int]) -> None:
        """Wait until each group is stored up to its newest seq, or no group makes progress for too long.

        A persister may store one partition after the other, so a single group may wait. Only the progress is
        read: reading all of history would slow down the store.
        """
        reached: dict[Group, int] = {}
        since = self._clock()
        while behind and self._clock() - since < PATIENCE_S:
            for group, newest in tuple(behind.items()):
                up_to = await self._stored_up_to(group, newest)
                if up_to > reached.get(group, -1):
                    reached[group], since = up_to, self._clock()
                if up_to >= newest:
                    del behind[group]
            await asyncio.sleep(POLL_EVERY_S)

    async def _stored_up_to(self, group: Group, newest: int) -> int:
        token = self._token_of(group.members[0])
        page = await self._read_or_none(self._api.page(group.id, token, after=newest - 1, per_page=1))
        return -1 if page is None else page.storedUpTo

    async def _stored(self, group: Group, oldest: int) -> list[ChatMessage]:
        token = self._token_of(group.members[0])
        while True:
            messages = await self._read_or_none(self._api.history(group.id, token, after=oldest - 1))
            if messages is not None:
                return messages
            await asyncio.sleep(POLL_EVERY_S)

    async def _read_or_none(self, reading: Awaitable[Read]) -> Read | None:
        """Return what is read, or None if that fails. Raises `UnreadError` if it has failed for too long."""
        try:
            read = await reading
        except OSError as error:
            why = str(error) or "no answer in time"
            if self._clock() - self._read_at >= PATIENCE_S:
                raise UnreadError(why) from error
            if not self._warned:
                log.warning("history cannot be read (%s): tried again for %.0f s", why, PATIENCE_S)
            self._warned = True
            return None
        self._read_at = self._clock()
        return read
