"""The store: what a process asks of it takes time, and may fail before it is done, or after."""

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.mongo import Change, Document, StoreUnavailable
from schemas.documents import PROGRESS
from tests.simulation.process import Process
from tests.unit.persister.model_store import ModelStore


class SimulatedStore:
    """One process's connection to the store that all share. ``away`` while nobody reaches it."""

    def __init__(self, shared: ModelStore, process: Process) -> None:
        self._shared = shared
        self._process = process

    async def insert_new(self, collection: str, documents: Sequence[Mapping[str, Any]]) -> int:
        # Unordered: of a write that fails any part may be done.
        await self._reach()
        if self._process.chance.fails():
            await self._shared.insert_new(collection, documents[: len(documents) // 2])
            raise StoreUnavailable("lost on the way")
        known = await self._shared.insert_new(collection, documents)
        await self._process.step()
        return known

    async def apply_newer(self, collection: str, changes: Sequence[Change]) -> None:
        await self._reach()
        await self._shared.apply_newer(collection, changes)
        await self._process.step()

    async def upsert(
        self, collection: str, updates: Sequence[tuple[str, Document]], known: Mapping[str, Document] = {}
    ) -> bool:
        await self._reach()
        applied = await self._shared.upsert(collection, updates, known)
        await self._process.step()
        return applied

    async def create_index(self, collection: str, keys: Sequence[tuple[str, int]]) -> None:
        await self._reach()

    async def find(
        self,
        collection: str,
        query: Document,
        *,
        sort: Sequence[tuple[str, int]] = (),
        skip: int = 0,
        limit: int = 0,
    ) -> list[Document]:
        await self._reach()
        found = list(self._shared.documents(collection).values())
        if collection == PROGRESS:
            wanted = query.get("_id", {}).get("$in")
            return [dict(one) for one in found if wanted is None or one["_id"] in wanted]
        after = query.get("seq", {}).get("$gt", -1)
        mine = [dict(one) for one in found if one["group"] == query["group"] and one["seq"] > after]
        ((_, direction),) = sort
        mine.sort(key=lambda one: direction * one["seq"])
        await self._process.step()
        return mine[skip : skip + limit]

    async def _reach(self) -> None:
        await self._process.step()
        if self._process.chance.fails():
            raise StoreUnavailable("away")
