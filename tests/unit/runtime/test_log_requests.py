"""The more messages share a request the more it counts, within bounds."""

from hypothesis import given
from hypothesis import strategies as st

from runtime.log_requests import MOST_COST, cost_of


@given(st.integers(0, 10_000), st.integers(0, 100))
def test_a_request_counts_more_the_more_share_it_and_each_of_them_less(messages: int, more: int) -> None:
    cost = cost_of(messages)
    assert 1.0 <= cost <= cost_of(messages + more) <= MOST_COST
    assert cost_of(messages + more) <= cost + cost_of(more), "sharing is never dearer than not to"


def test_a_message_by_itself_counts_one() -> None:
    assert cost_of(0) == cost_of(1) == 1.0
