"""Which of the tables in the log is taken, and who is told of it."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from runtime import metrics
from runtime.assignments import Assignments
from schemas import topics
from schemas.assignments import Shard, TableAssigned
from schemas.up_number import CIRCLE
from tests.counting import counting
from tests.unit.dispatcher.records import record
from tests.unit.dispatcher.reports import report


def table(epoch: int, version: int) -> TableAssigned:
    return TableAssigned(
        epoch=epoch, version=version, shards=(Shard(start=0, end=CIRCLE, edge=None),), urls={}
    )


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30))
def test_the_newest_by_epoch_and_version_wins_in_whatever_order_they_stand(
    keys: list[tuple[int, int]],
) -> None:
    assignments, told = Assignments(), list[tuple[int, int]]()
    assignments.on_change(lambda newer: told.append(newer.age_key))
    assignments.take(0, [record(table(*key)) for key in keys])
    assert (assignments.table.age_key if assignments.table else None) == max(keys, default=None)
    assert told == sorted(set(told)), "listeners hear of newer tables only"
    assert told[-1:] == ([max(keys)] if keys else [])
    if told:
        assert (metrics.TABLE_EPOCH._value.get(), metrics.TABLE_VERSION._value.get()) == told[-1]


def test_a_record_that_is_no_table_changes_nothing_and_is_counted() -> None:
    assignments, bad = Assignments(), counting(metrics.BAD_RECORDS.labels(topic=topics.ASSIGNMENTS))
    no_table = record(report("a"), topic=topics.ASSIGNMENTS)
    newest = record(table(1, 9), topic=topics.ASSIGNMENTS)
    tombstone, no_json = (replace(newest, value=value) for value in (None, b"{"))
    assignments.take(0, [tombstone, record(table(1, 1)), tombstone, no_table, no_json, record(table(1, 2))])
    assert assignments.table == table(1, 2)
    assert bad() == 2


def test_operators_see_when_the_newest_table_was_published() -> None:
    published = replace(record(table(1, 2)), timestamp=1_700_000_000_500)
    Assignments().take(0, [published, replace(record(table(1, 1)), timestamp=1_800_000_000_000)])
    assert metrics.TABLE_PUBLISHED._value.get() == 1_700_000_000.5
