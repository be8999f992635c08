"""Progress: noted ends are taken whole, and never go back in the store."""

import asyncio
from contextlib import nullcontext
from typing import Any

import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from persister.progress import (
    StoreWentBackError,
    Uncommitted,
    not_stored,
    write_progress,
)
from schemas import documents
from tests.unit.persister.model_store import ModelStore

ends = st.dictionaries(
    st.builds(TopicPartition, st.sampled_from(["a", "b"]), st.integers(0, 2)), st.integers(0, 100)
)


@given(st.lists(ends.filter(bool), min_size=1))
async def test_what_is_noted_is_taken_once_with_the_latest_of_each_partition(
    noted: list[dict[TopicPartition, int]],
) -> None:
    uncommitted = Uncommitted()
    expected: dict[TopicPartition, int] = {}
    for one in noted:
        uncommitted.add(one)
        expected.update(one)
    assert await uncommitted.take() == expected


async def test_who_has_taken_all_waits_until_something_is_noted() -> None:
    """A taker that did not wait would commit nothing, again and again, and let nobody else have a turn."""
    uncommitted = Uncommitted()
    uncommitted.add({TopicPartition("a", 0): 5})
    await uncommitted.take()
    taking = asyncio.create_task(uncommitted.take())
    await asyncio.sleep(0)
    assert not taking.done()
    uncommitted.add({TopicPartition("a", 0): 6})
    assert await taking == {TopicPartition("a", 0): 6}


async def test_what_is_dropped_is_not_taken() -> None:
    uncommitted = Uncommitted()
    uncommitted.add({TopicPartition("a", 0): 5})
    uncommitted.drop()
    uncommitted.add({TopicPartition("a", 1): 6})
    assert await uncommitted.take() == {TopicPartition("a", 1): 6}


async def test_what_is_dropped_while_its_taker_is_being_woken_is_not_taken_as_nothing() -> None:
    """The driver refuses to write nothing: that would pass for an outage, and be tried again for ever."""
    uncommitted = Uncommitted()
    taking = asyncio.create_task(uncommitted.take())
    await asyncio.sleep(0)
    uncommitted.add({TopicPartition("a", 0): 5})
    uncommitted.drop()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not taking.done()
    uncommitted.add({TopicPartition("a", 1): 6})
    assert await taking == {TopicPartition("a", 1): 6}


@given(st.lists(ends.filter(bool), min_size=1))
async def test_progress_in_the_store_never_goes_back(batches: list[dict[TopicPartition, int]]) -> None:
    store = ModelStore()
    highest: dict[str, int] = {}
    for one in batches:
        await write_progress(store, one, {})  # type: ignore[arg-type]
        for tp, end in one.items():
            key = documents.progress_key(tp.topic, tp.partition)
            highest[key] = max(highest.get(key, 0), end)
    found = {key: document["next"] for key, document in store.documents(documents.PROGRESS).items()}
    assert found == highest


@given(ends.filter(bool), ends, ends)
async def test_progress_that_went_back_is_told_and_not_raised(
    new: dict[TopicPartition, int], known: dict[TopicPartition, int], there: dict[TopicPartition, int]
) -> None:
    store: Any = ModelStore()
    await write_progress(store, there, {})
    went_back = {tp for tp in new if tp in known and there.get(tp, -1) < known[tp]}
    with pytest.raises(StoreWentBackError) if went_back else nullcontext():
        await write_progress(store, new, known)
    expected = {**there, **{tp: max(new[tp], there.get(tp, 0)) for tp in new if tp not in went_back}}
    found = store.documents(documents.PROGRESS)
    assert {key: one["next"] for key, one in found.items()} == {
        documents.progress_key(tp.topic, tp.partition): end for tp, end in expected.items()
    }


def test_progress_beyond_an_end_makes_up_for_no_other_partition() -> None:
    ends = {TopicPartition("t", 0): 5, TopicPartition("t", 1): 5}
    assert not_stored(ends, {TopicPartition("t", 0): 9}) == 5
    assert not_stored(ends, {TopicPartition("t", 0): 5, TopicPartition("t", 1): 5}) == 0
