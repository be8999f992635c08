"""A store in memory that keeps the promises of `runtime.mongo.Store`, and fails and refuses when told to."""

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.mongo import Change, Document, Rejected, StoreUnavailable


class ModelStore:
    """Collections of documents. ``refused`` are refused by their ``_id``; ``away`` counts down.

    More than ``in_time`` documents in one write are not written in time, and only these are kept.
    """

    def __init__(self) -> None:
        self.collections: dict[str, dict[str, Document]] = {}
        self.refused: set[str] = set()
        self.away = 0
        self.in_time = 1_000_000
        self.calls = 0

    def documents(self, collection: str) -> dict[str, Document]:
        return self.collections.setdefault(collection, {})

    async def insert_new(self, collection: str, documents: Sequence[Mapping[str, Any]]) -> int:
        self._answer()
        found = self.documents(collection)
        keys = [str(document["_id"]) for document in documents]
        taken = {key: dict(one) for key, one in zip(keys, documents, strict=True) if key not in self.refused}
        taken = dict(list(taken.items())[: self.in_time])
        known = len(taken.keys() & found.keys())
        for key, one in taken.items():
            found.setdefault(key, one)
        self._end_in_time(len(keys))
        self._refuse(keys, known)
        return known

    async def apply_newer(self, collection: str, changes: Sequence[Change]) -> None:
        self._answer()
        self._refuse([change.key for change in changes])
        for change in changes[: self.in_time]:
            self._apply(self.documents(collection), change)
        self._end_in_time(len(changes))

    async def upsert(
        self, collection: str, updates: Sequence[tuple[str, Document]], known: Mapping[str, Document] = {}
    ) -> bool:
        self._answer()
        documents = self.documents(collection)
        applied = 0
        for key, update in updates:
            least = {field: how["$gte"] for field, how in known.get(key, {}).items()}
            if key in known and any(documents.get(key, {}).get(f, -1) < n for f, n in least.items()):
                continue
            found = documents.setdefault(key, {"_id": key})
            for field, value in update["$max"].items():
                found[field] = max(found.get(field, value), value)
            applied += 1
        return applied == len(updates)

    async def create_index(self, collection: str, keys: Sequence[tuple[str, int]]) -> None:
        """It finds everything without."""

    def _answer(self) -> None:
        self.calls += 1
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")

    def _end_in_time(self, written: int) -> None:
        if written > self.in_time:
            raise StoreUnavailable("takes too long")

    def _refuse(self, keys: Sequence[str], known: int = 0) -> None:
        refused = {n: "not liked" for n, key in enumerate(keys) if key in self.refused}
        if refused:
            raise Rejected(refused, known=known)

    def _apply(self, found: dict[str, Document], change: Change) -> None:
        if not change.upsert and change.key not in found:
            return
        document = found.setdefault(change.key, {"_id": change.key})
        if document.get(change.guard, -1) >= change.version:
            return
        if not is_like(document, change.only or {}):
            return
        document.update(change.update.get("$set", {}), **{change.guard: change.version})
        for field in change.update.get("$unset", {}):
            document.pop(field, None)


def is_like(document: Document, wanted: Document) -> bool:
    """Say whether a document is found by a query, of those that the persister makes."""
    return all(
        any(is_like(document, one) for one in how) if field == "$or" else document.get(field) in how["$in"]
        for field, how in wanted.items()
    )
