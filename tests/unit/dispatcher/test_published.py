"""Which of the tables in the log is taken."""

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.published import PublishedTable
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
    published = PublishedTable()
    published.take(0, [record(table(*key)) for key in keys])
    assert (published.newest.age_key if published.newest else None) == max(keys, default=None)


def test_a_record_that_is_no_table_changes_nothing() -> None:
    published = PublishedTable()
    published.take(0, [record(table(1, 1)), record(report("a"))])
    assert published.newest == table(1, 1)
