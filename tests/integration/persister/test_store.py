"""The real store keeps what the persister counts on, and the unit tests' model of it does the same."""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persister.outage import Outage
from persister.pipeline import create_indexes
from runtime.mongo import Change, Document, Rejected, StoreUnavailable
from schemas import documents
from tests.integration.persister.processes import History
from tests.unit.persister.model_store import ModelStore

pytestmark = pytest.mark.backing

A: Document = {"x": {"$in": [1, None]}}
B: Document = {"y": {"$in": [3, 4, None]}}

changes = st.lists(
    st.builds(
        Change,
        key=st.sampled_from(["a", "b"]),
        guard=st.sampled_from(["seq", "onlineSeq"]),
        version=st.integers(0, 5),
        update=st.sampled_from([{"$set": {"x": 1}}, {"$set": {"x": 2, "y": 3}}, {"$unset": {"x": ""}}]),
        only=st.sampled_from([None, A, B, {"$or": [A, B]}, {"$or": [{**A, **B}, {"x": {"$in": [2]}}]}]),
    ),
    max_size=8,
    unique_by=lambda change: (change.key, change.guard),
)


@given(st.lists(changes, max_size=4))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_model_and_the_store_agree_on_which_changes_are_newer(
    history: History, batches: Sequence[Sequence[Change]]
) -> None:
    store, model = history.store, ModelStore()
    await store._database["folds"].delete_many({})
    for batch in batches:
        # Which of two guards of one document comes first is left open within a batch.
        by_guard = sorted(batch, key=lambda change: change.guard)
        for guard in ("seq", "onlineSeq"):
            part = [change for change in by_guard if change.guard == guard]
            await store.apply_newer("folds", part)
            await model.apply_newer("folds", part)
            found = {document["_id"]: document for document in await store.find("folds", {})}
            assert found == model.documents("folds")


async def test_duplicates_are_counted_and_the_first_stays(history: History) -> None:
    first = [{"_id": n, "v": "first"} for n in range(3)]
    assert await history.store.insert_new("things", first) == 0
    again = [{"_id": n, "v": "second"} for n in range(5)]
    assert await history.store.insert_new("things", again) == 3
    found = await history.store.find("things", {}, sort=[("_id", 1)])
    assert [document["v"] for document in found] == ["first"] * 3 + ["second"] * 2


async def test_refused_documents_are_named_by_their_position(history: History) -> None:
    await history.store._database.create_collection("ruled", validator={"bad": {"$ne": True}})
    things = [{"_id": n, "bad": n in {1, 3}} for n in range(4)]
    with pytest.raises(Rejected) as refusal:
        await history.store.insert_new("ruled", things)
    assert sorted(refusal.value.reasons) == [1, 3]
    put = [Change(str(n), "seq", 1, {"$set": {"bad": n == 2}}) for n in range(4)]
    with pytest.raises(Rejected) as refusal:
        await history.store.apply_newer("ruled", put)
    assert sorted(refusal.value.reasons) == [2]


async def test_a_unique_index_of_somebody_else_makes_no_document_look_stored(history: History) -> None:
    await history.store._database["things"].create_index("v", unique=True)
    assert await history.store.insert_new("things", [{"_id": "a", "v": "same"}]) == 0
    with pytest.raises(StoreUnavailable, match=r"a unique index refuses it: \{'v': 1\}"):
        await history.store.insert_new("things", [{"_id": "b", "v": "same"}])
    with pytest.raises(StoreUnavailable, match=r"a unique index refuses it: \{'v': 1\}"):
        await history.store.apply_newer("things", [Change("c", "seq", 1, {"$set": {"v": "same"}})])


async def test_the_collections_have_the_indexes_that_history_needs(history: History) -> None:
    for _ in range(2):
        await create_indexes(history.store, Outage(1.0))
    for collection, indexes in documents.INDEXES.items():
        found = await history.store._database[collection].index_information()
        made = [[tuple(key) for key in index["key"]] for index in found.values()]
        assert all(keys in made for keys in indexes)
