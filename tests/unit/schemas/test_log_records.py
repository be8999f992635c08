"""Laws of an edge's report."""

import re
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.log_records import MAX_SPREAD, BadRecord, EdgeReported, encode, spread_of
from schemas.up_number import CIRCLE

POINTS = st.lists(st.integers(0, CIRCLE - 1), max_size=300)


def report(**more: object) -> EdgeReported:
    said = {"edge": "a", "url": "http://a", "capacity": 10, "connected": 3, "state": "serving"}
    return EdgeReported.model_validate({**said, **more})


@given(POINTS, st.integers(0, CIRCLE), st.integers(0, CIRCLE))
def test_a_spread_tells_how_many_clients_any_interval_has(points: list[int], one: int, other: int) -> None:
    """The share of points within an interval is right to two parts in `MAX_SPREAD`."""
    start, end = sorted((one, other))
    spread = spread_of(points)
    said = (bisect_left(spread, end) - bisect_left(spread, start)) / max(1, len(spread))
    true = sum(start <= point < end for point in points) / max(1, len(points))
    assert abs(said - true) <= 2 / MAX_SPREAD + 1e-9


@given(POINTS)
def test_a_spread_goes_through_the_log_unchanged(points: list[int]) -> None:
    said = report(spread=spread_of(points), messages_per_s=1.5)
    record = encode(said, key="a", source="test")
    assert EdgeReported.read(record.headers, record.value) == said


@given(st.lists(st.integers(0, CIRCLE - 1), max_size=MAX_SPREAD))
def test_few_clients_stand_for_themselves(points: list[int]) -> None:
    assert spread_of(points) == tuple(sorted(points))


def test_a_report_without_the_newer_fields_is_a_report() -> None:
    assert (report().spread, report().messages_per_s) == (None, None)


@pytest.mark.parametrize("spread", [[2, 1], [CIRCLE], [-1], list(range(MAX_SPREAD + 1))])
def test_a_spread_that_is_none_is_refused(spread: list[int]) -> None:
    with pytest.raises(ValidationError):
        report(spread=spread)


@pytest.mark.parametrize(
    ("name", "number"),
    [("capacity", b"1" + b"0" * 400), ("connected", b"9007199254740992"), ("messagesPerS", b"1e999")],
)
def test_a_report_of_numbers_that_nobody_can_count_with_is_a_bad_record(name: str, number: bytes) -> None:
    record = encode(report(), key="a", source="test")
    value = re.sub(b'"%b":[^,}]+' % name.encode(), b'"%b":%b' % (name.encode(), number), record.value or b"")
    assert number in value
    with pytest.raises(BadRecord):
        EdgeReported.read(record.headers, value)
