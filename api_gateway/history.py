"""Reading messages: pages of one group, the bundle of all of a user's groups, and lists for the solution.

It decides nothing about who may read.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

import orjson

from api_gateway.reading_turns import BundleTurns
from api_gateway.settings import GatewaySettings
from api_gateway.store_reads import StoreReads
from api_gateway.stored_progress import StoredProgress
from runtime import metrics
from runtime.kafka import partition_of
from runtime.mongo import Document
from schemas import topics
from schemas.api import BundlePage, HistoryPage, Page
from schemas.documents import MESSAGES
from schemas.log_records import MAX_TEXT_BYTES
from schemas.refusals import NOT_FOUND, OVERLOADED, TOO_LARGE, Refused

GROUPS_AT_ONCE: Final = 10
"""Groups of one aggregation: with the largest pages of the longest messages they are 8 MiB of text."""
MAX_BUNDLE_BYTES: Final = 16_777_216
"""Of the answer: JSON writes one character in up to six bytes."""
MESSAGES_AT_ONCE: Final = 2_048
"""Messages of all bundles under way, the bound of `BundleTurns`: 32 MiB of text, at worst six times that as
JSON."""
MOST_OF_A_BUNDLE: Final = MAX_BUNDLE_BYTES // MAX_TEXT_BYTES
"""A bundle takes no more of these: so many of the longest messages fill an answer."""

OLDEST_FIRST: Final = 1
NEWEST_FIRST: Final = -1


def bounded(group: str, page: HistoryPage) -> Document:
    """Return the query, on the index (group, seq), that finds a group's messages within a page's bounds."""
    bounds = {name: bound for name, bound in (("$lt", page.before), ("$gt", page.after)) if bound is not None}
    return {"group": group, "seq": bounds} if bounds else {"group": group}


def bundle_pipeline(groups: Collection[str], page: Page) -> list[Document]:
    """Return the one aggregation that gives a page of each group, to run on the collection of messages.

    It starts from one message, any one (where there is none the answer is empty, too), and puts the list of
    groups in its place: which groups a user may read is what the log says now, not what MongoDB has caught
    up with. Each group's look-up is an equality on the index (group, seq) in its order: it reads no more
    documents than it returns and skips.
    """
    newest = [
        {"$sort": {"seq": NEWEST_FIRST}},
        *([{"$skip": page.skip}] if page.page else []),
        {"$limit": page.perPage},
    ]
    lookup = {
        "from": MESSAGES,
        "localField": "group",
        "foreignField": "group",
        "pipeline": newest,
        "as": "messages",
    }
    return [
        {"$limit": 1},
        {"$project": {"_id": 0, "group": {"$literal": sorted(groups)}}},
        {"$unwind": "$group"},
        {"$lookup": lookup},
    ]


def messages_of(documents: Iterable[Document]) -> list[Document]:
    """Return documents of the store as `ChatMessage` has them, without the cost of models."""
    return [
        {
            "id": document["id"],
            "seq": document["seq"],
            "room": document["group"],
            "up": document["up"],
            "message": document["message"],
            "timestamp": document["timestamp"],
            "sentAt": document["sentAt"],
        }
        for document in documents
    ]


class History:
    """Reads messages. Raises `Refused` where the store is away."""

    def __init__(self, reads: StoreReads, progress: StoredProgress, settings: GatewaySettings) -> None:
        self._reads = reads
        self._progress = progress
        self._partitions = settings.kafka_partitions
        self._bundle_within_s = settings.bundle_within_s
        self._turns = BundleTurns(MESSAGES_AT_ONCE, max_waiting=settings.max_pending_reads)

    async def page(self, group: str, page: HistoryPage) -> Document:
        """Return a `History`.

        Pages go backwards from the newest within the bounds; with ``after`` alone, forwards from there.
        """
        forwards = page.after is not None and page.before is None
        stored = await self._stored_up_to([group])
        found = await self._reads.find(
            MESSAGES,
            bounded(group, page),
            sort=[("seq", OLDEST_FIRST if forwards else NEWEST_FIRST)],
            skip=page.skip,
            limit=page.perPage,
        )
        return _history(group, found if forwards else found[::-1], stored[group])

    async def bundle(
        self, up: str, groups: Collection[str], page: BundlePage, may_read: Callable[[str], bool]
    ) -> Document:
        """Return a `HistoryBundle` for ``up``: of these groups, each encoded, those that may be read.

        ``may_read`` is asked of each page once it has been read: a bundle waits for its turn.

        Raises `Refused` also where it would be too large, or takes too long: nothing bounds how many groups
        there are.
        """
        messages = min(len(groups) * page.perPage, MOST_OF_A_BUNDLE)
        try:
            async with asyncio.timeout(self._bundle_within_s), self._turns.take(up, messages):
                return {"groups": await self._bundle(sorted(groups), page, may_read)}
        except TimeoutError as error:
            metrics.LIMIT_HITS.labels(limit="slow bundles").inc()
            raise Refused(OVERLOADED) from error

    async def newest(self, page: Page) -> Document:
        """Return a `MessageList` of all groups."""
        found = await self._reads.find(
            MESSAGES,
            {},
            sort=[("timestamp", NEWEST_FIRST), ("_id", NEWEST_FIRST)],
            skip=page.skip,
            limit=page.perPage,
        )
        return {"messages": messages_of(found[::-1])}

    async def one(self, message_id: str) -> Document:
        """Return the `ChatMessage` of this id; the earliest, where several senders chose the same."""
        found = await self._reads.find(
            MESSAGES, {"id": message_id}, sort=[("timestamp", OLDEST_FIRST)], limit=1
        )
        if not found:
            raise Refused(NOT_FOUND)
        return messages_of(found)[0]

    async def by_key(self, key: str) -> Document | None:
        """Return the `ChatMessage` that is stored under `documents.message_key`."""
        found = await self._reads.find(MESSAGES, {"_id": key}, limit=1)
        return messages_of(found)[0] if found else None

    async def _bundle(
        self, groups: Sequence[str], page: BundlePage, may_read: Callable[[str], bool]
    ) -> list[orjson.Fragment]:
        stored = await self._stored_up_to(groups)
        pages, left = list[orjson.Fragment](), MAX_BUNDLE_BYTES
        for first in range(0, len(groups), GROUPS_AT_ONCE):
            some = groups[first : first + GROUPS_AT_ONCE]
            pipeline = bundle_pipeline(some, page)
            read = {one["group"]: one["messages"] for one in await self._reads.aggregate(MESSAGES, pipeline)}
            for group in filter(may_read, some):
                # Texts go as they are encoded, so that they are not there while the next ones are read.
                encoded = orjson.dumps(_history(group, read.pop(group, [])[::-1], stored[group]))
                left -= len(encoded)
                if left < 0:
                    raise Refused(TOO_LARGE, "These pages are too large together: ask for smaller ones.")
                pages.append(orjson.Fragment(encoded))
        return pages

    async def _stored_up_to(self, groups: Iterable[str]) -> dict[str, int]:
        partitions = {group: partition_of(group.encode(), self._partitions) for group in groups}
        stored = await self._progress.up_to(topics.MESSAGES, set(partitions.values()))
        return {group: stored[partition] for group, partition in partitions.items()}


def _history(group: str, found: Iterable[Document], stored_up_to: int) -> Document:
    return {"group": group, "messages": messages_of(found), "storedUpTo": stored_up_to}
