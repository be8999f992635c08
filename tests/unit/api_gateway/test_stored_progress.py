"""Waiting until the store holds a write: for as long as it takes, and never longer than the bound."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from api_gateway import stored_progress
from api_gateway.log_writer import WrittenRecord
from api_gateway.settings import GatewaySettings
from api_gateway.stored_progress import POLL_S, StoredProgress, needs_of
from runtime import metrics
from schemas.refusals import HISTORY_UNAVAILABLE, OVERLOADED, Refused
from tests.counting import counting
from tests.waiting import in_background, passes

writes = st.lists(
    st.builds(WrittenRecord, st.sampled_from("ab"), st.integers(0, 2), st.integers(0, 50), st.just(0)),
    max_size=20,
)


@given(writes)
def test_what_is_needed_is_that_every_record_lies_before_its_partition_s_next(
    written: list[WrittenRecord],
) -> None:
    needs = needs_of(written)
    for one in written:
        assert needs[f"{one.kafka_topic}/{one.partition}"] > one.offset
    assert {key: upto - 1 for key, upto in needs.items()} == {
        f"{topic}/{partition}": max(
            w.offset for w in written if (w.kafka_topic, w.partition) == (topic, partition)
        )
        for topic, partition in {(w.kafka_topic, w.partition) for w in written}
    }


class FakeReads:
    """The documents of progress; ``error`` makes reading fail."""

    def __init__(self) -> None:
        self.next: dict[str, int] = {}
        self.asked: list[list[str]] = []
        self.error: Exception | None = None

    async def find(self, _collection: str, query: dict[str, Any]) -> list[dict[str, Any]]:
        self.asked.append(query["_id"]["$in"])
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return [{"_id": key, "next": self.next[key]} for key in query["_id"]["$in"] if key in self.next]


def progress(reads: FakeReads, **settings: int) -> StoredProgress:
    given_ = GatewaySettings(token_secret=SecretStr("x" * 32), **settings)  # type: ignore[arg-type]
    return StoredProgress(reads, given_)  # type: ignore[arg-type]


def answered(stored: str) -> Callable[[], float]:
    return counting(metrics.WRITES_ANSWERED.labels(stored=stored))


async def test_everyone_who_waits_is_told_as_soon_as_their_record_is_stored() -> None:
    reads, told = FakeReads(), answered("yes")
    stored = progress(reads)
    async with in_background(stored.run()):
        waiting = [
            asyncio.create_task(stored.wait([WrittenRecord("t", 0, offset, 0)])) for offset in range(5)
        ]
        for upto in range(1, 6):
            reads.next["t/0"] = upto
            assert await waiting[upto - 1] is True
            assert [task.done() for task in waiting] == [n < upto for n in range(5)]
        assert told() == 5


async def test_who_wrote_to_several_partitions_waits_for_all_of_them() -> None:
    reads = FakeReads()
    stored = progress(reads, wait_stored_ms=1_000_000)
    async with in_background(stored.run()):
        waiting = asyncio.create_task(stored.wait([WrittenRecord("t", 0, 0, 0), WrittenRecord("t", 1, 0, 0)]))
        reads.next["t/0"] = 1
        await stored.wait([WrittenRecord("t", 0, 0, 0)])
        await passes()
        assert not waiting.done()
        reads.next["t/1"] = 1
        assert await waiting is True


async def test_the_store_is_asked_only_while_somebody_waits() -> None:
    reads = FakeReads()
    reads.next["t/0"] = 1
    stored = progress(reads)
    async with in_background(stored.run()):
        await passes()
        assert reads.asked == []
        assert await stored.wait([WrittenRecord("t", 0, 0, 0)])
        asked = len(reads.asked)
        await asyncio.sleep(2 * POLL_S)
        assert len(reads.asked) == asked


async def test_the_store_is_asked_once_an_interval_however_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_progress, "POLL_S", 1_000)
    reads = FakeReads()
    stored = progress(reads, wait_stored_ms=1_000_000)
    poller = asyncio.create_task(stored.run())
    waiting = [asyncio.create_task(stored.wait([WrittenRecord("t", 0, 0, 0)])) for _ in range(5)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert reads.asked == [["t/0"]]
    for task in (poller, *waiting):
        task.cancel()
    await asyncio.wait([poller, *waiting])


async def test_a_write_that_is_not_stored_in_time_is_answered_all_the_same() -> None:
    stored, told = progress(FakeReads(), wait_stored_ms=20), answered("no")
    async with in_background(stored.run()):
        assert await stored.wait([WrittenRecord("t", 0, 0, 0)]) is False
        assert told() == 1


async def test_nobody_waits_for_a_store_that_is_away_but_for_one_that_is_overloaded() -> None:
    reads = FakeReads()
    reads.error = Refused(OVERLOADED)
    stored = progress(reads, wait_stored_ms=1_000_000)
    async with in_background(stored.run()):
        waiting = asyncio.create_task(stored.wait([WrittenRecord("t", 0, 0, 0)]))
        await passes()
        assert reads.asked
        assert not waiting.done()
        reads.error = Refused(HISTORY_UNAVAILABLE)
        assert await waiting is False


async def test_nobody_waits_for_a_service_that_stops() -> None:
    stored = progress(FakeReads(), wait_stored_ms=1_000_000)
    waiting = asyncio.create_task(stored.wait([WrittenRecord("t", 0, 0, 0)]))
    await asyncio.sleep(0)
    stored.stop_waiting()
    assert await waiting is False
    assert await stored.wait([WrittenRecord("t", 0, 1, 0)]) is False


async def test_past_the_bound_nobody_waits() -> None:
    stored = progress(FakeReads(), wait_stored_ms=1_000_000, max_waiting_writes=1)
    async with in_background(stored.wait([WrittenRecord("t", 0, 0, 0)])):
        await asyncio.sleep(0)
        assert await stored.wait([WrittenRecord("t", 0, 1, 0)]) is False


async def test_nobody_waits_for_a_write_whose_offset_is_not_known_and_none_is_said_to_be_stored() -> None:
    reads = FakeReads()
    reads.next["t/0"] = 1
    stored = progress(reads, wait_stored_ms=1_000_000)
    async with in_background(stored.run()):
        for others in ([], [WrittenRecord("t", 0, 0, 0)]):
            assert await stored.wait([*others, WrittenRecord("t", 0, -1, 0)]) is False
        assert reads.asked == []


@given(st.lists(st.dictionaries(st.sampled_from([0, 1]), st.integers(1, 9)), max_size=6))
async def test_how_far_is_stored_is_what_the_store_says_now_also_where_it_was_emptied_or_restored(
    states: list[dict[int, int]],
) -> None:
    reads = FakeReads()
    stored = progress(reads)
    for state in states:
        reads.next = {f"t/{partition}": following for partition, following in state.items()}
        stored._read_at.clear()
        assert await stored.up_to("t", [0, 1]) == {n: state.get(n, 0) - 1 for n in (0, 1)}


async def test_what_was_just_read_is_not_read_again() -> None:
    reads = FakeReads()
    stored = progress(reads)
    await stored.up_to("t", [0])
    await stored.up_to("t", [0])
    await stored.up_to("t", [0, 1])
    assert reads.asked == [["t/0"], ["t/1"]]
