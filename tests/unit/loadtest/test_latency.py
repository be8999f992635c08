"""Percentiles are right to 1.6 %, never too good, and the same however the counting was split."""

from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from loadtest.latency import Latencies, bucket_of, highest_in

values = st.integers(0, 10**9)


@given(values)
def test_a_bucket_holds_its_value_and_is_narrow(value: int) -> None:
    highest = highest_in(bucket_of(value))
    assert value <= highest <= value * 1.016
    assert bucket_of(highest) == bucket_of(value)


@given(values)
def test_buckets_follow_each_other_without_gap(value: int) -> None:
    bucket = bucket_of(value)
    assert bucket_of(highest_in(bucket) + 1) == bucket + 1


@given(st.lists(values, min_size=1, max_size=200), st.floats(0.1, 100))
def test_a_percentile_is_that_of_the_sorted_values(some: list[int], percent: float) -> None:
    latencies = Latencies()
    for value in some:
        latencies.record(value)
    exact = sorted(some)[max(0, ceil(len(some) * percent / 100) - 1)]
    assert exact <= latencies.percentile_ms(percent) * 1000 * (1 + 1e-12) <= exact * 1.016 + 1e-6


@given(st.lists(values), st.lists(values))
def test_counting_apart_and_adding_is_counting_together(some: list[int], others: list[int]) -> None:
    apart, together, rest = Latencies(), Latencies(), Latencies()
    for value in some:
        apart.record(value)
        together.record(value)
    for value in others:
        rest.record(value)
        together.record(value)
    apart.add(Latencies(rest.pairs()))
    assert apart.counts == together.counts
    assert apart.total == len(some) + len(others)


def test_taking_begins_anew() -> None:
    latencies = Latencies()
    latencies.record(5)
    assert latencies.take().total == 1
    assert latencies.total == 0
    assert latencies.percentile_ms(99) == 0.0


def test_a_time_before_its_beginning_counts_as_none() -> None:
    latencies = Latencies()
    latencies.record(-7)
    assert latencies.pairs() == [(0, 1)]
