"""Compares history with what was said, acked and received, once the store has caught up."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from loadtest.crowd import Group
from loadtest.rest import RestApi
from schemas.client_events import ChatMessage

log = logging.getLogger(__name__)

Read = TypeVar("Read")

LOOK_EVERY_S: Final = 0.5
PATIENCE_S: Final = 60.0
"""So long may the history of all groups stand still before what it lacks counts, or be out of reach."""


class UnreadError(Exception):
    """History could not be read: what it lacks is not known. The text says why."""


class Stored(NamedTuple):
    """What was wrong with history, in messages."""

    lacking: int = 0
    """Seqs that were acked or received and are not there."""
    wrong: int = 0
    """Messages that are there and were not said so, or stand there twice or out of order."""


class StoredCheck:
    """Reads history as the first member of each group. ``clock`` gives seconds.

    ``is_as_said`` tells of a message of these groups whether it was said, in its place and as it was sent.
    """

    def __init__(
        self,
        api: RestApi,
        token_of: Callable[[str], str],
        clock: Callable[[], float],
        is_as_said: Callable[[ChatMessage], bool],
    ) -> None:
        self._api = api
        self._token_of = token_of
        self._clock = clock
        self._is_as_said = is_as_said
        self._read_at = 0.0
        self._warned = False

    async def compare(self, groups: Sequence[Group], wanted: Mapping[str, Collection[int]]) -> Stored:
        """Hold the history of these groups against what was said and the wanted seqs (by group's id).

        Raises `UnreadError` where nothing could be read for too long.
        """
        said = [group for group in groups if wanted[group.id]]
        self._read_at = self._clock()
        await self._until_stored({group: max(wanted[group.id]) for group in said})
        lacking = wrong = 0
        for group in said:
            messages = await self._stored(group, min(wanted[group.id]))
            lacking += len({*wanted[group.id]} - {message.seq for message in messages})
            wrong += self._wrong(group, messages)
        return Stored(lacking, wrong)

    def _wrong(self, group: Group, messages: Sequence[ChatMessage]) -> int:
        """Count the messages that are not as they were said, or not newer than what stands before them."""
        wrong, newest = 0, -1
        for message in messages:
            rises = message.seq > newest
            wrong += not (rises and message.room == group.id and self._is_as_said(message))
            newest = max(newest, message.seq)
        return wrong

    async def _until_stored(self, behind: dict[Group, int]) -> None:
        """Wait until each group is stored up to its newest seq, or none has come further for too long.

        A persister may take one partition after the other: a group that stands still need not be lost. Only
        how far history is gets asked for, as reading it all would slow the store that has to catch up.
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
            await asyncio.sleep(LOOK_EVERY_S)

    async def _stored_up_to(self, group: Group, newest: int) -> int:
        token = self._token_of(group.members[0])
        page = await self._try(self._api.page(group.id, token, after=newest - 1, per_page=1))
        return -1 if page is None else page.storedUpTo

    async def _stored(self, group: Group, oldest: int) -> list[ChatMessage]:
        token = self._token_of(group.members[0])
        while True:
            messages = await self._try(self._api.history(group.id, token, after=oldest - 1))
            if messages is not None:
                return messages
            await asyncio.sleep(LOOK_EVERY_S)

    async def _try(self, reading: Awaitable[Read]) -> Read | None:
        """Return what is read, or None where it cannot be for now."""
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
