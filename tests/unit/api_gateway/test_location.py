"""Every UP number is sent to the edge that the newest table names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.location import Locations
from runtime.assignments import Assignments
from schemas.api import Location
from schemas.assignments import TABLE_KEY, Shard, TableAssigned
from schemas.log_records import encode
from schemas.refusals import NO_EDGE, Refused
from schemas.up_number import CIRCLE, point_of
from tests.records import consumed
from tests.unit.refusing import refuses

ups = st.integers(0, CIRCLE - 1).map(lambda n: f"up{n:09d}")


@st.composite
def tables(draw: st.DrawFn) -> TableAssigned:
    inner = sorted(draw(st.sets(st.integers(1, CIRCLE - 1), max_size=12)))
    bounds = [0, *inner, CIRCLE]
    edges = draw(
        st.lists(st.sampled_from(["a", "b", "c", None]), min_size=len(inner) + 1, max_size=len(inner) + 1)
    )
    shards = tuple(
        Shard(start=start, end=end, edge=edge)
        for start, end, edge in zip(bounds, bounds[1:], edges, strict=False)
    )
    urls = {edge: f"http://{edge}.example" for edge in draw(st.sets(st.sampled_from("abc")))}
    age = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    return TableAssigned(epoch=age[0], version=age[1], shards=shards, urls=urls)


def take(assignments: Assignments, *taken: TableAssigned) -> None:
    written = [encode(table, key=TABLE_KEY, source="dispatcher") for table in taken]
    assignments.take(0, [consumed("t", one) for one in written])


def wanted(table: TableAssigned | None, up: str) -> Location | None:
    shard = next((s for s in table.shards if s.start <= point_of(up) < s.end), None) if table else None
    if table is None or shard is None or shard.edge is None or shard.edge not in table.urls:
        return None
    version = f"{table.epoch}.{table.version}"
    return Location(url=table.urls[shard.edge], edge=shard.edge, shard=shard.label, version=version)


def found(locations: Locations, up: str) -> Location | None:
    try:
        return Location.model_validate_json(locations.find(up))
    except Refused as refused:
        return None if refused.refusal is NO_EDGE else pytest.fail(str(refused))


@given(st.lists(tables(), max_size=4), st.lists(ups, max_size=10))
def test_a_location_is_that_of_the_newest_table_however_the_tables_arrive(
    taken: list[TableAssigned], asked: list[str]
) -> None:
    assignments, newest = Assignments(), None
    locations = Locations(assignments)
    for table in taken:
        take(assignments, table)
        newest = table if newest is None or table.age_key > newest.age_key else newest
        for up in asked:
            assert found(locations, up) == wanted(newest, up)


def test_there_is_no_edge_before_there_is_a_table() -> None:
    with refuses(NO_EDGE):
        Locations(Assignments()).find("up201906045")
