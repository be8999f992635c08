"""Laws of the table as it is published, and of how shards are shown."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.assignments import Shard, TableAssigned, shard_label
from schemas.ids import new_id
from schemas.log_records import MAX_EXACT, encode
from schemas.topics import MAX_RECORD_BYTES
from schemas.up_number import CIRCLE, point_of, up_at

POINTS = st.integers(0, CIRCLE - 1)


@st.composite
def tables(draw: st.DrawFn) -> TableAssigned:
    ends = [*sorted(draw(st.sets(st.integers(1, CIRCLE - 1), max_size=30))), CIRCLE]
    edges = st.sampled_from(["a", "b", "c", None])
    shards = [
        Shard(start=start, end=end, edge=draw(edges)) for start, end in zip([0, *ends], ends, strict=False)
    ]
    return TableAssigned(epoch=3, version=4, shards=tuple(shards), urls={"a": "http://a"})


def interval(label: str) -> tuple[int, int]:
    """Read a label as a person does: the digits all share, then the range of those that follow."""
    found = re.fullmatch(r"(\d*)(?:\[(\d+)-(\d+)\])?", label)
    assert found is not None
    shared, low, high = found[1], found[2] or "", found[3] or ""
    unit = 10 ** (9 - len(shared) - len(low))
    return int(f"{shared}{low}" or "0") * unit, (int(f"{shared}{high}" or "0") + 1) * unit


@given(st.integers(0, CIRCLE), st.integers(0, CIRCLE))
def test_a_label_says_exactly_which_numbers_are_meant(one: int, other: int) -> None:
    start, end = sorted((one, other))
    if start < end:
        assert interval(shard_label(start, end)) == (start, end)


@given(st.integers(0, 9), st.integers(0, 10**6), st.integers(0, 10**6))
def test_labels_of_round_intervals_are_right_and_short(places: int, one: int, other: int) -> None:
    unit = 10**places
    start, end = sorted((one * unit % CIRCLE, other * unit % CIRCLE))
    if start < end:
        label = shard_label(start, end)
        assert interval(label) == (start, end)
        assert len(label) <= 2 * (9 - places) + 3


@pytest.mark.parametrize(
    ("start", "end", "label"),
    [
        (0, 10, "[0-9]"),
        (0, 1, "0"),
        (3, 4, "3"),
        (3, 3.5, "3[0-4]"),
        (3.5, 4, "3[5-9]"),
        (3.25, 3.5, "3[25-49]"),
        (3, 3.25, "3[00-24]"),
        (2, 5, "[2-4]"),
        (9, 10, "9"),
        (3.1, 3.2, "31"),
        (3.5, 5, "[35-49]"),
    ],
)
def test_shards_are_shown_as_people_know_them(start: float, end: float, label: str) -> None:
    assert shard_label(round(start * CIRCLE / 10), round(end * CIRCLE / 10)) == label


def test_the_halves_of_a_digit_are_told_apart_by_the_last_but_one_digit() -> None:
    half = Shard(start=300_000_000, end=350_000_000, edge=None)
    ends = {
        up[-2:] for up in (f"up2019000{n:02d}" for n in range(100)) if half.start <= point_of(up) < half.end
    }
    assert ends == {"03", "13", "23", "33", "43"}


@given(tables(), POINTS)
def test_each_number_is_in_the_one_shard_that_holds_its_point(table: TableAssigned, point: int) -> None:
    shard = table.shard_of(up_at(point))
    assert shard.start <= point < shard.end
    assert [other for other in table.shards if other.start <= point < other.end] == [shard]


@given(tables())
def test_a_table_is_read_as_it_was_written(table: TableAssigned) -> None:
    record = encode(table, key="table", source="test")
    assert TableAssigned.read(record.headers, record.value) == table


def large_table(edges: int) -> TableAssigned:
    """Return a table with two shards an edge, with names, URLs and processes as they are in a cluster."""
    names = [f"edge-server-{n:05d}" for n in range(edges)]
    ends = [CIRCLE * (n + 1) // (2 * edges) for n in range(2 * edges)]
    shards = tuple(
        Shard(start=start, end=end, edge=names[n * 7 % edges])
        for n, (start, end) in enumerate(zip([0, *ends], ends, strict=False))
    )
    urls = {name: f"https://{name}.chat.example.pt" for name in names}
    processes = {name: new_id()[:8] for name in names}
    return TableAssigned(epoch=1, version=1, shards=shards, urls=urls, processes=processes)


def test_the_table_of_ten_thousand_edges_fits_into_a_record() -> None:
    table = large_table(10_000)
    record = encode(table, key="table", source="test")
    assert len(record.value or b"") < MAX_RECORD_BYTES // 2
    assert TableAssigned.read(record.headers, record.value) == table


def test_a_table_of_an_earlier_writer_is_read_as_one_where_nobody_asked_for_anything() -> None:
    table = large_table(2)
    record = encode(table, key="table", source="test")
    later = {"draining", "edges_asked", "processes"}
    plain = table.model_dump_json(by_alias=True, exclude=later).encode()
    assert TableAssigned.read(record.headers, plain) == table.model_copy(update={"processes": {}})


@given(tables(), st.data())
def test_a_table_with_a_hole_is_refused(table: TableAssigned, data: st.DataObject) -> None:
    missing = data.draw(st.integers(0, len(table.shards) - 1))
    shards = table.shards[:missing] + table.shards[missing + 1 :]
    with pytest.raises(ValidationError):
        TableAssigned(epoch=1, version=1, shards=shards, urls={})


@given(st.tuples(*[st.integers(0, 5)] * 4))
def test_a_table_is_newer_by_epoch_before_version(keys: tuple[int, int, int, int]) -> None:
    epoch, version, other_epoch, other_version = keys
    whole = (Shard(start=0, end=CIRCLE, edge=None),)
    one = TableAssigned(epoch=epoch, version=version, shards=whole, urls={})
    other = TableAssigned(epoch=other_epoch, version=other_version, shards=whole, urls={})
    assert (one.age_key > other.age_key) == (
        epoch > other_epoch or (epoch == other_epoch and version > other_version)
    )


@pytest.mark.parametrize("name", ["epoch", "version"])
def test_a_table_is_numbered_as_far_as_numbers_are_exact(name: str) -> None:
    said = {
        "epoch": 3,
        "version": 4,
        "shards": (Shard(start=0, end=CIRCLE, edge="a"),),
        "urls": {"a": "http://a"},
    }
    TableAssigned.model_validate({**said, name: MAX_EXACT})
    with pytest.raises(ValidationError):
        TableAssigned.model_validate({**said, name: MAX_EXACT + 1})
