"""MongoDB: no other file of a service knows the driver (motor; PyMongo's async client can replace it here).

Only the persister and the gateway use it. A store that is away or fails is one error: `StoreUnavailable`.
The driver works in few threads, and no read can be cancelled: callers have to bound their reads.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, NamedTuple, cast

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo import ReadPreference, UpdateOne
from pymongo.errors import BulkWriteError, ConfigurationError, PyMongoError
from pymongo.read_concern import ReadConcern

from runtime.service import Fatal
from runtime.settings import MongoSettings

Document = dict[str, Any]
Sort = Sequence[tuple[str, int]]

DUPLICATE_KEY: Final = 11000

DOCUMENT_FAULTS: Final = frozenset({2, 9, 14, 22, 52, 56, 57, 66, 121, 10334, 17280, 17419})
"""Error codes that speak of the document alone: too large, against the collection's rules, malformed."""


class StoreUnavailable(RuntimeError):
    """The store is away, too slow, or failed an operation: the same call may work later."""


class Rejected(RuntimeError):
    """Particular documents were refused for their contents, by position. The others may be written or not.

    ``known`` is how many of the others the store had already.
    """

    def __init__(self, reasons: Mapping[int, str], *, known: int = 0) -> None:
        super().__init__(f"{len(reasons)} documents were refused")
        self.reasons = reasons
        self.known = known


class Change(NamedTuple):
    """An update of one document that applies only where the field ``guard`` holds less than ``version``.

    Applying it twice, or after a newer one, changes nothing: a late write can't undo a later one.
    """

    key: str
    guard: str
    version: int
    update: Document
    only: Document | None = None
    """What an existing document must match besides."""
    upsert: bool = True
    """Whether a missing document is made."""


class Store:
    """One database, by collection name."""

    def __init__(self, database: AsyncIOMotorDatabase[Document]) -> None:
        self._database = database

    async def find(
        self, collection: str, query: Document, *, sort: Sort = (), skip: int = 0, limit: int = 0
    ) -> list[Document]:
        """Return the documents that match, in ``sort`` order."""
        with _translated():
            # All in one answer: by default MongoDB returns the first 101, and the rest on request.
            cursor = self._database[collection].find(
                query, sort=list(sort) or None, skip=skip, limit=limit, batch_size=limit
            )
            return await cursor.to_list(None)

    async def aggregate(self, collection: str, pipeline: Sequence[Document]) -> list[Document]:
        """Return what an aggregation gives."""
        with _translated():
            return await self._database[collection].aggregate(list(pipeline)).to_list(None)

    async def insert_new(self, collection: str, documents: Sequence[Mapping[str, Any]]) -> int:
        """Insert documents in no order. Returns how many of them the store had already, by ``_id``.

        Raises `Rejected` where particular documents can't be stored, now or ever.
        """
        with _translated():
            try:
                new = cast(Sequence[Document], documents)
                await self._database[collection].insert_many(new, ordered=False)
            except BulkWriteError as error:
                return len(_duplicates(error, range(len(documents))))
            return 0

    async def apply_newer(self, collection: str, changes: Sequence[Change]) -> None:
        """Apply changes in no order, at most one for each guard of a document.

        A document that is as new already, or does not match ``only``, stays. Raises as `insert_new` does.
        """
        operations = {n: _guarded(change) for n, change in enumerate(changes)}
        not_applied = await self._apply(collection, operations)
        # A document that was made at the same moment looks like a newer one: a second try tells.
        await self._apply(collection, {n: operations[n] for n in not_applied})

    async def _apply(self, collection: str, operations: Mapping[int, UpdateOne]) -> list[int]:
        if not operations:
            return []
        with _translated():
            try:
                await self._database[collection].bulk_write(list(operations.values()), ordered=False)
            except BulkWriteError as error:
                return _duplicates(error, list(operations))
            return []

    async def upsert(
        self, collection: str, updates: Sequence[tuple[str, Document]], known: Mapping[str, Document] = {}
    ) -> bool:
        """Apply ``(_id, update)`` pairs in order; a document that is missing is made.

        One that is ``known``, by its ``_id``, is not made, and changes only if it matches what is known.
        Returns whether all updates were applied.
        """
        operations = [
            UpdateOne({"_id": key, **known.get(key, {})}, update, upsert=key not in known)
            for key, update in updates
        ]
        with _translated():
            done = await self._database[collection].bulk_write(operations, ordered=True)
        return done.matched_count + done.upserted_count == len(operations)

    async def delete(self, collection: str, keys: Sequence[str]) -> None:
        """Delete the documents of these ``_id``; those that are not there count as deleted."""
        with _translated():
            await self._database[collection].delete_many({"_id": {"$in": list(keys)}})

    async def create_index(self, collection: str, keys: Sort) -> None:
        """Create an index if it does not exist."""
        with _translated():
            await self._database[collection].create_index(list(keys))


