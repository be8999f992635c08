"""Batches: a law for whatever the log holds and however it is cut into batches."""

from aiokafka import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from persister.batch import Batch, Limits
from persister.read_records import Fold, NewMessage, Poison, read
from tests.records import consumed
from tests.unit.persister import records as make
from tests.unit.persister.records import LARGE, batch_of, logs, partition_of


@given(logs())
def test_a_batch_ends_after_the_last_record_of_each_partition(log: list[ConsumerRecord]) -> None:
    assert batch_of(log).ends == {partition_of(record): record.offset + 1 for record in log}


@given(logs())
def test_every_record_is_kept_or_outdone_by_one_of_the_same_document(log: list[ConsumerRecord]) -> None:
    batch = batch_of(log)
    taken = [read(record) for record in log]
    folds = [one for one in taken if isinstance(one, Fold)]
    messages = [one for one in taken if isinstance(one, NewMessage)]
    assert batch.records == len(log)
    assert batch.poison == [one for one in taken if isinstance(one, Poison)]
    assert set(batch.messages) == {one.document["_id"] for one in messages}
    assert batch.repeated == len(messages) - len(batch.messages)
    assert set(batch.folds) == {(one.collection, one.key, one.guard) for one in folds}


@given(logs(), st.integers(1, 10), st.integers(1, 2_000))
def test_a_batch_is_full_exactly_at_its_limits(log: list[ConsumerRecord], records: int, size: int) -> None:
    batch = Batch(Limits(records, size, 1.0), epoch=1)
    added = 0
    for record in log:
        if batch.full:
            break
        assert batch.free == records - batch.records
        batch.add(partition_of(record), read(record), 0.0)
        added += record.serialized_key_size + max(0, record.serialized_value_size)
        assert batch.full == (batch.records >= records or added >= size)
    assert batch.records <= records


@given(logs(), st.lists(st.floats(0, 100), min_size=40, max_size=40))
def test_a_batch_is_as_old_as_its_first_record(log: list[ConsumerRecord], clock: list[float]) -> None:
    batch = Batch(LARGE, epoch=1)
    for record, now in zip(log, clock, strict=False):
        batch.add(partition_of(record), read(record), now)
    if log:
        assert batch.due_at == clock[0] + LARGE.age_s
        assert batch.oldest_ms == min(record.timestamp for record in log)


def test_what_the_store_refuses_is_poison_and_nothing_else_is() -> None:
    log = [
        consumed("chat.messages", make.message(id="m1"), offset=0),
        consumed("chat.messages", make.message(id="m2"), offset=1),
        consumed("chat.groups", make.group(), offset=0),
    ]
    batch = batch_of(log)
    batch.set_aside({"g1/up201900001/m1": Poison(log[0], "refused")})
    batch.set_aside({("groups", "g1", "seq"): Poison(log[2], "refused")})
    assert list(batch.messages) == ["g1/up201900001/m2"]
    assert batch.folds == {}
    assert [poison.source for poison in batch.poison] == [log[0], log[2]]
    assert batch.ends == {partition_of(log[1]): 2, partition_of(log[2]): 1}
