"""MongoDB: the only place that knows the driver (motor today; PyMongo's async client can take its place here).

Only the persister and the gateway use it. A store that is away or fails is one error: `StoreUnavailable`.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, ConfigurationError, InvalidURI, PyMongoError

from runtime.service import Fatal
from runtime.settings import MongoSettings

Document = dict[str, Any]
Sort = Sequence[tuple[str, int]]

DUPLICATE_KEY: Final = 11000


class StoreUnavailable(RuntimeError):
    """The store is away, too slow, or failed an operation: the same call may work later."""


class Store:
    """One database, by collection name."""

    def __init__(self, database: Any) -> None:
        self._database = database

    async def ping(self) -> None:
        """Raise `StoreUnavailable` where the store does not answer."""
        with _translated():
            await self._database.command("ping")

    async def find(
        self, collection: str, query: Document, *, sort: Sort = (), skip: int = 0, limit: int = 0
    ) -> list[Document]:
        """Return the documents that match, in ``sort`` order."""
        with _translated():
            cursor = self._database[collection].find(query, sort=list(sort) or None, skip=skip, limit=limit)
            found: list[Document] = await cursor.to_list(None)
            return found

    async def aggregate(self, collection: str, pipeline: Sequence[Document]) -> list[Document]:
        """Return what an aggregation gives."""
        with _translated():
            found: list[Document] = await self._database[collection].aggregate(list(pipeline)).to_list(None)
            return found

    async def insert_new(self, collection: str, documents: Sequence[Mapping[str, Any]]) -> int:
        """Insert documents in no order. Returns how many of them the store had already, by ``_id``."""
        with _translated():
            try:
                await self._database[collection].insert_many(documents, ordered=False)
            except BulkWriteError as error:
                return _count_duplicates(error)
            return 0

    async def upsert(self, collection: str, updates: Sequence[tuple[str, Document]]) -> None:
        """Apply ``(_id, update)`` pairs in order; a document that is missing is made."""
        await self._bulk(
            collection, [UpdateOne({"_id": key}, update, upsert=True) for key, update in updates]
        )

    async def delete(self, collection: str, keys: Sequence[str]) -> None:
        """Delete the documents with these ``_id``."""
        with _translated():
            await self._database[collection].delete_many({"_id": {"$in": list(keys)}})

    async def create_index(self, collection: str, keys: Sort) -> None:
        """Create an index, where it does not exist."""
        with _translated():
            await self._database[collection].create_index(list(keys))

    async def _bulk(self, collection: str, operations: list[UpdateOne]) -> None:
        with _translated():
            await self._database[collection].bulk_write(operations, ordered=True)


@asynccontextmanager
async def open_store(settings: MongoSettings) -> AsyncIterator[Store]:
    """Open the store. Nothing is asked of it yet: it may be away for now."""
    try:
        client: Any = AsyncIOMotorClient(
            settings.mongodb_uri.get_secret_value(),
            serverSelectionTimeoutMS=settings.mongodb_timeout_ms,
            connectTimeoutMS=settings.mongodb_timeout_ms,
            socketTimeoutMS=settings.mongodb_timeout_ms,
            w="majority",
        )
    except (InvalidURI, ConfigurationError) as error:
        raise Fatal("MONGODB_URI is not valid") from error
    try:
        yield Store(client[settings.mongodb_database])
    finally:
        client.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PyMongoError as error:
        raise StoreUnavailable(f"{type(error).__name__}: {error}"[:300]) from error


def _count_duplicates(error: BulkWriteError) -> int:
    """Return how many writes failed as duplicates. Any other failed write makes the whole batch fail."""
    failed = (error.details or {}).get("writeErrors", [])
    if any(write.get("code") != DUPLICATE_KEY for write in failed) or (error.details or {}).get(
        "writeConcernErrors"
    ):
        raise error
    return len(failed)