@asynccontextmanager
async def open_store(settings: MongoSettings) -> AsyncIterator[Store]:
    """Open the store. Nothing is asked of it yet: it may be away for now."""
    try:
        client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(
            settings.mongodb_uri.get_secret_value(),
            serverSelectionTimeoutMS=settings.mongodb_timeout_ms,
            connectTimeoutMS=settings.mongodb_timeout_ms,
            socketTimeoutMS=settings.mongodb_timeout_ms,
            w="majority",
        )
    except (ConfigurationError, ValueError) as error:
        raise Fatal(
            "MONGODB_URI is not valid: are special characters of its user and password percent-encoded "
            "(%40 for @), and addresses of IPv6 in brackets?"
        ) from error
    except OSError as error:
        raise Fatal(f"MONGODB_URI names a file that cannot be read: {error}") from error
    # Whatever the URI says: a member that lags would lack messages that another one's progress promises, and
    # with the concern "available" a shard may give messages that another one has, too.
    database = client.get_database(
        settings.mongodb_database,
        read_preference=ReadPreference.PRIMARY,
        read_concern=ReadConcern("local"),
    )
    try:
        yield Store(database)
    finally:
        client.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PyMongoError as error:
        raise StoreUnavailable(f"{type(error).__name__}: {error}"[:300]) from error


def _guarded(change: Change) -> UpdateOne:
    """Where the guard is not older, the filter finds nothing and an insert meets the same ``_id``."""
    update = {
        **change.update,
        "$set": {**change.update.get("$set", {}), change.guard: change.version},
    }
    older = {"_id": change.key, change.guard: {"$not": {"$gte": change.version}}, **(change.only or {})}
    return UpdateOne(older, update, upsert=change.upsert)


def _duplicates(error: BulkWriteError, positions: Sequence[int]) -> list[int]:
    """Return the positions of duplicates. Any other failure is raised: `Rejected` or `StoreUnavailable`."""
    details = error.details or {}
    if unsure := details.get("writeConcernErrors"):
        # The driver's own text begins with documents of the write: what people say is not for logs.
        raise StoreUnavailable(f"{type(error).__name__}: {unsure}"[:300]) from error
    failed = details.get("writeErrors", [])
    refused = [write for write in failed if not _is_known(write)]
    reasons = {positions[write["index"]]: _reason(write) for write in refused}
    if {write.get("code") for write in refused} - DOCUMENT_FAULTS:
        # A shard without a primary, say, refuses its own documents, and other shards take theirs.
        raise StoreUnavailable("; ".join(sorted(set(reasons.values())))[:300]) from error
    if refused:
        raise Rejected(reasons, known=len(failed) - len(refused))
    return [positions[write["index"]] for write in failed]


def _is_known(write: Document) -> bool:
    """Return whether the store has this ``_id``. A unique index that an administrator made refuses others."""
    return write.get("code") == DUPLICATE_KEY and write.get("keyPattern", {"_id": 1}) == {"_id": 1}


def _reason(write: Document) -> str:
    if write.get("code") == DUPLICATE_KEY:
        # The store's own text ends with the values: what people say is not for logs.
        return f"a unique index refuses it: {write['keyPattern']}"
    return str(write.get("errmsg", ""))[:300]
