"""Laws of writing: each message is told of once, in order; a partition has one batch on its way at a time."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from itertools import count
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_server.message_writer import UNKNOWN, MessageWriter, Outgoing
from runtime.budgets import request_cost
from runtime.kafka import partition_of
from tests.unit.edge_server.producers import Producer
from tests.waiting import eventually, passes

PARTITIONS = 3
GROUPS = [b"a", b"b", b"c", b"d", b"e"]


class Told:
    """What the writer has said."""

    def __init__(self) -> None:
        self.written: list[tuple[Outgoing, int]] = []
        self.failed: list[Outgoing] = []
        self.timestamps: list[int] = []

    def on_written(self, batch: Sequence[Outgoing], first_offset: int, timestamp: int) -> None:
        self.written += zip(batch, count(first_offset), strict=False)
        self.timestamps.append(timestamp)

    def on_failed(self, batch: Sequence[Outgoing], _error: BaseException) -> None:
        self.failed += batch


def message(number: int, group: bytes = b"a", size: int = 0) -> Outgoing:
    key = group + b"/up202000001/m%d" % number
    return Outgoing(partition_of(group, PARTITIONS), group, key, b"%d" % number + b"x" * size)


def writer(producer: Producer, told: Told, rounds_per_s: float = 1e9) -> MessageWriter:
    return MessageWriter(
        cast(Any, producer),
        source="edge-1",
        on_written=told.on_written,
        on_failed=told.on_failed,
        rounds_per_s=rounds_per_s,
    )


steps = st.lists(
    st.one_of(st.sampled_from(GROUPS), st.sampled_from(["pass", "written", "failed", "cancelled"])),
    max_size=80,
)


@given(steps)
async def test_each_message_is_told_of_once_in_order_with_one_batch_of_a_partition_on_its_way(
    of: list[bytes | str],
) -> None:
    producer, told = Producer(batch_bytes=300), Told()
    writing = writer(producer, told)
    put: list[Outgoing] = []
    ends: Counter[int] = Counter()

    def answer(how: str) -> None:
        for sent in producer.on_their_way()[:1]:
            if how == "written":
                sent.written(ends[sent.partition])
                ends[sent.partition] += len(sent.values)
            elif how == "failed":
                sent.answer.set_exception(OSError("gone"))
            else:
                sent.answer.cancel()

    for step in of:
        if isinstance(step, bytes):
            put.append(message(len(put), step))
            writing.put(put[-1])
        elif step == "pass":
            await passes()
        else:
            answer(step)
            await passes()
        on_their_way = Counter(sent.partition for sent in producer.on_their_way())
        assert max(on_their_way.values(), default=0) <= 1
    await passes()
    while producer.on_their_way():
        answer("written")
        await passes()
    for partition in range(PARTITIONS):
        mine = [one for one in put if one.partition == partition]
        stored = [(one, offset) for one, offset in told.written if one.partition == partition]
        assert [offset for _, offset in stored] == list(range(len(stored)))
        lost = [one for one in told.failed if one in mine]
        assert [one for one in mine if one not in lost] == [one for one, _ in stored]
    assert len(told.written) + len(told.failed) == len(put)
    assert not writing._tasks


async def test_what_comes_while_a_batch_is_on_its_way_goes_with_the_next_one() -> None:
    producer, told = Producer(), Told()
    writing = writer(producer, told)
    writing.put(message(0))
    await passes()
    for number in range(1, 6):
        writing.put(message(number))
        await passes()
    assert [sent.values for sent in producer.sent] == [[b"0"]]
    producer.sent[0].written(0)
    await passes()
    assert [sent.values for sent in producer.sent] == [[b"0"], [b"1", b"2", b"3", b"4", b"5"]]


async def test_past_so_many_rounds_a_second_a_message_waits_for_the_next_one() -> None:
    producer = Producer()
    writing = writer(producer, Told(), rounds_per_s=0.001)
    writing.put(message(0, b"a"))
    await passes()
    writing.put(message(1, b"b"))
    await asyncio.sleep(0.01)
    assert [sent.values for sent in producer.sent] == [[b"0"]]
    writing.close()


async def test_after_a_round_that_many_shared_the_next_one_waits_for_longer() -> None:
    left = []
    for messages in (1, 10):
        writing = writer(Producer(), Told(), rounds_per_s=0.001)
        for number in range(messages):
            writing.put(message(number, GROUPS[number % len(GROUPS)]))
        await passes()
        left.append(writing._rounds.left(asyncio.get_running_loop().time()))
        writing.close()
    assert left == [pytest.approx(0.0, abs=0.1), pytest.approx(1.0 - request_cost(10), abs=0.1)]


async def test_what_waits_for_a_round_leaves_with_it_whatever_its_partition() -> None:
    producer = Producer()
    writing = writer(producer, Told(), rounds_per_s=5)
    others = [group for group in GROUPS if partition_of(group, PARTITIONS) != partition_of(b"a", PARTITIONS)]
    writing.put(message(0, b"a"))
    await passes()
    for number, group in enumerate(others, 1):
        writing.put(message(number, group))
    await eventually("the second round has begun", lambda: len(producer.sent) > 1)
    await passes()
    assert sorted(value for sent in producer.sent for value in sent.values) == [
        b"%d" % number for number in range(len(others) + 1)
    ]


async def test_a_writer_that_closes_writes_no_more_and_tells_nobody() -> None:
    producer, told, waits = Producer(), Told(), asyncio.Event()
    on_its_way, for_a_producer, for_a_round = (writer(producer, told) for _ in range(3))
    on_its_way.put(message(0))
    await passes()
    producer.ready = waits.wait  # type: ignore[assignment,method-assign]
    for_a_producer.put(message(1))
    await passes()
    for_a_round.put(message(2))
    for writing in (on_its_way, for_a_producer, for_a_round):
        writing.close()
    waits.set()
    await asyncio.sleep(0.01)
    assert [sent.values for sent in producer.sent] == [[b"0"]]
    assert (told.written, told.failed) == ([], [])


async def test_a_message_stands_since_the_broker_says_or_since_it_left_where_that_says_nothing() -> None:
    producer, told = Producer(), Told()
    writing = writer(producer, told)
    began = time.time()
    for offset, says in enumerate([UNKNOWN, 7]):
        writing.put(message(offset))
        await passes()
        producer.sent[-1].written(offset, timestamp=says)
        await passes()
    left, said = told.timestamps
    assert int(1000 * began) <= left <= 1000 * time.time()
    assert said == 7


async def test_a_message_larger_than_a_batch_goes_alone() -> None:
    producer, told = Producer(batch_bytes=200), Told()
    writing = writer(producer, told)
    for number, size in enumerate([0, 5_000, 0]):
        writing.put(message(number, size=size))
    for _ in range(3):
        await passes()
        for sent in producer.on_their_way():
            sent.written(len(told.written))
    await passes()
    assert [len(sent.values) for sent in producer.sent] == [1, 1, 1]
    assert len(told.written) == 3


async def test_each_record_carries_its_own_id_and_all_that_cloud_events_ask_for() -> None:
    producer = Producer()
    writing = writer(producer, Told())
    writing.put(message(0))
    writing.put(message(1))
    await passes()
    assert [headers["ce_id"] for headers in producer.sent[0].headers] == [
        b"up202000001/m0",
        b"up202000001/m1",
    ]
    for headers in producer.sent[0].headers:
        assert set(headers) == {
            "ce_specversion", "ce_type", "ce_source", "ce_id", "ce_time", "content-type",
        }  # fmt: skip
        assert headers["ce_type"] == b"pt.uni4all.chat.message.sent.v1"


@pytest.mark.parametrize("error", [OSError("gone"), ValueError("a bug"), asyncio.CancelledError()])
async def test_a_batch_that_cannot_even_be_handed_over_is_told_of_and_the_next_one_goes(
    error: BaseException,
) -> None:
    producer, told = Producer(), Told()
    writing = writer(producer, told)
    producer.error = error
    first = message(0)
    writing.put(first)
    await passes()
    assert told.failed == [first]
    producer.error = None
    writing.put(message(1))
    await passes()
    producer.sent[0].written(7)
    await passes()
    assert [offset for _, offset in told.written] == [7]
