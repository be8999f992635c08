"""Which of the tables in the log is taken, and who is told of it."""

from hypothesis import given
from hypothesis import strategies as st

from runtime.assignments import Assignments
from schemas.assignments import Shard, TableAssigned
from schemas.up_number import CIRCLE
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


def test_a_record_that_is_no_table_changes_nothing() -> None:
    assignments = Assignments()
    assignments.take(0, [record(table(1, 1)), record(report("a"))])
    assert assignments.table == table(1, 1)
