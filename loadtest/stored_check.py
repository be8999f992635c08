"""Compares history with what was acked and received, once the store has caught up."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from loadtest.crowd import Group
from loadtest.rest import RestApi

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.5
PATIENCE_S: Final = 60.0
"""So long may the history of all groups stand still, or not be readable, before what it lacks counts."""


class StoredCheck:
    """Reads history as the first member of each group. ``clock`` gives seconds."""

    def __init__(self, api: RestApi, token_of: Callable[[str], str], clock: Callable[[], float]) -> None:
        self._api = api
        self._token_of = token_of
        self._clock = clock

    async def lacking(self, groups: Sequence[Group], wanted: Mapping[str, AbstractSet[int]]) -> int:
        """Return how many of the wanted seqs (by group's id) the history of these groups lacks."""
        said = [group for group in groups if wanted[group.id]]
        await self._until_stored({group: max(wanted[group.id]) for group in said})
        return sum([len(wanted[group.id] - await self._stored(group, wanted[group.id])) for group in said])

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
        try:
            page = await self._api.page(
                group.id, self._token_of(group.members[0]), after=newest - 1, per_page=1
            )
        except OSError as error:
            log.info("history cannot be read yet: %s", error)
            return -1
        return page.storedUpTo

    async def _stored(self, group: Group, wanted: AbstractSet[int]) -> set[int]:
        since = self._clock()
        while True:
            try:
                messages, _ = await self._api.history(
                    group.id, self._token_of(group.members[0]), after=min(wanted) - 1
                )
            except OSError as error:
                log.info("history cannot be read yet: %s", error)
                if self._clock() - since >= PATIENCE_S:
                    return set()
                await asyncio.sleep(LOOK_EVERY_S)
            else:
                return {message.seq for message in messages}
