"""Reading messages: pages of one group, the bundle of all of a user's groups, and lists for the solution.

It decides nothing about who may read.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from operator import itemgetter
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

GROUPS_PER_QUERY: Final = 10
"""Groups that one aggregation reads: 8 MiB of text, with the largest pages of the longest messages."""
MAX_BUNDLE_BYTES: Final = 16_777_216
"""Maximum size of an answer. JSON writes one character in up to six bytes."""
MAX_BUNDLED_MESSAGES: Final = 2_048
"""Messages that all bundles under way may hold (`BundleTurns`): 32 MiB of text, at worst six times that as
JSON."""
MAX_MESSAGES_PER_BUNDLE: Final = MAX_BUNDLE_BYTES // MAX_TEXT_BYTES
"""Messages that a bundle reserves at most: so many of the longest ones fill an answer."""

OLDEST_FIRST: Final = 1
NEWEST_FIRST: Final = -1


def page_query(group: str, page: HistoryPage) -> Document:
    """Return the query, on the index (group, seq), that finds a group's messages within a page's bounds."""
    bounds = {name: bound for name, bound in (("$lt", page.before), ("$gt", page.after)) if bound is not None}
    return {"group": group, "seq": bounds} if bounds else {"group": group}


def bundle_pipeline(groups: Collection[str], page: Page) -> list[Document]:
    """Return an aggregation on the collection of messages that gives a page of each group.

    It starts from any one message (without any the answer is empty, too) and replaces it by the list of
    groups. So the log decides which groups a user may read, not MongoDB, which may lag behind. Each look-up
    is an equality on the index (group, seq), in its order: it reads only what it returns and skips.
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
        self._turns = BundleTurns(MAX_BUNDLED_MESSAGES, max_waiting=settings.max_pending_reads)

    async def page(self, group: str, page: HistoryPage) -> Document:
        """Return a `History`.

        Pages go backwards from the newest within the bounds; with ``after`` alone, forwards from there.
        """
        forwards = page.after is not None and page.before is None
        stored = await self._stored_up_to([group])
        found = await self._reads.find(
            MESSAGES,
            page_query(group, page),
            sort=[("seq", OLDEST_FIRST if forwards else NEWEST_FIRST)],
            skip=page.skip,
            limit=page.perPage,
        )
        return _history(group, found if forwards else found[::-1], stored[group])

    async def bundle(
        self, up: str, groups: Collection[str], page: BundlePage, may_read: Callable[[str], bool]
    ) -> Document:
        """Return a `HistoryBundle` for ``up``: an encoded page of each of these groups that may be read.

        ``may_read`` is called after each read, because a bundle may have waited for its turn meanwhile.
        Raises `Refused` also if the bundle is too large or takes too long: the number of groups is unbounded.
        """
        messages = min(len(groups) * page.perPage, MAX_MESSAGES_PER_BUNDLE)
        try:
            async with asyncio.timeout(self._bundle_within_s), self._turns.take(up, messages):
                return {"groups": await self._bundle(sorted(groups), page, may_read)}
        except TimeoutError as error:
            metrics.LIMIT_HITS.labels(limit="slow bundles").inc()
            raise Refused(OVERLOADED) from error

    async def newest(self, page: Page) -> Document:
        """Return a `MessageList` of all groups.

        The broker gives all messages of a batch one time: their order is that of the log.
        """
        found = await self._reads.find(
            MESSAGES,
            {},
            sort=[("timestamp", NEWEST_FIRST), ("_id", NEWEST_FIRST)],
            skip=page.skip,
            limit=page.perPage,
        )
        return {"messages": messages_of(sorted(found, key=itemgetter("timestamp", "seq")))}

    async def by_id(self, message_id: str) -> Document:
        """Return the `ChatMessage` of this id: the earliest, if several senders chose the same id."""
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
        pages, bytes_left = list[orjson.Fragment](), MAX_BUNDLE_BYTES
        for first in range(0, len(groups), GROUPS_PER_QUERY):
            chunk = groups[first : first + GROUPS_PER_QUERY]
            pipeline = bundle_pipeline(chunk, page)
            by_group = {
                row["group"]: row["messages"] for row in await self._reads.aggregate(MESSAGES, pipeline)
            }
            for group in filter(may_read, chunk):
                # Encode now and drop the texts, so that they are not in memory while the next ones are read.
                encoded = orjson.dumps(_history(group, by_group.pop(group, [])[::-1], stored[group]))
                bytes_left -= len(encoded)
                if bytes_left < 0:
                    raise Refused(TOO_LARGE, "These pages are too large together: ask for smaller ones.")
                pages.append(orjson.Fragment(encoded))
        return pages

    async def _stored_up_to(self, groups: Iterable[str]) -> dict[str, int]:
        partitions = {group: partition_of(group.encode(), self._partitions) for group in groups}
        stored = await self._progress.up_to(topics.MESSAGES, set(partitions.values()))
        return {group: stored[partition] for group, partition in partitions.items()}


def _history(group: str, found: Iterable[Document], stored_up_to: int) -> Document:
    return {"group": group, "messages": messages_of(found), "storedUpTo": stored_up_to}
