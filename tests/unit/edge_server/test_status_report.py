"""What a report says of an edge."""

from collections.abc import Iterator

from edge_server.status_report import Rate


def test_a_rate_is_the_growth_since_it_was_asked_last() -> None:
    moments: Iterator[float] = iter((0.0, 2.0, 3.0, 3.0))
    counts: Iterator[float] = iter((10.0, 30.0, 30.0, 31.0))
    rate = Rate(lambda: next(counts), lambda: next(moments))
    assert [rate.per_s(), rate.per_s()] == [10.0, 0.0]
    assert rate.per_s() == 1000.0, "two looks at the same moment divide by no zero"
